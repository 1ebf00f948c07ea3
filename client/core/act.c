#include "client/core/act.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/act_inner.h"
#include "client/core/commands.h"
#include "common/util/text.h"

/* --- requests --- */

bool ask_add(struct act *a, uint64_t id, unsigned kind, const char *what, struct str text,
             const struct err *e)
{
    struct window *w = model_current(a->m);

    if (id == 0) {
        model_say(a->m, NULL, "%s: %s", what, e->text);
        return false;
    }
    for (size_t i = 0; i < ACT_ASKS_MAX; i++) {
        struct act_ask *ask = &a->asks[i];
        if (ask->id != 0)
            continue;
        *ask = (struct act_ask){.id = id, .kind = kind, .window = w->id};
        snprintf(ask->what, sizeof ask->what, "%s", what);
        ask->text = text.n > 0 ? strndup(text.p, text.n) : NULL;
        return true;
    }
    return true; /* its answer goes unheard */
}

void act_free(struct act *a)
{
    for (size_t i = 0; i < ACT_ASKS_MAX; i++)
        free(a->asks[i].text);
}

/* --- texts --- */

static bool guest_say(struct act *a, struct str text)
{
    struct err e = {0};

    if (!a->ops->say(a->ctx, text, &e)) {
        model_say(a->m, NULL, "not sent: %s", e.text);
        return false;
    }
    act_guest_text(a, text, true);
    view_bottom(a->m);
    return true;
}

/* Signs and sends a text; false: it was not, and why stands in the window. */
static bool say(struct act *a, struct window *w, struct str text)
{
    struct err e = {0};

    if (w->kind == WINDOW_STATUS) {
        model_say(a->m, NULL, "nobody would read it here: /join ROOM or /msg NAME first");
        return false;
    }
    if (a->g == NULL)
        return guest_say(a, text);
    if (text.n > TEXT_MAX) {
        model_say(a->m, NULL, "not sent: %zu bytes, a message holds %d", text.n, TEXT_MAX);
        return false;
    }
    if (engine_say(a->g, &w->id, text, &e) == 0) {
        model_say(a->m, NULL, "not sent: %s", e.text);
        return false;
    }
    view_bottom(a->m);
    return true;
}

/* --- commands --- */

static struct str word(struct str *rest)
{
    struct str w = str_cut(rest, ' ');

    while (rest->p != NULL && rest->n > 0 && rest->p[0] == ' ')
        *rest = str_from(rest->p + 1, rest->n - 1);
    return w;
}

static struct str without(struct str name, char sign)
{
    return name.n > 0 && name.p[0] == sign ? str_from(name.p + 1, name.n - 1) : name;
}

static bool run_CLEAR(struct act *a, struct str rest)
{
    (void)rest;
    model_window_clear(model_current(a->m));
    return true;
}

static bool run_CONNECT(struct act *a, struct str rest)
{
    (void)rest;
    a->ops->connect(a->ctx);
    return true;
}

static bool run_REKEY(struct act *a, struct str rest)
{
    (void)rest;
    if (a->ops->rekey(a->ctx))
        model_say(a->m, NULL, "our key is new from here on; the relay is asked to change its own");
    else
        model_say(a->m, NULL,
                  "no new keys: there is no connection, or the last ones have carried nothing yet");
    return true;
}

static bool run_TRANSCRIPT(struct act *a, struct str rest)
{
    struct str what = word(&rest), file = word(&rest);

    act_transcript(a, what, file, rest);
    return true;
}

static bool run_SEAL(struct act *a, struct str rest)
{
    struct err e = {0};
    int n = a->ops->seal(a->ctx, &e);

    (void)rest;
    if (n < 0)
        model_say(a->m, NULL, "%s", e.text);
    else if (n == 0)
        model_say(a->m, NULL, "nothing was said since the last receipt");
    return true;
}

static bool run_RETRY(struct act *a, struct str rest)
{
    (void)rest;
    if (a->m->conn == CONN_READY)
        model_say(a->m, NULL, "connected: what waits is being sent");
    a->ops->connect(a->ctx);
    return true;
}

static bool run_DISCONNECT(struct act *a, struct str rest)
{
    (void)rest;
    a->ops->disconnect(a->ctx);
    return true;
}

static bool run_QUIT(struct act *a, struct str rest)
{
    (void)rest;
    a->ops->quit(a->ctx);
    return true;
}

static bool run_HELP(struct act *a, struct str rest)
{
    act_help(a, rest);
    return true;
}

static bool run_HS(struct act *a, struct str rest)
{
    (void)rest;
    a->m->hs_auto = false;
    a->m->view = VIEW_HANDSHAKE;
    a->m->page.top = 0;
    return true;
}

static bool run_INSPECT(struct act *a, struct str rest)
{
    act_inspect(a, without(rest, '@'));
    return true;
}

static bool run_ME(struct act *a, struct str rest)
{
    (void)rest;
    act_inspect(a, str_of(a->m->account));
    return true;
}

static const struct {
    const char *word;
    unsigned what;
} create_words[] = {
    {"private", ENGINE_CREATE_PRIVATE},
    {"history", ENGINE_CREATE_HISTORY},
    {"ephemeral", ENGINE_CREATE_EPHEMERAL},
};

static unsigned create_what(struct str option)
{
    for (size_t i = 0; i < COUNT(create_words); i++)
        if (str_is(option, create_words[i].word))
            return create_words[i].what;
    return 0;
}

static bool run_CREATE(struct act *a, struct str rest)
{
    struct err e = {0};
    struct str name = without(word(&rest), '#');
    unsigned what = 0;
    char text[MODEL_TEXT_SHORT];

    while (rest.p != NULL && rest.n > 0) {
        unsigned one = create_what(word(&rest));
        what |= one;
        if (one != 0)
            continue;
        model_say(a->m, NULL,
                  "/create ROOM [private] [history] [ephemeral]: nothing else may follow");
        return false;
    }
    snprintf(text, sizeof text, "create #%.*s", (int)name.n, name.p);
    return ask_add(a, engine_room_create(a->g, name, what, &e), ASK_OPEN, text, str_of(""), &e);
}

static bool run_JOIN(struct act *a, struct str rest)
{
    struct err e = {0};
    char what[MODEL_TEXT_SHORT];

    rest = without(rest, '#');
    snprintf(what, sizeof what, "join #%.*s", (int)rest.n, rest.p);
    return ask_add(a, engine_room_join(a->g, rest, &e), ASK_OPEN, what, str_of(""), &e);
}

static bool run_LEAVE(struct act *a, struct str rest)
{
    struct err e = {0};

    (void)rest;
    return ask_add(a, engine_room_leave(a->g, &model_current(a->m)->id, &e), ASK_PLAIN, "leave",
                   str_of(""), &e);
}

static bool run_INVITE(struct act *a, struct str rest)
{
    struct err e = {0};
    char what[MODEL_TEXT_SHORT];

    rest = without(rest, '@');
    snprintf(what, sizeof what, "invite %.*s", (int)rest.n, rest.p);
    return ask_add(a, engine_room_invite(a->g, &model_current(a->m)->id, rest, &e), ASK_PLAIN, what,
                   str_of(""), &e);
}

static bool run_LIST(struct act *a, struct str rest)
{
    struct err e = {0};

    (void)rest;
    if (!ask_add(a, engine_room_list(a->g, &e), ASK_LIST, "list", str_of(""), &e))
        return false;
    model_say(a->m, NULL, "rooms of %s:", a->m->relay);
    return true;
}

static bool run_MSG(struct act *a, struct str rest)
{
    struct err e = {0};
    struct str name = without(word(&rest), '@');
    char at[MODEL_TEXT_SHORT], what[MODEL_TEXT_SHORT];

    snprintf(at, sizeof at, "@%.*s", (int)name.n, name.p);
    if (str_is(name, a->m->account)) {
        model_say(a->m, NULL, "that is you: there is no room of one, /create ROOM private is near");
        return false;
    }
    struct window *w = model_window_named(a->m, str_of(at));
    if (w != NULL && model_name_is(w, at + 1)) {
        bool sent = rest.n == 0 || say(a, w, rest);
        model_switch(a->m, (size_t)(w - a->m->windows));
        return sent;
    }
    snprintf(what, sizeof what, "message to %.100s", at + 1);
    return ask_add(a, engine_room_direct(a->g, name, &e), ASK_OPEN, what,
                   rest.p != NULL ? rest : str_of(""), &e);
}

static bool run_NAMES(struct act *a, struct str rest)
{
    const struct window *w = model_current(a->m);
    size_t n = w->people_n;

    (void)rest;
    if (n == 0)
        model_say(a->m, NULL, "not known yet who is here");
    for (size_t i = 0; i < n; i++) {
        const struct person p = model_current(a->m)->people[i];
        if (!p.left)
            model_say(a->m, NULL, "%s  %s  %s%s  %s", p.name, p.online ? "online" : "offline",
                      p.verified ? "verified" : "not verified", p.owner ? "  owner" : "", p.proof);
    }
    return true;
}

static bool run_TOPIC(struct act *a, struct str rest)
{
    struct err e = {0};
    const struct window *w = model_current(a->m);

    if (rest.n > 0)
        return ask_add(a, engine_room_topic(a->g, &w->id, rest, &e), ASK_PLAIN, "topic", str_of(""),
                       &e);
    model_say(a->m, NULL, w->topic[0] != '\0' ? "topic: %s" : "no topic%s", w->topic);
    return true;
}

static bool run_ACCEPT(struct act *a, struct str rest)
{
    struct err e = {0};
    struct str name = without(word(&rest), '@');
    int n = engine_accept(a->g, name, &e);

    if (n < 0) {
        model_say(a->m, NULL, "accept: %s", e.text);
        return false;
    }
    act_blocked(a);
    model_say(a->m, NULL,
              n == 0 ? "%.*s has no certificate that waits for you"
                     : "taken, not compared: the new certificate of %.*s (/verify compares)",
              (int)name.n, name.p);
    return true;
}

static bool run_VERIFY(struct act *a, struct str rest)
{
    struct err e = {0};
    struct str name = without(word(&rest), '@');
    struct hash which;
    char fp[80];

    if (rest.p == NULL || rest.n == 0) {
        act_inspect(a, name);
        return true;
    }
    int same = engine_verify(a->g, name, rest, &which, &e);
    if (same < 0) {
        model_say(a->m, NULL, "verify: %s", e.text);
        return false;
    }
    if (same == 0) {
        char text[400];
        snprintf(text, sizeof text,
                 "DIFFERENT: none of the certificates of %.*s has that fingerprint. Do not trust "
                 "them; ask %.*s for it again over another channel",
                 (int)name.n, name.p, (int)name.n, name.p);
        model_alarm(a->m, model_current(a->m), text);
        return true;
    }
    fingerprint_short(&which, 4, fp);
    model_verified(a->m, &which);
    people_refresh(a);
    act_blocked(a);
    model_say(a->m, NULL, "the same: %.*s is verified, certificate %s ..", (int)name.n, name.p, fp);
    if (a->m->view == VIEW_INSPECT)
        act_inspect(a, name);
    return true;
}

static bool run_W(struct act *a, struct str rest)
{
    uint64_t n;
    struct window *w;

    if (str_u64(rest, UINT32_MAX, &n) == 0 && n < a->m->windows_n) {
        model_switch(a->m, (size_t)n);
        return true;
    }
    w = model_window_named(a->m, rest);
    if (w == NULL) {
        model_say(a->m, NULL, "no such window, or more than one begins so");
        return false;
    }
    model_switch(a->m, (size_t)(w - a->m->windows));
    return true;
}

typedef bool runner(struct act *a, struct str rest);
static runner run_STATUS, run_WHY;

#define X(id, name, args, help, need) [CMD_##id] = run_##id,
static runner *const runners[] = {COMMANDS(X)};
#undef X

bool act_line(struct act *a, struct str line, bool pasted)
{
    struct window *w = model_current(a->m);
    struct command_line c;
    unsigned have = (w->kind != WINDOW_STATUS ? NEED_ROOM : 0) |
                    (a->m->conn == CONN_READY ? NEED_ONLINE : 0) | (a->g != NULL ? NEED_NAME : 0);

    if (line.n == 0) {
        if (a->m->conn == CONN_WAITING)
            a->ops->connect(a->ctx);
        return true;
    }
    command_read(line, pasted, have, &c);
    a->m->hint[0] = '\0';
    if (c.kind == LINE_ERROR) {
        model_say(a->m, NULL, "%s", c.error);
        snprintf(a->m->hint, sizeof a->m->hint, "%.150s", c.error);
        return false;
    }
    if (c.kind == LINE_TEXT)
        return say(a, w, c.rest);
    return runners[c.cmd->id](a, c.rest);
}

/* --- pages --- */

static bool run_STATUS(struct act *a, struct str rest)
{
    struct model *m = a->m;
    const struct attempt *t = model_last_try(m);

    (void)rest;
    model_page(m, "[status]");
    model_page_line(m, true, "%s@%s, device %s", m->account, m->relay, m->device);
    model_page_line(m, false, "  connection  %s", m->conn == CONN_READY ? "ready" : "not ready");
    if (m->why[0] != '\0')
        model_page_line(m, false, "  last end    %s", m->why);
    if (t != NULL)
        model_page_line(m, false, "  link        %s %s %s, try %u", t->version, t->suite, t->group,
                        t->number);
    for (size_t i = 1; i < m->windows_n; i++) {
        const struct window *w = &m->windows[i];
        model_page_line(
            m, false, "  %2zu %s  %u queued, %llu refused%s%s%s", i, w->name, w->queued,
            (unsigned long long)w->refused, w->broken ? ", HISTORY DOES NOT CONTINUE" : "",
            w->read_only ? ", READ ONLY: the relay lost our lines" : "",
            w->blocked ? ", STOPPED: a member's certificate is new (/accept, /verify)" : "");
    }
    model_page_line(m, true, "%s", m->alarms > 0 ? "alarms, seen now:" : "no alarms");
    if (m->alarm != NULL)
        model_page_line(m, false, "  %s%s", m->alarm, m->alarms > 1 ? " (others in window 0)" : "");
    model_alarms_seen(m);
    return true;
}

static const struct message *why_find(const struct window *w, uint64_t number)
{
    for (size_t i = w->messages_n; i-- > 0;) {
        const struct message *msg = &w->messages[i];
        bool odd = msg->mark == MARK_REFUSED || msg->mark == MARK_FAILED;
        if (!msg->system && (number != 0 ? msg->number == number : odd))
            return msg;
    }
    return NULL;
}

static void why_message(struct model *m, const struct message *msg)
{
    char fp[80];

    fingerprint_short(&msg->fp, 16, fp);
    model_page_pair(m, "from", msg->sender[0] != '\0' ? msg->sender : "unknown");
    model_page_line(m, false, "  on %d %s %d at %02d:%02d, %llu of its author", msg->when.day,
                    month_name(msg->when.mon), msg->when.year, msg->when.hour, msg->when.min,
                    (unsigned long long)msg->seq);
    model_page_pair(m, "certificate", fp);
}

struct why {
    struct model *m;
    uint64_t number;
    bool found;
};

static int why_line(void *ctx, const struct engine_line *l)
{
    struct why *y = ctx;
    struct fact facts[FACTS_MAX];
    struct shown_line line;

    if (l->entry->number != y->number)
        return 0; /* the nearest below: that one is not kept */
    line_shown(l, &line);
    unsigned n = line_facts(&line, facts);
    for (unsigned i = 0; i < n; i++)
        model_page_pair(y->m, facts[i].name, facts[i].text);
    y->found = true;
    return 0;
}

static void why_state(struct model *m, const struct message *msg)
{
    model_page_pair(m, "state", mark_text(msg->mark));
    if (msg->note != NULL)
        model_page_pair(m, "because", msg->note);
    if (msg->members > 0)
        model_page_line(m, false, "  it is on devices of %u of %u other members", msg->delivered,
                        msg->members);
    if (msg->mark == MARK_REFUSED)
        model_page_line(m, false,
                        "  its text is withheld: nobody can say who wrote it. Tell the operator of "
                        "the relay");
}

/* Everything about one message: how it stands here, then what was signed. */
void act_why(struct act *a, uint64_t number)
{
    const struct window *w = model_current(a->m);
    const struct message *msg = why_find(w, number);
    struct why y = {.m = a->m, .number = number};
    struct err e = {0};

    if (msg == NULL && number == 0) {
        model_say(a->m, NULL, "nothing failed or was refused here");
        return;
    }
    y.number = msg != NULL ? msg->number : number;
    model_page(a->m, "[why]");
    model_page_line(a->m, true, "message %llu in %s", (unsigned long long)y.number, w->name);
    if (msg != NULL)
        why_state(a->m, msg);
    if (y.number != 0 && a->g != NULL &&
        engine_lines(a->g, &w->id, y.number, 1, why_line, &y, &e) < 0)
        model_page_line(a->m, true, "  what is kept of it could not be read: %s", e.text);
    if (!y.found && msg != NULL)
        why_message(a->m, msg);
    else if (!y.found && e.code == ERR_NONE)
        model_page_line(a->m, false, "  no message of that number is kept here");
}

static bool run_WHY(struct act *a, struct str rest)
{
    uint64_t number = 0;

    if (rest.n > 0 && str_u64(rest, UINT64_C(1) << 53, &number) < 0) {
        model_say(a->m, NULL, "/why takes the number of a message");
        return false;
    }
    act_why(a, number);
    return true;
}

static void help_command(struct model *m, const struct command *c)
{
    char usage[120];

    snprintf(usage, sizeof usage, "/%s %s", c->name, c->args);
    model_page_pair(m, usage, c->help);
}

static void help_marks(struct model *m)
{
#define X(id, glyph, text) model_page_pair(m, (char[]){glyph, 0}, text);
    MARKS(X)
#undef X
}

static void help_keys(struct model *m)
{
#define X(id, keys, what) {keys, what},
    static const struct {
        const char *keys, *what; /* what NULL: not worth a line */
    } rows[] = {KEYS(X)};
#undef X

    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].what != NULL)
            model_page_pair(m, rows[i].keys, rows[i].what);
}

void act_help(struct act *a, struct str topic)
{
    size_t n, at = 0;
    const struct command *table = command_table(&n), *c;

    topic = without(topic, '/');
    model_page(a->m, "[help]");
    if (topic.n > 0) {
        while ((c = command_next(topic, &at)) != NULL)
            help_command(a->m, c);
        if (a->m->page.lines_n == 0)
            model_page_line(a->m, false, "no command begins so; /help alone lists all of them");
        return;
    }
    model_page_line(a->m, true,
                    "commands; a unique beginning is enough, //x sends a leading slash");
    for (size_t i = 0; i < n; i++)
        help_command(a->m, &table[i]);
    model_page_line(a->m, false, "%s", "");
    model_page_line(a->m, true, "marks between name and text");
    help_marks(a->m);
    model_page_line(a->m, false, "%s", "");
    model_page_line(a->m, true, "keys; everything else is readline's, as your inputrc says");
    help_keys(a->m);
}

void act_older(struct act *a, struct window *w)
{
    struct err e = {0};

    if (w->kind == WINDOW_STATUS || w->begun || w->loading)
        return;
    uint64_t id = engine_older(a->g, &w->id, OLDER_PAGE, &e);
    if (id == 0)
        return; /* offline, or already on its way: the next scroll asks again */
    w->loading = ask_add(a, id, ASK_OLDER, "older messages", str_of(""), &e);
    for (size_t i = 0; i < ACT_ASKS_MAX; i++) {
        if (a->asks[i].id == id)
            a->asks[i].window = w->id;
    }
}
