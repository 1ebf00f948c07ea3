/* classic_priv.h -- what the files of the link `classic` share: classic_shake.c takes and says the
 * lines of its handshake, classic_text.c those behind it, link_classic.c is the interface. */
#ifndef COMMON_LINK_CLASSIC_PRIV_H
#define COMMON_LINK_CLASSIC_PRIV_H

#include <stdatomic.h>

#include "common/link/classic_line.h"
#include "common/link/link_priv.h"
#include "common/link/steps_classic.h"

#define CLASSIC_BAD_MAC "HMAC verification failed"

enum { CLASSIC_STEPS_MAX = 8 };

#define X(id, from_client, by_both, label, on_wire, what) id,
enum rsa_row { STEPS_CLASSIC(X) };
enum file_row { STEPS_CLASSIC_FILE(X) };
#undef X

struct classic_ready {
    atomic_uint refs;
    enum role role;
    bool file;
    struct aes_key key;        /* of the file */
    struct textbook *textbook; /* relay, without file */
    struct rng rng;
    uint64_t (*mono)(void *ctx);
    void *clock_ctx;
};

/* One end. */
struct classic {
    struct classic_ready *ready; /* NULL once the handshake is over */
    enum role role;
    bool file;
    bool said, done; /* the key is on its way; `ok` came or went */
    bool keyed;      /* keys are there: texts are opened */
    bool hello;      /* relay: it was said */
    bool sent_one, got_one, shown_one;
    bool closed;
    struct cbc_keys keys;
    uint64_t sealed; /* texts so far */
    struct buf line; /* what came of one, its LF is missing */
    struct buf out;
    struct buf texts; /* opened: u32 length, bytes */
    size_t taken;     /* of texts: lent out by the last take */
    struct link_step steps[CLASSIC_STEPS_MAX];
    size_t steps_n, steps_at;
    char group[24];
    uint64_t born, began; /* began: the call that runs */
    uint64_t (*mono)(void *ctx);
    void *clock_ctx;
    struct err err;
};

/* Gives up: keeps the reason, wipes the keys, tells the peer in the documents' words. Gives -1. */
int classic_refuse(struct classic *c, enum err_code code, const char *why);
/* A line for the peer. -1: it reads too slowly, and that is the end. */
int classic_say(struct classic *c, const char *line) MUST_USE;
/* A step that has happened, since the last one or since the call began. */
void classic_step(struct classic *c, unsigned row, bool out, size_t bytes, const char *detail);
uint64_t classic_now(const void *end); /* microseconds since it was made */
void classic_ready_free(void *ready);  /* counted; NULL is fine */

/* What takes a line of its type, of `bytes` with its LF. 0, or -1 when it was refused. */
typedef int classic_taker(struct classic *c, const struct classic_line *l, size_t bytes) MUST_USE;

/* classic_shake.c: lines 1 to 4, and the keys that come of them */
int classic_keys(struct classic *c, const struct aes_key *k) MUST_USE; /* -1: refused */
classic_taker classic_take_hello, classic_take_pubkey, classic_take_key, classic_take_ok;

/* classic_text.c: line 5, sealed and opened; send and take as struct link_proto has them */
classic_taker classic_take_msg;
int classic_send(void *end, const uint8_t *msg, size_t n) MUST_USE;
struct span classic_take(void *end);

#endif
