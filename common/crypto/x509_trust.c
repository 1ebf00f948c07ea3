/* Whom we believe: anchors, CAs below them, their revocation lists. */
#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/x509_inside.h"

/* --- revocation lists --- */

struct extension {
    mbedtls_asn1_buf oid, value;
    int critical;
};

/* Extension ::= SEQUENCE { OID, [critical], OCTET STRING }: takes one off *p. */
static int extension_next(unsigned char **p, const unsigned char *end, struct extension *x)
{
    size_t n;

    if (mbedtls_asn1_get_tag(p, end, &n, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) != 0)
        return -1;
    const unsigned char *stop = *p + n;
    if (mbedtls_asn1_get_tag(p, stop, &x->oid.len, MBEDTLS_ASN1_OID) != 0)
        return -1;
    x->oid.p = *p;
    *p += x->oid.len;
    x->critical = 0;
    (void)mbedtls_asn1_get_bool(p, stop, &x->critical); /* optional */
    if (mbedtls_asn1_get_tag(p, stop, &x->value.len, MBEDTLS_ASN1_OCTET_STRING) != 0)
        return -1;
    x->value.p = *p;
    *p += x->value.len;
    return *p == stop ? 0 : -1;
}

static int number_read(mbedtls_asn1_buf value, uint64_t *out)
{
    unsigned char *p = value.p;
    size_t n;

    if (mbedtls_asn1_get_tag(&p, value.p + value.len, &n, MBEDTLS_ASN1_INTEGER) != 0 || n == 0 ||
        n > 9 || (p[0] & 0x80) != 0 || (n == 9 && p[0] != 0))
        return -1;
    *out = 0;
    while (n-- > 0)
        *out = *out << 8 | *p++;
    return 0;
}

/* mbedTLS keeps the extensions of a list as bytes: the number is looked for here. */
static int crl_number(const mbedtls_x509_crl *crl, uint64_t *out)
{
    unsigned char *p = crl->crl_ext.p;
    const unsigned char *end = p == NULL ? NULL : p + crl->crl_ext.len;
    struct extension x;
    size_t n;

    if (p == NULL ||
        mbedtls_asn1_get_tag(&p, end, &n, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) != 0)
        return -1;
    while (p < end) {
        if (extension_next(&p, end, &x) < 0)
            return -1;
        if (span_same(BUF_SPAN(x.oid), span_of("\x55\x1d\x14", 3))) /* id-ce-cRLNumber 2.5.29.20 */
            return number_read(x.value, out);
    }
    return -1;
}

/* What is critical about an entry (RFC 5280 5.3) says whose certificate it means, or something that
 * is unknown here: such a list cannot be used. mbedTLS looks at the extensions of the whole only.
 */
static bool entry_plain(const mbedtls_x509_buf *ext, const unsigned char *end)
{
    unsigned char *p = ext->p;
    struct extension x;
    size_t n;

    if (p == NULL)
        return true;
    if (mbedtls_asn1_get_tag(&p, end, &n, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) != 0)
        return false;
    for (end = p + n; p < end;)
        if (extension_next(&p, end, &x) < 0 || x.critical != 0)
            return false;
    return true;
}

static bool entries_plain(const mbedtls_x509_crl *crl)
{
    for (const mbedtls_x509_crl_entry *i = &crl->entry; i != NULL; i = i->next)
        if (!entry_plain(&i->entry_ext, crl->raw.p + crl->raw.len))
            return false;
    return true;
}

/* One whole element at p, head included; empty when there is none with this tag. */
static struct span element(unsigned char *p, const unsigned char *end, int tag)
{
    unsigned char *start = p;
    size_t n;

    if (mbedtls_asn1_get_tag(&p, end, &n, tag) != 0)
        return span_of(NULL, 0);
    return span_of(start, (size_t)(p - start) + n);
}

/* RFC 5280 5.1.1.2: the algorithm stands twice, inside what is signed and beside it. mbedTLS
 * compares less than its bytes, so that a list could be changed without its signature failing. */
static bool crl_algorithm_once(const mbedtls_x509_crl *crl)
{
    enum { SEQUENCE = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE };
    unsigned char *in = crl->tbs.p, *out = crl->tbs.p + crl->tbs.len;
    const unsigned char *end = crl->raw.p + crl->raw.len;
    size_t n;

    if (mbedtls_asn1_get_tag(&in, out, &n, SEQUENCE) != 0)
        return false;
    in += element(in, out, MBEDTLS_ASN1_INTEGER).n; /* the version */
    struct span inside = element(in, out, SEQUENCE), beside = element(out, end, SEQUENCE);
    return inside.n > 0 && span_same(inside, beside);
}

static const char *crl_read(struct crl *c, struct span der)
{
    size_t whole;

    if (der.n > CRL_MAX)
        return "is too big";
    if (!der_whole(der, &whole))
        return whole > 0 && whole < der.n ? "has bytes behind its end" : "is malformed";
    if (mbedtls_x509_crl_parse_der(&c->crl, der.p, der.n) != 0)
        return "is malformed or has a critical extension unknown here";
    if (!crl_algorithm_once(&c->crl))
        return "names two signature algorithms";
    if (c->crl.version != 2 || crl_number(&c->crl, &c->number) < 0)
        return "is not version 2 with a CRL number";
    if (!entries_plain(&c->crl))
        return "has an entry with a critical extension";
    if (c->crl.next_update.year == 0)
        return "does not say when the next one comes";
    return name_clean(&c->crl.issuer) ? NULL : "has control bytes in its issuer's name";
}

struct crl *crl_parse(struct span der, struct err *e)
{
    struct crl *c = calloc(1, sizeof *c);

    if (c == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a revocation list");
        return NULL;
    }
    mbedtls_x509_crl_init(&c->crl);
    const char *fault = crl_read(c, der);
    if (fault == NULL)
        return c;
    err_set(e, ERR_DATA, "the revocation list of %zu bytes %s", der.n, fault);
    crl_free(c);
    return NULL;
}

void crl_free(struct crl *c)
{
    if (c == NULL)
        return;
    mbedtls_x509_crl_free(&c->crl);
    free(c);
}

bool crl_has(const struct crl *crl, const struct cert *c, int64_t *when)
{
    for (const mbedtls_x509_crl_entry *i = &crl->crl.entry; i != NULL; i = i->next)
        if (i->raw.len > 0 && serial_same(&i->serial, &c->crt.serial)) {
            *when = x509_ms(&i->revocation_date);
            return true;
        }
    return false;
}

/* --- the CAs --- */

struct trust *trust_new(enum trust_crl policy, struct err *e)
{
    struct trust *t = calloc(1, sizeof *t);

    if (t == NULL)
        err_set(e, ERR_LOCAL, "no memory for the list of trusted CAs");
    else
        t->policy = policy;
    return t;
}

void trust_free(struct trust *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->n; i++) {
        cert_free(t->ca[i].cert);
        crl_free(t->ca[i].crl);
    }
    free(t);
}

/* The form a CA must have before anybody believes it; signatures and dates are judged in chains. */
static int ca_fit(const struct cert *c, struct err *e)
{
    const mbedtls_x509_crt *crt = &c->crt;

    if (crt->version != 3 || !cert_ca(c))
        return err_set(e, ERR_DATA, "not a CA certificate");
    if (!mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_KEY_USAGE) ||
        mbedtls_x509_crt_check_key_usage(crt, MBEDTLS_X509_KU_KEY_CERT_SIGN) != 0)
        return err_set(e, ERR_DATA, "the CA certificate may not sign certificates");
    if (!pk_strong(&crt->pk))
        return err_set(e, ERR_DATA, "the CA: %s", cert_fault_text(CERT_WEAK_KEY));
    return 0;
}

static int trust_add(struct trust *t, struct span der, bool root, struct err *e)
{
    struct cert *c = cert_parse(der, NULL, e);

    if (c == NULL)
        return -1;
    if (ca_fit(c, e) < 0)
        goto out;
    if (root && !cert_issued_by(c, c)) {
        err_set(e, ERR_DATA, "not a root: it names another issuer");
        goto out;
    }
    if (t->n == TRUST_CAS_MAX) {
        err_set(e, ERR_LIMIT, "more than %d trusted CAs", TRUST_CAS_MAX);
        goto out;
    }
    t->ca[t->n++] = (struct trust_ca){.cert = c, .root = root};
    return 0;
out:
    cert_free(c);
    return -1;
}

int trust_add_root(struct trust *t, struct span der, struct err *e)
{
    return trust_add(t, der, true, e);
}

int trust_add_intermediate(struct trust *t, struct span der, struct err *e)
{
    return trust_add(t, der, false, e);
}

static bool crl_signed_by(const struct crl *c, struct cert *ca)
{
    const mbedtls_x509_crl *l = &c->crl;

    /* No getters for how a list is signed. */
    return span_same(BUF_SPAN(l->issuer_raw), BUF_SPAN(ca->crt.subject_raw)) &&
           mbedtls_x509_crt_check_key_usage(&ca->crt, MBEDTLS_X509_KU_CRL_SIGN) == 0 &&
           sig_strong(&l->sig_oid) &&
           sig_verify(BUF_SPAN(l->tbs), l->MBEDTLS_PRIVATE(sig_md), l->MBEDTLS_PRIVATE(sig_pk),
                      l->MBEDTLS_PRIVATE(sig_opts), &ca->crt.pk, BUF_SPAN(l->MBEDTLS_PRIVATE(sig)));
}

static struct trust_ca *crl_owner(struct trust *t, const struct crl *c)
{
    for (size_t i = 0; i < t->n; i++)
        if (crl_signed_by(c, t->ca[i].cert))
            return &t->ca[i];
    return NULL;
}

int trust_add_crl(struct trust *t, struct span der, struct err *e)
{
    struct crl *c = crl_parse(der, e);

    if (c == NULL)
        return -1;
    struct trust_ca *ca = crl_owner(t, c);
    if (ca == NULL) {
        err_set(e, ERR_AUTH, "no CA known here signed this revocation list");
        goto out;
    }
    if (ca->crl != NULL && ca->crl->number > c->number) {
        err_set(e, ERR_DATA, "an old revocation list: number %llu, we have %llu",
                (unsigned long long)c->number, (unsigned long long)ca->crl->number);
        goto out;
    }
    crl_free(ca->crl);
    ca->crl = c;
    return 0;
out:
    crl_free(c);
    return -1;
}

int64_t trust_crl_until(const struct trust *t)
{
    int64_t first = INT64_MAX;

    for (size_t i = 0; i < t->n; i++) {
        if (t->ca[i].crl == NULL)
            continue;
        int64_t until = x509_ms(&t->ca[i].crl->crl.next_update);
        first = until < first ? until : first;
    }
    return first;
}

void trust_forget_stale(struct trust *t, int64_t now)
{
    for (size_t i = 0; i < t->n; i++) {
        struct crl *c = t->ca[i].crl;
        if (c != NULL && x509_ms(&c->crl.next_update) < now) {
            crl_free(c);
            t->ca[i].crl = NULL;
        }
    }
}

void trust_demand(struct trust *t, enum trust_crl policy)
{
    t->policy = policy;
}

const struct trust_ca *trust_find(const struct trust *t, const struct cert *ca)
{
    const mbedtls_x509_crt *a = &ca->crt;

    for (size_t i = 0; i < t->n; i++) {
        const mbedtls_x509_crt *b = &t->ca[i].cert->crt;
        if (span_same(BUF_SPAN(a->subject_raw), BUF_SPAN(b->subject_raw)) &&
            span_same(BUF_SPAN(a->pk_raw), BUF_SPAN(b->pk_raw)))
            return &t->ca[i];
    }
    return NULL;
}

bool trust_revoked(const struct trust *t, const struct cert *c, int64_t *when)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->ca[i].crl != NULL && cert_issued_by(c, t->ca[i].cert) &&
            crl_has(t->ca[i].crl, c, when))
            return true;
    return false;
}
