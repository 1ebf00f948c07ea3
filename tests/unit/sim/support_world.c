#include "support_world.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/keep_sqlite.h"
#include "common/chat/account.h"
#include "common/chat/entry.h"
#include "common/chat/name.h"
#include "common/crypto/issue.h"
#include "server/core/seal.h"
#include "server/core/store_window.h"
#include "server/store_sqlite.h"

static const int64_t noon = 1750000000000;
static const int64_t day_ms = 24 * 3600 * (int64_t)1000;
static const struct key seal_key = {{7}}, keep_key = {{8}};
static const struct hash relay_fp = {{9}};
static const char *const names[PEOPLE] = {"alice", "bob", "carol", "dave"};

/* --- dying --- */

void world_fail(struct world *w, const char *fmt, ...)
{
    va_list ap;

    if (w->fail[0] != '\0')
        return;
    va_start(ap, fmt);
    vsnprintf(w->fail, sizeof w->fail, fmt, ap);
    va_end(ap);
}

bool world_good(const struct world *w)
{
    return w->fail[0] == '\0';
}

/* Something acknowledged is not there: with `lossy` that is what the test wants to see. */
static void world_lost(struct world *w, const char *what, const struct note *n)
{
    w->lost++;
    if (!w->lossy)
        world_fail(w, "%s: %s's entry %llu (number %llu)", what, names[n->who],
                   (unsigned long long)n->seq, (unsigned long long)n->number);
}

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "support_world: %s\n", what);
    abort();
}

/* --- keys and certificates, once a process --- */

struct der {
    uint8_t b[CERT_MAX];
    size_t n;
};

static struct pool {
    bool made;
    struct dice dice;
    struct pkey *root_key, *inter_key, *keys[PEOPLE + 1];
    struct der root, inter, leaf[PEOPLE + 1]; /* the last: of the further device, see enrol */
    struct buf crl;
    struct hash fp[PEOPLE + 1], root_fp;
    struct account_id id[PEOPLE];
    struct key salted[PEOPLE];
} pool;

static int fill(void *ctx, uint8_t *out, size_t n)
{
    struct dice *d = ctx;

    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = dice_u64(d);
        memcpy(out + i, &v, n - i < 8 ? n - i : 8);
    }
    return 0;
}

static void pool_cert(struct cert_form *f, struct pkey *subject, struct issuer by,
                      const struct rng *r, struct der *out)
{
    uint8_t spki[SPKI_MAX];
    struct err e = {0};

    must(pkey_spki(subject, spki, &f->spki.n, &e) == 0, e.text);
    f->spki.p = spki;
    must(serial_draw(&f->serial, r) == 0, "serial");
    f->not_before = noon - 10 * day_ms;
    f->not_after = noon + 300 * day_ms;
    must(cert_issue(f, &by, r, out->b, &out->n, &e) == 0, e.text);
}

static void pool_device(int i, const char *name, const char *device, const struct rng *r)
{
    struct cert_form f = cert_form_of(CERT_DEVICE);
    struct err e = {0};
    char uri[128];
    uint8_t sig[SIG_MAX];
    size_t n;

    pool.keys[i] = pkey_generate(PKEY_RSA_2048, r, &e);
    must(pool.keys[i] != NULL, e.text);
    f.cn = str_of(name);
    f.ou = str_of(device);
    must(device_uri(uri, sizeof uri, f.cn, f.ou) == 0, "uri");
    f.sans[f.sans_n++] = (struct san){SAN_URI, span_of(uri, strlen(uri))};
    pool_cert(&f, pool.keys[i],
              (struct issuer){span_of(pool.inter.b, pool.inter.n), pool.inter_key}, r,
              &pool.leaf[i]);
    cert_fingerprint(span_of(pool.leaf[i].b, pool.leaf[i].n), &pool.fp[i]);
    /* Draws its blinding now: later that would shift what a seed draws. */
    must(pkey_sign_pss(pool.keys[i], r, span_of(uri, 1), sig, &n, &e) == 0, e.text);
}

static void pool_person(int i, const struct rng *r)
{
    pool_device(i, names[i], "laptop", r);
    memset(pool.id[i].b, i + 1, sizeof pool.id[i].b);
    memset(pool.salted[i].b, i + 101, sizeof pool.salted[i].b);
}

static void pool_make(void)
{
    struct cert_form root = cert_form_of(CERT_ROOT), inter = cert_form_of(CERT_INTERMEDIATE);
    struct rng r = {fill, &pool.dice};
    struct err e = {0};

    if (pool.made)
        return;
    must(crypto_init(&e) == 0, e.text);
    disk_vfs();
    pool.dice.s = 4711;
    pool.root_key = pkey_generate(PKEY_RSA_2048, &r, &e);
    pool.inter_key = pkey_generate(PKEY_RSA_2048, &r, &e);
    must(pool.root_key != NULL && pool.inter_key != NULL, e.text);
    root.cn = str_of("root");
    inter.cn = str_of("issuing");
    pool_cert(&root, pool.root_key, (struct issuer){{NULL, 0}, pool.root_key}, &r, &pool.root);
    cert_fingerprint(span_of(pool.root.b, pool.root.n), &pool.root_fp);
    pool_cert(&inter, pool.inter_key,
              (struct issuer){span_of(pool.root.b, pool.root.n), pool.root_key}, &r, &pool.inter);
    const struct crl_form crl = {1, noon - day_ms, noon + 30 * day_ms, NULL, 0};
    const struct issuer by = {span_of(pool.inter.b, pool.inter.n), pool.inter_key};
    buf_init(&pool.crl, CRL_MAX);
    must(crl_write(&crl, &by, &r, &pool.crl, &e) == 0, e.text);
    for (int i = 0; i < PEOPLE; i++)
        pool_person(i, &r);
    pool_device(PEOPLE, names[ENROLLED], "phone", &r);
    pool.made = true;
}

int world_who_has(const struct hash *fp)
{
    for (int i = 0; i < PEOPLE; i++)
        if (hash_same(fp, &pool.fp[i]))
            return i;
    return -1;
}

const struct hash *world_fp(int who)
{
    return &pool.fp[who];
}

const struct account_id *world_account(int who)
{
    return &pool.id[who];
}

const char *world_name(int who)
{
    return names[who];
}

static int who_is(const struct account_id *id)
{
    for (int i = 0; i < PEOPLE; i++)
        if (memcmp(id, &pool.id[i], sizeof *id) == 0)
            return i;
    return -1;
}

/* --- queues --- */

struct chunk {
    struct chunk *next;
    int64_t due;
    size_t n;
    uint8_t b[];
};

static void digest_add(struct world *w, struct span bytes)
{
    w->digest = (w->digest ^ (uint64_t)w->mono) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < bytes.n; i++)
        w->digest = (w->digest ^ bytes.p[i]) * UINT64_C(0x100000001b3);
}

static void queue_add(struct world *w, struct queue *q, struct span bytes)
{
    struct chunk *c = malloc(sizeof *c + bytes.n);

    must(c != NULL, "no memory");
    *c = (struct chunk){.due = w->mono + 1 + (int64_t)dice_below(&w->dice, (uint64_t)w->delay),
                        .n = bytes.n};
    memcpy(c->b, bytes.p, bytes.n);
    if (c->due < q->last)
        c->due = q->last;
    q->last = c->due;
    *q->tail = c;
    q->tail = &c->next;
    digest_add(w, bytes);
}

static struct chunk *queue_due(struct world *w, struct queue *q, int64_t stall)
{
    struct chunk *c = q->first;

    if (c == NULL || c->due > w->mono || stall > w->mono)
        return NULL;
    q->first = c->next;
    if (q->first == NULL)
        q->tail = &q->first;
    return c;
}

static void queue_clear(struct queue *q)
{
    for (struct chunk *c = q->first, *next; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
    *q = (struct queue){0};
    q->tail = &q->first;
}

/* Calls each for the frames in bytes, which hold whole ones. */
typedef void each_frame(struct world *w, struct link_plain *l, struct frame *f, struct span raw);

static void frames_each(struct world *w, struct link_plain *l, struct span bytes, unsigned from,
                        each_frame *each)
{
    while (bytes.n >= 4) {
        struct rd r = rd_of(bytes);
        struct frame f = {0};
        struct err e = {0};
        size_t n = rd_u32(&r);

        if (n > bytes.n - 4) {
            world_fail(w, "a frame was cut in two by its sender");
            return;
        }
        if (frame_take(&f, span_of(bytes.p + 4, n), from, &e) < 0) {
            world_fail(w, "an end sent a malformed frame: %s", e.text);
            return;
        }
        each(w, l, &f, span_of(bytes.p, n + 4));
        frame_free(&f);
        bytes = span_of(bytes.p + 4 + n, bytes.n - 4 - n);
    }
}

/* --- notes --- */

static struct note *note_find(struct world *w, int who, const struct room_id *room, uint64_t seq)
{
    for (size_t i = 0; i < w->notes_n; i++) {
        struct note *n = w->notes + i;
        if (n->who == who && n->seq == seq && memcmp(&n->room, room, sizeof *room) == 0)
            return n;
    }
    must(w->notes_n < NOTES, "too much was said");
    struct note *n = w->notes + w->notes_n++;
    *n = (struct note){.who = who, .room = *room, .seq = seq};
    return n;
}

/* A client's bytes on their way: what leaves twice is the same. */
static void note_left(struct world *w, struct link_plain *l, struct frame *f, struct span raw)
{
    struct entry_line line;
    struct hash h;
    struct err e = {0};

    (void)raw;
    if (f->type != F_ENTRY_SAY)
        return;
    if (entry_line_take(&line, f->u.entry_say.line, &e) < 0) {
        world_fail(w, "a client sent no line: %s", e.text);
        return;
    }
    struct note *n = note_find(w, l->who, &line.room, line.seq);
    entry_line_hash(f->u.entry_say.line, &h);
    if (n->left && !hash_same(&h, &n->line)) {
        w->lost++;
        if (!w->lossy)
            world_fail(w, "%s sent two lines with seq %llu", names[l->who],
                       (unsigned long long)line.seq);
    }
    n->left = true;
    n->line = h;
    n->kind = world_kind(f->u.entry_say.body);
}

enum content_kind world_kind(struct span body)
{
    struct content c;
    struct err e = {0};

    if (body.n < OPENING_LEN ||
        content_take(&c, span_of(body.p + OPENING_LEN, body.n - OPENING_LEN), &e) < 0)
        return CONTENT_UNKNOWN;
    enum content_kind kind = c.kind;
    content_free(&c);
    return kind;
}

static void note_acked(struct world *w, int who, const struct room_id *room, uint64_t seq,
                       uint64_t number)
{
    struct note *n = note_find(w, who, room, seq);

    if (n->acked && n->number != 0 && n->number != number && !w->lossy)
        world_fail(w, "%s's entry %llu was given two numbers", names[who], (unsigned long long)seq);
    n->acked = true;
    if (number != 0)
        n->number = number;
}

/* Policy refuses what crossed a join, a leave or an invitation on its way, and nothing else. */
static void note_voided(struct world *w, int who, const struct f_voided *f)
{
    static const char *const reasons[] = {
        "you are a member already",
        "that person is a member already",
        "you were no member: your join was not signed yet",
    };
    bool good = false;

    for (size_t i = 0; i < COUNT(reasons); i++)
        good = good || str_is(f->text, reasons[i]);
    if (!good)
        world_fail(w, "the relay voided an entry: %.*s", (int)f->text.n, f->text.p);
    note_acked(w, who, &f->room, f->seq, f->number);
    note_find(w, who, &f->room, f->seq)->voided = true;
}

/* --- who may read what --- */

static struct seat *seat_of(struct world *w, const struct room_id *room, int who)
{
    for (size_t i = 0; i < w->seats_n; i++)
        if (w->seats[i].who == who && memcmp(&w->seats[i].room, room, sizeof *room) == 0)
            return w->seats + i;
    must(w->seats_n < SEATS, "too many rooms");
    w->seats[w->seats_n] = (struct seat){.room = *room, .who = who, .from = UINT64_MAX};
    return w->seats + w->seats_n++;
}

static int seat_row(void *ctx, const struct store_member *row)
{
    struct world *w = ctx;
    struct seat *s = seat_of(w, &row->room, who_is(&row->account));

    s->in = row->state == STATE_MEMBER;
    if (row->from != 0)
        s->from = row->from;
    return 0;
}

struct tip_find {
    const struct room_id *room;
    uint64_t number;
};

static int tip_row(void *ctx, const struct store_room *row, const struct store_tip *tip)
{
    struct tip_find *f = ctx;

    if (memcmp(&row->id, f->room, sizeof row->id) == 0)
        f->number = tip->number;
    return 0;
}

const struct mist *world_mist(const struct world *w, const struct room_id *room)
{
    for (size_t i = 0; i < w->mists_n; i++)
        if (memcmp(&w->mists[i].id, room, sizeof *room) == 0)
            return w->mists + i;
    return NULL;
}

static int mist_row(void *ctx, const struct store_room *row, const struct store_tip *tip)
{
    struct world *w = ctx;
    struct mist *x = (struct mist *)(uintptr_t)world_mist(w, &row->id);

    if (x == NULL) {
        must(w->mists_n < ROOMS, "too many rooms");
        x = w->mists + w->mists_n++;
        x->id = row->id;
    }
    x->there = true;
    x->tip = tip->number;
    x->first = store_window_first(world_window(w)->db, &row->id);
    return 0;
}

static uint64_t room_tip(struct world *w, const struct room_id *room)
{
    const struct mist *x = world_mist(w, room);

    struct tip_find f = {room, 0};
    struct err e = {0};

    if (x != NULL)
        return x->tip;
    if (w->store.ops->room_each(w->store.db, tip_row, &f, &e) < 0)
        world_fail(w, "rooms: %s", e.text);
    return f.number;
}

static void seats_read(struct world *w)
{
    struct err e = {0};

    for (size_t i = 0; i < w->seats_n; i++) {
        w->seats[i].was = w->seats[i].in;
        w->seats[i].from_was = w->seats[i].from;
        w->seats[i].in = false; /* a lost room has no rows at all */
    }
    if (w->store.ops->member_each(w->store.db, seat_row, w, &e) < 0)
        world_fail(w, "members: %s", e.text);
    for (size_t i = 0; i < w->mists_n; i++)
        w->mists[i].there = false;
    world_mist_each(w, mist_row, seat_row);
    for (size_t i = 0; i < w->seats_n; i++)
        if (w->seats[i].was && !w->seats[i].in)
            w->seats[i].left = room_tip(w, &w->seats[i].room);
}

static void seat_check(struct world *w, int who, const struct room_id *room, uint64_t number)
{
    const struct seat *s = seat_of(w, room, who);
    bool late = !s->in && number <= s->left;

    if ((s->in || s->was || late) && (number >= s->from || number >= s->from_was))
        return;
    world_fail(w, "%s was given message %llu of a room he is not in, or from before his time",
               names[who], (unsigned long long)number);
}

/* --- the relay's words on their way to a client --- */

static void look(struct world *w, struct link_plain *l, struct frame *f, struct span raw)
{
    struct entry_line line;
    struct err e = {0};

    (void)raw;
    if (f->type == F_NUMBERED)
        note_acked(w, l->who, &f->u.numbered.room, f->u.numbered.seq, f->u.numbered.number);
    if (f->type == F_VOIDED)
        note_voided(w, l->who, &f->u.voided);
    if (f->type == F_ENTRY && entry_line_take(&line, f->u.entry.line, &e) == 0)
        seat_check(w, l->who, &line.room, f->u.entry.number);
    for (size_t i = 0; f->type == F_HISTORY && i < f->u.history.entries_n; i++)
        seat_check(w, l->who, &f->u.history.room, f->u.history.entries[i].number);
}

void world_put(struct world *w, struct link_plain *l, struct span raw)
{
    queue_add(w, &l->down, raw);
}

static void down_one(struct world *w, struct link_plain *l, struct frame *f, struct span raw)
{
    look(w, l, f, raw);
    if (w->lie != LIE_NONE && l->who == w->victim && lie_told(w, l, f, raw))
        return;
    queue_add(w, &l->down, raw);
}

static void down(struct world *w, struct link_plain *l, struct span bytes)
{
    if (l->here && !l->severed)
        frames_each(w, l, bytes, FROM_RELAY, down_one);
}

/* --- the relay --- */

static int no_issue(void *ctx, int64_t now, struct span spki, struct str name, struct str device,
                    struct store_chain *out, struct err *e)
{
    (void)ctx, (void)now, (void)spki, (void)name, (void)device, (void)out;
    return err_set(e, ERR_LOCAL, "nobody joins here");
}

static int64_t relay_now(const struct world *w)
{
    return w->mono + w->relay_skew;
}

static void link_end(struct link_plain *l)
{
    session_free(l->s);
    queue_clear(&l->up);
    queue_clear(&l->down);
    *l = (struct link_plain){0};
}

/* The relay's end goes; what it sent still arrives, then the client sees the end. */
static void relay_drop(struct world *w, struct link_plain *l)
{
    session_free(l->s);
    l->s = NULL;
    l->gone_at = 0;
    queue_clear(&l->up);
    if (l->here)
        l->cut_at = (l->down.last > w->mono ? l->down.last : w->mono) + 1;
    else
        link_end(l);
}

void relay_stop(struct world *w)
{
    for (int i = 0; i < CONNS; i++)
        if (w->conns[i].id != 0 && w->conns[i].s != NULL)
            relay_drop(w, w->conns + i);
    core_free(w->core);
    w->core = NULL;
    if (w->store.ops != NULL)
        store_close(&w->store);
    w->store = (struct store){0};
}

static bool link_in(const struct link_plain *l, const struct room_id *room)
{
    for (size_t i = 0; i < l->rooms_n; i++)
        if (memcmp(l->rooms + i, room, sizeof *room) == 0)
            return true;
    return false;
}

static void effect_one(struct world *w, struct link_plain *l, const struct effect *ef)
{
    switch (ef->kind) {
    case EFFECT_SEND: down(w, l, span_of(ef->frame->b, ef->frame->n)); break;
    case EFFECT_WELCOME:
        down(w, l, span_of(ef->frame->b, ef->frame->n));
        session_welcome(l->s);
        break;
    case EFFECT_ENTER:
        must(l->rooms_n < ROOMS, "too many rooms");
        l->rooms[l->rooms_n++] = ef->room;
        break;
    case EFFECT_LEAVE:
        for (size_t i = 0; i < l->rooms_n; i++)
            if (memcmp(l->rooms + i, &ef->room, sizeof ef->room) == 0)
                l->rooms[i--] = l->rooms[--l->rooms_n];
        break;
    case EFFECT_CLOSE:
        if (w->lie == LIE_NONE && strcmp(ef->reason, "bad-entry") == 0)
            world_fail(w, "the relay closed on %s: bad-entry", names[l->who]);
        relay_drop(w, l);
        break;
    case EFFECT_READ: /* nobody is held back here */
    case EFFECT_PUBLISH:
    case EFFECT_EVERYONE:
    case EFFECT_SIGN: /* without an evidence key nothing is signed */
    case EFFECT_DEVICE: break;
    }
}

static void effect_apply(struct world *w, struct effect *ef)
{
    for (int i = 0; i < CONNS; i++) {
        struct link_plain *l = w->conns + i;
        if (l->id == 0 || l->s == NULL)
            continue;
        if (ef->kind == EFFECT_PUBLISH && l->id != ef->conn && link_in(l, &ef->room)) {
            const struct shared *form = effect_frame(ef, session_compact(l->s));
            down(w, l, span_of(form->b, form->n));
        } else if (ef->kind == EFFECT_EVERYONE && session_ready(l->s))
            down(w, l, span_of(ef->frame->b, ef->frame->n));
        else if (l->id == ef->conn)
            effect_one(w, l, ef);
    }
    effect_drop(ef);
}

static void relay_dies(struct world *w)
{
    w->cuts++;
    relay_stop(w);
    w->boot_at = w->mono + 100 + (int64_t)dice_below(&w->dice, 3000);
}

bool relay_boot(struct world *w)
{
    struct err e = {0};
    struct effect ef;
    struct core_conf conf = {.store = {&store_sqlite, NULL},
                             .seal = seal_key,
                             .rng = w->rng,
                             .root = span_of(pool.root.b, pool.root.n),
                             .crl = buf_span(&pool.crl),
                             .issue = no_issue};

    if (disk_dead(w->disk))
        disk_reboot(w->disk);
    w->boot_at = 0;
    conf.store.db = store_sqlite_open(w->path, STORE_OPEN, &e);
    if (conf.store.db == NULL && disk_dead(w->disk)) {
        relay_dies(w);
        return false;
    }
    if (conf.store.db == NULL) {
        w->lost++;
        if (!w->lossy)
            world_fail(w, "the relay's store does not open: %s", e.text);
        return false;
    }
    w->store = conf.store;
    w->core = core_new(&conf, relay_now(w), &e);
    if (w->core == NULL && disk_dead(w->disk)) {
        relay_dies(w);
        return false;
    }
    if (w->core == NULL) {
        w->lost++;
        if (!w->lossy)
            world_fail(w, "the relay's core does not start: %s", e.text);
        return false;
    }
    while (core_effect(w->core, &ef))
        effect_apply(w, &ef);
    seats_read(w);
    return true;
}

/* The client's job is taken as done before it is: what a relay must not do. */
static void note_early(struct world *w, const struct job *j, int who)
{
    if (w->early && j->kind == JOB_FRAME && j->frame.type == F_ENTRY_SAY)
        note_acked(w, who, &j->line.room, j->line.seq, 0);
}

static void relay_gone(struct world *w, struct link_plain *l)
{
    struct job *j = job_new(JOB_GONE, l->id);

    must(j != NULL, "no memory");
    snprintf(j->reason, sizeof j->reason, "cut");
    core_job(w->core, j);
    session_free(l->s);
    l->s = NULL;
    if (l->here)
        relay_drop(w, l);
    else
        link_end(l);
}

static void relay_hear(struct world *w, struct link_plain *l)
{
    struct chunk *c;
    struct job *j;

    while (l->s != NULL && (c = queue_due(w, &l->up, l->stall)) != NULL) {
        int rc = session_feed(l->s, span_of(c->b, c->n), relay_now(w));
        free(c);
        while ((j = session_job(l->s)) != NULL) {
            note_early(w, j, l->who);
            core_job(w->core, j);
        }
        struct span out = session_out(l->s);
        down(w, l, out);
        session_sent(l->s, out.n);
        if (rc < 0) {
            if (w->lie == LIE_NONE && !w->lossy)
                world_fail(w, "the relay refused %s: %s", names[l->who], session_error(l->s)->text);
            relay_gone(w, l);
        }
    }
}

static void relay_tick(struct world *w)
{
    for (int i = 0; i < CONNS; i++) {
        struct link_plain *l = w->conns + i;
        if (l->id == 0 || l->s == NULL)
            continue;
        int rc = session_tick(l->s, relay_now(w));
        struct span out = session_out(l->s);
        down(w, l, out);
        session_sent(l->s, out.n);
        if (rc < 0)
            relay_gone(w, l);
    }
    core_tick(w->core);
}

/* A turn without work is left out: it would be a transaction of nothing. */
static bool relay_busy(const struct world *w)
{
    for (int i = 0; i < CONNS; i++) {
        const struct link_plain *l = w->conns + i;
        if (l->id == 0 || l->s == NULL)
            continue;
        if (l->gone_at != 0 && w->mono >= l->gone_at)
            return true;
        if (l->up.first != NULL && l->up.first->due <= w->mono && l->stall <= w->mono)
            return true;
    }
    return w->mono - w->ticked >= 1000;
}

static void relay_turn(struct world *w)
{
    struct err e = {0};
    struct effect ef;

    if (w->core == NULL) {
        if (w->boot_at != 0 && w->mono >= w->boot_at && (relay_boot(w) || w->lossy))
            world_check_relay(w);
        return;
    }
    if (disk_dead(w->disk)) {
        relay_dies(w);
        return;
    }
    if (!relay_busy(w))
        return;
    if (core_begin(w->core, relay_now(w), &e) < 0) {
        relay_dies(w);
        return;
    }
    for (int i = 0; i < CONNS; i++) {
        struct link_plain *l = w->conns + i;
        if (l->id != 0 && l->s != NULL && l->gone_at != 0 && w->mono >= l->gone_at)
            relay_gone(w, l);
        else if (l->id != 0)
            relay_hear(w, l);
    }
    if (w->mono - w->ticked >= 1000) {
        w->ticked = w->mono;
        relay_tick(w);
    }
    if (core_commit(w->core, &e) < 0) {
        if (!disk_dead(w->disk))
            world_fail(w, "commit: %s", e.text);
        relay_dies(w);
        return;
    }
    seats_read(w);
    while (core_effect(w->core, &ef))
        effect_apply(w, &ef);
    if (disk_dead(w->disk))
        relay_dies(w);
}

/* --- the members --- */

struct clock_of {
    struct world *w;
    int who;
};

static struct clock_of clocks[PEOPLE]; /* of the one world there is */

static int64_t clock_wall(void *ctx)
{
    const struct clock_of *c = ctx;
    return c->w->mono + c->w->m[c->who].skew;
}

static int64_t clock_mono(void *ctx)
{
    return ((const struct clock_of *)ctx)->w->mono;
}

static void member_leave_link(struct world *w, int who)
{
    struct member_sim *m = w->m + who;
    struct link_plain *l = m->l;

    m->l = NULL;
    if (l == NULL)
        return;
    l->here = false;
    queue_clear(&l->down);
    if (l->s == NULL)
        link_end(l);
    else
        l->gone_at = w->mono + 1 + (int64_t)dice_below(&w->dice, 2000);
}

void member_stop(struct world *w, int who)
{
    struct member_sim *m = w->m + who;

    member_leave_link(w, who);
    engine_free(m->g);
    m->g = NULL;
    if (m->disk != NULL && m->keep.ops != NULL) {
        m->keep.ops->close(m->keep.k);
        m->keep = (struct keep){0};
    }
    m->boot_at = w->mono + 100 + (int64_t)dice_below(&w->dice, 3000);
}

static void member_dies(struct world *w, int who)
{
    w->cuts++;
    w->m[who].shown_key = false; /* what was being written down then may be lost: told again */
    member_stop(w, who);
}

static void told_bad(struct member_sim *m, unsigned *count, const char *text)
{
    ++*count;
    snprintf(m->why, sizeof m->why, "%s", text == NULL ? "" : text);
}

static int room_index(struct world *w, const struct room_id *id)
{
    for (size_t i = 0; i < w->rooms_n; i++)
        if (memcmp(w->rooms + i, id, sizeof *id) == 0)
            return (int)i;
    must(w->rooms_n < ROOMS, "too many rooms");
    w->rooms[w->rooms_n] = *id;
    return (int)w->rooms_n++;
}

static void told_entry(struct world *w, int who, const struct engine_entry *t)
{
    struct member_sim *m = w->m + who;
    int i = room_index(w, &t->room);

    if (t->refused != NULL)
        told_bad(m, &m->refused, t->refused);
    if (t->number == 0 || t->number >= NUMBERS)
        return;
    if (++m->shown[i][t->number] > 1 && w->lie == LIE_NONE)
        world_fail(w, "%s was shown message %llu twice", names[who], (unsigned long long)t->number);
}

static void member_events(struct world *w, int who)
{
    struct member_sim *m = w->m + who;
    struct engine_event ev;

    while (engine_next(m->g, &ev)) {
        if (w->loud && ev.kind >= ENGINE_ANSWER && ev.text != NULL)
            fprintf(stderr, "# %lld %s: %s\n", (long long)(w->mono - noon), names[who], ev.text);
        switch (ev.kind) {
        case ENGINE_PASSWORD: engine_salted(m->g, &pool.salted[who]); break;
        case ENGINE_ENTRY: told_entry(w, who, &ev.entry); break;
        case ENGINE_ALARM:
            if (!w->enrolled || strstr(ev.text, "has a new certificate") == NULL)
                told_bad(m, &m->alarms, ev.text);
            break;
        case ENGINE_NOTE: m->notes++; break;
        case ENGINE_CLOSE:
            told_bad(m, &m->closes, ev.text);
            if (ev.code == ERR_PEER && w->lie == LIE_NONE && !w->lossy)
                world_fail(w, "%s hung up: %s", names[who], ev.text);
            member_leave_link(w, who);
            engine_lost(m->g);
            m->dial_at = w->mono + 200 + (int64_t)dice_below(&w->dice, 1000);
            break;
        case ENGINE_READY:
        case ENGINE_ROOM:
        case ENGINE_MEMBERS:
        case ENGINE_STATE:
        case ENGINE_CAUGHT:
        case ENGINE_LISTED:
        case ENGINE_ANSWER: break;
        }
    }
}

static void member_flush(struct world *w, int who)
{
    struct member_sim *m = w->m + who;

    member_events(w, who);
    if (m->l != NULL) {
        struct span out = engine_out(m->g);
        if (out.n > 0) {
            frames_each(w, m->l, out, FROM_CLIENT, note_left);
            if (m->l->s != NULL && !m->l->severed)
                queue_add(w, &m->l->up, out);
            engine_sent(m->g, out.n);
        }
    }
    if (m->disk != NULL && disk_dead(m->disk))
        member_dies(w, who);
}

bool member_boot(struct world *w, int who)
{
    struct member_sim *m = w->m + who;
    struct err e = {0};
    struct engine_conf conf = {.account = names[who],
                               .device = "laptop",
                               .root_fp = pool.root_fp,
                               .fp = pool.fp[who],
                               .leaf = span_of(pool.leaf[who].b, pool.leaf[who].n),
                               .issuer = span_of(pool.inter.b, pool.inter.n),
                               .key = pool.keys[who],
                               .trust = m->trust,
                               .cost = {1, 8},
                               .rng = w->rng,
                               .now = clock_wall,
                               .mono = clock_mono,
                               .clock_ctx = &clocks[who],
                               .follow = true,
                               .whole = true};

    clocks[who] = (struct clock_of){w, who};
    m->boot_at = 0;
    if (m->disk != NULL) {
        bool was = disk_dead(m->disk);
        if (was)
            disk_reboot(m->disk);
        m->keep =
            (struct keep){&keep_sqlite_ops, keep_sqlite_open(m->path, &keep_key, &w->rng, &e)};
    }
    if (m->disk != NULL && disk_dead(m->disk)) {
        member_dies(w, who);
        return false;
    }
    if (m->keep.k == NULL) {
        m->keep.ops = NULL;
        w->lost++;
        if (!w->lossy)
            world_fail(w, "%s's store does not open: %s", names[who], e.text);
        return false;
    }
    world_check_member(w, who);
    conf.keep = m->keep;
    memset(m->shown, 0, sizeof m->shown);
    m->g = engine_new(&conf, &e);
    if (m->disk != NULL && disk_dead(m->disk)) {
        member_dies(w, who);
        return false;
    }
    if (m->g == NULL) {
        w->lost++;
        if (!w->lossy)
            world_fail(w, "%s's engine does not start: %s", names[who], e.text);
        return false;
    }
    m->boots++;
    m->dial_at = w->mono;
    member_flush(w, who);
    return true;
}

static void member_dial(struct world *w, int who)
{
    struct member_sim *m = w->m + who;
    struct link_plain *l = NULL;
    struct err e = {0};

    m->dial_at = w->mono + 500 + (int64_t)dice_below(&w->dice, 1500);
    for (int i = 0; i < CONNS && l == NULL; i++)
        if (w->conns[i].id == 0)
            l = w->conns + i;
    if (w->core == NULL || l == NULL)
        return;
    *l = (struct link_plain){.id = ++w->conns_n, .who = who, .here = true};
    queue_clear(&l->up);
    queue_clear(&l->down);
    must(rng_fill(&w->rng, l->exporter.b, sizeof l->exporter.b) == 0, "random");
    struct session_conf conf = {.conn = l->id,
                                .link = "tls",
                                .relay = "relay.test",
                                .source = "192.0.2.1",
                                .leaf = span_of(pool.leaf[who].b, pool.leaf[who].n),
                                .relay_cert = relay_fp,
                                .exporter = l->exporter};
    l->s = session_new(&conf, relay_now(w), &e);
    must(l->s != NULL, e.text);
    struct span out = session_out(l->s);
    down(w, l, out);
    session_sent(l->s, out.n);
    m->l = l;
    const struct engine_peer peer = {.link = "tls", .exporter = l->exporter, .relay_fp = relay_fp};
    engine_linked(m->g, &peer);
    member_flush(w, who);
}

static void member_hangup(struct world *w, int who)
{
    struct member_sim *m = w->m + who;

    member_leave_link(w, who);
    engine_lost(m->g);
    m->dial_at = w->mono + 100 + (int64_t)dice_below(&w->dice, 1500);
    member_flush(w, who);
}

/* The client has taken in a list that shows the further certificate. */
static void key_shown(struct world *w, struct link_plain *l, struct frame *f, struct span raw)
{
    const struct f_members *x = &f->u.members;

    (void)raw;
    for (size_t i = 0; f->type == F_MEMBERS && i < x->members_n; i++)
        for (size_t d = 0; d < x->members[i].devices_n; d++)
            if (hash_same(&x->members[i].devices[d].fp, &pool.fp[PEOPLE]))
                w->m[l->who].shown_key = true;
}

/* Nothing may go to a certificate that came later and that nobody accepted. */
static void key_check(struct world *w, int who, const struct room_id *room)
{
    const struct member_sim *m = w->m + who;
    const struct engine_room *r = engine_room_get(m->g, room);
    bool sits = false;

    for (unsigned i = 0; i < r->members_n; i++)
        sits = sits || (!r->members[i].left && strcmp(r->members[i].name, names[ENROLLED]) == 0);
    if (r->kind != ENGINE_PUBLIC && sits && m->shown_key && !m->accepted)
        world_fail(w, "%s spoke in %s to a certificate that nobody accepted", names[who], r->name);
}

void world_accept(struct world *w, int who)
{
    struct member_sim *m = w->m + who;
    struct err e = {0};

    if (m->g == NULL || !w->enrolled)
        return;
    m->accepted = m->accepted || m->shown_key; /* even if its disk dies over it */
    (void)!engine_accept(m->g, str_of(names[ENROLLED]), &e);
    member_flush(w, who);
}

static void member_turn(struct world *w, int who)
{
    struct member_sim *m = w->m + who;
    struct chunk *c;

    if (m->g == NULL) {
        if (m->boot_at != 0 && w->mono >= m->boot_at)
            (void)member_boot(w, who);
        return;
    }
    if (m->disk != NULL && disk_dead(m->disk))
        member_flush(w, who);
    if (m->g != NULL && m->l == NULL && w->mono >= m->dial_at)
        member_dial(w, who);
    while (m->g != NULL && m->l != NULL && (c = queue_due(w, &m->l->down, m->l->stall)) != NULL) {
        (void)!engine_feed(m->g, span_of(c->b, c->n)); /* a refusal shows as ENGINE_CLOSE */
        member_flush(w, who);
        if (w->enrolled && m->g != NULL && m->l != NULL)
            frames_each(w, m->l, span_of(c->b, c->n), FROM_RELAY, key_shown);
        free(c);
    }
    if (m->g != NULL && m->l != NULL && m->l->cut_at != 0 && w->mono >= m->l->cut_at)
        member_hangup(w, who);
    if (m->g != NULL && engine_deadline(m->g) >= 0 && engine_deadline(m->g) <= w->mono) {
        engine_tick(m->g);
        member_flush(w, who);
    }
}

/* Each side learns of it on its own time; what is under way may still arrive, or not. */
void link_cut(struct world *w, struct link_plain *l)
{
    int64_t at = w->mono + 1 + (int64_t)dice_below(&w->dice, 300);

    l->severed = true;
    if (dice_one_in(&w->dice, 2))
        queue_clear(&l->down);
    if (dice_one_in(&w->dice, 2))
        queue_clear(&l->up);
    if (l->here)
        l->cut_at = at;
    if (l->s != NULL)
        l->gone_at = w->mono + 1 + (int64_t)dice_below(&w->dice, 3000);
}

/* --- time --- */

void world_step(struct world *w, int64_t ms)
{
    w->mono += ms;
    relay_turn(w);
    for (int i = 0; i < PEOPLE && world_good(w); i++)
        member_turn(w, i);
}

void world_run(struct world *w, int64_t ms)
{
    for (int64_t end = w->mono + ms; w->mono < end && world_good(w);)
        world_step(w, STEP_MS);
}

static bool member_idle(const struct world *w, int who)
{
    const struct member_sim *m = w->m + who;

    if (m->g == NULL || m->l == NULL || engine_phase(m->g) != ENGINE_ONLINE ||
        m->l->up.first != NULL || m->l->down.first != NULL)
        return false;
    for (size_t i = 0; i < engine_rooms(m->g); i++) {
        const struct engine_room *r = engine_room_at(m->g, i);
        if (r->joined && !r->broken && (r->queued > 0 || r->number < r->last))
            return false;
    }
    return true;
}

bool world_settle(struct world *w, int64_t ms)
{
    int quiet = 0;

    for (int64_t end = w->mono + ms; w->mono < end && world_good(w);) {
        bool idle = w->core != NULL;
        world_step(w, STEP_MS);
        for (int i = 0; i < PEOPLE; i++)
            idle = idle && member_idle(w, i);
        quiet = idle ? quiet + 1 : 0;
        if (quiet >= 5)
            return true;
    }
    return false;
}

/* --- what people do --- */

const struct engine_room *world_room(struct world *w, int who, const char *name)
{
    return w->m[who].g == NULL ? NULL : engine_room_named(w->m[who].g, str_of(name));
}

uint64_t world_say(struct world *w, int who, const struct room_id *room, size_t padding)
{
    struct member_sim *m = w->m + who;
    struct err e = {0};
    char head[48];

    if (m->g == NULL)
        return 0;
    int n = snprintf(head, sizeof head, "%s says %llx ", names[who],
                     (unsigned long long)dice_u64(&w->dice));
    char *text = malloc((size_t)n + padding + 1);
    must(text != NULL, "no memory");
    memcpy(text, head, (size_t)n);
    memset(text + n, 'x', padding);
    text[(size_t)n + padding] = '\0';
    struct hash digest;
    sha256(span_of(text, (size_t)n + padding), &digest);
    uint64_t seq = engine_say(m->g, room, str_of(text), &e);
    free(text);
    w->stopped += seq == 0 && e.code == ERR_AUTH && w->enrolled;
    if (seq > 0) {
        struct note *t = note_find(w, who, room, seq);
        if (t->said)
            world_lost(w, "a seq was given twice", t);
        t->said = true;
        t->text = digest;
        key_check(w, who, room);
    }
    member_flush(w, who);
    return seq;
}

static void wait_room(struct world *w, int who, const char *name)
{
    for (int i = 0; i < 500 && world_good(w) && world_room(w, who, name) == NULL; i++)
        world_step(w, STEP_MS);
}

void world_furnish(struct world *w)
{
    struct err e = {0};

    if (!world_settle(w, 20000))
        world_fail(w, "they do not all come online: %s", w->m[0].why);
    if (!world_good(w))
        return;
    must(engine_room_create(w->m[0].g, str_of("hall"), ENGINE_CREATE_HISTORY, &e) != 0, e.text);
    /* Who comes later is told by a roll who is in it. */
    must(engine_room_create(w->m[0].g, str_of("cellar"), ENGINE_CREATE_PRIVATE, &e) != 0, e.text);
    member_flush(w, 0);
    wait_room(w, 0, "cellar");
    for (int i = 1; i < PEOPLE && world_good(w); i++) {
        const struct engine_room *cellar = world_room(w, 0, "cellar");
        if (i < PEOPLE - 1)
            must(cellar != NULL &&
                     engine_room_invite(w->m[0].g, &cellar->id, str_of(names[i]), &e) != 0,
                 "invite");
        must(engine_room_join(w->m[i].g, str_of("hall"), &e) != 0, e.text);
        member_flush(w, 0);
        member_flush(w, i);
    }
    world_run(w, 2000);
    for (int i = 1; i < PEOPLE - 1 && world_good(w); i++) {
        must(engine_room_join(w->m[i].g, str_of("cellar"), &e) != 0, e.text);
        member_flush(w, i);
    }
    world_run(w, 2000);
    for (int i = 0; i < PEOPLE && world_good(w); i++) {
        const struct engine_room *hall = world_room(w, i, "hall");
        if (hall == NULL || !hall->joined)
            world_fail(w, "%s is not in the hall: %s", names[i], w->m[i].why);
    }
}

/* --- making and ending --- */

static void chain_of(int i, struct store_chain *out)
{
    memcpy(out->leaf, pool.leaf[i].b, out->leaf_n = pool.leaf[i].n);
    memcpy(out->issuer, pool.inter.b, out->issuer_n = pool.inter.n);
}

static void store_people(struct world *w)
{
    struct err e = {0};
    static struct store_chain chain; /* big */

    must(w->store.ops->begin(w->store.db, &e) == 0, e.text);
    for (int i = 0; i < PEOPLE; i++) {
        struct store_user u = {.id = pool.id[i], .t = 1, .m = 8, .since = noon};
        struct store_device d = {.fp = pool.fp[i], .account = pool.id[i], .since = noon};
        struct account_record rec;

        snprintf(u.name, sizeof u.name, "%s", names[i]);
        snprintf(u.canonical, sizeof u.canonical, "%s", names[i]);
        snprintf(u.skeleton, sizeof u.skeleton, "%s", names[i]);
        snprintf(d.name, sizeof d.name, "laptop");
        account_record(&rec, &pool.salted[i]);
        must(login_seal(u.sealed, &seal_key, &u.id, &rec, &w->rng) == 0, "seal");
        chain_of(i, &chain);
        must(w->store.ops->user_put(w->store.db, &u, &e) == 0, e.text);
        must(w->store.ops->device_add(w->store.db, &d, &chain, &e) == 0, e.text);
    }
    must(w->store.ops->commit(w->store.db, &e) == 0, e.text);
}

/* A further certificate of somebody: the relay starts anew and lists it. */
void world_enrol(struct world *w)
{
    struct store_device d = {.fp = pool.fp[PEOPLE], .account = pool.id[ENROLLED], .since = w->mono};
    static struct store_chain chain;
    struct err e = {0};

    if (w->core == NULL || w->enrolled || disk_dead(w->disk))
        return;
    snprintf(d.name, sizeof d.name, "phone");
    chain_of(PEOPLE, &chain);
    w->enrolled = true; /* or not, when the disk dies over it: the lists will say */
    (void)!(w->store.ops->begin(w->store.db, &e) == 0 &&
            w->store.ops->device_add(w->store.db, &d, &chain, &e) == 0 &&
            w->store.ops->commit(w->store.db, &e) == 0);
    relay_stop(w);
    w->boot_at = w->mono + 1 + (int64_t)dice_below(&w->dice, 3000);
}

static void member_make(struct world *w, int who, bool on_disk)
{
    struct member_sim *m = w->m + who;
    struct err e = {0};

    m->trust = trust_new(TRUST_CRL_OPTIONAL, &e);
    must(m->trust != NULL && trust_add_root(m->trust, span_of(pool.root.b, pool.root.n), &e) == 0 &&
             trust_add_intermediate(m->trust, span_of(pool.inter.b, pool.inter.n), &e) == 0,
         e.text);
    if (on_disk) {
        snprintf(m->path, sizeof m->path, "/tmp/countersign-sim-%ld-%s", (long)getpid(),
                 names[who]);
        m->disk = disk_new(m->path, dice_u64(&w->dice));
        must(m->disk != NULL, "too many disks");
    } else {
        m->keep = (struct keep){&keep_memory_ops, keep_memory_new()};
    }
    (void)member_boot(w, who);
}

struct world *world_new(uint64_t seed, bool client_disks)
{
    struct world *w = calloc(1, sizeof *w);
    struct err e = {0};

    must(w != NULL, "no memory");
    pool_make();
    sqlite3_randomness(0, NULL);
    w->seed = seed;
    w->dice.s = seed;
    w->salt.s = ~seed;
    w->rng = (struct rng){fill, &w->salt};
    w->mono = noon;
    w->delay = 50;
    w->lie_kind = CONTENT_UNKNOWN;
    buf_init(&w->lie_kept, FRAME_MAX + 4);
    snprintf(w->path, sizeof w->path, "/tmp/countersign-sim-%ld-relay", (long)getpid());
    w->disk = disk_new(w->path, dice_u64(&w->dice));
    must(w->disk != NULL, "too many disks");
    w->store = (struct store){&store_sqlite, store_sqlite_open(w->path, STORE_CREATE, &e)};
    must(w->store.db != NULL, e.text);
    store_people(w);
    store_close(&w->store);
    (void)relay_boot(w);
    for (int i = 0; i < PEOPLE; i++)
        member_make(w, i, client_disks);
    return w;
}

void world_free(struct world *w)
{
    for (int i = 0; i < PEOPLE; i++) {
        struct member_sim *m = w->m + i;
        engine_free(m->g);
        if (m->keep.ops != NULL)
            m->keep.ops->close(m->keep.k);
        disk_free(m->disk);
        trust_free(m->trust);
    }
    for (int i = 0; i < CONNS; i++)
        if (w->conns[i].id != 0)
            link_end(w->conns + i);
    core_free(w->core);
    if (w->store.ops != NULL)
        store_close(&w->store);
    disk_free(w->disk);
    buf_free(&w->lie_kept);
    free(w);
}
