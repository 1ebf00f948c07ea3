/* lab_scene.h -- what the attacks of lab.h have in common: two ends with somebody between them,
 * what is told of them, and what came of it. For the files of the lab alone.
 *
 *     scene_init(&s, lab, kind);  s.middle = ...;       free it whatever happens then
 *     scene_meet(&s, &e), scene_speak(&s, FIRST, &e)    an honest beginning
 *     outcome_decide(out, &s, scene_heard(...), "what he won");
 *     scene_free(&s); */
#ifndef CLIENT_LAB_SCENE_H
#define CLIENT_LAB_SCENE_H

#include "client/lab.h"

#define FIRST  "the safe is behind the picture"
#define SECOND "and the code is 4711"
#define CHANGE "send all of it to me"

enum { HEARD_MAX = 64 * 1024 };

/* Two ends, and what the attacker does between them. */
struct scene {
    const struct lab *lab;
    struct lab_pair pair;
    enum lab_who at[2];     /* whom the ends belong to, by enum role */
    struct buf heard[2];    /* opened texts */
    struct buf recorded[2]; /* bytes as they left, by who sent them */
    size_t told[2];         /* of recorded: what was there when the handshake was over */
    char step[2][48];       /* the last one */
    void (*middle)(struct scene *s, enum role from, struct buf *bytes);
    bool done;              /* middle has done it */
    struct textbook *weak;  /* downgrade of classic */
    struct textbook_open n; /* the relay's */
};

void lab_say(const struct lab *lab, enum lab_who who, const char *fmt, ...) PRINTF_LIKE(3, 4);

void scene_init(struct scene *s, const struct lab *lab, enum link_kind kind);
void scene_free(struct scene *s);
bool scene_heard(const struct scene *s, enum role r, const char *text); /* that end has read it */
/* A handshake that nobody disturbs: it must work, or the lab shows nothing. */
int scene_meet(struct scene *s, struct err *e) MUST_USE;
int scene_speak(struct scene *s, const char *text, struct err *e) MUST_USE; /* the client */
/* What waits to leave an end, taken off the wire and appended to out. */
int scene_take_off(struct scene *s, enum role from, struct buf *out, struct err *e) MUST_USE;

void outcome_won(struct lab_outcome *out, const char *what);
/* The end that ended it says why. */
void outcome_stopped(struct lab_outcome *out, const struct scene *s);
void outcome_decide(struct lab_outcome *out, const struct scene *s, bool lost, const char *what);

/* --- the attacks, as lab_run --- */

#define LAB_RUN(name)                                                                              \
    int name(const struct lab *lab, enum link_kind kind, struct lab_outcome *out, struct err *e)   \
        MUST_USE

/* lab_session.c: what is done to a whole session */
LAB_RUN(lab_mitm);
LAB_RUN(lab_replay);
LAB_RUN(lab_stolen_key);
/* lab_offer.c */
LAB_RUN(lab_downgrade);
/* lab_message.c: what is done to messages behind an honest handshake */
LAB_RUN(lab_tamper);
LAB_RUN(lab_reflect);
LAB_RUN(lab_truncate);
LAB_RUN(lab_reorder);

#endif
