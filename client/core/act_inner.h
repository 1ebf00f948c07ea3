/* act_inner.h -- what the files of act share; act.h is what others use. */
#ifndef CLIENT_CORE_ACT_INNER_H
#define CLIENT_CORE_ACT_INNER_H

#include "client/core/act.h"
#include "client/core/view_parts.h"

/* Remembers a request; id 0: says why there is none, and gives false. */
bool ask_add(struct act *a, uint64_t id, unsigned kind, const char *what, struct str text,
             const struct err *e);
/* Is this certificate verified by the user? */
bool fp_verified(struct act *a, const struct hash *fp, int64_t *when);
/* Copies the people of every room anew, with what is verified by now. */
void people_refresh(struct act *a);
/* The room was held against a checkpoint: the page about it, if it is shown, is filled anew. */
void act_transcript_newer(struct act *a, const struct room_id *room);
/* A line without its text; names cleaned. */
void line_shown(const struct engine_line *l, struct shown_line *out);
/* All that is known of a message of this window; 0: the last one that failed or was refused. */
void act_why(struct act *a, uint64_t number);
/* Which windows a new certificate stops. */
void act_blocked(struct act *a);

#endif
