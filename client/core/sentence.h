/* sentence.h -- joins, leaves and invitations as people read them, the same on every screen. */
#ifndef CLIENT_CORE_SENTENCE_H
#define CLIENT_CORE_SENTENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "client/core/engine.h"

/* "bob joined", "bob left", "bob invited carol" into out; false: the entry is none of these, or its
 * text is withheld. Names as peers sent them: whoever shows it passes it through text_clean. */
bool sentence_of(const struct engine_entry *t, char *out, size_t cap);

/* What bears out that somebody is a member, as lists say it. */
const char *sentence_proof(enum engine_proof proof);

#endif
