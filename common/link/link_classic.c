/* The link `classic`, after seeds 000 and 003: lines of JSON, a key by textbook RSA or out of a
 * file, AES-128-CBC and HMAC-SHA256 (docs/protocol.md 10.5). It is kept as its documents have it,
 * with what they lack: whoever stands in the middle reads and changes everything. So it proves
 * nobody, gives no exporter, and says so in every step. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/link/classic_line.h"
#include "common/link/link_priv.h"
#include "common/link/steps_classic.h"
#include "common/util/text.h"

#define MAC_LABEL  "auth|"
#define FILE_LABEL "countersign classic 1|file|mac"
#define BAD_MAC    "HMAC verification failed"

enum { STEPS_MAX = 8, TEXT_HEAD = 4, HEX_MAX = 2 * (CLASSIC_TEXT_MAX + CBC_EXTRA) };
static_assert(HEX_MAX + 64 <= CLASSIC_LINE_MAX, "the longest text fits its line");

#define X(id, from_client, by_both, label, on_wire, what) id,
enum rsa_row { STEPS_CLASSIC(X) };
enum file_row { STEPS_CLASSIC_FILE(X) };
#undef X

struct ready {
    atomic_uint refs;
    enum role role;
    bool file;
    struct aes_key key;        /* of the file */
    struct textbook *textbook; /* relay, without file */
    struct rng rng;
    uint64_t (*mono)(void *ctx);
    void *clock_ctx;
};

struct end {
    struct ready *ready; /* NULL once the handshake is over */
    enum role role;
    bool file;
    bool said, done; /* the key is on its way; `ok` came or went */
    bool keyed;      /* keys are there: texts are opened */
    bool hello;      /* relay: it was said */
    bool sent_one, got_one, shown_one;
    bool closed;
    struct cbc_keys keys;
    uint64_t sealed; /* texts so far */
    struct buf line; /* what came of one, its LF is missing */
    struct buf out;
    struct buf texts; /* opened: u32 length, bytes */
    size_t taken;     /* of texts: lent out by the last take */
    struct link_step steps[STEPS_MAX];
    size_t steps_n, steps_at;
    char group[24];
    uint64_t born, began; /* began: the call that runs */
    uint64_t (*mono)(void *ctx);
    void *clock_ctx;
    struct err err;
};

/* --- keys, once for many links of a thread --- */

static void ready_free(void *ready)
{
    struct ready *r = ready;

    if (r == NULL || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    textbook_free(r->textbook);
    wipe(r, sizeof *r);
    free(r);
}

static void *ready_new(const struct link_proto *self, enum role role, const struct link_conf *c,
                       struct err *e)
{
    struct ready *r = calloc(1, sizeof *r);

    (void)self;
    if (r == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a link");
        return NULL;
    }
    atomic_init(&r->refs, 1);
    r->role = role;
    r->file = c->file_key != NULL;
    r->rng = c->rng;
    r->mono = c->mono;
    r->clock_ctx = c->clock_ctx;
    if (r->file)
        r->key = *c->file_key;
    else if (role == ROLE_RELAY && c->textbook == NULL)
        err_set(e, ERR_CONFIG, "classic without a pair of keys");
    else if (role == ROLE_RELAY)
        r->textbook = textbook_copy(c->textbook, e);
    if (!r->file && role == ROLE_RELAY && r->textbook == NULL) {
        ready_free(r);
        return NULL;
    }
    return r;
}

/* --- what goes out --- */

static uint64_t end_now(const void *ctx)
{
    const struct end *end = ctx;

    return end->mono(end->clock_ctx) - end->born;
}

static int refuse(struct end *end, enum err_code code, const char *why)
{
    static const char *const said[] = {
        "{\"type\":\"err\",\"reason\":\"refused\"}\n",
        "{\"type\":\"err\",\"reason\":\"" BAD_MAC "\"}\n",
    };
    const char *line = said[strcmp(why, BAD_MAC) == 0];

    if (end->err.code == ERR_NONE)
        (void)!buf_add(&end->out, line, strlen(line));
    wipe(&end->keys, sizeof end->keys);
    return err_set(&end->err, code, "%s", why);
}

/* Gives -1 when the peer reads too slowly. */
static int say(struct end *end, const char *line)
{
    return buf_add(&end->out, line, strlen(line)) == 0
               ? 0
               : refuse(end, ERR_LIMIT, "the peer reads too slowly");
}

static void step(struct end *end, unsigned row, bool out, size_t bytes, const char *detail)
{
    struct link_step *s = &end->steps[end->steps_n];

    if (end->steps_n == COUNT(end->steps))
        return;
    *s = (struct link_step){.row = row, .out = out, .bytes = bytes, .at_us = end->began};
    s->took_us = end_now(end) - end->began;
    snprintf(s->detail, sizeof s->detail, "%s", detail);
    end->steps_n++;
    end->began = end_now(end);
}

static int keys_make(struct end *end, const struct aes_key *k)
{
    uint8_t both[sizeof MAC_LABEL - 1 + sizeof k->b];
    struct key prk;
    struct hash mac;
    int ret = 0;

    end->keys.aes = *k;
    memcpy(both, MAC_LABEL, sizeof MAC_LABEL - 1);
    memcpy(both + sizeof MAC_LABEL - 1, k->b, sizeof k->b);
    sha256(span_of(both, sizeof both), &mac);
    memcpy(end->keys.mac.b, mac.b, sizeof mac.b);
    if (end->file)
        ret = hkdf_extract(HASH_SHA256, (struct span){NULL, 0}, span_of(k->b, sizeof k->b), prk.b) <
                          0 ||
                      hkdf_expand(HASH_SHA256, span_of(prk.b, sizeof prk.b),
                                  span_of(FILE_LABEL, sizeof FILE_LABEL - 1), end->keys.mac.b,
                                  sizeof end->keys.mac.b) < 0
                  ? -1
                  : 0;
    if (ret == 0)
        ret = rng_fill(&end->ready->rng, end->keys.iv.b, sizeof end->keys.iv.b);
    end->keyed = ret == 0;
    wipe(both, sizeof both);
    wipe(&mac, sizeof mac);
    key_wipe(&prk);
    return ret < 0 ? refuse(end, ERR_LOCAL, "no key") : 0;
}

/* The handshake is over: nothing of the program's is used from here on. */
static void settle(struct end *end)
{
    end->done = true;
    ready_free(end->ready);
    end->ready = NULL;
}

/* --- 2. pubkey, or at once ok --- */

static int say_pubkey(struct end *end)
{
    char digits[TEXTBOOK_DIGITS_MAX + 1], line[TEXTBOOK_DIGITS_MAX + 64];
    struct textbook_open n;

    textbook_open(end->ready->textbook, &n);
    if (textbook_digits(digits, span_of(n.b, n.n)) < 0)
        return refuse(end, ERR_LOCAL, "no public key");
    snprintf(line, sizeof line, "{\"type\":\"pubkey\",\"e\":%d,\"n\":%s}\n", TEXTBOOK_E, digits);
    snprintf(end->group, sizeof end->group, "textbook RSA-%zu", 8 * n.n);
    if (say(end, line) < 0)
        return -1;
    step(end, RSA_PUBKEY, true, strlen(line), end->group);
    return 0;
}

static int say_ok(struct end *end)
{
    static const char line[] = "{\"type\":\"ok\"}\n";

    if (say(end, line) < 0)
        return -1;
    settle(end);
    step(end, end->file ? (unsigned)FILE_KEY : (unsigned)RSA_OK, true, sizeof line - 1, end->group);
    return 0;
}

static int take_hello(struct end *end, const struct classic_line *l, size_t bytes)
{
    (void)l;
    if (end->role != ROLE_RELAY || end->hello)
        return refuse(end, ERR_PEER, "hello when it was not due");
    end->hello = true;
    if (end->file)
        return keys_make(end, &end->ready->key) < 0 ? -1 : say_ok(end);
    step(end, RSA_HELLO, false, bytes, "no version, no certificate");
    return say_pubkey(end);
}

/* --- 3. key --- */

/* The original's reader loses leading zero bytes, so a key that begins with one is drawn anew. */
static int draw(struct end *end, struct aes_key *k)
{
    do {
        if (rng_fill(&end->ready->rng, k->b, sizeof k->b) < 0)
            return refuse(end, ERR_LOCAL, "no random numbers");
    } while (k->b[0] == 0);
    return 0;
}

static int say_key(struct end *end, const struct textbook_open *n)
{
    char digits[TEXTBOOK_DIGITS_MAX + 1], line[TEXTBOOK_DIGITS_MAX + 64];
    struct textbook_open c;
    struct aes_key k = {{0}};
    int ret = -1;

    if (draw(end, &k) < 0 || keys_make(end, &k) < 0)
        goto out;
    if (textbook_raise(&c, &k, n) < 0 || textbook_digits(digits, span_of(c.b, c.n)) < 0) {
        refuse(end, ERR_LOCAL, "the key cannot be sent");
        goto out;
    }
    snprintf(line, sizeof line, "{\"type\":\"key\",\"chunks\":[%s]}\n", digits);
    if (say(end, line) < 0)
        goto out;
    end->said = true;
    step(end, RSA_KEY, true, strlen(line), "16 random bytes, one block");
    ret = 0;
out:
    wipe(&k, sizeof k);
    return ret;
}

static int take_pubkey(struct end *end, const struct classic_line *l, size_t bytes)
{
    struct textbook_open n;
    uint64_t e;

    if (end->role != ROLE_CLIENT || end->said || end->done)
        return refuse(end, ERR_PEER, "pubkey when it was not due");
    if (end->file)
        return refuse(end, ERR_PEER, "the relay has no key file: it wants a key by RSA");
    if (str_u64(l->e, UINT32_MAX, &e) < 0 || e != TEXTBOOK_E || textbook_number(&n, l->n) < 0 ||
        !textbook_modulus(&n))
        return refuse(end, ERR_PEER, "pubkey: not a key of 1024 bits or more with e 65537");
    snprintf(end->group, sizeof end->group, "textbook RSA-%zu", 8 * n.n);
    step(end, RSA_PUBKEY, false, bytes, end->group);
    return say_key(end, &n);
}

static int take_key(struct end *end, const struct classic_line *l, size_t bytes)
{
    struct textbook_open c;
    struct aes_key k;
    int ret = -1;

    if (end->role != ROLE_RELAY || end->file || !end->hello || end->done)
        return refuse(end, ERR_PEER, "key when it was not due");
    if (textbook_number(&c, l->chunk) < 0 ||
        textbook_lower(end->ready->textbook, &end->ready->rng, &c, &k) < 0)
        return refuse(end, ERR_PEER, "key: not a number below n");
    if (keys_make(end, &k) == 0) {
        step(end, RSA_KEY, false, bytes, "16 bytes from somebody");
        ret = say_ok(end);
    }
    wipe(&k, sizeof k);
    return ret;
}

/* --- 4. ok --- */

static int take_ok(struct end *end, const struct classic_line *l, size_t bytes)
{
    (void)l;
    if (end->role != ROLE_CLIENT || end->done)
        return refuse(end, ERR_PEER, "ok when it was not due");
    if (!end->file && !end->said)
        return refuse(end, ERR_PEER, "the relay wants the key of a file: --key-file");
    settle(end);
    step(end, end->file ? (unsigned)FILE_KEY : (unsigned)RSA_OK, false, bytes, end->group);
    return 0;
}

/* --- 5. msg --- */

static int text_keep(struct end *end, const uint8_t *text, size_t n)
{
    uint8_t head[TEXT_HEAD];
    struct wr w = wr_of(head, sizeof head);

    if (n == 0)
        return 0;
    wr_u32(&w, (uint32_t)n);
    if (buf_add(&end->texts, head, sizeof head) < 0 || buf_add(&end->texts, text, n) < 0)
        return refuse(end, ERR_LIMIT, "more texts than are taken");
    return 0;
}

static int text_open(struct end *end, struct str hex)
{
    uint8_t sealed[HEX_MAX / 2], text[HEX_MAX / 2];
    size_t n = hex.n / 2, got = 0;
    int ret = -1;

    if (hex.n % 2 != 0 || n > sizeof sealed || hex_take(sealed, n, hex) < 0)
        return refuse(end, ERR_PEER, "msg: not hex of a text");
    if (cbc_plain_open(&end->keys, span_of(sealed, n), text, &got) < 0)
        refuse(end, ERR_AUTH, BAD_MAC);
    else
        ret = text_keep(end, text, got);
    wipe(text, sizeof text);
    return ret;
}

/* Those of the first text each way: seed 003 lists them. */
static void first_got(struct end *end, size_t bytes)
{
    if (!end->file || end->got_one)
        return;
    end->got_one = true;
    step(end, FILE_VERIFY, false, bytes, "HMAC-SHA256, in constant time, before anything else");
    step(end, FILE_DECRYPT, false, 0, "AES-128-CBC, PKCS#7");
}

static int take_msg(struct end *end, const struct classic_line *l, size_t bytes)
{
    if (!end->keyed)
        return refuse(end, ERR_PEER, "msg before there was a key");
    if (text_open(end, l->ct_hex) < 0)
        return -1;
    first_got(end, bytes);
    return 0;
}

static void first_sent(struct end *end, size_t bytes)
{
    if (!end->file || end->sent_one)
        return;
    end->sent_one = true;
    step(end, FILE_ENCRYPT, true, 0, "AES-128-CBC, PKCS#7, an IV that nobody can foretell");
    step(end, FILE_MAC, true, 0, "HMAC-SHA256 of IV and ciphertext, its key by HKDF");
    step(end, FILE_SEND, true, bytes, "a line of JSON");
}

static int end_send(void *ctx, const uint8_t *msg, size_t n)
{
    static const char head[] = "{\"type\":\"msg\",\"ct_hex\":\"", tail[] = "\"}\n";
    struct end *end = ctx;
    uint8_t sealed[CBC_IV + CLASSIC_TEXT_MAX + CBC_BLOCK + CBC_MAC];
    size_t len = cbc_len(n), before = end->out.len;

    end->began = end_now(end);
    if (end->err.code != ERR_NONE || !end->done || end->closed)
        return refuse(end, ERR_LOCAL, "sent at the wrong time");
    if (n > CLASSIC_TEXT_MAX)
        return refuse(end, ERR_LIMIT, "a text too long for classic");
    memcpy(sealed + CBC_IV, msg, n);
    if (cbc_plain_seal(&end->keys, end->sealed++, sealed, n) < 0)
        return refuse(end, ERR_LOCAL, "a text cannot be sealed");
    if (say(end, head) < 0)
        return -1;
    char *hex = (char *)buf_room(&end->out, 2 * len + 1);
    if (hex == NULL)
        return refuse(end, ERR_LIMIT, "the peer reads too slowly");
    hex_put(hex, span_of(sealed, len));
    buf_cut(&end->out, end->out.len - 1); /* the NUL */
    if (say(end, tail) < 0)
        return -1;
    first_sent(end, end->out.len - before);
    return 0;
}

/* --- err --- */

static int take_err(struct end *end, const struct classic_line *l, size_t bytes)
{
    char raw[200];

    (void)bytes;
    classic_reason(raw, sizeof raw, l->reason);
    end->closed = true; /* nothing is answered to it */
    return err_set(&end->err, ERR_PEER, "the other end says: %s", raw);
}

/* --- lines --- */

static int (*const takers[])(struct end *end, const struct classic_line *l, size_t bytes) = {
    [CLASSIC_HELLO] = take_hello, [CLASSIC_PUBKEY] = take_pubkey, [CLASSIC_KEY] = take_key,
    [CLASSIC_OK] = take_ok,       [CLASSIC_MSG] = take_msg,       [CLASSIC_ERR] = take_err,
};

static int line_take(struct end *end)
{
    struct span s = buf_span(&end->line);
    struct classic_line l;
    int ret;

    if (classic_line_take(&l, str_from(s.p, s.n)) < 0)
        ret = refuse(end, ERR_PEER, "a line that classic does not have");
    else
        ret = takers[l.type](end, &l, s.n + 1);
    buf_drop(&end->line, s.n);
    return ret;
}

static int end_feed(void *ctx, const uint8_t *in, size_t n)
{
    struct end *end = ctx;

    end->began = end_now(end);
    while (n > 0 && end->err.code == ERR_NONE && !end->closed) {
        const uint8_t *lf = memchr(in, '\n', n);
        size_t part = lf == NULL ? n : (size_t)(lf - in);

        if (buf_add(&end->line, in, part) < 0)
            return refuse(end, ERR_LIMIT, "a line too long for classic");
        if (lf == NULL)
            return 0;
        if (line_take(end) < 0)
            return -1;
        in += part + 1;
        n -= part + 1;
    }
    return end->err.code == ERR_NONE ? 0 : -1;
}

/* --- the rest of the interface --- */

static void end_free(void *ctx)
{
    struct end *end = ctx;

    ready_free(end->ready);
    buf_free(&end->line);
    buf_free(&end->out);
    buf_free(&end->texts);
    wipe(end, sizeof *end);
    free(end);
}

static void *end_open(void *ready, struct err *e)
{
    static const char hello[] = "{\"type\":\"hello\"}\n";
    struct ready *r = ready;
    struct end *end = calloc(1, sizeof *end);

    if (end == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a link");
        return NULL;
    }
    atomic_fetch_add(&r->refs, 1);
    end->ready = r;
    end->role = r->role;
    end->file = r->file;
    end->mono = r->mono;
    end->clock_ctx = r->clock_ctx;
    end->born = end->mono(end->clock_ctx);
    snprintf(end->group, sizeof end->group, "%s", end->file ? "a key file" : "");
    buf_init(&end->line, CLASSIC_LINE_MAX);
    buf_init(&end->out, LINK_OUT_MAX);
    buf_init(&end->texts, LINK_IN_MAX);
    if (end->role == ROLE_RELAY)
        return end;
    if ((end->file && keys_make(end, &r->key) < 0) || say(end, hello) < 0) {
        err_set(e, end->err.code, "%s", end->err.text);
        end_free(end);
        return NULL;
    }
    if (!end->file)
        step(end, RSA_HELLO, true, sizeof hello - 1, "no version, no certificate");
    return end;
}

/* There is no word for the end: a cut looks like one. */
static int end_eof(void *ctx)
{
    struct end *end = ctx;

    if (end->err.code != ERR_NONE)
        return -1;
    if (!end->done && !end->closed)
        return refuse(end, ERR_PEER, "cut before the key was agreed");
    return 0;
}

static struct span end_out(void *ctx)
{
    const struct end *end = ctx;

    return buf_span(&end->out);
}

static void end_sent(void *ctx, size_t n)
{
    struct end *end = ctx;

    buf_drop(&end->out, n);
}

static size_t end_waiting(const void *ctx)
{
    const struct end *end = ctx;

    return end->out.len;
}

static void end_rest(void *ctx)
{
    struct end *end = ctx;

    if (end->line.len == 0)
        buf_free(&end->line);
    if (end->out.len == 0)
        buf_free(&end->out);
    if (end->texts.len == end->taken) {
        buf_free(&end->texts);
        end->taken = 0;
    }
}

static void end_close(void *ctx)
{
    struct end *end = ctx;

    end->closed = true;
}

/* It has one key and no way to say another. */
static int end_rekey(void *ctx)
{
    (void)ctx;
    return -1;
}

static bool end_step(void *ctx, struct link_step *s)
{
    struct end *end = ctx;

    if (end->steps_at == end->steps_n)
        return false;
    *s = end->steps[end->steps_at++];
    s->local = end->file && s->row != FILE_SEND;
    if (end->steps_at == end->steps_n)
        end->steps_at = end->steps_n = 0;
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

static struct span end_take(void *ctx)
{
    struct end *end = ctx;
    struct rd r;

    buf_drop(&end->texts, end->taken);
    end->taken = 0;
    if (end->texts.len == 0)
        return (struct span){NULL, 0};
    r = rd_of(buf_span(&end->texts));
    size_t n = rd_u32(&r);
    end->taken = TEXT_HEAD + n;
    if (end->file && !end->shown_one) {
        end->shown_one = true;
        end->began = end_now(end);
        step(end, FILE_SHOW, false, n, "with the mark that belongs to it");
    }
    return span_of(rd_take(&r, n), n);
}

static bool end_done(const void *ctx)
{
    const struct end *end = ctx;

    return end->done && end->err.code == ERR_NONE;
}

static bool end_said(const void *ctx)
{
    const struct end *end = ctx;

    return end->said;
}

static bool end_closed(const void *ctx)
{
    (void)ctx;
    return false;
}

static const struct err *end_error(const void *ctx)
{
    const struct end *end = ctx;

    return &end->err;
}

static void end_info(const void *ctx, struct link_info *out)
{
    const struct end *end = ctx;

    memset(out, 0, sizeof *out);
    out->version = end->file ? "classic (seed 003)" : "classic (seed 000)";
    out->suite = "AES-128-CBC, HMAC-SHA256";
    out->group = end->group[0] == '\0' ? NULL : end->group;
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
    .first = {"{", 1}, .ready_new = ready_new, .ready_free = ready_free, .open = end_open,         \
    .free = end_free, .feed = end_feed, .eof = end_eof, .out = end_out, .sent = end_sent,          \
    .waiting = end_waiting, .rest = end_rest, .send = end_send, .rekey = end_rekey,                \
    .close = end_close, .step = end_step, .take = end_take, .done = end_done, .said = end_said,    \
    .now = end_now, .closed = end_closed, .error = end_error, .info = end_info,                    \
    .exporter = end_exporter

const struct link_proto link_proto_classic = {
    .rows = rsa_rows, .rows_n = COUNT(rsa_rows), .total = rsa_total, CLASSIC_END};

const struct link_proto link_proto_classic_file = {.rows = file_rows,
                                                   .rows_n = COUNT(file_rows),
                                                   .after = COUNT(file_rows) - 1,
                                                   .total = file_total,
                                                   CLASSIC_END};
