/* crypto.h -- hashes, MACs, key derivation, authenticated encryption, randomness, secrets.
 *
 * The only folder that includes mbedTLS or libsodium is common/crypto. Nothing here keeps state
 * between calls, so any thread may use it after crypto_init. Sizes in bytes.
 * Sources: FIPS 180-4, RFC 2104, RFC 5869, RFC 8446 7.1, RFC 7748, NIST SP 800-38D, RFC 8439. */
#ifndef COMMON_CRYPTO_CRYPTO_H
#define COMMON_CRYPTO_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/bytes.h"
#include "common/util/err.h"

/* Prepares mbedTLS's PSA layer and libsodium. Once per process, before any thread starts. */
int crypto_init(struct err *e) MUST_USE;

/* --- randomness: handed to whoever needs it, so that a test can say what is drawn --- */

struct rng {
    int (*fill)(void *ctx, uint8_t *out, size_t n); /* 0, or not 0 when nothing can be drawn */
    void *ctx;
};

struct rng rng_system(void);                                     /* the kernel's generator */
int rng_fill(const struct rng *r, void *out, size_t n) MUST_USE; /* 0 or -1 */
/* The same for mbedTLS's f_rng callbacks: ctx is a struct rng. */
int rng_mbedtls(void *ctx, unsigned char *out, size_t n);

/* --- secrets have types; one function wipes, one compares --- */

struct hash {
    uint8_t b[32];
};
struct key {
    uint8_t b[32];
};
struct tag {
    uint8_t b[16];
};

void wipe(void *p, size_t n); /* not removed by the compiler; NULL with 0 is fine */
void key_wipe(struct key *k);
bool secret_same(const void *a, const void *b, size_t n); /* time depends on n alone */
bool hash_same(const struct hash *a, const struct hash *b);
bool key_same(const struct key *a, const struct key *b);

/* --- hashes and derivation --- */

enum { SHA384_LEN = 48, HKDF_MAX = 64 };
enum hash_kind { HASH_SHA256, HASH_SHA384 };
size_t hash_len(enum hash_kind kind);

void sha256(struct span data, struct hash *out);
void sha256_parts(const struct span *parts, size_t n,
                  struct hash *out); /* of their concatenation */

/* A SHA-256 that is fed in pieces and may be looked at in between. A copy is a run of its own. */
struct hash_run {
    _Alignas(8) uint8_t b[104];
};

void hash_run_start(struct hash_run *r);
void hash_run_add(struct hash_run *r, struct span s);
void hash_run_look(const struct hash_run *r, struct hash *out); /* r goes on afterwards */

void hmac_sha256(struct span key, struct span data, struct hash *out);

/* RFC 5869. out of hkdf_extract has hash_len bytes. 0, or -1 when a length is impossible. */
int hkdf_extract(enum hash_kind kind, struct span salt, struct span ikm, uint8_t *out) MUST_USE;
int hkdf_expand(enum hash_kind kind, struct span prk, struct span info, uint8_t *out,
                size_t n) MUST_USE;
/* RFC 8446 7.1 HKDF-Expand-Label; label without "tls13 ", at most HKDF_MAX bytes of output. */
int hkdf_expand_label(enum hash_kind kind, struct span secret, const char *label,
                      struct span context, uint8_t *out, size_t n) MUST_USE;

/* --- agreement: X25519 (RFC 7748) --- */

enum { SHARE_LEN = 32 };

/* One side's ephemeral pair. share_wipe once the secret was agreed. */
struct share {
    struct key secret;
    uint8_t open[SHARE_LEN]; /* what the other side is told */
};

int share_draw(struct share *out, const struct rng *r) MUST_USE;
/* 0, or -1: theirs is a point of low order, so the result would say nothing about us. */
int share_agree(struct key *out, const struct share *ours,
                const uint8_t theirs[SHARE_LEN]) MUST_USE;
void share_wipe(struct share *s);

/* --- authenticated encryption --- */

enum aead_kind {
    AEAD_AES_256_GCM,        /* libsodium with AES-NI, else mbedTLS; nonce 12 */
    AEAD_CHACHA20_POLY1305,  /* RFC 8439, nonce 12 */
    AEAD_XCHACHA20_POLY1305, /* nonce 24: may be drawn at random; for files and database fields */
};
enum { AEAD_TAG_LEN = 16, AEAD_NONCE_MAX = 24 };

size_t aead_nonce_len(enum aead_kind kind);
bool aead_fast(enum aead_kind kind); /* in hardware, or fast and constant-time without */

/* The nonce of record number seq under one key: its fixed iv XOR the number (RFC 8446 5.3). */
enum { AEAD_IV_LEN = 12 };
void aead_nonce(uint8_t nonce[AEAD_IV_LEN], const uint8_t iv[AEAD_IV_LEN], uint64_t seq);
/* out gets n + AEAD_TAG_LEN bytes; out may be where the plaintext is. 0 or -1. */
int aead_seal(enum aead_kind kind, const struct key *k, const uint8_t *nonce, struct span aad,
              struct span plain, uint8_t *out) MUST_USE;
/* out gets n - AEAD_TAG_LEN bytes, zeros when the tag is wrong. 0, or -1: forged or too short. */
int aead_open(enum aead_kind kind, const struct key *k, const uint8_t *nonce, struct span aad,
              struct span sealed, uint8_t *out) MUST_USE;

#endif
