/* Addresses as people write them, and the wait before another try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/net.h"

static const struct {
    const char *text, *host; /* host NULL: refused */
    uint16_t port;
} rows[] = {
    {"relay.example", "relay.example", 7443},
    {"relay.example:1", "relay.example", 1},
    {"127.0.0.1:65535", "127.0.0.1", 65535},
    {"[::1]:7443", "::1", 7443},
    {"[::1]", "::1", 7443},
    {"::1", "::1", 7443},
    {"fe80::1", "fe80::1", 7443},
    {"", NULL, 0},
    {":7443", NULL, 0},
    {"relay.example:", NULL, 0},
    {"relay.example:0", NULL, 0},
    {"relay.example:65536", NULL, 0},
    {"relay.example:07", NULL, 0},
    {"relay.example:1:2", NULL, 0},
    {"[::1", NULL, 0},
    {"[::1]x", NULL, 0},
    {"[::1]7443", NULL, 0},
    {"[relay.example]:1", NULL, 0},
    {"[]:1", NULL, 0},
};

static void test_address(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char host[64];
        uint16_t port = 7443;
        struct err e = {0};
        int ret = net_address(str_of(rows[i].text), host, sizeof host, &port, &e);
        if ((ret == 0) != (rows[i].host != NULL))
            fail_msg("\"%s\": %d", rows[i].text, ret);
        if (ret == 0) {
            assert_string_equal(host, rows[i].host);
            assert_int_equal(port, rows[i].port);
        }
    }
}

static int fill_with(void *ctx, uint8_t *out, size_t n)
{
    memset(out, *(uint8_t *)ctx, n);
    return 0;
}

static void test_backoff(void **state)
{
    uint8_t high = 0xff, low = 0;
    const struct rng most = {fill_with, &high}, least = {fill_with, &low};
    static const int64_t bound[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};

    (void)state;
    for (unsigned i = 0; i < COUNT(bound); i++) {
        assert_int_equal(net_backoff(i + 1, &least), 0);
        assert_int_equal(net_backoff(i + 1, &most), bound[i] - 1);
    }
    assert_int_equal(net_backoff(4000000000U, &most), NET_BACKOFF_MAX_MS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address),
        cmocka_unit_test(test_backoff),
    };

    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
