/* The texts that evidence is made of have one spelling each (docs/evidence.md): everything else is
 * refused, and says which line or field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/evidence/bundle.h"
#include "common/evidence/checkpoint.h"
#include "common/evidence/transcript.h"

#define ROOM   "0123456789abcdef0123456789abcdef"
#define ROOT64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define FP     "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HEAD   "countersign-checkpoint-1/room/" ROOM "\n"
#define TAIL   "time 1700000000000\nsigner " FP "\n"

/* --- checkpoints --- */

static const char good_checkpoint[] = HEAD "128\n" ROOT64 "\n" TAIL;

static void a_checkpoint_is_written_as_it_is_read(void **state)
{
    char text[CHECKPOINT_MAX + 1];
    struct checkpoint c;
    struct err e = {0};
    (void)state;

    assert_int_equal(checkpoint_take(&c, str_of(good_checkpoint), &e), 0);
    assert_int_equal(c.tree.size, 128);
    assert_int_equal(c.tree.root.b[31], 31);
    assert_int_equal(c.time, 1700000000000);
    assert_int_equal(checkpoint_put(text, &c), strlen(good_checkpoint));
    assert_string_equal(text, good_checkpoint);
    /* The longest one there is. */
    c.tree.size = EXACT_INT_MAX;
    c.time = (int64_t)EXACT_INT_MAX;
    assert_true(checkpoint_put(text, &c) < CHECKPOINT_MAX);
    assert_int_equal(checkpoint_take(&c, str_of(text), &e), 0);
}

/* One of the audit log passes for no room's, nor the other way. */
static void a_checkpoint_is_of_one_kind_of_log(void **state)
{
    static const char audit[] = "countersign-checkpoint-1/audit/" ROOM "\n128\n" ROOT64 "\n" TAIL;
    char text[CHECKPOINT_MAX + 1];
    struct checkpoint c;
    struct err e = {0};
    (void)state;

    assert_int_equal(checkpoint_audit_take(&c, str_of(audit), &e), 0);
    assert_int_equal(checkpoint_put(text, &c), strlen(audit));
    assert_string_equal(text, audit);
    assert_int_equal(checkpoint_take(&c, str_of(audit), &e), -1);
    assert_int_equal(checkpoint_audit_take(&c, str_of(good_checkpoint), &e), -1);
}

static const struct {
    const char *text, *why;
} bad_checkpoints[] = {
    {"", "line 1"},
    {"countersign-checkpoint-2/room/" ROOM "\n128\n" ROOT64 "\n" TAIL, "line 1"},
    {"countersign-checkpoint-1/room/" ROOM "0\n128\n" ROOT64 "\n" TAIL, "line 1"},
    {"countersign-checkpoint-1/room/0123456789ABCDEF0123456789abcdef\n1\n" ROOT64 "\n" TAIL,
     "line 1"},
    {"countersign-checkpoint-1/audit/" ROOM "\n128\n" ROOT64 "\n" TAIL, "line 1"},
    {HEAD "\n" ROOT64 "\n" TAIL, "line 2"},
    {HEAD "0\n" ROOT64 "\n" TAIL, "line 2"},
    {HEAD "0128\n" ROOT64 "\n" TAIL, "line 2"},
    {HEAD "+128\n" ROOT64 "\n" TAIL, "line 2"},
    {HEAD "128 \n" ROOT64 "\n" TAIL, "line 2"},
    {HEAD "128\r\n" ROOT64 "\n" TAIL, "line 2"},
    {HEAD "9007199254740992\n" ROOT64 "\n" TAIL, "line 2"},
    {HEAD "128\n\n" TAIL, "line 3"},
    {HEAD "128\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n" TAIL, "line 3"}, /* spare bits */
    {HEAD "128\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n" TAIL, "line 3"},
    {HEAD "128\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==\n" TAIL, "line 3"}, /* 31 bytes */
    {HEAD "128\n" ROOT64 ROOT64 "\n" TAIL, "line 3"},
    {HEAD "128\n" ROOT64 "\ntime  1\nsigner " FP "\n", "line 4"},
    {HEAD "128\n" ROOT64 "\ntime -1\nsigner " FP "\n", "line 4"},
    {HEAD "128\n" ROOT64 "\nTime 1\nsigner " FP "\n", "line 4"},
    {HEAD "128\n" ROOT64 "\ntime 1\nsigner " FP "0\n", "line 5"},
    {HEAD "128\n" ROOT64 "\ntime 1\nsigner " FP, "line 5"}, /* no LF at the end */
    {HEAD "128\n" ROOT64 "\ntime 1\n", "line 5"},
    {HEAD "128\n" ROOT64 "\n" TAIL "\n", "more than five"},
    {HEAD "128\n" ROOT64 "\n" TAIL "x\n", "more than five"},
    {HEAD "128\n" ROOT64 "\n" TAIL TAIL, "more than five"},
};

static void other_spellings_of_a_checkpoint_are_refused(void **state)
{
    struct checkpoint c;
    (void)state;

    for (size_t i = 0; i < COUNT(bad_checkpoints); i++) {
        struct err e = {0};
        assert_int_equal(checkpoint_take(&c, str_of(bad_checkpoints[i].text), &e), -1);
        if (strstr(e.text, bad_checkpoints[i].why) == NULL)
            fail_msg("%zu: \"%s\", not %s", i, e.text, bad_checkpoints[i].why);
    }
}

/* Whatever is taken is spelled as we spell it; so no changed byte is taken for the same thing. */
static void one_byte_changed_is_another_checkpoint_or_none(void **state)
{
    char text[sizeof good_checkpoint], again[CHECKPOINT_MAX + 1];
    struct checkpoint c;
    (void)state;

    for (size_t i = 0; i < sizeof text - 1; i++)
        for (int byte = 0; byte < 256; byte++) {
            struct err e = {0};
            memcpy(text, good_checkpoint, sizeof text);
            text[i] = (char)byte;
            if (checkpoint_take(&c, str_from(text, sizeof text - 1), &e) < 0)
                continue;
            size_t n = checkpoint_put(again, &c);
            assert_int_equal(n, sizeof text - 1);
            assert_memory_equal(again, text, n);
        }
    for (size_t n = 0; n < sizeof text - 1; n++) {
        struct err e = {0};
        assert_int_equal(checkpoint_take(&c, str_from(good_checkpoint, n), &e), -1);
    }
}

/* --- transcripts --- */

/* "line" LF "body", and "sig" */
#define CT  "bGluZQpib2R5"
#define SIG "c2ln"

static int lines_of(const char *text, struct err *e)
{
    struct transcript t;
    int n = 0, rc;

    assert_int_equal(transcript_open(&t, str_of(text), e), 0);
    while ((rc = transcript_next(&t, e)) == 1)
        n++;
    transcript_close(&t);
    return rc == 0 ? n : -1;
}

static void a_line_of_a_transcript(void **state)
{
    struct transcript t;
    struct err e = {0};
    (void)state;

    assert_int_equal(
        transcript_open(&t, str_of("7|12|" CT "|" SIG "|" FP "\n8|0|bGluZQ==|" SIG "|" FP "\n"),
                        &e),
        0);
    assert_int_equal(transcript_next(&t, &e), 1);
    assert_int_equal(t.number, 7);
    assert_int_equal(t.time, 12);
    assert_true(str_is(t.line, "line"));
    assert_true(span_same(t.body, span_of("body", 4)));
    assert_true(span_same(span_of(t.sig, t.sig_n), span_of("sig", 3)));
    assert_int_equal(t.author.b[31], 0xff);
    assert_int_equal(transcript_next(&t, &e), 1);
    assert_true(str_is(t.line, "line"));
    assert_null(t.body.p); /* withheld */
    assert_int_equal(transcript_next(&t, &e), 0);
    assert_int_equal(transcript_next(&t, &e), 0);
    transcript_close(&t);
    assert_int_equal(lines_of("", &e), 0);
}

static const struct {
    const char *text, *why;
} bad_lines[] = {
    {"\n", "seqno"},
    {"x\n", "seqno"},
    {"0|12|" CT "|" SIG "|" FP "\n", "seqno"},
    {"07|12|" CT "|" SIG "|" FP "\n", "seqno"},
    {" 7|12|" CT "|" SIG "|" FP "\n", "seqno"},
    {"9007199254740992|12|" CT "|" SIG "|" FP "\n", "seqno"},
    {"7||" CT "|" SIG "|" FP "\n", "ts"},
    {"7|-1|" CT "|" SIG "|" FP "\n", "ts"},
    {"7|12.5|" CT "|" SIG "|" FP "\n", "ts"},
    {"7|12||" SIG "|" FP "\n", "ct"},
    {"7|12|bGluZQpib2R5=|" SIG "|" FP "\n", "ct"},
    {"7|12|bGlu ZQpib2R5|" SIG "|" FP "\n", "ct"},
    {"7|12|bGluZQo=|" SIG "|" FP "\n", "ct"}, /* an empty body */
    {"7|12|CmJvZHk=|" SIG "|" FP "\n", "ct"}, /* an empty line */
    {"7|12|bGluZR==|" SIG "|" FP "\n", "ct"}, /* spare bits */
    {"7|12|" CT "||" FP "\n", "sig"},
    {"7|12|" CT "|c2l|" FP "\n", "sig"},
    {"7|12|" CT "|" FP "\n", "peer_cert_fingerprint"},
    {"7|12|" CT "|" SIG "\n", "peer_cert_fingerprint"},
    {"7|12|" CT "|" SIG "|" FP "|\n", "peer_cert_fingerprint"},
    {"7|12|" CT "|" SIG "|" FP "\r\n", "peer_cert_fingerprint"},
    {"7|12|" CT "|" SIG "|" FP, "cut off"},
    {"7|12|" CT "|" SIG "|" FP "\n\n", "seqno"},
    {"7|12|" CT "|" SIG "|" FP "\n8|12|" CT "|" SIG "|\n", "peer_cert_fingerprint"},
};

static void other_lines_of_a_transcript_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_lines); i++) {
        struct err e = {0};
        assert_int_equal(lines_of(bad_lines[i].text, &e), -1);
        if (strstr(e.text, bad_lines[i].why) == NULL)
            fail_msg("%zu: \"%s\", not %s", i, e.text, bad_lines[i].why);
    }
}

/* The longest line and body fit, one byte more does not. */
static void a_transcript_has_bounds(void **state)
{
    static uint8_t ct[LINE_MAX_LEN + 1 + BODY_MAX + 1];
    static const struct {
        size_t line, body;
        int rc;
    } cases[] = {
        {LINE_MAX_LEN, BODY_MAX, 1},
        {LINE_MAX_LEN, BODY_MAX + 1, -1},
        {LINE_MAX_LEN + 1, 1, -1},
        {1, 1, 1},
    };
    char *text = malloc(sizeof ct * 2);
    (void)state;

    assert_non_null(text);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = {0};
        memset(ct, 'x', sizeof ct);
        ct[cases[i].line] = '\n';
        int at = sprintf(text, "1|2|");
        b64_put(text + at, span_of(ct, cases[i].line + 1 + cases[i].body));
        strcat(text, "|" SIG "|" FP "\n");
        assert_int_equal(lines_of(text, &e), cases[i].rc);
    }
    free(text);
}

/* --- proofs --- */

static void a_proof_is_hashes_a_line_each(void **state)
{
    static const char *const bad[] = {
        "\n", ROOT64, ROOT64 " \n", ROOT64 "\n\n", ROOT64 "\r\n", "AAEC\n", ROOT64 "\nx\n",
    };
    static char many[(PROOF_MAX + 1) * (HASH_B64 + 1) + 1];
    struct hash out[PROOF_MAX];
    struct err e = {0};
    size_t n;
    (void)state;

    assert_int_equal(proof_take(out, &n, span_of("", 0), &e), 0);
    assert_int_equal(n, 0);
    for (size_t i = 0; i < PROOF_MAX; i++)
        strcat(many, ROOT64 "\n");
    assert_int_equal(proof_take(out, &n, span_of(many, strlen(many)), &e), 0);
    assert_int_equal(n, PROOF_MAX);
    assert_int_equal(out[PROOF_MAX - 1].b[1], 1);
    strcat(many, ROOT64 "\n");
    assert_int_equal(proof_take(out, &n, span_of(many, strlen(many)), &e), -1);
    for (size_t i = 0; i < COUNT(bad); i++) {
        e = (struct err){0};
        assert_int_equal(proof_take(out, &n, span_of(bad[i], strlen(bad[i])), &e), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_checkpoint_is_written_as_it_is_read),
        cmocka_unit_test(a_checkpoint_is_of_one_kind_of_log),
        cmocka_unit_test(other_spellings_of_a_checkpoint_are_refused),
        cmocka_unit_test(one_byte_changed_is_another_checkpoint_or_none),
        cmocka_unit_test(a_line_of_a_transcript),
        cmocka_unit_test(other_lines_of_a_transcript_are_refused),
        cmocka_unit_test(a_transcript_has_bounds),
        cmocka_unit_test(a_proof_is_hashes_a_line_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
