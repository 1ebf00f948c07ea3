/* id.h -- the numbers by which rooms and accounts are known: 128 random bits, never used again.
 *
 * Names may change hands, these do not. Written as 32 lower-case hex digits. */
#ifndef COMMON_CHAT_ID_H
#define COMMON_CHAT_ID_H

#include <stdint.h>

#include "common/util/limits.h"

struct room_id {
    uint8_t b[ROOM_ID_LEN];
};
struct account_id {
    uint8_t b[ACCOUNT_ID_LEN];
};

#endif
