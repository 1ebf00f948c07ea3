#include "client/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "certs/file.h"

#define X(...) OPT_ROW(struct settings, __VA_ARGS__)
static const struct opt rows[] = {SETTINGS(X)};
#undef X

enum { IN_CONF = 1, CONF_PATH_MAX = 512 };

/* 1: it is there, or what keeps us from knowing will keep us from reading it, too; 0: there is
 * none. */
static int conf_path(char out[CONF_PATH_MAX], struct err *e)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n;

    if (xdg != NULL && xdg[0] == '/')
        n = snprintf(out, CONF_PATH_MAX, "%s/countersign/conf", xdg);
    else if (home != NULL && home[0] == '/')
        n = snprintf(out, CONF_PATH_MAX, "%s/.config/countersign/conf", home);
    else
        return 0;
    if (n < 0 || n >= CONF_PATH_MAX)
        return err_set(e, ERR_CONFIG, "the path of the configuration is too long");
    return access(out, F_OK) == 0 || errno != ENOENT;
}

int transcript_take(bool *out, const char *word, struct err *e)
{
    *out = strcmp(word, "auto") == 0;
    return *out || strcmp(word, "off") == 0
               ? 0
               : err_set(e, ERR_USAGE, "transcript is auto or off, not \"%s\"", word);
}

int settings_read(struct settings *s, struct err *e)
{
    const struct opt_table table = {rows, COUNT(rows)};
    char path[CONF_PATH_MAX];
    struct buf text;
    bool on;
    int rc = -1;

    if (opt_defaults(table, s, e) < 0)
        return -1;
    int found = conf_path(path, e);
    if (found <= 0)
        return found;
    buf_init(&text, CONF_FILE_MAX);
    if (file_read(path, FILE_PUBLIC, &text, e) < 0) {
        e->code = ERR_CONFIG;
        goto out;
    }
    struct span all = buf_span(&text);
    rc = opt_file(table, IN_CONF, s, path, str_from(all.p, all.n), e);
    if (rc == 0 && transcript_take(&on, s->transcript, e) < 0) {
        e->code = ERR_CONFIG;
        rc = err_in(e, "%s", path);
    }
out:
    buf_free(&text);
    return rc;
}
