/* A man in the middle changes, cuts, repeats, drops or invents bytes: nobody ever completes. */
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

/* How many bytes each side sends until both are established; *clear: of them before encryption. */
static void lengths(size_t n[2])
{
    struct pair p;

    pair_conf(&p, w);
    pair_meet(&p, 1 << 20);
    assert_true(p.established[ROLE_CLIENT]);
    n[0] = p.moved[0];
    n[1] = p.moved[1];
    pair_free(&p);
}

/* RFC 8446 5.1: the minor version byte of a record that is not sealed is read by nobody. The
 * client begins with ClientHello, later one change_cipher_spec; the relay with ServerHello and one.
 */
static bool unread(const struct span wire, size_t at)
{
    for (size_t i = 0; i + 5 <= wire.n;) {
        if (at == i + 2 && wire.p[i] != 23)
            return true;
        i += 5 + (size_t)(wire.p[i + 3] << 8 | wire.p[i + 4]);
    }
    return false;
}

/* What one side sent in a good handshake: for the places of its record heads. */
static void record_wire(enum role from, struct buf *wire)
{
    struct pair p;

    pair_conf(&p, w);
    pair_start(&p);
    for (bool verdict = false;;) {
        for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
            struct span s = link_out(p.end[r]);
            if (r == from)
                assert_int_equal(buf_add(wire, s.p, s.n), 0);
            pair_move(&p, r, s.n);
        }
        if (p.established[ROLE_CLIENT])
            break;
        if (p.established[ROLE_RELAY] && !verdict) {
            assert_int_equal(link_send(p.end[ROLE_RELAY], (const uint8_t *)"hi", 2), 0);
            verdict = true;
        }
    }
    pair_free(&p);
}

static void try_flip(enum role from, size_t at, uint8_t mask)
{
    struct pair p;

    pair_conf(&p, w);
    p.flipping = true;
    p.flip_from = from;
    p.flip_at = at;
    p.flip_mask = mask;
    pair_start(&p);
    pair_pump(&p, 1 << 20);
    bool let_in = p.established[ROLE_RELAY];
    if (let_in)
        assert_int_equal(link_send(p.end[ROLE_RELAY], (const uint8_t *)"hi", 2), 0);
    pair_pump(&p, 1 << 20);
    if (p.established[ROLE_CLIENT] || (from == ROLE_CLIENT && let_in))
        fail_msg("byte %zu of role %d, mask %02x: established", at, (int)from, mask);
    assert_int_equal(p.order_bad, 0);
    pair_free(&p);
}

/* Signature lengths of ECDSA differ by a byte or two from one handshake to the next, so a place is
 * a sample, not a field; the heads of the records in clear come before the first signature. */
static void one_bit_is_enough(void **state)
{
    size_t n[2];

    (void)state;
    lengths(n);
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        struct buf wire;
        buf_init(&wire, 1 << 16);
        record_wire(r, &wire);
        for (size_t at = 0; at + 24 < n[r]; at += at < 256 ? 1 : 23)
            if (!unread(buf_span(&wire), at))
                try_flip(r, at, (uint8_t)(1U << at % 8));
        buf_free(&wire);
    }
}

static void a_cut_stream_is_called_cut(void **state)
{
    size_t n[2];
    struct pair p;

    (void)state;
    lengths(n);
    for (enum role from = ROLE_CLIENT; from <= ROLE_RELAY; from++) {
        enum role to = from == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
        for (size_t cut = 0; cut < n[from]; cut += 97) {
            pair_conf(&p, w);
            pair_start(&p);
            while (p.moved[from] < cut) {
                pair_move(&p, to, 1 << 20);
                if (pair_move(&p, from, cut - p.moved[from]) == 0)
                    break;
            }
            assert_int_equal(link_eof(p.end[to]), -1);
            pair_events(&p, to);
            assert_true(p.failed[to]);
            assert_non_null(strstr(pair_why(&p, to), "cut"));
            assert_int_equal(link_error(p.end[to])->code, ERR_IO);
            pair_free(&p);
        }
    }
}

static void a_cut_conversation_is_called_cut(void **state)
{
    struct pair p;

    (void)state;
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        pair_conf(&p, w);
        pair_meet(&p, 1 << 20);
        assert_int_equal(link_eof(p.end[r]), -1);
        pair_events(&p, r);
        assert_true(p.established[r] && p.failed[r]);
        assert_non_null(strstr(pair_why(&p, r), "cut"));
        assert_int_equal(link_send(p.end[r], (const uint8_t *)"x", 1), -1);
        assert_int_equal(link_feed(p.end[r], (const uint8_t *)"x", 1), -1);
        pair_free(&p);
    }
}

/* --- after the handshake --- */

enum crime { FLIP_LATER, REPLAY, DROP, SWAP, PLAIN_CLOSE, PLAIN_DATA, CCS_LATER, CRIMES };

/* Two records wait to go from one side to the other; the middle does its worst with them. */
static size_t commit(enum crime c, const uint8_t *in, size_t n, uint8_t *out)
{
    static const uint8_t alert[] = {21, 3, 3, 0, 2, 1, 0}, data[] = {23, 3, 3, 0, 2, 'h', 'i'};
    static const uint8_t ccs[] = {20, 3, 3, 0, 1, 1};
    size_t half = n / 2;

    memcpy(out, in, n);
    switch (c) {
    case FLIP_LATER: out[half - 1] ^= 1; return n;
    case REPLAY: memcpy(out + half, in, half); return n;
    case DROP: memcpy(out, in + half, half); return half;
    case SWAP:
        memcpy(out, in + half, half);
        memcpy(out + half, in, half);
        return n;
    case PLAIN_CLOSE: memcpy(out, alert, sizeof alert); return sizeof alert;
    case PLAIN_DATA: memcpy(out, data, sizeof data); return sizeof data;
    case CCS_LATER: memcpy(out, ccs, sizeof ccs); return sizeof ccs;
    case CRIMES: break;
    }
    return 0;
}

static void records_are_opened_once_in_order_or_not_at_all(void **state)
{
    struct pair p;
    uint8_t wire[256];

    (void)state;
    for (int c = 0; c < CRIMES; c++) {
        for (enum role from = ROLE_CLIENT; from <= ROLE_RELAY; from++) {
            enum role to = from == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
            pair_conf(&p, w);
            pair_meet(&p, 1 << 20);
            size_t had = p.got[to].len;
            assert_int_equal(link_send(p.end[from], (const uint8_t *)"one", 3), 0);
            (void)link_out(p.end[from]); /* or both would share a record */
            assert_int_equal(link_send(p.end[from], (const uint8_t *)"two", 3), 0);
            struct span s = link_out(p.end[from]);
            size_t n = commit((enum crime)c, s.p, s.n, wire);
            int r = link_feed(p.end[to], wire, n);
            pair_events(&p, to);
            if (r == 0 || !p.failed[to])
                fail_msg("crime %d of role %d was not seen", c, (int)from);
            assert_int_equal(p.got[to].len, c == REPLAY ? had + 3 : had);
            assert_false(p.closed[to]);
            assert_int_equal(p.order_bad, 0);
            pair_free(&p);
        }
    }
}

/* The sender of a damaged record is told: alert 20, sealed. */
static void damage_is_told_to_the_other_side(void **state)
{
    struct pair p;

    (void)state;
    pair_conf(&p, w);
    pair_meet(&p, 1 << 20);
    p.flipping = true;
    p.flip_from = ROLE_CLIENT;
    p.flip_at = p.moved[ROLE_CLIENT] + 6;
    p.flip_mask = 0x80;
    assert_int_equal(link_send(p.end[ROLE_CLIENT], (const uint8_t *)"one", 3), 0);
    pair_pump(&p, 1 << 20);
    assert_string_equal(pair_why(&p, ROLE_RELAY), "a record was damaged or forged on the way");
    assert_string_equal(
        pair_why(&p, ROLE_CLIENT),
        "the relay ended the connection: a record was damaged or forged (alert 20)");
    pair_free(&p);
}

/* --- strangers --- */

static void garbage_is_refused_at_once(void **state)
{
    static const char *const rows[] = {
        "GET / HTTP/1.1\r\n",   "SSH-2.0-OpenSSH_9.2\r\n", "\x16\x02\x00\x01\x00",
        "\x80\x2e\x01\x00\x02", "{\"type\":\"hello\"}\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
            struct pair p;
            pair_conf(&p, w);
            pair_start(&p);
            size_t n = i == 2 || i == 3 ? 5 : strlen(rows[i]);
            assert_int_equal(link_feed(p.end[r], (const uint8_t *)rows[i], n), -1);
            pair_events(&p, r);
            assert_true(p.failed[r]);
            assert_string_equal(pair_why(&p, r), "what came is not TLS");
            pair_free(&p);
        }
    }
}

static void an_empty_record_is_no_message(void **state)
{
    (void)state;
    for (int type = 20; type <= 23; type++) {
        for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
            uint8_t head[5] = {(uint8_t)type, 3, 3, 0, 0};
            struct pair p;
            pair_conf(&p, w);
            pair_start(&p);
            for (int i = 0; i < 100; i++)
                (void)!link_feed(p.end[r], head, sizeof head);
            pair_events(&p, r);
            assert_true(p.failed[r]);
            pair_free(&p);
        }
    }
}

static void random_bytes_never_complete(void **state)
{
    uint8_t noise[600];
    struct pair p;

    (void)state;
    for (int i = 0; i < 200; i++) {
        enum role r = i % 2 == 0 ? ROLE_RELAY : ROLE_CLIENT;
        assert_int_equal(rng_fill(&w->rng, noise, sizeof noise), 0);
        pair_conf(&p, w);
        pair_start(&p);
        noise[0] = (uint8_t)(20 + i % 4); /* or it would end at the first byte */
        noise[1] = noise[2] = 3;
        noise[3] = 0;
        (void)!link_feed(p.end[r], noise, sizeof noise);
        pair_events(&p, r);
        assert_false(p.established[r]);
        pair_free(&p);
    }
}

static void a_record_too_long_is_refused_by_its_head(void **state)
{
    static const uint8_t head[5] = {22, 3, 1, 0x41, 0x01}; /* 16641 */
    struct pair p;

    (void)state;
    pair_conf(&p, w);
    pair_start(&p);
    assert_int_equal(link_feed(p.end[ROLE_RELAY], head, sizeof head), -1);
    assert_string_equal(pair_why(&p, ROLE_RELAY), "a record is longer than TLS allows");
    struct span s = link_out(p.end[ROLE_RELAY]);
    assert_int_equal(s.n, 7);
    assert_int_equal(s.p[6], 22);
    pair_free(&p);
}

/* change_cipher_spec records are dropped by TLS 1.3: they must not be dropped for ever. */
static void strangers_have_a_budget(void **state)
{
    static const uint8_t ccs[6] = {20, 3, 3, 0, 1, 1};
    struct pair p;
    size_t fed = 0;

    (void)state;
    pair_conf(&p, w);
    pair_start(&p);
    pair_move(&p, ROLE_CLIENT, 1 << 20);
    while (fed <= 2 * LINK_EARLY_MAX && link_feed(p.end[ROLE_RELAY], ccs, sizeof ccs) == 0)
        fed += sizeof ccs;
    assert_in_range(fed, 1, LINK_EARLY_MAX);
    assert_int_equal(link_error(p.end[ROLE_RELAY])->code, ERR_LIMIT);
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_bit_is_enough),
        cmocka_unit_test(a_cut_stream_is_called_cut),
        cmocka_unit_test(a_cut_conversation_is_called_cut),
        cmocka_unit_test(records_are_opened_once_in_order_or_not_at_all),
        cmocka_unit_test(damage_is_told_to_the_other_side),
        cmocka_unit_test(garbage_is_refused_at_once),
        cmocka_unit_test(an_empty_record_is_no_message),
        cmocka_unit_test(random_bytes_never_complete),
        cmocka_unit_test(a_record_too_long_is_refused_by_its_head),
        cmocka_unit_test(strangers_have_a_budget),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
