#include "server/core/job.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct shared *shared_new(struct span bytes)
{
    struct shared *s = malloc(sizeof *s + bytes.n);

    if (s == NULL)
        return NULL;
    atomic_init(&s->refs, 1);
    s->n = bytes.n;
    if (bytes.n > 0)
        memcpy(s->b, bytes.p, bytes.n);
    return s;
}

struct shared *shared_ref(struct shared *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

/* The last one to leave sees all that the others did to the frame. */
void shared_unref(struct shared *s)
{
    if (s != NULL && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        free(s);
}

struct shared *effect_frame(const struct effect *ef, bool compact)
{
    return compact && ef->compact != NULL ? ef->compact : ef->frame;
}

void effect_drop(struct effect *ef)
{
    shared_unref(ef->frame);
    shared_unref(ef->compact);
    ef->frame = ef->compact = NULL;
}

struct ahead {
    _Atomic unsigned holders;
};

struct ahead *ahead_new(void)
{
    struct ahead *a = malloc(sizeof *a);

    if (a != NULL)
        atomic_init(&a->holders, 1);
    return a;
}

struct ahead *ahead_hold(struct ahead *a)
{
    atomic_fetch_add_explicit(&a->holders, 1, memory_order_relaxed);
    return a;
}

void ahead_release(struct ahead *a)
{
    if (a != NULL && atomic_fetch_sub_explicit(&a->holders, 1, memory_order_acq_rel) == 1)
        free(a);
}

unsigned ahead_count(struct ahead *a)
{
    return atomic_load_explicit(&a->holders, memory_order_relaxed) - 1;
}

struct job *job_new(enum job_kind kind, uint64_t conn)
{
    struct job *j = calloc(1, sizeof *j);

    if (j != NULL) {
        j->kind = kind;
        j->conn = conn;
    }
    return j;
}

void jobs_add(struct jobs *l, struct job *j)
{
    j->next = NULL;
    jobs_move(l, &(struct jobs){j, j, 1});
}

void jobs_move(struct jobs *to, struct jobs *from)
{
    if (from->first == NULL)
        return;
    if (to->last == NULL)
        to->first = from->first;
    else
        to->last->next = from->first;
    to->last = from->last;
    to->n += from->n;
    *from = (struct jobs){0};
}

struct job *jobs_next(struct jobs *l)
{
    struct job *j = l->first;

    if (j == NULL)
        return NULL;
    l->first = j->next;
    l->n--;
    if (l->first == NULL)
        l->last = NULL;
    j->next = NULL;
    return j;
}

void job_free(struct job *j)
{
    if (j == NULL)
        return;
    frame_free(&j->frame);
    content_free(&j->what);
    ahead_release(j->ahead);
    shared_unref(j->text);
    shared_unref(j->sig);
    free(j->email);
    wipe(j, sizeof *j);
    free(j);
}

void jobs_free(struct jobs *l)
{
    for (struct job *j = jobs_next(l); j != NULL; j = jobs_next(l))
        job_free(j);
}
