/* shake_local.h -- handshakes of both ends in this process, with throw-away certificates, shown;
 * and what any handshake that was seen can be drawn as. */
#ifndef CLIENT_SHAKE_LOCAL_H
#define CLIENT_SHAKE_LOCAL_H

#include "client/command.h"
#include "client/story.h"

/* What a link gives, in short; docs/links.md has the reasons, docs/threats.md the tests. */
struct link_worth {
    bool mutual;         /* both have proven their certificates' keys */
    bool forward_secret; /* who steals every certificate's key later opens nothing */
    bool replay_safe;    /* nothing recorded is taken a second time, handshake or message */
    bool key_each;       /* a key for every message, gone behind it */
    const char *relay_seen_by, *client_seen_by; /* who learns which certificate it is */
};

const struct link_worth *link_worth(enum link_kind kind);

/* --local, one link, step by step; or --link all, one table. */
int shake_local(struct call *c, struct err *e) MUST_USE;

/* --svg and --mermaid: draws what they ask for; without them nothing. */
int shake_draw(const struct call *c, const struct story *s, const char *title,
               struct err *e) MUST_USE;

#endif
