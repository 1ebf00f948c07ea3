/* compact.h -- an entry as a frame of bytes: what its reader can derive is not sent.
 *
 * docs/protocol.md 2 and 6 are the authority. The line goes as its fields, signature and body as
 * they are; the spelling of the line, the hash of the body and the commitment are derived, so the
 * reader has the very line that was signed, or one whose signature is wrong. A peer sends this form
 * only to those who announced COMPACT_WORD. One spelling: what compact_take accepts, the writers
 * write again to the same bytes. Checks no signature, no chain, no content. */
#ifndef COMMON_CHAT_COMPACT_H
#define COMMON_CHAT_COMPACT_H

#include "common/chat/proto.h"

#define COMPACT_WORD "compact-1" /* in the features of hello */

/* Is this a compact frame? JSON begins with a brace or white space. */
bool compact_is(struct span frame);
/* Has this hello COMPACT_WORD? */
bool compact_spoken(const struct str *features, size_t n);

/* Reads a frame (without its u32) into f, which becomes F_ENTRY (FROM_RELAY) or F_ENTRY_SAY
 * (FROM_CLIENT) and owns its texts: frame_free. -1 and e as frame_take, which calls this. */
int compact_take(struct frame *f, struct span frame, unsigned from, struct err *e) MUST_USE;

/* Append u32 and frame to b. 1: done; 0: this one has no such form (voided, another epoch, a
 * commitment that its body does not open, no line at all), b is as it was; -1 and e: b is full. */
int compact_entry_put(struct buf *b, const struct f_entry *f, struct err *e) MUST_USE;
int compact_say_put(struct buf *b, const struct f_entry_say *f, struct err *e) MUST_USE;

#endif
