/* support_line.h -- a real link between a client of support_relay and the relay: both ends in one
 * process, the handshake done with the certificates that support_relay issues. What is said is
 * sealed at one end and opened at the other, and what a listener sees of it is kept. */
#ifndef TESTS_UNIT_SERVER_SUPPORT_LINE_H
#define TESTS_UNIT_SERVER_SUPPORT_LINE_H

#include "common/link/link.h"
#include "tests/unit/server/support_relay.h"

enum { LINE_SEEN = 32 };

/* How many bytes passed, piece by piece: positive to the relay, negative from it. */
struct line_seen {
    int32_t pieces[LINE_SEEN];
    size_t n;
};

/* Handshake included; c needs its certificate. What it shows of itself comes after that. */
struct line *line_new(struct client *c, enum link_kind kind);
void line_free(struct line *l); /* NULL is fine */
void line_exporter(const struct line *l, struct key *out);
/* What the end that was talked to opened: valid until the next call. */
struct span line_pass(struct line *l, enum role from, struct span said);
/* Since line_new or the call before. */
struct line_seen line_seen(struct line *l);

#endif
