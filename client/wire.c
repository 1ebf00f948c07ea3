#include "client/wire.h"

#include <stdlib.h>
#include <time.h>

#include "client/net.h"

struct wire {
    struct net *net;
    uv_timer_t limit; /* of the whole handshake */
    struct wire_ops ops;
    const struct link_conf *conf;
    struct link *link;
    bool live, linked;
};

int64_t clock_wall_ms(void *ctx)
{
    struct timespec t;

    (void)ctx;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

uint64_t clock_mono_us(void *ctx)
{
    (void)ctx;
    return uv_hrtime() / 1000;
}

int64_t clock_mono_ms(void *ctx)
{
    return (int64_t)(clock_mono_us(ctx) / 1000);
}

static void flush(struct wire *w)
{
    struct span out = link_out(w->link);

    net_write(w->net, out);
    if (w->link != NULL)
        link_sent(w->link, out.n);
}

static void wire_down(struct wire *w, const struct err *why, bool final)
{
    struct err copy = *why;

    if (!w->live)
        return;
    w->live = false;
    uv_timer_stop(&w->limit);
    net_hang_up(w->net);
    w->ops.down(w->ops.ctx, &copy, final);
}

/* A relay that refuses our certificate will refuse it again. */
static void link_down(struct wire *w)
{
    struct link_info info;

    flush(w);
    if (!w->live)
        return;
    link_info(w->link, &info);
    wire_down(w, link_error(w->link), info.refused != NULL && info.refused_by_peer);
}

static void pump(struct wire *w)
{
    struct link_event ev;
    struct err closed = {0};

    while (w->live && link_next(w->link, &ev)) {
        switch (ev.kind) {
        case LINK_STEP: w->ops.step(w->ops.ctx, &ev.step); break;
        case LINK_ESTABLISHED:
            w->linked = true;
            uv_timer_stop(&w->limit);
            w->ops.linked(w->ops.ctx);
            break;
        case LINK_MESSAGE: w->ops.message(w->ops.ctx, ev.message); break;
        case LINK_CLOSED:
            err_set(&closed, ERR_UNAVAILABLE, "the relay ended the connection");
            wire_down(w, &closed, false);
            break;
        case LINK_FAILED: link_down(w); break;
        }
    }
    if (!w->live)
        return;
    flush(w);
    if (w->live)
        w->ops.rest(w->ops.ctx);
}

static void on_bytes(void *ctx, struct span in)
{
    struct wire *w = ctx;

    if (!w->live)
        return;
    (void)!link_feed(w->link, in.p, in.n); /* a failure comes as LINK_FAILED */
    pump(w);
}

static void on_eof(void *ctx)
{
    struct wire *w = ctx;

    if (!w->live)
        return;
    (void)!link_eof(w->link);
    pump(w);
    if (w->live)
        link_down(w);
}

static void on_up(void *ctx, const char *where)
{
    struct wire *w = ctx;
    struct err e = {0};

    w->link = link_new(ROLE_CLIENT, w->conf, &e);
    if (w->link == NULL) {
        wire_down(w, &e, true);
        return;
    }
    w->ops.up(w->ops.ctx, where);
    if (w->live)
        pump(w);
}

static void on_down(void *ctx, const struct err *why)
{
    wire_down(ctx, why, false);
}

static void on_limit(uv_timer_t *t)
{
    struct wire *w = t->data;
    struct err e = {0};

    err_set(&e, ERR_UNAVAILABLE, "no connection within %d s", HANDSHAKE_MS / 1000);
    wire_down(w, &e, false);
}

struct wire *wire_new(uv_loop_t *loop, const struct wire_ops *ops, struct err *e)
{
    struct wire *w = calloc(1, sizeof *w);

    if (w == NULL || uv_timer_init(loop, &w->limit) != 0) {
        free(w);
        err_set(e, ERR_OS, "no memory");
        return NULL;
    }
    w->ops = *ops;
    w->limit.data = w;
    const struct net_ops net = {on_up, on_bytes, on_eof, on_down, w};
    w->net = net_new(loop, &net, e);
    if (w->net == NULL) {
        uv_close((uv_handle_t *)&w->limit, NULL);
        uv_run(loop, UV_RUN_NOWAIT);
        free(w);
        return NULL;
    }
    return w;
}

static void wire_closed(uv_handle_t *h)
{
    free(h->data);
}

void wire_free(struct wire *w)
{
    if (w == NULL)
        return;
    wire_hang_up(w);
    link_free(w->link);
    w->link = NULL;
    net_free(w->net);
    uv_close((uv_handle_t *)&w->limit, wire_closed);
}

void wire_dial(struct wire *w, const struct link_conf *conf, const char *host, uint16_t port)
{
    wire_hang_up(w);
    link_free(w->link);
    w->link = NULL;
    w->conf = conf;
    w->live = true;
    w->linked = false;
    uv_timer_start(&w->limit, on_limit, HANDSHAKE_MS, 0);
    net_dial(w->net, host, port);
}

void wire_send(struct wire *w, struct span plain)
{
    if (!w->live || !w->linked || plain.n == 0)
        return;
    if (link_send(w->link, plain.p, plain.n) < 0)
        link_down(w);
    else
        flush(w);
}

bool wire_rekey(struct wire *w)
{
    if (!w->live || !w->linked || link_rekey(w->link) < 0)
        return false;
    flush(w);
    return true;
}

void wire_hang_up(struct wire *w)
{
    if (!w->live)
        return;
    if (w->link != NULL && w->linked) {
        link_close(w->link);
        flush(w);
    }
    w->live = false;
    uv_timer_stop(&w->limit);
    net_hang_up(w->net);
}

const struct link *wire_link(const struct wire *w)
{
    return w->link;
}
