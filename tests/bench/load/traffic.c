#include "tests/bench/load/traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- set up --- */

static int sender_open(struct traffic *t, unsigned i)
{
    struct sender *s = &t->senders[i];

    s->number = i;
    s->conn = &t->load->conns[i];
    s->messages = (uint32_t)(t->messages / t->senders_n);
    s->missing = calloc(s->messages, sizeof *s->missing);
    s->left_ns = calloc(s->messages, sizeof *s->left_ns);
    return s->missing == NULL || s->left_ns == NULL ? -1 : 0;
}

int traffic_open(struct load *l, struct traffic *t)
{
    const struct load_conf *conf = &l->conf;

    *t = (struct traffic){.load = l};
    t->senders_n = conf->senders < l->conns_n ? (unsigned)conf->senders : l->conns_n;
    t->receivers = l->driver->echoes ? l->conns_n : l->conns_n - 1;
    t->messages = conf->messages - conf->messages % t->senders_n;
    t->total = t->messages * t->receivers;
    t->senders = calloc(t->senders_n, sizeof *t->senders);
    l->traffic = t;
    if (t->senders == NULL || t->messages == 0 || t->receivers == 0)
        return err_set(&l->err, ERR_USAGE, "nobody would hear anything");
    for (unsigned i = 0; i < l->conns_n; i++) {
        l->conns[i].due = calloc(t->senders_n, sizeof *l->conns[i].due);
        if (l->conns[i].due == NULL)
            return err_set(&l->err, ERR_LOCAL, "no memory");
    }
    for (unsigned i = 0; i < t->senders_n; i++)
        if (sender_open(t, i) < 0)
            return err_set(&l->err, ERR_LOCAL, "no memory");
    return 0;
}

void traffic_close(struct traffic *t)
{
    for (unsigned i = 0; t->senders != NULL && i < t->senders_n; i++) {
        free(t->senders[i].missing);
        free(t->senders[i].left_ns);
    }
    for (unsigned i = 0; i < t->load->conns_n; i++)
        free(t->load->conns[i].due);
    free(t->senders);
    t->load->traffic = NULL;
}

/* --- saying --- */

static void say(struct traffic *t, struct sender *s, uint64_t at_ns)
{
    uint32_t seq = s->said++;

    s->missing[seq] = t->receivers;
    s->left_ns[seq] = at_ns;
    t->said++;
    t->load->driver->say(s->conn, s, seq);
    if (t->load->driver->apart)
        conn_flush(s->conn);
}

static void move(struct traffic *t, struct sender *s)
{
    if (s->moved)
        return;
    s->moved = true;
    s->next_moved = t->moved;
    t->moved = s;
}

/* A window has room again: every sender who moved fills his. */
static void refill(struct traffic *t)
{
    uint64_t now = watch_now_ns();

    while (t->moved != NULL) {
        struct sender *s = t->moved;

        t->moved = s->next_moved;
        s->moved = false;
        while (s->said < s->messages && s->said - s->whole < t->load->conf.window)
            say(t, s, now);
    }
}

/* The n-th message of all leaves n/rate after the beginning, from each sender in turn. */
static uint64_t due_ns(const struct traffic *t, uint64_t n)
{
    return t->begun_ns + n * 1000000000 / t->load->conf.rate;
}

static uint64_t on_time(struct traffic *t)
{
    uint64_t now = watch_now_ns();

    for (; t->said < t->messages && due_ns(t, t->said) <= now;)
        say(t, &t->senders[t->said % t->senders_n], due_ns(t, t->said));
    return t->said < t->messages ? due_ns(t, t->said) : UINT64_MAX;
}

void traffic_begin(struct traffic *t)
{
    t->begun_ns = watch_now_ns();
    for (unsigned i = 0; i < t->senders_n; i++)
        move(t, &t->senders[i]);
}

uint64_t traffic_pump(struct traffic *t)
{
    if (t->load->conf.rate > 0)
        return on_time(t);
    refill(t);
    return UINT64_MAX;
}

/* --- hearing --- */

void traffic_delivered(struct conn *c, uint32_t sender, uint32_t seq)
{
    struct traffic *t = c->load->traffic;
    struct sender *s = t == NULL || sender >= t->senders_n ? NULL : &t->senders[sender];

    if (s == NULL || seq >= s->said || seq != c->due[sender]) {
        load_fail(c->load, "member %u got message %u of sender %u, %u was due", c->number, seq,
                  sender, s == NULL ? 0 : c->due[sender]);
        return;
    }
    c->due[sender]++;
    t->delivered++;
    if (t->measured)
        hist_add(&t->latency, c->load->now_ns - s->left_ns[seq]);
    if (--s->missing[seq] > 0)
        return;
    while (s->whole < s->said && s->missing[s->whole] == 0)
        s->whole++;
    move(t, s);
}

void traffic_acknowledged(struct sender *s)
{
    s->acknowledged++;
    s->conn->load->traffic->acknowledged++;
}

/* --- payload --- */

void payload_put(char *out, const struct load *l, const struct sender *s, uint32_t seq)
{
    char head[PAYLOAD_HEAD + 1];

    snprintf(head, sizeof head, "T%04x%08x", s->number & 0xffff, seq);
    memset(out, 'x', l->conf.bytes);
    memcpy(out, head, PAYLOAD_HEAD);
}

static uint32_t hex(const uint8_t *p, unsigned n)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v = v << 4 | (uint32_t)(p[i] <= '9' ? p[i] - '0' : p[i] - 'a' + 10);
    return v;
}

void payload_take(struct conn *c, struct span payload)
{
    if (payload.n != c->load->conf.bytes || payload.p[0] != 'T')
        load_fail(c->load, "member %u got something that nobody said", c->number);
    else
        traffic_delivered(c, hex(payload.p + 1, 4), hex(payload.p + 5, 8));
}
