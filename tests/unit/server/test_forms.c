/* Which form of an entry goes to whom: compact for those who said so in hello, JSON for the others,
 * each made once and only when somebody reads it. */
#include "tests/unit/server/support_relay.h"

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

static struct client *member(const char *name, bool compact)
{
    r->compact = compact;
    struct client *c = client_member(r, name);
    r->compact = false;
    return c;
}

/* The next frame is this entry, in this form; the line that was signed is the same in both. */
static void got(struct client *c, const struct entry_made *m, bool compact)
{
    const struct frame *f = client_got(c, F_ENTRY);

    assert_int_equal(f->own != NULL, compact);
    assert_true(str_same(f->u.entry.line, str_from(m->line, m->line_n)));
    assert_true(span_same(f->u.entry.sig, span_of(m->sig, m->sig_n)));
    assert_true(span_same(f->u.entry.body, buf_span(&m->body)));
}

static void flush(struct client *const *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        client_flush(c[i]);
}

static uint64_t encodings(void)
{
    struct core_counts counts;

    core_counts(r->core, &counts);
    return counts.encodings;
}

static void each_reads_the_form_it_asked_for(void **state)
{
    struct client *const c[] = {member("alice", false), member("bert", true),
                                member("carla", false), member("dora", true)};
    struct room_id room = client_room(c[0], "lobby", false, HISTORY_ALL);
    struct pen pen = pen_of(c[0], room);
    (void)state;

    for (size_t i = 1; i < COUNT(c); i++)
        client_enter(c[i], "lobby");
    flush(c, COUNT(c));
    pen = pen_of(c[0], room);
    struct entry_made m = pen_write(&pen, "to both kinds");
    uint64_t before = encodings();
    entry_send(c[0], &m);
    assert_int_equal(encodings() - before, 3); /* each form once, and numbered */
    got(c[1], &m, true);
    got(c[2], &m, false);
    got(c[3], &m, true);
    for (size_t i = 1; i < COUNT(c); i++)
        assert_true(client_quiet(c[i]));
    entry_made_free(&m);
}

static void a_form_that_nobody_reads_is_not_made(void **state)
{
    struct client *const c[] = {member("alice", true), member("bert", true)};
    struct room_id room = client_room(c[0], "lobby", false, HISTORY_ALL);
    (void)state;

    flush(c, COUNT(c));
    struct pen pen = pen_of(c[0], room);
    struct entry_made m = pen_write(&pen, "to nobody");
    uint64_t before = encodings();
    entry_send(c[0], &m);
    assert_int_equal(encodings() - before, 1); /* numbered */
    entry_made_free(&m);
    client_enter(c[1], "lobby");
    flush(c, COUNT(c));
    m = pen_write(&pen, "to one");
    before = encodings();
    entry_send(c[0], &m);
    assert_int_equal(encodings() - before, 2);
    got(c[1], &m, true);
    entry_made_free(&m);
}

/* The relay does not open commitments: such an entry must reach everybody as it was signed, so that
 * each reader refuses the same line. */
static void an_entry_that_cannot_be_derived_goes_as_it_is(void **state)
{
    struct client *const c[] = {member("alice", true), member("bert", true)};
    struct room_id room = client_room(c[0], "lobby", false, HISTORY_ALL);
    (void)state;

    client_enter(c[1], "lobby");
    flush(c, COUNT(c));
    struct pen pen = pen_of(c[0], room);
    struct entry_made m = pen_write(&pen, "liar");
    struct entry_line l;
    struct err e = {0};
    assert_int_equal(entry_line_take(&l, str_from(m.line, m.line_n), &e), 0);
    l.commitment.b[0] ^= 1;
    m.line_n = entry_line_put(m.line, &l);
    assert_int_equal(
        entry_sign(r->keys[c[0]->key], &r->rng, str_from(m.line, m.line_n), m.sig, &m.sig_n, &e),
        0);
    entry_send(c[0], &m);
    (void)client_got(c[0], F_NUMBERED);
    got(c[1], &m, false);
    entry_made_free(&m);
}

static void a_voided_entry_has_no_compact_form(void **state)
{
    struct client *const c[] = {member("alice", true), member("bert", true)};
    struct room_id room = client_room(c[0], "lobby", false, HISTORY_ALL);
    (void)state;

    client_enter(c[1], "lobby");
    flush(c, COUNT(c));
    struct pen pen = pen_of(c[0], room);
    struct entry_line l = pen_line(&pen);
    struct entry_made m;
    pen_make(&pen, &l, "no JSON", &m);
    entry_send(c[0], &m);
    (void)client_got(c[0], F_VOIDED);
    const struct frame *f = client_got(c[1], F_ENTRY);
    assert_null(f->own);
    assert_true(f->u.entry.why.n > 0);
    entry_made_free(&m);
}

/* The relay reads both, whoever sends them. */
static void a_compact_entry_is_numbered(void **state)
{
    struct client *const c[] = {member("alice", true), member("bert", false)};
    struct room_id room = client_room(c[0], "lobby", false, HISTORY_ALL);
    struct buf b;
    struct err e = {0};
    (void)state;

    client_enter(c[1], "lobby");
    flush(c, COUNT(c));
    struct pen pen = pen_of(c[0], room);
    struct entry_made m = pen_write(&pen, "small");
    const struct f_entry_say say = {str_from(m.line, m.line_n), span_of(m.sig, m.sig_n),
                                    buf_span(&m.body)};
    buf_init(&b, FRAME_MAX);
    assert_int_equal(compact_say_put(&b, &say, &e), 1);
    assert_int_equal(session_feed(c[0]->s, buf_span(&b), moment(r->now)), 0);
    relay_pump(r);
    (void)client_got(c[0], F_NUMBERED);
    got(c[1], &m, false);
    b.p[b.off + b.len - 1] ^= 1; /* its text: the signature was over another */
    assert_int_equal(session_feed(c[0]->s, buf_span(&b), moment(r->now)), -1);
    relay_pump(r);
    client_error(c[0], CODE_BAD_ENTRY);
    assert_true(client_quiet(c[1]));
    buf_free(&b);
    entry_made_free(&m);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_reads_the_form_it_asked_for),
        TEST(a_form_that_nobody_reads_is_not_made),
        TEST(an_entry_that_cannot_be_derived_goes_as_it_is),
        TEST(a_voided_entry_has_no_compact_form),
        TEST(a_compact_entry_is_numbered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
