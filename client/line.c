#include "client/line.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "common/util/text.h"

enum { SEQ_MAX = 32, QUEUE_MAX = 256 };

#define PASTE_END "\033[201~"

/* readline's callbacks carry no context, and its state is global anyway: one line per process. */
static struct line {
    struct line_ops ops;
    char *history;
    FILE *null;
    char seq[SEQ_MAX]; /* an escape sequence that is not complete */
    size_t seq_n;
    char queue[QUEUE_MAX]; /* bytes for readline */
    size_t queue_at, queue_n;
    bool pasting, pasted; /* pasted: the first word of the draft came out of a paste */
    struct buf paste;
} line;

/* --- bytes to readline --- */

static int next_byte(FILE *in)
{
    (void)in;
    return line.queue_at < line.queue_n ? (unsigned char)line.queue[line.queue_at++] : EOF;
}

static void edit(const char *bytes, size_t n)
{
    memcpy(line.queue, bytes, n);
    line.queue_at = 0;
    line.queue_n = n;
    while (line.queue_at < line.queue_n)
        rl_callback_read_char();
    if (rl_end == 0)
        line.pasted = false;
}

static void draw_nothing(void)
{
}

/* Accepted by readline itself (a binding of the user's): the same as Enter. */
static void accepted(char *text)
{
    if (text != NULL && text[0] != '\0') {
        bool kept = !line.ops.enter(line.ops.ctx, str_of(text), line.pasted);
        if (kept)
            line_set(text);
    }
    free(text);
}

/* --- history: commands only, so that no message stands on the disk in the clear --- */

static bool keeps(const char *text)
{
    static const char *const private[] = {"//", "/m", "/t"}; /* texts, messages, topics */

    for (size_t i = 0; i < COUNT(private); i++)
        if (strncmp(text, private[i], 2) == 0)
            return false;
    return text[0] == '/' && strchr(text, '\n') == NULL;
}

static void history_note(const char *text)
{
    const HIST_ENTRY *last =
        history_length > 0 ? history_get(history_base + history_length - 1) : NULL;

    if (last == NULL || strcmp(last->line, text) != 0)
        add_history(text);
    if (line.history != NULL && keeps(text)) {
        FILE *f = fopen(line.history, "a");
        if (f != NULL) {
            fprintf(f, "%s\n", text);
            fclose(f);
        }
    }
}

static int history_open(const char *path, struct err *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_set(e, ERR_CREATE, "no history of commands: %s cannot be opened", path);
    fchmod(fd, 0600);
    close(fd);
    stifle_history(INPUT_HISTORY_MAX);
    read_history(path);
    line.history = strdup(path);
    return 0;
}

/* Only what was kept before: rewrites the file when it has grown too long. */
static void history_trim(void)
{
    if (line.history != NULL)
        (void)history_truncate_file(line.history, INPUT_HISTORY_MAX);
}

/* --- completion --- */

static char *complete_one(const char *text, int state)
{
    static size_t n; /* readline asks one by one and has no place for a count */

    n = state == 0 ? 0 : n + 1;
    const char *found =
        line.ops.complete(line.ops.ctx, str_of(text),
                          rl_line_buffer[0] == '/' && strchr(rl_line_buffer, ' ') == NULL, n);
    return found != NULL ? strdup(found) : NULL;
}

static char **complete(const char *text, int start, int end)
{
    (void)start;
    (void)end;
    rl_attempted_completion_over = 1;
    return rl_completion_matches(text, complete_one);
}

static void matches_show(char **matches, int n, int longest)
{
    char text[MODEL_TEXT_SHORT] = "";

    (void)longest;
    for (int i = 1; i <= n; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", i > 1 ? "  " : "", matches[i]);
    }
    line.ops.refused(line.ops.ctx, text);
}

/* --- life --- */

static void readline_setup(void)
{
    static char word_breaks[] = " \n"; /* readline keeps the pointer */

    rl_readline_name = "countersign";
    rl_catch_signals = 0;
    rl_catch_sigwinch = 0;
    rl_change_environment = 0;
    rl_outstream = line.null;
    rl_getc_function = next_byte;
    rl_redisplay_function = draw_nothing;
    rl_prep_term_function = NULL;
    rl_deprep_term_function = NULL;
    rl_attempted_completion_function = complete;
    rl_completion_display_matches_hook = matches_show;
    rl_completer_word_break_characters = word_breaks;
    rl_initialize(); /* reads inputrc */
    rl_variable_bind("enable-bracketed-paste", "off");
    rl_variable_bind("horizontal-scroll-mode", "off");
    rl_variable_bind("completion-query-items", "0");
    rl_callback_handler_install("", accepted);
}

int line_open(const struct line_ops *ops, const char *history, struct err *e)
{
    line.ops = *ops;
    buf_init(&line.paste, PASTE_MAX);
    line.null = fopen("/dev/null", "w");
    if (line.null == NULL)
        return err_set(e, ERR_OS, "/dev/null cannot be opened");
    readline_setup();
    struct err why = {0};
    if (history != NULL && history_open(history, &why) < 0)
        ops->refused(ops->ctx, why.text); /* a convenience: it goes without */
    return 0;
}

void line_close(void)
{
    if (line.null == NULL)
        return;
    line_set("");
    rl_callback_handler_remove();
    history_trim();
    clear_history();
    free(line.history);
    buf_free(&line.paste);
    fclose(line.null);
    line.null = NULL;
    line.history = NULL;
}

/* --- draft --- */

void line_set(const char *text)
{
    rl_replace_line(text, 1);
    rl_point = rl_end;
    if (rl_end == 0)
        line.pasted = false;
}

void line_point(size_t point)
{
    if (point <= (size_t)rl_end)
        rl_point = (int)point;
}

void line_show(struct input *out)
{
    size_t n = (size_t)rl_end, bytes;

    out->prompt[0] = '\0';
    if (RL_ISSTATE(RL_STATE_ISEARCH) || RL_ISSTATE(RL_STATE_NSEARCH))
        model_clean(out->prompt, sizeof out->prompt, rl_display_prompt);
    if (n + 1 > out->cap) {
        char *more = realloc(out->text, n + 1);
        if (more == NULL)
            return;
        out->text = more;
        out->cap = n + 1;
    }
    memcpy(out->text, rl_line_buffer, n + 1);
    out->n = n;
    out->point = (size_t)rl_point;
    for (size_t i = 0; i < n; i += bytes) { /* what is no UTF-8 keeps its place and is no harm */
        if (text_next(str_from(out->text + i, n - i), &bytes) < 0)
            out->text[i] = '?';
    }
}

/* --- keys that are ours --- */

static void searching_ends(void)
{
    if (RL_ISSTATE(RL_STATE_ISEARCH) || RL_ISSTATE(RL_STATE_NSEARCH))
        edit("\n", 1); /* C-j ends a search and keeps what it found */
}

static void enter(void)
{
    searching_ends();
    if (rl_end > 0 && rl_line_buffer[rl_end - 1] == '\\') {
        rl_point = rl_end;
        rl_delete_text(rl_end - 1, rl_end);
        rl_point = rl_end;
        rl_insert_text("\n");
        return;
    }
    char *text = strdup(rl_line_buffer);
    if (text == NULL || line.ops.key(line.ops.ctx, KEY_ENTER)) {
        free(text);
        return;
    }
    bool done = line.ops.enter(line.ops.ctx, str_of(text), line.pasted);
    if (done) {
        if (text[0] != '\0')
            history_note(text);
        line_set("");
        using_history();
    }
    free(text);
}

static void newline(void)
{
    searching_ends();
    rl_insert_text("\n");
}

static void clear(void)
{
    if (RL_ISSTATE(RL_STATE_ISEARCH))
        edit("\007", 1); /* C-g gives a search up */
    if (rl_end == 0)
        line.ops.refused(line.ops.ctx, "nothing to clear; /quit leaves");
    line_set("");
    using_history();
}

static void press(enum screen_key key, const char *seq, size_t n)
{
    if (key == KEY_ENTER)
        enter();
    else if (key == KEY_NEWLINE)
        newline();
    else if (key == KEY_CLEAR)
        clear();
    else if (!line.ops.key(line.ops.ctx, key))
        edit(seq, n);
}

/* What terminals send for the keys of act.h; one key may have several. */
static const struct {
    const char *seq;
    enum screen_key key;
} sequences[] = {
    {"\r", KEY_ENTER},
    {"\n", KEY_NEWLINE},
    {"\003", KEY_CLEAR},
    {"\014", KEY_REDRAW},
    {"\032", KEY_SUSPEND},
    {"\033\r", KEY_NEWLINE},
    {"\033\n", KEY_NEWLINE},
    {"\033[A", KEY_UP},
    {"\033OA", KEY_UP},
    {"\033[B", KEY_DOWN},
    {"\033OB", KEY_DOWN},
    {"\033[C", KEY_RIGHT},
    {"\033OC", KEY_RIGHT},
    {"\033[D", KEY_LEFT},
    {"\033OD", KEY_LEFT},
    {"\033[5~", KEY_PAGE_UP},
    {"\033[6~", KEY_PAGE_DOWN},
    {"\033<", KEY_TOP},
    {"\033[1;3H", KEY_TOP},
    {"\033>", KEY_BOTTOM},
    {"\033[1;3F", KEY_BOTTOM},
    {"\033OP", KEY_HELP},
    {"\033[11~", KEY_HELP},
    {"\033[[A", KEY_HELP},
    {"\033OQ", KEY_INSPECT},
    {"\033[12~", KEY_INSPECT},
    {"\033[[B", KEY_INSPECT},
    {"\033OS", KEY_HANDSHAKE},
    {"\033[14~", KEY_HANDSHAKE},
    {"\033[[D", KEY_HANDSHAKE},
    {"\033[19~", KEY_TRANSCRIPT},
    {"\033[15~", KEY_PREVIOUS},
    {"\033[[E", KEY_PREVIOUS},
    {"\033[1;3D", KEY_PREVIOUS},
    {"\033[17~", KEY_NEXT},
    {"\033[1;3C", KEY_NEXT},
    {"\033a", KEY_ACTIVE},
    {"\033=", KEY_QUIET},
    {"\033h", KEY_SEEN},
};

static bool ours(const char *seq, size_t n, enum screen_key *key)
{
    for (size_t i = 0; i < COUNT(sequences); i++) {
        if (strlen(sequences[i].seq) == n && memcmp(sequences[i].seq, seq, n) == 0) {
            *key = sequences[i].key;
            return true;
        }
    }
    if (n == 2 && seq[0] == '\033' && seq[1] >= '0' && seq[1] <= '9') {
        *key = KEY_WINDOW + (unsigned)(seq[1] - '0');
        return true;
    }
    return false;
}

/* --- pastes --- */

/* Newlines are \n, a tab is spaces, other control bytes and what is no UTF-8 become visible. */
static size_t paste_clean(char *out, struct span in)
{
    struct str rest = str_from((const char *)in.p, in.n);
    size_t used = 0, n;

    while (rest.n > 0) {
        int32_t point = text_next(rest, &n);
        if (rest.p[0] == '\r' && rest.n > 1 && rest.p[1] == '\n') {
            n = 1; /* the newline follows */
        } else if (rest.p[0] == '\r') {
            out[used++] = '\n';
        } else if (rest.p[0] == '\t') {
            memset(out + used, ' ', 4);
            used += 4;
        } else if (point < 0 || (point < 0x20 && point != '\n') ||
                   (point >= 0x7f && point < 0xa0)) {
            out[used++] = '?';
        } else {
            memcpy(out + used, rest.p, n);
            used += n;
        }
        rest = str_from(rest.p + n, rest.n - n);
    }
    out[used] = '\0';
    return used;
}

/* Does the draft's first word reach up to the cursor? What is pasted there becomes part of it. */
static bool in_first_word(void)
{
    for (int i = 0; i < rl_point; i++) {
        if (rl_line_buffer[i] == ' ' || rl_line_buffer[i] == '\n')
            return false;
    }
    return true;
}

static void paste_done(void)
{
    struct span in = buf_span(&line.paste);
    char why[120], *text;

    searching_ends();
    if (in.n > DRAFT_MAX || (size_t)rl_end + in.n > DRAFT_MAX) {
        snprintf(why, sizeof why, "%zu bytes pasted, a message holds %d: nothing was taken", in.n,
                 DRAFT_MAX);
        line.ops.refused(line.ops.ctx, why);
    } else if (in.n > 0 && (text = malloc(in.n * 4 + 1)) != NULL) {
        size_t n = paste_clean(text, in);
        line.pasted = line.pasted || in_first_word();
        if (n <= DRAFT_MAX)
            rl_insert_text(text);
        free(text);
    }
    buf_free(&line.paste);
    buf_init(&line.paste, PASTE_MAX);
    line.pasting = false;
}

/* One byte of a paste; its end may come in pieces. */
static void paste_byte(char c)
{
    static const char end[] = PASTE_END;
    const size_t n = sizeof end - 1;

    if (buf_add(&line.paste, &c, 1) < 0) {
        buf_drop(&line.paste, 1); /* more than anyone can send: only its end matters now */
        (void)!buf_add(&line.paste, &c, 1);
    }
    struct span all = buf_span(&line.paste);
    if (all.n >= n && memcmp(all.p + all.n - n, end, n) == 0) {
        buf_cut(&line.paste, all.n - n);
        paste_done();
    }
}

/* Without bracketed paste: two newlines within one read are no typing. */
static bool looks_pasted(const char *bytes, size_t n)
{
    unsigned newlines = 0;

    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\033')
            return false;
        newlines += bytes[i] == '\r' || bytes[i] == '\n';
    }
    return newlines >= 2 && n > newlines;
}

/* --- the filter --- */

/* Bytes of a character that begins so; 1 for what begins none. */
static size_t utf8_length(unsigned char first)
{
    return first < 0xc2 || first > 0xf4 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Is the sequence complete? ESC x; ESC O x; ESC [ ... final byte, and the console's ESC [ [ x. The
 * bytes of a character stay together: readline's searches read all of it at once. */
static bool complete_sequence(void)
{
    const char *s = line.seq;
    size_t n = line.seq_n;

    if (s[0] != '\033')
        return n >= utf8_length((unsigned char)s[0]) || ((unsigned char)s[n - 1] & 0x80) == 0;
    if (n < 2)
        return false;
    if (s[1] == 'O')
        return n == 3;
    if (s[1] != '[')
        return true;
    if (n == 3 && s[2] == '[')
        return false;
    return n == SEQ_MAX || (n > 2 && s[n - 1] >= '@' && s[n - 1] <= '~');
}

static void sequence_done(void)
{
    char seq[SEQ_MAX];
    size_t n = line.seq_n;
    enum screen_key key;

    memcpy(seq, line.seq, n);
    line.seq_n = 0;
    if (n == 6 && memcmp(seq, "\033[200~", 6) == 0)
        line.pasting = true;
    else if (ours(seq, n, &key))
        press(key, seq, n);
    else if (n == 6 && memcmp(seq, PASTE_END, 6) == 0)
        return; /* an end without a beginning */
    else
        edit(seq, n);
}

void line_feed(const char *bytes, size_t n)
{
    if (!line.pasting && line.seq_n == 0 && looks_pasted(bytes, n)) {
        if (buf_add(&line.paste, bytes, n) == 0)
            paste_done();
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (line.pasting) {
            paste_byte(bytes[i]);
            continue;
        }
        if (line.seq_n == 1 && bytes[i] == '\033')
            line_timeout(); /* Esc, and then something else */
        line.seq[line.seq_n++] = bytes[i];
        if (complete_sequence())
            sequence_done();
    }
}

bool line_pending(void)
{
    return line.seq_n > 0 && line.seq[0] == '\033'; /* half a character waits as long as it takes */
}

void line_timeout(void)
{
    char seq[SEQ_MAX];
    size_t n = line.seq_n;

    if (!line_pending())
        return;
    memcpy(seq, line.seq, n);
    line.seq_n = 0;
    if (RL_ISSTATE(RL_STATE_ISEARCH))
        searching_ends();
    else if (n == 1)
        press(KEY_ESC, "", 0);
    else
        edit(seq, n);
}
