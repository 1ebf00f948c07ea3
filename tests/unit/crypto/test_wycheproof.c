/* Wycheproof's vectors (../shared/vectors/wycheproof), when they are there: else every test says
 * that it was skipped. Algorithms that we use with other parameters are refused on purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "common/crypto/crypto.h"
#include "common/crypto/pkey.h"
#include "common/util/limits.h"

#define VECTORS "../shared/vectors/wycheproof/"

struct bytes {
    uint8_t *b; /* owned */
    size_t n;
};

static struct bytes field(const cJSON *obj, const char *name)
{
    const char *hex = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(obj, name));
    struct bytes out = {NULL, 0};

    assert_non_null(hex);
    out.n = strlen(hex) / 2;
    out.b = malloc(out.n + 1);
    assert_non_null(out.b);
    assert_int_equal(hex_take(out.b, out.n, str_of(hex)), 0);
    return out;
}

static struct span span_bytes(struct bytes b)
{
    return span_of(b.b, b.n);
}

static int number(const cJSON *obj, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(obj, name);
    return cJSON_IsNumber(v) ? v->valueint : -1;
}

static bool text_is(const cJSON *obj, const char *name, const char *want)
{
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(obj, name));
    return s != NULL && strcmp(s, want) == 0;
}

static cJSON *vectors_open(const char *name)
{
    char path[256];
    char *all;

    snprintf(path, sizeof path, VECTORS "%s_test.json", name);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        print_message("skipped: %s is not here\n", path);
        skip();
    }
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long n = ftell(f);
    rewind(f);
    all = calloc(1, (size_t)n + 1);
    assert_non_null(all);
    assert_int_equal(fread(all, 1, (size_t)n, f), (size_t)n);
    fclose(f);
    cJSON *doc = cJSON_Parse(all);
    free(all);
    assert_non_null(doc);
    return doc;
}

/* Runs judge over every test of every group; it returns whether we accepted, or -1: not ours. */
static void vectors_run(const char *name, int (*judge)(const cJSON *group, const cJSON *test),
                        unsigned at_least)
{
    cJSON *doc = vectors_open(name);
    unsigned seen = 0;
    const cJSON *group, *test;

    cJSON_ArrayForEach(group, cJSON_GetObjectItemCaseSensitive(doc, "testGroups"))
        cJSON_ArrayForEach(test, cJSON_GetObjectItemCaseSensitive(group, "tests"))
    {
        int accepted = judge(group, test);
        if (accepted < 0)
            continue;
        if (accepted != text_is(test, "result", "valid"))
            fail_msg("%s: tcId %d: %s", name, number(test, "tcId"),
                     accepted ? "accepted" : "refused");
        seen++;
    }
    cJSON_Delete(doc);
    if (seen < at_least)
        fail_msg("%s: only %u vectors were of our kind", name, seen);
}

static int judge_aead(enum aead_kind kind, const cJSON *group, const cJSON *test)
{
    if (number(group, "keySize") != 256 || number(group, "ivSize") != 96 ||
        number(group, "tagSize") != 128)
        return -1;
    struct bytes key = field(test, "key"), iv = field(test, "iv"), aad = field(test, "aad");
    struct bytes msg = field(test, "msg"), ct = field(test, "ct"), tag = field(test, "tag");
    uint8_t *sealed = malloc(ct.n + AEAD_TAG_LEN), *out = malloc(ct.n + AEAD_TAG_LEN);
    struct key k;

    assert_non_null(sealed);
    assert_non_null(out);
    memcpy(k.b, key.b, sizeof k.b);
    memcpy(sealed, ct.b, ct.n);
    memcpy(sealed + ct.n, tag.b, AEAD_TAG_LEN);
    bool ok = aead_open(kind, &k, iv.b, span_bytes(aad), span_of(sealed, ct.n + AEAD_TAG_LEN),
                        out) == 0 &&
              memcmp(out, msg.b, msg.n) == 0;
    if (ok) {
        assert_int_equal(aead_seal(kind, &k, iv.b, span_bytes(aad), span_bytes(msg), out), 0);
        assert_memory_equal(out, sealed, ct.n + AEAD_TAG_LEN);
    }
    void *all[] = {key.b, iv.b, aad.b, msg.b, ct.b, tag.b, sealed, out};
    for (size_t i = 0; i < COUNT(all); i++)
        free(all[i]);
    return ok;
}

static int judge_gcm(const cJSON *group, const cJSON *test)
{
    return judge_aead(AEAD_AES_256_GCM, group, test);
}

static int judge_chacha(const cJSON *group, const cJSON *test)
{
    return judge_aead(AEAD_CHACHA20_POLY1305, group, test);
}

static int judge_hmac(const cJSON *group, const cJSON *test)
{
    if (number(group, "tagSize") != 256)
        return -1;
    struct bytes key = field(test, "key"), msg = field(test, "msg"), tag = field(test, "tag");
    struct hash h;

    hmac_sha256(span_bytes(key), span_bytes(msg), &h);
    bool ok = tag.n == sizeof h.b && secret_same(h.b, tag.b, sizeof h.b);
    free(key.b);
    free(msg.b);
    free(tag.b);
    return ok;
}

static int judge_hkdf(const cJSON *group, const cJSON *test)
{
    struct bytes ikm = field(test, "ikm"), salt = field(test, "salt"), info = field(test, "info");
    struct bytes okm = field(test, "okm");
    size_t n = (size_t)number(test, "size");
    uint8_t prk[32], *out = malloc(n + 1);
    (void)group;

    assert_non_null(out);
    bool ok = hkdf_extract(HASH_SHA256, span_bytes(salt), span_bytes(ikm), prk) == 0 &&
              hkdf_expand(HASH_SHA256, span_of(prk, sizeof prk), span_bytes(info), out, n) == 0 &&
              n == okm.n && memcmp(out, okm.b, n) == 0;
    void *all[] = {ikm.b, salt.b, info.b, okm.b, out};
    for (size_t i = 0; i < COUNT(all); i++)
        free(all[i]);
    return ok;
}

static int pss_accepts(const cJSON *group, const cJSON *test)
{
    struct bytes der = field(group, "publicKeyDer"), msg = field(test, "msg");
    struct bytes sig = field(test, "sig");
    struct err e = {0};
    struct pubkey *k = pubkey_parse(span_bytes(der), &e);

    bool ok = k != NULL && pubkey_verify_pss(k, span_bytes(msg), span_bytes(sig));
    pubkey_free(k);
    free(der.b);
    free(msg.b);
    free(sig.b);
    return ok;
}

/* Other hashes, other salts: valid for them, not for us; so every one must be refused. */
static int judge_pss_foreign(const cJSON *group, const cJSON *test)
{
    bool ours = text_is(group, "sha", "SHA-256") && text_is(group, "mgfSha", "SHA-256") &&
                number(group, "sLen") == 32;
    if (ours)
        return -1;
    /* With the salt "changed to 32" a signature is right for us and only wrong for its group. */
    assert_int_equal(pss_accepts(group, test), text_is(test, "comment", "s_len changed to 32"));
    return text_is(test, "result", "valid");
}

static void gcm(void **state)
{
    (void)state;
    vectors_run("aes_gcm", judge_gcm, 50);
}

static void chacha(void **state)
{
    (void)state;
    vectors_run("chacha20_poly1305", judge_chacha, 200);
}

static void hmac(void **state)
{
    (void)state;
    vectors_run("hmac_sha256", judge_hmac, 50);
}

static void hkdf(void **state)
{
    (void)state;
    vectors_run("hkdf_sha256", judge_hkdf, 80);
}

static void pss_2048(void **state)
{
    (void)state;
    vectors_run("rsa_pss_2048_sha256_mgf1_32", pss_accepts, 100);
}

static void pss_3072(void **state)
{
    (void)state;
    vectors_run("rsa_pss_3072_sha256_mgf1_32", pss_accepts, 100);
}

static void pss_other_salts_and_hashes(void **state)
{
    (void)state;
    vectors_run("rsa_pss_2048_sha256_mgf1_0", judge_pss_foreign, 50);
    vectors_run("rsa_pss_misc", judge_pss_foreign, 50);
}

static int setup(void **state)
{
    struct err e = {0};
    (void)state;
    return crypto_init(&e);
}

/* Points off the curve's prime subgroup are "acceptable" to them; we refuse those of low order and
 * agree with their result on every other. */
static void x25519(void **state)
{
    cJSON *doc = vectors_open("x25519");
    unsigned refused = 0, agreed = 0;
    const cJSON *group, *test;

    (void)state;
    cJSON_ArrayForEach(group, cJSON_GetObjectItemCaseSensitive(doc, "testGroups"))
        cJSON_ArrayForEach(test, cJSON_GetObjectItemCaseSensitive(group, "tests"))
    {
        struct bytes theirs = field(test, "public"), ours = field(test, "private");
        struct bytes want = field(test, "shared");
        const uint8_t zero[SHARE_LEN] = {0};
        struct share s = {.open = {0}};
        struct key k;
        memcpy(s.secret.b, ours.b, sizeof s.secret.b);
        bool low = memcmp(want.b, zero, sizeof zero) == 0;
        assert_int_equal(share_agree(&k, &s, theirs.b), low ? -1 : 0);
        if (!low)
            assert_memory_equal(k.b, want.b, sizeof k.b);
        refused += low;
        agreed += !low;
        free(theirs.b);
        free(ours.b);
        free(want.b);
    }
    cJSON_Delete(doc);
    assert_true(refused >= 14 && agreed >= 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gcm),      cmocka_unit_test(chacha),
        cmocka_unit_test(hmac),     cmocka_unit_test(hkdf),
        cmocka_unit_test(x25519),   cmocka_unit_test(pss_2048),
        cmocka_unit_test(pss_3072), cmocka_unit_test(pss_other_salts_and_hashes),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
