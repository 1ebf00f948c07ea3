/* pem.h -- DER in text (RFC 7468), for local files only: nothing from the network is PEM. */
#ifndef COMMON_CRYPTO_PEM_H
#define COMMON_CRYPTO_PEM_H

#include "common/crypto/crypto.h"

#define PEM_CERT "CERTIFICATE"
#define PEM_CSR  "CERTIFICATE REQUEST"
#define PEM_CRL  "X509 CRL"
#define PEM_RSA  "RSA PRIVATE KEY"
#define PEM_EC   "EC PRIVATE KEY"

/* Appends der as one PEM block. */
int pem_put(struct buf *out, const char *label, struct span der, struct err *e) MUST_USE;

/* Takes the next block with this label off the front of *text and appends its DER to out: 1, or 0
 * when there is none any more (*text is then empty), or -1. Text between blocks is skipped. */
int pem_take(struct span *text, const char *label, struct buf *out, struct err *e) MUST_USE;

/* A file that holds one thing, as PEM with this label or as bare DER: its DER is appended to out.
 */
int pem_or_der(struct span file, const char *label, struct buf *out, struct err *e) MUST_USE;

#endif
