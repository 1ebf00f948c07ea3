/* H10, the client's half: every frame a relay can send, in every state of the engine. What may come
 * when is said again here by hand, from docs/protocol.md 3, 4, 5 and 8. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/client/support_engine.h"

#define H16 "00112233445566778899aabbccddeeff"
#define H32 H16 H16
#define B32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define B16 "AAAAAAAAAAAAAAAAAAAAAA=="
#define ROOM                                                                                       \
    "{\"id\":\"" H16 "\",\"name\":\"den\",\"kind\":\"public\",\"history\":\"all\",\"topic\":\"\"," \
    "\"from\":1,\"number\":0,\"head\":\"" H32 "\",\"signed\":true}"

enum state { HELLO, LOGIN, PASSWORD, PROOF, RESUME, ONLINE, STATES };

static const char *const names[STATES] = {"before hello", "login sent", "password asked",
                                          "proof sent",   "token sent", "online"};

/* When it may come: EARLY before the welcome, PUSH and BYE after it; an ANSWER never, for nobody
 * asked. BYE: an error to request 0, which always ends it. */
enum when { AT_HELLO, AT_LOGIN, AT_PROOF, ANY_TIME, PUSH, ANSWER, NEVER, BYE };

/* '@': the number of the request under way */
static const struct {
    enum frame_type type;
    enum when when;
    const char *json;
} frames[] = {
    {F_HELLO_RELAY, AT_HELLO,
     "{\"type\":\"hello\",\"v\":1,\"features\":[],\"now\":5,\"relay\":\"relay.test\"}"},
    {F_CHALLENGE, AT_LOGIN,
     "{\"type\":\"challenge\",\"re\":@,\"nonce\":\"" B32 "\",\"salt\":\"" B16
     "\",\"t\":1,\"m\":8}"},
    {F_WELCOME, AT_PROOF, NULL}, /* stage_welcome: its proof must be right */
    {F_PING, ANY_TIME, "{\"type\":\"ping\"}"},
    {F_PONG, ANY_TIME, "{\"type\":\"pong\"}"},
    {F_ERROR, BYE, "{\"type\":\"error\",\"re\":0,\"code\":\"shutdown\",\"text\":\"bye\"}"},
    {F_OKAY, ANSWER, "{\"type\":\"ok\",\"re\":77}"},
    {F_ROOM, ANSWER, "{\"type\":\"room\",\"re\":77,\"room\":" ROOM "}"},
    {F_ROOMS, ANSWER, "{\"type\":\"rooms\",\"re\":77,\"rooms\":[]}"},
    {F_PERSON, ANSWER, "{\"type\":\"person\",\"re\":77,\"account\":\"" H16 "\",\"name\":\"bob\"}"},
    {F_ROLL, ANSWER,
     "{\"type\":\"roll\",\"re\":77,\"room\":\"" H16 "\",\"upto\":0,\"entries\":[]}"},
    {F_MEMBERS, ANSWER,
     "{\"type\":\"members\",\"re\":77,\"room\":\"" H16 "\",\"number\":0,\"members\":[]}"},
    {F_CERT, ANSWER,
     "{\"type\":\"cert\",\"re\":77,\"fp\":\"" H32 "\",\"account\":\"" H16
     "\",\"device\":\"x\",\"chain\":[\"" B16 "\",\"" B16 "\"],\"revoked\":0}"},
    {F_HISTORY, ANSWER,
     "{\"type\":\"history\",\"re\":77,\"room\":\"" H16 "\",\"first\":1,\"head\":\"" H32
     "\",\"entries\":[]}"},
    {F_CHECKPOINT, ANSWER,
     "{\"type\":\"checkpoint\",\"re\":77,\"text\":\"" B16 "\",\"sig\":\"" B16
     "\",\"proof\":\"\",\"own\":\"\"}"},
    {F_TREE, ANSWER,
     "{\"type\":\"tree\",\"re\":77,\"room\":\"" H16 "\",\"size\":1,\"peaks\":\"" B32 "\"}"},
    {F_SIGNER, ANSWER,
     "{\"type\":\"signer\",\"re\":77,\"fp\":\"" H32 "\",\"chain\":[\"" B16 "\",\"" B16 "\"]}"},
    {F_SEALED, ANSWER, "{\"type\":\"sealed\",\"re\":77,\"seal\":\"" B16 "\",\"sig\":\"" B16 "\"}"},
    {F_NUMBERED, ANSWER,
     "{\"type\":\"numbered\",\"room\":\"" H16 "\",\"seq\":1,\"number\":1,\"time\":3}"},
    {F_AGAIN, ANSWER,
     "{\"type\":\"again\",\"room\":\"" H16 "\",\"seq\":1,\"wait\":500,\"text\":\"busy\"}"},
    {F_VOIDED, ANSWER,
     "{\"type\":\"void\",\"room\":\"" H16 "\",\"seq\":1,\"number\":1,\"time\":3,"
     "\"text\":\"why\"}"},
    {F_ROOM, PUSH, "{\"type\":\"room\",\"by\":\"bob\",\"room\":" ROOM "}"},
    {F_PRESENCE, PUSH,
     "{\"type\":\"presence\",\"account\":\"" H16 "\",\"name\":\"bob\",\"online\":true}"},
    {F_DEVICE, PUSH,
     "{\"type\":\"device\",\"account\":\"" H16 "\",\"name\":\"bob\",\"device\":\"x\",\"fp\":\"" H32
     "\",\"time\":5,\"kept\":true}"},
    {F_COSIGNED, PUSH,
     "{\"type\":\"cosigned\",\"receipt\":\"" H32 "\",\"seal\":\"" B16 "\",\"sig\":\"" B16 "\"}"},
    {F_COSIGN_ASK, NEVER, /* of what is no receipt */
     "{\"type\":\"cosign-ask\",\"receipt\":\"" B16 "\",\"seal\":\"" B16 "\",\"sig\":\"" B16 "\"}"},
    {F_CRL, PUSH, "{\"type\":\"crl\",\"crl\":\"" B16 "\"}"},
    {F_JOINED, NEVER,
     "{\"type\":\"joined\",\"re\":@,\"account\":\"" H16
     "\",\"name\":\"alice\",\"device\":\"laptop\",\"chain\":[\"" B16 "\",\"" B16
     "\"],\"root\":\"" B16 "\"}"},
};

/* Frames about a room that this client is not in: whether they end the connection or are dropped
 * is the engine's choice, but before the welcome they end it. */
static const char *const of_a_room[] = {
    "{\"type\":\"topic\",\"room\":\"" H16 "\",\"account\":\"" H16
    "\",\"name\":\"bob\",\"topic\":\"t\"}",
    "{\"type\":\"delivered\",\"room\":\"" H16 "\",\"account\":\"" H16 "\",\"number\":1}",
    "{\"type\":\"entry\",\"number\":1,\"time\":5,\"line\":\"l\",\"sig\":\"" B16 "\",\"body\":\"" B16
    "\"}",
};

static bool may(enum state st, enum when when)
{
    switch (when) {
    case AT_HELLO: return st == HELLO;
    case AT_LOGIN: return st == LOGIN;
    case AT_PROOF: return st == PROOF || st == RESUME;
    case ANY_TIME: return true;
    case PUSH: return st == ONLINE;
    case ANSWER:
    case NEVER:
    case BYE: return false;
    }
    return false;
}

/* Gives the engine a frame; nothing is answered. */
static void feed(struct stage *s, const char *json, uint64_t re)
{
    char text[1024], number[24];
    uint8_t b[1100];
    size_t n = 0;
    struct wr w = wr_of(b, sizeof b);

    snprintf(number, sizeof number, "%llu", (unsigned long long)re);
    for (; *json != '\0' && n + sizeof number < sizeof text; json++) {
        const char one[2] = {*json, '\0'}, *put = *json == '@' ? number : one;
        n += (size_t)snprintf(text + n, sizeof text - n, "%s", put);
    }
    assert_int_equal(*json, '\0');
    wr_u32(&w, (uint32_t)n);
    wr_put(&w, text, n);
    (void)!engine_feed(s->g, wr_span(&w));
}

/* What the engine says meanwhile; the number of its last request. */
static uint64_t hear(struct stage *s)
{
    struct span json;
    struct err e = {0};
    uint64_t id = 0;

    assert_int_equal(frames_feed(&s->in, engine_out(s->g), &e), 0);
    engine_sent(s->g, engine_out(s->g).n);
    while (frames_next(&s->in, &json, &e) == 1) {
        struct frame f = {0};
        assert_int_equal(frame_take(&f, json, FROM_CLIENT, &e), 0);
        if (f.type == F_LOGIN)
            id = f.u.login.id;
        if (f.type == F_RESUME)
            id = f.u.resume.id;
        if (f.type == F_PROOF)
            id = f.u.proof.id;
        frame_free(&f);
    }
    return id;
}

static bool ended(struct stage *s)
{
    struct engine_event ev;
    bool closed = false;

    while (engine_next(s->g, &ev))
        closed = closed || ev.kind == ENGINE_CLOSE;
    return closed;
}

static const char hello[] =
    "{\"type\":\"hello\",\"v\":1,\"features\":[],\"now\":5,\"relay\":\"relay.test\"}";
static const char challenge[] =
    "{\"type\":\"challenge\",\"re\":@,\"nonce\":\"" B32 "\",\"salt\":\"" B16 "\",\"t\":1,\"m\":8}";

/* The number of the request under way there. */
static uint64_t in_state(struct stage *s, enum state st)
{
    uint64_t id = 0;

    if (st == RESUME || st == ONLINE)
        stage_login(s);
    if (st == ONLINE)
        return 7;
    if (st == RESUME)
        stage_lost(s);
    engine_linked(s->g, &(struct engine_peer){.link = "tls"});
    frames_free(&s->in);
    frames_init(&s->in, FRAME_MAX);
    if (st == HELLO)
        return 7;
    feed(s, hello, 0);
    id = hear(s);
    if (st == LOGIN || st == RESUME)
        return id;
    feed(s, challenge, id);
    if (st == PASSWORD)
        return id;
    engine_salted(s->g, &s->salted);
    return hear(s);
}

static void give(struct stage *s, enum state st, size_t i, uint64_t id)
{
    if (frames[i].json != NULL)
        feed(s, frames[i].json, id);
    else if (st == RESUME)
        stage_welcome(s, id, false);
    else
        feed(s,
             "{\"type\":\"welcome\",\"re\":@,\"proof\":\"" B32 "\",\"token\":\"" B32
             "\",\"account\":{\"id\":\"" H16
             "\",\"name\":\"alice\",\"admin\":true},\"device\":\"laptop\",\"rooms\":[],"
             "\"crl\":\"\"}",
             id);
}

static void every_frame_in_every_state(void **state)
{
    for (enum state st = 0; st < STATES; st++)
        for (size_t i = 0; i < COUNT(frames); i++) {
            struct stage *s = stage_new(state);
            uint64_t id = in_state(s, st);
            assert_false(ended(s));
            give(s, st, i, id);
            bool want = !may(st, frames[i].when);
            if (frames[i].type == F_WELCOME && st == PROOF)
                want = true; /* a proof of zeros: the right one is test_login's */
            if (ended(s) != want)
                fail_msg("%s, %s: %s", frame_name(frames[i].type), names[st],
                         want ? "taken" : "refused");
            if (want) { /* nothing revives it, and nothing more is said */
                engine_sent(s->g, engine_out(s->g).n);
                feed(s, "{\"type\":\"ping\"}", 0);
                assert_int_equal(engine_out(s->g).n, 0);
            }
            stage_free(s);
        }
}

static void rooms_are_no_business_before_the_welcome(void **state)
{
    for (enum state st = 0; st < ONLINE; st++)
        for (size_t i = 0; i < COUNT(of_a_room); i++) {
            struct stage *s = stage_new(state);
            uint64_t id = in_state(s, st);
            assert_false(ended(s));
            feed(s, of_a_room[i], id);
            if (!ended(s))
                fail_msg("%s, %s", of_a_room[i], names[st]);
            stage_free(s);
        }
}

/* The table above speaks of every frame that a relay can send. */
static void no_frame_is_forgotten(void **state)
{
#define X(id, member, wire, from, in) {id, (from), wire},
    static const struct {
        enum frame_type type;
        unsigned from;
        const char *wire;
    } all[] = {FRAME_LIST(X)};
#undef X

    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        bool found = (all[i].from & FROM_RELAY) == 0;
        for (size_t k = 0; k < COUNT(frames); k++)
            found = found || frames[k].type == all[i].type;
        for (size_t k = 0; k < COUNT(of_a_room); k++)
            found = found || strncmp(of_a_room[k] + 9, all[i].wire, strlen(all[i].wire)) == 0;
        if (!found)
            fail_msg("%s", all[i].wire);
    }
}

/* An answer to another request than the one under way is none. */
static void another_requests_answer_is_none(void **state)
{
    struct stage *s = stage_new(state);
    uint64_t id = in_state(s, LOGIN);

    feed(s, challenge, id + 1);
    assert_true(ended(s));
    stage_free(s);
    s = stage_new(state);
    id = in_state(s, RESUME);
    stage_welcome(s, id + 1, false);
    assert_true(ended(s));
    stage_free(s);
}

/* Alice in a room 0xbb, then asking for another one, 0xaa, in which bob is already. */
static struct stage *two_rooms(void **state)
{
    struct stage *s = stage_empty(state, ROOM_PUBLIC);

    s->room = s->other_room = stage_room_id(0xbb);
    stage_engine(s);
    stage_login(s);
    while (s->log_n > 0)
        entry_made_free(&s->log[--s->log_n].made);
    s->room = stage_room_id(0xaa);
    s->is_signed = false;
    stage_log(s, stage_join(s, BOB));
    stage_log(s, stage_write(s, BOB, "hello"));
    s->from = 2; /* so that roll and history are asked for, too */
    return s;
}

/* Nor is one about another room of ours than was asked about. */
static void another_rooms_answer_is_none(void **state)
{
    static const enum frame_type about[] = {F_MEMBERS, F_ROLL, F_HISTORY};

    for (size_t i = 0; i <= COUNT(about); i++) {
        struct stage *s = two_rooms(state);
        struct err e = {0};
        s->lie_about = i < COUNT(about);
        s->about = s->lie_about ? about[i] : F_OKAY;
        assert_true(engine_room_join(s->g, str_of("ops"), &e) != 0);
        stage_serve(s);
        if (s->lie_about) { /* the last time it says the truth */
            if (strstr(s->told.close, "stray") == NULL)
                fail_msg("%s: \"%s\"", frame_name(about[i]), s->told.close);
            assert_int_equal(s->told.close_code, ERR_PEER);
        }
        assert_int_equal(s->told.closes, s->lie_about);
        stage_free(s);
    }
}

/* "ok" answers the topic alone. */
static void another_requests_ok_is_none(void **state)
{
    for (unsigned topic = 0; topic < 2; topic++) {
        struct stage *s = stage_new(state);
        struct err e = {0};
        stage_login(s);
        uint64_t id = topic ? engine_room_topic(s->g, &s->room, str_of("t"), &e)
                            : engine_members(s->g, &s->room, &e);
        const struct f_ok ok = {id};
        assert_true(id != 0);
        stage_answer(s, F_OKAY, &ok);
        assert_int_equal(ended(s), !topic);
        stage_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_in_every_state),
        cmocka_unit_test(rooms_are_no_business_before_the_welcome),
        cmocka_unit_test(no_frame_is_forgotten),
        cmocka_unit_test(another_requests_answer_is_none),
        cmocka_unit_test(another_rooms_answer_is_none),
        cmocka_unit_test(another_requests_ok_is_none),
    };

    return cmocka_run_group_tests_name("order", tests, stage_world, stage_world_end);
}
