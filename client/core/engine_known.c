/* engine_known.c -- which certificates of a person were accepted. The first list that names him is
 * believed; one that comes later stops us in private and direct rooms until somebody looked.
 *
 * What a list says of one person says nothing of another: a relay that shows an impostor's
 * certificate under a name of its own has not made it known as anybody else's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"

static struct known *known_find(const struct engine *g, const char *account)
{
    struct known *p;

    HASH_FIND_STR(g->knowns, account, p);
    return p;
}

static struct known_cert *cert_find(const struct known *p, const struct hash *fp)
{
    for (unsigned i = 0; p != NULL && i < p->certs_n; i++)
        if (hash_same(&p->certs[i].fp, fp))
            return p->certs + i;
    return NULL;
}

static struct known *known_new(struct engine *g, const char *account)
{
    struct known *p = calloc(1, sizeof *p);

    if (p == NULL)
        return NULL;
    snprintf(p->account, sizeof p->account, "%s", account);
    HASH_ADD_STR(g->knowns, account, p);
    if (HASH_ADDED(hh, p))
        return p;
    free(p);
    return NULL;
}

static struct known_cert *cert_new(struct engine *g, const char *account, const struct hash *fp)
{
    struct known *p = known_find(g, account);

    if (g->known_certs >= KNOWN_MAX || (p == NULL && (p = known_new(g, account)) == NULL))
        return NULL;
    struct known_cert *at = realloc(p->certs, (p->certs_n + 1) * sizeof *at);
    if (at == NULL)
        return NULL;
    p->certs = at;
    g->known_certs++;
    at += p->certs_n++;
    *at = (struct known_cert){.fp = *fp};
    return at;
}

void knowns_free(struct engine *g)
{
    struct known *p, *next;

    HASH_ITER(hh, g->knowns, p, next) {
        HASH_DEL(g->knowns, p);
        free(p->certs);
        free(p);
    }
}

static int load_one(void *ctx, const struct keep_known *k)
{
    char account[NAME_MAX_LEN + 1];

    if (str_copy(account, sizeof account, k->account) < 0)
        return -1;
    struct known_cert *x = cert_new(ctx, account, &k->fp);
    if (x == NULL)
        return -1;
    x->state = k->state;
    return 0;
}

int knowns_load(struct engine *g, struct err *e)
{
    if (g->conf.keep.ops->known_each(g->conf.keep.k, load_one, g, e) < 0)
        return err_set(e, ERR_OS, "the certificates known to this device cannot be read");
    return 0;
}

/* On our disk first: a stop that a restart forgets is none. */
static int cert_set(struct engine *g, const char *account, struct known_cert *x,
                    enum keep_known_state state, struct err *e)
{
    const struct keep_known k = {x->fp, str_of(account), state};

    if (g->conf.keep.ops->known_put(g->conf.keep.k, &k, e) < 0)
        return -1;
    x->state = state;
    x->disk = g->turn.depth > 0 ? KNOWN_PENDING : KNOWN_KEPT;
    g->turn.marked |= x->disk == KNOWN_PENDING;
    return 0;
}

void knowns_turned(struct engine *g, bool kept)
{
    for (struct known *p = g->turn.marked ? g->knowns : NULL; p != NULL; p = p->hh.next)
        for (unsigned i = 0; i < p->certs_n; i++)
            if (p->certs[i].disk == KNOWN_PENDING)
                p->certs[i].disk = kept ? KNOWN_KEPT : KNOWN_LOOSE;
}

/* The state holds for this run even when the disk refuses it, and is written again when the person
 * is met again. Where nothing more can be remembered nobody can be told from an impostor any more:
 * that stops us too. */
static void cert_mark(struct engine *g, const char *account, const struct hash *fp,
                      enum keep_known_state state)
{
    struct known_cert *x = cert_find(known_find(g, account), fp);
    struct err e = {0};

    if (x == NULL && (x = cert_new(g, account, fp)) == NULL) {
        g->known_full = true;
        return;
    }
    if (cert_set(g, account, x, state, &e) < 0) {
        x->state = state;
        x->disk = KNOWN_LOOSE;
        if (g->turn.depth > 0) /* nothing of a turn is kept without the rest of it */
            engine_fail(g, e.code, false, "%s", e.text);
        else
            event_text(g, ENGINE_NOTE, NULL, "a certificate could not be marked: %s", e.text);
    }
}

static bool has(const struct known *p, enum keep_known_state state)
{
    for (unsigned i = 0; p != NULL && i < p->certs_n; i++)
        if (p->certs[i].state == state)
            return true;
    return false;
}

bool known_meet(struct engine *g, const char *account, const struct hash *fp)
{
    const struct known *p = known_find(g, account);
    const struct known_cert *x = cert_find(p, fp);

    if (x != NULL && x->disk == KNOWN_LOOSE)
        cert_mark(g, account, fp, x->state);
    if (x != NULL && x->state != KEEP_GONE)
        return false;
    if (hash_same(fp, &g->conf.fp) || vouched(g, fp)) {
        cert_mark(g, account, fp, KEEP_ACCEPTED);
        return false;
    }
    if (!has(p, KEEP_ACCEPTED))
        return false; /* the first list will say what he has */
    cert_mark(g, account, fp, KEEP_NEW);
    return true;
}

static void new_alarm(struct engine *g, const char *account, const struct hash *fp)
{
    char hex[2 * HASH_LEN + 1];

    hex_put(hex, span_of(fp->b, sizeof fp->b));
    event_text(g, ENGINE_ALARM, NULL,
               "%s has a new certificate, %.16s..: compare it with /verify, or /accept %s; until "
               "then nothing is sent in private and direct rooms with %s",
               account, hex, account, account);
}

int known_author(struct engine *g, const struct author *a)
{
    const struct known *p = known_find(g, a->account);
    const struct known_cert *x = cert_find(p, &a->fp);
    struct err e = {0};

    if (!has(p, KEEP_ACCEPTED) || (x != NULL && x->disk != KNOWN_LOOSE && x->state != KEEP_GONE))
        return 0;
    if (author_check(g, a, engine_now(g), &e) < 0)
        return 0; /* a former device speaks out of the past only */
    if (known_meet(g, a->account, &a->fp))
        new_alarm(g, a->account, &a->fp);
    return g->closing ? -1 : 0;
}

/* One that is revoked before anybody accepted it stops nothing any more. */
static void listed_one(struct engine *g, const char *account, const struct engine_device *d)
{
    const struct known_cert *x = cert_find(known_find(g, account), &d->fp);

    if (d->revoked != 0) {
        if (x != NULL && x->state == KEEP_NEW)
            cert_mark(g, account, &d->fp, KEEP_GONE);
    } else if (known_meet(g, account, &d->fp)) {
        new_alarm(g, account, &d->fp);
    }
}

void known_listed(struct engine *g, const struct engine_member *m)
{
    bool first = !has(known_find(g, m->name), KEEP_ACCEPTED);

    for (unsigned i = 0; i < m->devices_n; i++)
        if (!first)
            listed_one(g, m->name, m->devices + i);
        else if (m->devices[i].revoked == 0)
            cert_mark(g, m->name, &m->devices[i].fp, KEEP_ACCEPTED);
}

/* By the relay's list, by what was signed, or since the room is with him: one is enough. */
static bool sits(const struct engine *g, struct room *r, const char *account)
{
    const struct engine_member *m = member_by_name(r, account);

    return strcmp(account, g->account) == 0 || (m != NULL && !m->left) ||
           (r->pub.kind == ENGINE_DIRECT && strcmp(r->pub.name, account) == 0) ||
           roster_member(&r->roster, account, r->roster.upto) != NULL;
}

static const struct known *stops(const struct engine *g, struct room *r)
{
    const struct known *p;

    for (p = g->knowns; p != NULL; p = p->hh.next)
        if (has(p, KEEP_NEW) && sits(g, r, p->account))
            return p;
    return NULL;
}

static int stop_say(const struct known *p, struct err *e)
{
    char hex[2 * HASH_LEN + 1];
    const struct known_cert *x = p->certs;

    while (x->state != KEEP_NEW)
        x++;
    hex_put(hex, span_of(x->fp.b, sizeof x->fp.b));
    return err_set(e, ERR_AUTH,
                   "%s has a new certificate, %.16s..: nothing was sent. Compare it: /verify %s "
                   "FINGERPRINT; or take it unseen: /accept %s (countersign accept)",
                   p->account, hex, p->account, p->account);
}

int known_check(const struct engine *g, struct room *r, struct err *e)
{
    const struct known *p = r->pub.kind == ENGINE_PUBLIC ? NULL : stops(g, r);

    if (p != NULL)
        return stop_say(p, e);
    if (r->pub.kind != ENGINE_PUBLIC && g->known_full)
        return err_set(e, ERR_LIMIT,
                       "the relay showed more than %d certificates: new ones of members cannot be "
                       "told from known ones any more; nothing was sent",
                       KNOWN_MAX);
    return 0;
}

bool engine_blocked(struct engine *g, const struct room_id *room)
{
    struct room *r = room_find(g, room);
    struct err e = {0};

    return r != NULL && known_check(g, r, &e) < 0;
}

/* A person as people write him. */
static struct known *known_of(const struct engine *g, struct str person)
{
    char account[NAME_MAX_LEN + 1];

    return str_copy(account, sizeof account, unsigned_name(person, '@')) < 0
               ? NULL
               : known_find(g, account);
}

bool known_new_of(const struct engine *g, struct str person, const struct hash *fp)
{
    const struct known_cert *x = cert_find(known_of(g, person), fp);

    return x != NULL && x->state == KEEP_NEW;
}

int known_accept(struct engine *g, struct str person, const struct hash *fp, struct err *e)
{
    const struct known *p = known_of(g, person);
    struct known_cert *x = cert_find(p, fp);

    return x == NULL ? 0 : cert_set(g, p->account, x, KEEP_ACCEPTED, e);
}

int engine_accept(struct engine *g, struct str person, struct err *e)
{
    struct known *p = known_of(g, person);
    int n = 0;

    if (p == NULL)
        return err_set(e, ERR_INPUT, "nobody of that name is known here");
    for (unsigned i = 0; i < p->certs_n; i++) {
        if (p->certs[i].state != KEEP_NEW)
            continue;
        if (cert_set(g, p->account, p->certs + i, KEEP_ACCEPTED, e) < 0)
            return -1;
        n++;
    }
    (void)!rooms_send(g); /* a failure shows as ENGINE_CLOSE */
    return n;
}
