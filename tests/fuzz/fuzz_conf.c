/* A configuration that is accepted leaves every option within its bounds, and is accepted again. */
#include <stdlib.h>
#include <string.h>

#include "server/conf.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct opt *o, const struct conf *c)
{
    const void *at = (const char *)c + o->at;
    uint64_t n;

    if (o->kind == OPT_TEXT && memchr(at, '\0', OPT_TEXT_MAX) == NULL)
        abort();
    if (o->kind != OPT_NUMBER)
        return;
    memcpy(&n, at, sizeof n);
    if (n < o->min || n > o->max)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct opt_table t = conf_table();
    struct conf c, again;
    struct hosts h;
    struct err e = {0}, other = {0};

    if (opt_defaults(t, &c, &e) < 0 || opt_defaults(t, &again, &e) < 0)
        abort();
    int r = opt_file(t, IN_FILE, &c, "fuzz", str_from(data, size), &e);
    if (r != opt_file(t, IN_FILE, &again, "fuzz", str_from(data, size), &other) ||
        strcmp(e.text, other.text) != 0 || (r == 0) != (e.code == ERR_NONE))
        abort();
    for (size_t i = 0; i < t.n; i++)
        check(&t.rows[i], &c);
    if (r == 0 && conf_hosts(&c, &h, &e) == 0 && h.n > HOSTS_MAX)
        abort();
    return 0;
}
