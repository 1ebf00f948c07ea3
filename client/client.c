#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "certs/file.h"
#include "client/keep_sqlite.h"
#include "client/net.h"
#include "client/settings.h"
#include "client/transcripts.h"
#include "client/wire.h"
#include "common/chat/account.h"
#include "common/util/text.h"

enum { SECOND_MS = 1000, CLOSE_MS = 1000 };

/* What follows once nobody is waited for any more who may seal a receipt. */
enum ending { ENDS_NOT, ENDS_PAUSED, ENDS_STOPPED };

/* One Argon2id on a worker thread. It outlives a client that is closed meanwhile only to be freed.
 */
struct derive {
    uv_work_t req;
    struct client *client;
    char password[PASSWORD_MAX];
    size_t password_n;
    uint8_t salt[ARGON_SALT_LEN];
    struct argon_cost cost;
    struct key out;
    struct err err;
    int ret;
};

struct client {
    uv_loop_t loop;
    uv_timer_t tick, second;
    bool loop_open, stopped, running, pushing, transcripts;
    enum ending ending;
    struct err unsealed; /* why a receipt could not be made at the end */
    char refused[256];   /* why the relay did not seal one then */
    struct profile profile;
    struct profile_keys keys;
    struct keep keep;
    struct trust *trust;
    struct engine *engine;
    struct wire *wire;
    struct link_conf link;
    struct link_nonces nonces;
    struct span chain[2];
    struct rng rng;
    int lock;
    char password[PASSWORD_MAX]; /* until the first login */
    size_t password_n;
    struct client_watch watch;
    struct client_state state;
    char where[80];
    int64_t retry_at; /* mono ms */
    struct err final;
};

/* --- opening --- */

/* The list we got last time: dial forgets it when it is out of date. */
static int crl_load(struct client *c, struct err *e)
{
    struct buf b;
    struct err ignored = {0};

    buf_init(&b, CRL_MAX);
    int found = c->keep.ops->value_get(c->keep.k, "crl", &b, e);
    if (found == 1 && trust_add_crl(c->trust, buf_span(&b), &ignored) == 0)
        trust_demand(c->trust, TRUST_CRL_LEAF);
    buf_free(&b);
    return found < 0 ? -1 : 0;
}

static int trust_load(struct client *c, struct err *e)
{
    const struct profile *p = &c->profile;

    c->trust = trust_new(TRUST_CRL_OPTIONAL, e);
    if (c->trust == NULL || trust_add_root(c->trust, span_of(p->root, p->root_n), e) < 0 ||
        trust_add_intermediate(c->trust, span_of(p->issuer, p->issuer_n), e) < 0)
        return err_in(e, "%s", p->dir);
    return crl_load(c, e);
}

static int store_open(struct client *c, unsigned wait_ms, struct err *e)
{
    char path[PROFILE_PATH_MAX];

    if (profile_path(&c->profile, "lock", path, e) < 0)
        return -1;
    c->lock = file_lock(path, (int)wait_ms, e);
    if (c->lock < 0)
        return e->code == ERR_AGAIN
                   ? err_in(e, "another countersign is using this account (--profile makes a "
                               "second one)")
                   : -1;
    if (profile_path(&c->profile, "store.db", path, e) < 0)
        return -1;
    c->keep = (struct keep){&keep_sqlite_ops, keep_sqlite_open(path, &c->keys.store, &c->rng, e)};
    return c->keep.k == NULL ? -1 : 0;
}

static int engine_open(struct client *c, const struct client_conf *conf, struct err *e)
{
    const struct profile *p = &c->profile;
    const struct engine_conf ec = {
        .account = p->account,
        .device = p->device,
        .root_fp = p->root_fp,
        .root = span_of(p->root, p->root_n),
        .host = p->host,
        .fp = p->fp,
        .leaf = span_of(p->leaf, p->leaf_n),
        .issuer = span_of(p->issuer, p->issuer_n),
        .key = c->keys.key,
        .trust = c->trust,
        .cost = p->cost,
        .login = c->keys.has_login ? &c->keys.login : NULL,
        .keep = c->keep,
        .rng = c->rng,
        .now = clock_wall_ms,
        .mono = clock_mono_ms,
        .follow = conf->follow,
        .whole = conf->whole,
        .record = c->transcripts,
    };

    c->engine = engine_new(&ec, e);
    return c->engine == NULL ? -1 : 0;
}

static void on_up(void *ctx, const char *where);
static void on_step(void *ctx, const struct link_step *step);
static void on_linked(void *ctx);
static void on_message(void *ctx, struct span bytes);
static void on_rest(void *ctx);
static void on_down(void *ctx, const struct err *why, bool final);

static int loop_open(struct client *c, struct err *e)
{
    const struct wire_ops ops = {on_up, on_step, on_linked, on_message, on_rest, on_down, c};

    if (uv_loop_init(&c->loop) != 0)
        return err_set(e, ERR_OS, "no event loop");
    c->loop_open = true;
    uv_timer_init(&c->loop, &c->tick);
    uv_timer_init(&c->loop, &c->second);
    c->tick.data = c->second.data = c;
    c->wire = wire_new(&c->loop, &ops, e);
    return c->wire == NULL ? -1 : 0;
}

static int transcripts_wanted(bool *out, const char *said, struct err *e)
{
    struct settings s;

    if (said == NULL && settings_read(&s, e) < 0)
        return -1;
    return transcript_take(out, said != NULL ? said : s.transcript, e);
}

struct client *client_open(const struct client_conf *conf, struct str password, struct err *e)
{
    struct client *c = calloc(1, sizeof *c);

    if (c == NULL || password.n > PASSWORD_MAX) {
        free(c);
        err_set(e, ERR_OS, "no memory");
        return NULL;
    }
    c->lock = -1;
    c->rng = rng_system();
    c->state.where = c->where;
    if (transcripts_wanted(&c->transcripts, conf->transcript, e) < 0 ||
        profile_load(&c->profile, conf->profile, e) < 0 ||
        profile_route(&c->profile, conf->link, conf->pin, e) < 0 ||
        profile_unlock(&c->profile, password, &c->rng, &c->keys, e) < 0 ||
        store_open(c, conf->lock_wait_ms, e) < 0 || trust_load(c, e) < 0 ||
        engine_open(c, conf, e) < 0 || loop_open(c, e) < 0) {
        client_close(c);
        return NULL;
    }
    memcpy(c->password, password.p, password.n);
    c->password_n = password.n;
    c->chain[0] = span_of(c->profile.leaf, c->profile.leaf_n);
    c->chain[1] = span_of(c->profile.issuer, c->profile.issuer_n);
    c->link = (struct link_conf){
        .kind = c->profile.link,
        .chain = c->chain,
        .chain_n = COUNT(c->chain),
        .key = c->keys.key,
        .trust = c->trust,
        .leaf = profile_pin(&c->profile),
        .nonces = &c->nonces,
        .host = c->profile.host,
        .rng = c->rng,
        .now = clock_wall_ms,
        .mono = clock_mono_us,
    };
    return c;
}

static void password_forget(struct client *c)
{
    wipe(c->password, sizeof c->password);
    c->password_n = 0;
}

static void close_all(uv_handle_t *h, void *ctx)
{
    (void)ctx;
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

static void on_close_limit(uv_timer_t *t)
{
    uv_walk(t->loop, close_all, NULL);
}

/* Lets what was said go out, but not for ever. */
static void loop_close(struct client *c)
{
    if (!c->loop_open)
        return;
    wire_free(c->wire);
    uv_timer_stop(&c->second);
    uv_timer_start(&c->tick, on_close_limit, CLOSE_MS, 0);
    uv_unref((uv_handle_t *)&c->tick);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    uv_walk(&c->loop, close_all, NULL);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    uv_loop_close(&c->loop);
}

void client_close(struct client *c)
{
    if (c == NULL)
        return;
    c->stopped = true;
    memset(&c->watch, 0, sizeof c->watch);
    loop_close(c);
    engine_free(c->engine);
    trust_free(c->trust);
    if (c->keep.k != NULL)
        c->keep.ops->close(c->keep.k);
    profile_keys_wipe(&c->keys);
    if (c->lock >= 0)
        file_unlock(c->lock);
    wipe(c, sizeof *c);
    free(c);
}

/* --- state --- */

static void state_set(struct client *c, enum client_net net)
{
    c->state.net = net;
    if (c->watch.state != NULL)
        c->watch.state(c->watch.ctx, &c->state);
}

/* A list that went out of date would refuse the relay, which is the one who sends a new one. Until
 * it has, none is demanded; without one the engine judges nobody. */
static void crl_forget(struct client *c)
{
    trust_forget_stale(c->trust, clock_wall_ms(NULL));
    if (trust_crl_until(c->trust) == INT64_MAX)
        trust_demand(c->trust, TRUST_CRL_OPTIONAL);
}

static void dial(struct client *c)
{
    crl_forget(c);
    c->state.attempt++;
    c->where[0] = '\0';
    err_clear(&c->state.why);
    uv_timer_stop(&c->second);
    state_set(c, CLIENT_RESOLVING);
    wire_dial(c->wire, &c->link, c->profile.host, c->profile.port);
}

static void on_second(uv_timer_t *t);

static void second_wait(struct client *c)
{
    int64_t left = c->retry_at - clock_mono_ms(NULL);

    c->state.retry_ms = left > 0 ? left : 0;
    uv_timer_start(&c->second, on_second,
                   (uint64_t)(left > SECOND_MS ? SECOND_MS : c->state.retry_ms), 0);
    state_set(c, CLIENT_WAITING);
}

static void on_second(uv_timer_t *t)
{
    struct client *c = t->data;

    if (c->retry_at <= clock_mono_ms(NULL))
        dial(c);
    else
        second_wait(c);
}

/* Never dials at once, though there may be nothing to wait for: whoever says that the connection
 * is gone still looks at its link. */
static void wait_retry(struct client *c, const struct err *why)
{
    c->state.why = *why;
    c->retry_at = clock_mono_ms(NULL) + net_backoff(c->state.attempt, &c->rng);
    second_wait(c);
}

static void over(struct client *c, const struct err *why)
{
    c->final = *why;
    c->state.why = *why;
    state_set(c, CLIENT_IDLE);
    if (c->watch.over != NULL)
        c->watch.over(c->watch.ctx, &c->final);
}

/* --- engine and wire --- */

static void on_tick(uv_timer_t *t)
{
    struct client *c = t->data;

    engine_tick(c->engine);
    client_push(c);
}

static void tick_set(struct client *c)
{
    int64_t at = engine_deadline(c->engine), now = clock_mono_ms(NULL);

    if (at < 0)
        uv_timer_stop(&c->tick);
    else
        uv_timer_start(&c->tick, on_tick, at > now ? (uint64_t)(at - now) : 1, 0);
}

static void derive_work(uv_work_t *req)
{
    struct derive *d = req->data;

    d->ret =
        account_salted(&d->out, str_from(d->password, d->password_n), d->salt, d->cost, &d->err);
    wipe(d->password, sizeof d->password);
}

static void derive_done(uv_work_t *req, int status)
{
    struct derive *d = req->data;
    struct client *c = d->client;

    if (status == 0 && !c->stopped) {
        if (d->ret == 0) {
            engine_salted(c->engine, &d->out);
            client_push(c);
        } else {
            wire_hang_up(c->wire);
            engine_lost(c->engine);
            over(c, &d->err);
        }
    }
    wipe(d, sizeof *d);
    free(d);
}

static void derive_start(struct client *c, const struct engine_event *ev)
{
    struct derive *d = c->password_n == 0 ? NULL : calloc(1, sizeof *d);
    struct err e = {0};

    if (d == NULL) {
        err_set(&e, ERR_AUTH, "the password of this account was changed: start countersign again");
        wire_hang_up(c->wire);
        engine_lost(c->engine);
        over(c, &e);
        return;
    }
    d->client = c;
    d->req.data = d;
    memcpy(d->password, c->password, c->password_n);
    d->password_n = c->password_n;
    memcpy(d->salt, ev->salt, sizeof d->salt);
    d->cost = ev->cost;
    if (uv_queue_work(&c->loop, &d->req, derive_work, derive_done) != 0) {
        d->ret = err_set(&d->err, ERR_OS, "no thread to derive the key of the password on");
        derive_done(&d->req, 0);
    }
}

/* --- receipts --- */

static void note(struct client *c, const struct room_id *room, const char *text)
{
    struct engine_event ev = {.kind = ENGINE_NOTE, .text = text, .roomed = room != NULL};

    if (room != NULL)
        ev.room = *room;
    if (c->watch.event != NULL)
        c->watch.event(c->watch.ctx, &ev);
}

static const char *sealed_by(const struct engine_sealed *what)
{
    static const char *const by[2][2] = {{" alone", " and the other member"},
                                         {" and the relay", ", the relay and the other member"}};

    return by[what->by_relay][what->by_member];
}

/* One more seal than before: on the files of then, if they are still there. */
static int seal_renew(struct client *c, const struct engine_sealed *what, struct err *e)
{
    char path[PROFILE_PATH_MAX], text[PROFILE_PATH_MAX + 128];
    int there = transcripts_renew(&c->profile, what, path, e);

    if (there == 1) {
        snprintf(text, sizeof text, "the receipt of %s is now sealed by you%s", path,
                 sealed_by(what));
        note(c, &what->room->id, text);
    }
    return there < 0 ? -1 : 0;
}

static int seal_write(void *ctx, const struct engine_sealed *what, struct err *e)
{
    struct client *c = ctx;
    char path[PROFILE_PATH_MAX], text[PROFILE_PATH_MAX + 128];

    if (what->name[0] != '\0')
        return seal_renew(c, what, e);
    if (transcripts_write(&c->profile, clock_wall_ms(NULL), what, path, e) < 0)
        return -1;
    snprintf(text, sizeof text, "messages %llu to %llu are in %s, with a receipt sealed by you%s",
             (unsigned long long)what->first, (unsigned long long)what->last, path,
             sealed_by(what));
    note(c, &what->room->id, text);
    return 0;
}

int client_sealed(struct client *c, struct err *e)
{
    const struct engine_sink to = {seal_write, c};

    if (engine_sealed(c->engine, &to, e) < 0)
        return -1;
    return c->unsealed.code == ERR_NONE ? 0 : err_set(e, c->unsealed.code, "%s", c->unsealed.text);
}

const char *client_refused(const struct client *c)
{
    return c->refused[0] == '\0' ? NULL : c->refused;
}

static void seals_write(struct client *c)
{
    const struct engine_sink to = {seal_write, c};
    struct err e = {0};

    if (engine_sealed(c->engine, &to, &e) < 0)
        note(c, NULL, e.text);
}

int client_seal(struct client *c, struct err *e)
{
    int n = engine_seal(c->engine, true, e);

    client_push(c);
    return n;
}

/* A session ended, by its connection or because our process did. */
static void session_leaves(struct client *c)
{
    struct err e = {0};

    if (c->transcripts && c->ending == ENDS_NOT && engine_seal(c->engine, false, &e) < 0)
        note(c, NULL, e.text);
}

static void session_over(struct client *c)
{
    engine_lost(c->engine);
    session_leaves(c);
}

static void close_event(struct client *c, const struct engine_event *ev)
{
    struct err why = {0};

    err_set(&why, ev->code == ERR_NONE ? ERR_UNAVAILABLE : ev->code, "%s", ev->text);
    wire_hang_up(c->wire);
    session_over(c);
    if (c->ending == ENDS_STOPPED)
        return; /* no other connection: with this one the wait for seals is over */
    if (ev->again)
        wait_retry(c, &why);
    else
        over(c, &why);
}

/* It is on our disk before anybody is told where. */
static void proof_keep(struct client *c, const struct engine_event *ev)
{
    char path[PROFILE_PATH_MAX], text[PROFILE_PATH_MAX + 256];
    struct err e = {0};
    struct engine_event alarm = {
        .kind = ENGINE_ALARM, .room = ev->room, .roomed = true, .text = text};

    if (contradiction_write(&c->profile, &ev->room, ev->evidence, path, &e) < 0)
        snprintf(text, sizeof text, "what proves that the relay lied could not be kept: %s",
                 e.text);
    else
        snprintf(text, sizeof text,
                 "the relay signed two histories of this room; what proves it to others is in %s: "
                 "countersign verify",
                 path);
    if (c->watch.event != NULL)
        c->watch.event(c->watch.ctx, &alarm);
}

/* Until the connection is gone there are alarms, and entries that count as delivered. */
static bool outlives_end(const struct engine_event *ev)
{
    return ev->kind == ENGINE_ALARM || ev->kind == ENGINE_ENTRY;
}

static void event(struct client *c, const struct engine_event *ev)
{
    if (ev->kind == ENGINE_EVIDENCE) {
        proof_keep(c, ev);
        return;
    }
    if (ev->kind == ENGINE_SEALED) {
        seals_write(c);
        return;
    }
    if (ev->kind == ENGINE_PASSWORD) {
        derive_start(c, ev);
    } else if (ev->kind == ENGINE_READY) {
        password_forget(c);
        c->state.attempt = 0;
    }
    if (c->ending == ENDS_STOPPED && ev->kind == ENGINE_NOTE && ev->code != ERR_NONE)
        text_clean(c->refused, sizeof c->refused, str_of(ev->text), TEXT_ONE_LINE);
    if (c->watch.event != NULL && (c->ending != ENDS_STOPPED || outlives_end(ev)))
        c->watch.event(c->watch.ctx, ev);
    if (ev->kind == ENGINE_CLOSE && !c->stopped)
        close_event(c, ev);
}

static void pause_now(struct client *c)
{
    uv_timer_stop(&c->second);
    wire_hang_up(c->wire);
    session_over(c);
    c->ending = ENDS_NOT;
    err_clear(&c->state.why);
    state_set(c, CLIENT_IDLE);
    client_push(c);
}

static void stop_now(struct client *c)
{
    c->stopped = true;
    wire_hang_up(c->wire);
    engine_lost(c->engine);
    uv_stop(&c->loop);
}

static void end_now(struct client *c)
{
    if (c->ending == ENDS_PAUSED)
        pause_now(c);
    else
        stop_now(c);
}

/* The session ends, but while the relay is there it may still seal what was said in it. */
static void end_begin(struct client *c, enum ending how)
{
    bool first = c->ending == ENDS_NOT;
    struct err e = {0};

    c->ending = how;
    if (first && c->transcripts && engine_seal(c->engine, false, &e) < 0) {
        if (how == ENDS_STOPPED)
            c->unsealed = e; /* for who asks at the end */
        else
            note(c, NULL, e.text);
    }
    if (!first || !engine_sealing(c->engine)) {
        end_now(c);
        return;
    }
    if (how == ENDS_STOPPED)
        note(c, NULL, "waiting for the relay's seal; again: at once");
    client_push(c); /* goes on at its end */
}

void client_push(struct client *c)
{
    struct engine_event ev;

    if (c->pushing)
        return;
    c->pushing = true;
    while (!c->stopped) {
        struct span out = engine_out(c->engine);
        if (out.n > 0) {
            wire_send(c->wire, out);
            engine_sent(c->engine, out.n);
        } else if (engine_next(c->engine, &ev)) {
            event(c, &ev);
        } else {
            break;
        }
    }
    c->pushing = false;
    if (!c->stopped && c->ending != ENDS_NOT && !engine_sealing(c->engine))
        end_now(c);
    else if (!c->stopped)
        tick_set(c);
}

static void on_up(void *ctx, const char *where)
{
    struct client *c = ctx;

    snprintf(c->where, sizeof c->where, "%s", where);
    state_set(c, CLIENT_HANDSHAKE);
}

static void on_step(void *ctx, const struct link_step *step)
{
    struct client *c = ctx;

    if (c->watch.step != NULL)
        c->watch.step(c->watch.ctx, step);
}

static void on_linked(void *ctx)
{
    struct client *c = ctx;
    struct engine_peer peer = {0};
    struct link_info info;
    struct err why = {0};

    link_info(wire_link(c->wire), &info);
    peer.link = link_kind_name(info.kind);
    peer.relay_fp = info.peer_fp;
    peer.suite = info.suite;
    if (link_exporter(wire_link(c->wire), LINK_EXPORTER_LOGIN, &peer.exporter) < 0) {
        err_set(&why, ERR_LOCAL, "no exporter"); /* nothing is proven to a link without a key */
        wire_hang_up(c->wire);
        wait_retry(c, &why);
        return;
    }
    engine_linked(c->engine, &peer);
    key_wipe(&peer.exporter);
    state_set(c, CLIENT_LINKED);
}

static void on_message(void *ctx, struct span bytes)
{
    struct client *c = ctx;

    (void)!engine_feed(c->engine, bytes); /* a failure comes as ENGINE_CLOSE */
}

static void on_rest(void *ctx)
{
    client_push(ctx);
}

static void on_down(void *ctx, const struct err *why, bool final)
{
    struct client *c = ctx;

    session_over(c);
    client_push(c);
    if (c->stopped || c->state.net == CLIENT_WAITING || c->state.net == CLIENT_IDLE)
        return; /* the engine gave its own reason in the same breath: that stands */
    if (final)
        over(c, why);
    else
        wait_retry(c, why);
}

/* --- for programs --- */

void client_watch(struct client *c, const struct client_watch *watch)
{
    c->watch = *watch;
}

void client_start(struct client *c)
{
    session_leaves(c); /* one that was cut with the process that had it */
    dial(c);
    client_push(c);
}

void client_retry(struct client *c)
{
    if (c->state.net == CLIENT_WAITING || c->state.net == CLIENT_IDLE)
        dial(c);
}

void client_pause(struct client *c)
{
    end_begin(c, ENDS_PAUSED);
}

bool client_rekey(struct client *c)
{
    return wire_rekey(c->wire);
}

void client_stop(struct client *c)
{
    end_begin(c, ENDS_STOPPED);
}

int client_run(struct client *c, struct err *e)
{
    if (c->stopped)
        return 0;
    if (uv_run(&c->loop, UV_RUN_DEFAULT) < 0)
        return err_set(e, ERR_OS, "the event loop failed");
    return 0;
}

struct engine *client_engine(struct client *c)
{
    return c->engine;
}

const struct profile *client_profile(const struct client *c)
{
    return &c->profile;
}

struct uv_loop_s *client_loop(struct client *c)
{
    return &c->loop;
}

bool client_link(const struct client *c, struct link_info *out)
{
    const struct link *l = wire_link(c->wire);

    if (l == NULL)
        return false;
    link_info(l, out);
    return true;
}

void client_now(const struct client *c, struct client_state *out)
{
    *out = c->state;
}
