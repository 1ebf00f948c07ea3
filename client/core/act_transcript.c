/* /transcript: what was signed in this room, judged again; and a copy for somebody who was not
 * there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/act_inner.h"
#include "common/chat/judge.h"

/* --- for somebody else --- */

static void export_said(struct act *a, const char *file, const struct engine_export *x)
{
    model_say(a->m, NULL, "%s: messages %llu to %llu, %zu without text: countersign verify", file,
              (unsigned long long)x->first, (unsigned long long)x->last, x->withheld);
}

static void export_room(struct act *a, const char *file, struct str hide)
{
    uint64_t numbers[REDACT_MAX];
    struct engine_export x = {.room = model_current(a->m)->id, .redact = numbers};
    struct buf out;
    struct err e = {0};

    buf_init(&out, BUNDLE_MAX);
    if (engine_export_hide(hide, numbers, &x.redact_n, &e) < 0 ||
        engine_export(a->g, &x, &out, &e) < 0 || a->ops->keep(a->ctx, file, buf_span(&out), &e) < 0)
        model_say(a->m, NULL, "nothing was exported: %s", e.text);
    else
        export_said(a, file, &x);
    buf_free(&out);
}

/* --- to look at --- */

/* What stands in the place of a text: of other kinds than a say what they are. */
static struct str said_of(const struct engine_entry *t, char out[MODEL_TEXT_SHORT])
{
    if (t->refused != NULL || t->voided != NULL)
        snprintf(out, MODEL_TEXT_SHORT, "(withheld: %s)",
                 t->refused != NULL ? t->refused : t->voided);
    else if (strcmp(t->kind, "say") == 0)
        return t->text;
    else
        snprintf(out, MODEL_TEXT_SHORT, "(%s%s%s)", t->kind, t->whom[0] != '\0' ? " " : "",
                 t->whom);
    return str_of(out);
}

void line_shown(const struct engine_line *l, struct shown_line *out)
{
    const struct engine_entry *t = l->entry;

    *out = (struct shown_line){
        .number = t->number,
        .seq = t->seq,
        .time = (int64_t)t->time,
        .sent = (int64_t)t->sent,
        .fp = t->fp,
        .hash = l->hash,
        .prev = l->prev,
        .sig_bytes = l->sig_bytes,
        .body_bytes = l->body_bytes,
        .is_signed = t->is_signed,
        .good = t->is_signed && t->refused == NULL,
    };
    model_clean(out->from, sizeof out->from, t->author);
    model_clean(out->device, sizeof out->device, t->device);
}

static int line_add(void *ctx, const struct engine_line *l)
{
    struct model *m = ctx;
    struct shown_line line;
    char text[MODEL_TEXT_SHORT];

    line_shown(l, &line);
    model_transcript_line(m, &line, said_of(l->entry, text));
    return 0;
}

static void verdict_shown(struct model *m, const struct verdict *v)
{
    struct transcript *t = &m->transcript;
    char problem[sizeof v->where + sizeof v->why.text + 4];

    t->judged = true;
    t->valid = v->consistent && v->anchored;
    snprintf(problem, sizeof problem, "%s: %s", v->where,
             v->consistent ? "it does not end in the root of this account" : v->why.text);
    if (!t->valid)
        model_clean(t->problem, sizeof t->problem, problem);
    t->first = v->first;
    t->last = v->last;
    t->withheld = v->withheld;
    t->size = v->checkpoint.tree.size;
    t->root = v->checkpoint.tree.root;
    t->signer = v->checkpoint.signer;
    model_clean(t->relay, sizeof t->relay, v->relay);
    m->conf.local(m->conf.ctx, v->checkpoint.time, &t->signed_when);
}

/* The lines shown, as a stranger would get them, before a judge who knows our root alone. */
static void transcript_judge(struct act *a)
{
    struct transcript *t = &a->m->transcript;
    struct engine_export x = {.room = t->id};
    struct verdict v;
    struct buf out;
    struct err e = {0};

    if (t->lines_n > 0)
        x.first = t->lines[0].number;
    buf_init(&out, BUNDLE_MAX);
    if (engine_export(a->g, &x, &out, &e) < 0) {
        model_clean(t->problem, sizeof t->problem, e.text);
    } else {
        judge_bundle(buf_span(&out), &(struct belief){.roots = &a->root, .roots_n = 1}, &v);
        verdict_shown(a->m, &v);
        verdict_free(&v);
    }
    buf_free(&out);
}

/* Judging copies what it judges: the newest lines, as far as that is cheap. */
static void transcript_trim(struct transcript *t)
{
    size_t from = t->lines_n, bytes = 0;

    while (from > 0 && bytes + t->lines[from - 1].body_bytes <= TRANSCRIPT_BYTES)
        bytes += t->lines[--from].body_bytes;
    for (size_t i = 0; i < from; i++)
        free(t->lines[i].text);
    t->lines_n -= from;
    memmove(t->lines, t->lines + from, t->lines_n * sizeof *t->lines);
}

static void transcript_fill(struct act *a)
{
    struct transcript *t = &a->m->transcript;
    struct err e = {0};

    if (engine_lines(a->g, &t->id, 0, TRANSCRIPT_LINES, line_add, a->m, &e) < 0)
        model_clean(t->problem, sizeof t->problem, e.text);
    if (t->lines_n > 0)
        transcript_trim(t);
    t->chosen = t->lines_n > 0 ? t->lines_n - 1 : 0;
}

void act_transcript_open(struct act *a)
{
    struct model *m = a->m;
    const struct window *w = model_current(m);
    struct room_id id = w->id;
    char name[MODEL_TEXT_SHORT];

    if (w->kind == WINDOW_STATUS || a->g == NULL) {
        snprintf(m->hint, sizeof m->hint, "nothing is signed in this window");
        return;
    }
    snprintf(name, sizeof name, "%s%.100s", window_sign(w), w->name);
    model_transcript(m, &id, name);
    transcript_fill(a);
    m->view = VIEW_TRANSCRIPT;
    m->hs_auto = false;
    if (engine_check(a->g, &id)) /* act_transcript_newer judges */
        snprintf(m->transcript.problem, sizeof m->transcript.problem,
                 "asking the relay what it has signed");
    else if (m->transcript.problem[0] == '\0')
        transcript_judge(a);
}

void act_transcript_newer(struct act *a, const struct room_id *room)
{
    struct transcript *t = &a->m->transcript;
    uint64_t chosen = t->chosen < t->lines_n ? t->lines[t->chosen].number : 0;
    struct room_id id = *room;
    char name[MODEL_TEXT_SHORT];

    if (a->m->view != VIEW_TRANSCRIPT || !room_id_same(&t->id, room))
        return;
    snprintf(name, sizeof name, "%s", t->room);
    model_transcript(a->m, &id, name);
    transcript_fill(a);
    for (size_t i = 0; i < t->lines_n; i++)
        if (t->lines[i].number == chosen)
            t->chosen = i;
    if (t->problem[0] == '\0')
        transcript_judge(a);
}

void act_transcript(struct act *a, struct str what, struct str file, struct str hide)
{
    char path[512];

    if (what.n == 0)
        act_transcript_open(a);
    else if (!str_is(what, "export") || file.n == 0)
        model_say(a->m, NULL, "usage: /transcript export FILE [N,...]");
    else if (str_copy(path, sizeof path, file) < 0)
        model_say(a->m, NULL, "nothing was exported: the name of the file is too long");
    else
        export_room(a, path, hide);
}
