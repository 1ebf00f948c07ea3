/* bundle.h -- a file of evidence: which files its tar holds, in which order, and nothing else.
 *
 * Four kinds (docs/evidence.md 1): messages of one room; what was said there in one session, with
 * its receipt; two checkpoints of a relay that contradict each other; lines of a relay's audit log.
 * Here only the form is judged;
 * common/chat/judge.h says whether it is true. Borrows the archive. */
#ifndef COMMON_EVIDENCE_BUNDLE_H
#define COMMON_EVIDENCE_BUNDLE_H

#include "common/evidence/merkle.h"
#include "common/evidence/tar.h"

#define BUNDLE_KINDS(X)                                                                            \
    X(BUNDLE_MESSAGES, "messages")                                                                 \
    X(BUNDLE_SESSION, "session")                                                                   \
    X(BUNDLE_CONTRADICTION, "contradiction")                                                       \
    X(BUNDLE_AUDIT, "audit")

#define X(id, name) id,
enum bundle_kind { BUNDLE_KINDS(X) BUNDLE_KIND_COUNT };
#undef X

const char *bundle_kind_name(enum bundle_kind k);

enum {
    IN_MESSAGES = 1 << BUNDLE_MESSAGES,
    IN_SESSION = 1 << BUNDLE_SESSION,
    IN_CONTRADICTION = 1 << BUNDLE_CONTRADICTION,
    IN_LOG = 1 << BUNDLE_AUDIT,
    IN_SIGNED = IN_MESSAGES | IN_CONTRADICTION | IN_LOG, /* by a checkpoint */
    IN_EVERY = IN_SIGNED | IN_SESSION,
};

/* The files before the certificates, in their order: member, name, kinds that have it. Who has not
 * sealed a receipt has two empty files; where no third clock was asked its time stamp is empty. */
#define BUNDLE_FILES(X)                                                                            \
    X(guide, "VERIFY.txt", IN_EVERY)                                                               \
    X(receipt, "receipt.txt", IN_SESSION)                                                          \
    X(client, "client.txt", IN_SESSION)                                                            \
    X(client_sig, "client.sig", IN_SESSION)                                                        \
    X(relay, "relay.txt", IN_SESSION)                                                              \
    X(relay_sig, "relay.sig", IN_SESSION)                                                          \
    X(member, "member.txt", IN_SESSION)                                                            \
    X(member_sig, "member.sig", IN_SESSION)                                                        \
    X(receipt_p7s, "receipt.p7s", IN_SESSION)                                                      \
    X(receipt_tsr, "receipt.tsr", IN_SESSION)                                                      \
    X(checkpoint, "checkpoint.txt", IN_SIGNED)                                                     \
    X(checkpoint_sig, "checkpoint.sig", IN_SIGNED)                                                 \
    X(checkpoint_tsr, "checkpoint.tsr", IN_MESSAGES)                                               \
    X(later, "later.txt", IN_CONTRADICTION)                                                        \
    X(later_sig, "later.sig", IN_CONTRADICTION)                                                    \
    X(transcript, "transcript.txt", IN_MESSAGES | IN_SESSION)                                      \
    X(audit, "audit.txt", IN_LOG)                                                                  \
    X(proof, "proof.txt", IN_SIGNED)                                                               \
    X(root, "root.der", IN_EVERY)                                                                  \
    X(issuer, "issuer.der", IN_EVERY)                                                              \
    X(crl, "crl.der", IN_EVERY)

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

/* Adds a certificate where it belongs; one that is there already changes nothing. Borrowed. 0, or
 * -1 and e. */
int bundle_cert_add(struct bundle *b, struct span der, struct err *e) MUST_USE;
/* Appends the archive of the files that its kind has, VERIFY.txt by itself. 0, or -1 and e: more
 * than one may hold (ERR_LIMIT). */
int bundle_put(struct buf *out, const struct bundle *b, struct err *e) MUST_USE;

/* The certificate with this fingerprint, or NULL. */
const struct bundle_cert *bundle_cert(const struct bundle *b, const struct hash *fp);

/* proof.txt: one hash in base64 a line; at most PROOF_MAX. *n of them. */
int proof_take(struct hash out[PROOF_MAX], size_t *n, struct span text, struct err *e) MUST_USE;

/* The same, written: appended to out. */
int proof_put(struct buf *out, struct hashes proof, struct err *e) MUST_USE;

/* VERIFY.txt, the same in every bundle of this version: how to check it with openssl and sh. */
struct span bundle_guide(void);

#endif
