#include "tests/unit/client/support_screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/time.h"

static void local(void *ctx, int64_t ms, struct stamp *out)
{
    struct time_parts p;

    (void)ctx;
    time_split(ms, &p);
    *out = (struct stamp){.year = p.year,
                          .mon = (int)p.month,
                          .day = (int)p.day,
                          .hour = (int)p.hour,
                          .min = (int)p.minute,
                          .wday = (int)((ms / 86400000 + 4) % 7)};
}

struct hash demo_hash(uint8_t seed)
{
    struct hash h;

    for (unsigned i = 0; i < HASH_LEN; i++)
        h.b[i] = (uint8_t)(seed * 37 + i * 71 + (i * i) % 13);
    return h;
}

struct model *demo_empty(void)
{
    const struct model_conf conf = {.local = local};
    struct model *m = model_new(&conf);

    if (m == NULL)
        abort();
    model_clock(m, DEMO_NOW);
    snprintf(m->account, sizeof m->account, "alice");
    snprintf(m->device, sizeof m->device, "desk");
    snprintf(m->relay, sizeof m->relay, "relay.lab");
    m->conn = CONN_READY;
    struct attempt *t = model_try(m, 1);
    snprintf(t->version, sizeof t->version, "TLS 1.3");
    return m;
}

static uint64_t numbers;

static void said(struct model *m, struct window *w, int ago, const char *sender, enum mark mark,
                 const char *text, const char *note)
{
    bool own = strcmp(sender, "alice") == 0;
    uint64_t number = ++numbers;
    const struct message_in in = {
        .number = mark == MARK_QUEUED ? 0 : number,
        .seq = ++numbers,
        .at = DEMO_NOW - ago * INT64_C(60000),
        .mark = mark,
        .own = own,
        .delivered = own ? 3 : 0,
        .members = own ? 4 : 0,
        .fp = demo_hash((uint8_t)sender[0]),
        .sender = sender,
        .text = str_of(text),
        .note = note,
    };
    model_message(m, w, &in);
}

static struct window *room(struct model *m, uint8_t id, enum window_kind kind, const char *name)
{
    struct room_id rid = {{id}};
    struct window *w = model_window_add(m, &rid, kind, name);

    w->joined = true;
    return w;
}

static void people(struct window *w)
{
    static const struct person all[] = {
        {.name = "alice", .online = true, .owner = true, .verified = true, .devices = 1},
        {.name = "bob", .online = true, .verified = true, .devices = 2},
        {.name = "carol", .devices = 1},
        {.name = "dave", .left = true},
    };

    w->people = malloc(sizeof all);
    if (w->people == NULL)
        abort();
    memcpy(w->people, all, sizeof all);
    w->people_n = COUNT(all);
}

struct model *demo_chat(void)
{
    struct model *m = demo_empty();
    struct window *w;

    numbers = 0;
    room(m, 1, WINDOW_PUBLIC, "ops");
    room(m, 2, WINDOW_DIRECT, "bob");
    room(m, 3, WINDOW_DIRECT, "carol");
    w = &m->windows[1];
    people(w);
    model_switch(m, 2);
    said(m, w, 3, "bob", MARK_NONE, "the build is green", NULL);
    said(m, w, 3, "carol", MARK_UNVERIFIED, "alice: can you look?", NULL);
    said(m, &m->windows[3], 2, "carol", MARK_UNVERIFIED, "hello", NULL);
    w = &m->windows[2];
    w->peer = demo_hash('b');
    w->verified = true;
    w->verified_at = DEMO_NOW - INT64_C(86400000);
    snprintf(w->peer_device, sizeof w->peer_device, "laptop");
    said(m, w, 60 * 20, "alice", MARK_DELIVERED, "closing for today", NULL);
    said(m, w, 31, "alice", MARK_DELIVERED, "morning. did the relay move to the new box?", NULL);
    said(m, w, 30, "bob", MARK_NONE,
         "yes: same CA, new leaf. the fingerprint in your invite still matches, so nothing to "
         "re-check on your side",
         NULL);
    model_say(m, w, "bob added device \"phone\"  /inspect bob");
    said(m, w, 23, "bob", MARK_UNVERIFIED, "sent this one from my phone", NULL);
    said(m, w, 21, "alice", MARK_FAILED, "could you also send the invoice",
         "not sent: the room is read only, /retry");
    said(m, w, 18, "bob", MARK_NONE,
         "`ls -l` in the shared folder gives\n-rw------- 1 bob bob 219136 Nov 21 14:14 report.pdf",
         NULL);
    said(m, w, 5, "mallory", MARK_REFUSED, "never shown", "bad signature");
    said(m, w, 2, "bob", MARK_NONE, "no hurry", NULL);
    said(m, w, 0, "alice", MARK_RELAY, "on it", NULL);
    said(m, w, 0, "alice", MARK_QUEUED, "will send the countersigned one tonight", NULL);
    w->queued = 1;
    return m;
}

static void demo_cert(struct shown_cert *c, uint8_t seed, const char *subject, const char *issuer,
                      const char *key, int days)
{
    *c = (struct shown_cert){.until = DEMO_NOW + days * INT64_C(86400000), .fp = demo_hash(seed)};
    snprintf(c->subject, sizeof c->subject, "%s", subject);
    snprintf(c->issuer, sizeof c->issuer, "%s", issuer);
    snprintf(c->key, sizeof c->key, "%s", key);
    snprintf(c->signature, sizeof c->signature, "RSA with SHA-256");
    snprintf(c->usage, sizeof c->usage, "digitalSignature, nonRepudiation; clientAuth");
    snprintf(c->serial, sizeof c->serial, "4f0a91c2d37be6058812cc90ab17ef34");
    local(NULL, c->until, &c->until_day);
    local(NULL, DEMO_NOW, &c->from_day);
}

struct model *demo_handshake(void)
{
    static const struct link_step steps[] = {
        {.name = "ClientHello",
         .out = true,
         .bytes = 234,
         .took_us = 1200,
         .proves = "you offer X25519 and AES-256-GCM"},
        {.name = "ServerHello",
         .bytes = 118,
         .at_us = 1400,
         .took_us = 100,
         .proves = "secret agreed, NOBODY proven"},
        {.name = "EncryptedExtensions",
         .bytes = 2,
         .at_us = 1500,
         .proves = "everything below is encrypted"},
        {.name = "CertificateRequest",
         .bytes = 74,
         .at_us = 1500,
         .proves = "relay demands your identity too"},
        {.name = "Certificate",
         .bytes = 2102,
         .at_us = 1600,
         .took_us = 400,
         .proves = "relay.lab <- Lab Relay CA"},
        {.name = "CertificateVerify",
         .bytes = 388,
         .at_us = 2100,
         .took_us = 300,
         .proves = "relay owns that key (RSA-PSS)"},
        {.name = "Finished", .bytes = 48, .at_us = 2400, .proves = "steps 1-6 were not altered"},
        {.name = "Certificate",
         .out = true,
         .bytes = 2094,
         .at_us = 2500,
         .took_us = 100,
         .proves = "you: alice / device desk"},
        {.name = "CertificateVerify",
         .out = true,
         .bytes = 388,
         .at_us = 2600,
         .took_us = 7900,
         .proves = "you own that key"},
        {.name = "Finished",
         .out = true,
         .bytes = 48,
         .at_us = 10500,
         .proves = "both saw the same handshake"},
        {.name = "verdict", .waiting = true, .at_us = 10600, .proves = "the relay accepts you"},
    };
    struct model *m = demo_empty();
    struct attempt *t = model_last_try(m);

    snprintf(t->where, sizeof t->where, "relay.lab:7443");
    for (unsigned i = 0; i < COUNT(steps); i++) {
        struct link_step s = steps[i];
        s.number = i + 1;
        s.total = COUNT(steps);
        model_step(m, &s);
    }
    snprintf(t->suite, sizeof t->suite, "TLS_AES_256_GCM_SHA384");
    snprintf(t->group, sizeof t->group, "X25519");
    demo_cert(&t->pin, 9, "CN=Lab Relay CA", "CN=Lab Relay CA", "RSA 3072", 3611);
    t->pinned = true;
    demo_cert(&t->peer[0], 1, "CN=relay.lab", "CN=Lab Relay CA", "P-256", 28);
    t->peer_n = 1;
    demo_cert(&t->own[0], 2, "CN=alice, OU=desk", "CN=Lab Relay CA", "RSA 2048", 361);
    t->own_n = 1;
    m->view = VIEW_HANDSHAKE;
    m->conn = CONN_SHAKING;
    return m;
}

struct model *demo_inspector(void)
{
    struct model *m = demo_chat();
    struct inspection *p = &m->inspect;
    struct shown_device *d = &p->devices[0];

    *p = (struct inspection){.devices_n = 2, .online = true, .good = 214};
    snprintf(p->name, sizeof p->name, "bob");
    local(NULL, DEMO_NOW - INT64_C(1000000000), &p->first);
    local(NULL, DEMO_NOW, &p->last);
    for (unsigned i = 0; i < 2; i++, d++) {
        snprintf(d->name, sizeof d->name, i == 0 ? "laptop" : "phone");
        d->fp = demo_hash((uint8_t)(i + 40));
        d->fetched = true;
        demo_cert(&d->leaf, (uint8_t)(i + 40), "CN=bob, OU=laptop", "CN=relay.lab CA 1", "RSA 2048",
                  83);
        demo_cert(&d->issuer, 50, "CN=relay.lab CA 1", "CN=relay.lab root", "RSA 3072", 1800);
        randomart(&d->fp, "RSA 2048", &d->art);
    }
    m->view = VIEW_INSPECT;
    return m;
}

struct model *demo_transcript(void)
{
    static const struct {
        const char *from, *text;
    } said[] = {{"alice", "(join)"},
                {"bob", "(join)"},
                {"alice", "morning, starting the handover"},
                {"bob", "(withheld: the line before it is missing)"},
                {"bob", "here\nand a second row"},
                {"alice", "the first item is the relay, it moved to the new box on Friday"}};
    struct model *m = demo_chat();
    struct transcript *t = &m->transcript;

    model_transcript(m, &m->windows[1].id, "#ops");
    for (size_t i = 0; i < COUNT(said); i++) {
        struct shown_line line = {.number = i + 1,
                                  .seq = i / 2 + 1,
                                  .time = DEMO_NOW - 60000,
                                  .sent = DEMO_NOW - 60123,
                                  .fp = demo_hash(said[i].from[0] == 'a' ? 40 : 41),
                                  .hash = demo_hash((uint8_t)(60 + i)),
                                  .prev = i < 2 ? (struct hash){{0}} : demo_hash(59),
                                  .sig_bytes = 256,
                                  .body_bytes = 100 + i,
                                  .is_signed = true,
                                  .good = i != 3};
        model_clean(line.from, sizeof line.from, said[i].from);
        model_clean(line.device, sizeof line.device, "laptop");
        model_transcript_line(m, &line, str_of(said[i].text));
    }
    t->chosen = COUNT(said) - 1;
    t->judged = t->valid = true;
    t->first = 1;
    t->last = t->size = COUNT(said);
    t->withheld = 1;
    t->root = demo_hash(70);
    t->signer = demo_hash(71);
    snprintf(t->relay, sizeof t->relay, "relay.lab");
    local(NULL, DEMO_NOW, &t->signed_when);
    m->view = VIEW_TRANSCRIPT;
    return m;
}

void demo_draft(struct model *m, const char *text)
{
    free(m->input.text);
    m->input.text = strdup(text);
    m->input.n = m->input.point = strlen(text);
}
