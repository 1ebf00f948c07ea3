#include "server/loop.h"

#include <stdlib.h>

#include "server/conn.h"

enum { LOOP_BITS = 6 };
static_assert(1 << LOOP_BITS == LOOPS_MAX, "every loop has a number in an id");

uint64_t conn_id(uint64_t serial, unsigned loop)
{
    return serial << LOOP_BITS | loop;
}

unsigned conn_loop(uint64_t id)
{
    return (unsigned)(id & (LOOPS_MAX - 1));
}

uint64_t conn_serial(uint64_t id)
{
    return id >> LOOP_BITS;
}

static struct conn *find(const struct loop *l, uint64_t id)
{
    struct conn *c;

    HASH_FIND(hh, l->conns, &id, sizeof id, c);
    return c;
}

/* --- effects: what the sequencer has us do --- */

/* Sending may end a member and so shorten the list. */
static void publish(struct loop *l, const struct effect *ef)
{
    struct crowd *r = crowd_find(l, &ef->room);

    for (size_t i = r == NULL ? 0 : r->n; i-- > 0;) {
        bool last = r->n == 1;

        if (i < r->n && (ef->conn == 0 || r->members[i]->id != ef->conn))
            conn_publish(r->members[i], ef);
        if (last)
            break; /* the room itself may be gone with its last member */
    }
}

static void everyone(struct loop *l, const struct effect *ef)
{
    struct conn *c = NULL, *next;

    HASH_ITER(hh, l->conns, c, next) {
        if (c->proven && !c->classic && c->id != ef->conn)
            conn_send(c, ef->frame);
    }
}

static void to_one(struct loop *l, struct conn *c, const struct effect *ef)
{
    switch (ef->kind) {
    case EFFECT_SEND: conn_send(c, ef->frame); return;
    case EFFECT_WELCOME:
        conn_proven(c);
        conn_send(c, ef->frame);
        return;
    case EFFECT_ENTER:
        if (c->state == CONN_OPEN && crowd_enter(l, &ef->room, c) < 0)
            conn_end(c, "no memory");
        return;
    case EFFECT_LEAVE: crowd_leave(l, &ef->room, c); return;
    case EFFECT_READ: conn_resume(c); return;
    case EFFECT_CLOSE: conn_end(c, ef->reason); return;
    case EFFECT_PUBLISH:
    case EFFECT_EVERYONE:
    case EFFECT_SIGN:
    case EFFECT_DEVICE: return;
    }
}

static void effect(struct loop *l, const struct effect *ef)
{
    struct conn *c;

    if (ef->kind == EFFECT_PUBLISH)
        publish(l, ef);
    else if (ef->kind == EFFECT_EVERYONE)
        everyone(l, ef);
    else if ((c = find(l, ef->conn)) != NULL)
        to_one(l, c, ef);
}

/* --- the end --- */

static void stop(struct loop *l)
{
    struct conn *c = NULL, *next;

    HASH_ITER(hh, l->conns, c, next) {
        conn_destroy(c, "shutdown");
    }
    uv_stop(&l->uv);
}

/* Everybody is told; the loop ends when the last one has hung up, or at the latest in time. */
static void drain(struct loop *l)
{
    struct conn *c = NULL, *next;

    l->draining = true;
    l->drain_until = clock_ticks() + DRAIN_MS / 2;
    HASH_ITER(hh, l->conns, c, next) {
        if (c->state == CONN_SHAKING) {
            conn_destroy(c, "shutdown");
        } else if (c->state == CONN_OPEN) {
            if (!c->classic)
                session_shutdown(c->session);
            conn_end(c, "shutdown");
        }
    }
}

static void drained(struct loop *l)
{
    if (l->draining && (l->conns == NULL || clock_ticks() >= l->drain_until))
        stop(l);
}

/* --- mail --- */

static void serve(struct loop *l, struct msg *m)
{
    struct conn *c;

    switch (m->kind) {
    case MSG_GUEST: conn_welcome(l, m->conn, &m->guest); return;
    case MSG_SHAKEN:
        c = find(l, m->conn);
        if (c != NULL)
            conn_shaken(c, &m->shaken);
        return;
    case MSG_EFFECT: effect(l, &m->effect); return;
    case MSG_DRAIN: drain(l); return;
    case MSG_ABORT: stop(l); return;
    default: return;
    }
}

static void on_mail(uv_async_t *h)
{
    struct loop *l = h->data;

    for (struct msg *m = box_take(l->box), *next; m != NULL; m = next) {
        next = m->next;
        serve(l, m);
        msg_free(m);
    }
}

static void wake(void *ctx)
{
    uv_async_send(&((struct loop *)ctx)->mail);
}

/* --- jobs: what this turn asks for makes one transaction --- */

void loop_ask(struct loop *l, struct job *j)
{
    jobs_add(&l->jobs, j);
    if (l->jobs.n >= JOBS_MAX)
        sequencer_put(l->env.sequencer, &l->jobs);
}

/* --- turns --- */

/* All records of a connection that came to be in this turn leave in one write. */
static void flush(struct loop *l)
{
    sequencer_put(l->env.sequencer, &l->jobs); /* it works while we write */
    while (l->dirty != NULL) {
        struct conn *c = l->dirty;

        l->dirty = c->next_dirty;
        c->dirty = false;
        conn_resume(c);
        conn_flush(c);
    }
    drained(l);
    sequencer_put(l->env.sequencer, &l->jobs);
}

static void on_before(uv_prepare_t *h)
{
    flush(h->data);
}

static void on_after(uv_check_t *h)
{
    flush(h->data);
}

static void on_turn(uv_timer_t *h)
{
    struct loop *l = h->data;
    int64_t now = clock_now(NULL), ticks = clock_ticks();
    struct conn *c = NULL, *next;

    HASH_ITER(hh, l->conns, c, next) {
        conn_tick(c, now, ticks);
    }
    pool_rest(&l->pool);
}

struct loop *loop_new(unsigned number, const struct loop_env *env, struct err *e)
{
    struct loop *l = calloc(1, sizeof *l);

    if (l == NULL || (l->box = box_new()) == NULL || uv_loop_init(&l->uv) != 0) {
        err_set(e, ERR_OS, "no event loop");
        if (l != NULL)
            box_free(l->box);
        free(l);
        return NULL;
    }
    l->number = number;
    l->env = *env;
    l->mail.data = l->before.data = l->after.data = l->timer.data = l;
    if (uv_async_init(&l->uv, &l->mail, on_mail) != 0)
        abort(); /* libuv has no descriptor for itself: nothing has begun yet */
    uv_prepare_init(&l->uv, &l->before);
    uv_check_init(&l->uv, &l->after);
    uv_timer_init(&l->uv, &l->timer);
    uv_prepare_start(&l->before, on_before);
    uv_check_start(&l->after, on_after);
    uv_timer_start(&l->timer, on_turn, TURN_MS, TURN_MS);
    box_hook(l->box, wake, l);
    return l;
}

struct box *loop_box(struct loop *l)
{
    return l->box;
}

uv_loop_t *loop_uv(struct loop *l)
{
    return &l->uv;
}

static void on_walk(uv_handle_t *h, void *ctx)
{
    (void)ctx;
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

void loop_run(struct loop *l)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
    sequencer_put(l->env.sequencer, &l->jobs); /* who was there when it ended is gone */
}

void loop_free(struct loop *l)
{
    if (l == NULL)
        return;
    uv_walk(&l->uv, on_walk, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    uv_loop_close(&l->uv);
    pool_free(&l->pool);
    box_free(l->box);
    free(l);
}
