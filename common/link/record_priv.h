/* record_priv.h -- what a record layer holds. For record.c, and for tests that cannot wait until
 * a counter has come to its end. */
#ifndef COMMON_LINK_RECORD_PRIV_H
#define COMMON_LINK_RECORD_PRIV_H

#include "common/link/record.h"

/* One direction under its present secret. */
struct record_side {
    uint8_t secret[SHA384_LEN];
    struct key key;
    uint8_t iv[AEAD_IV_LEN];
    uint64_t seq; /* records under this key: the nonce */
};

/* What records sealed with CBC need besides; most connections do not. */
struct record_clock {
    int64_t (*now)(void *ctx);
    void *ctx;
    unsigned stale; /* see record_stale */
};

struct record {
    const char *peer;
    struct record_clock *clock; /* NULL: sealed by an AEAD; else the other seal; owned */
    enum hash_kind hash;
    enum aead_kind aead;
    struct record_side sides[2]; /* [0] what comes in, [1] what goes out */
    struct buf in;               /* a record that is not whole yet */
    struct buf hand;             /* a handshake message that is not whole yet */
    struct buf plain;            /* opened, not yet taken */
    struct buf out;              /* `sealed` bytes for the peer; behind them head and content of the
                                    record that is still being gathered, if any */
    size_t sealed;
    size_t taken;      /* bytes of plain that were shown last */
    unsigned first[2]; /* see record_first */
    uint8_t barren;    /* records in a row that carried no data */
    uint8_t wished;    /* times that we asked for a new key since data went out */
    unsigned tickets, alert;
    bool ratchet : 1, verdict : 1; /* see record_conf */
    bool failed, closing, closed;
    bool owed, ask; /* our KeyUpdate is due: as an answer; to ask for the peer's */
    bool asked;     /* ... and that was done under its present key */
    bool busy;      /* since the last record_rest */
    struct err err;
};

#endif
