/* name.h -- names of people, devices and rooms: what they may be, and when two are the same.
 *
 * A name is 1 to NAME_CHARS letters, digits and - _ . of one script, in NFC. Two names with the
 * same canonical form are the same name; two with the same skeleton look alike and cannot both be
 * had. */
#ifndef COMMON_CHAT_NAME_H
#define COMMON_CHAT_NAME_H

#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

enum name_of { NAME_PERSON, NAME_DEVICE, NAME_ROOM };

/* Folding may lengthen a name, a skeleton is spelled in Latin. With the NUL. */
enum { NAME_KEY_MAX = 3 * NAME_MAX_LEN + 1 };

/* 0, or -1 and e (ERR_DATA) with what is wrong and what is allowed. The name itself is not in the
 * sentence: nobody has cleaned it. */
int name_check(struct str name, enum name_of of, struct err *e) MUST_USE;

/* The key under which a name is stored and found: NFKC, case folded. Of any text that name_check
 * accepts, or only looks like a name: so "ALICE" typed finds alice. -1: not even nearly a name. */
int name_canonical(char out[NAME_KEY_MAX], struct str name) MUST_USE;
/* What it looks like: of the canonical form, lookalikes of Latin letters, digits and each other
 * become one, and - _ . are left out. A unique column in the relay's store. */
int name_skeleton(char out[NAME_KEY_MAX], struct str name) MUST_USE;

#endif
