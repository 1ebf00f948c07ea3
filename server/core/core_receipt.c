/* The relay's seal on a receipt (docs/evidence.md 5): that it gave these entries these numbers and
 * times, and that the client's session was the one named: that of the connection, or one of the
 * same certificate that is over. Whose receipt it is was seen on its loop (session.c); here it is
 * held against what is on disk. */
#include "server/core/core_inner.h"

#include <stdlib.h>
#include <string.h>

/* --- is it so? NULL: yes; or the field that is not, and why --- */

static int time_take(void *ctx, const struct store_message *row)
{
    int64_t *time = ctx;

    *time = row->time;
    return 0;
}

/* The relay's time of an entry that is there. */
static int64_t time_of(struct core *c, const struct room *r, uint64_t number)
{
    int64_t time = 0;

    (void)STORE(c, message_range, &r->row.id, number, number, time_take, &time);
    return time;
}

static bool is_own(const struct ask *a, const struct receipt *x)
{
    return memcmp(x->session, a->k->login, sizeof x->session) == 0;
}

static const char *session_lie(const struct receipt *x, const struct store_login *l)
{
    if (!hash_same(&l->fp, &x->signer))
        return "session: not of this certificate";
    if (strcmp(l->link, x->link) != 0)
        return "link: not the one of that session";
    if (strcmp(l->suite, x->suite) != 0)
        return "suite: not the one of that session";
    if (!hash_same(&l->relay_fp, &x->peer))
        return "peer_cert_fingerprint: not the certificate that was shown in that session";
    return NULL;
}

/* Was it numbered in that session? Clocks are set back; what is there stays in front of what comes.
 */
static const char *times_lie(struct core *c, const struct room *r, const struct receipt *x,
                             const struct store_login *l)
{
    uint64_t first = 0, last = 0;

    if (STORE(c, message_place, &r->row.id, x->first, &first) != 1 || first <= l->before)
        return "first_seqno: from before this session";
    if (l->ended != 0 &&
        (STORE(c, message_place, &r->row.id, x->last, &last) != 1 || last > l->after))
        return "last_seqno: from after that session";
    return NULL;
}

static bool head_is(struct core *c, const struct room *r, uint64_t number, const struct hash *head)
{
    struct hash is;

    return room_head(c, r, number, &is) == 1 && hash_same(&is, head);
}

static const char *entries_lie(struct ask *a, const struct member *m, const struct receipt *x)
{
    const struct room *r = m->room;

    if (x->last > r->number)
        return "last_seqno: the room has not so many entries";
    if (x->first < member_from(a->c, m))
        return "first_seqno: from before its reader came";
    if (!head_is(a->c, r, x->first - 1, &x->base))
        return "base: not the head before the first entry";
    if (!head_is(a->c, r, x->last, &x->head))
        return "transcript_hash: not the head of the last entry";
    if (time_of(a->c, r, x->last) > x->created)
        return "created_at: before the last entry was there";
    return NULL;
}

static const char *tree_lie(struct core *c, const struct room *r, const struct receipt *x)
{
    struct hash root;

    if (x->tree.size == 0)
        return NULL;
    return tree_root(c, r, x->tree.size, &root) == 1 && hash_same(&root, &x->tree.root)
               ? NULL
               : "tree_root: not the root of so many entries";
}

/* A client's receipts of a room follow each other, and so do their entries. One that we were not
 * shown may stand between; what none may do is to leave out one that we sealed, or to take its
 * place or its entries a second time. */
static const char *chain_lie(struct core *c, const struct receipt *x)
{
    static const struct hash none;
    struct room_id room;
    struct store_place at;
    struct store_receipt known;

    memcpy(room.b, x->room, sizeof room.b);
    if (STORE(c, receipt_place, &room, &x->signer, &x->previous, &at) != 1)
        return NULL;
    if (at.taken ||
        (!hash_same(&at.hash, &x->previous) &&
         (hash_same(&x->previous, &none) || STORE(c, receipt_get, &x->previous, &known) == 1)))
        return "previous: another receipt of this room has been sealed since";
    return x->first <= at.last ? "first_seqno: sealed before, in another receipt" : NULL;
}

/* --- sealing --- */

static void cosigned_send(struct core *c, uint64_t conn, const struct store_receipt *row)
{
    const struct f_cosigned f = {row->hash, span_of(row->member, strlen(row->member)),
                                 span_of(row->member_sig, row->member_sig_n)};
    const struct conn *k = conn_find(c, conn);

    if (k != NULL && k->cosigns)
        (void)core_send(c, conn, F_COSIGNED, &f);
}

static void sealed_send(struct core *c, uint64_t conn, uint64_t re, const struct store_receipt *row,
                        bool member)
{
    const struct f_sealed f = {re, span_of(row->relay, strlen(row->relay)),
                               span_of(row->relay_sig, row->relay_sig_n), member};

    if (row->member_sig_n > 0)
        cosigned_send(c, conn, row);
    if (conn_find(c, conn) != NULL)
        (void)core_send(c, conn, F_SEALED, &f);
}

/* Whoever says the same once more gets the same answer. true: it was sealed before. */
static bool sealed_before(struct core *c, uint64_t conn, uint64_t re, const struct hash *hash)
{
    struct store_receipt known;

    if (STORE(c, receipt_get, hash, &known) != 1)
        return false;
    sealed_send(c, conn, re, &known, known.member_sig_n > 0);
    return true;
}

/* What the table of logins says of the session's receipts. */
static int login_seal(struct core *c, const struct store_receipt *row, const struct receipt *x)
{
    struct store_login l;
    struct hash next = x->head;

    int found = STORE(c, login_get, row->session, &l);
    if (found == 0)
        core_fail(c, &(struct err){ERR_DATA, "the store: a session without its login"});
    if (found != 1)
        return -1;
    if (l.has_transcript) {
        const struct span both[] = {span_of(l.transcript.b, HASH_LEN),
                                    span_of(x->head.b, HASH_LEN)};
        sha256_parts(both, COUNT(both), &next);
    }
    return STORE(c, login_seal, row->session, &next);
}

static void seal_refuse(struct core *c, const struct signing *g, enum proto_code code,
                        const char *why)
{
    if (conn_find(c, g->conn) != NULL)
        core_error(c, g->conn, g->re, code, why);
}

/* Of a direct room the other one is shown it, on each of his connections that seals: he alone can
 * say that he has it, too. Once; nothing waits for it here. true: somebody was. */
static bool cosign_ask(struct core *c, const struct store_receipt *row)
{
    const struct f_cosign_ask f = {span_of(row->text, strlen(row->text)),
                                   span_of(row->client, strlen(row->client)),
                                   span_of(row->client_sig, row->client_sig_n)};
    const struct room *r = room_by_id(c, &row->room);
    const struct device *d = device_find(c, &row->fp);
    bool asked = false;

    if (r == NULL || d == NULL || r->row.kind != ROOM_DIRECT)
        return false;
    const struct account *other = room_partner(r, d->account);
    for (const struct conn *k = other == d->account ? NULL : other->conns; k != NULL; k = k->next)
        if (k->cosigns && !k->closing)
            asked |= core_send(c, k->id, F_COSIGN_ASK, &f) == 0;
    return asked;
}

/* The signature leaves with the commit that stores it, or not at all. Another receipt may have been
 * sealed while this one was signed. */
static void seal_done(struct core *c, const struct signing *g, struct span sig)
{
    struct store_receipt *row = g->receipt;
    struct receipt x;
    struct err e = {0};

    c->sealing_n--;
    if (sig.n == 0 || sig.n > sizeof row->relay_sig ||
        receipt_take(&x, str_of(row->text), &e) < 0) {
        seal_refuse(c, g, CODE_BUSY, "the receipt could not be signed");
        return;
    }
    if (sealed_before(c, g->conn, g->re, &row->hash))
        return;
    const char *lie = chain_lie(c, &x);
    if (lie != NULL) {
        seal_refuse(c, g, CODE_DENIED, lie);
        return;
    }
    memcpy(row->relay_sig, sig.p, sig.n);
    row->relay_sig_n = sig.n;
    if (STORE(c, receipt_add, row) == 0 && login_seal(c, row, &x) == 0)
        sealed_send(c, g->conn, g->re, row, cosign_ask(c, row));
}

static struct store_receipt *row_new(const struct ask *a, const struct room *r,
                                     const struct hash *hash)
{
    const struct f_seal *f = &a->j->frame.u.seal;
    const struct receipt *x = &a->j->receipt;
    const struct receipt_seal seal = {RECEIPT_RELAY, a->c->signer,
                                      a->c->now > r->latest ? a->c->now : r->latest};
    struct store_receipt *row = calloc(1, sizeof *row);

    if (row == NULL)
        return NULL;
    row->hash = *hash;
    row->room = r->row.id;
    row->fp = a->k->device->row.fp;
    row->previous = x->previous;
    row->last = x->last;
    memcpy(row->session, x->session, sizeof row->session);
    memcpy(row->text, f->receipt.p, f->receipt.n);
    memcpy(row->client, f->seal.p, f->seal.n);
    memcpy(row->client_sig, f->sig.p, f->sig.n);
    row->client_sig_n = f->sig.n;
    (void)receipt_seal_put(row->relay, &seal);
    return row;
}

/* Without memory it is for later: nobody but who asked has to do with it. */
static void seal_sign(struct ask *a, const struct room *r, const struct hash *hash)
{
    struct store_receipt *row = row_new(a, r, hash);
    struct receipt_signed all;
    struct signing *g = NULL;

    if (row != NULL && receipt_signed_make(&all, str_of(row->text), str_of(row->relay)) == 0)
        g = core_sign(a->c, span_of(all.b, all.n), seal_done);
    if (g == NULL) {
        free(row);
        ask_error(a, CODE_BUSY, "no memory to have it signed");
        return;
    }
    g->receipt = row;
    g->conn = a->k->id;
    g->re = a->j->frame.u.seal.id;
    a->c->sealing_n++;
}

/* --- the request --- */

/* Nobody keeps the evidence key from the others. */
static bool seal_due(struct core *c, struct account *a)
{
    uint64_t idle = c->turn - a->seal_turn;

    a->seals = idle < a->seals ? a->seals - (unsigned)idle : 0;
    a->seal_turn = c->turn;
    if (a->seals == SEALS_BURST || c->sealing_n == SEALS_WAITING)
        return false;
    a->seals++;
    return true;
}

/* A room of his of which something may outlive it. */
static struct member *seal_member(struct ask *a, const struct receipt *x)
{
    struct room_id room;

    memcpy(room.b, x->room, sizeof room.b);
    struct member *m = member_asking(a, &room);
    if (m == NULL || m->room->row.ephemeral)
        ask_error(a, CODE_NO_SUCH, "no evidence is kept of such a room");
    else if (!a->c->signs)
        ask_error(a, CODE_BUSY, "there is no evidence key now");
    else
        return m;
    return NULL;
}

/* One that goes on on another connection ends some time: its client does not know whether we have
 * noticed already. */
static bool session_over(struct ask *a, const struct receipt *x, const struct store_login *l)
{
    if (l->ended != 0 || is_own(a, x))
        return true;
    ask_error(a, CODE_BUSY, "session: it goes on");
    return false;
}

static const char *receipt_lie(struct ask *a, const struct member *m, const struct receipt *x,
                               const struct store_login *l)
{
    const char *lie = session_lie(x, l);

    if (lie == NULL)
        lie = entries_lie(a, m, x);
    if (lie == NULL)
        lie = times_lie(a->c, m->room, x, l);
    if (lie == NULL)
        lie = tree_lie(a->c, m->room, x);
    return lie != NULL ? lie : chain_lie(a->c, x);
}

void ask_seal(struct ask *a)
{
    const struct f_seal *f = &a->j->frame.u.seal;
    const struct receipt *x = &a->j->receipt;
    const struct member *m = seal_member(a, x);
    struct store_login l;
    struct hash hash;

    if (m == NULL)
        return;
    sha256(f->receipt, &hash);
    if (sealed_before(a->c, a->k->id, f->id, &hash))
        return;
    int found = STORE(a->c, login_get, x->session, &l);
    const char *lie = found == 1 ? receipt_lie(a, m, x, &l) : "session: there was none like it";
    if (lie != NULL)
        ask_error(a, CODE_DENIED, lie);
    else if (!session_over(a, x, &l))
        return;
    else if (!seal_due(a->c, a->k->account))
        ask_error(a, CODE_BUSY, "too many receipts wait for their seals");
    else
        seal_sign(a, m->room, &hash);
}

/* --- the other member's --- */

/* Is it one that the relay has sealed, of a direct room that he is the other one of, and not dated
 * before what it is about? */
static bool cosign_due(struct ask *a, const struct store_receipt *row)
{
    const struct receipt *x = &a->j->receipt;
    const struct device *d = device_find(a->c, &row->fp);
    const struct room *r = room_by_id(a->c, &row->room);

    if (row->member_sig_n > 0 || d == NULL || r == NULL || r->row.kind != ROOM_DIRECT ||
        d->account == a->k->account || member_find(r, a->k->account) == NULL)
        return false;
    return a->j->sealed_at >= time_of(a->c, r, x->last);
}

/* He was not asked by name, so nobody is told when it comes too late, or twice. */
void ask_cosign(struct ask *a)
{
    const struct f_cosign *f = &a->j->frame.u.cosign;
    struct store_receipt row;
    struct hash hash;

    sha256(f->receipt, &hash);
    if (STORE(a->c, receipt_get, &hash, &row) != 1 || !cosign_due(a, &row))
        return;
    memcpy(row.member, f->seal.p, f->seal.n);
    row.member[f->seal.n] = '\0';
    memcpy(row.member_sig, f->sig.p, f->sig.n);
    row.member_sig_n = f->sig.n;
    if (STORE(a->c, receipt_cosign, &hash, row.member, f->sig) < 0)
        return;
    const struct device *d = device_find(a->c, &row.fp);
    for (const struct conn *k = d->account->conns; k != NULL; k = k->next)
        if (k->device == d)
            cosigned_send(a->c, k->id, &row);
}
