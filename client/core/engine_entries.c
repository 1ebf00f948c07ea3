#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"

/* Heads of a page that is not on our disk yet: head[i] is that of number first - 1 + i. */
struct heads {
    uint64_t first;
    const struct hash *head;
    size_t n;
};

void batch_free(struct batch *b)
{
    if (b->kind != BATCH_OWN)
        frame_free(&b->frame);
    free(b->data);
    free(b);
}

int batch_add(struct engine *g, struct room *r, struct batch *b)
{
    STAILQ_INSERT_TAIL(&r->batches, b, link);
    r->batches_n++;
    return room_settle(g, r);
}

static const struct f_entry *batch_entries(const struct batch *b, size_t *n)
{
    *n = 1;
    if (b->kind == BATCH_OWN)
        return &b->own;
    if (b->kind == BATCH_PUSH)
        return &b->frame.u.entry;
    if (b->kind == BATCH_ROLL) {
        *n = b->frame.u.roll.entries_n;
        return b->frame.u.roll.entries;
    }
    *n = b->frame.u.history.entries_n;
    return b->frame.u.history.entries;
}

void room_break(struct engine *g, struct room *r, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!r->pub.broken)
        event_text(g, ENGINE_ALARM, r, "%s: %s; nothing new is shown there: ask who runs the relay",
                   r->pub.name, text);
    r->pub.broken = true;
}

int head_at(struct engine *g, const struct room *r, uint64_t number, struct hash *out,
            struct err *e)
{
    const struct keep_room *k = &r->kept;
    struct keep_entry t = {.number = 0};
    int found = 1;

    memset(out, 0, sizeof *out);
    if (number == 0)
        return 1;
    if (!k->based || number + 1 < k->first || number > k->number)
        return 0;
    if (number + 1 == k->first)
        t.head = k->base;
    else if (number == k->number)
        t.head = k->head;
    else
        found = g->conf.keep.ops->entry_get(g->conf.keep.k, &r->pub.id, number, &t, e);
    if (found == 1)
        *out = t.head;
    return found;
}

/* --- the checks of a recipient, docs/protocol.md 6 --- */

static const struct hash *seen_head(struct engine *g, const struct room *r, uint64_t number,
                                    const struct heads *page, struct hash *box)
{
    struct err e = {0};

    if (page != NULL && number + 1 >= page->first && number + 1 - page->first < page->n)
        return &page->head[number + 1 - page->first];
    return store_found(g, head_at(g, r, number, box, &e), &e) ? box : NULL;
}

/* Who signed it: certificate, chain at the relay's time, signature, room. */
static int check_author(struct engine *g, const struct room *r, struct verdict *v)
{
    struct err *e = &v->why;

    if (entry_line_take(&v->line, v->t->line, e) < 0)
        return err_in(e, "not an entry");
    v->parsed = true;
    v->by = author_get(g, &v->line.author);
    if (v->by == NULL || v->by->state != AUTHOR_HERE)
        return err_set(e, ERR_PEER, "the certificate of its author: %s",
                       v->by != NULL && v->by->why.code != ERR_NONE ? v->by->why.text
                                                                    : "not to be had");
    if (entry_sig_check(v->by->cert, &v->line, v->t->line, v->t->sig, e) < 0)
        return -1;
    if (author_check(g, v->by, v->t->time, e) < 0)
        return err_in(e, "the certificate of its author");
    if (!room_id_same(&v->line.room, &r->pub.id))
        return err_set(e, ERR_PEER, "it was written for another room");
    v->proven = true;
    return 0;
}

static int check_body(struct verdict *v)
{
    struct span content;

    if (v->line.epoch != 0)
        return err_set(&v->why, ERR_PEER, "it is encrypted in a way that needs a newer client");
    if (v->t->why.n > 0)
        return 0; /* the relay's policy dropped it; the line stands */
    if (entry_body_open(&v->line, v->t->body, &content, &v->why) < 0 ||
        content_take(&v->what, content, &v->why) < 0)
        return -1;
    return 0;
}

int verdict_signed(struct engine *g, const struct room *r, struct verdict *v)
{
    v->what.kind = CONTENT_UNKNOWN;
    return check_author(g, r, v) < 0 || check_body(v) < 0 ? -1 : 0;
}

void verdict_done(struct verdict *v)
{
    content_free(&v->what);
}

/* A certificate's first line follows a line of its account or none (protocol.md 6). Gives false
 * when what it names is not ours to read. */
static bool former_line(struct engine *g, const struct room *r, const struct verdict *v,
                        struct hash *out)
{
    static const struct hash none;
    uint64_t below = v->number;
    struct keep_entry t;
    struct err e = {0};

    *out = none;
    if (hash_same(&v->line.prev, &none))
        return true;
    for (unsigned i = 0; i < FORMERS_MAX; i++, below = t.number) {
        if (!store_found(g,
                         g->conf.keep.ops->entry_former(g->conf.keep.k, &r->pub.id,
                                                        str_of(v->by->account), &v->line.author,
                                                        below, &t, &e),
                         &e))
            break;
        if (hash_same(&t.line_hash, &v->line.prev)) {
            *out = t.line_hash;
            return true;
        }
    }
    return r->kept.first == 1; /* all of the room is here: there is no such line */
}

/* Going forward: the next of its author, by his own count. */
static int check_order(struct engine *g, const struct room *r, struct verdict *v)
{
    struct entry_chain chain = {0};
    struct keep_entry last;
    struct err *e = &v->why, lost = {0};

    bool found = store_found(
        g, g->conf.keep.ops->entry_last(g->conf.keep.k, &r->pub.id, &v->line.author, &last, &lost),
        &lost);
    if (found && last.number < r->kept.first && v->line.seq > last.seq + 1)
        return 0; /* we were away in between */
    if (found) {
        chain = (struct entry_chain){last.seq, last.line_hash};
    } else if (!former_line(g, r, v, &chain.line) || (v->line.seq > 1 && r->kept.first > 1)) {
        return 0; /* what he wrote before is not ours to read */
    }
    switch (entry_order(&chain, &v->line, &v->line_hash, e)) {
    case ENTRY_NEXT: return 0;
    case ENTRY_WRONG: return err_in(e, "a message of its author is missing or was changed");
    case ENTRY_SAME:
    case ENTRY_OLDER: break;
    }
    return err_set(e, ERR_PEER, "shown before, or out of order: his message %llu after %llu",
                   (unsigned long long)v->line.seq, (unsigned long long)chain.seq);
}

/* Going back: the one before the first of its author that we have. */
static int check_order_back(struct engine *g, const struct room *r, struct verdict *v,
                            uint64_t from)
{
    struct entry_line after;
    struct keep_entry first;
    struct err *e = &v->why, ignored = {0}, lost = {0};

    bool found = store_found(g,
                             g->conf.keep.ops->entry_first(g->conf.keep.k, &r->pub.id,
                                                           &v->line.author, from, &first, &lost),
                             &lost);
    if (!found || entry_line_take(&after, first.line, &ignored) < 0)
        return 0;
    if (after.seq != v->line.seq + 1 || !hash_same(&after.prev, &v->line_hash))
        return err_set(e, ERR_PEER, "a message of its author after it is missing or was changed");
    return 0;
}

/* Of an ephemeral room a relay still has the last heads alone: what is said of older ones proves
 * nothing against it. */
static bool seen_unchecked(const struct room *r, const struct verdict *v)
{
    return r->pub.ephemeral && v->line.seen_number < v->number &&
           v->number - v->line.seen_number > HEADS_KEPT;
}

static int check_seen(struct engine *g, const struct room *r, struct verdict *v,
                      const struct heads *page)
{
    struct hash box;
    const struct hash *known =
        v->line.seen_number >= v->number ? NULL : seen_head(g, r, v->line.seen_number, page, &box);

    if (entry_seen_check(&v->line, v->number, known, &v->why) == 0)
        return 0;
    event_text(g, ENGINE_ALARM, NULL,
               seen_unchecked(r, v)
                   ? "%s: %s claims another past than yours, of so long ago that the relay could "
                     "not refuse it: whoever wrote this is lying, or was lied to (number %llu)"
                   : "%s: %s saw another history than you: the relay shows different messages to "
                     "different people, or one of you is lying (number %llu)",
               r->pub.name, v->by->account, (unsigned long long)v->number);
    return err_in(&v->why, "its author saw another history");
}

/* Everything but what needs the room's members. page: of an older page; NULL for what is new. -1:
 * closing, our own disk could not be asked; nobody is judged by that. */
static int judge(struct engine *g, const struct room *r, struct verdict *v,
                 const struct heads *page)
{
    entry_line_hash(v->t->line, &v->line_hash);
    if (verdict_signed(g, r, v) < 0 ||
        (page != NULL ? check_order_back(g, r, v, page->first) : check_order(g, r, v)) < 0)
        return g->closing ? -1 : 0;
    (void)!check_seen(g, r, v, page);
    return g->closing ? -1 : 0;
}

static int verdict_keep(struct engine *g, struct room *r, const struct verdict *v, bool news,
                        bool older)
{
    struct err e = {0};
    struct keep_entry t = {
        .room = r->pub.id,
        .number = v->number,
        .time = (uint64_t)v->t->time,
        .head = v->head,
        .seq = v->parsed ? v->line.seq : 0,
        .line_hash = v->line_hash,
        .account = str_of(v->by != NULL && v->proven ? v->by->account : ""),
        .line = v->t->line,
        .sig = v->t->sig,
        .body = v->t->why.n > 0 ? span_of(NULL, 0) : v->t->body,
        .proven = v->proven,
        .refused = str_of(v->why.code == ERR_NONE ? "" : v->why.text),
    };

    if (v->parsed)
        t.fp = v->line.author;
    if (g->conf.keep.ops->entry_put(g->conf.keep.k, &t, news, &e) < 0)
        return engine_fail(g, e.code, false, "%s", e.text);
    if (v->why.code != ERR_NONE)
        r->pub.refused++;
    if (news && g->conf.keep.ops->arrival_last(g->conf.keep.k, &t.arrival, &e) < 0)
        t.arrival = 0;
    show_kept(g, r, &t, older);
    return 0;
}

/* --- forward --- */

/* An entry that the relay shows under a number that we have already. */
static void known_again(struct engine *g, struct room *r, const struct f_entry *t)
{
    struct keep_entry have;
    struct hash line;
    struct err e = {0};

    if (t->number < r->kept.first ||
        !store_found(
            g, g->conf.keep.ops->entry_get(g->conf.keep.k, &r->pub.id, t->number, &have, &e), &e))
        return;
    entry_line_hash(t->line, &line);
    if (hash_same(&line, &have.line_hash) && (uint64_t)t->time == have.time)
        return; /* twice by two ways: shown once */
    r->pub.refused++;
    event_text(g, ENGINE_ALARM, r,
               "%s: the relay shows another message %llu than before: refused, the first one "
               "stands",
               r->pub.name, (unsigned long long)t->number);
}

/* A certificate of our own device on a line that our disk did not sign. */
static void check_own(struct engine *g, struct room *r, const struct verdict *v)
{
    if (v->why.code != ERR_NONE || !hash_same(&v->line.author, &g->conf.fp) ||
        v->line.seq <= r->kept.seq)
        return;
    event_text(g, ENGINE_ALARM, r,
               "%s: message %llu is signed with this device's key but was not written here: "
               "is there a copy of this profile?",
               r->pub.name, (unsigned long long)v->number);
    r->kept.seq = r->kept.acked = v->line.seq;
    r->kept.line = r->kept.acked_line = v->line_hash;
}

static int next_judged(struct engine *g, struct room *r, struct verdict *v, bool pushed)
{
    if (v->why.code == ERR_NONE && seats_check(g, r, v, pushed, &v->why) < 0)
        v->proven = false;
    entry_head_next(&v->head, v->t->line, v->t->time);
    r->kept.number = v->number;
    r->kept.head = v->head;
    check_own(g, r, v);
    if (v->why.code == ERR_NONE && v->by != NULL && known_author(g, v->by) < 0)
        return -1;
    return verdict_keep(g, r, v, true, false) < 0 ? -1 : seats_take(g, r, v);
}

static int next_one(struct engine *g, struct room *r, const struct f_entry *t, bool pushed)
{
    struct verdict v = {.t = t, .number = t->number, .head = r->kept.head};
    int ret = judge(g, r, &v, NULL) < 0 ? -1 : next_judged(g, r, &v, pushed);

    verdict_done(&v);
    return ret;
}

static int one_forward(struct engine *g, struct room *r, const struct f_entry *t, bool pushed)
{
    if (t->number > r->pub.last)
        r->pub.last = t->number;
    if (!r->kept.based)
        return 0; /* comes with the first page */
    if (t->number <= r->kept.number)
        known_again(g, r, t);
    else if (t->number == r->kept.number + 1 && !r->pub.broken)
        return next_one(g, r, t, pushed);
    else if (r->pub.broken)
        r->pub.refused++;
    return 0; /* after a gap: asked for by number */
}

/* The relay no longer has what follows on ours: we begin anew where it begins. */
static int window_passed(struct engine *g, struct room *r, const struct f_history *h)
{
    event_text(g, ENGINE_NOTE, r,
               "%s: messages %llu to %llu are gone: the relay keeps only the latest of this room",
               r->pub.name, (unsigned long long)r->kept.number + 1,
               (unsigned long long)h->first - 1);
    r->kept.first = h->first;
    r->kept.number = h->first - 1;
    r->kept.base = r->kept.head = h->head;
    return 0; /* what follows is asked for again, behind the roll: members came and went */
}

/* A page after what we have: it must begin where we stand, with the head we know. */
static int page_forward(struct engine *g, struct room *r, const struct f_history *h)
{
    struct hash known;
    struct err e = {0};

    r->asking = false;
    if (r->pub.ephemeral && h->first > r->kept.number + 1 && h->first > 1)
        return window_passed(g, r, h);
    if (h->first > r->kept.number + 1 ||
        (store_found(g, head_at(g, r, h->first - 1, &known, &e), &e) &&
         !hash_same(&known, &h->head))) {
        room_break(g, r, "the relay's history does not continue what was verified at %llu",
                   (unsigned long long)r->kept.number);
        r->pub.refused += h->entries_n;
        return 0;
    }
    uint64_t before = r->kept.number;
    for (size_t i = 0; i < h->entries_n && !r->pub.broken; i++) {
        if (h->entries[i].number > r->kept.number + 1) {
            r->pub.refused += h->entries_n - i;
            room_break(g, r, "the relay withholds message %llu",
                       (unsigned long long)r->kept.number + 1);
        } else if (one_forward(g, r, h->entries + i, false) < 0) {
            return -1;
        }
    }
    if (r->kept.number == before && r->pub.last > before)
        room_break(g, r, "the relay says there are %llu messages and gives %llu",
                   (unsigned long long)r->pub.last, (unsigned long long)before);
    return 0;
}

/* The first page of a room never seen: it begins with a head that only the relay vouches for. */
static int page_last(struct engine *g, struct room *r, const struct f_history *h)
{
    r->asking = false;
    if (r->kept.based)
        return page_forward(g, r, h);
    if (h->first < r->from || (h->first == r->from && !hash_same(&h->head, &r->from_head)) ||
        (h->first > 1 && h->entries_n == 0)) {
        room_break(g, r, "the relay's history does not begin where it should");
        return 0;
    }
    r->kept.based = true;
    r->kept.first = h->first;
    r->kept.number = h->first - 1;
    r->kept.base = r->kept.head = h->head;
    return page_forward(g, r, h);
}

/* --- backward --- */

/* The heads of a page, which must lead to the oldest head that we know. */
static struct hash *page_heads(struct room *r, const struct f_history *h)
{
    struct hash *head = calloc(h->entries_n + 1, sizeof *head);
    bool whole = head != NULL && h->first + h->entries_n == r->kept.first && h->first >= r->from;

    if (whole)
        head[0] = h->head;
    for (size_t i = 0; whole && i < h->entries_n; i++) {
        whole = h->entries[i].number == h->first + i;
        head[i + 1] = head[i];
        entry_head_next(&head[i + 1], h->entries[i].line, h->entries[i].time);
    }
    if (!whole || !hash_same(&head[h->entries_n], &r->kept.base) ||
        (h->first == r->from && !hash_same(&h->head, &r->from_head))) {
        free(head);
        return NULL;
    }
    return head;
}

static int page_older(struct engine *g, struct room *r, const struct f_history *h)
{
    struct hash *head = page_heads(r, h);
    const struct heads page = {h->first, head, h->entries_n + 1};
    int ret = 0;

    r->asking_older = false;
    if (head == NULL || h->entries_n == 0) {
        free(head);
        r->pub.refused += h->entries_n;
        event_text(g, ENGINE_ALARM, r,
                   "%s: the relay's older messages do not lead to those that were verified: "
                   "refused",
                   r->pub.name);
        return 0;
    }
    for (size_t i = h->entries_n; ret == 0 && i-- > 0;) {
        struct verdict v = {
            .t = h->entries + i, .number = h->entries[i].number, .head = head[i + 1]};
        ret = judge(g, r, &v, &page) < 0 ? -1 : verdict_keep(g, r, &v, false, true);
        verdict_done(&v);
    }
    r->kept.first = h->first;
    r->kept.base = h->head;
    free(head);
    return ret;
}

/* --- what waits in a room --- */

bool certs_wait(struct engine *g, const struct batch *b)
{
    size_t n;
    const struct f_entry *t = batch_entries(b, &n);
    bool waits = false;

    for (size_t i = 0; i < n; i++) {
        struct entry_line l;
        struct err e = {0};
        if (entry_line_take(&l, t[i].line, &e) < 0)
            continue;
        const struct author *a = author_want(g, &l.author);
        waits |= a != NULL && (a->state == AUTHOR_ASKED || a->state == AUTHOR_MISSING);
    }
    return waits;
}

static int batch_do(struct engine *g, struct room *r, struct batch *b)
{
    switch (b->kind) {
    case BATCH_PUSH: return one_forward(g, r, &b->frame.u.entry, true);
    case BATCH_OWN: return one_forward(g, r, &b->own, false);
    case BATCH_FORWARD: return page_forward(g, r, &b->frame.u.history);
    case BATCH_LAST: return page_last(g, r, &b->frame.u.history);
    case BATCH_OLDER: return page_older(g, r, &b->frame.u.history);
    case BATCH_ROLL: break; /* not in this queue: seats_settle */
    }
    return 0;
}

/* One batch is one transaction: the entries and the room's position belong together. */
static int batch_work(struct engine *g, struct room *r, struct batch *b)
{
    if (store_begin(g, r) < 0 || store_end(g, batch_do(g, r, b) < 0 ? -1 : room_save(g, r)) < 0)
        return -1;
    if (b->id != 0)
        event_answer(g, b->id, ERR_NONE, NULL);
    return 0;
}

static int history_ask(struct engine *g, struct room *r, enum batch_kind kind, unsigned count)
{
    struct err e = {0};
    struct ask *a = ask_new(g, F_HISTORY_ASK, &e);

    if (a == NULL)
        return 0;
    struct f_history_ask ask = {.id = a->id, .room = r->pub.id, .count = count};
    if (kind == BATCH_FORWARD) {
        ask.has_after = true;
        ask.after = r->kept.number;
    } else {
        ask.before = kind == BATCH_LAST ? r->pub.last + 1 : r->kept.first;
    }
    a->room = r->pub.id;
    a->quiet = true;
    *(kind == BATCH_OLDER ? &r->asking_older : &r->asking) = true;
    return engine_put(g, F_HISTORY_ASK, &ask);
}

/* The relay told of our join, and its number comes in the next frame. */
static bool joining(const struct room *r)
{
    const struct out *o = TAILQ_FIRST(&r->outs);

    return o != NULL && o->kind == CONTENT_JOIN && o->seq == r->sending;
}

/* Asks for what is missing at the end, or says that nothing is. */
static int room_catch(struct engine *g, struct room *r)
{
    if (!g->conf.follow || !r->pub.joined || g->phase != ENGINE_ONLINE)
        return 0;
    if (r->pub.broken)
        return check_broken(g, r);
    if (!r->is_signed || r->away || r->asking || joining(r))
        return 0;
    if (!r->kept.based)
        return history_ask(g, r, BATCH_LAST, PAGE_FIRST);
    if (r->pub.last > r->kept.number)
        return history_ask(g, r, BATCH_FORWARD, HISTORY_MAX);
    if (r->caught)
        return 0;
    r->caught = true;
    if (check_room(g, r, true) < 0)
        return -1;
    if (seats_known(r) && roster_member(&r->roster, g->account, r->roster.upto) == NULL)
        seat_missing(g, r);
    return room_send(g, r);
}

int room_settle(struct engine *g, struct room *r)
{
    struct batch *b;

    if (seats_settle(g, r) < 0 || room_away_settle(g, r) < 0)
        return -1;
    while ((b = STAILQ_FIRST(&r->batches)) != NULL) {
        if (r->roll != NULL || r->asking_roll || certs_wait(g, b))
            return 0;
        if (crl_check(g) < 0)
            return -1;
        STAILQ_REMOVE_HEAD(&r->batches, link);
        r->batches_n--;
        int ret = batch_work(g, r, b);
        batch_free(b);
        if (ret < 0)
            return -1;
    }
    return seats_settle(g, r) < 0 ? -1 : room_catch(g, r);
}

struct batch *batch_new(enum batch_kind kind, struct frame *f)
{
    struct batch *b = calloc(1, sizeof *b);

    if (b == NULL)
        return NULL;
    b->kind = kind;
    b->frame = *f;
    f->tree = NULL;
    *f = (struct frame){0};
    return b;
}

/* A pushed entry says by its line which room it is for; the relay delivers it nowhere else. */
int take_entry(struct engine *g, struct frame *f)
{
    struct entry_line l;
    struct err e = {0};

    if (entry_line_take(&l, f->u.entry.line, &e) < 0)
        return engine_fail(g, ERR_PEER, true, "the relay broke the protocol: %s", e.text);
    struct room *r = room_find(g, &l.room);
    if (r == NULL || !r->pub.joined)
        return 0; /* a room we left a moment ago */
    if (r->batches_n >= BATCHES_MAX) {
        if (f->u.entry.number > r->pub.last)
            r->pub.last = f->u.entry.number;
        return 0; /* fetched by number later */
    }
    struct batch *b = batch_new(BATCH_PUSH, f);
    return b == NULL ? engine_fail(g, ERR_OS, true, "no memory") : batch_add(g, r, b);
}

int take_history(struct engine *g, struct frame *f)
{
    const struct f_history *h = &f->u.history;
    struct ask *a = ask_find(g, h->re, F_HISTORY_ASK);
    struct room *r = room_find(g, &h->room);

    if (a == NULL || r == NULL || !room_id_same(&a->room, &h->room) || h->first == 0)
        return engine_fail(g, ERR_PEER, true, "the relay broke the protocol: stray history");
    bool older = !a->quiet;
    enum batch_kind kind = older ? BATCH_OLDER : r->kept.based ? BATCH_FORWARD : BATCH_LAST;
    struct batch *b = batch_new(kind, f);
    if (b == NULL)
        return engine_fail(g, ERR_OS, true, "no memory");
    b->id = older ? a->id : 0;
    a->id = 0;
    return batch_add(g, r, b);
}

/* --- older messages, from our disk first --- */

struct walk {
    struct engine *g;
    struct room *r;
    uint64_t number[HISTORY_MAX];
    size_t n;
};

static int walk_add(void *ctx, const struct keep_entry *t)
{
    struct walk *w = ctx;

    if (t->number >= w->r->kept.first && w->n < HISTORY_MAX)
        w->number[w->n++] = t->number;
    return 0;
}

/* true when something was shown. */
static bool older_kept(struct engine *g, struct room *r, unsigned count)
{
    const struct keep *k = &g->conf.keep;
    struct walk w = {.g = g, .r = r};
    uint64_t before = r->shown != 0 ? r->shown : r->kept.number + 1;
    struct keep_entry t;
    struct err e = {0};

    if (!r->kept.based ||
        k->ops->entries_before(k->k, &r->pub.id, before, count, walk_add, &w, &e) < 0)
        return false;
    for (size_t i = w.n; i-- > 0;)
        if (k->ops->entry_get(k->k, &r->pub.id, w.number[i], &t, &e) == 1)
            show_kept(g, r, &t, true);
    return w.n > 0;
}

uint64_t engine_older(struct engine *g, const struct room_id *room, unsigned count, struct err *e)
{
    struct room *r = room_find(g, room);

    if (r == NULL) {
        err_set(e, ERR_INPUT, "no such room");
        return 0;
    }
    if (count == 0 || count > HISTORY_MAX)
        count = HISTORY_MAX;
    if (older_kept(g, r, count) || (r->kept.based && r->kept.first <= r->from)) {
        uint64_t id = ++g->next_id;
        event_answer(g, id, ERR_NONE, NULL);
        return id;
    }
    if (!r->kept.based || r->asking_older) {
        err_set(e, ERR_AGAIN, "still loading");
        return 0;
    }
    if (history_ask(g, r, BATCH_OLDER, count) < 0 || !r->asking_older) {
        err_set(e, ERR_UNAVAILABLE, "not connected: older messages are on the relay");
        return 0;
    }
    for (size_t i = 0; i < ASKS_MAX; i++)
        if (g->asks[i].id == g->next_id)
            g->asks[i].quiet = false;
    return g->next_id;
}
