/* A1: a refused login costs the relay the same work and is the same pieces on the wire, whoever
 * asks: with a wrong password, of a disabled account, of a revoked device, or with a certificate
 * that no account has; over each link. Counted where the keys are used: these functions of ours are
 * stood in front of (Makefile).
 */
#include "tests/unit/server/support_line.h"

static struct work {
    unsigned macs, opened, hashed, signatures; /* of both ends */
    struct line_seen seen;
} done;

void __real_hmac_sha256(struct span key, struct span data, struct hash *out);
void __wrap_hmac_sha256(struct span key, struct span data, struct hash *out);
void __wrap_hmac_sha256(struct span key, struct span data, struct hash *out)
{
    done.macs++;
    __real_hmac_sha256(key, data, out);
}

int __real_aead_open(enum aead_kind kind, const struct key *k, const uint8_t *nonce,
                     struct span aad, struct span in, uint8_t *out);
int __wrap_aead_open(enum aead_kind kind, const struct key *k, const uint8_t *nonce,
                     struct span aad, struct span in, uint8_t *out);
int __wrap_aead_open(enum aead_kind kind, const struct key *k, const uint8_t *nonce,
                     struct span aad, struct span in, uint8_t *out)
{
    done.opened++;
    return __real_aead_open(kind, k, nonce, aad, in, out);
}

void __real_sha256(struct span data, struct hash *out);
void __wrap_sha256(struct span data, struct hash *out);
void __wrap_sha256(struct span data, struct hash *out)
{
    done.hashed++;
    __real_sha256(data, out);
}

int __real_pkey_sign_pss(struct pkey *k, const struct rng *r, struct span data,
                         uint8_t sig[SIG_MAX], size_t *n, struct err *e);
int __wrap_pkey_sign_pss(struct pkey *k, const struct rng *r, struct span data,
                         uint8_t sig[SIG_MAX], size_t *n, struct err *e);
int __wrap_pkey_sign_pss(struct pkey *k, const struct rng *r, struct span data,
                         uint8_t sig[SIG_MAX], size_t *n, struct err *e)
{
    done.signatures++;
    return __real_pkey_sign_pss(k, r, data, sig, n, e);
}

static struct work refused(struct client *c)
{
    (void)line_seen(c->line);
    done = (struct work){0};
    client_login(c);
    client_error(c, CODE_AUTH);
    assert_true(c->closed && client_quiet(c));
    done.seen = line_seen(c->line);
    return done;
}

static void alike(struct work a, struct work b)
{
    assert_int_equal(a.macs, b.macs);
    assert_int_equal(a.opened, b.opened);
    assert_int_equal(a.hashed, b.hashed);
    assert_int_equal(a.signatures, b.signatures);
    assert_int_equal(a.seen.n, b.seen.n);
    for (size_t i = 0; i < a.seen.n; i++)
        assert_int_equal(a.seen.pieces[i], b.seen.pieces[i]);
}

/* Over that link, by its number in LINK_KINDS: the handshakes are real. */
static void refused_over(enum link_kind kind)
{
    struct relay *r = relay_new();
    struct err e = {0};

    r->link = kind;
    r->linked = true;
    struct client *wrong = client_enrol(r, "alice"), *off = client_enrol(r, "bob");
    struct client *lost = client_enrol(r, "carol"), *known = client_enrol(r, "dave");
    struct client *nobody = client_stolen(known);
    assert_int_equal(operator_disable(&r->store, "bob", true, r->now, &e), 0);
    assert_int_equal(operator_revoke(&r->store, &lost->fp, r->now, &e), 0);
    relay_refresh(r);
    wrong->salted.b[0] ^= 1;

    struct work first = refused(wrong);
    assert_true(first.macs > 0 && first.opened > 0);
    assert_int_equal(first.signatures, 0);
    assert_int_equal(first.seen.n, 4); /* login, challenge, proof, error */
    alike(first, refused(client_again(off)));
    alike(first, refused(client_again(lost)));
    alike(first, refused(nobody));
    assert_int_equal(relay_audit(r, "login-failure", "unknown-device").count, 1);
    client_login(known); /* over the same link, who is right is let in */
    (void)client_got(known, F_WELCOME);
    relay_free(r);
}

static void refused_logins_cost_the_same(void **state)
{
    (void)state;
    for (enum link_kind k = 0; k < LINK_CLASSIC; k++)
        refused_over(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_logins_cost_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
