/* Entries made anew: with other content and hashes that fit, under the signature of before, or
 * under a new one of an author who lies together with the relay. */
#include <string.h>

#include "support_parts.h"

static int content_anew(struct buf *b, enum lie lie, const struct content *c, struct err *e)
{
    const int other = PEOPLE - 1; /* who has no business there */
    const struct content_who stranger = {*world_account(other), str_of(world_name(other))};
    struct content_who who = c->who;

    switch (lie) {
    case LIE_ROLL_INVITE: return content_invite_put(b, &stranger, &c->roster, c->at, e);
    case LIE_ROLL_ACCOUNT:
        who.account = stranger.account;
        return content_invite_put(b, &who, &c->roster, c->at, e);
    case LIE_ROLL_AT: return content_invite_put(b, &who, &c->roster, c->at + 1000, e);
    case LIE_ROLL_NAME: return content_join_put(b, &stranger, NULL, e);
    case LIE_ROLL_PAIR: return content_join_put(b, &who, &stranger, e);
    default: return err_set(e, ERR_LOCAL, "nothing is made anew for this lie");
    }
}

static void line_anew(struct world *w, struct forged *out, const struct f_entry *t, bool signs)
{
    struct entry_line line;
    struct err e = {0};
    struct span content = span_of(buf_span(&out->content).p, out->content.len);
    const struct rng rng = w->rng;

    must(entry_line_take(&line, t->line, &e) == 0, e.text);
    if (!signs) {
        must(entry_body_make(&out->made.body, &line, content, &rng, &e) == 0, e.text);
        out->made.line_n = entry_line_put(out->made.line, &line);
        return;
    }
    must(entry_make(&out->made, &line, content, pool_get()->keys[world_who_has(&line.author)], &rng,
                    &e) == 0,
         e.text);
}

void forge(struct world *w, struct forged *out, const struct f_entry *t, bool signs)
{
    struct content c;
    struct err e = {0};

    *out = (struct forged){.entry = *t};
    buf_init(&out->content, CONTENT_MAX);
    buf_init(&out->made.body, BODY_MAX);
    must(content_take(&c, span_of(t->body.p + OPENING_LEN, t->body.n - OPENING_LEN), &e) == 0 &&
             content_anew(&out->content, w->lie, &c, &e) == 0,
         e.text);
    content_free(&c);
    line_anew(w, out, t, signs);
    out->entry.line = str_from(out->made.line, out->made.line_n);
    out->entry.body = buf_span(&out->made.body);
    if (signs)
        out->entry.sig = span_of(out->made.sig, out->made.sig_n);
}

void forged_free(struct forged *f)
{
    buf_free(&f->content);
    entry_made_free(&f->made);
}
