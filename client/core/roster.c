#include "client/core/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void roster_free(struct roster *x)
{
    free(x->rows);
    *x = (struct roster){0};
}

int roster_load(struct roster *x, const struct roster_row *row)
{
    if (x->n == x->cap) {
        size_t cap = x->cap == 0 ? 8 : 2 * x->cap;
        struct roster_row *rows = realloc(x->rows, cap * sizeof *rows);
        if (rows == NULL)
            return -1;
        x->rows = rows;
        x->cap = cap;
    }
    x->rows[x->n++] = *row;
    return 0;
}

/* --- looking up: the newest first --- */

static struct roster_row *row_find(const struct roster *x, const char *name, bool invitation,
                                   uint64_t below)
{
    for (size_t i = x->n; i-- > 0;) {
        struct roster_row *row = x->rows + i;
        if (row->invitation == invitation && row->number < below && strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

const struct roster_row *roster_seat(const struct roster *x, const char *name, uint64_t number)
{
    const struct roster_row *row = row_find(x, name, false, number);

    return row != NULL && (row->end == 0 || row->end >= number) ? row : NULL;
}

const struct roster_row *roster_member(const struct roster *x, const char *name, uint64_t number)
{
    const struct roster_row *row = row_find(x, name, false, number + 1);

    return row != NULL && (row->end == 0 || row->end > number) ? row : NULL;
}

/* An invitation that has admitted nobody yet. */
static struct roster_row *invitation(const struct roster *x, const char *name, uint64_t number)
{
    struct roster_row *row = row_find(x, name, true, number);

    return row != NULL && row->end == 0 ? row : NULL;
}

bool roster_has(const struct roster *x, const struct roster_entry *t)
{
    for (size_t i = x->n; i-- > 0;) {
        const struct roster_row *row = x->rows + i;
        if (t->what->kind == CONTENT_LEAVE
                ? !row->invitation && row->end == t->number && strcmp(row->name, t->author) == 0
                : row->number == t->number && hash_same(&row->line, t->line))
            return true;
    }
    return false;
}

/* --- the hash that an inviter signs --- */

static int hash_order(const void *a, const void *b)
{
    return memcmp(a, b, HASH_LEN);
}

int roster_hash(const struct roster *x, uint64_t number, struct hash *out)
{
    struct hash *lines = calloc(x->n + 1, sizeof *lines);
    size_t n = 0;

    if (lines == NULL)
        return -1;
    for (size_t i = 0; i < x->n; i++) {
        const struct roster_row *row = x->rows + i;
        if (!row->invitation && row->number <= number && (row->end == 0 || row->end > number))
            lines[n++] = row->line;
    }
    qsort(lines, n, sizeof *lines, hash_order);
    sha256(span_of(lines, n * sizeof *lines), out);
    free(lines);
    return 0;
}

/* --- judging --- */

static int join_direct(const struct roster_rules *rules, const struct roster_entry *t,
                       struct err *e)
{
    bool mine = strcmp(t->author, rules->me) == 0;
    const char *other = mine ? rules->peer : rules->me;

    if (!mine && strcmp(t->author, rules->peer) != 0)
        return err_set(e, ERR_PEER, "a third one joins a room of two");
    if (!t->what->has_with || !str_is(t->what->with.name, other))
        return err_set(e, ERR_PEER, "its author joins a room with somebody else");
    return 0;
}

/* The first entry of a room is its founder's join. Rooms older than signed joins begin otherwise:
 * there a member of before cannot show an invitation. */
static bool founder(const struct roster *x, const struct roster_entry *t)
{
    return x->since == 0 || x->since == t->number;
}

bool roster_uninvited(const struct roster_rules *rules, const struct roster_row *stay)
{
    return rules->kind == ROSTER_PRIVATE && stay->from == 0 && stay->number > 1;
}

static int join_private(const struct roster *x, const struct roster_entry *t, struct err *e)
{
    const struct roster_row *in = invitation(x, t->author, t->number);

    if (in == NULL && (founder(x, t) || x->since > 1))
        return 0;
    if (in == NULL)
        return err_set(e, ERR_PEER, "its author joins, but no member has invited them");
    return account_id_same(&in->account, &t->what->who.account)
               ? 0
               : err_set(e, ERR_PEER, "its author joins, but another account was invited");
}

static int check_join(const struct roster *x, const struct roster_rules *rules,
                      const struct roster_entry *t, struct err *e)
{
    if (!str_is(t->what->who.name, t->author))
        return err_set(e, ERR_PEER, "its author joins in the name of somebody else");
    if (roster_seat(x, t->author, t->number) != NULL)
        return err_set(e, ERR_PEER, "its author joins and is a member already");
    if (rules->kind == ROSTER_DIRECT)
        return join_direct(rules, t, e);
    if (t->what->has_with)
        return err_set(e, ERR_PEER, "its author joins as if this were a room of two");
    return rules->kind == ROSTER_PRIVATE ? join_private(x, t, e) : 0;
}

static int check_invite(const struct roster_rules *rules, const struct roster_entry *t,
                        struct err *e)
{
    if (rules->kind != ROSTER_PRIVATE)
        return err_set(e, ERR_PEER, "its author invites into a room that is not by invitation");
    if (t->what->at >= t->number)
        return err_set(e, ERR_PEER, "its author vouches for members of later");
    return 0;
}

int roster_check(const struct roster *x, const struct roster_rules *rules,
                 const struct roster_entry *t, struct err *e)
{
    if (t->what->kind == CONTENT_JOIN)
        return check_join(x, rules, t, e);
    if (x->since > t->number)
        return 0;
    if (roster_seat(x, t->author, t->number) == NULL)
        return err_set(e, ERR_PEER, "its author is not a member of this room: no signed join");
    return t->what->kind == CONTENT_INVITE ? check_invite(rules, t, e) : 0;
}

/* --- taking in --- */

/* Whoever comes and goes for years does not fill our memory: the oldest that ended goes first. */
static uint64_t make_place(struct roster *x)
{
    for (size_t i = 0; x->n >= ROSTER_ROWS_MAX && i < x->n; i++) {
        uint64_t number = x->rows[i].number;
        if (x->rows[i].end == 0 && !x->rows[i].invitation)
            continue;
        memmove(x->rows + i, x->rows + i + 1, (x->n - i - 1) * sizeof *x->rows);
        x->n--;
        return number;
    }
    return 0;
}

static struct roster_row *row_add(struct roster *x, const struct roster_entry *t,
                                  struct roster_change *c)
{
    struct roster_row row = {.number = t->number,
                             .invitation = t->what->kind == CONTENT_INVITE,
                             .account = t->what->who.account,
                             .fp = *t->fp,
                             .line = *t->line};

    snprintf(row.name, sizeof row.name, "%.*s", (int)t->what->who.name.n, t->what->who.name.p);
    c->dropped = make_place(x);
    if (roster_load(x, &row) < 0)
        return NULL;
    return x->rows + x->n - 1;
}

static void join_apply(struct roster *x, struct roster_row *row, struct roster_change *c)
{
    struct roster_row *in = invitation(x, row->name, row->number);

    if (in == NULL)
        return;
    in->end = row->number;
    row->from = in->number;
    memcpy(row->by, in->by, sizeof row->by);
    c->row[c->n++] = in;
}

int roster_apply(struct roster *x, const struct roster_entry *t, struct roster_change *c,
                 struct err *e)
{
    struct roster_row *row;

    *c = (struct roster_change){.n = 0};
    if (t->what->kind == CONTENT_LEAVE) {
        row = row_find(x, t->author, false, t->number);
        if (row == NULL)
            return 0;
        row->end = t->number;
    } else {
        row = row_add(x, t, c);
        if (row == NULL)
            return err_set(e, ERR_OS, "no memory for the members of a room");
        if (row->invitation) {
            snprintf(row->by, sizeof row->by, "%s", t->author);
            row->at = t->what->at;
            row->roster = t->what->roster;
        } else {
            join_apply(x, row, c);
        }
    }
    c->row[c->n++] = row;
    if (x->since == 0)
        x->since = t->number;
    return 0;
}
