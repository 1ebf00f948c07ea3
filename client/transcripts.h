/* transcripts.h -- files of evidence in the profile's directory. Two that a session leaves for each
 * room (docs/evidence.md 5):
 *
 *     transcripts/transcript_<date>_<time>.txt       what was said, flat, in clear text
 *     transcripts/transcript_<date>_<time>.receipt   the bundle that proves it
 *
 * 0600, UTC; "_2", "_3" ... behind the time when there are more of one second. The receipt is
 * written last, and once more when somebody seals it later. And the proof that the relay signed two
 * histories of a room, of which the first one found stays:
 *
 *     contradictions/contradiction_<room id>.tar
 *
 * Nothing is written that `countersign verify` would refuse. */
#ifndef CLIENT_TRANSCRIPTS_H
#define CLIENT_TRANSCRIPTS_H

#include "client/core/engine.h"
#include "client/profile.h"
#include "common/chat/id.h"

/* path: where the flat one is now; what->name is set. */
int transcripts_write(const struct profile *p, int64_t now, const struct engine_sealed *what,
                      char path[PROFILE_PATH_MAX], struct err *e) MUST_USE;

/* The receipt of that name anew. 1; 0: it was taken away, and stays so; -1. */
int transcripts_renew(const struct profile *p, const struct engine_sealed *what,
                      char path[PROFILE_PATH_MAX], struct err *e) MUST_USE;

/* Any other bundle, where nothing is yet. */
int evidence_write(const struct profile *p, const char *path, struct span bundle,
                   struct err *e) MUST_USE;

/* path: where it is now. */
int contradiction_write(const struct profile *p, const struct room_id *room, struct span bundle,
                        char path[PROFILE_PATH_MAX], struct err *e) MUST_USE;

#endif
