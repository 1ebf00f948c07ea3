/* grid.h -- a screen in memory: cells of one grapheme cluster each, with a style.
 *
 * Views draw into it, the driver compares two of them, tests print them. Nothing that could move a
 * cursor ever gets into a cell: whatever is not printable becomes '?', whatever does not fit its
 * row is cut. */
#ifndef CLIENT_CORE_GRID_H
#define CLIENT_CORE_GRID_H

#include <stdbool.h>
#include <stdint.h>

#include "common/util/bytes.h"
#include "common/util/err.h"

/* What a cell means; the driver chooses colours, or none. */
enum style {
    STYLE_TEXT,
    STYLE_DIM,    /* times, rules, hints */
    STYLE_STRONG, /* headings, the own name */
    STYLE_BAR,    /* title and status rows */
    STYLE_BAR_STRONG,
    STYLE_BAR_GOOD,
    STYLE_BAR_WARN,
    STYLE_BAR_BAD,
    STYLE_GOOD,
    STYLE_WARN,
    STYLE_BAD,
    STYLE_SELECT,
    STYLE_NICK, /* the first of NICKS */
    NICKS = 6,
    STYLE_COUNT = STYLE_NICK + NICKS
};

enum { CELL_BYTES = 28, GRID_MAX = 1000 };

struct cell {
    char text[CELL_BYTES]; /* one cluster in UTF-8; empty behind a wide one */
    uint8_t width;         /* 1, 2, or 0 behind a wide one */
    uint8_t style;
};

struct grid {
    unsigned rows, cols;
    struct cell *cells; /* owned, rows * cols */
    unsigned cursor_row, cursor_col;
};

/* A part of the grid: drawing never leaves it. Rows and columns below are counted from its corner.
 */
struct area {
    struct grid *g;
    unsigned row, col, rows, cols;
};

/* Blank, of that size (each clipped to 1..GRID_MAX). NULL: no memory. */
struct grid *grid_new(unsigned rows, unsigned cols);
void grid_free(struct grid *g); /* NULL is fine */

const struct cell *grid_cell(const struct grid *g, unsigned row, unsigned col);
bool cell_same(const struct cell *a, const struct cell *b);
/* One row as text without trailing blanks, NUL-terminated; cut at cap. */
void grid_row(const struct grid *g, unsigned row, char *out, size_t cap);

struct area area_whole(struct grid *g);
/* A part of a; clipped to it. */
struct area area_cut(struct area a, unsigned row, unsigned col, unsigned rows, unsigned cols);
void area_fill(struct area a, char c, enum style s);

/* Writes text into one row and gives the column behind it, at most a.cols. Rows outside (also
 * negative ones, as int) draw nothing. area_cutoff marks text that does not fit with a '>'. */
unsigned area_text(struct area a, int row, unsigned col, enum style s, struct str text);
unsigned area_cutoff(struct area a, int row, unsigned col, enum style s, struct str text);
unsigned area_print(struct area a, int row, unsigned col, enum style s, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
/* The same, ending at the right border. */
void area_right(struct area a, int row, enum style s, const char *text);
void area_rule(struct area a, int row, char c, enum style s);

#endif
