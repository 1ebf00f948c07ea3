/* What is done to messages behind an honest handshake. */
#include "client/lab_scene.h"

#include <string.h>

struct message_scene {
    struct scene s;
    struct buf one, two; /* two messages of the client, each as it went */
};

static int messages(struct message_scene *m, const struct lab *lab, enum link_kind kind,
                    struct err *e)
{
    buf_init(&m->one, HEARD_MAX);
    buf_init(&m->two, HEARD_MAX);
    scene_init(&m->s, lab, kind);
    return scene_meet(&m->s, e) < 0 || scene_speak(&m->s, FIRST, e) < 0 ||
                   scene_take_off(&m->s, ROLE_CLIENT, &m->one, e) < 0 ||
                   scene_speak(&m->s, SECOND, e) < 0 ||
                   scene_take_off(&m->s, ROLE_CLIENT, &m->two, e) < 0
               ? -1
               : 0;
}

static void messages_free(struct message_scene *m)
{
    scene_free(&m->s);
    buf_free(&m->one);
    buf_free(&m->two);
}

/* A digit stays one: where texts are hex he would not be so clumsy as to write something else. */
static void other_byte(uint8_t *b)
{
    bool digit = (*b >= '0' && *b <= '9') || (*b >= 'a' && *b <= 'f');

    *b = !digit ? *b ^ 1 : *b == '0' ? '1' : '0';
}

/* Last, first and middle byte, each in a session of its own. */
int lab_tamper(const struct lab *lab, enum link_kind kind, struct lab_outcome *out, struct err *e)
{
    struct message_scene m;
    int ret = 0;

    *out = (struct lab_outcome){.won = false};
    for (int place = 0; place < 3 && ret == 0 && !out->won; place++) {
        ret = messages(&m, lab, kind, e);
        if (ret == 0) {
            size_t last = m.one.len - 1, at = place == 0 ? last : place == 1 ? 0 : last / 2;
            other_byte(&m.one.p[m.one.off + at]);
            lab_say(lab, LAB_ATTACKER, "changes byte %zu of %zu", at, m.one.len);
            lab_pair_feed(&m.s.pair, ROLE_RELAY, buf_span(&m.one));
            lab_pair_feed(&m.s.pair, ROLE_RELAY, buf_span(&m.two));
            outcome_decide(out, &m.s, m.s.heard[ROLE_RELAY].len > 0,
                           "the relay hears something else");
        }
        messages_free(&m);
    }
    return ret;
}

/* The first, and in a session of its own the second: the relay has said something too, so where
 * directions differ in nothing it is the second whose turn it is. */
int lab_reflect(const struct lab *lab, enum link_kind kind, struct lab_outcome *out, struct err *e)
{
    struct message_scene m;
    int ret = 0;

    *out = (struct lab_outcome){.won = false};
    for (int which = 0; which < 2 && ret == 0 && !out->won; which++) {
        ret = messages(&m, lab, kind, e);
        if (ret == 0) {
            lab_say(lab, LAB_ATTACKER, "sends the %s message back",
                    which == 0 ? "first" : "second");
            lab_pair_feed(&m.s.pair, ROLE_CLIENT, buf_span(which == 0 ? &m.one : &m.two));
            outcome_decide(out, &m.s, scene_heard(&m.s, ROLE_CLIENT, which == 0 ? FIRST : SECOND),
                           "the client takes its own words for the relay's");
        }
        messages_free(&m);
    }
    return ret;
}

int lab_truncate(const struct lab *lab, enum link_kind kind, struct lab_outcome *out, struct err *e)
{
    struct message_scene m;
    int ret = messages(&m, lab, kind, e);

    if (ret == 0) {
        lab_pair_feed(&m.s.pair, ROLE_RELAY, buf_span(&m.one));
        lab_say(lab, LAB_ATTACKER, "keeps the second one and ends the stream");
        (void)!link_eof(m.s.pair.end[ROLE_RELAY]);
        lab_pair_feed(&m.s.pair, ROLE_RELAY, (struct span){NULL, 0}); /* its events */
        outcome_decide(out, &m.s, m.s.pair.closed[ROLE_RELAY], "the relay takes it for a farewell");
    }
    messages_free(&m);
    return ret;
}

int lab_reorder(const struct lab *lab, enum link_kind kind, struct lab_outcome *out, struct err *e)
{
    struct message_scene m;
    int ret = messages(&m, lab, kind, e);

    if (ret == 0) {
        lab_say(lab, LAB_ATTACKER, "sends the second one first");
        lab_pair_feed(&m.s.pair, ROLE_RELAY, buf_span(&m.two));
        lab_pair_feed(&m.s.pair, ROLE_RELAY, buf_span(&m.one));
        outcome_decide(out, &m.s, m.s.heard[ROLE_RELAY].len > 0,
                       "the relay hears them the wrong way round");
    }
    messages_free(&m);
    return ret;
}
