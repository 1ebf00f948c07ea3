/* engine_proof.h -- what the engine holds against the relay of a room: the tree of the entries that
 * it verified itself, and the last checkpoint that it found good. Part of engine_inner.h. */
#ifndef CLIENT_CORE_ENGINE_PROOF_H
#define CLIENT_CORE_ENGINE_PROOF_H

#include <sys/queue.h>

#include "common/chat/proto.h"
#include "common/evidence/bundle.h"
#include "common/evidence/checkpoint.h"
#include "common/evidence/receipt.h"
#include "common/evidence/tree.h"

struct engine;
struct room;
struct ask;

/* A checkpoint with the relay's signature. */
struct held {
    struct checkpoint is; /* is.tree.size 0: none */
    char text[CHECKPOINT_MAX + 1];
    size_t text_n, sig_n;
    uint8_t sig[SIG_MAX];
};

struct witness {
    struct tree base; /* of what is not ours to read, as the relay says; often empty */
    struct tree tree; /* base, and behind it what we verified; of kept.number entries or fewer */
    struct held last; /* the last one that was found good */

    /* of this connection */
    bool asking, caught;    /* caught: ENGINE_CAUGHT is to follow the answer */
    bool broken;            /* asked since the room is broken */
    bool odd;               /* it was said that there is none, or a bad one */
    struct frame answer;    /* owned: waits for its signer's certificate */
    struct merkle_head own; /* our tree when we asked; size 0: none */
    int64_t own_time;       /* the relay's, of the last entry in it */
    uint64_t base_asked;    /* size of the tree that was asked for */
    uint64_t number;        /* how much was verified when we asked */
    int64_t next;           /* mono ms: no other before */
    uint64_t ack;           /* number of an own entry whose root is still to be compared; 0: none */
    struct hash ack_root;
};

/* engine_tree.c */
bool tree_based(const struct room *r); /* is all of it known that is before our first entry? */
/* Takes the relay's word for what is before it. -1: that is no such tree. */
int tree_base_take(struct room *r, const struct f_tree *f) MUST_USE;
/* Adds what was verified since, up to that many entries. 0, or -1 and e. */
int tree_grow(struct engine *g, struct room *r, uint64_t size, struct err *e) MUST_USE;
/* The leaves from w->base to `size`, for proofs about our own tree: owned, or NULL and e. */
struct hash *tree_leaves(struct engine *g, struct room *r, uint64_t size, struct err *e);

/* engine_held.c: what is kept of it */
int held_load(struct engine *g, struct room *r, struct err *e) MUST_USE;
/* Keeps it as the last one, with our trees. -1: closing, and the former one is the last. */
int held_save(struct engine *g, struct room *r, const struct held *last) MUST_USE;
/* Text and signature of a checkpoint of this room. -1 and e. */
int held_take(struct held *h, const struct room *r, const struct f_checkpoint *f,
              struct err *e) MUST_USE;

/* What an evidence certificate signed. */
struct attested {
    struct hash signer;
    int64_t time;
    struct span text, sig;
};

/* A receipt that we have signed, on its way to others and then to the program. */
struct sealing_by {
    struct receipt_seal seal;
    char text[RECEIPT_SEAL_MAX + 1];
    uint8_t sig[SIG_MAX];
    size_t text_n, sig_n;
    bool good; /* has sealed it, and that was checked */
};

struct sealing {
    STAILQ_ENTRY(sealing) link;
    struct receipt receipt;
    char text[RECEIPT_MAX + 1];
    size_t text_n;
    int64_t latest; /* the relay's time of the last entry, ms */
    struct sealing_by by[RECEIPT_ROLE_COUNT];
    uint8_t cades[SIG_MAX]; /* what we sign of it as CMS */
    size_t cades_n;
    char name[RECEIPT_NAME_MAX + 1]; /* of its files; "": the program has not taken it yet */
    bool kept;                       /* has a row on our disk */
    bool closed;                     /* who may seal it has, or will not */
    bool member_asked;               /* the other member; his answer may still come */
    bool due;                        /* to be taken, once more when a seal came */
    bool unwanted; /* of a process before, and nobody wants files now: never due here */
    bool waited;   /* somebody waits for it, until: */
    int64_t until; /* mono ms */
    uint64_t ask;  /* request under way; 0: none is */
    int64_t again; /* not asked before; mono ms */
};

/* engine_checkpoint.c; -1: closing */
/* 1: by a certificate that may; 0: it is not here; -1 and e. */
int signer_check(struct engine *g, const struct attested *x, struct err *e) MUST_USE;
int check_room(struct engine *g, struct room *r, bool caught) MUST_USE; /* ENGINE_CAUGHT follows */
int check_broken(struct engine *g, struct room *r) MUST_USE; /* once for each connection */
void check_lost(struct room *r);
int64_t check_deadline(const struct engine *g, const struct room *r); /* mono ms; -1: none */
int check_tick(struct engine *g, struct room *r) MUST_USE;
/* The relay has numbered an own entry and says on what history. root NULL: it does not. */
int check_ack(struct engine *g, struct room *r, uint64_t number, const struct hash *root) MUST_USE;
int check_acks(struct engine *g, struct room *r) MUST_USE; /* those that waited */
int take_checkpoint(struct engine *g, struct frame *f);
int take_tree(struct engine *g, struct frame *f);
int take_signer(struct engine *g, struct frame *f);
int check_failed(struct engine *g, const struct ask *a, enum proto_code code) MUST_USE;

/* engine_flat.c: entries as a transcript */
struct flat {
    struct engine *g;
    struct room *r;
    struct bundle *bundle; /* gets the authors' certificates, borrowed from the engine */
    const uint64_t *hide;  /* numbers whose texts are left out */
    size_t hide_n;
    struct err *e;
    struct buf text; /* owned, from flat_make on */
    int64_t latest;  /* the relay's time of the last of them, ms */
    size_t withheld; /* texts that are not in it */
    uint64_t next;
};
int flat_make(struct flat *x, uint64_t first, uint64_t last) MUST_USE; /* -1 and x->e */
int flat_author(struct flat *x, const struct hash *fp) MUST_USE;       /* adds one more */

/* A copy of a signer's certificate: what the store gives out lives until its next use. */
struct kept_signer {
    uint8_t leaf[CERT_MAX], issuer[CERT_MAX];
    size_t leaf_n, issuer_n;
};
int signer_copy(struct engine *g, const struct hash *fp, struct kept_signer *out,
                struct err *e) MUST_USE;

/* engine_lie.c: the proof for others that the relay signed two histories */
struct lie {
    const struct held *was, *is; /* was: of fewer entries, or as many */
    struct hashes proof;         /* as proof.txt of a contradiction has it */
};
void lie_show(struct engine *g, struct room *r, const struct lie *l); /* ENGINE_EVIDENCE */

#endif
