/* What is done to whole sessions: played in between, said again, opened later. */
#include "client/lab_scene.h"

#include <string.h>

/* --- mitm --- */

/* He plays the relay for the client and the client for the relay. */
static int forward(const struct lab *lab, enum link_kind kind, const char *text, bool *taken,
                   struct err *e)
{
    struct scene back;
    int ret = 0;

    scene_init(&back, lab, kind);
    back.at[ROLE_CLIENT] = LAB_ATTACKER;
    back.pair.chain[ROLE_CLIENT][0] = span_of(lab->his->member.b, lab->his->member.n);
    back.pair.chain[ROLE_CLIENT][1] = span_of(lab->his->issuer.b, lab->his->issuer.n);
    back.pair.conf[ROLE_CLIENT].key = lab->his->member_key;
    back.pair.conf[ROLE_CLIENT].trust = lab->ours->trust; /* he believes the relay */
    struct err refused = {0};
    *taken = false;
    if (lab_pair_meet(&back.pair, &refused) == 0) {
        ret = scene_speak(&back, text, e);
        lab_pair_run(&back.pair);
        *taken = scene_heard(&back, ROLE_RELAY, text);
    }
    scene_free(&back);
    return ret;
}

int lab_mitm(const struct lab *lab, enum link_kind kind, struct lab_outcome *out, struct err *e)
{
    struct scene front;
    struct lab_pair his;
    struct err refused = {0};
    bool read = false, taken = false;
    int ret = 0;

    scene_init(&front, lab, kind);
    lab_pair_init(&his, lab->his, kind);
    front.at[ROLE_RELAY] = LAB_ATTACKER;
    for (size_t i = 0; i < COUNT(his.chain[ROLE_RELAY]); i++)
        front.pair.chain[ROLE_RELAY][i] = his.chain[ROLE_RELAY][i];
    front.pair.conf[ROLE_RELAY].key = his.conf[ROLE_RELAY].key;
    front.pair.conf[ROLE_RELAY].textbook = his.conf[ROLE_RELAY].textbook;
    if (lab_pair_meet(&front.pair, &refused) == 0) {
        ret = scene_speak(&front, FIRST, e);
        lab_pair_run(&front.pair);
        read = scene_heard(&front, ROLE_RELAY, FIRST);
    }
    if (ret == 0)
        ret = forward(lab, kind, CHANGE, &taken, e);
    if (taken && !read)
        outcome_won(out, "the relay takes him for the client");
    else
        outcome_decide(out, &front, read,
                       taken ? "he reads the client's words and puts his in their place"
                             : "he reads the client's words");
    scene_free(&front);
    return ret;
}

/* --- replay --- */

/* A whole session of one message, as it went over the wire. */
static int record(struct scene *s, const struct lab *lab, enum link_kind kind, struct err *e)
{
    scene_init(s, lab, kind);
    if (scene_meet(s, e) < 0 || scene_speak(s, FIRST, e) < 0)
        return -1;
    lab_pair_run(&s->pair);
    return scene_heard(s, ROLE_RELAY, FIRST) ? 0 : err_set(e, ERR_LOCAL, "the relay heard nothing");
}

/* A new end of the relay, with its keys, and the recorded bytes; s->at says whose end it is. */
static int again(struct scene *s, const struct lab *lab, enum link_kind kind, enum lab_who who,
                 struct span bytes, struct err *e)
{
    scene_init(s, lab, kind);
    s->at[ROLE_RELAY] = who;
    s->at[ROLE_CLIENT] = LAB_ATTACKER;
    s->pair.conf[ROLE_CLIENT].trust = lab->ours->trust;
    if (lab_pair_start(&s->pair, e) < 0)
        return -1;
    lab_say(lab, LAB_ATTACKER, "says what he has recorded");
    lab_pair_feed(&s->pair, ROLE_RELAY, bytes);
    return 0;
}

int lab_replay(const struct lab *lab, enum link_kind kind, struct lab_outcome *out, struct err *e)
{
    struct scene first, second;
    int ret = record(&first, lab, kind, e);

    scene_init(&second, lab, kind);
    if (ret == 0)
        ret = again(&second, lab, kind, LAB_RELAY, buf_span(&first.recorded[ROLE_CLIENT]), e);
    if (ret == 0 && scene_heard(&second, ROLE_RELAY, FIRST)) {
        outcome_won(out, "the relay hears the whole session once more");
    } else if (ret == 0) {
        struct span all = buf_span(&first.recorded[ROLE_CLIENT]);
        size_t from = first.told[ROLE_CLIENT], before = first.heard[ROLE_RELAY].len;
        lab_pair_feed(&first.pair, ROLE_RELAY, span_of(all.p + from, all.n - from));
        bool twice = first.heard[ROLE_RELAY].len > before;
        outcome_stopped(out, second.pair.failed[ROLE_RELAY] ? &second : &first);
        if (twice)
            outcome_won(out, "the relay hears the message twice");
    }
    scene_free(&second);
    scene_free(&first);
    return ret;
}

/* --- stolen-key --- */

/* The thief has the relay's long-lived keys, so he makes an end of his own of them and gives it the
 * recording; and a later session as it stands in memory, which is given the recorded records. */
int lab_stolen_key(const struct lab *lab, enum link_kind kind, struct lab_outcome *out,
                   struct err *e)
{
    struct scene first, thief, later;
    int ret = record(&first, lab, kind, e);

    scene_init(&thief, lab, kind);
    scene_init(&later, lab, kind);
    if (ret == 0)
        ret = again(&thief, lab, kind, LAB_ATTACKER, buf_span(&first.recorded[ROLE_CLIENT]), e);
    if (ret == 0 && !scene_heard(&thief, ROLE_RELAY, FIRST) && (ret = scene_meet(&later, e)) == 0) {
        struct span all = buf_span(&first.recorded[ROLE_CLIENT]);
        size_t from = first.told[ROLE_CLIENT];
        lab_say(lab, LAB_ATTACKER, "tries the state of a later session");
        lab_pair_feed(&later.pair, ROLE_RELAY, span_of(all.p + from, all.n - from));
    }
    if (ret == 0)
        outcome_decide(out, later.pair.end[ROLE_RELAY] != NULL ? &later : &thief,
                       scene_heard(&thief, ROLE_RELAY, FIRST) ||
                           scene_heard(&later, ROLE_RELAY, FIRST),
                       "he reads what was said before he came");
    scene_free(&later);
    scene_free(&thief);
    scene_free(&first);
    return ret;
}
