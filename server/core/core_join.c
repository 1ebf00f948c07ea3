/* Joining: redeem, reserve, issue and store within one batch; a refusal burns nothing. */
#include "server/core/core_inner.h"
#include "server/core/seal.h"

#include <stdlib.h>
#include <string.h>

#include "common/util/email.h"

static const char refused[] = "this invite is unknown, used or expired: ask for a new one";

struct joining {
    struct core *c;
    struct job *j;
    const struct f_join *f;
    struct store_invite invite;
    struct hash key;         /* SHA-256 of the SubjectPublicKeyInfo */
    struct account *account; /* bound: whose further device it is */
    struct store_user user;
    struct store_device device;
    struct store_chain chain;
};

/* Nothing more can be asked on a connection that was for this. */
static void join_end(struct joining *g, enum proto_code code, const char *text, const char *reason)
{
    core_error(g->c, g->j->conn, g->f->id, code, text);
    effect_add(g->c, EFFECT_CLOSE, g->j->conn)->reason = reason;
}

static void join_error(struct joining *g, enum proto_code code, const char *text,
                       const char *reason)
{
    struct audit_note n = {"join-refused", reason, g->j->source, NULL, NULL, true};

    core_audit(g->c, &n);
    if (code == CODE_AUTH)
        penalty_add(g->c, NULL, g->j->source);
    join_end(g, code, text, reason);
}

static void join_answer(struct joining *g, const struct account *a)
{
    struct span chain[] = {span_of(g->chain.leaf, g->chain.leaf_n),
                           span_of(g->chain.issuer, g->chain.issuer_n)};
    struct f_joined f = {.re = g->f->id,
                         .account = a->row.id,
                         .name = str_of(a->row.name),
                         .device = str_of(g->device.name),
                         .chain = chain,
                         .chain_n = COUNT(chain),
                         .root = buf_span(&g->c->root)};
    (void)core_send(g->c, g->j->conn, F_JOINED, &f);
}

/* The same key with the same token within the hour: the answer got lost on its way. */
static bool join_again(struct joining *g)
{
    struct account *a = account_find(g->c, &g->invite.account);
    struct device *d = device_find(g->c, &g->invite.fp);

    if (!hash_same(&g->invite.key, &g->key) || g->c->now - g->invite.used >= INVITE_ANSWER_MS ||
        a == NULL || a->row.disabled || d == NULL || d->row.revoked != 0)
        return false;
    g->device = d->row;
    if (STORE(g->c, device_chain, &d->row.fp, &g->chain) == 1)
        join_answer(g, a);
    return true;
}

/* true: the invite is good. */
static bool invite_check(struct joining *g)
{
    struct hash token;

    sha256(span_of(g->f->token, TOKEN_LEN), &token);
    int found = STORE(g->c, invite_get, &token, &g->invite);
    if (found < 0)
        return false;
    if (found == 1 && g->invite.used != 0 && join_again(g))
        return false;
    const char *wrong = found == 0                       ? "invite-unknown"
                        : g->invite.used != 0            ? "invite-used"
                        : g->c->now >= g->invite.expires ? "invite-expired"
                                                         : NULL;
    if (wrong != NULL)
        join_error(g, CODE_AUTH, refused, wrong);
    return wrong == NULL;
}

/* A new account: its name must be neither taken nor like another. */
static bool name_reserve(struct joining *g)
{
    struct store_user *u = &g->user;
    struct err e = {0};

    if (name_check(g->f->name, NAME_PERSON, &e) < 0) {
        join_error(g, CODE_BAD_NAME, e.text, "bad-name");
        return false;
    }
    if (str_copy(u->name, sizeof u->name, g->f->name) < 0 ||
        name_canonical(u->canonical, g->f->name) < 0 ||
        name_skeleton(u->skeleton, g->f->name) < 0) {
        join_error(g, CODE_BAD_NAME, "this is no name", "bad-name");
        return false;
    }
    int like = STORE(g->c, user_like, u->skeleton);
    if (like == 1 || account_named(g->c, g->f->name) != NULL) {
        join_error(g, CODE_TAKEN, "this name is taken, or looks too much like another", "taken");
        return false;
    }
    u->admin = g->invite.admin;
    u->since = g->c->now;
    if (rng_fill(&g->c->conf.rng, u->id.b, sizeof u->id.b) < 0)
        core_fail(g->c, &(struct err){ERR_OS, "no randomness"});
    return like == 0;
}

/* An invite bound to an account: a further device of it, whose name must be said exactly, since
 * password and name together make the key. */
static bool name_match(struct joining *g)
{
    g->account = account_find(g->c, &g->invite.account);
    if (g->account == NULL || g->account->row.disabled) {
        join_error(g, CODE_AUTH, refused, "disabled");
        return false;
    }
    if (!str_is(g->f->name, g->account->row.name)) {
        join_error(g, CODE_BAD_NAME, "this invite is for another name", "other-name");
        return false;
    }
    if (g->invite.keep && devices_good(g->account) >= DEVICES_MAX) {
        join_error(g, CODE_LIMIT, "this account has too many devices", "devices");
        return false;
    }
    g->user = g->account->row;
    return true;
}

static bool email_free(const struct joining *g)
{
    const struct account *a, *next;

    HASH_ITER(hh, g->c->accounts, a, next)
        if (a != g->account && email_same(str_of(a->row.email), str_of(g->j->email)))
            return false;
    return true;
}

/* Said in the handshake (`cianr`), for the operator alone; one account has it. Of a further device
 * it takes the place of the former. */
static bool email_take(struct joining *g)
{
    struct store_user *u = &g->user;

    if (g->j->email == NULL)
        return true;
    if (email_is(str_of(g->j->email)) && email_free(g) &&
        str_copy(u->email, sizeof u->email, str_of(g->j->email)) == 0)
        return true;
    join_error(g, CODE_TAKEN, "this e-mail address cannot be had: join without it, or with another",
               "email-taken");
    return false;
}

static bool device_name_check(struct joining *g)
{
    struct err e = {0};

    if (name_check(g->f->device, NAME_DEVICE, &e) == 0 &&
        str_copy(g->device.name, sizeof g->device.name, g->f->device) == 0)
        return true;
    join_error(g, CODE_BAD_NAME, e.text[0] != '\0' ? e.text : "this is no name", "bad-device-name");
    return false;
}

static bool join_issue(struct joining *g)
{
    struct err e = {0};
    struct span spki = span_of(g->j->csr.spki, g->j->csr.spki_n);

    if (g->c->conf.issue(g->c->conf.issue_ctx, g->c->now, spki, str_of(g->user.name),
                         str_of(g->device.name), &g->chain, &e) < 0) {
        join_error(g, CODE_BUSY, "the relay cannot issue certificates now", "issue-failed");
        return false;
    }
    g->device.account = g->user.id;
    g->device.since = g->c->now;
    cert_fingerprint(span_of(g->chain.leaf, g->chain.leaf_n), &g->device.fp);
    return true;
}

static int record_store(struct joining *g)
{
    struct store_user *u = &g->user;
    struct account_record rec;

    memcpy(u->salt, g->f->salt, SALT_LEN);
    u->t = (uint32_t)g->f->t;
    u->m = (uint32_t)g->f->m;
    memcpy(rec.stored.b, g->f->stored_key.b, sizeof rec.stored.b);
    memcpy(rec.server.b, g->f->server_key.b, sizeof rec.server.b);
    int rc = login_seal(u->sealed, &g->c->conf.seal, &u->id, &rec, &g->c->conf.rng);
    wipe(&rec, sizeof rec);
    if (rc < 0)
        core_fail(g->c, &(struct err){ERR_LOCAL, "a login record cannot be sealed"});
    return rc < 0 ? -1 : STORE(g->c, user_put, u);
}

static int invite_spend(struct joining *g)
{
    struct store_invite *v = &g->invite;

    v->used = g->c->now;
    v->account = g->user.id;
    v->key = g->key;
    v->fp = g->device.fp;
    return STORE(g->c, invite_use, v) == 1 ? 0 : -1;
}

static int device_revoke(struct core *c, struct device *d)
{
    if (STORE(c, device_revoke, &d->row.fp, c->now) < 0)
        return -1;
    d->row.revoked = c->now;
    device_shut(c, d, "revoked");
    struct effect *ef = effect_add(c, EFFECT_DEVICE, 0);
    ef->fp = d->row.fp;
    ef->fault = CERT_REVOKED;
    return 0;
}

/* A bound invite: what had been good before, and who has to know. */
static int account_renew(struct joining *g)
{
    struct account *a = g->account;
    struct f_device f = {.account = a->row.id,
                         .name = str_of(a->row.name),
                         .device = str_of(g->device.name),
                         .fp = g->device.fp,
                         .time = g->c->now,
                         .kept = g->invite.keep};

    a->row = g->user;
    core_tell_peers(g->c, a, F_DEVICE, &f);
    core_tell_own(g->c, a, 0, F_DEVICE, &f);
    for (struct device *d = a->devices; d != NULL; d = d->next) {
        if (STORE(g->c, session_drop, &d->row.fp) < 0) /* tokens of the former password (A6) */
            return -1;
        if (!g->invite.keep && d->row.revoked == 0 && device_revoke(g->c, d) < 0)
            return -1;
    }
    return 0;
}

static void join_store(struct joining *g)
{
    struct core *c = g->c;

    if (record_store(g) < 0 || STORE(c, device_add, &g->device, &g->chain) < 0)
        return;
    if (invite_spend(g) < 0) {
        core_fail(c, &(struct err){ERR_LOCAL, "an invite was used twice"});
        return;
    }
    if (g->account != NULL ? account_renew(g) < 0 : (g->account = account_add(c, &g->user)) == NULL)
        return;
    if (device_add(c, &g->device) == NULL)
        return;
    struct audit_note n = {"registration", g->invite.bound ? "further-device" : "new-account",
                           g->j->source,   g->account,
                           &g->device.fp,  false};
    core_audit(c, &n);
    n.event = "invite-used";
    core_audit(c, &n);
    penalty_clear(c, NULL, g->j->source);
    join_answer(g, g->account);
}

void ask_join(struct core *c, struct job *j)
{
    struct joining *g = calloc(1, sizeof *g);

    if (g == NULL) {
        core_fail(c, &(struct err){0});
        return;
    }
    *g = (struct joining){.c = c, .j = j, .f = &j->frame.u.join};
    sha256(span_of(j->csr.spki, j->csr.spki_n), &g->key);
    if (penalty_due(c, NULL, j->source))
        join_end(g, CODE_BUSY, "too many failures: try again later", "too-many-failures");
    else if (invite_check(g) && (g->invite.bound ? name_match(g) : name_reserve(g)) &&
             email_take(g) && device_name_check(g) && c->failed.code == ERR_NONE && join_issue(g))
        join_store(g);
    wipe(g, sizeof *g);
    free(g);
}
