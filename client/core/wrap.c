#include "client/core/wrap.h"

#include "common/util/text.h"

size_t wrap_cluster(struct str s, unsigned *width)
{
    unsigned char first = s.n > 0 ? (unsigned char)s.p[0] : 0;

    size_t n;

    *width = 1;
    if (s.n < 2 || first < 0x20 || (first < 0x80 && (unsigned char)s.p[1] < 0x80))
        return s.n > 0; /* plain ASCII, or the last byte */
    if (text_next(s, &n) < 0)
        return 1;
    return text_cluster(s, width);
}

unsigned wrap_width(struct str s)
{
    unsigned sum = 0;

    while (s.n > 0) {
        unsigned width;
        size_t n = wrap_cluster(s, &width);
        sum += width;
        s = str_from(s.p + n, s.n - n);
    }
    return sum;
}

struct wrap wrap_of(struct str text, unsigned cols)
{
    return (struct wrap){.rest = text, .cols = cols > 0 ? cols : 1};
}

/* What one row holds: bytes up to the edge, and up to the last space before it. */
struct fit {
    size_t edge, space;
    bool spaced, newline;
};

static struct fit fit_of(const struct wrap *w)
{
    struct fit f = {0};
    unsigned used = 0;

    while (f.edge < w->rest.n) {
        unsigned width;
        struct str rest = str_from(w->rest.p + f.edge, w->rest.n - f.edge);
        size_t n = wrap_cluster(rest, &width);
        if (rest.p[0] == '\n') {
            f.newline = true;
            break;
        }
        if (rest.p[0] == ' ') { /* a space may stand just over the edge */
            f.spaced = true;
            f.space = f.edge;
        }
        if (used + width > w->cols && f.edge > 0)
            break;
        used += width;
        f.edge += n;
    }
    return f;
}

bool wrap_next(struct wrap *w, struct str *row)
{
    if (w->ended)
        return false;
    struct fit f = fit_of(w);
    size_t used = f.edge, skip = 0;

    if (f.newline) {
        skip = 1;
    } else if (f.edge == w->rest.n) {
        w->ended = true;
    } else if (f.spaced && f.space > 0) {
        used = f.space;
        skip = 1;
    }
    *row = str_from(w->rest.p, used);
    w->rest = str_from(w->rest.p + used + skip, w->rest.n - used - skip);
    return true;
}

unsigned wrap_rows(struct str text, unsigned cols)
{
    struct wrap w = wrap_of(text, cols);
    struct str row;
    unsigned n = 0;

    while (wrap_next(&w, &row))
        n++;
    return n;
}
