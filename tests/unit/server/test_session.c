/* One connection: what it owes, what it may send when, and what ends it. */
#include "tests/unit/server/support_relay.h"

#include <stdio.h>

static struct relay *r;

static int setup(void **state)
{
    (void)state;
    r = relay_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    relay_free(r);
    return 0;
}

/* A connection whose hello is still owed. */
static struct session *fresh(bool join, const struct der *leaf)
{
    struct err e = {0};
    struct session_conf conf = {.conn = 999,
                                .join = join,
                                .link = "tls",
                                .relay = "relay.test",
                                .source = "192.0.2.9",
                                .leaf = join ? span_of(NULL, 0) : span_of(leaf->b, leaf->n)};
    struct session *s = session_new(&conf, moment(r->now), &e);
    assert_non_null(s);
    session_sent(s, session_out(s).n);
    return s;
}

static int feed(struct session *s, enum frame_type t, const void *body)
{
    struct buf b;
    struct err e = {0};

    buf_init(&b, 2 * FRAME_MAX);
    if (frame_put(&b, t, body, &e) < 0)
        fail_msg("%s: %s", frame_name(t), e.text);
    int rc = session_feed(s, buf_span(&b), moment(r->now));
    buf_free(&b);
    return rc;
}

static int feed_json(struct session *s, const char *json)
{
    uint8_t b[4096];
    size_t n = strlen(json);
    struct wr w = wr_of(b, sizeof b);

    wr_u32(&w, (uint32_t)n);
    wr_put(&w, json, n);
    return session_feed(s, wr_span(&w), moment(r->now));
}

/* The last thing said to the peer is this error. */
static void said(struct session *s, enum proto_code code)
{
    struct frames in;
    struct span json;
    struct err e = {0};
    enum proto_code got = CODE_COUNT;

    frames_init(&in, FRAME_MAX);
    assert_int_equal(frames_feed(&in, session_out(s), &e), 0);
    while (frames_next(&in, &json, &e) == 1) {
        struct frame f = {0};
        assert_int_equal(frame_take(&f, json, FROM_RELAY, &e), 0);
        if (f.type == F_ERROR)
            got = f.u.error.code;
        frame_free(&f);
    }
    frames_free(&in);
    assert_int_equal(got, code);
}

/* --- order: said again as a relation, by hand, from protocol.md 3, 4 and 8 --- */

enum state {
    BEFORE_HELLO,
    BEFORE_LOGIN,
    CHALLENGED,
    LOGGED_IN,
    JOIN_BEFORE_HELLO,
    JOINING,
    JOINED,
    STATES
};

static bool may(enum state st, enum frame_type t)
{
    if (st == BEFORE_HELLO || st == JOIN_BEFORE_HELLO)
        return t == F_HELLO_CLIENT;
    if (st == JOINING)
        return t == F_JOIN;
    if (st == JOINED || t == F_HELLO_CLIENT || t == F_JOIN)
        return false;
    if (t == F_PING || t == F_PONG)
        return true;
    bool login = t == F_LOGIN || t == F_RESUME || t == F_PROOF;
    if (st == LOGGED_IN)
        return !login;
    return login && (t != F_PROOF || st == CHALLENGED);
}

static struct session *in_state(enum state st, struct client *c)
{
    bool join = st >= JOIN_BEFORE_HELLO;
    struct session *s = fresh(join, &c->leaf);

    if (st != BEFORE_HELLO && st != JOIN_BEFORE_HELLO)
        assert_int_equal(feed(s, F_HELLO_CLIENT, &(struct f_hello_client){.v = 1}), 0);
    if (st == CHALLENGED)
        assert_int_equal(feed(s, F_LOGIN, &(struct f_login){.id = 1}), 0);
    if (st == LOGGED_IN)
        session_welcome(s);
    for (struct job *j = session_job(s); j != NULL; j = session_job(s))
        job_free(j);
    return s;
}

/* A well-formed frame of every type a client may send. */
static int feed_type(struct session *s, enum frame_type t, struct client *c)
{
    static const struct room_id room = {{1}};
    uint8_t csr[CSR_MAX];
    size_t n;
    struct err e = {0};

    switch (t) {
    case F_HELLO_CLIENT: return feed(s, t, &(struct f_hello_client){.v = 1});
    case F_LOGIN: return feed(s, t, &(struct f_login){.id = 1});
    case F_PROOF: return feed(s, t, &(struct f_proof){.id = 1});
    case F_RESUME: return feed(s, t, &(struct f_resume){.id = 1});
    case F_ROOM_CREATE: return feed(s, t, &(struct f_room_create){.id = 1, .name = str_of("x")});
    case F_ROOM_LIST: return feed(s, t, &(struct f_room_list){1});
    case F_ROOM_JOIN: return feed(s, t, &(struct f_room_join){1, str_of("x")});
    case F_PERSON_ASK: return feed(s, t, &(struct f_person_ask){1, str_of("x")});
    case F_ROLL_ASK: return feed(s, t, &(struct f_roll_ask){1, room, 0});
    case F_CHECKPOINT_ASK: return feed(s, t, &(struct f_checkpoint_ask){1, room, 0, 0});
    case F_TREE_ASK: return feed(s, t, &(struct f_tree_ask){1, room, 1});
    case F_SIGNER_ASK: return feed(s, t, &(struct f_signer_ask){.id = 1});
    case F_ROOM_TOPIC: return feed(s, t, &(struct f_room_topic){1, room, str_of("x")});
    case F_ROOM_OPEN: return feed(s, t, &(struct f_room_open){1, str_of("x")});
    case F_MEMBERS_ASK: return feed(s, t, &(struct f_members_ask){1, room});
    case F_CERT_ASK: return feed(s, t, &(struct f_cert_ask){.id = 1});
    case F_HISTORY_ASK:
        return feed(s, t, &(struct f_history_ask){.id = 1, .room = room, .before = 1, .count = 1});
    case F_DELIVERED_SAY: return feed(s, t, &(struct f_delivered_say){room, 1});
    case F_PING: return feed(s, t, &(struct f_ping){0});
    case F_PONG: return feed(s, t, &(struct f_pong){0});
    case F_JOIN: {
        assert_int_equal(csr_make(r->keys[0], "x", &r->rng, csr, &n, &e), 0);
        struct f_join f = {.id = 1,
                           .name = str_of("x"),
                           .device = str_of("y"),
                           .csr = span_of(csr, n),
                           .t = 3,
                           .m = 65536};
        return feed(s, t, &f);
    }
    case F_ENTRY_SAY: {
        struct pen pen = pen_of(c, room);
        struct entry_made m = pen_write(&pen, "x");
        struct f_entry_say f = {str_from(m.line, m.line_n), span_of(m.sig, m.sig_n),
                                buf_span(&m.body)};
        int rc = feed(s, t, &f);
        entry_made_free(&m);
        return rc;
    }
    default: fail_msg("%s has no example", frame_name(t)); return 0;
    }
}

static const enum frame_type types[] = {
    F_HELLO_CLIENT, F_LOGIN,          F_PROOF,         F_RESUME,     F_ROOM_CREATE, F_ROOM_LIST,
    F_ROOM_JOIN,    F_PERSON_ASK,     F_ROLL_ASK,      F_ROOM_TOPIC, F_ROOM_OPEN,   F_MEMBERS_ASK,
    F_CERT_ASK,     F_HISTORY_ASK,    F_DELIVERED_SAY, F_ENTRY_SAY,  F_JOIN,        F_PING,
    F_PONG,         F_CHECKPOINT_ASK, F_TREE_ASK,      F_SIGNER_ASK,
};

/* H10: every message in every state. */
static void test_order(void **state)
{
    struct client *c = client_member(r, "alice");
    (void)state;
    for (enum state st = 0; st < STATES; st++)
        for (size_t i = 0; i < COUNT(types); i++) {
            struct session *s = in_state(st, c);
            if (st == JOINED)
                assert_int_equal(feed_type(s, F_JOIN, c), 0);
            int rc = feed_type(s, types[i], c);
            if ((rc == 0) != may(st, types[i]))
                fail_msg("%s in state %d: %s", frame_name(types[i]), st, session_error(s)->text);
            if (rc < 0) {
                said(s, CODE_STATE);
                assert_int_equal(feed_type(s, F_PING, c), -1); /* nothing revives it */
            }
            session_free(s);
        }
}

static void test_malformed(void **state)
{
    static const char *const rows[] = {
        "{",
        "[]",
        "{}",
        "null",
        "{\"type\":\"nothing\"}",
        "{\"type\":\"room-list\"}",
        "{\"type\":\"room-list\",\"id\":0}",
        "{\"type\":\"room-list\",\"id\":\"1\"}",
        "{\"type\":\"room-list\",\"id\":1,\"id\":1}",
        "{\"type\":\"room-list\",\"id\":01}",
        "{\"type\":\"room-list\",\"id\":1} ,",
        "{\"type\":\"room-list\",\"id\":1e3}",
        "{\"type\":\"welcome\",\"re\":1}",
        "{\"type\":\"ping\"}x",
    };
    struct client *c = client_member(r, "alice");
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct session *s = in_state(LOGGED_IN, c);
        if (feed_json(s, rows[i]) != -1)
            fail_msg("accepted: %s", rows[i]);
        said(s, CODE_MALFORMED);
        assert_null(session_job(s));
        session_free(s);
    }
}

/* Unknown keys are no reason; a frame may come byte by byte. */
static void test_wellformed(void **state)
{
    static const char json[] = "{\"type\":\"room-list\",\"id\":1,\"colour\":\"blue\"}";
    struct client *c = client_member(r, "alice");
    struct session *s = in_state(LOGGED_IN, c);
    uint8_t b[sizeof json + 4];
    struct wr w = wr_of(b, sizeof b);
    (void)state;
    wr_u32(&w, sizeof json - 1);
    wr_put(&w, json, sizeof json - 1);
    for (size_t i = 0; i < w.len; i++) {
        assert_null(session_job(s));
        assert_int_equal(session_feed(s, span_of(b + i, 1), moment(r->now)), 0);
    }
    struct job *j = session_job(s);
    assert_non_null(j);
    assert_int_equal(j->frame.type, F_ROOM_LIST);
    job_free(j);
    session_free(s);
}

/* P1: a lying length is refused by its four bytes; the bound grows at welcome. */
static void test_length(void **state)
{
    static const struct {
        uint32_t n;
        bool early, ok;
    } rows[] = {
        {0, true, false},
        {FRAME_MAX_EARLY, true, true},
        {FRAME_MAX_EARLY + 1, true, false},
        {FRAME_MAX_EARLY + 1, false, true},
        {FRAME_MAX, false, true},
        {FRAME_MAX + 1, false, false},
        {UINT32_MAX, false, false},
    };
    struct client *c = client_member(r, "alice");
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct session *s = in_state(rows[i].early ? BEFORE_LOGIN : LOGGED_IN, c);
        uint8_t head[4];
        struct wr w = wr_of(head, sizeof head);
        wr_u32(&w, rows[i].n);
        assert_int_equal(session_feed(s, wr_span(&w), moment(r->now)), rows[i].ok ? 0 : -1);
        if (!rows[i].ok)
            said(s, CODE_MALFORMED);
        session_free(s);
    }
}

static void test_login_asked_too_often(void **state)
{
    struct client *c = client_member(r, "alice");
    struct session *s = in_state(BEFORE_LOGIN, c);
    (void)state;
    for (int i = 0; i < LOGINS_MAX; i++)
        assert_int_equal(feed(s, F_LOGIN, &(struct f_login){.id = 1}), 0);
    assert_int_equal(feed(s, F_LOGIN, &(struct f_login){.id = 1}), -1);
    session_free(s);
}

static unsigned jobs_take(struct session *s, uint64_t *id)
{
    unsigned n = 0;

    for (struct job *j = session_job(s); j != NULL; j = session_job(s), n++) {
        assert_int_equal(frame_id(&j->frame), ++*id);
        job_free(j);
    }
    return n;
}

/* Who asks faster than he is answered fills his own frames, not the sequencer's queue. */
static void test_questions_in_a_flood(void **state)
{
    enum { FLOOD = 3 * JOBS_MAX + 1 };
    struct session *s = in_state(LOGGED_IN, client_member(r, "alice"));
    struct err e = {0};
    struct buf b;
    uint64_t id = 0;
    unsigned n;
    (void)state;
    buf_init(&b, FRAME_MAX);
    for (uint64_t i = 1; i <= FLOOD; i++)
        assert_int_equal(frame_put(&b, F_ROOM_LIST, &(struct f_room_list){i}, &e), 0);
    assert_int_equal(session_feed(s, buf_span(&b), moment(r->now)), 0);
    for (n = 0; session_stalled(s); n++) {
        assert_int_equal(jobs_take(s, &id), JOBS_MAX);
        assert_int_equal(session_feed(s, span_of(NULL, 0), moment(r->now)), 0);
    }
    assert_int_equal(jobs_take(s, &id), 1);
    assert_int_equal(n, 3);
    buf_free(&b);
    session_free(s);
}

static size_t pings(struct session *s)
{
    size_t n = session_out(s).n;
    session_sent(s, n);
    return n;
}

static void test_ping(void **state)
{
    struct client *c = client_member(r, "alice");
    struct session *s = in_state(LOGGED_IN, c);
    int64_t t = r->now;
    (void)state;
    assert_int_equal(session_tick(s, moment(t + PING_MS - 1)), 0);
    assert_int_equal(pings(s), 0);
    assert_int_equal(session_tick(s, moment(t + PING_MS)), 0);
    assert_int_not_equal(pings(s), 0);
    assert_int_equal(session_tick(s, moment(t + PING_MS + 1)), 0);
    assert_int_equal(pings(s), 0); /* one is enough */
    r->now = t + PING_MS + 2;
    assert_int_equal(feed(s, F_PONG, &(struct f_pong){0}), 0);
    assert_int_equal(session_tick(s, moment(r->now + 2 * PING_MS - 1)), 0);
    assert_int_equal(session_tick(s, moment(r->now + 2 * PING_MS)), -1);
    session_free(s);
    s = in_state(LOGGED_IN, c);
    assert_int_equal(feed(s, F_PING, &(struct f_ping){0}), 0);
    assert_int_not_equal(pings(s), 0);
    session_free(s);
}

/* F9: whoever sets the relay's clock ends no connection that speaks, and keeps none that is dead.
 */
static void test_clock_is_set(void **state)
{
    static const int64_t by[] = {INT64_C(86400000), -INT64_C(86400000)};
    struct client *c = client_member(r, "alice");
    (void)state;
    for (size_t i = 0; i < sizeof by / sizeof by[0]; i++) {
        struct session *s = in_state(LOGGED_IN, c);
        struct moment m = moment(r->now);
        m.wall += by[i];
        m.ticks += 1000;
        assert_int_equal(session_tick(s, m), 0);
        assert_int_equal(pings(s), 0);
        m.ticks += PING_MS;
        assert_int_equal(session_tick(s, m), 0);
        assert_int_not_equal(pings(s), 0);
        m.ticks += PING_MS;
        assert_int_equal(session_tick(s, m), -1);
        session_free(s);
    }
}

static void test_debts_have_an_end(void **state)
{
    struct client *c = client_member(r, "alice");
    (void)state;
    for (enum state st = 0; st < JOINED; st++) {
        if (st == LOGGED_IN)
            continue;
        struct session *s = in_state(st, c);
        assert_int_equal(session_tick(s, moment(r->now + LOGIN_MS - 1)), 0);
        assert_int_equal(session_tick(s, moment(r->now + LOGIN_MS)), -1);
        session_free(s);
    }
}

/* F9, H18: a certificate that expires while it is connected. */
static void test_certificate_expires(void **state)
{
    struct client *c = client_member(r, "alice");
    struct session *s = in_state(LOGGED_IN, c);
    int64_t end = r->now + INT64_C(365) * 24 * 3600 * 1000;
    (void)state;
    r->now = end + 1000;
    assert_int_equal(feed_type(s, F_ENTRY_SAY, c), -1);
    said(s, CODE_BAD_ENTRY);
    session_free(s);
    s = in_state(LOGGED_IN, c);
    assert_int_equal(session_tick(s, moment(end + 1000)), -1);
    said(s, CODE_AUTH);
    session_free(s);
}

static void test_join_wants_rsa(void **state)
{
    struct session *s;
    uint8_t csr[CSR_MAX];
    size_t n;
    struct err e = {0};
    (void)state;
    assert_int_equal(csr_make(r->ca, "x", &r->rng, csr, &n, &e), 0);
    struct f_join f = {.id = 1,
                       .name = str_of("x"),
                       .device = str_of("y"),
                       .csr = span_of(csr, n),
                       .t = 3,
                       .m = 65536};
    s = in_state(JOINING, &(struct client){0});
    assert_int_equal(feed(s, F_JOIN, &f), -1); /* P-256 cannot sign entries */
    said(s, CODE_MALFORMED);
    session_free(s);
    assert_int_equal(csr_make(r->keys[0], "x", &r->rng, csr, &n, &e), 0);
    csr[n - 1] ^= 1; /* its own signature */
    f.csr = span_of(csr, n);
    s = in_state(JOINING, &(struct client){0});
    assert_int_equal(feed(s, F_JOIN, &f), -1);
    said(s, CODE_MALFORMED);
    assert_null(session_job(s));
    session_free(s);
}

static void test_shutdown(void **state)
{
    struct client *c = client_member(r, "alice");
    struct session *s = in_state(LOGGED_IN, c);
    (void)state;
    session_shutdown(s);
    said(s, CODE_SHUTDOWN);
    assert_int_equal(feed(s, F_PING, &(struct f_ping){0}), -1);
    session_free(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_order),
        TEST(test_malformed),
        TEST(test_wellformed),
        TEST(test_length),
        TEST(test_login_asked_too_often),
        TEST(test_questions_in_a_flood),
        TEST(test_ping),
        TEST(test_clock_is_set),
        TEST(test_debts_have_an_end),
        TEST(test_certificate_expires),
        TEST(test_join_wants_rsa),
        TEST(test_shutdown),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
