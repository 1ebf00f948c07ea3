/* The verdict on bundles as they lie in tests/fuzz/corpus/bundle (made by tests/e2e/evidence.py),
 * and on every one of them that is one byte away. tests/e2e/test_verify.py has the lies with
 * meaning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/chat/judge.h"

#define CORPUS "tests/fuzz/corpus/bundle/"

static uint8_t file[64 * 1024];

static struct span file_of(const char *name)
{
    FILE *f = fopen(name, "rb");

    assert_non_null(f);
    size_t n = fread(file, 1, sizeof file, f);
    assert_true(n < sizeof file);
    fclose(f);
    return span_of(file, n);
}

static int setup(void **state)
{
    struct err e = {0};
    (void)state;
    return crypto_init(&e);
}

static bool valid(struct span archive)
{
    struct verdict v;

    judge_bundle(archive, &(struct belief){0}, &v);
    bool ok = v.consistent;
    assert_true(ok == (v.why.code == ERR_NONE));
    verdict_free(&v);
    return ok;
}

static void good_ones_say_what_they_prove(void **state)
{
    struct verdict v;
    (void)state;

    judge_bundle(file_of(CORPUS "middle"), &(struct belief){0}, &v);
    if (!v.consistent)
        fail_msg("%s: %s", v.where, v.why.text);
    assert_int_equal(v.kind, BUNDLE_MESSAGES);
    assert_false(v.anchored);
    assert_int_equal(v.first, 2);
    assert_int_equal(v.last, 4);
    assert_int_equal(v.withheld, 1);
    assert_int_equal(v.checkpoint.tree.size, 5);
    assert_string_equal(v.relay, "relay.example");
    assert_int_equal(v.authors_n, 3);
    assert_string_equal(v.authors[0].name, "bob"); /* who spoke first */
    assert_string_equal(v.authors[0].device, "desk");
    assert_string_equal(v.authors[1].name, "alice");
    assert_int_equal(v.content.len, 0);
    verdict_free(&v);

    judge_bundle(file_of(CORPUS "one"), &(struct belief){0}, &v);
    assert_true(v.consistent);
    assert_int_equal(v.first, v.last);
    assert_true(str_same(str_from(buf_span(&v.content).p, v.content.len),
                         str_of("{\"kind\": \"say\", \"text\": \"how\\nare you\"}")));
    assert_int_equal(v.received - v.sent, 5);
    verdict_free(&v);

    judge_bundle(file_of(CORPUS "contradiction"), &(struct belief){0}, &v);
    assert_true(v.consistent);
    assert_int_equal(v.kind, BUNDLE_CONTRADICTION);
    assert_int_equal(v.checkpoint.tree.size, 3);
    assert_int_equal(v.later.tree.size, 5);
    verdict_free(&v);
    verdict_free(&v);
}

static void only_the_root_that_was_brought_counts(void **state)
{
    struct verdict v;
    struct bundle b;
    struct err e = {0};
    char where[BUNDLE_WHERE];
    uint8_t other[CERT_MAX];
    (void)state;

    struct span archive = file_of(CORPUS "one");
    assert_int_equal(bundle_take(&b, archive, where, &e), 0);
    struct span roots[] = {b.issuer, b.root};
    judge_bundle(archive, &(struct belief){.roots = roots, .roots_n = 2}, &v);
    assert_true(v.consistent && v.anchored);
    verdict_free(&v);
    judge_bundle(archive, &(struct belief){.roots = roots, .roots_n = 1}, &v);
    assert_false(v.consistent || v.anchored);
    assert_string_equal(v.where, "root.der");
    verdict_free(&v);
    memcpy(other, b.root.p, b.root.n);
    other[b.root.n - 1] ^= 1;
    roots[0] = span_of(other, b.root.n);
    judge_bundle(archive, &(struct belief){.roots = roots, .roots_n = 1}, &v);
    assert_false(v.consistent || v.anchored);
    verdict_free(&v);
    bundle_free(&b);
}

static void every_byte_counts(const char *name, size_t step)
{
    struct span archive = file_of(name);

    assert_true(valid(archive));
    for (size_t i = 0; i < archive.n; i += step) {
        uint8_t was = file[i];
        file[i] = (uint8_t)(was ^ (1U << i % 8));
        if (valid(archive))
            fail_msg("%s: byte %zu may be changed", name, i);
        file[i] = was;
    }
    assert_true(valid(archive));
}

static void every_byte_of_a_message_counts(void **state)
{
    (void)state;
    every_byte_counts(CORPUS "one", 1);
}

static void every_byte_of_a_contradiction_counts(void **state)
{
    (void)state;
    every_byte_counts(CORPUS "contradiction", 1);
}

/* Each takes a millisecond of four signatures: all of them in `make check-flips`. */
static void every_byte_of_a_session_counts(void **state)
{
    const char *flips = getenv("FLIPS");
    (void)state;

    every_byte_counts(CORPUS "session", flips != NULL && strcmp(flips, "all") == 0 ? 1 : 5);
}

static void every_length_but_one_is_wrong(void **state)
{
    struct span archive = file_of(CORPUS "middle");
    (void)state;

    for (size_t n = 0; n < archive.n; n += n % 512 == 511 || n % 512 == 0 ? 1 : 255)
        assert_false(valid(span_of(file, n)));
    file[archive.n] = 0;
    assert_false(valid(span_of(file, archive.n + 1)));
    assert_true(valid(archive));
}

/* The script has the SHA-256 of the text that we put into every bundle. */
static void both_judges_have_the_same_bounds(void **state)
{
    static const struct {
        const char *name;
        long value;
    } bounds[] = {{"bundle_max", BUNDLE_MAX},
                  {"bundle_certs_max", BUNDLE_CERTS_MAX},
                  {"transcript_max", TRANSCRIPT_MAX},
                  {"ts_future_ms", TS_FUTURE_MS},
                  {"stamp_max", TSR_MAX}};
    char want[64];
    (void)state;

    struct span script = file_of("docs/verify.sh");
    file[script.n] = '\0';
    for (size_t i = 0; i < COUNT(bounds); i++) {
        snprintf(want, sizeof want, "\n%s=%ld\n", bounds[i].name, bounds[i].value);
        assert_non_null(strstr((const char *)file, want));
    }
}

static void both_judges_know_the_same_guide(void **state)
{
    struct hash h;
    char want[2 * HASH_LEN + 32] = "\nguide_sha256=";
    (void)state;

    sha256(bundle_guide(), &h);
    hex_put(want + strlen(want), span_of(h.b, HASH_LEN));
    strcat(want, "\n");
    struct span script = file_of("docs/verify.sh");
    file[script.n] = '\0';
    assert_non_null(strstr((const char *)file, want));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_say_what_they_prove),
        cmocka_unit_test(only_the_root_that_was_brought_counts),
        cmocka_unit_test(every_byte_of_a_message_counts),
        cmocka_unit_test(every_byte_of_a_contradiction_counts),
        cmocka_unit_test(every_byte_of_a_session_counts),
        cmocka_unit_test(every_length_but_one_is_wrong),
        cmocka_unit_test(both_judges_have_the_same_bounds),
        cmocka_unit_test(both_judges_know_the_same_guide),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
