/* Every line of a transcript that is taken can be written again from what was read of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/evidence/transcript.h"
#include "tests/fuzz/fuzz.h"

/* The line as it must have been, compared with the input from *at on. */
static void again(const struct transcript *t, struct str all, size_t *at)
{
    size_t ct_n = t->line.n + (t->body.p == NULL ? 0 : 1 + t->body.n);
    size_t cap = 2 * ct_n + 2 * SIG_MAX + 256;
    char *text = malloc(cap), fp[2 * HASH_LEN + 1];

    if (text == NULL)
        abort();
    size_t n = (size_t)sprintf(text, "%" PRIu64 "|%" PRId64 "|", t->number, t->time);
    b64_put(text + n, span_of(t->ct, ct_n));
    n += b64_len(ct_n);
    text[n++] = '|';
    b64_put(text + n, span_of(t->sig, t->sig_n));
    n += b64_len(t->sig_n);
    hex_put(fp, span_of(t->author.b, HASH_LEN));
    n += (size_t)sprintf(text + n, "|%s\n", fp);
    if (n > all.n - *at || memcmp(text, all.p + *at, n) != 0)
        abort();
    *at += n;
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = str_from(data, size);
    struct transcript t;
    struct err e = {0};
    size_t at = 0;
    int rc;

    if (transcript_open(&t, all, &e) < 0)
        return 0;
    while ((rc = transcript_next(&t, &e)) == 1)
        again(&t, all, &at);
    if ((rc == 0) != (e.code == ERR_NONE) || (rc == 0 && at != size))
        abort();
    transcript_close(&t);
    return 0;
}
