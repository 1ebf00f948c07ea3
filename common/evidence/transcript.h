/* transcript.h -- entries of one room as text, a line each:
 *
 *     seqno|ts|base64(ct)|base64(sig)|peer_cert_fingerprint
 *
 * seqno: the room's number; ts: the relay's time, ms; ct: what the author signed (a line of ASCII,
 * kept as bytes: what is in it is common/chat's to know), then, unless it is withheld, LF and the
 * body; sig: his signature of that line; fingerprint: of his certificate, hex. Every line ends in
 * LF, every field has one spelling (docs/evidence.md 3). */
#ifndef COMMON_EVIDENCE_TRANSCRIPT_H
#define COMMON_EVIDENCE_TRANSCRIPT_H

#include "common/crypto/crypto.h"
#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

/* Borrows the text. What a line says is valid until the next call. */
struct transcript {
    struct str rest;
    uint8_t *ct; /* owned: LINE_MAX_LEN + 1 + BODY_MAX bytes */
    uint64_t number;
    int64_t time;
    struct str line;
    struct span body; /* p NULL: withheld */
    uint8_t sig[SIG_MAX];
    size_t sig_n;
    struct hash author;
};

int transcript_open(struct transcript *t, struct str text, struct err *e) MUST_USE;
void transcript_close(struct transcript *t); /* zeros are fine */
/* The next line: 1, or 0 at the end, or -1 and e (ERR_DATA) with the field at fault. */
int transcript_next(struct transcript *t, struct err *e) MUST_USE;

/* What a line is written from; everything is borrowed for the call. */
struct transcript_row {
    uint64_t number;
    int64_t time;
    struct str line;
    struct span body; /* n 0: withheld */
    struct span sig;
    struct hash author;
};

/* Appends one line. 0, or -1 and e: more than out may hold (ERR_LIMIT). */
int transcript_put(struct buf *out, const struct transcript_row *row, struct err *e) MUST_USE;

/* The leaf of the room's tree: line "|" time in decimal. */
void transcript_leaf(struct hash *out, struct str line, int64_t time);

#endif
