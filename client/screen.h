/* screen.h -- the full-screen client: client, model, view, terminal and line on one loop. */
#ifndef CLIENT_SCREEN_H
#define CLIENT_SCREEN_H

#include "client/guest.h"

/* Asks for the password, opens the profile, shows the screen until /quit, SIGTERM or SIGHUP.
 * 0, or -1 and e. Without a terminal that can show it: ERR_CONFIG, before anything is asked.
 * plain: refused with what to use instead. */
int screen_run(const struct client_conf *conf, bool plain, struct err *e) MUST_USE;
/* The same for a guest of `classic`: no password, no profile. */
int screen_guest(const struct guest_conf *conf, struct err *e) MUST_USE;

#endif
