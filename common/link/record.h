/* record.h -- sealed records under traffic secrets, as TLS 1.3 has them on the wire
 * (RFC 8446 5.2 to 5.4, alerts 6, KeyUpdate 4.6.3 and 7.2, keys 7.3).
 *
 * (with cbc: in this form, but sealed and headed as docs/protocol.md 10.3 has it.)
 *
 * Bytes in, bytes out; no handshake: whoever has agreed on two secrets makes one of these. What is
 * to be sent is gathered and sealed when record_out asks for it, so many small messages share a
 * record. Behind the first failure there is nothing but the alert in record_out.
 *
 * One thread at a time, and never a copy: a nonce is one counter per direction. */
#ifndef COMMON_LINK_RECORD_H
#define COMMON_LINK_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crypto/crypto.h"
#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

/* Everything is borrowed until record_new returns, but `peer`. */
struct record_conf {
    const char *peer; /* "client" or "relay", for sentences; static */
    enum hash_kind hash;
    enum aead_kind aead;               /* one with nonces of 12 bytes */
    struct span secret_in, secret_out; /* hash_len bytes each */
    struct span before;                /* goes out first as it is: the end of the handshake */
    unsigned tickets;                  /* NewSessionTickets that are dropped; 0: one is fatal */
    bool verdict; /* nothing may be sent before the peer's first data, and a close before it is
                     a failure: so a client is let in */
    bool ratchet; /* a key for every record: behind each, its secret gives way to the next one */
    bool cbc;     /* instead of aead: AES-128-CBC and HMAC (crypto/cbc.h), every record with a time
                     of this clock, milliseconds since 1970, callable from any thread */
    int64_t (*now)(void *ctx);
    void *clock_ctx;
};

struct record; /* one end */

struct record *record_new(const struct record_conf *c, struct err *e); /* NULL and e */
void record_free(struct record *r); /* wipes every secret; NULL is fine */

/* Bytes from the peer. -1: over for good, see record_error. Never keeps `in`. */
int record_feed(struct record *r, const uint8_t *in, size_t n) MUST_USE;
/* The peer's stream has ended. -1 unless a close_notify came before, or ours went. */
int record_eof(struct record *r) MUST_USE;
/* The next opened bytes; empty when there are none. Valid until the next call on r. */
struct span record_take(struct record *r);

/* Takes bytes to seal. -1: not in this state, or LINK_OUT_MAX would be passed; over for good. */
int record_send(struct record *r, const uint8_t *p, size_t n) MUST_USE;
/* Seals what was gathered; everything for the peer. Valid until the next call on r. */
struct span record_out(struct record *r);
void record_sent(struct record *r, size_t n);
size_t record_waiting(const struct record *r); /* how many bytes record_out would give */

/* Memory for what is sealed, if r has none; and it back, once nothing waits. Whoever lends it to
 * one connection after the other needs no more than one block for those that keep up. */
void record_lend(struct record *r, struct buf *block);
void record_reclaim(struct record *r, struct buf *block);

/* Changes our key; with `ask` the peer has to change its own. Happens by itself in time, also as
 * the answer to a peer who asks. -1: failed, closing, or asked LINK_ASKS_MAX times since data went
 * out last; the peer would give up on us for more. */
int record_rekey(struct record *r, bool ask) MUST_USE;
void record_close(struct record *r); /* close_notify; nothing can be sent afterwards */
/* Call it now and then: gives back the memory of buffers if nothing went since the last call. */
void record_rest(struct record *r);

bool record_closed(const struct record *r); /* the peer's close_notify has come */
/* Bytes on the wire of the first record with data, in or out; 0: there was none yet. */
size_t record_first(const struct record *r, bool out);
/* With cbc: records whose time was more than LINK_FRESH_MS from ours. Nothing was refused for it:
 * clocks go wrong, the count of records does not. */
unsigned record_stale(const struct record *r);
unsigned record_alert(const struct record *r); /* the peer's fatal one, or ALERT_NONE of tls.h */
const struct err *record_error(const struct record *r);

#endif
