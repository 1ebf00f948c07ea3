#include "support_engine.h"

#include "support_evidence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t day_ms = 24 * 3600 * (int64_t)1000;
static const int64_t noon = 1750000000000;

static void key_make(struct stage *s, struct pkey **k, enum pkey_kind kind)
{
    struct err e = {0};

    *k = pkey_generate(kind, &s->rng, &e);
    assert_non_null(*k);
}

static void issue(struct stage *s, struct cert_form *f, struct pkey *subject, struct issuer by,
                  struct der *out)
{
    uint8_t spki[SPKI_MAX];
    size_t n;
    struct err e = {0};

    assert_int_equal(pkey_spki(subject, spki, &n, &e), 0);
    f->spki = span_of(spki, n);
    assert_int_equal(serial_draw(&f->serial, &s->rng), 0);
    f->not_before = noon - 10 * day_ms;
    f->not_after = noon + 300 * day_ms;
    if (cert_issue(f, &by, &s->rng, out->b, &out->n, &e) < 0)
        fail_msg("issue: %s", e.text);
}

static void ca_make(struct stage *s, struct pkey **root_key, struct pkey **inter_key,
                    struct der *root, struct der *inter, const char *name)
{
    struct cert_form r = cert_form_of(CERT_ROOT), i = cert_form_of(CERT_INTERMEDIATE);

    key_make(s, root_key, PKEY_P256);
    key_make(s, inter_key, PKEY_P256);
    r.cn = str_of(name);
    i.cn = str_of("issuing");
    issue(s, &r, *root_key, (struct issuer){{NULL, 0}, *root_key}, root);
    issue(s, &i, *inter_key, (struct issuer){span_of(root->b, root->n), *root_key}, inter);
}

static void person_make(struct stage *s, enum who who, const char *name, const char *device)
{
    struct person *p = s->who + who;
    struct cert_form f = cert_form_of(CERT_DEVICE);
    bool ours = who != MALLORY && who != EVE;
    const struct der *inter = ours ? &s->inter : &s->other_inter;
    char uri[128];

    p->name = name;
    p->device = device;
    key_make(s, &p->key, PKEY_RSA_2048);
    f.cn = str_of(name);
    f.ou = str_of(device);
    assert_int_equal(device_uri(uri, sizeof uri, f.cn, f.ou), 0);
    f.sans[f.sans_n++] = (struct san){SAN_URI, span_of(uri, strlen(uri))};
    issue(s, &f, p->key,
          (struct issuer){span_of(inter->b, inter->n), ours ? s->inter_key : s->other_inter_key},
          &p->leaf);
    p->issuer = *inter;
    cert_fingerprint(span_of(p->leaf.b, p->leaf.n), &p->fp);
}

void stage_signer(struct stage *s, struct person *out, const char *relay)
{
    struct cert_form f = cert_form_of(CERT_EVIDENCE);

    *out = (struct person){.name = relay, .issuer = s->inter};
    key_make(s, &out->key, PKEY_RSA_2048);
    f.cn = str_of(out->name);
    f.sans[f.sans_n++] = (struct san){SAN_DNS, span_of(out->name, strlen(out->name))};
    issue(s, &f, out->key, (struct issuer){span_of(s->inter.b, s->inter.n), s->inter_key},
          &out->leaf);
    cert_fingerprint(span_of(out->leaf.b, out->leaf.n), &out->fp);
}

int stage_world(void **state)
{
    struct stage *s = calloc(1, sizeof *s);
    struct err e = {0};

    if (s == NULL || crypto_init(&e) < 0)
        return -1;
    s->rng = rng_system();
    ca_make(s, &s->root_key, &s->inter_key, &s->root, &s->inter, "ours");
    ca_make(s, &s->other_root_key, &s->other_inter_key, &s->other_root, &s->other_inter, "theirs");
    person_make(s, ALICE, "alice", "laptop");
    person_make(s, BOB, "bob", "desk");
    person_make(s, CAROL, "carol", "phone");
    person_make(s, MALLORY, "bob", "desk");
    person_make(s, BOB_NEW, "bob", "phone");
    person_make(s, ALICE_OLD, "alice", "attic");
    person_make(s, EVE, "alice", "attic");
    *state = s;
    return 0;
}

int stage_world_end(void **state)
{
    struct stage *s = *state;

    for (int i = 0; i < PEOPLE; i++)
        pkey_free(s->who[i].key);
    pkey_free(s->root_key);
    pkey_free(s->inter_key);
    pkey_free(s->other_root_key);
    pkey_free(s->other_inter_key);
    free(s);
    return 0;
}

struct room_id stage_room_id(uint8_t fill)
{
    struct room_id id;
    memset(id.b, fill, sizeof id.b);
    return id;
}

static int64_t stage_now(void *ctx)
{
    return ((struct stage *)ctx)->now;
}

static int64_t stage_mono(void *ctx)
{
    return ((struct stage *)ctx)->mono;
}

/* Somebody here asked to be in the room, at another time; no more is known of it. */
static void stage_wants(struct stage *s)
{
    struct keep_room r = {.id = s->room, .wanted = true};
    struct err e = {0};

    if (!s->unasked && s->keep.ops->room_get(s->keep.k, &s->room, &r, &e) == 0)
        assert_int_equal(s->keep.ops->room_put(s->keep.k, &r, &e), 0);
}

struct engine *stage_engine(struct stage *s)
{
    struct err e = {0};
    struct engine_conf conf = {
        .account = "alice",
        .device = "laptop",
        .fp = s->who[ALICE].fp,
        .leaf = span_of(s->who[ALICE].leaf.b, s->who[ALICE].leaf.n),
        .issuer = span_of(s->inter.b, s->inter.n),
        .key = s->who[ALICE].key,
        .trust = s->trust,
        .cost = {1, 8},
        .login = s->login,
        .keep = s->keep,
        .rng = s->rng,
        .now = stage_now,
        .mono = stage_mono,
        .clock_ctx = s,
        .follow = true,
        .whole = !s->paged,
        .record = !s->unrecorded,
    };

    cert_fingerprint(span_of(s->root.b, s->root.n), &conf.root_fp);
    if (s->evidence != NULL) {
        conf.root = span_of(s->root.b, s->root.n);
        conf.host = "relay.test";
    }
    stage_wants(s);
    engine_free(s->g);
    frames_free(&s->in);
    frames_init(&s->in, FRAME_MAX);
    s->g = engine_new(&conf, &e);
    if (s->g == NULL)
        fail_msg("engine: %s", e.text);
    return s->g;
}

struct stage *stage_new(void **state)
{
    struct stage *s = stage_empty(state, ROOM_PUBLIC);

    stage_log(s, stage_join(s, BOB));
    return s;
}

struct stage *stage_empty(void **state, enum room_kind kind)
{
    struct stage *s = malloc(sizeof *s);
    struct err e = {0};

    assert_non_null(s);
    memcpy(s, *state, sizeof *s);
    s->now = noon;
    s->mono = 1000000;
    s->trust = trust_new(TRUST_CRL_OPTIONAL, &e);
    assert_non_null(s->trust);
    assert_int_equal(trust_add_root(s->trust, span_of(s->root.b, s->root.n), &e), 0);
    assert_int_equal(trust_add_intermediate(s->trust, span_of(s->inter.b, s->inter.n), &e), 0);
    s->keep = (struct keep){&keep_memory_ops, keep_memory_new()};
    assert_non_null(s->keep.k);
    memset(s->salted.b, 7, sizeof s->salted.b);
    s->room = stage_room_id(0xaa);
    s->from = 1;
    s->kind = kind;
    s->with = stage_account(BOB);
    for (int i = 0; i < PEOPLE; i++) {
        s->who[i].seq = 0;
        s->who[i].prev = (struct hash){{0}};
    }
    stage_engine(s);
    return s;
}

void item_free(struct item *it)
{
    if (it != NULL)
        entry_made_free(&it->made);
    free(it);
}

void stage_free(struct stage *s)
{
    engine_free(s->g);
    frames_free(&s->in);
    for (size_t i = 0; i < s->log_n; i++)
        entry_made_free(&s->log[i].made);
    s->keep.ops->close(s->keep.k);
    trust_free(s->trust);
    free(s);
}

/* --- the relay's log --- */

void stage_head(struct stage *s, uint64_t number, struct hash *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < s->log_n && s->log[i].number <= number; i++)
        entry_head_next(out, str_from(s->log[i].made.line, s->log[i].made.line_n), s->log[i].time);
}

void stage_line(struct stage *s, enum who who, struct entry_line *l)
{
    const struct person *p = s->who + who;

    *l = (struct entry_line){
        .room = s->room,
        .seq = p->seq + 1,
        .ts = s->now,
        .author = p->fp,
        .prev = p->prev,
        .seen_number = s->log_n,
    };
    stage_head(s, s->log_n, &l->seen_head);
}

struct item *stage_forge(struct stage *s, enum who signer, struct entry_line *l,
                         const char *content)
{
    struct item *it = calloc(1, sizeof *it);
    struct err e = {0};

    assert_non_null(it);
    it->time = s->now;
    if (entry_make(&it->made, l, span_of(content, strlen(content)), s->who[signer].key, &s->rng,
                   &e) < 0)
        fail_msg("entry: %s", e.text);
    return it;
}

void stage_resign(struct stage *s, struct item *it, enum who signer, const struct entry_line *l)
{
    struct err e = {0};

    it->made.line_n = entry_line_put(it->made.line, l);
    assert_int_equal(entry_sign(s->who[signer].key, &s->rng,
                                str_from(it->made.line, it->made.line_n), it->made.sig,
                                &it->made.sig_n, &e),
                     0);
}

struct item *stage_write(struct stage *s, enum who who, const char *text)
{
    struct person *p = s->who + who;
    struct entry_line l;
    char content[1024];

    stage_line(s, who, &l);
    snprintf(content, sizeof content, "{\"kind\":\"say\",\"text\":\"%s\"}", text);
    struct item *it = stage_forge(s, who, &l, content);
    p->seq++;
    entry_line_hash(str_from(it->made.line, it->made.line_n), &p->prev);
    return it;
}

/* --- who is a member --- */

struct account_id stage_account(enum who who)
{
    struct account_id id;

    static const enum who of[PEOPLE] = {
        [ALICE] = ALICE, [BOB] = BOB,         [CAROL] = CAROL, [MALLORY] = BOB,
        [BOB_NEW] = BOB, [ALICE_OLD] = ALICE, [EVE] = ALICE};

    memset(id.b, (int)of[who] + 1, sizeof id.b);
    return id;
}

static struct content_who who_of(const struct stage *s, enum who who)
{
    return (struct content_who){stage_account(who), str_of(s->who[who].name)};
}

static struct item *seat_write(struct stage *s, enum who who, struct buf *content)
{
    struct person *p = s->who + who;
    struct entry_line l;

    stage_line(s, who, &l);
    assert_int_equal(buf_add(content, "", 1), 0);
    struct item *it = stage_forge(s, who, &l, (const char *)buf_span(content).p);
    buf_free(content);
    p->seq++;
    entry_line_hash(str_from(it->made.line, it->made.line_n), &p->prev);
    return it;
}

struct item *stage_join(struct stage *s, enum who who)
{
    const struct content_who me = who_of(s, who), with = who_of(s, who == ALICE ? BOB : ALICE);
    struct buf b;
    struct err e = {0};

    buf_init(&b, CONTENT_MAX);
    assert_int_equal(content_join_put(&b, &me, s->kind == ROOM_DIRECT ? &with : NULL, &e), 0);
    return seat_write(s, who, &b);
}

struct item *stage_leave(struct stage *s, enum who who)
{
    struct buf b;
    struct err e = {0};

    buf_init(&b, CONTENT_MAX);
    assert_int_equal(content_leave_put(&b, &e), 0);
    return seat_write(s, who, &b);
}

/* The content of an entry of the log; the caller frees it. */
static void item_content(const struct item *it, struct content *c)
{
    struct span body = buf_span(&it->made.body);
    struct err e = {0};

    assert_int_equal(content_take(c, span_of(body.p + OPENING_LEN, body.n - OPENING_LEN), &e), 0);
}

static int line_order(const void *a, const void *b)
{
    return memcmp(a, b, HASH_LEN);
}

/* A second reading of docs/protocol.md 6, not roster.c's. */
void stage_roster(struct stage *s, struct hash *out)
{
    struct hash lines[PEOPLE], author[PEOPLE];
    size_t n = 0;

    for (size_t i = 0; i < s->log_n; i++) {
        const struct item *it = s->log + i;
        struct str line = str_from(it->made.line, it->made.line_n);
        struct entry_line l;
        struct content c;
        struct err e = {0};
        assert_int_equal(entry_line_take(&l, line, &e), 0);
        item_content(it, &c);
        if (c.kind == CONTENT_JOIN) {
            author[n] = l.author;
            entry_line_hash(line, &lines[n++]);
        }
        for (size_t k = 0; c.kind == CONTENT_LEAVE && k < n; k++)
            if (hash_same(&author[k], &l.author)) {
                author[k] = author[--n];
                lines[k--] = lines[n];
            }
        content_free(&c);
    }
    qsort(lines, n, sizeof lines[0], line_order);
    sha256(span_of(lines, n * sizeof lines[0]), out);
}

struct item *stage_invite(struct stage *s, enum who who, enum who guest)
{
    const struct content_who g = who_of(s, guest);
    struct hash roster;
    struct buf b;
    struct err e = {0};

    stage_roster(s, &roster);
    buf_init(&b, CONTENT_MAX);
    assert_int_equal(content_invite_put(&b, &g, &roster, s->log_n, &e), 0);
    return seat_write(s, who, &b);
}

/* Moves the item into the log under the next number. */
void stage_log(struct stage *s, struct item *it)
{
    assert_true(s->log_n < LOG_MAX);
    it->number = s->log_n + 1;
    s->log[s->log_n++] = *it;
    free(it);
}

static struct f_entry entry_of(const struct item *it)
{
    return (struct f_entry){
        .number = it->number,
        .time = it->time,
        .line = str_from(it->made.line, it->made.line_n),
        .sig = span_of(it->made.sig, it->made.sig_n),
        .body = buf_span(&it->made.body),
    };
}

void stage_send(struct stage *s, struct item *it)
{
    const struct f_entry f = entry_of(it);
    stage_feed(s, F_ENTRY, &f);
}

void stage_push(struct stage *s, struct item *it)
{
    stage_log(s, it);
    stage_send(s, &s->log[s->log_n - 1]);
}

/* --- what the engine tells --- */

static void told_entry(struct stage *s, const struct engine_entry *t)
{
    struct told *d = &s->told;

    if (t->number == 0)
        return;
    d->vouched = t->vouched;
    d->is_signed = t->is_signed;
    d->older = t->older;
    if (d->numbers_n < LOG_MAX)
        d->numbers[d->numbers_n++] = t->number;
    if (t->refused != NULL) {
        d->refused++;
        snprintf(d->why, sizeof d->why, "%s", t->refused);
        assert_int_equal(t->text.n, 0); /* the text is withheld, always */
        return;
    }
    if (strcmp(t->kind, "join") == 0 || strcmp(t->kind, "leave") == 0 ||
        strcmp(t->kind, "invite") == 0) {
        d->seats++;
        d->numbers_n--;
        return;
    }
    d->good++;
    snprintf(d->kind, sizeof d->kind, "%s", t->kind);
    snprintf(d->text, sizeof d->text, "%.*s", (int)t->text.n, t->text.n > 0 ? t->text.p : "");
}

static void told_event(struct stage *s, const struct engine_event *ev)
{
    struct told *d = &s->told;

    switch (ev->kind) {
    case ENGINE_PASSWORD:
        d->passwords++;
        engine_salted(s->g, &s->salted);
        break;
    case ENGINE_READY: d->ready++; break;
    case ENGINE_ENTRY: told_entry(s, &ev->entry); break;
    case ENGINE_STATE:
        d->states++;
        d->state = ev->entry.state;
        d->number = ev->entry.number;
        d->seq = ev->entry.seq;
        if (ev->text != NULL)
            snprintf(d->why, sizeof d->why, "%s", ev->text);
        break;
    case ENGINE_CAUGHT: d->caught++; break;
    case ENGINE_ANSWER:
        d->answers++;
        d->answer_code = ev->code;
        break;
    case ENGINE_NOTE: d->notes++; break;
    case ENGINE_SEALED: break;
    case ENGINE_ALARM:
        d->alarms++;
        snprintf(d->alarm, sizeof d->alarm, "%s", ev->text);
        strncat(d->all_alarms, ev->text, sizeof d->all_alarms - strlen(d->all_alarms) - 1);
        break;
    case ENGINE_CLOSE:
        d->closes++;
        d->close_code = ev->code;
        d->again = ev->again;
        snprintf(d->close, sizeof d->close, "%s", ev->text);
        break;
    case ENGINE_ROOM:
    case ENGINE_MEMBERS:
    case ENGINE_LISTED: break;
    case ENGINE_EVIDENCE: evidence_told(s, ev); break;
    }
}

/* --- the relay's answers --- */

static void feed_raw(struct stage *s, enum frame_type type, const void *body)
{
    struct buf b;
    struct err e = {0};

    buf_init(&b, 2 * FRAME_MAX);
    if (frame_put(&b, type, body, &e) < 0)
        fail_msg("%s: %s", frame_name(type), e.text);
    (void)!engine_feed(s->g, buf_span(&b)); /* a refusal shows as ENGINE_CLOSE */
    buf_free(&b);
}

static void auth_of(struct stage *s, const struct f_login *f, struct account_auth *a)
{
    *a = (struct account_auth){
        .link = "tls",
        .exporter = s->peer.exporter,
        .client_cert = s->who[ALICE].fp,
        .relay_cert = s->peer.relay_fp,
        .cost = {1, 8},
    };
    memcpy(a->client_nonce, f->nonce, sizeof f->nonce);
    memset(a->relay_nonce, 9, sizeof a->relay_nonce);
}

static struct account_auth last_auth; /* of the login under way: tests are one thread */

static void serve_login(struct stage *s, const struct frame *f)
{
    struct f_challenge c = {.re = f->u.login.id, .t = 1, .m = 8};

    s->logins++;
    auth_of(s, &f->u.login, &last_auth);
    memset(c.nonce, 9, sizeof c.nonce);
    feed_raw(s, F_CHALLENGE, &c);
}

static void serve_proof(struct stage *s, const struct frame *f)
{
    struct account_record rec;

    account_record(&rec, &s->salted);
    assert_true(account_client_proved(&rec, &last_auth, &f->u.proof.proof));
    stage_welcome(s, f->u.proof.id, true);
}

/* A new list of the intermediate, valid for a day; who PEOPLE: nobody is on it. */
static void stage_crl(struct stage *s, enum who who, int64_t when, struct buf *der)
{
    struct err e = {0};
    uint8_t serial[CERT_SERIAL_MAX];
    struct crl_entry entry = {.when = when, .reason = REVOKE_UNSPECIFIED};

    if (who != PEOPLE) {
        struct cert_info info;
        struct cert *c = cert_parse(span_of(s->who[who].leaf.b, s->who[who].leaf.n), NULL, &e);
        assert_non_null(c);
        cert_info(c, &info);
        cert_free(c);
        entry.serial = span_of(serial, strlen(info.serial) / 2);
        assert_int_equal(hex_take(serial, entry.serial.n, str_of(info.serial)), 0);
    }
    const struct crl_form form = {++s->crl_number, s->now - day_ms, s->now + day_ms, &entry,
                                  who != PEOPLE};
    const struct issuer by = {span_of(s->inter.b, s->inter.n), s->inter_key};
    buf_init(der, CRL_MAX);
    assert_int_equal(crl_write(&form, &by, &s->rng, der, &e), 0);
}

/* Alice's last line in the log. */
static bool own_of(const struct stage *s, struct f_own *own)
{
    for (size_t i = s->log_n; i-- > 0;) {
        const struct item *it = s->log + i;
        struct entry_line l;
        struct err e = {0};
        if (entry_line_take(&l, str_from(it->made.line, it->made.line_n), &e) < 0 ||
            !hash_same(&l.author, &s->who[ALICE].fp))
            continue;
        *own = (struct f_own){it->number, it->time, str_from(it->made.line, it->made.line_n),
                              span_of(it->made.sig, it->made.sig_n)};
        return true;
    }
    return false;
}

static void room_info(struct stage *s, struct f_room_info *out)
{
    *out = (struct f_room_info){
        .ephemeral = s->ephemeral,
        .id = s->room,
        .name = str_of(s->called != NULL        ? s->called
                       : s->kind == ROOM_DIRECT ? "bob"
                                                : "ops"),
        .kind = s->kind,
        .is_signed = s->is_signed,
        .has_with = s->kind == ROOM_DIRECT,
        .with = s->with,
        .history = HISTORY_ALL,
        .topic = str_of(""),
        .from = s->from,
        .number = s->log_n,
        .has_own = s->has_own,
        .own = s->own,
    };
    if (!s->has_own && !s->lie_own)
        out->has_own = own_of(s, &out->own);
    stage_head(s, s->from - 1, &out->head);
}

void stage_offer(struct stage *s, uint64_t re, const char *by)
{
    struct f_room f = {.re = re, .by = str_of(by)};

    room_info(s, &f.room);
    feed_raw(s, F_ROOM, &f);
}

void stage_welcome(struct stage *s, uint64_t re, bool proof)
{
    struct account_record rec;
    struct f_room_info room;
    struct f_welcome w = {
        .re = re,
        .has_proof = proof,
        .account = {.id = stage_account(ALICE), .name = str_of("alice")},
        .device = str_of("laptop"),
        .rooms = &room,
        .rooms_n = s->gone ? 0 : 1,
    };
    struct buf crl;

    stage_crl(s, PEOPLE, 0, &crl);
    if (!s->lie_crl)
        w.crl = buf_span(&crl);
    room_info(s, &room);
    account_record(&rec, &s->salted);
    if (proof)
        account_relay_proof(&w.proof, &rec, &last_auth);
    w.proof.b[31] ^= s->lie_proof;
    memset(w.token, 3, sizeof w.token);
    feed_raw(s, F_WELCOME, &w);
    buf_free(&crl);
}

static void serve_cert(struct stage *s, const struct frame *f)
{
    const struct f_error no = {
        .re = f->u.cert_ask.id, .code = CODE_NO_SUCH, .text = str_of("no such certificate")};

    for (int i = 0; i < PEOPLE; i++) {
        const struct person *p = s->who + (s->lie_cert ? (i == BOB ? CAROL : BOB) : (enum who)i);
        if (!hash_same(&s->who[i].fp, &f->u.cert_ask.fp))
            continue;
        const struct span chain[2] = {span_of(p->leaf.b, p->leaf.n),
                                      span_of(p->issuer.b, p->issuer.n)};
        struct f_cert c = {.re = f->u.cert_ask.id,
                           .fp = s->who[i].fp,
                           .device = str_of(p->device),
                           .chain = chain,
                           .chain_n = 2};
        memset(c.account.b, i + 1, sizeof c.account.b);
        feed_raw(s, F_CERT, &c);
        return;
    }
    feed_raw(s, F_ERROR, &no);
}

static struct f_device_info device_of(const struct stage *s, enum who who)
{
    return (struct f_device_info){.fp = s->who[who].fp, .name = str_of(s->who[who].device)};
}

/* The room an answer is about. */
static struct room_id about(const struct stage *s, enum frame_type answer, struct room_id asked)
{
    return s->lie_about && s->about == answer ? s->other_room : asked;
}

static void serve_members(struct stage *s, const struct frame *f)
{
    struct f_device_info device[PEOPLE + 1][2] = {0};
    struct f_member_info m[PEOPLE + 1] = {0};
    size_t n = 0;

    for (enum who i = ALICE; i <= CAROL; i++) {
        if ((i == CAROL && !s->carol_in) || (i == BOB && s->bob_out))
            continue;
        device[n][0] = device_of(s, i);
        device[n][1] = device_of(s, BOB_NEW);
        device[n][1].revoked = s->bob_new_revoked;
        m[n].account = stage_account(i);
        m[n].name = str_of(s->who[i].name);
        m[n].role = ROLE_MEMBER;
        m[n].devices = device[n];
        m[n++].devices_n = i == BOB && s->bob_new ? 2 : 1;
    }
    if (s->dave_is_bob_new) {
        device[n][0] = device_of(s, BOB_NEW);
        m[n] = (struct f_member_info){.account = {{0xda}},
                                      .name = str_of("dave"),
                                      .role = ROLE_MEMBER,
                                      .devices = device[n],
                                      .devices_n = 1};
        n++;
    }
    const struct f_members x = {f->u.members_ask.id, about(s, F_MEMBERS, f->u.members_ask.room),
                                s->log_n, m, n};
    feed_raw(s, F_MEMBERS, &x);
}

static void serve_roll(struct stage *s, const struct frame *f)
{
    const struct f_roll_ask *a = &f->u.roll_ask;
    struct f_entry entries[LOG_MAX];
    struct f_roll x = {.re = a->id,
                       .room = about(s, F_ROLL, a->room),
                       .upto = s->roll_stands ? a->after : s->log_n,
                       .entries = entries};

    assert_true(s->rolls++ < LOG_MAX); /* it is not asked in a circle */
    for (size_t i = 0; i < s->log_n && !s->roll_stands; i++) {
        struct content c;
        uint64_t number = s->log[i].number;
        item_content(s->log + i, &c);
        if ((content_seats(c.kind) || number == s->roll_with) && number > a->after &&
            number != s->roll_cut)
            entries[x.entries_n++] = entry_of(s->log + i);
        content_free(&c);
    }
    feed_raw(s, F_ROLL, &x);
}

static void serve_history(struct stage *s, const struct frame *f)
{
    const struct f_history_ask *a = &f->u.history_ask;
    struct f_entry entries[LOG_MAX];
    uint64_t first = a->has_after                     ? a->after + 1
                     : a->before > a->count + s->from ? a->before - a->count
                                                      : s->from;
    uint64_t end = a->has_after ? s->log_n + 1 : a->before;
    first += s->lie_first;
    struct f_history h = {
        .re = a->id, .room = about(s, F_HISTORY, a->room), .first = first, .entries = entries};

    s->history_asked++;
    stage_head(s, first - 1, &h.head);
    if (s->lie_head)
        h.head.b[0] ^= 1;
    for (uint64_t n = first; n < end && n <= s->log_n && h.entries_n < a->count; n++) {
        if (s->lie_hole && n == s->hole_at)
            continue;
        const struct item *it =
            s->insert != NULL && s->insert->number == n ? s->insert : s->log + n - 1;
        entries[h.entries_n++] = entry_of(it);
    }
    feed_raw(s, F_HISTORY, &h);
}

static struct item *item_said(struct stage *s, const struct f_entry_say *x)
{
    struct item *it = calloc(1, sizeof *it);

    assert_non_null(it);
    it->time = s->now;
    memcpy(it->made.line, x->line.p, x->line.n);
    it->made.line_n = x->line.n;
    memcpy(it->made.sig, x->sig.p, x->sig.n);
    it->made.sig_n = x->sig.n;
    buf_init(&it->made.body, BODY_MAX);
    assert_int_equal(buf_add(&it->made.body, x->body.p, x->body.n), 0);
    return it;
}

static void note_said(struct stage *s, const struct f_entry_say *x)
{
    assert_true(s->said_n < SAID_MAX);
    snprintf(s->said_line[s->said_n], sizeof s->said_line[0], "%.*s", (int)x->line.n, x->line.p);
    memcpy(s->said_sig[s->said_n], x->sig.p, x->sig.n);
    sha256(x->body, &s->said_body[s->said_n]);
    s->said_n++;
}

/* The number that this line has already; 0: none. */
static uint64_t logged(const struct stage *s, struct str line)
{
    for (size_t i = 0; i < s->log_n; i++)
        if (str_same(line, str_from(s->log[i].made.line, s->log[i].made.line_n)))
            return i + 1;
    return 0;
}

static void serve_entry(struct stage *s, const struct frame *f)
{
    const struct f_entry_say *x = &f->u.entry_say;
    struct item *it = item_said(s, x);
    struct entry_line l;
    struct content c;
    struct err e = {0};

    assert_int_equal(entry_line_take(&l, x->line, &e), 0);
    item_content(it, &c);
    bool seats = content_seats(c.kind);
    if (seats) {
        snprintf(s->seat_line, sizeof s->seat_line, "%.*s", (int)x->line.n, x->line.p);
        s->joins_said++;
        s->seat_said = c.kind;
        s->seat_roster = c.roster;
        s->seat_at = c.at;
        s->seat_with = c.has_with && str_is(c.with.name, "bob");
    }
    if (seats && !s->mute_seats) {
        s->is_signed = c.kind == CONTENT_JOIN || (s->is_signed && c.kind != CONTENT_LEAVE);
    } else if (!seats) {
        note_said(s, x);
    }
    content_free(&c);
    if (seats ? s->mute_seats : s->mute) {
        item_free(it);
        return;
    }
    uint64_t number = logged(s, x->line);
    if (number == 0) {
        stage_log(s, it);
        number = s->log_n;
    } else {
        item_free(it);
    }
    struct f_numbered n = {l.room, l.seq, number, s->log[number - 1].time, .has_root = false};
    n.has_root = evidence_root(s, number, &n.root);
    if (!seats || !s->answers_lost)
        feed_raw(s, F_NUMBERED, &n);
}

static void serve_person(struct stage *s, const struct frame *f)
{
    const struct f_person_ask *a = &f->u.person_ask;
    const struct f_error no = {
        .re = a->id, .code = CODE_NO_SUCH, .text = str_of("there is no such person")};

    for (enum who i = ALICE; i <= CAROL; i++)
        if (str_is(a->name, s->who[i].name)) {
            const struct f_person x = {a->id, stage_account(i), a->name};
            feed_raw(s, F_PERSON, &x);
            return;
        }
    feed_raw(s, F_ERROR, &no);
}

static void serve(struct stage *s, const struct frame *f)
{
    const struct f_error auth = {.re = frame_id(f), .code = CODE_AUTH, .text = str_of("refused")};

    switch (f->type) {
    case F_LOGIN: serve_login(s, f); break;
    case F_PROOF: serve_proof(s, f); break;
    case F_RESUME:
        if (s->resumes++ == 0)
            stage_welcome(s, f->u.resume.id, false);
        else
            feed_raw(s, F_ERROR, &auth);
        break;
    case F_CERT_ASK: serve_cert(s, f); break;
    case F_PERSON_ASK: serve_person(s, f); break;
    case F_ROOM_CREATE:
    case F_ROOM_JOIN:
    case F_ROOM_OPEN: stage_offer(s, frame_id(f), NULL); break;
    case F_MEMBERS_ASK: serve_members(s, f); break;
    case F_ROLL_ASK: serve_roll(s, f); break;
    case F_HISTORY_ASK: serve_history(s, f); break;
    case F_ENTRY_SAY: serve_entry(s, f); break;
    case F_DELIVERED_SAY: s->delivered = f->u.delivered_say.number; break;
    default: (void)!evidence_serve(s, f);
    }
}

void stage_answer(struct stage *s, enum frame_type type, const void *body)
{
    feed_raw(s, type, body);
}

void stage_serve(struct stage *s)
{
    struct engine_event ev;
    struct span json;
    struct err e = {0};
    bool moved = true;

    while (moved) {
        struct buf out;
        buf_init(&out, 16 * FRAME_MAX);
        assert_int_equal(buf_add(&out, engine_out(s->g).p, engine_out(s->g).n), 0);
        engine_sent(s->g, out.len);
        moved = out.len > 0;
        while (out.len > 0) { /* in portions that frames_feed takes */
            size_t n = out.len < 16384 ? out.len : 16384;
            assert_int_equal(frames_feed(&s->in, span_of(buf_span(&out).p, n), &e), 0);
            buf_drop(&out, n);
            struct frame f = {0};
            while (frames_next(&s->in, &json, &e) == 1) {
                assert_int_equal(frame_take(&f, json, FROM_CLIENT, &e), 0);
                serve(s, &f);
                frame_free(&f);
            }
        }
        buf_free(&out);
        while (engine_next(s->g, &ev)) {
            told_event(s, &ev);
            moved = true;
        }
    }
}

void stage_feed(struct stage *s, enum frame_type type, const void *body)
{
    feed_raw(s, type, body);
    stage_serve(s);
}

void stage_link(struct stage *s)
{
    const struct f_hello_relay hello = {.v = 1, .now = s->now, .relay = str_of("relay.test")};

    s->peer = (struct engine_peer){.link = "tls"};
    memset(s->peer.exporter.b, (int)++s->links, sizeof s->peer.exporter.b);
    memset(s->peer.relay_fp.b, 6, sizeof s->peer.relay_fp.b);
    frames_free(&s->in);
    frames_init(&s->in, FRAME_MAX);
    engine_linked(s->g, &s->peer);
    feed_raw(s, F_HELLO_RELAY, &hello);
}

void stage_login(struct stage *s)
{
    stage_link(s);
    stage_serve(s);
}

void stage_lost(struct stage *s)
{
    engine_lost(s->g);
    stage_serve(s);
}

void stage_revoke(struct stage *s, enum who who, int64_t when)
{
    struct buf der;

    stage_crl(s, who, when, &der);
    const struct f_crl f = {buf_span(&der)};
    stage_feed(s, F_CRL, &f);
    buf_free(&der);
}

uint64_t stage_say(struct stage *s, const char *text, struct err *e)
{
    uint64_t seq = engine_say(s->g, &s->room, str_of(text), e);

    stage_serve(s);
    return seq;
}
