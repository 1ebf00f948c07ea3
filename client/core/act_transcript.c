/* /transcript: what was said in this room, for somebody who was not there. */
#include <stdio.h>
#include <string.h>

#include "client/core/act_inner.h"

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

void act_transcript(struct act *a, struct str what, struct str file, struct str hide)
{
    char path[512];

    if (!str_is(what, "export") || file.n == 0)
        model_say(a->m, NULL, "usage: /transcript export FILE [N,...]");
    else if (str_copy(path, sizeof path, file) < 0)
        model_say(a->m, NULL, "nothing was exported: the name of the file is too long");
    else
        export_room(a, path, hide);
}
