/* A link of ours, by common/link's own client end. The same program at both ends is what a member's
 * client and his relay are; only the server's time is counted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "certs/file.h"
#include "common/crypto/pem.h"
#include "common/crypto/x509.h"
#include "common/link/link.h"
#include "tests/bench/load/pipe.h"

enum { CHUNK = 64 * 1024, DER_MAX = 3 * CERT_MAX, GOT_MAX = 64 * 1024 * 1024 };

/* What all connections share. A member's key and certificates are parsed once. */
struct link_world {
    enum link_kind kind;
    unsigned last; /* row of the client's last step */
    struct trust *trust;
    struct pkey *key;
    struct rng rng;
    unsigned members;
    struct link_ready **ready; /* by member; NULL: not needed yet */
};

/* --- once --- */

static int64_t wall_ms(void *ctx)
{
    struct timespec t;

    (void)ctx;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint64_t mono_us(void *ctx)
{
    (void)ctx;
    return watch_now_ns() / 1000;
}

static int der_put(struct buf *out, const X509 *x, struct span *der)
{
    int n = i2d_X509(x, NULL);
    uint8_t *at = n <= 0 ? NULL : buf_room(out, (size_t)n);

    if (at == NULL)
        return -1;
    *der = span_of(at, (size_t)n);
    return i2d_X509(x, &at) == n ? 0 : -1;
}

static int trust_fill(struct link_world *w, const struct members *m, struct err *e)
{
    struct buf room;
    struct span root;
    int rc = -1;

    buf_init(&room, CERT_MAX);
    w->trust = trust_new(TRUST_CRL_OPTIONAL, e);
    if (w->trust != NULL && der_put(&room, m->root, &root) == 0)
        rc = trust_add_root(w->trust, root, e);
    buf_free(&room);
    return rc;
}

static int key_read(struct link_world *w, const char *dir, struct err *e)
{
    char path[512];
    struct buf file;

    buf_init(&file, PKEY_DER_MAX);
    if (path_join(path, sizeof path, dir, "key.pem", e) == 0 &&
        file_read(path, FILE_PUBLIC, &file, e) == 0)
        w->key = pkey_parse(buf_span(&file), &w->rng, e);
    buf_free(&file);
    return w->key == NULL ? -1 : 0;
}

static unsigned last_of_client(enum link_kind kind)
{
    size_t n;
    const struct link_row *rows = link_rows(kind, &n);
    unsigned last = 0;

    for (unsigned i = 0; i < n; i++)
        if (rows[i].client_writes && !rows[i].local)
            last = i;
    return last;
}

static int world_open(struct load *l, struct err *e)
{
    struct link_world *w = calloc(1, sizeof *w);

    l->links = w;
    if (w == NULL)
        return err_set(e, ERR_LOCAL, "no memory for links");
    if (link_kind_take(str_of(l->conf.link), &w->kind) < 0)
        return err_set(e, ERR_USAGE, "%s is no link", l->conf.link);
    w->last = last_of_client(w->kind);
    w->rng = rng_system();
    w->members = l->members->n;
    w->ready = calloc(w->members, sizeof *w->ready);
    if (w->ready == NULL)
        return err_set(e, ERR_LOCAL, "no memory for links");
    return key_read(w, l->conf.members, e) < 0 ? -1 : trust_fill(w, l->members, e);
}

static void world_close(struct load *l)
{
    struct link_world *w = l->links;

    for (unsigned i = 0; w != NULL && w->ready != NULL && i < w->members; i++)
        link_ready_free(w->ready[i]);
    if (w != NULL) {
        free(w->ready);
        trust_free(w->trust);
        pkey_free(w->key);
    }
    free(w);
    l->links = NULL;
}

/* --- one connection --- */

static struct link_conf conf_of(const struct link_world *w)
{
    return (struct link_conf){.kind = w->kind,
                              .key = w->key,
                              .trust = w->trust,
                              .host = "127.0.0.1",
                              .rng = w->rng,
                              .now = wall_ms,
                              .mono = mono_us};
}

static struct link_ready *ready_of(struct conn *c, struct err *e)
{
    struct link_world *w = c->load->links;
    struct link_ready **at = &w->ready[c->member - c->load->members->p];
    struct link_conf conf = conf_of(w);
    struct span chain[2];
    struct buf room;

    if (*at != NULL)
        return *at;
    buf_init(&room, DER_MAX);
    conf.chain = chain;
    conf.chain_n = COUNT(chain);
    if (buf_room(&room, DER_MAX) != NULL) { /* one block: what points into it stays */
        buf_cut(&room, 0);
        if (der_put(&room, c->member->leaf, &chain[0]) == 0 &&
            der_put(&room, c->load->members->issuer, &chain[1]) == 0)
            *at = link_ready_new(ROLE_CLIENT, &conf, e);
    }
    buf_free(&room);
    return *at;
}

static int link_start(struct conn *c)
{
    struct link_world *w = c->load->links;
    struct link_conf conf = conf_of(w);
    struct err e = {0};

    conf.ready = w->kind == LINK_CLASSIC ? NULL : ready_of(c, &e);
    if (conf.ready != NULL || w->kind == LINK_CLASSIC)
        c->link = link_new(ROLE_CLIENT, &conf, &e);
    buf_init(&c->got, GOT_MAX);
    if (c->link == NULL)
        load_fail(c->load, "%s: %s", c->load->conf.link, e.text);
    return c->link == NULL ? -1 : 0;
}

static int flush(struct conn *c)
{
    for (struct span s = link_out(c->link); s.n > 0; s = link_out(c->link)) {
        ssize_t n = send(c->fd, s.p, s.n, MSG_NOSIGNAL);

        if (n < 0)
            return errno == EAGAIN ? 1 : -1;
        c->flights += !c->sent;
        c->sent = true;
        c->wire_out += (size_t)n;
        link_sent(c->link, (size_t)n);
    }
    return 0;
}

/* -1: the stream is over. Steps only matter to who stops before the last one. */
static int take_events(struct conn *c)
{
    const struct link_world *w = c->load->links;
    struct link_event ev;

    while (link_next(c->link, &ev)) {
        if (ev.kind == LINK_CLOSED || ev.kind == LINK_FAILED)
            return -1;
        c->linked |= ev.kind == LINK_ESTABLISHED;
        c->at_last |= ev.kind == LINK_STEP && ev.step.out && ev.step.row == w->last;
        if (ev.kind == LINK_MESSAGE && buf_add(&c->got, ev.message.p, ev.message.n) < 0)
            return -1;
    }
    return 0;
}

/* 1: something came, 0: nothing is there, -1 */
static int feed(struct conn *c)
{
    uint8_t in[CHUNK];
    ssize_t n = recv(c->fd, in, sizeof in, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -1;
    c->sent = false;
    c->wire_in += (size_t)n;
    if (link_feed(c->link, in, (size_t)n) < 0)
        load_fail(c->load, "connection %u: %s", c->number, link_error(c->link)->text);
    return take_events(c) < 0 ? -1 : 1;
}

/* A full socket in a handshake of some kilobytes on loopback is a failure. */
static int link_shake(struct conn *c)
{
    int r = take_events(c) < 0 ? -1 : 1;

    while (r > 0 && !c->linked) {
        if (c->load->half && c->at_last)
            return 0;
        if (flush(c) != 0)
            return -1;
        r = feed(c);
    }
    return r < 0 ? -1 : c->linked;
}

static int link_push(struct conn *c)
{
    struct span s = buf_span(&c->out);

    if (s.n > 0 && link_send(c->link, s.p, s.n) < 0)
        return -1;
    buf_drop(&c->out, s.n);
    return flush(c);
}

static int link_pull(struct conn *c, uint8_t *p, size_t n)
{
    int r = 1;

    while (c->got.len == 0 && r > 0)
        r = feed(c);
    struct span s = buf_span(&c->got);
    if (s.n > n)
        s.n = n;
    if (s.n == 0)
        return r;
    memcpy(p, s.p, s.n);
    buf_drop(&c->got, s.n);
    return (int)s.n;
}

static uint64_t link_received(const struct conn *c)
{
    return c->wire_in;
}

static int link_bind(const struct conn *c, struct account_auth *a)
{
    struct link_info i;

    link_info(c->link, &i);
    a->link = link_kind_name(i.kind);
    a->relay_cert = i.peer_fp;
    return link_exporter(c->link, LINK_EXPORTER_LOGIN, &a->exporter);
}

static void link_stop(struct conn *c)
{
    link_free(c->link);
    buf_free(&c->got);
    c->link = NULL;
    c->linked = c->at_last = c->sent = false;
    c->flights = 0;
    c->wire_in = c->wire_out = 0;
}

const struct pipe_kind pipe_link = {
    .open = world_open,
    .close = world_close,
    .start = link_start,
    .shake = link_shake,
    .push = link_push,
    .pull = link_pull,
    .received = link_received,
    .bind = link_bind,
    .stop = link_stop,
};
