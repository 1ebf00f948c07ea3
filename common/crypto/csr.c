#include "common/crypto/csr.h"

#include <mbedtls/x509_csr.h>
#include <stdio.h>
#include <string.h>

#include "common/crypto/x509_inside.h"

static int csr_write(mbedtls_x509write_csr *w, struct pkey *k, const char *cn, const struct rng *r,
                     uint8_t *out)
{
    char subject[CERT_NAME_MAX];

    snprintf(subject, sizeof subject, "CN=%s", cn);
    mbedtls_x509write_csr_set_key(w, pkey_mbedtls(k));
    mbedtls_x509write_csr_set_md_alg(w, MBEDTLS_MD_SHA256);
    int rc = mbedtls_x509write_csr_set_subject_name(w, subject);
    if (rc != 0)
        return rc;
    return mbedtls_x509write_csr_der(w, out, CSR_MAX, rng_mbedtls, (void *)(uintptr_t)r);
}

int csr_make(struct pkey *k, const char *cn, const struct rng *r, uint8_t out[CSR_MAX], size_t *n,
             struct err *e)
{
    mbedtls_x509write_csr w;

    mbedtls_x509write_csr_init(&w);
    int rc = csr_write(&w, k, cn, r, out);
    mbedtls_x509write_csr_free(&w);
    if (rc <= 0)
        return err_set(e, ERR_LOCAL, "a certificate request cannot be written (code -%x)",
                       (unsigned)-rc);
    *n = (size_t)rc;
    memmove(out, out + CSR_MAX - *n, *n); /* mbedTLS writes at the end */
    return 0;
}

/* No getters for how a request is signed. */
static bool csr_proves(mbedtls_x509_csr *q)
{
    return sig_strong(&q->sig_oid) &&
           sig_verify(BUF_SPAN(q->cri), q->MBEDTLS_PRIVATE(sig_md), q->MBEDTLS_PRIVATE(sig_pk),
                      q->MBEDTLS_PRIVATE(sig_opts), &q->pk, BUF_SPAN(q->MBEDTLS_PRIVATE(sig)));
}

static int csr_judge(mbedtls_x509_csr *q, struct csr *out, struct err *e)
{
    if (!pk_strong(&q->pk))
        return err_set(e, ERR_DATA, "certificate request: %s", cert_fault_text(CERT_WEAK_KEY));
    if (!csr_proves(q))
        return err_set(e, ERR_DATA, "certificate request: not signed with its own key");
    int n = mbedtls_pk_write_pubkey_der(&q->pk, out->spki, sizeof out->spki);
    if (n <= 0)
        return err_set(e, ERR_LOCAL, "the key of a certificate request cannot be written");
    out->spki_n = (size_t)n;
    memmove(out->spki, out->spki + sizeof out->spki - out->spki_n, out->spki_n);
    out->rsa = mbedtls_pk_get_type(&q->pk) == MBEDTLS_PK_RSA;
    out->bits = (unsigned)mbedtls_pk_get_bitlen(&q->pk);
    return 0;
}

int csr_parse(struct span der, struct csr *out, struct err *e)
{
    mbedtls_x509_csr q;
    size_t whole;

    if (der.n > CSR_MAX || !der_whole(der, &whole))
        return err_set(e, ERR_DATA, "not one certificate request in DER of at most %d bytes",
                       CSR_MAX);
    mbedtls_x509_csr_init(&q);
    int rc = mbedtls_x509_csr_parse_der(&q, der.p, der.n) == 0
                 ? csr_judge(&q, out, e)
                 : err_set(e, ERR_DATA, "the certificate request is malformed");
    mbedtls_x509_csr_free(&q);
    return rc;
}
