/* What a lying relay tells its victim: entries, lists and rolls on their way, changed. */
#include <stdlib.h>
#include <string.h>

#include "common/chat/entry.h"
#include "support_parts.h"

static void put_any(struct world *w, struct link_plain *l, enum frame_type type, const void *body)
{
    struct buf b;
    struct err e = {0};

    buf_init(&b, FRAME_MAX + 4);
    must(frame_put(&b, type, body, &e) == 0, e.text);
    world_put(w, l, buf_span(&b));
    buf_free(&b);
}

static void put(struct world *w, struct link_plain *l, const struct f_entry *f)
{
    put_any(w, l, F_ENTRY, f);
}

/* The frame held back, under the number of the one that came; false: there is none. */
static bool put_kept(struct world *w, struct link_plain *l, uint64_t number)
{
    struct span raw = buf_span(&w->lie_kept);
    struct frame f = {0};
    struct err e = {0};

    if (raw.n < 4)
        return false;
    must(frame_take(&f, span_of(raw.p + 4, raw.n - 4), FROM_RELAY, &e) == 0, e.text);
    f.u.entry.number = number;
    put(w, l, &f.u.entry);
    frame_free(&f);
    return true;
}

static void keep_back(struct world *w, struct span raw)
{
    buf_drop(&w->lie_kept, w->lie_kept.len);
    must(buf_add(&w->lie_kept, raw.p, raw.n) == 0, "no memory");
}

static void lie_body(struct world *w, struct link_plain *l, struct f_entry *f)
{
    uint8_t *b = malloc(f->body.n);

    must(b != NULL, "no memory");
    memcpy(b, f->body.p, f->body.n);
    b[f->body.n - 4] ^= 1;
    f->body.p = b;
    put(w, l, f);
    free(b);
}

/* The author's time, or the author, is another. */
static void lie_field(struct world *w, struct link_plain *l, struct f_entry *f)
{
    char line[LINE_MAX_LEN + 1];
    struct entry_line t;
    struct err e = {0};

    must(entry_line_take(&t, f->line, &e) == 0, e.text);
    if (w->lie == LIE_LINE)
        t.ts++;
    else
        t.author = *world_fp((world_who_has(&t.author) + 1) % PEOPLE);
    f->line = str_from(line, entry_line_put(line, &t));
    put(w, l, f);
}

/* n is held until n + 1 is here; then they change their numbers. */
static bool lie_swap(struct world *w, struct link_plain *l, struct f_entry *t, struct span raw)
{
    if (w->holding && t->number == w->lie_at + 1) {
        t->number = w->lie_at;
        put(w, l, t);
        (void)put_kept(w, l, w->lie_at + 1);
        w->holding = false;
        w->lied = true;
        return true;
    }
    if (w->holding)
        return false;
    keep_back(w, raw);
    w->holding = true;
    w->lie_at = t->number;
    return true;
}

/* What was kept takes the place of the next one, whatever that is. */
static bool lie_replay(struct world *w, struct link_plain *l, struct f_entry *t, struct span raw,
                       bool due)
{
    w->lied = put_kept(w, l, t->number);
    if (due)
        keep_back(w, raw);
    return w->lied;
}

static struct f_entry voided(struct f_entry t)
{
    t.body = (struct span){NULL, 0};
    t.why = str_of("you are a member already");
    return t;
}

static void lie_void(struct world *w, struct link_plain *l, const struct f_entry *t)
{
    const struct f_entry x = voided(*t);

    put(w, l, &x);
}

static bool lies_of_entries(enum lie lie)
{
    return lie <= LIE_FORK || lie == LIE_VOID || lie == LIE_WITHHELD;
}

/* One pushed entry: true, the lie took its place. due: it is of the kind that is lied about. */
static bool lie_entry(struct world *w, struct link_plain *l, struct f_entry *t, struct span raw,
                      bool due)
{
    if (w->lied) { /* a fork goes on, and so does silence */
        if (w->lie == LIE_FORK) {
            t->number--;
            put(w, l, t);
        }
        return w->lie == LIE_FORK || w->lie == LIE_WITHHELD;
    }
    if (w->lie == LIE_REPLAY)
        return lie_replay(w, l, t, raw, due);
    if (w->lie == LIE_SWAP)
        return (due || w->holding) && lie_swap(w, l, t, raw);
    if (!due || !lies_of_entries(w->lie))
        return false;
    w->lied = true;
    if (w->lie == LIE_BODY)
        lie_body(w, l, t);
    if (w->lie == LIE_LINE || w->lie == LIE_AUTHOR)
        lie_field(w, l, t);
    if (w->lie == LIE_VOID)
        lie_void(w, l, t);
    return true; /* LIE_FORK: left out, and those after it take its place */
}

/* --- lists --- */

static const struct f_member_info *listed(const struct f_members *f, int who)
{
    for (size_t i = 0; i < f->members_n; i++)
        if (memcmp(&f->members[i].account, world_account(who), sizeof(struct account_id)) == 0)
            return f->members + i;
    return NULL;
}

static bool list_more(struct world *w, struct link_plain *l, const struct f_members *f)
{
    struct f_member_info m[PEOPLE + 1];
    int ghost = PEOPLE - 1; /* nobody ever invites the last one into the cellar */
    const struct f_device_info device = {.fp = *world_fp(ghost), .name = str_of("laptop")};
    struct f_members x = *f;

    if (f->members_n == 0 || listed(f, ghost) != NULL)
        return false;
    memcpy(m, f->members, f->members_n * sizeof *m);
    m[f->members_n] = (struct f_member_info){.account = *world_account(ghost),
                                             .name = str_of(world_name(ghost)),
                                             .role = ROLE_MEMBER,
                                             .devices = &device,
                                             .devices_n = 1};
    x.members = m;
    x.members_n++;
    put_any(w, l, F_MEMBERS, &x);
    return w->lied = true;
}

static bool list_less(struct world *w, struct link_plain *l, const struct f_members *f, int who)
{
    struct f_member_info m[PEOPLE];
    struct f_members x = *f;

    x.members_n = 0;
    for (size_t i = 0; i < f->members_n; i++)
        if (f->members + i != listed(f, who))
            m[x.members_n++] = f->members[i];
    if (x.members_n == f->members_n)
        return false;
    x.members = m;
    put_any(w, l, F_MEMBERS, &x);
    return w->lied = true;
}

/* Whom the relay hides: neither the victim nor the founder. */
static int hidden(const struct world *w)
{
    return w->victim == 1 ? 2 : 1;
}

/* --- rolls --- */

static bool about(const struct f_entry *t, int who)
{
    struct entry_line line;
    struct content c;
    struct err e = {0};

    if (entry_line_take(&line, t->line, &e) == 0 && world_who_has(&line.author) == who)
        return true;
    if (t->body.n < OPENING_LEN ||
        content_take(&c, span_of(t->body.p + OPENING_LEN, t->body.n - OPENING_LEN), &e) < 0)
        return false;
    bool is = c.kind == CONTENT_INVITE &&
              memcmp(&c.who.account, world_account(who), sizeof c.who.account) == 0;
    content_free(&c);
    return is;
}

static bool signed_anew(enum lie lie)
{
    return lie >= LIE_ROLL_ACCOUNT && lie <= LIE_ROLL_PAIR;
}

/* Of what kind the entry has to be that is made anew; CONTENT_UNKNOWN: none is. */
static enum content_kind made_anew(enum lie lie)
{
    if (lie == LIE_ROLL_NAME || lie == LIE_ROLL_PAIR)
        return CONTENT_JOIN;
    return lie == LIE_ROLL_INVITE || signed_anew(lie) ? CONTENT_INVITE : CONTENT_UNKNOWN;
}

/* false: there is no entry of that kind to lie about. */
static bool roll_forge(struct world *w, struct f_roll *x, struct forged *f)
{
    struct f_entry *to = (struct f_entry *)(uintptr_t)x->entries;
    enum content_kind kind = made_anew(w->lie);

    for (size_t i = 0; i < x->entries_n; i++)
        if (to[i].why.n == 0 && world_kind(to[i].body) == kind) {
            forge(w, f, to + i, signed_anew(w->lie));
            to[i] = f->entry;
            return true;
        }
    return false;
}

static size_t roll_change(struct world *w, const struct f_roll *f, struct f_entry *to)
{
    size_t n = 0, at = (size_t)dice_below(&w->dice, f->entries_n - 1);

    for (size_t i = 0; i < f->entries_n; i++) {
        if ((w->lie == LIE_ROLL_CUT && i == at) ||
            (w->lie == LIE_ROLL_LESS && about(f->entries + i, hidden(w))))
            continue;
        to[n++] = f->entries[i];
        if (w->lie == LIE_ROLL_TWICE && i == at)
            to[n++] = f->entries[i];
    }
    if (w->lie == LIE_ROLL_SWAP) {
        to[at] = f->entries[at + 1];
        to[at + 1] = f->entries[at];
    }
    if (w->lie == LIE_ROLL_VOID)
        to[at] = voided(to[at]);
    return w->lie == LIE_ROLL_STILL ? 0 : n;
}

static bool lie_roll(struct world *w, struct link_plain *l, const struct f_roll *f)
{
    struct f_roll x = *f;
    struct forged made = {.content = {0}};
    bool good = true;

    if (w->lie < LIE_ROLL_CUT || w->lie > LIE_ROLL_LESS || f->entries_n < 2 ||
        (w->lied && w->lie != LIE_ROLL_LESS))
        return false;
    struct f_entry *to = calloc(f->entries_n + 1, sizeof *to);
    must(to != NULL, "no memory");
    x.entries_n = roll_change(w, f, to);
    x.entries = to;
    if (w->lie == LIE_ROLL_STILL)
        x.upto = 0;
    if (w->lie == LIE_ROLL_AHEAD)
        x.upto += 1000;
    if (made_anew(w->lie) != CONTENT_UNKNOWN)
        good = roll_forge(w, &x, &made);
    if (good) {
        put_any(w, l, F_ROLL, &x);
        w->lie_room = f->room;
        w->lied = true;
    }
    forged_free(&made);
    free(to);
    return good;
}

/* --- what the room is --- */

static bool there(const struct world *w, const struct room_id *room)
{
    return memcmp(room, &w->lie_room, sizeof *room) == 0;
}

static int head_row(void *ctx, const struct store_message *row)
{
    *(struct hash *)ctx = row->head;
    return 0;
}

/* The victim's time begins with the last entry, if he has not read the one before it. */
static bool lie_from(struct world *w, struct f_room_info *x)
{
    const struct keep *k = &w->m[w->victim].keep;
    struct keep_room r = {0};
    struct err e = {0};

    if (w->m[w->victim].g == NULL || k->ops->room_get(k->k, &x->id, &r, &e) != 1 || !r.based ||
        x->number < r.number + 2)
        return false;
    x->from = x->number;
    return w->store.ops->message_range(w->store.db, &x->id, x->from - 1, x->from - 1, head_row,
                                       &x->head, &e) >= 0;
}

static bool lie_info(struct world *w, struct f_room_info *x)
{
    if (w->lie == LIE_PUBLIC && str_is(x->name, "cellar"))
        w->lie_room = x->id;
    if (!there(w, &x->id))
        return false;
    switch (w->lie) {
    case LIE_PUBLIC:
    case LIE_KIND:
        x->kind = x->kind == ROOM_PUBLIC ? ROOM_PRIVATE : ROOM_PUBLIC;
        x->has_with = false;
        break;
    case LIE_WITH: x->with = *world_account(PEOPLE - 1); break;
    case LIE_FROM:
        if (!lie_from(w, x))
            return false;
        break;
    default: return false;
    }
    return w->lied = true;
}

static bool lie_welcome(struct world *w, struct link_plain *l, struct f_welcome *f)
{
    struct f_welcome x = *f;
    struct f_room_info *rooms = calloc(f->rooms_n + 1, sizeof *rooms);
    bool told = false;

    must(rooms != NULL, "no memory");
    for (size_t i = 0; i < f->rooms_n; i++) {
        rooms[i] = f->rooms[i];
        told |= lie_info(w, rooms + i);
    }
    x.rooms = rooms;
    if (told)
        put_any(w, l, F_WELCOME, &x);
    free(rooms);
    return told;
}

static bool lie_room(struct world *w, struct link_plain *l, const struct f_room *f)
{
    struct f_room x = *f;

    if (!lie_info(w, &x.room))
        return false;
    put_any(w, l, F_ROOM, &x);
    return true;
}

/* --- all of them --- */

static bool lie_list(struct world *w, struct link_plain *l, const struct f_members *f)
{
    switch (w->lie) {
    case LIE_GHOST: return list_more(w, l, f);
    case LIE_HIDDEN:
    case LIE_ROLL_LESS: return list_less(w, l, f, hidden(w));
    case LIE_WITHHELD: return w->lied;
    default: return false;
    }
}

bool lie_told(struct world *w, struct link_plain *l, struct frame *f, struct span raw)
{
    struct entry_line line;
    struct err e = {0};

    if (f->type == F_WELCOME)
        return lie_welcome(w, l, &f->u.welcome);
    if (f->type == F_ROOM)
        return lie_room(w, l, &f->u.room);
    if (f->type == F_ROLL && w->lie != LIE_WITHHELD)
        return lie_roll(w, l, &f->u.roll);
    if (f->type == F_MEMBERS)
        return there(w, &f->u.members.room) && lie_list(w, l, &f->u.members);
    if (f->type == F_HISTORY)
        return w->lie == LIE_WITHHELD && w->lied && there(w, &f->u.history.room);
    if (f->type != F_ENTRY || entry_line_take(&line, f->u.entry.line, &e) < 0 ||
        !there(w, &line.room))
        return false;
    return lie_entry(w, l, &f->u.entry, raw,
                     w->lie_kind == CONTENT_UNKNOWN || world_kind(f->u.entry.body) == w->lie_kind);
}
