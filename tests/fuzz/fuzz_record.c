/* Two record layers and somebody who knows the secrets: each step of the input sends, seals, cuts,
 * damages or invents something. Whatever happens, what was not sent is never opened. */
#include <stdlib.h>
#include <string.h>

#include "common/crypto/tls.h"
#include "common/link/record_priv.h"
#include "tests/fuzz/fuzz.h"

enum { CLIENT, RELAY };

enum step { SEND, PASS, PASS_CUT, PASS_DAMAGED, CRAFT, RAW, TAKE, REKEY, REST, CLOSE, STEPS };

struct play {
    struct record *end[2];
    uint64_t said[2], heard[2]; /* bytes of data, by who says them */
    bool spoiled[2];            /* bytes of this end that were never its own went on */
};

static void need(bool ok)
{
    if (!ok)
        abort();
}

static void ends_new(struct play *p, bool chacha)
{
    static const uint8_t secrets[2][SHA384_LEN] = {{1}, {2}};
    enum hash_kind hash = chacha ? HASH_SHA256 : HASH_SHA384;
    struct err e = {0};

    for (int i = 0; i < 2; i++) {
        struct record_conf c = {
            .peer = "peer",
            .hash = hash,
            .aead = chacha ? AEAD_CHACHA20_POLY1305 : AEAD_AES_256_GCM,
            .secret_in = span_of(secrets[!i], hash_len(hash)),
            .secret_out = span_of(secrets[i], hash_len(hash)),
            .tickets = i == CLIENT ? LINK_TICKETS_MAX : 0,
            .verdict = i == CLIENT,
        };
        p->end[i] = record_new(&c, &e);
        need(p->end[i] != NULL);
    }
}

/* A copy of its own size, so that reading past it is seen. */
static void feed(struct play *p, int to, struct span s, size_t damage)
{
    struct record *r = p->end[to];
    uint8_t *copy = malloc(s.n > 0 ? s.n : 1);

    need(copy != NULL);
    if (s.n > 0)
        memcpy(copy, s.p, s.n);
    if (damage < s.n) {
        copy[damage] ^= 1;
        p->spoiled[!to] = true;
    }
    int ret = record_feed(r, copy, s.n);
    need((ret < 0) == (record_error(r)->code != ERR_NONE));
    free(copy);
}

static void pass(struct play *p, int from, size_t most, size_t damage)
{
    struct span s = record_out(p->end[from]);

    need(s.n <= record_waiting(p->end[from]));
    if (s.n > most)
        s.n = most;
    feed(p, !from, s, damage);
    record_sent(p->end[from], s.n);
}

/* Sealed as it should be, whatever it says. */
static void craft(struct play *p, int from, struct span content)
{
    struct record *r = p->end[from];
    struct record_side *s = &r->sides[true];
    uint8_t rec[RECORD_HEAD + 300 + AEAD_TAG_LEN] = {RECORD_DATA, 3, 3}, nonce[AEAD_IV_LEN];
    size_t len = content.n + AEAD_TAG_LEN;

    if (record_out(r).n > 0 || r->failed)
        return; /* that one comes first */
    rec[3] = (uint8_t)(len >> 8);
    rec[4] = (uint8_t)len;
    memcpy(nonce, s->iv, sizeof nonce);
    for (size_t i = 0; i < 8; i++)
        nonce[AEAD_IV_LEN - 1 - i] ^= (uint8_t)(s->seq >> 8 * i);
    need(aead_seal(r->aead, &s->key, nonce, span_of(rec, RECORD_HEAD), content,
                   rec + RECORD_HEAD) == 0);
    s->seq++;
    p->spoiled[from] = true;
    feed(p, !from, span_of(rec, RECORD_HEAD + len), SIZE_MAX);
}

static void take(struct play *p, int at)
{
    struct span s = record_take(p->end[at]);

    for (size_t i = 0; i < s.n; i++, p->heard[!at]++)
        need(p->spoiled[!at] || s.p[i] == (uint8_t)(p->heard[!at] * 7));
    need(p->spoiled[!at] || p->heard[!at] <= p->said[!at]);
}

static void say(struct play *p, int from, size_t n)
{
    uint8_t text[512];

    for (size_t i = 0; i < n; i++)
        text[i] = (uint8_t)((p->said[from] + i) * 7);
    if (record_send(p->end[from], text, n) == 0)
        p->said[from] += n;
}

static void step(struct play *p, enum step what, int who, struct span more)
{
    struct record *r = p->end[who];

    switch (what) {
    case SEND: say(p, who, more.n); return;
    case PASS: pass(p, who, SIZE_MAX, SIZE_MAX); return;
    case PASS_CUT: pass(p, who, more.n, SIZE_MAX); return;
    case PASS_DAMAGED: pass(p, who, SIZE_MAX, more.n); return;
    case CRAFT: craft(p, who, more); return;
    case RAW:
        p->spoiled[who] = true;
        feed(p, !who, more, SIZE_MAX);
        return;
    case TAKE: take(p, who); return;
    case REKEY: (void)!record_rekey(r, more.n % 2); return;
    case REST: record_rest(r); return;
    case CLOSE: record_close(r); return;
    case STEPS: return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd r = rd_of(span_of(data, size));
    struct play p = {0};
    struct err e = {0};

    need(crypto_init(&e) == 0);
    ends_new(&p, rd_u8(&r) & 1);
    while (rd_left(&r) >= 2) {
        unsigned what = rd_u8(&r);
        size_t n = rd_u8(&r);
        bool bytes = what % STEPS == CRAFT || what % STEPS == RAW; /* else n is a number alone */

        if (bytes && n > rd_left(&r))
            n = rd_left(&r);
        const uint8_t *more = rd_take(&r, bytes ? n : 0);
        step(&p, (enum step)(what % STEPS), what / STEPS % 2, span_of(more, n));
    }
    for (int i = 0; i < 2; i++) {
        take(&p, i);
        record_free(p.end[i]);
    }
    return 0;
}
