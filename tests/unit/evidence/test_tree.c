/* Trees that grow and the proofs made from them, against the recursive definition of RFC 6962 2.1
 * and against merkle.h's check, for every size up to SIZE_MOST. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/evidence/tree.h"

enum { SIZE_MOST = 300, ALL_RANGES = 66, STEP = 7 };

static struct hash leaves[SIZE_MOST];

/* --- the definition, written down again --- */

static struct hash mth(size_t at, size_t n)
{
    struct hash left, right, out;
    size_t k = 1;

    if (n == 1)
        return leaves[at];
    while (k * 2 < n)
        k *= 2;
    left = mth(at, k);
    right = mth(at + k, n - k);
    const struct span parts[] = {span_of("\x01", 1), span_of(left.b, HASH_LEN),
                                 span_of(right.b, HASH_LEN)};
    sha256_parts(parts, COUNT(parts), &out);
    return out;
}

static struct hash roots[SIZE_MOST + 1]; /* by size, from 1 */

/* What a database keeps: of each leaf what tree_add completed with it. */
static struct tree_done kept[SIZE_MOST];
static unsigned asked;

static int kept_node(void *ctx, uint64_t end, unsigned level, struct hash *out, struct err *e)
{
    (void)ctx, (void)e;
    asked++;
    assert_in_range(end, 1, SIZE_MOST);
    assert_int_equal(end % (UINT64_C(1) << level), 0);
    assert_true(level <= kept[end - 1].n);
    *out = level == 0 ? leaves[end - 1] : kept[end - 1].p[level - 1];
    return 0;
}

static const struct tree_source database = {kept_node, NULL};

static int setup(void **state)
{
    struct tree t = {0};
    (void)state;

    for (size_t i = 0; i < SIZE_MOST; i++) {
        const struct span parts[] = {span_of("leaf", 4), span_of(&i, sizeof i)};
        merkle_leaf(&leaves[i], parts, 2);
        tree_add(&t, &leaves[i], &kept[i]);
    }
    for (size_t n = 1; n <= SIZE_MOST; n++)
        roots[n] = mth(0, n);
    return 0;
}

/* --- growing --- */

static void every_size_has_the_root_of_the_definition(void **state)
{
    struct tree t = {0};
    (void)state;

    for (size_t n = 1; n <= SIZE_MOST; n++) {
        tree_add(&t, &leaves[n - 1], NULL);
        struct merkle_head head = tree_head(&t);
        assert_int_equal(head.size, n);
        assert_true(hash_same(&head.root, &roots[n]));
    }
}

static void nothing_has_the_hash_of_nothing(void **state)
{
    struct merkle_head head = tree_head(&(struct tree){0});
    struct hash want;
    (void)state;

    assert_int_equal(head.size, 0);
    assert_int_equal(
        hex_take(want.b, HASH_LEN,
                 str_of("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")),
        0);
    assert_true(hash_same(&head.root, &want));
}

/* One hash for each leaf on average, and never more than the tree is high. */
static void a_leaf_completes_what_ends_with_it(void **state)
{
    size_t all = 0;
    (void)state;

    for (size_t n = 1; n <= SIZE_MOST; n++) {
        assert_int_equal(kept[n - 1].n, (size_t)__builtin_ctzll(n));
        for (size_t k = 0; k < kept[n - 1].n; k++) {
            struct hash want = mth(n - ((size_t)2 << k), (size_t)2 << k);
            assert_true(hash_same(&kept[n - 1].p[k], &want));
        }
        all += kept[n - 1].n;
    }
    assert_true(all < SIZE_MOST);
}

static void an_older_tree_comes_back_from_what_was_kept(void **state)
{
    struct err e = {0};
    (void)state;

    for (size_t n = 0; n <= SIZE_MOST; n++) {
        struct tree t;
        asked = 0;
        assert_int_equal(tree_at(&database, n, &t, &e), 0);
        assert_int_equal(asked, __builtin_popcountll(n));
        struct merkle_head head = tree_head(&t);
        assert_true(n == 0 || hash_same(&head.root, &roots[n]));
        if (n < SIZE_MOST) { /* and goes on */
            tree_add(&t, &leaves[n], NULL);
            head = tree_head(&t);
            assert_true(hash_same(&head.root, &roots[n + 1]));
        }
    }
}

/* --- proofs --- */

static bool range_holds(const struct proof *p, size_t size, size_t first, size_t end)
{
    struct merkle_range r = {size, first, {leaves + first, end - first}, {p->p, p->n}};
    return merkle_range_check(&r, &roots[size]);
}

/* Nothing but this proof: each bit of it counts, none is missing, none too many. */
static void range_is_the_only_one(struct proof *p, size_t size, size_t first, size_t end)
{
    for (size_t i = 0; i < p->n; i++) {
        p->p[i].b[i % HASH_LEN] ^= 1;
        assert_false(range_holds(p, size, first, end));
        p->p[i].b[i % HASH_LEN] ^= 1;
    }
    p->p[p->n++] = leaves[0];
    assert_false(range_holds(p, size, first, end));
    p->n--;
    if (p->n-- > 0)
        assert_false(range_holds(p, size, first, end));
    p->n++;
}

static void range_try(size_t size, size_t first, size_t end)
{
    struct tree_leaves all = {NULL, {leaves, size}};
    struct tree_source memory = tree_of_leaves(&all);
    struct proof kept_one, made;
    struct err e = {0};

    asked = 0;
    assert_int_equal(tree_prove_range(&database, size, first, end, &kept_one, &e), 0);
    assert_true(asked <= 64);
    assert_int_equal(tree_prove_range(&memory, size, first, end, &made, &e), 0);
    assert_int_equal(made.n, kept_one.n);
    assert_memory_equal(made.p, kept_one.p, made.n * sizeof made.p[0]);
    assert_true(range_holds(&made, size, first, end));
    range_is_the_only_one(&made, size, first, end);
}

static void every_range_is_proven(void **state)
{
    (void)state;
    for (size_t size = 1; size <= ALL_RANGES; size++)
        for (size_t first = 0; first < size; first++)
            for (size_t end = first + 1; end <= size; end += 1 + (end - first) / STEP)
                range_try(size, first, end);
}

static void every_leaf_of_every_tree_is_proven(void **state)
{
    (void)state;
    for (size_t size = 1; size <= SIZE_MOST; size++)
        for (size_t first = size % STEP; first < size; first += STEP)
            range_try(size, first, first + 1);
}

static bool growth_holds(const struct proof *p, size_t m, size_t n)
{
    struct merkle_head older = {m, roots[m]}, newer = {n, roots[n]};
    return merkle_consistent(&older, &newer, (struct hashes){p->p, p->n});
}

static void growth_try(size_t m, size_t n)
{
    struct proof p;
    struct err e = {0};

    asked = 0;
    assert_int_equal(tree_prove_growth(&database, m, n, &p, &e), 0);
    assert_true(asked <= 64);
    assert_true(growth_holds(&p, m, n));
    for (size_t i = 0; i < p.n; i++) {
        p.p[i].b[i % HASH_LEN] ^= 0x80;
        assert_false(growth_holds(&p, m, n));
        p.p[i].b[i % HASH_LEN] ^= 0x80;
    }
    if (m < n && m + 1 < n)
        assert_false(growth_holds(&p, m + 1, n));
    if (p.n-- > 0)
        assert_false(growth_holds(&p, m, n));
}

static void every_growth_is_proven(void **state)
{
    (void)state;
    for (size_t n = 1; n <= SIZE_MOST; n++)
        for (size_t m = 1; m <= n; m += n <= ALL_RANGES ? 1 : STEP)
            growth_try(m, n);
}

static void what_is_no_range_or_no_growth_is_refused(void **state)
{
    static const struct {
        uint64_t size, first, end;
    } ranges[] = {{0, 0, 0}, {4, 0, 0}, {4, 2, 2}, {4, 3, 2}, {4, 4, 5}, {4, 0, 5}};
    static const uint64_t growths[][2] = {{0, 0}, {0, 4}, {5, 4}};
    (void)state;

    for (size_t i = 0; i < COUNT(ranges); i++) {
        struct proof p;
        struct err e = {0};
        assert_int_equal(
            tree_prove_range(&database, ranges[i].size, ranges[i].first, ranges[i].end, &p, &e),
            -1);
        assert_int_equal(e.code, ERR_USAGE);
    }
    for (size_t i = 0; i < COUNT(growths); i++) {
        struct proof p;
        struct err e = {0};
        assert_int_equal(tree_prove_growth(&database, growths[i][0], growths[i][1], &p, &e), -1);
        assert_int_equal(e.code, ERR_USAGE);
    }
}

/* --- who joined later: peaks of what was before him, and his own leaves --- */

static void who_has_the_peaks_proves_what_came_behind(void **state)
{
    (void)state;
    for (size_t before = 0; before < ALL_RANGES; before++) {
        struct tree base;
        struct err e = {0};
        assert_int_equal(tree_at(&database, before, &base, &e), 0);
        for (size_t size = before + 1; size <= ALL_RANGES; size++) {
            struct tree_leaves mine = {&base, {leaves + before, size - before}};
            struct tree_source s = tree_of_leaves(&mine);
            struct proof p;
            struct tree whole;
            assert_int_equal(tree_at(&s, size, &whole, &e), 0);
            struct merkle_head head = tree_head(&whole);
            assert_true(hash_same(&head.root, &roots[size]));
            for (size_t first = before; first < size; first += 3) {
                assert_int_equal(tree_prove_range(&s, size, first, size, &p, &e), 0);
                assert_true(range_holds(&p, size, first, size));
                assert_int_equal(tree_prove_range(&s, size, first, first + 1, &p, &e), 0);
                assert_true(range_holds(&p, size, first, first + 1));
            }
            if (before > 0) {
                assert_int_equal(tree_prove_growth(&s, before, size, &p, &e), 0);
                assert_true(growth_holds(&p, before, size));
            }
        }
    }
}

static void what_nobody_gave_him_he_does_not_prove(void **state)
{
    struct tree base;
    struct err e = {0};
    struct tree_leaves mine = {&base, {leaves + 8, 4}};
    struct tree_source s = tree_of_leaves(&mine);
    struct proof p;
    (void)state;

    assert_int_equal(tree_at(&database, 8, &base, &e), 0);
    assert_int_equal(tree_prove_range(&s, 12, 3, 4, &p, &e), -1); /* inside a peak */
    assert_int_equal(e.code, ERR_USAGE);
    err_clear(&e);
    assert_int_equal(tree_prove_growth(&s, 5, 12, &p, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
    err_clear(&e);
    assert_int_equal(tree_prove_range(&s, 13, 9, 10, &p, &e), -1); /* behind the last leaf */
    assert_int_equal(e.code, ERR_USAGE);
}

/* The largest size there is: two nodes for each level are enough. */
static int any_node(void *ctx, uint64_t end, unsigned level, struct hash *out, struct err *e)
{
    (void)ctx, (void)e;
    assert_int_equal(end % (UINT64_C(1) << level), 0);
    *out = leaves[level];
    asked++;
    return 0;
}

static void sizes_of_53_bits(void **state)
{
    const struct tree_source s = {any_node, NULL};
    uint64_t n = EXACT_INT_MAX;
    struct err e = {0};
    struct tree t;
    struct proof p;
    (void)state;

    assert_int_equal(tree_at(&s, n, &t, &e), 0);
    assert_int_equal(tree_prove_range(&s, n, n / 3, n / 3 + 1, &p, &e), 0);
    assert_in_range(p.n, 52, PROOF_MAX);
    assert_int_equal(tree_prove_range(&s, n, n / 3, n / 3 * 2, &p, &e), 0);
    asked = 0;
    assert_int_equal(tree_prove_growth(&s, n / 3, n, &p, &e), 0);
    assert_in_range(p.n, 50, 54);
    assert_true(asked < 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_has_the_root_of_the_definition),
        cmocka_unit_test(nothing_has_the_hash_of_nothing),
        cmocka_unit_test(a_leaf_completes_what_ends_with_it),
        cmocka_unit_test(an_older_tree_comes_back_from_what_was_kept),
        cmocka_unit_test(every_range_is_proven),
        cmocka_unit_test(every_leaf_of_every_tree_is_proven),
        cmocka_unit_test(every_growth_is_proven),
        cmocka_unit_test(what_is_no_range_or_no_growth_is_refused),
        cmocka_unit_test(who_has_the_peaks_proves_what_came_behind),
        cmocka_unit_test(what_nobody_gave_him_he_does_not_prove),
        cmocka_unit_test(sizes_of_53_bits),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
