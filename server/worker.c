#include "server/worker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/table.h"

struct shake { /* a connection that handshakes */
    uint64_t conn;
    struct buf first;  /* what came before the link is known */
    struct link *link; /* NULL until then */
    struct identity *identity;
    UT_hash_handle hh;
};

struct worker {
    unsigned number;
    pthread_t thread;
    struct box *box;
    struct msg *stop; /* made at the start: its end needs no memory */
    struct identity *identity;
    struct shake *shakes;
    void (*answer)(void *ctx, struct msg *m);
    void *ctx;
};

static struct shake *find(struct worker *w, uint64_t conn)
{
    struct shake *s;

    HASH_FIND(hh, w->shakes, &conn, sizeof conn, s);
    return s;
}

static void shake_free(struct worker *w, struct shake *s)
{
    HASH_DEL(w->shakes, s);
    buf_free(&s->first);
    link_free(s->link);
    identity_unref(s->identity);
    free(s);
}

static struct shake *shake_new(struct worker *w, uint64_t conn, struct err *e)
{
    struct shake *s = calloc(1, sizeof *s);

    if (s != NULL) {
        buf_init(&s->first, LINK_EARLY_MAX);
        s->conn = conn;
        HASH_ADD(hh, w->shakes, conn, sizeof s->conn, s);
    }
    if (s == NULL || !HASH_ADDED(hh, s)) {
        free(s);
        err_set(e, ERR_LOCAL, "no memory for a handshake");
        return NULL;
    }
    s->identity = identity_ref(w->identity);
    return s;
}

static void fail(struct shaken *out, const char *why, const char *word)
{
    out->how = SHAKEN_FAILED;
    snprintf(out->why, sizeof out->why, "%s", why);
    snprintf(out->word, sizeof out->word, "%s", word);
}

static void refused(struct shaken *out, const struct link *l)
{
    struct link_info i;

    link_info(l, &i);
    fail(out, link_error(l)->text, i.refused != NULL ? i.refused : "handshake");
    if (i.proven) /* else whoever showed that certificate may not be who it names */
        out->fp = i.peer_fp;
}

/* What the link has for the peer goes back with the answer. */
static void take_out(struct link *l, struct shaken *out)
{
    struct span s = link_out(l);

    if (s.n > 0 && buf_add(&out->out, s.p, s.n) < 0)
        fail(out, "no memory for a handshake", "local");
    else
        link_sent(l, s.n);
}

/* After ESTABLISHED not one more event is taken here: the rest is for the loop. */
static void events(struct link *l, struct shaken *out)
{
    struct link_event ev;

    while (out->how == SHAKEN_MORE && link_next(l, &ev)) {
        if (ev.kind == LINK_ESTABLISHED)
            out->how = SHAKEN_OPEN;
        else if (ev.kind == LINK_FAILED)
            refused(out, l);
        else if (ev.kind == LINK_CLOSED)
            fail(out, "the peer closed while it shook hands", "closed");
    }
}

static void shake(struct shake *s, struct span in, struct shaken *out)
{
    if (link_feed(s->link, in.p, in.n) < 0)
        refused(out, s->link);
    take_out(s->link, out);
    events(s->link, out);
}

/* Several links share the port: the first bytes say which it is. */
static void begin(struct worker *w, struct shake *s, struct span in, struct shaken *out)
{
    enum link_kind kind;
    struct err e = {0};
    int told = buf_add(&s->first, in.p, in.n) < 0
                   ? -1
                   : link_tell(identity_links(s->identity), buf_span(&s->first), &kind);

    if (told < 0)
        fail(out, "no link that is spoken here begins like that", "handshake");
    if (told <= 0)
        return;
    s->link = identity_link(s->identity, w->number, kind, &e);
    if (s->link == NULL)
        fail(out, e.text, "local");
    else
        shake(s, buf_span(&s->first), out);
    buf_free(&s->first);
}

static void feed(struct worker *w, struct msg *in, struct shaken *out)
{
    struct err e = {0};
    struct shake *s = find(w, in->conn);

    buf_init(&out->out, LINK_OUT_MAX);
    out->how = SHAKEN_MORE;
    if (s == NULL)
        s = shake_new(w, in->conn, &e);
    if (s == NULL) {
        fail(out, e.text, "local");
        return;
    }
    if (s->link != NULL)
        shake(s, span_of(in->bytes.p, in->bytes.n), out);
    else
        begin(w, s, span_of(in->bytes.p, in->bytes.n), out);
    if (out->how == SHAKEN_OPEN) {
        out->link = s->link;
        out->identity = s->identity;
        s->link = NULL;
        s->identity = NULL;
    }
    if (out->how != SHAKEN_MORE)
        shake_free(w, s);
}

/* Gives false when the thread is to end. */
static bool serve(struct worker *w, struct msg *m)
{
    struct shake *s;
    struct msg *back;

    switch (m->kind) {
    case MSG_FEED:
        back = msg_new(MSG_SHAKEN, m->conn);
        if (back != NULL) { /* else its connection ends at its deadline */
            feed(w, m, &back->shaken);
            w->answer(w->ctx, back);
        }
        return true;
    case MSG_DROP:
        s = find(w, m->conn);
        if (s != NULL)
            shake_free(w, s);
        return true;
    case MSG_IDENTITY:
        identity_unref(w->identity);
        w->identity = m->identity;
        m->identity = NULL;
        return true;
    default: return m->kind != MSG_STOP;
    }
}

static void *run(void *ctx)
{
    struct worker *w = ctx;
    struct shake *s = NULL, *after;
    bool on = true;

    while (on)
        for (struct msg *m = box_wait(w->box), *next; m != NULL; m = next) {
            next = m->next;
            on = serve(w, m) && on;
            msg_free(m);
        }
    HASH_ITER(hh, w->shakes, s, after) {
        shake_free(w, s);
    }
    return NULL;
}

static void worker_free(struct worker *w)
{
    if (w == NULL)
        return;
    msg_free(w->stop);
    identity_unref(w->identity);
    if (w->box != NULL)
        box_free(w->box);
    free(w);
}

struct worker *worker_start(unsigned number, struct identity *identity,
                            void (*answer)(void *ctx, struct msg *m), void *ctx, struct err *e)
{
    struct worker *w = calloc(1, sizeof *w);

    if (w == NULL || (w->box = box_new()) == NULL || (w->stop = msg_new(MSG_STOP, 0)) == NULL) {
        worker_free(w);
        err_set(e, ERR_LOCAL, "no memory for a worker");
        return NULL;
    }
    w->number = number;
    w->identity = identity_ref(identity);
    w->answer = answer;
    w->ctx = ctx;
    if (pthread_create(&w->thread, NULL, run, w) != 0) {
        worker_free(w);
        err_set(e, ERR_OS, "no thread for a worker");
        return NULL;
    }
    return w;
}

struct box *worker_box(struct worker *w)
{
    return w->box;
}

void worker_stop(struct worker *w)
{
    if (w == NULL)
        return;
    box_put(w->box, w->stop);
    w->stop = NULL;
    pthread_join(w->thread, NULL);
    worker_free(w);
}
