/* judge -- what cert_check says of a chain: its word, on standard output.
 *
 *     judge device|relay HOST ROOT INTERMEDIATE CRL|- LEAF [ISSUER]...
 *
 * All DER files. A CRL is demanded of the leaf's issuer; `-` is a judge who has none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/crypto/x509.h"

enum { FILE_BYTES = 4 * 1024 * 1024, CHAIN = 32, FILES = CHAIN + 3 };

/* What was read; the chain and the trust point into it. */
struct files {
    uint8_t *b[FILES];
    size_t n;
};

static void files_free(struct files *x)
{
    while (x->n > 0)
        free(x->b[--x->n]);
}

static struct span file_read(struct files *x, const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *b = f == NULL ? NULL : malloc(FILE_BYTES);

    if (b == NULL) {
        perror(path);
        exit(2);
    }
    size_t n = fread(b, 1, FILE_BYTES, f);
    fclose(f);
    x->b[x->n++] = b;
    return span_of(b, n);
}

static struct trust *trust_read(struct files *x, char *const path[3], struct err *e)
{
    struct trust *t = trust_new(TRUST_CRL_LEAF, e);

    if (t == NULL || trust_add_root(t, file_read(x, path[0]), e) < 0 ||
        trust_add_intermediate(t, file_read(x, path[1]), e) < 0 ||
        (strcmp(path[2], "-") != 0 && trust_add_crl(t, file_read(x, path[2]), e) < 0)) {
        fprintf(stderr, "%s\n", e->text);
        exit(2);
    }
    return t;
}

int main(int argc, char *argv[])
{
    struct files files = {.n = 0};
    struct span chain[CHAIN];
    struct err e = {0};
    enum cert_fault why;
    size_t n = 0;

    if (argc < 7 || argc > 6 + CHAIN || crypto_init(&e) < 0)
        return 2;
    bool device = strcmp(argv[1], "device") == 0;
    struct cert_ask ask = {.role = device ? CERT_DEVICE : CERT_RELAY,
                           .host = device ? NULL : argv[2],
                           .at = (int64_t)time(NULL) * 1000};
    struct trust *t = trust_read(&files, argv + 3, &e);
    for (int i = 6; i < argc; i++)
        chain[n++] = file_read(&files, argv[i]);
    bool good = cert_check(t, chain, n, &ask, &why, &e) == 0;
    puts(cert_fault_word(why));
    trust_free(t);
    files_free(&files);
    return !good;
}
