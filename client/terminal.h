/* terminal.h -- the terminal as a grid: ncursesw behind four functions.
 *
 * Raw mode, no key handling of ncurses (line.h reads the bytes), bracketed paste on. Whatever ends
 * the program but SIGKILL leaves the terminal as it was found. */
#ifndef CLIENT_TERMINAL_H
#define CLIENT_TERMINAL_H

#include "client/core/grid.h"

struct terminal; /* opaque */

/* ERR_CONFIG: this is no terminal, or TERM is unset, unknown or cannot place a cursor. Writes
 * nothing. */
int terminal_check(struct err *e) MUST_USE;

/* NULL and e. colour: false with NO_COLOR. */
struct terminal *terminal_open(bool colour, struct err *e);
void terminal_close(struct terminal *t); /* restores; NULL is fine */

void terminal_size(unsigned *rows, unsigned *cols); /* 24x80 when it cannot be told */

/* Shows the grid: cells that changed since the last one, or all of them. Follows a new size. */
void terminal_draw(struct terminal *t, const struct grid *g);
void terminal_forget(struct terminal *t); /* the next draw writes everything anew */

/* Gives the terminal back for a while (SIGTSTP) and takes it again. */
void terminal_suspend(struct terminal *t);
void terminal_resume(struct terminal *t);

#endif
