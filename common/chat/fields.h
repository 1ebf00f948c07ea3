/* fields.h -- one table row per field of a frame; encoder and decoder walk the same rows.
 *
 * Inside common/chat only: proto.c holds the tables. */
#ifndef COMMON_CHAT_FIELDS_H
#define COMMON_CHAT_FIELDS_H

#include "common/chat/json.h"

enum field_kind {
    FIELD_U64,   /* uint64_t, or a time in int64_t: min..max */
    FIELD_BOOL,  /* bool */
    FIELD_STR,   /* struct str of min..max bytes */
    FIELD_LINE,  /* the same without control bytes */
    FIELD_WORD,  /* an enum: the place in words */
    FIELD_CONST, /* always words[0], nothing in the struct */
    FIELD_HEX,   /* min bytes in the struct */
    FIELD_B64,   /* min bytes in the struct */
    FIELD_BYTES, /* struct span of min..max bytes, base64 */
    FIELD_OBJ,   /* the struct of sub, in place */
    FIELD_OBJS,  /* pointer to structs of sub, at most max of them; their number at `extra` */
    FIELD_STRS,  /* pointer to struct str of min..FEATURE_MAX bytes, at most max */
    FIELD_DERS,  /* pointer to struct span of 1..CERT_MAX bytes, min..max of them */
};

enum field_when {
    FIELD_ALWAYS,
    FIELD_IF_ANY, /* left out when 0, false or empty */
    FIELD_IF_HAS, /* left out when the bool at `extra` is false */
};

struct field {
    const char *key;
    enum field_kind kind;
    enum field_when when;
    size_t at, extra; /* offsets in the struct */
    uint64_t min, max;
    const struct shape *sub;
    const char *const *words; /* ends with NULL */
};

struct shape {
    const struct field *fields;
    size_t n, size;                               /* rows; bytes of the struct */
    int (*rule)(const void *body, struct err *e); /* what no single row can say; may be NULL */
};

/* body: shape->size bytes, which are filled in. Points into g's tree. */
int shape_take(struct jget *g, const struct shape *shape, void *body) MUST_USE;
/* Writes the fields (not the braces); ERR_LOCAL when a value is out of bounds. */
int shape_put(struct jput *w, const struct shape *shape, const void *body, struct err *e) MUST_USE;

#endif
