/* RFC 6962 trees against a second implementation written from the RFC's text, and against public
 * vectors (../shared/vectors/merkle), when they are there. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "common/evidence/merkle.h"

#define VECTORS "../shared/vectors/merkle/"

enum { SIZE_MOST = 17 };

/* --- the RFC's text, written down again --- */

static struct hash leaves[SIZE_MOST];

static struct hash joined(struct hash a, struct hash b)
{
    const struct span parts[] = {span_of("\x01", 1), span_of(a.b, HASH_LEN),
                                 span_of(b.b, HASH_LEN)};
    struct hash out;

    sha256_parts(parts, COUNT(parts), &out);
    return out;
}

static size_t half(size_t n)
{
    size_t k = 1;

    while (k * 2 < n)
        k *= 2;
    return k;
}

static struct hash mth(size_t at, size_t n)
{
    return n == 1 ? leaves[at] : joined(mth(at, half(n)), mth(at + half(n), n - half(n)));
}

struct made {
    struct hash p[64];
    size_t n;
};

/* 2.1.1, for first .. end - 1 in place of one leaf. */
static void path(struct made *m, size_t at, size_t n, size_t first, size_t end)
{
    size_t k = n > 1 ? half(n) : 0;

    if (end <= at || first >= at + n) {
        m->p[m->n++] = mth(at, n);
    } else if (n > 1 && first >= at + k) {
        path(m, at + k, n - k, first, end);
        path(m, at, k, first, end);
    } else if (n > 1) {
        path(m, at, k, first, end);
        path(m, at + k, n - k, first, end);
    }
}

/* 2.1.2 */
static void subproof(struct made *out, size_t at, size_t m, size_t n, bool whole)
{
    if (m == n) {
        if (!whole)
            out->p[out->n++] = mth(at, n);
    } else if (m <= half(n)) {
        subproof(out, at, m, half(n), whole);
        out->p[out->n++] = mth(at + half(n), n - half(n));
    } else {
        subproof(out, at + half(n), m - half(n), n - half(n), false);
        out->p[out->n++] = mth(at, half(n));
    }
}

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE_MOST; i++) {
        const struct span parts[] = {span_of("leaf", 4), span_of(&i, sizeof i)};
        merkle_leaf(&leaves[i], parts, 2);
    }
    return 0;
}

static struct merkle_range range_of(size_t size, size_t first, size_t end, const struct made *m)
{
    return (struct merkle_range){.size = size,
                                 .first = first,
                                 .leaves = {leaves + first, end - first},
                                 .proof = {m->p, m->n}};
}

/* --- ranges --- */

static void a_leaf_is_told_from_a_node(void **state)
{
    /* The hash of no leaf, of the empty leaf, and of one byte, from the CT tree of RFC 6962's
     * reference tests. */
    struct hash h, want;
    struct span nothing = span_of("", 0), byte = span_of("\0", 1);
    (void)state;

    assert_int_equal(
        hex_take(want.b, HASH_LEN,
                 str_of("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d")),
        0);
    merkle_leaf(&h, &nothing, 1);
    assert_true(hash_same(&h, &want));
    merkle_leaf(&h, NULL, 0);
    assert_true(hash_same(&h, &want));
    merkle_leaf(&h, &byte, 1);
    assert_int_equal(
        hex_take(want.b, HASH_LEN,
                 str_of("96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7")),
        0);
    assert_true(hash_same(&h, &want));
}

static void every_range_of_every_tree(void **state)
{
    (void)state;
    for (size_t size = 1; size <= SIZE_MOST; size++)
        for (size_t first = 0; first < size; first++)
            for (size_t end = first + 1; end <= size; end++) {
                struct made m = {.n = 0};
                struct hash root = mth(0, size);
                path(&m, 0, size, first, end);
                struct merkle_range r = range_of(size, first, end, &m);
                assert_true(merkle_range_check(&r, &root));
            }
}

/* Each way of being wrong, for every range: none is taken. */
static void no_range_is_believed_when_something_is_wrong(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 9; size++)
        for (size_t first = 0; first < size; first++)
            for (size_t end = first + 1; end <= size; end++) {
                struct made m = {.n = 0};
                struct hash root = mth(0, size), other = root;
                path(&m, 0, size, first, end);
                m.p[m.n] = leaves[0];
                struct merkle_range good = range_of(size, first, end, &m), r = good;
                other.b[31] ^= 1;
                assert_false(merkle_range_check(&r, &other));
                r.proof.n++; /* one hash too many */
                assert_false(merkle_range_check(&r, &root));
                r = good;
                if (r.proof.n-- > 0)
                    assert_false(merkle_range_check(&r, &root));
                r = good;
                r.leaves.n = 0;
                assert_false(merkle_range_check(&r, &root));
                r = good;
                r.leaves.n = size - first + 1;
                assert_false(merkle_range_check(&r, &root));
                r = good;
                r.first = size;
                assert_false(merkle_range_check(&r, &root));
                for (size_t i = 0; i < m.n; i++) {
                    m.p[i].b[0] ^= 0x80;
                    assert_false(merkle_range_check(&good, &root));
                    m.p[i].b[0] ^= 0x80;
                }
            }
}

static void a_leaf_has_one_place(void **state)
{
    (void)state;
    for (size_t size = 2; size <= 9; size++)
        for (size_t at = 0; at < size; at++)
            for (size_t claimed = 0; claimed < size; claimed++) {
                struct made m = {.n = 0};
                struct hash root = mth(0, size);
                path(&m, 0, size, at, at + 1);
                struct merkle_range r = range_of(size, at, at + 1, &m);
                r.first = claimed;
                assert_int_equal(merkle_range_check(&r, &root), claimed == at);
            }
}

/* --- two sizes --- */

static void every_tree_is_the_beginning_of_larger_ones(void **state)
{
    (void)state;
    for (size_t n = 1; n <= SIZE_MOST; n++)
        for (size_t m = 1; m <= n; m++) {
            struct made proof = {.n = 0};
            struct merkle_head older = {m, mth(0, m)}, newer = {n, mth(0, n)};
            subproof(&proof, 0, m, n, true);
            assert_true(merkle_consistent(&older, &newer, (struct hashes){proof.p, proof.n}));
        }
}

static void no_other_history_is_consistent(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 9; n++)
        for (size_t m = 1; m <= n; m++) {
            struct made proof = {.n = 0};
            struct merkle_head older = {m, mth(0, m)}, newer = {n, mth(0, n)}, lie;
            subproof(&proof, 0, m, n, true);
            proof.p[proof.n] = leaves[0];
            struct hashes p = {proof.p, proof.n};
            lie = older;
            lie.root.b[0] ^= 1;
            assert_false(merkle_consistent(&lie, &newer, p));
            lie = newer;
            lie.root.b[0] ^= 1;
            assert_false(merkle_consistent(&older, &lie, p));
            assert_false(merkle_consistent(&older, &newer, (struct hashes){proof.p, proof.n + 1}));
            if (p.n > 0)
                assert_false(merkle_consistent(&older, &newer, (struct hashes){p.p, p.n - 1}));
            for (size_t i = 0; i < p.n; i++) {
                proof.p[i].b[5] ^= 4;
                assert_false(merkle_consistent(&older, &newer, p));
                proof.p[i].b[5] ^= 4;
            }
            if (m < n)
                assert_false(merkle_consistent(&newer, &older, p));
        }
}

static void nothing_is_consistent_with_an_empty_tree(void **state)
{
    struct merkle_head none = {0, {{0}}}, one = {1, leaves[0]};
    (void)state;

    assert_false(merkle_consistent(&none, &one, (struct hashes){NULL, 0}));
    assert_false(merkle_consistent(&none, &none, (struct hashes){NULL, 0}));
}

/* The largest sizes there are: short proofs end quickly, and deep ones fit the stack. */
static void sizes_of_53_bits(void **state)
{
    struct merkle_head newer = {EXACT_INT_MAX, leaves[1]}, older = {EXACT_INT_MAX / 3, leaves[0]};
    struct hash proof[PROOF_MAX] = {{{0}}};
    struct merkle_range r = {EXACT_INT_MAX, EXACT_INT_MAX / 3, {leaves, 1}, {proof, 0}};
    (void)state;

    for (size_t n = 0; n <= PROOF_MAX; n++) {
        r.proof.n = n;
        assert_false(merkle_range_check(&r, &newer.root));
        assert_false(merkle_consistent(&older, &newer, (struct hashes){proof, n}));
    }
}

/* --- public vectors --- */

static cJSON *json_read(const char *path_name)
{
    static char text[64 * 1024];
    FILE *f = fopen(path_name, "rb");

    if (f == NULL)
        return NULL;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    return cJSON_Parse(text);
}

/* A hash has 32 bytes: the first trap of the vectors is one that has none. */
static bool hash_of(const cJSON *value, struct hash *out)
{
    const char *text = cJSON_GetStringValue(value);
    size_t n;

    return text != NULL && b64_take(out->b, HASH_LEN, &n, str_of(text)) == 0 && n == HASH_LEN;
}

static bool size_of(const cJSON *v, const char *name, uint64_t *out)
{
    double d = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(v, name));

    *out = d >= 0 && d < 9007199254740992.0 ? (uint64_t)d : 0;
    return d >= 0 && d < 9007199254740992.0;
}

static bool proof_of(const cJSON *v, struct made *out)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v, "proof"), *one;

    out->n = 0;
    cJSON_ArrayForEach(one, list)
    {
        assert_true(out->n < COUNT(out->p));
        if (!hash_of(one, &out->p[out->n++]))
            return false;
    }
    return true;
}

static bool inclusion_holds(const cJSON *v)
{
    struct merkle_range r = {0};
    struct hash leaf, root;
    struct made m;

    if (!size_of(v, "leafIdx", &r.first) || !size_of(v, "treeSize", &r.size) ||
        !hash_of(cJSON_GetObjectItemCaseSensitive(v, "leafHash"), &leaf) ||
        !hash_of(cJSON_GetObjectItemCaseSensitive(v, "root"), &root) || !proof_of(v, &m))
        return false;
    r.leaves = (struct hashes){&leaf, 1};
    r.proof = (struct hashes){m.p, m.n};
    return merkle_range_check(&r, &root);
}

/* Some roots of the vectors are words ("don't care 1") that need only differ: so do their hashes.
 */
static void root_of(const cJSON *v, const char *name, struct hash *out)
{
    uint8_t raw[64];
    size_t n;
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(v, name);

    if (hash_of(value, out))
        return;
    assert_int_equal(b64_take(raw, sizeof raw, &n, str_of(cJSON_GetStringValue(value))), 0);
    sha256(span_of(raw, n), out);
}

static bool consistency_holds(const cJSON *v)
{
    struct merkle_head older, newer;
    struct made m;

    root_of(v, "root1", &older.root);
    root_of(v, "root2", &newer.root);
    return size_of(v, "size1", &older.size) && size_of(v, "size2", &newer.size) &&
           proof_of(v, &m) && merkle_consistent(&older, &newer, (struct hashes){m.p, m.n});
}

static struct {
    bool (*holds)(const cJSON *v);
    unsigned seen, good;
} walk;

static int vector_run(const char *name, const struct stat *s, int type, struct FTW *at)
{
    (void)s, (void)at;
    if (type != FTW_F)
        return 0;
    cJSON *v = json_read(name);
    assert_non_null(v);
    bool good = !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(v, "wantErr"));
    if (walk.holds(v) != good)
        fail_msg("%s: %s", name, good ? "refused" : "accepted");
    walk.seen++;
    walk.good += good;
    cJSON_Delete(v);
    return 0;
}

static void vectors_run(const char *folder, bool (*holds)(const cJSON *v))
{
    walk.holds = holds;
    walk.seen = walk.good = 0;
    if (nftw(folder, vector_run, 8, FTW_PHYS) != 0) {
        print_message("skipped: %s is not here\n", folder);
        skip();
    }
    assert_int_equal(walk.seen, 98);
    assert_int_equal(walk.good, 6);
}

static void public_vectors_of_inclusion(void **state)
{
    (void)state;
    vectors_run(VECTORS "testdata/inclusion", inclusion_holds);
}

static void public_vectors_of_consistency(void **state)
{
    (void)state;
    vectors_run(VECTORS "testdata/consistency", consistency_holds);
}

/* The tree of the Certificate Transparency tests, as one range without a proof. */
static void known_roots(void **state)
{
    cJSON *doc = json_read(VECTORS "known-roots.json");
    const cJSON *inputs = cJSON_GetObjectItemCaseSensitive(doc, "leaf_inputs_hex");
    const cJSON *roots = cJSON_GetObjectItemCaseSensitive(doc, "roots_by_tree_size");
    struct hash known[8], root;
    (void)state;

    if (doc == NULL) {
        print_message("skipped: %sknown-roots.json is not here\n", VECTORS);
        skip();
    }
    for (int i = 0; i < 8; i++) {
        uint8_t data[64];
        const char *hex = cJSON_GetStringValue(cJSON_GetArrayItem(inputs, i));
        size_t n = strlen(hex) / 2;
        assert_int_equal(hex_take(data, n, str_of(hex)), 0);
        struct span part = span_of(data, n);
        merkle_leaf(&known[i], &part, 1);
        hex = cJSON_GetStringValue(cJSON_GetArrayItem(roots, i + 1));
        assert_int_equal(hex_take(root.b, HASH_LEN, str_of(hex)), 0);
        struct merkle_range r = {.size = (uint64_t)i + 1, .leaves = {known, (size_t)i + 1}};
        assert_true(merkle_range_check(&r, &root));
    }
    cJSON_Delete(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaf_is_told_from_a_node),
        cmocka_unit_test(every_range_of_every_tree),
        cmocka_unit_test(no_range_is_believed_when_something_is_wrong),
        cmocka_unit_test(a_leaf_has_one_place),
        cmocka_unit_test(every_tree_is_the_beginning_of_larger_ones),
        cmocka_unit_test(no_other_history_is_consistent),
        cmocka_unit_test(nothing_is_consistent_with_an_empty_tree),
        cmocka_unit_test(sizes_of_53_bits),
        cmocka_unit_test(public_vectors_of_inclusion),
        cmocka_unit_test(public_vectors_of_consistency),
        cmocka_unit_test(known_roots),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
