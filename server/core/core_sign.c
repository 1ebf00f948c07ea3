/* The evidence key is not ours to hold: it belongs to a thread that does nothing else (an RSA-3072
 * signature takes milliseconds). Bytes go to it as an effect and come back as a job, so nothing
 * that was not committed is ever signed. */
#include "server/core/core_inner.h"

#include <stdlib.h>
#include <string.h>

static void signing_free(struct signing *g)
{
    shared_unref(g->text);
    free(g->receipt);
    free(g);
}

struct signing *core_sign(struct core *c, struct span text, signing_done *done)
{
    struct signing *g = calloc(1, sizeof *g);

    if (g != NULL && (g->text = shared_new(text)) != NULL) {
        g->ticket = ++c->tickets;
        g->done = done;
        HASH_ADD(hh, c->signings, ticket, sizeof g->ticket, g);
    }
    if (g == NULL || !HASH_ADDED(hh, g)) {
        if (g != NULL)
            signing_free(g);
        return NULL;
    }
    effect_add(c, EFFECT_SIGN, g->ticket)->frame = shared_ref(g->text);
    c->counts.signings++;
    return g;
}

void signed_run(struct core *c, const struct job *j)
{
    struct signing *g = NULL;

    HASH_FIND(hh, c->signings, &j->conn, sizeof j->conn, g);
    if (g == NULL)
        return;
    HASH_DEL(c->signings, g);
    g->done(c, g, j->sig == NULL ? span_of(NULL, 0) : span_of(j->sig->b, j->sig->n));
    signing_free(g);
}

void signings_free(struct core *c)
{
    struct signing *g, *next;

    HASH_ITER(hh, c->signings, g, next) {
        HASH_DEL(c->signings, g);
        signing_free(g);
    }
}

int core_set_signer(struct core *c, struct span leaf, struct span issuer, struct err *e)
{
    struct store_chain chain;
    struct hash fp;

    if (leaf.n > sizeof chain.leaf || issuer.n > sizeof chain.issuer)
        return err_set(e, ERR_LOCAL, "a certificate of the evidence key is too big");
    memcpy(chain.leaf, leaf.p, leaf.n);
    memcpy(chain.issuer, issuer.p, issuer.n);
    chain.leaf_n = leaf.n;
    chain.issuer_n = issuer.n;
    cert_fingerprint(leaf, &fp);
    if (STORE(c, signer_put, &fp, &chain) < 0)
        return err_set(e, c->failed.code, "%s", c->failed.text);
    c->signer = fp;
    c->signs = true;
    return 0;
}
