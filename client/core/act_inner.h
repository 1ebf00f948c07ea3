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
/* Which windows a new certificate stops. */
void act_blocked(struct act *a);

#endif
