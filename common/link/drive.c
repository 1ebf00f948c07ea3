/* The driver: magic, turn, type, length, seal, transcript and progress, for every protocol alike.
 */
#include "common/link/drive.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/link/drive_priv.h"
#include "common/util/email.h"

enum role drive_other(enum role r)
{
    return r == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
}

const char *drive_peer(const struct drive *d)
{
    return d->role == ROLE_RELAY ? "client" : "relay";
}

/* --- keys and rules, once for many links of a thread --- */

static int ready_chain(struct drive_ready *r, const struct link_conf *c, struct err *e)
{
    size_t total = 0;

    if (c->chain_n > COUNT(r->chain) || (c->chain_n == 0 && r->role == ROLE_RELAY))
        return err_set(e, ERR_CONFIG, "%zu certificates of our own", c->chain_n);
    for (size_t i = 0; i < c->chain_n; i++)
        total += c->chain[i].n;
    buf_init(&r->der, (CHAIN_MAX + 1) * CERT_MAX);
    uint8_t *to = total == 0 ? NULL : buf_room(&r->der, total);
    if (total > 0 && to == NULL)
        return err_set(e, ERR_CONFIG, "our own certificates are too big");
    for (; r->chain_n < c->chain_n; r->chain_n++) {
        struct span from = c->chain[r->chain_n];
        memcpy(to, from.p, from.n);
        r->chain[r->chain_n] = span_of(to, from.n);
        to += from.n;
    }
    return 0;
}

/* A copy of the key: its owner may be used by another thread. */
static int ready_key(struct drive_ready *r, const struct pkey *key, struct err *e)
{
    uint8_t der[PKEY_DER_MAX], spki[SPKI_MAX];
    struct cert *leaf = NULL;
    size_t n = 0, spki_n = 0;
    int ret = -1;

    if (r->chain_n == 0)
        return 0;
    if (key == NULL)
        return err_set(e, ERR_CONFIG, "a certificate without its key");
    if (pkey_der(key, der, &n, e) < 0 || pkey_spki(key, spki, &spki_n, e) < 0)
        goto out;
    leaf = cert_parse(r->chain[0], NULL, e);
    if (leaf == NULL)
        goto out;
    if (!span_same(cert_spki(leaf), span_of(spki, spki_n))) {
        err_set(e, ERR_CONFIG, "own certificate and key do not belong together");
        goto out;
    }
    struct hash fp;
    sha256(r->chain[0], &fp);
    drive_name_set(&r->own, leaf, &fp);
    r->key = pkey_parse(span_of(der, n), &r->rng, e);
    ret = r->key == NULL ? -1 : 0;
out:
    cert_free(leaf);
    wipe(der, sizeof der);
    return ret;
}

static int ready_peer(struct drive_ready *r, const struct link_conf *c, struct err *e)
{
    r->peer = (struct peer_rules){
        .role = r->role == ROLE_RELAY ? CERT_DEVICE : CERT_RELAY,
        .now_ms = c->now,
        .clock_ctx = c->clock_ctx,
        .judge = r->role == ROLE_RELAY ? c->judge : NULL,
        .judge_ctx = c->judge_ctx,
        .memo = r->role == ROLE_RELAY ? memo_new() : NULL, /* a client shakes hands too rarely */
    };
    const struct peer_belief b = {c->trust, c->root, c->leaf, c->host};
    return peer_believe(&r->peer, &b, e);
}

/* Only one link has a place for it, and only who joins says it there. */
static int ready_email(struct drive_ready *r, const struct link_conf *c, struct err *e)
{
    if (c->email == NULL)
        return 0;
    if (!r->link->drive->email || !r->join)
        return err_set(e, ERR_CONFIG, "an e-mail address has no place in this handshake");
    if (!email_is(str_of(c->email)))
        return err_set(e, ERR_CONFIG, "not an e-mail address in its plain form");
    return str_copy(r->email, sizeof r->email, str_of(c->email));
}

void *drive_ready_new(const struct link_proto *p, enum role role, const struct link_conf *c,
                      struct err *e)
{
    struct drive_ready *r = calloc(1, sizeof *r);

    if (r == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a link");
        return NULL;
    }
    atomic_init(&r->refs, 1);
    r->link = p;
    r->role = role;
    r->join = c->join && role == ROLE_CLIENT;
    r->nonces = c->nonces;
    r->suites = c->suites != 0 ? c->suites : ~0U;
    r->rng = c->rng;
    r->mono = c->mono;
    r->clock_ctx = c->clock_ctx;
    if (ready_email(r, c, e) < 0 || ready_chain(r, c, e) < 0 || ready_key(r, c->key, e) < 0 ||
        ready_peer(r, c, e) < 0) {
        drive_ready_free(r);
        return NULL;
    }
    return r;
}

struct drive_ready *drive_ready_ref(struct drive_ready *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

void drive_ready_free(void *ready)
{
    struct drive_ready *r = ready;

    if (r == NULL || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    buf_free(&r->der);
    pkey_free(r->key);
    memo_free(r->peer.memo);
    free(r);
}

/* --- birth and death --- */

static struct drive_shake *shake_new(struct drive_ready *r)
{
    struct drive_shake *s = calloc(1, sizeof *s + r->link->drive->state_size);
    const char *magic = r->link->drive->magic;

    if (s == NULL)
        return NULL;
    s->ready = drive_ready_ref(r);
    for (size_t i = 0; i < r->link->rows_n; i++)
        s->order[i] = (uint8_t)i;
    buf_init(&s->in, DRIVE_HEAD + LINK_SHAKE_MAX);
    hash_run_start(&s->run);
    hash_run_add(&s->run, span_of(magic, strlen(magic)));
    return s;
}

/* Every secret and the keys of the program; what was seen stays until it was told. */
static void shake_wipe(struct drive *d)
{
    struct drive_shake *s = d->shake;

    if (s == NULL || s->ready == NULL)
        return;
    drive_ready_free(s->ready);
    s->ready = NULL;
    pubkey_free(s->peer_key);
    s->peer_key = NULL;
    buf_free(&s->in);
    wipe(s->sides, sizeof s->sides);
    wipe(s->state, d->link->drive->state_size);
}

static void shake_free(struct drive *d)
{
    shake_wipe(d);
    free(d->shake);
    d->shake = NULL;
}

static int go_on(struct drive *d);

void *drive_open(void *ready, struct err *e)
{
    struct drive_ready *r = ready;
    struct drive *d = calloc(1, sizeof *d);

    if (d == NULL || (d->shake = shake_new(r)) == NULL) {
        free(d);
        err_set(e, ERR_LOCAL, "no memory for a link");
        return NULL;
    }
    d->link = r->link;
    d->role = r->role;
    d->join = r->join;
    d->mono = r->mono;
    d->clock_ctx = r->clock_ctx;
    d->born = d->mono(d->clock_ctx);
    d->info.version = d->link->drive->version;
    buf_init(&d->out, LINK_EARLY_MAX);
    buf_init(&d->peer_der, (CHAIN_MAX + 1) * CERT_MAX);
    if (d->role == ROLE_CLIENT && go_on(d) < 0) {
        err_set(e, d->shake->err.code, "%s", d->shake->err.text);
        drive_free(d);
        return NULL;
    }
    return d;
}

void drive_free(void *end)
{
    struct drive *d = end;

    if (d->shake != NULL)
        shake_free(d);
    record_free(d->record);
    buf_free(&d->out);
    buf_free(&d->peer_der);
    wipe(d, sizeof *d);
    free(d);
}

uint64_t drive_now(const void *end)
{
    const struct drive *d = end;

    return d->mono(d->clock_ctx) - d->born;
}

/* --- what handlers may ask --- */

enum role drive_role(const struct drive *d)
{
    return d->role;
}

void *drive_state(struct drive *d)
{
    return d->shake->state;
}

const void *drive_seen(const struct drive *d)
{
    return d->shake->state;
}

const struct rng *drive_rng(const struct drive *d)
{
    return &d->shake->ready->rng;
}

unsigned drive_suites(const struct drive *d)
{
    return d->shake->ready->suites;
}

int drive_fail(struct drive *d, enum err_code code, const char *fmt, ...)
{
    char text[sizeof d->shake->err.text];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(&d->shake->err, code, "%s", text);
}

void drive_arrange(struct drive *d, size_t first, const uint8_t *rows, size_t n)
{
    memcpy(d->shake->order + first, rows, n);
}

const char *drive_name(const struct drive *d, size_t place)
{
    return d->link->rows[d->shake->order[place]].name;
}

const char *drive_due_name(const struct drive *d)
{
    return drive_row(d)->name;
}

bool drive_fresh(const struct drive *d, const uint8_t nonce[LINK_NONCE_LEN])
{
    const struct link_nonces *seen = d->shake->ready->nonces;

    if (seen == NULL)
        return true;
    for (size_t i = 0; i < seen->n && i < LINK_NONCES_MAX; i++)
        if (memcmp(seen->b[i], nonce, LINK_NONCE_LEN) == 0)
            return false;
    return true;
}

void drive_spend(struct drive *d, const uint8_t nonce[LINK_NONCE_LEN])
{
    struct link_nonces *seen = d->shake->ready->nonces;

    if (seen != NULL)
        memcpy(seen->b[seen->n++ % LINK_NONCES_MAX], nonce, LINK_NONCE_LEN);
}

bool drive_joins(const struct drive *d)
{
    return d->join;
}

const char *drive_email(const struct drive *d)
{
    const char *own = d->shake->ready->email;

    return own[0] == '\0' ? NULL : own;
}

int drive_email_keep(struct drive *d, struct str email)
{
    if (!email_is(email))
        return drive_fail(d, ERR_PEER, "%s: no e-mail address", drive_row(d)->name);
    char *to = (char *)buf_room(&d->peer_der, email.n + 1);
    if (to == NULL)
        return drive_fail(d, ERR_LOCAL, "no memory for the peer's address");
    d->info.email = to;
    return str_copy(to, email.n + 1, email);
}

void drive_purpose_put(struct drive *d, struct wr *out)
{
    wr_u8(out, d->join);
}

int drive_purpose_take(struct drive *d, struct rd *in)
{
    unsigned purpose = rd_u8(in);

    if (purpose > 1)
        return drive_fail(d, ERR_PEER, "the client comes for nothing we know");
    d->join = purpose == 1;
    return 0;
}

/* --- steps --- */

const struct drive_step *drive_due(const struct drive *d)
{
    const struct drive_shake *s = d->shake;

    return s->at < d->link->rows_n ? &d->link->drive->steps[s->order[s->at]] : NULL;
}

const struct link_row *drive_row(const struct drive *d)
{
    return &d->link->rows[d->shake->order[d->shake->at]];
}

enum drive_who drive_writer(const struct drive *d)
{
    return drive_row(d)->client_writes ? DRIVE_CLIENT : DRIVE_RELAY;
}

static bool ours(const struct drive *d)
{
    return drive_row(d)->local || drive_row(d)->client_writes == (d->role == ROLE_CLIENT);
}

static uint8_t type_of(const struct drive *d)
{
    return (uint8_t)(d->shake->order[d->shake->at] + 1);
}

/* The step that was due has happened. */
static void happened(struct drive *d, bool out, size_t bytes, uint64_t began)
{
    struct drive_shake *s = d->shake;
    const struct drive_step *step = drive_due(d);
    struct link_step *t = &s->told[s->told_n++];

    *t = (struct link_step){
        .row = s->order[s->at],
        .out = out,
        .local = drive_row(d)->local,
        .bytes = bytes,
        .at_us = began,
        .took_us = drive_now(d) - began,
    };
    if (step->tell != NULL)
        step->tell(d, out, t->detail, sizeof t->detail);
    s->at++;
}

/* Sealed frames are never read in clear, nor under keys of another stage: the table says which. */
static int stage_fits(struct drive *d)
{
    if (drive_due(d)->stage == d->shake->stage)
        return 0;
    return drive_fail(d, ERR_LOCAL, "%s: no keys yet", drive_row(d)->name);
}

static int greet(struct drive *d)
{
    const char *magic = d->link->drive->magic;

    if (d->role == ROLE_RELAY || d->shake->greeted)
        return 0;
    d->shake->greeted = true;
    return buf_add(&d->out, magic, strlen(magic)) < 0
               ? drive_fail(d, ERR_LOCAL, "no memory for a handshake")
               : 0;
}

/* What both sides compute behind the frame that has just become part of the transcript. */
static int step_behind(struct drive *d)
{
    const struct drive_step *step = drive_due(d);

    return step->work == NULL ? 0 : step->work(d);
}

static int step_build(struct drive *d)
{
    const struct drive_step *step = drive_due(d);
    size_t before = d->out.len, n;
    uint64_t began = drive_now(d);

    if (greet(d) < 0)
        return -1;
    uint8_t *head = buf_room(&d->out, DRIVE_HEAD + drive_sealed(d, step->max));
    if (head == NULL)
        return drive_fail(d, ERR_LOCAL, "no memory for a handshake");
    uint8_t *payload = head + DRIVE_HEAD;
    struct wr w = wr_of(payload + drive_lead(d), step->max), h = wr_of(head, DRIVE_HEAD);
    if (step->build(d, &w) < 0)
        return -1;
    if (w.bad)
        return drive_fail(d, ERR_LOCAL, "%s: longer than its bound", drive_row(d)->name);
    n = drive_sealed(d, w.len);
    drive_transcribe(d, type_of(d), wr_span(&w));
    wr_u8(&h, type_of(d));
    wr_u32(&h, (uint32_t)n);
    if (drive_seal(d, wr_span(&h), payload, w.len) < 0)
        return drive_fail(d, ERR_LOCAL, "%s: not sealed", drive_row(d)->name);
    buf_cut(&d->out, (size_t)(payload - buf_span(&d->out).p) + n);
    if (step_behind(d) < 0)
        return -1;
    happened(d, true, d->out.len - before, began);
    return 0;
}

static int step_work(struct drive *d)
{
    uint64_t began = drive_now(d);

    if (drive_due(d)->work(d) < 0)
        return -1;
    happened(d, false, 0, began);
    return 0;
}

/* The frame that is due; its head was judged before. */
static int step_take(struct drive *d, struct span head, uint8_t *payload, size_t n, uint64_t began)
{
    struct span plain;
    struct rd in;

    if (drive_unseal(d, head, payload, n, &plain) < 0)
        return drive_fail(d, ERR_AUTH, "%s: damaged or forged on the way", drive_row(d)->name);
    d->shake->content = plain.p;
    in = rd_of(plain);
    if (drive_due(d)->take(d, &in) < 0)
        return -1;
    if (!rd_done(&in))
        return drive_fail(d, ERR_PEER, "%s: wrong length", drive_row(d)->name);
    drive_transcribe(d, type_of(d), plain); /* a handler sees what came before its own frame */
    if (step_behind(d) < 0)
        return -1;
    happened(d, false, d->shake->lead + head.n + n, began);
    d->shake->lead = 0;
    return 0;
}

/* --- behind the last step --- */

static int result_take(struct drive *d, const struct drive_result *r)
{
    struct record_conf c = {
        .peer = drive_peer(d),
        .hash = HASH_SHA256,
        .aead = r->aead,
        .secret_in = span_of(r->secret[drive_other(d->role)].b, sizeof r->secret[0].b),
        .secret_out = span_of(r->secret[d->role].b, sizeof r->secret[0].b),
        .before = buf_span(&d->out),
        .ratchet = r->ratchet,
        .cbc = d->link->drive->cbc,
        .now = d->shake->ready->peer.now_ms,
        .clock_ctx = d->clock_ctx,
    };

    d->record = record_new(&c, &d->shake->err);
    if (d->record == NULL)
        return -1;
    d->exporter = r->exporter;
    d->info.alpn = d->join ? LINK_ALPN_JOIN : LINK_ALPN_CHAT;
    d->info.join = d->join;
    d->link->drive->info(d, &d->info);
    buf_free(&d->out);
    shake_wipe(d);
    return 0;
}

static int finish(struct drive *d)
{
    struct drive_result r = {0};
    int ret = d->link->drive->finish(d, &r);

    if (ret == 0)
        ret = result_take(d, &r);
    wipe(&r, sizeof r);
    return ret;
}

static int step_ours(struct drive *d)
{
    if (drive_row(d)->local)
        return step_work(d);
    return stage_fits(d) < 0 ? -1 : step_build(d);
}

/* Does whatever is due on our side, up to the peer's next frame. */
static int go_on(struct drive *d)
{
    while (drive_due(d) != NULL && ours(d))
        if (step_ours(d) < 0)
            return -1;
    return drive_due(d) == NULL ? finish(d) : 0;
}

/* --- in --- */

static size_t text_len(const char *s)
{
    return s == NULL ? 0 : strlen(s);
}

/* A head that may be the peer's answer to a failure. */
static bool refusal_fits(const struct drive *d, uint8_t type, size_t n)
{
    const struct drive_proto *p = d->link->drive;

    return type == DRIVE_REFUSED && (n == text_len(p->refused) || n == text_len(p->bad_cert));
}

static int refusal_take(struct drive *d, struct span text)
{
    const struct drive_proto *p = d->link->drive;
    const char *why = "and says no reason";

    if (p->bad_cert != NULL && str_is(str_from(text.p, text.n), p->bad_cert)) {
        why = "because of our certificate";
        d->refused = LINK_BAD_CERT;
    } else if (p->refused != NULL && !str_is(str_from(text.p, text.n), p->refused)) {
        return drive_fail(d, ERR_PEER, "a refusal in words we do not know");
    }
    d->refused_by_peer = true;
    return drive_fail(d, ERR_PEER, "the %s refused, at %s, %s", drive_peer(d), drive_row(d)->name,
                      why);
}

/* Judged by its head, before its content is kept. */
static int head_judge(struct drive *d, uint8_t type, size_t n)
{
    if (refusal_fits(d, type, n))
        return 0;
    if (type != type_of(d) && d->info.peer_n == 0 && d->role == ROLE_CLIENT)
        return drive_fail(d, ERR_PEER, "message %u when %s was due; does the relay speak %s?", type,
                          drive_row(d)->name, d->link->drive->version);
    if (type != type_of(d))
        return drive_fail(d, ERR_PEER, "message %u when %s was due", type, drive_row(d)->name);
    if (n < drive_sealed(d, 0) || n > drive_sealed(d, drive_due(d)->max))
        return drive_fail(d, ERR_PEER, "%s: wrong length", drive_row(d)->name);
    d->shake->early += d->shake->lead + DRIVE_HEAD + n;
    if (!d->info.proven && d->shake->early > LINK_SHAKE_MAX)
        return drive_fail(d, ERR_LIMIT, "%s: too much from a %s not yet proven", drive_row(d)->name,
                          drive_peer(d));
    return stage_fits(d);
}

static int frame_take(struct drive *d)
{
    struct span all = buf_span(&d->shake->in);
    uint64_t began = drive_now(d);
    uint8_t *payload = d->shake->in.p + d->shake->in.off + DRIVE_HEAD;
    size_t n = all.n - DRIVE_HEAD;

    if (all.p[0] == DRIVE_REFUSED)
        return refusal_take(d, span_of(payload, n));
    int ret = step_take(d, span_of(all.p, DRIVE_HEAD), payload, n, began);
    buf_drop(&d->shake->in, all.n);
    return ret < 0 ? -1 : go_on(d);
}

static int magic_take(struct drive *d)
{
    const char *magic = d->link->drive->magic;
    struct span got = buf_span(&d->shake->in);

    if (strncmp(magic, (const char *)got.p, got.n) != 0)
        return drive_fail(d, ERR_PEER, "the client does not speak %s", d->link->drive->version);
    if (got.n < strlen(magic))
        return 0;
    d->shake->greeted = true;
    d->shake->lead = got.n;
    buf_drop(&d->shake->in, got.n);
    return 0;
}

static bool greeting(const struct drive *d)
{
    return d->role == ROLE_RELAY && !d->shake->greeted;
}

/* How many bytes make the piece whole that is being read: magic, head, or head and content. */
static size_t piece_len(const struct drive *d)
{
    struct rd in = rd_of(buf_span(&d->shake->in));

    if (greeting(d))
        return strlen(d->link->drive->magic);
    if (rd_left(&in) < DRIVE_HEAD)
        return DRIVE_HEAD;
    rd_u8(&in);
    return DRIVE_HEAD + rd_u32(&in);
}

/* Something was added to the piece. */
static int piece_take(struct drive *d)
{
    struct rd in = rd_of(buf_span(&d->shake->in));

    if (greeting(d))
        return magic_take(d);
    if (rd_left(&in) == DRIVE_HEAD) {
        uint8_t type = rd_u8(&in);
        if (head_judge(d, type, rd_u32(&in)) < 0)
            return -1;
    }
    return d->shake->in.len < piece_len(d) ? 0 : frame_take(d);
}

/* The answer to everything, in clear: the reason stays here, but for what the protocol wants told.
 */
static int give_up(struct drive *d)
{
    const struct drive_proto *p = d->link->drive;
    const char *why = d->refused != NULL ? p->bad_cert : p->refused;
    uint8_t head[DRIVE_HEAD];
    struct wr h = wr_of(head, sizeof head);

    wr_u8(&h, DRIVE_REFUSED);
    wr_u32(&h, (uint32_t)text_len(why));
    buf_free(&d->out);
    buf_init(&d->out, LINK_EARLY_MAX);
    if (!d->refused_by_peer && buf_add(&d->out, head, sizeof head) == 0)
        (void)!buf_add(&d->out, why, text_len(why)); /* or the end of the stream tells */
    return -1;
}

int drive_feed(void *end, const uint8_t *in, size_t n)
{
    struct drive *d = end;

    if (d->record == NULL && d->shake->err.code != ERR_NONE)
        return -1;
    while (d->record == NULL && n > 0) {
        size_t k = piece_len(d) - d->shake->in.len;

        k = k < n ? k : n;
        if (buf_add(&d->shake->in, in, k) < 0)
            drive_fail(d, ERR_LOCAL, "no memory for a handshake");
        else
            (void)!piece_take(d); /* -1 is in err */
        if (d->shake->err.code != ERR_NONE)
            return give_up(d);
        in += k;
        n -= k;
    }
    return d->record == NULL ? 0 : record_feed(d->record, in, n);
}

int drive_eof(void *end)
{
    struct drive *d = end;

    if (d->record != NULL)
        return record_eof(d->record);
    return drive_fail(d, ERR_IO, "cut: the %s's stream ended within the handshake", drive_peer(d));
}

/* --- out, and what is known --- */

struct span drive_out(void *end)
{
    struct drive *d = end;

    return d->record != NULL ? record_out(d->record) : buf_span(&d->out);
}

void drive_sent(void *end, size_t n)
{
    struct drive *d = end;

    if (d->record != NULL)
        record_sent(d->record, n);
    else
        buf_drop(&d->out, n < d->out.len ? n : d->out.len);
}

size_t drive_waiting(const void *end)
{
    const struct drive *d = end;

    return d->record != NULL ? record_waiting(d->record) : d->out.len;
}

void drive_rest(void *end)
{
    struct drive *d = end;

    if (d->record == NULL || d->shake != NULL)
        return;
    record_rest(d->record);
    if (d->role == ROLE_RELAY) { /* the fingerprint stays */
        buf_free(&d->peer_der);
        d->info.peer_n = 0;
        d->info.email = NULL;
    }
}

int drive_send(void *end, const uint8_t *msg, size_t n)
{
    struct drive *d = end;

    if (d->record == NULL)
        return drive_fail(d, ERR_LOCAL, "nothing can be sent before the handshake is over");
    return record_send(d->record, msg, n);
}

void drive_lend(void *end, struct buf *block)
{
    struct drive *d = end;

    if (d->record != NULL)
        record_lend(d->record, block);
}

void drive_reclaim(void *end, struct buf *block)
{
    struct drive *d = end;

    if (d->record != NULL)
        record_reclaim(d->record, block);
}

int drive_rekey(void *end)
{
    struct drive *d = end;

    return d->record != NULL ? record_rekey(d->record, true) : -1;
}

void drive_close(void *end)
{
    struct drive *d = end;

    if (d->record != NULL)
        record_close(d->record);
}

struct span drive_take(void *end)
{
    struct drive *d = end;

    return d->record != NULL ? record_take(d->record) : span_of(NULL, 0);
}

bool drive_next(void *end, struct link_step *out)
{
    struct drive *d = end;
    struct drive_shake *s = d->shake;

    if (s != NULL && s->told_at < s->told_n) {
        *out = s->told[s->told_at++];
        return true;
    }
    if (s != NULL && d->record != NULL)
        shake_free(d);
    return false;
}

unsigned drive_total(const void *end)
{
    const struct drive *d = end;

    return (unsigned)d->link->rows_n;
}

bool drive_done(const void *end)
{
    const struct drive *d = end;

    return d->record != NULL && record_error(d->record)->code == ERR_NONE;
}

/* The client has written its last step and waits for what the relay makes of it. */
bool drive_said(const void *end)
{
    const struct drive *d = end;

    if (d->record != NULL || d->shake->err.code != ERR_NONE)
        return false;
    for (size_t i = d->shake->at; i < d->link->rows_n; i++)
        if (d->link->rows[d->shake->order[i]].client_writes)
            return false;
    return true;
}

bool drive_closed(const void *end)
{
    const struct drive *d = end;

    return d->record != NULL && record_closed(d->record);
}

const struct err *drive_error(const void *end)
{
    const struct drive *d = end;

    return d->record != NULL ? record_error(d->record) : &d->shake->err;
}

void drive_info(const void *end, struct link_info *out)
{
    const struct drive *d = end;

    *out = d->info;
    out->stale = d->record != NULL ? record_stale(d->record) : 0;
    out->refused = d->refused;
    out->due = d->record == NULL && drive_due(d) != NULL ? drive_row(d) : NULL;
    out->refused_by_peer = d->refused_by_peer;
}

int drive_exporter(const void *end, const char *label, struct key *out)
{
    const struct drive *d = end;

    if (strcmp(label, LINK_EXPORTER_LOGIN) != 0 || !drive_done(d))
        return -1;
    *out = d->exporter;
    return 0;
}
