/* The relay's end: core, sessions, disk, and when each has its turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/store_sqlite.h"
#include "support_parts.h"

int64_t relay_now(const struct world *w)
{
    return w->mono + w->relay_skew;
}

struct moment relay_moment(const struct world *w)
{
    return (struct moment){relay_now(w), w->mono};
}

static int no_issue(void *ctx, int64_t now, struct span spki, struct str name, struct str device,
                    struct store_chain *out, struct err *e)
{
    (void)ctx, (void)now, (void)spki, (void)name, (void)device, (void)out;
    return err_set(e, ERR_LOCAL, "nobody joins here");
}

/* The relay's end goes; what it sent still arrives, then the client sees the end. */
static void relay_drop(struct world *w, struct link_plain *l)
{
    session_free(l->s);
    l->s = NULL;
    l->gone_at = 0;
    queue_clear(&l->up);
    if (l->here)
        l->cut_at = (l->down.last > w->mono ? l->down.last : w->mono) + 1;
    else
        link_end(l);
}

void relay_stop(struct world *w)
{
    for (int i = 0; i < CONNS; i++)
        if (w->conns[i].id != 0 && w->conns[i].s != NULL)
            relay_drop(w, w->conns + i);
    core_free(w->core);
    w->core = NULL;
    if (w->store.ops != NULL)
        store_close(&w->store);
    w->store = (struct store){0};
}

static bool link_in(const struct link_plain *l, const struct room_id *room)
{
    for (size_t i = 0; i < l->rooms_n; i++)
        if (memcmp(l->rooms + i, room, sizeof *room) == 0)
            return true;
    return false;
}

static void effect_one(struct world *w, struct link_plain *l, const struct effect *ef)
{
    switch (ef->kind) {
    case EFFECT_SEND: down(w, l, span_of(ef->frame->b, ef->frame->n)); break;
    case EFFECT_WELCOME:
        down(w, l, span_of(ef->frame->b, ef->frame->n));
        session_welcome(l->s);
        break;
    case EFFECT_ENTER:
        must(l->rooms_n < ROOMS, "too many rooms");
        l->rooms[l->rooms_n++] = ef->room;
        break;
    case EFFECT_LEAVE:
        for (size_t i = 0; i < l->rooms_n; i++)
            if (memcmp(l->rooms + i, &ef->room, sizeof ef->room) == 0)
                l->rooms[i--] = l->rooms[--l->rooms_n];
        break;
    case EFFECT_CLOSE:
        if (w->lie == LIE_NONE && strcmp(ef->reason, "bad-entry") == 0)
            world_fail(w, "the relay closed on %s: bad-entry", world_name(l->who));
        relay_drop(w, l);
        break;
    case EFFECT_READ: /* nobody is held back here */
    case EFFECT_PUBLISH:
    case EFFECT_EVERYONE:
    case EFFECT_SIGN: /* without an evidence key nothing is signed */
    case EFFECT_DEVICE: break;
    }
}

static void effect_apply(struct world *w, struct effect *ef)
{
    for (int i = 0; i < CONNS; i++) {
        struct link_plain *l = w->conns + i;
        if (l->id == 0 || l->s == NULL)
            continue;
        if (ef->kind == EFFECT_PUBLISH && l->id != ef->conn && link_in(l, &ef->room)) {
            const struct shared *form = effect_frame(ef, session_compact(l->s));
            down(w, l, span_of(form->b, form->n));
        } else if (ef->kind == EFFECT_EVERYONE && session_ready(l->s))
            down(w, l, span_of(ef->frame->b, ef->frame->n));
        else if (l->id == ef->conn)
            effect_one(w, l, ef);
    }
    effect_drop(ef);
}

static void relay_dies(struct world *w)
{
    w->cuts++;
    relay_stop(w);
    w->boot_at = w->mono + 100 + (int64_t)dice_below(&w->dice, 3000);
}

bool relay_boot(struct world *w)
{
    struct err e = {0};
    struct effect ef;
    struct core_conf conf = {.store = {&store_sqlite, NULL},
                             .seal = pool_get()->seal,
                             .rng = w->rng,
                             .root = span_of(pool_get()->root.b, pool_get()->root.n),
                             .crl = buf_span(&pool_get()->crl),
                             .issue = no_issue};

    if (disk_dead(w->disk))
        disk_reboot(w->disk);
    w->boot_at = 0;
    conf.store.db = store_sqlite_open(w->path, STORE_OPEN, &e);
    if (conf.store.db == NULL && disk_dead(w->disk)) {
        relay_dies(w);
        return false;
    }
    if (conf.store.db == NULL) {
        w->lost++;
        if (!w->lossy)
            world_fail(w, "the relay's store does not open: %s", e.text);
        return false;
    }
    w->store = conf.store;
    w->core = core_new(&conf, relay_now(w), &e);
    if (w->core == NULL && disk_dead(w->disk)) {
        relay_dies(w);
        return false;
    }
    if (w->core == NULL) {
        w->lost++;
        if (!w->lossy)
            world_fail(w, "the relay's core does not start: %s", e.text);
        return false;
    }
    while (core_effect(w->core, &ef))
        effect_apply(w, &ef);
    seats_read(w);
    return true;
}

/* The client's job is taken as done before it is: what a relay must not do. */
static void note_early(struct world *w, const struct job *j, int who)
{
    if (w->early && j->kind == JOB_FRAME && j->frame.type == F_ENTRY_SAY)
        note_acked(w, who, &j->line.room, j->line.seq, 0);
}

static void relay_gone(struct world *w, struct link_plain *l)
{
    struct job *j = job_new(JOB_GONE, l->id);

    must(j != NULL, "no memory");
    snprintf(j->reason, sizeof j->reason, "cut");
    core_job(w->core, j);
    session_free(l->s);
    l->s = NULL;
    if (l->here)
        relay_drop(w, l);
    else
        link_end(l);
}

static void relay_hear(struct world *w, struct link_plain *l)
{
    struct chunk *c;
    struct job *j;

    while (l->s != NULL && (c = queue_due(w, &l->up, l->stall)) != NULL) {
        int rc = session_feed(l->s, span_of(c->b, c->n), relay_moment(w));
        free(c);
        while ((j = session_job(l->s)) != NULL) {
            note_early(w, j, l->who);
            core_job(w->core, j);
        }
        struct span out = session_out(l->s);
        down(w, l, out);
        session_sent(l->s, out.n);
        if (rc < 0) {
            if (w->lie == LIE_NONE && !w->lossy)
                world_fail(w, "the relay refused %s: %s", world_name(l->who),
                           session_error(l->s)->text);
            relay_gone(w, l);
        }
    }
}

static void relay_tick(struct world *w)
{
    for (int i = 0; i < CONNS; i++) {
        struct link_plain *l = w->conns + i;
        if (l->id == 0 || l->s == NULL)
            continue;
        int rc = session_tick(l->s, relay_moment(w));
        struct span out = session_out(l->s);
        down(w, l, out);
        session_sent(l->s, out.n);
        if (rc < 0)
            relay_gone(w, l);
    }
    core_tick(w->core);
}

/* A turn without work is left out: it would be a transaction of nothing. */
static bool relay_busy(const struct world *w)
{
    for (int i = 0; i < CONNS; i++) {
        const struct link_plain *l = w->conns + i;
        if (l->id == 0 || l->s == NULL)
            continue;
        if (l->gone_at != 0 && w->mono >= l->gone_at)
            return true;
        if (l->up.first != NULL && l->up.first->due <= w->mono && l->stall <= w->mono)
            return true;
    }
    return w->mono - w->ticked >= 1000;
}

void relay_turn(struct world *w)
{
    struct err e = {0};
    struct effect ef;

    if (w->core == NULL) {
        if (w->boot_at != 0 && w->mono >= w->boot_at && (relay_boot(w) || w->lossy))
            world_check_relay(w);
        return;
    }
    if (disk_dead(w->disk)) {
        relay_dies(w);
        return;
    }
    if (!relay_busy(w))
        return;
    if (core_begin(w->core, relay_now(w), &e) < 0) {
        relay_dies(w);
        return;
    }
    for (int i = 0; i < CONNS; i++) {
        struct link_plain *l = w->conns + i;
        if (l->id != 0 && l->s != NULL && l->gone_at != 0 && w->mono >= l->gone_at)
            relay_gone(w, l);
        else if (l->id != 0)
            relay_hear(w, l);
    }
    if (w->mono - w->ticked >= 1000) {
        w->ticked = w->mono;
        relay_tick(w);
    }
    if (core_commit(w->core, &e) < 0) {
        w->lost += w->lossy; /* a disk that lies may have lost anything */
        if (!disk_dead(w->disk) && !w->lossy)
            world_fail(w, "commit: %s", e.text);
        relay_dies(w);
        return;
    }
    seats_read(w);
    while (core_effect(w->core, &ef))
        effect_apply(w, &ef);
    if (disk_dead(w->disk))
        relay_dies(w);
}
