/* One connection: dialled, shaken, read, written. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/load/conn.h"
#include "tests/bench/load/pipe.h"

enum { OUT_MAX = 64 * 1024 * 1024, LINE = 1024 };

/* --- what drivers call --- */

static void touch(struct conn *c)
{
    if (c->dirty)
        return;
    c->dirty = true;
    c->next_dirty = c->load->dirty;
    c->load->dirty = c;
}

void conn_put(struct conn *c, const void *p, size_t n)
{
    if (buf_add(&c->out, p, n) < 0)
        load_fail(c->load, "connection %u: the server does not read", c->number);
    touch(c);
}

void conn_say(struct conn *c, const char *fmt, ...)
{
    char text[LINE];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || n >= LINE)
        load_fail(c->load, "a line is too long");
    else
        conn_put(c, text, (size_t)n);
}

void conn_registered(struct conn *c)
{
    if (c->state != CONN_LOGIN)
        return;
    c->load->registered++;
    c->load->shake_bytes += c->wire_in + c->wire_out;
    c->load->shake_flights += c->flights;
    if (c->load->shakes) {
        conn_joined(c);
        return;
    }
    c->state = CONN_JOINING;
    c->load->driver->join(c);
}

void conn_joined(struct conn *c)
{
    if (c->state == CONN_READY)
        return;
    c->state = CONN_READY;
    c->load->shaking--;
    c->load->ready++;
}

/* --- the socket --- */

static void poll_for(struct conn *c, uint32_t events, int how)
{
    struct epoll_event ev = {.events = events, .data.ptr = c};

    if (epoll_ctl(c->load->epoll, how, c->fd, &ev) < 0)
        load_fail(c->load, "epoll: %s", strerror(errno));
}

static void lost(struct conn *c, const char *what)
{
    load_fail(c->load, "connection %u: %s", c->number, what);
}

void conn_dial(struct conn *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)c->load->conf.port)};
    int one = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0 ||
        (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)) {
        lost(c, strerror(errno));
        return;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->state = CONN_CONNECTING;
    c->life++;
    c->load->shaking++;
    buf_init(&c->in, OUT_MAX);
    buf_init(&c->out, OUT_MAX);
    poll_for(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

static void undirty(struct conn *c)
{
    struct conn **at = &c->load->dirty;

    while (*at != NULL && *at != c)
        at = &(*at)->next_dirty;
    if (*at != NULL)
        *at = c->next_dirty;
    c->dirty = false;
}

void conn_hang_up(struct conn *c)
{
    if (c->state == CONN_IDLE)
        return;
    *(c->state == CONN_READY ? &c->load->ready : &c->load->shaking) -= 1;
    undirty(c);
    c->load->pipe->stop(c);
    close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    c->fd = -1;
    c->full = false;
    c->state = CONN_IDLE;
}

uint64_t conn_received(const struct conn *c)
{
    return c->load->pipe->received(c);
}

/* --- bytes --- */

void conn_flush(struct conn *c)
{
    undirty(c);
    if (c->full || c->state < CONN_LOGIN)
        return;
    int r = c->load->pipe->push(c);
    if (r < 0)
        lost(c, "cannot be written to");
    c->full = r > 0;
    if (r > 0)
        poll_for(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

/* Gives what is left of the scratch to the driver; what it did not read waits for more. */
static void take(struct conn *c, size_t have)
{
    const uint8_t *p = c->load->scratch;
    size_t used = c->load->driver->take(c, span_of(p, have));

    if (used > have)
        lost(c, "a driver read too far");
    else if (used < have && buf_add(&c->in, p + used, have - used) < 0)
        lost(c, "a message does not end");
}

/* Everything that was received, with what was left over in front. */
static void opened(struct conn *c)
{
    struct load *l = c->load;
    bool more = true;

    while (more && l->err.code == ERR_NONE && c->state >= CONN_LOGIN) {
        struct span left = buf_span(&c->in);
        size_t have = left.n;
        int n = 1;

        if (have >= sizeof l->scratch) {
            lost(c, "a message is too long");
            return;
        }
        if (have > 0)
            memcpy(l->scratch, left.p, have);
        buf_drop(&c->in, have);
        while (have < sizeof l->scratch &&
               (n = l->pipe->pull(c, l->scratch + have, sizeof l->scratch - have)) > 0)
            have += (size_t)n;
        more = n > 0;
        take(c, have);
        if (n < 0)
            lost(c, "the server closed");
    }
}

static void shake(struct conn *c)
{
    int r = c->load->pipe->shake(c);

    if (r < 0) {
        lost(c, "the handshake failed");
    } else if (r > 0) {
        c->state = CONN_LOGIN;
        c->load->driver->login(c);
        opened(c);
    }
}

static void pipe_begin(struct conn *c)
{
    if (c->load->pipe->start(c) < 0) {
        lost(c, "its handshake cannot begin");
        return;
    }
    c->state = CONN_SHAKING;
    shake(c);
}

static void preface(struct conn *c)
{
    uint8_t text[4096];
    ssize_t n = recv(c->fd, text, sizeof text, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || buf_add(&c->in, text, (size_t)n) < 0) {
        lost(c, "closed before TLS");
        return;
    }
    int r = c->load->driver->preface(c, buf_span(&c->in));
    if (r == 0)
        return;
    buf_drop(&c->in, c->in.len);
    if (r < 0)
        lost(c, "TLS cannot begin");
    else
        pipe_begin(c);
}

static void connected(struct conn *c)
{
    int failed = 0;
    socklen_t n = sizeof failed;

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failed, &n);
    if (failed != 0) {
        lost(c, strerror(failed));
        return;
    }
    poll_for(c, EPOLLIN, EPOLL_CTL_MOD);
    if (c->load->driver->preface != NULL)
        c->state = CONN_PREFACE;
    else
        pipe_begin(c);
}

void conn_event(struct conn *c, uint32_t events)
{
    if (c->state == CONN_CONNECTING) {
        if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
            connected(c);
        return;
    }
    if ((events & EPOLLOUT) && c->full) {
        c->full = false;
        poll_for(c, EPOLLIN, EPOLL_CTL_MOD);
        touch(c);
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    if (c->state == CONN_PREFACE)
        preface(c);
    else if (c->state == CONN_SHAKING)
        shake(c);
    else if (c->state >= CONN_LOGIN)
        opened(c);
}
