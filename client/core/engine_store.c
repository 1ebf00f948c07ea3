/* engine_store.c -- what our disk has and what we hold in memory change together, or not at all.
 *
 * Between store_begin and store_end a room changes in memory while its rows are written. When they
 * cannot be kept (a full disk, a lock, no memory) the room is read from the disk again, nothing of
 * the change is shown or acknowledged, and the connection ends: what the relay said is asked for
 * anew by the next one. A room that cannot even be read is stale: nothing is done with it. */
#include <stdlib.h>

#include "client/core/engine_inner.h"

int store_begin(struct engine *g, struct room *r)
{
    struct store_turn *t = &g->turn;
    struct err e = {0};

    if (t->depth == 0) {
        if (g->conf.keep.ops->begin(g->conf.keep.k, &e) < 0)
            return engine_fail(g, e.code, false, "%s", e.text);
        *t = (struct store_turn){.room = r, .shown = r->shown, .refused = r->pub.refused};
        STAILQ_INIT(&t->before);
        STAILQ_CONCAT(&t->before, &g->events);
    }
    t->depth++;
    return 0;
}

int store_commit(struct engine *g, struct err *e)
{
    const struct keep *k = &g->conf.keep;

    if (k->ops->commit(k->k, e) == 0)
        return 0;
    k->ops->rollback(k->k);
    return -1;
}

/* True whatever becomes of our disk: what was seen to be wrong, and how requests ended. */
static bool stands(enum engine_event_kind kind)
{
    return kind == ENGINE_ALARM || kind == ENGINE_CLOSE || kind == ENGINE_ANSWER;
}

/* Those of before, then those of the turn. */
static void events_join(struct engine *g, bool kept)
{
    struct happenings turn = STAILQ_HEAD_INITIALIZER(turn);
    struct happened *h;

    STAILQ_CONCAT(&turn, &g->events);
    STAILQ_CONCAT(&g->events, &g->turn.before);
    while ((h = STAILQ_FIRST(&turn)) != NULL) {
        STAILQ_REMOVE_HEAD(&turn, link);
        if (kept || stands(h->ev.kind))
            STAILQ_INSERT_TAIL(&g->events, h, link);
        else
            happened_free(h);
    }
}

/* r becomes what fresh was read as; what hangs on the connection ends with it. */
static void room_become(struct engine *g, struct room *r, struct room *fresh)
{
    r->kept = fresh->kept;
    roster_free(&r->roster);
    r->roster = fresh->roster;
    fresh->roster = (struct roster){0};
    outs_drop(g, r, ERR_IO, "our own disk failed before the answer");
    TAILQ_CONCAT(&r->outs, &fresh->outs, link);
    r->pub.queued = fresh->pub.queued;
    r->sending = 0;
    nature_show(r);
    r->pub.first = r->kept.first;
    r->pub.number = r->kept.number;
    room_begun(r);
}

int room_reread(struct engine *g, struct room *r, struct err *e)
{
    struct room *fresh = room_read(g, &r->pub.id, e);

    r->stale = fresh == NULL;
    if (fresh == NULL)
        return -1;
    room_become(g, r, fresh);
    room_free(fresh);
    event_room(g, ENGINE_ROOM, r);
    event_room(g, ENGINE_MEMBERS, r);
    return 0;
}

static void take_back(struct engine *g)
{
    struct room *r = g->turn.room;
    struct err e = {0};

    r->shown = g->turn.shown;
    r->pub.refused = g->turn.refused;
    (void)!room_reread(g, r, &e); /* stale: tried again before the next connection */
}

int store_end(struct engine *g, int ret)
{
    struct store_turn *t = &g->turn;
    struct err e = {0};
    bool kept = false;

    t->failed |= ret < 0;
    if (--t->depth > 0)
        return ret;
    if (t->failed || g->closing)
        g->conf.keep.ops->rollback(g->conf.keep.k);
    else if (store_commit(g, &e) < 0)
        engine_fail(g, e.code, false, "%s", e.text);
    else
        kept = true;
    knowns_turned(g, kept);
    events_join(g, kept);
    if (!kept)
        take_back(g);
    return kept ? 0 : -1;
}

bool store_found(struct engine *g, int found, const struct err *e)
{
    if (found < 0)
        engine_fail(g, e->code, false, "%s", e->text);
    return found == 1;
}
