/* cert_check: the path first, then its strength, its signatures (mbedTLS's own verification is
 * asked too, and has the last word, once for the same path where a memo is given), dates, role,
 * name, revocation. What is not proven to come from a CA we believe is not looked at further. */
#include <arpa/inet.h>
#include <mbedtls/oid.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/crypto/issue.h"
#include "common/crypto/x509_inside.h"

enum { PRESENTED_MAX = CHAIN_MAX + 1 };

struct judge {
    const struct trust *trust;
    const struct cert_ask *ask;
    struct cert *given[PRESENTED_MAX]; /* as the peer sent them */
    size_t given_n, given_used;
    struct cert *path[CHAIN_MAX + 1]; /* leaf first, anchor last; owned through given and ours */
    size_t path_n;
    struct hash sum[CHAIN_MAX + 1]; /* of path[i] and all above it */
    struct cert
        *ours[CHAIN_MAX + 1]; /* copies of CAs of trust: mbedTLS keys are not shared by threads */
    size_t ours_n;
    enum cert_fault *why;
    struct err *e;
};

static int refuse(struct judge *j, const struct cert *c, enum cert_fault f, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* Notes the fault, and the sentence "certificate of SUBJECT: detail". */
static int refuse(struct judge *j, const struct cert *c, enum cert_fault f, const char *fmt, ...)
{
    char detail[160];
    struct cert_info info;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(detail, sizeof detail, fmt, ap);
    va_end(ap);
    if (c != NULL)
        cert_info(c, &info);
    *j->why = f;
    err_set(j->e, f == CERT_LOCAL ? ERR_LOCAL : ERR_AUTH, "%s", detail);
    return c == NULL ? -1 : err_in(j->e, "certificate of %.80s", info.subject);
}

/* --- the path --- */

static int chain_read(struct judge *j, const struct span *chain, size_t n)
{
    if (n == 0)
        return refuse(j, NULL, CERT_NONE, "%s", cert_fault_text(CERT_NONE));
    if (n > PRESENTED_MAX)
        return refuse(j, NULL, CERT_CHAIN_LONG, "the chain has %zu certificates, more than %d", n,
                      PRESENTED_MAX);
    for (; j->given_n < n; j->given_n++) {
        j->given[j->given_n] = cert_parse(chain[j->given_n], j->why, j->e);
        if (j->given[j->given_n] == NULL)
            return err_in(j->e, "certificate %zu of the chain", j->given_n + 1);
    }
    return 0;
}

/* true when this very certificate is an anchor. */
static bool anchored(const struct judge *j, const struct cert *c)
{
    for (size_t i = 0; i < j->trust->n; i++)
        if (j->trust->ca[i].root && span_same(cert_der(j->trust->ca[i].cert), cert_der(c)))
            return true;
    return false;
}

/* The issuer of c: among the CAs we know, else the one the peer sent next. */
static int issuer_find(struct judge *j, const struct cert *c, struct cert **out)
{
    *out = NULL;
    for (size_t i = 0; i < j->trust->n; i++) {
        if (!cert_issued_by(c, j->trust->ca[i].cert))
            continue;
        *out = cert_parse(cert_der(j->trust->ca[i].cert), j->why, j->e);
        if (*out == NULL)
            return -1;
        j->ours[j->ours_n++] = *out;
        return 0;
    }
    if (j->given_used < j->given_n && cert_issued_by(c, j->given[j->given_used]))
        *out = j->given[j->given_used++];
    return 0;
}

static int issuer_missing(struct judge *j, const struct cert *c)
{
    if (cert_issued_by(c, c))
        return refuse(j, c, CERT_SELF_SIGNED, "%s", cert_fault_text(CERT_SELF_SIGNED));
    struct cert_info info;
    cert_info(c, &info);
    return refuse(j, c, CERT_UNKNOWN_CA, "its issuer %.80s is not a CA trusted here", info.issuer);
}

static int path_build(struct judge *j)
{
    struct cert *c = j->given[0];

    j->given_used = 1;
    j->path[j->path_n++] = c;
    if (j->ask->alone)
        return j->given_n == 1
                   ? 0
                   : refuse(j, c, CERT_CHAIN_LONG, "it stands alone, but others follow");
    while (!anchored(j, c)) {
        struct cert *issuer;
        if (issuer_find(j, c, &issuer) < 0)
            return -1;
        if (issuer == NULL)
            return issuer_missing(j, c);
        if (j->path_n == COUNT(j->path))
            return refuse(j, c, CERT_CHAIN_LONG, "more than %d certificates below the root",
                          CHAIN_MAX);
        j->path[j->path_n++] = c = issuer;
    }
    return 0;
}

/* --- strength --- */

static int strength_check(struct judge *j)
{
    for (size_t i = 0; i < j->path_n; i++) {
        const struct cert *c = j->path[i];
        const char *alg = "unknown";
        if (c->crt.version != 3)
            return refuse(j, c, CERT_VERSION, "X.509 version %d, not 3", c->crt.version);
        if (!pk_strong(&c->crt.pk) || !pk_plain(&c->crt.pk, cert_spki(c)))
            return refuse(j, c, CERT_WEAK_KEY, "%s (%zu bits)", cert_fault_text(CERT_WEAK_KEY),
                          mbedtls_pk_get_bitlen(&c->crt.pk));
        if (i + 1 == j->path_n || sig_strong(&c->crt.sig_oid))
            continue; /* nobody relies on the anchor's signature of itself */
        (void)mbedtls_oid_get_sig_alg_desc(&c->crt.sig_oid, &alg);
        return refuse(j, c, CERT_WEAK_SIGNATURE, "the signature algorithm is not accepted: %s",
                      alg);
    }
    return 0;
}

static int issuers_check(struct judge *j)
{
    for (size_t i = 1; i < j->path_n; i++) {
        const struct cert *c = j->path[i];
        const mbedtls_x509_crt *crt = &c->crt;
        if (!cert_ca(c))
            return refuse(j, c, CERT_ISSUER_NOT_CA, "it is not a CA, but issued one");
        if (!mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_KEY_USAGE) ||
            mbedtls_x509_crt_check_key_usage(crt, MBEDTLS_X509_KU_KEY_CERT_SIGN) != 0)
            return refuse(j, c, CERT_ISSUER_NOT_CA, "its key usage does not allow certificates");
        /* No getter. mbedTLS keeps one more than the certificate says, 0 for no limit; below
         * path[i] are i - 1 CAs. */
        int limit = crt->MBEDTLS_PRIVATE(max_pathlen);
        if (limit > 0 && i > (size_t)limit)
            return refuse(j, c, CERT_PATH_LENGTH, "%zu CAs below it, %d allowed", i - 1, limit - 1);
    }
    return 0;
}

/* --- signatures --- */

/* mbedTLS judges dates by time(2), which is not our clock. */
static int dates_ignore(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    (void)ctx, (void)crt, (void)depth;
    *flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
    return 0;
}

/* path[0..n) becomes a list of mbedTLS, or single certificates again. */
static void path_link(struct judge *j, size_t n, bool on)
{
    for (size_t i = 0; i + 1 < n; i++)
        j->path[i]->crt.next = on ? &j->path[i + 1]->crt : NULL;
}

/* Whole certificates, anchor included, so that nothing of them can differ. */
static void path_sums(struct judge *j)
{
    struct span der[CHAIN_MAX + 1];

    for (size_t i = 0; i < j->path_n; i++)
        der[i] = cert_der(j->path[i]);
    for (size_t i = 0; i + 1 < j->path_n; i++)
        sha256_parts(der + i, j->path_n - i, &j->sum[i]);
}

/* The first of the path that stands in for the anchor: whether the signatures above it are right
 * depends on nothing but these bytes, and was found out before. */
static size_t path_known(const struct judge *j)
{
    size_t i = 0;

    while (i + 1 < j->path_n && !memo_has(j->ask->memo, &j->sum[i]))
        i++;
    return i;
}

/* A path of one: the anchor itself, which no leaf of ours is, or what stands alone. */
static int signature_own(struct judge *j)
{
    struct cert *c = j->path[0];

    if (j->ask->alone)
        return cert_signed_itself(c) ? 0
                                     : refuse(j, c, CERT_BAD_SIGNATURE, "it did not sign itself");
    return j->ask->role == CERT_INTERMEDIATE
               ? refuse(j, c, CERT_WRONG_ROLE, "the root, not a CA below it")
               : refuse(j, c, CERT_IS_CA, "%s", cert_fault_text(CERT_IS_CA));
}

static int signatures_check(struct judge *j)
{
    struct cert *leaf = j->path[0];
    uint32_t flags = 0;

    if (j->path_n == 1)
        return signature_own(j);
    path_sums(j);
    size_t known = path_known(j);
    if (known == 0)
        return 0;
    path_link(j, known, true);
    int rc = mbedtls_x509_crt_verify_with_profile(&leaf->crt, &j->path[known]->crt, NULL,
                                                  &x509_profile, NULL, &flags, dates_ignore, NULL);
    path_link(j, known, false);
    if (rc == 0 && flags == 0) {
        for (size_t i = 0; i < known; i++)
            memo_add(j->ask->memo, &j->sum[i]);
        return 0;
    }
    if (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && flags == MBEDTLS_X509_BADCERT_NOT_TRUSTED)
        return refuse(j, leaf, CERT_BAD_SIGNATURE,
                      "a signature in its chain does not verify with its issuer's key");
    return refuse(j, leaf, CERT_LOCAL, "verification failed (flags %x, code -%x)", (unsigned)flags,
                  (unsigned)-rc);
}

static int dates_check(struct judge *j)
{
    char date[DATE_LEN];

    for (size_t i = 0; i < j->path_n; i++) {
        const struct cert *c = j->path[i];
        int64_t from = x509_ms(&c->crt.valid_from), to = x509_ms(&c->crt.valid_to);
        if (j->ask->at < from)
            return refuse(j, c, CERT_FUTURE, "not valid before %s", date_put(date, from));
        if (j->ask->at >= to + 1000) /* the last second counts as a whole */
            return refuse(j, c, CERT_EXPIRED, "expired %s", date_put(date, to));
    }
    return 0;
}

/* --- role and name --- */

static bool eku_only(const mbedtls_x509_crt *crt, const char *oid)
{
    const mbedtls_x509_sequence *s = &crt->ext_key_usage;
    return s->next == NULL && span_same(BUF_SPAN(s->buf), span_of(oid, strlen(oid)));
}

static int leaf_names_any(const struct judge *j)
{
    return mbedtls_x509_crt_has_ext_type(&j->path[0]->crt, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME);
}

/* What host names: an address when it reads as one, else a DNS name without the final dot. */
static struct san host_san(const char *host, uint8_t ip[16])
{
    size_t n = strlen(host);

    if (inet_pton(AF_INET, host, ip) == 1)
        return (struct san){SAN_IP, span_of(ip, 4)};
    if (inet_pton(AF_INET6, host, ip) == 1)
        return (struct san){SAN_IP, span_of(ip, 16)};
    if (n > 0 && host[n - 1] == '.')
        n--;
    return (struct san){SAN_DNS, span_of(host, n)};
}

static bool san_is(const mbedtls_x509_buf *have, const struct san *want)
{
    static const int tags[] = {
        [SAN_DNS] = MBEDTLS_X509_SAN_DNS_NAME,
        [SAN_IP] = MBEDTLS_X509_SAN_IP_ADDRESS,
        [SAN_URI] = MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER,
    };

    if ((have->tag & MBEDTLS_ASN1_TAG_VALUE_MASK) != tags[want->kind] ||
        have->len != want->value.n || want->value.n == 0)
        return false;
    if (want->kind == SAN_DNS) /* no wildcards: our CA makes none */
        return strncasecmp((const char *)have->p, (const char *)want->value.p, have->len) == 0;
    return span_same(BUF_SPAN(*have), want->value);
}

static int relay_name(struct judge *j)
{
    const struct cert *leaf = j->path[0];
    uint8_t ip[16];
    struct cert_info info;

    if (j->ask->host == NULL)
        return refuse(j, leaf, CERT_LOCAL, "nobody said which host was asked for");
    struct san want = host_san(j->ask->host, ip);
    for (const mbedtls_x509_sequence *s = &leaf->crt.subject_alt_names; s != NULL; s = s->next)
        if (san_is(&s->buf, &want))
            return 0;
    cert_info(leaf, &info);
    return refuse(j, leaf, CERT_WRONG_NAME, "it is for %.80s, not for %.60s", info.sans,
                  j->ask->host);
}

/* Who checks evidence later asks for no host: the certificate says whose relay it was. */
static int evidence_name(struct judge *j)
{
    return j->ask->host == NULL ? 0 : relay_name(j);
}

/* The one SAN of a device says again what its subject says. */
static int device_name(struct judge *j)
{
    const struct cert *leaf = j->path[0];
    const mbedtls_x509_name *subject = &leaf->crt.subject;
    struct str cn = name_part(subject, MBEDTLS_OID_AT_CN, MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_CN));
    struct str ou =
        name_part(subject, MBEDTLS_OID_AT_ORG_UNIT, MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_ORG_UNIT));
    char uri[CERT_SANS_MAX];
    struct cert_info info;

    if (cn.n > 0 && ou.n > 0 && device_uri(uri, sizeof uri, cn, ou) == 0) {
        struct san want = {SAN_URI, span_of(uri, strlen(uri))};
        const mbedtls_x509_sequence *first = &leaf->crt.subject_alt_names;
        if (first->next == NULL && san_is(&first->buf, &want))
            return 0;
    }
    cert_info(leaf, &info);
    return refuse(j, leaf, CERT_WRONG_NAME, "its name %.80s is not its subject's", info.sans);
}

/* What each role demands of a leaf. */
static const struct rule {
    const char *eku;
    unsigned usage;
    bool rsa; /* it signs with RSA-PSS */
    int (*name)(struct judge *j);
} rules[CERT_ROLE_COUNT] = {
    [CERT_RELAY] = {MBEDTLS_OID_SERVER_AUTH, MBEDTLS_X509_KU_DIGITAL_SIGNATURE, false, relay_name},
    [CERT_DEVICE] = {MBEDTLS_OID_CLIENT_AUTH,
                     MBEDTLS_X509_KU_DIGITAL_SIGNATURE | MBEDTLS_X509_KU_NON_REPUDIATION, true,
                     device_name},
    [CERT_EVIDENCE] = {OID_EVIDENCE,
                       MBEDTLS_X509_KU_DIGITAL_SIGNATURE | MBEDTLS_X509_KU_NON_REPUDIATION, true,
                       evidence_name},
};

static int usage_check(struct judge *j, const struct rule *r)
{
    const struct cert *leaf = j->path[0];
    const mbedtls_x509_crt *crt = &leaf->crt;

    if (!mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_KEY_USAGE))
        return refuse(j, leaf, CERT_KEY_USAGE, "it has no key usage");
    if (mbedtls_x509_crt_check_key_usage(crt, r->usage) != 0)
        return refuse(j, leaf, CERT_KEY_USAGE, "%s", cert_fault_text(CERT_KEY_USAGE));
    if (mbedtls_x509_crt_check_key_usage(crt, MBEDTLS_X509_KU_KEY_CERT_SIGN) == 0 ||
        mbedtls_x509_crt_check_key_usage(crt, MBEDTLS_X509_KU_CRL_SIGN) == 0)
        return refuse(j, leaf, CERT_KEY_USAGE, "its key usage is a CA's");
    return 0;
}

/* A CA with extended key usages may issue for these only (as browsers and OpenSSL have it). */
static int issuer_uses_check(struct judge *j, const struct rule *r)
{
    for (size_t i = 1; i < j->path_n; i++) {
        const mbedtls_x509_crt *crt = &j->path[i]->crt;
        if (mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE) &&
            mbedtls_x509_crt_check_extended_key_usage(crt, r->eku, strlen(r->eku)) != 0)
            return refuse(j, j->path[i], CERT_WRONG_ROLE, "it may not issue for a %s",
                          cert_role_name(j->ask->role));
    }
    return 0;
}

static int leaf_check(struct judge *j, const struct rule *r)
{
    const struct cert *leaf = j->path[0];
    const mbedtls_x509_crt *crt = &leaf->crt;

    if (cert_ca(leaf))
        return refuse(j, leaf, CERT_IS_CA, "%s", cert_fault_text(CERT_IS_CA));
    if (!mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE))
        return refuse(j, leaf, CERT_NO_EKU, "%s", cert_fault_text(CERT_NO_EKU));
    if (!eku_only(crt, r->eku))
        return refuse(j, leaf, CERT_WRONG_ROLE, "not made to be a %s",
                      cert_role_name(j->ask->role));
    if (issuer_uses_check(j, r) < 0 || usage_check(j, r) < 0)
        return -1;
    if (r->rsa && mbedtls_pk_get_type(&crt->pk) != MBEDTLS_PK_RSA)
        return refuse(j, leaf, CERT_WEAK_KEY, "the key of this role must be RSA: it signs %s",
                      j->ask->role == CERT_DEVICE ? "entries" : "evidence");
    if (!leaf_names_any(j))
        return refuse(j, leaf, CERT_NO_SAN, "%s", cert_fault_text(CERT_NO_SAN));
    return r->name(j);
}

static int role_check(struct judge *j)
{
    const struct rule *r = &rules[j->ask->role];

    if (r->name != NULL)
        return leaf_check(j, r);
    if (j->ask->role == CERT_INTERMEDIATE && cert_ca(j->path[0]))
        return 0;
    return refuse(j, j->path[0], CERT_WRONG_ROLE, "not made to be a %s",
                  cert_role_name(j->ask->role));
}

/* --- revocation --- */

static int revoked_check(struct judge *j, size_t i)
{
    const struct cert *c = j->path[i];
    const struct trust_ca *ca = trust_find(j->trust, j->path[i + 1]);
    const struct crl *crl = ca == NULL ? NULL : ca->crl;
    enum trust_crl policy = j->trust->policy;
    int64_t now = j->ask->now != 0 ? j->ask->now : j->ask->at;
    int64_t when;
    char date[DATE_LEN];

    if (crl == NULL && (policy == TRUST_CRL_ALL || (policy == TRUST_CRL_LEAF && i == 0)))
        return refuse(j, c, CERT_NO_CRL, "%s", cert_fault_text(CERT_NO_CRL));
    if (crl == NULL)
        return 0;
    int64_t from = x509_ms(&crl->crl.this_update), to = x509_ms(&crl->crl.next_update);
    if (now < from || now > to)
        return refuse(j, c, CERT_CRL_EXPIRED, "the revocation list of its issuer %s %s",
                      now < from ? "is only valid from" : "expired",
                      date_put(date, now < from ? from : to));
    if (crl_has(crl, c, &when) && when <= j->ask->at)
        return refuse(j, c, CERT_REVOKED, "revoked %s", date_put(date, when));
    return 0;
}

static int revocation_check(struct judge *j)
{
    for (size_t i = 0; i + 1 < j->path_n; i++)
        if (revoked_check(j, i) < 0)
            return -1;
    return 0;
}

int cert_check(const struct trust *t, const struct span *chain, size_t n,
               const struct cert_ask *ask, enum cert_fault *why, struct err *e)
{
    static int (*const steps[])(struct judge * j) = {
        path_build,  strength_check, issuers_check,    signatures_check,
        dates_check, role_check,     revocation_check,
    };
    struct judge j = {.trust = t, .ask = ask, .why = why, .e = e};

    *why = CERT_LOCAL;
    int rc = chain_read(&j, chain, n);
    for (size_t i = 0; rc == 0 && i < COUNT(steps); i++)
        rc = steps[i](&j);
    if (rc == 0)
        *why = CERT_OK;
    for (size_t i = 0; i < j.given_n; i++)
        cert_free(j.given[i]);
    for (size_t i = 0; i < j.ours_n; i++)
        cert_free(j.ours[i]);
    return rc;
}
