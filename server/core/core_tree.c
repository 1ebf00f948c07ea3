/* A room's tree grows with its entries; its checkpoint is signed at most once a turn (a second),
 * after what it covers is on disk. Rooms that nobody asks about take turns of a few; whoever asks
 * gets one that covers everything numbered before he asked. Ephemeral rooms have no tree: nothing
 * of them is to outlive them. */
#include "server/core/core_inner.h"

#include <stdlib.h>
#include <string.h>

#include "common/evidence/checkpoint.h"
#include "common/evidence/transcript.h"

/* --- growing --- */

struct room_walk {
    struct core *c;
    const struct room *r;
};

static int walk_node(void *ctx, uint64_t end, unsigned level, struct hash *out, struct err *e)
{
    const struct room_walk *w = ctx;
    int found = STORE(w->c, message_node, &w->r->row.id, end, level, out);

    if (found == 0) {
        err_set(e, ERR_DATA, "the store: a room's tree has a hole");
        core_fail(w->c, e);
    }
    return found == 1 ? 0 : -1;
}

/* The room's tree at a size it has had. */
static int room_tree(struct core *c, const struct room *r, uint64_t size, struct tree *out)
{
    struct room_walk w = {c, r};
    struct err e = {0};

    return tree_at(&(struct tree_source){walk_node, &w}, size, out, &e);
}

int tree_root(struct core *c, const struct room *r, uint64_t number, struct hash *out)
{
    struct tree t;

    if (r->row.ephemeral)
        return 0;
    if (number == r->tree.size) {
        *out = tree_head(&r->tree).root;
        return 1;
    }
    if (room_tree(c, r, number, &t) < 0)
        return -1;
    *out = tree_head(&t).root;
    return 1;
}

void tree_step(struct room *r, struct store_message *row, struct room_nodes *nodes)
{
    struct tree_done done;

    if (r->row.ephemeral)
        return;
    transcript_leaf(&nodes->p[0], row->line, row->time);
    tree_add(&r->tree, &nodes->p[0], &done);
    memcpy(nodes->p + 1, done.p, done.n * sizeof done.p[0]);
    row->nodes = (struct hashes){nodes->p, 1 + done.n};
}

static void due_add(struct core *c, struct room *r)
{
    if (r->listed || r->signing || r->covered >= r->number)
        return;
    r->listed = true;
    TAILQ_INSERT_TAIL(&c->due, r, due);
}

static void due_drop(struct core *c, struct room *r)
{
    if (!r->listed)
        return;
    r->listed = false;
    TAILQ_REMOVE(&c->due, r, due);
}

void tree_covers(struct core *c, struct room *r, int64_t time)
{
    if (r->row.ephemeral)
        return;
    if (time > r->latest)
        r->latest = time;
    due_add(c, r);
}

int tree_load(struct core *c, struct room *r)
{
    struct store_checkpoint last;
    int64_t latest = 0;
    int found = STORE(c, checkpoint_get, &r->row.id, &last);

    if (found < 0 || room_tree(c, r, r->number, &r->tree) < 0)
        return -1;
    if (found == 1) {
        r->covered = last.size;
        r->latest = last.time;
    }
    if (STORE(c, message_latest, &r->row.id, r->covered, &latest) < 0)
        return -1;
    tree_covers(c, r, latest);
    return 0;
}

/* --- signing --- */

static const char no_signature[] = "no checkpoint could be signed";

static signing_done checkpoint_done;

/* The time is never before that of an entry below it or of the checkpoint before, whatever became
 * of our clock. */
static void checkpoint_sign(struct core *c, struct room *r)
{
    struct checkpoint p = {.tree = tree_head(&r->tree), .signer = c->signer};
    char text[CHECKPOINT_MAX + 1];

    due_drop(c, r);
    p.time = c->now > r->latest ? c->now : r->latest;
    memcpy(p.room, r->row.id.b, sizeof p.room);
    struct signing *g = core_sign(c, span_of(text, checkpoint_put(text, &p)), checkpoint_done);
    if (g == NULL) {
        core_fail(c, &(struct err){0});
        return;
    }
    g->room = r->row.id;
    r->signing = true;
    r->wanted = false;
    r->turn = c->turn;
    c->turn_signed++;
}

/* At once when its turn has not had one yet, else in the next. */
static void checkpoint_want(struct core *c, struct room *r)
{
    r->wanted = r->covered < r->number;
    if (r->signing || !r->wanted)
        return;
    due_add(c, r);
    if (r->turn != c->turn && c->turn_signed < CHECKPOINTS_ASKED) {
        checkpoint_sign(c, r);
    } else if (r->listed) {
        TAILQ_REMOVE(&c->due, r, due);
        TAILQ_INSERT_HEAD(&c->due, r, due);
    }
}

void tree_turn(struct core *c)
{
    struct room *r, *next;
    unsigned idle = 0;

    c->turn++;
    c->turn_signed = 0;
    if (!c->signs)
        return;
    for (r = TAILQ_FIRST(&c->due); r != NULL && c->turn_signed < CHECKPOINTS_ASKED; r = next) {
        next = TAILQ_NEXT(r, due);
        if (r->wanted || idle++ < CHECKPOINTS_IDLE)
            checkpoint_sign(c, r);
    }
}

/* --- who waits for one --- */

/* "The root at that size, then what leads from there", as proof.txt of a contradiction has it. */
static int grown_from(struct core *c, const struct room *r, uint64_t older, uint64_t newer,
                      struct proof *out)
{
    struct room_walk w = {c, r};
    struct proof rest;
    struct err e = {0};

    out->n = 0;
    if (older == 0 || older > newer)
        return 0;
    if (tree_root(c, r, older, &out->p[0]) < 0 ||
        tree_prove_growth(&(struct tree_source){walk_node, &w}, older, newer, &rest, &e) < 0)
        return -1;
    memcpy(out->p + 1, rest.p, rest.n * sizeof rest.p[0]);
    out->n = 1 + rest.n;
    return 0;
}

static struct span proof_bytes(const struct proof *p)
{
    return span_of(p->p, p->n * sizeof p->p[0]);
}

/* Both proofs are about the checkpoint; whoever has more than it covers gets none from there. */
static void checkpoint_give(struct core *c, const struct room *r, uint64_t conn,
                            const struct f_checkpoint_ask *ask)
{
    struct store_checkpoint last;
    struct proof proof, grown;

    if (STORE(c, checkpoint_get, &r->row.id, &last) != 1 ||
        grown_from(c, r, ask->after, last.size, &proof) < 0 ||
        grown_from(c, r, ask->own, last.size, &grown) < 0) {
        core_error(c, conn, ask->id, CODE_BUSY, no_signature);
        return;
    }
    const struct f_checkpoint f = {ask->id, span_of(last.text, strlen(last.text)),
                                   span_of(last.sig, last.sig_n), proof_bytes(&proof),
                                   proof_bytes(&grown)};
    (void)core_send(c, conn, F_CHECKPOINT, &f);
}

/* Those whose question is answered by what is covered now; failed: all of the room are told so. */
static void waiting_settle(struct core *c, const struct room *r, bool failed)
{
    struct waiting *w, *next;

    for (w = STAILQ_FIRST(&c->waiting); w != NULL; w = next) {
        next = STAILQ_NEXT(w, link);
        if (!room_id_same(&w->ask.room, &r->row.id) || (w->number > r->covered && !failed))
            continue;
        STAILQ_REMOVE(&c->waiting, w, waiting, link);
        c->waiting_n--;
        if (conn_find(c, w->conn) != NULL && !failed)
            checkpoint_give(c, r, w->conn, &w->ask);
        else if (failed)
            core_error(c, w->conn, w->ask.id, CODE_BUSY, no_signature);
        free(w);
    }
}

/* 1: it is kept; 0: there is no signature; -1: the store failed. */
static int checkpoint_keep(struct core *c, struct room *r, const struct signing *g, struct span sig)
{
    struct store_checkpoint row = {.room = r->row.id, .sig_n = sig.n};
    struct checkpoint p;
    struct err e = {0};

    if (sig.n == 0 || sig.n > sizeof row.sig ||
        checkpoint_take(&p, str_from(g->text->b, g->text->n), &e) < 0)
        return 0;
    row.size = p.tree.size;
    row.time = p.time;
    row.signer = p.signer;
    memcpy(row.text, g->text->b, g->text->n);
    memcpy(row.sig, sig.p, sig.n);
    if (STORE(c, checkpoint_put, &row) < 0)
        return -1;
    r->covered = p.tree.size;
    if (p.time > r->latest)
        r->latest = p.time;
    return 1;
}

static void checkpoint_done(struct core *c, const struct signing *g, struct span sig)
{
    struct room *r = room_by_id(c, &g->room);

    if (r == NULL)
        return;
    r->signing = false;
    int kept = checkpoint_keep(c, r, g, sig);
    if (kept < 0)
        return;
    waiting_settle(c, r, kept == 0);
    due_add(c, r);
    if (kept == 1 && r->wanted)
        checkpoint_want(c, r); /* somebody asked while it was signed, of what came since */
}

void waiting_free(struct core *c)
{
    struct waiting *w;

    while ((w = STAILQ_FIRST(&c->waiting)) != NULL) {
        STAILQ_REMOVE_HEAD(&c->waiting, link);
        free(w);
    }
}

/* --- requests --- */

/* A room of his that has a tree. */
static struct room *ask_room(struct ask *a, const struct room_id *id)
{
    const struct member *m = member_asking(a, id);

    if (m != NULL && !m->room->row.ephemeral && a->c->signs && m->room->number > 0)
        return m->room;
    ask_error(a, CODE_NO_SUCH, "no evidence is kept of such a room");
    return NULL;
}

void ask_checkpoint(struct ask *a)
{
    const struct f_checkpoint_ask *f = &a->j->frame.u.checkpoint_ask;
    struct room *r = ask_room(a, &f->room);

    if (r == NULL)
        return;
    if (r->covered == r->number) {
        checkpoint_give(a->c, r, a->k->id, f);
        return;
    }
    struct waiting *w = a->c->waiting_n < CHECKPOINTS_WAITING ? calloc(1, sizeof *w) : NULL;
    if (w == NULL) {
        ask_error(a, CODE_BUSY, "too many wait for checkpoints");
        return;
    }
    w->conn = a->k->id;
    w->number = r->number;
    w->ask = *f;
    STAILQ_INSERT_TAIL(&a->c->waiting, w, link);
    a->c->waiting_n++;
    checkpoint_want(a->c, r);
}

void ask_tree(struct ask *a)
{
    const struct f_tree_ask *f = &a->j->frame.u.tree_ask;
    struct room *r = ask_room(a, &f->room);
    struct proof peaks = {.n = 0};
    struct tree t;

    if (r == NULL)
        return;
    if (f->size > r->number) {
        ask_error(a, CODE_NO_SUCH, "the room has not so many entries");
        return;
    }
    if (room_tree(a->c, r, f->size, &t) < 0)
        return;
    for (unsigned k = TREE_LEVELS; k-- > 0;)
        if (t.size >> k & 1)
            peaks.p[peaks.n++] = t.peaks[k];
    const struct f_tree out = {f->id, f->room, f->size, proof_bytes(&peaks)};
    (void)core_send(a->c, a->k->id, F_TREE, &out);
}

void ask_signer(struct ask *a)
{
    const struct f_signer_ask *f = &a->j->frame.u.signer_ask;
    struct store_chain got;

    if (STORE(a->c, signer_get, &f->fp, &got) != 1) {
        ask_error(a, CODE_NO_SUCH, "there is no such certificate");
        return;
    }
    const struct span chain[] = {span_of(got.leaf, got.leaf_n), span_of(got.issuer, got.issuer_n)};
    const struct f_signer out = {f->id, f->fp, chain, COUNT(chain)};
    (void)core_send(a->c, a->k->id, F_SIGNER, &out);
}
