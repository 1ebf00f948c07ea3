#include "client/shake_local.h"

#include <stdio.h>

#include "certs/file.h"
#include "client/lab_pair.h"
#include "client/print.h"

static const struct link_worth worths[LINK_KIND_COUNT] = {
    [LINK_TLS] = {true, true, true, false, "whoever asks", "a proven relay"},
    [LINK_ECDHE] = {true, true, true, false, "everybody", "a proven relay"},
    [LINK_CIANR] = {true, true, true, false, "everybody", "everybody"},
    [LINK_SOVEREIGN] = {true, true, true, true, "whoever asks", "whoever answers"},
    [LINK_CLASSIC] = {false, false, false, false, "has none", "has none"},
};

const struct link_worth *link_worth(enum link_kind kind)
{
    return &worths[kind];
}

/* --- drawings --- */

static int draw_mermaid(const struct story *s, const char *title, struct buf *b, struct err *e)
{
    if (story_mermaid(s, title, b) < 0)
        return err_set(e, ERR_LOCAL, "the drawing is too long");
    struct span text = buf_span(b);
    print_line("%.*s", (int)text.n - 1, (const char *)text.p);
    return print_flush(e);
}

static int draw_svg(const struct story *s, const char *title, const char *path, struct buf *b,
                    struct err *e)
{
    if (story_svg(s, title, b) < 0)
        return err_set(e, ERR_LOCAL, "the drawing is too long");
    return file_replace(path, FILE_PUBLIC, buf_span(b), e);
}

int shake_draw(const struct call *c, const struct story *s, const char *title, struct err *e)
{
    struct buf b;
    int rc = 0;

    buf_init(&b, STORY_TEXT_MAX);
    if (c->mermaid)
        rc = draw_mermaid(s, title, &b, e);
    buf_cut(&b, 0);
    if (rc == 0 && c->svg != NULL)
        rc = draw_svg(s, title, c->svg, &b, e);
    buf_free(&b);
    return rc;
}

/* --- one handshake --- */

static void on_event(void *ctx, enum role at, const struct link_event *ev)
{
    if (at == ROLE_CLIENT && ev->kind == LINK_STEP)
        story_add(ctx, &ev->step);
}

/* The client's view of a whole handshake over this link. */
static int shake(const struct lab_pki *pki, enum link_kind kind, struct story *s, struct err *e)
{
    struct lab_pair p;

    *s = (struct story){.n = 0};
    lab_pair_init(&p, pki, kind);
    p.event = on_event;
    p.ctx = s;
    int rc = lab_pair_meet(&p, e);
    lab_pair_free(&p);
    return rc == 0 ? 0 : err_in(e, "%s", link_kind_name(kind));
}

static const char *yes(bool b)
{
    return b ? "yes" : "no";
}

static int worth_row(enum link_kind kind, const struct story *s, struct err *e)
{
    const struct link_worth *w = link_worth(kind);
    struct row r;

    row_begin(&r, "link");
    row_text(&r, "link", link_kind_name(kind));
    jput_u64(&r.j, "steps", s->n);
    jput_u64(&r.j, "bytes-sent", story_bytes(s, true));
    jput_u64(&r.j, "bytes-received", story_bytes(s, false));
    jput_u64(&r.j, "round-trips", story_round_trips(s));
    jput_u64(&r.j, "us", story_us(s));
    jput_bool(&r.j, "mutual", w->mutual);
    jput_bool(&r.j, "forward-secret", w->forward_secret);
    jput_bool(&r.j, "replay-safe", w->replay_safe);
    jput_bool(&r.j, "key-per-message", w->key_each);
    row_text(&r, "relay-seen-by", w->relay_seen_by);
    row_text(&r, "client-seen-by", w->client_seen_by);
    return row_end(&r, e);
}

static int worth_print(enum link_kind kind, const struct story *s, bool json, struct err *e)
{
    const struct link_worth *w = link_worth(kind);

    if (json)
        return worth_row(kind, s, e);
    print_line("%-9s %5zu %6zu %6zu %5u %7.1f  %-6s %-7s %-6s %-7s  %-13s %s", link_kind_name(kind),
               s->n, story_bytes(s, true), story_bytes(s, false), story_round_trips(s),
               (double)story_us(s) / 1000, yes(w->mutual), yes(w->forward_secret),
               yes(w->replay_safe), yes(w->key_each), w->relay_seen_by, w->client_seen_by);
    return 0;
}

static void table_head(void)
{
    print_line(
        "                  bytes  bytes round       ms         forward replay key per  relay "
        "is      client is");
    print_line("link      steps    sent   got trips     both  mutual secret  safe   message  seen "
               "by       seen by");
}

static int shake_each(const struct call *c, const struct lab_pki *pki, struct err *e)
{
    struct story s;
    bool table = !c->json && !c->mermaid;

    if (c->svg != NULL)
        return err_set(e, ERR_USAGE, "--svg draws one link: name it with --link");
    if (table)
        table_head();
    for (enum link_kind kind = 0; kind < LINK_KIND_COUNT; kind++) {
        if (shake(pki, kind, &s, e) < 0 || (c->mermaid ? shake_draw(c, &s, link_kind_name(kind), e)
                                                       : worth_print(kind, &s, c->json, e)) < 0)
            return -1;
    }
    if (table)
        print_line("Both ends in this process, certificates thrown away; steps and bytes as the "
                   "client saw them.");
    return print_flush(e);
}

static int shake_one(const struct call *c, const struct lab_pki *pki, struct err *e)
{
    enum link_kind kind = c->conf.link != NULL ? *c->conf.link : LINK_TLS;
    struct story s;

    if (shake(pki, kind, &s, e) < 0)
        return -1;
    for (size_t i = 0; i < s.n && !c->mermaid; i++)
        if (print_step(&s.steps[i], c->json, e) < 0)
            return -1;
    return shake_draw(c, &s, link_kind_name(kind), e);
}

int shake_local(struct call *c, struct err *e)
{
    struct rng rng = rng_system();
    struct lab_pki pki;

    if (c->args_n > 0)
        return err_set(e, ERR_USAGE, "both ends are in this process: no HOST:PORT");
    if (lab_pki_make(&pki, &rng, e) < 0)
        return -1;
    int rc = c->link_all ? shake_each(c, &pki, e) : shake_one(c, &pki, e);
    lab_pki_wipe(&pki);
    return rc;
}
