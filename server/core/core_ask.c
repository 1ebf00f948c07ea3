/* Questions: members, certificates, history; and what members report as delivered. */
#include "server/core/core_inner.h"

#include <stdlib.h>
#include <string.h>

static const char no_room[] = "there is no such room";

struct member *member_asking(struct ask *a, const struct room_id *id)
{
    struct room *r = room_by_id(a->c, id);
    struct member *m = r == NULL ? NULL : member_find(r, a->k->account);
    return m != NULL && m->row.state == STATE_MEMBER ? m : NULL;
}

/* --- members --- */

struct roll {
    struct f_member_info *members;
    struct f_device_info *devices;
    size_t members_n, devices_n;
};

static int roll_alloc(const struct room *r, struct roll *l)
{
    size_t devices = 0;

    for (const struct member *m = r->members; m != NULL; m = m->hh.next)
        for (const struct device *d = m->account->devices; d != NULL; d = d->next)
            devices++;
    l->members = calloc(r->members_n + 1, sizeof *l->members);
    l->devices = calloc(devices + 1, sizeof *l->devices);
    return l->members == NULL || l->devices == NULL ? -1 : 0;
}

/* Every good device and, with `past`, the newest of the revoked ones while there is room. */
static void roll_add(struct roll *l, const struct member *m, bool past)
{
    struct f_member_info *i = &l->members[l->members_n++];
    unsigned good = devices_good(m->account), spare = good < DEVICES_MAX ? DEVICES_MAX - good : 0;

    *i = (struct f_member_info){.account = m->row.account,
                                .name = str_of(m->account->row.name),
                                .role = m->row.role,
                                .online = m->account->conns != NULL,
                                .delivered = m->row.delivered,
                                .devices = &l->devices[l->devices_n]};
    for (const struct device *d = m->account->devices; d != NULL; d = d->next) {
        if (d->row.revoked != 0 && (!past || spare == 0))
            continue;
        spare -= d->row.revoked != 0;
        l->devices[l->devices_n++] =
            (struct f_device_info){d->row.fp, str_of(d->row.name), d->row.since, d->row.revoked};
        i->devices_n++;
    }
}

/* With revoked devices when that fits one frame, else without. -1: not even then. */
static int roll_send(struct ask *a, const struct room *r, struct roll *l, bool past)
{
    l->members_n = l->devices_n = 0;
    for (const struct member *m = r->members; m != NULL; m = m->hh.next)
        if (m->row.state == STATE_MEMBER)
            roll_add(l, m, past);
    struct f_members f = {a->j->frame.u.members_ask.id, r->row.id, r->number, l->members,
                          l->members_n};
    return core_send(a->c, a->k->id, F_MEMBERS, &f);
}

void ask_members(struct ask *a)
{
    struct member *m = member_asking(a, &a->j->frame.u.members_ask.room);
    struct roll l = {0};

    if (m == NULL) {
        ask_error(a, CODE_NO_SUCH, no_room);
        return;
    }
    if (roll_alloc(m->room, &l) < 0)
        core_fail(a->c, &(struct err){0});
    else if (roll_send(a, m->room, &l, true) < 0 && roll_send(a, m->room, &l, false) < 0)
        ask_error(a, CODE_LIMIT, "the members do not fit one frame");
    free(l.members);
    free(l.devices);
}

/* --- certificates --- */

/* One's own, and those of whoever writes or wrote in a room that we are in: who is admitted may
 * have entries from before that are voided now. */
static bool cert_visible(const struct account *me, const struct account *other)
{
    if (me == other)
        return true;
    for (const struct member *m = me->members; m != NULL; m = m->next) {
        if (m->row.state != STATE_MEMBER)
            continue;
        const struct member *o = member_find(m->room, other);
        if (o != NULL && (o->row.from > 0 || o->row.joined > 0 || o->row.state == STATE_ADMITTED))
            return true;
    }
    return false;
}

void ask_cert(struct ask *a)
{
    const struct f_cert_ask *f = &a->j->frame.u.cert_ask;
    struct device *d = device_find(a->c, &f->fp);
    struct store_chain got;

    if (d == NULL || !cert_visible(a->k->account, d->account) ||
        STORE(a->c, device_chain, &f->fp, &got) != 1) {
        ask_error(a, CODE_NO_SUCH, "there is no such certificate");
        return;
    }
    struct span chain[] = {span_of(got.leaf, got.leaf_n), span_of(got.issuer, got.issuer_n)};
    struct f_cert out = {f->id, f->fp,        d->row.account, str_of(d->row.name),
                         chain, COUNT(chain), d->row.revoked};
    (void)core_send(a->c, a->k->id, F_CERT, &out);
}

/* --- history --- */

struct page {
    struct f_entry entries[HISTORY_MAX];
    void *blocks[HISTORY_MAX];
    size_t n, max, bytes;
};

static size_t entry_bytes(const struct store_message *row)
{
    return row->line.n + b64_len(row->sig.n) + b64_len(row->body.n) + 6 * row->why.n + 160;
}

/* 1: the page is full. */
static int page_add(void *ctx, const struct store_message *row)
{
    struct page *p = ctx;
    size_t n = row->line.n + row->sig.n + row->body.n + row->why.n;

    if (p->n == p->max || p->bytes + entry_bytes(row) > HISTORY_BYTES)
        return 1;
    uint8_t *b = malloc(n + 1);
    if (b == NULL)
        return -1;
    struct wr w = wr_of(b, n + 1);
    struct f_entry *f = &p->entries[p->n];
    const struct span parts[] = {span_of(row->line.p, row->line.n), row->sig, row->body,
                                 span_of(row->why.p, row->why.n)};
    struct span at[COUNT(parts)];
    for (size_t i = 0; i < COUNT(parts); i++) {
        at[i] = span_of(b + w.len, parts[i].n);
        if (parts[i].n > 0)
            wr_put(&w, parts[i].p, parts[i].n);
    }
    *f = (struct f_entry){row->number, row->time, str_from(at[0].p, at[0].n),
                          at[1],       at[2],     str_from(at[3].p, at[3].n)};
    p->blocks[p->n++] = b;
    p->bytes += entry_bytes(row);
    return 0;
}

static void page_free(struct page *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->blocks[i]);
    free(p);
}

static void page_turn(struct page *p)
{
    for (size_t i = 0; i < p->n / 2; i++) {
        struct f_entry f = p->entries[i];
        void *b = p->blocks[i];
        p->entries[i] = p->entries[p->n - 1 - i];
        p->blocks[i] = p->blocks[p->n - 1 - i];
        p->entries[p->n - 1 - i] = f;
        p->blocks[p->n - 1 - i] = b;
    }
}

/* Fills the page with what this member may read; gives its first number. */
static uint64_t page_fill(struct core *c, const struct member *m, const struct f_history_ask *f,
                          struct page *p)
{
    struct room *r = m->room;
    uint64_t from = member_from(c, m), first = f->after + 1, last = f->before - 1;

    if (f->has_after) {
        if (f->after < from)
            first = from;
        if (f->after >= r->number)
            return r->number + 1;
        if (first <= r->number)
            (void)ROOM_STORE(c, r, message_range, &r->row.id, first, r->number, page_add, p);
        return first;
    }
    if (last > r->number)
        last = r->number;
    if (last < from)
        return from;
    /* Downwards: one row more than asked for when first and last would look like upwards. */
    if (last == from)
        (void)ROOM_STORE(c, r, message_range, &r->row.id, from, from, page_add, p);
    else
        (void)ROOM_STORE(c, r, message_range, &r->row.id, last, from, page_add, p);
    page_turn(p);
    return p->n > 0 ? p->entries[0].number : from;
}

void ask_history(struct ask *a)
{
    const struct f_history_ask *f = &a->j->frame.u.history_ask;
    struct member *m = member_asking(a, &f->room);
    struct page *p = m == NULL ? NULL : calloc(1, sizeof *p);

    if (m == NULL) {
        ask_error(a, CODE_NO_SUCH, no_room);
        return;
    }
    if (p == NULL) {
        core_fail(a->c, &(struct err){0});
        return;
    }
    p->max = f->count < HISTORY_MAX ? (size_t)f->count : HISTORY_MAX;
    struct f_history out = {.re = f->id, .room = f->room, .first = page_fill(a->c, m, f, p)};
    if (room_head(a->c, m->room, out.first - 1, &out.head) == 0)
        core_fail(a->c, &(struct err){ERR_DATA, "the store: a room's history has a hole"});
    out.entries = p->entries;
    out.entries_n = p->n;
    if (core_send(a->c, a->k->id, F_HISTORY, &out) < 0)
        ask_error(a, CODE_LIMIT, "the page does not fit one frame");
    page_free(p);
}

/* Who is a member since when, in their own words: all of the room's, since before a member's first
 * number others came. */
void ask_roll(struct ask *a)
{
    const struct f_roll_ask *f = &a->j->frame.u.roll_ask;
    struct member *m = member_asking(a, &f->room);
    struct page *p = m == NULL ? NULL : calloc(1, sizeof *p);

    if (m == NULL) {
        ask_error(a, CODE_NO_SUCH, no_room);
        return;
    }
    if (p == NULL) {
        core_fail(a->c, &(struct err){0});
        return;
    }
    p->max = HISTORY_MAX;
    bool cut = ROOM_STORE(a->c, m->room, message_seats, &f->room, f->after, page_add, p) > 0;
    struct f_roll out = {.re = f->id,
                         .room = f->room,
                         .upto = cut ? p->entries[p->n - 1].number : m->room->number,
                         .entries = p->entries,
                         .entries_n = p->n};
    if (core_send(a->c, a->k->id, F_ROLL, &out) < 0)
        ask_error(a, CODE_LIMIT, "the page does not fit one frame");
    page_free(p);
}

/* --- delivered --- */

void ask_delivered(struct ask *a)
{
    const struct f_delivered_say *f = &a->j->frame.u.delivered_say;
    struct member *m = member_asking(a, &f->room);

    if (m == NULL || f->number <= m->row.delivered || f->number > m->room->number)
        return; /* he may have left just now; nothing goes backwards */
    struct store_member row = m->row;
    row.delivered = f->number;
    if (member_set(a->c, m->room, m->account, &row) == NULL ||
        m->room->members_n > DELIVERED_MEMBERS_MAX)
        return;
    struct f_delivered out = {f->room, m->row.account, f->number};
    core_publish(a->c, m->room, a->k->id, F_DELIVERED, &out);
}
