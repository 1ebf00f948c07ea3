#include "server/relay.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "certs/file.h"
#include "server/door.h"
#include "server/loop.h"
#include "server/notify.h"

struct relay {
    struct conf *conf;
    int argc;
    char *const *argv;
    struct log *log;
    int lock;
    struct roll *roll;
    struct gate *gate, *classic_gate;
    struct identity *identity;
    struct sequencer *sequencer;
    struct door *door;
    struct host_port name;
    struct loop *loops[LOOPS_MAX];
    struct box *boxes[LOOPS_MAX];
    struct msg *aborts[LOOPS_MAX]; /* made at the start: the end needs no memory */
    pthread_t threads[LOOPS_MAX];  /* of loops 1 and up; loop 0 is ours */
    size_t loops_n, threads_n;
    struct worker *workers[WORKERS_MAX];
    size_t workers_n;
    _Atomic uint64_t newcomer_ms, out_max;
    _Atomic bool failed, aborted;
    bool stopping;
    unsigned quiet; /* turns without newcomers */
    uv_signal_t signals[3];
    uv_timer_t turn, renew;
};

/* --- what the threads call --- */

static void to_loop(void *ctx, struct msg *m)
{
    struct relay *r = ctx;

    box_put(r->boxes[conn_loop(m->conn)], m);
}

static void abort_loops(struct relay *r)
{
    if (atomic_exchange(&r->aborted, true))
        return;
    for (size_t i = 0; i < r->loops_n; i++) {
        box_put(r->boxes[i], r->aborts[i]);
        r->aborts[i] = NULL;
    }
}

static void on_fatal(void *ctx)
{
    struct relay *r = ctx;

    atomic_store(&r->failed, true);
    abort_loops(r);
}

static void *loop_thread(void *ctx)
{
    loop_run(ctx);
    return NULL;
}

/* --- configuration and certificates anew --- */

static void limits(struct relay *r)
{
    struct gate_limits l = {(unsigned)r->conf->max_conns, (unsigned)r->conf->handshakes,
                            (unsigned)r->conf->per_source};

    atomic_store(&r->newcomer_ms, r->conf->handshake_seconds * 1000);
    atomic_store(&r->out_max, r->conf->out_kib * 1024);
    if (r->gate != NULL)
        gate_limits(r->gate, &l);
    l.conns = l.newcomers; /* guests never prove anything */
    if (r->classic_gate != NULL)
        gate_limits(r->classic_gate, &l);
}

static int identity_anew(struct relay *r, const struct conf *conf, struct err *e)
{
    struct identity *next = identity_load(conf, r->roll, e);

    if (next == NULL)
        return -1;
    for (size_t i = 0; i < r->workers_n; i++) {
        struct msg *m = msg_new(MSG_IDENTITY, 0);

        if (m == NULL)
            break; /* this worker goes on with the former one */
        m->identity = identity_ref(next);
        box_put(worker_box(r->workers[i]), m);
    }
    identity_unref(r->identity);
    r->identity = next;
    sequencer_reload(r->sequencer);
    return 0;
}

/* What can change while threads and socket stand. */
static void conf_take(struct conf *to, const struct conf *from)
{
    to->max_conns = from->max_conns;
    to->handshakes = from->handshakes;
    to->per_source = from->per_source;
    to->handshake_seconds = from->handshake_seconds;
    to->out_kib = from->out_kib;
    memcpy(to->links, from->links, sizeof to->links);
    memcpy(to->ecdhe_leaf, from->ecdhe_leaf, sizeof to->ecdhe_leaf);
    memcpy(to->classic_key, from->classic_key, sizeof to->classic_key);
}

/* The present configuration with what the file says by now. */
static int conf_anew(struct relay *r, struct conf *out, struct err *e)
{
    struct conf next;

    if (conf_again(&next, r->argc, r->argv, e) < 0)
        return -1;
    if (next.threads != r->conf->threads || next.workers != r->conf->workers ||
        next.audit_address_days != r->conf->audit_address_days ||
        strcmp(next.listen, r->conf->listen) != 0 || strcmp(next.name, r->conf->name) != 0)
        log_say(r->log, "kept",
                "threads, workers, listen, name and audit_address_days change with a restart");
    *out = *r->conf;
    conf_take(out, &next);
    return 0;
}

/* All of it, or nothing. */
static void reload(struct relay *r)
{
    struct err e = {0};
    struct conf next;

    if (conf_anew(r, &next, &e) < 0 || identity_anew(r, &next, &e) < 0) {
        log_say(r->log, "reload-failed", e.text);
        return;
    }
    conf_take(r->conf, &next);
    limits(r);
    log_say(r->log, "reloaded", NULL);
}

static void on_renew(uv_timer_t *h)
{
    struct relay *r = h->data;
    struct err e = {0};
    int n = identity_renew(r->conf, r->identity, clock_now(NULL), &e);

    if (n < 0 || (n > 0 && identity_anew(r, r->conf, &e) < 0))
        log_say(r->log, "renewal-failed", e.text);
    else if (n > 0)
        log_say(r->log, "renewed", NULL);
}

/* What a storm of handshakes needed lies free between what lasts, so the allocator keeps it. It
 * goes back once the storm is over and the links that came out of it have come to rest. */
static void trim(struct relay *r)
{
    struct gate_counts now;

    gate_counts(r->gate, &now);
    if (now.newcomers > 0)
        r->quiet = 0;
    else if (r->quiet < TRIM_TURNS && ++r->quiet == TRIM_TURNS)
        malloc_trim(0);
}

static void on_turn(uv_timer_t *h)
{
    struct relay *r = h->data;

    log_tick(r->log);
    trim(r);
}

/* --- signals --- */

static void drain(struct relay *r)
{
    if (r->stopping)
        return;
    r->stopping = true;
    notify("STOPPING=1");
    log_say(r->log, "stopping", NULL);
    door_close(r->door);
    sequencer_drain(r->sequencer);
}

static void on_signal(uv_signal_t *h, int signum)
{
    struct relay *r = h->data;

    if (signum == SIGHUP)
        reload(r);
    else
        drain(r);
}

static void timers(struct relay *r)
{
    static const int signums[] = {SIGTERM, SIGINT, SIGHUP};
    uv_loop_t *uv = loop_uv(r->loops[0]);

    for (size_t i = 0; i < COUNT(signums); i++) {
        uv_signal_init(uv, &r->signals[i]);
        r->signals[i].data = r;
        uv_signal_start(&r->signals[i], on_signal, signums[i]);
    }
    uv_timer_init(uv, &r->turn);
    uv_timer_init(uv, &r->renew);
    r->turn.data = r->renew.data = r;
    uv_timer_start(&r->turn, on_turn, TURN_MS, TURN_MS);
    uv_timer_start(&r->renew, on_renew, RENEW_MS, RENEW_MS);
}

/* --- beginning --- */

static int lock(struct relay *r, struct err *e)
{
    char path[CONF_PATH];

    if (conf_path(r->conf, FILE_LOCK, path, e) < 0)
        return -1;
    r->lock = file_lock(path, 0, e);
    if (r->lock >= 0)
        return 0;
    return e->code == ERR_AGAIN ? err_in(e, "another relay runs in %s", r->conf->dir) : -1;
}

static int tables(struct relay *r, struct err *e)
{
    struct gate_limits none = {1, 1, 1};
    struct rng rng = rng_system();

    r->roll = roll_new();
    r->gate = gate_new(&none, &rng);
    r->classic_gate = gate_new(&none, &rng);
    if (r->roll == NULL || r->gate == NULL || r->classic_gate == NULL)
        return err_set(e, ERR_LOCAL, "no memory for tables");
    limits(r);
    r->name.port = PORT_DEFAULT;
    return host_port_take(&r->name, str_of(r->conf->name), e);
}

static int papers(struct relay *r, struct err *e)
{
    int n = identity_renew(r->conf, NULL, clock_now(NULL), e);

    if (n < 0)
        return -1;
    if (n > 0)
        log_say(r->log, "renewed", NULL);
    r->identity = identity_load(r->conf, r->roll, e);
    return r->identity == NULL ? -1 : 0;
}

/* Loops and sequencer know each other's mailboxes: the boxes come first, the threads last. */
static int loops(struct relay *r, const struct loop_env *env, struct err *e)
{
    while (r->loops_n < r->conf->threads) {
        struct loop *l = loop_new((unsigned)r->loops_n, env, e);

        if (l == NULL)
            return -1;
        r->aborts[r->loops_n] = msg_new(MSG_ABORT, 0);
        if (r->aborts[r->loops_n] == NULL) {
            loop_free(l);
            return err_set(e, ERR_LOCAL, "no memory for a loop's end");
        }
        r->boxes[r->loops_n] = loop_box(l);
        r->loops[r->loops_n++] = l;
    }
    return 0;
}

static int sequencer(struct relay *r, struct err *e)
{
    struct sequencer_conf c = {.conf = r->conf,
                               .log = r->log,
                               .roll = r->roll,
                               .loops = r->boxes,
                               .loops_n = r->conf->threads,
                               .loop_of = conn_loop,
                               .fatal = on_fatal,
                               .ctx = r};

    r->sequencer = sequencer_open(&c, e);
    return r->sequencer == NULL ? -1 : 0;
}

static int threads(struct relay *r, struct err *e)
{
    while (r->workers_n < r->conf->workers) {
        struct worker *w = worker_start((unsigned)r->workers_n, r->identity, to_loop, r, e);

        if (w == NULL)
            return -1;
        r->workers[r->workers_n++] = w;
    }
    if (sequencer_start(r->sequencer, e) < 0)
        return -1;
    for (size_t i = 1; i < r->loops_n; i++, r->threads_n++)
        if (pthread_create(&r->threads[i], NULL, loop_thread, r->loops[i]) != 0)
            return err_set(e, ERR_OS, "no thread for a loop");
    return 0;
}

static int door(struct relay *r, struct err *e)
{
    struct door_conf c = {.listen = r->conf->listen,
                          .log = r->log,
                          .gate = r->gate,
                          .sequencer = r->sequencer,
                          .loops = r->boxes,
                          .loops_n = r->loops_n};

    r->door = door_new(&c, e);
    return r->door == NULL ? -1 : 0;
}

static int start(struct relay *r, struct err *e)
{
    if (lock(r, e) < 0 || tables(r, e) < 0 || papers(r, e) < 0 || sequencer(r, e) < 0)
        return -1;
    struct loop_env env = {.log = r->log,
                           .gate = r->gate,
                           .classic_gate = r->classic_gate,
                           .sequencer = r->sequencer,
                           .loops = r->boxes,
                           .loops_n = r->conf->threads,
                           .workers = r->workers,
                           .workers_n = r->conf->workers,
                           .name = r->name.host,
                           .newcomer_ms = &r->newcomer_ms,
                           .out_max = &r->out_max};
    return loops(r, &env, e) < 0 || door(r, e) < 0 || threads(r, e) < 0 ? -1 : 0;
}

/* --- the end --- */

/* Threads end before what they use: loops first, which put jobs and handshakes; then workers and
 * the sequencer, which stores the last jobs and answers into boxes that still stand. */
static void finish(struct relay *r, bool ran)
{
    if (!ran)
        abort_loops(r);
    for (size_t i = 1; i <= r->threads_n; i++)
        pthread_join(r->threads[i], NULL);
    for (size_t i = 0; i < r->workers_n; i++)
        worker_stop(r->workers[i]);
    sequencer_stop(r->sequencer);
    if (r->door != NULL)
        door_close(r->door);
    for (size_t i = 0; i < r->loops_n; i++) {
        loop_free(r->loops[i]);
        msg_free(r->aborts[i]);
    }
    door_free(r->door);
    identity_unref(r->identity);
    gate_free(r->gate);
    gate_free(r->classic_gate);
    roll_free(r->roll);
    if (r->lock >= 0)
        file_unlock(r->lock);
}

int relay_run(struct conf *conf, int argc, char *const *argv, struct log *log, struct err *e)
{
    struct relay *r = calloc(1, sizeof *r);
    bool ran = false;

    if (r == NULL)
        return err_set(e, ERR_LOCAL, "no memory for a relay");
    r->conf = conf;
    r->argc = argc;
    r->argv = argv;
    r->log = log;
    r->lock = -1;
    if (start(r, e) == 0) {
        timers(r);
        door_open(r->door, loop_uv(r->loops[0]));
        notify("READY=1");
        loop_run(r->loops[0]);
        ran = true;
    }
    finish(r, ran); /* writes what is left: that may fail, too */
    if (atomic_load(&r->failed))
        err_set(e, ERR_IO, "the store failed: nothing more was acknowledged");
    if (ran && !atomic_load(&r->failed))
        log_say(log, "stopped", NULL);
    free(r);
    return e->code == ERR_NONE ? 0 : -1;
}
