#include "common/evidence/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {
#define X(id, name) [id] = name,
    BUNDLE_KINDS(X)
#undef X
};

const char *bundle_kind_name(enum bundle_kind k)
{
    return kind_names[k];
}

static const struct {
    const char *name;
    size_t at; /* in struct bundle */
    unsigned kinds;
} files[] = {
#define X(member, name, kinds) {name, offsetof(struct bundle, member), kinds},
    BUNDLE_FILES(X)
#undef X
};

#define CERTS_BEGIN "certs/"
#define CERTS_END   ".der"

enum { CERT_NAME_LEN = sizeof CERTS_BEGIN - 1 + 2 * HASH_LEN + sizeof CERTS_END - 1 };
static_assert((int)CERT_NAME_LEN <= (int)TAR_NAME_MAX, "a certificate's name fits");

static void where_is(char where[BUNDLE_WHERE], struct str name)
{
    snprintf(where, BUNDLE_WHERE, "%.*s", (int)name.n, name.p);
}

/* Which of the fixed files this is, from the i-th on; a kind that has one in between is out. */
static size_t fixed_find(struct str name, size_t i, unsigned *kinds)
{
    for (; i < COUNT(files) && !str_is(name, files[i].name); i++)
        *kinds &= ~files[i].kinds;
    if (i < COUNT(files))
        *kinds &= files[i].kinds;
    return *kinds == 0 ? COUNT(files) : i;
}

static int fixed_take(struct bundle *b, struct rd *r, struct tar_file *f, char where[BUNDLE_WHERE],
                      struct err *e)
{
    unsigned kinds = (1U << BUNDLE_KIND_COUNT) - 1;

    for (size_t i = 0; i < COUNT(files); i++) {
        int rc = tar_next(r, f, e);
        if (rc <= 0)
            return rc < 0 ? -1 : err_set(e, ERR_DATA, "%s is missing", files[i].name);
        where_is(where, f->name);
        i = fixed_find(f->name, i, &kinds);
        if (i == COUNT(files))
            return err_set(e, ERR_DATA, "not the file that follows here");
        memcpy((char *)b + files[i].at, &f->data, sizeof f->data);
        snprintf(where, BUNDLE_WHERE, "bundle");
    }
    while ((kinds & 1U << b->kind) == 0)
        b->kind++; /* all files are there, so one is left */
    return 0;
}

static int cert_take(struct bundle_cert *c, const struct tar_file *f)
{
    struct str hex = str_from(f->name.p + sizeof CERTS_BEGIN - 1, 2 * HASH_LEN);
    struct hash h;

    if (f->name.n != CERT_NAME_LEN || memcmp(f->name.p, CERTS_BEGIN, sizeof CERTS_BEGIN - 1) != 0 ||
        memcmp(hex.p + hex.n, CERTS_END, sizeof CERTS_END - 1) != 0 ||
        hex_take(c->fp.b, HASH_LEN, hex) < 0)
        return -1;
    sha256(f->data, &h);
    c->der = f->data;
    return hash_same(&h, &c->fp) ? 0 : -1;
}

static int certs_take(struct bundle *b, struct rd *r, struct tar_file *f, char where[BUNDLE_WHERE],
                      struct err *e)
{
    int rc;

    b->certs = calloc(BUNDLE_CERTS_MAX, sizeof *b->certs);
    if (b->certs == NULL)
        return err_set(e, ERR_LOCAL, "no memory");
    while ((rc = tar_next(r, f, e)) == 1) {
        struct bundle_cert *c = &b->certs[b->certs_n];
        where_is(where, f->name);
        if (b->certs_n == BUNDLE_CERTS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d certificates", BUNDLE_CERTS_MAX);
        if (cert_take(c, f) < 0)
            return err_set(e, ERR_DATA, "not a certificate under its own SHA-256");
        if (b->certs_n > 0 && memcmp(c[-1].fp.b, c->fp.b, HASH_LEN) >= 0)
            return err_set(e, ERR_DATA, "the certificates are not in order");
        b->certs_n++;
        snprintf(where, BUNDLE_WHERE, "bundle");
    }
    return rc;
}

int bundle_take(struct bundle *b, struct span archive, char where[BUNDLE_WHERE], struct err *e)
{
    struct rd r = rd_of(archive);
    struct tar_file f;

    *b = (struct bundle){0};
    snprintf(where, BUNDLE_WHERE, "bundle");
    if (fixed_take(b, &r, &f, where, e) < 0 || certs_take(b, &r, &f, where, e) < 0)
        return -1;
    snprintf(where, BUNDLE_WHERE, "VERIFY.txt");
    if (!span_same(b->guide, bundle_guide()))
        return err_set(e, ERR_DATA, "not the text of this version");
    return 0;
}

void bundle_free(struct bundle *b)
{
    free(b->certs);
    *b = (struct bundle){0};
}

const struct bundle_cert *bundle_cert(const struct bundle *b, const struct hash *fp)
{
    size_t low = 0, high = b->certs_n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = memcmp(b->certs[mid].fp.b, fp->b, HASH_LEN);
        if (order == 0)
            return &b->certs[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* --- writing --- */

int bundle_cert_add(struct bundle *b, struct span der, struct err *e)
{
    struct bundle_cert c = {.der = der};
    size_t at = 0;

    sha256(der, &c.fp);
    if (bundle_cert(b, &c.fp) != NULL)
        return 0;
    if (b->certs == NULL)
        b->certs = calloc(BUNDLE_CERTS_MAX, sizeof *b->certs);
    if (b->certs == NULL)
        return err_set(e, ERR_LOCAL, "no memory");
    if (b->certs_n == BUNDLE_CERTS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d certificates", BUNDLE_CERTS_MAX);
    while (at < b->certs_n && memcmp(b->certs[at].fp.b, c.fp.b, HASH_LEN) < 0)
        at++;
    memmove(b->certs + at + 1, b->certs + at, (b->certs_n - at) * sizeof *b->certs);
    b->certs[at] = c;
    b->certs_n++;
    return 0;
}

static int cert_put(struct buf *out, const struct bundle_cert *c, struct err *e)
{
    char name[CERT_NAME_LEN + 1], hex[2 * HASH_LEN + 1];

    hex_put(hex, span_of(c->fp.b, HASH_LEN));
    snprintf(name, sizeof name, CERTS_BEGIN "%s" CERTS_END, hex);
    return tar_put(out, &(struct tar_file){str_of(name), c->der}, e);
}

int bundle_put(struct buf *out, const struct bundle *b, struct err *e)
{
    for (size_t i = 0; i < COUNT(files); i++) {
        struct tar_file f = {str_of(files[i].name), bundle_guide()};
        if ((files[i].kinds & 1U << b->kind) == 0)
            continue;
        if (i > 0) /* the guide is ours */
            memcpy(&f.data, (const char *)b + files[i].at, sizeof f.data);
        if (tar_put(out, &f, e) < 0)
            return -1;
    }
    for (size_t i = 0; i < b->certs_n; i++)
        if (cert_put(out, b->certs + i, e) < 0)
            return -1;
    return tar_end(out, e);
}

int proof_put(struct buf *out, struct hashes proof, struct err *e)
{
    char line[HASH_B64 + 1];

    for (size_t i = 0; i < proof.n; i++) {
        b64_put(line, span_of(proof.p[i].b, HASH_LEN));
        line[HASH_B64] = '\n';
        if (buf_add(out, line, sizeof line) < 0)
            return err_set(e, ERR_LIMIT, "more than a proof may hold");
    }
    return 0;
}

int proof_take(struct hash out[PROOF_MAX], size_t *n, struct span text, struct err *e)
{
    struct str rest = str_from(text.p, text.n);
    size_t len;

    for (*n = 0; rest.n > 0; (*n)++) {
        if (*n == PROOF_MAX)
            return err_set(e, ERR_DATA, "more than %d hashes", PROOF_MAX);
        struct str line = str_cut(&rest, '\n');
        if (rest.p == NULL || b64_take(out[*n].b, HASH_LEN, &len, line) < 0 || len != HASH_LEN)
            return err_set(e, ERR_DATA, "line %zu: not a hash", *n + 1);
    }
    return 0;
}
