/* enrol -- members for the bench, enrolled as people are: each by an invite of its own.
 *
 *     enrol RELAY_DIR PORT COUNT OUT_DIR
 *
 * The relay of RELAY_DIR runs on 127.0.0.1:PORT. OUT_DIR (which is there) gets key.pem, issuer.pem,
 * root.pem and `members`: a line each of name, account, SaltedPassword and certificate. All share
 * one RSA key: making keys is not what is measured. Their Argon2id cost is the generator's, so it
 * is the least there is. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "certs/file.h"
#include "common/chat/account.h"
#include "common/chat/frame.h"
#include "common/chat/invite.h"
#include "common/chat/proto.h"
#include "common/crypto/csr.h"
#include "common/crypto/pem.h"
#include "common/link/link.h"
#include "server/books.h"
#include "server/command.h"

static const struct argon_cost cheap = {1, 8};
static const char password[] = "bench bench bench";

struct enrol {
    struct conf conf;
    struct store store;
    uint16_t port;
    const char *out;
    struct rng rng;
    struct pkey *key;
    FILE *members;
};

struct line { /* one connection to the relay, for one request */
    int fd;
    struct link *link;
    struct frames frames;
};

static int64_t wall_ms(void *ctx)
{
    struct timespec t;

    (void)ctx;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint64_t mono_us(void *ctx)
{
    struct timespec t;

    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* --- a line --- */

static int line_open(struct line *l, const struct enrol *w, const struct hash *root, struct err *e)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(w->port)};
    struct link_conf conf = {.kind = LINK_TLS,
                             .host = "127.0.0.1",
                             .root = root,
                             .join = true,
                             .rng = w->rng,
                             .now = wall_ms,
                             .mono = mono_us};
    int one = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    frames_init(&l->frames, FRAME_MAX);
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&to, sizeof to) < 0)
        return err_set(e, ERR_UNAVAILABLE, "port %u: %s", w->port, strerror(errno));
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    l->link = link_new(ROLE_CLIENT, &conf, e);
    return l->link == NULL ? -1 : 0;
}

static void line_close(struct line *l)
{
    close(l->fd);
    link_free(l->link);
    frames_free(&l->frames);
}

static int line_flush(struct line *l, struct err *e)
{
    for (struct span s = link_out(l->link); s.n > 0; s = link_out(l->link)) {
        ssize_t n = send(l->fd, s.p, s.n, MSG_NOSIGNAL);

        if (n < 0)
            return err_set(e, ERR_IO, "send: %s", strerror(errno));
        link_sent(l->link, (size_t)n);
    }
    return 0;
}

static int line_receive(struct line *l, struct err *e)
{
    uint8_t in[16 * 1024];
    ssize_t n = recv(l->fd, in, sizeof in, 0);

    if (n <= 0 || link_feed(l->link, in, (size_t)n) < 0)
        return err_set(e, ERR_PEER, "the relay ended it: %s", link_error(l->link)->text);
    return 0;
}

static int line_events(struct line *l, struct err *e)
{
    struct link_event ev;

    while (link_next(l->link, &ev)) {
        if (ev.kind == LINK_FAILED || ev.kind == LINK_CLOSED)
            return err_set(e, ERR_PEER, "the relay closed: %s", link_error(l->link)->text);
        if (ev.kind == LINK_MESSAGE && frames_feed(&l->frames, ev.message, e) < 0)
            return -1;
    }
    return 0;
}

/* The next frame of the relay, the caller's to free. */
static int line_frame(struct line *l, struct frame *f, struct err *e)
{
    struct span json;
    int r;

    while ((r = frames_next(&l->frames, &json, e)) == 0)
        if (line_flush(l, e) < 0 || line_receive(l, e) < 0 || line_events(l, e) < 0)
            return -1;
    return r < 0 ? -1 : frame_take(f, json, FROM_RELAY, e);
}

static int line_send(struct line *l, enum frame_type t, const void *body, struct err *e)
{
    struct buf b;
    int ret = -1;

    buf_init(&b, FRAME_HEAD + FRAME_MAX);
    if (frame_put(&b, t, body, e) == 0) {
        struct span s = buf_span(&b);
        ret = link_send(l->link, s.p, s.n) < 0
                  ? err_set(e, ERR_PEER, "%s", link_error(l->link)->text)
                  : line_flush(l, e);
    }
    buf_free(&b);
    return ret;
}

/* --- files --- */

static int pem_write(const struct enrol *w, const char *name, const char *label, struct span der,
                     struct err *e)
{
    char path[CONF_PATH];
    struct buf text;
    int ret = -1;

    buf_init(&text, CONF_FILE_MAX);
    if (path_join(path, sizeof path, w->out, name, e) == 0 && pem_put(&text, label, der, e) == 0)
        ret = file_replace(path, FILE_PUBLIC, buf_span(&text), e);
    buf_free(&text);
    return ret;
}

static int key_write(const struct enrol *w, struct err *e)
{
    uint8_t der[PKEY_DER_MAX];
    size_t n;

    return pkey_der(w->key, der, &n, e) < 0 ? -1
                                            : pem_write(w, "key.pem", PEM_RSA, span_of(der, n), e);
}

static int member_write(const struct enrol *w, const char *name, const struct key *salted,
                        const struct f_joined *j, struct err *e)
{
    char account[2 * ACCOUNT_ID_LEN + 1], secret[2 * sizeof salted->b + 1], leaf[2 * CERT_MAX];

    if (j->chain_n < 2 || j->chain[0].n > CERT_MAX)
        return err_set(e, ERR_PEER, "a chain is too short or too long");
    hex_put(account, span_of(j->account.b, sizeof j->account.b));
    hex_put(secret, span_of(salted->b, sizeof salted->b));
    b64_put(leaf, j->chain[0]);
    if (fprintf(w->members, "%s %s %s %s\n", name, account, secret, leaf) < 0)
        return err_set(e, ERR_IO, "members: %s", strerror(errno));
    return pem_write(w, "issuer.pem", PEM_CERT, j->chain[1], e) < 0
               ? -1
               : pem_write(w, "root.pem", PEM_CERT, j->root, e);
}

/* --- members --- */

static int invite(struct enrol *w, struct invite *out, struct err *e)
{
    struct invite_wish wish = {.hours = 24};
    char line[INVITE_MAX];

    if (invite_make(&w->conf, &w->store, &wish, line, e) < 0)
        return -1;
    return invite_take(out, str_of(line)) == INVITE_OK ? 0 : err_set(e, ERR_DATA, "a bad invite");
}

/* Fills in all but the token; csr holds CSR_MAX bytes. */
static int request(struct enrol *w, const struct invite *i, struct f_join *j, uint8_t *csr,
                   struct key *salted, struct err *e)
{
    uint8_t salt[ARGON_SALT_LEN];
    struct account_record rec;
    size_t n;

    if (rng_fill(&w->rng, j->salt, SALT_LEN) < 0)
        return err_set(e, ERR_OS, "no random bytes");
    account_salt(salt, &i->root, j->name, j->salt);
    if (account_salted(salted, str_of(password), salt, cheap, e) < 0)
        return -1;
    account_record(&rec, salted);
    memcpy(j->token, i->token, TOKEN_LEN);
    memcpy(j->stored_key.b, rec.stored.b, sizeof rec.stored.b);
    memcpy(j->server_key.b, rec.server.b, sizeof rec.server.b);
    if (csr_make(w->key, j->name.p, &w->rng, csr, &n, e) < 0)
        return -1;
    j->csr = span_of(csr, n);
    return 0;
}

static int answer(struct line *l, struct frame *f, enum frame_type t, struct err *e)
{
    if (line_frame(l, f, e) < 0)
        return -1;
    if (f->type == t)
        return 0;
    if (f->type == F_ERROR)
        err_set(e, ERR_PEER, "the relay says %.*s", (int)f->u.error.text.n, f->u.error.text.p);
    frame_free(f);
    return err_set(e, ERR_PEER, "the relay does not say %s", frame_name(t));
}

static int member(struct enrol *w, unsigned n, struct err *e)
{
    char name[32];
    uint8_t csr[CSR_MAX];
    struct f_join j = {.id = 1, .t = cheap.t, .m = cheap.m_kib, .device = str_of("bench")};
    struct line l = {.fd = -1};
    struct frame f = {0};
    struct key salted;
    struct invite i;
    int ret = -1;

    snprintf(name, sizeof name, "member%u", 1000 + n);
    j.name = str_of(name);
    if (invite(w, &i, e) < 0 || request(w, &i, &j, csr, &salted, e) < 0 ||
        line_open(&l, w, &i.root, e) < 0 || answer(&l, &f, F_HELLO_RELAY, e) < 0)
        goto out;
    frame_free(&f);
    if (line_send(&l, F_HELLO_CLIENT, &(struct f_hello_client){.v = 1}, e) == 0 &&
        line_send(&l, F_JOIN, &j, e) == 0 && answer(&l, &f, F_JOINED, e) == 0)
        ret = member_write(w, name, &salted, &f.u.joined, e);
    frame_free(&f);
out:
    if (l.fd >= 0)
        line_close(&l);
    return ret;
}

static int members(struct enrol *w, unsigned count, struct err *e)
{
    char path[CONF_PATH];

    if (path_join(path, sizeof path, w->out, "members", e) < 0)
        return -1;
    w->members = fopen(path, "w");
    if (w->members == NULL)
        return err_set(e, ERR_CREATE, "%s: %s", path, strerror(errno));
    int ret = 0;
    for (unsigned i = 0; i < count && ret == 0; i++)
        ret = member(w, i, e);
    return fclose(w->members) == 0 ? ret : err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
}

static int enrol(struct enrol *w, char *dir, unsigned count, struct err *e)
{
    char option[] = "--dir", *argv[] = {option, dir, NULL};
    int left, ret = -1;

    if (crypto_init(e) < 0 || conf_load(&w->conf, IN_INVITE, 2, argv, &left, e) < 0 ||
        books_open(&w->conf, STORE_BESIDE, &w->store, e) < 0)
        return -1;
    w->key = pkey_generate(PKEY_RSA_2048, &w->rng, e);
    if (w->key != NULL && key_write(w, e) == 0)
        ret = members(w, count, e);
    pkey_free(w->key);
    store_close(&w->store);
    return ret;
}

int main(int argc, char *argv[])
{
    struct enrol w = {.rng = rng_system()};
    struct err e = {0};
    uint64_t port, count;

    if (argc != 5 || str_u64(str_of(argv[2]), UINT16_MAX, &port) < 0 ||
        str_u64(str_of(argv[3]), 100000, &count) < 0) {
        fprintf(stderr, "usage: enrol RELAY_DIR PORT COUNT OUT_DIR\n");
        return err_status(ERR_USAGE);
    }
    w.port = (uint16_t)port;
    w.out = argv[4];
    if (enrol(&w, argv[1], (unsigned)count, &e) < 0)
        fprintf(stderr, "enrol: %s\n", e.text);
    return err_status(e.code);
}
