#include "server/pool.h"

#include <string.h>

struct buf pool_take(struct pool *p)
{
    struct buf b = {0};

    if (p->n == 0)
        return b;
    b = p->blocks[--p->n];
    if (p->n < p->spare)
        p->spare = p->n;
    return b;
}

void pool_give(struct pool *p, struct buf *b)
{
    if (b->p != NULL && p->n < POOL_BLOCKS && b->cap <= POOL_BLOCK_MAX) {
        p->blocks[p->n++] = *b;
        *b = (struct buf){0};
    }
    buf_free(b);
}

/* Those at the bottom were never reached. */
void pool_rest(struct pool *p)
{
    for (size_t i = 0; i < p->spare; i++)
        buf_free(&p->blocks[i]);
    p->n -= p->spare;
    memmove(p->blocks, p->blocks + p->spare, p->n * sizeof *p->blocks);
    p->spare = p->n;
}

void pool_free(struct pool *p)
{
    p->spare = p->n;
    pool_rest(p);
}
