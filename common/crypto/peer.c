#include "common/crypto/peer.h"

int peer_believe(struct peer_rules *r, const struct peer_belief *b, struct err *e)
{
    bool relay = r->role == CERT_RELAY;

    if (b->trust == NULL && !(relay && (b->root != NULL || b->leaf != NULL)))
        return err_set(e, ERR_CONFIG, "no certificate authority to believe");
    r->trust = b->trust;
    if (b->trust == NULL && b->root != NULL)
        r->root = *b->root;
    if (!relay)
        return 0;
    r->pinned = b->leaf != NULL;
    if (r->pinned)
        r->leaf = *b->leaf;
    if (b->host == NULL || b->host[0] == '\0' ||
        str_copy(r->host, sizeof r->host, str_of(b->host)) < 0)
        return err_set(e, ERR_CONFIG, "no name, or too long a one, to expect of the relay");
    return 0;
}

/* The presented certificate that the invite names. */
static const struct span *invited(const struct peer_rules *r, const struct span *chain, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct hash h;

        sha256(chain[i], &h);
        if (hash_same(&h, &r->root))
            return &chain[i];
    }
    return NULL;
}

/* Joining: whom we believe is made from what the relay presents, if that is what the invite names.
 */
static struct trust *trust_invited(const struct peer_rules *r, const struct span *chain, size_t n,
                                   enum cert_fault *why, struct err *e)
{
    const struct span *root = invited(r, chain, n);
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

/* The one certificate that was named, whoever signed it. */
static int leaf_pinned(const struct peer_rules *r, const struct span *chain, size_t n,
                       enum cert_fault *why, struct err *e)
{
    char hex[2 * HASH_LEN + 1];
    struct hash h;

    if (!r->pinned || n == 0)
        return 0;
    sha256(chain[0], &h);
    if (hash_same(&h, &r->leaf))
        return 0;
    hex_put(hex, span_of(h.b, sizeof h.b));
    *why = CERT_NOT_PINNED;
    return err_set(e, ERR_AUTH,
                   "not the one that was pinned; this one has SHA-256 %s; ask whoever runs the "
                   "relay before you pin it",
                   hex);
}

/* It was named, and is its own issuer. */
static bool stands_alone(const struct peer_rules *r, const struct span *chain, size_t n)
{
    struct err e = {0};
    struct cert *c = r->pinned && n == 1 ? cert_parse(chain[0], NULL, &e) : NULL;
    bool alone = c != NULL && cert_signed_itself(c);

    cert_free(c);
    return alone;
}

static int path_check(const struct peer_rules *r, const struct span *chain, size_t n,
                      enum cert_fault *why, struct err *e)
{
    struct cert_ask ask = {
        .role = r->role,
        .host = r->role == CERT_RELAY ? r->host : NULL,
        .alone = stands_alone(r, chain, n),
        .at = r->now_ms(r->clock_ctx),
        .memo = r->memo,
    };
    struct trust *made = r->trust == NULL && !ask.alone ? trust_invited(r, chain, n, why, e) : NULL;
    const struct trust *trust = r->trust == NULL ? made : r->trust;
    int ret = -1;

    if (trust != NULL || ask.alone)
        ret = cert_check(trust, chain, n, &ask, why, e);
    trust_free(made);
    return ret;
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
    if (leaf_pinned(r, chain, n, why, e) < 0 || path_check(r, chain, n, why, e) < 0)
        return -1;
    return judge(r, chain, n, why, e);
}
