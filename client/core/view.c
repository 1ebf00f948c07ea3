#include "client/core/view.h"

#include <stdio.h>
#include <string.h>

#include "client/core/view_parts.h"
#include "client/core/wrap.h"

/* --- the draft --- */

/* How the draft is laid out: a prompt, then clusters broken at the edge. */
struct draft {
    unsigned cols, indent; /* columns of a row; where rows begin */
    unsigned row, col;     /* where the next cluster goes */
};

static void prompt_of(const struct model *m, unsigned cols, char out[MODEL_TEXT_SHORT])
{
    const struct window *w = &m->windows[m->current];
    const char *end = cols >= 4 ? "> " : cols >= 2 ? ">" : "";

    if (m->input.prompt[0] != '\0' && wrap_width(str_of(m->input.prompt)) + 8 < cols)
        snprintf(out, MODEL_TEXT_SHORT, "%s", m->input.prompt);
    else if (cols >= 60 && m->alarm == NULL)
        snprintf(out, MODEL_TEXT_SHORT, "[%s%.20s] ", m->view == VIEW_CHAT ? window_sign(w) : "",
                 m->view == VIEW_CHAT ? w->name : "back: Esc");
    else
        snprintf(out, MODEL_TEXT_SHORT, "%s%s", m->alarm != NULL && cols >= 2 ? "!" : "", end);
}

static struct draft draft_of(const struct model *m, unsigned cols)
{
    char prompt[MODEL_TEXT_SHORT];

    prompt_of(m, cols, prompt);
    unsigned indent = wrap_width(str_of(prompt));
    if (indent >= cols)
        indent = 0;
    return (struct draft){.cols = cols, .indent = indent, .col = indent};
}

/* Columns of a cluster as the draft shows it: control characters as ^X. */
static unsigned draft_width(struct str cluster, unsigned width)
{
    unsigned char c = (unsigned char)cluster.p[0];

    return c < 0x20 || c == 0x7f ? 2 : width > 0 ? width : 1;
}

/* Makes room for the next cluster and gives its bytes; d is where it stands. */
static size_t draft_place(struct draft *d, struct str rest, unsigned *width)
{
    size_t n = wrap_cluster(rest, width);

    *width = draft_width(rest, *width);
    if (d->col + *width > d->cols && d->col > d->indent) {
        d->row++;
        d->col = d->indent;
    }
    return n;
}

static void draft_step(struct draft *d, struct str rest, unsigned width)
{
    if (rest.p[0] == '\n') {
        d->row++;
        d->col = d->indent;
    } else {
        d->col += width;
    }
}

/* Where the byte `at` of the draft stands; at its end an edge already belongs to the next row. */
static struct draft draft_find(const struct model *m, unsigned cols, size_t at)
{
    struct draft d = draft_of(m, cols);
    struct str rest = str_from(m->input.text, m->input.n);

    while (rest.n > 0) {
        unsigned width;
        size_t n = rest.p[0] == '\n' ? 1 : draft_place(&d, rest, &width);
        if (m->input.n - rest.n >= at)
            return d;
        draft_step(&d, rest, width);
        rest = str_from(rest.p + n, rest.n - n);
    }
    if (d.col >= d.cols) {
        d.row++;
        d.col = d.indent;
    }
    return d;
}

static unsigned draft_rows(const struct model *m, unsigned cols)
{
    return draft_find(m, cols, m->input.n).row + 1;
}

static void draft_cluster(struct area a, int row, const struct draft *d, struct str cluster)
{
    unsigned char c = (unsigned char)cluster.p[0];

    if (c == '\n')
        return;
    if (c < 0x20 || c == 0x7f)
        area_print(a, row, d->col, STYLE_WARN, "^%c", c ^ 0x40);
    else
        area_text(a, row, d->col, STYLE_TEXT, cluster);
}

static void view_input(const struct model *m, struct area a)
{
    char prompt[MODEL_TEXT_SHORT];
    struct draft cursor = draft_find(m, a.cols, m->input.point), d = draft_of(m, a.cols);
    unsigned rows = draft_rows(m, a.cols);
    unsigned top = rows > a.rows ? rows - a.rows : 0;
    struct str rest = str_from(m->input.text, m->input.n);

    top = cursor.row < top ? cursor.row : top;
    prompt_of(m, a.cols, prompt);
    if (top == 0 && wrap_width(str_of(prompt)) < a.cols)
        area_text(a, 0, 0, m->alarm != NULL ? STYLE_BAD : STYLE_DIM, str_of(prompt));
    while (rest.n > 0) {
        unsigned width = 0;
        size_t n = rest.p[0] == '\n' ? 1 : draft_place(&d, rest, &width);
        draft_cluster(a, (int)d.row - (int)top, &d, str_from(rest.p, n));
        draft_step(&d, rest, width);
        rest = str_from(rest.p + n, rest.n - n);
    }
    a.g->cursor_row = a.row + cursor.row - top;
    a.g->cursor_col = a.col + (cursor.col < a.cols ? cursor.col : a.cols - 1);
    if (a.cols == 1 && m->alarm != NULL && m->input.n == 0)
        area_text(a, 0, 0, STYLE_BAD, str_of("!"));
}

/* The place in a row that is nearest to a column from the left, found in one pass. */
struct nearest {
    unsigned row, col;
    size_t at;
    bool found;
};

static void nearest_try(struct nearest *n, const struct draft *d, size_t at)
{
    if (d->row != n->row || (n->found && d->col > n->col))
        return;
    n->at = at;
    n->found = true;
}

bool view_input_move(const struct model *m, unsigned cols, int by, size_t *point)
{
    struct draft from = draft_find(m, cols, m->input.point), d = draft_of(m, cols);
    struct str rest = str_from(m->input.text, m->input.n);
    struct nearest best = {.row = from.row + (unsigned)by, .col = from.col};

    if ((int)from.row + by < 0)
        return false;
    while (rest.n > 0 && d.row <= best.row) {
        unsigned width = 0;
        size_t n = rest.p[0] == '\n' ? 1 : draft_place(&d, rest, &width);
        nearest_try(&best, &d, m->input.n - rest.n);
        draft_step(&d, rest, width);
        rest = str_from(rest.p + n, rest.n - n);
    }
    d = draft_find(m, cols, m->input.n); /* the end has a rule of its own */
    nearest_try(&best, &d, m->input.n);
    if (best.found)
        *point = best.at;
    return best.found;
}

/* --- layout --- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Rows of the input: what the draft needs, what the size allows. */
static unsigned input_rows(const struct model *m, const struct grid *g)
{
    unsigned need = draft_rows(m, g->cols);

    if (g->cols < 10)
        return g->rows;
    if (g->rows < 8)
        return 1;
    return least(need, g->rows < 16 ? 3 : VIEW_INPUT_ROWS);
}

void view_layout(const struct model *m, struct grid *g, struct layout *out)
{
    struct area all = area_whole(g);
    unsigned input = input_rows(m, g), rest = g->rows - input;
    unsigned title = rest > 0 && g->rows >= 8, status = rest > 0 && g->rows >= 4;
    unsigned activity = rest > 0 && g->rows >= 16;
    unsigned main = rest - title - status - activity;

    *out = (struct layout){.title = area_cut(all, 0, 0, title, g->cols)};
    out->main = area_cut(all, title, 0, main, g->cols);
    out->list = area_cut(all, title, 0, 0, 0);
    if (g->cols >= VIEW_LIST_FROM && m->view == VIEW_CHAT) {
        out->list = area_cut(all, title, 0, main, VIEW_LIST_COLS + 1);
        out->main = area_cut(out->main, 0, VIEW_LIST_COLS + 1, main, g->cols);
    }
    out->status = area_cut(all, title + main, 0, status, g->cols);
    out->activity = area_cut(all, title + main + status, 0, activity, g->cols);
    out->input = area_cut(all, rest, 0, input, g->cols);
}

void view_render(const struct model *m, struct grid *g)
{
    static void (*const views[])(const struct model *m, struct area a) = {
        [VIEW_CHAT] = view_chat,       [VIEW_HANDSHAKE] = view_handshake,
        [VIEW_INSPECT] = view_inspect, [VIEW_TRANSCRIPT] = view_transcript,
        [VIEW_PAGE] = view_page_text,
    };
    struct layout l;

    view_layout(m, g, &l);
    area_fill(area_whole(g), ' ', STYLE_TEXT);
    if (l.title.rows > 0)
        view_title(m, l.title);
    if (l.list.cols > 0)
        view_list(m, l.list);
    if (l.main.rows > 0)
        views[m->view](m, l.main);
    if (l.status.rows > 0)
        view_status(m, l.status, l.title.rows == 0);
    if (l.activity.rows > 0)
        view_activity(m, l.activity);
    view_input(m, l.input);
}

/* --- scrolling --- */

static struct area main_at(const struct model *m, unsigned rows, unsigned cols, struct grid *g)
{
    struct layout l;

    *g = (struct grid){.rows = rows, .cols = cols};
    view_layout(m, g, &l);
    return l.main;
}

unsigned view_page(const struct model *m, unsigned rows, unsigned cols)
{
    struct grid g;
    unsigned page = main_at(m, rows, cols, &g).rows;

    return page > 2 ? page - 1 : 1;
}

static void page_scroll(struct model *m, struct area a, int by)
{
    bool steps = m->view == VIEW_HANDSHAKE;
    unsigned total = steps ? view_handshake_rows(m, a.cols) : view_page_rows(m, a.cols);
    unsigned seen = steps ? 3 : a.rows;
    size_t most = total > seen ? total - seen : 0;
    size_t top = m->page.top;

    if (by > 0)
        top = top > (unsigned)by ? top - (unsigned)by : 0;
    else
        top += (unsigned)-by;
    m->page.top = top < most ? top : most;
}

bool view_scroll(struct model *m, unsigned rows, unsigned cols, int by)
{
    struct grid g;
    struct area a = main_at(m, rows, cols, &g);

    if (a.rows == 0 || a.cols == 0)
        return false;
    if (m->view == VIEW_CHAT)
        return view_chat_scroll(model_current(m), a, by);
    page_scroll(m, a, by);
    return false;
}

void view_top(struct model *m)
{
    struct window *w = model_current(m);

    if (m->view == VIEW_TRANSCRIPT)
        m->transcript.chosen = 0;
    else if (m->view != VIEW_CHAT)
        m->page.top = 0;
    else if (w->messages_n > 0)
        w->anchor = w->messages[0].serial;
}

void view_bottom(struct model *m)
{
    struct window *w = model_current(m);
    struct transcript *t = &m->transcript;

    if (m->view == VIEW_TRANSCRIPT) {
        t->chosen = t->lines_n > 0 ? t->lines_n - 1 : 0;
        return;
    }
    w->anchor = 0;
    w->below = 0;
    w->unread = w->mentions = 0;
}
