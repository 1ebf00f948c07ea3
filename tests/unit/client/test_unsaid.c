/* F5: a message that the client has no memory for, at each allocation that saying it makes: nothing
 * is said, nothing waits, whoever wrote it is told, and the next one has its number. */
#include <string.h>

#include "support_engine.h"
#include "tests/unit/memory.h"

static void test_no_memory_to_say_it(void **state)
{
    struct stage *s = stage_new(state);
    uint64_t seq = 0;
    unsigned long n;

    stage_login(s);
    for (n = 0; seq == 0; n++) {
        struct err e = {0};

        memory_for(n);
        seq = engine_say(s->g, &s->room, str_of("said"), &e);
        memory_back();
        assert_int_equal(seq, missed ? 0 : 2); /* behind her join */
        assert_true(missed == (strstr(e.text, "no memory") != NULL));
        stage_serve(s);
        assert_int_equal(s->said_n, seq != 0);
    }
    assert_true(n > 4); /* at least the copy that waits, and its bytes */
    assert_string_equal(s->told.close, "");
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_memory_to_say_it)};

    return cmocka_run_group_tests(tests, stage_world, stage_world_end);
}
