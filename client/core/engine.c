#include "client/core/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/engine_inner.h"

enum { FEED_STEP = 16 * 1024, ENGINE_OUT_MAX = 2 * LINK_OUT_MAX };

int64_t engine_now(const struct engine *g)
{
    return g->conf.now(g->conf.clock_ctx);
}

int64_t engine_mono(const struct engine *g)
{
    return g->conf.mono(g->conf.clock_ctx);
}

/* --- events --- */

static const char *own_copy(struct happened *h, const char *s, size_t n)
{
    char *p = malloc(n + 1);

    if (p == NULL)
        return "";
    if (n > 0)
        memcpy(p, s, n);
    p[n] = '\0';
    h->owned[h->owned_n++] = p;
    return p;
}

/* None when there is no memory for them. */
static struct span own_bytes(struct happened *h, struct span s)
{
    uint8_t *p = s.n == 0 ? NULL : malloc(s.n);

    if (p == NULL)
        return span_of(NULL, 0);
    memcpy(p, s.p, s.n);
    h->owned[h->owned_n++] = (char *)p;
    return span_of(p, s.n);
}

static const char *own_text(struct happened *h, const char *s)
{
    return s == NULL ? NULL : own_copy(h, s, strlen(s));
}

void event_add(struct engine *g, const struct engine_event *ev)
{
    struct happened *h = calloc(1, sizeof *h);

    if (h == NULL)
        return; /* a line less on the screen; nothing is lost that is not kept */
    h->ev = *ev;
    h->ev.text = own_text(h, ev->text);
    h->ev.topic = own_text(h, ev->topic);
    struct engine_entry *t = &h->ev.entry;
    t->author = own_text(h, t->author);
    t->device = own_text(h, t->device);
    t->kind = own_text(h, t->kind);
    t->whom = own_text(h, t->whom);
    t->refused = own_text(h, t->refused);
    t->voided = own_text(h, t->voided);
    if (t->text.n > 0)
        t->text.p = own_copy(h, t->text.p, t->text.n);
    h->ev.evidence = own_bytes(h, ev->evidence);
    STAILQ_INSERT_TAIL(&g->events, h, link);
}

void event_room(struct engine *g, enum engine_event_kind kind, const struct room *r)
{
    event_add(g, &(struct engine_event){.kind = kind, .room = r->pub.id, .roomed = true});
}

void event_text(struct engine *g, enum engine_event_kind kind, const struct room *r,
                const char *fmt, ...)
{
    char text[512];
    struct engine_event ev = {.kind = kind, .text = text};
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (r != NULL) {
        ev.room = r->pub.id;
        ev.roomed = true;
    }
    event_add(g, &ev);
}

void event_answer(struct engine *g, uint64_t id, enum err_code code, const char *text)
{
    event_add(g,
              &(struct engine_event){.kind = ENGINE_ANSWER, .id = id, .code = code, .text = text});
}

void happened_free(struct happened *h)
{
    for (size_t i = 0; h != NULL && i < h->owned_n; i++)
        free(h->owned[i]);
    free(h);
}

bool engine_next(struct engine *g, struct engine_event *ev)
{
    happened_free(g->given);
    g->given = STAILQ_FIRST(&g->events);
    if (g->given == NULL)
        return false;
    STAILQ_REMOVE_HEAD(&g->events, link);
    *ev = g->given->ev;
    return true;
}

int engine_fail(struct engine *g, enum err_code code, bool again, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    if (g->closing)
        return -1;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    g->closing = true;
    event_add(g, &(struct engine_event){
                     .kind = ENGINE_CLOSE, .code = code, .text = text, .again = again});
    return -1;
}

/* --- making and ending --- */

struct engine *engine_new(const struct engine_conf *conf, struct err *e)
{
    struct engine *g = calloc(1, sizeof *g);

    if (g == NULL) {
        err_set(e, ERR_OS, "no memory");
        return NULL;
    }
    g->conf = *conf;
    if (conf->login != NULL) {
        g->login = *conf->login;
        g->has_salted = true;
    }
    g->conf.login = NULL; /* it is the caller's */
    STAILQ_INIT(&g->events);
    STAILQ_INIT(&g->sealings);
    frames_init(&g->in, FRAME_MAX_EARLY);
    buf_init(&g->out, ENGINE_OUT_MAX);
    if (str_copy(g->account, sizeof g->account, str_of(conf->account)) < 0 ||
        str_copy(g->device, sizeof g->device, str_of(conf->device)) < 0) {
        err_set(e, ERR_CONFIG, "the account's name is too long");
        goto fail;
    }
    if (author_own(g, e) < 0 || knowns_load(g, e) < 0 || outbox_load(g, e) < 0 ||
        session_load(g, e) < 0 || sealings_load(g, e) < 0)
        goto fail;
    return g;
fail:
    engine_free(g);
    return NULL;
}

void engine_free(struct engine *g)
{
    struct happened *h;

    if (g == NULL)
        return;
    for (size_t i = 0; i < g->rooms_n; i++)
        room_free(g->rooms[i]);
    seals_free(g);
    authors_free(g);
    knowns_free(g);
    while ((h = STAILQ_FIRST(&g->events)) != NULL) {
        STAILQ_REMOVE_HEAD(&g->events, link);
        happened_free(h);
    }
    happened_free(g->given);
    frames_free(&g->in);
    buf_free(&g->out);
    wipe(g, sizeof *g);
    free(g);
}

/* --- requests --- */

struct ask *ask_new(struct engine *g, enum frame_type type, struct err *e)
{
    if (g->phase != ENGINE_ONLINE || g->closing) {
        err_set(e, ERR_UNAVAILABLE, "not connected: nothing was asked");
        return NULL;
    }
    for (size_t i = 0; i < ASKS_MAX; i++)
        if (g->asks[i].id == 0) {
            g->asks[i] = (struct ask){.id = ++g->next_id, .type = type};
            return g->asks + i;
        }
    err_set(e, ERR_AGAIN, "%d requests wait for their answers already", ASKS_MAX);
    return NULL;
}

struct ask *ask_find(struct engine *g, uint64_t id, enum frame_type type)
{
    for (size_t i = 0; id != 0 && i < ASKS_MAX; i++)
        if (g->asks[i].id == id)
            return type == FRAME_TYPES || g->asks[i].type == type ? g->asks + i : NULL;
    return NULL;
}

void ask_done(struct engine *g, struct ask *a, enum err_code code, const char *text)
{
    if (!a->quiet)
        event_answer(g, a->id, code, text);
    a->id = 0;
}

uint64_t ask_put(struct engine *g, struct ask *a, const void *body, struct err *e)
{
    struct err why = {0};

    if (frame_put(&g->out, a->type, body, &why) == 0)
        return a->id;
    a->id = 0;
    err_set(e, ERR_DATA, "nothing was asked: %s", why.text);
    return 0;
}

/* --- the connection --- */

int engine_put(struct engine *g, enum frame_type type, const void *body)
{
    struct err e = {0};

    if (g->phase == ENGINE_OFFLINE || g->closing)
        return -1;
    if (frame_put(&g->out, type, body, &e) < 0)
        return engine_fail(g, ERR_LOCAL, true, "%s could not be sent: %s", frame_name(type),
                           e.text);
    return 0;
}

/* What our disk would not give back when it failed. */
static void stale_settle(struct engine *g)
{
    struct err e = {0};

    for (size_t i = 0; i < g->rooms_n; i++)
        if (g->rooms[i]->stale && room_reread(g, g->rooms[i], &e) < 0) {
            engine_fail(g, e.code, false, "%s", e.text);
            return;
        }
}

void engine_linked(struct engine *g, const struct engine_peer *peer)
{
    engine_lost(g);
    g->peer = *peer;
    session_linked(g, peer);
    g->phase = ENGINE_HELLO;
    g->closing = false;
    g->heard = engine_mono(g);
    frames_bound(&g->in, FRAME_MAX_EARLY);
    stale_settle(g);
}

void engine_lost(struct engine *g)
{
    if (g->phase == ENGINE_OFFLINE)
        return;
    g->phase = ENGINE_OFFLINE;
    g->ready_due = false;
    g->pinged = 0;
    key_wipe(&g->peer.exporter);
    buf_free(&g->out);
    frames_free(&g->in);
    frames_init(&g->in, FRAME_MAX_EARLY);
    for (size_t i = 0; i < ASKS_MAX; i++)
        if (g->asks[i].id != 0)
            ask_done(g, g->asks + i, ERR_UNAVAILABLE, "the connection was lost before the answer");
    authors_lost(g);
    seals_lost(g);
    for (size_t i = 0; i < g->rooms_n; i++)
        room_lost(g, g->rooms[i]);
}

static int take_ping(struct engine *g, struct frame *f)
{
    const struct f_pong pong = {false};

    (void)f;
    return engine_put(g, F_PONG, &pong);
}

static int take_pong(struct engine *g, struct frame *f)
{
    (void)f;
    g->pinged = 0;
    return 0;
}

/* What the relay may say, and who understands it. */
static int (*const handlers[FRAME_TYPES])(struct engine *g, struct frame *f) = {
    [F_PING] = take_ping,
    [F_PONG] = take_pong,
    [F_HELLO_RELAY] = login_hello,
    [F_CHALLENGE] = login_challenge,
    [F_WELCOME] = login_welcome,
    [F_ERROR] = take_error,
    [F_OKAY] = take_ok,
    [F_ROOM] = take_room,
    [F_ROOMS] = take_rooms,
    [F_PERSON] = take_person,
    [F_MEMBERS] = take_members,
    [F_ROLL] = take_roll,
    [F_CERT] = take_cert,
    [F_HISTORY] = take_history,
    [F_CHECKPOINT] = take_checkpoint,
    [F_TREE] = take_tree,
    [F_SIGNER] = take_signer,
    [F_SEALED] = take_sealed,
    [F_COSIGN_ASK] = take_cosign_ask,
    [F_COSIGNED] = take_cosigned,
    [F_TOPIC] = take_topic,
    [F_PRESENCE] = take_presence,
    [F_DEVICE] = take_device,
    [F_DELIVERED] = take_delivered,
    [F_CRL] = crl_take,
    [F_ENTRY] = take_entry,
    [F_NUMBERED] = take_numbered,
    [F_AGAIN] = take_again,
    [F_VOIDED] = take_voided,
};

static int frame_handle(struct engine *g, struct span json)
{
    struct frame f = {0};
    struct err e = {0};
    int ret = -1;

    if (frame_take(&f, json, FROM_RELAY, &e) < 0)
        return engine_fail(g, e.code, true, "the relay broke the protocol: %s", e.text);
    if (handlers[f.type] == NULL ||
        !frame_in(f.type, g->phase == ENGINE_ONLINE ? IN_CHAT : IN_EARLY))
        engine_fail(g, ERR_PEER, true, "the relay broke the protocol: %s does not belong here",
                    frame_name(f.type));
    else
        ret = handlers[f.type](g, &f);
    frame_free(&f);
    return ret;
}

/* Everything verified and kept so far is reported, once for all that came in one go. */
static int report_delivered(struct engine *g)
{
    for (size_t i = 0; g->conf.follow && i < g->rooms_n; i++) {
        struct room *r = g->rooms[i];
        if (!r->is_signed || !r->pub.joined || !r->kept.based || r->kept.number <= r->reported ||
            r->kept.number < r->from)
            continue;
        r->reported = r->kept.number;
        const struct f_delivered_say say = {r->pub.id, r->kept.number};
        if (engine_put(g, F_DELIVERED_SAY, &say) < 0)
            return -1;
    }
    return 0;
}

int engine_feed(struct engine *g, struct span bytes)
{
    struct err e = {0};
    struct span json;
    int found = 0;

    if (g->phase == ENGINE_OFFLINE || g->closing)
        return -1;
    g->heard = engine_mono(g);
    while (bytes.n > 0) {
        size_t n = bytes.n < FEED_STEP ? bytes.n : FEED_STEP;
        if (frames_feed(&g->in, span_of(bytes.p, n), &e) < 0)
            return engine_fail(g, e.code, true, "the relay broke the protocol: %s", e.text);
        bytes = span_of(bytes.p + n, bytes.n - n);
        while ((found = frames_next(&g->in, &json, &e)) == 1)
            if (frame_handle(g, json) < 0)
                return -1;
        if (found < 0)
            return engine_fail(g, e.code, true, "the relay broke the protocol: %s", e.text);
    }
    return g->phase == ENGINE_ONLINE ? report_delivered(g) : 0;
}

struct span engine_out(const struct engine *g)
{
    return buf_span(&g->out);
}

void engine_sent(struct engine *g, size_t n)
{
    buf_drop(&g->out, n);
}

/* --- time --- */

int64_t engine_deadline(const struct engine *g)
{
    if (g->phase == ENGINE_OFFLINE || g->closing)
        return -1;
    int64_t at = g->heard + (g->pinged != 0 ? 2 * PING_MS : PING_MS);
    for (size_t i = 0; i < g->rooms_n; i++) {
        const struct room *r = g->rooms[i];
        if (r->sending == 0 && r->send_at != 0 && !TAILQ_EMPTY(&r->outs) && r->send_at < at)
            at = r->send_at;
        int64_t check = check_deadline(g, r);
        if (check >= 0 && check < at)
            at = check;
    }
    int64_t seals = seals_deadline(g);
    return seals < at ? seals : at;
}

void engine_tick(struct engine *g)
{
    const struct f_ping ping = {false};
    int64_t now = engine_mono(g);

    if (g->phase == ENGINE_OFFLINE || g->closing)
        return;
    if (now - g->heard >= 2 * PING_MS) {
        engine_fail(g, ERR_UNAVAILABLE, true, "nothing was heard from the relay for %d s",
                    2 * PING_MS / 1000);
        return;
    }
    if (now - g->heard >= PING_MS && g->pinged == 0 && g->phase != ENGINE_HELLO) {
        g->pinged = now;
        (void)!engine_put(g, F_PING, &ping);
    }
    for (size_t i = 0; i < g->rooms_n; i++)
        if (g->rooms[i]->send_at != 0 && g->rooms[i]->send_at <= now) {
            g->rooms[i]->send_at = 0;
            (void)!room_send(g, g->rooms[i]);
        }
    for (size_t i = 0; i < g->rooms_n; i++)
        (void)!check_tick(g, g->rooms[i]); /* a failure shows as ENGINE_CLOSE */
    seals_tick(g);
}

enum engine_phase engine_phase(const struct engine *g)
{
    return g->phase;
}

bool engine_admin(const struct engine *g)
{
    return g->admin;
}
