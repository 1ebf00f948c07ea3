/* act_show.c -- what the engine and the link say becomes the model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/act_inner.h"
#include "client/core/sentence.h"
#include "common/util/text.h"

static const struct hash no_hash;
static const struct room_id no_room;

/* --- certificates --- */

void cert_shown(struct model *m, struct span der, struct shown_cert *out)
{
    struct err e = {0};
    struct cert *c = cert_parse(der, NULL, &e);
    struct cert_info info;

    *out = (struct shown_cert){.from = 0};
    if (c == NULL)
        return;
    cert_info(c, &info);
    cert_free(c);
    char name[2 * CERT_NAME_MAX + 4];
    snprintf(name, sizeof name, "%s%s%s", info.cn, info.ou[0] != '\0' ? " / " : "", info.ou);
    model_clean(out->subject, sizeof out->subject, info.cn[0] != '\0' ? name : info.subject);
    model_clean(out->issuer, sizeof out->issuer,
                info.issuer_cn[0] != '\0' ? info.issuer_cn : info.issuer);
    model_clean(out->names, sizeof out->names, info.sans);
    model_clean(out->usage, sizeof out->usage, info.usage);
    model_clean(out->serial, sizeof out->serial, info.serial);
    model_clean(out->signature, sizeof out->signature, info.signature);
    snprintf(out->key, sizeof out->key, strcmp(info.key, "RSA") == 0 ? "%s %u" : "%s", info.key,
             info.bits);
    out->from = info.not_before;
    out->until = info.not_after;
    m->conf.local(m->conf.ctx, out->from, &out->from_day);
    m->conf.local(m->conf.ctx, out->until, &out->until_day);
    out->fp = info.fingerprint;
}

bool fp_verified(struct act *a, const struct hash *fp, int64_t *when)
{
    struct engine_person p;
    struct err e = {0};

    if (hash_same(fp, &a->own_fp))
        return true;
    if (!engine_vouched(a->g, fp) || engine_person(a->g, fp, &p, &e) != 1)
        return false; /* few are: the others' certificates need no fetching and no check here */
    if (when != NULL)
        *when = p.vouched_at;
    return true;
}

/* --- rooms and people --- */

static enum window_kind kind_of(enum engine_kind kind)
{
    static const enum window_kind kinds[] = {
        [ENGINE_PUBLIC] = WINDOW_PUBLIC,
        [ENGINE_PRIVATE] = WINDOW_PRIVATE,
        [ENGINE_DIRECT] = WINDOW_DIRECT,
    };

    return kinds[kind];
}

/* The window of a room, made when it is new; NULL: general. */
static struct window *window_of(struct act *a, const struct engine_event *ev)
{
    const struct engine_room *r;
    struct window *w;

    if (!ev->roomed)
        return NULL;
    w = model_window(a->m, &ev->room);
    if (w != NULL)
        return w;
    r = engine_room_get(a->g, &ev->room);
    return r != NULL ? model_window_add(a->m, &r->id, kind_of(r->kind), r->name) : NULL;
}

/* The certificate that a direct window's title speaks of: the newest that is not revoked. */
static void peer_copy(struct act *a, struct window *w, const struct engine_member *p)
{
    const struct engine_device *newest = NULL;

    for (unsigned i = 0; i < p->devices_n; i++) {
        const struct engine_device *d = &p->devices[i];
        if (d->revoked == 0 && (newest == NULL || d->since > newest->since))
            newest = d;
    }
    if (newest == NULL)
        return;
    w->peer = newest->fp;
    model_clean(w->peer_device, sizeof w->peer_device, newest->name);
    w->verified = fp_verified(a, &w->peer, &w->verified_at);
}

/* Is every present device of this person verified? */
static bool all_verified(struct act *a, const struct engine_member *p)
{
    unsigned devices = 0;

    for (unsigned i = 0; i < p->devices_n; i++) {
        if (p->devices[i].revoked != 0)
            continue;
        devices++;
        if (!fp_verified(a, &p->devices[i].fp, NULL))
            return false;
    }
    return devices > 0;
}

static void people_copy(struct act *a, struct window *w, const struct engine_room *r)
{
    struct person *people = calloc(r->members_n + 1, sizeof *people);

    if (people == NULL)
        return;
    free(w->people);
    w->people = people;
    w->people_n = r->members_n;
    for (unsigned i = 0; i < r->members_n; i++) {
        const struct engine_member *p = &r->members[i];
        bool self = strcmp(p->name, a->m->account) == 0;
        people[i] = (struct person){.online = p->online, .owner = p->owner, .left = p->left};
        model_clean(people[i].name, sizeof people[i].name, p->name);
        people[i].devices = p->devices_n;
        people[i].proven = p->proof != ENGINE_UNPROVEN;
        char proof[3 * NAME_MAX_LEN];
        snprintf(proof, sizeof proof, "%s%s%s", sentence_proof(p->proof),
                 p->by[0] != '\0' ? ", invited by " : "", p->by);
        model_clean(people[i].proof, sizeof people[i].proof, proof);
        people[i].verified = self || all_verified(a, p);
        if (r->kind == ENGINE_DIRECT && !self)
            peer_copy(a, w, p);
    }
}

/* Is everything that we may read on the screen? What the engine has may not be shown yet. */
static bool all_shown(const struct window *w, const struct engine_room *r)
{
    size_t i = 0;

    while (i < w->messages_n && w->messages[i].number == 0)
        i++;
    return r->begun &&
           (r->number < r->first || (i < w->messages_n && w->messages[i].number <= r->first));
}

static void room_copy(struct window *w, const struct engine_room *r)
{
    model_clean(w->name, sizeof w->name, r->name);
    model_clean(w->topic, sizeof w->topic, r->topic);
    w->kind = kind_of(r->kind);
    w->joined = r->joined;
    w->ephemeral = r->ephemeral;
    w->broken = r->broken;
    w->read_only = r->read_only;
    w->begun = all_shown(w, r);
    w->queued = r->queued;
    w->refused = r->refused;
}

void people_refresh(struct act *a)
{
    for (size_t i = 1; i < a->m->windows_n; i++) {
        const struct engine_room *r = engine_room_get(a->g, &a->m->windows[i].id);
        if (r != NULL)
            people_copy(a, &a->m->windows[i], r);
    }
}

void act_blocked(struct act *a)
{
    for (size_t i = 1; i < a->m->windows_n; i++)
        a->m->windows[i].blocked = engine_blocked(a->g, &a->m->windows[i].id);
}

/* --- entries --- */

static enum mark mark_of(const struct engine_entry *t)
{
    static const enum mark own[] = {
        [ENGINE_QUEUED] = MARK_QUEUED,
        [ENGINE_RELAY] = MARK_RELAY,
        [ENGINE_DELIVERED] = MARK_DELIVERED,
        [ENGINE_FAILED] = MARK_FAILED,
    };

    if (t->refused != NULL)
        return MARK_REFUSED;
    if (t->own)
        return own[t->state];
    return t->vouched ? MARK_NONE : MARK_UNVERIFIED;
}

/* What is to be said beside the text, or NULL. */
static const char *note_of(const struct engine_entry *t, char *out, size_t cap)
{
    if (t->refused != NULL)
        return t->refused;
    if (t->voided != NULL) {
        snprintf(out, cap, t->own ? "not delivered: %s" : "without text: %s", t->voided);
        return out;
    }
    if (t->kind != NULL && t->kind[0] != '\0' && strcmp(t->kind, "say") != 0) {
        snprintf(out, cap, "[kind %s, needs a newer client]", t->kind);
        return out;
    }
    if (t->skewed) {
        int64_t skew = ((int64_t)t->sent - (int64_t)t->time) / 60000;
        snprintf(out, cap, "the sender's clock is %lld min %s the relay's",
                 (long long)(skew < 0 ? -skew : skew), skew < 0 ? "behind" : "ahead of");
        return out;
    }
    return NULL;
}

static void show_entry(struct act *a, struct window *w, const struct engine_entry *t)
{
    char note[400], sentence[3 * NAME_MAX_LEN];
    bool system = sentence_of(t, sentence, sizeof sentence);
    struct message_in in = {
        .number = t->number,
        .seq = t->seq,
        .at = (int64_t)(t->time != 0 ? t->time : t->sent),
        .system = system,
        .mark = system ? MARK_NONE : mark_of(t),
        .own = t->own,
        .older = t->older,
        .delivered = t->delivered,
        .members = t->members,
        .fp = t->fp,
        .sender = t->author,
        .text = system ? str_of(sentence) : t->text,
        .note = system ? NULL : note_of(t, note, sizeof note),
    };

    if (!system || !a->m->quiet)
        model_message(a->m, w, &in);
}

static void show_state(struct act *a, struct window *w, const struct engine_event *ev)
{
    const struct engine_entry *t = &ev->entry;
    char note[400];
    const struct message *msg = model_find(w, &t->fp, t->seq);

    if (msg == NULL)
        return;
    /* A failure seen is not undone by an echo of an earlier state. */
    const struct message_in in = {
        .number = t->number,
        .seq = t->seq,
        .at = (int64_t)t->time,
        .mark = mark_of(t),
        .own = true,
        .delivered = t->delivered,
        .members = t->members,
        .fp = t->fp,
        .sender = a->m->account,
        .note = t->state == ENGINE_FAILED || ev->text != NULL ? note : NULL,
    };
    snprintf(note, sizeof note, "%s: %s", t->state == ENGINE_FAILED ? "not delivered" : "later",
             ev->text != NULL ? ev->text : "refused");
    model_message(a->m, w, &in);
}

/* --- answers --- */

static size_t ask_window(struct act *a, const struct act_ask *ask)
{
    const struct window *w = memcmp(&ask->window, &no_room, sizeof no_room) == 0
                                 ? NULL
                                 : model_window(a->m, &ask->window);

    return w != NULL ? (size_t)(w - a->m->windows) : 0;
}

static void opened(struct act *a, const struct act_ask *ask, const struct engine_event *ev)
{
    struct window *w = window_of(a, ev);
    struct err e = {0};

    if (w == NULL)
        return;
    if (ask->text != NULL && engine_say(a->g, &w->id, str_of(ask->text), &e) == 0)
        model_say(a->m, w, "not sent: %s", e.text);
    model_switch(a->m, (size_t)(w - a->m->windows));
}

/* What to try after a refusal that the question itself caused. */
static const char *next_step(const struct act_ask *ask, enum err_code code)
{
    return code == ERR_INPUT && strncmp(ask->what, "join ", 5) == 0
               ? "; /list shows the rooms, /create makes one"
               : "";
}

static void answered(struct act *a, struct act_ask *ask, const struct engine_event *ev)
{
    struct window *w = &a->m->windows[ask_window(a, ask)];

    if (ask->kind == ASK_OLDER)
        w->loading = false;
    if (ev->code != ERR_NONE)
        model_say(a->m, w, "%s: %s%s", ask->what, ev->text != NULL ? ev->text : "refused",
                  next_step(ask, ev->code));
    else if (ask->kind == ASK_OPEN)
        opened(a, ask, ev);
    else if (ask->kind == ASK_PLAIN)
        model_say(a->m, w, "%s: done", ask->what);
    else if (ask->kind == ASK_PERSON && a->m->view == VIEW_INSPECT)
        act_inspect(a, str_of(a->m->inspect.name));
}

static void show_answer(struct act *a, const struct engine_event *ev)
{
    for (size_t i = 0; i < ACT_ASKS_MAX; i++) {
        if (a->asks[i].id == 0 || a->asks[i].id != ev->id)
            continue;
        struct act_ask ask = a->asks[i];
        a->asks[i] = (struct act_ask){.id = 0};
        answered(a, &ask, ev);
        free(ask.text);
        return;
    }
}

static void show_listed(struct act *a, const struct engine_event *ev)
{
    struct window *w = model_current(a->m);

    for (size_t i = 0; i < ACT_ASKS_MAX; i++) {
        if (a->asks[i].id == ev->id)
            w = &a->m->windows[ask_window(a, &a->asks[i])];
    }
    model_say(a->m, w, "#%s  %u %s%s%s%s", ev->text, ev->members,
              ev->members == 1 ? "person" : "people", ev->joined ? "  joined" : "",
              ev->topic != NULL && ev->topic[0] != '\0' ? "  " : "",
              ev->topic != NULL ? ev->topic : "");
}

/* --- events --- */

static void caught(struct act *a, struct window *w)
{
    if (w->filled)
        return;
    w->filled = true;
    act_older(a, w); /* what is kept here; then the screen is not empty after a start */
}

static void show_room(struct act *a, struct window *w, const struct engine_event *ev)
{
    const struct engine_room *r = engine_room_get(a->g, &ev->room);

    if (r == NULL)
        return;
    room_copy(w, r);
    if (ev->kind == ENGINE_MEMBERS) {
        people_copy(a, w, r);
        w->blocked = engine_blocked(a->g, &w->id);
    }
    if (ev->kind == ENGINE_CAUGHT) {
        caught(a, w);
        act_transcript_newer(a, &ev->room);
    }
}

static void show_ready(struct act *a)
{
    struct model *m = a->m;

    m->conn = CONN_READY;
    m->settled = true;
    m->offline_since = 0;
    m->why[0] = '\0';
    model_say(m, &m->windows[0], "connected to %s, both certificates verified (/hs)", m->relay);
    if (m->hs_auto && m->view == VIEW_HANDSHAKE) {
        m->view = VIEW_CHAT;
        m->hs_auto = false;
    }
    if (m->current == 0 && m->windows_n > 1)
        model_switch(m, 1);
}

void act_event(struct act *a, const struct engine_event *ev)
{
    struct window *w = window_of(a, ev);

    switch (ev->kind) {
    case ENGINE_PASSWORD: break;
    case ENGINE_READY: show_ready(a); break;
    case ENGINE_ROOM:
    case ENGINE_MEMBERS:
    case ENGINE_CAUGHT:
        if (w != NULL)
            show_room(a, w, ev);
        break;
    case ENGINE_ENTRY:
        if (w != NULL)
            show_entry(a, w, &ev->entry);
        break;
    case ENGINE_STATE:
        if (w != NULL)
            show_state(a, w, ev);
        break;
    case ENGINE_LISTED: show_listed(a, ev); break;
    case ENGINE_ANSWER: show_answer(a, ev); break;
    case ENGINE_NOTE:
        if (!a->m->quiet)
            model_say(a->m, w != NULL ? w : &a->m->windows[0], "%s", ev->text);
        if (w == NULL)
            model_clean(a->m->hint, sizeof a->m->hint, ev->text);
        break;
    case ENGINE_ALARM:
        act_blocked(a);
        model_alarm(a->m, w, ev->text);
        break;
    case ENGINE_SEALED:
    case ENGINE_EVIDENCE: /* the program keeps it and says so as an alarm */
    case ENGINE_CLOSE: break;
    }
    if (w != NULL && (w = window_of(a, ev)) != NULL) {
        const struct engine_room *r = engine_room_get(a->g, &ev->room);
        if (r != NULL)
            room_copy(w, r);
    }
}

/* --- handshake --- */

void act_link(struct act *a, const struct link_info *info)
{
    struct attempt *t = model_last_try(a->m);

    if (t == NULL)
        return;
    model_clean(t->version, sizeof t->version, info->version != NULL ? info->version : "");
    model_clean(t->suite, sizeof t->suite, info->suite != NULL ? info->suite : "");
    model_clean(t->group, sizeof t->group, info->group != NULL ? info->group : "");
    t->pinned = false;
    for (t->peer_n = 0; t->peer_n < info->peer_n && t->peer_n < MODEL_CERTS; t->peer_n++) {
        cert_shown(a->m, info->peer[t->peer_n], &t->peer[t->peer_n]);
        t->pinned = t->pinned || (!hash_same(&t->pin.fp, &no_hash) &&
                                  hash_same(&t->peer[t->peer_n].fp, &t->pin.fp));
    }
}

/* What to do next, by the certificate rule that failed and by whom it was applied. */
static const struct {
    const char *word;
    bool by_relay;
    const char *next;
} remedies[] = {
    {"expired", true, "ask the operator for an invite for this name, then: countersign join"},
    {"revoked", true, "ask the operator for an invite for this name, then: countersign join"},
    {"not-enrolled", true, "ask the operator for an invite for this name, then: countersign join"},
    {LINK_BAD_CERT, true, "ask the operator what is wrong with it: the relay's log has the rule"},
    {"expired", false, "ask the operator of the relay to run: countersignd doctor"},
    {"wrong-name", false, "countersign handshake HOST:PORT   shows for which names it is valid"},
    {"unknown-ca", false, "do not go on: ask the operator whether the relay was set up anew"},
    {"self-signed", false, "do not go on: ask the operator whether the relay was set up anew"},
    {"bad-signature", false, "do not go on: ask the operator whether the relay was set up anew"},
    {"crl-expired", false, "ask the operator of the relay to run: countersignd doctor"},
    {"not-pinned", false, "ask the operator for the SHA-256 of the relay's certificate"},
};

static const char *remedy(const struct err *why, const struct link_info *info)
{
    bool shaking = info != NULL && info->due != NULL;

    for (size_t i = 0; info != NULL && info->refused != NULL && i < COUNT(remedies); i++) {
        if (strcmp(info->refused, remedies[i].word) == 0 &&
            info->refused_by_peer == remedies[i].by_relay)
            return remedies[i].next;
    }
    switch (why->code) {
    case ERR_HOST: return "check the name of the relay, then /retry";
    case ERR_UNAVAILABLE:
    case ERR_AGAIN: return "/retry, or ask the operator whether countersignd runs";
    case ERR_AUTH:
        return shaking ? "do not go on: ask the operator whether this is still the relay"
                       : "countersign   asks for the password again";
    default: return "/retry; if it comes again, ask the operator: countersignd doctor";
    }
}

/* The step that was due is shown as the one that failed, unless it stands there as waited for. */
static void show_due(struct act *a, const struct link_row *due)
{
    const struct attempt *t = model_last_try(a->m);
    unsigned n = t != NULL ? t->steps_n : 0;

    if (t == NULL || (n > 0 && t->steps[n - 1].waiting))
        return;
    model_step(a->m, &(struct link_step){.number = n > 0 ? t->steps[n - 1].number + 1 : 1,
                                         .total = t->total > 2 ? t->total - 2 : 1,
                                         .name = due->name,
                                         .wire = due->wire,
                                         .proves = due->proves,
                                         .out = due->client_writes,
                                         .local = due->local});
}

void act_failed(struct act *a, const struct err *why, const struct link_info *info)
{
    char text[300];
    const char *next = remedy(why, info);
    bool named = info != NULL && info->refused != NULL;

    snprintf(text, sizeof text, "%.250s%s%.20s%s", why->text, named ? " (" : "",
             named ? info->refused : "", named ? ")" : "");
    if (info != NULL && info->due != NULL)
        show_due(a, info->due);
    model_try_failed(a->m, text, next);
    model_clean(a->m->why, sizeof a->m->why, text);
}

/* --- classic --- */

static const struct room_id guest_room = {"#classic"};

void act_guest_window(struct act *a)
{
    struct window *w = model_window(a->m, &guest_room);

    if (w == NULL)
        w = model_window_add(a->m, &guest_room, WINDOW_GUEST, "classic");
    if (w == NULL)
        return;
    w->joined = w->begun = true; /* nothing is kept, so there is nothing older */
    model_switch(a->m, (size_t)(w - a->m->windows));
}

void act_guest_text(struct act *a, struct str text, bool own)
{
    struct window *w = model_window(a->m, &guest_room);

    if (w == NULL)
        return;
    const struct message_in in = {.number = w->messages_n + 1,
                                  .seq = w->messages_n + 1,
                                  .at = a->m->now,
                                  .mark = MARK_UNSIGNED,
                                  .own = own,
                                  .sender = own ? "you" : "guest",
                                  .text = text,
                                  .note = LINK_CLASSIC_MARK};
    model_message(a->m, w, &in);
}

void act_login(struct act *a, uint64_t at_us, bool done)
{
    const struct attempt *t = model_last_try(a->m);
    struct step s = {.out = true, .waiting = !done, .at_us = at_us};

    if (t == NULL || t->steps_n == 0)
        return;
    const struct step *last = &t->steps[t->steps_n - 1];
    snprintf(s.name, sizeof s.name, "Login");
    snprintf(s.proves, sizeof s.proves, "you know the password; so does the relay's record");
    snprintf(s.detail, sizeof s.detail,
             "Argon2id on this computer; the proof is bound to this connection and both "
             "certificates");
    if (done && last->above) {
        s.at_us = last->at_us;
        s.took_us = at_us > last->at_us ? at_us - last->at_us : 0;
    }
    model_step_above(a->m, &s);
    if (!done)
        return;
    s = (struct step){.at_us = at_us};
    snprintf(s.name, sizeof s.name, "Ready");
    snprintf(s.proves, sizeof s.proves, "the relay proved that it knows you, too");
    model_step_above(a->m, &s);
    model_last_try(a->m)->done = true;
}
