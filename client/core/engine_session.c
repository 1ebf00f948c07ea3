/* engine_session.c -- what a receipt says of the session (docs/evidence.md 5), kept as soon as
 * there is something to say: a process that is killed makes no receipt, but its successor does, of
 * the entries that were kept in time. One record, of the last session that got its welcome. */
#include <string.h>

#include "client/core/engine_inner.h"

enum { WORDS_MAX = 2 * (1 + RECEIPT_WORD_MAX), ROOM_BYTES = ROOM_ID_LEN + 8 };
enum { RECORD_MAX = SESSION_ID_LEN + HASH_LEN + WORDS_MAX + ROOMS_MAX * ROOM_BYTES };

static const char record_name[] = "session";

void session_linked(struct engine *g, const struct engine_peer *peer)
{
    struct session *s = &g->session;
    const char *suite = peer->suite == NULL ? "unknown" : peer->suite;

    *s = (struct session){.relay_fp = peer->relay_fp};
    account_session(s->id, &peer->exporter);
    if (str_copy(s->link, sizeof s->link, str_of(peer->link)) < 0 ||
        str_copy(s->suite, sizeof s->suite, str_of(suite)) < 0)
        s->link[0] = s->suite[0] = '\0';    /* no receipt can name it */
    for (size_t i = 0; i < g->rooms_n; i++) /* what came before is of another session */
        g->rooms[i]->session_from = 0;
}

/* --- the record --- */

static void word_take(struct rd *r, char out[RECEIPT_WORD_MAX + 1])
{
    struct span word = rd_part(r, 1);

    if (str_copy(out, RECEIPT_WORD_MAX + 1, str_from((const char *)word.p, word.n)) < 0)
        r->bad = true;
}

int session_put(struct engine *g, struct err *e)
{
    const struct keep *k = &g->conf.keep;
    const struct session *s = &g->session;
    uint8_t record[RECORD_MAX];
    struct wr w = wr_of(record, sizeof record);

    if (!s->begun || !g->conf.record)
        return 0;
    wr_put(&w, s->id, sizeof s->id);
    wr_put(&w, s->relay_fp.b, sizeof s->relay_fp.b);
    wr_part(&w, 1, span_of(s->link, strlen(s->link)));
    wr_part(&w, 1, span_of(s->suite, strlen(s->suite)));
    for (size_t i = 0; i < g->rooms_n; i++) {
        const struct room *r = g->rooms[i];
        if (r->session_from == 0 || r->pub.ephemeral)
            continue;
        wr_put(&w, r->pub.id.b, ROOM_ID_LEN);
        wr_u64(&w, r->session_from);
    }
    return k->ops->value_put(k->k, record_name, wr_span(&w), e);
}

/* Of a session that is to leave nothing there is none, and the one of before is over. */
static int record_clear(struct engine *g, struct err *e)
{
    const struct keep *k = &g->conf.keep;
    struct buf b;

    buf_init(&b, RECORD_MAX);
    int found = k->ops->value_get(k->k, record_name, &b, e);
    bool full = found == 1 && buf_span(&b).n > 0;
    buf_free(&b);
    return !full ? found : k->ops->value_put(k->k, record_name, span_of("", 0), e);
}

int session_begin(struct engine *g)
{
    struct err e = {0};

    g->session.begun = true;
    if ((g->conf.record ? session_put(g, &e) : record_clear(g, &e)) < 0)
        return engine_fail(g, e.code, false, "%s", e.text);
    return 0;
}

/* --- reading it --- */

/* Rooms of which nothing new was kept stay where they are. */
static int room_load(struct engine *g, const struct room_id *id, uint64_t from, struct err *e)
{
    const struct keep *k = &g->conf.keep;
    struct keep_room row;
    int found = k->ops->room_get(k->k, id, &row, e);

    if (found != 1 || !row.based || row.ephemeral || row.number < from)
        return found < 0 ? -1 : 0;
    struct room *r = room_offline(g, id, e);
    if (r == NULL)
        return -1;
    r->session_from = from;
    return 0;
}

static int record_take(struct engine *g, struct span record, struct err *e)
{
    struct rd r = rd_of(record);
    struct session s = {.begun = true};
    struct room_id id;

    rd_copy(&r, s.id, sizeof s.id);
    rd_copy(&r, s.relay_fp.b, sizeof s.relay_fp.b);
    word_take(&r, s.link);
    word_take(&r, s.suite);
    while (!r.bad && !rd_done(&r)) {
        rd_copy(&r, id.b, sizeof id.b);
        uint64_t from = rd_u64(&r);
        if (!r.bad && room_load(g, &id, from, e) < 0)
            return -1;
    }
    if (!rd_done(&r))
        return err_set(e, ERR_DATA, "the store: the record of the last session is damaged");
    g->session = s;
    return 0;
}

int session_load(struct engine *g, struct err *e)
{
    const struct keep *k = &g->conf.keep;
    struct buf b;

    buf_init(&b, RECORD_MAX);
    int rc = k->ops->value_get(k->k, record_name, &b, e);
    if (rc == 1 && buf_span(&b).n > 0)
        rc = record_take(g, buf_span(&b), e);
    buf_free(&b);
    return rc < 0 ? -1 : 0;
}
