/* guest.h -- the client of `classic`: no account, no password, no store, nothing signed. One
 * connection on a loop of its own; what arrives is a text that anybody may have written.
 *
 * It connects once and never again by itself: whoever answers the next time may be somebody else,
 * and nothing would show it. */
#ifndef CLIENT_GUEST_H
#define CLIENT_GUEST_H

#include "client/client.h"

struct guest; /* opaque */

struct guest_conf {
    char host[256];
    uint16_t port;
    const char *key_file; /* --key-file, seed 003's way; NULL: a key by RSA */
};

/* step and state are called as for a client; event and over never. */
struct guest_watch {
    struct client_watch client;
    void (*text)(void *ctx, struct str text); /* not cleaned */
};

/* 16 bytes of a file that only its owner reads; drawn and written when there is none. */
int key_file_take(const char *path, const struct rng *rng, struct aes_key *out,
                  struct err *e) MUST_USE;

struct guest *guest_open(const struct guest_conf *conf, struct err *e); /* NULL and e */
void guest_close(struct guest *g);                                      /* NULL is fine */
void guest_watch(struct guest *g, const struct guest_watch *watch);     /* copied */
void guest_connect(struct guest *g);                                    /* when it is not */
void guest_pause(struct guest *g);
void guest_stop(struct guest *g); /* ends guest_run */
int guest_run(struct guest *g, struct err *e) MUST_USE;
int guest_say(struct guest *g, struct str text, struct err *e) MUST_USE;
struct uv_loop_s *guest_loop(struct guest *g);
bool guest_link(const struct guest *g, struct link_info *out); /* false: there was none */

#endif
