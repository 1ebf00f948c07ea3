/* gate.h -- who may come in: how many connections, how many that have not proven anything yet, how
 * many of those from one source. Pure but for a lock: any thread may ask.
 *
 * A source is an IPv4 address or the /64 of an IPv6 one. From half of the places for newcomers on
 * some are turned away at random, all of them when none is left (OpenSSH's MaxStartups): whoever
 * fills the places cannot keep everybody else out for sure. */
#ifndef SERVER_GATE_H
#define SERVER_GATE_H

#include <netinet/in.h>
#include <stdbool.h>

#include "common/crypto/crypto.h"

struct gate;

struct gate_limits {
    unsigned conns;      /* in all */
    unsigned newcomers;  /* that have not logged in */
    unsigned per_source; /* of those, from one source */
};

enum gate_verdict { GATE_IN, GATE_FULL, GATE_BUSY, GATE_SOURCE, GATE_EARLY };
const char *gate_word(enum gate_verdict v); /* for the log */

struct source {
    uint8_t b[16]; /* IPv4 as ::ffff:a.b.c.d; of IPv6 the first 8 bytes count */
};

/* The peer's address for the table, and as text without port. */
void source_of(const struct sockaddr_storage *a, struct source *out, char text[INET6_ADDRSTRLEN]);

struct gate *gate_new(const struct gate_limits *l, const struct rng *r); /* NULL: no memory */
void gate_free(struct gate *g);
void gate_limits(struct gate *g, const struct gate_limits *l); /* nobody inside is put out */

enum gate_verdict gate_enter(struct gate *g, const struct source *s);
void gate_proven(struct gate *g, const struct source *s);             /* logged in */
void gate_leave(struct gate *g, const struct source *s, bool proven); /* after a GATE_IN */

struct gate_counts {
    unsigned conns, newcomers, sources;
};
void gate_counts(struct gate *g, struct gate_counts *out);

#endif
