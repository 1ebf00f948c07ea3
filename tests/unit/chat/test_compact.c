/* Compact entries: docs/protocol.md 2 to the byte, the very line that was signed on the other side,
 * one spelling, and JSON for what has no such form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/chat/compact.h"
#include "common/chat/content.h"
#include "common/chat/entry.h"
#include "common/chat/frame.h"
#include "common/chat/json.h"

enum { SIG = 256, TEXT = 300 };

struct sample {
    struct entry_line line;
    char text[LINE_MAX_LEN + 1];
    uint8_t sig[SIG_MAX];
    struct buf body;
    struct f_entry f;
};

static void sample_line(struct sample *s)
{
    s->f.line = str_from(s->text, entry_line_put(s->text, &s->line));
    s->f.body = buf_span(&s->body);
}

static void sample_make(struct sample *s)
{
    struct rng rng = rng_system();
    char said[TEXT + 1];
    struct buf content;
    struct err e = {0};

    memset(s, 0, sizeof *s);
    memset(said, 'x', TEXT);
    said[TEXT] = '\0';
    buf_init(&content, CONTENT_MAX);
    buf_init(&s->body, BODY_MAX + 1);
    s->line = (struct entry_line){.seq = 7, .ts = 1764192748000, .seen_number = 70};
    memset(s->line.room.b, 1, sizeof s->line.room.b);
    memset(s->line.author.b, 2, HASH_LEN);
    memset(s->line.prev.b, 3, HASH_LEN);
    memset(s->line.seen_head.b, 4, HASH_LEN);
    memset(s->sig, 5, sizeof s->sig);
    assert_int_equal(content_say_put(&content, str_of(said), &e), 0);
    assert_int_equal(entry_body_make(&s->body, &s->line, buf_span(&content), &rng, &e), 0);
    buf_free(&content);
    s->f = (struct f_entry){.number = 71, .time = 1764192748123, .sig = span_of(s->sig, SIG)};
    sample_line(s);
}

/* The frame behind its u32. */
static struct span written(struct buf *b, const struct f_entry *f)
{
    struct err e = {0};

    buf_init(b, FRAME_MAX + FRAME_HEAD);
    assert_int_equal(compact_entry_put(b, f, &e), 1);
    struct span s = buf_span(b);
    struct rd r = rd_of(s);
    assert_int_equal(rd_u32(&r), s.n - FRAME_HEAD);
    return span_of(s.p + FRAME_HEAD, s.n - FRAME_HEAD);
}

static struct span written_say(struct buf *b, const struct sample *s)
{
    const struct f_entry_say say = {s->f.line, s->f.sig, s->f.body};
    struct err e = {0};

    buf_init(b, FRAME_MAX + FRAME_HEAD);
    assert_int_equal(compact_say_put(b, &say, &e), 1);
    return span_of(buf_span(b).p + FRAME_HEAD, buf_span(b).n - FRAME_HEAD);
}

static bool refused(struct span s, unsigned from)
{
    struct frame f;
    struct err e = {0};

    if (frame_take(&f, s, from, &e) == 0) {
        frame_free(&f);
        return false;
    }
    return e.code == ERR_PEER;
}

static void the_reader_has_what_was_signed(void **state)
{
    struct sample s;
    struct frame f;
    struct buf b;
    struct err e = {0};
    (void)state;

    sample_make(&s);
    assert_int_equal(frame_take(&f, written(&b, &s.f), FROM_RELAY, &e), 0);
    assert_int_equal(f.type, F_ENTRY);
    assert_true(str_same(f.u.entry.line, s.f.line));
    assert_true(span_same(f.u.entry.sig, s.f.sig));
    assert_true(span_same(f.u.entry.body, s.f.body));
    assert_int_equal(f.u.entry.number, 71);
    assert_int_equal(f.u.entry.time, 1764192748123);
    assert_int_equal(f.u.entry.why.n, 0);
    buf_free(&b); /* the frame owns what it points to */
    assert_true(str_same(f.u.entry.line, s.f.line));
    frame_free(&f);
    assert_int_equal(frame_take(&f, written_say(&b, &s), FROM_CLIENT, &e), 0);
    assert_int_equal(f.type, F_ENTRY_SAY);
    assert_true(str_same(f.u.entry_say.line, s.f.line));
    assert_true(span_same(f.u.entry_say.sig, s.f.sig));
    assert_true(span_same(f.u.entry_say.body, s.f.body));
    frame_free(&f);
    buf_free(&b);
    buf_free(&s.body);
}

/* docs/protocol.md 2, said a second time by hand. */
static void every_byte_is_where_the_protocol_says(void **state)
{
    static const uint8_t number[] = {0x40, 71}, seen[] = {0x40, 70};
    uint8_t want[FRAME_HEAD + 1024];
    struct wr w = wr_of(want, sizeof want);
    struct sample s;
    struct buf b;
    (void)state;

    sample_make(&s);
    wr_u8(&w, 1);
    wr_put(&w, number, 2);
    wr_u64(&w, UINT64_C(3) << 62 | 1764192748123);
    wr_put(&w, s.line.room.b, 16);
    wr_u8(&w, 7);
    wr_u64(&w, UINT64_C(3) << 62 | 1764192748000);
    wr_put(&w, s.line.author.b, 32);
    wr_put(&w, s.line.prev.b, 32);
    wr_put(&w, seen, 2);
    wr_put(&w, s.line.seen_head.b, 32);
    wr_u16(&w, SIG);
    wr_put(&w, s.sig, SIG);
    wr_put(&w, buf_span(&s.body).p, buf_span(&s.body).n);
    struct span got = written(&b, &s.f);
    assert_true(span_same(got, wr_span(&w)));
    assert_true(FRAME_HEAD + got.n + 22 <= 800); /* alone in a record: what a delivery may cost */
    buf_free(&b);
    struct span say = written_say(&b, &s);
    assert_int_equal(say.p[0], 2);
    assert_true(span_same(span_of(say.p + 1, say.n - 1),
                          span_of(want + 11, wr_span(&w).n - 11))); /* without number and time */
    buf_free(&b);
    buf_free(&s.body);
}

static void void_of(struct sample *s)
{
    s->f.why = str_of("policy");
    s->f.body = span_of(NULL, 0);
}

static void epoch_of(struct sample *s)
{
    s->line.epoch = 1;
    sample_line(s);
}

static void commitment_of(struct sample *s)
{
    s->line.commitment.b[31] ^= 1;
    sample_line(s);
}

static void body_hash_of(struct sample *s)
{
    s->line.body_hash.b[0] ^= 1;
    sample_line(s);
}

static void body_none(struct sample *s)
{
    s->f.body.n = OPENING_LEN;
}

static void no_line(struct sample *s)
{
    s->f.line.n--;
}

static void sig_none(struct sample *s)
{
    s->f.sig.n = 0;
}

static void sig_long(struct sample *s)
{
    s->f.sig.n = SIG_MAX + 1;
}

static void number_none(struct sample *s)
{
    s->f.number = 0;
}

static void number_big(struct sample *s)
{
    s->f.number = JSON_INT_MAX + 1;
}

static void time_below(struct sample *s)
{
    s->f.time = -1;
}

static void what_cannot_be_derived_stays_json(void **state)
{
    static void (*const spoils[])(struct sample *) = {
        void_of,  epoch_of, commitment_of, body_hash_of, body_none,  no_line,
        sig_none, sig_long, number_none,   number_big,   time_below,
    };
    (void)state;

    for (size_t i = 0; i < COUNT(spoils); i++) {
        struct sample s;
        struct buf b;
        struct err e = {0};
        sample_make(&s);
        spoils[i](&s);
        buf_init(&b, FRAME_MAX + FRAME_HEAD);
        assert_int_equal(buf_add(&b, "before", 6), 0);
        assert_int_equal(compact_entry_put(&b, &s.f, &e), 0);
        assert_true(span_same(buf_span(&b), span_of("before", 6)));
        buf_free(&b);
        buf_free(&s.body);
    }
}

static void a_full_buffer_keeps_what_it_had(void **state)
{
    struct sample s;
    (void)state;

    sample_make(&s);
    for (size_t max = 6; max < 700; max += 31) {
        struct err e = {0};
        struct buf b;
        buf_init(&b, max);
        assert_int_equal(buf_add(&b, "before", 6), 0);
        assert_int_equal(compact_entry_put(&b, &s.f, &e), -1);
        assert_int_equal(e.code, ERR_LIMIT);
        assert_true(span_same(buf_span(&b), span_of("before", 6)));
        buf_free(&b);
    }
    buf_free(&s.body);
}

/* --- refusals --- */

static void a_frame_cut_short_is_refused(void **state)
{
    struct sample s;
    struct buf b;
    (void)state;

    sample_make(&s);
    struct span all = written(&b, &s.f);
    size_t bare = all.n - buf_span(&s.body).n + OPENING_LEN; /* no content is left */
    for (size_t n = 0; n <= bare; n++)
        assert_true(refused(span_of(all.p, n), FROM_RELAY));
    buf_free(&b);
    all = written_say(&b, &s);
    bare = all.n - buf_span(&s.body).n + OPENING_LEN;
    for (size_t n = 0; n <= bare; n++)
        assert_true(refused(span_of(all.p, n), FROM_CLIENT));
    buf_free(&b);
    buf_free(&s.body);
}

static void nobody_sends_the_other_sides_frame(void **state)
{
    struct sample s;
    struct buf b;
    (void)state;

    sample_make(&s);
    assert_true(refused(written(&b, &s.f), FROM_CLIENT));
    buf_free(&b);
    assert_true(refused(written_say(&b, &s), FROM_RELAY));
    buf_free(&b);
    struct span all = written(&b, &s.f);
    for (unsigned kind = 0; kind < 256; kind++) {
        b.p[b.off + FRAME_HEAD] = (uint8_t)kind;
        assert_int_equal(refused(all, FROM_RELAY), kind != 1);
    }
    buf_free(&b);
    buf_free(&s.body);
}

/* A frame with number, time, seq, ts, seen and the signature's length as given. */
struct odd {
    const char *number, *time, *seq, *ts, *seen, *sig_n;
    bool ok;
    const char *why;
};

static void odd_put(struct wr *w, const struct odd *o)
{
    const char *const hex[] = {o->number, o->time, NULL,    o->seq, o->ts,
                               NULL,      NULL,    o->seen, NULL,   o->sig_n};
    static const size_t fixed[] = {0, 0, ROOM_ID_LEN, 0, 0, HASH_LEN, HASH_LEN, 0, HASH_LEN, 0};
    static const uint8_t zeros[HASH_LEN];
    uint8_t bytes[8];

    wr_u8(w, 1);
    for (size_t i = 0; i < COUNT(hex); i++) {
        size_t n = hex[i] == NULL ? 0 : strlen(hex[i]) / 2;
        assert_int_equal(hex_take(bytes, n, str_of(hex[i])), 0);
        wr_put(w, hex[i] == NULL ? zeros : bytes, hex[i] == NULL ? fixed[i] : n);
    }
}

static void numbers_have_one_spelling_and_their_bounds(void **state)
{
    static const struct odd rows[] = {
        {"01", "00", "01", "00", "00", "0001", true, "the least of each"},
        {"c01fffffffffffff", "c01fffffffffffff", "c01fffffffffffff", "c01fffffffffffff",
         "c01fffffffffffff", "0200", true, "the most of each"},
        {"00", "00", "01", "00", "00", "0001", false, "number 0"},
        {"c020000000000000", "00", "01", "00", "00", "0001", false, "number 2^53"},
        {"4001", "00", "01", "00", "00", "0001", false, "number in two bytes"},
        {"80000001", "00", "01", "00", "00", "0001", false, "number in four"},
        {"c000000000000001", "00", "01", "00", "00", "0001", false, "number in eight"},
        {"c00000003fffffff", "00", "01", "00", "00", "0001", false, "which needs four"},
        {"01", "4000", "01", "00", "00", "0001", false, "time in two bytes"},
        {"01", "c020000000000000", "01", "00", "00", "0001", false, "time 2^53"},
        {"01", "00", "00", "00", "00", "0001", false, "seq 0"},
        {"01", "00", "4001", "00", "00", "0001", false, "seq in two bytes"},
        {"01", "00", "c020000000000000", "00", "00", "0001", false, "seq 2^53"},
        {"01", "00", "01", "4000", "00", "0001", false, "ts in two bytes"},
        {"01", "00", "01", "ffffffffffffffff", "00", "0001", false, "ts above 2^53"},
        {"01", "00", "01", "00", "4000", "0001", false, "seen in two bytes"},
        {"01", "00", "01", "00", "c020000000000000", "0001", false, "seen 2^53"},
        {"01", "00", "01", "00", "00", "0000", false, "no signature"},
        {"01", "00", "01", "00", "00", "0201", false, "a signature of SIG_MAX + 1"},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        static uint8_t bytes[2048];
        struct wr w = wr_of(bytes, sizeof bytes);
        uint8_t *rest;
        print_message("# %s\n", rows[i].why);
        odd_put(&w, &rows[i]);
        rest = wr_room(&w, SIG_MAX + 1 + OPENING_LEN + 2);
        memset(rest, 9, SIG_MAX + 1 + OPENING_LEN + 2);
        assert_int_equal(refused(wr_span(&w), FROM_RELAY), !rows[i].ok);
    }
}

static void a_body_has_its_bounds(void **state)
{
    static const uint8_t bytes[BODY_MAX + 2];
    struct sample s;
    struct buf b;
    (void)state;

    sample_make(&s);
    struct span all = written(&b, &s.f);
    size_t head = all.n - buf_span(&s.body).n;
    buf_cut(&b, FRAME_HEAD + head);
    assert_int_equal(buf_add(&b, bytes, sizeof bytes), 0);
    const uint8_t *p = buf_span(&b).p + FRAME_HEAD;
    assert_false(refused(span_of(p, head + OPENING_LEN + 1), FROM_RELAY));
    assert_false(refused(span_of(p, head + BODY_MAX), FROM_RELAY));
    assert_true(refused(span_of(p, head + BODY_MAX + 1), FROM_RELAY));
    buf_free(&b);
    buf_free(&s.body);
}

/* Whatever was changed on the way is another line, signature or number: never the same entry. */
static void every_flipped_bit_is_seen(void **state)
{
    struct sample s;
    struct buf b;
    (void)state;

    sample_make(&s);
    struct span all = written(&b, &s.f);
    for (size_t i = 0; i < 8 * all.n; i++) {
        uint8_t *at = b.p + b.off + FRAME_HEAD + i / 8;
        struct frame f;
        struct buf again;
        struct err e = {0};
        *at ^= (uint8_t)(1 << i % 8);
        if (frame_take(&f, all, FROM_RELAY, &e) == 0) {
            const struct f_entry *t = &f.u.entry;
            assert_true(!str_same(t->line, s.f.line) || !span_same(t->sig, s.f.sig) ||
                        t->number != s.f.number || t->time != s.f.time);
            assert_true(span_same(written(&again, t), all)); /* one spelling */
            buf_free(&again);
            frame_free(&f);
        }
        *at ^= (uint8_t)(1 << i % 8);
    }
    buf_free(&b);
    buf_free(&s.body);
}

static void the_word_is_looked_for_among_all(void **state)
{
    const struct str words[] = {str_of("compact"), str_of("compact-10"), str_of("compact-1")};
    (void)state;

    assert_true(compact_spoken(words, 3));
    assert_false(compact_spoken(words, 2));
    assert_false(compact_spoken(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reader_has_what_was_signed),
        cmocka_unit_test(every_byte_is_where_the_protocol_says),
        cmocka_unit_test(what_cannot_be_derived_stays_json),
        cmocka_unit_test(a_full_buffer_keeps_what_it_had),
        cmocka_unit_test(a_frame_cut_short_is_refused),
        cmocka_unit_test(nobody_sends_the_other_sides_frame),
        cmocka_unit_test(numbers_have_one_spelling_and_their_bounds),
        cmocka_unit_test(a_body_has_its_bounds),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(the_word_is_looked_for_among_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
