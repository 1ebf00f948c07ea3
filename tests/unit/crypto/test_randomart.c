/* Pictures of fingerprints, compared with those that ssh-keygen -lv drew. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto/randomart.h"

static const struct {
    const char *sha256, *key, *rows[ART_ROWS];
} pictures[] = {
    {"3a018003878933f23745a033a810c88496a5004e4913dcb4c57e3528d08095d5",
     "RSA 2048",
     {"+---[RSA 2048]----+", "|/X%*O=o .        |", "|/@o=o+.E o       |", "|=B+.o.. . .      |",
      "|o .ooo .         |", "|.  . .o S        |", "|       o         |", "|      o          |",
      "|       .         |", "|                 |", "+----[SHA256]-----+"}},
    {"639eaeb782e3398b970d3f896d557b2bf4d2678ac5561980dbd1dcb207b017c1",
     "ECDSA 256",
     {"+---[ECDSA 256]---+", "|           .o=oo |", "|          . .oE..|", "|           o..o+ |",
      "|          o ...o.|", "|        S. .  o. |", "|    .  o.oo...   |", "|     O oo. ++.   |",
      "|   .B.O.. o++ o  |", "|  .o+=.=o..o.+   |", "+----[SHA256]-----+"}},
    {"80aa24a256a3f6ec775ed97cc167d47c51fde4b091b4fcf6a11ee1e4129234e9",
     "RSA 3072",
     {"+---[RSA 3072]----+", "|             ..o+|", "|     .    .  .+o=|", "|    . .  +    oB=|",
      "|   .   .o o . o.+|", "|o..o    SE . = +o|", "|=.o .     = = *.o|", "|o+       o + *  .|",
      "|o o  . ..   + .  |", "|  .+. o.     .   |", "+----[SHA256]-----+"}},
};

static void pictures_are_those_of_ssh_keygen(void **state)
{
    struct randomart art;
    struct hash h;
    (void)state;

    for (size_t i = 0; i < COUNT(pictures); i++) {
        assert_int_equal(hex_take(h.b, sizeof h.b, str_of(pictures[i].sha256)), 0);
        randomart(&h, pictures[i].key, &art);
        for (size_t y = 0; y < ART_ROWS; y++)
            assert_string_equal(art.row[y], pictures[i].rows[y]);
    }
}

static void one_bit_changes_the_picture(void **state)
{
    struct randomart a, b;
    struct hash h = {{0}};
    (void)state;

    randomart(&h, "RSA 2048", &a);
    h.b[31] ^= 0x80;
    randomart(&h, "RSA 2048", &b);
    assert_memory_not_equal(&a, &b, sizeof a);
}

/* Sixty-four steps to and fro: a square has no mark beyond the last but two. */
static void often_visited_squares_stay_at_the_last_mark(void **state)
{
    struct randomart art;
    struct hash h;
    (void)state;

    memset(h.b, 0x33, sizeof h.b);
    randomart(&h, "RSA 2048", &art);
    assert_string_equal(art.row[5], "|        E        |");
    assert_string_equal(art.row[6], "|         ^       |");
}

static void long_titles_keep_the_frame(void **state)
{
    static const char *const titles[] = {"", "x", "a key of a kind with a very long name"};
    struct randomart art;
    struct hash h = {{0}};
    (void)state;

    for (size_t i = 0; i < COUNT(titles); i++) {
        randomart(&h, titles[i], &art);
        for (size_t y = 0; y < ART_ROWS; y++)
            assert_int_equal(strlen(art.row[y]), ART_COLS);
        assert_true(art.row[0][0] == '+' && art.row[0][ART_COLS - 1] == '+');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_are_those_of_ssh_keygen),
        cmocka_unit_test(one_bit_changes_the_picture),
        cmocka_unit_test(often_visited_squares_stay_at_the_last_mark),
        cmocka_unit_test(long_titles_keep_the_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
