/* kv.h -- one line of a log: key=value pairs, machine-readable whatever a peer put into a value.
 *
 *     kv_event(&k, "refused"); kv_str(&k, "why", text); kv_u64(&k, "conn", id);
 *     event=refused why="bad signature" conn=17
 *
 * Values of other bytes than A-Z a-z 0-9 and . _ : / @ + - are quoted; inside quotes only printable
 * ASCII stands for itself, " and \ get a backslash, every other byte is \xNN. So one event is one
 * line (P10). No I/O, no clock. */
#ifndef COMMON_UTIL_KV_H
#define COMMON_UTIL_KV_H

#include "common/util/bytes.h"
#include "common/util/limits.h"

struct kv {
    char line[KV_LINE_MAX]; /* terminated, without LF */
    size_t n;
    bool cut; /* a pair did not fit and was left out */
};

void kv_start(struct kv *k);                    /* an empty line */
void kv_event(struct kv *k, const char *event); /* an empty line, then event=... */
/* key: our own word. A value longer than KV_VALUE_MAX is cut and ends in "...". */
void kv_str(struct kv *k, const char *key, struct str value);
void kv_text(struct kv *k, const char *key, const char *value); /* NULL: the pair is left out */
void kv_u64(struct kv *k, const char *key, uint64_t value);
void kv_i64(struct kv *k, const char *key, int64_t value);
void kv_hex(struct kv *k, const char *key, struct span value);

#endif
