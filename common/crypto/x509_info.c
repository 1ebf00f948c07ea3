/* What a certificate and a list say, as text for people. */
#include <arpa/inet.h>
#include <mbedtls/oid.h>
#include <stdio.h>
#include <string.h>

#include "common/crypto/x509_inside.h"

/* Appends ", " (when out is not empty) and two texts; cuts what does not fit. */
static void list_add(char *out, size_t cap, const char *head, struct str tail)
{
    size_t used = strlen(out);
    int n = tail.n > cap ? (int)cap : (int)tail.n;

    snprintf(out + used, cap - used, "%s%s%.*s", used > 0 ? ", " : "", head, n,
             n > 0 ? tail.p : "");
}

static const struct {
    const char *oid;
    size_t n;
    const char *head;
} parts[] = {
    {MBEDTLS_OID_AT_CN, MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_CN), "CN="},
    {MBEDTLS_OID_AT_ORG_UNIT, MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_ORG_UNIT), "OU="},
    {MBEDTLS_OID_AT_ORGANIZATION, MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_ORGANIZATION), "O="},
    {MBEDTLS_OID_AT_COUNTRY, MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_COUNTRY), "C="},
};

static void name_put(char out[CERT_NAME_MAX], const mbedtls_x509_name *name)
{
    out[0] = '\0';
    for (; name != NULL; name = name->next)
        for (size_t i = 0; i < COUNT(parts); i++)
            if (span_same(BUF_SPAN(name->oid), span_of(parts[i].oid, parts[i].n)))
                list_add(out, CERT_NAME_MAX, parts[i].head, str_from(name->val.p, name->val.len));
}

static void part_put(char out[CERT_NAME_MAX], const mbedtls_x509_name *name, size_t part)
{
    struct str s = name_part(name, parts[part].oid, parts[part].n);

    if (str_copy(out, CERT_NAME_MAX, s) < 0)
        snprintf(out, CERT_NAME_MAX, "%.*s", CERT_NAME_MAX - 1, s.p);
}

static void ip_put(char out[CERT_SANS_MAX], const mbedtls_x509_buf *ip)
{
    char text[INET6_ADDRSTRLEN];

    if (inet_ntop(ip->len == 4 ? AF_INET : AF_INET6, ip->p, text, sizeof text) != NULL)
        list_add(out, CERT_SANS_MAX, "IP:", str_of(text));
}

static void sans_put(char out[CERT_SANS_MAX], const mbedtls_x509_crt *crt)
{
    out[0] = '\0';
    if (!mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME))
        return;
    for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s != NULL; s = s->next) {
        struct str text = str_from(s->buf.p, s->buf.len);
        switch (s->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) {
        case MBEDTLS_X509_SAN_DNS_NAME: list_add(out, CERT_SANS_MAX, "DNS:", text); break;
        case MBEDTLS_X509_SAN_IP_ADDRESS: ip_put(out, &s->buf); break;
        case MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER:
            list_add(out, CERT_SANS_MAX, "URI:", text);
            break;
        default: list_add(out, CERT_SANS_MAX, "other", str_of("")); break;
        }
    }
}

static const struct {
    unsigned bit;
    const char *name;
} usages[] = {
    {MBEDTLS_X509_KU_DIGITAL_SIGNATURE, "digitalSignature"},
    {MBEDTLS_X509_KU_NON_REPUDIATION, "nonRepudiation"},
    {MBEDTLS_X509_KU_KEY_ENCIPHERMENT, "keyEncipherment"},
    {MBEDTLS_X509_KU_DATA_ENCIPHERMENT, "dataEncipherment"},
    {MBEDTLS_X509_KU_KEY_AGREEMENT, "keyAgreement"},
    {MBEDTLS_X509_KU_KEY_CERT_SIGN, "keyCertSign"},
    {MBEDTLS_X509_KU_CRL_SIGN, "cRLSign"},
};

static const char *eku_name(const mbedtls_x509_buf *oid)
{
    if (span_same(BUF_SPAN(*oid),
                  span_of(MBEDTLS_OID_SERVER_AUTH, strlen(MBEDTLS_OID_SERVER_AUTH))))
        return "serverAuth";
    if (span_same(BUF_SPAN(*oid),
                  span_of(MBEDTLS_OID_CLIENT_AUTH, strlen(MBEDTLS_OID_CLIENT_AUTH))))
        return "clientAuth";
    if (span_same(BUF_SPAN(*oid), span_of(OID_EVIDENCE, strlen(OID_EVIDENCE))))
        return "countersignEvidence";
    return "another use";
}

static void usage_put(char *out, size_t cap, const mbedtls_x509_crt *crt)
{
    out[0] = '\0';
    for (size_t i = 0; i < COUNT(usages); i++)
        if (mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_KEY_USAGE) &&
            mbedtls_x509_crt_check_key_usage(crt, usages[i].bit) == 0)
            list_add(out, cap, usages[i].name, str_of(""));
    if (!mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE))
        return;
    for (const mbedtls_x509_sequence *s = &crt->ext_key_usage; s != NULL; s = s->next)
        list_add(out, cap, eku_name(&s->buf), str_of(""));
}

static void key_put(struct cert_info *out, const mbedtls_pk_context *pk)
{
    out->bits = (unsigned)mbedtls_pk_get_bitlen(pk);
    if (mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA)
        out->key = "RSA";
    else
        out->key = pk_strong(pk) ? "P-256" : "other";
}

void cert_subject(const struct cert *c, char out[CERT_NAME_MAX])
{
    name_put(out, &c->crt.subject);
}

void cert_info(const struct cert *c, struct cert_info *out)
{
    const mbedtls_x509_crt *crt = &c->crt;

    memset(out, 0, sizeof *out);
    name_put(out->subject, &crt->subject);
    name_put(out->issuer, &crt->issuer);
    part_put(out->cn, &crt->subject, 0);
    part_put(out->ou, &crt->subject, 1);
    part_put(out->issuer_cn, &crt->issuer, 0);
    hex_put(out->serial, BUF_SPAN(crt->serial)); /* at most CERT_SERIAL_MAX: cert_parse */
    out->not_before = x509_ms(&crt->valid_from);
    out->not_after = x509_ms(&crt->valid_to);
    sans_put(out->sans, crt);
    usage_put(out->usage, sizeof out->usage, crt);
    key_put(out, &crt->pk);
    if (mbedtls_oid_get_sig_alg_desc(&crt->sig_oid, &out->signature) != 0)
        out->signature = "unknown";
    out->ca = cert_ca(c);
    /* No getter. mbedTLS keeps one more than the certificate says, 0 for no limit. */
    out->pathlen = crt->MBEDTLS_PRIVATE(max_pathlen) - 1;
    out->self_issued = span_same(BUF_SPAN(crt->subject_raw), BUF_SPAN(crt->issuer_raw));
    cert_fingerprint(cert_der(c), &out->fingerprint);
}

void crl_info(const struct crl *c, struct crl_info *out)
{
    memset(out, 0, sizeof *out);
    name_put(out->issuer, &c->crl.issuer);
    out->number = c->number;
    out->this_update = x509_ms(&c->crl.this_update);
    out->next_update = x509_ms(&c->crl.next_update);
    for (const mbedtls_x509_crl_entry *i = &c->crl.entry; i != NULL; i = i->next)
        out->count += i->raw.len > 0;
}
