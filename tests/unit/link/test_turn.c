/* The order of a handshake and its offers are nobody's to change: a message that comes where it may
 * not ends it (H10, H8), and an offer that was rewritten on its way is seen by both ends (H1). */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/link/support_link.h"

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

static enum role other(enum role r)
{
    return r == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
}

/* Gives an exact copy to one end, so that reading past it is seen. */
static void give(struct pair *p, enum role to, const void *b, size_t n)
{
    uint8_t *copy = malloc(n);

    assert_non_null(copy);
    memcpy(copy, b, n);
    (void)!link_feed(p->end[to], copy, n);
    free(copy);
    pair_events(p, to);
}

/* Neither has a connection, nobody was told a message, the one who noticed first says why. */
static void nobody_connects(struct pair *p, const char *why)
{
    pair_pump(p, 1 << 20);
    if (p->established[ROLE_CLIENT] || p->established[ROLE_RELAY])
        fail_msg("%s: established", why);
    if (!p->failed[ROLE_CLIENT] && !p->failed[ROLE_RELAY])
        fail_msg("%s: nobody noticed", why);
    assert_int_equal(p->got[ROLE_CLIENT].len + p->got[ROLE_RELAY].len, 0);
    assert_int_equal(p->order_bad, 0);
}

/* --- H10: something else instead of what is due --- */

/* Where a message in clear is slipped in: what the victim has read before. */
static const struct moment {
    enum role victim;
    bool hello;  /* ClientHello is there */
    bool answer; /* ... and the relay's flight: the victim's peer has sealed already */
    const char *name;
} moments[] = {
    {ROLE_RELAY, false, false, "relay, before ClientHello"},
    {ROLE_RELAY, true, false, "relay, behind ClientHello"},
    {ROLE_RELAY, true, true, "relay, instead of the client's Certificate"},
    {ROLE_CLIENT, true, false, "client, instead of ServerHello"},
    {ROLE_CLIENT, true, true, "client, behind the relay's flight"},
};

static void at_moment(struct pair *p, const struct moment *m)
{
    pair_conf(p, w);
    pair_start(p);
    if (m->hello && (m->victim == ROLE_RELAY || m->answer))
        pair_move(p, ROLE_CLIENT, 1 << 20);
    if (m->answer && m->victim == ROLE_CLIENT)
        pair_move(p, ROLE_RELAY, 1 << 20);
}

/* Every handshake message that has a name and some that have none, empty and in clear, at each
 * moment of both roles. */
static void every_message_out_of_turn_ends_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(moments); i++)
        for (unsigned type = 0; type < 256; type += type < 26 ? 1 : 23) {
            uint8_t record[] = {22, 3, 3, 0, 4, (uint8_t)type, 0, 0, 0};
            struct pair p;
            at_moment(&p, &moments[i]);
            give(&p, moments[i].victim, record, sizeof record);
            if (!p.failed[moments[i].victim]) {
                nobody_connects(&p, moments[i].name); /* it waits for more: of no use */
            } else if (p.established[moments[i].victim]) {
                fail_msg("%s: message %u", moments[i].name, type);
            }
            pair_free(&p);
        }
}

/* RFC 8446 5: one change_cipher_spec may come between the first ClientHello and Finished, and has
 * no meaning. Everything else in clear ends it; data before Finished most of all. */
static void every_record_out_of_turn_ends_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(moments); i++)
        for (unsigned type = 0; type < 256; type += type < 26 ? 1 : 23) {
            uint8_t record[] = {(uint8_t)type, 3, 3, 0, 2, 1, 0};
            struct pair p;
            if (type == 22)
                continue; /* the beginning of a message: the test above */
            at_moment(&p, &moments[i]);
            give(&p, moments[i].victim, record, sizeof record);
            nobody_connects(&p, moments[i].name);
            pair_free(&p);
        }
}

/* --- H8: nothing may be slipped in and something else be left out for it --- */

/* A warning alert in clear before the keys would shift the numbers of what follows, were it
 * ignored (Terrapin): it is not. */
static void nothing_is_ignored_before_the_keys(void **state)
{
    static const uint8_t rows[][2] = {{1, 0}, {1, 90}, {1, 100}, {1, 112}, {2, 0}, {0, 0}};

    (void)state;
    for (size_t i = 0; i < COUNT(moments); i++)
        for (size_t k = 0; k < COUNT(rows); k++) {
            uint8_t record[] = {21, 3, 3, 0, 2, rows[k][0], rows[k][1]};
            struct pair p;
            at_moment(&p, &moments[i]);
            give(&p, moments[i].victim, record, sizeof record);
            nobody_connects(&p, moments[i].name);
            pair_free(&p);
        }
}

/* --- H1: offers rewritten on their way --- */

struct hello {
    uint8_t b[2048];
    size_t n;
};

static size_t be16(const uint8_t *p)
{
    return (size_t)(p[0] << 8 | p[1]);
}

static void be16_add(uint8_t *p, size_t more)
{
    size_t n = be16(p) + more;

    p[0] = (uint8_t)(n >> 8);
    p[1] = (uint8_t)n;
}

enum { AT_SESSION = 5 + 4 + 2 + 32 };

static size_t suites_at(const struct hello *h)
{
    return AT_SESSION + 1 + h->b[AT_SESSION];
}

static size_t extensions_at(const struct hello *h)
{
    size_t at = suites_at(h) + 2 + be16(h->b + suites_at(h));

    return at + 1 + h->b[at];
}

/* Where the body of this extension begins; its length stands in the two bytes before it. */
static size_t extension(const struct hello *h, unsigned type)
{
    for (size_t at = extensions_at(h) + 2; at + 4 <= h->n; at += 4 + be16(h->b + at + 2))
        if (be16(h->b + at) == type)
            return at + 4;
    fail_msg("no extension %u", type);
    return 0;
}

/* Another body for an extension, with every length above it made right. */
static void extension_set(struct hello *h, unsigned type, const void *body, size_t n)
{
    size_t at = extension(h, type), was = be16(h->b + at - 2), more = n - was;

    assert_true(h->n + n - was <= sizeof h->b);
    memmove(h->b + at + n, h->b + at + was, h->n - at - was);
    memcpy(h->b + at, body, n);
    h->n += more;
    be16_add(h->b + at - 2, more);
    be16_add(h->b + extensions_at(h), more);
    be16_add(h->b + 7, more); /* of the message: its first byte stays zero */
    be16_add(h->b + 3, more); /* of the record */
}

enum { EXT_GROUPS = 10, EXT_SIGNATURES = 13, EXT_ALPN = 16, EXT_VERSIONS = 43 };

static void suites_swapped(struct hello *h)
{
    uint8_t *s = h->b + suites_at(h) + 2, first[2] = {s[0], s[1]};

    assert_true(be16(s - 2) >= 4);
    memmove(s, s + 2, 2);
    memcpy(s + 2, first, 2);
}
static void second_suite_alone(struct hello *h)
{
    uint8_t *s = h->b + suites_at(h) + 2;

    memmove(s, s + 2, 2);
}
static void a_shorter_key(struct hello *h)
{
    memcpy(h->b + suites_at(h) + 2, "\x13\x01\x13\x01", 4); /* AES-128 */
}
static void no_authentication(struct hello *h)
{
    memcpy(h->b + suites_at(h) + 2, "\xc0\xb4\xc0\xb4", 4); /* TLS_SHA256_SHA256: no cipher */
}
static void groups_swapped(struct hello *h)
{
    uint8_t *g = h->b + extension(h, EXT_GROUPS) + 2, first[2] = {g[0], g[1]};

    memmove(g, g + 2, 2);
    memcpy(g + 2, first, 2);
}
static void x25519_alone(struct hello *h)
{
    extension_set(h, EXT_GROUPS, "\x00\x02\x00\x1d", 4);
}
static void a_weak_group(struct hello *h)
{
    extension_set(h, EXT_GROUPS, "\x00\x02\x00\x13", 4); /* secp192r1 */
}
static void weak_signatures(struct hello *h)
{
    extension_set(h, EXT_SIGNATURES, "\x00\x02\x02\x01", 4); /* rsa_pkcs1_sha1 */
}
static void fewer_signatures(struct hello *h)
{
    extension_set(h, EXT_SIGNATURES, "\x00\x02\x04\x03", 4); /* ecdsa_secp256r1_sha256 alone */
}
static void the_door_for_guests(struct hello *h)
{
    static const char alpn[] = "\x00\x13\x12"
                               "countersign-join/1";

    extension_set(h, EXT_ALPN, alpn, sizeof alpn - 1);
}
static void an_older_version_too(struct hello *h)
{
    extension_set(h, EXT_VERSIONS, "\x04\x03\x03\x03\x04", 5);
}
static void an_older_version_alone(struct hello *h)
{
    extension_set(h, EXT_VERSIONS, "\x02\x03\x03", 3);
}
static void another_random(struct hello *h)
{
    h->b[AT_SESSION - 1] ^= 1;
}
static void as_it_is(struct hello *h)
{
    extension_set(h, EXT_GROUPS, h->b + extension(h, EXT_GROUPS),
                  be16(h->b + extension(h, EXT_GROUPS) - 2));
}

static void carry(struct pair *p, enum role from, void (*change)(struct hello *h))
{
    struct span s = link_out(p->end[from]);
    struct hello h = {.n = s.n};
    size_t first = 5 + be16(s.p + 3); /* the record of the hello; the rest stays as it is */

    assert_true(s.n <= sizeof h.b && first <= s.n);
    memcpy(h.b, s.p, s.n);
    struct hello head = {.n = first};
    memcpy(head.b, h.b, first);
    change(&head);
    give(p, other(from), head.b, head.n);
    if (!p->failed[other(from)] && s.n > first)
        give(p, other(from), h.b + first, s.n - first);
    link_sent(p->end[from], s.n);
    pair_events(p, from);
}

static void a_rewritten_offer_is_seen(void **state)
{
    static const struct {
        void (*change)(struct hello *h);
        const char *why;
    } rows[] = {
        {suites_swapped, "suites in another order"},
        {second_suite_alone, "the second suite alone"},
        {a_shorter_key, "AES-128"},
        {no_authentication, "a suite without cipher"},
        {groups_swapped, "groups in another order"},
        {x25519_alone, "the second group alone"},
        {a_weak_group, "P-192"},
        {weak_signatures, "SHA-1 signatures"},
        {fewer_signatures, "one signature algorithm alone"},
        {the_door_for_guests, "ALPN of joining, where no certificate is asked for"},
        {an_older_version_too, "TLS 1.2 before 1.3"},
        {an_older_version_alone, "TLS 1.2 alone"},
        {another_random, "another random"},
    };
    struct pair p;

    (void)state;
    pair_conf(&p, w);
    pair_start(&p);
    carry(&p, ROLE_CLIENT, as_it_is); /* the way of carrying it is no reason */
    pair_pump(&p, 1 << 20);
    assert_true(p.established[ROLE_RELAY]);
    pair_free(&p);
    for (size_t i = 0; i < COUNT(rows); i++) {
        pair_conf(&p, w);
        pair_start(&p);
        carry(&p, ROLE_CLIENT, rows[i].change);
        nobody_connects(&p, rows[i].why);
        pair_free(&p);
    }
}

/* --- and answers --- */

static void answer_other_suite(struct hello *h)
{
    h->b[suites_at(h) + 1] ^= 2 ^ 3; /* 0x1302 for 0x1303 */
}
static void answer_shorter_key(struct hello *h)
{
    h->b[suites_at(h) + 1] = 1;
}
static void answer_old_version(struct hello *h)
{
    h->b[9 + 1] = 2; /* legacy_version */
}
static void answer_downgrade_random(struct hello *h)
{
    memcpy(h->b + AT_SESSION - 8, "DOWNGRD\x01", 8);
}
static void answer_is_a_retry(struct hello *h)
{
    /* RFC 8446 4.1.3: the random that makes a ServerHello a HelloRetryRequest */
    memcpy(h->b + AT_SESSION - 32,
           "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91"
           "\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c",
           32);
}
static void answer_compressed(struct hello *h)
{
    h->b[suites_at(h) + 2] = 1;
}

static void a_rewritten_answer_is_seen(void **state)
{
    static const struct {
        void (*change)(struct hello *h);
        const char *why;
    } rows[] = {
        {answer_other_suite, "the suite that was offered second"},
        {answer_shorter_key, "AES-128"},
        {answer_old_version, "an older legacy version"},
        {answer_downgrade_random, "TLS 1.3's downgrade mark"},
        {answer_is_a_retry, "a retry"},
        {answer_compressed, "compression"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pair p;
        pair_conf(&p, w);
        pair_start(&p);
        pair_move(&p, ROLE_CLIENT, 1 << 20);
        carry(&p, ROLE_RELAY, rows[i].change);
        nobody_connects(&p, rows[i].why);
        pair_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_out_of_turn_ends_it),
        cmocka_unit_test(every_record_out_of_turn_ends_it),
        cmocka_unit_test(nothing_is_ignored_before_the_keys),
        cmocka_unit_test(a_rewritten_offer_is_seen),
        cmocka_unit_test(a_rewritten_answer_is_seen),
    };

    return cmocka_run_group_tests_name("turn", tests, setup, teardown);
}
