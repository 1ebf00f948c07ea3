/* Revocation lists that no CA of ours writes: RFC 5280 5, one thing odd in each. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <mbedtls/asn1write.h>
#include <mbedtls/pk.h>

#include "common/crypto/issue.h"

#define NOW ((int64_t)1795000000000) /* 2026-11-18T17:06:40Z */
#define DAY ((int64_t)24 * 3600 * 1000)

enum { SEQUENCE = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE, TAGGED_0 = 0xa0 };

/* What a list is made of that may be odd; its signature is right whatever it says. */
enum field { VERSION, INSIDE, BESIDE, NEXT, ENTRY, EXTENSION, FIELDS, ALGORITHM };

struct der {
    const char *p;
    size_t n;
};

#define DER(text)                                                                                  \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }

static const struct der good[FIELDS] = {
    [VERSION] = DER("\x02\x01\x01"),
    [INSIDE] = DER("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"), /* ecdsa-with-SHA256 */
    [BESIDE] = DER("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"),
    [NEXT] = DER("\x17\015261119170640Z"),
    [ENTRY] = DER("\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01\x01"),     /* its key is known */
    [EXTENSION] = DER("\x30\x0a\x06\x03\x55\x1d\x14\x04\x03\x02\x01\x05"), /* number 5 */
};

static const char this_update[] = "\x17\015261117170640Z";
static const char issuer[] = "\x30\x10\x31\x0e\x30\x0c\x06\x03\x55\x04\x03\x0c\005lists";
static const char serial[] = "\x02\x01\x07";

static const struct row {
    const char *name;
    enum field field; /* ALGORITHM: both; FIELDS: none */
    struct der is;
    mbedtls_md_type_t md;
    const char *why; /* NULL: it is in order */
} rows[] = {
    {"in order", FIELDS, DER(""), MBEDTLS_MD_SHA256, NULL},
    {"an entry without extensions", ENTRY, DER(""), MBEDTLS_MD_SHA256, NULL},
    {"SHA-384", ALGORITHM, DER("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"),
     MBEDTLS_MD_SHA384, NULL},
    {"SHA-1", ALGORITHM, DER("\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01"), MBEDTLS_MD_SHA1,
     "no CA known here signed"},
    {"another algorithm beside it", BESIDE, DER("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"),
     MBEDTLS_MD_SHA256, "malformed"},
    {"the algorithm with a parameter beside it", BESIDE,
     DER("\x30\x0c\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x05\x00"), MBEDTLS_MD_SHA256,
     "names two signature algorithms"},
    {"version 1", VERSION, DER(""), MBEDTLS_MD_SHA256, "not version 2"},
    {"no end", NEXT, DER(""), MBEDTLS_MD_SHA256, "when the next one comes"},
    {"no number", EXTENSION, DER("\x30\x09\x06\x03\x55\x1d\x23\x04\x02\x30\x00"), MBEDTLS_MD_SHA256,
     "with a CRL number"},
    {"a number below 0", EXTENSION, DER("\x30\x0a\x06\x03\x55\x1d\x14\x04\x03\x02\x01\x85"),
     MBEDTLS_MD_SHA256, "with a CRL number"},
    {"of some certificates", EXTENSION,
     DER("\x30\x0c\x06\x03\x55\x1d\x1c\x01\x01\xff\x04\x02\x30\x00"
         "\x30\x0a\x06\x03\x55\x1d\x14\x04\x03\x02\x01\x05"),
     MBEDTLS_MD_SHA256, "critical"},
    {"an entry of another CA's", ENTRY,
     DER("\x30\x0c\x06\x03\x55\x1d\x1d\x01\x01\xff\x04\x02\x30\x00"), MBEDTLS_MD_SHA256,
     "an entry with a critical extension"},
    {"the second extension of an entry", ENTRY,
     DER("\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01\x01"
         "\x30\x0c\x06\x03\x55\x1d\x1d\x01\x01\xff\x04\x02\x30\x00"),
     MBEDTLS_MD_SHA256, "an entry with a critical extension"},
    {"an extension of an entry without a value", ENTRY, DER("\x30\x05\x06\x03\x55\x1d\x15"),
     MBEDTLS_MD_SHA256, "an entry with a critical extension"},
};

static struct rng rng;
static struct pkey *key;
static uint8_t root[CERT_MAX];
static size_t root_n;

static int setup(void **state)
{
    struct cert_form f = cert_form_of(CERT_ROOT);
    struct err e = {0};
    uint8_t spki[SPKI_MAX];
    size_t n;

    (void)state;
    rng = rng_system();
    if (crypto_init(&e) < 0 || (key = pkey_generate(PKEY_P256, &rng, &e)) == NULL ||
        pkey_spki(key, spki, &n, &e) < 0 || serial_draw(&f.serial, &rng) < 0)
        return -1;
    f.cn = str_of("lists");
    f.spki = span_of(spki, n);
    f.not_before = NOW - DAY;
    f.not_after = NOW + DAY;
    return cert_issue(&f, &(struct issuer){.key = key}, &rng, root, &root_n, &e);
}

static int teardown(void **state)
{
    (void)state;
    pkey_free(key);
    return 0;
}

/* DER, its last field first. */
struct back {
    unsigned char b[1024], *p;
};

static void put(struct back *w, struct der s)
{
    if (s.n > 0)
        assert_int_equal(
            mbedtls_asn1_write_raw_buffer(&w->p, w->b, (const unsigned char *)s.p, s.n), s.n);
}

/* All from w->p to end becomes the value of one element. */
static void wrap(struct back *w, const unsigned char *end, unsigned char tag)
{
    assert_true(mbedtls_asn1_write_len(&w->p, w->b, (size_t)(end - w->p)) > 0);
    assert_int_equal(mbedtls_asn1_write_tag(&w->p, w->b, tag), 1);
}

static void put_entry(struct back *w, struct der ext)
{
    const unsigned char *end = w->p;

    put(w, ext);
    if (ext.n > 0)
        wrap(w, end, SEQUENCE);
    put(w, (struct der)DER(this_update));
    put(w, (struct der)DER(serial));
    wrap(w, end, SEQUENCE); /* the entry, */
    wrap(w, end, SEQUENCE); /* alone */
}

/* What is signed, RFC 5280 5.1.2. */
static void put_list(struct back *w, const struct der is[FIELDS])
{
    const unsigned char *end = w->p;

    if (is[VERSION].n > 0) { /* version 1 has none */
        put(w, is[EXTENSION]);
        wrap(w, end, SEQUENCE);
        wrap(w, end, TAGGED_0);
    }
    put_entry(w, is[VERSION].n > 0 ? is[ENTRY] : (struct der){NULL, 0});
    put(w, is[NEXT]);
    put(w, (struct der)DER(this_update));
    put(w, (struct der)DER(issuer));
    put(w, is[INSIDE]);
    put(w, is[VERSION]);
    wrap(w, end, SEQUENCE);
}

static size_t sign(struct span body, mbedtls_md_type_t type, unsigned char sig[SIG_MAX])
{
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(type);
    unsigned char hash[MBEDTLS_MD_MAX_SIZE];
    size_t n;

    assert_int_equal(mbedtls_md(md, body.p, body.n, hash), 0);
    assert_int_equal(mbedtls_pk_sign(pkey_mbedtls(key), type, hash, mbedtls_md_get_size(md), sig,
                                     SIG_MAX, &n, rng.fill, rng.ctx),
                     0);
    return n;
}

/* Until w is made anew. */
static struct span list_make(struct back *w, const struct row *r)
{
    struct der is[FIELDS];
    unsigned char sig[SIG_MAX];
    struct back list = {.p = list.b + sizeof list.b};

    memcpy(is, good, sizeof is);
    if (r->field == ALGORITHM)
        is[INSIDE] = is[BESIDE] = r->is;
    else if (r->field != FIELDS)
        is[r->field] = r->is;
    put_list(&list, is);
    const struct span body = span_of(list.p, (size_t)(list.b + sizeof list.b - list.p));
    size_t n = sign(body, r->md, sig);

    const unsigned char *end = w->p = w->b + sizeof w->b;
    put(w, (struct der){(const char *)sig, n});
    put(w, (struct der){"", 1}); /* no bits are left over */
    wrap(w, end, MBEDTLS_ASN1_BIT_STRING);
    put(w, is[BESIDE]);
    put(w, (struct der){(const char *)body.p, body.n});
    wrap(w, end, SEQUENCE);
    return span_of(w->p, (size_t)(end - w->p));
}

static void odd_lists_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct back w;
        struct err e = {0};
        struct trust *t = trust_new(TRUST_CRL_OPTIONAL, &e);
        assert_int_equal(trust_add_root(t, span_of(root, root_n), &e), 0);
        int rc = trust_add_crl(t, list_make(&w, rows + i), &e);
        if ((rc == 0) != (rows[i].why == NULL))
            fail_msg("%s: %d %s", rows[i].name, rc, e.text);
        if (rc != 0 && strstr(e.text, rows[i].why) == NULL)
            fail_msg("%s: \"%s\" is not in \"%s\"", rows[i].name, rows[i].why, e.text);
        trust_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_lists_are_refused),
    };

    return cmocka_run_group_tests_name("crl", tests, setup, teardown);
}
