/* Both ends of every link in one process, with certificates that nobody keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/lab_pair.h"

struct heard {
    struct buf said[2]; /* by who heard it */
    unsigned steps[2];
    bool flip; /* the middle changes one byte of what the relay says first */
};

static struct lab_pki pki, stranger;

static void on_event(void *ctx, enum role at, const struct link_event *ev)
{
    struct heard *h = ctx;

    if (ev->kind == LINK_STEP)
        h->steps[at]++;
    if (ev->kind == LINK_MESSAGE)
        assert_int_equal(buf_add(&h->said[at], ev->message.p, ev->message.n), 0);
}

static void on_bytes(void *ctx, enum role from, struct buf *bytes)
{
    struct heard *h = ctx;
    uint8_t copy[LINK_SHAKE_MAX];
    struct span s = buf_span(bytes);

    if (!h->flip || from != ROLE_RELAY || s.n > sizeof copy)
        return;
    h->flip = false;
    for (size_t i = 0; i < s.n; i++)
        copy[i] = s.p[i];
    copy[s.n - 1] ^= 1;
    buf_cut(bytes, 0);
    assert_int_equal(buf_add(bytes, copy, s.n), 0);
}

static void heard_init(struct heard *h, struct lab_pair *p)
{
    *h = (struct heard){0};
    buf_init(&h->said[ROLE_CLIENT], 100);
    buf_init(&h->said[ROLE_RELAY], 100);
    p->event = on_event;
    p->middle = on_bytes;
    p->ctx = h;
}

static void heard_free(struct heard *h)
{
    buf_free(&h->said[ROLE_CLIENT]);
    buf_free(&h->said[ROLE_RELAY]);
}

static void both_ends_of_every_link_meet_and_talk(void **state)
{
    (void)state;
    for (enum link_kind kind = 0; kind < LINK_KIND_COUNT; kind++) {
        struct err e = {0};
        struct lab_pair p;
        struct heard h;

        lab_pair_init(&p, &pki, kind);
        heard_init(&h, &p);
        if (lab_pair_meet(&p, &e) < 0)
            fail_msg("%s: %s", link_kind_name(kind), e.text);
        assert_int_equal(link_send(p.end[ROLE_CLIENT], (const uint8_t *)"hello", 5), 0);
        lab_pair_run(&p);
        assert_true(str_is(str_from(buf_span(&h.said[ROLE_CLIENT]).p, 1), "!"));
        assert_true(str_is(str_from(buf_span(&h.said[ROLE_RELAY]).p, 5), "hello"));
        assert_true(h.steps[ROLE_CLIENT] > 3 && h.steps[ROLE_RELAY] > 3);
        assert_true(p.moved[ROLE_CLIENT] > 0 && p.moved[ROLE_RELAY] > 0);
        heard_free(&h);
        lab_pair_free(&p);
    }
}

static void who_stands_in_the_middle_is_heard_by_both(void **state)
{
    (void)state;
    for (enum link_kind kind = 0; kind < LINK_KIND_COUNT; kind++) {
        struct err e = {0};
        struct lab_pair p;
        struct heard h;

        lab_pair_init(&p, &pki, kind);
        heard_init(&h, &p);
        h.flip = true;
        assert_int_equal(lab_pair_meet(&p, &e), -1);
        assert_false(h.flip);
        assert_true(p.failed[ROLE_CLIENT] || kind == LINK_CLASSIC); /* which waits for its line */
        assert_false(p.established[ROLE_CLIENT]);
        assert_true(e.text[0] != '\0');
        heard_free(&h);
        lab_pair_free(&p);
    }
}

/* The same names under another authority are nobody's; but `classic` proves nobody. */
static void two_authorities_are_strangers(void **state)
{
    (void)state;
    for (enum link_kind kind = 0; kind < LINK_KIND_COUNT; kind++) {
        for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
            struct err e = {0};
            struct lab_pair p, other;

            lab_pair_init(&p, &pki, kind);
            lab_pair_init(&other, &stranger, kind);
            p.conf[r].key = other.conf[r].key;
            for (size_t i = 0; i < COUNT(p.chain[r]); i++)
                p.chain[r][i] = other.chain[r][i];
            p.conf[r].textbook = other.conf[r].textbook;
            assert_int_equal(lab_pair_meet(&p, &e), kind == LINK_CLASSIC ? 0 : -1);
            assert_int_equal(p.failed[ROLE_CLIENT] || p.failed[ROLE_RELAY], kind != LINK_CLASSIC);
            assert_int_equal(p.established[ROLE_CLIENT], kind == LINK_CLASSIC);
            lab_pair_free(&p);
        }
    }
}

static int setup(void **state)
{
    struct rng rng = rng_system();
    struct err e = {0};

    (void)state;
    return crypto_init(&e) == 0 && lab_pki_make(&pki, &rng, &e) == 0 &&
                   lab_pki_make(&stranger, &rng, &e) == 0
               ? 0
               : -1;
}

static int teardown(void **state)
{
    (void)state;
    lab_pki_wipe(&pki);
    lab_pki_wipe(&stranger);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_of_every_link_meet_and_talk),
        cmocka_unit_test(who_stands_in_the_middle_is_heard_by_both),
        cmocka_unit_test(two_authorities_are_strangers),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
