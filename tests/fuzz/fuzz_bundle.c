/* A verdict on any bytes: it is reached, it says why, and one that is good knows what it is about.
 * A second look finds the same. */
#include <stdlib.h>
#include <string.h>

#include "common/chat/judge.h"
#include "tests/fuzz/fuzz.h"

static void look(struct span archive, struct verdict *v)
{
    judge_bundle(archive, &(struct belief){0}, v);
    if (v->consistent != (v->why.code == ERR_NONE) || v->consistent != (v->where[0] == '\0') ||
        v->anchored)
        abort();
    if (v->consistent && v->kind == BUNDLE_MESSAGES &&
        (v->first == 0 || v->last < v->first || v->last > v->checkpoint.tree.size ||
         v->authors_n == 0 || v->withheld > v->last - v->first + 1))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct verdict a, b;
    struct err e = {0};

    if (crypto_init(&e) < 0)
        return 0;
    look(span_of(data, size), &a);
    look(span_of(data, size), &b);
    if (a.consistent != b.consistent || strcmp(a.why.text, b.why.text) != 0 ||
        strcmp(a.where, b.where) != 0)
        abort();
    verdict_free(&a);
    verdict_free(&b);
    return 0;
}
