/* bench_relay -- what a relay costs: handshakes, idle connections, deliveries.
 *
 *     bench_relay HOST PORT RELAY_PID < invites
 *
 * Every line on stdin is an invite; each becomes one member (all share one RSA key: making keys is
 * not what is measured). Prints one line `name<TAB>value<TAB>unit` per figure and round. Costs are
 * those of the relay's process alone, read from /proc; the generator may be the slower side. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/chat/account.h"
#include "common/chat/entry.h"
#include "common/chat/frame.h"
#include "common/chat/invite.h"
#include "common/chat/proto.h"
#include "common/crypto/csr.h"
#include "common/link/link.h"

enum {
    MEMBERS = 100,
    ROUNDS = 3,
    HANDSHAKES = 150,
    IDLE = 1000,
    SENDERS = 10,
    WINDOW = 8,
    TEXT = 300,
    PARALLEL = 8,
    SETTLE_US = 4 * 1000 * 1000, /* for the relay to give back what only the login needed */
};

struct member {
    uint8_t leaf[CERT_MAX], issuer[CERT_MAX];
    struct span chain[2];
    struct hash fp;
    char name[32];
    struct key salted;
    uint8_t salt[SALT_LEN];
};

enum conn_state { CONN_LINK, CONN_HELLO, CONN_CHALLENGE, CONN_WELCOME, CONN_READY, CONN_OVER };

struct conn {
    int fd;
    struct link *link;
    struct frames frames;
    struct member *member;
    enum conn_state state;
    struct account_auth auth;
    unsigned got;      /* entries delivered here */
    unsigned numbered; /* own entries acknowledged */
    bool answered;     /* the last request has its answer */
    struct frame answer;
};

struct bench {
    const char *host, *port;
    int pid, epoll;
    struct rng rng;
    struct pkey *key;
    struct hash root;
    struct trust *trust;
    uint8_t root_der[CERT_MAX];
    size_t root_n;
    struct member members[MEMBERS];
    unsigned members_n;
    struct conn *conns;
    size_t conns_n;
};

static void die(const char *what, const struct err *e)
{
    fprintf(stderr, "bench_relay: %s: %s\n", what,
            e != NULL && e->code ? e->text : strerror(errno));
    exit(1);
}

/* --- clocks and /proc --- */

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

static double cpu_seconds(int pid)
{
    char path[64], text[1024];
    unsigned long user, sys;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL || fgets(text, sizeof text, f) == NULL)
        die("the relay is gone", NULL);
    fclose(f);
    const char *at = strrchr(text, ')');
    if (at == NULL ||
        sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
        die(path, NULL);
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static double resident_kb(int pid)
{
    char path[64];
    long pages;

    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1)
        die("the relay is gone", NULL);
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

/* --- connections --- */

static int dial(const struct bench *b)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *ai;
    int one = 1;

    if (getaddrinfo(b->host, b->port, &hints, &ai) != 0)
        die(b->host, NULL);
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, ai->ai_addr, ai->ai_addrlen) != 0)
        die("connect", NULL);
    freeaddrinfo(ai);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        die("fcntl", NULL);
    return fd;
}

static void conn_open(struct bench *b, struct conn *c, struct member *m)
{
    struct link_conf conf = {
        .kind = LINK_TLS,
        .host = b->host,
        .rng = b->rng,
        .now = wall_ms,
        .mono = mono_us,
    };
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    struct err e = {0};

    if (m == NULL) {
        conf.pin = &b->root;
        conf.join = true;
    } else {
        conf.chain = m->chain;
        conf.chain_n = 2;
        conf.key = b->key;
        conf.trust = b->trust;
    }
    *c = (struct conn){.fd = dial(b), .member = m};
    frames_init(&c->frames, FRAME_MAX);
    c->link = link_new(ROLE_CLIENT, &conf, &e);
    if (c->link == NULL)
        die("link", &e);
    if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        die("epoll", NULL);
}

static void conn_close(struct conn *c)
{
    close(c->fd);
    link_free(c->link);
    frames_free(&c->frames);
    frame_free(&c->answer);
    c->state = CONN_OVER;
}

static void conn_flush(struct conn *c)
{
    struct span out = link_out(c->link);

    while (out.n > 0) {
        ssize_t n = send(c->fd, out.p, out.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return; /* tried again at the next turn: the generator never writes much */
        if (n < 0)
            die("send", NULL);
        link_sent(c->link, (size_t)n);
        out = link_out(c->link);
    }
}

static void conn_send(struct conn *c, enum frame_type t, const void *body)
{
    struct err e = {0};
    struct buf b;

    buf_init(&b, FRAME_MAX + FRAME_HEAD);
    if (frame_put(&b, t, body, &e) < 0)
        die(frame_name(t), &e);
    struct span s = buf_span(&b);
    if (link_send(c->link, s.p, s.n) < 0)
        die(frame_name(t), link_error(c->link));
    buf_free(&b);
    conn_flush(c);
}

static void conn_hello(struct bench *b, struct conn *c)
{
    struct f_login login = {.id = 1};
    struct link_info info;

    conn_send(c, F_HELLO_CLIENT, &(struct f_hello_client){.v = 1});
    if (c->member == NULL) {
        c->state = CONN_READY;
        return;
    }
    link_info(c->link, &info);
    c->auth.link = "tls";
    c->auth.client_cert = c->member->fp;
    c->auth.relay_cert = info.peer_fp;
    if (link_exporter(c->link, LINK_EXPORTER_LOGIN, &c->auth.exporter) < 0 ||
        rng_fill(&b->rng, login.nonce, sizeof login.nonce) < 0)
        die("exporter", NULL);
    memcpy(c->auth.client_nonce, login.nonce, NONCE_LEN);
    c->state = CONN_CHALLENGE;
    conn_send(c, F_LOGIN, &login);
}

static void conn_prove(struct conn *c, const struct f_challenge *ch)
{
    struct f_proof proof = {.id = 2};

    memcpy(c->auth.relay_nonce, ch->nonce, NONCE_LEN);
    memcpy(c->auth.salt, ch->salt, SALT_LEN);
    c->auth.cost = (struct argon_cost){(uint32_t)ch->t, (uint32_t)ch->m};
    account_client_proof(&proof.proof, &c->member->salted, &c->auth);
    c->state = CONN_WELCOME;
    conn_send(c, F_PROOF, &proof);
}

/* Deliveries and acknowledgements are only counted: parsing them would measure the generator. */
static bool conn_counted(struct conn *c, struct span json)
{
    static const char entry[] = "{\"type\":\"entry\"", numbered[] = "{\"type\":\"numbered\"";

    if (json.n > sizeof entry && memcmp(json.p, entry, sizeof entry - 1) == 0) {
        c->got++;
        return true;
    }
    if (json.n > sizeof numbered && memcmp(json.p, numbered, sizeof numbered - 1) == 0) {
        c->numbered++;
        return true;
    }
    return false;
}

static void conn_frame(struct bench *b, struct conn *c, struct span json)
{
    struct err e = {0};
    struct frame f;

    if (conn_counted(c, json))
        return;
    if (frame_take(&f, json, FROM_RELAY, &e) < 0)
        die("frame", &e);
    if (f.type == F_ERROR) {
        fprintf(stderr, "bench_relay: the relay says: %.*s\n", (int)f.u.error.text.n,
                f.u.error.text.p);
        exit(1);
    }
    if (f.type == F_HELLO_RELAY)
        conn_hello(b, c);
    else if (f.type == F_CHALLENGE)
        conn_prove(c, &f.u.challenge);
    else if (f.type == F_WELCOME)
        c->state = CONN_READY;
    else if (f.type == F_PING)
        conn_send(c, F_PONG, &(struct f_pong){.none = true});
    else if (frame_id(&f) != 0) {
        frame_free(&c->answer);
        c->answer = f;
        c->answered = true;
        return;
    }
    frame_free(&f);
}

static void conn_events(struct bench *b, struct conn *c)
{
    struct link_event ev;
    struct err e = {0};
    struct span json;

    while (link_next(c->link, &ev)) {
        if (ev.kind == LINK_FAILED || ev.kind == LINK_CLOSED)
            die("the relay closed", link_error(c->link));
        if (ev.kind == LINK_ESTABLISHED)
            c->state = CONN_HELLO;
        if (ev.kind != LINK_MESSAGE)
            continue;
        if (frames_feed(&c->frames, ev.message, &e) < 0)
            die("frames", &e);
        while (frames_next(&c->frames, &json, &e) == 1)
            conn_frame(b, c, json);
    }
}

/* Serves whatever is ready; true when something was. */
static void turn(struct bench *b, int timeout_ms)
{
    static uint8_t in[256 * 1024];
    struct epoll_event ev[256];
    int n = epoll_wait(b->epoll, ev, COUNT(ev), timeout_ms);

    for (int i = 0; i < n; i++) {
        struct conn *c = ev[i].data.ptr;
        ssize_t got = recv(c->fd, in, sizeof in, 0);
        if (got < 0 && errno == EAGAIN)
            continue;
        if (got <= 0 || link_feed(c->link, in, (size_t)got) < 0)
            die("the connection ended", link_error(c->link));
        conn_events(b, c);
        conn_flush(c);
    }
}

static void wait_state(struct bench *b, struct conn *c, enum conn_state s)
{
    conn_flush(c);
    while (c->state < s)
        turn(b, 1000);
}

static void ask(struct bench *b, struct conn *c, enum frame_type t, const void *body)
{
    c->answered = false;
    conn_send(c, t, body);
    while (!c->answered)
        turn(b, 1000);
}

/* --- members --- */

static const char password[] = "bench bench bench";
static const struct argon_cost cheap = {1, 8}; /* the generator's cost, not the relay's */

static void member_trust(struct bench *b, const struct f_joined *j)
{
    struct err e = {0};

    if (b->trust != NULL)
        return;
    if (j->root.n > sizeof b->root_der)
        die("root", NULL);
    memcpy(b->root_der, j->root.p, j->root.n);
    b->root_n = j->root.n;
    b->trust = trust_new(TRUST_CRL_OPTIONAL, &e);
    if (b->trust == NULL || trust_add_root(b->trust, j->root, &e) < 0 ||
        trust_add_intermediate(b->trust, j->chain[1], &e) < 0)
        die("trust", &e);
}

static void member_keep(struct member *m, const struct f_joined *j)
{
    if (j->chain_n < 2 || j->chain[0].n > CERT_MAX || j->chain[1].n > CERT_MAX)
        die("chain", NULL);
    memcpy(m->leaf, j->chain[0].p, j->chain[0].n);
    memcpy(m->issuer, j->chain[1].p, j->chain[1].n);
    m->chain[0] = span_of(m->leaf, j->chain[0].n);
    m->chain[1] = span_of(m->issuer, j->chain[1].n);
    sha256(m->chain[0], &m->fp);
}

static void member_join(struct bench *b, struct member *m, unsigned i, const char *line)
{
    uint8_t csr[CSR_MAX], argon[ARGON_SALT_LEN];
    struct account_record rec;
    struct f_join join = {.id = 1, .t = cheap.t, .m = cheap.m_kib};
    struct invite inv;
    struct err e = {0};
    struct conn c;
    size_t n;

    if (invite_take(&inv, str_of(line)) != INVITE_OK)
        die(line, NULL);
    b->root = inv.root;
    snprintf(m->name, sizeof m->name, "member%u", 100 + i);
    if (rng_fill(&b->rng, m->salt, sizeof m->salt) < 0 ||
        csr_make(b->key, m->name, &b->rng, csr, &n, &e) < 0)
        die("request", &e);
    account_salt(argon, &inv.root, str_of(m->name), m->salt);
    if (account_salted(&m->salted, str_of(password), argon, cheap, &e) < 0)
        die("password", &e);
    account_record(&rec, &m->salted);
    memcpy(join.token, inv.token, TOKEN_LEN);
    memcpy(join.salt, m->salt, SALT_LEN);
    memcpy(join.stored_key.b, rec.stored.b, 32);
    memcpy(join.server_key.b, rec.server.b, 32);
    join.name = str_of(m->name);
    join.device = str_of("bench");
    join.csr = span_of(csr, n);
    conn_open(b, &c, NULL);
    wait_state(b, &c, CONN_READY);
    ask(b, &c, F_JOIN, &join);
    member_trust(b, &c.answer.u.joined);
    member_keep(m, &c.answer.u.joined);
    conn_close(&c);
}

static void members_join(struct bench *b)
{
    char line[INVITE_MAX + 2];

    while (b->members_n < MEMBERS && fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        member_join(b, &b->members[b->members_n], b->members_n, line);
        b->members_n++;
    }
    if (b->members_n < MEMBERS)
        die("too few invites", NULL);
}

/* --- figures --- */

static void figure(const char *name, double value, const char *unit)
{
    printf("%s\t%.4g\t%s\n", name, value, unit);
    fflush(stdout);
}

/* Connects n members, at most PARALLEL at a time, up to state s. */
static void connect_all(struct bench *b, struct conn *conns, unsigned n, enum conn_state s)
{
    for (unsigned at = 0; at < n; at += PARALLEL) {
        unsigned end = at + PARALLEL < n ? at + PARALLEL : n;
        for (unsigned i = at; i < end; i++) {
            conn_open(b, &conns[i], &b->members[i % b->members_n]);
            conn_flush(&conns[i]);
        }
        for (unsigned i = at; i < end; i++)
            wait_state(b, &conns[i], s);
    }
}

static void close_all(struct conn *conns, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        conn_close(&conns[i]);
}

static void bench_handshakes(struct bench *b)
{
    static struct conn conns[HANDSHAKES];
    double before = cpu_seconds(b->pid);

    connect_all(b, conns, HANDSHAKES, CONN_HELLO);
    close_all(conns, HANDSHAKES);
    figure("full handshakes", HANDSHAKES / (cpu_seconds(b->pid) - before), "per s of relay CPU");
}

static void bench_idle(struct bench *b)
{
    static struct conn conns[IDLE];
    double before = resident_kb(b->pid);

    connect_all(b, conns, IDLE, CONN_READY);
    for (uint64_t end = mono_us(NULL) + SETTLE_US; mono_us(NULL) < end;)
        turn(b, 100);
    figure("idle connection, 1000 logged in", (resident_kb(b->pid) - before) / IDLE,
           "KB resident each");
    close_all(conns, IDLE);
}

struct sender {
    struct entry_made *made;
    struct room_id room;
    unsigned n, sent;
};

static void sender_sign(struct bench *b, struct sender *s, const struct member *m, unsigned n)
{
    struct entry_line line = {.room = s->room, .author = m->fp, .ts = wall_ms(NULL)};
    char text[TEXT + 1];
    struct err e = {0};
    struct buf content;

    memset(text, 'x', TEXT);
    text[TEXT] = '\0';
    s->made = calloc(n, sizeof *s->made);
    s->n = n;
    buf_init(&content, CONTENT_MAX);
    if (s->made == NULL || content_say_put(&content, str_of(text), &e) < 0)
        die("content", &e);
    for (unsigned i = 0; i < n; i++) {
        line.seq = i + 1;
        if (entry_make(&s->made[i], &line, buf_span(&content), b->key, &b->rng, &e) < 0)
            die("entry", &e);
        entry_line_hash(str_from(s->made[i].line, s->made[i].line_n), &line.prev);
    }
    buf_free(&content);
}

static void sender_fill(struct sender *s, struct conn *c)
{
    while (s->sent < s->n && s->sent - c->numbered < WINDOW) {
        const struct entry_made *m = &s->made[s->sent++];
        struct f_entry_say say = {
            .line = str_from(m->line, m->line_n),
            .sig = span_of(m->sig, m->sig_n),
            .body = buf_span(&m->body),
        };
        conn_send(c, F_ENTRY_SAY, &say);
    }
}

static void room_make(struct bench *b, struct conn *conns, unsigned members, unsigned round,
                      struct room_id *id)
{
    char name[32];

    snprintf(name, sizeof name, "bench-%u-%u", members, round);
    ask(b, &conns[0], F_ROOM_CREATE, &(struct f_room_create){.id = 10, .name = str_of(name)});
    *id = conns[0].answer.u.room.room.id;
    for (unsigned i = 1; i < members; i++)
        ask(b, &conns[i], F_ROOM_JOIN, &(struct f_room_join){.id = 10, .name = str_of(name)});
}

static void bench_fanout(struct bench *b, unsigned members, unsigned each, unsigned round)
{
    static struct conn conns[MEMBERS];
    struct sender senders[SENDERS] = {0};
    unsigned total = each * SENDERS, done = 0;
    char name[64];

    connect_all(b, conns, members, CONN_READY);
    room_make(b, conns, members, round, &senders[0].room);
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i].room = senders[0].room;
        sender_sign(b, &senders[i], conns[i].member, each);
    }
    double cpu = cpu_seconds(b->pid);
    uint64_t begun = mono_us(NULL);
    while (done < total * (members - 1)) {
        for (unsigned i = 0; i < SENDERS; i++)
            sender_fill(&senders[i], &conns[i]);
        turn(b, 1000);
        done = 0;
        for (unsigned i = 0; i < members; i++)
            done += conns[i].got;
    }
    cpu = cpu_seconds(b->pid) - cpu;
    snprintf(name, sizeof name, "delivery, room of %u", members);
    figure(name, cpu * 1e6 / done, "relay CPU s per million");
    snprintf(name, sizeof name, "deliveries, room of %u", members);
    figure(name, done / ((double)(mono_us(NULL) - begun) / 1e6),
           "per s (generator on the same box)");
    for (unsigned i = 0; i < SENDERS; i++) {
        for (unsigned k = 0; k < each; k++)
            entry_made_free(&senders[i].made[k]);
        free(senders[i].made);
    }
    close_all(conns, members);
}

int main(int argc, char *argv[])
{
    static struct bench b;
    struct rlimit files = {4096, 4096};
    struct err e = {0};

    if (argc != 4) {
        fprintf(stderr, "usage: bench_relay HOST PORT RELAY_PID < invites\n");
        return 64;
    }
    b.host = argv[1];
    b.port = argv[2];
    b.pid = atoi(argv[3]);
    b.rng = rng_system();
    b.epoll = epoll_create1(EPOLL_CLOEXEC);
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (crypto_init(&e) < 0 || (b.key = pkey_generate(PKEY_RSA_2048, &b.rng, &e)) == NULL)
        die("crypto", &e);
    members_join(&b);
    bench_handshakes(&b);
    bench_idle(&b); /* before much was said: memory that was used once hides what is held */
    for (unsigned r = 0; r < ROUNDS; r++) {
        if (r > 0)
            bench_handshakes(&b);
        bench_fanout(&b, 10, 200, r);
        bench_fanout(&b, MEMBERS, 60, r);
    }
    trust_free(b.trust);
    pkey_free(b.key);
    return 0;
}
