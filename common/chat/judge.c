#include "common/chat/judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/chat/entry.h"
#include "common/crypto/cades.h"
#include "common/evidence/audit.h"
#include "common/evidence/transcript.h"

/* An author as far as the transcript was read. */
struct author {
    const struct bundle_cert *of;
    struct cert *cert;  /* owned; NULL: no message by this certificate yet */
    struct pubkey *key; /* owned: what is in it, with what its first check works out */
    struct entry_chain chain;
    int64_t least, most; /* relay times of his messages */
    size_t messages;
    size_t rank; /* how many authors spoke before him */
};

/* A line, and whose it is. */
struct said {
    struct hash line;
    const struct author *by;
};

struct judge {
    struct bundle b;
    struct verdict *v;
    struct trust *trust;       /* with the list inside */
    struct span tsa;           /* CA of time-stamp authorities; empty: none is believed */
    struct trust *given;       /* with the one that the caller brought; NULL: none */
    int64_t crl_until;         /* nextUpdate of the list inside, ms */
    uint8_t room[ROOM_ID_LEN]; /* where all was said, */
    int64_t until;             /* until when */
    struct author *authors;    /* one for each certificate of the bundle, in its order */
    size_t authors_n;          /* who have spoken */
    struct hash *leaves;       /* of the messages */
    struct said *lines;        /* what a later line's prev may be */
    struct hash *heads;        /* behind each message, [0] before the first */
    bool headed;               /* they are true: the one before the first is known */
    size_t n, cap;
};

static void where(struct judge *j, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* What is looked at now: if it fails, that is where. */
static void where(struct judge *j, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(j->v->where, sizeof j->v->where, fmt, ap);
    va_end(ap);
}

static int wrong(struct judge *j, const char *why)
{
    return err_set(&j->v->why, ERR_DATA, "%s", why);
}

/* --- whom to believe --- */

/* What an anchor says of itself is nobody's word, but a root that was changed is not the one. */
static int root_check(struct judge *j)
{
    struct cert *root = cert_parse(j->b.root, NULL, &j->v->why);

    if (root == NULL)
        return -1;
    bool good = cert_signed_itself(root);
    cert_free(root);
    return good ? 0 : wrong(j, "its own signature does not verify");
}

/* Reads a list and has t count it; only the issuer's is any use. */
static int list_take(struct judge *j, struct trust *t, struct span der, struct crl_info *info)
{
    struct err *e = &j->v->why;
    struct cert_info issuer;
    struct crl *crl = crl_parse(der, e);

    if (crl == NULL)
        return -1;
    crl_info(crl, info);
    crl_free(crl);
    struct cert *ca = cert_parse(j->b.issuer, NULL, e);
    if (ca == NULL)
        return -1;
    cert_info(ca, &issuer);
    cert_free(ca);
    if (strcmp(info->issuer, issuer.subject) != 0)
        return wrong(j, "the issuer did not sign this revocation list");
    return trust_add_crl(t, der, e);
}

static int trust_make(struct judge *j)
{
    struct err *e = &j->v->why;
    struct crl_info info;

    j->trust = trust_new(TRUST_CRL_LEAF, e);
    if (j->trust == NULL)
        return -1;
    where(j, "root.der");
    if (trust_add_root(j->trust, j->b.root, e) < 0 || root_check(j) < 0)
        return -1;
    where(j, "issuer.der");
    if (trust_add_intermediate(j->trust, j->b.issuer, e) < 0)
        return -1;
    where(j, "crl.der");
    if (list_take(j, j->trust, j->b.crl, &info) < 0)
        return -1;
    j->v->crl_from = info.this_update;
    j->crl_until = info.next_update;
    return 0;
}

/* The other list that the caller brought, if any. It must be the same issuer's. */
static int given_take(struct judge *j, struct span der)
{
    struct err *e = &j->v->why;
    struct crl_info info;

    if (der.n == 0)
        return 0;
    where(j, "the list that was given");
    j->given = trust_new(TRUST_CRL_LEAF, e);
    if (j->given == NULL || trust_add_root(j->given, j->b.root, e) < 0 ||
        trust_add_intermediate(j->given, j->b.issuer, e) < 0)
        return -1;
    if (list_take(j, j->given, der, &info) < 0)
        return -1;
    j->v->given_from = info.this_update;
    return 0;
}

/* A root that the caller brought must be the bundle's; without one it is only named. */
static int anchor_check(struct judge *j, const struct span *roots, size_t n)
{
    where(j, "root.der");
    cert_fingerprint(j->b.root, &j->v->root);
    for (size_t i = 0; i < n; i++)
        if (span_same(roots[i], j->b.root))
            j->v->anchored = true;
    return j->v->anchored || n == 0 ? 0 : wrong(j, "not the CA that was given");
}

/* The full check of a certificate at a time. The list is younger than what was signed, or was still
 * good then (checkpoint_judge): it goes on naming what was revoked before. */
static int cert_judge(struct judge *j, const struct bundle_cert *c, enum cert_role role, int64_t at)
{
    struct cert_ask ask = {.role = role, .at = at, .now = j->v->crl_from};
    enum cert_fault why;

    if (cert_check(j->trust, &c->der, 1, &ask, &why, &j->v->why) < 0)
        return -1;
    ask.now = j->v->given_from;
    return j->given == NULL ? 0 : cert_check(j->given, &c->der, 1, &ask, &why, &j->v->why);
}

/* --- a checkpoint --- */

struct signed_text {
    const char *name, *sig_name;
    struct span text, sig;
};

static int checkpoint_read(struct judge *j, struct span text, struct checkpoint *out)
{
    struct str s = str_from(text.p, text.n);
    uint8_t log[ROOM_ID_LEN];

    if (j->b.kind != BUNDLE_AUDIT)
        return checkpoint_take(out, s, &j->v->why);
    if (checkpoint_audit_take(out, s, &j->v->why) < 0)
        return -1;
    audit_log_id(log, j->b.root);
    return memcmp(out->room, log, sizeof log) == 0
               ? 0
               : wrong(j, "line 1: the audit log of a relay under another root");
}

static int checkpoint_judge(struct judge *j, const struct signed_text *s, struct checkpoint *out)
{
    struct err *e = &j->v->why;
    char hex[2 * HASH_LEN + 1];
    struct cert_info info;

    where(j, "%s", s->name);
    if (checkpoint_read(j, s->text, out) < 0)
        return -1;
    const struct bundle_cert *c = bundle_cert(&j->b, &out->signer);
    if (c == NULL)
        return wrong(j, "its signer's certificate is not here");
    where(j, "crl.der");
    if (out->time > j->crl_until)
        return wrong(j, "the revocation list was out of date when the checkpoint was signed");
    hex_put(hex, span_of(c->fp.b, HASH_LEN));
    where(j, "certs/%s.der", hex);
    struct cert *cert = cert_parse(c->der, NULL, e);
    if (cert == NULL)
        return -1;
    cert_info(cert, &info);
    memcpy(j->v->relay, info.cn, sizeof j->v->relay);
    int rc = cert_judge(j, c, CERT_EVIDENCE, out->time);
    if (rc == 0) {
        where(j, "%s", s->sig_name);
        rc = cert_verify_sig(cert, s->text, s->sig) ? 0 : wrong(j, "the signature is wrong");
    }
    cert_free(cert);
    return rc;
}

static int first_checkpoint(struct judge *j)
{
    const struct signed_text s = {"checkpoint.txt", "checkpoint.sig", j->b.checkpoint,
                                  j->b.checkpoint_sig};
    return checkpoint_judge(j, &s, &j->v->checkpoint);
}

/* --- a third clock --- */

/* reply, in the file of that name, says when data was there. Nothing but its length is asked where
 * no authority is believed. */
static int stamp_judge(struct judge *j, const char *name, struct span reply, struct span data)
{
    struct stamp_ask ask = {.root = j->tsa};

    if (reply.n == 0)
        return 0;
    where(j, "%s", name);
    if (reply.n > TSR_MAX)
        return wrong(j, "too big");
    j->v->stamped = VERDICT_STAMP_UNKNOWN;
    if (j->tsa.n == 0)
        return 0;
    sha256(data, &ask.data);
    if (stamp_check(reply, &ask, &j->v->stamp, &j->v->why) < 0)
        return -1;
    j->v->stamped = VERDICT_STAMPED;
    return 0;
}

/* --- messages --- */

static bool grow(struct hash **p, size_t cap)
{
    struct hash *more = realloc(*p, cap * sizeof **p);

    if (more != NULL)
        *p = more;
    return more != NULL;
}

static bool lines_grow(struct judge *j, size_t cap)
{
    struct said *more = realloc(j->lines, cap * sizeof *more);

    if (more != NULL)
        j->lines = more;
    return more != NULL;
}

/* One more message, and the head before the first, fit all three lists. */
static int room_make(struct judge *j)
{
    size_t cap = j->cap == 0 ? 64 : j->cap * 2;

    if (j->n == TRANSCRIPT_MAX)
        return wrong(j, "too many lines");
    if (j->n + 1 < j->cap)
        return 0;
    if (!grow(&j->leaves, cap) || !lines_grow(j, cap) || !grow(&j->heads, cap))
        return err_set(&j->v->why, ERR_LOCAL, "no memory");
    j->cap = cap;
    return 0;
}

/* A certificate that cannot be read is wrong itself, not the line that names it. */
static int author_read(struct judge *j, struct author *a)
{
    char hex[2 * HASH_LEN + 1];

    hex_put(hex, span_of(a->of->fp.b, HASH_LEN));
    where(j, "certs/%s.der", hex);
    a->cert = cert_parse(a->of->der, NULL, &j->v->why);
    if (a->cert == NULL)
        return -1;
    a->key = pubkey_parse(cert_spki(a->cert), &j->v->why);
    if (a->key == NULL)
        return -1;
    where(j, "transcript.txt line %zu", j->n + 1);
    return 0;
}

static int author_find(struct judge *j, const struct transcript *t, struct author **out)
{
    const struct bundle_cert *c = bundle_cert(&j->b, &t->author);

    if (c == NULL)
        return wrong(j, "its author's certificate is not here");
    *out = &j->authors[c - j->b.certs];
    if ((*out)->cert != NULL)
        return 0;
    **out = (struct author){.of = c, .least = t->time, .most = t->time, .rank = j->authors_n++};
    return author_read(j, *out);
}

/* Whose the line before is; NULL: it is not in the bundle. */
static const struct author *line_author(const struct judge *j, const struct hash *line)
{
    for (size_t i = 0; i < j->n; i++)
        if (hash_same(&j->lines[i].line, line))
            return j->lines[i].by;
    return NULL;
}

/* Devices of one account have its name in their subject. */
static bool account_same(const struct author *a, const struct author *b)
{
    struct cert_info x, y;

    cert_info(a->cert, &x);
    cert_info(b->cert, &y);
    return strcmp(x.cn, y.cn) == 0;
}

/* An author's first line in a bundle: what it follows is known only from the room's beginning on,
 * and there it is nothing, or a line of another device of his. */
static int chain_begin(struct judge *j, const struct author *a, const struct entry_line *l)
{
    static const struct hash none;
    const struct author *before;

    if (j->v->first > 1)
        return 0;
    if (l->seq != 1)
        return wrong(j, "a message of this author before this one is missing");
    if (hash_same(&l->prev, &none))
        return 0;
    before = line_author(j, &l->prev);
    if (before == NULL)
        return wrong(j, "prev is no line before this one");
    return account_same(a, before) ? 0 : wrong(j, "prev is a line of another account");
}

static int chain_check(struct judge *j, struct author *a, const struct entry_line *l,
                       const struct hash *line)
{
    int rc = 0;

    if (a->messages == 0)
        rc = chain_begin(j, a, l);
    else if (entry_order(&a->chain, l, line, &j->v->why) != ENTRY_NEXT)
        rc = wrong(j, "the author's messages do not follow each other");
    entry_chain_step(&a->chain, l, line);
    return rc;
}

/* What the author had seen, where the bundle says it too. */
static int seen_check(struct judge *j, const struct entry_line *l, uint64_t number)
{
    uint64_t before = j->v->first - 1;
    bool here = j->headed && l->seen_number >= before && l->seen_number < number;

    return entry_seen_check(l, number, here ? &j->heads[l->seen_number - before] : NULL,
                            &j->v->why);
}

static int body_check(struct judge *j, const struct transcript *t, const struct entry_line *l)
{
    struct span content;

    if (t->body.p == NULL) {
        j->v->withheld++;
        return 0;
    }
    if (entry_body_open(l, t->body, &content, &j->v->why) < 0)
        return -1;
    if (j->n > 0) /* shown only of a message that is alone: see verdict_fill */
        return 0;
    return buf_add(&j->v->content, content.p, content.n) == 0
               ? 0
               : err_set(&j->v->why, ERR_LOCAL, "no memory");
}

static void author_spoke(struct author *a, int64_t time)
{
    a->messages++;
    a->least = time < a->least ? time : a->least;
    a->most = time > a->most ? time : a->most;
}

/* The relay took it before it was signed for, and takes nothing from the future. */
static int times_check(struct judge *j, const struct transcript *t, const struct entry_line *l)
{
    if (t->time > j->until)
        return wrong(j, "ts: received after it was signed for");
    if (l->ts > t->time + TS_FUTURE_MS)
        return wrong(j, "entry: signed by a clock too far ahead of the relay's");
    return 0;
}

static int message_judge(struct judge *j, const struct transcript *t)
{
    struct err *e = &j->v->why;
    struct author *a = NULL;
    struct entry_line l;
    struct hash line;

    if (room_make(j) < 0 || entry_line_take(&l, t->line, e) < 0 || author_find(j, t, &a) < 0 ||
        entry_key_check(a->key, &a->of->fp, &l, t->line, span_of(t->sig, t->sig_n), e) < 0)
        return -1;
    if (l.epoch != 0)
        return wrong(j, "an epoch that this version does not know");
    if (!span_same(span_of(l.room.b, sizeof l.room.b), span_of(j->room, sizeof j->room)))
        return wrong(j, "written for another room");
    entry_line_hash(t->line, &line);
    if (times_check(j, t, &l) < 0)
        return -1;
    if (chain_check(j, a, &l, &line) < 0 || seen_check(j, &l, t->number) < 0 ||
        body_check(j, t, &l) < 0)
        return -1;
    author_spoke(a, t->time);
    j->v->sent = l.ts;
    j->v->received = t->time;
    transcript_leaf(&j->leaves[j->n], t->line, t->time);
    j->lines[j->n] = (struct said){line, a};
    j->heads[j->n + 1] = j->heads[j->n];
    entry_head_next(&j->heads[j->n + 1], t->line, t->time);
    j->n++;
    return 0;
}

static int message_next(struct judge *j, const struct transcript *t)
{
    if (j->n == 0) {
        j->v->first = t->number;
        if (room_make(j) < 0)
            return -1;
        j->heads[0] = j->v->receipt.base; /* zeros where there is no receipt */
        j->headed = j->headed || t->number == 1;
    } else if (t->number != j->v->last + 1) {
        return wrong(j, "seqno: the numbers have a gap");
    }
    j->v->last = t->number;
    return message_judge(j, t);
}

static int transcript_judge(struct judge *j)
{
    struct err *e = &j->v->why;
    struct transcript t;
    int rc;

    j->authors = calloc(j->b.certs_n + 1, sizeof *j->authors);
    if (j->authors == NULL)
        return err_set(e, ERR_LOCAL, "no memory");
    where(j, "transcript.txt");
    if (transcript_open(&t, str_from(j->b.transcript.p, j->b.transcript.n), e) < 0)
        return -1;
    do {
        where(j, "transcript.txt line %zu", j->n + 1);
        rc = transcript_next(&t, e);
    } while (rc == 1 && (rc = message_next(j, &t)) == 0);
    if (rc == 0 && j->n == 0)
        rc = wrong(j, "no message at all");
    transcript_close(&t);
    return rc;
}

/* Whoever signed the whole, not a message in it. */
static bool is_signer(const struct judge *j, const struct hash *fp)
{
    const struct verdict *v = j->v;

    if (v->kind != BUNDLE_SESSION)
        return hash_same(fp, &v->checkpoint.signer);
    for (size_t i = 0; i < RECEIPT_ROLE_COUNT; i++)
        if (v->seals[i].here && hash_same(fp, &v->seals[i].seal.signer))
            return true;
    return false;
}

/* All conditions on a certificate hold in an interval, so the ends are enough. Every certificate of
 * the bundle must have been needed. */
static int authors_judge(struct judge *j)
{
    char hex[2 * HASH_LEN + 1];

    for (size_t i = 0; i < j->b.certs_n; i++) {
        const struct author *a = &j->authors[i];
        hex_put(hex, span_of(j->b.certs[i].fp.b, HASH_LEN));
        where(j, "certs/%s.der", hex);
        if (a->cert == NULL) {
            if (is_signer(j, &j->b.certs[i].fp))
                continue;
            return wrong(j, "a certificate that nobody refers to");
        }
        if (cert_judge(j, a->of, CERT_DEVICE, a->least) < 0 ||
            cert_judge(j, a->of, CERT_DEVICE, a->most) < 0)
            return -1;
    }
    return 0;
}

static int tree_judge(struct judge *j)
{
    struct hash proof[PROOF_MAX];
    struct merkle_range r = {.size = j->v->checkpoint.tree.size,
                             .first = j->v->first - 1,
                             .leaves = {j->leaves, j->n},
                             .proof = {proof, 0}};

    where(j, "proof.txt");
    if (proof_take(proof, &r.proof.n, j->b.proof, &j->v->why) < 0)
        return -1;
    return merkle_range_check(&r, &j->v->checkpoint.tree.root)
               ? 0
               : wrong(j, "the lines do not lead to the root of the checkpoint");
}

static int verdict_fill(struct judge *j)
{
    struct cert_info info;

    if (j->n > 1)
        buf_cut(&j->v->content, 0);
    j->v->authors = calloc(j->authors_n, sizeof *j->v->authors);
    if (j->v->authors == NULL)
        return err_set(&j->v->why, ERR_LOCAL, "no memory");
    j->v->authors_n = j->authors_n;
    for (size_t i = 0; i < j->b.certs_n; i++) {
        const struct author *a = &j->authors[i];
        if (a->cert == NULL)
            continue;
        struct verdict_author *out = &j->v->authors[a->rank];
        cert_info(a->cert, &info);
        out->fp = a->of->fp;
        out->messages = a->messages;
        memcpy(out->name, info.cn, sizeof out->name);
        memcpy(out->device, info.ou, sizeof out->device);
    }
    return 0;
}

static int messages_judge(struct judge *j)
{
    if (first_checkpoint(j) < 0 ||
        stamp_judge(j, "checkpoint.tsr", j->b.checkpoint_tsr, j->b.checkpoint_sig) < 0)
        return -1;
    memcpy(j->room, j->v->checkpoint.room, sizeof j->room);
    j->until = j->v->checkpoint.time;
    return transcript_judge(j) < 0 || authors_judge(j) < 0 || tree_judge(j) < 0 ||
                   verdict_fill(j) < 0
               ? -1
               : 0;
}

/* --- a session --- */

/* A seal of a receipt: whose it must be, and where it stands. */
struct sealed {
    enum cert_role role;
    size_t text, sig; /* in struct bundle */
};

static const struct sealed sealed[RECEIPT_ROLE_COUNT] = {
    [RECEIPT_CLIENT] = {CERT_DEVICE, offsetof(struct bundle, client),
                        offsetof(struct bundle, client_sig)},
    [RECEIPT_RELAY] = {CERT_EVIDENCE, offsetof(struct bundle, relay),
                       offsetof(struct bundle, relay_sig)},
    [RECEIPT_MEMBER] = {CERT_DEVICE, offsetof(struct bundle, member),
                        offsetof(struct bundle, member_sig)},
};

static struct span file_at(const struct bundle *b, size_t at)
{
    struct span s;

    memcpy(&s, (const char *)b + at, sizeof s);
    return s;
}

/* Is it the seal of whom the receipt is about? */
static int seal_fits(struct judge *j, const struct receipt_seal *s, enum receipt_role role)
{
    const struct receipt *r = &j->v->receipt;

    if (s->role != role)
        return wrong(j, "line 1: role");
    if (role == RECEIPT_CLIENT && !hash_same(&s->signer, &r->signer))
        return wrong(j, "not the signer that the receipt names");
    if (role == RECEIPT_CLIENT && s->time != r->created)
        return wrong(j, "not the time at which the receipt was created");
    if (s->time > j->crl_until) {
        where(j, "crl.der");
        return wrong(j, "the revocation list was out of date when the receipt was signed");
    }
    return 0;
}

/* The other member of a room is another person. */
static int seal_stranger(struct judge *j, const struct verdict_seal *s, enum receipt_role role)
{
    return role != RECEIPT_MEMBER || strcmp(s->name, j->v->seals[RECEIPT_CLIENT].name) != 0
               ? 0
               : wrong(j, "the other member is the client's own account");
}

static int seal_signed(struct judge *j, struct verdict_seal *s, enum receipt_role role)
{
    struct span text = file_at(&j->b, sealed[role].text), sig = file_at(&j->b, sealed[role].sig);
    const struct bundle_cert *c = bundle_cert(&j->b, &s->seal.signer);
    struct receipt_signed all;
    char hex[2 * HASH_LEN + 1];
    struct cert_info info;

    if (c == NULL)
        return wrong(j, "its signer's certificate is not here");
    hex_put(hex, span_of(c->fp.b, HASH_LEN));
    where(j, "certs/%s.der", hex);
    struct cert *cert = cert_parse(c->der, NULL, &j->v->why);
    if (cert == NULL)
        return -1;
    cert_info(cert, &info);
    memcpy(s->name, info.cn, sizeof s->name);
    memcpy(s->device, info.ou, sizeof s->device);
    int rc = cert_judge(j, c, sealed[role].role, s->seal.time);
    if (rc == 0) {
        where(j, "%s.sig", receipt_role_word(role));
        rc = receipt_signed_make(&all, str_from(j->b.receipt.p, j->b.receipt.n),
                                 str_from(text.p, text.n)) == 0 &&
                     cert_verify_sig(cert, span_of(all.b, all.n), sig)
                 ? seal_stranger(j, s, role)
                 : wrong(j, "the signature is wrong");
    }
    cert_free(cert);
    return rc;
}

/* Who has not sealed it has two empty files; the client always has. */
static int seal_judge(struct judge *j, enum receipt_role role)
{
    struct span text = file_at(&j->b, sealed[role].text), sig = file_at(&j->b, sealed[role].sig);
    struct verdict_seal *s = &j->v->seals[role];

    if (text.n == 0 && sig.n == 0 && role != RECEIPT_CLIENT)
        return 0;
    where(j, "%s.txt", receipt_role_word(role));
    if (receipt_seal_take(&s->seal, str_from(text.p, text.n), &j->v->why) < 0 ||
        seal_fits(j, &s->seal, role) < 0 || seal_signed(j, s, role) < 0)
        return -1;
    s->here = true;
    j->until = s->seal.time < j->until ? s->seal.time : j->until;
    return 0;
}

/* The client's signature of the receipt as CMS, for others' programs: what his seal says, again. */
static int cades_judge(struct judge *j)
{
    const struct receipt_seal *s = &j->v->seals[RECEIPT_CLIENT].seal;
    const struct cades c = {.content = j->b.receipt,
                            .signer = bundle_cert(&j->b, &s->signer)->der,
                            .issuer = j->b.issuer,
                            .time = s->time};

    where(j, "receipt.p7s");
    return cades_check(&c, j->b.receipt_p7s, &j->v->why);
}

/* Is the transcript what the receipt is about, from its first line to its last? */
static int covered(struct judge *j)
{
    const struct receipt *r = &j->v->receipt;

    where(j, "transcript.txt");
    if (j->v->first != r->first)
        return wrong(j, "line 1 is not the first entry of the receipt");
    if (j->v->last != r->last)
        return wrong(j, "the last line is not the last entry of the receipt");
    where(j, "receipt.txt");
    return hash_same(&j->heads[j->n], &r->head)
               ? 0
               : wrong(j, "transcript_hash: the entries do not lead to it");
}

/* The file that was handed over beside the bundle, and which line of it is another. */
static int flat_same(struct judge *j, struct span flat)
{
    struct str a = str_from(flat.p, flat.n), b = str_from(j->b.transcript.p, j->b.transcript.n);
    size_t line = 1;

    if (flat.p == NULL)
        return 0;
    where(j, "bundle");
    if (j->b.kind != BUNDLE_SESSION)
        return wrong(j, "no receipt of a session stands beside the transcript");
    if (str_same(a, b))
        return 0;
    while (a.p != NULL && b.p != NULL && str_same(str_cut(&a, '\n'), str_cut(&b, '\n')))
        line++;
    where(j, "the transcript line %zu", line);
    return wrong(j, "not what was sealed");
}

static int session_judge(struct judge *j)
{
    struct receipt *r = &j->v->receipt;

    where(j, "receipt.txt");
    if (receipt_take(r, str_from(j->b.receipt.p, j->b.receipt.n), &j->v->why) < 0)
        return -1;
    j->until = INT64_MAX;
    for (size_t i = 0; i < RECEIPT_ROLE_COUNT; i++)
        if (seal_judge(j, (enum receipt_role)i) < 0)
            return -1;
    if (cades_judge(j) < 0 || stamp_judge(j, "receipt.tsr", j->b.receipt_tsr, j->b.receipt_p7s) < 0)
        return -1;
    memcpy(j->room, r->room, sizeof j->room);
    j->headed = true;
    return transcript_judge(j) < 0 || covered(j) < 0 || authors_judge(j) < 0 || verdict_fill(j) < 0
               ? -1
               : 0;
}

/* --- a contradiction --- */

/* Of the two signers, which may be one. */
static int signers_only(struct judge *j)
{
    char hex[2 * HASH_LEN + 1];

    for (size_t i = 0; i < j->b.certs_n; i++) {
        const struct hash *fp = &j->b.certs[i].fp;
        hex_put(hex, span_of(fp->b, HASH_LEN));
        where(j, "certs/%s.der", hex);
        if (!hash_same(fp, &j->v->checkpoint.signer) && !hash_same(fp, &j->v->later.signer))
            return wrong(j, "a certificate that nobody refers to");
    }
    return 0;
}

/* The first hash of the proof is the root that the later tree had at the earlier one's size; the
 * others prove that. It contradicts when the relay has signed another root for that size. */
static int contradiction_judge(struct judge *j)
{
    const struct signed_text s = {"later.txt", "later.sig", j->b.later, j->b.later_sig};
    const struct checkpoint *was = &j->v->checkpoint, *is = &j->v->later;
    struct hash proof[PROOF_MAX];
    size_t n;

    if (first_checkpoint(j) < 0 || checkpoint_judge(j, &s, &j->v->later) < 0)
        return -1;
    where(j, "later.txt");
    if (!span_same(span_of(was->room, sizeof was->room), span_of(is->room, sizeof is->room)))
        return wrong(j, "a checkpoint of another room");
    where(j, "proof.txt");
    if (proof_take(proof, &n, j->b.proof, &j->v->why) < 0)
        return -1;
    if (n == 0)
        return wrong(j, "no root to begin with");
    struct merkle_head then = {was->tree.size, proof[0]};
    if (!merkle_consistent(&then, &is->tree, (struct hashes){proof + 1, n - 1}))
        return wrong(j, "the later tree did not begin with this root");
    if (hash_same(&then.root, &was->tree.root))
        return wrong(j, "the two checkpoints agree");
    return signers_only(j);
}

/* --- lines of an audit log --- */

static int audit_next(struct judge *j, struct str line)
{
    char scratch[AUDIT_LINE_MAX];
    struct audit_line l;

    if (room_make(j) < 0 || audit_line_take(&l, line, scratch, &j->v->why) < 0)
        return -1;
    if (j->n == 0)
        j->v->first = l.number;
    else if (l.number != j->v->last + 1)
        return wrong(j, "number: the numbers have a gap");
    if (l.time > j->v->checkpoint.time)
        return wrong(j, "time: written after it was signed for");
    j->v->last = l.number;
    audit_leaf(&j->leaves[j->n++], line);
    return 0;
}

static int audit_lines_judge(struct judge *j)
{
    struct str rest = str_from(j->b.audit.p, j->b.audit.n);

    do {
        where(j, "audit.txt line %zu", j->n + 1);
        struct str line = str_cut(&rest, '\n');
        if (rest.p == NULL)
            return wrong(j, "cut off: no line feed at the end");
        if (audit_next(j, line) < 0)
            return -1;
    } while (rest.n > 0);
    return 0;
}

static int audit_judge(struct judge *j)
{
    if (first_checkpoint(j) < 0 || audit_lines_judge(j) < 0 || signers_only(j) < 0 ||
        tree_judge(j) < 0)
        return -1;
    return j->n > 1 || buf_add(&j->v->content, j->b.audit.p, j->b.audit.n - 1) == 0
               ? 0
               : err_set(&j->v->why, ERR_LOCAL, "no memory");
}

/* --- all of it --- */

static int judge_all(struct judge *j, struct span archive, const struct belief *belief)
{
    static int (*const kinds[BUNDLE_KIND_COUNT])(struct judge * j) = {
        [BUNDLE_MESSAGES] = messages_judge,
        [BUNDLE_SESSION] = session_judge,
        [BUNDLE_CONTRADICTION] = contradiction_judge,
        [BUNDLE_AUDIT] = audit_judge,
    };

    if (archive.n > BUNDLE_MAX)
        return wrong(j, "too big");
    if (bundle_take(&j->b, archive, j->v->where, &j->v->why) < 0)
        return -1;
    j->v->kind = j->b.kind;
    return trust_make(j) < 0 || anchor_check(j, belief->roots, belief->roots_n) < 0 ||
                   given_take(j, belief->crl) < 0 || flat_same(j, belief->flat) < 0 ||
                   kinds[j->b.kind](j) < 0
               ? -1
               : 0;
}

void judge_bundle(struct span archive, const struct belief *belief, struct verdict *v)
{
    struct judge j = {.v = v, .tsa = belief->tsa};

    *v = (struct verdict){0};
    buf_init(&v->content, CONTENT_MAX);
    where(&j, "bundle");
    v->consistent = judge_all(&j, archive, belief) == 0;
    if (v->consistent)
        v->where[0] = '\0';
    for (size_t i = 0; j.authors != NULL && i < j.b.certs_n; i++) {
        cert_free(j.authors[i].cert);
        pubkey_free(j.authors[i].key);
    }
    free(j.authors);
    free(j.leaves);
    free(j.lines);
    free(j.heads);
    trust_free(j.trust);
    trust_free(j.given);
    bundle_free(&j.b);
}

void verdict_free(struct verdict *v)
{
    free(v->authors);
    buf_free(&v->content);
    *v = (struct verdict){0};
}
