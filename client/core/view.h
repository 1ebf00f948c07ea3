/* view.h -- the model drawn into a grid: a pure function, so that every screen can be a test.
 *
 * Any size from 1x1 has a layout (docs/architecture.md); the newest line of the chat is the last
 * thing that disappears. Title, status rows and the fixed columns are ours alone: no peer's text
 * stands there but names that were checked. */
#ifndef CLIENT_CORE_VIEW_H
#define CLIENT_CORE_VIEW_H

#include "client/core/grid.h"
#include "client/core/model.h"

enum { VIEW_LIST_COLS = 16, VIEW_LIST_FROM = 100, VIEW_INPUT_ROWS = 5 };

/* Where things are at a size; a part that is not shown has no rows. */
struct layout {
    struct area title, list, main, status, activity, input;
};

void view_layout(const struct model *m, struct grid *g, struct layout *out);

/* Draws everything and sets the cursor. */
void view_render(const struct model *m, struct grid *g);

/* Moves the chat (or the page) by so many rows, up when positive. true: the top is reached and
 * older messages are wanted. */
bool view_scroll(struct model *m, unsigned rows, unsigned cols, int by);
unsigned view_page(const struct model *m, unsigned rows, unsigned cols); /* rows of a page */
void view_top(struct model *m);
void view_bottom(struct model *m);

/* Columns and rows of the draft: where a cursor moved by one row would stand in its bytes; false
 * when there is no row there (history is meant then). */
bool view_input_move(const struct model *m, unsigned cols, int by, size_t *point);

#endif
