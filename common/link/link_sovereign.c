/* The link `sovereign`, after seed 004: thirteen steps, four of them in one of 24 orders, two
 * agreements and a seed code, a key for every record (docs/protocol.md 10.4). */
#include <stdio.h>
#include <string.h>

#include "common/link/drive.h"
#include "common/link/health.h"
#include "common/link/order.h"
#include "common/link/steps_sovereign.h"

#define MAGIC   "countersign sovereign 1\n"
#define REQUEST "REQUEST_CLIENT_CERT"

enum {
    RANDOM_LEN = 32,
    SEED_LEN = 64,
    FRESH_LEN = RANDOM_LEN + SHARE_LEN,
    CLIENT_HELLO_LEN = 1 + FRESH_LEN,
    REQUEST_LEN = sizeof REQUEST - 1,
    CHAIN_LEN_MAX = 1 + (CHAIN_MAX + 1) * (2 + CERT_MAX / 2),
    SEED_CODE_LEN = SEED_LEN + LINK_NONCE_LEN + ORDER_SEED_LEN + HASH_LEN,
    CONFIRM_LEN = 1 + HASH_LEN,
    AUTH_LEN_MAX = 2 + SIG_MAX,
};
static_assert((int)CHAIN_LEN_MAX < (int)LINK_SHAKE_MAX, "a chain fits what a stranger may say");

#define X(id, who, stage, max, label, on_wire, what, fn, after) ROW_##id,
enum row { STEPS_SOVEREIGN(X) ROWS };
#undef X

struct sovereign {
    struct share first, second;
    uint8_t theirs[2][SHARE_LEN]; /* the first, the second */
    struct key k1;
    struct key k2;
    struct key confirm[2]; /* by enum role of who writes */
    struct key ack;
    uint8_t seed[SEED_LEN], nonce[LINK_NONCE_LEN];
    unsigned order, passed; /* which of the 24; how many of the four have passed */
};

/* --- 1, 2. ClientHello, ServerHello: random, first share --- */

static int fresh_put(struct drive *d, struct wr *out)
{
    struct sovereign *x = drive_state(d);
    uint8_t random[RANDOM_LEN];

    if (rng_fill(drive_rng(d), random, sizeof random) < 0 ||
        share_draw(&x->first, drive_rng(d)) < 0)
        return drive_fail(d, ERR_LOCAL, "no random numbers");
    wr_put(out, random, sizeof random);
    wr_put(out, x->first.open, sizeof x->first.open);
    return 0;
}

static void share_take(struct rd *in, uint8_t out[SHARE_LEN])
{
    const uint8_t *share = rd_take(in, SHARE_LEN);

    if (share != NULL)
        memcpy(out, share, SHARE_LEN);
}

static int fresh_take(struct drive *d, struct rd *in)
{
    struct sovereign *x = drive_state(d);

    rd_take(in, RANDOM_LEN); /* it is in the transcript, and so in every key */
    share_take(in, x->theirs[0]);
    return 0;
}

static int client_hello_build(struct drive *d, struct wr *out)
{
    drive_purpose_put(d, out);
    return fresh_put(d, out);
}

static int client_hello_take(struct drive *d, struct rd *in)
{
    return drive_purpose_take(d, in) < 0 ? -1 : fresh_take(d, in);
}

static void client_hello_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    (void)out;
    snprintf(text, cap, "X25519; ChaCha20-Poly1305; to %s", drive_joins(d) ? "join" : "chat");
}

static int server_hello_build(struct drive *d, struct wr *out)
{
    return fresh_put(d, out);
}

static int server_hello_take(struct drive *d, struct rd *in)
{
    return fresh_take(d, in);
}

static void server_hello_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    (void)d, (void)out;
    snprintf(text, cap, "X25519; HKDF-SHA256 over both hellos");
}

/* Behind 2: k1. Somebody in the middle could have made it with each side: it is signed in 11, 12.
 */
static int first_keys(struct drive *d)
{
    struct sovereign *x = drive_state(d);
    struct hash t;
    struct key z;
    int ret = share_agree(&z, &x->first, x->theirs[0]);

    share_wipe(&x->first);
    if (ret < 0)
        return drive_fail(d, ERR_PEER, "ServerHello: the other key is a point of low order");
    drive_hash(d, NULL, &t);
    struct drive_label client = {DRIVE_CLIENT, "confirm", &t};
    struct drive_label relay = {DRIVE_RELAY, "confirm", &t};
    if (drive_extract(d, &t, span_of(z.b, sizeof z.b), &x->k1) < 0 ||
        drive_expand(d, &x->k1, client, x->confirm[ROLE_CLIENT].b, HASH_LEN) < 0 ||
        drive_expand(d, &x->k1, relay, x->confirm[ROLE_RELAY].b, HASH_LEN) < 0 ||
        drive_keys(d, AEAD_CHACHA20_POLY1305, &x->k1, &t) < 0)
        ret = -1;
    key_wipe(&z);
    return ret;
}

/* --- 3, 5. ServerCertSend, ClientCertSend --- */

static int cert_build(struct drive *d, struct wr *out)
{
    drive_chain_put(d, out);
    return 0;
}

static int cert_take(struct drive *d, struct rd *in)
{
    return drive_chain_take(d, in);
}

static void cert_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    drive_tell_shown(d, out, text, cap);
}

/* --- 4. ClientCertRequest --- */

static int cert_request_build(struct drive *d, struct wr *out)
{
    (void)d;
    wr_put(out, REQUEST, REQUEST_LEN);
    return 0;
}

static int cert_request_take(struct drive *d, struct rd *in)
{
    const uint8_t *p = rd_take(in, REQUEST_LEN);

    if (p == NULL || !span_same(span_of(p, REQUEST_LEN), span_of(REQUEST, REQUEST_LEN)))
        return drive_fail(d, ERR_PEER, "ClientCertRequest: asks for something else");
    return 0;
}

static void cert_request_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    (void)out;
    snprintf(text, cap, "%s%s", REQUEST, drive_joins(d) ? "; who joins has none" : "");
}

/* --- 6. SeedCode: seed, nonce, order seed, fingerprint of the client's certificate --- */

/* Zeros for a client that joins: nobody else has that fingerprint either. */
static struct hash client_fp(const struct drive *d)
{
    const struct hash *fp = drive_fp(d, drive_role(d) == ROLE_CLIENT);

    return fp == NULL || drive_joins(d) ? (struct hash){{0}} : *fp;
}

static void seed_keep(struct drive *d, const uint8_t *seed, const uint8_t *nonce,
                      const uint8_t *order)
{
    struct sovereign *x = drive_state(d);
    uint8_t rows[ORDER_PLACES];

    memcpy(x->seed, seed, SEED_LEN);
    memcpy(x->nonce, nonce, LINK_NONCE_LEN);
    x->order = order_draw(order, rows);
    for (size_t i = 0; i < COUNT(rows); i++)
        rows[i] = (uint8_t)(rows[i] + ROW_KEY_EXCHANGE1);
    drive_arrange(d, ROW_KEY_EXCHANGE1, rows, COUNT(rows));
}

static int seed_code_build(struct drive *d, struct wr *out)
{
    uint8_t drawn[SEED_LEN + LINK_NONCE_LEN + ORDER_SEED_LEN];
    struct hash fp = client_fp(d);
    int ret = -1;

    if (rng_fill(drive_rng(d), drawn, sizeof drawn) < 0) {
        drive_fail(d, ERR_LOCAL, "no random numbers");
    } else if (!health_random(span_of(drawn, SEED_LEN))) {
        drive_fail(d, ERR_LOCAL, "SeedCode: our own generator repeats itself");
    } else {
        wr_put(out, drawn, sizeof drawn);
        wr_put(out, fp.b, sizeof fp.b);
        seed_keep(d, drawn, drawn + SEED_LEN, drawn + SEED_LEN + LINK_NONCE_LEN);
        ret = 0;
    }
    wipe(drawn, sizeof drawn);
    return ret;
}

static int seed_code_take(struct drive *d, struct rd *in)
{
    const uint8_t *seed = rd_take(in, SEED_LEN), *nonce = rd_take(in, LINK_NONCE_LEN);
    const uint8_t *order = rd_take(in, ORDER_SEED_LEN), *fp = rd_take(in, HASH_LEN);
    struct hash own = client_fp(d);

    if (fp == NULL)
        return drive_fail(d, ERR_PEER, "SeedCode: malformed");
    if (!span_same(span_of(fp, HASH_LEN), span_of(own.b, sizeof own.b)))
        return drive_fail(d, ERR_PEER, "SeedCode: made for another certificate");
    if (!health_random(span_of(seed, SEED_LEN)))
        return drive_fail(d, ERR_PEER, "SeedCode: it repeats itself, nobody drew that");
    if (!drive_fresh(d, nonce))
        return drive_fail(d, ERR_PEER, "SeedCode: its nonce was used before");
    seed_keep(d, seed, nonce, order);
    return 0;
}

static void seed_code_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    const struct sovereign *x = drive_seen(d);
    size_t n = (size_t)snprintf(text, cap, "order %u of %d:", x->order + 1, ORDERS);

    (void)out;
    for (unsigned i = 0; i < ORDER_PLACES && n < cap; i++)
        n += (size_t)snprintf(text + n, cap - n, " %s", drive_name(d, ROW_KEY_EXCHANGE1 + i));
}

/* --- 7, 8. KeyExchange1, KeyExchange2: second shares --- */

static int key_exchange_build(struct drive *d, struct wr *out)
{
    struct sovereign *x = drive_state(d);

    if (share_draw(&x->second, drive_rng(d)) < 0)
        return drive_fail(d, ERR_LOCAL, "no random numbers");
    wr_put(out, x->second.open, sizeof x->second.open);
    return 0;
}

static int key_exchange_take(struct drive *d, struct rd *in)
{
    struct sovereign *x = drive_state(d);

    share_take(in, x->theirs[1]);
    return 0;
}

static void key_exchange_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    (void)d, (void)out;
    snprintf(text, cap, "X25519, a second ephemeral key");
}

/* --- 9, 10. KeyConfirm1, KeyConfirm2: the order's number, MAC over all before --- */

static const struct key *confirm_key(struct drive *d)
{
    struct sovereign *x = drive_state(d);

    return &x->confirm[drive_writer(d) == DRIVE_CLIENT ? ROLE_CLIENT : ROLE_RELAY];
}

static int key_confirm_build(struct drive *d, struct wr *out)
{
    const struct sovereign *x = drive_seen(d);

    wr_u8(out, (uint8_t)x->order);
    return drive_mac_put(d, confirm_key(d), out);
}

static int key_confirm_take(struct drive *d, struct rd *in)
{
    const struct sovereign *x = drive_seen(d);

    if (rd_u8(in) != x->order)
        return drive_fail(d, ERR_PEER, "%s: another order", drive_due_name(d));
    return drive_mac_take(d, confirm_key(d), in);
}

static void key_confirm_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    (void)d, (void)out;
    snprintf(text, cap, "HMAC-SHA256 under the first key");
}

/* Behind the last of the four, whichever that is: k2, of both secrets and the seed code. */
static int second_keys(struct drive *d)
{
    struct sovereign *x = drive_state(d);
    uint8_t secrets[sizeof x->k1 + sizeof x->k2 + SEED_LEN];
    struct hash t;
    struct key z;
    int ret = -1;

    if (++x->passed < ORDER_PLACES)
        return 0;
    if (share_agree(&z, &x->second, x->theirs[1]) < 0) {
        drive_fail(d, ERR_PEER, "KeyExchange: the other key is a point of low order");
        goto out;
    }
    drive_hash(d, NULL, &t);
    memcpy(secrets, x->k1.b, sizeof x->k1);
    memcpy(secrets + sizeof x->k1, z.b, sizeof z);
    memcpy(secrets + sizeof x->k1 + sizeof z, x->seed, SEED_LEN);
    if (drive_extract(d, &t, span_of(secrets, sizeof secrets), &x->k2) < 0 ||
        drive_expand(d, &x->k2, (struct drive_label){DRIVE_RELAY, "ack", &t}, x->ack.b, HASH_LEN) <
            0 ||
        drive_keys(d, AEAD_CHACHA20_POLY1305, &x->k2, &t) < 0)
        goto out;
    ret = 0;
out:
    key_wipe(&z);
    key_wipe(&x->k1);
    share_wipe(&x->second);
    wipe(secrets, sizeof secrets);
    wipe(x->seed, sizeof x->seed);
    return ret;
}

/* --- 11, 12. ClientAuth, ServerAuth: signature over all before --- */

static int auth_build(struct drive *d, struct wr *out)
{
    return drive_sign(d, out);
}

static int auth_take(struct drive *d, struct rd *in)
{
    return drive_verify(d, in);
}

/* The relay is proven: its seed code counts as used. */
static int nonce_spend(struct drive *d)
{
    const struct sovereign *x = drive_state(d);

    drive_spend(d, x->nonce);
    return 0;
}

static void auth_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    drive_tell_proof(d, out, "", text, cap);
}

/* --- 13. SecureAck: MAC over all before --- */

static int secure_ack_build(struct drive *d, struct wr *out)
{
    struct sovereign *x = drive_state(d);

    return drive_mac_put(d, &x->ack, out);
}

static int secure_ack_take(struct drive *d, struct rd *in)
{
    struct sovereign *x = drive_state(d);

    return drive_mac_take(d, &x->ack, in);
}

static void secure_ack_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    (void)d, (void)out;
    snprintf(text, cap, "HMAC-SHA256; from here on every record has a key of its own");
}

/* --- what is left behind --- */

static int finish(struct drive *d, struct drive_result *r)
{
    const struct sovereign *x = drive_state(d);
    struct hash t;

    drive_hash(d, NULL, &t);
    struct drive_label client = {DRIVE_CLIENT, "application", &t};
    struct drive_label relay = {DRIVE_RELAY, "application", &t};
    struct drive_label login = {DRIVE_BOTH, LINK_EXPORTER_LOGIN, &t};
    r->aead = AEAD_CHACHA20_POLY1305;
    r->ratchet = true;
    if (drive_expand(d, &x->k2, client, r->secret[ROLE_CLIENT].b, HASH_LEN) < 0 ||
        drive_expand(d, &x->k2, relay, r->secret[ROLE_RELAY].b, HASH_LEN) < 0)
        return -1;
    return drive_expand(d, &x->k2, login, r->exporter.b, sizeof r->exporter.b);
}

static void info(const struct drive *d, struct link_info *out)
{
    (void)d;
    out->suite = "ChaCha20-Poly1305, a key per record";
    out->group = "X25519 twice";
}

#define X(id, who, stage, max, label, on_wire, what, fn, after)                                    \
    DRIVE_ROW(id, who, stage, max, label, on_wire, what, fn)
static const struct link_row rows[] = {STEPS_SOVEREIGN(X)};
static_assert(COUNT(rows) <= DRIVE_STEPS_MAX, "the driver has a place for every step");
#undef X

#define X(id, who, stage, max, label, on_wire, what, fn, after)                                    \
    {stage, max, fn##_build, fn##_take, after, fn##_tell},
static const struct drive_step steps[] = {STEPS_SOVEREIGN(X)};
#undef X

static const struct drive_proto sovereign = {
    .version = "sovereign 1",
    .magic = MAGIC,
    .steps = steps,
    .state_size = sizeof(struct sovereign),
    .finish = finish,
    .info = info,
};

const struct link_proto link_proto_sovereign = {
    .rows = rows,
    .rows_n = COUNT(rows),
    .first = {MAGIC, sizeof MAGIC - 1},
    .drive = &sovereign,
    DRIVEN,
};
