/* Two ends that agree: every step in its order, messages both ways, in pieces of every size. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/link/support_link.h"

static struct world *w;

static int setup(void **state)
{
    (void)state;
    w = world_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(w);
    return 0;
}

/* docs/protocol.md 1 and RFC 8446 2 said again by hand: who writes what, in which order. */
struct told {
    const char *name;
    bool client_writes, waiting;
};

static const struct told chat_order[] = {
    {"ClientHello", true, false},
    {"ServerHello", false, false},
    {"EncryptedExtensions", false, false},
    {"CertificateRequest", false, false},
    {"Certificate", false, false},
    {"CertificateVerify", false, false},
    {"Finished", false, false},
    {"Certificate", true, false},
    {"CertificateVerify", true, false},
    {"Finished", true, false},
    {"Verdict", false, true},
    {"Verdict", false, false},
};

static const struct told join_order[] = {
    {"ClientHello", true, false},
    {"ServerHello", false, false},
    {"EncryptedExtensions", false, false},
    {"Certificate", false, false},
    {"CertificateVerify", false, false},
    {"Finished", false, false},
    {"Finished", true, false},
    {"Verdict", false, true},
    {"Verdict", false, false},
};

static void steps_check(const struct pair *p, enum role r, const struct told *t, size_t n)
{
    size_t at = 0;
    unsigned total = (unsigned)n - 1;

    for (size_t i = 0; i < n; i++) {
        const struct link_step *s = &p->steps[r][at];
        if (t[i].waiting && r == ROLE_RELAY)
            continue; /* a relay waits for nobody's verdict */
        assert_true(at < p->steps_n[r]);
        assert_string_equal(s->name, t[i].name);
        assert_int_equal(s->out, t[i].client_writes == (r == ROLE_CLIENT) && !t[i].waiting);
        assert_int_equal(s->waiting, t[i].waiting);
        assert_int_equal(s->bytes > 0, !t[i].waiting);
        assert_int_equal(s->total, total);
        assert_int_equal(s->number, i + 1 < n ? i + 1 : total);
        at++;
    }
    assert_int_equal(at, p->steps_n[r]);
}

static void join_conf(struct pair *p, struct hash *root)
{
    struct link_conf *c = &p->conf[ROLE_CLIENT];

    sha256(p->chain[ROLE_RELAY][2], root);
    c->join = true;
    c->chain_n = 0;
    c->key = NULL;
    c->trust = NULL;
    c->root = root;
}

static void both_established(const struct pair *p)
{
    if (p->failed[0] || p->failed[1])
        fail_msg("client: %s; relay: %s", pair_why(p, ROLE_CLIENT), pair_why(p, ROLE_RELAY));
    assert_true(p->established[ROLE_CLIENT]);
    assert_true(p->established[ROLE_RELAY]);
    assert_int_equal(p->order_bad, 0);
}

static void steps_come_in_order_in_pieces_of_every_size(void **state)
{
    static const size_t pieces[] = {1, 2, 3, 5, 7, 64, 1000, 1 << 20};
    struct pair p;

    (void)state;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        pair_conf(&p, w);
        pair_meet(&p, pieces[i]);
        both_established(&p);
        steps_check(&p, ROLE_CLIENT, chat_order, COUNT(chat_order));
        steps_check(&p, ROLE_RELAY, chat_order, COUNT(chat_order));
        pair_free(&p);
    }
}

static void random_pieces_make_no_difference(void **state)
{
    struct pair p;
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 10; round++) {
        pair_conf(&p, w);
        pair_start(&p);
        for (size_t moved = 1; moved > 0;) {
            moved = 0;
            for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
                seed = seed * 1664525U + 1013904223U;
                moved += pair_move(&p, r, 1 + (seed >> 16) % 700);
            }
        }
        assert_true(p.established[ROLE_RELAY]);
        assert_int_equal(link_send(p.end[ROLE_RELAY], (const uint8_t *)"x", 1), 0);
        pair_pump(&p, 17);
        both_established(&p);
        pair_free(&p);
    }
}

static void joining_shows_no_client_certificate(void **state)
{
    struct pair p;
    struct hash root;
    struct link_info i;

    (void)state;
    pair_conf(&p, w);
    join_conf(&p, &root);
    pair_meet(&p, 1 << 20);
    both_established(&p);
    steps_check(&p, ROLE_CLIENT, join_order, COUNT(join_order));
    steps_check(&p, ROLE_RELAY, join_order, COUNT(join_order));
    link_info(p.end[ROLE_RELAY], &i);
    assert_true(i.join);
    assert_string_equal(i.alpn, "countersign-join/1");
    assert_int_equal(i.peer_n, 0);
    pair_free(&p);
}

static void the_bytes_of_the_steps_are_those_on_the_wire(void **state)
{
    struct pair p;
    size_t sum[2] = {0, 0}, ccs = 6;

    (void)state;
    pair_conf(&p, w);
    pair_meet(&p, 100);
    both_established(&p);
    for (size_t i = 0; i < p.steps_n[ROLE_CLIENT]; i++) {
        const struct link_step *s = &p.steps[ROLE_CLIENT][i];
        sum[s->out ? ROLE_CLIENT : ROLE_RELAY] += s->bytes;
        assert_true(i == 0 || s->at_us >= p.steps[ROLE_CLIENT][i - 1].at_us);
    }
    /* besides, each side sent one change_cipher_spec, which is no step */
    assert_int_equal(sum[ROLE_CLIENT] + ccs, p.moved[ROLE_CLIENT]);
    assert_int_equal(sum[ROLE_RELAY] + ccs, p.moved[ROLE_RELAY]);
    pair_free(&p);
}

static void info_names_both_ends(void **state)
{
    struct pair p;
    struct link_info i;
    struct hash h;

    (void)state;
    pair_conf(&p, w);
    pair_meet(&p, 1 << 20);
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        enum role other = r == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
        link_info(p.end[r], &i);
        assert_string_equal(i.version, "TLS 1.3");
        assert_string_equal(i.suite, "TLS_AES_256_GCM_SHA384");
        assert_string_equal(i.group, "secp256r1");
        assert_string_equal(i.alpn, "countersign/1");
        assert_false(i.join);
        assert_null(i.refused);
        assert_int_equal(i.peer_n, p.conf[other].chain_n);
        for (size_t k = 0; k < i.peer_n; k++)
            assert_true(span_same(i.peer[k], p.chain[other][k]));
        sha256(p.chain[other][0], &h);
        assert_true(hash_same(&h, &i.peer_fp));
    }
    assert_non_null(strstr(p.steps[ROLE_CLIENT][1].detail, "secp256r1"));
    assert_non_null(strstr(p.steps[ROLE_CLIENT][4].detail, "CN=relay.test"));
    assert_non_null(strstr(p.steps[ROLE_CLIENT][5].detail, "ecdsa_secp256r1_sha256"));
    assert_non_null(strstr(p.steps[ROLE_RELAY][7].detail, "CN=alice"));
    assert_non_null(strstr(p.steps[ROLE_RELAY][8].detail, "rsa_pss_rsae_sha256"));
    pair_free(&p);
}

static void the_table_has_every_step_once(void **state)
{
    size_t n;
    const struct link_row *rows = link_rows(LINK_TLS, &n);

    (void)state;
    assert_int_equal(n, 13);
    for (size_t i = 0; i < n; i++) {
        assert_non_null(rows[i].name);
        assert_non_null(rows[i].wire);
        assert_true(strlen(rows[i].proves) > 10 && strlen(rows[i].proves) <= 52);
    }
    assert_string_equal(link_kind_name(LINK_TLS), "tls");
}

/* --- established, and messages --- */

static void a_client_waits_for_the_verdict(void **state)
{
    struct pair p;
    struct key k;

    (void)state;
    pair_conf(&p, w);
    pair_start(&p);
    pair_pump(&p, 1 << 20);
    assert_true(p.established[ROLE_RELAY]);
    assert_false(p.established[ROLE_CLIENT]);
    const struct link_step *last = &p.steps[ROLE_CLIENT][p.steps_n[ROLE_CLIENT] - 1];
    assert_true(last->waiting);
    assert_string_equal(last->proves, "waiting for the relay's verdict");
    assert_int_equal(link_exporter(p.end[ROLE_CLIENT], LINK_EXPORTER_LOGIN, &k), -1);
    assert_int_equal(link_send(p.end[ROLE_CLIENT], (const uint8_t *)"hi", 2), -1);
    pair_free(&p);
}

/* Whoever asks for the events late is not told of a wait that is over. */
static void events_may_be_taken_at_the_end(void **state)
{
    struct pair p;

    (void)state;
    pair_conf(&p, w);
    pair_start(&p);
    for (int i = 0; i < 8; i++) {
        struct link *from = p.end[i % 2], *to = p.end[(i + 1) % 2];
        struct span s = link_out(from);
        assert_int_equal(link_feed(to, s.p, s.n), 0);
        link_sent(from, s.n);
        if (i == 2)
            assert_int_equal(link_send(p.end[ROLE_RELAY], (const uint8_t *)"hi", 2), 0);
    }
    pair_events(&p, ROLE_CLIENT);
    pair_events(&p, ROLE_RELAY);
    both_established(&p);
    assert_int_equal(p.steps_n[ROLE_CLIENT], 11);
    for (size_t i = 0; i < 11; i++)
        assert_false(p.steps[ROLE_CLIENT][i].waiting);
    assert_int_equal(p.got[ROLE_CLIENT].len, 2);
    pair_free(&p);
}

static void a_relay_that_closes_without_a_word_has_let_nobody_in(void **state)
{
    struct pair p;

    (void)state;
    pair_conf(&p, w);
    pair_start(&p);
    pair_pump(&p, 1 << 20);
    link_close(p.end[ROLE_RELAY]);
    pair_pump(&p, 1 << 20);
    assert_false(p.established[ROLE_CLIENT]);
    assert_true(p.failed[ROLE_CLIENT]);
    assert_string_equal(pair_why(&p, ROLE_CLIENT), "the relay closed before it let us in");
    pair_free(&p);
}

static void messages_up_to_a_mebibyte_go_both_ways(void **state)
{
    static const size_t sizes[] = {1, 2, 15999, 16000, 16001, 16384, 16385, 100000, 1 << 20};
    struct pair p;
    uint8_t *m = malloc(1 << 20);

    (void)state;
    assert_non_null(m);
    for (size_t i = 0; i < 1 << 20; i++)
        m[i] = (uint8_t)(i * 7 >> 3);
    pair_conf(&p, w);
    pair_meet(&p, 1 << 20);
    buf_drop(&p.got[ROLE_CLIENT], 2);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
            enum role to = r == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
            assert_int_equal(link_send(p.end[r], m, sizes[i]), 0);
            pair_pump(&p, 4096 + i);
            assert_true(span_same(buf_span(&p.got[to]), span_of(m, sizes[i])));
            buf_drop(&p.got[to], sizes[i]);
        }
    }
    assert_int_equal(p.order_bad, 0);
    pair_free(&p);
    free(m);
}

static void exporters_are_equal_and_new_each_time(void **state)
{
    struct key k[2][2], other;
    struct pair p;

    (void)state;
    for (int i = 0; i < 2; i++) {
        pair_conf(&p, w);
        pair_start(&p);
        assert_int_equal(link_exporter(p.end[ROLE_RELAY], LINK_EXPORTER_LOGIN, &other), -1);
        pair_pump(&p, 1 << 20);
        assert_int_equal(link_send(p.end[ROLE_RELAY], (const uint8_t *)"hi", 2), 0);
        pair_pump(&p, 1 << 20);
        for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++)
            assert_int_equal(link_exporter(p.end[r], LINK_EXPORTER_LOGIN, &k[i][r]), 0);
        assert_int_equal(link_exporter(p.end[0], "EXPORTER-another", &other), -1);
        assert_true(key_same(&k[i][0], &k[i][1]));
        pair_free(&p);
    }
    assert_false(key_same(&k[0][0], &k[1][0]));
}

static void a_reader_too_slow_is_given_up(void **state)
{
    static uint8_t chunk[1 << 20];
    struct pair p;
    size_t sent = 0;

    (void)state;
    pair_conf(&p, w);
    pair_meet(&p, 1 << 20);
    while (sent <= LINK_OUT_MAX && link_send(p.end[ROLE_RELAY], chunk, sizeof chunk) == 0)
        sent += sizeof chunk;
    assert_in_range(sent, LINK_OUT_MAX - 2 * sizeof chunk, LINK_OUT_MAX);
    pair_events(&p, ROLE_RELAY);
    assert_true(p.failed[ROLE_RELAY]);
    assert_int_equal(link_error(p.end[ROLE_RELAY])->code, ERR_LIMIT);
    assert_true(link_out(p.end[ROLE_RELAY]).n <= LINK_OUT_MAX);
    pair_free(&p);
}

/* --- the end --- */

static void a_close_is_told_and_what_came_before_arrives(void **state)
{
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        enum role to = r == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
        struct pair p;

        (void)state;
        pair_conf(&p, w);
        pair_meet(&p, 1 << 20);
        size_t had = p.got[to].len;
        assert_int_equal(link_send(p.end[r], (const uint8_t *)"last words", 10), 0);
        link_close(p.end[r]);
        assert_int_equal(link_send(p.end[r], (const uint8_t *)"more", 4), -1);
        pair_pump(&p, 5);
        assert_int_equal(p.got[to].len, had + 10);
        assert_true(p.closed[to]);
        assert_false(p.failed[to]);
        assert_int_equal(link_eof(p.end[to]), 0);
        assert_int_equal(link_send(p.end[to], (const uint8_t *)"too late", 8), -1);
        pair_events(&p, to);
        assert_int_equal(p.order_bad, 0);
        pair_free(&p);
    }
}

static void who_closed_first_takes_the_end_of_the_stream_for_an_answer(void **state)
{
    struct pair p;

    (void)state;
    pair_conf(&p, w);
    pair_meet(&p, 1 << 20);
    link_close(p.end[ROLE_CLIENT]);
    assert_int_equal(link_eof(p.end[ROLE_CLIENT]), 0);
    pair_events(&p, ROLE_CLIENT);
    assert_true(p.closed[ROLE_CLIENT]);
    assert_false(p.failed[ROLE_CLIENT]);
    pair_free(&p);
}

static void keys_may_be_shared_and_replaced(void **state)
{
    struct err e = {0};
    struct pair p[2];
    struct link_ready *ready[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        pair_conf(&p[i], w);
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        ready[r] = link_ready_new(r, &p[0].conf[r], &e);
        assert_non_null(ready[r]);
        p[0].conf[r].ready = p[1].conf[r].ready = ready[r];
    }
    assert_null(link_new(ROLE_CLIENT, &p[0].conf[ROLE_RELAY], &e));
    for (int i = 0; i < 2; i++)
        pair_start(&p[i]);
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++)
        link_ready_free(ready[r]); /* a reload; the links go on */
    for (int i = 0; i < 2; i++) {
        pair_pump(&p[i], 1 << 20);
        assert_int_equal(link_send(p[i].end[ROLE_RELAY], (const uint8_t *)"hi", 2), 0);
        pair_pump(&p[i], 1 << 20);
        both_established(&p[i]);
        pair_free(&p[i]);
    }
    link_ready_free(NULL);
    link_free(NULL);
}

static void an_address_is_a_host_too(void **state)
{
    struct pair p;

    (void)state;
    pair_conf(&p, w);
    p.conf[ROLE_CLIENT].host = "127.0.0.1";
    pair_start(&p);
    struct span hello = link_out(p.end[ROLE_CLIENT]);
    assert_null(memmem(hello.p, hello.n, "127.0.0.1", 9)); /* SNI is for names alone */
    pair_pump(&p, 1 << 20);
    assert_true(p.established[ROLE_RELAY]);
    pair_free(&p);
}

static void a_name_is_in_sni(void **state)
{
    struct pair p;

    (void)state;
    pair_conf(&p, w);
    pair_start(&p);
    struct span hello = link_out(p.end[ROLE_CLIENT]);
    assert_non_null(memmem(hello.p, hello.n, RELAY_HOST, strlen(RELAY_HOST)));
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_come_in_order_in_pieces_of_every_size),
        cmocka_unit_test(random_pieces_make_no_difference),
        cmocka_unit_test(joining_shows_no_client_certificate),
        cmocka_unit_test(the_bytes_of_the_steps_are_those_on_the_wire),
        cmocka_unit_test(info_names_both_ends),
        cmocka_unit_test(the_table_has_every_step_once),
        cmocka_unit_test(a_client_waits_for_the_verdict),
        cmocka_unit_test(events_may_be_taken_at_the_end),
        cmocka_unit_test(a_relay_that_closes_without_a_word_has_let_nobody_in),
        cmocka_unit_test(messages_up_to_a_mebibyte_go_both_ways),
        cmocka_unit_test(exporters_are_equal_and_new_each_time),
        cmocka_unit_test(a_reader_too_slow_is_given_up),
        cmocka_unit_test(a_close_is_told_and_what_came_before_arrives),
        cmocka_unit_test(who_closed_first_takes_the_end_of_the_stream_for_an_answer),
        cmocka_unit_test(keys_may_be_shared_and_replaced),
        cmocka_unit_test(an_address_is_a_host_too),
        cmocka_unit_test(a_name_is_in_sni),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
