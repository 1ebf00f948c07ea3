#include "client/story.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void story_add(struct story *s, const struct link_step *step)
{
    struct link_step *last = s->n > 0 ? &s->steps[s->n - 1] : NULL;

    if (last != NULL && last->waiting && last->number == step->number)
        *last = *step;
    else if (s->n < COUNT(s->steps))
        s->steps[s->n++] = *step;
}

size_t story_bytes(const struct story *s, bool out)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++)
        if (s->steps[i].out == out && !s->steps[i].local)
            n += s->steps[i].bytes;
    return n;
}

uint64_t story_us(const struct story *s)
{
    return s->n == 0 ? 0 : s->steps[s->n - 1].at_us + s->steps[s->n - 1].took_us;
}

unsigned story_round_trips(const struct story *s)
{
    unsigned n = 0;
    bool sent = false;

    for (size_t i = 0; i < s->n; i++) {
        const struct link_step *t = &s->steps[i];
        if (t->local)
            continue;
        n += sent && !t->out;
        sent = t->out;
    }
    return n;
}

/* --- text into a buffer: what did not fit shows at the end --- */

struct pen {
    struct buf *out;
    bool full;
};

static void put(struct pen *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct pen *p, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text || buf_add(p->out, text, (size_t)n) < 0)
        p->full = true;
}

/* What a language reads as its own, and how it is written there. */
struct quote {
    char c;
    const char *as;
};

static const struct quote mermaid_quotes[] = {
    {';', "#59;"}, {'#', "#35;"}, {'<', "#60;"}, {'>', "#62;"}, {0, NULL}};
static const struct quote xml_quotes[] = {
    {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {0, NULL}};

static void put_quoted(struct pen *p, const char *text, const struct quote *quotes)
{
    for (; *text != '\0'; text++) {
        const struct quote *q = quotes;
        while (q->as != NULL && q->c != *text)
            q++;
        if (q->as != NULL)
            put(p, "%s", q->as);
        else
            put(p, "%c", *text);
    }
}

/* --- Mermaid --- */

static void mermaid_step(struct pen *p, const struct link_step *t)
{
    put(p, "    %s: %u ", t->local ? "Note over C,R" : t->out ? "C->>R" : "R->>C", t->number);
    put_quoted(p, t->name, mermaid_quotes);
    put(p, "<br/>");
    put_quoted(p, t->proves, mermaid_quotes);
    put(p, "\n");
}

int story_mermaid(const struct story *s, const char *title, struct buf *out)
{
    struct pen p = {out, false};

    put(&p, "sequenceDiagram\n    title ");
    put_quoted(&p, title, mermaid_quotes);
    put(&p, "\n    participant C as client\n    participant R as relay\n");
    for (size_t i = 0; i < s->n; i++)
        mermaid_step(&p, &s->steps[i]);
    return p.full ? -1 : 0;
}

/* --- SVG: two lines of life, an arrow for each step --- */

enum {
    WIDTH = 860,
    CLIENT_X = 130,
    RELAY_X = 730,
    MIDDLE_X = (CLIENT_X + RELAY_X) / 2,
    TOP_Y = 96,
    STEP_Y = 46,
};

static void svg_text(struct pen *p, int x, int y, const char *class, const char *text)
{
    put(p, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, class);
    put_quoted(p, text, xml_quotes);
    put(p, "</text>\n");
}

static void svg_step(struct pen *p, const struct link_step *t, int y)
{
    char label[256];

    if (t->local) {
        snprintf(label, sizeof label, "%u %s", t->number, t->name);
        put(p, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"36\" rx=\"4\" class=\"both\"/>\n",
            CLIENT_X - 20, y - 19, RELAY_X - CLIENT_X + 40);
    } else {
        snprintf(label, sizeof label, "%u %s, %zu B, at %.1f ms", t->number, t->name, t->bytes,
                 (double)t->at_us / 1000);
        put(p, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" class=\"arrow\"/>\n",
            t->out ? CLIENT_X : RELAY_X, y, t->out ? RELAY_X - 2 : CLIENT_X + 2, y);
    }
    svg_text(p, MIDDLE_X, y - 6, "what", label);
    svg_text(p, MIDDLE_X, y + 12, "why", t->proves);
}

static const char style[] =
    "<style>text{font:13px \"DejaVu Sans\",Verdana,sans-serif;text-anchor:middle;fill:#d7dae0}"
    ".why{font-size:11px;fill:#8a8a8a}.end{font-weight:bold}"
    ".life{stroke:#555b66;stroke-dasharray:4 4}"
    ".arrow{stroke:#8ab4f8;stroke-width:1.5;marker-end:url(#tip)}.both{fill:#23272f}</style>\n"
    "<defs><marker id=\"tip\" markerWidth=\"8\" markerHeight=\"8\" refX=\"7\" refY=\"4\" "
    "orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#8ab4f8\"/></marker></defs>\n";

int story_svg(const struct story *s, const char *title, struct buf *out)
{
    struct pen p = {out, false};
    int height = TOP_Y + (int)s->n * STEP_Y;
    static const struct {
        int x;
        const char *who;
    } ends[] = {{CLIENT_X, "client"}, {RELAY_X, "relay"}};

    put(&p, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\">\n",
        WIDTH, height);
    put(&p, "<title>");
    put_quoted(&p, title, xml_quotes);
    put(&p, "</title>\n%s<rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"#14171c\"/>\n",
        style);
    svg_text(&p, WIDTH / 2, 26, "end", title);
    for (size_t i = 0; i < COUNT(ends); i++) {
        svg_text(&p, ends[i].x, 54, "end", ends[i].who);
        put(&p, "<line x1=\"%d\" y1=\"62\" x2=\"%d\" y2=\"%d\" class=\"life\"/>\n", ends[i].x,
            ends[i].x, height - 14);
    }
    for (size_t i = 0; i < s->n; i++)
        svg_step(&p, &s->steps[i], TOP_Y + (int)i * STEP_Y);
    put(&p, "</svg>\n");
    return p.full ? -1 : 0;
}
