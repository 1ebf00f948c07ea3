/* What all links have in common: which events there are, in which order, and how often. */
#include "common/link/link.h"

#include <stdlib.h>
#include <string.h>

#include "common/link/link_priv.h"

struct link_ready {
    enum link_kind kind;
    const struct link_proto *proto;
    enum role role;
    void *ready;
};

struct link {
    enum link_kind kind;
    const struct link_proto *proto;
    void *end;
    enum role role;
    unsigned number; /* steps told so far */
    unsigned row;    /* of the last of them */
    bool heard;      /* the last row's step was told: the relay has let the client in */
    bool ended;      /* the stream ended in order */
    bool waiting, established, over; /* told so far; over: CLOSED or FAILED */
};

static const struct link_proto *proto_of(enum link_kind kind)
{
    static const struct link_proto *const protos[LINK_KIND_COUNT] = {
        [LINK_TLS] = &link_proto_tls,         [LINK_ECDHE] = &link_proto_ecdhe,
        [LINK_CIANR] = &link_proto_cianr,     [LINK_SOVEREIGN] = &link_proto_sovereign,
        [LINK_CLASSIC] = &link_proto_classic,
    };

    return protos[kind];
}

const struct link_row *link_rows(enum link_kind kind, size_t *n)
{
    const struct link_proto *p = proto_of(kind);

    *n = p->rows_n;
    return p->rows;
}

const struct link_row *link_rows_file(size_t *n)
{
    *n = link_proto_classic_file.rows_n;
    return link_proto_classic_file.rows;
}

#define X(id, name) [id] = name,
static const char *const names[] = {LINK_KINDS(X)};
#undef X

const char *link_kind_name(enum link_kind kind)
{
    return names[kind];
}

int link_kind_take(struct str name, enum link_kind *kind)
{
    for (enum link_kind k = 0; k < LINK_KIND_COUNT; k++)
        if (str_is(name, names[k])) {
            *kind = k;
            return 0;
        }
    return -1;
}

int link_tell(unsigned kinds, struct span first, enum link_kind *kind)
{
    bool open = false;

    for (enum link_kind k = 0; k < LINK_KIND_COUNT; k++) {
        struct str want = proto_of(k)->first;
        size_t n = first.n < want.n ? first.n : want.n;

        if ((kinds & 1U << k) == 0)
            continue;
        *kind = k;
        if (kinds == 1U << k || (n == want.n && memcmp(first.p, want.p, n) == 0))
            return 1;
        open = open || n == 0 || memcmp(first.p, want.p, n) == 0;
    }
    return open ? 0 : -1;
}

struct link_ready *link_ready_new(enum role role, const struct link_conf *conf, struct err *e)
{
    struct link_ready *r = calloc(1, sizeof *r);

    if (r == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a link");
        return NULL;
    }
    r->role = role;
    r->kind = conf->kind;
    r->proto = conf->kind == LINK_CLASSIC && conf->file_key != NULL ? &link_proto_classic_file
                                                                    : proto_of(conf->kind);
    r->ready = r->proto->ready_new(r->proto, role, conf, e);
    if (r->ready == NULL) {
        free(r);
        return NULL;
    }
    return r;
}

void link_ready_free(struct link_ready *r)
{
    if (r == NULL)
        return;
    r->proto->ready_free(r->ready);
    free(r);
}

static struct link *link_open(enum role role, const struct link_ready *ready, struct err *e)
{
    struct link *l = calloc(1, sizeof *l);

    if (l == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a link");
        return NULL;
    }
    l->role = role;
    l->kind = ready->kind;
    l->proto = ready->proto;
    l->end = l->proto->open(ready->ready, e);
    if (l->end == NULL) {
        free(l);
        l = NULL;
    }
    return l;
}

struct link *link_new(enum role role, const struct link_conf *conf, struct err *e)
{
    struct link_ready *own = conf->ready == NULL ? link_ready_new(role, conf, e) : NULL;
    const struct link_ready *ready = own != NULL ? own : conf->ready;
    struct link *l = NULL;

    if (ready != NULL && ready->role != role)
        err_set(e, ERR_LOCAL, "keys made ready for the other role");
    else if (ready != NULL)
        l = link_open(role, ready, e);
    link_ready_free(own);
    return l;
}

void link_free(struct link *l)
{
    if (l == NULL)
        return;
    l->proto->free(l->end);
    wipe(l, sizeof *l);
    free(l);
}

int link_feed(struct link *l, const uint8_t *in, size_t n)
{
    return l->proto->feed(l->end, in, n);
}

int link_eof(struct link *l)
{
    if (l->proto->eof(l->end) < 0)
        return -1;
    l->ended = true;
    return 0;
}

struct span link_out(struct link *l)
{
    return l->proto->out(l->end);
}

void link_sent(struct link *l, size_t n)
{
    l->proto->sent(l->end, n);
}

size_t link_waiting(const struct link *l)
{
    return l->proto->waiting(l->end);
}

void link_rest(struct link *l)
{
    if (l->established)
        l->proto->rest(l->end);
}

int link_send(struct link *l, const uint8_t *msg, size_t n)
{
    return l->proto->send(l->end, msg, n);
}

void link_lend(struct link *l, struct buf *block)
{
    if (l->proto->lend != NULL)
        l->proto->lend(l->end, block);
}

void link_reclaim(struct link *l, struct buf *block)
{
    if (l->proto->reclaim != NULL)
        l->proto->reclaim(l->end, block);
}

int link_rekey(struct link *l)
{
    return l->established && !l->over ? l->proto->rekey(l->end) : -1;
}

void link_close(struct link *l)
{
    l->proto->close(l->end);
}

/* --- events, in the one order in which they are told --- */

static void step_name(const struct link *l, struct link_step *s)
{
    const struct link_row *row = &l->proto->rows[s->row];

    s->name = row->name;
    s->wire = row->wire;
    s->proves = row->proves;
    s->number = l->number + 1;
    s->total = l->proto->total(l->end);
}

static bool next_step(struct link *l, struct link_event *ev)
{
    struct link_step s = {0};

    if (!l->proto->step(l->end, &s))
        return false;
    step_name(l, &s);
    l->number++;
    l->row = s.row;
    l->heard = s.row + l->proto->after == l->proto->rows_n - 1;
    ev->kind = LINK_STEP;
    ev->step = s;
    return true;
}

/* The client has said everything and does not know yet whether it was let in. Whatever the relay
 * answers begins with the next row: behind the client's last word no order is drawn. */
static bool next_waiting(struct link *l, struct link_event *ev)
{
    if (l->role != ROLE_CLIENT || l->waiting || l->heard || !l->proto->said(l->end))
        return false;
    l->waiting = true;
    ev->kind = LINK_STEP;
    ev->step =
        (struct link_step){.row = l->row + 1, .waiting = true, .at_us = l->proto->now(l->end)};
    step_name(l, &ev->step);
    ev->step.proves = "waiting for the relay's verdict";
    return true;
}

static bool next_established(struct link *l, struct link_event *ev)
{
    bool now = l->proto->done(l->end) && (l->role == ROLE_RELAY || l->heard);

    if (l->established || !now)
        return false;
    l->established = true;
    ev->kind = LINK_ESTABLISHED;
    return true;
}

static bool next_message(struct link *l, struct link_event *ev)
{
    struct span s = {NULL, 0};

    if (l->established)
        s = l->proto->take(l->end);
    ev->kind = LINK_MESSAGE;
    ev->message = s;
    return s.n > 0;
}

static bool next_end(struct link *l, struct link_event *ev)
{
    bool bad = link_error(l)->code != ERR_NONE;

    if (l->over || !(bad || l->ended || l->proto->closed(l->end)))
        return false;
    l->over = true;
    ev->kind = bad ? LINK_FAILED : LINK_CLOSED;
    return true;
}

bool link_next(struct link *l, struct link_event *ev)
{
    return next_step(l, ev) || next_waiting(l, ev) || next_established(l, ev) ||
           next_message(l, ev) || next_end(l, ev);
}

const struct err *link_error(const struct link *l)
{
    return l->proto->error(l->end);
}

void link_info(const struct link *l, struct link_info *out)
{
    l->proto->info(l->end, out);
    out->kind = l->kind;
}

int link_exporter(const struct link *l, const char *label, struct key *out)
{
    return l->proto->exporter(l->end, label, out);
}
