#include "common/chat/json.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/crypto.h"
#include "common/util/text.h"

/* --- the scanner --- */

struct scan {
    const uint8_t *s;
    size_t n, at, nodes;
    struct err *e;
};

struct key_seen {
    size_t n;
    char b[JSON_KEY_MAX]; /* unescaped: never longer than written */
};

static int scan_value(struct scan *s, unsigned depth);

static int scan_fail(struct scan *s, const char *what)
{
    return err_set(s->e, ERR_PEER, "JSON: %s at byte %zu", what, s->at);
}

/* The byte at hand; -1 at the end. */
static int scan_peek(const struct scan *s)
{
    return s->at < s->n ? s->s[s->at] : -1;
}

static bool scan_is(struct scan *s, char c)
{
    if (scan_peek(s) != c)
        return false;
    s->at++;
    return true;
}

static void scan_space(struct scan *s)
{
    while (s->at < s->n && memchr(" \t\n\r", s->s[s->at], 4) != NULL)
        s->at++;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static int scan_hex4(struct scan *s, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        int c = scan_peek(s);
        int lower = c | 0x20;
        if (is_digit(c))
            *out = *out << 4 | (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            *out = *out << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return scan_fail(s, "not four hexadecimal digits");
        s->at++;
    }
    return 0;
}

/* Behind "\u". */
static int scan_unicode(struct scan *s, int32_t *out)
{
    uint32_t high, low;

    if (scan_hex4(s, &high) < 0)
        return -1;
    if (high == 0)
        return scan_fail(s, "U+0000");
    *out = (int32_t)high;
    if (high < 0xd800 || high > 0xdfff)
        return 0;
    if (high > 0xdbff || !scan_is(s, '\\') || !scan_is(s, 'u'))
        return scan_fail(s, "half a surrogate pair");
    if (scan_hex4(s, &low) < 0)
        return -1;
    if (low < 0xdc00 || low > 0xdfff)
        return scan_fail(s, "half a surrogate pair");
    *out = (int32_t)(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
    return 0;
}

/* Behind a backslash. */
static int scan_escape(struct scan *s, int32_t *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int c = scan_peek(s);
    const char *at = c > 0 ? strchr(from, c) : NULL;

    if (c == 'u') {
        s->at++;
        return scan_unicode(s, out);
    }
    if (at == NULL)
        return scan_fail(s, "not an escape");
    s->at++;
    *out = to[at - from];
    return 0;
}

/* One character inside a string. */
static int scan_char(struct scan *s, int32_t *out)
{
    size_t n = 0;
    struct str rest = str_from(s->s + s->at, s->n - s->at);

    if (scan_is(s, '\\'))
        return scan_escape(s, out);
    *out = text_next(rest, &n);
    if (n == 0)
        return scan_fail(s, "a string without end");
    if (*out < 0)
        return scan_fail(s, "not UTF-8");
    if (*out < 0x20)
        return scan_fail(s, "a control byte in a string");
    s->at += n;
    return 0;
}

/* key NULL: a value, whose text is not wanted. */
static int scan_string(struct scan *s, struct key_seen *key)
{
    int32_t point = 0;

    if (!scan_is(s, '"'))
        return scan_fail(s, "not a string");
    size_t start = s->at;
    while (!scan_is(s, '"')) {
        char utf8[4];
        if (scan_char(s, &point) < 0)
            return -1;
        if (key == NULL)
            continue;
        if (s->at - start > JSON_KEY_MAX)
            return scan_fail(s, "a key too long");
        size_t n = text_put(utf8, point);
        memcpy(key->b + key->n, utf8, n);
        key->n += n;
    }
    return 0;
}

static int scan_number(struct scan *s)
{
    uint64_t v = 0;
    size_t start;

    (void)scan_is(s, '-');
    start = s->at;
    for (; is_digit(scan_peek(s)); s->at++) {
        if (s->at - start >= 16)
            return scan_fail(s, "a number too large");
        v = v * 10 + (uint64_t)(scan_peek(s) - '0');
    }
    if (s->at == start)
        return scan_fail(s, "not a value");
    if (s->s[start] == '0' && s->at - start > 1)
        return scan_fail(s, "a number with a leading zero");
    if (v > JSON_INT_MAX)
        return scan_fail(s, "a number too large");
    int c = scan_peek(s);
    return c == '.' || c == 'e' || c == 'E' ? scan_fail(s, "a number that is no integer") : 0;
}

static int scan_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);

    if (s->n - s->at < n || memcmp(s->s + s->at, word, n) != 0)
        return scan_fail(s, "not a value");
    s->at += n;
    return 0;
}

static int scan_array(struct scan *s, unsigned depth)
{
    scan_space(s);
    if (scan_is(s, ']'))
        return 0;
    do {
        scan_space(s);
        if (scan_value(s, depth) < 0)
            return -1;
        scan_space(s);
    } while (scan_is(s, ','));
    return scan_is(s, ']') ? 0 : scan_fail(s, "neither , nor ]");
}

static bool key_known(const struct key_seen *seen, size_t n)
{
    const struct key_seen *last = &seen[n];

    for (size_t i = 0; i < n; i++) {
        if (seen[i].n == last->n && memcmp(seen[i].b, last->b, last->n) == 0)
            return true;
    }
    return false;
}

/* "key": value, and the comma or bracket behind is the caller's. */
static int scan_pair(struct scan *s, unsigned depth, struct key_seen *keys, size_t n)
{
    if (n == JSON_KEYS_MAX)
        return scan_fail(s, "too many keys in an object");
    keys[n].n = 0;
    scan_space(s);
    if (scan_string(s, &keys[n]) < 0)
        return -1;
    if (key_known(keys, n))
        return scan_fail(s, "a key given twice");
    scan_space(s);
    if (!scan_is(s, ':'))
        return scan_fail(s, "no : behind a key");
    scan_space(s);
    return scan_value(s, depth);
}

static int scan_object(struct scan *s, unsigned depth)
{
    struct key_seen keys[JSON_KEYS_MAX];
    size_t n = 0;

    scan_space(s);
    if (scan_is(s, '}'))
        return 0;
    do {
        if (scan_pair(s, depth, keys, n++) < 0)
            return -1;
        scan_space(s);
    } while (scan_is(s, ','));
    return scan_is(s, '}') ? 0 : scan_fail(s, "neither , nor }");
}

static int scan_value(struct scan *s, unsigned depth)
{
    int c = scan_peek(s);

    if (++s->nodes > JSON_NODES_MAX)
        return scan_fail(s, "too many values");
    if (c == '{' || c == '[') {
        if (depth == JSON_DEPTH)
            return scan_fail(s, "nested too deep");
        s->at++;
        return c == '{' ? scan_object(s, depth + 1) : scan_array(s, depth + 1);
    }
    switch (c) {
    case '"': return scan_string(s, NULL);
    case 't': return scan_word(s, "true");
    case 'f': return scan_word(s, "false");
    case 'n': return scan_word(s, "null");
    default: return scan_number(s);
    }
}

int json_scan(struct span in, struct err *e)
{
    struct scan s = {in.p, in.n, 0, 0, e};

    scan_space(&s);
    if (scan_peek(&s) != '{')
        return scan_fail(&s, "not an object");
    if (scan_value(&s, 0) < 0)
        return -1;
    scan_space(&s);
    return s.at == s.n ? 0 : scan_fail(&s, "something behind the object");
}

/* --- the tree --- */

struct block {
    struct block *next;
    size_t n;
    max_align_t data[];
};

struct json {
    cJSON *root;
    struct block *blocks;
};

struct json *json_parse(struct span s, struct err *e)
{
    struct json *j = NULL;

    if (json_scan(s, e) < 0)
        return NULL;
    j = calloc(1, sizeof *j);
    if (j != NULL)
        j->root = cJSON_ParseWithLength((const char *)s.p, s.n);
    if (j == NULL || j->root == NULL) {
        free(j);
        (void)err_set(e, ERR_LOCAL, "no memory for a frame");
        return NULL;
    }
    return j;
}

/* Passwords do not travel, but tokens and proofs do. As deep as the scanner let it be. */
static void tree_wipe(cJSON *node)
{
    for (; node != NULL; node = node->next) {
        if (node->valuestring != NULL)
            wipe(node->valuestring, strlen(node->valuestring));
        tree_wipe(node->child);
    }
}

void json_free(struct json *j)
{
    if (j == NULL)
        return;
    tree_wipe(j->root);
    cJSON_Delete(j->root);
    while (j->blocks != NULL) {
        struct block *b = j->blocks;
        j->blocks = b->next;
        wipe(b->data, b->n);
        free(b);
    }
    free(j);
}

void *json_alloc(struct json *j, size_t n)
{
    struct block *b = n > SIZE_MAX / 2 ? NULL : calloc(1, sizeof *b + n);

    if (b == NULL)
        return NULL;
    b->n = n;
    b->next = j->blocks;
    j->blocks = b;
    return b->data;
}

/* --- getters --- */

struct jget jget_of(struct json *j, struct err *e)
{
    return (struct jget){j, j->root, e};
}

static const cJSON *find(const struct jget *g, const char *key)
{
    return g->node == NULL ? NULL : cJSON_GetObjectItemCaseSensitive(g->node, key);
}

void jget_fail(struct jget *g, const char *key, const char *what)
{
    if (g->node != NULL)
        (void)err_set(g->e, ERR_PEER, "\"%s\" %s", key, what);
    g->node = NULL;
}

bool jget_has(struct jget g, const char *key)
{
    return find(&g, key) != NULL;
}

static struct str str_within(struct jget *g, const char *key, const cJSON *v, size_t min,
                             size_t max)
{
    struct str s = str_of(v != NULL && cJSON_IsString(v) ? v->valuestring : NULL);

    if (s.p == NULL)
        jget_fail(g, key, "is missing or no text");
    else if (s.n < min || s.n > max)
        jget_fail(g, key, "is too short or too long");
    return g->node == NULL ? str_of(NULL) : s;
}

struct str jget_str(struct jget *g, const char *key, size_t min, size_t max)
{
    return str_within(g, key, find(g, key), min, max);
}

uint64_t jget_u64(struct jget *g, const char *key, uint64_t min, uint64_t max)
{
    const cJSON *v = find(g, key);

    if (v == NULL || !cJSON_IsNumber(v) || v->valuedouble < 0)
        jget_fail(g, key, "is missing or no number");
    else if ((uint64_t)v->valuedouble < min || (uint64_t)v->valuedouble > max)
        jget_fail(g, key, "is out of bounds");
    return g->node == NULL ? 0 : (uint64_t)v->valuedouble;
}

bool jget_bool(struct jget *g, const char *key)
{
    const cJSON *v = find(g, key);

    if (v == NULL || !cJSON_IsBool(v))
        jget_fail(g, key, "is missing or neither true nor false");
    return g->node != NULL && cJSON_IsTrue(v);
}

void jget_hex(struct jget *g, const char *key, void *out, size_t n)
{
    struct str s = jget_str(g, key, 0, SIZE_MAX);

    memset(out, 0, n);
    if (g->node != NULL && hex_take(out, n, s) < 0)
        jget_fail(g, key, "is not lower-case hex of its length");
}

static struct span bytes_within(struct jget *g, const char *key, struct str s, size_t min,
                                size_t max)
{
    size_t n = 0;
    uint8_t *p = NULL;

    if (g->node == NULL)
        return span_of(NULL, 0);
    p = json_alloc(g->tree, s.n / 4 * 3 + 1);
    if (p == NULL) {
        (void)err_set(g->e, ERR_LOCAL, "no memory for a frame");
        g->node = NULL;
    } else if (b64_take(p, s.n / 4 * 3 + 1, &n, s) < 0) {
        jget_fail(g, key, "is not canonical base64");
    } else if (n < min || n > max) {
        jget_fail(g, key, "has too few or too many bytes");
    }
    return g->node == NULL ? span_of(NULL, 0) : span_of(p, n);
}

struct span jget_bytes(struct jget *g, const char *key, size_t min, size_t max)
{
    return bytes_within(g, key, jget_str(g, key, 0, SIZE_MAX), min, max);
}

void jget_b64(struct jget *g, const char *key, void *out, size_t n)
{
    struct span s = jget_bytes(g, key, n, n);

    memset(out, 0, n);
    if (s.p != NULL)
        memcpy(out, s.p, n);
}

struct jget jget_obj(struct jget *g, const char *key)
{
    const cJSON *v = find(g, key);

    if (v == NULL || !cJSON_IsObject(v)) {
        jget_fail(g, key, "is missing or no object");
        return *g;
    }
    return (struct jget){g->tree, v, g->e};
}

struct jarr jget_arr(struct jget *g, const char *key, size_t max)
{
    const cJSON *v = find(g, key);
    struct jarr a = {g, key, NULL, 0};

    if (v == NULL || !cJSON_IsArray(v)) {
        jget_fail(g, key, "is missing or no array");
        return a;
    }
    a.n = (size_t)cJSON_GetArraySize(v);
    if (a.n > max) {
        jget_fail(g, key, "has too many elements");
        a.n = 0;
        return a;
    }
    a.next = v->child;
    return a;
}

static const cJSON *jarr_next(struct jarr *a)
{
    const cJSON *v = a->next;

    a->next = v == NULL ? NULL : v->next;
    return v;
}

struct jget jarr_obj(struct jarr *a)
{
    const cJSON *v = jarr_next(a);

    if (v == NULL || !cJSON_IsObject(v)) {
        jget_fail(a->of, a->key, "holds something that is no object");
        return *a->of;
    }
    return (struct jget){a->of->tree, v, a->of->e};
}

struct str jarr_str(struct jarr *a, size_t min, size_t max)
{
    return str_within(a->of, a->key, jarr_next(a), min, max);
}

struct span jarr_bytes(struct jarr *a, size_t min, size_t max)
{
    struct str s = jarr_str(a, 0, SIZE_MAX);
    return bytes_within(a->of, a->key, s, min, max);
}

int jget_done(const struct jget *g)
{
    return g->node != NULL && g->e->code == ERR_NONE ? 0 : -1;
}

/* --- writer --- */

struct jput jput_of(struct buf *b)
{
    return (struct jput){b, false, false};
}

static void put_raw(struct jput *w, const void *p, size_t n)
{
    if (!w->bad && buf_add(w->b, p, n) < 0)
        w->bad = true;
}

static void put_char(struct jput *w, char c)
{
    put_raw(w, &c, 1);
}

/* Comma, key and colon: whatever comes before a value. Keys are ours and need no escapes. */
static void put_key(struct jput *w, const char *key)
{
    if (w->more)
        put_char(w, ',');
    w->more = true;
    if (key == NULL)
        return;
    put_char(w, '"');
    put_raw(w, key, strlen(key));
    put_raw(w, "\":", 2);
}

void jput_open(struct jput *w, const char *key, char bracket)
{
    put_key(w, key);
    put_char(w, bracket);
    w->more = false;
}

void jput_close(struct jput *w, char bracket)
{
    put_char(w, bracket);
    w->more = true;
}

static bool plain(char c)
{
    return (unsigned char)c >= 0x20 && c != '"' && c != '\\';
}

static void put_escaped(struct jput *w, char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    static const char digit[] = "0123456789abcdef";
    const char *at = strchr(from, c);

    if (c != '\0' && at != NULL)
        put_raw(w, (const char[]){'\\', to[at - from]}, 2);
    else
        put_raw(w, (const char[]){'\\', 'u', '0', '0', digit[c >> 4], digit[c & 15]}, 6);
}

void jput_str(struct jput *w, const char *key, struct str s)
{
    put_key(w, key);
    if (!text_utf8_ok(s) || (s.n > 0 && memchr(s.p, 0, s.n) != NULL))
        w->bad = true;
    put_char(w, '"');
    for (size_t i = 0; i < s.n && !w->bad;) {
        size_t run = 0;
        while (i + run < s.n && plain(s.p[i + run]))
            run++;
        put_raw(w, s.p + i, run);
        i += run;
        if (i < s.n)
            put_escaped(w, s.p[i++]);
    }
    put_char(w, '"');
}

void jput_u64(struct jput *w, const char *key, uint64_t v)
{
    char digits[20];
    size_t at = sizeof digits;

    put_key(w, key);
    w->bad = w->bad || v > JSON_INT_MAX;
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    put_raw(w, digits + at, sizeof digits - at);
}

void jput_i64(struct jput *w, const char *key, int64_t v)
{
    if (v >= 0) {
        jput_u64(w, key, (uint64_t)v);
        return;
    }
    put_key(w, key);
    put_char(w, '-');
    w->more = false; /* the digits belong to the sign */
    jput_u64(w, NULL, 0 - (uint64_t)v);
}

void jput_bool(struct jput *w, const char *key, bool v)
{
    put_key(w, key);
    put_raw(w, v ? "true" : "false", v ? 4 : 5);
}

void jput_null(struct jput *w, const char *key)
{
    put_key(w, key);
    put_raw(w, "null", 4);
}

/* Room for n characters and the NUL that hex_put and b64_put write, in quotes. */
static char *put_quoted(struct jput *w, const char *key, size_t n)
{
    uint8_t *to = NULL;

    put_key(w, key);
    put_char(w, '"');
    if (!w->bad)
        to = buf_room(w->b, n + 1);
    w->bad = to == NULL;
    return (char *)to;
}

void jput_hex(struct jput *w, const char *key, struct span s)
{
    char *to = put_quoted(w, key, 2 * s.n);

    if (to == NULL)
        return;
    hex_put(to, s);
    to[2 * s.n] = '"'; /* where the NUL was */
}

void jput_b64(struct jput *w, const char *key, struct span s)
{
    char *to = put_quoted(w, key, b64_len(s.n));

    if (to == NULL)
        return;
    b64_put(to, s);
    to[b64_len(s.n)] = '"';
}

int jput_done(const struct jput *w)
{
    return w->bad ? -1 : 0;
}
