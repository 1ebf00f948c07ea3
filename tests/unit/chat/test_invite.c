/* Invites: the three kinds of host, and every single slip of a finger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/chat/invite.h"
#include "tests/unit/chat/support_vectors.h"

static const struct {
    const char *vector, *host;
    uint16_t port;
} golden[] = {
    {"invite_dns", "relay.example", 7443},
    {"invite_v4", "192.0.2.1", 443},
    {"invite_v6", "2001:db8::1", 7443},
};

static void crc_is_that_of_rfc_9580(void **state)
{
    (void)state;
    assert_int_equal(crc24(span_of("", 0)), 0xb704ce);
    assert_int_equal(crc24(span_of("123456789", 9)), 0x21cf02); /* the catalogue's check value */
}

static void invites_go_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(golden); i++) {
        struct invite in;
        struct hash root;
        uint8_t token[TOKEN_LEN];
        char text[VECTOR_MAX], padded[VECTOR_MAX + 8], again[INVITE_MAX];
        vector_text(text, golden[i].vector);
        vector_fill(root.b, 32, 12);
        vector_fill(token, sizeof token, 13);
        assert_int_equal(invite_take(&in, str_of(text)), INVITE_OK);
        assert_string_equal(in.host, golden[i].host);
        assert_int_equal(in.port, golden[i].port);
        assert_true(hash_same(&in.root, &root));
        assert_memory_equal(in.token, token, sizeof token);
        assert_int_equal(invite_put(again, &in), 0);
        assert_string_equal(again, text);
        snprintf(padded, sizeof padded, " \t%s \r\n", text);
        assert_int_equal(invite_take(&in, str_of(padded)), INVITE_OK);
    }
}

static void no_single_change_gets_through(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(golden); i++) {
        struct invite in;
        char text[VECTOR_MAX];
        vector_text(text, golden[i].vector);
        size_t n = strlen(text);
        for (size_t at = 0; at < n; at++) {
            char was = text[at];
            for (int c = 0; c < 256; c++) {
                text[at] = (char)c;
                bool space = (at == 0 || at == n - 1) && strchr(" \t\r\n", c) != NULL;
                if ((char)c != was && !space)
                    assert_int_not_equal(invite_take(&in, str_from(text, n)), INVITE_OK);
            }
            text[at] = was;
        }
    }
}

static void nothing_left_out_doubled_or_swapped(void **state)
{
    struct invite in;
    char text[VECTOR_MAX], other[VECTOR_MAX + 2];
    (void)state;

    vector_text(text, "invite_v6");
    size_t n = strlen(text);
    for (size_t at = 0; at < n; at++) {
        assert_int_not_equal(invite_take(&in, str_from(text, at)), INVITE_OK);
        snprintf(other, sizeof other, "%.*s%s", (int)at, text, text + at + 1);
        assert_int_not_equal(invite_take(&in, str_of(other)), INVITE_OK);
        snprintf(other, sizeof other, "%.*s%c%s", (int)at, text, text[at], text + at);
        assert_int_not_equal(invite_take(&in, str_of(other)), INVITE_OK);
        if (at + 1 < n && text[at] != text[at + 1]) {
            snprintf(other, sizeof other, "%.*s%c%c%s", (int)at, text, text[at + 1], text[at],
                     text + at + 2);
            assert_int_not_equal(invite_take(&in, str_of(other)), INVITE_OK);
        }
    }
}

#define ROOT  "DBMaISgvNj1ES1JZYGdudXyDipGYn6attLvCydDX3uU"
#define TOKEN "DRQbIikwNz5FTFNaYWhvdg"

/* With a right checksum, so that the part itself is what is refused. */
static const struct {
    const char *text;
    enum invite_fault fault;
    const char *why;
} parts[] = {
    {"countersign://relay.example:7443/#1." ROOT "." TOKEN, INVITE_OK, "good"},
    {"countersign://relay.example:7443/#2." ROOT "." TOKEN, INVITE_VERSION, "version 2"},
    {"countersign://relay.example:7443/#01." ROOT "." TOKEN, INVITE_VERSION, "version 01"},
    {"countersign://relay.example:7443/1." ROOT "." TOKEN, INVITE_SHORT, "no #"},
    {"countersign://relay.example:7443", INVITE_SHORT, "no path"},
    {"countersign://:7443/#1." ROOT "." TOKEN, INVITE_HOST, "no host"},
    {"countersign://relay..example:7443/#1." ROOT "." TOKEN, INVITE_HOST, "empty label"},
    {"countersign://-relay.example:7443/#1." ROOT "." TOKEN, INVITE_HOST, "hyphen in front"},
    {"countersign://Relay.example:7443/#1." ROOT "." TOKEN, INVITE_HOST, "a capital"},
    {"countersign://re_lay.example:7443/#1." ROOT "." TOKEN, INVITE_HOST, "underscore"},
    {"countersign://relay.example.:7443/#1." ROOT "." TOKEN, INVITE_HOST, "dot at the end"},
    {"countersign://user@relay.example:7443/#1." ROOT "." TOKEN, INVITE_HOST, "user"},
    {"countersign://1.2.3:7443/#1." ROOT "." TOKEN, INVITE_HOST, "three numbers"},
    {"countersign://1.2.3.256:7443/#1." ROOT "." TOKEN, INVITE_HOST, "256"},
    {"countersign://1.2.3.04:7443/#1." ROOT "." TOKEN, INVITE_HOST, "leading zero"},
    {"countersign://::1:7443/#1." ROOT "." TOKEN, INVITE_HOST, "no brackets"},
    {"countersign://[::1:7443/#1." ROOT "." TOKEN, INVITE_HOST, "bracket open"},
    {"countersign://[::1]7443/#1." ROOT "." TOKEN, INVITE_HOST, "no colon"},
    {"countersign://[relay]:7443/#1." ROOT "." TOKEN, INVITE_HOST, "a name in brackets"},
    {"countersign://[1.2.3.4]:7443/#1." ROOT "." TOKEN, INVITE_HOST, "IPv4 in brackets"},
    {"countersign://[::1%eth0]:7443/#1." ROOT "." TOKEN, INVITE_HOST, "a zone"},
    {"countersign://relay.example/#1." ROOT "." TOKEN, INVITE_PORT, "no port"},
    {"countersign://relay.example:/#1." ROOT "." TOKEN, INVITE_PORT, "empty port"},
    {"countersign://relay.example:0/#1." ROOT "." TOKEN, INVITE_PORT, "port 0"},
    {"countersign://relay.example:65536/#1." ROOT "." TOKEN, INVITE_PORT, "port 65536"},
    {"countersign://relay.example:07443/#1." ROOT "." TOKEN, INVITE_PORT, "leading zero"},
    {"countersign://relay.example:7443/#1.AAAA." TOKEN, INVITE_ROOT, "fingerprint too short"},
    {"countersign://relay.example:7443/#1." ROOT "A." TOKEN, INVITE_ROOT, "too long"},
    {"countersign://relay.example:7443/#1." ROOT ".AAAA", INVITE_TOKEN, "token too short"},
    {"countersign://relay.example:7443/#1." ROOT "." TOKEN "." TOKEN, INVITE_TOKEN, "two tokens"},
    {"countersign://relay.example:7443/#1." ROOT ".DRQbIikwNz5FTFNaYWhvdh", INVITE_TOKEN,
     "trailing bits"},
};

static void each_part_has_its_fault(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(parts); i++) {
        struct invite in;
        char text[INVITE_MAX];
        snprintf(text, sizeof text, "%s.%06x", parts[i].text,
                 (unsigned)crc24(span_of(parts[i].text, strlen(parts[i].text))));
        print_message("# %s\n", parts[i].why);
        assert_int_equal(invite_take(&in, str_of(text)), parts[i].fault);
        if (parts[i].fault != INVITE_OK)
            assert_string_equal(in.host, "");
    }
}

static void whole_lines_have_their_fault(void **state)
{
    static char longest[INVITE_MAX + 1];
    struct invite in;
    char text[VECTOR_MAX];
    (void)state;

    assert_int_equal(invite_take(&in, str_of("")), INVITE_EMPTY);
    assert_int_equal(invite_take(&in, str_of(" \n")), INVITE_EMPTY);
    assert_int_equal(invite_take(&in, str_of("https://relay.example/")), INVITE_SCHEME);
    assert_int_equal(invite_take(&in, str_of("COUNTERSIGN://relay")), INVITE_SCHEME);
    assert_int_equal(invite_take(&in, str_of("countersign://")), INVITE_SHORT);
    assert_int_equal(invite_take(&in, str_of("countersign://relay ex.aaaaaa")), INVITE_BYTES);
    memset(longest, 'a', sizeof longest);
    assert_int_equal(invite_take(&in, str_from(longest, sizeof longest)), INVITE_LONG);
    vector_text(text, "invite_dns");
    assert_int_equal(invite_take(&in, str_from(text, strlen(text) - 3)), INVITE_SHORT);
    text[20] ^= 1;
    assert_int_equal(invite_take(&in, str_of(text)), INVITE_CHECKSUM);
    for (int f = 0; f < INVITE_FAULT_COUNT; f++)
        assert_true(strlen(invite_fault_text((enum invite_fault)f)) > 0);
}

static void hosts_are_names_or_addresses(void **state)
{
    static const struct {
        const char *host;
        bool ok;
    } rows[] = {
        {"localhost", true},
        {"a", true},
        {"xn--bcher-kva.example", true},
        {"1.2.3.4", true},
        {"0.0.0.0", true},
        {"4chan.example", true},
        {"::", true},
        {"::1", true},
        {"1::", true},
        {"fe80::1:2", true},
        {"1:2:3:4:5:6:7:8", true},
        {"::ffff:1.2.3.4", true},
        {"1:2:3:4:5:6:1.2.3.4", true},
        {"1:2:3:4:5:6:7::", true},
        {"", false},
        {".", false},
        {"a b", false},
        {"a/b", false},
        {"a-", false},
        {"127.1", false},
        {"1", false},
        {"a.1", false},
        {"1:2", false},
        {":", false},
        {":::", false},
        {"1::2::3", false},
        {"1:2:3:4:5:6:7:8:9", false},
        {"::1:2:3:4:5:6:7:8", false},
        {"12345::", false},
        {"::G", false},
        {"::A", false},
        {"1.2.3.4::", false},
        {"::1.2.3.4:5", false},
        {":1", false},
        {"1:", false},
        {"\xc3\xa9.example", false},
    };
    char label[66], name[300];
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        print_message("# %s\n", rows[i].host);
        assert_int_equal(host_ok(str_of(rows[i].host)), rows[i].ok);
    }
    memset(label, 'a', sizeof label);
    assert_true(host_ok(str_from(label, 63)));
    assert_false(host_ok(str_from(label, 64)));
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = i % 2 ? '.' : 'a';
    assert_true(host_ok(str_from(name, 253)));
    assert_false(host_ok(str_from(name, 255)));
}

static void what_is_no_host_is_not_written(void **state)
{
    struct invite in = {.host = "a b", .port = 1};
    char out[INVITE_MAX];
    (void)state;

    assert_int_equal(invite_put(out, &in), -1);
    assert_int_equal(str_copy(in.host, sizeof in.host, str_of("a")), 0);
    in.port = 0;
    assert_int_equal(invite_put(out, &in), -1);
    in.port = 1;
    assert_int_equal(invite_put(out, &in), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_is_that_of_rfc_9580),
        cmocka_unit_test(invites_go_there_and_back),
        cmocka_unit_test(no_single_change_gets_through),
        cmocka_unit_test(nothing_left_out_doubled_or_swapped),
        cmocka_unit_test(each_part_has_its_fault),
        cmocka_unit_test(whole_lines_have_their_fault),
        cmocka_unit_test(hosts_are_names_or_addresses),
        cmocka_unit_test(what_is_no_host_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
