/* sequencer.h -- the thread that owns the core, the store and the CA's key: takes jobs in batches,
 * commits, and only then lets the loops have what came of them. */
#ifndef SERVER_SEQUENCER_H
#define SERVER_SEQUENCER_H

#include "server/box.h"
#include "server/core/core.h"
#include "server/log.h"

struct sequencer;

struct sequencer_conf {
    const struct conf *conf; /* borrowed until sequencer_stop */
    struct log *log;
    struct roll *roll;
    struct box *const *loops; /* of each loop; borrowed */
    size_t loops_n;
    unsigned (*loop_of)(uint64_t conn);
    void (*fatal)(void *ctx); /* from its thread: nothing more will be stored or acknowledged */
    void *ctx;
};

/* Opens store, seal and CA, loads the core, fills the roll. NULL and e. */
struct sequencer *sequencer_open(const struct sequencer_conf *c, struct err *e);
int sequencer_start(struct sequencer *s, struct err *e) MUST_USE;
void sequencer_put(struct sequencer *s,
                   struct jobs *l);         /* any thread; takes all, l is empty then */
void sequencer_reload(struct sequencer *s); /* CA and CRL anew */
/* Everything put so far is stored and its effects are on their way to the loops; then each loop
 * gets MSG_DRAIN. While another process holds the store they get it before. */
void sequencer_drain(struct sequencer *s);
/* Stores what is left, unless another process holds the store; waits, frees. NULL is fine. */
void sequencer_stop(struct sequencer *s);

#endif
