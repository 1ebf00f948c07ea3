/* pool.h -- memory for what a loop is about to send: blocks that one connection has filled and sent
 * serve the next one while they are warm. The last one given is the first one taken. Bounded; what
 * was not needed for a while is freed. Belongs to one thread. */
#ifndef SERVER_POOL_H
#define SERVER_POOL_H

#include "common/util/bytes.h"
#include "common/util/limits.h"

struct pool {
    struct buf blocks[POOL_BLOCKS];
    size_t n, spare; /* spare: so many were never taken since the last pool_rest */
};

/* An empty buffer that may have memory already; bounded by no more than its user's own bound. */
struct buf pool_take(struct pool *p);
void pool_give(struct pool *p, struct buf *b); /* empty; b has no memory afterwards */
void pool_rest(struct pool *p);                /* about once a second */
void pool_free(struct pool *p);

#endif
