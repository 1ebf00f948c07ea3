/* peer.h -- is this chain the neighbour we want? One rule for every link.
 *
 * The full check of x509.h under what a link was told to believe: anchors, or when joining the
 * presented certificate that the invite names; then the program's own judge. No clock of its own.
 * One thread at a time for each struct peer_rules, as its judge may keep what it likes. */
#ifndef COMMON_CRYPTO_PEER_H
#define COMMON_CRYPTO_PEER_H

#include "common/crypto/x509.h"

enum { PEER_HOST_MAX = 256 };

/* May refuse a certificate that is itself in order: CERT_NOT_ENROLLED, CERT_REVOKED. */
typedef enum cert_fault peer_judge(void *ctx, const struct hash *fp, const struct span *chain,
                                   size_t n);

struct peer_rules {
    enum cert_role role;          /* of the peer: CERT_RELAY or CERT_DEVICE */
    const struct trust *trust;    /* borrowed; NULL: the anchor is the presented certificate */
    struct hash pin;              /* ... that has this SHA-256 */
    char host[PEER_HOST_MAX];     /* CERT_RELAY: whom we asked for */
    int64_t (*now_ms)(void *ctx); /* wall clock: certificate dates */
    void *clock_ctx;
    struct memo *memo; /* of signatures verified before; borrowed, may be NULL */
    peer_judge *judge; /* NULL: accept what is in order */
    void *judge_ctx;
};

/* The rules of one side. trust, or with NULL pin; host is copied and must fit for CERT_RELAY. */
int peer_believe(struct peer_rules *r, const struct trust *trust, const struct hash *pin,
                 const char *host, struct err *e) MUST_USE;

/* chain[0..n): DER, leaf first. 0, or -1 with the rule that was broken and its sentence. */
int peer_check(const struct peer_rules *r, const struct span *chain, size_t n, enum cert_fault *why,
               struct err *e) MUST_USE;

#endif
