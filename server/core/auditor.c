#include "server/core/auditor.h"

#include <inttypes.h>

#include "common/evidence/audit.h"
#include "common/evidence/tree.h"
#include "common/util/time.h"
#include "server/core/ledger.h"

struct walk {
    struct auditor *a;
    struct err *e;
    struct tree tree;
    size_t next; /* of the checkpoints */
    int64_t week;
    struct key key; /* of that week, once keyed */
    bool keyed;
};

static int wrong(struct walk *w, uint64_t row, const char *why)
{
    return err_set(w->e, ERR_DATA, "row %" PRIu64 " %s", row, why);
}

/* --- one row --- */

static int key_take(struct walk *w, const struct store_audit *row)
{
    int64_t week = audit_week(row->time);

    if (w->keyed && w->week == week)
        return 0;
    int found = w->a->store->ops->audit_key_get(w->a->store->db, week, &w->key, w->e);
    w->week = week;
    w->keyed = found == 1;
    if (found == 0)
        return wrong(w, row->number, "has an address, but the key of its week is gone");
    return found < 0 ? -1 : 0;
}

/* The plain address, as long as it is there, is the one in the line. */
static int address_check(struct walk *w, const struct store_audit *row)
{
    char want[AUDIT_ADDRESS_TEXT];

    if (row->address.n == 0)
        return 0;
    if (!audit_address_plain(row->address) && key_take(w, row) < 0)
        return -1;
    audit_address(want, &w->key, row->address);
    if (!str_is(row->sealed, want))
        return wrong(w, row->number, "has another address than its line");
    w->a->addresses++;
    return 0;
}

/* Of the nodes that a row completes the one over 2^level rows is not that of the rows. */
static int node_wrong(struct walk *w, uint64_t number, unsigned level)
{
    uint64_t first = number + 1 - (UINT64_C(1) << level);

    return err_set(w->e, ERR_DATA,
                   "of the rows %" PRIu64 " to %" PRIu64 " one is not the one that joined the tree",
                   first, number);
}

static int row_join(struct walk *w, const struct store_audit *row)
{
    char line[AUDIT_LINE_MAX + 1];
    struct tree_done done;
    struct hash leaf;
    size_t n = ledger_line(line, row);

    if (n == 0)
        return wrong(w, row->number, "has a value that stands in no line");
    audit_leaf(&leaf, str_from(line, n));
    if (row->nodes.n == 0 || !hash_same(&row->nodes.p[0], &leaf))
        return wrong(w, row->number, "is not the one that joined the tree");
    tree_add(&w->tree, &leaf, &done);
    for (size_t i = 0; i < done.n && i + 1 < row->nodes.n; i++)
        if (!hash_same(&row->nodes.p[1 + i], &done.p[i]))
            return node_wrong(w, row->number, (unsigned)i + 1);
    return row->nodes.n == 1 + done.n ? 0 : node_wrong(w, row->number, (unsigned)done.n);
}

/* --- checkpoints --- */

/* Where the rows agree with what was signed for the last time, and where not any more. */
static int checkpoint_wrong(struct walk *w, const struct checkpoint *c)
{
    uint64_t good = w->next == 0 ? 0 : w->a->checkpoints[w->next - 1].tree.size;
    char time[TIME_TEXT];

    time_put(time, c->time);
    if (good == c->tree.size)
        return err_set(w->e, ERR_DATA,
                       "two checkpoints of %" PRIu64
                       " rows contradict each other; the rows lead to "
                       "one, and not to that of %s",
                       good, time);
    return err_set(w->e, ERR_DATA,
                   "of the rows %" PRIu64 " to %" PRIu64
                   " one was changed, added or moved: they do not lead to the checkpoint of %s",
                   good + 1, c->tree.size, time);
}

static int checkpoints_check(struct walk *w)
{
    for (; w->next < w->a->checkpoints_n; w->next++) {
        const struct checkpoint *c = &w->a->checkpoints[w->next];
        if (c->tree.size != w->tree.size)
            break;
        struct merkle_head is = tree_head(&w->tree);
        if (!hash_same(&is.root, &c->tree.root))
            return checkpoint_wrong(w, c);
    }
    return 0;
}

/* --- all of them --- */

static int row_check(void *ctx, const struct store_audit *row)
{
    struct walk *w = ctx;

    if (row->number != w->tree.size + 1)
        return wrong(w, w->tree.size + 1, "is missing");
    return address_check(w, row) < 0 || row_join(w, row) < 0 ? -1 : checkpoints_check(w);
}

/* A checkpoint of more rows than there are. */
static int end_check(struct walk *w)
{
    char time[TIME_TEXT];

    if (w->next == w->a->checkpoints_n)
        return 0;
    const struct checkpoint *c = &w->a->checkpoints[w->next];
    time_put(time, c->time);
    return err_set(w->e, ERR_DATA,
                   "row %" PRIu64 " is missing: the checkpoint of %s covers %" PRIu64
                   " rows; the last ones were deleted, or an older copy was put back",
                   w->tree.size + 1, time, c->tree.size);
}

static int open_count(void *ctx, const struct store_audit *row)
{
    struct walk *w = ctx;

    w->a->open += row->number == 0;
    return row->number <= EXACT_INT_MAX ? 0
                                        : err_set(w->e, ERR_DATA, "a row has no possible number");
}

int auditor_run(struct auditor *a, struct err *e)
{
    const struct store_ops *ops = a->store->ops;
    struct walk w = {.a = a, .e = e};

    a->addresses = a->open = 0;
    int rc = ops->audit_range(a->store->db, 1, EXACT_INT_MAX, row_check, &w, e);
    if (rc == 0)
        rc = end_check(&w);
    if (rc == 0)
        rc = ops->audit_each(a->store->db, 0, open_count, &w, e);
    key_wipe(&w.key);
    a->rows = w.tree.size;
    a->head = tree_head(&w.tree);
    return rc;
}
