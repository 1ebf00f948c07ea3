/* Every link under the driver alike (docs/protocol.md 10): an end that has every key and is the
 * program itself but for one piece, which it leaves out or makes of something else. Its peer has to
 * notice, and to say at which step. And what is proven is what the document says, byte by byte.
 *
 * The pieces are changed on their way through the functions that all links share: they stand in
 * front of the real ones (wrapped_test_lies in the Makefile). */
#include <stdio.h>
#include <string.h>

#include "common/link/drive_priv.h"
#include "tests/unit/link/support_link.h"

enum { ALL = 1 << 20 };

static const enum link_kind driven[] = {LINK_ECDHE, LINK_CIANR, LINK_SOVEREIGN};

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

static void run(struct pair *p, enum link_kind kind)
{
    pair_conf(p, w);
    p->conf[ROLE_CLIENT].kind = p->conf[ROLE_RELAY].kind = kind;
    pair_start(p);
    pair_pump(p, ALL);
    assert_int_equal(p->order_bad, 0);
}

/* --- what an honest end proves, kept --- */

/* What was signed or put under a MAC, and where in the story of who did that. */
struct said {
    uint8_t bytes[256];
    size_t n, behind; /* so much of the story came before its frame */
    size_t sig_n;     /* 0: it is a MAC */
    enum role who;
};

static struct {
    bool listening;
    struct buf story[2]; /* magic, then of each frame type, length and plaintext, by who heard it */
    struct said said[8];
    size_t n;
    enum role mac_of;
} heard;

/* --- the one piece --- */

enum piece {
    NOTHING,         /* an honest end */
    NO_CHAIN,        /* no certificate */
    OFF_CURVE,       /* a certificate that its CA signed, whose key is no point of P-256 */
    INFINITE,        /* ... the one that is no key */
    COMPRESSED,      /* ... its own point in another form */
    NO_SIGNATURE,    /* an empty one */
    NO_MAC,          /* zeros */
    NO_TRANSCRIPT,   /* proven over nothing */
    OLD_TRANSCRIPT,  /* over what was said before this message, and not over it */
    NO_STEP,         /* in no step's name */
    ANOTHER_STEP,    /* in another's */
    ANOTHER_ROLE,    /* in the name of who reads it */
    ANOTHER_PURPOSE, /* a MAC's context for a signature, or the other way round */
    NO_HEAD,         /* sealed without the head's length */
};

static struct {
    enum piece piece;
    enum role who;
    const char *step;
    bool mac; /* it is about the MAC, where a step has a signature too */
} lie;

static bool lying(const struct drive *d, enum piece piece)
{
    return lie.piece == piece && d->role == lie.who && drive_due(d) != NULL &&
           strcmp(drive_due_name(d), lie.step) == 0;
}

static bool in_mac; /* what is being made is one */

static bool lying_of(const struct drive *d, enum piece piece)
{
    return in_mac == lie.mac && lying(d, piece);
}

/* A chain like the good one but for the key in its leaf. */
static void strange_chain_put(enum role who, struct wr *out)
{
    enum { FORM = 26, FIELD = 32 }; /* where the point begins; one coordinate */
    uint8_t spki[SPKI_MAX];
    size_t n;
    struct err e = {0};
    struct der leaf;

    assert_int_equal(pkey_spki(w->relay_key, spki, &n, &e), 0);
    if (lie.piece == OFF_CURVE) {
        spki[n - 1] ^= 1;
    } else {
        size_t less = lie.piece == COMPRESSED ? FIELD : 2 * FIELD;
        spki[FORM] = (uint8_t)(lie.piece == COMPRESSED ? 2 + spki[n - 1] % 2 : 0);
        spki[1] = (uint8_t)(spki[1] - less);
        spki[FORM - 2] = (uint8_t)(spki[FORM - 2] - less);
        n -= less;
    }
    world_issue(w,
                (struct want){.role = who == ROLE_CLIENT ? CERT_DEVICE : CERT_RELAY,
                              .spki = span_of(spki, n)},
                &leaf);
    const struct der *chain[] = {&leaf, &w->ours.inter, &w->ours.root};
    size_t chain_n = who == ROLE_CLIENT ? 2 : 3;
    wr_u8(out, (uint8_t)chain_n);
    for (size_t i = 0; i < chain_n; i++) {
        wr_u16(out, (uint16_t)chain[i]->n);
        wr_put(out, chain[i]->b, chain[i]->n);
    }
}

void __real_drive_chain_put(struct drive *d, struct wr *out);
void __wrap_drive_chain_put(struct drive *d, struct wr *out);

void __wrap_drive_chain_put(struct drive *d, struct wr *out)
{
    if (lying(d, NO_CHAIN))
        wr_u8(out, 0);
    else if (lying(d, OFF_CURVE) || lying(d, INFINITE) || lying(d, COMPRESSED))
        strange_chain_put(d->role, out);
    else
        __real_drive_chain_put(d, out);
}

int __real_drive_sign(struct drive *d, struct wr *out);
int __wrap_drive_sign(struct drive *d, struct wr *out);
int __real_drive_sign_over(struct drive *d, struct span here, struct wr *out);
int __wrap_drive_sign_over(struct drive *d, struct span here, struct wr *out);

static int no_signature(struct wr *out)
{
    wr_u16(out, 0);
    return 0;
}

int __wrap_drive_sign(struct drive *d, struct wr *out)
{
    return lying(d, NO_SIGNATURE) ? no_signature(out) : __real_drive_sign(d, out);
}

int __wrap_drive_sign_over(struct drive *d, struct span here, struct wr *out)
{
    return lying(d, NO_SIGNATURE) ? no_signature(out) : __real_drive_sign_over(d, here, out);
}

int __real_drive_mac_put(struct drive *d, const struct key *k, struct wr *out);
int __wrap_drive_mac_put(struct drive *d, const struct key *k, struct wr *out);

int __wrap_drive_mac_put(struct drive *d, const struct key *k, struct wr *out)
{
    static const uint8_t zeros[HASH_LEN];

    if (lying(d, NO_MAC)) {
        wr_put(out, zeros, sizeof zeros);
        return 0;
    }
    in_mac = true;
    heard.mac_of = d->role;
    int ret = __real_drive_mac_put(d, k, out);
    in_mac = false;
    return ret;
}

void __real_drive_hash(const struct drive *d, const struct span *so_far, struct hash *out);
void __wrap_drive_hash(const struct drive *d, const struct span *so_far, struct hash *out);

void __wrap_drive_hash(const struct drive *d, const struct span *so_far, struct hash *out)
{
    if (so_far != NULL && lying_of(d, OLD_TRANSCRIPT))
        so_far = NULL;
    __real_drive_hash(d, so_far, out);
    if (so_far != NULL && lying_of(d, NO_TRANSCRIPT))
        *out = (struct hash){{0}};
}

int __real_drive_context(const struct drive *d, struct drive_label l,
                         uint8_t out[CONTEXT_MAX + sizeof(struct hash)], size_t *n);
int __wrap_drive_context(const struct drive *d, struct drive_label l,
                         uint8_t out[CONTEXT_MAX + sizeof(struct hash)], size_t *n);

int __wrap_drive_context(const struct drive *d, struct drive_label l,
                         uint8_t out[CONTEXT_MAX + sizeof(struct hash)], size_t *n)
{
    const char *bar = strchr(l.what, '|');
    char what[64];

    if (bar == NULL) /* a key's */
        return __real_drive_context(d, l, out, n);
    if (lying_of(d, NO_STEP)) {
        l.what = bar;
    } else if (lying_of(d, ANOTHER_STEP)) {
        snprintf(what, sizeof what, "another%s", bar);
        l.what = what;
    } else if (lying_of(d, ANOTHER_ROLE)) {
        l.who = l.who == DRIVE_CLIENT ? DRIVE_RELAY : DRIVE_CLIENT;
    } else if (lying_of(d, ANOTHER_PURPOSE)) {
        snprintf(what, sizeof what, "%s|%s", lie.step, in_mac ? "signature" : "mac");
        l.what = what;
    }
    return __real_drive_context(d, l, out, n);
}

int __real_drive_seal(struct drive *d, struct span head, uint8_t *payload, size_t n);
int __wrap_drive_seal(struct drive *d, struct span head, uint8_t *payload, size_t n);

int __wrap_drive_seal(struct drive *d, struct span head, uint8_t *payload, size_t n)
{
    if (lying(d, NO_HEAD))
        head.n = 1; /* the type */
    return __real_drive_seal(d, head, payload, n);
}

/* --- who lies where, and what he is told --- */

enum field { CHAIN, SIGNATURE, MAC, SEAL };

/* Every field of a handshake that proves something, by hand from docs/protocol.md 10. */
static const struct proof {
    enum link_kind kind;
    enum role who;
    const char *step;
    enum field field;
} proofs[] = {
    {LINK_ECDHE, ROLE_RELAY, "ServerHello", CHAIN},
    {LINK_ECDHE, ROLE_RELAY, "ServerHello", SIGNATURE},
    {LINK_ECDHE, ROLE_CLIENT, "Client Finished", SEAL},
    {LINK_ECDHE, ROLE_CLIENT, "Client Finished", CHAIN},
    {LINK_ECDHE, ROLE_CLIENT, "Client Finished", SIGNATURE},
    {LINK_ECDHE, ROLE_CLIENT, "Client Finished", MAC},
    {LINK_ECDHE, ROLE_RELAY, "Server Finished", SEAL},
    {LINK_ECDHE, ROLE_RELAY, "Server Finished", MAC},
    {LINK_CIANR, ROLE_CLIENT, "hello", CHAIN},
    {LINK_CIANR, ROLE_RELAY, "server_hello", CHAIN},
    {LINK_CIANR, ROLE_RELAY, "dh_server", SIGNATURE},
    {LINK_CIANR, ROLE_CLIENT, "register or login", SEAL},
    {LINK_CIANR, ROLE_CLIENT, "register or login", SIGNATURE},
    {LINK_CIANR, ROLE_CLIENT, "session dh_client", SEAL},
    {LINK_CIANR, ROLE_RELAY, "session dh_server", SEAL},
    {LINK_CIANR, ROLE_CLIENT, "client finished", SEAL},
    {LINK_CIANR, ROLE_CLIENT, "client finished", SIGNATURE},
    {LINK_CIANR, ROLE_RELAY, "server finished", SEAL},
    {LINK_CIANR, ROLE_RELAY, "server finished", SIGNATURE},
    {LINK_SOVEREIGN, ROLE_RELAY, "ServerCertSend", SEAL},
    {LINK_SOVEREIGN, ROLE_RELAY, "ServerCertSend", CHAIN},
    {LINK_SOVEREIGN, ROLE_RELAY, "ClientCertRequest", SEAL},
    {LINK_SOVEREIGN, ROLE_CLIENT, "ClientCertSend", SEAL},
    {LINK_SOVEREIGN, ROLE_CLIENT, "ClientCertSend", CHAIN},
    {LINK_SOVEREIGN, ROLE_RELAY, "SeedCode", SEAL},
    {LINK_SOVEREIGN, ROLE_RELAY, "KeyExchange1", SEAL},
    {LINK_SOVEREIGN, ROLE_CLIENT, "KeyExchange2", SEAL},
    {LINK_SOVEREIGN, ROLE_RELAY, "KeyConfirm1", SEAL},
    {LINK_SOVEREIGN, ROLE_RELAY, "KeyConfirm1", MAC},
    {LINK_SOVEREIGN, ROLE_CLIENT, "KeyConfirm2", SEAL},
    {LINK_SOVEREIGN, ROLE_CLIENT, "KeyConfirm2", MAC},
    {LINK_SOVEREIGN, ROLE_CLIENT, "ClientAuth", SEAL},
    {LINK_SOVEREIGN, ROLE_CLIENT, "ClientAuth", SIGNATURE},
    {LINK_SOVEREIGN, ROLE_RELAY, "ServerAuth", SEAL},
    {LINK_SOVEREIGN, ROLE_RELAY, "ServerAuth", SIGNATURE},
    {LINK_SOVEREIGN, ROLE_RELAY, "SecureAck", SEAL},
    {LINK_SOVEREIGN, ROLE_RELAY, "SecureAck", MAC},
};

/* The lies there are about a field, and the end of what the other side says of each. */
static const struct {
    enum field field;
    enum piece piece;
    const char *why;
} lies[] = {
    {CHAIN, NO_CHAIN, "certificate is refused: no certificate"},
    {CHAIN, OFF_CURVE, "the certificate is malformed"},
    {CHAIN, INFINITE, "the certificate is malformed"},
    {CHAIN, COMPRESSED, "the key is too weak or of a kind not allowed"},
    {SIGNATURE, NO_SIGNATURE, "no signature of a possible length"},
    {SIGNATURE, NO_TRANSCRIPT, "signature is not over what we saw"},
    {SIGNATURE, OLD_TRANSCRIPT, "signature is not over what we saw"},
    {SIGNATURE, NO_STEP, "signature is not over what we saw"},
    {SIGNATURE, ANOTHER_STEP, "signature is not over what we saw"},
    {SIGNATURE, ANOTHER_ROLE, "signature is not over what we saw"},
    {SIGNATURE, ANOTHER_PURPOSE, "signature is not over what we saw"},
    {MAC, NO_MAC, "saw another handshake than we did"},
    {MAC, NO_TRANSCRIPT, "saw another handshake than we did"},
    {MAC, OLD_TRANSCRIPT, "saw another handshake than we did"},
    {MAC, NO_STEP, "saw another handshake than we did"},
    {MAC, ANOTHER_STEP, "saw another handshake than we did"},
    {MAC, ANOTHER_ROLE, "saw another handshake than we did"},
    {MAC, ANOTHER_PURPOSE, "saw another handshake than we did"},
    {SEAL, NO_HEAD, "damaged or forged on the way"},
};

static void try_lie(const struct proof *at, enum piece piece, const char *why)
{
    struct pair p;
    enum role judge = drive_other(at->who);

    lie.piece = piece;
    lie.who = at->who;
    lie.step = at->step;
    lie.mac = at->field == MAC;
    run(&p, at->kind);
    lie.piece = NOTHING;
    const char *got = pair_why(&p, judge);
    if (p.established[judge] || !p.failed[judge] || strstr(got, why) == NULL ||
        (at->field != CHAIN && strncmp(got, at->step, strlen(at->step)) != 0))
        fail_msg("%s, %s, lie %d: wanted \"%s\", got \"%s\"", link_kind_name(at->kind), at->step,
                 (int)piece, why, got);
    pair_free(&p);
}

/* H2, H3, H4, H5, H12. */
static void every_piece_of_a_proof_is_needed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(proofs); i++)
        for (size_t k = 0; k < COUNT(lies); k++)
            if (lies[k].field == proofs[i].field)
                try_lie(&proofs[i], lies[k].piece, lies[k].why);
}

/* --- what is proven, by hand --- */

static const char *const magics[LINK_KIND_COUNT] = {
    [LINK_ECDHE] = "countersign ecdhe 1\n",
    [LINK_CIANR] = "countersign cianr 1\n",
    [LINK_SOVEREIGN] = "countersign sovereign 1\n",
};

void __real_drive_transcribe(struct drive *d, uint8_t type, struct span content);
void __wrap_drive_transcribe(struct drive *d, uint8_t type, struct span content);

void __wrap_drive_transcribe(struct drive *d, uint8_t type, struct span content)
{
    const uint8_t head[] = {type, 0, 0, (uint8_t)(content.n >> 8), (uint8_t)content.n};

    if (heard.listening) {
        assert_int_equal(buf_add(&heard.story[d->role], head, sizeof head), 0);
        assert_int_equal(buf_add(&heard.story[d->role], content.p, content.n), 0);
    }
    __real_drive_transcribe(d, type, content);
}

static void hear(enum role who, struct span data, size_t sig_n)
{
    struct said *s = &heard.said[heard.n++];

    assert_true(heard.n <= COUNT(heard.said) && data.n <= sizeof s->bytes);
    memcpy(s->bytes, data.p, data.n);
    s->n = data.n;
    s->behind = heard.story[who].len;
    s->sig_n = sig_n;
    s->who = who;
}

/* The relay's key is P-256, the client's RSA. */
int __real_pkey_sign(struct pkey *k, const struct rng *r, struct span data, uint8_t sig[SIG_MAX],
                     size_t *n, struct err *e);
int __wrap_pkey_sign(struct pkey *k, const struct rng *r, struct span data, uint8_t sig[SIG_MAX],
                     size_t *n, struct err *e);

int __wrap_pkey_sign(struct pkey *k, const struct rng *r, struct span data, uint8_t sig[SIG_MAX],
                     size_t *n, struct err *e)
{
    int ret = __real_pkey_sign(k, r, data, sig, n, e);

    if (heard.listening)
        hear(pkey_is_rsa(k) ? ROLE_CLIENT : ROLE_RELAY, data, *n);
    return ret;
}

void __real_hmac_sha256(struct span key, struct span data, struct hash *out);
void __wrap_hmac_sha256(struct span key, struct span data, struct hash *out);

void __wrap_hmac_sha256(struct span key, struct span data, struct hash *out)
{
    if (heard.listening && in_mac)
        hear(heard.mac_of, data, 0);
    __real_hmac_sha256(key, data, out);
}

/* Where in its content the field begins. */
static size_t field_at(enum link_kind kind, const struct said *s, const char *step,
                       struct span content)
{
    static const char name[] = "\"sig\":\"";
    bool mac_behind = s->sig_n > 0 && strcmp(step, "Client Finished") == 0;

    if (kind == LINK_CIANR) {
        const uint8_t *at = memmem(content.p, content.n, name, sizeof name - 1);
        assert_non_null(at);
        return (size_t)(at - content.p) + sizeof name - 1;
    }
    return content.n - (s->sig_n > 0 ? 2 + s->sig_n : HASH_LEN) - (mac_behind ? HASH_LEN : 0);
}

/* context(ROLE, STEP|signature or STEP|mac) of docs/protocol.md 10.1, with T+. */
static void assert_said(enum link_kind kind, const struct said *s)
{
    size_t rows_n, at = s->behind;
    const struct link_row *rows = link_rows(kind, &rows_n);
    struct span story = buf_span(&heard.story[s->who]);
    const uint8_t *frame = story.p + at;
    struct span content = {frame + 5, (size_t)(frame[3] << 8 | frame[4])};
    const char *step = rows[frame[0] - 1].name;
    uint8_t want[256], head[5] = {frame[0]};
    struct hash t;
    bool known = false;

    for (size_t i = 0; i < COUNT(proofs); i++)
        known = known || (proofs[i].kind == kind && proofs[i].who == s->who &&
                          strcmp(proofs[i].step, step) == 0 &&
                          proofs[i].field == (s->sig_n > 0 ? SIGNATURE : MAC));
    assert_true(known);
    size_t n = field_at(kind, s, step, content);
    head[3] = (uint8_t)(n >> 8);
    head[4] = (uint8_t)n;
    const struct span parts[] = {span_of(magics[kind], strlen(magics[kind])), span_of(story.p, at),
                                 span_of(head, sizeof head), span_of(content.p, n)};
    sha256_parts(parts, COUNT(parts), &t);
    int len = snprintf((char *)want, sizeof want, "countersign|%s 1|%s|%s|%s", link_kind_name(kind),
                       s->who == ROLE_CLIENT ? "client" : "relay", step,
                       s->sig_n > 0 ? "signature" : "mac");
    memcpy(want + len + 1, t.b, sizeof t.b);
    assert_int_equal(s->n, (size_t)len + 1 + sizeof t.b);
    assert_memory_equal(s->bytes, want, s->n);
}

static size_t proofs_of(enum link_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < COUNT(proofs); i++)
        n += proofs[i].kind == kind && (proofs[i].field == SIGNATURE || proofs[i].field == MAC);
    return n;
}

/* H3, H5, H6: link, version, role, step, purpose and all that was said are under every proof. */
static void proofs_are_over_what_the_document_says(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(driven); k++) {
        struct pair p;
        memset(&heard, 0, sizeof heard);
        heard.listening = true;
        for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++)
            buf_init(&heard.story[r], 1 << 16);
        run(&p, driven[k]);
        heard.listening = false;
        assert_true(p.established[ROLE_CLIENT] && p.established[ROLE_RELAY]);
        assert_int_equal(heard.n, proofs_of(driven[k]));
        for (size_t i = 0; i < heard.n; i++)
            assert_said(driven[k], &heard.said[i]);
        pair_free(&p);
        buf_free(&heard.story[ROLE_CLIENT]);
        buf_free(&heard.story[ROLE_RELAY]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_piece_of_a_proof_is_needed),
        cmocka_unit_test(proofs_are_over_what_the_document_says),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
