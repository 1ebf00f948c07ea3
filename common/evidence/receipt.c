#include "common/evidence/receipt.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* --- a line a field: its word, what it is, where --- */

enum kind {
    IS,       /* always this value */
    WORD,     /* printable */
    HEX,      /* bytes */
    NUMBER,   /* decimal */
    MESSAGES, /* last - first + 1 */
};

#define FIELD_HEX(word, m)                                                                         \
    {                                                                                              \
        word, HEX, offsetof(struct receipt, m), sizeof(((struct receipt *)0)->m), NULL             \
    }
#define FIELD_NUMBER(word, m)                                                                      \
    {                                                                                              \
        word, NUMBER, offsetof(struct receipt, m), sizeof(uint64_t), NULL                          \
    }
#define FIELD_WORD(word, m)                                                                        \
    {                                                                                              \
        word, WORD, offsetof(struct receipt, m), RECEIPT_WORD_MAX, NULL                            \
    }

static const struct field {
    const char *word;
    enum kind kind;
    size_t at, n;
    const char *is;
} fields[] = {
    {"type", IS, 0, 0, "countersign-receipt-1"},
    FIELD_HEX("session", session),
    FIELD_WORD("link", link),
    FIELD_WORD("suite", suite),
    FIELD_HEX("signer", signer),
    {"peer", IS, 0, 0, "relay"},
    FIELD_HEX("peer_cert_fingerprint", peer),
    FIELD_NUMBER("created_at", created),
    FIELD_HEX("room", room),
    FIELD_NUMBER("first_seqno", first),
    FIELD_NUMBER("last_seqno", last),
    {"message_count", MESSAGES, 0, 0, NULL},
    FIELD_HEX("base", base),
    FIELD_HEX("transcript_hash", head),
    FIELD_NUMBER("tree_size", tree.size),
    FIELD_HEX("tree_root", tree.root),
    FIELD_HEX("previous", previous),
};

enum { FIELDS = COUNT(fields), VALUE_MAX = 2 * HASH_LEN };
static_assert(FIELDS * (sizeof "peer_cert_fingerprint" + 1 + VALUE_MAX) <= RECEIPT_MAX,
              "every receipt fits");
static_assert((int)RECEIPT_WORD_MAX <= (int)VALUE_MAX, "a word is a value");

static uint64_t count_of(const struct receipt *r)
{
    return r->last - r->first + 1;
}

static void value_put(char out[VALUE_MAX + 1], const struct field *f, const struct receipt *r)
{
    const char *at = (const char *)r + f->at;
    uint64_t n = 0;

    switch (f->kind) {
    case IS: snprintf(out, VALUE_MAX + 1, "%s", f->is); break;
    case WORD: snprintf(out, VALUE_MAX + 1, "%s", at); break;
    case HEX: hex_put(out, span_of(at, f->n)); break;
    case NUMBER:
        memcpy(&n, at, sizeof n);
        snprintf(out, VALUE_MAX + 1, "%" PRIu64, n);
        break;
    case MESSAGES: snprintf(out, VALUE_MAX + 1, "%" PRIu64, count_of(r)); break;
    }
}

size_t receipt_put(char out[RECEIPT_MAX + 1], const struct receipt *r)
{
    char value[VALUE_MAX + 1];
    size_t n = 0;

    for (size_t i = 0; i < FIELDS; i++) {
        value_put(value, fields + i, r);
        n += (size_t)snprintf(out + n, RECEIPT_MAX + 1 - n, "%s %s\n", fields[i].word, value);
    }
    return n;
}

static int word_take(char *out, struct str value)
{
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] < ' ' || value.p[i] > '~')
            return -1;
    if (value.n == 0 || value.p[0] == ' ' || value.p[value.n - 1] == ' ')
        return -1;
    return str_copy(out, RECEIPT_WORD_MAX + 1, value);
}

static int value_take(struct receipt *r, const struct field *f, struct str value)
{
    char *at = (char *)r + f->at;
    uint64_t n = 0;

    switch (f->kind) {
    case IS: return str_is(value, f->is) ? 0 : -1;
    case WORD: return word_take(at, value);
    case HEX: return hex_take((uint8_t *)at, f->n, value);
    case NUMBER:
        if (str_u64(value, EXACT_INT_MAX, &n) < 0)
            return -1;
        memcpy(at, &n, sizeof n);
        return 0;
    case MESSAGES: return str_u64(value, EXACT_INT_MAX, &n) == 0 && n == count_of(r) ? 0 : -1;
    }
    return -1;
}

/* What comes behind a line's word; p NULL: another word, or no line feed. */
static struct str line_value(struct str *rest, const char *word)
{
    struct str line = str_cut(rest, '\n');
    struct str first = str_cut(&line, ' ');

    return rest->p != NULL && str_is(first, word) ? line : (struct str){NULL, 0};
}

/* What no client can mean. */
static const char *nonsense(const struct receipt *r)
{
    static const struct hash zeros;

    if (r->first == 0 || r->last < r->first || count_of(r) > TRANSCRIPT_MAX)
        return "of no entries, or of too many";
    if (r->first == 1 && !hash_same(&r->base, &zeros))
        return "nothing comes before the first entry";
    if (r->tree.size > r->last)
        return "a tree of more entries than it knows";
    if (r->tree.size == 0 && !hash_same(&r->tree.root, &zeros))
        return "a root of no tree";
    return NULL;
}

int receipt_take(struct receipt *r, struct str text, struct err *e)
{
    struct str rest = text;

    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < FIELDS; i++) {
        struct str value = line_value(&rest, fields[i].word);
        if (value.p == NULL || value_take(r, fields + i, value) < 0)
            return err_set(e, ERR_DATA, "line %zu: %s", i + 1, fields[i].word);
    }
    if (rest.n > 0)
        return err_set(e, ERR_DATA, "more than %d lines", FIELDS);
    const char *why = nonsense(r);
    return why == NULL ? 0 : err_set(e, ERR_DATA, "%s", why);
}

/* --- seals --- */

static const char *const roles[] = {
#define X(id, word) [id] = word,
    RECEIPT_ROLES(X)
#undef X
};

const char *receipt_role_word(enum receipt_role role)
{
    return roles[role];
}

size_t receipt_seal_put(char out[RECEIPT_SEAL_MAX + 1], const struct receipt_seal *s)
{
    char signer[2 * HASH_LEN + 1];

    hex_put(signer, span_of(s->signer.b, HASH_LEN));
    int n = snprintf(out, RECEIPT_SEAL_MAX + 1, "role %s\nsigner %s\ntime %" PRId64 "\n",
                     roles[s->role], signer, s->time);
    return (size_t)n;
}

static int role_take(enum receipt_role *out, struct str word)
{
    for (size_t i = 0; i < RECEIPT_ROLE_COUNT; i++)
        if (str_is(word, roles[i])) {
            *out = (enum receipt_role)i;
            return 0;
        }
    return -1;
}

int receipt_seal_take(struct receipt_seal *s, struct str text, struct err *e)
{
    struct str rest = text;
    uint64_t time = 0;

    memset(s, 0, sizeof *s);
    if (role_take(&s->role, line_value(&rest, "role")) < 0)
        return err_set(e, ERR_DATA, "line 1: role");
    if (hex_take(s->signer.b, HASH_LEN, line_value(&rest, "signer")) < 0)
        return err_set(e, ERR_DATA, "line 2: signer");
    if (str_u64(line_value(&rest, "time"), EXACT_INT_MAX, &time) < 0)
        return err_set(e, ERR_DATA, "line 3: time");
    s->time = (int64_t)time;
    return rest.n == 0 ? 0 : err_set(e, ERR_DATA, "more than three lines");
}

int receipt_signed_make(struct receipt_signed *out, struct str text, struct str seal)
{
    if (text.n > RECEIPT_MAX || seal.n > RECEIPT_SEAL_MAX)
        return -1;
    memcpy(out->b, text.p, text.n);
    memcpy(out->b + text.n, seal.p, seal.n);
    out->n = text.n + seal.n;
    return 0;
}
