/* Who may read what, by the relay's own rows; nothing else may reach anybody. */
#include <string.h>

#include "server/core/store_window.h"
#include "support_parts.h"

static struct seat *seat_of(struct world *w, const struct room_id *room, int who)
{
    for (size_t i = 0; i < w->seats_n; i++)
        if (w->seats[i].who == who && memcmp(&w->seats[i].room, room, sizeof *room) == 0)
            return w->seats + i;
    must(w->seats_n < SEATS, "too many rooms");
    w->seats[w->seats_n] = (struct seat){.room = *room, .who = who, .from = UINT64_MAX};
    return w->seats + w->seats_n++;
}

static int who_is(const struct account_id *id)
{
    for (int i = 0; i < PEOPLE; i++)
        if (memcmp(id, &pool_get()->id[i], sizeof *id) == 0)
            return i;
    return -1;
}

static int seat_row(void *ctx, const struct store_member *row)
{
    struct world *w = ctx;
    struct seat *s = seat_of(w, &row->room, who_is(&row->account));

    s->in = row->state == STATE_MEMBER;
    if (row->from != 0)
        s->from = row->from;
    return 0;
}

struct tip_find {
    const struct room_id *room;
    uint64_t number;
};

static int tip_row(void *ctx, const struct store_room *row, const struct store_tip *tip)
{
    struct tip_find *f = ctx;

    if (memcmp(&row->id, f->room, sizeof row->id) == 0)
        f->number = tip->number;
    return 0;
}

const struct mist *world_mist(const struct world *w, const struct room_id *room)
{
    for (size_t i = 0; i < w->mists_n; i++)
        if (memcmp(&w->mists[i].id, room, sizeof *room) == 0)
            return w->mists + i;
    return NULL;
}

bool world_sits(const struct world *w, int who, const struct room_id *room)
{
    for (size_t i = 0; i < w->seats_n; i++)
        if (w->seats[i].who == who && memcmp(&w->seats[i].room, room, sizeof *room) == 0)
            return w->seats[i].in;
    return false;
}

static int mist_row(void *ctx, const struct store_room *row, const struct store_tip *tip)
{
    struct world *w = ctx;
    struct mist *x = (struct mist *)(uintptr_t)world_mist(w, &row->id);

    if (x == NULL) {
        must(w->mists_n < ROOMS, "too many rooms");
        x = w->mists + w->mists_n++;
        x->id = row->id;
    }
    x->there = true;
    x->tip = tip->number;
    x->first = store_window_first(world_window(w)->db, &row->id);
    return 0;
}

static uint64_t room_tip(struct world *w, const struct room_id *room)
{
    const struct mist *x = world_mist(w, room);

    struct tip_find f = {room, 0};
    struct err e = {0};

    if (x != NULL)
        return x->tip;
    if (w->store.ops->room_each(w->store.db, tip_row, &f, &e) < 0)
        world_fail(w, "rooms: %s", e.text);
    return f.number;
}

void seats_read(struct world *w)
{
    struct err e = {0};

    for (size_t i = 0; i < w->seats_n; i++) {
        w->seats[i].was = w->seats[i].in;
        w->seats[i].from_was = w->seats[i].from;
        w->seats[i].in = false; /* a lost room has no rows at all */
    }
    if (w->store.ops->member_each(w->store.db, seat_row, w, &e) < 0)
        world_fail(w, "members: %s", e.text);
    for (size_t i = 0; i < w->mists_n; i++)
        w->mists[i].there = false;
    world_mist_each(w, mist_row, seat_row);
    for (size_t i = 0; i < w->seats_n; i++)
        if (w->seats[i].was && !w->seats[i].in)
            w->seats[i].left = room_tip(w, &w->seats[i].room);
}

void seat_check(struct world *w, int who, const struct room_id *room, uint64_t number)
{
    const struct seat *s = seat_of(w, room, who);
    bool late = !s->in && number <= s->left;

    if ((s->in || s->was || late) && (number >= s->from || number >= s->from_was))
        return;
    world_fail(w, "%s was given message %llu of a room he is not in, or from before his time",
               world_name(who), (unsigned long long)number);
}
