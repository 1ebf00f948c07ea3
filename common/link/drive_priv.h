/* drive_priv.h -- what the driver holds. For drive.c, drive_keys.c and drive_prove.c alone. */
#ifndef COMMON_LINK_DRIVE_PRIV_H
#define COMMON_LINK_DRIVE_PRIV_H

#include <stdatomic.h>
#include <stddef.h>

#include "common/link/drive.h"
#include "common/link/record.h"

enum { CONTEXT_MAX = 128 };

/* A leaf, as the texts of steps name it: read once, where it is judged or made ready. */
struct drive_name {
    bool there;    /* false: there is no certificate */
    char who[101]; /* its subject, cleaned */
    struct hash fp;
};

/* Parsed keys and rules of one thread, kept alive by the handshakes that use them. */
struct drive_ready {
    atomic_uint refs;
    const struct link_proto *link;
    enum role role;
    bool join; /* client: what it comes for */
    struct link_nonces *nonces;
    unsigned suites;
    char email[EMAIL_MAX + 1]; /* client that joins; empty: none */
    struct buf der;            /* own chain, one behind the other */
    struct span chain[CHAIN_MAX + 1];
    size_t chain_n;
    struct pkey *key; /* NULL: a client that joins */
    struct drive_name own;
    struct peer_rules peer;
    struct rng rng;
    uint64_t (*mono)(void *ctx);
    void *clock_ctx;
};

struct drive_side {
    struct key key;
    uint8_t iv[AEAD_IV_LEN];
    uint64_t seq;
};

/* What only the handshake needs. Its secrets go when it is over, the rest when its steps were told.
 */
struct drive_shake {
    struct drive_ready *ready;
    struct err err;                 /* why it failed; behind it there is the record's */
    struct buf in;                  /* a magic or frame that is not whole yet */
    size_t early;                   /* bytes of a peer that is not proven */
    size_t lead;                    /* of these the magic, until a step has counted it */
    bool greeted;                   /* the magic has passed */
    uint8_t order[DRIVE_STEPS_MAX]; /* rows in the order of this handshake */
    size_t at;                      /* the one that is due */
    unsigned stage;                 /* how often keys were given */
    enum aead_kind aead;            /* of this stage */
    struct drive_side sides[2];     /* by enum role of who sends */
    struct hash_run run;            /* the transcript */
    const uint8_t *content;         /* of the frame that is being read */
    struct pubkey *peer_key;        /* of peer[0] */
    struct drive_name peer;
    struct link_step told[DRIVE_STEPS_MAX];
    size_t told_at, told_n;
    max_align_t state[]; /* the handlers' */
};

struct drive {
    const struct link_proto *link;
    enum role role;
    bool join, refused_by_peer;
    struct drive_shake *shake; /* NULL once its steps were told */
    struct record *record;     /* NULL until the handshake is over */
    struct buf out;            /* until then */
    uint64_t born;
    uint64_t (*mono)(void *ctx);
    void *clock_ctx;
    struct key exporter;
    const char *refused; /* audit word of a certificate's fault */
    struct buf peer_der; /* info.peer points into it; info.email: who joins has no certificate */
    struct link_info info;
};

const struct link_row *drive_row(const struct drive *d);    /* of the step that is due */
const struct drive_step *drive_due(const struct drive *d);  /* NULL: none is left */
struct drive_ready *drive_ready_ref(struct drive_ready *r); /* any thread */

enum role drive_other(enum role r);
void drive_name_set(struct drive_name *n, const struct cert *leaf, const struct hash *fp);
const char *drive_peer(const struct drive *d); /* what the other end is called in a sentence */

/* drive_keys.c */
/* "countersign|ecdhe 1|relay|ServerHello|signature", NUL, and the hash; *n bytes of out. */
int drive_context(const struct drive *d, struct drive_label l,
                  uint8_t out[CONTEXT_MAX + sizeof(struct hash)], size_t *n) MUST_USE;
/* How long a frame's payload is for n bytes of content, and how many bytes of it stand before the
 * content while that lies there unsealed: both as the step that is due is sealed. */
size_t drive_sealed(const struct drive *d, size_t n);
size_t drive_lead(const struct drive *d);
/* n bytes of content to the payload they lie in, and a payload of n bytes to its content. */
int drive_seal(struct drive *d, struct span head, uint8_t *payload, size_t n) MUST_USE;
int drive_unseal(struct drive *d, struct span head, uint8_t *payload, size_t n,
                 struct span *plain) MUST_USE;
void drive_transcribe(struct drive *d, uint8_t type, struct span content);

#endif
