#include "client/terminal.h"
#include "common/util/text.h" /* before term.h, whose macros are many */

#include <curses.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#define PASTE_ON  "\033[?2004h"
#define PASTE_OFF "\033[?2004l"

/* What a crash writes: paste off, attributes off, cursor on, the other screen back. */
#define CRASH_RESET PASTE_OFF "\033[m\033[?25h\033[?1049l"

struct terminal {
    SCREEN *screen;
    struct grid *shown; /* what stands on the terminal; NULL: unknown */
    attr_t attrs[STYLE_COUNT];
    short pairs[STYLE_COUNT];
    bool away; /* suspended */
};

/* How a style looks: with 256 colours, with 8, with none. Colour -1 is the terminal's own. */
static const struct look {
    short fg256, bg256, fg8, bg8;
    attr_t colour, plain; /* attributes with colours and without */
} looks[STYLE_COUNT] = {
    [STYLE_TEXT] = {-1, -1, -1, -1, 0, 0},
    [STYLE_DIM] = {245, -1, -1, -1, 0, A_DIM},
    [STYLE_STRONG] = {-1, -1, -1, -1, A_BOLD, A_BOLD},
    [STYLE_BAR] = {252, 236, COLOR_WHITE, COLOR_BLUE, 0, A_REVERSE},
    [STYLE_BAR_STRONG] = {231, 236, COLOR_WHITE, COLOR_BLUE, A_BOLD, A_REVERSE | A_BOLD},
    [STYLE_BAR_GOOD] = {114, 236, COLOR_GREEN, COLOR_BLUE, A_BOLD, A_REVERSE},
    [STYLE_BAR_WARN] = {221, 236, COLOR_YELLOW, COLOR_BLUE, A_BOLD, A_REVERSE | A_BOLD},
    [STYLE_BAR_BAD] = {231, 124, COLOR_WHITE, COLOR_RED, A_BOLD, A_BOLD},
    [STYLE_GOOD] = {71, -1, COLOR_GREEN, -1, 0, 0},
    [STYLE_WARN] = {172, -1, COLOR_YELLOW, -1, 0, A_UNDERLINE},
    [STYLE_BAD] = {160, -1, COLOR_RED, -1, A_BOLD, A_BOLD},
    [STYLE_SELECT] = {-1, -1, -1, -1, A_REVERSE, A_REVERSE},
    [STYLE_NICK] = {31, -1, COLOR_CYAN, -1, 0, 0},
    [STYLE_NICK + 1] = {133, -1, COLOR_MAGENTA, -1, 0, 0},
    [STYLE_NICK + 2] = {64, -1, COLOR_GREEN, -1, 0, 0},
    [STYLE_NICK + 3] = {136, -1, COLOR_YELLOW, -1, 0, 0},
    [STYLE_NICK + 4] = {67, -1, COLOR_BLUE, -1, 0, 0},
    [STYLE_NICK + 5] = {167, -1, COLOR_RED, -1, 0, 0},
};

/* --- restoring after a crash: only what may be called in a signal handler --- */

static struct termios found; /* the terminal's settings before us; read by on_crash alone */

static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT};

static void on_crash(int sig)
{
    (void)!write(STDOUT_FILENO, CRASH_RESET, sizeof CRASH_RESET - 1);
    tcsetattr(STDIN_FILENO, TCSANOW, &found);
    raise(sig); /* the handler is gone by now (SA_RESETHAND) */
}

static void crashes_watch(bool on)
{
    struct sigaction sa = {.sa_flags = (int)SA_RESETHAND};

    sa.sa_handler = on ? on_crash : SIG_DFL;
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < COUNT(crashes); i++)
        sigaction(crashes[i], &sa, NULL);
}

/* --- life --- */

static void put(const char *sequence)
{
    fputs(sequence, stdout);
    fflush(stdout);
}

/* Can this terminal place a cursor and clear? Asked before anything is written. */
int terminal_check(struct err *e)
{
    const char *term = getenv("TERM");
    int found_it = 0;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return err_set(e, ERR_CONFIG,
                       "the full screen needs a terminal: use countersign send and "
                       "recv without one");
    if (term == NULL || term[0] == '\0')
        return err_set(e, ERR_CONFIG,
                       "TERM is not set: say which terminal this is, for example "
                       "TERM=xterm-256color");
    if (setupterm(term, STDOUT_FILENO, &found_it) != OK || found_it != 1)
        return err_set(e, ERR_CONFIG,
                       "TERM=%.60s is not known here: set another, for example "
                       "TERM=xterm-256color",
                       term);
    /* terminfo's capabilities are char pointers that it never changes */
    const char *move_to = tigetstr("cup");
    bool able = move_to != NULL && move_to != (const char *)-1;
    del_curterm(cur_term);
    if (!able)
        return err_set(e, ERR_CONFIG,
                       "TERM=%.60s cannot show a full screen: use countersign send "
                       "and recv, or set another TERM",
                       term);
    return 0;
}

static void colours(struct terminal *t)
{
    start_color();
    use_default_colors();
    for (short i = 0; i < STYLE_COUNT; i++) {
        const struct look *l = &looks[i];
        bool many = COLORS >= 256;
        init_pair((short)(i + 1), many ? l->fg256 : l->fg8, many ? l->bg256 : l->bg8);
        t->attrs[i] = l->colour;
        t->pairs[i] = (short)(i + 1);
    }
}

static void modes(void)
{
    raw();
    noecho();
    nonl();
    put(PASTE_ON);
}

struct terminal *terminal_open(bool colour, struct err *e)
{
    struct terminal *t = NULL;

    if (terminal_check(e) < 0)
        return NULL;
    tcgetattr(STDIN_FILENO, &found);
    t = calloc(1, sizeof *t);
    if (t == NULL || (t->screen = newterm(NULL, stdout, stdin)) == NULL) {
        err_set(e, ERR_CONFIG, "this terminal cannot be used");
        free(t);
        return NULL;
    }
    for (size_t i = 0; i < STYLE_COUNT; i++)
        t->attrs[i] = looks[i].plain;
    if (colour && has_colors())
        colours(t);
    modes();
    crashes_watch(true);
    return t;
}

void terminal_close(struct terminal *t)
{
    if (t == NULL)
        return;
    if (!t->away) {
        put(PASTE_OFF);
        endwin();
    }
    crashes_watch(false);
    delscreen(t->screen);
    grid_free(t->shown);
    free(t);
}

void terminal_suspend(struct terminal *t)
{
    if (t->away)
        return;
    put(PASTE_OFF);
    endwin();
    t->away = true;
}

void terminal_resume(struct terminal *t)
{
    if (!t->away)
        return;
    t->away = false;
    reset_prog_mode();
    modes();
}

void terminal_forget(struct terminal *t)
{
    grid_free(t->shown);
    t->shown = NULL;
}

void terminal_size(unsigned *rows, unsigned *cols)
{
    struct winsize w = {0};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_row == 0 || w.ws_col == 0)
        w = (struct winsize){.ws_row = 24, .ws_col = 80};
    *rows = w.ws_row;
    *cols = w.ws_col;
}

/* --- drawing --- */

/* The cell's characters for ncurses: at most CCHARW_MAX, of the width that the grid gave it. */
static void cell_wide(const struct cell *c, wchar_t out[CCHARW_MAX + 1])
{
    struct str rest = str_of(c->text);
    size_t n, used = 0;

    while (rest.n > 0 && used < CCHARW_MAX) {
        int32_t point = text_next(rest, &n);
        bool joined = used > 0 && wcwidth((wchar_t)point) != 0;
        if (point < 0 || joined)
            break; /* what ncurses cannot hold: the base stands for the cluster */
        out[used++] = (wchar_t)point;
        rest = str_from(rest.p + n, rest.n - n);
    }
    if (used == 0 || wcwidth(out[0]) < 1 || wcwidth(out[0]) > c->width) {
        out[0] = L'?';
        used = 1;
    }
    out[used] = L'\0';
}

static void draw_cell(struct terminal *t, unsigned row, unsigned col, const struct cell *c)
{
    wchar_t wide[CCHARW_MAX + 1];
    cchar_t cell;

    if (c->width == 0)
        return;
    cell_wide(c, wide);
    setcchar(&cell, wide, t->attrs[c->style], t->pairs[c->style], NULL);
    mvadd_wch((int)row, (int)col, &cell);
}

static bool row_same(const struct terminal *t, const struct grid *g, unsigned row)
{
    for (unsigned col = 0; col < g->cols; col++) {
        if (!cell_same(grid_cell(t->shown, row, col), grid_cell(g, row, col)))
            return false;
    }
    return true;
}

static void draw_row(struct terminal *t, const struct grid *g, unsigned row)
{
    move((int)row, 0);
    clrtoeol();
    for (unsigned col = 0; col < g->cols; col++)
        draw_cell(t, row, col, grid_cell(g, row, col));
}

/* Keeps a copy of what was drawn. */
static void remember(struct terminal *t, const struct grid *g)
{
    if (t->shown == NULL)
        t->shown = grid_new(g->rows, g->cols);
    if (t->shown != NULL)
        memcpy(t->shown->cells, g->cells, (size_t)g->rows * g->cols * sizeof *g->cells);
}

void terminal_draw(struct terminal *t, const struct grid *g)
{
    if (t->away)
        return;
    if (t->shown == NULL || t->shown->rows != g->rows || t->shown->cols != g->cols) {
        terminal_forget(t);
        resizeterm((int)g->rows, (int)g->cols);
        clearok(stdscr, TRUE);
    }
    for (unsigned row = 0; row < g->rows; row++) {
        if (t->shown == NULL || !row_same(t, g, row))
            draw_row(t, g, row);
    }
    remember(t, g);
    move((int)g->cursor_row, (int)g->cursor_col);
    refresh();
}
