/* What is sealed over each link but `classic`: in handshake and records no key seals twice with one
 * nonce, records are opened once and in their order by nobody but the other end, and keys end in
 * time. (test_record has the record layer by itself, over the suites of TLS.) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/cbc.h"
#include "common/link/record_priv.h"
#include "tests/unit/link/support_link.h"

enum { ALL = 1 << 20, IN = 0, OUT = 1 };

static const enum link_kind sealed[] = {LINK_TLS, LINK_ECDHE, LINK_CIANR, LINK_SOVEREIGN};

#define EACH_KIND(k) for (const enum link_kind *k = sealed; k < sealed + COUNT(sealed); k++)

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

/* --- in front of the real functions (wrapped_test_seals in the Makefile) --- */

static struct record *records[2]; /* of the ends that were made last, by role */

struct record *__real_record_new(const struct record_conf *c, struct err *e);
struct record *__wrap_record_new(const struct record_conf *c, struct err *e);

struct record *__wrap_record_new(const struct record_conf *c, struct err *e)
{
    enum role r = strcmp(c->peer, "relay") == 0 ? ROLE_CLIENT : ROLE_RELAY;

    return records[r] = __real_record_new(c, e);
}

/* One use of a key: with a nonce, or with a number and, on the wire, an IV. */
static struct use {
    struct key key;
    uint8_t with[CBC_IV];
} uses[512];
static size_t uses_n;

static void use_note(const struct key *k, const uint8_t *with, size_t n)
{
    struct use *u = &uses[uses_n++];

    assert_true(uses_n <= COUNT(uses) && n <= sizeof u->with);
    u->key = *k;
    memset(u->with, 0, sizeof u->with);
    memcpy(u->with, with, n);
}

int __real_aead_seal(enum aead_kind kind, const struct key *k, const uint8_t *nonce,
                     struct span aad, struct span in, uint8_t *out);
int __wrap_aead_seal(enum aead_kind kind, const struct key *k, const uint8_t *nonce,
                     struct span aad, struct span in, uint8_t *out);

int __wrap_aead_seal(enum aead_kind kind, const struct key *k, const uint8_t *nonce,
                     struct span aad, struct span in, uint8_t *out)
{
    use_note(k, nonce, AEAD_IV_LEN);
    return __real_aead_seal(kind, k, nonce, aad, in, out);
}

int __real_cbc_seal(const struct key *k, uint64_t seq, struct span head, uint8_t *out, size_t n);
int __wrap_cbc_seal(const struct key *k, uint64_t seq, struct span head, uint8_t *out, size_t n);

int __wrap_cbc_seal(const struct key *k, uint64_t seq, struct span head, uint8_t *out, size_t n)
{
    int ret = __real_cbc_seal(k, seq, head, out, n);

    use_note(k, (const uint8_t *)&seq, sizeof seq);
    use_note(&(struct key){{0}}, out, CBC_IV); /* under no two keys alike either */
    return ret;
}

/* --- a connection --- */

static void meet(struct pair *p, enum link_kind kind)
{
    uses_n = 0;
    pair_conf(p, w);
    p->conf[ROLE_CLIENT].kind = p->conf[ROLE_RELAY].kind = kind;
    pair_meet(p, ALL);
    assert_true(p->established[ROLE_CLIENT] && p->established[ROLE_RELAY]);
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++)
        buf_drop(&p->got[r], p->got[r].len);
}

static void say(struct pair *p, enum role from, const char *text)
{
    assert_int_equal(link_send(p->end[from], (const uint8_t *)text, strlen(text)), 0);
}

/* --- H16 --- */

static int use_order(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct use));
}

static void no_key_seals_twice_with_one_nonce(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct pair p;
        meet(&p, *kind);
        for (int i = 0; i < 40; i++) {
            enum role from = i % 3 == 0 ? ROLE_RELAY : ROLE_CLIENT;
            if (i % 8 == 5)
                assert_int_equal(link_rekey(p.end[from]), 0);
            say(&p, from, "the same text");
            pair_pump(&p, ALL);
        }
        link_close(p.end[ROLE_CLIENT]);
        link_close(p.end[ROLE_RELAY]);
        pair_pump(&p, ALL);
        assert_int_equal(p.got[ROLE_CLIENT].len + p.got[ROLE_RELAY].len, 40 * 13);
        assert_true(uses_n >= 40 + 2);
        qsort(uses, uses_n, sizeof uses[0], use_order);
        for (size_t i = 1; i < uses_n; i++)
            if (use_order(&uses[i - 1], &uses[i]) == 0)
                fail_msg("%s: a nonce came twice", link_kind_name(*kind));
        pair_free(&p);
    }
}

static void keys_end_in_time(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct pair p;
        meet(&p, *kind);
        struct record_side *out = &records[ROLE_CLIENT]->sides[OUT];
        struct record_side *in = &records[ROLE_RELAY]->sides[IN];
        struct key old = out->key;
        out->seq = in->seq = LINK_REKEY - 1;
        say(&p, ROLE_CLIENT, "last");
        pair_pump(&p, ALL);
        say(&p, ROLE_CLIENT, "first");
        assert_true(link_out(p.end[ROLE_CLIENT]).n > 0);
        assert_false(key_same(&old, &out->key)); /* of itself, before anybody has asked */
        pair_pump(&p, ALL);
        assert_memory_equal(buf_span(&p.got[ROLE_RELAY]).p, "lastfirst", 9);
        assert_true(out->seq <= 1 && in->seq == out->seq);
        say(&p, ROLE_CLIENT, "too late");
        in->seq = LINK_KEY_MAX;
        pair_pump(&p, ALL);
        assert_true(p.failed[ROLE_RELAY]);
        assert_string_equal(pair_why(&p, ROLE_RELAY), "the peer has used one key for too long");
        assert_int_equal(p.got[ROLE_RELAY].len, 9);
        pair_free(&p);
    }
}

/* --- H5, H9 --- */

/* The client says three messages, a record each; these of them arrive. */
static void records_come_once_in_order_from_the_other_end(void **state)
{
    static const struct {
        int order[3]; /* -1: no more */
        enum role to;
        size_t taken; /* so many are believed, the next one ends it */
    } rows[] = {
        {{0, 1, 2}, ROLE_RELAY, 3},    {{0, 0, -1}, ROLE_RELAY, 1},
        {{1, 0, -1}, ROLE_RELAY, 0},   {{0, 2, -1}, ROLE_RELAY, 1},
        {{0, 1, 0}, ROLE_RELAY, 2},    {{2, -1, -1}, ROLE_RELAY, 0},
        {{0, 1, 1}, ROLE_RELAY, 2},    {{0, -1, -1}, ROLE_CLIENT, 0},
        {{1, -1, -1}, ROLE_CLIENT, 0}, /* the number it waits for, and its own */
    };

    (void)state;
    EACH_KIND(kind)
    {
        for (size_t i = 0; i < COUNT(rows); i++) {
            struct pair p;
            uint8_t said[3][256];
            size_t n[3], taken = 0;
            meet(&p, *kind);
            for (size_t m = 0; m < COUNT(said); m++) {
                say(&p, ROLE_CLIENT, "x");
                struct span s = link_out(p.end[ROLE_CLIENT]);
                assert_true(s.n <= sizeof said[m]);
                memcpy(said[m], s.p, n[m] = s.n);
                link_sent(p.end[ROLE_CLIENT], s.n);
            }
            for (size_t k = 0; k < COUNT(rows[i].order) && rows[i].order[k] >= 0; k++) {
                int m = rows[i].order[k];
                int want = k < rows[i].taken ? 0 : -1;
                if (link_feed(p.end[rows[i].to], said[m], n[m]) != want)
                    fail_msg("%s: row %zu", link_kind_name(*kind), i);
                taken += want == 0;
            }
            pair_events(&p, rows[i].to);
            assert_int_equal(p.got[rows[i].to].len, taken);
            assert_int_equal(p.failed[rows[i].to], i > 0);
            pair_free(&p);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_key_seals_twice_with_one_nonce),
        cmocka_unit_test(keys_end_in_time),
        cmocka_unit_test(records_come_once_in_order_from_the_other_end),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
