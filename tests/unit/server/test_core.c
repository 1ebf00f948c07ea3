/* The relay without sockets: who may what, in which order, and what a liar gets. Every test runs
 * over both stores. */
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

/* --- login --- */

static void test_login(void **state)
{
    struct client *c = client_enrol(r, "alice");
    (void)state;
    client_login(c);
    const struct f_welcome *w = &client_got(c, F_WELCOME)->u.welcome;
    assert_true(w->has_proof);
    assert_true(str_is(w->account.name, "alice"));
    assert_true(str_is(w->device, "laptop"));
    assert_int_equal(w->rooms_n, 0);
    assert_true(session_ready(c->s));
    assert_int_equal(relay_audit(r, "login", "password").rows, 1);
    assert_int_equal(relay_audit(r, "accepted", "certificate").rows, 1);
    assert_int_equal(relay_audit(r, "invite-made", "new-account").rows, 1);
    assert_int_equal(relay_audit(r, "invite-used", "new-account").rows, 1);
    client_quit(c);
    assert_int_equal(relay_audit(r, "disconnect", "closed").rows, 1);
}

static void login_fails(struct client *c)
{
    client_login(c);
    client_error(c, CODE_AUTH);
    assert_true(c->closed);
    assert_false(session_ready(c->s));
}

static void test_login_wrong_password(void **state)
{
    struct client *c = client_enrol(r, "alice");
    (void)state;
    c->salted.b[0] ^= 1;
    login_fails(c);
    assert_int_equal(relay_audit(r, "login-failure", "wrong-proof").count, 1);
}

/* H19, H20: the proof belongs to this connection alone. */
static void test_login_proof_of_other_connection(void **state)
{
    struct client *c = client_enrol(r, "alice");
    (void)state;
    c->exporter.b[0] ^= 1;
    login_fails(c);
}

static void test_login_other_password_for_certificate(void **state)
{
    struct client *a = client_enrol(r, "alice"), *b = client_enrol(r, "bob");
    (void)state;
    a->salted = b->salted; /* alice's certificate, bob's password */
    login_fails(a);
}

/* The session lets such frames through in their time alone; the core looks once more. */
static void test_frames_out_of_their_time(void **state)
{
    struct client *member = client_member(r, "alice"), *guest = client_enrol(r, "bob");
    const struct {
        const struct client *from;
        enum frame_type type;
    } cases[] = {{member, F_LOGIN},    {member, F_PROOF},     {member, F_RESUME},
                 {guest, F_ROOM_LIST}, {guest, F_PERSON_ASK}, {guest, F_ENTRY_SAY}};
    struct err e = {0};
    struct effect ef;
    (void)state;
    client_say(guest, F_LOGIN, &(struct f_login){.id = 1});
    (void)client_got(guest, F_CHALLENGE);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct job *j = job_new(JOB_FRAME, cases[i].from->conn);
        j->frame.type = cases[i].type;
        j->auth.client_cert = cases[i].from->fp;
        assert_int_equal(core_begin(r->core, r->now, &e), 0);
        core_job(r->core, j);
        assert_int_equal(core_commit(r->core, &e), 0);
        assert_false(core_effect(r->core, &ef));
    }
    assert_int_equal(relay_audit(r, "login-failure", NULL).rows, 0);
}

static void test_login_disabled(void **state)
{
    struct client *c = client_member(r, "alice");
    struct err e = {0};
    (void)state;
    assert_int_equal(operator_disable(&r->store, "ALICE", true, r->now, &e), 0);
    relay_refresh(r);
    assert_true(c->closed); /* whoever is inside is put out */
    assert_string_equal(c->reason, "disabled");
    struct client *again = client_again(c);
    login_fails(again);
    assert_int_equal(operator_disable(&r->store, "alice", false, r->now, &e), 0);
    relay_refresh(r);
    struct client *third = client_again(c);
    client_say(third, F_RESUME, &(struct f_resume){.id = 9, .token = {0}});
    client_error(third, CODE_AUTH);
    client_login(third);
    (void)client_got(third, F_WELCOME);
}

static void test_login_revoked(void **state)
{
    struct client *c = client_member(r, "alice");
    struct err e = {0};
    struct hash none = {{1}};
    (void)state;
    assert_int_equal(operator_revoke(&r->store, &none, r->now, &e), -1);
    e = (struct err){0};
    assert_int_equal(operator_revoke(&r->store, &c->fp, r->now, &e), 0);
    relay_refresh(r);
    assert_true(c->closed);
    assert_int_equal(r->revoked_n, 1); /* the judge of links hears of it */
    login_fails(client_again(c));
}

/* A1: whoever is refused reads the same bytes. */
static void test_login_refusals_are_alike(void **state)
{
    struct client *a = client_enrol(r, "alice"), *b = client_enrol(r, "bob");
    struct err e = {0};
    struct span text[2];
    (void)state;
    assert_int_equal(operator_disable(&r->store, "bob", true, r->now, &e), 0);
    relay_refresh(r);
    a->salted.b[0] ^= 1;
    client_login(a);
    client_login(b);
    struct f_error *fa = &client_got(a, F_ERROR)->u.error;
    struct f_error *fb = &client_got(b, F_ERROR)->u.error;
    text[0] = span_of(fa->text.p, fa->text.n);
    text[1] = span_of(fb->text.p, fb->text.n);
    assert_true(span_same(text[0], text[1]));
    assert_int_equal(fa->code, fb->code);
}

/* A2, A3: guessing costs time, for this account and source. */
static void test_login_guessing(void **state)
{
    struct client *c = client_enrol(r, "alice"), *b = client_enrol(r, "bob"), *k = NULL;
    (void)state;
    struct key good = c->salted;
    for (int i = 0; i <= GUESSES_FREE; i++) {
        k = client_again(c);
        k->salted.b[0] ^= 1;
        login_fails(k);
        client_free(k);
    }
    k = client_again(c);
    k->salted = good;
    client_say(k, F_LOGIN, &(struct f_login){.id = 1});
    client_error(k, CODE_BUSY); /* not even with the right one, now */
    client_login(b);            /* and nobody else waits */
    (void)client_got(b, F_WELCOME);
    r->now += 2 * GUESS_WAIT_MS;
    client_login(k);
    (void)client_got(k, F_WELCOME);
    struct audit_find f = relay_audit(r, "login-failure", NULL);
    assert_int_equal(f.count, GUESSES_FREE + 1);
    assert_int_equal(f.rows, 1); /* one row for source, reason and minute */
}

static void guess_wrong(struct client *device)
{
    struct client *k = client_again(device);

    k->salted.b[0] ^= 1;
    login_fails(k);
    client_free(k);
}

/* The wait doubles with each further failure, and a login that succeeds ends it. */
static void test_login_guessing_doubles(void **state)
{
    struct client *c = client_enrol(r, "alice"), *k;
    (void)state;
    for (int i = 0; i <= GUESSES_FREE; i++)
        guess_wrong(c);
    r->now += 2 * GUESS_WAIT_MS;
    guess_wrong(c);
    k = client_again(c);
    r->now += 4 * GUESS_WAIT_MS - 1;
    client_say(k, F_LOGIN, &(struct f_login){.id = 1});
    client_error(k, CODE_BUSY);
    r->now += 1;
    client_login(k);
    (void)client_got(k, F_WELCOME);
    for (int i = 0; i < GUESSES_FREE; i++)
        guess_wrong(c);
    client_login(client_again(c)); /* as if nothing had been */
    assert_int_equal(relay_audit(r, "login", "password").count, 2);
}

static void salt_of(struct client *k, uint8_t salt[SALT_LEN])
{
    client_say(k, F_LOGIN, &(struct f_login){.id = 1});
    memcpy(salt, client_got(k, F_CHALLENGE)->u.challenge.salt, SALT_LEN);
}

/* A1: a certificate that no account has gets the same salt each time, as one that has would. */
static void test_login_salt_of_nobody(void **state)
{
    struct client *c = client_enrol(r, "alice");
    uint8_t first[SALT_LEN], again[SALT_LEN], other[SALT_LEN];
    (void)state;
    c->leaf.b[c->leaf.n - 1] ^= 1;
    salt_of(client_again(c), first);
    salt_of(client_again(c), again);
    c->leaf.b[c->leaf.n - 1] ^= 3;
    salt_of(client_again(c), other);
    assert_memory_equal(first, again, SALT_LEN);
    assert_memory_not_equal(first, other, SALT_LEN);
}

/* A1: nor does one whose account is disabled get another than before. */
static void test_login_salt_of_the_disabled(void **state)
{
    struct client *c = client_enrol(r, "alice");
    uint8_t before[SALT_LEN], after[SALT_LEN];
    struct err e = {0};
    (void)state;
    salt_of(client_again(c), before);
    assert_int_equal(operator_disable(&r->store, "alice", true, r->now, &e), 0);
    relay_refresh(r);
    salt_of(client_again(c), after);
    assert_memory_equal(before, after, SALT_LEN);
}

/* Challenges that were asked for while nobody had to wait yet buy no more guesses. */
static void test_login_guessing_at_once(void **state)
{
    enum { AT_ONCE = 3 * GUESSES_FREE };
    struct client *c = client_enrol(r, "alice"), *k[AT_ONCE];
    (void)state;
    for (size_t i = 0; i < AT_ONCE; i++) {
        k[i] = client_again(c);
        client_say(k[i], F_LOGIN, &(struct f_login){.id = 1});
        (void)client_got(k[i], F_CHALLENGE);
    }
    for (size_t i = 0; i < AT_ONCE; i++) {
        client_say(k[i], F_PROOF, &(struct f_proof){.id = 2});
        client_error(k[i], i <= GUESSES_FREE ? CODE_AUTH : CODE_BUSY);
    }
    assert_int_equal(relay_audit(r, "login-failure", "wrong-proof").count, GUESSES_FREE + 1);
}

static void test_login_guessing_from_one_net(void **state)
{
    static const char *const from[] = {"2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"};
    struct client *c = client_enrol(r, "alice"), *k;
    (void)state;
    for (int i = 0; i <= GUESSES_FREE; i++) {
        k = client_from(c, i == 0 ? from[1] : from[0]);
        k->salted.b[0] ^= 1;
        login_fails(k);
    }
    k = client_from(c, from[1]);
    client_say(k, F_LOGIN, &(struct f_login){.id = 1});
    client_error(k, CODE_BUSY);
    k = client_from(c, from[2]);
    client_say(k, F_LOGIN, &(struct f_login){.id = 1});
    (void)client_got(k, F_CHALLENGE);
}

static void test_login_too_many(void **state)
{
    struct client *c = client_enrol(r, "alice"), *k[ACCOUNT_CONNS_MAX + 1];
    (void)state;
    for (size_t i = 0; i < ACCOUNT_CONNS_MAX; i++) {
        k[i] = client_again(c);
        client_login(k[i]);
        (void)client_got(k[i], F_WELCOME);
    }
    k[ACCOUNT_CONNS_MAX] = client_again(c);
    client_login(k[ACCOUNT_CONNS_MAX]);
    client_error(k[ACCOUNT_CONNS_MAX], CODE_LIMIT);
    client_gone(k[0]);
    client_login(c);
    (void)client_got(c, F_WELCOME);
}

/* --- resume --- */

static void test_proof_after_resume(void **state)
{
    struct client *c = client_enrol(r, "alice");
    (void)state;
    client_say(c, F_LOGIN, &(struct f_login){.id = 1});
    (void)client_got(c, F_CHALLENGE);
    client_say(c, F_RESUME, &(struct f_resume){.id = 2});
    client_error(c, CODE_AUTH);
    client_say(c, F_PROOF, &(struct f_proof){.id = 3});
    client_error(c, CODE_STATE);
}

static void resume(struct client *c, const uint8_t token[RESUME_LEN])
{
    struct f_resume f = {.id = ++c->id};
    memcpy(f.token, token, RESUME_LEN);
    client_say(c, F_RESUME, &f);
}

static void test_resume(void **state)
{
    struct client *c = client_member(r, "alice"), *d = client_again(c), *x;
    uint8_t first[RESUME_LEN], second[RESUME_LEN];
    (void)state;
    memcpy(first, c->token, sizeof first);
    client_gone(c);
    r->now += 14 * 60 * 1000;
    resume(d, first);
    const struct f_welcome *w = &client_got(d, F_WELCOME)->u.welcome;
    assert_false(w->has_proof);
    memcpy(second, w->token, sizeof second);
    for (int i = 0; i < 2; i++) {
        x = client_again(c);
        resume(x, first); /* its successor was not used: the first stays good */
        memcpy(second, client_got(x, F_WELCOME)->u.welcome.token, sizeof second);
        client_gone(x);
    }
    client_gone(d);
    d = client_again(c);
    resume(d, second);
    (void)client_got(d, F_WELCOME);
    x = client_again(c);
    resume(x, first); /* now it was */
    client_error(x, CODE_AUTH);
    assert_false(x->closed);
    client_login(x);
    (void)client_got(x, F_WELCOME);
}

static void resume_refused(struct client *c, const uint8_t *token)
{
    resume(c, token);
    client_error(c, CODE_AUTH);
    assert_false(session_ready(c->s));
}

static void test_resume_refused(void **state)
{
    struct client *c = client_member(r, "alice"), *b = client_enrol(r, "bob");
    struct client *d = client_again(c);
    uint8_t bad[RESUME_LEN] = {0};
    (void)state;
    resume_refused(d, bad);
    memcpy(bad, c->token, sizeof bad);
    bad[31] ^= 1;
    resume_refused(d, bad);
    resume_refused(b, c->token); /* another certificate */
    client_gone(c);
    r->now += RESUME_IDLE_MS;
    resume_refused(d, c->token); /* idle for too long */
}

/* A6: a token is for those who were cut off. */
static void test_resume_after_logout(void **state)
{
    struct client *c = client_member(r, "alice"), *d;
    (void)state;
    client_quit(c);
    d = client_again(c);
    resume_refused(d, c->token);
}

/* ... whatever else is still thought to live of it, and whatever the clock does. */
static void test_logout_beside_a_dead_connection(void **state)
{
    struct client *c = client_member(r, "alice"), *d = client_again(c), *x;
    uint8_t last[RESUME_LEN];
    (void)state;
    resume(d, c->token); /* c is half-open */
    memcpy(last, client_got(d, F_WELCOME)->u.welcome.token, sizeof last);
    client_quit(d);
    x = client_again(c);
    resume_refused(x, last);
    resume_refused(x, c->token);
    client_gone(c);
    resume_refused(x, last);
    r->now -= 2 * RESUME_IDLE_MS;
    resume_refused(x, last);
}

static void test_resume_ends_after_the_password(void **state)
{
    struct client *c = client_member(r, "alice"), *d;
    (void)state;
    r->now += RESUME_MAX_MS;
    d = client_again(c);
    resume_refused(d, c->token);
}

static void test_resume_after_restart(void **state)
{
    struct client *c = client_member(r, "alice"), *d;
    (void)state;
    relay_restart(r);
    d = client_again(c);
    resume(d, c->token);
    (void)client_got(d, F_WELCOME);
}

/* --- joining --- */

static void test_join_again_same_answer(void **state)
{
    uint8_t token[TOKEN_LEN];
    struct client *c = client_stranger(r);
    struct hash fp;
    struct err e = {0};
    (void)state;
    relay_invite(r, &(struct operator_invite){0}, token);
    client_join(c, token, "alice", "laptop", 0);
    struct span leaf = client_got(c, F_JOINED)->u.joined.chain[0];
    sha256(leaf, &fp);
    r->now += INVITE_ANSWER_MS - 1;
    struct client *d = client_stranger(r);
    client_join(d, token, "alice", "laptop", 0);
    struct hash again;
    sha256(client_got(d, F_JOINED)->u.joined.chain[0], &again);
    assert_memory_equal(&fp, &again, sizeof fp);
    d = client_stranger(r);
    client_join(d, token, "alice", "laptop", 1); /* another key */
    client_error(d, CODE_AUTH);
    assert_int_equal(operator_disable(&r->store, "alice", true, r->now, &e), 0);
    relay_refresh(r);
    d = client_stranger(r);
    client_join(d, token, "alice", "laptop", 0); /* of an account that was closed meanwhile */
    client_error(d, CODE_AUTH);
    assert_int_equal(operator_disable(&r->store, "alice", false, r->now, &e), 0);
    relay_refresh(r);
    r->now += 1;
    d = client_stranger(r);
    client_join(d, token, "alice", "laptop", 0); /* after the hour */
    client_error(d, CODE_AUTH);
    assert_true(d->closed);
    assert_int_equal(relay_audit(r, "registration", NULL).rows, 1);
}

static void test_join_refused(void **state)
{
    uint8_t token[TOKEN_LEN], wrong[TOKEN_LEN] = {1};
    struct client *c = client_stranger(r);
    (void)state;
    client_join(c, wrong, "alice", "laptop", 0);
    client_error(c, CODE_AUTH);
    assert_true(c->closed);
    relay_invite(r, &(struct operator_invite){.life = 1000}, token);
    r->now += 1000;
    c = client_stranger(r);
    client_join(c, token, "alice", "laptop", 0);
    client_error(c, CODE_AUTH);
    assert_true(c->closed);
    relay_invite(r, &(struct operator_invite){0}, token);
    c = client_stranger(r);
    client_join(c, token, "al ice", "laptop", 0);
    client_error(c, CODE_BAD_NAME);
    assert_true(c->closed);
    c = client_stranger(r);
    client_join(c, token, "alice", "lap/top", 0);
    client_error(c, CODE_BAD_NAME);
    assert_true(c->closed);
    r->issue_fails = true;
    c = client_stranger(r);
    client_join(c, token, "alice", "laptop", 0);
    client_error(c, CODE_BUSY);
    assert_true(c->closed);
    r->issue_fails = false;
    c = client_stranger(r);
    client_join(c, token, "alice", "laptop", 0); /* none of these burnt it */
    (void)client_got(c, F_JOINED);
}

static int email_keep(void *ctx, const struct store_user *u)
{
    struct store_user *wanted = ctx;

    if (strcmp(u->name, wanted->name) == 0)
        *wanted = *u;
    return 0;
}

static const char *email_of(const char *name)
{
    static struct store_user u;
    struct err e = {0};

    memset(&u, 0, sizeof u);
    snprintf(u.name, sizeof u.name, "%s", name);
    assert_int_equal(r->store.ops->user_each(r->store.db, email_keep, &u, &e), 0);
    return u.email;
}

static struct client *join_reachable(const uint8_t token[TOKEN_LEN], const char *email,
                                     const char *name, unsigned key)
{
    struct client *c = client_reachable(r, email);

    client_join(c, token, name, "laptop", key);
    return c;
}

/* One account has an address, however it is spelled; a refusal burns no invite. */
static void test_join_email(void **state)
{
    uint8_t token[TOKEN_LEN];

    (void)state;
    relay_invite(r, &(struct operator_invite){0}, token);
    (void)client_got(join_reachable(token, "Alice@example.org", "alice", 0), F_JOINED);
    assert_string_equal(email_of("alice"), "Alice@example.org");
    relay_invite(r, &(struct operator_invite){0}, token);
    client_error(join_reachable(token, "aLICE@EXAMPLE.org", "bob", 1), CODE_TAKEN);
    client_error(join_reachable(token, "bob", "bob", 1), CODE_TAKEN); /* no address at all */
    (void)client_got(join_reachable(token, NULL, "bob", 1), F_JOINED);
    assert_string_equal(email_of("bob"), "");
    /* a further device says it anew, another one, or nothing, which leaves it as it was */
    relay_invite(r, &(struct operator_invite){.for_name = "alice"}, token);
    (void)client_got(join_reachable(token, "alice@EXAMPLE.org", "alice", 2), F_JOINED);
    assert_string_equal(email_of("alice"), "alice@EXAMPLE.org");
    relay_invite(r, &(struct operator_invite){.for_name = "alice"}, token);
    (void)client_got(join_reachable(token, NULL, "alice", 0), F_JOINED);
    assert_string_equal(email_of("alice"), "alice@EXAMPLE.org");
}

/* A5: one success, whatever the order. */
static void test_join_fifty(bool one_batch)
{
    uint8_t token[TOKEN_LEN];
    struct client *c[50];
    unsigned joined = 0, refused = 0;
    relay_invite(r, &(struct operator_invite){0}, token);
    for (unsigned i = 0; i < 50; i++)
        c[i] = client_stranger(r);
    r->hold = one_batch;
    for (unsigned i = 0; i < 50; i++) {
        char name[16];
        snprintf(name, sizeof name, "user%u", i * 7);
        client_join(c[i], token, name, "laptop", i % KEYS);
    }
    r->hold = false;
    relay_pump(r);
    for (unsigned i = 0; i < 50; i++) {
        struct span json;
        struct err e = {0};
        assert_int_equal(frames_next(&c[i]->in, &json, &e), 1);
        frame_free(&c[i]->got);
        assert_int_equal(frame_take(&c[i]->got, json, FROM_RELAY, &e), 0);
        joined += c[i]->got.type == F_JOINED && str_is(c[i]->got.u.joined.name, "user0");
        refused += c[i]->got.type == F_ERROR;
    }
    /* The same key is given its answer again: clients 0, 3, 6 ... have one key. */
    assert_int_equal(relay_audit(r, "registration", NULL).rows, 1);
    assert_int_equal(joined + refused, 50);
    struct core_counts n;
    core_counts(r->core, &n);
    assert_int_equal(n.accounts, 1);
}

static void test_join_fifty_in_turn(void **state)
{
    (void)state;
    test_join_fifty(false);
}

static void test_join_fifty_in_one_batch(void **state)
{
    (void)state;
    test_join_fifty(true);
}

/* A7 */
static void test_join_names(void **state)
{
    static const struct {
        const char *name;
        enum proto_code code;
    } rows[] = {
        {"alice", CODE_TAKEN},
        {"ALICE", CODE_TAKEN},
        {"Alice", CODE_TAKEN},
        {"al.ice", CODE_TAKEN},
        {"a1ice", CODE_TAKEN},
        {"\xd0\xb0lice", CODE_BAD_NAME},
        {"alice ", CODE_BAD_NAME},
        {" alice", CODE_BAD_NAME},
        {"admin", CODE_BAD_NAME},
        {"a\xe2\x80\x8blice", CODE_BAD_NAME},
        {"alic\xcc\x81"
         "e\xcc\x81",
         CODE_BAD_NAME},
        {"al|ice", CODE_BAD_NAME},
        {"", CODE_MALFORMED},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", CODE_BAD_NAME},
    };
    uint8_t token[TOKEN_LEN];
    (void)state;
    (void)client_enrol(r, "alice");
    relay_invite(r, &(struct operator_invite){0}, token);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct client *c = client_stranger(r);
        if (rows[i].name[0] == '\0')
            continue;
        client_join(c, token, rows[i].name, "laptop", 1);
        const struct f_error *f = &client_got(c, F_ERROR)->u.error;
        if (f->code != rows[i].code)
            fail_msg("%s: %s, not %s", rows[i].name, proto_code_word(f->code),
                     proto_code_word(rows[i].code));
        client_free(c);
    }
    struct client *c = client_stranger(r);
    client_join(c, token, "bob", "laptop", 1);
    (void)client_got(c, F_JOINED);
}

static struct client *join_bound(const char *name, bool keep, const char *device, unsigned key)
{
    uint8_t token[TOKEN_LEN];
    struct client *c = client_stranger(r);
    relay_invite(r, &(struct operator_invite){.for_name = name, .keep = keep}, token);
    client_join(c, token, name, device, key);
    return c;
}

static void test_join_for_lost_device(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bob"), *n;
    (void)state;
    (void)client_room(a, "lobby", false, HISTORY_JOINED);
    client_enter(b, "lobby");
    client_flush(a);
    client_flush(b);
    n = join_bound("alice", false, "phone", 1);
    const struct f_joined *f = &client_got(n, F_JOINED)->u.joined;
    struct hash fp;
    cert_fingerprint(f->chain[0], &fp);
    assert_memory_equal(&f->account, &a->account, sizeof f->account);
    const struct f_device *d = &client_got(b, F_DEVICE)->u.device;
    assert_false(d->kept);
    assert_memory_equal(&d->fp, &fp, sizeof fp);
    (void)client_got(a, F_DEVICE); /* he who lost nothing is warned */
    assert_true(a->closed);
    assert_int_equal(r->revoked_n, 1);
    assert_memory_equal(&r->revoked[0], &a->fp, sizeof fp);
    struct client *old = client_again(a);
    resume_refused(old, a->token);
    login_fails(old);
}

/* A6: the account has another password now; what the former one was given is worth nothing, though
 * the device stays. */
static void test_resume_after_another_password(void **state)
{
    struct client *a = client_member(r, "alice"), *n, *again;
    (void)state;
    n = join_bound("alice", true, "phone", 1);
    (void)client_got(n, F_JOINED);
    assert_false(a->closed);
    again = client_again(a);
    resume_refused(again, a->token);
    client_gone(a); /* the end of its connection brings the token back to no life */
    resume_refused(again, a->token);
}

static void test_join_further_device(void **state)
{
    struct client *a = client_member(r, "alice"), *n;
    (void)state;
    for (unsigned i = 0; i + 1 < DEVICES_MAX; i++) {
        n = join_bound("alice", true, "phone", 1);
        (void)client_got(n, F_JOINED);
        assert_true(client_got(a, F_DEVICE)->u.device.kept);
    }
    assert_false(a->closed);
    n = join_bound("alice", true, "phone", 1);
    client_error(n, CODE_LIMIT);
    n = join_bound("alice", false, "phone", 1); /* in place of the others */
    (void)client_got(n, F_JOINED);
    assert_true(a->closed);
}

static void test_join_bound_to_other_name(void **state)
{
    uint8_t token[TOKEN_LEN];
    struct client *c = client_stranger(r);
    struct err e = {0};
    (void)state;
    (void)client_enrol(r, "alice");
    relay_invite(r, &(struct operator_invite){.for_name = "alice"}, token);
    client_join(c, token, "bob", "laptop", 1);
    client_error(c, CODE_BAD_NAME);
    assert_int_equal(operator_disable(&r->store, "alice", true, r->now, &e), 0);
    relay_refresh(r);
    c = client_stranger(r);
    client_join(c, token, "alice", "laptop", 1);
    client_error(c, CODE_AUTH);
    assert_int_equal(operator_invite(&r->store, &(struct operator_invite){.for_name = "carol"},
                                     &r->rng, r->now, token, &e),
                     -1);
}

/* The database alone holds no password, token or login record in clear. */
static void test_sealed_record(void **state)
{
    struct client *a = client_enrol(r, "alice");
    struct account_record rec;
    struct store_user u;
    struct err e = {0};
    (void)state;
    account_record(&rec, &a->salted);
    assert_int_equal(r->ops->user_find(r->store.db, "alice", &u, &e), 1);
    assert_null(memmem(u.sealed, sizeof u.sealed, rec.stored.b, 16));
    assert_null(memmem(u.sealed, sizeof u.sealed, rec.server.b, 16));
}

/* --- entries --- */

struct pair {
    struct client *a, *b;
    struct room_id room;
    struct pen pa, pb;
};

static struct pair pair_new(void)
{
    struct pair p = {.a = client_member(r, "alice"), .b = client_member(r, "bob")};
    p.room = client_room(p.a, "lobby", false, HISTORY_JOINED);
    client_enter(p.b, "lobby");
    client_flush(p.a);
    client_flush(p.b);
    p.pa = pen_of(p.a, p.room);
    p.pb = pen_of(p.b, p.room);
    p.pa.seen = p.pb.seen; /* she has his join */
    p.pa.head = p.pb.head;
    return p;
}

/* Who lost more devices than fit the list of members still has those that count. */
static void test_members_of_many_devices(void **state)
{
    struct pair p = pair_new();
    struct hash fp = {{0}};
    (void)state;
    for (unsigned i = 0; i <= DEVICES_MAX; i++) {
        struct client *n = join_bound("bob", false, "phone", 1);
        cert_fingerprint(client_got(n, F_JOINED)->u.joined.chain[0], &fp);
        client_free(n);
        r->now += 1000;
    }
    client_flush(p.a);
    client_say(p.a, F_MEMBERS_ASK, &(struct f_members_ask){9, p.room});
    const struct f_members *m = &client_got(p.a, F_MEMBERS)->u.members;
    const struct f_member_info *bob = &m->members[str_is(m->members[1].name, "bob")];
    assert_int_equal(bob->devices_n, DEVICES_MAX);
    assert_memory_equal(&bob->devices[0].fp, &fp, sizeof fp);
    assert_int_equal(bob->devices[0].revoked, 0);
    assert_int_not_equal(bob->devices[1].revoked, 0);
}

static void test_entry(void **state)
{
    struct pair p = pair_new();
    (void)state;
    assert_int_equal(pen_say(&p.pa, "hello"), 3);
    const struct f_entry *f = &client_got(p.b, F_ENTRY)->u.entry;
    assert_int_equal(f->number, 3);
    assert_int_equal(f->why.n, 0);
    assert_true(client_quiet(p.a)); /* his own comes once */
    assert_int_equal(pen_say(&p.pa, "again"), 4);
    p.pb.seen = p.pa.seen;
    p.pb.head = p.pa.head;
    (void)client_got(p.b, F_ENTRY);
    assert_int_equal(pen_say(&p.pb, "hi"), 5);
    (void)client_got(p.a, F_ENTRY);
}

enum spoil {
    SPOIL_SIG,
    SPOIL_BODY,
    SPOIL_AUTHOR,
    SPOIL_EPOCH,
    SPOIL_SEQ_GAP,
    SPOIL_SEQ_ZERO,
    SPOIL_PREV,
    SPOIL_SEEN_HEAD,
    SPOIL_SEEN_AHEAD,
    SPOIL_LINE,
    SPOIL_SPACE,
    SPOIL_ROOM_SIGNED,
    SPOIL_OTHER_KEY,
    SPOILS
};

static void spoil_line(struct entry_line *l, enum spoil how, const struct pair *p)
{
    switch (how) {
    case SPOIL_AUTHOR: l->author = p->b->fp; break;
    case SPOIL_EPOCH: l->epoch = 1; break;
    case SPOIL_SEQ_GAP: l->seq++; break;
    case SPOIL_SEQ_ZERO: l->seq = 0; break;
    case SPOIL_PREV: l->prev.b[0] ^= 1; break;
    case SPOIL_SEEN_HEAD: l->seen_head.b[0] ^= 1; break;
    case SPOIL_SEEN_AHEAD: l->seen_number += 1; break;
    default: break;
    }
}

static void spoil_made(struct entry_made *m, enum spoil how)
{
    switch (how) {
    case SPOIL_SIG: m->sig[10] ^= 1; break;
    case SPOIL_BODY: m->body.p[m->body.off + 40] ^= 1; break;
    case SPOIL_LINE: m->line[m->line_n - 1] = m->line[m->line_n - 1] == 'a' ? 'b' : 'a'; break;
    case SPOIL_SPACE: m->line[m->line_n++] = ' '; break;
    case SPOIL_ROOM_SIGNED: m->line[25] = m->line[25] == 'a' ? 'b' : 'a'; break;
    default: break;
    }
}

static void test_entry_spoiled(void **state)
{
    struct pair p = pair_new();
    struct client *c = p.a;
    (void)state;
    (void)pen_say(&p.pa, "one");
    (void)client_got(p.b, F_ENTRY);
    for (enum spoil how = 0; how < SPOILS; how++) {
        struct entry_line l = pen_line(&p.pa);
        struct entry_made m;
        spoil_line(&l, how, &p);
        p.pa.c->key = how == SPOIL_OTHER_KEY ? 1 : 0;
        pen_make(&p.pa, &l, "{\"kind\":\"say\",\"text\":\"x\"}", &m);
        p.pa.c->key = 0;
        spoil_made(&m, how);
        struct client *k = client_again(c);
        client_login(k);
        client_flush(k);
        client_flush(p.b);
        entry_send(k, &m);
        entry_made_free(&m);
        if (!k->closed)
            fail_msg("spoil %d stays open", how);
        client_error(k, CODE_BAD_ENTRY);
        assert_true(client_quiet(p.b)); /* nobody ever saw it */
        client_free(k);
    }
    assert_int_equal(pen_say(&p.pa, "two"), 4);
}

/* protocol.md 6: ts at most TS_FUTURE_MS ahead, else `again`: the same bytes later. */
static void test_entry_ahead(void **state)
{
    struct pair p = pair_new();
    struct pen spoiled = p.pa;
    struct entry_line l = pen_line(&p.pa);
    struct entry_made m;
    (void)state;
    l.ts = r->now + TS_FUTURE_MS + 700;
    pen_make(&p.pa, &l, "{\"kind\":\"say\",\"text\":\"early\"}", &m);
    entry_send(p.a, &m);
    const struct f_again *f = &client_got(p.a, F_AGAIN)->u.again;
    assert_int_equal(f->seq, 2);
    assert_int_equal(f->wait, 700);
    assert_true(client_quiet(p.b) && !p.a->closed);
    r->now += 699;
    entry_send(p.a, &m);
    assert_int_equal(client_got(p.a, F_AGAIN)->u.again.wait, 1);
    r->now += 1;
    entry_send(p.a, &m);
    assert_int_equal(client_got(p.a, F_NUMBERED)->u.numbered.number, 3);
    (void)client_got(p.b, F_ENTRY);
    entry_made_free(&m);
    l.ts += TS_FUTURE_MS; /* the future excuses nothing */
    pen_make(&spoiled, &l, "{\"kind\":\"say\",\"text\":\"x\"}", &m);
    m.sig[10] ^= 1;
    entry_send(p.a, &m);
    client_error(p.a, CODE_BAD_ENTRY);
    entry_made_free(&m);
}

static void test_entry_resent(void **state)
{
    struct pair p = pair_new();
    struct entry_made m1, m2;
    (void)state;
    m1 = pen_write(&p.pa, "one");
    entry_send(p.a, &m1);
    assert_int_equal(client_got(p.a, F_NUMBERED)->u.numbered.number, 3);
    m2 = pen_write(&p.pa, "two");
    entry_send(p.a, &m2);
    int64_t time = client_got(p.a, F_NUMBERED)->u.numbered.time;
    client_flush(p.b);
    r->now += 3600 * 1000;
    for (int i = 0; i < 2; i++) { /* before and after a restart */
        entry_send(p.a, &m2);
        const struct f_numbered *n = &client_got(p.a, F_NUMBERED)->u.numbered;
        assert_int_equal(n->number, 4);
        assert_int_equal(n->time, time);
        entry_send(p.a, &m1); /* an older one too */
        assert_int_equal(client_got(p.a, F_NUMBERED)->u.numbered.number, 3);
        assert_true(client_quiet(p.b)); /* stored and published once */
        relay_restart(r);
        p.a = p.pa.c = client_again(p.a);
        p.b = client_again(p.b);
        client_login(p.a);
        client_login(p.b);
        client_flush(p.a);
        client_flush(p.b);
    }
    entry_made_free(&m1);
    entry_made_free(&m2);
}

/* Two different lines under one seq, both signed well. */
static void test_entry_two_lines_one_seq(void **state)
{
    struct pair p = pair_new();
    struct pen twin = p.pa;
    struct entry_made m;
    (void)state;
    (void)pen_say(&p.pa, "one");
    (void)pen_say(&p.pa, "two");
    m = pen_write(&twin, "another one");
    entry_send(p.a, &m);
    entry_made_free(&m);
    client_error(p.a, CODE_BAD_ENTRY);
    assert_true(p.a->closed);
}

/* M1: another room, another account's connection. */
static void test_entry_elsewhere(void **state)
{
    struct pair p = pair_new();
    struct entry_made m = pen_write(&p.pa, "mine");
    (void)state;
    entry_send(p.b, &m); /* bob sends alice's */
    client_error(p.b, CODE_BAD_ENTRY);
    assert_true(p.b->closed);
    entry_made_free(&m);
    struct pen other = pen_of(p.a, (struct room_id){{1, 2, 3}});
    m = pen_write(&other, "nowhere");
    entry_send(p.a, &m);
    entry_made_free(&m);
    const struct f_error *f = &client_got(p.a, F_ERROR)->u.error;
    assert_int_equal(f->code, CODE_DENIED);
    assert_true(f->has_room);
    assert_int_equal(f->seq, 1);
    assert_int_equal(f->re, 0);
    assert_false(p.a->closed);
}

static void test_entry_of_former_member(void **state)
{
    struct pair p = pair_new();
    struct entry_made old;
    (void)state;
    old = pen_write(&p.pb, "one");
    entry_send(p.b, &old);
    (void)client_got(p.b, F_NUMBERED);
    pen_keep(&p.pb);
    client_leave(p.b, p.room);
    client_numbered(p.b);
    p.pb = pen_of(p.b, p.room);
    struct entry_made m = pen_write(&p.pb, "two");
    entry_send(p.b, &m);
    client_error(p.b, CODE_DENIED);
    assert_false(p.b->closed);
    entry_send(p.b, &old); /* what was numbered stays numbered */
    assert_int_equal(client_got(p.b, F_NUMBERED)->u.numbered.number, 3);
    client_flush(p.b);
    client_flush(p.a);
    (void)pen_say(&p.pa, "without bob");
    assert_true(client_quiet(p.b));
    entry_made_free(&m);
    entry_made_free(&old);
}

static void test_entry_void(void **state)
{
    static const char *const contents[] = {
        "no json",
        "{\"text\":\"x\"}",
        "{\"kind\":\"say\",\"text\":\"\"}",
        "{\"kind\":\"say\",\"text\":\"a\",\"text\":\"b\"}",
        "{\"kind\":\"say\"}",
        "{\"kind\":\"join\"}",
        "{\"kind\":\"join\",\"account\":\"00000000000000000000000000000000\"}",
        "{\"kind\":\"invite\",\"name\":\"bob\"}",
    };
    struct pair p = pair_new();
    uint64_t number = 2;
    (void)state;
    for (size_t i = 0; i < COUNT(contents); i++) {
        struct entry_line l = pen_line(&p.pa);
        struct entry_made m;
        pen_make(&p.pa, &l, contents[i], &m);
        p.pa.seq++;
        entry_line_hash(str_from(m.line, m.line_n), &p.pa.prev);
        for (int twice = 0; twice < 2; twice++) {
            entry_send(p.a, &m);
            const struct f_voided *v = &client_got(p.a, F_VOIDED)->u.voided;
            assert_int_equal(v->number, number + 1);
            assert_true(v->text.n > 0);
        }
        number++;
        const struct f_entry *f = &client_got(p.b, F_ENTRY)->u.entry;
        assert_true(f->why.n > 0 && f->body.n == 0);
        entry_made_free(&m);
    }
    (void)pen_say(&p.pa, "the chain goes on");
    struct entry_line l = pen_line(&p.pa); /* an unknown kind is no reason */
    struct entry_made m;
    pen_make(&p.pa, &l, "{\"kind\":\"wave\"}", &m);
    entry_send(p.a, &m);
    (void)client_got(p.a, F_NUMBERED);
    entry_made_free(&m);
}

/* Enrolled, for client_again. */
static struct client *further_device(const char *name)
{
    struct client *n = join_bound(name, true, "phone", 1);
    const struct frame *f = client_got(n, F_JOINED);

    n->leaf.n = f->u.joined.chain[0].n;
    memcpy(n->leaf.b, f->u.joined.chain[0].p, n->leaf.n);
    cert_fingerprint(span_of(n->leaf.b, n->leaf.n), &n->fp);
    return n;
}

/* A further device continues the account's chain of lines. */
static void test_entry_of_new_device(void **state)
{
    struct pair p = pair_new();
    (void)state;
    (void)pen_say(&p.pa, "one");
    struct client *n = further_device("alice");
    struct client *k = client_again(n);
    client_login(k);
    const struct f_welcome *w = &client_got(k, F_WELCOME)->u.welcome;
    assert_int_equal(w->rooms_n, 1);
    assert_true(w->rooms[0].has_own);
    struct pen pen = {.c = k, .room = p.room};
    pen.prev.b[0] = 1;
    struct entry_made m = pen_write(&pen, "prev of nobody's");
    entry_send(k, &m);
    client_error(k, CODE_BAD_ENTRY);
    entry_made_free(&m);
    k = client_again(n);
    client_login(k);
    w = &client_got(k, F_WELCOME)->u.welcome;
    pen = (struct pen){.c = k, .room = p.room};
    entry_line_hash(w->rooms[0].own.line, &pen.prev);
    client_flush(p.a);
    (void)pen_say(&p.pa, "meanwhile, on the other device");
    client_flush(k);
    assert_int_equal(pen_say(&pen, "two"), 5);
    pen.prev = (struct hash){{0}}; /* from its second line on, nothing but its own last one */
    m = pen_write(&pen, "three");
    entry_send(k, &m);
    client_error(k, CODE_BAD_ENTRY);
    entry_made_free(&m);
}

/* How often a line was looked for that a new certificate follows on. */
static unsigned formers_looked;

static int formers_watched(void *db, const struct room_id *room, const struct account_id *account,
                           store_each_message *each, void *ctx, struct err *e)
{
    formers_looked++;
    return r->ops->message_former(db, room, account, each, ctx, e);
}

static unsigned formers_of(struct client *device, struct room_id room, enum proto_code code)
{
    struct client *k = client_again(device);
    struct pen pen = {.c = k, .room = room, .prev = {{1}}};

    client_login(k);
    client_flush(k);
    formers_looked = 0;
    struct entry_made m = pen_write(&pen, "prev of nobody's");
    entry_send(k, &m);
    client_error(k, code);
    entry_made_free(&m);
    return formers_looked;
}

/* What costs the sequencer more the longer a room lives is asked for by members alone: not by who
 * left it, with a certificate of which no line is here, and not by who never was there. */
static void test_entry_of_a_stranger_is_cheap(void **state)
{
    struct store_ops ops = *r->ops;
    struct pair p = pair_new();
    (void)state;
    (void)pen_say(&p.pb, "one");
    pen_keep(&p.pb);
    client_leave(p.b, p.room);
    struct client *former = further_device("bob"), *member = further_device("alice"),
                  *stranger = client_enrol(r, "carol");
    ops.message_former = formers_watched;
    r->store.ops = &ops;
    relay_restart(r);
    assert_int_equal(formers_of(stranger, p.room, CODE_DENIED), 0);
    assert_int_equal(formers_of(former, p.room, CODE_DENIED), 0);
    assert_int_equal(formers_of(member, p.room, CODE_BAD_ENTRY), 1);
    r->store.ops = r->ops;
    relay_restart(r);
}

/* Two devices that both knew of no line: the bytes of the second were signed before the first's
 * came, and are resent until they are taken. */
static void test_entry_first_of_two_devices(void **state)
{
    struct pair p = pair_new();
    struct client *n, *k;
    (void)state;
    n = join_bound("alice", true, "phone", 1);
    struct frame *f = client_got(n, F_JOINED);
    n->leaf.n = f->u.joined.chain[0].n;
    memcpy(n->leaf.b, f->u.joined.chain[0].p, n->leaf.n);
    cert_fingerprint(span_of(n->leaf.b, n->leaf.n), &n->fp);
    k = client_again(n);
    client_login(k);
    client_flush(k);
    struct pen pen = {.c = k, .room = p.room};
    struct entry_made m = pen_write(&pen, "composed first");
    client_flush(p.a);
    (void)pen_say(&p.pa, "numbered first");
    client_flush(k);
    entry_send(k, &m);
    assert_int_equal(client_got(k, F_NUMBERED)->u.numbered.number, 4);
    entry_made_free(&m);
}

static void test_entry_seen_of_long_ago(void **state)
{
    struct pair p = pair_new();
    struct pen late;
    (void)state;
    (void)pen_say(&p.pa, "one");
    late = p.pb;
    late.seen = p.pa.seen;
    late.head = p.pa.head;
    for (int i = 0; i < HEADS_KEPT + 5; i++)
        (void)pen_say(&p.pa, "more");
    client_flush(p.b);
    assert_int_equal(pen_say(&late, "catching up"), HEADS_KEPT + 9);
    late.seen = 4; /* a number that exists, with the head of another */
    struct entry_made m = pen_write(&late, "lying");
    entry_send(p.b, &m);
    entry_made_free(&m);
    client_error(p.b, CODE_BAD_ENTRY);
}

/* Names that do not look like each other. */
static void guest(char name[16], unsigned i)
{
    static const char letters[] = "bcdefghkpqtx";
    snprintf(name, 16, "guest-%c%c", letters[i / 12 % 12], letters[i % 12]);
}

static void test_one_encoding(void **state)
{
    struct client *a = client_member(r, "alice"), *c[99];
    struct room_id room = client_room(a, "lobby", false, HISTORY_JOINED);
    struct pen pen = pen_of(a, room);
    struct core_counts before, after;
    (void)state;
    for (unsigned i = 0; i < COUNT(c); i++) {
        char name[16];
        guest(name, i);
        c[i] = client_member(r, name);
        client_enter(c[i], "lobby");
    }
    for (unsigned i = 0; i < COUNT(c); i++)
        client_flush(c[i]);
    client_flush(a);
    core_counts(r->core, &before);
    (void)pen_say(&pen, "to a hundred");
    core_counts(r->core, &after);
    assert_int_equal(after.encodings - before.encodings, 2); /* ENTRY once, and numbered */
    for (unsigned i = 0; i < COUNT(c); i++)
        assert_int_equal(client_got(c[i], F_ENTRY)->u.entry.number, COUNT(c) + 2);
}

/* --- history --- */

static struct f_history *history(struct client *c, struct f_history_ask ask)
{
    ask.id = ++c->id;
    client_say(c, F_HISTORY_ASK, &ask);
    return &client_got(c, F_HISTORY)->u.history;
}

static void test_history(void **state)
{
    struct pair p = pair_new();
    struct hash head = {{0}}, at5 = {{0}};
    (void)state;
    for (int i = 0; i < 12; i++) {
        (void)pen_say(&p.pa, "text");
        if (i == 2)
            at5 = p.pa.head;
    }
    head = p.pa.head;
    client_flush(p.b);
    struct f_history *h =
        history(p.b, (struct f_history_ask){.room = p.room, .before = 9, .count = 3});
    assert_int_equal(h->first, 6);
    assert_int_equal(h->entries_n, 3);
    assert_memory_equal(&h->head, &at5, sizeof head);
    h = history(
        p.b, (struct f_history_ask){.room = p.room, .has_after = true, .after = 5, .count = 100});
    assert_int_equal(h->first, 6);
    assert_int_equal(h->entries_n, 9);
    for (size_t i = 0; i < h->entries_n; i++) {
        assert_int_equal(h->entries[i].number, 6 + i);
        entry_head_next(&at5, h->entries[i].line, h->entries[i].time);
    }
    assert_memory_equal(&at5, &head, sizeof head);
    h = history(p.b,
                (struct f_history_ask){.room = p.room, .has_after = true, .after = 14, .count = 5});
    assert_int_equal(h->entries_n, 0);
    assert_int_equal(h->first, 15);
    assert_memory_equal(&h->head, &head, sizeof head);
    h = history(p.b, (struct f_history_ask){.room = p.room, .before = 1, .count = 5});
    assert_int_equal(h->entries_n, 0);
    h = history(p.b, (struct f_history_ask){.room = p.room, .before = 2, .count = 5});
    assert_int_equal(h->entries_n, 0); /* 1 is from before he came */
    h = history(p.b, (struct f_history_ask){.room = p.room, .before = 3, .count = 5});
    assert_int_equal(h->entries_n, 1);
    h = history(p.b, (struct f_history_ask){.room = p.room, .before = 1000000, .count = 2});
    assert_int_equal(h->first, 13);
}

/* M5: what was said before he came, or while he was away. */
static void test_history_before_joining(void **state)
{
    struct pair p = pair_new();
    struct client *c = client_member(r, "carol");
    (void)state;
    (void)pen_say(&p.pa, "secret 1");
    (void)pen_say(&p.pa, "secret 2");
    client_say(c, F_ROOM_JOIN, &(struct f_room_join){5, str_of("lobby")});
    const struct f_room_info *i = &client_got(c, F_ROOM)->u.room.room;
    assert_int_equal(i->from, 5);
    assert_int_equal(i->number, 4);
    assert_false(i->is_signed);
    assert_memory_equal(&i->head, &p.pa.head, sizeof i->head);
    struct f_room_info info = *i;
    char name[] = "lobby";
    info.name = str_of(name);
    client_say(c, F_HISTORY_ASK,
               &(struct f_history_ask){.id = 7, .room = p.room, .before = 9, .count = 9});
    client_error(c, CODE_NO_SUCH); /* not before he has signed that he is here */
    (void)pen_say(&p.pa, "secret 3");
    assert_true(client_quiet(c));
    client_sign(c, &info);
    client_flush(p.a);
    struct f_history *h =
        history(c, (struct f_history_ask){.room = p.room, .before = 6, .count = 100});
    assert_int_equal(h->entries_n, 0);
    h = history(
        c, (struct f_history_ask){.room = p.room, .has_after = true, .after = 0, .count = 100});
    assert_int_equal(h->entries_n, 1); /* his join: he reads from there on */
    assert_int_equal(h->first, 6);
    client_flush(p.a);
    (void)pen_say(&p.pa, "open 3");
    client_flush(c);
    h = history(c, (struct f_history_ask){.room = p.room, .before = 100, .count = 100});
    assert_int_equal(h->entries_n, 2);
    assert_int_equal(h->first, 6);
    (void)pen_say(&p.pa, "open 4"); /* a page that begins in the middle of the room */
    client_flush(c);
    h = history(c, (struct f_history_ask){.room = p.room, .before = 100, .count = 100});
    assert_int_equal(h->entries_n, 3);
    assert_int_equal(h->first, 6);
    client_leave(c, p.room);
    client_flush(c);
    client_flush(p.a);
    (void)pen_say(&p.pa, "secret 4");
    client_say(c, F_HISTORY_ASK,
               &(struct f_history_ask){.id = 7, .room = p.room, .before = 9, .count = 9});
    client_error(c, CODE_NO_SUCH);
    client_enter(c, "lobby");
    client_flush(c);
    h = history(c, (struct f_history_ask){.room = p.room, .before = 100, .count = 100});
    assert_int_equal(h->entries_n, 1);
}

static void test_history_of_all(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bob");
    struct room_id room = client_room(a, "lobby", false, HISTORY_ALL);
    struct pen pen = pen_of(a, room);
    (void)state;
    (void)pen_say(&pen, "one");
    client_enter(b, "lobby");
    struct f_history *h = history(b, (struct f_history_ask){.room = room, .before = 9, .count = 9});
    assert_int_equal(h->entries_n, 3);
}

/* A page is cut at its bytes, whichever way it is read. */
/* However many pages are asked for: what waits for one commit is bounded. */
static void test_history_in_a_flood(void **state)
{
    static char text[TEXT_MAX + 1];
    struct pair p = pair_new();
    struct err e = {0};
    struct effect ef;
    unsigned n = 0;
    (void)state;
    memset(text, 'x', TEXT_MAX);
    for (int i = 0; i < 8; i++)
        (void)pen_say(&p.pa, text);
    assert_int_equal(core_begin(r->core, r->now, &e), 0);
    for (; !core_full(r->core); n++) {
        struct job *j = job_new(JOB_FRAME, p.a->conn);
        j->frame.type = F_HISTORY_ASK;
        j->frame.u.history_ask = (struct f_history_ask){
            .id = 1, .room = p.room, .has_after = true, .count = HISTORY_MAX};
        core_job(r->core, j);
    }
    assert_in_range(n, BATCH_BYTES / FRAME_MAX, 2 * BATCH_BYTES / HISTORY_BYTES);
    assert_int_equal(core_commit(r->core, &e), 0);
    while (core_effect(r->core, &ef))
        effect_drop(&ef);
    assert_int_equal(core_begin(r->core, r->now, &e), 0);
    assert_false(core_full(r->core));
    assert_int_equal(core_commit(r->core, &e), 0);
}

static void test_history_of_giants(void **state)
{
    struct pair p = pair_new();
    char *text = malloc(TEXT_MAX + 1);
    (void)state;
    memset(text, 'x', TEXT_MAX);
    text[TEXT_MAX] = '\0';
    for (int i = 0; i < 20; i++)
        (void)pen_say(&p.pa, text);
    free(text);
    client_flush(p.b);
    struct f_history *h =
        history(p.b, (struct f_history_ask){.room = p.room, .before = 99, .count = 100});
    assert_in_range(h->entries_n, 2, 19);
    assert_int_equal(h->entries[h->entries_n - 1].number, 22);
    h = history(p.b, (struct f_history_ask){.room = p.room, .has_after = true, .count = 100});
    assert_in_range(h->entries_n, 2, 19);
    assert_int_equal(h->first, 2);
}

/* --- rooms --- */

static void test_room_names(void **state)
{
    static const char *const taken[] = {"lobby", "LOBBY", "l-o-b-b-y", "l0bby"};
    struct client *a = client_member(r, "alice");
    (void)state;
    (void)client_room(a, "lobby", true, HISTORY_JOINED);
    for (size_t i = 0; i < COUNT(taken); i++) {
        client_say(a, F_ROOM_CREATE, &(struct f_room_create){.id = 5, .name = str_of(taken[i])});
        client_error(a, CODE_TAKEN);
    }
    client_say(a, F_ROOM_CREATE, &(struct f_room_create){.id = 5, .name = str_of("no such room")});
    client_error(a, CODE_BAD_NAME);
    client_say(a, F_ROOM_CREATE, &(struct f_room_create){.id = 5, .name = str_of("@ab")});
    client_error(a, CODE_BAD_NAME);
}

static void test_room_members_hear(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bob");
    struct client *a2 = client_again(a);
    (void)state;
    client_login(a2);
    client_flush(a2);
    struct room_id room = client_room(a, "lobby", false, HISTORY_JOINED);
    assert_true(client_got(a2, F_ROOM)->u.room.room.is_signed); /* another of his devices is in */
    assert_int_equal(client_got(a2, F_ENTRY)->u.entry.number, 1);
    client_enter(b, "lobby");
    assert_int_equal(client_got(a, F_ENTRY)->u.entry.number, 2);
    (void)client_got(a2, F_ENTRY);
    client_say(a, F_ROOM_TOPIC, &(struct f_room_topic){7, room, str_of("tea")});
    (void)client_got(a, F_OKAY);
    assert_true(str_is(client_got(b, F_TOPIC)->u.topic.topic, "tea"));
    client_say(b, F_ROOM_TOPIC, &(struct f_room_topic){7, room, str_of("coffee")});
    client_error(b, CODE_DENIED);
    client_leave(b, room);
    client_flush(a);
    client_flush(b);
    client_gone(b);
    assert_true(client_quiet(a)); /* no room is shared any more */
}

static void test_presence(void **state)
{
    struct pair p = pair_new();
    struct client *c = client_member(r, "carol"), *b2 = client_again(p.b);
    (void)state;
    client_login(b2);
    client_gone(p.b);
    assert_true(client_quiet(p.a)); /* bob's other connection is there */
    client_gone(b2);
    const struct f_presence *f = &client_got(p.a, F_PRESENCE)->u.presence;
    assert_false(f->online);
    assert_true(str_is(f->name, "bob"));
    struct client *b3 = client_again(p.b);
    client_login(b3);
    assert_true(client_got(p.a, F_PRESENCE)->u.presence.online);
    assert_true(client_quiet(c)); /* shares no room with him */
}

static void test_private_room(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bob"),
                  *c = client_member(r, "carol");
    struct room_id room = client_room(a, "cellar", true, HISTORY_JOINED);
    (void)state;
    client_say(b, F_ROOM_JOIN, &(struct f_room_join){1, str_of("cellar")});
    client_error(b, CODE_NO_SUCH);
    client_say(b, F_ROOM_JOIN, &(struct f_room_join){1, str_of("no-cellar")});
    client_error(b, CODE_NO_SUCH);
    client_say(b, F_ROOM_LIST, &(struct f_room_list){2});
    assert_int_equal(client_got(b, F_ROOMS)->u.rooms.rooms_n, 0);
    client_invite(a, room, b);
    (void)client_got(a, F_NUMBERED);
    assert_true(str_is(client_got(b, F_ROOM)->u.room.by, "alice"));
    struct pen pa = pen_of(a, room), pb = pen_of(b, room);
    (void)pen_say(&pa, "before he came");
    assert_true(client_quiet(b)); /* invited is not inside */
    struct entry_made m = pen_write(&pb, "not yet");
    entry_send(b, &m);
    entry_made_free(&m);
    client_error(b, CODE_DENIED);
    struct client *b2 = client_again(b); /* the invitation waits */
    client_login(b2);
    assert_int_equal(client_got(b2, F_WELCOME)->u.welcome.rooms_n, 0);
    assert_true(str_is(client_got(b2, F_ROOM)->u.room.by, "alice"));
    client_enter(b, "cellar");
    client_say(c, F_ROOM_JOIN, &(struct f_room_join){1, str_of("cellar")});
    client_error(c, CODE_NO_SUCH);
    client_invite(b, room, c);
    (void)client_got(b, F_NUMBERED);
    client_flush(c);
    client_enter(c, "cellar"); /* any member invites */
    client_leave(b, room);
    client_flush(b);
    client_say(b, F_ROOM_JOIN, &(struct f_room_join){1, str_of("cellar")});
    client_error(b, CODE_NO_SUCH); /* an invitation is for once */
}

static void test_direct_room(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bob");
    (void)state;
    struct room_id room = client_open(a, "BOB");
    const struct f_room *f = &client_got(b, F_ROOM)->u.room;
    assert_true(str_is(f->room.name, "alice"));
    assert_true(str_is(f->by, "alice"));
    assert_int_equal(f->room.kind, ROOM_DIRECT);
    assert_true(f->room.has_with);
    assert_memory_equal(&f->room.with, &a->account, sizeof a->account);
    assert_false(f->room.is_signed);
    assert_true(client_quiet(b)); /* her join comes when he has signed his */
    struct room_id same = client_open(b, "alice");
    assert_memory_equal(&same, &room, sizeof room);
    (void)client_got(a, F_ENTRY);
    client_say(a, F_ROOM_OPEN, &(struct f_room_open){1, str_of("alice")});
    client_error(a, CODE_NO_SUCH);
    client_say(a, F_ROOM_OPEN, &(struct f_room_open){1, str_of("nobody")});
    client_error(a, CODE_NO_SUCH);
    client_leave(a, room);
    assert_true(str_is(client_got(a, F_VOIDED)->u.voided.text, "a direct room cannot be left"));
    client_invite(a, room, b);
    (void)client_got(a, F_VOIDED);
    client_flush(b);
    struct pen pen = pen_of(a, room);
    (void)pen_say(&pen, "psst");
    (void)client_got(b, F_ENTRY);
    struct client *c = client_member(r, "carol");
    client_say(c, F_ROOM_LIST, &(struct f_room_list){2});
    assert_int_equal(client_got(c, F_ROOMS)->u.rooms.rooms_n, 0);
}

/* Its key in the store is no name: nobody joins by it, neither a stranger nor who is in it. */
static void test_direct_room_by_its_key(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bob");
    struct client *c = client_member(r, "carol");
    char x[2 * ACCOUNT_ID_LEN + 1], y[2 * ACCOUNT_ID_LEN + 1], key[2 * sizeof x + 1];
    (void)state;

    (void)client_open(a, "bob");
    client_flush(b);
    hex_put(x, span_of(a->account.b, sizeof a->account.b));
    hex_put(y, span_of(b->account.b, sizeof b->account.b));
    for (int swap = 0; swap < 2; swap++) {
        snprintf(key, sizeof key, "@%s%s", swap ? y : x, swap ? x : y);
        client_say(c, F_ROOM_JOIN, &(struct f_room_join){1, str_of(key)});
        client_error(c, CODE_NO_SUCH);
        client_say(b, F_ROOM_JOIN, &(struct f_room_join){1, str_of(key)});
        client_error(b, CODE_NO_SUCH);
    }
}

/* --- who is a member --- */

/* Signs any content with the client's own pen of the room. */
static void say_raw(struct client *c, struct room_id room, const char *content)
{
    struct pen p = pen_of(c, room);
    struct entry_line l = pen_line(&p);
    struct entry_made m;

    pen_make(&p, &l, content, &m);
    p.seq++;
    entry_line_hash(str_from(m.line, m.line_n), &p.prev);
    pen_keep(&p);
    entry_send(c, &m);
    entry_made_free(&m);
}

static void join_text(char out[512], const struct client *as, const char *name,
                      const struct client *with)
{
    char id[2 * ACCOUNT_ID_LEN + 1], other[2 * ACCOUNT_ID_LEN + 1];

    hex_put(id, span_of(as->account.b, ACCOUNT_ID_LEN));
    if (with != NULL)
        hex_put(other, span_of(with->account.b, ACCOUNT_ID_LEN));
    snprintf(out, 512, "{\"kind\":\"join\",\"account\":\"%s\",\"name\":\"%s\"%s%s%s%s%s}", id, name,
             with == NULL ? "" : ",\"with\":{\"account\":\"", with == NULL ? "" : other,
             with == NULL ? "" : "\",\"name\":\"", with == NULL ? "" : with->name,
             with == NULL ? "" : "\"}");
}

static unsigned members_listed(struct client *c, struct room_id room)
{
    client_say(c, F_MEMBERS_ASK, &(struct f_members_ask){++c->id, room});
    return (unsigned)client_got(c, F_MEMBERS)->u.members.members_n;
}

/* Who is admitted and signs nothing is no member, and what he writes is voided: the chain of an
 * honest one who had it in his outbox gets no hole. */
static void test_unsigned_is_no_member(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bob");
    struct room_id room = client_room(a, "lobby", false, HISTORY_ALL);
    char join[512];
    (void)state;
    client_say(b, F_ROOM_JOIN, &(struct f_room_join){1, str_of("lobby")});
    assert_false(client_got(b, F_ROOM)->u.room.room.is_signed);
    assert_int_equal(members_listed(a, room), 1);
    struct pen pen = pen_of(a, room);
    (void)pen_say(&pen, "to members alone");
    assert_true(client_quiet(b));
    say_raw(b, room, "{\"kind\":\"say\",\"text\":\"I am not here\"}");
    assert_non_null(client_got(b, F_VOIDED)->u.voided.text.p);
    assert_true(client_got(a, F_ENTRY)->u.entry.why.n > 0);
    say_raw(b, room, "{\"kind\":\"leave\"}");
    (void)client_got(b, F_VOIDED);
    (void)client_got(a, F_ENTRY);
    assert_true(client_quiet(b));
    join_text(join, b, "bob", NULL);
    say_raw(b, room, join);
    assert_true(client_got(b, F_ROOM)->u.room.room.is_signed);
    (void)client_got(b, F_NUMBERED);
    (void)client_got(a, F_ENTRY);
    assert_int_equal(members_listed(a, room), 2);
    say_raw(b, room, join); /* another device of his had it under way too */
    assert_true(str_is(client_got(b, F_VOIDED)->u.voided.text, "you are a member already"));
}

/* A join in another's name, or of a room of two with the wrong other one, is a lie. */
static void test_join_lies(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bob"),
                  *c = client_member(r, "carol");
    struct room_id room = client_room(a, "lobby", false, HISTORY_ALL), direct;
    char join[6][512];
    (void)state;
    client_say(a, F_ROOM_OPEN, &(struct f_room_open){1, str_of("bob")});
    direct = client_got(a, F_ROOM)->u.room.room.id;
    client_flush(b);
    join_text(join[0], a, "bob", NULL);   /* another account */
    join_text(join[1], b, "alice", NULL); /* another name */
    join_text(join[2], b, "bob", a);      /* as if this were a room of two */
    join_text(join[3], b, "bob", NULL);   /* as if it were not */
    join_text(join[4], b, "bob", c);
    join_text(join[5], b, "bob", b);
    for (size_t i = 0; i < COUNT(join); i++) {
        struct client *k = client_again(b);
        client_login(k);
        client_say(k, F_ROOM_JOIN, &(struct f_room_join){1, str_of("lobby")});
        client_flush(k);
        say_raw(k, i < 3 ? room : direct, join[i]);
        client_error(k, CODE_BAD_ENTRY);
        assert_true(k->closed);
        client_free(k);
    }
    assert_int_equal(members_listed(a, room), 1);
    join_text(join[0], b, "bob", a);
    say_raw(b, direct, join[0]);
    client_numbered(b);
}

static void invite_text(char out[512], const struct client *guest, const char *name, uint64_t at)
{
    char id[2 * ACCOUNT_ID_LEN + 1], roster[2 * HASH_LEN + 1];

    hex_put(id, span_of(guest->account.b, ACCOUNT_ID_LEN));
    memset(roster, '0', sizeof roster - 1);
    roster[sizeof roster - 1] = '\0';
    snprintf(
        out, 512,
        "{\"kind\":\"invite\",\"account\":\"%s\",\"name\":\"%s\",\"roster\":\"%s\",\"at\":%llu}",
        id, name, roster, (unsigned long long)at);
}

static void test_invite_refused(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bob"),
                  *c = client_member(r, "carol"), ghost = {.account = {{7}}};
    struct room_id cellar = client_room(a, "cellar", true, HISTORY_ALL);
    struct room_id lobby = client_room(a, "lobby", false, HISTORY_ALL);
    struct err e = {0};
    char text[512];
    const struct {
        const struct client *guest;
        const char *name;
        uint64_t at;
        struct room_id room;
        const char *why;
    } rows[] = {
        {b, "bob", 1, lobby, "only private rooms are by invitation"},
        {&ghost, "bob", 1, cellar, "there is no such person"},
        {b, "carol", 1, cellar, "there is no such person"},
        {c, "carol", 1, cellar, "there is no such person"},
        {a, "alice", 1, cellar, "that person is a member already"},
        {b, "bob", 1000, cellar, "it vouches for members of later"},
    };
    (void)state;
    assert_int_equal(operator_disable(&r->store, "carol", true, r->now, &e), 0);
    relay_refresh(r);
    for (size_t i = 0; i < COUNT(rows); i++) {
        invite_text(text, rows[i].guest, rows[i].name, rows[i].at);
        say_raw(a, rows[i].room, text);
        const struct f_voided *v = &client_got(a, F_VOIDED)->u.voided;
        if (!str_is(v->text, rows[i].why))
            fail_msg("%zu: %.*s", i, (int)v->text.n, v->text.p);
    }
    assert_true(client_quiet(b));
    client_say(a, F_PERSON_ASK, &(struct f_person_ask){1, str_of("Bob")});
    assert_memory_equal(&client_got(a, F_PERSON)->u.person.account, &b->account, sizeof b->account);
    struct str said[2];
    client_say(a, F_PERSON_ASK, &(struct f_person_ask){1, str_of("carol")}); /* hidden */
    said[0] = client_got(a, F_ERROR)->u.error.text;
    assert_true(str_is(said[0], "there is no such person"));
    client_say(a, F_PERSON_ASK, &(struct f_person_ask){1, str_of("nobody")});
    said[1] = client_got(a, F_ERROR)->u.error.text;
    assert_true(str_is(said[1], "there is no such person"));
}

/* All joins, leaves and invitations, and nothing else, in pages. */
static void test_roll(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bob");
    struct room_id room = client_room(a, "cellar", true, HISTORY_JOINED);
    uint64_t after = 0, found = 0;
    (void)state;
    for (int i = 0; i < HISTORY_MAX / 3 + 5; i++) {
        struct pen pen = pen_of(a, room);
        (void)pen_say(&pen, "nothing of members");
        client_invite(a, room, b);
        client_enter(b, "cellar");
        client_leave(b, room);
        client_flush(a);
        client_flush(b);
    }
    client_invite(a, room, b);
    client_enter(b, "cellar");
    client_flush(b);
    for (int page = 0; page < 2; page++) {
        client_say(b, F_ROLL_ASK, &(struct f_roll_ask){1, room, after});
        const struct f_roll *x = &client_got(b, F_ROLL)->u.roll;
        for (size_t i = 0; i < x->entries_n; i++) {
            struct content what;
            struct err e = {0};
            assert_true(x->entries[i].number > after);
            after = x->entries[i].number;
            assert_int_equal(content_take(&what,
                                          span_of(x->entries[i].body.p + OPENING_LEN,
                                                  x->entries[i].body.n - OPENING_LEN),
                                          &e),
                             0);
            assert_true(content_seats(what.kind));
            content_free(&what);
        }
        found += x->entries_n;
        assert_true(page == 0 ? x->upto == after : x->upto >= after);
    }
    assert_int_equal(found, 1 + 3 * (HISTORY_MAX / 3 + 5) + 2);
}

static void test_owner_goes(void **state)
{
    struct pair p = pair_new();
    (void)state;
    client_leave(p.a, p.room);
    client_flush(p.b);
    client_say(p.b, F_ROOM_TOPIC, &(struct f_room_topic){2, p.room, str_of("mine")});
    (void)client_got(p.b, F_OKAY);
}

/* Words that do not look like each other. */
static void room_word(char name[32], unsigned i)
{
    static const char letters[] = "bcdefghkpqtx";
    snprintf(name, 32, "%c%c%c", letters[i / 144 % 12], letters[i / 12 % 12], letters[i % 12]);
}

static void test_rooms_limit(void **state)
{
    struct client *a = client_member(r, "alice");
    char name[16];
    (void)state;
    for (int i = 0; i < ROOMS_MAX; i++) {
        snprintf(name, sizeof name, "r%c%c", 'a' + i / 24 + 2,
                 "abcdefghjkmnpqrstuvwxyz24578"[i % 24]);
        (void)client_room(a, name, false, HISTORY_JOINED);
    }
    client_say(a, F_ROOM_CREATE, &(struct f_room_create){.id = 5, .name = str_of("toomany")});
    client_error(a, CODE_LIMIT);
    struct client *b = client_again(a);
    client_login(b);
    assert_int_equal(client_got(b, F_WELCOME)->u.welcome.rooms_n, ROOMS_MAX);
}

/* Made and left again they stay on the relay: not for ever more. */
static void test_rooms_made_and_left(void **state)
{
    struct client *a = client_member(r, "alice");
    char name[32];
    (void)state;
    for (unsigned i = 0; i < ROOMS_EVER_MAX; i++) {
        room_word(name, i);
        struct room_id room = client_room(a, name, true, HISTORY_JOINED);
        client_leave(a, room);
        client_flush(a);
    }
    client_say(a, F_ROOM_CREATE, &(struct f_room_create){.id = 1, .name = str_of("onemore")});
    client_error(a, CODE_LIMIT);
}

static void test_invitations_limit(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bob");
    char name[32];
    (void)state;
    for (unsigned i = 0; i <= INVITED_MAX; i++) {
        room_word(name, i);
        struct room_id room = client_room(a, name, true, HISTORY_JOINED);
        client_invite(a, room, b);
        (void)client_got(a, i < INVITED_MAX ? F_NUMBERED : F_VOIDED);
        client_leave(a, room);
        client_flush(a);
        client_flush(b);
    }
    room_word(name, 0);
    client_enter(b, name); /* one followed makes place for another */
    struct room_id room = client_room(a, "late", true, HISTORY_JOINED);
    client_invite(a, room, b);
    (void)client_got(a, F_NUMBERED);
}

static void test_delivered(void **state)
{
    struct pair p = pair_new();
    (void)state;
    (void)pen_say(&p.pa, "one");
    (void)client_got(p.b, F_ENTRY);
    client_say(p.b, F_DELIVERED_SAY, &(struct f_delivered_say){p.room, 4}); /* not there yet */
    assert_true(client_quiet(p.a));
    client_say(p.b, F_DELIVERED_SAY, &(struct f_delivered_say){p.room, 3});
    assert_int_equal(client_got(p.a, F_DELIVERED)->u.delivered.number, 3);
    client_say(p.b, F_DELIVERED_SAY, &(struct f_delivered_say){p.room, 3}); /* no news */
    assert_true(client_quiet(p.a));
    client_say(p.a, F_MEMBERS_ASK, &(struct f_members_ask){9, p.room});
    const struct f_members *m = &client_got(p.a, F_MEMBERS)->u.members;
    assert_int_equal(m->members_n, 2);
    uint64_t sum = 0;
    for (size_t i = 0; i < m->members_n; i++) {
        sum += m->members[i].delivered;
        assert_int_equal(m->members[i].devices_n, 1);
        assert_true(m->members[i].online);
    }
    assert_int_equal(sum, 3);
}

static void test_delivered_in_large_rooms(void **state)
{
    struct client *a = client_member(r, "alice"), *c = NULL;
    struct room_id room = client_room(a, "lobby", false, HISTORY_JOINED);
    struct pen pen = pen_of(a, room);
    (void)state;
    for (int i = 0; i < DELIVERED_MEMBERS_MAX; i++) {
        char name[16];
        guest(name, (unsigned)i);
        c = client_member(r, name);
        client_enter(c, "lobby");
    }
    (void)c;
    client_flush(a);
    (void)pen_say(&pen, "one");
    client_say(c, F_DELIVERED_SAY, &(struct f_delivered_say){room, 1});
    assert_true(client_quiet(a));
}

static void test_cert(void **state)
{
    struct pair p = pair_new();
    struct client *c = client_member(r, "carol");
    (void)state;
    client_say(p.a, F_CERT_ASK, &(struct f_cert_ask){1, p.b->fp});
    const struct f_cert *f = &client_got(p.a, F_CERT)->u.cert;
    assert_true(span_same(f->chain[0], span_of(p.b->leaf.b, p.b->leaf.n)));
    assert_int_equal(f->chain_n, 2);
    client_say(c, F_CERT_ASK, &(struct f_cert_ask){1, p.b->fp});
    client_error(c, CODE_NO_SUCH); /* shares no room with him */
    client_leave(p.b, p.room);
    client_flush(p.a);
    client_say(p.a, F_CERT_ASK, &(struct f_cert_ask){1, p.b->fp});
    (void)client_got(p.a, F_CERT); /* past members too */
    client_flush(p.b);
    client_say(p.b, F_CERT_ASK, &(struct f_cert_ask){1, p.a->fp});
    client_error(p.b, CODE_NO_SUCH);
}

/* A8: who may ask for what about a private room of others, by role. One row a verb. */
enum who { OWNER, MEMBER, INVITED, FORMER, STRANGER, WHOS };

static const struct {
    enum frame_type type;
    enum content_kind kind;     /* of an entry */
    enum proto_code code[WHOS]; /* CODE_COUNT: allowed */
} rights[] = {
#define YES CODE_COUNT
#define NO  CODE_NO_SUCH
#define OUT CODE_DENIED
    {F_MEMBERS_ASK, 0, {YES, YES, NO, NO, NO}},
    {F_ROLL_ASK, 0, {YES, YES, NO, NO, NO}},
    {F_HISTORY_ASK, 0, {YES, YES, NO, NO, NO}},
    {F_CHECKPOINT_ASK, 0, {YES, YES, NO, NO, NO}},
    {F_TREE_ASK, 0, {YES, YES, NO, NO, NO}},
    {F_ROOM_TOPIC, 0, {YES, YES, NO, NO, NO}},
    {F_CERT_ASK, 0, {YES, YES, NO, NO, NO}},
    {F_ENTRY_SAY, CONTENT_SAY, {YES, YES, OUT, OUT, OUT}},
    {F_ENTRY_SAY, CONTENT_INVITE, {YES, YES, OUT, OUT, OUT}},
    {F_ENTRY_SAY, CONTENT_LEAVE, {YES, YES, OUT, OUT, OUT}},
    {F_ENTRY_SAY, CONTENT_JOIN, {YES, YES, OUT, OUT, OUT}},
    {F_DELIVERED_SAY, 0, {YES, YES, NO, NO, NO}},
    {F_ROOM_JOIN, 0, {YES, YES, YES, NO, NO}},
#undef YES
#undef NO
#undef OUT
};

static void ask_seat(struct client *c, enum content_kind kind, struct room_id room,
                     const struct client *guest)
{
    char text[512] = "{\"kind\":\"leave\"}";

    if (kind == CONTENT_SAY)
        snprintf(text, sizeof text, "{\"kind\":\"say\",\"text\":\"x\"}");
    if (kind == CONTENT_JOIN)
        join_text(text, c, c->name, NULL);
    if (kind == CONTENT_INVITE)
        invite_text(text, guest, guest->name, 1);
    say_raw(c, room, text);
}

static void ask(struct client *c, size_t row, struct room_id room, const struct hash *fp,
                const struct client *guest)
{
    switch (rights[row].type) {
    case F_MEMBERS_ASK: client_say(c, F_MEMBERS_ASK, &(struct f_members_ask){50, room}); break;
    case F_ROLL_ASK: client_say(c, F_ROLL_ASK, &(struct f_roll_ask){50, room, 0}); break;
    case F_CHECKPOINT_ASK:
        client_say(c, F_CHECKPOINT_ASK, &(struct f_checkpoint_ask){50, room, 0, 0});
        break;
    case F_TREE_ASK: client_say(c, F_TREE_ASK, &(struct f_tree_ask){50, room, 1}); break;
    case F_HISTORY_ASK:
        client_say(c, F_HISTORY_ASK,
                   &(struct f_history_ask){.id = 50, .room = room, .before = 99, .count = 9});
        break;
    case F_ROOM_TOPIC:
        client_say(c, F_ROOM_TOPIC, &(struct f_room_topic){50, room, str_of("x")});
        break;
    case F_CERT_ASK: client_say(c, F_CERT_ASK, &(struct f_cert_ask){50, *fp}); break;
    case F_ROOM_JOIN:
        client_say(c, F_ROOM_JOIN, &(struct f_room_join){50, str_of("cellar")});
        break;
    case F_DELIVERED_SAY: client_say(c, F_DELIVERED_SAY, &(struct f_delivered_say){room, 1}); break;
    default: ask_seat(c, rights[row].kind, room, guest);
    }
}

static enum proto_code answer(struct client *c)
{
    struct span json;
    struct err e = {0};
    enum proto_code code = CODE_COUNT;

    while (frames_next(&c->in, &json, &e) == 1) {
        struct frame f = {0};
        assert_int_equal(frame_take(&f, json, FROM_RELAY, &e), 0);
        if (f.type == F_ERROR)
            code = f.u.error.code;
        frame_free(&f);
    }
    return code;
}

static void rights_row(size_t row, enum who who)
{
    struct client *c[WHOS], *witness;
    static const char *const names[WHOS] = {"alice", "bob", "carol", "erin", "frank"};
    struct client *dave = client_enrol(r, "dave");
    for (size_t i = 0; i < WHOS; i++)
        c[i] = client_member(r, names[i]);
    witness = client_member(r, "walter");
    struct room_id room = client_room(c[OWNER], "cellar", true, HISTORY_ALL);
    for (size_t i = MEMBER; i <= FORMER; i++)
        client_invite(c[OWNER], room, c[i]);
    client_invite(c[OWNER], room, witness);
    for (size_t i = 0; i < WHOS; i++)
        client_flush(c[i]);
    client_flush(witness);
    client_enter(witness, "cellar");
    client_enter(c[MEMBER], "cellar");
    client_enter(c[FORMER], "cellar");
    client_leave(c[FORMER], room);
    struct pen pen = pen_of(witness, room);
    client_flush(witness);
    (void)pen_say(&pen, "x");
    for (size_t i = 0; i < WHOS; i++)
        client_flush(c[i]);
    client_flush(witness);
    ask(c[who], row, room, &witness->fp, dave);
    enum proto_code got = answer(c[who]), want = rights[row].code[who];
    if (rights[row].type == F_DELIVERED_SAY) { /* no answer: what others hear counts */
        assert_int_equal(client_quiet(witness), want != CODE_COUNT);
        return;
    }
    if (got != want)
        fail_msg("%s by %s: %s, not %s", frame_name(rights[row].type), names[who],
                 got == CODE_COUNT ? "allowed" : proto_code_word(got),
                 want == CODE_COUNT ? "allowed" : proto_code_word(want));
    if (want != CODE_COUNT)
        assert_true(client_quiet(witness));
}

static void test_rights(void **state)
{
    for (size_t row = 0; row < COUNT(rights); row++)
        for (enum who who = 0; who < WHOS; who++) {
            rights_row(row, who);
            (void)teardown(state);
            (void)setup(state);
        }
}

/* --- the batch --- */

static int commit_fails(void *db, struct err *e)
{
    r->ops->rollback(db);
    return err_set(e, ERR_IO, "fsync: Input/output error");
}

/* F4: after a commit that failed nothing is acknowledged, published, or tried again. */
static void test_commit_fails(void **state)
{
    struct pair p = pair_new();
    struct store_ops ops = *r->ops;
    struct entry_made m = pen_write(&p.pa, "lost");
    struct f_entry_say f = {str_from(m.line, m.line_n), span_of(m.sig, m.sig_n), buf_span(&m.body)};
    struct buf b;
    struct err e = {0};
    struct effect ef;
    struct core *c;
    (void)state;
    ops.commit = commit_fails;
    struct core_conf conf = {.store = {&ops, r->store.db}, .rng = r->rng};
    assert_null(core_new(&conf, r->now, &e)); /* it says so at its start, too */
    e = (struct err){0};
    ops.commit = r->ops->commit;
    c = core_new(&conf, r->now, &e);
    assert_non_null(c);
    while (core_effect(c, &ef))
        effect_drop(&ef);
    buf_init(&b, FRAME_MAX);
    assert_int_equal(f_entry_say_put(&b, &f, &e), 0);
    buf_free(&b);
    entry_made_free(&m);
    core_free(c);
    /* the same with a job in it */
    struct store bad = {&ops, r->store.db};
    conf.store = bad;
    c = core_new(&conf, r->now, &e);
    ops.commit = commit_fails;
    while (core_effect(c, &ef))
        effect_drop(&ef);
    struct job *j = job_new(JOB_FRAME, 1);
    j->frame.type = F_LOGIN;
    j->frame.u.login.id = 1;
    j->auth.client_cert = p.a->fp;
    assert_int_equal(core_begin(c, r->now, &e), 0);
    core_job(c, j);
    assert_false(core_effect(c, &ef)); /* not before the commit */
    assert_int_equal(core_commit(c, &e), -1);
    assert_non_null(strstr(e.text, "Input/output error"));
    assert_false(core_effect(c, &ef)); /* and never after this one */
    e = (struct err){0};
    assert_int_equal(core_begin(c, r->now, &e), -1);
    core_free(c);
    r->ops->rollback(r->store.db);
}

static void test_audit_of_strangers(void **state)
{
    struct err e = {0};
    (void)state;
    assert_int_equal(core_begin(r->core, r->now, &e), 0);
    for (int i = 0; i < 3 * AUDIT_SOURCES_MAX; i++) {
        struct job *j = job_new(JOB_AUDIT, 0);
        snprintf(j->source, sizeof j->source, "198.51.%d.%d", i / 2 / 256, i / 2 % 256);
        snprintf(j->reason, sizeof j->reason, "unknown-ca");
        core_job(r->core, j);
    }
    assert_int_equal(core_commit(r->core, &e), 0);
    struct audit_find f = relay_audit(r, "refused", "unknown-ca");
    assert_int_equal(f.count, 3 * AUDIT_SOURCES_MAX);
    assert_int_equal(f.rows, AUDIT_SOURCES_MAX / 2 + 1);
}

/* Whoever has one address of an IPv6 network has 2^64 of them. */
static void test_audit_of_a_network(void **state)
{
    struct err e = {0};
    (void)state;
    assert_int_equal(core_begin(r->core, r->now, &e), 0);
    for (int i = 0; i < 300; i++) {
        struct job *j = job_new(JOB_AUDIT, 0);
        snprintf(j->source, sizeof j->source, "2001:db8:0:%d::%x", i % 3, i + 1);
        snprintf(j->reason, sizeof j->reason, "unknown-ca");
        core_job(r->core, j);
    }
    assert_int_equal(core_commit(r->core, &e), 0);
    struct audit_find f = relay_audit(r, "refused", "unknown-ca");
    assert_int_equal(f.count, 300);
    assert_int_equal(f.rows, 3);
}

static void test_crl_reaches_all(void **state)
{
    struct pair p = pair_new();
    struct client *stranger = client_stranger(r);
    struct err e = {0};
    struct effect ef;
    (void)state;
    assert_int_equal(core_begin(r->core, r->now, &e), 0);
    assert_int_equal(core_set_crl(r->core, span_of("crl", 3), &e), 0);
    assert_int_equal(core_commit(r->core, &e), 0);
    unsigned everyone = 0;
    while (core_effect(r->core, &ef)) {
        everyone += ef.kind == EFFECT_EVERYONE;
        effect_drop(&ef);
    }
    assert_int_equal(everyone, 1);
    assert_true(client_quiet(stranger));
    struct client *a2 = client_again(p.a);
    client_login(a2);
    assert_true(span_same(client_got(a2, F_WELCOME)->u.welcome.crl, span_of("crl", 3)));
}

/* What a restart finds is what was there. */
static void test_restart(void **state)
{
    struct pair p = pair_new();
    (void)state;
    (void)pen_say(&p.pa, "one");
    (void)pen_say(&p.pa, "two");
    relay_restart(r);
    struct client *a = client_again(p.a);
    client_login(a);
    const struct f_room_info *i = &client_got(a, F_WELCOME)->u.welcome.rooms[0];
    assert_int_equal(i->number, 4);
    assert_true(i->has_own);
    assert_int_equal(i->own.number, 4);
    p.pa.c = a;
    assert_int_equal(pen_say(&p.pa, "three"), 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest tests[] = {
    TEST(test_login),
    TEST(test_login_wrong_password),
    TEST(test_login_proof_of_other_connection),
    TEST(test_login_other_password_for_certificate),
    TEST(test_frames_out_of_their_time),
    TEST(test_login_disabled),
    TEST(test_login_revoked),
    TEST(test_login_refusals_are_alike),
    TEST(test_login_guessing),
    TEST(test_login_guessing_doubles),
    TEST(test_login_salt_of_nobody),
    TEST(test_login_salt_of_the_disabled),
    TEST(test_login_guessing_at_once),
    TEST(test_login_guessing_from_one_net),
    TEST(test_login_too_many),
    TEST(test_proof_after_resume),
    TEST(test_resume),
    TEST(test_resume_refused),
    TEST(test_resume_after_logout),
    TEST(test_logout_beside_a_dead_connection),
    TEST(test_resume_ends_after_the_password),
    TEST(test_resume_after_restart),
    TEST(test_join_again_same_answer),
    TEST(test_join_refused),
    TEST(test_join_email),
    TEST(test_join_fifty_in_turn),
    TEST(test_join_fifty_in_one_batch),
    TEST(test_join_names),
    TEST(test_join_for_lost_device),
    TEST(test_join_further_device),
    TEST(test_resume_after_another_password),
    TEST(test_members_of_many_devices),
    TEST(test_join_bound_to_other_name),
    TEST(test_sealed_record),
    TEST(test_entry),
    TEST(test_entry_spoiled),
    TEST(test_entry_ahead),
    TEST(test_entry_resent),
    TEST(test_entry_two_lines_one_seq),
    TEST(test_entry_elsewhere),
    TEST(test_entry_of_former_member),
    TEST(test_entry_void),
    TEST(test_entry_of_new_device),
    TEST(test_entry_of_a_stranger_is_cheap),
    TEST(test_entry_first_of_two_devices),
    TEST(test_entry_seen_of_long_ago),
    TEST(test_one_encoding),
    TEST(test_history),
    TEST(test_history_before_joining),
    TEST(test_history_of_all),
    TEST(test_history_of_giants),
    TEST(test_history_in_a_flood),
    TEST(test_room_names),
    TEST(test_room_members_hear),
    TEST(test_presence),
    TEST(test_private_room),
    TEST(test_direct_room),
    TEST(test_direct_room_by_its_key),
    TEST(test_unsigned_is_no_member),
    TEST(test_join_lies),
    TEST(test_invite_refused),
    TEST(test_roll),
    TEST(test_owner_goes),
    TEST(test_rooms_limit),
    TEST(test_rooms_made_and_left),
    TEST(test_invitations_limit),
    TEST(test_delivered),
    TEST(test_delivered_in_large_rooms),
    TEST(test_cert),
    TEST(test_rights),
    TEST(test_commit_fails),
    TEST(test_audit_of_strangers),
    TEST(test_audit_of_a_network),
    TEST(test_crl_reaches_all),
    TEST(test_restart),
};

int main(void)
{
    int rc = cmocka_run_group_tests_name("relay over memory", tests, NULL, NULL);
    relay_store = "sqlite";
    return rc + cmocka_run_group_tests_name("relay over sqlite", tests, NULL, NULL);
}
