/* What people do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_parts.h"

static const struct engine_room *room_of_two(const struct engine *g)
{
    for (size_t i = 0; i < engine_rooms(g); i++)
        if (engine_room_at(g, i)->kind == ENGINE_DIRECT && engine_room_at(g, i)->joined)
            return engine_room_at(g, i);
    return NULL;
}

const struct engine_room *world_room(struct world *w, int who, const char *name)
{
    const struct engine *g = w->m[who].g;

    if (g == NULL)
        return NULL;
    return strcmp(name, "@") == 0 ? room_of_two(g) : engine_room_named(g, str_of(name));
}

uint64_t world_say(struct world *w, int who, const struct room_id *room, size_t padding)
{
    struct member_sim *m = w->m + who;
    struct err e = {0};
    char head[48];

    if (m->g == NULL)
        return 0;
    int n = snprintf(head, sizeof head, "%s says %llx ", world_name(who),
                     (unsigned long long)dice_u64(&w->dice));
    char *text = malloc((size_t)n + padding + 1);
    must(text != NULL, "no memory");
    memcpy(text, head, (size_t)n);
    memset(text + n, 'x', padding);
    text[(size_t)n + padding] = '\0';
    struct hash digest;
    sha256(span_of(text, (size_t)n + padding), &digest);
    uint64_t seq = engine_say(m->g, room, str_of(text), &e);
    free(text);
    w->stopped += seq == 0 && e.code == ERR_AUTH && w->enrolled;
    if (seq > 0) {
        struct note *t = note_find(w, who, room, seq);
        if (t->said)
            note_lost(w, "a seq was given twice", t);
        t->said = true;
        t->text = digest;
        key_check(w, who, room);
    }
    member_flush(w, who);
    return seq;
}

static void wait_room(struct world *w, int who, const char *name)
{
    for (int i = 0; i < 500 && world_good(w) && world_room(w, who, name) == NULL; i++)
        world_step(w, STEP_MS);
}

void world_furnish(struct world *w)
{
    struct err e = {0};

    if (!world_settle(w, 20000))
        world_fail(w, "they do not all come online: %s", w->m[0].why);
    if (!world_good(w))
        return;
    must(engine_room_create(w->m[0].g, str_of("hall"), ENGINE_CREATE_HISTORY, &e) != 0, e.text);
    /* Who comes later is told by a roll who is in it. */
    must(engine_room_create(w->m[0].g, str_of("cellar"), ENGINE_CREATE_PRIVATE, &e) != 0, e.text);
    must(engine_room_direct(w->m[0].g, str_of(world_name(1)), &e) != 0, e.text);
    member_flush(w, 0);
    wait_room(w, 0, "cellar");
    for (int i = 1; i < PEOPLE && world_good(w); i++) {
        const struct engine_room *cellar = world_room(w, 0, "cellar");
        if (i < PEOPLE - 1)
            must(cellar != NULL &&
                     engine_room_invite(w->m[0].g, &cellar->id, str_of(world_name(i)), &e) != 0,
                 "invite");
        must(engine_room_join(w->m[i].g, str_of("hall"), &e) != 0, e.text);
        member_flush(w, 0);
        member_flush(w, i);
    }
    world_run(w, 2000);
    for (int i = 1; i < PEOPLE - 1 && world_good(w); i++) {
        must(engine_room_join(w->m[i].g, str_of("cellar"), &e) != 0, e.text);
        member_flush(w, i);
    }
    world_run(w, 2000);
    for (int i = 0; i < PEOPLE && world_good(w); i++) {
        const struct engine_room *hall = world_room(w, i, "hall");
        if (hall == NULL || !hall->joined)
            world_fail(w, "%s is not in the hall: %s", world_name(i), w->m[i].why);
    }
}

void world_accept(struct world *w, int who)
{
    struct member_sim *m = w->m + who;
    struct err e = {0};

    if (m->g == NULL || !w->enrolled)
        return;
    /* Shown in this run or written down in one before, and even if its disk dies over it. */
    m->accepted =
        engine_accept(m->g, str_of(world_name(ENROLLED)), &e) != 0 || m->shown_key || m->accepted;
    member_flush(w, who);
}

/* A further certificate of somebody: the relay starts anew and lists it. */
void world_enrol(struct world *w)
{
    struct store_device d = {
        .fp = pool_get()->fp[PEOPLE], .account = pool_get()->id[ENROLLED], .since = w->mono};
    static struct store_chain chain;
    struct err e = {0};

    if (w->core == NULL || w->enrolled || disk_dead(w->disk))
        return;
    snprintf(d.name, sizeof d.name, "phone");
    pool_chain(PEOPLE, &chain);
    w->enrolled = true; /* or not, when the disk dies over it: the lists will say */
    (void)!(w->store.ops->begin(w->store.db, &e) == 0 &&
            w->store.ops->device_add(w->store.db, &d, &chain, &e) == 0 &&
            w->store.ops->commit(w->store.db, &e) == 0);
    relay_stop(w);
    w->boot_at = w->mono + 1 + (int64_t)dice_below(&w->dice, 3000);
}
