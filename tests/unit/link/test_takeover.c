/* From mbedTLS's handshake to our records: when, with what, and with which bytes already there.
 * The client is made of tls.h and record.h by hand where a link would be too honest. */
#include <stdlib.h>
#include <string.h>

#include "common/crypto/tls_priv.h"
#include "common/link/record_priv.h"
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

/* --- the two record layers beside each other --- */

static void talk(struct pair *p)
{
    static uint8_t m[40000];

    for (size_t i = 0; i < sizeof m; i++)
        m[i] = (uint8_t)(i * 11 >> 3);
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        enum role to = r == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
        buf_drop(&p->got[to], p->got[to].len);
        for (int i = 0; i < 4; i++)
            assert_int_equal(link_send(p->end[r], m + 10000 * i, 10000), 0);
        pair_pump(p, 777);
        assert_true(span_same(buf_span(&p->got[to]), span_of(m, sizeof m)));
    }
}

static void combine(struct pair *p, int c)
{
    pair_conf(p, w);
    p->conf[ROLE_CLIENT].mbedtls_records = c & 1;
    p->conf[ROLE_RELAY].mbedtls_records = c & 2;
    pair_meet(p, c % 3 == 0 ? 1 << 20 : 3);
    if (!p->established[0] || !p->established[1])
        fail_msg("%s; %s", pair_why(p, ROLE_CLIENT), pair_why(p, ROLE_RELAY));
}

static void both_layers_understand_each_other(void **state)
{
    (void)state;
    for (int c = 0; c < 4; c++) {
        for (enum role closer = ROLE_CLIENT; closer <= ROLE_RELAY; closer++) {
            enum role other = closer == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
            struct pair p;
            combine(&p, c);
            talk(&p);
            talk(&p);
            link_close(p.end[closer]);
            pair_pump(&p, 5);
            assert_true(p.closed[other]);
            assert_false(p.failed[other]);
            assert_int_equal(p.order_bad, 0);
            pair_free(&p);
        }
    }
}

static void the_reference_tells_the_same(void **state)
{
    struct link_info i[4][2];
    struct pair p[4];
    struct key k[2];

    (void)state;
    for (int c = 0; c < 4; c++) {
        combine(&p[c], c);
        for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
            link_info(p[c].end[r], &i[c][r]);
            assert_string_equal(i[c][r].version, i[0][r].version);
            assert_string_equal(i[c][r].suite, i[0][r].suite);
            assert_string_equal(i[c][r].group, i[0][r].group);
            assert_string_equal(i[c][r].alpn, i[0][r].alpn);
            assert_true(hash_same(&i[c][r].peer_fp, &i[0][r].peer_fp));
            assert_int_equal(i[c][r].peer_n, i[0][r].peer_n);
            assert_int_equal(p[c].steps_n[r], p[0].steps_n[r]);
            for (size_t s = 0; s < p[c].steps_n[r]; s++)
                assert_string_equal(p[c].steps[r][s].name, p[0].steps[r][s].name);
            assert_int_equal(link_exporter(p[c].end[r], LINK_EXPORTER_LOGIN, &k[r]), 0);
        }
        assert_true(key_same(&k[0], &k[1])); /* ours and mbedTLS's, in both combinations */
    }
    for (int c = 0; c < 4; c++)
        pair_free(&p[c]);
}

static void damage_is_seen_by_both_layers(void **state)
{
    (void)state;
    for (int c = 0; c < 4; c++) {
        struct pair p;
        combine(&p, c);
        p.flipping = true;
        p.flip_from = ROLE_CLIENT;
        p.flip_at = p.moved[ROLE_CLIENT] + 9;
        p.flip_mask = 4;
        assert_int_equal(link_send(p.end[ROLE_CLIENT], (const uint8_t *)"one", 3), 0);
        pair_pump(&p, 1 << 20);
        assert_true(p.failed[ROLE_RELAY]);
        assert_non_null(strstr(pair_why(&p, ROLE_RELAY), "damaged or forged"));
        assert_non_null(strstr(pair_why(&p, ROLE_CLIENT), "alert 20"));
        pair_free(&p);
    }
}

/* RFC 8446 5: what is not sealed has no place behind the handshake. mbedTLS alone would read over
 * the record that is kept for old boxes. */
static void nothing_unsealed_is_read_behind_the_handshake(void **state)
{
    static const uint8_t records[][7] = {
        {20, 3, 3, 0, 1, 1}, {21, 3, 3, 0, 2, 1, 0}, {22, 3, 3, 0, 2, 24, 0}};

    (void)state;
    for (int c = 0; c < 4; c++) {
        for (size_t i = 0; i < COUNT(records); i++) {
            for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
                struct pair p;
                combine(&p, c);
                size_t n = RECORD_HEAD + (size_t)records[i][4];
                assert_int_equal(link_feed(p.end[r], records[i], n), -1);
                assert_non_null(strstr(pair_why(&p, r), "unsealed record"));
                pair_free(&p);
            }
        }
    }
}

static void a_link_at_rest_forgets_certificates_and_goes_on(void **state)
{
    struct link_info before, after;
    struct pair p;

    (void)state;
    combine(&p, 0);
    link_info(p.end[ROLE_RELAY], &before);
    for (int i = 0; i < 3; i++)
        for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++)
            link_rest(p.end[r]);
    link_info(p.end[ROLE_RELAY], &after);
    assert_int_equal(after.peer_n, 0);
    assert_true(hash_same(&before.peer_fp, &after.peer_fp));
    link_info(p.end[ROLE_CLIENT], &after);
    assert_int_equal(after.peer_n, 3); /* a person may look at these */
    talk(&p);
    pair_free(&p);
}

/* A relay never speaks first behind the handshake: it sends no tickets. */
static void a_relay_sends_no_ticket(void **state)
{
    struct pair p;

    (void)state;
    pair_conf(&p, w);
    pair_start(&p);
    pair_pump(&p, 1 << 20);
    assert_true(p.established[ROLE_RELAY]);
    assert_int_equal(link_out(p.end[ROLE_RELAY]).n, 0);
    pair_free(&p);
}

/* --- a client made by hand --- */

struct bare {
    struct pair p; /* its relay */
    struct tls_conf *conf;
    struct tls *tls;
    struct record *record;
    struct traffic handshake; /* the client's secret while it shakes hands */
};

static int64_t at_noon(void *ctx)
{
    (void)ctx;
    return noon;
}

static uint64_t no_time(void *ctx)
{
    (void)ctx;
    return 0;
}

enum { MUTUAL, JOINING };

static void bare_start(struct bare *b, int how, const int *suite)
{
    static const struct tls_alpn alpn[] = {{LINK_ALPN_CHAT, true}, {LINK_ALPN_JOIN, false}};
    struct tls_setup s = {
        .chain = b->p.chain[ROLE_CLIENT],
        .chain_n = how == MUTUAL ? 2 : 0,
        .key = how == MUTUAL ? w->device_key : NULL,
        .trust = w->trust,
        .host = RELAY_HOST,
        .alpn = &alpn[how],
        .alpn_n = 1,
        .rng = w->rng,
        .now_ms = at_noon,
        .mono_us = no_time,
    };
    struct err e = {0};

    b->conf = tls_conf_new(&s, &e);
    assert_non_null(b->conf);
    if (suite != NULL)
        mbedtls_ssl_conf_ciphersuites(&b->conf->ssl, suite);
    b->tls = tls_new(b->conf, &e);
    assert_non_null(b->tls);
}

static void bare_feed(struct bare *b, const uint8_t *in, size_t n)
{
    size_t used;

    if (tls_shake(b->tls, in, n, &used) < 0)
        fail_msg("%s", tls_error(b->tls)->text);
    assert_int_equal(used, n);
}

/* Up to where the client has its last flight in tls_out. The relay's bytes come one by one, so that
 * the handshake secret can be seen. */
static void bare_shake(struct bare *b, int how, const int *suite, bool mbedtls)
{
    struct err e = {0};

    memset(b, 0, sizeof *b);
    pair_conf(&b->p, w);
    b->p.conf[ROLE_RELAY].mbedtls_records = mbedtls;
    b->p.end[ROLE_RELAY] = link_new(ROLE_RELAY, &b->p.conf[ROLE_RELAY], &e);
    assert_non_null(b->p.end[ROLE_RELAY]);
    bare_start(b, how, suite);
    struct span s = tls_out(b->tls);
    assert_int_equal(link_feed(b->p.end[ROLE_RELAY], s.p, s.n), 0);
    tls_sent(b->tls, s.n);
    s = link_out(b->p.end[ROLE_RELAY]);
    for (size_t i = 0; i < s.n; i++) {
        bare_feed(b, s.p + i, 1);
        if (b->tls->secrets[CLIENT_HANDSHAKE].n > 0)
            b->handshake = b->tls->secrets[CLIENT_HANDSHAKE];
    }
    link_sent(b->p.end[ROLE_RELAY], s.n);
    assert_true(tls_open(b->tls));
    assert_true(b->handshake.n > 0);
}

static void bare_hand_over(struct bare *b)
{
    struct tls_handover h;
    struct err e = {0};

    assert_int_equal(tls_hand_over(b->tls, LINK_EXPORTER_LOGIN, &h), 0);
    struct record_conf c = {.peer = "relay",
                            .hash = h.hash,
                            .aead = h.aead,
                            .secret_in = span_of(h.in, hash_len(h.hash)),
                            .secret_out = span_of(h.out, hash_len(h.hash)),
                            .before = tls_out(b->tls)};
    b->record = record_new(&c, &e);
    assert_non_null(b->record);
    free(h.peer_der);
}

static void bare_free(struct bare *b)
{
    tls_free(b->tls);
    tls_conf_free(b->conf);
    record_free(b->record);
    pair_free(&b->p);
}

/* Gives the relay bytes; what it says then. */
static int to_relay(struct bare *b, const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n);

    assert_non_null(copy);
    memcpy(copy, p, n);
    int r = link_feed(b->p.end[ROLE_RELAY], copy, n);
    free(copy);
    pair_events(&b->p, ROLE_RELAY);
    return r;
}

static void data_in_the_segment_of_finished_arrives(void **state)
{
    static const int chacha[] = {MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256, 0};
    static const int aes[] = {MBEDTLS_TLS1_3_AES_256_GCM_SHA384, 0};

    (void)state;
    for (int i = 0; i < 16; i++) {
        struct bare b;
        bare_shake(&b, i & 1, i & 2 ? chacha : aes, i & 4);
        bare_hand_over(&b);
        assert_int_equal(record_send(b.record, (const uint8_t *)"at once", 7), 0);
        struct span s = record_out(b.record);
        for (size_t at = 0, k = i & 8 ? 1 : s.n; at < s.n; at += k)
            assert_int_equal(to_relay(&b, s.p + at, k), 0);
        assert_true(b.p.established[ROLE_RELAY]);
        assert_true(span_same(buf_span(&b.p.got[ROLE_RELAY]), span_of("at once", 7)));
        assert_int_equal(b.p.order_bad, 0);
        /* and back */
        record_sent(b.record, s.n);
        assert_int_equal(link_send(b.p.end[ROLE_RELAY], (const uint8_t *)"hello", 5), 0);
        s = link_out(b.p.end[ROLE_RELAY]);
        assert_int_equal(record_feed(b.record, s.p, s.n), 0);
        assert_true(span_same(record_take(b.record), span_of("hello", 5)));
        bare_free(&b);
    }
}

/* The relay's secrets are there before the client has proven itself: they must open nothing yet. */
static void data_before_finished_is_never_opened(void **state)
{
    (void)state;
    for (int how = MUTUAL; how <= JOINING; how++) {
        struct bare b;
        bare_shake(&b, how, NULL, false);
        size_t flight = tls_out(b.tls).n;
        bare_hand_over(&b);
        assert_int_equal(record_send(b.record, (const uint8_t *)"too early", 9), 0);
        struct span s = record_out(b.record);
        assert_int_equal(to_relay(&b, s.p + flight, s.n - flight), -1);
        assert_false(b.p.established[ROLE_RELAY]);
        assert_true(b.p.failed[ROLE_RELAY]);
        assert_int_equal(b.p.got[ROLE_RELAY].len, 0);
        bare_free(&b);
    }
}

/* Who has no certificate to show knows the secrets just as well. */
static void secrets_prove_nothing(void **state)
{
    struct bare b;
    struct pair *p = &b.p;

    (void)state;
    bare_shake(&b, MUTUAL, NULL, false);
    size_t flight = tls_out(b.tls).n;
    uint8_t wire[8192];
    bare_hand_over(&b);
    assert_int_equal(record_send(b.record, (const uint8_t *)"let me in", 9), 0);
    struct span s = record_out(b.record);
    memcpy(wire, s.p, s.n);
    wire[flight - 1] ^= 1; /* its Finished is wrong */
    assert_int_equal(to_relay(&b, wire, s.n), -1);
    assert_false(p->established[ROLE_RELAY]);
    assert_int_equal(p->got[ROLE_RELAY].len, 0);
    assert_int_equal(link_send(p->end[ROLE_RELAY], (const uint8_t *)"x", 1), -1);
    bare_free(&b);
}

/* --- bytes inside the record of Finished --- */

/* Opens the last record of the flight, puts bytes behind Finished and seals it again. */
static size_t stuff(struct bare *b, uint8_t *wire, const void *more, size_t more_n)
{
    struct span s = tls_out(b->tls);
    struct record_key k;
    uint8_t nonce[AEAD_IV_LEN], plain[256];
    size_t at = 0, n = 0;
    uint64_t seq = 0;

    assert_int_equal(record_key_make(&k, &b->handshake), 0);
    for (size_t next = 0; next < s.n; next = at + 5 + n) {
        at = next;
        n = (size_t)(s.p[at + 3] << 8 | s.p[at + 4]);
        seq += s.p[at] == RECORD_DATA;
    }
    aead_nonce(nonce, k.iv, seq - 1);
    assert_true(n < sizeof plain);
    assert_int_equal(
        aead_open(k.aead, &k.key, nonce, span_of(s.p + at, 5), span_of(s.p + at + 5, n), plain), 0);
    n -= AEAD_TAG_LEN;
    while (plain[n - 1] == 0)
        n--;
    assert_int_equal(plain[--n], RECORD_HANDSHAKE);
    assert_int_equal(plain[0], 20);
    memcpy(plain + n, more, more_n);
    n += more_n;
    plain[n++] = RECORD_HANDSHAKE;
    memcpy(wire, s.p, at);
    size_t len = n + AEAD_TAG_LEN;
    memcpy(wire + at, (uint8_t[]){23, 3, 3, (uint8_t)(len >> 8), (uint8_t)len}, 5);
    assert_int_equal(
        aead_seal(k.aead, &k.key, nonce, span_of(wire + at, 5), span_of(plain, n), wire + at + 5),
        0);
    return at + 5 + len;
}

static void bytes_inside_the_record_of_finished_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {{"", 0}, {"\x18\0\0\1\1", 5}, {"\x18\0", 2}, {"\x18\0\0\1", 4}, {"\x04\0\0\0", 4}};
    uint8_t wire[8192];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (int how = MUTUAL; how <= JOINING; how++) {
            struct bare b;
            bare_shake(&b, how, NULL, false);
            size_t n = stuff(&b, wire, rows[i].bytes, rows[i].n);
            int r = to_relay(&b, wire, n);
            assert_int_equal(r, i == 0 ? 0 : -1); /* the knife itself does no harm */
            assert_int_equal(b.p.established[ROLE_RELAY], i == 0);
            if (i > 0) {
                bare_hand_over(&b);
                struct span s = link_out(b.p.end[ROLE_RELAY]);
                assert_int_equal(record_feed(b.record, s.p, s.n), -1);
                assert_int_equal(record_alert(b.record), 10);
            }
            bare_free(&b);
        }
    }
}

/* --- what must be in place --- */

static void lose_in(struct tls *t)
{
    t->secrets[SERVER_DATA].n = 0;
}

static void lose_out(struct tls *t)
{
    t->secrets[CLIENT_DATA].n = 0;
}

static void shorten(struct tls *t)
{
    t->secrets[CLIENT_DATA].n = t->secrets[SERVER_DATA].n = 32;
}

static void count(struct tls *t)
{
    t->ssl.MBEDTLS_PRIVATE(cur_out_ctr)[7] = 1;
}

static void leave_in(struct tls *t)
{
    t->ssl.MBEDTLS_PRIVATE(in_left) = 1;
}

/* mbedTLS of another version exports otherwise, or has sealed something: nothing goes on. */
static void a_strange_mbedtls_is_not_trusted(void **state)
{
    void (*const changes[])(struct tls *) = {lose_in, lose_out, shorten, count, leave_in};

    (void)state;
    for (size_t i = 0; i < COUNT(changes); i++) {
        struct tls_handover h;
        struct bare b;
        bare_shake(&b, MUTUAL, NULL, false);
        changes[i](b.tls);
        assert_int_equal(tls_hand_over(b.tls, LINK_EXPORTER_LOGIN, &h), -1);
        assert_int_equal(tls_error(b.tls)->code, ERR_LOCAL);
        assert_false(tls_open(b.tls));
        for (size_t k = 0; k < sizeof h; k++)
            assert_int_equal(((const uint8_t *)&h)[k], 0);
        bare_free(&b);
    }
}

/* Whatever mbedTLS says of its handshake: when our own check of the relay's certificates was never
 * run, nothing goes on. */
static void a_handshake_without_our_check_is_none(void **state)
{
    struct err e = {0};

    (void)state;
    for (int checked = 1; checked >= 0; checked--) {
        struct bare b;
        size_t used;
        memset(&b, 0, sizeof b);
        pair_conf(&b.p, w);
        b.p.end[ROLE_RELAY] = link_new(ROLE_RELAY, &b.p.conf[ROLE_RELAY], &e);
        assert_non_null(b.p.end[ROLE_RELAY]);
        bare_start(&b, MUTUAL, NULL);
        struct span s = tls_out(b.tls);
        assert_int_equal(link_feed(b.p.end[ROLE_RELAY], s.p, s.n), 0);
        s = link_out(b.p.end[ROLE_RELAY]);
        bare_feed(&b, s.p, s.n - 1);
        assert_true(b.tls->checked);
        b.tls->checked = checked;
        assert_int_equal(tls_shake(b.tls, s.p + s.n - 1, 1, &used), checked ? 0 : -1);
        assert_int_equal(tls_open(b.tls), checked);
        bare_free(&b);
    }
}

static void nothing_is_handed_over_too_early_or_twice(void **state)
{
    struct tls_handover h;
    struct bare b;
    struct err e = {0};

    (void)state;
    bare_shake(&b, MUTUAL, NULL, false);
    struct tls *young = tls_new(b.conf, &e);
    assert_non_null(young);
    assert_int_equal(tls_hand_over(young, LINK_EXPORTER_LOGIN, &h), -1);
    assert_string_equal(tls_error(young)->text, "nothing to hand over in this state");
    tls_free(young);
    bare_hand_over(&b);
    for (int i = 0; i < SECRETS; i++)
        assert_int_equal(b.tls->secrets[i].n, 0); /* wiped */
    assert_int_equal(tls_hand_over(b.tls, LINK_EXPORTER_LOGIN, &h), -1);
    bare_free(&b);
}

/* --- KeyUpdate across a whole connection --- */

static void a_link_answers_a_key_update(void **state)
{
    (void)state;
    for (int mbedtls = 0; mbedtls < 2; mbedtls++) {
        struct bare b;
        bare_shake(&b, MUTUAL, NULL, mbedtls);
        bare_hand_over(&b);
        struct span s = record_out(b.record);
        assert_int_equal(to_relay(&b, s.p, s.n), 0);
        record_sent(b.record, s.n);
        assert_int_equal(record_rekey(b.record, true), 0);
        assert_int_equal(record_send(b.record, (const uint8_t *)"new", 3), 0);
        s = record_out(b.record);
        int r = to_relay(&b, s.p, s.n);
        record_sent(b.record, s.n);
        assert_int_equal(r, mbedtls ? -1 : 0); /* mbedTLS 3.6 does not know it */
        s = link_out(b.p.end[ROLE_RELAY]);
        if (!mbedtls) {
            assert_int_equal(s.n, 27);
            assert_int_equal(record_feed(b.record, s.p, s.n), 0);
            assert_int_equal(b.p.got[ROLE_RELAY].len, 3);
        }
        bare_free(&b);
    }
}

/* On command, from either side's link; mbedTLS's own records have no way to. */
static void keys_change_on_command(void **state)
{
    (void)state;
    for (int mbedtls = 0; mbedtls < 2; mbedtls++) {
        struct bare b;
        bare_shake(&b, MUTUAL, NULL, mbedtls);
        bare_hand_over(&b);
        struct span s = record_out(b.record);
        assert_int_equal(to_relay(&b, s.p, s.n), 0);
        record_sent(b.record, s.n);
        assert_int_equal(link_rekey(b.p.end[ROLE_RELAY]), mbedtls ? -1 : 0);
        assert_int_equal(link_send(b.p.end[ROLE_RELAY], (const uint8_t *)"new", 3), 0);
        s = link_out(b.p.end[ROLE_RELAY]);
        assert_int_equal(record_feed(b.record, s.p, s.n), 0);
        assert_int_equal(record_take(b.record).n, 3);
        assert_int_equal(record_out(b.record).n > 0, !mbedtls); /* its answer */
        bare_free(&b);
    }
}

/* A client may send no ticket: the relay's link knows which role it has. */
static void a_relay_is_given_no_ticket(void **state)
{
    static const uint8_t msg[] = {4, 0, 0, 14, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 1, 9, 0, 0};
    uint8_t rec[RECORD_HEAD + sizeof msg + 1 + AEAD_TAG_LEN] = {RECORD_DATA, 3, 3, 0,
                                                                sizeof msg + 1 + AEAD_TAG_LEN};
    struct bare b;

    (void)state;
    bare_shake(&b, MUTUAL, NULL, false);
    bare_hand_over(&b);
    struct span s = record_out(b.record);
    assert_int_equal(to_relay(&b, s.p, s.n), 0);
    record_sent(b.record, s.n);
    memcpy(rec + RECORD_HEAD, msg, sizeof msg);
    rec[RECORD_HEAD + sizeof msg] = RECORD_HANDSHAKE;
    const struct record_side *side = &b.record->sides[true]; /* its nonce is the iv as it is */
    assert_int_equal(aead_seal(b.record->aead, &side->key, side->iv, span_of(rec, RECORD_HEAD),
                               span_of(rec + RECORD_HEAD, sizeof msg + 1), rec + RECORD_HEAD),
                     0);
    assert_int_equal(to_relay(&b, rec, sizeof rec), -1);
    assert_string_equal(pair_why(&b.p, ROLE_RELAY), "a handshake message behind the handshake");
    bare_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_layers_understand_each_other),
        cmocka_unit_test(the_reference_tells_the_same),
        cmocka_unit_test(damage_is_seen_by_both_layers),
        cmocka_unit_test(nothing_unsealed_is_read_behind_the_handshake),
        cmocka_unit_test(a_link_at_rest_forgets_certificates_and_goes_on),
        cmocka_unit_test(a_relay_sends_no_ticket),
        cmocka_unit_test(data_in_the_segment_of_finished_arrives),
        cmocka_unit_test(data_before_finished_is_never_opened),
        cmocka_unit_test(secrets_prove_nothing),
        cmocka_unit_test(bytes_inside_the_record_of_finished_are_refused),
        cmocka_unit_test(a_strange_mbedtls_is_not_trusted),
        cmocka_unit_test(a_handshake_without_our_check_is_none),
        cmocka_unit_test(nothing_is_handed_over_too_early_or_twice),
        cmocka_unit_test(a_link_answers_a_key_update),
        cmocka_unit_test(keys_change_on_command),
        cmocka_unit_test(a_relay_is_given_no_ticket),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
