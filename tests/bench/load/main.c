/* load -- one generator for every server of the bench; tests/bench/run calls it.
 *
 *     load --mode fanout --driver irc --port 6697 --pid 1234 --members DIR
 *
 * Prints `name<TAB>value` lines. Exit 0 when everything was delivered once and in order, nobody was
 * disconnected and every figure was taken. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/load/modes.h"

#define X(...) OPT_ROW(struct load_conf, __VA_ARGS__)
static const struct opt rows[] = {LOAD_OPTS(X)};
#undef X

static const struct {
    const char *name;
    int (*run)(struct load *l);
} modes[] = {
    {"fanout", mode_fanout}, {"shakes", mode_shakes}, {"idle", mode_idle},
    {"storm", mode_storm},   {"half", mode_half},
};

static int help(struct opt_table t)
{
    struct buf text;

    buf_init(&text, 16 * 1024);
    opt_help(t, IN_LOAD, &text);
    struct span s = buf_span(&text);
    fwrite(s.p, 1, s.n, stdout);
    buf_free(&text);
    return 0;
}

static int run(struct load *l)
{
    for (size_t i = 0; i < COUNT(modes); i++)
        if (strcmp(modes[i].name, l->conf.mode) == 0)
            return load_open(l, &l->err) < 0 ? -1 : modes[i].run(l);
    return err_set(&l->err, ERR_USAGE, "%s is no mode", l->conf.mode);
}

int main(int argc, char *argv[])
{
    struct opt_table t = {rows, COUNT(rows)};
    struct load *l = calloc(1, sizeof *l);
    int left;

    if (l == NULL)
        return err_status(ERR_LOCAL);
    signal(SIGPIPE, SIG_IGN);
    l->epoll = -1;
    if (opt_defaults(t, &l->conf, &l->err) == 0 &&
        opt_args(t, IN_LOAD, &l->conf, argc - 1, argv + 1, &left, &l->err) == 0 &&
        crypto_init(&l->err) == 0 && (l->conf.help ? help(t) : run(l)) < 0)
        err_set(&l->err, ERR_LOCAL, "failed");
    int status = err_status(l->err.code);
    if (status != 0)
        fprintf(stderr, "load: %s\n", l->err.text);
    if (l->driver != NULL)
        load_close(l);
    free(l);
    return status;
}
