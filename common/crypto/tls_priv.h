/* tls_priv.h -- what the files of the TLS wrapper share. Included by the files tls_NAME.c alone. */
#ifndef COMMON_CRYPTO_TLS_PRIV_H
#define COMMON_CRYPTO_TLS_PRIV_H

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <stdatomic.h>

#include "common/crypto/peer.h"
#include "common/crypto/tls.h"

enum {
    FACTS_MAX = 16,
    ALPN_MAX = 4,
};

struct tls_conf {
    atomic_uint refs;
    bool relay, addressed; /* addressed: peer.host is an address, so no SNI */
    mbedtls_ssl_config ssl;
    mbedtls_x509_crt chain;
    mbedtls_x509_crt nobody; /* no CA: whom we believe is cert_check's business alone */
    mbedtls_pk_context key;
    struct peer_rules peer;
    const struct tls_alpn *alpn;
    size_t alpn_n;
    const char *names[ALPN_MAX + 1];
    struct rng rng;
    uint64_t (*mono_us)(void *);
    void *clock_ctx;
};

/* A traffic secret as mbedTLS exports it: 48 bytes mean SHA-384 and AES-256-GCM, 32 mean SHA-256
 * and ChaCha20-Poly1305, because AES-128 is switched off (RFC 8446 B.4). */
struct traffic {
    uint8_t b[SHA384_LEN];
    size_t n;
};

enum secret_id { CLIENT_HANDSHAKE, SERVER_HANDSHAKE, CLIENT_DATA, SERVER_DATA, SECRETS };

struct record_key {
    enum aead_kind aead;
    struct key key;
    uint8_t iv[AEAD_IV_LEN];
};

/* What we see of one direction while the handshake lasts. */
struct tap {
    struct buf msgs; /* handshake bytes, not yet a whole message */
    size_t bytes;    /* of records not yet counted to a message */
    uint64_t sealed; /* records sealed so far under the handshake secret */
    uint64_t data;   /* records behind Finished */
    bool finished;   /* Finished has passed */
    unsigned alert;  /* the last one that passed, or ALERT_NONE */
};

struct seen {
    enum tls_msg msg;
    size_t bytes;
};

struct tls {
    struct tls_conf *conf;
    mbedtls_ssl_context ssl;
    struct err err;
    bool failed, over, proven, closing, closed, spoken;
    bool released;                   /* handed over: ssl and secrets are gone */
    bool hello_seen, asked, checked; /* a ClientHello passed; a CertificateRequest was accepted;
                                        the peer's chain passed every check */
    bool peer_signed;                /* the peer's CertificateVerify was accepted */
    unsigned alert;                  /* what we refuse with, when the reason is ours */
    unsigned tickets;
    struct buf rec, out, plain;
    size_t rec_read; /* bytes of rec that mbedTLS has taken */
    size_t early;    /* bytes from a peer not yet proven */
    struct span taken;
    struct traffic secrets[SECRETS];
    struct tap taps[2]; /* [0] what comes in, [1] what goes out */
    struct seen in_seen[FACTS_MAX];
    size_t in_seen_n;
    struct tls_fact facts[FACTS_MAX];
    size_t fact_at, facts_n;
    struct {
        uint64_t at, took;
    } times[MBEDTLS_SSL_HANDSHAKE_OVER + 1]; /* by state of mbedTLS */
    uint64_t born_us;
    uint16_t suite, group;
    uint8_t *peer_der; /* owned; info.peer points into it */
    struct span peer[CHAIN_MAX + 1];
    size_t peer_n;
    struct hash peer_fp;
    bool peer_rsa, refused_by_peer, secrets_seen;
    const char *refused;
    const char *alpn; /* once released */
};

/* tls_conf.c */
const struct tls_alpn *tls_alpn_agreed(const struct tls *t); /* NULL: none, or not one of ours */
/* f_vrfy of one connection: the whole check of the peer's chain, before anything else is said. */
int tls_verify_cb(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags);

/* tls_tap.c */
/* A whole record passes: notes the messages in it. Damage is mbedTLS's to find, not ours. */
void tap_record(struct tls *t, bool out, struct span rec);
/* The state has done its work: the message that it reads, when it is there, was accepted. */
void tap_accept(struct tls *t, int state);
/* A Certificate message has begun that is longer than mbedTLS takes. */
bool tap_certificate_long(const struct tls *t);
/* The alert number inside the record that mbedTLS took for an alert, or ALERT_NONE. */
unsigned tap_data_alert(struct tls *t, struct span rec);
int record_key_make(struct record_key *k, const struct traffic *s) MUST_USE;

/* tls_alert.c */
/* Puts an alert behind what waits to be sent: sealed as the first record under s, or plain. */
int alert_send(struct tls *t, unsigned number, const struct traffic *s) MUST_USE;
/* The secret under which mbedTLS should seal an alert now and does not; NULL: it does it right. */
const struct traffic *alert_secret(const struct tls *t);

/* tls.c: notes why and gives up; returns -1. */
int tls_fail(struct tls *t, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
