/* link.h -- one end of a secure connection between neighbours: bytes in, bytes out.
 *
 * No sockets, no clock of its own, no log, no threads. Which protocol is spoken stands in the conf;
 * what is said above is the same whatever the link. The program moves bytes:
 *
 *     link_feed(l, in, n);                       bytes from the socket
 *     while (link_next(l, &ev)) ...              what happened
 *     out = link_out(l); ... link_sent(l, k);    bytes for the socket
 *
 * After a failure the rest of link_out still goes to the peer: it is the alert that says why.
 *
 * Threads. A link is used by one thread at a time and may move between threads. Until ESTABLISHED
 * it uses the private key, the random source and the judge of its conf, so a relay feeds it on the
 * worker whose struct link_ready it was made from, one call at a time per link_ready. From the
 * moment link_next gave ESTABLISHED none of these is used again (a relay's link may move to its
 * loop for good), only the clocks, which must be callable from any thread. */
#ifndef COMMON_LINK_LINK_H
#define COMMON_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crypto/cbc.h"
#include "common/crypto/crypto.h"
#include "common/crypto/peer.h"
#include "common/crypto/pkey.h"
#include "common/crypto/textbook.h"
#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

/* What may be asked for by ALPN. `countersign/1` is mutual, joining has no client certificate. */
#define LINK_ALPN_CHAT "countersign/1"
#define LINK_ALPN_JOIN "countersign-join/1"

/* Label of the exporter that login binds itself to (docs/protocol.md 4). */
#define LINK_EXPORTER_LOGIN "EXPORTER-countersign-login-1"

/* The protocols: id, name in configuration and AuthMessage. */
#define LINK_KINDS(X)                                                                              \
    X(LINK_TLS, "tls")                                                                             \
    X(LINK_ECDHE, "ecdhe")                                                                         \
    X(LINK_CIANR, "cianr")                                                                         \
    X(LINK_SOVEREIGN, "sovereign")                                                                 \
    X(LINK_CLASSIC, "classic")

#define X(id, name) id,
enum link_kind { LINK_KINDS(X) LINK_KIND_COUNT };
#undef X

/* What must be said wherever `classic` is used. */
#define LINK_CLASSIC_MARK "classic: anyone in the middle can read and change this"

enum role { ROLE_CLIENT, ROLE_RELAY };

/* A client's memory of what relays have drawn for it (sovereign): the last ones, over all its
 * links. Zero at first; the program's, one thread at a time. */
struct link_nonces {
    uint8_t b[LINK_NONCES_MAX][LINK_NONCE_LEN];
    size_t n; /* ever seen */
};

/* The word for a peer's refusal of our certificate that does not say which rule it broke. */
#define LINK_BAD_CERT "bad-cert"

struct link_ready; /* parsed keys of one conf: see link_ready_new */

/* Everything a link needs. The struct and what it points to is borrowed until link_new (with
 * `ready`: link_ready_new) returns, except trust, nonces, clock and judge: those must outlive every
 * link.
 */
struct link_conf {
    enum link_kind kind;
    const struct span *chain; /* own certificates, DER, leaf first. Relay: leaf, intermediate and
                                 root. Client: leaf and intermediate; none when joining. */
    size_t chain_n;
    const struct pkey *key;     /* the leaf's private key; NULL without chain */
    const struct trust *trust;  /* whom we believe, with CRLs; or, client only: */
    const struct hash *root;    /* join: the anchor is the presented certificate of this SHA-256 */
    const struct hash *leaf;    /* client: the relay's own certificate is the one of this SHA-256,
                                   and may have signed itself (peer.h); NULL: whichever it has */
    struct link_nonces *nonces; /* client; NULL: it has no memory. Outlives every link. */
    const char *host;           /* client: DNS name or address (without brackets) asked for */
    bool join;                  /* client: countersign-join/1 instead of countersign/1 */
    const char *email;          /* `cianr`, a client that joins: where its owner can be reached, for
                                   who runs the relay (email.h); NULL: not said */
    struct rng rng;
    int64_t (*now)(void *ctx);   /* milliseconds since 1970: certificate dates */
    uint64_t (*mono)(void *ctx); /* microseconds, monotonic: times of steps */
    void *clock_ctx;
    peer_judge *judge; /* relay, not for who joins; NULL accepts every certificate in order */
    void *judge_ctx;
    struct link_ready *ready; /* NULL: the link parses the keys for itself alone */
    /* `classic`: a key that both ends have from a file; else NULL, and the relay has a pair of keys
     * for it. None of the certificates above is used. */
    const struct aes_key *file_key;
    const struct textbook *textbook;
    unsigned suites; /* not tls: bits by enum aead_kind that may be agreed on; 0: all we have */
    bool mbedtls_records; /* for tests alone: no record layer of ours behind the handshake. The
                             reference to compare with; the other end's KeyUpdate ends it. */
};

/* Parses the certificates and the key of conf once for many links of one thread (a relay's worker).
 * NULL and e when they are unusable. Links keep it alive: after a reload make a new one, free this.
 */
struct link_ready *link_ready_new(enum role role, const struct link_conf *conf, struct err *e);
void link_ready_free(struct link_ready *r); /* NULL is fine */

/* One row of a protocol's step table, of which events, help and documentation are drawn. */
struct link_row {
    const char *name;   /* "ServerHello" */
    const char *wire;   /* "server_hello(2)" */
    bool client_writes; /* else the relay does, unless: */
    bool local;         /* each side computes it for itself; nothing goes over the wire */
    const char *proves; /* what is known once it has been accepted */
};

/* The table of a protocol, in order. `classic` has another one where the key is from a file. */
const struct link_row *link_rows(enum link_kind kind, size_t *n);
const struct link_row *link_rows_file(size_t *n);
const char *link_kind_name(enum link_kind kind); /* "tls" */
/* Finds a kind by its name; 0 or -1. */
int link_kind_take(struct str name, enum link_kind *kind) MUST_USE;

/* Which of several protocols begins with these bytes. kinds: bits by enum link_kind. Of one kind
 * nothing is asked: it speaks for itself. 1: *kind; 0: more bytes are needed; -1: none. */
int link_tell(unsigned kinds, struct span first, enum link_kind *kind) MUST_USE;

/* One step that really happened on this end. */
struct link_step {
    unsigned number, total; /* counted from 1; total may grow when the peer asks for a retry */
    unsigned row;           /* index into link_rows */
    const char *name, *wire;
    bool out;       /* we sent it */
    bool local;     /* nobody did: see struct link_row */
    bool waiting;   /* not there yet: the client waits for the relay's verdict. It comes again,
                       with the same number and waiting false, when it has been heard. */
    size_t bytes;   /* of the records that carried it; 0: it shared the record of the step before */
    uint64_t at_us; /* since link_new */
    uint64_t took_us;
    const char *proves;
    char detail[160]; /* suite, group, subject, fingerprint, signature scheme ...; cleaned */
};

struct link_event {
    enum {
        LINK_STEP,
        LINK_ESTABLISHED, /* client: the relay's first bytes were opened; relay: client is proven */
        LINK_MESSAGE,     /* opened bytes in order; where they are cut means nothing, but in
                             `classic`: there it is one text */
        LINK_CLOSED,      /* the peer's close_notify: nothing comes any more, no event either */
        LINK_FAILED       /* final; see link_error; the last event */
    } kind;
    union {
        struct link_step step;
        struct span message; /* valid until the next call on the link */
    };
};

/* What is known about the connection. Pointers live until link_free. */
struct link_info {
    enum link_kind kind;
    const char *version, *suite, *group, *alpn; /* NULL while unknown */
    bool join;                                  /* countersign-join/1 was agreed on */
    struct span peer[CHAIN_MAX + 1];            /* DER, leaf first; also of a refused peer */
    size_t peer_n;
    const char *email;   /* of a client that joins, where it said one (`cianr`); else NULL */
    struct hash peer_fp; /* SHA-256 of peer[0]; zero when there is none */
    bool proven;         /* the peer has signed with the key of peer[0]; without it anybody may have
                            shown that certificate */
    const char *refused; /* audit word when certificates were the reason of failure, else NULL */
    bool refused_by_peer;
    const struct link_row *due; /* of the handshake, where the next step is known: the one that a
                                   failure was met in; NULL behind the last. `tls`: never known */
    unsigned stale; /* records whose time was far from ours, where records have one (`cianr`) */
};

struct link;

/* NULL and e: the conf is unusable. A client's first bytes are in link_out at once. */
struct link *link_new(enum role role, const struct link_conf *conf, struct err *e);
void link_free(struct link *l); /* wipes every secret; NULL is fine */

/* Bytes from the peer. -1: failed for good (LINK_FAILED comes too). Never keeps `in`. */
int link_feed(struct link *l, const uint8_t *in, size_t n) MUST_USE;
/* The peer's stream has ended: CLOSED if it said so before or we closed first, else failure "cut".
 */
int link_eof(struct link *l) MUST_USE;

/* Bytes for the peer, sealed now; valid until the next call on l. One call for many link_send:
 * they share records then. */
struct span link_out(struct link *l);
void link_sent(struct link *l, size_t n);  /* n of them are on their way */
size_t link_waiting(const struct link *l); /* how many link_out would give; seals nothing */

/* Seals one message (`classic`: of at most CLASSIC_TEXT_MAX bytes). Only between ESTABLISHED and
 * CLOSED, link_close or failure. -1: failed for good: used too early, or more than LINK_OUT_MAX
 * would wait for a peer that reads too slowly. */
int link_send(struct link *l, const uint8_t *msg, size_t n) MUST_USE;

/* Lends memory for what link_out gives, where l has none of its own and can use it; and takes it
 * back when nothing waits. A program with many links lends one block to one after the other. */
void link_lend(struct link *l, struct buf *block);
void link_reclaim(struct link *l, struct buf *block);

/* Takes the next event; false when there is none. */
bool link_next(struct link *l, struct link_event *ev);

/* New keys in both directions, from the next record on; it also happens by itself, long before a
 * key is worn. -1: not open, or failed. */
int link_rekey(struct link *l) MUST_USE;

void link_close(struct link *l); /* says close_notify; what is in link_out still has to go */

/* For a link at rest: call it now and then. Once nothing went since the call before, the memory of
 * its buffers is given back; a relay's link also forgets the peer's certificates and address
 * (peer_n is 0, email is NULL, and peer_fp stays). */
void link_rest(struct link *l);

const struct err *link_error(const struct link *l); /* code ERR_NONE while all is well */
void link_info(const struct link *l, struct link_info *out);

/* Key bound to this connection (RFC 8446 7.5, empty context). -1 before ESTABLISHED, and for every
 * label but LINK_EXPORTER_LOGIN: the secret it comes from is not kept. */
int link_exporter(const struct link *l, const char *label, struct key *out) MUST_USE;

#endif
