/* Ephemeral rooms: the same entries, numbers and heads, in memory alone, and only the latest. */
#include <stdio.h>

#include "server/core/store_window.h"
#include "tests/unit/server/support_relay.h"

static struct relay *r;

static int setup(void **state)
{
    (void)state;
    relay_store = "sqlite";
    r = relay_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    relay_free(r);
    return 0;
}

static struct f_room_info create(struct client *c, const char *name)
{
    const struct f_room_create f = {
        .id = ++c->id, .name = str_of(name), .history = HISTORY_ALL, .ephemeral = true};

    client_say(c, F_ROOM_CREATE, &f);
    struct f_room_info info = client_got(c, F_ROOM)->u.room.room;
    client_sign(c, &info);
    return info;
}

static struct f_history page(struct client *c, struct room_id room, uint64_t after)
{
    const struct f_history_ask f = {
        .id = ++c->id, .room = room, .has_after = true, .after = after, .count = HISTORY_MAX};

    client_flush(c);
    client_say(c, F_HISTORY_ASK, &f);
    return client_got(c, F_HISTORY)->u.history;
}

static int count_room(void *ctx, const struct store_room *row, const struct store_tip *tip)
{
    (void)row;
    (void)tip;
    ++*(unsigned *)ctx;
    return 0;
}

static int count_member(void *ctx, const struct store_member *row)
{
    (void)row;
    ++*(unsigned *)ctx;
    return 0;
}

/* How many rooms and members are on the disk. */
static unsigned stored(void)
{
    struct err e = {0};
    unsigned n = 0;

    assert_int_equal(r->store.ops->room_each(r->store.db, count_room, &n, &e), 0);
    assert_int_equal(r->store.ops->member_each(r->store.db, count_member, &n, &e), 0);
    return n;
}

static void nothing_of_it_is_stored(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bert");
    (void)state;

    const struct f_room_info info = create(a, "smoke");
    struct room_id room = info.id;
    assert_true(info.ephemeral);
    client_enter(b, "smoke");
    client_flush(a);
    client_flush(b);
    struct pen pen = pen_of(a, room);
    uint64_t n = pen_say(&pen, "unwritten");
    assert_int_equal(client_got(b, F_ENTRY)->u.entry.number, n);
    struct f_history h = page(b, room, 0);
    assert_int_equal(h.entries_n, n);
    assert_int_equal(stored(), 0);
    assert_int_equal(
        r->store.ops->message_range(r->store.db, &room, 1, n, NULL, NULL, &(struct err){0}),
        0); /* no row: nobody was called */
}

static void the_restart_is_its_end(void **state)
{
    struct client *a = client_member(r, "alice");
    struct room_id before = create(a, "smoke").id;
    struct pen pen = pen_of(a, before);
    (void)state;

    (void)pen_say(&pen, "gone tomorrow");
    relay_restart(r);
    a = client_again(a);
    client_login(a);
    assert_int_equal(client_got(a, F_WELCOME)->u.welcome.rooms_n, 0);
    struct room_id after = create(a, "smoke").id; /* the name is free, the room another */
    assert_memory_not_equal(&before, &after, sizeof before);
    assert_int_equal(page(a, after, 0).entries_n, 1); /* her join */
    pen.seen = 0;
    struct entry_made m = pen_write(&pen, "to the old one");
    entry_send(a, &m);
    client_error(a, CODE_DENIED);
    entry_made_free(&m);
}

static void the_last_one_out_ends_it(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bert");
    struct room_id room = create(a, "smoke").id;
    struct core_counts counts;
    (void)state;

    client_enter(b, "smoke");
    client_flush(a);
    client_flush(b);
    client_leave(a, room);
    core_counts(r->core, &counts);
    assert_int_equal(counts.rooms, 1);
    client_leave(b, room);
    core_counts(r->core, &counts);
    assert_int_equal(counts.rooms, 0);
    client_flush(a);
    client_say(a, F_ROOM_JOIN, &(struct f_room_join){++a->id, str_of("smoke")});
    client_error(a, CODE_NO_SUCH);
}

/* Nobody keeps a room alive by not signing his join. */
static void the_admitted_do_not_keep_it(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bert");
    struct room_id room = create(a, "smoke").id;
    struct core_counts counts;
    (void)state;

    client_say(b, F_ROOM_JOIN, &(struct f_room_join){++b->id, str_of("smoke")});
    (void)client_got(b, F_ROOM);
    client_flush(a);
    client_leave(a, room);
    core_counts(r->core, &counts);
    assert_int_equal(counts.rooms, 0);
    struct pen p = pen_of(b, room);
    struct entry_made m = pen_write(&p, "anybody here?");
    entry_send(b, &m);
    client_error(b, CODE_DENIED);
    entry_made_free(&m);
}

/* A leave with a key that nobody reads would fill memory that outlives the window. */
static void long_seats_are_void(void **state)
{
    struct client *a = client_member(r, "alice");
    struct pen p = pen_of(a, create(a, "smoke").id);
    char content[SEAT_CONTENT_MAX + 2];
    struct entry_made m;
    (void)state;

    for (int over = 1; over >= 0; over--) {
        struct entry_line l = pen_line(&p);
        int pad = SEAT_CONTENT_MAX + over - (int)strlen("{\"kind\":\"leave\",\"x\":\"\"}");
        snprintf(content, sizeof content, "{\"kind\":\"leave\",\"x\":\"%0*d\"}", pad, 0);
        pen_make(&p, &l, content, &m);
        entry_send(a, &m);
        p.seq++;
        entry_line_hash(str_from(m.line, m.line_n), &p.prev);
        (void)client_got(a, over ? F_VOIDED : F_NUMBERED);
        entry_made_free(&m);
    }
}

/* One invitation after the other, as long as they may be: the next one is void, a leave is not. */
static void seats_end_where_memory_does(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bert");
    struct f_room_create f = {.id = ++a->id, .name = str_of("smoke"), .is_private = true};
    char content[SEAT_CONTENT_MAX + 1], who[2 * ACCOUNT_ID_LEN + 1];
    struct pen p;
    unsigned n = 0;
    bool taken = true;
    (void)state;

    f.ephemeral = true;
    client_say(a, F_ROOM_CREATE, &f);
    struct f_room_info info = client_got(a, F_ROOM)->u.room.room;
    client_sign(a, &info);
    client_flush(a);
    p = pen_of(a, info.id);
    hex_put(who, span_of(b->account.b, sizeof b->account.b));
    for (; taken && n < 2 * SEATS_BYTES / SEAT_CONTENT_MAX; n++) {
        struct entry_line l = pen_line(&p);
        struct entry_made m;
        int len = snprintf(content, sizeof content,
                           "{\"kind\":\"invite\",\"account\":\"%s\",\"name\":\"bert\","
                           "\"roster\":\"%064d\",\"at\":1,\"x\":\"",
                           who, 0);
        snprintf(content + len, sizeof content - (size_t)len, "%0*d\"}", SEAT_CONTENT_MAX - len - 2,
                 0);
        pen_make(&p, &l, content, &m);
        entry_send(a, &m);
        p.seq++;
        entry_line_hash(str_from(m.line, m.line_n), &p.prev);
        entry_made_free(&m);
        taken = !client_quiet(a) && a->got.type == F_NUMBERED;
        client_flush(b);
    }
    assert_in_range(n, SEATS_BYTES / (2 * SEAT_CONTENT_MAX), SEATS_BYTES / SEAT_CONTENT_MAX + 1);
    assert_int_equal(a->got.type, F_VOIDED);
    struct entry_line l = pen_line(&p);
    struct entry_made m;
    pen_make(&p, &l, "{\"kind\":\"leave\"}", &m);
    entry_send(a, &m);
    entry_made_free(&m);
    (void)client_got(a, F_NUMBERED);
}

/* Two people cannot take all the rooms that there are. */
static void one_account_has_so_many(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bert");
    (void)state;

    for (unsigned i = 0; i < EPHEMERAL_SEATS_MAX; i++)
        (void)create(a, (char[]){"bcdefghk"[i / 8], 'a', "bcdefghk"[i % 8], 0});
    client_flush(a);
    client_say(
        a, F_ROOM_CREATE,
        &(struct f_room_create){.id = ++a->id, .name = str_of("onemore"), .ephemeral = true});
    client_error(a, CODE_LIMIT);
    (void)create(b, "smoke");
    client_flush(a);
    client_say(a, F_ROOM_JOIN, &(struct f_room_join){++a->id, str_of("smoke")});
    client_error(a, CODE_LIMIT);
}

static void others_are_kept_from_it_as_ever(void **state)
{
    struct client *a = client_member(r, "alice"), *m = client_member(r, "mallory");
    struct room_id room = create(a, "smoke").id;
    (void)state;

    client_say(m, F_HISTORY_ASK,
               &(struct f_history_ask){.id = ++m->id, .room = room, .has_after = true, .count = 1});
    client_error(m, CODE_NO_SUCH);
    client_say(m, F_ROOM_CREATE,
               &(struct f_room_create){.id = ++m->id, .name = str_of("smoke"), .ephemeral = true});
    client_error(m, CODE_TAKEN);
}

/* What an author saw long ago cannot be compared any more; what nobody has seen is still a lie. */
static void an_old_view_is_accepted_and_a_future_one_is_not(void **state)
{
    struct client *a = client_member(r, "alice"), *b = client_member(r, "bert");
    struct room_id room = create(a, "smoke").id;
    struct pen pa = pen_of(a, room), pb;
    char big[40 * 1024];
    (void)state;

    client_enter(b, "smoke");
    client_flush(a);
    client_flush(b);
    pb = pen_of(b, room);
    (void)pen_say(&pb, "early");
    client_flush(a);
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    for (unsigned i = 0; i < HEADS_KEPT + 8; i++)
        (void)pen_say(&pa, big);
    client_flush(b);
    pb.seen = 1; /* as he was told then; its head is gone from the window */
    memset(pb.head.b, 7, sizeof pb.head.b);
    (void)pen_say(&pb, "late");
    client_flush(b);
    pb.seen = 100000;
    struct entry_made m = pen_write(&pb, "from tomorrow");
    entry_send(b, &m);
    client_error(b, CODE_BAD_ENTRY);
    entry_made_free(&m);
}

/* A line that went out of the window with its number: it is neither numbered anew nor answered. */
static void what_is_gone_is_not_taken_again(void **state)
{
    struct client *a = client_member(r, "alice");
    struct pen pen = pen_of(a, create(a, "smoke").id);
    char big[40 * 1024];
    (void)state;

    struct entry_made early = pen_write(&pen, "early");
    entry_send(a, &early);
    (void)client_got(a, F_NUMBERED);
    entry_send(a, &early);
    (void)client_got(a, F_NUMBERED); /* as before, while it is there */
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    for (unsigned i = 0; i < HEADS_KEPT + 8; i++)
        (void)pen_say(&pen, big);
    entry_send(a, &early);
    client_error(a, CODE_BAD_ENTRY);
    entry_made_free(&early);
}

static void there_is_room_for_so_many(void **state)
{
    static const char *const names[] = {"ada", "bea",  "cid",  "dora", "emil", "fay",
                                        "gil", "hal",  "ida",  "jan",  "kim",  "lea",
                                        "max", "nora", "otto", "pia",  "quin"};
    struct client *c[COUNT(names)], *last;
    unsigned made = 0;
    (void)state;

    for (size_t i = 0; i < COUNT(names); i++)
        c[i] = client_member(r, names[i]);
    last = c[COUNT(names) - 1];
    for (unsigned i = 0; i < EPHEMERAL_ROOMS_MAX; i++, made++) {
        char name[32];
        snprintf(name, sizeof name, "%c%c%c", 'b' + (int)(i / 64), "bcdefghk"[i / 8 % 8],
                 "bcdefghk"[i % 8]);
        (void)create(c[i / EPHEMERAL_SEATS_MAX], name);
    }
    const struct f_room_create f = {
        .id = ++last->id, .name = str_of("onemore"), .history = HISTORY_ALL, .ephemeral = true};
    client_flush(last);
    client_say(last, F_ROOM_CREATE, &f);
    client_error(last, CODE_LIMIT);
    const struct f_room_create stored_one = {
        .id = ++last->id, .name = str_of("onemore"), .history = HISTORY_ALL};
    client_say(last, F_ROOM_CREATE, &stored_one);
    assert_false(client_got(last, F_ROOM)->u.room.room.ephemeral);
}

/* --- the window alone: its bounds, and what outlives an entry --- */

static struct store_message message(uint64_t number, uint8_t author, size_t body)
{
    static const uint8_t zeros[BODY_MAX];
    struct store_message row = {.room = {{1}},
                                .number = number,
                                .time = (int64_t)number,
                                .account = {{author}},
                                .fp = {{author}},
                                .seq = number,
                                .line = str_of("line"),
                                .sig = span_of("sig", 3),
                                .body = span_of(zeros, body)};

    memcpy(row.head.b, &number, sizeof number);
    return row;
}

static int note(void *ctx, const struct store_message *row)
{
    struct store_message *got = ctx;

    *got = *row;
    return 0;
}

static void only_the_latest_are_there(void **state)
{
    const struct store_ops *ops = &store_window;
    void *w = store_window_new();
    struct room_id room = {{1}};
    struct store_message got = {0};
    struct err e = {0};
    struct hash head;
    uint64_t n = 1;
    (void)state;

    struct store_message first = message(n++, 7, 100);
    assert_int_equal(ops->message_add(w, &first, &e), 0);
    for (; n <= WINDOW_ENTRIES + 3; n++) {
        struct store_message m = message(n, 8, 100);
        assert_int_equal(ops->message_add(w, &m, &e), 0);
    }
    assert_int_equal(store_window_first(w, &room), 4);
    assert_int_equal(ops->message_head(w, &room, 2, &head, &e), 0);
    assert_int_equal(ops->message_head(w, &room, 3, &head, &e), 1); /* a page begins with it */
    assert_int_equal(head.b[0], 3);
    assert_int_equal(ops->message_head(w, &room, n - 1, &head, &e), 1);
    assert_int_equal(ops->message_head(w, &room, n, &head, &e), 0);
    assert_int_equal(ops->message_range(w, &room, 1, 3, note, &got, &e), 0);
    assert_int_equal(got.number, 0);
    assert_int_equal(ops->message_range(w, &room, 5, 4, note, &got, &e), 0);
    assert_int_equal(got.number, 4);
    /* the author who spoke long ago still has his line, without its body */
    assert_int_equal(ops->message_last(w, &room, &first.fp, note, &got, &e), 1);
    assert_int_equal(got.number, 1);
    assert_int_equal(got.body.n, 0);
    assert_int_equal(ops->message_seq(w, &room, &first.fp, 1, note, &got, &e), 1);
    assert_int_equal(ops->message_former(w, &room, &first.account, note, &got, &e), 0);
    assert_int_equal(got.number, 1);
    struct store_message hole = message(n + 1, 8, 100);
    assert_int_equal(ops->message_add(w, &hole, &e), -1);
    ops->close(w);
}

static void big_ones_push_the_others_out(void **state)
{
    const struct store_ops *ops = &store_window;
    void *w = store_window_new();
    struct room_id room = {{1}};
    struct err e = {0};
    (void)state;

    for (uint64_t n = 1; n <= 20; n++) {
        struct store_message m = message(n, 8, WINDOW_BYTES / 8);
        assert_int_equal(ops->message_add(w, &m, &e), 0);
        assert_true(store_window_bytes(w) <= WINDOW_BYTES + 1024);
    }
    struct store_message m = message(21, 8, BODY_MAX);
    assert_int_equal(ops->message_add(w, &m, &e), 0);
    assert_int_equal(store_window_first(w, &room), 21); /* the latest is always there */
    m = message(22, 8, 10);
    assert_int_equal(ops->message_add(w, &m, &e), 0);
    assert_int_equal(store_window_first(w, &room), 22);
    store_window_drop(w, &room);
    assert_int_equal(store_window_bytes(w), 0);
    assert_int_equal(store_window_first(w, &room), 1);
    ops->close(w);
}

/* --- who is a member, behind the window --- */

static struct store_message seat(uint64_t number, uint8_t who, bool leave, size_t body)
{
    struct store_message row = message(number, who, body);

    row.seats = true;
    row.leave = leave;
    row.who = row.account;
    return row;
}

static void window_add(void *w, struct store_message m)
{
    struct err e = {0};

    if (store_window.message_add(w, &m, &e) < 0)
        fail_msg("%s", e.text);
}

/* Whatever there is leaves the ring. */
static uint64_t push_out(void *w, uint64_t n)
{
    for (unsigned i = 0; i < WINDOW_ENTRIES; i++)
        window_add(w, message(n++, 9, 10));
    return n;
}

struct numbers {
    uint64_t v[8];
    size_t n;
};

static int number_note(void *ctx, const struct store_message *row)
{
    struct numbers *x = ctx;

    if (x->n < COUNT(x->v))
        x->v[x->n] = row->number;
    x->n++;
    return 0;
}

static struct numbers seats_of(void *w, uint64_t after)
{
    const struct room_id room = {{1}};
    struct numbers x = {.n = 0};

    assert_int_equal(store_window.message_seats(w, &room, after, number_note, &x, &(struct err){0}),
                     0);
    return x;
}

static void seats_outlive_the_window(void **state)
{
    void *w = store_window_new();
    const struct room_id room = {{1}};
    struct store_message guest = seat(2, 7, false, 100);
    (void)state;

    window_add(w, seat(1, 7, false, 100));
    guest.who = (struct account_id){{8}}; /* 7 invites 8, who joins; 7 leaves and comes again */
    window_add(w, guest);
    window_add(w, seat(3, 8, false, 100));
    window_add(w, seat(4, 7, true, 100));
    uint64_t n = push_out(w, 5);
    window_add(w, seat(n, 7, false, 100));
    assert_int_equal(store_window_first(w, &room), 6);
    struct numbers x = seats_of(w, 0);
    assert_int_equal(x.n, 5);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(x.v[i], i + 1);
    assert_int_equal(x.v[4], n);
    assert_int_equal(seats_of(w, 3).n, 2);
    store_window_drop(w, &room);
    assert_int_equal(store_window_bytes(w), 0);
    store_window.close(w);
}

/* Two come and go until the rows are spent: their former stays go, nobody else's join does, nor the
 * stay in which it was invited. */
static void only_stays_that_are_over_are_forgotten(void **state)
{
    void *w = store_window_new();
    const struct room_id room = {{1}};
    struct store_message guest = seat(2, 7, false, 10);
    uint64_t n = 4;
    (void)state;

    window_add(w, seat(1, 7, false, 10));
    guest.who = (struct account_id){{8}};
    window_add(w, guest);
    window_add(w, seat(3, 8, false, 10));
    window_add(w, seat(n++, 7, true, 10)); /* over, but 8 is a member by his word */
    for (bool leave = false; n < 2 * ROSTER_ROWS_MAX; leave = !leave) {
        if (!leave)
            assert_false(store_window_full(w, &room));
        window_add(w, seat(n, n % 4 < 2 ? 6 : 7, leave, 10));
        n++;
    }
    struct numbers x = seats_of(w, 0);
    assert_in_range(x.n, ROSTER_ROWS_MAX - 2, ROSTER_ROWS_MAX + 2);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(x.v[i], i + 1);
    store_window.close(w);
}

static void the_bytes_of_seats_are_bounded(void **state)
{
    void *w = store_window_new();
    const struct room_id room = {{1}};
    uint64_t n = 1;
    (void)state;

    for (; n < 65536 && !store_window_full(w, &room); n++) { /* as many people, all of them stay */
        struct store_message m = seat(n, 0, false, SEAT_CONTENT_MAX);
        memcpy(m.who.b, &n, sizeof n);
        m.account = m.who;
        window_add(w, m);
    }
    assert_in_range(n, MEMBERS_MAX, 2 * MEMBERS_MAX);
    assert_int_equal(seats_of(w, 0).n, n - 1);
    assert_true(store_window_bytes(w) <= SEATS_BYTES + WINDOW_BYTES + 8192);
    struct store_message leave = seat(n, 0, true, 10);
    leave.who.b[0] = 1;
    leave.who.b[1] = 0;
    leave.account = leave.who; /* the first one goes: there is room when that left the ring */
    window_add(w, leave);
    (void)push_out(w, n + 1);
    assert_false(store_window_full(w, &room));
    assert_int_equal(seats_of(w, 0).v[0], 2);
    store_window.close(w);
}

/* Every room has its windowful, and together they have no more than all may have. */
static void all_rooms_share_one_bound(void **state)
{
    void *w = store_window_new();
    (void)state;

    for (unsigned i = 0; i < 2 * EPHEMERAL_BYTES / WINDOW_BYTES; i++)
        for (uint64_t n = 1; n <= 3; n++) {
            struct store_message m = message(n, 8, WINDOW_BYTES / 4);
            memcpy(m.room.b, &i, sizeof i);
            window_add(w, m);
        }
    assert_true(store_window_bytes(w) <= EPHEMERAL_BYTES + EPHEMERAL_BYTES / 2 + WINDOW_BYTES);
    assert_true(store_window_full(w, &(struct room_id){{0xff}}));
    assert_true(
        store_window_full(w, &(struct room_id){{0, 0, 0, 0, 1}})); /* nothing was said yet */
    store_window.close(w);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_of_it_is_stored),
        TEST(the_restart_is_its_end),
        TEST(the_last_one_out_ends_it),
        TEST(the_admitted_do_not_keep_it),
        TEST(long_seats_are_void),
        TEST(seats_end_where_memory_does),
        TEST(one_account_has_so_many),
        TEST(others_are_kept_from_it_as_ever),
        TEST(an_old_view_is_accepted_and_a_future_one_is_not),
        TEST(what_is_gone_is_not_taken_again),
        TEST(there_is_room_for_so_many),
        cmocka_unit_test(only_the_latest_are_there),
        cmocka_unit_test(big_ones_push_the_others_out),
        cmocka_unit_test(seats_outlive_the_window),
        cmocka_unit_test(only_stays_that_are_over_are_forgotten),
        cmocka_unit_test(the_bytes_of_seats_are_bounded),
        cmocka_unit_test(all_rooms_share_one_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
