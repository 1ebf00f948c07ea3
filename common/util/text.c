#include "common/util/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

int32_t text_next(struct str s, size_t *n)
{
    utf8proc_int32_t point = -1;

    *n = s.n == 0 ? 0 : 1;
    if (s.n == 0)
        return -1;
    if ((unsigned char)s.p[0] < 0x80)
        return s.p[0];
    utf8proc_ssize_t took = utf8proc_iterate((const utf8proc_uint8_t *)s.p,
                                             (utf8proc_ssize_t)(s.n < 4 ? s.n : 4), &point);
    if (took <= 0)
        return -1;
    *n = (size_t)took;
    return point;
}

/* Cuts the first character off *s. */
static int32_t text_shift(struct str *s, size_t *n)
{
    int32_t point = text_next(*s, n);

    s->p += *n;
    s->n -= *n;
    return point;
}

bool text_utf8_ok(struct str s)
{
    size_t n;

    while (s.n > 0) {
        if (text_shift(&s, &n) < 0)
            return false;
    }
    return true;
}

size_t text_put(char out[4], int32_t point)
{
    return (size_t)utf8proc_encode_char(point, (utf8proc_uint8_t *)out);
}

size_t text_points(struct str s)
{
    size_t points = 0;

    for (size_t i = 0; i < s.n; i++)
        points += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return points;
}

/* The text may be a password: what utf8proc allocated is cleared before it is given back. */
static void clear(void *p, size_t n)
{
    volatile unsigned char *v = p;
    while (n-- > 0)
        *v++ = 0;
}

static int text_map(char *out, size_t cap, size_t *n, struct str s, utf8proc_option_t how)
{
    utf8proc_uint8_t *mapped = NULL;
    utf8proc_ssize_t len = 0;
    int ret = -1;

    if (s.n > 0 && memchr(s.p, 0, s.n) == NULL)
        len = utf8proc_map((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &mapped, how);
    else if (s.n > 0)
        len = -1;
    *n = 0;
    if (cap > 0)
        clear(out, cap);
    if (len >= 0 && (size_t)len < cap) {
        if (len > 0)
            memcpy(out, mapped, (size_t)len);
        *n = (size_t)len;
        ret = 0;
    }
    if (mapped != NULL)
        clear(mapped, (size_t)len);
    free(mapped);
    return ret;
}

int text_nfc(char *out, size_t cap, size_t *n, struct str s)
{
    return text_map(out, cap, n, s, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
}

int text_fold(char *out, size_t cap, size_t *n, struct str s)
{
    return text_map(out, cap, n, s,
                    UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD);
}

enum text_class text_class(int32_t point)
{
    switch (utf8proc_category(point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return TEXT_LETTER;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME: return TEXT_MARK;
    case UTF8PROC_CATEGORY_ND: return TEXT_DIGIT;
    default: return TEXT_OTHER;
    }
}

size_t text_decompose(int32_t out[TEXT_PARTS_MAX], int32_t point)
{
    int last = 0;
    utf8proc_ssize_t n =
        utf8proc_decompose_char(point, out, TEXT_PARTS_MAX, UTF8PROC_DECOMPOSE, &last);

    if (n >= 1 && n <= TEXT_PARTS_MAX)
        return (size_t)n;
    out[0] = point;
    return 1;
}

/* --- cleaning --- */

/* Characters that change what is seen without being seen themselves. */
static const struct {
    int32_t first, last;
} hidden[] = {
    {0x061c, 0x061c},   /* Arabic letter mark */
    {0x180e, 0x180e},   /* Mongolian vowel separator */
    {0x200b, 0x200f},   /* zero width, direction marks */
    {0x2028, 0x202e},   /* line and paragraph separators, embeddings, overrides */
    {0x2060, 0x206f},   /* joiners, invisible operators, isolates */
    {0xfeff, 0xfeff},   /* byte order mark */
    {0xfff9, 0xfffb},   /* interlinear annotation */
    {0xe0000, 0xe007f}, /* tags */
};

static bool is_hidden(int32_t point)
{
    for (size_t i = 0; i < COUNT(hidden); i++) {
        if (point >= hidden[i].first && point <= hidden[i].last)
            return true;
    }
    return false;
}

/* "<9B>" or "<U+202E>": v in at least `digits` upper-case hexadecimal digits. */
static size_t put_named(char *out, const char *prefix, uint32_t v, unsigned digits)
{
    size_t n = strlen(prefix);

    memcpy(out, prefix, n);
    while (digits < 6 && v >> (4 * digits) != 0)
        digits++;
    while (digits-- > 0)
        out[n++] = "0123456789ABCDEF"[v >> (4 * digits) & 15];
    out[n++] = '>';
    return n;
}

/* What stands for one character (point -1: for one stray byte) that came as `raw`. */
static size_t clean_one(char out[12], int32_t point, struct str raw, enum text_lines lines)
{
    if (point < 0)
        return put_named(out, "<", (unsigned char)raw.p[0], 2);
    if ((point < 0x20 && !(point == '\n' && lines == TEXT_LINES)) || point == 0x7f) {
        out[0] = '^';
        out[1] = (char)(point ^ 0x40);
        return 2;
    }
    if (point >= 0x80 && point <= 0x9f)
        return put_named(out, "<", (uint32_t)point, 2);
    if (is_hidden(point))
        return put_named(out, "<U+", (uint32_t)point, 4);
    memcpy(out, raw.p, raw.n);
    return raw.n;
}

size_t text_clean(char *out, size_t cap, struct str s, enum text_lines lines)
{
    size_t len = 0, marks = 0, n;

    while (s.n > 0 && cap > 0) {
        char piece[12];
        struct str raw = s;
        int32_t point = text_shift(&s, &n);
        raw.n = n;
        marks = point >= 0x300 && text_class(point) == TEXT_MARK ? marks + 1 : 0;
        if (marks > TEXT_MARKS_MAX)
            continue;
        size_t room = clean_one(piece, point, raw, lines);
        if (room >= cap - len)
            break;
        memcpy(out + len, piece, room);
        len += room;
    }
    if (cap > 0)
        out[len] = '\0';
    return len;
}

size_t text_vformat(char *out, size_t cap, const char *fmt, va_list ap)
{
    char raw[TEXT_FORMAT_MAX];
    int n = vsnprintf(raw, sizeof raw, fmt, ap);

    return text_clean(out, cap, str_of(n < 0 ? "" : raw), TEXT_ONE_LINE);
}

size_t text_format(char *out, size_t cap, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    size_t n = text_vformat(out, cap, fmt, ap);
    va_end(ap);
    return n;
}

/* --- columns --- */

static unsigned point_width(int32_t point)
{
    int w = utf8proc_charwidth(point);
    return w < 0 ? 0 : (unsigned)w;
}

size_t text_cluster(struct str s, unsigned *width)
{
    size_t n = 0, len = 0;
    utf8proc_int32_t state = 0;
    int32_t before = 0, point;
    unsigned columns = 0;

    for (; s.n > 0; before = point) {
        point = text_shift(&s, &n);
        if (point < 0)
            point = 0xfffd;
        if (len > 0 && utf8proc_grapheme_break_stateful(before, point, &state))
            break;
        len += n;
        columns += point_width(point);
    }
    if (width != NULL)
        *width = columns > 2 ? 2 : columns;
    return len;
}

size_t text_fit(struct str s, size_t columns)
{
    size_t len = 0, n;
    unsigned width;

    while ((n = text_cluster(str_from(s.p + len, s.n - len), &width)) > 0) {
        if (width > columns)
            break;
        columns -= width;
        len += n;
    }
    return len;
}

size_t text_width(struct str s)
{
    size_t columns = 0, n;
    unsigned width;

    for (; (n = text_cluster(s, &width)) > 0; s.p += n, s.n -= n)
        columns += width;
    return columns;
}
