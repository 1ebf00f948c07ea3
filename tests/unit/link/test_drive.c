/* Every link under the driver alike (docs/protocol.md 10): who may arrive, in which order, and that
 * a man in the middle who changes, cuts, repeats, mixes or invents anything never brings anybody
 * through. What is particular to one link stands in its own test. */
#include <stdlib.h>
#include <string.h>

#include "common/link/drive.h"
#include "common/link/record.h"
#include "tests/unit/link/support_link.h"

static const enum link_kind driven[] = {LINK_ECDHE, LINK_CIANR, LINK_SOVEREIGN};

#define EACH_KIND(k) for (const enum link_kind *k = driven; k < driven + COUNT(driven); k++)

enum { ALL = 1 << 20 };

static struct world *w;
static struct link_ready *parsed[LINK_KIND_COUNT][2]; /* see conf_again */

static int setup(void **state)
{
    (void)state;
    w = world_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (enum link_kind kind = 0; kind < LINK_KIND_COUNT; kind++)
        for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++)
            link_ready_free(parsed[kind][r]);
    world_free(w);
    return 0;
}

static void conf(struct pair *p, enum link_kind kind)
{
    pair_conf(p, w);
    p->conf[ROLE_CLIENT].kind = p->conf[ROLE_RELAY].kind = kind;
}

/* The same with keys that were parsed once: for whoever shakes hands a thousand times. */
static void conf_again(struct pair *p, enum link_kind kind)
{
    struct err e = {0};

    conf(p, kind);
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        if (parsed[kind][r] == NULL)
            parsed[kind][r] = link_ready_new(r, &p->conf[r], &e);
        assert_non_null(parsed[kind][r]);
        p->conf[r].ready = parsed[kind][r];
    }
}

static void conf_join(struct pair *p, enum link_kind kind, struct hash *pin)
{
    conf(p, kind);
    sha256(p->chain[ROLE_RELAY][2], pin);
    p->conf[ROLE_CLIENT].join = true;
    p->conf[ROLE_CLIENT].chain_n = 0;
    p->conf[ROLE_CLIENT].key = NULL;
    p->conf[ROLE_CLIENT].trust = NULL;
    p->conf[ROLE_CLIENT].root = pin;
}

static const struct link_proto *proto(enum link_kind kind)
{
    static const struct link_proto *const protos[LINK_KIND_COUNT] = {
        [LINK_ECDHE] = &link_proto_ecdhe,
        [LINK_CIANR] = &link_proto_cianr,
        [LINK_SOVEREIGN] = &link_proto_sovereign,
    };

    return protos[kind];
}

static void run(struct pair *p, size_t piece)
{
    pair_start(p);
    pair_pump(p, piece);
    assert_int_equal(p->order_bad, 0);
}

static void assert_nobody(const struct pair *p)
{
    assert_false(p->established[ROLE_CLIENT]);
    assert_false(p->established[ROLE_RELAY]);
    assert_true(p->failed[ROLE_RELAY] || p->failed[ROLE_CLIENT]);
}

/* --- a relay's certificate that was pinned (H1: the person says whom to believe, nobody else) ---
 */

static void shown_and_pinned(struct pair *p, const struct der *shown, struct hash *pin)
{
    sha256(span_of(shown->b, shown->n), pin);
    p->chain[ROLE_RELAY][0] = span_of(shown->b, shown->n);
}

/* A client that was told the certificate `pin`, and a relay that shows `shown` and nothing above
 * it.
 */
static void conf_pin(struct pair *p, enum link_kind kind, const struct der *shown, struct hash *pin)
{
    conf(p, kind);
    shown_and_pinned(p, shown, pin);
    p->conf[ROLE_RELAY].chain_n = 1;
    p->conf[ROLE_CLIENT].leaf = pin;
}

static void a_pinned_certificate_may_have_signed_itself(void **state)
{
    struct der own;
    struct hash pin;

    (void)state;
    world_issue(w, (struct want){.role = CERT_RELAY, .self = true}, &own);
    EACH_KIND(kind)
    {
        for (int join = 0; join < 2; join++) {
            struct pair p;
            conf_pin(&p, *kind, &own, &pin);
            if (join == 1) {
                p.conf[ROLE_CLIENT].join = true;
                p.conf[ROLE_CLIENT].chain_n = 0;
                p.conf[ROLE_CLIENT].key = NULL;
                p.conf[ROLE_CLIENT].trust = NULL;
            }
            run(&p, ALL);
            if (!p.established[ROLE_CLIENT] || !p.established[ROLE_RELAY])
                fail_msg("%s: %s", link_kind_name(*kind), pair_why(&p, ROLE_CLIENT));
            pair_free(&p);
        }
    }
}

static void not_the_pinned_one(struct pair *p, struct der *shown, struct hash *pin)
{
    (void)p;
    (void)shown;
    pin->b[31] ^= 1;
}

/* Without the option such a certificate is nobody's. */
static void not_pinned_at_all(struct pair *p, struct der *shown, struct hash *pin)
{
    (void)shown;
    (void)pin;
    p->conf[ROLE_CLIENT].leaf = NULL;
}

static void pinned_and_expired(struct pair *p, struct der *shown, struct hash *pin)
{
    world_issue(
        w,
        (struct want){
            .role = CERT_RELAY, .self = true, .from = noon - 20 * day_ms, .to = noon - 1000},
        shown);
    shown_and_pinned(p, shown, pin);
}

static void pinned_for_another_host(struct pair *p, struct der *shown, struct hash *pin)
{
    world_issue(w, (struct want){.role = CERT_RELAY, .self = true, .host = "other.test"}, shown);
    shown_and_pinned(p, shown, pin);
}

static void pinned_for_no_role(struct pair *p, struct der *shown, struct hash *pin)
{
    world_issue(w, (struct want){.role = CERT_RELAY, .self = true, .no_eku = true}, shown);
    shown_and_pinned(p, shown, pin);
}

/* A pin is no reason to believe an authority: who did not sign himself is judged as ever. */
static void pinned_and_of_another_ca(struct pair *p, struct der *shown, struct hash *pin)
{
    world_issue(w, (struct want){.role = CERT_RELAY, .by = &w->theirs}, shown);
    shown_and_pinned(p, shown, pin);
}

static void pinned_and_revoked(struct pair *p, struct der *shown, struct hash *pin)
{
    world_issue(w, (struct want){.role = CERT_RELAY}, shown);
    world_revoke(w, shown);
    shown_and_pinned(p, shown, pin);
    p->conf[ROLE_CLIENT].trust = w->trust;
}

static void pinned_with_others_behind(struct pair *p, struct der *shown, struct hash *pin)
{
    (void)shown;
    (void)pin;
    p->conf[ROLE_RELAY].chain_n = 3;
}

/* The last bit of a signature of its own: the same certificate, and its key did not sign it. */
static void pinned_and_badly_signed(struct pair *p, struct der *shown, struct hash *pin)
{
    shown->b[shown->n - 1] ^= 1;
    shown_and_pinned(p, shown, pin);
}

static const struct {
    const char *name, *word;
    void (*change)(struct pair *p, struct der *shown, struct hash *pin);
} unpinned[] = {
    {"another", "not-pinned", not_the_pinned_one},
    {"no pin", "self-signed", not_pinned_at_all},
    {"expired", "expired", pinned_and_expired},
    {"another host", "wrong-name", pinned_for_another_host},
    {"no role", "no-eku", pinned_for_no_role},
    {"another CA", "unknown-ca", pinned_and_of_another_ca},
    {"revoked", "revoked", pinned_and_revoked},
    {"others behind", "self-signed", pinned_with_others_behind},
    {"badly signed", "self-signed", pinned_and_badly_signed},
};

/* The client ends it at the relay's certificate, before it has said who it is. */
static void any_other_certificate_ends_it(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        for (size_t i = 0; i < COUNT(unpinned); i++) {
            struct der own;
            struct hash pin;
            struct pair p;
            struct link_info mine, theirs;
            world_issue(w, (struct want){.role = CERT_RELAY, .self = true}, &own);
            conf_pin(&p, *kind, &own, &pin);
            unpinned[i].change(&p, &own, &pin);
            run(&p, ALL);
            assert_nobody(&p);
            link_info(p.end[ROLE_CLIENT], &mine);
            link_info(p.end[ROLE_RELAY], &theirs);
            if (mine.refused == NULL || strcmp(mine.refused, unpinned[i].word) != 0)
                fail_msg("%s, %s: %s", link_kind_name(*kind), unpinned[i].name,
                         pair_why(&p, ROLE_CLIENT));
            assert_true(*kind == LINK_CIANR || theirs.peer_n == 0); /* there hello names it */
            assert_false(theirs.proven);
            pair_free(&p);
            world_forgive(w);
        }
    }
}

/* --- good ends --- */

static struct key exporter(const struct pair *p, enum role r)
{
    struct key k;

    assert_int_equal(link_exporter(p->end[r], LINK_EXPORTER_LOGIN, &k), 0);
    return k;
}

static void both_arrive_and_talk(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct pair p;
        conf(&p, *kind);
        run(&p, ALL);
        assert_true(p.established[ROLE_CLIENT] && p.established[ROLE_RELAY]);
        struct key c = exporter(&p, ROLE_CLIENT), r = exporter(&p, ROLE_RELAY);
        assert_true(key_same(&c, &r));
        assert_int_equal(link_send(p.end[ROLE_CLIENT], (const uint8_t *)"hello", 5), 0);
        assert_int_equal(link_send(p.end[ROLE_RELAY], (const uint8_t *)"hi", 2), 0);
        pair_pump(&p, ALL);
        assert_memory_equal(buf_span(&p.got[ROLE_RELAY]).p, "hello", 5);
        assert_memory_equal(buf_span(&p.got[ROLE_CLIENT]).p, "hi", 2);
        link_close(p.end[ROLE_CLIENT]);
        pair_pump(&p, ALL);
        assert_true(p.closed[ROLE_RELAY]);
        assert_false(p.failed[ROLE_RELAY]);
        pair_free(&p);
    }
}

/* The one who asks says so in a record, and so does the one who answers; nothing is lost on the
 * way, not even what was said before and is not sealed yet. */
static void keys_change_on_command(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct pair p;
        conf(&p, *kind);
        pair_start(&p);
        assert_int_equal(link_rekey(p.end[ROLE_CLIENT]), -1); /* no keys yet */
        pair_pump(&p, ALL);
        assert_int_equal(link_send(p.end[ROLE_CLIENT], (const uint8_t *)"before ", 7), 0);
        assert_int_equal(link_rekey(p.end[ROLE_CLIENT]), 0);
        assert_int_equal(link_send(p.end[ROLE_CLIENT], (const uint8_t *)"after", 5), 0);
        assert_int_equal(link_waiting(p.end[ROLE_RELAY]), 0);
        pair_move(&p, ROLE_CLIENT, ALL);
        assert_true(link_out(p.end[ROLE_RELAY]).n > 0); /* its own update */
        pair_pump(&p, ALL);
        assert_int_equal(link_send(p.end[ROLE_RELAY], (const uint8_t *)"hi", 2), 0);
        pair_pump(&p, ALL);
        assert_int_equal(p.got[ROLE_RELAY].len, 12);
        assert_memory_equal(buf_span(&p.got[ROLE_RELAY]).p, "before after", 12);
        assert_memory_equal(buf_span(&p.got[ROLE_CLIENT]).p, "hi", 2);
        link_close(p.end[ROLE_CLIENT]);
        assert_int_equal(link_rekey(p.end[ROLE_CLIENT]), -1);
        pair_free(&p);
    }
}

static void a_byte_at_a_time_is_the_same(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct pair p;
        conf(&p, *kind);
        run(&p, 1);
        assert_true(p.established[ROLE_CLIENT] && p.established[ROLE_RELAY]);
        pair_free(&p);
    }
}

static void no_two_connections_share_a_key(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct key seen[2];
        for (size_t i = 0; i < COUNT(seen); i++) {
            struct pair p;
            conf(&p, *kind);
            run(&p, ALL);
            seen[i] = exporter(&p, ROLE_RELAY);
            pair_free(&p);
        }
        assert_false(key_same(&seen[0], &seen[1]));
    }
}

static void the_exporter_comes_late_and_has_one_label(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct pair p;
        struct key k;
        conf(&p, *kind);
        pair_start(&p);
        assert_int_equal(link_exporter(p.end[ROLE_CLIENT], LINK_EXPORTER_LOGIN, &k), -1);
        pair_pump(&p, ALL);
        assert_int_equal(link_exporter(p.end[ROLE_CLIENT], "EXPORTER-other", &k), -1);
        pair_free(&p);
    }
}

static void both_know_whom_they_talk_to(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct pair p;
        struct link_info i;
        struct hash fp;
        conf(&p, *kind);
        run(&p, ALL);
        for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
            link_info(p.end[r], &i);
            sha256(p.chain[r == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT][0], &fp);
            assert_true(hash_same(&fp, &i.peer_fp));
            assert_int_equal(i.peer_n, r == ROLE_CLIENT ? 3 : 2);
            assert_non_null(i.suite);
            assert_non_null(i.group);
            assert_string_equal(i.alpn, LINK_ALPN_CHAT);
            assert_false(i.join);
        }
        pair_free(&p);
    }
}

static void an_idle_relay_forgets_certificates(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct pair p;
        struct link_info i;
        conf(&p, *kind);
        run(&p, ALL);
        link_rest(p.end[ROLE_RELAY]);
        link_rest(p.end[ROLE_RELAY]);
        link_info(p.end[ROLE_RELAY], &i);
        assert_int_equal(i.peer_n, 0);
        assert_int_equal(link_send(p.end[ROLE_CLIENT], (const uint8_t *)"still", 5), 0);
        pair_pump(&p, ALL);
        assert_int_equal(p.got[ROLE_RELAY].len, 5);
        pair_free(&p);
    }
}

static void who_joins_needs_no_certificate(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct pair p;
        struct link_info i;
        struct hash pin;
        conf_join(&p, *kind, &pin);
        run(&p, ALL);
        assert_true(p.established[ROLE_CLIENT] && p.established[ROLE_RELAY]);
        link_info(p.end[ROLE_RELAY], &i);
        assert_true(i.join);
        assert_int_equal(i.peer_n, 0);
        assert_string_equal(i.alpn, LINK_ALPN_JOIN);
        pair_free(&p);
    }
}

/* --- sessions at random --- */

/* What happens in them comes from one number, which a failure prints. */
struct dice {
    uint64_t state;
};

static size_t throw_dice(struct dice *d, size_t n)
{
    struct hash h;
    size_t v;

    d->state++;
    sha256(span_of(&d->state, sizeof d->state), &h);
    memcpy(&v, h.b, sizeof v);
    return v % n;
}

static bool talk(struct pair *p, struct dice *d, size_t piece)
{
    static uint8_t text[40000];
    size_t said[2] = {0, 0};

    for (size_t i = throw_dice(d, 6); i > 0; i--) {
        enum role from = throw_dice(d, 2) == 0 ? ROLE_CLIENT : ROLE_RELAY;
        size_t n = 1 + throw_dice(d, throw_dice(d, 3) == 0 ? sizeof text : 200);
        memset(text, (int)n, n);
        assert_int_equal(link_send(p->end[from], text, n), 0);
        said[from] += n;
        if (throw_dice(d, 2) == 0)
            pair_pump(p, piece);
    }
    pair_pump(p, piece);
    return p->got[ROLE_RELAY].len == said[ROLE_CLIENT] &&
           p->got[ROLE_CLIENT].len == said[ROLE_RELAY];
}

static bool session_at_random(struct dice d)
{
    struct pair p;
    struct hash pin;
    size_t piece = throw_dice(&d, 4) == 0 ? 1 + throw_dice(&d, 90) : ALL;
    enum link_kind kind = driven[throw_dice(&d, COUNT(driven))];

    if (throw_dice(&d, 4) == 0)
        conf_join(&p, kind, &pin);
    else
        conf(&p, kind);
    p.flipping = throw_dice(&d, 3) == 0;
    p.flip_from = throw_dice(&d, 2) == 0 ? ROLE_CLIENT : ROLE_RELAY;
    p.flip_at = throw_dice(&d, 3000);
    p.flip_mask = (uint8_t)(1 + throw_dice(&d, 255));
    run(&p, piece);
    bool arrived = p.established[ROLE_CLIENT] && p.established[ROLE_RELAY];
    bool good = arrived == !(p.flipping && p.moved[p.flip_from] > p.flip_at);
    p.flipping = false;
    if (good && arrived) {
        good = talk(&p, &d, piece);
        enum role closes = throw_dice(&d, 2) == 0 ? ROLE_CLIENT : ROLE_RELAY;
        link_close(p.end[closes]);
        pair_pump(&p, piece);
        good = good && p.closed[closes == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT];
    }
    pair_free(&p);
    return good;
}

/* SESSIONS=10000 in make sessions. */
static void whatever_happens_both_arrive_or_nobody(void **state)
{
    const char *many = getenv("SESSIONS"), *one = getenv("SESSION");
    uint64_t n = many != NULL ? strtoull(many, NULL, 10) : 40;

    (void)state;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t seed = one != NULL ? strtoull(one, NULL, 10) : i;
        if (!session_at_random((struct dice){seed << 32}))
            fail_msg("SESSION=%llu", (unsigned long long)seed);
    }
}

/* --- the order, said a second time by hand --- */

/* Seed 001: hello, hello, then both compute, then Finished and Finished. */
static bool ecdhe_follows(const char *a, const char *b)
{
    static const char *const next[][2] = {
        {"", "ClientHello"}, {"ClientHello", "ServerHello"}, {"ServerHello", "ECDHE"},
        {"ECDHE", "HKDF"},   {"HKDF", "Client Finished"},    {"Client Finished", "Server Finished"},
    };

    for (size_t i = 0; i < COUNT(next); i++)
        if (strcmp(a, next[i][0]) == 0)
            return strcmp(b, next[i][1]) == 0;
    return false;
}

/* Seed 002: certificates, a key for the credentials, the credentials, a key for the session. */
static bool cianr_follows(const char *a, const char *b)
{
    static const char *const next[][2] = {
        {"", "hello"},
        {"hello", "server_hello"},
        {"server_hello", "dh_client"},
        {"dh_client", "dh_server"},
        {"dh_server", "temporary key"},
        {"temporary key", "register or login"},
        {"register or login", "session dh_client"},
        {"session dh_client", "session dh_server"},
        {"session dh_server", "session key"},
        {"session key", "client finished"},
        {"client finished", "server finished"},
    };

    for (size_t i = 0; i < COUNT(next); i++)
        if (strcmp(a, next[i][0]) == 0)
            return strcmp(b, next[i][1]) == 0;
    return false;
}

/* Seed 004: six, then four in any order (each once: there are no more than thirteen), then three.
 */
static bool sovereign_follows(const char *a, const char *b)
{
    static const char *const fixed[][2] = {
        {"", "ClientHello"},
        {"ClientHello", "ServerHello"},
        {"ServerHello", "ServerCertSend"},
        {"ServerCertSend", "ClientCertRequest"},
        {"ClientCertRequest", "ClientCertSend"},
        {"ClientCertSend", "SeedCode"},
        {"ClientAuth", "ServerAuth"},
        {"ServerAuth", "SecureAck"},
    };
    bool middle_a = strncmp(a, "Key", 3) == 0, middle_b = strncmp(b, "Key", 3) == 0;

    for (size_t i = 0; i < COUNT(fixed); i++)
        if (strcmp(a, fixed[i][0]) == 0)
            return strcmp(b, fixed[i][1]) == 0;
    if (middle_a || strcmp(a, "SeedCode") == 0)
        return middle_b ? strcmp(a, b) != 0 : middle_a && strcmp(b, "ClientAuth") == 0;
    return false;
}

static bool may_follow(enum link_kind kind, const char *a, const char *b)
{
    switch (kind) {
    case LINK_ECDHE: return ecdhe_follows(a, b);
    case LINK_CIANR: return cianr_follows(a, b);
    case LINK_SOVEREIGN: return sovereign_follows(a, b);
    case LINK_TLS:
    case LINK_CLASSIC: /* test_classic.c */
    case LINK_KIND_COUNT: break;
    }
    return false;
}

static void steps_come_in_the_order_of_the_document(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        size_t n;
        struct pair p;
        (void)link_rows(*kind, &n);
        conf(&p, *kind);
        run(&p, ALL);
        for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
            const char *last = "";
            size_t at = 0;
            for (size_t i = 0; i < p.steps_n[r]; i++) {
                const struct link_step *s = &p.steps[r][i];
                assert_int_equal(s->total, n);
                if (s->waiting)
                    continue;
                assert_true(may_follow(*kind, last, s->name));
                assert_int_equal(s->number, ++at);
                assert_int_equal(s->bytes == 0, s->local);
                last = s->name;
            }
            assert_int_equal(at, n);
        }
        pair_free(&p);
    }
}

/* What one end calls sent the other calls come, with the same bytes on the wire. */
static void both_ends_tell_the_same_story(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        size_t n, sent[2] = {0, 0};
        struct pair p;
        const struct link_row *rows = link_rows(*kind, &n);
        conf(&p, *kind);
        run(&p, ALL);
        assert_int_equal(p.steps_n[ROLE_RELAY], n);
        for (size_t i = 0; i < n; i++) {
            const struct link_step *s = &p.steps[ROLE_RELAY][i];
            if (!s->local)
                assert_int_equal(s->out, !rows[s->row].client_writes);
            sent[s->out ? ROLE_RELAY : ROLE_CLIENT] += s->bytes;
        }
        assert_int_equal(sent[ROLE_CLIENT], p.moved[ROLE_CLIENT]);
        assert_int_equal(sent[ROLE_RELAY], p.moved[ROLE_RELAY]);
        pair_free(&p);
    }
}

static void the_client_waits_for_the_verdict(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct pair p;
        conf(&p, *kind);
        run(&p, ALL);
        size_t at = 0;
        for (size_t i = 0; i < p.steps_n[ROLE_CLIENT]; i++)
            if (p.steps[ROLE_CLIENT][i].out)
                at = i + 1; /* behind its last word */
        const struct link_step *waits = &p.steps[ROLE_CLIENT][at], *answer = waits + 1;
        assert_true(waits->waiting);
        assert_string_equal(waits->proves, "waiting for the relay's verdict");
        assert_string_equal(waits->name, answer->name);
        assert_int_equal(waits->number, answer->number);
        for (size_t i = 0; i < p.steps_n[ROLE_CLIENT]; i++)
            assert_int_equal(p.steps[ROLE_CLIENT][i].waiting, i == at);
        pair_free(&p);
    }
}

/* Stands in front of the function (wrapped_test_drive in the Makefile). */
struct record *__real_record_new(const struct record_conf *c, struct err *e);
struct record *__wrap_record_new(const struct record_conf *c, struct err *e);

static int records_left = -1; /* so many are made, then the memory is out; -1: it never is */

struct record *__wrap_record_new(const struct record_conf *c, struct err *e)
{
    if (records_left == 0) {
        err_set(e, ERR_LOCAL, "no memory for a link");
        return NULL;
    }
    records_left -= records_left > 0;
    return __real_record_new(c, e);
}

/* The relay has its keys; the client has read the last step, and can have none. */
static void a_handshake_that_fails_at_its_very_end_is_none(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        for (int made = 0; made < 2; made++) {
            struct pair p;
            struct key k;
            conf(&p, *kind);
            records_left = made;
            run(&p, ALL);
            records_left = -1;
            assert_true(p.failed[ROLE_CLIENT]);
            assert_int_equal(p.established[ROLE_RELAY], made);
            assert_false(p.established[ROLE_CLIENT]);
            assert_int_equal(link_exporter(p.end[ROLE_CLIENT], LINK_EXPORTER_LOGIN, &k), -1);
            pair_free(&p);
        }
    }
}

/* The step in which a client of that link first signs, said again by hand. */
static bool is_signature(enum link_kind kind, const struct link_step *s)
{
    static const char *const names[LINK_KIND_COUNT] = {
        [LINK_TLS] = "CertificateVerify",
        [LINK_ECDHE] = "Client Finished",
        [LINK_CIANR] = "register or login",
        [LINK_SOVEREIGN] = "ClientAuth",
    };

    return !s->out && strcmp(s->name, names[kind]) == 0;
}

/* A name belongs to who signs with its key; before that anybody may have shown the certificate. */
static void a_name_is_proven_by_its_signature(void **state)
{
    (void)state;
    for (enum link_kind kind = 0; kind < LINK_CLASSIC; kind++) /* which has no names */
        for (size_t most = 1; most < 12000; most += 211) {
            struct pair p;
            struct link_info i;
            conf_again(&p, kind);
            pair_start(&p);
            while (p.moved[ROLE_CLIENT] < most && !p.established[ROLE_RELAY]) {
                size_t left = most - p.moved[ROLE_CLIENT];
                if (pair_move(&p, ROLE_CLIENT, left) + pair_move(&p, ROLE_RELAY, ALL) == 0)
                    break;
            }
            bool signs = false;
            for (size_t s = 0; s < p.steps_n[ROLE_RELAY]; s++)
                signs = signs || is_signature(kind, &p.steps[ROLE_RELAY][s]);
            link_info(p.end[ROLE_RELAY], &i);
            assert_int_equal(i.proven, signs);
            pair_free(&p);
        }
}

/* --- damage --- */

static void lengths(enum link_kind kind, size_t n[2])
{
    struct pair p;

    conf(&p, kind);
    run(&p, ALL);
    assert_true(p.established[ROLE_CLIENT]);
    n[0] = p.moved[0];
    n[1] = p.moved[1];
    pair_free(&p);
}

/* How far apart the bytes are that are tried: every one of `ecdhe`; of a link with more to say
 * every n-th, or each with FLIPS=all (make check-flips). Its own test has every field. */
static size_t stride(enum link_kind kind, size_t n)
{
    const char *flips = getenv("FLIPS");

    return kind == LINK_ECDHE || (flips != NULL && strcmp(flips, "all") == 0) ? 1 : n;
}

/* What a link answers, to a certificate and to everything else: by hand. */
static struct span answer(enum link_kind kind, bool certificate)
{
    static const uint8_t zeros[DRIVE_HEAD];
    static const char refused[] = "\0\0\0\0\x27{\"type\":\"error\",\"error_type\":\"refused\"}";
    static const char bad_cert[] = "\0\0\0\0\x28{\"type\":\"error\",\"error_type\":\"bad-cert\"}";

    if (kind != LINK_CIANR)
        return span_of(zeros, sizeof zeros);
    return certificate ? span_of(bad_cert, sizeof bad_cert - 1)
                       : span_of(refused, sizeof refused - 1);
}

/* The last that came to the client. */
struct heard {
    uint8_t b[64];
    size_t n;
};

static size_t hear(struct pair *p, enum role to, uint8_t *bytes, size_t n, size_t room)
{
    struct heard *last = p->meddler;

    (void)room;
    if (to == ROLE_CLIENT) {
        last->n = n;
        memcpy(last->b, bytes, n < sizeof last->b ? n : sizeof last->b);
    }
    return n;
}

/* H2: nobody arrives. H14: and whatever was wrong, the answer is the same bytes. Behind the last
 * byte of the relay nobody looks at it but the client. */
static void try_flip(enum link_kind kind, enum role from, size_t at)
{
    struct pair p;
    struct heard last = {{0}, 0};
    struct link_info i;

    conf_again(&p, kind);
    p.flipping = true;
    p.flip_from = from;
    p.flip_at = at;
    p.flip_mask = (uint8_t)(1U << at % 8);
    p.meddle = hear;
    p.meddler = &last;
    run(&p, ALL);
    bool touched = p.moved[from] > at; /* signatures of P-256 differ in length */
    if (touched &&
        (p.established[ROLE_CLIENT] || (from == ROLE_CLIENT && p.established[ROLE_RELAY])))
        fail_msg("%s: byte %zu of role %d: established", link_kind_name(kind), at, (int)from);
    link_info(p.end[ROLE_RELAY], &i);
    if (from == ROLE_CLIENT && p.failed[ROLE_RELAY] && !i.refused_by_peer) {
        struct span want = answer(kind, i.refused != NULL);
        assert_int_equal(last.n, want.n);
        assert_memory_equal(last.b, want.p, want.n);
        assert_true(p.failed[ROLE_CLIENT]);
    }
    pair_free(&p);
}

static void one_bit_is_enough(void **state)
{
    static const size_t apart[2] = {[ROLE_CLIENT] = 3, [ROLE_RELAY] = 11};

    (void)state;
    EACH_KIND(kind)
    {
        size_t n[2];
        lengths(*kind, n);
        for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++)
            for (size_t at = 0; at < n[r]; at += stride(*kind, apart[r]))
                try_flip(*kind, r, at);
    }
}

/* false: this handshake said less than the one that was measured, as signatures have no fixed
 * length, and is over. */
static bool moved_up_to(struct pair *p, enum role from, size_t cut)
{
    enum role to = from == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
    size_t moved = 1;

    while (p->moved[from] < cut && moved > 0) {
        moved = pair_move(p, to, ALL);
        moved += pair_move(p, from, cut - p->moved[from]);
    }
    return !p->established[to];
}

static void try_cut(enum link_kind kind, enum role from, size_t cut)
{
    enum role to = from == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
    struct pair p;

    conf_again(&p, kind);
    pair_start(&p);
    if (moved_up_to(&p, from, cut)) {
        assert_int_equal(p.moved[from], cut);
        assert_int_equal(link_eof(p.end[to]), -1);
        pair_events(&p, to);
        assert_true(p.failed[to]);
        assert_false(p.established[to]);
        assert_non_null(strstr(pair_why(&p, to), "cut"));
        assert_int_equal(link_error(p.end[to])->code, ERR_IO);
    }
    pair_free(&p);
}

/* H7. */
static void a_cut_stream_is_called_cut(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        size_t n[2];
        lengths(*kind, n);
        for (enum role from = ROLE_CLIENT; from <= ROLE_RELAY; from++)
            for (size_t cut = 0; cut + 4 < n[from]; cut += cut < 200 ? 1 : stride(*kind, 23))
                try_cut(*kind, from, cut);
    }
}

static void an_open_connection_that_is_cut_says_so(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct pair p;
        conf(&p, *kind);
        run(&p, ALL);
        assert_int_equal(link_eof(p.end[ROLE_CLIENT]), -1);
        assert_non_null(strstr(pair_why(&p, ROLE_CLIENT), "cut"));
        pair_free(&p);
    }
}

/* --- who sends what when --- */

/* H10. Every type in every state; the head alone decides, whatever its length. */
struct wrong {
    enum role to;
    size_t at;     /* how many flights may pass before */
    size_t frames; /* that passed */
    uint8_t type;
    size_t n;
    uint8_t due; /* the type that stood there */
};

static void head_put(uint8_t *out, uint8_t type, size_t n)
{
    struct wr h = wr_of(out, DRIVE_HEAD);

    wr_u8(&h, type);
    wr_u32(&h, (uint32_t)n);
}

static size_t put_wrong(struct pair *p, enum role to, uint8_t *bytes, size_t n, size_t room)
{
    struct wrong *x = p->meddler;

    if (to != x->to || x->frames++ != x->at)
        return n;
    assert_true(DRIVE_HEAD + x->n <= room);
    x->due = bytes[0];
    head_put(bytes, x->type, x->n);
    memset(bytes + DRIVE_HEAD, 0, x->n);
    return DRIVE_HEAD + x->n;
}

/* Sent apart, so that a meddler meets whole frames. */
static void move_magic(struct pair *p)
{
    struct span out = link_out(p->end[ROLE_CLIENT]);
    const uint8_t *lf = memchr(out.p, '\n', out.n);

    assert_non_null(lf);
    pair_move(p, ROLE_CLIENT, (size_t)(lf - out.p) + 1);
}

static void try_wrong(enum link_kind kind, struct wrong x)
{
    struct pair p;

    conf_again(&p, kind);
    pair_start(&p);
    move_magic(&p);
    p.meddle = put_wrong;
    p.meddler = &x;
    pair_pump(&p, ALL);
    if (x.frames <= x.at) { /* there is no such frame */
        pair_free(&p);
        return;
    }
    assert_true(p.failed[x.to]);
    assert_false(p.established[x.to]);
    bool refusal = x.type == DRIVE_REFUSED && x.n == 0 && kind != LINK_CIANR;
    if (x.type != x.due && !refusal && strstr(pair_why(&p, x.to), " was due") == NULL)
        fail_msg("%s: type %u for %u: %s", link_kind_name(kind), x.type, x.due, pair_why(&p, x.to));
    pair_free(&p);
}

static void only_the_message_that_is_due_is_taken(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        for (enum role to = ROLE_CLIENT; to <= ROLE_RELAY; to++)
            for (size_t at = 0; at < 5; at++)
                for (unsigned type = 0; type < 256; type += type < 15 ? 1 : 80)
                    for (size_t n = 0; n <= 64; n += at < 2 ? 32 : 65)
                        try_wrong(*kind, (struct wrong){to, at, 0, (uint8_t)type, n, 0});
    }
}

/* H21: a stranger's bytes are bounded by the head, before they come. */
static void a_stranger_says_little(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        static const uint32_t lens[] = {LINK_SHAKE_MAX, LINK_SHAKE_MAX + 1, 1U << 20, UINT32_MAX};
        for (size_t i = 0; i < COUNT(lens); i++) {
            struct pair p;
            uint8_t head[DRIVE_HEAD];
            conf(&p, *kind);
            pair_start(&p);
            move_magic(&p);
            head_put(head, 1, lens[i]);
            assert_int_equal(link_feed(p.end[ROLE_RELAY], head, sizeof head), -1);
            head_put(head, 2, lens[i]);
            assert_int_equal(link_feed(p.end[ROLE_CLIENT], head, sizeof head), -1);
            pair_free(&p);
        }
    }
}

/* The bounds of docs/protocol.md 10.2 to 10.4, by hand; 0: a step of no message. */
static void every_step_has_the_bound_of_the_document(void **state)
{
    static const size_t bounds[LINK_KIND_COUNT][DRIVE_STEPS_MAX] = {
        [LINK_ECDHE] = {74, 16274, 0, 0, 16274, 32},
        [LINK_CIANR] = {13824, 13824, 512, 1536, 0, 1024, 512, 512, 0, 1024, 1024},
        [LINK_SOVEREIGN] = {65, 64, 10251, 19, 10251, 64 + LINK_NONCE_LEN + 32 + 32, 32, 32, 33, 33,
                            514, 514, 32},
    };

    (void)state;
    EACH_KIND(kind)
    {
        const struct link_proto *p = proto(*kind);
        for (size_t i = 0; i < DRIVE_STEPS_MAX; i++)
            assert_int_equal(i < p->rows_n ? p->drive->steps[i].max : 0, bounds[*kind][i]);
    }
}

/* ... and not only message by message: a link whose steps had room for more than that in all would
 * still be held to it. Here each may be that long. */
static void a_stranger_says_little_in_all(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        for (size_t over = 0; over < 2; over++) {
            struct pair p;
            struct err e = {0};
            struct drive_step steps[DRIVE_STEPS_MAX];
            const struct link_proto *real = proto(*kind);
            struct drive_proto roomy = *real->drive;
            struct link_proto link = *real;
            uint8_t head[DRIVE_HEAD];
            memcpy(steps, roomy.steps, real->rows_n * sizeof steps[0]);
            steps[0].max = LINK_SHAKE_MAX;
            roomy.steps = steps;
            link.drive = &roomy;
            conf(&p, *kind);
            void *ready = drive_ready_new(&link, ROLE_RELAY, &p.conf[ROLE_RELAY], &e);
            struct drive *d = drive_open(ready, &e);
            assert_non_null(d);
            size_t magic = strlen(roomy.magic);
            assert_int_equal(drive_feed(d, (const uint8_t *)roomy.magic, magic), 0);
            head_put(head, 1, LINK_SHAKE_MAX - magic - sizeof head + over);
            assert_int_equal(drive_feed(d, head, sizeof head), over ? -1 : 0);
            if (over)
                assert_non_null(strstr(drive_error(d)->text, "too much from a client not yet"));
            drive_free(d);
            drive_ready_free(ready);
            pair_free(&p);
        }
    }
}

static void a_refusal_is_told_and_not_answered(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        for (int certificate = 0; certificate < 2; certificate++) {
            struct pair p;
            struct link_info i;
            struct span refusal = answer(*kind, certificate);
            conf(&p, *kind);
            pair_start(&p);
            link_sent(p.end[ROLE_CLIENT], link_out(p.end[ROLE_CLIENT]).n);
            assert_int_equal(link_feed(p.end[ROLE_CLIENT], refusal.p, refusal.n), -1);
            link_info(p.end[ROLE_CLIENT], &i);
            assert_true(i.refused_by_peer);
            assert_true((i.refused != NULL) == (certificate && *kind == LINK_CIANR));
            assert_int_equal(link_out(p.end[ROLE_CLIENT]).n, 0);
            pair_free(&p);
        }
    }
}

/* A refusal is made of known bytes: with one of them changed it is a failure like others. */
static void another_refusal_is_none(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct span refusal = answer(*kind, true);
        for (size_t i = 0; i < refusal.n; i++) {
            struct pair p;
            struct link_info info;
            uint8_t bytes[64];
            memcpy(bytes, refusal.p, refusal.n);
            bytes[i] ^= 4;
            conf(&p, *kind);
            pair_start(&p);
            (void)!link_feed(p.end[ROLE_CLIENT], bytes, refusal.n);
            pair_events(&p, ROLE_CLIENT);
            link_info(p.end[ROLE_CLIENT], &info);
            assert_false(info.refused_by_peer || p.established[ROLE_CLIENT]);
            pair_free(&p);
        }
    }
}

/* --- somebody else's bytes --- */

/* What each side said, frame flight by frame flight. */
struct tape {
    struct buf said[2]; /* by who said it */
};

static size_t record(struct pair *p, enum role to, uint8_t *bytes, size_t n, size_t room)
{
    struct tape *t = p->meddler;

    (void)room;
    assert_int_equal(buf_add(&t->said[to == ROLE_RELAY ? ROLE_CLIENT : ROLE_RELAY], bytes, n), 0);
    return n;
}

static void tape_make(enum link_kind kind, struct tape *t)
{
    struct pair p;

    buf_init(&t->said[0], 1 << 16);
    buf_init(&t->said[1], 1 << 16);
    conf(&p, kind);
    p.meddle = record;
    p.meddler = t;
    run(&p, ALL);
    assert_true(p.established[ROLE_RELAY]);
    pair_free(&p);
}

static void tape_free(struct tape *t)
{
    buf_free(&t->said[0]);
    buf_free(&t->said[1]);
}

/* H5, H6. Whatever was once said, by either side, to a new end of either role. */
static void nothing_can_be_said_again(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct tape t;
        tape_make(*kind, &t);
        for (enum role who = ROLE_CLIENT; who <= ROLE_RELAY; who++)
            for (enum role to = ROLE_CLIENT; to <= ROLE_RELAY; to++) {
                struct pair p;
                struct span s = buf_span(&t.said[who]);
                conf(&p, *kind);
                pair_start(&p);
                assert_int_equal(link_feed(p.end[to], s.p, s.n), -1);
                pair_events(&p, to);
                assert_false(p.established[to]);
                pair_free(&p);
            }
        tape_free(&t);
    }
}

static int hear_oneself(struct pair *p, enum role r)
{
    struct span s = link_out(p->end[r]);
    uint8_t *copy = malloc(s.n);

    assert_non_null(copy);
    memcpy(copy, s.p, s.n);
    int ret = link_feed(p->end[r], copy, s.n);
    free(copy);
    pair_events(p, r);
    return ret;
}

/* H5: an end that hears its own words, of the handshake and behind it. */
static void nobody_talks_to_himself(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
            struct pair p;
            conf(&p, *kind);
            pair_start(&p);
            if (r == ROLE_RELAY)
                pair_move(&p, ROLE_CLIENT, ALL);
            assert_int_equal(hear_oneself(&p, r), -1);
            assert_false(p.established[r]);
            pair_free(&p);
            conf(&p, *kind);
            run(&p, ALL);
            assert_int_equal(link_send(p.end[r], (const uint8_t *)"me", 2), 0);
            assert_int_equal(hear_oneself(&p, r), -1);
            assert_int_equal(p.got[r].len, 0);
            pair_free(&p);
        }
    }
}

/* H1: another link is another language, and nobody changes to it. */
static void another_link_is_refused(void **state)
{
    (void)state;
    for (enum link_kind c = 0; c < LINK_KIND_COUNT; c++)
        for (enum link_kind r = 0; r < LINK_KIND_COUNT; r++) {
            struct pair p;
            if (c == r)
                continue;
            pair_conf(&p, w);
            p.conf[ROLE_CLIENT].kind = c;
            p.conf[ROLE_RELAY].kind = r;
            run(&p, ALL);
            assert_nobody(&p);
            pair_free(&p);
        }
}

/* --- certificates: every rule for both roles, one answer --- */

static enum cert_fault judged;

static enum cert_fault judge(void *ctx, const struct hash *fp, const struct span *chain, size_t n)
{
    (void)ctx, (void)fp, (void)chain, (void)n;
    return judged;
}

struct bad {
    const char *word;
    enum role who; /* presents it */
    struct want want;
    bool revoked, theirs, unenrolled;
};

static void try_bad(enum link_kind kind, const struct bad *b)
{
    struct pair p;
    struct der d;
    struct want want = b->want;
    struct link_info i;
    enum role judge_is = b->who == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;

    want.by = b->theirs ? &w->theirs : NULL;
    want.key = b->who == ROLE_CLIENT ? w->device_key : w->relay_key;
    world_issue(w, want, &d);
    if (b->revoked)
        world_revoke(w, &d);
    conf(&p, kind);
    p.chain[b->who][0] = span_of(d.b, d.n);
    if (b->theirs)
        p.chain[b->who][1] = span_of(w->theirs.inter.b, w->theirs.inter.n);
    if (b->theirs && b->who == ROLE_RELAY)
        p.chain[b->who][2] = span_of(w->theirs.root.b, w->theirs.root.n);
    judged = b->unenrolled ? CERT_NOT_ENROLLED : CERT_OK;
    p.conf[ROLE_RELAY].judge = judge;
    run(&p, ALL);
    assert_nobody(&p);
    link_info(p.end[judge_is], &i);
    assert_non_null(i.refused);
    assert_string_equal(i.refused, b->word);
    assert_false(i.refused_by_peer);
    assert_int_equal(link_error(p.end[judge_is])->code, ERR_AUTH);
    link_info(p.end[b->who], &i);
    assert_true(i.refused_by_peer);
    if (kind == LINK_CIANR) /* its document wants that much told */
        assert_string_equal(i.refused, LINK_BAD_CERT);
    else
        assert_null(i.refused); /* the reason stays with who judged */
    pair_free(&p);
    world_forgive(w);
}

static void certificates_are_judged_by_every_rule(void **state)
{
    static const struct bad bads[] = {
        {"expired", ROLE_CLIENT, {.role = CERT_DEVICE, .from = 1, .to = 2}, 0, 0, 0},
        {"expired", ROLE_RELAY, {.role = CERT_RELAY, .from = 1, .to = 2}, 0, 0, 0},
        {"unknown-ca", ROLE_CLIENT, {.role = CERT_DEVICE}, 0, true, 0},
        {"self-signed", ROLE_RELAY, {.role = CERT_RELAY}, 0, true, 0},
        {"wrong-role", ROLE_CLIENT, {.role = CERT_RELAY}, 0, 0, 0},
        {"wrong-role", ROLE_RELAY, {.role = CERT_DEVICE}, 0, 0, 0},
        {"no-eku", ROLE_CLIENT, {.role = CERT_DEVICE, .no_eku = true}, 0, 0, 0},
        {"wrong-name", ROLE_RELAY, {.role = CERT_RELAY, .host = "other.test"}, 0, 0, 0},
        {"revoked", ROLE_CLIENT, {.role = CERT_DEVICE}, true, 0, 0},
        {"revoked", ROLE_RELAY, {.role = CERT_RELAY}, true, 0, 0},
        {"not-enrolled", ROLE_CLIENT, {.role = CERT_DEVICE}, 0, 0, true},
    };

    (void)state;
    EACH_KIND(kind)
    {
        for (size_t i = 0; i < COUNT(bads); i++)
            try_bad(*kind, &bads[i]);
    }
}

static void a_pin_is_the_root_of_the_invite_and_no_other(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct pair p;
        struct hash pin;
        conf_join(&p, *kind, &pin);
        pin.b[31] ^= 1;
        run(&p, ALL);
        assert_nobody(&p);
        assert_non_null(strstr(pair_why(&p, ROLE_CLIENT), "not the one of the invite"));
        pair_free(&p);
        conf_join(&p, *kind, &pin);
        sha256(p.chain[ROLE_RELAY][0], &pin); /* a leaf is no anchor */
        run(&p, ALL);
        assert_nobody(&p);
        pair_free(&p);
    }
}

static void a_key_of_another_certificate_is_no_identity(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct pair p;
        struct err e = {0};
        conf(&p, *kind);
        p.conf[ROLE_RELAY].key = w->ours.inter_key;
        assert_null(link_ready_new(ROLE_RELAY, &p.conf[ROLE_RELAY], &e));
        assert_non_null(strstr(e.text, "do not belong together"));
        pair_free(&p);
    }
}

/* --- signatures of another session (H3, H4, H6) --- */

/* What each end signed, in its order: the relay's key is P-256, the client's RSA. */
static struct {
    enum { SIGN, SIGN_AND_KEEP, SIGN_AS_KEPT } mode;
    enum role as_kept; /* SIGN_AS_KEPT: whose are those of before */
    uint8_t sig[2][4][SIG_MAX];
    size_t len[2][4], n[2];
} signer;

int __real_pkey_sign(struct pkey *k, const struct rng *r, struct span said, uint8_t sig[SIG_MAX],
                     size_t *n, struct err *e);
int __wrap_pkey_sign(struct pkey *k, const struct rng *r, struct span said, uint8_t sig[SIG_MAX],
                     size_t *n, struct err *e);

int __wrap_pkey_sign(struct pkey *k, const struct rng *r, struct span said, uint8_t sig[SIG_MAX],
                     size_t *n, struct err *e)
{
    enum role role = pkey_is_rsa(k) ? ROLE_CLIENT : ROLE_RELAY;
    int ret = __real_pkey_sign(k, r, said, sig, n, e);

    if (ret < 0 || signer.mode == SIGN)
        return ret;
    size_t i = signer.n[role]++;
    assert_true(i < COUNT(signer.sig[role]));
    if (signer.mode == SIGN_AND_KEEP) {
        memcpy(signer.sig[role][i], sig, *n);
        signer.len[role][i] = *n;
    } else if (role == signer.as_kept) {
        memcpy(sig, signer.sig[role][i], signer.len[role][i]);
        *n = signer.len[role][i];
    }
    return ret;
}

/* By the right key, in the right step, and over another handshake: it proves nothing here. */
static void a_signature_of_another_session_is_none(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        for (enum role liar = ROLE_CLIENT; liar <= ROLE_RELAY; liar++) {
            struct pair p;
            memset(&signer, 0, sizeof signer);
            signer.mode = SIGN_AND_KEEP;
            conf(&p, *kind);
            run(&p, ALL);
            assert_true(p.established[ROLE_CLIENT] && p.established[ROLE_RELAY]);
            assert_true(signer.n[liar] > 0);
            pair_free(&p);
            signer.mode = SIGN_AS_KEPT;
            signer.as_kept = liar;
            memset(signer.n, 0, sizeof signer.n);
            conf(&p, *kind);
            run(&p, ALL);
            signer.mode = SIGN;
            enum role judge = liar == ROLE_CLIENT ? ROLE_RELAY : ROLE_CLIENT;
            assert_false(p.established[judge]);
            assert_true(p.failed[judge]);
            if (strstr(pair_why(&p, judge), "signature is not over what we saw") == NULL)
                fail_msg("%s: %s", link_kind_name(*kind), pair_why(&p, judge));
            pair_free(&p);
        }
    }
}

static void links_are_told_apart_by_their_first_bytes(void **state)
{
    static const struct {
        unsigned kinds;
        const char *first;
        size_t n;
        int told;
        enum link_kind kind;
    } rows[] = {
        {1U << LINK_TLS, "", 0, 1, LINK_TLS},
        {1U << LINK_TLS, "GET /", 5, 1, LINK_TLS},
        {1U << LINK_ECDHE, "\x16\x03", 2, 1, LINK_ECDHE},
        {1U << LINK_TLS | 1U << LINK_ECDHE, "", 0, 0, 0},
        {1U << LINK_TLS | 1U << LINK_ECDHE, "\x16", 1, 0, 0},
        {1U << LINK_TLS | 1U << LINK_ECDHE, "\x16\x03\x01", 3, 1, LINK_TLS},
        {1U << LINK_TLS | 1U << LINK_ECDHE, "\x16\x02", 2, -1, 0},
        {1U << LINK_TLS | 1U << LINK_ECDHE, "c", 1, 0, 0},
        {1U << LINK_TLS | 1U << LINK_ECDHE, "countersign ecdhe 1", 19, 0, 0},
        {1U << LINK_TLS | 1U << LINK_ECDHE, "countersign ecdhe 1\n", 20, 1, LINK_ECDHE},
        {1U << LINK_TLS | 1U << LINK_ECDHE, "countersign ecdhe 2\n", 20, -1, 0},
        {1U << LINK_TLS | 1U << LINK_ECDHE, "GET / HTTP/1.1\r\n", 16, -1, 0},
        {1U << LINK_TLS | 1U << LINK_ECDHE, "countersign cianr 1\n", 20, -1, 0},
        {1U << LINK_CIANR | 1U << LINK_ECDHE, "countersign ", 12, 0, 0},
        {1U << LINK_CIANR | 1U << LINK_ECDHE, "countersign cianr 1\n", 20, 1, LINK_CIANR},
        {1U << LINK_CIANR | 1U << LINK_ECDHE, "countersign cianr 2\n", 20, -1, 0},
        {1U << LINK_TLS | 1U << LINK_CLASSIC, "{", 1, 1, LINK_CLASSIC},
        {1U << LINK_TLS | 1U << LINK_CLASSIC, " {", 2, -1, 0},
        {1U << LINK_TLS | 1U << LINK_ECDHE, "{\"type\":\"hello\"}\n", 17, -1, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum link_kind kind = LINK_KIND_COUNT;
        assert_int_equal(link_tell(rows[i].kinds, span_of(rows[i].first, rows[i].n), &kind),
                         rows[i].told);
        if (rows[i].told > 0)
            assert_int_equal(kind, rows[i].kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pinned_certificate_may_have_signed_itself),
        cmocka_unit_test(any_other_certificate_ends_it),
        cmocka_unit_test(both_arrive_and_talk),
        cmocka_unit_test(keys_change_on_command),
        cmocka_unit_test(a_byte_at_a_time_is_the_same),
        cmocka_unit_test(no_two_connections_share_a_key),
        cmocka_unit_test(the_exporter_comes_late_and_has_one_label),
        cmocka_unit_test(both_know_whom_they_talk_to),
        cmocka_unit_test(an_idle_relay_forgets_certificates),
        cmocka_unit_test(who_joins_needs_no_certificate),
        cmocka_unit_test(whatever_happens_both_arrive_or_nobody),
        cmocka_unit_test(steps_come_in_the_order_of_the_document),
        cmocka_unit_test(both_ends_tell_the_same_story),
        cmocka_unit_test(the_client_waits_for_the_verdict),
        cmocka_unit_test(a_handshake_that_fails_at_its_very_end_is_none),
        cmocka_unit_test(a_name_is_proven_by_its_signature),
        cmocka_unit_test(one_bit_is_enough),
        cmocka_unit_test(a_cut_stream_is_called_cut),
        cmocka_unit_test(an_open_connection_that_is_cut_says_so),
        cmocka_unit_test(only_the_message_that_is_due_is_taken),
        cmocka_unit_test(a_stranger_says_little),
        cmocka_unit_test(every_step_has_the_bound_of_the_document),
        cmocka_unit_test(a_stranger_says_little_in_all),
        cmocka_unit_test(a_refusal_is_told_and_not_answered),
        cmocka_unit_test(another_refusal_is_none),
        cmocka_unit_test(nothing_can_be_said_again),
        cmocka_unit_test(nobody_talks_to_himself),
        cmocka_unit_test(another_link_is_refused),
        cmocka_unit_test(certificates_are_judged_by_every_rule),
        cmocka_unit_test(a_pin_is_the_root_of_the_invite_and_no_other),
        cmocka_unit_test(a_key_of_another_certificate_is_no_identity),
        cmocka_unit_test(a_signature_of_another_session_is_none),
        cmocka_unit_test(links_are_told_apart_by_their_first_bytes),
    };

    if (getenv("SESSIONS") != NULL)
        cmocka_set_test_filter("whatever*");
    return cmocka_run_group_tests(tests, setup, teardown);
}
