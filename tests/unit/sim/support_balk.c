/* Disks of members that refuse a commit now and then: full, or locked. Nothing of it is on them. */
#include "client/keep_sqlite.h"
#include "support_parts.h"

enum { ONE_IN = 40 };

static struct world *now; /* the one there is */

static int commit(void *k, struct err *e)
{
    for (int i = 0; i < PEOPLE; i++) {
        struct member_sim *m = now->m + i;
        if (m->keep.k != k || !m->balks || !dice_one_in(&m->balk, ONE_IN))
            continue;
        now->balked++;
        return err_set(e, ERR_IO, "the store: database or disk is full");
    }
    return keep_sqlite_ops.commit(k, e);
}

const struct keep_ops *balk_ops(struct world *w)
{
    static struct keep_ops ops;

    now = w;
    ops = keep_sqlite_ops;
    ops.commit = commit;
    return &ops;
}
