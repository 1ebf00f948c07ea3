#include "server/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/conf.h"
#include "server/loop.h"

enum { BACKLOG = 1024 };

struct door {
    struct door_conf conf;
    int fd, spare; /* spare: given up to be able to refuse one guest properly */
    uint64_t serial;
    bool open, paused;
    uv_poll_t poll;
    uv_timer_t timer;
};

/* --- binding --- */

static int bind_one(const struct addrinfo *a)
{
    int on = 1, off = 0, saved;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a->ai_family == AF_INET6) /* [::] takes IPv4 too, whatever the system's default is */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int bind_to(const struct host_port *at, struct err *e)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *all = NULL;
    char port[8];
    int fd = -1;

    snprintf(port, sizeof port, "%u", at->port);
    int r = getaddrinfo(at->host, port, &hints, &all);
    if (r != 0)
        return err_set(e, ERR_CONFIG, "listen: %s: %s", at->host, gai_strerror(r));
    for (const struct addrinfo *a = all; a != NULL && fd < 0; a = a->ai_next)
        fd = bind_one(a);
    freeaddrinfo(all);
    return fd;
}

int door_bind(const char *text, struct err *e)
{
    struct host_port at = {.port = PORT_DEFAULT};

    if (host_port_take(&at, str_of(text), e) < 0)
        return -1;
    int fd = bind_to(&at, e);
    if (fd < 0 && errno == EAFNOSUPPORT && strcmp(at.host, "::") == 0) {
        memcpy(at.host, "0.0.0.0", 8); /* a machine without IPv6 */
        fd = bind_to(&at, e);
    }
    if (fd < 0)
        err_set(e, errno == EADDRINUSE ? ERR_UNAVAILABLE : ERR_OS, "cannot listen on %s: %s", text,
                strerror(errno));
    return fd;
}

/* --- guests --- */

static void refuse(struct door *d, const char *text, enum gate_verdict v)
{
    struct kv k;
    struct jobs l = {0};
    struct job *j;

    kv_event(&k, "refused");
    kv_text(&k, "why", gate_word(v));
    kv_text(&k, "source", text);
    if (!log_from(d->conf.log, text, &k) || (j = job_new(JOB_AUDIT, 0)) == NULL)
        return;
    if (str_copy(j->source, sizeof j->source, str_of(text)) < 0 ||
        str_copy(j->reason, sizeof j->reason, str_of(gate_word(v))) < 0)
        job_free(j);
    else
        jobs_add(&l, j);
    sequencer_put(d->conf.sequencer, &l);
}

static uint16_t port_of(const struct sockaddr_storage *a)
{
    return ntohs(a->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)a)->sin6_port
                                          : ((const struct sockaddr_in *)a)->sin_port);
}

static void hand_over(struct door *d, int fd, const struct sockaddr_storage *from,
                      const struct source *s, const char *text)
{
    unsigned loop = (unsigned)(++d->serial % d->conf.loops_n);
    struct msg *m = msg_new(MSG_GUEST, conn_id(d->serial, loop));
    int on = 1;

    if (m == NULL) {
        gate_leave(d->conf.gate, s, false);
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    m->guest.fd = fd;
    m->guest.source = *s;
    m->guest.port = port_of(from);
    memcpy(m->guest.text, text, sizeof m->guest.text);
    box_put(d->conf.loops[loop], m);
}

static void guest(struct door *d, int fd, const struct sockaddr_storage *from)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct source s;

    source_of(from, &s, text);
    enum gate_verdict v = gate_enter(d->conf.gate, &s);
    if (v == GATE_IN) {
        hand_over(d, fd, from, &s, text);
        return;
    }
    refuse(d, text, v);
    close(fd);
}

/* --- no descriptors left --- */

static int spare_open(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_again(uv_timer_t *h);
static void on_guest(uv_poll_t *h, int status, int events);

/* The one who knocks is let in through the spare descriptor and sent away; then nobody is asked in
 * for a moment. */
static void exhausted(struct door *d)
{
    struct kv k;

    kv_event(&k, "exhausted");
    kv_text(&k, "why", strerror(errno));
    log_from(d->conf.log, "", &k);
    if (d->spare >= 0) {
        close(d->spare);
        int fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        d->spare = spare_open();
    }
    d->paused = true;
    uv_poll_stop(&d->poll);
    uv_timer_start(&d->timer, on_again, ACCEPT_PAUSE_MS, 0);
}

static void on_again(uv_timer_t *h)
{
    struct door *d = h->data;

    d->paused = false;
    if (d->spare < 0)
        d->spare = spare_open();
    if (d->open)
        uv_poll_start(&d->poll, UV_READABLE, on_guest);
}

static bool is_exhaustion(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void on_guest(uv_poll_t *h, int status, int events)
{
    struct door *d = h->data;

    (void)status, (void)events;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage from;
        socklen_t n = sizeof from;
        int fd = accept4(d->fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            guest(d, fd, &from);
            continue;
        }
        if (is_exhaustion(errno))
            exhausted(d);
        if (errno == EAGAIN || errno == EWOULDBLOCK || d->paused)
            return;
        /* ECONNABORTED, EINTR and the network errors of accept(2): that one guest is lost */
    }
}

/* --- the door --- */

struct door *door_new(const struct door_conf *c, struct err *e)
{
    struct door *d = calloc(1, sizeof *d);

    if (d == NULL) {
        err_set(e, ERR_LOCAL, "no memory for the listening socket");
        return NULL;
    }
    d->conf = *c;
    d->fd = door_bind(c->listen, e);
    if (d->fd < 0) {
        free(d);
        return NULL;
    }
    d->spare = spare_open();
    return d;
}

static void address(const struct door *d, char text[INET6_ADDRSTRLEN], unsigned *port)
{
    struct sockaddr_storage a;
    socklen_t n = sizeof a;

    memcpy(text, "?", 2);
    *port = 0;
    if (getsockname(d->fd, (struct sockaddr *)&a, &n) < 0)
        return;
    if (a.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&a)->sin6_addr, text, INET6_ADDRSTRLEN);
        *port = ntohs(((struct sockaddr_in6 *)&a)->sin6_port);
    } else {
        inet_ntop(AF_INET, &((struct sockaddr_in *)&a)->sin_addr, text, INET6_ADDRSTRLEN);
        *port = ntohs(((struct sockaddr_in *)&a)->sin_port);
    }
}

unsigned door_port(const struct door *d)
{
    char text[INET6_ADDRSTRLEN];
    unsigned port;

    address(d, text, &port);
    return port;
}

void door_open(struct door *d, uv_loop_t *loop)
{
    char text[INET6_ADDRSTRLEN];
    unsigned port;
    struct kv k;

    uv_timer_init(loop, &d->timer);
    uv_poll_init(loop, &d->poll, d->fd);
    d->timer.data = d->poll.data = d;
    d->open = true;
    uv_poll_start(&d->poll, UV_READABLE, on_guest);
    address(d, text, &port);
    kv_event(&k, "listening");
    kv_text(&k, "addr", text);
    kv_u64(&k, "port", port);
    log_event(d->conf.log, &k);
}

void door_close(struct door *d)
{
    if (!d->open)
        return;
    d->open = false;
    uv_timer_stop(&d->timer);
    uv_close((uv_handle_t *)&d->timer, NULL);
    uv_close((uv_handle_t *)&d->poll, NULL);
    close(d->fd);
    d->fd = -1;
}

void door_free(struct door *d)
{
    if (d == NULL)
        return;
    if (d->fd >= 0)
        close(d->fd);
    if (d->spare >= 0)
        close(d->spare);
    free(d);
}
