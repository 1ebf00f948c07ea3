/* roster.h -- who is a member of one room, by what its members signed (docs/protocol.md 6).
 *
 * Fed with joins, leaves and invitations in order of number; says who may write at a number, and
 * the hash by which an inviter vouches for a list. Knows no disk, no relay, no signatures: whoever
 * feeds it has checked that the entry is its author's. */
#ifndef CLIENT_CORE_ROSTER_H
#define CLIENT_CORE_ROSTER_H

#include "common/chat/content.h"

/* A stay (from a join to its leave), or an invitation (until the join that it admits). */
struct roster_row {
    uint64_t number; /* of the join, or of the invitation: unique in its room */
    bool invitation;
    struct account_id account; /* who joined, who is invited */
    char name[NAME_MAX_LEN + 1];
    struct hash fp, line;      /* author's certificate and hash of the line of that entry */
    char by[NAME_MAX_LEN + 1]; /* who invited; empty: nobody */
    uint64_t from;             /* stay: number of the invitation; 0: none */
    uint64_t end;              /* the leave; the join. 0: still open */
    uint64_t at;               /* invitation: behind that number ... */
    struct hash roster;        /* ... its author saw these members */
};

struct roster {
    struct roster_row *rows; /* owned, in order of number */
    size_t n, cap;
    uint64_t since; /* first entry that says who is a member; 0: none yet */
    uint64_t upto;  /* nothing is missing up to this number */
};

enum roster_kind { ROSTER_PUBLIC, ROSTER_PRIVATE, ROSTER_DIRECT };

struct roster_rules {
    enum roster_kind kind;
    const char *me, *peer; /* ROSTER_DIRECT: nobody but these two */
};

struct roster_entry {
    uint64_t number;
    const char *author; /* as his certificate has it */
    const struct hash *fp, *line;
    const struct content *what;
};

void roster_free(struct roster *x); /* zeros are fine; usable again */

/* A row as it was kept, behind those that are there. -1: no memory. */
int roster_load(struct roster *x, const struct roster_row *row) MUST_USE;

/* The stay in which somebody may write entry `number`, or NULL. */
const struct roster_row *roster_seat(const struct roster *x, const char *name, uint64_t number);
/* The stay that holds behind entry `number`, or NULL. */
const struct roster_row *roster_member(const struct roster *x, const char *name, uint64_t number);
/* Does the entry with this line stand in it under this number? (Leaves: as the end of a stay.) */
bool roster_has(const struct roster *x, const struct roster_entry *t);

/* SHA-256 over the sorted hashes of the join lines of those who are members behind `number`. -1: no
 * memory. */
int roster_hash(const struct roster *x, uint64_t number, struct hash *out) MUST_USE;

/* May its author say so there? 0, or -1 and e with the reason that is shown. What was written
 * before `since` is not judged. */
int roster_check(const struct roster *x, const struct roster_rules *rules,
                 const struct roster_entry *t, struct err *e) MUST_USE;

/* A join into a private room that no invitation allows: such were members before members signed. */
bool roster_uninvited(const struct roster_rules *rules, const struct roster_row *stay);

/* Rows that an entry made or changed; valid until the next call that changes x. */
struct roster_change {
    const struct roster_row *row[2];
    size_t n;
    uint64_t dropped; /* number of an old row that had to make place; 0: none */
};

/* Takes in an entry that roster_check allowed. -1 and e: no memory. */
int roster_apply(struct roster *x, const struct roster_entry *t, struct roster_change *c,
                 struct err *e) MUST_USE;

#endif
