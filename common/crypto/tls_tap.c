/* What really went over the wire: handshake messages read off the records as they pass, with the
 * exported handshake secrets. Nothing here decides anything; mbedTLS does. Without it a display
 * would have to believe the names of mbedTLS's states, which it passes through whether or not
 * something happened in them. */
#include <string.h>

#include "common/crypto/tls_priv.h"

enum {
    HS_CLIENT_HELLO = 1,
    HS_SERVER_HELLO = 2,
    HS_ENCRYPTED_EXTENSIONS = 8,
    HS_CERTIFICATE = 11,
    HS_CERTIFICATE_REQUEST = 13,
    HS_CERTIFICATE_VERIFY = 15,
    HS_FINISHED = 20,
    EXT_KEY_SHARE = 51,
    RANDOM_LEN = 32,
};

/* The random that makes a ServerHello a HelloRetryRequest (RFC 8446 4.1.3). */
static const uint8_t retry_random[RANDOM_LEN] = {
    0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
    0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
};

/* Which state of mbedTLS reads or writes which message. */
static const struct {
    int state;
    enum tls_msg msg;
} states[] = {
    {MBEDTLS_SSL_CLIENT_HELLO, TLS_CLIENT_HELLO},
    {MBEDTLS_SSL_CLIENT_HELLO, TLS_CLIENT_HELLO_2},
    {MBEDTLS_SSL_SERVER_HELLO, TLS_RETRY_REQUEST},
    {MBEDTLS_SSL_HELLO_RETRY_REQUEST, TLS_RETRY_REQUEST},
    {MBEDTLS_SSL_SERVER_HELLO, TLS_SERVER_HELLO},
    {MBEDTLS_SSL_ENCRYPTED_EXTENSIONS, TLS_ENCRYPTED_EXTENSIONS},
    {MBEDTLS_SSL_CERTIFICATE_REQUEST, TLS_CERTIFICATE_REQUEST},
    {MBEDTLS_SSL_SERVER_CERTIFICATE, TLS_SERVER_CERTIFICATE},
    {MBEDTLS_SSL_CERTIFICATE_VERIFY, TLS_SERVER_VERIFY},
    {MBEDTLS_SSL_SERVER_FINISHED, TLS_SERVER_FINISHED},
    {MBEDTLS_SSL_CLIENT_CERTIFICATE, TLS_CLIENT_CERTIFICATE},
    {MBEDTLS_SSL_CLIENT_CERTIFICATE_VERIFY, TLS_CLIENT_VERIFY},
    {MBEDTLS_SSL_CLIENT_FINISHED, TLS_CLIENT_FINISHED},
};

static bool state_has(int state, enum tls_msg msg)
{
    for (size_t i = 0; i < COUNT(states); i++)
        if (states[i].state == state && states[i].msg == msg)
            return true;
    return false;
}

static void fact_add(struct tls *t, struct seen s, bool out, int state)
{
    if (t->facts_n == FACTS_MAX)
        return;
    t->facts[t->facts_n++] = (struct tls_fact){
        .msg = s.msg,
        .out = out,
        .bytes = s.bytes,
        .at_us = t->times[state].at,
        .took_us = t->times[state].took,
    };
}

/* A message of ours leaves when mbedTLS flushes, perhaps one state after the one that wrote it. */
static void fact_add_sent(struct tls *t, struct seen s)
{
    for (size_t i = 0; i < COUNT(states); i++) {
        if (states[i].msg == s.msg && t->times[states[i].state].at != 0) {
            fact_add(t, s, true, states[i].state);
            return;
        }
    }
    t->times[MBEDTLS_SSL_HANDSHAKE_OVER].at = tls_now(t);
    fact_add(t, s, true, MBEDTLS_SSL_HANDSHAKE_OVER);
}

void tap_accept(struct tls *t, int state)
{
    if (t->in_seen_n == 0 || !state_has(state, t->in_seen[0].msg))
        return;
    if (t->in_seen[0].msg == TLS_CERTIFICATE_REQUEST)
        t->asked = true;
    if (t->in_seen[0].msg == TLS_SERVER_VERIFY || t->in_seen[0].msg == TLS_CLIENT_VERIFY)
        t->peer_signed = true;
    fact_add(t, t->in_seen[0], false, state);
    t->in_seen_n--;
    memmove(t->in_seen, t->in_seen + 1, t->in_seen_n * sizeof t->in_seen[0]);
}

/* The group stands in ServerHello's key_share, the suite before it. */
static void server_hello_read(struct tls *t, struct rd r)
{
    struct rd exts;

    rd_take(&r, 2 + RANDOM_LEN);
    rd_take(&r, rd_u8(&r)); /* session id echo */
    t->suite = rd_u16(&r);
    rd_u8(&r); /* compression */
    size_t n = rd_u16(&r);
    const uint8_t *p = rd_take(&r, n);
    exts = rd_of(span_of(p, p == NULL ? 0 : n));
    while (rd_left(&exts) > 0) {
        unsigned kind = rd_u16(&exts);
        size_t len = rd_u16(&exts);
        const uint8_t *body = rd_take(&exts, len);

        if (kind == EXT_KEY_SHARE && body != NULL && len >= 2)
            t->group = (uint16_t)(body[0] << 8 | body[1]);
    }
}

static bool is_retry(struct span body)
{
    return body.n >= 2 + RANDOM_LEN &&
           span_same(span_of(body.p + 2, RANDOM_LEN), span_of(retry_random, RANDOM_LEN));
}

/* Which message this is; TLS_MSG_COUNT for one that TLS 1.3 handshakes of ours do not have. */
static enum tls_msg msg_of(struct tls *t, bool from_client, unsigned type, struct span body)
{
    enum tls_msg first = t->hello_seen ? TLS_CLIENT_HELLO_2 : TLS_CLIENT_HELLO;

    switch (type) {
    case HS_CLIENT_HELLO: t->hello_seen = true; return first;
    case HS_SERVER_HELLO: return is_retry(body) ? TLS_RETRY_REQUEST : TLS_SERVER_HELLO;
    case HS_ENCRYPTED_EXTENSIONS: return TLS_ENCRYPTED_EXTENSIONS;
    case HS_CERTIFICATE_REQUEST: return TLS_CERTIFICATE_REQUEST;
    case HS_CERTIFICATE: return from_client ? TLS_CLIENT_CERTIFICATE : TLS_SERVER_CERTIFICATE;
    case HS_CERTIFICATE_VERIFY: return from_client ? TLS_CLIENT_VERIFY : TLS_SERVER_VERIFY;
    case HS_FINISHED: return from_client ? TLS_CLIENT_FINISHED : TLS_SERVER_FINISHED;
    default: return TLS_MSG_COUNT;
    }
}

static void message_pass(struct tls *t, bool out, unsigned type, struct span body)
{
    struct tap *tap = &t->taps[out];
    struct seen s = {msg_of(t, out != t->conf->relay, type, body), tap->bytes};

    tap->bytes = 0;
    if (s.msg == TLS_SERVER_HELLO)
        server_hello_read(t, rd_of(body));
    if (type == HS_FINISHED)
        tap->finished = true;
    if (out)
        fact_add_sent(t, s);
    else if (t->in_seen_n < FACTS_MAX)
        t->in_seen[t->in_seen_n++] = s;
}

static void messages_read(struct tls *t, bool out)
{
    struct tap *tap = &t->taps[out];

    while (!tap->finished) {
        struct rd r = rd_of(buf_span(&tap->msgs));
        unsigned type = rd_u8(&r);
        size_t n = rd_u24(&r);
        const uint8_t *body = rd_take(&r, n);

        if (r.bad)
            return;
        message_pass(t, out, type, span_of(body, n));
        buf_drop(&tap->msgs, 4 + n);
    }
}

int record_key_make(struct record_key *k, const struct traffic *s)
{
    bool wide = s->n == SHA384_LEN;
    enum hash_kind hash = wide ? HASH_SHA384 : HASH_SHA256;
    struct span secret = span_of(s->b, s->n), none = {NULL, 0};

    k->aead = wide ? AEAD_AES_256_GCM : AEAD_CHACHA20_POLY1305;
    if (s->n != hash_len(hash))
        return -1;
    if (hkdf_expand_label(hash, secret, "key", none, k->key.b, sizeof k->key.b) < 0)
        return -1;
    return hkdf_expand_label(hash, secret, "iv", none, k->iv, sizeof k->iv);
}

/* Opens a sealed record behind what is in b. Returns the content type, or -1 with b as it was. */
static int record_open(const struct traffic *s, uint64_t seq, struct span rec, struct buf *b)
{
    struct span head = span_of(rec.p, RECORD_HEAD);
    struct span body = span_of(rec.p + RECORD_HEAD, rec.n - RECORD_HEAD);
    struct record_key k = {0};
    uint8_t nonce[AEAD_IV_LEN];
    size_t before = b->len, n = body.n;
    int type = -1;

    uint8_t *to = n > AEAD_TAG_LEN ? buf_room(b, n) : NULL;
    if (to == NULL || record_key_make(&k, s) < 0)
        goto out;
    aead_nonce(nonce, k.iv, seq);
    if (aead_open(k.aead, &k.key, nonce, head, body, to) < 0)
        goto out;
    n -= AEAD_TAG_LEN;
    while (n > 0 && to[n - 1] == 0)
        n--;
    if (n > 0)
        type = to[--n];
out:
    buf_cut(b, type < 0 ? before : before + n);
    wipe(&k, sizeof k);
    return type;
}

static void alert_note(struct tap *tap, struct span a)
{
    if (a.n == 2)
        tap->alert = a.p[1];
}

/* Content of a record under the handshake secret. An alert is noted, anything else forgotten. */
static void sealed_pass(struct tls *t, bool out, struct span rec)
{
    struct tap *tap = &t->taps[out];
    const struct traffic *s =
        &t->secrets[out == t->conf->relay ? SERVER_HANDSHAKE : CLIENT_HANDSHAKE];
    size_t before = tap->msgs.len;
    int type = record_open(s, tap->sealed++, rec, &tap->msgs);
    struct span all = buf_span(&tap->msgs);

    if (type == RECORD_HANDSHAKE) {
        messages_read(t, out);
        return;
    }
    if (type == RECORD_ALERT)
        alert_note(tap, span_of(all.p + before, all.n - before));
    buf_cut(&tap->msgs, before);
}

void tap_record(struct tls *t, bool out, struct span rec)
{
    struct tap *tap = &t->taps[out];
    struct span body = span_of(rec.p + RECORD_HEAD, rec.n - RECORD_HEAD);

    tap->alert = ALERT_NONE;
    if (rec.p[0] == RECORD_DATA && tap->finished && !out) {
        tap->data++;
        return;
    }
    if (rec.p[0] != RECORD_CCS)
        tap->bytes += rec.n;
    if (rec.p[0] == RECORD_ALERT)
        alert_note(tap, body);
    else if (rec.p[0] == RECORD_HANDSHAKE && buf_add(&tap->msgs, body.p, body.n) == 0)
        messages_read(t, out);
    else if (rec.p[0] == RECORD_DATA)
        sealed_pass(t, out, rec);
}

bool tap_certificate_long(const struct tls *t)
{
    struct rd r = rd_of(buf_span(&t->taps[false].msgs));

    return rd_u8(&r) == HS_CERTIFICATE && rd_u24(&r) > MBEDTLS_SSL_IN_CONTENT_LEN - 4 && !r.bad;
}

unsigned tap_data_alert(struct tls *t, struct span rec)
{
    const struct traffic *s = &t->secrets[t->conf->relay ? CLIENT_DATA : SERVER_DATA];
    struct tap *tap = &t->taps[false];
    struct buf plain;

    if (rec.n <= RECORD_HEAD || rec.p[0] != RECORD_DATA || tap->data == 0)
        return tap->alert;
    buf_init(&plain, RECORD_MAX);
    if (record_open(s, tap->data - 1, rec, &plain) == RECORD_ALERT)
        alert_note(tap, buf_span(&plain));
    buf_free(&plain);
    return tap->alert;
}
