/* Ephemeral rooms: which of ours are, and what happens to ours of them when one is gone. The list
 * is kept, so that a room that ended while we were away is forgotten at the next login. */
#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"

enum { LIST_MAX = ROOMS_MAX * ROOM_ID_LEN };

static int list_read(struct engine *g, struct buf *list, struct err *e)
{
    buf_init(list, LIST_MAX);
    return g->conf.keep.ops->value_get(g->conf.keep.k, "ephemeral", list, e);
}

static bool listed(const struct buf *list, const struct room_id *id)
{
    struct span s = buf_span(list);

    for (; s.n >= ROOM_ID_LEN; s.p += ROOM_ID_LEN, s.n -= ROOM_ID_LEN)
        if (memcmp(s.p, id->b, ROOM_ID_LEN) == 0)
            return true;
    return false;
}

int ephemeral_load(struct engine *g, struct room *r, struct err *e)
{
    struct buf list;

    if (r->kept.kind != KEEP_UNHEARD)
        return 0;
    int found = list_read(g, &list, e);
    r->kept.ephemeral = found == 1 && listed(&list, &r->pub.id);
    buf_free(&list);
    return found < 0 ? -1 : 0;
}

static int list_put(struct engine *g, const struct buf *list, struct err *e)
{
    return g->conf.keep.ops->value_put(g->conf.keep.k, "ephemeral", buf_span(list), e);
}

static int list_fail(struct engine *g, const struct err *e)
{
    return engine_fail(g, ERR_IO, false, "the list of ephemeral rooms: %s",
                       e->code == ERR_NONE ? "no memory" : e->text);
}

/* Those of ours that live: all that are joined. */
static int list_write(struct engine *g)
{
    struct buf list;
    struct err e = {0};
    int ret = 0;

    buf_init(&list, LIST_MAX);
    for (size_t i = 0; i < g->rooms_n && ret == 0; i++)
        if (g->rooms[i]->pub.ephemeral && g->rooms[i]->pub.joined)
            ret = buf_add(&list, g->rooms[i]->pub.id.b, ROOM_ID_LEN);
    if (ret == 0)
        ret = list_put(g, &list, &e);
    buf_free(&list);
    return ret < 0 ? list_fail(g, &e) : 0;
}

int ephemeral_entered(struct engine *g, const struct room *r)
{
    struct buf list;
    struct err e = {0};
    int ret = list_read(g, &list, &e);

    if (ret >= 0 && !listed(&list, &r->pub.id)) {
        ret = buf_add(&list, r->pub.id.b, ROOM_ID_LEN);
        if (ret == 0)
            ret = list_put(g, &list, &e);
    }
    buf_free(&list);
    return ret < 0 ? list_fail(g, &e) : 0;
}

/* Its messages and what waited to be said there. How far our own lines went stays: no relay that
 * brings the room back can make us sign two lines under one number. */
static int forget(struct engine *g, struct room *r)
{
    struct err e = {0};

    if (g->conf.keep.ops->room_forget(g->conf.keep.k, &r->pub.id, &e) < 0)
        return engine_fail(g, e.code, false, "%s", e.text);
    outs_gone(g, r);
    roster_free(&r->roster);
    r->kept.since = r->kept.upto = 0;
    r->kept.based = false;
    return room_save(g, r);
}

int ephemeral_left(struct engine *g, struct room *r)
{
    return forget(g, r) < 0 ? -1 : list_write(g);
}

int ephemeral_settle(struct engine *g)
{
    struct buf list;
    struct err e = {0};
    int ret = list_read(g, &list, &e) < 0 ? list_fail(g, &e) : 0;
    struct span s = buf_span(&list);

    for (; ret == 0 && s.n >= ROOM_ID_LEN; s.p += ROOM_ID_LEN, s.n -= ROOM_ID_LEN) {
        struct room_id id;
        memcpy(id.b, s.p, ROOM_ID_LEN);
        struct room *r = room_offline(g, &id, &e);
        if (r == NULL && e.code != ERR_LIMIT)
            ret = list_fail(g, &e);
        if (r == NULL || r->pub.joined || !r->pub.ephemeral)
            continue;
        if (r->pub.name[0] != '\0')
            event_text(g, ENGINE_NOTE, r,
                       "%s is gone: it was ephemeral, and the relay was started anew or everybody "
                       "left",
                       r->pub.name);
        ret = store_begin(g, r) < 0 ? -1 : store_end(g, forget(g, r));
    }
    buf_free(&list);
    return ret < 0 ? -1 : list_write(g);
}
