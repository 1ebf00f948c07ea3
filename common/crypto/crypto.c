#include "common/crypto/crypto.h"

#include <assert.h>
#include <mbedtls/gcm.h>
#include <mbedtls/hkdf.h>
#include <mbedtls/md.h>
#include <mbedtls/sha256.h>
#include <psa/crypto.h>
#include <sodium.h>
#include <string.h>

static_assert(sizeof(struct hash) == crypto_hash_sha256_BYTES, "a hash is a SHA-256");
static_assert(sizeof(struct key) == crypto_aead_aes256gcm_KEYBYTES, "a key fits every AEAD");

/* mbedTLS finds out about AES-NI in its first operation and notes it in a static: not under
 * threads. */
static void aes_warm_up(void)
{
    const uint8_t zero[32] = {0};
    mbedtls_gcm_context gcm;

    mbedtls_gcm_init(&gcm);
    (void)mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, zero, 256);
    mbedtls_gcm_free(&gcm);
}

int crypto_init(struct err *e)
{
    if (sodium_init() < 0)
        return err_set(e, ERR_LOCAL, "libsodium does not start");
    if (psa_crypto_init() != PSA_SUCCESS)
        return err_set(e, ERR_LOCAL, "mbedTLS does not start: no randomness from the system?");
    aes_warm_up();
    return 0;
}

static int system_fill(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    randombytes_buf(out, n);
    return 0;
}

struct rng rng_system(void)
{
    return (struct rng){system_fill, NULL};
}

int rng_fill(const struct rng *r, void *out, size_t n)
{
    return r->fill(r->ctx, out, n) == 0 ? 0 : -1;
}

int rng_mbedtls(void *ctx, unsigned char *out, size_t n)
{
    const struct rng *r = ctx;
    return r->fill(r->ctx, out, n) == 0 ? 0 : PSA_ERROR_INSUFFICIENT_ENTROPY;
}

void wipe(void *p, size_t n)
{
    if (n > 0)
        sodium_memzero(p, n);
}

void key_wipe(struct key *k)
{
    wipe(k, sizeof *k);
}

bool secret_same(const void *a, const void *b, size_t n)
{
    return sodium_memcmp(a, b, n) == 0;
}

bool hash_same(const struct hash *a, const struct hash *b)
{
    return secret_same(a, b, sizeof *a);
}

bool key_same(const struct key *a, const struct key *b)
{
    return secret_same(a, b, sizeof *a);
}

size_t hash_len(enum hash_kind kind)
{
    return kind == HASH_SHA384 ? SHA384_LEN : sizeof(struct hash);
}

void sha256(struct span data, struct hash *out)
{
    sha256_parts(&data, 1, out);
}

void sha256_parts(const struct span *parts, size_t n, struct hash *out)
{
    mbedtls_sha256_context ctx;

    mbedtls_sha256_init(&ctx);
    (void)mbedtls_sha256_starts(&ctx,
                                0); /* fails only with a hardware back end, and we have none */
    for (size_t i = 0; i < n; i++)
        if (parts[i].n > 0)
            (void)mbedtls_sha256_update(&ctx, parts[i].p, parts[i].n);
    (void)mbedtls_sha256_finish(&ctx, out->b);
    mbedtls_sha256_free(&ctx);
}

static_assert(sizeof(struct hash_run) == sizeof(crypto_hash_sha256_state),
              "a run holds libsodium's state");
static_assert(_Alignof(struct hash_run) >= _Alignof(crypto_hash_sha256_state), "and lies like it");

void hash_run_start(struct hash_run *r)
{
    crypto_hash_sha256_init((void *)r->b);
}

void hash_run_add(struct hash_run *r, struct span s)
{
    if (s.n > 0)
        crypto_hash_sha256_update((void *)r->b, s.p, s.n);
}

void hash_run_look(const struct hash_run *r, struct hash *out)
{
    struct hash_run copy = *r;

    crypto_hash_sha256_final((void *)copy.b, out->b);
}

int share_draw(struct share *out, const struct rng *r)
{
    static_assert(SHARE_LEN == crypto_scalarmult_BYTES, "a share is a point of X25519");
    if (rng_fill(r, out->secret.b, sizeof out->secret.b) < 0)
        return -1;
    return crypto_scalarmult_base(out->open, out->secret.b);
}

int share_agree(struct key *out, const struct share *ours, const uint8_t theirs[SHARE_LEN])
{
    const uint8_t zero[SHARE_LEN] = {0};

    /* libsodium refuses low order by itself; RFC 7748 6.1 asks for the look at the result */
    if (crypto_scalarmult(out->b, ours->secret.b, theirs) == 0 &&
        !secret_same(out->b, zero, sizeof zero))
        return 0;
    key_wipe(out);
    return -1;
}

void share_wipe(struct share *s)
{
    wipe(s, sizeof *s);
}

void hmac_sha256(struct span key, struct span data, struct hash *out)
{
    crypto_auth_hmacsha256_state st;

    crypto_auth_hmacsha256_init(&st, key.p, key.n);
    crypto_auth_hmacsha256_update(&st, data.p, data.n);
    crypto_auth_hmacsha256_final(&st, out->b);
    wipe(&st, sizeof st);
}

static const mbedtls_md_info_t *hash_md(enum hash_kind kind)
{
    return mbedtls_md_info_from_type(kind == HASH_SHA384 ? MBEDTLS_MD_SHA384 : MBEDTLS_MD_SHA256);
}

int hkdf_extract(enum hash_kind kind, struct span salt, struct span ikm, uint8_t *out)
{
    return mbedtls_hkdf_extract(hash_md(kind), salt.p, salt.n, ikm.p, ikm.n, out) == 0 ? 0 : -1;
}

int hkdf_expand(enum hash_kind kind, struct span prk, struct span info, uint8_t *out, size_t n)
{
    int rc = mbedtls_hkdf_expand(hash_md(kind), prk.p, prk.n, info.p, info.n, out, n);
    return rc == 0 ? 0 : -1;
}

int hkdf_expand_label(enum hash_kind kind, struct span secret, const char *label,
                      struct span context, uint8_t *out, size_t n)
{
    uint8_t info[2 + 1 + 255 + 1 + 255];
    struct wr w = wr_of(info, sizeof info);
    size_t at;

    if (n > HKDF_MAX)
        return -1;
    wr_u16(&w, (uint16_t)n);
    at = wr_open(&w, 1);
    wr_put(&w, "tls13 ", 6);
    wr_put(&w, label, strlen(label));
    wr_close(&w, at, 1);
    at = wr_open(&w, 1);
    wr_put(&w, context.p, context.n);
    wr_close(&w, at, 1);
    return w.bad ? -1 : hkdf_expand(kind, secret, wr_span(&w), out, n);
}

/* --- AES-256-GCM: libsodium's where the processor has AES-NI and PCLMUL, else mbedTLS's --- */

static int gcm_seal_slow(const struct key *k, const uint8_t *nonce, struct span aad,
                         struct span plain, uint8_t *out)
{
    mbedtls_gcm_context g;

    mbedtls_gcm_init(&g);
    int rc = mbedtls_gcm_setkey(&g, MBEDTLS_CIPHER_ID_AES, k->b, 256);
    if (rc == 0)
        rc = mbedtls_gcm_crypt_and_tag(&g, MBEDTLS_GCM_ENCRYPT, plain.n, nonce, 12, aad.p, aad.n,
                                       plain.p, out, AEAD_TAG_LEN, out + plain.n);
    mbedtls_gcm_free(&g);
    return rc == 0 ? 0 : -1;
}

static int gcm_open_slow(const struct key *k, const uint8_t *nonce, struct span aad,
                         struct span sealed, uint8_t *out)
{
    size_t n = sealed.n - AEAD_TAG_LEN;
    mbedtls_gcm_context g;

    mbedtls_gcm_init(&g);
    int rc = mbedtls_gcm_setkey(&g, MBEDTLS_CIPHER_ID_AES, k->b, 256);
    if (rc == 0)
        rc = mbedtls_gcm_auth_decrypt(&g, n, nonce, 12, aad.p, aad.n, sealed.p + n, AEAD_TAG_LEN,
                                      sealed.p, out);
    mbedtls_gcm_free(&g);
    return rc == 0 ? 0 : -1;
}

static int gcm_seal(const struct key *k, const uint8_t *nonce, struct span aad, struct span plain,
                    uint8_t *out)
{
    crypto_aead_aes256gcm_state st; /* ours, so that it is known to be wiped */

    if (!crypto_aead_aes256gcm_is_available())
        return gcm_seal_slow(k, nonce, aad, plain, out);
    crypto_aead_aes256gcm_beforenm(&st, k->b);
    int rc = crypto_aead_aes256gcm_encrypt_afternm(out, NULL, plain.p, plain.n, aad.p, aad.n, NULL,
                                                   nonce, &st);
    wipe(&st, sizeof st);
    return rc;
}

static int gcm_open(const struct key *k, const uint8_t *nonce, struct span aad, struct span sealed,
                    uint8_t *out)
{
    crypto_aead_aes256gcm_state st;

    if (!crypto_aead_aes256gcm_is_available())
        return gcm_open_slow(k, nonce, aad, sealed, out);
    crypto_aead_aes256gcm_beforenm(&st, k->b);
    int rc = crypto_aead_aes256gcm_decrypt_afternm(out, NULL, NULL, sealed.p, sealed.n, aad.p,
                                                   aad.n, nonce, &st);
    wipe(&st, sizeof st);
    return rc;
}

static int chacha_seal(const struct key *k, const uint8_t *nonce, struct span aad,
                       struct span plain, uint8_t *out)
{
    return crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain.p, plain.n, aad.p, aad.n,
                                                     NULL, nonce, k->b);
}

static int chacha_open(const struct key *k, const uint8_t *nonce, struct span aad,
                       struct span sealed, uint8_t *out)
{
    return crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.p, sealed.n, aad.p,
                                                     aad.n, nonce, k->b);
}

static int xchacha_seal(const struct key *k, const uint8_t *nonce, struct span aad,
                        struct span plain, uint8_t *out)
{
    return crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plain.p, plain.n, aad.p, aad.n,
                                                      NULL, nonce, k->b);
}

static int xchacha_open(const struct key *k, const uint8_t *nonce, struct span aad,
                        struct span sealed, uint8_t *out)
{
    return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.p, sealed.n, aad.p,
                                                      aad.n, nonce, k->b);
}

typedef int aead_fn(const struct key *k, const uint8_t *nonce, struct span aad, struct span in,
                    uint8_t *out);

static const struct aead {
    size_t nonce_len;
    aead_fn *seal, *open;
} aeads[] = {
    [AEAD_AES_256_GCM] = {12, gcm_seal, gcm_open},
    [AEAD_CHACHA20_POLY1305] = {12, chacha_seal, chacha_open},
    [AEAD_XCHACHA20_POLY1305] = {24, xchacha_seal, xchacha_open},
};

void aead_nonce(uint8_t nonce[AEAD_IV_LEN], const uint8_t iv[AEAD_IV_LEN], uint64_t seq)
{
    memcpy(nonce, iv, AEAD_IV_LEN);
    for (size_t i = 0; i < sizeof seq; i++)
        nonce[AEAD_IV_LEN - 1 - i] ^= (uint8_t)(seq >> 8 * i);
}

size_t aead_nonce_len(enum aead_kind kind)
{
    return aeads[kind].nonce_len;
}

bool aead_fast(enum aead_kind kind)
{
    return kind != AEAD_AES_256_GCM || crypto_aead_aes256gcm_is_available();
}

int aead_seal(enum aead_kind kind, const struct key *k, const uint8_t *nonce, struct span aad,
              struct span plain, uint8_t *out)
{
    return aeads[kind].seal(k, nonce, aad, plain, out) == 0 ? 0 : -1;
}

int aead_open(enum aead_kind kind, const struct key *k, const uint8_t *nonce, struct span aad,
              struct span sealed, uint8_t *out)
{
    if (sealed.n < AEAD_TAG_LEN)
        return -1;
    if (aeads[kind].open(k, nonce, aad, sealed, out) == 0)
        return 0;
    wipe(out, sealed.n - AEAD_TAG_LEN);
    return -1;
}
