/* relay.h -- `countersignd run`: the threads, their mailboxes, signals, renewal. */
#ifndef SERVER_RELAY_H
#define SERVER_RELAY_H

#include "server/conf.h"
#include "server/log.h"

/* Serves until SIGTERM or SIGINT. argv: what conf was read from, for SIGHUP. 0, or -1 and e. */
int relay_run(struct conf *conf, int argc, char *const *argv, struct log *log,
              struct err *e) MUST_USE;

#endif
