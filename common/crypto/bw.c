#include "common/crypto/bw.h"

#include <mbedtls/asn1write.h>
#include <stdio.h>
#include <string.h>

#include "common/crypto/x509_inside.h"

struct bw bw_of(uint8_t *buf, size_t cap)
{
    return (struct bw){buf, buf + cap, buf + cap, false};
}

struct span bw_span(const struct bw *w)
{
    return w->bad ? span_of(NULL, 0) : span_of(w->p, (size_t)(w->end - w->p));
}

size_t bw_len(const struct bw *w)
{
    return (size_t)(w->end - w->p);
}

static void bw_done(struct bw *w, int rc)
{
    w->bad = w->bad || rc < 0;
}

void bw_raw(struct bw *w, struct span s)
{
    if (!w->bad && s.n > 0)
        bw_done(w, mbedtls_asn1_write_raw_buffer(&w->p, w->start, s.p, s.n));
}

void bw_wrap(struct bw *w, size_t mark, int tag)
{
    if (!w->bad)
        bw_done(w, mbedtls_asn1_write_len(&w->p, w->start, bw_len(w) - mark));
    if (!w->bad)
        bw_done(w, mbedtls_asn1_write_tag(&w->p, w->start, (unsigned char)tag));
}

void bw_tlv(struct bw *w, int tag, struct span value)
{
    size_t mark = bw_len(w);

    bw_raw(w, value);
    bw_wrap(w, mark, tag);
}

void bw_oid(struct bw *w, const char *oid)
{
    bw_tlv(w, MBEDTLS_ASN1_OID, span_of(oid, strlen(oid)));
}

void bw_integer(struct bw *w, struct span s)
{
    static const uint8_t zero[1] = {0};
    size_t mark = bw_len(w);

    bw_raw(w, s);
    if (s.n == 0 || (s.p[0] & 0x80) != 0)
        bw_raw(w, span_of(zero, 1));
    bw_wrap(w, mark, MBEDTLS_ASN1_INTEGER);
}

void bw_u64(struct bw *w, uint64_t v)
{
    uint8_t b[8];
    size_t n = 0;

    for (int shift = 56; shift >= 0; shift -= 8)
        if (n > 0 || v >> shift != 0 || shift == 0)
            b[n++] = (uint8_t)(v >> shift);
    bw_integer(w, span_of(b, n));
}

void bw_time(struct bw *w, int64_t ms)
{
    mbedtls_x509_time t;
    char text[32];
    bool utc;

    ms_x509(ms, &t);
    utc = t.year >= 1950 && t.year < 2050;
    int n = snprintf(text, sizeof text, "%0*d%02d%02d%02d%02d%02dZ", utc ? 2 : 4,
                     utc ? t.year % 100 : t.year, t.mon, t.day, t.hour, t.min, t.sec);
    if (t.year < 0 || t.year > 9999)
        w->bad = true;
    bw_tlv(w, utc ? MBEDTLS_ASN1_UTC_TIME : MBEDTLS_ASN1_GENERALIZED_TIME,
           span_of(text, (size_t)n));
}

void bw_true(struct bw *w)
{
    if (!w->bad)
        bw_done(w, mbedtls_asn1_write_bool(&w->p, w->start, 1));
}

void bw_bits(struct bw *w, uint8_t bits)
{
    if (!w->bad)
        bw_done(w, mbedtls_asn1_write_named_bitstring(&w->p, w->start, &bits, 8));
}
