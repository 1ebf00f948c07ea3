/* view_bars.c -- title, status, activity and list: the parts where trust is said, and no peer
 * writes. */
#include "client/core/view_parts.h"
#include "client/core/wrap.h"

#include <stdio.h>
#include <string.h>

static unsigned segment(struct area a, unsigned col, enum style s, const char *text)
{
    return area_cutoff(a, 0, col, s, str_of(text));
}

const char *window_sign(const struct window *w)
{
    return w->kind == WINDOW_PUBLIC || w->kind == WINDOW_PRIVATE || w->kind == WINDOW_GUEST ? "#"
                                                                                            : "";
}

/* The first of the texts that has room; the last one in any case. */
static void segment_fitting(struct area a, unsigned col, enum style s, const char *const *texts,
                            size_t n)
{
    size_t i = 0;

    while (i + 1 < n && col + wrap_width(str_of(texts[i])) > a.cols)
        i++;
    segment(a, col, s, texts[i]);
}

static void title_direct(const struct model *m, const struct window *w, struct area a, unsigned col)
{
    struct stamp day = {0};
    char since[40], device[160], fp[80];
    const char *const good[] = {device, since, "VERIFIED", "ok"};
    const char *const unseen[] = {"certificate not seen yet", "not seen", "?"};
    const char *const unverified[] = {device, "UNVERIFIED", "?"};

    m->conf.local(m->conf.ctx, w->verified_at, &day);
    fingerprint_short(&w->peer, 4, fp);
    snprintf(since, sizeof since, "VERIFIED %d %s", day.day, month_name(day.mon));
    snprintf(device, sizeof device, "%s  %.24s %s", w->verified ? since : "UNVERIFIED",
             w->peer_device, fp);
    if (hash_same(&w->peer, &(struct hash){{0}}))
        segment_fitting(a, col, STYLE_BAR_WARN, unseen, COUNT(unseen));
    else if (w->verified)
        segment_fitting(a, col, STYLE_BAR_GOOD, good, COUNT(good));
    else
        segment_fitting(a, col, STYLE_BAR_WARN, unverified, COUNT(unverified));
}

static void title_room(const struct model *m, const struct window *w, struct area a, unsigned col)
{
    unsigned here = 0, others = 0, verified = 0;
    char kind[120], count[96], good[48], number[16];
    const char *const texts[] = {kind, count, good, number};

    for (size_t i = 0; i < w->people_n; i++) {
        const struct person *p = &w->people[i];
        bool other = !p->left && strcmp(p->name, m->account) != 0;
        here += !p->left;
        others += other;
        verified += other && p->verified;
    }
    if (!w->joined || here == 0) {
        segment(a, col, STYLE_BAR_WARN, w->joined ? "" : "not a member");
        return;
    }
    snprintf(good, sizeof good, "%u of %u verified", verified, others);
    snprintf(number, sizeof number, "%u", here);
    if (others == 0)
        snprintf(count, sizeof count, "only you");
    else
        snprintf(count, sizeof count, "%u people, %s", here, good);
    snprintf(kind, sizeof kind, "%s%s, %s", w->ephemeral ? "ephemeral, " : "",
             w->kind == WINDOW_PRIVATE ? "private" : "public", count);
    segment_fitting(a, col, STYLE_BAR, texts, COUNT(texts));
}

/* What becomes of what is said here: it can be proven to others, and the relay reads it. The claim
 * that no other part of the title may push out. */
static const char *claim(unsigned cols)
{
    return cols >= 100  ? "signed and provable, the relay can read this"
           : cols >= 50 ? "signed, provable; relay can read"
           : cols >= 30 ? "relay can read"
           : cols >= 24 ? "relay reads"
                        : "";
}

static void title_guest(struct area a, const char *name)
{
    static const char *const marks[] = {LINK_CLASSIC_MARK,
                                        "anyone in the middle can read and change",
                                        "anyone can change this", "UNSAFE"};
    unsigned col = segment(a, 0, STYLE_BAR_STRONG, name) + 1;

    segment_fitting(a, col, STYLE_BAR_BAD, marks, COUNT(marks));
}

static void title_chat(const struct model *m, struct area a)
{
    const struct window *w = &m->windows[m->current];
    char text[2 * MODEL_TEXT_SHORT];

    if (a.cols < 60)
        snprintf(text, sizeof text, "%s%s", window_sign(w), w->name);
    else
        snprintf(text, sizeof text, "[%zu:%s%s]", m->current, window_sign(w), w->name);
    if (w->kind == WINDOW_STATUS) {
        unsigned col = segment(a, 0, STYLE_BAR_STRONG, text);
        segment(a, col + 1, STYLE_BAR, "notices of this program and of the relay");
        return;
    }
    if (w->kind == WINDOW_GUEST) {
        title_guest(a, text);
        return;
    }
    const char *reads = claim(a.cols);
    unsigned width = (unsigned)strlen(reads), space = a.cols > 40 ? 2 : 1;
    struct area left = area_cut(a, 0, 0, 1, width > 0 ? a.cols - width - space : a.cols);
    unsigned name = left.cols > 24 ? left.cols - 12 : left.cols > 8 ? left.cols - 2 : left.cols;
    unsigned col = segment(area_cut(left, 0, 0, 1, name), 0, STYLE_BAR_STRONG, text) + 1;
    if (w->kind == WINDOW_DIRECT)
        title_direct(m, w, left, col);
    else
        title_room(m, w, left, col);
    segment(a, left.cols + space, STYLE_BAR, reads);
}

static void title_handshake(const struct model *m, struct area a)
{
    const struct attempt *t = m->shown_try < m->tries_n ? &m->tries[m->shown_try] : NULL;
    char text[300], right[80];

    unsigned col = segment(a, 0, STYLE_BAR_STRONG, a.cols < 60 ? m->relay : "[handshake]");
    if (t == NULL) {
        segment(a, col + 1, STYLE_BAR, "no connection tried yet");
        return;
    }
    const struct step *last = t->steps_n > 0 ? &t->steps[t->steps_n - 1] : NULL;
    double ms = last != NULL ? (double)(last->at_us + last->took_us) / 1000 : 0;
    if (a.cols < 60)
        snprintf(right, sizeof right, " %.1f ms", ms);
    else
        snprintf(right, sizeof right, "   step %u of %u  %.1f ms", last != NULL ? last->number : 0,
                 t->total, ms);
    snprintf(text, sizeof text, a.cols < 60 ? "try %.0s%u" : "%s  try %u", t->where, t->number);
    col = segment(a, col + 1, STYLE_BAR, text);
    snprintf(text, sizeof text, m->guest ? "  %s, nobody is proven" : "  %s mutual X.509",
             t->version[0] != '\0' ? t->version
             : m->guest            ? "classic"
                                   : "TLS 1.3");
    if (a.cols >= 60 && col + strlen(text) + strlen(right) <= a.cols)
        segment(a, col, STYLE_BAR, text);
    if (last != NULL)
        area_right(a, 0, t->failure[0] != '\0' ? STYLE_BAR_BAD : STYLE_BAR, right);
}

static void title_inspect(const struct model *m, struct area a)
{
    const struct inspection *p = &m->inspect;
    char text[MODEL_TEXT_SHORT + 16];

    snprintf(text, sizeof text, "[%s %s]", p->self ? "me" : "inspect", p->name);
    unsigned col = segment(a, 0, STYLE_BAR_STRONG, text);
    bool all = p->devices_n > 0;
    for (unsigned i = 0; i < p->devices_n; i++)
        all = all && (p->devices[i].verified || p->devices[i].revoked != 0);
    segment(a, col + 2, STYLE_BAR,
            p->self ? "what others compare with when they verify you"
            : all   ? "you compared these certificates yourself"
                    : "the relay could lie about this page until you verify it");
}

static void title_transcript(const struct transcript *t, struct area a)
{
    char text[MODEL_TEXT_SHORT + 40];

    snprintf(text, sizeof text, a.cols < 60 ? "%s" : "[transcript %s]", t->room);
    unsigned col = segment(a, 0, STYLE_BAR_STRONG, text);
    if (t->lines_n == 0)
        return;
    snprintf(text, sizeof text, "%llu to %llu",
             (unsigned long long)(t->judged ? t->first : t->lines[0].number),
             (unsigned long long)(t->judged ? t->last : t->lines[t->lines_n - 1].number));
    col = segment(a, col + 2, STYLE_BAR, text);
    segment(a, col + 2,
            t->valid    ? STYLE_BAR_GOOD
            : t->judged ? STYLE_BAR_BAD
                        : STYLE_BAR_WARN,
            t->valid    ? "VALID"
            : t->judged ? "INVALID"
                        : "NOT CHECKED");
}

void view_title(const struct model *m, struct area a)
{
    area_fill(a, ' ', STYLE_BAR);
    struct area left = area_cut(a, 0, 0, 1, a.cols > 70 ? a.cols - 9 : a.cols);

    if (m->view == VIEW_CHAT)
        title_chat(m, left);
    else if (m->view == VIEW_HANDSHAKE)
        title_handshake(m, a);
    else if (m->view == VIEW_INSPECT)
        title_inspect(m, left);
    else if (m->view == VIEW_TRANSCRIPT)
        title_transcript(&m->transcript, left);
    else
        segment(left, 0, STYLE_BAR_STRONG, m->page.title);
    if (a.cols > 70 && m->view != VIEW_HANDSHAKE)
        area_right(a, 0, STYLE_BAR, m->view == VIEW_CHAT ? "F1 help" : "Esc back");
}

/* --- status --- */

/* Seconds until a time, at least 1 while it has not come. */
static long seconds_to(const struct model *m, int64_t at)
{
    return at > m->now ? (long)((at - m->now + 999) / 1000) : 0;
}

/* The link by its own name: nobody is told TLS who came by another. */
static const char *link_shown(const struct model *m)
{
    const struct attempt *t = m->tries_n > 0 ? &m->tries[m->tries_n - 1] : NULL;

    return t != NULL && t->version[0] != '\0' ? t->version : "link";
}

static enum style conn_text(const struct model *m, bool wide, char *out, size_t cap)
{
    long off = m->offline_since != 0 ? (long)((m->now - m->offline_since) / 1000) : 0;

    switch (m->conn) {
    case CONN_READY:
        if (m->guest) {
            snprintf(out, cap, wide ? "classic, nobody is proven" : "classic");
            return STYLE_BAR_BAD;
        }
        snprintf(out, cap, wide ? "%s ok, both certificates" : "%s ok", link_shown(m));
        break;
    case CONN_OFF: snprintf(out, cap, wide ? "OFFLINE, /connect" : "OFFLINE"); break;
    case CONN_TRYING: snprintf(out, cap, "connecting, try %u", m->attempt); break;
    case CONN_SHAKING:
        snprintf(out, cap, wide ? "handshake, try %u" : "handshake", m->attempt);
        break;
    case CONN_LOGIN: snprintf(out, cap, "login"); break;
    case CONN_WAITING:
        if (wide)
            snprintf(out, cap, "OFFLINE %lds, retry in %lds, Enter: now", off,
                     seconds_to(m, m->retry_at));
        else
            snprintf(out, cap, "OFFLINE %lds", seconds_to(m, m->retry_at));
        return STYLE_BAR_BAD;
    }
    return m->conn == CONN_READY ? STYLE_BAR_GOOD
           : m->conn == CONN_OFF ? STYLE_BAR_BAD
                                 : STYLE_BAR_WARN;
}

static unsigned queued(const struct model *m)
{
    unsigned sum = 0;

    for (size_t i = 0; i < m->windows_n; i++)
        sum += m->windows[i].queued;
    return sum;
}

/* "Act: !4:#ops(2) 3:carol(1)", or "!4 3" where there is little room. */
static unsigned act_list(const struct model *m, struct area a, unsigned col, bool wide)
{
    unsigned start = col;
    char text[MODEL_TEXT_SHORT + 32];

    for (size_t i = 0; i < m->windows_n; i++) {
        const struct window *w = &m->windows[i];
        if (w->unread == 0 || (i == m->current && w->anchor == 0))
            continue;
        if (wide)
            snprintf(text, sizeof text, "%s%s%zu:%s%.20s(%u)", col == start ? "Act: " : " ",
                     w->mentions > 0 ? "!" : "", i, window_sign(w), w->name, w->unread);
        else
            snprintf(text, sizeof text, " %s%zu", w->mentions > 0 ? "!" : "", i);
        col = segment(a, col, w->mentions > 0 ? STYLE_BAR_WARN : STYLE_BAR_STRONG, text);
    }
    return col;
}

static void position(const struct model *m, struct area a)
{
    const struct window *w = &m->windows[m->current];
    char text[60];

    if (m->view != VIEW_CHAT)
        return;
    if (w->loading)
        snprintf(text, sizeof text, " loading older ");
    else if (w->anchor == 0)
        snprintf(text, sizeof text, a.cols < 60 ? "" : " bottom");
    else if (w->unread > 0)
        snprintf(text, sizeof text, a.cols < 60 ? " +%u" : " %u new below, M->", w->unread);
    else
        snprintf(text, sizeof text, a.cols < 60 ? " ^" : " scrolled, M-> bottom");
    area_right(a, 0, w->anchor != 0 ? STYLE_BAR_WARN : STYLE_BAR, text);
}

static const char *keys_of(const struct model *m)
{
    switch (m->view) {
    case VIEW_CHAT: break;
    case VIEW_HANDSHAKE: return "Up/Down step   Enter explain   Left/Right other tries   Esc chat";
    case VIEW_INSPECT:
        return m->inspect.devices_n > 1 ? "Up/Down device   PgUp/PgDn   Esc chat"
                                        : "PgUp/PgDn   Esc chat";
    case VIEW_TRANSCRIPT: return "Up/Down message   Enter all about it   F8 Esc chat";
    case VIEW_PAGE: return "PgUp/PgDn   Esc chat";
    }
    return "";
}

static unsigned status_name(const struct model *m, struct area a)
{
    const struct window *w = &m->windows[m->current];
    char text[2 * MODEL_TEXT_SHORT];

    snprintf(text, sizeof text, "%s%.12s %s", window_sign(w), w->name,
             w->kind == WINDOW_DIRECT ? (w->verified ? "ok" : "?") : "");
    return segment(a, 0, STYLE_BAR_STRONG, text) + 1;
}

void view_status(const struct model *m, struct area a, bool merged)
{
    bool wide = a.cols >= 60;
    char text[400], conn[120];
    unsigned q = queued(m);

    area_fill(a, ' ', STYLE_BAR);
    snprintf(text, sizeof text, wide ? "[%02d:%02d] %.30s@%.40s" : "%02d:%02d", m->clock.hour,
             m->clock.min, m->account, m->relay);
    unsigned col = merged ? status_name(m, a) : segment(a, 0, STYLE_BAR, text) + 1;
    enum style s = conn_text(m, wide, conn, sizeof conn);
    snprintf(text, sizeof text, wide ? " [%s]" : "%s", conn);
    col = segment(a, col, s, text);
    if (q > 0) {
        snprintf(text, sizeof text, wide ? "  [queue %u]" : " q%u", q);
        col = segment(a, col, STYLE_BAR_WARN, text);
    }
    if (m->alarm != NULL) {
        snprintf(text, sizeof text, wide ? "  [ALARM %u: %s]" : " ALARM %u", m->alarms, m->alarm);
        col = segment(a, col, STYLE_BAR_BAD, text);
    }
    if (!wide && a.g->rows < 16) { /* there is no second row for it */
        act_list(m, a, col + 1, false);
        position(m, a);
    }
}

void view_activity(const struct model *m, struct area a)
{
    area_fill(a, ' ', STYLE_BAR);
    if (m->hint[0] != '\0') {
        segment(a, 0, STYLE_BAR_WARN, m->hint);
        return;
    }
    if (m->view != VIEW_CHAT)
        segment(a, 0, STYLE_BAR, keys_of(m));
    else
        act_list(m, a, 0, a.cols >= 60);
    position(m, a);
}

/* --- list --- */

static int list_windows(const struct model *m, struct area a)
{
    char text[MODEL_TEXT_SHORT + 16], count[16];
    int row = 0;

    /* the current one stays in sight */
    for (size_t i = m->current < a.rows ? 0 : m->current - a.rows + 1; i < m->windows_n; i++) {
        const struct window *w = &m->windows[i];
        bool here = i == m->current;
        enum style s = here ? STYLE_SELECT : w->unread > 0 ? STYLE_STRONG : STYLE_TEXT;
        snprintf(text, sizeof text, "%c%2zu %s%.140s", here ? '>' : ' ', i, window_sign(w),
                 w->name);
        snprintf(count, sizeof count, " %s%u", w->mentions > 0 ? "!" : "", w->unread);
        area_fill(area_cut(a, (unsigned)row, 0, 1, a.cols), ' ', s);
        area_cutoff(a, row, 0, s, str_of(text));
        if (w->unread > 0)
            area_right(area_cut(a, (unsigned)row, 0, 1, a.cols), 0, s, count);
        else if (w->kind != WINDOW_STATUS && !w->joined)
            area_right(area_cut(a, (unsigned)row, 0, 1, a.cols), 0, STYLE_DIM, " left");
        row++;
    }
    return row;
}

static void list_people(const struct window *w, struct area a, int row)
{
    for (size_t i = 0; i < w->people_n; i++) {
        const struct person *p = &w->people[i];
        if (p->left)
            continue;
        area_cutoff(area_cut(a, 0, 0, a.rows, a.cols - 4), row, 1,
                    p->online ? STYLE_TEXT : STYLE_DIM, str_of(p->name));
        area_text(a, row, a.cols - 3, p->verified ? STYLE_GOOD : STYLE_WARN,
                  str_of(p->verified ? "ok" : " ?"));
        area_text(a, row, 0, STYLE_GOOD, str_of(p->online ? "*" : ""));
        row++;
    }
}

void view_list(const struct model *m, struct area a)
{
    const struct window *w = &m->windows[m->current];

    area_fill(area_cut(a, 0, a.cols - 1, a.rows, 1), '|', STYLE_DIM);
    a = area_cut(a, 0, 0, a.rows, a.cols - 1);
    int row = list_windows(m, a) + 1;
    if (w->people_n == 0 || row + 1 >= (int)a.rows)
        return;
    area_rule(a, row, '-', STYLE_DIM);
    area_text(a, row, 2, STYLE_DIM, str_of(" people "));
    list_people(w, a, row + 1);
}
