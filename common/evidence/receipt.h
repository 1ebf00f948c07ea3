/* receipt.h -- what both ends sign of a session: these entries of this room, over this channel.
 *
 * Seventeen lines of ASCII, each a word, a blank and a value (docs/evidence.md 5), every one of
 * them signed. Whoever signs adds three more, his seal, and signs the receipt and them:
 *
 *     role client
 *     signer <certificate SHA-256, hex>
 *     time <ms, his clock>
 *
 * so that all have signed the same bytes and nobody's signature passes for another's. One spelling.
 * One receipt is about one room: it tells whoever is shown it nothing of others. */
#ifndef COMMON_EVIDENCE_RECEIPT_H
#define COMMON_EVIDENCE_RECEIPT_H

#include "common/evidence/merkle.h"
#include "common/util/err.h"

struct receipt {
    uint8_t session[SESSION_ID_LEN];
    char link[RECEIPT_WORD_MAX + 1], suite[RECEIPT_WORD_MAX + 1];
    struct hash signer; /* the client's certificate */
    struct hash peer;   /* the certificate that the relay showed on that link */
    int64_t created;    /* ms, the client's clock, but not before the last entry's time */
    uint8_t room[ROOM_ID_LEN];
    uint64_t first, last;   /* numbers in the room, without a gap */
    struct hash base, head; /* the room's running head before the first and behind the last */
    struct merkle_head
        tree;             /* the last checkpoint the client had, of at most `last`; size 0: none */
    struct hash previous; /* SHA-256 of the client's receipt before in this room; zeros: none */
};

/* Writes it with a NUL; gives its length. Both words are printable ASCII without blanks at their
 * ends, RECEIPT_WORD_MAX at most. */
size_t receipt_put(char out[RECEIPT_MAX + 1], const struct receipt *r);
/* Reads exactly what receipt_put writes, of a receipt that can be: 0, or -1 and e (ERR_DATA) with
 * the line at fault. */
int receipt_take(struct receipt *r, struct str text, struct err *e) MUST_USE;

/* id, word */
#define RECEIPT_ROLES(X)                                                                           \
    X(RECEIPT_CLIENT, "client")                                                                    \
    X(RECEIPT_RELAY, "relay")                                                                      \
    X(RECEIPT_MEMBER, "member") /* the other one of a direct room */

#define X(id, word) id,
enum receipt_role { RECEIPT_ROLES(X) RECEIPT_ROLE_COUNT };
#undef X

const char *receipt_role_word(enum receipt_role role);

struct receipt_seal {
    enum receipt_role role;
    struct hash signer;
    int64_t time;
};

size_t receipt_seal_put(char out[RECEIPT_SEAL_MAX + 1], const struct receipt_seal *s);
int receipt_seal_take(struct receipt_seal *s, struct str text, struct err *e) MUST_USE;

/* The receipt and a seal one after the other: what is signed. */
struct receipt_signed {
    uint8_t b[RECEIPT_MAX + RECEIPT_SEAL_MAX];
    size_t n;
};
/* 0; -1: longer than any of them is. */
int receipt_signed_make(struct receipt_signed *out, struct str text, struct str seal) MUST_USE;

#endif
