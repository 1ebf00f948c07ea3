/* The relay's shell without sockets: the gate, the flood, the roll, mailboxes, ids, names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "server/box.h"
#include "server/conf.h"
#include "server/core/source.h"
#include "server/flood.h"
#include "server/gate.h"
#include "server/log.h"
#include "server/loop.h"
#include "server/roll.h"

/* --- the gate --- */

/* Randomness of the tests: always the same 16 bits. */
static int draw(void *ctx, uint8_t *out, size_t n)
{
    memset(out, *(const uint8_t *)ctx, n);
    return 0;
}

static const uint8_t low = 0x00, high = 0xff; /* draws of 0 and 65535 */

static struct rng rng_of(const uint8_t *byte)
{
    union {
        const uint8_t *in;
        void *out;
    } u = {byte};

    return (struct rng){draw, u.out};
}

static struct source source_text(const char *text)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in *four = (struct sockaddr_in *)&a;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&a;
    char shown[INET6_ADDRSTRLEN];
    struct source s;

    if (strchr(text, ':') != NULL) {
        six->sin6_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
    } else {
        four->sin_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, text, &four->sin_addr), 1);
    }
    source_of(&a, &s, shown);
    return s;
}

static struct gate *gate_of(unsigned conns, unsigned newcomers, unsigned per, const uint8_t *byte)
{
    struct rng r = rng_of(byte);
    struct gate *g = gate_new(&(struct gate_limits){conns, newcomers, per}, &r);

    assert_non_null(g);
    return g;
}

static const struct {
    const char *a, *b;
    bool same;
} sources[] = {
    {"192.0.2.1", "192.0.2.1", true},
    {"192.0.2.1", "192.0.2.2", false},
    {"192.0.2.1", "::ffff:192.0.2.1", true},
    {"2001:db8::1", "2001:db8::ffff:1", true}, /* one /64 */
    {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
    {"::1", "127.0.0.1", false},
};

static void sources_are_addresses_or_networks(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT(sources); i++) {
        struct source a = source_text(sources[i].a), b = source_text(sources[i].b);

        assert_int_equal(memcmp(&a, &b, sizeof a) == 0, sources[i].same);
    }
}

static void one_source_has_its_share(void **state)
{
    struct gate *g = gate_of(100, 50, 3, &high);
    struct source a = source_text("2001:db8::1"), a2 = source_text("2001:db8::2"),
                  b = source_text("192.0.2.1");
    (void)state;

    assert_int_equal(gate_enter(g, &a), GATE_IN);
    assert_int_equal(gate_enter(g, &a2), GATE_IN);
    assert_int_equal(gate_enter(g, &a), GATE_IN);
    assert_int_equal(gate_enter(g, &a2), GATE_SOURCE);
    assert_int_equal(gate_enter(g, &b), GATE_IN);
    gate_leave(g, &a, false);
    assert_int_equal(gate_enter(g, &a), GATE_IN);
    gate_proven(g, &a); /* members do not count */
    assert_int_equal(gate_enter(g, &a), GATE_IN);
    assert_int_equal(gate_enter(g, &a), GATE_SOURCE);
    gate_free(g);
}

static void connections_have_a_limit(void **state)
{
    struct gate *g = gate_of(2, 50, 50, &high);
    struct source a = source_text("192.0.2.1");
    (void)state;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(gate_enter(g, &a), GATE_IN);
        gate_proven(g, &a);
    }
    assert_int_equal(gate_enter(g, &a), GATE_FULL);
    gate_limits(g, &(struct gate_limits){3, 50, 50});
    assert_int_equal(gate_enter(g, &a), GATE_IN);
    gate_leave(g, &a, false);
    gate_leave(g, &a, true);
    gate_leave(g, &a, true);
    struct gate_counts n;
    gate_counts(g, &n);
    assert_int_equal(n.conns + n.newcomers + n.sources, 0);
    gate_free(g);
}

/* Below half nobody is turned away whatever is drawn; at the limit everybody; in between the draw
 * decides, and more the fuller it is. */
static void early_drop(void **state)
{
    struct gate *unlucky = gate_of(100, 10, 100, &low), *lucky = gate_of(100, 10, 100, &high);
    struct source a = source_text("192.0.2.1");
    (void)state;

    for (int i = 0; i < 6; i++) /* at half exactly the chance is still none */
        assert_int_equal(gate_enter(unlucky, &a), GATE_IN);
    assert_int_equal(gate_enter(unlucky, &a), GATE_EARLY);
    gate_free(lucky);
    lucky = gate_of(100, 14, 100, &high); /* 65535 % 7 is 1 */
    for (int i = 0; i < 9; i++)
        assert_int_equal(gate_enter(lucky, &a), GATE_IN);
    assert_int_equal(gate_enter(lucky, &a), GATE_EARLY);
    gate_free(unlucky);
    gate_free(lucky);
}

static void the_last_place_is_the_last(void **state)
{
    struct gate *g = gate_of(100, 2, 100, &high); /* 65535 % 1 is 0: full from two on */
    struct source a = source_text("192.0.2.1");
    (void)state;

    assert_int_equal(gate_enter(g, &a), GATE_IN);
    assert_int_equal(gate_enter(g, &a), GATE_IN);
    assert_int_equal(gate_enter(g, &a), GATE_BUSY);
    gate_proven(g, &a);
    assert_int_equal(gate_enter(g, &a), GATE_IN);
    gate_free(g);
}

/* --- floods --- */

struct told {
    unsigned lines, any;
    uint64_t left_out;
};

static void tell(void *ctx, const char *event, const char *source, uint64_t count)
{
    struct told *t = ctx;

    assert_string_equal(event, "refused");
    t->lines++;
    t->any += source[0] == '\0';
    t->left_out += count;
}

static void a_flood_is_counted(void **state)
{
    static struct flood f;
    struct told t = {0, 0, 0};
    unsigned passed = 0;
    (void)state;

    flood_init(&f, tell, &t);
    for (int i = 0; i < 1000; i++)
        passed += flood_pass(&f, "refused", "192.0.2.1", 5000 + i % 900);
    assert_int_equal(passed, FLOOD_SOURCE);
    assert_true(flood_pass(&f, "refused", "192.0.2.2", 5900));
    assert_true(flood_pass(&f, "exhausted", "192.0.2.1", 5900));
    flood_tick(&f, 5950); /* the second is not over */
    assert_int_equal(t.lines, 0);
    flood_tick(&f, 6000);
    assert_int_equal(t.lines, 1);
    assert_int_equal(t.left_out + passed, 1000);
    assert_true(flood_pass(&f, "refused", "192.0.2.1", 6001));
}

static void many_sources_are_one_flood(void **state)
{
    static struct flood f;
    struct told t = {0, 0, 0};
    char source[16] = "s000000";
    unsigned passed = 0;
    (void)state;

    flood_init(&f, tell, &t);
    for (int i = 0; i < 5000; i++) {
        for (int d = 6, n = i; d > 0; d--, n /= 10)
            source[d] = (char)('0' + n % 10);
        passed += flood_pass(&f, "refused", source, 7000);
    }
    assert_int_equal(passed, FLOOD_EVENT);
    flood_end(&f);
    assert_int_equal(t.left_out + passed, 5000);
}

/* What was left out is told in few lines too, whether sources push each other out of their slots or
 * a second ends; nothing is lost in them. */
static void a_flood_of_counts_is_bounded(void **state)
{
    static struct flood f;
    struct told t = {0, 0, 0};
    char source[16];
    unsigned passed = 0, crowd = 4 * FLOOD_SLOTS, each = 3 * FLOOD_SOURCE;
    (void)state;

    flood_init(&f, tell, &t);
    for (unsigned i = 0; i < crowd * each; i++) {
        snprintf(source, sizeof source, "s%u", i / each);
        passed += flood_pass(&f, "refused", source, 7000);
    }
    assert_int_equal(passed, FLOOD_EVENT);
    assert_int_equal(t.lines, FLOOD_REPORTS);
    flood_tick(&f, 8000);
    assert_int_equal(t.lines - t.any, 2 * FLOOD_REPORTS);
    assert_int_equal(t.any, 1);
    assert_int_equal(t.left_out + passed, crowd * each);
}

/* Two words that share a slot would push each other's count out at each turn. */
static void no_event_pushes_another_out(void **state)
{
    static struct flood f;
    struct told t = {0, 0, 0};
    char event[16], source[16];
    unsigned passed = 0;
    (void)state;

    flood_init(&f, tell, &t);
    for (unsigned i = 0; i < 10 * FLOOD_EVENT; i++)
        for (unsigned j = 0; j < FLOOD_EVENTS; j++) {
            snprintf(event, sizeof event, "event-%u", j);
            snprintf(source, sizeof source, "s%u", i);
            passed += flood_pass(&f, event, source, 7000);
        }
    assert_int_equal(passed, FLOOD_EVENT * FLOOD_EVENTS);
    assert_int_equal(t.lines, 0);
}

/* Whoever has one address of an IPv6 network has them all. */
static void a_source_is_a_network(void **state)
{
    static const char *const cases[][2] = {
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
        {"2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"},
        {"2001:db8:1:3::1", "2001:db8:1:3::/64"},
        {"::1", "::/64"},
        {"192.0.2.1", "192.0.2.1"},
        {"?", "?"},
        {"", ""},
    };
    char net[SOURCE_MAX + 1], longest[2 * SOURCE_MAX];
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        source_net(net, cases[i][0]);
        assert_string_equal(net, cases[i][1]);
    }
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    source_net(net, longest);
    assert_int_equal(strlen(net), SOURCE_MAX);
}

static int log_lines(int fd)
{
    char text[64 * 1024];
    ssize_t n = pread(fd, text, sizeof text, 0);
    int lines = 0;

    for (ssize_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}

/* A thousand addresses of one network are one source of the log. */
static void a_network_is_one_source_of_the_log(void **state)
{
    FILE *file = tmpfile();
    struct log *l = log_new(fileno(file));
    char source[32];
    int64_t begun = clock_ticks() / 1000;
    struct kv k;
    (void)state;

    kv_event(&k, "refused");
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(source, sizeof source, "2001:db8::%x:1", i);
        (void)log_from(l, source, &k);
    }
    log_free(l);
    int64_t seconds = clock_ticks() / 1000 - begun + 1;
    assert_true(log_lines(fileno(file)) <= seconds * (FLOOD_SOURCE + 1));
    assert_true(log_lines(fileno(file)) > FLOOD_SOURCE);
    fclose(file);
}

/* --- the roll --- */

static void the_roll_judges(void **state)
{
    struct hash a = {{1}}, b = {{2}};
    struct roll *r = roll_new();
    (void)state;

    assert_non_null(r);
    assert_int_equal(roll_judge(r, &a, NULL, 0), CERT_NOT_ENROLLED);
    assert_int_equal(roll_set(r, &a, CERT_OK), 0);
    assert_int_equal(roll_judge(r, &a, NULL, 0), CERT_OK);
    assert_int_equal(roll_judge(r, &b, NULL, 0), CERT_NOT_ENROLLED);
    assert_int_equal(roll_set(r, &a, CERT_REVOKED), 0);
    assert_int_equal(roll_judge(r, &a, NULL, 0), CERT_REVOKED);
    roll_free(r);
}

/* --- mail and ids --- */

static void woken(void *ctx)
{
    ++*(int *)ctx;
}

static void mail_keeps_its_order(void **state)
{
    struct box *b = box_new();
    struct msgs l = {NULL, NULL};
    int wakes = 0;
    uint64_t n = 0;
    (void)state;

    box_hook(b, woken, &wakes);
    for (uint64_t i = 1; i <= 3; i++)
        box_put(b, msg_new(MSG_DROP, i));
    for (uint64_t i = 4; i <= 6; i++)
        msgs_add(&l, msg_new(MSG_DROP, i));
    box_put_all(b, &l);
    box_put_all(b, &l); /* nothing more */
    assert_int_equal(wakes, 1);
    for (struct msg *m = box_take(b), *next; m != NULL; m = next) {
        next = m->next;
        assert_int_equal(m->conn, ++n);
        msg_free(m);
    }
    assert_int_equal(n, 6);
    assert_null(box_take(b));
    box_put(b, msg_new(MSG_DROP, 7));
    assert_int_equal(wakes, 2);
    box_free(b);
}

static void jobs_add_new(struct jobs *l, uint64_t conn)
{
    jobs_add(l, job_new(JOB_GONE, conn));
}

/* One author's entries are jobs of several turns: they are done in the order in which they came. */
static void jobs_keep_their_order(void **state)
{
    struct jobs turn = {0}, all = {0};
    uint64_t n = 0;
    (void)state;

    for (uint64_t i = 1; i <= 9; i++) {
        jobs_add_new(&turn, i);
        if (i % 3 == 0)
            jobs_move(&all, &turn);
    }
    jobs_move(&all, &turn); /* nothing more */
    assert_null(turn.first);
    assert_int_equal(all.n, 9);
    for (struct job *j; (j = jobs_next(&all)) != NULL; job_free(j)) {
        assert_int_equal(j->conn, ++n);
        if (n == 5)
            jobs_add_new(&all, 10);
    }
    assert_int_equal(n, 10);
    assert_int_equal(all.n, 0);
}

static void ids_name_their_loop(void **state)
{
    (void)state;

    for (uint64_t serial = 1; serial < 5; serial++)
        for (unsigned loop = 0; loop < LOOPS_MAX; loop++) {
            uint64_t id = conn_id(serial, loop);

            assert_int_equal(conn_loop(id), loop);
            assert_int_equal(conn_serial(id), serial);
        }
}

/* --- names and ports --- */

static const struct {
    const char *text, *host; /* host NULL: refused */
    unsigned port;
} addresses[] = {
    {"relay.example", "relay.example", 7443},
    {"relay.example:1", "relay.example", 1},
    {"192.0.2.1:65535", "192.0.2.1", 65535},
    {"[::1]:0", "::1", 0},
    {"[::]", "::", 7443},
    {"::1", "::1", 7443},
    {"2001:db8::1", "2001:db8::1", 7443},
    {"", NULL, 0},
    {":7443", NULL, 0},
    {"host:", NULL, 0},
    {"host:65536", NULL, 0},
    {"host:-1", NULL, 0},
    {"host: 1", NULL, 0},
    {"[::1", NULL, 0},
    {"[::1]x", NULL, 0},
    {"[]:1", NULL, 0},
    {"[::1]:", NULL, 0},
};

static void names_and_ports(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT(addresses); i++) {
        struct host_port at = {.port = PORT_DEFAULT};
        struct err e = {0};
        int r = host_port_take(&at, str_of(addresses[i].text), &e);

        if ((r == 0) != (addresses[i].host != NULL))
            fail_msg("%s: %s", addresses[i].text, r == 0 ? "accepted" : e.text);
        if (r < 0)
            continue;
        assert_string_equal(at.host, addresses[i].host);
        assert_int_equal(at.port, addresses[i].port);
    }
}

static void names_of_the_certificate(void **state)
{
    struct conf c;
    struct hosts h;
    struct err e = {0};
    (void)state;

    assert_int_equal(opt_defaults(conf_table(), &c, &e), 0);
    assert_int_equal(str_copy(c.name, sizeof c.name, str_of("relay.example:99")), 0);
    assert_int_equal(str_copy(c.extra_san, sizeof c.extra_san, str_of("::1, 192.0.2.1")), 0);
    assert_int_equal(conf_hosts(&c, &h, &e), 0);
    assert_int_equal(h.n, 3);
    assert_string_equal(h.p[0], "relay.example");
    assert_string_equal(h.p[1], "::1");
    assert_string_equal(h.p[2], "192.0.2.1");
    assert_int_equal(str_copy(c.extra_san, sizeof c.extra_san, str_of("a,b c")), 0);
    assert_int_equal(conf_hosts(&c, &h, &e), -1);
    err_clear(&e);
    assert_int_equal(str_copy(c.extra_san, sizeof c.extra_san, str_of("a,b,c,d,e,f,g,h")), 0);
    assert_int_equal(conf_hosts(&c, &h, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_are_addresses_or_networks),
        cmocka_unit_test(one_source_has_its_share),
        cmocka_unit_test(connections_have_a_limit),
        cmocka_unit_test(early_drop),
        cmocka_unit_test(the_last_place_is_the_last),
        cmocka_unit_test(a_flood_is_counted),
        cmocka_unit_test(many_sources_are_one_flood),
        cmocka_unit_test(a_flood_of_counts_is_bounded),
        cmocka_unit_test(no_event_pushes_another_out),
        cmocka_unit_test(a_source_is_a_network),
        cmocka_unit_test(a_network_is_one_source_of_the_log),
        cmocka_unit_test(the_roll_judges),
        cmocka_unit_test(mail_keeps_its_order),
        cmocka_unit_test(jobs_keep_their_order),
        cmocka_unit_test(ids_name_their_loop),
        cmocka_unit_test(names_and_ports),
        cmocka_unit_test(names_of_the_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
