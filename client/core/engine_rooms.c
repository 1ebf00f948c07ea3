#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"
#include "common/chat/name.h"

struct room *room_find(const struct engine *g, const struct room_id *id)
{
    for (size_t i = 0; i < g->rooms_n; i++)
        if (room_id_same(&g->rooms[i]->pub.id, id))
            return g->rooms[i];
    return NULL;
}

struct room *room_read(struct engine *g, const struct room_id *id, struct err *e)
{
    struct room *r = calloc(1, sizeof *r);

    if (r == NULL) {
        err_set(e, ERR_OS, "no memory");
        return NULL;
    }
    STAILQ_INIT(&r->guests);
    TAILQ_INIT(&r->outs);
    STAILQ_INIT(&r->batches);
    int found = g->conf.keep.ops->room_get(g->conf.keep.k, id, &r->kept, e);
    r->pub.id = r->kept.id = *id;
    if (found < 0 || ephemeral_load(g, r, e) < 0 || seats_load(g, r, e) < 0 ||
        held_load(g, r, e) < 0 || outs_read(g, r, e) < 0) {
        room_free(r);
        return NULL;
    }
    nature_show(r);
    if (r->kept.based) {
        r->pub.first = r->kept.first;
        r->pub.number = r->kept.number;
    }
    return r;
}

static int room_add(struct engine *g, struct room *r, struct err *e)
{
    if (g->rooms_n == ROOMS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d rooms", ROOMS_MAX);
    g->rooms[g->rooms_n++] = r;
    return 0;
}

/* NULL: no memory, too many, or the disk failed. */
static struct room *room_new(struct engine *g, const struct room_id *id, struct err *e)
{
    struct room *r = room_read(g, id, e);

    if (r != NULL && room_add(g, r, e) < 0) {
        room_free(r);
        return NULL;
    }
    return r;
}

struct room *room_offline(struct engine *g, const struct room_id *id, struct err *e)
{
    struct room *r = room_find(g, id);

    return r != NULL ? r : room_new(g, id, e);
}

void room_free(struct room *r)
{
    struct batch *b;
    struct guest *guest;
    struct out *o;

    while ((b = STAILQ_FIRST(&r->batches)) != NULL) {
        STAILQ_REMOVE_HEAD(&r->batches, link);
        batch_free(b);
    }
    while ((o = TAILQ_FIRST(&r->outs)) != NULL) {
        TAILQ_REMOVE(&r->outs, o, link);
        out_free(o);
    }
    seats_lost(r);
    while ((guest = STAILQ_FIRST(&r->guests)) != NULL) {
        STAILQ_REMOVE_HEAD(&r->guests, link);
        free(guest);
    }
    check_lost(r);
    roster_free(&r->roster);
    free(r->members);
    free(r);
}

/* What hung on the connection; entries that waited are fetched again. */
void batches_drop(struct room *r)
{
    struct batch *b;

    while ((b = STAILQ_FIRST(&r->batches)) != NULL) {
        STAILQ_REMOVE_HEAD(&r->batches, link);
        batch_free(b);
    }
    r->batches_n = 0;
}

void room_lost(struct engine *g, struct room *r)
{
    static const char why[] = "the connection was lost before the answer";
    struct out *o;

    batches_drop(r);
    check_lost(r);
    seats_lost(r);
    guests_drop(g, r, ERR_UNAVAILABLE, why);
    out_answer(g, r, r->join_ask, ERR_UNAVAILABLE, why);
    out_answer(g, r, r->list_ask, ERR_UNAVAILABLE, why);
    TAILQ_FOREACH(o, &r->outs, link) {
        out_answer(g, r, o->ask, ERR_UNAVAILABLE, why);
        o->ask = 0;
    }
    r->join_ask = r->list_ask = 0;
    r->asking = r->asking_older = r->asking_members = r->own_pending = false;
    r->sending = 0;
    r->send_at = 0; /* that was the other connection's wait */
    r->reported = 0;
    for (size_t i = 0; i < r->pub.members_n; i++)
        r->members[i].online = false;
}

void room_begun(struct room *r)
{
    const struct keep_room *k = &r->kept;

    r->pub.begun = k->based && k->first <= r->from &&
                   (k->number < k->first || (r->shown != 0 && r->shown <= k->first));
}

int room_save(struct engine *g, struct room *r)
{
    struct err e = {0};

    r->pub.first = r->kept.first;
    r->pub.number = r->kept.number;
    room_begun(r);
    if (g->conf.keep.ops->room_put(g->conf.keep.k, &r->kept, &e) < 0)
        return engine_fail(g, e.code, false, "%s", e.text);
    return 0;
}

/* --- what the relay says of a room, against what we know --- */

static void passed_over(struct engine *g, struct room *r, const char *why)
{
    struct keep_room *k = &r->kept;

    r->away = k->based = false;
    if (k->number >= k->first) /* else nothing was read there */
        event_text(g, ENGINE_NOTE, r, "%s: messages %llu to %llu are not yours to read: %s",
                   r->pub.name, (unsigned long long)k->number + 1, (unsigned long long)r->from - 1,
                   why);
}

/* Where nothing was verified yet it begins as the relay says. */
static void base_set(const struct engine *g, struct room *r)
{
    struct keep_room *k = &r->kept;

    if (k->based || !g->conf.follow || (!g->conf.whole && r->pub.last + 1 != r->from))
        return;
    k->based = true;
    k->first = r->from;
    k->number = r->from - 1;
    k->base = k->head = r->from_head;
}

/* The relay's last number may not be below ours, nor its head before the first number another. */
static void position_check(struct engine *g, struct room *r)
{
    struct keep_room *k = &r->kept;
    struct hash known;
    struct err e = {0};

    r->away = k->based && r->from > k->number + 1;
    if (r->away && r->from > r->pub.last + 1)
        room_break(g, r, "the relay says that it begins behind its end");
    else if (r->away && r->pub.ephemeral)
        passed_over(g, r, "the relay keeps only the latest of this room");
    if (k->based && r->pub.last < k->number)
        room_break(g, r, "the relay has lost messages: it ends at %llu, we verified up to %llu",
                   (unsigned long long)r->pub.last, (unsigned long long)k->number);
    else if (k->based && r->from > 0 &&
             store_found(g, head_at(g, r, r->from - 1, &known, &e), &e) &&
             !hash_same(&known, &r->from_head))
        room_break(g, r, "the relay has changed its history before number %llu",
                   (unsigned long long)r->from);
    base_set(g, r);
}

/* We held a seat, and left it. */
static bool was_away(const struct engine *g, const struct room *r)
{
    const struct roster *x = &r->roster;
    uint64_t last = r->from - 1;

    if (roster_member(x, g->account, last) != NULL)
        return false;
    for (size_t i = 0; i < x->n; i++)
        if (!x->rows[i].invitation && strcmp(x->rows[i].name, g->account) == 0 &&
            x->rows[i].end != 0 && x->rows[i].end <= last)
            return true;
    return r->kept.number < r->kept.first; /* admitted, and others spoke before we were in */
}

int room_away_settle(struct engine *g, struct room *r)
{
    if (!r->away || r->pub.broken || r->roster.upto < r->from - 1)
        return 0;
    if (!was_away(g, r)) {
        room_break(g, r, "the relay withholds messages %llu to %llu, and you never left",
                   (unsigned long long)r->kept.number + 1, (unsigned long long)r->from - 1);
        return 0;
    }
    if (store_begin(g, r) < 0)
        return -1;
    passed_over(g, r, "you were no member then");
    base_set(g, r);
    return store_end(g, room_save(g, r));
}

static void own_alarm(struct engine *g, struct room *r, const char *what)
{
    r->pub.read_only = true;
    event_text(g, ENGINE_ALARM, r,
               "the relay %s our own messages in %s: nothing more is sent there; ask who runs it",
               what, r->pub.name);
}

/* Does the line of the outbox with this seq have this hash? */
static bool out_is(struct room *r, uint64_t seq, const struct hash *line)
{
    struct hash own;
    const struct out *o = out_find(r, seq);

    if (o == NULL)
        return false;
    entry_line_hash(str_from(o->data, o->line_n), &own);
    return hash_same(&own, line);
}

/* Our disk lags behind (a restored backup): adopted only because our own signature is on it. */
static void own_adopt(struct engine *g, struct room *r, const struct entry_line *l,
                      const struct hash *line, const struct f_own *own)
{
    struct err e = {0};
    const struct author *me = author_get(g, &g->conf.fp);

    if (me == NULL || me->cert == NULL ||
        entry_sig_check(me->cert, l, own->line, own->sig, &e) < 0 || !TAILQ_EMPTY(&r->outs)) {
        own_alarm(g, r, "shows a line that we did not write among");
        return;
    }
    r->kept.seq = r->kept.acked = l->seq;
    r->kept.line = r->kept.acked_line = *line;
    event_text(g, ENGINE_NOTE, r,
               "this computer did not know its own last message in %s: taken over from the relay "
               "(the signature is ours)",
               r->pub.name);
}

/* docs/protocol.md 7: the relay's idea of our last line. */
static void own_check(struct engine *g, struct room *r, const struct f_room_info *info)
{
    struct keep_room *k = &r->kept;
    struct entry_line l;
    struct hash line;
    struct err e = {0};

    r->pub.read_only = r->rejected >= REJECTED_MAX;
    r->own_pending = false;
    if (!info->has_own) {
        if (k->acked > 0)
            own_alarm(g, r, "has lost");
        return;
    }
    if (entry_line_take(&l, info->own.line, &e) < 0 || !room_id_same(&l.room, &r->pub.id)) {
        own_alarm(g, r, "shows a malformed line among");
        return;
    }
    entry_line_hash(info->own.line, &line);
    if (!hash_same(&l.author, &g->conf.fp)) {
        if (k->acked > 0) {
            own_alarm(g, r, "has lost");
        } else if (k->seq == 0 && info->own.line.n <= LINE_MAX_LEN && info->own.sig.n <= SIG_MAX) {
            /* the account's former device: our first line follows its last one */
            memcpy(r->own_line, info->own.line.p, info->own.line.n);
            r->own_line[info->own.line.n] = '\0';
            memcpy(r->own_sig, info->own.sig.p, info->own.sig.n);
            r->own_sig_n = info->own.sig.n;
            r->own_fp = l.author;
            r->own_time = info->own.time;
            r->own_pending = true;
        }
        return;
    }
    if (l.seq < k->acked || (l.seq == k->acked && !hash_same(&line, &k->acked_line)))
        own_alarm(g, r, "has lost or changed");
    else if (l.seq > k->acked && l.seq <= k->seq && !out_is(r, l.seq, &line))
        own_alarm(g, r, "has changed");
    else if (l.seq > k->seq)
        own_adopt(g, r, &l, &line, &info->own);
}

/* The former device's certificate is here, or cannot be had. */
void room_own_settle(struct engine *g, struct room *r)
{
    struct entry_line l;
    struct err e = {0};

    if (!r->own_pending)
        return;
    struct author *a = author_want(g, &r->own_fp);
    if (a != NULL && a->state == AUTHOR_ASKED)
        return;
    r->own_pending = false;
    if (a == NULL || a->state != AUTHOR_HERE || strcmp(a->account, g->account) != 0 ||
        entry_line_take(&l, str_of(r->own_line), &e) < 0 ||
        entry_sig_check(a->cert, &l, str_of(r->own_line), span_of(r->own_sig, r->own_sig_n), &e) <
            0 ||
        author_check(g, a, r->own_time, &e) < 0) {
        own_alarm(g, r, "shows a line of another device, without its signature, as one of");
        return;
    }
    if (store_begin(g, r) < 0)
        return;
    entry_line_hash(str_of(r->own_line), &r->kept.prev);
    (void)!store_end(g, room_save(g, r)); /* a failure shows as ENGINE_CLOSE */
}

static void room_copy(struct room *r, const struct f_room_info *info)
{
    snprintf(r->pub.topic, sizeof r->pub.topic, "%.*s", (int)info->topic.n, info->topic.p);
    r->pub.joined = true;
    r->pub.last = r->entered = info->number;
    if (r->session_from == 0) /* what is numbered from now on belongs to this session */
        r->session_from = info->number + 1;
    r->from = info->from == 0 ? 1 : info->from;
    r->from_head = r->from > 1 ? info->head : (struct hash){{0}};
    r->is_signed = info->is_signed;
    r->denied = r->caught = r->pub.broken = false;
}

/* Within a turn. */
static int room_heard(struct engine *g, struct room *r, const struct f_room_info *info)
{
    bool entered = r->session_from == 0 && g->session.begun;
    struct err e = {0};

    r->kept.wanted |= !info->is_signed; /* else it had not been taken */
    room_copy(r, info);
    if (nature_take(g, r, info) < 0)
        return -1;
    if (entered && session_put(g, &e) < 0)
        return engine_fail(g, e.code, false, "%s", e.text);
    if (!r->pub.broken)
        position_check(g, r);
    own_check(g, r, info);
    return room_save(g, r);
}

/* A chat that its other member opened, and we have none with him. Nothing proves that he did: all
 * that we sign without being asked is that we are in one with somebody of that name. */
static bool pair_offered(const struct engine *g, const struct f_room_info *info)
{
    if (info->kind != ROOM_DIRECT || account_id_same(&info->with, &g->id))
        return false;
    for (size_t i = 0; i < g->rooms_n; i++) {
        const struct keep_room *k = &g->rooms[i]->kept;
        if (k->kind == KEEP_DIRECT && !room_id_same(&k->id, &info->id) &&
            (account_id_same(&k->with, &info->with) || str_is(info->name, k->name)))
            return false;
    }
    return true;
}

/* Our signature that we are in a room is given to who asked here, not to the relay. */
static bool room_wanted(const struct engine *g, const struct room *r,
                        const struct f_room_info *info, bool asked)
{
    return asked || r->kept.wanted || info->is_signed || pair_offered(g, info);
}

static int room_offered(struct engine *g, struct room *r, const struct f_room_info *info)
{
    event_text(g, ENGINE_NOTE, NULL,
               "the relay puts you into %.*s, and nobody here asked for it: nothing was signed; "
               "/join %.*s if it is right",
               (int)info->name.n, info->name.p, (int)info->name.n, info->name.p);
    if (room_find(g, &info->id) == NULL)
        room_free(r);
    return 0;
}

int room_take(struct engine *g, const struct f_room_info *info, bool asked)
{
    struct err e = {0};
    struct room *r = room_find(g, &info->id);
    bool here = r != NULL;

    if (!here)
        r = room_read(g, &info->id, &e);
    if (r == NULL)
        return engine_fail(g, e.code, false, "%s", e.text);
    if (!room_wanted(g, r, info, asked))
        return room_offered(g, r, info);
    if (!here && room_add(g, r, &e) < 0) {
        room_free(r);
        return engine_fail(g, e.code, false, "%s", e.text);
    }
    if (store_begin(g, r) < 0 || store_end(g, room_heard(g, r, info)) < 0)
        return -1;
    event_room(g, ENGINE_ROOM, r);
    room_own_settle(g, r);
    if (g->conf.follow)
        members_ask(g, r);
    return room_settle(g, r);
}

int room_gone(struct engine *g, struct room *r)
{
    if (!r->pub.joined)
        return 0;
    r->pub.joined = r->is_signed = false;
    if (store_begin(g, r) < 0)
        return -1;
    r->kept.wanted = false;
    if (store_end(g, r->pub.ephemeral ? ephemeral_left(g, r) : room_save(g, r)) < 0)
        return -1;
    event_room(g, ENGINE_ROOM, r);
    return 0;
}

/* --- members --- */

struct engine_member *member_by_id(struct room *r, const struct account_id *id)
{
    for (size_t i = 0; i < r->pub.members_n; i++)
        if (account_id_same(&r->members[i].id, id))
            return r->members + i;
    return NULL;
}

struct engine_member *member_by_name(struct room *r, const char *name)
{
    for (size_t i = 0; i < r->pub.members_n; i++)
        if (strcmp(r->members[i].name, name) == 0)
            return r->members + i;
    return NULL;
}

struct engine_member *member_new(struct room *r)
{
    if (r->pub.members_n == r->members_cap) {
        size_t cap = r->members_cap == 0 ? 8 : r->members_cap * 2;
        struct engine_member *at = realloc(r->members, cap * sizeof *at);
        if (at == NULL || r->members_cap >= 2 * MEMBERS_MAX)
            return NULL;
        r->members = at;
        r->members_cap = cap;
        r->pub.members = at;
    }
    struct engine_member *m = r->members + r->pub.members_n++;
    memset(m, 0, sizeof *m);
    return m;
}

void members_ask(struct engine *g, struct room *r)
{
    struct err e = {0};

    if (r->asking_members || !r->pub.joined || !r->is_signed)
        return;
    struct ask *a = ask_new(g, F_MEMBERS_ASK, &e);
    if (a == NULL)
        return;
    a->room = r->pub.id;
    a->quiet = true;
    r->asking_members = true;
    const struct f_members_ask ask = {a->id, r->pub.id};
    (void)!engine_put(g, F_MEMBERS_ASK, &ask);
}

static void member_copy(struct engine_member *m, const struct f_member_info *info)
{
    struct engine_member old = *m;

    *m = (struct engine_member){
        .id = info->account,
        .owner = info->role == ROLE_OWNER,
        .online = info->online,
        .delivered = info->delivered > old.delivered ? info->delivered : old.delivered,
        .proof = old.proof,
        .joined = old.joined,
    };
    memcpy(m->by, old.by, sizeof m->by);
    snprintf(m->name, sizeof m->name, "%.*s", (int)info->name.n, info->name.p);
    for (size_t i = 0; i < info->devices_n && m->devices_n < DEVICES_MAX; i++) {
        const struct f_device_info *from = info->devices + i;
        struct engine_device *d = m->devices + m->devices_n++;
        d->fp = from->fp;
        d->since = from->since;
        d->revoked = from->revoked;
        snprintf(d->name, sizeof d->name, "%.*s", (int)from->name.n, from->name.p);
    }
}

int take_members(struct engine *g, struct frame *f)
{
    const struct f_members *x = &f->u.members;
    struct ask *a = ask_find(g, x->re, F_MEMBERS_ASK);
    struct room *r = room_find(g, &x->room);

    if (a == NULL || r == NULL || !room_id_same(&a->room, &x->room))
        return engine_fail(g, ERR_PEER, true, "the relay broke the protocol: stray members");
    for (size_t i = 0; i < r->pub.members_n; i++)
        r->members[i].left = true;
    for (size_t i = 0; i < x->members_n; i++) {
        struct engine_member *m = member_by_id(r, &x->members[i].account);
        if (m == NULL)
            m = member_new(r);
        if (m == NULL)
            return engine_fail(g, ERR_LIMIT, true, "too many members in one room");
        uint64_t before = m->delivered;
        member_copy(m, x->members + i);
        known_listed(g, m);
        mine_delivered(g, r, before, m->delivered);
    }
    r->asking_members = false;
    r->listed = x->number;
    r->list_due = r->list_here = true;
    if (x->number > r->pub.last)
        r->pub.last = x->number;
    event_room(g, ENGINE_MEMBERS, r);
    if (a->bare) {
        ask_done(g, a, ERR_NONE, NULL);
    } else if (a->quiet) {
        a->id = 0;
    } else { /* who asks wants to know what bears it out, too */
        out_answer(g, r, r->list_ask, ERR_NONE, NULL);
        r->list_ask = a->id;
        r->roll_wanted = true;
        a->id = 0;
    }
    return room_settle(g, r) < 0 ? -1 : rooms_send(g);
}

int take_topic(struct engine *g, struct frame *f)
{
    const struct f_topic *x = &f->u.topic;
    struct room *r = room_find(g, &x->room);

    if (r == NULL)
        return 0;
    snprintf(r->pub.topic, sizeof r->pub.topic, "%.*s", (int)x->topic.n, x->topic.p);
    event_text(g, ENGINE_NOTE, r, "%.*s set the topic: %.*s", (int)x->name.n, x->name.p,
               (int)x->topic.n, x->topic.p);
    event_room(g, ENGINE_ROOM, r);
    return 0;
}

int take_presence(struct engine *g, struct frame *f)
{
    const struct f_presence *x = &f->u.presence;

    for (size_t i = 0; i < g->rooms_n; i++) {
        struct engine_member *m = member_by_id(g->rooms[i], &x->account);
        if (m == NULL || m->online == x->online)
            continue;
        m->online = x->online;
        event_room(g, ENGINE_MEMBERS, g->rooms[i]);
    }
    return 0;
}

/* A new certificate for a name we know is the moment in which an impostor would come. */
int take_device(struct engine *g, struct frame *f)
{
    const struct f_device *x = &f->u.device;

    char name[NAME_MAX_LEN + 1];

    snprintf(name, sizeof name, "%.*s", (int)x->name.n, x->name.p);
    bool stops = known_meet(g, name, &x->fp);
    event_text(g, ENGINE_ALARM, NULL,
               "%s has a new device \"%.*s\": nobody vouched for it, compare its fingerprint "
               "(/verify)%s%s",
               name, (int)x->device.n, x->device.p,
               stops ? " or /accept it; until then nothing is sent in private and direct rooms "
                       "with them"
                     : "",
               x->kept ? "" : "; the former ones were revoked");
    for (size_t i = 0; i < g->rooms_n; i++)
        if (member_by_id(g->rooms[i], &x->account) != NULL)
            members_ask(g, g->rooms[i]);
    return 0;
}

/* --- answers --- */

static const enum frame_type room_asks[] = {F_ROOM_CREATE, F_ROOM_JOIN, F_ROOM_OPEN};

static bool name_same(const char *a, struct str b)
{
    char x[NAME_KEY_MAX], y[NAME_KEY_MAX];

    return name_canonical(x, str_of(a)) == 0 && name_canonical(y, b) == 0 && strcmp(x, y) == 0;
}

/* Is it the room that was asked for? */
static bool answers(const struct ask *a, const struct f_room_info *x)
{
    if ((x->kind == ROOM_DIRECT) != (a->type == F_ROOM_OPEN) || !name_same(a->name, x->name))
        return false;
    return a->type != F_ROOM_CREATE ||
           ((x->kind == ROOM_PRIVATE) == ((a->what & ENGINE_CREATE_PRIVATE) != 0) &&
            (x->history == HISTORY_ALL) == ((a->what & ENGINE_CREATE_HISTORY) != 0) &&
            x->ephemeral == ((a->what & ENGINE_CREATE_EPHEMERAL) != 0));
}

static int another_room(struct engine *g, struct ask *a, const struct f_room_info *x)
{
    event_text(g, ENGINE_ALARM, NULL,
               "the relay answers with another room than you asked for, %.*s for %s: nothing was "
               "signed there",
               (int)x->name.n, x->name.p, a->name);
    ask_done(g, a, ERR_PEER, "the relay answers with another room than was asked for");
    return 0;
}

/* An invitation makes no member: nothing is read or sent there before room-join is answered. */
static bool invitation(struct engine *g, const struct f_room *x)
{
    const struct room *r = room_find(g, &x->room.id);

    return x->by.n > 0 && x->room.kind == ROOM_PRIVATE && (r == NULL || !r->pub.joined);
}

int take_room(struct engine *g, struct frame *f)
{
    const struct f_room *x = &f->u.room;
    struct ask *a = NULL;

    for (size_t i = 0; i < COUNT(room_asks) && a == NULL; i++)
        a = ask_find(g, x->re, room_asks[i]);
    if (a == NULL && x->re != 0)
        return engine_fail(g, ERR_PEER, true, "the relay broke the protocol: a stray room");
    if (a == NULL && invitation(g, x)) {
        event_text(g, ENGINE_NOTE, NULL, "%.*s invited you into %.*s: /join %.*s", (int)x->by.n,
                   x->by.p, (int)x->room.name.n, x->room.name.p, (int)x->room.name.n,
                   x->room.name.p);
        return 0;
    }
    if (a != NULL && !answers(a, &x->room))
        return another_room(g, a, &x->room);
    if (room_take(g, &x->room, a != NULL) < 0)
        return -1;
    struct room *r = room_find(g, &x->room.id);
    if (r == NULL || !r->pub.joined)
        return 0; /* nobody asked for it */
    if (a == NULL) {
        if (x->by.n > 0)
            event_text(g, ENGINE_NOTE, r, "%.*s %s%s", (int)x->by.n, x->by.p,
                       r->pub.kind == ENGINE_DIRECT ? "opened a chat with you"
                                                    : "invited you into ",
                       r->pub.kind == ENGINE_DIRECT ? "" : r->pub.name);
        return room_send(g, r);
    }
    uint64_t id = a->id;
    a->id = 0;
    if (r->is_signed)
        out_answer(g, r, id, ERR_NONE, NULL);
    else
        seat_asked(r, id); /* in is who has signed that he is */
    return room_send(g, r);
}

int take_rooms(struct engine *g, struct frame *f)
{
    const struct f_rooms *x = &f->u.rooms;
    struct ask *a = ask_find(g, x->re, F_ROOM_LIST);
    char name[NAME_MAX_LEN + 1], topic[TOPIC_MAX + 1];

    if (a == NULL)
        return engine_fail(g, ERR_PEER, true, "the relay broke the protocol: stray rooms");
    for (size_t i = 0; i < x->rooms_n; i++) {
        snprintf(name, sizeof name, "%.*s", (int)x->rooms[i].name.n, x->rooms[i].name.p);
        snprintf(topic, sizeof topic, "%.*s", (int)x->rooms[i].topic.n, x->rooms[i].topic.p);
        event_add(g, &(struct engine_event){.kind = ENGINE_LISTED,
                                            .id = a->id,
                                            .room = x->rooms[i].id,
                                            .roomed = true,
                                            .text = name,
                                            .topic = topic,
                                            .members = (unsigned)x->rooms[i].members,
                                            .joined = x->rooms[i].joined});
    }
    ask_done(g, a, ERR_NONE, NULL);
    return 0;
}

int take_ok(struct engine *g, struct frame *f)
{
    struct ask *a = ask_find(g, f->u.ok.re, FRAME_TYPES);

    if (a == NULL || a->type != F_ROOM_TOPIC)
        return engine_fail(g, ERR_PEER, true, "the relay broke the protocol: a stray ok");
    struct room *r = room_find(g, &a->room);
    if (r != NULL) {
        snprintf(r->pub.topic, sizeof r->pub.topic, "%s", r->topic_asked);
        event_room(g, ENGINE_ROOM, r);
    }
    ask_done(g, a, ERR_NONE, NULL);
    return 0;
}

/* What the relay's codes mean for the caller. */
static enum err_code code_err(enum proto_code code)
{
    static const enum err_code map[CODE_COUNT] = {
        [CODE_MALFORMED] = ERR_LOCAL,      [CODE_STATE] = ERR_LOCAL,
        [CODE_BAD_ENTRY] = ERR_PEER,       [CODE_AUTH] = ERR_AUTH,
        [CODE_NO_SUCH] = ERR_INPUT,        [CODE_TAKEN] = ERR_CREATE,
        [CODE_BAD_NAME] = ERR_DATA,        [CODE_DENIED] = ERR_AUTH,
        [CODE_LIMIT] = ERR_LIMIT,          [CODE_BUSY] = ERR_AGAIN,
        [CODE_SHUTDOWN] = ERR_UNAVAILABLE,
    };
    return map[code];
}

/* What was in flight may be the entry that the relay does not take. It would be refused again, and
 * end each connection: the room is closed, and from the second time on it stays so. */
static void entry_rejected(struct engine *g, struct room *r)
{
    if (r->sending == 0)
        return;
    r->rejected++;
    own_alarm(g, r, "does not accept what follows");
}

/* The connection ends with it. */
static int error_final(struct engine *g, const struct f_error *x)
{
    for (size_t i = 0; x->code == CODE_BAD_ENTRY && i < g->rooms_n; i++)
        entry_rejected(g, g->rooms[i]);
    bool again = x->code == CODE_SHUTDOWN || x->code == CODE_BUSY || x->code == CODE_BAD_ENTRY;
    return engine_fail(g, code_err(x->code), again, "the relay closed the connection: %.*s",
                       (int)x->text.n, x->text.p);
}

/* A request of our own failed: what hangs on it must not wait for ever. */
static int ask_failed(struct engine *g, struct ask *a)
{
    struct room *r = room_find(g, &a->room);

    if (a->type == F_CERT_ASK)
        author_gone(g, &a->fp);
    if (r == NULL)
        return 0;
    if (a->type == F_MEMBERS_ASK)
        r->asking_members = false;
    if (a->type == F_ROLL_ASK)
        r->asking_roll = false;
    if (a->type == F_HISTORY_ASK)
        r->asking = r->asking_older = false;
    return a->type == F_MEMBERS_ASK ? room_settle(g, r) : 0;
}

int take_error(struct engine *g, struct frame *f)
{
    const struct f_error *x = &f->u.error;
    struct ask *a = ask_find(g, x->re, FRAME_TYPES);

    if (g->phase != ENGINE_ONLINE)
        return login_error(g, x);
    if (x->has_room && x->code == CODE_DENIED && x->seq != 0)
        return out_denied(g, x);
    if (a == NULL)
        return error_final(g, x);
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)x->text.n, x->text.p);
    struct ask copy = *a;
    ask_done(g, a, code_err(x->code), text);
    if (ask_failed(g, &copy) < 0 || check_failed(g, &copy, x->code) < 0 ||
        seal_failed(g, &copy, x->code, text) < 0)
        return -1;
    return proto_code_closes(x->code) ? error_final(g, x) : 0;
}

/* --- what can be asked --- */

size_t engine_rooms(const struct engine *g)
{
    return g->rooms_n;
}

const struct engine_room *engine_room_at(const struct engine *g, size_t i)
{
    return i < g->rooms_n ? &g->rooms[i]->pub : NULL;
}

const struct engine_room *engine_room_get(const struct engine *g, const struct room_id *id)
{
    const struct room *r = room_find(g, id);
    return r == NULL ? NULL : &r->pub;
}

const struct engine_room *engine_room_named(const struct engine *g, struct str name)
{
    char want[NAME_KEY_MAX], have[NAME_KEY_MAX];
    bool direct = name.n > 0 && name.p[0] == '@';

    if (direct || (name.n > 0 && name.p[0] == '#'))
        name = str_from(name.p + 1, name.n - 1);
    if (name_canonical(want, name) < 0)
        return NULL;
    for (size_t i = 0; i < g->rooms_n; i++) {
        const struct engine_room *r = &g->rooms[i]->pub;
        if (r->joined && (r->kind == ENGINE_DIRECT) == direct &&
            name_canonical(have, str_of(r->name)) == 0 && strcmp(have, want) == 0)
            return r;
    }
    return NULL;
}

struct str unsigned_name(struct str name, char sign)
{
    return name.n > 0 && name.p[0] == sign ? str_from(name.p + 1, name.n - 1) : name;
}

/* A request for a room of a name. */
static struct ask *ask_named(struct engine *g, enum frame_type type, struct str name, struct err *e)
{
    struct ask *a = name.n > NAME_MAX_LEN ? NULL : ask_new(g, type, e);

    if (name.n > NAME_MAX_LEN)
        err_set(e, ERR_DATA, "nothing has a name that long");
    if (a != NULL)
        (void)!str_copy(a->name, sizeof a->name, name);
    return a;
}

uint64_t engine_room_create(struct engine *g, struct str name, unsigned what, struct err *e)
{
    name = unsigned_name(name, '#');
    struct ask *a =
        name_check(name, NAME_ROOM, e) < 0 ? NULL : ask_named(g, F_ROOM_CREATE, name, e);

    if (a == NULL)
        return 0;
    a->what = what;
    const struct f_room_create f = {
        .id = a->id,
        .name = name,
        .is_private = (what & ENGINE_CREATE_PRIVATE) != 0,
        .history = what & ENGINE_CREATE_HISTORY ? HISTORY_ALL : HISTORY_JOINED,
        .ephemeral = (what & ENGINE_CREATE_EPHEMERAL) != 0,
    };
    return ask_put(g, a, &f, e);
}

uint64_t engine_room_list(struct engine *g, struct err *e)
{
    struct ask *a = ask_new(g, F_ROOM_LIST, e);

    if (a == NULL)
        return 0;
    const struct f_room_list f = {a->id};
    return ask_put(g, a, &f, e);
}

uint64_t engine_room_join(struct engine *g, struct str name, struct err *e)
{
    name = unsigned_name(name, '#');
    struct ask *a = ask_named(g, F_ROOM_JOIN, name, e);

    if (a == NULL)
        return 0;
    const struct f_room_join f = {a->id, name};
    return ask_put(g, a, &f, e);
}

uint64_t engine_room_topic(struct engine *g, const struct room_id *room, struct str topic,
                           struct err *e)
{
    struct room *r = room_find(g, room);
    bool good = topic.n <= TOPIC_MAX;

    for (size_t i = 0; i < topic.n; i++)
        good = good && (unsigned char)topic.p[i] >= ' ' && topic.p[i] != 0x7f;
    if (!good || r == NULL) {
        err_set(e, ERR_DATA, "a topic is one line of at most %d bytes", TOPIC_MAX);
        return 0;
    }
    struct ask *a = ask_new(g, F_ROOM_TOPIC, e);
    if (a == NULL)
        return 0;
    a->room = *room;
    snprintf(r->topic_asked, sizeof r->topic_asked, "%.*s", (int)topic.n, topic.p);
    const struct f_room_topic f = {a->id, *room, topic};
    return ask_put(g, a, &f, e);
}

uint64_t engine_room_direct(struct engine *g, struct str person, struct err *e)
{
    person = unsigned_name(person, '@');
    struct ask *a = ask_named(g, F_ROOM_OPEN, person, e);

    if (a == NULL)
        return 0;
    const struct f_room_open f = {a->id, person};
    return ask_put(g, a, &f, e);
}

static uint64_t members_request(struct engine *g, const struct room_id *room, bool bare,
                                struct err *e)
{
    struct ask *a = ask_new(g, F_MEMBERS_ASK, e);

    if (a == NULL)
        return 0;
    a->room = *room;
    a->bare = bare;
    const struct f_members_ask f = {a->id, *room};
    return ask_put(g, a, &f, e);
}

uint64_t engine_members(struct engine *g, const struct room_id *room, struct err *e)
{
    return members_request(g, room, false, e);
}

uint64_t engine_listed(struct engine *g, const struct room_id *room, struct err *e)
{
    return members_request(g, room, true, e);
}
