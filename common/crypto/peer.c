#include "common/crypto/peer.h"

int peer_believe(struct peer_rules *r, const struct trust *trust, const struct hash *pin,
                 const char *host, struct err *e)
{
    if (trust == NULL && (pin == NULL || r->role == CERT_DEVICE))
        return err_set(e, ERR_CONFIG, "no certificate authority to believe");
    r->trust = trust;
    if (trust == NULL)
        r->pin = *pin;
    if (r->role == CERT_DEVICE)
        return 0;
    if (host == NULL || host[0] == '\0' || str_copy(r->host, sizeof r->host, str_of(host)) < 0)
        return err_set(e, ERR_CONFIG, "no name, or too long a one, to expect of the relay");
    return 0;
}

/* The presented certificate that the invite names. */
static const struct span *pinned(const struct peer_rules *r, const struct span *chain, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct hash h;

        sha256(chain[i], &h);
        if (hash_same(&h, &r->pin))
            return &chain[i];
    }
    return NULL;
}

/* Joining: whom we believe is made from what the relay presents, if that is what the invite names.
 */
static struct trust *trust_pinned(const struct peer_rules *r, const struct span *chain, size_t n,
                                  enum cert_fault *why, struct err *e)
{
    const struct span *root = pinned(r, chain, n);
    struct trust *made = NULL;

    *why = CERT_UNKNOWN_CA;
    if (root == NULL)
        err_set(e, ERR_AUTH, "its certificate authority is not the one of the invite");
    else if ((made = trust_new(TRUST_CRL_OPTIONAL, e)) != NULL &&
             trust_add_root(made, *root, e) < 0) {
        trust_free(made);
        made = NULL;
    }
    return made;
}

static int judge(const struct peer_rules *r, const struct span *chain, size_t n,
                 enum cert_fault *why, struct err *e)
{
    struct hash fp;

    *why = CERT_OK;
    if (r->judge == NULL)
        return 0;
    sha256(chain[0], &fp);
    *why = r->judge(r->judge_ctx, &fp, chain, n);
    return *why == CERT_OK ? 0 : err_set(e, ERR_AUTH, "%s", cert_fault_text(*why));
}

int peer_check(const struct peer_rules *r, const struct span *chain, size_t n, enum cert_fault *why,
               struct err *e)
{
    struct cert_ask ask = {
        .role = r->role,
        .host = r->role == CERT_RELAY ? r->host : NULL,
        .at = r->now_ms(r->clock_ctx),
        .memo = r->memo,
    };
    struct trust *made = r->trust == NULL ? trust_pinned(r, chain, n, why, e) : NULL;
    const struct trust *trust = r->trust == NULL ? made : r->trust;
    int ret = -1;

    if (trust != NULL && cert_check(trust, chain, n, &ask, why, e) == 0)
        ret = judge(r, chain, n, why, e);
    trust_free(made);
    return ret;
}
