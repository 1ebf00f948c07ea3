/* The connection: records in, mbedTLS, records out. One record at a time is shown to mbedTLS, so
 * that it is known which one a message, a failure or an alert came in. */
#include "common/crypto/tls.h"

#include <errno.h>
#include <mbedtls/error.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/blinding.h"
#include "common/crypto/tls_priv.h"

/* What sealing adds at most: head, content type, padding to 16, tag. */
enum {
    RECORD_PLAIN = 16000,
    RECORD_EXTRA = RECORD_HEAD + 1 + 16 + AEAD_TAG_LEN,
    OUT_SPARE = 65536
};

static const char *peer_name(const struct tls *t)
{
    return t->conf->relay ? "client" : "relay";
}

uint64_t tls_now(const struct tls *t)
{
    return t->conf->mono_us(t->conf->clock_ctx) - t->born_us;
}

int tls_fail(struct tls *t, enum err_code code, const char *fmt, ...)
{
    char text[sizeof t->err.text];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    t->failed = true;
    return err_set(&t->err, code, "%s", text);
}

/* Gives up on our own account: with this alert, if the peer can still be told. */
static int give_up(struct tls *t, unsigned alert, enum err_code code, const char *why)
{
    tls_fail(t, code, "%s", why);
    if (!t->over && alert_send(t, alert, alert_secret(t)) < 0)
        return -1; /* the reason noted first stands */
    if (t->over)
        (void)mbedtls_ssl_send_alert_message(&t->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                             (unsigned char)alert);
    return -1;
}

/* --- what mbedTLS calls --- */

static int bio_send(void *ctx, const unsigned char *p, size_t n)
{
    struct tls *t = ctx;
    struct span left = span_of(p, n);

    while (!t->over && left.n >= RECORD_HEAD) {
        size_t len = RECORD_HEAD + (size_t)(left.p[3] << 8 | left.p[4]);

        if (len > left.n)
            break;
        tap_record(t, true, span_of(left.p, len));
        left = span_of(left.p + len, left.n - len);
    }
    if (buf_add(&t->out, p, n) < 0) {
        tls_fail(t, ERR_LIMIT, "the %s reads too slowly", peer_name(t));
        return MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
    }
    return (int)n;
}

static int bio_recv(void *ctx, unsigned char *p, size_t n)
{
    struct tls *t = ctx;
    size_t left = t->rec.len - t->rec_read;

    if (left == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    if (n > left)
        n = left;
    memcpy(p, buf_span(&t->rec).p + t->rec_read, n);
    t->rec_read += n;
    return (int)n;
}

static void take_secret(void *ctx, mbedtls_ssl_key_export_type type, const unsigned char *secret,
                        size_t n, const unsigned char *client_random,
                        const unsigned char *server_random, mbedtls_tls_prf_types prf)
{
    static const struct {
        mbedtls_ssl_key_export_type type;
        enum secret_id id;
    } map[] = {
        {MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_HANDSHAKE_TRAFFIC_SECRET, CLIENT_HANDSHAKE},
        {MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_HANDSHAKE_TRAFFIC_SECRET, SERVER_HANDSHAKE},
        {MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_APPLICATION_TRAFFIC_SECRET, CLIENT_DATA},
        {MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_APPLICATION_TRAFFIC_SECRET, SERVER_DATA},
    };
    struct tls *t = ctx;

    (void)client_random, (void)server_random, (void)prf;
    t->secrets_seen = true;
    for (size_t i = 0; i < COUNT(map); i++) {
        if (map[i].type == type && n <= sizeof t->secrets[0].b) {
            memcpy(t->secrets[map[i].id].b, secret, n);
            t->secrets[map[i].id].n = n;
        }
    }
}

/* --- birth and death --- */

static int ssl_start(struct tls *t, struct err *e)
{
    struct tls_conf *c = t->conf;
    const char *name = c->addressed ? NULL : c->peer.host;
    int r = mbedtls_ssl_setup(&t->ssl, &c->ssl);

    if (r == 0 && !c->relay)
        r = mbedtls_ssl_set_hostname(&t->ssl, name);
    if (r != 0)
        return err_set(e, ERR_LOCAL, "no memory for a TLS connection");
    mbedtls_ssl_set_user_data_p(&t->ssl, t);
    mbedtls_ssl_set_verify(&t->ssl, tls_verify_cb, t);
    mbedtls_ssl_set_export_keys_cb(&t->ssl, take_secret, t);
    mbedtls_ssl_set_bio(&t->ssl, t, bio_send, bio_recv, NULL);
    return 0;
}

static int handshake_run(struct tls *t);

struct tls *tls_new(struct tls_conf *c, struct err *e)
{
    struct tls *t = calloc(1, sizeof *t);

    if (t == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a TLS connection");
        return NULL;
    }
    atomic_fetch_add(&c->refs, 1);
    t->conf = c;
    t->alert = ALERT_NONE;
    t->born_us = c->mono_us(c->clock_ctx);
    buf_init(&t->rec, RECORD_HEAD + RECORD_MAX);
    buf_init(&t->out, LINK_OUT_MAX + OUT_SPARE);
    buf_init(&t->plain, LINK_IN_MAX);
    buf_init(&t->taps[0].msgs, LINK_EARLY_MAX);
    buf_init(&t->taps[1].msgs, LINK_EARLY_MAX);
    mbedtls_ssl_init(&t->ssl);
    if (ssl_start(t, e) < 0 || (!c->relay && handshake_run(t) < 0)) {
        err_set(e, ERR_LOCAL, "%s", t->err.text);
        tls_free(t);
        return NULL;
    }
    return t;
}

static void secrets_forget(struct tls *t, bool all)
{
    wipe(t->secrets, (all ? SECRETS : CLIENT_DATA) * sizeof t->secrets[0]);
}

void tls_free(struct tls *t)
{
    if (t == NULL)
        return;
    secrets_forget(t, true);
    if (!t->released)
        mbedtls_ssl_free(&t->ssl);
    buf_free(&t->rec);
    buf_free(&t->out);
    buf_free(&t->plain);
    buf_free(&t->taps[0].msgs);
    buf_free(&t->taps[1].msgs);
    free(t->peer_der);
    tls_conf_free(t->conf);
    wipe(t, sizeof *t);
    free(t);
}

/* --- the handshake --- */

/* The peer's alert ended it: its number is the reason. */
static int alerted(struct tls *t, unsigned alert)
{
    if (alert == ALERT_CLOSE_NOTIFY)
        return tls_fail(t, ERR_PEER, "the %s closed before the handshake was done", peer_name(t));
    t->failed = true;
    t->refused = tls_alert_word(alert);
    t->refused_by_peer = t->refused != NULL;
    return tls_alert_told(&t->err, peer_name(t), alert);
}

static int mbed_failed(struct tls *t, int r, unsigned alert)
{
    char text[96];

    if (alert != ALERT_NONE)
        return tls_fail(t, ERR_PEER, "handshake with the %s failed: %s", peer_name(t),
                        tls_alert_text(alert));
    mbedtls_strerror(r, text, sizeof text);
    return tls_fail(t, ERR_PEER, "handshake with the %s failed: %s", peer_name(t), text);
}

/* Says `alert` in place of what mbedTLS may have said behind out_before, unless that is readable.
 */
static void alert_instead(struct tls *t, unsigned alert, size_t out_before)
{
    const struct traffic *secret = alert_secret(t);
    bool said = t->taps[true].alert != ALERT_NONE;

    if (secret == NULL && (t->secrets_seen || (said && t->alert == ALERT_NONE)))
        return;
    buf_cut(&t->out, out_before);
    (void)!alert_send(t, alert, secret); /* without room the peer learns it from the end */
}

/* What mbedTLS could not even read, so that tls_verify_cb never saw it. */
static enum cert_fault certificate_unread(const struct tls *t, unsigned alert)
{
    if (tap_certificate_long(t))
        return CERT_TOO_BIG;
    if (alert == ALERT_ACCESS_DENIED)
        return CERT_CHAIN_LONG; /* more than mbedTLS looks at */
    return alert == cert_fault_alert(CERT_MALFORMED) ? CERT_MALFORMED : CERT_OK;
}

static unsigned certificate_refuse(struct tls *t, unsigned alert)
{
    enum cert_fault why = t->refused == NULL ? certificate_unread(t, alert) : CERT_OK;

    if (why == CERT_OK)
        return alert;
    t->refused = cert_fault_word(why);
    tls_fail(t, ERR_AUTH, "the %s's certificate is refused: %s", peer_name(t),
             cert_fault_text(why));
    return cert_fault_alert(why);
}

/* A step of mbedTLS failed. */
static int handshake_failed(struct tls *t, int r, size_t out_before)
{
    bool told = r == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE || r == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;
    unsigned alert = t->alert;

    if (told && t->taps[false].alert != ALERT_NONE)
        return alerted(t, t->taps[false].alert);
    if (r == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE) {
        alert = ALERT_CERTIFICATE_REQUIRED;
        t->refused = cert_fault_word(CERT_NONE);
        tls_fail(t, ERR_AUTH, "the client sent no certificate");
    }
    if (alert == ALERT_NONE)
        alert = t->taps[true].alert; /* what mbedTLS wanted to say */
    alert = certificate_refuse(t, alert);
    mbed_failed(t, r, alert);
    alert_instead(t, alert == ALERT_NONE ? ALERT_HANDSHAKE_FAILURE : alert, out_before);
    return -1;
}

/* What the handshake must have brought before we go on; the client has named nobody yet when it
 * looks at the relay's messages. */
static int handshake_inspect(struct tls *t, enum tls_msg last)
{
    const struct tls_alpn *a = tls_alpn_agreed(t);

    if (t->conf->relay)
        return 0;
    if (last == TLS_ENCRYPTED_EXTENSIONS && a == NULL)
        return give_up(t, ALERT_NO_ALPN, ERR_PEER,
                       "the relay speaks no application protocol of ours");
    if (last == TLS_SERVER_FINISHED && (a == NULL || a->mutual != t->asked))
        return give_up(t, ALERT_UNEXPECTED, ERR_PEER,
                       t->asked ? "the relay asks for a certificate where none is due"
                                : "the relay does not ask who we are");
    return 0;
}

/* mbedTLS says it is done: believe it only with everything in place (records.md trap 1, 4). */
static int handshake_over(struct tls *t)
{
    const struct tls_alpn *a = tls_alpn_agreed(t);

    t->over = true;
    if (a == NULL || mbedtls_ssl_get_version_number(&t->ssl) != MBEDTLS_SSL_VERSION_TLS1_3 ||
        (!t->checked && (!t->conf->relay || a->mutual)))
        return give_up(t, ALERT_HANDSHAKE_FAILURE, ERR_LOCAL, "the handshake ended without proof");
    if (mbedtls_ssl_check_pending(&t->ssl) != 0 || t->taps[false].msgs.len > 0)
        return give_up(t, ALERT_UNEXPECTED, ERR_PEER, "bytes behind Finished in its record");
    secrets_forget(t, false);
    buf_free(&t->taps[0].msgs);
    buf_free(&t->taps[1].msgs);
    t->proven = t->conf->relay;
    return 0;
}

/* One state of mbedTLS. 0: done, 1: it waits for a record, -1: failed. */
static int handshake_step(struct tls *t)
{
    int state = t->ssl.MBEDTLS_PRIVATE(state); /* there is no getter */
    size_t out_before = t->out.len, facts = t->facts_n;
    uint64_t at = tls_now(t);
    errno = 0;
    int r = mbedtls_ssl_handshake_step(&t->ssl);

    if (r == MBEDTLS_ERR_SSL_WANT_READ)
        return 1;
    if (r != 0)
        blinding_forget_pk(&t->conf->key);
    if (r != 0 && errno == ENOMEM) /* mbedTLS calls that a bad signature, or whatever it was at */
        return give_up(t, ALERT_INTERNAL, ERR_LOCAL, "no memory for the handshake");
    if (r != 0)
        return handshake_failed(t, r, out_before);
    if (state >= 0 && state < MBEDTLS_SSL_HANDSHAKE_OVER) {
        t->times[state].at = at;
        t->times[state].took = tls_now(t) - at;
        tap_accept(t, state);
    }
    return t->facts_n > facts ? handshake_inspect(t, t->facts[t->facts_n - 1].msg) : 0;
}

static int handshake_run(struct tls *t)
{
    int r = 0;

    while (r == 0 && !mbedtls_ssl_is_handshake_over(&t->ssl))
        r = handshake_step(t);
    if (r == 0)
        r = handshake_over(t);
    return r < 0 ? -1 : 0;
}

/* --- after the handshake --- */

static int data_failed(struct tls *t, int r)
{
    unsigned alert;

    if (r == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
        t->closed = true;
        return t->proven ? 0 : tls_fail(t, ERR_PEER, "the relay closed before it let us in");
    }
    if (r == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET && ++t->tickets <= LINK_TICKETS_MAX)
        return 0;
    if (r == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE &&
        (alert = tap_data_alert(t, buf_span(&t->rec))) != ALERT_NONE)
        return alerted(t, alert);
    if (r == MBEDTLS_ERR_SSL_INVALID_MAC)
        return tls_fail(t, ERR_PEER, "a record was damaged or forged on the way");
    return mbed_failed(t, r, ALERT_NONE);
}

static void fact_first(struct tls *t, bool out, size_t bytes, uint64_t at)
{
    if (t->facts_n < FACTS_MAX)
        t->facts[t->facts_n++] = (struct tls_fact){TLS_FIRST_DATA, out, bytes, at, tls_now(t) - at};
}

static int data_run(struct tls *t)
{
    uint64_t at = tls_now(t);

    for (;;) {
        size_t before = t->plain.len;
        uint8_t *to = buf_room(&t->plain, RECORD_PLAIN_MAX);

        if (to == NULL)
            return give_up(t, ALERT_OVERFLOW, ERR_LIMIT, "more came than was taken");
        int r = mbedtls_ssl_read(&t->ssl, to, RECORD_PLAIN_MAX);
        buf_cut(&t->plain, before + (r > 0 ? (size_t)r : 0));
        if (r == MBEDTLS_ERR_SSL_WANT_READ)
            return 0;
        if (r < 0 && data_failed(t, r) < 0)
            return -1;
        if (t->closed || r == 0)
            return 0;
        if (r > 0 && !t->proven) {
            t->proven = true;
            fact_first(t, false, t->rec.len, at);
        }
    }
}

/* --- records in --- */

/* Appends to the record what it still lacks; returns how many bytes of in went there. */
static size_t record_fill(struct tls *t, const uint8_t *in, size_t n)
{
    const uint8_t *h = buf_span(&t->rec).p;
    size_t want = RECORD_HEAD;

    if (t->rec.len >= RECORD_HEAD)
        want += (size_t)(h[3] << 8 | h[4]);
    want -= t->rec.len;
    if (want > n)
        want = n;
    if (buf_add(&t->rec, in, want) == 0)
        return want;
    tls_fail(t, ERR_LOCAL, "no memory");
    return n; /* what is left has nobody to go to */
}

/* The head is looked at as soon as it is there. 1: the record is whole, 0: not yet. */
static int record_ready(struct tls *t)
{
    struct span s = buf_span(&t->rec);

    if (s.n < RECORD_HEAD)
        return 0;
    if (s.p[0] < RECORD_CCS || s.p[0] > RECORD_DATA || s.p[1] != 3)
        return give_up(t, ALERT_UNEXPECTED, ERR_PEER, "what came is not TLS");
    size_t n = (size_t)(s.p[3] << 8 | s.p[4]);
    if (n > RECORD_MAX)
        return give_up(t, ALERT_OVERFLOW, ERR_PEER, "a record is longer than TLS allows");
    return s.n == RECORD_HEAD + n;
}

static int record_run(struct tls *t)
{
    if (t->over && buf_span(&t->rec).p[0] != RECORD_DATA)
        return give_up(t, ALERT_UNEXPECTED, ERR_PEER, "an unsealed record behind the handshake");
    tap_record(t, false, buf_span(&t->rec));
    t->rec_read = 0;
    bool shaking = !t->over;
    int r = shaking ? handshake_run(t) : data_run(t);
    if (r == 0 && shaking && t->taps[false].alert != ALERT_NONE)
        r = alerted(t, t->taps[false].alert); /* mbedTLS reads over warnings (RFC 8446 6.2) */
    buf_drop(&t->rec, t->rec.len);
    t->rec_read = 0;
    return r;
}

/* Takes bytes up to the end of one record; how many. */
static size_t feed_some(struct tls *t, const uint8_t *in, size_t n)
{
    size_t k = record_fill(t, in, n);
    int ready = record_ready(t);

    if (ready < 0)
        return k;
    if (!t->proven && (t->early += k) > LINK_EARLY_MAX)
        give_up(t, ALERT_OVERFLOW, ERR_LIMIT, "too many bytes before any proof");
    else if (ready > 0)
        (void)!record_run(t); /* -1 is in failed */
    return k;
}

int tls_feed(struct tls *t, const uint8_t *in, size_t n)
{
    for (size_t k = 0; k < n && !t->failed && !t->closed;)
        k += feed_some(t, in + k, n - k);
    return t->failed ? -1 : 0;
}

int tls_shake(struct tls *t, const uint8_t *in, size_t n, size_t *used)
{
    for (*used = 0; *used < n && !t->failed && !t->closed && !t->over;)
        *used += feed_some(t, in + *used, n - *used);
    return t->failed ? -1 : 0;
}

int tls_eof(struct tls *t)
{
    if (t->failed)
        return -1;
    if (t->closed || t->closing)
        return 0;
    return tls_fail(t, ERR_IO, "cut: the %s's stream ended without a close", peer_name(t));
}

/* --- what the user of the connection does --- */

struct span tls_out(const struct tls *t)
{
    return buf_span(&t->out);
}

void tls_sent(struct tls *t, size_t n)
{
    buf_drop(&t->out, n);
}

int tls_send(struct tls *t, const uint8_t *p, size_t n)
{
    if (t->failed)
        return -1;
    if (!t->over || !t->proven || t->closing || t->closed)
        return tls_fail(t, ERR_LOCAL, "nothing can be sent in this state");
    if (n > LINK_OUT_MAX || t->out.len + n + (n / RECORD_PLAIN + 1) * RECORD_EXTRA > LINK_OUT_MAX)
        return tls_fail(t, ERR_LIMIT, "the %s reads too slowly", peer_name(t));
    size_t before = t->out.len;
    uint64_t at = tls_now(t);
    while (n > 0) {
        int r = mbedtls_ssl_write(&t->ssl, p, n < RECORD_PLAIN ? n : RECORD_PLAIN);

        if (r <= 0)
            return mbed_failed(t, r, ALERT_NONE);
        p += r;
        n -= (size_t)r;
        if (t->conf->relay && !t->spoken)
            fact_first(t, true, t->out.len - before, at);
        t->spoken = true;
    }
    return 0;
}

struct span tls_take(struct tls *t)
{
    buf_drop(&t->plain, t->taken.n);
    t->taken = buf_span(&t->plain);
    return t->taken;
}

bool tls_fact(struct tls *t, struct tls_fact *f)
{
    if (t->fact_at == t->facts_n)
        return false;
    *f = t->facts[t->fact_at++];
    return true;
}

void tls_close(struct tls *t)
{
    if (t->failed || t->closing)
        return;
    t->closing = true;
    if (t->over)
        (void)mbedtls_ssl_close_notify(&t->ssl);
    else if (alert_send(t, ALERT_CLOSE_NOTIFY, alert_secret(t)) < 0)
        tls_fail(t, ERR_LIMIT, "the %s reads too slowly", peer_name(t));
}

bool tls_open(const struct tls *t)
{
    return t->over && !t->failed;
}

bool tls_closed(const struct tls *t)
{
    return t->closed;
}

const struct err *tls_error(const struct tls *t)
{
    return &t->err;
}

static const char *group_name(uint16_t group)
{
    switch (group) {
    case 0: return NULL;
    case MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1: return "secp256r1";
    case MBEDTLS_SSL_IANA_TLS_GROUP_X25519: return "x25519";
    default: return "another group";
    }
}

static const char *suite_name(uint16_t suite)
{
    switch (suite) {
    case 0: return NULL;
    case MBEDTLS_TLS1_3_AES_256_GCM_SHA384: return "TLS_AES_256_GCM_SHA384";
    case MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256: return "TLS_CHACHA20_POLY1305_SHA256";
    default: return "another suite";
    }
}

/* Only two schemes are offered and accepted (tls_conf.c): the kind of key says which it was. */
static const char *scheme_name(bool rsa)
{
    return rsa ? "rsa_pss_rsae_sha256" : "ecdsa_secp256r1_sha256";
}

void tls_info(const struct tls *t, struct tls_info *out)
{
    const struct tls_conf *c = t->conf;
    bool own = c->relay || (t->asked && c->chain.raw.p != NULL);

    memset(out, 0, sizeof *out);
    out->version = t->secrets_seen ? "TLS 1.3" : NULL;
    out->suite = suite_name(t->suite);
    out->group = group_name(t->group);
    out->alpn = t->alpn != NULL ? t->alpn : mbedtls_ssl_get_alpn_protocol(&t->ssl);
    out->signature = t->peer_n > 0 ? scheme_name(t->peer_rsa) : NULL;
    out->own_signature = own ? scheme_name(mbedtls_pk_can_do(&c->key, MBEDTLS_PK_RSA)) : NULL;
    if (own)
        out->own = span_of(c->chain.raw.p, c->chain.raw.len);
    memcpy(out->peer, t->peer, sizeof out->peer);
    out->peer_n = t->peer_n;
    out->peer_fp = t->peer_fp;
    out->proven = t->peer_signed;
    out->refused = t->refused;
    out->refused_by_peer = t->refused_by_peer;
}

int tls_exporter(const struct tls *t, const char *label, struct key *out)
{
    /* mbedTLS only reads, but has no const in this prototype */
    mbedtls_ssl_context *ssl = (mbedtls_ssl_context *)(uintptr_t)&t->ssl;

    if (!tls_open(t) || !t->proven || t->released)
        return -1;
    return mbedtls_ssl_export_keying_material(ssl, out->b, sizeof out->b, label, strlen(label),
                                              NULL, 0, 0) == 0
               ? 0
               : -1;
}
