#include "support_sim.h"

#include <stdio.h>
#include <string.h>

#include "support_world.h"

enum {
    ACTS_MIN = 30,
    ACTS_MORE = 50,
    SKEW_MS = 100 * 1000,
    HEAL_MS = 240 * 1000,
    ASKED_MS = 20 * 1000,
    AWAY_MS = 5 * 1000
};

/* mist: without a disk; the last has no name of its own, and nobody goes in or out. */
static const char *const rooms[] = {"hall", "cellar", "attic", "mist", "@"};
enum { NAMED = COUNT(rooms) - 1 };

static int anybody(struct world *w)
{
    return (int)dice_below(&w->dice, PEOPLE);
}

/* What is told of a room at every login is heard when somebody comes back. */
static bool told_at_login(enum lie lie)
{
    return lie == LIE_KIND || lie == LIE_WITH || lie == LIE_FROM;
}

/* The victim of another lie keeps his line and his program: he is to hear it. */
static int anybody_spared(struct world *w)
{
    int who = anybody(w);
    bool spared = w->lie != LIE_NONE && w->lie != LIE_ROLLBACK && !told_at_login(w->lie);

    return spared && who == w->victim ? -1 : who;
}

static void act_say(struct world *w)
{
    int who = anybody(w);
    const struct engine_room *r = world_room(w, who, rooms[dice_below(&w->dice, COUNT(rooms))]);

    if (r != NULL && r->joined)
        (void)world_say(w, who, &r->id, dice_one_in(&w->dice, 10) ? 9000 : 10);
}

/* More than the relay keeps of a room without a disk. */
static void act_flood(struct world *w)
{
    int who = anybody(w);
    const struct engine_room *r = world_room(w, who, "mist");

    for (int i = 0; i < 6 && r != NULL && r->joined; i++) {
        (void)world_say(w, who, &r->id, 60000);
        world_run(w, 200);
        r = world_room(w, who, "mist");
    }
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
    const char *name = rooms[dice_below(&w->dice, NAMED)];
    unsigned what = strcmp(name, "mist") == 0 ? ENGINE_CREATE_EPHEMERAL : ENGINE_CREATE_HISTORY;
    const struct engine_room *r = world_room(w, who, name);
    static const char *const people[PEOPLE] = {"alice", "bob", "carol", "dave"};
    struct err e = {0};
    bool cellar = strcmp(name, "cellar") == 0;

    if (w->m[who].g == NULL || engine_phase(w->m[who].g) != ENGINE_ONLINE)
        return;
    if (r == NULL || !r->joined)
        (void)(dice_one_in(&w->dice, 2) ? engine_room_join(w->m[who].g, str_of(name), &e)
                                        : engine_room_create(w->m[who].g, str_of(name), what, &e));
    else if (dice_one_in(&w->dice, 3))
        (void)engine_room_leave(w->m[who].g, &r->id, &e);
    else if (!cellar || other != PEOPLE - 1) /* the last one stays a stranger to the cellar */
        (void)engine_room_invite(w->m[who].g, &r->id, str_of(people[other]), &e);
}

static void act_chat(struct world *w)
{
    int who = anybody(w), other = anybody(w);
    struct err e = {0};

    if (w->m[who].g != NULL && who != other)
        (void)engine_room_direct(w->m[who].g, str_of(world_name(other)), &e);
}

/* Liars have enough to do. */
static void act_enrol(struct world *w)
{
    if (w->lie == LIE_NONE)
        world_enrol(w);
}

static void act_accept(struct world *w)
{
    world_accept(w, anybody(w));
}

static const struct act {
    void (*run)(struct world *w);
    unsigned weight;
} acts[] = {
    {act_say, 40},  {act_cut, 6},           {act_partition, 6},   {act_restart, 4}, {act_power, 6},
    {act_clock, 4}, {act_relay_restart, 2}, {act_relay_power, 5}, {act_rooms, 8},   {act_flood, 2},
    {act_enrol, 1}, {act_accept, 2},        {act_chat, 2},
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

/* What a relay lies about, and where. Rolls are told to newcomers only, while the rooms are
 * furnished. Most lies are noticed by most victims: one that crosses a line that breaks, or whose
 * entry was fetched anew, was never heard. A list is asked for at the end, so that one MUST be
 * noticed. Two CANNOT be: an entry of a roll that comes twice changes nothing, and of a room in
 * which the relay lets nobody speak any more only the past can be true. */
static const struct plan {
    enum lie lie;
    enum content_kind kind;
    const char *what, *room;
    enum { MAY, MUST, CANNOT } notice;
} plans[SIM_LIES] = {
    {LIE_BODY, CONTENT_UNKNOWN, "a body changed", "hall", MAY},
    {LIE_LINE, CONTENT_UNKNOWN, "a line changed", "hall", MAY},
    {LIE_AUTHOR, CONTENT_UNKNOWN, "another author", "hall", MAY},
    {LIE_REPLAY, CONTENT_UNKNOWN, "an entry replayed", "hall", MAY},
    {LIE_SWAP, CONTENT_UNKNOWN, "two entries swapped", "hall", MAY},
    {LIE_FORK, CONTENT_UNKNOWN, "an entry left out", "hall", MAY},
    {LIE_ROLLBACK, CONTENT_UNKNOWN, "history rolled back", "", MAY},
    {LIE_AUTHOR, CONTENT_JOIN, "a join its author did not sign", "hall", MAY},
    {LIE_FORK, CONTENT_JOIN, "a join left out", "hall", MAY},
    {LIE_FORK, CONTENT_LEAVE, "a leave held back", "hall", MAY},
    {LIE_REPLAY, CONTENT_LEAVE, "a leave replayed", "hall", MAY},
    {LIE_BODY, CONTENT_LEAVE, "a leave altered", "hall", MAY},
    {LIE_GHOST, CONTENT_UNKNOWN, "a seat nobody signed", "cellar", MUST},
    {LIE_HIDDEN, CONTENT_UNKNOWN, "a member not listed", "cellar", MUST},
    {LIE_VOID, CONTENT_JOIN, "a join told as void", "cellar", MAY},
    {LIE_VOID, CONTENT_LEAVE, "a leave told as void", "cellar", MAY},
    {LIE_PUBLIC, CONTENT_UNKNOWN, "a room by invitation told as open", "", MUST},
    {LIE_KIND, CONTENT_UNKNOWN, "an open room told as by invitation", "hall", MUST},
    {LIE_KIND, CONTENT_UNKNOWN, "a room of two told as open", "@", MUST},
    {LIE_WITH, CONTENT_UNKNOWN, "a room of two told as with another", "@", MUST},
    {LIE_GHOST, CONTENT_UNKNOWN, "a third in a room of two", "@", MUST},
    {LIE_FROM, CONTENT_UNKNOWN, "what was missed told as not his", "hall", MAY},
    {LIE_ROLL_INVITE, CONTENT_UNKNOWN, "a roll with an altered invitation", "", MUST},
    {LIE_ROLL_VOID, CONTENT_UNKNOWN, "a roll with an entry told as void", "", MUST},
    {LIE_ROLL_STILL, CONTENT_UNKNOWN, "a roll that does not go on", "", MUST},
    {LIE_ROLL_AHEAD, CONTENT_JOIN, "a roll of what is to come", "", MAY},
    {LIE_ROLL_ACCOUNT, CONTENT_UNKNOWN, "a guest's account, signed anew", "", MUST},
    {LIE_ROLL_AT, CONTENT_UNKNOWN, "a vouching for later, signed anew", "", MUST},
    {LIE_ROLL_NAME, CONTENT_UNKNOWN, "a join in another name, signed anew", "", MUST},
    {LIE_ROLL_PAIR, CONTENT_UNKNOWN, "a join of a pair, signed anew", "", MUST},
    {LIE_ROLL_CUT, CONTENT_UNKNOWN, "a roll cut", "", MAY},
    {LIE_ROLL_SWAP, CONTENT_UNKNOWN, "a roll out of order", "", MAY},
    {LIE_ROLL_LESS, CONTENT_UNKNOWN, "two members shown two rolls", "", MAY},
    {LIE_ROLL_TWICE, CONTENT_UNKNOWN, "a roll with an entry twice", "", CANNOT},
    {LIE_WITHHELD, CONTENT_LEAVE, "a leave and all after it withheld", "hall", CANNOT},
};

/* The rolls that are lied about are those of the cellar, told to those who are invited. */
static const struct plan *liar(struct world *w)
{
    const struct plan *p = plans + w->seed / 2 % SIM_LIES;

    w->lie = p->lie;
    w->lie_kind = p->kind;
    w->victim = p->room[0] == '\0'               ? 1 + (int)dice_below(&w->dice, 2)
                : strcmp(p->room, "@") == 0      ? (int)dice_below(&w->dice, 2)
                : strcmp(p->room, "cellar") == 0 ? (int)dice_below(&w->dice, PEOPLE - 1)
                                                 : anybody(w);
    if (w->lie == LIE_ROLLBACK) {
        w->lossy = true;
        disk_lies(w->disk, true);
    }
    return p;
}

/* From now on it lies of this room. */
static void liar_room(struct world *w, const struct plan *p)
{
    const struct engine_room *r = p->room[0] == '\0' ? NULL : world_room(w, 0, p->room);

    if (r != NULL)
        w->lie_room = r->id;
}

static void tally_lie(struct world *w, struct sim_tally *t, const struct plan *p)
{
    const struct engine_room *r = engine_room_get(w->m[w->victim].g, &w->lie_room);
    unsigned noticed = world_check_lie(w);
    size_t i = (size_t)(p - plans);

    t->lies[i].told += w->lied || (w->lie == LIE_ROLLBACK && w->lost > 0);
    t->lies[i].noticed += noticed > 0;
    t->told += w->lied || (w->lie == LIE_ROLLBACK && w->lost > 0);
    t->noticed += noticed > 0;
    if (p->notice == CANNOT && noticed > 0)
        world_fail(w, "\"%s\" was noticed: %s", p->what, w->m[w->victim].why);
    if (p->notice == MUST && w->lied && r != NULL && r->joined && !member_noticed(w, w->victim))
        world_fail(w, "\"%s\" was told to member %d, who noticed nothing", p->what, w->victim);
}

/* What the lie is about has to happen. */
static void act_seats(struct world *w, const struct plan *p)
{
    int who = anybody(w), host = anybody(w);
    const struct engine_room *r = world_room(w, who, p->room), *at = world_room(w, host, p->room);
    bool cellar = strcmp(p->room, "cellar") == 0;
    struct err e = {0};

    if (who == w->victim || w->m[who].g == NULL || (cellar && who == PEOPLE - 1))
        return;
    if (r != NULL && r->joined)
        (void)engine_room_leave(w->m[who].g, &r->id, &e);
    else if (cellar && w->m[host].g != NULL && at != NULL && dice_one_in(&w->dice, 2))
        (void)engine_room_invite(w->m[host].g, &at->id, str_of(world_name(who)), &e);
    else
        (void)engine_room_join(w->m[who].g, str_of(p->room), &e);
}

/* While the victim is not there, the others speak. */
static void act_absence(struct world *w)
{
    struct member_sim *m = w->m + w->victim;

    if (m->g == NULL || !dice_one_in(&w->dice, 4))
        return;
    member_stop(w, w->victim);
    m->boot_at = w->mono + AWAY_MS;
    for (int i = 0; i < PEOPLE; i++) {
        const struct engine_room *r = world_room(w, i, "hall");
        if (i != w->victim && r != NULL && r->joined)
            (void)world_say(w, i, &r->id, 10);
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

/* The victim of a lie is to hear it. */
static void balks(struct world *w, bool on)
{
    for (int i = 0; i < PEOPLE; i++) {
        w->m[i].balk.s = on ? w->seed * PEOPLE + (uint64_t)i : 0;
        w->m[i].balks = on && (w->lie == LIE_NONE || i != w->victim);
    }
}

/* What waits for a person's yes would wait for ever: all say it, as soon as they are asked. */
static bool settle(struct world *w)
{
    for (int n = 0; n < HEAL_MS / ASKED_MS; n++) {
        for (int i = 0; i < PEOPLE; i++)
            world_accept(w, i);
        if (world_settle(w, ASKED_MS))
            return true;
    }
    return false;
}

static void heal(struct world *w)
{
    balks(w, false);
    disk_lies(w->disk, false);
    disk_fuse(w->disk, UINT64_MAX);
    w->delay = 50;
    for (int i = 0; i < PEOPLE; i++)
        disk_fuse(w->m[i].disk, UINT64_MAX);
    for (int i = 0; i < CONNS; i++)
        w->conns[i].stall = 0;
    if (!settle(w) && w->lie == LIE_NONE)
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

/* A room without a disk, and who happens to be there is in it. */
static void mist(struct world *w)
{
    struct err e = {0};

    if (w->m[0].g == NULL || !world_good(w))
        return;
    (void)engine_room_create(w->m[0].g, str_of("mist"), ENGINE_CREATE_EPHEMERAL, &e);
    world_run(w, 1000);
    for (int i = 1; i < PEOPLE; i++)
        if (w->m[i].g != NULL)
            (void)engine_room_join(w->m[i].g, str_of("mist"), &e);
    world_run(w, 1000);
}

static void story(struct world *w, const struct plan *p)
{
    for (uint64_t n = ACTS_MIN + dice_below(&w->dice, ACTS_MORE); n > 0 && world_good(w); n--) {
        act(w);
        if (p != NULL && p->kind != CONTENT_UNKNOWN)
            act_seats(w, p);
        if (p != NULL && p->lie == LIE_FROM)
            act_absence(w);
        world_run(w, (int64_t)dice_below(&w->dice, 1000));
    }
    heal(w);
    last_words(w);
    last_words(w);
    ask_members(w);
}

static void tally(struct world *w, struct sim_tally *t)
{
    t->seeds++;
    t->cuts += w->cuts;
    t->balked += w->balked;
    for (size_t i = 0; i < SIM_LIES; i++) {
        t->lies[i].what = plans[i].what;
        t->lies[i].silent = plans[i].notice == CANNOT;
    }
    t->mists += (unsigned)w->mists_n;
    for (size_t i = 0; i < w->mists_n; i++)
        t->fallen += w->mists[i].first > 1;
    t->enrolled += w->enrolled;
    t->stopped += w->stopped;
    for (size_t i = 0; i < w->notes_n; i++)
        t->said += w->notes[i].said;
    for (int i = 0; i < PEOPLE; i++)
        t->boots += w->m[i].boots;
    t->digest = w->digest;
    snprintf(t->fail, sizeof t->fail, "%s", w->fail);
}

bool sim_seed(uint64_t seed, bool loud, struct sim_tally *t)
{
    struct world *w = world_new(seed, true);
    const struct plan *p = seed % 2 == 0 ? liar(w) : NULL;

    w->loud = loud;
    world_furnish(w);
    if (p != NULL)
        liar_room(w, p);
    mist(w);
    w->delay = 1 + (int64_t)dice_below(&w->dice, 400);
    balks(w, true);
    story(w, p);
    if (world_good(w) && p == NULL)
        world_check_all(w);
    else if (world_good(w))
        tally_lie(w, t, p);
    tally(w, t);
    world_free(w);
    return t->fail[0] == '\0';
}
