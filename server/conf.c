#include "server/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "certs/file.h"
#include "common/chat/invite.h"
#include "common/link/link.h"

#define X(...) OPT_ROW(struct conf, __VA_ARGS__)
static const struct opt rows[] = {CONF_OPTS(X)};
#undef X

struct opt_table conf_table(void)
{
    return (struct opt_table){rows, COUNT(rows)};
}

/* The relay's directory when nobody names one: root's belongs to the machine. */
static int dir_default(char out[OPT_TEXT_MAX], struct err *e)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int n;

    if (geteuid() == 0)
        n = snprintf(out, OPT_TEXT_MAX, "/var/lib/countersignd");
    else if (data != NULL && data[0] == '/')
        n = snprintf(out, OPT_TEXT_MAX, "%s/countersignd", data);
    else if (home != NULL && home[0] == '/')
        n = snprintf(out, OPT_TEXT_MAX, "%s/.local/share/countersignd", home);
    else
        return err_set(e, ERR_CONFIG, "no home directory: say --dir DIR");
    if (n < 0 || n >= OPT_TEXT_MAX)
        return err_set(e, ERR_CONFIG, "the path of the relay's directory is too long");
    return 0;
}

int conf_path(const struct conf *c, const char *name, char out[CONF_PATH], struct err *e)
{
    return path_join(out, CONF_PATH, c->dir, name, e);
}

static int file_name(const struct conf *c, char out[CONF_PATH], struct err *e)
{
    if (c->config[0] == '\0')
        return conf_path(c, "countersignd.conf", out, e);
    return str_copy(out, CONF_PATH, str_of(c->config)) < 0
               ? err_set(e, ERR_CONFIG, "the path of the configuration is too long")
               : 0;
}

static int file_take(struct conf *c, bool needed, struct err *e)
{
    char path[CONF_PATH];
    struct buf text;
    int ret = -1;

    if (file_name(c, path, e) < 0)
        return -1;
    if (!needed && !file_exists(path))
        return 0;
    if (!file_exists(path) && c->config[0] == '\0')
        return err_set(e, ERR_CONFIG, "%s holds no relay: countersignd init NAME makes one",
                       c->dir);
    buf_init(&text, CONF_FILE_MAX);
    if (file_read(path, FILE_PUBLIC, &text, e) < 0)
        goto out;
    struct span all = buf_span(&text);
    ret = opt_file(conf_table(), IN_FILE, c, path, str_from(all.p, all.n), e);
out:
    buf_free(&text);
    return ret;
}

/* The command line is read twice: for where the file is, and for what goes before the file. */
static int layers(struct conf *out, unsigned in, int argc, char *const *argv, struct err *e)
{
    char **copy = calloc((size_t)argc + 1, sizeof *copy);
    struct conf c;
    int left, ret = -1;

    if (copy == NULL)
        return err_set(e, ERR_LOCAL, "no memory for options");
    if (argc > 0)
        memcpy(copy, argv, (size_t)argc * sizeof *copy);
    if (opt_defaults(conf_table(), &c, e) < 0 ||
        opt_args(conf_table(), in, &c, argc, copy, &left, e) < 0 ||
        (c.dir[0] == '\0' && dir_default(c.dir, e) < 0))
        goto out;
    if (!c.help && !c.version && file_take(&c, in != IN_INIT, e) < 0)
        goto out;
    if (argc > 0)
        memcpy(copy, argv, (size_t)argc * sizeof *copy);
    ret = opt_args(conf_table(), in, &c, argc, copy, &left, e);
    if (ret == 0)
        *out = c;
out:
    free(copy);
    return ret;
}

static int check(const struct conf *c, struct err *e)
{
    struct hosts h;
    struct host_port p = {.port = 0};
    unsigned links;
    enum leaf leaf;

    if (conf_links(c, &links, e) < 0 || conf_ecdhe_leaf(c, &leaf, e) < 0)
        return -1;
    if (host_port_take(&p, str_of(c->listen), e) < 0)
        return err_in(e, "listen");
    return conf_hosts(c, &h, e);
}

int conf_load(struct conf *out, unsigned in, int argc, char **argv, int *left, struct err *e)
{
    struct conf scratch;

    if (layers(out, in, argc, argv, e) < 0)
        return -1;
    if (opt_defaults(conf_table(), &scratch, e) < 0 ||
        opt_args(conf_table(), in, &scratch, argc, argv, left, e) < 0)
        return -1;
    return out->help || out->version ? 0 : check(out, e);
}

int conf_again(struct conf *out, int argc, char *const *argv, struct err *e)
{
    struct conf next;

    if (layers(&next, IN_RUN, argc, argv, e) < 0 || check(&next, e) < 0)
        return -1;
    *out = next;
    return 0;
}

/* --- links --- */

int conf_links(const struct conf *c, unsigned *links, struct err *e)
{
    struct str rest = str_of(c->links);
    enum link_kind kind;

    *links = 0;
    while (rest.n > 0) {
        struct str one = str_cut(&rest, ' ');

        if (one.n == 0)
            continue;
        if (link_kind_take(one, &kind) < 0)
            return err_set(e, ERR_CONFIG, "links: \"%.*s\" is none that this version speaks",
                           (int)(one.n < 80 ? one.n : 80), one.p);
        *links |= 1U << kind;
    }
    return *links != 0 ? 0 : err_set(e, ERR_CONFIG, "links: none is named");
}

int conf_ecdhe_leaf(const struct conf *c, enum leaf *leaf, struct err *e)
{
    static const struct {
        const char *word;
        enum leaf leaf;
    } words[] = {{"rsa", LEAF_RSA}, {"p256", LEAF_P256}, {"self", LEAF_SELF}};

    for (size_t i = 0; i < COUNT(words); i++)
        if (strcmp(c->ecdhe_leaf, words[i].word) == 0) {
            *leaf = words[i].leaf;
            return 0;
        }
    return err_set(e, ERR_CONFIG, "ecdhe_leaf is rsa, p256 or self");
}

/* --- names and ports --- */

/* What stands before the port; *rest is the port, p NULL when there is none. */
static struct str host_cut(struct str s, struct str *rest)
{
    struct str host = s;

    *rest = (struct str){NULL, 0};
    if (s.n > 0 && s.p[0] == '[') {
        struct str inside = {s.p + 1, s.n - 1}, tail = inside;

        host = str_cut(&tail, ']');
        if (tail.p != NULL && tail.n > 0 && tail.p[0] == ':')
            *rest = (struct str){tail.p + 1, tail.n - 1};
        else if (tail.p == NULL || tail.n > 0)
            host.n = 0; /* no bracket, or something else behind it */
        return host;
    }
    struct str tail = s, first = str_cut(&tail, ':');
    if (tail.p != NULL && memchr(tail.p, ':', tail.n) == NULL) {
        host = first;
        *rest = tail;
    }
    return host; /* two colons without brackets: an IPv6 address alone */
}

int host_port_take(struct host_port *out, struct str s, struct err *e)
{
    struct str port, host = host_cut(s, &port);
    uint64_t n = out->port;

    if (host.n == 0 || str_copy(out->host, sizeof out->host, host) < 0)
        return err_set(e, ERR_CONFIG, "want HOST:PORT or [IPV6]:PORT");
    if (port.p != NULL && str_u64(port, 65535, &n) < 0)
        return err_set(e, ERR_CONFIG, "the port is not a number from 0 to 65535");
    out->port = (unsigned)n;
    return 0;
}

static int host_add(struct hosts *h, struct str s, struct err *e)
{
    if (h->n == HOSTS_MAX)
        return err_set(e, ERR_CONFIG, "more than %d names for one certificate", (int)HOSTS_MAX);
    if (!host_ok(s))
        return err_set(e, ERR_CONFIG, "%.*s is neither a host name nor an address",
                       (int)(s.n < 80 ? s.n : 80), s.p);
    if (str_copy(h->text[h->n], sizeof h->text[0], s) < 0)
        return err_set(e, ERR_CONFIG, "a host name is too long");
    h->p[h->n] = h->text[h->n];
    h->n++;
    return 0;
}

int conf_hosts(const struct conf *c, struct hosts *out, struct err *e)
{
    struct host_port first = {.port = 0};
    struct str rest = str_of(c->extra_san);

    out->n = 0;
    if (c->name[0] != '\0' && (host_port_take(&first, str_of(c->name), e) < 0 ||
                               host_add(out, str_of(first.host), e) < 0))
        return err_in(e, "name");
    while (rest.n > 0) {
        struct str one = str_cut(&rest, ',');

        while (one.n > 0 && one.p[0] == ' ')
            one = (struct str){one.p + 1, one.n - 1};
        if (host_add(out, one, e) < 0)
            return err_in(e, "extra_san");
    }
    return 0;
}
