/* story.h -- the steps of one handshake as one end saw them, counted and drawn.
 *
 * Knows no link by name: it has what the events said. The drawings are text: a sequence diagram for
 * Mermaid, which has no measured figures and so is the same each time, and one in SVG with bytes
 * and times. Both are made of the same steps that the screen shows. */
#ifndef CLIENT_STORY_H
#define CLIENT_STORY_H

#include "common/link/link.h"

enum { STORY_STEPS_MAX = 40, STORY_TEXT_MAX = 64 * 1024 };

/* Zero at first. Names in steps are those of the step tables: they need no owner. */
struct story {
    struct link_step steps[STORY_STEPS_MAX];
    size_t n;
};

/* The next step; one that was waited for takes the place of its announcement. More than
 * STORY_STEPS_MAX are left out. */
void story_add(struct story *s, const struct link_step *step);

size_t story_bytes(const struct story *s, bool out); /* of the steps that we sent, or got */
uint64_t story_us(const struct story *s);            /* until the last one */
/* How often this end had to wait for the other until it could go on. */
unsigned story_round_trips(const struct story *s);

/* Appends the drawing. title: what it is of. -1: out may not grow that far. */
int story_mermaid(const struct story *s, const char *title, struct buf *out) MUST_USE;
int story_svg(const struct story *s, const char *title, struct buf *out) MUST_USE;

#endif
