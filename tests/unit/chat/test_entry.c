/* Entries: one spelling, hashes and signature of the very bytes, chains without a hole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/chat/content.h"
#include "common/chat/entry.h"
#include "common/chat/json.h"
#include "common/crypto/issue.h"
#include "tests/unit/chat/support_vectors.h"

static struct rng rng;
static struct pkey *key, *other_key;
static struct cert *cert, *other_cert;

/* The shortest certificate that carries a key: one that signed itself. */
static struct cert *cert_for(struct pkey *k, const char *cn)
{
    struct cert_form form = cert_form_of(CERT_ROOT);
    struct issuer by = {.key = k};
    uint8_t spki[SPKI_MAX], der[CERT_MAX];
    size_t spki_n, n;
    struct err e = {0};

    form.cn = str_of(cn);
    form.not_after = INT64_C(1900000000000);
    if (pkey_spki(k, spki, &spki_n, &e) < 0 || serial_draw(&form.serial, &rng) < 0)
        return NULL;
    form.spki = span_of(spki, spki_n);
    if (cert_issue(&form, &by, &rng, der, &n, &e) < 0)
        return NULL;
    return cert_parse(span_of(der, n), NULL, &e);
}

static int setup(void **state)
{
    struct err e = {0};
    (void)state;

    rng = rng_system();
    if (crypto_init(&e) < 0)
        return -1;
    key = pkey_generate(PKEY_RSA_2048, &rng, &e);
    other_key = pkey_generate(PKEY_RSA_2048, &rng, &e);
    if (key == NULL || other_key == NULL)
        return -1;
    cert = cert_for(key, "alice");
    other_cert = cert_for(other_key, "mallory");
    return cert != NULL && other_cert != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    pkey_free(key);
    pkey_free(other_key);
    cert_free(cert);
    cert_free(other_cert);
    return 0;
}

static int line_take(const char *text, size_t n)
{
    struct entry_line l;
    struct err e = {0};
    int rc = entry_line_take(&l, str_from(text, n), &e);

    assert_int_equal(e.code, rc == 0 ? ERR_NONE : ERR_PEER);
    return rc;
}

static void line_is_that_of_the_vector(void **state)
{
    char text[VECTOR_MAX], again[LINE_MAX_LEN + 1];
    struct entry_line l;
    struct err e = {0};
    struct hash h, want;
    (void)state;

    vector_text(text, "entry_line");
    assert_int_equal(entry_line_take(&l, str_of(text), &e), 0);
    assert_int_equal(l.seq, 1);
    assert_true(l.ts == INT64_C(1700000000000));
    assert_int_equal(l.room.b[1], 17);
    assert_int_equal(l.author.b[0], 11);
    assert_int_equal(entry_line_put(again, &l), strlen(text));
    assert_string_equal(again, text);
    entry_line_hash(str_of(text), &h);
    vector_hex(want.b, 32, "entry_line_hash");
    assert_true(hash_same(&h, &want));
    for (size_t n = 0; n < strlen(text); n++)
        assert_int_equal(line_take(text, n), -1);
}

/* Whatever the reader accepts, the writer spells in the same way: nothing has two spellings. */
static void no_line_has_two_spellings(void **state)
{
    char text[VECTOR_MAX], again[LINE_MAX_LEN + 1];
    (void)state;

    vector_text(text, "entry_line");
    size_t n = strlen(text);
    for (size_t at = 0; at < n; at++) {
        char was = text[at];
        for (int c = 0; c < 256; c++) {
            struct entry_line l;
            struct err e = {0};
            text[at] = (char)c;
            if (entry_line_take(&l, str_from(text, n), &e) < 0)
                continue;
            assert_int_equal(entry_line_put(again, &l), n);
            assert_memory_equal(again, text, n);
        }
        text[at] = was;
    }
}

#define R "0a11181f262d343b424950575e656c73"
#define H "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define Z "0000000000000000000000000000000000000000000000000000000000000000"

static const struct {
    const char *line;
    bool ok;
    const char *why;
} lines[] = {
    {"countersign-entry-1|" R "|0|1|5|" H "|" Z "|" H "|" H "|0." Z, true, "good"},
    {"countersign-entry-1|" R "|0|9007199254740991|0|" H "|" Z "|" H "|" H "|9007199254740991." H,
     true, "largest numbers"},
    {"countersign-entry-1|" R "|7|1|5|" H "|" Z "|" H "|" H "|0." Z, true, "another epoch"},
    {"countersign-entry-2|" R "|0|1|5|" H "|" Z "|" H "|" H "|0." Z, false, "another version"},
    {"Countersign-entry-1|" R "|0|1|5|" H "|" Z "|" H "|" H "|0." Z, false, "a capital"},
    {"countersign-entry-1|" R "|0|0|5|" H "|" Z "|" H "|" H "|0." Z, false, "seq 0"},
    {"countersign-entry-1|" R "|0|01|5|" H "|" Z "|" H "|" H "|0." Z, false, "seq 01"},
    {"countersign-entry-1|" R "|00|1|5|" H "|" Z "|" H "|" H "|0." Z, false, "epoch 00"},
    {"countersign-entry-1|" R "|-0|1|5|" H "|" Z "|" H "|" H "|0." Z, false, "epoch -0"},
    {"countersign-entry-1|" R "|0|+1|5|" H "|" Z "|" H "|" H "|0." Z, false, "seq +1"},
    {"countersign-entry-1|" R "|0|1|-5|" H "|" Z "|" H "|" H "|0." Z, false, "a time below 0"},
    {"countersign-entry-1|" R "|0|1| 5|" H "|" Z "|" H "|" H "|0." Z, false, "a space"},
    {"countersign-entry-1|" R "|0|1|5.0|" H "|" Z "|" H "|" H "|0." Z, false, "a fraction"},
    {"countersign-entry-1|" R "|0|9007199254740992|5|" H "|" Z "|" H "|" H "|0." Z, false, "2^53"},
    {"countersign-entry-1|" R "|0|18446744073709551617|5|" H "|" Z "|" H "|" H "|0." Z, false,
     "2^64 + 1"},
    {"countersign-entry-1|" R "|0||5|" H "|" Z "|" H "|" H "|0." Z, false, "empty seq"},
    {"countersign-entry-1|0A11181f262d343b424950575e656c73|0|1|5|" H "|" Z "|" H "|" H "|0." Z,
     false, "upper-case hex"},
    {"countersign-entry-1|" R "00|0|1|5|" H "|" Z "|" H "|" H "|0." Z, false, "room too long"},
    {"countersign-entry-1|" R "|0|1|5|" H "|" Z "|" H "|" H "|0", false, "no head"},
    {"countersign-entry-1|" R "|0|1|5|" H "|" Z "|" H "|" H "|." Z, false, "no number"},
    {"countersign-entry-1|" R "|0|1|5|" H "|" Z "|" H "|" H "|0|" Z, false, "a bar for the dot"},
    {"countersign-entry-1|" R "|0|1|5|" H "|" Z "|" H "|" H "|0." Z "|", false, "an 11th field"},
    {"countersign-entry-1|" R "|0|1|5|" H "|" Z "|" H "|" H "|0." Z "\n", false, "LF"},
    {"countersign-entry-1|" R "|0|1|5|" H "|" Z "|" H "|" H "|0." Z "\r\n", false, "CRLF"},
    {"countersign-entry-1|" R "|0|1|5|" H "|" Z "|" H "|0." Z, false, "nine fields"},
    {"|countersign-entry-1|" R "|0|1|5|" H "|" Z "|" H "|" H "|0." Z, false, "a bar in front"},
    {" countersign-entry-1|" R "|0|1|5|" H "|" Z "|" H "|" H "|0." Z, false, "a space in front"},
    {"", false, "nothing"},
    {"||||||||||", false, "bars"},
};

static void lines_are_judged(void **state)
{
    char longest[LINE_MAX_LEN + 1];
    (void)state;

    for (size_t i = 0; i < COUNT(lines); i++) {
        print_message("# %s\n", lines[i].why);
        assert_int_equal(line_take(lines[i].line, strlen(lines[i].line)), lines[i].ok ? 0 : -1);
    }
    memset(longest, '|', sizeof longest);
    assert_int_equal(line_take(longest, sizeof longest), -1);
    snprintf(longest, sizeof longest, "%s", lines[0].line);
    size_t n = strlen(longest);
    assert_int_equal(line_take(longest, n + 1), -1); /* a NUL behind */
    memcpy(longest + n + 1, "more", 4);
    assert_int_equal(line_take(longest, n + 5), -1);
}

static int fixed_fill(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    vector_fill(out, n, 9);
    return 0;
}

static void body_is_that_of_the_vector(void **state)
{
    const struct rng fixed = {fixed_fill, NULL};
    char content[VECTOR_MAX], text[VECTOR_MAX];
    struct entry_line want, l = {0};
    struct span inner;
    struct buf b, say;
    struct err e = {0};
    (void)state;

    vector_text(content, "entry_content");
    vector_text(text, "entry_line");
    assert_int_equal(entry_line_take(&want, str_of(text), &e), 0);
    buf_init(&say, CONTENT_MAX);
    assert_int_equal(content_say_put(&say, str_of("hi"), &e), 0);
    assert_true(span_same(buf_span(&say), span_of(content, strlen(content))));
    buf_init(&b, BODY_MAX);
    assert_int_equal(entry_body_make(&b, &l, buf_span(&say), &fixed, &e), 0);
    assert_true(hash_same(&l.body_hash, &want.body_hash));
    assert_true(hash_same(&l.commitment, &want.commitment));
    assert_int_equal(entry_body_open(&want, buf_span(&b), &inner, &e), 0);
    assert_true(span_same(inner, buf_span(&say)));
    buf_free(&b);
    buf_free(&say);
}

static int no_fill(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    (void)out;
    (void)n;
    return -1;
}

static void bodies_are_refused(void **state)
{
    const struct rng broken = {no_fill, NULL};
    struct entry_line l = {0};
    struct span inner;
    struct buf b;
    struct err e = {0};
    (void)state;

    buf_init(&b, BODY_MAX);
    assert_int_equal(entry_body_make(&b, &l, span_of("{}", 2), &broken, &e), -1);
    assert_int_equal(entry_body_make(&b, &l, span_of("", 0), &rng, &e), -1);
    assert_int_equal(entry_body_make(&b, &l, span_of("{}", CONTENT_MAX + 1), &rng, &e), -1);
    err_clear(&e);
    assert_int_equal(entry_body_make(&b, &l, span_of("{\"a\":1}", 7), &rng, &e), 0);
    struct span body = buf_span(&b);
    assert_int_equal(entry_body_check(&l, body, &e), 0);
    for (size_t i = 0; i < body.n; i++) {
        b.p[b.off + i] ^= 1;
        assert_int_equal(entry_body_check(&l, body, &e), -1);
        b.p[b.off + i] ^= 1;
        assert_int_equal(entry_body_check(&l, span_of(body.p, i), &e), -1);
    }
    /* The author signed a body that his commitment does not open to. */
    err_clear(&e);
    l.commitment.b[0] ^= 1;
    assert_int_equal(entry_body_check(&l, body, &e), 0);
    assert_int_equal(entry_body_open(&l, body, &inner, &e), -1);
    assert_null(inner.p);
    buf_free(&b);
}

#define ID  "000102030405060708090a0b0c0d0e0f"
#define WHO "\"account\":\"" ID "\",\"name\":\"bob\""

static const struct {
    const char *json;
    int ret;
    enum content_kind kind;
    const char *why;
} contents[] = {
    {"{\"kind\":\"say\",\"text\":\"hi\"}", 0, CONTENT_SAY, "good"},
    {"{\"text\":\"hi\",\"kind\":\"say\",\"more\":1}", 0, CONTENT_SAY, "another order, a later key"},
    {"{\"kind\":\"react\",\"n\":1}", 0, CONTENT_UNKNOWN, "a later kind"},
    {"{\"kind\":\"Say\",\"text\":\"hi\"}", 0, CONTENT_UNKNOWN, "another kind"},
    {"{\"kind\":\"join\"," WHO "}", 0, CONTENT_JOIN, "a join"},
    {"{\"kind\":\"join\"," WHO ",\"with\":{" WHO "}}", 0, CONTENT_JOIN, "a join of two"},
    {"{\"kind\":\"join\"," WHO ",\"with\":{}}", -1, 0, "with nobody"},
    {"{\"kind\":\"join\"," WHO ",\"with\":\"bob\"}", -1, 0, "with is text"},
    {"{\"kind\":\"join\",\"name\":\"bob\"}", -1, 0, "no account"},
    {"{\"kind\":\"join\",\"account\":\"00\",\"name\":\"bob\"}", -1, 0, "account too short"},
    {"{\"kind\":\"join\",\"account\":\"000102030405060708090A0b0c0d0e0f\",\"name\":\"bob\"}", -1, 0,
     "upper-case account"},
    {"{\"kind\":\"join\",\"account\":\"" ID "\",\"name\":\"\"}", -1, 0, "empty name"},
    {"{\"kind\":\"leave\"}", 0, CONTENT_LEAVE, "a leave"},
    {"{\"kind\":\"invite\"," WHO ",\"roster\":\"" ID ID "\",\"at\":1}", 0, CONTENT_INVITE,
     "an invitation"},
    {"{\"kind\":\"invite\"," WHO ",\"roster\":\"" ID ID "\"}", -1, 0, "vouching for no time"},
    {"{\"kind\":\"invite\"," WHO ",\"roster\":\"" ID ID "\",\"at\":0}", -1, 0,
     "for before the room"},
    {"{\"kind\":\"invite\"," WHO ",\"roster\":\"" ID "\",\"at\":1}", -1, 0, "half a hash"},
    {"{\"kind\":\"invite\"," WHO ",\"at\":1}", -1, 0, "vouching for nobody"},
    {"{\"kind\":\"invite\",\"roster\":\"" ID ID "\",\"at\":1}", -1, 0, "inviting nobody"},
    {"{\"kind\":\"say\"}", -1, 0, "no text"},
    {"{\"kind\":\"say\",\"text\":\"\"}", -1, 0, "empty text"},
    {"{\"kind\":\"say\",\"text\":1}", -1, 0, "text is a number"},
    {"{\"text\":\"hi\"}", -1, 0, "no kind"},
    {"{\"kind\":\"\"}", -1, 0, "empty kind"},
    {"{\"kind\":\"say\",\"text\":\"a\",\"text\":\"b\"}", -1, 0, "two texts"},
    {"{\"kind\":\"say\",\"kind\":\"x\",\"text\":\"b\"}", -1, 0, "two kinds"},
    {"{\"kind\":\"say\",\"text\":\"\xff\"}", -1, 0, "no UTF-8"},
    {"{\"kind\":\"say\",\"text\":\"\\u0000\"}", -1, 0, "U+0000"},
    {"{\"kind\":\"say\",\"text\":\"hi\"} ", 0, CONTENT_SAY, "white space behind"},
    {"{\"kind\":\"say\",\"text\":\"hi\"}x", -1, 0, "something behind"},
    {"hi", -1, 0, "no JSON"},
    {"", -1, 0, "nothing"},
};

static void contents_are_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(contents); i++) {
        struct content c;
        struct err e = {0};
        print_message("# %s\n", contents[i].why);
        int rc = content_take(&c, span_of(contents[i].json, strlen(contents[i].json)), &e);
        assert_int_equal(rc, contents[i].ret);
        if (rc == 0)
            assert_int_equal(c.kind, contents[i].kind);
        else
            assert_null(c.tree);
        content_free(&c);
    }
}

static void who(const struct content_who *got, const struct content_who *want)
{
    assert_memory_equal(&got->account, &want->account, sizeof got->account);
    assert_true(str_same(got->name, want->name));
}

/* What one side writes, the other reads. */
static void seats_are_read_as_written(void **state)
{
    const struct content_who bob = {{{2, 3}}, str_of("bob")}, eve = {{{4}}, str_of("\xc3\xa9v")};
    const struct hash roster = {{5, 6}};
    struct content c;
    struct buf b;
    struct err e = {0};
    (void)state;

    buf_init(&b, CONTENT_MAX);
    assert_int_equal(content_join_put(&b, &bob, NULL, &e), 0);
    assert_int_equal(content_take(&c, buf_span(&b), &e), 0);
    assert_true(c.kind == CONTENT_JOIN && content_seats(c.kind) && !c.has_with);
    who(&c.who, &bob);
    content_free(&c);
    buf_cut(&b, 0);
    assert_int_equal(content_join_put(&b, &bob, &eve, &e), 0);
    assert_int_equal(content_take(&c, buf_span(&b), &e), 0);
    assert_true(c.has_with);
    who(&c.with, &eve);
    content_free(&c);
    buf_cut(&b, 0);
    assert_int_equal(content_invite_put(&b, &eve, &roster, 77, &e), 0);
    assert_int_equal(content_take(&c, buf_span(&b), &e), 0);
    assert_true(c.kind == CONTENT_INVITE && hash_same(&c.roster, &roster) && c.at == 77);
    who(&c.who, &eve);
    content_free(&c);
    buf_cut(&b, 0);
    assert_int_equal(content_leave_put(&b, &e), 0);
    assert_true(span_same(buf_span(&b), span_of("{\"kind\":\"leave\"}", 16)));
    const struct content_who bad = {{{1}}, str_of("\xff")};
    buf_cut(&b, 3);
    assert_int_equal(content_join_put(&b, &bad, NULL, &e), -1);
    assert_int_equal(b.len, 3);
    assert_false(content_seats(CONTENT_SAY) || content_seats(CONTENT_UNKNOWN));
    buf_free(&b);
}

static void texts_have_their_length(void **state)
{
    static char text[TEXT_MAX + 1];
    (void)state;

    for (int escaped = 0; escaped < 2; escaped++) {
        struct content c;
        struct err e = {0};
        struct buf b;
        memset(text, escaped ? 1 : 'x', sizeof text);
        buf_init(&b, CONTENT_MAX);
        assert_int_equal(content_say_put(&b, str_from(text, TEXT_MAX + 1), &e), -1);
        assert_int_equal(content_say_put(&b, str_from(text, 0), &e), -1);
        assert_int_equal(content_say_put(&b, str_of("\xff"), &e), -1);
        assert_int_equal(b.len, 0);
        err_clear(&e);
        assert_int_equal(content_say_put(&b, str_from(text, TEXT_MAX), &e), 0);
        assert_int_equal(content_take(&c, buf_span(&b), &e), 0);
        assert_true(str_same(c.text, str_from(text, TEXT_MAX)));
        content_free(&c);
        buf_free(&b);
    }
}

static void a_text_too_long_is_refused(void **state)
{
    static char json[TEXT_MAX + 64];
    struct content c;
    struct err e = {0};
    (void)state;

    size_t n = (size_t)snprintf(json, sizeof json, "{\"kind\":\"say\",\"text\":\"");
    memset(json + n, 'x', TEXT_MAX + 1);
    memcpy(json + n + TEXT_MAX + 1, "\"}", 2);
    assert_int_equal(content_take(&c, span_of(json, n + TEXT_MAX + 3), &e), -1);
}

static void chains_have_no_hole(void **state)
{
    struct hash a = {{1}}, b = {{2}}, zero = {{0}};
    struct entry_chain fresh = {0}, former = {0, a}, at5 = {5, a};
    const struct {
        const struct entry_chain *chain;
        uint64_t seq;
        struct hash prev, line;
        enum entry_order want;
        const char *why;
    } rows[] = {
        {&fresh, 1, zero, b, ENTRY_NEXT, "the first"},
        {&fresh, 1, a, b, ENTRY_WRONG, "the first with a prev"},
        {&fresh, 2, zero, b, ENTRY_WRONG, "the second first"},
        {&former, 1, a, b, ENTRY_NEXT, "the first of a new certificate"},
        {&former, 1, zero, b, ENTRY_WRONG, "the former one forgotten"},
        {&at5, 6, a, b, ENTRY_NEXT, "the next"},
        {&at5, 6, b, b, ENTRY_WRONG, "another prev"},
        {&at5, 6, zero, b, ENTRY_WRONG, "no prev"},
        {&at5, 7, a, b, ENTRY_WRONG, "a gap"},
        {&at5, 5, b, a, ENTRY_SAME, "the same again"},
        {&at5, 5, b, b, ENTRY_WRONG, "another with that seq"},
        {&at5, 4, b, b, ENTRY_OLDER, "an older one"},
        {&at5, 9007199254740991, a, b, ENTRY_WRONG, "far ahead"},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = {0};
        struct entry_line l = {.seq = rows[i].seq, .prev = rows[i].prev};
        print_message("# %s\n", rows[i].why);
        assert_int_equal(entry_order(rows[i].chain, &l, &rows[i].line, &e), rows[i].want);
        assert_int_equal(e.code, rows[i].want == ENTRY_WRONG ? ERR_PEER : ERR_NONE);
    }
    struct entry_line l = {.seq = 6, .prev = a};
    entry_chain_step(&at5, &l, &b);
    assert_int_equal(at5.seq, 6);
    assert_true(hash_same(&at5.line, &b));
}

static void heads_run_as_in_the_vector(void **state)
{
    struct hash head = {{0}}, want;
    char line[VECTOR_MAX];
    (void)state;

    vector_text(line, "entry_line");
    entry_head_next(&head, str_of(line), INT64_C(1700000000123));
    vector_hex(want.b, 32, "entry_head_1");
    assert_true(hash_same(&head, &want));
    entry_head_next(&head, str_of(line), INT64_C(1700000000124));
    vector_hex(want.b, 32, "entry_head_2");
    assert_true(hash_same(&head, &want));
}

static void seen_agrees_or_is_refused(void **state)
{
    struct hash a = {{1}}, b = {{2}}, zero = {{0}};
    const struct {
        uint64_t seen, number;
        struct hash head;
        const struct hash *at;
        int ret;
        const char *why;
    } rows[] = {
        {0, 1, zero, NULL, 0, "nothing seen"},
        {0, 1, a, NULL, -1, "nothing seen, with a head"},
        {0, 1, a, &a, -1, "the start is zeros"},
        {3, 4, a, &a, 0, "the one before"},
        {3, 4, a, &b, -1, "another history"},
        {3, 4, a, NULL, 0, "one we do not have"},
        {4, 4, a, &a, -1, "itself"},
        {5, 4, a, NULL, -1, "what comes after"},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = {0};
        struct entry_line l = {.seen_number = rows[i].seen, .seen_head = rows[i].head};
        print_message("# %s\n", rows[i].why);
        assert_int_equal(entry_seen_check(&l, rows[i].number, rows[i].at, &e), rows[i].ret);
    }
}

static void an_entry_is_made_and_every_change_found(void **state)
{
    const char content[] = "{\"kind\":\"say\",\"text\":\"hi\"}";
    struct entry_line l = {.seq = 1, .ts = 5}, back;
    struct entry_made m;
    struct span inner;
    struct err e = {0};
    (void)state;

    cert_fingerprint(cert_der(cert), &l.author);
    assert_int_equal(entry_make(&m, &l, span_of(content, sizeof content - 1), key, &rng, &e), 0);
    struct str line = str_from(m.line, m.line_n);
    struct span sig = span_of(m.sig, m.sig_n);
    assert_int_equal(entry_line_take(&back, line, &e), 0);
    assert_memory_equal(&back, &l, sizeof l);
    assert_int_equal(entry_body_open(&back, buf_span(&m.body), &inner, &e), 0);
    assert_int_equal(entry_sig_check(cert, &back, line, sig, &e), 0);
    for (size_t i = 0; i < m.line_n; i++) {
        m.line[i] ^= 1;
        assert_int_equal(entry_sig_check(cert, &back, line, sig, &e), -1);
        m.line[i] ^= 1;
    }
    for (size_t i = 0; i < m.sig_n; i += 7) {
        m.sig[i] ^= 1;
        assert_int_equal(entry_sig_check(cert, &back, line, sig, &e), -1);
        m.sig[i] ^= 1;
        assert_int_equal(entry_sig_check(cert, &back, line, span_of(m.sig, i), &e), -1);
    }
    entry_made_free(&m);
}

/* Re-attribution: a good signature under another's certificate, or naming another's. */
static void nobody_speaks_for_another(void **state)
{
    struct entry_line l = {.seq = 1, .ts = 5};
    struct entry_made m;
    struct err e = {0};
    (void)state;

    cert_fingerprint(cert_der(cert), &l.author);
    assert_int_equal(entry_make(&m, &l, span_of("{}", 2), other_key, &rng, &e), 0);
    struct str line = str_from(m.line, m.line_n);
    struct span sig = span_of(m.sig, m.sig_n);
    assert_int_equal(entry_sig_check(cert, &l, line, sig, &e), -1);
    assert_int_equal(entry_sig_check(other_cert, &l, line, sig, &e), -1);
    entry_made_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_is_that_of_the_vector),
        cmocka_unit_test(no_line_has_two_spellings),
        cmocka_unit_test(lines_are_judged),
        cmocka_unit_test(body_is_that_of_the_vector),
        cmocka_unit_test(bodies_are_refused),
        cmocka_unit_test(contents_are_judged),
        cmocka_unit_test(seats_are_read_as_written),
        cmocka_unit_test(texts_have_their_length),
        cmocka_unit_test(a_text_too_long_is_refused),
        cmocka_unit_test(chains_have_no_hole),
        cmocka_unit_test(heads_run_as_in_the_vector),
        cmocka_unit_test(seen_agrees_or_is_refused),
        cmocka_unit_test(an_entry_is_made_and_every_change_found),
        cmocka_unit_test(nobody_speaks_for_another),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
