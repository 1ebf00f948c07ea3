#include "client/core/view_parts.h"
#include "client/core/wrap.h"

#include <stdio.h>
#include <string.h>

#include "common/util/time.h"

/* --- one line --- */

static bool hash_none(const struct hash *h)
{
    static const struct hash none;

    return hash_same(h, &none);
}

/* 64 digits in pairs of bytes, for a place that wraps at blanks. */
static void digits(const struct hash *h, char out[FACT_TEXT])
{
    char text[80];

    fingerprint_short(h, HASH_LEN / 2, text);
    snprintf(out, FACT_TEXT, "%s", text);
}

unsigned line_facts(const struct shown_line *l, struct fact out[FACTS_MAX])
{
    char time[TIME_TEXT] = "", sent[TIME_TEXT] = "an unreadable time";
    unsigned n = 0;

    time_put(time, l->time);
    if (l->sent > 0)
        time_put(sent, l->sent);
#define FACT(label, ...)                                                                           \
    (out[n].name = (label), (void)snprintf(out[n++].text, FACT_TEXT, __VA_ARGS__))
    FACT("number", "%llu in this room, %llu of its author", (unsigned long long)l->number,
         (unsigned long long)l->seq);
    FACT("from", "%s%s%s", l->from[0] != '\0' ? l->from : "unknown",
         l->device[0] != '\0' ? " on " : "", l->device);
    FACT("said at", "%s by the author's clock", sent);
    FACT("numbered", "%s by the relay's clock", time);
    FACT("signature", "RSA-PSS with SHA-256, %zu bytes: %s", l->sig_bytes,
         l->is_signed ? "good" : "NOT by the certificate it names");
    FACT("covers",
         "room, place, time, the author's line before, what the author had seen of the "
         "room, and hash and commitment of %zu bytes",
         l->body_bytes);
    out[n].name = "certificate";
    digits(&l->fp, out[n++].text);
    out[n].name = "line";
    digits(&l->hash, out[n++].text);
    out[n].name = "line before";
    digits(&l->prev, out[n].text);
    if (hash_none(&l->prev))
        snprintf(out[n].text, FACT_TEXT, "none: the author's first here");
    n++;
#undef FACT
    return n;
}

static void line_sheet(const struct shown_line *l, struct sheet *s)
{
    struct fact facts[FACTS_MAX];
    unsigned n = line_facts(l, facts);

    sheet_add(s, l->good ? STYLE_STRONG : STYLE_BAD, "message %llu", (unsigned long long)l->number);
    sheet_add(s, l->good ? STYLE_TEXT : STYLE_BAD, "  %s", l->text);
    for (unsigned i = 0; i < n; i++) {
        sheet_add(s, STYLE_DIM, "%s", facts[i].name);
        sheet_add(s, STYLE_TEXT, "  %s", facts[i].text);
    }
}

/* --- the table --- */

/* "ok", and of what the relay has not signed for yet "new". */
static const char *place_word(const struct transcript *t, const struct shown_line *l)
{
    return !l->good ? "BAD" : t->valid && l->number > t->last ? "new" : "ok";
}

enum { COL_FROM = 14, COL_BYTES = COL_FROM + 10, COL_TEXT = COL_BYTES + 18 };

static void table_row(const struct transcript *t, size_t at, struct area a, int row)
{
    const struct shown_line *l = &t->lines[at];
    const char *place = place_word(t, l);
    bool chosen = at == t->chosen, wide = a.cols >= 60;
    enum style style = chosen            ? STYLE_SELECT
                       : !l->good        ? STYLE_BAD
                       : place[0] == 'n' ? STYLE_DIM
                                         : STYLE_TEXT;
    struct area line = area_cut(a, (unsigned)row, 0, 1, a.cols);
    unsigned col;

    if (chosen)
        area_fill(line, ' ', style);
    if (wide) {
        area_print(line, 0, 0, style, "%c%5llu %02d:%02d", chosen ? '>' : ' ',
                   (unsigned long long)l->number, l->when.hour, l->when.min);
        area_cutoff(area_cut(line, 0, COL_FROM, 1, COL_BYTES - COL_FROM), 0, 0, style,
                    str_of(l->from));
        area_print(line, 0, COL_BYTES, style, "%6zu  %-3s  %-3s", l->body_bytes,
                   l->is_signed ? "ok" : "BAD", place);
        col = COL_TEXT;
    } else {
        col = area_print(line, 0, 0, style, "%c%llu %s", chosen ? '>' : ' ',
                         (unsigned long long)l->number, l->good ? "" : "BAD ");
        col = area_text(area_cut(line, 0, col, 1, 10), 0, 0, style, str_of(l->from)) + col + 1;
    }
    area_cutoff(line, 0, col, style, str_from(l->text, strcspn(l->text, "\n")));
}

static void draw_table(const struct transcript *t, struct area a)
{
    bool head = a.rows > 3 && a.cols >= 60;
    unsigned rows = head ? a.rows - 1 : a.rows;
    size_t top = t->chosen >= rows ? t->chosen - rows + 1 : 0;

    if (rows == 0)
        return;
    if (head)
        area_text(a, 0, 0, STYLE_DIM, str_of("  no.  time   from       bytes  sig  chain text"));
    if (t->lines_n == 0)
        area_text(a, head, 0, STYLE_DIM, str_of("nothing has been said here yet"));
    for (unsigned i = 0; i < rows && top + i < t->lines_n; i++)
        table_row(t, top + i, a, (int)(i + head));
}

/* --- what it is worth --- */

enum { LABEL_COLS = 8 };

/* A label, and behind it text whose further rows stand under the first. */
static void labelled(struct sheet *s, enum style style, const char *label, const char *text)
{
    unsigned first = s->n;

    sheet_add(s, style, "%*s%s", LABEL_COLS, "", text);
    if (s->rows != NULL && first < s->n && s->rows[first].text[0] == ' ')
        memcpy(s->rows[first].text, label, strlen(label));
    else if (s->rows != NULL && first < s->n && label[0] != '\0')
        s->rows[first].style = STYLE_DIM;
}

static void valid_sheet(const struct transcript *t, struct sheet *s)
{
    const struct stamp *d = &t->signed_when;
    char fp[80], text[SHEET_TEXT];

    bool newer = t->lines_n > 0 && t->lines[t->lines_n - 1].number > t->last;
    snprintf(text, sizeof text, "messages %llu to %llu, checked anew%s%s",
             (unsigned long long)t->first, (unsigned long long)t->last,
             t->withheld > 0 ? "; some without their text" : "",
             newer ? "; newer ones are not signed by the relay yet" : "");
    labelled(s, STYLE_GOOD, "VALID", text);
    sheet_fingerprint(s, STYLE_TEXT, "root    ", &t->root);
    fingerprint_short(&t->signer, 4, fp);
    snprintf(text, sizeof text, "of %llu entries, signed on %d %s %d %02d:%02d by %s, %s ..",
             (unsigned long long)t->size, d->day, month_name(d->mon), d->year, d->hour, d->min,
             t->relay, fp);
    labelled(s, STYLE_TEXT, "", text);
    labelled(s, STYLE_TEXT, "proves",
             "each was signed with its author's key, and the relay numbered them so");
    labelled(s, STYLE_TEXT, "not", "who sat at the keyboard; that the clocks were right");
    labelled(s, STYLE_TEXT, "share", "/transcript export FILE      it can be shown to anybody");
    labelled(s, STYLE_TEXT, "", "/transcript export FILE 3,9  without the texts of 3 and 9");
    labelled(s, STYLE_TEXT, "check", "countersign verify FILE      no account, no network");
}

static void verdict_sheet(const struct transcript *t, struct sheet *s)
{
    if (t->valid)
        valid_sheet(t, s);
    else if (t->judged)
        sheet_add(s, STYLE_BAD, "INVALID  %s", t->problem);
    else
        sheet_add(s, STYLE_WARN, "NOT CHECKED  %s", t->problem);
}

static struct sheet below(const struct model *m, unsigned cols)
{
    struct sheet s = sheet_of(cols);

    verdict_sheet(&m->transcript, &s);
    return s;
}

/* Rows of what stands below the table: all of it, half of the page, or its first line. */
static unsigned below_rows(const struct sheet *s, struct area a)
{
    unsigned most = a.rows >= 16 ? a.rows * 3 / 5 : a.rows >= 4 ? 1 : 0;

    return s->n < most ? s->n : most;
}

enum { SIDE_COLS = 48, SIDE_FROM = 100 };

static void draw_side(const struct transcript *t, struct area a)
{
    struct sheet s = sheet_of(a.cols - 2);

    if (t->chosen < t->lines_n)
        line_sheet(&t->lines[t->chosen], &s);
    for (unsigned i = 0; i < a.rows; i++)
        area_text(a, (int)i, 0, STYLE_DIM, str_of("|"));
    sheet_draw(&s, area_cut(a, 0, 2, a.rows, a.cols - 2), 0);
    sheet_free(&s);
}

void view_transcript(const struct model *m, struct area a)
{
    struct sheet s = below(m, a.cols);
    unsigned n = below_rows(&s, a), rule = n > 1;
    struct area table = area_cut(a, 0, 0, a.rows - n - rule, a.cols);

    if (a.cols >= SIDE_FROM && table.rows >= 8) {
        draw_side(&m->transcript, area_cut(table, 0, a.cols - SIDE_COLS, table.rows, SIDE_COLS));
        table = area_cut(table, 0, 0, table.rows, a.cols - SIDE_COLS - 1);
    }
    draw_table(&m->transcript, table);
    if (rule)
        area_rule(area_cut(a, a.rows - n - 1, 0, 1, a.cols), 0, '-', STYLE_DIM);
    sheet_draw(&s, area_cut(a, a.rows - n, 0, n, a.cols), 0);
    sheet_free(&s);
}
