/* engine_inner.h -- what the files of the engine share. Nobody else includes it. */
#ifndef CLIENT_CORE_ENGINE_INNER_H
#define CLIENT_CORE_ENGINE_INNER_H

#include <sys/queue.h>

#include "client/core/engine.h"
#include "client/core/engine_proof.h"
#include "common/chat/account.h"
#include "common/chat/content.h"
#include "common/chat/entry.h"
#include "common/chat/frame.h"
#include "common/chat/proto.h"
#include "common/util/table.h"

enum {
    REJECTED_MAX = 2,       /* connections ended by a room's entries, before it stays closed */
    ASKS_MAX = 512,         /* requests under way */
    BATCHES_MAX = 256,      /* of one room: more pushes are dropped and fetched again later */
    MINE_MAX = 512,         /* own entries whose delivery is watched, a room */
    PAGE_FIRST = 50,        /* entries of a room never seen */
    AUTHORS_MAX = 16 * 1024 /* certificates held at once */
};

/* A person's certificate. */
struct author {
    struct hash fp;
    enum { AUTHOR_ASKED, AUTHOR_HERE, AUTHOR_MISSING, AUTHOR_BAD } state;
    struct cert *cert;
    struct cert *issuer;
    char account[NAME_MAX_LEN + 1], device[NAME_MAX_LEN + 1];
    int64_t revoked;
    struct err why; /* AUTHOR_BAD */
    UT_hash_handle hh;
};

/* Somebody whom we met before, and his certificates. */
struct known {
    char account[NAME_MAX_LEN + 1];
    struct known_cert {
        struct hash fp;
        enum keep_known_state state;
        enum {
            KNOWN_KEPT,
            KNOWN_PENDING,
            KNOWN_LOOSE
        } disk; /* has it: or with this turn, or not */
    } * certs;  /* owned */
    unsigned certs_n;
    UT_hash_handle hh;
};

/* A request that waits for its answer. */
struct ask {
    uint64_t id; /* 0: free */
    enum frame_type type;
    struct room_id room;
    struct hash fp;
    char name[NAME_MAX_LEN + 1]; /* a room is asked for: its name, or the person's */
    unsigned what;               /* ... to be made like that */
    bool quiet;                  /* asked by the engine itself: no ENGINE_ANSWER */
    bool bare;                   /* members: the list alone, whatever bears it out */
    bool seal;                   /* signer: who sealed a receipt, not who signed a checkpoint */
};

/* Entries that wait for certificates, in the order in which they came. */
enum batch_kind { BATCH_PUSH, BATCH_FORWARD, BATCH_LAST, BATCH_OLDER, BATCH_OWN, BATCH_ROLL };

struct batch {
    STAILQ_ENTRY(batch) link;
    enum batch_kind kind;
    struct frame frame; /* owned: F_ENTRY or F_HISTORY; BATCH_OWN: its parts point into data */
    struct f_entry own; /* BATCH_OWN */
    uint8_t *data;      /* BATCH_OWN */
    uint64_t id;        /* request to answer when done; 0: none */
};

/* An own entry that the relay has not acknowledged. */
struct out {
    TAILQ_ENTRY(out) link;
    uint64_t seq;
    enum content_kind kind;
    uint64_t ask; /* request that is answered when the relay has it; 0: none */
    bool failed;  /* not a member: kept, and sent when we are one again */
    char why[256];
    size_t line_n, sig_n, body_n;
    uint8_t *data; /* line, sig, body */
};

struct mine {
    uint64_t seq, number;
};

/* Somebody to be invited, once we know who is a member. */
struct guest {
    STAILQ_ENTRY(guest) link;
    uint64_t ask; /* request to answer */
    struct account_id account;
    char name[NAME_MAX_LEN + 1];
};

struct room {
    struct engine_room pub;
    struct keep_room kept;
    uint64_t from;         /* first number we may read */
    uint64_t session_from; /* first number that no receipt of this session covers; 0: not in it */
    uint64_t entered; /* last number when the relay said that we are in: leaves before are past */
    struct hash from_head; /* head(from - 1), as the relay says */
    bool away; /* from leaves a gap behind what we verified: the roll must say that we had left */
    uint64_t shown;    /* lowest number given out in this run; 0: none */
    uint64_t reported; /* last `delivered` we said */
    bool asking, asking_older, asking_members, caught, denied;
    bool stale; /* our disk failed, and could not be read since: nothing is done here */
    struct roster roster;
    bool is_signed;    /* the relay has our join, it says */
    bool sign_tried;   /* on this connection one was void: no other is made */
    uint64_t join_ask; /* request that is answered when our join is in; 0: none */
    bool asking_roll, roll_wanted;
    struct batch *roll; /* owned: a page of it waits for certificates */
    uint64_t listed;    /* the relay's list of members is that behind this number ... */
    bool list_due;      /* ... and has not been compared yet */
    bool list_here;     /* one came on this connection */
    bool held;          /* it was said that what waits is held back */
    unsigned list_odd;  /* differences that were said already */
    uint64_t list_ask;  /* request that is answered then; 0: none */
    STAILQ_HEAD(, guest) guests;
    bool own_pending;                /* the account's former line waits for its certificate */
    char topic_asked[TOPIC_MAX + 1]; /* by us; the relay tells it only to the others */
    char own_line[LINE_MAX_LEN + 1];
    uint8_t own_sig[SIG_MAX];
    size_t own_sig_n;
    struct hash own_fp;
    int64_t own_time; /* the relay's */
    struct engine_member *members;
    size_t members_cap;
    struct mine mine[MINE_MAX];
    unsigned mine_n;
    struct witness witness;
    uint64_t sending;  /* seq in flight; 0: none */
    unsigned rejected; /* how often in a row the relay ended a connection over what was in flight */
    int64_t send_at;   /* not before, after `again`; mono ms */
    TAILQ_HEAD(, out) outs;
    STAILQ_HEAD(batches, batch) batches;
    size_t batches_n;
};

struct happened {
    STAILQ_ENTRY(happened) link;
    struct engine_event ev;
    char *owned[10];
    size_t owned_n;
};

STAILQ_HEAD(happenings, happened);

/* A change of a room that is being written; see engine_store.c. */
struct store_turn {
    unsigned depth;      /* 0: none */
    bool failed, marked; /* marked: a certificate's state changed, too */
    struct room *room;
    struct happenings before; /* events that are none of its */
    uint64_t shown, refused;
};

/* A connection that got its welcome, as receipts have it. */
struct session {
    uint8_t id[SESSION_ID_LEN];
    char link[RECEIPT_WORD_MAX + 1], suite[RECEIPT_WORD_MAX + 1];
    struct hash relay_fp;
    bool begun; /* the welcome was here */
};

struct engine {
    struct engine_conf conf;
    char account[NAME_MAX_LEN + 1], device[NAME_MAX_LEN + 1];
    struct account_id id; /* of our account, as the relay says */
    enum engine_phase phase;
    bool closing, admin;
    struct engine_peer peer;
    struct session session; /* the present one, or the last one */
    struct frames in;
    struct buf out;
    struct err err;
    int64_t heard, pinged; /* mono ms; pinged 0: not waiting for a pong */
    int64_t relay_epoch;   /* the relay's clock, by its hello, when ours of mono said 0 */

    /* login */
    uint64_t login_id;
    bool resuming, has_token, has_salted, ready_due;
    bool compact; /* the relay reads compact entries */
    uint8_t token[RESUME_LEN];
    struct account_key login;
    struct account_auth auth;

    uint64_t next_id;
    struct ask asks[ASKS_MAX];
    struct room *rooms[ROOMS_MAX];
    size_t rooms_n;
    struct author *authors;
    struct known *knowns;
    size_t known_certs;
    bool known_full;  /* one could not be remembered */
    int64_t cosigned; /* how much of its share of seals on others' receipts is used; mono ms */
    STAILQ_HEAD(, sealing) sealings; /* receipts that nobody has taken yet */
    struct happenings events;
    struct happened *given;
    struct store_turn turn;
};

/* engine.c */
int engine_fail(struct engine *g, enum err_code code, bool again, const char *fmt, ...)
    PRINTF_LIKE(4, 5); /* ENGINE_CLOSE; always -1 */
int engine_put(struct engine *g, enum frame_type type, const void *body); /* -1: closing */
void event_add(struct engine *g, const struct engine_event *ev);          /* copies its texts */
void event_text(struct engine *g, enum engine_event_kind kind, const struct room *r,
                const char *fmt, ...) PRINTF_LIKE(4, 5);
void event_room(struct engine *g, enum engine_event_kind kind, const struct room *r);
void event_answer(struct engine *g, uint64_t id, enum err_code code, const char *text);
void happened_free(struct happened *h);
int64_t engine_now(const struct engine *g);
int64_t engine_mono(const struct engine *g);
/* A request; NULL and e when offline or too many are under way. */
struct ask *ask_new(struct engine *g, enum frame_type type, struct err *e);
struct ask *ask_find(struct engine *g, uint64_t id, enum frame_type type); /* NULL: none */
void ask_done(struct engine *g, struct ask *a, enum err_code code, const char *text);
/* Puts a request whose id is the first member of body; gives the id, or 0 and e. */
uint64_t ask_put(struct engine *g, struct ask *a, const void *body, struct err *e);

/* engine_store.c */
/* Before the first change of r: it is kept in one transaction, or not at all. Turns nest, and the
 * outermost decides; all of them are about the same room. -1: closing, and nothing began. */
int store_begin(struct engine *g, struct room *r) MUST_USE;
/* ret < 0, or a disk that refuses: the room is as before store_begin, its outbox read anew, and
 * -1: closing. */
int store_end(struct engine *g, int ret) MUST_USE;
int store_commit(struct engine *g, struct err *e) MUST_USE; /* -1: nothing of it is on the disk */
int room_reread(struct engine *g, struct room *r, struct err *e) MUST_USE;
/* Of a look into our disk: is it there? What cannot be read closes, and counts as not there. */
bool store_found(struct engine *g, int found, const struct err *e);

/* engine_login.c */
int login_hello(struct engine *g, struct frame *f);
int login_challenge(struct engine *g, struct frame *f);
int login_welcome(struct engine *g, struct frame *f);
int login_error(struct engine *g, const struct f_error *x);
void login_ready(struct engine *g); /* ENGINE_READY once nothing is pending */
int crl_take(struct engine *g, struct frame *f);
void crl_use(struct engine *g, struct span crl);
int crl_check(struct engine *g); /* is a valid list here? -1: closing */

/* engine_rooms.c */
struct room *room_find(const struct engine *g, const struct room_id *id);
/* As our disk has it, with its outbox, in no list yet. NULL and e */
struct room *room_read(struct engine *g, const struct room_id *id, struct err *e);
/* asked: somebody here wants to be in it. One that nobody asked for, and that no join of ours is
 * said to be in, is not taken but told. -1: closing */
int room_take(struct engine *g, const struct f_room_info *info, bool asked);
void room_free(struct room *r);
void batches_drop(struct room *r); /* what waits; it is fetched again */
void room_lost(struct engine *g, struct room *r);
int room_save(struct engine *g, struct room *r); /* keeps r->kept, in a turn; -1: closing */
void room_begun(struct room *r);                 /* is there nothing older to be shown? */
void room_own_settle(struct engine *g, struct room *r);
int room_away_settle(struct engine *g, struct room *r); /* once the roll is here. -1: closing */
struct engine_member *member_by_id(struct room *r, const struct account_id *id);
struct engine_member *member_by_name(struct room *r, const char *name);
struct engine_member *member_new(struct room *r); /* NULL: too many, or no memory */
int room_gone(struct engine *g, struct room *r);  /* we are no member any more; -1: closing */
/* People write "#ops" and "@bob"; the names are ops and bob. */
struct str unsigned_name(struct str name, char sign);
void members_ask(struct engine *g, struct room *r);
int take_room(struct engine *g, struct frame *f);
int take_rooms(struct engine *g, struct frame *f);
int take_members(struct engine *g, struct frame *f);
int take_topic(struct engine *g, struct frame *f);
int take_presence(struct engine *g, struct frame *f);
int take_device(struct engine *g, struct frame *f);
int take_person(struct engine *g, struct frame *f);
int take_ok(struct engine *g, struct frame *f);
int take_error(struct engine *g, struct frame *f);

/* engine_certs.c */
struct author *author_get(struct engine *g, const struct hash *fp);  /* NULL: not asked for */
struct author *author_want(struct engine *g, const struct hash *fp); /* asks when needed */
void author_gone(struct engine *g, const struct hash *fp);           /* the relay has none */
void authors_free(struct engine *g);
void authors_lost(struct engine *g); /* their answers will not come */
int author_own(struct engine *g, struct err *e);
/* Is its chain in order at a time, for a person's device? */
int author_check(struct engine *g, const struct author *a, int64_t at, struct err *e);
int take_cert(struct engine *g, struct frame *f);
bool vouched(struct engine *g, const struct hash *fp);

/* engine_known.c */
int knowns_load(struct engine *g, struct err *e);
void knowns_turned(struct engine *g, bool kept); /* what the turn changed of them is kept, or not */
void knowns_free(struct engine *g);
/* A certificate of somebody is in use. true: it is new, and nobody has been told yet. */
bool known_meet(struct engine *g, const char *account, const struct hash *fp);
int known_author(struct engine *g,
                 const struct author *a); /* he signed something now. -1: closing */
void known_listed(struct engine *g, const struct engine_member *m);     /* the relay lists him */
int known_check(const struct engine *g, struct room *r, struct err *e); /* may we speak there? */
bool known_new_of(const struct engine *g, struct str person, const struct hash *fp);
int known_accept(struct engine *g, struct str person, const struct hash *fp, struct err *e);

/* engine_entries.c */
int take_entry(struct engine *g, struct frame *f);
int take_history(struct engine *g, struct frame *f);
/* Works off what waits in a room as far as certificates are here, then asks for more. */
int room_settle(struct engine *g, struct room *r);
void room_break(struct engine *g, struct room *r, const char *fmt, ...) PRINTF_LIKE(3, 4);
int batch_add(struct engine *g, struct room *r, struct batch *b); /* takes b */
struct batch *batch_new(enum batch_kind kind, struct frame *f);   /* takes what is in f */
void batch_free(struct batch *b);
/* 1, 0: we do not have it, -1 and e: it could not be read */
int head_at(struct engine *g, const struct room *r, uint64_t number, struct hash *out,
            struct err *e);

/* What one entry is found to be. */
struct verdict {
    const struct f_entry *t;
    uint64_t number;
    struct entry_line line;
    bool parsed, proven;
    struct hash line_hash, head;
    const struct author *by;
    struct content what; /* owned: verdict_done */
    struct err why;      /* ERR_NONE: good */
};

/* Who signed it, and what it says: all that needs neither members nor history. */
int verdict_signed(struct engine *g, const struct room *r, struct verdict *v);
void verdict_done(struct verdict *v);
/* Are the certificates of its authors here? Asks for those that are not. */
bool certs_wait(struct engine *g, const struct batch *b);

/* engine_roster.c */
int seats_load(struct engine *g, struct room *r, struct err *e);
/* May its author say so there? pushed: it was said just now. */
int seats_check(struct engine *g, struct room *r, const struct verdict *v, bool pushed,
                struct err *e);
/* Behind the judgement, within the transaction of the entry. -1: closing */
int seats_take(struct engine *g, struct room *r, const struct verdict *v);
bool seats_known(const struct room *r);             /* as far as entries are verified */
int seats_settle(struct engine *g, struct room *r); /* works off the roll, asks for more of it */
void seats_lost(struct room *r);
int take_roll(struct engine *g, struct frame *f);

/* engine_seats.c */
int seat_sign(struct engine *g, struct room *r);     /* our join, when it is due */
void seat_missing(struct engine *g, struct room *r); /* the relay says that it is there */
void seat_asked(struct room *r, uint64_t id); /* this request is answered when our join is in */
void seat_invite(struct engine *g, struct room *r);
void guests_drop(struct engine *g, struct room *r, enum err_code code, const char *why);

/* engine_show.c */
void show_kept(struct engine *g, struct room *r, const struct keep_entry *t, bool older);
void entry_of_kept(struct engine *g, const struct room *r, const struct keep_entry *t,
                   struct engine_entry *out, struct content *content);
void mine_add(struct room *r, uint64_t seq, uint64_t number);
void mine_delivered(struct engine *g, struct room *r, uint64_t after, uint64_t upto);
void delivered_of(const struct engine *g, const struct room *r, uint64_t number,
                  struct engine_entry *out);
int take_delivered(struct engine *g, struct frame *f);

/* engine_receipt.c */
/* Signs a receipt of what no receipt covers in r, and keeps that it did. NULL and e */
uint64_t receipt_from(const struct room *r); /* number of the first entry that no receipt covers */
struct sealing *receipt_make(struct engine *g, struct room *r, struct err *e);
int receipt_give(struct engine *g, struct sealing *s, const struct engine_sink *to, struct err *e);

/* engine_session.c */
void session_linked(struct engine *g, const struct engine_peer *peer);
int session_begin(struct engine *g);              /* behind the welcome. -1: closing */
int session_put(struct engine *g, struct err *e); /* what is known of it now */
int session_load(struct engine *g, struct err *e);

/* engine_kept.c */
int sealing_keep(struct engine *g, const struct sealing *s, struct err *e); /* new or changed */
int sealing_unpack(struct sealing *s, const struct keep_receipt *row, struct err *e);
int sealings_load(struct engine *g, struct err *e);

/* engine_seal.c; -1: closing */
int take_sealed(struct engine *g, struct frame *f);
int seal_signer(struct engine *g, uint64_t ask); /* a certificate that was asked for is here */
int seal_failed(struct engine *g, const struct ask *a, enum proto_code code, const char *why);
void sealing_due(struct sealing *s); /* whatever has no files yet, and is to have some */
void seal_came(struct engine *g, struct sealing *s); /* one more, and it is good */
void seals_go(struct engine *g); /* the relay is asked for what it may be asked for now */
int64_t seals_deadline(const struct engine *g); /* mono ms; INT64_MAX: none */
void seals_tick(struct engine *g);
void seals_lost(struct engine *g); /* the relay's will not come */
void seals_free(struct engine *g);

/* engine_cosign.c; -1: closing */
int take_cosign_ask(struct engine *g, struct frame *f);
int take_cosigned(struct engine *g, struct frame *f);

/* engine_nature.c */
void nature_show(struct room *r); /* as it is kept */
/* As the relay says, if it says so for the first time; else held against that. -1: closing */
int nature_take(struct engine *g, struct room *r, const struct f_room_info *info);

/* engine_ephemeral.c; -1: closing, or e */
int ephemeral_load(struct engine *g, struct room *r, struct err *e); /* of before it was kept */
int ephemeral_entered(struct engine *g, const struct room *r);       /* onto the list */
int ephemeral_left(struct engine *g, struct room *r);
int ephemeral_settle(struct engine *g); /* after a welcome: forgets those that are gone */

/* engine_outbox.c */
void outs_gone(struct engine *g, struct room *r); /* what waits is never sent: the room is gone */
/* Out of memory alone; who waits for one of them is answered. */
void outs_drop(struct engine *g, struct room *r, enum err_code code, const char *why);
int outbox_load(struct engine *g, struct err *e);
int outs_read(struct engine *g, struct room *r, struct err *e); /* of one room, as kept */
int room_send(struct engine *g, struct room *r);                /* the next one, when it may go */
int rooms_send(struct engine *g); /* what a certificate may have held. -1: closing */
struct out *out_find(struct room *r, uint64_t seq);
/* Signs it, keeps it, queues it; room_send sends it. NULL and e: nothing was sent or kept. */
struct out *out_make(struct engine *g, struct room *r, struct span content, struct err *e);
bool out_waits(const struct room *r, enum content_kind kind);
void out_answer(struct engine *g, const struct room *r, uint64_t id, enum err_code code,
                const char *text); /* id 0: nobody asked */
void out_free(struct out *o);
int take_numbered(struct engine *g, struct frame *f);
int take_again(struct engine *g, struct frame *f);
int take_voided(struct engine *g, struct frame *f);
int out_denied(struct engine *g, const struct f_error *x); /* -1: closing */
/* Known, or read from our disk. NULL and e */
struct room *room_offline(struct engine *g, const struct room_id *id, struct err *e);

#endif
