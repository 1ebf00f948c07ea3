#include "common/chat/proto.h"

#include <stdlib.h>
#include <string.h>

#include "common/chat/compact.h"
#include "common/chat/fields.h"
#include "common/chat/frame.h"
#include "common/crypto/argon.h"

/* --- rows. AT checks the type of the member while it takes its offset --- */

#define MEMBER(T, m)   ((struct T *)0)->m
#define AT(T, m, type) _Generic(MEMBER(T, m), type : offsetof(struct T, m))
#define AT_INT64(T, m)                                                                             \
    _Generic(MEMBER(T, m), uint64_t : offsetof(struct T, m), int64_t : offsetof(struct T, m))
#define U64(T, k, m, lo, hi)                                                                       \
    {                                                                                              \
        .key = k, .kind = FIELD_U64, .at = AT_INT64(T, m), .min = lo, .max = hi                    \
    }
#define U64_ANY(T, k, m)                                                                           \
    {                                                                                              \
        .key = k, .kind = FIELD_U64, .when = FIELD_IF_ANY, .at = AT(T, m, uint64_t), .min = 1,     \
        .max = JSON_INT_MAX                                                                        \
    }
#define U64_HAS(T, k, m, has)                                                                      \
    {                                                                                              \
        .key = k, .kind = FIELD_U64, .when = FIELD_IF_HAS, .at = AT(T, m, uint64_t),               \
        .extra = AT(T, has, bool), .max = JSON_INT_MAX                                             \
    }
#define BOOL(T, k, m)                                                                              \
    {                                                                                              \
        .key = k, .kind = FIELD_BOOL, .at = AT(T, m, bool)                                         \
    }
#define BOOL_ANY(T, k, m)                                                                          \
    {                                                                                              \
        .key = k, .kind = FIELD_BOOL, .when = FIELD_IF_ANY, .at = AT(T, m, bool)                   \
    }
#define STR(T, k, m, lo, hi)                                                                       \
    {                                                                                              \
        .key = k, .kind = FIELD_STR, .at = AT(T, m, struct str), .min = lo, .max = hi              \
    }
#define STR_ANY(T, k, m, hi)                                                                       \
    {                                                                                              \
        .key = k, .kind = FIELD_STR, .when = FIELD_IF_ANY, .at = AT(T, m, struct str), .min = 1,   \
        .max = hi                                                                                  \
    }
#define LINE(T, k, m, lo, hi)                                                                      \
    {                                                                                              \
        .key = k, .kind = FIELD_LINE, .at = AT(T, m, struct str), .min = lo, .max = hi             \
    }
#define WORD(T, k, m, type, list)                                                                  \
    {                                                                                              \
        .key = k, .kind = FIELD_WORD, .at = AT(T, m, type), .words = list                          \
    }
#define CONST(k, list)                                                                             \
    {                                                                                              \
        .key = k, .kind = FIELD_CONST, .words = list                                               \
    }
#define HEX(T, k, m)                                                                               \
    {                                                                                              \
        .key = k, .kind = FIELD_HEX, .at = offsetof(struct T, m), .min = sizeof(MEMBER(T, m))      \
    }
#define HEX_HAS(T, k, m, has)                                                                      \
    {                                                                                              \
        .key = k, .kind = FIELD_HEX, .when = FIELD_IF_HAS, .at = offsetof(struct T, m),            \
        .extra = AT(T, has, bool), .min = sizeof(MEMBER(T, m))                                     \
    }
#define B64(T, k, m)                                                                               \
    {                                                                                              \
        .key = k, .kind = FIELD_B64, .at = offsetof(struct T, m), .min = sizeof(MEMBER(T, m))      \
    }
#define B64_HAS(T, k, m, has)                                                                      \
    {                                                                                              \
        .key = k, .kind = FIELD_B64, .when = FIELD_IF_HAS, .at = offsetof(struct T, m),            \
        .extra = AT(T, has, bool), .min = sizeof(MEMBER(T, m))                                     \
    }
#define BYTES(T, k, m, lo, hi)                                                                     \
    {                                                                                              \
        .key = k, .kind = FIELD_BYTES, .at = AT(T, m, struct span), .min = lo, .max = hi           \
    }
#define BYTES_ANY(T, k, m, lo, hi)                                                                 \
    {                                                                                              \
        .key = k, .kind = FIELD_BYTES, .when = FIELD_IF_ANY, .at = AT(T, m, struct span),          \
        .min = lo, .max = hi                                                                       \
    }
#define OBJ(T, k, m, part)                                                                         \
    {                                                                                              \
        .key = k, .kind = FIELD_OBJ, .at = AT(T, m, struct part), .sub = &part##_shape             \
    }
#define OBJ_HAS(T, k, m, part, has)                                                                \
    {                                                                                              \
        .key = k, .kind = FIELD_OBJ, .when = FIELD_IF_HAS, .at = AT(T, m, struct part),            \
        .extra = AT(T, has, bool), .sub = &part##_shape                                            \
    }
#define OBJS(T, k, m, part, shape, hi)                                                             \
    {                                                                                              \
        .key = k, .kind = FIELD_OBJS, .at = AT(T, m, const struct part *),                         \
        .extra = AT(T, m##_n, size_t), .max = hi, .sub = &shape                                    \
    }
#define STRS(T, k, m, hi)                                                                          \
    {                                                                                              \
        .key = k, .kind = FIELD_STRS, .at = AT(T, m, const struct str *),                          \
        .extra = AT(T, m##_n, size_t), .max = hi                                                   \
    }
#define DERS(T, k, m, lo, hi)                                                                      \
    {                                                                                              \
        .key = k, .kind = FIELD_DERS, .at = AT(T, m, const struct span *),                         \
        .extra = AT(T, m##_n, size_t), .min = lo, .max = hi                                        \
    }

#define SHAPE(T, r)                                                                                \
    {                                                                                              \
        T##_fields, COUNT(T##_fields), sizeof(struct T), r                                         \
    }
#define PART(T) static const struct shape T##_shape = SHAPE(T, NULL)

/* Fields that many frames have. */
#define ID(T)           U64(T, "id", id, 1, JSON_INT_MAX)
#define RE(T)           U64(T, "re", re, 1, JSON_INT_MAX)
#define ROOM_IS(T)      HEX(T, "room", room)
#define ACCOUNT_IS(T)   HEX(T, "account", account)
#define NUMBER(T)       U64(T, "number", number, 1, JSON_INT_MAX)
#define SEQ(T)          U64(T, "seq", seq, 1, JSON_INT_MAX)
#define TIME(T)         U64(T, "time", time, 0, JSON_INT_MAX)
#define NAMED(T)        STR(T, "name", name, 1, NAME_MAX_LEN)
#define ASKED(T)        STR(T, "name", name, 0, NAME_ASKED_MAX) /* judged by name_check */
#define TOPIC_IS(T)     LINE(T, "topic", topic, 0, TOPIC_MAX)
#define LINE_AND_SIG(T) STR(T, "line", line, 1, LINE_MAX_LEN), BYTES(T, "sig", sig, 1, SIG_MAX)
#define COST(T)         U64(T, "t", t, 1, ARGON_T_MAX), U64(T, "m", m, 1, ARGON_M_KIB_MAX)

static const char *const kind_words[] = {"public", "private", "direct", NULL};
static const char *const history_words[] = {"joined", "all", NULL};
static const char *const role_words[] = {"owner", "member", NULL};
static const char *const entry_words[] = {"entry", NULL};

#define X(id, word, closes) word,
static const char *const code_words[] = {CODE_LIST(X) NULL};
#undef X

/* --- parts --- */

static const struct field f_own_fields[] = {
    NUMBER(f_own),
    TIME(f_own),
    LINE_AND_SIG(f_own),
};
PART(f_own);

static const struct field f_room_info_fields[] = {
    HEX(f_room_info, "id", id),
    NAMED(f_room_info),
    WORD(f_room_info, "kind", kind, enum room_kind, kind_words),
    WORD(f_room_info, "history", history, enum room_history, history_words),
    TOPIC_IS(f_room_info),
    U64(f_room_info, "from", from, 1, JSON_INT_MAX),
    U64(f_room_info, "number", number, 0, JSON_INT_MAX),
    HEX(f_room_info, "head", head),
    BOOL(f_room_info, "signed", is_signed),
    HEX_HAS(f_room_info, "with", with, has_with),
    OBJ_HAS(f_room_info, "own", own, f_own, has_own),
    BOOL_ANY(f_room_info, "ephemeral", ephemeral),
};
PART(f_room_info);

static const struct field f_room_row_fields[] = {
    HEX(f_room_row, "id", id),
    NAMED(f_room_row),
    TOPIC_IS(f_room_row),
    U64(f_room_row, "members", members, 0, JSON_INT_MAX),
    BOOL(f_room_row, "joined", joined),
};
PART(f_room_row);

static const struct field f_device_info_fields[] = {
    HEX(f_device_info, "fp", fp),
    NAMED(f_device_info),
    U64(f_device_info, "since", since, 0, JSON_INT_MAX),
    U64(f_device_info, "revoked", revoked, 0, JSON_INT_MAX),
};
PART(f_device_info);

static const struct field f_member_info_fields[] = {
    ACCOUNT_IS(f_member_info),
    NAMED(f_member_info),
    WORD(f_member_info, "role", role, enum member_role, role_words),
    BOOL(f_member_info, "online", online),
    U64(f_member_info, "delivered", delivered, 0, JSON_INT_MAX),
    OBJS(f_member_info, "devices", devices, f_device_info, f_device_info_shape, DEVICES_MAX),
};
PART(f_member_info);

static const struct field f_account_info_fields[] = {
    HEX(f_account_info, "id", id),
    NAMED(f_account_info),
    BOOL(f_account_info, "admin", admin),
};
PART(f_account_info);

/* --- either way --- */

static const struct field f_ping_fields[] = {CONST("type", ((const char *const[]){"ping", NULL}))};
static const struct field f_pong_fields[] = {CONST("type", ((const char *const[]){"pong", NULL}))};

/* --- from the client --- */

static const struct field f_hello_client_fields[] = {
    U64(f_hello_client, "v", v, 0, JSON_INT_MAX),
    STRS(f_hello_client, "features", features, FEATURES_MAX),
};
static const struct field f_login_fields[] = {
    ID(f_login),
    B64(f_login, "nonce", nonce),
};
static const struct field f_proof_fields[] = {
    ID(f_proof),
    B64(f_proof, "proof", proof),
};
static const struct field f_resume_fields[] = {
    ID(f_resume),
    B64(f_resume, "token", token),
};
static const struct field f_room_create_fields[] = {
    ID(f_room_create),
    ASKED(f_room_create),
    BOOL(f_room_create, "private", is_private),
    WORD(f_room_create, "history", history, enum room_history, history_words),
    BOOL_ANY(f_room_create, "ephemeral", ephemeral),
};
static const struct field f_room_list_fields[] = {
    ID(f_room_list),
};
static const struct field f_room_join_fields[] = {
    ID(f_room_join),
    ASKED(f_room_join),
};
static const struct field f_room_topic_fields[] = {
    ID(f_room_topic),
    ROOM_IS(f_room_topic),
    TOPIC_IS(f_room_topic),
};
static const struct field f_room_open_fields[] = {
    ID(f_room_open),
    ASKED(f_room_open),
};
static const struct field f_person_ask_fields[] = {
    ID(f_person_ask),
    ASKED(f_person_ask),
};
static const struct field f_roll_ask_fields[] = {
    ID(f_roll_ask),
    ROOM_IS(f_roll_ask),
    U64(f_roll_ask, "after", after, 0, JSON_INT_MAX),
};
static const struct field f_members_ask_fields[] = {
    ID(f_members_ask),
    ROOM_IS(f_members_ask),
};
static const struct field f_cert_ask_fields[] = {
    ID(f_cert_ask),
    HEX(f_cert_ask, "fp", fp),
};
static const struct field f_history_ask_fields[] = {
    ID(f_history_ask),
    ROOM_IS(f_history_ask),
    U64_ANY(f_history_ask, "before", before),
    U64_HAS(f_history_ask, "after", after, has_after),
    U64(f_history_ask, "count", count, 1, HISTORY_MAX),
};
static const struct field f_checkpoint_ask_fields[] = {
    ID(f_checkpoint_ask),
    ROOM_IS(f_checkpoint_ask),
    U64(f_checkpoint_ask, "after", after, 0, JSON_INT_MAX),
    U64(f_checkpoint_ask, "own", own, 0, JSON_INT_MAX),
};
static const struct field f_tree_ask_fields[] = {
    ID(f_tree_ask),
    ROOM_IS(f_tree_ask),
    U64(f_tree_ask, "size", size, 1, JSON_INT_MAX),
};
static const struct field f_signer_ask_fields[] = {
    ID(f_signer_ask),
    HEX(f_signer_ask, "fp", fp),
};
static const struct field f_seal_fields[] = {
    ID(f_seal),
    BYTES(f_seal, "receipt", receipt, 1, RECEIPT_MAX),
    BYTES(f_seal, "seal", seal, 1, RECEIPT_SEAL_MAX),
    BYTES(f_seal, "sig", sig, 1, SIG_MAX),
};
static const struct field f_delivered_say_fields[] = {
    ROOM_IS(f_delivered_say),
    NUMBER(f_delivered_say),
};
static const struct field f_entry_say_fields[] = {
    LINE_AND_SIG(f_entry_say),
    BYTES(f_entry_say, "body", body, 1, BODY_MAX),
};
static const struct field f_join_fields[] = {
    ID(f_join),
    B64(f_join, "token", token),
    ASKED(f_join),
    STR(f_join, "device", device, 0, NAME_ASKED_MAX),
    BYTES(f_join, "csr", csr, 1, CSR_MAX),
    B64(f_join, "salt", salt),
    COST(f_join),
    B64(f_join, "stored-key", stored_key),
    B64(f_join, "server-key", server_key),
};

/* --- from the relay --- */

static const struct field f_hello_relay_fields[] = {
    U64(f_hello_relay, "v", v, 0, JSON_INT_MAX),
    STRS(f_hello_relay, "features", features, FEATURES_MAX),
    U64(f_hello_relay, "now", now, 0, JSON_INT_MAX),
    STR(f_hello_relay, "relay", relay, 1, RELAY_NAME_MAX),
};
static const struct field f_challenge_fields[] = {
    RE(f_challenge),
    B64(f_challenge, "nonce", nonce),
    B64(f_challenge, "salt", salt),
    COST(f_challenge),
};
static const struct field f_welcome_fields[] = {
    RE(f_welcome),
    B64_HAS(f_welcome, "proof", proof, has_proof),
    B64(f_welcome, "token", token),
    OBJ(f_welcome, "account", account, f_account_info),
    STR(f_welcome, "device", device, 1, NAME_MAX_LEN),
    OBJS(f_welcome, "rooms", rooms, f_room_info, f_room_info_shape, ROOMS_MAX),
    BYTES(f_welcome, "crl", crl, 0, CRL_MAX),
};
static const struct field f_error_fields[] = {
    U64(f_error, "re", re, 0, JSON_INT_MAX),
    WORD(f_error, "code", code, enum proto_code, code_words),
    STR(f_error, "text", text, 0, REASON_MAX),
    HEX_HAS(f_error, "room", room, has_room),
    U64_ANY(f_error, "seq", seq),
};
static const struct field f_ok_fields[] = {
    RE(f_ok),
};
static const struct field f_room_fields[] = {
    U64_ANY(f_room, "re", re),
    STR_ANY(f_room, "by", by, NAME_MAX_LEN),
    OBJ(f_room, "room", room, f_room_info),
};
static const struct field f_rooms_fields[] = {
    RE(f_rooms),
    OBJS(f_rooms, "rooms", rooms, f_room_row, f_room_row_shape, ROOM_ROWS_MAX),
};
static const struct field f_person_fields[] = {
    RE(f_person),
    ACCOUNT_IS(f_person),
    NAMED(f_person),
};
static const struct field f_members_fields[] = {
    RE(f_members),
    ROOM_IS(f_members),
    U64(f_members, "number", number, 0, JSON_INT_MAX),
    OBJS(f_members, "members", members, f_member_info, f_member_info_shape, MEMBERS_MAX),
};
static const struct field f_cert_fields[] = {
    RE(f_cert),
    HEX(f_cert, "fp", fp),
    ACCOUNT_IS(f_cert),
    STR(f_cert, "device", device, 1, NAME_MAX_LEN),
    DERS(f_cert, "chain", chain, 1, CHAIN_MAX),
    U64(f_cert, "revoked", revoked, 0, JSON_INT_MAX),
};

/* ENTRY says its type in a page of history too; alone it is the frame's own. */
#define ENTRY_FIELDS                                                                               \
    NUMBER(f_entry), TIME(f_entry), LINE_AND_SIG(f_entry),                                         \
        BYTES_ANY(f_entry, "body", body, 1, BODY_MAX), STR_ANY(f_entry, "void", why, REASON_MAX)

static const struct field f_entry_fields[] = {ENTRY_FIELDS};
static const struct field f_entry_part_fields[] = {CONST("type", entry_words), ENTRY_FIELDS};

static int entry_rule(const void *body, struct err *e)
{
    const struct f_entry *f = body;
    return (f->body.n > 0) != (f->why.n > 0)
               ? 0
               : err_set(e, ERR_PEER, "an entry has either \"body\" or \"void\"");
}

static const struct shape entry_part_shape = {f_entry_part_fields, COUNT(f_entry_part_fields),
                                              sizeof(struct f_entry), entry_rule};

static const struct field f_history_fields[] = {
    RE(f_history),
    ROOM_IS(f_history),
    U64(f_history, "first", first, 1, JSON_INT_MAX),
    HEX(f_history, "head", head),
    OBJS(f_history, "entries", entries, f_entry, entry_part_shape, HISTORY_MAX),
};
static const struct field f_roll_fields[] = {
    RE(f_roll),
    ROOM_IS(f_roll),
    U64(f_roll, "upto", upto, 0, JSON_INT_MAX),
    OBJS(f_roll, "entries", entries, f_entry, entry_part_shape, HISTORY_MAX),
};
static const struct field f_checkpoint_fields[] = {
    RE(f_checkpoint),
    BYTES(f_checkpoint, "text", text, 1, CHECKPOINT_MAX),
    BYTES(f_checkpoint, "sig", sig, 1, SIG_MAX),
    BYTES(f_checkpoint, "proof", proof, 0, PROOF_MAX *HASH_LEN),
    BYTES(f_checkpoint, "own", grown, 0, PROOF_MAX *HASH_LEN),
};
static const struct field f_tree_fields[] = {
    RE(f_tree),
    ROOM_IS(f_tree),
    U64(f_tree, "size", size, 1, JSON_INT_MAX),
    BYTES(f_tree, "peaks", peaks, HASH_LEN, PROOF_MAX *HASH_LEN),
};
static const struct field f_cosign_fields[] = {
    BYTES(f_cosign, "receipt", receipt, 1, RECEIPT_MAX),
    BYTES(f_cosign, "seal", seal, 1, RECEIPT_SEAL_MAX),
    BYTES(f_cosign, "sig", sig, 1, SIG_MAX),
};
static const struct field f_cosign_ask_fields[] = {
    BYTES(f_cosign_ask, "receipt", receipt, 1, RECEIPT_MAX),
    BYTES(f_cosign_ask, "seal", seal, 1, RECEIPT_SEAL_MAX),
    BYTES(f_cosign_ask, "sig", sig, 1, SIG_MAX),
};
static const struct field f_cosigned_fields[] = {
    HEX(f_cosigned, "receipt", receipt),
    BYTES(f_cosigned, "seal", seal, 1, RECEIPT_SEAL_MAX),
    BYTES(f_cosigned, "sig", sig, 1, SIG_MAX),
};
static const struct field f_signer_fields[] = {
    RE(f_signer),
    HEX(f_signer, "fp", fp),
    DERS(f_signer, "chain", chain, 2, 2),
};
static const struct field f_sealed_fields[] = {
    RE(f_sealed),
    BYTES(f_sealed, "seal", seal, 1, RECEIPT_SEAL_MAX),
    BYTES(f_sealed, "sig", sig, 1, SIG_MAX),
    BOOL_ANY(f_sealed, "member", member),
};
static const struct field f_topic_fields[] = {
    ROOM_IS(f_topic),
    ACCOUNT_IS(f_topic),
    NAMED(f_topic),
    TOPIC_IS(f_topic),
};
static const struct field f_presence_fields[] = {
    ACCOUNT_IS(f_presence),
    NAMED(f_presence),
    BOOL(f_presence, "online", online),
};
static const struct field f_device_fields[] = {
    ACCOUNT_IS(f_device),    NAMED(f_device), STR(f_device, "device", device, 1, NAME_MAX_LEN),
    HEX(f_device, "fp", fp), TIME(f_device),  BOOL(f_device, "kept", kept),
};
static const struct field f_delivered_fields[] = {
    ROOM_IS(f_delivered),
    ACCOUNT_IS(f_delivered),
    NUMBER(f_delivered),
};
static const struct field f_crl_fields[] = {
    BYTES(f_crl, "crl", crl, 1, CRL_MAX),
};
static const struct field f_numbered_fields[] = {
    ROOM_IS(f_numbered),
    SEQ(f_numbered),
    NUMBER(f_numbered),
    TIME(f_numbered),
    B64_HAS(f_numbered, "root", root, has_root),
};
static const struct field f_again_fields[] = {
    ROOM_IS(f_again),
    SEQ(f_again),
    U64(f_again, "wait", wait, 0, JSON_INT_MAX),
    STR(f_again, "text", text, 0, REASON_MAX),
};
static const struct field f_voided_fields[] = {
    ROOM_IS(f_voided),
    SEQ(f_voided),
    NUMBER(f_voided),
    TIME(f_voided),
    STR(f_voided, "text", text, 1, REASON_MAX),
    B64_HAS(f_voided, "root", root, has_root),
};
static const struct field f_joined_fields[] = {
    RE(f_joined),
    ACCOUNT_IS(f_joined),
    NAMED(f_joined),
    STR(f_joined, "device", device, 1, NAME_MAX_LEN),
    DERS(f_joined, "chain", chain, 2, CHAIN_MAX),
    BYTES(f_joined, "root", root, 1, CERT_MAX),
};

/* --- rules between fields --- */

static int history_ask_rule(const void *body, struct err *e)
{
    const struct f_history_ask *f = body;
    return (f->before > 0) != f->has_after
               ? 0
               : err_set(e, ERR_PEER, "history wants either \"before\" or \"after\"");
}

static int error_rule(const void *body, struct err *e)
{
    const struct f_error *f = body;
    return f->has_room == (f->seq > 0)
               ? 0
               : err_set(e, ERR_PEER, "an error names both \"room\" and \"seq\" or neither");
}

static int (*const rules[FRAME_TYPES])(const void *body, struct err *e) = {
    [F_ENTRY] = entry_rule,
    [F_HISTORY_ASK] = history_ask_rule,
    [F_ERROR] = error_rule,
};

/* --- the table of frames --- */

static const struct kind {
    const char *wire;
    unsigned from, in;
    const struct field *fields;
    size_t n, size;
} kinds[FRAME_TYPES] = {
#define X(id, member, wire, from, in)                                                              \
    [id] = {wire,                                                                                  \
            from,                                                                                  \
            in,                                                                                    \
            f_##member##_fields,                                                                   \
            COUNT(f_##member##_fields),                                                            \
            sizeof(struct f_##member)},
    FRAME_LIST(X)
#undef X
};

static struct shape shape_of(enum frame_type t)
{
    return (struct shape){kinds[t].fields, kinds[t].n, kinds[t].size, rules[t]};
}

static int type_take(struct jget *g, unsigned from, enum frame_type *out)
{
    struct str type = jget_str(g, "type", 1, FEATURE_MAX);

    for (int i = 0; g->node != NULL && i < FRAME_TYPES; i++) {
        if ((kinds[i].from & from) != 0 && str_is(type, kinds[i].wire)) {
            *out = (enum frame_type)i;
            return 0;
        }
    }
    return err_set(g->e, ERR_PEER, "an unknown type of frame");
}

int frame_take(struct frame *f, struct span json, unsigned from, struct err *e)
{
    struct err why = {0};
    struct jget g;

    if (compact_is(json))
        return compact_take(f, json, from, e);
    memset(f, 0, sizeof *f);
    f->tree = json_parse(json, &why);
    if (f->tree == NULL)
        goto out;
    g = jget_of(f->tree, &why);
    if (type_take(&g, from, &f->type) < 0)
        goto out;
    struct shape shape = shape_of(f->type);
    if (shape_take(&g, &shape, &f->u) < 0)
        (void)err_in(&why, "%s", kinds[f->type].wire);
out:
    if (why.code == ERR_NONE)
        return 0;
    frame_free(f);
    return err_set(e, why.code, "%s", why.text);
}

void frame_free(struct frame *f)
{
    json_free(f->tree);
    if (f->own != NULL)
        wipe(f->own, f->own_n);
    free(f->own);
    wipe(f, sizeof *f);
}

int frame_put(struct buf *b, enum frame_type t, const void *body, struct err *e)
{
    struct shape shape = shape_of(t);
    struct jput w = jput_of(b);
    size_t before = b->len, mark = 0;
    int ret = frame_begin(b, &mark);

    if (ret < 0)
        return err_set(e, ERR_LIMIT, "%s: no room to send it", kinds[t].wire);
    jput_open(&w, NULL, '{');
    if (shape.fields[0].kind != FIELD_CONST)
        jput_str(&w, "type", str_of(kinds[t].wire));
    ret = shape_put(&w, &shape, body, e);
    jput_close(&w, '}');
    if (ret == 0 && (jput_done(&w) < 0 || frame_end(b, mark) < 0))
        ret = err_set(e, ERR_LIMIT, "%s: no room to send it", kinds[t].wire);
    if (ret < 0)
        buf_cut(b, before);
    return ret;
}

const char *frame_name(enum frame_type t)
{
    return kinds[t].wire;
}

bool frame_in(enum frame_type t, unsigned where)
{
    return (kinds[t].in & where) != 0;
}

uint64_t frame_id(const struct frame *f)
{
    const struct field *first = &kinds[f->type].fields[0];
    uint64_t id = 0;

    if (strcmp(first->key, "id") == 0 || strcmp(first->key, "re") == 0)
        memcpy(&id, (const char *)&f->u + first->at, sizeof id);
    return id;
}

bool feature_spoken(const struct str *features, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(features[i], word))
            return true;
    return false;
}

const char *proto_code_word(enum proto_code c)
{
    return code_words[c];
}

bool proto_code_closes(enum proto_code c)
{
#define X(id, word, closes) closes,
    static const bool table[] = {CODE_LIST(X)};
#undef X
    return table[c];
}
