/* countersignd -- the relay on the command line: one table of commands, one of options. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crypto/crypto.h"
#include "server/command.h"
#include "server/relay.h"

#ifndef VERSION
#define VERSION "0.1"
#endif

static const struct command {
    const char *name, *args, *help;
    unsigned in;
    int least, most; /* arguments that are no options */
    int (*run)(struct call *c, struct err *e);
} commands[] = {
    {"init", "NAME", "make a relay that clients will call NAME", IN_INIT, 1, 1, command_init},
    {"run", "", "serve until SIGTERM; SIGHUP reads certificates and limits anew", IN_RUN, 0, 0,
     command_run},
    {"invite", "", "print an invite, good once", IN_INVITE, 0, 0, command_invite},
    {"user", "list | disable NAME | enable NAME", "accounts", IN_USER, 1, 2, command_user},
    {"session", "list", "who was logged in, by which certificates, and when", IN_USER, 1, 1,
     command_session},
    {"audit", "list | verify | export -o FILE | prove N -o FILE",
     "what happened, and whether the log of it is what it was", IN_AUDIT, 1, 2, command_audit},
    {"doctor", "", "is everything in order?", IN_DOCTOR, 0, 0, command_doctor},
};

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void help_commands(void)
{
    puts("usage: countersignd COMMAND [OPTION ...]\n");
    for (size_t i = 0; i < COUNT(commands); i++)
        printf("  %s %s\n      %s\n", commands[i].name, commands[i].args, commands[i].help);
    puts("\ncountersignd COMMAND --help lists its options; countersignd(8) has the rest.");
}

static void help_options(const struct command *cmd)
{
    struct buf text;

    printf("usage: countersignd %s %s\n%s\n\n", cmd->name, cmd->args, cmd->help);
    buf_init(&text, 16 * 1024);
    opt_help(conf_table(), cmd->in, &text);
    struct span s = buf_span(&text);
    fwrite(s.p, 1, s.n, stdout);
    buf_free(&text);
}

/* Secrets stay in the process: no core, no other user's debugger, no file that others may read. */
static void harden(void)
{
    struct rlimit none = {0, 0}, files;

    umask(077);
    prctl(PR_SET_DUMPABLE, 0);
    setrlimit(RLIMIT_CORE, &none);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
}

int command_run(struct call *c, struct err *e)
{
    struct log *log = log_new(STDERR_FILENO);

    if (log == NULL)
        return err_set(e, ERR_LOCAL, "no memory for a log");
    int ret = relay_run(&c->conf, c->all_argc, c->all_argv, log, e);
    log_free(log);
    return ret;
}

static int dispatch(const struct command *cmd, int argc, char **argv, struct call *c, struct err *e)
{
    char **left = calloc((size_t)argc + 1, sizeof *left);
    int ret = -1;

    if (left == NULL)
        return err_set(e, ERR_LOCAL, "no memory for arguments");
    memcpy(left, argv, (size_t)argc * sizeof *left);
    c->all_argc = argc;
    c->all_argv = argv;
    c->argv = left;
    if (conf_load(&c->conf, cmd->in, argc, left, &c->argc, e) < 0)
        goto out;
    if (c->conf.help)
        help_options(cmd);
    else if (c->conf.version)
        puts("countersignd " VERSION);
    else if (c->argc < cmd->least || c->argc > cmd->most)
        err_set(e, ERR_USAGE, "usage: countersignd %s %s", cmd->name, cmd->args);
    else if (crypto_init(e) == 0 && cmd->run(c, e) < 0)
        err_set(e, ERR_LOCAL, "%s failed", cmd->name);
    ret = e->code == ERR_NONE ? 0 : -1;
out:
    free(left);
    return ret;
}

static int finish(const struct err *e)
{
    if (fflush(stdout) != 0) {
        fprintf(stderr, "countersignd: %s\n", strerror(errno));
        return err_status(ERR_IO);
    }
    if (e->code == ERR_NONE)
        return 0;
    fprintf(stderr, "countersignd: %s\n", e->text);
    if (e->code == ERR_USAGE)
        fputs("countersignd: see countersignd --help\n", stderr);
    return err_status(e->code);
}

int main(int argc, char *argv[])
{
    static const char *const helps[] = {"--help", "-h", "help"};
    struct call c = {.argc = 0};
    struct err e = {0};
    const char *first = argc < 2 ? "" : argv[1];
    const struct command *cmd = command_find(first);

    harden();
    for (size_t i = 0; i < COUNT(helps); i++)
        if (strcmp(first, helps[i]) == 0) {
            help_commands();
            return finish(&e);
        }
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0)
        puts("countersignd " VERSION);
    else if (first[0] == '\0')
        err_set(&e, ERR_USAGE, "no command given");
    else if (cmd == NULL)
        err_set(&e, ERR_USAGE, "%s: no such command", first);
    else if (dispatch(cmd, argc - 2, argv + 2, &c, &e) < 0)
        err_set(&e, ERR_LOCAL, "failed");
    return finish(&e);
}
