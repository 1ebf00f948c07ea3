#include "tests/unit/server/support_line.h"

#define HOST "relay.test"

struct line {
    struct relay *r;
    uint64_t ticks;
    struct trust *trust;
    struct der relay_leaf;
    struct link *end[2]; /* by enum role */
    bool open[2];
    struct buf got;
    struct line_seen seen;
};

static int64_t now(void *ctx)
{
    return ((const struct line *)ctx)->r->now;
}

static uint64_t mono(void *ctx)
{
    return ++((struct line *)ctx)->ticks;
}

static struct span der_span(const struct der *d)
{
    return span_of(d->b, d->n);
}

/* As `countersignd init` makes them: RSA for the links that sign with it. */
static struct pkey *relay_key(const struct relay *r, enum link_kind kind)
{
    return kind == LINK_ECDHE || kind == LINK_CIANR ? r->keys[1] : r->ca;
}

static void relay_issue(struct line *l, struct pkey *key)
{
    struct cert_form f = cert_form_of(CERT_RELAY);
    struct issuer by = {der_span(&l->r->root), l->r->ca};
    uint8_t spki[SPKI_MAX];
    struct err e = {0};

    assert_int_equal(pkey_spki(key, spki, &f.spki.n, &e), 0);
    f.spki.p = spki;
    f.cn = str_of(HOST);
    f.not_before = l->r->now - 1000;
    f.not_after = l->r->now + INT64_C(30) * 24 * 3600 * 1000;
    f.sans[0] = (struct san){SAN_DNS, span_of(HOST, sizeof HOST - 1)};
    f.sans_n = 1;
    assert_int_equal(serial_draw(&f.serial, &l->r->rng), 0);
    if (cert_issue(&f, &by, &l->r->rng, l->relay_leaf.b, &l->relay_leaf.n, &e) < 0)
        fail_msg("relay: %s", e.text);
}

static void end_new(struct line *l, enum role role, struct link_conf *conf)
{
    struct err e = {0};

    conf->chain_n = 2;
    conf->trust = l->trust;
    conf->host = HOST;
    conf->rng = l->r->rng;
    conf->now = now;
    conf->mono = mono;
    conf->clock_ctx = l;
    l->end[role] = link_new(role, conf, &e);
    if (l->end[role] == NULL)
        fail_msg("link_new: %s", e.text);
}

static void events(struct line *l, enum role r)
{
    struct link_event ev;

    while (link_next(l->end[r], &ev)) {
        if (ev.kind == LINK_ESTABLISHED)
            l->open[r] = true;
        else if (ev.kind == LINK_MESSAGE)
            assert_int_equal(buf_add(&l->got, ev.message.p, ev.message.n), 0);
        else if (ev.kind == LINK_FAILED)
            fail_msg("%s: %s", r == ROLE_RELAY ? "relay" : "client", link_error(l->end[r])->text);
    }
}

static bool move(struct line *l, enum role from)
{
    enum role to = from == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
    struct span s = link_out(l->end[from]);

    if (s.n == 0)
        return false;
    assert_true(l->seen.n < LINE_SEEN);
    l->seen.pieces[l->seen.n++] = from == ROLE_CLIENT ? (int32_t)s.n : -(int32_t)s.n;
    (void)!link_feed(l->end[to], s.p, s.n); /* a failure is an event too */
    link_sent(l->end[from], s.n);
    events(l, to);
    events(l, from);
    return true;
}

static void pump(struct line *l)
{
    for (bool moved = true; moved;) {
        moved = move(l, ROLE_CLIENT);
        moved = move(l, ROLE_RELAY) || moved;
    }
}

struct line *line_new(struct client *c, enum link_kind kind)
{
    struct line *l = calloc(1, sizeof *l);
    struct err e = {0};

    l->r = c->r;
    buf_init(&l->got, 2 * FRAME_MAX);
    l->trust = trust_new(TRUST_CRL_OPTIONAL, &e);
    assert_non_null(l->trust);
    assert_int_equal(trust_add_root(l->trust, der_span(&c->r->root), &e), 0);
    struct pkey *key = relay_key(c->r, kind);
    relay_issue(l, key);
    const struct span theirs[] = {der_span(&l->relay_leaf), der_span(&c->r->root)};
    const struct span ours[] = {der_span(&c->leaf), der_span(&c->r->root)};
    end_new(l, ROLE_RELAY, &(struct link_conf){.kind = kind, .chain = theirs, .key = key});
    end_new(l, ROLE_CLIENT,
            &(struct link_conf){.kind = kind, .chain = ours, .key = c->r->keys[c->key]});
    pump(l);
    assert_true(l->open[ROLE_RELAY]);
    l->seen.n = 0;
    return l;
}

void line_free(struct line *l)
{
    if (l == NULL)
        return;
    link_free(l->end[ROLE_CLIENT]);
    link_free(l->end[ROLE_RELAY]);
    trust_free(l->trust);
    buf_free(&l->got);
    free(l);
}

void line_exporter(const struct line *l, struct key *out)
{
    assert_int_equal(link_exporter(l->end[ROLE_RELAY], LINK_EXPORTER_LOGIN, out), 0);
}

struct span line_pass(struct line *l, enum role from, struct span said)
{
    buf_drop(&l->got, l->got.len);
    if (said.n > 0)
        assert_int_equal(link_send(l->end[from], said.p, said.n), 0);
    pump(l);
    return buf_span(&l->got);
}

struct line_seen line_seen(struct line *l)
{
    struct line_seen seen = l->seen;

    l->seen = (struct line_seen){0};
    return seen;
}
