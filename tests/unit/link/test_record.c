/* The record layer alone: two ends under the same secrets, and somebody who knows them and seals
 * whatever he likes. */
#include <stdlib.h>
#include <string.h>

#include "common/crypto/tls.h"
#include "common/link/record_priv.h"
#include "tests/unit/link/support_link.h"

enum { IN, OUT };
enum { KEY_UPDATE = 24, TICKET = 4 };

struct two {
    struct record *client, *relay;
};

static const struct {
    enum hash_kind hash;
    enum aead_kind aead;
} suites[] = {{HASH_SHA384, AEAD_AES_256_GCM}, {HASH_SHA256, AEAD_CHACHA20_POLY1305}};

static uint8_t secrets[2][SHA384_LEN];
static uint8_t plenty[1 << 20];

static int setup(void **state)
{
    struct err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof plenty; i++)
        plenty[i] = (uint8_t)(i * 13 >> 2);
    for (size_t i = 0; i < SHA384_LEN; i++) {
        secrets[0][i] = (uint8_t)i;
        secrets[1][i] = (uint8_t)(200 - i);
    }
    return crypto_init(&e);
}

static struct record *end_new(size_t suite, bool relay)
{
    size_t n = hash_len(suites[suite].hash);
    struct err e = {0};
    struct record_conf c = {
        .peer = relay ? "client" : "relay",
        .hash = suites[suite].hash,
        .aead = suites[suite].aead,
        .secret_in = span_of(secrets[!relay], n),
        .secret_out = span_of(secrets[relay], n),
        .tickets = relay ? 0 : LINK_TICKETS_MAX,
    };
    struct record *r = record_new(&c, &e);

    assert_non_null(r);
    return r;
}

static struct two two_new(size_t suite)
{
    return (struct two){end_new(suite, false), end_new(suite, true)};
}

static void two_free(struct two *t)
{
    record_free(t->client);
    record_free(t->relay);
}

/* A copy of its own size, so that reading past it is seen. */
static int feed(struct record *to, const void *p, size_t n)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);

    assert_non_null(copy);
    memcpy(copy, p, n);
    int r = record_feed(to, copy, n);
    free(copy);
    assert_int_equal(r, record_error(to)->code == ERR_NONE ? 0 : -1);
    return r;
}

static int put(struct record *r, const void *p, size_t n)
{
    return record_send(r, p, n);
}

/* Moves what waits; how many bytes. */
static size_t move(struct record *from, struct record *to, size_t piece)
{
    struct span s = record_out(from);

    for (size_t at = 0; at < s.n; at += piece)
        (void)!feed(to, s.p + at, piece < s.n - at ? piece : s.n - at);
    record_sent(from, s.n);
    return s.n;
}

/* What `from` would say if it said this: content, type, so many zeros, sealed as its next record.
 */
static size_t craft(struct record *from, uint8_t *out, unsigned type, const void *p, size_t n,
                    size_t zeros)
{
    struct record_side *s = &from->sides[OUT];
    size_t len = n + 1 + zeros + AEAD_TAG_LEN;
    uint8_t nonce[AEAD_IV_LEN];

    memcpy(nonce, s->iv, sizeof nonce);
    for (size_t i = 0; i < 8; i++)
        nonce[11 - i] ^= (uint8_t)(s->seq >> 8 * i);
    memcpy(out, (uint8_t[]){23, 3, 3, (uint8_t)(len >> 8), (uint8_t)len}, 5);
    memmove(out + 5, p, n);
    out[5 + n] = (uint8_t)type;
    memset(out + 5 + n + 1, 0, zeros);
    assert_int_equal(aead_seal(from->aead, &s->key, nonce, span_of(out, 5),
                               span_of(out + 5, len - AEAD_TAG_LEN), out + 5),
                     0);
    s->seq++;
    return 5 + len;
}

static int say(struct record *from, struct record *to, unsigned type, const void *p, size_t n)
{
    static uint8_t wire[32768];

    return feed(to, wire, craft(from, wire, type, p, n, 0));
}

/* `to` has refused, and `from` can read why. */
static void refused(struct record *from, struct record *to, unsigned alert)
{
    assert_int_not_equal(record_error(to)->code, ERR_NONE);
    assert_int_equal(record_take(to).n, 0);
    assert_true(move(to, from, 1 << 20) > 0);
    if (record_alert(from) != alert)
        fail_msg("alert %u, not %u: %s", record_alert(from), alert, record_error(to)->text);
    assert_int_equal(record_out(from).n, 0); /* and does not answer it */
    assert_int_equal(record_send(to, plenty, 1), -1);
    assert_int_equal(record_out(to).n, 0); /* nor says anything more */
}

static void arrives(struct record *from, struct record *to, const void *p, size_t n, size_t piece)
{
    assert_int_equal(put(from, p, n), 0);
    move(from, to, piece);
    assert_true(span_same(record_take(to), span_of(p, n)));
    assert_int_equal(record_take(to).n, 0);
}

/* --- keys and lengths --- */

/* RFC 8448 section 3: application keys of both directions. The suite there has keys of 16 bytes. */
static void keys_are_those_of_rfc8448(void **state)
{
    static const char *const rows[2][3] = {
        {"a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
         "9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984"},
        {"9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
         "17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9"},
    };
    uint8_t secret[2][32], key[16], derived[16], iv[12];
    struct err e = {0};

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(hex_take(secret[i], 32, str_of(rows[i][0])), 0);
    struct record_conf c = {.peer = "relay",
                            .hash = HASH_SHA256,
                            .aead = AEAD_CHACHA20_POLY1305,
                            .secret_in = span_of(secret[0], 32),
                            .secret_out = span_of(secret[1], 32)};
    struct record *r = record_new(&c, &e);
    assert_non_null(r);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hex_take(key, sizeof key, str_of(rows[i][1])), 0);
        assert_int_equal(hex_take(iv, sizeof iv, str_of(rows[i][2])), 0);
        assert_memory_equal(r->sides[i].iv, iv, sizeof iv);
        assert_int_equal(hkdf_expand_label(HASH_SHA256, span_of(r->sides[i].secret, 32), "key",
                                           span_of(NULL, 0), derived, sizeof derived),
                         0);
        assert_memory_equal(derived, key, sizeof key);
        assert_int_equal(r->sides[i].seq, 0);
    }
    record_free(r);
    record_free(NULL);
}

static void secrets_of_another_length_are_refused(void **state)
{
    struct err e = {0};
    struct record_conf c = {.peer = "relay", .hash = HASH_SHA384, .aead = AEAD_AES_256_GCM};

    (void)state;
    for (size_t n = 0; n <= SHA384_LEN; n += 16) {
        c.secret_in = span_of(secrets[0], n);
        c.secret_out = span_of(secrets[1], SHA384_LEN);
        struct record *a = record_new(&c, &e);
        c.secret_in = span_of(secrets[0], SHA384_LEN);
        c.secret_out = span_of(secrets[1], n);
        struct record *b = record_new(&c, &e);
        assert_int_equal(a != NULL, n == SHA384_LEN);
        assert_int_equal(b != NULL, n == SHA384_LEN);
        record_free(a);
        record_free(b);
    }
    c.aead = AEAD_XCHACHA20_POLY1305;
    assert_null(record_new(&c, &e));
}

static void every_length_goes_in_records_of_at_most_16384(void **state)
{
    static const size_t sizes[] = {1, 2, 255, 16383, 16384, 16385, 32768, 50000, 1 << 20};
    static const size_t pieces[] = {1 << 21, 1, 4099};

    (void)state;
    for (size_t suite = 0; suite < 2; suite++) {
        struct two t = two_new(suite);
        for (size_t i = 0; i < COUNT(sizes); i++) {
            size_t n = sizes[i], records = (n + 16383) / 16384;
            assert_int_equal(record_send(t.client, plenty, n), 0);
            assert_int_equal(record_waiting(t.client), n + 22 * records);
            assert_int_equal(record_out(t.client).n, n + 22 * records);
            assert_int_equal(record_out(t.client).p[0], 23);
            move(t.client, t.relay, pieces[i % 3]);
            assert_true(span_same(record_take(t.relay), span_of(plenty, n)));
            arrives(t.relay, t.client, plenty, n, pieces[(i + 1) % 3]);
        }
        two_free(&t);
    }
}

static void small_messages_share_a_record(void **state)
{
    struct two t = two_new(0);

    (void)state;
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(record_send(t.relay, plenty + 10 * i, 10), 0);
    assert_int_equal(t.relay->sides[OUT].seq, 0); /* sealed late */
    assert_int_equal(record_waiting(t.relay), 1022);
    assert_int_equal(move(t.relay, t.client, 1 << 20), 1022);
    assert_int_equal(t.relay->sides[OUT].seq, 1);
    assert_true(span_same(record_take(t.client), span_of(plenty, 1000)));
    assert_int_equal(record_out(t.relay).n, 0);
    two_free(&t);
}

/* What is taken in parts by the socket stays in order with what is said meanwhile. */
static void a_slow_socket_changes_nothing(void **state)
{
    struct two t = two_new(1);
    size_t said = 0;

    (void)state;
    for (int i = 0; i < 500; i++) {
        assert_int_equal(record_send(t.relay, plenty + said, 100), 0);
        said += 100;
        struct span s = record_out(t.relay);
        size_t k = i % 3 == 0 ? s.n / 2 : 7;
        assert_int_equal(feed(t.client, s.p, k), 0);
        record_sent(t.relay, k);
    }
    move(t.relay, t.client, 1 << 20);
    assert_true(span_same(record_take(t.client), span_of(plenty, said)));
    two_free(&t);
}

/* --- damage --- */

static void every_flipped_bit_is_seen(void **state)
{
    (void)state;
    for (size_t suite = 0; suite < 2; suite++) {
        for (size_t bit = 0; bit < 8 * (18 + 22); bit++) {
            struct two t = two_new(suite);
            uint8_t wire[64];
            size_t n = craft(t.client, wire, 23, "eighteen characters", 18, 0);
            wire[bit / 8] ^= (uint8_t)(1U << bit % 8);
            bool longer = (bit / 8 == 3 || bit / 8 == 4) && (wire[3] << 8 | wire[4]) > 35 &&
                          (wire[3] << 8 | wire[4]) <= 16401;
            if (longer) { /* waits for the rest; whatever comes then */
                assert_int_equal(feed(t.relay, wire, n), 0);
                (void)!feed(t.relay, plenty, 20000);
            } else {
                (void)!feed(t.relay, wire, n);
            }
            size_t len = (size_t)(wire[3] << 8 | wire[4]);
            refused(t.client, t.relay, bit / 8 == 0 ? 10 : len > 16401 ? 22 : 20);
            two_free(&t);
        }
    }
}

static void no_record_is_opened_twice_or_out_of_order(void **state)
{
    (void)state;
    for (int c = 0; c < 3; c++) {
        struct two t = two_new(0);
        uint8_t one[64], two[64];
        size_t n = craft(t.client, one, 23, "one", 3, 0);
        craft(t.client, two, 23, "two", 3, 0);
        if (c == 0) { /* replayed */
            assert_int_equal(feed(t.relay, one, n), 0);
            assert_int_equal(record_take(t.relay).n, 3);
            assert_int_equal(feed(t.relay, one, n), -1);
        } else { /* dropped; swapped */
            assert_int_equal(feed(t.relay, two, n), -1);
            assert_int_equal(feed(t.relay, c == 1 ? two : one, n), -1);
        }
        refused(t.client, t.relay, 20);
        two_free(&t);
    }
}

static void own_words_do_not_come_back(void **state)
{
    struct two t = two_new(0);
    uint8_t wire[64];

    (void)state;
    assert_int_equal(feed(t.client, wire, craft(t.client, wire, 23, "me", 2, 0)), -1);
    assert_string_equal(record_error(t.client)->text, "a record was damaged or forged on the way");
    two_free(&t);
}

static void a_missing_end_is_called_cut(void **state)
{
    struct two t = two_new(0);

    (void)state;
    arrives(t.client, t.relay, "x", 1, 9);
    assert_int_equal(record_eof(t.relay), -1);
    assert_int_equal(record_error(t.relay)->code, ERR_IO);
    record_close(t.client);
    assert_int_equal(record_eof(t.client), 0);
    two_free(&t);
}

/* --- what the head and the inside may say --- */

static void lengths_are_judged_by_the_head(void **state)
{
    static const struct {
        unsigned len, alert;
    } rows[] = {{0, 20},      {1, 20},     {16, 20},    {17, 256},
                {16401, 256}, {16402, 22}, {16640, 22}, {65535, 22}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct two t = two_new(0);
        uint8_t head[5] = {23, 3, 3, (uint8_t)(rows[i].len >> 8), (uint8_t)rows[i].len};
        assert_int_equal(feed(t.relay, head, 4), 0);
        int r = feed(t.relay, head + 4, 1);
        assert_int_equal(r, rows[i].alert == 256 ? 0 : -1);
        if (r < 0)
            refused(t.client, t.relay, rows[i].alert);
        assert_true(t.relay->in.cap < 32768);
        two_free(&t);
    }
}

static void padding_is_taken_off_and_counts(void **state)
{
    static const size_t zeros[] = {0, 1, 15, 16, 1000, 16384 - 5};
    static uint8_t wire[32768];
    struct two t = two_new(1);

    (void)state;
    for (size_t i = 0; i < COUNT(zeros); i++) {
        assert_int_equal(feed(t.relay, wire, craft(t.client, wire, 23, "h\0i\0\0", 5, zeros[i])),
                         0);
        assert_true(span_same(record_take(t.relay), span_of("h\0i\0\0", 5)));
    }
    assert_int_equal(feed(t.relay, wire, craft(t.client, wire, 23, "hello", 5, 16384 - 4)), -1);
    refused(t.client, t.relay, 22);
    two_free(&t);
}

static void zeros_alone_are_no_record(void **state)
{
    static const size_t zeros[] = {0, 1, 100, 16384};
    static uint8_t wire[32768];

    (void)state;
    for (size_t i = 0; i < COUNT(zeros); i++) {
        struct two t = two_new(0);
        assert_int_equal(feed(t.relay, wire, craft(t.client, wire, 0, "", 0, zeros[i])), -1);
        refused(t.client, t.relay, 10);
        two_free(&t);
    }
}

static void unknown_kinds_are_refused(void **state)
{
    (void)state;
    for (unsigned type = 1; type < 256; type++) {
        struct two t = two_new(0);
        if (type < 21 || type > 23) {
            assert_int_equal(say(t.client, t.relay, type, "\1", 1), -1);
            refused(t.client, t.relay, 10);
        }
        two_free(&t);
    }
}

static void nothing_unsealed_is_believed(void **state)
{
    static const uint8_t rows[][7] = {
        {21, 3, 3, 0, 2, 1, 0}, /* close_notify */
        {21, 3, 3, 0, 2, 2, 40}, {20, 3, 3, 0, 1, 1, 0}, {22, 3, 3, 0, 2, 24, 0},
        {0, 3, 3, 0, 2, 0, 0},   {24, 3, 3, 0, 2, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (int cut = 1; cut <= 7; cut += 2) {
            struct two t = two_new(0);
            (void)!feed(t.relay, rows[i], (size_t)cut);
            (void)!feed(t.relay, rows[i] + cut, (size_t)(7 - cut));
            assert_false(record_closed(t.relay));
            assert_int_equal(record_alert(t.relay), ALERT_NONE);
            refused(t.client, t.relay, 10);
            two_free(&t);
        }
    }
}

static void empty_records_are_bounded(void **state)
{
    struct two t = two_new(0);

    (void)state;
    for (int i = 0; i < LINK_BARREN_MAX; i++)
        assert_int_equal(say(t.client, t.relay, 23, "", 0), 0);
    assert_int_equal(say(t.client, t.relay, 23, "x", 1), 0);
    record_take(t.relay);
    record_take(t.relay);
    for (int i = 0; i < LINK_BARREN_MAX; i++)
        assert_int_equal(say(t.client, t.relay, 23, "", 0), 0);
    assert_int_equal(say(t.client, t.relay, 23, "", 0), -1);
    refused(t.client, t.relay, 10);
    two_free(&t);
}

/* --- alerts --- */

static void a_close_is_two_bytes(void **state)
{
    struct two t = two_new(0);

    (void)state;
    assert_int_equal(put(t.client, "bye", 3), 0);
    record_close(t.client);
    record_close(t.client);
    assert_int_equal(put(t.client, "more", 4), -1);
    move(t.client, t.relay, 1);
    assert_int_equal(record_take(t.relay).n, 3);
    assert_true(record_closed(t.relay));
    assert_int_equal(record_eof(t.relay), 0);
    assert_int_equal(feed(t.relay, "whatever comes behind it", 24), 0);
    two_free(&t);
}

static void alerts_of_another_length_are_refused(void **state)
{
    static const uint8_t bytes[6] = {1, 0, 1, 0, 1, 0};

    (void)state;
    for (size_t n = 0; n <= sizeof bytes; n++) {
        struct two t = two_new(0);
        int r = say(t.client, t.relay, 21, bytes, n);
        assert_int_equal(r, n == 2 ? 0 : -1);
        if (n != 2)
            refused(t.client, t.relay, 50);
        two_free(&t);
    }
}

static void every_other_alert_is_fatal_and_not_answered(void **state)
{
    (void)state;
    for (unsigned number = 1; number < 256; number++) {
        struct two t = two_new(0);
        uint8_t a[2] = {(uint8_t)(number % 3), (uint8_t)number};
        int r = say(t.relay, t.client, 21, a, 2);
        assert_int_equal(r, number == 90 ? 0 : -1);
        assert_int_equal(record_out(t.client).n, 0);
        if (number != 90)
            assert_int_equal(record_alert(t.client), number);
        if (number == 45)
            assert_string_equal(record_error(t.client)->text,
                                "relay refused our certificate: certificate expired");
        two_free(&t);
    }
}

static void cancelling_is_bounded(void **state)
{
    struct two t = two_new(0);
    int n = 0;

    (void)state;
    while (n < 1000 && say(t.client, t.relay, 21, "\1\x5a", 2) == 0)
        n++;
    assert_int_equal(n, LINK_BARREN_MAX);
    refused(t.client, t.relay, 10);
    two_free(&t);
}

/* A peer gives up on records without data; so wishes wait for something to carry. */
static void wishes_for_new_keys_are_bounded(void **state)
{
    struct two t = two_new(0);

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < LINK_ASKS_MAX; i++)
            assert_int_equal(record_rekey(t.client, true), 0);
        assert_int_equal(record_rekey(t.client, true), -1);
        assert_int_equal(record_error(t.client)->code, ERR_NONE);
        assert_int_equal(record_rekey(t.client, false), 0); /* an answer is no wish */
        arrives(t.client, t.relay, "a word", 6, 7);
        arrives(t.relay, t.client, "another", 7, 7);
    }
    two_free(&t);
}

/* After our close_notify an alert would be a word behind the last one. */
static void who_has_closed_says_nothing_more(void **state)
{
    struct two t = two_new(0);

    (void)state;
    record_close(t.relay);
    move(t.relay, t.client, 1 << 20);
    assert_true(record_closed(t.client));
    assert_int_equal(say(t.client, t.relay, 22, "\x18\0\0\1\1", 5), 0); /* asks for a new key */
    assert_int_equal(record_out(t.relay).n, 0);
    assert_int_equal(say(t.client, t.relay, 99, "x", 1), -1);
    assert_int_equal(record_out(t.relay).n, 0);
    assert_int_equal(record_rekey(t.relay, true), -1);
    two_free(&t);
}

static void a_client_is_let_in_by_data(void **state)
{
    size_t n = hash_len(HASH_SHA384);
    struct err e = {0};
    struct record_conf c = {.peer = "relay",
                            .hash = HASH_SHA384,
                            .aead = AEAD_AES_256_GCM,
                            .secret_in = span_of(secrets[1], n),
                            .secret_out = span_of(secrets[0], n),
                            .before = span_of("Finished", 8),
                            .verdict = true};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct record *r = record_new(&c, &e), *relay = end_new(0, true);
        assert_true(span_same(record_out(r), span_of("Finished", 8)));
        record_sent(r, 8);
        if (i == 0) { /* told to speak too early */
            assert_int_equal(put(r, "x", 1), -1);
        } else if (i == 1) {
            record_close(relay);
            move(relay, r, 1 << 20);
            assert_false(record_closed(r));
            assert_string_equal(record_error(r)->text, "the relay closed before it let us in");
        } else {
            arrives(relay, r, "in", 2, 3);
            assert_int_equal(record_first(r, false), 24);
            arrives(r, relay, "thanks", 6, 3);
            assert_int_equal(record_first(r, true), 28);
        }
        record_free(r);
        record_free(relay);
    }
}

/* --- KeyUpdate --- */

static const uint8_t update[5] = {KEY_UPDATE, 0, 0, 1, 0}, update_ask[5] = {KEY_UPDATE, 0, 0, 1, 1};

/* The crafting side goes on under its next key too. */
static void next_key(struct record *r)
{
    struct record_side *s = &r->sides[OUT];
    size_t n = hash_len(r->hash);
    uint8_t next[SHA384_LEN];

    assert_int_equal(
        hkdf_expand_label(r->hash, span_of(s->secret, n), "traffic upd", span_of(NULL, 0), next, n),
        0);
    memcpy(s->secret, next, n);
    assert_int_equal(
        hkdf_expand_label(r->hash, span_of(next, n), "key", span_of(NULL, 0), s->key.b, 32), 0);
    assert_int_equal(
        hkdf_expand_label(r->hash, span_of(next, n), "iv", span_of(NULL, 0), s->iv, sizeof s->iv),
        0);
    s->seq = 0;
}

static int say_update(struct record *from, struct record *to, bool ask)
{
    int r = say(from, to, 22, ask ? update_ask : update, 5);

    next_key(from);
    return r;
}

static void both_change_their_keys(void **state)
{
    (void)state;
    for (size_t suite = 0; suite < 2; suite++) {
        struct two t = two_new(suite);
        uint8_t before[4][32];
        memcpy(before[0], t.client->sides[IN].key.b, 32);
        memcpy(before[1], t.client->sides[OUT].key.b, 32);
        for (int i = 0; i < 10; i++) {
            assert_int_equal(put(t.client, "old", 3), 0);
            assert_int_equal(record_rekey(t.client, i % 2), 0);
            assert_int_equal(put(t.client, "new", 3), 0);
            move(t.client, t.relay, 7);
            assert_true(span_same(record_take(t.relay), span_of("oldnew", 6)));
            assert_int_equal(record_out(t.relay).n, i % 2 ? 27 : 0);
            move(t.relay, t.client, 7);
            assert_memory_equal(t.client->sides[OUT].key.b, t.relay->sides[IN].key.b, 32);
            assert_memory_equal(t.client->sides[IN].key.b, t.relay->sides[OUT].key.b, 32);
            arrives(t.relay, t.client, "answer", 6, 5);
        }
        assert_memory_not_equal(before[0], t.client->sides[IN].key.b, 32);
        assert_memory_not_equal(before[1], t.client->sides[OUT].key.b, 32);
        two_free(&t);
    }
}

static void the_old_key_is_good_for_nothing(void **state)
{
    struct two t = two_new(0);

    (void)state;
    assert_int_equal(say(t.client, t.relay, 22, update, 5), 0);
    assert_int_equal(say(t.client, t.relay, 23, "x", 1), -1); /* still under the old one */
    next_key(t.client);
    refused(t.client, t.relay, 20);
    two_free(&t);
}

/* Several requests share one answer, which goes before the next data, under the old key. */
static void one_answer_is_enough(void **state)
{
    struct two t = two_new(0);

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(say_update(t.client, t.relay, true), 0);
    assert_int_equal(put(t.relay, "data", 4), 0);
    struct span s = record_out(t.relay);
    assert_int_equal(s.n, 27 + 26); /* one KeyUpdate, one record of four bytes */
    assert_int_equal(feed(t.client, s.p, 27), 0);
    assert_int_equal(record_take(t.client).n, 0);
    assert_int_equal(t.client->sides[IN].seq, 0); /* that was the KeyUpdate */
    assert_int_equal(feed(t.client, s.p + 27, 26), 0);
    assert_int_equal(record_take(t.client).n, 4);
    assert_int_equal(record_out(t.client).n, 0); /* an answer is not answered */
    two_free(&t);
}

/* What was said before the request stays in front, under the key it had. */
static void what_was_gathered_keeps_its_place(void **state)
{
    struct two t = two_new(0);

    (void)state;
    assert_int_equal(put(t.relay, "before", 6), 0);
    assert_int_equal(say_update(t.client, t.relay, true), 0);
    assert_int_equal(put(t.relay, "after", 5), 0);
    /* record, KeyUpdate, record: what is said later is under the new key */
    assert_int_equal(move(t.relay, t.client, 3), 28 + 27 + 27);
    assert_true(span_same(record_take(t.client), span_of("beforeafter", 11)));
    two_free(&t);
}

/* A peer that asks and asks and never reads must not make a queue of answers. */
static void unread_answers_do_not_pile_up(void **state)
{
    struct two t = two_new(0);
    size_t most = 0;

    (void)state;
    for (int i = 0; i < 500; i++) {
        assert_int_equal(say_update(t.client, t.relay, true), 0);
        assert_int_equal(say(t.client, t.relay, 23, "x", 1), 0);
        record_take(t.relay);
        if (record_out(t.relay).n > most)
            most = record_out(t.relay).n;
    }
    assert_int_equal(most, 27);
    move(t.relay, t.client, 1 << 20);
    move(t.relay, t.client, 1 << 20);
    arrives(t.relay, t.client, "still well", 10, 4);
    two_free(&t);
}

static void updates_without_data_are_bounded(void **state)
{
    (void)state;
    for (int ask = 0; ask < 2; ask++) {
        struct two t = two_new(0);
        for (int i = 0; i < LINK_BARREN_MAX; i++)
            assert_int_equal(say_update(t.client, t.relay, ask), 0);
        arrives(t.client, t.relay, "x", 1, 1);
        for (int i = 0; i < LINK_BARREN_MAX; i++)
            assert_int_equal(say_update(t.client, t.relay, ask), 0);
        assert_int_equal(say_update(t.client, t.relay, ask), -1);
        assert_string_equal(record_error(t.relay)->text, "too many records without data");
        two_free(&t);
    }
}

static void an_update_may_come_in_fragments(void **state)
{
    struct two t = two_new(0);

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(t.relay->sides[IN].seq, i);
        assert_int_equal(say(t.client, t.relay, 22, update + i, 1), 0);
    }
    next_key(t.client);
    arrives(t.client, t.relay, "x", 1, 1);
    two_free(&t);
}

static void nothing_comes_between_fragments(void **state)
{
    static const uint8_t kinds[] = {23, 21, 99};

    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (size_t cut = 1; cut < 5; cut++) {
            struct two t = two_new(0);
            assert_int_equal(say(t.client, t.relay, 22, update, cut), 0);
            assert_int_equal(say(t.client, t.relay, kinds[k], "\1\0", 2), -1);
            assert_false(record_closed(t.relay));
            refused(t.client, t.relay, 10);
            two_free(&t);
        }
    }
}

/* RFC 8446 5.1: a key change comes at the end of its record. */
static void nothing_comes_behind_an_update_in_its_record(void **state)
{
    uint8_t msg[64] = {KEY_UPDATE, 0, 0, 1, 0, KEY_UPDATE, 0, 0, 1, 0};

    (void)state;
    for (size_t n = 6; n <= 10; n++) {
        struct two t = two_new(0);
        assert_int_equal(say(t.client, t.relay, 22, msg, n), -1);
        refused(t.client, t.relay, 10);
        two_free(&t);
    }
}

static void messages_that_are_no_update_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        unsigned alert;
    } rows[] = {
        {"", 0, 10},                 /* an empty fragment */
        {"\x18\0\0\0", 4, 50},       /* of no length */
        {"\x18\0\0\2\0\0", 6, 50},   /* too long */
        {"\x18\xff\xff\xff", 4, 50}, /* very much too long */
        {"\x18\0\0\1\2", 5, 47},     /* neither yes nor no */
        {"\x01\0\0\1", 4, 10},       /* ClientHello: renegotiation */
        {"\x02\0\0\1", 4, 10},       /* ServerHello */
        {"\x04\0\0\1", 4, 10},       /* NewSessionTicket, to a relay */
        {"\x0b\0\0\1", 4, 10},       /* Certificate */
        {"\x0d\0\0\1", 4, 10},       /* CertificateRequest: authentication afterwards */
        {"\x14\0\0\x30", 4, 10},     /* Finished */
        {"\xfe\0\0\0", 4, 10},       /* message_hash */
        {"\x05\0\0\0", 4, 10},       /* EndOfEarlyData */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct two t = two_new(0);
        assert_int_equal(say(t.client, t.relay, 22, rows[i].bytes, rows[i].n), -1);
        refused(t.client, t.relay, rows[i].alert);
        two_free(&t);
    }
}

/* --- keys that come to their end --- */

static void counters_at(struct record *from, struct record *to, uint64_t seq)
{
    from->sides[OUT].seq = to->sides[IN].seq = seq;
}

static void keys_change_by_themselves_in_time(void **state)
{
    struct two t = two_new(0);

    (void)state;
    counters_at(t.relay, t.client, LINK_REKEY - 1);
    arrives(t.relay, t.client, "last", 4, 100);
    assert_int_equal(t.relay->sides[OUT].seq, LINK_REKEY);
    assert_int_equal(put(t.relay, "first", 5), 0);
    assert_int_equal(move(t.relay, t.client, 100), 27 + 27);
    assert_int_equal(record_take(t.client).n, 5);
    assert_int_equal(t.relay->sides[OUT].seq, 1);
    assert_int_equal(t.client->sides[IN].seq, 1);
    two_free(&t);
}

/* In truth, without touching a counter: 4,194,304 records, and the key was another. */
static void keys_really_change_by_themselves(void **state)
{
    struct two t = two_new(0);
    struct key first = t.relay->sides[OUT].key;

    (void)state;
    for (unsigned i = 0; i < LINK_REKEY + 2; i++) {
        if (put(t.relay, "x", 1) < 0)
            fail_msg("record %u: %s", i, record_error(t.relay)->text);
        struct span s = record_out(t.relay);
        if (record_feed(t.client, s.p, s.n) < 0)
            fail_msg("record %u: %s", i, record_error(t.client)->text);
        record_sent(t.relay, s.n);
        record_take(t.client);
        record_take(t.client);
    }
    assert_int_equal(t.relay->sides[OUT].seq, 2);
    assert_false(key_same(&first, &t.relay->sides[OUT].key));
    two_free(&t);
}

static void a_peer_is_asked_for_a_new_key_in_time(void **state)
{
    struct two t = two_new(0);

    (void)state;
    counters_at(t.client, t.relay, LINK_REKEY);
    assert_int_equal(say(t.client, t.relay, 23, "x", 1), 0);
    assert_int_equal(say(t.client, t.relay, 23, "x", 1), 0);
    assert_int_equal(move(t.relay, t.client, 100), 27); /* asked, once */
    assert_int_equal(record_out(t.relay).n, 0);
    arrives(t.relay, t.client, "go on", 5, 2);
    assert_int_equal(move(t.client, t.relay, 100), 27); /* changed */
    assert_int_equal(t.relay->sides[IN].seq, 0);
    assert_int_equal(record_take(t.relay).n, 2);
    two_free(&t);
}

static void a_key_used_for_too_long_is_refused(void **state)
{
    struct two t = two_new(0);

    (void)state;
    counters_at(t.client, t.relay, LINK_KEY_MAX - 1);
    assert_int_equal(say(t.client, t.relay, 23, "x", 1), 0);
    record_take(t.relay);
    record_take(t.relay);
    move(t.relay, t.client, 100);
    assert_int_equal(say(t.client, t.relay, 23, "x", 1), -1);
    refused(t.client, t.relay, 10);
    two_free(&t);
}

static void no_nonce_comes_twice(void **state)
{
    struct two t = two_new(0);

    (void)state;
    assert_int_equal(put(t.relay, "x", 1), 0);
    t.relay->sides[OUT].seq = UINT64_MAX - 1;
    assert_int_equal(record_out(t.relay).n, 23);
    record_sent(t.relay, 23);
    assert_int_equal(t.relay->sides[OUT].seq, UINT64_MAX);
    assert_int_equal(put(t.relay, "x", 1), -1);
    assert_int_equal(record_out(t.relay).n, 0);
    assert_int_equal(t.relay->sides[OUT].seq, UINT64_MAX);
    assert_int_equal(record_error(t.relay)->code, ERR_LIMIT);
    two_free(&t);
}

/* --- tickets --- */

/* Head; lifetime, age_add, nonce, ticket, one extension (early_data). */
static const uint8_t ticket[] = {
    TICKET, 0, 0,    29,                        /* a message of 29 bytes */
    0,      0, 0x1c, 0x20, 1, 2, 3, 4,          /* two hours */
    2,      7, 7,                               /* nonce */
    0,      6, 9,    9,    9, 9, 9, 9,          /* ticket */
    0,      8, 0,    42,   0, 4, 0, 0, 0x40, 0, /* extensions */
};

static void a_client_drops_tickets(void **state)
{
    struct two t = two_new(0);
    uint8_t pair[2 * sizeof ticket];

    (void)state;
    assert_int_equal(sizeof ticket, 4 + ticket[3]);
    memcpy(pair, ticket, sizeof ticket);
    memcpy(pair + sizeof ticket, ticket, sizeof ticket);
    assert_int_equal(say(t.relay, t.client, 22, pair, sizeof pair), 0);       /* two in one */
    assert_int_equal(say(t.relay, t.client, 22, pair, sizeof ticket + 9), 0); /* one and a part */
    assert_int_equal(say(t.relay, t.client, 22, pair + 9, sizeof ticket - 9), 0);
    for (int i = 4; i < LINK_TICKETS_MAX; i++)
        assert_int_equal(say(t.relay, t.client, 22, ticket, sizeof ticket), 0);
    assert_int_equal(record_take(t.client).n, 0);
    arrives(t.relay, t.client, "hello", 5, 3);
    assert_int_equal(say(t.relay, t.client, 22, ticket, sizeof ticket), -1);
    refused(t.relay, t.client, 10);
    two_free(&t);
}

static void a_relay_takes_no_ticket(void **state)
{
    struct two t = two_new(0);

    (void)state;
    assert_int_equal(say(t.client, t.relay, 22, ticket, sizeof ticket), -1);
    refused(t.client, t.relay, 10);
    two_free(&t);
}

/* Each length in it one too small or too large, each end missing. */
static void a_ticket_that_cannot_be_read_is_refused(void **state)
{
    static const struct {
        size_t at;
        int by;
    } rows[] = {{3, -1}, {3, 1},   {12, -1}, {12, 1},  {16, -1}, {16, 1}, {24, -1},
                {24, 1}, {28, -1}, {28, 1},  {16, -6}, {4, 1},   {15, 1}, {23, 1}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct two t = two_new(0);
        uint8_t bad[sizeof ticket + 1] = {0};
        memcpy(bad, ticket, sizeof ticket);
        bad[rows[i].at] = (uint8_t)(bad[rows[i].at] + rows[i].by);
        size_t n = 4U + bad[3];
        if (say(t.relay, t.client, 22, bad, n) == 0)
            fail_msg("row %zu was taken", i);
        refused(t.relay, t.client, 50);
        two_free(&t);
    }
}

static void a_ticket_too_long_is_refused_by_its_head(void **state)
{
    static const uint8_t head[] = {TICKET, 0, 0x40, 1}; /* 16385 */
    struct two t = two_new(0);

    (void)state;
    assert_int_equal(say(t.relay, t.client, 22, head, sizeof head), -1);
    refused(t.relay, t.client, 50);
    two_free(&t);
}

/* --- memory --- */

static void what_is_at_rest_holds_no_buffers(void **state)
{
    struct two t = two_new(0);

    (void)state;
    arrives(t.relay, t.client, plenty, 100000, 1000);
    arrives(t.client, t.relay, plenty, 10, 1);
    assert_true(t.relay->out.cap >= 100000 && t.client->plain.cap >= 100000);
    for (int i = 0; i < 2; i++) {
        record_rest(t.client);
        record_rest(t.relay);
        if (i == 0)
            assert_non_null(t.relay->out.p); /* it may be needed again in a moment */
    }
    for (int r = 0; r < 2; r++) {
        const struct record *end = r == 0 ? t.client : t.relay;
        assert_null(end->in.p);
        assert_null(end->plain.p);
        assert_null(end->out.p);
        assert_null(end->hand.p);
    }
    assert_true(sizeof(struct record) < 700);
    arrives(t.relay, t.client, plenty, 100, 10);
    two_free(&t);
}

/* Half a record, or bytes nobody took, are not given back. */
static void what_waits_is_kept_at_rest(void **state)
{
    struct two t = two_new(0);
    uint8_t wire[64];
    size_t n = craft(t.client, wire, 23, "one", 3, 0);

    (void)state;
    assert_int_equal(feed(t.relay, wire, n), 0);
    n = craft(t.client, wire, 23, "two", 3, 0);
    assert_int_equal(feed(t.relay, wire, 11), 0);
    assert_int_equal(put(t.relay, "out", 3), 0);
    for (int i = 0; i < 3; i++)
        record_rest(t.relay);
    assert_int_equal(feed(t.relay, wire + 11, n - 11), 0);
    assert_true(span_same(record_take(t.relay), span_of("onetwo", 6)));
    move(t.relay, t.client, 2);
    assert_true(span_same(record_take(t.client), span_of("out", 3)));
    two_free(&t);
}

static void a_slow_reader_and_a_slow_taker_are_given_up(void **state)
{
    struct two t = two_new(0);
    size_t sent = 0;

    (void)state;
    while (sent <= LINK_OUT_MAX && record_send(t.relay, plenty, 1000) == 0)
        sent += 1000;
    assert_in_range(sent, LINK_OUT_MAX - 20000, LINK_OUT_MAX);
    assert_true(record_out(t.relay).n <= LINK_OUT_MAX);
    assert_int_equal(record_error(t.relay)->code, ERR_LIMIT);
    two_free(&t);
    t = two_new(0);
    for (sent = 0; sent <= LINK_IN_MAX && record_send(t.client, plenty, 16000) == 0;
         sent += 16000) {
        struct span s = record_out(t.client);
        if (record_feed(t.relay, s.p, s.n) < 0)
            break;
        record_sent(t.client, s.n);
    }
    assert_in_range(sent, LINK_IN_MAX - 20000, LINK_IN_MAX);
    assert_string_equal(record_error(t.relay)->text, "more came than was taken");
    two_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_those_of_rfc8448),
        cmocka_unit_test(secrets_of_another_length_are_refused),
        cmocka_unit_test(every_length_goes_in_records_of_at_most_16384),
        cmocka_unit_test(small_messages_share_a_record),
        cmocka_unit_test(a_slow_socket_changes_nothing),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(no_record_is_opened_twice_or_out_of_order),
        cmocka_unit_test(own_words_do_not_come_back),
        cmocka_unit_test(a_missing_end_is_called_cut),
        cmocka_unit_test(lengths_are_judged_by_the_head),
        cmocka_unit_test(padding_is_taken_off_and_counts),
        cmocka_unit_test(zeros_alone_are_no_record),
        cmocka_unit_test(unknown_kinds_are_refused),
        cmocka_unit_test(nothing_unsealed_is_believed),
        cmocka_unit_test(empty_records_are_bounded),
        cmocka_unit_test(a_close_is_two_bytes),
        cmocka_unit_test(alerts_of_another_length_are_refused),
        cmocka_unit_test(every_other_alert_is_fatal_and_not_answered),
        cmocka_unit_test(cancelling_is_bounded),
        cmocka_unit_test(wishes_for_new_keys_are_bounded),
        cmocka_unit_test(who_has_closed_says_nothing_more),
        cmocka_unit_test(a_client_is_let_in_by_data),
        cmocka_unit_test(both_change_their_keys),
        cmocka_unit_test(the_old_key_is_good_for_nothing),
        cmocka_unit_test(one_answer_is_enough),
        cmocka_unit_test(what_was_gathered_keeps_its_place),
        cmocka_unit_test(unread_answers_do_not_pile_up),
        cmocka_unit_test(updates_without_data_are_bounded),
        cmocka_unit_test(an_update_may_come_in_fragments),
        cmocka_unit_test(nothing_comes_between_fragments),
        cmocka_unit_test(nothing_comes_behind_an_update_in_its_record),
        cmocka_unit_test(messages_that_are_no_update_are_refused),
        cmocka_unit_test(keys_change_by_themselves_in_time),
        cmocka_unit_test(keys_really_change_by_themselves),
        cmocka_unit_test(a_peer_is_asked_for_a_new_key_in_time),
        cmocka_unit_test(a_key_used_for_too_long_is_refused),
        cmocka_unit_test(no_nonce_comes_twice),
        cmocka_unit_test(a_client_drops_tickets),
        cmocka_unit_test(a_relay_takes_no_ticket),
        cmocka_unit_test(a_ticket_that_cannot_be_read_is_refused),
        cmocka_unit_test(a_ticket_too_long_is_refused_by_its_head),
        cmocka_unit_test(what_is_at_rest_holds_no_buffers),
        cmocka_unit_test(what_waits_is_kept_at_rest),
        cmocka_unit_test(a_slow_reader_and_a_slow_taker_are_given_up),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
