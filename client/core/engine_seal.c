/* Who else seals our receipts (docs/evidence.md 5): the relay, by its evidence key. Whoever ends a
 * session waits for it no longer than SEAL_WAIT_MS; what has no seal then, or is of a session that
 * was cut, is offered to the relay again, by each later connection, until it has sealed or refused
 * it. Without its seal a receipt is our own word, and no worse. */
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

void sealing_due(struct sealing *s)
{
    s->due |= s->name[0] == '\0' && !s->unwanted;
}

static void sealed_tell(struct engine *g)
{
    event_add(g, &(struct engine_event){.kind = ENGINE_SEALED});
}

/* What became of it is known after a restart, too; else it is offered once more, and answered
 * alike.
 */
static void row_renew(struct engine *g, const struct sealing *s)
{
    struct err e = {0};

    if (sealing_keep(g, s, &e) < 0)
        event_text(g, ENGINE_NOTE, sealing_room(g, s), "%s", e.text);
}

/* Nobody waits for it any more. */
static void finish(struct engine *g, struct sealing *s)
{
    s->waited = false;
    sealing_due(s);
    sealed_tell(g);
}

/* Nobody seals it any more who has not: the relay has sealed it or refused, and the other one of a
 * room of two has, or was not asked. */
static void sealing_close(struct engine *g, struct sealing *s)
{
    s->closed = true;
    row_renew(g, s);
    finish(g, s);
}

static void refusal_tell(struct engine *g, const struct sealing *s, const char *why)
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
}

/* --- asking the relay --- */

/* One of the same room that comes before it and is not done: receipts follow each other. */
static const struct sealing *ahead_of(const struct engine *g, const struct sealing *s)
{
    const struct sealing *x;

    STAILQ_FOREACH(x, &g->sealings, link) {
        if (x == s)
            return NULL;
        if (!x->closed && !x->by[RECEIPT_RELAY].good &&
            memcmp(x->receipt.room, s->receipt.room, ROOM_ID_LEN) == 0)
            return x;
    }
    return NULL;
}

/* Of an ephemeral room the relay keeps nothing. */
static bool may_ask(const struct engine *g, const struct sealing *s)
{
    const struct room *r = sealing_room(g, s);

    return !s->closed && s->ask == 0 && s->again <= engine_mono(g) && r != NULL &&
           !r->pub.ephemeral && r->pub.joined && r->is_signed && ahead_of(g, s) == NULL;
}

static void relay_ask(struct engine *g, struct sealing *s)
{
    const struct sealing_by *own = &s->by[RECEIPT_CLIENT];
    struct err e = {0};
    struct ask *a = ask_new(g, F_SEAL, &e);

    if (a != NULL) {
        a->quiet = true;
        const struct f_seal f = {a->id, span_of(s->text, s->text_n),
                                 span_of(own->text, own->text_n), span_of(own->sig, own->sig_n)};
        s->ask = ask_put(g, a, &f, &e);
    }
    if (s->ask == 0)
        s->again = engine_mono(g) + SEAL_AGAIN_MS;
}

/* Who waits goes first; of sessions that are over one is asked about at a time. */
static void asks_go(struct engine *g, bool waited)
{
    struct sealing *s;
    bool busy = false;

    STAILQ_FOREACH(s, &g->sealings, link)
        busy |= !waited && s->ask != 0;
    STAILQ_FOREACH(s, &g->sealings, link)
        if (!busy && s->waited == waited && may_ask(g, s)) {
            relay_ask(g, s);
            busy = !waited && s->ask != 0;
        }
}

/* The relay has sealed it, and handed it on. */
static bool member_waited(const struct sealing *s)
{
    return s->by[RECEIPT_RELAY].good && s->member_asked && !s->by[RECEIPT_MEMBER].good;
}

void seals_go(struct engine *g)
{
    struct sealing *s;

    if (g->phase == ENGINE_ONLINE && !g->closing) {
        asks_go(g, true);
        asks_go(g, false);
    }
    STAILQ_FOREACH(s, &g->sealings, link) {
        const struct sealing *before = ahead_of(g, s);
        if (s->waited && s->ask == 0 && !member_waited(s) && (before == NULL || before->ask == 0))
            finish(g, s); /* it will not come soon */
    }
}

/* The oldest give way. */
static void open_bound(struct engine *g)
{
    struct sealing *s;
    size_t n = 0;

    STAILQ_FOREACH(s, &g->sealings, link)
        n += !s->closed;
    STAILQ_FOREACH(s, &g->sealings, link)
        if (n > SEALS_OPEN_MAX && !s->closed && s->ask == 0) {
            sealing_close(g, s);
            n--;
        }
}

/* What is being answered is waited for, too. */
static void await(struct engine *g, struct sealing *s)
{
    s->waited = true;
    s->until = engine_mono(g) + SEAL_WAIT_MS;
}

int engine_seal(struct engine *g, bool all, struct err *e)
{
    struct sealing *s;
    int begun = 0;
    bool failed = false;

    STAILQ_FOREACH(s, &g->sealings, link)
        if (s->ask != 0 && !s->waited)
            await(g, s);
    for (size_t i = 0; i < g->rooms_n; i++) {
        struct room *r = g->rooms[i];
        struct err why = {0};
        if ((r->pub.ephemeral && !all) || !unsealed(r))
            continue;
        s = receipt_make(g, r, &why);
        if (s == NULL) {
            failed = true;
            (void)err_set(e, why.code, "%s", why.text);
            continue;
        }
        await(g, s);
        STAILQ_INSERT_TAIL(&g->sealings, s, link);
        begun++;
    }
    open_bound(g);
    seals_go(g);
    return failed ? -1 : begun;
}

bool engine_sealing(const struct engine *g)
{
    const struct sealing *s;

    STAILQ_FOREACH(s, &g->sealings, link)
        if (s->waited)
            return true;
    return false;
}

static int give(struct engine *g, struct sealing *s, const struct engine_sink *to, struct err *e)
{
    struct err why = {0};

    if (receipt_give(g, s, to, &why) < 0)
        return err_set(e, why.code, "%s", why.text);
    s->due = false;
    row_renew(g, s);
    return 0;
}

int engine_sealed(struct engine *g, const struct engine_sink *to, struct err *e)
{
    struct sealing *s, *next;
    int rc = 0;

    for (s = STAILQ_FIRST(&g->sealings); s != NULL; s = next) {
        next = STAILQ_NEXT(s, link);
        if (s->waited)
            continue; /* one more may come */
        if (s->due && give(g, s, to, e) < 0)
            rc = -1;
        if (s->due || !s->closed)
            continue;
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

    s->ask = 0;
    s->by[RECEIPT_RELAY] = (struct sealing_by){.good = false};
    if (why->code == ERR_PEER || why->code == ERR_DATA || why->code == ERR_AUTH) {
        event_text(g, ENGINE_ALARM, r, "the relay's seal on our receipt is not valid: %s",
                   why->text);
        sealing_close(g, s);
    } else {
        event_text(g, ENGINE_NOTE, r, "the relay's seal on our receipt could not be checked: %s",
                   why->text);
        s->again = INT64_MAX; /* by the next connection */
        finish(g, s);
    }
    seals_go(g);
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
    s->ask = 0;
    s->again = INT64_MAX;
    s->by[RECEIPT_RELAY].good = true;
    seal_came(g, s);
    return 0;
}

void seal_came(struct engine *g, struct sealing *s)
{
    bool whole = s->by[RECEIPT_RELAY].good && (s->by[RECEIPT_MEMBER].good || !s->member_asked);

    s->due = !s->unwanted;
    if (whole)
        sealing_close(g, s);
    else
        row_renew(g, s);
    if (!s->waited)
        sealed_tell(g);
    seals_go(g);
}

static int relay_take(struct sealing *s, const struct f_sealed *f, struct err *e)
{
    struct sealing_by *by = &s->by[RECEIPT_RELAY];

    s->member_asked = f->member;
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
    if (s->by[RECEIPT_RELAY].good) { /* what the other member said was before it, if he did */
        s->ask = 0;
        sealing_close(g, s);
        return 0;
    }
    return relay_take(s, &f->u.sealed, &e) < 0 ? relay_bad(g, s, &e) : relay_settle(g, s, false);
}

int seal_signer(struct engine *g, uint64_t ask)
{
    struct sealing *s = sealing_find(g, ask);

    return s == NULL ? 0 : relay_settle(g, s, true);
}

/* It was looked at, and will not be sealed later either. Whatever else the relay says is about the
 * room, the connection or the relay as they are now: the next connection asks again. */
static bool refuses(enum proto_code code)
{
    return code == CODE_DENIED || code == CODE_MALFORMED || code == CODE_BAD_ENTRY;
}

int seal_failed(struct engine *g, const struct ask *a, enum proto_code code, const char *why)
{
    struct sealing *s = a->type == F_SEAL || a->seal ? sealing_find(g, a->id) : NULL;
    char text[256];

    if (s == NULL)
        return 0;
    if (a->seal)
        return relay_settle(g, s, true);
    s->ask = 0;
    snprintf(text, sizeof text, ": %s", why);
    if (s->waited || refuses(code))
        refusal_tell(g, s, text);
    if (refuses(code)) {
        sealing_close(g, s);
    } else {
        s->again = code == CODE_BUSY ? engine_mono(g) + SEAL_AGAIN_MS : INT64_MAX;
        finish(g, s);
    }
    seals_go(g);
    return 0;
}

/* --- time --- */

static int64_t deadline_of(const struct engine *g, const struct sealing *s)
{
    if (s->waited)
        return s->until;
    return !s->closed && s->ask == 0 && s->again > engine_mono(g) ? s->again : INT64_MAX;
}

int64_t seals_deadline(const struct engine *g)
{
    const struct sealing *s;
    int64_t at = INT64_MAX;

    STAILQ_FOREACH(s, &g->sealings, link) {
        int64_t one = deadline_of(g, s);
        at = one < at ? one : at;
    }
    return at;
}

void seals_tick(struct engine *g)
{
    struct sealing *s;
    int64_t now = engine_mono(g);
    char text[32];

    snprintf(text, sizeof text, " within %d s", SEAL_WAIT_MS / 1000);
    STAILQ_FOREACH(s, &g->sealings, link)
        if (s->waited && s->until <= now) {
            if (!s->by[RECEIPT_RELAY].good)
                refusal_tell(g, s, text);
            finish(g, s);
        }
    seals_go(g);
}

void seals_lost(struct engine *g)
{
    struct sealing *s;

    STAILQ_FOREACH(s, &g->sealings, link) {
        s->ask = 0;
        s->again = 0;
        if (!s->by[RECEIPT_RELAY].good)
            s->by[RECEIPT_RELAY] = (struct sealing_by){.good = false};
        if (s->waited)
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
