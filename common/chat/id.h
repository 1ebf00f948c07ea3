/* id.h -- the numbers by which rooms and accounts are known: 128 random bits, never used again.
 *
 * Names may change hands, these do not. Written as 32 lower-case hex digits. */
#ifndef COMMON_CHAT_ID_H
#define COMMON_CHAT_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/util/limits.h"

struct room_id {
    uint8_t b[ROOM_ID_LEN];
};
struct account_id {
    uint8_t b[ACCOUNT_ID_LEN];
};

static inline bool room_id_same(const struct room_id *a, const struct room_id *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

static inline bool account_id_same(const struct account_id *a, const struct account_id *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

#endif
