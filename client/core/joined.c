#include "client/core/joined.h"

#include <string.h>

#include "common/crypto/x509.h"

static int leaf_check(const struct joining *j, const struct cert *leaf, struct err *e)
{
    struct cert_info info;

    if (!span_same(cert_spki(leaf), j->spki))
        return err_set(e, ERR_PEER, "the relay certified another key than ours");
    cert_info(leaf, &info);
    if (strcmp(info.cn, j->account) != 0 || strcmp(info.ou, j->device) != 0)
        return err_set(e, ERR_PEER, "the relay certified another name than ours");
    return 0;
}

int joined_check(const struct joining *j, const struct f_joined *x, struct err *e)
{
    const struct cert_ask ask = {.role = CERT_DEVICE, .at = j->now};
    enum cert_fault why = CERT_OK;
    struct hash root;
    struct cert *leaf = NULL;
    struct trust *t = NULL;
    int ret = -1;

    cert_fingerprint(x->root, &root);
    if (x->chain_n != 2) {
        err_set(e, ERR_PEER, "the relay's answer is not a certificate and its issuer");
        goto out;
    }
    if (!hash_same(&root, &j->root)) {
        err_set(e, ERR_PEER, "the relay's root certificate is not that of the invite");
        goto out;
    }
    leaf = cert_parse(x->chain[0], NULL, e);
    t = trust_new(TRUST_CRL_OPTIONAL, e);
    if (leaf == NULL || t == NULL || leaf_check(j, leaf, e) < 0 ||
        trust_add_root(t, x->root, e) < 0 || cert_check(t, x->chain, x->chain_n, &ask, &why, e) < 0)
        goto out;
    ret = 0;
out:
    cert_free(leaf);
    trust_free(t);
    return ret;
}
