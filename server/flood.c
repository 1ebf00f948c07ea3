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

/* The slot of event and source among n; whoever else was there is settled and leaves. */
static struct flood_slot *slot(struct flood *f, struct flood_slot *slots, size_t n,
                               const char *event, const char *source)
{
    char e[FLOOD_WHAT], s[FLOOD_WHO];
    struct flood_slot *at;

    name(e, sizeof e, event);
    name(s, sizeof s, source);
    at = &slots[mix(mix(2166136261U, e), s) % n];
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

    return count(f, slot(f, f->slots, FLOOD_SLOTS, event, source), FLOOD_SOURCE, second) &&
           count(f, slot(f, f->all, FLOOD_EVENTS, event, ""), FLOOD_EVENT, second);
}

static void settle_all(struct flood *f, struct flood_slot *slots, size_t n, int64_t but)
{
    for (size_t i = 0; i < n; i++)
        if (slots[i].left_out > 0 && slots[i].second != but)
            settle(f, &slots[i]);
}

void flood_tick(struct flood *f, int64_t now_ms)
{
    settle_all(f, f->slots, FLOOD_SLOTS, now_ms / 1000);
    settle_all(f, f->all, FLOOD_EVENTS, now_ms / 1000);
}

void flood_end(struct flood *f)
{
    settle_all(f, f->slots, FLOOD_SLOTS, -1);
    settle_all(f, f->all, FLOOD_EVENTS, -1);
}
