/* stamp.h -- a bundle of evidence gets the word of a third clock (docs/evidence.md 5.2). */
#ifndef CLIENT_STAMP_H
#define CLIENT_STAMP_H

#include "client/command.h"

/* What both options say, before anything else is done: 0, or -1 and e when one of them is without
 * the other. */
int stamp_wanted(const struct call *c, struct err *e) MUST_USE;

/* Asks the authority of --tsa, which must be there, and appends to out the archive with its time
 * stamp, judged. 0, or -1 and e: nothing that is not whole is in out. */
int stamp_archive(const struct call *c, struct span archive, struct buf *out,
                  struct err *e) MUST_USE;

#endif
