/* store.h -- what the relay keeps: accounts, devices, sessions, rooms, members, messages, receipts,
 * invites, audit log.
 *
 * A back end is a const struct of functions: memory (the specification that runs) and SQLite
 * (server/store_sqlite.c). One test suite runs over both. One thread uses a handle. Functions give
 * 0, or -1 and e; those that look something up give 1 (found), 0 (none), -1. Rows given to a
 * callback live for the call. Nothing here judges: whoever calls has checked. */
#ifndef SERVER_CORE_STORE_H
#define SERVER_CORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/chat/id.h"
#include "common/chat/name.h"
#include "common/chat/proto.h"
#include "common/crypto/crypto.h"
#include "common/evidence/merkle.h"
#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

struct store_user {
    struct account_id id;
    char name[NAME_MAX_LEN + 1];
    char canonical[NAME_KEY_MAX], skeleton[NAME_KEY_MAX]; /* unique each */
    char email[EMAIL_MAX + 1];                            /* empty: none */
    uint8_t salt[SALT_LEN];
    uint32_t t, m;                    /* Argon2id, m in KiB */
    uint8_t sealed[LOGIN_SEALED_LEN]; /* StoredKey || ServerKey: see server/core/seal.h */
    bool disabled, admin;
    int64_t since;
};

struct store_device {
    struct hash fp; /* key: SHA-256 of its certificate */
    struct account_id account;
    char name[NAME_MAX_LEN + 1];
    int64_t since, revoked; /* ms; revoked 0: it is not */
};

/* A device's certificates as they were issued. */
struct store_chain {
    uint8_t leaf[CERT_MAX], issuer[CERT_MAX];
    size_t leaf_n, issuer_n;
};

/* A login by password and the resume tokens that came from it; tokens as their SHA-256. */
struct store_session {
    uint64_t id;                 /* key; drawn by the caller */
    struct hash current, former; /* former: zeros when there is none */
    struct hash fp;
    struct account_id account;
    int64_t until; /* absolute end */
    int64_t ended; /* when its connection ended; 0: it has not */
};

/* A login: which certificates met and what came of it. It stays when its tokens are gone; the table
 * of sessions is seed 002's. */
struct store_login {
    uint8_t session[SESSION_ID_LEN]; /* key: account_session of its connection */
    struct account_id account;
    struct hash token;        /* the resume token that it was given, as its SHA-256 */
    struct hash fp, relay_fp; /* of both ends' certificates */
    char link[RECEIPT_WORD_MAX + 1],
        suite[RECEIPT_WORD_MAX + 1]; /* "": from before they were kept */
    int64_t started, ended;          /* ms; ended 0: it goes on */
    uint64_t before, after; /* entries of all rooms that there were at its start; ended: and then */
    bool counted;           /* false: it goes on, or the relay stopped in its midst */
    uint64_t entries;       /* of its own that were numbered in it */
    bool has_transcript;    /* a receipt of it was sealed: */
    struct hash transcript; /* its transcript_hash; of several, SHA-256 over what this was before
                             * and the next one's */
};

/* A receipt that was sealed (docs/evidence.md 5). */
struct store_receipt {
    struct hash hash; /* key: SHA-256 of its text */
    uint8_t session[SESSION_ID_LEN];
    struct room_id room;
    struct hash fp;       /* the client's certificate */
    struct hash previous; /* unique in its room, for its fp: one receipt in one place */
    uint64_t last;        /* number of its last entry */
    char text[RECEIPT_MAX + 1];
    char client[RECEIPT_SEAL_MAX + 1], relay[RECEIPT_SEAL_MAX + 1]; /* seals */
    uint8_t client_sig[SIG_MAX], relay_sig[SIG_MAX];
    size_t client_sig_n, relay_sig_n;
    char member[RECEIPT_SEAL_MAX + 1]; /* of the other one of a direct room; "": there is none */
    uint8_t member_sig[SIG_MAX];
    size_t member_sig_n;
};

/* Where the next receipt of a room by a certificate belongs. */
struct store_place {
    struct hash hash; /* of the one that was added last, */
    uint64_t last;    /* and number of its last entry */
    bool taken;       /* one is there that names the `previous` in question */
};

struct store_room {
    struct room_id id;
    char name[NAME_MAX_LEN + 1];
    char canonical[ROOM_KEY_MAX], skeleton[ROOM_KEY_MAX]; /* unique each */
    enum room_kind kind;
    enum room_history history;
    char topic[TOPIC_MAX + 1];
    int64_t since;
    bool ephemeral; /* in memory alone (store_window.h); false for every row of a store on disk */
};

/* Where a room's history ends. */
struct store_tip {
    uint64_t number; /* 0: empty */
    struct hash head;
};

/* Stored as they are numbered: rows are only added. Admitted is who may sign his join; until he
 * has, he reads nothing and is nobody's member. */
enum member_state { STATE_INVITED, STATE_MEMBER, STATE_LEFT, STATE_ADMITTED };

struct store_member { /* key: room and account */
    struct room_id room;
    struct account_id account;
    enum member_state state;
    enum member_role role;
    uint64_t from;      /* first number he may read; 0: never was a member, or from his join on */
    uint64_t delivered; /* everything up to it is verified and kept by him */
    int64_t since;
    struct account_id by; /* who invited; zeros: nobody */
    uint64_t joined;      /* number of his last join; 0: none is signed */
};

struct store_message { /* key: room and number; room, fp and seq are unique too */
    struct room_id room;
    uint64_t number;
    int64_t time;
    struct account_id account;
    struct hash fp;
    uint64_t seq;
    struct hash head; /* head(number) */
    struct str line;
    struct span sig, body;
    struct str why; /* voided: the reason; then body is empty */
    bool seats; /* join, leave or invite, and not voided; behind it what an ephemeral room keeps */
    bool leave; /* ... of these */
    struct hashes nodes; /* its leaf, and the complete subtrees of the room's tree that end with it,
                          * smallest first; read by message_node, not with the row */
    struct account_id who; /* whose seat: the author's, of an invitation the guest's */
};

/* The newest that was signed of a room (docs/evidence.md 2). */
struct store_checkpoint { /* key: room */
    struct room_id room;
    uint64_t size;
    int64_t time;
    struct hash signer;
    char text[CHECKPOINT_MAX + 1];
    uint8_t sig[SIG_MAX];
    size_t sig_n;
};

struct store_invite {
    struct hash token;         /* key: SHA-256 of the token */
    bool bound;                /* for an account that exists: */
    struct account_id account; /* that one; after use the one that was made */
    bool keep;                 /* bound: its former devices stay */
    bool admin;                /* the new account is one */
    int64_t made, expires;
    int64_t used;    /* ms; 0: it is not */
    struct hash key; /* used: SHA-256 of the SubjectPublicKeyInfo that it enrolled */
    struct hash fp;  /* used: and its certificate */
};

/* A row of the audit log. It is a line of the log's tree (common/evidence/audit.h) once it has a
 * number; nothing of it changes any more then but its address, which is emptied. */
struct store_audit {
    struct str event, account, fp, reason;
    struct str address; /* empty when its time was over */
    int64_t time;
    uint64_t count;
    /* One row per event, reason, address and minute, as long as it is open: time is cut, count adds
     * up, and account and fp are empty unless they were the same each time. */
    bool folded;
    uint64_t number;     /* 1, 2, 3 ...; 0: it is open */
    struct str sealed;   /* with a number: what its line has for the address */
    struct hashes nodes; /* with a number: as those of messages; read by audit_range alone */
    int64_t row;         /* the store's own: for audit_close */
};

typedef int store_each_user(void *ctx, const struct store_user *row);
typedef int store_each_device(void *ctx, const struct store_device *row);
typedef int store_each_login(void *ctx, const struct store_login *row);
typedef int store_each_room(void *ctx, const struct store_room *row, const struct store_tip *tip);
typedef int store_each_member(void *ctx, const struct store_member *row);
typedef int store_each_message(void *ctx, const struct store_message *row);
typedef int store_each_invite(void *ctx, const struct store_invite *row);
typedef int store_each_audit(void *ctx, const struct store_audit *row);
typedef int store_each_checkpoint(void *ctx, const struct store_checkpoint *row);

/* `each` stops when its callback gives other than 0 and returns that. put replaces the row of the
 * same key; add refuses it. Everything between begin and commit is on disk when commit gives 0, or
 * nothing of it is: after a -1 of commit nothing may be acknowledged. */
struct store_ops {
    const char *name;
    void (*close)(void *db); /* NULL is fine */

    int (*begin)(void *db, struct err *e); /* ERR_AGAIN: another process holds it too long */
    int (*commit)(void *db, struct err *e);
    void (*rollback)(void *db);
    int (*changed)(void *db, struct err *e); /* 1: another process wrote since the last call */

    int (*user_put)(void *db, const struct store_user *row, struct err *e);
    int (*user_get)(void *db, const struct account_id *id, struct store_user *out, struct err *e);
    int (*user_find)(void *db, const char *canonical, struct store_user *out, struct err *e);
    int (*user_like)(void *db, const char *skeleton, struct err *e);             /* 1: taken */
    int (*user_each)(void *db, store_each_user *each, void *ctx, struct err *e); /* by canonical */

    int (*device_add)(void *db, const struct store_device *row, const struct store_chain *chain,
                      struct err *e);
    int (*device_revoke)(void *db, const struct hash *fp, int64_t when, struct err *e);
    int (*device_chain)(void *db, const struct hash *fp, struct store_chain *out, struct err *e);
    int (*device_each)(void *db, store_each_device *each, void *ctx, struct err *e); /* by since */

    int (*session_put)(void *db, const struct store_session *row, struct err *e);
    int (*session_find)(void *db, const struct hash *token, struct store_session *out,
                        struct err *e); /* by its current or former token */
    int (*session_end)(void *db, uint64_t id, int64_t when, struct err *e);
    int (*session_delete)(void *db, uint64_t id, struct err *e);
    int (*session_end_all)(void *db, int64_t when, struct err *e);       /* those not ended */
    int (*session_drop)(void *db, const struct hash *fp, struct err *e); /* all of a device */
    int (*session_purge)(void *db, int64_t until, int64_t ended, struct err *e); /* older ones */

    int (*login_put)(void *db, const struct store_login *row, struct err *e);
    int (*login_end)(void *db, const uint8_t session[SESSION_ID_LEN], int64_t when,
                     uint64_t entries, struct err *e);
    int (*login_end_all)(void *db, int64_t when, struct err *e); /* those not ended; uncounted */
    int (*login_each)(void *db, store_each_login *each, void *ctx, struct err *e); /* by started */
    int (*login_get)(void *db, const uint8_t session[SESSION_ID_LEN], struct store_login *out,
                     struct err *e);
    int (*login_seal)(void *db, const uint8_t session[SESSION_ID_LEN],
                      const struct hash *transcript, struct err *e);

    int (*receipt_add)(void *db, const struct store_receipt *row, struct err *e);
    int (*receipt_get)(void *db, const struct hash *hash, struct store_receipt *out, struct err *e);
    /* The other member's seal of one that has none yet: seal and signature. */
    int (*receipt_cosign)(void *db, const struct hash *hash, const char *seal, struct span sig,
                          struct err *e);
    /* 0: none of the room by that certificate was added. */
    int (*receipt_place)(void *db, const struct room_id *room, const struct hash *fp,
                         const struct hash *previous, struct store_place *out, struct err *e);

    int (*room_put)(void *db, const struct store_room *row, struct err *e);
    int (*room_each)(void *db, store_each_room *each, void *ctx, struct err *e);

    int (*member_put)(void *db, const struct store_member *row, struct err *e);
    int (*member_each)(void *db, store_each_member *each, void *ctx, struct err *e);

    int (*message_add)(void *db, const struct store_message *row, struct err *e);
    /* The out of these two: callback with the one row. */
    int (*message_seq)(void *db, const struct room_id *room, const struct hash *fp, uint64_t seq,
                       store_each_message *each, void *ctx, struct err *e);
    int (*message_last)(void *db, const struct room_id *room, const struct hash *fp,
                        store_each_message *each, void *ctx, struct err *e); /* highest seq */
    /* All of an account, highest number first, without body and why. */
    int (*message_former)(void *db, const struct room_id *room, const struct account_id *account,
                          store_each_message *each, void *ctx, struct err *e);
    int (*message_head)(void *db, const struct room_id *room, uint64_t number, struct hash *out,
                        struct err *e);
    /* How many there are, of all rooms; how many there were with this one. No clock is in it.
     * login_end and login_end_all keep the first as `after`. */
    int (*message_count)(void *db, uint64_t *out, struct err *e);
    int (*message_place)(void *db, const struct room_id *room, uint64_t number, uint64_t *out,
                         struct err *e);
    /* Numbers first .. last upwards, or downwards when first > last. */
    int (*message_range)(void *db, const struct room_id *room, uint64_t first, uint64_t last,
                         store_each_message *each, void *ctx, struct err *e);

    /* Those that say who is a member, with higher numbers than that, upwards. */
    int (*message_seats)(void *db, const struct room_id *room, uint64_t after,
                         store_each_message *each, void *ctx, struct err *e);

    /* Of a message's nodes the one of 2^level leaves. */
    int (*message_node)(void *db, const struct room_id *room, uint64_t number, unsigned level,
                        struct hash *out, struct err *e);
    /* The latest time of those with higher numbers than that; 0 when there is none. */
    int (*message_latest)(void *db, const struct room_id *room, uint64_t after, int64_t *out,
                          struct err *e);

    int (*checkpoint_put)(void *db, const struct store_checkpoint *row, struct err *e);
    int (*checkpoint_get)(void *db, const struct room_id *room, struct store_checkpoint *out,
                          struct err *e);
    /* Certificates that checkpoints were signed with; one that is there already stays. */
    int (*signer_put)(void *db, const struct hash *fp, const struct store_chain *chain,
                      struct err *e);
    int (*signer_get)(void *db, const struct hash *fp, struct store_chain *out, struct err *e);

    int (*invite_put)(void *db, const struct store_invite *row, struct err *e);
    int (*invite_get)(void *db, const struct hash *token, struct store_invite *out, struct err *e);
    /* 1: it was unused and is used now; 0: it was used before, or is not there. */
    int (*invite_use)(void *db, const struct store_invite *row, struct err *e);
    int (*invite_each)(void *db, store_each_invite *each, void *ctx, struct err *e);

    /* One that is open and folded joins the open one that it belongs to. */
    int (*audit_add)(void *db, const struct store_audit *row, struct err *e);
    /* 1 and the callback with the earliest open row but those folded ones of that minute; 0: none.
     * The callback may close it. */
    int (*audit_open)(void *db, int64_t minute, store_each_audit *each, void *ctx, struct err *e);
    int (*audit_close)(void *db, const struct store_audit *row,
                       struct err *e); /* gets its number */
    int (*audit_each)(void *db, int64_t since, store_each_audit *each, void *ctx,
                      struct err *e); /* by time */
    int (*audit_range)(void *db, uint64_t first, uint64_t last, store_each_audit *each, void *ctx,
                       struct err *e);                         /* by number */
    int (*audit_size)(void *db, uint64_t *out, struct err *e); /* the last number; 0: none */
    int (*audit_node)(void *db, uint64_t number, unsigned level, struct hash *out, struct err *e);
    /* The latest time of those with higher numbers than that; 0 when there is none. */
    int (*audit_latest)(void *db, uint64_t after, int64_t *out, struct err *e);
    /* The earliest time of a row whose address is still there to be emptied; 0: there is none. */
    int (*audit_known)(void *db, int64_t *out, struct err *e);
    /* Empties the addresses of `most` such rows of before that time, the earliest first. */
    int (*audit_forget)(void *db, int64_t before, uint64_t most, struct err *e);
    /* Keys of addresses by week; purge destroys those of weeks before that one. */
    int (*audit_key_put)(void *db, int64_t week, const struct key *key, struct err *e);
    int (*audit_key_get)(void *db, int64_t week, struct key *out, struct err *e);
    int (*audit_key_purge)(void *db, int64_t week, struct err *e);
    /* Checkpoints of the log (their room is its id): the last of each day (UTC) stays. The newest,
     * and all by time. */
    int (*audit_sign)(void *db, const struct store_checkpoint *row, struct err *e);
    int (*audit_signed)(void *db, struct store_checkpoint *out, struct err *e);
    int (*audit_signed_each)(void *db, store_each_checkpoint *each, void *ctx, struct err *e);
};

struct store {
    const struct store_ops *ops;
    void *db;
};

extern const struct store_ops store_memory;
void *store_memory_new(void); /* NULL: no memory */

void store_close(struct store *s);

#endif
