#include "common/crypto/stamp.h"

#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/sha1.h>
#include <stdio.h>
#include <string.h>

#include "common/crypto/bw.h"
#include "common/crypto/dr.h"
#include "common/crypto/x509_inside.h"

#define OID_SIGNED_DATA     MBEDTLS_OID_PKCS7_SIGNED_DATA
#define OID_TST_INFO        MBEDTLS_OID_PKCS9 "\x10\x01\x04"
#define OID_CONTENT_TYPE    MBEDTLS_OID_PKCS9 "\x03"
#define OID_MESSAGE_DIGEST  MBEDTLS_OID_PKCS9 "\x04"
#define OID_SIGNING_CERT    MBEDTLS_OID_PKCS9 "\x10\x02\x0c"
#define OID_SIGNING_CERT_V2 MBEDTLS_OID_PKCS9 "\x10\x02\x2f"

enum {
    INTEGER = MBEDTLS_ASN1_INTEGER,
    OCTETS = MBEDTLS_ASN1_OCTET_STRING,
    EXPLICIT = BW_CONTEXT | MBEDTLS_ASN1_CONSTRUCTED, /* and a number */
    CERTS_MAX = 8,                                    /* that a reply may bring */
};

/* --- asking --- */

size_t stamp_request(uint8_t out[STAMP_REQUEST_MAX], const struct hash *data,
                     const uint8_t nonce[STAMP_NONCE_LEN])
{
    struct bw w = bw_of(out, STAMP_REQUEST_MAX);
    uint64_t number = 0;
    size_t at;

    for (size_t i = 0; i < STAMP_NONCE_LEN; i++)
        number = number << 8 | nonce[i];
    bw_true(&w); /* certReq */
    bw_u64(&w, number);
    at = bw_len(&w);
    bw_tlv(&w, OCTETS, span_of(data->b, sizeof data->b));
    size_t algorithm = bw_len(&w);
    bw_tlv(&w, MBEDTLS_ASN1_NULL, span_of(NULL, 0));
    bw_oid(&w, MBEDTLS_OID_DIGEST_ALG_SHA256);
    bw_wrap(&w, algorithm, BW_SEQUENCE);
    bw_wrap(&w, at, BW_SEQUENCE);
    bw_u64(&w, 1);
    bw_wrap(&w, 0, BW_SEQUENCE);
    struct span s = bw_span(&w);
    memmove(out, s.p, s.n);
    return s.n;
}

/* --- the reply, taken apart --- */

struct token {
    struct span info;           /* TSTInfo, DER: what is signed over a digest */
    struct span imprint, nonce; /* in it; nonce.p NULL: none */
    int64_t time;
    struct span certs[CERTS_MAX];
    size_t certs_n;
    struct span issuer, serial; /* of the signer's certificate */
    mbedtls_md_type_t digest;
    struct span attributes; /* content of the SET that is signed */
    struct span content_type, message_digest;
    struct span signer_hash; /* of his certificate, by signing-certificate or its version 2 */
    mbedtls_md_type_t signer_digest;
    mbedtls_pk_type_t pk;
    struct span sig;
};

static int not_der(struct err *e, const char *part)
{
    return err_set(e, ERR_DATA, "no time stamp in DER: %s", part);
}

static struct rd inside(struct rd *r, int tag)
{
    struct span s = dr_take(r, tag);
    struct rd in = rd_of(s);

    in.bad = s.p == NULL;
    return in;
}

/* PKIFailureInfo (RFC 3161 2.4.2): bit, what it says. */
static const struct {
    unsigned bit;
    const char *text;
} failures[] = {
    {0, "it does not know SHA-256"},          {2, "it does not allow the request"},
    {5, "it cannot read the request"},        {14, "its clock is not available"},
    {15, "it does not have that policy"},     {16, "it does not have that extension"},
    {17, "it does not have what was wanted"}, {25, "it has failed itself"},
};

static const char *failure_text(struct span bits)
{
    for (size_t i = 0; i < COUNT(failures); i++) {
        size_t byte = 1 + failures[i].bit / 8;
        if (byte < bits.n && (bits.p[byte] & 0x80 >> failures[i].bit % 8) != 0)
            return failures[i].text;
    }
    return "it does not say why";
}

static int status_take(struct rd *r, struct err *e)
{
    struct rd info = inside(r, BW_SEQUENCE);
    struct span failure = {NULL, 0};
    uint32_t status = dr_u32(&info);

    if (dr_is(&info, BW_SEQUENCE))
        (void)dr_take(&info, BW_SEQUENCE); /* words for people, unsigned */
    if (dr_is(&info, MBEDTLS_ASN1_BIT_STRING))
        failure = dr_take(&info, MBEDTLS_ASN1_BIT_STRING);
    if (!rd_done(&info))
        return not_der(e, "its status");
    return status <= 1 ? 0
                       : err_set(e, ERR_UNAVAILABLE, "the authority refused (status %u): %s",
                                 (unsigned)status, failure_text(failure));
}

/* AlgorithmIdentifier of a digest, with NULL or without. */
static mbedtls_md_type_t digest_take(struct rd *r)
{
    struct rd in = inside(r, BW_SEQUENCE);
    struct span oid = dr_take(&in, MBEDTLS_ASN1_OID);
    mbedtls_asn1_buf buf = {MBEDTLS_ASN1_OID, oid.n, (uint8_t *)(uintptr_t)oid.p};
    mbedtls_md_type_t md = MBEDTLS_MD_NONE;

    if (dr_is(&in, MBEDTLS_ASN1_NULL) && dr_take(&in, MBEDTLS_ASN1_NULL).n > 0)
        in.bad = true;
    if (!rd_done(&in) || mbedtls_oid_get_md_alg(&buf, &md) != 0)
        r->bad = true;
    return md;
}

/* GeneralizedTime as RFC 3161 2.4.2 has it: seconds and UTC always, a fraction without zeros at its
 * end perhaps. */
static int time_text_take(struct span s, int64_t *out)
{
    static const int widths[] = {4, 2, 2, 2, 2, 2};
    int part[COUNT(widths)] = {0}, ms = 0;
    struct rd r = rd_of(s);

    for (size_t i = 0; i < COUNT(widths); i++)
        for (int n = 0; n < widths[i]; n++) {
            uint8_t c = rd_u8(&r);
            r.bad = r.bad || c < '0' || c > '9';
            part[i] = part[i] * 10 + (c - '0');
        }
    if (dr_is(&r, '.')) {
        int scale = 100;
        uint8_t c = rd_u8(&r);
        for (; rd_left(&r) > 1; scale /= 10) {
            c = rd_u8(&r);
            r.bad = r.bad || c < '0' || c > '9';
            ms += (c - '0') * scale;
        }
        r.bad = r.bad || c == '.' || c == '0';
    }
    if (rd_u8(&r) != 'Z' || !rd_done(&r) || part[1] < 1 || part[1] > 12 || part[2] < 1 ||
        part[2] > 31 || part[3] > 23 || part[4] > 59 || part[5] > 59)
        return -1;
    const mbedtls_x509_time t = {part[0], part[1], part[2], part[3], part[4], part[5]};
    *out = x509_ms(&t) + ms;
    return 0;
}

/* accuracy, ordering, tsa and extensions follow time or nonce: no extension is known here. */
static int info_take(struct token *t, struct err *e)
{
    struct rd whole = rd_of(t->info), r = inside(&whole, BW_SEQUENCE);

    if (dr_u32(&r) != 1)
        r.bad = true;
    (void)dr_take(&r, MBEDTLS_ASN1_OID); /* its policy */
    struct rd imprint = inside(&r, BW_SEQUENCE);
    if (digest_take(&imprint) != MBEDTLS_MD_SHA256)
        return err_set(e, ERR_DATA, "the time stamp is not over a SHA-256");
    t->imprint = dr_take(&imprint, OCTETS);
    if (!rd_done(&imprint))
        r.bad = true;
    (void)dr_take(&r, INTEGER); /* its count */
    if (time_text_take(dr_take(&r, MBEDTLS_ASN1_GENERALIZED_TIME), &t->time) < 0)
        r.bad = true;
    if (dr_is(&r, BW_SEQUENCE))
        (void)dr_take(&r, BW_SEQUENCE);
    if (dr_is(&r, MBEDTLS_ASN1_BOOLEAN))
        (void)dr_take(&r, MBEDTLS_ASN1_BOOLEAN);
    if (dr_is(&r, INTEGER))
        t->nonce = dr_take(&r, INTEGER);
    if (dr_is(&r, EXPLICIT | 0))
        (void)dr_take(&r, EXPLICIT | 0);
    return rd_done(&r) && rd_done(&whole) ? 0 : not_der(e, "what was stamped");
}

static void certs_take(struct token *t, struct rd *r)
{
    if (!dr_is(r, EXPLICIT | 0))
        return;
    struct rd in = inside(r, EXPLICIT | 0);
    while (rd_left(&in) > 0 && t->certs_n < CERTS_MAX)
        t->certs[t->certs_n++] = dr_whole(&in);
    if (!rd_done(&in))
        r->bad = true;
}

/* The first certificate of ESSCertID (SHA-1) or ESSCertIDv2 is the signer's (RFC 5035 3, 4). */
static void signing_cert_take(struct token *t, struct rd value, bool second)
{
    struct rd whole = inside(&value, BW_SEQUENCE), list = inside(&whole, BW_SEQUENCE);
    struct rd first = inside(&list, BW_SEQUENCE);

    t->signer_digest = second ? MBEDTLS_MD_SHA256 : MBEDTLS_MD_SHA1;
    if (second && dr_is(&first, BW_SEQUENCE))
        t->signer_digest = digest_take(&first);
    t->signer_hash = dr_take(&first, OCTETS);
}

/* Each with one value; of one that is there twice, which nobody but the signer could write, the
 * last counts. What is not known is signed and does not matter. */
static bool attributes_take(struct token *t)
{
    struct rd r = rd_of(t->attributes);

    while (rd_left(&r) > 0) {
        struct rd one = inside(&r, BW_SEQUENCE);
        struct span oid = dr_take(&one, MBEDTLS_ASN1_OID);
        struct rd value = inside(&one, BW_SET), again = value;
        (void)dr_whole(&again);
        if (!rd_done(&one) || !rd_done(&again))
            return false;
        if (span_same(oid, span_of(OID_CONTENT_TYPE, sizeof OID_CONTENT_TYPE - 1)))
            t->content_type = dr_take(&value, MBEDTLS_ASN1_OID);
        else if (span_same(oid, span_of(OID_MESSAGE_DIGEST, sizeof OID_MESSAGE_DIGEST - 1)))
            t->message_digest = dr_take(&value, OCTETS);
        else if (span_same(oid, span_of(OID_SIGNING_CERT, sizeof OID_SIGNING_CERT - 1)) &&
                 t->signer_hash.p == NULL)
            signing_cert_take(t, value, false);
        else if (span_same(oid, span_of(OID_SIGNING_CERT_V2, sizeof OID_SIGNING_CERT_V2 - 1)))
            signing_cert_take(t, value, true);
    }
    return rd_done(&r) && t->signer_hash.p != NULL;
}

/* RSA (PKCS#1 v1.5) or ECDSA; a digest that it names is the signer's. */
static bool algorithm_take(struct token *t, struct rd *r)
{
    struct rd in = inside(r, BW_SEQUENCE);
    struct span oid = dr_take(&in, MBEDTLS_ASN1_OID);
    mbedtls_asn1_buf buf = {MBEDTLS_ASN1_OID, oid.n, (uint8_t *)(uintptr_t)oid.p};
    mbedtls_md_type_t md = t->digest;

    if (dr_is(&in, MBEDTLS_ASN1_NULL))
        (void)dr_take(&in, MBEDTLS_ASN1_NULL);
    t->pk = MBEDTLS_PK_RSA;
    if (!span_same(oid, span_of(MBEDTLS_OID_PKCS1_RSA, sizeof MBEDTLS_OID_PKCS1_RSA - 1)) &&
        mbedtls_oid_get_sig_alg(&buf, &md, &t->pk) != 0)
        return false;
    return rd_done(&in) && md == t->digest &&
           (t->pk == MBEDTLS_PK_RSA || t->pk == MBEDTLS_PK_ECDSA);
}

static int signer_take(struct token *t, struct rd *set, struct err *e)
{
    struct rd r = inside(set, BW_SEQUENCE);

    if (dr_u32(&r) != 1) /* by issuer and serial number */
        r.bad = true;
    struct rd sid = inside(&r, BW_SEQUENCE);
    t->issuer = dr_whole(&sid);
    t->serial = dr_take(&sid, INTEGER);
    if (!rd_done(&sid))
        r.bad = true;
    t->digest = digest_take(&r);
    t->attributes = dr_take(&r, EXPLICIT | 0);
    if (r.bad || !attributes_take(t) || !algorithm_take(t, &r))
        return not_der(e, "who signed it");
    t->sig = dr_take(&r, OCTETS);
    if (dr_is(&r, EXPLICIT | 1))
        (void)dr_take(&r, EXPLICIT | 1); /* unsigned attributes */
    return rd_done(&r) && rd_done(set) ? 0 : not_der(e, "one signer and nobody else");
}

static int signed_data_take(struct token *t, struct rd *r, struct err *e)
{
    uint32_t version = dr_u32(r);

    (void)dr_take(r, BW_SET); /* digest algorithms: the signer says his again */
    struct rd content = inside(r, BW_SEQUENCE);
    DR_OID(&content, OID_TST_INFO);
    struct rd explicit = inside(&content, EXPLICIT | 0);
    t->info = dr_take(&explicit, OCTETS);
    certs_take(t, r);
    if (dr_is(r, EXPLICIT | 1))
        (void)dr_take(r, EXPLICIT | 1); /* revocation lists: unsigned, not looked at */
    struct rd signers = inside(r, BW_SET);
    if (version != 3 || !rd_done(&content) || !rd_done(&explicit) || !rd_done(r))
        return not_der(e, "its signed data");
    return info_take(t, e) < 0 || signer_take(t, &signers, e) < 0 ? -1 : 0;
}

static int reply_take(struct token *t, struct span reply, struct err *e)
{
    struct rd whole = rd_of(reply), r = inside(&whole, BW_SEQUENCE);

    if (status_take(&r, e) < 0)
        return -1;
    struct rd content = inside(&r, BW_SEQUENCE);
    DR_OID(&content, OID_SIGNED_DATA);
    struct rd explicit = inside(&content, EXPLICIT | 0), data = inside(&explicit, BW_SEQUENCE);
    if (!rd_done(&whole) || !rd_done(&r) || !rd_done(&content) || !rd_done(&explicit))
        return not_der(e, "the whole");
    return signed_data_take(t, &data, e);
}

/* --- is it about this? --- */

/* The nonce as INTEGER: without zeros in front, but one where its first bit is set. */
static bool nonce_same(struct span have, const uint8_t nonce[STAMP_NONCE_LEN])
{
    struct span want = span_of(nonce, STAMP_NONCE_LEN);

    while (want.n > 1 && want.p[0] == 0)
        want = span_of(want.p + 1, want.n - 1);
    if (have.n > 1 && have.p[0] == 0 && (have.p[1] & 0x80) != 0)
        have = span_of(have.p + 1, have.n - 1);
    return span_same(have, want);
}

static int fits(const struct token *t, const struct stamp_ask *ask, struct err *e)
{
    if (!span_same(t->imprint, span_of(ask->data.b, sizeof ask->data.b)))
        return err_set(e, ERR_DATA, "it is a time stamp of something else");
    if (ask->nonce != NULL && (t->nonce.p == NULL || !nonce_same(t->nonce, ask->nonce)))
        return err_set(e, ERR_DATA, "it answers another request (nonce)");
    return 0;
}

/* --- who signed it --- */

static bool digest_same(mbedtls_md_type_t md, struct span data, struct span want)
{
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(md);
    uint8_t h[MBEDTLS_MD_MAX_SIZE];

    return info != NULL && mbedtls_md(info, data.p, data.n, h) == 0 &&
           span_same(want, span_of(h, mbedtls_md_get_size(info)));
}

static struct cert *signer_find(const struct token *t, struct err *e)
{
    for (size_t i = 0; i < t->certs_n; i++) {
        struct err why = {0};
        struct cert *c = cert_parse(t->certs[i], NULL, &why);
        if (c != NULL && span_same(BUF_SPAN(c->crt.issuer_raw), t->issuer) &&
            span_same(BUF_SPAN(c->crt.serial), t->serial) &&
            digest_same(t->signer_digest, cert_der(c), t->signer_hash))
            return c;
        cert_free(c);
    }
    (void)err_set(e, ERR_DATA, "the certificate of the authority that signed it is not in it");
    return NULL;
}

/* What is signed is the SET of attributes (RFC 5652 5.4), among them the digest of the rest. */
static bool signature_good(const struct token *t, struct cert *signer)
{
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(t->digest);
    uint8_t room[TSR_MAX], h[MBEDTLS_MD_MAX_SIZE];
    struct bw w = bw_of(room, sizeof room);

    bw_tlv(&w, BW_SET, t->attributes);
    struct span all = bw_span(&w);
    return info != NULL && all.p != NULL &&
           (x509_profile.allowed_mds >> (t->digest - 1) & 1) != 0 &&
           span_same(t->content_type, span_of(OID_TST_INFO, sizeof OID_TST_INFO - 1)) &&
           digest_same(t->digest, t->info, t->message_digest) &&
           mbedtls_md(info, all.p, all.n, h) == 0 &&
           mbedtls_pk_can_do(&signer->crt.pk, t->pk) != 0 &&
           mbedtls_pk_verify(&signer->crt.pk, t->digest, h, mbedtls_md_get_size(info), t->sig.p,
                             t->sig.n) == 0;
}

/* RFC 3161 2.3: made for time stamps and nothing else, in a critical extension. */
static bool stamps_only(const struct cert *c)
{
    const mbedtls_x509_sequence *uses = &c->crt.ext_key_usage;
    struct rd whole = rd_of(BUF_SPAN(c->crt.v3_ext)), list = inside(&whole, BW_SEQUENCE);

    if (uses->next != NULL ||
        !span_same(BUF_SPAN(uses->buf),
                   span_of(MBEDTLS_OID_TIME_STAMPING, sizeof MBEDTLS_OID_TIME_STAMPING - 1)))
        return false;
    while (rd_left(&list) > 0) {
        struct rd one = inside(&list, BW_SEQUENCE);
        struct span oid = dr_take(&one, MBEDTLS_ASN1_OID);
        if (span_same(oid, span_of(MBEDTLS_OID_EXTENDED_KEY_USAGE,
                                   sizeof MBEDTLS_OID_EXTENDED_KEY_USAGE - 1)))
            return dr_is(&one, MBEDTLS_ASN1_BOOLEAN); /* true: false is the default */
    }
    return false;
}

/* Authorities have keys of other curves than we. */
static const mbedtls_x509_crt_profile profile = {
    .allowed_mds = MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
    .allowed_pks = MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSA) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECDSA) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECKEY),
    .allowed_curves = MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1) |
                      MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP384R1) |
                      MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP521R1),
    .rsa_min_bitlen = 2048,
};

/* Valid at the time that it stamped, by no other clock. */
static int dates_at(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    const int64_t *at = ctx;

    (void)depth;
    *flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
    if (*at < x509_ms(&crt->valid_from))
        *flags |= MBEDTLS_X509_BADCERT_FUTURE;
    if (*at >= x509_ms(&crt->valid_to) + 1000)
        *flags |= MBEDTLS_X509_BADCERT_EXPIRED;
    return 0;
}

static int chain_check(struct cert *signer, const struct token *t, const struct stamp_ask *ask,
                       struct err *e)
{
    mbedtls_x509_crt chain, roots;
    uint32_t flags = 0;
    int64_t at = t->time;
    mbedtls_x509_crt_init(&chain);
    mbedtls_x509_crt_init(&roots);
    int rc = mbedtls_x509_crt_parse_der(&roots, ask->root.p, ask->root.n);
    if (rc == 0)
        rc = mbedtls_x509_crt_parse_der(&chain, signer->crt.raw.p, signer->crt.raw.len);
    for (size_t i = 0; i < t->certs_n && rc == 0; i++)
        rc = mbedtls_x509_crt_parse_der(&chain, t->certs[i].p, t->certs[i].n);
    if (rc != 0)
        rc = err_set(e, ERR_DATA, "a certificate of the authority cannot be read");
    else if (mbedtls_x509_crt_verify_with_profile(&chain, &roots, NULL, &profile, NULL, &flags,
                                                  dates_at, &at) != 0)
        rc =
            err_set(e, ERR_AUTH, "the authority's certificate is not under the CA that was given%s",
                    (flags & (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE)) != 0
                        ? ", or was not valid then"
                        : "");
    mbedtls_x509_crt_free(&chain);
    mbedtls_x509_crt_free(&roots);
    return rc;
}

static int signer_check(const struct token *t, struct cert *signer, const struct stamp_ask *ask,
                        struct err *e)
{
    if (!stamps_only(signer))
        return err_set(e, ERR_AUTH, "it was signed by a certificate not made for time stamps");
    if (!signature_good(t, signer))
        return err_set(e, ERR_DATA, "the signature of the time stamp is wrong");
    return chain_check(signer, t, ask, e);
}

int stamp_check(struct span reply, const struct stamp_ask *ask, struct time_stamp *out,
                struct err *e)
{
    struct token t = {.digest = MBEDTLS_MD_NONE};
    struct cert_info info;

    if (reply.n > TSR_MAX)
        return err_set(e, ERR_DATA, "a time stamp of more than %d bytes", TSR_MAX);
    if (reply_take(&t, reply, e) < 0 || fits(&t, ask, e) < 0)
        return -1;
    struct cert *signer = signer_find(&t, e);
    if (signer == NULL)
        return -1;
    int rc = signer_check(&t, signer, ask, e);
    if (rc == 0) {
        cert_info(signer, &info);
        memcpy(out->authority, info.cn, sizeof out->authority);
        cert_fingerprint(cert_der(signer), &out->signer);
        out->time = t.time;
    }
    cert_free(signer);
    return rc;
}
