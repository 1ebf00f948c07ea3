#include "server/sequencer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "certs/file.h"
#include "server/books.h"
#include "server/notary.h"
#include "server/revoke.h"

enum { WANT_RELOAD = 1, WANT_DRAIN = 2, WANT_STOP = 4 };
enum { LAST_TURNS = 24 }; /* of SEQUENCER_WAIT_MS, for the last signatures */

struct sequencer {
    struct sequencer_conf conf;
    struct store store;
    struct core *core;
    struct ca *ca;
    struct notary *notary;
    pthread_t thread;
    bool started, failed;
    bool revoked;   /* a device was revoked since the CRL was last looked at */
    bool refresh;   /* another process has written */
    int64_t ticked; /* monotonic ms of the last core_tick */
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct jobs jobs; /* under lock, like want */
    unsigned want;
    unsigned todo; /* what was wanted and is not done yet: the thread's own */
};

/* --- effects --- */

static bool to_all(enum effect_kind k)
{
    return k == EFFECT_PUBLISH || k == EFFECT_EVERYONE;
}

static void fatal(struct sequencer *s, const struct err *e)
{
    log_say(s->conf.log, "fatal", e->text);
    s->failed = true;
    s->conf.fatal(s->conf.ctx);
}

static void starved(struct sequencer *s, const char *what)
{
    struct err e = {0};

    err_set(&e, ERR_LOCAL, "no memory to %s", what);
    if (!s->failed)
        fatal(s, &e);
}

/* An effect left out would make members disagree: then it is the end. What was stored is asked for
 * again at the next start. */
static void effect_add(struct sequencer *s, struct msgs *l, const struct effect *ef)
{
    struct msg *m = s->failed ? NULL : msg_new(MSG_EFFECT, ef->conn);

    if (m == NULL) {
        starved(s, "tell members what was stored");
        return;
    }
    m->effect = *ef;
    if (ef->frame != NULL)
        shared_ref(ef->frame);
    if (ef->compact != NULL)
        shared_ref(ef->compact);
    msgs_add(l, m);
}

static void device(struct sequencer *s, const struct effect *ef)
{
    s->revoked = s->revoked || ef->fault == CERT_REVOKED;
    if (roll_set(s->conf.roll, &ef->fp, ef->fault) < 0)
        starved(s, "know a device"); /* or one that was revoked would still be let in */
}

static void sign(struct sequencer *s, const struct effect *ef)
{
    if (notary_put(s->notary, ef->conn, ef->frame) < 0)
        starved(s, "sign what happened");
}

static void effects(struct sequencer *s)
{
    struct msgs out[LOOPS_MAX] = {{NULL, NULL}};
    struct effect ef;

    while (core_effect(s->core, &ef)) {
        if (ef.kind == EFFECT_DEVICE)
            device(s, &ef);
        else if (ef.kind == EFFECT_SIGN)
            sign(s, &ef);
        else if (to_all(ef.kind))
            for (size_t i = 0; i < s->conf.loops_n; i++)
                effect_add(s, &out[i], &ef);
        else
            effect_add(s, &out[s->conf.loop_of(ef.conn)], &ef);
        effect_drop(&ef);
    }
    for (size_t i = 0; i < s->conf.loops_n; i++)
        box_put_all(s->conf.loops[i], &out[i]);
}

/* --- batches --- */

static void drain(struct sequencer *s)
{
    for (size_t i = 0; i < s->conf.loops_n; i++) {
        struct msg *m = msg_new(MSG_DRAIN, 0);

        if (m != NULL)
            box_put(s->conf.loops[i], m);
        else
            starved(s, "say goodbye");
    }
    s->todo &= ~(unsigned)WANT_DRAIN;
}

/* Who is to go while the store is held says goodbye without it, and in the end goes: what still
 * waits was acknowledged to nobody. */
static bool told_to_stop(struct sequencer *s)
{
    pthread_mutex_lock(&s->lock);
    s->todo |= s->want;
    s->want = 0;
    pthread_mutex_unlock(&s->lock);
    if (s->todo & WANT_DRAIN)
        drain(s);
    return s->todo & WANT_STOP;
}

/* Waits for the other process's transaction; jobs wait with us, connections do not notice.
 * ERR_AGAIN: we are to stop, and it still lasts. */
static int begin(struct sequencer *s, struct err *e)
{
    int r;

    while ((r = core_begin(s->core, clock_now(NULL), e)) < 0 && e->code == ERR_AGAIN) {
        log_say(s->conf.log, "waiting", e->text);
        if (told_to_stop(s))
            break;
        err_clear(e);
    }
    return r;
}

/* A disabled account is noticed before the next job is done, and without jobs within a second. */
static void look_around(struct sequencer *s)
{
    struct err e = {0};
    int changed = core_changed(s->core, &e);

    if (changed < 0)
        fatal(s, &e);
    s->refresh = s->refresh || changed > 0;
}

/* One transaction; leaves the jobs it did not take. false: there will be no further one. */
static bool batch(struct sequencer *s, struct jobs *l, bool tick)
{
    struct err e = {0};
    unsigned n = 0;

    if (begin(s, &e) < 0) {
        if (e.code != ERR_AGAIN)
            fatal(s, &e);
        return false;
    }
    look_around(s); /* again: from here on nobody else writes, and no job undoes what he wrote */
    if (s->failed)
        return false;
    if (s->refresh)
        core_refresh(s->core);
    s->refresh = false;
    if (tick)
        core_tick(s->core);
    for (struct job *j; n < BATCH_MAX && !core_full(s->core) && (j = jobs_next(l)) != NULL; n++)
        core_job(s->core, j);
    if (core_commit(s->core, &e) < 0)
        fatal(s, &e);
    else
        effects(s);
    return !s->failed;
}

/* --- CRL and CA --- */

/* The chain of the evidence key, as it lies on the disk. */
struct evidence {
    struct buf leaf, issuer;
};

static int evidence_read(const struct sequencer *s, struct evidence *v, struct err *e)
{
    buf_init(&v->leaf, CERT_MAX);
    buf_init(&v->issuer, CERT_MAX);
    return identity_evidence(s->conf.conf, s->ca, &v->leaf, &v->issuer, e);
}

static void evidence_free(struct evidence *v)
{
    buf_free(&v->leaf);
    buf_free(&v->issuer);
}

/* The end of a batch in which something was set, or not: `set` is what came of it. */
static int set_end(struct sequencer *s, int set, struct err *e)
{
    if (core_commit(s->core, e) < 0) {
        fatal(s, e);
        return -1;
    }
    effects(s);
    return set;
}

/* Renewed certificates keep their key; another key is another relay's until the next start. */
static int evidence_set(struct sequencer *s, struct err *e)
{
    struct evidence v;
    int ret = evidence_read(s, &v, e);

    if (ret == 0 && !notary_holds(s->notary, buf_span(&v.leaf)))
        ret = err_set(e, ERR_CONFIG, "%s is for another key: restart to take it", FILE_EVIDENCE);
    if (ret == 0 && begin(s, e) == 0) {
        ret = set_end(s, core_set_signer(s->core, buf_span(&v.leaf), buf_span(&v.issuer), e), e);
    }
    evidence_free(&v);
    return ret;
}

static int crl_set(struct sequencer *s, struct err *e)
{
    struct buf crl;
    int ret = -1;

    buf_init(&crl, CRL_MAX);
    if (ca_crl_read(s->ca, &crl, e) == 0 && begin(s, e) == 0) {
        ret = set_end(s, core_set_crl(s->core, buf_span(&crl), e), e);
    }
    buf_free(&crl);
    return ret;
}

/* Devices that were revoked in the store enter the CRL. */
static void revoked_sync(struct sequencer *s)
{
    struct err e = {0};

    s->revoked = false;
    int n = revoke_sync(s->ca, &s->store, clock_now(NULL), &e);
    if (n < 0 || (n > 0 && crl_set(s, &e) < 0))
        log_say(s->conf.log, "error", e.text);
}

/* Devices that somebody revoked with countersign-ca are revoked in the store too, so that their
 * connections end. */
static int adopt(struct sequencer *s, struct err *e)
{
    int n = revoke_adopt(s->ca, &s->store, clock_now(NULL), e);

    s->refresh = s->refresh || n > 0;
    return n < 0 ? -1 : 0;
}

static void reload(struct sequencer *s)
{
    struct err e = {0};
    struct ca *ca = identity_ca(s->conf.conf, &e);

    if (ca != NULL) {
        ca_free(s->ca);
        s->ca = ca;
    }
    if (ca == NULL || adopt(s, &e) < 0 || crl_set(s, &e) < 0 || evidence_set(s, &e) < 0)
        log_say(s->conf.log, "error", e.text);
    s->todo &= ~(unsigned)WANT_RELOAD;
}

/* --- the thread --- */

/* Waits at most until the next turn. */
static void take(struct sequencer *s, struct jobs *l)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += SEQUENCER_WAIT_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&s->lock);
    while (s->jobs.first == NULL && s->want == 0)
        if (pthread_cond_timedwait(&s->some, &s->lock, &until) == ETIMEDOUT)
            break;
    jobs_move(l, &s->jobs);
    s->todo |= s->want;
    s->want = 0;
    pthread_mutex_unlock(&s->lock);
}

static bool turn(struct sequencer *s, int64_t now)
{
    if (now - s->ticked < TURN_MS)
        return false;
    s->ticked = now;
    return true;
}

/* Nothing is left open or unsigned, if the store lets us and the notary is not long about it. */
static void last(struct sequencer *s)
{
    struct err e = {0};
    struct jobs l = {0};

    if (s->failed || begin(s, &e) < 0)
        return;
    core_end(s->core);
    if (set_end(s, 0, &e) < 0)
        return;
    for (unsigned n = 0; n < LAST_TURNS && core_signing(s->core); n++) {
        take(s, &l);
        while (l.first != NULL && batch(s, &l, false))
            ;
        jobs_free(&l);
    }
}

static void *run(void *ctx)
{
    struct sequencer *s = ctx;
    struct jobs l = {0};

    while (!(s->todo & WANT_STOP)) {
        take(s, &l);
        bool tick = turn(s, clock_ticks());

        if (!s->failed)
            look_around(s);
        while (!s->failed && (l.first != NULL || tick || s->refresh) && batch(s, &l, tick))
            tick = false;
        jobs_free(&l); /* after a failure nothing is taken any more */
        if (!s->failed && s->revoked)
            revoked_sync(s);
        if (!s->failed && (s->todo & WANT_RELOAD))
            reload(s);
        if (s->todo & WANT_DRAIN)
            drain(s);
    }
    last(s);
    return NULL;
}

static void ask(struct sequencer *s, unsigned want)
{
    pthread_mutex_lock(&s->lock);
    s->want |= want;
    pthread_cond_signal(&s->some);
    pthread_mutex_unlock(&s->lock);
}

void sequencer_put(struct sequencer *s, struct jobs *l)
{
    if (l->first == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    jobs_move(&s->jobs, l);
    pthread_cond_signal(&s->some);
    pthread_mutex_unlock(&s->lock);
}

void sequencer_reload(struct sequencer *s)
{
    ask(s, WANT_RELOAD);
}

void sequencer_drain(struct sequencer *s)
{
    ask(s, WANT_DRAIN);
}

/* --- beginning and end --- */

static int issue(void *ctx, int64_t now, struct span spki, struct str name, struct str device_name,
                 struct store_chain *out, struct err *e)
{
    struct sequencer *s = ctx;
    struct ca_cert cert;
    struct span by = ca_intermediate(s->ca);

    if (ca_issue_device(s->ca, now, spki, name, device_name, 0, &cert, e) < 0)
        return -1;
    if (by.n > sizeof out->issuer)
        return err_set(e, ERR_LOCAL, "the intermediate's certificate is too big");
    memcpy(out->leaf, cert.der, cert.n);
    out->leaf_n = cert.n;
    memcpy(out->issuer, by.p, by.n);
    out->issuer_n = by.n;
    return 0;
}

static int core_open(struct sequencer *s, struct err *e)
{
    struct core_conf c = {.store = s->store,
                          .rng = rng_system(),
                          .root = ca_root(s->ca),
                          .issue = issue,
                          .issue_ctx = s,
                          .audit_days = (unsigned)s->conf.conf->audit_address_days};
    struct evidence v;
    struct buf crl;

    buf_init(&crl, CRL_MAX);
    if (evidence_read(s, &v, e) == 0 && books_seal(s->conf.conf, &c.seal, e) == 0 &&
        ca_crl_read(s->ca, &crl, e) == 0) {
        c.crl = buf_span(&crl);
        c.evidence[0] = buf_span(&v.leaf);
        c.evidence[1] = buf_span(&v.issuer);
        s->core = core_new(&c, clock_now(NULL), e);
    }
    key_wipe(&c.seal);
    evidence_free(&v);
    buf_free(&crl);
    return s->core == NULL ? -1 : 0;
}

/* From the notary's thread. */
static void on_signed(void *ctx, struct job *j)
{
    struct jobs l = {0};

    jobs_add(&l, j);
    sequencer_put(ctx, &l);
}

static int notary_open(struct sequencer *s, struct err *e)
{
    struct pkey *key = identity_evidence_key(s->conf.conf, e);

    s->notary = key == NULL ? NULL : notary_start(key, on_signed, s, e);
    return s->notary == NULL ? -1 : 0;
}

static void sequencer_free(struct sequencer *s)
{
    notary_stop(s->notary); /* it puts jobs */
    jobs_free(&s->jobs);
    core_free(s->core);
    if (s->store.ops != NULL)
        store_close(&s->store);
    ca_free(s->ca);
    pthread_cond_destroy(&s->some);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

struct sequencer *sequencer_open(const struct sequencer_conf *c, struct err *e)
{
    struct sequencer *s = calloc(1, sizeof *s);

    if (s == NULL) {
        err_set(e, ERR_LOCAL, "no memory for the sequencer");
        return NULL;
    }
    s->conf = *c;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->some, NULL);
    s->ca = identity_ca(c->conf, e);
    if (s->ca == NULL || books_open(c->conf, STORE_OPEN, &s->store, e) < 0 || core_open(s, e) < 0 ||
        notary_open(s, e) < 0) {
        sequencer_free(s);
        return NULL;
    }
    effects(s); /* the devices: the judge must know them before the first guest */
    if (s->failed) {
        err_set(e, ERR_LOCAL, "no memory for the roll of devices");
        sequencer_free(s);
        return NULL;
    }
    return s;
}

int sequencer_start(struct sequencer *s, struct err *e)
{
    if (pthread_create(&s->thread, NULL, run, s) != 0)
        return err_set(e, ERR_OS, "no thread for the sequencer");
    s->started = true;
    return 0;
}

void sequencer_stop(struct sequencer *s)
{
    if (s == NULL)
        return;
    ask(s, WANT_STOP);
    if (s->started)
        pthread_join(s->thread, NULL);
    sequencer_free(s);
}
