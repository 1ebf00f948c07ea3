/* `countersignd init`: everything is made in a directory beside the final one, which it becomes by
 * one rename: there is a whole relay or none. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certs/file.h"
#include "common/util/text.h"
#include "server/books.h"
#include "server/command.h"
#include "server/identity.h"
#include "server/log.h"

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *f)
{
    (void)st, (void)kind, (void)f;
    return remove(path);
}

/* A path as people may see it. */
static const char *shown(char out[OPT_TEXT_MAX * TEXT_CLEAN_GROWS], const char *path)
{
    text_clean(out, OPT_TEXT_MAX * TEXT_CLEAN_GROWS, str_of(path), TEXT_ONE_LINE);
    return out;
}

static void remove_all(const char *dir)
{
    char text[OPT_TEXT_MAX * TEXT_CLEAN_GROWS];

    if (nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0)
        fprintf(stderr, "countersignd: %s is left over: %s\n", shown(text, dir), strerror(errno));
}

/* The directory beside the final one, empty. */
static int nest(const struct conf *c, char out[OPT_TEXT_MAX], struct err *e)
{
    char parent[OPT_TEXT_MAX];
    int n = snprintf(out, OPT_TEXT_MAX, "%s.new-%ld", c->dir, (long)getpid());

    if (n < 0 || n >= OPT_TEXT_MAX)
        return err_set(e, ERR_CREATE, "the path %s is too long", c->dir);
    memcpy(parent, c->dir, sizeof parent);
    char *slash = strrchr(parent, '/');
    if (slash != NULL && slash != parent)
        *slash = '\0';
    if (slash != NULL && slash != parent && access(parent, F_OK) != 0 && dir_make(parent, e) < 0)
        return -1;
    if (mkdir(out, 0700) != 0)
        return err_set(e, ERR_CREATE, "%s: %s", out, strerror(errno));
    return 0;
}

static int authority(const struct conf *c, const struct hosts *hosts, struct err *e)
{
    char path[CONF_PATH];
    struct ca_setup s = {.dir = path,
                         .name = hosts->p[0],
                         .kind = PKEY_RSA_3072,
                         .rng = rng_system(),
                         .now = clock_now(NULL)};

    if (conf_path(c, FILE_CA, path, e) < 0 || ca_create(&s, e) < 0)
        return -1;
    struct ca *ca = identity_ca(c, e);
    int ret = ca == NULL ? -1 : identity_make(c, ca, hosts, s.now, e);
    ca_free(ca);
    return ret;
}

static int put(struct buf *b, const char *text)
{
    return buf_add(b, text, strlen(text));
}

static int put_option(struct buf *b, const char *name, const char *value)
{
    return put(b, name) < 0 || put(b, " = ") < 0 || put(b, value) < 0 || put(b, "\n") < 0 ? -1 : 0;
}

static int configuration(const struct conf *c, struct err *e)
{
    char path[CONF_PATH];
    struct buf b;
    int ret = -1;

    buf_init(&b, CONF_FILE_MAX);
    if (put(&b,
            "# countersignd.conf: NAME = VALUE; countersignd.8 explains each.\n"
            "# SIGHUP reads it anew; listen, threads, workers and name need a restart.\n\n") < 0 ||
        put_option(&b, "name", c->name) < 0 || put_option(&b, "listen", c->listen) < 0 ||
        (c->extra_san[0] != '\0' && put_option(&b, "extra_san", c->extra_san) < 0) ||
        put(&b, "\n# What follows are the defaults.\n\n") < 0) {
        err_set(e, ERR_LOCAL, "no memory for the configuration");
        goto out;
    }
    opt_sample(conf_table(), IN_FILE, &b);
    if (conf_path(c, FILE_CONF, path, e) == 0)
        ret = file_create(path, FILE_PUBLIC, buf_span(&b), e);
out:
    buf_free(&b);
    return ret;
}

/* A relay whose port is only known when it runs has no address to invite to yet: line is empty. */
static int first_invite(const struct conf *c, char line[INVITE_MAX], struct err *e)
{
    struct invite_wish w = {.admin = true, .hours = 24};
    struct store s;

    line[0] = '\0';
    if (!invite_possible(c))
        return 0;
    if (books_open(c, STORE_BESIDE, &s, e) < 0)
        return -1;
    int ret = invite_make(c, &s, &w, line, e);
    store_close(&s);
    return ret;
}

/* `init NAME`: the port that NAME says is the one to listen on, unless --listen says otherwise. */
static int wish(struct call *call, struct hosts *hosts, struct err *e)
{
    struct conf *c = &call->conf;
    struct host_port at = {.port = PORT_DEFAULT};

    if (str_copy(c->name, sizeof c->name, str_of(call->argv[0])) < 0)
        return err_set(e, ERR_USAGE, "the name is too long");
    if (host_port_take(&at, str_of(c->name), e) < 0 || conf_hosts(c, hosts, e) < 0)
        return err_in(e, "init %s", call->argv[0]);
    if (at.port != PORT_DEFAULT && strcmp(c->listen, "[::]:7443") == 0)
        snprintf(c->listen, sizeof c->listen, "[::]:%u", at.port);
    return 0;
}

static int make(const struct conf *c, const struct hosts *hosts, char line[INVITE_MAX],
                struct err *e)
{
    return authority(c, hosts, e) < 0 || books_create(c, e) < 0 || configuration(c, e) < 0
               ? -1
               : first_invite(c, line, e);
}

static void report(const struct conf *c, const struct hosts *hosts, const char *line)
{
    char dir[OPT_TEXT_MAX * TEXT_CLEAN_GROWS];

    printf("made a relay for %s in %s\n", hosts->p[0], shown(dir, c->dir));
    printf("  ca/            certificate authority; ca/root.key is not needed from day to day:\n"
           "                 move it off this machine and keep it safe\n"
           "  relay.crt/key  certificate of this relay, 90 days, renewed by itself\n"
           "  relay-rsa.*    the same with an RSA key, for the links ecdhe and cianr\n"
           "  evidence.*     certificate and key that sign what happened in rooms, 2 years\n"
           "  relay.db       accounts, rooms, messages\n"
           "  seal.key       opens the login records in relay.db: back it up apart from it\n"
           "  countersignd.conf\n\n");
    printf("next: countersignd run --dir %s\n\n", dir);
    if (line[0] == '\0')
        puts("then, with the port from its log: countersignd invite --admin --at HOST:PORT");
    else
        printf("first invite, makes an administrator, good once for 24 hours:\n\n  %s\n", line);
}

int command_init(struct call *call, struct err *e)
{
    struct conf c;
    struct hosts hosts;
    char line[INVITE_MAX];
    int ret = -1;

    if (wish(call, &hosts, e) < 0)
        return -1;
    c = call->conf;
    /* an empty directory may be there: a service manager makes one */
    if (file_exists(c.dir) && rmdir(c.dir) != 0)
        return err_set(e, ERR_CREATE, "%s is already there: %s", c.dir,
                       "nothing was changed; remove it yourself if you mean it");
    if (nest(&call->conf, c.dir, e) < 0)
        return -1;
    fputs("making keys, this takes a few seconds ...\n", stderr);
    if (make(&c, &hosts, line, e) < 0)
        goto out;
    if (rename(c.dir, call->conf.dir) != 0) {
        err_set(e, ERR_CREATE, "%s: %s", call->conf.dir, strerror(errno));
        goto out;
    }
    report(&call->conf, &hosts, line);
    ret = 0;
out:
    wipe(line, sizeof line);
    if (ret < 0)
        remove_all(c.dir);
    return ret;
}
