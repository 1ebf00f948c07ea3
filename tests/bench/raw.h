/* raw.h -- the protocol of what only forwards: u32 big-endian length, one byte that says what, then
 * the rest. tests/bench/limit.c, tests/bench/opaque.c and the generator's driver speak it. */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

enum {
    RAW_HEAD = 4,
    RAW_MAX = 16 * 1024, /* of what stands behind the length */
    RAW_ROOM_LEN = 16,
    RAW_HELLO = 'H', /* answered with RAW_HELLO */
    RAW_JOIN = 'J',  /* RAW_ROOM_LEN bytes name the room; answered with RAW_JOIN */
    RAW_SAY = 'S',   /* goes as it is to everybody in the room, the sender too */
};

#endif
