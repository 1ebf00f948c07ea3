#include "server/core/session.h"

#include "common/chat/compact.h"
#include "common/chat/frame.h"

#include <stdlib.h>
#include <string.h>

enum { NEED_HELLO = 1, NEED_LOGIN = 2, NEED_JOIN = 4 }; /* what the peer still owes us */
enum { PIECE = 64 * 1024 };

struct session {
    uint64_t conn;
    unsigned need;
    bool join, pinged, asked; /* asked: a challenge is under way, proof may come */
    bool compact;             /* the peer reads compact entries */
    bool cosigns;             /* COSIGN_WORD was among its features */
    unsigned logins;
    const char *link, *suite;
    char source[SOURCE_MAX + 1];
    char *email;        /* on join; NULL: not said */
    struct pubkey *key; /* of the peer's certificate, all that is kept of it; NULL on join */
    struct hash fp, relay_cert;
    struct key exporter;
    int64_t expires;      /* the certificate */
    int64_t now;          /* wall clock, by feed and tick */
    int64_t since, heard; /* ticks */
    struct frames frames;
    struct buf out;
    struct job *jobs, **jobs_end;
    unsigned jobs_n;
    bool stalled; /* frames wait until the jobs were taken */
    struct err err;
};

/* --- answers of our own --- */

static void session_put(struct session *s, enum frame_type t, const void *body)
{
    struct err e = {0};
    if (frame_put(&s->out, t, body, &e) < 0)
        err_set(&s->err, ERR_LIMIT, "the peer does not read");
}

/* Says why to the peer and ends it. */
static int session_refuse(struct session *s, uint64_t re, enum proto_code code, const char *text)
{
    struct f_error f = {.re = re, .code = code, .text = str_of(text)};

    session_put(s, F_ERROR, &f);
    return err_set(&s->err, ERR_PEER, "%s: %s", proto_code_word(code), text);
}

/* --- jobs --- */

static struct job *job_make(struct session *s, struct frame *f)
{
    struct job *j = job_new(JOB_FRAME, s->conn);

    if (j == NULL) {
        err_set(&s->err, ERR_LOCAL, "no memory");
        return NULL;
    }
    memcpy(j->source, s->source, sizeof j->source);
    j->frame = *f;
    *f = (struct frame){0};
    return j;
}

static int job_give(struct session *s, struct job *j)
{
    if (j == NULL)
        return -1;
    *s->jobs_end = j;
    s->jobs_end = &j->next;
    s->jobs_n++;
    return 0;
}

static int on_request(struct session *s, struct frame *f)
{
    return job_give(s, job_make(s, f));
}

/* --- before login --- */

static int on_hello(struct session *s, struct frame *f)
{
    s->compact = compact_spoken(f->u.hello_client.features, f->u.hello_client.features_n);
    s->cosigns =
        feature_spoken(f->u.hello_client.features, f->u.hello_client.features_n, COSIGN_WORD);
    s->need &= ~(unsigned)NEED_HELLO;
    return 0;
}

static struct job *login_job(struct session *s, struct frame *f)
{
    struct job *j = job_make(s, f);

    if (j == NULL)
        return NULL;
    j->compact = s->compact;
    j->cosigns = s->cosigns;
    j->suite = s->suite;
    j->auth = (struct account_auth){.link = s->link,
                                    .exporter = s->exporter,
                                    .client_cert = s->fp,
                                    .relay_cert = s->relay_cert};
    return j;
}

static int on_login(struct session *s, struct frame *f)
{
    if (++s->logins > LOGINS_MAX)
        return session_refuse(s, f->u.login.id, CODE_STATE, "login was asked for too often");
    struct job *j = login_job(s, f);
    if (j != NULL)
        memcpy(j->auth.client_nonce, j->frame.u.login.nonce, NONCE_LEN);
    s->asked = true;
    return job_give(s, j);
}

static int on_proof(struct session *s, struct frame *f)
{
    if (!s->asked)
        return session_refuse(s, f->u.proof.id, CODE_STATE, "a proof without a challenge");
    s->asked = false;
    return on_request(s, f);
}

static int on_resume(struct session *s, struct frame *f)
{
    if (++s->logins > LOGINS_MAX)
        return session_refuse(s, f->u.resume.id, CODE_STATE, "login was asked for too often");
    s->asked = false;
    return job_give(s, login_job(s, f));
}

static int on_join(struct session *s, struct frame *f)
{
    struct csr *csr = calloc(1, sizeof *csr);
    struct err e = {0};
    int rc = -1;

    s->need &= ~(unsigned)NEED_JOIN;
    if (csr == NULL) {
        err_set(&s->err, ERR_LOCAL, "no memory");
    } else if (csr_parse(f->u.join.csr, csr, &e) < 0) {
        rc = session_refuse(s, f->u.join.id, CODE_MALFORMED, e.text);
    } else if (!csr->rsa) {
        rc = session_refuse(s, f->u.join.id, CODE_MALFORMED, "a device's key must be RSA");
    } else {
        struct job *j = job_make(s, f);
        if (j != NULL) {
            j->csr = *csr;
            j->email = s->email;
            s->email = NULL;
        }
        rc = job_give(s, j);
    }
    free(csr);
    return rc;
}

/* --- entries --- */

/* Why policy voids a correct entry; empty: it does not. What the sequencer need not know of its
 * content is not kept. */
static int entry_policy(struct session *s, struct span body, struct content *what, char *why,
                        size_t cap)
{
    struct err e = {0};

    *what = (struct content){.kind = CONTENT_UNKNOWN};
    if (body.n < OPENING_LEN) {
        err_set(&e, ERR_PEER, "the body is too short");
    } else if (content_take(what, span_of(body.p + OPENING_LEN, body.n - OPENING_LEN), &e) == 0) {
        enum content_kind kind = what->kind;
        bool seats = content_seats(kind);
        if (seats && body.n <= OPENING_LEN + SEAT_CONTENT_MAX)
            return 0;
        content_free(what);
        what->kind = seats ? CONTENT_UNKNOWN : kind;
        if (!seats)
            return 0;
        err_set(&e, ERR_LIMIT, "content: more than %d bytes for who is a member", SEAT_CONTENT_MAX);
    }
    if (e.code == ERR_LOCAL)
        return err_set(&s->err, ERR_LOCAL, "no memory");
    struct str text = str_of(e.text);
    if (text.n >= cap)
        text.n = cap - 1;
    return str_copy(why, cap, text);
}

static int entry_check(const struct session *s, const struct f_entry_say *f, struct entry_line *l,
                       struct err *e)
{
    if (entry_line_take(l, f->line, e) < 0)
        return -1;
    if (l->epoch != 0)
        return err_set(e, ERR_PEER, "epoch is not 0");
    if (!hash_same(&l->author, &s->fp))
        return err_set(e, ERR_PEER, "the author is not this connection's certificate");
    if (s->now > s->expires)
        return err_set(e, ERR_PEER, "the author's certificate has expired");
    if (entry_body_check(l, f->body, e) < 0)
        return -1;
    return entry_key_check(s->key, &s->fp, l, f->line, f->sig, e);
}

/* Signed by a clock that is ahead of ours. Its author can neither change these bytes, which are on
 * his disk, nor leave them out: their time comes. */
static int entry_later(struct session *s, const struct entry_line *l)
{
    const int64_t ahead = (int64_t)l->ts - s->now;
    const struct f_again f = {.room = l->room,
                              .seq = l->seq,
                              .wait = (uint64_t)(ahead - TS_FUTURE_MS),
                              .text = str_of("its author's clock is ahead of the relay's")};

    session_put(s, F_AGAIN, &f);
    return s->err.code == ERR_NONE ? 0 : -1;
}

static int on_entry(struct session *s, struct frame *f)
{
    struct entry_line l = {0};
    char policy[sizeof((struct job *)0)->policy] = "";
    struct content what;
    struct err e = {0};

    if (entry_check(s, &f->u.entry_say, &l, &e) < 0)
        return session_refuse(s, 0, CODE_BAD_ENTRY, e.text);
    if (l.ts > s->now + TS_FUTURE_MS)
        return entry_later(s, &l);
    if (entry_policy(s, f->u.entry_say.body, &what, policy, sizeof policy) < 0)
        return -1;
    struct job *j = job_make(s, f);
    if (j == NULL) {
        content_free(&what);
    } else {
        j->what = what;
        j->line = l;
        entry_line_hash(j->frame.u.entry_say.line, &j->line_hash);
        memcpy(j->policy, policy, sizeof policy);
    }
    return job_give(s, j);
}

/* --- receipts --- */

/* What it says of its signer and is not so; NULL: nothing. No honest client says it. Which session
 * it is about is the core's to know: it may be one that was cut. */
static const char *receipt_lie(const struct session *s, const struct receipt *r,
                               const struct receipt_seal *seal)
{
    if (!hash_same(&r->signer, &s->fp))
        return "signer: not this connection's certificate";
    if (r->created > s->now + TS_FUTURE_MS)
        return "created_at: too far ahead of the relay's clock";
    if (seal->role != RECEIPT_CLIENT || !hash_same(&seal->signer, &r->signer) ||
        seal->time != r->created)
        return "the seal is not the one of the client that the receipt names";
    return NULL;
}

static bool receipt_signed(const struct session *s, struct span receipt, struct span seal,
                           struct span sig)
{
    struct receipt_signed all;

    return s->now <= s->expires &&
           receipt_signed_make(&all, str_from(receipt.p, receipt.n), str_from(seal.p, seal.n)) ==
               0 &&
           pubkey_verify_pss(s->key, span_of(all.b, all.n), sig);
}

/* Refused, but no reason to part: the client keeps its receipt without our seal. */
static int receipt_denied(struct session *s, uint64_t re, const char *why)
{
    const struct f_error f = {.re = re, .code = CODE_DENIED, .text = str_of(why)};

    session_put(s, F_ERROR, &f);
    return s->err.code == ERR_NONE ? 0 : -1;
}

static int on_seal(struct session *s, struct frame *f)
{
    const struct f_seal *x = &f->u.seal;
    struct receipt_seal seal;
    struct receipt r;
    struct err e = {0};

    if (receipt_take(&r, str_from(x->receipt.p, x->receipt.n), &e) < 0 ||
        receipt_seal_take(&seal, str_from(x->seal.p, x->seal.n), &e) < 0)
        return session_refuse(s, x->id, CODE_MALFORMED, e.text);
    const char *lie = receipt_lie(s, &r, &seal);
    if (lie == NULL && !receipt_signed(s, x->receipt, x->seal, x->sig))
        lie = "the client's signature is wrong, or its certificate has expired";
    if (lie != NULL)
        return receipt_denied(s, x->id, lie);
    struct job *j = job_make(s, f);
    if (j != NULL)
        j->receipt = r;
    return job_give(s, j);
}

/* Nobody answers it, so whoever says what is wrong by itself has broken the protocol. Whether it
 * was asked for is the core's to know. */
static int on_cosign(struct session *s, struct frame *f)
{
    const struct f_cosign *x = &f->u.cosign;
    struct receipt_seal seal;
    struct receipt r;
    struct err e = {0};

    if (receipt_take(&r, str_from(x->receipt.p, x->receipt.n), &e) < 0 ||
        receipt_seal_take(&seal, str_from(x->seal.p, x->seal.n), &e) < 0)
        return session_refuse(s, 0, CODE_MALFORMED, e.text);
    if (seal.role != RECEIPT_MEMBER || !hash_same(&seal.signer, &s->fp) ||
        !receipt_signed(s, x->receipt, x->seal, x->sig))
        return session_refuse(s, 0, CODE_MALFORMED, "a seal that is not this connection's");
    if (seal.time > s->now + TS_FUTURE_MS)
        return 0; /* its clock is wrong; there is no seal then */
    struct job *j = job_make(s, f);
    if (j != NULL) {
        j->receipt = r;
        j->sealed_at = seal.time;
    }
    return job_give(s, j);
}

/* --- either way --- */

static int on_ping(struct session *s, struct frame *f)
{
    (void)f;
    session_put(s, F_PONG, &(struct f_pong){0});
    return s->err.code == ERR_NONE ? 0 : -1;
}

static int on_pong(struct session *s, struct frame *f)
{
    (void)s;
    (void)f;
    return 0;
}

/* --- dispatch: the only code that looks at `need` --- */

static const struct handler {
    enum frame_type type;
    bool join;     /* on countersign-join/1, else on countersign/1 */
    unsigned paid; /* debts that must be paid first */
    unsigned owed; /* and those that must be open: it may not come later */
    int (*run)(struct session *s, struct frame *f);
} handlers[] = {
    {F_HELLO_CLIENT, false, 0, NEED_HELLO, on_hello},
    {F_LOGIN, false, NEED_HELLO, NEED_LOGIN, on_login},
    {F_PROOF, false, NEED_HELLO, NEED_LOGIN, on_proof},
    {F_RESUME, false, NEED_HELLO, NEED_LOGIN, on_resume},
    {F_PING, false, NEED_HELLO, 0, on_ping},
    {F_PONG, false, NEED_HELLO, 0, on_pong},
    {F_ENTRY_SAY, false, NEED_HELLO | NEED_LOGIN, 0, on_entry},
    {F_DELIVERED_SAY, false, NEED_HELLO | NEED_LOGIN, 0, on_request},
    {F_HISTORY_ASK, false, NEED_HELLO | NEED_LOGIN, 0, on_request},
    {F_MEMBERS_ASK, false, NEED_HELLO | NEED_LOGIN, 0, on_request},
    {F_CERT_ASK, false, NEED_HELLO | NEED_LOGIN, 0, on_request},
    {F_ROOM_CREATE, false, NEED_HELLO | NEED_LOGIN, 0, on_request},
    {F_ROOM_LIST, false, NEED_HELLO | NEED_LOGIN, 0, on_request},
    {F_ROOM_JOIN, false, NEED_HELLO | NEED_LOGIN, 0, on_request},
    {F_PERSON_ASK, false, NEED_HELLO | NEED_LOGIN, 0, on_request},
    {F_ROLL_ASK, false, NEED_HELLO | NEED_LOGIN, 0, on_request},
    {F_CHECKPOINT_ASK, false, NEED_HELLO | NEED_LOGIN, 0, on_request},
    {F_TREE_ASK, false, NEED_HELLO | NEED_LOGIN, 0, on_request},
    {F_SIGNER_ASK, false, NEED_HELLO | NEED_LOGIN, 0, on_request},
    {F_SEAL, false, NEED_HELLO | NEED_LOGIN, 0, on_seal},
    {F_COSIGN, false, NEED_HELLO | NEED_LOGIN, 0, on_cosign},
    {F_ROOM_TOPIC, false, NEED_HELLO | NEED_LOGIN, 0, on_request},
    {F_ROOM_OPEN, false, NEED_HELLO | NEED_LOGIN, 0, on_request},
    {F_HELLO_CLIENT, true, 0, NEED_HELLO, on_hello},
    {F_JOIN, true, NEED_HELLO, NEED_JOIN, on_join},
};

static int frame_dispatch(struct session *s, struct frame *f)
{
    for (size_t i = 0; i < COUNT(handlers); i++) {
        const struct handler *h = &handlers[i];
        if (h->type == f->type && h->join == s->join && (s->need & h->paid) == 0 &&
            (s->need & h->owed) == h->owed)
            return h->run(s, f);
    }
    return session_refuse(s, 0, CODE_STATE, "this is not allowed now");
}

static int frame_read(struct session *s, struct span json)
{
    struct frame f = {0};
    struct err e = {0};

    if (frame_take(&f, json, FROM_CLIENT, &e) < 0) {
        if (e.code == ERR_LOCAL)
            return err_set(&s->err, ERR_LOCAL, "%s", e.text);
        return session_refuse(s, 0, CODE_MALFORMED, e.text);
    }
    int rc = frame_dispatch(s, &f);
    frame_free(&f);
    return rc;
}

static int piece_feed(struct session *s, struct span in)
{
    struct err e = {0};
    struct span json;
    int rc = frames_feed(&s->frames, in, &e);

    while (rc == 0 && s->jobs_n < JOBS_MAX && (rc = frames_next(&s->frames, &json, &e)) == 1)
        rc = frame_read(s, json);
    s->stalled = s->jobs_n == JOBS_MAX;
    if (rc < 0 && s->err.code == ERR_NONE)
        return session_refuse(s, 0, CODE_MALFORMED, e.text);
    return rc;
}

int session_feed(struct session *s, struct span in, struct moment at)
{
    if (s->err.code != ERR_NONE)
        return -1;
    s->now = at.wall;
    if (in.n > 0) {
        s->heard = at.ticks;
        s->pinged = false;
    }
    do {
        size_t n = in.n < PIECE ? in.n : PIECE;
        if (piece_feed(s, span_of(in.p, n)) < 0)
            return -1;
        in = span_of(in.p + n, in.n - n);
    } while (in.n > 0);
    return 0;
}

bool session_stalled(const struct session *s)
{
    return s->stalled;
}

struct job *session_job(struct session *s)
{
    struct job *j = s->jobs;

    if (j == NULL)
        return NULL;
    s->jobs = j->next;
    s->jobs_n--;
    if (s->jobs == NULL)
        s->jobs_end = &s->jobs;
    j->next = NULL;
    return j;
}

struct span session_out(const struct session *s)
{
    return buf_span(&s->out);
}

/* What an idle session may keep. */
enum { OUT_IDLE = 1024 };

void session_sent(struct session *s, size_t n)
{
    buf_drop(&s->out, n);
    if (s->out.len == 0 && s->out.cap > OUT_IDLE)
        buf_free(&s->out);
}

void session_welcome(struct session *s)
{
    s->need &= ~(unsigned)NEED_LOGIN;
    frames_bound(&s->frames, FRAME_MAX);
    key_wipe(&s->exporter);
}

/* --- time --- */

int session_tick(struct session *s, struct moment at)
{
    if (s->err.code != ERR_NONE)
        return -1;
    s->now = at.wall;
    if ((s->need != 0 || s->join) && at.ticks - s->since >= LOGIN_MS)
        return session_refuse(s, 0, CODE_STATE, "login took too long");
    if (s->key != NULL && at.wall > s->expires)
        return session_refuse(s, 0, CODE_AUTH, "your certificate has expired");
    if (s->need != 0 || s->join || at.ticks - s->heard < PING_MS)
        return 0;
    if (at.ticks - s->heard >= 2 * PING_MS)
        return err_set(&s->err, ERR_PEER, "nothing was heard");
    if (!s->pinged)
        session_put(s, F_PING, &(struct f_ping){0});
    s->pinged = true;
    return s->err.code == ERR_NONE ? 0 : -1;
}

void session_shutdown(struct session *s)
{
    if (s->err.code == ERR_NONE)
        (void)session_refuse(s, 0, CODE_SHUTDOWN, "the relay is going down");
}

bool session_compact(const struct session *s)
{
    return s->compact;
}

bool session_ready(const struct session *s)
{
    return s->need == 0 && !s->join;
}

const struct err *session_error(const struct session *s)
{
    return &s->err;
}

const struct hash *session_fp(const struct session *s)
{
    return &s->fp;
}

/* --- its life --- */

static int session_cert(struct session *s, struct span leaf, struct err *e)
{
    struct cert *c = cert_parse(leaf, NULL, e);
    struct cert_info info;

    if (c == NULL)
        return -1;
    cert_fingerprint(leaf, &s->fp);
    cert_info(c, &info);
    s->expires = info.not_after;
    s->key = pubkey_parse(cert_spki(c), e);
    cert_free(c);
    return s->key == NULL ? -1 : 0;
}

struct session *session_new(const struct session_conf *conf, struct moment at, struct err *e)
{
    struct session *s = calloc(1, sizeof *s);
    const struct str features[] = {str_of(COMPACT_WORD)};
    struct f_hello_relay hello = {.v = 1,
                                  .features = features,
                                  .features_n = COUNT(features),
                                  .now = at.wall,
                                  .relay = str_of(conf->relay)};

    if (s == NULL) {
        err_set(e, ERR_LOCAL, "no memory");
        return NULL;
    }
    s->conn = conf->conn;
    s->join = conf->join;
    s->need = NEED_HELLO | (conf->join ? (unsigned)NEED_JOIN : (unsigned)NEED_LOGIN);
    s->link = conf->link;
    s->suite = conf->suite == NULL ? "unknown" : conf->suite;
    s->relay_cert = conf->relay_cert;
    s->exporter = conf->exporter;
    s->now = at.wall;
    s->since = s->heard = at.ticks;
    s->jobs_end = &s->jobs;
    frames_init(&s->frames, FRAME_MAX_EARLY);
    buf_init(&s->out, LINK_OUT_MAX);
    struct str source = str_of(conf->source);
    if (conf->email != NULL)
        s->email = strdup(conf->email);
    if (str_copy(s->source, sizeof s->source, source) == 0 &&
        (conf->email == NULL || s->email != NULL) &&
        (conf->join || session_cert(s, conf->leaf, e) == 0) &&
        f_hello_relay_put(&s->out, &hello, e) == 0)
        return s;
    err_set(e, ERR_LOCAL, "a connection cannot be set up");
    session_free(s);
    return NULL;
}

void session_free(struct session *s)
{
    if (s == NULL)
        return;
    for (struct job *j = session_job(s); j != NULL; j = session_job(s))
        job_free(j);
    free(s->email);
    pubkey_free(s->key);
    frames_free(&s->frames);
    buf_free(&s->out);
    wipe(s, sizeof *s);
    free(s);
}
