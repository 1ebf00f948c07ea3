/* The audit log: what happened, who did it, by which certificate, from where. Rows join its tree as
 * they come, those in which strangers are counted when their minute is over; a checkpoint is signed
 * at most once a turn, of what is on disk. Addresses leave it after some days, lines never. */
#include "server/core/core_inner.h"

#include <string.h>

#include "common/evidence/checkpoint.h"
#include "common/util/time.h"

/* --- rows --- */

static int64_t minute_of(int64_t time)
{
    return time - time % AUDIT_SPAN_MS;
}

/* Strangers are counted by network, and those from everywhere at once share a row when there are
 * too many in one minute. */
static const char *source_of(struct core *c, const struct audit_note *n, char net[SOURCE_MAX + 1])
{
    if (!n->folded)
        return n->source;
    source_net(net, n->source);
    if (minute_of(c->now) != c->audit.minute) {
        c->audit.minute = minute_of(c->now);
        c->audit.rows = 0;
    }
    return ++c->audit.rows > AUDIT_SOURCES_MAX ? "*" : net;
}

void core_audit(struct core *c, const struct audit_note *n)
{
    char fp[2 * HASH_LEN + 1] = "", net[SOURCE_MAX + 1];

    if (n->fp != NULL)
        hex_put(fp, span_of(n->fp->b, sizeof n->fp->b));
    struct store_audit row = {.event = str_of(n->event),
                              .account = str_of(n->account == NULL ? "" : n->account->row.name),
                              .fp = str_of(fp),
                              .reason = str_of(n->reason),
                              .address = str_of(source_of(c, n, net)),
                              .time = c->now,
                              .count = 1,
                              .folded = n->folded};
    (void)core_stored(c, ledger_add(&c->audit.ledger, &row, &c->failed));
}

/* --- checkpoints --- */

static int checkpoint_keep(struct core *c, const struct signing *g, struct span sig)
{
    struct store_checkpoint row = {.sig_n = sig.n};
    struct checkpoint p;
    struct err e = {0};

    if (sig.n == 0 || sig.n > sizeof row.sig ||
        checkpoint_audit_take(&p, str_from(g->text->b, g->text->n), &e) < 0)
        return 0;
    memcpy(row.room.b, p.room, sizeof row.room.b);
    row.size = p.tree.size;
    row.time = p.time;
    row.signer = p.signer;
    memcpy(row.text, g->text->b, g->text->n);
    memcpy(row.sig, sig.p, sig.n);
    if (STORE(c, audit_sign, &row) < 0)
        return -1;
    c->audit.covered = p.tree.size;
    c->audit.latest = p.time;
    return 1;
}

/* The time is never before that of a row below it or of the checkpoint before. */
static int64_t checkpoint_time(struct core *c)
{
    int64_t latest = 0;

    (void)STORE(c, audit_latest, c->audit.covered, &latest);
    if (latest < c->audit.latest)
        latest = c->audit.latest;
    return c->now > latest ? c->now : latest;
}

static signing_done checkpoint_done;

static void checkpoint_sign(struct core *c)
{
    struct audit *a = &c->audit;
    char text[CHECKPOINT_MAX + 1];

    if (!c->signs || a->signing || core_stored(c, ledger_look(&a->ledger, &c->failed)) < 0 ||
        a->ledger.tree.size <= a->covered)
        return;
    struct checkpoint p = {.log = CHECKPOINT_AUDIT,
                           .tree = tree_head(&a->ledger.tree),
                           .time = checkpoint_time(c),
                           .signer = c->signer};
    memcpy(p.room, a->log, sizeof p.room);
    a->signing = core_sign(c, span_of(text, checkpoint_put(text, &p)), checkpoint_done) != NULL;
    if (!a->signing)
        core_fail(c, &(struct err){0});
}

/* Without a signature the next turn tries again; at the end there is none, but what was closed
 * while this one was made is to have one too. */
static void checkpoint_done(struct core *c, const struct signing *g, struct span sig)
{
    c->audit.signing = false;
    if (checkpoint_keep(c, g, sig) == 1 && c->audit.ending)
        checkpoint_sign(c);
}

/* --- turns --- */

static void rows_close(struct core *c, int64_t minute)
{
    (void)core_stored(c, ledger_close(&c->audit.ledger, minute, &c->failed));
}

void audit_turn(struct core *c)
{
    int64_t days = c->conf.audit_days == 0 ? AUDIT_DAYS : c->conf.audit_days;

    rows_close(c, minute_of(c->now));
    (void)core_stored(c, ledger_forget(&c->audit.ledger, c->now - days * DAY_MS, &c->failed));
    checkpoint_sign(c);
}

void audit_end(struct core *c)
{
    c->audit.ending = true;
    rows_close(c, -1);
    checkpoint_sign(c);
}

/* --- loading --- */

/* A log that does not lead to what was signed of it must not be signed again: it would be two
 * histories under one name. */
static int log_leads(struct core *c, const struct store_checkpoint *last)
{
    struct tree_source from = ledger_source(&c->audit.ledger);
    struct checkpoint p;
    struct tree t;
    struct err e = {0};

    if (checkpoint_audit_take(&p, str_of(last->text), &e) == 0 &&
        memcmp(p.room, c->audit.log, sizeof p.room) == 0 &&
        p.tree.size <= c->audit.ledger.tree.size && tree_at(&from, p.tree.size, &t, &e) == 0) {
        struct merkle_head is = tree_head(&t);
        if (hash_same(&is.root, &p.tree.root)) {
            c->audit.covered = p.tree.size;
            c->audit.latest = p.time;
            return 0;
        }
    }
    if (e.code != ERR_NONE && e.code != ERR_DATA) { /* it could not be read */
        c->failed = e;
        return -1;
    }
    return err_set(&c->failed, ERR_DATA,
                   "the audit log is not the one that was signed: countersignd audit verify says "
                   "where; bring back a copy");
}

int audit_load(struct core *c)
{
    struct store_checkpoint last;

    if (core_stored(c, ledger_look(&c->audit.ledger, &c->failed)) < 0)
        return -1;
    int found = STORE(c, audit_signed, &last);
    if (found < 0 || (found == 1 && log_leads(c, &last) < 0))
        return -1;
    rows_close(c, minute_of(c->now));
    return c->failed.code == ERR_NONE ? 0 : -1;
}
