/* Entries: the checks that need what the relay knows, then number, store, publish. The loop has
 * checked grammar, signature, body, time and content already. */
#include "server/core/core_inner.h"

#include <stdlib.h>
#include <string.h>

struct entering {
    struct ask *a;
    struct room *room;
    const struct entry_line *line;
    const struct f_entry_say *say;
    struct entry_chain chain;
    struct author *author; /* NULL: not met since the start */
    struct member *member; /* who belongs to the room */
    unsigned formers;      /* lines looked at for the one that prev names */
    struct err e;
};

/* A wrong entry ends its connection: no honest client sends one. */
static void entry_bad(struct entering *g)
{
    struct conn *k = g->a->k;
    struct audit_note n = {"bad-entry", "bad-entry",        k->source,
                           k->account,  &k->device->row.fp, true};

    core_audit(g->a->c, &n);
    core_error(g->a->c, k->id, 0, CODE_BAD_ENTRY, g->e.text);
    core_close(g->a->c, k, "bad-entry");
}

static void entry_denied(struct entering *g)
{
    struct f_error f = {.code = CODE_DENIED,
                        .text = str_of("you are not a member of this room"),
                        .has_room = true,
                        .room = g->line->room,
                        .seq = g->line->seq};
    (void)core_send(g->a->c, g->a->k->id, F_ERROR, &f);
}

/* --- the author's chain --- */

static int chain_of(void *ctx, const struct store_message *row)
{
    struct entry_chain *chain = ctx;
    chain->seq = row->seq;
    entry_line_hash(row->line, &chain->line);
    return 0;
}

/* 1: this former line of the account is the one that prev names. */
static int former_is_prev(void *ctx, const struct store_message *row)
{
    struct entering *g = ctx;
    struct hash line;

    entry_line_hash(row->line, &line);
    if (hash_same(&line, &g->line->prev))
        return 1;
    return ++g->formers < FORMERS_MAX ? 0 : 2;
}

/* A certificate's first line follows any line of its account, or none: the account's other devices
 * may have spoken since its author saw the room, and its bytes are on his disk already. */
static int author_first(struct entering *g)
{
    static const struct hash none;

    if (g->line->seq != 1 || hash_same(&g->line->prev, &none))
        return 0;
    int found = ROOM_STORE(g->a->c, g->room, message_former, &g->room->row.id,
                           &g->a->k->account->row.id, former_is_prev, g);
    if (found == 1)
        g->chain.line = g->line->prev;
    return found < 0 ? -1 : 0;
}

static bool belongs(const struct entering *g)
{
    return g->member != NULL && member_belongs(g->member);
}

/* Looking for a former line is work that grows with what was said: it is done for those alone who
 * may speak here. */
static int author_load(struct entering *g)
{
    HASH_FIND(hh, g->room->authors, &g->line->author, sizeof g->line->author, g->author);
    if (g->author != NULL) {
        g->chain = g->author->chain;
        return 0;
    }
    int found = ROOM_STORE(g->a->c, g->room, message_last, &g->room->row.id, &g->line->author,
                           chain_of, &g->chain);
    if (found < 0)
        return -1;
    return found == 0 && belongs(g) ? author_first(g) : 0;
}

static struct author *author_add(struct entering *g)
{
    struct author *u = calloc(1, sizeof *u);

    if (u == NULL)
        return NULL;
    u->fp = g->line->author;
    HASH_ADD(hh, g->room->authors, fp, sizeof u->fp, u);
    if (HASH_ADDED(hh, u))
        return u;
    free(u);
    return NULL;
}

static int author_step(struct entering *g)
{
    entry_chain_step(&g->chain, g->line, &g->a->j->line_hash);
    if (g->author == NULL && (g->author = author_add(g)) == NULL) {
        core_fail(g->a->c, &(struct err){0});
        return -1;
    }
    g->author->chain = g->chain;
    return 0;
}

/* --- answers --- */

static void entry_answer(struct entering *g, uint64_t number, int64_t time, struct str why)
{
    struct f_numbered ok = {g->line->room, g->line->seq, number, time, .has_root = false};
    struct f_voided no = {g->line->room, g->line->seq, number, time, why, .has_root = false};
    int rooted = tree_root(g->a->c, g->room, number, &ok.root);

    if (rooted < 0)
        return;
    ok.has_root = no.has_root = rooted == 1;
    no.root = ok.root;
    if (why.n > 0)
        (void)core_send(g->a->c, g->a->k->id, F_VOIDED, &no);
    else
        (void)core_send(g->a->c, g->a->k->id, F_NUMBERED, &ok);
}

/* An entry that we have: the same answer as before, or a forgery of his own. */
static int entry_known(void *ctx, const struct store_message *row)
{
    struct entering *g = ctx;

    if (str_same(row->line, g->say->line)) {
        entry_answer(g, row->number, row->time, row->why);
    } else {
        err_set(&g->e, ERR_PEER, "another line with a seq that was used");
        entry_bad(g);
    }
    return 0;
}

static void entry_resent(struct entering *g)
{
    int found = ROOM_STORE(g->a->c, g->room, message_seq, &g->line->room, &g->line->author,
                           g->line->seq, entry_known, g);
    if (found != 0)
        return;
    err_set(&g->e, ERR_PEER, "a seq below the last one that is not here");
    entry_bad(g);
}

/* --- the new entry --- */

static bool seen_right(struct entering *g)
{
    struct hash head = {{0}};
    uint64_t seen = g->line->seen_number;

    int found = room_head(g->a->c, g->room, seen, &head);
    if (found < 0)
        return false;
    if (found == 0 && g->room->row.ephemeral && seen < g->room->number)
        return true; /* dropped from the window: its readers have it, and check */
    if (found == 0) {
        err_set(&g->e, ERR_PEER, "seen is a number that is not here yet");
        return false;
    }
    return entry_seen_check(g->line, g->room->number + 1, &head, &g->e) == 0;
}

static void entry_number(struct entering *g)
{
    struct core *c = g->a->c;
    struct room *r = g->room;
    struct conn *k = g->a->k;
    const struct content *what = &g->a->j->what;
    const char *policy = g->a->j->policy;
    if (policy[0] == '\0')
        policy = seat_policy(c, g->member, what);
    struct str why = str_of(policy);
    struct store_message row = {.room = r->row.id,
                                .number = r->number + 1,
                                .time = c->now,
                                .account = k->account->row.id,
                                .fp = g->line->author,
                                .seq = g->line->seq,
                                .head = r->head,
                                .line = g->say->line,
                                .sig = g->say->sig,
                                .body = why.n > 0 ? span_of(NULL, 0) : g->say->body,
                                .why = why,
                                .seats = why.n == 0 && content_seats(what->kind),
                                .leave = what->kind == CONTENT_LEAVE,
                                .who = what->kind == CONTENT_INVITE ? what->who.account
                                                                    : k->account->row.id};
    struct f_entry f = {row.number, row.time, row.line, row.sig, row.body, why};
    struct room_nodes nodes;

    entry_head_next(&row.head, row.line, row.time);
    tree_step(r, &row, &nodes);
    if (ROOM_STORE(c, r, message_add, &row) < 0 || author_step(g) < 0)
        return;
    room_step(r, &row.head);
    tree_covers(c, r, row.time);
    c->counts.entries++;
    k->entries++;
    if (row.seats)
        seat_before(c, g->member, what);
    core_publish_entry(c, r, k->id, &f);
    entry_answer(g, row.number, row.time, why);
    if (row.seats)
        seat_behind(c, g->member, what);
}

/* A new entry of somebody who belongs to the room. */
static void entry_new(struct entering *g, enum entry_order order)
{
    const char *lie = seat_lie(g->member, &g->a->j->what);

    if (lie != NULL)
        err_set(&g->e, ERR_PEER, "%s", lie);
    if (lie != NULL || order != ENTRY_NEXT || !seen_right(g))
        entry_bad(g);
    else
        entry_number(g);
}

void ask_entry(struct ask *a)
{
    struct entering g = {.a = a, .line = &a->j->line, .say = &a->j->frame.u.entry_say};

    if (!hash_same(&g.line->author, &a->k->device->row.fp)) {
        err_set(&g.e, ERR_PEER, "the author is not this connection's certificate");
        entry_bad(&g);
        return;
    }
    g.room = room_by_id(a->c, &g.line->room);
    if (g.room == NULL) {
        entry_denied(&g);
        return;
    }
    g.member = member_find(g.room, a->k->account);
    if (author_load(&g) < 0)
        return;
    enum entry_order order = entry_order(&g.chain, g.line, &a->j->line_hash, &g.e);
    if (order == ENTRY_SAME || order == ENTRY_OLDER)
        entry_resent(&g);
    else if (!belongs(&g))
        entry_denied(&g);
    else
        entry_new(&g, order);
}
