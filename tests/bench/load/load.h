/* load.h -- the generator: connections over OpenSSL, or with --link over a link of ours; one loop,
 * one thread; what every driver and every mode uses.
 *
 * Life of a connection:
 *
 *     conn_dial -> [preface: what the server says before TLS] -> pipe -> driver->login
 *       -> conn_registered -> driver->join -> conn_joined -> ready
 *
 * A driver speaks one protocol: it queues plaintext with conn_put, and from opened bytes it calls
 * conn_registered when the server's first answer proves the login, conn_joined when the connection
 * is in its room, traffic_delivered for each message of a room. Whatever goes wrong is load_fail:
 * the first reason ends the run. OpenSSL's client side is used where servers are compared: nothing
 * of what is measured runs here, and it costs less than any server. */
#ifndef BENCH_LOAD_LOAD_H
#define BENCH_LOAD_LOAD_H

#include <openssl/ssl.h>

#include "common/chat/frame.h"
#include "common/util/opt.h"
#include "tests/bench/load/members.h"
#include "tests/bench/load/watch.h"

enum { IN_LOAD = 1 };

#define LOAD_OPTS(X)                                                                               \
    X(mode, TEXT, "fanout", 1, 0, IN_LOAD, "MODE", "fanout, shakes, idle, storm, half")            \
    X(driver, TEXT, "", 0, 0, IN_LOAD, "NAME", "the protocol that is spoken")                      \
    X(link, TEXT, "", 0, 0, IN_LOAD, "NAME", "a link of ours instead of OpenSSL's TLS")            \
    X(port, NUMBER, "1", 1, 65535, IN_LOAD, "N", "on 127.0.0.1")                                   \
    X(pid, NUMBER, "1", 1, 4194304, IN_LOAD, "N", "of the server that is measured")                \
    X(members, TEXT, "", 0, 0, IN_LOAD, "DIR", "what enrol made: certificates and a key")          \
    X(conns, NUMBER, "100", 1, 100000, IN_LOAD, "N", "connections")                                \
    X(room_size, NUMBER, "0", 0, 100000, IN_LOAD, "N", "of them in one room; 0: all in one")       \
    X(senders, NUMBER, "10", 1, 1000, IN_LOAD, "N", "of them that speak")                          \
    X(bytes, NUMBER, "300", 16, 4096, IN_LOAD, "N", "of text in a message")                        \
    X(messages, NUMBER, "8000", 1, 1000000, IN_LOAD, "N", "in all")                                \
    X(window, NUMBER, "128", 1, 4096, IN_LOAD, "N", "a sender's messages that not all have yet")   \
    X(rate, NUMBER, "0", 0, 1000000, IN_LOAD, "N", "messages a second instead of a window")        \
    X(parallel, NUMBER, "32", 1, 100000, IN_LOAD, "N", "connections that are set up at a time")    \
    X(seconds, NUMBER, "2", 1, 600, IN_LOAD, "N", "shakes: how long; idle: until memory is read")  \
    X(ephemeral, FLAG, "false", 0, 0, IN_LOAD, "", "rooms that the server does not store")         \
    X(again, FLAG, "false", 0, 0, IN_LOAD, "", "half: begin anew instead of staying")              \
    X(help, FLAG, "false", 0, 0, IN_LOAD, "", "print this help")

struct load_conf {
    OPT_STRUCT(LOAD_OPTS)
};

enum conn_state {
    CONN_IDLE, /* not dialled */
    CONN_CONNECTING,
    CONN_PREFACE,
    CONN_SHAKING,
    CONN_LOGIN,
    CONN_JOINING,
    CONN_READY,
};

struct load;
struct sender;
struct pipe_kind;
struct link_world;

struct conn {
    struct load *load;
    unsigned number;      /* of the connection, from 0 */
    unsigned room, place; /* its room, and which of its members it is */
    unsigned life;        /* counts conn_dial: for names that must be unique */
    enum conn_state state;
    int fd;
    SSL *ssl;          /* pipe_tls's, */
    struct link *link; /* and pipe_link's: */
    bool linked;       /* established */
    bool at_last;      /* its last step of the handshake is due to be sent */
    bool sent;         /* since the server was last heard */
    unsigned flights;  /* how often it spoke after having listened */
    uint64_t wire_in, wire_out;
    struct buf got;   /* opened, not pulled yet */
    bool dirty, full; /* something waits in out; the socket takes no more */
    struct buf in, out;
    const struct member *member;
    struct conn *next_dirty;
    uint32_t *due; /* per sender: the message that must come next */
    void *own;     /* the driver's; kept while the connection is dialled again */
};

struct driver {
    const char *name;
    const char *alpn; /* NULL: none */
    bool echoes;      /* a sender gets his own messages too */
    bool apart;       /* every message in a record and a write of its own */
    size_t own_size;
    /* 1: TLS may begin, 0: more is needed, -1: not that server. NULL: TLS at once. */
    int (*preface)(struct conn *c, struct span in);
    void (*login)(struct conn *c);
    void (*join)(struct conn *c);
    int (*prepare)(struct sender *s); /* all its messages, before the time is taken; NULL */
    void (*forget)(struct conn *c);   /* frees what own holds; NULL */
    void (*say)(struct conn *c, const struct sender *s, uint32_t seq);
    size_t (*take)(struct conn *c, struct span in); /* gives how much of it was read */
};

const struct driver *driver_find(const char *name); /* NULL: there is none */

enum { SCRATCH = 512 * 1024 };

struct load {
    struct load_conf conf;
    const struct driver *driver;
    struct members *members;
    const struct pipe_kind *pipe;
    SSL_CTX *tls;             /* pipe_tls's */
    struct link_world *links; /* pipe_link's */
    int epoll;
    struct conn *conns;
    unsigned conns_n, dialled, shaking, registered, ready;
    uint64_t shake_bytes, shake_flights; /* of those registered, over a link of ours */
    bool shakes;                         /* a connection has done its work once it is registered */
    bool half;                           /* none sends the last of its handshake */
    bool speaking;                       /* fanout: traffic flows */
    struct conn *dirty;
    struct traffic *traffic;
    void *common;    /* the driver's, for all connections; freed with the load */
    uint64_t now_ns; /* of this turn */
    struct err err;
    uint8_t scratch[SCRATCH];
};

/* --- for drivers --- */

void conn_put(struct conn *c, const void *p, size_t n);
void conn_say(struct conn *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
void conn_flush(
    struct conn *c); /* all that waits, in as few records as possible; each turn does it */
void conn_registered(struct conn *c);
void conn_joined(struct conn *c);
/* The first reason is kept and ends the run. */
void load_fail(struct load *l, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* --- for modes --- */

int load_open(struct load *l, struct err *e) MUST_USE; /* conf is filled in */
void load_close(struct load *l);
void conn_dial(struct conn *c);
void conn_hang_up(struct conn *c);
/* One turn: serves what is ready, waits at most until `until_ns`. -1: the run has failed. */
int load_turn(struct load *l, uint64_t until_ns) MUST_USE;
/* Dials the first n connections, `parallel` at a time, those first that make a room, and turns
 * until all are ready. */
int load_connect(struct load *l, unsigned n) MUST_USE;
uint64_t conn_received(const struct conn *c); /* bytes on the wire, records with their heads */

/* A figure for the orchestrator: `name<TAB>value`. */
void figure(const char *name, double value);

#endif
