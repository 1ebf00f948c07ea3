/* form.h -- JSON objects of a handshake in their one spelling (docs/protocol.md 10.3).
 *
 * A link's document may want JSON. Its objects have fixed members in a fixed order, and their
 * values are words and base64: so the text is known but for those, and a reader needs no parser
 * that a stranger could try. What is written here is JSON; of all ways to write the same object
 * one is read, and the rest is refused: no white space, no escapes, no other order, nothing twice,
 * nothing more. (The strict reader of everything else, chat/json, stands two layers higher: a
 * link knows no chat, and what is signed here is bytes, not meaning.)
 *
 * All of it fails stickily in the struct rd or wr. */
#ifndef COMMON_LINK_FORM_H
#define COMMON_LINK_FORM_H

#include "common/util/bytes.h"

void form_put(struct wr *out, const char *text);
void form_put_b64(struct wr *out, struct span s); /* needs a byte more than it writes */

void form_take(struct rd *in, const char *text); /* exactly this comes next, or in is bad */
/* Which of these comes next: its place, or n and in is bad. None may begin another. */
size_t form_take_one(struct rd *in, const char *const *texts, size_t n);
/* What stands before the next quote, borrowed: whoever asks judges every byte of it. */
struct str form_take_text(struct rd *in);
/* Base64 up to the next quote: how many bytes went to out. Bad: not canonical, or more than cap. */
size_t form_take_b64(struct rd *in, uint8_t *out, size_t cap);

#endif
