/* The table of commands: its order, what a line means, what is never run. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/core/commands.h"
#include "common/util/err.h"

enum { ALL = NEED_ONLINE | NEED_ROOM | NEED_NAME };

static void test_table(void **state)
{
    size_t n;
    const struct command *c = command_table(&n);

    (void)state;
    assert_int_equal(n, CMD_COUNT);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(c[i].id, i);
        assert_true(i == 0 || strcmp(c[i - 1].name, c[i].name) < 0);
        assert_true(strlen(c[i].help) > 0 && strlen(c[i].name) + strlen(c[i].args) < 40);
        for (const char *p = c[i].name; *p != '\0'; p++)
            assert_true(islower(*p));
    }
}

static const struct {
    const char *line;
    bool pasted;
    unsigned have;
    int kind;
    int id; /* -1: no command */
    const char *rest;
    const char *why;
} cases[] = {
    {"hello", false, ALL, LINE_TEXT, -1, "hello", "text"},
    {"hello", true, ALL, LINE_TEXT, -1, "hello", "pasted text is text"},
    {"//etc/passwd", false, ALL, LINE_TEXT, -1, "/etc/passwd", "a leading slash"},
    {"//quit", true, ALL, LINE_TEXT, -1, "/quit", "a leading slash, pasted"},
    {" /quit", false, ALL, LINE_TEXT, -1, " /quit", "a space before it: text"},
    {"a\n/quit", true, ALL, LINE_TEXT, -1, "a\n/quit", "a command in a later line is text"},
    {"/quit", false, 0, LINE_COMMAND, CMD_QUIT, "", "a command"},
    {"/q", false, 0, LINE_COMMAND, CMD_QUIT, "", "a unique beginning"},
    {"/w 3", false, 0, LINE_COMMAND, CMD_W, "3", "a whole name that also begins another"},
    {"/wh", false, ALL, LINE_COMMAND, CMD_WHY, "", "the other one"},
    {"/join  lab ", false, ALL, LINE_COMMAND, CMD_JOIN, "lab", "spaces around arguments"},
    {"/msg bob a\nb", false, ALL, LINE_COMMAND, CMD_MSG, "bob a\nb", "newlines in a text"},
    {"/verify bob AB CD", false, NEED_NAME, LINE_COMMAND, CMD_VERIFY, "bob AB CD",
     "argument may be pasted"},
    {"/quit", true, ALL, LINE_ERROR, -1, NULL, "pasted"},
    {"/verify bob AB", true, ALL, LINE_ERROR, -1, NULL, "pasted whole"},
    {"/quit\nyes", true, ALL, LINE_ERROR, -1, NULL, "pasted with more lines"},
    {"/", false, ALL, LINE_ERROR, -1, NULL, "no name: which one?"},
    {"/in", false, ALL, LINE_ERROR, -1, NULL, "inspect or invite?"},
    {"/frobnicate", false, ALL, LINE_ERROR, -1, NULL, "unknown"},
    {"/Quit", false, ALL, LINE_ERROR, -1, NULL, "names are lower case"},
    {"/quitx", false, ALL, LINE_ERROR, -1, NULL, "longer than the name"},
    {"/join", false, ALL, LINE_ERROR, -1, NULL, "an argument is missing"},
    {"/quit now", false, ALL, LINE_ERROR, -1, NULL, "an argument too many"},
    {"/join lab", false, NEED_NAME | NEED_ROOM, LINE_ERROR, -1, NULL, "not online"},
    {"/leave", false, NEED_NAME | NEED_ONLINE, LINE_ERROR, -1, NULL, "no room"},
    {"/join lab", false, NEED_ONLINE | NEED_ROOM, LINE_ERROR, -1, NULL, "a guest"},
    {"/me", false, NEED_ONLINE | NEED_ROOM, LINE_ERROR, -1, NULL, "a guest is nobody"},
    {"/quit", false, 0, LINE_COMMAND, CMD_QUIT, "", "who may leave needs nothing"},
};

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct command_line c;
        command_read(str_of(cases[i].line), cases[i].pasted, cases[i].have, &c);
        if ((int)c.kind != cases[i].kind)
            print_error("%s: %s\n", cases[i].why, cases[i].line);
        assert_int_equal(c.kind, cases[i].kind);
        if (c.kind == LINE_ERROR) {
            assert_true(strlen(c.error) > 0);
            continue;
        }
        if (c.kind == LINE_COMMAND)
            assert_int_equal(c.cmd->id, cases[i].id);
        assert_true(str_is(c.rest, cases[i].rest));
    }
}

static void test_errors_help(void **state)
{
    struct command_line c;

    (void)state;
    command_read(str_of("/in"), false, ALL, &c);
    assert_non_null(strstr(c.error, "/inspect"));
    assert_non_null(strstr(c.error, "/invite"));
    command_read(str_of("/join"), false, ALL, &c);
    assert_non_null(strstr(c.error, "usage: /join ROOM"));
    command_read(str_of("/leave"), false, NEED_NAME, &c);
    assert_non_null(strstr(c.error, "/join ROOM"));
}

/* Every beginning that only one command has runs it; every other one is an error. */
static void test_beginnings(void **state)
{
    size_t n;
    const struct command *table = command_table(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 1; k <= strlen(table[i].name); k++) {
            char line[40] = "/";
            size_t at = 0, hits = 0;
            struct command_line c;
            strncat(line, table[i].name, k);
            while (command_next(str_of(line + 1), &at) != NULL)
                hits++;
            bool whole = k == strlen(table[i].name);
            command_read(str_of(line), false, ALL, &c);
            assert_true((c.cmd != NULL) == (hits == 1 || whole) || c.cmd != NULL);
            if (whole || hits == 1)
                assert_int_equal(c.cmd->id, i);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_errors_help),
        cmocka_unit_test(test_beginnings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
