/* Who else seals our receipts (docs/evidence.md 5): the relay, by its evidence key, while we wait
 * for it no longer than SEAL_WAIT_MS. Without its seal a receipt is our own word, and no worse. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"

/* --- what is sealed --- */

/* Was anything said there that no receipt covers? */
static bool unsealed(const struct room *r)
{
    return r->session_from != 0 && r->kept.based && !r->pub.broken &&
           r->kept.number >= receipt_from(r);
}

static struct room *sealing_room(const struct engine *g, const struct sealing *s)
{
    struct room_id id;

    memcpy(id.b, s->receipt.room, sizeof id.b);
    return room_find(g, &id);
}

/* Nobody is waited for any more. */
static void finish(struct engine *g, struct sealing *s)
{
    s->ask = 0;
    event_add(g, &(struct engine_event){.kind = ENGINE_SEALED});
}

/* Nor is there a seal of the relay's. */
static void unsealed_by_relay(struct engine *g, struct sealing *s, const char *why)
{
    const struct room *r = sealing_room(g, s);
    char text[512];
    struct engine_event ev = {.kind = ENGINE_NOTE, .code = ERR_UNAVAILABLE, .text = text};

    snprintf(text, sizeof text, "the relay did not seal our receipt%s", why);
    if (r != NULL) {
        ev.room = r->pub.id;
        ev.roomed = true;
    }
    event_add(g, &ev);
    finish(g, s);
}

/* Of an ephemeral room the relay keeps nothing. */
static void relay_ask(struct engine *g, struct sealing *s, const struct room *r)
{
    const struct sealing_by *own = &s->by[RECEIPT_CLIENT];
    struct ask *a = NULL;
    struct err e = {0};

    if (!r->pub.ephemeral && r->pub.joined && r->is_signed)
        a = ask_new(g, F_SEAL, &e);
    if (a == NULL) {
        finish(g, s);
        return;
    }
    a->quiet = true;
    const struct f_seal f = {a->id, span_of(s->text, s->text_n), span_of(own->text, own->text_n),
                             span_of(own->sig, own->sig_n)};
    s->ask = ask_put(g, a, &f, &e);
    s->until = engine_mono(g) + SEAL_WAIT_MS;
    if (s->ask == 0)
        finish(g, s);
}

int engine_seal(struct engine *g, bool all, struct err *e)
{
    int begun = 0;
    bool failed = false;

    for (size_t i = 0; i < g->rooms_n; i++) {
        struct room *r = g->rooms[i];
        struct err why = {0};
        if ((r->pub.ephemeral && !all) || !unsealed(r))
            continue;
        struct sealing *s = receipt_make(g, r, &why);
        if (s == NULL) {
            failed = true;
            (void)err_set(e, why.code, "%s", why.text);
            continue;
        }
        STAILQ_INSERT_TAIL(&g->sealings, s, link);
        relay_ask(g, s, r);
        begun++;
    }
    return failed ? -1 : begun;
}

bool engine_sealing(const struct engine *g)
{
    const struct sealing *s;

    STAILQ_FOREACH(s, &g->sealings, link)
    if (s->ask != 0)
        return true;
    return false;
}

int engine_sealed(struct engine *g, const struct engine_sink *to, struct err *e)
{
    struct sealing *s, *next;
    int rc = 0;

    for (s = STAILQ_FIRST(&g->sealings); s != NULL; s = next) {
        struct err why = {0};
        next = STAILQ_NEXT(s, link);
        if (s->ask != 0)
            continue;
        if (receipt_give(g, s, to, &why) < 0) {
            rc = err_set(e, why.code, "%s", why.text);
            continue;
        }
        STAILQ_REMOVE(&g->sealings, s, sealing, link);
        free(s);
    }
    return rc;
}

/* --- the relay's answer --- */

static struct sealing *sealing_find(struct engine *g, uint64_t ask)
{
    struct sealing *s;

    STAILQ_FOREACH(s, &g->sealings, link)
    if (s->ask == ask)
        return s;
    return NULL;
}

/* Its seal is not what it should be: whoever checks the receipt would refuse all of it. Or that
 * cannot be told: then nobody is accused. */
static int relay_bad(struct engine *g, struct sealing *s, const struct err *why)
{
    const struct room *r = sealing_room(g, s);

    s->by[RECEIPT_RELAY] = (struct sealing_by){.sig_n = 0};
    if (why->code == ERR_PEER || why->code == ERR_DATA || why->code == ERR_AUTH)
        event_text(g, ENGINE_ALARM, r, "the relay's seal on our receipt is not valid: %s",
                   why->text);
    else
        event_text(g, ENGINE_NOTE, r, "the relay's seal on our receipt could not be checked: %s",
                   why->text);
    finish(g, s);
    return 0;
}

/* It is good, and as right about the time as its clock, which we cannot set. */
static int relay_good(struct engine *g, struct sealing *s)
{
    int64_t ahead = s->by[RECEIPT_RELAY].seal.time - engine_now(g);

    if (ahead > TS_FUTURE_MS)
        event_text(g, ENGINE_NOTE, sealing_room(g, s),
                   "the relay dated its seal %lld min ahead of this computer's clock",
                   (long long)ahead / 60000);
    finish(g, s);
    return 0;
}

static int relay_take(struct sealing *s, const struct f_sealed *f, struct err *e)
{
    struct sealing_by *by = &s->by[RECEIPT_RELAY];

    if (f->seal.n >= sizeof by->text || f->sig.n > sizeof by->sig)
        return err_set(e, ERR_DATA, "it is too long");
    if (receipt_seal_take(&by->seal, str_from(f->seal.p, f->seal.n), e) < 0)
        return -1;
    memcpy(by->text, f->seal.p, f->seal.n);
    memcpy(by->sig, f->sig.p, f->sig.n);
    by->text_n = f->seal.n;
    by->sig_n = f->sig.n;
    return 0;
}

/* 1: it is good; 0: its signer's certificate is not here; -1 and e. */
static int relay_check(struct engine *g, const struct sealing *s, struct err *e)
{
    const struct sealing_by *by = &s->by[RECEIPT_RELAY];
    struct receipt_signed all;

    if (by->seal.role != RECEIPT_RELAY)
        return err_set(e, ERR_DATA, "it is another's");
    if (by->seal.time < s->latest)
        return err_set(e, ERR_DATA, "it is dated before what it seals");
    if (by->seal.time > trust_crl_until(g->conf.trust))
        return err_set(e, ERR_DATA, "it is dated after the list of revoked certificates");
    if (receipt_signed_make(&all, str_from(s->text, s->text_n), str_from(by->text, by->text_n)) < 0)
        return err_set(e, ERR_DATA, "it is too long");
    return signer_check(g,
                        &(struct attested){by->seal.signer, by->seal.time, span_of(all.b, all.n),
                                           span_of(by->sig, by->sig_n)},
                        e);
}

static int relay_settle(struct engine *g, struct sealing *s, bool asked)
{
    struct err e = {0};

    if (crl_check(g) < 0)
        return -1;
    int good = relay_check(g, s, &e);
    struct ask *a = good == 0 && !asked ? ask_new(g, F_SIGNER_ASK, &e) : NULL;
    if (a != NULL) {
        a->quiet = a->seal = true;
        a->fp = s->by[RECEIPT_RELAY].seal.signer;
        const struct f_signer_ask f = {a->id, a->fp};
        s->ask = a->id;
        return engine_put(g, F_SIGNER_ASK, &f);
    }
    if (good == 0 && e.code == ERR_NONE)
        err_set(&e, ERR_PEER, "its signer is unknown");
    return good <= 0 ? relay_bad(g, s, &e) : relay_good(g, s);
}

int take_sealed(struct engine *g, struct frame *f)
{
    struct ask *a = ask_find(g, f->u.sealed.re, F_SEAL);
    struct err e = {0};

    if (a == NULL)
        return engine_fail(g, ERR_PEER, true, "the relay broke the protocol: a stray seal");
    struct sealing *s = sealing_find(g, a->id);
    ask_done(g, a, ERR_NONE, NULL);
    if (s == NULL) /* it comes too late */
        return 0;
    return relay_take(s, &f->u.sealed, &e) < 0 ? relay_bad(g, s, &e) : relay_settle(g, s, false);
}

int seal_signer(struct engine *g, uint64_t ask)
{
    struct sealing *s = sealing_find(g, ask);

    return s == NULL ? 0 : relay_settle(g, s, true);
}

int seal_failed(struct engine *g, const struct ask *a, const char *why)
{
    struct sealing *s = a->type == F_SEAL || a->seal ? sealing_find(g, a->id) : NULL;

    if (s == NULL)
        return 0;
    if (a->seal)
        return relay_settle(g, s, true);
    char text[256];
    snprintf(text, sizeof text, ": %s", why);
    unsealed_by_relay(g, s, text);
    return 0;
}

/* --- time --- */

int64_t seals_deadline(const struct engine *g)
{
    const struct sealing *s;
    int64_t at = INT64_MAX;

    STAILQ_FOREACH(s, &g->sealings, link)
    if (s->ask != 0 && s->until < at)
        at = s->until;
    return at;
}

void seals_tick(struct engine *g)
{
    struct sealing *s;
    int64_t now = engine_mono(g);
    char text[32];

    STAILQ_FOREACH(s, &g->sealings, link)
    if (s->ask != 0 && s->until <= now) {
        s->by[RECEIPT_RELAY] = (struct sealing_by){.sig_n = 0};
        snprintf(text, sizeof text, " within %d s", SEAL_WAIT_MS / 1000);
        unsealed_by_relay(g, s, text);
    }
}

void seals_lost(struct engine *g)
{
    struct sealing *s;

    STAILQ_FOREACH(s, &g->sealings, link)
    if (s->ask != 0) {
        s->by[RECEIPT_RELAY] = (struct sealing_by){.sig_n = 0};
        finish(g, s);
    }
}

void seals_free(struct engine *g)
{
    struct sealing *s;

    while ((s = STAILQ_FIRST(&g->sealings)) != NULL) {
        STAILQ_REMOVE_HEAD(&g->sealings, link);
        free(s);
    }
}
