#include "common/util/bytes.h"

#include <stdlib.h>
#include <string.h>

struct span span_of(const void *p, size_t n)
{
    return (struct span){p, n};
}

bool span_same(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

struct str str_of(const char *s)
{
    return (struct str){s, s == NULL ? 0 : strlen(s)};
}

struct str str_from(const void *p, size_t n)
{
    return (struct str){p, n};
}

bool str_same(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_is(struct str a, const char *s)
{
    return str_same(a, str_of(s));
}

int str_copy(char *dst, size_t cap, struct str s)
{
    if (cap == 0)
        return -1;
    dst[0] = '\0';
    if (s.n >= cap)
        return -1;
    if (s.n > 0)
        memcpy(dst, s.p, s.n);
    dst[s.n] = '\0';
    return 0;
}

struct str str_cut(struct str *rest, char sep)
{
    const char *at = rest->n > 0 ? memchr(rest->p, sep, rest->n) : NULL;
    struct str head = *rest;

    if (at == NULL) {
        *rest = (struct str){NULL, 0};
        return head;
    }
    head.n = (size_t)(at - rest->p);
    rest->p = at + 1;
    rest->n -= head.n + 1;
    return head;
}

int str_u64(struct str s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;

    if (s.n == 0 || (s.p[0] == '0' && s.n > 1))
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -1;
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        if (v > (max - digit) / 10 || digit > max)
            return -1;
        v = v * 10 + digit;
    }
    *out = v;
    return 0;
}

struct rd rd_of(struct span s)
{
    static const uint8_t none[1];
    const uint8_t *p = s.p == NULL ? none : s.p;
    return (struct rd){p, p + (s.p == NULL ? 0 : s.n), false};
}

const uint8_t *rd_take(struct rd *r, size_t n)
{
    if (r->bad || (size_t)(r->end - r->at) < n) {
        r->bad = true;
        return NULL;
    }
    r->at += n;
    return r->at - n;
}

static uint64_t rd_be(struct rd *r, size_t n)
{
    const uint8_t *p = rd_take(r, n);
    uint64_t v = 0;

    for (size_t i = 0; p != NULL && i < n; i++)
        v = v << 8 | p[i];
    return v;
}

uint8_t rd_u8(struct rd *r)
{
    return (uint8_t)rd_be(r, 1);
}

uint16_t rd_u16(struct rd *r)
{
    return (uint16_t)rd_be(r, 2);
}

uint32_t rd_u24(struct rd *r)
{
    return (uint32_t)rd_be(r, 3);
}

uint32_t rd_u32(struct rd *r)
{
    return (uint32_t)rd_be(r, 4);
}

uint64_t rd_u64(struct rd *r)
{
    return rd_be(r, 8);
}

/* The two top bits of the first byte say how many bytes there are: 1, 2, 4 or 8. */
static size_t var_len(uint64_t v)
{
    return v < UINT64_C(1) << 6 ? 1 : v < UINT64_C(1) << 14 ? 2 : v < UINT64_C(1) << 30 ? 4 : 8;
}

uint64_t rd_var(struct rd *r)
{
    struct rd ahead = *r;
    unsigned exp = rd_u8(&ahead) >> 6;
    size_t n = (size_t)1 << exp;
    uint64_t v = rd_be(r, n) & ~((uint64_t)exp << (8 * n - 2));

    if (!r->bad && var_len(v) == n)
        return v;
    r->bad = true;
    return 0;
}

struct span rd_part(struct rd *r, size_t width)
{
    size_t n = width == 1 ? rd_u8(r) : rd_u16(r);
    const uint8_t *p = rd_take(r, n);

    return span_of(p, p == NULL ? 0 : n);
}

void rd_copy(struct rd *r, void *out, size_t n)
{
    const uint8_t *p = rd_take(r, n);

    if (p != NULL)
        memcpy(out, p, n);
}

struct span rd_rest(struct rd *r)
{
    size_t n = rd_left(r);
    return span_of(rd_take(r, n), n);
}

size_t rd_left(const struct rd *r)
{
    return r->bad ? 0 : (size_t)(r->end - r->at);
}

bool rd_done(const struct rd *r)
{
    return !r->bad && r->at == r->end;
}

struct wr wr_of(void *buf, size_t cap)
{
    return (struct wr){buf, cap, 0, false};
}

uint8_t *wr_room(struct wr *w, size_t n)
{
    if (w->bad || w->cap - w->len < n) {
        w->bad = true;
        return NULL;
    }
    w->len += n;
    return w->buf + w->len - n;
}

void wr_put(struct wr *w, const void *p, size_t n)
{
    uint8_t *to = wr_room(w, n);
    if (to != NULL && n > 0)
        memcpy(to, p, n);
}

static void wr_be(struct wr *w, uint64_t v, size_t n)
{
    uint8_t *to = wr_room(w, n);
    for (size_t i = 0; to != NULL && i < n; i++)
        to[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

void wr_u8(struct wr *w, uint8_t v)
{
    wr_be(w, v, 1);
}

void wr_u16(struct wr *w, uint16_t v)
{
    wr_be(w, v, 2);
}

void wr_u32(struct wr *w, uint32_t v)
{
    wr_be(w, v, 4);
}

void wr_u64(struct wr *w, uint64_t v)
{
    wr_be(w, v, 8);
}

void wr_var(struct wr *w, uint64_t v)
{
    size_t n = var_len(v);
    uint64_t exp = n == 8 ? 3 : n / 2;

    if (v >> 62 != 0)
        w->bad = true;
    else
        wr_be(w, v | exp << (8 * n - 2), n);
}

size_t wr_open(struct wr *w, size_t width)
{
    wr_room(w, width);
    return w->len;
}

void wr_close(struct wr *w, size_t start, size_t width)
{
    uint64_t n = w->len - start;

    if (w->bad || n >> 8 * width != 0) {
        w->bad = true;
        return;
    }
    for (size_t i = 0; i < width; i++)
        w->buf[start - 1 - i] = (uint8_t)(n >> 8 * i);
}

void wr_part(struct wr *w, size_t width, struct span s)
{
    size_t at = wr_open(w, width);

    wr_put(w, s.p, s.n);
    wr_close(w, at, width);
}

struct span wr_span(const struct wr *w)
{
    return w->bad ? span_of(NULL, 0) : span_of(w->buf, w->len);
}

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){NULL, 0, 0, 0, max};
}

void buf_free(struct buf *b)
{
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap); /* it may have held secrets */
    free(b->p);
    buf_init(b, b->max);
}

/* Makes room for n more bytes behind the waiting ones: by moving them to the front, else by growing
 * into a new block, so that the old one can be cleared. */
static bool buf_grow(struct buf *b, size_t n)
{
    size_t want = b->len + n;

    if (b->p != NULL && want <= b->cap) {
        memmove(b->p, b->p + b->off, b->len);
        b->off = 0;
        return true;
    }
    size_t cap = b->cap < 256 ? 256 : b->cap;
    while (cap < want)
        cap *= 2;
    uint8_t *p = malloc(cap);
    if (p == NULL)
        return false;
    if (b->len > 0)
        memcpy(p, b->p + b->off, b->len);
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap);
    free(b->p);
    b->p = p;
    b->cap = cap;
    b->off = 0;
    return true;
}

uint8_t *buf_room(struct buf *b, size_t n)
{
    if (n > b->max - b->len || n > SIZE_MAX / 4)
        return NULL;
    if ((b->p == NULL || n > b->cap - b->off - b->len) && !buf_grow(b, n))
        return NULL;
    b->len += n;
    return b->p + b->off + b->len - n;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
    uint8_t *to = buf_room(b, n);

    if (to == NULL)
        return -1;
    if (n > 0)
        memcpy(to, p, n);
    return 0;
}

void buf_drop(struct buf *b, size_t n)
{
    if (n >= b->len) {
        b->off = b->len = 0;
        return;
    }
    b->off += n;
    b->len -= n;
}

void buf_move(struct buf *to, struct buf *from)
{
    if (to->p != NULL || from->len > 0)
        return;
    to->p = from->p;
    to->cap = from->cap;
    buf_init(from, from->max);
}

void buf_cut(struct buf *b, size_t len)
{
    if (len < b->len)
        b->len = len;
}

struct span buf_span(const struct buf *b)
{
    return span_of(b->p == NULL ? NULL : b->p + b->off, b->len);
}

void hex_put(char *out, struct span s)
{
    static const char digit[] = "0123456789abcdef";

    for (size_t i = 0; i < s.n; i++) {
        *out++ = digit[s.p[i] >> 4];
        *out++ = digit[s.p[i] & 15];
    }
    *out = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int hex_take(uint8_t *out, size_t n, struct str s)
{
    if (s.n != 2 * n)
        return -1;
    for (size_t i = 0; i < n; i++) {
        int hi = hex_digit(s.p[2 * i]), lo = hex_digit(s.p[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return -1;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return 0;
}

static const char alphabet_std[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void b64_encode(char *out, struct span s, const char *alphabet, bool pad)
{
    size_t i = 0;

    for (; i + 3 <= s.n; i += 3) {
        uint32_t v = (uint32_t)s.p[i] << 16 | (uint32_t)s.p[i + 1] << 8 | s.p[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            *out++ = alphabet[v >> shift & 63];
    }
    if (i < s.n) {
        bool two = s.n - i == 2;
        uint32_t v = (uint32_t)s.p[i] << 16 | (two ? (uint32_t)s.p[i + 1] << 8 : 0);
        *out++ = alphabet[v >> 18 & 63];
        *out++ = alphabet[v >> 12 & 63];
        if (two)
            *out++ = alphabet[v >> 6 & 63];
        else if (pad)
            *out++ = '=';
        if (pad)
            *out++ = '=';
    }
    *out = '\0';
}

static int b64_digit(char c, const char *alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == alphabet[62] ? 62 : c == alphabet[63] ? 63 : -1;
}

/* Decodes n characters without padding; the bits that are left over must be zero. */
static int b64_decode(uint8_t *out, size_t cap, size_t *n, struct str s, const char *alphabet)
{
    uint32_t v = 0;
    unsigned bits = 0;
    size_t len = 0;

    if (s.n % 4 == 1)
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        int digit = b64_digit(s.p[i], alphabet);
        if (digit < 0)
            return -1;
        v = v << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            if (len == cap)
                return -1;
            out[len++] = (uint8_t)(v >> bits);
            v &= (1U << bits) - 1;
        }
    }
    *n = len;
    return v == 0 ? 0 : -1;
}

size_t b64_len(size_t n)
{
    return (n + 2) / 3 * 4;
}

void b64_put(char *out, struct span s)
{
    b64_encode(out, s, alphabet_std, true);
}

int b64_take(uint8_t *out, size_t cap, size_t *n, struct str s)
{
    if (s.n % 4 != 0)
        return -1;
    for (int i = 0; i < 2 && s.n > 0 && s.p[s.n - 1] == '='; i++)
        s.n--;
    return b64_decode(out, cap, n, s, alphabet_std);
}

size_t b64url_len(size_t n)
{
    return n / 3 * 4 + (n % 3 == 0 ? 0 : n % 3 + 1);
}

void b64url_put(char *out, struct span s)
{
    b64_encode(out, s, alphabet_url, false);
}

int b64url_take(uint8_t *out, size_t cap, size_t *n, struct str s)
{
    return b64_decode(out, cap, n, s, alphabet_url);
}

static bool unreserved(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void wr_percent(struct wr *w, struct str s)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        const char hex[] = {'%', digits[c >> 4], digits[c & 15]};
        if (unreserved(c))
            wr_u8(w, c);
        else
            wr_put(w, hex, sizeof hex);
    }
}

static int upper_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int percent_take(struct str *out, struct wr *w, struct str s)
{
    size_t start = w->len;

    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (!unreserved(c)) {
            int high = c == '%' && s.n - i > 2 ? upper_digit(s.p[i + 1]) : -1;
            int low = high < 0 ? -1 : upper_digit(s.p[i + 2]);
            if (low < 0 || unreserved((uint8_t)(high << 4 | low)))
                return -1;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        wr_u8(w, c);
    }
    *out = w->bad ? (struct str){NULL, 0} : str_from(w->buf + start, w->len - start);
    return w->bad ? -1 : 0;
}
