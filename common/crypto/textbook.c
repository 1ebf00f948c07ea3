/* The arithmetic is mbedTLS's: big integers, and the private exponentiation with its blinding. */
#include "common/crypto/textbook.h"

#include <assert.h>
#include <mbedtls/bignum.h>
#include <mbedtls/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/blinding.h"

static_assert(TEXTBOOK_LEN_MAX * 8 >= TEXTBOOK_DIGITS_MAX * 33220 / 10000, "digits fit in bytes");

struct textbook {
    mbedtls_rsa_context rsa;
};

/* --- digits --- */

static bool all_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0 && s.n <= TEXTBOOK_DIGITS_MAX && (s.n == 1 || s.p[0] != '0');
}

int textbook_number(struct textbook_open *out, struct str digits)
{
    char text[TEXTBOOK_DIGITS_MAX + 1];
    mbedtls_mpi v;
    int rc;

    *out = (struct textbook_open){{0}, 0};
    if (!all_digits(digits) || str_copy(text, sizeof text, digits) < 0)
        return -1;
    mbedtls_mpi_init(&v);
    if ((rc = mbedtls_mpi_read_string(&v, 10, text)) == 0) {
        out->n = mbedtls_mpi_size(&v);
        rc = mbedtls_mpi_write_binary(&v, out->b, out->n);
    }
    mbedtls_mpi_free(&v);
    return rc == 0 ? 0 : -1;
}

int textbook_digits(char out[TEXTBOOK_DIGITS_MAX + 1], struct span number)
{
    char text[4 * TEXTBOOK_LEN_MAX + 8]; /* mbedTLS wants a digit for every two bits */
    mbedtls_mpi v;
    size_t n = 0;
    int rc;

    mbedtls_mpi_init(&v);
    if ((rc = mbedtls_mpi_read_binary(&v, number.p, number.n)) == 0)
        rc = mbedtls_mpi_write_string(&v, 10, text, sizeof text, &n);
    mbedtls_mpi_free(&v);
    return rc == 0 ? str_copy(out, TEXTBOOK_DIGITS_MAX + 1, str_of(text)) : -1;
}

/* --- with what everybody knows --- */

bool textbook_modulus(const struct textbook_open *n)
{
    return n->n >= TEXTBOOK_LEN_MIN && (n->n > TEXTBOOK_LEN_MIN || (n->b[0] & 0x80) != 0) &&
           (n->b[n->n - 1] & 1) != 0;
}

int textbook_raise(struct textbook_open *out, const struct aes_key *k,
                   const struct textbook_open *n)
{
    mbedtls_mpi m, base, e, x;
    int rc;

    mbedtls_mpi_init(&m);
    mbedtls_mpi_init(&base);
    mbedtls_mpi_init(&e);
    mbedtls_mpi_init(&x);
    out->n = n->n;
    if ((rc = mbedtls_mpi_read_binary(&m, n->b, n->n)) == 0 &&
        (rc = mbedtls_mpi_read_binary(&base, k->b, sizeof k->b)) == 0 &&
        (rc = mbedtls_mpi_lset(&e, TEXTBOOK_E)) == 0 &&
        (rc = mbedtls_mpi_exp_mod(&x, &base, &e, &m, NULL)) == 0)
        rc = mbedtls_mpi_write_binary(&x, out->b, out->n);
    mbedtls_mpi_free(&x); /* all of them are wiped */
    mbedtls_mpi_free(&e);
    mbedtls_mpi_free(&base);
    mbedtls_mpi_free(&m);
    return rc == 0 ? 0 : -1;
}

/* --- a pair of keys --- */

static struct textbook *pair_empty(struct err *e)
{
    struct textbook *t = calloc(1, sizeof *t);

    if (t == NULL)
        err_set(e, ERR_LOCAL, "no memory for a key");
    else
        mbedtls_rsa_init(&t->rsa);
    return t;
}

struct textbook *textbook_new(unsigned bits, const struct rng *r, struct err *e)
{
    struct textbook *t = pair_empty(e);

    if (t != NULL &&
        mbedtls_rsa_gen_key(&t->rsa, rng_mbedtls, (void *)(uintptr_t)r, bits, TEXTBOOK_E) != 0) {
        err_set(e, ERR_LOCAL, "an RSA key of %u bits cannot be made", bits);
        textbook_free(t);
        t = NULL;
    }
    return t;
}

struct textbook *textbook_copy(const struct textbook *t, struct err *e)
{
    struct textbook *copy = pair_empty(e);

    if (copy != NULL && mbedtls_rsa_copy(&copy->rsa, &t->rsa) != 0) {
        err_set(e, ERR_LOCAL, "no memory for a key");
        textbook_free(copy);
        copy = NULL;
    }
    return copy;
}

void textbook_free(struct textbook *t)
{
    if (t == NULL)
        return;
    mbedtls_rsa_free(&t->rsa); /* wipes its numbers */
    free(t);
}

void textbook_open(const struct textbook *t, struct textbook_open *n)
{
    n->n = mbedtls_rsa_get_len(&t->rsa);
    if (n->n > sizeof n->b ||
        mbedtls_rsa_export_raw(&t->rsa, n->b, n->n, NULL, 0, NULL, 0, NULL, 0, NULL, 0) != 0)
        n->n = 0;
}

/* c in as many bytes as n has; 2 <= c <= n - 2, all of it known to everybody. */
static int place(uint8_t out[TEXTBOOK_LEN_MAX], const struct textbook_open *c,
                 const struct textbook_open *n)
{
    uint8_t most[TEXTBOOK_LEN_MAX];

    if (n->n == 0 || c->n == 0 || c->n > n->n || (c->n == 1 && c->b[0] < 2))
        return -1;
    memset(out, 0, n->n);
    memcpy(out + n->n - c->n, c->b, c->n);
    memcpy(most, n->b, n->n);
    most[n->n - 1] ^= 1; /* n is odd: n - 1 */
    return memcmp(out, most, n->n) < 0 ? 0 : -1;
}

/* The last bytes of m when all before them are zero, else those of `other`; in the same steps. */
static void choose(struct aes_key *out, const uint8_t *m, size_t n, const struct aes_key *other)
{
    const uint8_t *k = m + n - sizeof out->b;
    unsigned above = 0;

    for (size_t i = 0; i < n - sizeof out->b; i++)
        above |= m[i];
    uint8_t odd = (uint8_t)(0U - ((above + 0xffU) >> 8)); /* ff: it was no such key */
    for (size_t i = 0; i < sizeof out->b; i++)
        out->b[i] = (uint8_t)((k[i] & ~odd) | (other->b[i] & odd));
}

int textbook_lower(struct textbook *t, const struct rng *r, const struct textbook_open *c,
                   struct aes_key *out)
{
    uint8_t in[TEXTBOOK_LEN_MAX], m[TEXTBOOK_LEN_MAX];
    struct textbook_open n;
    struct aes_key other;
    int ret = -1;

    textbook_open(t, &n);
    if (place(in, c, &n) == 0 && rng_fill(r, &other, sizeof other) == 0)
        ret = mbedtls_rsa_private(&t->rsa, rng_mbedtls, (void *)(uintptr_t)r, in, m);
    if (ret == 0)
        choose(out, m, n.n, &other);
    else
        blinding_forget(&t->rsa);
    wipe(m, sizeof m);
    wipe(&other, sizeof other);
    return ret == 0 ? 0 : -1;
}
