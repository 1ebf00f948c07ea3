/* dr.h -- reads DER (X.690) element by element over struct rd: lengths in their shortest form, tags
 * of one byte, nothing indefinite. The counterpart of bw.h. Failure is the reader's, sticky; an
 * element that is read is borrowed, and read on by another reader. Only common/crypto includes it.
 */
#ifndef COMMON_CRYPTO_DR_H
#define COMMON_CRYPTO_DR_H

#include "common/util/bytes.h"

/* The content of the next element, which must have this tag; p NULL, and r is bad. */
struct span dr_take(struct rd *r, int tag);
/* The same with its head, of any tag. */
struct span dr_whole(struct rd *r);
/* Is there a next element, of this tag? */
bool dr_is(const struct rd *r, int tag);
/* Takes an OBJECT IDENTIFIER; r is bad when it is another. */
void dr_oid(struct rd *r, const char *oid, size_t n);
/* An INTEGER from 0 to 2^31 - 1 in its shortest form. */
uint32_t dr_u32(struct rd *r);

#define DR_OID(r, oid) dr_oid(r, oid, sizeof(oid) - 1)

#endif
