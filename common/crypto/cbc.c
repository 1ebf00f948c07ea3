#include "common/crypto/cbc.h"

#include <assert.h>
#include <mbedtls/aes.h>
#include <sodium.h>
#include <string.h>

enum { AES_BITS = 128, AES_LEN = AES_BITS / 8 };

struct keys {
    uint8_t aes[AES_LEN], mac[CBC_MAC], iv[AES_LEN];
};

static int keys_make(struct keys *out, const struct key *k)
{
    static const char info[] = "countersign cbc";

    static_assert(sizeof *out == 64, "three keys without gaps");
    return hkdf_expand(HASH_SHA256, span_of(k->b, sizeof k->b), span_of(info, sizeof info - 1),
                       (uint8_t *)out, sizeof *out);
}

size_t cbc_len(size_t n)
{
    return CBC_IV + (n / CBC_BLOCK + 1) * CBC_BLOCK + CBC_MAC;
}

static void count_put(uint8_t out[8], uint64_t v)
{
    struct wr w = wr_of(out, 8);

    wr_u64(&w, v);
}

static int iv_make(const uint8_t key[AES_LEN], uint64_t seq, uint8_t iv[CBC_IV])
{
    mbedtls_aes_context aes;
    uint8_t block[CBC_BLOCK] = {0};

    count_put(block + 8, seq);
    mbedtls_aes_init(&aes);
    int rc = mbedtls_aes_setkey_enc(&aes, key, AES_BITS);
    if (rc == 0)
        rc = mbedtls_aes_crypt_ecb(&aes, MBEDTLS_AES_ENCRYPT, block, iv);
    mbedtls_aes_free(&aes);
    return rc == 0 ? 0 : -1;
}

/* text: whole blocks. The IV stays as it is. */
static int blocks(const uint8_t key[AES_LEN], int mode, const uint8_t iv[CBC_IV], struct span text,
                  uint8_t *out)
{
    mbedtls_aes_context aes;
    uint8_t chain[CBC_IV];

    memcpy(chain, iv, sizeof chain);
    mbedtls_aes_init(&aes);
    int rc = mode == MBEDTLS_AES_ENCRYPT ? mbedtls_aes_setkey_enc(&aes, key, AES_BITS)
                                         : mbedtls_aes_setkey_dec(&aes, key, AES_BITS);
    if (rc == 0)
        rc = mbedtls_aes_crypt_cbc(&aes, mode, text.n, chain, text.p, out);
    mbedtls_aes_free(&aes);
    return rc == 0 ? 0 : -1;
}

/* Of what stands before the sealed text, and of that. */
static void mac_make(const uint8_t key[CBC_MAC], const struct span before[2], struct span sealed,
                     uint8_t out[CBC_MAC])
{
    crypto_auth_hmacsha256_state st;

    crypto_auth_hmacsha256_init(&st, key, CBC_MAC);
    crypto_auth_hmacsha256_update(&st, before[0].p, before[0].n);
    crypto_auth_hmacsha256_update(&st, before[1].p, before[1].n);
    crypto_auth_hmacsha256_update(&st, sealed.p, sealed.n);
    crypto_auth_hmacsha256_final(&st, out);
    wipe(&st, sizeof st);
}

/* n bytes of text behind the IV at out. */
static int seal(const uint8_t aes[AES_LEN], const uint8_t mac[CBC_MAC], const struct span before[2],
                uint8_t *out, size_t n)
{
    size_t pad = CBC_BLOCK - n % CBC_BLOCK, all = CBC_IV + n + pad;
    uint8_t *text = out + CBC_IV;

    memset(text + n, (int)pad, pad);
    if (blocks(aes, MBEDTLS_AES_ENCRYPT, out, span_of(text, n + pad), text) < 0)
        return -1;
    mac_make(mac, before, span_of(out, all), out + all);
    return 0;
}

int cbc_seal(const struct key *k, uint64_t seq, struct span head, uint8_t *out, size_t n)
{
    struct keys keys;
    uint8_t count[8];
    int ret = -1;

    count_put(count, seq);
    const struct span before[2] = {span_of(count, sizeof count), head};
    if (keys_make(&keys, k) == 0 && iv_make(keys.iv, seq, out) == 0)
        ret = seal(keys.aes, keys.mac, before, out, n);
    wipe(&keys, sizeof keys);
    return ret;
}

int cbc_plain_seal(const struct cbc_keys *k, uint64_t seq, uint8_t *out, size_t n)
{
    const struct span before[2] = {{NULL, 0}, {NULL, 0}};

    return iv_make(k->iv.b, seq, out) < 0 ? -1 : seal(k->aes.b, k->mac.b, before, out, n);
}

/* Behind a good MAC: only who has the key can have made it wrong. */
static int unpad(const uint8_t *text, size_t all, size_t *n)
{
    size_t pad = text[all - 1];

    if (pad == 0 || pad > CBC_BLOCK)
        return -1;
    for (size_t i = all - pad; i < all; i++)
        if (text[i] != pad)
            return -1;
    *n = all - pad;
    return 0;
}

static int open_sealed(const uint8_t aes[AES_LEN], const uint8_t mac[CBC_MAC],
                       const struct span before[2], struct span sealed, uint8_t *out, size_t *n)
{
    uint8_t want[CBC_MAC];
    int ret = -1;

    if (sealed.n < CBC_LEAST || sealed.n % CBC_BLOCK != 0)
        return -1;
    struct span body = span_of(sealed.p, sealed.n - CBC_MAC);
    struct span text = span_of(sealed.p + CBC_IV, body.n - CBC_IV);
    mac_make(mac, before, body, want);
    if (!secret_same(want, body.p + body.n, sizeof want))
        return -1;
    if (blocks(aes, MBEDTLS_AES_DECRYPT, sealed.p, text, out) == 0)
        ret = unpad(out, text.n, n);
    if (ret < 0)
        wipe(out, text.n);
    return ret;
}

int cbc_open(const struct key *k, uint64_t seq, struct span head, struct span sealed, uint8_t *out,
             size_t *n)
{
    struct keys keys;
    uint8_t count[8];
    int ret = -1;

    count_put(count, seq);
    const struct span before[2] = {span_of(count, sizeof count), head};
    if (keys_make(&keys, k) == 0)
        ret = open_sealed(keys.aes, keys.mac, before, sealed, out, n);
    wipe(&keys, sizeof keys);
    return ret;
}

int cbc_plain_open(const struct cbc_keys *k, struct span sealed, uint8_t *out, size_t *n)
{
    const struct span before[2] = {{NULL, 0}, {NULL, 0}};

    return open_sealed(k->aes.b, k->mac.b, before, sealed, out, n);
}
