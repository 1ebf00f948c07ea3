#include "client/core/commands.h"

#include <stdio.h>
#include <string.h>

#define X(id, name, args, help, need) {CMD_##id, name, args, help, need},
static const struct command table[] = {COMMANDS(X)};
#undef X

const struct command *command_table(size_t *n)
{
    *n = COUNT(table);
    return table;
}

const struct command *command_next(struct str start, size_t *at)
{
    for (; *at < COUNT(table); ++*at) {
        const struct command *c = &table[*at];
        if (strlen(c->name) >= start.n && memcmp(c->name, start.p, start.n) == 0) {
            ++*at;
            return c;
        }
    }
    return NULL;
}

/* Appends to the sentence what fits. */
static void add(struct command_line *out, const char *a, const char *b)
{
    size_t n = strlen(out->error);

    snprintf(out->error + n, sizeof out->error - n, "%s%s", a, b);
}

static void fail(struct command_line *out, const char *why)
{
    out->kind = LINE_ERROR;
    out->error[0] = '\0';
    add(out, why, "");
}

/* The command of that name, or the only one that begins so. */
static const struct command *find(struct str word, struct command_line *out)
{
    const struct command *found = NULL;
    size_t at = 0;
    unsigned hits = 0;

    for (const struct command *c; (c = command_next(word, &at)) != NULL; hits++) {
        if (strlen(c->name) == word.n)
            return c;
        found = hits == 0 ? c : found;
    }
    if (hits == 1)
        return found;
    fail(out, hits == 0 ? "no such command: /help lists them, // sends a text that begins with /"
                        : "which one? ");
    at = 0;
    for (const struct command *c; hits > 1 && (c = command_next(word, &at)) != NULL;)
        add(out, " /", c->name);
    return NULL;
}

static struct str trimmed(struct str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\n' || s.p[0] == '\t'))
        s = str_from(s.p + 1, s.n - 1);
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* The first need that is not met, in words. */
static const char *lacking(const struct command *c, struct str rest, unsigned have)
{
    if ((c->need & NEED_NAME) != 0 && (have & NEED_NAME) == 0)
        return "a guest has no account, and classic no rooms, persons or certificates";
    if ((c->need & NEED_ROOM) != 0 && (have & NEED_ROOM) == 0)
        return "this window is no room: /join ROOM or /msg NAME first";
    if ((c->need & NEED_ARG) != 0 && rest.n == 0)
        return "more is needed";
    if ((c->need & NEED_ONLINE) != 0 && (have & NEED_ONLINE) == 0)
        return "not connected: /connect first";
    if (c->args[0] == '\0' && rest.n > 0)
        return "nothing may follow it";
    return NULL;
}

void command_read(struct str line, bool pasted, unsigned have, struct command_line *out)
{
    size_t n = 1;

    *out = (struct command_line){.kind = LINE_TEXT, .rest = line};
    if (line.n == 0 || line.p[0] != '/')
        return;
    if (line.n > 1 && line.p[1] == '/') {
        out->rest = str_from(line.p + 1, line.n - 1);
        return;
    }
    if (pasted) {
        fail(out, "pasted, so not run: type the command's name yourself, or put another / before "
                  "it to send it as text");
        return;
    }
    while (n < line.n && line.p[n] != ' ' && line.p[n] != '\n')
        n++;
    out->rest = trimmed(str_from(line.p + n, line.n - n));
    out->cmd = find(str_from(line.p + 1, n - 1), out);
    if (out->cmd == NULL)
        return;
    out->kind = LINE_COMMAND;
    const char *lacks = lacking(out->cmd, out->rest, have);
    if (lacks == NULL)
        return;
    fail(out, lacks);
    add(out, ". usage: /", out->cmd->name);
    add(out, out->cmd->args[0] != '\0' ? " " : "", out->cmd->args);
}
