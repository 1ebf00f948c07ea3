#include "common/evidence/tar.h"

#include <stdio.h>
#include <string.h>

/* POSIX.1-2017, pax, "ustar Interchange Format". */
enum {
    BLOCK = 512,
    AT_MODE = 100,
    AT_UID = 108,
    AT_GID = 116,
    AT_SIZE = 124,
    AT_MTIME = 136,
    AT_SUM = 148,
    AT_TYPE = 156,
    AT_MAGIC = 257,
    AT_MAJOR = 329,
    AT_MINOR = 337,
    SIZE_DIGITS = 11,
};

static_assert((int)TAR_NAME_MAX <= (int)AT_MODE, "a name fits its field");

static void text_at(uint8_t block[BLOCK], size_t at, const char *text)
{
    memcpy(block + at, text, strlen(text));
}

/* The only header that a file of this name and size has. */
static void head_make(uint8_t block[BLOCK], struct str name, size_t size)
{
    char text[24];
    unsigned sum = 0;

    memset(block, 0, BLOCK);
    memcpy(block, name.p, name.n);
    text_at(block, AT_MODE, "0000644");
    text_at(block, AT_UID, "0000000");
    text_at(block, AT_GID, "0000000");
    snprintf(text, sizeof text, "%011zo", size);
    text_at(block, AT_SIZE, text);
    text_at(block, AT_MTIME, "00000000000");
    text_at(block, AT_SUM, "        "); /* counts as blanks */
    text_at(block, AT_TYPE, "0");
    memcpy(block + AT_MAGIC,
           "ustar\0"
           "00", /* version */
           8);
    text_at(block, AT_MAJOR, "0000000");
    text_at(block, AT_MINOR, "0000000");
    for (size_t i = 0; i < BLOCK; i++)
        sum += block[i];
    snprintf(text, sizeof text, "%06o", sum);
    memcpy(block + AT_SUM, text, 7); /* six digits, NUL, and the last blank stays */
}

static bool zeros(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static bool name_good(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '-' || c == '/'))
            return false;
    }
    return name.n > 0 && name.n <= TAR_NAME_MAX;
}

static struct str name_of(const uint8_t *head)
{
    struct str name = str_from(head, strnlen((const char *)head, TAR_NAME_MAX));

    return name_good(name) ? name : str_from(head, 0);
}

static size_t size_of(const uint8_t *head)
{
    size_t n = 0;

    for (size_t i = 0; i < SIZE_DIGITS; i++)
        n = n << 3 | (head[AT_SIZE + i] & 7U);
    return n; /* what is no digit shows when the header is made again */
}

int tar_next(struct rd *r, struct tar_file *f, struct err *e)
{
    uint8_t want[BLOCK];
    const uint8_t *head = rd_take(r, BLOCK);

    if (head == NULL)
        return err_set(e, ERR_DATA, "the archive is cut off");
    if (zeros(head, BLOCK)) {
        const uint8_t *last = rd_take(r, BLOCK);
        return last != NULL && zeros(last, BLOCK) && rd_done(r)
                   ? 0
                   : err_set(e, ERR_DATA, "no archive ends like this");
    }
    *f = (struct tar_file){.name = name_of(head)};
    size_t size = size_of(head);
    head_make(want, f->name, size);
    if (f->name.n == 0 || !span_same(span_of(head, BLOCK), span_of(want, BLOCK)))
        return err_set(e, ERR_DATA, "a header that we do not write");
    f->data = span_of(rd_take(r, size), size);
    const uint8_t *fill = rd_take(r, (BLOCK - size % BLOCK) % BLOCK);
    if (r->bad || !zeros(fill, (BLOCK - size % BLOCK) % BLOCK))
        return err_set(e, ERR_DATA, "the archive is cut off or badly filled up");
    return 1;
}

int tar_put(struct buf *out, const struct tar_file *f, struct err *e)
{
    static const uint8_t fill[BLOCK];
    uint8_t head[BLOCK];

    if (!name_good(f->name))
        return err_set(e, ERR_LOCAL, "no name for a file in an archive");
    if (f->data.n > BUNDLE_MAX)
        return err_set(e, ERR_LIMIT, "more than an archive may hold");
    head_make(head, f->name, f->data.n);
    return buf_add(out, head, BLOCK) < 0 || buf_add(out, f->data.p, f->data.n) < 0 ||
                   buf_add(out, fill, (BLOCK - f->data.n % BLOCK) % BLOCK) < 0
               ? err_set(e, ERR_LIMIT, "more than an archive may hold")
               : 0;
}

int tar_end(struct buf *out, struct err *e)
{
    static const uint8_t end[2 * BLOCK];

    return buf_add(out, end, sizeof end) == 0
               ? 0
               : err_set(e, ERR_LIMIT, "more than an archive may hold");
}
