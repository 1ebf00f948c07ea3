/* support_link.h -- a small public-key infrastructure and two link ends in one process. */
#ifndef TESTS_UNIT_LINK_SUPPORT_LINK_H
#define TESTS_UNIT_LINK_SUPPORT_LINK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/crypto/issue.h"
#include "common/link/link.h"

#define RELAY_HOST "relay.test"

static const int64_t day_ms = 24 * 3600 * (int64_t)1000;
static const int64_t noon = 1750000000000; /* the clock of every test */

struct der {
    uint8_t b[CERT_MAX];
    size_t n;
};

/* Keys and certificates of one authority. */
struct ca {
    struct pkey *root_key, *inter_key;
    struct der root, inter;
};

struct world {
    struct rng rng;
    int64_t now;
    uint64_t mono;
    struct ca ours, theirs;
    struct pkey *relay_key, *device_key; /* P-256, RSA-2048 */
    struct textbook *textbook;           /* of the relay, for `classic`; 1024 bits */
    struct der relay, device;            /* the good ones */
    struct trust *trust;                 /* our root, with the intermediate's CRL when revoked() */
};

/* Who is issued what; fields at zero take what a good certificate has. */
struct want {
    enum cert_role role;
    int64_t from, to;    /* ms */
    const char *host;    /* relay */
    const struct ca *by; /* NULL: ours */
    struct pkey *key;    /* NULL: the role's */
    struct span spki;    /* in place of that key's own, when it is not empty */
    bool no_eku;
    bool self; /* signed with its own key, and no CA's */
};

struct world *world_new(void);
void world_free(struct world *w);
void world_issue(struct world *w, struct want want, struct der *out);
/* The CRL of our intermediate names this certificate and goes into w->trust. */
void world_revoke(struct world *w, const struct der *d);
void world_forgive(struct world *w); /* a w->trust without any list */

enum { PAIR_ROOM = 8192 }; /* how much a meddler may add */

/* Two ends. conf and chains may be changed between pair_conf and pair_start. */
struct pair {
    struct world *w;
    struct link_conf conf[2]; /* by enum role */
    struct span chain[2][3];
    struct link *end[2];
    struct buf got[2];             /* opened messages */
    struct link_step steps[2][40]; /* told so far */
    size_t steps_n[2];
    bool established[2], closed[2], failed[2];
    unsigned order_bad; /* events that came where they may not */
    size_t moved[2];    /* bytes so far, by sender */
    bool flipping;      /* a man in the middle changes one byte */
    enum role flip_from;
    size_t flip_at;
    uint8_t flip_mask;
    /* Sees what is about to arrive at `to` and may change it in place: up to room bytes. */
    size_t (*meddle)(struct pair *p, enum role to, uint8_t *bytes, size_t n, size_t room);
    void *meddler;
};

void pair_conf(struct pair *p, struct world *w); /* both speak tls */
void pair_start(struct pair *p);
void pair_free(struct pair *p);
/* Takes all events of one end. */
void pair_events(struct pair *p, enum role r);
/* Moves at most n bytes from one end to the other; how many were there. */
size_t pair_move(struct pair *p, enum role from, size_t n);
/* Moves everything until nothing is left, in pieces of at most n bytes. */
void pair_pump(struct pair *p, size_t n);
/* Handshake, then the relay says "hi", so that the client is established too. */
void pair_meet(struct pair *p, size_t n);
const char *pair_why(const struct pair *p, enum role r);

#endif
