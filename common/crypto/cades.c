#include "common/crypto/cades.h"

#include <mbedtls/oid.h>
#include <string.h>

#include "common/crypto/bw.h"
#include "common/crypto/x509_inside.h"

#define OID_DATA            MBEDTLS_OID_PKCS7_DATA
#define OID_SIGNED_DATA     MBEDTLS_OID_PKCS7_SIGNED_DATA
#define OID_CONTENT_TYPE    MBEDTLS_OID_PKCS9 "\x03"
#define OID_MESSAGE_DIGEST  MBEDTLS_OID_PKCS9 "\x04"
#define OID_SIGNING_TIME    MBEDTLS_OID_PKCS9 "\x05"
#define OID_SIGNING_CERT_V2 MBEDTLS_OID_PKCS9 "\x10\x02\x2f"

enum { ATTRIBUTES_MAX = 256, EXPLICIT_0 = BW_CONTEXT | MBEDTLS_ASN1_CONSTRUCTED | 0 };

/* RSASSA-PSS-params (RFC 4055): SHA-256, MGF1 with SHA-256, salt of 32. */
static const uint8_t pss[] = {
    0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30,
    0x34, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
    0x02, 0x01, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
    0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
    0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x20,
};

/* AlgorithmIdentifier of SHA-256, without parameters (RFC 5754 2). */
static void sha256_put(struct bw *w)
{
    size_t mark = bw_len(w);

    bw_oid(w, MBEDTLS_OID_DIGEST_ALG_SHA256);
    bw_wrap(w, mark, BW_SEQUENCE);
}

/* --- what is signed --- */

/* Attribute ::= SEQUENCE { oid, SET { what was written since mark } } */
static void attribute_wrap(struct bw *w, size_t mark, const char *oid)
{
    bw_wrap(w, mark, BW_SET);
    bw_oid(w, oid);
    bw_wrap(w, mark, BW_SEQUENCE);
}

static void message_digest(struct bw *w, const struct cades *c)
{
    size_t mark = bw_len(w);
    struct hash h;

    sha256(c->content, &h);
    bw_tlv(w, MBEDTLS_ASN1_OCTET_STRING, span_of(h.b, sizeof h.b));
    attribute_wrap(w, mark, OID_MESSAGE_DIGEST);
}

/* RFC 5035 4: one ESSCertIDv2 of SHA-256, which is the default and thus not written. */
static void signing_certificate(struct bw *w, const struct cades *c)
{
    size_t mark = bw_len(w);
    struct hash h;

    cert_fingerprint(c->signer, &h);
    bw_tlv(w, MBEDTLS_ASN1_OCTET_STRING, span_of(h.b, sizeof h.b));
    for (int depth = 0; depth < 3; depth++) /* certificate, list, attribute's value */
        bw_wrap(w, mark, BW_SEQUENCE);
    attribute_wrap(w, mark, OID_SIGNING_CERT_V2);
}

/* The four of them, in the order of a DER SET OF: shorter ones have a smaller second byte. */
static void attributes_put(struct bw *w, const struct cades *c, int tag)
{
    size_t mark = bw_len(w), at;

    signing_certificate(w, c);
    message_digest(w, c);
    at = bw_len(w);
    bw_time(w, c->time);
    attribute_wrap(w, at, OID_SIGNING_TIME);
    at = bw_len(w);
    bw_oid(w, OID_DATA);
    attribute_wrap(w, at, OID_CONTENT_TYPE);
    bw_wrap(w, mark, tag);
}

/* As it is signed: a SET, not [0] (RFC 5652 5.4). */
static struct span attributes_signed(const struct cades *c, uint8_t out[ATTRIBUTES_MAX])
{
    struct bw w = bw_of(out, ATTRIBUTES_MAX);

    attributes_put(&w, c, BW_SET);
    return bw_span(&w);
}

int cades_sign(const struct cades *c, struct pkey *k, const struct rng *r, uint8_t *sig, size_t *n,
               struct err *e)
{
    uint8_t room[ATTRIBUTES_MAX];
    struct span all = attributes_signed(c, room);

    return all.p == NULL ? err_set(e, ERR_LIMIT, "a time that cannot be written")
                         : pkey_sign_pss(k, r, all, sig, n, e);
}

/* --- around it --- */

static void signer_info(struct bw *w, const struct cades *c, const struct cert *signer,
                        struct span sig)
{
    size_t mark = bw_len(w), sid;

    bw_tlv(w, MBEDTLS_ASN1_OCTET_STRING, sig);
    bw_raw(w, span_of(pss, sizeof pss));
    attributes_put(w, c, EXPLICIT_0);
    sha256_put(w);
    sid = bw_len(w);
    bw_tlv(w, MBEDTLS_ASN1_INTEGER, BUF_SPAN(signer->crt.serial));
    bw_raw(w, BUF_SPAN(signer->crt.issuer_raw));
    bw_wrap(w, sid, BW_SEQUENCE);
    bw_u64(w, 1);
    bw_wrap(w, mark, BW_SEQUENCE);
    bw_wrap(w, mark, BW_SET);
}

/* A SET OF two, the smaller encoding first. */
static void certificates(struct bw *w, const struct cades *c)
{
    size_t mark = bw_len(w), n = c->signer.n < c->issuer.n ? c->signer.n : c->issuer.n;
    bool signer_first = memcmp(c->signer.p, c->issuer.p, n) < 0;

    bw_raw(w, signer_first ? c->issuer : c->signer);
    bw_raw(w, signer_first ? c->signer : c->issuer);
    bw_wrap(w, mark, EXPLICIT_0);
}

/* ContentInfo { signedData, SignedData { 1, { SHA-256 }, { data }, certificates, { signer } } } */
static void content_info(struct bw *w, const struct cades *c, const struct cert *signer,
                         struct span sig)
{
    size_t mark = bw_len(w), at;

    signer_info(w, c, signer, sig);
    certificates(w, c);
    at = bw_len(w);
    bw_oid(w, OID_DATA);
    bw_wrap(w, at, BW_SEQUENCE);
    at = bw_len(w);
    sha256_put(w);
    bw_wrap(w, at, BW_SET);
    bw_u64(w, 1);
    bw_wrap(w, mark, BW_SEQUENCE);
    bw_wrap(w, mark, EXPLICIT_0);
    bw_oid(w, OID_SIGNED_DATA);
    bw_wrap(w, mark, BW_SEQUENCE);
}

static struct span cades_write(const struct cades *c, struct span sig, uint8_t out[CADES_MAX],
                               struct err *e)
{
    struct cert *signer = cert_parse(c->signer, NULL, e);
    struct bw w = bw_of(out, CADES_MAX);

    if (signer == NULL)
        return span_of(NULL, 0);
    content_info(&w, c, signer, sig);
    cert_free(signer);
    if (w.bad)
        (void)err_set(e, ERR_LIMIT, "a CMS signature that is too long");
    return bw_span(&w);
}

int cades_put(const struct cades *c, struct span sig, struct buf *out, struct err *e)
{
    uint8_t room[CADES_MAX];
    struct span der = cades_write(c, sig, room, e);

    if (der.p == NULL)
        return -1;
    return buf_add(out, der.p, der.n) == 0 ? 0 : err_set(e, ERR_LIMIT, "no room for a signature");
}

/* The signature stands at the end, as long as the signer's modulus. */
static struct span signature_of(const struct cert *signer, struct span der)
{
    size_t n = mbedtls_pk_get_len(&signer->crt.pk);

    return der.n < n ? span_of(NULL, 0) : span_of(der.p + der.n - n, n);
}

int cades_check(const struct cades *c, struct span der, struct err *e)
{
    uint8_t room[CADES_MAX], signed_room[ATTRIBUTES_MAX];
    struct cert *signer = cert_parse(c->signer, NULL, e);

    if (signer == NULL)
        return -1;
    struct span sig = signature_of(signer, der), want = cades_write(c, sig, room, e);
    int rc = 0;

    if (want.p == NULL || !span_same(want, der))
        rc = err_set(e, ERR_DATA, "not his signature in its one spelling");
    else if (!cert_verify_sig(signer, attributes_signed(c, signed_room), sig))
        rc = err_set(e, ERR_DATA, "the signature is wrong");
    cert_free(signer);
    return rc;
}
