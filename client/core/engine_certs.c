#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"

static void author_free(struct author *a)
{
    cert_free(a->cert);
    cert_free(a->issuer);
    free(a);
}

void authors_free(struct engine *g)
{
    struct author *a, *next;

    HASH_ITER(hh, g->authors, a, next) {
        HASH_DEL(g->authors, a);
        author_free(a);
    }
}

void authors_lost(struct engine *g)
{
    for (struct author *a = g->authors; a != NULL; a = a->hh.next)
        if (a->state == AUTHOR_ASKED)
            a->state = AUTHOR_MISSING;
}

struct author *author_get(struct engine *g, const struct hash *fp)
{
    struct author *a;

    HASH_FIND(hh, g->authors, fp, sizeof *fp, a);
    return a;
}

static struct author *author_new(struct engine *g, const struct hash *fp)
{
    struct author *a = HASH_COUNT(g->authors) < AUTHORS_MAX ? calloc(1, sizeof *a) : NULL;

    if (a == NULL)
        return NULL;
    a->fp = *fp;
    HASH_ADD(hh, g->authors, fp, sizeof a->fp, a);
    if (HASH_ADDED(hh, a))
        return a;
    free(a);
    return NULL;
}

/* Reads the two certificates. What they say decides, not what the relay says about them: the bytes
 * must have the fingerprint that was asked for, and name a person's device. */
static int author_fill(struct author *a, struct span leaf, struct span issuer, struct err *e)
{
    struct hash fp;
    struct cert_info info;

    cert_fingerprint(leaf, &fp);
    if (!hash_same(&fp, &a->fp))
        return err_set(e, ERR_PEER, "not the certificate that was asked for");
    a->cert = cert_parse(leaf, NULL, e);
    a->issuer = a->cert == NULL ? NULL : cert_parse(issuer, NULL, e);
    if (a->issuer == NULL)
        return -1;
    cert_info(a->cert, &info);
    if (str_copy(a->account, sizeof a->account, str_of(info.cn)) < 0 ||
        str_copy(a->device, sizeof a->device, str_of(info.ou)) < 0 || info.cn[0] == '\0')
        return err_set(e, ERR_PEER, "its name is no member's name");
    return 0;
}

int author_check(struct engine *g, const struct author *a, int64_t at, struct err *e)
{
    const struct span chain[2] = {cert_der(a->cert), cert_der(a->issuer)};
    const struct cert_ask ask = {.role = CERT_DEVICE, .at = at, .now = engine_now(g)};
    enum cert_fault why = CERT_OK;

    return cert_check(g->conf.trust, chain, COUNT(chain), &ask, &why, e);
}

static void author_settle(struct author *a, struct span leaf, struct span issuer)
{
    a->state = author_fill(a, leaf, issuer, &a->why) < 0 ? AUTHOR_BAD : AUTHOR_HERE;
}

int author_own(struct engine *g, struct err *e)
{
    struct author *a = author_new(g, &g->conf.fp);

    if (a == NULL)
        return err_set(e, ERR_OS, "no memory");
    author_settle(a, g->conf.leaf, g->conf.issuer);
    if (a->state != AUTHOR_HERE || strcmp(a->account, g->account) != 0)
        return err_set(e, ERR_CONFIG, "this device's certificate is not in order: %s",
                       a->why.code != ERR_NONE ? a->why.text : "made out to another name");
    return 0;
}

struct author *author_want(struct engine *g, const struct hash *fp)
{
    struct author *a = author_get(g, fp);
    struct keep_cert kept;
    struct err e = {0};

    if (a != NULL && a->state != AUTHOR_MISSING)
        return a;
    if (a == NULL)
        a = author_new(g, fp);
    if (a == NULL)
        return NULL;
    if (g->conf.keep.ops->cert_get(g->conf.keep.k, fp, &kept, &e) == 1) {
        author_settle(a, kept.leaf, kept.issuer);
        return a;
    }
    struct ask *ask = ask_new(g, F_CERT_ASK, &e);
    a->state = AUTHOR_MISSING;
    if (ask == NULL)
        return a;
    ask->fp = *fp;
    ask->quiet = true;
    const struct f_cert_ask f = {ask->id, *fp};
    if (engine_put(g, F_CERT_ASK, &f) == 0)
        a->state = AUTHOR_ASKED;
    return a;
}

void author_gone(struct engine *g, const struct hash *fp)
{
    struct author *a = author_get(g, fp);
    bool refused = a != NULL && a->state == AUTHOR_ASKED;

    if (refused) {
        a->state = AUTHOR_BAD;
        err_set(&a->why, ERR_PEER, "the relay has no certificate of its author");
    }
    for (size_t i = 0; i < g->rooms_n; i++) {
        room_own_settle(g, g->rooms[i]);
        if (room_settle(g, g->rooms[i]) < 0)
            return;
    }
    if (refused && author_get(g, fp) == a)
        a->state = AUTHOR_MISSING; /* in another room, or later, it may be told: ask again */
    login_ready(g);
}

/* Worth keeping only when it is what it should be. */
static void author_keep(struct engine *g, const struct author *a)
{
    struct err e = {0};
    const struct keep_cert kept = {a->fp, str_of(a->account), str_of(a->device), cert_der(a->cert),
                                   cert_der(a->issuer)};

    if (g->conf.keep.ops->cert_put(g->conf.keep.k, &kept, &e) < 0)
        event_text(g, ENGINE_NOTE, NULL, "a certificate could not be kept: %s", e.text);
}

int take_cert(struct engine *g, struct frame *f)
{
    const struct f_cert *x = &f->u.cert;
    struct ask *ask = ask_find(g, x->re, F_CERT_ASK);

    if (ask == NULL || !hash_same(&ask->fp, &x->fp))
        return engine_fail(g, ERR_PEER, true, "the relay broke the protocol: a stray certificate");
    struct author *a = author_get(g, &x->fp);
    if (a != NULL && a->state != AUTHOR_HERE) {
        if (x->chain_n != 2) {
            a->state = AUTHOR_BAD;
            err_set(&a->why, ERR_PEER, "its chain is not a leaf and its issuer");
        } else {
            author_settle(a, x->chain[0], x->chain[1]);
        }
        if (a->state == AUTHOR_HERE)
            author_keep(g, a);
    }
    if (a != NULL)
        a->revoked = x->revoked;
    ask_done(g, ask, ERR_NONE, NULL);
    for (size_t i = 0; i < g->rooms_n; i++) {
        room_own_settle(g, g->rooms[i]);
        if (room_settle(g, g->rooms[i]) < 0)
            return -1;
    }
    login_ready(g);
    return 0;
}

uint64_t engine_fetch(struct engine *g, const struct hash *fp, struct err *e)
{
    struct ask *ask = ask_new(g, F_CERT_ASK, e);
    struct author *a = author_get(g, fp);

    if (ask == NULL)
        return 0;
    if (a == NULL)
        a = author_new(g, fp);
    if (a != NULL && a->cert == NULL)
        a->state = AUTHOR_ASKED;
    ask->fp = *fp;
    const struct f_cert_ask f = {ask->id, *fp};
    return engine_put(g, F_CERT_ASK, &f) < 0 ? 0 : ask->id;
}

/* --- what a person vouched for --- */

bool vouched(struct engine *g, const struct hash *fp)
{
    struct keep_vouch v;
    struct err e = {0};

    return g->conf.keep.ops->vouch_get(g->conf.keep.k, fp, &v, &e) == 1;
}

bool engine_vouched(struct engine *g, const struct hash *fp)
{
    return vouched(g, fp);
}

int engine_person(struct engine *g, const struct hash *fp, struct engine_person *out, struct err *e)
{
    struct author *a = author_want(g, fp);
    struct keep_vouch v;

    if (a == NULL || a->state == AUTHOR_ASKED || a->state == AUTHOR_MISSING)
        return 0;
    if (a->state == AUTHOR_BAD)
        return err_set(e, ERR_PEER, "%s", a->why.text);
    *out = (struct engine_person){
        .account = a->account,
        .device = a->device,
        .fp = a->fp,
        .leaf = cert_der(a->cert),
        .issuer = cert_der(a->issuer),
        .revoked = a->revoked,
    };
    if (g->conf.keep.ops->vouch_get(g->conf.keep.k, fp, &v, e) == 1) {
        out->vouched = true;
        out->vouched_at = v.at_ms;
    }
    return author_check(g, a, engine_now(g), e) < 0 ? -1 : 1;
}

/* 64 hex digits, however they are grouped. */
static int fingerprint_take(struct str s, struct hash *out, struct err *e)
{
    char hex[2 * HASH_LEN];
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == ' ' || c == ':' || c == '\n' || c == '\t' || c == '\r')
            continue;
        if (n == sizeof hex)
            return err_set(e, ERR_DATA, "a fingerprint has 64 hex digits, this has more");
        hex[n++] = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
    }
    if (n != sizeof hex || hex_take(out->b, sizeof out->b, str_from(hex, n)) < 0)
        return err_set(e, ERR_DATA, "a fingerprint has 64 hex digits; paste all of it");
    return 0;
}

/* The first device of a person, in any room, whose fingerprint is the given one. */
static bool device_known(struct engine *g, struct str person, const struct hash *fp, bool *anyone)
{
    for (size_t i = 0; i < g->rooms_n; i++)
        for (size_t j = 0; j < g->rooms[i]->pub.members_n; j++) {
            const struct engine_member *m = g->rooms[i]->members + j;
            if (!str_is(person, m->name))
                continue;
            *anyone = true;
            for (size_t d = 0; d < m->devices_n; d++)
                if (hash_same(&m->devices[d].fp, fp))
                    return true;
        }
    return false;
}

int engine_verify(struct engine *g, struct str person, struct str pasted, struct hash *which,
                  struct err *e)
{
    bool anyone = false;

    if (person.n > 0 && person.p[0] == '@')
        person = str_from(person.p + 1, person.n - 1);
    if (fingerprint_take(pasted, which, e) < 0)
        return -1;
    if (!known_new_of(g, person, which) && !device_known(g, person, which, &anyone)) {
        if (!anyone)
            return err_set(e, ERR_INPUT, "nobody of that name is in your rooms");
        return 0;
    }
    const struct keep_vouch v = {*which, engine_now(g)};
    if (g->conf.keep.ops->vouch_put(g->conf.keep.k, &v, e) < 0)
        return -1;
    if (known_accept(g, person, which, e) < 0)
        return -1;
    (void)!rooms_send(g); /* a failure shows as ENGINE_CLOSE */
    return 1;
}
