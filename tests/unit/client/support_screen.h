/* support_screen.h -- a model filled by hand, as the tests of the screen need it. */
#ifndef TESTS_UNIT_CLIENT_SUPPORT_SCREEN_H
#define TESTS_UNIT_CLIENT_SUPPORT_SCREEN_H

#include "client/core/model.h"

/* 21 Nov 2026, 14:33 UTC, in ms. */
#define DEMO_NOW INT64_C(1795271580000)

struct model *demo_empty(void);      /* alice@relay.lab, connected, nothing said */
struct model *demo_chat(void);       /* two rooms and a person, every kind of message */
struct model *demo_handshake(void);  /* twelve steps, both chains */
struct model *demo_inspector(void);  /* bob with two devices */
struct model *demo_transcript(void); /* six signed lines, the fourth not good; all judged valid */
void demo_draft(struct model *m, const char *text);
struct hash demo_hash(uint8_t seed);

#endif
