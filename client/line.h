/* line.h -- the input line: GNU readline in callback mode behind our own redisplay.
 *
 * Bytes from the terminal come in; a filter takes pastes and the keys of act.h out, the rest edits.
 * A paste is text whatever it holds: it never runs, never sends. readline keeps its state in
 * globals, so there is one line per process. */
#ifndef CLIENT_LINE_H
#define CLIENT_LINE_H

#include <stdbool.h>

#include "client/core/act.h"

/* Who is told; nothing may be NULL. */
struct line_ops {
    /* The whole draft, on Enter. false: it stays to be corrected. */
    bool (*enter)(void *ctx, struct str text, bool pasted);
    bool (*key)(void *ctx, enum screen_key key); /* false: readline shall have it */
    void (*refused)(void *ctx, const char *why); /* a paste that was not taken */
    /* The n-th completion of the first word, or of the last one; NULL: no more. */
    const char *(*complete)(void *ctx, struct str word, bool first, size_t n);
    void *ctx;
};

/* history: a file for commands (never texts), 0600, made when missing; NULL: none. One that cannot
 * be opened is said through `refused`. */
int line_open(const struct line_ops *ops, const char *history, struct err *e) MUST_USE;
void line_close(void); /* wipes the draft, writes the history */

void line_feed(const char *bytes, size_t n);
/* An escape byte waits for what follows it: call line_timeout when nothing did for LINE_ESC_MS. */
enum { LINE_ESC_MS = 25 };
bool line_pending(void);
void line_timeout(void);

void line_show(struct input *out); /* copies draft, cursor and search prompt */
void line_set(const char *text);   /* replaces the draft */
void line_point(size_t point);

#endif
