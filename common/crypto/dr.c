#include "common/crypto/dr.h"

#include <mbedtls/asn1.h>

static void fail(struct rd *r)
{
    r->bad = true;
}

/* The length behind a tag: at most three bytes of it, which is more than anything here has. */
static size_t length_take(struct rd *r)
{
    size_t n = rd_u8(r);

    if (n < 0x80)
        return n;
    if (n == 0x81)
        n = rd_u8(r);
    else if (n == 0x82)
        n = rd_u16(r);
    else
        fail(r);
    if (n < 0x80 || (n < 0x100 && r->at[-2] != 0x81))
        fail(r);
    return n;
}

struct span dr_take(struct rd *r, int tag)
{
    if (rd_u8(r) != tag)
        fail(r);
    size_t n = length_take(r);
    const uint8_t *p = rd_take(r, n);

    return span_of(p, p == NULL ? 0 : n);
}

struct span dr_whole(struct rd *r)
{
    const uint8_t *begin = r->at;
    struct span inside = dr_take(r, r->bad || r->at == r->end ? -1 : *r->at);

    return inside.p == NULL ? inside : span_of(begin, (size_t)(r->at - begin));
}

bool dr_is(const struct rd *r, int tag)
{
    return rd_left(r) > 0 && *r->at == tag;
}

void dr_oid(struct rd *r, const char *oid, size_t n)
{
    if (!span_same(dr_take(r, MBEDTLS_ASN1_OID), span_of(oid, n)))
        fail(r);
}

uint32_t dr_u32(struct rd *r)
{
    struct span s = dr_take(r, MBEDTLS_ASN1_INTEGER);
    uint32_t v = 0;

    if (s.n == 0 || s.n > 4 || (s.p[0] & 0x80) != 0 ||
        (s.n > 1 && s.p[0] == 0 && (s.p[1] & 0x80) == 0)) {
        fail(r);
        return 0;
    }
    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | s.p[i];
    return v;
}
