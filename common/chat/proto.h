/* proto.h -- every frame of docs/protocol.md: a row in FRAME_LIST, a struct, and one table of
 * fields (proto.c) from which both its encoder and its decoder work.
 *
 * Ownership. Encoding borrows all that the struct points to, for the call. Decoding gives a struct
 * frame that owns everything its structs point to: texts, bytes and arrays live until frame_free.
 * Bounds of docs/protocol.md are checked here; whether names, lines, certificates and signatures
 * mean anything is not. Knows no state: frame_in says where a frame may stand. */
#ifndef COMMON_CHAT_PROTO_H
#define COMMON_CHAT_PROTO_H

#include "common/chat/id.h"
#include "common/crypto/crypto.h"
#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

/* Who may send a frame, and where it may stand. */
enum { FROM_CLIENT = 1, FROM_RELAY = 2 };
enum {
    IN_EARLY = 1, /* countersign/1, before welcome is sent or seen */
    IN_CHAT = 2,  /* countersign/1, after it */
    IN_JOIN = 4,  /* countersign-join/1 */
};

/* id, struct f_NAME and member of the union, type on the wire, who sends it, where. */
#define FRAME_LIST(X)                                                                              \
    X(F_HELLO_CLIENT, hello_client, "hello", FROM_CLIENT, IN_EARLY | IN_JOIN)                      \
    X(F_LOGIN, login, "login", FROM_CLIENT, IN_EARLY)                                              \
    X(F_PROOF, proof, "proof", FROM_CLIENT, IN_EARLY)                                              \
    X(F_RESUME, resume, "resume", FROM_CLIENT, IN_EARLY)                                           \
    X(F_ROOM_CREATE, room_create, "room-create", FROM_CLIENT, IN_CHAT)                             \
    X(F_ROOM_LIST, room_list, "room-list", FROM_CLIENT, IN_CHAT)                                   \
    X(F_ROOM_JOIN, room_join, "room-join", FROM_CLIENT, IN_CHAT)                                   \
    X(F_ROOM_TOPIC, room_topic, "room-topic", FROM_CLIENT, IN_CHAT)                                \
    X(F_ROOM_OPEN, room_open, "room-open", FROM_CLIENT, IN_CHAT)                                   \
    X(F_PERSON_ASK, person_ask, "person", FROM_CLIENT, IN_CHAT)                                    \
    X(F_MEMBERS_ASK, members_ask, "members", FROM_CLIENT, IN_CHAT)                                 \
    X(F_ROLL_ASK, roll_ask, "roll", FROM_CLIENT, IN_CHAT)                                          \
    X(F_CERT_ASK, cert_ask, "cert", FROM_CLIENT, IN_CHAT)                                          \
    X(F_HISTORY_ASK, history_ask, "history", FROM_CLIENT, IN_CHAT)                                 \
    X(F_CHECKPOINT_ASK, checkpoint_ask, "checkpoint", FROM_CLIENT, IN_CHAT)                        \
    X(F_TREE_ASK, tree_ask, "tree", FROM_CLIENT, IN_CHAT)                                          \
    X(F_SIGNER_ASK, signer_ask, "signer", FROM_CLIENT, IN_CHAT)                                    \
    X(F_SEAL, seal, "seal", FROM_CLIENT, IN_CHAT)                                                  \
    X(F_COSIGN, cosign, "cosign", FROM_CLIENT, IN_CHAT)                                            \
    X(F_DELIVERED_SAY, delivered_say, "delivered", FROM_CLIENT, IN_CHAT)                           \
    X(F_ENTRY_SAY, entry_say, "entry", FROM_CLIENT, IN_CHAT)                                       \
    X(F_JOIN, join, "join", FROM_CLIENT, IN_JOIN)                                                  \
    X(F_PING, ping, "ping", FROM_CLIENT | FROM_RELAY, IN_EARLY | IN_CHAT)                          \
    X(F_PONG, pong, "pong", FROM_CLIENT | FROM_RELAY, IN_EARLY | IN_CHAT)                          \
    X(F_HELLO_RELAY, hello_relay, "hello", FROM_RELAY, IN_EARLY | IN_JOIN)                         \
    X(F_CHALLENGE, challenge, "challenge", FROM_RELAY, IN_EARLY)                                   \
    X(F_WELCOME, welcome, "welcome", FROM_RELAY, IN_EARLY)                                         \
    X(F_ERROR, error, "error", FROM_RELAY, IN_EARLY | IN_CHAT | IN_JOIN)                           \
    X(F_OKAY, ok, "ok", FROM_RELAY, IN_CHAT)                                                       \
    X(F_ROOM, room, "room", FROM_RELAY, IN_CHAT)                                                   \
    X(F_ROOMS, rooms, "rooms", FROM_RELAY, IN_CHAT)                                                \
    X(F_PERSON, person, "person", FROM_RELAY, IN_CHAT)                                             \
    X(F_MEMBERS, members, "members", FROM_RELAY, IN_CHAT)                                          \
    X(F_ROLL, roll, "roll", FROM_RELAY, IN_CHAT)                                                   \
    X(F_CERT, cert, "cert", FROM_RELAY, IN_CHAT)                                                   \
    X(F_HISTORY, history, "history", FROM_RELAY, IN_CHAT)                                          \
    X(F_CHECKPOINT, checkpoint, "checkpoint", FROM_RELAY, IN_CHAT)                                 \
    X(F_TREE, tree, "tree", FROM_RELAY, IN_CHAT)                                                   \
    X(F_SIGNER, signer, "signer", FROM_RELAY, IN_CHAT)                                             \
    X(F_SEALED, sealed, "sealed", FROM_RELAY, IN_CHAT)                                             \
    X(F_COSIGN_ASK, cosign_ask, "cosign-ask", FROM_RELAY, IN_CHAT)                                 \
    X(F_COSIGNED, cosigned, "cosigned", FROM_RELAY, IN_CHAT)                                       \
    X(F_TOPIC, topic, "topic", FROM_RELAY, IN_CHAT)                                                \
    X(F_PRESENCE, presence, "presence", FROM_RELAY, IN_CHAT)                                       \
    X(F_DEVICE, device, "device", FROM_RELAY, IN_CHAT)                                             \
    X(F_DELIVERED, delivered, "delivered", FROM_RELAY, IN_CHAT)                                    \
    X(F_CRL, crl, "crl", FROM_RELAY, IN_CHAT)                                                      \
    X(F_ENTRY, entry, "entry", FROM_RELAY, IN_CHAT)                                                \
    X(F_NUMBERED, numbered, "numbered", FROM_RELAY, IN_CHAT)                                       \
    X(F_AGAIN, again, "again", FROM_RELAY, IN_CHAT)                                                \
    X(F_VOIDED, voided, "void", FROM_RELAY, IN_CHAT)                                               \
    X(F_JOINED, joined, "joined", FROM_RELAY, IN_JOIN)

#define X(id, member, wire, from, in) id,
enum frame_type { FRAME_LIST(X) FRAME_TYPES };
#undef X

/* Error codes: id, word on the wire, whether the relay closes after it as a rule (`auth` closes but
 * for resume; an error with re 0 closes but for `denied` on an entry). */
#define CODE_LIST(X)                                                                               \
    X(CODE_MALFORMED, "malformed", true)                                                           \
    X(CODE_STATE, "state", true)                                                                   \
    X(CODE_BAD_ENTRY, "bad-entry", true)                                                           \
    X(CODE_AUTH, "auth", true)                                                                     \
    X(CODE_NO_SUCH, "no-such", false)                                                              \
    X(CODE_TAKEN, "taken", false)                                                                  \
    X(CODE_BAD_NAME, "bad-name", false)                                                            \
    X(CODE_DENIED, "denied", false)                                                                \
    X(CODE_LIMIT, "limit", false)                                                                  \
    X(CODE_BUSY, "busy", false)                                                                    \
    X(CODE_SHUTDOWN, "shutdown", true)

#define X(id, word, closes) id,
enum proto_code { CODE_LIST(X) CODE_COUNT };
#undef X

#define COSIGN_WORD "cosign-1" /* a feature: seals receipts of others, and takes their seals */
/* Is that word among the features of a hello? */
bool feature_spoken(const struct str *features, size_t n, const char *word);

const char *proto_code_word(enum proto_code c);
bool proto_code_closes(enum proto_code c);

enum room_kind { ROOM_PUBLIC, ROOM_PRIVATE, ROOM_DIRECT };
enum room_history { HISTORY_JOINED, HISTORY_ALL };
enum member_role { ROLE_OWNER, ROLE_MEMBER };

/* --- parts of frames. Times are ms; `has_x` says whether x is there --- */

struct f_own { /* the relay's last entry by the reader's own devices */
    uint64_t number;
    int64_t time;
    struct str line;
    struct span sig;
};

struct f_room_info { /* ROOM */
    struct room_id id;
    struct str name;
    enum room_kind kind;
    enum room_history history;
    struct str topic;
    uint64_t from, number;
    struct hash head;       /* head(from - 1) */
    bool is_signed;         /* the reader's own signed join is in force */
    bool has_with;          /* a direct room: */
    struct account_id with; /* the other's account */
    bool has_own;
    struct f_own own;
    bool ephemeral;
};

struct f_room_row { /* of `rooms` */
    struct room_id id;
    struct str name, topic;
    uint64_t members;
    bool joined;
};

struct f_device_info {
    struct hash fp;
    struct str name;
    int64_t since, revoked; /* revoked 0: is not */
};

struct f_member_info { /* MEMBER */
    struct account_id account;
    struct str name;
    enum member_role role;
    bool online;
    uint64_t delivered;
    const struct f_device_info *devices;
    size_t devices_n;
};

struct f_account_info {
    struct account_id id;
    struct str name;
    bool admin;
};

/* --- either way --- */

struct f_ping {
    bool none; /* no fields; never looked at */
};
struct f_pong {
    bool none;
};

/* --- from the client; id is 1 or more --- */

struct f_hello_client {
    uint64_t v;
    const struct str *features;
    size_t features_n;
};
struct f_login {
    uint64_t id;
    uint8_t nonce[NONCE_LEN];
};
struct f_proof {
    uint64_t id;
    struct hash proof;
};
struct f_resume {
    uint64_t id;
    uint8_t token[RESUME_LEN];
};
struct f_room_create {
    uint64_t id;
    struct str name;
    bool is_private;
    enum room_history history;
    bool ephemeral; /* in the relay's memory alone */
};
struct f_room_list {
    uint64_t id;
};
struct f_room_join {
    uint64_t id;
    struct str name;
};
struct f_room_topic {
    uint64_t id;
    struct room_id room;
    struct str topic;
};
struct f_room_open {
    uint64_t id;
    struct str name;
};
struct f_person_ask {
    uint64_t id;
    struct str name;
};
struct f_members_ask {
    uint64_t id;
    struct room_id room;
};
struct f_roll_ask {
    uint64_t id;
    struct room_id room;
    uint64_t after;
};
struct f_cert_ask {
    uint64_t id;
    struct hash fp;
};
struct f_history_ask { /* exactly one of before (1 or more; 0: not there) and after */
    uint64_t id;
    struct room_id room;
    uint64_t before;
    bool has_after;
    uint64_t after;
    uint64_t count;
};
struct f_checkpoint_ask { /* 0: no proof from there is wanted */
    uint64_t id;
    struct room_id room;
    uint64_t after; /* size of the last checkpoint that is kept */
    uint64_t own;   /* size of the tree that was verified */
};
struct f_tree_ask {
    uint64_t id;
    struct room_id room;
    uint64_t size;
};
struct f_signer_ask {
    uint64_t id;
    struct hash fp;
};
struct f_seal { /* docs/evidence.md 5: a receipt of this session, and the client's seal of it */
    uint64_t id;
    struct span receipt, seal, sig;
};
struct f_cosign { /* the receipt of the other one of a direct room, and our seal of it */
    struct span receipt, seal, sig;
};
struct f_delivered_say {
    struct room_id room;
    uint64_t number;
};
struct f_entry_say {
    struct str line;
    struct span sig, body;
};
struct f_join {
    uint64_t id;
    uint8_t token[TOKEN_LEN];
    struct str name, device;
    struct span csr; /* DER */
    uint8_t salt[SALT_LEN];
    uint64_t t, m; /* Argon2id cost, m in KiB */
    struct hash stored_key, server_key;
};

/* --- from the relay; re is the id of the request, 0 only where said --- */

struct f_hello_relay {
    uint64_t v;
    const struct str *features;
    size_t features_n;
    int64_t now;
    struct str relay;
};
struct f_challenge {
    uint64_t re;
    uint8_t nonce[NONCE_LEN];
    uint8_t salt[SALT_LEN];
    uint64_t t, m;
};
struct f_welcome {
    uint64_t re;
    bool has_proof; /* not after resume */
    struct hash proof;
    uint8_t token[RESUME_LEN];
    struct f_account_info account;
    struct str device;
    const struct f_room_info *rooms;
    size_t rooms_n;
    struct span crl; /* DER; empty: the relay has none */
};
struct f_error {
    uint64_t re; /* 0: not the answer to a request */
    enum proto_code code;
    struct str text;
    bool has_room; /* room and seq: this entry was not numbered */
    struct room_id room;
    uint64_t seq; /* 0: not there */
};
struct f_ok {
    uint64_t re;
};
struct f_room {
    uint64_t re;   /* 0: unasked */
    struct str by; /* who invited; empty: nobody */
    struct f_room_info room;
};
struct f_rooms {
    uint64_t re;
    const struct f_room_row *rooms;
    size_t rooms_n;
};
struct f_person {
    uint64_t re;
    struct account_id account;
    struct str name;
};
struct f_members {
    uint64_t re;
    struct room_id room;
    uint64_t number; /* the room's last one when this was so */
    const struct f_member_info *members;
    size_t members_n;
};
struct f_cert {
    uint64_t re;
    struct hash fp;
    struct account_id account;
    struct str device;
    const struct span *chain; /* DER, leaf first */
    size_t chain_n;
    int64_t revoked; /* 0: is not */
};
struct f_entry { /* ENTRY: exactly one of body and why */
    uint64_t number;
    int64_t time;
    struct str line;
    struct span sig, body;
    struct str why; /* "void" on the wire */
};
struct f_history {
    uint64_t re;
    struct room_id room;
    uint64_t first;
    struct hash head; /* head(first - 1) */
    const struct f_entry *entries;
    size_t entries_n;
};
struct f_roll { /* joins, leaves and invitations, ascending */
    uint64_t re;
    struct room_id room;
    uint64_t upto; /* there are no others up to this number */
    const struct f_entry *entries;
    size_t entries_n;
};
struct f_checkpoint {
    uint64_t re;
    struct span text, sig;    /* docs/evidence.md 2 */
    struct span proof, grown; /* hashes: the root at `after` or `own` and what leads from there */
};
struct f_tree {
    uint64_t re;
    struct room_id room;
    uint64_t size;
    struct span peaks; /* hashes, of the largest subtree first */
};
struct f_signer {
    uint64_t re;
    struct hash fp;
    const struct span *chain; /* DER: evidence certificate, its issuer */
    size_t chain_n;
};
struct f_sealed {
    uint64_t re;
    struct span seal, sig; /* the relay's */
    bool member;           /* the other member seals it, too, or was asked to: `cosigned` */
};
struct f_cosign_ask { /* a receipt of the other one of a direct room, sealed by him and the relay */
    struct span receipt, seal, sig; /* his */
};
struct f_cosigned {
    struct hash receipt;   /* SHA-256 of its text */
    struct span seal, sig; /* the other member's */
};
struct f_topic {
    struct room_id room;
    struct account_id account;
    struct str name, topic;
};
struct f_presence {
    struct account_id account;
    struct str name;
    bool online;
};
struct f_device {
    struct account_id account;
    struct str name, device;
    struct hash fp;
    int64_t time;
    bool kept; /* the account's former devices stay valid */
};
struct f_delivered {
    struct room_id room;
    struct account_id account;
    uint64_t number;
};
struct f_crl {
    struct span crl; /* DER */
};
struct f_numbered {
    struct room_id room;
    uint64_t seq, number;
    int64_t time;
    bool has_root;    /* not in ephemeral rooms */
    struct hash root; /* of the room's tree up to number */
};
struct f_again {
    struct room_id room;
    uint64_t seq, wait; /* wait in ms */
    struct str text;
};
struct f_voided {
    struct room_id room;
    uint64_t seq, number;
    int64_t time;
    struct str text;
    bool has_root;
    struct hash root;
};
struct f_joined {
    uint64_t re;
    struct account_id account;
    struct str name, device;
    const struct span *chain; /* DER: leaf, intermediate */
    size_t chain_n;
    struct span root; /* DER */
};

/* --- decoding --- */

struct json;

struct frame {
    enum frame_type type;
    struct json *tree; /* owned: what u points to lives in it */
    void *own;         /* the same of a compact frame (compact.h), own_n bytes */
    size_t own_n;
    union {
#define X(id, member, wire, from, in) struct f_##member member;
        FRAME_LIST(X)
#undef X
    } u;
};

/* Reads one frame, JSON or compact (without its u32), that came from FROM_CLIENT or FROM_RELAY. 0,
 * or -1 and e (ERR_PEER: it broke docs/protocol.md; ERR_LOCAL: no memory); then *f needs no
 * frame_free.
 */
int frame_take(struct frame *f, struct span json, unsigned from, struct err *e) MUST_USE;
/* Takes back all that frame_take gave; wiped, since proofs and tokens travel in frames. A struct
 * of zeros, and one freed before, are fine. */
void frame_free(struct frame *f);

const char *frame_name(enum frame_type t);        /* its type on the wire */
bool frame_in(enum frame_type t, unsigned where); /* may it stand in IN_...? */
uint64_t frame_id(const struct frame *f);         /* id or re of it; 0: it has none */

/* --- encoding: appends u32 and JSON to b, or leaves b as it was and gives -1: a value is out of
 * bounds (ours to avoid), the frame is longer than FRAME_MAX, or b is full --- */

int frame_put(struct buf *b, enum frame_type t, const void *body, struct err *e) MUST_USE;

/* f_login_put(b, &login, e) and so on: the same with the type of the struct checked. */
#define X(id, member, wire, from, in)                                                              \
    MUST_USE static inline int f_##member##_put(struct buf *b, const struct f_##member *f,         \
                                                struct err *e)                                     \
    {                                                                                              \
        return frame_put(b, id, f, e);                                                             \
    }
FRAME_LIST(X)
#undef X

#endif
