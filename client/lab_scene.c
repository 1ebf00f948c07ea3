#include "client/lab_scene.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- telling --- */

void lab_say(const struct lab *lab, enum lab_who who, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    if (lab->tell == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    lab->tell(lab->ctx, who, text);
}

static void on_event(void *ctx, enum role at, const struct link_event *ev)
{
    struct scene *s = ctx;
    enum lab_who who = s->at[at];

    switch (ev->kind) {
    case LINK_STEP:
        if (ev->step.waiting)
            return;
        snprintf(s->step[at], sizeof s->step[at], "%s", ev->step.name);
        lab_say(s->lab, who, "%u %s%s", ev->step.number, ev->step.name,
                ev->step.local ? ""
                : ev->step.out ? " >"
                               : " <");
        return;
    case LINK_ESTABLISHED: lab_say(s->lab, who, "established"); return;
    case LINK_MESSAGE:
        (void)!buf_add(&s->heard[at], ev->message.p, ev->message.n);
        if (ev->message.n > 1)
            lab_say(s->lab, who, "reads \"%.*s\"", (int)ev->message.n, (const char *)ev->message.p);
        return;
    case LINK_CLOSED: lab_say(s->lab, who, "closed: in order"); return;
    case LINK_FAILED:
        lab_say(s->lab, who, "ends it: %s", link_error(s->pair.end[at])->text);
        return;
    }
}

static void on_bytes(void *ctx, enum role from, struct buf *bytes)
{
    struct scene *s = ctx;
    struct span all = buf_span(bytes);

    (void)!buf_add(&s->recorded[from], all.p, all.n);
    if (s->middle != NULL)
        s->middle(s, from, bytes);
}

/* --- scenes --- */

void scene_init(struct scene *s, const struct lab *lab, enum link_kind kind)
{
    *s = (struct scene){.lab = lab, .at = {LAB_CLIENT, LAB_RELAY}};
    lab_pair_init(&s->pair, lab->ours, kind);
    s->pair.event = on_event;
    s->pair.middle = on_bytes;
    s->pair.ctx = s;
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        buf_init(&s->heard[r], HEARD_MAX);
        buf_init(&s->recorded[r], HEARD_MAX);
    }
}

void scene_free(struct scene *s)
{
    lab_pair_free(&s->pair);
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        buf_free(&s->heard[r]);
        buf_free(&s->recorded[r]);
    }
    textbook_free(s->weak);
}

bool scene_heard(const struct scene *s, enum role r, const char *text)
{
    struct span all = buf_span(&s->heard[r]);

    return all.n >= strlen(text) && memmem(all.p, all.n, text, strlen(text)) != NULL;
}

/* A handshake that nobody disturbs must work, or the lab shows nothing. */
int scene_meet(struct scene *s, struct err *e)
{
    if (lab_pair_meet(&s->pair, e) < 0)
        return err_in(e, "without an attack");
    s->told[ROLE_CLIENT] = s->recorded[ROLE_CLIENT].len;
    s->told[ROLE_RELAY] = s->recorded[ROLE_RELAY].len;
    return 0;
}

int scene_speak(struct scene *s, const char *text, struct err *e)
{
    lab_say(s->lab, s->at[ROLE_CLIENT], "says \"%s\"", text);
    return link_send(s->pair.end[ROLE_CLIENT], (const uint8_t *)text, strlen(text)) < 0
               ? err_set(e, ERR_LOCAL, "the client cannot speak")
               : 0;
}

/* What waits to leave an end, taken off the wire. */
int scene_take_off(struct scene *s, enum role from, struct buf *out, struct err *e)
{
    struct span waits = link_out(s->pair.end[from]);

    if (waits.n == 0 || buf_add(out, waits.p, waits.n) < 0)
        return err_set(e, ERR_LOCAL, "nothing left the end");
    link_sent(s->pair.end[from], waits.n);
    return 0;
}

/* --- outcomes --- */

void outcome_won(struct lab_outcome *out, const char *what)
{
    out->won = true;
    out->step[0] = '\0';
    snprintf(out->what, sizeof out->what, "%s", what);
}

/* The end that ended it says why; nobody: what he wanted simply did not happen. */
void outcome_stopped(struct lab_outcome *out, const struct scene *s)
{
    static const char *const who[] = {"client", "attacker", "relay"};
    enum role r = s->pair.failed[ROLE_CLIENT] && s->at[ROLE_CLIENT] != LAB_ATTACKER ? ROLE_CLIENT
                                                                                    : ROLE_RELAY;
    struct link_info info = {.kind = LINK_TLS};

    out->won = false;
    if (s->pair.end[r] != NULL)
        link_info(s->pair.end[r], &info);
    if (info.refused_by_peer && s->pair.failed[!r])
        r = !r;
    snprintf(out->step, sizeof out->step, "%s", s->step[r]);
    if (s->pair.end[r] == NULL || !s->pair.failed[r])
        snprintf(out->what, sizeof out->what, "nothing came of it");
    else
        snprintf(out->what, sizeof out->what, "the %s: %.120s", who[s->at[r]],
                 link_error(s->pair.end[r])->text);
}

void outcome_decide(struct lab_outcome *out, const struct scene *s, bool lost, const char *what)
{
    if (lost)
        outcome_won(out, what);
    else
        outcome_stopped(out, s);
}
