#include <stdio.h>
#include <string.h>

#include "tests/bench/load/drivers.h"
#include "tests/bench/load/traffic.h"

/* "INFO {...}\r\n" comes in clear, then TLS begins. */
static int nats_preface(struct conn *c, struct span in)
{
    (void)c;
    if (memchr(in.p, '\n', in.n) == NULL)
        return 0;
    return in.n > 5 && memcmp(in.p, "INFO ", 5) == 0 ? 1 : -1;
}

static void nats_login(struct conn *c)
{
    conn_say(c,
             "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":true,"
             "\"name\":\"m%u\",\"lang\":\"c\",\"version\":\"1\",\"protocol\":1}\r\nPING\r\n",
             c->number);
}

static void nats_join(struct conn *c)
{
    conn_say(c, "SUB r.%u 1\r\nPING\r\n", c->room);
}

static void nats_say(struct conn *c, const struct sender *s, uint32_t seq)
{
    char text[4096];

    payload_put(text, c->load, s, seq);
    conn_say(c, "PUB r.%u %u\r\n", c->room, (unsigned)c->load->conf.bytes);
    conn_put(c, text, c->load->conf.bytes);
    conn_put(c, "\r\n", 2);
}

/* Both PINGs of ours are answered in their order. */
static void nats_pong(struct conn *c)
{
    if (c->state == CONN_LOGIN)
        conn_registered(c);
    else
        conn_joined(c);
}

/* Everything but MSG. */
static void nats_word(struct conn *c, struct str word, struct str line)
{
    if (str_is(word, "PING"))
        conn_say(c, "PONG\r\n");
    else if (str_is(word, "PONG"))
        nats_pong(c);
    else if (str_is(word, "-ERR"))
        load_fail(c->load, "the server says %.*s", (int)line.n, line.p);
}

/* "MSG subject sid size", then the payload and CRLF. Gives what was read; 0: more is needed. */
static size_t nats_message(struct conn *c, struct str line, struct span behind)
{
    uint64_t size;

    (void)str_cut(&line, ' ');
    (void)str_cut(&line, ' ');
    if (str_u64(line, 1 << 20, &size) < 0) {
        load_fail(c->load, "a message without a size");
        return 0;
    }
    if (behind.n < size + 2)
        return 0;
    payload_take(c, span_of(behind.p, size));
    return size + 2;
}

static size_t nats_take(struct conn *c, struct span in)
{
    size_t used = 0;

    while (used < in.n && c->load->err.code == ERR_NONE) {
        const uint8_t *end = memchr(in.p + used, '\n', in.n - used);

        if (end == NULL)
            break;
        size_t n = (size_t)(end - in.p) - used + 1;
        struct str line = str_from(in.p + used, n < 2 ? 0 : n - 2);
        struct str word = str_cut(&line, ' ');
        if (str_is(word, "MSG")) {
            size_t more = nats_message(c, line, span_of(end + 1, in.n - used - n));
            if (more == 0)
                break;
            n += more;
        } else {
            nats_word(c, word, line);
        }
        used += n;
    }
    return used;
}

const struct driver driver_nats = {
    .name = "nats",
    .echoes = true,
    .preface = nats_preface,
    .login = nats_login,
    .join = nats_join,
    .say = nats_say,
    .take = nats_take,
};
