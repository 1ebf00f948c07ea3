/* limit -- the least a fan-out over TLS costs: an epoll loop and OpenSSL, nothing else.
 *
 *     limit PORT THREADS CERTIFICATES KEY ROOT
 *
 * Speaks tests/bench/raw.h on 127.0.0.1 behind mutual TLS 1.3. Has no accounts, no bounds on rooms,
 * no log: it is what a relay is measured against, not one. All that one turn of a loop has for a
 * connection shares records and leaves in one send. With several threads connections are dealt out
 * in turn and a message goes to the other threads' members through a mailbox. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util/bytes.h"
#include "tests/bench/raw.h"

enum { THREADS_MAX = 16, ROOMS = 65536, READ = 64 * 1024, EVENTS = 256, OUT_MAX = 256 << 20 };
enum { RECORD = 16 * 1024 };

struct guest {
    int fd;
    SSL *ssl;
    struct loop *loop;
    struct buf in, plain, sealed; /* not yet read; not yet sealed; not yet sent */
    bool dirty, full, gone;
    size_t room, place; /* room ROOMS: none */
    struct guest *next_dirty;
};

struct crowd {
    struct guest **p;
    size_t n, cap;
};

struct letter { /* a message for the members of other threads */
    struct letter *next;
    size_t room, n;
    uint8_t b[];
};

struct loop {
    struct limit *limit;
    int epoll, event;
    struct crowd *rooms;
    struct guest *dirty;
    pthread_mutex_t lock;
    struct letter *first, **last; /* under lock */
    const uint8_t *in;            /* what OpenSSL may read now */
    size_t in_n;
    uint8_t bytes[READ], clear[4 * READ];
};

struct limit {
    SSL_CTX *tls;
    BIO_METHOD *bio;
    int door;
    struct loop *loops[THREADS_MAX];
    size_t loops_n, turn;
};

static void die(const char *what)
{
    fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- OpenSSL reads from the bytes of this turn and writes behind what waits --- */

static int bio_write(BIO *b, const char *p, int n)
{
    struct guest *g = BIO_get_data(b);

    return buf_add(&g->sealed, p, (size_t)n) < 0 ? -1 : n;
}

static int bio_read(BIO *b, char *out, int cap)
{
    struct loop *l = ((struct guest *)BIO_get_data(b))->loop;
    size_t n = l->in_n < (size_t)cap ? l->in_n : (size_t)cap;

    BIO_clear_retry_flags(b);
    if (n == 0) {
        BIO_set_retry_read(b);
        return -1;
    }
    memcpy(out, l->in, n);
    l->in += n;
    l->in_n -= n;
    return (int)n;
}

static long bio_ctrl(BIO *b, int what, long n, void *p)
{
    (void)b, (void)n, (void)p;
    return what == BIO_CTRL_FLUSH;
}

static void tls_open(struct limit *w, char *argv[])
{
    w->tls = SSL_CTX_new(TLS_server_method());
    w->bio = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "limit");
    if (w->tls == NULL || w->bio == NULL ||
        SSL_CTX_set_min_proto_version(w->tls, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(w->tls, "TLS_AES_256_GCM_SHA384") != 1 ||
        SSL_CTX_use_certificate_chain_file(w->tls, argv[3]) != 1 ||
        SSL_CTX_use_PrivateKey_file(w->tls, argv[4], SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_load_verify_locations(w->tls, argv[5], NULL) != 1)
        die("certificates");
    SSL_CTX_set_verify(w->tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_session_cache_mode(w->tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(w->tls, 0);
    SSL_CTX_set_mode(w->tls, SSL_MODE_RELEASE_BUFFERS);
    BIO_meth_set_write(w->bio, bio_write);
    BIO_meth_set_read(w->bio, bio_read);
    BIO_meth_set_ctrl(w->bio, bio_ctrl);
}

/* --- guests --- */

static void poll_for(const struct loop *l, int how, int fd, uint32_t events, void *what)
{
    struct epoll_event ev = {.events = events, .data.ptr = what};

    if (epoll_ctl(l->epoll, how, fd, &ev) < 0)
        die("epoll");
}

static void leave(struct guest *g)
{
    if (g->room == ROOMS)
        return;
    struct crowd *r = &g->loop->rooms[g->room];
    r->p[g->place] = r->p[--r->n];
    r->p[g->place]->place = g->place;
    g->room = ROOMS;
}

static void enter(struct guest *g, size_t room)
{
    struct crowd *r = &g->loop->rooms[room];

    leave(g);
    if (r->n == r->cap) {
        r->cap = r->cap == 0 ? 8 : 2 * r->cap;
        r->p = realloc(r->p, r->cap * sizeof *r->p);
        if (r->p == NULL)
            die("memory");
    }
    g->room = room;
    g->place = r->n;
    r->p[r->n++] = g;
}

/* The struct itself goes when it is in no list any more. */
static void end(struct guest *g)
{
    if (g->gone)
        return;
    leave(g);
    g->gone = true;
    SSL_free(g->ssl);
    close(g->fd);
    buf_free(&g->in);
    buf_free(&g->plain);
    buf_free(&g->sealed);
    if (!g->dirty)
        free(g);
}

static void touch(struct guest *g)
{
    if (g->dirty)
        return;
    g->dirty = true;
    g->next_dirty = g->loop->dirty;
    g->loop->dirty = g;
}

static void welcome(struct limit *w, int fd)
{
    struct guest *g = calloc(1, sizeof *g);
    BIO *b = BIO_new(w->bio);
    int one = 1;

    if (g == NULL || b == NULL)
        die("memory");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    g->fd = fd;
    g->room = ROOMS;
    g->loop = w->loops[w->turn++ % w->loops_n];
    buf_init(&g->in, READ);
    buf_init(&g->plain, OUT_MAX);
    buf_init(&g->sealed, OUT_MAX);
    g->ssl = SSL_new(w->tls);
    BIO_set_data(b, g);
    BIO_set_init(b, 1);
    SSL_set_bio(g->ssl, b, b);
    SSL_set_accept_state(g->ssl);
    poll_for(g->loop, EPOLL_CTL_ADD, fd, EPOLLIN, g);
}

/* --- out --- */

static bool seal(struct guest *g)
{
    for (struct span s = buf_span(&g->plain); s.n > 0; s = buf_span(&g->plain)) {
        int n = SSL_write(g->ssl, s.p, s.n < RECORD ? (int)s.n : RECORD);

        if (n <= 0)
            return false;
        buf_drop(&g->plain, (size_t)n);
    }
    return true;
}

static bool push(struct guest *g)
{
    for (struct span s = buf_span(&g->sealed); s.n > 0 && !g->full; s = buf_span(&g->sealed)) {
        ssize_t n = send(g->fd, s.p, s.n, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN)
            return false;
        if (n < 0 || (size_t)n < s.n) {
            g->full = true;
            poll_for(g->loop, EPOLL_CTL_MOD, g->fd, EPOLLIN | EPOLLOUT, g);
        }
        if (n > 0)
            buf_drop(&g->sealed, (size_t)n);
    }
    return true;
}

static void flush(struct loop *l)
{
    while (l->dirty != NULL) {
        struct guest *g = l->dirty;

        l->dirty = g->next_dirty;
        g->dirty = false;
        if (g->gone)
            free(g);
        else if (!seal(g) || !push(g))
            end(g);
    }
}

static void put(struct guest *g, struct span s)
{
    if (buf_add(&g->plain, s.p, s.n) < 0)
        shutdown(g->fd, SHUT_RDWR); /* it reads too slowly: its end is an event of its own */
    touch(g);
}

/* --- rooms --- */

static void fan_out(struct loop *l, size_t room, struct span frame)
{
    const struct crowd *r = &l->rooms[room];

    for (size_t i = 0; i < r->n; i++)
        put(r->p[i], frame);
}

static void post(struct loop *to, size_t room, struct span frame)
{
    struct letter *m = malloc(sizeof *m + frame.n);
    uint64_t one = 1;

    if (m == NULL)
        die("memory");
    m->next = NULL;
    m->room = room;
    m->n = frame.n;
    memcpy(m->b, frame.p, frame.n);
    pthread_mutex_lock(&to->lock);
    bool first = to->first == NULL;
    *to->last = m;
    to->last = &m->next;
    pthread_mutex_unlock(&to->lock);
    if (first && write(to->event, &one, sizeof one) < 0)
        die("eventfd");
}

static void mail(struct loop *l)
{
    uint64_t n;

    if (read(l->event, &n, sizeof n) < 0)
        return;
    pthread_mutex_lock(&l->lock);
    struct letter *m = l->first;
    l->first = NULL;
    l->last = &l->first;
    pthread_mutex_unlock(&l->lock);
    for (struct letter *next; m != NULL; m = next) {
        next = m->next;
        fan_out(l, m->room, span_of(m->b, m->n));
        free(m);
    }
}

static void say(struct guest *g, struct span frame)
{
    const struct limit *w = g->loop->limit;

    fan_out(g->loop, g->room, frame);
    for (size_t i = 0; i < w->loops_n; i++)
        if (w->loops[i] != g->loop)
            post(w->loops[i], g->room, frame);
}

/* --- in --- */

static bool frame(struct guest *g, struct span whole)
{
    struct rd r = rd_of(span_of(whole.p + RAW_HEAD, whole.n - RAW_HEAD));

    switch (rd_u8(&r)) {
    case RAW_HELLO: put(g, whole); return true;
    case RAW_JOIN:
        enter(g, rd_u16(&r));
        put(g, whole);
        return true;
    case RAW_SAY:
        if (g->room == ROOMS)
            return false;
        say(g, whole);
        return true;
    default: return false;
    }
}

static bool frames(struct guest *g, struct span in)
{
    struct rd r = rd_of(in);
    size_t used = 0;

    while (rd_left(&r) > RAW_HEAD) {
        size_t n = rd_u32(&r);

        if (n == 0 || n > RAW_MAX)
            return false;
        if (rd_take(&r, n) == NULL)
            break;
        if (!frame(g, span_of(in.p + used, RAW_HEAD + n)))
            return false;
        used += RAW_HEAD + n;
    }
    return used == in.n || buf_add(&g->in, in.p + used, in.n - used) == 0;
}

static bool opened(struct guest *g)
{
    struct loop *l = g->loop;
    struct span left = buf_span(&g->in);
    size_t have = left.n;
    int n;

    if (have > 0)
        memcpy(l->clear, left.p, have);
    buf_drop(&g->in, have);
    while ((n = SSL_read(g->ssl, l->clear + have, (int)(sizeof l->clear - have))) > 0)
        have += (size_t)n;
    return SSL_get_error(g->ssl, n) == SSL_ERROR_WANT_READ && frames(g, span_of(l->clear, have));
}

static bool shaken(struct guest *g)
{
    if (SSL_is_init_finished(g->ssl))
        return opened(g);
    int r = SSL_do_handshake(g->ssl);
    touch(g);
    if (r == 1)
        return opened(g);
    return SSL_get_error(g->ssl, r) == SSL_ERROR_WANT_READ;
}

static void event(struct guest *g, uint32_t events)
{
    struct loop *l = g->loop;

    if (events & EPOLLOUT) {
        g->full = false;
        poll_for(l, EPOLL_CTL_MOD, g->fd, EPOLLIN, g);
        touch(g);
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    ssize_t n = recv(g->fd, l->bytes, sizeof l->bytes, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    l->in = l->bytes;
    l->in_n = n > 0 ? (size_t)n : 0;
    if (n <= 0 || !shaken(g))
        end(g);
}

static void visitors(struct limit *w)
{
    int fd;

    while ((fd = accept4(w->door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        welcome(w, fd);
}

/* --- loops --- */

static void *run(void *ctx)
{
    struct loop *l = ctx;
    struct epoll_event ev[EVENTS];

    for (;;) {
        int n = epoll_wait(l->epoll, ev, EVENTS, -1);

        for (int i = 0; i < n; i++)
            if (ev[i].data.ptr == l)
                mail(l);
            else if (ev[i].data.ptr == l->limit)
                visitors(l->limit);
            else
                event(ev[i].data.ptr, ev[i].events);
        flush(l);
    }
    return NULL;
}

static struct loop *loop_new(struct limit *w)
{
    struct loop *l = calloc(1, sizeof *l);

    if (l == NULL || (l->rooms = calloc(ROOMS, sizeof *l->rooms)) == NULL)
        die("memory");
    l->limit = w;
    l->last = &l->first;
    pthread_mutex_init(&l->lock, NULL);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->epoll < 0 || l->event < 0)
        die("epoll");
    poll_for(l, EPOLL_CTL_ADD, l->event, EPOLLIN, l);
    return l;
}

static void door(struct limit *w, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    w->door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(w->door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (w->door < 0 || bind(w->door, (struct sockaddr *)&at, sizeof at) < 0 ||
        listen(w->door, 4096) < 0)
        die("listen");
    poll_for(w->loops[0], EPOLL_CTL_ADD, w->door, EPOLLIN, w);
}

static void files(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

int main(int argc, char *argv[])
{
    struct limit w = {.turn = 0};
    uint64_t port, threads;
    pthread_t thread;

    if (argc != 6 || str_u64(str_of(argv[1]), UINT16_MAX, &port) < 0 ||
        str_u64(str_of(argv[2]), THREADS_MAX, &threads) < 0 || threads == 0) {
        fprintf(stderr, "usage: limit PORT THREADS CERTIFICATES KEY ROOT\n");
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    files();
    tls_open(&w, argv);
    while (w.loops_n < threads)
        w.loops[w.loops_n++] = loop_new(&w);
    door(&w, (uint16_t)port);
    for (size_t i = 1; i < w.loops_n; i++)
        if (pthread_create(&thread, NULL, run, w.loops[i]) != 0)
            die("thread");
    run(w.loops[0]);
    return 0;
}
