/* bundle.h -- a file of evidence: which files its tar holds, in which order, and nothing else.
 *
 * Two kinds (docs/evidence.md 1): messages of one room, or two checkpoints of a relay that
 * contradict each other. Here only the form is judged; common/chat/judge.h says whether it is true.
 * Borrows the archive. */
#ifndef COMMON_EVIDENCE_BUNDLE_H
#define COMMON_EVIDENCE_BUNDLE_H

#include "common/evidence/merkle.h"
#include "common/evidence/tar.h"

#define BUNDLE_KINDS(X)                                                                            \
    X(BUNDLE_MESSAGES, "messages")                                                                 \
    X(BUNDLE_CONTRADICTION, "contradiction")

#define X(id, name) id,
enum bundle_kind { BUNDLE_KINDS(X) BUNDLE_KIND_COUNT };
#undef X

const char *bundle_kind_name(enum bundle_kind k);

/* The files before the certificates, in their order: member, name, kinds that have it. */
#define BUNDLE_FILES(X)                                                                            \
    X(guide, "VERIFY.txt", 1 << BUNDLE_MESSAGES | 1 << BUNDLE_CONTRADICTION)                       \
    X(checkpoint, "checkpoint.txt", 1 << BUNDLE_MESSAGES | 1 << BUNDLE_CONTRADICTION)              \
    X(checkpoint_sig, "checkpoint.sig", 1 << BUNDLE_MESSAGES | 1 << BUNDLE_CONTRADICTION)          \
    X(later, "later.txt", 1 << BUNDLE_CONTRADICTION)                                               \
    X(later_sig, "later.sig", 1 << BUNDLE_CONTRADICTION)                                           \
    X(transcript, "transcript.txt", 1 << BUNDLE_MESSAGES)                                          \
    X(proof, "proof.txt", 1 << BUNDLE_MESSAGES | 1 << BUNDLE_CONTRADICTION)                        \
    X(root, "root.der", 1 << BUNDLE_MESSAGES | 1 << BUNDLE_CONTRADICTION)                          \
    X(issuer, "issuer.der", 1 << BUNDLE_MESSAGES | 1 << BUNDLE_CONTRADICTION)                      \
    X(crl, "crl.der", 1 << BUNDLE_MESSAGES | 1 << BUNDLE_CONTRADICTION)

/* certs/<SHA-256, hex>.der, in the order of the hashes. */
struct bundle_cert {
    struct hash fp;
    struct span der;
};

struct bundle {
    enum bundle_kind kind;
#define X(member, name, kinds) struct span member; /* p NULL: this kind has none */
    BUNDLE_FILES(X)
#undef X
    struct bundle_cert *certs; /* owned */
    size_t certs_n;
};

/* 0, or -1 and e; where gets the name of the file at fault ("bundle" for the archive itself).
 * bundle_free in either case. */
enum { BUNDLE_WHERE = TAR_NAME_MAX + 32 };
int bundle_take(struct bundle *b, struct span archive, char where[BUNDLE_WHERE],
                struct err *e) MUST_USE;
void bundle_free(struct bundle *b); /* zeros are fine */

/* The certificate with this fingerprint, or NULL. */
const struct bundle_cert *bundle_cert(const struct bundle *b, const struct hash *fp);

/* proof.txt: one hash in base64 a line; at most PROOF_MAX. *n of them. */
int proof_take(struct hash out[PROOF_MAX], size_t *n, struct span text, struct err *e) MUST_USE;

/* VERIFY.txt, the same in every bundle of this version: how to check it with openssl and sh. */
struct span bundle_guide(void);

#endif
