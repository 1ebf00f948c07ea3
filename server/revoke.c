#include "server/revoke.h"

#include <stdlib.h>

#include "common/util/table.h"
#include "server/core/operator.h"

struct one {
    struct hash fp;
    bool revoked; /* the index says so */
    UT_hash_handle hh;
};

struct devices { /* those of the store that are revoked there, or those that are not */
    bool revoked;
    struct one *all;
};

static int collect(void *ctx, const struct store_device *row)
{
    struct devices *d = ctx;

    if ((row->revoked != 0) != d->revoked)
        return 0;
    struct one *o = calloc(1, sizeof *o);
    if (o == NULL)
        return -1;
    o->fp = row->fp;
    HASH_ADD(hh, d->all, fp, sizeof o->fp, o);
    if (HASH_ADDED(hh, o))
        return 0;
    free(o);
    return -1;
}

static int mark(void *ctx, const struct ca_entry *entry)
{
    struct devices *d = ctx;
    struct one *o;

    HASH_FIND(hh, d->all, &entry->fp, sizeof entry->fp, o);
    if (o != NULL && entry->revoked != 0)
        o->revoked = true;
    return 0;
}

static int compare(struct devices *d, const struct ca *ca, const struct store *store, struct err *e)
{
    if (store->ops->device_each(store->db, collect, d, e) == 0 &&
        (d->all == NULL || ca_each(ca, mark, d, e) == 0))
        return 0;
    return err_set(e, ERR_LOCAL, "no memory for revoked devices");
}

static void devices_free(struct devices *d)
{
    struct one *o, *next;

    HASH_ITER(hh, d->all, o, next) {
        HASH_DEL(d->all, o);
        free(o);
    }
}

int revoke_sync(struct ca *ca, const struct store *store, int64_t now, struct err *e)
{
    struct devices d = {.revoked = true};
    int n = compare(&d, ca, store, e);

    for (const struct one *o = d.all; o != NULL && n >= 0; o = o->hh.next)
        if (!o->revoked)
            n = ca_revoke(ca, now, &o->fp, REVOKE_SUPERSEDED, e) < 0 ? -1 : n + 1;
    devices_free(&d);
    return n;
}

int revoke_adopt(const struct ca *ca, struct store *store, int64_t now, struct err *e)
{
    struct devices d = {.revoked = false};
    int n = compare(&d, ca, store, e);

    for (const struct one *o = d.all; o != NULL && n >= 0; o = o->hh.next)
        if (o->revoked)
            n = operator_revoke(store, &o->fp, now, e) < 0 ? -1 : n + 1;
    devices_free(&d);
    return n;
}
