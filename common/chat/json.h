/* json.h -- strict JSON: one scan over the bytes by the rules of docs/protocol.md 2, and only then
 * cJSON builds the tree (it alone takes 01, duplicate keys, bad UTF-8 and cuts at U+0000).
 *
 * A struct json owns everything its getters return. Getters fail stickily: a decoder is a list of
 * fields with one jget_done at the end. The writer makes minimal JSON that the scanner accepts. */
#ifndef COMMON_CHAT_JSON_H
#define COMMON_CHAT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

#define JSON_INT_MAX EXACT_INT_MAX

/* Is it one JSON object and nothing else, by the strict rules? 0, or -1 and e (ERR_PEER) with the
 * offset. Needs no memory but its stack. */
int json_scan(struct span s, struct err *e) MUST_USE;

struct json; /* a tree, and memory that lives as long */

struct json *json_parse(struct span s, struct err *e); /* NULL and e (ERR_PEER, ERR_LOCAL) */
void json_free(struct json *j);                        /* wipes; NULL is fine */
void *json_alloc(struct json *j, size_t n);            /* zeros, freed with j; NULL: no memory */

/* One object of the tree being read. e is clean at first; all that comes from one
 * root shares it. */
struct jget {
    struct json *tree;
    const void *node; /* NULL after a failure: later getters do nothing */
    struct err *e;
};

struct jget jget_of(struct json *j, struct err *e); /* the root object */
bool jget_has(struct jget g, const char *key);
/* Each wants the key to be there with that type and within its bounds; else notes so in e, returns
 * an empty value and makes g fail. Lengths of text in bytes. */
struct str jget_str(struct jget *g, const char *key, size_t min, size_t max);
uint64_t jget_u64(struct jget *g, const char *key, uint64_t min, uint64_t max);
bool jget_bool(struct jget *g, const char *key);
void jget_hex(struct jget *g, const char *key, void *out, size_t n); /* exactly n bytes */
void jget_b64(struct jget *g, const char *key, void *out, size_t n); /* exactly n bytes */
struct span jget_bytes(struct jget *g, const char *key, size_t min, size_t max); /* base64 */
struct jget jget_obj(struct jget *g, const char *key);
/* An array of at most max elements; *n of them. jarr_next walks it: text, base64 or objects. */
struct jarr {
    struct jget *of;
    const char *key;
    const void *next;
    size_t n;
};
struct jarr jget_arr(struct jget *g, const char *key, size_t max);
struct jget jarr_obj(struct jarr *a);
struct str jarr_str(struct jarr *a, size_t min, size_t max);
struct span jarr_bytes(struct jarr *a, size_t min, size_t max);
void jget_fail(struct jget *g, const char *key, const char *what); /* "key" what */
int jget_done(const struct jget *g) MUST_USE;                      /* 0, or -1: see e */

/* Writer. Sticky: jput_done says whether everything fitted. */
struct jput {
    struct buf *b;
    bool more; /* a comma is due before the next value */
    bool bad;
};

struct jput jput_of(struct buf *b);
/* key NULL: the element of an array, or the whole. */
void jput_open(struct jput *w, const char *key, char bracket); /* '{' or '[' */
void jput_close(struct jput *w, char bracket);                 /* '}' or ']' */
void jput_str(struct jput *w, const char *key,
              struct str s);                                /* bad when s is not UTF-8 or has NUL */
void jput_u64(struct jput *w, const char *key, uint64_t v); /* bad above JSON_INT_MAX */
void jput_i64(struct jput *w, const char *key, int64_t v);
void jput_bool(struct jput *w, const char *key, bool v);
void jput_null(struct jput *w, const char *key);
void jput_hex(struct jput *w, const char *key, struct span s);
void jput_b64(struct jput *w, const char *key, struct span s);
int jput_done(const struct jput *w) MUST_USE; /* 0 or -1 */

#endif
