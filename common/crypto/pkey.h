/* pkey.h -- private keys (RSA, P-256) and what they do: sign. Public keys: verify.
 *
 * Messages are signed with RSASSA-PSS, SHA-256, MGF1-SHA-256, salt 32 (RFC 8017), whatever the size
 * of the key; openssl checks them with -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32.
 * A struct pkey is used by one thread at a time (mbedtls.md trap 5). */
#ifndef COMMON_CRYPTO_PKEY_H
#define COMMON_CRYPTO_PKEY_H

#include "common/crypto/crypto.h"
#include "common/util/limits.h"

struct pkey;   /* private key, owned, wiped by pkey_free */
struct pubkey; /* public key */

enum pkey_kind { PKEY_RSA_2048, PKEY_RSA_3072, PKEY_RSA_4096, PKEY_P256 };

enum { PKEY_DER_MAX = 4096, SPKI_MAX = 1024 };

struct pkey *pkey_generate(enum pkey_kind kind, const struct rng *r, struct err *e);
/* From DER or PEM (local files only), unencrypted: PKCS#8, PKCS#1 or SEC1. RSA of 2048 to 4096 bits
 * or P-256; anything else is refused. */
struct pkey *pkey_parse(struct span file, const struct rng *r, struct err *e);
void pkey_free(struct pkey *k); /* NULL is fine */

bool pkey_is_rsa(const struct pkey *k);
unsigned pkey_bits(const struct pkey *k);

/* The key as DER (PKCS#1 or SEC1), and its SubjectPublicKeyInfo. *n is what was written. */
int pkey_der(const struct pkey *k, uint8_t out[PKEY_DER_MAX], size_t *n, struct err *e) MUST_USE;
int pkey_spki(const struct pkey *k, uint8_t out[SPKI_MAX], size_t *n, struct err *e) MUST_USE;

/* RSA-PSS over data; sig has SIG_MAX bytes. Refuses a P-256 key. */
int pkey_sign_pss(struct pkey *k, const struct rng *r, struct span data, uint8_t *sig, size_t *n,
                  struct err *e) MUST_USE;

/* What a handshake is signed with: RSA-PSS as above, or with P-256 ECDSA over SHA-256, DER. */
int pkey_sign(struct pkey *k, const struct rng *r, struct span data, uint8_t sig[SIG_MAX],
              size_t *n, struct err *e) MUST_USE;

/* For common/crypto and the TLS link alone: the mbedtls_pk_context inside, borrowed. */
void *pkey_mbedtls(struct pkey *k);

struct pubkey *pubkey_parse(struct span spki, struct err *e); /* exactly the DER, nothing behind */
void pubkey_free(struct pubkey *k);
bool pubkey_is_rsa(const struct pubkey *k);
unsigned pubkey_bits(const struct pubkey *k);
/* true when sig is the RSA-PSS signature (salt exactly 32) of data under k. */
bool pubkey_verify_pss(struct pubkey *k, struct span data, struct span sig);
/* true when sig is what pkey_sign gives for data. ECDSA has two valid forms of every signature:
 * never an identifier. */
bool pubkey_verify(struct pubkey *k, struct span data, struct span sig);

#endif
