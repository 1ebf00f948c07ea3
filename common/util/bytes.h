/* bytes.h -- bytes read and written without overrun: borrowed spans, a reader, a writer, a buffer.
 *
 * The reader and the writer fail stickily: a decoder is a list of fields with one check at the end.
 * Nothing here exits, logs or does I/O; only struct buf allocates. */
#ifndef COMMON_UTIL_BYTES_H
#define COMMON_UTIL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/err.h"

/* Borrowed bytes: they live as long as what they point into. */
struct span {
    const uint8_t *p;
    size_t n;
};

/* Borrowed text, not terminated by NUL. */
struct str {
    const char *p;
    size_t n;
};

struct span span_of(const void *p, size_t n);
bool span_same(struct span a, struct span b); /* public data only: not in constant time */

struct str str_of(const char *s); /* NULL gives the empty text */
struct str str_from(const void *p, size_t n);
bool str_same(struct str a, struct str b);
bool str_is(struct str a, const char *s);
/* Copies s and a NUL into dst[cap]; -1 when it does not fit (dst is then empty). */
int str_copy(char *dst, size_t cap, struct str s) MUST_USE;
/* Cuts the text before the first `sep` off *rest and returns it; *rest moves behind sep.
 * Without sep the whole rest is returned and *rest becomes empty with p == NULL. */
struct str str_cut(struct str *rest, char sep);
/* Decimal without sign, leading zero or overflow over max; 0 or -1. */
int str_u64(struct str s, uint64_t max, uint64_t *out) MUST_USE;

/* Reader over borrowed bytes. */
struct rd {
    const uint8_t *at, *end;
    bool bad; /* sticky: once short, every later read gives zero */
};

struct rd rd_of(struct span s);
const uint8_t *rd_take(struct rd *r, size_t n); /* n bytes, or NULL and r is bad */
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r); /* big-endian, all of them */
uint32_t rd_u24(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
uint64_t rd_var(struct rd *r); /* RFC 9000 16: up to 2^62 - 1, in its shortest form or bad */
struct span rd_part(struct rd *r, size_t width); /* what wr_part wrote, borrowed */
void rd_copy(struct rd *r, void *out, size_t n); /* n bytes; out stays as it was when r is bad */
struct span rd_rest(struct rd *r);               /* everything that is left */
size_t rd_left(const struct rd *r);              /* 0 when bad */
bool rd_done(const struct rd *r);                /* all read, never short */

/* Writer into a caller's array. */
struct wr {
    uint8_t *buf;
    size_t cap, len;
    bool bad; /* sticky: something did not fit */
};

struct wr wr_of(void *buf, size_t cap);
uint8_t *wr_room(struct wr *w, size_t n); /* n bytes to fill in, or NULL and w is bad */
void wr_put(struct wr *w, const void *p, size_t n);
void wr_u8(struct wr *w, uint8_t v);
void wr_u16(struct wr *w, uint16_t v);
void wr_u32(struct wr *w, uint32_t v);
void wr_u64(struct wr *w, uint64_t v);
void wr_var(struct wr *w, uint64_t v);                   /* what rd_var reads; bad above 2^62 - 1 */
size_t wr_open(struct wr *w, size_t width);              /* leaves a length of 1, 2, 3, 4 bytes */
void wr_close(struct wr *w, size_t start, size_t width); /* ... and writes it */
void wr_part(struct wr *w, size_t width, struct span s); /* a length of 1 or 2 bytes, and s */
struct span wr_span(const struct wr *w);                 /* what was written; empty when bad */

/* A queue of bytes that grows up to a bound: appended at the end, consumed at the front. */
struct buf {
    uint8_t *p;      /* owned; NULL when nothing was ever appended */
    size_t off, len; /* bytes off..off+len are waiting */
    size_t cap, max; /* max: never more than this waits */
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b); /* wipes, frees; usable again after buf_init */
int buf_add(struct buf *b, const void *p, size_t n) MUST_USE; /* -1: bound or memory */
uint8_t *buf_room(struct buf *b, size_t n);      /* n bytes appended uninitialised, or NULL */
void buf_drop(struct buf *b, size_t n);          /* n bytes from the front are done with */
void buf_cut(struct buf *b, size_t len);         /* keep only the first len waiting bytes */
void buf_move(struct buf *to, struct buf *from); /* memory of from, if from is empty, to has none */
struct span buf_span(const struct buf *b);       /* valid until the next call on b */

/* Text of bytes. hex: lower case. base64: RFC 4648 with padding; base64url: without. One canonical
 * form each: decoders refuse white space, wrong padding, trailing bits, other alphabets. */
void hex_put(char *out, struct span s);                      /* 2n + 1 bytes */
int hex_take(uint8_t *out, size_t n, struct str s) MUST_USE; /* exactly 2n lower-case digits */
size_t b64_len(size_t n);                                    /* without the NUL */
void b64_put(char *out, struct span s);                      /* b64_len(n) + 1 bytes */
int b64_take(uint8_t *out, size_t cap, size_t *n, struct str s) MUST_USE;
size_t b64url_len(size_t n);
void b64url_put(char *out, struct span s);
int b64url_take(uint8_t *out, size_t cap, size_t *n, struct str s) MUST_USE;
/* What is not unreserved in a URI (RFC 3986 2.3) as %XX. The reader gives text borrowed from its
 * writer's array. */
void wr_percent(struct wr *w, struct str s);
int percent_take(struct str *out, struct wr *w, struct str s) MUST_USE;

#endif
