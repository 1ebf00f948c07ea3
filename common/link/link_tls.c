/* The link `tls`: standard TLS 1.3, mutual X.509. Facts of common/crypto/tls become steps here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/tls.h"
#include "common/link/link_priv.h"
#include "common/link/steps_tls.h"

#define X(msg, on_wire, who, label, what)                                                          \
    [TLS_##msg] = {                                                                                \
        .name = label, .wire = on_wire, .client_writes = who == ROLE_CLIENT, .proves = what},
static const struct link_row rows[TLS_MSG_COUNT] = {STEPS_TLS(X)};
#undef X

/* The first is the default; which was agreed on decides whether a certificate is demanded. */
static const struct tls_alpn relay_alpn[] = {{LINK_ALPN_CHAT, true}, {LINK_ALPN_JOIN, false}};

enum { STEPS_ALL = 11, STEPS_CLIENT_CERT = 3, STEPS_RETRY = 2 };

struct end {
    struct tls *tls;
    bool join;  /* what the client asked for, until the relay has agreed */
    bool retry; /* a HelloRetryRequest was seen */
};

struct ready {
    struct tls_conf *conf;
    bool join;
};

static void *ready_new(enum role role, const struct link_conf *c, struct err *e)
{
    bool relay = role == ROLE_RELAY;
    struct tls_setup s = {
        .relay = relay,
        .chain = c->chain,
        .chain_n = c->chain_n,
        .key = c->key,
        .trust = c->trust,
        .pin = c->pin,
        .host = c->host,
        .alpn = relay || !c->join ? &relay_alpn[0] : &relay_alpn[1],
        .alpn_n = relay ? COUNT(relay_alpn) : 1,
        .rng = c->rng,
        .now_ms = c->now,
        .mono_us = c->mono,
        .clock_ctx = c->clock_ctx,
        .judge = relay ? c->judge : NULL,
        .judge_ctx = c->judge_ctx,
    };
    struct ready *r = calloc(1, sizeof *r);

    if (r == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a link");
        return NULL;
    }
    r->join = c->join && !relay;
    r->conf = tls_conf_new(&s, e);
    if (r->conf == NULL) {
        free(r);
        return NULL;
    }
    return r;
}

static void ready_free(void *ready)
{
    struct ready *r = ready;

    tls_conf_free(r->conf);
    free(r);
}

static void *end_open(void *ready, struct err *e)
{
    const struct ready *r = ready;
    struct end *end = calloc(1, sizeof *end);

    if (end == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a link");
        return NULL;
    }
    end->join = r->join;
    end->tls = tls_new(r->conf, e);
    if (end->tls == NULL) {
        free(end);
        return NULL;
    }
    return end;
}

static void end_free(void *ctx)
{
    struct end *end = ctx;

    tls_free(end->tls);
    free(end);
}

static struct tls *tls_of(const void *end)
{
    return ((const struct end *)end)->tls;
}

static int end_feed(void *end, const uint8_t *in, size_t n)
{
    return tls_feed(tls_of(end), in, n);
}

static int end_eof(void *end)
{
    return tls_eof(tls_of(end));
}

static struct span end_out(const void *end)
{
    return tls_out(tls_of(end));
}

static void end_sent(void *end, size_t n)
{
    tls_sent(tls_of(end), n);
}

static int end_send(void *end, const uint8_t *msg, size_t n)
{
    return tls_send(tls_of(end), msg, n);
}

static void end_close(void *end)
{
    tls_close(tls_of(end));
}

static struct span end_take(void *end)
{
    return tls_take(tls_of(end));
}

static bool end_done(const void *end)
{
    return tls_open(tls_of(end));
}

static bool end_closed(const void *end)
{
    return tls_closed(tls_of(end));
}

static uint64_t end_now(const void *end)
{
    return tls_now(tls_of(end));
}

static const struct err *end_error(const void *end)
{
    return tls_error(tls_of(end));
}

static int end_exporter(const void *end, const char *label, struct key *out)
{
    return tls_exporter(tls_of(end), label, out);
}

static bool end_joins(const struct end *end, const struct tls_info *i)
{
    return i->alpn == NULL ? end->join : strcmp(i->alpn, LINK_ALPN_JOIN) == 0;
}

static unsigned end_total(const void *ctx)
{
    const struct end *end = ctx;
    struct tls_info i;

    tls_info(end->tls, &i);
    return STEPS_ALL - (end_joins(end, &i) ? STEPS_CLIENT_CERT : 0U) +
           (end->retry ? STEPS_RETRY : 0U);
}

static void end_info(const void *ctx, struct link_info *out)
{
    const struct end *end = ctx;
    struct tls_info i;

    tls_info(end->tls, &i);
    memset(out, 0, sizeof *out);
    out->version = i.version;
    out->suite = i.suite;
    out->group = i.group;
    out->alpn = i.alpn;
    out->join = end_joins(end, &i);
    memcpy(out->peer, i.peer, sizeof out->peer);
    out->peer_n = i.peer_n;
    out->peer_fp = i.peer_fp;
    out->refused = i.refused;
    out->refused_by_peer = i.refused_by_peer;
}

/* --- details of steps --- */

static void detail_certificate(struct link_step *s, struct span der)
{
    struct err e = {0};
    struct cert *c = cert_parse(der, NULL, &e);
    struct cert_info i;
    char fp[2 * HASH_LEN + 1];

    if (c == NULL)
        return;
    cert_info(c, &i);
    hex_put(fp, span_of(i.fingerprint.b, sizeof i.fingerprint.b));
    snprintf(s->detail, sizeof s->detail, "%.60s; SHA-256 %s", i.subject, fp);
    cert_free(c);
}

static const char *known(const char *s)
{
    return s == NULL ? "unknown" : s;
}

static void detail_text(struct link_step *s, const struct tls_info *i)
{
    bool wide = i->suite != NULL && strstr(i->suite, "SHA384") != NULL;

    switch ((enum tls_msg)s->row) {
    case TLS_CLIENT_HELLO:
    case TLS_CLIENT_HELLO_2:
        snprintf(s->detail, sizeof s->detail, "TLS 1.3 alone; ALPN %s", known(i->alpn));
        return;
    case TLS_SERVER_HELLO:
        snprintf(s->detail, sizeof s->detail, "%s, %s", known(i->group), known(i->suite));
        return;
    case TLS_ENCRYPTED_EXTENSIONS:
        snprintf(s->detail, sizeof s->detail, "ALPN %s", known(i->alpn));
        return;
    case TLS_SERVER_VERIFY:
    case TLS_CLIENT_VERIFY:
        snprintf(s->detail, sizeof s->detail, "%s, signed over all before",
                 known(s->out ? i->own_signature : i->signature));
        return;
    case TLS_SERVER_FINISHED:
    case TLS_CLIENT_FINISHED:
        snprintf(s->detail, sizeof s->detail, "HMAC-SHA%s over all before", wide ? "384" : "256");
        return;
    case TLS_SERVER_CERTIFICATE:
    case TLS_CLIENT_CERTIFICATE:
        if (s->out ? i->own.n > 0 : i->peer_n > 0)
            detail_certificate(s, s->out ? i->own : i->peer[0]);
        return;
    case TLS_RETRY_REQUEST:
    case TLS_CERTIFICATE_REQUEST:
    case TLS_FIRST_DATA:
    case TLS_MSG_COUNT: return;
    }
}

/* Subjects come from certificates of strangers: a terminal shows this text. */
static void detail_clean(char *p)
{
    for (; *p != '\0'; p++)
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
}

static bool end_step(void *ctx, struct link_step *s)
{
    struct end *end = ctx;
    struct tls_fact f;
    struct tls_info i;

    if (!tls_fact(end->tls, &f))
        return false;
    if (f.msg == TLS_RETRY_REQUEST)
        end->retry = true;
    s->row = (unsigned)f.msg;
    s->out = f.out;
    s->bytes = f.bytes;
    s->at_us = f.at_us;
    s->took_us = f.took_us;
    tls_info(end->tls, &i);
    if (i.alpn == NULL)
        i.alpn = end->join ? LINK_ALPN_JOIN : LINK_ALPN_CHAT;
    detail_text(s, &i);
    detail_clean(s->detail);
    return true;
}

const struct link_proto link_proto_tls = {
    .rows = rows,
    .rows_n = COUNT(rows),
    .ready_new = ready_new,
    .ready_free = ready_free,
    .open = end_open,
    .free = end_free,
    .feed = end_feed,
    .eof = end_eof,
    .out = end_out,
    .sent = end_sent,
    .send = end_send,
    .close = end_close,
    .step = end_step,
    .total = end_total,
    .take = end_take,
    .done = end_done,
    .now = end_now,
    .closed = end_closed,
    .error = end_error,
    .info = end_info,
    .exporter = end_exporter,
};
