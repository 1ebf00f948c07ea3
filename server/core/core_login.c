/* Login, resume, welcome. Whatever the reason of a refusal, the peer reads the same bytes. */
#include "server/core/core_inner.h"
#include "server/core/seal.h"

#include <stdlib.h>
#include <string.h>

static const char refused[] = "login refused: wrong password, or this device or account may not";
static const char waiting[] = "too many failures: try again later";

static void login_refuse(struct ask *a, struct device *d, const char *reason)
{
    struct account *who = d == NULL ? NULL : d->account;
    struct audit_note n = {"login-failure",         reason, a->k->source, who,
                           &a->k->auth.client_cert, true};

    core_audit(a->c, &n);
    ask_error(a, CODE_AUTH, refused);
}

/* The same for ever for one certificate, and nobody's: a stranger learns nothing. */
static void fake_salt(struct core *c, const struct hash *fp, uint8_t salt[SALT_LEN])
{
    static const char label[] = "countersign-no-such-account";
    struct hash mac;
    uint8_t text[sizeof label + sizeof fp->b];

    memcpy(text, label, sizeof label);
    memcpy(text + sizeof label, fp->b, sizeof fp->b);
    hmac_sha256(span_of(c->conf.seal.b, sizeof c->conf.seal.b), span_of(text, sizeof text), &mac);
    memcpy(salt, mac.b, SALT_LEN);
}

static bool login_waits(struct ask *a, const struct device *d)
{
    if (!penalty_due(a->c, d == NULL ? NULL : d->account, a->k->source))
        return false;
    ask_error(a, CODE_BUSY, waiting);
    return true;
}

void ask_login(struct ask *a)
{
    struct account_auth *auth = &a->k->auth;
    struct device *d = device_find(a->c, &a->j->auth.client_cert);

    if (login_waits(a, d))
        return;
    *auth = a->j->auth;
    a->k->suite = a->j->suite;
    auth->cost = argon_cost_default();
    fake_salt(a->c, &auth->client_cert, auth->salt); /* for members too: the same work (A1) */
    if (d != NULL) {
        memcpy(auth->salt, d->account->row.salt, SALT_LEN);
        auth->cost = (struct argon_cost){d->account->row.t, d->account->row.m};
    }
    if (rng_fill(&a->c->conf.rng, auth->relay_nonce, NONCE_LEN) < 0) {
        core_fail(a->c, &(struct err){ERR_OS, "no randomness"});
        return;
    }
    struct f_challenge f = {.re = a->j->frame.u.login.id, .t = auth->cost.t, .m = auth->cost.m_kib};
    memcpy(f.nonce, auth->relay_nonce, NONCE_LEN);
    memcpy(f.salt, auth->salt, SALT_LEN);
    a->k->challenged = core_send(a->c, a->k->id, F_CHALLENGE, &f) == 0;
}

/* --- welcome --- */

struct welcome {
    struct f_room_info *rooms;
    struct own_copy *own;
    size_t n;
};

static int welcome_rooms(struct core *c, struct account *a, const struct hash *fp,
                         struct welcome *w)
{
    w->rooms = calloc(a->rooms_n + 1, sizeof *w->rooms);
    w->own = calloc(a->rooms_n + 1, sizeof *w->own);
    if (w->rooms == NULL || w->own == NULL)
        return -1;
    for (const struct member *m = a->members; m != NULL; m = m->next) {
        if (!member_belongs(m))
            continue;
        room_info(c, m, fp, &w->rooms[w->n], &w->own[w->n]);
        w->n++;
    }
    return 0;
}

static void invitations_tell(struct core *c, const struct conn *k)
{
    for (const struct member *m = k->account->members; m != NULL; m = m->next) {
        struct own_copy own = {0};
        if (m->row.state != STATE_INVITED)
            continue;
        const struct account *by = account_find(c, &m->row.by);
        struct f_room f = {.by = str_of(by == NULL ? "" : by->row.name)};
        room_info(c, m, &k->device->row.fp, &f.room, &own);
        (void)core_send(c, k->id, F_ROOM, &f);
    }
}

/* f says re and proof already. */
static void welcome(struct ask *a, struct device *d, struct f_welcome *f)
{
    struct core *c = a->c;
    struct account *who = d->account;
    struct welcome w = {0};

    f->account = (struct f_account_info){who->row.id, str_of(who->row.name), who->row.admin};
    f->device = str_of(d->row.name);
    f->crl = buf_span(&c->crl);
    if (welcome_rooms(c, who, &d->row.fp, &w) < 0) {
        core_fail(c, &(struct err){0});
        goto out;
    }
    f->rooms = w.rooms;
    f->rooms_n = w.n;
    struct shared *s = core_encode(c, F_WELCOME, f);
    if (s == NULL) {
        ask_error(a, CODE_LIMIT, "your rooms do not fit one frame");
        core_close(c, a->k, "welcome-too-long");
        goto out;
    }
    struct effect *ef = effect_add(c, EFFECT_WELCOME, a->k->id);
    ef->frame = s;
    ef->account = who->row.id;
    memcpy(ef->name, who->row.name, sizeof ef->name);
    conn_login(c, a->k, d);
    invitations_tell(c, a->k);
out:
    free(w.rooms);
    free(w.own);
}

/* Draws the next token; row gets its hash. */
static int token_draw(struct core *c, struct f_welcome *f, struct hash *hash)
{
    if (rng_fill(&c->conf.rng, f->token, RESUME_LEN) < 0) {
        core_fail(c, &(struct err){ERR_OS, "no randomness"});
        return -1;
    }
    sha256(span_of(f->token, RESUME_LEN), hash);
    return 0;
}

/* Who met whom, and when: it stays when the token is gone. */
static int login_record(struct ask *a, const struct device *d, const struct hash *token)
{
    struct store_login l = {.account = d->row.account,
                            .token = *token,
                            .fp = d->row.fp,
                            .relay_fp = a->k->auth.relay_cert,
                            .started = a->c->now};

    account_session(l.session, &a->k->auth.exporter);
    memcpy(a->k->login, l.session, sizeof l.session);
    if (str_copy(l.link, sizeof l.link, str_of(a->k->auth.link)) < 0 ||
        str_copy(l.suite, sizeof l.suite, str_of(a->k->suite)) < 0) {
        core_fail(a->c, &(struct err){ERR_LOCAL, "the name of a link that is too long"});
        return -1;
    }
    return STORE(a->c, message_count, &l.before) < 0 ? -1 : STORE(a->c, login_put, &l);
}

static int session_open(struct ask *a, struct device *d, struct f_welcome *f)
{
    struct store_session s = {
        .fp = d->row.fp, .account = d->row.account, .until = a->c->now + RESUME_MAX_MS};
    uint64_t id;

    if (token_draw(a->c, f, &s.current) < 0 || rng_fill(&a->c->conf.rng, &id, sizeof id) < 0)
        return -1;
    s.id = a->k->session = id >> 1; /* SQLite's integers are signed */
    return STORE(a->c, session_put, &s) < 0 ? -1 : login_record(a, d, &s.current);
}

/* One account does not take the places of all. */
static bool account_full(struct ask *a, const struct account *who)
{
    unsigned n = 0;

    for (const struct conn *k = who->conns; k != NULL; k = k->next)
        n += !k->closing;
    if (n < ACCOUNT_CONNS_MAX)
        return false;
    ask_error(a, CODE_LIMIT, "this account has too many connections");
    return true;
}

/* --- proof --- */

/* NULL, or why this device may not log in although its proof may be right. */
static const char *device_barred(const struct device *d)
{
    if (d == NULL)
        return "unknown-device";
    if (d->row.revoked != 0)
        return "revoked";
    return d->account->row.disabled ? "disabled" : NULL;
}

/* NULL, or why not. Strangers get the same work done to a record of nobody's (A1). */
static const char *proof_wrong(struct ask *a, struct device *d, struct account_record *rec)
{
    static const uint8_t nobodys[LOGIN_SEALED_LEN];
    static const struct account_id nobody;
    struct core *c = a->c;
    const char *barred = device_barred(d);
    bool opened = login_open(rec, &c->conf.seal, d == NULL ? &nobody : &d->row.account,
                             d == NULL ? nobodys : d->account->row.sealed) == 0;

    if (d == NULL && rng_fill(&c->conf.rng, rec, sizeof *rec) < 0)
        barred = "no-randomness";
    else if (d != NULL && !opened)
        barred = "record-damaged";
    bool right = account_client_proved(rec, &a->k->auth, &a->j->frame.u.proof.proof);
    if (barred != NULL)
        return barred;
    return right ? NULL : "wrong-proof";
}

void ask_proof(struct ask *a)
{
    struct conn *k = a->k;
    struct device *d = device_find(a->c, &k->auth.client_cert);
    struct account_record rec = {0};
    struct f_welcome f = {.re = a->j->frame.u.proof.id, .has_proof = true};

    if (!k->challenged)
        return; /* the session keeps the order */
    k->challenged = false;
    if (login_waits(a, d))
        goto out; /* as many challenges as connections, but not as many guesses */
    const char *wrong = proof_wrong(a, d, &rec);
    if (wrong != NULL) {
        penalty_add(a->c, d == NULL ? NULL : d->account, k->source);
        login_refuse(a, d, wrong);
        core_close(a->c, k, wrong);
        goto out;
    }
    penalty_clear(a->c, d->account, k->source);
    if (account_full(a, d->account))
        goto out;
    account_relay_proof(&f.proof, &rec, &k->auth);
    if (session_open(a, d, &f) < 0)
        goto out;
    struct audit_note n = {"login", "password", k->source, d->account, &d->row.fp, false};
    core_audit(a->c, &n);
    welcome(a, d, &f);
out:
    wipe(&rec, sizeof rec);
    wipe(&f, sizeof f);
    wipe(&k->auth.exporter, sizeof k->auth.exporter);
}

/* --- resume --- */

static const char *session_wrong(const struct core *c, const struct store_session *s,
                                 const struct hash *fp)
{
    if (!hash_same(&s->fp, fp))
        return "token-of-other-device";
    if (c->now >= s->until)
        return "token-expired";
    if (s->ended != 0 && c->now - s->ended >= RESUME_IDLE_MS)
        return "token-idle";
    return NULL;
}

/* The token that came becomes the former one: it stays good until its successor was used. */
static int session_turn(struct ask *a, const struct device *d, struct store_session *s,
                        const struct hash *came, struct f_welcome *f)
{
    s->former = *came;
    s->ended = 0;
    if (token_draw(a->c, f, &s->current) < 0)
        return -1;
    a->k->session = s->id;
    return STORE(a->c, session_put, s) < 0 ? -1 : login_record(a, d, &s->current);
}

void ask_resume(struct ask *a)
{
    struct core *c = a->c;
    struct hash came;
    struct store_session s = {0};
    struct f_welcome f = {.re = a->j->frame.u.resume.id};

    a->k->auth = a->j->auth;
    a->k->suite = a->j->suite;
    a->k->challenged = false; /* its nonces are gone */
    struct device *d = device_find(c, &a->k->auth.client_cert);
    sha256(span_of(a->j->frame.u.resume.token, RESUME_LEN), &came);
    int found = STORE(c, session_find, &came, &s);
    if (found < 0)
        goto out;
    const char *wrong = device_barred(d);
    if (wrong == NULL)
        wrong = found == 0 ? "token-unknown" : session_wrong(c, &s, &d->row.fp);
    if (wrong != NULL) {
        login_refuse(a, d, wrong);
        goto out;
    }
    if (account_full(a, d->account) || session_turn(a, d, &s, &came, &f) < 0)
        goto out;
    struct audit_note n = {"login", "token", a->k->source, d->account, &d->row.fp, false};
    core_audit(c, &n);
    welcome(a, d, &f);
out:
    wipe(&f, sizeof f);
    wipe(&a->k->auth.exporter, sizeof a->k->auth.exporter);
}
