/* The rule of link.h: handshakes on a worker with its own keys, then the link moves for good while
 * the worker goes on, renews its keys and ends. Meant to be run under ThreadSanitizer too. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/link/support_link.h"

enum { LINKS = 12, MESSAGES = 40 };

static atomic_uint_fast64_t ticks;

static uint64_t steady(void *ctx)
{
    (void)ctx;
    return atomic_fetch_add(&ticks, 1);
}

/* One place for one pair: the worker puts, the loop takes. */
struct handover {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct pair *pair;
    struct world *w;
};

static void put(struct handover *h, struct pair *p)
{
    pthread_mutex_lock(&h->lock);
    while (h->pair != NULL)
        pthread_cond_wait(&h->moved, &h->lock);
    h->pair = p;
    pthread_cond_signal(&h->moved);
    pthread_mutex_unlock(&h->lock);
}

static struct pair *take(struct handover *h)
{
    pthread_mutex_lock(&h->lock);
    while (h->pair == NULL)
        pthread_cond_wait(&h->moved, &h->lock);
    struct pair *p = h->pair;
    h->pair = NULL;
    pthread_cond_signal(&h->moved);
    pthread_mutex_unlock(&h->lock);
    return p;
}

static struct pair *meet(struct world *w, struct link_ready **ready)
{
    struct pair *p = malloc(sizeof *p);
    struct err e = {0};

    if (p == NULL)
        abort();
    pair_conf(p, w);
    p->conf[ROLE_CLIENT].mono = p->conf[ROLE_RELAY].mono = steady;
    if (*ready == NULL)
        *ready = link_ready_new(ROLE_RELAY, &p->conf[ROLE_RELAY], &e);
    p->conf[ROLE_RELAY].ready = *ready;
    pair_meet(p, 1 << 20);
    return p;
}

static void *worker(void *ctx)
{
    struct handover *h = ctx;
    struct link_ready *ready = NULL;

    for (int i = 0; i < LINKS; i++) {
        put(h, meet(h->w, &ready));
        if (i % 4 == 3) { /* new certificates: old links live on */
            link_ready_free(ready);
            ready = NULL;
        }
    }
    return NULL;
}

static void chat(struct pair *p)
{
    size_t had[2] = {p->got[0].len, p->got[1].len};
    uint8_t text[300];

    memset(text, 'x', sizeof text);
    assert_true(p->established[ROLE_CLIENT] && p->established[ROLE_RELAY]);
    for (int i = 0; i < MESSAGES; i++) {
        for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++)
            assert_int_equal(link_send(p->end[r], text, sizeof text), 0);
        pair_pump(p, 1 << 20);
    }
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        assert_int_equal(p->got[r].len - had[r], MESSAGES * sizeof text);
        assert_false(p->failed[r]);
    }
}

static void links_move_to_another_thread_once_established(void **state)
{
    struct handover h = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};
    struct pair *all[LINKS];
    pthread_t t;

    (void)state;
    h.w = world_new();
    assert_int_equal(pthread_create(&t, NULL, worker, &h), 0);
    for (int i = 0; i < LINKS; i++) {
        all[i] = take(&h);
        for (int k = 0; k <= i; k++)
            chat(all[k]);
    }
    assert_int_equal(pthread_join(t, NULL), 0);
    for (int i = 0; i < LINKS; i++) {
        pair_free(all[i]);
        free(all[i]);
    }
    world_free(h.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_move_to_another_thread_once_established),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
