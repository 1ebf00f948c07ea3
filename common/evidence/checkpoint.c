#include "common/evidence/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ORIGIN "countersign-checkpoint-1/"
#define TIME   "time "
#define SIGNER "signer "

/* Of which log, and what is said of text that is about none. */
static const struct {
    const char *word, *none;
} logs[] = {
    [CHECKPOINT_ROOM] = {"room/", "line 1: no checkpoint of a room"},
    [CHECKPOINT_AUDIT] = {"audit/", "line 1: no checkpoint of an audit log"},
};

static_assert(sizeof ORIGIN + sizeof "audit/" + 2 * ROOM_ID_LEN + 17 + 45 + sizeof TIME + 17 +
                      sizeof SIGNER + 2 * HASH_LEN <=
                  CHECKPOINT_MAX,
              "every checkpoint fits");

size_t checkpoint_put(char out[CHECKPOINT_MAX + 1], const struct checkpoint *c)
{
    char room[2 * ROOM_ID_LEN + 1], root[HASH_B64 + 1], signer[2 * HASH_LEN + 1];

    hex_put(room, span_of(c->room, sizeof c->room));
    b64_put(root, span_of(c->tree.root.b, HASH_LEN));
    hex_put(signer, span_of(c->signer.b, HASH_LEN));
    int n = snprintf(out, CHECKPOINT_MAX + 1,
                     ORIGIN "%s%s\n%" PRIu64 "\n%s\n" TIME "%" PRId64 "\n" SIGNER "%s\n",
                     logs[c->log].word, room, c->tree.size, root, c->time, signer);
    return (size_t)n;
}

/* What comes after the word; p NULL when the text does not begin with it. */
static struct str str_behind(struct str text, const char *word)
{
    size_t n = strlen(word);

    if (text.n < n || memcmp(text.p, word, n) != 0)
        return (struct str){NULL, 0};
    return str_from(text.p + n, text.n - n);
}

/* The next line without its LF and what it begins with; p NULL when it does not. */
static struct str line_take(struct str *rest, const char *word)
{
    struct str line = str_cut(rest, '\n');

    return rest->p == NULL ? (struct str){NULL, 0} : str_behind(line, word);
}

static int checkpoint_read(struct checkpoint *c, enum checkpoint_log log, struct str text,
                           struct err *e)
{
    struct str rest = text, origin = line_take(&rest, ORIGIN);
    uint64_t time = 0;
    size_t n;

    *c = (struct checkpoint){.log = log};
    if (hex_take(c->room, sizeof c->room, str_behind(origin, logs[log].word)) < 0)
        return err_set(e, ERR_DATA, "%s", logs[log].none);
    if (str_u64(line_take(&rest, ""), EXACT_INT_MAX, &c->tree.size) < 0 || c->tree.size == 0)
        return err_set(e, ERR_DATA, "line 2: the size");
    if (b64_take(c->tree.root.b, HASH_LEN, &n, line_take(&rest, "")) < 0 || n != HASH_LEN)
        return err_set(e, ERR_DATA, "line 3: the root");
    if (str_u64(line_take(&rest, TIME), EXACT_INT_MAX, &time) < 0)
        return err_set(e, ERR_DATA, "line 4: the time");
    c->time = (int64_t)time;
    if (hex_take(c->signer.b, HASH_LEN, line_take(&rest, SIGNER)) < 0)
        return err_set(e, ERR_DATA, "line 5: the signer");
    if (rest.n > 0)
        return err_set(e, ERR_DATA, "more than five lines");
    return 0;
}

int checkpoint_take(struct checkpoint *c, struct str text, struct err *e)
{
    return checkpoint_read(c, CHECKPOINT_ROOM, text, e);
}

int checkpoint_audit_take(struct checkpoint *c, struct str text, struct err *e)
{
    return checkpoint_read(c, CHECKPOINT_AUDIT, text, e);
}

void audit_log_id(uint8_t out[ROOM_ID_LEN], struct span root)
{
    struct hash h;

    sha256(root, &h);
    memcpy(out, h.b, ROOM_ID_LEN);
}
