/* `countersign lab`: one attack on one link, step by step in three columns; or all of them, a
 * table. The exit status is 0 when every cell is as expected, whoever wins it, and 1 when not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/command.h"
#include "client/lab.h"
#include "client/print.h"
#include "common/util/text.h"

enum { COLUMN = 38, CELL = 12 };

struct show {
    struct call *call;
    struct lab_pki ours, his;
    struct lab lab;
    unsigned unexpected;
};

/* --- one attack --- */

/* Rows as wide as their column; who speaks says which that is. */
static void on_told(void *ctx, enum lab_who who, const char *what)
{
    struct str rest = str_of(what);

    (void)ctx;
    do {
        size_t n = text_fit(rest, COLUMN - 2);
        for (size_t cut = n; n < rest.n && cut > COLUMN / 2; cut--)
            if (rest.p[cut] == ' ') { /* between words */
                n = cut;
                break;
            }
        print_line("%*s%.*s", (int)who * COLUMN, "", (int)n, rest.p);
        while (n < rest.n && rest.p[n] == ' ')
            n++;
        rest = str_from(rest.p + n, rest.n - n);
    } while (rest.n > 0);
}

static const char *word(const struct lab_outcome *o)
{
    return o->won ? "WON" : "stopped";
}

static int cell_json(enum lab_attack a, enum link_kind kind, const struct lab_outcome *o,
                     struct err *e)
{
    struct row row;

    row_begin(&row, "lab");
    row_text(&row, "attack", lab_attack_name(a));
    row_text(&row, "link", link_kind_name(kind));
    row_text(&row, "outcome", o->won ? "won" : "stopped");
    row_text(&row, "step", o->step[0] == '\0' ? NULL : o->step);
    row_text(&row, "why", o->what);
    row_text(&row, "expected", lab_expects(a, kind) ? "won" : "stopped");
    return row_end(&row, e);
}

static int attack(struct show *s, enum lab_attack a, enum link_kind kind, struct lab_outcome *o,
                  struct err *e)
{
    if (lab_run(&s->lab, a, kind, o, e) < 0)
        return err_in(e, "%s on %s", lab_attack_name(a), link_kind_name(kind));
    s->unexpected += o->won != lab_expects(a, kind);
    return s->call->json ? cell_json(a, kind, o, e) : 0;
}

static int show_one(struct show *s, enum lab_attack a, enum link_kind kind, struct err *e)
{
    struct lab_outcome o;

    if (!s->call->json) {
        s->lab.tell = on_told;
        print_line("%s on %s: he %s", lab_attack_name(a), link_kind_name(kind), lab_attack_does(a));
        print_line("%-*s%-*s%s", COLUMN, "client", COLUMN, "attacker", "relay");
    }
    if (attack(s, a, kind, &o, e) < 0)
        return -1;
    if (s->call->json)
        return 0;
    if (o.won)
        print_line("WON: %s", o.what);
    else
        print_line("stopped%s%s: %s", o.step[0] != '\0' ? " after " : "", o.step, o.what);
    return print_flush(e);
}

/* --- all of them --- */

static int show_row(struct show *s, enum lab_attack a, struct err *e)
{
    char line[CELL * (LINK_KIND_COUNT + 1) + 1];
    struct wr w = wr_of(line, sizeof line);
    int n = snprintf(line, sizeof line, "%-*s", CELL, lab_attack_name(a));

    w.len = n > 0 ? (size_t)n : 0;
    for (enum link_kind k = 0; k < LINK_KIND_COUNT; k++) {
        struct lab_outcome o;
        if (attack(s, a, k, &o, e) < 0)
            return -1;
        bool last = k + 1 == LINK_KIND_COUNT;
        n = snprintf(line + w.len, sizeof line - w.len, "%-*s%s", last ? 0 : CELL - 1, word(&o),
                     last ? "" : " ");
        w.len += n > 0 ? (size_t)n : 0;
    }
    if (!s->call->json)
        print_line("%s", line);
    return print_flush(e);
}

static int show_all(struct show *s, struct err *e)
{
    if (!s->call->json) {
        char line[CELL * (LINK_KIND_COUNT + 1) + 1] = "";
        size_t at = (size_t)snprintf(line, sizeof line, "%-*s", CELL, "");
        for (enum link_kind k = 0; k < LINK_KIND_COUNT; k++)
            at += (size_t)snprintf(line + at, sizeof line - at, "%-*s",
                                   k + 1 == LINK_KIND_COUNT ? 0 : CELL, link_kind_name(k));
        print_line("%s", line);
    }
    for (enum lab_attack a = 0; a < LAB_ATTACK_COUNT; a++)
        if (show_row(s, a, e) < 0)
            return -1;
    return 0;
}

/* --- the command --- */

static int usage(struct err *e)
{
    char names[200] = "";
    size_t at = 0;

    for (enum lab_attack a = 0; a < LAB_ATTACK_COUNT; a++)
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", a == 0 ? "" : ", ",
                               lab_attack_name(a));
    return err_set(e, ERR_USAGE, "usage: countersign lab all, or lab ATTACK --link NAME (%s)",
                   names);
}

static int run(struct show *s, struct err *e)
{
    const struct call *c = s->call;
    bool all = strcmp(c->args[0], "all") == 0;
    enum lab_attack a = LAB_MITM;

    if (all != (c->conf.link == NULL) || (!all && lab_attack_take(str_of(c->args[0]), &a) < 0))
        return usage(e);
    const struct rng rng = rng_system();
    if (lab_pki_make(&s->ours, &rng, e) < 0 || lab_pki_make(&s->his, &rng, e) < 0)
        return -1;
    if ((all ? show_all(s, e) : show_one(s, a, c->link, e)) < 0)
        return -1;
    return s->unexpected == 0
               ? 0
               : err_set(e, ERR_UNEXPECTED, "%u of these are not as expected", s->unexpected);
}

int command_lab(struct call *c, struct err *e)
{
    struct show *s = calloc(1, sizeof *s);
    int ret = -1;

    if (s == NULL)
        return err_set(e, ERR_OS, "no memory");
    s->call = c;
    s->lab = (struct lab){.ours = &s->ours, .his = &s->his};
    ret = c->args_n == 1 ? run(s, e) : usage(e);
    lab_pki_wipe(&s->ours);
    lab_pki_wipe(&s->his);
    free(s);
    return ret;
}
