#include "client/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "client/ask.h"
#include "client/core/act.h"
#include "client/core/commands.h"
#include "client/core/view.h"
#include "client/line.h"
#include "client/terminal.h"
#include "client/transcripts.h"
#include "client/wire.h"

enum { READ_MAX = 4096, SIGNALS = 6, MINUTE_MS = 60 * 1000 };

struct screen {
    struct client *client; /* NULL: */
    struct guest *guest;   /* of `classic` */
    struct guest_conf where;
    struct model *model;
    struct act act;
    struct terminal *terminal;
    uv_poll_t input;
    uv_signal_t signals[SIGNALS];
    uv_prepare_t prepare;
    uv_timer_t escape, minute;
    bool open;       /* the handles above are in the loop */
    bool dirty;      /* the model has changed since it was drawn */
    bool over;       /* no further try: the person must see why */
    uint64_t try_us; /* mono: when the last try's link began */
    char completion[MODEL_TEXT_SHORT + 4];
    unsigned rows, cols;
};

/* --- a member's client, or a guest's --- */

static struct uv_loop_s *loop_of(struct screen *s)
{
    return s->guest != NULL ? guest_loop(s->guest) : client_loop(s->client);
}

static void push(struct screen *s)
{
    if (s->guest == NULL)
        client_push(s->client);
}

static void stop(struct screen *s)
{
    if (s->guest != NULL)
        guest_stop(s->guest);
    else
        client_stop(s->client);
}

static bool link_now(const struct screen *s, struct link_info *out)
{
    return s->guest != NULL ? guest_link(s->guest, out) : client_link(s->client, out);
}

/* --- time --- */

static void local_stamp(void *ctx, int64_t ms, struct stamp *out)
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm = {0};

    (void)ctx;
    localtime_r(&t, &tm);
    *out = (struct stamp){.year = tm.tm_year + 1900,
                          .mon = tm.tm_mon + 1,
                          .day = tm.tm_mday,
                          .hour = tm.tm_hour,
                          .min = tm.tm_min,
                          .wday = tm.tm_wday};
}

static void touch(struct screen *s)
{
    model_clock(s->model, clock_wall_ms(NULL));
    s->dirty = true;
}

/* --- drawing --- */

static void draw(struct screen *s)
{
    terminal_size(&s->rows, &s->cols);
    struct grid *g = grid_new(s->rows, s->cols);
    if (g == NULL)
        return;
    line_show(&s->model->input);
    view_render(s->model, g);
    terminal_draw(s->terminal, g);
    grid_free(g);
    s->dirty = false;
}

static void on_prepare(uv_prepare_t *p)
{
    struct screen *s = p->data;

    if (s->dirty)
        draw(s);
}

static void on_minute(uv_timer_t *t)
{
    struct screen *s = t->data;

    touch(s);
    uv_timer_start(t, on_minute, (uint64_t)(MINUTE_MS - s->model->now % MINUTE_MS), 0);
}

/* --- what the client tells --- */

static void try_begin(struct screen *s, const struct client_state *now)
{
    struct attempt *t = model_try(s->model, now->attempt);

    snprintf(t->where, sizeof t->where, "%.120s:%u", s->where.host, s->where.port);
    if (s->guest != NULL)
        return;
    cert_shown(s->model, s->act.own_leaf, &t->own[0]);
    cert_shown(s->model, s->act.own_issuer, &t->own[1]);
    t->own_n = 2;
    cert_shown(s->model, s->act.root, &t->pin);
}

static void link_look(struct screen *s)
{
    struct link_info info;

    if (link_now(s, &info))
        act_link(&s->act, &info);
}

static void failed(struct screen *s, const struct err *why)
{
    struct link_info info;
    bool known = link_now(s, &info);

    link_look(s);
    act_failed(&s->act, why, known ? &info : NULL);
    if (s->model->offline_since == 0)
        s->model->offline_since = s->model->now;
}

static uint64_t since_try(const struct screen *s)
{
    return clock_mono_us(NULL) - s->try_us;
}

static void on_state(void *ctx, const struct client_state *now)
{
    static const enum conn conns[] = {
        [CLIENT_IDLE] = CONN_OFF,          [CLIENT_RESOLVING] = CONN_TRYING,
        [CLIENT_CONNECTING] = CONN_TRYING, [CLIENT_HANDSHAKE] = CONN_SHAKING,
        [CLIENT_LINKED] = CONN_LOGIN,      [CLIENT_WAITING] = CONN_WAITING,
    };
    struct screen *s = ctx;
    struct model *m = s->model;
    enum conn before = m->conn;

    touch(s);
    m->conn = conns[now->net];
    m->attempt = now->attempt;
    m->retry_at = m->now + now->retry_ms;
    if (now->net == CLIENT_RESOLVING)
        try_begin(s, now);
    if (now->where != NULL && now->where[0] != '\0' && model_last_try(m) != NULL)
        model_clean(model_last_try(m)->where, sizeof model_last_try(m)->where, now->where);
    if (m->conn == CONN_LOGIN && before != CONN_LOGIN && s->guest == NULL) {
        link_look(s);
        act_login(&s->act, since_try(s), false);
    }
    if (m->conn == CONN_WAITING && before != CONN_WAITING)
        failed(s, &now->why);
}

/* A guest is in as soon as somebody answers, and out until he says otherwise. */
static void on_guest_state(void *ctx, const struct client_state *now)
{
    struct screen *s = ctx;
    struct model *m = s->model;

    on_state(ctx, now);
    if (now->net == CLIENT_LINKED) {
        m->conn = CONN_READY;
        m->offline_since = 0;
        model_last_try(m)->done = true;
        act_guest_window(&s->act);
        if (m->hs_auto)
            m->view = VIEW_CHAT;
    } else if (now->net == CLIENT_IDLE && now->why.code != ERR_NONE) {
        failed(s, &now->why);
        model_say(m, NULL, "%s; /connect tries again", now->why.text);
    }
}

static void on_text(void *ctx, struct str text)
{
    struct screen *s = ctx;

    touch(s);
    act_guest_text(&s->act, text, false);
}

static void on_step(void *ctx, const struct link_step *step)
{
    struct screen *s = ctx;

    touch(s);
    if (step->number == 1)
        s->try_us = clock_mono_us(NULL) - step->at_us - step->took_us;
    model_step(s->model, step);
    link_look(s);
}

static void on_event(void *ctx, const struct engine_event *ev)
{
    struct screen *s = ctx;

    touch(s);
    if (ev->kind == ENGINE_READY)
        act_login(&s->act, since_try(s), true);
    act_event(&s->act, ev);
}

static void on_over(void *ctx, const struct err *why)
{
    struct screen *s = ctx;

    touch(s);
    s->model->conn = CONN_OFF;
    failed(s, why);
    model_say(s->model, &s->model->windows[0], "no further try: %s", why->text);
    s->model->view = VIEW_HANDSHAKE;
}

/* --- what the commands ask of the program --- */

static void do_quit(void *ctx)
{
    stop(ctx);
}

static void do_connect(void *ctx)
{
    struct screen *s = ctx;

    if (s->model->conn != CONN_OFF && s->model->conn != CONN_WAITING)
        return;
    s->model->view = VIEW_HANDSHAKE;
    s->model->hs_auto = true;
    if (s->guest != NULL)
        guest_connect(s->guest);
    else
        client_retry(s->client);
}

static void do_disconnect(void *ctx)
{
    struct screen *s = ctx;

    if (s->guest != NULL)
        guest_pause(s->guest);
    else
        client_pause(s->client);
    s->model->offline_since = s->model->now;
}

static bool do_rekey(void *ctx)
{
    struct screen *s = ctx;

    return s->guest == NULL && client_rekey(s->client);
}

static int do_keep(void *ctx, const char *path, struct span bundle, struct err *e)
{
    const struct screen *s = ctx;

    return evidence_write(client_profile(s->client), path, bundle, e);
}

static int do_seal(void *ctx, struct err *e)
{
    const struct screen *s = ctx;

    return client_seal(s->client, e);
}

static void do_point(void *ctx, size_t point)
{
    (void)ctx;
    line_point(point);
}

static void do_redraw(void *ctx)
{
    struct screen *s = ctx;

    terminal_forget(s->terminal);
    s->dirty = true;
}

/* The whole job stops, as C-z in a shell means it: whoever started us and waits (make, a script)
 * would else leave the person without a shell. A group without one is not stopped by SIGTSTP. */
static void do_suspend(void *ctx)
{
    struct screen *s = ctx;
    struct sigaction stop = {.sa_handler = SIG_DFL}, ours;

    terminal_suspend(s->terminal);
    sigaction(SIGTSTP, &stop, &ours);
    kill(0, SIGTSTP);
    sigaction(SIGTSTP, &ours, NULL);
    terminal_resume(s->terminal); /* SIGCONT came */
    touch(s);
}

static bool do_say(void *ctx, struct str text, struct err *e)
{
    struct screen *s = ctx;

    return guest_say(s->guest, text, e) == 0;
}

static const struct act_ops ops = {
    .quit = do_quit,
    .connect = do_connect,
    .disconnect = do_disconnect,
    .rekey = do_rekey,
    .keep = do_keep,
    .seal = do_seal,
    .set_point = do_point,
    .redraw = do_redraw,
    .suspend = do_suspend,
    .say = do_say,
};

/* --- the line --- */

static bool line_enter(void *ctx, struct str text, bool pasted)
{
    struct screen *s = ctx;
    bool done = act_line(&s->act, text, pasted);

    push(s);
    return done;
}

static bool line_key(void *ctx, enum screen_key key)
{
    struct screen *s = ctx;

    line_show(&s->model->input);
    bool mine = act_key(&s->act, key, s->rows, s->cols);
    push(s);
    return mine;
}

static void line_refused(void *ctx, const char *why)
{
    struct screen *s = ctx;

    model_clean(s->model->hint, sizeof s->model->hint, why);
}

/* Commands for the first word; else names of windows and of people here. */
static const char *line_complete(void *ctx, struct str word, bool first, size_t n)
{
    struct screen *s = ctx;
    const struct window *w = model_current(s->model);
    size_t at = 0, names = s->model->windows_n - 1, hits = 0;
    const struct command *c = NULL;

    if (first) {
        struct str start = str_from(word.p + 1, word.n - 1);
        for (size_t i = 0; i <= n && (c = command_next(start, &at)) != NULL; i++)
            continue;
        if (c != NULL)
            snprintf(s->completion, sizeof s->completion, "/%s", c->name);
        return c != NULL ? s->completion : NULL;
    }
    /* "@al" and "#op" complete as well as "al" and "op" */
    bool sign = word.n > 0 && (word.p[0] == '@' || word.p[0] == '#');
    struct str start = sign ? str_from(word.p + 1, word.n - 1) : word;
    for (size_t i = 0; i < names + w->people_n; i++) {
        const char *name = i < names ? s->model->windows[i + 1].name : w->people[i - names].name;
        if (strlen(name) >= start.n && memcmp(name, start.p, start.n) == 0 && hits++ == n) {
            snprintf(s->completion, sizeof s->completion, "%.*s%s", sign, word.p, name);
            return s->completion;
        }
    }
    return NULL;
}

/* --- the loop --- */

static void on_escape(uv_timer_t *t)
{
    struct screen *s = t->data;

    line_timeout();
    touch(s);
}

static void on_input(uv_poll_t *p, int status, int events)
{
    struct screen *s = p->data;
    char bytes[READ_MAX];
    ssize_t n = status < 0 ? 0 : read(STDIN_FILENO, bytes, sizeof bytes);

    (void)events;
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) { /* the terminal is gone */
        stop(s);
        return;
    }
    touch(s);
    line_feed(bytes, (size_t)n);
    wipe(bytes, sizeof bytes);
    if (line_pending())
        uv_timer_start(&s->escape, on_escape, LINE_ESC_MS, 0);
    else
        uv_timer_stop(&s->escape);
}

static void on_signal(uv_signal_t *sig, int number)
{
    struct screen *s = sig->data;

    if (number == SIGTSTP)
        do_suspend(s);
    else if (number == SIGWINCH || number == SIGCONT)
        touch(s);
    else
        stop(s);
}

/* libuv makes a descriptor that it polls non-blocking. A terminal is one open file for input,
 * output and the shell: they would find theirs non-blocking too, and screens would stay half drawn.
 */
static int input_poll(struct screen *s, uv_loop_t *loop)
{
    int flags = fcntl(STDIN_FILENO, F_GETFL);
    int rc = uv_poll_init(loop, &s->input, STDIN_FILENO);

    return rc != 0 || flags < 0 ? rc : fcntl(STDIN_FILENO, F_SETFL, flags);
}

static int loop_add(struct screen *s, struct err *e)
{
    static const int numbers[SIGNALS] = {SIGWINCH, SIGTERM, SIGHUP, SIGINT, SIGTSTP, SIGCONT};
    uv_loop_t *loop = loop_of(s);
    bool ok = input_poll(s, loop) == 0 && uv_prepare_init(loop, &s->prepare) == 0 &&
              uv_timer_init(loop, &s->escape) == 0 && uv_timer_init(loop, &s->minute) == 0;

    s->input.data = s->prepare.data = s->escape.data = s->minute.data = s;
    for (size_t i = 0; ok && i < SIGNALS; i++) {
        ok = uv_signal_init(loop, &s->signals[i]) == 0;
        s->signals[i].data = s;
        ok = ok && uv_signal_start(&s->signals[i], on_signal, numbers[i]) == 0;
    }
    if (!ok)
        return err_set(e, ERR_OS, "the terminal cannot be watched");
    s->open = true;
    uv_poll_start(&s->input, UV_READABLE, on_input);
    uv_prepare_start(&s->prepare, on_prepare);
    on_minute(&s->minute);
    return 0;
}

static void loop_remove(struct screen *s)
{
    uv_handle_t *handles[] = {(uv_handle_t *)&s->input, (uv_handle_t *)&s->prepare,
                              (uv_handle_t *)&s->escape, (uv_handle_t *)&s->minute};

    if (!s->open)
        return;
    for (size_t i = 0; i < COUNT(handles); i++)
        uv_close(handles[i], NULL);
    for (size_t i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&s->signals[i], NULL);
    uv_run(loop_of(s), UV_RUN_NOWAIT);
}

/* --- start --- */

static void member_fill(struct screen *s)
{
    const struct profile *p = client_profile(s->client);
    struct model *m = s->model;

    model_clean(m->account, sizeof m->account, p->account);
    model_clean(m->device, sizeof m->device, p->device);
    snprintf(s->where.host, sizeof s->where.host, "%s", p->host);
    s->where.port = p->port;
    s->act.g = client_engine(s->client);
    s->act.own_fp = p->fp;
    s->act.own_leaf = span_of(p->leaf, p->leaf_n);
    s->act.own_issuer = span_of(p->issuer, p->issuer_n);
    s->act.root = span_of(p->root, p->root_n);
}

static int model_fill(struct screen *s, struct err *e)
{
    const struct model_conf conf = {.local = local_stamp};

    s->model = model_new(&conf);
    if (s->model == NULL)
        return err_set(e, ERR_OS, "no memory");
    struct model *m = s->model;
    s->act = (struct act){.m = m, .ops = &ops, .ctx = s};
    model_clock(m, clock_wall_ms(NULL));
    m->view = VIEW_HANDSHAKE;
    m->hs_auto = true;
    m->guest = s->guest != NULL;
    if (m->guest)
        snprintf(m->account, sizeof m->account, "guest");
    else
        member_fill(s);
    model_clean(m->relay, sizeof m->relay, s->where.host);
    return 0;
}

/* $XDG_STATE_HOME/countersign/history; relative values are ignored. */
static int history_path(char *out, size_t cap)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n = -1;

    if (state != NULL && state[0] == '/')
        n = snprintf(out, cap, "%s/countersign/history", state);
    else if (home != NULL && home[0] == '/')
        n = snprintf(out, cap, "%s/.local/state/countersign/history", home);
    if (n < 0 || (size_t)n >= cap)
        return -1;
    for (char *at = strchr(out + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(out, 0700); /* those that are there stay as they are */
        *at = '/';
    }
    return 0;
}

static int run_member(struct screen *s, struct err *e)
{
    const struct client_watch watch = {
        .event = on_event, .step = on_step, .state = on_state, .over = on_over, .ctx = s};

    client_watch(s->client, &watch);
    client_start(s->client);
    return client_run(s->client, e);
}

static int run_guest(struct screen *s, struct err *e)
{
    const struct guest_watch watch = {{.step = on_step, .state = on_guest_state, .ctx = s},
                                      on_text};

    guest_watch(s->guest, &watch);
    guest_connect(s->guest);
    return guest_run(s->guest, e);
}

static int show(struct screen *s, struct err *e)
{
    const char *no_color = getenv("NO_COLOR");
    const struct line_ops line = {.enter = line_enter,
                                  .key = line_key,
                                  .refused = line_refused,
                                  .complete = line_complete,
                                  .ctx = s};
    char path[PROFILE_PATH_MAX];
    bool kept = history_path(path, sizeof path) == 0;

    if (model_fill(s, e) < 0 || line_open(&line, kept ? path : NULL, e) < 0)
        return -1;
    s->terminal = terminal_open(no_color == NULL || no_color[0] == '\0', e);
    if (s->terminal == NULL || loop_add(s, e) < 0)
        return -1;
    return s->guest != NULL ? run_guest(s, e) : run_member(s, e);
}

/* UTF-8 whatever the locale says: readline and ncurses count columns by it. */
static void locale_set(void)
{
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

static void hide(struct screen *s)
{
    struct err e = {0};

    terminal_close(s->terminal);
    line_close();
    if (s->client != NULL || s->guest != NULL)
        loop_remove(s);
    if (s->client != NULL && client_sealed(s->client, &e) < 0)
        fprintf(stderr, "countersign: %s\n", e.text);
    if (s->client != NULL && client_refused(s->client) != NULL)
        fprintf(stderr, "countersign: %s\n", client_refused(s->client));
    client_close(s->client);
    guest_close(s->guest);
    act_free(&s->act);
    model_free(s->model);
}

int screen_guest(const struct guest_conf *conf, struct err *e)
{
    struct screen s = {.rows = 24, .cols = 80, .where = *conf};
    int ret = -1;

    if (terminal_check(e) < 0)
        return -1;
    locale_set();
    s.guest = guest_open(conf, e);
    if (s.guest != NULL)
        ret = show(&s, e);
    hide(&s);
    return ret;
}

int screen_run(const struct client_conf *conf, bool plain, struct err *e)
{
    struct screen s = {.rows = 24, .cols = 80};
    struct client_conf following = *conf;
    struct password password = {.n = 0};
    int ret = -1;

    following.follow = true;
    if (plain)
        return err_set(e, ERR_USAGE,
                       "there is no line mode: use countersign recv --follow and "
                       "countersign send");
    if (terminal_check(e) < 0)
        return -1;
    locale_set();
    if (password_get(conf, "Password: ", &password, e) < 0)
        goto out;
    s.client = client_open(&following, str_from(password.text, password.n), e);
    password_wipe(&password);
    if (s.client == NULL)
        goto out;
    ret = show(&s, e);
out:
    hide(&s);
    password_wipe(&password);
    return ret;
}
