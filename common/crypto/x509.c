#include "common/crypto/x509.h"

#include <mbedtls/asn1.h>
#include <mbedtls/ecp.h>
#include <mbedtls/oid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/pkey.h"
#include "common/crypto/x509_inside.h"

#define X(id, alert, text, word) [id] = {alert, text, word},
static const struct {
    unsigned alert;
    const char *text, *word;
} faults[] = {CERT_FAULTS(X)};
#undef X

unsigned cert_fault_alert(enum cert_fault f)
{
    return faults[f].alert;
}

const char *cert_fault_text(enum cert_fault f)
{
    return faults[f].text;
}

const char *cert_fault_word(enum cert_fault f)
{
    return faults[f].word;
}

const char *cert_role_name(enum cert_role r)
{
#define X(id, name)                                                                                \
    case id: return name;
    switch (r) {
        CERT_ROLES(X)
    case CERT_ROLE_COUNT: break;
    }
#undef X
    return "unknown";
}

const mbedtls_x509_crt_profile x509_profile = {
    .allowed_mds = MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
    .allowed_pks = MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSA) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECDSA) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECKEY),
    .allowed_curves = MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1),
    .rsa_min_bitlen = 2048,
};

/* --- form --- */

bool der_whole(struct span der, size_t *whole)
{
    unsigned char *p = (unsigned char *)(uintptr_t)der.p; /* mbedTLS's type; it reads only */
    size_t n = 0;

    *whole = 0;
    if (der.n == 0)
        return false;
    int rc = mbedtls_asn1_get_tag(&p, der.p + der.n, &n,
                                  MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE);
    if (rc != 0)
        return false;
    *whole = (size_t)(p - der.p) + n;
    return *whole == der.n;
}

/* Control bytes, also those that UTF-8 writes as C2 80 to C2 9F, have no place in a name. */
static bool text_clean_bytes(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
        if (s.p[i] == 0xc2 && i + 1 < s.n && s.p[i + 1] < 0xa0)
            return false;
    }
    return true;
}

bool name_clean(const mbedtls_x509_name *name)
{
    for (; name != NULL; name = name->next) {
        int tag = name->val.tag;
        if (tag != 0 && tag != MBEDTLS_ASN1_UTF8_STRING && tag != MBEDTLS_ASN1_PRINTABLE_STRING &&
            tag != MBEDTLS_ASN1_IA5_STRING)
            return false;
        if (!text_clean_bytes(BUF_SPAN(name->val)))
            return false;
    }
    return true;
}

/* Names in SANs are ASCII without blanks: DNS names, URIs; addresses have their lengths. */
static bool san_clean(const mbedtls_x509_buf *san)
{
    int kind = san->tag & MBEDTLS_ASN1_TAG_VALUE_MASK;

    if (kind == MBEDTLS_X509_SAN_IP_ADDRESS)
        return san->len == 4 || san->len == 16;
    if (kind != MBEDTLS_X509_SAN_DNS_NAME && kind != MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER)
        return true; /* never compared with anything, never shown */
    for (size_t i = 0; i < san->len; i++)
        if (san->p[i] <= 0x20 || san->p[i] >= 0x7f)
            return false;
    return san->len > 0;
}

static bool sans_clean(const mbedtls_x509_crt *crt)
{
    if (!mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME))
        return true;
    for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s != NULL; s = s->next)
        if (!san_clean(&s->buf))
            return false;
    return true;
}

/* id-ce-nameConstraints, policyMappings, policyConstraints, inhibitAnyPolicy: they take away from
 * what a CA may do. Who does not apply them must refuse, even when they are not marked critical. */
static const char *const limits[] = {"\x55\x1d\x1e", "\x55\x1d\x21", "\x55\x1d\x24",
                                     "\x55\x1d\x36"};

static bool extension_limits(const mbedtls_x509_buf *oid)
{
    for (size_t i = 0; i < COUNT(limits); i++)
        if (span_same(BUF_SPAN(*oid), span_of(limits[i], 3)))
            return true;
    return false;
}

/* Called for extensions that mbedTLS does not know. */
static int extension_unknown(void *ctx, const mbedtls_x509_crt *crt, const mbedtls_x509_buf *oid,
                             int critical, const unsigned char *p, const unsigned char *end)
{
    bool *met = ctx;

    (void)crt, (void)p, (void)end;
    if (critical == 0 && !extension_limits(oid))
        return 0;
    *met = true;
    return MBEDTLS_ERR_X509_INVALID_EXTENSIONS;
}

static bool serial_good(const mbedtls_x509_buf *s)
{
    size_t n = s->len;

    if (n == 0 || n > CERT_SERIAL_MAX || (s->p[0] & 0x80) != 0)
        return false;
    while (n > 0 && s->p[s->len - n] == 0)
        n--;
    return n > 0;
}

static enum cert_fault crt_read(mbedtls_x509_crt *crt, struct span der)
{
    bool met = false; /* mbedTLS itself heeds the callback's answer for critical ones only */
    size_t whole;

    if (der.n > CERT_MAX)
        return CERT_TOO_BIG;
    if (!der_whole(der, &whole))
        return whole > 0 && whole < der.n ? CERT_TRAILING : CERT_MALFORMED;
    int rc = mbedtls_x509_crt_parse_der_with_ext_cb(crt, der.p, der.n, 1, extension_unknown, &met);
    if (met)
        return CERT_CRITICAL;
    if (rc != 0)
        return CERT_MALFORMED;
    if (!name_clean(&crt->subject) || !name_clean(&crt->issuer) || !sans_clean(crt))
        return CERT_BAD_NAME;
    return serial_good(&crt->serial) ? CERT_OK : CERT_MALFORMED;
}

struct cert *cert_parse(struct span der, enum cert_fault *why, struct err *e)
{
    enum cert_fault f = CERT_LOCAL;
    struct cert *c = calloc(1, sizeof *c);

    if (c != NULL) {
        mbedtls_x509_crt_init(&c->crt);
        f = crt_read(&c->crt, der);
    }
    if (f != CERT_OK) {
        err_set(e, f == CERT_LOCAL ? ERR_LOCAL : ERR_DATA, "%s (%zu bytes)", cert_fault_text(f),
                der.n);
        cert_free(c);
        c = NULL;
    }
    if (why != NULL)
        *why = f;
    return c;
}

void cert_free(struct cert *c)
{
    if (c == NULL)
        return;
    mbedtls_x509_crt_free(&c->crt);
    free(c);
}

struct span cert_der(const struct cert *c)
{
    return BUF_SPAN(c->crt.raw);
}

struct span cert_spki(const struct cert *c)
{
    return BUF_SPAN(c->crt.pk_raw);
}

void cert_fingerprint(struct span der, struct hash *out)
{
    sha256(der, out);
}

bool cert_signed_itself(struct cert *c)
{
    mbedtls_x509_crt *crt = &c->crt;

    /* No getters for how a certificate is signed. */
    return cert_issued_by(c, c) && sig_strong(&crt->sig_oid) &&
           sig_verify(BUF_SPAN(crt->tbs), crt->MBEDTLS_PRIVATE(sig_md),
                      crt->MBEDTLS_PRIVATE(sig_pk), crt->MBEDTLS_PRIVATE(sig_opts), &crt->pk,
                      BUF_SPAN(crt->MBEDTLS_PRIVATE(sig)));
}

bool cert_verify_sig(const struct cert *c, struct span line, struct span sig)
{
    struct err e = {0};
    struct pubkey *k = pubkey_parse(cert_spki(c), &e);
    bool good = k != NULL && pubkey_verify_pss(k, line, sig);

    pubkey_free(k);
    return good;
}

/* --- shared judgements --- */

bool pk_strong(const mbedtls_pk_context *pk)
{
    size_t bits = mbedtls_pk_get_bitlen(pk);

    if (mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA)
        return bits >= 2048 && bits <= 4096;
    return mbedtls_pk_get_type(pk) == MBEDTLS_PK_ECKEY &&
           mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(*pk)) == MBEDTLS_ECP_DP_SECP256R1;
}

bool pk_plain(const mbedtls_pk_context *pk, struct span spki)
{
    enum { P256_SPKI_LEN = 91 };

    return mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA || spki.n == P256_SPKI_LEN;
}

bool sig_strong(const mbedtls_x509_buf *oid)
{
    mbedtls_md_type_t md;
    mbedtls_pk_type_t pk;

    return mbedtls_oid_get_sig_alg(oid, &md, &pk) == 0 &&
           (x509_profile.allowed_mds & MBEDTLS_X509_ID_FLAG(md)) != 0 &&
           (x509_profile.allowed_pks & MBEDTLS_X509_ID_FLAG(pk)) != 0;
}

bool sig_verify(struct span tbs, mbedtls_md_type_t md, mbedtls_pk_type_t type, const void *opts,
                mbedtls_pk_context *pk, struct span sig)
{
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(md);
    uint8_t h[MBEDTLS_MD_MAX_SIZE];

    return info != NULL && mbedtls_md(info, tbs.p, tbs.n, h) == 0 &&
           mbedtls_pk_verify_ext(type, opts, pk, md, h, mbedtls_md_get_size(info), sig.p, sig.n) ==
               0;
}

struct str name_part(const mbedtls_x509_name *name, const char *oid, size_t oid_n)
{
    for (; name != NULL; name = name->next)
        if (span_same(BUF_SPAN(name->oid), span_of(oid, oid_n)))
            return str_from(name->val.p, name->val.len);
    return str_of(NULL);
}

bool cert_issued_by(const struct cert *c, const struct cert *ca)
{
    struct span want = BUF_SPAN(c->crt.authority_key_id.keyIdentifier);
    struct span have = BUF_SPAN(ca->crt.subject_key_id);

    return span_same(BUF_SPAN(c->crt.issuer_raw), BUF_SPAN(ca->crt.subject_raw)) &&
           (want.n == 0 || have.n == 0 || span_same(want, have));
}

bool cert_ca(const struct cert *c)
{
    return mbedtls_x509_crt_get_ca_istrue(&c->crt) == 1;
}

static struct span serial_short(const mbedtls_x509_buf *s)
{
    size_t zeros = 0;

    while (zeros < s->len && s->p[zeros] == 0)
        zeros++;
    return span_of(s->p + zeros, s->len - zeros);
}

bool serial_same(const mbedtls_x509_buf *a, const mbedtls_x509_buf *b)
{
    return span_same(serial_short(a), serial_short(b));
}
