#include "server/notary.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/crypto/x509.h"

enum { NICE = 10 };

struct notary {
    struct pkey *key;
    struct rng rng;
    uint8_t spki[SPKI_MAX];
    size_t spki_n;
    void (*answer)(void *ctx, struct job *j);
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct jobs jobs; /* under lock, like stop */
    bool stop;
};

/* NULL: it is to end. What still waits is signed at the next start. */
static struct job *take(struct notary *n)
{
    struct job *j;

    pthread_mutex_lock(&n->lock);
    while (n->jobs.first == NULL && !n->stop)
        pthread_cond_wait(&n->some, &n->lock);
    j = n->stop ? NULL : jobs_next(&n->jobs);
    pthread_mutex_unlock(&n->lock);
    return j;
}

static void *run(void *ctx)
{
    struct notary *n = ctx;
    struct job *j;

    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE); /* of this thread alone */
    while ((j = take(n)) != NULL) {
        uint8_t sig[SIG_MAX];
        size_t sig_n;
        struct err e = {0};

        if (pkey_sign_pss(n->key, &n->rng, span_of(j->text->b, j->text->n), sig, &sig_n, &e) == 0)
            j->sig = shared_new(span_of(sig, sig_n));
        n->answer(n->ctx, j);
    }
    return NULL;
}

static void notary_free(struct notary *n)
{
    jobs_free(&n->jobs);
    pthread_cond_destroy(&n->some);
    pthread_mutex_destroy(&n->lock);
    pkey_free(n->key);
    free(n);
}

struct notary *notary_start(struct pkey *key, void (*answer)(void *ctx, struct job *j), void *ctx,
                            struct err *e)
{
    struct notary *n = calloc(1, sizeof *n);

    if (n == NULL) {
        pkey_free(key);
        err_set(e, ERR_LOCAL, "no memory for the notary");
        return NULL;
    }
    n->key = key;
    n->rng = rng_system();
    n->answer = answer;
    n->ctx = ctx;
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->some, NULL);
    if (pkey_spki(key, n->spki, &n->spki_n, e) < 0) {
        notary_free(n);
        return NULL;
    }
    if (pthread_create(&n->thread, NULL, run, n) != 0) {
        notary_free(n);
        err_set(e, ERR_OS, "no thread for the notary");
        return NULL;
    }
    return n;
}

int notary_put(struct notary *n, uint64_t ticket, struct shared *text)
{
    struct job *j = job_new(JOB_SIGNED, ticket);

    if (j == NULL)
        return -1;
    j->text = shared_ref(text);
    pthread_mutex_lock(&n->lock);
    jobs_add(&n->jobs, j);
    pthread_cond_signal(&n->some);
    pthread_mutex_unlock(&n->lock);
    return 0;
}

bool notary_holds(const struct notary *n, struct span leaf)
{
    struct err e = {0};
    struct cert *c = cert_parse(leaf, NULL, &e);
    bool same = c != NULL && span_same(cert_spki(c), span_of(n->spki, n->spki_n));

    cert_free(c);
    return same;
}

void notary_stop(struct notary *n)
{
    if (n == NULL)
        return;
    pthread_mutex_lock(&n->lock);
    n->stop = true;
    pthread_cond_signal(&n->some);
    pthread_mutex_unlock(&n->lock);
    pthread_join(n->thread, NULL);
    notary_free(n);
}
