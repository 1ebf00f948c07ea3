/* What the relay says of a room's tree: the root with every number, checkpoints, proofs. The tree
 * is built a second time here, from the entries as members get them. */
#include <stdio.h>

#include "common/evidence/checkpoint.h"
#include "common/evidence/transcript.h"
#include "common/evidence/tree.h"
#include "tests/unit/server/support_relay.h"

static struct relay *r;
static struct client *a;
static struct room_id room;
static struct pen pen;

enum { DAY = 24 * 3600 * 1000 };

static int setup(void **state)
{
    (void)state;
    r = relay_new();
    a = client_member(r, "alice");
    room = client_room(a, "lobby", false, HISTORY_ALL);
    pen = pen_of(a, room);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    relay_free(r);
    return 0;
}

/* The room's tree out of its history. */
static struct tree tree_of_history(uint64_t size)
{
    struct tree t = {0};

    while (t.size < size) {
        client_say(
            a, F_HISTORY_ASK,
            &(struct f_history_ask){
                .id = 9, .room = room, .has_after = true, .after = t.size, .count = HISTORY_MAX});
        const struct f_history *h = &client_got(a, F_HISTORY)->u.history;
        assert_true(h->entries_n > 0);
        for (size_t i = 0; i < h->entries_n && t.size < size; i++) {
            struct hash leaf;
            transcript_leaf(&leaf, h->entries[i].line, h->entries[i].time);
            tree_add(&t, &leaf, NULL);
        }
    }
    return t;
}

static struct merkle_head head_of_history(uint64_t size)
{
    struct tree t = tree_of_history(size);
    return tree_head(&t);
}

static void ask(uint64_t after, uint64_t own)
{
    client_say(a, F_CHECKPOINT_ASK, &(struct f_checkpoint_ask){7, room, after, own});
}

static struct hashes hashes_of(struct span s)
{
    assert_int_equal(s.n % HASH_LEN, 0);
    return (struct hashes){(const struct hash *)s.p, s.n / HASH_LEN};
}

/* The next frame is a checkpoint, signed by the evidence certificate. */
static const struct f_checkpoint *got(struct checkpoint *p)
{
    const struct f_checkpoint *f = &client_got(a, F_CHECKPOINT)->u.checkpoint;
    struct cert *cert = cert_parse(span_of(r->evidence.b, r->evidence.n), NULL, &(struct err){0});
    struct hash fp;
    struct err e = {0};

    assert_int_equal(checkpoint_take(p, str_from(f->text.p, f->text.n), &e), 0);
    assert_true(cert_verify_sig(cert, f->text, f->sig));
    cert_fingerprint(cert_der(cert), &fp);
    assert_true(hash_same(&fp, &p->signer));
    assert_memory_equal(p->room, room.b, sizeof p->room);
    cert_free(cert);
    return f;
}

/* The proof begins with the root at that size and leads to the checkpoint. */
static void leads(struct span proof, uint64_t size, const struct checkpoint *p)
{
    struct hashes h = hashes_of(proof);
    struct merkle_head older = {size, {{0}}};

    assert_true(h.n > 0);
    older.root = h.p[0];
    assert_true(merkle_consistent(&older, &p->tree, (struct hashes){h.p + 1, h.n - 1}));
}

static void every_number_comes_with_the_root(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        struct entry_made m = pen_write(&pen, "word");
        entry_send(a, &m);
        entry_made_free(&m);
        struct f_numbered n = client_got(a, F_NUMBERED)->u.numbered;
        struct merkle_head want = head_of_history(n.number);
        assert_true(n.has_root);
        assert_true(hash_same(&n.root, &want.root));
    }
}

static void an_entry_sent_again_has_the_root_it_had(void **state)
{
    struct entry_made m = pen_write(&pen, "twice");
    (void)state;

    entry_send(a, &m);
    struct f_numbered first = client_got(a, F_NUMBERED)->u.numbered;
    struct pen other = pen;
    (void)pen_say(&other, "between");
    entry_send(a, &m);
    entry_made_free(&m);
    struct f_numbered again = client_got(a, F_NUMBERED)->u.numbered;
    assert_int_equal(again.number, first.number);
    assert_true(again.has_root);
    assert_true(hash_same(&again.root, &first.root));
}

static void a_checkpoint_covers_what_was_said(void **state)
{
    struct checkpoint p, q;
    (void)state;

    ask(0, 0);
    const struct f_checkpoint *f = got(&p);
    assert_int_equal(p.tree.size, 1);
    assert_int_equal(f->proof.n + f->grown.n, 0);
    for (unsigned i = 0; i < 30; i++)
        (void)pen_say(&pen, "word");
    relay_turn(r);
    ask(1, 20);
    f = got(&q);
    assert_int_equal(q.tree.size, 31);
    leads(f->proof, 1, &q);
    leads(f->grown, 20, &q);
    struct merkle_head want = head_of_history(31);
    assert_true(hash_same(&q.tree.root, &want.root));
    ask(40, 31); /* more than there is: nothing leads from there */
    f = got(&p);
    assert_int_equal(f->proof.n, 0);
    assert_int_equal(f->grown.n, HASH_LEN);
}

static void one_is_signed_a_turn(void **state)
{
    struct checkpoint p;
    (void)state;

    relay_turn(r);
    unsigned before = r->signings;
    for (unsigned i = 0; i < 5; i++) {
        (void)pen_say(&pen, "word");
        ask(0, 0);
    }
    assert_int_equal(r->signings, before + (before == 0));
    relay_turn(r);
    relay_turn(r);
    for (unsigned i = 0; i < 5; i++)
        (void)got(&p);
    assert_int_equal(p.tree.size, 6);
    assert_in_range(r->signings, before + 1, before + 2);
    relay_turn(r);
    assert_in_range(r->signings, before + 1, before + 2); /* all is covered */
}

static void rooms_nobody_asks_about_are_signed_too(void **state)
{
    struct checkpoint p;
    (void)state;

    (void)pen_say(&pen, "word");
    relay_turn(r);
    unsigned before = r->signings;
    assert_true(before > 0);
    ask(0, 0);
    (void)got(&p);
    assert_int_equal(p.tree.size, 2);
    assert_int_equal(r->signings, before);
}

static void idle_rooms_take_turns(void **state)
{
    char name[32];
    (void)state;

    relay_turn(r);
    for (unsigned i = 0; i < 2 * CHECKPOINTS_IDLE; i++) {
        snprintf(name, sizeof name, "room-%u", i);
        (void)client_room(a, name, false, HISTORY_ALL);
    }
    unsigned before = r->signings;
    relay_turn(r);
    assert_int_equal(r->signings, before + CHECKPOINTS_IDLE);
    relay_turn(r);
    assert_int_equal(r->signings, before + 2 * CHECKPOINTS_IDLE);
}

static void who_asks_meanwhile_gets_one_with_his_words(void **state)
{
    struct checkpoint p;
    (void)state;

    relay_turn(r);
    (void)pen_say(&pen, "first");
    r->notary_waits = true;
    relay_turn(r);
    (void)pen_say(&pen, "second");
    ask(0, 0);
    assert_true(client_quiet(a));
    r->notary_waits = false;
    relay_pump(r);
    assert_true(client_quiet(a)); /* the one under way does not cover it */
    relay_turn(r);
    (void)got(&p);
    assert_int_equal(p.tree.size, 3);
}

static void no_time_is_before_what_it_covers(void **state)
{
    struct checkpoint p, q;
    (void)state;

    (void)pen_say(&pen, "now");
    int64_t last = r->now;
    relay_turn(r);
    r->now -= DAY;
    ask(0, 0);
    (void)got(&p);
    assert_true(p.time >= last);
    (void)pen_say(&pen, "yesterday, says the clock");
    relay_turn(r);
    ask(0, 0);
    (void)got(&q);
    assert_int_equal(q.tree.size, 3);
    assert_true(q.time >= p.time);
    r->now += 2 * (int64_t)DAY;
    (void)pen_say(&pen, "tomorrow");
    relay_turn(r);
    ask(0, 0);
    (void)got(&p);
    assert_true(p.time >= r->now);
}

static void what_a_crash_left_unsigned_is_signed(void **state)
{
    struct checkpoint p;
    struct merkle_head want;
    (void)state;

    for (unsigned i = 0; i < 10; i++)
        (void)pen_say(&pen, "word");
    want = head_of_history(11);
    int64_t last = r->now;
    r->notary_waits = true;
    relay_turn(r); /* on its way, and lost */
    relay_restart(r);
    r->notary_waits = false;
    r->now -= DAY;
    unsigned before = r->signings;
    relay_turn(r);
    if (r->ops == &store_memory) /* forgets */
        return;
    assert_int_equal(r->signings, before + 1);
    relay_turn(r);
    assert_int_equal(r->signings, before + 1);
    struct store_checkpoint row;
    struct err e = {0};
    assert_int_equal(r->store.ops->checkpoint_get(r->store.db, &room, &row, &e), 1);
    assert_int_equal(checkpoint_take(&p, str_of(row.text), &e), 0);
    assert_int_equal(p.tree.size, 11);
    assert_true(hash_same(&p.tree.root, &want.root));
    assert_true(p.time >= last);
}

static void without_a_signature_nobody_waits_for_good(void **state)
{
    struct checkpoint p;
    (void)state;

    relay_turn(r);
    r->unsigned_all = true;
    (void)pen_say(&pen, "word");
    relay_turn(r);
    ask(0, 0);
    relay_turn(r);
    client_error(a, CODE_BUSY);
    r->unsigned_all = false;
    relay_turn(r);
    ask(0, 0);
    (void)got(&p);
    assert_int_equal(p.tree.size, 2);
}

static void an_ephemeral_room_has_no_tree(void **state)
{
    const struct f_room_create make = {
        .id = 1, .name = str_of("smoke"), .history = HISTORY_ALL, .ephemeral = true};
    (void)state;

    relay_turn(r);
    unsigned before = r->signings;
    client_say(a, F_ROOM_CREATE, &make);
    struct f_room_info info = client_got(a, F_ROOM)->u.room.room;
    struct room_id smoke = info.id;
    client_sign(a, &info);
    struct pen other = pen_of(a, smoke);
    struct entry_made m = pen_write(&other, "word");
    client_flush(a);
    entry_send(a, &m);
    entry_made_free(&m);
    assert_false(client_got(a, F_NUMBERED)->u.numbered.has_root);
    client_say(a, F_CHECKPOINT_ASK, &(struct f_checkpoint_ask){7, smoke, 0, 0});
    client_error(a, CODE_NO_SUCH);
    client_say(a, F_TREE_ASK, &(struct f_tree_ask){7, smoke, 1});
    client_error(a, CODE_NO_SUCH);
    relay_turn(r);
    assert_int_equal(r->signings, before);
}

static void peaks_are_those_of_the_tree(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 22; i++)
        (void)pen_say(&pen, "word");
    for (uint64_t size = 1; size <= 23; size++) {
        struct tree t = tree_of_history(size);
        client_say(a, F_TREE_ASK, &(struct f_tree_ask){7, room, size});
        struct hashes h = hashes_of(client_got(a, F_TREE)->u.tree.peaks);
        size_t n = 0;
        for (unsigned k = TREE_LEVELS; k-- > 0;)
            if (size >> k & 1)
                assert_true(n < h.n && hash_same(&h.p[n++], &t.peaks[k]));
        assert_int_equal(n, h.n);
    }
    client_say(a, F_TREE_ASK, &(struct f_tree_ask){7, room, 24});
    client_error(a, CODE_NO_SUCH);
}

static void the_signer_is_told_by_its_fingerprint(void **state)
{
    struct hash fp, other = {{1}};
    (void)state;

    cert_fingerprint(span_of(r->evidence.b, r->evidence.n), &fp);
    client_say(a, F_SIGNER_ASK, &(struct f_signer_ask){7, fp});
    const struct f_signer *f = &client_got(a, F_SIGNER)->u.signer;
    assert_true(span_same(f->chain[0], span_of(r->evidence.b, r->evidence.n)));
    assert_true(span_same(f->chain[1], span_of(r->root.b, r->root.n)));
    client_say(a, F_SIGNER_ASK, &(struct f_signer_ask){7, other});
    client_error(a, CODE_NO_SUCH);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_number_comes_with_the_root),
        TEST(an_entry_sent_again_has_the_root_it_had),
        TEST(a_checkpoint_covers_what_was_said),
        TEST(one_is_signed_a_turn),
        TEST(rooms_nobody_asks_about_are_signed_too),
        TEST(idle_rooms_take_turns),
        TEST(who_asks_meanwhile_gets_one_with_his_words),
        TEST(no_time_is_before_what_it_covers),
        TEST(what_a_crash_left_unsigned_is_signed),
        TEST(without_a_signature_nobody_waits_for_good),
        TEST(an_ephemeral_room_has_no_tree),
        TEST(peaks_are_those_of_the_tree),
        TEST(the_signer_is_told_by_its_fingerprint),
    };

    relay_store = "memory";
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    relay_store = "sqlite";
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
