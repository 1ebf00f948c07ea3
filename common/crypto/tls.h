/* tls.h -- one end of a TLS 1.3 connection over mbedTLS: bytes in, bytes out, facts about what
 * went.
 *
 * The only wrapper of mbedtls_ssl. No sockets, no clock of its own, no log, no threads. common/link
 * is its only user: programs speak to link.h.
 *
 * Threads. struct tls_conf is made by one thread and its private key is used only while a handshake
 * runs: one handshake call at a time for one tls_conf, so each worker has its own. A struct tls is
 * used by one thread at a time. Once tls_open() is true the private key, the judge and the random
 * source of its tls_conf are never used again; only the constant parts of the mbedTLS configuration
 * are read, which any number of threads may do. A tls_conf lives until its last struct tls is freed
 * (a counter inside), so a relay may replace its certificates while old connections go on. */
#ifndef COMMON_CRYPTO_TLS_H
#define COMMON_CRYPTO_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crypto/crypto.h"
#include "common/crypto/peer.h"
#include "common/crypto/pkey.h"
#include "common/crypto/x509.h"
#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

/* One application protocol (ALPN). A relay demands a client certificate where `mutual` says so. */
struct tls_alpn {
    const char *name;
    bool mutual;
};

/* Everything is borrowed during tls_conf_new, and copied, except where a line says otherwise. */
struct tls_setup {
    bool relay;
    const struct span *chain; /* own certificates as DER, leaf first; none: a client that joins */
    size_t chain_n;
    const struct pkey *key;    /* the leaf's; NULL when there is no chain */
    const struct trust *trust; /* anchors and CRLs; borrowed until the last struct tls is freed */
    const struct hash *root;   /* client without trust: anchor is the presented certificate that
                                  has this SHA-256 */
    const struct hash *leaf;   /* client: SHA-256 of the relay's own certificate; NULL: any */
    const char *host;          /* client: name or address that the relay's certificate must carry */
    const struct tls_alpn *alpn; /* static; a client offers the first only */
    size_t alpn_n;
    struct rng rng;
    int64_t (*now_ms)(void *ctx);   /* wall clock: certificate dates */
    uint64_t (*mono_us)(void *ctx); /* monotonic: times of facts */
    void *clock_ctx;
    peer_judge *judge; /* relay; called once per handshake, on the thread that feeds it */
    void *judge_ctx;
};

/* What records look like on the wire (RFC 8446 5). */
enum {
    RECORD_HEAD = 5,
    RECORD_MAX = 16384 + 256, /* behind the head */
    RECORD_PLAIN_MAX = 16384,
    RECORD_CCS = 20,
    RECORD_ALERT = 21,
    RECORD_HANDSHAKE = 22,
    RECORD_DATA = 23,
};

/* Alerts that we choose ourselves (RFC 8446 6); the others are mbedTLS's choice. */
enum {
    ALERT_CLOSE_NOTIFY = 0,
    ALERT_UNEXPECTED = 10,
    ALERT_BAD_RECORD = 20,
    ALERT_OVERFLOW = 22,
    ALERT_HANDSHAKE_FAILURE = 40,
    ALERT_ILLEGAL = 47,
    ALERT_ACCESS_DENIED = 49,
    ALERT_DECODE = 50,
    ALERT_INTERNAL = 80,
    ALERT_USER_CANCELED = 90,
    ALERT_CERTIFICATE_REQUIRED = 116,
    ALERT_NO_ALPN = 120,
    ALERT_NONE = 256,
};

struct tls_conf; /* parsed keys and rules, shared by the connections of one thread */
struct tls;      /* one end of one connection */

/* NULL and e when a certificate or key is unusable. */
struct tls_conf *tls_conf_new(const struct tls_setup *s, struct err *e);
/* Gives up our reference; connections made from it keep it alive. NULL is fine. */
void tls_conf_free(struct tls_conf *c);

/* Handshake messages, in the order in which TLS 1.3 has them. */
enum tls_msg {
    TLS_CLIENT_HELLO,
    TLS_RETRY_REQUEST,
    TLS_CLIENT_HELLO_2,
    TLS_SERVER_HELLO,
    TLS_ENCRYPTED_EXTENSIONS,
    TLS_CERTIFICATE_REQUEST,
    TLS_SERVER_CERTIFICATE,
    TLS_SERVER_VERIFY,
    TLS_SERVER_FINISHED,
    TLS_CLIENT_CERTIFICATE,
    TLS_CLIENT_VERIFY,
    TLS_CLIENT_FINISHED,
    TLS_FIRST_DATA, /* the relay's first application record: it has let the client in */
    TLS_MSG_COUNT
};

/* One message that really went over the wire and was accepted. */
struct tls_fact {
    enum tls_msg msg;
    bool out;
    size_t bytes;     /* of the records that carried it; 0: inside the record of the one before */
    uint64_t at_us;   /* when we began to work on it */
    uint64_t took_us; /* how long we worked on it */
};

/* State of the connection, readable at any time. Pointers live until tls_free. */
struct tls_info {
    const char *version;   /* "TLS 1.3"; NULL before ServerHello */
    const char *suite;     /* "TLS_AES_256_GCM_SHA384"; NULL before it is known */
    const char *group;     /* "secp256r1", "x25519"; NULL before it is known */
    const char *alpn;      /* NULL before it is known */
    const char *signature; /* scheme of the peer's CertificateVerify; NULL when there was none */
    const char *own_signature;
    struct span peer[CHAIN_MAX + 1]; /* DER, leaf first, also of a peer that was refused */
    size_t peer_n;
    struct hash peer_fp; /* SHA-256 of peer[0] */
    bool proven;         /* the peer signed with peer[0]'s key: it is more than shown */
    struct span own;     /* our leaf; empty when we have none or were not asked */
    const char *refused; /* audit word of the certificate fault, ours or the one the peer told;
                            NULL when certificates were no reason */
    bool refused_by_peer;
};

struct tls *tls_new(struct tls_conf *c, struct err *e);
void tls_free(struct tls *t); /* wipes every secret; NULL is fine */

/* Bytes from the peer; does all the work they allow. -1: over for good, see tls_error; an alert may
 * wait in tls_out. */
int tls_feed(struct tls *t, const uint8_t *in, size_t n) MUST_USE;
/* The same, but takes no byte behind the peer's Finished once the handshake is over; `used` says
 * how many of in were taken. */
int tls_shake(struct tls *t, const uint8_t *in, size_t n, size_t *used) MUST_USE;
/* The peer's stream has ended. -1 unless a close_notify came before. */
int tls_eof(struct tls *t) MUST_USE;
struct span tls_out(const struct tls *t); /* valid until the next call on t */
void tls_sent(struct tls *t, size_t n);
/* Seals application bytes. -1: not open, or LINK_OUT_MAX would be passed; over for good. */
int tls_send(struct tls *t, const uint8_t *p, size_t n) MUST_USE;
/* The next opened application bytes; empty when there are none. Valid until the next call on t. */
struct span tls_take(struct tls *t);
/* Takes the next fact; false when there is none. */
bool tls_fact(struct tls *t, struct tls_fact *f);
void tls_close(struct tls *t); /* sends close_notify; nothing can be sent afterwards */
/* The handshake is done on this side, and nothing failed. A client is not let in yet: it may send,
 * and has an exporter, once it has opened the relay's first bytes. */
bool tls_open(const struct tls *t);
uint64_t tls_now(const struct tls *t); /* microseconds since tls_new */
bool tls_closed(const struct tls *t);  /* the peer's close_notify has come */
const struct err *tls_error(const struct tls *t);
void tls_info(const struct tls *t, struct tls_info *out);
/* RFC 8446 7.5, empty context; -1 before the peer is proven and heard, or after a failure. */
int tls_exporter(const struct tls *t, const char *label, struct key *out) MUST_USE;

/* What another record layer needs to go on where the handshake ended. */
struct tls_handover {
    enum hash_kind hash;
    enum aead_kind aead;
    uint8_t in[SHA384_LEN], out[SHA384_LEN]; /* application secrets, hash_len bytes; the caller's
                                                to wipe */
    struct key exporter;                     /* tls_exporter of the label asked for */
    uint8_t *peer_der; /* the certificates that tls_info points to, the caller's to free */
};

/* Gives up mbedTLS's part of the connection: its 44 KB are freed, and what is left tells facts,
 * tls_info and tls_out alone. Only while tls_open, in the turn in which it became so, before
 * anything was sent. -1: the secrets are not what the suite must have, or something was sealed
 * already; over for good, with an alert. */
int tls_hand_over(struct tls *t, const char *label, struct tls_handover *out) MUST_USE;

/* Notes a failure on our side; -1. */
int tls_give_up(struct tls *t, const char *why);

/* The sentence for an alert number ("certificate expired"), never NULL. */
const char *tls_alert_text(unsigned alert);
/* What audit_log calls a refusal that the peer told us; NULL: not about certificates. */
const char *tls_alert_word(unsigned alert);
/* Notes in e that the peer ("client", "relay") ended the connection with this alert; -1. */
int tls_alert_told(struct err *e, const char *peer, unsigned alert);

#endif
