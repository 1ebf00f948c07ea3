/* The local part of every room: who is in it on this loop. */
#include <stdlib.h>

#include "server/conn.h"

struct crowd *crowd_find(const struct loop *l, const struct room_id *id)
{
    struct crowd *r;

    HASH_FIND(hh, l->rooms, id, sizeof *id, r);
    return r;
}

static struct crowd *crowd_get(struct loop *l, const struct room_id *id)
{
    struct crowd *r = crowd_find(l, id);

    if (r != NULL || (r = calloc(1, sizeof *r)) == NULL)
        return r;
    r->id = *id;
    HASH_ADD(hh, l->rooms, id, sizeof r->id, r);
    if (HASH_ADDED(hh, r))
        return r;
    free(r);
    return NULL;
}

/* Room for one more pointer. */
static void *grown(void *p, size_t n, size_t *cap)
{
    if (n < *cap)
        return p;
    size_t more = *cap == 0 ? 4 : *cap * 2;
    void *bigger = realloc(p, more * sizeof(void *));
    if (bigger != NULL)
        *cap = more;
    return bigger;
}

static void crowd_free(struct loop *l, struct crowd *r)
{
    HASH_DEL(l->rooms, r);
    free(r->members);
    free(r);
}

static bool is_in(const struct crowd *r, const struct conn *c)
{
    for (size_t i = 0; i < c->rooms_n; i++)
        if (c->rooms[i] == r)
            return true;
    return false;
}

int crowd_enter(struct loop *l, const struct room_id *id, struct conn *c)
{
    struct crowd *r = crowd_get(l, id);

    if (r == NULL)
        return -1;
    if (is_in(r, c))
        return 0;
    struct conn **members = grown(r->members, r->n, &r->cap);
    struct crowd **rooms = grown(c->rooms, c->rooms_n, &c->rooms_cap);
    if (members != NULL)
        r->members = members;
    if (rooms != NULL)
        c->rooms = rooms;
    if (members == NULL || rooms == NULL) {
        if (r->n == 0)
            crowd_free(l, r);
        return -1;
    }
    r->members[r->n++] = c;
    c->rooms[c->rooms_n++] = r;
    return 0;
}

static void part(struct loop *l, struct crowd *r, struct conn *c)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->members[i] == c) {
            r->members[i] = r->members[--r->n];
            break;
        }
    for (size_t i = 0; i < c->rooms_n; i++)
        if (c->rooms[i] == r) {
            c->rooms[i] = c->rooms[--c->rooms_n];
            break;
        }
    if (r->n == 0)
        crowd_free(l, r);
}

void crowd_leave(struct loop *l, const struct room_id *id, struct conn *c)
{
    struct crowd *r = crowd_find(l, id);

    if (r != NULL && is_in(r, c))
        part(l, r, c);
}

void crowds_leave(struct conn *c)
{
    while (c->rooms_n > 0)
        part(c->loop, c->rooms[0], c);
}
