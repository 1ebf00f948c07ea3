/* engine.h -- the client behind every screen: login, rooms, checked entries, outbox.
 *
 * Sans-IO: opened bytes of the link come in, frames for the link and events come out; time, random
 * numbers and the store are passed in. It knows nothing of sockets, TLS, terminals or files. The
 * program drives it:
 *
 *     engine_linked(e, &peer)              the link is established
 *     engine_feed(e, bytes)                LINK_MESSAGE
 *     engine_out(e), engine_sent(e, n)     plain bytes for link_send, after every call
 *     engine_next(e, &ev)                  what happened, after every call
 *     engine_lost(e)                       the connection is gone; the engine stays
 *     engine_tick(e)                       at engine_deadline(e) or before
 *
 * What the relay says is believed only as far as signatures, heads and our own disk bear it out;
 * the rest is withheld, shown as refused and counted. Text in events and rooms is as peers sent it
 * (names were checked, bodies not): whoever shows it passes it through text_clean. */
#ifndef CLIENT_CORE_ENGINE_H
#define CLIENT_CORE_ENGINE_H

#include "client/core/keep.h"
#include "common/crypto/argon.h"
#include "common/crypto/pkey.h"
#include "common/crypto/x509.h"

struct engine; /* opaque */

/* Borrowed until engine_free, but for the struct itself. */
struct engine_conf {
    const char *account, *device;
    struct hash root_fp;      /* the pinned root */
    struct span root;         /* the same, DER; none: the relay is asked for no checkpoints */
    const char *host;         /* of the relay, as its certificates name it; NULL: any */
    struct hash fp;           /* our certificate */
    struct span leaf, issuer; /* the same and its CA's, DER */
    struct pkey *key;         /* its key: signs entries */
    struct trust *trust;      /* pinned root, intermediate, CRL; a newer CRL is put into it */
    struct argon_cost cost;   /* pinned at joining */
    const struct account_key *login; /* that joining derived; NULL: the password is asked for */
    struct keep keep;
    struct rng rng;
    int64_t (*now)(void *ctx);  /* ms since 1970 */
    int64_t (*mono)(void *ctx); /* ms, monotonic */
    void *clock_ctx;
    bool follow; /* catch up with every room and say what was delivered; else only send */
    bool whole;  /* a room never seen is read from its first number; else from its last page */
    bool record; /* keep what a receipt of this session needs, should it be cut; else it has none */
};

/* What the link proved, for the login (docs/protocol.md 4). */
struct engine_peer {
    const char *link; /* as link_kind_name says */
    struct key exporter;
    struct hash relay_fp;
    const char *suite; /* as struct link_info has it; lives as long as the program; NULL: unknown */
};

enum engine_phase {
    ENGINE_OFFLINE,
    ENGINE_HELLO, /* the relay's is awaited */
    ENGINE_LOGIN, /* login or resume was sent */
    ENGINE_WAIT,  /* for the password's key */
    ENGINE_PROOF, /* was sent: a welcome may come, and no second challenge */
    ENGINE_ONLINE
};

struct engine_device {
    struct hash fp;
    char name[NAME_MAX_LEN + 1];
    int64_t since, revoked; /* revoked 0: not */
};

/* What bears out that somebody is a member. */
enum engine_proof {
    ENGINE_UNPROVEN, /* the relay alone says so */
    ENGINE_SIGNED,   /* a join that he signed, and an invitation where one is needed */
    ENGINE_UNINVITED /* he signed, but was a member before members signed: nobody invited him */
};

struct engine_member {
    struct account_id id;
    char name[NAME_MAX_LEN + 1];
    bool owner, online, left;
    enum engine_proof proof;
    uint64_t joined;           /* number of that join; 0: none */
    char by[NAME_MAX_LEN + 1]; /* who invited him; "": nobody */
    uint64_t delivered;        /* everything up to this number is on one of his devices */
    struct engine_device devices[DEVICES_MAX];
    unsigned devices_n;
};

enum engine_kind { ENGINE_PUBLIC, ENGINE_PRIVATE, ENGINE_DIRECT };

/* A room as known now. Read only; valid until the next call on the engine. */
struct engine_room {
    struct room_id id;
    char name[NAME_MAX_LEN + 1];
    enum engine_kind kind;
    char topic[TOPIC_MAX + 1];
    bool joined;    /* false: we left it, or were never in */
    bool ephemeral; /* in the relay's memory alone */
    bool broken; /* the relay's history does not continue what we verified: nothing new is shown */
    bool read_only;         /* the relay lost or changed our own lines: nothing is sent */
    bool begun;             /* the first entry we may read has been shown: nothing is older */
    uint64_t first, number; /* verified without a gap */
    uint64_t last;          /* what the relay says is its last number */
    uint64_t refused;       /* entries withheld here */
    unsigned queued;        /* own entries that the relay has not numbered */
    const struct engine_member *members;
    unsigned members_n; /* 0: not asked for yet */
};

/* State of an own entry, in the order of ux.md's glyphs. */
enum engine_own { ENGINE_QUEUED, ENGINE_RELAY, ENGINE_DELIVERED, ENGINE_FAILED };

/* One entry, good or refused. */
struct engine_entry {
    struct room_id room;
    uint64_t number, time; /* 0 while only we have it; the relay's time, ms */
    uint64_t seq, sent;    /* the author's; sent: his clock, ms */
    struct hash fp;
    const char *author; /* name in the certificate; "" when unknown */
    const char *device;
    bool own, vouched; /* our account's; the user compared this fingerprint */
    bool older;        /* loaded by engine_older: belongs above what is shown */
    bool is_signed;    /* by the certificate that it names, for this room */
    bool skewed;       /* sender's and relay's time differ by more than SKEW_SHOWN_MS */
    /* "say"; "join", "leave", "invite": who is a member; another kind needs a newer client */
    const char *kind;
    const char *whom;            /* of an invite: the guest; else "" */
    struct str text;             /* of a say; empty otherwise */
    const char *refused;         /* NULL: good. Why the text is withheld; text is then empty */
    const char *voided;          /* the relay's policy dropped the body: why; else NULL */
    enum engine_own state;       /* own entries of this device */
    unsigned delivered, members; /* other members that have it, of how many; 0, 0: not told */
    uint64_t arrival;            /* our count, for cursors; 0: not news */
};

enum engine_event_kind {
    ENGINE_PASSWORD, /* derive a key with `salt` and `cost`, then engine_salted */
    ENGINE_READY,    /* logged in; rooms are known */
    ENGINE_ROOM,     /* `room` is new or changed */
    ENGINE_MEMBERS,  /* members or presence in `room` changed */
    ENGINE_ENTRY,    /* `entry` came, or an own one was made */
    ENGINE_STATE,    /* state of the own `entry` changed (room, seq, number, state, delivered) */
    ENGINE_CAUGHT,   /* `room` is up to date and was held against the relay's checkpoint; or it is
                        broken, and nothing follows */
    ENGINE_LISTED,   /* one row of room-list: text is the name, topic, members, joined */
    ENGINE_ANSWER,   /* request `id` ended: code ERR_NONE, or code and text say why not */
    ENGINE_NOTE,     /* text: something worth a line in `room`, or in general */
    ENGINE_ALARM,    /* text: the relay or somebody lies, or lost something; stays until seen */
    ENGINE_SEALED,   /* a receipt may be taken: engine_sealed */
    ENGINE_EVIDENCE, /* `evidence` proves to others that the relay signed two histories of `room` */
    ENGINE_CLOSE     /* end this connection: code, text; again says whether to reconnect */
};

/* Pointers live until the next call on the engine. */
struct engine_event {
    enum engine_event_kind kind;
    struct room_id room; /* zeros: none */
    bool roomed;         /* room means something */
    struct engine_entry entry;
    uint64_t id;
    enum err_code code; /* NOTE: other than NONE when a seal did not come */
    const char *text;
    const char *topic;
    struct span evidence; /* PROOF: a bundle (docs/evidence.md 1) */
    unsigned members;
    bool joined, again;
    uint8_t salt[ARGON_SALT_LEN];
    struct argon_cost cost;
};

/* Reads the outbox; own entries still waiting there come as ENGINE_ENTRY. NULL and e. */
struct engine *engine_new(const struct engine_conf *conf, struct err *e);
void engine_free(struct engine *g); /* wipes; NULL is fine */

void engine_linked(struct engine *g, const struct engine_peer *peer);
/* -1: the relay broke the protocol, ENGINE_CLOSE says how. */
int engine_feed(struct engine *g, struct span bytes) MUST_USE;
struct span engine_out(const struct engine *g); /* valid until the next call */
void engine_sent(struct engine *g, size_t n);
bool engine_next(struct engine *g, struct engine_event *ev);
void engine_lost(struct engine *g);
void engine_tick(struct engine *g);
int64_t engine_deadline(const struct engine *g); /* in conf.mono's time; -1: none */

/* The answer to ENGINE_PASSWORD: Argon2id of the NFC password; copied. */
void engine_salted(struct engine *g, const struct key *salted);

enum engine_phase engine_phase(const struct engine *g);
bool engine_admin(const struct engine *g); /* after READY */

/* --- what is known --- */

size_t engine_rooms(const struct engine *g);
const struct engine_room *engine_room_at(const struct engine *g, size_t i);
const struct engine_room *engine_room_get(const struct engine *g, const struct room_id *id);
/* By name: "room", or "@person" for the direct room; NULL when there is none. */
const struct engine_room *engine_room_named(const struct engine *g, struct str name);

/* A person's certificate as we have it. */
struct engine_person {
    const char *account, *device;
    struct hash fp;
    struct span leaf, issuer; /* DER */
    bool vouched;
    int64_t vouched_at, revoked;
};
/* 1, 0 when the certificate has not been fetched (engine_fetch), -1 and e: it is not in order. */
bool engine_vouched(struct engine *g, const struct hash *fp); /* cheap: asks nobody */
int engine_person(struct engine *g, const struct hash *fp, struct engine_person *out,
                  struct err *e) MUST_USE;

/* --- what can be asked. Gives a request id (> 0) whose end is an ENGINE_ANSWER, or 0 and e. --- */

/* What a new room is to be; without any: public, and newcomers read from their joining on. */
enum { ENGINE_CREATE_PRIVATE = 1, ENGINE_CREATE_HISTORY = 2, ENGINE_CREATE_EPHEMERAL = 4 };
uint64_t engine_room_create(struct engine *g, struct str name, unsigned what, struct err *e);
uint64_t engine_room_list(struct engine *g, struct err *e);
uint64_t engine_room_join(struct engine *g, struct str name, struct err *e);
uint64_t engine_room_leave(struct engine *g, const struct room_id *room, struct err *e);
uint64_t engine_room_invite(struct engine *g, const struct room_id *room, struct str name,
                            struct err *e);
uint64_t engine_room_topic(struct engine *g, const struct room_id *room, struct str topic,
                           struct err *e);
uint64_t engine_room_direct(struct engine *g, struct str person, struct err *e);
uint64_t engine_members(struct engine *g, const struct room_id *room, struct err *e);
/* The relay's list alone, at once: whose certificates it shows. */
uint64_t engine_listed(struct engine *g, const struct room_id *room, struct err *e);
uint64_t engine_older(struct engine *g, const struct room_id *room, unsigned count, struct err *e);
uint64_t engine_fetch(struct engine *g, const struct hash *fp, struct err *e); /* certificate */

/* Signs a text, keeps it, sends it when there is a connection; ENGINE_ENTRY shows it at once. The
 * text is 1 to TEXT_MAX bytes of UTF-8. Gives its seq, or 0 and e: nothing was sent or kept.
 * ERR_AUTH: a member of a private or direct room has a certificate that nobody accepted; what waits
 * there already waits on. */
uint64_t engine_say(struct engine *g, const struct room_id *room, struct str text, struct err *e);

/* Compares a pasted fingerprint (64 hex digits; spaces, colons and case do not matter) with the
 * certificates of `person` and keeps the promise when one is the same. 1 same, 0 differs, -1 e. */
int engine_verify(struct engine *g, struct str person, struct str pasted, struct hash *which,
                  struct err *e) MUST_USE;

/* Does such a certificate stop engine_say there? */
bool engine_blocked(struct engine *g, const struct room_id *room);

/* Takes every certificate that a person has now, unseen; engine_verify takes the one it compared.
 * How many were new, or -1 and e. */
int engine_accept(struct engine *g, struct str person, struct err *e) MUST_USE;

/* Signs a receipt of what was said, and verified here, in each room since this session began or
 * since the last call; rooms where nothing was have none. While the relay is there it is asked to
 * seal them too; engine_sealing until it has, or refused, or SEAL_WAIT_MS are over. What it has not
 * answered then, or could not be asked, is offered to it again, by later processes too. How many
 * were begun, or -1 and e: one could not be made. all: of ephemeral rooms too, which else leave
 * nothing. Before the first connection it is about the last session of an earlier process, when
 * that one was cut off. */
int engine_seal(struct engine *g, bool all, struct err *e) MUST_USE;
bool engine_sealing(const struct engine *g);

/* What a session leaves of one room (docs/evidence.md 5): the flat transcript, and the bundle with
 * its receipt. Borrowed for the call. */
struct engine_sealed {
    const struct engine_room *room;
    uint64_t first, last; /* numbers */
    struct span flat, bundle;
    bool by_relay, by_member; /* have sealed it, too */
    char *name; /* RECEIPT_NAME_MAX + 1: what the program calls it. "": it comes for the first time,
                 * and gets one; else it has one more seal than then */
};
struct engine_sink { /* who takes it: 0, or -1 and e; then it stays for the next call */
    int (*each)(void *ctx, const struct engine_sealed *what, struct err *e);
    void *ctx;
};
/* Hands over the receipts for which nobody is waited any more, and those that were sealed since
 * they were. */
int engine_sealed(struct engine *g, const struct engine_sink *to, struct err *e) MUST_USE;

/* Asks for the relay's checkpoint of a room now. true: ENGINE_CAUGHT follows, at once where none
 * can be had; false: the room is not caught up, or broken. */
bool engine_check(struct engine *g, const struct room_id *room);

/* Messages of a room for others (docs/evidence.md 1). */
struct engine_export {
    struct room_id room;
    uint64_t first, last;   /* numbers, 0: open; afterwards what it has become */
    int64_t since, until;   /* the relay's times, ms; 0: open */
    const uint64_t *redact; /* numbers whose texts stay out */
    size_t redact_n;
    size_t withheld; /* afterwards: texts that are not in it */
};
/* "3,5,8": numbers for redact. */
int engine_export_hide(struct str list, uint64_t out[REDACT_MAX], size_t *n,
                       struct err *e) MUST_USE;
/* Appends the bundle: what is kept here, under the last checkpoint. -1 and e; ERR_AGAIN: there is
 * none yet (it is asked for before ENGINE_CAUGHT). */
int engine_export(struct engine *g, struct engine_export *what, struct buf *out,
                  struct err *e) MUST_USE;

typedef int engine_each(void *ctx, const struct engine_entry *entry);

/* Calls each for entries kept since arrival `since`, in order of arrival (for cursors). */
int engine_kept(struct engine *g, uint64_t since, engine_each *each, void *ctx,
                struct err *e) MUST_USE;
uint64_t engine_arrival(struct engine *g); /* the last one so far */

/* An entry as evidence. Valid for the call. */
struct engine_line {
    const struct engine_entry *entry;
    struct hash hash, prev; /* of the signed line; of its author's line before it, zeros: none */
    size_t sig_bytes, body_bytes;
};
typedef int engine_each_line(void *ctx, const struct engine_line *line);

/* The last `count` entries kept of a room up to the number `upto` (0: the last one), in order. */
int engine_lines(struct engine *g, const struct room_id *room, uint64_t upto, unsigned count,
                 engine_each_line *each, void *ctx, struct err *e) MUST_USE;

#endif
