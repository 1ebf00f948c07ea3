/* Every frame of docs/protocol.md as its text: read, written again to the same bytes, and refused
 * with any key missing or of another type, cut anywhere, or sent by the wrong side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "common/chat/json.h"
#include "common/chat/proto.h"

#define B2  "AP8="
#define B16 "AAECAwQFBgcICQoLDA0ODw=="
#define B32 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define H16 "000102030405060708090a0b0c0d0e0f"
#define H32 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

#define OWN "{\"number\":7,\"time\":8,\"line\":\"l\",\"sig\":\"" B2 "\"}"
#define ROOM_BARE                                                                                  \
    "{\"id\":\"" H16 "\",\"name\":\"lobby\",\"kind\":\"public\",\"history\":\"joined\","           \
    "\"topic\":\"\",\"from\":1,\"number\":0,\"head\":\"" H32 "\",\"signed\":false}"
#define ROOM_OWN                                                                                   \
    "{\"id\":\"" H16 "\",\"name\":\"bob\",\"kind\":\"direct\",\"history\":\"all\","                \
    "\"topic\":\"t\",\"from\":2,\"number\":9,\"head\":\"" H32 "\",\"signed\":true,"                \
    "\"with\":\"" H16 "\",\"own\":" OWN "}"
#define ENTRY_BODY                                                                                 \
    "{\"type\":\"entry\",\"number\":3,\"time\":4,\"line\":\"l\",\"sig\":\"" B2 "\",\"body\":\"" B2 \
    "\"}"
#define ENTRY_VOID                                                                                 \
    "{\"type\":\"entry\",\"number\":3,\"time\":4,\"line\":\"l\",\"sig\":\"" B2                     \
    "\",\"void\":\"why\"}"

static const struct {
    enum frame_type type;
    const char *json;
    const char *optional; /* keys that may be missing, between spaces */
} frames[] = {
    {F_PING, "{\"type\":\"ping\"}", ""},
    {F_PONG, "{\"type\":\"pong\"}", ""},
    {F_HELLO_CLIENT, "{\"type\":\"hello\",\"v\":1,\"features\":[]}", ""},
    {F_HELLO_CLIENT, "{\"type\":\"hello\",\"v\":2,\"features\":[\"x\",\"y\"]}", ""},
    {F_LOGIN, "{\"type\":\"login\",\"id\":1,\"nonce\":\"" B32 "\"}", ""},
    {F_PROOF, "{\"type\":\"proof\",\"id\":4294967296,\"proof\":\"" B32 "\"}", ""},
    {F_RESUME, "{\"type\":\"resume\",\"id\":1,\"token\":\"" B32 "\"}", ""},
    {F_ROOM_CREATE,
     "{\"type\":\"room-create\",\"id\":1,\"name\":\"lobby\",\"private\":true,\"history\":\"all\"}",
     ""},
    {F_ROOM_LIST, "{\"type\":\"room-list\",\"id\":1}", ""},
    {F_ROOM_JOIN, "{\"type\":\"room-join\",\"id\":1,\"name\":\"lobby\"}", ""},
    {F_PERSON_ASK, "{\"type\":\"person\",\"id\":1,\"name\":\"bob\"}", ""},
    {F_ROLL_ASK, "{\"type\":\"roll\",\"id\":1,\"room\":\"" H16 "\",\"after\":0}", ""},
    {F_ROOM_TOPIC, "{\"type\":\"room-topic\",\"id\":1,\"room\":\"" H16 "\",\"topic\":\"t\"}", ""},
    {F_ROOM_OPEN, "{\"type\":\"room-open\",\"id\":1,\"name\":\"bob\"}", ""},
    {F_MEMBERS_ASK, "{\"type\":\"members\",\"id\":1,\"room\":\"" H16 "\"}", ""},
    {F_CERT_ASK, "{\"type\":\"cert\",\"id\":1,\"fp\":\"" H32 "\"}", ""},
    {F_HISTORY_ASK,
     "{\"type\":\"history\",\"id\":1,\"room\":\"" H16 "\",\"before\":5,\"count\":100}", ""},
    {F_HISTORY_ASK, "{\"type\":\"history\",\"id\":1,\"room\":\"" H16 "\",\"after\":0,\"count\":1}",
     ""},
    {F_CHECKPOINT_ASK,
     "{\"type\":\"checkpoint\",\"id\":1,\"room\":\"" H16 "\",\"after\":0,\"own\":7}", ""},
    {F_TREE_ASK, "{\"type\":\"tree\",\"id\":1,\"room\":\"" H16 "\",\"size\":1}", ""},
    {F_SIGNER_ASK, "{\"type\":\"signer\",\"id\":1,\"fp\":\"" H32 "\"}", ""},
    {F_COSIGN,
     "{\"type\":\"cosign\",\"receipt\":\"" B2 "\",\"seal\":\"" B2 "\",\"sig\":\"" B2 "\"}", ""},
    {F_SEAL,
     "{\"type\":\"seal\",\"id\":1,\"receipt\":\"" B2 "\",\"seal\":\"" B2 "\",\"sig\":\"" B2 "\"}",
     ""},
    {F_DELIVERED_SAY, "{\"type\":\"delivered\",\"room\":\"" H16 "\",\"number\":1}", ""},
    {F_ENTRY_SAY, "{\"type\":\"entry\",\"line\":\"l\",\"sig\":\"" B2 "\",\"body\":\"" B2 "\"}", ""},
    {F_JOIN,
     "{\"type\":\"join\",\"id\":1,\"token\":\"" B16 "\",\"name\":\"bob\",\"device\":\"laptop\","
     "\"csr\":\"" B2 "\",\"salt\":\"" B16 "\",\"t\":3,\"m\":65536,\"stored-key\":\"" B32
     "\",\"server-key\":\"" B32 "\"}",
     ""},
    {F_HELLO_RELAY,
     "{\"type\":\"hello\",\"v\":1,\"features\":[],\"now\":5,\"relay\":\"relay.example\"}", ""},
    {F_CHALLENGE,
     "{\"type\":\"challenge\",\"re\":1,\"nonce\":\"" B32 "\",\"salt\":\"" B16
     "\",\"t\":3,\"m\":65536}",
     ""},
    {F_WELCOME,
     "{\"type\":\"welcome\",\"re\":2,\"proof\":\"" B32 "\",\"token\":\"" B32
     "\",\"account\":{\"id\":\"" H16 "\",\"name\":\"alice\",\"admin\":true},\"device\":\"laptop\","
     "\"rooms\":[" ROOM_BARE "," ROOM_OWN "],\"crl\":\"" B2 "\"}",
     " proof own with "},
    {F_WELCOME,
     "{\"type\":\"welcome\",\"re\":2,\"token\":\"" B32 "\",\"account\":{\"id\":\"" H16
     "\",\"name\":\"alice\",\"admin\":false},\"device\":\"laptop\",\"rooms\":[],\"crl\":\"\"}",
     ""},
    {F_ERROR, "{\"type\":\"error\",\"re\":0,\"code\":\"bad-entry\",\"text\":\"no\"}", ""},
    {F_ERROR,
     "{\"type\":\"error\",\"re\":0,\"code\":\"denied\",\"text\":\"no\",\"room\":\"" H16
     "\",\"seq\":4}",
     ""},
    {F_OKAY, "{\"type\":\"ok\",\"re\":1}", ""},
    {F_ROOM, "{\"type\":\"room\",\"re\":1,\"room\":" ROOM_BARE "}", " re "},
    {F_ROOM, "{\"type\":\"room\",\"by\":\"bob\",\"room\":" ROOM_OWN "}", " by own with "},
    {F_ROOMS,
     "{\"type\":\"rooms\",\"re\":1,\"rooms\":[{\"id\":\"" H16
     "\",\"name\":\"lobby\",\"topic\":\"\",\"members\":2,\"joined\":false}]}",
     ""},
    {F_MEMBERS,
     "{\"type\":\"members\",\"re\":1,\"room\":\"" H16
     "\",\"number\":4,\"members\":[{\"account\":\"" H16
     "\",\"name\":\"alice\",\"role\":\"owner\",\"online\":true,\"delivered\":0,\"devices\":["
     "{\"fp\":\"" H32 "\",\"name\":\"laptop\",\"since\":1,\"revoked\":0}]}]}",
     ""},
    {F_CERT,
     "{\"type\":\"cert\",\"re\":1,\"fp\":\"" H32 "\",\"account\":\"" H16
     "\",\"device\":\"laptop\",\"chain\":[\"" B2 "\",\"" B16 "\"],\"revoked\":0}",
     ""},
    {F_HISTORY,
     "{\"type\":\"history\",\"re\":1,\"room\":\"" H16 "\",\"first\":3,\"head\":\"" H32
     "\",\"entries\":[" ENTRY_BODY "," ENTRY_VOID "]}",
     ""},
    {F_HISTORY,
     "{\"type\":\"history\",\"re\":1,\"room\":\"" H16 "\",\"first\":1,\"head\":\"" H32
     "\",\"entries\":[]}",
     ""},
    {F_PERSON, "{\"type\":\"person\",\"re\":1,\"account\":\"" H16 "\",\"name\":\"bob\"}", ""},
    {F_ROLL,
     "{\"type\":\"roll\",\"re\":1,\"room\":\"" H16 "\",\"upto\":3,\"entries\":[" ENTRY_BODY "]}",
     ""},
    {F_TOPIC,
     "{\"type\":\"topic\",\"room\":\"" H16 "\",\"account\":\"" H16
     "\",\"name\":\"bob\",\"topic\":\"t\"}",
     ""},
    {F_PRESENCE,
     "{\"type\":\"presence\",\"account\":\"" H16 "\",\"name\":\"bob\",\"online\":false}", ""},
    {F_DEVICE,
     "{\"type\":\"device\",\"account\":\"" H16
     "\",\"name\":\"bob\",\"device\":\"phone\",\"fp\":\"" H32 "\",\"time\":5,\"kept\":true}",
     ""},
    {F_CHECKPOINT,
     "{\"type\":\"checkpoint\",\"re\":1,\"text\":\"" B2 "\",\"sig\":\"" B2 "\",\"proof\":\"" B32
     "\",\"own\":\"\"}",
     ""},
    {F_TREE, "{\"type\":\"tree\",\"re\":1,\"room\":\"" H16 "\",\"size\":1,\"peaks\":\"" B32 "\"}",
     ""},
    {F_COSIGN_ASK,
     "{\"type\":\"cosign-ask\",\"receipt\":\"" B2 "\",\"seal\":\"" B2 "\",\"sig\":\"" B2 "\"}", ""},
    {F_COSIGNED,
     "{\"type\":\"cosigned\",\"receipt\":\"" H32 "\",\"seal\":\"" B2 "\",\"sig\":\"" B2 "\"}", ""},
    {F_SEALED,
     "{\"type\":\"sealed\",\"re\":1,\"seal\":\"" B2 "\",\"sig\":\"" B2 "\",\"member\":true}",
     " member "},
    {F_SEALED, "{\"type\":\"sealed\",\"re\":1,\"seal\":\"" B2 "\",\"sig\":\"" B2 "\"}", ""},
    {F_SIGNER,
     "{\"type\":\"signer\",\"re\":1,\"fp\":\"" H32 "\",\"chain\":[\"" B2 "\",\"" B2 "\"]}", ""},
    {F_DELIVERED,
     "{\"type\":\"delivered\",\"room\":\"" H16 "\",\"account\":\"" H16 "\",\"number\":1}", ""},
    {F_CRL, "{\"type\":\"crl\",\"crl\":\"" B2 "\"}", ""},
    {F_ENTRY, ENTRY_BODY, ""},
    {F_ENTRY, ENTRY_VOID, ""},
    {F_NUMBERED, "{\"type\":\"numbered\",\"room\":\"" H16 "\",\"seq\":1,\"number\":2,\"time\":3}",
     ""},
    {F_NUMBERED,
     "{\"type\":\"numbered\",\"room\":\"" H16 "\",\"seq\":1,\"number\":2,\"time\":3,\"root\":\"" B32
     "\"}",
     " root "},
    {F_AGAIN, "{\"type\":\"again\",\"room\":\"" H16 "\",\"seq\":1,\"wait\":500,\"text\":\"busy\"}",
     ""},
    {F_VOIDED,
     "{\"type\":\"void\",\"room\":\"" H16 "\",\"seq\":1,\"number\":2,\"time\":3,\"text\":\"why\"}",
     ""},
    {F_JOINED,
     "{\"type\":\"joined\",\"re\":1,\"account\":\"" H16
     "\",\"name\":\"bob\",\"device\":\"laptop\",\"chain\":[\"" B2 "\",\"" B2 "\"],\"root\":\"" B2
     "\"}",
     ""},
};

static unsigned sender(enum frame_type t)
{
#define X(id, member, wire, from, in) from,
    static const unsigned from[] = {FRAME_LIST(X)};
#undef X
    return from[t] & FROM_CLIENT ? FROM_CLIENT : FROM_RELAY;
}

static int take(const char *json, unsigned from)
{
    struct frame f;
    struct err e = {0};
    int rc = frame_take(&f, span_of(json, strlen(json)), from, &e);

    assert_int_equal(rc == 0 ? ERR_NONE : ERR_PEER, e.code);
    if (rc == 0)
        frame_free(&f);
    return rc;
}

static void every_frame_goes_there_and_back(void **state)
{
    bool seen[FRAME_TYPES] = {false};
    (void)state;

    for (size_t i = 0; i < COUNT(frames); i++) {
        struct err e = {0};
        struct frame f;
        struct buf b;
        struct span in = span_of(frames[i].json, strlen(frames[i].json));
        print_message("# %s\n", frames[i].json);
        buf_init(&b, FRAME_MAX);
        assert_int_equal(frame_take(&f, in, sender(frames[i].type), &e), 0);
        assert_int_equal(f.type, frames[i].type);
        assert_int_equal(frame_put(&b, f.type, &f.u, &e), 0);
        struct rd r = rd_of(buf_span(&b));
        assert_int_equal(rd_u32(&r), in.n);
        assert_true(span_same(rd_rest(&r), in));
        seen[f.type] = true;
        frame_free(&f);
        frame_free(&f);
        buf_free(&b);
    }
    for (size_t i = 0; i < FRAME_TYPES; i++)
        assert_true(seen[i]);
}

static void cut_frames_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(frames); i++) {
        for (size_t n = 0; n < strlen(frames[i].json); n++) {
            struct frame f;
            struct err e = {0};
            assert_int_equal(frame_take(&f, span_of(frames[i].json, n), sender(frames[i].type), &e),
                             -1);
            assert_null(f.tree);
        }
    }
}

static int take_tree(const cJSON *root, unsigned from)
{
    char *text = cJSON_PrintUnformatted(root);
    int rc = take(text, from);
    free(text);
    return rc;
}

static bool may_miss(const char *optional, const char *key)
{
    char padded[80];
    snprintf(padded, sizeof padded, " %s ", key);
    return strstr(optional, padded) != NULL;
}

/* Every key of every object below node: without it, and with a value of no type it could have. */
static void spoil(const cJSON *root, cJSON *node, size_t i)
{
    unsigned from = sender(frames[i].type);

    for (cJSON *child = node->child; child != NULL; child = child->next) {
        char other[] = "another", *key = child->string;
        int type = child->type;
        if (key != NULL) {
            print_message("# %s without %s\n", frames[i].json, key);
            child->string = other;
            assert_int_equal(take_tree(root, from), may_miss(frames[i].optional, key) ? 0 : -1);
            child->string = key;
            child->type = cJSON_NULL;
            assert_int_equal(take_tree(root, from), -1);
            child->type = type;
        }
        spoil(root, child, i);
    }
}

static void every_key_is_needed_with_its_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(frames); i++) {
        cJSON *root = cJSON_Parse(frames[i].json);
        spoil(root, root, i);
        assert_int_equal(take_tree(root, sender(frames[i].type)), 0);
        cJSON_AddStringToObject(root, "of-a-later-version", "ignored");
        assert_int_equal(take_tree(root, sender(frames[i].type)), 0);
        cJSON_Delete(root);
    }
}

static void the_wrong_side_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(frames); i++) {
        struct frame f;
        struct err e = {0};
        unsigned other = sender(frames[i].type) == FROM_CLIENT ? FROM_RELAY : FROM_CLIENT;
        int rc = frame_take(&f, span_of(frames[i].json, strlen(frames[i].json)), other, &e);
        if (rc == 0) {
            /* Whose fields are among those of the other side's frame of that name. */
            assert_true(f.type == F_PING || f.type == F_PONG || f.type == F_ENTRY_SAY ||
                        f.type == F_HELLO_CLIENT || f.type == F_DELIVERED_SAY);
            frame_free(&f);
        }
    }
}

static const struct {
    const char *json, *why;
    unsigned from;
} refused[] = {
    {"{}", "no type", FROM_CLIENT},
    {"{\"type\":\"nonsense\"}", "unknown type", FROM_CLIENT},
    {"{\"type\":5}", "type is no text", FROM_CLIENT},
    {"{\"type\":\"Ping\"}", "a capital", FROM_CLIENT},
    {"{\"type\":\"room-list\",\"id\":0}", "id 0", FROM_CLIENT},
    {"{\"type\":\"room-list\",\"id\":-1}", "id below 0", FROM_CLIENT},
    {"{\"type\":\"room-list\",\"id\":\"1\"}", "id is text", FROM_CLIENT},
    {"{\"type\":\"login\",\"id\":1,\"nonce\":\"" B16 "\"}", "nonce too short", FROM_CLIENT},
    {"{\"type\":\"login\",\"id\":1,\"nonce\":\"" B32 "AA==\"}", "nonce too long", FROM_CLIENT},
    {"{\"type\":\"members\",\"id\":1,\"room\":\"000102030405060708090A0b0c0d0e0f\"}",
     "upper-case hex", FROM_CLIENT},
    {"{\"type\":\"members\",\"id\":1,\"room\":\"00\"}", "room too short", FROM_CLIENT},
    {"{\"type\":\"history\",\"id\":1,\"room\":\"" H16 "\",\"count\":1}", "neither before nor after",
     FROM_CLIENT},
    {"{\"type\":\"history\",\"id\":1,\"room\":\"" H16 "\",\"before\":5,\"after\":1,\"count\":1}",
     "both", FROM_CLIENT},
    {"{\"type\":\"history\",\"id\":1,\"room\":\"" H16 "\",\"before\":0,\"count\":1}", "before 0",
     FROM_CLIENT},
    {"{\"type\":\"history\",\"id\":1,\"room\":\"" H16 "\",\"after\":0,\"count\":0}", "count 0",
     FROM_CLIENT},
    {"{\"type\":\"history\",\"id\":1,\"room\":\"" H16 "\",\"after\":0,\"count\":101}",
     "count too large", FROM_CLIENT},
    {"{\"type\":\"room-create\",\"id\":1,\"name\":\"x\",\"private\":true,\"history\":\"some\"}",
     "no such history", FROM_CLIENT},
    {"{\"type\":\"room-create\",\"id\":1,\"name\":\"x\",\"private\":1,\"history\":\"all\"}",
     "1 for true", FROM_CLIENT},
    {"{\"type\":\"room-topic\",\"id\":1,\"room\":\"" H16 "\",\"topic\":\"a\\nb\"}",
     "a topic of two lines", FROM_CLIENT},
    {"{\"type\":\"room-topic\",\"id\":1,\"room\":\"" H16 "\",\"topic\":\"\\u001b[2J\"}",
     "ESC in a topic", FROM_CLIENT},
    {"{\"type\":\"entry\",\"line\":\"l\",\"sig\":\"AP9=\",\"body\":\"" B2 "\"}",
     "trailing bits in base64", FROM_CLIENT},
    {"{\"type\":\"entry\",\"line\":\"l\",\"sig\":\"AP8\",\"body\":\"" B2 "\"}", "padding missing",
     FROM_CLIENT},
    {"{\"type\":\"entry\",\"line\":\"\",\"sig\":\"" B2 "\",\"body\":\"" B2 "\"}", "empty line",
     FROM_CLIENT},
    {"{\"type\":\"entry\",\"line\":\"l\",\"sig\":\"\",\"body\":\"" B2 "\"}", "empty sig",
     FROM_CLIENT},
    {"{\"type\":\"entry\",\"number\":3,\"time\":4,\"line\":\"l\",\"sig\":\"" B2 "\"}",
     "neither body nor void", FROM_RELAY},
    {"{\"type\":\"entry\",\"number\":3,\"time\":4,\"line\":\"l\",\"sig\":\"" B2 "\",\"body\":\"" B2
     "\",\"void\":\"x\"}",
     "body and void", FROM_RELAY},
    {"{\"type\":\"entry\",\"number\":0,\"time\":4,\"line\":\"l\",\"sig\":\"" B2 "\",\"body\":\"" B2
     "\"}",
     "number 0", FROM_RELAY},
    {"{\"type\":\"history\",\"re\":1,\"room\":\"" H16 "\",\"first\":3,\"head\":\"" H32
     "\",\"entries\":[5]}",
     "an entry that is none", FROM_RELAY},
    {"{\"type\":\"error\",\"re\":0,\"code\":\"denied\",\"text\":\"no\",\"seq\":4}",
     "seq without room", FROM_RELAY},
    {"{\"type\":\"error\",\"re\":0,\"code\":\"other\",\"text\":\"no\"}", "no such code",
     FROM_RELAY},
    {"{\"type\":\"challenge\",\"re\":1,\"nonce\":\"" B32 "\",\"salt\":\"" B16
     "\",\"t\":17,\"m\":65536}",
     "more passes than anybody wants", FROM_RELAY},
    {"{\"type\":\"challenge\",\"re\":1,\"nonce\":\"" B32 "\",\"salt\":\"" B16
     "\",\"t\":3,\"m\":4294967296}",
     "terabytes of memory", FROM_RELAY},
    {"{\"type\":\"joined\",\"re\":1,\"account\":\"" H16
     "\",\"name\":\"bob\",\"device\":\"laptop\",\"chain\":[\"" B2 "\"],\"root\":\"" B2 "\"}",
     "a chain of one", FROM_RELAY},
    {"{\"type\":\"cert\",\"re\":1,\"fp\":\"" H32 "\",\"account\":\"" H16 "\",\"device\":\"d\","
     "\"chain\":[\"" B2 "\",\"" B2 "\",\"" B2 "\",\"" B2 "\",\"" B2 "\"],\"revoked\":0}",
     "a chain of five", FROM_RELAY},
};

static void what_breaks_the_document_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        print_message("# %s\n", refused[i].why);
        assert_int_equal(take(refused[i].json, refused[i].from), -1);
    }
}

static void values_arrive(void **state)
{
    struct err e = {0};
    struct frame f;
    const char *json =
        "{\"type\":\"welcome\",\"re\":2,\"proof\":\"" B32 "\",\"token\":\"" B32
        "\",\"account\":{\"id\":\"" H16 "\",\"name\":\"alice\",\"admin\":true},"
        "\"device\":\"laptop\",\"rooms\":[" ROOM_BARE "," ROOM_OWN "],\"crl\":\"" B2 "\"}";
    (void)state;

    assert_int_equal(frame_take(&f, span_of(json, strlen(json)), FROM_RELAY, &e), 0);
    const struct f_welcome *w = &f.u.welcome;
    assert_int_equal(frame_id(&f), 2);
    assert_true(w->has_proof && w->account.admin && str_is(w->account.name, "alice"));
    assert_int_equal(w->proof.b[31], 31);
    assert_int_equal(w->account.id.b[15], 15);
    assert_int_equal(w->rooms_n, 2);
    assert_false(w->rooms[0].has_own);
    assert_int_equal(w->rooms[1].kind, ROOM_DIRECT);
    assert_int_equal(w->rooms[1].history, HISTORY_ALL);
    assert_true(w->rooms[1].has_own && str_is(w->rooms[1].own.line, "l"));
    assert_int_equal(w->rooms[1].own.time, 8);
    assert_true(span_same(w->crl, span_of("\0\xff", 2)));
    frame_free(&f);
}

static void own_mistakes_are_not_sent(void **state)
{
    struct buf b;
    struct err e = {0};
    struct f_entry none = {.number = 1, .line = str_of("l"), .sig = span_of("s", 1)};
    struct f_room_list no_id = {0};
    struct f_room_join latin1 = {.id = 1, .name = str_of("\xe9")};
    struct f_ok ok = {.re = 1};
    (void)state;

    buf_init(&b, 100);
    assert_int_equal(buf_add(&b, "before", 6), 0);
    assert_int_equal(f_entry_put(&b, &none, &e), -1);
    assert_int_equal(f_room_list_put(&b, &no_id, &e), -1);
    assert_int_equal(f_room_join_put(&b, &latin1, &e), -1);
    assert_true(span_same(buf_span(&b), span_of("before", 6)));
    buf_free(&b);
    for (size_t max = 0; max < 4 + sizeof "{\"type\":\"ok\",\"re\":1}" - 1; max++) {
        buf_init(&b, max);
        assert_int_equal(f_ok_put(&b, &ok, &e), -1);
        assert_int_equal(b.len, 0);
        buf_free(&b);
    }
}

static void states_are_as_in_the_document(void **state)
{
    static const enum frame_type early[] = {F_HELLO_CLIENT, F_LOGIN, F_PROOF,       F_RESUME,
                                            F_PING,         F_PONG,  F_HELLO_RELAY, F_CHALLENGE,
                                            F_WELCOME,      F_ERROR};
    static const enum frame_type join[] = {F_HELLO_CLIENT, F_JOIN, F_HELLO_RELAY, F_JOINED,
                                           F_ERROR};
    (void)state;

    for (int t = 0; t < FRAME_TYPES; t++) {
        bool is_early = false, is_join = false;
        for (size_t i = 0; i < COUNT(early); i++)
            is_early = is_early || early[i] == (enum frame_type)t;
        for (size_t i = 0; i < COUNT(join); i++)
            is_join = is_join || join[i] == (enum frame_type)t;
        assert_int_equal(frame_in((enum frame_type)t, IN_EARLY), is_early);
        assert_int_equal(frame_in((enum frame_type)t, IN_JOIN), is_join);
    }
    assert_false(frame_in(F_LOGIN, IN_CHAT));
    assert_true(frame_in(F_ENTRY_SAY, IN_CHAT));
    assert_string_equal(proto_code_word(CODE_BAD_ENTRY), "bad-entry");
    assert_true(proto_code_closes(CODE_STATE) && !proto_code_closes(CODE_TAKEN));
}

/* The longest entry there can be fits, and comes back. */
static void the_longest_entry_fits(void **state)
{
    static uint8_t body[BODY_MAX], sig[SIG_MAX];
    static char line[LINE_MAX_LEN];
    struct err e = {0};
    struct frame f;
    struct buf b;
    (void)state;

    memset(line, 'x', sizeof line);
    struct f_entry in = {.number = JSON_INT_MAX,
                         .time = (int64_t)JSON_INT_MAX,
                         .line = str_from(line, sizeof line),
                         .sig = span_of(sig, sizeof sig),
                         .body = span_of(body, sizeof body)};
    buf_init(&b, 2 * FRAME_MAX);
    assert_int_equal(f_entry_put(&b, &in, &e), 0);
    struct span s = buf_span(&b);
    assert_int_equal(frame_take(&f, span_of(s.p + 4, s.n - 4), FROM_RELAY, &e), 0);
    assert_int_equal(f.u.entry.body.n, BODY_MAX);
    frame_free(&f);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_goes_there_and_back),
        cmocka_unit_test(cut_frames_are_refused),
        cmocka_unit_test(every_key_is_needed_with_its_type),
        cmocka_unit_test(the_wrong_side_is_refused),
        cmocka_unit_test(what_breaks_the_document_is_refused),
        cmocka_unit_test(values_arrive),
        cmocka_unit_test(own_mistakes_are_not_sent),
        cmocka_unit_test(states_are_as_in_the_document),
        cmocka_unit_test(the_longest_entry_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
