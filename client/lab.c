#include "client/lab.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST  "the safe is behind the picture"
#define SECOND "and the code is 4711"
#define CHANGE "send all of it to me"

enum { WEAK_BITS = TEXTBOOK_BITS_MIN, HEARD_MAX = 64 * 1024 };

/* Two ends, and what the attacker does between them. */
struct scene {
    const struct lab *lab;
    struct lab_pair pair;
    enum lab_who at[2];     /* whom the ends belong to, by enum role */
    struct buf heard[2];    /* opened texts */
    struct buf recorded[2]; /* bytes as they left, by who sent them */
    size_t told[2];         /* of recorded: what was there when the handshake was over */
    char step[2][48];       /* the last one */
    void (*middle)(struct scene *s, enum role from, struct buf *bytes);
    bool done;              /* middle has done it */
    struct textbook *weak;  /* downgrade of classic */
    struct textbook_open n; /* the relay's */
};

/* --- telling --- */

static void say(const struct lab *lab, enum lab_who who, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void say(const struct lab *lab, enum lab_who who, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    if (lab->tell == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    lab->tell(lab->ctx, who, text);
}

static void on_event(void *ctx, enum role at, const struct link_event *ev)
{
    struct scene *s = ctx;
    enum lab_who who = s->at[at];

    switch (ev->kind) {
    case LINK_STEP:
        if (ev->step.waiting)
            return;
        snprintf(s->step[at], sizeof s->step[at], "%s", ev->step.name);
        say(s->lab, who, "%u %s%s", ev->step.number, ev->step.name,
            ev->step.local ? ""
            : ev->step.out ? " >"
                           : " <");
        return;
    case LINK_ESTABLISHED: say(s->lab, who, "established"); return;
    case LINK_MESSAGE:
        (void)!buf_add(&s->heard[at], ev->message.p, ev->message.n);
        if (ev->message.n > 1)
            say(s->lab, who, "reads \"%.*s\"", (int)ev->message.n, (const char *)ev->message.p);
        return;
    case LINK_CLOSED: say(s->lab, who, "closed: in order"); return;
    case LINK_FAILED: say(s->lab, who, "ends it: %s", link_error(s->pair.end[at])->text); return;
    }
}

static void on_bytes(void *ctx, enum role from, struct buf *bytes)
{
    struct scene *s = ctx;
    struct span all = buf_span(bytes);

    (void)!buf_add(&s->recorded[from], all.p, all.n);
    if (s->middle != NULL)
        s->middle(s, from, bytes);
}

/* --- scenes --- */

static void scene_init(struct scene *s, const struct lab *lab, enum link_kind kind)
{
    *s = (struct scene){.lab = lab, .at = {LAB_CLIENT, LAB_RELAY}};
    lab_pair_init(&s->pair, lab->ours, kind);
    s->pair.event = on_event;
    s->pair.middle = on_bytes;
    s->pair.ctx = s;
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        buf_init(&s->heard[r], HEARD_MAX);
        buf_init(&s->recorded[r], HEARD_MAX);
    }
}

static void scene_free(struct scene *s)
{
    lab_pair_free(&s->pair);
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        buf_free(&s->heard[r]);
        buf_free(&s->recorded[r]);
    }
    textbook_free(s->weak);
}

static bool heard(const struct scene *s, enum role r, const char *text)
{
    struct span all = buf_span(&s->heard[r]);

    return all.n >= strlen(text) && memmem(all.p, all.n, text, strlen(text)) != NULL;
}

/* A handshake that nobody disturbs must work, or the lab shows nothing. */
static int meet(struct scene *s, struct err *e)
{
    if (lab_pair_meet(&s->pair, e) < 0)
        return err_in(e, "without an attack");
    s->told[ROLE_CLIENT] = s->recorded[ROLE_CLIENT].len;
    s->told[ROLE_RELAY] = s->recorded[ROLE_RELAY].len;
    return 0;
}

static int speak(struct scene *s, const char *text, struct err *e)
{
    say(s->lab, s->at[ROLE_CLIENT], "says \"%s\"", text);
    return link_send(s->pair.end[ROLE_CLIENT], (const uint8_t *)text, strlen(text)) < 0
               ? err_set(e, ERR_LOCAL, "the client cannot speak")
               : 0;
}

/* What waits to leave an end, taken off the wire. */
static int take_off(struct scene *s, enum role from, struct buf *out, struct err *e)
{
    struct span waits = link_out(s->pair.end[from]);

    if (waits.n == 0 || buf_add(out, waits.p, waits.n) < 0)
        return err_set(e, ERR_LOCAL, "nothing left the end");
    link_sent(s->pair.end[from], waits.n);
    return 0;
}

/* --- outcomes --- */

static void won(struct lab_outcome *out, const char *what)
{
    out->won = true;
    out->step[0] = '\0';
    snprintf(out->what, sizeof out->what, "%s", what);
}

/* The end that ended it says why; nobody: what he wanted simply did not happen. */
static void stopped(struct lab_outcome *out, const struct scene *s)
{
    static const char *const who[] = {"client", "attacker", "relay"};
    enum role r = s->pair.failed[ROLE_CLIENT] && s->at[ROLE_CLIENT] != LAB_ATTACKER ? ROLE_CLIENT
                                                                                    : ROLE_RELAY;
    struct link_info info = {.kind = LINK_TLS};

    out->won = false;
    if (s->pair.end[r] != NULL)
        link_info(s->pair.end[r], &info);
    if (info.refused_by_peer && s->pair.failed[!r])
        r = !r;
    snprintf(out->step, sizeof out->step, "%s", s->step[r]);
    if (s->pair.end[r] == NULL || !s->pair.failed[r])
        snprintf(out->what, sizeof out->what, "nothing came of it");
    else
        snprintf(out->what, sizeof out->what, "the %s: %.120s", who[s->at[r]],
                 link_error(s->pair.end[r])->text);
}

static void decide(struct lab_outcome *out, const struct scene *s, bool lost, const char *what)
{
    if (lost)
        won(out, what);
    else
        stopped(out, s);
}

/* --- mitm --- */

/* He plays the relay for the client and the client for the relay. */
static int forward(const struct lab *lab, enum link_kind kind, const char *text, bool *taken,
                   struct err *e)
{
    struct scene back;
    int ret = 0;

    scene_init(&back, lab, kind);
    back.at[ROLE_CLIENT] = LAB_ATTACKER;
    back.pair.chain[ROLE_CLIENT][0] = span_of(lab->his->member.b, lab->his->member.n);
    back.pair.chain[ROLE_CLIENT][1] = span_of(lab->his->issuer.b, lab->his->issuer.n);
    back.pair.conf[ROLE_CLIENT].key = lab->his->member_key;
    back.pair.conf[ROLE_CLIENT].trust = lab->ours->trust; /* he believes the relay */
    struct err refused = {0};
    *taken = false;
    if (lab_pair_meet(&back.pair, &refused) == 0) {
        ret = speak(&back, text, e);
        lab_pair_run(&back.pair);
        *taken = heard(&back, ROLE_RELAY, text);
    }
    scene_free(&back);
    return ret;
}

static int run_mitm(const struct lab *lab, enum link_kind kind, struct lab_outcome *out,
                    struct err *e)
{
    struct scene front;
    struct lab_pair his;
    struct err refused = {0};
    bool read = false, taken = false;
    int ret = 0;

    scene_init(&front, lab, kind);
    lab_pair_init(&his, lab->his, kind);
    front.at[ROLE_RELAY] = LAB_ATTACKER;
    for (size_t i = 0; i < COUNT(his.chain[ROLE_RELAY]); i++)
        front.pair.chain[ROLE_RELAY][i] = his.chain[ROLE_RELAY][i];
    front.pair.conf[ROLE_RELAY].key = his.conf[ROLE_RELAY].key;
    front.pair.conf[ROLE_RELAY].textbook = his.conf[ROLE_RELAY].textbook;
    if (lab_pair_meet(&front.pair, &refused) == 0) {
        ret = speak(&front, FIRST, e);
        lab_pair_run(&front.pair);
        read = heard(&front, ROLE_RELAY, FIRST);
    }
    if (ret == 0)
        ret = forward(lab, kind, CHANGE, &taken, e);
    if (taken && !read)
        won(out, "the relay takes him for the client");
    else
        decide(out, &front, read,
               taken ? "he reads the client's words and puts his in their place"
                     : "he reads the client's words");
    scene_free(&front);
    return ret;
}

/* --- downgrade: the offer of each link, rewritten --- */

static bool replace(struct buf *b, struct span from, struct span to)
{
    struct span all = buf_span(b);
    uint8_t *at = all.n < from.n ? NULL : memmem(all.p, all.n, from.p, from.n);

    if (at != NULL)
        memcpy(at, to.p, to.n); /* as long, and never behind what is there */
    return at != NULL && from.n == to.n;
}

#define BYTES(text) span_of(text, sizeof(text) - 1)

static bool weaken_tls(struct scene *s, struct buf *b)
{
    (void)s; /* supported_versions: TLS 1.3 becomes 1.2 */
    return replace(b, BYTES("\x00\x2b\x00\x03\x02\x03\x04"), BYTES("\x00\x2b\x00\x03\x02\x03\x03"));
}

/* The last byte is the suite that is liked least; it stands in for all. */
static bool weaken_ecdhe(struct scene *s, struct buf *b)
{
    struct span all = buf_span(b);
    uint8_t *p = b->p + b->off;

    (void)s;
    if (all.n < 3)
        return false;
    p[all.n - 2] = p[all.n - 1] == 2 ? 3 : 2;
    return true;
}

static bool weaken_cianr(struct scene *s, struct buf *b)
{
    (void)s; /* who joins proves no certificate */
    return replace(b, BYTES("\"purpose\":\"chat\""), BYTES("\"purpose\":\"join\""));
}

static bool weaken_sovereign(struct scene *s, struct buf *b)
{
    static const char magic[] = "countersign sovereign 1\n";
    size_t at = sizeof magic - 1 + 5; /* behind the head of ClientHello: the purpose */

    (void)s;
    if (b->len <= at)
        return false;
    b->p[b->off + at] = 1;
    return true;
}

/* --- of classic: a number of his own, half as long, in place of the relay's --- */

static bool line_number(const struct buf *b, const char *before, struct textbook_open *out)
{
    struct span all = buf_span(b);
    const char *at = memmem(all.p, all.n, before, strlen(before));
    size_t n = 0;

    if (at == NULL)
        return false;
    at += strlen(before);
    while (at + n < (const char *)all.p + all.n && at[n] >= '0' && at[n] <= '9')
        n++;
    return textbook_number(out, str_from(at, n)) == 0;
}

static bool line_put(struct buf *b, const char *before, const struct textbook_open *v,
                     const char *after)
{
    char digits[TEXTBOOK_DIGITS_MAX + 1];

    if (textbook_digits(digits, span_of(v->b, v->n)) < 0)
        return false;
    buf_cut(b, 0);
    return buf_add(b, before, strlen(before)) == 0 && buf_add(b, digits, strlen(digits)) == 0 &&
           buf_add(b, after, strlen(after)) == 0;
}

#define PUBKEY "{\"type\":\"pubkey\",\"e\":65537,\"n\":"
#define CHUNK  "{\"type\":\"key\",\"chunks\":["

static bool weaken_pubkey(struct scene *s, struct buf *b)
{
    struct err e = {0};
    struct textbook_open weak;

    s->weak = textbook_new(WEAK_BITS, &s->lab->his->rng, &e);
    if (s->weak == NULL || !line_number(b, PUBKEY, &s->n))
        return false;
    textbook_open(s->weak, &weak);
    return line_put(b, PUBKEY, &weak, "}\n");
}

/* He opens the key with his pair and closes it again with the relay's number. */
static bool open_key(struct scene *s, struct buf *b)
{
    struct textbook_open c;
    struct aes_key k;
    bool ok = s->weak != NULL && line_number(b, CHUNK, &c) &&
              textbook_lower(s->weak, &s->lab->his->rng, &c, &k) == 0 &&
              textbook_raise(&c, &k, &s->n) == 0 && line_put(b, CHUNK, &c, "]}\n");

    wipe(&k, sizeof k);
    return ok;
}

static const struct {
    enum role from;
    bool (*weaken)(struct scene *s, struct buf *b);
    bool (*then)(struct scene *s, struct buf *b); /* with the answer; NULL */
} downgrades[LINK_KIND_COUNT] = {
    [LINK_TLS] = {ROLE_CLIENT, weaken_tls, NULL},
    [LINK_ECDHE] = {ROLE_CLIENT, weaken_ecdhe, NULL},
    [LINK_CIANR] = {ROLE_CLIENT, weaken_cianr, NULL},
    [LINK_SOVEREIGN] = {ROLE_CLIENT, weaken_sovereign, NULL},
    [LINK_CLASSIC] = {ROLE_RELAY, weaken_pubkey, open_key},
};

static void middle_downgrade(struct scene *s, enum role from, struct buf *bytes)
{
    struct link_info info;

    link_info(s->pair.end[from], &info);
    if (!s->done && from == downgrades[info.kind].from) {
        s->done = downgrades[info.kind].weaken(s, bytes);
        if (s->done)
            say(s->lab, LAB_ATTACKER, "rewrites the offer");
    } else if (s->done && from != downgrades[info.kind].from &&
               downgrades[info.kind].then != NULL && downgrades[info.kind].then(s, bytes)) {
        say(s->lab, LAB_ATTACKER, "opens the key and passes it on");
    }
}

static int run_downgrade(const struct lab *lab, enum link_kind kind, struct lab_outcome *out,
                         struct err *e)
{
    struct scene s;
    struct err refused = {0};
    int ret = 0;

    scene_init(&s, lab, kind);
    s.middle = middle_downgrade;
    bool both = lab_pair_meet(&s.pair, &refused) == 0;
    if (!s.done)
        ret = err_set(e, ERR_LOCAL, "there was no offer to rewrite");
    else
        decide(out, &s, both, "both go on with less, and do not know");
    scene_free(&s);
    return ret;
}

/* --- replay --- */

/* A whole session of one message, as it went over the wire. */
static int record(struct scene *s, const struct lab *lab, enum link_kind kind, struct err *e)
{
    scene_init(s, lab, kind);
    if (meet(s, e) < 0 || speak(s, FIRST, e) < 0)
        return -1;
    lab_pair_run(&s->pair);
    return heard(s, ROLE_RELAY, FIRST) ? 0 : err_set(e, ERR_LOCAL, "the relay heard nothing");
}

/* A new end of the relay, with its keys, and the recorded bytes; s->at says whose end it is. */
static int again(struct scene *s, const struct lab *lab, enum link_kind kind, enum lab_who who,
                 struct span bytes, struct err *e)
{
    scene_init(s, lab, kind);
    s->at[ROLE_RELAY] = who;
    s->at[ROLE_CLIENT] = LAB_ATTACKER;
    s->pair.conf[ROLE_CLIENT].trust = lab->ours->trust;
    if (lab_pair_start(&s->pair, e) < 0)
        return -1;
    say(lab, LAB_ATTACKER, "says what he has recorded");
    lab_pair_feed(&s->pair, ROLE_RELAY, bytes);
    return 0;
}

static int run_replay(const struct lab *lab, enum link_kind kind, struct lab_outcome *out,
                      struct err *e)
{
    struct scene first, second;
    int ret = record(&first, lab, kind, e);

    scene_init(&second, lab, kind);
    if (ret == 0)
        ret = again(&second, lab, kind, LAB_RELAY, buf_span(&first.recorded[ROLE_CLIENT]), e);
    if (ret == 0 && heard(&second, ROLE_RELAY, FIRST)) {
        won(out, "the relay hears the whole session once more");
    } else if (ret == 0) {
        struct span all = buf_span(&first.recorded[ROLE_CLIENT]);
        size_t from = first.told[ROLE_CLIENT], before = first.heard[ROLE_RELAY].len;
        lab_pair_feed(&first.pair, ROLE_RELAY, span_of(all.p + from, all.n - from));
        bool twice = first.heard[ROLE_RELAY].len > before;
        stopped(out, second.pair.failed[ROLE_RELAY] ? &second : &first);
        if (twice)
            won(out, "the relay hears the message twice");
    }
    scene_free(&second);
    scene_free(&first);
    return ret;
}

/* --- what is done to messages behind an honest handshake --- */

struct message_scene {
    struct scene s;
    struct buf one, two; /* two messages of the client, each as it went */
};

static int messages(struct message_scene *m, const struct lab *lab, enum link_kind kind,
                    struct err *e)
{
    buf_init(&m->one, HEARD_MAX);
    buf_init(&m->two, HEARD_MAX);
    scene_init(&m->s, lab, kind);
    return meet(&m->s, e) < 0 || speak(&m->s, FIRST, e) < 0 ||
                   take_off(&m->s, ROLE_CLIENT, &m->one, e) < 0 || speak(&m->s, SECOND, e) < 0 ||
                   take_off(&m->s, ROLE_CLIENT, &m->two, e) < 0
               ? -1
               : 0;
}

static void messages_free(struct message_scene *m)
{
    scene_free(&m->s);
    buf_free(&m->one);
    buf_free(&m->two);
}

/* A digit stays one: where texts are hex he would not be so clumsy as to write something else. */
static void other_byte(uint8_t *b)
{
    bool digit = (*b >= '0' && *b <= '9') || (*b >= 'a' && *b <= 'f');

    *b = !digit ? *b ^ 1 : *b == '0' ? '1' : '0';
}

/* Last, first and middle byte, each in a session of its own. */
static int run_tamper(const struct lab *lab, enum link_kind kind, struct lab_outcome *out,
                      struct err *e)
{
    struct message_scene m;
    int ret = 0;

    *out = (struct lab_outcome){.won = false};
    for (int place = 0; place < 3 && ret == 0 && !out->won; place++) {
        ret = messages(&m, lab, kind, e);
        if (ret == 0) {
            size_t last = m.one.len - 1, at = place == 0 ? last : place == 1 ? 0 : last / 2;
            other_byte(&m.one.p[m.one.off + at]);
            say(lab, LAB_ATTACKER, "changes byte %zu of %zu", at, m.one.len);
            lab_pair_feed(&m.s.pair, ROLE_RELAY, buf_span(&m.one));
            lab_pair_feed(&m.s.pair, ROLE_RELAY, buf_span(&m.two));
            decide(out, &m.s, m.s.heard[ROLE_RELAY].len > 0, "the relay hears something else");
        }
        messages_free(&m);
    }
    return ret;
}

static int run_reflect(const struct lab *lab, enum link_kind kind, struct lab_outcome *out,
                       struct err *e)
{
    struct message_scene m;
    int ret = messages(&m, lab, kind, e);

    if (ret == 0) {
        say(lab, LAB_ATTACKER, "sends the message back");
        lab_pair_feed(&m.s.pair, ROLE_CLIENT, buf_span(&m.one));
        decide(out, &m.s, heard(&m.s, ROLE_CLIENT, FIRST),
               "the client takes its own words for the relay's");
    }
    messages_free(&m);
    return ret;
}

static int run_truncate(const struct lab *lab, enum link_kind kind, struct lab_outcome *out,
                        struct err *e)
{
    struct message_scene m;
    int ret = messages(&m, lab, kind, e);

    if (ret == 0) {
        lab_pair_feed(&m.s.pair, ROLE_RELAY, buf_span(&m.one));
        say(lab, LAB_ATTACKER, "keeps the second one and ends the stream");
        (void)!link_eof(m.s.pair.end[ROLE_RELAY]);
        lab_pair_feed(&m.s.pair, ROLE_RELAY, (struct span){NULL, 0}); /* its events */
        decide(out, &m.s, m.s.pair.closed[ROLE_RELAY], "the relay takes it for a farewell");
    }
    messages_free(&m);
    return ret;
}

static int run_reorder(const struct lab *lab, enum link_kind kind, struct lab_outcome *out,
                       struct err *e)
{
    struct message_scene m;
    int ret = messages(&m, lab, kind, e);

    if (ret == 0) {
        say(lab, LAB_ATTACKER, "sends the second one first");
        lab_pair_feed(&m.s.pair, ROLE_RELAY, buf_span(&m.two));
        lab_pair_feed(&m.s.pair, ROLE_RELAY, buf_span(&m.one));
        decide(out, &m.s, m.s.heard[ROLE_RELAY].len > 0,
               "the relay hears them the wrong way round");
    }
    messages_free(&m);
    return ret;
}

/* --- stolen-key --- */

/* The thief has the relay's long-lived keys, so he makes an end of his own of them and gives it the
 * recording; and a later session as it stands in memory, which is given the recorded records. */
static int run_stolen_key(const struct lab *lab, enum link_kind kind, struct lab_outcome *out,
                          struct err *e)
{
    struct scene first, thief, later;
    int ret = record(&first, lab, kind, e);

    scene_init(&thief, lab, kind);
    scene_init(&later, lab, kind);
    if (ret == 0)
        ret = again(&thief, lab, kind, LAB_ATTACKER, buf_span(&first.recorded[ROLE_CLIENT]), e);
    if (ret == 0 && !heard(&thief, ROLE_RELAY, FIRST) && (ret = meet(&later, e)) == 0) {
        struct span all = buf_span(&first.recorded[ROLE_CLIENT]);
        size_t from = first.told[ROLE_CLIENT];
        say(lab, LAB_ATTACKER, "tries the state of a later session");
        lab_pair_feed(&later.pair, ROLE_RELAY, span_of(all.p + from, all.n - from));
    }
    if (ret == 0)
        decide(out, later.pair.end[ROLE_RELAY] != NULL ? &later : &thief,
               heard(&thief, ROLE_RELAY, FIRST) || heard(&later, ROLE_RELAY, FIRST),
               "he reads what was said before he came");
    scene_free(&later);
    scene_free(&thief);
    scene_free(&first);
    return ret;
}

/* --- the table --- */

#define X(id, name, does, classic_loses) {name, does, classic_loses},
static const struct {
    const char *name, *does;
    bool classic_loses;
} attacks[] = {LAB_ATTACKS(X)};
#undef X

static int (*const runs[LAB_ATTACK_COUNT])(const struct lab *lab, enum link_kind kind,
                                           struct lab_outcome *out, struct err *e) = {
    [LAB_MITM] = run_mitm,       [LAB_DOWNGRADE] = run_downgrade,   [LAB_REPLAY] = run_replay,
    [LAB_TAMPER] = run_tamper,   [LAB_REFLECT] = run_reflect,       [LAB_TRUNCATE] = run_truncate,
    [LAB_REORDER] = run_reorder, [LAB_STOLEN_KEY] = run_stolen_key,
};

const char *lab_attack_name(enum lab_attack a)
{
    return attacks[a].name;
}

const char *lab_attack_does(enum lab_attack a)
{
    return attacks[a].does;
}

int lab_attack_take(struct str name, enum lab_attack *a)
{
    for (enum lab_attack i = 0; i < LAB_ATTACK_COUNT; i++)
        if (str_is(name, attacks[i].name)) {
            *a = i;
            return 0;
        }
    return -1;
}

bool lab_expects(enum lab_attack a, enum link_kind kind)
{
    return kind == LINK_CLASSIC && attacks[a].classic_loses;
}

int lab_run(const struct lab *lab, enum lab_attack a, enum link_kind kind, struct lab_outcome *out,
            struct err *e)
{
    *out = (struct lab_outcome){.won = false};
    return runs[a](lab, kind, out, e);
}
