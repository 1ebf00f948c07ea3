/* engine_nature.c -- what a room is: its name, public, private or direct, with whom, stored by the
 * relay or not. It is what it was when we first heard of it: which checks apply, and what may be
 * forgotten, hangs on it, so the relay has no second word in it. */
#include <stdio.h>
#include <string.h>

#include "client/core/engine_inner.h"

static const enum keep_kind kept_kinds[] = {
    [ROOM_PUBLIC] = KEEP_PUBLIC,
    [ROOM_PRIVATE] = KEEP_PRIVATE,
    [ROOM_DIRECT] = KEEP_DIRECT,
};

void nature_show(struct room *r)
{
    static const enum engine_kind kinds[] = {
        [KEEP_UNHEARD] = ENGINE_PRIVATE, /* the one with the most checks */
        [KEEP_PUBLIC] = ENGINE_PUBLIC,
        [KEEP_PRIVATE] = ENGINE_PRIVATE,
        [KEEP_DIRECT] = ENGINE_DIRECT,
    };

    memcpy(r->pub.name, r->kept.name, sizeof r->pub.name);
    r->pub.kind = kinds[r->kept.kind];
    r->pub.ephemeral = r->kept.ephemeral;
}

/* A room that was kept before its nature was: whether it is ephemeral is known already. */
static void first_heard(struct room *r, const struct f_room_info *info)
{
    struct keep_room *k = &r->kept;

    if (!k->based)
        k->ephemeral = info->ephemeral;
    k->kind = kept_kinds[info->kind];
    k->with = info->has_with ? info->with : (struct account_id){{0}};
    nature_show(r);
}

/* Or for the first time since names are kept. */
static void name_heard(struct room *r, const struct f_room_info *info)
{
    snprintf(r->kept.name, sizeof r->kept.name, "%.*s", (int)info->name.n, info->name.p);
    nature_show(r);
}

static const char *kind_word(enum keep_kind kind)
{
    static const char *const words[] = {
        [KEEP_UNHEARD] = "nothing",
        [KEEP_PUBLIC] = "a public room",
        [KEEP_PRIVATE] = "a private room",
        [KEEP_DIRECT] = "a direct room",
    };

    return words[kind];
}

static void compare(struct engine *g, struct room *r, const struct f_room_info *info)
{
    const struct keep_room *k = &r->kept;

    if (kept_kinds[info->kind] != k->kind)
        room_break(g, r, "the relay calls %s what was %s", kind_word(kept_kinds[info->kind]),
                   kind_word(k->kind));
    else if (info->ephemeral != k->ephemeral)
        room_break(g, r,
                   k->ephemeral ? "the relay says that it is stored, and it was ephemeral"
                                : "the relay says that it is ephemeral, and it was stored");
    else if (k->kind == KEEP_DIRECT && !account_id_same(&info->with, &k->with))
        room_break(g, r, "the relay says that it is with somebody else than before");
    else if (!str_is(info->name, k->name))
        room_break(g, r, "the relay calls it %.*s now", (int)info->name.n, info->name.p);
}

int nature_take(struct engine *g, struct room *r, const struct f_room_info *info)
{
    if (r->kept.name[0] == '\0')
        name_heard(r, info);
    if (r->kept.kind == KEEP_UNHEARD)
        first_heard(r, info);
    else
        compare(g, r, info);
    return r->kept.ephemeral ? ephemeral_entered(g, r) : 0;
}
