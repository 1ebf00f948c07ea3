/* Bytes between the relay and its clients: queues with delays, and a look at each frame. */
#include <stdlib.h>
#include <string.h>

#include "common/chat/entry.h"
#include "support_parts.h"

static void digest_add(struct world *w, struct span bytes)
{
    w->digest = (w->digest ^ (uint64_t)w->mono) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < bytes.n; i++)
        w->digest = (w->digest ^ bytes.p[i]) * UINT64_C(0x100000001b3);
}

void queue_add(struct world *w, struct queue *q, struct span bytes)
{
    struct chunk *c = malloc(sizeof *c + bytes.n);

    must(c != NULL, "no memory");
    *c = (struct chunk){.due = w->mono + 1 + (int64_t)dice_below(&w->dice, (uint64_t)w->delay),
                        .n = bytes.n};
    memcpy(c->b, bytes.p, bytes.n);
    if (c->due < q->last)
        c->due = q->last;
    q->last = c->due;
    *q->tail = c;
    q->tail = &c->next;
    digest_add(w, bytes);
}

struct chunk *queue_due(struct world *w, struct queue *q, int64_t stall)
{
    struct chunk *c = q->first;

    if (c == NULL || c->due > w->mono || stall > w->mono)
        return NULL;
    q->first = c->next;
    if (q->first == NULL)
        q->tail = &q->first;
    return c;
}

void queue_clear(struct queue *q)
{
    for (struct chunk *c = q->first, *next; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
    *q = (struct queue){0};
    q->tail = &q->first;
}

void frames_each(struct world *w, struct link_plain *l, struct span bytes, unsigned from,
                 each_frame *each)
{
    while (bytes.n >= 4) {
        struct rd r = rd_of(bytes);
        struct frame f = {0};
        struct err e = {0};
        size_t n = rd_u32(&r);

        if (n > bytes.n - 4) {
            world_fail(w, "a frame was cut in two by its sender");
            return;
        }
        if (frame_take(&f, span_of(bytes.p + 4, n), from, &e) < 0) {
            world_fail(w, "an end sent a malformed frame: %s", e.text);
            return;
        }
        each(w, l, &f, span_of(bytes.p, n + 4));
        frame_free(&f);
        bytes = span_of(bytes.p + 4 + n, bytes.n - 4 - n);
    }
}

static void look(struct world *w, struct link_plain *l, struct frame *f, struct span raw)
{
    struct entry_line line;
    struct err e = {0};

    (void)raw;
    if (f->type == F_NUMBERED)
        note_acked(w, l->who, &f->u.numbered.room, f->u.numbered.seq, f->u.numbered.number);
    if (f->type == F_VOIDED)
        note_voided(w, l->who, &f->u.voided);
    if (f->type == F_ENTRY && entry_line_take(&line, f->u.entry.line, &e) == 0)
        seat_check(w, l->who, &line.room, f->u.entry.number);
    for (size_t i = 0; f->type == F_HISTORY && i < f->u.history.entries_n; i++)
        seat_check(w, l->who, &f->u.history.room, f->u.history.entries[i].number);
}

void world_put(struct world *w, struct link_plain *l, struct span raw)
{
    queue_add(w, &l->down, raw);
}

static void down_one(struct world *w, struct link_plain *l, struct frame *f, struct span raw)
{
    look(w, l, f, raw);
    if (w->lie != LIE_NONE && l->who == w->victim && lie_told(w, l, f, raw))
        return;
    queue_add(w, &l->down, raw);
}

void down(struct world *w, struct link_plain *l, struct span bytes)
{
    if (l->here && !l->severed)
        frames_each(w, l, bytes, FROM_RELAY, down_one);
}

void link_end(struct link_plain *l)
{
    session_free(l->s);
    queue_clear(&l->up);
    queue_clear(&l->down);
    *l = (struct link_plain){0};
}
