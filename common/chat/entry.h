/* entry.h -- what an author signs: the canonical line, the body behind its hashes, the chain.
 *
 * docs/protocol.md 6 is the authority. Relay and recipient use the same functions; what only one of
 * them can know (rooms, membership, certificates, heads) is passed in. */
#ifndef COMMON_CHAT_ENTRY_H
#define COMMON_CHAT_ENTRY_H

#include "common/chat/id.h"
#include "common/crypto/crypto.h"
#include "common/crypto/pkey.h"
#include "common/crypto/x509.h"
#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

/* --- the line --- */

struct entry_line {
    struct room_id room;
    uint64_t epoch, seq;
    int64_t ts;         /* ms, the author's clock */
    struct hash author; /* certificate */
    struct hash prev;   /* the author's previous line */
    struct hash body_hash;
    struct hash commitment;
    uint64_t seen_number;
    struct hash seen_head;
};

/* Reads exactly the canonical spelling: ten fields, no other bytes. 0, or -1 and e with the field
 * that is wrong. */
int entry_line_take(struct entry_line *l, struct str text, struct err *e) MUST_USE;
/* Writes it with a NUL; gives its length. Numbers must be below 2^53 and times not negative. */
size_t entry_line_put(char out[LINE_MAX_LEN + 1], const struct entry_line *l);
void entry_line_hash(struct str line, struct hash *out); /* what the next line's prev is */

/* --- the body: opening || content --- */

/* Draws an opening, writes the body into b (which is emptied) and both hashes into l. */
int entry_body_make(struct buf *b, struct entry_line *l, struct span content, const struct rng *r,
                    struct err *e) MUST_USE;
/* The relay's check: the body has the hash of the line. */
int entry_body_check(const struct entry_line *l, struct span body, struct err *e) MUST_USE;
/* The recipient's: the same, and the commitment opens to the content, which is borrowed from body.
 */
int entry_body_open(const struct entry_line *l, struct span body, struct span *content,
                    struct err *e) MUST_USE;
void entry_commit(struct hash *out, const uint8_t opening[OPENING_LEN], struct span content);

/* --- one author's chain in one room, for relay, recipient and author --- */

struct entry_chain {
    uint64_t seq; /* of the last line; 0: none by this certificate */
    struct hash
        line; /* its hash; with seq 0 what prev may be: a former line of the account, zeros */
};

enum entry_order {
    ENTRY_NEXT,  /* follows: to be numbered, to be shown */
    ENTRY_SAME,  /* is the last line again */
    ENTRY_OLDER, /* seq below the last: look that line up */
    ENTRY_WRONG, /* gap, other prev, or another line with the last seq */
};

/* Where the line (and its hash) stands to the chain; e says what is wrong with ENTRY_WRONG. */
enum entry_order entry_order(const struct entry_chain *c, const struct entry_line *l,
                             const struct hash *line, struct err *e);
void entry_chain_step(struct entry_chain *c, const struct entry_line *l, const struct hash *line);

/* `seen` against what the reader knows: its number lies below `number` (the entry's own; the one it
 * would get), with number 0 the head is zeros, and head_at (NULL: we have none for it) is the same.
 */
int entry_seen_check(const struct entry_line *l, uint64_t number, const struct hash *head_at,
                     struct err *e) MUST_USE;

/* head(n) from head(n-1), line n and its relay time. */
void entry_head_next(struct hash *head, struct str line, int64_t time_ms);

/* --- signatures --- */

int entry_sign(struct pkey *k, const struct rng *r, struct str line, uint8_t sig[SIG_MAX],
               size_t *n, struct err *e) MUST_USE;
/* The line names this certificate and carries its signature. */
int entry_sig_check(const struct cert *c, const struct entry_line *l, struct str line,
                    struct span sig, struct err *e) MUST_USE;
/* The same for who checks many of one author: fp is his certificate's, key what is in it. The key
 * remembers what its first check worked out, so one thread at a time. NULL verifies
 * nothing. */
int entry_key_check(struct pubkey *key, const struct hash *fp, const struct entry_line *l,
                    struct str line, struct span sig, struct err *e) MUST_USE;

/* --- all of it, for authors --- */

struct entry_made {
    char line[LINE_MAX_LEN + 1];
    size_t line_n;
    uint8_t sig[SIG_MAX];
    size_t sig_n;
    struct buf body;
};

/* l says everything but the two hashes of the body, which are filled in. */
int entry_make(struct entry_made *m, struct entry_line *l, struct span content, struct pkey *k,
               const struct rng *r, struct err *e) MUST_USE;
void entry_made_free(struct entry_made *m);

#endif
