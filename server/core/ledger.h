/* ledger.h -- the audit log as a tree that only grows: what numbers its rows and joins them to it.
 *
 * Each row that is closed gets the next number, a line (common/evidence/audit.h) and the nodes that
 * its leaf completes, in the same transaction as the row: who begins and commits is the caller. The
 * running relay and an operator's command beside it write one log, each with a ledger of his own;
 * one that another has gone past reads the tree again. No clock: times are passed in. */
#ifndef SERVER_CORE_LEDGER_H
#define SERVER_CORE_LEDGER_H

#include "common/evidence/tree.h"
#include "server/core/store.h"

/* Zeros but for store and rng: nothing read yet. ledger_wipe at the end. */
struct ledger {
    const struct store *store; /* borrowed */
    struct rng rng;            /* for weeks' keys; an operator, who has no address, needs none */
    struct tree tree;          /* as of the last look */
    int64_t week;
    struct key key; /* of that week, once keyed */
    bool keyed;
};

void ledger_wipe(struct ledger *l);

/* Adds a row: one that is folded stays open, its count may still change. */
int ledger_add(struct ledger *l, const struct store_audit *row, struct err *e) MUST_USE;
/* Closes all open rows but the folded ones of this minute (ms; -1: those too). */
int ledger_close(struct ledger *l, int64_t minute, struct err *e) MUST_USE;
/* l->tree becomes what is stored. */
int ledger_look(struct ledger *l, struct err *e) MUST_USE;
/* Empties some addresses of before that time, and destroys the keys of weeks that ended before it
 * and have no address left. */
int ledger_forget(struct ledger *l, int64_t before, struct err *e) MUST_USE;

/* The nodes of the stored tree, for proofs; ctx is the ledger. */
struct tree_source ledger_source(struct ledger *l);

/* The line of a row that has a number; its length, or 0: it has none. */
size_t ledger_line(char out[AUDIT_LINE_MAX + 1], const struct store_audit *row);

#endif
