#include "server/flood.h"

#include <string.h>

void flood_init(struct flood *f, flood_report *report, void *ctx)
{
    memset(f, 0, sizeof *f);
    f->report = report;
    f->ctx = ctx;
}

static void settle(struct flood *f, struct flood_slot *s)
{
    if (s->left_out > 0)
        f->report(f->ctx, s->event, s->source, s->left_out);
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

static void name(char *dst, size_t cap, const char *src)
{
    size_t n = strnlen(src, cap - 1);

    memcpy(dst, src, n);
    dst[n] = '\0';
}

/* The slot of event and source; whoever else was there is settled and leaves. */
static struct flood_slot *slot(struct flood *f, const char *event, const char *source)
{
    char e[FLOOD_WHAT], s[FLOOD_WHO];
    struct flood_slot *at;

    name(e, sizeof e, event);
    name(s, sizeof s, source);
    at = &f->slots[mix(mix(2166136261U, e), s) % FLOOD_SLOTS];
    if (strcmp(at->event, e) != 0 || strcmp(at->source, s) != 0) {
        settle(f, at);
        memset(at, 0, sizeof *at);
        memcpy(at->event, e, sizeof e);
        memcpy(at->source, s, sizeof s);
    }
    return at;
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

    return count(f, slot(f, event, source), FLOOD_SOURCE, second) &&
           count(f, slot(f, event, ""), FLOOD_EVENT, second);
}

void flood_tick(struct flood *f, int64_t now_ms)
{
    for (size_t i = 0; i < FLOOD_SLOTS; i++)
        if (f->slots[i].left_out > 0 && f->slots[i].second != now_ms / 1000)
            settle(f, &f->slots[i]);
}

void flood_end(struct flood *f)
{
    for (size_t i = 0; i < FLOOD_SLOTS; i++)
        settle(f, &f->slots[i]);
}
