#include "server/classic.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_poll(uv_poll_t *h, int status, int events);

static const char too_slow[] = "reads too slowly";

/* --- the socket --- */

static bool reading(const struct conn *c)
{
    return !c->at_worker && !c->held;
}

static void watch(struct conn *c)
{
    int want = (reading(c) ? UV_READABLE : 0) | (c->full ? UV_WRITABLE : 0);

    if (want == c->events)
        return;
    c->events = want;
    if (want == 0)
        uv_poll_stop(&c->poll);
    else
        uv_poll_start(&c->poll, want, on_poll);
}

static void touch(struct conn *c)
{
    if (c->dirty)
        return;
    c->dirty = true;
    c->next_dirty = c->loop->dirty;
    c->loop->dirty = c;
}

static struct span waiting(const struct conn *c)
{
    struct span s = buf_span(&c->early);

    if (s.n == 0 && c->link != NULL)
        s = link_out(c->link);
    return s;
}

static void sent(struct conn *c, size_t n)
{
    if (buf_span(&c->early).n == 0) {
        link_sent(c->link, n);
        return;
    }
    buf_drop(&c->early, n);
    if (buf_span(&c->early).n == 0)
        buf_free(&c->early); /* the handshake's flight does not come again */
}

/* --- what waits to be sealed --- */

static void queue_free(struct conn *c)
{
    for (unsigned i = c->queue_at; i < c->queue_n; i++)
        shared_unref(c->queue[i]);
    free(c->queue);
    c->queue = NULL;
    c->queue_n = c->queue_at = c->queue_cap = 0;
    c->queued = 0;
}

static bool queue_room(struct conn *c)
{
    if (c->queue_n < c->queue_cap)
        return true;
    if (c->queue_at > c->queue_cap / 2) {
        c->queue_n -= c->queue_at;
        memmove(c->queue, c->queue + c->queue_at, c->queue_n * sizeof(struct shared *));
        c->queue_at = 0;
        return true;
    }
    unsigned cap = c->queue_cap == 0 ? 16 : 2 * c->queue_cap;
    struct shared **more = realloc(c->queue, cap * sizeof(struct shared *));
    if (more == NULL)
        return false;
    c->queue = more;
    c->queue_cap = cap;
    return true;
}

static int queue_add(struct conn *c, struct shared *frame)
{
    if (!queue_room(c))
        return -1;
    c->queue[c->queue_n++] = shared_ref(frame);
    c->queued += frame->n;
    return 0;
}

/* Frames from the queue go through the link until about `slice` bytes wait there; behind the last
 * one what the session itself says. -1: the link says why. */
static int seal(struct conn *c, size_t slice)
{
    while (c->queue_at < c->queue_n && link_waiting(c->link) < slice) {
        struct shared *s = c->queue[c->queue_at++];
        int ret = link_send(c->link, s->b, s->n);

        c->queued -= s->n;
        shared_unref(s);
        if (ret < 0)
            return -1;
    }
    if (c->queue_at < c->queue_n)
        return 0;
    c->queue_n = c->queue_at = 0;
    struct span s = c->session == NULL ? (struct span){NULL, 0} : session_out(c->session);
    if (s.n == 0)
        return 0;
    if (link_send(c->link, s.p, s.n) < 0)
        return -1;
    session_sent(c->session, s.n);
    return 0;
}

/* Gives false when the connection is lost. */
static bool write_some(struct conn *c, struct span s)
{
    ssize_t n = send(c->fd, s.p, s.n, MSG_NOSIGNAL);

    if (n < 0 && errno == EINTR)
        return true;
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        return false;
    c->full = n < 0 || (size_t)n < s.n;
    if (n > 0)
        sent(c, (size_t)n);
    return true;
}

/* Seals and writes slice by slice while the socket takes them. NULL: done for now; else why it has
 * to end. */
static const char *write_out(struct conn *c)
{
    while (!c->full) {
        if (c->state == CONN_OPEN && seal(c, WRITE_SLICE) < 0)
            return link_error(c->link)->text;
        struct span s = waiting(c);
        if (s.n == 0)
            break;
        if (!write_some(c, s))
            return "connection lost";
    }
    return NULL;
}

static bool slow(const struct conn *c, size_t more)
{
    return c->link != NULL &&
           link_waiting(c->link) + c->queued + more > atomic_load(c->loop->env.out_max);
}

/* The block goes from one connection to the next; only who reads slowly keeps it. */
static const char *write_lent(struct conn *c)
{
    struct pool *pool = &c->loop->pool;
    struct buf block = pool_take(pool);

    link_lend(c->link, &block);
    pool_give(pool, &block);
    const char *why = write_out(c);
    link_reclaim(c->link, &block);
    pool_give(pool, &block);
    return why;
}

void conn_flush(struct conn *c)
{
    const char *why = c->link != NULL ? write_lent(c) : write_out(c);

    if (why == NULL && slow(c, 0))
        why = too_slow;
    if (why != NULL) {
        conn_destroy(c, why);
        return;
    }
    if (c->state == CONN_ENDING && waiting(c).n == 0 && !c->shut) {
        c->shut = true; /* and linger: closing with unread input would destroy our last words */
        shutdown(c->fd, SHUT_WR);
    }
    watch(c);
}

/* --- beginning and end --- */

/* Somebody who was let in leaves; anybody else was refused. */
static const char *parting(const struct conn *c)
{
    return c->proven || c->joining ? "gone" : "refused";
}

static void tell(struct conn *c, const char *event, const char *why)
{
    struct kv k;

    kv_event(&k, event);
    kv_u64(&k, "conn", c->id);
    kv_text(&k, "why", why);
    if (!c->proven)
        kv_text(&k, "source", c->text);
    log_from(c->loop->env.log, c->text, &k);
}

static void audit(struct conn *c, const char *word, const struct hash *fp)
{
    struct job *j = job_new(JOB_AUDIT, c->id);

    if (j == NULL)
        return;
    if (str_copy(j->source, sizeof j->source, str_of(c->text)) < 0 ||
        str_copy(j->reason, sizeof j->reason, str_of(word)) < 0)
        j->reason[0] = '\0';
    if (fp != NULL)
        j->auth.client_cert = *fp;
    loop_ask(c->loop, j);
}

/* The core hears that it ended. false: there is no memory to say so, and it has to be said: else
 * its member would be there for ever, and one of his connections taken. */
static bool gone(struct conn *c, const char *why)
{
    struct str reason = str_of(why);

    crowds_leave(c);
    classic_leave(c);
    if (c->session == NULL)
        return true;
    struct job *j = job_new(JOB_GONE, c->id);
    if (j == NULL)
        return false;
    if (reason.n >= sizeof j->reason)
        reason.n = sizeof j->reason - 1;
    memcpy(j->reason, reason.p, reason.n);
    j->logout = c->logout;
    loop_ask(c->loop, j);
    session_free(c->session);
    c->session = NULL;
    return true;
}

static struct box *worker_of(const struct conn *c)
{
    const struct loop_env *env = &c->loop->env;

    return worker_box(env->workers[conn_serial(c->id) % env->workers_n]);
}

/* The worker forgets a handshake that ends before its time. */
static void drop(struct conn *c)
{
    struct msg *m = msg_new(MSG_DROP, c->id);

    if (m != NULL)
        box_put(worker_of(c), m);
}

static void undirty(struct conn *c)
{
    struct conn **at = &c->loop->dirty;

    while (c->dirty && *at != NULL) {
        if (*at == c) {
            *at = c->next_dirty;
            c->dirty = false;
        } else {
            at = &(*at)->next_dirty;
        }
    }
}

static void on_closed(uv_handle_t *h)
{
    struct conn *c = h->data;

    buf_free(&c->early);
    queue_free(c);
    link_free(c->link);
    identity_unref(c->identity);
    ahead_release(c->ahead);
    free(c->rooms);
    free(c);
}

/* Until its next tick: nothing is heard of it or said to it any more. */
static void conn_rest(struct conn *c)
{
    c->state = CONN_ENDING;
    c->deadline = clock_ticks();
    c->at_worker = c->shut = true;
    c->full = false;
    shutdown(c->fd, SHUT_RDWR);
    undirty(c);
    watch(c);
}

void conn_destroy(struct conn *c, const char *why)
{
    if (c->state != CONN_ENDING)
        tell(c, parting(c), why);
    if (c->state == CONN_SHAKING)
        drop(c);
    if (!gone(c, why)) {
        conn_rest(c);
        return;
    }
    gate_leave(c->loop->env.gate, &c->source, c->proven);
    undirty(c);
    HASH_DEL(c->loop->conns, c);
    uv_close((uv_handle_t *)&c->poll, on_closed);
    close(c->fd);
}

void conn_end(struct conn *c, const char *why)
{
    if (c->state == CONN_ENDING)
        return;
    tell(c, parting(c), why);
    if (c->link != NULL && seal(c, SIZE_MAX) == 0)
        link_close(c->link);
    (void)gone(c, why); /* or when it is destroyed */
    c->state = CONN_ENDING;
    c->at_worker = c->held = false;
    c->deadline = clock_ticks() + LINGER_MS;
    touch(c);
    watch(c);
}

/* One of the loop's, polled on fd. NULL: no memory, and nothing is left of it. */
static struct conn *conn_new(struct loop *l, uint64_t id, int fd)
{
    struct conn *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->id = id;
    c->loop = l;
    c->ahead = ahead_new();
    if (c->ahead != NULL)
        HASH_ADD(hh, l->conns, id, sizeof c->id, c);
    if (HASH_ADDED(hh, c)) {
        if (uv_poll_init(&l->uv, &c->poll, fd) == 0)
            return c;
        HASH_DEL(l->conns, c);
    }
    ahead_release(c->ahead);
    free(c);
    return NULL;
}

void conn_welcome(struct loop *l, uint64_t id, struct guest *g)
{
    struct conn *c = l->draining ? NULL : conn_new(l, id, g->fd);

    if (c == NULL) {
        gate_leave(l->env.gate, &g->source, false); /* g->fd is closed with its message */
        return;
    }
    c->fd = g->fd;
    g->fd = -1;
    c->source = g->source;
    memcpy(c->text, g->text, sizeof c->text);
    c->port = g->port;
    c->deadline = clock_ticks() + (int64_t)atomic_load(l->env.newcomer_ms);
    c->poll.data = c;
    buf_init(&c->early, LINK_OUT_MAX);
    watch(c);
}

void conn_proven(struct conn *c)
{
    struct kv k;

    if (c->proven || c->session == NULL)
        return;
    session_welcome(c->session);
    c->proven = true;
    c->deadline = 0;
    gate_proven(c->loop->env.gate, &c->source);
    kv_event(&k, "login");
    kv_u64(&k, "conn", c->id);
    kv_hex(&k, "device", span_of(session_fp(c->session)->b, 8));
    log_event(c->loop->env.log, &k);
}

void conn_guest(struct conn *c)
{
    tell(c, "guest", NULL);
    c->proven = true;
    gate_proven(c->loop->env.gate, &c->source);
}

/* --- bytes from the peer --- */

static void jobs(struct conn *c)
{
    for (struct job *j = session_job(c->session); j != NULL; j = session_job(c->session)) {
        j->ahead = ahead_hold(c->ahead);
        loop_ask(c->loop, j);
    }
    c->held = ahead_count(c->ahead) >= JOBS_MAX;
}

static struct moment moment_now(void)
{
    return (struct moment){clock_now(NULL), clock_ticks()};
}

static void said(struct conn *c, struct span bytes)
{
    int r = session_feed(c->session, bytes, moment_now());

    jobs(c);
    while (r == 0 && !c->held && session_stalled(c->session)) {
        r = session_feed(c->session, (struct span){NULL, 0}, moment_now());
        jobs(c);
    }
    touch(c);
    if (r < 0)
        conn_end(c, session_error(c->session)->text);
}

/* That is how one logs out. */
static void closed(struct conn *c)
{
    c->logout = true;
    conn_end(c, "closed");
}

/* What the link has to tell; the connection may have ended afterwards. */
static void events(struct conn *c)
{
    struct link_event ev;

    while (c->state == CONN_OPEN && !c->held && link_next(c->link, &ev)) {
        if (ev.kind == LINK_MESSAGE && c->classic)
            classic_said(c, ev.message);
        else if (ev.kind == LINK_MESSAGE)
            said(c, ev.message);
        else if (ev.kind == LINK_CLOSED)
            closed(c);
        else if (ev.kind == LINK_FAILED)
            conn_end(c, link_error(c->link)->text);
    }
    touch(c);
}

/* Whoever asks faster than he is answered waits in his own socket. */
void conn_resume(struct conn *c)
{
    if (c->state != CONN_OPEN || !c->held || c->classic || ahead_count(c->ahead) > JOBS_MAX / 2)
        return;
    c->held = false;
    said(c, (struct span){NULL, 0});
    events(c);
}

static void to_worker(struct conn *c, struct span in)
{
    struct msg *m = msg_new(MSG_FEED, c->id);
    uint8_t *copy = m == NULL ? NULL : malloc(in.n);

    if (copy == NULL) {
        msg_free(m);
        conn_destroy(c, "no memory");
        return;
    }
    memcpy(copy, in.p, in.n);
    m->bytes.p = copy;
    m->bytes.n = in.n;
    c->at_worker = true;
    watch(c);
    box_put(worker_of(c), m);
}

static void ended(struct conn *c)
{
    if (c->state != CONN_OPEN) {
        conn_destroy(c, "hung up");
        return;
    }
    c->logout = link_eof(c->link) == 0;
    conn_destroy(c, c->logout ? "closed" : "cut");
}

static void on_poll(uv_poll_t *h, int status, int what)
{
    struct conn *c = h->data;
    struct span in = {c->loop->scratch, 0};

    if (status < 0) {
        conn_destroy(c, "connection lost");
        return;
    }
    if (what & UV_WRITABLE) {
        c->full = false;
        touch(c);
    }
    if (!(what & UV_READABLE) || !reading(c))
        return;
    ssize_t n = recv(c->fd, c->loop->scratch, sizeof c->loop->scratch, 0);
    if (n < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            conn_destroy(c, "connection lost");
        return;
    }
    in.n = (size_t)n;
    if (n == 0)
        ended(c);
    else if (c->state == CONN_SHAKING)
        to_worker(c, in);
    else if (c->state == CONN_OPEN && link_feed(c->link, in.p, in.n) < 0)
        events(c); /* FAILED is among them */
    else if (c->state == CONN_OPEN)
        events(c);
}

/* --- the handshake's answers --- */

static int open_session(struct conn *c, struct err *e)
{
    struct link_info i;

    link_info(c->link, &i);
    if (i.kind == LINK_CLASSIC) { /* proves nobody: nothing that asks who somebody is comes to be */
        classic_enter(c);
        return 0;
    }
    struct session_conf s = {.conn = c->id,
                             .link = link_kind_name(i.kind),
                             .suite = i.suite,
                             .relay = c->loop->env.name,
                             .source = c->text,
                             .email = i.email,
                             .relay_cert = *identity_leaf(c->identity, i.kind)};
    s.join = c->joining = i.join;
    if (i.peer_n > 0)
        s.leaf = i.peer[0];
    if (link_exporter(c->link, LINK_EXPORTER_LOGIN, &s.exporter) < 0)
        return err_set(e, ERR_LOCAL, "no exporter");
    c->session = session_new(&s, moment_now(), e);
    key_wipe(&s.exporter);
    if (c->session == NULL)
        return -1;
    tell(c, i.join ? "joining" : "connected", NULL);
    return 0;
}

static void opened(struct conn *c, struct shaken *s)
{
    struct err e = {0};

    c->link = s->link;
    c->identity = s->identity;
    s->link = NULL;
    s->identity = NULL;
    c->state = CONN_OPEN;
    if (open_session(c, &e) < 0)
        conn_end(c, e.text);
    else
        events(c); /* what came in one segment with the last flight */
}

void conn_shaken(struct conn *c, struct shaken *s)
{
    struct span out = buf_span(&s->out);

    if (c->state != CONN_SHAKING)
        return;
    c->at_worker = false;
    if (out.n > 0 && buf_add(&c->early, out.p, out.n) < 0) {
        conn_destroy(c, "no memory");
        return;
    }
    touch(c);
    if (s->how == SHAKEN_OPEN) {
        opened(c, s);
    } else if (s->how == SHAKEN_FAILED) {
        audit(c, s->word, &s->fp);
        conn_end(c, s->why);
    }
}

/* --- from the loop --- */

/* NULL, or why no frame of n bytes can wait for it. One batch of the sequencer may have more for a
 * reader than may wait for him: he is slow only when his socket takes no more either, whatever it
 * said earlier in this turn. */
static const char *no_room(struct conn *c, size_t n)
{
    if (!slow(c, n))
        return NULL;
    c->full = false;
    const char *why = write_lent(c);
    if (why == NULL && slow(c, n))
        why = too_slow;
    return why;
}

void conn_send(struct conn *c, struct shared *frame)
{
    if (c->state != CONN_OPEN)
        return;
    const char *why = no_room(c, frame->n);
    if (why == NULL && queue_add(c, frame) < 0)
        why = "no memory";
    if (why != NULL)
        conn_destroy(c, why);
    else
        touch(c);
}

void conn_publish(struct conn *c, const struct effect *ef)
{
    struct shared *s = c->classic           ? ef->frame
                       : c->session == NULL ? NULL
                                            : effect_frame(ef, session_compact(c->session));

    if (s != NULL) /* else it came to be read after this was encoded: it asks by number */
        conn_send(c, s);
}

static void late(struct conn *c)
{
    bool shaking = c->state == CONN_SHAKING;

    if (shaking)
        audit(c, "timeout", NULL);
    conn_destroy(c, shaking ? "handshake took too long" : "no memory");
}

void conn_tick(struct conn *c, int64_t now, int64_t ticks)
{
    if (c->deadline != 0 && ticks >= c->deadline) {
        if (c->state == CONN_OPEN && c->classic)
            conn_end(c, "said nothing for an hour");
        else if (c->state == CONN_OPEN && !c->proven)
            conn_end(c, "login took too long");
        else
            late(c);
        return;
    }
    if (c->state != CONN_OPEN)
        return;
    link_rest(c->link);
    if (c->queue_n == 0)
        queue_free(c);
    if (c->classic) {
        classic_tick(c);
        events(c);
        watch(c);
    } else if (session_tick(c->session, (struct moment){now, ticks}) < 0)
        conn_end(c, session_error(c->session)->text);
    else
        touch(c);
}
