#include "client/core/view_parts.h"
#include "client/core/wrap.h"

#include <stdio.h>
#include <string.h>

/* The fixed columns at a width. Only time, sender and mark stand left of text_at. */
struct columns {
    bool time_always; /* else only when the minute changes */
    bool own_row;     /* the sender stands above the text */
    bool counts;      /* the mark has room for "3/4" */
    unsigned sender_at, sender, mark_at, text_at, text;
};

static struct columns columns_of(const struct window *w, unsigned cols)
{
    struct columns c = {.sender_at = 6};

    c.own_row = cols < 30;
    c.time_always = cols >= 60;
    c.counts = cols >= 60 && w->kind != WINDOW_DIRECT && w->kind != WINDOW_STATUS &&
               w->kind != WINDOW_GUEST;
    c.sender = c.time_always ? 8 : 5;
    c.mark_at = c.sender_at + c.sender + 1;
    c.text_at = c.own_row ? 0 : c.mark_at + (c.counts ? 3 : 1) + 1;
    c.text = cols - c.text_at;
    return c;
}

static enum style nick_style(const struct message *msg)
{
    if (msg->own)
        return STYLE_STRONG;
    return STYLE_NICK + msg->fp.b[0] % NICKS;
}

static enum style mark_style(enum mark mark)
{
    switch (mark) {
    case MARK_NONE:
    case MARK_QUEUED:
    case MARK_RELAY: return STYLE_DIM;
    case MARK_DELIVERED: return STYLE_GOOD;
    case MARK_UNVERIFIED: return STYLE_WARN;
    case MARK_FAILED:
    case MARK_UNSIGNED:
    case MARK_REFUSED: return STYLE_BAD;
    }
    return STYLE_TEXT;
}

/* "+", or how many of the others have it where there is room to say so. */
static void mark_put(char out[8], const struct message *msg, bool counts)
{
    bool told = counts && msg->own && msg->members > 1 && msg->delivered > 0;

    if (told && msg->members < 10)
        snprintf(out, 8, "%u/%u", msg->delivered % 10, msg->members % 10);
    else if (told && msg->delivered < msg->members)
        snprintf(out, 8, "%u+", msg->delivered % 100);
    else
        snprintf(out, 8, "%c", mark_glyph(msg->mark));
}

static bool same_day(const struct stamp *a, const struct stamp *b)
{
    return a->day == b->day && a->mon == b->mon && a->year == b->year;
}

static bool same_minute(const struct stamp *a, const struct stamp *b)
{
    return same_day(a, b) && a->hour == b->hour && a->min == b->min;
}

/* A rule across the chat with a word in it. */
static void rule(struct area a, int row, bool centred, const char *text)
{
    unsigned width = (unsigned)strlen(text) + 2;
    unsigned col = centred && a.cols > width ? (a.cols - width) / 2 : 2;

    area_rule(a, row, '-', STYLE_DIM);
    area_print(a, row, col, STYLE_DIM, " %s ", text);
}

static unsigned rules_above(const struct window *w, size_t i, struct area a, int row)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    const struct message *msg = &w->messages[i];
    unsigned used = 0;
    char text[48];

    if (i == 0 || !same_day(&msg->when, &w->messages[i - 1].when)) {
        snprintf(text, sizeof text, "%s %d %s %d", days[(unsigned)msg->when.wday % 7],
                 msg->when.day, month_name(msg->when.mon), msg->when.year);
        rule(a, row, false, text);
        used++;
    }
    if (w->fresh != 0 && w->fresh == msg->serial) {
        rule(a, row + (int)used, true, "new");
        used++;
    }
    return used;
}

/* Time, sender, mark: what no peer writes. */
static void draw_fixed(struct area a, int row, const struct columns *c, const struct message *msg,
                       bool time)
{
    const char *sender = msg->system ? "--" : msg->sender;
    enum style s = msg->alarm ? STYLE_BAD : msg->system ? STYLE_DIM : nick_style(msg);
    unsigned width = wrap_width(str_of(sender));
    unsigned room = c->own_row ? (a.cols > 8 ? a.cols - 8 : 1) : c->sender;
    unsigned at = c->sender_at + (c->time_always && width < room ? room - width : 0);
    char mark[8];

    if (time)
        area_print(a, row, 0, STYLE_DIM, "%02d:%02d", msg->when.hour, msg->when.min);
    room -= at - c->sender_at;
    unsigned end = at + area_cutoff(area_cut(a, 0, at, a.rows, room), row, 0, s, str_of(sender));
    mark_put(mark, msg, c->counts);
    area_text(a, row, c->own_row ? end + 1 : c->mark_at, mark_style(msg->mark), str_of(mark));
}

static unsigned draw_text(struct area a, int row, const struct columns *c, enum style s,
                          const char *text)
{
    struct wrap w = wrap_of(str_of(text), c->text);
    struct str line;
    unsigned used = 0;

    for (; wrap_next(&w, &line); used++)
        area_text(a, row + (int)used, c->text_at, s, line);
    return used;
}

static unsigned draw_body(struct area a, int row, const struct columns *c,
                          const struct message *msg)
{
    char refused[400];

    if (msg->mark != MARK_REFUSED) {
        enum style s = msg->alarm ? STYLE_BAD : msg->system ? STYLE_DIM : STYLE_TEXT;
        return msg->text[0] != '\0' || msg->note == NULL ? draw_text(a, row, c, s, msg->text) : 0;
    }
    snprintf(refused, sizeof refused, "1 message refused: %s, /why %llu",
             msg->note != NULL ? msg->note : "not in order", (unsigned long long)msg->number);
    return draw_text(a, row, c, STYLE_BAD, refused);
}

/* What we say about a message stands in rows of ours: "--" in the column of senders. */
static unsigned draw_note(struct area a, int row, const struct columns *c,
                          const struct message *msg)
{
    bool failed = msg->mark == MARK_FAILED;

    if (msg->note == NULL || msg->mark == MARK_REFUSED)
        return 0;
    if (!c->own_row)
        area_text(a, row, c->sender_at + (c->time_always ? c->sender - 2 : 0), STYLE_DIM,
                  str_of("--"));
    char text[600];
    snprintf(text, sizeof text, "%s%s", c->own_row ? "-- " : "", msg->note);
    return draw_text(a, row, c, failed ? STYLE_BAD : STYLE_WARN, text);
}

/* Draws one message from `row` (which may be above the area) and gives the rows it needs. */
static unsigned draw_message(const struct window *w, size_t i, struct area a, int row)
{
    const struct message *msg = &w->messages[i];
    struct columns c = columns_of(w, a.cols);
    unsigned used = rules_above(w, i, a, row);
    bool time =
        c.time_always || i == 0 || used > 0 || !same_minute(&msg->when, &w->messages[i - 1].when);

    draw_fixed(a, row + (int)used, &c, msg, time);
    if (c.own_row)
        used++;
    used += draw_body(a, row + (int)used, &c, msg);
    used += draw_note(a, row + (int)used, &c, msg);
    return used;
}

static unsigned message_rows(const struct window *w, size_t i, struct area a)
{
    a.rows = 0;
    return draw_message(w, i, a, 0);
}

/* The lowest message shown, and how many of its rows are below the edge. */
static size_t anchor_of(const struct window *w, struct area a, unsigned *below)
{
    size_t i = w->messages_n;

    *below = 0;
    while (i > 0 && w->messages[i - 1].serial != w->anchor)
        i--;
    if (w->anchor == 0 || i == 0)
        return w->messages_n > 0 ? w->messages_n - 1 : 0;
    unsigned rows = message_rows(w, i - 1, a);
    *below = w->below < rows ? w->below : rows - 1;
    return i - 1;
}

/* What a room is, who can read and how to begin: where nobody has said anything. */
static void introduction(const struct model *m, const struct window *w, char *out, size_t cap)
{
    switch (w->kind) {
    case WINDOW_STATUS:
        snprintf(out, cap,
                 "/join ROOM enters a room, /list shows them, /msg NAME writes to one "
                 "person, /help has the rest.");
        break;
    case WINDOW_DIRECT:
        snprintf(out, cap,
                 "You and %s. What is said here is signed; %s and the relay can read "
                 "it. Type a text, then Enter.",
                 w->name, w->name);
        break;
    case WINDOW_GUEST:
        snprintf(out, cap,
                 "#%s, the guests of %s. " LINK_CLASSIC_MARK
                 "; nothing is signed or kept. Type a text, then Enter.",
                 w->name, m->relay);
        break;
    case WINDOW_PUBLIC:
    case WINDOW_PRIVATE:
        snprintf(out, cap,
                 "#%s, a %s room of %s%s%s. What is said here is signed; its members and "
                 "the relay can read it. Type a text, then Enter.",
                 w->name, w->kind == WINDOW_PRIVATE ? "private" : "public", m->relay,
                 w->topic[0] != '\0' ? ": " : "", w->topic);
        break;
    }
}

/* Above the lowest row that is free. */
static void introduce(const struct model *m, const struct window *w, struct area a, int row)
{
    char text[MODEL_TEXT_SHORT * 4 + sizeof w->topic];
    struct str line;

    introduction(m, w, text, sizeof text);
    row -= (int)wrap_rows(str_of(text), a.cols);
    if (row < 0 && w->messages_n > 0)
        return;
    struct wrap rows = wrap_of(str_of(text), a.cols);
    for (row = row < 0 ? 0 : row; wrap_next(&rows, &line); row++)
        area_text(a, row, 0, STYLE_DIM, line);
}

static bool silent(const struct window *w)
{
    for (size_t i = 0; i < w->messages_n; i++)
        if (!w->messages[i].system)
            return false;
    return true;
}

void view_chat(const struct model *m, struct area a)
{
    const struct window *w = &m->windows[m->current];
    unsigned below;
    size_t i = anchor_of(w, a, &below) + 1;
    int row = (int)(a.rows + below);

    for (i = w->messages_n > 0 ? i : 0; i-- > 0 && row > 0;) {
        row -= (int)message_rows(w, i, a);
        draw_message(w, i, a, row);
    }
    if (silent(w) && (w->kind != WINDOW_STATUS || m->windows_n == 1))
        introduce(m, w, a, row);
}

/* Rows between the top of the window's messages and the edge, counted until there are more than the
 * area shows. */
static unsigned rows_above(const struct window *w, size_t i, unsigned below, struct area a)
{
    unsigned rows = message_rows(w, i, a) - below;

    while (i-- > 0 && rows <= a.rows)
        rows += message_rows(w, i, a);
    return rows;
}

static bool scroll_up(const struct window *w, struct area a, size_t *i, unsigned *below, int by)
{
    for (; by > 0; by--) {
        if (rows_above(w, *i, *below, a) <= a.rows)
            return true;
        if (++*below == message_rows(w, *i, a)) {
            *below = 0;
            --*i;
        }
    }
    return rows_above(w, *i, *below, a) <= a.rows;
}

static void scroll_down(const struct window *w, struct area a, size_t *i, unsigned *below, int by)
{
    for (; by > 0; by--) {
        if (*below > 0) {
            --*below;
        } else if (*i + 1 < w->messages_n) {
            ++*i;
            *below = message_rows(w, *i, a) - 1;
        }
    }
}

bool view_chat_scroll(struct window *w, struct area a, int by)
{
    unsigned below;
    size_t i = anchor_of(w, a, &below);
    bool top = false;

    if (w->messages_n == 0)
        return by > 0;
    if (by > 0)
        top = scroll_up(w, a, &i, &below, by);
    else
        scroll_down(w, a, &i, &below, -by);
    bool bottom = i + 1 == w->messages_n && below == 0;
    w->anchor = bottom ? 0 : w->messages[i].serial;
    w->below = bottom ? 0 : below;
    return top;
}
