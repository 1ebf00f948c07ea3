#include "server/classic.h"

#include <stdio.h>

#include "common/util/text.h"

#define CAME " \xe4\xb8\x8a\xe7\xba\xbf\xe4\xba\x86" /* 上线了 */
#define WENT " \xe4\xb8\x8b\xe7\xba\xbf\xe4\xba\x86" /* 下线了 */

/* The ids of rooms are drawn from 128 bits by the core; no member is ever entered under this one.
 */
static const struct room_id classic_room = {"#classic"};

enum { ADDRESS_MAX = INET6_ADDRSTRLEN + 16 };
static_assert(TEXT_CLEAN_GROWS * CLASSIC_SAY_MAX + ADDRESS_MAX <= CLASSIC_TEXT_MAX,
              "a guest's text, cleaned, fits behind his address");

/* To every guest but this one, on every loop. */
static void publish(const struct conn *c, struct span text)
{
    const struct loop_env *env = &c->loop->env;
    struct shared *s = shared_new(text);

    for (size_t i = 0; s != NULL && i < env->loops_n; i++) {
        struct msg *m = msg_new(MSG_EFFECT, c->id);

        if (m == NULL)
            break; /* the text is lost to that loop's guests */
        m->effect = (struct effect){
            .kind = EFFECT_PUBLISH, .conn = c->id, .room = classic_room, .frame = shared_ref(s)};
        box_put(env->loops[i], m);
    }
    shared_unref(s);
}

/* "[ip:port]", then what is said. */
static void say(const struct conn *c, const char *what)
{
    char line[CLASSIC_TEXT_MAX];
    int n = snprintf(line, sizeof line, "[%s:%u]%s", c->text, c->port, what);

    if (n > 0 && (size_t)n < sizeof line)
        publish(c, span_of(line, (size_t)n));
}

void classic_enter(struct conn *c)
{
    struct gate *gate = c->loop->env.classic_gate;
    enum gate_verdict v = gate_enter(gate, &c->source);

    if (v != GATE_IN) {
        conn_end(c, gate_word(v));
        return;
    }
    c->classic = true;
    c->allowed = CLASSIC_BURST;
    if (crowd_enter(c->loop, &classic_room, c) < 0) {
        conn_end(c, "no memory");
        return;
    }
    conn_guest(c);
    c->deadline = clock_ticks() + CLASSIC_IDLE_MS;
    say(c, CAME);
}

void classic_said(struct conn *c, struct span text)
{
    char clean[TEXT_CLEAN_GROWS * CLASSIC_SAY_MAX + 2] = " ";

    if (text.n > CLASSIC_SAY_MAX) {
        conn_end(c, "a text too long");
        return;
    }
    text_clean(clean + 1, sizeof clean - 1, str_from(text.p, text.n), TEXT_ONE_LINE);
    say(c, clean);
    c->deadline = clock_ticks() + CLASSIC_IDLE_MS;
    c->held = --c->allowed == 0;
}

void classic_tick(struct conn *c)
{
    c->allowed += CLASSIC_REFILL;
    if (c->allowed > CLASSIC_BURST)
        c->allowed = CLASSIC_BURST;
    c->held = false;
}

void classic_leave(struct conn *c)
{
    if (!c->classic)
        return;
    c->classic = false;
    gate_leave(c->loop->env.classic_gate, &c->source, false);
    if (c->proven)
        say(c, WENT);
}
