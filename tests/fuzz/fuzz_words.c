/* The small words of files, lines and fields: what is taken has one spelling and stays in bounds.
 * The first byte says which. */
#include <stdlib.h>
#include <string.h>

#include "common/evidence/bundle.h"
#include "common/link/link.h"
#include "common/util/bytes.h"
#include "common/util/time.h"
#include "server/conf.h"
#include "tests/fuzz/fuzz.h"

enum { CAP = 256 };

static void same(const char *text, size_t n, struct str word)
{
    if (n != word.n || memcmp(text, word.p, n) != 0)
        abort();
}

static void fuzz_hex(struct str word)
{
    uint8_t out[CAP];
    char back[2 * CAP + 1];

    if (word.n / 2 > CAP || hex_take(out, word.n / 2, word) < 0)
        return;
    hex_put(back, span_of(out, word.n / 2));
    same(back, strlen(back), word);
}

static void fuzz_b64(struct str word)
{
    uint8_t out[CAP];
    char back[2 * CAP];
    size_t n;

    if (b64_take(out, sizeof out, &n, word) < 0)
        return;
    b64_put(back, span_of(out, n));
    same(back, strlen(back), word);
}

static void fuzz_b64url(struct str word)
{
    uint8_t out[CAP];
    char back[2 * CAP];
    size_t n;

    if (b64url_take(out, sizeof out, &n, word) < 0)
        return;
    b64url_put(back, span_of(out, n));
    same(back, strlen(back), word);
}

static void fuzz_time(struct str word)
{
    char back[TIME_TEXT];
    int64_t ms;

    if (time_take(&ms, word) < 0)
        return;
    time_put(back, ms);
    if (word.n == strlen(back)) /* without milliseconds it is another one */
        same(back, strlen(back), word);
}

static void fuzz_host_port(struct str word)
{
    struct host_port at = {0};
    struct err e = {0};

    if (host_port_take(&at, word, &e) == 0 && memchr(at.host, '\0', sizeof at.host) == NULL)
        abort();
}

static void fuzz_kind(struct str word)
{
    enum link_kind kind;

    if (link_kind_take(word, &kind) == 0)
        same(link_kind_name(kind), strlen(link_kind_name(kind)), word);
}

static void fuzz_proof(struct str word)
{
    struct hash out[PROOF_MAX];
    struct err e = {0};
    size_t n;

    if (proof_take(out, &n, span_of(word.p, word.n), &e) == 0 && n > PROOF_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
    static void (*const targets[])(struct str) = {fuzz_hex,       fuzz_b64,  fuzz_b64url, fuzz_time,
                                                  fuzz_host_port, fuzz_kind, fuzz_proof};

    if (n > 0)
        targets[in[0] % 7](str_from((const char *)in + 1, n - 1));
    return 0;
}
