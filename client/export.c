/* countersign export, prove: the room is read as recv reads it, so that the relay's checkpoint
 * covers it, and then written for others. */
#include <stdio.h>
#include <string.h>

#include "client/job.h"
#include "client/print.h"
#include "client/stamp.h"
#include "client/transcripts.h"
#include "common/util/time.h"

enum { EXPORT_S = 120 }; /* --timeout when nothing is said */

struct plan {
    struct engine_export what;
    uint64_t redact[REDACT_MAX];
};

static int plan_ready(struct job *j)
{
    const struct engine_room *r = engine_room_named(job_engine(j), str_of(j->target));
    struct plan *p = j->mode;

    if (r == NULL)
        return err_set(&j->err, ERR_INPUT, "you are in no room of that name");
    p->what.room = r->id;
    return 0;
}

static int report(struct job *j, const struct engine_export *x)
{
    struct clean name = {0}, file = {0};
    struct row row;

    if (!j->call->json) {
        print_line("%s: %s, messages %llu to %llu, %zu without text", clean(&file, j->call->output),
                   clean(&name, j->target), (unsigned long long)x->first,
                   (unsigned long long)x->last, x->withheld);
        clean_free(&name);
        clean_free(&file);
        return print_flush(&j->err);
    }
    row_begin(&row, "exported");
    row_text(&row, "file", j->call->output);
    row_text(&row, "room", j->target);
    jput_u64(&row.j, "first", x->first);
    jput_u64(&row.j, "last", x->last);
    jput_u64(&row.j, "withheld", x->withheld);
    return row_end(&row, &j->err);
}

/* The room is caught up: see job_run. */
static void plan_end(struct job *j)
{
    struct plan *p = j->mode;
    struct buf out, stamped;

    if (j->err.code != ERR_NONE || !j->ready || !j->done)
        return;
    buf_init(&out, BUNDLE_MAX);
    buf_init(&stamped, BUNDLE_MAX);
    if (j->broken)
        err_set(&j->err, ERR_PEER, "the relay's history was not accepted: nothing was written");
    else if (engine_export(job_engine(j), &p->what, &out, &j->err) == 0 &&
             (j->call->tsa == NULL ||
              stamp_archive(j->call, buf_span(&out), &stamped, &j->err) == 0) &&
             evidence_write(client_profile(j->client), j->call->output,
                            buf_span(j->call->tsa == NULL ? &out : &stamped), &j->err) == 0)
        (void)!report(j, &p->what);
    buf_free(&out);
    buf_free(&stamped);
}

static int plan_run(struct call *c, struct plan *p, struct err *e)
{
    struct job j = {
        .call = c, .at_ready = plan_ready, .at_end = plan_end, .mode = p, .quiet = true};

    if (c->output == NULL)
        return err_set(e, ERR_USAGE, "where to? -o FILE");
    j.target = c->room = c->args[0];
    c->follow = false;
    c->conf.follow = c->conf.whole = true;
    if (c->timeout_s == 0)
        c->timeout_s = EXPORT_S;
    return job_run(&j, e);
}

int command_export(struct call *c, struct err *e)
{
    struct plan p = {.what = {.redact = p.redact}};

    if (c->args_n != 1)
        return err_set(e, ERR_USAGE,
                       "usage: countersign export ROOM [--since TIME] [--until TIME] "
                       "[--redact N,...] [--tsa URL --tsa-ca FILE] -o FILE");
    if (time_option(&p.what.since, "--since", c->since, false, e) < 0 ||
        time_option(&p.what.until, "--until", c->until, true, e) < 0 ||
        engine_export_hide(str_of(c->redact), p.redact, &p.what.redact_n, e) < 0 ||
        stamp_wanted(c, e) < 0)
        return -1;
    return plan_run(c, &p, e);
}

int command_prove(struct call *c, struct err *e)
{
    struct plan p = {.what = {.first = 0}};

    if (c->args_n != 2 || str_u64(str_of(c->args[1]), EXACT_INT_MAX, &p.what.first) < 0 ||
        p.what.first == 0)
        return err_set(e, ERR_USAGE, "usage: countersign prove ROOM NUMBER -o FILE");
    p.what.last = p.what.first;
    return plan_run(c, &p, e);
}
