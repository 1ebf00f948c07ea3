/* blinding.h -- for the files of this folder that compute with an RSA key and may fail at it.
 * Without memory mbedTLS 3.6 leaves half of a pair of blinding values in the context, goes on from
 * it, and refuses its own results for ever. Without either it draws both anew. */
#ifndef COMMON_CRYPTO_BLINDING_H
#define COMMON_CRYPTO_BLINDING_H

#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>

static inline void blinding_forget(mbedtls_rsa_context *rsa)
{
    mbedtls_mpi_free(&rsa->MBEDTLS_PRIVATE(Vi));
    mbedtls_mpi_free(&rsa->MBEDTLS_PRIVATE(Vf));
}

/* The same for a key of any kind, or none at all. */
static inline void blinding_forget_pk(const mbedtls_pk_context *pk)
{
    if (mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA)
        blinding_forget(mbedtls_pk_rsa(*pk));
}

#endif
