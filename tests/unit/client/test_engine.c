/* The engine against a relay that lies: every check of docs/protocol.md 6 and 7, one lie each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/joined.h"
#include "support_engine.h"

/* --- login --- */

static void test_login(void **state)
{
    struct stage *s = stage_new(state);

    stage_login(s);
    assert_int_equal(s->told.ready, 1);
    assert_int_equal(s->told.passwords, 1);
    assert_int_equal(engine_phase(s->g), ENGINE_ONLINE);
    assert_non_null(engine_room_named(s->g, str_of("OPS")));
    assert_null(engine_room_named(s->g, str_of("@ops")));
    /* again: the token saves the password, and where it is refused the derived key does */
    stage_lost(s);
    stage_login(s);
    assert_int_equal(s->resumes, 1);
    stage_lost(s);
    stage_login(s);
    assert_int_equal(s->told.ready, 3);
    assert_int_equal(s->logins, 2);
    assert_int_equal(s->told.passwords, 1);
    stage_free(s);
}

/* The key that joining derived spares the login its Argon2id, but only for its own salt. */
static void test_login_key_kept(void **state)
{
    static const uint8_t asked[SALT_LEN] = {0}; /* by the stage's relay */
    struct stage *s = stage_new(state);
    struct account_key kept = {.salted = s->salted};
    struct hash root;

    cert_fingerprint(span_of(s->root.b, s->root.n), &root);
    account_salt(kept.salt, &root, str_of("alice"), asked);
    s->login = &kept;
    stage_engine(s);
    wipe(&kept, sizeof kept); /* the engine has its own */
    stage_login(s);
    assert_int_equal(s->told.ready, 1);
    assert_int_equal(s->told.passwords, 0);

    kept = (struct account_key){.salted = s->salted}; /* another salt's */
    stage_engine(s);
    stage_login(s);
    assert_int_equal(s->told.ready, 2);
    assert_int_equal(s->told.passwords, 1);
    stage_free(s);
}

static void expect_closed(struct stage *s, const char *why, bool again)
{
    stage_serve(s);
    assert_int_equal(s->told.closes, 1);
    if (strstr(s->told.close, why) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", why, s->told.close);
    assert_int_equal(s->told.again, again);
    assert_int_equal(s->told.ready, 0);
}

static void test_login_cheap_hash(void **state)
{
    struct stage *s = stage_new(state);

    stage_link(s);
    struct f_challenge c = {.re = 1, .t = 1, .m = 7}; /* we joined with 8 */
    stage_feed(s, F_CHALLENGE, &c);
    expect_closed(s, "t=1 m=7", false);
    assert_int_equal(s->told.passwords, 0);
    stage_free(s);
}

static void test_login_relay_unproven(void **state)
{
    struct stage *s = stage_new(state);

    stage_link(s);
    engine_sent(s->g, engine_out(s->g).n);
    stage_welcome(s, 1, false); /* no proof at all, in place of a challenge */
    expect_closed(s, "could not prove", false);
    stage_free(s);

    s = stage_new(state);
    s->lie_proof = true;
    stage_login(s);
    expect_closed(s, "could not prove", false);
    stage_free(s);
}

static void test_login_refused(void **state)
{
    struct stage *s = stage_new(state);
    const struct f_error no = {.re = 1, .code = CODE_AUTH, .text = str_of("refused")};

    stage_link(s);
    stage_feed(s, F_ERROR, &no);
    s->told.ready = 0;
    expect_closed(s, "wrong password", false);
    assert_int_equal(s->told.close_code, ERR_AUTH);
    stage_free(s);
}

static void test_login_version(void **state)
{
    struct stage *s = stage_new(state);
    const struct f_hello_relay hello = {.v = 2, .now = s->now, .relay = str_of("relay.test")};

    engine_linked(s->g, &s->peer);
    stage_feed(s, F_HELLO_RELAY, &hello);
    expect_closed(s, "version 2", false);
    stage_free(s);
}

static void test_before_login(void **state)
{
    struct stage *s = stage_new(state);
    struct f_presence p = {.name = str_of("bob"), .online = true};

    stage_link(s);
    stage_feed(s, F_PRESENCE, &p);
    expect_closed(s, "presence", true);
    stage_free(s);
}

static void test_ping(void **state)
{
    struct stage *s = stage_new(state);
    struct f_ping ping = {false};

    stage_login(s);
    s->mono += PING_MS;
    assert_true(engine_deadline(s->g) <= s->mono);
    engine_tick(s->g);
    assert_true(engine_out(s->g).n > 0);
    stage_serve(s);
    stage_feed(s, F_PING, &ping);
    s->mono += 2 * PING_MS;
    engine_tick(s->g);
    stage_serve(s);
    assert_int_equal(s->told.closes, 1);
    assert_non_null(strstr(s->told.close, "nothing was heard"));
    stage_free(s);
}

/* --- good entries --- */

static void test_good(void **state)
{
    struct stage *s = stage_new(state);
    struct hash which;
    struct err e = {0};
    char fp[2 * HASH_LEN + 1];

    stage_login(s);
    stage_push(s, stage_write(s, BOB, "hello"));
    assert_int_equal(s->told.good, 1);
    assert_string_equal(s->told.text, "hello");
    assert_false(s->told.vouched);
    assert_int_equal(s->delivered, 3);

    /* the machine compares: a wrong digit differs, the right ones are believed from now on */
    hex_put(fp, span_of(s->who[BOB].fp.b, HASH_LEN));
    assert_int_equal(engine_verify(s->g, str_of("bob"), str_of("abcd"), &which, &e), -1);
    fp[10] = fp[10] == '0' ? '1' : '0';
    assert_int_equal(engine_verify(s->g, str_of("bob"), str_of(fp), &which, &e), 0);
    hex_put(fp, span_of(s->who[BOB].fp.b, HASH_LEN));
    assert_int_equal(engine_verify(s->g, str_of("carol"), str_of(fp), &which, &e), -1);
    err_clear(&e);
    assert_int_equal(engine_verify(s->g, str_of("@bob"), str_of(fp), &which, &e), 1);
    stage_push(s, stage_write(s, BOB, "again"));
    assert_true(s->told.vouched);
    assert_int_equal(s->told.refused, 0);
    stage_free(s);
}

static void test_catch_up(void **state)
{
    struct stage *s = stage_new(state);
    char text[16];

    stage_log(s, stage_join(s, CAROL));
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "m%d", i);
        stage_log(s, stage_write(s, i % 3 == 0 ? CAROL : BOB, text));
    }
    s->carol_in = true;
    stage_login(s);
    assert_int_equal(s->told.good, 20);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(s->told.numbers[i], i + 3);
    assert_int_equal(s->told.seats, 3);
    assert_int_equal(s->told.caught, 1);
    assert_int_equal(s->delivered, 23);
    /* a gap in what is delivered is filled by number */
    stage_log(s, stage_write(s, BOB, "not pushed"));
    stage_push(s, stage_write(s, BOB, "pushed"));
    assert_int_equal(s->told.good, 22);
    assert_string_equal(s->told.text, "pushed");
    /* twice is once */
    stage_send(s, &s->log[24]);
    assert_int_equal(s->told.good, 22);
    assert_int_equal(s->told.refused + s->told.alarms, 0);
    stage_free(s);
}

static void test_unknown_kind(void **state)
{
    struct stage *s = stage_new(state);
    struct entry_line l;

    stage_login(s);
    stage_line(s, BOB, &l);
    stage_push(s, stage_forge(s, BOB, &l, "{\"kind\":\"dance\",\"steps\":3}"));
    assert_int_equal(s->told.good, 1);
    assert_string_equal(s->told.kind, "dance");
    assert_string_equal(s->told.text, "");
    stage_free(s);
}

/* --- lies about one entry --- */

static struct item *lie_forged(struct stage *s)
{
    struct item *it = stage_write(s, BOB, "pay carol");
    struct entry_line l;
    struct err e = {0};

    assert_int_equal(entry_line_take(&l, str_from(it->made.line, it->made.line_n), &e), 0);
    stage_resign(s, it, CAROL, &l); /* bob's name, carol's signature */
    return it;
}

static struct item *lie_edited(struct stage *s)
{
    struct item *it = stage_write(s, BOB, "pay 10");
    it->made.body.p[it->made.body.off + it->made.body.len - 4] ^= 1;
    return it;
}

static struct item *lie_time_in_line(struct stage *s)
{
    struct item *it = stage_write(s, BOB, "now");
    struct entry_line l;
    struct err e = {0};

    assert_int_equal(entry_line_take(&l, str_from(it->made.line, it->made.line_n), &e), 0);
    l.ts += 1;
    it->made.line_n = entry_line_put(it->made.line, &l); /* the old signature stays */
    return it;
}

static struct item *lie_reattributed(struct stage *s)
{
    struct item *it = stage_write(s, BOB, "it was me");
    struct entry_line l;
    struct err e = {0};

    s->carol_in = true;
    assert_int_equal(entry_line_take(&l, str_from(it->made.line, it->made.line_n), &e), 0);
    l.author = s->who[CAROL].fp;
    it->made.line_n = entry_line_put(it->made.line, &l);
    return it;
}

static struct item *lie_commitment(struct stage *s)
{
    struct item *it = stage_write(s, BOB, "I said nothing");
    struct entry_line l;
    struct err e = {0};

    assert_int_equal(entry_line_take(&l, str_from(it->made.line, it->made.line_n), &e), 0);
    l.commitment.b[5] ^= 1;
    stage_resign(s, it, BOB, &l);
    return it;
}

static struct item *lie_epoch(struct stage *s)
{
    struct item *it = stage_write(s, BOB, "later");
    struct entry_line l;
    struct err e = {0};

    assert_int_equal(entry_line_take(&l, str_from(it->made.line, it->made.line_n), &e), 0);
    l.epoch = 1;
    stage_resign(s, it, BOB, &l);
    return it;
}

static struct item *lie_content(struct stage *s)
{
    struct entry_line l;

    stage_line(s, BOB, &l);
    return stage_forge(s, BOB, &l, "{\"kind\":\"say\",\"kind\":\"say\",\"text\":\"x\"}");
}

static struct item *lie_seen(struct stage *s)
{
    struct entry_line l;

    stage_push(s, stage_write(s, BOB, "one"));
    stage_line(s, BOB, &l);
    l.seen_head.b[0] ^= 1;
    return stage_forge(s, BOB, &l, "{\"kind\":\"say\",\"text\":\"x\"}");
}

static struct item *lie_seen_ahead(struct stage *s)
{
    struct entry_line l;

    stage_line(s, BOB, &l);
    l.seen_number = s->log_n + 1; /* its own number */
    return stage_forge(s, BOB, &l, "{\"kind\":\"say\",\"text\":\"x\"}");
}

static struct item *lie_dropped(struct stage *s)
{
    item_free(stage_write(s, BOB, "withheld for good"));
    return stage_write(s, BOB, "what remains");
}

static struct item *lie_prev(struct stage *s)
{
    struct item *it;
    struct entry_line l;
    struct err e = {0};

    stage_push(s, stage_write(s, BOB, "one"));
    it = stage_write(s, BOB, "two");
    assert_int_equal(entry_line_take(&l, str_from(it->made.line, it->made.line_n), &e), 0);
    l.prev.b[1] ^= 1;
    stage_resign(s, it, BOB, &l);
    return it;
}

/* A first line may follow one of another device of the account, not just any hash. */
static struct item *lie_prev_of_first(struct stage *s)
{
    struct item *it = stage_join(s, CAROL);
    struct entry_line l;
    struct err e = {0};

    assert_int_equal(entry_line_take(&l, str_from(it->made.line, it->made.line_n), &e), 0);
    l.prev.b[1] ^= 1;
    stage_resign(s, it, CAROL, &l);
    return it;
}

static struct item *lie_replayed(struct stage *s)
{
    struct item *again = calloc(1, sizeof *again);

    stage_push(s, stage_write(s, BOB, "transfer 10"));
    assert_non_null(again);
    *again = s->log[0];
    buf_init(&again->made.body, BODY_MAX);
    struct span body = buf_span(&s->log[0].made.body);
    assert_int_equal(buf_add(&again->made.body, body.p, body.n), 0);
    return again; /* goes out under the next number */
}

static struct item *lie_reordered(struct stage *s)
{
    struct item *one = stage_write(s, BOB, "one");

    stage_push(s, stage_write(s, BOB, "two")); /* refused: one is missing */
    assert_int_equal(s->told.refused, 1);
    assert_non_null(strstr(s->told.why, "missing"));
    s->told.refused = 0;
    return one;
}

static struct item *lie_stranger(struct stage *s)
{
    return stage_write(s, CAROL, "hello from outside");
}

static struct item *lie_other_ca(struct stage *s)
{
    return stage_write(s, MALLORY, "I am bob");
}

static struct item *lie_revoked(struct stage *s)
{
    stage_push(s, stage_write(s, BOB, "still good"));
    assert_int_equal(s->told.good, 1);
    stage_revoke(s, BOB, s->now + 1000);
    s->now += 2000;
    return stage_write(s, BOB, "from the stolen laptop");
}

static struct item *lie_expired(struct stage *s)
{
    s->now += 400 * 24 * 3600 * INT64_C(1000);
    stage_revoke(s, PEOPLE, 0); /* a fresh list */
    return stage_write(s, BOB, "from the grave");
}

static struct item *lie_unknown_cert(struct stage *s)
{
    struct item *it = stage_write(s, BOB, "who am I");
    struct entry_line l;
    struct err e = {0};

    assert_int_equal(entry_line_take(&l, str_from(it->made.line, it->made.line_n), &e), 0);
    memset(l.author.b, 1, sizeof l.author.b);
    stage_resign(s, it, BOB, &l);
    return it;
}

static struct item *lie_wrong_cert(struct stage *s)
{
    s->lie_cert = true; /* bob's certificate under carol's fingerprint */
    return stage_write(s, CAROL, "hm");
}

static const struct lie {
    const char *name;
    struct item *(*make)(struct stage *s);
    const char *why; /* in the reason that is shown */
    bool is_signed;
} lies[] = {
    {"forged", lie_forged, "signature", false},
    {"edited body", lie_edited, "body", true},
    {"edited line", lie_time_in_line, "signature", false},
    {"re-attributed", lie_reattributed, "signature", false},
    {"wrong commitment", lie_commitment, "commit", true},
    {"epoch", lie_epoch, "encrypted", true},
    {"malformed content", lie_content, "", true},
    {"forked seen", lie_seen, "another history", true},
    {"seen ahead of itself", lie_seen_ahead, "another history", true},
    {"dropped before it", lie_dropped, "missing", true},
    {"wrong prev", lie_prev, "changed", true},
    {"wrong first prev", lie_prev_of_first, "changed", true},
    {"replayed", lie_replayed, "shown before", true},
    {"reordered", lie_reordered, "out of order", true},
    {"stranger", lie_stranger, "not a member", false},
    {"another CA", lie_other_ca, "certificate", false},
    {"revoked", lie_revoked, "revoked", false},
    {"expired", lie_expired, "expired", false},
    {"unknown certificate", lie_unknown_cert, "certificate", false},
    {"certificate swapped", lie_wrong_cert, "not the certificate", false},
};

struct last_line {
    uint64_t numbers[2];
    unsigned n;
    struct hash hash, prev;
    bool is_signed, refused;
    size_t text_n;
};

static int keep_last_line(void *ctx, const struct engine_line *l)
{
    struct last_line *x = ctx;

    assert_true(x->n < COUNT(x->numbers));
    x->numbers[x->n++] = l->entry->number;
    x->hash = l->hash;
    x->prev = l->prev;
    x->is_signed = l->entry->is_signed;
    x->refused = l->entry->refused != NULL;
    x->text_n = l->entry->text.n;
    assert_true(l->sig_bytes > 0 && l->body_bytes > 0);
    return 0;
}

/* What the pages of evidence show of the line that came last. */
static struct last_line last_line(struct stage *s)
{
    struct last_line x = {.n = 0};
    struct err e = {0};

    assert_int_equal(engine_lines(s->g, &s->room, 0, 2, keep_last_line, &x, &e), 0);
    assert_int_equal(x.n, 2);
    assert_int_equal(x.numbers[0] + 1, x.numbers[1]);
    assert_int_equal(x.numbers[1], s->log_n);
    return x;
}

static void test_lines(void **state)
{
    struct stage *s = stage_new(state);
    struct room_id other = {{1}};
    struct err e = {0};

    stage_login(s);
    stage_push(s, stage_write(s, BOB, "one"));
    struct last_line one = last_line(s);
    assert_true(one.is_signed && !one.refused);
    assert_int_equal(one.text_n, 3);
    stage_push(s, stage_write(s, BOB, "two"));
    struct last_line two = last_line(s);
    assert_true(hash_same(&two.prev, &one.hash));

    struct last_line x = {.n = 0};
    assert_int_equal(engine_lines(s->g, &s->room, 2, 1, keep_last_line, &x, &e), 0);
    assert_int_equal(x.n, 1);
    assert_int_equal(x.numbers[0], 2);
    assert_int_equal(engine_lines(s->g, &other, 0, 1, keep_last_line, &x, &e), -1);
    stage_free(s);
}

static void test_lies(void **state)
{
    for (size_t i = 0; i < COUNT(lies); i++) {
        struct stage *s = stage_new(state);
        stage_login(s);
        struct item *it = lies[i].make(s);
        unsigned good = s->told.good;
        stage_push(s, it);
        if (s->told.refused != 1 || s->told.good != good)
            fail_msg("%s: refused %u, good %u more", lies[i].name, s->told.refused,
                     s->told.good - good);
        if (strstr(s->told.why, lies[i].why) == NULL)
            fail_msg("%s: \"%s\" is not in \"%s\"", lies[i].name, lies[i].why, s->told.why);
        if (s->told.is_signed != lies[i].is_signed)
            fail_msg("%s: is_signed is %d", lies[i].name, s->told.is_signed);
        struct last_line l = last_line(s);
        assert_true(l.refused && l.text_n == 0);
        assert_int_equal(l.is_signed, lies[i].is_signed);
        const struct engine_room *r = engine_room_get(s->g, &s->room);
        assert_true(r->refused >= 1);
        assert_int_equal(r->number, s->log_n); /* one lie does not stop the room */
        assert_int_equal(s->told.closes, 0);
        stage_free(s);
    }
}

/* A relay of an ephemeral room has forgotten the head that long ago was: it cannot refuse a member
 * who says that it was another, and is not accused of showing one. */
static void test_old_seen_of_an_ephemeral_room(void **state)
{
    for (unsigned past = HEADS_KEPT; past <= HEADS_KEPT + 1; past++) {
        struct stage *s = stage_new(state);
        struct entry_line l;

        s->ephemeral = true;
        stage_login(s);
        stage_push(s, stage_write(s, BOB, "first"));
        uint64_t seen = s->log_n;
        while (s->log_n + 1 < seen + past)
            stage_push(s, stage_write(s, BOB, "more"));
        stage_line(s, BOB, &l);
        l.seen_number = seen;
        memset(l.seen_head.b, 7, sizeof l.seen_head.b);
        stage_push(s, stage_forge(s, BOB, &l, "{\"kind\":\"say\",\"text\":\"x\"}"));
        assert_int_equal(s->told.refused, 1);
        assert_int_equal(s->told.alarms, 1);
        assert_non_null(strstr(s->told.alarm, "bob"));
        assert_true((strstr(s->told.alarm, "the relay shows different") == NULL) ==
                    (past > HEADS_KEPT));
        stage_free(s);
    }
}

static void test_time_never_refuses(void **state)
{
    struct stage *s = stage_new(state);
    struct entry_line l;

    stage_login(s);
    stage_line(s, BOB, &l);
    l.ts = 1;
    stage_push(s, stage_forge(s, BOB, &l, "{\"kind\":\"say\",\"text\":\"old clock\"}"));
    assert_int_equal(s->told.good, 1);
    stage_free(s);
}

/* After a gap that the author's signature proves, what follows is good again: reported once. */
static void test_gap_once(void **state)
{
    struct stage *s = stage_new(state);

    stage_login(s);
    stage_push(s, stage_write(s, BOB, "one"));
    item_free(stage_write(s, BOB, "dropped"));
    stage_push(s, stage_write(s, BOB, "three"));
    stage_push(s, stage_write(s, BOB, "four"));
    assert_int_equal(s->told.refused, 1);
    assert_int_equal(s->told.good, 2);
    assert_string_equal(s->told.text, "four");
    stage_free(s);
}

/* --- lies about history --- */

static void test_withheld(void **state)
{
    struct stage *s = stage_new(state);

    stage_login(s);
    stage_push(s, stage_write(s, BOB, "one"));
    stage_log(s, stage_write(s, BOB, "two"));
    s->lie_hole = true;
    s->hole_at = 4;
    stage_push(s, stage_write(s, BOB, "three"));
    assert_int_equal(s->told.good, 1);
    assert_int_equal(s->told.alarms, 1);
    assert_non_null(strstr(s->told.alarm, "withholds message 4"));
    assert_true(engine_room_get(s->g, &s->room)->broken);
    /* late is too late while this connection lasts; nothing is asked in a circle */
    unsigned asked = s->history_asked;
    stage_send(s, &s->log[3]);
    stage_send(s, &s->log[4]);
    assert_int_equal(s->told.good, 1);
    assert_int_equal(s->history_asked, asked);
    assert_int_equal(s->delivered, 3);
    /* an honest answer at the next login heals it */
    s->lie_hole = false;
    stage_lost(s);
    stage_login(s);
    assert_int_equal(s->told.good, 3);
    stage_free(s);
}

static void test_nothing_given(void **state)
{
    struct stage *s = stage_new(state);

    stage_log(s, stage_write(s, BOB, "one"));
    s->lie_hole = true;
    s->hole_at = 1;
    stage_login(s);
    assert_int_equal(s->told.alarms, 1);
    assert_int_equal(s->history_asked, 1);
    assert_int_equal(s->told.good, 0);
    stage_free(s);
}

static void test_wrong_head(void **state)
{
    struct stage *s = stage_new(state);

    stage_login(s);
    stage_push(s, stage_write(s, BOB, "one"));
    stage_log(s, stage_write(s, BOB, "two"));
    s->lie_head = true;
    stage_push(s, stage_write(s, BOB, "three"));
    assert_int_equal(s->told.good, 1);
    assert_int_equal(s->told.alarms, 1);
    assert_non_null(strstr(s->told.alarm, "does not continue"));
    stage_free(s);
}

static void expect_withheld(struct stage *s, const char *why)
{
    memset(&s->told, 0, sizeof s->told);
    stage_login(s);
    if (strstr(s->told.all_alarms, why) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", why, s->told.all_alarms);
    assert_true(engine_room_get(s->g, &s->room)->broken);
    assert_int_equal(s->told.good, 0);
    stage_push(s, stage_write(s, BOB, "after"));
    assert_int_equal(s->told.good, 0);
}

/* What was verified must be followed by its next number, and a stored room has no window. */
static void test_begins_later(void **state)
{
    struct stage *s = stage_new(state);

    stage_login(s);
    stage_push(s, stage_write(s, BOB, "one"));
    stage_log(s, stage_write(s, BOB, "hidden"));
    s->lie_first = 1;
    stage_push(s, stage_write(s, BOB, "shown"));
    assert_int_equal(s->told.good, 1);
    assert_int_equal(s->told.alarms, 1);
    assert_non_null(strstr(s->told.alarm, "does not continue what was verified at 3"));
    assert_int_equal(engine_room_get(s->g, &s->room)->number, 3);
    stage_free(s);
}

/* Before the number with which ours begin: there only its head is known. */
static void test_changed_before(void **state)
{
    struct stage *s = stage_new(state);

    s->from = 2;
    stage_login(s);
    stage_push(s, stage_write(s, BOB, "read"));
    assert_int_equal(s->told.good, 1);
    assert_int_equal(s->told.alarms, 0);
    stage_lost(s);
    s->log[0].time++;
    expect_withheld(s, "has changed its history before number 2");
    stage_free(s);
}

static void test_other_room(void **state)
{
    struct stage *s = stage_new(state);
    struct entry_line l;

    stage_login(s);
    stage_push(s, stage_write(s, BOB, "one"));
    stage_line(s, BOB, &l);
    l.room = stage_room_id(0xbb);
    struct item *it = stage_forge(s, BOB, &l, "{\"kind\":\"say\",\"text\":\"said elsewhere\"}");
    stage_log(s, it);
    stage_push(s, stage_write(s, BOB, "two"));
    assert_int_equal(s->told.refused, 1);
    assert_non_null(strstr(s->told.why, "another room"));
    assert_int_equal(s->told.good, 2);
    stage_free(s);
}

static void test_rewritten(void **state)
{
    struct stage *s = stage_new(state);

    stage_login(s);
    stage_push(s, stage_write(s, BOB, "one"));
    struct item *it = stage_write(s, BOB, "one, differently");
    it->number = 1;
    stage_send(s, it);
    item_free(it);
    assert_int_equal(s->told.good, 1);
    assert_int_equal(s->told.alarms, 1);
    assert_int_equal(engine_room_get(s->g, &s->room)->refused, 1);
    stage_free(s);
}

/* When it was said does not change either. */
static void test_redated(void **state)
{
    struct stage *s = stage_new(state);

    stage_login(s);
    stage_push(s, stage_write(s, BOB, "one"));
    s->log[2].time++;
    stage_send(s, &s->log[2]);
    assert_int_equal(s->told.alarms, 1);
    assert_non_null(strstr(s->told.alarm, "another message 3 than before"));
    assert_int_equal(engine_room_get(s->g, &s->room)->refused, 1);
    stage_free(s);
}

static void test_lost_history(void **state)
{
    struct stage *s = stage_new(state);

    stage_login(s);
    stage_push(s, stage_write(s, BOB, "one"));
    stage_push(s, stage_write(s, BOB, "two"));
    stage_lost(s);
    entry_made_free(&s->log[3].made);
    s->log_n = 3;
    stage_login(s);
    assert_int_equal(s->told.alarms, 1);
    assert_non_null(strstr(s->told.alarm, "has lost messages"));
    stage_free(s);
}

/* The last page first, then older ones that must lead to it. */
static struct stage *stage_paged(void **state)
{
    struct stage *s = stage_new(state);
    char text[16];

    for (int i = 0; i < 60; i++) {
        snprintf(text, sizeof text, "m%d", i);
        stage_log(s, stage_write(s, BOB, text));
    }
    s->paged = true;
    stage_engine(s);
    return s;
}

static void test_older(void **state)
{
    struct stage *s = stage_paged(state);
    struct err e = {0};

    stage_login(s);
    assert_int_equal(s->told.good, 49); /* and her join */
    assert_int_equal(s->told.numbers[0], 13);
    memset(&s->told, 0, sizeof s->told);
    assert_true(engine_older(s->g, &s->room, 100, &e) != 0);
    stage_serve(s);
    assert_int_equal(s->told.good, 11);
    assert_int_equal(s->told.numbers[0], 12); /* newest first: each goes above the last */
    assert_true(s->told.older);
    assert_int_equal(s->told.answers, 1);
    assert_true(engine_room_get(s->g, &s->room)->begun);
    stage_free(s);
}

static void test_older_forged(void **state)
{
    struct stage *s = stage_paged(state);
    struct item *it;
    struct entry_line l;
    struct err e = {0};

    stage_login(s);
    memset(&s->told, 0, sizeof s->told);
    stage_line(s, BOB, &l);
    l.seq = 5;
    it = stage_forge(s, BOB, &l, "{\"kind\":\"say\",\"text\":\"never said\"}");
    it->number = 5;
    s->insert = it;
    assert_true(engine_older(s->g, &s->room, 100, &e) != 0);
    stage_serve(s);
    assert_int_equal(s->told.good + s->told.refused, 0);
    assert_int_equal(s->told.alarms, 1);
    assert_int_equal(engine_room_get(s->g, &s->room)->refused, 12);
    s->insert = NULL;
    item_free(it);
    stage_free(s);
}

/* Bob's message 6 is not the one that his next follows: by its hash, or by its count. */
static void test_older_not_followed(void **state)
{
    for (unsigned count = 0; count < 2; count++) {
        struct stage *s = stage_new(state);
        struct err e = {0};
        for (int i = 0; i < 60; i++) {
            if (i == 5 && count)
                s->who[BOB].seq++;
            else if (i == 5)
                s->who[BOB].prev.b[0] ^= 1;
            stage_log(s, stage_write(s, BOB, "m"));
        }
        s->paged = true;
        stage_engine(s);
        stage_login(s);
        assert_int_equal(s->told.refused, 0);
        memset(&s->told, 0, sizeof s->told);
        assert_true(engine_older(s->g, &s->room, 100, &e) != 0);
        stage_serve(s);
        assert_int_equal(s->told.refused, 1);
        assert_non_null(strstr(s->told.why, "after it is missing or was changed"));
        assert_int_equal(s->told.good, 10);
        stage_free(s);
    }
}

/* Alice signs that she leaves, and the connection goes. */
static void leave(struct stage *s)
{
    struct err e = {0};

    assert_true(engine_room_leave(s->g, &s->room, &e) != 0);
    stage_serve(s);
    assert_int_equal(s->seat_said, CONTENT_LEAVE);
    stage_lost(s);
}

/* She comes again, and asks for the room. */
static void rejoin(struct stage *s)
{
    struct err e = {0};

    s->gone = true;
    memset(&s->told, 0, sizeof s->told);
    stage_login(s);
    s->gone = false;
    assert_true(engine_room_join(s->g, str_of("ops"), &e) != 0);
    stage_serve(s);
}

/* Who was away does not know what an honest author counted meanwhile. */
static void test_rejoined(void **state)
{
    struct stage *s = stage_new(state);

    stage_login(s);
    stage_push(s, stage_write(s, BOB, "before"));
    leave(s);
    stage_log(s, stage_write(s, BOB, "not for her"));
    stage_log(s, stage_write(s, BOB, "nor this"));
    s->from = 7;
    rejoin(s);
    assert_int_equal(s->told.notes, 1); /* that 5 to 6 are missing is said */
    stage_push(s, stage_write(s, BOB, "after"));
    stage_push(s, stage_write(s, BOB, "and on"));
    assert_int_equal(s->told.good, 2);
    assert_int_equal(s->told.refused + s->told.alarms, 0);
    /* but what she had read before is not said anew */
    struct item again = s->log[2];
    again.number = 10;
    stage_send(s, &again);
    assert_int_equal(s->told.refused, 1);
    stage_free(s);
}

/* The relay cannot say that she was away: she signed no leave. Nothing moves, on her disk too. */
static void test_never_away(void **state)
{
    for (unsigned anew = 0; anew < 2; anew++) {
        struct stage *s = stage_new(state);
        struct keep_room before, after;
        struct err e = {0};
        stage_login(s);
        stage_push(s, stage_write(s, BOB, "read"));
        stage_lost(s);
        stage_log(s, stage_write(s, BOB, "hidden"));
        stage_log(s, stage_write(s, BOB, "shown"));
        s->from = 5;
        assert_int_equal(s->keep.ops->room_get(s->keep.k, &s->room, &before, &e), 1);
        if (anew)
            stage_engine(s);
        expect_withheld(s, "withholds messages 4 to 4, and you never left");
        assert_int_equal(s->keep.ops->room_get(s->keep.k, &s->room, &after, &e), 1);
        assert_true(after.based && after.number == before.number &&
                    hash_same(&after.head, &before.head));
        stage_free(s);
    }
}

/* That she was away once does not make room for a later gap. */
static void test_away_before(void **state)
{
    struct stage *s = stage_new(state);

    stage_login(s);
    leave(s);
    stage_log(s, stage_write(s, BOB, "not for her"));
    s->from = 5;
    rejoin(s);
    assert_int_equal(s->told.alarms, 0);
    stage_lost(s);
    stage_log(s, stage_write(s, BOB, "hidden"));
    stage_log(s, stage_write(s, BOB, "shown"));
    s->from = s->log_n;
    expect_withheld(s, "you never left");
    stage_free(s);
}

static void test_from_behind_the_end(void **state)
{
    struct stage *s = stage_new(state);

    stage_login(s);
    stage_lost(s);
    s->from = s->log_n + 2;
    expect_withheld(s, "begins behind its end");
    stage_free(s);
}

/* Older pages after such a gap stop at it. */
static void test_rejoined_older(void **state)
{
    struct stage *s = stage_paged(state);
    struct err e = {0};

    s->from = 1;
    stage_login(s); /* 13 to 62 */
    leave(s);
    stage_log(s, stage_write(s, BOB, "not for her"));
    s->from = 65;
    for (int i = 0; i < 3; i++)
        stage_log(s, stage_write(s, BOB, "after"));
    rejoin(s);
    assert_int_equal(s->told.good, 3);
    assert_true(engine_room_get(s->g, &s->room)->begun);
    assert_true(engine_older(s->g, &s->room, 100, &e) != 0);
    stage_serve(s);
    assert_int_equal(s->told.refused + s->told.alarms, 0);
    stage_free(s);
}

/* A new program on the same disk has shown nothing yet, however much is kept. */
static void test_restart_shows(void **state)
{
    struct stage *s = stage_new(state);
    struct err e = {0};

    stage_login(s);
    stage_push(s, stage_write(s, BOB, "one"));
    stage_push(s, stage_write(s, BOB, "two"));
    stage_engine(s);
    memset(&s->told, 0, sizeof s->told);
    stage_login(s);
    assert_false(engine_room_get(s->g, &s->room)->begun);
    assert_true(engine_older(s->g, &s->room, 100, &e) != 0);
    stage_serve(s);
    assert_int_equal(s->told.good, 2);
    assert_true(engine_room_get(s->g, &s->room)->begun);
    stage_free(s);
}

/* --- revocation lists --- */

static void test_no_crl(void **state)
{
    struct stage *s = stage_new(state);

    s->lie_crl = true;
    stage_login(s);
    expect_closed(s, "no valid list", true);
    stage_free(s);
}

/* An entry is not judged by a list that went out of date, and nobody honest stands as refused. */
static void test_crl_stale(void **state)
{
    struct stage *s = stage_new(state);

    stage_login(s);
    memset(&s->told, 0, sizeof s->told);
    s->now += 2 * 24 * 3600 * (int64_t)1000;
    stage_push(s, stage_write(s, BOB, "later"));
    assert_int_equal(s->told.good + s->told.refused, 0);
    expect_closed(s, "no valid list", true);
    stage_lost(s);
    stage_login(s); /* with a new one */
    assert_int_equal(s->told.good, 1);
    assert_int_equal(s->told.refused, 0);
    stage_free(s);
}

/* What cannot be said in a frame is the asker's mistake and costs no connection. */
static void test_request_impossible(void **state)
{
    struct stage *s = stage_new(state);
    struct err e = {0};

    stage_login(s);
    static char name[60000];
    memset(name, 'a', sizeof name);
    assert_true(engine_room_topic(s->g, &s->room, str_of("two\nlines"), &e) == 0);
    assert_int_equal(e.code, ERR_DATA);
    err_clear(&e);
    assert_true(engine_room_join(s->g, str_from(name, sizeof name), &e) == 0);
    assert_int_equal(e.code, ERR_DATA);
    stage_serve(s);
    assert_int_equal(s->told.closes, 0);
    stage_push(s, stage_write(s, BOB, "still here"));
    assert_int_equal(s->told.good, 1);
    stage_free(s);
}

/* --- the outbox --- */

static void test_say(void **state)
{
    struct stage *s = stage_new(state);
    struct err e = {0};

    stage_login(s);
    stage_push(s, stage_write(s, BOB, "question"));
    assert_int_equal(stage_say(s, "answer", &e), 2);
    assert_int_equal(s->told.state, ENGINE_RELAY);
    assert_int_equal(s->told.number, 4);
    assert_string_equal(s->told.text, "answer");
    assert_int_equal(s->told.good, 2); /* it appears once */
    stage_send(s, &s->log[3]);
    assert_int_equal(s->told.good, 2);
    struct f_delivered d = {.room = s->room, .number = 4};
    memset(d.account.b, BOB + 1, sizeof d.account.b);
    stage_feed(s, F_DELIVERED, &d);
    assert_int_equal(s->told.state, ENGINE_DELIVERED);
    assert_int_equal(stage_say(s, "and more", &e), 3);
    assert_int_equal(s->told.state, ENGINE_RELAY);
    assert_int_equal(s->told.alarms + s->told.closes, 0);
    stage_free(s);
}

static void test_too_long(void **state)
{
    struct stage *s = stage_new(state);
    char *text = malloc(TEXT_MAX + 2);
    struct err e = {0};

    assert_non_null(text);
    memset(text, 'x', TEXT_MAX + 1);
    text[TEXT_MAX + 1] = '\0';
    stage_login(s);
    assert_int_equal(stage_say(s, text, &e), 0);
    assert_non_null(strstr(e.text, "65537 bytes"));
    assert_int_equal(s->said_n, 0);
    assert_int_equal(engine_room_get(s->g, &s->room)->queued, 0);
    text[TEXT_MAX] = '\0';
    assert_int_equal(stage_say(s, text, &e), 2);
    assert_int_equal(s->said_n, 1);
    err_clear(&e);
    assert_int_equal(stage_say(s, "", &e), 0);
    assert_int_equal(stage_say(s, "\xff\xfe", &e), 0);
    assert_int_equal(s->said_n, 1);
    free(text);
    stage_free(s);
}

static void test_resend(void **state)
{
    struct stage *s = stage_new(state);
    struct err e = {0};

    s->mute = true;
    stage_login(s);
    assert_int_equal(stage_say(s, "one", &e), 2);
    assert_int_equal(stage_say(s, "two", &e), 3);
    assert_int_equal(s->said_n, 1); /* two waits for the answer to one */
    stage_lost(s);
    stage_login(s);
    assert_int_equal(s->said_n, 2);
    assert_string_equal(s->said_line[0], s->said_line[1]);
    assert_memory_equal(s->said_sig[0], s->said_sig[1], 256);
    assert_true(hash_same(&s->said_body[0], &s->said_body[1]));
    /* and after the engine itself was lost: from the disk */
    s->mute = false;
    stage_engine(s);
    stage_login(s);
    assert_string_equal(s->said_line[0], s->said_line[2]);
    assert_memory_equal(s->said_sig[0], s->said_sig[2], 256);
    assert_true(hash_same(&s->said_body[0], &s->said_body[2]));
    assert_int_equal(s->said_n, 4);
    assert_int_equal(engine_room_get(s->g, &s->room)->queued, 0);
    stage_free(s);
}

static void test_again(void **state)
{
    struct stage *s = stage_new(state);
    struct f_again again = {.room = s->room, .seq = 2, .wait = 500, .text = str_of("busy")};
    struct err e = {0};

    s->mute = true;
    stage_login(s);
    stage_say(s, "one", &e);
    stage_feed(s, F_AGAIN, &again);
    assert_int_equal(s->told.state, ENGINE_QUEUED);
    assert_string_equal(s->told.why, "busy");
    engine_tick(s->g);
    stage_serve(s);
    assert_int_equal(s->said_n, 1);
    s->mono += 501;
    engine_tick(s->g);
    stage_serve(s);
    assert_int_equal(s->said_n, 2);
    assert_string_equal(s->said_line[0], s->said_line[1]);
    stage_feed(s, F_AGAIN, &again);
    stage_lost(s); /* the next connection does not wait */
    stage_login(s);
    assert_int_equal(s->said_n, 3);
    assert_string_equal(s->said_line[0], s->said_line[2]);
    stage_free(s);
}

/* A clock too far ahead signs nothing: it would hold up all that is said later. */
static void test_clock_ahead(void **state)
{
    struct stage *s = stage_new(state);
    struct err e = {0};

    stage_login(s);
    s->now += TS_FUTURE_MS + 1;
    assert_int_equal(stage_say(s, "early", &e), 0);
    assert_int_equal(e.code, ERR_AGAIN);
    assert_non_null(strstr(e.text, "clock is 5 min ahead"));
    assert_int_equal(s->said_n, 0);
    s->mono += 1; /* both went on */
    assert_int_equal(stage_say(s, "in time", &e), 2);
    assert_int_equal(s->said_n, 1);
    stage_lost(s); /* nobody there to compare with: kept, and the relay says when */
    s->now += 10 * TS_FUTURE_MS;
    assert_int_equal(stage_say(s, "alone", &e), 3);
    stage_free(s);
}

static void test_void_and_denied(void **state)
{
    struct stage *s = stage_new(state);
    struct err e = {0};

    s->mute = true;
    stage_login(s);
    stage_say(s, "rude", &e);
    struct f_voided v = {s->room, 2, 3, s->now, str_of("not here"), .has_root = false};
    stage_feed(s, F_VOIDED, &v);
    assert_int_equal(s->told.state, ENGINE_FAILED);
    assert_int_equal(engine_room_get(s->g, &s->room)->number, 3); /* the chain has no hole */
    assert_int_equal(stage_say(s, "two", &e), 3);
    struct f_error no = {.code = CODE_DENIED,
                         .text = str_of("not a member"),
                         .has_room = true,
                         .room = s->room,
                         .seq = 3};
    stage_feed(s, F_ERROR, &no);
    assert_int_equal(s->told.state, ENGINE_FAILED);
    assert_int_equal(s->told.closes, 0);
    assert_int_equal(engine_room_get(s->g, &s->room)->queued, 1); /* the bytes stay */
    stage_free(s);
}

/* Refused, it would be refused again: the relay ends the connection, and the room is closed. */
static void test_bad_entry(void **state)
{
    struct stage *s = stage_new(state);
    const struct f_error no = {.code = CODE_BAD_ENTRY, .text = str_of("its signature is wrong")};
    struct err e = {0};

    s->mute = true;
    stage_login(s);
    stage_feed(s, F_ERROR, &no);
    assert_int_equal(s->told.alarms, 0); /* nothing was on its way */
    assert_int_equal(s->told.closes, 1);
    stage_lost(s);
    stage_login(s);
    stage_say(s, "one", &e);
    stage_feed(s, F_ERROR, &no);
    assert_int_equal(s->told.closes, 2);
    assert_int_equal(s->told.alarms, 1);
    assert_non_null(strstr(s->told.alarm, "does not accept what follows our own messages"));
    assert_int_equal(stage_say(s, "two", &e), 0);
    assert_int_equal(engine_room_get(s->g, &s->room)->queued, 1); /* the bytes stay */

    /* it is tried once more, since it may have been another room's; then no connection is spent */
    stage_lost(s);
    stage_login(s);
    stage_feed(s, F_ERROR, &no);
    assert_int_equal(s->told.alarms, 2);
    stage_lost(s);
    stage_login(s);
    assert_true(engine_room_get(s->g, &s->room)->read_only);
    stage_feed(s, F_ERROR, &no);
    assert_int_equal(s->told.alarms, 2); /* nothing was on its way */
    assert_int_equal(engine_room_get(s->g, &s->room)->queued, 1);
    stage_free(s);
}

static void test_stray_answer(void **state)
{
    struct stage *s = stage_new(state);
    struct f_numbered n = {s->room, 1, 1, s->now, .has_root = false};

    stage_login(s);
    stage_feed(s, F_NUMBERED, &n);
    assert_int_equal(s->told.closes, 1);
    assert_int_equal(s->told.close_code, ERR_PEER);
    stage_free(s);

    /* one that waits in the outbox, but was never sent: neither taken nor refused */
    struct err e = {0};
    s = stage_new(state);
    s->mute = true;
    stage_login(s);
    stage_say(s, "one", &e);
    stage_say(s, "two", &e);
    n.seq = 3;
    stage_feed(s, F_NUMBERED, &n);
    assert_int_equal(s->told.closes, 1);
    assert_int_equal(engine_room_get(s->g, &s->room)->queued, 2);
    stage_lost(s);
    stage_login(s);
    const struct f_error no = {.code = CODE_DENIED,
                               .text = str_of("not a member"),
                               .has_room = true,
                               .room = s->room,
                               .seq = 3};
    s->told.states = 0;
    stage_feed(s, F_ERROR, &no);
    assert_int_equal(s->told.closes, 2);
    assert_int_equal(s->told.close_code, ERR_PEER);
    assert_int_equal(s->told.states, 0);
    stage_free(s);
}

/* --- the answer to a join --- */

static void answer_try(struct joining j, struct f_joined x, const char *why)
{
    struct err e = {0};
    int ret = joined_check(&j, &x, &e);

    if ((ret == 0) != (why == NULL))
        fail_msg("%s: %d %s", why == NULL ? "good" : why, ret, e.text);
    if (why != NULL && strstr(e.text, why) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", why, e.text);
}

static void test_joined(void **state)
{
    struct stage *s = *state;
    struct err e = {0};
    uint8_t spki[SPKI_MAX], other[SPKI_MAX];
    size_t n, other_n;
    const struct person *alice = s->who + ALICE, *bob = s->who + BOB, *fake = s->who + MALLORY;
    const struct span chain[2] = {span_of(alice->leaf.b, alice->leaf.n),
                                  span_of(s->inter.b, s->inter.n)};
    const struct span bobs[2] = {span_of(bob->leaf.b, bob->leaf.n), chain[1]};
    const struct span fakes[2] = {span_of(fake->leaf.b, fake->leaf.n),
                                  span_of(s->other_inter.b, s->other_inter.n)};
    const struct span root = span_of(s->root.b, s->root.n);

    assert_int_equal(pkey_spki(alice->key, spki, &n, &e), 0);
    assert_int_equal(pkey_spki(fake->key, other, &other_n, &e), 0);
    struct joining j = {
        .spki = span_of(spki, n), .account = "alice", .device = "laptop", .now = 1750000000000};
    cert_fingerprint(root, &j.root);
    struct f_joined x = {.chain = chain, .chain_n = 2, .root = root};
    answer_try(j, x, NULL);

    struct f_joined y = x;
    y.root = span_of(s->other_root.b, s->other_root.n);
    answer_try(j, y, "not that of the invite");
    y = x;
    y.chain = bobs;
    answer_try(j, y, "another key");
    y.chain = fakes; /* another CA certified our key */
    struct joining k = j;
    k.spki = span_of(other, other_n);
    k.account = "bob";
    k.device = "desk";
    answer_try(k, y, "issuer");
    y = x;
    y.chain_n = 1;
    answer_try(j, y, "its issuer");
    k = j;
    k.account = "alicia";
    answer_try(k, x, "another name");
    k = j;
    k.device = "phone";
    answer_try(k, x, "another name");
    k = j;
    k.now += 400 * 24 * 3600 * INT64_C(1000);
    answer_try(k, x, "expired");
}

/* --- frames --- */

static void test_garbage(void **state)
{
    static const char *const frames[] = {
        "{}",
        "[]",
        "{\"type\":\"nonsense\"}",
        "{\"type\":\"entry\",\"number\":1}",
        "{\"type\":\"presence\",\"account\":\"x\",\"name\":\"bob\",\"online\":true}",
        "{\"type\":\"ping\"}{}",
        "{\"type\":\"login\",\"id\":1,\"nonce\":\"\"}",
    };

    for (size_t i = 0; i < COUNT(frames); i++) {
        struct stage *s = stage_new(state);
        uint8_t head[4] = {0, 0, 0, (uint8_t)strlen(frames[i])};
        stage_login(s);
        (void)!engine_feed(s->g, span_of(head, 4));
        (void)!engine_feed(s->g, span_of(frames[i], strlen(frames[i])));
        stage_serve(s);
        if (s->told.closes != 1 || s->told.close_code != ERR_PEER)
            fail_msg("%s: closes %u", frames[i], s->told.closes);
        stage_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_login_key_kept),
        cmocka_unit_test(test_login_cheap_hash),
        cmocka_unit_test(test_login_relay_unproven),
        cmocka_unit_test(test_login_refused),
        cmocka_unit_test(test_login_version),
        cmocka_unit_test(test_before_login),
        cmocka_unit_test(test_ping),
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_catch_up),
        cmocka_unit_test(test_unknown_kind),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_old_seen_of_an_ephemeral_room),
        cmocka_unit_test(test_time_never_refuses),
        cmocka_unit_test(test_gap_once),
        cmocka_unit_test(test_withheld),
        cmocka_unit_test(test_nothing_given),
        cmocka_unit_test(test_wrong_head),
        cmocka_unit_test(test_begins_later),
        cmocka_unit_test(test_changed_before),
        cmocka_unit_test(test_other_room),
        cmocka_unit_test(test_rewritten),
        cmocka_unit_test(test_redated),
        cmocka_unit_test(test_lost_history),
        cmocka_unit_test(test_older),
        cmocka_unit_test(test_older_forged),
        cmocka_unit_test(test_older_not_followed),
        cmocka_unit_test(test_rejoined),
        cmocka_unit_test(test_rejoined_older),
        cmocka_unit_test(test_restart_shows),
        cmocka_unit_test(test_no_crl),
        cmocka_unit_test(test_crl_stale),
        cmocka_unit_test(test_request_impossible),
        cmocka_unit_test(test_say),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_resend),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_clock_ahead),
        cmocka_unit_test(test_void_and_denied),
        cmocka_unit_test(test_never_away),
        cmocka_unit_test(test_away_before),
        cmocka_unit_test(test_from_behind_the_end),
        cmocka_unit_test(test_bad_entry),
        cmocka_unit_test(test_stray_answer),
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_garbage),
    };

    return cmocka_run_group_tests_name("engine", tests, stage_world, stage_world_end);
}
