#include "server/flood.h"

#include <string.h>

void flood_init(struct flood *f, flood_report *report, void *ctx)
{
    memset(f, 0, sizeof *f);
    f->report = report;
    f->ctx = ctx;
}

static void name(char *dst, size_t cap, const char *src)
{
    size_t n = strnlen(src, cap - 1);

    memcpy(dst, src, n);
    dst[n] = '\0';
}

/* Events are words of our own: there is a slot for each of them, and were there more, the last one
 * would be for all of these. */
static struct flood_slot *of_all(struct flood *f, const char *event)
{
    struct flood_slot *at = f->all;

    while (at < &f->all[FLOOD_EVENTS - 1] && at->event[0] != '\0' && strcmp(at->event, event) != 0)
        at++;
    if (at->event[0] == '\0')
        memcpy(at->event, event, FLOOD_WHAT);
    return at;
}

/* Whoever comes from everywhere must not fill the log with counts of himself. */
static void settle(struct flood *f, struct flood_slot *s)
{
    bool any = s->source[0] == '\0';

    if (s->left_out > 0 && (any || f->reports < FLOOD_REPORTS)) {
        f->report(f->ctx, s->event, s->source, s->left_out);
        f->reports += !any;
    } else if (s->left_out > 0) {
        of_all(f, s->event)->left_out += s->left_out;
    }
    s->left_out = 0;
    s->told = 0;
}

/* FNV-1a: spreads, need not withstand an attacker who gains nothing by a collision. */
static uint32_t mix(uint32_t h, const char *s)
{
    for (; *s != '\0'; s++)
        h = (h ^ (unsigned char)*s) * 16777619U;
    return (h ^ 0xffU) * 16777619U;
}

/* Whoever else was in this source's slot is settled and leaves. */
static struct flood_slot *of_source(struct flood *f, const char event[FLOOD_WHAT],
                                    const char *source)
{
    char who[FLOOD_WHO];
    struct flood_slot *at;

    name(who, sizeof who, source);
    at = &f->slots[mix(mix(2166136261U, event), who) % FLOOD_SLOTS];
    if (strcmp(at->event, event) != 0 || strcmp(at->source, who) != 0) {
        settle(f, at);
        memset(at, 0, sizeof *at);
        memcpy(at->event, event, FLOOD_WHAT);
        memcpy(at->source, who, sizeof who);
    }
    return at;
}

static void second_begin(struct flood *f, int64_t second)
{
    if (f->second != second)
        f->reports = 0;
    f->second = second;
}

static bool count(struct flood *f, struct flood_slot *s, unsigned max, int64_t second)
{
    if (s->second != second)
        settle(f, s);
    s->second = second;
    if (s->told >= max) {
        s->left_out++;
        return false;
    }
    s->told++;
    return true;
}

bool flood_pass(struct flood *f, const char *event, const char *source, int64_t now_ms)
{
    int64_t second = now_ms / 1000;
    char what[FLOOD_WHAT] = "";

    name(what, sizeof what, event);
    second_begin(f, second);
    return count(f, of_source(f, what, source), FLOOD_SOURCE, second) &&
           count(f, of_all(f, what), FLOOD_EVENT, second);
}

static void settle_all(struct flood *f, struct flood_slot *slots, size_t n, int64_t but)
{
    for (size_t i = 0; i < n; i++)
        if (slots[i].left_out > 0 && slots[i].second != but)
            settle(f, &slots[i]);
}

void flood_tick(struct flood *f, int64_t now_ms)
{
    second_begin(f, now_ms / 1000);
    settle_all(f, f->slots, FLOOD_SLOTS, now_ms / 1000);
    settle_all(f, f->all, FLOOD_EVENTS, now_ms / 1000);
}

void flood_end(struct flood *f)
{
    settle_all(f, f->slots, FLOOD_SLOTS, -1);
    settle_all(f, f->all, FLOOD_EVENTS, -1);
}
