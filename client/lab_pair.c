#include "client/lab_pair.h"

#include <string.h>

#include "client/wire.h"
#include "common/crypto/issue.h"
#include "common/util/time.h"

enum { HOUR_MS = 3600 * 1000, CLASSIC_BITS = 2048 /* as a relay */ };

static struct span der_span(const struct lab_der *d)
{
    return span_of(d->b, d->n);
}

/* --- certificates --- */

static int issue(struct lab_pki *k, struct cert_form *f, struct pkey *subject,
                 const struct issuer *by, struct lab_der *out, struct err *e)
{
    uint8_t spki[SPKI_MAX];
    size_t n;
    int64_t now = clock_wall_ms(NULL);

    if (pkey_spki(subject, spki, &n, e) < 0)
        return -1;
    if (serial_draw(&f->serial, &k->rng) < 0)
        return err_set(e, ERR_LOCAL, "no random numbers");
    f->spki = span_of(spki, n);
    f->not_before = now - HOUR_MS;
    f->not_after = now + DAY_MS;
    return cert_issue(f, by, &k->rng, out->b, &out->n, e);
}

static int cas_issue(struct lab_pki *k, struct err *e)
{
    struct cert_form root = cert_form_of(CERT_ROOT), issuer = cert_form_of(CERT_INTERMEDIATE);
    const struct issuer itself = {{NULL, 0}, k->root_key};

    root.cn = str_of("throw-away root");
    issuer.cn = str_of("throw-away issuer");
    if (issue(k, &root, k->root_key, &itself, &k->root, e) < 0)
        return -1;
    const struct issuer by = {der_span(&k->root), k->root_key};
    return issue(k, &issuer, k->issuer_key, &by, &k->issuer, e);
}

static int relay_issue(struct lab_pki *k, struct pkey *key, struct lab_der *out, struct err *e)
{
    const struct issuer by = {der_span(&k->issuer), k->issuer_key};
    struct cert_form f = cert_form_of(CERT_RELAY);

    f.cn = str_of(LAB_HOST);
    f.sans[f.sans_n++] = (struct san){SAN_DNS, span_of(LAB_HOST, strlen(LAB_HOST))};
    return issue(k, &f, key, &by, out, e);
}

static int member_issue(struct lab_pki *k, struct err *e)
{
    const struct issuer by = {der_span(&k->issuer), k->issuer_key};
    struct cert_form f = cert_form_of(CERT_DEVICE);
    char uri[64];

    f.cn = str_of("alice");
    f.ou = str_of("laptop");
    if (device_uri(uri, sizeof uri, f.cn, f.ou) < 0)
        return err_set(e, ERR_LOCAL, "the name of a device does not fit");
    f.sans[f.sans_n++] = (struct san){SAN_URI, span_of(uri, strlen(uri))};
    return issue(k, &f, k->member_key, &by, &k->member, e);
}

static int keys_make(struct lab_pki *k, struct err *e)
{
    const struct {
        struct pkey **key;
        enum pkey_kind kind;
    } keys[] = {
        {&k->root_key, PKEY_P256},    {&k->issuer_key, PKEY_P256},     {&k->p256_key, PKEY_P256},
        {&k->rsa_key, PKEY_RSA_2048}, {&k->member_key, PKEY_RSA_2048},
    };

    for (size_t i = 0; i < COUNT(keys); i++) {
        *keys[i].key = pkey_generate(keys[i].kind, &k->rng, e);
        if (*keys[i].key == NULL)
            return -1;
    }
    k->textbook = textbook_new(CLASSIC_BITS, &k->rng, e);
    return k->textbook != NULL ? 0 : -1;
}

static int trust_make(struct lab_pki *k, struct err *e)
{
    k->trust = trust_new(TRUST_CRL_OPTIONAL, e);
    return k->trust == NULL || trust_add_root(k->trust, der_span(&k->root), e) < 0 ||
                   trust_add_intermediate(k->trust, der_span(&k->issuer), e) < 0
               ? -1
               : 0;
}

int lab_pki_make(struct lab_pki *k, const struct rng *rng, struct err *e)
{
    *k = (struct lab_pki){.rng = *rng};
    if (keys_make(k, e) == 0 && cas_issue(k, e) == 0 &&
        relay_issue(k, k->p256_key, &k->p256, e) == 0 &&
        relay_issue(k, k->rsa_key, &k->rsa, e) == 0 && member_issue(k, e) == 0 &&
        trust_make(k, e) == 0)
        return 0;
    lab_pki_wipe(k);
    return -1;
}

void lab_pki_wipe(struct lab_pki *k)
{
    pkey_free(k->root_key);
    pkey_free(k->issuer_key);
    pkey_free(k->p256_key);
    pkey_free(k->rsa_key);
    pkey_free(k->member_key);
    textbook_free(k->textbook);
    trust_free(k->trust);
    *k = (struct lab_pki){0};
}

/* --- two ends --- */

/* Which of its two leaves a relay shows, as server/identity has it. */
static bool shows_p256(enum link_kind kind)
{
    return kind == LINK_TLS || kind == LINK_SOVEREIGN;
}

void lab_pair_init(struct lab_pair *p, const struct lab_pki *k, enum link_kind kind)
{
    bool p256 = shows_p256(kind);

    *p = (struct lab_pair){0};
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++)
        p->conf[r] = (struct link_conf){.kind = kind,
                                        .chain = p->chain[r],
                                        .trust = k->trust,
                                        .rng = k->rng,
                                        .now = clock_wall_ms,
                                        .mono = clock_mono_us};
    p->chain[ROLE_CLIENT][0] = der_span(&k->member);
    p->chain[ROLE_RELAY][0] = der_span(p256 ? &k->p256 : &k->rsa);
    p->chain[ROLE_CLIENT][1] = p->chain[ROLE_RELAY][1] = der_span(&k->issuer);
    p->chain[ROLE_RELAY][2] = der_span(&k->root);
    p->conf[ROLE_CLIENT].chain_n = 2;
    p->conf[ROLE_CLIENT].key = k->member_key;
    p->conf[ROLE_CLIENT].host = LAB_HOST;
    p->conf[ROLE_RELAY].chain_n = 3;
    p->conf[ROLE_RELAY].textbook = k->textbook;
    p->conf[ROLE_RELAY].key = p256 ? k->p256_key : k->rsa_key;
}

static void events_take(struct lab_pair *p, enum role r)
{
    struct link_event ev;

    while (link_next(p->end[r], &ev)) {
        p->established[r] |= ev.kind == LINK_ESTABLISHED;
        p->failed[r] |= ev.kind == LINK_FAILED;
        p->closed[r] |= ev.kind == LINK_CLOSED;
        if (p->event != NULL)
            p->event(p->ctx, r, &ev);
    }
}

int lab_pair_start(struct lab_pair *p, struct err *e)
{
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        p->end[r] = link_new(r, &p->conf[r], e);
        if (p->end[r] == NULL)
            return -1;
    }
    events_take(p, ROLE_CLIENT);
    return 0;
}

void lab_pair_feed(struct lab_pair *p, enum role to, struct span bytes)
{
    (void)!link_feed(p->end[to], bytes.p, bytes.n); /* LINK_FAILED says it too */
    events_take(p, to);
}

bool lab_pair_move(struct lab_pair *p, enum role from)
{
    enum role to = from == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
    struct span out = link_out(p->end[from]);
    struct buf bytes;
    size_t n = out.n;

    if (n == 0)
        return false;
    buf_init(&bytes, LINK_OUT_MAX * 2);
    if (buf_add(&bytes, out.p, n) < 0)
        return false;
    p->moved[from] += n;
    link_sent(p->end[from], n);
    if (p->middle != NULL)
        p->middle(p->ctx, from, &bytes);
    lab_pair_feed(p, to, buf_span(&bytes));
    events_take(p, from);
    buf_free(&bytes);
    return true;
}

void lab_pair_run(struct lab_pair *p)
{
    bool more;

    do {
        more = lab_pair_move(p, ROLE_CLIENT);
        more |= lab_pair_move(p, ROLE_RELAY);
    } while (more);
}

/* The end that refused has the better reason than the one that was told. */
static int failure(const struct lab_pair *p, struct err *e)
{
    struct link_info info;

    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        link_info(p->end[r], &info);
        if (p->failed[r] && !info.refused_by_peer)
            return err_set(e, link_error(p->end[r])->code, "the %s: %s",
                           r == ROLE_CLIENT ? "client" : "relay", link_error(p->end[r])->text);
    }
    return err_set(e, ERR_PEER, "the handshake did not end");
}

int lab_pair_meet(struct lab_pair *p, struct err *e)
{
    if (lab_pair_start(p, e) < 0)
        return -1;
    lab_pair_run(p);
    if (p->established[ROLE_RELAY] && !p->failed[ROLE_RELAY] &&
        link_send(p->end[ROLE_RELAY], (const uint8_t *)"!", 1) == 0)
        lab_pair_run(p);
    return p->established[ROLE_CLIENT] && p->established[ROLE_RELAY] ? 0 : failure(p, e);
}

void lab_pair_free(struct lab_pair *p)
{
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        link_free(p->end[r]);
        p->end[r] = NULL;
    }
}
