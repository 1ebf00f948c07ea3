/* docs/protocol.md over either pipe. Entries are signed before the time is taken; what is delivered
 * is read as far as author and seq, because reading more would measure the generator. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/chat/compact.h"
#include "common/chat/content.h"
#include "common/chat/entry.h"
#include "common/chat/proto.h"
#include "common/link/link.h"
#include "tests/bench/load/drivers.h"
#include "tests/bench/load/pipe.h"
#include "tests/bench/load/traffic.h"

enum { ID_LOGIN = 1, ID_PROOF, ID_RESUME, ID_ROOM };

struct own {
    struct account_auth auth;
    uint8_t token[RESUME_LEN];
    bool may_resume, is_member;
    struct room_id room;
    uint64_t number;        /* of the room, last heard of */
    struct entry_line line; /* the last one we signed: seq and, hashed, what prev will be */
    struct hash prev;
    uint64_t first;  /* seq of the message 0 */
    struct buf said; /* the messages as frames, signed ahead, */
    size_t *at;      /* and where each begins */
};

static struct own *own_of(const struct conn *c)
{
    return c->own;
}

static void send_frame(struct conn *c, enum frame_type t, const void *body)
{
    struct err e = {0};
    struct buf b;

    buf_init(&b, FRAME_HEAD + FRAME_MAX);
    if (frame_put(&b, t, body, &e) < 0)
        load_fail(c->load, "%s: %s", frame_name(t), e.text);
    struct span s = buf_span(&b);
    conn_put(c, s.p, s.n);
    buf_free(&b);
}

/* --- login --- */

static void own_login(struct conn *c)
{
    (void)c; /* the relay speaks first */
}

static void ask_login(struct conn *c)
{
    struct account_auth *a = &own_of(c)->auth;
    struct f_login login = {.id = ID_LOGIN};
    struct rng rng = rng_system();

    *a = (struct account_auth){.client_cert = c->member->fp};
    if (c->load->pipe->bind(c, a) < 0 || rng_fill(&rng, login.nonce, NONCE_LEN) < 0)
        load_fail(c->load, "a login cannot be bound to its connection");
    memcpy(a->client_nonce, login.nonce, NONCE_LEN);
    send_frame(c, F_LOGIN, &login);
}

static void ask_resume(struct conn *c)
{
    struct f_resume resume = {.id = ID_RESUME};

    memcpy(resume.token, own_of(c)->token, RESUME_LEN);
    send_frame(c, F_RESUME, &resume);
}

static void on_hello(struct conn *c, const struct frame *f)
{
    static const struct str words[] = {{COMPACT_WORD, sizeof COMPACT_WORD - 1}};
    struct f_hello_client hello = {.v = 1, .features = words, .features_n = 1};

    if (!compact_spoken(f->u.hello_relay.features, f->u.hello_relay.features_n))
        load_fail(c->load, "the relay does not speak %s", COMPACT_WORD);
    if (c->load->shakes) {
        conn_registered(c);
        return;
    }
    send_frame(c, F_HELLO_CLIENT, &hello);
    if (own_of(c)->may_resume)
        ask_resume(c);
    else
        ask_login(c);
}

static void on_challenge(struct conn *c, const struct frame *f)
{
    const struct f_challenge *ch = &f->u.challenge;
    struct account_auth *a = &own_of(c)->auth;
    struct f_proof proof = {.id = ID_PROOF};

    memcpy(a->relay_nonce, ch->nonce, NONCE_LEN);
    memcpy(a->salt, ch->salt, SALT_LEN);
    a->cost = (struct argon_cost){(uint32_t)ch->t, (uint32_t)ch->m};
    account_client_proof(&proof.proof, &c->member->salted, a);
    send_frame(c, F_PROOF, &proof);
}

/* --- rooms --- */

static void room_name(const struct conn *c, char out[32])
{
    snprintf(out, 32, "bench-%u", 1000 + c->room);
}

static void on_welcome(struct conn *c, const struct frame *f)
{
    const struct f_welcome *w = &f->u.welcome;
    struct own *o = own_of(c);
    char name[32];

    room_name(c, name);
    for (size_t i = 0; i < w->rooms_n; i++)
        if (str_is(w->rooms[i].name, name)) {
            o->room = w->rooms[i].id;
            o->is_member = true;
        }
    memcpy(o->token, w->token, RESUME_LEN);
    o->may_resume = true;
    conn_registered(c);
}

static void own_join(struct conn *c)
{
    char name[32];
    struct f_room_create create = {.id = ID_ROOM, .ephemeral = c->load->conf.ephemeral};

    room_name(c, name);
    create.name = str_of(name);
    if (own_of(c)->is_member)
        conn_joined(c);
    else if (c->place == 0)
        send_frame(c, F_ROOM_CREATE, &create);
    else
        send_frame(c, F_ROOM_JOIN, &(struct f_room_join){.id = ID_ROOM, .name = str_of(name)});
}

static void on_error(struct conn *c, const struct frame *f)
{
    load_fail(c->load, "member %u: the relay says %.*s", c->number, (int)f->u.error.text.n,
              f->u.error.text.p);
}

static void on_ping(struct conn *c, const struct frame *f)
{
    (void)f;
    send_frame(c, F_PONG, &(struct f_pong){.none = true});
}

/* --- entries: saying --- */

/* The next line of the author's chain with this content, as a frame behind those in out. */
static int entry_append(struct conn *c, struct span content, struct buf *out)
{
    struct own *o = own_of(c);
    struct rng rng = rng_system();
    char text[LINE_MAX_LEN + 1];
    uint8_t sig[SIG_MAX];
    struct f_entry_say say;
    struct err e = {0};
    struct buf body;
    size_t sig_n;
    int rc = -1;

    o->line.room = o->room;
    o->line.author = c->member->fp;
    o->line.ts = (int64_t)time(NULL) * 1000;
    o->line.seq++;
    o->line.prev = o->prev;
    buf_init(&body, BODY_MAX);
    if (entry_body_make(&body, &o->line, content, &rng, &e) == 0) {
        say.line = str_from(text, entry_line_put(text, &o->line));
        if (members_sign(c->load->members, span_of(say.line.p, say.line.n), sig, &sig_n) == 0) {
            say.sig = span_of(sig, sig_n);
            say.body = buf_span(&body);
            entry_line_hash(say.line, &o->prev);
            rc = compact_say_put(out, &say, &e) == 1 ? 0 : -1;
        }
    }
    buf_free(&body);
    if (rc < 0)
        load_fail(c->load, "an entry cannot be made: %s", e.text);
    return rc;
}

static void sign_join(struct conn *c)
{
    const struct member *m = c->member;
    const struct content_who me = {m->account, str_of(m->name)};
    struct buf content, out;
    struct err e = {0};

    buf_init(&content, CONTENT_MAX);
    buf_init(&out, FRAME_HEAD + FRAME_MAX);
    if (content_join_put(&content, &me, NULL, &e) < 0)
        load_fail(c->load, "a join cannot be made: %s", e.text);
    else if (entry_append(c, buf_span(&content), &out) == 0)
        conn_put(c, buf_span(&out).p, out.len);
    buf_free(&content);
    buf_free(&out);
}

/* Admitted by the answer; in when the relay has our signed join and says the room once more. */
static void on_room(struct conn *c, const struct frame *f)
{
    const struct f_room_info *r = &f->u.room.room;
    struct own *o = own_of(c);

    if (f->u.room.re == ID_ROOM)
        o->room = r->id;
    if (memcmp(&o->room, &r->id, sizeof o->room) != 0 || o->is_member)
        return;
    if (!r->is_signed) {
        sign_join(c);
        return;
    }
    o->is_member = true;
    conn_joined(c);
}

/* Whose messages are counted: a table by the author's fingerprint. */
enum { AUTHORS = 4096 };

struct authors {
    struct author {
        bool used;
        struct hash fp;
        uint32_t sender;
        uint64_t first; /* seq of its message 0 */
    } slots[AUTHORS];
};

static struct author *author_slot(struct authors *all, const uint8_t *fp)
{
    uint32_t at;

    memcpy(&at, fp, sizeof at);
    for (at %= AUTHORS; all->slots[at].used; at = (at + 1) % AUTHORS)
        if (memcmp(all->slots[at].fp.b, fp, HASH_LEN) == 0)
            break;
    return &all->slots[at];
}

static int author_add(const struct sender *s)
{
    struct load *l = s->conn->load;

    if (l->common == NULL && (l->common = calloc(1, sizeof(struct authors))) == NULL)
        return -1;
    struct author *a = author_slot(l->common, s->conn->member->fp.b);
    *a = (struct author){.used = true,
                         .fp = s->conn->member->fp,
                         .sender = s->number,
                         .first = own_of(s->conn)->line.seq + 1};
    return 0;
}

static int own_prepare(struct sender *s)
{
    struct own *o = own_of(s->conn);
    char text[4096];
    struct err e = {0};
    struct buf content;
    int rc = author_add(s);

    memset(text, 'x', sizeof text);
    buf_init(&content, CONTENT_MAX);
    buf_init(&o->said, SIZE_MAX / 2);
    o->at = calloc(s->messages + 1, sizeof *o->at);
    if (o->at == NULL ||
        content_say_put(&content, str_from(text, s->conn->load->conf.bytes), &e) < 0)
        rc = -1;
    for (uint32_t i = 0; i < s->messages && rc == 0; i++) {
        rc = entry_append(s->conn, buf_span(&content), &o->said);
        o->at[i + 1] = o->said.len;
    }
    buf_free(&content);
    return rc;
}

static void own_say(struct conn *c, const struct sender *s, uint32_t seq)
{
    const struct own *o = own_of(c);

    (void)s;
    conn_put(c, buf_span(&o->said).p + o->at[seq], o->at[seq + 1] - o->at[seq]);
}

static void own_forget(struct conn *c)
{
    buf_free(&own_of(c)->said);
    free(own_of(c)->at);
}

/* --- entries: hearing --- */

/* What the room says of itself: numbers rise. */
static void numbered(struct conn *c, uint64_t n)
{
    struct own *o = own_of(c);

    if (n <= o->number)
        load_fail(c->load, "member %u: number %llu after %llu", c->number, (unsigned long long)n,
                  (unsigned long long)o->number);
    o->number = n;
}

static void heard(struct conn *c, const uint8_t *author, uint64_t seq)
{
    const struct author *a = c->load->common == NULL ? NULL : author_slot(c->load->common, author);

    if (a != NULL && a->used && seq >= a->first)
        traffic_delivered(c, a->sender, (uint32_t)(seq - a->first));
}

/* A compact entry, as far as its author. */
static void take_compact(struct conn *c, struct span frame)
{
    struct rd r = rd_of(frame);

    (void)rd_u8(&r);
    uint64_t number = rd_var(&r);
    (void)rd_var(&r);
    (void)rd_take(&r, ROOM_ID_LEN);
    uint64_t seq = rd_var(&r);
    (void)rd_var(&r);
    const uint8_t *author = rd_take(&r, HASH_LEN);
    if (author == NULL) {
        load_fail(c->load, "member %u: a compact entry is cut", c->number);
        return;
    }
    numbered(c, number);
    heard(c, author, seq);
}

static void on_entry(struct conn *c, const struct frame *f)
{
    struct entry_line l;
    struct err e = {0};

    if (entry_line_take(&l, f->u.entry.line, &e) < 0) {
        load_fail(c->load, "member %u: %s", c->number, e.text);
        return;
    }
    numbered(c, f->u.entry.number);
    heard(c, l.author.b, l.seq);
}

/* Only counted: reading it all would measure the generator. */
static bool take_numbered(struct conn *c, struct span json)
{
    static const char begin[] = "{\"type\":\"numbered\"";
    struct traffic *t = c->load->traffic;

    if (json.n < sizeof begin || memcmp(json.p, begin, sizeof begin - 1) != 0)
        return false;
    if (t != NULL && t->said > 0 && c->number < t->senders_n)
        traffic_acknowledged(&t->senders[c->number]);
    return true;
}

/* --- frames --- */

static const struct {
    enum frame_type type;
    void (*run)(struct conn *c, const struct frame *f);
} handlers[] = {
    {F_HELLO_RELAY, on_hello}, {F_CHALLENGE, on_challenge}, {F_WELCOME, on_welcome},
    {F_ROOM, on_room},         {F_ERROR, on_error},         {F_PING, on_ping},
    {F_ENTRY, on_entry},
};

static void own_frame(struct conn *c, struct span json)
{
    struct err e = {0};
    struct frame f;

    if (compact_is(json)) {
        take_compact(c, json);
        return;
    }
    if (take_numbered(c, json))
        return;
    if (frame_take(&f, json, FROM_RELAY, &e) < 0) {
        load_fail(c->load, "member %u: %s", c->number, e.text);
        return;
    }
    for (size_t i = 0; i < COUNT(handlers); i++)
        if (handlers[i].type == f.type)
            handlers[i].run(c, &f);
    frame_free(&f);
}

static size_t own_take(struct conn *c, struct span in)
{
    struct rd r = rd_of(in);
    size_t used = 0;

    while (rd_left(&r) > FRAME_HEAD && c->load->err.code == ERR_NONE) {
        size_t n = rd_u32(&r);
        const uint8_t *p = rd_take(&r, n);

        if (p == NULL)
            break;
        own_frame(c, span_of(p, n));
        used += FRAME_HEAD + n;
    }
    return used;
}

const struct driver driver_countersign = {
    .name = "countersign",
    .alpn = LINK_ALPN_CHAT,
    .own_size = sizeof(struct own),
    .login = own_login,
    .join = own_join,
    .prepare = own_prepare,
    .say = own_say,
    .forget = own_forget,
    .take = own_take,
};
