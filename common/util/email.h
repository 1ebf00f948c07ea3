/* email.h -- is this an address that mail could go to? The plain form of RFC 5321 in ASCII:
 * dot-atom, `@`, host name; no quotes, comments, literals. So it has no byte that JSON, a log or a
 * terminal would read as its own. Nothing is sent anywhere. */
#ifndef COMMON_UTIL_EMAIL_H
#define COMMON_UTIL_EMAIL_H

#include "common/util/bytes.h"

bool email_is(struct str s); /* of at most EMAIL_MAX bytes */
/* The same address for whoever receives it: letters' case is left out of account. */
bool email_same(struct str a, struct str b);

#endif
