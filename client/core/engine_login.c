#include <string.h>

#include "client/core/engine_inner.h"
#include "common/chat/account.h"
#include "common/chat/compact.h"

/* A resume token saves the password; without one, or when it is refused, we log in. */
static int login_begin(struct engine *g)
{
    struct f_login login = {.id = ++g->next_id};

    if (rng_fill(&g->conf.rng, login.nonce, sizeof login.nonce) < 0)
        return engine_fail(g, ERR_LOCAL, false, "no random numbers");
    g->auth = (struct account_auth){
        .link = g->peer.link,
        .exporter = g->peer.exporter,
        .client_cert = g->conf.fp,
        .relay_cert = g->peer.relay_fp,
    };
    memcpy(g->auth.client_nonce, login.nonce, sizeof login.nonce);
    g->login_id = login.id;
    g->resuming = false;
    g->phase = ENGINE_LOGIN;
    return engine_put(g, F_LOGIN, &login);
}

static int resume_begin(struct engine *g)
{
    struct f_resume resume = {.id = ++g->next_id};

    memcpy(resume.token, g->token, sizeof resume.token);
    g->login_id = resume.id;
    frames_bound(&g->in, FRAME_MAX);
    g->resuming = true;
    g->phase = ENGINE_LOGIN;
    int ret = engine_put(g, F_RESUME, &resume);
    wipe(&resume, sizeof resume);
    return ret;
}

int login_hello(struct engine *g, struct frame *f)
{
    const struct str features[] = {str_of(COMPACT_WORD), str_of(COSIGN_WORD)};
    const struct f_hello_client hello = {
        .v = 1, .features = features, .features_n = g->conf.record ? 2 : 1};
    const struct f_hello_relay *h = &f->u.hello_relay;

    if (g->phase != ENGINE_HELLO)
        return engine_fail(g, ERR_PEER, true, "the relay broke the protocol: a second hello");
    if (h->v != 1)
        return engine_fail(g, ERR_PEER, false,
                           "the relay speaks version %llu of the protocol, we speak 1: one of the "
                           "two must be upgraded",
                           (unsigned long long)h->v);
    g->compact = compact_spoken(h->features, h->features_n);
    int64_t skew = h->now - engine_now(g);
    g->relay_epoch = h->now - engine_mono(g);
    if (skew > SKEW_SHOWN_MS || skew < -SKEW_SHOWN_MS)
        event_text(g, ENGINE_NOTE, NULL,
                   "the relay's clock is %lld s %s ours: check the time of this computer",
                   (long long)(skew < 0 ? -skew : skew) / 1000, skew < 0 ? "behind" : "ahead of");
    if (engine_put(g, F_HELLO_CLIENT, &hello) < 0)
        return -1;
    return g->has_token ? resume_begin(g) : login_begin(g);
}

static int proof_send(struct engine *g)
{
    struct f_proof proof = {.id = ++g->next_id};

    g->login_id = proof.id;
    frames_bound(&g->in, FRAME_MAX); /* the welcome lists rooms and revocations */
    account_client_proof(&proof.proof, &g->login.salted, &g->auth);
    g->phase = ENGINE_PROOF;
    return engine_put(g, F_PROOF, &proof);
}

/* The relay says salt and cost; the cost must be the one our device pinned at joining, so that
 * nobody can make us hash the password cheaply. */
int login_challenge(struct engine *g, struct frame *f)
{
    const struct f_challenge *c = &f->u.challenge;
    uint8_t salt[ARGON_SALT_LEN];

    if (g->phase != ENGINE_LOGIN || g->resuming || c->re != g->login_id)
        return engine_fail(g, ERR_PEER, true, "the relay broke the protocol: a stray challenge");
    if (c->t != g->conf.cost.t || c->m != g->conf.cost.m_kib)
        return engine_fail(g, ERR_PEER, false,
                           "the relay asks for a password hash of t=%llu m=%llu, this device "
                           "joined with t=%u m=%u: not answered",
                           (unsigned long long)c->t, (unsigned long long)c->m, g->conf.cost.t,
                           g->conf.cost.m_kib);
    memcpy(g->auth.relay_nonce, c->nonce, sizeof c->nonce);
    memcpy(g->auth.salt, c->salt, sizeof c->salt);
    g->auth.cost = g->conf.cost;
    g->login_id = 0;
    account_salt(salt, &g->conf.root_fp, str_of(g->account), c->salt);
    if (g->has_salted && memcmp(salt, g->login.salt, sizeof salt) == 0)
        return proof_send(g);
    memcpy(g->login.salt, salt, sizeof salt);
    g->has_salted = false;
    g->phase = ENGINE_WAIT;
    struct engine_event ev = {.kind = ENGINE_PASSWORD, .cost = g->conf.cost};
    memcpy(ev.salt, salt, sizeof salt);
    event_add(g, &ev);
    return 0;
}

void engine_salted(struct engine *g, const struct key *salted)
{
    g->login.salted = *salted;
    g->has_salted = true;
    if (g->phase == ENGINE_WAIT && !g->closing)
        (void)!proof_send(g);
}

/* One sentence for all reasons is all the relay gives. */
int login_error(struct engine *g, const struct f_error *x)
{
    if (x->code == CODE_AUTH && g->resuming && x->re == g->login_id) {
        g->has_token = false;
        wipe(g->token, sizeof g->token);
        return login_begin(g);
    }
    if (x->code == CODE_AUTH) {
        key_wipe(&g->login.salted);
        g->has_salted = false;
        return engine_fail(g, ERR_AUTH, false,
                           "the relay refused the login: wrong password, or this account or "
                           "device was disabled; ask who runs the relay");
    }
    return engine_fail(g, x->code == CODE_MALFORMED ? ERR_PEER : ERR_UNAVAILABLE, true,
                       "the relay ended the login: %.*s", (int)x->text.n, x->text.p);
}

void crl_use(struct engine *g, struct span crl)
{
    struct err e = {0};

    if (crl.n == 0)
        return;
    if (trust_add_crl(g->conf.trust, crl, &e) < 0) {
        event_text(g, ENGINE_ALARM, NULL, "the relay's revocation list was not accepted: %s",
                   e.text);
        return;
    }
    trust_demand(g->conf.trust, TRUST_CRL_LEAF); /* from now on nobody is judged without one */
    if (g->conf.keep.ops->value_put(g->conf.keep.k, "crl", crl, &e) < 0)
        event_text(g, ENGINE_NOTE, NULL, "the revocation list could not be kept: %s", e.text);
}

/* Without a valid list nobody can be judged. Honest authors would stand as refused for ever: so
 * nothing is judged at all, and the connection ends. */
int crl_check(struct engine *g)
{
    int64_t until = trust_crl_until(g->conf.trust);

    if (until != INT64_MAX && until > engine_now(g))
        return 0;
    return engine_fail(g, ERR_UNAVAILABLE, true,
                       "the relay has no valid list of revoked certificates, so nobody's can be "
                       "judged: ask who runs it to run countersignd doctor");
}

int crl_take(struct engine *g, struct frame *f)
{
    crl_use(g, f->u.crl.crl);
    return 0;
}

static int welcome_check(struct engine *g, const struct f_welcome *w)
{
    if ((g->phase != ENGINE_LOGIN && g->phase != ENGINE_PROOF) || w->re != g->login_id)
        return engine_fail(g, ERR_PEER, true, "the relay broke the protocol: a stray welcome");
    if (!g->resuming && (g->phase != ENGINE_PROOF || !w->has_proof ||
                         !account_relay_proved(&g->login.salted, &g->auth, &w->proof)))
        return engine_fail(g, ERR_PEER, false,
                           "the relay could not prove that it knows this account: it is not the "
                           "one you joined, or its database was changed");
    if (!str_is(w->account.name, g->account) || !str_is(w->device, g->device))
        return engine_fail(g, ERR_PEER, false,
                           "the relay takes this device for another account or device");
    return 0;
}

int login_welcome(struct engine *g, struct frame *f)
{
    const struct f_welcome *w = &f->u.welcome;

    if (welcome_check(g, w) < 0)
        return -1;
    memcpy(g->token, w->token, sizeof g->token);
    g->has_token = true;
    g->admin = w->account.admin;
    g->id = w->account.id;
    g->login_id = 0;
    g->phase = ENGINE_ONLINE;
    g->ready_due = true;
    wipe(&g->auth, sizeof g->auth);
    crl_use(g, w->crl);
    if (crl_check(g) < 0)
        return -1;
    for (size_t i = 0; i < g->rooms_n; i++)
        g->rooms[i]->pub.joined = false;
    for (size_t i = 0; i < w->rooms_n; i++)
        if (room_take(g, w->rooms + i, false) < 0)
            return -1;
    for (size_t i = 0; i < g->rooms_n; i++)
        if (!g->rooms[i]->pub.joined && g->rooms[i]->pub.name[0] != '\0')
            event_room(g, ENGINE_ROOM, g->rooms[i]);
    if (ephemeral_settle(g) < 0 || session_begin(g) < 0)
        return -1;
    login_ready(g);
    return 0;
}

void login_ready(struct engine *g)
{
    if (!g->ready_due)
        return;
    for (size_t i = 0; i < g->rooms_n; i++)
        if (g->rooms[i]->own_pending)
            return;
    g->ready_due = false;
    event_add(g, &(struct engine_event){.kind = ENGINE_READY});
    for (size_t i = 0; i < g->rooms_n; i++)
        if (room_send(g, g->rooms[i]) < 0)
            return;
    seals_go(g);
}
