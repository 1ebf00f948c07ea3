/* Frames cut out of a stream, whatever the portions; lengths that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/chat/frame.h"

static const uint8_t stream[] = "\0\0\0\2{}"
                                "\0\0\0\1x"
                                "\0\0\0\5hello";

static void frames_come_whole_from_any_portions(void **state)
{
    static const char *const want[] = {"{}", "x", "hello"};
    (void)state;

    for (size_t step = 1; step < sizeof stream; step++) {
        struct err e = {0};
        struct frames f;
        struct span out;
        size_t seen = 0;
        frames_init(&f, 5);
        for (size_t at = 0; at < sizeof stream - 1; at += step) {
            size_t n = sizeof stream - 1 - at < step ? sizeof stream - 1 - at : step;
            assert_int_equal(frames_feed(&f, span_of(stream + at, n), &e), 0);
            while (frames_next(&f, &out, &e) == 1)
                assert_true(span_same(out, span_of(want[seen], strlen(want[seen]))) && ++seen);
        }
        assert_int_equal(seen, 3);
        assert_int_equal(frames_waiting(&f), 0);
        assert_int_equal(e.code, ERR_NONE);
        frames_free(&f);
    }
}

static void lying_lengths_are_refused_for_good(void **state)
{
    static const char *const heads[] = {"\0\0\0\0", "\0\0\0\6", "\xff\xff\xff\xff", "\x80\0\0\0",
                                        "\0\1\0\0"};
    (void)state;

    for (size_t i = 0; i < COUNT(heads); i++) {
        struct err e = {0};
        struct frames f;
        struct span out;
        frames_init(&f, 5);
        assert_int_equal(frames_feed(&f, span_of(heads[i], 4), &e), 0);
        assert_int_equal(frames_next(&f, &out, &e), -1);
        assert_int_equal(e.code, ERR_PEER);
        assert_int_equal(frames_next(&f, &out, &e), -1);
        assert_int_equal(frames_feed(&f, span_of("x", 1), &e), -1);
        frames_free(&f);
    }
}

static void bound_can_be_raised(void **state)
{
    struct err e = {0};
    struct frames f;
    struct span out;
    (void)state;

    frames_init(&f, 4);
    assert_int_equal(frames_feed(&f, span_of("\0\0\0\4abcd\0\0\0\5", 12), &e), 0);
    assert_int_equal(frames_next(&f, &out, &e), 1);
    frames_bound(&f, 5);
    assert_int_equal(frames_next(&f, &out, &e), 0);
    assert_int_equal(frames_waiting(&f), 4);
    assert_int_equal(frames_feed(&f, span_of("hello", 5), &e), 0);
    assert_int_equal(frames_next(&f, &out, &e), 1);
    assert_int_equal(frames_next(&f, &out, &e), 0);
    frames_free(&f);
}

static void memory_is_bounded_and_given_back(void **state)
{
    static uint8_t big[FRAME_HEAD + FRAME_MAX] = {0, 0x10, 0, 0};
    struct err e = {0};
    struct frames f;
    struct span out;
    (void)state;

    frames_init(&f, FRAME_MAX);
    assert_int_equal(frames_feed(&f, span_of(big, sizeof big), &e), 0);
    assert_int_equal(frames_next(&f, &out, &e), 1);
    assert_int_equal(out.n, FRAME_MAX);
    assert_int_equal(frames_next(&f, &out, &e), 0);
    assert_int_equal(f.in.cap, 0);
    assert_int_equal(frames_feed(&f, span_of(big, sizeof big), &e), 0);
    assert_int_equal(frames_feed(&f, span_of(big, sizeof big), &e), 0);
    assert_int_equal(frames_feed(&f, span_of(big, 1), &e), -1);
    frames_free(&f);
}

static void frames_are_written(void **state)
{
    struct buf b;
    size_t mark;
    (void)state;

    buf_init(&b, 14);
    assert_int_equal(buf_add(&b, "zz", 2), 0);
    buf_drop(&b, 1);
    assert_int_equal(frame_begin(&b, &mark), 0);
    assert_int_equal(buf_add(&b, "hello", 5), 0);
    assert_int_equal(frame_end(&b, mark), 0);
    assert_true(span_same(buf_span(&b), span_of("z\0\0\0\5hello", 10)));
    assert_int_equal(frame_begin(&b, &mark), 0);
    assert_int_equal(frame_end(&b, mark), -1);
    assert_int_equal(b.len, 10);
    buf_free(&b);
    buf_init(&b, 3);
    assert_int_equal(frame_begin(&b, &mark), -1);
    buf_free(&b);
    buf_init(&b, 2 * FRAME_MAX);
    assert_int_equal(frame_begin(&b, &mark), 0);
    assert_non_null(buf_room(&b, FRAME_MAX + 1));
    assert_int_equal(frame_end(&b, mark), -1);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_whole_from_any_portions),
        cmocka_unit_test(lying_lengths_are_refused_for_good),
        cmocka_unit_test(bound_can_be_raised),
        cmocka_unit_test(memory_is_bounded_and_given_back),
        cmocka_unit_test(frames_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
