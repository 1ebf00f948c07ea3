/* keybox.h -- a secret sealed under a password, as the bytes of a file.
 *
 *   "countersign-keybox-1\n"  u32 t  u32 m_kib  salt[16]  nonce[24]  XChaCha20-Poly1305 box
 *
 * The key is Argon2id(NFC(password), salt, t, m); everything before the box is authenticated with
 * it. The same password opens it on any machine; a wrong one and a damaged file look alike. */
#ifndef COMMON_CRYPTO_KEYBOX_H
#define COMMON_CRYPTO_KEYBOX_H

#include "common/crypto/argon.h"

enum { KEYBOX_SECRET_MAX = 8192, KEYBOX_OVERHEAD = 21 + 8 + 16 + 24 + 16 };

/* Seals up to KEYBOX_SECRET_MAX bytes into out (secret.n + KEYBOX_OVERHEAD bytes). */
int keybox_seal(struct span secret, struct str password, struct argon_cost cost,
                const struct rng *r, uint8_t *out, struct err *e) MUST_USE;

/* Opens; out has KEYBOX_SECRET_MAX bytes and is zeroed on failure; ERR_AUTH means wrong password or
 * damage, ERR_DATA that this is no keybox. */
int keybox_open(struct span file, struct str password, uint8_t *out, size_t *n,
                struct err *e) MUST_USE;

#endif
