/* The relay's rooms without a disk: what of its core no store shows. */
#include "server/core/core_inner.h"
#include "support_world.h"

const struct store *world_window(const struct world *w)
{
    return &w->core->window;
}

void world_mist_each(struct world *w, store_each_room *room, store_each_member *member)
{
    for (struct room *r = w->core == NULL ? NULL : w->core->rooms; r != NULL; r = r->hh.next) {
        const struct store_tip tip = {.number = r->number, .head = r->head};
        if (!r->row.ephemeral)
            continue;
        (void)room(w, &r->row, &tip);
        for (struct member *m = r->members; m != NULL; m = m->hh.next)
            (void)member(w, &m->row);
    }
}
