#include "client/core/view_parts.h"
#include "client/core/wrap.h"

#include <stdio.h>
#include <string.h>

static void day_text(const struct stamp *d, char out[40])
{
    snprintf(out, 40, "%d %s %d", d->day, month_name(d->mon), d->year);
}

static void state_row(const struct inspection *p, const struct shown_device *d, struct sheet *s)
{
    char day[40];

    if (d->revoked != 0) {
        day_text(&d->revoked_day, day);
        sheet_add(s, STYLE_BAD, "state   REVOKED on %s", day);
    } else if (d->problem[0] != '\0') {
        sheet_add(s, STYLE_BAD, "state   NOT IN ORDER: %s", d->problem);
    } else if (p->self) {
        sheet_add(s, STYLE_GOOD, "state   yours");
    } else if (d->verified) {
        day_text(&d->verified_day, day);
        sheet_add(s, STYLE_GOOD, "state   VERIFIED by you on %s", day);
    } else {
        sheet_add(s, STYLE_WARN, "state   UNVERIFIED");
    }
}

static void chain_row(const struct model *m, struct sheet *s, const char *lead,
                      const struct shown_cert *c)
{
    char fp[80];
    long days = days_left(m, c->until);

    fingerprint_short(&c->fp, 2, fp);
    sheet_add(s, days < 0 ? STYLE_BAD : STYLE_TEXT, "%s%s  %s..  %ld days%s", lead, c->subject, fp,
              days < 0 ? -days : days, days < 0 ? " EXPIRED" : " left");
}

static void device_chain(const struct model *m, const struct shown_device *d, struct sheet *s)
{
    char from[40], until[40];

    if (!d->fetched) {
        sheet_add(s, STYLE_DIM, "certificate not fetched yet");
        return;
    }
    day_text(&d->leaf.from_day, from);
    day_text(&d->leaf.until_day, until);
    sheet_add(s, STYLE_STRONG, "certificate chain");
    sheet_add(s, STYLE_TEXT, "  %s", d->issuer.issuer);
    chain_row(m, s, "  `- ", &d->issuer);
    chain_row(m, s, "     `- ", &d->leaf);
    sheet_add(s, STYLE_TEXT, "  valid %s to %s", from, until);
    sheet_add(s, STYLE_TEXT, "  key %s, %s", d->leaf.key, d->leaf.signature);
    sheet_add(s, STYLE_TEXT, "  use %s", d->leaf.usage);
    sheet_add(s, STYLE_DIM, "  serial %s", d->leaf.serial);
}

static void how_to_verify(const struct inspection *p, const struct shown_device *d, struct sheet *s)
{
    sheet_blank(s);
    if (p->self) {
        sheet_add(s, STYLE_TEXT,
                  "give these digits to others over another channel than this; they "
                  "type  /verify %s DIGITS",
                  p->name);
        return;
    }
    if (d->verified || d->revoked != 0)
        return;
    sheet_add(s, STYLE_STRONG, "verify, best first:");
    sheet_add(s, STYLE_TEXT,
              "  1 type /verify %s and paste the digits that %s sent you elsewhere: "
              "the computer compares",
              p->name, p->name);
    sheet_add(s, STYLE_TEXT, "  2 call: %s opens /me and reads the groups out, you type them",
              p->name);
}

static void seen_rows(const struct inspection *p, struct sheet *s)
{
    if (p->good + p->refused == 0)
        return;
    sheet_blank(s);
    sheet_add(s, STYLE_TEXT,
              "here  %u %s, all signatures good, from %d %s %02d:%02d to %d %s %02d:%02d", p->good,
              p->good == 1 ? "message" : "messages", p->first.day, month_name(p->first.mon),
              p->first.hour, p->first.min, p->last.day, month_name(p->last.mon), p->last.hour,
              p->last.min);
    if (p->refused > 0)
        sheet_add(s, STYLE_BAD, "      %u refused, texts withheld", p->refused);
}

static void inspect_sheet(const struct model *m, struct sheet *s)
{
    const struct inspection *p = &m->inspect;

    if (p->devices_n == 0) {
        sheet_add(s, STYLE_DIM, "%s: no device known yet", p->name);
        return;
    }
    const struct shown_device *d = &p->devices[p->device < p->devices_n ? p->device : 0];
    sheet_add(s, STYLE_STRONG, "%s  device %s (%u of %u)%s", p->name, d->name, p->device + 1,
              p->devices_n,
              p->self     ? ""
              : p->online ? "  online"
                          : "  offline");
    state_row(p, d, s);
    sheet_blank(s);
    sheet_add(s, STYLE_STRONG, "SHA-256 of this device certificate");
    sheet_fingerprint(s, STYLE_TEXT, "  ", &d->fp);
    sheet_blank(s);
    device_chain(m, d, s);
    how_to_verify(p, d, s);
    seen_rows(p, s);
}

static bool art_beside(unsigned rows, unsigned cols)
{
    return cols >= 72 && rows > ART_ROWS;
}

static unsigned text_cols(unsigned rows, unsigned cols)
{
    return art_beside(rows, cols) ? (cols > 100 ? 80 : cols - ART_COLS - 2) : cols;
}

static void page_sheet(const struct model *m, struct sheet *s)
{
    for (size_t i = 0; i < m->page.lines_n; i++) {
        const struct page_line *line = &m->page.lines[i];
        if (line->left != NULL)
            sheet_pair(s, STYLE_TEXT, line->left, line->text);
        else if (line->text[0] == '\0')
            sheet_blank(s);
        else
            sheet_add(s, line->strong ? STYLE_STRONG : STYLE_TEXT, "%s", line->text);
    }
}

unsigned view_page_rows(const struct model *m, unsigned cols)
{
    struct sheet s = sheet_of(m->view == VIEW_INSPECT ? text_cols(ART_ROWS + 1, cols) : cols);

    (m->view == VIEW_INSPECT ? inspect_sheet : page_sheet)(m, &s);
    sheet_free(&s);
    return s.n;
}

void view_inspect(const struct model *m, struct area a)
{
    const struct inspection *p = &m->inspect;
    unsigned cols = text_cols(a.rows, a.cols);
    struct sheet s = sheet_of(cols);

    inspect_sheet(m, &s);
    sheet_draw(&s, area_cut(a, 0, 0, a.rows, cols), m->page.top);
    sheet_free(&s);
    if (!art_beside(a.rows, a.cols) || p->device >= p->devices_n)
        return;
    for (int i = 0; i < ART_ROWS; i++)
        area_text(a, i, cols + 2, STYLE_DIM, str_of(p->devices[p->device].art.row[i]));
}

void view_page_text(const struct model *m, struct area a)
{
    struct sheet s = sheet_of(a.cols);

    page_sheet(m, &s);
    sheet_draw(&s, a, m->page.top);
    sheet_free(&s);
}
