/* opt.h -- options of a program from one table: struct, defaults, file, command line, --help.
 *
 *     #define RELAY_OPTS(X) \
 *         X(listen, TEXT, "[::]:7443", 1, 0, IN_FILE | IN_RUN, "ADDR:PORT", "where to listen") \
 *         X(max_conns, NUMBER, "100", 1, 1000000, ...)
 *     struct conf { OPT_STRUCT(RELAY_OPTS) };
 *     static const struct opt opts[] = { OPT_TABLE(RELAY_OPTS, struct conf) };
 *
 * A row: member, kind, default, least and greatest value (TEXT: least and greatest length, 0: as
 * long as fits), where it may stand (bits of the program's choice), what the value is called, help.
 * In a file `max_conns = 100`, on a command line `--max-conns 100` or `--max-conns=100`; a FLAG is
 * `true` or `false` in a file and takes no value on the command line. The file's parser works on
 * text in memory and says file and line of what it refuses. No I/O. */
#ifndef COMMON_UTIL_OPT_H
#define COMMON_UTIL_OPT_H

#include <stddef.h>

#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

enum opt_kind { OPT_TEXT, OPT_NUMBER, OPT_FLAG };

/* A bit of `in` that is nobody's place: -o is short for the option with it that begins with o. */
enum { OPT_LETTER = 1 << 30 };

#define OPT_MEMBER_TEXT(name)   char name[OPT_TEXT_MAX];
#define OPT_MEMBER_NUMBER(name) uint64_t name;
#define OPT_MEMBER_FLAG(name)   bool name;

struct opt {
    const char *name; /* as in a file; - and _ are the same, one _ at the end does not count */
    enum opt_kind kind;
    size_t at; /* offset in the program's struct */
    const char *def;
    uint64_t min, max;
    unsigned in;
    const char *arg, *help;
};

#define OPT_X_STRUCT(name, kind, def, min, max, in, arg, help) OPT_MEMBER_##kind(name)
#define OPT_STRUCT(LIST)                                       LIST(OPT_X_STRUCT)

/* For use as: #define X(...) OPT_ROW(struct conf, __VA_ARGS__) */
#define OPT_ROW(type, name, kind, def, min, max, in, arg, help)                                    \
    {#name, OPT_##kind, offsetof(type, name), def, min, max, in, arg, help},

struct opt_table {
    const struct opt *rows;
    size_t n;
};

/* Every option gets its default. Defaults are part of the program: a wrong one is ERR_LOCAL. */
int opt_defaults(struct opt_table t, void *conf, struct err *e) MUST_USE;

/* `text` is a whole file called `name` in messages. Options whose `in` shares no bit with the
 * argument are unknown; one that comes twice is refused. ERR_CONFIG with "NAME:LINE: ...". conf is
 * changed up to the first fault only: work on a copy. */
int opt_file(struct opt_table t, unsigned in, void *conf, const char *name, struct str text,
             struct err *e) MUST_USE;

/* argv[0..argc) are arguments without the program's name. Options may stand anywhere before `--`;
 * what is left moves to the front of argv in its order, *left of them. ERR_USAGE. */
int opt_args(struct opt_table t, unsigned in, void *conf, int argc, char **argv, int *left,
             struct err *e) MUST_USE;

/* Appends a line for each option with one of these bits to out (for --help). */
void opt_help(struct opt_table t, unsigned in, struct buf *out);

/* Appends the options with one of these bits as a commented-out file of defaults. */
void opt_sample(struct opt_table t, unsigned in, struct buf *out);

#endif
