#include "common/chat/fields.h"

#include <string.h>

/* --- the struct's members by offset --- */

static void *to(void *body, size_t at)
{
    return (char *)body + at;
}

static const void *from(const void *body, size_t at)
{
    return (const char *)body + at;
}

static bool line_ok(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    }
    return true;
}

/* --- decoding --- */

static void word_take(struct jget *g, const struct field *f, void *out)
{
    struct str s = jget_str(g, f->key, 1, SIZE_MAX);

    for (int i = 0; g->node != NULL && f->words[i] != NULL; i++) {
        if (!str_is(s, f->words[i]))
            continue;
        if (f->kind == FIELD_WORD)
            memcpy(out, &i, sizeof i);
        return;
    }
    jget_fail(g, f->key, "is none of its words");
}

static void line_take(struct jget *g, const struct field *f, void *out)
{
    struct str s = jget_str(g, f->key, f->min, f->max);

    if (!line_ok(s))
        jget_fail(g, f->key, "holds a control byte");
    memcpy(out, &s, sizeof s);
}

static void *array_memory(struct jget *g, const struct field *f, void *body, size_t n, size_t each)
{
    void *p = NULL;

    if (g->node != NULL && n < f->min)
        jget_fail(g, f->key, "has too few elements");
    if (g->node == NULL || n == 0)
        return NULL;
    p = json_alloc(g->tree, n * each);
    if (p == NULL) {
        (void)err_set(g->e, ERR_LOCAL, "no memory for a frame");
        g->node = NULL;
        return NULL;
    }
    memcpy(to(body, f->at), &p, sizeof p);
    memcpy(to(body, f->extra), &n, sizeof n);
    return p;
}

static void objs_take(struct jget *g, const struct field *f, void *body)
{
    struct jarr a = jget_arr(g, f->key, f->max);
    size_t n = a.n;
    char *p = array_memory(g, f, body, n, f->sub->size);

    for (size_t i = 0; p != NULL && i < n && g->node != NULL; i++) {
        struct jget element = jarr_obj(&a);
        if (shape_take(&element, f->sub, p + i * f->sub->size) < 0)
            g->node = NULL;
    }
}

static void strs_take(struct jget *g, const struct field *f, void *body)
{
    struct jarr a = jget_arr(g, f->key, f->max);
    size_t n = a.n;
    struct str *p = array_memory(g, f, body, n, sizeof *p);

    for (size_t i = 0; p != NULL && i < n; i++)
        p[i] = jarr_str(&a, 1, FEATURE_MAX);
}

static void ders_take(struct jget *g, const struct field *f, void *body)
{
    struct jarr a = jget_arr(g, f->key, f->max);
    size_t n = a.n;
    struct span *p = array_memory(g, f, body, n, sizeof *p);

    for (size_t i = 0; p != NULL && i < n; i++)
        p[i] = jarr_bytes(&a, 1, CERT_MAX);
}

static void obj_take(struct jget *g, const struct field *f, void *out)
{
    struct jget sub = jget_obj(g, f->key);

    if (g->node != NULL && shape_take(&sub, f->sub, out) < 0)
        g->node = NULL;
}

static void field_take(struct jget *g, const struct field *f, void *body)
{
    void *out = to(body, f->at);

    switch (f->kind) {
    case FIELD_U64: memcpy(out, &(uint64_t){jget_u64(g, f->key, f->min, f->max)}, 8); break;
    case FIELD_BOOL: *(bool *)out = jget_bool(g, f->key); break;
    case FIELD_STR: *(struct str *)out = jget_str(g, f->key, f->min, f->max); break;
    case FIELD_LINE: line_take(g, f, out); break;
    case FIELD_WORD:
    case FIELD_CONST: word_take(g, f, out); break;
    case FIELD_HEX: jget_hex(g, f->key, out, f->min); break;
    case FIELD_B64: jget_b64(g, f->key, out, f->min); break;
    case FIELD_BYTES: *(struct span *)out = jget_bytes(g, f->key, f->min, f->max); break;
    case FIELD_OBJ: obj_take(g, f, out); break;
    case FIELD_OBJS: objs_take(g, f, body); break;
    case FIELD_STRS: strs_take(g, f, body); break;
    case FIELD_DERS: ders_take(g, f, body); break;
    }
}

int shape_take(struct jget *g, const struct shape *shape, void *body)
{
    memset(body, 0, shape->size);
    for (size_t i = 0; i < shape->n; i++) {
        const struct field *f = &shape->fields[i];
        if (f->when != FIELD_ALWAYS && g->node != NULL && !jget_has(*g, f->key))
            continue;
        if (f->when == FIELD_IF_HAS)
            *(bool *)to(body, f->extra) = true;
        field_take(g, f, body);
    }
    if (jget_done(g) < 0)
        return -1;
    return shape->rule == NULL ? 0 : shape->rule(body, g->e);
}

/* --- encoding: the same bounds, as our own mistakes --- */

static int put_fail(const struct field *f, struct err *e)
{
    return err_set(e, ERR_LOCAL, "\"%s\" is out of bounds, not sent",
                   f->key == NULL ? "element" : f->key);
}

static bool within(const struct field *f, uint64_t n)
{
    return n >= f->min && n <= f->max;
}

static int str_put(struct jput *w, const struct field *f, const void *in, struct err *e)
{
    struct str s;

    memcpy(&s, in, sizeof s);
    if (!within(f, s.n) || (f->kind == FIELD_LINE && !line_ok(s)))
        return put_fail(f, e);
    jput_str(w, f->key, s);
    return 0;
}

static int word_put(struct jput *w, const struct field *f, const void *in, struct err *e)
{
    int want = 0, i = 0;

    if (f->kind == FIELD_WORD)
        memcpy(&want, in, sizeof want);
    while (i < want && f->words[i] != NULL)
        i++;
    if (want < 0 || f->words[i] == NULL)
        return put_fail(f, e);
    jput_str(w, f->key, str_of(f->words[i]));
    return 0;
}

static int u64_put(struct jput *w, const struct field *f, const void *in, struct err *e)
{
    uint64_t v;

    memcpy(&v, in, sizeof v);
    if (!within(f, v))
        return put_fail(f, e);
    jput_u64(w, f->key, v);
    return 0;
}

static int bytes_put(struct jput *w, const struct field *f, const void *in, struct err *e)
{
    struct span s;

    memcpy(&s, in, sizeof s);
    if (!within(f, s.n))
        return put_fail(f, e);
    jput_b64(w, f->key, s);
    return 0;
}

/* One element, which every kind of array writes in its own way. */
static int element_put(struct jput *w, const struct field *f, const void *p, size_t i,
                       struct err *e)
{
    const struct field str = {NULL, FIELD_STR, .min = 1, .max = FEATURE_MAX};
    const struct field der = {NULL, FIELD_BYTES, .min = 1, .max = CERT_MAX};
    int ret = 0;

    if (f->kind == FIELD_STRS)
        return str_put(w, &str, (const struct str *)p + i, e) < 0 ? put_fail(f, e) : 0;
    if (f->kind == FIELD_DERS)
        return bytes_put(w, &der, (const struct span *)p + i, e) < 0 ? put_fail(f, e) : 0;
    jput_open(w, NULL, '{');
    ret = shape_put(w, f->sub, from(p, i * f->sub->size), e);
    jput_close(w, '}');
    return ret;
}

static int array_put(struct jput *w, const struct field *f, const void *body, struct err *e)
{
    const void *p;
    size_t n;
    int ret = 0;

    memcpy(&p, from(body, f->at), sizeof p);
    memcpy(&n, from(body, f->extra), sizeof n);
    if (n > f->max || (f->kind == FIELD_DERS && n < f->min))
        return put_fail(f, e);
    jput_open(w, f->key, '[');
    for (size_t i = 0; i < n && ret == 0; i++)
        ret = element_put(w, f, p, i, e);
    jput_close(w, ']');
    return ret;
}

static int obj_put(struct jput *w, const struct field *f, const void *in, struct err *e)
{
    int ret;

    jput_open(w, f->key, '{');
    ret = shape_put(w, f->sub, in, e);
    jput_close(w, '}');
    return ret;
}

static int field_put(struct jput *w, const struct field *f, const void *body, struct err *e)
{
    const void *in = from(body, f->at);

    switch (f->kind) {
    case FIELD_U64: return u64_put(w, f, in, e);
    case FIELD_STR:
    case FIELD_LINE: return str_put(w, f, in, e);
    case FIELD_WORD:
    case FIELD_CONST: return word_put(w, f, in, e);
    case FIELD_BYTES: return bytes_put(w, f, in, e);
    case FIELD_OBJ: return obj_put(w, f, in, e);
    case FIELD_OBJS:
    case FIELD_STRS:
    case FIELD_DERS: return array_put(w, f, body, e);
    case FIELD_BOOL: jput_bool(w, f->key, *(const bool *)in); break;
    case FIELD_HEX: jput_hex(w, f->key, span_of(in, f->min)); break;
    case FIELD_B64: jput_b64(w, f->key, span_of(in, f->min)); break;
    }
    return 0;
}

static bool is_left_out(const struct field *f, const void *body)
{
    const void *in = from(body, f->at);

    if (f->when == FIELD_IF_HAS)
        return !*(const bool *)from(body, f->extra);
    if (f->when != FIELD_IF_ANY)
        return false;
    if (f->kind == FIELD_U64)
        return *(const uint64_t *)in == 0;
    if (f->kind == FIELD_BOOL)
        return !*(const bool *)in;
    if (f->kind == FIELD_BYTES)
        return ((const struct span *)in)->n == 0;
    return ((const struct str *)in)->n == 0;
}

int shape_put(struct jput *w, const struct shape *shape, const void *body, struct err *e)
{
    if (shape->rule != NULL && shape->rule(body, e) < 0)
        return -1;
    for (size_t i = 0; i < shape->n; i++) {
        const struct field *f = &shape->fields[i];
        if (!is_left_out(f, body) && field_put(w, f, body, e) < 0)
            return -1;
    }
    return 0;
}
