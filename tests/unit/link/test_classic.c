/* The link `classic` (docs/protocol.md 10.5): the values of tests/vectors/classic.txt, its lines,
 * both roles and both ways to a key; what it refuses, and that a refusal tells nothing of the key
 * that was sent (H15). What it cannot refuse is test_lab's business. */
#include <mbedtls/bignum.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/link/classic_line.h"
#include "tests/unit/link/support_link.h"
#include "tests/unit/support_vectors.h"

#define VECTORS "tests/vectors/classic.txt"

enum { ALL = 1 << 20, VALUE_MAX = 512 };

static struct world *w;

static int setup(void **state)
{
    (void)state;
    w = world_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(w);
    return 0;
}

static const struct aes_key file_key = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static void conf(struct pair *p, bool file)
{
    pair_conf(p, w);
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        p->conf[r].kind = LINK_CLASSIC;
        p->conf[r].file_key = file ? &file_key : NULL;
    }
}

/* --- values --- */

static size_t value(const char *name, uint8_t out[VALUE_MAX])
{
    return vector_take(VECTORS, name, out, VALUE_MAX);
}

static void assert_opens(const char *mac, const char *test)
{
    uint8_t sealed[VALUE_MAX], want[VALUE_MAX], text[VALUE_MAX];
    struct cbc_keys k;
    size_t got;

    assert_int_equal(vector_take(VECTORS, "key", k.aes.b, sizeof k.aes), sizeof k.aes);
    assert_int_equal(vector_take(VECTORS, mac, k.mac.b, sizeof k.mac.b), sizeof k.mac.b);
    size_t n = value(test, sealed);
    assert_int_equal(cbc_plain_open(&k, span_of(sealed, n), text, &got), 0);
    assert_int_equal(got, value("text", want));
    assert_memory_equal(text, want, got);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(cbc_plain_open(&k, span_of(sealed, n), text, &got), -1);
        sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(cbc_plain_open(&k, span_of(sealed, cut), text, &got), -1);
}

static void texts_match_the_vectors(void **state)
{
    (void)state;
    assert_opens("mac", "test");
    assert_opens("file_mac", "file_test");
}

static void numbers_match_the_vectors(void **state)
{
    uint8_t want[VALUE_MAX], digits[VALUE_MAX];
    char text[TEXTBOOK_DIGITS_MAX + 1];
    struct textbook_open n, c;
    struct aes_key k;

    (void)state;
    size_t len = value("n_digits", digits);
    assert_int_equal(textbook_number(&n, str_from(digits, len)), 0);
    assert_int_equal(value("n", want), n.n);
    assert_memory_equal(n.b, want, n.n);
    assert_true(textbook_modulus(&n));
    assert_int_equal(textbook_digits(text, span_of(n.b, n.n)), 0);
    assert_true(str_same(str_of(text), str_from(digits, len)));
    assert_int_equal(vector_take(VECTORS, "key", k.b, sizeof k.b), sizeof k.b);
    assert_int_equal(textbook_raise(&c, &k, &n), 0);
    assert_int_equal(value("raised", want), c.n);
    assert_memory_equal(c.b, want, c.n);
}

static void some_numbers_are_none(void **state)
{
    static const char *const bad[] = {"", "-1", "+1", "01", "00", "1 ", " 1", "0x1", "1e3", "1.0"};
    char many[TEXTBOOK_DIGITS_MAX + 2];
    struct textbook_open v;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(textbook_number(&v, str_of(bad[i])), -1);
    memset(many, '9', sizeof many);
    assert_int_equal(textbook_number(&v, str_from(many, TEXTBOOK_DIGITS_MAX)), 0);
    assert_true(v.n <= sizeof v.b);
    assert_int_equal(textbook_number(&v, str_from(many, TEXTBOOK_DIGITS_MAX + 1)), -1);
}

/* --- lines --- */

#define DIGITS_10 "1111111111"
#define DIGITS_50 DIGITS_10 DIGITS_10 DIGITS_10 DIGITS_10 DIGITS_10
#define DIGITS_650                                                                                 \
    DIGITS_50 DIGITS_50 DIGITS_50 DIGITS_50 DIGITS_50 DIGITS_50 DIGITS_50 DIGITS_50 DIGITS_50      \
        DIGITS_50 DIGITS_50 DIGITS_50 DIGITS_50

static const struct {
    const char *line;
    int type; /* -1: none */
    const char *why;
} lines[] = {
    {"{\"type\":\"hello\"}", CLASSIC_HELLO, "as ours write it"},
    {"{\"type\": \"hello\"}", CLASSIC_HELLO, "as json.dumps writes it"},
    {" { \"type\" :\t\"ok\" } \r", CLASSIC_OK, "white space"},
    {"{\"e\":65537,\"n\":77,\"type\":\"pubkey\"}", CLASSIC_PUBKEY, "another order"},
    {"{\"type\":\"key\",\"chunks\":[5]}", CLASSIC_KEY, "one block"},
    {"{\"type\":\"key\",\"chunks\":[ " DIGITS_650 DIGITS_650 " ]}", CLASSIC_KEY, "1300 digits"},
    {"{\"type\":\"msg\",\"ct_hex\":\"00ff\"}", CLASSIC_MSG, "hex is looked at later"},
    {"{\"type\":\"err\",\"reason\":\"a \\\"b\\\" \\u4f60\"}", CLASSIC_ERR, "escapes"},
    {"", -1, "nothing"},
    {"{}", -1, "no type"},
    {"[]", -1, "no object"},
    {"null", -1, "no object"},
    {"{\"type\":\"hello\"", -1, "not closed"},
    {"{\"type\":\"hello\"}x", -1, "something behind"},
    {"{\"type\":\"hello\"}{\"type\":\"hello\"}", -1, "two objects"},
    {"{\"type\":\"hello\",}", -1, "a comma too many"},
    {"{,\"type\":\"hello\"}", -1, "a comma too early"},
    {"{\"type\":\"hello\" \"e\":1}", -1, "no comma"},
    {"{\"type\":\"Hello\"}", -1, "no such type"},
    {"{\"type\":\"h\\u0065llo\"}", -1, "a type has one spelling"},
    {"{\"type\":\"\"}", -1, "an empty type"},
    {"{\"type\":1}", -1, "a type that is a number"},
    {"{\"type\":\"hello\",\"type\":\"hello\"}", -1, "twice"},
    {"{\"type\":\"hello\",\"e\":1}", -1, "a member of another type"},
    {"{\"type\":\"hello\",\"x\":1}", -1, "a member that nobody knows"},
    {"{\"type\":\"pubkey\",\"e\":65537}", -1, "n is missing"},
    {"{\"type\":\"pubkey\",\"n\":65537}", -1, "e is missing"},
    {"{\"type\":\"pubkey\",\"e\":65537,\"n\":\"77\"}", -1, "digits in quotes"},
    {"{\"type\":\"pubkey\",\"e\":65537,\"n\":-77}", -1, "negative"},
    {"{\"type\":\"pubkey\",\"e\":65537,\"n\":077}", -1, "leading zero"},
    {"{\"type\":\"pubkey\",\"e\":65537,\"n\":7.5}", -1, "a fraction"},
    {"{\"type\":\"pubkey\",\"e\":65537,\"n\":7e5}", -1, "an exponent"},
    {"{\"type\":\"pubkey\",\"e\":65537,\"n\":}", -1, "no digits"},
    {"{\"type\":\"pubkey\",\"e\":65537,\"n\":" DIGITS_650 DIGITS_650 "1}", -1, "1301 digits"},
    {"{\"type\":\"key\",\"chunks\":[]}", -1, "no block"},
    {"{\"type\":\"key\",\"chunks\":[1,2]}", -1, "two blocks: no key of 16 bytes needs them"},
    {"{\"type\":\"key\",\"chunks\":5}", -1, "not in brackets"},
    {"{\"type\":\"key\",\"chunks\":[[5]]}", -1, "nested"},
    {"{\"type\":\"msg\",\"ct_hex\":\"00}", -1, "no quote"},
    {"{\"type\":\"msg\",\"ct_hex\":\"0\t\"}", -1, "a control character"},
    {"{\"type\":\"err\",\"reason\":\"\xff\"}", -1, "not UTF-8"},
    {"{\"type\":\"err\",\"reason\":\"\\", -1, "ends in an escape"},
};

static void lines_are_read_strictly(void **state)
{
    struct classic_line l;

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct str s = str_of(lines[i].line);
        int got = classic_line_take(&l, s) < 0 ? -1 : (int)l.type;
        if (got != lines[i].type)
            fail_msg("%s: %s", lines[i].why, lines[i].line);
        /* Cut anywhere it is none, but that a line may end in white space. */
        for (size_t n = 0; got >= 0 && n < s.n; n++) {
            char *cut = malloc(n + 1);
            memcpy(cut, s.p, n);
            if (memchr(s.p + n, '}', s.n - n) != NULL)
                assert_int_equal(classic_line_take(&l, str_from(cut, n)), -1);
            free(cut);
        }
    }
}

static void reasons_are_unescaped(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"HMAC verification failed", "HMAC verification failed"},
        {"\\u4f60\\u597D", "你好"},
        {"\\ud83d\\ude00 \\\"q\\\" \\n", "😀 \"q\" \n"},
        {"\\ud83d!", "\xef\xbf\xbd"},
        {"a\\u0000b", "a\xef\xbf\xbd"
                      "b"},
        {"\\uzzzz", "\xef\xbf\xbdzzz"},
    };
    char out[64], small[8];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        classic_reason(out, sizeof out, str_of(rows[i].in));
        assert_string_equal(out, rows[i].out);
    }
    classic_reason(small, sizeof small, str_of("longer than that"));
    assert_int_equal(strlen(small), 4); /* room for one more character of any size */
}

/* --- both ends --- */

static void assert_talks(struct pair *p, const char *text)
{
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        size_t before = p->got[!r].len;
        assert_int_equal(link_send(p->end[r], (const uint8_t *)text, strlen(text)), 0);
        pair_pump(p, 3);
        assert_int_equal(p->got[!r].len, before + strlen(text));
        assert_memory_equal(buf_span(&p->got[!r]).p + before, text, strlen(text));
    }
}

static void both_ways_to_a_key_lead_to_talk(void **state)
{
    static const size_t pieces[] = {1, 7, ALL};

    (void)state;
    for (int file = 0; file <= 1; file++)
        for (size_t i = 0; i < COUNT(pieces); i++) {
            struct pair p;
            struct key k;
            conf(&p, file);
            pair_meet(&p, pieces[i]);
            assert_true(p.established[ROLE_CLIENT] && p.established[ROLE_RELAY]);
            assert_talks(&p, "hello 你好");
            assert_talks(&p, "x");
            assert_int_equal(p.order_bad, 0);
            assert_int_equal(link_exporter(p.end[0], LINK_EXPORTER_LOGIN, &k), -1);
            pair_free(&p);
        }
}

/* The documents' own lists, written down again. */
static void steps_are_those_of_the_documents(void **state)
{
    static const char *const rsa[] = {"hello", "pubkey", "key", "ok"};
    static const char *const file[] = {"session key", "encrypt", "MAC", "send",
                                       "verify MAC",  "decrypt", "show"};
    struct pair p;
    size_t told = 0;

    (void)state;
    conf(&p, false);
    pair_meet(&p, ALL);
    for (size_t i = 0; i < p.steps_n[ROLE_CLIENT]; i++)
        if (!p.steps[ROLE_CLIENT][i].waiting)
            assert_string_equal(p.steps[ROLE_CLIENT][i].name, rsa[told++]);
    assert_int_equal(told, COUNT(rsa));
    assert_int_equal(p.steps_n[ROLE_CLIENT], COUNT(rsa) + 1); /* and the wait for the verdict */
    pair_free(&p);
    conf(&p, true);
    pair_start(&p);
    pair_pump(&p, ALL);
    assert_int_equal(link_send(p.end[ROLE_CLIENT], (const uint8_t *)"a", 1), 0);
    pair_pump(&p, ALL);
    assert_int_equal(link_send(p.end[ROLE_RELAY], (const uint8_t *)"b", 1), 0);
    pair_pump(&p, ALL);
    assert_int_equal(p.steps_n[ROLE_CLIENT], COUNT(file));
    for (size_t i = 0; i < COUNT(file); i++) {
        assert_string_equal(p.steps[ROLE_CLIENT][i].name, file[i]);
        assert_int_equal(p.steps[ROLE_CLIENT][i].number, i + 1);
        assert_int_equal(p.steps[ROLE_CLIENT][i].total, COUNT(file));
    }
    pair_free(&p);
}

static void a_relay_says(struct pair *p, const char *line)
{
    (void)!link_feed(p->end[ROLE_CLIENT], (const uint8_t *)line, strlen(line));
    pair_events(p, ROLE_CLIENT);
}

/* A `msg` may come before `ok`: it is kept until the client is let in. */
static void a_text_may_come_before_ok(void **state)
{
    struct pair p;

    (void)state;
    conf(&p, false);
    pair_start(&p);
    pair_pump(&p, ALL);
    assert_true(p.established[ROLE_RELAY]);
    pair_free(&p);
    conf(&p, true);
    pair_start(&p);
    pair_move(&p, ROLE_CLIENT, ALL);
    assert_int_equal(link_send(p.end[ROLE_RELAY], (const uint8_t *)"early", 5), 0);
    struct span s = link_out(p.end[ROLE_RELAY]);
    const uint8_t *lf = memchr(s.p, '\n', s.n);
    size_t ok = (size_t)(lf + 1 - s.p);
    uint8_t copy[512];
    memcpy(copy, s.p, s.n);
    assert_int_equal(link_feed(p.end[ROLE_CLIENT], copy + ok, s.n - ok), 0);
    pair_events(&p, ROLE_CLIENT);
    assert_false(p.established[ROLE_CLIENT]);
    assert_int_equal(p.got[ROLE_CLIENT].len, 0);
    assert_int_equal(link_feed(p.end[ROLE_CLIENT], copy, ok), 0);
    pair_events(&p, ROLE_CLIENT);
    assert_true(p.established[ROLE_CLIENT]);
    assert_int_equal(p.got[ROLE_CLIENT].len, 5);
    pair_free(&p);
}

/* --- what is refused --- */

#define HELLO   "{\"type\":\"hello\"}\n"
#define OK      "{\"type\":\"ok\"}\n"
#define MSG     "{\"type\":\"msg\",\"ct_hex\":\"00\"}\n"
#define KEY(c)  "{\"type\":\"key\",\"chunks\":[" c "]}\n"
#define REFUSED "{\"type\":\"err\",\"reason\":\"refused\"}\n"
#define BAD_MAC "{\"type\":\"err\",\"reason\":\"HMAC verification failed\"}\n"

static void assert_ends(enum role r, bool file, const char *lines_fed, const char *last)
{
    struct pair p;

    conf(&p, file);
    pair_start(&p);
    if (link_feed(p.end[r], (const uint8_t *)lines_fed, strlen(lines_fed)) == 0)
        fail_msg("%s was taken", lines_fed);
    pair_events(&p, r);
    assert_true(p.failed[r]);
    struct span out = link_out(p.end[r]);
    size_t n = strlen(last);
    assert_true(out.n >= n);
    assert_memory_equal(out.p + out.n - n, last, n);
    assert_int_equal(link_send(p.end[r], (const uint8_t *)"a", 1), -1);
    pair_free(&p);
}

static void what_is_not_due_is_refused(void **state)
{
    static const char *const to_relay[] = {
        OK,
        MSG,
        KEY("5"),
        HELLO HELLO,
        HELLO OK,
        HELLO MSG,
        HELLO KEY("0"),
        HELLO KEY("1"),
        HELLO KEY("5") KEY("5"),
        HELLO KEY("5") HELLO,
        "hello\n",
        "\n",
        HELLO "{}\n",
        "{\"type\":\"pubkey\",\"e\":65537,\"n\":77}\n",
        HELLO "{\"type\":\"pubkey\",\"e\":65537,\"n\":77}\n",
    };
    static const char *const to_client[] = {
        OK, MSG, HELLO, KEY("5"), "\n", "{\"type\":\"pubkey\",\"e\":65537,\"n\":77}\n",
    };

    uint8_t digits[VALUE_MAX];
    char pub[VALUE_MAX + 64], twice[3 * VALUE_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT(to_relay); i++)
        assert_ends(ROLE_RELAY, false, to_relay[i], REFUSED);
    for (size_t i = 0; i < COUNT(to_client); i++)
        assert_ends(ROLE_CLIENT, false, to_client[i], REFUSED);
    snprintf(pub, sizeof pub, "{\"type\":\"pubkey\",\"e\":65537,\"n\":%.*s}\n",
             (int)value("n_digits", digits), (const char *)digits);
    snprintf(twice, sizeof twice, "%s%s", pub, pub);
    assert_ends(ROLE_CLIENT, false, twice, REFUSED);
    snprintf(twice, sizeof twice, "%s" OK OK, pub);
    assert_ends(ROLE_CLIENT, false, twice, REFUSED);
    snprintf(twice, sizeof twice, "%s" OK "%s", pub, pub);
    assert_ends(ROLE_CLIENT, false, twice, REFUSED);
    assert_ends(ROLE_RELAY, true, HELLO HELLO, REFUSED);
    assert_ends(ROLE_RELAY, true, HELLO KEY("5"), REFUSED);
    assert_ends(ROLE_CLIENT, true, OK OK, REFUSED);
    assert_ends(ROLE_CLIENT, true, "{\"type\":\"pubkey\",\"e\":65537,\"n\":77}\n", REFUSED);
}

/* e is 65537, n odd and of 1024 to 4318 bits. */
static void weak_public_keys_are_refused(void **state)
{
    static const char *const es[] = {"1", "3", "65536", "65539", "0"};
    uint8_t digits[VALUE_MAX];
    char line[VALUE_MAX + 128];
    size_t n = value("n_digits", digits);

    (void)state;
    for (size_t i = 0; i < COUNT(es); i++) {
        snprintf(line, sizeof line, "{\"type\":\"pubkey\",\"e\":%s,\"n\":%.*s}\n", es[i], (int)n,
                 (const char *)digits);
        assert_ends(ROLE_CLIENT, false, line, REFUSED);
    }
    snprintf(line, sizeof line, "{\"type\":\"pubkey\",\"e\":65537,\"n\":%.*s}\n", (int)n - 1,
             (const char *)digits);
    assert_ends(ROLE_CLIENT, false, line, REFUSED); /* too short */
    digits[n - 1] = '8';
    snprintf(line, sizeof line, "{\"type\":\"pubkey\",\"e\":65537,\"n\":%.*s}\n", (int)n,
             (const char *)digits);
    assert_ends(ROLE_CLIENT, false, line, REFUSED); /* even */
}

static int say_block(const struct textbook_open *c)
{
    char digits[TEXTBOOK_DIGITS_MAX + 1], line[TEXTBOOK_DIGITS_MAX + 64];
    struct pair p;

    assert_int_equal(textbook_digits(digits, span_of(c->b, c->n)), 0);
    snprintf(line, sizeof line, HELLO "{\"type\":\"key\",\"chunks\":[%s]}\n", digits);
    conf(&p, false);
    pair_start(&p);
    int ret = link_feed(p.end[ROLE_RELAY], (uint8_t *)line, strlen(line));
    if (ret < 0)
        assert_string_equal(pair_why(&p, ROLE_RELAY), "key: not a number below n");
    pair_free(&p);
    return ret;
}

/* H15: 0, 1 and n - 1 are their own powers, and n is no number below n: who sends them asks about
 * something else than a key. 2 and n - 2 are numbers like others. */
static void blocks_are_between_2_and_n_less_2(void **state)
{
    struct textbook_open n, c;

    (void)state;
    textbook_open(w->textbook, &n);
    for (unsigned small = 0; small <= 2; small++) {
        c = (struct textbook_open){{(uint8_t)small}, 1};
        assert_int_equal(say_block(&c), small == 2 ? 0 : -1);
    }
    for (unsigned less = 0; less <= 2; less++) {
        c = n;
        for (size_t i = c.n, borrow = less; borrow > 0; i--) {
            unsigned v = 256U + c.b[i - 1] - (unsigned)borrow;
            c.b[i - 1] = (uint8_t)v;
            borrow = v < 256;
        }
        assert_int_equal(say_block(&c), less == 2 ? 0 : -1);
    }
    c = n;
    c.b[c.n - 1]++; /* n + 1; n is odd */
    if (c.b[c.n - 1] != 0)
        assert_int_equal(say_block(&c), -1);
    c = (struct textbook_open){{1}, n.n + 1}; /* 5, and one byte above those of n */
    c.b[n.n] = 5;
    assert_int_equal(say_block(&c), -1);
}

static void long_lines_end_it(void **state)
{
    uint8_t byte = ' ';
    struct pair p;

    (void)state;
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        conf(&p, false);
        pair_start(&p);
        for (size_t i = 0; i < CLASSIC_LINE_MAX; i++)
            assert_int_equal(link_feed(p.end[r], &byte, 1), 0);
        assert_int_equal(link_feed(p.end[r], &byte, 1), -1);
        assert_int_equal(link_error(p.end[r])->code, ERR_LIMIT);
        pair_free(&p);
    }
}

static void texts_have_a_bound(void **state)
{
    static uint8_t text[CLASSIC_TEXT_MAX + 1];

    (void)state;
    for (size_t n = CLASSIC_TEXT_MAX; n <= CLASSIC_TEXT_MAX + 1; n++) {
        struct pair p;
        conf(&p, false);
        pair_meet(&p, ALL);
        assert_int_equal(link_send(p.end[ROLE_CLIENT], text, n), n == sizeof text ? -1 : 0);
        pair_pump(&p, ALL);
        assert_int_equal(p.got[ROLE_RELAY].len, n == sizeof text ? 0 : n);
        pair_free(&p);
    }
}

/* Every byte of a sealed text; the other end says so in the document's words, and closes. */
static void a_changed_text_ends_it(void **state)
{
    (void)state;
    for (size_t at = 0; at < 2 * CBC_LEAST; at++) {
        struct pair p;
        conf(&p, false);
        pair_meet(&p, ALL);
        assert_int_equal(link_send(p.end[ROLE_CLIENT], (const uint8_t *)"text", 4), 0);
        struct span s = link_out(p.end[ROLE_CLIENT]);
        char *copy = malloc(s.n);
        memcpy(copy, s.p, s.n);
        size_t hex = strlen("{\"type\":\"msg\",\"ct_hex\":\"") + at;
        copy[hex] = copy[hex] == '0' ? '1' : '0';
        assert_int_equal(link_feed(p.end[ROLE_RELAY], (uint8_t *)copy, s.n), -1);
        pair_events(&p, ROLE_RELAY);
        assert_true(p.failed[ROLE_RELAY]);
        assert_int_equal(p.got[ROLE_RELAY].len, 0);
        assert_string_equal(pair_why(&p, ROLE_RELAY), "HMAC verification failed");
        s = link_out(p.end[ROLE_RELAY]);
        assert_int_equal(s.n, strlen(BAD_MAC));
        assert_memory_equal(s.p, BAD_MAC, s.n);
        free(copy);
        link_sent(p.end[ROLE_CLIENT], link_out(p.end[ROLE_CLIENT]).n);
        pair_pump(&p, ALL);
        assert_true(p.failed[ROLE_CLIENT]);
        assert_non_null(strstr(pair_why(&p, ROLE_CLIENT), "HMAC verification failed"));
        pair_free(&p);
    }
}

/* What a relay with the file's key makes of a sealed text: its answer, NULL when it took it. */
static const char *relay_answers(struct str hex, size_t *got)
{
    static const char *const answers[] = {REFUSED, BAD_MAC};
    static const char head[] = HELLO "{\"type\":\"msg\",\"ct_hex\":\"", tail[] = "\"}\n";
    const char *said = NULL;
    struct pair p;

    conf(&p, true);
    pair_start(&p);
    assert_int_equal(link_feed(p.end[ROLE_RELAY], (const uint8_t *)head, sizeof head - 1), 0);
    link_sent(p.end[ROLE_RELAY], link_waiting(p.end[ROLE_RELAY])); /* ok */
    assert_int_equal(link_feed(p.end[ROLE_RELAY], (const uint8_t *)hex.p, hex.n), 0);
    int ret = link_feed(p.end[ROLE_RELAY], (const uint8_t *)tail, sizeof tail - 1);
    pair_events(&p, ROLE_RELAY);
    struct span out = link_out(p.end[ROLE_RELAY]);
    for (size_t i = 0; i < COUNT(answers); i++)
        if (span_same(out, span_of(answers[i], strlen(answers[i]))))
            said = answers[i];
    assert_int_equal(ret, said == NULL ? 0 : -1);
    assert_int_equal(out.n, said == NULL ? 0 : strlen(said));
    *got = p.got[ROLE_RELAY].len;
    pair_free(&p);
    return said;
}

/* docs/protocol.md 10.5, once more by hand. */
static void file_keys(struct cbc_keys *k)
{
    static const char label[] = "countersign classic 1|file|mac";
    struct key prk;

    *k = (struct cbc_keys){.aes = file_key};
    assert_int_equal(
        hkdf_extract(HASH_SHA256, span_of(NULL, 0), span_of(file_key.b, sizeof file_key), prk.b),
        0);
    assert_int_equal(hkdf_expand(HASH_SHA256, span_of(prk.b, sizeof prk.b),
                                 span_of(label, sizeof label - 1), k->mac.b, sizeof k->mac.b),
                     0);
}

enum { SEALED_MOST = CLASSIC_TEXT_MAX + 2 * CBC_EXTRA };

/* n bytes of text, of which the first `kept` bytes of IV and ciphertext are sent under a MAC that
 * is right; NULL: relay_answers took it. */
static const char *relay_answers_to(size_t n, size_t kept, size_t *got)
{
    static uint8_t sealed[SEALED_MOST];
    static char hex[2 * SEALED_MOST + 1];
    struct cbc_keys k;
    struct hash mac;

    file_keys(&k);
    memset(sealed, 0, sizeof sealed);
    assert_int_equal(cbc_plain_seal(&k, 0, sealed, n), 0);
    if (kept == 0)
        kept = cbc_len(n) - CBC_MAC;
    hmac_sha256(span_of(k.mac.b, sizeof k.mac.b), span_of(sealed, kept), &mac);
    memcpy(sealed + kept, mac.b, sizeof mac.b);
    hex_put(hex, span_of(sealed, kept + sizeof mac.b));
    return relay_answers(str_of(hex), got);
}

static void a_text_is_whole_and_not_too_long(void **state)
{
    static const struct {
        size_t n, kept; /* kept 0: all */
        const char *answer;
    } rows[] = {
        {CLASSIC_TEXT_MAX, 0, NULL},
        {CLASSIC_TEXT_MAX + 1, 0, REFUSED},             /* as many blocks as that */
        {CLASSIC_TEXT_MAX + CBC_BLOCK - 1, 0, REFUSED}, /* still */
        {CLASSIC_TEXT_MAX + CBC_BLOCK, 0, REFUSED},
        {0, 0, NULL}, /* means nothing, ends nothing */
        {0, CBC_IV, BAD_MAC},
        {16, CBC_IV + CBC_BLOCK, BAD_MAC}, /* 16 zeros: no padding under a right MAC */
        {16, CBC_IV + CBC_BLOCK + 8, BAD_MAC},
    };
    size_t got;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *said = relay_answers_to(rows[i].n, rows[i].kept, &got);
        assert_string_equal(said == NULL ? "" : said, rows[i].answer == NULL ? "" : rows[i].answer);
        assert_int_equal(got, rows[i].answer == NULL ? rows[i].n : 0);
    }
}

/* The same text twice: another IV, and so nothing of the line is the same behind its head. */
static void equal_texts_are_sealed_differently(void **state)
{
    const size_t iv = strlen("{\"type\":\"msg\",\"ct_hex\":\"");
    struct pair p;

    (void)state;
    conf(&p, false);
    pair_meet(&p, ALL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(link_send(p.end[ROLE_CLIENT], (const uint8_t *)"same", 4), 0);
    struct span out = link_out(p.end[ROLE_CLIENT]);
    const uint8_t *one = out.p + iv, *two = out.p + out.n / 2 + iv;
    assert_memory_not_equal(one, two, 2 * CBC_IV);
    assert_memory_not_equal(one + 2 * CBC_IV, two + 2 * CBC_IV, 2 * CBC_BLOCK);
    pair_free(&p);
}

static void hex_has_one_spelling(void **state)
{
    static const char *const bad[] = {"AB", "0", "0g", " 00", "0x00"};
    size_t got;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_string_equal(relay_answers(str_of(bad[i]), &got), REFUSED);
    assert_string_equal(relay_answers(str_of("ab"), &got), BAD_MAC);
}

/* Zeros first, sevens from then on. */
static int stubborn(void *ctx, uint8_t *out, size_t n)
{
    unsigned *calls = ctx;

    memset(out, (*calls)++ == 0 ? 0 : 7, n);
    return 0;
}

/* K[0] is never zero: the reader of seed 000 would lose it. */
static void a_key_that_begins_with_zero_is_drawn_again(void **state)
{
    uint8_t digits[VALUE_MAX], number[VALUE_MAX];
    char line[2 * VALUE_MAX + 128], want[TEXTBOOK_DIGITS_MAX + 64], chunk[TEXTBOOK_DIGITS_MAX + 1];
    struct textbook_open n = {{0}, 0}, c;
    struct aes_key sevens;
    unsigned calls = 0;
    struct pair p;

    (void)state;
    memset(sevens.b, 7, sizeof sevens.b);
    n.n = value("n", number);
    memcpy(n.b, number, n.n);
    assert_int_equal(textbook_raise(&c, &sevens, &n), 0);
    assert_int_equal(textbook_digits(chunk, span_of(c.b, c.n)), 0);
    snprintf(want, sizeof want, "{\"type\":\"key\",\"chunks\":[%s]}\n", chunk);
    conf(&p, false);
    p.conf[ROLE_CLIENT].rng = (struct rng){stubborn, &calls};
    pair_start(&p);
    link_sent(p.end[ROLE_CLIENT], link_waiting(p.end[ROLE_CLIENT]));
    snprintf(line, sizeof line, "{\"type\":\"pubkey\",\"e\":65537,\"n\":%.*s}\n",
             (int)value("n_digits", digits), (const char *)digits);
    a_relay_says(&p, line);
    struct span out = link_out(p.end[ROLE_CLIENT]);
    assert_int_equal(out.n, strlen(want));
    assert_memory_equal(out.p, want, out.n);
    pair_free(&p);
}

static void another_file_opens_nothing(void **state)
{
    static const struct aes_key other = {{9}};
    struct pair p;

    (void)state;
    conf(&p, true);
    p.conf[ROLE_CLIENT].file_key = &other;
    pair_meet(&p, ALL);
    assert_true(p.failed[ROLE_CLIENT]);
    assert_int_equal(p.got[ROLE_CLIENT].len, 0);
    pair_free(&p);
}

static void the_two_ways_do_not_mix(void **state)
{
    (void)state;
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        struct pair p;
        conf(&p, false);
        p.conf[r].file_key = &file_key;
        pair_start(&p);
        pair_pump(&p, ALL);
        assert_false(p.established[ROLE_CLIENT]);
        assert_true(p.failed[ROLE_CLIENT]);
        pair_free(&p);
    }
}

static void a_relay_without_keys_is_none(void **state)
{
    struct err e = {0};
    struct pair p;

    (void)state;
    conf(&p, false);
    p.conf[ROLE_RELAY].textbook = NULL;
    assert_null(link_new(ROLE_RELAY, &p.conf[ROLE_RELAY], &e));
    assert_int_equal(e.code, ERR_CONFIG);
    pair_free(&p);
}

/* --- the end --- */

static void a_cut_looks_like_an_end(void **state)
{
    struct pair p;

    (void)state;
    conf(&p, false);
    pair_start(&p);
    assert_int_equal(link_eof(p.end[ROLE_CLIENT]), -1); /* no key yet: that one is seen */
    pair_free(&p);
    conf(&p, false);
    pair_meet(&p, ALL);
    assert_int_equal(link_eof(p.end[ROLE_CLIENT]), 0);
    pair_events(&p, ROLE_CLIENT);
    assert_true(p.closed[ROLE_CLIENT]);
    pair_free(&p);
}

static void a_reason_is_cleaned_and_not_answered(void **state)
{
    struct pair p;

    (void)state;
    conf(&p, false);
    pair_start(&p);
    link_sent(p.end[ROLE_CLIENT], link_waiting(p.end[ROLE_CLIENT]));
    a_relay_says(&p, "{\"type\":\"err\",\"reason\":\"\\u001b]0;x\\u0007\\n\"}\n");
    assert_true(p.failed[ROLE_CLIENT]);
    assert_int_equal(link_out(p.end[ROLE_CLIENT]).n, 0); /* nothing is answered to it */
    assert_null(strchr(pair_why(&p, ROLE_CLIENT), 27));
    assert_non_null(strstr(pair_why(&p, ROLE_CLIENT), "^["));
    pair_free(&p);
}

/* --- H15: what somebody learns from a relay about a key that he saw --- */

/* c * (2^bit)^e mod n: the block of a key that is shifted by so many places. */
static void shift_block(struct textbook_open *out, const struct textbook_open *c, unsigned bit)
{
    struct textbook_open n, s;
    struct aes_key power = {{0}};
    mbedtls_mpi a, b, m;

    textbook_open(w->textbook, &n);
    power.b[15 - bit / 8] = (uint8_t)(1U << bit % 8);
    assert_int_equal(textbook_raise(&s, &power, &n), 0);
    mbedtls_mpi_init(&a);
    mbedtls_mpi_init(&b);
    mbedtls_mpi_init(&m);
    assert_int_equal(mbedtls_mpi_read_binary(&a, c->b, c->n), 0);
    assert_int_equal(mbedtls_mpi_read_binary(&b, s.b, s.n), 0);
    assert_int_equal(mbedtls_mpi_read_binary(&m, n.b, n.n), 0);
    assert_int_equal(mbedtls_mpi_mul_mpi(&a, &a, &b), 0);
    assert_int_equal(mbedtls_mpi_mod_mpi(&a, &a, &m), 0);
    out->n = mbedtls_mpi_size(&a);
    assert_int_equal(mbedtls_mpi_write_binary(&a, out->b, out->n), 0);
    mbedtls_mpi_free(&a);
    mbedtls_mpi_free(&b);
    mbedtls_mpi_free(&m);
}

/* Says the block and a text under the key that he supposes; true: the relay took the text. */
static bool relay_believes(const struct textbook_open *c, const struct aes_key *guess)
{
    char digits[TEXTBOOK_DIGITS_MAX + 1], line[TEXTBOOK_DIGITS_MAX + 64], hex[2 * CBC_LEAST + 1];
    uint8_t both[5 + 16], sealed[CBC_LEAST];
    struct cbc_keys k = {.aes = *guess};
    struct hash mac;
    struct pair p;

    memcpy(both, "auth|", 5);
    memcpy(both + 5, guess->b, 16);
    sha256(span_of(both, sizeof both), &mac);
    memcpy(k.mac.b, mac.b, sizeof mac.b);
    memcpy(sealed + CBC_IV, "probe", 5);
    assert_int_equal(cbc_plain_seal(&k, 0, sealed, 5), 0);
    hex_put(hex, span_of(sealed, sizeof sealed));
    assert_int_equal(textbook_digits(digits, span_of(c->b, c->n)), 0);
    conf(&p, false);
    pair_start(&p);
    snprintf(line, sizeof line, HELLO "{\"type\":\"key\",\"chunks\":[%s]}\n", digits);
    assert_int_equal(link_feed(p.end[ROLE_RELAY], (uint8_t *)line, strlen(line)), 0);
    pair_events(&p, ROLE_RELAY);
    assert_true(p.established[ROLE_RELAY]); /* `ok`, whatever came out */
    link_sent(p.end[ROLE_RELAY], link_waiting(p.end[ROLE_RELAY]));
    snprintf(line, sizeof line, "{\"type\":\"msg\",\"ct_hex\":\"%s\"}\n", hex);
    bool taken = link_feed(p.end[ROLE_RELAY], (uint8_t *)line, strlen(line)) == 0;
    if (!taken) { /* and the one answer to everything else */
        struct span out = link_out(p.end[ROLE_RELAY]);
        assert_int_equal(out.n, strlen(BAD_MAC));
        assert_memory_equal(out.p, BAD_MAC, out.n);
    }
    pair_free(&p);
    return taken;
}

/* The known way to open a recorded block of textbook RSA where a server keeps the low bytes: shift
 * the key up by 127 places, so that its lowest bit alone is left, and try both keys that remain;
 * and so on, bit by bit. Ours answers neither. (The same key, unshifted, is believed: the question
 * is put rightly.) */
static void a_recorded_key_is_not_given_away_bit_by_bit(void **state)
{
    struct textbook_open n, c, shifted;
    struct aes_key k = {{0xc5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0x35}};

    (void)state;
    textbook_open(w->textbook, &n);
    assert_int_equal(textbook_raise(&c, &k, &n), 0);
    assert_true(relay_believes(&c, &k));
    for (unsigned shift = 127; shift > 119; shift--) {
        shift_block(&shifted, &c, shift);
        for (unsigned low = 0; low < 1U << (128 - shift); low++) {
            struct aes_key guess = {{(uint8_t)(low << (shift - 120))}};
            assert_false(relay_believes(&shifted, &guess));
        }
    }
    /* c * (2^e) is a key of 129 bits: no different from one of 1,000. */
    shift_block(&shifted, &c, 1);
    assert_false(relay_believes(&shifted, &k));
    /* 2^e * (2^3)^e = (2^4)^e: the arithmetic of this test is right, or nothing above is shown. */
    struct aes_key two = {{0}}, sixteen = {{0}};
    two.b[15] = 2;
    sixteen.b[15] = 16;
    assert_int_equal(textbook_raise(&c, &two, &n), 0);
    shift_block(&shifted, &c, 3);
    assert_true(relay_believes(&shifted, &sixteen));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_match_the_vectors),
        cmocka_unit_test(numbers_match_the_vectors),
        cmocka_unit_test(some_numbers_are_none),
        cmocka_unit_test(lines_are_read_strictly),
        cmocka_unit_test(reasons_are_unescaped),
        cmocka_unit_test(both_ways_to_a_key_lead_to_talk),
        cmocka_unit_test(steps_are_those_of_the_documents),
        cmocka_unit_test(a_text_may_come_before_ok),
        cmocka_unit_test(what_is_not_due_is_refused),
        cmocka_unit_test(weak_public_keys_are_refused),
        cmocka_unit_test(blocks_are_between_2_and_n_less_2),
        cmocka_unit_test(long_lines_end_it),
        cmocka_unit_test(texts_have_a_bound),
        cmocka_unit_test(a_changed_text_ends_it),
        cmocka_unit_test(a_text_is_whole_and_not_too_long),
        cmocka_unit_test(equal_texts_are_sealed_differently),
        cmocka_unit_test(hex_has_one_spelling),
        cmocka_unit_test(a_key_that_begins_with_zero_is_drawn_again),
        cmocka_unit_test(another_file_opens_nothing),
        cmocka_unit_test(the_two_ways_do_not_mix),
        cmocka_unit_test(a_relay_without_keys_is_none),
        cmocka_unit_test(a_cut_looks_like_an_end),
        cmocka_unit_test(a_reason_is_cleaned_and_not_answered),
        cmocka_unit_test(a_recorded_key_is_not_given_away_bit_by_bit),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
