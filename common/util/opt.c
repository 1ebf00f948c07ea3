#include "common/util/opt.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Where a value came from, for the sentence. */
struct origin {
    enum err_code code;
    const char *file; /* NULL: the command line */
    unsigned line;
};

static int fault(struct err *e, const struct origin *o, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int fault(struct err *e, const struct origin *o, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (o->file == NULL)
        return err_set(e, o->code, "%s", text);
    return err_set(e, o->code, "%s:%u: %s", o->file, o->line, text);
}

/* --- names: max_conns in a file is --max-conns on a command line --- */

static char dash(char c)
{
    return c == '_' ? '-' : c;
}

static bool name_same(const char *name, struct str s)
{
    size_t n = strlen(name);

    if (n > 0 && name[n - 1] == '_') /* a member that C would take for a keyword */
        n--;
    if (n != s.n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (dash(name[i]) != dash(s.p[i]))
            return false;
    return true;
}

static const struct opt *find(struct opt_table t, unsigned in, struct str name)
{
    for (const struct opt *o = t.rows; o < t.rows + t.n; o++)
        if ((o->in & in) != 0 && name_same(o->name, name))
            return o;
    return NULL;
}

/* --- values --- */

static int text_take(const struct opt *o, char *to, struct str v, struct err *e,
                     const struct origin *from)
{
    uint64_t max = o->max == 0 ? OPT_TEXT_MAX - 1 : o->max;

    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f)
            return fault(e, from, "%s: a control byte", o->name);
    if (v.n < o->min || v.n > max || str_copy(to, OPT_TEXT_MAX, v) < 0)
        return fault(e, from, "%s: %" PRIu64 " to %" PRIu64 " bytes are allowed", o->name, o->min,
                     max);
    return 0;
}

static int number_take(const struct opt *o, uint64_t *to, struct str v, struct err *e,
                       const struct origin *from)
{
    uint64_t got;

    if (str_u64(v, o->max, &got) < 0 || got < o->min)
        return fault(e, from, "%s: want a number from %" PRIu64 " to %" PRIu64, o->name, o->min,
                     o->max);
    *to = got;
    return 0;
}

static int flag_take(const struct opt *o, bool *to, struct str v, struct err *e,
                     const struct origin *from)
{
    if (!str_is(v, "true") && !str_is(v, "false"))
        return fault(e, from, "%s: want true or false", o->name);
    *to = str_is(v, "true");
    return 0;
}

static int value_take(const struct opt *o, void *conf, struct str v, struct err *e,
                      const struct origin *from)
{
    void *to = (char *)conf + o->at;

    switch (o->kind) {
    case OPT_TEXT: return text_take(o, to, v, e, from);
    case OPT_NUMBER: return number_take(o, to, v, e, from);
    case OPT_FLAG: return flag_take(o, to, v, e, from);
    }
    return err_set(e, ERR_LOCAL, "an option of no kind");
}

int opt_defaults(struct opt_table t, void *conf, struct err *e)
{
    struct origin from = {ERR_LOCAL, "defaults", 0};

    for (size_t i = 0; i < t.n; i++) {
        struct str v = str_of(t.rows[i].def);

        from.line++;
        if (t.rows[i].kind == OPT_TEXT && v.n == 0)
            *((char *)conf + t.rows[i].at) = '\0'; /* not given */
        else if (value_take(&t.rows[i], conf, v, e, &from) < 0)
            return -1;
    }
    return 0;
}

/* --- the file --- */

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct str trim(struct str s)
{
    while (s.n > 0 && blank(s.p[0]))
        s = (struct str){s.p + 1, s.n - 1};
    while (s.n > 0 && blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

static int line_take(struct opt_table t, unsigned in, void *conf, struct str line, uint64_t *seen,
                     const struct origin *from, struct err *e)
{
    struct str value = line, name = trim(str_cut(&value, '='));

    if (value.p == NULL)
        return fault(e, from, "want NAME = VALUE");
    const struct opt *o = find(t, in, name);
    if (o == NULL)
        return fault(e, from, "unknown option %.*s", (int)(name.n < 40 ? name.n : 40), name.p);
    size_t bit = (size_t)(o - t.rows);
    if (bit < 64 && (*seen & (UINT64_C(1) << bit)) != 0)
        return fault(e, from, "%s is given twice", o->name);
    if (bit < 64)
        *seen |= UINT64_C(1) << bit;
    return value_take(o, conf, trim(value), e, from);
}

int opt_file(struct opt_table t, unsigned in, void *conf, const char *name, struct str text,
             struct err *e)
{
    struct origin from = {ERR_CONFIG, name, 0};
    uint64_t seen = 0;

    while (text.n > 0) {
        struct str line = trim(str_cut(&text, '\n'));

        from.line++;
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (line_take(t, in, conf, line, &seen, &from, e) < 0)
            return -1;
    }
    return 0;
}

/* --- the command line --- */

/* The option that -x is short for. */
static const struct opt *find_letter(struct opt_table t, unsigned in, const char *arg)
{
    for (const struct opt *o = t.rows; o < t.rows + t.n; o++)
        if ((o->in & in) != 0 && (o->in & OPT_LETTER) != 0 && o->name[0] == arg[1] &&
            arg[2] == '\0')
            return o;
    return NULL;
}

/* One option at argv[*i]; *i ends on its last word. */
static int arg_take(struct opt_table t, unsigned in, void *conf, int argc, char **argv, int *i,
                    struct err *e)
{
    static const struct origin from = {ERR_USAGE, NULL, 0};
    bool whole = argv[*i][1] == '-';
    struct str value = str_of(whole ? argv[*i] + 2 : NULL), name = str_cut(&value, '=');
    const struct opt *o = whole ? find(t, in, name) : find_letter(t, in, argv[*i]);

    if (o == NULL && !whole)
        return fault(e, &from, "unknown option %.40s", argv[*i]);
    if (!whole)
        name = str_of(o->name);
    if (o == NULL)
        return fault(e, &from, "unknown option --%.*s", (int)(name.n < 40 ? name.n : 40), name.p);
    if (o->kind == OPT_FLAG && value.p != NULL)
        return fault(e, &from, "--%.*s takes no value", (int)name.n, name.p);
    if (o->kind == OPT_FLAG)
        return value_take(o, conf, str_of("true"), e, &from);
    if (value.p == NULL) {
        if (*i + 1 >= argc)
            return fault(e, &from, "--%.*s needs a value", (int)name.n, name.p);
        value = str_of(argv[++*i]);
    }
    return value_take(o, conf, value, e, &from);
}

int opt_args(struct opt_table t, unsigned in, void *conf, int argc, char **argv, int *left,
             struct err *e)
{
    bool options = true;

    *left = 0;
    for (int i = 0; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
            if (arg_take(t, in, conf, argc, argv, &i, e) < 0)
                return -1;
        } else {
            argv[(*left)++] = argv[i];
        }
    }
    return 0;
}

/* --- help --- */

static void put(struct buf *out, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct buf *out, const char *fmt, ...)
{
    char text[OPT_TEXT_MAX + 256];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n > 0 && buf_add(out, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1) < 0)
        return; /* help that does not fit is cut at a line */
}

/* "--max-conns N" */
static void option_name(char out[OPT_TEXT_MAX], const struct opt *o)
{
    size_t n = strlen(o->name);

    if (o->name[n - 1] == '_')
        n--;
    int len = snprintf(out, OPT_TEXT_MAX, "--%.*s", (int)n, o->name);
    for (int i = 2; i < len; i++)
        out[i] = dash(out[i]);
    if (o->kind != OPT_FLAG && len > 0)
        snprintf(out + len, OPT_TEXT_MAX - (size_t)len, " %s", o->arg);
}

void opt_help(struct opt_table t, unsigned in, struct buf *out)
{
    char left[OPT_TEXT_MAX];

    for (size_t i = 0; i < t.n; i++) {
        const struct opt *o = &t.rows[i];

        if ((o->in & in) == 0)
            continue;
        option_name(left, o);
        bool shown = o->kind != OPT_FLAG && o->def[0] != '\0';
        put(out, "  %-22s %s%s%s%s\n", left, o->help, shown ? " [" : "", shown ? o->def : "",
            shown ? "]" : "");
    }
}

void opt_sample(struct opt_table t, unsigned in, struct buf *out)
{
    for (size_t i = 0; i < t.n; i++)
        if ((t.rows[i].in & in) != 0)
            put(out, "# %s\n#%s = %s\n\n", t.rows[i].help, t.rows[i].name, t.rows[i].def);
}
