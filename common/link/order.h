/* order.h -- which of the 24 arrangements of four steps a seed means. Plain arithmetic on bytes, so
 * that any language gives the same (seed 004 used one language's own generator). */
#ifndef COMMON_LINK_ORDER_H
#define COMMON_LINK_ORDER_H

#include <stdint.h>

enum { ORDER_SEED_LEN = 32, ORDER_PLACES = 4, ORDERS = 24 };

/* The seed as one big-endian number modulo 24 is the order's number, which is returned; its digits
 * in base 4, 3, 2 exchange places. places: 0 to 3 as they come. 2^256 is 16 more than a multiple of
 * 24, so no order is likelier than another by more than one in 2^252. */
unsigned order_draw(const uint8_t seed[ORDER_SEED_LEN], uint8_t places[ORDER_PLACES]);

#endif
