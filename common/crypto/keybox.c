#include "common/crypto/keybox.h"

#include <assert.h>
#include <string.h>

#include "common/util/limits.h"
#include "common/util/text.h"

static const char magic[] = "countersign-keybox-1\n";

enum {
    MAGIC_LEN = sizeof magic - 1,
    NONCE = 24,
    HEAD = MAGIC_LEN + 8 + ARGON_SALT_LEN + NONCE, /* authenticated, in clear */
};
static_assert(HEAD + AEAD_TAG_LEN == KEYBOX_OVERHEAD, "as the header says");

/* A password is its characters, not their bytes: another keyboard may compose them otherwise. */
static int box_key(struct key *k, struct str password, const uint8_t *salt, struct argon_cost cost,
                   struct err *e)
{
    char nfc[PASSWORD_MAX + 1];
    size_t n = 0;
    int ret = -1;

    if (text_nfc(nfc, sizeof nfc, &n, password) < 0)
        err_set(e, ERR_DATA, "the password is not UTF-8, holds a NUL or is too long");
    else
        ret = argon_derive(k, str_from(nfc, n), salt, cost, e);
    wipe(nfc, sizeof nfc);
    return ret;
}

int keybox_seal(struct span secret, struct str password, struct argon_cost cost,
                const struct rng *r, uint8_t *out, struct err *e)
{
    uint8_t salt[ARGON_SALT_LEN], nonce[NONCE];
    struct wr w = wr_of(out, HEAD);
    struct key k;
    int ret = -1;

    if (secret.n > KEYBOX_SECRET_MAX)
        return err_set(e, ERR_LIMIT, "a key file holds at most %d bytes", KEYBOX_SECRET_MAX);
    if (rng_fill(r, salt, sizeof salt) < 0 || rng_fill(r, nonce, sizeof nonce) < 0)
        return err_set(e, ERR_LOCAL, "no randomness for a key file");
    if (box_key(&k, password, salt, cost, e) < 0)
        goto out;
    wr_put(&w, magic, MAGIC_LEN);
    wr_u32(&w, cost.t);
    wr_u32(&w, cost.m_kib);
    wr_put(&w, salt, sizeof salt);
    wr_put(&w, nonce, sizeof nonce);
    ret = aead_seal(AEAD_XCHACHA20_POLY1305, &k, nonce, wr_span(&w), secret, out + HEAD);
    if (ret < 0)
        err_set(e, ERR_LOCAL, "the key file cannot be sealed");
out:
    key_wipe(&k);
    return ret;
}

int keybox_open(struct span file, struct str password, uint8_t *out, size_t *n, struct err *e)
{
    struct rd in = rd_of(file);
    const uint8_t *m = rd_take(&in, MAGIC_LEN);
    struct argon_cost cost;
    struct key k;
    int ret = -1;

    if (m == NULL || memcmp(m, magic, MAGIC_LEN) != 0)
        return err_set(e, ERR_DATA, "this is no Countersign key file");
    cost.t = rd_u32(&in);
    cost.m_kib = rd_u32(&in);
    const uint8_t *salt = rd_take(&in, ARGON_SALT_LEN);
    const uint8_t *nonce = rd_take(&in, NONCE);
    struct span box = rd_rest(&in);
    if (!rd_done(&in) || box.n < AEAD_TAG_LEN || box.n > KEYBOX_SECRET_MAX + AEAD_TAG_LEN)
        return err_set(e, ERR_DATA, "the key file is cut short");
    if (box_key(&k, password, salt, cost, e) < 0)
        goto out;
    ret = aead_open(AEAD_XCHACHA20_POLY1305, &k, nonce, span_of(file.p, HEAD), box, out);
    if (ret < 0)
        err_set(e, ERR_AUTH, "wrong password, or the key file is damaged");
    else
        *n = box.n - AEAD_TAG_LEN;
out:
    key_wipe(&k);
    return ret;
}
