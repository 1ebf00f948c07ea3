#include "server/gate.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/table.h"

struct from { /* a source with newcomers */
    struct source who;
    unsigned n;
    UT_hash_handle hh;
};

struct gate {
    pthread_mutex_t lock;
    struct gate_limits limits;
    struct rng rng;
    unsigned conns, newcomers;
    struct from *sources;
};

const char *gate_word(enum gate_verdict v)
{
    static const char *const words[] = {
        [GATE_IN] = "in",
        [GATE_FULL] = "max-conns",
        [GATE_BUSY] = "handshakes",
        [GATE_SOURCE] = "per-source",
        [GATE_EARLY] = "early-drop",
    };
    return words[v];
}

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void source_of(const struct sockaddr_storage *a, struct source *out, char text[INET6_ADDRSTRLEN])
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)a;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)a;

    memset(out, 0, sizeof *out);
    memcpy(text, "?", 2);
    if (a->ss_family == AF_INET) {
        memcpy(out->b, mapped, sizeof mapped);
        memcpy(out->b + sizeof mapped, &four->sin_addr, 4);
        inet_ntop(AF_INET, &four->sin_addr, text, INET6_ADDRSTRLEN);
    } else if (a->ss_family == AF_INET6 &&
               memcmp(six->sin6_addr.s6_addr, mapped, sizeof mapped) == 0) {
        memcpy(out->b, six->sin6_addr.s6_addr, 16);
        inet_ntop(AF_INET, out->b + sizeof mapped, text, INET6_ADDRSTRLEN);
    } else if (a->ss_family == AF_INET6) {
        memcpy(out->b, six->sin6_addr.s6_addr, 8);
        inet_ntop(AF_INET6, &six->sin6_addr, text, INET6_ADDRSTRLEN);
    }
}

struct gate *gate_new(const struct gate_limits *l, const struct rng *r)
{
    struct gate *g = calloc(1, sizeof *g);

    if (g == NULL)
        return NULL;
    pthread_mutex_init(&g->lock, NULL);
    g->limits = *l;
    g->rng = *r;
    return g;
}

void gate_free(struct gate *g)
{
    struct from *f, *next;

    if (g == NULL)
        return;
    HASH_ITER(hh, g->sources, f, next) {
        HASH_DEL(g->sources, f);
        free(f);
    }
    pthread_mutex_destroy(&g->lock);
    free(g);
}

void gate_limits(struct gate *g, const struct gate_limits *l)
{
    pthread_mutex_lock(&g->lock);
    g->limits = *l;
    pthread_mutex_unlock(&g->lock);
}

/* The nearer to the limit, the likelier; never below half of it. */
static bool unlucky(const struct gate *g)
{
    unsigned half = g->limits.newcomers / 2, over = g->newcomers - half;
    uint16_t draw;

    if (g->newcomers < half || rng_fill(&g->rng, &draw, sizeof draw) < 0)
        return false;
    return draw % (g->limits.newcomers - half) < over;
}

static enum gate_verdict judge(const struct gate *g, const struct from *f)
{
    if (g->conns >= g->limits.conns)
        return GATE_FULL;
    if (f != NULL && f->n >= g->limits.per_source)
        return GATE_SOURCE;
    if (g->newcomers >= g->limits.newcomers)
        return GATE_BUSY;
    return unlucky(g) ? GATE_EARLY : GATE_IN;
}

static struct from *find(struct gate *g, const struct source *s)
{
    struct from *f;

    HASH_FIND(hh, g->sources, s, sizeof *s, f);
    return f;
}

static bool add(struct gate *g, struct from *f, const struct source *s)
{
    if (f == NULL) {
        f = calloc(1, sizeof *f);
        if (f == NULL)
            return false;
        f->who = *s;
        HASH_ADD(hh, g->sources, who, sizeof f->who, f);
        if (!HASH_ADDED(hh, f)) {
            free(f);
            return false;
        }
    }
    f->n++;
    g->newcomers++;
    g->conns++;
    return true;
}

enum gate_verdict gate_enter(struct gate *g, const struct source *s)
{
    pthread_mutex_lock(&g->lock);
    struct from *f = find(g, s);
    enum gate_verdict v = judge(g, f);
    if (v == GATE_IN && !add(g, f, s))
        v = GATE_FULL;
    pthread_mutex_unlock(&g->lock);
    return v;
}

static void known(struct gate *g, const struct source *s)
{
    struct from *f = find(g, s);

    g->newcomers--;
    if (f != NULL && --f->n == 0) {
        HASH_DEL(g->sources, f);
        free(f);
    }
}

void gate_proven(struct gate *g, const struct source *s)
{
    pthread_mutex_lock(&g->lock);
    known(g, s);
    pthread_mutex_unlock(&g->lock);
}

void gate_leave(struct gate *g, const struct source *s, bool proven)
{
    pthread_mutex_lock(&g->lock);
    if (!proven)
        known(g, s);
    g->conns--;
    pthread_mutex_unlock(&g->lock);
}

void gate_counts(struct gate *g, struct gate_counts *out)
{
    pthread_mutex_lock(&g->lock);
    *out = (struct gate_counts){g->conns, g->newcomers, HASH_COUNT(g->sources)};
    pthread_mutex_unlock(&g->lock);
}
