/* bw.h -- writes DER backwards, as mbedtls_asn1_write_* does: the last field first, so that every
 * length is known when its head is written. Knows no certificate: common/crypto/issue.c, cades.c
 * and stamp.c do. Failure is sticky, and asked about once, by bw_span. Only common/crypto includes
 * it. */
#ifndef COMMON_CRYPTO_BW_H
#define COMMON_CRYPTO_BW_H

#include <mbedtls/asn1.h>

#include "common/util/bytes.h"

enum {
    BW_SEQUENCE = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE,
    BW_SET = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SET,
    BW_CONTEXT = MBEDTLS_ASN1_CONTEXT_SPECIFIC, /* and a number */
};

struct bw {
    uint8_t *start, *p, *end;
    bool bad; /* it did not fit, or could not be written */
};

/* Into cap bytes that are borrowed. */
struct bw bw_of(uint8_t *buf, size_t cap);
/* What was written, at the end of those bytes; p NULL: bad. */
struct span bw_span(const struct bw *w);
size_t bw_len(const struct bw *w);

void bw_raw(struct bw *w, struct span s);
/* Puts tag and length before everything written since the writer had `mark` bytes. */
void bw_wrap(struct bw *w, size_t mark, int tag);
void bw_tlv(struct bw *w, int tag, struct span value);
void bw_oid(struct bw *w, const char *oid); /* its bytes, as MBEDTLS_OID_... are */
/* A positive INTEGER, big-endian, with the zero in front that a high first bit needs. */
void bw_integer(struct bw *w, struct span s);
void bw_u64(struct bw *w, uint64_t v);
void bw_true(struct bw *w);               /* BOOLEAN */
void bw_bits(struct bw *w, uint8_t bits); /* a BIT STRING of up to eight names, the first highest */
/* UTCTime through 2049, GeneralizedTime from then on (RFC 5280 4.1.2.5). */
void bw_time(struct bw *w, int64_t ms);

#endif
