/* lab.h -- attacks on links, for people to watch: client, attacker and relay in this process, with
 * certificates that nobody keeps. The ends are the real ones; the attacker has their bytes and
 * whatever the attack gives him, and does to them what its name says. What comes out is read from
 * the ends: a cell is what happened, never what ought to.
 *
 * Prints nothing: each thing that happens is told as it happens. */
#ifndef CLIENT_LAB_H
#define CLIENT_LAB_H

#include "client/lab_pair.h"

/* id, name, what is done, whether `classic` is expected to lose: every other link stops all. */
#define LAB_ATTACKS(X)                                                                             \
    X(LAB_MITM, "mitm", "stands in between with keys and certificates of his own", true)           \
    X(LAB_DOWNGRADE, "downgrade", "rewrites what is offered, so that less is agreed on", true)     \
    X(LAB_REPLAY, "replay", "says a recorded session again, and a recorded message", true)         \
    X(LAB_TAMPER, "tamper", "changes a byte of a message on its way", false)                       \
    X(LAB_REFLECT, "reflect", "sends the client its own message back", true)                       \
    X(LAB_TRUNCATE, "truncate", "keeps the last message back and ends the stream", true)           \
    X(LAB_REORDER, "reorder", "exchanges two messages", true)                                      \
    X(LAB_STOLEN_KEY, "stolen-key", "has the relay's keys and state, later, and a recording", true)

#define X(id, name, does, classic_loses) id,
enum lab_attack { LAB_ATTACKS(X) LAB_ATTACK_COUNT };
#undef X

const char *lab_attack_name(enum lab_attack a);
const char *lab_attack_does(enum lab_attack a);
int lab_attack_take(struct str name, enum lab_attack *a) MUST_USE; /* 0 or -1 */
bool lab_expects(enum lab_attack a, enum link_kind kind);          /* true: the attacker wins */

enum lab_who { LAB_CLIENT, LAB_ATTACKER, LAB_RELAY };

struct lab_outcome {
    bool won;
    char what[160]; /* what he won, or who stopped it and why */
    char step[48];  /* the last step that was told to who stopped it; "" when he won */
};

struct lab {
    const struct lab_pki *ours, *his; /* his: another authority's, under the same names */
    void (*tell)(void *ctx, enum lab_who who, const char *what); /* NULL: nobody watches */
    void *ctx;
};

/* 0 and *out; -1 and e: the lab itself failed, which says nothing of the link. */
int lab_run(const struct lab *lab, enum lab_attack a, enum link_kind kind, struct lab_outcome *out,
            struct err *e) MUST_USE;

#endif
