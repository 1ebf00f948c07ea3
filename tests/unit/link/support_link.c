#include "support_link.h"

#include <stdlib.h>
#include <string.h>

static void key_make(struct world *w, struct pkey **k, enum pkey_kind kind)
{
    struct err e = {0};

    *k = pkey_generate(kind, &w->rng, &e);
    if (*k == NULL)
        fail_msg("key: %s", e.text);
}

static void issue(struct world *w, struct cert_form *f, struct pkey *subject, struct issuer by,
                  struct der *out)
{
    uint8_t spki[SPKI_MAX];
    size_t n;
    struct err e = {0};

    if (f->spki.n == 0) {
        assert_int_equal(pkey_spki(subject, spki, &n, &e), 0);
        f->spki = span_of(spki, n);
    }
    assert_int_equal(serial_draw(&f->serial, &w->rng), 0);
    if (f->not_after == 0) {
        f->not_before = noon - day_ms;
        f->not_after = noon + 30 * day_ms;
    }
    if (cert_issue(f, &by, &w->rng, out->b, &out->n, &e) < 0)
        fail_msg("issue: %s", e.text);
}

static void ca_make(struct world *w, struct ca *ca, const char *name)
{
    struct cert_form root = cert_form_of(CERT_ROOT), inter = cert_form_of(CERT_INTERMEDIATE);

    key_make(w, &ca->root_key, PKEY_P256);
    key_make(w, &ca->inter_key, PKEY_P256);
    root.cn = str_of(name);
    inter.cn = str_of("issuing");
    issue(w, &root, ca->root_key, (struct issuer){{NULL, 0}, ca->root_key}, &ca->root);
    issue(w, &inter, ca->inter_key, (struct issuer){span_of(ca->root.b, ca->root.n), ca->root_key},
          &ca->inter);
}

void world_issue(struct world *w, struct want want, struct der *out)
{
    const struct ca *by = want.by == NULL ? &w->ours : want.by;
    bool relay = want.role == CERT_RELAY;
    struct cert_form f = cert_form_of(want.role);
    const char *host = want.host == NULL ? RELAY_HOST : want.host;
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    char uri[128];

    f.cn = str_of(relay ? host : "alice");
    f.ou = str_of(relay ? "" : "laptop");
    f.spki = want.spki;
    f.not_before = want.from;
    f.not_after = want.to;
    if (want.no_eku)
        f.server_auth = f.client_auth = false;
    assert_int_equal(device_uri(uri, sizeof uri, str_of("alice"), str_of("laptop")), 0);
    if (relay) {
        f.sans[f.sans_n++] = (struct san){SAN_DNS, span_of(host, strlen(host))};
        f.sans[f.sans_n++] = (struct san){SAN_IP, span_of(loopback, sizeof loopback)};
    } else {
        f.sans[f.sans_n++] = (struct san){SAN_URI, span_of(uri, strlen(uri))};
    }
    if (want.key == NULL)
        want.key = relay ? w->relay_key : w->device_key;
    struct issuer issuer = {span_of(by->inter.b, by->inter.n), by->inter_key};
    if (want.self)
        issuer = (struct issuer){.key = want.key};
    issue(w, &f, want.key, issuer, out);
}

void world_forgive(struct world *w)
{
    struct err e = {0};

    trust_free(w->trust);
    w->trust = trust_new(TRUST_CRL_OPTIONAL, &e);
    assert_non_null(w->trust);
    assert_int_equal(trust_add_root(w->trust, span_of(w->ours.root.b, w->ours.root.n), &e), 0);
    assert_int_equal(
        trust_add_intermediate(w->trust, span_of(w->ours.inter.b, w->ours.inter.n), &e), 0);
}

struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    struct err e = {0};

    assert_non_null(w);
    assert_int_equal(crypto_init(&e), 0);
    w->rng = rng_system();
    w->now = noon;
    key_make(w, &w->relay_key, PKEY_P256);
    key_make(w, &w->device_key, PKEY_RSA_2048);
    w->textbook = textbook_new(TEXTBOOK_BITS_MIN, &w->rng, &e);
    assert_non_null(w->textbook);
    ca_make(w, &w->ours, "our root");
    ca_make(w, &w->theirs, "their root");
    world_issue(w, (struct want){.role = CERT_RELAY}, &w->relay);
    world_issue(w, (struct want){.role = CERT_DEVICE}, &w->device);
    world_forgive(w);
    return w;
}

void world_revoke(struct world *w, const struct der *d)
{
    struct err e = {0};
    struct cert *c = cert_parse(span_of(d->b, d->n), NULL, &e);
    struct cert_info i;
    uint8_t serial[CERT_SERIAL_MAX];
    struct buf out;

    assert_non_null(c);
    cert_info(c, &i);
    size_t n = strlen(i.serial) / 2;
    assert_int_equal(hex_take(serial, n, str_of(i.serial)), 0);
    struct crl_entry entry = {span_of(serial, n), noon - 1000, REVOKE_KEY_COMPROMISE};
    struct crl_form form = {1, noon - 1000, noon + day_ms, &entry, 1};
    struct issuer by = {span_of(w->ours.inter.b, w->ours.inter.n), w->ours.inter_key};
    buf_init(&out, CRL_MAX);
    if (crl_write(&form, &by, &w->rng, &out, &e) < 0 ||
        trust_add_crl(w->trust, buf_span(&out), &e) < 0)
        fail_msg("crl: %s", e.text);
    buf_free(&out);
    cert_free(c);
}

static void ca_free(struct ca *ca)
{
    pkey_free(ca->root_key);
    pkey_free(ca->inter_key);
}

void world_free(struct world *w)
{
    ca_free(&w->ours);
    ca_free(&w->theirs);
    pkey_free(w->relay_key);
    pkey_free(w->device_key);
    textbook_free(w->textbook);
    trust_free(w->trust);
    free(w);
}

/* --- two ends --- */

static int64_t now(void *ctx)
{
    return ((struct world *)ctx)->now;
}

static uint64_t mono(void *ctx)
{
    return ((struct world *)ctx)->mono += 7;
}

static struct span der_span(const struct der *d)
{
    return span_of(d->b, d->n);
}

void pair_conf(struct pair *p, struct world *w)
{
    struct link_conf base = {.kind = LINK_TLS,
                             .trust = w->trust,
                             .rng = w->rng,
                             .now = now,
                             .mono = mono,
                             .clock_ctx = w};

    memset(p, 0, sizeof *p);
    p->w = w;
    p->conf[ROLE_CLIENT] = p->conf[ROLE_RELAY] = base;
    p->chain[ROLE_CLIENT][0] = der_span(&w->device);
    p->chain[ROLE_CLIENT][1] = p->chain[ROLE_RELAY][1] = der_span(&w->ours.inter);
    p->chain[ROLE_RELAY][0] = der_span(&w->relay);
    p->chain[ROLE_RELAY][2] = der_span(&w->ours.root);
    p->conf[ROLE_CLIENT].chain = p->chain[ROLE_CLIENT];
    p->conf[ROLE_CLIENT].chain_n = 2;
    p->conf[ROLE_CLIENT].key = w->device_key;
    p->conf[ROLE_CLIENT].host = RELAY_HOST;
    p->conf[ROLE_RELAY].chain = p->chain[ROLE_RELAY];
    p->conf[ROLE_RELAY].chain_n = 3;
    p->conf[ROLE_RELAY].key = w->relay_key;
    p->conf[ROLE_RELAY].textbook = w->textbook;
    buf_init(&p->got[0], 8 * 1024 * 1024);
    buf_init(&p->got[1], 8 * 1024 * 1024);
}

void pair_start(struct pair *p)
{
    struct err e = {0};

    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        p->end[r] = link_new(r, &p->conf[r], &e);
        if (p->end[r] == NULL)
            fail_msg("link_new: %s", e.text);
    }
    pair_events(p, ROLE_CLIENT);
}

void pair_free(struct pair *p)
{
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        link_free(p->end[r]);
        buf_free(&p->got[r]);
    }
}

/* The order of events, written down by hand: steps before ESTABLISHED (but a relay's own verdict,
 * and those of messages where the key is from a file), messages only after it, nothing behind
 * CLOSED or FAILED. */
static bool event_legal(const struct pair *p, enum role r, const struct link_event *ev)
{
    if (p->closed[r] || p->failed[r])
        return false;
    switch (ev->kind) {
    case LINK_STEP:
        return !p->established[r] || (r == ROLE_RELAY && ev->step.out) ||
               p->conf[r].file_key != NULL;
    case LINK_ESTABLISHED: return !p->established[r];
    case LINK_MESSAGE: return p->established[r] && ev->message.n > 0;
    case LINK_CLOSED: return p->established[r];
    case LINK_FAILED: return true;
    }
    return false;
}

static void event_keep(struct pair *p, enum role r, const struct link_event *ev)
{
    switch (ev->kind) {
    case LINK_STEP:
        assert_true(p->steps_n[r] < COUNT(p->steps[r]));
        p->steps[r][p->steps_n[r]++] = ev->step;
        return;
    case LINK_ESTABLISHED: p->established[r] = true; return;
    case LINK_MESSAGE:
        assert_int_equal(buf_add(&p->got[r], ev->message.p, ev->message.n), 0);
        return;
    case LINK_CLOSED: p->closed[r] = true; return;
    case LINK_FAILED: p->failed[r] = true; return;
    }
}

void pair_events(struct pair *p, enum role r)
{
    struct link_event ev;

    while (link_next(p->end[r], &ev)) {
        if (!event_legal(p, r, &ev))
            p->order_bad++;
        event_keep(p, r, &ev);
    }
}

/* What arrives: an exact copy, so that reading past it is seen, or one with a byte changed. */
static uint8_t *flip(struct pair *p, enum role from, struct span s, size_t *n)
{
    size_t at = p->flip_at - p->moved[from];
    size_t room = p->meddle == NULL ? s.n : s.n + PAIR_ROOM;
    uint8_t *copy = malloc(room);

    assert_non_null(copy);
    memcpy(copy, s.p, s.n);
    if (p->flipping && from == p->flip_from && p->flip_at >= p->moved[from] && at < s.n)
        copy[at] ^= p->flip_mask;
    *n = s.n;
    if (p->meddle != NULL)
        *n = p->meddle(p, from == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT, copy, s.n, room);
    return copy;
}

size_t pair_move(struct pair *p, enum role from, size_t n)
{
    enum role to = from == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
    struct span s = link_out(p->end[from]);

    if (s.n > n)
        s.n = n;
    if (s.n > 0) {
        size_t came;
        uint8_t *copy = flip(p, from, s, &came);
        int r = link_feed(p->end[to], copy, came);
        assert_int_equal(r, link_error(p->end[to])->code != ERR_NONE ? -1 : 0);
        free(copy);
    }
    p->moved[from] += s.n;
    link_sent(p->end[from], s.n);
    pair_events(p, to);
    pair_events(p, from);
    return s.n;
}

void pair_pump(struct pair *p, size_t n)
{
    while (pair_move(p, ROLE_CLIENT, n) + pair_move(p, ROLE_RELAY, n) > 0)
        ;
}

void pair_meet(struct pair *p, size_t n)
{
    pair_start(p);
    pair_pump(p, n);
    if (!p->failed[ROLE_RELAY] && !p->failed[ROLE_CLIENT])
        assert_int_equal(link_send(p->end[ROLE_RELAY], (const uint8_t *)"hi", 2), 0);
    pair_pump(p, n);
}

const char *pair_why(const struct pair *p, enum role r)
{
    return link_error(p->end[r])->text;
}
