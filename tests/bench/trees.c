/* trees SIZE -- what a room's tree costs at that size: an entry more with its root, as the relay
 * pays it for every number, and a proof of growth from half the size. Prints microseconds. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/evidence/transcript.h"
#include "common/evidence/tree.h"

enum { REPEATS = 4096, PROOFS = 1024 };

struct kept { /* as the database has it: leaf, and what ends with it */
    struct hash *leaves, **done;
};

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void leaf_make(struct hash *out, size_t i)
{
    char line[LINE_MAX_LEN];
    int n = snprintf(line, sizeof line, "countersign-entry-1|%0300zu", i);

    transcript_leaf(out, str_from(line, (size_t)n), 1790000000000);
}

static int node(void *ctx, uint64_t end, unsigned level, struct hash *out, struct err *e)
{
    const struct kept *k = ctx;

    (void)e;
    *out = level == 0 ? k->leaves[end - 1] : k->done[end - 1][level - 1];
    return 0;
}

static void grow(struct tree *t, struct kept *k, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        struct tree_done d;

        leaf_make(&k->leaves[i], i);
        tree_add(t, &k->leaves[i], &d);
        k->done[i] = d.n == 0 ? NULL : malloc(d.n * sizeof d.p[0]);
        for (size_t j = 0; j < d.n; j++)
            k->done[i][j] = d.p[j];
    }
}

int main(int argc, char **argv)
{
    size_t size = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    struct kept k = {calloc(size + 1, sizeof *k.leaves), calloc(size + 1, sizeof *k.done)};
    struct tree_source source = {node, &k};
    struct tree t = {0};
    struct hash sink = {{0}};
    struct err e = {0};

    if (size < 2 || k.leaves == NULL || k.done == NULL)
        return 64;
    grow(&t, &k, size);
    double begun = now_us();
    for (size_t i = 0; i < REPEATS; i++) {
        struct hash leaf;
        leaf_make(&leaf, size + i);
        tree_add(&t, &leaf, NULL);
        sink.b[0] ^= tree_head(&t).root.b[0];
    }
    double entry = (now_us() - begun) / REPEATS;
    begun = now_us();
    for (size_t i = 0; i < PROOFS; i++) {
        struct proof p;
        if (tree_prove_growth(&source, size / 2 + i % (size / 2), size, &p, &e) < 0)
            return 1;
        sink.b[0] ^= (uint8_t)p.n;
    }
    printf("{\"entry_us\":%.3f,\"proof_us\":%.3f,\"sink\":%u}\n", entry,
           (now_us() - begun) / PROOFS, sink.b[0]);
    for (size_t n = 0; n < size; n++)
        free(k.done[n]);
    free(k.done);
    free(k.leaves);
    return 0;
}
