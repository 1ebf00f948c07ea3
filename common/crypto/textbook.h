/* textbook.h -- RSA as textbooks print it, without padding: k^e mod n, and back.
 *
 * For the link `classic` alone, whose documents have it so (docs/protocol.md 10.5): nothing else of
 * ours decrypts with RSA, and a test reads that from the object files. It is no way to hide
 * anything from who stands in the middle, as nobody vouches for n. What can be done is done: a pair
 * of keys for this and for nothing else; the exponentiation blinded; and whatever the peer sent,
 * textbook_lower gives *some* key after the same steps, so that no answer and no time tells whether
 * a number was well made (attack H15: else a few thousand questions open a recorded session).
 *
 * Numbers are big-endian and as long as n; digits are decimal, without sign or leading zero. */
#ifndef COMMON_CRYPTO_TEXTBOOK_H
#define COMMON_CRYPTO_TEXTBOOK_H

#include "common/crypto/cbc.h"

enum {
    TEXTBOOK_E = 65537,
    TEXTBOOK_BITS_MIN = 1024,
    TEXTBOOK_DIGITS_MAX = 1300,
    TEXTBOOK_LEN_MIN = TEXTBOOK_BITS_MIN / 8,
    TEXTBOOK_LEN_MAX = 540, /* bytes of the longest number of that many digits */
};

/* A number that somebody may know. */
struct textbook_open {
    uint8_t b[TEXTBOOK_LEN_MAX];
    size_t n;
};

/* Digits to a number and back. 0, or -1: longer than the bounds above, or not digits. out of
 * textbook_digits is ended by NUL. */
int textbook_number(struct textbook_open *out, struct str digits) MUST_USE;
int textbook_digits(char out[TEXTBOOK_DIGITS_MAX + 1], struct span number) MUST_USE;

/* Can this be an n: at least TEXTBOOK_BITS_MIN bits, odd? */
bool textbook_modulus(const struct textbook_open *n);
/* k^e mod n; as long as n. */
int textbook_raise(struct textbook_open *out, const struct aes_key *k,
                   const struct textbook_open *n) MUST_USE;

struct textbook; /* a pair of keys; one thread at a time */

struct textbook *textbook_new(unsigned bits, const struct rng *r, struct err *e);
struct textbook *textbook_copy(const struct textbook *t, struct err *e); /* for another thread */
void textbook_free(struct textbook *t);                                  /* wipes; NULL is fine */
void textbook_open(const struct textbook *t, struct textbook_open *n);

/* What was raised; or, when c was made from no such key, a key that nobody knows. -1: c is no
 * number from 2 to n - 2, or it cannot be computed. */
int textbook_lower(struct textbook *t, const struct rng *r, const struct textbook_open *c,
                   struct aes_key *out) MUST_USE;

#endif
