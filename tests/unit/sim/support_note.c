/* What was said, by whom, and how far it got. */
#include <string.h>

#include "common/chat/entry.h"
#include "support_parts.h"

/* Something acknowledged is not there: with `lossy` that is what the test wants to see. */
void note_lost(struct world *w, const char *what, const struct note *n)
{
    w->lost++;
    if (!w->lossy)
        world_fail(w, "%s: %s's entry %llu (number %llu)", what, world_name(n->who),
                   (unsigned long long)n->seq, (unsigned long long)n->number);
}

struct note *note_find(struct world *w, int who, const struct room_id *room, uint64_t seq)
{
    for (size_t i = 0; i < w->notes_n; i++) {
        struct note *n = w->notes + i;
        if (n->who == who && n->seq == seq && memcmp(&n->room, room, sizeof *room) == 0)
            return n;
    }
    must(w->notes_n < NOTES, "too much was said");
    struct note *n = w->notes + w->notes_n++;
    *n = (struct note){.who = who, .room = *room, .seq = seq};
    return n;
}

/* A client's bytes on their way: what leaves twice is the same. */
void note_left(struct world *w, struct link_plain *l, struct frame *f, struct span raw)
{
    struct entry_line line;
    struct hash h;
    struct err e = {0};

    (void)raw;
    if (f->type != F_ENTRY_SAY)
        return;
    if (entry_line_take(&line, f->u.entry_say.line, &e) < 0) {
        world_fail(w, "a client sent no line: %s", e.text);
        return;
    }
    struct note *n = note_find(w, l->who, &line.room, line.seq);
    entry_line_hash(f->u.entry_say.line, &h);
    if (n->left && !hash_same(&h, &n->line)) {
        w->lost++;
        if (!w->lossy)
            world_fail(w, "%s sent two lines with seq %llu", world_name(l->who),
                       (unsigned long long)line.seq);
    }
    n->left = true;
    n->line = h;
    n->kind = world_kind(f->u.entry_say.body);
}

enum content_kind world_kind(struct span body)
{
    struct content c;
    struct err e = {0};

    if (body.n < OPENING_LEN ||
        content_take(&c, span_of(body.p + OPENING_LEN, body.n - OPENING_LEN), &e) < 0)
        return CONTENT_UNKNOWN;
    enum content_kind kind = c.kind;
    content_free(&c);
    return kind;
}

void note_acked(struct world *w, int who, const struct room_id *room, uint64_t seq, uint64_t number)
{
    struct note *n = note_find(w, who, room, seq);

    if (n->acked && n->number != 0 && n->number != number && !w->lossy)
        world_fail(w, "%s's entry %llu was given two numbers", world_name(who),
                   (unsigned long long)seq);
    n->acked = true;
    if (number != 0)
        n->number = number;
}

/* Policy refuses what crossed a join, a leave or an invitation on its way, and nothing else. */
void note_voided(struct world *w, int who, const struct f_voided *f)
{
    static const char *const reasons[] = {
        "you are a member already",
        "that person is a member already",
        "you were no member: your join was not signed yet",
    };
    bool good = false;

    for (size_t i = 0; i < COUNT(reasons); i++)
        good = good || str_is(f->text, reasons[i]);
    if (!good)
        world_fail(w, "the relay voided an entry: %.*s", (int)f->text.n, f->text.p);
    note_acked(w, who, &f->room, f->seq, f->number);
    note_find(w, who, &f->room, f->seq)->voided = true;
}
