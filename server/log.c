#include "server/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/util/time.h"
#include "server/core/source.h"
#include "server/flood.h"

struct log {
    int fd;
    pthread_mutex_t lock;
    struct flood flood;
};

int64_t clock_now(void *ctx)
{
    struct timespec t;

    (void)ctx;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

uint64_t clock_mono(void *ctx)
{
    struct timespec t;

    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int64_t clock_ticks(void)
{
    return (int64_t)(clock_mono(NULL) / 1000);
}

/* One write a line: lines of several processes on one file do not mix. A log that cannot be written
 * stops nothing. */
static void put(const struct log *l, const struct kv *k)
{
    char line[KV_LINE_MAX + TIME_TEXT + 8], at[TIME_TEXT];
    size_t n = 0, head;

    time_put(at, clock_now(NULL));
    head = strlen(at);
    memcpy(line, "time=", 5);
    memcpy(line + 5, at, head);
    n = 5 + head;
    line[n++] = ' ';
    memcpy(line + n, k->line, k->n);
    n += k->n;
    line[n++] = '\n';
    for (size_t done = 0; done < n;) {
        ssize_t r = write(l->fd, line + done, n - done);
        if (r < 0 && errno != EINTR)
            return;
        done += r > 0 ? (size_t)r : 0;
    }
}

static void report(void *ctx, const char *event, const char *source, uint64_t count)
{
    struct kv k;

    kv_event(&k, event);
    kv_text(&k, "source", source[0] == '\0' ? "any" : source);
    kv_u64(&k, "left_out", count);
    put(ctx, &k);
}

struct log *log_new(int fd)
{
    struct log *l = calloc(1, sizeof *l);

    if (l == NULL)
        return NULL;
    l->fd = fd;
    pthread_mutex_init(&l->lock, NULL);
    flood_init(&l->flood, report, l);
    return l;
}

void log_free(struct log *l)
{
    if (l == NULL)
        return;
    flood_end(&l->flood);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void log_event(struct log *l, const struct kv *k)
{
    int saved = errno;

    pthread_mutex_lock(&l->lock);
    put(l, k);
    pthread_mutex_unlock(&l->lock);
    errno = saved;
}

/* The event's name stands in front of every line. */
static void event_of(char out[FLOOD_WHAT], const struct kv *k)
{
    struct str rest = str_from(k->line, k->n), word = str_cut(&rest, ' ');

    if (str_copy(out, FLOOD_WHAT, word) < 0)
        memcpy(out, "event=?", sizeof "event=?");
    memmove(out, out + 6, strlen(out + 6) + 1);
}

bool log_from(struct log *l, const char *source, const struct kv *k)
{
    char event[FLOOD_WHAT] = "event=?", net[SOURCE_MAX + 1];
    int saved = errno;

    event_of(event, k);
    source_net(net, source);
    pthread_mutex_lock(&l->lock);
    bool pass = flood_pass(&l->flood, event, net, clock_ticks());
    if (pass)
        put(l, k);
    pthread_mutex_unlock(&l->lock);
    errno = saved;
    return pass;
}

void log_tick(struct log *l)
{
    pthread_mutex_lock(&l->lock);
    flood_tick(&l->flood, clock_ticks());
    pthread_mutex_unlock(&l->lock);
}

void log_say(struct log *l, const char *event, const char *why)
{
    struct kv k;

    kv_event(&k, event);
    kv_text(&k, "why", why);
    log_event(l, &k);
}
