/* Certificates, requests, lists and PEM from anywhere: refused or understood, never a crash. The
 * first byte says which. */
#include "common/crypto/csr.h"
#include "common/crypto/pem.h"
#include "common/crypto/x509.h"
#include "tests/fuzz/fuzz.h"

static void check(struct span der, enum cert_role role)
{
    struct cert_ask ask = {.role = role, .host = "relay.example", .at = 1795000000000};
    struct span chain[] = {der, der};
    struct err e = {0};
    enum cert_fault why;
    struct trust *t = trust_new(TRUST_CRL_OPTIONAL, &e);

    if (t == NULL)
        return;
    (void)!trust_add_root(t, der, &e); /* some inputs are CAs */
    (void)!cert_check(t, chain, 2, &ask, &why, &e);
    trust_free(t);
}

static void fuzz_cert(struct span der)
{
    struct err e = {0};
    struct cert_info info;
    struct cert *c = cert_parse(der, NULL, &e);

    if (c == NULL)
        return;
    cert_info(c, &info);
    (void)cert_verify_sig(c, der, der);
    cert_free(c);
    check(der, CERT_RELAY);
    check(der, CERT_DEVICE);
    check(der, CERT_EVIDENCE);
    check(der, CERT_INTERMEDIATE);
}

static void fuzz_crl(struct span der)
{
    struct err e = {0};
    struct crl_info info;
    struct crl *c = crl_parse(der, &e);

    if (c != NULL)
        crl_info(c, &info);
    crl_free(c);
}

static void fuzz_csr(struct span der)
{
    struct err e = {0};
    struct csr q;

    (void)!csr_parse(der, &q, &e);
}

static void fuzz_pem(struct span text)
{
    struct err e = {0};
    struct buf out;

    buf_init(&out, CERT_MAX);
    while (pem_take(&text, PEM_CERT, &out, &e) > 0)
        ;
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
    static void (*const targets[])(struct span) = {fuzz_cert, fuzz_crl, fuzz_csr, fuzz_pem};
    struct err e = {0};

    if (n == 0 || crypto_init(&e) < 0)
        return 0;
    targets[in[0] % 4](span_of(in + 1, n - 1));
    return 0;
}
