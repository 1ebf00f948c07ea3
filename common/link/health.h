/* health.h -- does a random generator repeat itself? A health test, not a measure of strength: it
 * finds a generator that is stuck, and says nothing about one that is merely guessable. */
#ifndef COMMON_LINK_HEALTH_H
#define COMMON_LINK_HEALTH_H

#include <stdbool.h>

#include "common/util/bytes.h"

/* Shannon entropy of the bytes as they stand, in thousandths of a bit per byte. At most 255 bytes.
 * 64 random ones have 5766 on average, and never (one in 10^20) less than HEALTH_MIN; a constant
 * has 0, 32 bytes said twice 5000 at most. */
enum { HEALTH_MIN = 5100 };
unsigned health_entropy(struct span s);

bool health_random(struct span s); /* at least HEALTH_MIN */

#endif
