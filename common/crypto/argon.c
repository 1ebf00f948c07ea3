#include "common/crypto/argon.h"

#include <sodium.h>

#include "common/util/limits.h"

static_assert(ARGON_SALT_LEN == crypto_pwhash_argon2id_SALTBYTES, "libsodium's salt");

struct argon_cost argon_cost_default(void)
{
    return (struct argon_cost){ARGON_T, ARGON_M_KIB};
}

int argon_derive(struct key *out, struct str password, const uint8_t salt[ARGON_SALT_LEN],
                 struct argon_cost cost, struct err *e)
{
    if (password.n == 0 || password.n > PASSWORD_MAX)
        return err_set(e, ERR_LIMIT, "a password has 1 to %d bytes", PASSWORD_MAX);
    if (cost.t < 1 || cost.t > ARGON_T_MAX || cost.m_kib < 8 || cost.m_kib > ARGON_M_KIB_MAX)
        return err_set(e, ERR_DATA, "Argon2id cost t=%u m=%u KiB is out of bounds", cost.t,
                       cost.m_kib);
    if (crypto_pwhash_argon2id(out->b, sizeof out->b, password.p, password.n, salt, cost.t,
                               (size_t)cost.m_kib * 1024,
                               crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0)
        return err_set(e, ERR_LOCAL, "Argon2id: not enough memory for %u KiB", cost.m_kib);
    return 0;
}
