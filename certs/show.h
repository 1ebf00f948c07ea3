/* show.h -- certificates, lists and the index as text for people, on standard output. What others
 * wrote into a certificate is cleaned for the terminal. */
#ifndef CERTS_SHOW_H
#define CERTS_SHOW_H

#include "certs/ca.h"

/* Fields, SHA-256 and randomart of one certificate. */
int show_cert(struct span der, int64_t now, struct err *e) MUST_USE;
/* Everything in a file: PEM with certificates, requests and lists, or one of them in DER. */
int show_file(struct span file, int64_t now, struct err *e) MUST_USE;
/* The two CA certificates, the list, and one line per certificate issued. */
int show_ca(const struct ca *ca, int64_t now, struct err *e) MUST_USE;

#endif
