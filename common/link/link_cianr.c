/* The link `cianr`, after seed 002: certificates first, a Diffie-Hellman for the credentials and
 * one for the session, AES-128-CBC with HMAC-SHA256 (docs/protocol.md 10.3). */
#include <stdio.h>
#include <string.h>

#include "common/crypto/dh.h"
#include "common/link/drive.h"
#include "common/link/form.h"
#include "common/link/steps_cianr.h"

#define MAGIC "countersign cianr 1\n"

enum {
    RANDOM_LEN = 32,
    FIELD_HEAD = 2, /* the length before a signature */
    CIANR_DH_MAX = 512,
    CIANR_SIG_MAX = 1024,
    /* What a stranger may say in clear, shared by hello and dh_client. */
    CIANR_HELLO_MAX = LINK_SHAKE_MAX - CIANR_DH_MAX - 2 * CIANR_SIG_MAX,
    CIANR_CHAIN_MAX = CIANR_HELLO_MAX / 4 * 3,
};

struct cianr {
    struct dh ours; /* of the exchange that is under way */
    uint8_t theirs[DH_LEN];
    struct key first, session;
    struct hash named; /* the transcript that ends with the relay's first signature */
};

/* --- members that several messages have --- */

static int malformed(struct drive *d, const char *what)
{
    return drive_fail(d, ERR_PEER, "%s: malformed", what);
}

static void chain_put(struct drive *d, struct wr *out)
{
    uint8_t der[CIANR_CHAIN_MAX];
    struct wr w = wr_of(der, sizeof der);

    drive_chain_put(d, &w);
    form_put_b64(out, wr_span(&w));
    out->bad = out->bad || w.bad;
}

static int chain_take(struct drive *d, struct rd *in, const char *what)
{
    uint8_t der[CIANR_CHAIN_MAX];
    size_t n = form_take_b64(in, der, sizeof der);
    struct rd chain = rd_of(span_of(der, n));

    if (in->bad)
        return malformed(d, what);
    if (drive_chain_take(d, &chain) < 0)
        return -1;
    return rd_done(&chain) ? 0 : malformed(d, what);
}

/* ..."nonce":"..."}, the end of both hellos. It is in the transcript, and so in every key. */
static int nonce_put(struct drive *d, struct wr *out)
{
    uint8_t random[RANDOM_LEN];

    if (rng_fill(drive_rng(d), random, sizeof random) < 0)
        return drive_fail(d, ERR_LOCAL, "no random numbers");
    form_put(out, "\",\"nonce\":\"");
    form_put_b64(out, span_of(random, sizeof random));
    form_put(out, "\"}");
    return 0;
}

static int nonce_take(struct drive *d, struct rd *in, const char *what)
{
    uint8_t random[RANDOM_LEN];

    form_take(in, "\",\"nonce\":\"");
    size_t n = form_take_b64(in, random, sizeof random);
    form_take(in, "\"}");
    return in->bad || n != sizeof random ? malformed(d, what) : 0;
}

/* {"type":"...","A":"..." : a new key for this exchange. */
static int open_put(struct drive *d, const char *head, struct wr *out)
{
    struct cianr *x = drive_state(d);

    if (dh_draw(&x->ours, drive_rng(d)) < 0)
        return drive_fail(d, ERR_LOCAL, "no random numbers");
    form_put(out, head);
    form_put_b64(out, span_of(x->ours.open, sizeof x->ours.open));
    return 0;
}

static int open_take(struct drive *d, const char *head, struct rd *in)
{
    struct cianr *x = drive_state(d);

    form_take(in, head);
    if (form_take_b64(in, x->theirs, sizeof x->theirs) != sizeof x->theirs)
        return malformed(d, "Diffie-Hellman");
    if (!dh_public(x->theirs))
        return drive_fail(d, ERR_PEER, "Diffie-Hellman: the other value is not from 2 to p - 2");
    return 0;
}

/* ..."sig":"..."}, over the frame up to the first quote of it. */
static int sig_put(struct drive *d, struct wr *out)
{
    uint8_t field[FIELD_HEAD + SIG_MAX];
    struct wr w = wr_of(field, sizeof field);

    form_put(out, "\"sig\":\"");
    if (drive_sign_over(d, wr_span(out), &w) < 0)
        return -1;
    form_put_b64(out, wr_span(&w));
    form_put(out, "\"}");
    return 0;
}

static int sig_take(struct drive *d, struct rd *in)
{
    uint8_t field[FIELD_HEAD + SIG_MAX];

    form_take(in, "\"sig\":\"");
    struct span here = drive_before(d, in);
    size_t n = form_take_b64(in, field, sizeof field);
    form_take(in, "\"}");
    if (in->bad)
        return malformed(d, "signature");
    struct rd sig = rd_of(span_of(field, n));
    if (drive_verify_over(d, here, &sig) < 0)
        return -1;
    return rd_done(&sig) ? 0 : malformed(d, "signature");
}

/* --- 1. hello --- */

/* By what the client comes for; the document has no such member: it asks at register or login. */
static const char *const hellos[] = {
    "{\"type\":\"hello\",\"purpose\":\"chat\",\"client_cert\":\"",
    "{\"type\":\"hello\",\"purpose\":\"join\",\"client_cert\":\"",
};

static int hello_build(struct drive *d, struct wr *out)
{
    form_put(out, hellos[drive_joins(d)]);
    chain_put(d, out);
    return nonce_put(d, out);
}

static int hello_take(struct drive *d, struct rd *in)
{
    uint8_t purpose = (uint8_t)form_take_one(in, hellos, COUNT(hellos));
    struct rd field = rd_of(span_of(&purpose, 1));

    if (in->bad)
        return malformed(d, "hello");
    if (drive_purpose_take(d, &field) < 0 || chain_take(d, in, "hello") < 0)
        return -1;
    return nonce_take(d, in, "hello");
}

static void hello_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    drive_tell_shown(d, out, text, cap);
}

/* --- 2. server_hello --- */

static const char server_hello[] = "{\"type\":\"server_hello\",\"server_cert\":\"";

static int server_hello_build(struct drive *d, struct wr *out)
{
    form_put(out, server_hello);
    chain_put(d, out);
    return nonce_put(d, out);
}

static int server_hello_take(struct drive *d, struct rd *in)
{
    form_take(in, server_hello);
    return chain_take(d, in, "server_hello") < 0 ? -1 : nonce_take(d, in, "server_hello");
}

static void server_hello_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    drive_tell_shown(d, out, text, cap);
}

/* --- 3. dh_client, and 7 --- */

static const char dh_client[] = "{\"type\":\"dh_client\",\"A\":\"";

static int dh_client_build(struct drive *d, struct wr *out)
{
    if (open_put(d, dh_client, out) < 0)
        return -1;
    form_put(out, "\"}");
    return 0;
}

static int dh_client_take(struct drive *d, struct rd *in)
{
    if (open_take(d, dh_client, in) < 0)
        return -1;
    form_take(in, "\"}");
    return in->bad ? malformed(d, "dh_client") : 0;
}

static void dh_client_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    (void)d, (void)out;
    snprintf(text, cap, "RFC 3526 group 14, 2048 bits");
}

/* --- 4. dh_server, signed: the client says nothing secret before it has seen that --- */

static const char dh_server[] = "{\"type\":\"dh_server\",\"B\":\"";

static int dh_server_build(struct drive *d, struct wr *out)
{
    if (open_put(d, dh_server, out) < 0)
        return -1;
    form_put(out, "\",");
    return sig_put(d, out);
}

static int dh_server_take(struct drive *d, struct rd *in)
{
    if (open_take(d, dh_server, in) < 0)
        return -1;
    form_take(in, "\",");
    return sig_take(d, in);
}

static void dh_server_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    drive_tell_proof(d, out, "group 14; ", text, cap);
}

/* --- 5. temporary key --- */

/* What both computed, in the same order of steps for either exchange. */
static int agree(struct drive *d, uint8_t out[DH_LEN])
{
    struct cianr *x = drive_state(d);
    int ret = dh_agree(out, &x->ours, x->theirs);

    dh_wipe(&x->ours);
    return ret < 0 ? drive_fail(d, ERR_LOCAL, "Diffie-Hellman could not be computed") : 0;
}

static int temporary_key_work(struct drive *d)
{
    struct cianr *x = drive_state(d);
    uint8_t secret[DH_LEN];
    int ret = -1;

    drive_hash(d, NULL, &x->named);
    if (agree(d, secret) == 0 &&
        drive_extract(d, &x->named, span_of(secret, sizeof secret), &x->first) == 0)
        ret = drive_keys(d, AEAD_AES_256_GCM, &x->first, &x->named);
    wipe(secret, sizeof secret);
    return ret;
}

static void temporary_key_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    (void)d, (void)out;
    snprintf(text, cap, "HKDF-SHA256 over both certificates, nonces and keys");
}

/* --- 6. register or login: who the client is; what it knows it tells above (docs/links.md) --- */

static const char *const credentials[] = {"{\"type\":\"login\",", "{\"type\":\"register\","};

static const char email_head[] = "\"email\":\"", sig_head[] = "\"sig\":\"";

static int credentials_build(struct drive *d, struct wr *out)
{
    const char *email = drive_email(d);

    form_put(out, credentials[drive_joins(d)]);
    if (email != NULL) { /* of bytes that JSON takes as they are */
        form_put(out, email_head);
        form_put(out, email);
        form_put(out, "\",");
    }
    return sig_put(d, out);
}

/* Where who joins can be reached: the document's one other member that tells more than a name. */
static int email_take(struct drive *d, struct rd *in)
{
    static const char *const next[] = {email_head, sig_head};
    struct rd ahead = *in;

    if (!drive_joins(d) || form_take_one(&ahead, next, COUNT(next)) != 0)
        return 0;
    form_take(in, email_head);
    struct str email = form_take_text(in);
    form_take(in, "\",");
    return in->bad ? malformed(d, "register") : drive_email_keep(d, email);
}

static int credentials_take(struct drive *d, struct rd *in)
{
    form_take(in, credentials[drive_joins(d)]);
    return email_take(d, in) < 0 ? -1 : sig_take(d, in);
}

static void credentials_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    drive_tell_proof(d, out, drive_joins(d) ? "register; " : "login; ", text, cap);
}

/* --- 7 and 8. session dh_client, session dh_server --- */

#define session_client_build dh_client_build
#define session_client_take  dh_client_take
#define session_client_tell  dh_client_tell

static int session_server_build(struct drive *d, struct wr *out)
{
    if (open_put(d, dh_server, out) < 0)
        return -1;
    form_put(out, "\"}");
    return 0;
}

static int session_server_take(struct drive *d, struct rd *in)
{
    if (open_take(d, dh_server, in) < 0)
        return -1;
    form_take(in, "\"}");
    return in->bad ? malformed(d, "dh_server") : 0;
}

#define session_server_tell dh_client_tell

/* --- 9. session key: of both secrets --- */

static int session_key_work(struct drive *d)
{
    struct cianr *x = drive_state(d);
    uint8_t both[sizeof x->first + DH_LEN];
    struct hash t;
    int ret = -1;

    drive_hash(d, NULL, &t);
    memcpy(both, x->first.b, sizeof x->first);
    if (agree(d, both + sizeof x->first) == 0 &&
        drive_extract(d, &t, span_of(both, sizeof both), &x->session) == 0)
        ret = drive_keys(d, AEAD_AES_256_GCM, &x->session, &t);
    wipe(both, sizeof both);
    return ret;
}

static void session_key_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    (void)d, (void)out;
    snprintf(text, cap, "AES-128-CBC, HMAC-SHA256; HKDF-SHA256 over both secrets");
}

/* --- 10 and 11. finished: each signs everything --- */

static const char finished[] = "{\"type\":\"finished\",";

static int finished_build(struct drive *d, struct wr *out)
{
    form_put(out, finished);
    return sig_put(d, out);
}

static int finished_take(struct drive *d, struct rd *in)
{
    form_take(in, finished);
    return sig_take(d, in);
}

static void finished_tell(const struct drive *d, bool out, char *text, size_t cap)
{
    drive_tell_proof(d, out, "", text, cap);
}

/* --- what is left behind --- */

static int finish(struct drive *d, struct drive_result *r)
{
    const struct cianr *x = drive_state(d);
    struct hash t;

    drive_hash(d, NULL, &t);
    struct drive_label client = {DRIVE_CLIENT, "application", &t};
    struct drive_label relay = {DRIVE_RELAY, "application", &t};
    struct drive_label login = {DRIVE_BOTH, LINK_EXPORTER_LOGIN, &x->named};
    if (drive_expand(d, &x->session, client, r->secret[ROLE_CLIENT].b, HASH_LEN) < 0 ||
        drive_expand(d, &x->session, relay, r->secret[ROLE_RELAY].b, HASH_LEN) < 0)
        return -1;
    return drive_expand(d, &x->first, login, r->exporter.b, sizeof r->exporter.b);
}

static void info(const struct drive *d, struct link_info *out)
{
    (void)d;
    out->suite = "AES-128-CBC, HMAC-SHA256";
    out->group = "RFC 3526 group 14";
}

static const struct link_row rows[] = {STEPS_CIANR(DRIVE_ROW, DRIVE_ROW_LOCAL)};
static_assert(COUNT(rows) <= DRIVE_STEPS_MAX, "the driver has a place for every step");
static const struct drive_step steps[] = {STEPS_CIANR(DRIVE_STEP, DRIVE_STEP_LOCAL)};

static const struct drive_proto cianr = {
    .version = "cianr 1",
    .magic = MAGIC,
    .steps = steps,
    .state_size = sizeof(struct cianr),
    .email = true,
    .cbc = true,
    .bad_cert = "{\"type\":\"error\",\"error_type\":\"bad-cert\"}",
    .refused = "{\"type\":\"error\",\"error_type\":\"refused\"}",
    .finish = finish,
    .info = info,
};

const struct link_proto link_proto_cianr = {
    .rows = rows,
    .rows_n = COUNT(rows),
    .first = {MAGIC, sizeof MAGIC - 1},
    .drive = &cianr,
    DRIVEN,
};
