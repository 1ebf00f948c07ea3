/* transcripts.h -- the two files that a session leaves for each room (docs/evidence.md 5):
 *
 *     transcripts/transcript_<date>_<time>.txt       what was said, flat, in clear text
 *     transcripts/transcript_<date>_<time>.receipt   the bundle that proves it
 *
 * in the profile's directory, 0600, UTC; "_2", "_3" ... behind the time when there are more of one
 * second. The receipt is written last, and neither when `countersign verify` would refuse it. */
#ifndef CLIENT_TRANSCRIPTS_H
#define CLIENT_TRANSCRIPTS_H

#include "client/profile.h"

int transcripts_write(const struct profile *p, int64_t now, struct span flat, struct span bundle,
                      struct err *e) MUST_USE;

#endif
