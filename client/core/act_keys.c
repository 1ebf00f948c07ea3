#include "client/core/act_inner.h"

#include <stdio.h>

static bool in_chat(const struct act *a)
{
    return a->m->view == VIEW_CHAT;
}

static void back(struct act *a)
{
    a->m->view = a->m->view == VIEW_PAGE ? a->m->page.under : VIEW_CHAT;
    a->m->hs_auto = false;
    a->m->explain = false;
    a->m->shown_step = 0;
}

static void choose_line(struct transcript *t, int by)
{
    size_t last = t->lines_n > 0 ? t->lines_n - 1 : 0;

    if (by < 0)
        t->chosen = t->chosen > (size_t)-by ? t->chosen - (size_t)-by : 0;
    else
        t->chosen = t->chosen + (size_t)by < last ? t->chosen + (size_t)by : last;
}

static void scroll(struct act *a, unsigned rows, unsigned cols, int pages)
{
    int by = pages * (int)view_page(a->m, rows, cols);

    if (a->m->view == VIEW_TRANSCRIPT) {
        choose_line(&a->m->transcript, -by);
        return;
    }
    if (view_scroll(a->m, rows, cols, by))
        act_older(a, model_current(a->m));
    if (in_chat(a) && model_current(a->m)->anchor == 0)
        view_bottom(a->m);
}

static void choose_step(struct model *m, int by)
{
    const struct attempt *t = model_shown_try(m);
    unsigned at = m->shown_step;

    if (t == NULL || t->steps_n == 0)
        return;
    if (at == 0 && !m->explain && by < 0)
        at = t->steps_n; /* from nothing chosen: the last one */
    if (by < 0 ? at > 0 : at + 1 < t->steps_n)
        m->shown_step = by < 0 ? at - 1 : at + 1;
}

static void choose_try(struct model *m, int by)
{
    if (by < 0 ? m->shown_try > 0 : m->shown_try + 1 < m->tries_n) {
        m->shown_try = by < 0 ? m->shown_try - 1 : m->shown_try + 1;
        m->shown_step = 0;
        m->explain = false;
    }
}

static void choose_device(struct model *m, int by)
{
    struct inspection *p = &m->inspect;

    if (by < 0 ? p->device > 0 : p->device + 1 < p->devices_n)
        p->device = by < 0 ? p->device - 1 : p->device + 1;
    m->page.top = 0;
}

/* Up and Down: in a view they choose, in the draft they move by a row. */
static bool vertical(struct act *a, unsigned cols, int by)
{
    size_t point;

    switch (a->m->view) {
    case VIEW_CHAT: break;
    case VIEW_HANDSHAKE: choose_step(a->m, by); return true;
    case VIEW_INSPECT: choose_device(a->m, by); return true;
    case VIEW_TRANSCRIPT: choose_line(&a->m->transcript, by); return true;
    case VIEW_PAGE: return false;
    }
    if (!view_input_move(a->m, cols, by, &point))
        return false;
    a->ops->set_point(a->ctx, point);
    return true;
}

static bool enter(struct act *a)
{
    struct model *m = a->m;

    if (m->input.n > 0)
        return false;
    if (m->view == VIEW_TRANSCRIPT && m->transcript.chosen < m->transcript.lines_n) {
        act_why(a, m->transcript.lines[m->transcript.chosen].number);
        m->page.under = VIEW_TRANSCRIPT;
        return true;
    }
    if (m->view != VIEW_HANDSHAKE)
        return false;
    if (m->conn == CONN_WAITING && !m->explain && m->shown_step == 0) {
        a->ops->connect(a->ctx);
        return true;
    }
    m->explain = !m->explain;
    m->page.top = 0;
    return true;
}

static void seen(struct model *m)
{
    for (size_t i = 0; i < m->windows_n; i++)
        m->windows[i].unread = m->windows[i].mentions = 0;
}

static void neighbour(struct act *a, size_t by)
{
    model_switch(a->m, (a->m->current + by) % a->m->windows_n);
}

static void toggle(struct act *a, enum view view)
{
    if (a->m->view == view)
        back(a);
    else
        a->m->view = view;
    a->m->page.top = 0;
    a->m->hs_auto = false;
}

static void active(struct act *a)
{
    size_t index;

    if (model_next_active(a->m, &index))
        model_switch(a->m, index);
    else if (a->m->previous < a->m->windows_n)
        model_switch(a->m, a->m->previous);
}

static void inspect(struct act *a)
{
    const struct window *w = model_current(a->m);

    if (a->g == NULL)
        snprintf(a->m->hint, sizeof a->m->hint, "there are no certificates in classic");
    else if (a->m->view == VIEW_INSPECT)
        back(a);
    else
        act_inspect(a, str_of(w->kind == WINDOW_DIRECT ? w->name : a->m->account));
}

bool act_key(struct act *a, enum screen_key key, unsigned rows, unsigned cols)
{
    struct model *m = a->m;

    m->hint[0] = '\0';
    switch (key) {
    case KEY_ESC: back(a); break;
    case KEY_UP: return vertical(a, cols, -1);
    case KEY_DOWN: return vertical(a, cols, 1);
    case KEY_LEFT:
    case KEY_RIGHT:
        if (m->view != VIEW_HANDSHAKE || m->input.n > 0)
            return false;
        choose_try(m, key == KEY_LEFT ? -1 : 1);
        break;
    case KEY_ENTER: return enter(a);
    case KEY_PAGE_UP: scroll(a, rows, cols, 1); break;
    case KEY_PAGE_DOWN: scroll(a, rows, cols, -1); break;
    case KEY_TOP:
        view_top(m);
        scroll(a, rows, cols, 1);
        break;
    case KEY_BOTTOM: view_bottom(m); break;
    case KEY_HELP:
        if (m->view == VIEW_PAGE)
            back(a);
        else
            act_help(a, str_of(""));
        break;
    case KEY_INSPECT: inspect(a); break;
    case KEY_HANDSHAKE: toggle(a, VIEW_HANDSHAKE); break;
    case KEY_TRANSCRIPT:
        if (m->view == VIEW_TRANSCRIPT)
            back(a);
        else
            act_transcript_open(a);
        break;
    case KEY_PREVIOUS: neighbour(a, m->windows_n - 1); break;
    case KEY_NEXT: neighbour(a, 1); break;
    case KEY_ACTIVE: active(a); break;
    case KEY_QUIET:
        m->quiet = !m->quiet;
        snprintf(m->hint, sizeof m->hint, "joins and leaves are %s now",
                 m->quiet ? "hidden" : "shown");
        break;
    case KEY_SEEN: seen(m); break;
    case KEY_REDRAW: a->ops->redraw(a->ctx); break;
    case KEY_SUSPEND: a->ops->suspend(a->ctx); break;
    case KEY_NEWLINE:
    case KEY_CLEAR: return false;
    case KEY_WINDOW:
    case KEY_COUNT: break;
    }
    if (key >= KEY_WINDOW && key < KEY_COUNT)
        model_switch(m, (size_t)key - KEY_WINDOW);
    return true;
}
