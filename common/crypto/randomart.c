#include "common/crypto/randomart.h"

#include <stdio.h>
#include <string.h>

enum { FIELD_X = ART_COLS - 2, FIELD_Y = ART_ROWS - 2 };

/* How often a square was visited; the last two mark where the walk began and ended. */
static const char marks[] = " .o+=*BOX@%&#/^SE";
enum { MARK_LAST = sizeof marks - 2, MARK_MOST = MARK_LAST - 2 };

static int clamp(int v, int most)
{
    return v < 0 ? 0 : v > most ? most : v;
}

/* Two bits a step, lowest first: left or right, up or down, along the walls when it meets them. */
static void walk(const struct hash *h, unsigned char field[FIELD_X][FIELD_Y])
{
    int x = FIELD_X / 2, y = FIELD_Y / 2;

    for (size_t i = 0; i < sizeof h->b; i++)
        for (int shift = 0; shift < 8; shift += 2) {
            int bits = h->b[i] >> shift;
            x = clamp(x + ((bits & 1) != 0 ? 1 : -1), FIELD_X - 1);
            y = clamp(y + ((bits & 2) != 0 ? 1 : -1), FIELD_Y - 1);
            if (field[x][y] < MARK_MOST)
                field[x][y]++;
        }
    field[FIELD_X / 2][FIELD_Y / 2] = MARK_LAST - 1;
    field[x][y] = MARK_LAST;
}

/* "+---[RSA 2048]----+": the text in the middle, half a dash to the left when it is odd. */
static void frame(char row[ART_COLS + 1], const char *text)
{
    char title[FIELD_X + 1];
    int n = snprintf(title, sizeof title, "[%.*s]", FIELD_X - 2, text);
    int left = (FIELD_X - n) / 2;

    memset(row, '-', ART_COLS);
    row[0] = row[ART_COLS - 1] = '+';
    row[ART_COLS] = '\0';
    memcpy(row + 1 + left, title, (size_t)n);
}

void randomart(const struct hash *h, const char *key, struct randomart *out)
{
    unsigned char field[FIELD_X][FIELD_Y] = {{0}};

    walk(h, field);
    frame(out->row[0], key);
    for (int y = 0; y < FIELD_Y; y++) {
        char *row = out->row[y + 1];
        row[0] = row[ART_COLS - 1] = '|';
        row[ART_COLS] = '\0';
        for (int x = 0; x < FIELD_X; x++)
            row[x + 1] = marks[field[x][y]];
    }
    frame(out->row[ART_ROWS - 1], "SHA256");
}
