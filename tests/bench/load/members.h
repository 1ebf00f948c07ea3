/* members.h -- whom tests/bench/enrol enrolled: names, certificates, login secrets; one RSA key for
 * all of them, because making keys is not what is measured. Everything in OpenSSL's terms. */
#ifndef BENCH_LOAD_MEMBERS_H
#define BENCH_LOAD_MEMBERS_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "common/chat/account.h"
#include "common/chat/id.h"

struct member {
    char name[32];
    struct account_id account;
    struct key salted;
    struct hash fp;
    X509 *leaf;
};

struct members {
    EVP_PKEY *key;
    X509 *issuer, *root;
    struct member *p;
    unsigned n;
};

/* Reads DIR/key.pem, issuer.pem, root.pem and DIR/members. NULL and e. */
struct members *members_load(const char *dir, struct err *e);
void members_free(struct members *m); /* NULL is fine */

/* RSA-PSS (SHA-256, salt 32) of data; sig has SIG_MAX bytes. */
int members_sign(const struct members *m, struct span data, uint8_t *sig, size_t *n) MUST_USE;

#endif
