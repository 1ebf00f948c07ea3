/* A line of the audit log has one spelling (docs/evidence.md 9): everything else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/evidence/audit.h"
#include "common/evidence/merkle.h"

#define FP  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define MAC "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

static const char *const good[] = {
    "countersign-audit-1|1|1700000000000|0|login|Ren%C3%A9%20%7C|" FP "|password|1|" MAC,
    "countersign-audit-1|2|1699999980000|60000|refused|||unknown-ca|250|*",
    "countersign-audit-1|9007199254740991|9007199254740991|0|disabled|bob|||1|operator",
    "countersign-audit-1|3|0|0|x||||9007199254740991|",
};

static void a_line_is_written_as_it_is_read(void **state)
{
    char scratch[AUDIT_LINE_MAX], again[AUDIT_LINE_MAX + 1];
    struct audit_line l;
    struct err e = {0};
    (void)state;

    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(audit_line_take(&l, str_of(good[i]), scratch, &e), 0);
        assert_int_equal(audit_line_put(again, &l), strlen(good[i]));
        assert_string_equal(again, good[i]);
    }
    assert_int_equal(audit_line_take(&l, str_of(good[0]), scratch, &e), 0);
    assert_true(str_is(l.account, "Ren\xc3\xa9 |"));
    assert_true(str_is(l.reason, "password"));
    assert_int_equal(l.time, 1700000000000);
}

static const char *const bad[] = {
    "",
    "countersign-audit-2|1|17|0|login||||1|",
    "countersign-audit-1|0|17|0|login||||1|",
    "countersign-audit-1|01|17|0|login||||1|",
    "countersign-audit-1|9007199254740992|17|0|login||||1|",
    "countersign-audit-1|1|-17|0|login||||1|",
    "countersign-audit-1|1|9007199254740992|0|login||||1|",
    "countersign-audit-1|1|17|1|login||||1|",
    "countersign-audit-1|1|17||login||||1|",
    "countersign-audit-1|1|17|0|||||1|",            /* no event */
    "countersign-audit-1|1|17|0|log in||||1|",      /* not escaped */
    "countersign-audit-1|1|17|0|%6Cogin||||1|",     /* escaped for nothing */
    "countersign-audit-1|1|17|0|login|%c3%a9|||1|", /* another spelling */
    "countersign-audit-1|1|17|0|login|%C|||1|",     /* half of one */
    "countersign-audit-1|1|17|0|login|%|||1|",
    "countersign-audit-1|1|17|0|login||00||1|",
    "countersign-audit-1|1|17|0|login||" FP "0||1|",
    "countersign-audit-1|1|17|0|login||||0|",
    "countersign-audit-1|1|17|0|login||||1",
    "countersign-audit-1|1|17|0|login||||1|192.0.2.1", /* an address in clear */
    "countersign-audit-1|1|17|0|login||||1|operato",
    "countersign-audit-1|1|17|0|login||||1|" FP "|",
    "countersign-audit-1|1|17|0|login||||1|\n",
    "countersign-audit-1|1|17|0|login|||||1|",
};

static void any_other_spelling_is_refused(void **state)
{
    char scratch[AUDIT_LINE_MAX];
    struct audit_line l;
    (void)state;

    for (size_t i = 0; i < COUNT(bad); i++) {
        struct err e = {0};
        if (audit_line_take(&l, str_of(bad[i]), scratch, &e) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(e.code, ERR_DATA);
    }
}

/* Every byte changed: refused, or another line in its own one spelling. */
static void every_byte_counts(void **state)
{
    char text[sizeof "countersign-audit-1|1|1700000000000|0|login|Ren%C3%A9%20%7C|" FP
                     "|password|1|" MAC],
        scratch[AUDIT_LINE_MAX], again[AUDIT_LINE_MAX + 1];
    struct audit_line l;
    (void)state;

    for (size_t i = 0; i + 1 < sizeof text; i++)
        for (int b = 0; b < 256; b++) {
            struct err e = {0};
            memcpy(text, good[0], sizeof text);
            text[i] = (char)b;
            if (audit_line_take(&l, str_from(text, sizeof text - 1), scratch, &e) < 0)
                continue;
            assert_int_equal(audit_line_put(again, &l), sizeof text - 1);
            assert_memory_equal(again, text, sizeof text - 1);
        }
}

static struct audit_line longest(char word[AUDIT_WORD_MAX])
{
    memset(word, 0xff, AUDIT_WORD_MAX);
    struct str w = str_from(word, AUDIT_WORD_MAX);
    return (struct audit_line){.number = EXACT_INT_MAX,
                               .time = (int64_t)EXACT_INT_MAX,
                               .span = AUDIT_SPAN_MS,
                               .event = w,
                               .account = w,
                               .fp = str_of(FP),
                               .reason = w,
                               .count = EXACT_INT_MAX,
                               .address = str_of(MAC)};
}

static void the_longest_fits_and_nothing_longer(void **state)
{
    char word[AUDIT_WORD_MAX], text[AUDIT_LINE_MAX + 1], scratch[AUDIT_LINE_MAX], more[256] = "";
    struct audit_line l = longest(word), got;
    struct err e = {0};
    (void)state;

    size_t n = audit_line_put(text, &l);
    assert_int_not_equal(n, 0);
    assert_int_equal(audit_line_take(&got, str_from(text, n), scratch, &e), 0);
    assert_true(str_same(got.event, l.event) && str_same(got.reason, l.reason));
    l.account = str_from(more, AUDIT_WORD_MAX + 1);
    assert_int_equal(audit_line_put(text, &l), 0);
    assert_string_equal(text, "");
}

/* The value is what openssl dgst -mac HMAC gives for this key. */
static void an_address_is_its_hmac(void **state)
{
    struct key k;
    char out[AUDIT_ADDRESS_TEXT];
    (void)state;

    for (size_t i = 0; i < sizeof k.b; i++)
        k.b[i] = (uint8_t)i;
    audit_address(out, &k, str_of("192.0.2.1"));
    assert_string_equal(out, "631880dc2584b7d223b00351ff53df160f5a96f513fb37dd79c89742d7834cfa");
    audit_address(out, &k, str_of("operator"));
    assert_string_equal(out, "operator");
    audit_address(out, &k, str_of("*"));
    assert_string_equal(out, "*");
    audit_address(out, &k, str_of(""));
    assert_string_equal(out, "");
}

static void weeks_begin_where_they_end(void **state)
{
    (void)state;
    assert_int_equal(audit_week(0), 0);
    assert_int_equal(audit_week(AUDIT_WEEK_MS - 1), 0);
    assert_int_equal(audit_week(AUDIT_WEEK_MS), 1);
}

static void a_leaf_is_rfc_6962(void **state)
{
    struct hash leaf, want;
    (void)state;

    audit_leaf(&leaf, str_of("x"));
    sha256(span_of("\0x", 2), &want);
    assert_true(hash_same(&leaf, &want));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_written_as_it_is_read),
        cmocka_unit_test(any_other_spelling_is_refused),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(the_longest_fits_and_nothing_longer),
        cmocka_unit_test(an_address_is_its_hmac),
        cmocka_unit_test(weeks_begin_where_they_end),
        cmocka_unit_test(a_leaf_is_rfc_6962),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
