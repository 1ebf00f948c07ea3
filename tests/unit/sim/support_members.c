/* Who is a member: what the members signed, against what each of them is shown and what the relay
 * has. */
#include <string.h>

#include "support_world.h"

/* The latest of his joins and leaves decides; one that was voided says nothing. */
static const struct note *latest(const struct world *w, int who, const struct room_id *room,
                                 uint64_t upto)
{
    const struct note *last = NULL;

    for (size_t i = 0; i < w->notes_n; i++) {
        const struct note *n = w->notes + i;
        if (n->who == who && n->number != 0 && n->number <= upto && !n->voided &&
            (n->kind == CONTENT_JOIN || n->kind == CONTENT_LEAVE) &&
            memcmp(&n->room, room, sizeof *room) == 0 && (last == NULL || n->number > last->number))
            last = n;
    }
    return last;
}

void world_signed(const struct world *w, const struct room_id *room, uint64_t upto,
                  uint64_t joined[PEOPLE])
{
    for (int i = 0; i < PEOPLE; i++) {
        const struct note *n = latest(w, i, room, upto);
        joined[i] = n != NULL && n->kind == CONTENT_JOIN ? n->number : 0;
    }
}

static const struct engine_member *shown(const struct engine_room *r, int who)
{
    for (unsigned i = 0; i < r->members_n; i++)
        if (!r->members[i].left && strcmp(r->members[i].name, world_name(who)) == 0)
            return r->members + i;
    return NULL;
}

static bool seated(const struct world *w, const struct room_id *room, int who)
{
    for (size_t i = 0; i < w->seats_n; i++)
        if (w->seats[i].who == who && memcmp(&w->seats[i].room, room, sizeof *room) == 0)
            return w->seats[i].in;
    return false;
}

void world_check_members(struct world *w, int who, const struct room_id *room)
{
    const struct engine_room *r = engine_room_get(w->m[who].g, room);
    uint64_t joined[PEOPLE];
    unsigned n = 0;

    if (r == NULL || r->members_n == 0)
        return;
    if ((r->kind == ENGINE_PRIVATE) != (strcmp(r->name, "cellar") == 0))
        world_fail(w, "%s: %s takes it for what it is not", r->name, world_name(who));
    world_signed(w, room, r->number, joined);
    for (int i = 0; i < PEOPLE; i++) {
        const struct engine_member *m = shown(r, i);
        n += m != NULL;
        if ((m != NULL) != (joined[i] != 0))
            world_fail(w, "%s: %s is shown %s as a member, who signed %s", r->name, world_name(who),
                       world_name(i), joined[i] == 0 ? "no join that holds" : "his join");
        else if (m != NULL && (m->proof != ENGINE_SIGNED || m->joined != joined[i]))
            world_fail(w, "%s: %s does not see that %s signed his join", r->name, world_name(who),
                       world_name(i));
        if (r->number == r->last && seated(w, room, i) != (joined[i] != 0))
            world_fail(w, "%s: the relay has %s %s, who signed the other", r->name, world_name(i),
                       joined[i] == 0 ? "in" : "out");
    }
    for (unsigned i = 0; i < r->members_n; i++)
        n -= !r->members[i].left;
    if (n != 0)
        world_fail(w, "%s: %s is shown a member who is nobody", r->name, world_name(who));
}
