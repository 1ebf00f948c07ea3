/* act_inspect.c -- the inspector's page of one person, from what the engine knows. */
#include <stdio.h>
#include <string.h>

#include "client/core/act_inner.h"

/* The person in any room we know, with devices when that was told. */
static const struct engine_member *member_find(struct act *a, struct str name)
{
    const struct engine_member *found = NULL;

    for (size_t i = 0; i < engine_rooms(a->g); i++) {
        const struct engine_room *r = engine_room_at(a->g, i);
        for (unsigned k = 0; k < r->members_n; k++) {
            const struct engine_member *p = &r->members[k];
            if (str_is(name, p->name) && (found == NULL || p->devices_n > found->devices_n))
                found = p;
        }
    }
    return found;
}

static void device_person(struct act *a, struct shown_device *d)
{
    struct engine_person p;
    struct err e = {0};
    bool own = hash_same(&d->fp, &a->own_fp);
    int got = engine_person(a->g, &d->fp, &p, &e);

    if (got < 0)
        model_clean(d->problem, sizeof d->problem, e.text);
    if (got == 1) {
        cert_shown(a->m, p.leaf, &d->leaf);
        cert_shown(a->m, p.issuer, &d->issuer);
        d->verified = p.vouched;
        d->verified_at = p.vouched_at;
    } else if (own) {
        cert_shown(a->m, a->own_leaf, &d->leaf);
        cert_shown(a->m, a->own_issuer, &d->issuer);
    } else if (got == 0 && a->m->conn == CONN_READY) {
        uint64_t id = engine_fetch(a->g, &d->fp, &e);
        if (id != 0)
            (void)!ask_add(a, id, ASK_PERSON, "certificate", str_of(""), &e);
    }
    d->fetched = got == 1 || own;
    randomart(&d->fp, d->leaf.key, &d->art);
}

static void device_add(struct act *a, const struct engine_device *from)
{
    struct inspection *p = &a->m->inspect;
    struct shown_device *d = &p->devices[p->devices_n++];
    const struct model_conf *conf = &a->m->conf;

    *d = (struct shown_device){.fp = from->fp, .since = from->since, .revoked = from->revoked};
    model_clean(d->name, sizeof d->name, from->name);
    device_person(a, d);
    conf->local(conf->ctx, d->since, &d->since_day);
    conf->local(conf->ctx, d->revoked, &d->revoked_day);
    conf->local(conf->ctx, d->verified_at, &d->verified_day);
}

/* Counts what his certificates signed in the windows here. */
static void count_messages(struct model *m, struct inspection *p)
{
    int64_t first = INT64_MAX, last = 0;

    for (size_t i = 0; i < m->windows_n; i++) {
        const struct window *w = &m->windows[i];
        for (size_t k = 0; k < w->messages_n; k++) {
            const struct message *msg = &w->messages[k];
            if (msg->system || strcmp(msg->sender, p->name) != 0)
                continue;
            p->refused += msg->mark == MARK_REFUSED;
            p->good += msg->mark != MARK_REFUSED;
            first = msg->at < first ? msg->at : first;
            last = msg->at > last ? msg->at : last;
        }
    }
    if (last != 0) {
        m->conf.local(m->conf.ctx, first, &p->first);
        m->conf.local(m->conf.ctx, last, &p->last);
    }
}

void act_inspect(struct act *a, struct str name)
{
    struct model *m = a->m;
    struct inspection *p = &m->inspect;
    char copy[MODEL_TEXT_SHORT];
    unsigned device = p->device;

    if (name.n == 0 && model_current(m)->kind == WINDOW_DIRECT)
        name = str_of(model_current(m)->name);
    if (str_copy(copy, sizeof copy, name.n > 0 ? name : str_of(m->account)) < 0)
        return;
    const struct engine_member *member = member_find(a, str_of(copy));
    bool self = strcmp(copy, m->account) == 0;
    bool same = strcmp(p->name, copy) == 0;
    if (member == NULL && !self) {
        model_say(m, NULL, "nobody of that name is in a room of yours: /msg %s first", copy);
        return;
    }
    *p = (struct inspection){.self = self, .online = member != NULL && member->online};
    model_clean(p->name, sizeof p->name, copy);
    for (unsigned i = 0; member != NULL && i < member->devices_n; i++)
        device_add(a, &member->devices[i]);
    if (p->devices_n == 0 && self) {
        struct engine_device own = {.fp = a->own_fp};
        snprintf(own.name, sizeof own.name, "%.100s", m->device);
        device_add(a, &own);
    }
    p->device = same && device < p->devices_n ? device : 0;
    count_messages(m, p);
    if (m->view != VIEW_INSPECT)
        m->page.top = 0;
    m->view = VIEW_INSPECT;
}
