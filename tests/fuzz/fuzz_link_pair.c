/* Two real ends and somebody between them who does what the input says: (where, what) pairs, each
 * an offset from the last place and a byte that is xored there. So the fuzzer gets behind the
 * encryption, where bytes of its own would never come. */
#include "tests/fuzz/fuzz_link.h"

struct middle {
    const uint8_t *at, *end;
    size_t place; /* of the next change, in all bytes of both directions */
    uint8_t mask;
    size_t passed;
    bool changed;
};

static void middle_next(struct middle *m)
{
    if (m->end - m->at < 3) {
        m->mask = 0;
        return;
    }
    m->place += (size_t)(m->at[0] << 8 | m->at[1]);
    m->mask = m->at[2];
    m->at += 3;
}

/* Moves what waits at `from` to the other end, changed. */
static size_t middle_pass(struct middle *m, struct link *from, struct link *to)
{
    struct span s = link_out(from);
    uint8_t *copy = malloc(s.n + 1);

    fuzz_need(copy != NULL);
    if (s.n > 0)
        memcpy(copy, s.p, s.n);
    while (m->mask != 0 && m->place < m->passed + s.n) {
        if (m->place >= m->passed) {
            copy[m->place - m->passed] ^= m->mask;
            m->changed = true;
        }
        middle_next(m);
    }
    (void)!link_feed(to, copy, s.n);
    link_sent(from, s.n);
    m->passed += s.n;
    free(copy);
    return s.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_world *w = fuzz_world();
    struct middle m = {.at = data, .end = data + size};
    struct err e = {0};
    struct link *c = link_new(ROLE_CLIENT, &w->client, &e);
    struct link *r = link_new(ROLE_RELAY, &w->relay, &e);
    bool relay = false, client = false;

    fuzz_need(c != NULL && r != NULL);
    middle_next(&m);
    for (bool said = false;;) {
        size_t moved = middle_pass(&m, c, r) + middle_pass(&m, r, c);
        relay = fuzz_events(r) || relay;
        client = fuzz_events(c) || client;
        if (relay && !said && link_error(r)->code == ERR_NONE)
            said = link_send(r, (const uint8_t *)"hi", 2) == 0;
        else if (moved == 0)
            break;
    }
    fuzz_need(!client || relay);    /* a client is let in by a relay alone */
    fuzz_need(m.changed || client); /* and always, when nobody meddled */
    link_free(c);
    link_free(r);
    return 0;
}
