/* support_world.h -- a relay and its members in one process from one seed: the real core, sessions,
 * engines and both SQLite stores, over plain byte queues and disks that can lose power.
 *
 * Nothing here looks at a clock or draws from the system: the same seed does the same. Keys and
 * certificates are made once a process, from a seed of their own. The first thing found wrong is in
 * `fail`; with `lossy` what is lost is counted and is no failure. */
#ifndef TESTS_UNIT_SIM_SUPPORT_WORLD_H
#define TESTS_UNIT_SIM_SUPPORT_WORLD_H

#include "client/core/engine.h"
#include "common/chat/content.h"
#include "common/chat/frame.h"
#include "common/chat/proto.h"
#include "server/core/core.h"
#include "server/core/session.h"
#include "support_disk.h"

enum { PEOPLE = 4, CONNS = 64, NOTES = 4096, ROOMS = 48, SEATS = ROOMS * PEOPLE, STEP_MS = 20 };
enum { ENROLLED = 1 };   /* who may get a further certificate */
enum { NUMBERS = 2048 }; /* entries of one room at most */

struct chunk;
struct queue { /* one direction of a connection */
    struct chunk *first, **tail;
    int64_t last; /* nothing overtakes */
};

struct link_plain { /* what stands for TLS here: two queues of bytes with delays */
    uint64_t id;    /* 0: free */
    int who;
    struct session *s; /* the relay's end; NULL: gone there */
    struct queue up, down;
    struct key exporter;
    bool severed;    /* nothing that is said from now on arrives */
    bool here;       /* the client's end is open */
    int64_t gone_at; /* when the relay learns that the client has gone; 0: it has not */
    int64_t cut_at;  /* when the client learns that the relay has gone */
    int64_t stall;   /* nothing arrives before */
    struct room_id rooms[ROOMS];
    size_t rooms_n;
};

struct note { /* something said: by whom, where, and how far it got */
    int who;
    struct room_id room;
    uint64_t seq, number;
    bool said;   /* engine_say gave its seq */
    bool left;   /* its first byte left the client */
    bool acked;  /* the relay let `numbered` out */
    bool voided; /* numbered without its body: written while he was no member, or a second join */
    enum content_kind kind;
    struct hash line;
    struct hash text; /* SHA-256 of what was said */
};

struct member_sim {
    struct disk *disk; /* NULL: keep_memory */
    char path[96];
    struct keep keep;
    struct engine *g; /* NULL: off */
    struct trust *trust;
    int64_t skew, dial_at, boot_at;
    struct link_plain *l;
    unsigned refused, alarms, notes, closes, boots;
    struct dice balk; /* of its own: what does not happen changes no story */
    bool balks;       /* his disk refuses a commit now and then */
    bool shown_key;   /* a list with the further certificate was taken in, and is on the disk */
    bool accepted;    /* ... and a person said yes to it */
    char why[256];    /* of the last refusal, alarm or close */
    uint16_t shown[ROOMS][NUMBERS]; /* in this run of the client */
};

struct mist { /* a room without a disk, as the relay has it after this batch */
    struct room_id id;
    bool there;
    uint64_t first, tip;
};

struct seat { /* a row of the relay's members, at this batch and the one before */
    struct room_id room;
    int who;
    bool in, was;
    uint64_t from, from_was, left; /* left: the tip when he went */
};

enum lie {
    LIE_NONE,
    LIE_BODY,
    LIE_LINE,
    LIE_AUTHOR,
    LIE_REPLAY,
    LIE_SWAP,
    LIE_FORK,
    LIE_ROLLBACK,
    LIE_GHOST,        /* the list names somebody who signed nothing */
    LIE_HIDDEN,       /* the list leaves a member out */
    LIE_VOID,         /* a join or leave that holds is told as void */
    LIE_PUBLIC,       /* a room by invitation is told as one that is open */
    LIE_KIND,         /* ... a room of two, too, or an open one as one by invitation */
    LIE_WITH,         /* a room of two is told as one with somebody else */
    LIE_FROM,         /* what was missed is told as of a time when the victim was no member */
    LIE_ROLL_CUT,     /* a page of the roll lacks an entry */
    LIE_ROLL_SWAP,    /* ... has two in the wrong order */
    LIE_ROLL_TWICE,   /* ... has one twice */
    LIE_ROLL_INVITE,  /* ... an invitation names another guest; only its signature does not fit */
    LIE_ROLL_VOID,    /* ... an entry that is told as void */
    LIE_ROLL_STILL,   /* ... nothing, and says that there is more */
    LIE_ROLL_AHEAD,   /* ... all, and says that it tells of what has not happened yet, too */
    LIE_ROLL_ACCOUNT, /* its author lies with the relay, in an invitation: of another account, */
    LIE_ROLL_AT,      /* ... vouching for what has not happened yet; */
    LIE_ROLL_NAME,    /* ... in a join: in another name, */
    LIE_ROLL_PAIR,    /* ... into a room of two that this is not */
    LIE_ROLL_LESS,    /* nobody but one tells of a member: neither roll nor list to the other */
    LIE_WITHHELD,     /* from one entry on nothing of the room is told */
    LIES
};

struct world {
    uint64_t seed;
    struct dice dice; /* what happens */
    struct dice salt; /* what is drawn by the product */
    struct rng rng;
    int64_t mono, relay_skew;
    struct disk *disk; /* the relay's */
    char path[96];
    struct store store;
    struct core *core; /* NULL: down */
    int64_t boot_at, ticked;
    uint64_t conns_n;
    struct link_plain conns[CONNS];
    struct member_sim m[PEOPLE];
    struct note notes[NOTES];
    size_t notes_n;
    struct room_id rooms[ROOMS]; /* in the order in which we met them */
    size_t rooms_n;
    struct seat seats[SEATS];
    size_t seats_n;
    struct mist mists[ROOMS]; /* all that there ever were */
    size_t mists_n;
    unsigned stopped;    /* what a new certificate kept from being said */
    bool enrolled;       /* somebody has a further certificate */
    bool early;          /* acknowledges before the commit: must be caught */
    bool lossy;          /* losses are counted */
    unsigned lost, cuts; /* cuts: power failures of any disk */
    unsigned balked;     /* commits that a member's disk refused */
    int64_t delay;       /* of a chunk, at most */
    enum lie lie;
    enum content_kind lie_kind; /* entries of which kind; CONTENT_UNKNOWN: of any */
    int victim;
    bool lied, holding;
    struct room_id lie_room; /* zeros: none, or the cellar, as soon as it is seen */
    uint64_t lie_at;
    struct buf lie_kept; /* frame held back, or seen before */
    uint64_t digest;     /* of all that was sent, and when: two runs of a seed have the same */
    char fail[512];
    bool loud;
};

struct world *world_new(uint64_t seed, bool client_disks);
void world_free(struct world *w);
void world_fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool world_good(const struct world *w);

void world_step(struct world *w, int64_t ms); /* one quantum of time, and all it brings */
void world_run(struct world *w, int64_t ms);
bool world_settle(struct world *w, int64_t ms); /* until everybody is online and all is sent */

/* The first rooms: hall (public, all in it), cellar (private: all but the last person), and one of
 * the first two people. */
void world_furnish(struct world *w);
uint64_t world_say(struct world *w, int who, const struct room_id *room, size_t padding);
/* "@": the first that he has with one other person. */
const struct engine_room *world_room(struct world *w, int who, const char *name);

void world_enrol(struct world *w);           /* ENROLLED has a further certificate from now on */
void world_accept(struct world *w, int who); /* ... which this one takes */

void relay_stop(struct world *w);           /* in order or because its disk is dead */
bool relay_boot(struct world *w);           /* false: it does not open */
void member_stop(struct world *w, int who); /* the program ends; its connection is cut */
bool member_boot(struct world *w, int who);
void link_cut(struct world *w, struct link_plain *l);

/* Everything acknowledged is there once, numbers and heads are right, SQLite finds no fault. */
void world_check_relay(struct world *w);
/* What has left this member is in his outbox with the same bytes, or acknowledged. */
void world_check_member(struct world *w, int who);
/* After world_settle in an honest world: said = stored = shown once, members agree. */
void world_check_all(struct world *w);
/* After a lie: each member has noticed it, or sees what the relay has. Gives how many noticed. */
unsigned world_check_lie(struct world *w);
bool member_noticed(const struct world *w, int who);

/* support_members.c: who is a member by the joins and leaves that were signed, up to a number.
 * joined[who]: number of his join, 0: he is none. */
void world_signed(const struct world *w, const struct room_id *room, uint64_t upto,
                  uint64_t joined[PEOPLE]);
/* Does a member see exactly those, each by his own signature? */
void world_check_members(struct world *w, int who, const struct room_id *room);

/* support_lie.c: a frame on its way to the victim. true: another one, or none, took its place. */
bool lie_told(struct world *w, struct link_plain *l, struct frame *f, struct span raw);

/* NULL: it is a room on the disk. */
const struct mist *world_mist(const struct world *w, const struct room_id *room);
/* Is he a member by the relay's rows, at the last batch? */
bool world_sits(const struct world *w, int who, const struct room_id *room);
/* support_window.c; the relay is up. */
const struct store *world_window(const struct world *w);
void world_mist_each(struct world *w, store_each_room *room, store_each_member *member);

/* For the other files. */
void world_put(struct world *w, struct link_plain *l, struct span raw); /* to the client, delayed */
int world_who_has(const struct hash *fp);                               /* -1: nobody */
const struct hash *world_fp(int who);
const struct account_id *world_account(int who);
const char *world_name(int who);
enum content_kind world_kind(struct span body);

#endif
