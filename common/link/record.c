/* Sealed records. The content type is the last byte that is not zero inside the seal; outside every
 * record looks like data. */
#include "common/link/record.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/cbc.h"
#include "common/crypto/tls.h"
#include "common/link/record_priv.h"

enum { IN, OUT };

enum {
    SEAL_EXTRA = 1 + AEAD_TAG_LEN, /* the type counts as sealed content */
    OUT_SPARE = 512,               /* above LINK_OUT_MAX: for an alert and KeyUpdates */
    CBC_TIME = 8,                  /* behind the head of a record that is sealed with CBC */
    CBC_HEAD = RECORD_HEAD + CBC_TIME,
    MSG_HEAD = 4,
    MSG_TICKET = 4,
    MSG_KEY_UPDATE = 24,
    TICKET_SECONDS_MAX = 7 * 24 * 3600,
};

/* --- two seals: an AEAD, and CBC with HMAC, where a time and an IV stand before the content --- */

static bool cbc(const struct record *r)
{
    return r->clock != NULL;
}

static size_t lead_of(const struct record *r)
{
    return cbc(r) ? CBC_HEAD + CBC_IV : RECORD_HEAD;
}

/* Of a whole record that holds n bytes of content. */
static size_t record_size(const struct record *r, size_t n)
{
    return cbc(r) ? CBC_HEAD + cbc_len(n + 1) : RECORD_HEAD + n + SEAL_EXTRA;
}

/* At most more than the content. */
static size_t record_extra(const struct record *r)
{
    return cbc(r) ? CBC_HEAD + 1 + CBC_EXTRA : RECORD_HEAD + SEAL_EXTRA;
}

/* Room for what a whole record of this size may hold: content, type and padding. */
static size_t inner_size(const struct record *r, size_t size)
{
    return cbc(r) ? size - CBC_HEAD - CBC_IV - CBC_MAC : size - RECORD_HEAD - AEAD_TAG_LEN;
}

/* --- keys --- */

static int side_keys(const struct record *r, struct record_side *s)
{
    struct span secret = span_of(s->secret, hash_len(r->hash)), none = {NULL, 0};

    s->seq = 0;
    if (hkdf_expand_label(r->hash, secret, "key", none, s->key.b, sizeof s->key.b) < 0)
        return -1;
    return hkdf_expand_label(r->hash, secret, "iv", none, s->iv, sizeof s->iv);
}

/* RFC 8446 7.2: the next secret takes the place of this one, which nobody can compute any more. */
static int side_next(const struct record *r, struct record_side *s)
{
    uint8_t next[SHA384_LEN];
    size_t n = hash_len(r->hash);
    int ret = -1;

    if (hkdf_expand_label(r->hash, span_of(s->secret, n), "traffic upd", span_of(NULL, 0), next,
                          n) == 0) {
        memcpy(s->secret, next, n);
        ret = side_keys(r, s);
    }
    wipe(next, sizeof next);
    return ret;
}

/* One record went under this key. With a ratchet it was the only one, and the secret it came from
 * is gone: who learns the present one opens nothing that was before. */
static int side_spent(const struct record *r, struct record_side *s)
{
    s->seq++;
    return r->ratchet ? side_next(r, s) : 0;
}

/* A counter that came to its end gives no nonce: none is ever used twice. */
static int side_nonce(const struct record_side *s, uint8_t nonce[AEAD_IV_LEN])
{
    if (s->seq == UINT64_MAX)
        return -1;
    aead_nonce(nonce, s->iv, s->seq);
    return 0;
}

/* --- birth and death --- */

static int side_start(const struct record *r, struct record_side *s, struct span secret)
{
    if (secret.n != hash_len(r->hash))
        return -1;
    memcpy(s->secret, secret.p, secret.n);
    return side_keys(r, s);
}

static int clock_start(struct record *r, const struct record_conf *c)
{
    r->clock = calloc(1, sizeof *r->clock);
    if (r->clock == NULL)
        return -1;
    r->clock->now = c->now;
    r->clock->ctx = c->clock_ctx;
    return 0;
}

struct record *record_new(const struct record_conf *c, struct err *e)
{
    struct record *r = calloc(1, sizeof *r);

    if (r == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a link");
        return NULL;
    }
    r->peer = c->peer;
    r->hash = c->hash;
    r->aead = c->aead;
    r->tickets = c->tickets;
    r->verdict = c->verdict;
    r->ratchet = c->ratchet;
    r->alert = ALERT_NONE;
    if (c->cbc && clock_start(r, c) < 0) {
        err_set(e, ERR_LOCAL, "no memory for a link");
        record_free(r);
        return NULL;
    }
    buf_init(&r->in, RECORD_HEAD + RECORD_MAX);
    buf_init(&r->hand, MSG_HEAD + LINK_MESSAGE_MAX);
    buf_init(&r->plain, LINK_IN_MAX);
    buf_init(&r->out, LINK_OUT_MAX + OUT_SPARE);
    if (aead_nonce_len(r->aead) != AEAD_IV_LEN || side_start(r, &r->sides[IN], c->secret_in) < 0 ||
        side_start(r, &r->sides[OUT], c->secret_out) < 0 ||
        buf_add(&r->out, c->before.p, c->before.n) < 0) {
        err_set(e, ERR_LOCAL, "these secrets do not fit this suite");
        record_free(r);
        return NULL;
    }
    r->sealed = r->out.len;
    return r;
}

void record_free(struct record *r)
{
    if (r == NULL)
        return;
    buf_free(&r->in);
    buf_free(&r->hand);
    buf_free(&r->plain);
    buf_free(&r->out);
    free(r->clock);
    wipe(r, sizeof *r);
    free(r);
}

static int fail(struct record *r, enum err_code code, const char *why)
{
    r->failed = true;
    return err_set(&r->err, code, "%s", why);
}

/* Why a buffer did not take n bytes: it is full, or there is no memory. */
static bool full(const struct buf *b, size_t n)
{
    return n > b->max - b->len;
}

static int fail_memory(struct record *r)
{
    return fail(r, ERR_LOCAL, "no memory for a record");
}

static int fail_slow(struct record *r)
{
    r->failed = true;
    return err_set(&r->err, ERR_LIMIT, "the %s reads too slowly", r->peer);
}

/* --- out --- */

/* n bytes did not go out. */
static int fail_out(struct record *r, size_t n)
{
    return full(&r->out, n) ? fail_slow(r) : fail_memory(r);
}

static bool gathering(const struct record *r)
{
    return r->out.len > r->sealed;
}

/* Bytes of content that were gathered. */
static size_t gathered(const struct record *r)
{
    return r->out.len - r->sealed - lead_of(r);
}

static int gather(struct record *r, const uint8_t *p, size_t n)
{
    if (!gathering(r) && buf_room(&r->out, lead_of(r)) == NULL)
        return fail_out(r, lead_of(r));
    return buf_add(&r->out, p, n) < 0 ? fail_out(r, n) : 0;
}

static void head_put(uint8_t head[RECORD_HEAD], size_t n)
{
    head[0] = RECORD_DATA;
    head[1] = head[2] = 3;
    head[3] = (uint8_t)(n >> 8);
    head[4] = (uint8_t)n;
}

/* rec: a whole record but for its seal; n bytes of content and type. */
static int seal_aead(struct record *r, uint8_t *rec, size_t n)
{
    struct record_side *s = &r->sides[OUT];
    uint8_t nonce[AEAD_IV_LEN], *content = rec + RECORD_HEAD;

    if (side_nonce(s, nonce) < 0)
        return fail(r, ERR_LIMIT, "the key of this direction is used up");
    if (aead_seal(r->aead, &s->key, nonce, span_of(rec, RECORD_HEAD), span_of(content, n),
                  content) < 0)
        return fail(r, ERR_LOCAL, "a record could not be sealed");
    return 0;
}

static int seal_cbc(struct record *r, uint8_t *rec, size_t n)
{
    struct record_side *s = &r->sides[OUT];
    struct wr time = wr_of(rec + RECORD_HEAD, CBC_TIME);

    wr_u64(&time, (uint64_t)r->clock->now(r->clock->ctx));
    if (cbc_seal(&s->key, s->seq, span_of(rec, CBC_HEAD), rec + CBC_HEAD, n) < 0)
        return fail(r, ERR_LOCAL, "a record could not be sealed");
    return 0;
}

/* Seals what was gathered, where it lies. */
static int seal(struct record *r, uint8_t type)
{
    size_t n = gathered(r), size = record_size(r, n), behind = size - lead_of(r) - n;
    uint8_t *end = buf_room(&r->out, behind);

    if (end == NULL)
        return fail_out(r, behind);
    *end = type;
    uint8_t *rec = end - n - lead_of(r);
    head_put(rec, size - RECORD_HEAD);
    if ((cbc(r) ? seal_cbc(r, rec, n + 1) : seal_aead(r, rec, n + 1)) < 0)
        return -1;
    r->sealed = r->out.len;
    return side_spent(r, &r->sides[OUT]) < 0 ? fail(r, ERR_LOCAL, "no next key") : 0;
}

static int seal_data(struct record *r)
{
    size_t before = r->sealed;

    if (!gathering(r))
        return 0;
    if (seal(r, RECORD_DATA) < 0)
        return -1;
    r->wished = 0;
    if (r->first[OUT] == 0)
        r->first[OUT] = (unsigned)(r->sealed - before);
    return 0;
}

/* A record of its own, behind what was gathered. */
static int seal_alone(struct record *r, uint8_t type, const uint8_t *p, size_t n)
{
    return seal_data(r) < 0 || gather(r, p, n) < 0 ? -1 : seal(r, type);
}

static int update_send(struct record *r, bool ask)
{
    const uint8_t msg[] = {MSG_KEY_UPDATE, 0, 0, 1, ask};

    if (seal_alone(r, RECORD_HANDSHAKE, msg, sizeof msg) < 0)
        return -1;
    return side_next(r, &r->sides[OUT]) < 0 ? fail(r, ERR_LOCAL, "no next key") : 0;
}

/* What is due before the next data: one answer, however often the peer has asked. */
static int update_due(struct record *r)
{
    bool ask = r->ask, answer = r->owed || r->sides[OUT].seq >= LINK_REKEY;

    r->ask = r->owed = false;
    if (ask && update_send(r, true) < 0)
        return -1;
    return answer ? update_send(r, false) : 0;
}

/* Gives up on our own account, and says so: the only alert, and nothing behind a close_notify. */
static int give_up(struct record *r, unsigned alert, enum err_code code, const char *why)
{
    const uint8_t msg[] = {2, (uint8_t)alert};

    if (!r->failed && !r->closing)
        (void)!seal_alone(r, RECORD_ALERT, msg, sizeof msg); /* or the end of the stream tells */
    return fail(r, code, why);
}

size_t record_waiting(const struct record *r)
{
    return gathering(r) ? r->sealed + record_size(r, gathered(r)) : r->out.len;
}

int record_send(struct record *r, const uint8_t *p, size_t n)
{
    if (r->failed)
        return -1;
    if ((r->verdict && r->first[IN] == 0) || r->closing || r->closed)
        return fail(r, ERR_LOCAL, "nothing can be sent in this state");
    if (n > LINK_OUT_MAX ||
        record_waiting(r) + n + (n / RECORD_PLAIN_MAX + 1) * record_extra(r) > LINK_OUT_MAX)
        return fail_slow(r);
    r->busy = true;
    while (n > 0) {
        if (!gathering(r) && update_due(r) < 0)
            return -1;
        size_t has = gathering(r) ? gathered(r) : 0;
        size_t k = n < RECORD_PLAIN_MAX - has ? n : RECORD_PLAIN_MAX - has;
        if (gather(r, p, k) < 0 || (has + k == RECORD_PLAIN_MAX && seal_data(r) < 0))
            return -1;
        p += k;
        n -= k;
    }
    return 0;
}

/* A peer that asks for new keys and never reads gets one answer, not a queue of them. */
struct span record_out(struct record *r)
{
    if (!r->failed && seal_data(r) == 0 && r->sealed == 0 && !r->closing && !r->closed)
        (void)!update_due(r); /* -1 is in err, and nothing more will come */
    return span_of(buf_span(&r->out).p, r->sealed);
}

void record_sent(struct record *r, size_t n)
{
    if (n > r->sealed)
        n = r->sealed;
    buf_drop(&r->out, n);
    r->sealed -= n;
    r->busy = true;
}

void record_lend(struct record *r, struct buf *block)
{
    buf_move(&r->out, block);
}

void record_reclaim(struct record *r, struct buf *block)
{
    buf_move(block, &r->out);
}

int record_rekey(struct record *r, bool ask)
{
    if (r->failed || r->closing || r->closed)
        return -1;
    /* What was gathered goes first, and is something that the last wishes carried. */
    if (seal_data(r) < 0 || (ask && r->wished == LINK_ASKS_MAX))
        return -1;
    if (!ask)
        r->owed = false;
    r->wished += ask;
    return update_send(r, ask);
}

void record_close(struct record *r)
{
    static const uint8_t msg[] = {1, ALERT_CLOSE_NOTIFY};

    if (r->failed || r->closing)
        return;
    (void)!seal_alone(r, RECORD_ALERT, msg, sizeof msg); /* -1 is in err */
    r->closing = true;
}

/* --- in: what a record may hold --- */

static int barren(struct record *r)
{
    if (++r->barren > LINK_BARREN_MAX)
        return give_up(r, ALERT_UNEXPECTED, ERR_LIMIT, "too many records without data");
    return 0;
}

static int take_data(struct record *r, size_t n, size_t wire)
{
    if (n == 0)
        return barren(r);
    r->barren = 0;
    if (r->first[IN] == 0)
        r->first[IN] = (unsigned)wire;
    return 0;
}

static int take_alert(struct record *r, struct span a)
{
    if (a.n != 2)
        return give_up(r, ALERT_DECODE, ERR_PEER, "an alert of the wrong length");
    if (a.p[1] == ALERT_USER_CANCELED)
        return barren(r);
    if (a.p[1] != ALERT_CLOSE_NOTIFY) { /* fatal, whatever its level says, and not answered */
        r->alert = a.p[1];
        r->failed = true;
        return tls_alert_told(&r->err, r->peer, r->alert);
    }
    if (r->verdict && r->first[IN] == 0) {
        r->failed = true;
        return err_set(&r->err, ERR_PEER, "the %s closed before it let us in", r->peer);
    }
    r->closed = true;
    return 0;
}

static int take_update(struct record *r, struct span body, size_t behind)
{
    if (behind > 0)
        return give_up(r, ALERT_UNEXPECTED, ERR_PEER, "bytes behind KeyUpdate under the old key");
    if (body.p[0] > 1)
        return give_up(r, ALERT_ILLEGAL, ERR_PEER, "a KeyUpdate that means nothing");
    if (body.p[0] == 1) {
        if (!r->closing && seal_data(r) < 0) /* it was said before we were asked */
            return -1;
        r->owed = true;
    }
    r->asked = false;
    return side_next(r, &r->sides[IN]) < 0 ? fail(r, ERR_LOCAL, "no next key") : 0;
}

/* RFC 8446 4.6.1. We never resume: it is read to its end and forgotten. */
static int take_ticket(struct record *r, struct span body)
{
    struct rd b = rd_of(body), exts;
    uint32_t life = rd_u32(&b);

    rd_u32(&b);
    rd_take(&b, rd_u8(&b));
    size_t ticket = rd_u16(&b);
    rd_take(&b, ticket);
    size_t n = rd_u16(&b);
    const uint8_t *p = rd_take(&b, n);
    exts = rd_of(span_of(p, p == NULL ? 0 : n));
    while (rd_left(&exts) > 0) {
        rd_u16(&exts);
        rd_take(&exts, rd_u16(&exts));
    }
    if (!rd_done(&b) || exts.bad || ticket == 0 || life > TICKET_SECONDS_MAX)
        return give_up(r, ALERT_DECODE, ERR_PEER, "a session ticket that cannot be read");
    r->tickets--;
    return 0;
}

/* Judged by its head, before its body is kept. */
static int message_legal(struct record *r, unsigned type, size_t n)
{
    if (type == MSG_KEY_UPDATE)
        return n == 1 ? 0 : give_up(r, ALERT_DECODE, ERR_PEER, "a KeyUpdate of the wrong length");
    if (type != MSG_TICKET || r->tickets == 0)
        return give_up(r, ALERT_UNEXPECTED, ERR_PEER, "a handshake message behind the handshake");
    if (n > LINK_MESSAGE_MAX)
        return give_up(r, ALERT_DECODE, ERR_LIMIT, "a session ticket that is too long");
    return 0;
}

/* One message from the front of what has come. 1: taken, 0: not whole yet, -1: refused. */
static int take_message(struct record *r)
{
    struct span all = buf_span(&r->hand);
    struct rd b = rd_of(all);
    unsigned type = rd_u8(&b);
    size_t n = rd_u24(&b);

    if (all.n < MSG_HEAD)
        return 0;
    if (message_legal(r, type, n) < 0)
        return -1;
    const uint8_t *body = rd_take(&b, n);
    if (body == NULL)
        return 0;
    int ret = type == MSG_KEY_UPDATE ? take_update(r, span_of(body, n), rd_left(&b))
                                     : take_ticket(r, span_of(body, n));
    buf_drop(&r->hand, MSG_HEAD + n);
    return ret < 0 ? -1 : 1;
}

static int take_handshake(struct record *r, struct span s)
{
    int ret = 1;

    if (s.n == 0)
        return give_up(r, ALERT_UNEXPECTED, ERR_PEER, "an empty handshake record");
    if (barren(r) < 0)
        return -1;
    bool fits = !full(&r->hand, s.n);
    if (fits && buf_add(&r->hand, s.p, s.n) < 0)
        return fail_memory(r);
    if (!fits)
        return give_up(r, ALERT_OVERFLOW, ERR_LIMIT, "too much behind the handshake");
    while (ret > 0 && r->hand.len > 0)
        ret = take_message(r);
    if (r->hand.len == 0)
        buf_free(&r->hand);
    return ret < 0 ? -1 : 0;
}

/* Content that was opened to the end of plain; only data stays there. */
static int take(struct record *r, int type, struct span content, size_t wire)
{
    bool broken = r->hand.len > 0 && type != RECORD_HANDSHAKE;

    if (broken || type != RECORD_DATA)
        buf_cut(&r->plain, r->plain.len - content.n);
    if (broken)
        return give_up(r, ALERT_UNEXPECTED, ERR_PEER, "something inside a handshake message");
    switch (type) {
    case RECORD_DATA: return take_data(r, content.n, wire);
    case RECORD_ALERT: return take_alert(r, content);
    case RECORD_HANDSHAKE: return take_handshake(r, content);
    default: return give_up(r, ALERT_UNEXPECTED, ERR_PEER, "a record of no kind we know");
    }
}

/* --- in: the seal --- */

/* The peer has to change its key in time. */
static int side_limit(struct record *r)
{
    const struct record_side *s = &r->sides[IN];

    if (s->seq >= LINK_REKEY && !r->asked)
        r->ask = r->asked = true;
    if (s->seq >= LINK_KEY_MAX)
        return give_up(r, ALERT_UNEXPECTED, ERR_LIMIT, "the peer has used one key for too long");
    return 0;
}

static int open_aead(struct record *r, struct span rec, uint8_t *to, size_t *n)
{
    struct record_side *s = &r->sides[IN];
    struct span body = span_of(rec.p + RECORD_HEAD, rec.n - RECORD_HEAD);
    uint8_t nonce[AEAD_IV_LEN];

    *n = inner_size(r, rec.n);
    if (side_nonce(s, nonce) < 0)
        return -1;
    return aead_open(r->aead, &s->key, nonce, span_of(rec.p, RECORD_HEAD), body, to);
}

/* The order of records is known by their count. Their time is shown, and refuses nothing. */
static int open_cbc(struct record *r, struct span rec, uint8_t *to, size_t *n)
{
    struct record_side *s = &r->sides[IN];
    struct rd time = rd_of(span_of(rec.p + RECORD_HEAD, CBC_TIME));
    int64_t now = r->clock->now(r->clock->ctx), then = (int64_t)rd_u64(&time);

    if (cbc_open(&s->key, s->seq, span_of(rec.p, CBC_HEAD),
                 span_of(rec.p + CBC_HEAD, rec.n - CBC_HEAD), to, n) < 0)
        return -1;
    if (then < now - LINK_FRESH_MS || then > now + LINK_FRESH_MS)
        r->clock->stale++;
    return 0;
}

static int open_record(struct record *r, struct span rec)
{
    size_t before = r->plain.len, room = inner_size(r, rec.n), n = 0;

    if (side_limit(r) < 0)
        return -1;
    uint8_t *to = buf_room(&r->plain, room);
    if (to == NULL && !full(&r->plain, room))
        return fail_memory(r);
    if (to == NULL)
        return give_up(r, ALERT_OVERFLOW, ERR_LIMIT, "more came than was taken");
    if ((cbc(r) ? open_cbc(r, rec, to, &n) : open_aead(r, rec, to, &n)) < 0) {
        buf_cut(&r->plain, before);
        return give_up(r, ALERT_BAD_RECORD, ERR_PEER, "a record was damaged or forged on the way");
    }
    if (side_spent(r, &r->sides[IN]) < 0)
        return fail(r, ERR_LOCAL, "no next key");
    while (n > 0 && to[n - 1] == 0)
        n--;
    int type = n > 0 ? to[--n] : 0;
    buf_cut(&r->plain, before + n);
    return take(r, type, span_of(to, n), rec.n);
}

/* What the head says; 0: refused. Nothing is kept of a record that cannot be one of ours. */
static size_t record_len(struct record *r, const uint8_t *head)
{
    size_t n = (size_t)(head[3] << 8 | head[4]);

    if (head[0] != RECORD_DATA)
        give_up(r, ALERT_UNEXPECTED, ERR_PEER, "an unsealed record behind the handshake");
    else if (RECORD_HEAD + n > record_size(r, RECORD_PLAIN_MAX))
        give_up(r, ALERT_OVERFLOW, ERR_PEER, "a record is longer than TLS allows");
    else if (RECORD_HEAD + n < record_size(r, 0))
        give_up(r, ALERT_BAD_RECORD, ERR_PEER, "a record is too short to be sealed");
    else
        return RECORD_HEAD + n;
    return 0;
}

/* Adds to a record that came in pieces; how many bytes went there. */
static size_t piece(struct record *r, const uint8_t *in, size_t n)
{
    size_t had = r->in.len, want = RECORD_HEAD - had;

    if (had >= RECORD_HEAD)
        want = record_len(r, buf_span(&r->in).p) - had;
    if (want > n)
        want = n;
    if (buf_add(&r->in, in, want) < 0)
        fail_memory(r);
    return want;
}

/* 1: r->in is whole, 0: not yet, -1: it never will be. */
static int pieces(struct record *r)
{
    if (r->failed)
        return -1;
    if (r->in.len < RECORD_HEAD)
        return 0;
    size_t want = record_len(r, buf_span(&r->in).p);
    return want == 0 ? -1 : r->in.len == want;
}

/* One record from the front of in, if it is whole there; its length. */
static size_t open_whole(struct record *r, const uint8_t *in, size_t n)
{
    size_t want = n < RECORD_HEAD || r->in.len > 0 ? 0 : record_len(r, in);

    if (want == 0 || want > n)
        return 0;
    (void)!open_record(r, span_of(in, want)); /* -1 is in failed */
    return want;
}

int record_feed(struct record *r, const uint8_t *in, size_t n)
{
    r->busy = true;
    while (n > 0 && !r->failed && !r->closed) {
        size_t k = open_whole(r, in, n);

        if (k == 0 && !r->failed) {
            k = piece(r, in, n);
            if (pieces(r) > 0) {
                (void)!open_record(r, buf_span(&r->in)); /* -1 is in failed */
                buf_drop(&r->in, r->in.len);
            }
        }
        in += k;
        n -= k;
    }
    return r->failed ? -1 : 0;
}

int record_eof(struct record *r)
{
    if (r->failed)
        return -1;
    if (r->closed || r->closing)
        return 0;
    r->failed = true;
    return err_set(&r->err, ERR_IO, "cut: the %s's stream ended without a close", r->peer);
}

struct span record_take(struct record *r)
{
    buf_drop(&r->plain, r->taken);
    r->taken = r->plain.len;
    return buf_span(&r->plain);
}

/* --- what it is like --- */

void record_rest(struct record *r)
{
    if (!r->busy) {
        buf_drop(&r->plain, r->taken);
        r->taken = 0;
        struct buf *all[] = {&r->in, &r->plain, &r->out};
        for (size_t i = 0; i < COUNT(all); i++)
            if (all[i]->len == 0 && all[i]->p != NULL)
                buf_free(all[i]);
    }
    r->busy = false;
}

bool record_closed(const struct record *r)
{
    return r->closed;
}

size_t record_first(const struct record *r, bool out)
{
    return r->first[out];
}

unsigned record_stale(const struct record *r)
{
    return r->clock != NULL ? r->clock->stale : 0;
}

unsigned record_alert(const struct record *r)
{
    return r->alert;
}

const struct err *record_error(const struct record *r)
{
    return &r->err;
}
