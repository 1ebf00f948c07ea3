#include "client/core/grid.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/wrap.h"

static const struct cell blank = {.text = " ", .width = 1, .style = STYLE_TEXT};

static unsigned clip(unsigned n)
{
    return n < 1 ? 1 : n > GRID_MAX ? GRID_MAX : n;
}

struct grid *grid_new(unsigned rows, unsigned cols)
{
    struct grid *g = calloc(1, sizeof *g);

    if (g == NULL)
        return NULL;
    g->rows = clip(rows);
    g->cols = clip(cols);
    g->cells = calloc((size_t)g->rows * g->cols, sizeof *g->cells);
    if (g->cells == NULL) {
        free(g);
        return NULL;
    }
    for (size_t i = 0; i < (size_t)g->rows * g->cols; i++)
        g->cells[i] = blank;
    return g;
}

void grid_free(struct grid *g)
{
    if (g == NULL)
        return;
    free(g->cells);
    free(g);
}

static struct cell *cell_at(struct grid *g, unsigned row, unsigned col)
{
    return &g->cells[(size_t)row * g->cols + col];
}

const struct cell *grid_cell(const struct grid *g, unsigned row, unsigned col)
{
    return &g->cells[(size_t)row * g->cols + col];
}

bool cell_same(const struct cell *a, const struct cell *b)
{
    return a->width == b->width && a->style == b->style && strcmp(a->text, b->text) == 0;
}

void grid_row(const struct grid *g, unsigned row, char *out, size_t cap)
{
    struct wr w = wr_of(out, cap - 1);
    size_t end = 0;

    for (unsigned col = 0; col < g->cols; col++) {
        const char *text = grid_cell(g, row, col)->text;
        wr_put(&w, text, strlen(text));
        if (strcmp(text, " ") != 0 && !w.bad)
            end = w.len;
    }
    out[end] = '\0';
}

struct area area_whole(struct grid *g)
{
    return (struct area){.g = g, .rows = g->rows, .cols = g->cols};
}

struct area area_cut(struct area a, unsigned row, unsigned col, unsigned rows, unsigned cols)
{
    row = row < a.rows ? row : a.rows;
    col = col < a.cols ? col : a.cols;
    return (struct area){
        .g = a.g,
        .row = a.row + row,
        .col = a.col + col,
        .rows = rows < a.rows - row ? rows : a.rows - row,
        .cols = cols < a.cols - col ? cols : a.cols - col,
    };
}

/* A wide cluster whose half is overwritten leaves a blank, never half a cluster. */
static void cell_free(struct grid *g, unsigned row, unsigned col)
{
    struct cell *c = cell_at(g, row, col);

    if (c->width == 0 && col > 0)
        *cell_at(g, row, col - 1) = blank;
    if (c->width == 2 && col + 1 < g->cols)
        *cell_at(g, row, col + 1) = blank;
}

static void cell_put(struct grid *g, unsigned row, unsigned col, const struct cell *c)
{
    cell_free(g, row, col);
    if (c->width == 2)
        cell_free(g, row, col + 1);
    *cell_at(g, row, col) = *c;
    if (c->width == 2)
        *cell_at(g, row, col + 1) = (struct cell){.width = 0, .style = c->style};
}

void area_fill(struct area a, char c, enum style s)
{
    const struct cell cell = {.text = {c}, .width = 1, .style = (uint8_t)s};

    for (unsigned row = 0; row < a.rows; row++) {
        for (unsigned col = 0; col < a.cols; col++)
            cell_put(a.g, a.row + row, a.col + col, &cell);
    }
}

/* The cluster as a cell: what is no text is shown as '?', what is too long keeps its base. */
static struct cell cell_of(struct str cluster, unsigned width, enum style s)
{
    struct cell c = {.width = (uint8_t)(width == 2 ? 2 : 1), .style = (uint8_t)s};
    const unsigned char first = (unsigned char)cluster.p[0];
    bool control = first < 0x20 || first == 0x7f || (cluster.n == 1 && first >= 0x80) ||
                   (first == 0xc2 && (unsigned char)cluster.p[1] < 0xa0);
    size_t n = cluster.n;

    if (control || width == 0) {
        c.text[0] = '?';
        return c;
    }
    while (n >= CELL_BYTES || (n < cluster.n && ((unsigned char)cluster.p[n] & 0xc0) == 0x80))
        n--;
    memcpy(c.text, cluster.p, n);
    return c;
}

unsigned area_text(struct area a, int row, unsigned col, enum style s, struct str text)
{
    bool shown = row >= 0 && (unsigned)row < a.rows;

    while (shown && text.n > 0 && col < a.cols) {
        unsigned width;
        size_t n = wrap_cluster(text, &width);
        struct cell c = cell_of(str_from(text.p, n), width, s);
        if (col + c.width > a.cols)
            break;
        cell_put(a.g, a.row + (unsigned)row, a.col + col, &c);
        col += c.width;
        text = str_from(text.p + n, text.n - n);
    }
    return col;
}

unsigned area_cutoff(struct area a, int row, unsigned col, enum style s, struct str text)
{
    if (col >= a.cols || wrap_width(text) <= a.cols - col)
        return area_text(a, row, col, s, text);
    struct area room = a;
    room.cols = a.cols - 1;
    area_text(room, row, col, s, text);
    return area_text(a, row, a.cols - 1, s, str_of(">"));
}

unsigned area_print(struct area a, int row, unsigned col, enum style s, const char *fmt, ...)
{
    char text[GRID_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return area_text(a, row, col, s, str_of(text));
}

void area_right(struct area a, int row, enum style s, const char *text)
{
    unsigned width = wrap_width(str_of(text));

    if (width <= a.cols)
        area_text(a, row, a.cols - width, s, str_of(text));
}

void area_rule(struct area a, int row, char c, enum style s)
{
    if (row >= 0)
        area_fill(area_cut(a, (unsigned)row, 0, 1, a.cols), c, s);
}
