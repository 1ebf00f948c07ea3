#include "server/box.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct box {
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct msgs in;
    void (*wake)(void *ctx);
    void *ctx;
};

struct msg *msg_new(enum msg_kind kind, uint64_t conn)
{
    struct msg *m = calloc(1, sizeof *m);

    if (m != NULL) {
        m->kind = kind;
        m->conn = conn;
    }
    return m;
}

static void shaken_free(struct shaken *s)
{
    buf_free(&s->out);
    link_free(s->link);
    identity_unref(s->identity);
}

void msg_free(struct msg *m)
{
    if (m == NULL)
        return;
    switch (m->kind) {
    case MSG_GUEST:
        if (m->guest.fd >= 0)
            close(m->guest.fd);
        break;
    case MSG_SHAKEN: shaken_free(&m->shaken); break;
    case MSG_EFFECT: effect_drop(&m->effect); break;
    case MSG_FEED: free(m->bytes.p); break;
    case MSG_IDENTITY: identity_unref(m->identity); break;
    case MSG_DRAIN:
    case MSG_ABORT:
    case MSG_DROP:
    case MSG_STOP: break;
    }
    free(m);
}

void msgs_add(struct msgs *l, struct msg *m)
{
    m->next = NULL;
    if (l->last == NULL)
        l->first = m;
    else
        l->last->next = m;
    l->last = m;
}

struct box *box_new(void)
{
    struct box *b = calloc(1, sizeof *b);

    if (b == NULL)
        return NULL;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->some, NULL);
    return b;
}

void box_free(struct box *b)
{
    if (b == NULL)
        return;
    for (struct msg *m = box_take(b), *next; m != NULL; m = next) {
        next = m->next;
        msg_free(m);
    }
    pthread_cond_destroy(&b->some);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

void box_hook(struct box *b, void (*wake)(void *ctx), void *ctx)
{
    b->wake = wake;
    b->ctx = ctx;
}

void box_put_all(struct box *b, struct msgs *l)
{
    if (l->first == NULL)
        return;
    pthread_mutex_lock(&b->lock);
    bool empty = b->in.first == NULL;
    if (empty)
        b->in.first = l->first;
    else
        b->in.last->next = l->first;
    b->in.last = l->last;
    if (empty && b->wake != NULL)
        b->wake(b->ctx);
    pthread_cond_signal(&b->some);
    pthread_mutex_unlock(&b->lock);
    *l = (struct msgs){NULL, NULL};
}

void box_put(struct box *b, struct msg *m)
{
    struct msgs l = {NULL, NULL};

    msgs_add(&l, m);
    box_put_all(b, &l);
}

static struct msg *take(struct box *b)
{
    struct msg *m = b->in.first;

    b->in = (struct msgs){NULL, NULL};
    return m;
}

struct msg *box_take(struct box *b)
{
    pthread_mutex_lock(&b->lock);
    struct msg *m = take(b);
    pthread_mutex_unlock(&b->lock);
    return m;
}

struct msg *box_wait(struct box *b)
{
    pthread_mutex_lock(&b->lock);
    while (b->in.first == NULL)
        pthread_cond_wait(&b->some, &b->lock);
    struct msg *m = take(b);
    pthread_mutex_unlock(&b->lock);
    return m;
}
