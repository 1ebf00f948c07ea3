/* Addresses as people write them, and the wait before another try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

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

/* --- the race of addresses --- */

struct race {
    uv_loop_t loop;
    struct net *net;
    struct sockaddr_storage addr[3];
    struct addrinfo info[3];
    char up[80];
    struct err down;
    unsigned ups, downs;
};

static void race_up(void *ctx, const char *where)
{
    struct race *r = ctx;

    r->ups++;
    snprintf(r->up, sizeof r->up, "%s", where);
    uv_stop(&r->loop);
}

static void race_bytes(void *ctx, struct span in)
{
    (void)ctx;
    (void)in;
}

static void race_eof(void *ctx)
{
    (void)ctx;
}

static void race_down(void *ctx, const struct err *why)
{
    struct race *r = ctx;

    r->downs++;
    r->down = *why;
    uv_stop(&r->loop);
}

/* A socket bound to a loopback address; it answers when it listens. Gives its port. */
static int bound(int family, bool listens, struct sockaddr_storage *out)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(family, SOCK_STREAM, 0);
    socklen_t n = sizeof *out;

    assert_true(fd >= 0);
    assert_int_equal(family == AF_INET6 ? bind(fd, (struct sockaddr *)&six, sizeof six)
                                        : bind(fd, (struct sockaddr *)&four, sizeof four),
                     0);
    if (listens)
        assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)out, &n), 0);
    return fd;
}

static void race_run(struct race *r, size_t n)
{
    const struct net_ops ops = {race_up, race_bytes, race_eof, race_down, r};
    struct err e = {0};

    for (size_t i = 0; i < n; i++) {
        bool six = r->addr[i].ss_family == AF_INET6;
        r->info[i] = (struct addrinfo){
            .ai_family = r->addr[i].ss_family,
            .ai_addr = (struct sockaddr *)&r->addr[i],
            .ai_addrlen = six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in),
            .ai_next = i + 1 < n ? &r->info[i + 1] : NULL,
        };
    }
    assert_int_equal(uv_loop_init(&r->loop), 0);
    r->net = net_new(&r->loop, &ops, &e);
    assert_non_null(r->net);
    net_race(r->net, n == 0 ? NULL : r->info);
    uv_run(&r->loop, UV_RUN_DEFAULT); /* until somebody answers, or at once when nobody can */
    net_free(r->net);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
}

static void test_race(void **state)
{
    struct race r = {0};

    (void)state;
    /* both answer, IPv4 is listed first: IPv6 is tried first */
    int four = bound(AF_INET, true, &r.addr[0]), six = bound(AF_INET6, true, &r.addr[1]);
    race_run(&r, 2);
    assert_int_equal(r.ups, 1);
    assert_memory_equal(r.up, "[::1]:", 6);
    close(six);
    /* nobody behind IPv6: the other one */
    six = bound(AF_INET6, false, &r.addr[1]);
    r.ups = 0;
    race_run(&r, 2);
    assert_int_equal(r.ups, 1);
    assert_memory_equal(r.up, "127.0.0.1:", 10);
    close(four);
    close(six);
    /* nobody at all: once down, with the address and the reason */
    r = (struct race){0};
    four = bound(AF_INET, false, &r.addr[0]);
    six = bound(AF_INET6, false, &r.addr[1]);
    race_run(&r, 2);
    assert_int_equal(r.ups, 0);
    assert_int_equal(r.downs, 1);
    assert_non_null(strstr(r.down.text, "connection refused"));
    close(four);
    close(six);
    r = (struct race){0};
    race_run(&r, 0);
    assert_int_equal(r.downs, 1);
}

/* One that never answers holds the next one up for NET_HEAD_MS, not for good. */
static void test_race_silent(void **state)
{
    struct race r = {0};

    (void)state;
    /* a full backlog drops further connections silently */
    int six = bound(AF_INET6, true, &r.addr[0]), four = bound(AF_INET, true, &r.addr[1]);
    int fill[8];
    assert_int_equal(listen(six, 0), 0);
    for (size_t i = 0; i < COUNT(fill); i++) {
        fill[i] = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fill[i], (struct sockaddr *)&r.addr[0], sizeof(struct sockaddr_in6));
    }
    uint64_t began = uv_hrtime();
    race_run(&r, 2);
    assert_int_equal(r.ups, 1);
    assert_memory_equal(r.up, "127.0.0.1:", 10);
    assert_true((uv_hrtime() - began) / 1000000 >= NET_HEAD_MS - 20);
    for (size_t i = 0; i < COUNT(fill); i++)
        close(fill[i]);
    close(six);
    close(four);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_race_silent),
    };

    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
