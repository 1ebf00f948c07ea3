/* One table is struct, defaults, file, command line and help; what is wrong is refused with its
 * place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/util/opt.h"

enum { IN_FILE = 1, IN_ARGS = 2 };

#define OPTS(X)                                                                                    \
    X(name, TEXT, "relay", 1, 10, IN_FILE | IN_ARGS, "NAME", "who we are")                         \
    X(max_conns, NUMBER, "100", 1, 1000, IN_FILE | IN_ARGS, "N", "at most")                        \
    X(loud, FLAG, "false", 0, 0, IN_FILE | IN_ARGS, "", "say more")                                \
    X(for_, TEXT, "", 0, 0, IN_ARGS, "NAME", "whom")                                               \
    X(secret, NUMBER, "7", 0, 9, IN_FILE, "N", "in files alone")

struct conf {
    OPT_STRUCT(OPTS)
};

#define X(...) OPT_ROW(struct conf, __VA_ARGS__)
static const struct opt rows[] = {OPTS(X)};
#undef X

static const struct opt_table table = {rows, COUNT(rows)};

static struct conf fresh(void)
{
    struct err e = {0};
    struct conf c;

    memset(&c, 0xa5, sizeof c);
    assert_int_equal(opt_defaults(table, &c, &e), 0);
    return c;
}

static void defaults(void **state)
{
    struct conf c = fresh();
    (void)state;

    assert_string_equal(c.name, "relay");
    assert_int_equal(c.max_conns, 100);
    assert_false(c.loud);
    assert_string_equal(c.for_, "");
    assert_int_equal(c.secret, 7);
}

static const struct {
    const char *text, *why; /* why NULL: accepted */
} files[] = {
    {"", NULL},
    {"\n\n# only a comment\n", NULL},
    {"max_conns = 1000", NULL},
    {"max-conns=1\n", NULL},
    {"  max_conns\t=  7  \r\n", NULL},
    {"loud = true\nname = x\nsecret = 0\n", NULL},
    {"name = a = b", NULL},
    {"max_conns = 1001", "F:1: max_conns"},
    {"max_conns = 0", "F:1: max_conns"},
    {"max_conns = -1", "F:1: max_conns"},
    {"max_conns = +1", "F:1: max_conns"},
    {"max_conns = 01", "F:1: max_conns"},
    {"max_conns = 1e2", "F:1: max_conns"},
    {"max_conns = 99999999999999999999999", "F:1: max_conns"},
    {"max_conns =", "F:1: max_conns"},
    {"# x\n\nmax_conns = y", "F:3: max_conns"},
    {"max_conns", "F:1: want NAME = VALUE"},
    {"= 3", "F:1: unknown option"},
    {"max_con = 3", "F:1: unknown option max_con"},
    {"max_connss = 3", "F:1: unknown option max_connss"},
    {"for = x", "F:1: unknown option for"},
    {"loud = yes", "F:1: loud"},
    {"loud = TRUE", "F:1: loud"},
    {"loud", "F:1: want NAME = VALUE"},
    {"name =", "F:1: name"},
    {"name = elevenbytes", "F:1: name"},
    {"name = a\x01", "F:1: name: a control byte"},
    {"name = a\x1b[2J", "F:1: name: a control byte"},
    {"name = a\nname = b", "F:2: name is given twice"},
    {"name = a\nmax_conns = 1\nname = a", "F:3: name is given twice"},
};

static void file_cases(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT(files); i++) {
        struct conf c = fresh();
        struct err e = {0};
        int r = opt_file(table, IN_FILE, &c, "F", str_of(files[i].text), &e);

        if (files[i].why == NULL && r < 0)
            fail_msg("%s: %s", files[i].text, e.text);
        if (files[i].why != NULL && (r == 0 || strstr(e.text, files[i].why) != e.text))
            fail_msg("%s: %s", files[i].text, r == 0 ? "accepted" : e.text);
        if (r < 0)
            assert_int_equal(e.code, ERR_CONFIG);
    }
}

static void file_sets(void **state)
{
    struct conf c = fresh();
    struct err e = {0};
    (void)state;

    assert_int_equal(opt_file(table, IN_FILE, &c, "F",
                              str_of("name = a b\nmax-conns=12\nloud = true\nsecret = 3"), &e),
                     0);
    assert_string_equal(c.name, "a b");
    assert_int_equal(c.max_conns, 12);
    assert_true(c.loud);
    assert_int_equal(c.secret, 3);
}

static const struct {
    const char *argv[6];
    int left; /* -1: refused */
    const char *why;
} lines[] = {
    {{NULL}, 0, NULL},
    {{"a", "b", NULL}, 2, NULL},
    {{"a", "--loud", "b", NULL}, 2, NULL},
    {{"--max-conns", "5", "a", NULL}, 1, NULL},
    {{"--max_conns=5", NULL}, 0, NULL},
    {{"--for", "x", NULL}, 0, NULL},
    {{"--for=x", "-", NULL}, 1, NULL},
    {{"--", "--loud", "-x", NULL}, 2, NULL},
    {{"--name", "--loud", NULL}, 0, NULL}, /* a value may look like an option */
    {{"--max-conns", NULL}, -1, "--max-conns needs a value"},
    {{"--max-conns", "5x", NULL}, -1, "max_conns"},
    {{"--max-conns=", NULL}, -1, "max_conns"},
    {{"--loud=true", NULL}, -1, "--loud takes no value"},
    {{"--lou", NULL}, -1, "unknown option --lou"},
    {{"--secret", "3", NULL}, -1, "unknown option --secret"},
    {{"--for_", "x", NULL}, -1, "unknown option --for_"},
    {{"-l", NULL}, -1, "unknown option -l"},
    {{"--=", NULL}, -1, "unknown option --"},
};

static void line_cases(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT(lines); i++) {
        struct conf c = fresh();
        struct err e = {0};
        char words[6][32], *argv[6];
        int argc = 0, left = -1;

        for (; lines[i].argv[argc] != NULL; argc++) {
            assert_int_equal(str_copy(words[argc], 32, str_of(lines[i].argv[argc])), 0);
            argv[argc] = words[argc];
        }
        int r = opt_args(table, IN_ARGS, &c, argc, argv, &left, &e);
        if (lines[i].left < 0 && (r == 0 || strstr(e.text, lines[i].why) != e.text))
            fail_msg("case %zu: %s", i, r == 0 ? "accepted" : e.text);
        if (lines[i].left >= 0 && (r < 0 || left != lines[i].left))
            fail_msg("case %zu: %d left, %s", i, left, e.text);
        if (r < 0)
            assert_int_equal(e.code, ERR_USAGE);
    }
}

static void order_is_kept(void **state)
{
    char a[] = "first", o[] = "--loud", b[] = "second", dd[] = "--", c3[] = "--third";
    char *argv[] = {a, o, b, dd, c3};
    struct conf c = fresh();
    struct err e = {0};
    int left;
    (void)state;

    assert_int_equal(opt_args(table, IN_ARGS, &c, 5, argv, &left, &e), 0);
    assert_int_equal(left, 3);
    assert_ptr_equal(argv[0], a);
    assert_ptr_equal(argv[1], b);
    assert_ptr_equal(argv[2], c3);
    assert_true(c.loud);
}

/* The sample file, with its values uncommented, is a file that is accepted. */
static void sample_is_a_file(void **state)
{
    struct conf c = fresh();
    struct err e = {0};
    struct buf b;
    (void)state;

    buf_init(&b, 8192);
    opt_sample(table, IN_FILE, &b);
    struct span s = buf_span(&b);
    for (size_t i = 0; i + 1 < s.n; i++) /* "#name = ...", not "# help" */
        if (b.p[b.off + i] == '#' && b.p[b.off + i + 1] != ' ')
            b.p[b.off + i] = ' ';
    assert_int_equal(opt_file(table, IN_FILE, &c, "F", str_from(s.p, s.n), &e), 0);
    assert_int_equal(c.max_conns, 100);
    buf_free(&b);
}

static void help_names_what_may_stand_there(void **state)
{
    struct buf b;
    (void)state;

    buf_init(&b, 8192);
    opt_help(table, IN_ARGS, &b);
    assert_int_equal(buf_add(&b, "", 1), 0);
    const char *text = (const char *)buf_span(&b).p;
    assert_non_null(strstr(text, "--max-conns N"));
    assert_non_null(strstr(text, "[100]"));
    assert_non_null(strstr(text, "--for NAME"));
    assert_null(strstr(text, "--secret"));
    assert_null(strstr(text, "for_"));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(file_cases),
        cmocka_unit_test(file_sets),
        cmocka_unit_test(line_cases),
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(sample_is_a_file),
        cmocka_unit_test(help_names_what_may_stand_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
