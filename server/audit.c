/* `countersignd audit`: the audit log, listed, verified and given to others, also while a relay
 * runs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "certs/file.h"
#include "common/chat/json.h"
#include "common/chat/judge.h"
#include "common/util/text.h"
#include "common/util/time.h"
#include "server/books.h"
#include "server/command.h"
#include "server/core/auditor.h"
#include "server/core/ledger.h"
#include "server/identity.h"
#include "server/log.h"

/* --- list --- */

struct listing {
    const struct conf *conf;
    char account[NAME_KEY_MAX]; /* canonical; empty: all */
    int64_t since, until;
    struct err *e;
};

static bool wanted(const struct listing *x, const struct store_audit *row)
{
    char key[NAME_KEY_MAX] = "";

    if (row->time > x->until || (x->conf->event[0] != '\0' && !str_is(row->event, x->conf->event)))
        return false;
    return x->account[0] == '\0' || (row->account.n > 0 && name_canonical(key, row->account) == 0 &&
                                     strcmp(key, x->account) == 0);
}

static void row_text(const struct store_audit *row)
{
    char number[24] = "open", count[32] = "", time[TIME_TEXT], text[TEXT_FORMAT_MAX];

    if (row->number != 0)
        snprintf(number, sizeof number, "%" PRIu64, row->number);
    if (row->folded)
        snprintf(count, sizeof count, "  %" PRIu64 " times in a minute", row->count);
    time_put(time, row->time);
    text_format(text, sizeof text, "%.*s  %.*s  %.*s  %.*s", (int)row->event.n, row->event.p,
                (int)row->account.n, row->account.p, (int)row->reason.n, row->reason.p,
                (int)row->address.n, row->address.p);
    printf("%8s  %s  %s%s\n", number, time, text, count);
}

static int row_json(const struct store_audit *row, struct err *e)
{
    char time[TIME_TEXT], line[AUDIT_LINE_MAX + 1];
    struct buf b;
    int rc;

    buf_init(&b, FRAME_MAX);
    struct jput j = jput_of(&b);
    time_put(time, row->time);
    jput_open(&j, NULL, '{');
    if (row->number != 0)
        jput_u64(&j, "number", row->number);
    else
        jput_null(&j, "number");
    jput_str(&j, "time", str_of(time));
    jput_str(&j, "event", row->event);
    jput_str(&j, "account", row->account);
    jput_str(&j, "fingerprint", row->fp);
    jput_str(&j, "reason", row->reason);
    jput_str(&j, "address", row->address);
    jput_u64(&j, "count", row->count);
    jput_bool(&j, "counted", row->folded);
    if (row->number != 0 && ledger_line(line, row) > 0)
        jput_str(&j, "line", str_of(line));
    jput_close(&j, '}');
    rc = jput_done(&j);
    struct span s = buf_span(&b);
    if (rc == 0)
        printf("%.*s\n", (int)s.n, (const char *)s.p);
    buf_free(&b);
    return rc == 0 ? 0 : err_set(e, ERR_DATA, "a row that is no text: countersignd audit verify");
}

static int row_list(void *ctx, const struct store_audit *row)
{
    const struct listing *x = ctx;

    if (!wanted(x, row))
        return 0;
    if (x->conf->json)
        return row_json(row, x->e);
    row_text(row);
    return 0;
}

static int audit_list(struct call *c, const struct store *s, struct err *e)
{
    struct listing x = {.conf = &c->conf, .until = INT64_MAX, .e = e};

    if (time_option(&x.since, "--since", c->conf.since, false, e) < 0 ||
        time_option(&x.until, "--until", c->conf.until, true, e) < 0)
        return -1;
    if (c->conf.account[0] != '\0' && name_canonical(x.account, str_of(c->conf.account)) < 0)
        return err_set(e, ERR_USAGE, "--account: this is no name");
    return s->ops->audit_each(s->db, x.since, row_list, &x, e) == 0 ? 0 : -1;
}

/* --- whom to believe --- */

/* The authority of this relay, and what it signed the log with. */
struct papers {
    struct ca *ca;
    struct buf crl;
    uint8_t log[ROOM_ID_LEN];
};

static int papers_open(struct papers *p, const struct conf *c, struct err *e)
{
    buf_init(&p->crl, CRL_MAX);
    p->ca = identity_ca(c, e);
    if (p->ca == NULL || ca_crl_read(p->ca, &p->crl, e) < 0)
        return -1;
    audit_log_id(p->log, ca_root(p->ca));
    return 0;
}

static void papers_close(struct papers *p)
{
    ca_free(p->ca);
    buf_free(&p->crl);
}

/* --- checkpoints that the log is held against --- */

struct held {
    const struct store *store;
    const struct papers *papers;
    struct trust *trust;
    struct checkpoint *p;
    size_t n, cap;
    struct err *e;
};

static int held_add(struct held *h, const struct checkpoint *p, struct err *e)
{
    if (memcmp(p->room, h->papers->log, sizeof p->room) != 0)
        return err_set(e, ERR_DATA, "the checkpoint is of another relay's audit log");
    if (h->n == h->cap) {
        size_t cap = h->cap == 0 ? 64 : 2 * h->cap;
        struct checkpoint *more = realloc(h->p, cap * sizeof *more);
        if (more == NULL)
            return err_set(e, ERR_LOCAL, "no memory for checkpoints");
        h->p = more;
        h->cap = cap;
    }
    h->p[h->n++] = *p;
    return 0;
}

/* Its signer's certificate stands in the store, and the root behind it. */
static int signature_check(struct held *h, const struct store_checkpoint *row,
                           const struct checkpoint *p)
{
    struct store_chain chain;
    struct cert_ask ask = {.role = CERT_EVIDENCE, .at = p->time, .now = p->time};
    enum cert_fault why;
    int found = h->store->ops->signer_get(h->store->db, &p->signer, &chain, h->e);

    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(h->e, ERR_DATA, "its signer's certificate is not here");
    const struct span certs[] = {span_of(chain.leaf, chain.leaf_n),
                                 span_of(chain.issuer, chain.issuer_n)};
    struct cert *cert = cert_parse(certs[0], NULL, h->e);
    if (cert == NULL || cert_check(h->trust, certs, COUNT(certs), &ask, &why, h->e) < 0) {
        cert_free(cert);
        h->e->code = ERR_DATA; /* nobody of today is refused */
        return -1;
    }
    bool good =
        cert_verify_sig(cert, span_of(row->text, strlen(row->text)), span_of(row->sig, row->sig_n));
    cert_free(cert);
    return good ? 0 : err_set(h->e, ERR_DATA, "its signature is wrong");
}

static int held_row(void *ctx, const struct store_checkpoint *row)
{
    struct held *h = ctx;
    struct checkpoint p;
    char time[TIME_TEXT];

    time_put(time, row->time);
    if (checkpoint_audit_take(&p, str_of(row->text), h->e) < 0 || signature_check(h, row, &p) < 0 ||
        held_add(h, &p, h->e) < 0)
        return err_in(h->e, "the checkpoint of %s", time);
    return 0;
}

static int by_size(const void *a, const void *b)
{
    const struct checkpoint *x = a, *y = b;

    return (x->tree.size > y->tree.size) - (x->tree.size < y->tree.size);
}

/* --- one that was kept elsewhere --- */

/* Five lines that somebody kept are his own word; a bundle is judged as anybody's. */
static int file_take(const struct papers *p, struct span data, struct checkpoint *out,
                     struct err *e)
{
    const struct span root = ca_root(p->ca);
    const struct belief belief = {.roots = &root, .roots_n = 1};
    struct verdict v;
    int rc = 0;

    if (data.n <= CHECKPOINT_MAX)
        return checkpoint_audit_take(out, str_from(data.p, data.n), e);
    judge_bundle(data, &belief, &v);
    if (!v.consistent)
        rc = err_set(e, ERR_DATA, "%s: %s", v.where, v.why.text);
    else if (v.checkpoint.log != CHECKPOINT_AUDIT)
        rc = err_set(e, ERR_DATA, "no checkpoint of an audit log");
    else
        *out = v.checkpoint;
    verdict_free(&v);
    return rc;
}

/* What is wrong with the file is no word about the log. */
static int not_ours(struct err *e, const char *path)
{
    if (e->code == ERR_DATA)
        e->code = ERR_INPUT;
    return err_in(e, "%s", path);
}

static int held_file(struct held *h, const char *path)
{
    struct checkpoint p;
    struct buf data;
    int rc;

    if (path[0] == '\0')
        return 0;
    buf_init(&data, BUNDLE_MAX);
    if (file_read(path, FILE_PUBLIC, &data, h->e) == 0 &&
        (file_take(h->papers, buf_span(&data), &p, h->e) < 0 || held_add(h, &p, h->e) < 0))
        rc = not_ours(h->e, path);
    else
        rc = h->e->code == ERR_NONE ? 0 : -1;
    buf_free(&data);
    return rc;
}

/* --- verify --- */

static int held_open(struct held *h, const char *path)
{
    const struct store_ops *ops = h->store->ops;
    struct err *e = h->e;

    h->trust = trust_new(TRUST_CRL_OPTIONAL, e);
    if (h->trust == NULL || trust_add_root(h->trust, ca_root(h->papers->ca), e) < 0 ||
        ops->audit_signed_each(h->store->db, held_row, h, e) < 0 || held_file(h, path) < 0)
        return -1;
    if (h->n > 0)
        qsort(h->p, h->n, sizeof *h->p, by_size);
    return 0;
}

static void verified(const struct held *h, const struct auditor *a)
{
    char root[HASH_B64 + 1], time[TIME_TEXT] = "";

    b64_put(root, span_of(a->head.root.b, HASH_LEN));
    puts("VALID");
    printf("rows        %" PRIu64 " in the tree, %" PRIu64 " open; root %s\n", a->rows, a->open,
           root);
    if (h->n > 0)
        time_put(time, h->p[h->n - 1].time);
    printf("checkpoints %zu, the last of %" PRIu64 " rows, signed %s\n", h->n,
           h->n == 0 ? 0 : h->p[h->n - 1].tree.size, h->n == 0 ? "never" : time);
    printf("addresses   %" PRIu64 " still there, as their lines have them\n", a->addresses);
    puts("proves      no row that a checkpoint covers was changed, added, moved or left out since\n"
         "proves not  the rows behind the last checkpoint; that the database is not an older copy\n"
         "            of itself, checkpoints and all: --checkpoint FILE, kept elsewhere, does");
}

/* The checkpoints first: the rows that they cover are there when the rows are read. */
static int audit_verify(struct call *c, const struct store *s, struct err *e)
{
    struct papers papers = {.ca = NULL};
    struct held h = {.store = s, .papers = &papers, .e = e};
    int rc = -1;

    if (papers_open(&papers, &c->conf, e) == 0 && held_open(&h, c->conf.checkpoint) == 0) {
        struct auditor a = {.store = s, .checkpoints = h.p, .checkpoints_n = h.n};
        rc = auditor_run(&a, e);
        if (rc == 0)
            verified(&h, &a);
    }
    if (rc < 0 && e->code == ERR_DATA)
        puts("INVALID");
    free(h.p);
    trust_free(h.trust);
    papers_close(&papers);
    return rc;
}

/* --- export and prove --- */

/* What a bundle of lines is made of. */
struct pack {
    const struct store *store;
    const struct papers *papers;
    uint64_t first, last;
    struct store_checkpoint checkpoint;
    struct store_chain chain; /* of its signer */
    struct buf lines, proof;
    struct err *e;
};

static int pack_row(void *ctx, const struct store_audit *row)
{
    struct pack *p = ctx;
    char line[AUDIT_LINE_MAX + 1];
    size_t n = ledger_line(line, row);

    if (n == 0)
        return err_set(p->e, ERR_DATA, "row %" PRIu64 " has a value that stands in no line",
                       row->number);
    line[n] = '\n';
    return buf_add(&p->lines, line, n + 1) == 0
               ? 0
               : err_set(p->e, ERR_LIMIT, "more than a bundle holds: say --first and --last");
}

/* The newest checkpoint, and which of its rows are wanted. */
static int pack_range(struct pack *p)
{
    const struct store_ops *ops = p->store->ops;
    struct checkpoint c;
    int found = ops->audit_signed(p->store->db, &p->checkpoint, p->e);

    if (found == 0)
        return err_set(p->e, ERR_INPUT, "no checkpoint is signed yet: a running relay signs one");
    if (found < 0 || checkpoint_audit_take(&c, str_of(p->checkpoint.text), p->e) < 0)
        return -1;
    p->last = p->last == 0 ? c.tree.size : p->last;
    if (p->first > p->last || p->last > c.tree.size)
        return err_set(p->e, ERR_INPUT,
                       "the last checkpoint covers the rows 1 to %" PRIu64
                       "; a running relay signs a newer one within a second",
                       c.tree.size);
    if (p->last - p->first >= TRANSCRIPT_MAX)
        return err_set(p->e, ERR_LIMIT, "more than %d rows: say --first and --last",
                       TRANSCRIPT_MAX);
    found = ops->signer_get(p->store->db, &c.signer, &p->chain, p->e);
    if (found == 0)
        return err_set(p->e, ERR_DATA, "the checkpoint's certificate is not here");
    p->checkpoint.size = c.tree.size;
    return found < 0 ? -1 : 0;
}

static int pack_fill(struct pack *p)
{
    struct ledger l = {.store = p->store};
    struct tree_source from = ledger_source(&l);
    struct proof proof;

    return p->store->ops->audit_range(p->store->db, p->first, p->last, pack_row, p, p->e) < 0 ||
                   tree_prove_range(&from, p->checkpoint.size, p->first - 1, p->last, &proof,
                                    p->e) < 0 ||
                   proof_put(&p->proof, (struct hashes){proof.p, proof.n}, p->e) < 0
               ? -1
               : 0;
}

/* Nothing is handed on that its reader would refuse. */
static int pack_judge(const struct pack *p, struct span archive)
{
    const struct span root = ca_root(p->papers->ca);
    const struct belief belief = {.roots = &root, .roots_n = 1};
    struct verdict v;
    int rc = 0;

    judge_bundle(archive, &belief, &v);
    if (!v.consistent)
        rc = err_set(p->e, ERR_DATA, "%s: %s: countersignd audit verify looks closer", v.where,
                     v.why.text);
    verdict_free(&v);
    return rc;
}

static int pack_write(const struct pack *p, const char *path)
{
    const struct store_checkpoint *c = &p->checkpoint;
    struct bundle b = {.kind = BUNDLE_AUDIT,
                       .checkpoint = span_of(c->text, strlen(c->text)),
                       .checkpoint_sig = span_of(c->sig, c->sig_n),
                       .audit = buf_span(&p->lines),
                       .proof = p->proof.len == 0 ? span_of("", 0) : buf_span(&p->proof),
                       .root = ca_root(p->papers->ca),
                       .issuer = span_of(p->chain.issuer, p->chain.issuer_n),
                       .crl = buf_span(&p->papers->crl)};
    struct buf out;
    int rc = -1;

    buf_init(&out, BUNDLE_MAX);
    if (bundle_cert_add(&b, span_of(p->chain.leaf, p->chain.leaf_n), p->e) == 0 &&
        bundle_put(&out, &b, p->e) == 0 && pack_judge(p, buf_span(&out)) == 0 &&
        file_create(path, FILE_PUBLIC, buf_span(&out), p->e) == 0) {
        printf("%s: rows %" PRIu64 " to %" PRIu64 " under a checkpoint of %" PRIu64 "\n", path,
               p->first, p->last, c->size);
        rc = 0;
    }
    bundle_free(&b);
    buf_free(&out);
    return rc;
}

static int audit_pack(struct call *c, const struct store *s, uint64_t first, uint64_t last,
                      struct err *e)
{
    struct papers papers = {.ca = NULL};
    struct pack p = {.store = s, .papers = &papers, .first = first, .last = last, .e = e};
    int rc = -1;

    if (c->conf.output[0] == '\0')
        return err_set(e, ERR_USAGE, "-o FILE says which file to make");
    buf_init(&p.lines, BUNDLE_MAX);
    buf_init(&p.proof, PROOF_MAX * (HASH_B64 + 1));
    if (papers_open(&papers, &c->conf, e) == 0 && pack_range(&p) == 0 && pack_fill(&p) == 0)
        rc = pack_write(&p, c->conf.output);
    buf_free(&p.lines);
    buf_free(&p.proof);
    papers_close(&papers);
    return rc;
}

static int audit_export(struct call *c, const struct store *s, struct err *e)
{
    return audit_pack(c, s, c->conf.first, c->conf.last, e);
}

static int audit_prove(struct call *c, const struct store *s, struct err *e)
{
    uint64_t n;

    if (str_u64(str_of(c->argv[1]), EXACT_INT_MAX, &n) < 0 || n == 0)
        return err_set(e, ERR_USAGE, "a row's number is 1 or more: countersignd audit list");
    return audit_pack(c, s, n, n, e);
}

/* --- the command --- */

static const struct verb {
    const char *name;
    int args;
    int (*run)(struct call *c, const struct store *s, struct err *e);
} verbs[] = {
    {"list", 1, audit_list},
    {"verify", 1, audit_verify},
    {"export", 1, audit_export},
    {"prove", 2, audit_prove},
};

int command_audit(struct call *c, struct err *e)
{
    struct store s;

    for (size_t i = 0; i < COUNT(verbs); i++) {
        if (strcmp(verbs[i].name, c->argv[0]) != 0 || c->argc != verbs[i].args)
            continue;
        if (books_open(&c->conf, STORE_BESIDE, &s, e) < 0)
            return -1;
        int ret = verbs[i].run(c, &s, e);
        store_close(&s);
        return ret;
    }
    return err_set(e, ERR_USAGE,
                   "usage: countersignd audit list | verify | export -o FILE | prove N -o FILE");
}
