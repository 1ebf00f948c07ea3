/* print.h -- output without a screen: JSON, one object per line, or lines for people, cleaned. */
#ifndef CLIENT_PRINT_H
#define CLIENT_PRINT_H

#include "client/core/engine.h"
#include "common/chat/json.h"
#include "common/link/link.h"

/* A JSON line being made; "v":1 and "event" stand in front. */
struct row {
    struct buf b;
    struct jput j;
};

void row_begin(struct row *r, const char *event);
void row_text(struct row *r, const char *key, const char *text); /* NULL: left out */
void row_time(struct row *r, const char *key, int64_t ms);       /* RFC 3339 */
int row_end(struct row *r, struct err *e) MUST_USE;              /* writes it to stdout */

/* printf to stdout for people; what peers said is passed through clean(). */
void print_line(const char *fmt, ...) PRINTF_LIKE(1, 2);
int print_flush(struct err *e) MUST_USE; /* was everything written? */

/* text_clean into a box: keep it as long as the text is used. */
struct clean {
    char *p;
};
const char *clean(struct clean *c, const char *text); /* one line */
const char *clean_lines(struct clean *c, struct str text);
void clean_free(struct clean *c);

/* "EA52 DE48 ...", sixteen groups. */
enum { FP_GROUPS = 16 * 5 };
void fp_groups(char out[FP_GROUPS], const struct hash *fp);

/* --- things that several commands print --- */
int print_step(const struct link_step *s, bool json, struct err *e) MUST_USE;
int print_cert(struct span der, const char *what, bool json, struct err *e) MUST_USE;
int print_entry(const struct engine_entry *t, const char *room, bool json, struct err *e) MUST_USE;

#endif
