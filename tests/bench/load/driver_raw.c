#include <string.h>

#include "tests/bench/load/drivers.h"
#include "tests/bench/load/traffic.h"
#include "tests/bench/raw.h"

static void raw_put(struct conn *c, uint8_t what, struct span rest)
{
    uint8_t head[RAW_HEAD + 1];
    struct wr w = wr_of(head, sizeof head);

    wr_u32(&w, (uint32_t)rest.n + 1);
    wr_u8(&w, what);
    conn_put(c, head, sizeof head);
    if (rest.n > 0)
        conn_put(c, rest.p, rest.n);
}

static void raw_login(struct conn *c)
{
    raw_put(c, RAW_HELLO, (struct span){NULL, 0});
}

static void raw_join(struct conn *c)
{
    uint8_t room[RAW_ROOM_LEN] = {(uint8_t)(c->room >> 8), (uint8_t)c->room};

    raw_put(c, RAW_JOIN, span_of(room, sizeof room));
}

static void raw_say(struct conn *c, const struct sender *s, uint32_t seq)
{
    char text[4096];

    payload_put(text, c->load, s, seq);
    raw_put(c, RAW_SAY, span_of(text, c->load->conf.bytes));
}

static void raw_frame(struct conn *c, struct rd *r)
{
    switch (rd_u8(r)) {
    case RAW_HELLO: conn_registered(c); return;
    case RAW_JOIN: conn_joined(c); return;
    case RAW_SAY: payload_take(c, rd_rest(r)); return;
    default: load_fail(c->load, "an unknown frame"); return;
    }
}

static size_t raw_take(struct conn *c, struct span in)
{
    struct rd r = rd_of(in);
    size_t used = 0;

    while (rd_left(&r) > RAW_HEAD) {
        size_t n = rd_u32(&r);
        const uint8_t *p = rd_take(&r, n);

        if (p == NULL)
            break;
        struct rd frame = rd_of(span_of(p, n));
        raw_frame(c, &frame);
        used += RAW_HEAD + n;
    }
    return used;
}

const struct driver driver_raw = {
    .name = "raw",
    .alpn = "countersign/1",
    .echoes = true,
    .login = raw_login,
    .join = raw_join,
    .say = raw_say,
    .take = raw_take,
};
