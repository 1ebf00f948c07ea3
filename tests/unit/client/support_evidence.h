/* support_evidence.h -- the relay of support_engine.h as it signs checkpoints of what is in its
 * log: whoever changes the log afterwards makes it lie about what it signed before. */
#ifndef TESTS_UNIT_CLIENT_SUPPORT_EVIDENCE_H
#define TESTS_UNIT_CLIENT_SUPPORT_EVIDENCE_H

#include "common/chat/judge.h"
#include "support_engine.h"

struct evidence {
    struct person signer;    /* of the relay's certificate of this kind; */
    const struct person *by; /* who signs in its place; NULL: nobody does */
    unsigned asked, bases;   /* checkpoints and trees asked for, */
    uint64_t after, own;     /* from where the last time */

    /* what is false about the next ones */
    size_t size;                      /* how many entries it signs for; 0: all */
    int64_t time;                     /* its date; 0: the relay's clock */
    bool other_room, bad_sig, hidden; /* hidden: the signer's certificate is not to be had */
    bool no_proof, bad_proof, no_grown, bad_grown, odd_proof;
    bool bad_root, no_root, bad_base; /* of acknowledgements; of `tree` */
    bool refused, gone;               /* busy; no-such */
    bool mute;                        /* no answer at all */
    bool swapped;                     /* the first two leaves of the tree are in the other order */

    /* receipts: how many it was asked to seal, the last one, and what is false about its seal */
    unsigned seals;
    unsigned cosigns; /* seals of hers on receipts of others, the last one, and is it signed so */
    struct receipt_seal cosign;
    bool cosign_good;
    bool seal_member; /* the other member was asked for his */
    struct receipt receipt;
    enum receipt_role seal_role; /* RECEIPT_RELAY unless a test says another */
    int64_t seal_time;           /* its date; 0: the relay's clock */
    bool seal_odd, seal_mute, seal_refused, seal_busy; /* odd: no such form */
    enum proto_code seal_code;                         /* seal_refused: how; 0: denied */
    uint64_t seal_id;                                  /* of the last request */

    struct verdict found; /* of the last proof that the engine gave: */
    unsigned proofs;      /* so many */
};

/* The relay signs from now on, and a new engine asks it to. Group setup is stage_world. */
void evidence_on(struct stage *s, struct evidence *v);
void evidence_end(struct evidence *v);
/* What support_engine.c leaves to it. false: not its business. */
bool evidence_serve(struct stage *s, const struct frame *f);
/* The root up to that number, for acknowledgements; false: none is said. */
bool evidence_root(struct stage *s, uint64_t number, struct hash *out);
void evidence_seal(struct stage *s, const struct f_seal *ask); /* answers it */
void evidence_told(struct stage *s, const struct engine_event *ev);

#endif
