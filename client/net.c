#include "client/net.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/limits.h"

enum { TRIES_MAX = 16, WHERE_MAX = 80, READ_MAX = 64 * 1024 };

/* One address being tried, then the connection. It outlives its net only to be closed. */
struct
try {
    uv_tcp_t tcp;
    uv_connect_t req;
    struct net *net; /* NULL: hung up */
    char where[WHERE_MAX];
};

struct look_up {
    uv_getaddrinfo_t req;
    struct net *net; /* NULL: hung up */
};

struct net {
    uv_loop_t *loop;
    uv_timer_t head;
    struct net_ops ops;
    struct look_up *asking;
    struct sockaddr_storage addr[TRIES_MAX];
    size_t addr_n, addr_next;
    struct try *trying[TRIES_MAX];
    size_t trying_n;
    struct try *on; /* the connection */
    char host[256];
    uint16_t port;
    struct err why; /* of the first address that failed */
    uint8_t in[READ_MAX];
};

struct write {
    uv_write_t req;
    uint8_t data[];
};

static void net_next(struct net *n);

static void try_closed(uv_handle_t *h)
{
    free(h->data);
}

static void try_drop(struct try *t)
{
    t->net = NULL;
    if (!uv_is_closing((uv_handle_t *)&t->tcp))
        uv_close((uv_handle_t *)&t->tcp, try_closed);
}

struct net *net_new(uv_loop_t *loop, const struct net_ops *ops, struct err *e)
{
    struct net *n = calloc(1, sizeof *n);

    if (n == NULL || uv_timer_init(loop, &n->head) != 0) {
        free(n);
        err_set(e, ERR_OS, "no memory");
        return NULL;
    }
    n->loop = loop;
    n->ops = *ops;
    n->head.data = n;
    return n;
}

static void net_closed(uv_handle_t *h)
{
    free(h->data);
}

void net_free(struct net *n)
{
    if (n == NULL)
        return;
    net_hang_up(n);
    uv_close((uv_handle_t *)&n->head, net_closed);
}

/* Everything but the connection: the race is over. */
static void race_end(struct net *n)
{
    uv_timer_stop(&n->head);
    if (n->asking != NULL) {
        n->asking->net = NULL;
        uv_cancel((uv_req_t *)&n->asking->req);
        n->asking = NULL;
    }
    for (size_t i = 0; i < n->trying_n; i++)
        if (n->trying[i] != n->on)
            try_drop(n->trying[i]);
    n->trying_n = 0;
    n->addr_n = n->addr_next = 0;
}

static void shut(uv_shutdown_t *req, int status)
{
    struct try *t = req->data;

    (void)status;
    free(req);
    try_drop(t);
}

void net_hang_up(struct net *n)
{
    struct try *t = n->on;

    race_end(n);
    n->on = NULL;
    if (t == NULL)
        return;
    t->net = NULL;
    uv_read_stop((uv_stream_t *)&t->tcp);
    uv_shutdown_t *req = malloc(sizeof *req);
    if (req == NULL) {
        try_drop(t);
        return;
    }
    req->data = t;
    if (uv_shutdown(req, (uv_stream_t *)&t->tcp, shut) != 0) {
        free(req);
        try_drop(t);
    }
}

static void net_down(struct net *n, const struct err *why)
{
    struct err copy = *why;

    race_end(n);
    if (n->on != NULL)
        try_drop(n->on);
    n->on = NULL;
    n->ops.down(n->ops.ctx, &copy);
}

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *buf)
{
    struct try *t = h->data;

    (void)want;
    *buf = t->net == NULL ? uv_buf_init(NULL, 0) : uv_buf_init((char *)t->net->in, READ_MAX);
}

static void on_read(uv_stream_t *s, ssize_t got, const uv_buf_t *buf)
{
    struct try *t = s->data;
    struct net *n = t->net;
    struct err e = {0};

    if (n == NULL || got == 0)
        return;
    if (got == UV_EOF) {
        uv_read_stop(s);
        n->ops.eof(n->ops.ctx);
    } else if (got < 0) {
        err_set(&e, ERR_UNAVAILABLE, "%s: %s", t->where, uv_strerror((int)got));
        net_down(n, &e);
    } else {
        n->ops.bytes(n->ops.ctx, span_of(buf->base, (size_t)got));
    }
}

/* What libuv's words leave out: what to look at next. */
static const char *hint_of(int status)
{
    static const struct {
        int status;
        const char *hint;
    } hints[] = {
        {UV_ECONNREFUSED, "; does the relay run there, on this port?"},
        {UV_ETIMEDOUT, "; does a firewall stand before it?"},
        {UV_EHOSTUNREACH, "; is that machine up?"},
        {UV_ENETUNREACH, "; is this machine online?"},
        {UV_EAI_NONAME, "; is the name right, and this machine online?"},
        {UV_EAI_AGAIN, "; is this machine online?"},
    };

    for (size_t i = 0; i < COUNT(hints); i++)
        if (hints[i].status == status)
            return hints[i].hint;
    return "";
}

static void on_connect(uv_connect_t *req, int status)
{
    struct try *t = req->data;
    struct net *n = t->net;

    if (n == NULL)
        return;
    if (status < 0) {
        err_set(&n->why, ERR_UNAVAILABLE, "%s: %s%s", t->where, uv_strerror(status),
                hint_of(status));
        for (size_t i = 0; i < n->trying_n; i++)
            if (n->trying[i] == t)
                n->trying[i] = n->trying[--n->trying_n];
        try_drop(t);
        net_next(n);
        return;
    }
    n->on = t;
    race_end(n);
    uv_tcp_nodelay(&t->tcp, 1);
    uv_tcp_keepalive(&t->tcp, 1, 60);
    uv_read_start((uv_stream_t *)&t->tcp, on_alloc, on_read);
    n->ops.up(n->ops.ctx, t->where);
}

static void where_put(struct try *t, const struct sockaddr *a)
{
    char ip[64] = "?";

    if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)a;
        uv_ip6_name(six, ip, sizeof ip);
        snprintf(t->where, sizeof t->where, "[%s]:%u", ip, ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const void *)a;
        uv_ip4_name(four, ip, sizeof ip);
        snprintf(t->where, sizeof t->where, "%s:%u", ip, ntohs(four->sin_port));
    }
}

static bool try_start(struct net *n, const struct sockaddr *a)
{
    struct try *t = calloc(1, sizeof *t);

    if (t == NULL)
        return false;
    if (uv_tcp_init(n->loop, &t->tcp) != 0) {
        free(t);
        return false;
    }
    t->net = n;
    t->tcp.data = t->req.data = t;
    where_put(t, a);
    int rc = uv_tcp_connect(&t->req, &t->tcp, a, on_connect);
    if (rc != 0) {
        err_set(&n->why, ERR_UNAVAILABLE, "%s: %s%s", t->where, uv_strerror(rc), hint_of(rc));
        try_drop(t);
        return false;
    }
    n->trying[n->trying_n++] = t;
    return true;
}

static void on_head(uv_timer_t *timer)
{
    net_next(timer->data);
}

/* Starts the next address, or fails when none is left and none is under way. */
static void net_next(struct net *n)
{
    while (n->addr_next < n->addr_n)
        if (try_start(n, (const struct sockaddr *)&n->addr[n->addr_next++])) {
            uv_timer_start(&n->head, on_head, NET_HEAD_MS, 0);
            return;
        }
    if (n->trying_n == 0) {
        err_set(&n->why, ERR_UNAVAILABLE, "%s: no address", n->host);
        net_down(n, &n->why);
    }
}

/* IPv6 first, then one of each in turn (RFC 8305 4). */
static void addr_sort(struct net *n, const struct addrinfo *list)
{
    const struct addrinfo *at[2] = {list, list};
    static const int family[2] = {AF_INET6, AF_INET};

    for (int turn = 0; n->addr_n < TRIES_MAX && (at[0] != NULL || at[1] != NULL); turn ^= 1) {
        while (at[turn] != NULL && at[turn]->ai_family != family[turn])
            at[turn] = at[turn]->ai_next;
        if (at[turn] == NULL)
            continue;
        memcpy(&n->addr[n->addr_n++], at[turn]->ai_addr, at[turn]->ai_addrlen);
        at[turn] = at[turn]->ai_next;
    }
}

static void on_addresses(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct look_up *l = req->data;
    struct net *n = l->net;

    free(l);
    if (n == NULL) {
        uv_freeaddrinfo(list);
        return;
    }
    n->asking = NULL;
    if (status < 0) {
        err_set(&n->why, ERR_HOST, "%s: %s%s", n->host, uv_strerror(status), hint_of(status));
        net_down(n, &n->why);
        return;
    }
    net_race(n, list);
    uv_freeaddrinfo(list);
}

void net_race(struct net *n, const struct addrinfo *list)
{
    addr_sort(n, list);
    net_next(n);
}

void net_dial(struct net *n, const char *host, uint16_t port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    char service[8];

    net_hang_up(n);
    err_clear(&n->why);
    snprintf(n->host, sizeof n->host, "%s", host);
    snprintf(service, sizeof service, "%u", port);
    n->port = port;
    struct look_up *l = calloc(1, sizeof *l);
    if (l == NULL) {
        err_set(&n->why, ERR_OS, "no memory");
        net_down(n, &n->why);
        return;
    }
    l->net = n;
    l->req.data = l;
    int rc = uv_getaddrinfo(n->loop, &l->req, on_addresses, host, service, &hints);
    if (rc != 0) {
        free(l);
        err_set(&n->why, ERR_HOST, "%s: %s%s", host, uv_strerror(rc), hint_of(rc));
        net_down(n, &n->why);
        return;
    }
    n->asking = l;
}

static void on_written(uv_write_t *req, int status)
{
    struct try *t = req->handle->data;
    struct net *n = t->net;
    struct err e = {0};

    free(req->data);
    if (status < 0 && n != NULL && n->on == t) {
        err_set(&e, ERR_UNAVAILABLE, "%s: %s", t->where, uv_strerror(status));
        net_down(n, &e);
    }
}

void net_write(struct net *n, struct span out)
{
    struct err e = {0};

    if (n->on == NULL || out.n == 0)
        return;
    uv_stream_t *s = (uv_stream_t *)&n->on->tcp;
    struct write *w = malloc(sizeof *w + out.n);
    if (w == NULL || uv_stream_get_write_queue_size(s) + out.n > LINK_OUT_MAX) {
        err_set(&e, ERR_UNAVAILABLE, "%s: %s", n->on->where,
                w == NULL ? "no memory for what is sent" : "reads too slowly");
        free(w);
        net_down(n, &e);
        return;
    }
    memcpy(w->data, out.p, out.n);
    w->req.data = w;
    uv_buf_t buf = uv_buf_init((char *)w->data, (unsigned)out.n);
    int rc = uv_write(&w->req, s, &buf, 1, on_written);
    if (rc != 0) {
        err_set(&e, ERR_UNAVAILABLE, "%s: %s", n->on->where, uv_strerror(rc));
        free(w);
        net_down(n, &e);
    }
}

int64_t net_backoff(unsigned attempt, const struct rng *rng)
{
    uint32_t drawn = 0;
    int64_t bound = NET_BACKOFF_MS;

    for (unsigned i = 1; i < attempt && bound < NET_BACKOFF_MAX_MS; i++)
        bound *= 2;
    if (bound > NET_BACKOFF_MAX_MS)
        bound = NET_BACKOFF_MAX_MS;
    if (rng_fill(rng, &drawn, sizeof drawn) < 0)
        return bound;
    return (int64_t)(((uint64_t)drawn * (uint64_t)bound) >> 32);
}

static int port_take(struct str text, uint16_t *port)
{
    uint64_t v = 0;

    if (str_u64(text, 65535, &v) < 0 || v == 0)
        return -1;
    *port = (uint16_t)v;
    return 0;
}

int net_address(struct str text, char *host, size_t cap, uint16_t *port, struct err *e)
{
    struct str name = text, rest = {0};
    struct in6_addr six;

    if (text.n > 0 && text.p[0] == '[') {
        const char *end = memchr(text.p, ']', text.n);
        if (end == NULL)
            return err_set(e, ERR_USAGE, "the address has no closing bracket");
        name = str_from(text.p + 1, (size_t)(end - text.p) - 1);
        rest = str_from(end + 1, text.n - name.n - 2);
        if (str_copy(host, cap, name) < 0 || inet_pton(AF_INET6, host, &six) != 1)
            return err_set(e, ERR_USAGE, "what is in brackets is no IPv6 address");
    } else if (str_copy(host, cap, text) == 0 && inet_pton(AF_INET6, host, &six) == 1) {
        return 0;
    } else {
        rest = text;
        name = str_cut(&rest, ':');
        rest = rest.p == NULL ? rest : str_from(rest.p - 1, rest.n + 1);
    }
    if (name.n == 0 || str_copy(host, cap, name) < 0 || memchr(host, '/', name.n) != NULL)
        return err_set(e, ERR_USAGE, "no host; say HOST:PORT or [IPv6]:PORT");
    if (rest.n == 0)
        return 0;
    if (rest.p[0] != ':' || port_take(str_from(rest.p + 1, rest.n - 1), port) < 0)
        return err_set(e, ERR_USAGE, "the port is a number from 1 to 65535");
    return 0;
}
