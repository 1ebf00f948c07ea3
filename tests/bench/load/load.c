/* The loop, and how connections come to be. */
#include "tests/bench/load/load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/bench/load/conn.h"
#include "tests/bench/load/pipe.h"
#include "tests/bench/load/traffic.h"

enum { EVENTS = 512, WAIT_NS = 100 * 1000 * 1000 };
static const uint64_t patience_ns = 60ull * 1000000000;

void load_fail(struct load *l, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(&l->err, ERR_PEER, "%s", text);
}

void figure(const char *name, double value)
{
    printf("%s\t%.9g\n", name, value);
}

/* --- beginning and end --- */

static void conn_set(struct load *l, unsigned i)
{
    unsigned account = i % l->members->n;
    unsigned size = l->conf.room_size == 0 ? l->conns_n : (unsigned)l->conf.room_size;
    struct conn *c = &l->conns[i];

    c->load = l;
    c->number = i;
    c->fd = -1;
    c->member = &l->members->p[account];
    c->room = account / size;
    c->place = account % size;
}

static int conns_open(struct load *l, struct err *e)
{
    l->conns_n = (unsigned)l->conf.conns;
    l->conns = calloc(l->conns_n, sizeof *l->conns);
    if (l->conns == NULL)
        return err_set(e, ERR_LOCAL, "no memory for connections");
    for (unsigned i = 0; i < l->conns_n; i++) {
        conn_set(l, i);
        l->conns[i].own = calloc(1, l->driver->own_size + 1);
        if (l->conns[i].own == NULL)
            return err_set(e, ERR_LOCAL, "no memory for connections");
    }
    return 0;
}

int load_open(struct load *l, struct err *e)
{
    struct rlimit files;

    l->epoll = -1;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    l->driver = driver_find(l->conf.driver);
    if (l->driver == NULL)
        return err_set(e, ERR_USAGE, "no driver speaks %s", l->conf.driver);
    l->pipe = l->conf.link[0] == '\0' ? &pipe_tls : &pipe_link;
    if ((l->members = members_load(l->conf.members, e)) == NULL || l->pipe->open(l, e) < 0 ||
        conns_open(l, e) < 0)
        return -1;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    return l->epoll < 0 ? err_set(e, ERR_OS, "no epoll: %s", strerror(errno)) : 0;
}

void load_close(struct load *l)
{
    for (unsigned i = 0; l->conns != NULL && i < l->conns_n; i++) {
        conn_hang_up(&l->conns[i]);
        if (l->driver->forget != NULL)
            l->driver->forget(&l->conns[i]);
        free(l->conns[i].own);
    }
    free(l->conns);
    free(l->common);
    if (l->pipe != NULL)
        l->pipe->close(l);
    members_free(l->members);
    if (l->epoll >= 0)
        close(l->epoll);
}

/* --- turns --- */

static int wait_ms(const struct load *l, uint64_t until_ns)
{
    uint64_t now = l->now_ns, most = now + WAIT_NS;

    if (until_ns > most)
        until_ns = most;
    return until_ns <= now ? 0 : (int)((until_ns - now) / 1000000);
}

static uint64_t pump(struct load *l)
{
    return l->speaking ? traffic_pump(l->traffic) : UINT64_MAX;
}

static void flush(struct load *l)
{
    while (l->dirty != NULL)
        conn_flush(l->dirty);
}

int load_turn(struct load *l, uint64_t until_ns)
{
    struct epoll_event ev[EVENTS];
    uint64_t due = pump(l);

    flush(l);
    l->now_ns = watch_now_ns();
    int n = epoll_wait(l->epoll, ev, EVENTS, wait_ms(l, due < until_ns ? due : until_ns));
    l->now_ns = watch_now_ns();
    for (int i = 0; i < n && l->err.code == ERR_NONE; i++)
        conn_event(ev[i].data.ptr, ev[i].events);
    return l->err.code == ERR_NONE ? 0 : -1;
}

/* --- connecting --- */

static int settle(struct load *l, unsigned ready)
{
    uint64_t end = watch_now_ns() + patience_ns;

    while (l->ready < ready) {
        if (load_turn(l, end) < 0)
            return -1;
        if (l->now_ns >= end)
            return err_set(&l->err, ERR_PEER, "%u of %u connections are ready", l->ready, ready);
    }
    return 0;
}

/* Dials those that make a room, or all others. */
static int dial(struct load *l, unsigned n, bool makers)
{
    for (unsigned i = 0; i < n; i++) {
        struct conn *c = &l->conns[i];

        if (c->state != CONN_IDLE || (makers && (c->place > 0 || i >= l->members->n)))
            continue;
        while (l->shaking >= l->conf.parallel)
            if (load_turn(l, UINT64_MAX) < 0)
                return -1;
        conn_dial(c);
    }
    return settle(l, l->ready + l->shaking);
}

int load_connect(struct load *l, unsigned n)
{
    return dial(l, n, true) < 0 || dial(l, n, false) < 0 ? -1 : 0;
}
