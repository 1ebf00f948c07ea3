#include "server/roll.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/util/table.h"

struct row {
    struct hash fp;
    enum cert_fault fault;
    UT_hash_handle hh;
};

struct roll {
    pthread_rwlock_t lock;
    struct row *rows;
};

struct roll *roll_new(void)
{
    struct roll *r = calloc(1, sizeof *r);

    if (r != NULL)
        pthread_rwlock_init(&r->lock, NULL);
    return r;
}

void roll_free(struct roll *r)
{
    struct row *row, *next;

    if (r == NULL)
        return;
    HASH_ITER(hh, r->rows, row, next) {
        HASH_DEL(r->rows, row);
        free(row);
    }
    pthread_rwlock_destroy(&r->lock);
    free(r);
}

static struct row *find(const struct roll *r, const struct hash *fp)
{
    struct row *row;

    HASH_FIND(hh, r->rows, fp, sizeof *fp, row);
    return row;
}

int roll_set(struct roll *r, const struct hash *fp, enum cert_fault fault)
{
    pthread_rwlock_wrlock(&r->lock);
    struct row *row = find(r, fp);
    if (row == NULL && (row = calloc(1, sizeof *row)) != NULL) {
        row->fp = *fp;
        HASH_ADD(hh, r->rows, fp, sizeof row->fp, row);
        if (!HASH_ADDED(hh, row)) {
            free(row);
            row = NULL;
        }
    }
    if (row != NULL)
        row->fault = fault;
    pthread_rwlock_unlock(&r->lock);
    return row == NULL ? -1 : 0;
}

enum cert_fault roll_judge(void *ctx, const struct hash *fp, const struct span *chain, size_t n)
{
    struct roll *r = ctx;

    (void)chain, (void)n;
    pthread_rwlock_rdlock(&r->lock);
    const struct row *row = find(r, fp);
    enum cert_fault fault = row == NULL ? CERT_NOT_ENROLLED : row->fault;
    pthread_rwlock_unlock(&r->lock);
    return fault;
}
