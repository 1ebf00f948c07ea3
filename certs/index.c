#include "certs/index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INDEX_MAX = 64 * 1024 * 1024, INDEX_LINE_MAX = 512 + CERT_NAME_MAX };

int role_named(struct str name)
{
    for (int r = 0; r < CERT_ROLE_COUNT; r++)
        if (str_is(name, cert_role_name((enum cert_role)r)))
            return r;
    return -1;
}

int reason_named(struct str name)
{
    for (int r = 0; r < REVOKE_REASON_COUNT; r++)
        if (str_is(name, revoke_reason_name((enum revoke_reason)r)))
            return r;
    return -1;
}

void index_free(struct index *i)
{
    free(i->v);
    *i = (struct index){0};
}

struct ca_entry *index_find(const struct index *i, const struct hash *fp)
{
    for (size_t k = i->n; k-- > 0;)
        if (hash_same(&i->v[k].fp, fp))
            return &i->v[k];
    return NULL;
}

static struct ca_entry *index_room(struct index *i)
{
    if (i->n == i->cap) {
        size_t cap = i->cap == 0 ? 64 : 2 * i->cap;
        struct ca_entry *v = reallocarray(i->v, cap, sizeof *v);
        if (v == NULL)
            return NULL;
        i->v = v;
        i->cap = cap;
    }
    i->v[i->n] = (struct ca_entry){0};
    return &i->v[i->n];
}

static int ms_take(struct str *rest, int64_t *out)
{
    uint64_t v;

    if (str_u64(str_cut(rest, ' '), INT64_MAX, &v) < 0)
        return -1;
    *out = (int64_t)v;
    return 0;
}

static int serial_take(char out[2 * CERT_SERIAL_MAX + 1], struct str hex)
{
    uint8_t b[CERT_SERIAL_MAX];

    if (hex.n == 0 || hex.n % 2 != 0 || hex.n > sizeof b * 2 || hex_take(b, hex.n / 2, hex) < 0)
        return -1;
    return str_copy(out, 2 * CERT_SERIAL_MAX + 1, hex);
}

static int issued_take(struct index *i, struct str rest)
{
    struct ca_entry *x = index_room(i);

    if (x == NULL || serial_take(x->serial, str_cut(&rest, ' ')) < 0 ||
        hex_take(x->fp.b, sizeof x->fp.b, str_cut(&rest, ' ')) < 0)
        return -1;
    int role = role_named(str_cut(&rest, ' '));
    if (role < 0 || ms_take(&rest, &x->not_before) < 0 || ms_take(&rest, &x->not_after) < 0 ||
        str_copy(x->subject, sizeof x->subject, rest) < 0)
        return -1;
    x->role = (enum cert_role)role;
    i->n++;
    return 0;
}

static int revoked_take(struct index *i, struct str rest)
{
    struct str serial = str_cut(&rest, ' ');
    int64_t when;

    if (ms_take(&rest, &when) < 0)
        return -1;
    int why = reason_named(rest);
    for (size_t k = i->n; why >= 0 && k-- > 0;) {
        if (!str_is(serial, i->v[k].serial))
            continue;
        if (i->v[k].revoked == 0) {
            i->v[k].revoked = when;
            i->v[k].reason = (enum revoke_reason)why;
        }
        return 0;
    }
    return -1;
}

static int line_take(struct index *i, struct str line)
{
    struct str word = str_cut(&line, ' ');

    if (str_is(word, "issued"))
        return issued_take(i, line);
    return str_is(word, "revoked") ? revoked_take(i, line) : -1;
}

int index_load(const char *path, struct index *out, struct err *e)
{
    struct buf file;
    size_t number = 0;
    int rc;

    *out = (struct index){0};
    buf_init(&file, INDEX_MAX);
    rc = file_read(path, FILE_SECRET, &file, e);
    struct str rest = str_from(buf_span(&file).p, buf_span(&file).n);
    while (rc == 0 && rest.n > 0 && memchr(rest.p, '\n', rest.n) != NULL) {
        number++;
        if (line_take(out, str_cut(&rest, '\n')) < 0)
            rc = err_set(e, ERR_DATA, "%s: line %zu is damaged", path, number);
    }
    buf_free(&file);
    if (rc < 0)
        index_free(out);
    return rc;
}

int index_add(const char *path, const struct ca_entry *entry, struct err *e)
{
    char line[INDEX_LINE_MAX], fp[2 * HASH_LEN + 1];

    hex_put(fp, span_of(entry->fp.b, sizeof entry->fp.b));
    int n = snprintf(line, sizeof line, "issued %s %s %s %lld %lld %s", entry->serial, fp,
                     cert_role_name(entry->role), (long long)entry->not_before,
                     (long long)entry->not_after, entry->subject);
    if (n < 0 || (size_t)n >= sizeof line)
        return err_set(e, ERR_LOCAL, "a line of the index is too long");
    return file_append(path, FILE_SECRET, str_from(line, (size_t)n), e);
}

int index_revoke(const char *path, const struct ca_entry *entry, int64_t when,
                 enum revoke_reason why, struct err *e)
{
    char line[INDEX_LINE_MAX];
    int n = snprintf(line, sizeof line, "revoked %s %lld %s", entry->serial, (long long)when,
                     revoke_reason_name(why));

    return file_append(path, FILE_SECRET, str_from(line, (size_t)n), e);
}
