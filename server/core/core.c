#include "server/core/core_inner.h"

#include <stdlib.h>
#include <string.h>

#include "common/chat/compact.h"
#include "common/evidence/checkpoint.h"

/* --- effects --- */

void core_fail(struct core *c, const struct err *e)
{
    if (c->failed.code == ERR_NONE)
        c->failed = *e;
    if (c->failed.code == ERR_NONE)
        err_set(&c->failed, ERR_LOCAL, "no memory");
}

int core_stored(struct core *c, int rc)
{
    if (rc < 0)
        core_fail(c, &c->failed);
    return rc;
}

/* Never NULL: without memory the core has failed, and what is written here is not looked at. */
struct effect *effect_add(struct core *c, enum effect_kind kind, uint64_t conn)
{
    struct err e = {0};

    if (c->effects_n == c->effects_cap) {
        size_t cap = c->effects_cap == 0 ? 256 : 2 * c->effects_cap;
        struct effect *p = realloc(c->effects, cap * sizeof *p);
        if (p == NULL) {
            err_set(&e, ERR_LOCAL, "no memory for effects");
            core_fail(c, &e);
            c->effects_n--; /* cap is at least one: core_new sees to it */
        } else {
            c->effects = p;
            c->effects_cap = cap;
        }
    }
    struct effect *ef = &c->effects[c->effects_n++];
    *ef = (struct effect){.kind = kind, .conn = conn};
    return ef;
}

/* What was encoded into c->out. */
static struct shared *encoded(struct core *c)
{
    struct shared *s = shared_new(buf_span(&c->out));

    c->counts.encodings++;
    c->made += c->out.len;
    if (s == NULL)
        core_fail(c, &(struct err){0});
    return s;
}

struct shared *core_encode(struct core *c, enum frame_type t, const void *body)
{
    struct err e = {0};

    buf_drop(&c->out, c->out.len);
    return frame_put(&c->out, t, body, &e) < 0 ? NULL : encoded(c);
}

int core_send(struct core *c, uint64_t conn, enum frame_type t, const void *body)
{
    struct shared *s = core_encode(c, t, body);

    if (s == NULL)
        return -1;
    effect_add(c, EFFECT_SEND, conn)->frame = s;
    return 0;
}

void core_send_shared(struct core *c, uint64_t conn, struct shared *frame)
{
    effect_add(c, EFFECT_SEND, conn)->frame = shared_ref(frame);
}

void core_publish(struct core *c, const struct room *r, uint64_t but, enum frame_type t,
                  const void *body)
{
    struct shared *s = core_encode(c, t, body);

    if (s == NULL)
        return;
    struct effect *ef = effect_add(c, EFFECT_PUBLISH, but);
    ef->room = r->row.id;
    ef->frame = s;
}

/* Which forms of an entry the room's members read, but for connection `but`. */
static void forms_read(const struct room *r, uint64_t but, bool reads[2])
{
    for (const struct member *m = r->members; m != NULL && !(reads[0] && reads[1]); m = m->hh.next)
        for (const struct conn *k = m->account->conns; k != NULL; k = k->next)
            if (k->id != but && m->row.state == STATE_MEMBER)
                reads[k->compact] = true;
}

void core_publish_entry(struct core *c, const struct room *r, uint64_t but, const struct f_entry *f)
{
    bool reads[2] = {false, false};
    struct effect ef = {.kind = EFFECT_PUBLISH, .conn = but, .room = r->row.id};
    struct err e = {0};

    forms_read(r, but, reads);
    buf_drop(&c->out, c->out.len);
    if (reads[true] && compact_entry_put(&c->out, f, &e) == 1)
        ef.compact = encoded(c);
    if (reads[false] || (reads[true] && ef.compact == NULL))
        ef.frame = core_encode(c, F_ENTRY, f);
    if (ef.frame != NULL || ef.compact != NULL)
        *effect_add(c, ef.kind, but) = ef;
    else if (reads[true] || reads[false]) /* numbered, and not to be seen */
        core_fail(c, &(struct err){ERR_LOCAL, "an entry that fits no frame"});
}

void core_error(struct core *c, uint64_t conn, uint64_t re, enum proto_code code, const char *text)
{
    struct f_error f = {.re = re, .code = code, .text = str_of(text)};
    (void)core_send(c, conn, F_ERROR, &f);
}

void ask_error(struct ask *a, enum proto_code code, const char *text)
{
    core_error(a->c, a->k->id, frame_id(&a->j->frame), code, text);
}

/* What it still asks for is not answered any more. */
void core_close(struct core *c, struct conn *k, const char *reason)
{
    if (k->closing)
        return;
    k->closing = true;
    effect_add(c, EFFECT_CLOSE, k->id)->reason = reason;
}

static void tell_conns(struct core *c, const struct account *a, uint64_t but, struct shared *s)
{
    for (const struct conn *k = a->conns; k != NULL; k = k->next)
        if (k->id != but && !k->closing)
            core_send_shared(c, k->id, s);
}

void core_tell_own(struct core *c, struct account *a, uint64_t but, enum frame_type t,
                   const void *body)
{
    if (a->conns == NULL)
        return;
    struct shared *s = core_encode(c, t, body);
    if (s != NULL)
        tell_conns(c, a, but, s);
    shared_unref(s);
}

void core_tell_peers(struct core *c, struct account *a, enum frame_type t, const void *body)
{
    struct shared *s = core_encode(c, t, body);

    if (s == NULL)
        return;
    a->mark = ++c->mark;
    for (const struct member *m = a->members; m != NULL; m = m->next) {
        if (m->row.state != STATE_MEMBER)
            continue;
        for (const struct member *o = m->room->members; o != NULL; o = o->hh.next) {
            if (o->row.state != STATE_MEMBER || o->account->mark == c->mark)
                continue;
            o->account->mark = c->mark;
            tell_conns(c, o->account, 0, s);
        }
    }
    shared_unref(s);
}

void presence_tell(struct core *c, struct account *a, bool online)
{
    struct f_presence f = {.account = a->row.id, .name = str_of(a->row.name), .online = online};
    core_tell_peers(c, a, F_PRESENCE, &f);
}

/* --- requests --- */

typedef void ask_fn(struct ask *a);

static const struct {
    enum frame_type type;
    bool early; /* may be asked before welcome */
    ask_fn *run;
} asks[] = {
    {F_LOGIN, true, ask_login},
    {F_PROOF, true, ask_proof},
    {F_RESUME, true, ask_resume},
    {F_ENTRY_SAY, false, ask_entry},
    {F_ROOM_CREATE, false, ask_room_create},
    {F_ROOM_LIST, false, ask_room_list},
    {F_ROOM_JOIN, false, ask_room_join},
    {F_PERSON_ASK, false, ask_person},
    {F_ROOM_TOPIC, false, ask_room_topic},
    {F_ROOM_OPEN, false, ask_room_open},
    {F_MEMBERS_ASK, false, ask_members},
    {F_ROLL_ASK, false, ask_roll},
    {F_CERT_ASK, false, ask_cert},
    {F_HISTORY_ASK, false, ask_history},
    {F_DELIVERED_SAY, false, ask_delivered},
    {F_CHECKPOINT_ASK, false, ask_checkpoint},
    {F_TREE_ASK, false, ask_tree},
    {F_SIGNER_ASK, false, ask_signer},
    {F_SEAL, false, ask_seal},
    {F_COSIGN, false, ask_cosign},
};

static struct conn *conn_new(struct core *c, const struct job *j)
{
    struct conn *k = calloc(1, sizeof *k);

    if (k == NULL) {
        core_fail(c, &(struct err){0});
        return NULL;
    }
    k->id = j->conn;
    k->compact = j->compact;
    k->cosigns = j->cosigns;
    memcpy(k->source, j->source, sizeof k->source);
    HASH_ADD(hh, c->conns, id, sizeof k->id, k);
    if (!HASH_ADDED(hh, k)) {
        free(k);
        core_fail(c, &(struct err){0});
        return NULL;
    }
    const struct device *d = device_find(c, &j->auth.client_cert);
    struct audit_note n = {
        "accepted",           "certificate", k->source, d == NULL ? NULL : d->account,
        &j->auth.client_cert, false};
    core_audit(c, &n);
    return k;
}

static void frame_run(struct core *c, struct job *j)
{
    if (j->frame.type == F_JOIN) {
        ask_join(c, j);
        return;
    }
    for (size_t i = 0; i < COUNT(asks); i++) {
        if (asks[i].type != j->frame.type)
            continue;
        struct conn *k = conn_find(c, j->conn);
        if (k == NULL && asks[i].early)
            k = conn_new(c, j);
        /* The session lets nothing else through; a closed connection's last frames end here. */
        if (k == NULL || k->closing || (k->account != NULL) == asks[i].early)
            return;
        asks[i].run(&(struct ask){c, k, j});
        return;
    }
}

static void gone_run(struct core *c, struct job *j)
{
    struct conn *k = conn_find(c, j->conn);

    if (k == NULL)
        return;
    if (k->account != NULL) {
        struct audit_note n = {"disconnect", j->reason,          k->source,
                               k->account,   &k->device->row.fp, false};
        core_audit(c, &n);
    }
    conn_gone(c, k, j->logout);
}

void core_job(struct core *c, struct job *j)
{
    if (c->failed.code == ERR_NONE && j->kind == JOB_FRAME)
        frame_run(c, j);
    else if (c->failed.code == ERR_NONE && j->kind == JOB_GONE)
        gone_run(c, j);
    else if (c->failed.code == ERR_NONE && j->kind == JOB_SIGNED)
        signed_run(c, j);
    else if (c->failed.code == ERR_NONE) {
        struct audit_note n = {"refused", j->reason, j->source, NULL, &j->auth.client_cert, true};
        core_audit(c, &n);
    }
    if (j->ahead != NULL && ahead_count(j->ahead) == JOBS_MAX / 2 + 1)
        effect_add(c, EFFECT_READ, j->conn);
    job_free(j);
}

/* --- batches --- */

int core_begin(struct core *c, int64_t now, struct err *e)
{
    if (c->failed.code != ERR_NONE) {
        *e = c->failed;
        return -1;
    }
    if (c->conf.store.ops->begin(c->conf.store.db, e) < 0)
        return -1;
    c->now = now;
    c->made = 0;
    c->open = true;
    return 0;
}

bool core_full(const struct core *c)
{
    return c->made >= BATCH_BYTES;
}

static void effects_drop(struct core *c)
{
    while (c->effects_n > c->effects_ready)
        effect_drop(&c->effects[--c->effects_n]);
}

/* A batch that cannot be written must not be seen: its effects are forgotten, and so is the
 * core, whose memory is now ahead of the disk. */
int core_commit(struct core *c, struct err *e)
{
    const struct store *s = &c->conf.store;

    c->open = false;
    if (c->failed.code == ERR_NONE)
        (void)core_stored(c, s->ops->commit(s->db, &c->failed));
    else
        s->ops->rollback(s->db);
    if (c->failed.code != ERR_NONE) {
        effects_drop(c);
        *e = c->failed;
        return -1;
    }
    c->effects_ready = c->effects_n;
    return 0;
}

bool core_effect(struct core *c, struct effect *out)
{
    if (c->effects_at == c->effects_ready)
        return false;
    *out = c->effects[c->effects_at++];
    if (c->effects_at == c->effects_n)
        c->effects_at = c->effects_ready = c->effects_n = 0;
    return true;
}

void core_tick(struct core *c)
{
    penalty_purge(c);
    (void)STORE(c, session_purge, c->now, c->now - RESUME_IDLE_MS);
    tree_turn(c);
    audit_turn(c);
}

void core_end(struct core *c)
{
    audit_end(c);
}

bool core_signing(const struct core *c)
{
    return c->signings != NULL;
}

int core_set_crl(struct core *c, struct span crl, struct err *e)
{
    buf_drop(&c->crl, c->crl.len);
    if (buf_add(&c->crl, crl.p, crl.n) < 0)
        return err_set(e, ERR_LIMIT, "the revocation list is too long");
    struct f_crl f = {buf_span(&c->crl)};
    struct shared *s = core_encode(c, F_CRL, &f);
    if (s != NULL)
        effect_add(c, EFFECT_EVERYONE, 0)->frame = s;
    return 0;
}

int core_changed(struct core *c, struct err *e)
{
    return c->conf.store.ops->changed(c->conf.store.db, e);
}

void core_counts(const struct core *c, struct core_counts *out)
{
    *out = c->counts;
    out->online = HASH_COUNT(c->conns);
    out->accounts = HASH_COUNT(c->accounts);
    out->rooms = HASH_COUNT(c->rooms);
}

/* --- its life --- */

static int core_fill(struct core *c, const struct core_conf *conf)
{
    buf_init(&c->root, CERT_MAX);
    buf_init(&c->crl, CRL_MAX);
    buf_init(&c->out, FRAME_MAX + FRAME_HEAD);
    bool out =
        buf_room(&c->out, c->out.max) != NULL; /* so that a frame fails for its length alone */
    buf_cut(&c->out, 0);
    c->window = (struct store){&store_window, store_window_new()};
    c->effects = calloc(256, sizeof *c->effects);
    c->effects_cap = 256;
    c->turn = 1; /* a room signed in none has 0 */
    audit_log_id(c->audit.log, conf->root);
    c->audit.ledger.store = &c->conf.store;
    c->audit.ledger.rng = conf->rng;
    TAILQ_INIT(&c->due);
    STAILQ_INIT(&c->waiting);
    if (!out || c->window.db == NULL || c->effects == NULL ||
        buf_add(&c->root, conf->root.p, conf->root.n) < 0 ||
        buf_add(&c->crl, conf->crl.p, conf->crl.n) < 0)
        return err_set(&c->failed, ERR_LOCAL, "no memory, or a root or revocation list too long");
    return 0;
}

static int signer_load(struct core *c)
{
    const struct span *chain = c->conf.evidence;

    return chain[0].n == 0 ? 0 : core_set_signer(c, chain[0], chain[1], &c->failed);
}

struct core *core_new(const struct core_conf *conf, int64_t now, struct err *e)
{
    struct core *c = calloc(1, sizeof *c);

    if (c == NULL) {
        err_set(e, ERR_LOCAL, "no memory");
        return NULL;
    }
    c->conf = *conf;
    if (core_fill(c, conf) == 0 && core_begin(c, now, &c->failed) == 0 && state_load(c) == 0 &&
        audit_load(c) == 0 && signer_load(c) == 0 && STORE(c, session_end_all, now) == 0 &&
        STORE(c, login_end_all, now) == 0 && core_commit(c, e) == 0)
        return c;
    if (c->open)
        c->conf.store.ops->rollback(c->conf.store.db);
    *e = c->failed;
    core_free(c);
    return NULL;
}

void core_free(struct core *c)
{
    if (c == NULL)
        return;
    c->effects_ready = c->effects_at;
    effects_drop(c);
    free(c->effects);
    signings_free(c);
    waiting_free(c);
    state_free(c);
    store_close(&c->window);
    ledger_wipe(&c->audit.ledger);
    buf_free(&c->root);
    buf_free(&c->crl);
    buf_free(&c->out);
    wipe(c, sizeof *c);
    free(c);
}
