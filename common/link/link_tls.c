/* The link `tls`: standard TLS 1.3, mutual X.509. Facts of common/crypto/tls become steps here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/tls.h"
#include "common/link/link_priv.h"
#include "common/link/record.h"
#include "common/link/steps_tls.h"
#include "common/util/text.h"

#define X(msg, on_wire, who, label, what)                                                          \
    [TLS_##msg] = {                                                                                \
        .name = label, .wire = on_wire, .client_writes = who == ROLE_CLIENT, .proves = what},
static const struct link_row rows[TLS_MSG_COUNT] = {STEPS_TLS(X)};
#undef X

/* The first is the default; which was agreed on decides whether a certificate is demanded. */
static const struct tls_alpn relay_alpn[] = {{LINK_ALPN_CHAT, true}, {LINK_ALPN_JOIN, false}};

enum { STEPS_ALL = 11, STEPS_CLIENT_CERT = 3, STEPS_RETRY = 2 };

/* mbedTLS shakes hands; then its secrets go to a record layer of ours and it is freed. `tls` stays
 * until its facts are told, `record` is NULL until the handshake is over (for good where the test
 * switch keeps mbedTLS's records). */
struct end {
    struct tls *tls;
    struct record *record;
    bool join;    /* what the client asked for, until the relay has agreed */
    bool retry;   /* a HelloRetryRequest was seen */
    bool mbedtls; /* keep mbedTLS's own records */
    bool relay;
    bool first;        /* the verdict's step was told */
    uint64_t at, took; /* when, and for how long, the call ran that made the last records */
    uint64_t born;
    uint64_t (*mono)(void *ctx);
    void *clock_ctx;
    /* behind the handover */
    struct link_info info;
    uint8_t *peer_der; /* owned; info.peer points into it */
    struct key exporter;
};

struct ready {
    struct tls_conf *conf;
    bool join, mbedtls, relay;
    uint64_t (*mono)(void *ctx);
    void *clock_ctx;
};

static void *ready_new(const struct link_proto *self, enum role role, const struct link_conf *c,
                       struct err *e)
{
    bool relay = role == ROLE_RELAY;
    struct tls_setup s = {
        .relay = relay,
        .chain = c->chain,
        .chain_n = c->chain_n,
        .key = c->key,
        .trust = c->trust,
        .root = c->root,
        .leaf = c->leaf,
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

    (void)self;
    if (r == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a link");
        return NULL;
    }
    *r = (struct ready){NULL, c->join && !relay, c->mbedtls_records, relay, c->mono, c->clock_ctx};
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
    end->mbedtls = r->mbedtls;
    end->relay = r->relay;
    end->mono = r->mono;
    end->clock_ctx = r->clock_ctx;
    end->born = r->mono(r->clock_ctx);
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
    record_free(end->record);
    free(end->peer_der);
    wipe(end, sizeof *end);
    free(end);
}

static uint64_t end_now(const void *ctx)
{
    const struct end *end = ctx;

    return end->mono(end->clock_ctx) - end->born;
}

/* --- from mbedTLS to our records --- */

static bool end_joins(const struct end *end, const struct tls_info *i)
{
    return i->alpn == NULL ? end->join : strcmp(i->alpn, LINK_ALPN_JOIN) == 0;
}

static void info_copy(const struct end *end, struct link_info *out)
{
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
    out->proven = i.proven;
    out->refused = i.refused;
    out->refused_by_peer = i.refused_by_peer;
}

static struct record *record_of(const struct end *end, const struct tls_handover *h)
{
    struct err e = {0};
    struct record_conf c = {
        .peer = end->relay ? "client" : "relay",
        .hash = h->hash,
        .aead = h->aead,
        .secret_in = span_of(h->in, hash_len(h->hash)),
        .secret_out = span_of(h->out, hash_len(h->hash)),
        .before = tls_out(end->tls),
        .tickets = end->relay ? 0 : LINK_TICKETS_MAX,
        .verdict = !end->relay,
    };

    return record_new(&c, &e);
}

/* Everything that only mbedTLS knows is read before it is freed. */
static int hand_over(struct end *end)
{
    struct tls_handover h;

    if (end->mbedtls || !tls_open(end->tls))
        return 0;
    if (tls_hand_over(end->tls, LINK_EXPORTER_LOGIN, &h) < 0)
        return -1;
    info_copy(end, &end->info);
    end->peer_der = h.peer_der;
    end->exporter = h.exporter;
    end->record = record_of(end, &h);
    wipe(&h, sizeof h);
    if (end->record == NULL)
        return tls_give_up(end->tls, "no memory for a link");
    tls_sent(end->tls, tls_out(end->tls).n);
    return 0;
}

static int end_feed(void *ctx, const uint8_t *in, size_t n)
{
    struct end *end = ctx;
    size_t used = 0;
    int ret;

    if (end->mbedtls)
        return tls_feed(end->tls, in, n);
    if (end->record == NULL && (tls_shake(end->tls, in, n, &used) < 0 || hand_over(end) < 0))
        return -1;
    if (end->record == NULL)
        return 0;
    bool silent = record_first(end->record, false) == 0;
    uint64_t at = end_now(end);
    ret = record_feed(end->record, in + used, n - used);
    if (silent && record_first(end->record, false) > 0) {
        end->at = at;
        end->took = end_now(end) - at;
    }
    return ret;
}

static int end_eof(void *ctx)
{
    struct end *end = ctx;

    return end->record != NULL ? record_eof(end->record) : tls_eof(end->tls);
}

static struct span end_out(void *ctx)
{
    struct end *end = ctx;
    struct span s;

    if (end->record == NULL)
        return tls_out(end->tls);
    bool silent = record_first(end->record, true) == 0;
    uint64_t at = end_now(end);
    s = record_out(end->record);
    if (end->relay && silent && record_first(end->record, true) > 0) {
        end->at = at;
        end->took = end_now(end) - at;
    }
    return s;
}

static void end_sent(void *ctx, size_t n)
{
    struct end *end = ctx;

    if (end->record != NULL)
        record_sent(end->record, n);
    else
        tls_sent(end->tls, n);
}

static size_t end_waiting(const void *ctx)
{
    const struct end *end = ctx;

    return end->record != NULL ? record_waiting(end->record) : tls_out(end->tls).n;
}

static int end_send(void *ctx, const uint8_t *msg, size_t n)
{
    struct end *end = ctx;

    return end->record != NULL ? record_send(end->record, msg, n) : tls_send(end->tls, msg, n);
}

static void end_lend(void *ctx, struct buf *block)
{
    struct end *end = ctx;

    if (end->record != NULL)
        record_lend(end->record, block);
}

static void end_reclaim(void *ctx, struct buf *block)
{
    struct end *end = ctx;

    if (end->record != NULL)
        record_reclaim(end->record, block);
}

/* mbedTLS's own records have no such message. */
static int end_rekey(void *ctx)
{
    struct end *end = ctx;

    return end->record != NULL ? record_rekey(end->record, true) : -1;
}

static void end_close(void *ctx)
{
    struct end *end = ctx;

    if (end->record != NULL)
        record_close(end->record);
    else
        tls_close(end->tls);
}

static struct span end_take(void *ctx)
{
    struct end *end = ctx;

    return end->record != NULL ? record_take(end->record) : tls_take(end->tls);
}

static const struct err *end_error(const void *ctx)
{
    const struct end *end = ctx;

    return end->record != NULL ? record_error(end->record) : tls_error(end->tls);
}

static bool end_done(const void *ctx)
{
    const struct end *end = ctx;

    return end->record != NULL ? record_error(end->record)->code == ERR_NONE : tls_open(end->tls);
}

static bool end_closed(const void *ctx)
{
    const struct end *end = ctx;

    return end->record != NULL ? record_closed(end->record) : tls_closed(end->tls);
}

static void end_info(const void *ctx, struct link_info *out)
{
    const struct end *end = ctx;

    if (end->record == NULL) {
        info_copy(end, out);
        return;
    }
    *out = end->info;
    out->refused = tls_alert_word(record_alert(end->record));
    out->refused_by_peer = out->refused != NULL;
}

static int end_exporter(const void *ctx, const char *label, struct key *out)
{
    const struct end *end = ctx;

    if (strcmp(label, LINK_EXPORTER_LOGIN) != 0)
        return -1;
    if (end->record == NULL)
        return tls_exporter(end->tls, label, out);
    if (!end_done(end) || (!end->relay && record_first(end->record, false) == 0))
        return -1;
    *out = end->exporter;
    return 0;
}

/* An idle relay's connection keeps the peer's fingerprint and not its certificates. */
static void end_rest(void *ctx)
{
    struct end *end = ctx;

    if (end->record == NULL || end->tls != NULL)
        return;
    record_rest(end->record);
    if (end->relay) {
        free(end->peer_der);
        end->peer_der = NULL;
        end->info.peer_n = 0;
    }
}

static unsigned end_total(const void *ctx)
{
    const struct end *end = ctx;
    struct link_info i;

    end_info(end, &i);
    return STEPS_ALL - (i.join ? STEPS_CLIENT_CERT : 0U) + (end->retry ? STEPS_RETRY : 0U);
}

/* --- details of steps --- */

static void detail_certificate(struct link_step *s, struct span der)
{
    struct err e = {0};
    struct cert *c = cert_parse(der, NULL, &e);
    struct cert_info i;
    char fp[2 * HASH_LEN + 1], who[61];

    if (c == NULL)
        return;
    cert_info(c, &i);
    hex_put(fp, span_of(i.fingerprint.b, sizeof i.fingerprint.b));
    text_clean(who, sizeof who, str_of(i.subject), TEXT_ONE_LINE);
    snprintf(s->detail, sizeof s->detail, "%s; SHA-256 %s", who, fp);
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

/* The relay's first record with data is the last step; we do not need mbedTLS to see it. */
static bool step_first(struct end *end, struct link_step *s)
{
    size_t bytes = end->record == NULL ? 0 : record_first(end->record, end->relay);

    if (end->first || bytes == 0)
        return false;
    end->first = true;
    s->row = TLS_FIRST_DATA;
    s->out = end->relay;
    s->bytes = bytes;
    s->at_us = end->at;
    s->took_us = end->took;
    return true;
}

static bool end_step(void *ctx, struct link_step *s)
{
    struct end *end = ctx;
    struct tls_fact f;
    struct tls_info i;

    if (end->tls == NULL || !tls_fact(end->tls, &f)) {
        if (end->record != NULL) {
            tls_free(end->tls);
            end->tls = NULL;
        }
        return step_first(end, s);
    }
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
    return true;
}

const struct link_proto link_proto_tls = {
    .rows = rows,
    .rows_n = COUNT(rows),
    .first = {"\x16\x03", 2}, /* a record with a handshake message */
    .ready_new = ready_new,
    .ready_free = ready_free,
    .open = end_open,
    .free = end_free,
    .feed = end_feed,
    .eof = end_eof,
    .out = end_out,
    .sent = end_sent,
    .waiting = end_waiting,
    .rest = end_rest,
    .send = end_send,
    .lend = end_lend,
    .reclaim = end_reclaim,
    .rekey = end_rekey,
    .close = end_close,
    .step = end_step,
    .total = end_total,
    .take = end_take,
    .done = end_done,
    .said = end_done,
    .now = end_now,
    .closed = end_closed,
    .error = end_error,
    .info = end_info,
    .exporter = end_exporter,
};
