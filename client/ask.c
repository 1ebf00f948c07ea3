#include "client/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "certs/file.h"
#include "client/core/wrap.h"
#include "client/settings.h"
#include "common/util/text.h"

enum { ASK_TRIES = 3 };

/* Signals that must not leave a terminal without echo: noted while a secret is typed, then raised.
 */
static volatile sig_atomic_t caught;

static const int fatal[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

static void on_signal(int number)
{
    caught = number;
}

/* Reads up to a newline or the end; the newline is not part of it. Byte by byte: what follows
 * belongs to somebody else. */
static int read_line(int fd, char *out, size_t cap, size_t *n, struct err *e)
{
    *n = 0;
    for (;;) {
        char c;
        ssize_t got = read(fd, &c, 1);
        if (got < 0 && errno == EINTR && caught == 0)
            continue;
        if (got < 0)
            return err_set(e, ERR_IO, "cannot read: %s", strerror(errno));
        if (got == 0 || c == '\n')
            return 0;
        if (*n == cap)
            return err_set(e, ERR_DATA, "the line is longer than %zu bytes", cap);
        out[(*n)++] = c;
    }
}

bool ask_possible(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void say(int fd, const char *text)
{
    (void)!write(fd, text, strlen(text));
}

/* In rows of whole words, as wide as the terminal. */
static void say_indented(int fd, const char *text)
{
    struct winsize size = {0};
    unsigned cols = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
    struct wrap w = wrap_of(str_of(text), cols > 2 ? cols - 2 : 1);
    struct str row;

    while (wrap_next(&w, &row)) {
        say(fd, "  ");
        (void)!write(fd, row.p, row.n);
        say(fd, "\n");
    }
}

/* Reads a line that is not shown. Whatever ends it, the terminal is as it was. */
static int read_hidden(int fd, const char *prompt, char *out, size_t cap, size_t *n, struct err *e)
{
    struct sigaction note = {.sa_handler = on_signal}, were[COUNT(fatal)];
    struct termios was, quiet;

    if (tcgetattr(fd, &was) < 0) {
        say(fd, prompt);
        return read_line(fd, out, cap, n, e);
    }
    caught = 0;
    sigemptyset(&note.sa_mask); /* no SA_RESTART: the read ends */
    for (size_t i = 0; i < COUNT(fatal); i++)
        sigaction(fatal[i], &note, &were[i]);
    quiet = was;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    tcsetattr(fd, TCSAFLUSH, &quiet);
    say(fd, prompt); /* now: what is typed after it must not be flushed */
    int ret = read_line(fd, out, cap, n, e);
    tcsetattr(fd, TCSAFLUSH, &was);
    for (size_t i = 0; i < COUNT(fatal); i++)
        sigaction(fatal[i], &were[i], NULL);
    say(fd, "\n");
    return ret;
}

int ask_line(const char *prompt, bool hidden, char *out, size_t cap, size_t *n, struct err *e)
{
    int ret, signal_n;
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return err_set(e, ERR_AUTH, "there is no terminal to ask at");
    do {
        if (!hidden)
            say(fd, prompt);
        ret = hidden ? read_hidden(fd, prompt, out, cap, n, e) : read_line(fd, out, cap, n, e);
        signal_n = caught;
        caught = 0;
        if (signal_n != 0) {
            wipe(out, cap);
            raise(signal_n); /* most end us here; back from a stop we ask again */
        }
        if (signal_n == SIGTSTP)
            err_clear(e);
    } while (signal_n == SIGTSTP);
    close(fd);
    return ret;
}

bool ask_again(unsigned *count, struct err *e)
{
    int fd = ++*count < ASK_TRIES ? open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;

    if (fd < 0)
        return false;
    say_indented(fd, e->text); /* cleaned by err_set */
    close(fd);
    err_clear(e);
    return true;
}

void password_wipe(struct password *p)
{
    wipe(p, sizeof *p);
}

static int password_read_file(const char *path, struct password *out, struct err *e)
{
    struct buf b;
    int ret = -1;

    buf_init(&b, sizeof out->text + 1);
    if (file_read(path, FILE_SECRET, &b, e) < 0)
        goto out;
    struct str all = str_from(buf_span(&b).p, b.len), line = str_cut(&all, '\n');
    if (line.n > sizeof out->text || all.n > 0) {
        err_set(e, ERR_DATA, "%s holds more than one line with a password", path);
        goto out;
    }
    if (line.n > 0) /* an empty file has no bytes to point to */
        memcpy(out->text, line.p, line.n);
    out->n = line.n;
    ret = 0;
out:
    buf_free(&b);
    return ret;
}

/* 1 taken, 0 there is no such source, -1. */
static int password_given(const struct client_conf *conf, struct password *out, struct err *e)
{
    struct settings s;

    out->n = 0;
    if (conf->known != NULL) {
        *out = *conf->known;
        return 1;
    }
    if (conf->password_fd >= 0) {
        if (read_line(conf->password_fd, out->text, sizeof out->text, &out->n, e) < 0)
            return err_in(e, "--password-fd");
        return 1;
    }
    if (conf->password_file != NULL)
        return password_read_file(conf->password_file, out, e) < 0 ? -1 : 1;
    if (settings_read(&s, e) < 0)
        return -1;
    if (s.password_file[0] == '\0')
        return 0;
    return password_read_file(s.password_file, out, e) < 0 ? -1 : 1;
}

int password_get(const struct client_conf *conf, const char *prompt, struct password *out,
                 struct err *e)
{
    int given = password_given(conf, out, e);

    if (given < 0)
        return -1;
    if (given == 0 && !ask_possible())
        return err_set(e, ERR_AUTH,
                       "the password is needed and there is no terminal to ask at: give it with "
                       "--password-fd N, or in a file of mode 0600 with --password-file");
    if (given == 0 && ask_line(prompt, true, out->text, sizeof out->text, &out->n, e) < 0)
        return -1;
    return out->n > 0 ? 0 : err_set(e, ERR_AUTH, "the password is empty");
}

static int password_good(const struct password *p, struct err *e)
{
    struct str s = str_from(p->text, p->n);

    if (!text_utf8_ok(s))
        return err_set(e, ERR_DATA, "the password is not UTF-8");
    if (text_points(s) < PASSWORD_CHARS_MIN)
        return err_set(e, ERR_DATA, "a password has at least %d characters", PASSWORD_CHARS_MIN);
    return 0;
}

/* One try at the terminal: typed twice. */
static int password_ask(struct password *out, struct err *e)
{
    struct password again = {{0}, 0};
    int ret = -1;

    if (ask_line("New password (8 characters or more): ", true, out->text, sizeof out->text,
                 &out->n, e) == 0 &&
        password_good(out, e) == 0 &&
        ask_line("The same again: ", true, again.text, sizeof again.text, &again.n, e) == 0) {
        bool same = again.n == out->n && secret_same(again.text, out->text, out->n);
        ret = same ? 0 : err_set(e, ERR_DATA, "the two passwords differ");
    }
    password_wipe(&again);
    return ret;
}

int password_new(const struct client_conf *conf, struct password *out, struct err *e)
{
    unsigned tries = 0;
    int given = password_given(conf, out, e);

    if (given != 0)
        return given < 0 ? -1 : password_good(out, e);
    if (!ask_possible())
        return password_get(conf, "", out, e); /* says what to do without a terminal */
    while (password_ask(out, e) < 0)
        if (!ask_again(&tries, e))
            return -1;
    return 0;
}
