#include "client/core/view_parts.h"
#include "client/core/wrap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sheet sheet_of(unsigned cols)
{
    return (struct sheet){.cols = cols, .rows = calloc(SHEET_ROWS, sizeof(struct sheet_row))};
}

void sheet_free(struct sheet *s)
{
    free(s->rows);
    s->rows = NULL;
}

static void sheet_row(struct sheet *s, enum style style, unsigned indent, struct str text)
{
    if (s->rows == NULL || s->n == SHEET_ROWS)
        return;
    struct sheet_row *row = &s->rows[s->n++];
    row->style = style;
    snprintf(row->text, sizeof row->text, "%*s%.*s", (int)indent, "", (int)text.n, text.p);
}

void sheet_add(struct sheet *s, enum style style, const char *fmt, ...)
{
    char text[4096];
    unsigned indent = 0;
    struct str row;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    while (text[indent] == ' ')
        indent++;
    if (indent + 10 > s->cols)
        indent = 0;
    struct wrap w = wrap_of(str_of(text + strspn(text, " ")), s->cols - indent);
    while (wrap_next(&w, &row))
        sheet_row(s, style, indent, row);
}

enum { PAIR_LEFT = 26, PAIR_MIN = 20 };

void sheet_pair(struct sheet *s, enum style style, const char *left, const char *text)
{
    unsigned width = wrap_width(str_of(left)) + 2;
    bool beside = s->cols >= PAIR_LEFT + PAIR_MIN;
    bool below = beside && width + 1 > PAIR_LEFT;
    unsigned at = beside ? PAIR_LEFT : 4;
    char row_text[SHEET_TEXT];
    struct str row;

    if (!beside || below)
        sheet_add(s, style, "  %s", left);
    struct wrap w = wrap_of(str_of(text), s->cols > at ? s->cols - at : 1);
    for (unsigned i = 0; wrap_next(&w, &row); i++) {
        bool first = i == 0 && beside && !below;
        snprintf(row_text, sizeof row_text, "%s%s%*s%.*s", first ? "  " : "", first ? left : "",
                 (int)(first ? at - width : at), "", (int)row.n, row.p);
        sheet_row(s, style, 0, str_of(row_text));
    }
}

void sheet_blank(struct sheet *s)
{
    sheet_row(s, STYLE_TEXT, 0, str_of(""));
}

void fingerprint_short(const struct hash *fp, unsigned groups, char out[80])
{
    struct wr w = wr_of(out, 79);

    for (unsigned i = 0; i < groups && i < HASH_LEN / 2; i++) {
        char group[8];
        int n = snprintf(group, sizeof group, "%s%02X%02X", i > 0 ? " " : "", fp->b[2 * i],
                         fp->b[2 * i + 1]);
        wr_put(&w, group, (size_t)n);
    }
    out[w.len] = '\0';
}

/* How many groups of four digits and a space stand in so many columns: a divisor people can count.
 */
static unsigned groups_in(unsigned cols)
{
    static const unsigned fits[] = {16, 8, 4, 3, 2};

    for (size_t i = 0; i < COUNT(fits); i++) {
        if (fits[i] * 5 + (fits[i] - 1) / 4 <= cols + 1)
            return fits[i];
    }
    return 1;
}

void sheet_fingerprint(struct sheet *s, enum style style, const char *label, const struct hash *fp)
{
    unsigned indent = wrap_width(str_of(label));
    char row[160];

    if (indent + 19 > s->cols && indent > 2) { /* less than four groups beside the label */
        sheet_add(s, style, "%s", label);
        label = "  ";
        indent = 2;
    }
    if (indent + 4 > s->cols) {
        label = "";
        indent = 0;
    }
    unsigned per_row = groups_in(s->cols - indent);
    for (unsigned i = 0; i < HASH_LEN / 2; i += per_row) {
        int n = snprintf(row, sizeof row, "%s", i == 0 ? label : "");
        n += snprintf(row + n, sizeof row - (size_t)n, "%*s", i == 0 ? 0 : (int)indent, "");
        for (unsigned k = i; k < i + per_row && k < HASH_LEN / 2; k++) {
            const char *gap = k == i ? "" : (k - i) % 4 == 0 ? "  " : " ";
            n += snprintf(row + n, sizeof row - (size_t)n, "%s%02X%02X", gap, fp->b[2 * k],
                          fp->b[2 * k + 1]);
        }
        sheet_row(s, style, 0, str_of(row));
    }
}

void sheet_draw(const struct sheet *s, struct area a, size_t top)
{
    for (unsigned i = 0; s->rows != NULL && i < a.rows && top + i < s->n; i++) {
        const struct sheet_row *row = &s->rows[top + i];
        area_text(a, (int)i, 0, row->style, str_of(row->text));
    }
}

const char *month_name(int mon)
{
    static const char *const names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

    return mon >= 1 && mon <= 12 ? names[mon - 1] : "???";
}

long days_left(const struct model *m, int64_t until)
{
    int64_t day = 24 * 60 * 60 * INT64_C(1000);

    return (long)(until >= m->now ? (until - m->now) / day : -((m->now - until) / day) - 1);
}
