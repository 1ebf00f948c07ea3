/* memo.h -- which hashes were met before: a bounded set that forgets.
 *
 * For answers that depend on nothing but the bytes that were hashed and that cost more than a hash,
 * so that a "yes" need not be worked out twice. What is not in it may have been forgotten and is
 * worked out again. Knows neither what is hashed nor a clock. One thread at a time. MEMO_BYTES of
 * memory, of which the system gives what was touched. */
#ifndef COMMON_CRYPTO_MEMO_H
#define COMMON_CRYPTO_MEMO_H

#include "common/crypto/crypto.h"

enum { MEMO_WAYS = 4, MEMO_SETS = 1024, MEMO_BYTES = 33 * MEMO_WAYS * MEMO_SETS };

struct memo;

struct memo *memo_new(void); /* NULL: no memory; then nothing is remembered */
void memo_free(struct memo *m);
bool memo_has(const struct memo *m, const struct hash *h); /* NULL: never */
/* May drop another one: of those that share a set with h the one that came first. NULL is fine. */
void memo_add(struct memo *m, const struct hash *h);

#endif
