/* The members' ends: an engine each, its disk, its connection. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/keep_sqlite.h"
#include "common/chat/account.h"
#include "support_parts.h"
#include "tests/unit/scratch.h"

static const struct hash relay_fp = {{9}};

struct clock_of {
    struct world *w;
    int who;
};

static struct clock_of clocks[PEOPLE]; /* of the one world there is */

static int64_t clock_wall(void *ctx)
{
    const struct clock_of *c = ctx;
    return c->w->mono + c->w->m[c->who].skew;
}

static int64_t clock_mono(void *ctx)
{
    return ((const struct clock_of *)ctx)->w->mono;
}

static void member_leave_link(struct world *w, int who)
{
    struct member_sim *m = w->m + who;
    struct link_plain *l = m->l;

    m->l = NULL;
    if (l == NULL)
        return;
    l->here = false;
    queue_clear(&l->down);
    if (l->s == NULL)
        link_end(l);
    else
        l->gone_at = w->mono + 1 + (int64_t)dice_below(&w->dice, 2000);
}

void member_stop(struct world *w, int who)
{
    struct member_sim *m = w->m + who;

    member_leave_link(w, who);
    engine_free(m->g);
    m->g = NULL;
    if (m->disk != NULL && m->keep.ops != NULL) {
        m->keep.ops->close(m->keep.k);
        m->keep = (struct keep){0};
    }
    m->boot_at = w->mono + 100 + (int64_t)dice_below(&w->dice, 3000);
}

static void member_dies(struct world *w, int who)
{
    w->cuts++;
    w->m[who].shown_key = false; /* what was being written down then may be lost: told again */
    member_stop(w, who);
}

static void told_bad(struct member_sim *m, unsigned *count, const char *text)
{
    ++*count;
    snprintf(m->why, sizeof m->why, "%s", text == NULL ? "" : text);
}

static int room_index(struct world *w, const struct room_id *id)
{
    for (size_t i = 0; i < w->rooms_n; i++)
        if (memcmp(w->rooms + i, id, sizeof *id) == 0)
            return (int)i;
    must(w->rooms_n < ROOMS, "too many rooms");
    w->rooms[w->rooms_n] = *id;
    return (int)w->rooms_n++;
}

static void told_entry(struct world *w, int who, const struct engine_entry *t)
{
    struct member_sim *m = w->m + who;
    int i = room_index(w, &t->room);

    if (t->refused != NULL)
        told_bad(m, &m->refused, t->refused);
    if (t->number == 0 || t->number >= NUMBERS)
        return;
    if (++m->shown[i][t->number] > 1 && w->lie == LIE_NONE)
        world_fail(w, "%s was shown message %llu twice", world_name(who),
                   (unsigned long long)t->number);
}

static void member_events(struct world *w, int who)
{
    struct member_sim *m = w->m + who;
    struct engine_event ev;

    while (engine_next(m->g, &ev)) {
        if (w->loud && ev.kind >= ENGINE_ANSWER && ev.text != NULL)
            fprintf(stderr, "# %lld %s: %s\n", (long long)(w->mono - NOON), world_name(who),
                    ev.text);
        switch (ev.kind) {
        case ENGINE_PASSWORD: engine_salted(m->g, &pool_get()->salted[who]); break;
        case ENGINE_ENTRY: told_entry(w, who, &ev.entry); break;
        case ENGINE_ALARM:
            if (!w->enrolled || strstr(ev.text, "has a new certificate") == NULL)
                told_bad(m, &m->alarms, ev.text);
            break;
        case ENGINE_NOTE: m->notes++; break;
        case ENGINE_CLOSE:
            told_bad(m, &m->closes, ev.text);
            if (ev.code == ERR_PEER && w->lie == LIE_NONE && !w->lossy)
                world_fail(w, "%s hung up: %s", world_name(who), ev.text);
            member_leave_link(w, who);
            engine_lost(m->g);
            m->dial_at = w->mono + 200 + (int64_t)dice_below(&w->dice, 1000);
            break;
        case ENGINE_READY:
        case ENGINE_ROOM:
        case ENGINE_MEMBERS:
        case ENGINE_STATE:
        case ENGINE_CAUGHT:
        case ENGINE_LISTED:
        case ENGINE_SEALED:
        case ENGINE_EVIDENCE:
        case ENGINE_ANSWER: break;
        }
    }
}

void member_flush(struct world *w, int who)
{
    struct member_sim *m = w->m + who;

    member_events(w, who);
    if (m->l != NULL) {
        struct span out = engine_out(m->g);
        if (out.n > 0) {
            frames_each(w, m->l, out, FROM_CLIENT, note_left);
            if (m->l->s != NULL && !m->l->severed)
                queue_add(w, &m->l->up, out);
            engine_sent(m->g, out.n);
        }
    }
    if (m->disk != NULL && disk_dead(m->disk))
        member_dies(w, who);
}

bool member_boot(struct world *w, int who)
{
    struct member_sim *m = w->m + who;
    struct err e = {0};
    struct engine_conf conf = {.account = world_name(who),
                               .device = "laptop",
                               .root_fp = pool_get()->root_fp,
                               .fp = pool_get()->fp[who],
                               .leaf = span_of(pool_get()->leaf[who].b, pool_get()->leaf[who].n),
                               .issuer = span_of(pool_get()->inter.b, pool_get()->inter.n),
                               .key = pool_get()->keys[who],
                               .trust = m->trust,
                               .cost = {1, 8},
                               .rng = w->rng,
                               .now = clock_wall,
                               .mono = clock_mono,
                               .clock_ctx = &clocks[who],
                               .follow = true,
                               .whole = true};

    clocks[who] = (struct clock_of){w, who};
    m->boot_at = 0;
    if (m->disk != NULL) {
        bool was = disk_dead(m->disk);
        if (was)
            disk_reboot(m->disk);
        m->keep =
            (struct keep){balk_ops(w), keep_sqlite_open(m->path, &pool_get()->keep, &w->rng, &e)};
    }
    if (m->disk != NULL && disk_dead(m->disk)) {
        member_dies(w, who);
        return false;
    }
    if (m->keep.k == NULL) {
        m->keep.ops = NULL;
        w->lost++;
        if (!w->lossy)
            world_fail(w, "%s's store does not open: %s", world_name(who), e.text);
        return false;
    }
    world_check_member(w, who);
    conf.keep = m->keep;
    memset(m->shown, 0, sizeof m->shown);
    m->g = engine_new(&conf, &e);
    if (m->disk != NULL && disk_dead(m->disk)) {
        member_dies(w, who);
        return false;
    }
    if (m->g == NULL) {
        w->lost++;
        if (!w->lossy)
            world_fail(w, "%s's engine does not start: %s", world_name(who), e.text);
        return false;
    }
    m->boots++;
    m->dial_at = w->mono;
    member_flush(w, who);
    return true;
}

static void member_dial(struct world *w, int who)
{
    struct member_sim *m = w->m + who;
    struct link_plain *l = NULL;
    struct err e = {0};

    m->dial_at = w->mono + 500 + (int64_t)dice_below(&w->dice, 1500);
    for (int i = 0; i < CONNS && l == NULL; i++)
        if (w->conns[i].id == 0)
            l = w->conns + i;
    if (w->core == NULL || l == NULL)
        return;
    *l = (struct link_plain){.id = ++w->conns_n, .who = who, .here = true};
    queue_clear(&l->up);
    queue_clear(&l->down);
    must(rng_fill(&w->rng, l->exporter.b, sizeof l->exporter.b) == 0, "random");
    struct session_conf conf = {.conn = l->id,
                                .link = "tls",
                                .relay = "relay.test",
                                .source = "192.0.2.1",
                                .leaf = span_of(pool_get()->leaf[who].b, pool_get()->leaf[who].n),
                                .relay_cert = relay_fp,
                                .exporter = l->exporter};
    l->s = session_new(&conf, relay_moment(w), &e);
    must(l->s != NULL, e.text);
    struct span out = session_out(l->s);
    down(w, l, out);
    session_sent(l->s, out.n);
    m->l = l;
    const struct engine_peer peer = {.link = "tls", .exporter = l->exporter, .relay_fp = relay_fp};
    engine_linked(m->g, &peer);
    member_flush(w, who);
}

static void member_hangup(struct world *w, int who)
{
    struct member_sim *m = w->m + who;

    member_leave_link(w, who);
    engine_lost(m->g);
    m->dial_at = w->mono + 100 + (int64_t)dice_below(&w->dice, 1500);
    member_flush(w, who);
}

/* The client has taken in a list that shows the further certificate. */
static void key_shown(struct world *w, struct link_plain *l, struct frame *f, struct span raw)
{
    const struct f_members *x = &f->u.members;

    (void)raw;
    for (size_t i = 0; f->type == F_MEMBERS && i < x->members_n; i++)
        for (size_t d = 0; d < x->members[i].devices_n; d++)
            if (hash_same(&x->members[i].devices[d].fp, &pool_get()->fp[PEOPLE]))
                w->m[l->who].shown_key = true;
}

void key_check(struct world *w, int who, const struct room_id *room)
{
    const struct member_sim *m = w->m + who;
    const struct engine_room *r = engine_room_get(m->g, room);
    bool sits = false;

    for (unsigned i = 0; i < r->members_n; i++)
        sits =
            sits || (!r->members[i].left && strcmp(r->members[i].name, world_name(ENROLLED)) == 0);
    if (r->kind != ENGINE_PUBLIC && sits && m->shown_key && !m->accepted)
        world_fail(w, "%s spoke in %s to a certificate that nobody accepted", world_name(who),
                   r->name);
}

void member_turn(struct world *w, int who)
{
    struct member_sim *m = w->m + who;
    struct chunk *c;

    if (m->g == NULL) {
        if (m->boot_at != 0 && w->mono >= m->boot_at)
            (void)member_boot(w, who);
        return;
    }
    if (m->disk != NULL && disk_dead(m->disk))
        member_flush(w, who);
    if (m->g != NULL && m->l == NULL && w->mono >= m->dial_at)
        member_dial(w, who);
    while (m->g != NULL && m->l != NULL && (c = queue_due(w, &m->l->down, m->l->stall)) != NULL) {
        (void)!engine_feed(m->g, span_of(c->b, c->n)); /* a refusal shows as ENGINE_CLOSE */
        member_flush(w, who);
        if (w->enrolled && m->g != NULL && m->l != NULL)
            frames_each(w, m->l, span_of(c->b, c->n), FROM_RELAY, key_shown);
        free(c);
    }
    if (m->g != NULL && m->l != NULL && m->l->cut_at != 0 && w->mono >= m->l->cut_at)
        member_hangup(w, who);
    if (m->g != NULL && engine_deadline(m->g) >= 0 && engine_deadline(m->g) <= w->mono) {
        engine_tick(m->g);
        member_flush(w, who);
    }
}

/* Each side learns of it on its own time; what is under way may still arrive, or not. */
void link_cut(struct world *w, struct link_plain *l)
{
    int64_t at = w->mono + 1 + (int64_t)dice_below(&w->dice, 300);

    l->severed = true;
    if (dice_one_in(&w->dice, 2))
        queue_clear(&l->down);
    if (dice_one_in(&w->dice, 2))
        queue_clear(&l->up);
    if (l->here)
        l->cut_at = at;
    if (l->s != NULL)
        l->gone_at = w->mono + 1 + (int64_t)dice_below(&w->dice, 3000);
}

void member_make(struct world *w, int who, bool on_disk)
{
    struct member_sim *m = w->m + who;
    struct err e = {0};

    m->trust = trust_new(TRUST_CRL_OPTIONAL, &e);
    must(m->trust != NULL &&
             trust_add_root(m->trust, span_of(pool_get()->root.b, pool_get()->root.n), &e) == 0 &&
             trust_add_intermediate(m->trust, span_of(pool_get()->inter.b, pool_get()->inter.n),
                                    &e) == 0,
         e.text);
    if (on_disk) {
        snprintf(m->path, sizeof m->path, "%s/countersign-sim-%ld-%s", scratch_place(),
                 (long)getpid(), world_name(who));
        m->disk = disk_new(m->path, dice_u64(&w->dice));
        must(m->disk != NULL, "too many disks");
    } else {
        m->keep = (struct keep){&keep_memory_ops, keep_memory_new()};
    }
    (void)member_boot(w, who);
}
