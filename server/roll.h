/* roll.h -- the enrolled devices, as the sequencer last told: what a link's judge asks while it
 * handshakes on a worker. Any thread. */
#ifndef SERVER_ROLL_H
#define SERVER_ROLL_H

#include "common/crypto/x509.h"

struct roll;

struct roll *roll_new(void); /* NULL: no memory */
void roll_free(struct roll *r);
/* CERT_OK enrols, CERT_REVOKED keeps it as a device that once was one. */
int roll_set(struct roll *r, const struct hash *fp, enum cert_fault fault) MUST_USE;
/* CERT_NOT_ENROLLED when it was never set. The type of link_conf.judge, ctx is the roll. */
enum cert_fault roll_judge(void *ctx, const struct hash *fp, const struct span *chain, size_t n);

#endif
