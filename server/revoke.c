#include "server/revoke.h"

#include <stdlib.h>
#include <uthash.h>

struct gone {
    struct hash fp;
    bool listed; /* the index knows */
    UT_hash_handle hh;
};

static int collect(void *ctx, const struct store_device *row)
{
    struct gone **all = ctx, *g;

    if (row->revoked == 0)
        return 0;
    g = calloc(1, sizeof *g);
    if (g == NULL)
        return -1;
    g->fp = row->fp;
    HASH_ADD(hh, *all, fp, sizeof g->fp, g);
    return 0;
}

static int mark(void *ctx, const struct ca_entry *entry)
{
    struct gone **all = ctx, *g;

    HASH_FIND(hh, *all, &entry->fp, sizeof entry->fp, g);
    if (g != NULL && entry->revoked != 0)
        g->listed = true;
    return 0;
}

int revoke_sync(struct ca *ca, const struct store *store, int64_t now, struct err *e)
{
    struct gone *all = NULL, *g, *next;
    int ret = -1, n = 0;

    if (store->ops->device_each(store->db, collect, &all, e) < 0 ||
        (all != NULL && ca_each(ca, mark, &all, e) < 0)) {
        err_set(e, ERR_LOCAL, "no memory for revoked devices");
        goto out;
    }
    for (g = all; g != NULL; g = g->hh.next) {
        if (g->listed)
            continue;
        if (ca_revoke(ca, now, &g->fp, REVOKE_SUPERSEDED, e) < 0)
            goto out;
        n++;
    }
    ret = n;
out:
    HASH_ITER(hh, all, g, next)
    {
        HASH_DEL(all, g);
        free(g);
    }
    return ret;
}
