#include "common/crypto/pkey.h"

#include <errno.h>
#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/blinding.h"
#include "common/crypto/x509_inside.h"
#include "common/util/limits.h"

struct pkey {
    mbedtls_pk_context pk;
};

struct pubkey {
    mbedtls_pk_context pk;
};

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 4096, PSS_SALT = 32 };

static_assert(SIG_MAX * 8 >= RSA_BITS_MAX, "any signature fits");

/* RSA of a sane size or P-256: everything else, from files or from peers, is refused here. */
static int pk_allowed(const mbedtls_pk_context *pk, struct err *e)
{
    size_t bits = mbedtls_pk_get_bitlen(pk);

    if (mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA) {
        if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
            return err_set(e, ERR_DATA, "RSA key of %zu bits: %d to %d are allowed", bits,
                           RSA_BITS_MIN, RSA_BITS_MAX);
        return 0;
    }
    if (mbedtls_pk_get_type(pk) == MBEDTLS_PK_ECKEY && mbedtls_pk_ec(*pk) != NULL &&
        mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(*pk)) == MBEDTLS_ECP_DP_SECP256R1)
        return 0;
    return err_set(e, ERR_DATA, "the key is neither RSA nor P-256");
}

static const struct {
    mbedtls_pk_type_t type;
    unsigned bits;
} kinds[] = {
    [PKEY_RSA_2048] = {MBEDTLS_PK_RSA, 2048},
    [PKEY_RSA_3072] = {MBEDTLS_PK_RSA, 3072},
    [PKEY_RSA_4096] = {MBEDTLS_PK_RSA, 4096},
    [PKEY_P256] = {MBEDTLS_PK_ECKEY, 256},
};

static struct pkey *pkey_new(struct err *e)
{
    struct pkey *k = calloc(1, sizeof *k);

    if (k == NULL)
        err_set(e, ERR_LOCAL, "no memory for a key");
    else
        mbedtls_pk_init(&k->pk);
    return k;
}

static int pk_fill(mbedtls_pk_context *pk, enum pkey_kind kind, const struct rng *r)
{
    void *ctx = (void *)(uintptr_t)r;

    if (mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(kinds[kind].type)) != 0)
        return -1;
    if (kinds[kind].type == MBEDTLS_PK_RSA)
        return mbedtls_rsa_gen_key(mbedtls_pk_rsa(*pk), rng_mbedtls, ctx, kinds[kind].bits, 65537);
    return mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*pk), rng_mbedtls, ctx);
}

struct pkey *pkey_generate(enum pkey_kind kind, const struct rng *r, struct err *e)
{
    struct pkey *k = pkey_new(e);

    if (k != NULL && pk_fill(&k->pk, kind, r) != 0) {
        err_set(e, ERR_LOCAL, "a key of %u bits cannot be made", kinds[kind].bits);
        pkey_free(k);
        k = NULL;
    }
    return k;
}

/* mbedTLS wants PEM with its NUL, DER without: so the bytes are copied once. */
static int pk_read_private(mbedtls_pk_context *pk, struct span file, const struct rng *r)
{
    uint8_t *copy = malloc(file.n + 1);

    if (copy == NULL)
        return -1;
    memcpy(copy, file.p, file.n);
    copy[file.n] = '\0';
    bool pem = file.n > 11 && memcmp(copy, "-----BEGIN ", 11) == 0;
    int rc = mbedtls_pk_parse_key(pk, copy, file.n + (pem ? 1 : 0), NULL, 0, rng_mbedtls,
                                  (void *)(uintptr_t)r);
    wipe(copy, file.n + 1);
    free(copy);
    return rc;
}

struct pkey *pkey_parse(struct span file, const struct rng *r, struct err *e)
{
    struct pkey *k;

    if (file.n == 0 || file.n > 4 * PKEY_DER_MAX) {
        err_set(e, ERR_DATA, "no private key: %zu bytes", file.n);
        return NULL;
    }
    k = pkey_new(e);
    if (k == NULL)
        return NULL;
    if (pk_read_private(&k->pk, file, r) != 0)
        err_set(e, ERR_DATA, "not an unencrypted private key in DER or PEM");
    else if (pk_allowed(&k->pk, e) == 0)
        return k;
    pkey_free(k);
    return NULL;
}

void pkey_free(struct pkey *k)
{
    if (k == NULL)
        return;
    mbedtls_pk_free(&k->pk); /* wipes its numbers */
    free(k);
}

bool pkey_is_rsa(const struct pkey *k)
{
    return mbedtls_pk_get_type(&k->pk) == MBEDTLS_PK_RSA;
}

unsigned pkey_bits(const struct pkey *k)
{
    return (unsigned)mbedtls_pk_get_bitlen(&k->pk);
}

/* mbedTLS writes DER at the end of the buffer; callers want it at the front. */
static int der_front(uint8_t *out, size_t cap, int written, size_t *n, struct err *e)
{
    if (written <= 0)
        return err_set(e, ERR_LOCAL, "a key cannot be written as DER");
    *n = (size_t)written;
    memmove(out, out + cap - *n, *n);
    wipe(out + *n, cap - *n);
    return 0;
}

int pkey_der(const struct pkey *k, uint8_t out[PKEY_DER_MAX], size_t *n, struct err *e)
{
    return der_front(out, PKEY_DER_MAX, mbedtls_pk_write_key_der(&k->pk, out, PKEY_DER_MAX), n, e);
}

int pkey_spki(const struct pkey *k, uint8_t out[SPKI_MAX], size_t *n, struct err *e)
{
    return der_front(out, SPKI_MAX, mbedtls_pk_write_pubkey_der(&k->pk, out, SPKI_MAX), n, e);
}

int pkey_sign_pss(struct pkey *k, const struct rng *r, struct span data, uint8_t *sig, size_t *n,
                  struct err *e)
{
    struct hash h;

    if (!pkey_is_rsa(k))
        return err_set(e, ERR_LOCAL, "this key cannot sign with RSA-PSS");
    sha256(data, &h);
    errno = 0; /* mbedTLS calls no memory a bad signature */
    mbedtls_rsa_context *rsa = mbedtls_pk_rsa(k->pk);
    bool bad =
        mbedtls_rsa_set_padding(rsa, MBEDTLS_RSA_PKCS_V21, MBEDTLS_MD_SHA256) != 0 ||
        mbedtls_rsa_rsassa_pss_sign_ext(rsa, rng_mbedtls, (void *)(uintptr_t)r, MBEDTLS_MD_SHA256,
                                        sizeof h, h.b, PSS_SALT, sig) != 0;
    /* Requests signed with this key later are PKCS#1 v1.5 again. */
    (void)mbedtls_rsa_set_padding(rsa, MBEDTLS_RSA_PKCS_V15, MBEDTLS_MD_NONE);
    if (bad) {
        blinding_forget(rsa);
        return err_set(e, ERR_LOCAL,
                       errno == ENOMEM ? "no memory for a signature" : "RSA-PSS signing failed");
    }
    *n = mbedtls_rsa_get_len(rsa);
    return 0;
}

int pkey_sign(struct pkey *k, const struct rng *r, struct span data, uint8_t sig[SIG_MAX],
              size_t *n, struct err *e)
{
    struct hash h;

    if (pkey_is_rsa(k))
        return pkey_sign_pss(k, r, data, sig, n, e);
    sha256(data, &h);
    if (mbedtls_pk_sign(&k->pk, MBEDTLS_MD_SHA256, h.b, sizeof h, sig, SIG_MAX, n, rng_mbedtls,
                        (void *)(uintptr_t)r) != 0)
        return err_set(e, ERR_LOCAL, "ECDSA signing failed");
    return 0;
}

void *pkey_mbedtls(struct pkey *k)
{
    return &k->pk;
}

struct pubkey *pubkey_parse(struct span spki, struct err *e)
{
    struct pubkey *k = NULL;

    if (spki.n == 0 || spki.n > SPKI_MAX) {
        err_set(e, ERR_DATA, "no public key: %zu bytes", spki.n);
        return NULL;
    }
    k = calloc(1, sizeof *k);
    if (k == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a key");
        return NULL;
    }
    mbedtls_pk_init(&k->pk);
    uint8_t *p = (uint8_t *)(uintptr_t)spki.p; /* mbedTLS's type; it reads only */
    if (mbedtls_pk_parse_subpubkey(&p, spki.p + spki.n, &k->pk) != 0 || p != spki.p + spki.n)
        err_set(e, ERR_DATA, "not a public key in DER");
    else if (pk_allowed(&k->pk, e) == 0) {
        if (pk_plain(&k->pk, spki))
            return k;
        err_set(e, ERR_DATA, "a point that is written in another form");
    }
    pubkey_free(k);
    return NULL;
}

void pubkey_free(struct pubkey *k)
{
    if (k == NULL)
        return;
    mbedtls_pk_free(&k->pk);
    free(k);
}

bool pubkey_is_rsa(const struct pubkey *k)
{
    return mbedtls_pk_get_type(&k->pk) == MBEDTLS_PK_RSA;
}

unsigned pubkey_bits(const struct pubkey *k)
{
    return (unsigned)mbedtls_pk_get_bitlen(&k->pk);
}

bool pubkey_verify_pss(struct pubkey *k, struct span data, struct span sig)
{
    struct hash h;

    if (!pubkey_is_rsa(k) || sig.n != mbedtls_rsa_get_len(mbedtls_pk_rsa(k->pk)))
        return false;
    sha256(data, &h);
    return mbedtls_rsa_rsassa_pss_verify_ext(mbedtls_pk_rsa(k->pk), MBEDTLS_MD_SHA256, sizeof h,
                                             h.b, MBEDTLS_MD_SHA256, PSS_SALT, sig.p) == 0;
}

bool pubkey_verify(struct pubkey *k, struct span data, struct span sig)
{
    struct hash h;

    if (pubkey_is_rsa(k))
        return pubkey_verify_pss(k, data, sig);
    sha256(data, &h);
    return mbedtls_pk_verify(&k->pk, MBEDTLS_MD_SHA256, h.b, sizeof h, sig.p, sig.n) == 0;
}
