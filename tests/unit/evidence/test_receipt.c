/* What is signed of a session has one spelling, and says nothing that cannot be (docs/evidence.md
 * 5); what is written into an archive is what is read from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/evidence/bundle.h"
#include "common/evidence/receipt.h"
#include "common/evidence/transcript.h"

#define ID    "0123456789abcdef0123456789abcdef"
#define FP    ID ID
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

#define CHANNEL                                                                                    \
    "type countersign-receipt-1\nsession " ID "\nlink tls\nsuite AES-128-CBC, HMAC-SHA256\n"
#define WHO    "signer " FP "\npeer relay\npeer_cert_fingerprint " FP "\ncreated_at 1700000000000\n"
#define WHAT   "room " ID "\nfirst_seqno 3\nlast_seqno 7\nmessage_count 5\n"
#define HASHES "base " FP "\ntranscript_hash " FP "\n"
#define TREE   "tree_size 6\ntree_root " FP "\nprevious " ZEROS "\n"

static const char good[] = CHANNEL WHO WHAT HASHES TREE;

static void a_receipt_is_written_as_it_is_read(void **state)
{
    char text[RECEIPT_MAX + 1];
    struct receipt r;
    struct err e = {0};
    (void)state;

    assert_int_equal(receipt_take(&r, str_of(good), &e), 0);
    assert_string_equal(r.suite, "AES-128-CBC, HMAC-SHA256");
    assert_int_equal(r.first, 3);
    assert_int_equal(r.last, 7);
    assert_int_equal(r.tree.size, 6);
    assert_int_equal(r.created, 1700000000000);
    assert_int_equal(r.room[0], 1);
    assert_int_equal(receipt_put(text, &r), strlen(good));
    assert_string_equal(text, good);
    /* The longest one there is. */
    memset(r.link, 'x', RECEIPT_WORD_MAX);
    memset(r.suite, 'x', RECEIPT_WORD_MAX);
    r.last = EXACT_INT_MAX;
    r.first = r.last - 5;
    r.created = (int64_t)EXACT_INT_MAX;
    r.tree.size = r.last;
    assert_true(receipt_put(text, &r) < RECEIPT_MAX);
    assert_int_equal(receipt_take(&r, str_of(text), &e), 0);
}

static const struct {
    const char *text, *why;
} bad[] = {
    {"", "line 1"},
    {"type countersign-receipt-2\n", "line 1"},
    {"type countersign-entry-1\n", "line 1"},
    {WHO CHANNEL WHAT HASHES TREE, "line 1"},
    {CHANNEL CHANNEL WHO WHAT HASHES TREE, "line 5"},
    {CHANNEL WHO WHAT HASHES TREE "\n", "more than"},
    {CHANNEL WHO WHAT HASHES TREE "x 1\n", "more than"},
    {CHANNEL WHO WHAT HASHES "tree_size 6\ntree_root " FP "\nprevious " ZEROS, "line 17"},
    {CHANNEL WHO WHAT HASHES "tree_size 8\ntree_root " FP "\nprevious " ZEROS "\n", "a tree"},
    {CHANNEL WHO WHAT HASHES "tree_size 0\ntree_root " FP "\nprevious " ZEROS "\n", "no tree"},
    {CHANNEL WHO "room " ID "\nfirst_seqno 3\nlast_seqno 7\nmessage_count 6\n" HASHES TREE,
     "message_count"},
    {CHANNEL WHO "room " ID "\nfirst_seqno 3\nlast_seqno 7\nmessage_count 05\n" HASHES TREE,
     "message_count"},
    {CHANNEL WHO "room " ID "\nfirst_seqno 8\nlast_seqno 7\nmessage_count 0\n" HASHES TREE,
     "no entries"},
    {CHANNEL WHO "room " ID "\nfirst_seqno 0\nlast_seqno 7\nmessage_count 8\n" HASHES TREE,
     "no entries"},
    {CHANNEL WHO "room " ID "\nfirst_seqno 1\nlast_seqno 1048577\nmessage_count 1048577\n"
                 "base " ZEROS "\ntranscript_hash " FP "\n" TREE,
     "too many"},
    {CHANNEL WHO "room " ID "\nfirst_seqno 1\nlast_seqno 7\nmessage_count 7\n" HASHES TREE,
     "before the first"},
};

static void other_receipts_are_refused(void **state)
{
    struct receipt r;
    (void)state;

    for (size_t i = 0; i < COUNT(bad); i++) {
        struct err e = {0};
        assert_int_equal(receipt_take(&r, str_of(bad[i].text), &e), -1);
        assert_int_equal(e.code, ERR_DATA);
        if (strstr(e.text, bad[i].why) == NULL)
            fail_msg("%zu: \"%s\", not %s", i, e.text, bad[i].why);
    }
}

/* Whatever is taken is spelled as we spell it, so no two texts are one receipt. */
static void one_byte_changed_is_another_receipt_or_none(void **state)
{
    char text[sizeof good], again[RECEIPT_MAX + 1];
    struct receipt r;
    (void)state;

    for (size_t i = 0; i < sizeof text - 1; i++)
        for (int byte = 0; byte < 256; byte++) {
            struct err e = {0};
            memcpy(text, good, sizeof text);
            text[i] = (char)byte;
            if (receipt_take(&r, str_from(text, sizeof text - 1), &e) < 0)
                continue;
            size_t n = receipt_put(again, &r);
            assert_int_equal(n, sizeof text - 1);
            assert_memory_equal(again, text, n);
        }
    for (size_t n = 0; n < sizeof text - 1; n++) {
        struct err e = {0};
        assert_int_equal(receipt_take(&r, str_from(good, n), &e), -1);
    }
}

static void a_seal_says_whose_it_is(void **state)
{
    static const char seal[] = "role member\nsigner " FP "\ntime 12\n";
    static const char *const wrong[] = {
        "",
        "role nobody\nsigner " FP "\ntime 12\n",
        "role Relay\nsigner " FP "\ntime 12\n",
        "role relay\nsigner " ID "\ntime 12\n",
        "role relay\nsigner " FP "\ntime 012\n",
        "role relay\nsigner " FP "\ntime 12",
        "role relay\nsigner " FP "\ntime 12\n\n",
        "role  relay\nsigner " FP "\ntime 12\n",
    };
    char text[RECEIPT_SEAL_MAX + 1];
    struct receipt_seal s;
    struct receipt_signed all;
    struct err e = {0};
    (void)state;

    assert_int_equal(receipt_seal_take(&s, str_of(seal), &e), 0);
    assert_int_equal(s.role, RECEIPT_MEMBER);
    assert_int_equal(s.time, 12);
    assert_int_equal(receipt_seal_put(text, &s), strlen(seal));
    assert_string_equal(text, seal);
    s.time = (int64_t)EXACT_INT_MAX;
    assert_true(receipt_seal_put(text, &s) < RECEIPT_SEAL_MAX);
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_int_equal(receipt_seal_take(&s, str_of(wrong[i]), &e), -1);
    assert_int_equal(receipt_signed_make(&all, str_of("ab"), str_of("c")), 0);
    assert_true(span_same(span_of(all.b, all.n), span_of("abc", 3)));
    assert_int_equal(receipt_signed_make(&all, str_from(good, RECEIPT_MAX + 1), str_of("")), -1);
}

/* --- what is written is what is read --- */

static void a_transcript_is_written_as_it_is_read(void **state)
{
    const struct transcript_row rows[] = {
        {7, 12, str_of("line"), span_of("bo|\ndy", 6), span_of("sig", 3), {{0xff}}},
        {8, 0, str_of("x"), {NULL, 0}, span_of("s", 1), {{1}}},
    };
    struct transcript t;
    struct buf out;
    struct err e = {0};
    (void)state;

    buf_init(&out, 1024);
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(transcript_put(&out, rows + i, &e), 0);
    struct span all = buf_span(&out);
    assert_int_equal(transcript_open(&t, str_from(all.p, all.n), &e), 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(transcript_next(&t, &e), 1);
        assert_int_equal(t.number, rows[i].number);
        assert_int_equal(t.time, rows[i].time);
        assert_true(str_same(t.line, rows[i].line));
        assert_true(span_same(t.body, rows[i].body));
        assert_int_equal(t.body.p == NULL, rows[i].body.p == NULL);
        assert_true(span_same(span_of(t.sig, t.sig_n), rows[i].sig));
        assert_true(hash_same(&t.author, &rows[i].author));
    }
    assert_int_equal(transcript_next(&t, &e), 0);
    transcript_close(&t);
    buf_free(&out);
    buf_init(&out, 64);
    assert_int_equal(transcript_put(&out, rows, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    buf_free(&out);
}

/* Files of every length around a block. */
static void a_tar_is_written_as_it_is_read(void **state)
{
    static const size_t sizes[] = {0, 1, 511, 512, 513, 1024, 100000};
    static uint8_t data[100000];
    struct tar_file f = {.name = str_of("a/b-c.1")};
    struct buf out;
    struct err e = {0};
    (void)state;

    memset(data, 'x', sizeof data);
    buf_init(&out, 1024 * 1024);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        f.data = span_of(data, sizes[i]);
        assert_int_equal(tar_put(&out, &f, &e), 0);
    }
    assert_int_equal(tar_end(&out, &e), 0);
    struct rd r = rd_of(buf_span(&out));
    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_int_equal(tar_next(&r, &f, &e), 1);
        assert_true(str_is(f.name, "a/b-c.1"));
        assert_true(span_same(f.data, span_of(data, sizes[i])));
    }
    assert_int_equal(tar_next(&r, &f, &e), 0);
    static const char *const names[] = {"", "a b", "a\n", "\xc3\xa9", "a_b"};
    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(tar_put(&out, &(struct tar_file){str_of(names[i]), {0}}, &e), -1);
    f.name = str_from(data, TAR_NAME_MAX + 1);
    assert_int_equal(tar_put(&out, &f, &e), -1);
    buf_free(&out);
}

static void a_bundle_is_written_as_it_is_read(void **state)
{
    static const char *const ders[] = {"one", "two", "three", "two", "four"};
    char where[BUNDLE_WHERE];
    (void)state;

    for (unsigned k = 0; k < BUNDLE_KIND_COUNT; k++) {
        struct bundle b = {.kind = (enum bundle_kind)k}, again;
        struct err e = {0};
        struct buf out;
#define X(member, name, kinds)                                                                     \
    if (((kinds)&1U << k) != 0)                                                                    \
        b.member = span_of(name, sizeof(name));
        BUNDLE_FILES(X)
#undef X
        b.relay = b.kind == BUNDLE_SESSION ? span_of("", 0) : b.relay;
        for (size_t i = 0; i < COUNT(ders); i++)
            assert_int_equal(bundle_cert_add(&b, span_of(ders[i], strlen(ders[i])), &e), 0);
        assert_int_equal(b.certs_n, 4);
        buf_init(&out, BUNDLE_MAX);
        assert_int_equal(bundle_put(&out, &b, &e), 0);
        assert_int_equal(bundle_take(&again, buf_span(&out), where, &e), 0);
        assert_int_equal(again.kind, k);
        assert_int_equal(again.certs_n, 4);
        assert_true(span_same(again.guide, bundle_guide()));
#define X(member, name, kinds)                                                                     \
    if (str_is(str_of(#member), "guide") == false)                                                 \
        assert_true(span_same(again.member, b.member));
        BUNDLE_FILES(X)
#undef X
        bundle_free(&b);
        bundle_free(&again);
        buf_free(&out);
    }
}

static void a_proof_is_written_as_it_is_read(void **state)
{
    struct hash some[3] = {{{1}}, {{2}}, {{3}}}, out[PROOF_MAX];
    struct err e = {0};
    struct buf text;
    size_t n;
    (void)state;

    buf_init(&text, 1024);
    assert_int_equal(proof_put(&text, (struct hashes){some, COUNT(some)}, &e), 0);
    assert_int_equal(proof_take(out, &n, buf_span(&text), &e), 0);
    assert_int_equal(n, COUNT(some));
    assert_memory_equal(out, some, sizeof some);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_receipt_is_written_as_it_is_read),
        cmocka_unit_test(other_receipts_are_refused),
        cmocka_unit_test(one_byte_changed_is_another_receipt_or_none),
        cmocka_unit_test(a_seal_says_whose_it_is),
        cmocka_unit_test(a_transcript_is_written_as_it_is_read),
        cmocka_unit_test(a_tar_is_written_as_it_is_read),
        cmocka_unit_test(a_bundle_is_written_as_it_is_read),
        cmocka_unit_test(a_proof_is_written_as_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
