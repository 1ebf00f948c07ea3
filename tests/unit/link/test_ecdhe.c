/* The link `ecdhe` (docs/protocol.md 10.2): its derivations against tests/vectors/ecdhe.txt, and a
 * relay made by hand, byte by byte from the document, that lies in one place at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/link/drive_priv.h"
#include "tests/unit/link/support_link.h"

enum { ALL = 1 << 20, TYPE_CLIENT_HELLO = 1, TYPE_SERVER_HELLO = 2, HELLO_HEAD = 65 };

static const char magic[] = "countersign ecdhe 1\n";
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

static void conf(struct pair *p)
{
    pair_conf(p, w);
    p->conf[ROLE_CLIENT].kind = p->conf[ROLE_RELAY].kind = LINK_ECDHE;
}

static void run(struct pair *p)
{
    pair_start(p);
    pair_pump(p, ALL);
    assert_int_equal(p->order_bad, 0);
}

/* --- derivations --- */

static void vector(const char *name, uint8_t *out, size_t n)
{
    char line[4096];
    size_t len = strlen(name);
    FILE *f = fopen("tests/vectors/ecdhe.txt", "r");
    bool found = false;

    assert_non_null(f);
    while (!found && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        found = strncmp(line, name, len) == 0 && line[len] == ' ';
    }
    fclose(f);
    assert_true(found);
    assert_int_equal(hex_take(out, n, str_of(line + len + 1)), 0);
}

static void assert_vector(const uint8_t *got, size_t n, const char *name)
{
    uint8_t want[256];

    vector(name, want, n);
    assert_memory_equal(got, want, n);
}

static void transcribe(struct drive *d, uint8_t type, const char *name, size_t n)
{
    uint8_t content[2048];

    vector(name, content, n);
    drive_transcribe(d, type, span_of(content, n));
}

static void assert_expands(struct drive *d, const struct key *from, struct drive_label l,
                           const char *name)
{
    struct key k;

    assert_int_equal(drive_expand(d, from, l, k.b, sizeof k.b), 0);
    assert_vector(k.b, sizeof k.b, name);
}

static struct drive *vector_end(void **ready)
{
    struct pair p;
    struct err e = {0};

    conf(&p);
    *ready = drive_ready_new(&link_proto_ecdhe, ROLE_RELAY, &p.conf[ROLE_RELAY], &e);
    assert_non_null(*ready);
    struct drive *d = drive_open(*ready, &e);
    assert_non_null(d);
    pair_free(&p);
    return d;
}

/* Frame by frame, as both ends do it. */
static void derivations_match_the_vectors(void **state)
{
    void *ready;
    struct drive *d = vector_end(&ready);
    struct hash t;
    struct key shared, session;
    uint8_t half[500], said[CONTEXT_MAX + sizeof t];
    size_t n;

    (void)state;
    transcribe(d, TYPE_CLIENT_HELLO, "hello", 68);
    d->shake->at = 1;
    drive_hash(d, NULL, &t);
    assert_vector(t.b, sizeof t.b, "t1");
    vector("half", half, sizeof half);
    struct span so_far = span_of(half, sizeof half);
    drive_hash(d, &so_far, &t);
    assert_vector(t.b, sizeof t.b, "here");
    struct drive_label l = {DRIVE_RELAY, "ServerHello|signature", &t};
    assert_int_equal(drive_context(d, l, said, &n), 0);
    assert_vector(said, n, "signed");
    transcribe(d, TYPE_SERVER_HELLO, "answer", 900);
    drive_hash(d, NULL, &t);
    assert_vector(t.b, sizeof t.b, "t2");
    vector("shared", shared.b, sizeof shared.b);
    assert_int_equal(drive_extract(d, &t, span_of(shared.b, sizeof shared.b), &session), 0);
    assert_vector(session.b, sizeof session.b, "session");
    assert_expands(d, &session, (struct drive_label){DRIVE_CLIENT, "finished", &t},
                   "client_finished");
    assert_expands(d, &session, (struct drive_label){DRIVE_RELAY, "finished", &t},
                   "relay_finished");
    assert_int_equal(drive_keys(d, AEAD_AES_256_GCM, &session, &t), 0);
    assert_vector(d->shake->sides[ROLE_CLIENT].key.b, 32, "client_key");
    assert_vector(d->shake->sides[ROLE_CLIENT].iv, AEAD_IV_LEN, "client_iv");
    assert_vector(d->shake->sides[ROLE_RELAY].key.b, 32, "relay_key");
    assert_vector(d->shake->sides[ROLE_RELAY].iv, AEAD_IV_LEN, "relay_iv");
    transcribe(d, 5, "finished", 1300);
    transcribe(d, 6, "last", 32);
    drive_hash(d, NULL, &t);
    assert_vector(t.b, sizeof t.b, "t4");
    assert_expands(d, &session, (struct drive_label){DRIVE_CLIENT, "application", &t},
                   "client_application");
    assert_expands(d, &session, (struct drive_label){DRIVE_RELAY, "application", &t},
                   "relay_application");
    assert_expands(d, &session, (struct drive_label){DRIVE_BOTH, LINK_EXPORTER_LOGIN, &t},
                   "exporter");
    drive_free(d);
    drive_ready_free(ready);
}

/* --- suites --- */

static void suites_are_negotiated(void **state)
{
    static const struct {
        unsigned client, relay;
        const char *suite; /* NULL: none in common */
    } rows[] = {
        {0, 0, "AES-GCM-256"},
        {1U << AEAD_CHACHA20_POLY1305, 0, "ChaCha20-Poly1305"},
        {0, 1U << AEAD_CHACHA20_POLY1305, "ChaCha20-Poly1305"},
        {1U << AEAD_AES_256_GCM, 0, "AES-GCM-256"},
        {1U << AEAD_AES_256_GCM, 1U << AEAD_CHACHA20_POLY1305, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pair p;
        struct link_info info;
        conf(&p);
        p.conf[ROLE_CLIENT].suites = rows[i].client;
        p.conf[ROLE_RELAY].suites = rows[i].relay;
        run(&p);
        assert_int_equal(p.established[ROLE_CLIENT], rows[i].suite != NULL);
        assert_int_equal(p.established[ROLE_RELAY], rows[i].suite != NULL);
        if (rows[i].suite != NULL) {
            link_info(p.end[ROLE_CLIENT], &info);
            assert_string_equal(info.suite, rows[i].suite);
            assert_int_equal(link_send(p.end[ROLE_CLIENT], (const uint8_t *)"x", 1), 0);
            pair_pump(&p, ALL);
            assert_int_equal(p.got[ROLE_RELAY].len, 1);
        } else {
            assert_non_null(strstr(pair_why(&p, ROLE_RELAY), "no suite that we have too"));
        }
        pair_free(&p);
    }
}

/* H1. Somebody takes the better suite out of the offer; the relay believes him, the client does
 * not: what he saw is what was signed. */
static size_t without_aes(struct pair *p, enum role to, uint8_t *bytes, size_t n, size_t room)
{
    uint8_t *id = memchr(bytes, '\n', n);

    (void)p, (void)room;
    if (to == ROLE_RELAY && id != NULL && id == bytes + sizeof magic - 2)
        id[1 + DRIVE_HEAD + HELLO_HEAD + 1] = 99;
    return n;
}

static void a_weakened_offer_is_seen(void **state)
{
    struct pair p;

    (void)state;
    conf(&p);
    p.meddle = without_aes;
    run(&p);
    assert_false(p.established[ROLE_CLIENT] || p.established[ROLE_RELAY]);
    assert_string_equal(pair_why(&p, ROLE_CLIENT),
                        "ServerHello: the relay's signature is not over what we saw");
    pair_free(&p);
}

/* --- the relay's leaf --- */

static void the_leaf_may_be_rsa_or_p256(void **state)
{
    struct err e = {0};
    struct pkey *rsa = pkey_generate(PKEY_RSA_2048, &w->rng, &e);
    struct der leaf;
    struct pair p;

    (void)state;
    assert_non_null(rsa);
    world_issue(w, (struct want){.role = CERT_RELAY, .key = rsa}, &leaf);
    for (int i = 0; i < 2; i++) {
        conf(&p);
        if (i == 0) {
            p.chain[ROLE_RELAY][0] = span_of(leaf.b, leaf.n);
            p.conf[ROLE_RELAY].key = rsa;
        }
        run(&p);
        assert_true(p.established[ROLE_CLIENT] && p.established[ROLE_RELAY]);
        assert_non_null(
            strstr(p.steps[ROLE_CLIENT][1].detail, i == 0 ? "; RSA-PSS by" : "; ECDSA P-256 by"));
        pair_free(&p);
    }
    pkey_free(rsa);
}

/* H17. (r, n-s) is a signature too; but then both saw different bytes. */
static const uint8_t p256_order[32] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

/* The last 32 bytes are s where it needs no 33rd byte and no fewer: else the next try. */
static size_t other_s(struct pair *p, enum role to, uint8_t *bytes, size_t n, size_t room)
{
    bool *done = p->meddler;
    unsigned borrow = 0;

    (void)room;
    if (to != ROLE_CLIENT || n < 100 || bytes[0] != TYPE_SERVER_HELLO || bytes[n - 34] != 2 ||
        bytes[n - 33] != 32)
        return n;
    uint8_t s[32];
    for (size_t i = 32; i-- > 0;) {
        unsigned v = 256U + p256_order[i] - bytes[n - 32 + i] - borrow;
        s[i] = (uint8_t)v;
        borrow = v < 256;
    }
    if (s[0] >= 0x80) /* would need a zero in front */
        return n;
    memcpy(bytes + n - 32, s, sizeof s);
    *done = true;
    return n;
}

static void another_form_of_a_signature_ends_it(void **state)
{
    bool done = false;

    (void)state;
    for (int tries = 0; !done && tries < 200; tries++) {
        struct pair p;
        conf(&p);
        p.meddle = other_s;
        p.meddler = &done;
        run(&p);
        assert_int_equal(p.established[ROLE_CLIENT], !done);
        assert_int_equal(p.established[ROLE_RELAY], !done);
        if (done)
            assert_non_null(strstr(pair_why(&p, ROLE_RELAY), "damaged or forged"));
        pair_free(&p);
    }
}

/* --- a relay made by hand --- */

struct lie {
    const char *why; /* the beginning of what the client says; NULL: it goes on */
    uint8_t suite;   /* 0: 1 */
    const char *share, *context;
    bool no_chain, client_chain, other_key, other_hello, left_over, no_signature;
    size_t cut; /* bytes missing at the end */
};

static struct span chain_of(const struct pair *p, const struct lie *l, size_t i)
{
    return p->chain[l->client_chain ? ROLE_CLIENT : ROLE_RELAY][i];
}

static void hand_sign(const struct lie *l, struct span hello, struct wr *out)
{
    static const char good[] = "countersign|ecdhe 1|relay|ServerHello|signature";
    uint8_t head[2][DRIVE_HEAD] = {{TYPE_CLIENT_HELLO}, {TYPE_SERVER_HELLO}}, sig[SIG_MAX];
    struct hash t;
    struct err e = {0};
    size_t n = 0;

    head[0][3] = (uint8_t)(hello.n >> 8);
    head[0][4] = (uint8_t)hello.n;
    head[1][3] = (uint8_t)(out->len >> 8);
    head[1][4] = (uint8_t)out->len;
    const struct span all[] = {span_of(magic, sizeof magic - 1), span_of(head[0], DRIVE_HEAD),
                               hello, span_of(head[1], DRIVE_HEAD), wr_span(out)};
    sha256_parts(all + l->other_hello, COUNT(all) - l->other_hello, &t);
    const char *context = l->context != NULL ? l->context : good;
    uint8_t said[256];
    size_t len = strlen(context) + 1;
    memcpy(said, context, len);
    memcpy(said + len, t.b, sizeof t.b);
    struct pkey *k = l->other_key ? w->ours.inter_key : w->relay_key;
    if (!l->no_signature)
        assert_int_equal(pkey_sign(k, &w->rng, span_of(said, len + sizeof t.b), sig, &n, &e), 0);
    wr_u16(out, (uint16_t)n);
    wr_put(out, sig, n);
}

static void hand_hello(const struct pair *p, const struct lie *l, struct span hello, struct wr *out)
{
    struct share s;
    uint8_t bytes[32] = {7};

    wr_u8(out, l->suite == 0 ? 1 : l->suite);
    wr_put(out, bytes, sizeof bytes);
    assert_int_equal(share_draw(&s, &w->rng), 0);
    if (l->share != NULL)
        assert_int_equal(hex_take(s.open, sizeof s.open, str_of(l->share)), 0);
    wr_put(out, s.open, sizeof s.open);
    size_t n = l->no_chain ? 0 : 2;
    wr_u8(out, (uint8_t)n);
    for (size_t i = 0; i < n; i++) {
        struct span der = chain_of(p, l, i);
        wr_u16(out, (uint16_t)der.n);
        wr_put(out, der.p, der.n);
    }
    hand_sign(l, hello, out);
    if (l->left_over)
        wr_u8(out, 0);
    out->len -= l->cut;
}

static void try_lie(const struct lie *l)
{
    struct pair p;
    uint8_t bytes[8192] = {TYPE_SERVER_HELLO};
    struct wr out = wr_of(bytes + DRIVE_HEAD, sizeof bytes - DRIVE_HEAD);

    conf(&p);
    p.conf[ROLE_CLIENT].suites = 1U << AEAD_AES_256_GCM;
    pair_start(&p);
    struct span said = link_out(p.end[ROLE_CLIENT]);
    size_t skip = sizeof magic - 1 + DRIVE_HEAD;
    assert_int_equal(said.n, skip + HELLO_HEAD + 2);
    hand_hello(&p, l, span_of(said.p + skip, said.n - skip), &out);
    link_sent(p.end[ROLE_CLIENT], said.n);
    bytes[3] = (uint8_t)(out.len >> 8);
    bytes[4] = (uint8_t)out.len;
    int r = link_feed(p.end[ROLE_CLIENT], bytes, DRIVE_HEAD + out.len);
    if (l->why == NULL)
        assert_int_equal(r, 0);
    else if (r == 0 || strncmp(pair_why(&p, ROLE_CLIENT), l->why, strlen(l->why)) != 0)
        fail_msg("wanted \"%s\", got \"%s\"", l->why, pair_why(&p, ROLE_CLIENT));
    else /* nothing was sent under any key */
        assert_int_equal(link_out(p.end[ROLE_CLIENT]).n, DRIVE_HEAD);
    pair_free(&p);
}

#define NOT_SIGNED "ServerHello: the relay's signature is not over what we saw"

static void a_relay_that_lies_is_refused(void **state)
{
    static const struct lie lies[] = {
        {.why = NULL},
        {.why = "ServerHello: suite 2, which we did not offer", .suite = 2},
        {.why = "ServerHello: suite 9, which we did not offer", .suite = 9},
        {.why = "the relay's certificate is refused: no certificate", .no_chain = true},
        {.why = "the relay's certificate is refused", .client_chain = true},
        {.why = NOT_SIGNED, .other_key = true},
        {.why = NOT_SIGNED, .other_hello = true},
        {.why = NOT_SIGNED, .context = "countersign|ecdhe 1|client|ServerHello|signature"},
        {.why = NOT_SIGNED, .context = "countersign|ecdhe 1|relay|Client Finished|signature"},
        {.why = NOT_SIGNED, .context = "countersign|ecdhe 1|relay|ServerHello|mac"},
        {.why = NOT_SIGNED, .context = "countersign|ecdhe 2|relay|ServerHello|signature"},
        {.why = NOT_SIGNED, .context = "countersign|sovereign 1|relay|ServerHello|signature"},
        {.why = NOT_SIGNED, .context = ""},
        {.why = "ServerHello: wrong length", .left_over = true},
        {.why = "ServerHello: no signature of a possible length", .no_signature = true},
        {.why = "ServerHello: no signature of a possible length", .cut = 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(lies); i++)
        try_lie(&lies[i]);
}

/* H11. Wycheproof's points of low order: the result would be the same whoever asks. */
static const char *const low_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

static void a_key_of_low_order_is_refused_by_the_client(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(low_order); i++) {
        struct lie l = {.why = "ECDHE: the other key is a point of low order",
                        .share = low_order[i]};
        try_lie(&l);
    }
}

static size_t low_share(struct pair *p, enum role to, uint8_t *bytes, size_t n, size_t room)
{
    (void)room;
    if (to == ROLE_RELAY)
        assert_int_equal(
            hex_take(bytes + sizeof magic - 1 + DRIVE_HEAD + 33, 32, str_of(p->meddler)), 0);
    return n;
}

static void a_key_of_low_order_is_refused_by_the_relay(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(low_order); i++) {
        struct pair p;
        char point[65];
        memcpy(point, low_order[i], sizeof point);
        conf(&p);
        pair_start(&p);
        p.meddle = low_share;
        p.meddler = point;
        pair_move(&p, ROLE_CLIENT, ALL);
        assert_string_equal(pair_why(&p, ROLE_RELAY),
                            "ECDHE: the other key is a point of low order");
        assert_int_equal(link_out(p.end[ROLE_RELAY]).n, DRIVE_HEAD); /* the refusal alone */
        pair_free(&p);
    }
}

/* --- offers that are none --- */

static void strange_offers_are_refused(void **state)
{
    static const struct {
        uint8_t purpose, n;
        size_t len; /* of the whole content */
        bool ok;
    } rows[] = {
        {0, 1, HELLO_HEAD + 2, true},    {0, 8, HELLO_HEAD + 9, true},
        {0, 0, HELLO_HEAD + 1, false},   {0, 9, HELLO_HEAD + 10, false},
        {0, 2, HELLO_HEAD + 2, false},   {0, 1, HELLO_HEAD + 3, false},
        {2, 1, HELLO_HEAD + 2, false},   {255, 1, HELLO_HEAD + 2, false},
        {0, 255, HELLO_HEAD + 2, false}, {0, 1, 0, false},
        {0, 1, HELLO_HEAD, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pair p;
        uint8_t hello[DRIVE_HEAD + HELLO_HEAD + 16] = {TYPE_CLIENT_HELLO};
        conf(&p);
        pair_start(&p);
        hello[4] = (uint8_t)rows[i].len;
        hello[DRIVE_HEAD] = rows[i].purpose;
        hello[DRIVE_HEAD + 33] = 9; /* the base point */
        hello[DRIVE_HEAD + HELLO_HEAD] = rows[i].n;
        memset(hello + DRIVE_HEAD + HELLO_HEAD + 1, 1, 15);
        assert_int_equal(link_feed(p.end[ROLE_RELAY], (const uint8_t *)magic, sizeof magic - 1), 0);
        assert_int_equal(link_feed(p.end[ROLE_RELAY], hello, DRIVE_HEAD + rows[i].len),
                         rows[i].ok ? 0 : -1);
        assert_int_equal(link_out(p.end[ROLE_RELAY]).n > DRIVE_HEAD, rows[i].ok);
        pair_free(&p);
    }
}

static void every_byte_of_the_magic_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i + 1 < sizeof magic; i++) {
        struct pair p;
        uint8_t bytes[sizeof magic];
        conf(&p);
        pair_start(&p);
        memcpy(bytes, magic, sizeof magic);
        bytes[i] ^= 1;
        assert_int_equal(link_feed(p.end[ROLE_RELAY], bytes, i), 0);
        assert_int_equal(link_feed(p.end[ROLE_RELAY], bytes + i, 1), -1); /* at once */
        pair_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derivations_match_the_vectors),
        cmocka_unit_test(suites_are_negotiated),
        cmocka_unit_test(a_weakened_offer_is_seen),
        cmocka_unit_test(the_leaf_may_be_rsa_or_p256),
        cmocka_unit_test(another_form_of_a_signature_ends_it),
        cmocka_unit_test(a_relay_that_lies_is_refused),
        cmocka_unit_test(a_key_of_low_order_is_refused_by_the_client),
        cmocka_unit_test(a_key_of_low_order_is_refused_by_the_relay),
        cmocka_unit_test(strange_offers_are_refused),
        cmocka_unit_test(every_byte_of_the_magic_counts),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
