/* lab_pair.h -- both ends of a link in this process, with certificates that nobody keeps.
 *
 * For what shows a handshake without a relay. The ends are the real ones (common/link); only what
 * is between them is ours: bytes are moved from one to the other, and whoever stands in the middle
 * may look at them and change them.
 *
 *     struct lab_pki pki;
 *     lab_pki_make(&pki, &rng, &e);                 once: an authority, a relay, a member
 *     lab_pair_init(&p, &pki, LINK_ECDHE);          both confs are ready, and may be changed
 *     p.event = ..., p.middle = ..., p.ctx = ...;   either may stay NULL
 *     lab_pair_meet(&p, &e);                        handshake, and the relay's first word
 *     link_send(p.end[ROLE_CLIENT], ...); lab_pair_run(&p);
 *     lab_pair_free(&p); lab_pki_wipe(&pki);
 *
 * A second lab_pki is another authority with other keys under the same names: an attacker's. The
 * pki outlives its pairs. The clocks are the system's. */
#ifndef CLIENT_LAB_PAIR_H
#define CLIENT_LAB_PAIR_H

#include "common/link/link.h"

#define LAB_HOST "relay.example" /* the name that the relay's certificates have */

struct lab_der {
    uint8_t b[CERT_MAX];
    size_t n;
};

/* An authority and who it has certified, for a day. */
struct lab_pki {
    struct rng rng;
    struct pkey *root_key, *issuer_key; /* P-256 */
    struct pkey *p256_key, *rsa_key;    /* of the relay's two leaves */
    struct pkey *member_key;            /* RSA-2048 */
    struct lab_der root, issuer;        /* CAs */
    struct lab_der p256, rsa, member;   /* leaves: relay, relay, alice's laptop */
    struct textbook *textbook;          /* the relay's number for `classic` */
    struct trust *trust;                /* the root and its issuer, no lists */
};

/* 0, or -1 and e: nothing is left to wipe then. Takes some tenths of a second: RSA keys. */
int lab_pki_make(struct lab_pki *k, const struct rng *rng, struct err *e) MUST_USE;
void lab_pki_wipe(struct lab_pki *k); /* zeros are fine */

struct lab_pair {
    struct link_conf conf[2]; /* by enum role, as are all of these */
    struct span chain[2][3];  /* what conf[].chain points to */
    struct link *end[2];      /* owned; NULL before the start */
    bool established[2], failed[2], closed[2];
    size_t moved[2]; /* bytes that left this end */
    /* Every event of every end, as it comes. A message lives until the call returns. */
    void (*event)(void *ctx, enum role at, const struct link_event *ev);
    /* Bytes on their way: what is left in `bytes` arrives at the other end, none is fine. */
    void (*middle)(void *ctx, enum role from, struct buf *bytes);
    void *ctx;
};

/* Both confs speak `kind` and know each other's authority. Nothing is owned before the start. */
void lab_pair_init(struct lab_pair *p, const struct lab_pki *k, enum link_kind kind);
/* Makes the ends. -1 and e: a conf is unusable. */
int lab_pair_start(struct lab_pair *p, struct err *e) MUST_USE;
/* Moves what one end has to say to the other; false: it has nothing. */
bool lab_pair_move(struct lab_pair *p, enum role from);
/* Moves until nobody has anything to say. */
void lab_pair_run(struct lab_pair *p);
/* Start, handshake, and one byte of the relay's, since a client is established when it has heard
 * something. -1 and e: with whose end it failed, and why. */
int lab_pair_meet(struct lab_pair *p, struct err *e) MUST_USE;
/* Hands these bytes to an end as if they had come from the other. */
void lab_pair_feed(struct lab_pair *p, enum role to, struct span bytes);
void lab_pair_free(struct lab_pair *p); /* the ends; before the start nothing */

#endif
