/* Hashes, MACs, derivation, AEADs and Argon2id against published vectors, and their refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto/argon.h"
#include "common/crypto/crypto.h"
#include "common/crypto/keybox.h"
#include "common/util/limits.h"

struct bytes {
    uint8_t b[512];
    size_t n;
};

static struct bytes unhex(const char *s)
{
    struct bytes out = {.n = strlen(s) / 2};

    assert_true(out.n <= sizeof out.b);
    assert_int_equal(hex_take(out.b, out.n, str_of(s)), 0);
    return out;
}

static struct span span_bytes(const struct bytes *b)
{
    return span_of(b->b, b->n);
}

static struct span text(const char *s)
{
    return span_of(s, strlen(s));
}

static void assert_hex(const uint8_t *got, size_t n, const char *want)
{
    char have[1025];

    hex_put(have, span_of(got, n));
    assert_string_equal(have, want);
}

static void sha256_matches_fips_180(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    struct hash h, parts;
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        sha256(text(rows[i].in), &h);
        assert_hex(h.b, sizeof h.b, rows[i].out);
        size_t n = strlen(rows[i].in), cut = n / 3;
        struct span p[] = {span_of(rows[i].in, cut), span_of(NULL, 0),
                           span_of(rows[i].in + cut, n - cut)};
        sha256_parts(p, COUNT(p), &parts);
        assert_true(hash_same(&h, &parts));
    }
}

static void hmac_matches_rfc_4231(void **state)
{
    struct bytes k1 = unhex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    struct hash h;
    (void)state;

    hmac_sha256(span_bytes(&k1), text("Hi There"), &h);
    assert_hex(h.b, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_sha256(text("Jefe"), text("what do ya want for nothing?"), &h);
    assert_hex(h.b, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    uint8_t big[131];
    memset(big, 0xaa, sizeof big);
    hmac_sha256(span_of(big, sizeof big),
                text("Test Using Larger Than Block-Size Key - Hash Key First"), &h);
    assert_hex(h.b, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void hkdf_matches_rfc_5869(void **state)
{
    struct bytes ikm = unhex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    struct bytes salt = unhex("000102030405060708090a0b0c");
    struct bytes info = unhex("f0f1f2f3f4f5f6f7f8f9");
    uint8_t prk[32], okm[42];
    (void)state;

    assert_int_equal(hkdf_extract(HASH_SHA256, span_bytes(&salt), span_bytes(&ikm), prk), 0);
    assert_hex(prk, 32, "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
    assert_int_equal(hkdf_expand(HASH_SHA256, span_of(prk, 32), span_bytes(&info), okm, 42), 0);
    assert_hex(
        okm, 42,
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    static uint8_t big[255 * 32 + 1];
    assert_int_equal(hkdf_expand(HASH_SHA256, span_of(prk, 32), text(""), big, sizeof big), -1);
}

/* RFC 8448 section 3: keys of the client's handshake traffic. */
static void expand_label_matches_rfc_8448(void **state)
{
    struct bytes secret = unhex("b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21");
    uint8_t key[16], iv[12], big[HKDF_MAX + 1];
    char label[256];
    (void)state;

    assert_int_equal(
        hkdf_expand_label(HASH_SHA256, span_bytes(&secret), "key", text(""), key, sizeof key), 0);
    assert_hex(key, sizeof key, "dbfaa693d1762c5b666af5d950258d01");
    assert_int_equal(
        hkdf_expand_label(HASH_SHA256, span_bytes(&secret), "iv", text(""), iv, sizeof iv), 0);
    assert_hex(iv, sizeof iv, "5bd3c71b836e0b76bb73265f");
    assert_int_equal(
        hkdf_expand_label(HASH_SHA256, span_bytes(&secret), "key", text(""), big, sizeof big), -1);
    memset(label, 'l', 255);
    label[255] = '\0';
    assert_int_equal(
        hkdf_expand_label(HASH_SHA256, span_bytes(&secret), label, text(""), key, sizeof key), -1);
}

static const char sunscreen[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
                                "only one tip for the future, sunscreen would be it.";

static const struct {
    enum aead_kind kind;
    const char *key, *nonce, *aad, *plain, *sealed, *source;
} aead_rows[] = {
    {AEAD_AES_256_GCM, "0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000", "", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
     "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919", "GCM test case 14"},
    {AEAD_CHACHA20_POLY1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7", sunscreen,
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92"
     "728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b"
     "4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
     "RFC 8439 2.8.2"},
    {AEAD_XCHACHA20_POLY1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     "404142434445464748494a4b4c4d4e4f5051525354555657", "50515253c0c1c2c3c4c5c6c7", sunscreen,
     "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda"
     "7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b23835"
     "65d3fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49",
     "draft-irtf-cfrg-xchacha A.3.1"},
};

static void aead_matches_and_refuses_every_flip(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT(aead_rows); i++) {
        struct bytes key = unhex(aead_rows[i].key), nonce = unhex(aead_rows[i].nonce);
        struct bytes aad = unhex(aead_rows[i].aad), want = unhex(aead_rows[i].sealed);
        struct span plain = span_of(aead_rows[i].plain, want.n - AEAD_TAG_LEN);
        uint8_t sealed[512], back[512];
        struct key k;

        memcpy(k.b, key.b, sizeof k.b);
        assert_int_equal(aead_nonce_len(aead_rows[i].kind), nonce.n);
        assert_int_equal(aead_seal(aead_rows[i].kind, &k, nonce.b, span_bytes(&aad), plain, sealed),
                         0);
        assert_memory_equal(sealed, want.b, want.n);
        struct span all = span_of(sealed, want.n);
        assert_int_equal(aead_open(aead_rows[i].kind, &k, nonce.b, span_bytes(&aad), all, back), 0);
        assert_memory_equal(back, plain.p, plain.n);
        for (size_t bit = 0; bit < want.n * 8; bit++) {
            sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(aead_open(aead_rows[i].kind, &k, nonce.b, span_bytes(&aad), all, back),
                             -1);
            sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t j = 0; j < plain.n; j++)
            assert_int_equal(back[j], 0); /* nothing unproven is left behind */
        for (size_t n = 0; n < want.n; n++)
            assert_int_equal(aead_open(aead_rows[i].kind, &k, nonce.b, span_bytes(&aad),
                                       span_of(sealed, n), back),
                             -1);
        assert_int_equal(aead_open(aead_rows[i].kind, &k, nonce.b, text("other"), all, back), -1);
    }
}

/* Values of the argon2 reference program: argon2 0123456789abcdef -id -t 3 -k M -p 1 -l 32 -r */
static void argon_matches_the_reference_program(void **state)
{
    const uint8_t *salt = (const uint8_t *)"0123456789abcdef";
    struct err e = {0};
    struct key k;
    (void)state;

    assert_int_equal(argon_derive(&k, str_of("password"), salt, (struct argon_cost){3, 64}, &e), 0);
    assert_hex(k.b, 32, "4b5dc7fd03bc8449b6becb981762b597e860b2322fc34685d1fd2dc21aaf07cb");
    assert_int_equal(argon_derive(&k, str_of("password"), salt, argon_cost_default(), &e), 0);
    assert_hex(k.b, 32, "daf16780dcb73e862146297fa17b81b86b480f33c0b67daef0f2c7c809c5797b");
}

static void argon_refuses_costs_and_passwords_out_of_bounds(void **state)
{
    static const struct argon_cost costs[] = {
        {0, 64}, {ARGON_T_MAX + 1, 64}, {3, 7}, {3, ARGON_M_KIB_MAX + 1}, {UINT32_MAX, 64}};
    char longest[PASSWORD_MAX + 1];
    const uint8_t salt[16] = {0};
    struct key k;
    (void)state;

    for (size_t i = 0; i < COUNT(costs); i++) {
        struct err e = {0};
        assert_int_equal(argon_derive(&k, str_of("p"), salt, costs[i], &e), -1);
        assert_int_equal(e.code, ERR_DATA);
    }
    memset(longest, 'p', sizeof longest);
    struct err e = {0};
    assert_int_equal(argon_derive(&k, str_from(longest, 0), salt, (struct argon_cost){1, 8}, &e),
                     -1);
    assert_int_equal(e.code, ERR_LIMIT);
    err_clear(&e);
    assert_int_equal(
        argon_derive(&k, str_from(longest, sizeof longest), salt, (struct argon_cost){1, 8}, &e),
        -1);
    assert_int_equal(argon_derive(&k, str_from(longest, PASSWORD_MAX), salt,
                                  (struct argon_cost){1, 8}, &(struct err){0}),
                     0);
}

static void keybox_opens_only_whole_and_with_its_password(void **state)
{
    static const char secret[] = "a private key";
    struct argon_cost cheap = {1, 8};
    uint8_t file[sizeof secret + KEYBOX_OVERHEAD], out[KEYBOX_SECRET_MAX];
    struct rng rng = rng_system();
    struct err e = {0};
    size_t n;
    (void)state;

    assert_int_equal(
        keybox_seal(span_of(secret, sizeof secret), str_of("correct horse"), cheap, &rng, file, &e),
        0);
    struct span whole = span_of(file, sizeof file);
    assert_int_equal(keybox_open(whole, str_of("correct horse"), out, &n, &e), 0);
    assert_int_equal(n, sizeof secret);
    assert_memory_equal(out, secret, n);
    assert_null(memmem(file, sizeof file, secret, 8));
    assert_int_equal(keybox_open(whole, str_of("correct horsf"), out, &n, &e), -1);
    assert_int_equal(e.code, ERR_AUTH);
    for (size_t cut = 0; cut < sizeof file; cut++)
        assert_int_equal(
            keybox_open(span_of(file, cut), str_of("correct horse"), out, &n, &(struct err){0}),
            -1);
    for (size_t i = 0; i < sizeof file; i++) {
        file[i] ^= 1;
        assert_int_equal(keybox_open(whole, str_of("correct horse"), out, &n, &(struct err){0}),
                         -1);
        file[i] ^= 1;
    }
}

/* A4: composed or decomposed, it is one password. */
static void keybox_opens_however_the_password_is_composed(void **state)
{
    uint8_t file[1 + KEYBOX_OVERHEAD], out[KEYBOX_SECRET_MAX];
    struct rng rng = rng_system();
    struct err e = {0};
    size_t n;
    (void)state;

    assert_int_equal(keybox_seal(span_of("x", 1), str_of("gr\xc3\xbc\xc3\x9f"),
                                 (struct argon_cost){1, 8}, &rng, file, &e),
                     0);
    struct span whole = span_of(file, sizeof file);
    assert_int_equal(keybox_open(whole, str_of("gru\xcc\x88\xc3\x9f"), out, &n, &e), 0);
    assert_int_equal(keybox_open(whole, str_of("gru\xc3\x9f"), out, &n, &e), -1);
    assert_int_equal(e.code, ERR_AUTH);
    e = (struct err){0};
    assert_int_equal(keybox_open(whole, str_of("gr\xfc\xdf"), out, &n, &e), -1);
    assert_int_equal(e.code, ERR_DATA);
}

static void secrets_compare_and_vanish(void **state)
{
    struct key a = {{1, 2, 3}}, b = a;
    (void)state;

    assert_true(key_same(&a, &b));
    b.b[31] ^= 0x80;
    assert_false(key_same(&a, &b));
    key_wipe(&a);
    for (size_t i = 0; i < sizeof a.b; i++)
        assert_int_equal(a.b[i], 0);
}

static int setup(void **state)
{
    struct err e = {0};
    (void)state;
    return crypto_init(&e);
}

/* In pieces, looked at in between, and copied: always the hash of what went in. */
static void a_run_is_the_hash_of_its_pieces(void **state)
{
    struct hash_run run, copy;
    struct hash whole, got;
    uint8_t data[200];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    hash_run_start(&run);
    for (size_t at = 0; at < sizeof data; at += 7) {
        sha256(span_of(data, at), &whole);
        hash_run_look(&run, &got);
        assert_true(hash_same(&whole, &got));
        copy = run;
        hash_run_add(&copy, text("elsewhere"));
        size_t n = sizeof data - at < 7 ? sizeof data - at : 7;
        hash_run_add(&run, span_of(data + at, n));
        hash_run_add(&run, span_of(NULL, 0));
    }
    sha256(span_of(data, sizeof data), &whole);
    hash_run_look(&run, &got);
    assert_true(hash_same(&whole, &got));
}

/* RFC 7748 5.2; test_wycheproof has the strange points. */
static void agreement_matches_rfc_7748(void **state)
{
    struct bytes scalar = unhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    struct bytes point = unhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    struct share s = {.open = {0}};
    struct key k;

    (void)state;
    memcpy(s.secret.b, scalar.b, sizeof s.secret.b);
    assert_int_equal(share_agree(&k, &s, point.b), 0);
    assert_hex(k.b, sizeof k.b, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
}

static void two_shares_agree(void **state)
{
    const struct rng rng = rng_system();
    struct share a, b;
    struct key ka, kb;

    (void)state;
    assert_int_equal(share_draw(&a, &rng), 0);
    assert_int_equal(share_draw(&b, &rng), 0);
    assert_int_equal(share_agree(&ka, &a, b.open), 0);
    assert_int_equal(share_agree(&kb, &b, a.open), 0);
    assert_true(key_same(&ka, &kb));
}

/* The result would be zero whoever asks: nothing is given away, not even that. */
static void points_of_low_order_are_refused(void **state)
{
    const struct rng rng = rng_system();
    const uint8_t zero[SHARE_LEN] = {0}, one[SHARE_LEN] = {1};
    struct share s;
    struct key k = {{1}};

    (void)state;
    assert_int_equal(share_draw(&s, &rng), 0);
    assert_int_equal(share_agree(&k, &s, zero), -1);
    assert_int_equal(share_agree(&k, &s, one), -1);
    assert_memory_equal(k.b, zero, sizeof k.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_matches_fips_180),
        cmocka_unit_test(a_run_is_the_hash_of_its_pieces),
        cmocka_unit_test(agreement_matches_rfc_7748),
        cmocka_unit_test(two_shares_agree),
        cmocka_unit_test(points_of_low_order_are_refused),
        cmocka_unit_test(hmac_matches_rfc_4231),
        cmocka_unit_test(hkdf_matches_rfc_5869),
        cmocka_unit_test(expand_label_matches_rfc_8448),
        cmocka_unit_test(aead_matches_and_refuses_every_flip),
        cmocka_unit_test(argon_matches_the_reference_program),
        cmocka_unit_test(argon_refuses_costs_and_passwords_out_of_bounds),
        cmocka_unit_test(keybox_opens_only_whole_and_with_its_password),
        cmocka_unit_test(keybox_opens_however_the_password_is_composed),
        cmocka_unit_test(secrets_compare_and_vanish),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
