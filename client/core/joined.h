/* joined.h -- is the relay's answer to a join what was asked for? Pure. */
#ifndef CLIENT_CORE_JOINED_H
#define CLIENT_CORE_JOINED_H

#include "common/chat/proto.h"

/* What we asked for. */
struct joining {
    struct hash root; /* in the invite */
    struct span spki; /* our public key */
    const char *account, *device;
    int64_t now; /* ms */
};

/* The root is that of the invite, and under it a device certificate, valid now, for our key and our
 * names. 0, or -1 and e (ERR_PEER, or what cert_check says). */
int joined_check(const struct joining *j, const struct f_joined *x, struct err *e) MUST_USE;

#endif
