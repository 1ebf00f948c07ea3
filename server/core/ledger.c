#include "server/core/ledger.h"

#include <string.h>

#include "common/evidence/audit.h"

#define OP(l, call, ...) (l)->store->ops->call((l)->store->db, __VA_ARGS__)

void ledger_wipe(struct ledger *l)
{
    wipe(l, sizeof *l);
}

/* --- the tree --- */

static int node(void *ctx, uint64_t end, unsigned level, struct hash *out, struct err *e)
{
    struct ledger *l = ctx;
    int found = OP(l, audit_node, end, level, out, e);

    if (found == 0)
        err_set(e, ERR_DATA,
                "the audit log has a hole before row %llu: countersignd audit verify looks closer",
                (unsigned long long)end);
    return found == 1 ? 0 : -1;
}

struct tree_source ledger_source(struct ledger *l)
{
    return (struct tree_source){node, l};
}

int ledger_look(struct ledger *l, struct err *e)
{
    struct tree_source from = ledger_source(l);
    uint64_t size;

    if (OP(l, audit_size, &size, e) < 0)
        return -1;
    return size == l->tree.size ? 0 : tree_at(&from, size, &l->tree, e);
}

/* --- addresses --- */

/* The key of a week, drawn when it is the first time. */
static int key_take(struct ledger *l, int64_t week, struct err *e)
{
    if (l->keyed && l->week == week)
        return 0;
    l->keyed = false;
    int found = OP(l, audit_key_get, week, &l->key, e);
    if (found == 0) {
        if (l->rng.fill == NULL || rng_fill(&l->rng, l->key.b, sizeof l->key.b) < 0)
            return err_set(e, ERR_OS, "no randomness");
        found = OP(l, audit_key_put, week, &l->key, e);
    }
    if (found < 0)
        return -1;
    l->week = week;
    l->keyed = true;
    return 0;
}

/* A clock that went forward and comes back finds a new one: what was destroyed seals nothing. */
static void key_forget(struct ledger *l, int64_t before)
{
    if (!l->keyed || l->week >= before)
        return;
    wipe(&l->key, sizeof l->key);
    l->keyed = false;
}

int ledger_forget(struct ledger *l, int64_t before, struct err *e)
{
    int64_t first, week = audit_week(before);

    if (before <= 0 || OP(l, audit_forget, before, AUDIT_FORGET_MAX, e) < 0 ||
        OP(l, audit_known, &first, e) < 0)
        return before <= 0 ? 0 : -1;
    if (first != 0 && audit_week(first) < week) /* more than fits in one turn */
        week = audit_week(first);
    key_forget(l, week);
    return OP(l, audit_key_purge, week, e);
}

/* --- rows --- */

size_t ledger_line(char out[AUDIT_LINE_MAX + 1], const struct store_audit *row)
{
    const struct audit_line line = {.number = row->number,
                                    .time = row->time,
                                    .span = row->folded ? AUDIT_SPAN_MS : 0,
                                    .event = row->event,
                                    .account = row->account,
                                    .fp = row->fp,
                                    .reason = row->reason,
                                    .count = row->count,
                                    .address = row->sealed};

    return audit_line_put(out, &line);
}

/* What a row gets when it is closed; it borrows from here. */
struct closing {
    struct ledger *l;
    struct err *e;
    struct store_audit row;
    struct hash nodes[TREE_LEVELS + 1];
    char sealed[AUDIT_ADDRESS_TEXT];
};

static int closing_fill(struct closing *g, const struct store_audit *row)
{
    struct ledger *l = g->l;
    char line[AUDIT_LINE_MAX + 1];
    struct tree_done done;

    g->row = *row;
    if (!audit_address_plain(row->address) && key_take(l, audit_week(row->time), g->e) < 0)
        return -1;
    audit_address(g->sealed, &l->key, row->address);
    g->row.sealed = str_of(g->sealed);
    g->row.number = l->tree.size + 1;
    size_t n = ledger_line(line, &g->row);
    if (n == 0)
        return err_set(g->e, ERR_DATA, "a row of the audit log that has no line");
    audit_leaf(&g->nodes[0], str_from(line, n));
    tree_add(&l->tree, &g->nodes[0], &done);
    memcpy(g->nodes + 1, done.p, done.n * sizeof done.p[0]);
    g->row.nodes = (struct hashes){g->nodes, 1 + done.n};
    return 0;
}

int ledger_add(struct ledger *l, const struct store_audit *row, struct err *e)
{
    struct closing g = {.l = l, .e = e};

    if (row->folded)
        return OP(l, audit_add, row, e);
    if (ledger_look(l, e) < 0 || closing_fill(&g, row) < 0)
        return -1;
    return OP(l, audit_add, &g.row, e);
}

static int close_one(void *ctx, const struct store_audit *row)
{
    struct closing *g = ctx;

    return closing_fill(g, row) < 0 ? -1 : OP(g->l, audit_close, &g->row, g->e);
}

int ledger_close(struct ledger *l, int64_t minute, struct err *e)
{
    struct closing g = {.l = l, .e = e};
    int found = ledger_look(l, e) < 0 ? -1 : 1;

    while (found == 1)
        found = OP(l, audit_open, minute, close_one, &g, e);
    return found;
}
