/* Line mode: one message a line, no cursor movement. What arrives is printed, what is typed or
 * piped in is said. Programs that answer people talk to this. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/job.h"
#include "client/print.h"

struct plain {
    struct job *job;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tty_t tty;
    } in;
    bool open;          /* in is a handle of the loop */
    bool ended;         /* standard input has ended: so do we, when the relay has everything */
    struct buf waiting; /* read, not yet said */
    char part[4096];
    char room[NAME_MAX_LEN + 2]; /* where lines go; empty: nowhere yet */
};

/* A mistake at the keyboard costs a line, not the session. */
static void plain_complain(const char *why)
{
    struct clean text = {0};

    fprintf(stderr, "countersign: %s\n", clean(&text, why));
    clean_free(&text);
}

static void plain_say(struct plain *p, struct str text)
{
    struct engine *g = job_engine(p->job);
    const struct engine_room *r = engine_room_named(g, str_of(p->room));
    struct err e = {0};

    if (p->room[0] == '\0')
        plain_complain("no room: /room NAME chooses one; nothing was sent");
    else if (r == NULL)
        plain_complain("you are in no room of that name, nothing was sent; /room NAME chooses one");
    else if (text.n > 0 && engine_say(g, &r->id, text, &e) == 0)
        plain_complain(e.text);
    client_push(p->job->client);
}

static void plain_room(struct plain *p, struct str name)
{
    if (name.n == 0 || str_copy(p->room, sizeof p->room, name) < 0)
        plain_complain("usage: /room NAME");
}

static void plain_quit(struct plain *p, struct str rest)
{
    (void)rest;
    job_end(p->job);
}

/* Few, since everything else is a command of the shell. */
static const struct {
    const char *name;
    void (*run)(struct plain *p, struct str rest);
} words[] = {{"/quit", plain_quit}, {"/room", plain_room}};

static void plain_line(struct plain *p, struct str line)
{
    struct str rest = line;

    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n == 0 || line.p[0] != '/') {
        plain_say(p, line);
        return;
    }
    if (line.n > 1 && line.p[1] == '/') { /* "//x" says "/x" */
        plain_say(p, str_from(line.p + 1, line.n - 1));
        return;
    }
    rest = line;
    struct str word = str_cut(&rest, ' ');
    for (size_t i = 0; i < COUNT(words); i++)
        if (str_is(word, words[i].name)) {
            words[i].run(p, rest);
            return;
        }
    plain_complain("no such command, nothing was sent; there are /room NAME and /quit");
}

static void plain_lines(struct plain *p)
{
    struct span s = buf_span(&p->waiting);
    const uint8_t *nl;

    while (!p->job->done && s.n > 0 && (nl = memchr(s.p, '\n', s.n)) != NULL) {
        size_t n = (size_t)(nl - s.p);
        plain_line(p, str_from(s.p, n));
        buf_drop(&p->waiting, n + 1);
        s = buf_span(&p->waiting);
    }
}

static void plain_feed(struct plain *p, const char *bytes, size_t n)
{
    if (buf_add(&p->waiting, bytes, n) == 0) {
        plain_lines(p);
        return;
    }
    buf_drop(&p->waiting, p->waiting.len);
    plain_complain("a line of more than 64 KiB: nothing of it was sent");
}

/* At the end of the input we stay until the relay has what was said. */
static void plain_settle(struct job *j)
{
    const struct plain *p = j->mode;
    struct engine *g = job_engine(j);

    if (!p->ended)
        return;
    for (size_t i = 0; i < engine_rooms(g); i++)
        if (engine_room_at(g, i)->queued > 0)
            return;
    job_end(j);
}

static void plain_ended(struct plain *p)
{
    struct span rest = buf_span(&p->waiting);

    p->ended = true;
    if (rest.n > 0) /* a last line without its newline */
        plain_line(p, str_from(rest.p, rest.n));
    plain_settle(p->job);
}

static void on_room_for_input(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
    struct plain *p = h->data;
    (void)hint;
    *out = uv_buf_init(p->part, sizeof p->part);
}

static void on_input(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct plain *p = s->data;

    if (n > 0) {
        plain_feed(p, b->base, (size_t)n);
    } else if (n < 0) {
        uv_read_stop(s);
        plain_ended(p);
    }
}

/* A file cannot be waited for: it is read in one go. */
static void plain_file(struct plain *p)
{
    ssize_t n;

    while ((n = read(STDIN_FILENO, p->part, sizeof p->part)) > 0)
        plain_feed(p, p->part, (size_t)n);
    plain_ended(p);
}

static int plain_input(struct plain *p)
{
    uv_loop_t *loop = client_loop(p->job->client);
    uv_handle_type kind = uv_guess_handle(STDIN_FILENO);
    int rc = 0;

    if (kind != UV_TTY && kind != UV_NAMED_PIPE) {
        plain_file(p);
        return 0;
    }
    if (kind == UV_TTY)
        rc = uv_tty_init(loop, &p->in.tty, STDIN_FILENO, 1);
    else
        rc = uv_pipe_init(loop, &p->in.pipe, 0);
    p->open = rc == 0;
    p->in.handle.data = p;
    if (rc == 0 && kind == UV_NAMED_PIPE)
        rc = uv_pipe_open(&p->in.pipe, STDIN_FILENO);
    if (rc == 0)
        rc = uv_read_start(&p->in.stream, on_room_for_input, on_input);
    return rc == 0 ? 0
                   : err_set(&p->job->err, ERR_IO, "standard input cannot be read: %s",
                             uv_strerror(rc));
}

static int plain_ready(struct job *j)
{
    const struct plain *p = j->mode;

    if (isatty(STDIN_FILENO) && p->room[0] == '\0')
        plain_complain("line mode: /room NAME (or @PERSON) chooses where your lines go, /quit "
                       "leaves");
    return plain_input(j->mode);
}

static void plain_close(struct job *j)
{
    struct plain *p = j->mode;

    if (p->open)
        uv_close(&p->in.handle, NULL);
}

int command_plain(struct call *c, struct err *e)
{
    struct plain p = {0};
    struct job j = {.call = c,
                    .at_ready = plain_ready,
                    .mode = &p,
                    .at_event = plain_settle,
                    .at_end = plain_close};

    if (c->args_n != 0)
        return err_set(e, ERR_USAGE, "usage: countersign plain [--room ROOM] [--json]");
    if (c->room != NULL && str_copy(p.room, sizeof p.room, str_of(c->room)) < 0)
        return err_set(e, ERR_USAGE, "--room: the name is too long");
    c->room = NULL; /* all rooms are printed */
    c->follow = c->conf.follow = true;
    p.job = &j;
    buf_init(&p.waiting, TEXT_MAX + 2);
    int ret = job_run(&j, e);
    buf_free(&p.waiting);
    return ret;
}
