#include "client/core/view_parts.h"
#include "client/core/wrap.h"

#include <stdio.h>
#include <string.h>

/* Which way it went: a step that each side computes for itself goes nowhere. */
static const char *way(const struct step *s, const char *out, const char *in, const char *none)
{
    return s->local ? none : s->out ? out : in;
}

static double ms_of(uint64_t us)
{
    return (double)us / 1000;
}

/* What is proven, in whole clauses: the first ones where all of it has no room. */
static struct str clauses(const char *proves, unsigned cols)
{
    struct str text = str_of(proves);
    size_t n = text.n;

    while (n > 0 && wrap_width(str_from(text.p, n)) > cols) {
        do
            n--;
        while (n > 0 && text.p[n] != ';' && text.p[n] != ',');
    }
    return n > 0 ? str_from(text.p, n) : text;
}

/* "  5 <--  2102    1.6   0.4  Certificate          relay.lab <- Lab Relay CA" */
static void step_wide(const struct step *s, struct area a, int row, enum style style)
{
    char text[200];
    enum style proves = style == STYLE_TEXT ? STYLE_DIM : style;
    int n = snprintf(text, sizeof text, "%3u %s", s->number, way(s, "-->", "<--", "   "));

    if (s->bytes > 0)
        n += snprintf(text + n, sizeof text - (size_t)n, "%6zu", s->bytes);
    else
        n += snprintf(text + n, sizeof text - (size_t)n, "%6s", "");
    n += snprintf(text + n, sizeof text - (size_t)n, " %7.1f", ms_of(s->at_us));
    if (s->waiting)
        n += snprintf(text + n, sizeof text - (size_t)n, "   ...");
    else
        n += snprintf(text + n, sizeof text - (size_t)n, "%6.1f", ms_of(s->took_us));
    snprintf(text + n, sizeof text - (size_t)n, "  %-19.32s", s->name);
    unsigned col = area_text(a, row, 0, style, str_of(text));
    if (s->waiting || s->failed)
        area_cutoff(a, row, col + 1, s->failed ? STYLE_BAD : STYLE_WARN,
                    str_of(s->failed ? "FAILED here" : "waiting for the relay"));
    else
        area_cutoff(a, row, col + 1, proves,
                    clauses(s->proves, a.cols > col + 1 ? a.cols - col - 1 : 0));
}

/* " 9 ->  388 CertificateVerify 7.9ms" */
static void step_narrow(const struct step *s, struct area a, int row, enum style style)
{
    char text[120];

    if (s->bytes > 0)
        snprintf(text, sizeof text, "%2u %s %4zu %s", s->number, way(s, "->", "<-", "  "), s->bytes,
                 s->name);
    else
        snprintf(text, sizeof text, "%2u %s      %s", s->number, way(s, "->", "<-", "  "), s->name);
    unsigned col = area_cutoff(a, row, 0, style, str_of(text));
    if (s->failed)
        area_text(a, row, col, STYLE_BAD, str_of(" FAILED"));
    else if (s->waiting)
        area_text(a, row, col, STYLE_WARN, str_of(", waiting"));
    else if (s->took_us >= 1000)
        area_print(a, row, col, STYLE_DIM, " %.1fms", ms_of(s->took_us));
}

static void draw_steps(const struct model *m, const struct attempt *t, struct area a)
{
    bool wide = a.cols >= 60;
    unsigned head = wide && a.rows > 3, last = t->steps_n > 0 ? t->steps_n - 1 : 0;
    unsigned focus = m->explain || m->shown_step > 0 ? m->shown_step : last;
    unsigned room = a.rows - head, top = focus >= room ? focus - room + 1 : 0;

    if (head)
        area_cutoff(a, 0, 0, STYLE_DIM,
                    str_of("  #     bytes   at ms  took  step                what it proves"));
    for (unsigned i = top; i < t->steps_n && i - top < room; i++) {
        const struct step *s = &t->steps[i];
        bool chosen = i == m->shown_step && (m->explain || m->shown_step > 0);
        enum style style = chosen       ? STYLE_SELECT
                           : s->failed  ? STYLE_BAD
                           : s->waiting ? STYLE_WARN
                                        : STYLE_TEXT;
        (wide ? step_wide : step_narrow)(s, a, (int)(head + i - top), style);
        if (chosen) {
            a.g->cursor_row = a.row + head + i - top;
            a.g->cursor_col = a.col;
        }
    }
}

static void explain(const struct model *m, const struct attempt *t, struct sheet *s)
{
    if (!m->explain || m->shown_step >= t->steps_n)
        return;
    const struct step *step = &t->steps[m->shown_step];
    sheet_add(s, STYLE_STRONG, "step %u  %s  %s", step->number, step->name,
              way(step, "you -> relay", "relay -> you", "each side for itself"));
    if (step->wire[0] != '\0')
        sheet_add(s, STYLE_TEXT, "  on the wire %s, %zu bytes, %.1f ms", step->wire, step->bytes,
                  ms_of(step->took_us));
    sheet_add(s, STYLE_TEXT, "  proves      %s", step->proves);
    if (step->detail[0] != '\0')
        sheet_add(s, STYLE_TEXT, "  seen        %s", step->detail);
    sheet_blank(s);
}

static void failure(const struct attempt *t, struct sheet *s)
{
    if (t->failure[0] == '\0')
        return;
    if (t->steps_n > 0)
        sheet_add(s, STYLE_BAD, "FAILED at step %u, %s", t->steps[t->steps_n - 1].number,
                  t->steps[t->steps_n - 1].name);
    else
        sheet_add(s, STYLE_BAD, "FAILED before the first step");
    sheet_add(s, STYLE_BAD, "  %s", t->failure);
    sheet_add(s, STYLE_STRONG, "  next: %s", t->next);
    sheet_blank(s);
}

static void days_text(const struct model *m, const struct shown_cert *c, char out[80])
{
    long days = days_left(m, c->until);

    if (days < 0)
        snprintf(out, 80, "EXPIRED %ld %s ago", -days, days == -1 ? "day" : "days");
    else
        snprintf(out, 80, "%ld %s left", days, days == 1 ? "day" : "days");
}

static enum style days_style(const struct model *m, const struct shown_cert *c)
{
    long days = days_left(m, c->until);

    return days < 0 ? STYLE_BAD : days < 14 ? STYLE_WARN : STYLE_TEXT;
}

/* Subject, key and days of each certificate of a chain, its whole fingerprint below. */
static void chain(const struct model *m, struct sheet *s, const char *label,
                  const struct shown_cert *certs, unsigned n)
{
    char days[80];

    for (unsigned i = 0; i < n; i++) {
        const struct shown_cert *c = &certs[i];
        days_text(m, c, days);
        sheet_add(s, i == 0 ? STYLE_STRONG : days_style(m, c), "%-11s %s  %s  %s",
                  i == 0 ? label : "  issued by", c->subject, c->key, days);
        if (i == 0 && c->names[0] != '\0')
            sheet_add(s, STYLE_TEXT, "  valid for %s", c->names);
        sheet_fingerprint(s, STYLE_DIM, "  SHA-256   ", &c->fp);
    }
}

static void panel(const struct model *m, const struct attempt *t, struct sheet *s)
{
    failure(t, s);
    explain(m, t, s);
    if (t->suite[0] != '\0')
        sheet_add(s, STYLE_TEXT, "session     %s  %s  no resumption", t->suite, t->group);
    if (t->pin.subject[0] != '\0') {
        sheet_add(s, t->pinned ? STYLE_GOOD : STYLE_STRONG, "pinned CA   %s  %s", t->pin.subject,
                  t->pinned ? "the relay's chain ends in it: OK" : "from your invite");
        sheet_fingerprint(s, STYLE_DIM, "  SHA-256   ", &t->pin.fp);
    }
    chain(m, s, "relay", t->peer, t->peer_n);
    chain(m, s, "you", t->own, t->own_n);
}

unsigned view_handshake_rows(const struct model *m, unsigned cols)
{
    struct sheet s = sheet_of(cols);

    if (m->shown_try < m->tries_n)
        panel(m, &m->tries[m->shown_try], &s);
    sheet_free(&s);
    return s.n;
}

void view_handshake(const struct model *m, struct area a)
{
    const struct attempt *t = m->shown_try < m->tries_n ? &m->tries[m->shown_try] : NULL;

    if (t == NULL) {
        area_cutoff(a, 0, 0, STYLE_DIM, str_of("nothing yet: /connect"));
        return;
    }
    struct sheet s = sheet_of(a.cols);
    panel(m, t, &s);
    unsigned steps = t->steps_n + (a.cols >= 60 && a.rows > 3);
    /* Steps first; of the certificates what fits; a failure always has room to be read. */
    unsigned keep = t->failure[0] != '\0' || m->explain ? (s.n < 6 ? s.n : 6) + 1 : 2;
    unsigned room = a.rows > keep + 1 ? a.rows - keep : (a.rows + 1) / 2;
    if (steps > room)
        steps = room;
    draw_steps(m, t, area_cut(a, 0, 0, steps, a.cols));
    if (a.rows > steps + 1) {
        area_rule(a, (int)steps, '-', STYLE_DIM);
        size_t most = s.n > a.rows - steps - 1 ? s.n - (a.rows - steps - 1) : 0;
        sheet_draw(&s, area_cut(a, steps + 1, 0, a.rows, a.cols),
                   m->page.top < most ? m->page.top : most);
    }
    sheet_free(&s);
}
