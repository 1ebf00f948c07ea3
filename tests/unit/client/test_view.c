/* Screens as text: golden ones, every size, and what must hold whatever is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/core/view.h"
#include "client/core/view_parts.h"
#include "client/core/wrap.h"
#include "tests/unit/client/support_screen.h"

enum { ROWS_MAX = 45, COLS_MAX = 130, LINE = COLS_MAX * CELL_BYTES };

typedef struct model *maker(void);

static struct grid *drawn(const struct model *m, unsigned rows, unsigned cols)
{
    struct grid *g = grid_new(rows, cols);

    assert_non_null(g);
    view_render(m, g);
    return g;
}

static bool shows(const struct grid *g, const char *text)
{
    char line[LINE];

    for (unsigned row = 0; row < g->rows; row++) {
        grid_row(g, row, line, sizeof line);
        if (strstr(line, text) != NULL)
            return true;
    }
    return false;
}

/* --- golden screens: tests/unit/client/golden/NAME-ROWSxCOLS --- */

static const struct {
    const char *name;
    maker *make;
    const char *draft;
} screens[] = {
    {"chat", demo_chat, "thanks, I'll verify it offline on the other laptop"},
    {"handshake", demo_handshake, ""},
    {"inspect", demo_inspector, ""},
    {"transcript", demo_transcript, ""},
};

static const unsigned sizes[][2] = {{24, 80}, {40, 120}, {10, 40}, {5, 20}, {20, 26}, {1, 1}};

static void golden_one(const struct grid *g, const char *name)
{
    char path[200], want[LINE], got[LINE];

    snprintf(path, sizeof path, "tests/unit/client/golden/%s-%ux%u", name, g->rows, g->cols);
    bool write = getenv("GOLDEN") != NULL;
    FILE *f = fopen(path, write ? "w" : "r");
    if (f == NULL)
        print_error("%s is missing: run once with GOLDEN=1 and look at it\n", path);
    assert_non_null(f);
    for (unsigned row = 0; row < g->rows; row++) {
        grid_row(g, row, got, sizeof got);
        if (write) {
            fprintf(f, "%s\n", got);
            continue;
        }
        assert_non_null(fgets(want, sizeof want, f));
        want[strcspn(want, "\n")] = '\0';
        if (strcmp(got, want) != 0)
            print_error("%s row %u\n", path, row);
        assert_string_equal(got, want);
    }
    fclose(f);
}

static void test_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(screens); i++) {
        struct model *m = screens[i].make();
        demo_draft(m, screens[i].draft);
        for (size_t k = 0; k < COUNT(sizes); k++) {
            struct grid *g = drawn(m, sizes[k][0], sizes[k][1]);
            golden_one(g, screens[i].name);
            grid_free(g);
        }
        model_free(m);
    }
}

/* Nobody is told VALID of what the judge refused or never saw, at any size that has a title. */
static void test_transcript_not_valid(void **state)
{
    static const struct {
        bool judged;
        const char *word, *why;
    } rows[] = {{true, "INVALID", "the root is another"}, {false, "NOT CHECKED", "not signed yet"}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct model *m = demo_transcript();
        m->transcript.valid = false;
        m->transcript.judged = rows[i].judged;
        snprintf(m->transcript.problem, sizeof m->transcript.problem, "%s", rows[i].why);
        for (size_t k = 0; k < 3; k++) {
            struct grid *g = drawn(m, sizes[k][0], sizes[k][1]);
            assert_true(shows(g, rows[i].word) && shows(g, rows[i].why));
            assert_false(shows(g, " VALID") || shows(g, "proves") || shows(g, "export"));
            grid_free(g);
        }
        model_free(m);
    }
}

/* The word VALID covers what the relay has signed, and says where that ends; a wide name moves no
 * column. */
static void test_transcript_newer(void **state)
{
    struct model *m = demo_transcript();
    struct transcript *t = &m->transcript;
    char row[LINE];

    (void)state;
    t->last = 5;
    t->withheld = 0;
    t->chosen = 0;
    snprintf(t->lines[5].from, sizeof t->lines[5].from,
             "\u8ca0\u8cac\u7f72\u540d\u8005\u5168\u54e1");
    struct grid *g = drawn(m, 24, 80);
    assert_true(shows(g, "1 to 5  VALID") && shows(g, "newer ones are not signed"));
    assert_true(shows(g, "ok   new  the first item") && shows(g, "ok   ok   here"));
    grid_row(g, 7, row, sizeof row);
    assert_non_null(strstr(row, "\u8ca0\u8cac\u7f72\u540d >"));
    grid_free(g);
    view_bottom(m);
    assert_int_equal(t->chosen, 5);
    view_top(m);
    assert_int_equal(t->chosen, 0);
    model_free(m);
}

/* --- every size --- */

static void check_cells(const struct grid *g)
{
    assert_true(g->cursor_row < g->rows && g->cursor_col < g->cols);
    for (unsigned row = 0; row < g->rows; row++) {
        for (unsigned col = 0; col < g->cols; col++) {
            const struct cell *c = grid_cell(g, row, col);
            assert_true(c->style < STYLE_COUNT && c->width <= 2);
            if (c->width == 2)
                assert_true(col + 1 < g->cols && grid_cell(g, row, col + 1)->width == 0);
            if (c->width == 0)
                assert_true(col > 0 && grid_cell(g, row, col - 1)->width == 2);
            for (const char *p = c->text; *p != '\0'; p++)
                assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
        }
    }
}

static void each_size(maker *make, void (*check)(const struct model *m, const struct grid *g))
{
    struct model *m = make();

    for (unsigned rows = 1; rows <= ROWS_MAX; rows++) {
        for (unsigned cols = 1; cols <= COLS_MAX; cols++) {
            struct grid *g = drawn(m, rows, cols);
            check_cells(g);
            if (check != NULL)
                check(m, g);
            grid_free(g);
        }
    }
    model_free(m);
}

/* The newest line is there wherever a row for it exists; with it what state it has. */
static void newest_visible(const struct model *m, const struct grid *g)
{
    (void)m;
    if (g->rows >= 2 && g->cols >= 10)
        assert_true(shows(g, "tonight"));
    if (g->rows >= 4 && g->cols >= 30)
        assert_true(shows(g, "."));
}

/* No group of four digits is cut: what looks like one is one of the fingerprint. */
static void groups_whole(const struct model *m, const struct grid *g)
{
    const struct hash *fp = &m->inspect.devices[0].fp;
    char whole[80], line[LINE], copy[LINE];

    if (g->rows < 16 || g->cols < 26)
        return;
    fingerprint_short(fp, 16, whole);
    assert_true(shows(g, (snprintf(copy, sizeof copy, "%.9s", whole), copy)));
    for (unsigned row = 1; row < g->rows; row++) {
        grid_row(g, row, line, sizeof line);
        line[g->cols > 100 ? 80 : g->cols >= 72 ? g->cols - ART_COLS - 2 : g->cols] = '\0';
        if (strlen(line) < 12 || strspn(line, " 0123456789ABCDEF") < strlen(line))
            continue;
        for (char *rest = line, *word; (word = strtok_r(rest, " ", &rest)) != NULL;)
            assert_true(strlen(word) == 4 && strstr(whole, word) != NULL);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    each_size(demo_empty, NULL);
    each_size(demo_chat, newest_visible);
    each_size(demo_handshake, NULL);
    each_size(demo_inspector, groups_whole);
}

/* A draft of many rows never hides the newest line, and the cursor stays in sight. */
static struct model *long_draft(void)
{
    struct model *m = demo_chat();

    demo_draft(m, "one\ntwo\nthree\nfour\nfive\nsix\nseven words that wrap at the edge of a row\n"
                  "\u65e5\u672c\u8a9e e\u0301 \t end");
    return m;
}

static void newest_and_draft(const struct model *m, const struct grid *g)
{
    newest_visible(m, g);
    if (g->rows >= 8 && g->cols >= 20)
        assert_true(shows(g, "end"));
}

static void test_draft(void **state)
{
    (void)state;
    each_size(long_draft, newest_and_draft);
}

/* The status window says nothing of trust; a room's title says who reads. */
static void test_title(void **state)
{
    struct model *m = demo_chat();
    struct grid *g;

    (void)state;
    for (unsigned cols = 80; cols < COLS_MAX; cols++) {
        g = drawn(m, 24, cols);
        assert_true(shows(g, cols <= 100   ? "signed, provable; relay can read"
                             : cols >= 110 ? "signed and provable, the relay can read this"
                                           : "provable"));
        assert_true(shows(g, "VERIFIED 20 Nov"));
        assert_false(shows(g, "UNVERIFIED"));
        grid_free(g);
    }
    /* however long the name and however many the people: the claim stays whole */
    model_clean(m->windows[2].name, sizeof m->windows[2].name,
                "a-very-long-name-of-more-than-forty-letters-in-one-word");
    for (enum window_kind k = WINDOW_PUBLIC; k <= WINDOW_DIRECT; k++) {
        m->windows[2].kind = k;
        for (unsigned cols = 30; cols < COLS_MAX; cols++) {
            g = drawn(m, 24, cols);
            assert_true(cols > 50 || shows(g, "relay can read"));
            assert_true(cols < 50 || shows(g, "signed, provable; relay can read") ||
                        (cols > 100 && shows(g, "signed and provable, the relay can read this")));
            grid_free(g);
        }
    }
    model_clean(m->windows[2].name, sizeof m->windows[2].name, "bob");
    m->windows[2].verified = false;
    g = drawn(m, 24, 80);
    assert_true(shows(g, "[2:bob] UNVERIFIED"));
    grid_free(g);
    model_free(m);
}

/* --- state is a character --- */

static void mark_shown(enum mark mark, const char *want)
{
    struct model *m = demo_empty();
    struct room_id id = {{7}};
    struct window *w = model_window_add(m, &id, WINDOW_DIRECT, "bob");
    const struct message_in in = {.number = 4,
                                  .seq = 1,
                                  .at = DEMO_NOW,
                                  .mark = mark,
                                  .sender = "bob",
                                  .text = str_of("text"),
                                  .note = "reason"};

    model_switch(m, 1);
    model_message(m, w, &in);
    struct grid *g = drawn(m, 24, 80);
    if (!shows(g, want))
        print_error("no '%s'\n", want);
    assert_true(shows(g, want));
    assert_int_equal(shows(g, "text"), mark != MARK_REFUSED || strstr(want, "text") != NULL);
    grid_free(g);
    model_free(m);
}

static void test_marks(void **state)
{
    (void)state;
    mark_shown(MARK_NONE, "14:33      bob   text");
    mark_shown(MARK_QUEUED, "14:33      bob . text");
    mark_shown(MARK_RELAY, "14:33      bob > text");
    mark_shown(MARK_DELIVERED, "14:33      bob + text");
    mark_shown(MARK_FAILED, "14:33      bob ! text");
    mark_shown(MARK_FAILED, "            --   reason");
    mark_shown(MARK_UNVERIFIED, "14:33      bob ? text");
    mark_shown(MARK_UNSIGNED, "14:33      bob ~ text");
    mark_shown(MARK_REFUSED, "14:33      bob X 1 message refused: reason, /why 4");
}

static void test_delivered_count(void **state)
{
    struct model *m = demo_empty();
    struct room_id id = {{7}};
    struct window *w = model_window_add(m, &id, WINDOW_PUBLIC, "ops");
    const struct message_in in = {.number = 4,
                                  .seq = 1,
                                  .at = DEMO_NOW,
                                  .mark = MARK_DELIVERED,
                                  .own = true,
                                  .delivered = 3,
                                  .members = 4,
                                  .sender = "alice",
                                  .text = str_of("text")};

    (void)state;
    model_switch(m, 1);
    model_message(m, w, &in);
    struct grid *g = drawn(m, 24, 80);
    assert_true(shows(g, "14:33    alice 3/4 text"));
    grid_free(g);
    model_free(m);
}

/* --- hostile text --- */

static const struct {
    const char *text;
    const char *shown;
} hostile[] = {
    {"\033[2J\033[31mred", "^[[2J^[[31mred"},
    {"\033]0;title\007", "^[]0;title^G"},
    {"\033]52;c;aGk=\033\\", "^[]52;c;aGk=^[\\"},
    {"\033P+q544e\033\\", "^[P+q544e^[\\"},
    {"a\rb", "a^Mb"},
    {"a\bb", "a^Hb"},
    {"del\177", "del^?"},
    {"\302\2332J", "<9B>2J"},
    {"\xff\xfe", "<FF><FE>"},
    {"\u202eevil", "<U+202E>evil"},
    {"zero\u200bwidth", "zero<U+200B>width"},
    {"\u2066iso\u2069", "<U+2066>iso<U+2069>"},
    {"\ufeffbom", "<U+FEFF>bom"},
};

/* In the text, the name, the note, the room's name, the topic: visible and inert. */
static void hostile_everywhere(const char *text)
{
    struct model *m = demo_empty();
    struct room_id id = {{7}};
    struct window *w = model_window_add(m, &id, WINDOW_PUBLIC, text);
    const struct message_in in = {.number = 1,
                                  .seq = 1,
                                  .at = DEMO_NOW,
                                  .mark = MARK_UNVERIFIED,
                                  .sender = text,
                                  .text = str_of(text),
                                  .note = text};

    model_switch(m, 1);
    model_message(m, w, &in);
    model_say(m, w, "%s", text);
    model_alarm(m, w, text);
    model_page(m, text);
    model_page_line(m, false, "%s", text);
    for (unsigned view = VIEW_CHAT; view <= VIEW_PAGE; view++) {
        m->view = view;
        struct grid *g = drawn(m, 24, 110);
        check_cells(g);
        grid_free(g);
    }
    model_free(m);
}

static void test_hostile(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(hostile); i++) {
        char *clean = model_clean_text(str_of(hostile[i].text));
        if (strcmp(clean, hostile[i].shown) != 0)
            print_error("'%s' instead of '%s'\n", clean, hostile[i].shown);
        assert_string_equal(clean, hostile[i].shown);
        free(clean);
        char name[MODEL_TEXT_SHORT];
        model_clean(name, sizeof name, hostile[i].text);
        assert_string_equal(name, hostile[i].shown);
        hostile_everywhere(hostile[i].text);
    }
}

/* All 256 bytes, one by one, into a cell that nobody cleaned: the last line of defence. */
static void test_cells_inert(void **state)
{
    (void)state;
    for (unsigned b = 0; b < 256; b++) {
        struct grid *g = grid_new(2, 10);
        const char text[] = {(char)b, 'x'};
        area_text(area_whole(g), 0, 0, STYLE_TEXT, str_from(text, 2));
        const char *cell = grid_cell(g, 0, 0)->text;
        bool plain = b >= 0x20 && b < 0x7f;
        assert_int_equal(cell[0], plain ? (char)b : '?');
        assert_int_equal(cell[1], '\0');
        assert_string_equal(grid_cell(g, 1, 0)->text, " ");
        grid_free(g);
    }
}

/* Nobody can write a line that looks like ours: "--" never stands in the column of senders for a
 * person, and his text never reaches the fixed columns. */
static void test_fake_system_line(void **state)
{
    struct model *m = demo_empty();
    struct room_id id = {{7}};
    struct window *w = model_window_add(m, &id, WINDOW_DIRECT, "bob");
    const struct message_in in = {
        .number = 1,
        .seq = 1,
        .at = DEMO_NOW,
        .mark = MARK_UNVERIFIED,
        .sender = "bob",
        .text = str_of("x\n14:33       --   connected\n14:33    alice + I agree")};
    char line[LINE];

    (void)state;
    model_switch(m, 1);
    model_message(m, w, &in);
    for (unsigned cols = 30; cols < COLS_MAX; cols++) {
        struct grid *g = drawn(m, 24, cols);
        for (unsigned row = 1; row < 20; row++) {
            grid_row(g, row, line, sizeof line);
            const char *at = cols >= VIEW_LIST_FROM ? line + VIEW_LIST_COLS + 1 : line;
            if (strlen(line) > VIEW_LIST_COLS + 10 && strstr(at, "connected") != NULL)
                assert_memory_equal(at, "              ", 14);
        }
        grid_free(g);
    }
    model_free(m);
}

/* The style of the first cell that this stands from, of all below the title. */
static enum style style_of(const struct grid *g, const char *text)
{
    for (unsigned row = 1; row + 1 < g->rows; row++) {
        for (unsigned col = 0; col < g->cols; col++) {
            size_t n = 0;
            while (text[n] != '\0' && col + n < g->cols &&
                   grid_cell(g, row, col + (unsigned)n)->text[0] == text[n])
                n++;
            if (text[n] == '\0')
                return (enum style)grid_cell(g, row, col)->style;
        }
    }
    fail_msg("'%s' is not shown", text);
    return STYLE_COUNT;
}

/* Nor in the colours of one: who speaks and what he says have their own, whatever it is. */
static void test_styles_tell_who_speaks(void **state)
{
    struct model *m = demo_empty();
    struct room_id id = {{7}};
    struct window *w = model_window_add(m, &id, WINDOW_DIRECT, "bob");
    struct message_in in = {.number = 1, .seq = 1, .at = DEMO_NOW, .sender = "zoe"};

    (void)state;
    model_switch(m, 1);
    in.text = str_of("hers");
    model_message(m, w, &in);
    in = (struct message_in){2, 2, .at = DEMO_NOW, .own = true, .sender = "alice"};
    in.text = str_of("mine");
    model_message(m, w, &in);
    model_say(m, w, "connected");
    model_alarm(m, w, "is not so");
    struct grid *g = drawn(m, 24, 80);
    assert_in_range(style_of(g, "zoe"), STYLE_NICK, STYLE_NICK + NICKS - 1);
    assert_int_equal(style_of(g, "hers"), STYLE_TEXT);
    assert_int_equal(style_of(g, "alice"), STYLE_STRONG);
    assert_int_equal(style_of(g, "mine"), STYLE_TEXT);
    assert_int_equal(style_of(g, "--"), STYLE_DIM);
    assert_int_equal(style_of(g, "connected"), STYLE_DIM);
    assert_int_equal(style_of(g, "is not so"), STYLE_BAD);
    grid_free(g);
    model_free(m);
}

/* --- scrolling --- */

static void test_scroll(void **state)
{
    struct model *m = demo_chat();
    struct grid *before = drawn(m, 14, 80), *after;
    unsigned pages = 0;

    (void)state;
    assert_true(shows(before, "tonight"));
    while (!view_scroll(m, 14, 80, (int)view_page(m, 14, 80)))
        assert_true(++pages < 20);
    after = drawn(m, 14, 80);
    assert_true(shows(after, "closing for today"));
    assert_false(shows(after, "tonight"));
    grid_free(after);
    for (pages = 0; model_current(m)->anchor != 0; pages++) {
        view_scroll(m, 14, 80, -3);
        assert_true(pages < 30);
    }
    after = drawn(m, 14, 80);
    for (unsigned row = 0; row < 14; row++) {
        for (unsigned col = 0; col < 80; col++)
            assert_true(cell_same(grid_cell(before, row, col), grid_cell(after, row, col)));
    }
    grid_free(before);
    grid_free(after);
    model_free(m);
}

/* What comes while one reads above does not move what one reads. */
static void test_scrolled_stays(void **state)
{
    struct model *m = demo_chat();
    struct window *w = model_current(m);
    struct message_in in = {.number = 900,
                            .seq = 900,
                            .at = DEMO_NOW,
                            .sender = "bob",
                            .mark = MARK_NONE,
                            .text = str_of("news")};
    char a[LINE], b[LINE];

    (void)state;
    view_scroll(m, 14, 80, 4);
    struct grid *before = drawn(m, 14, 80);
    model_message(m, w, &in);
    in.number = 1;
    in.seq = 901;
    in.older = true;
    in.at = DEMO_NOW - INT64_C(90000000);
    model_message(m, w, &in);
    struct grid *after = drawn(m, 14, 80);
    for (unsigned row = 1; row < 11; row++) {
        grid_row(before, row, a, sizeof a);
        grid_row(after, row, b, sizeof b);
        assert_string_equal(a, b);
    }
    assert_int_equal(w->unread, 1);
    grid_free(before);
    grid_free(after);
    model_free(m);
}

/* --- the model --- */

static void test_order(void **state)
{
    static const uint64_t numbers[] = {5, 3, 9, 4, 1, 8};
    struct model *m = demo_empty();
    struct room_id id = {{7}};
    struct window *w = model_window_add(m, &id, WINDOW_DIRECT, "bob");
    struct message_in in = {.at = DEMO_NOW, .sender = "bob", .text = str_of("x")};

    (void)state;
    in.seq = 100;
    in.mark = MARK_QUEUED;
    model_message(m, w, &in);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        in.number = in.seq = numbers[i];
        model_message(m, w, &in);
        model_message(m, w, &in); /* the same again changes, never doubles */
    }
    assert_int_equal(w->messages_n, COUNT(numbers) + 1);
    for (size_t i = 1; i + 1 < w->messages_n; i++)
        assert_true(w->messages[i - 1].number < w->messages[i].number);
    assert_int_equal(w->messages[w->messages_n - 1].seq, 100);
    in.seq = 100;
    in.number = 6; /* numbered now: it takes its place */
    in.mark = MARK_RELAY;
    model_message(m, w, &in);
    assert_int_equal(w->messages_n, COUNT(numbers) + 1);
    assert_int_equal(w->messages[4].seq, 100);
    assert_int_equal(w->messages[4].mark, MARK_RELAY);
    model_free(m);
}

/* A forged entry with the identity of a good one stands beside it and changes nothing. */
static void test_refused_never_replaces(void **state)
{
    struct model *m = demo_empty();
    struct room_id id = {{7}};
    struct window *w = model_window_add(m, &id, WINDOW_DIRECT, "bob");
    struct message_in in = {.number = 1,
                            .seq = 1,
                            .at = DEMO_NOW,
                            .sender = "bob",
                            .mark = MARK_NONE,
                            .text = str_of("the truth")};

    (void)state;
    model_message(m, w, &in);
    in.number = 2;
    in.mark = MARK_REFUSED;
    in.text = str_of("a lie");
    in.note = "bad signature";
    model_message(m, w, &in);
    assert_int_equal(w->messages_n, 2);
    assert_string_equal(w->messages[0].text, "the truth");
    assert_int_equal(w->messages[0].mark, MARK_NONE);
    assert_string_equal(w->messages[1].text, "");
    /* the other way round: a lie that comes first does not withhold the truth */
    in.seq = 2;
    in.number = 3;
    model_message(m, w, &in);
    in.number = 4;
    in.mark = MARK_NONE;
    in.text = str_of("more truth");
    in.note = NULL;
    model_message(m, w, &in);
    assert_int_equal(w->messages_n, 4);
    assert_string_equal(w->messages[3].text, "more truth");
    model_free(m);
}

static void test_unread(void **state)
{
    struct model *m = demo_chat();
    size_t index;

    (void)state;
    assert_int_equal(m->windows[1].unread, 2);
    assert_int_equal(m->windows[1].mentions, 1);
    assert_true(model_next_active(m, &index));
    assert_int_equal(index, 3);
    model_switch(m, index);
    assert_int_equal(m->windows[3].unread, 0);
    assert_true(model_next_active(m, &index));
    assert_int_equal(index, 1);
    model_switch(m, index);
    assert_false(model_next_active(m, &index));
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_transcript_not_valid),
        cmocka_unit_test(test_transcript_newer),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_draft),
        cmocka_unit_test(test_title),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_delivered_count),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_cells_inert),
        cmocka_unit_test(test_fake_system_line),
        cmocka_unit_test(test_styles_tell_who_speaks),
        cmocka_unit_test(test_scroll),
        cmocka_unit_test(test_scrolled_stays),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_refused_never_replaces),
        cmocka_unit_test(test_unread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
