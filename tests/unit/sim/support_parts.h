/* support_parts.h -- what the files of the simulated world share. Tests include support_world.h. */
#ifndef TESTS_UNIT_SIM_SUPPORT_PARTS_H
#define TESTS_UNIT_SIM_SUPPORT_PARTS_H

#include "common/chat/entry.h"
#include "common/crypto/crypto.h"
#include "common/crypto/x509.h"
#include "server/core/job.h"
#include "support_world.h"

#define NOON INT64_C(1750000000000) /* when every world begins */

void must(bool good, const char *what); /* of the test's own means: it ends here */

/* support_pool.c: keys and certificates, the same ones in every world of a process. */
struct der {
    uint8_t b[CERT_MAX];
    size_t n;
};

struct pool {
    struct pkey *root_key, *inter_key, *keys[PEOPLE + 1];
    struct der root, inter, leaf[PEOPLE + 1]; /* the last: of the further device, see world_enrol */
    struct buf crl;
    struct hash fp[PEOPLE + 1], root_fp;
    struct account_id id[PEOPLE];
    struct key salted[PEOPLE];
    struct key seal, keep; /* what the relay's records and the clients' stores are sealed with */
};

const struct pool *pool_get(void);
struct rng rng_of(struct dice *d); /* what is drawn by it comes from the seed */
void pool_chain(int i, struct store_chain *out);
void pool_store(struct store *s, const struct rng *rng); /* everybody is enrolled */

/* support_wire.c: each calls back for every frame in bytes, which hold whole ones. */
struct chunk {
    struct chunk *next;
    int64_t due;
    size_t n;
    uint8_t b[];
};

typedef void each_frame(struct world *w, struct link_plain *l, struct frame *f, struct span raw);
void frames_each(struct world *w, struct link_plain *l, struct span bytes, unsigned from,
                 each_frame *each);
void queue_add(struct world *w, struct queue *q, struct span bytes);
struct chunk *queue_due(struct world *w, struct queue *q, int64_t stall); /* the caller frees it */
void queue_clear(struct queue *q);
/* The relay's words to a client: what they say is noted, and a liar may change them. */
void down(struct world *w, struct link_plain *l, struct span bytes);
void link_end(struct link_plain *l); /* free again */

/* support_forge.c: t as w->lie has it, to be freed by forged_free. signs: with its author's key. */
struct forged {
    struct f_entry entry; /* points into the rest, and into the t it was made from */
    struct buf content;
    struct entry_made made;
};

void forge(struct world *w, struct forged *out, const struct f_entry *t, bool signs);
void forged_free(struct forged *f);

/* support_note.c */
struct note *note_find(struct world *w, int who, const struct room_id *room, uint64_t seq);
void note_left(struct world *w, struct link_plain *l, struct frame *f, struct span raw);
void note_acked(struct world *w, int who, const struct room_id *room, uint64_t seq,
                uint64_t number);
void note_voided(struct world *w, int who, const struct f_voided *f);
/* Something acknowledged is not there: with `lossy` that is what the test wants to see. */
void note_lost(struct world *w, const char *what, const struct note *n);

/* support_seat.c */
void seats_read(struct world *w); /* the relay's rows, behind a batch */
void seat_check(struct world *w, int who, const struct room_id *room, uint64_t number);

/* support_relay.c */
int64_t relay_now(const struct world *w);
struct moment relay_moment(const struct world *w);
void relay_turn(struct world *w);

/* support_balk.c */
const struct keep_ops *balk_ops(struct world *w);

/* support_client.c */
void member_make(struct world *w, int who, bool on_disk);
void member_turn(struct world *w, int who);
void member_flush(struct world *w,
                  int who); /* takes what the engine says, to us and to the relay */
/* Nothing may go to a certificate that came later and that nobody accepted. */
void key_check(struct world *w, int who, const struct room_id *room);

#endif
