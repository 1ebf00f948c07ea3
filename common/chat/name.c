#include "common/chat/name.h"

#include <stdio.h>
#include <string.h>

#include "common/util/text.h"

/* --- scripts: only these, and only one in a name --- */

enum script {
    SCRIPT_NONE,
    SCRIPT_LATIN,
    SCRIPT_GREEK,
    SCRIPT_CYRILLIC,
    SCRIPT_ARMENIAN,
    SCRIPT_HEBREW,
    SCRIPT_ARABIC,
    SCRIPT_DEVANAGARI,
    SCRIPT_BENGALI,
    SCRIPT_TAMIL,
    SCRIPT_THAI,
    SCRIPT_GEORGIAN,
    SCRIPT_ETHIOPIC,
    SCRIPT_HAN, /* with Hiragana and Katakana: Japanese writes all three in one word */
    SCRIPT_HANGUL,
};

/* Letters of common use; `marks`: the script spells vowels with combining marks. */
static const struct {
    int32_t first, last;
    enum script script;
    bool marks;
} ranges[] = {
    {'A', 'Z', SCRIPT_LATIN, false},          {'a', 'z', SCRIPT_LATIN, false},
    {0xc0, 0xd6, SCRIPT_LATIN, false},        {0xd8, 0xf6, SCRIPT_LATIN, false},
    {0xf8, 0x24f, SCRIPT_LATIN, false},       {0x370, 0x3ff, SCRIPT_GREEK, false},
    {0x400, 0x481, SCRIPT_CYRILLIC, false},   {0x48a, 0x52f, SCRIPT_CYRILLIC, false},
    {0x531, 0x587, SCRIPT_ARMENIAN, false},   {0x5d0, 0x5ea, SCRIPT_HEBREW, false},
    {0x620, 0x63f, SCRIPT_ARABIC, false},     {0x641, 0x64a, SCRIPT_ARABIC, false},
    {0x66e, 0x6d3, SCRIPT_ARABIC, false},     {0x900, 0x963, SCRIPT_DEVANAGARI, true},
    {0x980, 0x9e3, SCRIPT_BENGALI, true},     {0xb82, 0xbcd, SCRIPT_TAMIL, true},
    {0xe01, 0xe3a, SCRIPT_THAI, true},        {0xe40, 0xe4e, SCRIPT_THAI, true},
    {0x10d0, 0x10fa, SCRIPT_GEORGIAN, false}, {0x1200, 0x135a, SCRIPT_ETHIOPIC, false},
    {0x1e00, 0x1eff, SCRIPT_LATIN, false},    {0x1f00, 0x1fff, SCRIPT_GREEK, false},
    {0x3005, 0x3006, SCRIPT_HAN, false},      {0x3041, 0x3096, SCRIPT_HAN, false},
    {0x30a1, 0x30fa, SCRIPT_HAN, false},      {0x30fc, 0x30fe, SCRIPT_HAN, false},
    {0x3400, 0x4dbf, SCRIPT_HAN, false},      {0x4e00, 0x9fff, SCRIPT_HAN, false},
    {0xac00, 0xd7a3, SCRIPT_HANGUL, false},   {0x20000, 0x2a6df, SCRIPT_HAN, false},
};

static enum script script_of(int32_t point)
{
    for (size_t i = 0; i < COUNT(ranges); i++) {
        if (point < ranges[i].first || point > ranges[i].last)
            continue;
        enum text_class class = text_class(point);
        bool good = class == TEXT_LETTER || (class == TEXT_MARK && ranges[i].marks);
        return good ? ranges[i].script : SCRIPT_NONE;
    }
    return SCRIPT_NONE;
}

/* --- reserved words: compared by skeleton, so that lookalikes are reserved too --- */

static const struct {
    const char *word;
    unsigned of; /* bits 1 << enum name_of */
} reserved[] = {
    {"admin", 1},        {"administrator", 1}, {"root", 1},
    {"owner", 1},        {"moderator", 1},     {"operator", 1},
    {"security", 1},     {"support", 1},       {"help", 1},
    {"anonymous", 1},    {"unknown", 1},       {"nobody", 1},
    {"everyone", 1},     {"here", 1},          {"me", 5},
    {"you", 1},          {"self", 1},          {"system", 5},
    {"relay", 5},        {"server", 5},        {"status", 5},
    {"notice", 5},       {"countersign", 7},   {"countersignd", 7},
    {"none", 5},         {"null", 5},          {"countersign-ca", 7},
    {"intermediate", 1}, {"proxy", 1},         {"daemon", 1},
    {"localhost", 1},    {"classic", 4},
};

static bool is_reserved(struct str name, enum name_of of)
{
    char mine[NAME_KEY_MAX], theirs[NAME_KEY_MAX];

    if (name_skeleton(mine, name) < 0)
        return true;
    for (size_t i = 0; i < COUNT(reserved); i++) {
        if ((reserved[i].of & 1u << of) != 0 &&
            name_skeleton(theirs, str_of(reserved[i].word)) == 0 && strcmp(mine, theirs) == 0)
            return true;
    }
    return false;
}

/* --- the check --- */

static bool is_ascii_digit(int32_t point)
{
    return point >= '0' && point <= '9';
}

static bool is_joiner(int32_t point)
{
    return point == '-' || point == '_' || point == '.';
}

/* What was found in a name while walking through it. */
struct walk {
    enum script script;
    size_t points, letters;
    bool joined; /* the last one was - _ or . */
};

static int walk_point(struct walk *w, int32_t point, struct err *e)
{
    enum script script = script_of(point);

    if (w->points++ == NAME_CHARS)
        return err_set(e, ERR_DATA, "a name has at most %d characters", NAME_CHARS);
    if (is_joiner(point)) {
        if (w->points == 1 || w->joined)
            return err_set(e, ERR_DATA, "- _ . stand singly between letters or digits of a name");
        w->joined = true;
        return 0;
    }
    w->joined = false;
    if (is_ascii_digit(point))
        return 0;
    if (point == ' ')
        return err_set(e, ERR_DATA, "a name has no spaces: letters, 0-9 and - _ . may stand in it");
    if (script == SCRIPT_NONE)
        return err_set(e, ERR_DATA, "U+%04X may not stand in a name: letters, 0-9 and - _ . may",
                       (unsigned)point);
    if (w->letters++ == 0 && text_class(point) == TEXT_MARK)
        return err_set(e, ERR_DATA, "a name begins with a letter or digit");
    if (w->script != SCRIPT_NONE && script != w->script)
        return err_set(e, ERR_DATA, "U+%04X is of another script than the letters before it",
                       (unsigned)point);
    w->script = script;
    return 0;
}

static int walk_name(struct str name, enum name_of of, struct err *e)
{
    struct walk w = {0};
    size_t n;

    for (struct str s = name; s.n > 0; s = str_from(s.p + n, s.n - n)) {
        int32_t point = text_next(s, &n);
        if (point < 0)
            return err_set(e, ERR_DATA, "a name is UTF-8, this is not");
        if (walk_point(&w, point, e) < 0)
            return -1;
    }
    if (w.joined)
        return err_set(e, ERR_DATA, "- _ . stand singly between letters or digits of a name");
    if (w.letters == 0 && of == NAME_PERSON)
        return err_set(e, ERR_DATA, "the name of a person has at least one letter");
    return 0;
}

int name_check(struct str name, enum name_of of, struct err *e)
{
    char nfc[NAME_MAX_LEN + 1];
    size_t n = 0;

    if (name.n == 0)
        return err_set(e, ERR_DATA, "a name has at least one character");
    if (walk_name(name, of, e) < 0)
        return -1;
    if (name.n > NAME_MAX_LEN || text_nfc(nfc, sizeof nfc, &n, name) < 0 ||
        !str_same(name, str_from(nfc, n)))
        return err_set(e, ERR_DATA, "a name is in Unicode's normal form C, this is not");
    if (is_reserved(name, of))
        return err_set(e, ERR_DATA, "this name, or one that looks like it, is reserved");
    return 0;
}

int name_canonical(char out[NAME_KEY_MAX], struct str name)
{
    size_t n;

    if (name.n == 0 || name.n > NAME_MAX_LEN)
        return -1;
    return text_fold(out, NAME_KEY_MAX, &n, name);
}

/* --- skeletons --- */

/* One lookalike and what it is taken for, after case folding and without accents. No target is
 * itself a lookalike. */
static const struct {
    int32_t point;
    const char *as;
} alike[] = {
    /* digits and Latin */
    {'0', "o"},
    {'1', "l"},
    {'i', "l"},
    {0x131, "l"},
    {0x142, "l"},
    {0xf8, "o"},
    {0x111, "d"},
    {0x127, "h"},
    {0x167, "t"},
    {0xe6, "ae"},
    {0x153, "oe"},
    {0x180, "b"},
    {0x183, "b"},
    {0x185, "b"},
    {0x188, "c"},
    {0x18c, "d"},
    {0x192, "f"},
    {0x199, "k"},
    {0x19a, "l"},
    {0x19e, "n"},
    {0x1a5, "p"},
    {0x1ab, "t"},
    {0x1ad, "t"},
    {0x1b4, "y"},
    {0x1b6, "z"},
    {0x1bf, "p"},
    {0x1c0, "l"},
    {0x1e5, "g"},
    {0x237, "j"},
    {0x23c, "c"},
    {0x247, "e"},
    {0x249, "j"},
    {0x24b, "q"},
    {0x24d, "r"},
    {0x24f, "y"},
    {0xfe, "p"},
    {0xf0, "d"},
    {0x1dd, "e"},
    {0x14b, "n"},
    {0x138, "k"},
    {0x1bd, "s"},
    {0x21d, "3"},
    {0x223, "8"},
    {0x225, "z"},
    {0x221, "d"},
    {0x234, "l"},
    {0x235, "n"},
    {0x236, "t"},
    /* Greek */
    {0x3b1, "a"},
    {0x3b2, "b"},
    {0x3b3, "y"},
    {0x3b5, "e"},
    {0x3b7, "n"},
    {0x3b9, "l"},
    {0x3ba, "k"},
    {0x3bd, "v"},
    {0x3bf, "o"},
    {0x3c1, "p"},
    {0x3c3, "o"},
    {0x3c4, "t"},
    {0x3c5, "u"},
    {0x3bc, "u"},
    {0x3c7, "x"},
    {0x3c9, "w"},
    {0x3d7, "x"},
    {0x3f3, "j"},
    {0x3f8, "p"},
    {0x3dd, "f"},
    /* Cyrillic */
    {0x430, "a"},
    {0x432, "b"},
    {0x433, "r"},
    {0x435, "e"},
    {0x437, "3"},
    {0x438, "u"},
    {0x43a, "k"},
    {0x43c, "m"},
    {0x43d, "h"},
    {0x43e, "o"},
    {0x43f, "n"},
    {0x440, "p"},
    {0x441, "c"},
    {0x442, "t"},
    {0x443, "y"},
    {0x445, "x"},
    {0x44c, "b"},
    {0x454, "e"},
    {0x455, "s"},
    {0x456, "l"},
    {0x458, "j"},
    {0x45b, "h"},
    {0x452, "h"},
    {0x461, "w"},
    {0x475, "v"},
    {0x491, "r"},
    {0x49b, "k"},
    {0x4a3, "h"},
    {0x4af, "y"},
    {0x4b1, "y"},
    {0x4b3, "x"},
    {0x4bb, "h"},
    {0x4cf, "l"},
    {0x4d5, "ae"},
    {0x4e9, "o"},
    {0x501, "d"},
    {0x51b, "q"},
    {0x51d, "w"},
    {0x4d9, "e"},
    {0x4e1, "3"},
    /* Armenian */
    {0x585, "o"},
    {0x57d, "u"},
    {0x570, "h"},
    {0x578, "n"},
    {0x581, "g"},
    {0x566, "q"},
    {0x575, "j"},
    {0x56c, "l"},
    {0x584, "p"},
    /* Hebrew and Arabic */
    {0x5d5, "l"},
    {0x5d9, "l"},
    {0x5df, "l"},
    {0x5e1, "o"},
    {0x627, "l"},
    {0x647, "o"},
    {0x6be, "o"},
    {0x6c1, "o"},
    {0x6d5, "o"},
    {0x64a, "\331\211"},
    {0x6cc, "\331\211"},
    {0x6d2, "\331\211"},
    {0x643, "\332\251"},
    /* Kana and Han */
    {0x30d8, "\343\201\270"},
    {0x4e00, "\343\203\274"},
    {0x53e3, "\343\203\255"},
    {0x4e8c, "\343\203\213"},
    {0x516b, "\343\203\217"},
    {0x529b, "\343\202\253"},
    {0x5915, "\343\202\277"},
    {0x535c, "\343\203\210"},
    {0x5de5, "\343\202\250"},
    {0x624d, "\343\202\252"},
    {0x30ea, "\343\202\212"},
    {0x5343, "\343\203\201"},
};

/* Two letters that together look like one. After the table above. */
static const struct {
    const char *two;
    char one;
} pairs[] = {{"rn", 'm'}, {"vv", 'w'}};

static void add_alike(struct wr *w, int32_t point)
{
    char utf8[4];

    for (size_t i = 0; i < COUNT(alike); i++) {
        if (alike[i].point == point) {
            wr_put(w, alike[i].as, strlen(alike[i].as));
            return;
        }
    }
    wr_put(w, utf8, text_put(utf8, point));
}

/* Accents do not make another person. */
static bool is_accent(int32_t point)
{
    return point >= 0x300 && point <= 0x36f;
}

static bool pair_found(char *s, size_t *n)
{
    for (size_t i = 0; i < COUNT(pairs); i++) {
        char *at = strstr(s, pairs[i].two);
        if (at == NULL)
            continue;
        *at = pairs[i].one;
        memmove(at + 1, at + 2, *n - (size_t)(at - s) - 1);
        *n -= 1;
        return true;
    }
    return false;
}

int name_skeleton(char out[NAME_KEY_MAX], struct str name)
{
    char canon[NAME_KEY_MAX];
    struct wr w = wr_of(out, NAME_KEY_MAX - 1);
    int32_t parts[TEXT_PARTS_MAX];
    size_t n;

    if (name_canonical(canon, name) < 0)
        return -1;
    for (struct str s = str_of(canon); s.n > 0; s = str_from(s.p + n, s.n - n)) {
        size_t count = text_decompose(parts, text_next(s, &n));
        for (size_t i = 0; i < count; i++) {
            if (!is_accent(parts[i]) && !is_joiner(parts[i]))
                add_alike(&w, parts[i]);
        }
    }
    out[w.len] = '\0';
    n = w.len;
    while (pair_found(out, &n))
        ;
    return w.bad || n == 0 ? -1 : 0;
}
