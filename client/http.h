/* http.h -- one POST over http or https, by libcurl, which is loaded when it is first needed: a
 * client that asks no time-stamp authority neither has nor waits for it. Knows nothing of what it
 * carries.
 *
 * No redirection is followed. The certificate of an https server is checked against the system's
 * CAs, or those of SSL_CERT_FILE; proxies are libcurl's (http_proxy, https_proxy). Blocks. */
#ifndef CLIENT_HTTP_H
#define CLIENT_HTTP_H

#include "common/util/bytes.h"
#include "common/util/err.h"

struct http_post {
    const char *url;
    const char *type; /* of what is sent: a media type */
    struct span body;
    unsigned timeout_s; /* for all of it */
};

/* The answer's body, of at most what reply may hold. 0, or -1 and e: ERR_USAGE (no URL of these
 * two), ERR_UNAVAILABLE (no answer, or another one than 200), ERR_LIMIT (too long), ERR_LOCAL (no
 * libcurl). */
int http_post(const struct http_post *ask, struct buf *reply, struct err *e) MUST_USE;

#endif
