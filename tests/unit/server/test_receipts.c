/* The relay's seal on receipts (docs/protocol.md 6.2): given for what is so, refused with the field
 * that is not. The receipts are put together here as an honest client does. */
#include <stdio.h>

#include "server/core/core_inner.h"
#include "tests/unit/server/support_receipt.h"

static struct relay *r;
static struct client *a;
static struct room_id room;
static struct pen pen;
static uint64_t asked; /* id of the last request */

static int setup(void **state)
{
    (void)state;
    r = relay_new();
    a = client_member(r, "alice");
    room = client_room(a, "lobby", false, HISTORY_ALL);
    pen = pen_of(a, room);
    for (unsigned i = 0; i < 3; i++)
        (void)pen_say(&pen, "word");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    relay_free(r);
    return 0;
}

static void ask(struct client *c, const struct receipt *x)
{
    const struct receipt_seal seal = receipt_own_seal(x);
    struct asked q;

    asked_make(&q, ++asked, c, x, &seal);
    client_say(c, F_SEAL, &q.f);
}

static struct hash hash_of(const struct receipt *x)
{
    char text[RECEIPT_MAX + 1];
    struct hash h;

    sha256(span_of(text, receipt_put(text, x)), &h);
    return h;
}

/* The next frame refuses it, and says which field is not so. */
static void refused(struct client *c, enum proto_code code, const char *field)
{
    const struct f_error *f = &client_got(c, F_ERROR)->u.error;

    assert_int_equal(f->re, asked);
    assert_int_equal(f->code, code);
    if (f->text.n < strlen(field) || memcmp(f->text.p, field, strlen(field)) != 0)
        fail_msg("refused for \"%.*s\" and not for %s", (int)f->text.n, f->text.p, field);
    assert_false(c->closed);
}

/* The next frame is a seal of it by the evidence certificate. */
static struct receipt_seal sealed(struct client *c, const struct receipt *x)
{
    const struct f_sealed *f = &client_got(c, F_SEALED)->u.sealed;
    struct cert *cert = cert_parse(span_of(r->evidence.b, r->evidence.n), NULL, &(struct err){0});
    char text[RECEIPT_MAX + 1];
    struct receipt_signed all;
    struct receipt_seal seal;
    struct hash fp;
    struct err e = {0};

    assert_int_equal(receipt_seal_take(&seal, str_from(f->seal.p, f->seal.n), &e), 0);
    assert_int_equal(seal.role, RECEIPT_RELAY);
    assert_int_equal(receipt_signed_make(&all, str_from(text, receipt_put(text, x)),
                                         str_from(f->seal.p, f->seal.n)),
                     0);
    assert_true(cert_verify_sig(cert, span_of(all.b, all.n), f->sig));
    cert_fingerprint(cert_der(cert), &fp);
    assert_true(hash_same(&fp, &seal.signer));
    cert_free(cert);
    return seal;
}

static struct store_login login_row(struct client *c)
{
    uint8_t session[SESSION_ID_LEN];
    struct store_login l;
    struct err e = {0};

    account_session(session, &c->exporter);
    assert_int_equal(r->ops->login_get(r->store.db, session, &l, &e), 1);
    return l;
}

/* --- what is so --- */

static void what_is_so_is_sealed_and_kept(void **state)
{
    struct receipt x = receipt_honest(&room, a, 1, 4);
    struct store_receipt row;
    struct err e = {0};
    (void)state;

    assert_false(login_row(a).has_transcript);
    ask(a, &x);
    assert_int_equal(sealed(a, &x).time, r->now);
    const struct hash hash = hash_of(&x);
    assert_int_equal(r->ops->receipt_get(r->store.db, &hash, &row, &e), 1);
    assert_memory_equal(row.session, x.session, sizeof x.session);
    assert_true(hash_same(&row.fp, &a->fp));
    assert_non_null(strstr(row.client, "role client"));
    assert_non_null(strstr(row.relay, "role relay"));
    assert_true(row.client_sig_n > 0 && row.relay_sig_n > 0);
    assert_true(login_row(a).has_transcript);
    assert_memory_equal(login_row(a).transcript.b, x.head.b, sizeof x.head);
}

static void without_a_checkpoint_it_is_sealed_too(void **state)
{
    struct receipt x = receipt_honest(&room, a, 2, 3);
    (void)state;

    x.tree = (struct merkle_head){.size = 0};
    ask(a, &x);
    (void)sealed(a, &x);
}

/* No seal is older than what it seals, whatever became of the relay's clock. */
static void a_clock_set_back_dates_no_seal_before_its_entries(void **state)
{
    struct receipt x = receipt_honest(&room, a, 1, 4);
    int64_t then = r->now;
    (void)state;

    r->now -= 3600 * 1000;
    x.created = then;
    r->now = then - 60 * 1000;
    ask(a, &x);
    assert_true(sealed(a, &x).time >= then);
}

static void several_of_a_session_are_one_hash(void **state)
{
    struct receipt x = receipt_honest(&room, a, 1, 4), y;
    struct hash both;
    (void)state;

    ask(a, &x);
    (void)sealed(a, &x);
    (void)pen_say(&pen, "more");
    y = receipt_honest(&room, a, 5, 5);
    y.previous = hash_of(&x);
    ask(a, &y);
    (void)sealed(a, &y);
    const struct span parts[] = {span_of(x.head.b, HASH_LEN), span_of(y.head.b, HASH_LEN)};
    sha256_parts(parts, COUNT(parts), &both);
    assert_memory_equal(login_row(a).transcript.b, both.b, sizeof both);
}

static void what_is_asked_twice_is_answered_alike(void **state)
{
    struct receipt x = receipt_honest(&room, a, 1, 4);
    uint8_t first[SIG_MAX], second[SIG_MAX];
    (void)state;

    ask(a, &x);
    const struct f_sealed *f = &client_got(a, F_SEALED)->u.sealed;
    size_t n = f->sig.n;
    memcpy(first, f->sig.p, n);
    r->now += 5000;
    unsigned signings = r->signings;
    ask(a, &x);
    f = &client_got(a, F_SEALED)->u.sealed;
    assert_int_equal(f->sig.n, n);
    memcpy(second, f->sig.p, n);
    assert_memory_equal(first, second, n);
    assert_int_equal(r->signings, signings);
}

/* Nor does it stop the relay when both are under way at the same time. */
static void what_is_asked_twice_at_once_is_answered_alike(void **state)
{
    struct receipt x = receipt_honest(&room, a, 1, 4);
    uint8_t sig[2][SIG_MAX];
    (void)state;

    x.previous = (struct hash){{7}}; /* one that the relay was not shown */
    r->notary_waits = true;
    ask(a, &x);
    ask(a, &x);
    assert_true(client_quiet(a));
    r->notary_waits = false;
    relay_pump(r);
    for (unsigned i = 0; i < 2; i++) {
        const struct f_sealed *f = &client_got(a, F_SEALED)->u.sealed;
        memcpy(sig[i], f->sig.p, f->sig.n);
    }
    assert_memory_equal(sig[0], sig[1], 256);
}

/* --- what is not --- */

static void flip(struct hash *h)
{
    h->b[5] ^= 1;
}

static void lie_session(struct receipt *x)
{
    x->session[0] ^= 1;
}
static void lie_link(struct receipt *x)
{
    snprintf(x->link, sizeof x->link, "ecdhe");
}
static void lie_suite(struct receipt *x)
{
    snprintf(x->suite, sizeof x->suite, "none");
}
static void lie_signer(struct receipt *x)
{
    flip(&x->signer);
}
static void lie_peer(struct receipt *x)
{
    flip(&x->peer);
}
static void lie_ahead(struct receipt *x)
{
    x->created = r->now + TS_FUTURE_MS + 1;
}
static void lie_early(struct receipt *x)
{
    x->created = r->now - 24 * 3600 * 1000;
}
static void lie_last(struct receipt *x)
{
    x->last++;
}
static void lie_fewer(struct receipt *x)
{
    x->last--;
    x->tree.size--;
}
static void lie_base(struct receipt *x)
{
    flip(&x->base);
}
static void lie_first(struct receipt *x)
{
    x->first++;
}
static void lie_head(struct receipt *x)
{
    flip(&x->head);
}
static void lie_root(struct receipt *x)
{
    flip(&x->tree.root);
}
static void lie_size(struct receipt *x)
{
    x->tree.size--;
}

static void what_is_not_so_is_not_sealed(void **state)
{
    static const struct {
        void (*lie)(struct receipt *x);
        const char *field;
    } lies[] = {
        {lie_session, "session"},  {lie_link, "link"},
        {lie_suite, "suite"},      {lie_signer, "signer"},
        {lie_ahead, "created_at"}, {lie_peer, "peer_cert_fingerprint"},
        {lie_early, "created_at"}, {lie_last, "last_seqno"},
        {lie_base, "base"},        {lie_fewer, "transcript_hash"},
        {lie_first, "base"},       {lie_head, "transcript_hash"},
        {lie_root, "tree_root"},   {lie_size, "tree_root"},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(lies); i++) {
        struct receipt x = receipt_honest(&room, a, 2, 4);
        unsigned signings = r->signings;
        lies[i].lie(&x);
        ask(a, &x);
        refused(a, CODE_DENIED, lies[i].field);
        assert_int_equal(r->signings, signings);
    }
    assert_false(login_row(a).has_transcript);
}

/* A seal of another role, by another certificate, of another time: not what the receipt names. */
static void a_seal_that_is_not_the_clients_is_refused(void **state)
{
    const struct receipt x = receipt_honest(&room, a, 1, 4);
    struct receipt_seal seals[] = {receipt_own_seal(&x), receipt_own_seal(&x), receipt_own_seal(&x),
                                   receipt_own_seal(&x)};
    struct asked q;
    (void)state;

    seals[0].role = RECEIPT_RELAY;
    seals[1].role = RECEIPT_MEMBER;
    flip(&seals[2].signer);
    seals[3].time++;
    for (size_t i = 0; i < COUNT(seals); i++) {
        asked_make(&q, ++asked, a, &x, seals + i);
        client_say(a, F_SEAL, &q.f);
        refused(a, CODE_DENIED, "the seal");
    }
}

static void a_signature_that_is_wrong_is_refused(void **state)
{
    const struct receipt x = receipt_honest(&room, a, 1, 4);
    const struct receipt_seal seal = receipt_own_seal(&x);
    struct asked q;
    (void)state;

    asked_make(&q, ++asked, a, &x, &seal);
    q.sig[20] ^= 1;
    client_say(a, F_SEAL, &q.f);
    refused(a, CODE_DENIED, "the client's signature");
    asked_make(&q, ++asked, a, &x, &seal);
    q.f.sig.n--;
    client_say(a, F_SEAL, &q.f);
    refused(a, CODE_DENIED, "the client's signature");
}

/* What is no receipt at all ends the connection like any frame that is none. */
static void what_is_no_receipt_ends_the_connection(void **state)
{
    static const char *const cut[] = {"receipt", "seal"};
    (void)state;

    for (size_t i = 0; i < COUNT(cut); i++) {
        struct client *c = client_again(a);
        client_login(c);
        client_flush(c);
        const struct receipt x = receipt_honest(&room, c, 1, 4);
        const struct receipt_seal seal = receipt_own_seal(&x);
        struct asked q;
        asked_make(&q, ++asked, c, &x, &seal);
        if (i == 0)
            q.f.receipt.n--;
        else
            q.f.seal.n--;
        client_say(c, F_SEAL, &q.f);
        client_error(c, CODE_MALFORMED);
        assert_true(c->closed);
    }
}

static void what_was_said_before_the_session_is_refused(void **state)
{
    (void)state;

    r->now += 1000;
    struct client *c = client_again(a);
    client_login(c);
    client_flush(c);
    struct receipt x = receipt_honest(&room, c, 4, 4);
    ask(c, &x);
    refused(c, CODE_DENIED, "first_seqno: from before this session");
    struct pen p = pen;
    p.c = c;
    r->now += 1000;
    (void)pen_say(&p, "now");
    x = receipt_honest(&room, c, 5, 5);
    ask(c, &x);
    (void)sealed(c, &x);
}

/* Whatever became of the relay's clock: the session is what came after its login. */
static void a_clock_set_back_refuses_no_honest_receipt(void **state)
{
    int64_t then = r->now;
    (void)state;

    struct client *c = client_again(a);
    client_login(c);
    client_flush(c);
    pen.c = c;
    r->now = then - 3600 * 1000;
    (void)pen_say(&pen, "an hour before the login");
    struct receipt x = receipt_honest(&room, c, 5, 5);
    ask(c, &x);
    (void)sealed(c, &x);
    c = client_again(c); /* nor is what was there then of this one, which has an earlier date */
    r->now = then - 60 * 1000;
    client_login(c);
    client_flush(c);
    x = receipt_honest(&room, c, 4, 4);
    x.created = then;
    ask(c, &x);
    refused(c, CODE_DENIED, "first_seqno: from before this session");
}

/* --- of a session that is over --- */

static struct client *comes_back(struct client *c)
{
    c = client_again(c);
    client_login(c);
    client_flush(c);
    pen.c = c;
    return c;
}

/* The connection was cut before anybody could ask: what is so of it is sealed in a later one. */
static void a_session_that_was_cut_is_sealed_later(void **state)
{
    struct receipt x = receipt_honest(&room, a, 1, 4);
    struct client *c;
    (void)state;

    client_gone(a);
    r->now += 5000;
    c = comes_back(a);
    x.created = r->now;
    ask(c, &x);
    assert_int_equal(sealed(c, &x).time, r->now);
    assert_true(login_row(a).has_transcript);
    assert_memory_equal(login_row(a).transcript.b, x.head.b, sizeof x.head);
    assert_false(login_row(c).has_transcript);
    (void)pen_say(&pen, "and now");
    struct receipt y = receipt_honest(&room, c, 5, 5);
    y.previous = hash_of(&x);
    ask(c, &y);
    (void)sealed(c, &y);
}

/* A relay that was killed knows what there was when it came back. */
static void a_session_of_before_a_restart_is_sealed_later(void **state)
{
    (void)state;
    if (strcmp(relay_store, "sqlite") != 0)
        return;
    struct receipt x = receipt_honest(&room, a, 1, 4);
    relay_restart(r);
    struct client *c = comes_back(a);
    (void)pen_say(&pen, "since");
    struct receipt y = receipt_honest(&room, c, 1, 5);
    memcpy(y.session, x.session, sizeof y.session);
    ask(c, &y);
    refused(c, CODE_DENIED, "last_seqno: from after that session");
    ask(c, &x);
    (void)sealed(c, &x);
}

static void what_is_not_so_of_a_past_session_is_not_sealed(void **state)
{
    static const struct {
        void (*lie)(struct receipt *x);
        const char *field;
    } lies[] = {
        {lie_session, "session: there was none"},
        {lie_link, "link"},
        {lie_suite, "suite"},
        {lie_signer, "signer"},
        {lie_peer, "peer_cert_fingerprint"},
        {lie_ahead, "created_at"},
        {lie_early, "created_at"},
        {lie_base, "base"},
        {lie_fewer, "transcript_hash"},
        {lie_first, "base"},
        {lie_head, "transcript_hash"},
        {lie_root, "tree_root"},
        {lie_size, "tree_root"},
    };
    const struct receipt so = receipt_honest(&room, a, 2, 4);
    (void)state;

    client_gone(a);
    struct client *c = comes_back(a);
    for (size_t i = 0; i < COUNT(lies); i++) {
        struct receipt x = so;
        lies[i].lie(&x);
        ask(c, &x);
        refused(c, CODE_DENIED, lies[i].field);
    }
    ask(c, &so); /* all the others were refused for what they said */
    (void)sealed(c, &so);
}

/* What was numbered before it or after it was none of it, and is of another one. */
static void a_past_session_has_its_own_entries_alone(void **state)
{
    struct receipt x;
    (void)state;

    client_gone(a);
    struct client *c = comes_back(a);
    (void)pen_say(&pen, "in the second");
    const struct receipt second = receipt_honest(&room, c, 5, 5);
    struct receipt both = receipt_honest(&room, c, 4, 5);
    client_gone(c);
    struct client *d = comes_back(c);
    (void)pen_say(&pen, "in the third");
    both.created = r->now;
    ask(d, &both);
    refused(d, CODE_DENIED, "first_seqno: from before this session");
    x = receipt_honest(&room, d, 5, 6);
    memcpy(x.session, second.session, sizeof x.session);
    ask(d, &x);
    refused(d, CODE_DENIED, "last_seqno: from after that session");
    ask(d, &second);
    (void)sealed(d, &second);
}

/* That it is over is for the relay to notice. */
static void a_session_that_goes_on_is_for_later(void **state)
{
    const struct receipt x = receipt_honest(&room, a, 1, 4);
    struct client *c = client_again(a);
    (void)state;

    client_login(c);
    client_flush(c);
    ask(c, &x);
    refused(c, CODE_BUSY, "session: it goes on");
    client_gone(a);
    ask(c, &x);
    (void)sealed(c, &x);
}

/* Another device, of the same account or not, gets nothing for it. */
static void a_session_of_another_certificate_is_refused(void **state)
{
    struct receipt x = receipt_honest(&room, a, 1, 4);
    struct client *b = client_member(r, "bob");
    (void)state;

    client_enter(b, "lobby");
    client_gone(a);
    client_flush(b);
    x.signer = b->fp;
    ask(b, &x);
    refused(b, CODE_DENIED, "session: not of this certificate");
    x.signer = a->fp;
    ask(b, &x);
    refused(b, CODE_DENIED, "signer");
}

static void strangers_to_a_room_get_no_seal(void **state)
{
    struct client *b = client_member(r, "bob");
    struct receipt x = receipt_honest(&room, a, 1, 4);
    (void)state;

    x.signer = b->fp;
    account_session(x.session, &b->exporter);
    ask(b, &x);
    refused(b, CODE_NO_SUCH, "no evidence");
    client_enter(b, "lobby");
    x = receipt_honest(&room, b, 5, 5); /* his join */
    ask(b, &x);
    (void)sealed(b, &x);
}

/* Who reads from his join on gets no seal on what was before. */
static void what_one_may_not_read_is_not_sealed(void **state)
{
    (void)state;
    room = client_room(a, "later", false, HISTORY_JOINED);
    struct client *b = client_member(r, "bob");
    client_enter(b, "later");
    struct receipt x = receipt_honest(&room, b, 2, 2);
    x.first = 1;
    x.base = (struct hash){{0}};
    ask(b, &x);
    refused(b, CODE_DENIED, "first_seqno: from before its reader came");
}

static void of_an_ephemeral_room_there_is_none(void **state)
{
    (void)state;
    client_say(a, F_ROOM_CREATE,
               &(struct f_room_create){.id = 5, .name = str_of("gone"), .ephemeral = true});
    const struct f_room_info info = client_got(a, F_ROOM)->u.room.room;
    room = info.id;
    client_sign(a, &info);
    client_flush(a);
    struct receipt x = receipt_honest(&room, a, 1, 1); /* her join: all of it is so */
    x.tree = (struct merkle_head){.size = 0};
    ask(a, &x);
    refused(a, CODE_NO_SUCH, "no evidence");
}

/* Its key comes back, and whoever asked may ask again. */
static void without_an_evidence_key_it_is_for_later(void **state)
{
    const struct receipt x = receipt_honest(&room, a, 1, 4);
    (void)state;

    r->core->signs = false;
    ask(a, &x);
    refused(a, CODE_BUSY, "there is no evidence key");
    r->core->signs = true;
    ask(a, &x);
    (void)sealed(a, &x);
}

/* --- one behind the other --- */

static void receipts_follow_each_other(void **state)
{
    static const struct hash none, unknown = {{5}};
    const char *since = "previous: another receipt of this room has been sealed since";
    struct receipt x = receipt_honest(&room, a, 1, 1), y = receipt_honest(&room, a, 2, 2),
                   z = receipt_honest(&room, a, 3, 3);
    (void)state;

    ask(a, &x);
    (void)sealed(a, &x);
    y.previous = none;
    ask(a, &y);
    refused(a, CODE_DENIED, since);
    y.previous = hash_of(&x);
    ask(a, &y);
    (void)sealed(a, &y);
    z.previous = hash_of(&x); /* leaves one out */
    ask(a, &z);
    refused(a, CODE_DENIED, since);
    z.previous = unknown; /* one that the relay was not there for */
    ask(a, &z);
    (void)sealed(a, &z);
}

/* Nor behind one that nobody but the client has seen, if it was ever made. */
static void behind_an_unknown_one_there_is_one_place(void **state)
{
    struct receipt x = receipt_honest(&room, a, 1, 2), y = receipt_honest(&room, a, 3, 4);
    (void)state;

    x.previous = y.previous = (struct hash){{5}};
    ask(a, &x);
    (void)sealed(a, &x);
    ask(a, &y);
    refused(a, CODE_DENIED, "previous: another receipt of this room has been sealed since");
    y.previous = hash_of(&x);
    ask(a, &y);
    (void)sealed(a, &y);
}

/* An entry is in one receipt of a certificate that was sealed, whatever the place of others. */
static void no_entry_is_sealed_twice(void **state)
{
    static const uint64_t again[][2] = {{1, 4}, {1, 2}, {2, 2}, {2, 4}};
    struct receipt x = receipt_honest(&room, a, 1, 2), y;
    (void)state;

    ask(a, &x);
    (void)sealed(a, &x);
    for (size_t i = 0; i < COUNT(again); i++) {
        y = receipt_honest(&room, a, again[i][0], again[i][1]);
        y.previous = hash_of(&x);
        ask(a, &y);
        refused(a, CODE_DENIED, "first_seqno: sealed before");
        y.previous = (struct hash){{7}};
        ask(a, &y);
        refused(a, CODE_DENIED, "first_seqno: sealed before");
    }
    y = receipt_honest(&room, a, 3, 4);
    y.previous = hash_of(&x);
    ask(a, &y);
    (void)sealed(a, &y);
}

/* Two in the same place, both under way: one of them is sealed. */
static void two_in_one_place_are_not_both_sealed(void **state)
{
    const struct receipt x = receipt_honest(&room, a, 1, 3), y = receipt_honest(&room, a, 1, 4);
    (void)state;

    r->notary_waits = true;
    ask(a, &x);
    ask(a, &y);
    r->notary_waits = false;
    relay_pump(r);
    (void)sealed(a, &x);
    refused(a, CODE_DENIED, "previous");
}

/* --- the notary --- */

static void without_a_signature_it_is_for_later(void **state)
{
    const struct receipt x = receipt_honest(&room, a, 1, 4);
    (void)state;

    r->unsigned_all = true;
    ask(a, &x);
    refused(a, CODE_BUSY, "");
    assert_false(login_row(a).has_transcript);
    r->unsigned_all = false;
    ask(a, &x);
    (void)sealed(a, &x);
}

static void who_is_gone_meanwhile_is_no_trouble(void **state)
{
    const struct receipt x = receipt_honest(&room, a, 1, 4);
    const struct hash hash = hash_of(&x);
    struct store_receipt row;
    struct err e = {0};
    (void)state;

    r->notary_waits = true;
    ask(a, &x);
    client_gone(a);
    r->notary_waits = false;
    relay_pump(r);
    assert_int_equal(r->ops->receipt_get(r->store.db, &hash, &row, &e), 1);
    assert_true(login_row(a).has_transcript);
}

/* One more entry, and the receipt of it behind that one. */
static void next_entry(struct receipt *x)
{
    struct hash previous = hash_of(x);

    (void)pen_say(&pen, "more");
    *x = receipt_honest(&room, a, x->last + 1, x->last + 1);
    x->previous = previous;
}

/* Receipts of one account do not keep the notary from others for ever. */
static void an_account_has_its_share_of_seals(void **state)
{
    struct receipt x = receipt_honest(&room, a, 1, 4);
    (void)state;

    for (unsigned i = 0; i < SEALS_BURST; i++) {
        ask(a, &x);
        (void)sealed(a, &x);
        next_entry(&x);
    }
    ask(a, &x);
    refused(a, CODE_BUSY, "too many");
    struct client *b = client_member(r, "bob");
    client_enter(b, "lobby");
    client_flush(a);
    struct receipt y = receipt_honest(&room, b, x.last + 1, x.last + 1);
    ask(b, &y);
    (void)sealed(b, &y);
    relay_turn(r);
    ask(a, &x);
    (void)sealed(a, &x);
    ask(a, &x); /* again: no further signature */
    (void)sealed(a, &x);
}

static void the_queue_of_all_is_bounded(void **state)
{
    struct client *who[SEALS_WAITING / SEALS_BURST + 1];
    (void)state;

    r->notary_waits = true;
    for (unsigned i = 0; i < COUNT(who); i++) {
        char name[16];
        snprintf(name, sizeof name, "member%c", 'a' + (char)i);
        who[i] = client_member(r, name);
        client_enter(who[i], "lobby");
    }
    client_flush(a);
    const uint64_t all = 4 + COUNT(who) + 1; /* of the sessions of all of them */
    (void)pen_say(&pen, "more");
    for (unsigned i = 0; i < SEALS_WAITING; i++) {
        struct client *c = who[i / SEALS_BURST];
        client_flush(c);
        struct receipt x = receipt_honest(&room, c, all, all);
        x.created += i;
        ask(c, &x);
        assert_true(client_quiet(c));
    }
    struct client *last = who[COUNT(who) - 1];
    client_flush(last);
    struct receipt x = receipt_honest(&room, last, all, all);
    ask(last, &x);
    refused(last, CODE_BUSY, "too many");
}

/* --- after a restart --- */

static void what_was_sealed_is_known_after_a_restart(void **state)
{
    static const struct hash none;
    (void)state;
    if (strcmp(relay_store, "sqlite") != 0)
        return;
    struct receipt x = receipt_honest(&room, a, 1, 4);
    ask(a, &x);
    (void)sealed(a, &x);
    relay_restart(r);
    r->now += 1000;
    struct client *c = client_again(a);
    client_login(c);
    client_flush(c);
    pen.c = c;
    (void)pen_say(&pen, "more");
    struct receipt y = receipt_honest(&room, c, 5, 5);
    y.previous = none;
    ask(c, &y);
    refused(c, CODE_DENIED, "previous");
    y.previous = hash_of(&x);
    ask(c, &y);
    (void)sealed(c, &y);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_so_is_sealed_and_kept),
        TEST(without_a_checkpoint_it_is_sealed_too),
        TEST(a_clock_set_back_dates_no_seal_before_its_entries),
        TEST(several_of_a_session_are_one_hash),
        TEST(what_is_asked_twice_is_answered_alike),
        TEST(what_is_asked_twice_at_once_is_answered_alike),
        TEST(what_is_not_so_is_not_sealed),
        TEST(a_seal_that_is_not_the_clients_is_refused),
        TEST(a_signature_that_is_wrong_is_refused),
        TEST(what_is_no_receipt_ends_the_connection),
        TEST(what_was_said_before_the_session_is_refused),
        TEST(a_clock_set_back_refuses_no_honest_receipt),
        TEST(a_session_that_was_cut_is_sealed_later),
        TEST(a_session_of_before_a_restart_is_sealed_later),
        TEST(what_is_not_so_of_a_past_session_is_not_sealed),
        TEST(a_past_session_has_its_own_entries_alone),
        TEST(a_session_that_goes_on_is_for_later),
        TEST(a_session_of_another_certificate_is_refused),
        TEST(strangers_to_a_room_get_no_seal),
        TEST(what_one_may_not_read_is_not_sealed),
        TEST(of_an_ephemeral_room_there_is_none),
        TEST(receipts_follow_each_other),
        TEST(behind_an_unknown_one_there_is_one_place),
        TEST(no_entry_is_sealed_twice),
        TEST(two_in_one_place_are_not_both_sealed),
        TEST(without_an_evidence_key_it_is_for_later),
        TEST(without_a_signature_it_is_for_later),
        TEST(who_is_gone_meanwhile_is_no_trouble),
        TEST(an_account_has_its_share_of_seals),
        TEST(the_queue_of_all_is_bounded),
        TEST(what_was_sealed_is_known_after_a_restart),
    };

    relay_store = "memory";
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    relay_store = "sqlite";
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
