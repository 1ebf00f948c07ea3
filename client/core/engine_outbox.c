#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"
#include "common/chat/compact.h"

struct out *out_find(struct room *r, uint64_t seq)
{
    struct out *o;

    TAILQ_FOREACH(o, &r->outs, link)
        if (o->seq == seq)
            return o;
    return NULL;
}

void out_free(struct out *o)
{
    free(o->data);
    free(o);
}

static struct str out_line(const struct out *o)
{
    return str_from(o->data, o->line_n);
}

static struct span out_sig(const struct out *o)
{
    return span_of(o->data + o->line_n, o->sig_n);
}

static struct span out_body(const struct out *o)
{
    return span_of(o->data + o->line_n + o->sig_n, o->body_n);
}

static enum content_kind kind_of(struct span body)
{
    struct content c;
    struct err e = {0};

    if (body.n < OPENING_LEN ||
        content_take(&c, span_of(body.p + OPENING_LEN, body.n - OPENING_LEN), &e) < 0)
        return CONTENT_UNKNOWN;
    enum content_kind kind = c.kind;
    content_free(&c);
    return kind;
}

bool out_waits(const struct room *r, enum content_kind kind)
{
    const struct out *o;

    TAILQ_FOREACH(o, &r->outs, link)
        if (o->kind == kind)
            return true;
    return false;
}

void out_answer(struct engine *g, const struct room *r, uint64_t id, enum err_code code,
                const char *text)
{
    if (id != 0)
        event_add(g, &(struct engine_event){.kind = ENGINE_ANSWER,
                                            .id = id,
                                            .room = r->pub.id,
                                            .roomed = true,
                                            .code = code,
                                            .text = text});
}

/* A copy of what is to be sent, in no list yet; NULL: no memory. */
static struct out *out_new(const struct keep_out *k)
{
    struct out *o = calloc(1, sizeof *o);
    uint8_t *data = malloc(k->line.n + k->sig.n + k->body.n + 1);

    if (o == NULL || data == NULL) {
        free(o);
        free(data);
        return NULL;
    }
    memcpy(data, k->line.p, k->line.n);
    memcpy(data + k->line.n, k->sig.p, k->sig.n);
    memcpy(data + k->line.n + k->sig.n, k->body.p, k->body.n);
    *o = (struct out){.seq = k->seq,
                      .kind = kind_of(k->body),
                      .failed = k->state == KEEP_FAILED,
                      .line_n = k->line.n,
                      .sig_n = k->sig.n,
                      .body_n = k->body.n,
                      .data = data};
    snprintf(o->why, sizeof o->why, "%.*s", (int)k->why.n, k->why.p);
    return o;
}

/* In order of seq behind the others. */
static void out_add(struct room *r, struct out *o)
{
    TAILQ_INSERT_TAIL(&r->outs, o, link);
    r->pub.queued++;
}

/* What waits in one room. */
struct load_outs {
    struct room *r;
    struct err *e;
};

static int load_out(void *ctx, const struct keep_out *k)
{
    struct load_outs *l = ctx;
    struct out *o;

    if (!room_id_same(&l->r->pub.id, &k->room))
        return 0;
    o = out_new(k);
    if (o == NULL)
        return err_set(l->e, ERR_OS, "no memory for the outbox");
    out_add(l->r, o);
    return 0;
}

int outs_read(struct engine *g, struct room *r, struct err *e)
{
    struct load_outs l = {r, e};

    return g->conf.keep.ops->out_each(g->conf.keep.k, load_out, &l, e) < 0
               ? err_set(e, ERR_IO, "the outbox cannot be read")
               : 0;
}

static void out_show(struct engine *g, struct room *r, const struct out *o)
{
    struct engine_event ev = {.kind = ENGINE_ENTRY, .room = r->pub.id, .roomed = true};
    struct entry_line l;
    struct content c = {0};
    struct span content;
    struct err e = {0};

    if (content_seats(o->kind) || entry_line_take(&l, out_line(o), &e) < 0 ||
        entry_body_open(&l, out_body(o), &content, &e) < 0 || content_take(&c, content, &e) < 0)
        return;
    ev.entry = (struct engine_entry){
        .room = r->pub.id,
        .seq = o->seq,
        .sent = (uint64_t)l.ts,
        .fp = g->conf.fp,
        .author = g->account,
        .device = g->device,
        .own = true,
        .vouched = true,
        .is_signed = true,
        .kind = "say",
        .text = c.text,
        .state = o->failed ? ENGINE_FAILED : ENGINE_QUEUED,
    };
    event_add(g, &ev);
    content_free(&c);
}

static void state_event(struct engine *g, struct room *r, uint64_t seq, uint64_t number,
                        uint64_t time, enum engine_own state, const char *why)
{
    struct engine_event ev = {
        .kind = ENGINE_STATE,
        .room = r->pub.id,
        .roomed = true,
        .text = why,
        .entry = {.room = r->pub.id,
                  .seq = seq,
                  .number = number,
                  .time = time,
                  .fp = g->conf.fp,
                  .own = true,
                  .state = state},
    };

    if (state == ENGINE_RELAY)
        delivered_of(g, r, number, &ev.entry);
    if (state == ENGINE_FAILED && number != 0)
        ev.entry.voided = why;
    event_add(g, &ev);
}

/* The rooms first: they are read from the same disk, and a row lives until its next use. */
struct load_rooms {
    struct room_id id[ROOMS_MAX];
    size_t n;
};

static int load_room(void *ctx, const struct keep_out *k)
{
    struct load_rooms *l = ctx;

    if (l->n > 0 && room_id_same(&l->id[l->n - 1], &k->room))
        return 0; /* rows come in order of room */
    if (l->n == COUNT(l->id))
        return -1;
    l->id[l->n++] = k->room;
    return 0;
}

int outbox_load(struct engine *g, struct err *e)
{
    const struct keep *k = &g->conf.keep;
    struct load_rooms l = {.n = 0};
    int ret = k->ops->out_each(k->k, load_room, &l, e);

    for (size_t i = 0; ret == 0 && i < l.n; i++) {
        struct room *r = room_offline(g, &l.id[i], e);
        struct out *o;
        if (r == NULL)
            ret = -1;
        else
            TAILQ_FOREACH(o, &r->outs, link)
                out_show(g, r, o);
    }
    return ret < 0 ? err_set(e, ERR_IO, "the outbox cannot be read") : 0;
}

/* In the shortest form that the relay reads. */
static int say_put(struct engine *g, const struct f_entry_say *say)
{
    struct err e = {0};
    int ret = g->compact ? compact_say_put(&g->out, say, &e) : 0;

    if (ret < 0)
        return engine_fail(g, ERR_LOCAL, true, "an entry could not be sent: %s", e.text);
    return ret > 0 ? 0 : engine_put(g, F_ENTRY_SAY, say);
}

/* What was written for the members of then is not sent to others: a list has to say first what they
 * have now. Our joins and leaves tell nobody anything. */
static bool out_held(struct engine *g, struct room *r, const struct out *o)
{
    struct err e = {0};

    if (r->pub.kind == ENGINE_PUBLIC || o->kind == CONTENT_JOIN || o->kind == CONTENT_LEAVE)
        return false;
    if (!r->list_here) {
        members_ask(g, r);
        return true;
    }
    if (known_check(g, r, &e) == 0) {
        r->held = false;
        return false;
    }
    if (!r->held)
        event_text(g, ENGINE_NOTE, r, "%s: %u of yours wait and are not sent: %s", r->pub.name,
                   r->pub.queued, e.text);
    r->held = true;
    return true;
}

int rooms_send(struct engine *g)
{
    for (size_t i = 0; i < g->rooms_n; i++)
        if (room_send(g, g->rooms[i]) < 0)
            return -1;
    return 0;
}

/* One entry of a room is on its way at a time: when the relay says "later" to one, the next one
 * must not overtake it. The bytes are those on our disk. */
int room_send(struct engine *g, struct room *r)
{
    if (g->phase != ENGINE_ONLINE || g->closing || g->ready_due || !r->pub.joined || r->denied ||
        r->pub.read_only || r->own_pending)
        return 0;
    if (seat_sign(g, r) < 0)
        return -1;
    struct out *o = TAILQ_FIRST(&r->outs);
    if (o == NULL || r->sending != 0 || r->send_at != 0 || out_held(g, r, o))
        return 0;
    r->sending = o->seq;
    const struct f_entry_say say = {out_line(o), out_sig(o), out_body(o)};
    return say_put(g, &say);
}

/* --- saying --- */

/* What we sign now the relay would take later only, and nothing behind it before. */
static int clock_check(const struct engine *g, struct err *e)
{
    int64_t ahead = engine_now(g) - engine_mono(g) - g->relay_epoch;

    if (g->phase != ENGINE_ONLINE || ahead <= TS_FUTURE_MS)
        return 0;
    return err_set(
        e, ERR_AGAIN,
        "this computer's clock is %lld min ahead of the relay's, and a message may be %d "
        "ahead: set it right (or have the relay's set right); nothing was sent",
        (long long)ahead / 60000, TS_FUTURE_MS / 60000);
}

static int may_say(const struct engine *g, struct room *r, struct str text, struct err *e)
{
    if (r == NULL || !r->pub.joined)
        return err_set(e, ERR_INPUT, "you are not a member of that room: nothing was sent");
    if (r->pub.read_only)
        return err_set(e, ERR_PEER,
                       "the relay lost or changed our own messages there: nothing was sent");
    if (out_waits(r, CONTENT_LEAVE))
        return err_set(e, ERR_INPUT, "you are leaving that room: nothing was sent");
    if (r->own_pending || (g->phase != ENGINE_ONLINE && r->kept.seq == 0))
        return err_set(e, ERR_AGAIN, "not connected yet: nothing was sent");
    if (text.n == 0)
        return err_set(e, ERR_USAGE, "there is no text: nothing was sent");
    if (text.n > TEXT_MAX)
        return err_set(e, ERR_DATA,
                       "the text has %zu bytes, one message holds at most %d: nothing was sent",
                       text.n, TEXT_MAX);
    return known_check(g, r, e) < 0 ? -1 : clock_check(g, e);
}

static int entry_build(struct engine *g, struct room *r, struct span content,
                       struct entry_made *made, struct err *e)
{
    const struct keep_room *k = &r->kept;
    struct entry_line l = {
        .room = r->pub.id,
        .seq = k->seq + 1,
        .ts = engine_now(g),
        .author = g->conf.fp,
        .prev = k->seq > 0 ? k->line : k->prev,
    };

    if (k->based && !r->pub.broken) {
        l.seen_number = k->number;
        l.seen_head = k->number == 0 ? (struct hash){{0}} : k->head;
    }
    return entry_make(made, &l, content, g->conf.key, &g->conf.rng, e);
}

/* Line and body are on our disk, with the new end of our chain, before the first byte leaves. */
static int out_commit(struct engine *g, struct room *r, const struct keep_out *o, struct err *e)
{
    const struct keep *k = &g->conf.keep;
    struct keep_room after = r->kept;

    after.seq = o->seq;
    entry_line_hash(o->line, &after.line);
    if (k->ops->begin(k->k, e) < 0)
        return -1;
    if (k->ops->out_put(k->k, o, e) < 0 || k->ops->room_put(k->k, &after, e) < 0) {
        k->ops->rollback(k->k);
        return -1;
    }
    if (store_commit(g, e) < 0)
        return -1;
    r->kept = after;
    return 0;
}

struct out *out_make(struct engine *g, struct room *r, struct span content, struct err *e)
{
    struct entry_made made = {0};
    struct out *o = NULL;

    if (r->stale) {
        err_set(e, ERR_IO, "what is kept of that room cannot be read: nothing was sent");
        goto out;
    }
    if (entry_build(g, r, content, &made, e) < 0)
        goto out;
    const struct keep_out k = {
        .room = r->pub.id,
        .seq = r->kept.seq + 1,
        .state = KEEP_QUEUED,
        .line = str_from(made.line, made.line_n),
        .sig = span_of(made.sig, made.sig_n),
        .body = buf_span(&made.body),
    };
    o = out_new(&k);
    if (o == NULL) {
        err_set(e, ERR_OS, "no memory: nothing was sent");
    } else if (out_commit(g, r, &k, e) < 0) {
        out_free(o);
        o = NULL;
    } else {
        out_add(r, o);
    }
out:
    entry_made_free(&made);
    return o;
}

uint64_t engine_say(struct engine *g, const struct room_id *room, struct str text, struct err *e)
{
    struct room *r = room_find(g, room);
    struct out *o = NULL;
    struct buf content;
    uint64_t seq = 0;

    buf_init(&content, CONTENT_MAX);
    if (may_say(g, r, text, e) < 0)
        goto out;
    if (content_say_put(&content, text, e) == 0)
        o = out_make(g, r, buf_span(&content), e);
    if (o == NULL)
        goto out;
    seq = o->seq;
    out_show(g, r, o);
    if (r->pub.members_n == 0)
        members_ask(g, r); /* to tell whom it reached */
    (void)!room_send(g, r);
out:
    buf_free(&content);
    return seq;
}

/* --- what the relay answers --- */

static struct out *out_answered(struct engine *g, const struct room_id *id, uint64_t seq,
                                struct room **r)
{
    *r = room_find(g, id);
    struct out *o = *r == NULL ? NULL : out_find(*r, seq);

    if (o == NULL || (*r)->sending != seq) {
        engine_fail(g, ERR_PEER, true,
                    "the relay broke the protocol: it answers an entry that was not sent");
        return NULL;
    }
    (*r)->sending = (*r)->rejected = 0;
    return o;
}

/* The relay has it on its disk: it leaves the outbox and takes its place among the entries. */
static int out_done(struct engine *g, struct room *r, struct out *o)
{
    const struct keep *k = &g->conf.keep;
    struct err e = {0};

    if (store_begin(g, r) < 0)
        return -1;
    r->kept.acked = o->seq;
    entry_line_hash(out_line(o), &r->kept.acked_line);
    int ret = k->ops->out_drop(k->k, &r->pub.id, o->seq, &e) < 0
                  ? engine_fail(g, e.code, false, "%s", e.text)
                  : room_save(g, r);
    if (store_end(g, ret) < 0)
        return -1; /* and o is another one by now */
    TAILQ_REMOVE(&r->outs, o, link);
    r->pub.queued--;
    return 0;
}

/* Queues our own entry behind those that came before it. Takes o. */
static int out_place(struct engine *g, struct room *r, struct out *o, uint64_t number, int64_t time,
                     const char *voided)
{
    struct batch *b = calloc(1, sizeof *b);

    if (b == NULL) {
        out_free(o);
        return engine_fail(g, ERR_OS, true, "no memory");
    }
    b->kind = BATCH_OWN;
    b->own = (struct f_entry){.number = number,
                              .time = time,
                              .line = out_line(o),
                              .sig = out_sig(o),
                              .body = voided == NULL ? out_body(o) : span_of(NULL, 0),
                              .why = str_of(voided)};
    b->data = o->data;
    free(o);
    return batch_add(g, r, b);
}

int take_numbered(struct engine *g, struct frame *f)
{
    const struct f_numbered *x = &f->u.numbered;
    struct room *r;
    struct out *o = out_answered(g, &x->room, x->seq, &r);

    if (o == NULL || out_done(g, r, o) < 0)
        return -1;
    uint64_t id = o->ask;
    bool leave = o->kind == CONTENT_LEAVE && x->number > r->entered; /* else we came again since */
    bool join = o->kind == CONTENT_JOIN;
    if (join)
        r->is_signed = true;
    state_event(g, r, x->seq, x->number, (uint64_t)x->time, ENGINE_RELAY, NULL);
    mine_add(r, x->seq, x->number);
    if (out_place(g, r, o, x->number, x->time, NULL) < 0 ||
        check_ack(g, r, x->number, x->has_root ? &x->root : NULL) < 0)
        return -1;
    if (join && g->conf.follow)
        members_ask(g, r);
    if (leave) {
        batches_drop(r); /* their certificates and members are no longer told us: not a lie */
        if (room_gone(g, r) < 0)
            return -1;
    }
    out_answer(g, r, id, ERR_NONE, NULL);
    return room_send(g, r);
}

int take_voided(struct engine *g, struct frame *f)
{
    const struct f_voided *x = &f->u.voided;
    char why[256];
    struct room *r;
    struct out *o = out_answered(g, &x->room, x->seq, &r);

    if (o == NULL || out_done(g, r, o) < 0)
        return -1;
    uint64_t id = o->ask;
    if (o->kind == CONTENT_JOIN)
        r->is_signed = r->sign_tried = true; /* it says that we are in: then let us see */
    snprintf(why, sizeof why, "%.*s", (int)x->text.n, x->text.p);
    out_answer(g, r, id, ERR_AUTH, why);
    state_event(g, r, x->seq, x->number, (uint64_t)x->time, ENGINE_FAILED, why);
    if (out_place(g, r, o, x->number, x->time, "policy") < 0 ||
        check_ack(g, r, x->number, x->has_root ? &x->root : NULL) < 0)
        return -1;
    return room_send(g, r);
}

/* Temporary: the same bytes later. */
int take_again(struct engine *g, struct frame *f)
{
    enum { WAIT_MAX = 10 * 60 * 1000 };
    const struct f_again *x = &f->u.again;
    char why[256];
    struct room *r;
    struct out *o = out_answered(g, &x->room, x->seq, &r);

    if (o == NULL)
        return -1;
    snprintf(why, sizeof why, "%.*s", (int)x->text.n, x->text.p);
    state_event(g, r, x->seq, 0, 0, ENGINE_QUEUED, why);
    r->send_at = engine_mono(g) + (int64_t)(x->wait > WAIT_MAX ? WAIT_MAX : x->wait) + 1;
    return 0;
}

void outs_drop(struct engine *g, struct room *r, enum err_code code, const char *why)
{
    struct out *o;

    while ((o = TAILQ_FIRST(&r->outs)) != NULL) {
        TAILQ_REMOVE(&r->outs, o, link);
        out_answer(g, r, o->ask, code, why);
        out_free(o);
    }
    r->pub.queued = 0;
    r->sending = 0;
}

/* The keep has dropped them already. */
void outs_gone(struct engine *g, struct room *r)
{
    static const char why[] = "the room is gone";
    struct out *o;

    TAILQ_FOREACH(o, &r->outs, link)
        state_event(g, r, o->seq, 0, 0, ENGINE_FAILED, why);
    outs_drop(g, r, ERR_INPUT, why);
}

/* Not a member (any more): the bytes stay, for the day on which we are one again. */
int out_denied(struct engine *g, const struct f_error *x)
{
    struct room *r = room_find(g, &x->room);
    struct err e = {0};

    if (r == NULL || out_find(r, x->seq) == NULL)
        return 0; /* it went with its room */
    struct out *o = out_answered(g, &x->room, x->seq, &r);
    if (o == NULL)
        return -1;
    r->denied = true;
    o->failed = true;
    out_answer(g, r, o->ask, ERR_AUTH, "you are not a member of that room");
    o->ask = 0;
    snprintf(o->why, sizeof o->why, "%.*s", (int)x->text.n, x->text.p);
    const struct keep_out k = {r->pub.id,  x->seq,      KEEP_FAILED,   out_line(o),
                               out_sig(o), out_body(o), str_of(o->why)};
    if (g->conf.keep.ops->out_put(g->conf.keep.k, &k, &e) < 0)
        event_text(g, ENGINE_NOTE, r, "%s", e.text);
    state_event(g, r, x->seq, 0, 0, ENGINE_FAILED, o->why);
    return 0;
}
