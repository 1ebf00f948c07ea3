/* F5: the relay's tables and its core, without memory at each allocation that they make: nobody
 * ends, what was there stays as it was, and the next try succeeds. */
#include "tests/unit/server/support_receipt.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/link/record.h"
#include "server/conn.h"
#include "server/core/store_window.h"
#include "server/gate.h"
#include "server/roll.h"
#include "tests/unit/memory.h"

/* Tries that fail for the first one in a table: itself, the table, its buckets. */
enum { ITEM_AND_TABLE = 2 * 3 };

/* --- the shell's tables --- */

static void a_guest_is_refused(void **state)
{
    const struct gate_limits limits = {10, 10, 10};
    struct rng rng = rng_system();
    struct gate *g = gate_new(&limits, &rng);
    struct source s = {{1}};
    enum gate_verdict v = GATE_FULL;
    unsigned long n;
    (void)state;

    for (n = 0; v != GATE_IN; n++) {
        struct gate_counts counts;

        memory_for(n);
        v = gate_enter(g, &s);
        memory_back();
        gate_counts(g, &counts);
        assert_int_equal(v, n < ITEM_AND_TABLE ? GATE_FULL : GATE_IN);
        assert_int_equal(counts.conns, v == GATE_IN);
        assert_int_equal(counts.sources, v == GATE_IN);
    }
    gate_leave(g, &s, false);
    gate_free(g);
}

static void a_device_is_not_known(void **state)
{
    struct roll *r = roll_new();
    struct hash fp = {{1}};
    int ret = -1;
    (void)state;

    for (unsigned long n = 0; ret < 0; n++) {
        memory_for(n);
        ret = roll_set(r, &fp, CERT_OK);
        memory_back();
        assert_int_equal(ret, n < ITEM_AND_TABLE ? -1 : 0);
        assert_int_equal(roll_judge(r, &fp, NULL, 0), ret < 0 ? CERT_NOT_ENROLLED : CERT_OK);
    }
    roll_free(r);
}

static void a_room_is_not_entered(void **state)
{
    struct loop *l = calloc(1, sizeof *l);
    struct conn *c = calloc(1, sizeof *c);
    struct room_id id = {{1}};
    int ret = -1;
    (void)state;

    c->loop = l;
    for (unsigned long n = 0; ret < 0; n++) {
        memory_for(n);
        ret = crowd_enter(l, &id, c);
        memory_back();
        assert_true(n >= ITEM_AND_TABLE || ret < 0);
        assert_int_equal(c->rooms_n, ret == 0);
        assert_int_equal(crowd_find(l, &id) != NULL, ret == 0);
    }
    crowds_leave(c);
    assert_null(l->rooms);
    free(c->rooms);
    free(c);
    free(l);
}

/* Every allocation of it is missed. */
static void an_ephemeral_entry_is_not_kept(void **state)
{
    const struct store_ops *ops = &store_window;
    const struct store_message row = {.number = 1, .seq = 1, .line = str_of("line"), .seats = true};
    int ret = -1;
    (void)state;

    for (unsigned long n = 0; ret < 0; n++) {
        void *w = store_window_new();
        struct err e = {0};

        memory_for(n);
        ret = ops->message_add(w, &row, &e);
        memory_back();
        assert_int_equal(ret, missed ? -1 : 0);
        assert_true(n > 2 * ITEM_AND_TABLE || ret < 0); /* two tables are made, for one item each */
        assert_int_equal(e.code, ret < 0 ? ERR_LOCAL : ERR_NONE);
        assert_int_equal(store_window_bytes(w) == 0, ret < 0);
        ops->close(w);
    }
}

/* --- who leaves while there is no memory to say so --- */

static struct session *session_of_guest(void)
{
    const struct session_conf conf = {
        .conn = 1, .relay = "relay.example", .source = "192.0.2.1", .join = true};
    struct err e = {0};
    struct session *s = session_new(&conf, moment(0), &e);

    assert_non_null(s);
    return s;
}

/* A loop with one guest on it. */
struct stand {
    struct gate_limits limits;
    _Atomic uint64_t newcomer_ms, out_max;
    struct rng rng;
    struct loop *l;
    struct conn *c;
    int peer; /* his end */
};

static void stand_up(struct stand *d)
{
    struct guest g = {.source = {{1}}, .text = "192.0.2.1"};
    int fds[2];

    d->limits = (struct gate_limits){10, 10, 10};
    d->newcomer_ms = 30000;
    d->out_max = LINK_OUT_MAX;
    d->rng = rng_system();
    d->l = calloc(1, sizeof *d->l);
    d->l->env = (struct loop_env){.gate = gate_new(&d->limits, &d->rng),
                                  .log = log_new(open("/dev/null", O_WRONLY)),
                                  .newcomer_ms = &d->newcomer_ms,
                                  .out_max = &d->out_max};
    assert_int_equal(uv_loop_init(&d->l->uv), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    g.fd = fds[0];
    d->peer = fds[1];
    assert_int_equal(gate_enter(d->l->env.gate, &g.source), GATE_IN);
    conn_welcome(d->l, 7, &g);
    d->c = d->l->conns;
    assert_non_null(d->c);
    d->c->session = session_of_guest();
}

/* He is gone, and the core hears so. */
static void stand_down(struct stand *d)
{
    struct gate_counts counts;

    assert_null(d->l->conns);
    assert_int_equal(d->l->jobs.n, 1);
    assert_int_equal(d->l->jobs.first->kind, JOB_GONE);
    assert_int_equal(d->l->jobs.first->conn, 7);
    gate_counts(d->l->env.gate, &counts);
    assert_int_equal(counts.conns, 0);
    jobs_free(&d->l->jobs);
    uv_run(&d->l->uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&d->l->uv), 0);
    log_free(d->l->env.log);
    gate_free(d->l->env.gate);
    close(d->peer);
    free(d->l);
}

/* The core hears of it when there is: else that member would be there for ever. */
static void an_end_is_told_later(void **state)
{
    struct stand d;
    char byte;
    (void)state;

    stand_up(&d);
    memory_for(0);
    conn_destroy(d.c, "cut");
    conn_tick(d.c, 0, clock_ticks()); /* nor now */
    memory_back();
    assert_int_equal(d.l->jobs.n, 0);
    assert_ptr_equal(d.l->conns, d.c);
    assert_int_equal(read(d.peer, &byte, 1), 0); /* the peer knows */
    conn_tick(d.c, 0, clock_ticks());
    stand_down(&d);
}

/* What cannot wait for its reader ends his connection: no frame is left out of the middle. */
static void a_queue_does_not_grow(void **state)
{
    struct stand d;
    char byte;
    (void)state;

    stand_up(&d);
    struct shared *frame = shared_new(span_of("frame", 5));
    assert_non_null(frame);
    d.c->state = CONN_OPEN;
    for (unsigned n = 0; n < 16; n++) /* as many as have room at first */
        conn_send(d.c, frame);
    assert_ptr_equal(d.l->conns, d.c);
    memory_for(1); /* the next allocation, and no other */
    conn_send(d.c, frame);
    memory_back();
    shared_unref(frame);
    assert_int_equal(read(d.peer, &byte, 1), 0);
    stand_down(&d);
}

/* --- the core: it says why it ends, and what it was at has not happened --- */

static struct relay *r;

static int start(void **state)
{
    (void)state;
    relay_store = "memory";
    r = relay_new();
    return 0;
}

static int end(void **state)
{
    (void)state;
    relay_free(r);
    return 0;
}

static struct core *core_loaded(struct err *e)
{
    struct core_conf conf = {.store = r->store, .rng = r->rng};

    return core_new(&conf, r->now, e);
}

static void effects_drop_all(struct core *c)
{
    struct effect ef;

    while (core_effect(c, &ef))
        effect_drop(&ef);
}

static void a_core_does_not_start(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bob");
    struct core *c = NULL;
    unsigned long n;
    (void)state;

    (void)client_room(a, "lobby", false, HISTORY_ALL);
    client_enter(b, "lobby");
    for (int i = 0; i < 2; i++) { /* the store keeps what the first one had it make */
        asked = 0;
        core_free(core_loaded(&(struct err){0}));
    }
    const unsigned long all = asked;
    for (n = 0; c == NULL; n++) {
        struct err e = {0};

        memory_for(n);
        c = core_loaded(&e);
        memory_back();
        assert_int_equal(e.code, c == NULL ? ERR_LOCAL : ERR_NONE);
    }
    assert_int_equal(n - 1, 2 * all); /* each of them was missed */
    core_free(c);
}

static struct job *job_of(enum frame_type t)
{
    struct job *j = job_new(JOB_FRAME, 1);

    j->frame.type = t;
    j->auth.link = "tls";
    j->auth.client_cert.b[0] = 1;
    return j;
}

static void a_stranger_ends_nobody(void **state)
{
    int ret = -1;
    (void)state;

    for (unsigned long n = 0; ret < 0; n++) {
        struct err e = {0};
        struct core *c = core_loaded(&e);
        struct job *login = job_of(F_LOGIN), *proof = job_of(F_PROOF);

        login->frame.u.login.id = proof->frame.u.proof.id = 1;
        effects_drop_all(c);
        assert_int_equal(core_begin(c, r->now, &e), 0);
        memory_for(n);
        core_job(c, login);
        core_job(c, proof); /* and is remembered for it */
        memory_back();
        ret = core_commit(c, &e);
        assert_true(n >= 2 * ITEM_AND_TABLE || ret < 0);
        assert_int_equal(e.code, ret < 0 ? ERR_LOCAL : ERR_NONE);
        assert_int_equal(relay_audit(r, "accepted", NULL).rows, ret == 0);
        core_free(c);
    }
}

static struct job *wrong_proof(struct client *k)
{
    struct job *j = job_of(F_PROOF);

    client_say(k, F_LOGIN, &(struct f_login){.id = 1});
    (void)client_got(k, F_CHALLENGE);
    j->conn = k->conn;
    j->auth.client_cert = k->fp;
    return j;
}

/* A guess that cannot be counted is not one for free: the core ends, and says so. */
static void a_guess_is_not_counted(void **state)
{
    struct client *a = client_enrol(r, "alice");
    int ret = -1;
    (void)state;

    for (unsigned long n = 0; ret < 0; n++) {
        struct err e = {0};

        relay_restart(r);
        struct job *j = wrong_proof(client_again(a));
        assert_int_equal(core_begin(r->core, r->now, &e), 0);
        memory_for(n);
        core_job(r->core, j);
        memory_back();
        ret = core_commit(r->core, &e);
        assert_int_equal(ret, missed ? -1 : 0);
        assert_true(n >= ITEM_AND_TABLE || ret < 0); /* he is put into a table */
        assert_int_equal(e.code, ret < 0 ? ERR_LOCAL : ERR_NONE);
    }
}

/* The session's work is done with memory, the core's without. */
static struct job *entry_job(struct client *c, struct pen *p)
{
    struct entry_made m = pen_write(p, "said");
    struct f_entry_say f = {str_from(m.line, m.line_n), span_of(m.sig, m.sig_n), buf_span(&m.body)};
    struct buf b;
    struct err e = {0};

    buf_init(&b, FRAME_MAX + FRAME_HEAD);
    assert_int_equal(f_entry_say_put(&b, &f, &e), 0);
    assert_int_equal(session_feed(c->s, buf_span(&b), moment(r->now)), 0);
    buf_free(&b);
    entry_made_free(&m);
    return session_job(c->s);
}

static void an_entry_is_not_numbered(void **state)
{
    struct client *a = client_member(r, "alice");
    struct room_id room = client_room(a, "lobby", false, HISTORY_ALL);
    struct pen before = pen_of(a, room);
    struct err e = {0};
    int ret = -1;
    (void)state;

    for (unsigned long n = 0; ret < 0; n++) {
        struct pen pen = before;

        e = (struct err){0};
        relay_restart(r);
        struct client *k = client_again(a);
        client_login(k);
        pen.c = k;
        struct job *j = entry_job(k, &pen);
        assert_int_equal(core_begin(r->core, r->now, &e), 0);
        memory_for(n);
        core_job(r->core, j);
        memory_back();
        ret = core_commit(r->core, &e);
        assert_true(n >= ITEM_AND_TABLE || ret < 0); /* its author is put into a table */
        assert_int_equal(e.code, ret < 0 ? ERR_LOCAL : ERR_NONE);
    }
    struct core_counts counts;
    core_counts(r->core, &counts);
    assert_int_equal(counts.entries, 1);
}

static unsigned signs_asked(void)
{
    struct effect ef;
    unsigned n = 0;

    for (; core_effect(r->core, &ef); effect_drop(&ef))
        n += ef.kind == EFFECT_SIGN;
    return n;
}

static void a_checkpoint_is_not_signed(void **state)
{
    struct client *a = client_member(r, "alice");
    struct core_counts counts;
    struct err e = {0};
    int ret = -1;
    (void)state;

    (void)client_room(a, "lobby", false, HISTORY_ALL);
    for (unsigned long n = 0; ret < 0; n++) {
        e = (struct err){0};
        relay_restart(r);
        assert_int_equal(core_begin(r->core, r->now, &e), 0);
        memory_for(n);
        core_tick(r->core);
        memory_back();
        ret = core_commit(r->core, &e);
        assert_true(n >= ITEM_AND_TABLE + 2 || ret < 0); /* what is signed is kept, in a table */
        core_counts(r->core, &counts);                   /* the room's, and the audit log's */
        assert_int_equal(counts.signings == 2, ret == 0);
        assert_int_equal(signs_asked(), ret == 0 ? 2 : 0);
    }
}

/* The session has read the request, the core has it before it. */
static struct job *seal_job(struct client *k, const struct room_id *room, uint64_t number)
{
    const struct receipt x = receipt_honest(room, k, number, number);
    const struct receipt_seal seal = receipt_own_seal(&x);
    struct asked q;
    struct buf b;
    struct err e = {0};

    asked_make(&q, 77, k, &x, &seal);
    buf_init(&b, FRAME_MAX + FRAME_HEAD);
    assert_int_equal(f_seal_put(&b, &q.f, &e), 0);
    assert_int_equal(session_feed(k->s, buf_span(&b), moment(r->now)), 0);
    buf_free(&b);
    return session_job(k->s);
}

/* Who asked is told to ask later, and the relay lives: one that is short of memory for it alone. */
static void a_receipt_is_not_sealed(void **state)
{
    struct client *a = client_member(r, "alice");
    struct room_id room = client_room(a, "lobby", false, HISTORY_ALL);
    struct pen pen = pen_of(a, room);
    struct core_counts before, counts;
    struct err e = {0};
    int ret = -1;
    (void)state;

    for (unsigned long n = 0; ret < 0; n++) {
        e = (struct err){0};
        relay_restart(r);
        struct client *k = client_again(a);
        client_login(k);
        client_flush(k);
        pen.c = k;
        struct job *j = seal_job(k, &room, pen_say(&pen, "said"));
        core_counts(r->core, &before);
        assert_int_equal(core_begin(r->core, r->now, &e), 0);
        memory_for(n);
        core_job(r->core, j);
        memory_back();
        ret = core_commit(r->core, &e);
        core_counts(r->core, &counts);
        assert_int_equal(e.code, ret < 0 ? ERR_LOCAL : ERR_NONE);
        if (n % 2 == 0 || n >= ITEM_AND_TABLE + 4) /* its row and its text, too */
            continue; /* all that follow fail: nor can anybody be answered */
        assert_int_equal(ret, 0);
        assert_int_equal(counts.signings, before.signings);
        relay_refresh(r); /* what it has to say goes out */
        assert_int_equal(client_got(k, F_ERROR)->u.error.code, CODE_BUSY);
        ret = -1;
    }
    assert_int_equal(counts.signings, before.signings + 1);
}

static struct record *record_end(bool relay)
{
    static const uint8_t secrets[2][HASH_LEN] = {{1}, {2}};
    struct err e = {0};
    const struct record_conf c = {.peer = relay ? "client" : "relay",
                                  .hash = HASH_SHA256,
                                  .aead = AEAD_CHACHA20_POLY1305,
                                  .secret_in = span_of(secrets[!relay], HASH_LEN),
                                  .secret_out = span_of(secrets[relay], HASH_LEN)};
    struct record *end = record_new(&c, &e);

    assert_non_null(end);
    return end;
}

/* Where a record finds no memory its link ends, and nobody is said to be slow or to flood. */
static void a_record_is_not_kept(void **state)
{
    static const uint8_t text[3000];
    struct record *client, *relay;
    bool whole = false;
    (void)state;

    for (unsigned long n = 0; !whole; n++) {
        client = record_end(false);
        relay = record_end(true);
        memory_for(n);
        int sent = record_send(client, text, sizeof text);
        struct span s = record_out(client); /* half of it first: it comes in pieces */
        int fed = sent < 0 ? -1 : record_feed(relay, s.p, s.n / 2);
        if (fed == 0)
            fed = record_feed(relay, s.p + s.n / 2, s.n - s.n / 2);
        memory_back();
        const struct err *e = record_error(sent < 0 || s.n == 0 ? client : relay);
        whole = fed == 0 && record_take(relay).n == sizeof text;
        assert_int_equal(e->code, whole ? ERR_NONE : ERR_LOCAL);
        assert_true(whole || strcmp(e->text, "no memory for a record") == 0);
        assert_true(n > 0 || !whole);
        record_free(client);
        record_free(relay);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_is_refused),
        cmocka_unit_test(a_device_is_not_known),
        cmocka_unit_test(a_room_is_not_entered),
        cmocka_unit_test(an_ephemeral_entry_is_not_kept),
        cmocka_unit_test(an_end_is_told_later),
        cmocka_unit_test(a_queue_does_not_grow),
        cmocka_unit_test(a_record_is_not_kept),
        TEST(a_core_does_not_start),
        TEST(a_stranger_ends_nobody),
        TEST(a_guess_is_not_counted),
        TEST(an_entry_is_not_numbered),
        TEST(a_checkpoint_is_not_signed),
        TEST(a_receipt_is_not_sealed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
