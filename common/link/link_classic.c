/* The link `classic`, after seeds 000 and 003: lines of JSON, a key by textbook RSA or out of a
 * file, AES-128-CBC and HMAC-SHA256 (docs/protocol.md 10.5). It is kept as its documents have it,
 * with what they lack: whoever stands in the middle reads and changes everything. So it proves
 * nobody, gives no exporter, and says so in every step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/link/classic_priv.h"

/* --- keys, once for many links of a thread --- */

void classic_ready_free(void *ready)
{
    struct classic_ready *r = ready;

    if (r == NULL || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    textbook_free(r->textbook);
    wipe(r, sizeof *r);
    free(r);
}

static void *ready_new(const struct link_proto *self, enum role role, const struct link_conf *conf,
                       struct err *e)
{
    struct classic_ready *r = calloc(1, sizeof *r);

    (void)self;
    if (r == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a link");
        return NULL;
    }
    atomic_init(&r->refs, 1);
    r->role = role;
    r->file = conf->file_key != NULL;
    r->rng = conf->rng;
    r->mono = conf->mono;
    r->clock_ctx = conf->clock_ctx;
    if (r->file)
        r->key = *conf->file_key;
    else if (role == ROLE_RELAY && conf->textbook == NULL)
        err_set(e, ERR_CONFIG, "classic without a pair of keys");
    else if (role == ROLE_RELAY)
        r->textbook = textbook_copy(conf->textbook, e);
    if (!r->file && role == ROLE_RELAY && r->textbook == NULL) {
        classic_ready_free(r);
        return NULL;
    }
    return r;
}

/* --- what goes out --- */

uint64_t classic_now(const void *ctx)
{
    const struct classic *c = ctx;

    return c->mono(c->clock_ctx) - c->born;
}

int classic_refuse(struct classic *c, enum err_code code, const char *why)
{
    static const char *const said[] = {
        "{\"type\":\"err\",\"reason\":\"refused\"}\n",
        "{\"type\":\"err\",\"reason\":\"" CLASSIC_BAD_MAC "\"}\n",
    };
    const char *line = said[strcmp(why, CLASSIC_BAD_MAC) == 0];

    if (c->err.code == ERR_NONE)
        (void)!buf_add(&c->out, line, strlen(line));
    wipe(&c->keys, sizeof c->keys);
    return err_set(&c->err, code, "%s", why);
}

int classic_say(struct classic *c, const char *line)
{
    return buf_add(&c->out, line, strlen(line)) == 0
               ? 0
               : classic_refuse(c, ERR_LIMIT, "the peer reads too slowly");
}

void classic_step(struct classic *c, unsigned row, bool out, size_t bytes, const char *detail)
{
    struct link_step *s = &c->steps[c->steps_n];

    if (c->steps_n == COUNT(c->steps))
        return;
    *s = (struct link_step){.row = row, .out = out, .bytes = bytes, .at_us = c->began};
    s->took_us = classic_now(c) - c->began;
    snprintf(s->detail, sizeof s->detail, "%s", detail);
    c->steps_n++;
    c->began = classic_now(c);
}

/* --- err --- */

static int take_err(struct classic *c, const struct classic_line *l, size_t bytes)
{
    char raw[200];

    (void)bytes;
    classic_reason(raw, sizeof raw, l->reason);
    c->closed = true; /* nothing is answered to it */
    return err_set(&c->err, ERR_PEER, "the other end says: %s", raw);
}

/* --- lines --- */

static classic_taker *const takers[] = {
    [CLASSIC_HELLO] = classic_take_hello, [CLASSIC_PUBKEY] = classic_take_pubkey,
    [CLASSIC_KEY] = classic_take_key,     [CLASSIC_OK] = classic_take_ok,
    [CLASSIC_MSG] = classic_take_msg,     [CLASSIC_ERR] = take_err,
};

static int line_take(struct classic *c)
{
    struct span s = buf_span(&c->line);
    struct classic_line l;
    int ret;

    if (classic_line_take(&l, str_from(s.p, s.n)) < 0)
        ret = classic_refuse(c, ERR_PEER, "a line that classic does not have");
    else
        ret = takers[l.type](c, &l, s.n + 1);
    buf_drop(&c->line, s.n);
    return ret;
}

static int end_feed(void *ctx, const uint8_t *in, size_t n)
{
    struct classic *c = ctx;

    c->began = classic_now(c);
    while (n > 0 && c->err.code == ERR_NONE && !c->closed) {
        const uint8_t *lf = memchr(in, '\n', n);
        size_t part = lf == NULL ? n : (size_t)(lf - in);

        if (buf_add(&c->line, in, part) < 0)
            return classic_refuse(c, ERR_LIMIT, "a line too long for classic");
        if (lf == NULL)
            return 0;
        if (line_take(c) < 0)
            return -1;
        in += part + 1;
        n -= part + 1;
    }
    return c->err.code == ERR_NONE ? 0 : -1;
}

/* --- the rest of the interface --- */

static void end_free(void *ctx)
{
    struct classic *c = ctx;

    classic_ready_free(c->ready);
    buf_free(&c->line);
    buf_free(&c->out);
    buf_free(&c->texts);
    wipe(c, sizeof *c);
    free(c);
}

static void *end_open(void *ready, struct err *e)
{
    static const char hello[] = "{\"type\":\"hello\"}\n";
    struct classic_ready *r = ready;
    struct classic *c = calloc(1, sizeof *c);

    if (c == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a link");
        return NULL;
    }
    atomic_fetch_add(&r->refs, 1);
    c->ready = r;
    c->role = r->role;
    c->file = r->file;
    c->mono = r->mono;
    c->clock_ctx = r->clock_ctx;
    c->born = c->mono(c->clock_ctx);
    snprintf(c->group, sizeof c->group, "%s", c->file ? "a key file" : "");
    buf_init(&c->line, CLASSIC_LINE_MAX);
    buf_init(&c->out, LINK_OUT_MAX);
    buf_init(&c->texts, LINK_IN_MAX);
    if (c->role == ROLE_RELAY)
        return c;
    if ((c->file && classic_keys(c, &r->key) < 0) || classic_say(c, hello) < 0) {
        err_set(e, c->err.code, "%s", c->err.text);
        end_free(c);
        return NULL;
    }
    if (!c->file)
        classic_step(c, RSA_HELLO, true, sizeof hello - 1, "no version, no certificate");
    return c;
}

/* There is no word for the end: a cut looks like one. */
static int end_eof(void *ctx)
{
    struct classic *c = ctx;

    if (c->err.code != ERR_NONE)
        return -1;
    if (!c->done && !c->closed)
        return classic_refuse(c, ERR_PEER, "cut before the key was agreed");
    return 0;
}

static struct span end_out(void *ctx)
{
    const struct classic *c = ctx;

    return buf_span(&c->out);
}

static void end_sent(void *ctx, size_t n)
{
    struct classic *c = ctx;

    buf_drop(&c->out, n);
}

static size_t end_waiting(const void *ctx)
{
    const struct classic *c = ctx;

    return c->out.len;
}

static void end_rest(void *ctx)
{
    struct classic *c = ctx;

    if (c->line.len == 0)
        buf_free(&c->line);
    if (c->out.len == 0)
        buf_free(&c->out);
    if (c->texts.len == c->taken) {
        buf_free(&c->texts);
        c->taken = 0;
    }
}

static void end_close(void *ctx)
{
    struct classic *c = ctx;

    c->closed = true;
}

/* It has one key and no way to say another. */
static int end_rekey(void *ctx)
{
    (void)ctx;
    return -1;
}

static bool end_step(void *ctx, struct link_step *s)
{
    struct classic *c = ctx;

    if (c->steps_at == c->steps_n)
        return false;
    *s = c->steps[c->steps_at++];
    s->local = c->file && s->row != FILE_SEND;
    if (c->steps_at == c->steps_n)
        c->steps_at = c->steps_n = 0;
    return true;
}

static unsigned rsa_total(const void *ctx)
{
    (void)ctx;
    return RSA_OK + 1;
}

static unsigned file_total(const void *ctx)
{
    (void)ctx;
    return FILE_SHOW + 1;
}

static bool end_done(const void *ctx)
{
    const struct classic *c = ctx;

    return c->done && c->err.code == ERR_NONE;
}

static bool end_said(const void *ctx)
{
    const struct classic *c = ctx;

    return c->said;
}

static bool end_closed(const void *ctx)
{
    (void)ctx;
    return false;
}

static const struct err *end_error(const void *ctx)
{
    const struct classic *c = ctx;

    return &c->err;
}

static void end_info(const void *ctx, struct link_info *out)
{
    const struct classic *c = ctx;

    memset(out, 0, sizeof *out);
    out->version = c->file ? "classic (seed 003)" : "classic (seed 000)";
    out->suite = "AES-128-CBC, HMAC-SHA256";
    out->group = c->group[0] == '\0' ? NULL : c->group;
}

/* Nothing that it has would bind a login to this connection and to no other. */
static int end_exporter(const void *ctx, const char *label, struct key *out)
{
    (void)ctx, (void)label, (void)out;
    return -1;
}

#define X(id, from_client, by_both, label, on_wire, what)                                          \
    {.name = label,                                                                                \
     .wire = on_wire,                                                                              \
     .client_writes = from_client,                                                                 \
     .local = by_both,                                                                             \
     .proves = what},
static const struct link_row rsa_rows[] = {STEPS_CLASSIC(X)};
static const struct link_row file_rows[] = {STEPS_CLASSIC_FILE(X)};
#undef X

#define CLASSIC_END                                                                                \
    .first = {"{", 1}, .ready_new = ready_new, .ready_free = classic_ready_free, .open = end_open, \
    .free = end_free, .feed = end_feed, .eof = end_eof, .out = end_out, .sent = end_sent,          \
    .waiting = end_waiting, .rest = end_rest, .send = classic_send, .rekey = end_rekey,            \
    .close = end_close, .step = end_step, .take = classic_take, .done = end_done,                  \
    .said = end_said, .now = classic_now, .closed = end_closed, .error = end_error,                \
    .info = end_info, .exporter = end_exporter

const struct link_proto link_proto_classic = {
    .rows = rsa_rows, .rows_n = COUNT(rsa_rows), .total = rsa_total, CLASSIC_END};

const struct link_proto link_proto_classic_file = {.rows = file_rows,
                                                   .rows_n = COUNT(file_rows),
                                                   .after = COUNT(file_rows) - 1,
                                                   .total = file_total,
                                                   CLASSIC_END};
