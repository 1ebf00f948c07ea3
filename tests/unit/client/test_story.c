/* The steps of a handshake counted and drawn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/story.h"

static const struct link_step steps[] = {
    {.number = 1, .total = 5, .name = "Hello", .out = true, .bytes = 10, .proves = "a; b # c"},
    {.number = 2, .total = 5, .name = "Key", .local = true, .at_us = 1500, .proves = "x < y & z"},
    {.number = 3, .total = 5, .name = "Answer", .bytes = 7, .at_us = 2000, .proves = "a \"proof\""},
    {.number = 4, .total = 5, .name = "Word", .out = true, .bytes = 3, .at_us = 2500, .proves = ""},
    {.number = 5, .total = 5, .name = "Verdict", .waiting = true, .at_us = 3000, .proves = "in"},
    {.number = 5,
     .total = 5,
     .name = "Verdict",
     .bytes = 1,
     .at_us = 9000,
     .took_us = 40,
     .proves = "in"},
};

static struct story story_of_steps(void)
{
    struct story s = {.n = 0};

    for (size_t i = 0; i < COUNT(steps); i++)
        story_add(&s, &steps[i]);
    return s;
}

static void what_was_waited_for_is_one_step(void **state)
{
    struct story s = story_of_steps();
    (void)state;

    assert_int_equal(s.n, 5);
    assert_false(s.steps[4].waiting);
    assert_int_equal(story_bytes(&s, true), 13);
    assert_int_equal(story_bytes(&s, false), 8);
    assert_int_equal(story_us(&s), 9040);
    assert_int_equal(story_round_trips(&s), 2);
}

static void nothing_is_no_story(void **state)
{
    struct story s = {.n = 0};
    (void)state;

    assert_int_equal(story_us(&s), 0);
    assert_int_equal(story_round_trips(&s), 0);
    for (size_t i = 0; i < 2 * STORY_STEPS_MAX; i++)
        story_add(&s, &steps[i % 4]);
    assert_int_equal(s.n, STORY_STEPS_MAX);
}

static const char *drawn(int (*draw)(const struct story *, const char *, struct buf *),
                         struct buf *b)
{
    struct story s = story_of_steps();

    buf_init(b, STORY_TEXT_MAX);
    assert_int_equal(draw(&s, "of <me>; & you", b), 0);
    assert_int_equal(buf_add(b, "", 1), 0);
    return (const char *)buf_span(b).p;
}

static void a_diagram_has_every_step_and_no_syntax_from_outside(void **state)
{
    struct buf b;
    (void)state;

    assert_string_equal(drawn(story_mermaid, &b), "sequenceDiagram\n"
                                                  "    title of #60;me#62;#59; & you\n"
                                                  "    participant C as client\n"
                                                  "    participant R as relay\n"
                                                  "    C->>R: 1 Hello<br/>a#59; b #35; c\n"
                                                  "    Note over C,R: 2 Key<br/>x #60; y & z\n"
                                                  "    R->>C: 3 Answer<br/>a \"proof\"\n"
                                                  "    C->>R: 4 Word<br/>\n"
                                                  "    R->>C: 5 Verdict<br/>in\n");
    buf_free(&b);
}

static void a_drawing_quotes_what_xml_reads(void **state)
{
    struct buf b;
    const char *svg = drawn(story_svg, &b);
    (void)state;

    assert_non_null(strstr(svg, "<title>of &lt;me&gt;; &amp; you</title>"));
    assert_non_null(strstr(svg, "x &lt; y &amp; z"));
    assert_non_null(strstr(svg, "a &quot;proof&quot;"));
    assert_non_null(strstr(svg, "5 Verdict, 1 B, at 9.0 ms"));
    assert_null(strstr(svg, "<me>"));
    buf_free(&b);
}

static void a_buffer_that_is_full_is_said(void **state)
{
    struct story s = story_of_steps();
    struct buf b;
    (void)state;

    for (size_t room = 0; room < 200; room += 20) {
        buf_init(&b, room);
        assert_int_equal(story_mermaid(&s, "t", &b), -1);
        buf_free(&b);
        buf_init(&b, room);
        assert_int_equal(story_svg(&s, "t", &b), -1);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_waited_for_is_one_step),
        cmocka_unit_test(nothing_is_no_story),
        cmocka_unit_test(a_diagram_has_every_step_and_no_syntax_from_outside),
        cmocka_unit_test(a_drawing_quotes_what_xml_reads),
        cmocka_unit_test(a_buffer_that_is_full_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
