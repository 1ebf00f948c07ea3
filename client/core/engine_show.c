#include <stdio.h>
#include <string.h>

#include "client/core/engine_inner.h"

/* How many other members have everything up to a number. */
void delivered_of(const struct engine *g, const struct room *r, uint64_t number,
                  struct engine_entry *out)
{
    out->delivered = out->members = 0;
    for (size_t i = 0; i < r->pub.members_n; i++) {
        const struct engine_member *m = r->members + i;
        if (m->left || strcmp(m->name, g->account) == 0)
            continue;
        out->members++;
        out->delivered += m->delivered >= number;
    }
    if (out->members > 0)
        out->state = out->delivered > 0 ? ENGINE_DELIVERED : ENGINE_RELAY;
}

void mine_add(struct room *r, uint64_t seq, uint64_t number)
{
    for (unsigned i = r->mine_n; i-- > 0;)
        if (r->mine[i].seq == seq)
            return; /* by the relay's answer, or shown before */
    if (r->mine_n == MINE_MAX) {
        memmove(r->mine, r->mine + 1, sizeof r->mine - sizeof r->mine[0]);
        r->mine_n--;
    }
    r->mine[r->mine_n++] = (struct mine){seq, number};
}

void mine_delivered(struct engine *g, struct room *r, uint64_t after, uint64_t upto)
{
    for (unsigned i = 0; i < r->mine_n; i++) {
        const struct mine *m = r->mine + i;
        if (m->number <= after || m->number > upto)
            continue;
        struct engine_event ev = {
            .kind = ENGINE_STATE,
            .room = r->pub.id,
            .roomed = true,
            .entry = {.room = r->pub.id,
                      .number = m->number,
                      .seq = m->seq,
                      .fp = g->conf.fp,
                      .own = true,
                      .state = ENGINE_DELIVERED},
        };
        delivered_of(g, r, m->number, &ev.entry);
        if (ev.entry.state == ENGINE_DELIVERED)
            event_add(g, &ev);
    }
}

int take_delivered(struct engine *g, struct frame *f)
{
    const struct f_delivered *x = &f->u.delivered;
    struct room *r = room_find(g, &x->room);
    struct engine_member *m = r == NULL ? NULL : member_by_id(r, &x->account);

    if (r != NULL && m == NULL)
        members_ask(g, r); /* came since we asked; the list says what he has */
    if (m == NULL || strcmp(m->name, g->account) == 0 || x->number <= m->delivered)
        return 0;
    uint64_t before = m->delivered;
    m->delivered = x->number > r->pub.last ? r->pub.last : x->number;
    mine_delivered(g, r, before, m->delivered);
    return 0;
}

/* Fills what people see from what is kept. content owns the text until content_free. */
void entry_of_kept(struct engine *g, const struct room *r, const struct keep_entry *t,
                   struct engine_entry *out, struct content *content)
{
    struct entry_line l = {0};
    struct err e = {0};
    struct span plain;
    const struct author *a = t->proven ? author_want(g, &t->fp) : NULL; /* it is on our disk */

    *content = (struct content){0};
    *out = (struct engine_entry){
        .room = t->room,
        .number = t->number,
        .time = t->time,
        .seq = t->seq,
        .fp = t->fp,
        .author = "",
        .device = a != NULL && a->state == AUTHOR_HERE ? a->device : "",
        .is_signed = t->proven,
        .vouched = hash_same(&t->fp, &g->conf.fp) || vouched(g, &t->fp),
        .arrival = t->arrival,
        .kind = "",
        .whom = "",
        .state = ENGINE_RELAY,
    };
    if (entry_line_take(&l, t->line, &e) == 0)
        out->sent = (uint64_t)l.ts;
    int64_t skew = (int64_t)out->sent - (int64_t)t->time;
    out->skewed = out->sent != 0 && (skew > SKEW_SHOWN_MS || skew < -SKEW_SHOWN_MS);
    if (t->refused.n > 0 || t->body.n == 0 || entry_body_open(&l, t->body, &plain, &e) < 0 ||
        content_take(content, plain, &e) < 0)
        return;
    out->kind = "say";
    if (content->kind == CONTENT_SAY)
        out->text = content->text;
    if (r != NULL)
        delivered_of(g, r, t->number, out);
}

static void whom_of(const struct content *c, char out[NAME_MAX_LEN + 1])
{
    struct str name = c->kind == CONTENT_INVITE ? c->who.name : str_of("");

    snprintf(out, NAME_MAX_LEN + 1, "%.*s", (int)name.n, name.p);
}

/* The same with the texts that it points to. */
struct seen {
    struct engine_entry entry;
    struct content content;
    char author[NAME_MAX_LEN + 1], refused[256], kind[CONTENT_KIND_MAX + 1];
    char whom[NAME_MAX_LEN + 1];
};

static void seen_make(struct engine *g, const struct room *r, const struct keep_entry *t,
                      struct seen *s)
{
    entry_of_kept(g, r, t, &s->entry, &s->content);
    snprintf(s->author, sizeof s->author, "%.*s", (int)t->account.n, t->account.p);
    s->entry.author = s->author;
    s->entry.own = t->proven && strcmp(s->author, g->account) == 0;
    if (s->content.tree != NULL) {
        snprintf(s->kind, sizeof s->kind, "%.*s", (int)s->content.name.n, s->content.name.p);
        s->entry.kind = s->kind;
        whom_of(&s->content, s->whom);
        s->entry.whom = s->whom;
    }
    if (t->refused.n > 0) {
        snprintf(s->refused, sizeof s->refused, "%.*s", (int)t->refused.n, t->refused.p);
        s->entry.refused = s->refused;
    } else if (t->body.n == 0) {
        s->entry.voided = "the relay's policy refused it and dropped its text";
        s->entry.state = ENGINE_FAILED;
    }
}

static void seen_free(struct seen *s)
{
    content_free(&s->content);
}

void show_kept(struct engine *g, struct room *r, const struct keep_entry *t, bool older)
{
    struct engine_event ev = {.kind = ENGINE_ENTRY, .room = r->pub.id, .roomed = true};
    struct seen s;

    seen_make(g, r, t, &s);
    ev.entry = s.entry;
    ev.entry.older = older;
    if (ev.entry.own && hash_same(&t->fp, &g->conf.fp))
        mine_add(r, t->seq, t->number);
    if (r->shown == 0 || t->number < r->shown)
        r->shown = t->number;
    room_begun(r);
    event_add(g, &ev);
    seen_free(&s);
}

struct since {
    struct engine *g;
    engine_each *each;
    void *ctx;
};

static int since_each(void *ctx, const struct keep_entry *t)
{
    struct since *x = ctx;
    struct seen s;

    if (t->line.n == 0)
        return 0; /* what is left of a room that was forgotten */
    seen_make(x->g, NULL, t, &s);
    int ret = x->each(x->ctx, &s.entry);
    seen_free(&s);
    return ret;
}

int engine_kept(struct engine *g, uint64_t since, engine_each *each, void *ctx, struct err *e)
{
    struct since s = {g, each, ctx};

    return g->conf.keep.ops->entries_since(g->conf.keep.k, since, since_each, &s, e);
}

uint64_t engine_arrival(struct engine *g)
{
    uint64_t last = 0;
    struct err e = {0};

    return g->conf.keep.ops->arrival_last(g->conf.keep.k, &last, &e) < 0 ? 0 : last;
}

struct lines {
    struct engine *g;
    const struct room *r;
    engine_each_line *each;
    void *ctx;
};

static int lines_each(void *ctx, const struct keep_entry *t)
{
    struct lines *x = ctx;
    struct entry_line signed_line = {0};
    struct err e = {0};
    struct seen s;

    seen_make(x->g, x->r, t, &s);
    if (entry_line_take(&signed_line, t->line, &e) < 0)
        signed_line = (struct entry_line){0}; /* and is_signed is false */
    const struct engine_line line = {.entry = &s.entry,
                                     .hash = t->line_hash,
                                     .prev = signed_line.prev,
                                     .sig_bytes = t->sig.n,
                                     .body_bytes = t->body.n};
    int ret = x->each(x->ctx, &line);
    seen_free(&s);
    return ret;
}

int engine_lines(struct engine *g, const struct room_id *room, uint64_t upto, unsigned count,
                 engine_each_line *each, void *ctx, struct err *e)
{
    struct lines x = {g, room_find(g, room), each, ctx};

    if (x.r == NULL)
        return err_set(e, ERR_INPUT, "no such room");
    if (upto == 0 || upto > x.r->kept.number)
        upto = x.r->kept.number;
    return g->conf.keep.ops->entries_before(g->conf.keep.k, room, upto + 1, count, lines_each, &x,
                                            e);
}
