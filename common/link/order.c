#include "common/link/order.h"

#include <stddef.h>

unsigned order_draw(const uint8_t seed[ORDER_SEED_LEN], uint8_t places[ORDER_PLACES])
{
    unsigned number = 0;

    for (size_t i = 0; i < ORDER_SEED_LEN; i++)
        number = (number * 256 + seed[i]) % ORDERS;
    for (unsigned i = 0; i < ORDER_PLACES; i++)
        places[i] = (uint8_t)i;
    for (unsigned left = ORDER_PLACES, rest = number; left > 1; rest /= left, left--) {
        unsigned i = rest % left;
        uint8_t swap = places[i];

        places[i] = places[left - 1];
        places[left - 1] = swap;
    }
    return number;
}
