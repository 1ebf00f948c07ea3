#include "client/core/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/chat/name.h"
#include "common/util/text.h"

#define X(id, glyph, text) [id] = glyph,
static const char glyphs[] = {MARKS(X)};
#undef X

#define X(id, glyph, text) [id] = text,
static const char *const glyph_texts[] = {MARKS(X)};
#undef X

char mark_glyph(enum mark m)
{
    return glyphs[m];
}

const char *mark_text(enum mark m)
{
    return glyph_texts[m];
}

/* --- text on its way in --- */

void model_clean(char *out, size_t cap, const char *text)
{
    text_clean(out, cap, str_of(text), TEXT_ONE_LINE);
}

/* Memory for a text: a program that cannot have that has nothing to show either. */
static void *must(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

char *model_clean_text(struct str text)
{
    size_t cap = text.n * TEXT_CLEAN_GROWS + 1;
    char *out = must(malloc(cap));
    size_t n = text_clean(out, cap, text, TEXT_LINES);

    return must(realloc(out, n + 1));
}

/* Grows an array to hold one more; gives its new last element, zeroed. */
static void *grow(void **array, size_t *n, size_t *cap, size_t size)
{
    if (*n == *cap) {
        *cap = *cap > 0 ? *cap * 2 : 8;
        *array = must(realloc(*array, *cap * size));
    }
    void *last = (char *)*array + (*n)++ * size;
    memset(last, 0, size);
    return last;
}

/* --- life --- */

static void message_free(struct message *msg)
{
    free(msg->sender);
    free(msg->text);
    free(msg->note);
}

void model_window_clear(struct window *w)
{
    for (size_t i = 0; i < w->messages_n; i++)
        message_free(&w->messages[i]);
    w->messages_n = 0;
    w->anchor = w->fresh = 0;
    w->below = 0;
}

static void window_free(struct window *w)
{
    model_window_clear(w);
    free(w->messages);
    free(w->people);
    free(w->draft);
}

static struct window *window_new(struct model *m)
{
    void *windows = m->windows;
    struct window *w = grow(&windows, &m->windows_n, &m->windows_cap, sizeof *w);

    m->windows = windows;
    return w;
}

struct model *model_new(const struct model_conf *conf)
{
    struct model *m = calloc(1, sizeof *m);

    if (m == NULL)
        return NULL;
    m->conf = *conf;
    struct window *w = window_new(m);
    snprintf(w->name, sizeof w->name, "status");
    return m;
}

static void page_clear(struct page *p)
{
    for (size_t i = 0; i < p->lines_n; i++) {
        free(p->lines[i].left);
        free(p->lines[i].text);
    }
    free(p->lines);
    *p = (struct page){.lines = NULL};
}

static void transcript_clear(struct transcript *t)
{
    for (size_t i = 0; i < t->lines_n; i++)
        free(t->lines[i].text);
    free(t->lines);
    *t = (struct transcript){.lines = NULL};
}

void model_free(struct model *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->windows_n; i++)
        window_free(&m->windows[i]);
    free(m->windows);
    transcript_clear(&m->transcript);
    page_clear(&m->page);
    free(m->alarm);
    free(m->input.text);
    free(m);
}

void model_clock(struct model *m, int64_t now)
{
    m->now = now;
    m->conf.local(m->conf.ctx, now, &m->clock);
}

/* --- windows --- */

struct window *model_window(struct model *m, const struct room_id *id)
{
    for (size_t i = 1; i < m->windows_n; i++) {
        if (room_id_same(&m->windows[i].id, id))
            return &m->windows[i];
    }
    return NULL;
}

/* Do they fold to the same name? So that "ALICE" typed finds alice. */
bool model_name_is(const struct window *w, const char *name)
{
    char a[NAME_KEY_MAX], b[NAME_KEY_MAX];

    return name_canonical(a, str_of(w->name)) == 0 && name_canonical(b, str_of(name)) == 0 &&
           strcmp(a, b) == 0;
}

static bool starts(const struct window *w, struct str name)
{
    return strlen(w->name) >= name.n && memcmp(w->name, name.p, name.n) == 0;
}

struct window *model_window_named(struct model *m, struct str name)
{
    bool person = name.n > 0 && name.p[0] == '@', room = name.n > 0 && name.p[0] == '#';
    struct window *found = NULL;
    unsigned hits = 0;
    char plain[MODEL_TEXT_SHORT];

    if (person || room)
        name = str_from(name.p + 1, name.n - 1);
    if (name.n == 0 || str_copy(plain, sizeof plain, name) < 0)
        return NULL;
    for (size_t i = 0; i < m->windows_n; i++) {
        struct window *w = &m->windows[i];
        if ((person && w->kind != WINDOW_DIRECT) || (room && w->kind == WINDOW_DIRECT))
            continue;
        if (model_name_is(w, plain))
            return w;
        if (starts(w, name)) {
            found = w;
            hits++;
        }
    }
    return hits == 1 ? found : NULL;
}

/* Rooms before people, by name; the client's own window stays first. */
static bool window_before(const struct window *a, const struct window *b)
{
    bool person_a = a->kind == WINDOW_DIRECT, person_b = b->kind == WINDOW_DIRECT;

    return person_a != person_b ? person_b : strcmp(a->name, b->name) < 0;
}

struct window *model_window_add(struct model *m, const struct room_id *id, enum window_kind kind,
                                const char *name)
{
    struct window *w = window_new(m), *first = m->windows + 1;

    w->id = *id;
    w->kind = kind;
    model_clean(w->name, sizeof w->name, name);
    for (; !m->settled && w > first && window_before(w, w - 1); w--) {
        struct window copy = w[-1];
        w[-1] = *w;
        *w = copy;
    }
    return w;
}

void model_window_drop(struct model *m, const struct room_id *id)
{
    struct window *w = model_window(m, id);

    if (w == NULL)
        return;
    size_t at = (size_t)(w - m->windows);
    window_free(w);
    memmove(w, w + 1, (m->windows_n - at - 1) * sizeof *w);
    m->windows_n--;
    if (m->current > at || m->current == m->windows_n)
        m->current--;
    m->previous = 0;
}

struct window *model_current(struct model *m)
{
    return &m->windows[m->current];
}

void model_switch(struct model *m, size_t index)
{
    if (index >= m->windows_n)
        return;
    model_current(m)->fresh = 0;
    if (index != m->current)
        m->previous = m->current;
    m->current = index;
    struct window *w = model_current(m);
    if (w->unread > 0 && w->unread <= w->messages_n) {
        size_t left = w->unread, i = w->messages_n;
        while (i > 0 && left > 0)
            left -= !w->messages[--i].own && !w->messages[i].system;
        w->fresh = w->messages[i].serial;
    }
    w->unread = w->mentions = 0;
    m->view = VIEW_CHAT;
}

bool model_next_active(struct model *m, size_t *index)
{
    for (unsigned pass = 0; pass < 2; pass++) {
        for (size_t k = 1; k < m->windows_n; k++) {
            size_t i = (m->current + k) % m->windows_n;
            if (pass == 0 ? m->windows[i].mentions > 0 : m->windows[i].unread > 0) {
                *index = i;
                return true;
            }
        }
    }
    return false;
}

/* --- messages --- */

struct message *model_find(struct window *w, const struct hash *fp, uint64_t seq)
{
    for (size_t i = w->messages_n; i-- > 0;) {
        struct message *msg = &w->messages[i];
        if (seq > 0 && msg->mark != MARK_REFUSED && msg->seq == seq && hash_same(&msg->fp, fp))
            return msg;
    }
    return NULL;
}

/* Where a number belongs: behind everything lower, and behind our own lines that follow that. What
 * has no number yet stays at the end. */
static size_t place_of(const struct window *w, uint64_t number)
{
    size_t at = w->messages_n;

    if (number == 0)
        return at;
    while (at > 0 && (w->messages[at - 1].number == 0 || w->messages[at - 1].number > number))
        at--;
    while (at < w->messages_n && w->messages[at].system && w->messages[at].number == 0)
        at++;
    return at;
}

static struct message *message_insert(struct window *w, size_t at, const struct message *msg)
{
    void *messages = w->messages;

    grow(&messages, &w->messages_n, &w->messages_cap, sizeof *msg);
    w->messages = messages;
    memmove(&w->messages[at + 1], &w->messages[at], (w->messages_n - 1 - at) * sizeof *msg);
    w->messages[at] = *msg;
    return &w->messages[at];
}

/* The relay has given it a number: takes it to its place. */
static void message_number(struct window *w, struct message *msg, uint64_t number)
{
    struct message copy = *msg;
    size_t at = (size_t)(msg - w->messages);

    if (number == 0 || msg->number == number)
        return;
    memmove(msg, msg + 1, (w->messages_n - at - 1) * sizeof *msg);
    w->messages_n--;
    copy.number = number;
    message_insert(w, place_of(w, number), &copy);
}

static void message_change(struct model *m, struct window *w, struct message *msg,
                           const struct message_in *in)
{
    uint64_t seq = msg->seq;
    struct hash fp = msg->fp;

    message_number(w, msg, in->number);
    msg = model_find(w, &fp, seq);
    if (in->at != 0) {
        msg->at = in->at;
        m->conf.local(m->conf.ctx, in->at, &msg->when);
    }
    if (in->note != NULL || msg->mark == MARK_QUEUED) { /* why it waited is over */
        free(msg->note);
        msg->note = in->note == NULL ? NULL : model_clean_text(str_of(in->note));
    }
    msg->mark = in->mark;
    msg->delivered = in->delivered;
    msg->members = in->members;
}

/* Does the text say our name? A word of its own, in any case. */
static bool mentions(const struct model *m, const char *text)
{
    size_t n = strlen(m->account);
    const char *at = n > 0 ? strcasestr(text, m->account) : NULL;

    for (; at != NULL; at = strcasestr(at + 1, m->account)) {
        bool before = at > text && ((at[-1] | 32) >= 'a' && (at[-1] | 32) <= 'z');
        bool after = (at[n] | 32) >= 'a' && (at[n] | 32) <= 'z';
        if (!before && !after)
            return true;
    }
    return false;
}

static void count_unread(struct model *m, struct window *w, const struct message *msg)
{
    bool seen = w == model_current(m) && w->anchor == 0;

    if (msg->own || msg->system || seen)
        return;
    w->unread++;
    if (w->kind == WINDOW_DIRECT || mentions(m, msg->text))
        w->mentions++;
}

/* The oldest leave the screen when a window holds too many; the store keeps them. */
static void trim(struct window *w)
{
    if (w->messages_n <= WINDOW_MESSAGES_MAX || w->anchor != 0)
        return;
    size_t drop = w->messages_n - WINDOW_MESSAGES_MAX;
    for (size_t i = 0; i < drop; i++)
        message_free(&w->messages[i]);
    memmove(w->messages, w->messages + drop, WINDOW_MESSAGES_MAX * sizeof *w->messages);
    w->messages_n = WINDOW_MESSAGES_MAX;
}

void model_message(struct model *m, struct window *w, const struct message_in *in)
{
    struct message *old = in->seq > 0 ? model_find(w, &in->fp, in->seq) : NULL;
    struct message msg = {
        .serial = ++m->serial,
        .number = in->number,
        .seq = in->seq,
        .at = in->at,
        .mark = in->mark,
        .own = in->own,
        .system = in->system,
        .delivered = in->delivered,
        .members = in->members,
        .fp = in->fp,
    };
    char sender[MODEL_TEXT_SHORT];

    /* A refused entry may carry any author and seq: it never replaces one that was good. */
    if (old != NULL && in->mark != MARK_REFUSED) {
        message_change(m, w, old, in);
        return;
    }
    model_clean(sender, sizeof sender, in->sender);
    msg.sender = model_clean_text(str_of(sender));
    msg.text = model_clean_text(in->mark == MARK_REFUSED ? str_of("") : in->text);
    if (in->note != NULL)
        msg.note = model_clean_text(str_of(in->note));
    m->conf.local(m->conf.ctx, in->at, &msg.when);
    const struct message *put = message_insert(w, place_of(w, in->number), &msg);
    if (!in->older && !in->silent)
        count_unread(m, w, put);
    if (!in->older)
        trim(w);
}

static void say(struct model *m, struct window *w, bool alarm, const char *text)
{
    struct message msg = {
        .serial = ++m->serial, .at = m->now, .system = true, .alarm = alarm, .when = m->clock};

    msg.sender = model_clean_text(str_of(""));
    msg.text = model_clean_text(str_of(text));
    message_insert(w, w->messages_n, &msg);
    trim(w);
}

void model_say(struct model *m, struct window *w, const char *fmt, ...)
{
    char text[TEXT_MAX / 16];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    say(m, w != NULL ? w : model_current(m), false, text);
}

void model_alarm(struct model *m, struct window *w, const char *text)
{
    if (m->alarms++ == 0) {
        free(m->alarm);
        m->alarm = must(malloc(strlen(text) * TEXT_CLEAN_GROWS + 1));
        text_clean(m->alarm, strlen(text) * TEXT_CLEAN_GROWS + 1, str_of(text), TEXT_ONE_LINE);
    }
    say(m, w != NULL ? w : &m->windows[0], true, text);
    if (w != NULL && w != model_current(m))
        w->unread++;
}

void model_alarms_seen(struct model *m)
{
    free(m->alarm);
    m->alarm = NULL;
    m->alarms = 0;
}

void model_verified(struct model *m, const struct hash *fp)
{
    for (size_t i = 0; i < m->windows_n; i++) {
        struct window *w = &m->windows[i];
        for (size_t k = 0; k < w->messages_n; k++) {
            if (w->messages[k].mark == MARK_UNVERIFIED && hash_same(&w->messages[k].fp, fp))
                w->messages[k].mark = MARK_NONE;
        }
        if (w->kind == WINDOW_DIRECT && hash_same(&w->peer, fp) && !w->verified) {
            w->verified = true;
            w->verified_at = m->now;
        }
    }
}

/* --- handshakes --- */

struct attempt *model_try(struct model *m, unsigned number)
{
    if (m->tries_n == MODEL_TRIES) {
        memmove(m->tries, m->tries + 1, (MODEL_TRIES - 1) * sizeof m->tries[0]);
        m->tries_n--;
    }
    struct attempt *t = &m->tries[m->tries_n++];
    *t = (struct attempt){.number = number};
    m->shown_try = m->tries_n - 1;
    m->shown_step = 0;
    m->explain = false;
    return t;
}

struct attempt *model_last_try(struct model *m)
{
    return m->tries_n > 0 ? &m->tries[m->tries_n - 1] : NULL;
}

struct attempt *model_shown_try(struct model *m)
{
    return m->shown_try < m->tries_n ? &m->tries[m->shown_try] : NULL;
}

/* The row of that number, or a new one; NULL when the table is full. */
static struct step *step_row(struct attempt *t, unsigned number)
{
    for (unsigned i = 0; i < t->steps_n; i++) {
        if (t->steps[i].number == number)
            return &t->steps[i];
    }
    return t->steps_n < MODEL_STEPS ? &t->steps[t->steps_n++] : NULL;
}

void model_step(struct model *m, const struct link_step *s)
{
    struct attempt *t = model_last_try(m);
    struct step *row = t != NULL ? step_row(t, s->number) : NULL;

    if (row == NULL)
        return;
    *row = (struct step){
        .number = s->number,
        .out = s->out,
        .local = s->local,
        .waiting = s->waiting,
        .bytes = s->bytes,
        .at_us = s->at_us,
        .took_us = s->took_us,
    };
    model_clean(row->name, sizeof row->name, s->name);
    model_clean(row->wire, sizeof row->wire, s->wire != NULL ? s->wire : "");
    model_clean(row->proves, sizeof row->proves, s->proves != NULL ? s->proves : "");
    model_clean(row->detail, sizeof row->detail, s->detail);
    t->total = s->total + (m->guest ? 0 : 2); /* login and ready follow */
}

void model_step_above(struct model *m, const struct step *s)
{
    struct attempt *t = model_last_try(m);
    struct step *row = NULL;

    if (t == NULL)
        return;
    for (unsigned i = 0; i < t->steps_n; i++) {
        if (t->steps[i].above && strcmp(t->steps[i].name, s->name) == 0)
            row = &t->steps[i];
    }
    unsigned number = t->steps_n > 0 ? t->steps[t->steps_n - 1].number + 1 : 1;
    if (row != NULL)
        number = row->number;
    else if ((row = step_row(t, number)) == NULL)
        return;
    *row = *s;
    row->number = number;
    row->above = true;
    if (number > t->total)
        t->total = number;
}

void model_try_failed(struct model *m, const char *why, const char *next)
{
    struct attempt *t = model_last_try(m);

    if (t == NULL)
        return;
    model_clean(t->failure, sizeof t->failure, why);
    model_clean(t->next, sizeof t->next, next);
    if (t->steps_n > 0) {
        t->steps[t->steps_n - 1].failed = true;
        t->steps[t->steps_n - 1].waiting = false;
    }
}

/* --- transcript --- */

void model_transcript(struct model *m, const struct room_id *id, const char *room)
{
    transcript_clear(&m->transcript);
    m->transcript.id = *id;
    model_clean(m->transcript.room, sizeof m->transcript.room, room);
}

void model_transcript_line(struct model *m, const struct shown_line *line, struct str text)
{
    struct transcript *t = &m->transcript;

    if (t->lines_n == t->lines_cap) {
        t->lines_cap = t->lines_cap == 0 ? 64 : 2 * t->lines_cap;
        t->lines = must(realloc(t->lines, t->lines_cap * sizeof *t->lines));
    }
    struct shown_line *own = &t->lines[t->lines_n++];
    *own = *line;
    own->text = model_clean_text(text);
    m->conf.local(m->conf.ctx, own->time, &own->when);
}

/* --- pages --- */

void model_page(struct model *m, const char *title)
{
    page_clear(&m->page);
    model_clean(m->page.title, sizeof m->page.title, title);
    m->view = VIEW_PAGE;
}

static struct page_line *page_add(struct page *p)
{
    p->lines = must(realloc(p->lines, (p->lines_n + 1) * sizeof *p->lines));
    struct page_line *line = &p->lines[p->lines_n++];
    *line = (struct page_line){.left = NULL};
    return line;
}

void model_page_pair(struct model *m, const char *left, const char *text)
{
    struct page_line *line = page_add(&m->page);

    line->left = model_clean_text(str_of(left));
    line->text = model_clean_text(str_of(text));
}

void model_page_line(struct model *m, bool strong, const char *fmt, ...)
{
    char text[2 * TEXT_CLEAN_GROWS * MODEL_TEXT_SHORT];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct page_line *line = page_add(&m->page);
    line->text = model_clean_text(str_of(text));
    line->strong = strong;
}
