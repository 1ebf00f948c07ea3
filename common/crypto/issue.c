/* Certificates and lists, written with common/crypto/bw.h. */
#include "common/crypto/issue.h"

#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/blinding.h"
#include "common/crypto/bw.h"
#include "common/crypto/x509_inside.h"

/* --- names --- */

static void bw_attribute(struct bw *w, const char *oid, struct str value)
{
    size_t mark = bw_len(w);

    if (value.n == 0)
        return;
    bw_tlv(w, MBEDTLS_ASN1_UTF8_STRING, span_of(value.p, value.n));
    bw_oid(w, oid);
    bw_wrap(w, mark, BW_SEQUENCE);
    bw_wrap(w, mark, BW_SET);
}

static void bw_name(struct bw *w, struct str cn, struct str ou)
{
    size_t mark = bw_len(w);

    bw_attribute(w, MBEDTLS_OID_AT_ORG_UNIT, ou);
    bw_attribute(w, MBEDTLS_OID_AT_CN, cn);
    bw_wrap(w, mark, BW_SEQUENCE);
}

int device_uri(char *out, size_t cap, struct str name, struct str device)
{
    struct wr w = wr_of(out, cap);

    wr_put(&w, "countersign:", 12);
    wr_percent(&w, name);
    wr_u8(&w, '/');
    wr_percent(&w, device);
    wr_u8(&w, 0);
    if (w.bad && cap > 0)
        out[0] = '\0';
    return w.bad ? -1 : 0;
}

/* --- extensions, last one first --- */

/* Extension ::= SEQUENCE { oid, [critical TRUE], OCTET STRING { what was written since mark } } */
static void bw_extension(struct bw *w, size_t mark, const char *oid, bool critical)
{
    bw_wrap(w, mark, MBEDTLS_ASN1_OCTET_STRING);
    if (critical)
        bw_true(w);
    bw_oid(w, oid);
    bw_wrap(w, mark, BW_SEQUENCE);
}

static void bw_sans(struct bw *w, const struct cert_form *f)
{
    static const int tags[] = {
        [SAN_DNS] = MBEDTLS_X509_SAN_DNS_NAME,
        [SAN_IP] = MBEDTLS_X509_SAN_IP_ADDRESS,
        [SAN_URI] = MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER,
    };
    size_t mark = bw_len(w);

    if (f->sans_n == 0)
        return;
    for (size_t i = f->sans_n; i-- > 0;)
        bw_tlv(w, BW_CONTEXT | tags[f->sans[i].kind], f->sans[i].value);
    bw_wrap(w, mark, BW_SEQUENCE);
    bw_extension(w, mark, MBEDTLS_OID_SUBJECT_ALT_NAME, false);
}

static void bw_eku(struct bw *w, const struct cert_form *f)
{
    size_t mark = bw_len(w);

    if (!f->server_auth && !f->client_auth && !f->evidence)
        return;
    if (f->evidence)
        bw_oid(w, OID_EVIDENCE);
    if (f->client_auth)
        bw_oid(w, MBEDTLS_OID_CLIENT_AUTH);
    if (f->server_auth)
        bw_oid(w, MBEDTLS_OID_SERVER_AUTH);
    bw_wrap(w, mark, BW_SEQUENCE);
    bw_extension(w, mark, MBEDTLS_OID_EXTENDED_KEY_USAGE, false);
}

static void bw_usage(struct bw *w, unsigned usage)
{
    uint8_t bits = 0;
    size_t mark = bw_len(w);

    if (usage == 0)
        return;
    for (int i = 0; i < 8; i++) /* named bits stand in the byte highest first */
        bits = (uint8_t)(bits | ((usage >> i & 1) << (7 - i)));
    bw_bits(w, bits);
    bw_extension(w, mark, MBEDTLS_OID_KEY_USAGE, true);
}

static void bw_constraints(struct bw *w, const struct cert_form *f)
{
    size_t mark = bw_len(w);

    if (f->ca && f->pathlen >= 0)
        bw_u64(w, (uint64_t)f->pathlen);
    if (f->ca)
        bw_true(w);
    bw_wrap(w, mark, BW_SEQUENCE);
    bw_extension(w, mark, MBEDTLS_OID_BASIC_CONSTRAINTS, true);
}

/* RFC 5280 4.2.1.2 (1): SHA-1 of the key's bits. A name for the key, no protection. */
static int key_id(struct span spki, uint8_t out[20])
{
    unsigned char *p = (unsigned char *)(uintptr_t)spki.p; /* mbedTLS's type; it reads only */
    const unsigned char *end = spki.p + spki.n;
    size_t n;

    if (mbedtls_asn1_get_tag(&p, end, &n, BW_SEQUENCE) != 0 ||
        mbedtls_asn1_get_tag(&p, end, &n, BW_SEQUENCE) != 0)
        return -1;
    p += n;
    if (mbedtls_asn1_get_bitstring_null(&p, end, &n) != 0)
        return -1;
    return mbedtls_sha1(p, n, out) == 0 ? 0 : -1;
}

static void bw_authority(struct bw *w, struct span id)
{
    size_t mark = bw_len(w);

    bw_tlv(w, BW_CONTEXT | 0, id);
    bw_wrap(w, mark, BW_SEQUENCE);
    bw_extension(w, mark, MBEDTLS_OID_AUTHORITY_KEY_IDENTIFIER, false);
}

static void bw_subject_id(struct bw *w, struct span spki)
{
    uint8_t id[20];
    size_t mark = bw_len(w);

    if (key_id(spki, id) < 0)
        w->bad = true;
    bw_tlv(w, MBEDTLS_ASN1_OCTET_STRING, span_of(id, sizeof id));
    bw_extension(w, mark, MBEDTLS_OID_SUBJECT_KEY_IDENTIFIER, false);
}

/* --- signing --- */

static const char *signature_oid(const struct pkey *k)
{
    return pkey_is_rsa(k) ? MBEDTLS_OID_PKCS1_SHA256 : MBEDTLS_OID_ECDSA_SHA256;
}

/* AlgorithmIdentifier: RSA has NULL parameters, ECDSA none (RFC 4055, RFC 5758). */
static void bw_algorithm(struct bw *w, const struct pkey *k)
{
    size_t mark = bw_len(w);

    if (pkey_is_rsa(k))
        bw_tlv(w, MBEDTLS_ASN1_NULL, span_of(NULL, 0));
    bw_oid(w, signature_oid(k));
    bw_wrap(w, mark, BW_SEQUENCE);
}

/* Wraps the signed part in a SEQUENCE with algorithm and signature: what is written in `tbs`
 * becomes a whole certificate or list in `w`. */
static int bw_signed(struct bw *w, const struct bw *tbs, const struct issuer *by,
                     const struct rng *r, struct err *e)
{
    mbedtls_pk_context *pk = pkey_mbedtls(by->key);
    uint8_t sig[SIG_MAX + 1] = {0}; /* first byte: no unused bits */
    size_t n = 0;
    struct hash h;

    if (tbs->bad)
        return err_set(e, ERR_LIMIT, "too much to write into one certificate or list");
    sha256(bw_span(tbs), &h);
    if (mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA) /* PSS signing of messages changes it */
        (void)mbedtls_rsa_set_padding(mbedtls_pk_rsa(*pk), MBEDTLS_RSA_PKCS_V15, MBEDTLS_MD_NONE);
    int rc = mbedtls_pk_sign(pk, MBEDTLS_MD_SHA256, h.b, sizeof h.b, sig + 1, SIG_MAX, &n,
                             rng_mbedtls, (void *)(uintptr_t)r);
    if (rc != 0) {
        blinding_forget_pk(pk);
        return err_set(e, ERR_LOCAL, "signing failed (code -%x)", (unsigned)-rc);
    }
    bw_tlv(w, MBEDTLS_ASN1_BIT_STRING, span_of(sig, n + 1));
    bw_algorithm(w, by->key);
    bw_raw(w, bw_span(tbs));
    bw_wrap(w, 0, BW_SEQUENCE);
    return w->bad ? err_set(e, ERR_LIMIT, "the certificate or list is too long") : 0;
}

/* --- certificates --- */

struct cert_form cert_form_of(enum cert_role role)
{
    switch (role) {
    case CERT_RELAY:
        return (struct cert_form){.pathlen = -1, .usage = USAGE_SIGN, .server_auth = true};
    case CERT_DEVICE:
        return (struct cert_form){
            .pathlen = -1, .usage = USAGE_SIGN | USAGE_NON_REPUDIATION, .client_auth = true};
    case CERT_EVIDENCE:
        return (struct cert_form){
            .pathlen = -1, .usage = USAGE_SIGN | USAGE_NON_REPUDIATION, .evidence = true};
    case CERT_INTERMEDIATE:
        return (struct cert_form){
            .ca = true, .pathlen = 0, .usage = USAGE_CERT_SIGN | USAGE_CRL_SIGN};
    case CERT_ROOT:
        return (struct cert_form){
            .ca = true, .pathlen = 1, .usage = USAGE_CERT_SIGN | USAGE_CRL_SIGN};
    case CERT_ROLE_COUNT: break;
    }
    return (struct cert_form){.pathlen = -1};
}

int serial_draw(struct serial *out, const struct rng *r)
{
    if (rng_fill(r, out->b, sizeof out->b) < 0)
        return -1;
    out->b[0] = (uint8_t)((out->b[0] & 0x7f) | 0x40); /* positive, never shorter */
    return 0;
}

static void bw_extensions(struct bw *w, const struct cert_form *f, struct span authority)
{
    size_t mark = bw_len(w);

    bw_sans(w, f);
    bw_eku(w, f);
    bw_usage(w, f->usage);
    bw_constraints(w, f);
    bw_authority(w, authority);
    bw_subject_id(w, f->spki);
    bw_wrap(w, mark, BW_SEQUENCE);
    bw_wrap(w, mark, BW_CONTEXT | MBEDTLS_ASN1_CONSTRUCTED | 3);
}

/* TBSCertificate (RFC 5280 4.1.2), its last field first. */
static void bw_tbs(struct bw *w, const struct cert_form *f, const struct issuer *by,
                   struct span issuer_name, struct span authority)
{
    static const uint8_t v3[] = {2};
    size_t mark = bw_len(w);

    bw_extensions(w, f, authority);
    bw_raw(w, f->spki);
    bw_name(w, f->cn, f->ou);
    size_t dates = bw_len(w);
    bw_time(w, f->not_after);
    bw_time(w, f->not_before);
    bw_wrap(w, dates, BW_SEQUENCE);
    if (issuer_name.n > 0)
        bw_raw(w, issuer_name);
    else
        bw_name(w, f->cn, f->ou);
    bw_algorithm(w, by->key);
    bw_integer(w, span_of(f->serial.b, sizeof f->serial.b));
    size_t version = bw_len(w);
    bw_tlv(w, MBEDTLS_ASN1_INTEGER, span_of(v3, sizeof v3));
    bw_wrap(w, version, BW_CONTEXT | MBEDTLS_ASN1_CONSTRUCTED | 0);
    bw_wrap(w, mark, BW_SEQUENCE);
}

/* Reads the issuer's certificate: its subject becomes our issuer, its key identifier our
 * authority's. A root names itself. */
static struct cert *issuer_read(const struct issuer *by, const struct rng *r, struct span *name,
                                struct span *id, struct err *e)
{
    struct cert *ca = cert_parse(by->cert, NULL, e);

    if (ca == NULL) {
        err_in(e, "the issuer's certificate");
        return NULL;
    }
    *name = BUF_SPAN(ca->crt.subject_raw);
    *id = BUF_SPAN(ca->crt.subject_key_id);
    if (mbedtls_pk_check_pair(&ca->crt.pk, pkey_mbedtls(by->key), rng_mbedtls,
                              (void *)(uintptr_t)r) == 0)
        return ca;
    err_set(e, ERR_CONFIG, "the issuer's key does not belong to its certificate");
    cert_free(ca);
    return NULL;
}

int cert_issue(const struct cert_form *f, const struct issuer *by, const struct rng *r,
               uint8_t out[CERT_MAX], size_t *n, struct err *e)
{
    uint8_t tbs[CERT_MAX], own_id[20] = {0};
    struct bw body = bw_of(tbs, sizeof tbs), whole = bw_of(out, CERT_MAX);
    struct span name = {NULL, 0}, id = span_of(own_id, sizeof own_id);
    struct cert *ca = NULL;

    if (by->cert.n > 0 && (ca = issuer_read(by, r, &name, &id, e)) == NULL)
        return -1;
    if (ca == NULL && key_id(f->spki, own_id) < 0)
        return err_set(e, ERR_DATA, "not a public key");
    bw_tbs(&body, f, by, name, id);
    int rc = bw_signed(&whole, &body, by, r, e);
    if (rc == 0) {
        *n = bw_len(&whole);
        memmove(out, whole.p, *n);
    }
    cert_free(ca);
    return rc;
}

/* --- revocation lists --- */

#define X(id, code, name) [id] = {code, name},
static const struct {
    uint8_t code;
    const char *name;
} reasons[] = {REVOKE_REASONS(X)};
#undef X

const char *revoke_reason_name(enum revoke_reason r)
{
    return reasons[r].name;
}

/* { serial, time, [reasonCode] }: "unspecified" is said by leaving it out (RFC 5280 5.3.1). The
 * time is rounded up to a second: what was accepted before the revocation must stay good. */
static void bw_revoked(struct bw *w, const struct crl_entry *i)
{
    size_t mark = bw_len(w);

    if (i->reason != REVOKE_UNSPECIFIED) {
        bw_tlv(w, MBEDTLS_ASN1_ENUMERATED, span_of(&reasons[i->reason].code, 1));
        bw_extension(w, mark, "\x55\x1d\x15", false); /* id-ce-cRLReasons 2.5.29.21 */
        bw_wrap(w, mark, BW_SEQUENCE);
    }
    bw_time(w, i->when + 999);
    bw_integer(w, i->serial);
    bw_wrap(w, mark, BW_SEQUENCE);
}

/* TBSCertList (RFC 5280 5.1.2), its last field first. */
static void bw_list(struct bw *w, const struct crl_form *f, const struct issuer *by,
                    struct span name, struct span authority)
{
    static const uint8_t v2[] = {1};
    size_t mark = bw_len(w);

    bw_u64(w, f->number);
    bw_extension(w, mark, "\x55\x1d\x14", false); /* id-ce-cRLNumber 2.5.29.20 */
    bw_authority(w, authority);
    bw_wrap(w, mark, BW_SEQUENCE);
    bw_wrap(w, mark, BW_CONTEXT | MBEDTLS_ASN1_CONSTRUCTED | 0);
    size_t list = bw_len(w);
    for (size_t i = f->entries_n; i-- > 0;)
        bw_revoked(w, &f->entries[i]);
    if (f->entries_n > 0)
        bw_wrap(w, list, BW_SEQUENCE);
    bw_time(w, f->next_update);
    bw_time(w, f->this_update);
    bw_raw(w, name);
    bw_algorithm(w, by->key);
    bw_tlv(w, MBEDTLS_ASN1_INTEGER, span_of(v2, sizeof v2));
    bw_wrap(w, mark, BW_SEQUENCE);
}

int crl_write(const struct crl_form *f, const struct issuer *by, const struct rng *r,
              struct buf *out, struct err *e)
{
    struct span name, id;
    struct cert *ca = issuer_read(by, r, &name, &id, e);
    uint8_t *mem = ca == NULL ? NULL : malloc((size_t)2 * CRL_MAX);
    int rc = -1;

    if (mem != NULL) {
        struct bw body = bw_of(mem, CRL_MAX), whole = bw_of(mem + CRL_MAX, CRL_MAX);
        bw_list(&body, f, by, name, id);
        rc = bw_signed(&whole, &body, by, r, e);
        if (rc == 0 && buf_add(out, whole.p, bw_len(&whole)) < 0)
            rc = err_set(e, ERR_LIMIT, "no room for the revocation list");
    } else if (ca != NULL) {
        err_set(e, ERR_LOCAL, "no memory for a revocation list");
    }
    free(mem);
    cert_free(ca);
    return rc;
}
