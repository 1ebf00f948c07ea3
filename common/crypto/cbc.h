/* cbc.h -- AES-128-CBC with PKCS#7 padding, then HMAC-SHA256 over it: encrypt, then MAC.
 *
 * For links whose document asks for CBC. One key of 32 bytes gives three (HKDF-Expand, info
 * "countersign cbc", 64 bytes): 16 for AES, 32 for the MAC, 16 for IVs. A sealed text is
 *
 *     iv (16) || ciphertext || mac (32)
 *     iv = AES-128(iv key, u64 0 || u64 seq)      unpredictable to everybody else, never twice
 *     mac = HMAC-SHA256(mac key, u64 seq || head || iv || ciphertext)
 *
 * The caller counts seq and never uses one twice under one key. The MAC is compared first and in
 * constant time; what fails fails alike, before anything was decrypted, so nobody who lacks the
 * key ever learns about padding. Sources: NIST SP 800-38A (6.2, appendix C), RFC 5652 6.3,
 * RFC 2104. */
#ifndef COMMON_CRYPTO_CBC_H
#define COMMON_CRYPTO_CBC_H

#include "common/crypto/crypto.h"

enum {
    CBC_BLOCK = 16,
    CBC_IV = CBC_BLOCK,
    CBC_MAC = 32,
    CBC_LEAST = CBC_IV + CBC_BLOCK + CBC_MAC, /* what sealing nothing gives */
    CBC_EXTRA = CBC_LEAST,                    /* at most more than the text */
};

size_t cbc_len(size_t n); /* of n bytes, sealed */

/* n bytes at out + CBC_IV are sealed where they lie; out has cbc_len(n) bytes. 0 or -1. */
int cbc_seal(const struct key *k, uint64_t seq, struct span head, uint8_t *out, size_t n) MUST_USE;
/* out gets sealed.n - CBC_IV - CBC_MAC bytes, of which *n are the text; it may be where the
 * ciphertext lies, sealed.p + CBC_IV. 0, or -1: forged, cut or of a length that nothing has; then
 * out is untouched or zeros. */
int cbc_open(const struct key *k, uint64_t seq, struct span head, struct span sealed, uint8_t *out,
             size_t *n) MUST_USE;

/* The same text under keys of the caller's, without counter or head, for the link `classic`: the
 * MAC is over iv || ciphertext alone, so it says nothing of order or direction. */
struct aes_key {
    uint8_t b[16];
};
struct cbc_keys {
    struct aes_key aes, iv; /* iv: only who seals needs it, and nobody else has it */
    struct key mac;
};

int cbc_plain_seal(const struct cbc_keys *k, uint64_t seq, uint8_t *out, size_t n) MUST_USE;
int cbc_plain_open(const struct cbc_keys *k, struct span sealed, uint8_t *out, size_t *n) MUST_USE;

#endif
