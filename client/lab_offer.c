/* The offer of each link, rewritten. */
#include "client/lab_scene.h"

#include <stdlib.h>
#include <string.h>

enum { WEAK_BITS = TEXTBOOK_BITS_MIN };

/* --- of the driven links and tls --- */

static bool replace(struct buf *b, struct span from, struct span to)
{
    struct span all = buf_span(b);
    uint8_t *at = all.n < from.n ? NULL : memmem(all.p, all.n, from.p, from.n);

    if (at != NULL)
        memcpy(at, to.p, to.n); /* as long, and never behind what is there */
    return at != NULL && from.n == to.n;
}

#define BYTES(text) span_of(text, sizeof(text) - 1)

static bool weaken_tls(struct scene *s, struct buf *b)
{
    (void)s; /* supported_versions: TLS 1.3 becomes 1.2 */
    return replace(b, BYTES("\x00\x2b\x00\x03\x02\x03\x04"), BYTES("\x00\x2b\x00\x03\x02\x03\x03"));
}

/* The last byte is the suite that is liked least; it stands in for all. */
static bool weaken_ecdhe(struct scene *s, struct buf *b)
{
    struct span all = buf_span(b);
    uint8_t *p = b->p + b->off;

    (void)s;
    if (all.n < 3)
        return false;
    p[all.n - 2] = p[all.n - 1] == 2 ? 3 : 2;
    return true;
}

static bool weaken_cianr(struct scene *s, struct buf *b)
{
    (void)s; /* who joins proves no certificate */
    return replace(b, BYTES("\"purpose\":\"chat\""), BYTES("\"purpose\":\"join\""));
}

static bool weaken_sovereign(struct scene *s, struct buf *b)
{
    static const char magic[] = "countersign sovereign 1\n";
    size_t at = sizeof magic - 1 + 5; /* behind the head of ClientHello: the purpose */

    (void)s;
    if (b->len <= at)
        return false;
    b->p[b->off + at] = 1;
    return true;
}

/* --- of classic: a number of his own, half as long, in place of the relay's --- */

static bool line_number(const struct buf *b, const char *before, struct textbook_open *out)
{
    struct span all = buf_span(b);
    const char *at = memmem(all.p, all.n, before, strlen(before));
    size_t n = 0;

    if (at == NULL)
        return false;
    at += strlen(before);
    while (at + n < (const char *)all.p + all.n && at[n] >= '0' && at[n] <= '9')
        n++;
    return textbook_number(out, str_from(at, n)) == 0;
}

static bool line_put(struct buf *b, const char *before, const struct textbook_open *v,
                     const char *after)
{
    char digits[TEXTBOOK_DIGITS_MAX + 1];

    if (textbook_digits(digits, span_of(v->b, v->n)) < 0)
        return false;
    buf_cut(b, 0);
    return buf_add(b, before, strlen(before)) == 0 && buf_add(b, digits, strlen(digits)) == 0 &&
           buf_add(b, after, strlen(after)) == 0;
}

#define PUBKEY "{\"type\":\"pubkey\",\"e\":65537,\"n\":"
#define CHUNK  "{\"type\":\"key\",\"chunks\":["

static bool weaken_pubkey(struct scene *s, struct buf *b)
{
    struct err e = {0};
    struct textbook_open weak;

    s->weak = textbook_new(WEAK_BITS, &s->lab->his->rng, &e);
    if (s->weak == NULL || !line_number(b, PUBKEY, &s->n))
        return false;
    textbook_open(s->weak, &weak);
    return line_put(b, PUBKEY, &weak, "}\n");
}

/* He opens the key with his pair and closes it again with the relay's number. */
static bool open_key(struct scene *s, struct buf *b)
{
    struct textbook_open c;
    struct aes_key k;
    bool ok = s->weak != NULL && line_number(b, CHUNK, &c) &&
              textbook_lower(s->weak, &s->lab->his->rng, &c, &k) == 0 &&
              textbook_raise(&c, &k, &s->n) == 0 && line_put(b, CHUNK, &c, "]}\n");

    wipe(&k, sizeof k);
    return ok;
}

static const struct {
    enum role from;
    bool (*weaken)(struct scene *s, struct buf *b);
    bool (*then)(struct scene *s, struct buf *b); /* with the answer; NULL */
} downgrades[LINK_KIND_COUNT] = {
    [LINK_TLS] = {ROLE_CLIENT, weaken_tls, NULL},
    [LINK_ECDHE] = {ROLE_CLIENT, weaken_ecdhe, NULL},
    [LINK_CIANR] = {ROLE_CLIENT, weaken_cianr, NULL},
    [LINK_SOVEREIGN] = {ROLE_CLIENT, weaken_sovereign, NULL},
    [LINK_CLASSIC] = {ROLE_RELAY, weaken_pubkey, open_key},
};

static void middle_downgrade(struct scene *s, enum role from, struct buf *bytes)
{
    struct link_info info;

    link_info(s->pair.end[from], &info);
    if (!s->done && from == downgrades[info.kind].from) {
        s->done = downgrades[info.kind].weaken(s, bytes);
        if (s->done)
            lab_say(s->lab, LAB_ATTACKER, "rewrites the offer");
    } else if (s->done && from != downgrades[info.kind].from &&
               downgrades[info.kind].then != NULL && downgrades[info.kind].then(s, bytes)) {
        lab_say(s->lab, LAB_ATTACKER, "opens the key and passes it on");
    }
}

int lab_downgrade(const struct lab *lab, enum link_kind kind, struct lab_outcome *out,
                  struct err *e)
{
    struct scene s;
    struct err refused = {0};
    int ret = 0;

    scene_init(&s, lab, kind);
    s.middle = middle_downgrade;
    bool both = lab_pair_meet(&s.pair, &refused) == 0;
    if (!s.done)
        ret = err_set(e, ERR_LOCAL, "there was no offer to rewrite");
    else
        outcome_decide(out, &s, both, "both go on with less, and do not know");
    scene_free(&s);
    return ret;
}
