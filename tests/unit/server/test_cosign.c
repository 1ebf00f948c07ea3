/* The other member's seal in rooms of two (docs/protocol.md 6.2): who is asked for it, what of him
 * is taken, and who is told. */
#include "tests/unit/server/support_receipt.h"

static struct relay *r;
static struct client *a, *b;
static struct room_id room;
static struct receipt x; /* alice's, of the room of both */

static int setup(void **state)
{
    (void)state;
    r = relay_new();
    r->cosigns = true;
    a = client_member(r, "alice");
    b = client_member(r, "bob");
    room = client_open(a, "bob");
    (void)client_open(b, "alice");
    client_flush(a);
    client_flush(b);
    x = receipt_honest(&room, a, 1, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    relay_free(r);
    return 0;
}

/* Alice has it sealed. Was somebody else asked, too? */
static bool sealed(void)
{
    const struct receipt_seal seal = receipt_own_seal(&x);
    struct asked q;

    asked_make(&q, 7, a, &x, &seal);
    client_say(a, F_SEAL, &q.f);
    return client_got(a, F_SEALED)->u.sealed.member;
}

static void cosign(struct client *c, const struct receipt_seal *seal, uint8_t harm)
{
    struct asked q;

    asked_make(&q, 1, c, &x, seal);
    q.sig[9] ^= harm;
    client_say(c, F_COSIGN, &(struct f_cosign){q.f.receipt, q.f.seal, q.f.sig});
}

static struct receipt_seal seal_of(const struct client *c)
{
    return (struct receipt_seal){RECEIPT_MEMBER, c->fp, r->now};
}

static struct store_receipt row(void)
{
    char text[RECEIPT_MAX + 1];
    struct store_receipt got;
    struct hash h;
    struct err e = {0};

    sha256(span_of(text, receipt_put(text, &x)), &h);
    assert_int_equal(r->ops->receipt_get(r->store.db, &h, &got, &e), 1);
    return got;
}

static void the_other_one_is_asked_and_heard(void **state)
{
    char text[RECEIPT_MAX + 1];
    size_t n = receipt_put(text, &x);
    (void)state;

    assert_true(sealed());
    const struct f_cosign_ask *ask = &client_got(b, F_COSIGN_ASK)->u.cosign_ask;
    assert_true(span_same(ask->receipt, span_of(text, n)));
    const struct receipt_seal seal = seal_of(b);
    cosign(b, &seal, 0);
    const struct f_cosigned *f = &client_got(a, F_COSIGNED)->u.cosigned;
    struct hash h;
    sha256(span_of(text, n), &h);
    assert_true(hash_same(&f->receipt, &h));
    const struct store_receipt kept = row();
    assert_true(span_same(f->seal, span_of(kept.member, strlen(kept.member))));
    assert_true(span_same(f->sig, span_of(kept.member_sig, kept.member_sig_n)));
    assert_non_null(strstr(kept.member, "role member"));
    cosign(b, &seal, 0); /* once */
    assert_true(client_quiet(a));
}

/* Whoever was not there when it came gets it with the answer to the same request. */
static void what_came_later_is_told_with_the_next_answer(void **state)
{
    (void)state;
    assert_true(sealed());
    client_flush(b);
    struct client *before = a;
    client_gone(a);
    client_flush(b);
    const struct receipt_seal seal = seal_of(b);
    cosign(b, &seal, 0);
    a = client_again(before);
    client_login(a);
    client_flush(a);
    const struct receipt_seal own = receipt_own_seal(&x);
    struct asked q;
    asked_make(&q, 8, a, &x, &own);
    client_flush(b);
    client_say(a, F_SEAL, &q.f);
    (void)client_got(a, F_COSIGNED);
    assert_true(client_got(a, F_SEALED)->u.sealed.member);
    assert_true(client_quiet(b)); /* who has sealed it is not asked again */
}

static void who_does_not_speak_of_it_is_not_asked(void **state)
{
    (void)state;
    client_gone(b);
    client_flush(a);
    r->cosigns = false;
    struct client *c = client_again(b);
    client_login(c);
    client_flush(c);
    client_flush(a);
    assert_false(sealed());
    assert_true(client_quiet(c));
}

static void who_is_not_there_is_not_asked(void **state)
{
    (void)state;
    client_gone(b);
    client_flush(a);
    assert_false(sealed());
}

static void of_a_room_of_many_nobody_is_asked(void **state)
{
    (void)state;
    room = client_room(a, "lobby", false, HISTORY_ALL);
    client_enter(b, "lobby");
    client_flush(a);
    client_flush(b);
    x = receipt_honest(&room, a, 1, 2);
    assert_false(sealed());
    assert_true(client_quiet(b));
    const struct receipt_seal seal = seal_of(b);
    cosign(b, &seal, 0); /* nor taken from anybody */
    assert_true(client_quiet(a));
    assert_int_equal(row().member_sig_n, 0);
}

/* What nobody can mean honestly ends him. */
static void a_false_seal_ends_the_connection(void **state)
{
    (void)state;
    assert_true(sealed());
    for (unsigned i = 0; i < 4; i++) {
        struct client *c = client_again(b);
        client_login(c);
        client_flush(c);
        struct receipt_seal seal = seal_of(b);
        if (i == 0)
            seal.role = RECEIPT_CLIENT;
        if (i == 1)
            seal.role = RECEIPT_RELAY;
        if (i == 2)
            seal.signer = a->fp;
        cosign(c, &seal, i == 3);
        client_error(c, CODE_MALFORMED);
        assert_true(c->closed);
        assert_int_equal(row().member_sig_n, 0);
    }
}

/* Not asked, not his to say, or not now: nothing comes of it, and nobody is ended. */
static void what_was_not_asked_for_is_not_taken(void **state)
{
    struct client *c = client_member(r, "carol");
    struct receipt_seal seal = seal_of(b);
    (void)state;

    client_flush(b);
    cosign(b, &seal, 0); /* the relay has not sealed it */
    assert_true(client_quiet(b));
    assert_true(sealed());
    client_flush(b);
    seal = seal_of(c); /* another's room */
    cosign(c, &seal, 0);
    seal = seal_of(a); /* one's own receipt */
    cosign(a, &seal, 0);
    seal = seal_of(b);
    seal.time = r->now + TS_FUTURE_MS + 1; /* to come */
    cosign(b, &seal, 0);
    seal.time = x.created - 24 * 3600 * 1000; /* before what it is about */
    cosign(b, &seal, 0);
    assert_true(client_quiet(a));
    assert_int_equal(row().member_sig_n, 0);
    seal = seal_of(b);
    cosign(b, &seal, 0);
    (void)client_got(a, F_COSIGNED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_other_one_is_asked_and_heard),
        TEST(what_came_later_is_told_with_the_next_answer),
        TEST(who_does_not_speak_of_it_is_not_asked),
        TEST(who_is_not_there_is_not_asked),
        TEST(of_a_room_of_many_nobody_is_asked),
        TEST(a_false_seal_ends_the_connection),
        TEST(what_was_not_asked_for_is_not_taken),
    };

    relay_store = "memory";
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    relay_store = "sqlite";
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
