/* The link `cianr` (docs/protocol.md 10.3): its derivations against tests/vectors/cianr.txt; and a
 * peer that has every key and lies in one message, sealed as it ought to be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/cbc.h"
#include "common/crypto/dh.h"
#include "common/crypto/tls.h"
#include "common/link/drive_priv.h"
#include "common/link/form.h"
#include "tests/unit/link/support_link.h"
#include "tests/unit/support_vectors.h"

#define VECTORS "tests/vectors/cianr.txt"

enum { ALL = 1 << 20, STEPS = 11, TEXT_MOST = 20 * 1024 };

static const char magic[] = "countersign cianr 1\n";
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
    p->conf[ROLE_CLIENT].kind = p->conf[ROLE_RELAY].kind = LINK_CIANR;
}

static enum role other(enum role r)
{
    return r == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
}

/* --- derivations --- */

static void assert_vector(const void *got, size_t n, const char *name)
{
    uint8_t want[1024];

    assert_int_equal(vector_take(VECTORS, name, want, sizeof want), n);
    assert_memory_equal(got, want, n);
}

static void transcribe(struct drive *d, unsigned type)
{
    uint8_t content[2048];
    char name[16];
    struct hash t;

    snprintf(name, sizeof name, "frame%u", type);
    d->shake->at = type - 1;
    size_t n = vector_take(VECTORS, name, content, sizeof content);
    drive_transcribe(d, (uint8_t)type, span_of(content, n));
    drive_hash(d, NULL, &t);
    snprintf(name, sizeof name, "t%u", type);
    assert_vector(t.b, sizeof t.b, name);
}

static struct key key_vector(const char *name)
{
    struct key k;

    assert_int_equal(vector_take(VECTORS, name, k.b, sizeof k.b), sizeof k.b);
    return k;
}

static void assert_expands(struct drive *d, const struct key *from, struct drive_label l,
                           const char *name)
{
    struct key k;

    assert_int_equal(drive_expand(d, from, l, k.b, sizeof k.b), 0);
    assert_vector(k.b, sizeof k.b, name);
}

static void assert_stage(struct drive *d, const char *client, const char *relay)
{
    assert_vector(d->shake->sides[ROLE_CLIENT].key.b, sizeof(struct key), client);
    assert_vector(d->shake->sides[ROLE_RELAY].key.b, sizeof(struct key), relay);
}

/* What is signed: the context, and the transcript with the frame up to its signature. */
static void assert_signed(struct drive *d)
{
    uint8_t said[CONTEXT_MAX + sizeof(struct hash)], content[2048];
    struct hash t;
    size_t n = vector_take(VECTORS, "frame4", content, sizeof content);
    const char *sig = strstr((const char *)content, "\"sig\":\"");

    assert_true(sig != NULL && n > 0);
    struct span here = span_of(content, (size_t)(sig - (const char *)content) + 7);
    d->shake->at = 3;
    drive_hash(d, &here, &t);
    struct drive_label l = {DRIVE_RELAY, "dh_server|signature", &t};
    assert_int_equal(drive_context(d, l, said, &n), 0);
    assert_vector(said, n, "signed4");
}

static void assert_sealed(struct drive *d)
{
    uint8_t content[1024];
    struct span plain;

    d->role = ROLE_RELAY;
    d->shake->at = 5;
    size_t n = vector_take(VECTORS, "sealed6", content, sizeof content);
    assert_int_equal(
        drive_unseal(d, span_of(content, DRIVE_HEAD), content + DRIVE_HEAD, n - DRIVE_HEAD, &plain),
        0);
    assert_vector(plain.p, plain.n, "frame6");
}

static struct drive *drive_alone(enum role r, void **ready)
{
    struct pair p;
    struct err e = {0};

    conf(&p);
    *ready = drive_ready_new(&link_proto_cianr, r, &p.conf[r], &e);
    assert_non_null(*ready);
    struct drive *d = drive_open(*ready, &e);
    assert_non_null(d);
    pair_free(&p);
    return d;
}

static void derivations_match_the_vectors(void **state)
{
    void *ready;
    struct drive *d = drive_alone(ROLE_RELAY, &ready);
    struct key k1, k2 = key_vector("k1");
    uint8_t secret[sizeof(struct key) + DH_LEN];
    struct hash t;

    (void)state;
    for (unsigned i = 1; i <= 3; i++)
        transcribe(d, i);
    assert_signed(d);
    transcribe(d, 4);
    vector_take(VECTORS, "first", secret, DH_LEN);
    drive_hash(d, NULL, &t);
    assert_int_equal(drive_extract(d, &t, span_of(secret, DH_LEN), &k1), 0);
    assert_true(key_same(&k1, &k2));
    assert_int_equal(drive_keys(d, AEAD_AES_256_GCM, &k1, &t), 0);
    assert_stage(d, "client_key1", "relay_key1");
    struct drive_label login = {DRIVE_BOTH, LINK_EXPORTER_LOGIN, &t};
    assert_expands(d, &k1, login, "exporter");
    assert_sealed(d);
    for (unsigned i = 6; i <= 8; i++)
        transcribe(d, i);
    memcpy(secret, k1.b, sizeof k1);
    vector_take(VECTORS, "second", secret + sizeof k1, DH_LEN);
    drive_hash(d, NULL, &t);
    assert_int_equal(drive_extract(d, &t, span_of(secret, sizeof secret), &k2), 0);
    assert_vector(k2.b, sizeof k2.b, "k2");
    assert_int_equal(drive_keys(d, AEAD_AES_256_GCM, &k2, &t), 0);
    assert_stage(d, "client_key2", "relay_key2");
    transcribe(d, 10);
    transcribe(d, 11);
    drive_hash(d, NULL, &t);
    assert_expands(d, &k2, (struct drive_label){DRIVE_CLIENT, "application", &t},
                   "client_application");
    assert_expands(d, &k2, (struct drive_label){DRIVE_RELAY, "application", &t},
                   "relay_application");
    drive_free(d);
    drive_ready_free(ready);
}

/* --- two ends, and somebody between them who has every key --- */

struct middle {
    struct world *w;
    struct drive *end[2];
    void *ready[2];
    unsigned step; /* whose content is changed */
    /* Changes n bytes of text in place; the new length. `to` is about to read it. */
    size_t (*edit)(struct drive *to, char *text, size_t n, const void *how);
    const void *how;
    bool join, met; /* the step came */
};

static void middle_start(struct middle *m)
{
    struct pair p;
    struct hash pin;
    struct err e = {0};

    conf(&p);
    if (m->join) {
        sha256(p.chain[ROLE_RELAY][2], &pin);
        p.conf[ROLE_CLIENT].join = true;
        p.conf[ROLE_CLIENT].chain_n = 0;
        p.conf[ROLE_CLIENT].key = NULL;
        p.conf[ROLE_CLIENT].trust = NULL;
        p.conf[ROLE_CLIENT].root = &pin;
    }
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        m->ready[r] = drive_ready_new(&link_proto_cianr, r, &p.conf[r], &e);
        assert_non_null(m->ready[r]);
        m->end[r] = drive_open(m->ready[r], &e);
        assert_non_null(m->end[r]);
    }
    pair_free(&p);
}

static void middle_free(struct middle *m)
{
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        drive_free(m->end[r]);
        drive_ready_free(m->ready[r]);
    }
}

/* One frame as the sender wrote it, n bytes behind its head, on its way to `to`. */
static void frame_pass(struct middle *m, enum role to, const uint8_t *frame, size_t n)
{
    static uint8_t bytes[DRIVE_HEAD + TEXT_MOST + CBC_EXTRA];
    struct drive *d = m->end[to];
    uint8_t *text = bytes + DRIVE_HEAD + CBC_IV;

    if (frame[0] != m->step || m->step == 0 || d->shake == NULL) {
        (void)!drive_feed(d, frame, DRIVE_HEAD + n);
        return;
    }
    m->met = true;
    struct drive_side s = d->shake->sides[other(to)];
    bool sealed = drive_due(d)->stage > 0;
    if (sealed)
        assert_int_equal(cbc_open(&s.key, s.seq, span_of(frame, DRIVE_HEAD),
                                  span_of(frame + DRIVE_HEAD, n), text, &n),
                         0);
    else
        memcpy(text, frame + DRIVE_HEAD, n);
    n = m->edit(d, (char *)text, n, m->how);
    struct wr h = wr_of(bytes, DRIVE_HEAD);
    wr_u8(&h, frame[0]);
    wr_u32(&h, (uint32_t)(sealed ? cbc_len(n) : n));
    if (sealed)
        assert_int_equal(cbc_seal(&s.key, s.seq, wr_span(&h), bytes + DRIVE_HEAD, n), 0);
    else
        memmove(bytes + DRIVE_HEAD, text, n);
    (void)!drive_feed(d, bytes, DRIVE_HEAD + (sealed ? cbc_len(n) : n));
}

/* Everything that waits at one end; whether there was something. */
static bool middle_move(struct middle *m, enum role from)
{
    static uint8_t copy[TEXT_MOST];
    struct span out = drive_out(m->end[from]);
    size_t at = 0, n = out.n;

    assert_true(n <= sizeof copy);
    memcpy(copy, out.p, n);
    drive_sent(m->end[from], n);
    if (from == ROLE_CLIENT && n >= sizeof magic - 1 && memcmp(copy, magic, sizeof magic - 1) == 0)
        at = sizeof magic - 1;
    (void)!drive_feed(m->end[other(from)], copy, at);
    while (at < n) {
        struct rd head = rd_of(span_of(copy + at + 1, 4));
        size_t len = rd_u32(&head);
        assert_true(at + DRIVE_HEAD + len <= n);
        frame_pass(m, other(from), copy + at, len);
        at += DRIVE_HEAD + len;
    }
    return n > 0;
}

static bool over(const struct middle *m)
{
    const struct drive *c = m->end[ROLE_CLIENT], *r = m->end[ROLE_RELAY];

    return drive_error(c)->code != ERR_NONE || drive_error(r)->code != ERR_NONE ||
           c->record != NULL;
}

/* Until the client has arrived or one of them has given up. */
static void middle_run(struct middle *m)
{
    middle_start(m);
    for (enum role from = ROLE_CLIENT; !over(m); from = other(from))
        assert_true(middle_move(m, from));
    assert_true(m->step == 0 || m->met);
}

static const char *why(const struct middle *m, enum role r)
{
    return drive_error(m->end[r])->text;
}

static enum role reader_of(unsigned step)
{
    return link_proto_cianr.rows[step - 1].client_writes ? ROLE_RELAY : ROLE_CLIENT;
}

/* --- lies in words --- */

struct swap {
    unsigned step;
    const char *from, *to; /* the first `from` becomes `to` */
    const char *says;      /* how the reader's reason begins; NULL: only that nobody arrives */
    bool join;
};

static size_t swap_edit(struct drive *to, char *text, size_t n, const void *how)
{
    const struct swap *s = how;
    size_t from = strlen(s->from), into = strlen(s->to);

    (void)to;
    text[n] = '\0';
    char *at = strstr(text, s->from);
    if (at == NULL)
        fail_msg("step %u has no %s", s->step, s->from);
    assert_true(n + into < TEXT_MOST);
    memmove(at + into, at + from, n - (size_t)(at - text) - from);
    memcpy(at, s->to, into);
    return n - from + into;
}

static void try_swap(const struct swap *s)
{
    struct middle m = {.step = s->step, .edit = swap_edit, .how = s, .join = s->join};
    enum role r = reader_of(s->step);

    middle_run(&m);
    assert_false(drive_done(m.end[ROLE_CLIENT]));
    if (s->says != NULL && strncmp(why(&m, r), s->says, strlen(s->says)) != 0)
        fail_msg("step %u, %s to %s: %s", s->step, s->from, s->to, why(&m, r));
    middle_free(&m);
}

#define NO_ADDRESS "register or login: no e-mail address"
#define NOT_SEEN   "dh_server: the relay's signature is not over what we saw"

/* The JSON is read in its one spelling; a valid object with another meaning is seen at the next
 * signature, or under the next key. */
static void nothing_but_the_document_is_read(void **state)
{
    static const struct swap swaps[] = {
        {1, "\"chat\"", "\"join\"", "hello: ", false},
        {1, "\"chat\"", "\"talk\"", "hello: malformed", false},
        {1, "\"join\"", "\"chat\"", "the client's certificate is refused: no certificate", true},
        {1, "{\"type\"", "{ \"type\"", "hello: malformed", false},
        {1, "{\"type\"", "{\"\\u0074ype\"", "hello: malformed", false},
        {1, "\"hello\",", "\"hello\",\"type\":\"hello\",", "hello: malformed", false},
        {1, "hello", "HELLO", "hello: malformed", false},
        {1, "\"}", "\"}\n", "hello: wrong length", false},
        {1, "\"}", "\"", "hello: malformed", false},
        {1, "\"}", "\",\"x\":1}", "hello: malformed", false},
        {1, "\",\"nonce\":\"", "\",\"nonce\":\"AAAA", "hello: malformed", false},
        {1, "client_cert\":\"A", "client_cert\":\"", "hello: malformed", false},
        {1, "client_cert\":\"", "client_cert\":\"====", "hello: malformed", false},
        {2, "\"server_hello\"", "\"hello\"", "server_hello: malformed", false},
        {2, "\",\"nonce\":\"", "\",\"nonce\":\"AAAA", "server_hello: malformed", false},
        {2, "server_cert\":\"A", "server_cert\":\"B", "server_hello: ", false},
        {3, "\"A\"", "\"g\":2,\"p\":23,\"A\"", "Diffie-Hellman: malformed", false},
        {3, "\"A\":\"", "\"A\":", "Diffie-Hellman: malformed", false},
        {3, "\"A\":\"", "\"A\":\"AAAA", "Diffie-Hellman: malformed", false},
        {3, "\"A\"", "\"B\"", "Diffie-Hellman: malformed", false},
        {3, "\"A\"", "\"a\"", "Diffie-Hellman: malformed", false},
        {4, "\"B\":\"", "\"B\":\"AAAA", "Diffie-Hellman: malformed", false},
        {4, ",\"sig\"", ", \"sig\"", "signature: malformed", false},
        {4, "\"sig\":\"", "\"sig\":\"AAAA", "dh_server: no signature", false},
        {4, "\"sig\":\"A", "\"sig\":\"", "signature: malformed", false},
        {6, "\"login\"", "\"register\"", "signature: malformed", false},
        {6, "\"register\"", "\"login\"", "signature: malformed", true},
        {6, "\"}", "\" }", "signature: malformed", false},
        {6, "\"login\",", "\"login\",\"email\":\"a@b\",", "signature: malformed", false},
        {6, "\"register\",", "\"register\",\"email\":\"a@b\",", NULL, true},
        {6, "\"register\",", "\"register\",\"email\":\"a@b\",\"email\":\"a@b\",",
         "signature: malformed", true},
        {6, "\"register\",", "\"register\",\"email\":\"\",", NO_ADDRESS, true},
        {6, "\"register\",", "\"register\",\"email\":\"a b@c\",", NO_ADDRESS, true},
        {6, "\"register\",", "\"register\",\"email\":\"a\\u0062@c\",", NO_ADDRESS, true},
        {6, "\"register\",", "\"register\",\"email\":\"a@b\" ,", "register: malformed", true},
        {6, "\"register\",", "\"register\",\"email\":7,", "signature: malformed", true},
        {6, "\"register\",", "\"register\",\"email\":\"a@b", "register: malformed", true},
        {7, "\"dh_client\"", "\"dh_server\"", "Diffie-Hellman: malformed", false},
        {7, "\"A\"", "\"g\":2,\"A\"", "Diffie-Hellman: malformed", false},
        {8, "\"}", "\",\"sig\":\"\"}", "dh_server: malformed", false},
        {10, "\"finished\"", "\"finish\"", "signature: malformed", false},
        {11, "\"}", "\"}}", "server finished: wrong length", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(swaps); i++)
        try_swap(&swaps[i]);
}

/* Every step, first, middle and last byte of every value, changed and cut. */
struct poke {
    size_t field; /* counted in quotes: text between the (2n+1)-th and the next */
    int where;    /* 0 first, 1 middle, 2 last byte */
    bool cut, there;
};

static size_t poke_edit(struct drive *to, char *text, size_t n, const void *how)
{
    struct poke *k = *(struct poke *const *)how;
    size_t quotes = 0, from = 0, end = 0;

    (void)to;
    for (size_t i = 0; i < n; i++)
        if (text[i] == '"') {
            quotes++;
            if (quotes == 2 * k->field + 1)
                from = i + 1;
            if (quotes == 2 * k->field + 2)
                end = i;
        }
    k->there = end > from;
    if (!k->there)
        return n;
    size_t at = k->where == 0 ? from : k->where == 1 ? (from + end) / 2 : end - 1;
    if (k->cut)
        return at;
    text[at] ^= 1;
    return n;
}

/* False: there is no such value. */
static bool try_poke(unsigned step, struct poke k)
{
    struct poke *how = &k;
    struct middle m = {.step = step, .edit = poke_edit, .how = &how};

    middle_run(&m);
    assert_int_equal(drive_done(m.end[ROLE_CLIENT]), !k.there);
    if (k.there && step < STEPS)
        assert_false(drive_done(m.end[ROLE_RELAY]));
    middle_free(&m);
    return k.there;
}

static void every_field_is_whole_or_refused(void **state)
{
    (void)state;
    for (unsigned step = 1; step <= STEPS; step++) {
        if (link_proto_cianr.rows[step - 1].local)
            continue;
        size_t fields = 0;
        while (try_poke(step, (struct poke){.field = fields}))
            fields++;
        assert_true(fields >= 4); /* "type" and its value, and at least one more of both */
        for (size_t i = 0; i < fields; i++)
            for (int k = 1; k < 6; k++)
                try_poke(step, (struct poke){.field = i, .where = k % 3, .cut = k > 2});
    }
}

/* --- H13: values that are no public key --- */

struct value {
    int v; /* from 0, or with p from p; 0xff: all ones */
    bool p;
    size_t n; /* bytes */
    const char *says;
};

static void value_make(const struct value *v, uint8_t bytes[DH_LEN + 1])
{
    int carry = v->v;

    memset(bytes, v->v == 0xff ? 0xff : 0, DH_LEN + 1);
    if (v->v == 0xff)
        return;
    if (v->p)
        memcpy(bytes + v->n - DH_LEN, dh_prime().p, DH_LEN);
    for (size_t i = v->n; i-- > 0 && carry != 0;) {
        int sum = bytes[i] + carry;
        bytes[i] = (uint8_t)sum;
        carry = sum < 0 ? -1 : sum > 255;
    }
}

/* The value of "A" or "B" becomes this one. */
static size_t value_edit(struct drive *to, char *text, size_t n, const void *how)
{
    const struct value *v = how;
    uint8_t bytes[DH_LEN + 1];
    char b64[512];

    (void)to;
    value_make(v, bytes);
    b64_put(b64, span_of(bytes, v->n));
    text[n] = '\0';
    char *at = strstr(text, "\"A\":\"");
    at = at != NULL ? at : strstr(text, "\"B\":\"");
    assert_non_null(at);
    at += 5;
    char *end = strchr(at, '"');
    assert_non_null(end);
    size_t rest = n - (size_t)(end - text);
    memmove(at + strlen(b64), end, rest);
    memcpy(at, b64, strlen(b64));
    return (size_t)(at - text) + strlen(b64) + rest;
}

#define NO_VALUE "Diffie-Hellman: the other value is not from 2 to p - 2"
#define NO_FORM  "Diffie-Hellman: malformed"

static void only_public_values_are_computed_with(void **state)
{
    static const struct value values[] = {
        {0, false, DH_LEN, NO_VALUE},    {1, false, DH_LEN, NO_VALUE},
        {-1, true, DH_LEN, NO_VALUE},    {0, true, DH_LEN, NO_VALUE},
        {1, true, DH_LEN, NO_VALUE},     {0xff, false, DH_LEN, NO_VALUE},
        {2, false, DH_LEN - 1, NO_FORM}, {2, false, DH_LEN + 1, NO_FORM},
        {0, true, DH_LEN + 1, NO_FORM},  {2, false, 1, NO_FORM},
        {0, false, 0, NO_FORM},          {2, false, DH_LEN, NULL},
        {-2, true, DH_LEN, NULL},
    };
    static const unsigned steps[] = {3, 4, 7, 8};

    (void)state;
    for (size_t s = 0; s < COUNT(steps); s++)
        for (size_t i = 0; i < COUNT(values); i++) {
            struct middle m = {.step = steps[s], .edit = value_edit, .how = &values[i]};
            enum role r = reader_of(steps[s]);
            middle_run(&m);
            assert_false(drive_done(m.end[ROLE_CLIENT]) || drive_done(m.end[ROLE_RELAY]));
            bool at_once = strcmp(why(&m, r), values[i].says == NULL ? "" : values[i].says) == 0;
            if (values[i].says != NULL ? !at_once : strncmp(why(&m, r), "Diffie", 6) == 0)
                fail_msg("step %u, value %zu: %s", steps[s], i, why(&m, r));
            middle_free(&m);
        }
}

/* --- signatures --- */

struct signer {
    enum drive_who who;
    const char *what;
    bool relay_key, good;
};

/* Signs what the reader is about to see, in a context of its choice. */
static size_t sign_edit(struct drive *to, char *text, size_t n, const void *how)
{
    const struct signer *s = how;
    uint8_t said[CONTEXT_MAX + sizeof(struct hash)], sig[2 + SIG_MAX];
    struct err e = {0};
    struct hash t;
    size_t said_n, sig_n;

    text[n] = '\0';
    char *at = strstr(text, "\"sig\":\"");
    assert_non_null(at);
    at += 7;
    struct span here = span_of(text, (size_t)(at - text));
    drive_hash(to, &here, &t);
    assert_int_equal(drive_context(to, (struct drive_label){s->who, s->what, &t}, said, &said_n),
                     0);
    struct pkey *k = s->relay_key ? w->relay_key : w->ours.inter_key;
    assert_int_equal(pkey_sign(k, &w->rng, span_of(said, said_n), sig + 2, &sig_n, &e), 0);
    sig[0] = (uint8_t)(sig_n >> 8);
    sig[1] = (uint8_t)sig_n;
    b64_put(at, span_of(sig, 2 + sig_n));
    strcat(at, "\"}");
    return strlen(text);
}

/* Seed 002's relay proved nothing: who had its public certificate was told the password. */
static void no_credentials_for_a_relay_without_its_key(void **state)
{
    static const struct signer signers[] = {
        {DRIVE_RELAY, "dh_server|signature", true, true},
        {DRIVE_RELAY, "dh_server|signature", false, false},
        {DRIVE_CLIENT, "dh_server|signature", true, false},
        {DRIVE_RELAY, "server finished|signature", true, false},
        {DRIVE_RELAY, "dh_server|mac", true, false},
        {DRIVE_BOTH, "dh_server|signature", true, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(signers); i++) {
        struct middle m = {.step = 4, .edit = sign_edit, .how = &signers[i]};
        middle_start(&m);
        for (enum role from = ROLE_CLIENT; !m.met; from = other(from))
            middle_move(&m, from);
        struct span said = drive_out(m.end[ROLE_CLIENT]);
        if (signers[i].good) {
            assert_int_equal(said.p[0], 6);
        } else {
            assert_string_equal(why(&m, ROLE_CLIENT), NOT_SEEN);
            assert_int_equal(said.p[0], DRIVE_REFUSED); /* and nothing else */
            assert_int_equal(said.n, DRIVE_HEAD + 39);
        }
        middle_free(&m);
    }
}

/* Each signature is of its own step: none can stand for another. */
static void both_sign_the_end(void **state)
{
    static const struct {
        unsigned step;
        struct signer s;
    } rows[] = {
        {11, {DRIVE_RELAY, "server finished|signature", true, true}},
        {11, {DRIVE_RELAY, "server finished|signature", false, false}},
        {11, {DRIVE_RELAY, "dh_server|signature", true, false}},
        {11, {DRIVE_CLIENT, "client finished|signature", true, false}},
        {10, {DRIVE_CLIENT, "client finished|signature", true, false}},
        {6, {DRIVE_CLIENT, "register or login|signature", true, false}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct middle m = {.step = rows[i].step, .edit = sign_edit, .how = &rows[i].s};
        enum role r = reader_of(rows[i].step);
        middle_run(&m);
        assert_int_equal(drive_done(m.end[r]), rows[i].s.good);
        if (!rows[i].s.good)
            assert_non_null(strstr(why(&m, r), "signature is not over what we saw"));
        middle_free(&m);
    }
}

/* --- records --- */

struct ends {
    struct record *end[2]; /* client, relay */
    int64_t now[2];
};

static int64_t clock_of(void *ctx)
{
    return *(const int64_t *)ctx;
}

static void ends_new(struct ends *t)
{
    struct key secret[2] = {key_vector("client_application"), key_vector("relay_application")};
    struct err e = {0};

    t->now[0] = t->now[1] = noon;
    for (size_t r = 0; r < 2; r++) {
        struct record_conf c = {.peer = r == 0 ? "relay" : "client",
                                .hash = HASH_SHA256,
                                .cbc = true,
                                .now = clock_of,
                                .clock_ctx = &t->now[r],
                                .secret_in = span_of(secret[1 - r].b, sizeof secret[0]),
                                .secret_out = span_of(secret[r].b, sizeof secret[0])};
        t->end[r] = record_new(&c, &e);
        assert_non_null(t->end[r]);
    }
}

static void ends_free(struct ends *t)
{
    record_free(t->end[0]);
    record_free(t->end[1]);
}

static size_t say(struct ends *t, const void *p, size_t n, uint8_t *rec)
{
    assert_int_equal(record_send(t->end[0], p, n), 0);
    size_t waiting = record_waiting(t->end[0]);
    struct span out = record_out(t->end[0]);
    assert_int_equal(out.n, waiting);
    memcpy(rec, out.p, out.n);
    record_sent(t->end[0], out.n);
    return out.n;
}

static void records_match_the_vectors(void **state)
{
    struct ends t;
    uint8_t rec[256], text[31];

    (void)state;
    ends_new(&t);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(3 + 7 * i);
    size_t n = say(&t, "hello", 5, rec);
    assert_vector(rec, n, "record0");
    t.now[0] += 5;
    assert_int_equal(record_feed(t.end[1], rec, n), 0);
    n = say(&t, text, sizeof text, rec);
    assert_vector(rec, n, "record1");
    assert_int_equal(record_feed(t.end[1], rec, n), 0);
    struct span got = record_take(t.end[1]);
    assert_int_equal(got.n, 5 + sizeof text);
    assert_memory_equal(got.p + 5, text, sizeof text);
    ends_free(&t);
}

static void any_length_arrives(void **state)
{
    static uint8_t text[70000], rec[80000];
    struct ends t;

    (void)state;
    ends_new(&t);
    for (size_t n = 1; n <= sizeof text; n += n < 70 ? 1 : 16381) {
        size_t len = say(&t, text, n, rec);
        for (size_t at = 0; at < len; at += 1000)
            assert_int_equal(record_feed(t.end[1], rec + at, len - at < 1000 ? len - at : 1000), 0);
        assert_int_equal(record_take(t.end[1]).n, n);
    }
    assert_int_equal(record_rekey(t.end[0], true), 0);
    size_t len = say(&t, "new", 3, rec);
    assert_int_equal(record_feed(t.end[1], rec, len), 0);
    assert_int_equal(record_take(t.end[1]).n, 3);
    record_close(t.end[0]);
    struct span out = record_out(t.end[0]);
    assert_int_equal(record_feed(t.end[1], out.p, out.n), 0);
    assert_true(record_closed(t.end[1]));
    ends_free(&t);
}

/* H14: head and time, IV, text with its padding, MAC: the same words, the same bytes. */
static void a_tampered_record_is_one_error(void **state)
{
    uint8_t first[256];
    size_t first_n = 0, tried = 0;

    (void)state;
    for (size_t round = 0; tried < 10000; round++) {
        struct ends t;
        uint8_t text[48] = {0}, rec[256];
        ends_new(&t);
        size_t n = say(&t, text, 1 + round % 40, rec), ct = RECORD_HEAD + 8 + CBC_IV;
        const size_t kinds[] = {n - CBC_MAC + round % CBC_MAC, /* the MAC */
                                n - CBC_MAC - 1 - round % 32 % (n - CBC_MAC - ct),
                                RECORD_HEAD + round % (8 + CBC_IV)}; /* time, IV */
        ends_free(&t);
        for (size_t k = 0; k < COUNT(kinds); k++, tried++) {
            ends_new(&t);
            rec[kinds[k]] ^= (uint8_t)(1U << round % 8);
            assert_int_equal(record_feed(t.end[1], rec, n), -1);
            rec[kinds[k]] ^= (uint8_t)(1U << round % 8);
            assert_string_equal(record_error(t.end[1])->text,
                                "a record was damaged or forged on the way");
            assert_int_equal(record_error(t.end[1])->code, ERR_PEER);
            struct span out = record_out(t.end[1]);
            assert_int_equal(record_take(t.end[1]).n, 0);
            if (first_n == 0) {
                first_n = out.n;
                memcpy(first, out.p, out.n);
            }
            assert_int_equal(out.n, first_n);
            assert_memory_equal(out.p, first, first_n);
            ends_free(&t);
        }
    }
    assert_true(first_n > 0);
}

/* H6. */
static void no_record_is_opened_twice_or_out_of_order(void **state)
{
    struct ends t;
    uint8_t rec[2][256];
    size_t n[2];

    (void)state;
    for (int later = 0; later < 2; later++) {
        ends_new(&t);
        for (size_t i = 0; i < 2; i++)
            n[i] = say(&t, "text", 4, rec[i]);
        if (!later)
            assert_int_equal(record_feed(t.end[1], rec[0], n[0]), 0);
        assert_int_equal(record_feed(t.end[1], rec[later], n[later]), -1);
        ends_free(&t);
    }
    ends_new(&t);
    n[0] = say(&t, "text", 4, rec[0]);
    assert_int_equal(record_feed(t.end[0], rec[0], n[0]), -1); /* its own words */
    ends_free(&t);
}

static void a_wrong_clock_is_noted_and_refuses_nothing(void **state)
{
    static const struct {
        int64_t skew;
        unsigned stale;
    } rows[] = {{0, 0},
                {LINK_FRESH_MS, 0},
                {-LINK_FRESH_MS, 0},
                {LINK_FRESH_MS + 1, 1},
                {-LINK_FRESH_MS - 1, 1},
                {-noon, 1}};
    uint8_t rec[256];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ends t;
        ends_new(&t);
        t.now[0] += rows[i].skew;
        size_t n = say(&t, "late", 4, rec);
        assert_int_equal(record_feed(t.end[1], rec, n), 0);
        assert_int_equal(record_take(t.end[1]).n, 4);
        assert_int_equal(record_stale(t.end[1]), rows[i].stale);
        ends_free(&t);
    }
}

/* A time that means nothing is a time like others: no arithmetic goes wrong over it. */
static void every_length_that_is_none_is_refused_by_its_head(void **state)
{
    (void)state;
    for (size_t n = 0; n < 0x10000; n += n < 100 || n > 16300 ? 1 : 97) {
        const uint8_t head[RECORD_HEAD] = {RECORD_DATA, 3, 3, (uint8_t)(n >> 8), (uint8_t)n};
        struct ends t;
        ends_new(&t);
        bool fits = n >= 8 + CBC_LEAST && n <= 8 + cbc_len(RECORD_PLAIN_MAX + 1);
        assert_int_equal(record_feed(t.end[1], head, sizeof head), fits ? 0 : -1);
        ends_free(&t);
        if (n > 17000)
            n += 997;
    }
}

/* --- what the peer is told --- */

static void a_refused_certificate_is_told_and_nothing_else(void **state)
{
    struct pair p;
    struct der d;
    struct link_info i;

    (void)state;
    world_issue(w, (struct want){.role = CERT_DEVICE, .from = 1, .to = 2}, &d);
    conf(&p);
    p.chain[ROLE_CLIENT][0] = span_of(d.b, d.n);
    pair_start(&p);
    pair_pump(&p, ALL);
    link_info(p.end[ROLE_CLIENT], &i);
    assert_true(i.refused_by_peer);
    assert_string_equal(i.refused, LINK_BAD_CERT);
    assert_string_equal(pair_why(&p, ROLE_CLIENT),
                        "the relay refused, at server_hello, because of our certificate");
    pair_free(&p);
}

/* --- where who joins can be reached --- */

static void joining(struct pair *p, struct hash *pin, const char *email)
{
    conf(p);
    sha256(p->chain[ROLE_RELAY][2], pin);
    p->conf[ROLE_CLIENT].join = true;
    p->conf[ROLE_CLIENT].chain_n = 0;
    p->conf[ROLE_CLIENT].key = NULL;
    p->conf[ROLE_CLIENT].trust = NULL;
    p->conf[ROLE_CLIENT].root = pin;
    p->conf[ROLE_CLIENT].email = email;
}

static const char *told(const struct pair *p, enum role r)
{
    struct link_info i;

    link_info(p->end[r], &i);
    return i.email;
}

static void an_address_arrives_and_is_forgotten(void **state)
{
    static const char address[] = "alice+chat@mail.example.org";
    struct pair p;
    struct hash pin;

    (void)state;
    joining(&p, &pin, address);
    pair_meet(&p, ALL);
    assert_string_equal(told(&p, ROLE_RELAY), address);
    assert_null(told(&p, ROLE_CLIENT));
    link_rest(p.end[ROLE_RELAY]);
    assert_null(told(&p, ROLE_RELAY));
    pair_free(&p);
    joining(&p, &pin, NULL);
    pair_meet(&p, ALL);
    assert_null(told(&p, ROLE_RELAY));
    pair_free(&p);
}

#define ALICE "alice@mail.example.org"

static size_t look(struct pair *p, enum role to, uint8_t *bytes, size_t n, size_t room)
{
    size_t *seen = p->meddler;

    (void)to, (void)room;
    *seen += n;
    assert_null(memmem(bytes, n, ALICE, sizeof ALICE - 1));
    return n;
}

static void an_address_travels_sealed(void **state)
{
    struct pair p;
    struct hash pin;
    size_t seen = 0;

    (void)state;
    joining(&p, &pin, ALICE);
    p.meddle = look;
    p.meddler = &seen;
    pair_meet(&p, ALL);
    assert_string_equal(told(&p, ROLE_RELAY), ALICE);
    assert_true(seen > 4000);
    pair_free(&p);
}

static void an_address_has_its_place_and_no_other(void **state)
{
    static const char *const bad[] = {"", "alice", "a b@c", "a\"@b", "a@b\n"};
    struct err e = {0};
    struct pair p;
    struct hash pin;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        joining(&p, &pin, bad[i]);
        assert_null(link_new(ROLE_CLIENT, &p.conf[ROLE_CLIENT], &e));
    }
    conf(&p); /* with a certificate */
    p.conf[ROLE_CLIENT].email = "alice@example.org";
    assert_null(link_new(ROLE_CLIENT, &p.conf[ROLE_CLIENT], &e));
    for (enum link_kind k = LINK_ECDHE; k <= LINK_SOVEREIGN; k++) {
        joining(&p, &pin, "alice@example.org");
        p.conf[ROLE_CLIENT].kind = k;
        struct link *l = link_new(ROLE_CLIENT, &p.conf[ROLE_CLIENT], &e);
        assert_true((l != NULL) == (k == LINK_CIANR));
        link_free(l);
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
        cmocka_unit_test(nothing_but_the_document_is_read),
        cmocka_unit_test(every_field_is_whole_or_refused),
        cmocka_unit_test(only_public_values_are_computed_with),
        cmocka_unit_test(no_credentials_for_a_relay_without_its_key),
        cmocka_unit_test(both_sign_the_end),
        cmocka_unit_test(records_match_the_vectors),
        cmocka_unit_test(any_length_arrives),
        cmocka_unit_test(a_tampered_record_is_one_error),
        cmocka_unit_test(no_record_is_opened_twice_or_out_of_order),
        cmocka_unit_test(a_wrong_clock_is_noted_and_refuses_nothing),
        cmocka_unit_test(every_length_that_is_none_is_refused_by_its_head),
        cmocka_unit_test(a_refused_certificate_is_told_and_nothing_else),
        cmocka_unit_test(an_address_arrives_and_is_forgotten),
        cmocka_unit_test(an_address_travels_sealed),
        cmocka_unit_test(an_address_has_its_place_and_no_other),
        cmocka_unit_test(every_byte_of_the_magic_counts),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
