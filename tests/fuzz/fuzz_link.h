/* fuzz_link.h -- one authority, one relay and one joining client, the same at every start: keys and
 * randomness come from a counter (but PSA draws its ephemeral keys itself), the clocks stand. */
#ifndef TESTS_FUZZ_FUZZ_LINK_H
#define TESTS_FUZZ_FUZZ_LINK_H

#include <stdlib.h>
#include <string.h>

#include "common/crypto/issue.h"
#include "common/link/link.h"
#include "tests/fuzz/fuzz.h"

#ifndef FUZZ_KIND
#define FUZZ_KIND LINK_TLS
#endif

enum { FUZZ_NOW_S = 1750000000 };

struct fuzz_world {
    struct rng rng;
    uint64_t drawn;
    struct pkey *root_key, *inter_key, *relay_key;
    uint8_t der[3][CERT_MAX]; /* leaf, intermediate, root */
    struct span chain[3];
    struct hash root;
    struct trust *trust;
    struct textbook *textbook; /* where `classic` is spoken */
    struct link_conf relay, client;
};

static void fuzz_need(bool ok)
{
    if (!ok)
        abort();
}

static int fuzz_draw(void *ctx, uint8_t *out, size_t n)
{
    uint64_t *drawn = ctx;

    for (size_t i = 0; i < n; i++) {
        struct hash h;
        sha256(span_of(drawn, sizeof *drawn), &h);
        ++*drawn;
        out[i] = h.b[0];
    }
    return 0;
}

static int64_t fuzz_now(void *ctx)
{
    (void)ctx;
    return FUZZ_NOW_S * (int64_t)1000;
}

static uint64_t fuzz_mono(void *ctx)
{
    (void)ctx;
    return 0;
}

static struct pkey *fuzz_key(struct fuzz_world *w)
{
    struct err e = {0};
    struct pkey *k = pkey_generate(PKEY_P256, &w->rng, &e);

    fuzz_need(k != NULL);
    return k;
}

static void fuzz_cert(struct fuzz_world *w, int at, enum cert_role role, struct pkey *key,
                      struct pkey *by_key)
{
    static const char host[] = "relay.test";
    struct cert_form f = cert_form_of(role);
    struct issuer by = {at < 2 ? w->chain[at + 1] : span_of(NULL, 0), by_key};
    uint8_t spki[SPKI_MAX];
    struct err e = {0};
    size_t n;

    fuzz_need(pkey_spki(key, spki, &n, &e) == 0 && serial_draw(&f.serial, &w->rng) == 0);
    f.spki = span_of(spki, n);
    f.cn = str_of(cert_role_name(role));
    f.not_before = fuzz_now(NULL) - 1000;
    f.not_after = fuzz_now(NULL) + 1000 * 1000;
    if (role == CERT_RELAY)
        f.sans[f.sans_n++] = (struct san){SAN_DNS, span_of(host, sizeof host - 1)};
    fuzz_need(cert_issue(&f, &by, &w->rng, w->der[at], &n, &e) == 0);
    w->chain[at] = span_of(w->der[at], n);
}

static void fuzz_confs(struct fuzz_world *w)
{
    struct link_conf base = {.kind = FUZZ_KIND, .rng = w->rng, .now = fuzz_now, .mono = fuzz_mono};

    w->relay = w->client = base;
    w->relay.chain = w->chain;
    w->relay.chain_n = 3;
    w->relay.key = w->relay_key;
    w->relay.trust = w->trust;
    w->relay.textbook = w->textbook;
    w->client.join = true;
    w->client.root = &w->root;
    w->client.host = "relay.test";
}

/* Made at the first input and kept. */
static struct fuzz_world *fuzz_world(void)
{
    static struct fuzz_world w;
    struct err e = {0};

    if (w.trust != NULL)
        return &w;
    fuzz_need(crypto_init(&e) == 0);
    w.rng = (struct rng){fuzz_draw, &w.drawn};
    w.root_key = fuzz_key(&w);
    w.inter_key = fuzz_key(&w);
    w.relay_key = fuzz_key(&w);
    fuzz_cert(&w, 2, CERT_ROOT, w.root_key, w.root_key);
    fuzz_cert(&w, 1, CERT_INTERMEDIATE, w.inter_key, w.root_key);
    fuzz_cert(&w, 0, CERT_RELAY, w.relay_key, w.inter_key);
    sha256(w.chain[2], &w.root);
    w.trust = trust_new(TRUST_CRL_OPTIONAL, &e);
    fuzz_need(w.trust != NULL && trust_add_root(w.trust, w.chain[2], &e) == 0);
    if (FUZZ_KIND == LINK_CLASSIC)
        w.textbook = textbook_new(TEXTBOOK_BITS_MIN, &w.rng, &e);
    fuzz_confs(&w);
    w.relay.ready = link_ready_new(ROLE_RELAY, &w.relay, &e);
    w.client.ready = link_ready_new(ROLE_CLIENT, &w.client, &e);
    fuzz_need(w.relay.ready != NULL && w.client.ready != NULL);
    return &w;
}

/* Takes all events; true when ESTABLISHED was among them. */
static bool fuzz_events(struct link *l)
{
    struct link_event ev;
    bool established = false;

    while (link_next(l, &ev)) {
        if (ev.kind == LINK_ESTABLISHED)
            established = true;
        if (ev.kind == LINK_STEP)
            fuzz_need(ev.step.number <= ev.step.total && ev.step.name != NULL);
        if (ev.kind == LINK_FAILED)
            fuzz_need(link_error(l)->code != ERR_NONE);
    }
    return established;
}

#endif
