#include "common/crypto/pem.h"

#include <stdio.h>
#include <string.h>

enum { PEM_COLS = 64, PEM_LABEL_MAX = 64 };

static int line_put(struct buf *out, const char *word, const char *label)
{
    char line[PEM_LABEL_MAX];
    int n = snprintf(line, sizeof line, "-----%s %s-----\n", word, label);

    return n < 0 || (size_t)n >= sizeof line ? -1 : buf_add(out, line, (size_t)n);
}

static int body_put(struct buf *out, struct span der)
{
    char line[PEM_COLS + 2];

    while (der.n > 0) {
        size_t n = der.n < PEM_COLS / 4 * 3 ? der.n : PEM_COLS / 4 * 3;
        b64_put(line, span_of(der.p, n));
        size_t len = b64_len(n);
        line[len] = '\n';
        int rc = buf_add(out, line, len + 1);
        wipe(line, sizeof line);
        if (rc < 0)
            return -1;
        der = span_of(der.p + n, der.n - n);
    }
    return 0;
}

int pem_put(struct buf *out, const char *label, struct span der, struct err *e)
{
    if (line_put(out, "BEGIN", label) < 0 || body_put(out, der) < 0 ||
        line_put(out, "END", label) < 0)
        return err_set(e, ERR_LIMIT, "%s of %zu bytes: too long for its file", label, der.n);
    return 0;
}

static struct str line_next(struct str *text)
{
    struct str line = str_cut(text, '\n');

    while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
        line.n--;
    return line;
}

static bool line_is(struct str line, const char *word, const char *label)
{
    char want[PEM_LABEL_MAX];

    snprintf(want, sizeof want, "-----%s %s-----", word, label);
    return str_is(line, want);
}

/* One line of base64 between BEGIN and END: whole groups of four. */
static int body_take(struct str line, struct buf *out)
{
    uint8_t der[PEM_COLS];
    size_t n;

    if (line.n > PEM_COLS + 12 || b64_take(der, sizeof der, &n, line) < 0)
        return -1;
    int rc = buf_add(out, der, n);
    wipe(der, sizeof der);
    return rc;
}

int pem_take(struct span *text, const char *label, struct buf *out, struct err *e)
{
    struct str rest = str_from(text->p, text->n);

    while (rest.p != NULL && !line_is(line_next(&rest), "BEGIN", label))
        ;
    *text = span_of(NULL, 0);
    if (rest.p == NULL)
        return 0;
    while (rest.p != NULL) {
        struct str line = line_next(&rest);
        if (line_is(line, "END", label)) {
            *text = span_of(rest.p, rest.n);
            return 1;
        }
        if (body_take(line, out) < 0)
            return err_set(e, ERR_DATA, "%s: not PEM, or too long", label);
    }
    return err_set(e, ERR_DATA, "%s: the PEM ends too early", label);
}

int pem_or_der(struct span file, const char *label, struct buf *out, struct err *e)
{
    struct span rest = file;

    if (file.n > 0 && file.p[0] == 0x30) { /* a DER SEQUENCE; PEM has text here */
        if (buf_add(out, file.p, file.n) < 0)
            return err_set(e, ERR_LIMIT, "%s: %zu bytes are too many", label, file.n);
        return 0;
    }
    int rc = pem_take(&rest, label, out, e);
    return rc == 0 ? err_set(e, ERR_DATA, "no %s in it, neither PEM nor DER", label)
                   : (rc > 0 ? 0 : -1);
}
