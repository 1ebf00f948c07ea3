#include "support_world.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/store_sqlite.h"
#include "support_parts.h"
#include "tests/unit/scratch.h"

/* --- failing --- */

void world_fail(struct world *w, const char *fmt, ...)
{
    va_list ap;

    if (w->fail[0] != '\0')
        return;
    va_start(ap, fmt);
    vsnprintf(w->fail, sizeof w->fail, fmt, ap);
    va_end(ap);
}

bool world_good(const struct world *w)
{
    return w->fail[0] == '\0';
}

void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "support_world: %s\n", what);
    abort();
}

/* --- time --- */

void world_step(struct world *w, int64_t ms)
{
    w->mono += ms;
    relay_turn(w);
    for (int i = 0; i < PEOPLE && world_good(w); i++)
        member_turn(w, i);
}

void world_run(struct world *w, int64_t ms)
{
    for (int64_t end = w->mono + ms; w->mono < end && world_good(w);)
        world_step(w, STEP_MS);
}

static bool member_idle(const struct world *w, int who)
{
    const struct member_sim *m = w->m + who;

    if (m->g == NULL || m->l == NULL || engine_phase(m->g) != ENGINE_ONLINE ||
        m->l->up.first != NULL || m->l->down.first != NULL)
        return false;
    for (size_t i = 0; i < engine_rooms(m->g); i++) {
        const struct engine_room *r = engine_room_at(m->g, i);
        if (r->joined && !r->broken && (r->queued > 0 || r->number < r->last))
            return false;
    }
    return true;
}

bool world_settle(struct world *w, int64_t ms)
{
    int quiet = 0;

    for (int64_t end = w->mono + ms; w->mono < end && world_good(w);) {
        bool idle = w->core != NULL;
        world_step(w, STEP_MS);
        for (int i = 0; i < PEOPLE; i++)
            idle = idle && member_idle(w, i);
        quiet = idle ? quiet + 1 : 0;
        if (quiet >= 5)
            return true;
    }
    return false;
}

/* --- making and ending --- */

struct world *world_new(uint64_t seed, bool client_disks)
{
    struct world *w = calloc(1, sizeof *w);
    struct err e = {0};

    must(w != NULL, "no memory");
    disk_vfs();
    sqlite3_randomness(0, NULL);
    w->seed = seed;
    w->dice.s = seed;
    w->salt.s = ~seed;
    w->rng = rng_of(&w->salt);
    w->mono = NOON;
    w->delay = 50;
    w->lie_kind = CONTENT_UNKNOWN;
    buf_init(&w->lie_kept, FRAME_MAX + 4);
    snprintf(w->path, sizeof w->path, "%s/countersign-sim-%ld-relay", scratch_place(),
             (long)getpid());
    w->disk = disk_new(w->path, dice_u64(&w->dice));
    must(w->disk != NULL, "too many disks");
    w->store = (struct store){&store_sqlite, store_sqlite_open(w->path, STORE_CREATE, &e)};
    must(w->store.db != NULL, e.text);
    pool_store(&w->store, &w->rng);
    store_close(&w->store);
    (void)relay_boot(w);
    for (int i = 0; i < PEOPLE; i++)
        member_make(w, i, client_disks);
    return w;
}

void world_free(struct world *w)
{
    for (int i = 0; i < PEOPLE; i++) {
        struct member_sim *m = w->m + i;
        engine_free(m->g);
        if (m->keep.ops != NULL)
            m->keep.ops->close(m->keep.k);
        disk_free(m->disk);
        trust_free(m->trust);
    }
    for (int i = 0; i < CONNS; i++)
        if (w->conns[i].id != 0)
            link_end(w->conns + i);
    core_free(w->core);
    if (w->store.ops != NULL)
        store_close(&w->store);
    disk_free(w->disk);
    buf_free(&w->lie_kept);
    free(w);
}
