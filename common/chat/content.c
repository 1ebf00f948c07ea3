#include "common/chat/content.h"

#include <string.h>

#include "common/chat/json.h"
#include "common/util/text.h"

#define X(id, word) [id] = word,
static const char *const words[] = {CONTENT_LIST(X)};
#undef X

bool content_seats(enum content_kind kind)
{
    return kind == CONTENT_JOIN || kind == CONTENT_LEAVE || kind == CONTENT_INVITE;
}

/* --- reading: a function a kind --- */

static void who_take(struct jget *g, struct content_who *w)
{
    jget_hex(g, "account", w->account.b, sizeof w->account.b);
    w->name = jget_str(g, "name", 1, NAME_MAX_LEN);
}

static void say_take(struct jget *g, struct content *c)
{
    c->text = jget_str(g, "text", 1, TEXT_MAX);
}

static void join_take(struct jget *g, struct content *c)
{
    who_take(g, &c->who);
    c->has_with = g->node != NULL && jget_has(*g, "with");
    if (!c->has_with)
        return;
    struct jget with = jget_obj(g, "with");
    who_take(&with, &c->with);
}

static void leave_take(struct jget *g, struct content *c)
{
    (void)g;
    (void)c;
}

static void invite_take(struct jget *g, struct content *c)
{
    who_take(g, &c->who);
    jget_hex(g, "roster", c->roster.b, sizeof c->roster.b);
    c->at = jget_u64(g, "at", 1, JSON_INT_MAX);
}

static void (*const takes[])(struct jget *g, struct content *c) = {
    [CONTENT_SAY] = say_take,
    [CONTENT_JOIN] = join_take,
    [CONTENT_LEAVE] = leave_take,
    [CONTENT_INVITE] = invite_take,
};

static enum content_kind kind_of(struct str name)
{
    for (int i = 0; i < CONTENT_UNKNOWN; i++)
        if (str_is(name, words[i]))
            return (enum content_kind)i;
    return CONTENT_UNKNOWN;
}

int content_take(struct content *c, struct span json, struct err *e)
{
    struct err why = {0};
    struct jget g;

    memset(c, 0, sizeof *c);
    if (json.n > CONTENT_MAX)
        return err_set(e, ERR_LIMIT, "the content is too long");
    c->tree = json_parse(json, &why);
    if (c->tree == NULL)
        goto out;
    g = jget_of(c->tree, &why);
    c->name = jget_str(&g, "kind", 1, CONTENT_KIND_MAX);
    c->kind = kind_of(c->name);
    if (c->kind != CONTENT_UNKNOWN)
        takes[c->kind](&g, c);
out:
    if (why.code == ERR_NONE)
        return 0;
    content_free(c);
    return err_set(e, why.code, "content: %s", why.text);
}

void content_free(struct content *c)
{
    json_free(c->tree);
    memset(c, 0, sizeof *c);
}

/* --- writing --- */

struct draft {
    struct jput w;
    size_t before;
};

static struct draft draft_open(struct buf *b, enum content_kind kind)
{
    struct draft d = {jput_of(b), b->len};

    jput_open(&d.w, NULL, '{');
    jput_str(&d.w, "kind", str_of(words[kind]));
    return d;
}

static int draft_close(struct draft *d, const char *what, struct err *e)
{
    jput_close(&d->w, '}');
    if (jput_done(&d->w) == 0)
        return 0;
    buf_cut(d->w.b, d->before);
    return err_set(e, ERR_DATA, "%s", what);
}

static void who_put(struct jput *w, const struct content_who *who)
{
    jput_hex(w, "account", span_of(who->account.b, sizeof who->account.b));
    jput_str(w, "name", who->name);
}

int content_say_put(struct buf *b, struct str text, struct err *e)
{
    if (text.n < 1 || text.n > TEXT_MAX)
        return err_set(e, ERR_LIMIT, "a message has 1 to %d bytes, this one %zu", TEXT_MAX, text.n);
    if (!text_utf8_ok(text) || memchr(text.p, 0, text.n) != NULL)
        return err_set(e, ERR_DATA, "the message is not UTF-8 or holds a NUL");
    struct draft d = draft_open(b, CONTENT_SAY);
    jput_str(&d.w, "text", text);
    return draft_close(&d, "no memory for the message", e);
}

int content_join_put(struct buf *b, const struct content_who *who, const struct content_who *with,
                     struct err *e)
{
    struct draft d = draft_open(b, CONTENT_JOIN);

    who_put(&d.w, who);
    if (with != NULL) {
        jput_open(&d.w, "with", '{');
        who_put(&d.w, with);
        jput_close(&d.w, '}');
    }
    return draft_close(&d, "the join cannot be written", e);
}

int content_leave_put(struct buf *b, struct err *e)
{
    struct draft d = draft_open(b, CONTENT_LEAVE);

    return draft_close(&d, "the leave cannot be written", e);
}

int content_invite_put(struct buf *b, const struct content_who *guest, const struct hash *roster,
                       uint64_t at, struct err *e)
{
    struct draft d = draft_open(b, CONTENT_INVITE);

    who_put(&d.w, guest);
    jput_hex(&d.w, "roster", span_of(roster->b, sizeof roster->b));
    jput_u64(&d.w, "at", at);
    return draft_close(&d, "the invitation cannot be written", e);
}
