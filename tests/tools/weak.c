/* weak -- the client with one defence taken out, so that a test sees the lab lose: what it prints
 * is what happened, and each defence is what stops its attack. COUNTERSIGN_WEAK says which:
 *
 *     path        whoever shows a certificate is believed
 *     seal        the tag of an AEAD, or a MAC, is not looked at
 *     order       every record is sealed under the same nonce, without its head
 *     end         a stream that is cut has ended in order
 *     directions  both directions have one key
 *     offer       the first message of the client is in no transcript
 *     draws       whoever draws gets the same bytes each time, so no key is a connection's own
 *     wait        nothing stands between two tries to connect (not of the lab)
 *
 * Linked with --wrap; the product has no such switch. */
#include <stdlib.h>
#include <string.h>

#include "client/lab_pair.h"
#include "client/net.h"
#include "common/crypto/peer.h"
#include "common/link/drive_priv.h"
#include "common/link/record_priv.h"

enum { NONCE_MAX = 12, PLAIN_MAX = 32 * 1024 };

static bool without(const char *what)
{
    const char *said = getenv("COUNTERSIGN_WEAK");

    return said != NULL && strcmp(said, what) == 0;
}

#define WRAPPED(type, name, ...)                                                                   \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

WRAPPED(int, peer_check, const struct peer_rules *r, const struct span *chain, size_t n,
        enum cert_fault *why, struct err *e)
{
    if (!without("path"))
        return __real_peer_check(r, chain, n, why, e);
    *why = CERT_OK;
    return 0;
}

WRAPPED(bool, secret_same, const void *a, const void *b, size_t n)
{
    return without("seal") || __real_secret_same(a, b, n);
}

static const uint8_t zero[NONCE_MAX];

WRAPPED(int, aead_seal, enum aead_kind kind, const struct key *k, const uint8_t *nonce,
        struct span aad, struct span plain, uint8_t *out)
{
    return without("order") ? __real_aead_seal(kind, k, zero, span_of(NULL, 0), plain, out)
                            : __real_aead_seal(kind, k, nonce, aad, plain, out);
}

/* Both ciphers are a stream that is added: sealing what is sealed opens it. */
static int open_untagged(enum aead_kind kind, const struct key *k, const uint8_t *nonce,
                         struct span sealed, uint8_t *out)
{
    static uint8_t room[PLAIN_MAX + AEAD_TAG_LEN];
    size_t n = sealed.n - AEAD_TAG_LEN;

    if (n > PLAIN_MAX ||
        __real_aead_seal(kind, k, nonce, span_of(NULL, 0), span_of(sealed.p, n), room) < 0)
        return -1;
    memcpy(out, room, n);
    return 0;
}

WRAPPED(int, aead_open, enum aead_kind kind, const struct key *k, const uint8_t *nonce,
        struct span aad, struct span sealed, uint8_t *out)
{
    if (without("seal"))
        return open_untagged(kind, k, nonce, sealed, out);
    return without("order") ? __real_aead_open(kind, k, zero, span_of(NULL, 0), sealed, out)
                            : __real_aead_open(kind, k, nonce, aad, sealed, out);
}

/* The smaller of both secrets is the one that both ends take. */
WRAPPED(struct record *, record_new, const struct record_conf *c, struct err *e)
{
    struct record_conf same = *c;
    size_t n = c->secret_in.n < c->secret_out.n ? c->secret_in.n : c->secret_out.n;
    bool in = memcmp(c->secret_in.p, c->secret_out.p, n) < 0;

    if (without("directions"))
        same.secret_in = same.secret_out = in ? c->secret_in : c->secret_out;
    return __real_record_new(&same, e);
}

WRAPPED(void, drive_transcribe, struct drive *d, uint8_t type, struct span content)
{
    if (!without("offer") || type != 1)
        __real_drive_transcribe(d, type, content);
}

/* No byte twice, so that the health test of `sovereign` finds nothing: it looks at one drawing. */
static int fill_alike(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(89 * i + 77);
    return 0;
}

/* Keys and certificates are drawn as ever; then the ends of this authority draw what they drew. */
WRAPPED(int, lab_pki_make, struct lab_pki *k, const struct rng *rng, struct err *e)
{
    static bool made;
    int ret = __real_lab_pki_make(k, rng, e);

    if (ret == 0 && !made && without("draws"))
        k->rng = (struct rng){fill_alike, NULL};
    made = true; /* the attacker, who is the second, makes primes */
    return ret;
}

WRAPPED(int64_t, net_backoff, unsigned attempt, const struct rng *rng)
{
    return without("wait") ? 0 : __real_net_backoff(attempt, rng);
}

WRAPPED(int, record_eof, struct record *r)
{
    if (!without("end"))
        return __real_record_eof(r);
    r->closed = true;
    return 0;
}
