#include "common/link/classic_line.h"

#include <string.h>

#include "common/crypto/textbook.h"
#include "common/util/text.h"

enum {
    CLASSIC_HAS_TYPE = 1,
    CLASSIC_HAS_E = 2,
    CLASSIC_HAS_N = 4,
    CLASSIC_HAS_CHUNKS = 8,
    CLASSIC_HAS_CT = 16,
    CLASSIC_HAS_REASON = 32,
};

#define X(id, word, has) [id] = {word, CLASSIC_HAS_TYPE | has},
static const struct {
    const char *word;
    unsigned has;
} types[] = {CLASSIC_LINES(X)};
#undef X

const char *classic_type_word(enum classic_type type)
{
    return types[type].word;
}

/* --- tokens --- */

static int peek(const struct rd *r)
{
    return rd_left(r) > 0 ? r->at[0] : -1;
}

static void space(struct rd *r)
{
    while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\r')
        rd_take(r, 1);
}

/* This sign, with white space around it. */
static void sign(struct rd *r, char want)
{
    space(r);
    if (rd_u8(r) != (uint8_t)want)
        r->bad = true;
    space(r);
}

/* What stands between two quotes; the escapes in it stay. */
static struct str quoted(struct rd *r)
{
    if (rd_u8(r) != '"')
        r->bad = true;
    const uint8_t *from = r->at;
    while (peek(r) != '"' && !r->bad) {
        uint8_t c = rd_u8(r);
        if (c < 0x20)
            r->bad = true;
        if (c == '\\')
            rd_take(r, 1);
    }
    size_t n = r->bad ? 0 : (size_t)(r->at - from);
    rd_take(r, 1);
    return str_from(from, n);
}

/* An integer as this wire has them: not negative, without leading zero. */
static struct str digits(struct rd *r)
{
    const uint8_t *from = r->at;
    size_t n = 0;

    for (; n <= TEXTBOOK_DIGITS_MAX && peek(r) >= '0' && peek(r) <= '9'; n++)
        rd_take(r, 1);
    if (n == 0 || n > TEXTBOOK_DIGITS_MAX || (n > 1 && from[0] == '0'))
        r->bad = true;
    return str_from(from, r->bad ? 0 : n);
}

/* --- members --- */

static void take_type(struct classic_line *l, struct rd *r)
{
    struct str word = quoted(r);
    size_t i = 0;

    while (i < COUNT(types) && !str_is(word, types[i].word))
        i++;
    r->bad = r->bad || i == COUNT(types);
    l->type = r->bad ? CLASSIC_HELLO : (enum classic_type)i;
}

static void take_e(struct classic_line *l, struct rd *r)
{
    l->e = digits(r);
}

static void take_n(struct classic_line *l, struct rd *r)
{
    l->n = digits(r);
}

static void take_chunks(struct classic_line *l, struct rd *r)
{
    sign(r, '[');
    l->chunk = digits(r);
    sign(r, ']');
}

static void take_ct(struct classic_line *l, struct rd *r)
{
    l->ct_hex = quoted(r);
}

static void take_reason(struct classic_line *l, struct rd *r)
{
    l->reason = quoted(r);
}

static const struct {
    const char *name;
    unsigned has;
    void (*take)(struct classic_line *l, struct rd *r);
} members[] = {
    {"type", CLASSIC_HAS_TYPE, take_type}, {"e", CLASSIC_HAS_E, take_e},
    {"n", CLASSIC_HAS_N, take_n},          {"chunks", CLASSIC_HAS_CHUNKS, take_chunks},
    {"ct_hex", CLASSIC_HAS_CT, take_ct},   {"reason", CLASSIC_HAS_REASON, take_reason},
};

/* Gives which member it was; none, or one that was there: r is bad. */
static unsigned member(struct classic_line *l, struct rd *r, unsigned seen)
{
    struct str name = quoted(r);

    sign(r, ':');
    for (size_t i = 0; i < COUNT(members) && !r->bad; i++)
        if (str_is(name, members[i].name) && (seen & members[i].has) == 0) {
            members[i].take(l, r);
            return members[i].has;
        }
    r->bad = true;
    return 0;
}

int classic_line_take(struct classic_line *out, struct str line)
{
    struct rd r = rd_of(span_of(line.p, line.n));
    unsigned seen = 0;

    *out = (struct classic_line){.type = CLASSIC_HELLO};
    sign(&r, '{');
    seen |= member(out, &r, seen);
    space(&r);
    while (peek(&r) == ',' && !r.bad) {
        sign(&r, ',');
        seen |= member(out, &r, seen);
        space(&r);
    }
    sign(&r, '}');
    return rd_done(&r) && seen == types[out->type].has && text_utf8_ok(line) ? 0 : -1;
}

/* --- reasons --- */

static int32_t hex4(struct rd *r)
{
    int32_t v = 0;

    for (int i = 0; i < 4; i++) {
        uint8_t c = rd_u8(r);
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

/* Behind "\u". Two halves of a pair, or one point; else a sign that stands for what nobody said. */
static int32_t escaped(struct rd *r)
{
    const int32_t unknown = 0xfffd;
    int32_t high = hex4(r), low;

    if (high <= 0 || (high >= 0xdc00 && high < 0xe000))
        return unknown;
    if (high < 0xd800 || high >= 0xe000)
        return high;
    if (rd_u8(r) != '\\' || rd_u8(r) != 'u' || (low = hex4(r)) < 0xdc00 || low >= 0xe000)
        return unknown;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static size_t unescape(struct rd *r, char out[4])
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    uint8_t c = rd_u8(r);
    const char *at = c == 0 ? NULL : strchr(from, c);

    if (c == 'u')
        return text_put(out, escaped(r));
    out[0] = at != NULL ? to[at - from] : (char)c;
    return 1;
}

void classic_reason(char *out, size_t cap, struct str reason)
{
    struct rd r = rd_of(span_of(reason.p, reason.n));
    struct wr w = wr_of(out, cap - 1);
    char point[4];

    while (rd_left(&r) > 0 && cap - 1 - w.len >= sizeof point) {
        uint8_t c = rd_u8(&r);
        size_t n = c == '\\' ? unescape(&r, point) : 1;
        if (c == '\\')
            wr_put(&w, point, n);
        else
            wr_u8(&w, c);
    }
    out[w.len] = '\0';
}
