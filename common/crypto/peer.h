/* peer.h -- is this chain the neighbour we want? One rule for every link.
 *
 * The full check of x509.h under what a link was told to believe: anchors, or when joining the
 * presented certificate that the invite names; then the program's own judge. Where the relay's own
 * certificate was named as well it must be that one, and may have signed itself: then nobody else
 * is asked about it, but every rule of its form, role, name and dates holds. No clock of its own.
 * One thread at a time for each struct peer_rules, as its judge may keep what it likes. */
#ifndef COMMON_CRYPTO_PEER_H
#define COMMON_CRYPTO_PEER_H

#include "common/crypto/x509.h"

enum { PEER_HOST_MAX = 256 };

/* May refuse a certificate that is itself in order: CERT_NOT_ENROLLED, CERT_REVOKED. */
typedef enum cert_fault peer_judge(void *ctx, const struct hash *fp, const struct span *chain,
                                   size_t n);

/* Whom a side was told to believe; copied but for trust. */
struct peer_belief {
    const struct trust *trust; /* NULL for a device that joins */
    const struct hash *root;   /* then: of the anchor, in the invite */
    const struct hash *leaf;   /* of the relay's own certificate; NULL: whichever it has */
    const char *host;          /* the relay that was asked for */
};

struct peer_rules {
    enum cert_role role;          /* of the peer: CERT_RELAY or CERT_DEVICE */
    const struct trust *trust;    /* borrowed; NULL: the anchor is the presented certificate */
    struct hash root;             /* ... that has this SHA-256; zero: there is none */
    bool pinned;                  /* its own certificate is the one ... */
    struct hash leaf;             /* ... that has this SHA-256 */
    char host[PEER_HOST_MAX];     /* CERT_RELAY: whom we asked for */
    int64_t (*now_ms)(void *ctx); /* wall clock: certificate dates */
    void *clock_ctx;
    struct memo *memo; /* of signatures verified before; borrowed, may be NULL */
    peer_judge *judge; /* NULL: accept what is in order */
    void *judge_ctx;
};

/* The rules of one side, of r->role. Nobody to believe, and for CERT_RELAY no host, is an error. */
int peer_believe(struct peer_rules *r, const struct peer_belief *b, struct err *e) MUST_USE;

/* chain[0..n): DER, leaf first. 0, or -1 with the rule that was broken and its sentence. */
int peer_check(const struct peer_rules *r, const struct span *chain, size_t n, enum cert_fault *why,
               struct err *e) MUST_USE;

#endif
