#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "client/ask.h"
#include "client/core/sentence.h"
#include "client/job.h"
#include "client/print.h"
#include "common/util/text.h"

enum {
    SEND_S = 30,        /* --timeout when nothing is said */
    LOCK_MS = 5000,     /* for another process with the outbox */
    STDIN_MAX = 1 << 20 /* how much of a too long text is read to say how long it is */
};

void job_end(struct job *j)
{
    if (!j->done) {
        j->done = true;
        client_stop(j->client);
    }
}

/* What comes while the end waits for its seals undoes nothing that was done. */
void job_fail(struct job *j, const struct err *why)
{
    if (j->done)
        return;
    if (j->err.code == ERR_NONE)
        j->err = *why;
    job_end(j);
}

static void on_limit(uv_timer_t *t)
{
    struct job *j = t->data;
    struct err e = {0};

    if (j->done)
        return;
    if (j->later[0] != '\0')
        err_set(&e, ERR_AGAIN,
                "the relay does not take it yet: %s; the message is kept and goes "
                "out when it does",
                j->later);
    else
        err_set(&e, ERR_AGAIN,
                j->seq != 0 ? "no answer within %u s; the message is kept and goes out "
                              "with the next connection"
                            : "no answer within %u s",
                j->call->timeout_s);
    job_fail(j, &e);
}

static void on_signal(uv_signal_t *s, int number)
{
    struct job *j = s->data;

    (void)number;
    if (j->done)
        client_stop(j->client); /* for the second time: nobody is waited for */
    job_end(j);
}

static void job_event(void *ctx, const struct engine_event *ev);

static void job_over(void *ctx, const struct err *why)
{
    job_fail(ctx, why);
}

/* Without --follow the first connection is the only one. */
static void job_state(void *ctx, const struct client_state *s)
{
    struct job *j = ctx;

    if (s->net == CLIENT_WAITING && !(j->call->follow && j->ready))
        job_fail(j, &s->why);
}

static void job_handles(struct job *j)
{
    uv_loop_t *loop = client_loop(j->client);

    uv_timer_init(loop, &j->limit);
    uv_signal_init(loop, &j->term);
    uv_signal_init(loop, &j->intr);
    j->limit.data = j->term.data = j->intr.data = j;
    if (j->call->timeout_s > 0)
        uv_timer_start(&j->limit, on_limit, (uint64_t)j->call->timeout_s * 1000, 0);
    if (j->call->follow) {
        uv_signal_start(&j->term, on_signal, SIGTERM);
        uv_signal_start(&j->intr, on_signal, SIGINT);
    }
}

/* Opens the client, runs it until the job ends, closes it. */
int job_run(struct job *j, struct err *e)
{
    const struct client_watch watch = {
        .event = job_event, .state = job_state, .over = job_over, .ctx = j};
    struct password password = {{0}, 0};

    if (password_get(&j->call->conf, "Password: ", &password, e) < 0)
        return -1;
    j->call->conf.lock_wait_ms = LOCK_MS;
    j->client = client_open(&j->call->conf, str_from(password.text, password.n), e);
    password_wipe(&password);
    if (j->client == NULL)
        return -1;
    job_handles(j);
    client_watch(j->client, &watch);
    if (j->call->since == NULL)
        j->printed = engine_arrival(client_engine(j->client));
    client_start(j->client);
    int ret = client_run(j->client, e);
    if (client_sealed(j->client, e) < 0)
        ret = -1;
    if (client_refused(j->client) != NULL)
        fprintf(stderr, "countersign: %s\n", client_refused(j->client));
    if (j->at_end != NULL)
        j->at_end(j);
    uv_close((uv_handle_t *)&j->limit, NULL);
    uv_close((uv_handle_t *)&j->term, NULL);
    uv_close((uv_handle_t *)&j->intr, NULL);
    client_close(j->client);
    if (j->err.code != ERR_NONE)
        ret = err_set(e, j->err.code, "%s", j->err.text);
    return ret;
}

struct engine *job_engine(struct job *j)
{
    return client_engine(j->client);
}

/* --- send --- */

static int sent_report(struct job *j, const char *state)
{
    const struct engine_room *r = engine_room_get(job_engine(j), &j->room);
    struct clean name = {0};
    struct row row;
    int ret;

    if (j->call->json) {
        row_begin(&row, "sent");
        row_text(&row, "room", r == NULL ? NULL : r->name);
        jput_hex(&row.j, "room-id", span_of(j->room.b, sizeof j->room.b));
        jput_u64(&row.j, "seq", j->seq);
        jput_u64(&row.j, "number", j->number);
        row_time(&row, "time", j->time);
        row_text(&row, "state", state);
        ret = row_end(&row, &j->err);
    } else {
        print_line("%s: %s, number %llu", clean(&name, j->target),
                   strcmp(state, "delivered") == 0 ? "delivered" : "the relay has it",
                   (unsigned long long)j->number);
        clean_free(&name);
        ret = print_flush(&j->err);
    }
    return ret;
}

static void sent_state(struct job *j, const struct engine_entry *t, const char *why)
{
    struct err e = {0};

    if (j->seq == 0 || t->seq != j->seq || !room_id_same(&t->room, &j->room))
        return;
    if (t->number != 0)
        j->number = t->number;
    if (t->time != 0)
        j->time = (int64_t)t->time;
    if (t->state == ENGINE_FAILED) {
        err_set(&e, ERR_AUTH, "not sent: %s", why == NULL ? "the relay refused it" : why);
        job_fail(j, &e);
    } else if (t->state == ENGINE_QUEUED) {
        text_clean(j->later, sizeof j->later, str_of(why), TEXT_ONE_LINE);
    } else if (t->state == ENGINE_DELIVERED || !j->call->delivered) {
        (void)!sent_report(j, t->state == ENGINE_DELIVERED ? "delivered" : "relay");
        job_end(j);
    }
}

static int say_now(struct job *j)
{
    j->seq = engine_say(job_engine(j), &j->room, j->text, &j->err);
    return j->seq == 0 ? -1 : 0;
}

/* Nobody is written to before it is known which certificates he has now. */
static int say_listed(struct job *j)
{
    const struct engine_room *r = engine_room_get(job_engine(j), &j->room);

    if (j->listed || r == NULL || r->kind == ENGINE_PUBLIC)
        return say_now(j);
    j->listed = true;
    j->request = engine_listed(job_engine(j), &j->room, &j->err);
    return j->request == 0 ? -1 : 0;
}

/* The direct room is open now, or its members are told. */
static int send_answer(struct job *j, const struct engine_event *ev)
{
    if (!j->listed)
        j->room = ev->room;
    return say_listed(j);
}

static int send_ready(struct job *j)
{
    const struct engine_room *r = engine_room_named(job_engine(j), str_of(j->target));

    if (r != NULL) {
        j->room = r->id;
        return say_listed(j);
    }
    if (j->target[0] != '@')
        return err_set(&j->err, ERR_INPUT,
                       "you are in no room of that name; run: countersign room list");
    j->request = engine_room_direct(job_engine(j), str_of(j->target + 1), &j->err);
    return j->request == 0 ? -1 : 0;
}

/* All of standard input, but for a newline at the end. */
static int text_stdin(struct buf *b, struct err *e)
{
    char part[4096];
    size_t n;

    while ((n = fread(part, 1, sizeof part, stdin)) > 0)
        if (buf_add(b, part, n) < 0)
            return err_set(e, ERR_DATA, "the text has more than %d bytes: nothing was sent",
                           TEXT_MAX);
    if (ferror(stdin))
        return err_set(e, ERR_IO, "standard input cannot be read");
    if (b->len > 0 && buf_span(b).p[b->len - 1] == '\n')
        buf_cut(b, b->len - 1);
    return 0;
}

/* What can be said before a connection is made. */
static int text_good(struct str text, struct err *e)
{
    if (text.n == 0)
        return err_set(e, ERR_USAGE, "there is no text: nothing was sent");
    if (text.n > TEXT_MAX)
        return err_set(e, ERR_DATA,
                       "the text has %zu bytes, one message holds at most %d: nothing was sent",
                       text.n, TEXT_MAX);
    if (!text_utf8_ok(text))
        return err_set(e, ERR_DATA, "the text is not UTF-8: nothing was sent");
    return 0;
}

int command_send(struct call *c, struct err *e)
{
    struct job j = {.call = c, .at_ready = send_ready, .at_answer = send_answer};
    struct buf b;
    int ret = -1;

    if (c->args_n < 1 || c->args_n > 2)
        return err_set(e, ERR_USAGE, "usage: countersign send ROOM|@NAME [TEXT|-]");
    j.target = c->args[0];
    if (c->timeout_s == 0)
        c->timeout_s = SEND_S;
    buf_init(&b, STDIN_MAX);
    if (c->args_n == 2 && strcmp(c->args[1], "-") != 0)
        j.text = str_of(c->args[1]);
    else if (text_stdin(&b, e) < 0)
        goto out;
    else
        j.text = str_from(buf_span(&b).p, b.len);
    if (text_good(j.text, e) == 0)
        ret = job_run(&j, e);
out:
    buf_free(&b);
    return ret;
}

/* --- recv --- */

static bool wanted(struct job *j, const struct engine_room *r)
{
    struct engine *g = job_engine(j);

    return j->call->room == NULL || r == engine_room_named(g, str_of(j->call->room));
}

int job_print(void *ctx, const struct engine_entry *t)
{
    struct job *j = ctx;
    const struct engine_room *r = engine_room_get(job_engine(j), &t->room);
    char name[NAME_MAX_LEN + 2] = "?";

    if (t->arrival <= j->printed || j->quiet)
        return 0;
    j->printed = t->arrival;
    if (r != NULL && !wanted(j, r))
        return 0;
    if (r != NULL)
        snprintf(name, sizeof name, "%s%s", r->kind == ENGINE_DIRECT ? "@" : "", r->name);
    if (t->refused != NULL)
        j->refused++;
    return print_entry(t, name, j->call->json, &j->err);
}

/* The engine is ahead of its events: a room is done when the event that says so has come, behind
 * those of its entries. */
static void room_caught(struct job *j, const struct engine_event *ev)
{
    const struct engine_room *r = engine_room_get(job_engine(j), &ev->room);

    if (r == NULL)
        return;
    for (size_t i = 0; i < engine_rooms(job_engine(j)) && i < ROOMS_MAX; i++)
        if (engine_room_at(job_engine(j), i) == r)
            j->caught[i] = true;
}

static bool all_caught(struct job *j)
{
    struct engine *g = job_engine(j);

    for (size_t i = 0; i < engine_rooms(g) && i < ROOMS_MAX; i++) {
        const struct engine_room *r = engine_room_at(g, i);
        if (r->joined && wanted(j, r) && !j->caught[i])
            return false;
    }
    return true;
}

static void recv_step(struct job *j)
{
    if (j->ready && !j->call->follow && all_caught(j))
        job_end(j);
}

static int recv_ready(struct job *j)
{
    if (j->call->room != NULL && engine_room_named(job_engine(j), str_of(j->call->room)) == NULL)
        return err_set(&j->err, ERR_INPUT, "you are in no room of that name");
    return engine_kept(job_engine(j), j->printed, job_print, j, &j->err);
}

static int cursor_take(const char *text, uint64_t *out, struct err *e)
{
    if (strncmp(text, "k1-", 3) != 0 || str_u64(str_of(text + 3), INT64_MAX, out) < 0)
        return err_set(e, ERR_USAGE, "--since wants a cursor that recv --json printed");
    return 0;
}

int command_recv(struct call *c, struct err *e)
{
    struct job j = {.call = c, .at_ready = recv_ready};

    if (c->args_n != 0)
        return err_set(e, ERR_USAGE, "usage: countersign recv [--follow] [--since CURSOR]");
    if (c->since != NULL && cursor_take(c->since, &j.printed, e) < 0)
        return -1;
    c->conf.follow = c->conf.whole = true;
    int ret = job_run(&j, e);
    if (ret == 0 && j.refused > 0)
        return err_set(e, ERR_PEER, "%u message%s refused: the text is withheld", j.refused,
                       j.refused == 1 ? " was" : "s were");
    if (ret == 0 && j.broken)
        return err_set(e, ERR_PEER, "the relay's history was not accepted");
    return ret;
}

/* --- room --- */

static int room_by_name(struct job *j, const char *name)
{
    const struct engine_room *r = engine_room_named(job_engine(j), str_of(name));

    if (r == NULL)
        return err_set(&j->err, ERR_INPUT, "you are in no room of that name");
    j->room = r->id;
    return 0;
}

static uint64_t room_create(struct job *j, char **arg)
{
    bool all = j->call->history != NULL && strcmp(j->call->history, "all") == 0;

    unsigned what = (j->call->secret ? ENGINE_CREATE_PRIVATE : 0U) |
                    (all ? ENGINE_CREATE_HISTORY : 0U) |
                    (j->call->ephemeral ? ENGINE_CREATE_EPHEMERAL : 0U);

    return engine_room_create(job_engine(j), str_of(arg[0]), what, &j->err);
}

static uint64_t room_join(struct job *j, char **arg)
{
    return engine_room_join(job_engine(j), str_of(arg[0]), &j->err);
}

static uint64_t room_leave(struct job *j, char **arg)
{
    return room_by_name(j, arg[0]) < 0 ? 0 : engine_room_leave(job_engine(j), &j->room, &j->err);
}

static uint64_t room_invite(struct job *j, char **arg)
{
    const char *who = arg[1][0] == '@' ? arg[1] + 1 : arg[1];

    return room_by_name(j, arg[0]) < 0
               ? 0
               : engine_room_invite(job_engine(j), &j->room, str_of(who), &j->err);
}

static uint64_t room_topic(struct job *j, char **arg)
{
    return room_by_name(j, arg[0]) < 0
               ? 0
               : engine_room_topic(job_engine(j), &j->room, str_of(arg[1]), &j->err);
}

static uint64_t room_list(struct job *j, char **arg)
{
    (void)arg;
    return engine_room_list(job_engine(j), &j->err);
}

static uint64_t room_members(struct job *j, char **arg)
{
    return room_by_name(j, arg[0]) < 0 ? 0 : engine_members(job_engine(j), &j->room, &j->err);
}

static const struct verb {
    const char *name;
    int args;
    uint64_t (*ask)(struct job *j, char **arg);
} verbs[] = {
    {"create", 1, room_create}, {"invite", 2, room_invite}, {"join", 1, room_join},
    {"leave", 1, room_leave},   {"list", 0, room_list},     {"members", 1, room_members},
    {"topic", 2, room_topic},
};

static const struct verb *verb_find(const struct call *c)
{
    for (size_t i = 0; c->args_n > 0 && i < COUNT(verbs); i++)
        if (strcmp(verbs[i].name, c->args[0]) == 0)
            return verbs[i].args == c->args_n - 1 ? verbs + i : NULL;
    return NULL;
}

static int room_ready(struct job *j)
{
    j->request = verb_find(j->call)->ask(j, j->call->args + 1);
    return j->request == 0 ? -1 : 0;
}

static int print_member(struct job *j, const struct engine_member *m)
{
    struct clean name = {0}, by = {0};
    struct row row;

    if (!j->call->json) {
        print_line("%-20s %-7s %-8s %s%s%s", clean(&name, m->name), m->owner ? "owner" : "member",
                   m->online ? "online" : "", sentence_proof(m->proof),
                   m->by[0] != '\0' ? ", invited by " : "", clean(&by, m->by));
        clean_free(&by);
        clean_free(&name);
        return print_flush(&j->err);
    }
    row_begin(&row, "member");
    row_text(&row, "name", m->name);
    row_text(&row, "role", m->owner ? "owner" : "member");
    jput_bool(&row.j, "online", m->online);
    jput_u64(&row.j, "delivered", m->delivered);
    row_text(&row, "proof", sentence_proof(m->proof));
    if (m->joined != 0)
        jput_u64(&row.j, "joined", m->joined);
    row_text(&row, "by", m->by[0] != '\0' ? m->by : NULL);
    jput_open(&row.j, "devices", '[');
    for (unsigned i = 0; i < m->devices_n; i++) {
        jput_open(&row.j, NULL, '{');
        row_text(&row, "name", m->devices[i].name);
        jput_hex(&row.j, "sha256", span_of(m->devices[i].fp.b, HASH_LEN));
        jput_bool(&row.j, "revoked", m->devices[i].revoked != 0);
        jput_close(&row.j, '}');
    }
    jput_close(&row.j, ']');
    return row_end(&row, &j->err);
}

static int print_members(struct job *j)
{
    const struct engine_room *r = engine_room_get(job_engine(j), &j->room);
    int ret = 0;

    for (unsigned i = 0; r != NULL && ret == 0 && i < r->members_n; i++)
        if (!r->members[i].left)
            ret = print_member(j, r->members + i);
    return ret;
}

static int print_listed(struct job *j, const struct engine_event *ev)
{
    struct clean name = {0}, topic = {0};
    struct row row;

    if (j->call->json) {
        row_begin(&row, "room");
        row_text(&row, "room", ev->text);
        jput_hex(&row.j, "room-id", span_of(ev->room.b, sizeof ev->room.b));
        jput_u64(&row.j, "members", ev->members);
        jput_bool(&row.j, "joined", ev->joined);
        row_text(&row, "topic", ev->topic);
        return row_end(&row, &j->err);
    }
    print_line("%s %-20s %4u  %s", ev->joined ? "*" : " ", clean(&name, ev->text), ev->members,
               clean(&topic, ev->topic));
    clean_free(&name);
    clean_free(&topic);
    return print_flush(&j->err);
}

static int room_print(struct job *j, const struct engine_event *ev)
{
    const char *verb = j->call->args[0];
    const struct engine_room *r = ev->roomed ? engine_room_get(job_engine(j), &ev->room) : NULL;
    struct row row;

    if (strcmp(verb, "members") == 0)
        return print_members(j);
    if (strcmp(verb, "list") == 0)
        return 0;
    if (!j->call->json) {
        print_line("room %s: done", verb);
        return print_flush(&j->err);
    }
    row_begin(&row, "done");
    row_text(&row, "what", verb);
    if (r != NULL) {
        row_text(&row, "room", r->name);
        jput_hex(&row.j, "room-id", span_of(r->id.b, sizeof r->id.b));
    }
    return row_end(&row, &j->err);
}

static int room_answer(struct job *j, const struct engine_event *ev)
{
    int ret = room_print(j, ev);

    job_end(j);
    return ret;
}

int command_room(struct call *c, struct err *e)
{
    struct job j = {.call = c, .at_ready = room_ready, .at_answer = room_answer};

    if (verb_find(c) == NULL)
        return err_set(e, ERR_USAGE,
                       "usage: countersign room create|join|leave|members ROOM, room list, "
                       "room invite ROOM NAME, room topic ROOM TEXT");
    if (c->history != NULL && strcmp(c->history, "all") != 0 && strcmp(c->history, "joined") != 0)
        return err_set(e, ERR_USAGE, "--history is all or joined");
    if (c->timeout_s == 0)
        c->timeout_s = SEND_S;
    return job_run(&j, e);
}

/* --- accept --- */

static int accept_print(struct job *j, int n)
{
    struct clean name = {0};
    struct row row;

    if (j->call->json) {
        row_begin(&row, "accepted");
        row_text(&row, "name", j->target);
        jput_u64(&row.j, "certificates", (uint64_t)n);
        return row_end(&row, &j->err);
    }
    print_line(n == 0 ? "%s: no certificate waits for you" : "%s: taken, not compared",
               clean(&name, j->target));
    clean_free(&name);
    return print_flush(&j->err);
}

/* The rooms that a certificate can stop are asked about one after the other, then it is taken. */
static int accept_next(struct job *j)
{
    struct engine *g = job_engine(j);

    for (; j->at < engine_rooms(g); j->at++) {
        const struct engine_room *r = engine_room_at(g, j->at);
        if (!r->joined || r->kind == ENGINE_PUBLIC)
            continue;
        j->at++;
        j->request = engine_listed(g, &r->id, &j->err);
        return j->request == 0 ? -1 : 0;
    }
    int n = engine_accept(g, str_of(j->target), &j->err);
    if (n < 0 || accept_print(j, n) < 0)
        return -1;
    job_end(j);
    return 0;
}

static int accept_answer(struct job *j, const struct engine_event *ev)
{
    (void)ev;
    return accept_next(j);
}

int command_accept(struct call *c, struct err *e)
{
    struct job j = {.call = c, .at_ready = accept_next, .at_answer = accept_answer};

    if (c->args_n != 1)
        return err_set(e, ERR_USAGE, "usage: countersign accept NAME");
    j.target = c->args[0][0] == '@' ? c->args[0] + 1 : c->args[0];
    if (c->timeout_s == 0)
        c->timeout_s = SEND_S;
    return job_run(&j, e);
}

/* --- events of all of them --- */

static void job_answer(struct job *j, const struct engine_event *ev)
{
    struct err e = {0};

    if (j->request == 0 || ev->id != j->request)
        return;
    if (ev->code != ERR_NONE) {
        err_set(&e, ev->code, "%s", ev->text == NULL || ev->text[0] == '\0' ? "refused" : ev->text);
        job_fail(j, &e);
    } else if (j->at_answer(j, ev) < 0) {
        job_end(j);
    }
}

static void job_alarm(struct job *j, const struct engine_event *ev)
{
    const struct engine_room *r = ev->roomed ? engine_room_get(job_engine(j), &ev->room) : NULL;
    struct clean text = {0};

    j->broken |= r != NULL && r->broken;
    fprintf(stderr, "countersign: %s\n", clean(&text, ev->text));
    clean_free(&text);
}

/* What arrives while the end waits is kept as delivered: the next recv begins behind it. But
 * nothing is shown behind what could not be. */
static bool outlives_end(const struct job *j, const struct engine_event *ev)
{
    return ev->kind == ENGINE_ALARM || (ev->kind == ENGINE_ENTRY && j->err.code == ERR_NONE);
}

static void job_event(void *ctx, const struct engine_event *ev)
{
    struct job *j = ctx;
    bool receives = j->call->conf.follow;

    if (j->done && !outlives_end(j, ev))
        return;
    switch (ev->kind) {
    case ENGINE_READY:
        if (!j->ready && j->at_ready(j) < 0)
            job_end(j);
        j->ready = true;
        break;
    case ENGINE_ENTRY:
        if (receives && j->ready && ev->entry.arrival > 0 && job_print(j, &ev->entry) < 0)
            job_end(j);
        break;
    case ENGINE_STATE: sent_state(j, &ev->entry, ev->text); break;
    case ENGINE_LISTED: (void)!print_listed(j, ev); break;
    case ENGINE_ANSWER: job_answer(j, ev); break;
    case ENGINE_ALARM: job_alarm(j, ev); break;
    case ENGINE_CAUGHT: room_caught(j, ev); break;
    case ENGINE_PASSWORD:
    case ENGINE_ROOM:
    case ENGINE_MEMBERS:
    case ENGINE_NOTE:
    case ENGINE_SEALED:
    case ENGINE_EVIDENCE:
    case ENGINE_CLOSE: break;
    }
    if (receives && !j->done)
        recv_step(j);
    if (j->at_event != NULL && !j->done)
        j->at_event(j);
}

/* --- me --- */

int command_me(struct call *c, struct err *e)
{
    struct profile p;
    struct row row;
    char fp[FP_GROUPS], root[FP_GROUPS], pin[FP_GROUPS];

    if (c->args_n != 0)
        return err_set(e, ERR_USAGE, "usage: countersign me [--json]");
    if (profile_load(&p, c->conf.profile, e) < 0)
        return -1;
    if (c->json) {
        row_begin(&row, "me");
        row_text(&row, "profile", p.name);
        row_text(&row, "account", p.account);
        row_text(&row, "device", p.device);
        row_text(&row, "host", p.host);
        jput_u64(&row.j, "port", p.port);
        row_text(&row, "relay", p.relay);
        jput_hex(&row.j, "sha256", span_of(p.fp.b, sizeof p.fp.b));
        jput_hex(&row.j, "root-sha256", span_of(p.root_fp.b, sizeof p.root_fp.b));
        if (p.pinned)
            jput_hex(&row.j, "pin", span_of(p.pin.b, sizeof p.pin.b));
        row_text(&row, "directory", p.dir);
        return row_end(&row, e);
    }
    struct clean relay = {0}, dir = {0};
    fp_groups(fp, &p.fp);
    fp_groups(root, &p.root_fp);
    print_line("account      %s, device %s, profile %s", p.account, p.device, p.name);
    print_line("relay        %s, %s:%u", clean(&relay, p.relay), p.host, p.port);
    print_line("your SHA-256 %s", fp);
    print_line("root SHA-256 %s", root);
    if (p.pinned) {
        fp_groups(pin, &p.pin);
        print_line("pinned SHA-256 of the relay's certificate: %s", pin);
    }
    print_line("files        %s", clean(&dir, p.dir));
    clean_free(&relay);
    clean_free(&dir);
    return print_flush(e);
}
