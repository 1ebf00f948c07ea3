/* classic_line.h -- the lines of the link `classic` (docs/protocol.md 10.5): one JSON object each.
 *
 * What others write is read as their programs write it: members in any order, white space between
 * them. Everything else is strict: precisely the members of its type, each once and of its form;
 * integers are digits, and there are at most TEXTBOOK_DIGITS_MAX of them, which is why no parser
 * of JSON that makes numbers of them would do. Texts are borrowed from the line. */
#ifndef COMMON_LINK_CLASSIC_LINE_H
#define COMMON_LINK_CLASSIC_LINE_H

#include "common/util/bytes.h"

/* id, what `type` says, the members beside it */
#define CLASSIC_LINES(X)                                                                           \
    X(CLASSIC_HELLO, "hello", 0)                                                                   \
    X(CLASSIC_PUBKEY, "pubkey", CLASSIC_HAS_E | CLASSIC_HAS_N)                                     \
    X(CLASSIC_KEY, "key", CLASSIC_HAS_CHUNKS)                                                      \
    X(CLASSIC_OK, "ok", 0)                                                                         \
    X(CLASSIC_MSG, "msg", CLASSIC_HAS_CT)                                                          \
    X(CLASSIC_ERR, "err", CLASSIC_HAS_REASON)

#define X(id, word, has) id,
enum classic_type { CLASSIC_LINES(X) };
#undef X

struct classic_line {
    enum classic_type type;
    struct str e, n, chunk; /* digits; chunks has one: a key of 16 bytes is one block of any n */
    struct str ct_hex;      /* between its quotes; what it holds has not been looked at */
    struct str reason;      /* the same */
};

/* line: without its LF. -1: none of them. */
int classic_line_take(struct classic_line *out, struct str line) MUST_USE;

/* What a reason says, its escapes undone, in at most cap - 1 bytes and a NUL; not cleaned yet. */
void classic_reason(char *out, size_t cap, struct str reason);

const char *classic_type_word(enum classic_type type);

#endif
