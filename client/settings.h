/* settings.h -- what a person wants of every start of the client:
 * $XDG_CONFIG_HOME/countersign/conf, else ~/.config/countersign/conf. There need be none. The
 * command line goes before it. */
#ifndef CLIENT_SETTINGS_H
#define CLIENT_SETTINGS_H

#include "common/util/opt.h"

#define SETTINGS(X)                                                                                \
    X(password_file, TEXT, "", 0, 0, 1, "FILE", "where the password is, in a file of mode 0600")   \
    X(transcript, TEXT, "auto", 1, 0, 1, "auto|off", "does each session leave what was said?")

struct settings {
    OPT_STRUCT(SETTINGS)
};

/* Defaults where there is no such file. -1 and e: ERR_CONFIG with its name and line. */
int settings_read(struct settings *s, struct err *e) MUST_USE;
/* auto or off? -1 and e (ERR_USAGE): neither. */
int transcript_take(bool *out, const char *word, struct err *e) MUST_USE;

#endif
