/* support_relay.h -- a relay and its clients in one process: sessions, sequencer and a store, with
 * certificates of an authority of their own, and no sockets, threads or clock. */
#ifndef TESTS_UNIT_SERVER_SUPPORT_RELAY_H
#define TESTS_UNIT_SERVER_SUPPORT_RELAY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/chat/compact.h"
#include "common/chat/frame.h"
#include "common/crypto/issue.h"
#include "common/link/link.h"
#include "server/core/core.h"
#include "server/core/operator.h"
#include "server/core/session.h"
#include "server/store_sqlite.h"

enum { KEYS = 3, CLIENTS = 160, ROOMS_SEEN = 300 };

struct der {
    uint8_t b[CERT_MAX];
    size_t n;
};

struct relay;
struct line;

/* Both clocks say so. */
static inline struct moment moment(int64_t ms)
{
    return (struct moment){ms, ms};
}

struct client {
    struct relay *r;
    struct session *s; /* NULL: gone */
    struct line *line; /* what is said passes over this link (support_line.h); NULL: as it is */
    uint64_t conn;
    const char *source;
    const char *email; /* said in the handshake, or NULL */
    unsigned key;      /* which of the relay's pool */
    char name[64], device[64];
    struct der leaf;
    struct hash fp;
    struct key salted, exporter;
    struct frames in; /* from the relay */
    struct frame got; /* the last one taken */
    bool closed;      /* by the relay */
    char reason[64];
    struct room_id rooms[ROOMS_SEEN]; /* the loop's local map */
    size_t rooms_n;
    uint64_t id; /* of the last request */
    uint8_t token[RESUME_LEN];
    struct account_id account;
    struct pen_tip { /* where his chain in a room stands behind his join */
        struct room_id room;
        uint64_t seq, seen;
        struct hash prev, head;
    } tips[ROOMS_SEEN];
    size_t tips_n;
};

struct relay {
    const struct store_ops *ops;
    struct store store;
    char path[64];
    struct core *core;
    struct rng rng;
    int64_t now;
    uint64_t conns;
    struct pkey *ca, *keys[KEYS];
    struct der root, evidence;
    struct client *clients[CLIENTS];
    bool issue_fails;
    bool compact;            /* who connects from now on reads compact entries */
    bool cosigns;            /* ... seals receipts of others */
    enum link_kind link;     /* what sessions are told they came over */
    bool linked;             /* and who connects from now on with a certificate does */
    bool hold;               /* relay_pump waits: what comes is one batch */
    struct hash revoked[16]; /* by EFFECT_DEVICE */
    size_t revoked_n;
    struct jobs signed_jobs;           /* signatures on their way back */
    bool notary_waits, unsigned_all;   /* they stay there; there is none in them */
    unsigned signings, audit_signings; /* of rooms and receipts; of the audit log */
};

extern const char *relay_store; /* "memory" or "sqlite": what relay_new takes */

struct relay *relay_new(void);
void relay_free(struct relay *r);
void relay_turn(struct relay *r);    /* core_tick, and what comes of it */
void relay_restart(struct relay *r); /* sqlite keeps what was committed; every client is gone */
void relay_pump(struct relay *r);    /* until nothing moves */
void relay_refresh(struct relay *r);
void relay_invite(struct relay *r, const struct operator_invite *ask, uint8_t token[TOKEN_LEN]);

/* A connection without certificate, hello said. */
struct client *client_stranger(struct relay *r);
/* The same, who said in the handshake where he can be reached. */
struct client *client_reachable(struct relay *r, const char *email);
/* Sends join with the key of that number; the answer is in the inbox. */
void client_join(struct client *c, const uint8_t token[TOKEN_LEN], const char *name,
                 const char *device, unsigned key);
/* All of joining, then connected with the certificate, hello said, not logged in. */
struct client *client_enrol(struct relay *r, const char *name);
struct client *client_member(struct relay *r, const char *name); /* and logged in, inbox empty */
/* Another connection of the same device. */
struct client *client_again(struct client *old);
struct client *client_from(struct client *old, const char *source); /* ... from that address */
/* Connects with another certificate of the same CA and key: no account has it. */
struct client *client_stolen(struct client *old);
void client_login(struct client *c);
void client_gone(struct client *c); /* its stream ended */
void client_quit(struct client *c); /* it closed in order */
void client_free(struct client *c);

void client_raw(struct client *c, const char *json);
/* Encodes, feeds, pumps. */
void client_say(struct client *c, enum frame_type t, const void *body);
/* The next frame, which must be of that type. Lives until the next call for this client. */
struct frame *client_got(struct client *c, enum frame_type t);
void client_error(struct client *c, enum proto_code code); /* the next frame is this error */
bool client_quiet(struct client *c);                       /* nothing waits */
void client_flush(struct client *c);

/* Makes a room and signs the founder's join. */
struct room_id client_room(struct client *c, const char *name, bool is_private,
                           enum room_history h);
void client_enter(struct client *c, const char *name); /* is admitted, and signs his join */
struct room_id client_open(struct client *c, const char *person);   /* a direct room, the same */
void client_sign(struct client *c, const struct f_room_info *info); /* the join alone */
/* These write the entry with the client's own pen for the room; the answer is in the inbox. */
void client_leave(struct client *c, struct room_id room);
void client_invite(struct client *c, struct room_id room, const struct client *guest);
void client_numbered(struct client *c); /* takes frames up to `numbered` */

/* One author's state in one room, as an honest client keeps it. */
struct pen {
    struct client *c;
    struct room_id room;
    uint64_t seq, seen;
    struct hash prev, head;
};
struct pen pen_of(struct client *c, struct room_id room); /* behind what was signed above */
void pen_keep(const struct pen *p);                       /* for pen_of */
/* Makes the entry and steps the pen; the caller may spoil it before it is sent. */
struct entry_made pen_write(struct pen *p, const char *text);
void pen_make(struct pen *p, struct entry_line *l, const char *content, struct entry_made *m);
struct entry_line pen_line(const struct pen *p);
void entry_send(struct client *c, const struct entry_made *m);
/* Writes, sends, takes numbered, advances seen. */
uint64_t pen_say(struct pen *p, const char *text);

struct audit_find {
    const char *event, *reason;
    uint64_t rows, count;
};
struct audit_find relay_audit(struct relay *r, const char *event, const char *reason);

#endif
