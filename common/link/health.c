#include "common/link/health.h"

/* log2(n) in 16.16 fixed point, n from 1 to 255: squaring gives one bit of the fraction a time. */
static uint32_t log2_of(uint32_t n)
{
    uint32_t whole = 0, fraction = 0;

    while (n >> (whole + 1) != 0)
        whole++;
    uint64_t x = ((uint64_t)n << 16) >> whole; /* from 1 up to 2 */
    for (int bit = 0; bit < 16; bit++) {
        x = x * x >> 16;
        fraction = fraction << 1 | (x >= 2U << 16);
        if (x >= 2U << 16)
            x >>= 1;
    }
    return whole << 16 | fraction;
}

/* H = log2 n - (1/n) sum of c log2 c, c being how often each byte stands there. */
unsigned health_entropy(struct span s)
{
    uint8_t often[256] = {0};
    uint64_t sum = 0;

    if (s.n == 0 || s.n > UINT8_MAX)
        return 0;
    for (size_t i = 0; i < s.n; i++)
        often[s.p[i]]++;
    for (size_t i = 0; i < 256; i++)
        if (often[i] > 1)
            sum += (uint64_t)often[i] * log2_of(often[i]);
    uint64_t most = log2_of((uint32_t)s.n), less = sum / s.n;
    return less >= most ? 0 : (unsigned)((most - less) * 1000 >> 16);
}

bool health_random(struct span s)
{
    return health_entropy(s) >= HEALTH_MIN;
}
