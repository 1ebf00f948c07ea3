#include <stdio.h>
#include <string.h>

#include "tests/bench/load/drivers.h"
#include "tests/bench/load/traffic.h"

/* Control packets (MQTT 3.1.1, 2.2.1), with the flags of the fixed head. */
enum { CONNECT = 0x10, CONNACK = 0x20, PUBLISH = 0x30, SUBSCRIBE = 0x82, SUBACK = 0x90 };
enum { PACKET_MAX = 5000 };

/* One packet: the head with its length in groups of seven bits, then the rest. */
static void mqtt_put(struct conn *c, uint8_t head, const struct wr *rest)
{
    uint8_t text[5] = {head};
    size_t at = 1, n = rest->len;

    for (; n > 127; n /= 128)
        text[at++] = (uint8_t)(n % 128 + 128);
    text[at++] = (uint8_t)n;
    conn_put(c, text, at);
    conn_put(c, rest->buf, rest->len);
}

static void put_text(struct wr *w, const char *text)
{
    wr_u16(w, (uint16_t)strlen(text));
    wr_put(w, text, strlen(text));
}

static void put_topic(struct wr *w, const struct conn *c)
{
    char topic[32];

    snprintf(topic, sizeof topic, "r/%u", c->room);
    put_text(w, topic);
}

static void mqtt_login(struct conn *c)
{
    uint8_t packet[128];
    char id[32];
    struct wr w = wr_of(packet, sizeof packet);

    snprintf(id, sizeof id, "m%xl%x", c->number, c->life);
    put_text(&w, "MQTT");
    wr_u8(&w, 4);  /* 3.1.1 */
    wr_u8(&w, 2);  /* clean session */
    wr_u16(&w, 0); /* no keep-alive */
    put_text(&w, id);
    mqtt_put(c, CONNECT, &w);
}

static void mqtt_join(struct conn *c)
{
    uint8_t packet[64];
    struct wr w = wr_of(packet, sizeof packet);

    wr_u16(&w, 1);
    put_topic(&w, c);
    wr_u8(&w, 0); /* QoS */
    mqtt_put(c, SUBSCRIBE, &w);
}

static void mqtt_say(struct conn *c, const struct sender *s, uint32_t seq)
{
    uint8_t packet[PACKET_MAX];
    struct wr w = wr_of(packet, sizeof packet);

    put_topic(&w, c);
    payload_put((char *)wr_room(&w, c->load->conf.bytes), c->load, s, seq);
    mqtt_put(c, PUBLISH, &w);
}

static void mqtt_packet(struct conn *c, uint8_t head, struct span rest)
{
    struct rd r = rd_of(rest);

    switch (head & 0xf0) {
    case CONNACK:
        if (rd_u16(&r) == 0)
            conn_registered(c);
        else
            load_fail(c->load, "the broker refuses");
        return;
    case SUBACK: conn_joined(c); return;
    case PUBLISH:
        (void)rd_take(&r, rd_u16(&r));
        payload_take(c, rd_rest(&r));
        return;
    default: load_fail(c->load, "packet %02x was not asked for", head); return;
    }
}

/* Reads head and length: false, more is needed. */
static bool mqtt_head(struct rd *r, uint8_t *head, size_t *n)
{
    uint8_t group = 128;
    unsigned shift = 0;

    *head = rd_u8(r);
    for (*n = 0; group & 128 && shift <= 21; shift += 7) {
        group = rd_u8(r);
        *n |= (size_t)(group & 127) << shift;
    }
    return !r->bad;
}

static size_t mqtt_take(struct conn *c, struct span in)
{
    struct rd r = rd_of(in);
    size_t used = 0, n;
    uint8_t head;

    while (rd_left(&r) > 0 && mqtt_head(&r, &head, &n)) {
        const uint8_t *p = rd_take(&r, n);

        if (p == NULL)
            break;
        mqtt_packet(c, head, span_of(p, n));
        used = in.n - rd_left(&r);
    }
    return used;
}

const struct driver driver_mqtt = {
    .name = "mqtt",
    .echoes = true,
    .login = mqtt_login,
    .join = mqtt_join,
    .say = mqtt_say,
    .take = mqtt_take,
};
