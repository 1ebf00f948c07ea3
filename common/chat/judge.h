/* judge.h -- is a file of evidence true? Asked by somebody who was not there: no account, no
 * configuration, no network, no clock. docs/verify.sh asks the same questions in the same order.
 *
 * Everything the verdict rests on is in the bundle (common/evidence/bundle.h) or brought by the
 * caller (the roots he believes). docs/evidence.md says what each kind proves and what it does not.
 */
#ifndef COMMON_CHAT_JUDGE_H
#define COMMON_CHAT_JUDGE_H

#include "common/chat/id.h"
#include "common/crypto/stamp.h"
#include "common/crypto/x509.h"
#include "common/evidence/bundle.h"
#include "common/evidence/checkpoint.h"
#include "common/evidence/receipt.h"

/* Who said how much of it. */
struct verdict_author {
    struct hash fp;
    char name[CERT_NAME_MAX], device[CERT_NAME_MAX]; /* as his certificate has them: not cleaned */
    size_t messages;
};

/* Who sealed the receipt of a session. */
struct verdict_seal {
    bool here;
    struct receipt_seal seal;
    char name[CERT_NAME_MAX], device[CERT_NAME_MAX]; /* as in his certificate: not cleaned */
};

/* Of a third clock; anybody can be one, so it counts only under a CA that the caller brought. */
enum verdict_stamp { VERDICT_UNSTAMPED, VERDICT_STAMP_UNKNOWN, VERDICT_STAMPED };

struct verdict {
    bool consistent;          /* nothing in it is wrong; worth something when it is anchored too */
    char where[BUNDLE_WHERE]; /* not consistent: the file, and the line or certificate in it */
    struct err why;           /* not consistent: the first thing that is wrong */

    /* What follows is filled in as far as it was found true. */
    enum bundle_kind kind;
    bool anchored;                       /* its root is one that the caller brought */
    struct hash root;                    /* certificate */
    int64_t crl_from, given_from;        /* thisUpdate of the lists, ms; 0: none was given */
    char relay[CERT_NAME_MAX];           /* whose evidence certificate: not cleaned */
    struct checkpoint checkpoint, later; /* later: contradiction; a session has none */
    struct receipt receipt;              /* session */
    struct verdict_seal seals[RECEIPT_ROLE_COUNT];
    enum verdict_stamp stamped; /* messages: the checkpoint's signature; session: receipt.p7s */
    struct time_stamp stamp;
    uint64_t first, last;           /* numbers of the messages */
    size_t withheld;                /* of them without their text */
    struct verdict_author *authors; /* owned; in the order of their first message */
    size_t authors_n;
    /* Of a single message: what its author signed and, unless withheld, its content; of a single
     * line of an audit log that line. Borrowed from the verdict. */
    int64_t sent, received; /* ms: the author's clock, the relay's */
    struct buf content;
};

/* What the caller brings beside the bundle; all of it may be none. */
struct belief {
    const struct span *roots; /* DER of CA certificates */
    size_t roots_n;
    struct span tsa;  /* DER of the CA of time-stamp authorities that he believes */
    struct span crl;  /* DER: a list of the issuer, newer than the one inside; both count */
    struct span flat; /* p not NULL: a transcript that the session inside must be, byte for byte */
};

/* Always fills v; verdict_free in any case. */
void judge_bundle(struct span archive, const struct belief *belief, struct verdict *v);
void verdict_free(struct verdict *v);

#endif
