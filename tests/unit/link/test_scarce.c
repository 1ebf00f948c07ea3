/* F5: a handshake without memory, at allocations all along it: it fails, and the next one with the
 * same keys is as good as any. (mbedTLS alone would spoil an RSA key for good.)
 * Which sentence tells of it is not judged: a signature that cannot be computed is a bad one. */
#include "tests/unit/link/support_link.h"
#include "tests/unit/memory.h"

static struct world *w;

static int setup(void **state)
{
    (void)state;
    w = world_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(w);
    return 0;
}

/* The ends of one handshake; what it needs beside them it has before. */
struct scarce {
    struct pair p;
    struct link_ready *ready[2];
    bool established[2];
};

static void see(struct scarce *s, enum role r)
{
    struct link_event ev;

    while (link_next(s->p.end[r], &ev))
        s->established[r] = s->established[r] || ev.kind == LINK_ESTABLISHED;
}

static bool move(struct scarce *s, enum role from)
{
    enum role to = from == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
    struct span out = link_out(s->p.end[from]);

    if (out.n == 0)
        return false;
    (void)!link_feed(s->p.end[to], out.p, out.n);
    link_sent(s->p.end[from], out.n);
    see(s, to);
    see(s, from);
    return true;
}

static void pump(struct scarce *s)
{
    while (move(s, ROLE_CLIENT) || move(s, ROLE_RELAY))
        ;
}

/* Up to the relay's first word, without which no client believes that it is let in. */
static void shake(struct scarce *s)
{
    struct err e = {0};

    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        s->p.conf[r].ready = s->ready[r];
        s->p.end[r] = link_new(r, &s->p.conf[r], &e);
        s->established[r] = false;
    }
    if (s->p.end[ROLE_CLIENT] == NULL || s->p.end[ROLE_RELAY] == NULL)
        return;
    see(s, ROLE_CLIENT);
    pump(s);
    if (s->established[ROLE_RELAY] &&
        link_send(s->p.end[ROLE_RELAY], (const uint8_t *)"hi", 2) == 0)
        pump(s);
}

static void part(struct scarce *s)
{
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        link_free(s->p.end[r]);
        s->p.end[r] = NULL;
    }
}

/* The keys of the other links sign as those of messages do (client/test_unsaid.c). */
static void no_memory_spoils_no_key(void **state)
{
    struct scarce s;
    struct err e = {0};
    unsigned failed = 0;

    (void)state;
    pair_conf(&s.p, w);
    s.ready[ROLE_RELAY] = link_ready_new(ROLE_RELAY, &s.p.conf[ROLE_RELAY], &e);
    missed = true;
    for (unsigned long n = 0; missed; n += 97) { /* odd: both ways to fail */
        s.ready[ROLE_CLIENT] = link_ready_new(ROLE_CLIENT, &s.p.conf[ROLE_CLIENT], &e);
        memory_for(n);
        shake(&s);
        memory_back();
        failed += !s.established[ROLE_CLIENT] || !s.established[ROLE_RELAY];
        part(&s);
        shake(&s);
        assert_true(s.established[ROLE_CLIENT] && s.established[ROLE_RELAY]);
        part(&s);
        link_ready_free(s.ready[ROLE_CLIENT]);
    }
    assert_true(failed > 10);
    link_ready_free(s.ready[ROLE_RELAY]);
    pair_free(&s.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_memory_spoils_no_key)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
