/* err.h -- why something failed: a code for the caller, a sentence for people, the first cause.
 *
 * Fallible functions return 0 or -1 (or a pointer or NULL) and note the reason in the struct err
 * they were given or in the object that failed. The first reason wins; later ones are its echoes.
 * Knows nothing of chat. No allocation, no I/O. */
#ifndef COMMON_UTIL_ERR_H
#define COMMON_UTIL_ERR_H

#if defined(__GNUC__)
#define MUST_USE               __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define MUST_USE
#define PRINTF_LIKE(fmt, args)
#endif

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A code says what the caller does next. The last column is the exit status of a program
 * that ends for this reason (sysexits.h). */
#define ERR_LIST(X)                                                                                \
    X(ERR_NONE, "no error", 0)                                                                     \
    X(ERR_UNEXPECTED, "not as expected", 1)                                                        \
    X(ERR_USAGE, "used wrongly", 64)                                                               \
    X(ERR_DATA, "bad data", 65)                                                                    \
    X(ERR_INPUT, "cannot be read", 66)                                                             \
    X(ERR_HOST, "no such host", 68)                                                                \
    X(ERR_UNAVAILABLE, "not reachable", 69)                                                        \
    X(ERR_LOCAL, "something failed on our side", 70)                                               \
    X(ERR_OS, "the system refused", 71)                                                            \
    X(ERR_CREATE, "cannot be created", 73)                                                         \
    X(ERR_IO, "input or output failed", 74)                                                        \
    X(ERR_AGAIN, "try again later", 75)                                                            \
    X(ERR_PEER, "the peer broke the protocol", 76)                                                 \
    X(ERR_AUTH, "not authenticated", 77)                                                           \
    X(ERR_CONFIG, "configuration", 78)                                                             \
    X(ERR_LIMIT, "a limit was reached", 75)

#define X(id, text, status) id,
enum err_code { ERR_LIST(X) };
#undef X

struct err {
    enum err_code code; /* ERR_NONE: nothing happened yet */
    char text[256];     /* one sentence without a full stop, as text_clean leaves it */
};

/* Notes why we failed and returns -1. Keeps the first reason. Never fails; cuts long text.
 * What others put into it is cleaned (text_clean): the sentence goes to logs and terminals as it
 * is. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Forgets the reason, so that the object can be used again. */
void err_clear(struct err *e);

/* Puts "context: " before the sentence already noted and returns -1. */
int err_in(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The general meaning of a code, and the exit status it stands for. */
const char *err_code_text(enum err_code code);
int err_status(enum err_code code);

#endif
