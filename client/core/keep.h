/* keep.h -- what a client keeps on its own disk: outbox, verified history, certificates, promises.
 *
 * A back end is a const struct of functions: memory (the specification that runs) and SQLite
 * (client/keep_sqlite.c). One test suite runs over both. Bodies and values are private: a back end
 * on disk seals them. One thread uses a handle. Every function gives 0 or -1 with e, those that
 * look something up give 1 (found), 0 (none) or -1. */
#ifndef CLIENT_CORE_KEEP_H
#define CLIENT_CORE_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "client/core/roster.h"
#include "common/chat/id.h"
#include "common/crypto/crypto.h"
#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

/* How an entry fared: the first letter of each is what SQLite stores. */
enum keep_state {
    KEEP_QUEUED, /* signed and on our disk */
    KEEP_RELAY,  /* the relay has numbered it */
    KEEP_FAILED, /* policy or membership refused it; `why` says so */
};

/* What a room is, as it was when we first heard of it; SQLite stores the number. */
enum keep_kind { KEEP_UNHEARD, KEEP_PUBLIC, KEEP_PRIVATE, KEEP_DIRECT };

/* One room as far as we verified it: numbers first..number follow without a gap, head is
 * head(number) and base is head(first-1). number == first - 1: nothing yet. */
struct keep_room {
    struct room_id id;
    bool based; /* first, number, base and head mean something */
    uint64_t first, number;
    struct hash base, head;
    uint64_t seq; /* own last line by this device's certificate, sent or not; 0: none */
    struct hash line;
    uint64_t acked; /* own last line that the relay acknowledged; 0: none */
    struct hash acked_line;
    struct hash prev; /* seq 0: what our first line follows (the account's former device), or 0 */
    uint64_t since, upto; /* of the roster */
    enum keep_kind kind;
    bool ephemeral;
    struct account_id with;      /* direct: the other's account; else 0 */
    char name[NAME_MAX_LEN + 1]; /* "": kept before names were */
    bool wanted;                 /* somebody here asked to be in it: our join may be signed */
};

/* A verified or refused entry under its number. Spans are borrowed: for the call in keep_entry_put,
 * for the callback or until the next call on the handle elsewhere. */
struct keep_entry {
    struct room_id room;
    uint64_t number, time; /* the relay's */
    uint64_t arrival;      /* our count of entries that came as news; 0: older page */
    struct hash head;      /* head(number) */
    struct hash fp;        /* author certificate; zeros when the line was no line */
    uint64_t seq;
    struct hash line_hash;
    struct str account; /* author's name as his certificate has it */
    struct str line;
    struct span sig, body; /* body.n 0: voided */
    bool proven;           /* signed by that certificate for this room, whatever else is wrong */
    struct str refused;    /* why its text is withheld; empty: good */
};

/* An own entry that the relay has not acknowledged, or refused. */
struct keep_out {
    struct room_id room;
    uint64_t seq;
    enum keep_state state;
    struct str line;
    struct span sig, body;
    struct str why;
};

struct keep_cert {
    struct hash fp;
    struct str account, device;
    struct span leaf, issuer; /* DER */
};

/* A fingerprint that the user compared with one he got elsewhere. */
struct keep_vouch {
    struct hash fp;
    int64_t at_ms;
};

/* How a certificate of somebody whom we met before is taken; SQLite stores the number. */
enum keep_known_state {
    KEEP_NEW = 1,  /* came later than his first: nobody has looked at it */
    KEEP_ACCEPTED, /* among his first, or a person said so */
    KEEP_GONE,     /* revoked before anybody accepted it */
};

struct keep_known {
    struct hash fp;
    struct str account;
    enum keep_known_state state;
};

/* A receipt that this device has signed, as engine_kept.c packs it. */
struct keep_receipt {
    struct hash hash; /* of its text */
    struct room_id room;
    struct span data;
};

/* Called for one row after the other: 0 goes on, else stops. */
typedef int keep_each_row(void *ctx, const struct roster_row *row);
typedef int keep_each_entry(void *ctx, const struct keep_entry *entry);
typedef int keep_each_known(void *ctx, const struct keep_known *known);
typedef int keep_each_receipt(void *ctx, const struct keep_receipt *receipt);
typedef int keep_each_out(void *ctx, const struct keep_out *out);

struct keep_ops {
    const char *name;
    void (*close)(void *k); /* NULL is fine */

    /* What happens between begin and commit is on disk when commit returned 0, or not at all. */
    int (*begin)(void *k, struct err *e);
    int (*commit)(void *k, struct err *e);
    void (*rollback)(void *k);

    int (*value_get)(void *k, const char *name, struct buf *out, struct err *e);
    int (*value_put)(void *k, const char *name, struct span value, struct err *e);

    int (*room_get)(void *k, const struct room_id *id, struct keep_room *out, struct err *e);
    int (*room_put)(void *k, const struct keep_room *room, struct err *e);
    /* Its entries and its outbox go. One row may stay, without line, author and body: arrivals are
     * counted on from it. The position of keep_room stays. */
    int (*room_forget)(void *k, const struct room_id *id, struct err *e);

    /* Rows of a room's roster, by number. */
    int (*roster_put)(void *k, const struct room_id *room, const struct roster_row *row,
                      struct err *e);
    int (*roster_drop)(void *k, const struct room_id *room, uint64_t number, struct err *e);
    int (*roster_each)(void *k, const struct room_id *room, keep_each_row *each, void *ctx,
                       struct err *e);

    /* entry_put draws arrival when `news`; an entry already there stays as it is. */
    int (*entry_put)(void *k, const struct keep_entry *entry, bool news, struct err *e);
    int (*entry_get)(void *k, const struct room_id *room, uint64_t number, struct keep_entry *out,
                     struct err *e);
    /* The proven entry with the highest, or lowest, seq of one certificate; the lowest one from a
     * number on, since a room that was left and joined again has an older part. */
    int (*entry_last)(void *k, const struct room_id *room, const struct hash *fp,
                      struct keep_entry *out, struct err *e);
    int (*entry_first)(void *k, const struct room_id *room, const struct hash *fp, uint64_t from,
                       struct keep_entry *out, struct err *e);
    /* The last good entry of one account below a number, by another certificate than fp. */
    int (*entry_former)(void *k, const struct room_id *room, struct str account,
                        const struct hash *fp, uint64_t below, struct keep_entry *out,
                        struct err *e);
    /* Up to count entries below `before`, ascending. each: 0 goes on, else stops with -1. */
    int (*entries_before)(void *k, const struct room_id *room, uint64_t before, unsigned count,
                          keep_each_entry *each, void *ctx, struct err *e);
    /* Entries of all rooms that arrived after `arrival`, in order of arrival. */
    int (*entries_since)(void *k, uint64_t arrival, keep_each_entry *each, void *ctx,
                         struct err *e);
    int (*arrival_last)(void *k, uint64_t *out, struct err *e);

    int (*out_put)(void *k, const struct keep_out *out, struct err *e); /* new or state changed */
    int (*out_drop)(void *k, const struct room_id *room, uint64_t seq, struct err *e);
    int (*out_each)(void *k, keep_each_out *each, void *ctx,
                    struct err *e); /* in order of room and seq */

    int (*cert_put)(void *k, const struct keep_cert *cert, struct err *e);
    int (*cert_get)(void *k, const struct hash *fp, struct keep_cert *out, struct err *e);

    int (*vouch_put)(void *k, const struct keep_vouch *vouch, struct err *e);
    int (*vouch_get)(void *k, const struct hash *fp, struct keep_vouch *out, struct err *e);

    int (*known_put)(void *k, const struct keep_known *known, struct err *e); /* new or changed */
    int (*known_each)(void *k, keep_each_known *each, void *ctx, struct err *e);

    int (*receipt_put)(void *k, const struct keep_receipt *receipt, struct err *e); /* likewise */
    /* In the order in which they were new; each changes nothing meanwhile. */
    int (*receipt_each)(void *k, keep_each_receipt *each, void *ctx, struct err *e);
};

/* An open store: what the engine is given. */
struct keep {
    const struct keep_ops *ops;
    void *k;
};

extern const struct keep_ops keep_memory_ops;

/* In memory, for tests and for programs that keep nothing. NULL: no memory. */
void *keep_memory_new(void);

#endif
