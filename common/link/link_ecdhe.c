/* The link `ecdhe`, after seed 001: X25519, HKDF-SHA256, signatures over the transcript, Finished
 * MACs, AES-256-GCM (docs/protocol.md 10.2). */
#include <stdio.h>
#include <string.h>

#include "common/link/drive.h"
#include "common/link/steps_ecdhe.h"

#define MAGIC "countersign ecdhe 1\n"

enum {
    RANDOM_LEN = 32,
    SUITES_MAX = 8, /* in an offer */
    ECDHE_HELLO_MAX = 1 + RANDOM_LEN + SHARE_LEN + 1 + SUITES_MAX,
    ECDHE_MAC_MAX = HASH_LEN,
    /* random, share, certificates, signature, MAC: a proof never needs more */
    ECDHE_PROOF_MAX = LINK_SHAKE_MAX - ECDHE_HELLO_MAX - 4 * DRIVE_HEAD - AEAD_TAG_LEN,
};

struct ecdhe {
    struct share ours;
    uint8_t theirs[SHARE_LEN];
    uint8_t offer[SUITES_MAX];
    size_t offer_n;
    size_t suite; /* row of suites */
    struct key shared, session;
    struct key finished[2]; /* by enum role of who writes */
};

/* What a suite is called on the wire; the relay's preference is the order here. */
static const struct {
    uint8_t id;
    enum aead_kind aead;
    const char *name;
} suites[] = {
    {1, AEAD_AES_256_GCM, "AES-GCM-256"},
    {2, AEAD_CHACHA20_POLY1305, "ChaCha20-Poly1305"},
};

/* Where AES is not in hardware its tables would leak through the cache. */
static bool suite_usable(const struct drive *d, size_t row)
{
    return (drive_suites(d) & 1U << suites[row].aead) != 0 && aead_fast(suites[row].aead);
}

static bool offered(const struct ecdhe *x, uint8_t id)
{
    return memchr(x->offer, id, x->offer_n) != NULL;
}

/* --- what both hellos carry --- */

static int fresh_put(struct drive *d, struct wr *out)
{
    struct ecdhe *x = drive_state(d);
    uint8_t random[RANDOM_LEN];

    if (rng_fill(drive_rng(d), random, sizeof random) < 0 || share_draw(&x->ours, drive_rng(d)) < 0)
        return drive_fail(d, ERR_LOCAL, "no random numbers");
    wr_put(out, random, sizeof random);
    wr_put(out, x->ours.open, sizeof x->ours.open);
    return 0;
}

static void fresh_take(struct drive *d, struct rd *in)
{
    struct ecdhe *x = drive_state(d);

    rd_take(in, RANDOM_LEN); /* it is in the transcript, and so in every key */
    const uint8_t *share = rd_take(in, SHARE_LEN);
    if (share != NULL)
        memcpy(x->theirs, share, SHARE_LEN);
}

/* --- 1. ClientHello: purpose, random, share, suites --- */

static int client_hello_build(struct drive *d, struct wr *out)
{
    struct ecdhe *x = drive_state(d);

    for (size_t i = 0; i < COUNT(suites); i++)
        if (suite_usable(d, i))
            x->offer[x->offer_n++] = suites[i].id;
    drive_purpose_put(d, out);
    if (fresh_put(d, out) < 0)
        return -1;
    wr_u8(out, (uint8_t)x->offer_n);
    wr_put(out, x->offer, x->offer_n);
    return 0;
}

static int client_hello_take(struct drive *d, struct rd *in)
{
    struct ecdhe *x = drive_state(d);

    if (drive_purpose_take(d, in) < 0)
        return -1;
    fresh_take(d, in);
    size_t n = rd_u8(in);
    if (n == 0 || n > SUITES_MAX)
        return drive_fail(d, ERR_PEER, "ClientHello: %zu suites", n);
    const uint8_t *offer = rd_take(in, n);
    if (offer == NULL)
        return drive_fail(d, ERR_PEER, "ClientHello: malformed");
    memcpy(x->offer, offer, n);
    x->offer_n = n;
    return 0;
}

static void client_hello_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    const struct ecdhe *x = drive_seen(d);
    size_t n = (size_t)snprintf(text, cap, "X25519; offers");

    (void)out;
    for (size_t i = 0; i < COUNT(suites); i++)
        if (offered(x, suites[i].id))
            n += (size_t)snprintf(text + n, cap - n, " %s", suites[i].name);
}

/* --- 2. ServerHello: suite, random, share, certificates, signature --- */

static int suite_choose(struct drive *d)
{
    struct ecdhe *x = drive_state(d);

    for (x->suite = 0; x->suite < COUNT(suites); x->suite++)
        if (suite_usable(d, x->suite) && offered(x, suites[x->suite].id))
            return 0;
    return drive_fail(d, ERR_PEER, "ClientHello: no suite that we have too");
}

static int server_hello_build(struct drive *d, struct wr *out)
{
    const struct ecdhe *x = drive_state(d);

    if (suite_choose(d) < 0)
        return -1;
    wr_u8(out, suites[x->suite].id);
    if (fresh_put(d, out) < 0)
        return -1;
    drive_chain_put(d, out);
    return drive_sign(d, out);
}

static int server_hello_take(struct drive *d, struct rd *in)
{
    struct ecdhe *x = drive_state(d);
    uint8_t id = rd_u8(in);

    for (x->suite = 0; x->suite < COUNT(suites); x->suite++)
        if (suites[x->suite].id == id)
            break;
    if (x->suite == COUNT(suites) || !offered(x, id))
        return drive_fail(d, ERR_PEER, "ServerHello: suite %u, which we did not offer", id);
    fresh_take(d, in);
    return drive_chain_take(d, in) < 0 ? -1 : drive_verify(d, in);
}

static void server_hello_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    const struct ecdhe *x = drive_seen(d);
    char first[40];

    snprintf(first, sizeof first, "Cipher: %s; ", suites[x->suite].name);
    drive_tell_proof(d, out, first, text, cap);
}

/* --- 3. ECDHE --- */

static int shared_secret_work(struct drive *d)
{
    struct ecdhe *x = drive_state(d);
    int ret = share_agree(&x->shared, &x->ours, x->theirs);

    share_wipe(&x->ours);
    return ret < 0 ? drive_fail(d, ERR_PEER, "ECDHE: the other key is a point of low order") : 0;
}

static void shared_secret_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    (void)d, (void)out;
    snprintf(text, cap, "X25519");
}

/* --- 4. HKDF --- */

static int session_key_work(struct drive *d)
{
    struct ecdhe *x = drive_state(d);
    struct hash t;

    drive_hash(d, NULL, &t);
    struct drive_label client = {DRIVE_CLIENT, "finished", &t};
    struct drive_label relay = {DRIVE_RELAY, "finished", &t};
    if (drive_extract(d, &t, span_of(x->shared.b, sizeof x->shared.b), &x->session) < 0 ||
        drive_expand(d, &x->session, client, x->finished[ROLE_CLIENT].b, HASH_LEN) < 0 ||
        drive_expand(d, &x->session, relay, x->finished[ROLE_RELAY].b, HASH_LEN) < 0 ||
        drive_keys(d, suites[x->suite].aead, &x->session, &t) < 0)
        return -1;
    key_wipe(&x->shared);
    return 0;
}

static void session_key_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    (void)d, (void)out;
    snprintf(text, cap, "HKDF-SHA256 over both randoms, keys, suites and the relay's certificate");
}

/* --- 5. Client Finished: certificates, signature, MAC --- */

static int client_finished_build(struct drive *d, struct wr *out)
{
    struct ecdhe *x = drive_state(d);

    drive_chain_put(d, out);
    return drive_sign(d, out) < 0 ? -1 : drive_mac_put(d, &x->finished[ROLE_CLIENT], out);
}

static int client_finished_take(struct drive *d, struct rd *in)
{
    struct ecdhe *x = drive_state(d);

    if (drive_chain_take(d, in) < 0 || drive_verify(d, in) < 0)
        return -1;
    return drive_mac_take(d, &x->finished[ROLE_CLIENT], in);
}

static void client_finished_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    drive_tell_proof(d, out, "HMAC-SHA256; ", text, cap);
}

/* --- 6. Server Finished: MAC --- */

static int server_finished_build(struct drive *d, struct wr *out)
{
    struct ecdhe *x = drive_state(d);

    return drive_mac_put(d, &x->finished[ROLE_RELAY], out);
}

static int server_finished_take(struct drive *d, struct rd *in)
{
    struct ecdhe *x = drive_state(d);

    return drive_mac_take(d, &x->finished[ROLE_RELAY], in);
}

static void server_finished_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    (void)d, (void)out;
    snprintf(text, cap, "HMAC-SHA256");
}

/* --- what is left behind --- */

static int finish(struct drive *d, struct drive_result *r)
{
    const struct ecdhe *x = drive_state(d);
    struct hash t;

    drive_hash(d, NULL, &t);
    struct drive_label client = {DRIVE_CLIENT, "application", &t};
    struct drive_label relay = {DRIVE_RELAY, "application", &t};
    struct drive_label login = {DRIVE_BOTH, LINK_EXPORTER_LOGIN, &t};
    r->aead = suites[x->suite].aead;
    if (drive_expand(d, &x->session, client, r->secret[ROLE_CLIENT].b, HASH_LEN) < 0 ||
        drive_expand(d, &x->session, relay, r->secret[ROLE_RELAY].b, HASH_LEN) < 0)
        return -1;
    return drive_expand(d, &x->session, login, r->exporter.b, sizeof r->exporter.b);
}

static void info(const struct drive *d, struct link_info *out)
{
    const struct ecdhe *x = drive_seen(d);

    out->suite = suites[x->suite].name;
    out->group = "X25519";
}

static const struct link_row rows[] = {STEPS_ECDHE(DRIVE_ROW, DRIVE_ROW_LOCAL)};
static_assert(COUNT(rows) <= DRIVE_STEPS_MAX, "the driver has a place for every step");
static const struct drive_step steps[] = {STEPS_ECDHE(DRIVE_STEP, DRIVE_STEP_LOCAL)};

static const struct drive_proto ecdhe = {
    .version = "ecdhe 1",
    .magic = MAGIC,
    .steps = steps,
    .state_size = sizeof(struct ecdhe),
    .finish = finish,
    .info = info,
};

const struct link_proto link_proto_ecdhe = {
    .rows = rows,
    .rows_n = COUNT(rows),
    .first = {MAGIC, sizeof MAGIC - 1},
    .drive = &ecdhe,
    DRIVEN,
};
