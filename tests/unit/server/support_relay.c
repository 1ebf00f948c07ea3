#include "tests/unit/scratch.h"
#include "tests/unit/server/support_line.h"

#include <stdio.h>
#include <unistd.h>

const char *relay_store = "memory";

static struct pkey *pool[KEYS + 1]; /* made once: RSA keys take a while */

static int issue(void *ctx, int64_t now, struct span spki, struct str name, struct str device,
                 struct store_chain *out, struct err *e)
{
    struct relay *r = ctx;
    struct cert_form f = cert_form_of(CERT_DEVICE);
    char uri[512];

    if (r->issue_fails)
        return err_set(e, ERR_IO, "the authority is away");
    assert_int_equal(device_uri(uri, sizeof uri, name, device), 0);
    f.cn = name;
    f.ou = device;
    f.spki = spki;
    f.not_before = now - 1000;
    f.not_after = now + INT64_C(365) * 24 * 3600 * 1000;
    f.sans[0] = (struct san){SAN_URI, span_of(uri, strlen(uri))};
    f.sans_n = 1;
    assert_int_equal(serial_draw(&f.serial, &r->rng), 0);
    struct issuer by = {span_of(r->root.b, r->root.n), r->ca};
    memcpy(out->issuer, r->root.b, r->root.n);
    out->issuer_n = r->root.n;
    return cert_issue(&f, &by, &r->rng, out->leaf, &out->leaf_n, e);
}

static void ca_make(struct relay *r)
{
    struct cert_form f = cert_form_of(CERT_ROOT);
    uint8_t spki[SPKI_MAX];
    struct err e = {0};

    assert_int_equal(pkey_spki(r->ca, spki, &f.spki.n, &e), 0);
    f.spki.p = spki;
    f.cn = str_of("test root");
    f.not_before = r->now - 1000;
    f.not_after = r->now + INT64_C(3650) * 24 * 3600 * 1000;
    assert_int_equal(serial_draw(&f.serial, &r->rng), 0);
    struct issuer self = {span_of(NULL, 0), r->ca};
    assert_int_equal(cert_issue(&f, &self, &r->rng, r->root.b, &r->root.n, &e), 0);
}

/* RSA, as all keys of devices: the last of them is nobody's in most tests. */
enum { EVIDENCE_KEY = KEYS - 1 };

static void evidence_make(struct relay *r)
{
    struct cert_form f = cert_form_of(CERT_EVIDENCE);
    uint8_t spki[SPKI_MAX];
    struct err e = {0};

    assert_int_equal(pkey_spki(r->keys[EVIDENCE_KEY], spki, &f.spki.n, &e), 0);
    f.spki.p = spki;
    f.cn = str_of("relay.example");
    f.not_before = r->now - 1000;
    f.not_after = r->now + INT64_C(365) * 24 * 3600 * 1000;
    f.sans[0] = (struct san){SAN_DNS, span_of("relay.example", 13)};
    f.sans_n = 1;
    assert_int_equal(serial_draw(&f.serial, &r->rng), 0);
    struct issuer by = {span_of(r->root.b, r->root.n), r->ca};
    if (cert_issue(&f, &by, &r->rng, r->evidence.b, &r->evidence.n, &e) < 0)
        fail_msg("evidence: %s", e.text);
}

#define AUDIT_ORIGIN "countersign-checkpoint-1/audit/"

/* What the notary does, in the next batch. */
static void sign_later(struct relay *r, const struct effect *ef)
{
    struct job *j = job_new(JOB_SIGNED, ef->conn);
    uint8_t sig[SIG_MAX];
    size_t n = 0;
    struct err e = {0};

    assert_non_null(j);
    j->text = shared_ref(ef->frame);
    if (!r->unsigned_all)
        assert_int_equal(pkey_sign_pss(r->keys[EVIDENCE_KEY], &r->rng,
                                       span_of(j->text->b, j->text->n), sig, &n, &e),
                         0);
    j->sig = n > 0 ? shared_new(span_of(sig, n)) : NULL;
    jobs_add(&r->signed_jobs, j);
    if (j->text->n > sizeof AUDIT_ORIGIN &&
        memcmp(j->text->b, AUDIT_ORIGIN, sizeof AUDIT_ORIGIN - 1) == 0)
        r->audit_signings++;
    else
        r->signings++;
}

static void core_start(struct relay *r)
{
    struct err e = {0};
    struct core_conf conf = {
        .store = r->store,
        .seal = {{7}},
        .rng = r->rng,
        .root = span_of(r->root.b, r->root.n),
        .evidence = {span_of(r->evidence.b, r->evidence.n), span_of(r->root.b, r->root.n)},
        .issue = issue,
        .issue_ctx = r};

    r->core = core_new(&conf, r->now, &e);
    if (r->core == NULL)
        fail_msg("core: %s", e.text);
}

static void store_open(struct relay *r, enum store_open how)
{
    struct err e = {0};

    r->store.db =
        r->ops == &store_memory ? store_memory_new() : store_sqlite_open(r->path, how, &e);
    if (r->store.db == NULL)
        fail_msg("store: %s", e.text);
}

struct relay *relay_new(void)
{
    struct relay *r = calloc(1, sizeof *r);
    struct err e = {0};

    r->rng = rng_system();
    r->now = INT64_C(1750000000000);
    for (unsigned i = 0; i <= KEYS; i++) {
        if (pool[i] == NULL && crypto_init(&e) == 0)
            pool[i] = pkey_generate(i == KEYS ? PKEY_P256 : PKEY_RSA_2048, &r->rng, &e);
        assert_non_null(pool[i]);
    }
    memcpy(r->keys, pool, sizeof r->keys);
    r->ca = pool[KEYS];
    ca_make(r);
    evidence_make(r);
    r->ops = strcmp(relay_store, "memory") == 0 ? &store_memory : &store_sqlite;
    r->store.ops = r->ops;
    snprintf(r->path, sizeof r->path, "%s/countersign-test-%ld.db", scratch_place(),
             (long)getpid());
    (void)unlink(r->path);
    store_open(r, STORE_CREATE);
    core_start(r);
    relay_pump(r);
    return r;
}

static void clients_free(struct relay *r)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (r->clients[i] != NULL)
            client_free(r->clients[i]);
}

void relay_free(struct relay *r)
{
    clients_free(r);
    jobs_free(&r->signed_jobs);
    core_free(r->core);
    store_close(&r->store);
    (void)unlink(r->path);
    free(r);
}

void relay_restart(struct relay *r)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (r->clients[i] == NULL)
            continue;
        session_free(r->clients[i]->s);
        r->clients[i]->s = NULL;
    }
    jobs_free(&r->signed_jobs);
    core_free(r->core);
    if (r->ops == &store_sqlite) {
        r->ops->close(r->store.db);
        store_open(r, STORE_OPEN);
    }
    core_start(r);
    relay_pump(r);
}

/* --- moving --- */

static void client_hear(struct client *c, struct span bytes)
{
    if (c->line != NULL)
        bytes = line_pass(c->line, ROLE_RELAY, bytes);
    while (bytes.n > 0) { /* never more than a frame beyond what was taken */
        size_t n = bytes.n < 4096 ? bytes.n : 4096;
        assert_int_equal(buf_add(&c->in.in, bytes.p, n), 0);
        bytes = span_of(bytes.p + n, bytes.n - n);
    }
}

static bool client_in(const struct client *c, const struct room_id *room)
{
    for (size_t i = 0; i < c->rooms_n; i++)
        if (memcmp(&c->rooms[i], room, sizeof *room) == 0)
            return true;
    return false;
}

static void client_out(struct client *c, const struct room_id *room)
{
    for (size_t i = 0; i < c->rooms_n; i++)
        if (memcmp(&c->rooms[i], room, sizeof *room) == 0)
            c->rooms[i] = c->rooms[--c->rooms_n];
}

static void effect_one(struct client *c, const struct effect *ef)
{
    switch (ef->kind) {
    case EFFECT_SEND: client_hear(c, span_of(ef->frame->b, ef->frame->n)); break;
    case EFFECT_WELCOME:
        client_hear(c, span_of(ef->frame->b, ef->frame->n));
        session_welcome(c->s);
        break;
    case EFFECT_ENTER: c->rooms[c->rooms_n++] = ef->room; break;
    case EFFECT_LEAVE: client_out(c, &ef->room); break;
    case EFFECT_CLOSE:
        c->closed = true;
        snprintf(c->reason, sizeof c->reason, "%s", ef->reason);
        break;
    case EFFECT_READ:
    case EFFECT_PUBLISH:
    case EFFECT_EVERYONE:
    case EFFECT_SIGN:
    case EFFECT_DEVICE: break;
    }
}

static void effect_apply(struct relay *r, struct effect *ef)
{
    if (ef->kind == EFFECT_SIGN) {
        sign_later(r, ef);
        effect_drop(ef);
        return;
    }
    if (ef->kind == EFFECT_DEVICE && ef->fault == CERT_REVOKED)
        r->revoked[r->revoked_n++ % COUNT(r->revoked)] = ef->fp;
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = r->clients[i];
        if (c == NULL || c->s == NULL)
            continue;
        if (ef->kind == EFFECT_PUBLISH && c->conn != ef->conn && client_in(c, &ef->room)) {
            const struct shared *form = effect_frame(ef, session_compact(c->s));
            assert_non_null(form);
            client_hear(c, span_of(form->b, form->n));
        } else if (ef->kind == EFFECT_EVERYONE && session_ready(c->s))
            client_hear(c, span_of(ef->frame->b, ef->frame->n));
        else if (c->conn == ef->conn)
            effect_one(c, ef);
    }
    effect_drop(ef);
}

static bool batch(struct relay *r)
{
    struct err e = {0};
    struct effect ef;
    bool moved = false;

    assert_int_equal(core_begin(r->core, r->now, &e), 0);
    for (struct job *j; !r->notary_waits && (j = jobs_next(&r->signed_jobs)) != NULL; moved = true)
        core_job(r->core, j);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = r->clients[i];
        struct job *j;
        while (c != NULL && c->s != NULL && (j = session_job(c->s)) != NULL) {
            core_job(r->core, j);
            moved = true;
        }
        if (c != NULL && c->s != NULL && session_stalled(c->s))
            (void)!session_feed(c->s, span_of(NULL, 0), moment(r->now));
    }
    assert_false(core_effect(r->core, &ef) && moved && ef.kind != EFFECT_DEVICE);
    if (core_commit(r->core, &e) < 0)
        fail_msg("commit: %s", e.text);
    while (core_effect(r->core, &ef))
        effect_apply(r, &ef);
    return moved;
}

static void outs_move(struct relay *r)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = r->clients[i];
        if (c == NULL || c->s == NULL)
            continue;
        struct span out = session_out(c->s);
        client_hear(c, out);
        session_sent(c->s, out.n);
    }
}

void relay_turn(struct relay *r)
{
    struct err e = {0};
    struct effect ef;

    assert_int_equal(core_begin(r->core, r->now, &e), 0);
    core_tick(r->core);
    assert_int_equal(core_commit(r->core, &e), 0);
    while (core_effect(r->core, &ef))
        effect_apply(r, &ef);
    relay_pump(r);
}

void relay_pump(struct relay *r)
{
    while (!r->hold) {
        outs_move(r);
        if (!batch(r))
            break;
    }
}

void relay_refresh(struct relay *r)
{
    struct err e = {0};
    struct effect ef;

    assert_int_equal(core_begin(r->core, r->now, &e), 0);
    core_refresh(r->core);
    assert_int_equal(core_commit(r->core, &e), 0);
    while (core_effect(r->core, &ef))
        effect_apply(r, &ef);
}

void relay_invite(struct relay *r, const struct operator_invite *ask, uint8_t token[TOKEN_LEN])
{
    struct err e = {0};
    if (operator_invite(&r->store, ask, &r->rng, r->now, token, &e) < 0)
        fail_msg("invite: %s", e.text);
}

/* --- clients --- */

static struct client *client_new(struct relay *r)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (r->clients[i] != NULL)
            continue;
        struct client *c = calloc(1, sizeof *c);
        c->r = r;
        c->source = "192.0.2.1";
        r->clients[i] = c;
        frames_init(&c->in, FRAME_MAX);
        buf_init(&c->in.in, 64 * 1024 * 1024);
        return c;
    }
    fail_msg("too many clients");
    return NULL;
}

static void client_connect(struct client *c, bool join)
{
    struct err e = {0};
    struct session_conf conf = {.conn = c->conn = ++c->r->conns,
                                .join = join,
                                .link = link_kind_name(c->r->link),
                                .relay = "relay.test",
                                .source = c->source,
                                .email = c->email,
                                .leaf = join ? span_of(NULL, 0) : span_of(c->leaf.b, c->leaf.n),
                                .relay_cert = {{9}}};

    assert_int_equal(rng_fill(&c->r->rng, c->exporter.b, sizeof c->exporter.b), 0);
    if (c->r->linked && !join) {
        c->line = line_new(c, c->r->link);
        line_exporter(c->line, &c->exporter);
    }
    conf.exporter = c->exporter;
    c->s = session_new(&conf, moment(c->r->now), &e);
    if (c->s == NULL)
        fail_msg("session: %s", e.text);
    relay_pump(c->r);
    (void)client_got(c, F_HELLO_RELAY);
    struct str words[2];
    size_t n = 0;
    if (c->r->compact)
        words[n++] = str_of(COMPACT_WORD);
    if (c->r->cosigns)
        words[n++] = str_of(COSIGN_WORD);
    client_say(c, F_HELLO_CLIENT,
               &(struct f_hello_client){.v = 1, .features = words, .features_n = n});
}

struct client *client_stranger(struct relay *r)
{
    return client_reachable(r, NULL);
}

struct client *client_reachable(struct relay *r, const char *email)
{
    struct client *c = client_new(r);
    c->email = email;
    client_connect(c, true);
    return c;
}

void client_join(struct client *c, const uint8_t token[TOKEN_LEN], const char *name,
                 const char *device, unsigned key)
{
    uint8_t csr[CSR_MAX];
    size_t n;
    struct err e = {0};
    struct account_record rec;
    const struct argon_cost cost = argon_cost_default();
    struct f_join f = {.id = ++c->id,
                       .name = str_of(name),
                       .device = str_of(device),
                       .t = cost.t,
                       .m = cost.m_kib};

    c->key = key;
    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(c->device, sizeof c->device, "%s", device);
    sha256(span_of(name, strlen(name)), (struct hash *)(void *)&c->salted);
    account_record(&rec, &c->salted);
    assert_int_equal(csr_make(c->r->keys[key], "x", &c->r->rng, csr, &n, &e), 0);
    memcpy(f.token, token, TOKEN_LEN);
    f.csr = span_of(csr, n);
    memcpy(f.stored_key.b, rec.stored.b, 32);
    memcpy(f.server_key.b, rec.server.b, 32);
    client_say(c, F_JOIN, &f);
}

struct client *client_enrol(struct relay *r, const char *name)
{
    uint8_t token[TOKEN_LEN];
    struct client *c = client_stranger(r);

    relay_invite(r, &(struct operator_invite){0}, token);
    client_join(c, token, name, "laptop", 0);
    struct frame *f = client_got(c, F_JOINED);
    c->leaf.n = f->u.joined.chain[0].n;
    memcpy(c->leaf.b, f->u.joined.chain[0].p, c->leaf.n);
    c->account = f->u.joined.account;
    cert_fingerprint(span_of(c->leaf.b, c->leaf.n), &c->fp);
    client_gone(c);
    client_connect(c, false);
    return c;
}

struct client *client_again(struct client *old)
{
    return client_from(old, old->source);
}

/* The same person and device, who has not connected yet. */
static struct client *client_copy(struct client *old, const char *source)
{
    struct client *c = client_new(old->r);

    c->source = source;
    c->key = old->key;
    memcpy(c->name, old->name, sizeof c->name);
    c->leaf = old->leaf;
    c->fp = old->fp;
    c->salted = old->salted;
    c->account = old->account;
    memcpy(c->tips, old->tips, sizeof c->tips);
    c->tips_n = old->tips_n;
    return c;
}

struct client *client_from(struct client *old, const char *source)
{
    struct client *c = client_copy(old, source);

    client_connect(c, false);
    return c;
}

struct client *client_stolen(struct client *old)
{
    struct client *c = client_copy(old, old->source);
    struct store_chain made = {0};
    uint8_t spki[SPKI_MAX];
    size_t n;
    struct err e = {0};

    assert_int_equal(pkey_spki(c->r->keys[c->key], spki, &n, &e), 0);
    assert_int_equal(
        issue(c->r, c->r->now, span_of(spki, n), str_of(c->name), str_of("laptop"), &made, &e), 0);
    c->leaf.n = made.leaf_n;
    memcpy(c->leaf.b, made.leaf, made.leaf_n);
    cert_fingerprint(span_of(c->leaf.b, c->leaf.n), &c->fp);
    client_connect(c, false);
    return c;
}

void client_login(struct client *c)
{
    struct f_login login = {.id = ++c->id, .nonce = {1}};
    struct account_auth a = {.link = link_kind_name(c->r->link),
                             .exporter = c->exporter,
                             .client_cert = c->fp,
                             .relay_cert = {{9}}};

    memcpy(a.client_nonce, login.nonce, NONCE_LEN);
    client_say(c, F_LOGIN, &login);
    struct frame *f = client_got(c, F_CHALLENGE);
    memcpy(a.relay_nonce, f->u.challenge.nonce, NONCE_LEN);
    memcpy(a.salt, f->u.challenge.salt, SALT_LEN);
    a.cost = (struct argon_cost){(uint32_t)f->u.challenge.t, (uint32_t)f->u.challenge.m};
    struct f_proof proof = {.id = ++c->id};
    account_client_proof(&proof.proof, &c->salted, &a);
    client_say(c, F_PROOF, &proof);
}

struct client *client_member(struct relay *r, const char *name)
{
    struct client *c = client_enrol(r, name);

    client_login(c);
    memcpy(c->token, client_got(c, F_WELCOME)->u.welcome.token, RESUME_LEN);
    return c;
}

static void client_over(struct client *c, bool logout)
{
    struct err e = {0};
    struct effect ef;
    struct job *j = job_new(JOB_GONE, c->conn);

    snprintf(j->reason, sizeof j->reason, "%s", logout ? "closed" : "cut");
    j->logout = logout;
    session_free(c->s);
    c->s = NULL;
    line_free(c->line);
    c->line = NULL;
    c->rooms_n = 0;
    c->closed = false;
    assert_int_equal(core_begin(c->r->core, c->r->now, &e), 0);
    core_job(c->r->core, j);
    assert_int_equal(core_commit(c->r->core, &e), 0);
    while (core_effect(c->r->core, &ef))
        effect_apply(c->r, &ef);
}

void client_gone(struct client *c)
{
    client_over(c, false);
}

void client_quit(struct client *c)
{
    client_over(c, true);
}

void client_free(struct client *c)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (c->r->clients[i] == c)
            c->r->clients[i] = NULL;
    session_free(c->s);
    line_free(c->line);
    frames_free(&c->in);
    frame_free(&c->got);
    free(c);
}

/* --- frames --- */

static void client_put(struct client *c, struct span said)
{
    if (c->line != NULL)
        said = line_pass(c->line, ROLE_CLIENT, said);
    if (session_feed(c->s, said, moment(c->r->now)) < 0)
        c->closed = true;
    relay_pump(c->r);
}

void client_raw(struct client *c, const char *json)
{
    struct buf b;
    size_t n = strlen(json);
    uint8_t head[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

    buf_init(&b, FRAME_MAX * 2);
    assert_int_equal(buf_add(&b, head, 4), 0);
    assert_int_equal(buf_add(&b, json, n), 0);
    client_put(c, buf_span(&b));
    buf_free(&b);
}

void client_say(struct client *c, enum frame_type t, const void *body)
{
    struct buf b;
    struct err e = {0};

    buf_init(&b, FRAME_MAX * 2);
    if (frame_put(&b, t, body, &e) < 0)
        fail_msg("%s: %s", frame_name(t), e.text);
    client_put(c, buf_span(&b));
    buf_free(&b);
}

static bool client_next(struct client *c)
{
    struct span json;
    struct err e = {0};
    int rc = frames_next(&c->in, &json, &e);

    frame_free(&c->got);
    c->got = (struct frame){0};
    if (rc < 0)
        fail_msg("from the relay: %s", e.text);
    if (rc == 1 && frame_take(&c->got, json, FROM_RELAY, &e) < 0)
        fail_msg("from the relay: %s", e.text);
    return rc == 1;
}

struct frame *client_got(struct client *c, enum frame_type t)
{
    if (!client_next(c))
        fail_msg("%s waits for %s", c->name, frame_name(t));
    if (c->got.type != t)
        fail_msg("%s got %s (%.*s), not %s", c->name, frame_name(c->got.type),
                 c->got.type == F_ERROR ? (int)c->got.u.error.text.n : 0,
                 c->got.type == F_ERROR ? c->got.u.error.text.p : "", frame_name(t));
    return &c->got;
}

/* A1: whatever the reason was, there is one sentence for it. */
static bool auth_sentence(struct str text)
{
    return str_is(text, "login refused: wrong password, or this device or account may not") ||
           str_is(text, "this invite is unknown, used or expired: ask for a new one") ||
           str_is(text, "your certificate has expired");
}

void client_error(struct client *c, enum proto_code code)
{
    struct frame *f = client_got(c, F_ERROR);
    if (code == CODE_AUTH)
        assert_true(auth_sentence(f->u.error.text));
    if (f->u.error.code != code)
        fail_msg("%s got %s (%.*s), not %s", c->name, proto_code_word(f->u.error.code),
                 (int)f->u.error.text.n, f->u.error.text.p, proto_code_word(code));
}

bool client_quiet(struct client *c)
{
    return !client_next(c);
}

void client_flush(struct client *c)
{
    while (client_next(c))
        ;
}

struct room_id client_room(struct client *c, const char *name, bool is_private, enum room_history h)
{
    struct f_room_create f = {
        .id = ++c->id, .name = str_of(name), .is_private = is_private, .history = h};
    client_say(c, F_ROOM_CREATE, &f);
    struct room_id room = client_got(c, F_ROOM)->u.room.room.id;
    client_sign(c, &c->got.u.room.room);
    return room;
}

void client_enter(struct client *c, const char *name)
{
    client_say(c, F_ROOM_JOIN, &(struct f_room_join){++c->id, str_of(name)});
    client_sign(c, &client_got(c, F_ROOM)->u.room.room);
}

struct room_id client_open(struct client *c, const char *person)
{
    client_say(c, F_ROOM_OPEN, &(struct f_room_open){++c->id, str_of(person)});
    struct room_id room = client_got(c, F_ROOM)->u.room.room.id;
    client_sign(c, &c->got.u.room.room);
    return room;
}

/* --- entries --- */

static struct pen_tip *tip_of(struct client *c, const struct room_id *room)
{
    for (size_t i = 0; i < c->tips_n; i++)
        if (memcmp(&c->tips[i].room, room, sizeof *room) == 0)
            return c->tips + i;
    if (c->tips_n == ROOMS_SEEN) /* of rooms left long ago */
        c->tips_n = 0;
    c->tips[c->tips_n] = (struct pen_tip){.room = *room};
    return c->tips + c->tips_n++;
}

struct pen pen_of(struct client *c, struct room_id room)
{
    const struct pen_tip *t = tip_of(c, &room);

    return (struct pen){c, room, t->seq, t->seen, t->prev, t->head};
}

void pen_keep(const struct pen *p)
{
    *tip_of(p->c, &p->room) = (struct pen_tip){p->room, p->seq, p->seen, p->prev, p->head};
}

/* Signs a content and sends it; the pen moves on. */
static struct entry_made seat_send(struct pen *p, const struct buf *content)
{
    struct entry_line l = pen_line(p);
    struct entry_made m;
    char text[1024];

    snprintf(text, sizeof text, "%.*s", (int)content->len, (const char *)buf_span(content).p);
    pen_make(p, &l, text, &m);
    p->seq++;
    entry_line_hash(str_from(m.line, m.line_n), &p->prev);
    entry_send(p->c, &m);
    return m;
}

void client_numbered(struct client *c)
{
    do {
        if (!client_next(c))
            fail_msg("%s waits for numbered", c->name);
        if (c->got.type == F_ERROR || c->got.type == F_VOIDED)
            fail_msg("%s got %s, not numbered", c->name, frame_name(c->got.type));
    } while (c->got.type != F_NUMBERED);
}

void client_sign(struct client *c, const struct f_room_info *info)
{
    const struct content_who me = {c->account, str_of(c->name)};
    char partner[NAME_MAX_LEN + 1];
    struct content_who with = {info->with, {partner, info->name.n}};
    struct pen p = pen_of(c, info->id);
    bool direct = info->kind == ROOM_DIRECT;
    struct buf content;
    struct err e = {0};

    if (info->is_signed)
        return;
    assert_int_equal(str_copy(partner, sizeof partner, info->name), 0);
    p.seen = info->from - 1;
    p.head = info->head;
    buf_init(&content, CONTENT_MAX);
    assert_int_equal(content_join_put(&content, &me, direct ? &with : NULL, &e), 0);
    struct entry_made m = seat_send(&p, &content);
    buf_free(&content);
    client_numbered(c);
    if (c->got.u.numbered.number == p.seen + 1) {
        p.seen++;
        entry_head_next(&p.head, str_from(m.line, m.line_n), c->got.u.numbered.time);
    }
    pen_keep(&p);
    entry_made_free(&m);
}

void client_leave(struct client *c, struct room_id room)
{
    struct pen p = pen_of(c, room);
    struct buf content;
    struct err e = {0};

    buf_init(&content, CONTENT_MAX);
    assert_int_equal(content_leave_put(&content, &e), 0);
    struct entry_made m = seat_send(&p, &content);
    entry_made_free(&m);
    buf_free(&content);
    pen_keep(&p);
}

void client_invite(struct client *c, struct room_id room, const struct client *guest)
{
    const struct content_who who = {guest->account, str_of(guest->name)};
    const struct hash roster = {{0}}; /* members judge it, the relay does not */
    struct pen p = pen_of(c, room);
    struct buf content;
    struct err e = {0};

    buf_init(&content, CONTENT_MAX);
    assert_int_equal(content_invite_put(&content, &who, &roster, 1, &e), 0);
    struct entry_made m = seat_send(&p, &content);
    entry_made_free(&m);
    buf_free(&content);
    pen_keep(&p);
}

struct entry_line pen_line(const struct pen *p)
{
    return (struct entry_line){.room = p->room,
                               .seq = p->seq + 1,
                               .ts = p->c->r->now,
                               .author = p->c->fp,
                               .prev = p->prev,
                               .seen_number = p->seen,
                               .seen_head = p->head};
}

void pen_make(struct pen *p, struct entry_line *l, const char *content, struct entry_made *m)
{
    struct err e = {0};
    struct relay *r = p->c->r;

    memset(m, 0, sizeof *m);
    if (entry_make(m, l, span_of(content, strlen(content)), r->keys[p->c->key], &r->rng, &e) < 0)
        fail_msg("entry: %s", e.text);
}

struct entry_made pen_write(struct pen *p, const char *text)
{
    struct entry_line l = pen_line(p);
    struct entry_made m;
    struct err e = {0};
    struct buf content;

    buf_init(&content, CONTENT_MAX);
    assert_int_equal(content_say_put(&content, str_of(text), &e), 0);
    assert_int_equal(buf_add(&content, "", 1), 0);
    pen_make(p, &l, (const char *)buf_span(&content).p, &m);
    buf_free(&content);
    p->seq++;
    entry_line_hash(str_from(m.line, m.line_n), &p->prev);
    return m;
}

void entry_send(struct client *c, const struct entry_made *m)
{
    struct f_entry_say f = {str_from(m->line, m->line_n), span_of(m->sig, m->sig_n),
                            buf_span(&m->body)};
    client_say(c, F_ENTRY_SAY, &f);
}

uint64_t pen_say(struct pen *p, const char *text)
{
    struct entry_made m = pen_write(p, text);

    entry_send(p->c, &m);
    const struct f_numbered *n = &client_got(p->c, F_NUMBERED)->u.numbered;
    if (n->number == p->seen + 1) {
        entry_head_next(&p->head, str_from(m.line, m.line_n), n->time);
        p->seen = n->number;
    }
    entry_made_free(&m);
    pen_keep(p);
    return p->c->got.u.numbered.number;
}

/* --- audit log --- */

static int audit_look(void *ctx, const struct store_audit *row)
{
    struct audit_find *f = ctx;

    if (str_is(row->event, f->event) && (f->reason == NULL || str_is(row->reason, f->reason))) {
        f->rows++;
        f->count += row->count;
    }
    return 0;
}

struct audit_find relay_audit(struct relay *r, const char *event, const char *reason)
{
    struct audit_find f = {event, reason, 0, 0};
    struct err e = {0};

    assert_int_equal(r->ops->audit_each(r->store.db, 0, audit_look, &f, &e), 0);
    return f;
}
