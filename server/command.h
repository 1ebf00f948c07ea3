/* command.h -- the commands of countersignd. Each gets its options read and what is left of its
 * command line; prints for people on stdout; 0, or -1 and e. */
#ifndef SERVER_COMMAND_H
#define SERVER_COMMAND_H

#include "server/conf.h"
#include "server/core/store.h"

struct call {
    struct conf conf;
    int argc; /* arguments of the command that are no options */
    char **argv;
    int all_argc; /* the command line as it came, for SIGHUP */
    char *const *all_argv;
};

int command_init(struct call *c, struct err *e) MUST_USE;
int command_run(struct call *c, struct err *e) MUST_USE;
int command_invite(struct call *c, struct err *e) MUST_USE;
int command_user(struct call *c, struct err *e) MUST_USE;
int command_session(struct call *c, struct err *e) MUST_USE;
int command_audit(struct call *c, struct err *e) MUST_USE;
int command_doctor(struct call *c, struct err *e) MUST_USE;

/* A fresh invite from the relay in conf's directory; `for_name` NULL: a new account. */
struct invite_wish {
    const char *for_name;
    bool keep, admin;
    unsigned hours;
};
bool invite_possible(const struct conf *c); /* there is an address to name */
int invite_make(const struct conf *c, struct store *s, const struct invite_wish *w,
                char line[INVITE_MAX], struct err *e) MUST_USE;

#endif
