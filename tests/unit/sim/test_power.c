/* The power fails at 500 moments of the relay's disk and at 500 of the clients': what was
 * acknowledged is there, what was sent is there with the same bytes. And the proof that these
 * checks can fail: a disk that does not sync, and a relay that acknowledges too early, lose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "support_world.h"

enum { CUTS = 500, CUTS_PER_WORLD = 25 };

struct figures {
    unsigned cuts, lost;
    uint64_t torn, acked;
};

struct plan {
    bool relay, clients; /* whose disks are cut */
    bool lies, early;
};

static bool all_up(struct world *w)
{
    for (int i = 0; i < PEOPLE; i++)
        if (w->m[i].g == NULL || w->m[i].l == NULL || engine_phase(w->m[i].g) != ENGINE_ONLINE)
            return false;
    return w->core != NULL;
}

static void talk(struct world *w, const char *room)
{
    for (int i = 0; i < PEOPLE; i++) {
        const struct engine_room *r = world_room(w, i, room);
        if (r != NULL && r->joined && dice_one_in(&w->dice, 2))
            (void)world_say(w, i, &r->id,
                            dice_one_in(&w->dice, 6) ? dice_below(&w->dice, 30000) : 20);
    }
}

/* By a connection of our own, so that the power may also fail while the log moves into the file. */
static void checkpoint(const char *path)
{
    sqlite3 *db = NULL;

    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK)
        (void)sqlite3_exec(db, "PRAGMA wal_checkpoint(PASSIVE)", NULL, NULL, NULL);
    sqlite3_close(db);
}

static void one_cut(struct world *w, const struct plan *p)
{
    unsigned before = w->cuts;
    struct member_sim *m = w->m + dice_below(&w->dice, PEOPLE);
    struct disk *d = p->relay ? w->disk : m->disk;

    for (int i = 0; i < 2000 && world_good(w) && !all_up(w); i++)
        world_step(w, STEP_MS);
    disk_fuse(d, 1 + dice_below(&w->dice, 60));
    for (int i = 0; i < 3000 && world_good(w) && w->cuts == before; i++) {
        if (i % 20 == 0 && i < 400)
            talk(w, dice_one_in(&w->dice, 3) ? "cellar" : "hall");
        if (i == 41 && dice_one_in(&w->dice, 3) && !disk_dead(d))
            checkpoint(p->relay ? w->path : m->path);
        world_step(w, STEP_MS);
        if (i == 1000)
            disk_cut(d); /* nothing was written for a long time */
    }
    world_run(w, 4000);
}

static void one_world(uint64_t seed, const struct plan *p, struct figures *f)
{
    struct world *w = world_new(seed, p->clients);

    w->lossy = p->lies || p->early;
    w->early = p->early;
    world_furnish(w);
    disk_lies(w->disk, p->lies && p->relay);
    for (int i = 0; i < PEOPLE && p->clients; i++)
        disk_lies(w->m[i].disk, p->lies);
    for (int i = 0; i < CUTS_PER_WORLD && world_good(w) && (!w->lossy || w->lost == 0); i++)
        one_cut(w, p);
    if (!w->lossy && world_good(w)) {
        if (!world_settle(w, 60000))
            world_fail(w, "they do not come to rest");
        else
            world_check_all(w);
    }
    f->cuts += w->cuts;
    f->lost += w->lost;
    f->torn += disk_torn(w->disk);
    for (int i = 0; i < PEOPLE && p->clients; i++)
        f->torn += disk_torn(w->m[i].disk);
    for (size_t i = 0; i < w->notes_n; i++)
        f->acked += w->notes[i].acked;
    if (!world_good(w))
        print_message("# seed %llu: %s\n", (unsigned long long)seed, w->fail);
    assert_true(world_good(w));
    world_free(w);
}

static struct figures run(const struct plan *p, unsigned cuts)
{
    struct figures f = {0};

    for (uint64_t seed = 1; f.cuts < cuts && (f.lost == 0 || !(p->lies || p->early)); seed++)
        one_world(seed, p, &f);
    print_message("# %u cuts, %llu sectors lost or spoilt, %llu acknowledged, %u lost\n", f.cuts,
                  (unsigned long long)f.torn, (unsigned long long)f.acked, f.lost);
    return f;
}

static void test_relay_cut_500_times(void **state)
{
    struct figures f = run(&(struct plan){.relay = true}, CUTS);

    (void)state;
    assert_int_equal(f.lost, 0);
    assert_true(f.cuts >= CUTS && f.torn > CUTS && f.acked > CUTS);
}

static void test_clients_cut_500_times(void **state)
{
    struct figures f = run(&(struct plan){.clients = true}, CUTS);

    (void)state;
    assert_int_equal(f.lost, 0);
    assert_true(f.cuts >= CUTS && f.torn > CUTS && f.acked > CUTS);
}

static void test_relay_without_sync_loses(void **state)
{
    (void)state;
    assert_true(run(&(struct plan){.relay = true, .lies = true}, CUTS).lost > 0);
}

static void test_relay_that_acknowledges_early_loses(void **state)
{
    (void)state;
    assert_true(run(&(struct plan){.relay = true, .early = true}, CUTS).lost > 0);
}

static void test_client_without_sync_loses(void **state)
{
    (void)state;
    assert_true(run(&(struct plan){.clients = true, .lies = true}, CUTS).lost > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relay_cut_500_times),
        cmocka_unit_test(test_clients_cut_500_times),
        cmocka_unit_test(test_relay_without_sync_loses),
        cmocka_unit_test(test_relay_that_acknowledges_early_loses),
        cmocka_unit_test(test_client_without_sync_loses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
