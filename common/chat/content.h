/* content.h -- what an entry says: strict JSON with a `kind` (docs/protocol.md 6).
 *
 * say is for people; join, leave and invite change who is a member. Only the bounds and types of
 * docs/protocol.md are checked here; whether the author may say so is judged by the relay
 * (server/core/core_seat.c) and by every recipient (client/core/roster.h). */
#ifndef COMMON_CHAT_CONTENT_H
#define COMMON_CHAT_CONTENT_H

#include "common/chat/id.h"
#include "common/crypto/crypto.h"
#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

/* id, word on the wire. The relay stores the number: rows are only added. */
#define CONTENT_LIST(X)                                                                            \
    X(CONTENT_SAY, "say")                                                                          \
    X(CONTENT_JOIN, "join")                                                                        \
    X(CONTENT_LEAVE, "leave")                                                                      \
    X(CONTENT_INVITE, "invite")

#define X(id, word) id,
enum content_kind { CONTENT_LIST(X) CONTENT_UNKNOWN };
#undef X

struct content_who {
    struct account_id account;
    struct str name;
};

struct content {
    enum content_kind kind;
    struct str name;         /* of the kind, as written */
    struct str text;         /* say */
    struct content_who who;  /* join: the author himself; invite: the guest */
    bool has_with;           /* join of a direct room: */
    struct content_who with; /* the other one */
    struct hash roster;      /* invite: of the members that its author vouches for ... */
    uint64_t at;             /* ... as they were behind this number */
    struct json *tree;       /* owned: what the texts point to lives in it */
};

enum { CONTENT_KIND_MAX = 64 };

/* Does it change who is a member? */
bool content_seats(enum content_kind kind);

/* -1 and e: nothing needs freeing. */
int content_take(struct content *c, struct span json, struct err *e) MUST_USE;
void content_free(struct content *c); /* zeros are fine */

/* These append to b, or leave it as it was and give -1. */
int content_say_put(struct buf *b, struct str text, struct err *e) MUST_USE;
int content_join_put(struct buf *b, const struct content_who *who, const struct content_who *with,
                     struct err *e) MUST_USE; /* with NULL: not a direct room */
int content_leave_put(struct buf *b, struct err *e) MUST_USE;
int content_invite_put(struct buf *b, const struct content_who *guest, const struct hash *roster,
                       uint64_t at, struct err *e) MUST_USE;

#endif
