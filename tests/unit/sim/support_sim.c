#include "support_sim.h"

#include <stdio.h>
#include <string.h>

#include "support_world.h"

enum { ACTS_MIN = 30, ACTS_MORE = 50, SKEW_MS = 100 * 1000, HEAL_MS = 240 * 1000 };

static const char *const rooms[] = {"hall", "cellar", "attic"};

static int anybody(struct world *w)
{
    return (int)dice_below(&w->dice, PEOPLE);
}

/* The victim of a lie keeps his line and his program: he is to hear it. */
static int anybody_spared(struct world *w)
{
    int who = anybody(w);
    return w->lie != LIE_NONE && w->lie != LIE_ROLLBACK && who == w->victim ? -1 : who;
}

static void act_say(struct world *w)
{
    int who = anybody(w);
    const struct engine_room *r = world_room(w, who, rooms[dice_below(&w->dice, 3)]);

    if (r != NULL && r->joined)
        (void)world_say(w, who, &r->id, dice_one_in(&w->dice, 10) ? 9000 : 10);
}

static void act_cut(struct world *w)
{
    int who = anybody_spared(w);

    if (who >= 0 && w->m[who].l != NULL)
        link_cut(w, w->m[who].l);
}

static void act_partition(struct world *w)
{
    int who = anybody(w);

    if (w->m[who].l != NULL)
        w->m[who].l->stall = w->mono + (int64_t)dice_below(&w->dice, 20000);
}

static void act_restart(struct world *w)
{
    int who = anybody_spared(w);

    if (who >= 0 && w->m[who].g != NULL)
        member_stop(w, who);
}

static void act_power(struct world *w)
{
    int who = anybody_spared(w);

    if (who >= 0)
        disk_fuse(w->m[who].disk, 1 + dice_below(&w->dice, 40));
}

static void act_relay_restart(struct world *w)
{
    if (w->core == NULL)
        return;
    relay_stop(w);
    w->boot_at = w->mono + 1 + (int64_t)dice_below(&w->dice, 3000);
}

static void act_relay_power(struct world *w)
{
    disk_fuse(w->disk, 1 + dice_below(&w->dice, 60));
}

static int64_t skew(struct world *w)
{
    return (int64_t)dice_below(&w->dice, 2 * SKEW_MS) - SKEW_MS;
}

static void act_clock(struct world *w)
{
    if (dice_one_in(&w->dice, 3))
        w->relay_skew = skew(w);
    else
        w->m[anybody(w)].skew = skew(w);
}

/* Somebody goes, comes, opens a room or invites; what is refused is refused. */
static void act_rooms(struct world *w)
{
    int who = anybody(w), other = anybody(w);
    const char *name = rooms[dice_below(&w->dice, 3)];
    const struct engine_room *r = world_room(w, who, name);
    static const char *const people[PEOPLE] = {"alice", "bob", "carol", "dave"};
    struct err e = {0};
    bool cellar = strcmp(name, "cellar") == 0;

    if (w->m[who].g == NULL || engine_phase(w->m[who].g) != ENGINE_ONLINE)
        return;
    if (r == NULL || !r->joined)
        (void)(dice_one_in(&w->dice, 2)
                   ? engine_room_join(w->m[who].g, str_of(name), &e)
                   : engine_room_create(w->m[who].g, str_of(name), ENGINE_CREATE_HISTORY, &e));
    else if (dice_one_in(&w->dice, 3))
        (void)engine_room_leave(w->m[who].g, &r->id, &e);
    else if (!cellar || other != PEOPLE - 1) /* the last one stays a stranger to the cellar */
        (void)engine_room_invite(w->m[who].g, &r->id, str_of(people[other]), &e);
}

static const struct act {
    void (*run)(struct world *w);
    unsigned weight;
} acts[] = {
    {act_say, 40},  {act_cut, 6},           {act_partition, 6},   {act_restart, 4}, {act_power, 6},
    {act_clock, 4}, {act_relay_restart, 2}, {act_relay_power, 5}, {act_rooms, 8},
};

static void act(struct world *w)
{
    unsigned all = 0;

    for (size_t i = 0; i < COUNT(acts); i++)
        all += acts[i].weight;
    uint64_t n = dice_below(&w->dice, all);
    for (size_t i = 0; i < COUNT(acts); i++) {
        if (n < acts[i].weight) {
            acts[i].run(w);
            return;
        }
        n -= acts[i].weight;
    }
}

static void liar(struct world *w)
{
    const struct engine_room *r = world_room(w, 0, "hall");

    w->lie = (enum lie)(1 + dice_below(&w->dice, LIES - 1));
    w->victim = anybody(w);
    if (r != NULL)
        w->lie_room = r->id;
    if (w->lie == LIE_ROLLBACK) {
        w->lossy = true;
        disk_lies(w->disk, true);
    }
}

/* Why there is no rest. */
static void stuck(struct world *w, int who)
{
    const struct member_sim *m = w->m + who;

    if (m->g == NULL || engine_phase(m->g) != ENGINE_ONLINE) {
        world_fail(w, "member %d does not come back: %s", who, m->why);
        return;
    }
    for (size_t i = 0; i < engine_rooms(m->g); i++) {
        const struct engine_room *r = engine_room_at(m->g, i);
        if (r->joined && (r->queued > 0 || r->number < r->last))
            world_fail(w, "member %d is stuck in %s: %u queued, at %llu of %llu", who, r->name,
                       r->queued, (unsigned long long)r->number, (unsigned long long)r->last);
    }
}

static void heal(struct world *w)
{
    disk_lies(w->disk, false);
    disk_fuse(w->disk, UINT64_MAX);
    w->delay = 50;
    for (int i = 0; i < PEOPLE; i++)
        disk_fuse(w->m[i].disk, UINT64_MAX);
    for (int i = 0; i < CONNS; i++)
        w->conns[i].stall = 0;
    if (!world_settle(w, HEAL_MS) && w->lie == LIE_NONE)
        for (int i = 0; i < PEOPLE; i++)
            stuck(w, i);
}

/* Across a fork somebody has to speak before it can be seen. */
static void last_words(struct world *w)
{
    for (int i = 0; i < PEOPLE && world_good(w); i++)
        for (size_t k = 0; k < COUNT(rooms); k++) {
            const struct engine_room *r = world_room(w, i, rooms[k]);
            if (r != NULL && r->joined && !r->broken && !r->read_only)
                (void)world_say(w, i, &r->id, 3);
        }
    heal(w);
}

static void ask_members(struct world *w)
{
    struct err e = {0};

    for (int i = 0; i < PEOPLE; i++)
        for (size_t k = 0; k < COUNT(rooms); k++) {
            const struct engine_room *r = world_room(w, i, rooms[k]);
            if (r != NULL && r->joined && engine_phase(w->m[i].g) == ENGINE_ONLINE)
                (void)engine_members(w->m[i].g, &r->id, &e);
        }
    world_run(w, 2000);
    heal(w);
}

bool sim_seed(uint64_t seed, bool loud, struct sim_tally *t)
{
    struct world *w = world_new(seed, true);

    w->loud = loud;
    world_furnish(w);
    w->delay = 1 + (int64_t)dice_below(&w->dice, 400);
    if (seed % 3 == 0 && world_good(w))
        liar(w);
    for (uint64_t n = ACTS_MIN + dice_below(&w->dice, ACTS_MORE); n > 0 && world_good(w); n--) {
        act(w);
        world_run(w, (int64_t)dice_below(&w->dice, 1000));
    }
    heal(w);
    last_words(w);
    last_words(w);
    ask_members(w);
    if (world_good(w)) {
        if (w->lie == LIE_NONE)
            world_check_all(w);
        else
            t->noticed += world_check_lie(w) > 0;
    }
    t->seeds++;
    t->cuts += w->cuts;
    t->told += w->lied || (w->lie == LIE_ROLLBACK && w->lost > 0);
    for (size_t i = 0; i < w->notes_n; i++)
        t->said += w->notes[i].said;
    for (int i = 0; i < PEOPLE; i++)
        t->boots += w->m[i].boots;
    t->digest = w->digest;
    snprintf(t->fail, sizeof t->fail, "%s", w->fail);
    world_free(w);
    return t->fail[0] == '\0';
}
