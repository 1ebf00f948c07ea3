/* text.h -- text of people: is it UTF-8, which form, how wide; and cleaned for the eyes.
 *
 * Everything a peer chose passes text_clean on its way to a screen, log, notification or title.
 * Unicode data comes from utf8proc; nothing here asks the locale. */
#ifndef COMMON_UTIL_TEXT_H
#define COMMON_UTIL_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/bytes.h"

/* Well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong, at most U+10FFFF). */
bool text_utf8_ok(struct str s);

/* The code point at the front, and its bytes in *n. Ill-formed: -1 with *n 1; empty: -1 with 0. */
int32_t text_next(struct str s, size_t *n);
size_t text_put(char out[4], int32_t point); /* writes it as UTF-8; gives 1 to 4 */
size_t text_points(struct str s);            /* code points; s is well-formed */

/* Unicode forms. out gets at most cap - 1 bytes and a NUL, *n is without it. -1: s is not UTF-8,
 * holds U+0000, or does not fit (out is then wiped). */
int text_nfc(char *out, size_t cap, size_t *n, struct str s) MUST_USE;
int text_fold(char *out, size_t cap, size_t *n, struct str s) MUST_USE; /* NFKC, case folded */

/* What kind of character it is, as far as names and marks need to know. */
enum text_class { TEXT_LETTER, TEXT_MARK, TEXT_DIGIT, TEXT_OTHER };

enum text_class text_class(int32_t point);
/* Its full canonical decomposition (NFD), at most TEXT_PARTS_MAX points; gives how many. */
enum { TEXT_PARTS_MAX = 8 };
size_t text_decompose(int32_t out[TEXT_PARTS_MAX], int32_t point);

/* What text_clean does with a newline. */
enum text_lines {
    TEXT_ONE_LINE, /* shown as ^J */
    TEXT_LINES,    /* kept */
};

enum { TEXT_CLEAN_GROWS = 4, TEXT_MARKS_MAX = 4 };

/* Writes what may be shown of any bytes, at most cap - 1 bytes and a NUL, never half a character:
 * C0, DEL -> ^X, C1 -> <9B>, bytes that are no UTF-8 -> <FF>; controls of direction, invisible,
 * tag and annotation characters -> <U+202E>; of marks on one base only TEXT_MARKS_MAX stay.
 * Gives the length. A cap of TEXT_CLEAN_GROWS * s.n + 1 cuts nothing. */
size_t text_clean(char *out, size_t cap, struct str s, enum text_lines lines);

/* A sentence of ours with words of others in it: printf, and the whole of it cleaned as one line.
 * At most TEXT_FORMAT_MAX - 1 bytes before cleaning, then as text_clean. Gives the length. */
enum { TEXT_FORMAT_MAX = 4096 + 512 }; /* a path and some words */
size_t text_format(char *out, size_t cap, const char *fmt, ...) PRINTF_LIKE(3, 4);
size_t text_vformat(char *out, size_t cap, const char *fmt, va_list ap) PRINTF_LIKE(3, 0);

/* Columns on a terminal of well-formed, cleaned text without newline. */
size_t text_width(struct str s);
/* Bytes of the first grapheme cluster of well-formed text, and its columns (0, 1 or 2); 0 when
 * s is empty. width may be NULL. */
size_t text_cluster(struct str s, unsigned *width);
/* Bytes of the longest run of whole clusters that needs at most `columns`. */
size_t text_fit(struct str s, size_t columns);

#endif
