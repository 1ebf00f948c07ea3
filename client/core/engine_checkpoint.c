/* What the relay signs of a room, against what it signed before and against what we verified
 * (docs/protocol.md 6.1). A room is asked about when it is caught up, when it is broken, and from
 * time to time while more is said. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"

/* Nothing is shown as a lie of which the relay might know nothing; but it proves nothing either. */
static void odd(struct engine *g, struct room *r, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void odd(struct engine *g, struct room *r, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!r->witness.odd)
        event_text(g, ENGINE_ALARM, r, "%s: the relay signs no history that can be proven: %s",
                   r->pub.name, text);
    r->witness.odd = true;
}

static bool checks(const struct engine *g, const struct room *r)
{
    return g->conf.root.n > 0 && g->conf.follow && g->phase == ENGINE_ONLINE && !g->closing &&
           !r->pub.ephemeral && r->pub.joined && r->is_signed && r->pub.last > 0;
}

static int caught_tell(struct engine *g, struct room *r)
{
    if (r->witness.caught)
        event_room(g, ENGINE_CAUGHT, r);
    r->witness.caught = false;
    return 0;
}

/* The answer is here, or none will come: whoever waited for it goes on. */
static int settled(struct engine *g, struct room *r)
{
    struct witness *w = &r->witness;
    uint8_t spread = 0;

    (void)!rng_fill(&g->conf.rng, &spread, 1); /* members should not all ask at once */
    w->asking = false;
    w->next = engine_mono(g) + CHECK_PAUSE_MS * 2 / 3 + CHECK_PAUSE_MS * spread / 384;
    frame_free(&w->answer);
    w->answer = (struct frame){0};
    return caught_tell(g, r);
}

/* --- asking --- */

static struct ask *room_ask(struct engine *g, const struct room *r, enum frame_type type)
{
    struct err e = {0};
    struct ask *a = ask_new(g, type, &e);

    if (a != NULL) {
        a->room = r->pub.id;
        a->quiet = true;
    }
    return a;
}

static int base_ask(struct engine *g, struct room *r)
{
    struct ask *a = room_ask(g, r, F_TREE_ASK);

    if (a == NULL)
        return settled(g, r);
    r->witness.base_asked = r->kept.first - 1;
    const struct f_tree_ask f = {a->id, r->pub.id, r->kept.first - 1};
    return engine_put(g, F_TREE_ASK, &f);
}

/* Our own tree as it is now; its size is 0 when there is none to compare. */
static void own_make(struct engine *g, struct room *r)
{
    struct witness *w = &r->witness;
    struct keep_entry last;
    struct err e = {0};

    w->own = (struct merkle_head){.size = 0};
    w->own_time = 0;
    if (!tree_based(r))
        return;
    if (tree_grow(g, r, r->kept.number, &e) < 0) {
        event_text(g, ENGINE_NOTE, r, "%s cannot be held against the relay's checkpoints: %s",
                   r->pub.name, e.text);
        return;
    }
    w->own = tree_head(&w->tree);
    if (g->conf.keep.ops->entry_get(g->conf.keep.k, &r->pub.id, w->own.size, &last, &e) == 1)
        w->own_time = (int64_t)last.time;
}

static int checkpoint_ask(struct engine *g, struct room *r)
{
    struct witness *w = &r->witness;

    if (check_acks(g, r) < 0)
        return -1;
    own_make(g, r);
    struct ask *a = room_ask(g, r, F_CHECKPOINT_ASK);
    if (a == NULL)
        return settled(g, r);
    w->number = r->kept.number;
    const struct f_checkpoint_ask f = {a->id, r->pub.id, w->last.is.tree.size, w->own.size};
    return engine_put(g, F_CHECKPOINT_ASK, &f);
}

int check_room(struct engine *g, struct room *r, bool caught)
{
    struct witness *w = &r->witness;

    w->caught |= caught;
    if (w->asking)
        return 0;
    if (!checks(g, r))
        return caught_tell(g, r);
    w->asking = true;
    return r->kept.based && !tree_based(r) ? base_ask(g, r) : checkpoint_ask(g, r);
}

bool engine_check(struct engine *g, const struct room_id *room)
{
    struct room *r = room_find(g, room);
    bool asks = r != NULL && r->caught && !r->pub.broken;

    if (asks)
        (void)!check_room(g, r, true); /* what it says of a failure is an event */
    return asks;
}

int check_broken(struct engine *g, struct room *r)
{
    bool first = !r->caught;

    if (r->witness.broken)
        return 0;
    r->witness.broken = r->caught = true;
    return check_room(g, r, first);
}

void check_lost(struct room *r)
{
    struct witness *w = &r->witness;

    frame_free(&w->answer);
    w->answer = (struct frame){0};
    w->asking = w->caught = w->broken = w->odd = false;
    w->ack = 0;
}

int64_t check_deadline(const struct engine *g, const struct room *r)
{
    const struct witness *w = &r->witness;

    return checks(g, r) && r->caught && !r->pub.broken && !w->asking && r->kept.based &&
                   r->kept.number > w->number
               ? w->next
               : -1;
}

int check_tick(struct engine *g, struct room *r)
{
    int64_t at = check_deadline(g, r);

    return at >= 0 && at <= engine_mono(g) ? check_room(g, r, false) : 0;
}

/* --- the root in our acknowledgements --- */

int check_acks(struct engine *g, struct room *r)
{
    struct witness *w = &r->witness;
    struct err e = {0};

    if (w->ack == 0 || r->pub.broken || r->kept.number < w->ack || !tree_based(r))
        return 0;
    if (tree_grow(g, r, w->ack, &e) < 0 || w->tree.size != w->ack) {
        w->ack = 0;
        return 0;
    }
    uint64_t number = w->ack;
    struct merkle_head own = tree_head(&w->tree);
    w->ack = 0;
    if (hash_same(&own.root, &w->ack_root))
        return 0;
    room_break(g, r, "the relay put our message %llu into another history than it showed",
               (unsigned long long)number);
    return check_broken(g, r);
}

int check_ack(struct engine *g, struct room *r, uint64_t number, const struct hash *root)
{
    struct witness *w = &r->witness;

    if (!checks(g, r))
        return 0;
    if (root == NULL) {
        odd(g, r, "it does not say on what our message %llu follows", (unsigned long long)number);
        return 0;
    }
    w->ack = number;
    w->ack_root = *root;
    return check_acks(g, r);
}

/* --- judging --- */

struct answer {
    struct held now;
    struct hashes proof, grown;
};

static struct hashes hashes_of(struct span s)
{
    return (struct hashes){(const struct hash *)s.p, s.n / HASH_LEN};
}

static int answer_take(struct answer *x, const struct room *r, const struct f_checkpoint *f,
                       struct err *e)
{
    const size_t most = PROOF_MAX * HASH_LEN;

    if (f->proof.n % HASH_LEN != 0 || f->proof.n > most || f->grown.n % HASH_LEN != 0 ||
        f->grown.n > most)
        return err_set(e, ERR_DATA, "its proofs are no hashes");
    x->proof = hashes_of(f->proof);
    x->grown = hashes_of(f->grown);
    return held_take(&x->now, r, f, e);
}

/* What the checkpoint's tree was at an earlier size: by a proof that begins with that root. */
static bool led(const struct held *now, uint64_t size, struct hashes proof, struct hash *root)
{
    if (proof.n == 0)
        return false;
    const struct merkle_head then = {size, proof.p[0]};
    *root = then.root;
    return merkle_consistent(&then, &now->is.tree, (struct hashes){proof.p + 1, proof.n - 1});
}

static void two_histories(struct engine *g, struct room *r, const struct lie *l)
{
    room_break(g, r, "the relay has signed two histories of it");
    lie_show(g, r, l);
}

/* It signs for fewer entries than before. Our own leaves say whether it was at least the same. */
static void shrunk(struct engine *g, struct room *r, const struct held *now)
{
    const struct held *was = &r->witness.last;
    uint64_t size = now->is.tree.size;
    struct tree_leaves own = {&r->witness.base, {NULL, 0}};
    struct tree_source from = tree_of_leaves(&own);
    struct proof grown, whole = {.n = 0};
    struct tree then;
    struct err e = {0};

    struct hash *leaves = tree_based(r) ? tree_leaves(g, r, was->is.tree.size, &e) : NULL;
    if (leaves == NULL)
        goto lost;
    own.leaves = (struct hashes){leaves, was->is.tree.size - own.base->size};
    if (tree_at(&from, size, &then, &e) < 0 ||
        tree_prove_growth(&from, size, was->is.tree.size, &grown, &e) < 0 || grown.n == PROOF_MAX)
        goto lost;
    whole.p[0] = tree_head(&then).root;
    memcpy(whole.p + 1, grown.p, grown.n * sizeof grown.p[0]);
    whole.n = grown.n + 1;
    struct hash root;
    const struct hashes proof = {whole.p, whole.n};
    if (led(was, size, proof, &root) && !hash_same(&root, &now->is.tree.root))
        two_histories(g, r, &(struct lie){now, was, proof});
lost:
    free(leaves);
    room_break(g, r, "the relay has lost messages: it signed for %llu, and now for %llu",
               (unsigned long long)was->is.tree.size, (unsigned long long)size);
}

/* true: it is not what follows on the last one, and that has been said. */
static bool against_last(struct engine *g, struct room *r, const struct answer *x)
{
    const struct held *was = &r->witness.last, *now = &x->now;
    uint64_t size = was->is.tree.size;
    struct hashes proof = x->proof;
    struct hash root;

    if (size == 0)
        return false;
    if (now->is.tree.size == size) /* its own root is all the proof there is */
        proof = (struct hashes){&now->is.tree.root, 1};
    if (now->is.tree.size < size)
        shrunk(g, r, now);
    else if (!led(now, size, proof, &root))
        room_break(g, r,
                   "the relay does not prove that its history continues the %llu messages "
                   "that it has signed for",
                   (unsigned long long)size);
    else if (!hash_same(&root, &was->is.tree.root))
        two_histories(g, r, &(struct lie){was, now, proof});
    else if (now->is.time < was->is.time)
        room_break(g, r, "the relay signs with an earlier date than before");
    else
        return false;
    return true;
}

/* The same for what was verified here. */
static bool against_own(struct engine *g, struct room *r, const struct answer *x)
{
    const struct witness *w = &r->witness;
    const struct held *now = &x->now;
    struct hash root;

    if (w->own.size == 0)
        return false;
    if (now->is.tree.size < w->own.size)
        room_break(g, r, "the relay showed %llu messages and signs for %llu",
                   (unsigned long long)w->own.size, (unsigned long long)now->is.tree.size);
    else if (!led(now, w->own.size, x->grown, &root))
        room_break(g, r, "the relay does not prove that it signs for what it showed");
    else if (!hash_same(&root, &w->own.root))
        room_break(g, r, "the relay signs another history than it showed");
    else if (now->is.time < w->own_time)
        room_break(g, r, "the relay signs with a date before that of message %llu",
                   (unsigned long long)w->own.size);
    else
        return false;
    return true;
}

/* --- by whom it is signed --- */

int signer_check(struct engine *g, const struct attested *x, struct err *e)
{
    struct keep_cert kept;
    struct cert *cert;
    enum cert_fault why;

    int found = g->conf.keep.ops->cert_get(g->conf.keep.k, &x->signer, &kept, e);
    if (found != 1)
        return found;
    const struct span chain[] = {kept.leaf, kept.issuer};
    const struct cert_ask ask = {
        .role = CERT_EVIDENCE, .host = g->conf.host, .at = x->time, .now = engine_now(g)};
    if (cert_check(g->conf.trust, chain, COUNT(chain), &ask, &why, e) < 0)
        return err_in(e, "the certificate of its signer");
    cert = cert_parse(kept.leaf, NULL, e);
    if (cert == NULL)
        return -1;
    bool good = cert_verify_sig(cert, x->text, x->sig);
    cert_free(cert);
    return good ? 1 : err_set(e, ERR_PEER, "its signature is wrong");
}

static int held_check(struct engine *g, const struct held *now, struct err *e)
{
    return signer_check(g,
                        &(struct attested){now->is.signer, now->is.time,
                                           span_of(now->text, now->text_n),
                                           span_of(now->sig, now->sig_n)},
                        e);
}

static int signer_ask(struct engine *g, struct room *r, const struct hash *fp)
{
    struct ask *a = room_ask(g, r, F_SIGNER_ASK);

    if (a == NULL)
        return settled(g, r);
    a->fp = *fp;
    const struct f_signer_ask f = {a->id, *fp};
    return engine_put(g, F_SIGNER_ASK, &f);
}

/* Works off w->answer. asked: its signer's certificate has come. */
static int answer_settle(struct engine *g, struct room *r, bool asked)
{
    struct witness *w = &r->witness;
    struct answer x;
    struct err e = {0};

    if (crl_check(g) < 0)
        return -1;
    int signer =
        answer_take(&x, r, &w->answer.u.checkpoint, &e) < 0 ? -1 : held_check(g, &x.now, &e);
    if (signer == 0 && !asked)
        return signer_ask(g, r, &x.now.is.signer);
    if (signer <= 0)
        odd(g, r, "%s", e.code == ERR_NONE ? "its signer is unknown" : e.text);
    else if (!against_last(g, r, &x) && !against_own(g, r, &x) && held_save(g, r, &x.now) < 0)
        return -1;
    return settled(g, r);
}

/* --- what the relay answers --- */

static int stray(struct engine *g, const char *what)
{
    return engine_fail(g, ERR_PEER, true, "the relay broke the protocol: a stray %s", what);
}

int take_checkpoint(struct engine *g, struct frame *f)
{
    struct ask *a = ask_find(g, f->u.checkpoint.re, F_CHECKPOINT_ASK);
    struct room *r = a == NULL ? NULL : room_find(g, &a->room);

    if (r == NULL)
        return stray(g, "checkpoint");
    ask_done(g, a, ERR_NONE, NULL);
    frame_free(&r->witness.answer);
    r->witness.answer = *f;
    *f = (struct frame){0};
    return answer_settle(g, r, false);
}

int take_tree(struct engine *g, struct frame *f)
{
    const struct f_tree *x = &f->u.tree;
    struct ask *a = ask_find(g, x->re, F_TREE_ASK);
    struct room *r = a == NULL ? NULL : room_find(g, &a->room);

    if (r == NULL || !room_id_same(&x->room, &r->pub.id) || x->size != r->witness.base_asked)
        return stray(g, "tree");
    ask_done(g, a, ERR_NONE, NULL);
    if (r->kept.first != x->size + 1) /* older ones have come meanwhile */
        return tree_based(r) ? checkpoint_ask(g, r) : base_ask(g, r);
    if (tree_base_take(r, x) < 0)
        odd(g, r, "it does not say what was before message %llu",
            (unsigned long long)r->kept.first);
    return checkpoint_ask(g, r);
}

/* It is nobody's device: no name goes with it. */
static int signer_keep(struct engine *g, const struct f_signer *x, struct err *e)
{
    const struct keep_cert kept = {x->fp, str_of(""), str_of(""), x->chain[0], x->chain[1]};

    return g->conf.keep.ops->cert_put(g->conf.keep.k, &kept, e);
}

int take_signer(struct engine *g, struct frame *f)
{
    const struct f_signer *x = &f->u.signer;
    struct ask *a = ask_find(g, x->re, F_SIGNER_ASK);
    struct room *r = a == NULL ? NULL : room_find(g, &a->room);
    uint64_t seal = a != NULL && a->seal ? a->id : 0;
    struct hash fp = {{0}};
    struct err e = {0};

    if ((r == NULL && seal == 0) || !hash_same(&x->fp, &a->fp))
        return stray(g, "certificate of a signer");
    ask_done(g, a, ERR_NONE, NULL);
    if (x->chain_n == 2)
        cert_fingerprint(x->chain[0], &fp);
    if (hash_same(&fp, &x->fp) && signer_keep(g, x, &e) < 0)
        return engine_fail(g, e.code, false, "%s", e.text);
    return seal != 0 ? seal_signer(g, seal) : answer_settle(g, r, true);
}

int check_failed(struct engine *g, const struct ask *a, enum proto_code code)
{
    struct room *r = room_find(g, &a->room);

    if (r == NULL)
        return 0;
    if (a->type == F_TREE_ASK)
        return checkpoint_ask(g, r);
    if (a->type == F_SIGNER_ASK)
        return answer_settle(g, r, true);
    if (a->type != F_CHECKPOINT_ASK)
        return 0;
    if (code == CODE_NO_SUCH && r->witness.last.is.tree.size > 0)
        odd(g, r, "it has none of this room any more");
    return settled(g, r);
}
