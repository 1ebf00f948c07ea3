/* ask.h -- questions to the person at the terminal, and the password from where it may come. */
#ifndef CLIENT_ASK_H
#define CLIENT_ASK_H

#include "client/client.h"

enum { PASSWORD_CHARS_MIN = 8 };

struct password {
    char text[PASSWORD_MAX];
    size_t n;
};

/* One line from the terminal itself, echoed or not. ERR_AUTH when there is no terminal. */
int ask_line(const char *prompt, bool hidden, char *out, size_t cap, size_t *n,
             struct err *e) MUST_USE;
bool ask_possible(void); /* is there a terminal to ask at */
/* After a wrong answer: says why, clears e and gives true when the question may be put again; the
 * count starts at 0. A mistake at a prompt must not cost the answers before it. */
bool ask_again(unsigned *count, struct err *e);

/* In this order: --password-fd, --password-file or password_file of the configuration (0600, else
 * refused), the terminal. Nothing of these: ERR_AUTH. */
int password_get(const struct client_conf *conf, const char *prompt, struct password *out,
                 struct err *e) MUST_USE;
/* A new one: asked twice at a terminal; at least PASSWORD_CHARS_MIN characters. */
int password_new(const struct client_conf *conf, struct password *out, struct err *e) MUST_USE;
void password_wipe(struct password *p);

#endif
