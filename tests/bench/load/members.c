#include "tests/bench/load/members.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/x509.h"

static FILE *open_in(const char *dir, const char *name, struct err *e)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        err_set(e, ERR_INPUT, "%s cannot be read: enrol makes it", path);
    return f;
}

static X509 *cert_read(const char *dir, const char *name, struct err *e)
{
    FILE *f = open_in(dir, name, e);

    if (f == NULL)
        return NULL;
    X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    if (x == NULL)
        err_set(e, ERR_DATA, "%s/%s holds no certificate", dir, name);
    return x;
}

static EVP_PKEY *key_read(const char *dir, struct err *e)
{
    FILE *f = open_in(dir, "key.pem", e);

    if (f == NULL)
        return NULL;
    EVP_PKEY *k = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    if (k == NULL)
        err_set(e, ERR_DATA, "%s/key.pem holds no key", dir);
    return k;
}

/* name, account, SaltedPassword, certificate */
static int member_take(struct member *m, struct str line, struct err *e)
{
    uint8_t der[CERT_MAX];
    const uint8_t *at = der;
    size_t n;
    struct str name = str_cut(&line, ' '), account = str_cut(&line, ' '),
               salted = str_cut(&line, ' ');

    if (str_copy(m->name, sizeof m->name, name) < 0 ||
        hex_take(m->account.b, sizeof m->account.b, account) < 0 ||
        hex_take(m->salted.b, sizeof m->salted.b, salted) < 0 ||
        b64_take(der, sizeof der, &n, line) < 0 || (m->leaf = d2i_X509(NULL, &at, (long)n)) == NULL)
        return err_set(e, ERR_DATA, "a line of members is not what enrol writes");
    cert_fingerprint(span_of(der, n), &m->fp);
    return 0;
}

static int list_read(struct members *m, const char *dir, struct err *e)
{
    char line[2 * CERT_MAX];
    FILE *f = open_in(dir, "members", e);
    int rc = f == NULL ? -1 : 0;

    while (rc == 0 && fgets(line, sizeof line, f) != NULL) {
        struct member *more = realloc(m->p, (m->n + 1) * sizeof *more);

        if (more == NULL) {
            rc = err_set(e, ERR_LOCAL, "no memory for members");
            break;
        }
        m->p = more;
        m->p[m->n] = (struct member){.leaf = NULL};
        line[strcspn(line, "\n")] = '\0';
        rc = member_take(&m->p[m->n++], str_of(line), e);
    }
    if (f != NULL)
        fclose(f);
    return rc == 0 && m->n == 0 ? err_set(e, ERR_DATA, "%s/members is empty", dir) : rc;
}

struct members *members_load(const char *dir, struct err *e)
{
    struct members *m = calloc(1, sizeof *m);

    if (m == NULL)
        return NULL;
    m->key = key_read(dir, e);
    m->issuer = cert_read(dir, "issuer.pem", e);
    m->root = cert_read(dir, "root.pem", e);
    if (m->key != NULL && m->issuer != NULL && m->root != NULL && list_read(m, dir, e) == 0)
        return m;
    members_free(m);
    return NULL;
}

void members_free(struct members *m)
{
    if (m == NULL)
        return;
    for (unsigned i = 0; i < m->n; i++)
        X509_free(m->p[i].leaf);
    free(m->p);
    X509_free(m->issuer);
    X509_free(m->root);
    EVP_PKEY_free(m->key);
    free(m);
}

int members_sign(const struct members *m, struct span data, uint8_t *sig, size_t *n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key;
    int rc = -1;

    *n = SIG_MAX;
    if (ctx != NULL && EVP_DigestSignInit(ctx, &key, EVP_sha256(), NULL, m->key) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_PSS_PADDING) == 1 &&
        EVP_PKEY_CTX_set_rsa_pss_saltlen(key, 32) == 1 &&
        EVP_DigestSign(ctx, sig, n, data.p, data.n) == 1)
        rc = 0;
    EVP_MD_CTX_free(ctx);
    return rc;
}
