#include "common/crypto/memo.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct memo {
    bool used[MEMO_SETS][MEMO_WAYS];
    struct hash sets[MEMO_SETS][MEMO_WAYS]; /* the latest first */
};

static_assert(MEMO_SETS <= 65536, "two bytes say which set");

struct memo *memo_new(void)
{
    return calloc(1, sizeof(struct memo));
}

void memo_free(struct memo *m)
{
    free(m);
}

static size_t set_of(const struct hash *h)
{
    return (size_t)(h->b[0] << 8 | h->b[1]) % MEMO_SETS;
}

bool memo_has(const struct memo *m, const struct hash *h)
{
    size_t set = set_of(h);

    if (m == NULL)
        return false;
    for (size_t i = 0; i < MEMO_WAYS; i++)
        if (m->used[set][i] && hash_same(&m->sets[set][i], h))
            return true;
    return false;
}

void memo_add(struct memo *m, const struct hash *h)
{
    size_t set = set_of(h);

    if (m == NULL || memo_has(m, h))
        return;
    memmove(&m->used[set][1], &m->used[set][0], (MEMO_WAYS - 1) * sizeof m->used[0][0]);
    memmove(&m->sets[set][1], &m->sets[set][0], (MEMO_WAYS - 1) * sizeof m->sets[0][0]);
    m->used[set][0] = true;
    m->sets[set][0] = *h;
}
