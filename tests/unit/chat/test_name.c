/* Names: what they may be, which are the same, which look the same, which are ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/chat/name.h"
#include "common/util/text.h"

static const struct {
    const char *name;
    bool ok;
    const char *why;
} people[] = {
    {"alice", true, "ASCII"},
    {"Alice", true, "a capital"},
    {"a", true, "one letter"},
    {"alice-2.b_c", true, "all three joiners"},
    {"2pac", true, "a digit in front"},
    {"jos\xc3\xa9", true, "an accent"},
    {"\xce\xbc\xce\xb1\xcf\x81\xce\xaf\xce\xb1", true, "Greek"},
    {"\xd0\xbe\xd0\xbb\xd1\x8c\xd0\xb3\xd0\xb0", true, "Cyrillic"},
    {"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", true, "Hebrew"},
    {"\xd8\xb3\xd9\x84\xd8\xa7\xd9\x85", true, "Arabic"},
    {"\xe5\xb1\xb1\xe7\x94\xb0\xe3\x81\x95\xe3\x82\x93", true, "Han and Hiragana"},
    {"\xea\xb9\x80\xec\xb2\xa0", true, "Hangul"},
    {"\xe0\xa4\xb0\xe0\xa4\xbe\xe0\xa4\xae", true, "Devanagari with a vowel sign"},
    {"abcdefghijklmnopqrstuvwxyz123456", true, "32 characters"},
    {"abcdefghijklmnopqrstuvwxyz1234567", false, "33 characters"},
    {"", false, "nothing"},
    {"42", false, "digits alone"},
    {" alice", false, "space in front"},
    {"alice ", false, "space behind"},
    {"al ice", false, "space inside"},
    {"alice\t", false, "tab"},
    {"alice\n", false, "newline"},
    {"ali\033[31mce", false, "escape sequence"},
    {"alice\x7f", false, "DEL"},
    {"-alice", false, "hyphen in front"},
    {"--", false, "two hyphens"},
    {".", false, "a dot"},
    {"..", false, "two dots"},
    {"alice-", false, "hyphen behind"},
    {"al--ice", false, "two hyphens inside"},
    {"al..ice", false, "two dots inside"},
    {"@alice", false, "at sign"},
    {"#alice", false, "hash"},
    {"a/b", false, "slash"},
    {"a|b", false, "bar"},
    {"a%nb", false, "per cent"},
    {"a'b", false, "quote"},
    {"a\"b", false, "double quote"},
    {"a\\b", false, "backslash"},
    {"<b>", false, "angle brackets"},
    {"a\xc2\xa0"
     "b",
     false, "no-break space"},
    {"a\xe2\x80\x8b"
     "b",
     false, "zero width space"},
    {"a\xe2\x80\xae"
     "b",
     false, "override"},
    {"a\xe2\x80\x8d"
     "b",
     false, "joiner"},
    {"a\xef\xbb\xbf", false, "byte order mark"},
    {"jose\xcc\x81", false, "not NFC"},
    {"\xe0\xa4\xa8\xe0\xa4\xbc", false, "not NFC, of characters that a name may have"},
    {"\xe0\xa4\xa9", true, "the same in NFC"},
    {"a\xcc\xb7", false, "a mark that composes with nothing"},
    {"\xcc\x81"
     "a",
     false, "a mark in front"},
    {"\xe0\xa4\xbe\xe0\xa4\xae", false, "a vowel sign in front"},
    {"\xd0\xb0lice", false, "Cyrillic a among Latin"},
    {"\xce\xbflivia", false, "Greek o among Latin"},
    {"ali\xd1\x81"
     "e",
     false, "Cyrillic s among Latin"},
    {"\xef\xbc\xa1lice", false, "full-width A"},
    {"\xf0\x9d\x90\x9a", false, "mathematical a"},
    {"\xe2\x91\xa0", false, "circled one"},
    {"\xef\xac\x81x", false, "ligature fi"},
    {"\xd9\xa1\xd8\xa7", false, "Arabic-Indic digit"},
    {"\xf0\x9f\x98\x80", false, "emoji"},
    {"\xe2\x98\x83", false, "snowman"},
    {"a\xff", false, "no UTF-8"},
    {"a\xc0\x80", false, "overlong NUL"},
    {"\xed\xa0\x80", false, "surrogate"},
    {"admin", false, "reserved"},
    {"ADMIN", false, "reserved in capitals"},
    {"adm1n", false, "looks reserved"},
    {"ad-min", false, "reserved with a joiner"},
    {"adrnin", false, "rn for m"},
    {"\xc3\xa1"
     "dmin",
     false, "reserved with an accent"},
    {"r00t", false, "looks reserved"},
    {"re1ay", false, "looks reserved"},
    {"countersign", false, "ours"},
    {"me", false, "the reader"},
    {"everyone", false, "all"},
    {"ali", true, "close to a word but a name"},
};

static void names_of_people_are_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(people); i++) {
        struct err e = {0};
        print_message("# %s\n", people[i].why);
        assert_int_equal(name_check(str_of(people[i].name), NAME_PERSON, &e),
                         people[i].ok ? 0 : -1);
        assert_int_equal(e.code, people[i].ok ? ERR_NONE : ERR_DATA);
    }
    struct err e = {0};
    assert_int_equal(name_check(str_from("a\0b", 3), NAME_PERSON, &e), -1);
}

static void rooms_and_devices_may_have_more(void **state)
{
    static const struct {
        const char *name;
        bool person, device, room;
    } rows[] = {
        {"2026", false, true, true},  {"help", false, true, true},
        {"root", false, true, true},  {"system", false, true, false},
        {"laptop", true, true, true}, {"countersign", false, false, false},
        {"-x", false, false, false},  {"a b", false, false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = {0};
        struct str name = str_of(rows[i].name);
        print_message("# %s\n", rows[i].name);
        assert_int_equal(name_check(name, NAME_PERSON, &e) == 0, rows[i].person);
        err_clear(&e);
        assert_int_equal(name_check(name, NAME_DEVICE, &e) == 0, rows[i].device);
        err_clear(&e);
        assert_int_equal(name_check(name, NAME_ROOM, &e) == 0, rows[i].room);
    }
}

static void one_name_has_one_key(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"Alice", "alice", true},
        {"STRASSE",
         "stra\xc3\x9f"
         "e",
         true},
        {"JOS\xc3\x89", "jose\xcc\x81", true},
        {"\xef\xbc\xa1lice", "alice", true},
        {"\xce\xa3\xce\x9f\xce\xa3", "\xcf\x83\xce\xbf\xcf\x82", true},
        {"alice", "a1ice", false},
        {"alice", "al-ice", false},
        {"jose", "jos\xc3\xa9", false},
    };
    char a[NAME_KEY_MAX], b[NAME_KEY_MAX];
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        print_message("# %s %s\n", rows[i].a, rows[i].b);
        assert_int_equal(name_canonical(a, str_of(rows[i].a)), 0);
        assert_int_equal(name_canonical(b, str_of(rows[i].b)), 0);
        assert_int_equal(strcmp(a, b) == 0, rows[i].same);
    }
    assert_int_equal(name_canonical(a, str_of("")), -1);
    assert_int_equal(name_canonical(a, str_of("\xff")), -1);
}

static void lookalikes_have_one_skeleton(void **state)
{
    static const struct {
        const char *a, *b;
        bool alike;
    } rows[] = {
        {"alice", "a1ice", true},
        {"alice", "Alice", true},
        {"alice", "aIice", true},
        {"alice", "al-ice", true},
        {"alice", "a.l.i.c.e", true},
        {"bob", "b0b", true},
        {"mia", "rnia", true},
        {"will", "vvill", true},
        {"jose", "jos\xc3\xa9", true},
        {"lodz",
         "\xc5\x82\xc3\xb3"
         "d\xc5\xba",
         true},
        {"cop", "\xd1\x81\xd0\xbe\xd1\x80", true},
        {"pax", "\xd1\x80\xd0\xb0\xd1\x85", true},
        {"tok", "\xcf\x84\xce\xbf\xce\xba", true},
        {"\xe5\x8f\xa3", "\xe3\x83\xad", true},
        {"alice", "bob", false},
        {"anna", "ana", false},
        {"paul", "pail", false},
        {"clara", "dara", false},
        {"\xe5\xb1\xb1", "\xe5\xb7\x9d", false},
    };
    char a[NAME_KEY_MAX], b[NAME_KEY_MAX];
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        print_message("# %s %s\n", rows[i].a, rows[i].b);
        assert_int_equal(name_skeleton(a, str_of(rows[i].a)), 0);
        assert_int_equal(name_skeleton(b, str_of(rows[i].b)), 0);
        assert_int_equal(strcmp(a, b) == 0, rows[i].alike);
    }
}

/* Every character that a name may have: name, key and skeleton exist, and the skeleton is final. */
static void skeletons_are_final(void **state)
{
    size_t letters = 0;
    (void)state;

    for (int32_t p = 0; p < 0x30000; p++) {
        char name[5], once[NAME_KEY_MAX], twice[NAME_KEY_MAX];
        struct err e = {0};
        if (p >= 0xd800 && p <= 0xdfff)
            continue;
        struct str s = str_from(name, text_put(name, p));
        if (name_check(s, NAME_DEVICE, &e) < 0)
            continue;
        letters++;
        assert_int_equal(name_skeleton(once, s), 0);
        assert_int_equal(name_skeleton(twice, str_of(once)), 0);
        assert_string_equal(once, twice);
    }
    assert_true(letters > 70000);
}

/* 32 of whatever grows most still fit. */
static void long_names_fit_their_key(void **state)
{
    static const char *const grows[] = {"\xce\x90", "\xc3\x9f", "\xe1\xbe\xb7",     "\xc3\xa6",
                                        "\xc5\x89", "\xd6\x87", "\xf0\xa0\x80\x80", "\xed\x9e\xa3"};
    (void)state;
    for (size_t i = 0; i < COUNT(grows); i++) {
        char name[4 * NAME_CHARS], key[NAME_KEY_MAX];
        size_t n = strlen(grows[i]);
        for (size_t k = 0; k < NAME_CHARS; k++)
            memcpy(name + k * n, grows[i], n);
        assert_int_equal(name_canonical(key, str_from(name, n * NAME_CHARS)), 0);
        assert_int_equal(name_skeleton(key, str_from(name, n * NAME_CHARS)), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_people_are_judged),
        cmocka_unit_test(rooms_and_devices_may_have_more),
        cmocka_unit_test(one_name_has_one_key),
        cmocka_unit_test(lookalikes_have_one_skeleton),
        cmocka_unit_test(skeletons_are_final),
        cmocka_unit_test(long_names_fit_their_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
