/* core_inner.h -- the sequencer's state and the tools its requests share. For core*.c alone. */
#ifndef SERVER_CORE_CORE_INNER_H
#define SERVER_CORE_CORE_INNER_H

#include <sys/queue.h>

#include "common/evidence/tree.h"
#include "common/util/table.h"
#include "server/core/core.h"
#include "server/core/ledger.h"
#include "server/core/store_window.h"

struct account;
struct room;

struct device {
    struct store_device row;
    struct account *account;
    struct device *next; /* of the account, newest first */
    UT_hash_handle hh;   /* by row.fp */
};

struct conn {
    uint64_t id;
    struct account_auth auth; /* of the login under way */
    bool challenged, closing;
    bool compact;            /* reads compact entries */
    bool cosigns;            /* may be asked to seal a receipt of the other one of a direct room */
    struct device *device;   /* NULL: unknown */
    struct account *account; /* NULL until welcome */
    const char *suite;       /* of its link */
    uint64_t session;
    uint8_t login[SESSION_ID_LEN]; /* its row among the logins */
    uint64_t entries;              /* that were numbered for it */
    struct conn *next;             /* of the account */
    char source[SOURCE_MAX + 1];
    UT_hash_handle hh;
};

struct member {
    struct store_member row;
    struct room *room;
    struct account *account;
    struct member *next; /* of the account */
    UT_hash_handle hh;   /* in its room, by row.account */
};

struct account {
    struct store_user row;
    struct device *devices;
    struct conn *conns;
    struct member *members;
    unsigned rooms_n;           /* where he is a member, or admitted */
    unsigned ever_n, invited_n; /* where he ever was one; where he may become one */
    uint64_t mark;              /* visited in the walk of this number */
    uint64_t seal_turn;         /* when a receipt of his was last sealed, ... */
    unsigned seals;             /* ... and how many more than one a turn were */
    UT_hash_handle hh, hh_name; /* by row.id, by row.canonical */
};

/* An author's last line in a room; only those with seq >= 1 are remembered. */
struct author {
    struct hash fp;
    struct entry_chain chain;
    UT_hash_handle hh;
};

struct room {
    struct store_room row;
    uint64_t number;
    struct hash head;
    struct hash heads[HEADS_KEPT]; /* of number n at n % HEADS_KEPT, for heads_from < n <= number */
    uint64_t heads_from;
    struct member *members;         /* present, past, admitted and invited */
    unsigned members_n, admitted_n; /* present; those who may sign their join */
    struct author *authors;
    struct tree tree;      /* of size `number`; empty where the room is ephemeral */
    int64_t latest;        /* time of its latest entry that no checkpoint covers, and of the last
                            * checkpoint: none that is signed may be before it */
    uint64_t covered;      /* size of the last checkpoint; 0: none */
    uint64_t turn;         /* in which it was last signed */
    bool signing, wanted;  /* under way; somebody waits for it */
    TAILQ_ENTRY(room) due; /* among c->due while listed: not covered, nor being signed */
    bool listed;
    UT_hash_handle hh, hh_name, hh_like; /* by row.id, row.canonical, row.skeleton */
};

struct penalty {
    char key[2 * ACCOUNT_ID_LEN + SOURCE_MAX + 3];
    unsigned failures;
    int64_t until;
    UT_hash_handle hh;
};

/* Bytes on their way to the evidence key (core_sign.c). */
struct signing;
typedef void signing_done(struct core *c, const struct signing *g, struct span sig);

struct signing {
    uint64_t ticket;
    struct shared *text;           /* what is signed: held */
    signing_done *done;            /* sig empty: it could not be signed */
    struct room_id room;           /* of a checkpoint */
    uint64_t conn, re;             /* of a receipt: who waits, for what */
    struct store_receipt *receipt; /* owned; NULL: it is none */
    UT_hash_handle hh;             /* by ticket */
};

/* Somebody who waits for a checkpoint. */
struct waiting {
    STAILQ_ENTRY(waiting) link;
    uint64_t conn, number; /* number: the room's when he asked */
    struct f_checkpoint_ask ask;
};

/* The audit log, as far as the sequencer keeps it in memory. */
struct audit {
    struct ledger ledger;
    uint8_t log[ROOM_ID_LEN]; /* its id in checkpoints */
    uint64_t covered;         /* size of the last checkpoint; 0: none */
    int64_t latest;           /* its time */
    bool signing, ending;     /* the next one is under way; it is to cover all that there is */
    int64_t minute;           /* of the strangers that are being counted, */
    unsigned rows;            /* and how many sources of them are told apart */
};

struct core {
    struct core_conf conf;
    struct store window; /* of ephemeral rooms */
    unsigned ephemeral_n;
    struct buf root, crl, out; /* out: the frame being encoded */
    size_t made;               /* bytes encoded in this batch */
    struct err failed;         /* the store gave up: nothing more is done */
    int64_t now;
    bool open;
    struct conn *conns;
    struct device *devices;
    struct account *accounts, *names;
    struct room *rooms, *room_names, *room_likes;
    struct penalty *penalties;
    struct hash signer; /* certificate of the evidence key */
    bool signs;         /* there is one */
    struct signing *signings;
    uint64_t tickets, turn; /* turn: counts core_tick */
    unsigned sealing_n;     /* receipts among the signings */
    unsigned turn_signed;   /* checkpoints signed in it */
    TAILQ_HEAD(, room) due;
    STAILQ_HEAD(, waiting) waiting;
    size_t waiting_n;
    uint64_t mark;
    struct effect *effects;
    size_t effects_n, effects_cap, effects_at, effects_ready;
    struct audit audit;
    struct core_counts counts;
};

/* --- effects --- */

void core_fail(struct core *c, const struct err *e); /* the first one stays */
/* Calls the store; a failure is the core's. */
#define STORE(c, call, ...)                                                                        \
    core_stored((c), (c)->conf.store.ops->call((c)->conf.store.db, __VA_ARGS__, &(c)->failed))
/* The same for what belongs to a room: an ephemeral one is in memory alone. */
#define ROOM_STORE(c, r, call, ...)                                                                \
    core_stored(                                                                                   \
        (c), room_store((c), (r))->ops->call(room_store((c), (r))->db, __VA_ARGS__, &(c)->failed))
int core_stored(struct core *c, int rc);

struct effect *effect_add(struct core *c, enum effect_kind kind, uint64_t conn);
struct shared *core_encode(struct core *c, enum frame_type t, const void *body); /* NULL: too big */
int core_send(struct core *c, uint64_t conn, enum frame_type t, const void *body);
void core_send_shared(struct core *c, uint64_t conn, struct shared *frame); /* takes a new ref */
void core_publish(struct core *c, const struct room *r, uint64_t but, enum frame_type t,
                  const void *body);
/* Each form once, and only for those who are there to read it. */
void core_publish_entry(struct core *c, const struct room *r, uint64_t but,
                        const struct f_entry *f);
void core_error(struct core *c, uint64_t conn, uint64_t re, enum proto_code code, const char *text);
void core_close(struct core *c, struct conn *k, const char *reason);
/* To each connection of each member of a room shared with a, but not to a's own. */
void core_tell_peers(struct core *c, struct account *a, enum frame_type t, const void *body);
void core_tell_own(struct core *c, struct account *a, uint64_t but, enum frame_type t,
                   const void *body);

/* --- the audit log (core_audit.c) --- */

struct audit_note {
    const char *event, *reason, *source;
    const struct account *account; /* may be NULL */
    const struct hash *fp;         /* may be NULL */
    bool folded;
};
void core_audit(struct core *c, const struct audit_note *n);
int audit_load(struct core *c);  /* what a former process left open is closed */
void audit_turn(struct core *c); /* core_tick */
void audit_end(struct core *c);  /* core_end */

/* --- state (core_state.c) --- */

int state_load(struct core *c);
void state_free(struct core *c);
struct account *account_add(struct core *c, const struct store_user *row);
struct account *account_find(struct core *c, const struct account_id *id);
struct account *account_named(struct core *c, struct str name);
struct device *device_add(struct core *c, const struct store_device *row);
struct device *device_find(struct core *c, const struct hash *fp);
unsigned devices_good(const struct account *a);
struct room *room_add(struct core *c, const struct store_room *row, const struct store_tip *tip);
void room_remove(struct core *c, struct room *r); /* an ephemeral one that nobody is in */
const struct store *store_for(const struct core *c, bool ephemeral);
const struct store *room_store(const struct core *c, const struct room *r);
/* The first number that this member may read and that is still here. */
uint64_t member_from(const struct core *c, const struct member *m);
struct room *room_by_id(struct core *c, const struct room_id *id);
struct room *room_named(struct core *c, const char *canonical);
struct room *room_like(struct core *c, const char *skeleton);
struct member *member_find(const struct room *r, const struct account *a);
bool member_belongs(const struct member *m); /* is one, or is admitted */
/* Stores the row and makes memory agree with it. */
struct member *member_set(struct core *c, struct room *r, struct account *a,
                          const struct store_member *row);
struct conn *conn_find(struct core *c, uint64_t id);
void conn_login(struct core *c, struct conn *k, struct device *d);
void conn_gone(struct core *c, struct conn *k, bool logout);
void room_step(struct room *r, const struct hash *head); /* one entry more */
/* 1 and head(number); 0: no such number. */
int room_head(struct core *c, const struct room *r, uint64_t number, struct hash *out);

bool penalty_due(struct core *c, const struct account *a, const char *source);
void penalty_add(struct core *c, const struct account *a, const char *source);
void penalty_clear(struct core *c, const struct account *a, const char *source);
void penalty_purge(struct core *c);

/* --- requests: one function a frame --- */

struct ask { /* k->account is set but for those of core_login.c and core_join.c */
    struct core *c;
    struct conn *k;
    struct job *j;
};

void ask_login(struct ask *a);
void ask_proof(struct ask *a);
void ask_resume(struct ask *a);
void ask_join(struct core *c, struct job *j);
void ask_entry(struct ask *a);
void ask_room_create(struct ask *a);
void ask_room_list(struct ask *a);
void ask_room_join(struct ask *a);
void ask_person(struct ask *a);
void ask_room_topic(struct ask *a);
void ask_room_open(struct ask *a);
void ask_members(struct ask *a);
void ask_roll(struct ask *a);
void ask_cert(struct ask *a);
void ask_history(struct ask *a);
void ask_delivered(struct ask *a);
void ask_checkpoint(struct ask *a);
void ask_tree(struct ask *a);
void ask_signer(struct ask *a);
struct member *member_asking(struct ask *a, const struct room_id *id); /* NULL: not one */

void ask_error(struct ask *a, enum proto_code code, const char *text);

void account_shut(struct core *c, struct account *a, const char *reason); /* all its connections */
void device_shut(struct core *c, struct device *d, const char *reason);
void presence_tell(struct core *c, struct account *a, bool online);

/* --- the evidence key (core_sign.c) --- */

/* Has it signed; done is called in a later batch. NULL: no memory. */
struct signing *core_sign(struct core *c, struct span text, signing_done *done);
void signed_run(struct core *c, const struct job *j);
void signings_free(struct core *c);

/* --- rooms' trees and checkpoints (core_tree.c) --- */

int tree_load(struct core *c, struct room *r);
/* The entry with the next number: what the store keeps of the tree with it; row borrows nodes. */
struct room_nodes {
    struct hash p[TREE_LEVELS + 1];
};
void tree_step(struct room *r, struct store_message *row, struct room_nodes *nodes);
void tree_covers(struct core *c, struct room *r, int64_t time); /* ... was stored */
/* The root up to that number. 1, 0: the room has no tree, -1. */
int tree_root(struct core *c, const struct room *r, uint64_t number, struct hash *out);
void tree_turn(struct core *c); /* core_tick */
void waiting_free(struct core *c);

/* --- receipts (core_receipt.c) --- */

void ask_seal(struct ask *a);
void ask_cosign(struct ask *a);

/* --- join, leave and invite (core_seat.c) --- */

/* A claim that is wrong by what we know of its author: no honest client makes it. NULL: none. */
const char *seat_lie(const struct member *m, const struct content *what);
/* Why policy voids what somebody who belongs to the room says there next; NULL: it does not. */
const char *seat_policy(struct core *c, const struct member *m, const struct content *what);
/* The entry has the room's last number: a join works before it is published, a leave behind. */
void seat_before(struct core *c, struct member *m, const struct content *what);
void seat_behind(struct core *c, struct member *m, const struct content *what);

/* --- ROOM as one account sees it (core_room.c) --- */

struct own_copy {
    char line[LINE_MAX_LEN];
    uint8_t sig[SIG_MAX];
};
void room_info(struct core *c, const struct member *m, const struct hash *fp,
               struct f_room_info *out, struct own_copy *own);
const struct account *room_partner(const struct room *r, const struct account *of); /* direct */
struct str room_title(const struct core *c, const struct room *r, const struct account *reader);
/* Tells an account's connections of a room, unasked. */
void room_tell(struct core *c, const struct member *m, uint64_t but, struct str by);
uint64_t room_first(const struct core *c,
                    const struct room *r); /* of who joins with the next number */

#endif
