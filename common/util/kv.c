#include "common/util/kv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void kv_start(struct kv *k)
{
    k->line[0] = '\0';
    k->n = 0;
    k->cut = false;
}

static bool plain(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("._:/@+-", c) != NULL);
}

static bool all_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!plain((unsigned char)s.p[i]))
            return false;
    return s.n > 0;
}

/* One byte as it stands inside quotes; gives how many characters. */
static size_t escape(char out[5], unsigned char c)
{
    if (c == '"' || c == '\\')
        return (size_t)snprintf(out, 5, "\\%c", c);
    if (c < 0x20 || c > 0x7e)
        return (size_t)snprintf(out, 5, "\\x%02x", c);
    out[0] = (char)c;
    out[1] = '\0';
    return 1;
}

static void add(char *out, size_t *n, const char *p, size_t len)
{
    memcpy(out + *n, p, len);
    *n += len;
}

/* The value as it will stand in the line; at most KV_VALUE_MAX of its bytes. */
static size_t value_put(char out[4 * KV_VALUE_MAX + 8], struct str v)
{
    bool cut = v.n > KV_VALUE_MAX, quoted;
    char piece[5];
    size_t n = 0;

    if (cut)
        v.n = KV_VALUE_MAX;
    quoted = cut || !all_plain(v);
    if (quoted)
        out[n++] = '"';
    for (size_t i = 0; i < v.n; i++) {
        size_t len = escape(piece, (unsigned char)v.p[i]);
        add(out, &n, piece, len);
    }
    if (cut)
        add(out, &n, "...", 3);
    if (quoted)
        out[n++] = '"';
    return n;
}

/* A pair is written whole or not at all. */
static void pair(struct kv *k, const char *key, const char *value, size_t n)
{
    size_t key_n = strlen(key), blank = k->n > 0;

    if (blank + key_n + 1 + n >= sizeof k->line - k->n) {
        k->cut = true;
        return;
    }
    if (blank)
        k->line[k->n++] = ' ';
    add(k->line, &k->n, key, key_n);
    k->line[k->n++] = '=';
    add(k->line, &k->n, value, n);
    k->line[k->n] = '\0';
}

void kv_str(struct kv *k, const char *key, struct str value)
{
    char text[4 * KV_VALUE_MAX + 8];

    pair(k, key, text, value_put(text, value));
}

void kv_text(struct kv *k, const char *key, const char *value)
{
    if (value != NULL)
        kv_str(k, key, str_of(value));
}

void kv_event(struct kv *k, const char *event)
{
    kv_start(k);
    kv_text(k, "event", event);
}

void kv_u64(struct kv *k, const char *key, uint64_t value)
{
    char text[24];

    pair(k, key, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, value));
}

void kv_i64(struct kv *k, const char *key, int64_t value)
{
    char text[24];

    pair(k, key, text, (size_t)snprintf(text, sizeof text, "%" PRId64, value));
}

void kv_hex(struct kv *k, const char *key, struct span value)
{
    char text[2 * KV_VALUE_MAX + 1];

    if (value.n > KV_VALUE_MAX)
        value.n = KV_VALUE_MAX;
    hex_put(text, value);
    pair(k, key, text, 2 * value.n);
}
