#include "common/link/form.h"

#include <string.h>

void form_put(struct wr *out, const char *text)
{
    wr_put(out, text, strlen(text));
}

void form_put_b64(struct wr *out, struct span s)
{
    uint8_t *to = wr_room(out, b64_len(s.n) + 1);

    if (to == NULL)
        return;
    b64_put((char *)to, s);
    out->len--; /* the NUL */
}

static bool comes(const struct rd *in, const char *text)
{
    size_t n = strlen(text);

    return rd_left(in) >= n && memcmp(in->at, text, n) == 0;
}

size_t form_take_one(struct rd *in, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (comes(in, texts[i])) {
            rd_take(in, strlen(texts[i]));
            return i;
        }
    in->bad = true;
    return n;
}

void form_take(struct rd *in, const char *text)
{
    form_take_one(in, &text, 1);
}

struct str form_take_text(struct rd *in)
{
    const uint8_t *quote = rd_left(in) == 0 ? NULL : memchr(in->at, '"', rd_left(in));

    if (quote == NULL) {
        in->bad = true;
        return str_from(NULL, 0);
    }
    size_t n = (size_t)(quote - in->at);
    return str_from(rd_take(in, n), n);
}

size_t form_take_b64(struct rd *in, uint8_t *out, size_t cap)
{
    struct str text = form_take_text(in);
    size_t n = 0;

    if (!in->bad && b64_take(out, cap, &n, text) == 0)
        return n;
    in->bad = true;
    return 0;
}
