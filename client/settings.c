#include "client/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "certs/file.h"

#define X(...) OPT_ROW(struct settings, __VA_ARGS__)
static const struct opt rows[] = {SETTINGS(X)};
#undef X

enum { IN_CONF = 1, CONF_PATH_MAX = 512 };

static bool conf_path(char out[CONF_PATH_MAX])
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (xdg != NULL && xdg[0] == '/')
        snprintf(out, CONF_PATH_MAX, "%s/countersign/conf", xdg);
    else if (home != NULL && home[0] == '/')
        snprintf(out, CONF_PATH_MAX, "%s/.config/countersign/conf", home);
    else
        return false;
    return file_exists(out);
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
    if (!conf_path(path))
        return 0;
    buf_init(&text, CONF_FILE_MAX);
    if (file_read(path, FILE_PUBLIC, &text, e) < 0)
        goto out;
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
