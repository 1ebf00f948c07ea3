/* Files with keys and the public keys of others: refused or understood. A key box with a cost that
 * would take seconds is not opened here, only one in bounds that is cheap, and one out of bounds.
 * The first byte says which. */
#include <stdlib.h>

#include "common/crypto/keybox.h"
#include "common/crypto/pem.h"
#include "common/crypto/pkey.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_private(struct span file)
{
    struct err e = {0};
    struct rng r = rng_system();
    struct pkey *k = pkey_parse(file, &r, &e);

    if ((k == NULL) != (e.code != ERR_NONE))
        abort();
    pkey_free(k);
}

static void fuzz_public(struct span spki)
{
    struct err e = {0};
    struct pubkey *k = pubkey_parse(spki, &e);

    if ((k == NULL) != (e.code != ERR_NONE))
        abort();
    pubkey_free(k);
}

static bool dear(struct span file)
{
    enum { MAGIC = 21 };
    struct rd in = rd_of(file);

    (void)rd_take(&in, MAGIC);
    uint32_t t = rd_u32(&in), m_kib = rd_u32(&in);
    return t <= ARGON_T_MAX && m_kib <= ARGON_M_KIB_MAX && (t > 1 || m_kib > 64);
}

static void fuzz_keybox(struct span file)
{
    static uint8_t secret[KEYBOX_SECRET_MAX];
    struct err e = {0};
    size_t n = 0;

    if (dear(file))
        return;
    int r = keybox_open(file, str_of("correct horse"), secret, &n, &e);
    if ((r == 0) != (e.code == ERR_NONE) || n > sizeof secret)
        abort();
}

static void fuzz_either(struct span file)
{
    struct err e = {0};
    struct buf out;

    buf_init(&out, CERT_MAX);
    (void)!pem_or_der(file, PEM_CERT, &out, &e);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
    static void (*const targets[])(struct span) = {fuzz_private, fuzz_public, fuzz_keybox,
                                                   fuzz_either};
    struct err e = {0};

    if (n == 0 || crypto_init(&e) < 0)
        return 0;
    targets[in[0] % 4](span_of(in + 1, n - 1));
    return 0;
}
