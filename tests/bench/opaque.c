/* opaque -- our relay as the peers are: frames go to their room unread.
 *
 * The real door, loops, connections, crowds, workers, links and records of the product, under a
 * session and a sequencer of this file in place of the product's: tests/bench/raw.h is spoken
 * behind the same TLS. What a delivery costs here is what connection, fan-out and record cost. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/chat/frame.h"
#include "server/books.h"
#include "server/core/session.h"
#include "server/roll.h"
#include "server/sequencer.h"
#include "tests/bench/raw.h"

/* --- session.h: bytes become jobs --- */

struct session {
    uint64_t conn;
    struct frames frames;
    struct job *first, **last;
    unsigned jobs_n;
    bool stalled;
    struct room_id room;
    struct err err;
    struct hash fp;
};

/* A job with the frame behind it, in one block: job_free frees both. */
struct raw_job {
    struct job job;
    size_t n;
    uint8_t frame[];
};

struct session *session_new(const struct session_conf *conf, struct moment at, struct err *e)
{
    struct session *s = calloc(1, sizeof *s);

    (void)at;
    if (s == NULL) {
        err_set(e, ERR_LOCAL, "no memory");
        return NULL;
    }
    s->conn = conf->conn;
    s->last = &s->first;
    frames_init(&s->frames, RAW_MAX);
    return s;
}

void session_free(struct session *s)
{
    if (s == NULL)
        return;
    for (struct job *j = session_job(s); j != NULL; j = session_job(s))
        job_free(j);
    frames_free(&s->frames);
    free(s);
}

static int job_add(struct session *s, struct span frame)
{
    struct raw_job *r = calloc(1, sizeof *r + FRAME_HEAD + frame.n);
    struct wr head;

    if (r == NULL)
        return err_set(&s->err, ERR_LOCAL, "no memory");
    r->job.conn = s->conn;
    r->n = FRAME_HEAD + frame.n;
    head = wr_of(r->frame, FRAME_HEAD);
    wr_u32(&head, (uint32_t)frame.n);
    memcpy(r->frame + FRAME_HEAD, frame.p, frame.n);
    if (frame.p[0] == RAW_JOIN && frame.n > RAW_ROOM_LEN)
        memcpy(s->room.b, frame.p + 1, sizeof s->room.b);
    r->job.line.room = s->room;
    *s->last = &r->job;
    s->last = &r->job.next;
    s->jobs_n++;
    return 0;
}

int session_feed(struct session *s, struct span in, struct moment at)
{
    struct span frame;
    int rc = in.n > 0 ? frames_feed(&s->frames, in, &s->err) : 0;

    (void)at;
    while (rc == 0 && s->jobs_n < JOBS_MAX && (rc = frames_next(&s->frames, &frame, &s->err)) == 1)
        rc = job_add(s, frame);
    s->stalled = s->jobs_n == JOBS_MAX;
    return rc < 0 ? -1 : 0;
}

bool session_stalled(const struct session *s)
{
    return s->stalled;
}

struct job *session_job(struct session *s)
{
    struct job *j = s->first;

    if (j == NULL)
        return NULL;
    s->first = j->next;
    s->jobs_n--;
    if (s->first == NULL)
        s->last = &s->first;
    j->next = NULL;
    return j;
}

struct span session_out(const struct session *s)
{
    (void)s;
    return (struct span){NULL, 0};
}

void session_sent(struct session *s, size_t n)
{
    (void)s, (void)n;
}

void session_welcome(struct session *s)
{
    (void)s;
}

int session_tick(struct session *s, struct moment at)
{
    (void)s, (void)at;
    return 0;
}

void session_shutdown(struct session *s)
{
    (void)s;
}

bool session_ready(const struct session *s)
{
    (void)s;
    return true;
}

bool session_compact(const struct session *s)
{
    (void)s;
    return false;
}

const struct err *session_error(const struct session *s)
{
    return &s->err;
}

const struct hash *session_fp(const struct session *s)
{
    return &s->fp;
}

/* --- sequencer.h: jobs become effects, in one order for all loops --- */

struct sequencer {
    struct sequencer_conf conf;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct jobs jobs; /* under lock, like these */
    bool drain, stop;
};

static void effect_to(struct msgs *out, const struct effect *ef)
{
    struct msg *m = msg_new(MSG_EFFECT, ef->conn);

    if (m == NULL)
        abort();
    m->effect = *ef;
    if (ef->frame != NULL)
        shared_ref(ef->frame);
    msgs_add(out, m);
}

static void serve(struct sequencer *q, const struct raw_job *r, struct msgs *out)
{
    struct effect ef = {.kind = EFFECT_SEND, .conn = r->job.conn, .room = r->job.line.room};
    unsigned home = q->conf.loop_of(ef.conn);

    ef.frame = shared_new(span_of(r->frame, r->n));
    switch (r->frame[FRAME_HEAD]) {
    case RAW_SAY:
        ef.kind = EFFECT_PUBLISH;
        ef.conn = 0;
        for (size_t i = 0; i < q->conf.loops_n; i++)
            effect_to(&out[i], &ef);
        break;
    case RAW_JOIN:
        effect_to(&out[home],
                  &(struct effect){.kind = EFFECT_ENTER, .conn = ef.conn, .room = ef.room});
        effect_to(&out[home], &ef);
        break;
    default: ef.kind = EFFECT_WELCOME; effect_to(&out[home], &ef);
    }
    shared_unref(ef.frame);
}

/* What a batch of the product's does, without the store: counts are given back before the loops
 * hear of it, and those who were held are read from again. */
static void batch(struct sequencer *q, struct jobs *l)
{
    struct msgs out[LOOPS_MAX] = {{NULL, NULL}};

    for (struct job *j = jobs_next(l); j != NULL; j = jobs_next(l)) {
        uint64_t conn = j->conn;

        if (j->kind == JOB_FRAME) {
            serve(q, (const struct raw_job *)j, out);
            bool half = ahead_count(j->ahead) == JOBS_MAX / 2 + 1;
            job_free(j);
            if (half)
                effect_to(&out[q->conf.loop_of(conn)],
                          &(struct effect){.kind = EFFECT_READ, .conn = conn});
        } else {
            job_free(j);
        }
    }
    for (size_t i = 0; i < q->conf.loops_n; i++)
        box_put_all(q->conf.loops[i], &out[i]);
}

static void drain(const struct sequencer *q)
{
    for (size_t i = 0; i < q->conf.loops_n; i++) {
        struct msg *m = msg_new(MSG_DRAIN, 0);

        if (m != NULL)
            box_put(q->conf.loops[i], m);
    }
}

static void *run(void *ctx)
{
    struct sequencer *q = ctx;
    struct jobs l = {0};
    bool stop = false;

    while (!stop) {
        pthread_mutex_lock(&q->lock);
        while (q->jobs.first == NULL && !q->drain && !q->stop)
            pthread_cond_wait(&q->some, &q->lock);
        bool drained = q->drain;
        stop = q->stop;
        jobs_move(&l, &q->jobs);
        q->drain = false;
        pthread_mutex_unlock(&q->lock);
        batch(q, &l);
        if (drained)
            drain(q);
    }
    return NULL;
}

static int known(void *ctx, const struct store_device *d)
{
    return roll_set(ctx, &d->fp, CERT_OK);
}

/* Guests are judged as the product judges them: by the devices in the store. */
static int roll_fill(const struct sequencer_conf *c, struct err *e)
{
    struct store s;

    if (books_open(c->conf, STORE_BESIDE, &s, e) < 0)
        return -1;
    int rc = s.ops->device_each(s.db, known, c->roll, e);
    store_close(&s);
    return rc;
}

struct sequencer *sequencer_open(const struct sequencer_conf *c, struct err *e)
{
    struct sequencer *q = calloc(1, sizeof *q);

    if (q == NULL || roll_fill(c, e) < 0) {
        err_set(e, ERR_LOCAL, "no memory");
        free(q);
        return NULL;
    }
    q->conf = *c;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->some, NULL);
    return q;
}

int sequencer_start(struct sequencer *q, struct err *e)
{
    return pthread_create(&q->thread, NULL, run, q) == 0 ? 0 : err_set(e, ERR_OS, "no thread");
}

void sequencer_put(struct sequencer *q, struct jobs *l)
{
    if (l->first == NULL)
        return;
    pthread_mutex_lock(&q->lock);
    jobs_move(&q->jobs, l);
    pthread_cond_signal(&q->some);
    pthread_mutex_unlock(&q->lock);
}

void sequencer_reload(struct sequencer *q)
{
    (void)q;
}

static void ask(struct sequencer *q, bool *what)
{
    pthread_mutex_lock(&q->lock);
    *what = true;
    pthread_cond_signal(&q->some);
    pthread_mutex_unlock(&q->lock);
}

void sequencer_drain(struct sequencer *q)
{
    ask(q, &q->drain);
}

void sequencer_stop(struct sequencer *q)
{
    if (q == NULL)
        return;
    ask(q, &q->stop);
    pthread_join(q->thread, NULL);
    pthread_cond_destroy(&q->some);
    pthread_mutex_destroy(&q->lock);
    free(q);
}
