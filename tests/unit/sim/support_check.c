/* What must be true of a world: read from the disks themselves, not from what the programs say. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/chat/entry.h"
#include "support_world.h"

static void lost(struct world *w, const char *what, uint64_t number)
{
    w->lost++;
    if (!w->lossy)
        world_fail(w, "%s: %llu", what, (unsigned long long)number);
}

/* --- the relay's disk --- */

struct walk {
    struct world *w;
    struct room_id room;
    uint64_t number;
    struct hash head;
    struct {
        struct hash fp;
        uint64_t seq;
    } last[PEOPLE];
    size_t last_n;
};

static void walk_author(struct walk *k, const struct store_message *row)
{
    size_t i = 0;

    while (i < k->last_n && !hash_same(&k->last[i].fp, &row->fp))
        i++;
    if (i == k->last_n) {
        k->last[i].fp = row->fp;
        k->last[k->last_n++].seq = 0;
    }
    if (row->seq != ++k->last[i].seq)
        lost(k->w, "an author's entries are out of order at number", row->number);
}

/* The note of this line is found in its place; an acknowledged one stays there. */
static void walk_note(struct walk *k, const struct store_message *row)
{
    struct hash line;

    entry_line_hash(row->line, &line);
    for (size_t i = 0; i < k->w->notes_n; i++) {
        struct note *n = k->w->notes + i;
        if (n->seq != row->seq || !n->left || !hash_same(&n->line, &line))
            continue;
        if (n->acked && n->number != 0 && n->number != row->number)
            lost(k->w, "an acknowledged entry has another number", row->number);
        n->number = row->number;
        return;
    }
    lost(k->w, "an entry that nobody sent has number", row->number);
}

static int walk_row(void *ctx, const struct store_message *row)
{
    struct walk *k = ctx;

    entry_head_next(&k->head, row->line, row->time);
    if (row->number != ++k->number || !hash_same(&k->head, &row->head))
        lost(k->w, "a gap or a wrong head at number", row->number);
    walk_author(k, row);
    walk_note(k, row);
    return 0;
}

static int walk_room(void *ctx, const struct store_room *row, const struct store_tip *tip)
{
    struct world *w = ctx;
    struct walk k = {.w = w, .room = row->id};
    struct err e = {0};

    if (tip->number > 0 &&
        w->store.ops->message_range(w->store.db, &row->id, 1, tip->number, walk_row, &k, &e) < 0)
        world_fail(w, "messages: %s", e.text);
    if (k.number != tip->number || !hash_same(&k.head, &tip->head))
        lost(w, "the tip is not the end of the room", tip->number);
    return 0;
}

/* A room without a disk: its latest entries, without a gap, each as somebody sent it. */
static int walk_mist(void *ctx, const struct store_message *row)
{
    struct walk *k = ctx;

    if (row->number != ++k->number)
        lost(k->w, "a gap in a room without a disk at number", row->number);
    walk_note(k, row);
    return 0;
}

static void check_mist(struct world *w, const struct mist *x)
{
    struct walk k = {.w = w, .room = x->id, .number = x->first - 1};
    const struct store *s = world_window(w);
    struct err e = {0};

    if (x->tip >= x->first &&
        s->ops->message_range(s->db, &x->id, x->first, x->tip, walk_mist, &k, &e) < 0)
        world_fail(w, "messages without a disk: %s", e.text);
    if (k.number != x->tip)
        lost(w, "the tip is not the end of a room without a disk", x->tip);
}

static int found_row(void *ctx, const struct store_message *row)
{
    const struct note *n = ctx;
    struct hash line;

    entry_line_hash(row->line, &line);
    return hash_same(&line, &n->line) ? 1 : 0;
}

static void note_check(struct world *w, const struct note *n)
{
    const struct mist *x = world_mist(w, &n->room);
    const struct store *s = x == NULL ? &w->store : world_window(w);
    struct err e = {0};

    if (!n->acked || (x != NULL && (!x->there || n->number < x->first)))
        return;
    int found = n->number == 0 ? 0
                               : s->ops->message_range(s->db, &n->room, n->number, n->number,
                                                       found_row, (void *)(uintptr_t)n, &e);
    if (found != 1)
        lost(w, "an acknowledged entry is gone, number", n->number);
}

static void integrity(struct world *w)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    const char *says = "cannot be opened";

    if (sqlite3_open_v2(w->path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        says = (const char *)sqlite3_column_text(s, 0);
    if (strcmp(says, "ok") != 0) {
        w->lost++;
        if (!w->lossy)
            world_fail(w, "integrity_check: %s", says);
    }
    sqlite3_finalize(s);
    sqlite3_close(db);
}

void world_check_relay(struct world *w)
{
    struct err e = {0};

    if (w->core == NULL)
        return;
    integrity(w);
    if (w->store.ops->room_each(w->store.db, walk_room, w, &e) < 0)
        world_fail(w, "rooms: %s", e.text);
    for (size_t i = 0; i < w->mists_n; i++)
        if (w->mists[i].there)
            check_mist(w, w->mists + i);
    for (size_t i = 0; i < w->notes_n; i++)
        note_check(w, w->notes + i);
}

/* --- a member's disk --- */

struct box {
    struct world *w;
    int who;
    uint64_t seen[NOTES / 64 + 1]; /* notes found in the outbox */
};

static int box_row(void *ctx, const struct keep_out *o)
{
    struct box *b = ctx;
    struct hash line;

    entry_line_hash(o->line, &line);
    for (size_t i = 0; i < b->w->notes_n; i++) {
        struct note *n = b->w->notes + i;
        if (n->who != b->who || n->seq != o->seq || memcmp(&n->room, &o->room, sizeof o->room) != 0)
            continue;
        b->seen[i / 64] |= UINT64_C(1) << (i % 64);
        if (n->left && !hash_same(&n->line, &line))
            lost(b->w, "other bytes in the outbox than were sent, seq", o->seq);
    }
    return 0;
}

/* A room without a disk is forgotten, with what waits to be said there, by who is in it no more. */
static bool forgotten(const struct world *w, int who, const struct room_id *room)
{
    const struct mist *x = world_mist(w, room);

    return x != NULL && (!x->there || !world_sits(w, who, room));
}

void world_check_member(struct world *w, int who)
{
    struct member_sim *m = w->m + who;
    struct box b = {.w = w, .who = who};
    struct err e = {0};

    if (m->keep.ops->out_each(m->keep.k, box_row, &b, &e) < 0) {
        w->lost++;
        if (!w->lossy)
            world_fail(w, "the outbox: %s", e.text);
        return;
    }
    for (size_t i = 0; i < w->notes_n; i++) {
        const struct note *n = w->notes + i;
        struct keep_room r = {0};

        if (n->who != who || forgotten(w, who, &n->room) || (!n->left && !n->said) ||
            (b.seen[i / 64] >> (i % 64) & 1) != 0)
            continue;
        if (m->keep.ops->room_get(m->keep.k, &n->room, &r, &e) != 1 || r.acked < n->seq)
            lost(w, n->left ? "sent, and gone from the outbox: seq" : "said, and gone: seq",
                 n->seq);
    }
}

/* --- everybody, at the end --- */

struct kept {
    struct world *w;
    int who;
    const struct room_id *room;
    uint16_t times[NUMBERS];
};

static int kept_row(void *ctx, const struct engine_entry *t)
{
    struct kept *k = ctx;
    struct hash shown;

    if (memcmp(&t->room, k->room, sizeof t->room) != 0)
        return 0;
    if (t->refused != NULL)
        world_fail(k->w, "an honest message was refused: %s", t->refused);
    sha256(span_of(t->text.p, t->text.n), &shown);
    if (t->number < NUMBERS)
        k->times[t->number]++;
    for (size_t i = 0; i < k->w->notes_n; i++) {
        const struct note *n = k->w->notes + i;
        if (n->number != t->number || memcmp(&n->room, k->room, sizeof n->room) != 0)
            continue;
        if (n->said && !n->voided && !hash_same(&shown, &n->text))
            world_fail(k->w, "another text is shown than was said, number %llu",
                       (unsigned long long)t->number);
        return 0;
    }
    world_fail(k->w, "a message that nobody said is shown, number %llu",
               (unsigned long long)t->number);
    return 0;
}

static void check_reader(struct world *w, const struct seat *s)
{
    struct kept *k = calloc(1, sizeof *k);
    const struct engine_room *r = engine_room_get(w->m[s->who].g, &s->room);
    struct err e = {0};

    if (k == NULL || r == NULL || !r->joined) {
        world_fail(w, "member %d does not know that he is one (phase %d, lie %d to %d): %s", s->who,
                   (int)engine_phase(w->m[s->who].g), (int)w->lie, w->victim, w->m[s->who].why);
        free(k);
        return;
    }
    *k = (struct kept){.w = w, .who = s->who, .room = &s->room};
    if (engine_kept(w->m[s->who].g, 0, kept_row, k, &e) < 0)
        world_fail(w, "kept: %s", e.text);
    const struct mist *x = world_mist(w, &s->room);
    uint64_t first = x != NULL && r->first > s->from ? r->first : s->from; /* the rest fell out */
    if (first > s->from && first > x->first)
        world_fail(w, "member %d has nothing from before %llu, and the relay has", s->who,
                   (unsigned long long)first);
    for (uint64_t n = first; n <= r->number && n < NUMBERS; n++)
        if (k->times[n] != 1)
            world_fail(w, "member %d has message %llu %u times", s->who, (unsigned long long)n,
                       k->times[n]);
    free(k);
}

static uint64_t tip_of(struct world *w, const struct room_id *room)
{
    uint64_t tip = 0;

    for (size_t i = 0; i < w->notes_n; i++)
        if (memcmp(&w->notes[i].room, room, sizeof *room) == 0 && w->notes[i].number > tip)
            tip = w->notes[i].number;
    return tip;
}

static void check_members(struct world *w, const struct seat *s)
{
    const struct engine_room *r = engine_room_get(w->m[s->who].g, &s->room);

    if (r != NULL && r->number != tip_of(w, &s->room))
        world_fail(w, "member %d is at %llu, the room at %llu", s->who,
                   (unsigned long long)r->number, (unsigned long long)tip_of(w, &s->room));
    if (!w->lossy)
        world_check_members(w, s->who, &s->room);
}

struct gone {
    const struct room_id *room;
    unsigned n;
};

static int gone_row(void *ctx, const struct engine_entry *t)
{
    struct gone *x = ctx;

    x->n += memcmp(&t->room, x->room, sizeof t->room) == 0 && t->text.n > 0;
    return 0;
}

/* Of a room without a disk that has ended nothing is left at its members either. */
static void check_forgotten(struct world *w, int who, const struct mist *x)
{
    const struct engine_room *r = engine_room_get(w->m[who].g, &x->id);
    struct gone left = {.room = &x->id};
    struct err e = {0};

    if (x->there)
        return;
    if (engine_kept(w->m[who].g, 0, gone_row, &left, &e) < 0)
        world_fail(w, "kept: %s", e.text);
    if (left.n > 0 || (r != NULL && r->queued > 0))
        world_fail(w, "%s has %u messages of a room that ended without a disk, and %u to send",
                   world_name(who), left.n, r == NULL ? 0 : r->queued);
}

/* Who has been shown the further certificate and did not take it is stopped where its owner sits.
 */
static void check_stopped(struct world *w, int who)
{
    const struct member_sim *m = w->m + who;

    for (size_t i = 0; i < engine_rooms(m->g); i++) {
        const struct engine_room *r = engine_room_at(m->g, i);
        uint64_t joined[PEOPLE];
        world_signed(w, &r->id, r->number, joined);
        bool due = r->joined && r->kind != ENGINE_PUBLIC && joined[ENROLLED] != 0 && m->shown_key &&
                   !m->accepted;
        if (due && !engine_blocked(m->g, &r->id))
            world_fail(w, "%s: %s is not stopped by a certificate that nobody accepted", r->name,
                       world_name(who));
        if (!w->enrolled && engine_blocked(m->g, &r->id))
            world_fail(w, "%s: %s is stopped by nothing", r->name, world_name(who));
    }
}

void world_check_all(struct world *w)
{
    world_check_relay(w);
    for (int i = 0; i < PEOPLE; i++)
        world_check_member(w, i);
    for (size_t i = 0; i < w->notes_n && world_good(w); i++) {
        const struct note *n = w->notes + i;
        const struct engine_room *r = engine_room_get(w->m[n->who].g, &n->room);
        if (n->said && n->number == 0 && r != NULL && r->joined)
            world_fail(w, "what member %d said as %llu was never numbered", n->who,
                       (unsigned long long)n->seq);
    }
    for (size_t i = 0; i < w->seats_n && world_good(w); i++)
        if (w->seats[i].in) {
            check_reader(w, w->seats + i);
            check_members(w, w->seats + i);
        }
    for (int i = 0; i < PEOPLE; i++)
        if (w->m[i].refused + w->m[i].alarms > 0)
            world_fail(w, "member %d was alarmed by an honest relay: %s", i, w->m[i].why);
    for (int i = 0; i < PEOPLE && world_good(w); i++) {
        check_stopped(w, i);
        for (size_t k = 0; k < w->mists_n; k++)
            check_forgotten(w, i, w->mists + k);
    }
}

/* --- after a lie --- */

bool member_noticed(const struct world *w, int who)
{
    const struct member_sim *m = w->m + who;

    for (size_t i = 0; m->g != NULL && i < engine_rooms(m->g); i++) {
        const struct engine_room *r = engine_room_at(m->g, i);
        if (r->broken || r->read_only)
            return true;
    }
    return m->refused + m->alarms > 0;
}

/* Told that a leave is void, and so not given its body: nobody can tell that it was one, until a
 * line that follows counts the members otherwise. */
static bool robbed(const struct world *w, const struct seat *s)
{
    return w->lie == LIE_VOID && w->lie_kind == CONTENT_LEAVE && w->lied && s->who == w->victim &&
           memcmp(&s->room, &w->lie_room, sizeof s->room) == 0;
}

/* Who has noticed nothing sees what the relay has; of silence, what it had before. */
static void check_unaware(struct world *w, const struct seat *s)
{
    bool silent = w->lie == LIE_WITHHELD && w->lied && s->who == w->victim &&
                  memcmp(&s->room, &w->lie_room, sizeof s->room) == 0;

    if (silent) {
        world_check_members(w, s->who, &s->room);
        return;
    }
    check_reader(w, s);
    if (!robbed(w, s))
        check_members(w, s);
}

unsigned world_check_lie(struct world *w)
{
    unsigned noticed = 0;

    if (w->core == NULL) /* its own store was found damaged: it serves nobody */
        return 1;
    for (size_t i = 0; w->lossy && i < w->notes_n; i++) /* what was lost has no number any more */
        if (world_mist(w, &w->notes[i].room) == NULL)
            w->notes[i].number = w->notes[i].acked = 0;
    world_check_relay(w);
    for (int i = 0; i < PEOPLE; i++) {
        if (w->m[i].g == NULL)
            continue;
        world_check_member(w, i);
        noticed += member_noticed(w, i);
    }
    for (size_t i = 0; i < w->seats_n && world_good(w); i++)
        if (w->seats[i].in && w->m[w->seats[i].who].g != NULL &&
            !member_noticed(w, w->seats[i].who))
            check_unaware(w, w->seats + i);
    return noticed;
}
