/* Alerts (RFC 8446 6): their sentences, and our own, sealed as the peer expects them. */
#include <string.h>

#include "common/crypto/tls_priv.h"

#define ALERTS(X)                                                                                  \
    X(0, "closed")                                                                                 \
    X(10, "unexpected message")                                                                    \
    X(20, "a record was damaged or forged")                                                        \
    X(22, "record too long")                                                                       \
    X(40, "no common parameters")                                                                  \
    X(42, "bad certificate")                                                                       \
    X(43, "unsupported certificate")                                                               \
    X(44, "certificate revoked")                                                                   \
    X(45, "certificate expired")                                                                   \
    X(46, "certificate unknown: no enrolled device")                                               \
    X(47, "illegal parameter")                                                                     \
    X(48, "unknown certificate authority")                                                         \
    X(49, "access denied")                                                                         \
    X(50, "message malformed")                                                                     \
    X(51, "a signature or Finished does not verify")                                               \
    X(70, "protocol version not supported")                                                        \
    X(71, "insufficient security")                                                                 \
    X(80, "internal error")                                                                        \
    X(86, "inappropriate fallback")                                                                \
    X(90, "cancelled")                                                                             \
    X(109, "missing extension")                                                                    \
    X(110, "unsupported extension")                                                                \
    X(112, "unrecognised name")                                                                    \
    X(113, "bad certificate status")                                                               \
    X(115, "unknown identity")                                                                     \
    X(116, "certificate required")                                                                 \
    X(120, "no common application protocol")

const char *tls_alert_text(unsigned alert)
{
    switch (alert) {
#define X(number, text)                                                                            \
    case number: return text;
        ALERTS(X)
#undef X
    }
    return "an alert without a name";
}

const char *tls_alert_word(unsigned alert)
{
    static const struct {
        unsigned alert;
        const char *word;
    } words[] = {
        {42, "bad-certificate"}, {43, "unsupported"}, {44, "revoked"},  {45, "expired"},
        {46, "not-enrolled"},    {48, "unknown-ca"},  {116, "missing"},
    };

    for (size_t i = 0; i < COUNT(words); i++)
        if (words[i].alert == alert)
            return words[i].word;
    return NULL;
}

int tls_alert_told(struct err *e, const char *peer, unsigned alert)
{
    if (tls_alert_word(alert) != NULL)
        return err_set(e, ERR_AUTH, "%s refused our certificate: %s", peer, tls_alert_text(alert));
    return err_set(e, ERR_PEER, "the %s ended the connection: %s (alert %u)", peer,
                   tls_alert_text(alert), alert);
}

/* level, number, content type: what is sealed. */
static int alert_sealed(struct tls *t, const struct traffic *s, const uint8_t alert[2])
{
    uint8_t rec[RECORD_HEAD + 3 + AEAD_TAG_LEN] = {RECORD_DATA, 3, 3, 0, 3 + AEAD_TAG_LEN};
    uint8_t plain[3] = {alert[0], alert[1], RECORD_ALERT};
    struct record_key k = {0};
    uint8_t nonce[AEAD_IV_LEN];
    int ret = -1;

    if (record_key_make(&k, s) < 0)
        goto out;
    aead_nonce(nonce, k.iv, 0);
    if (aead_seal(k.aead, &k.key, nonce, span_of(rec, RECORD_HEAD), span_of(plain, sizeof plain),
                  rec + RECORD_HEAD) == 0)
        ret = buf_add(&t->out, rec, sizeof rec);
out:
    wipe(&k, sizeof k);
    return ret;
}

int alert_send(struct tls *t, unsigned number, const struct traffic *s)
{
    uint8_t alert[2] = {number == ALERT_CLOSE_NOTIFY ? 1 : 2, (uint8_t)number};
    uint8_t rec[RECORD_HEAD + 2] = {RECORD_ALERT, 3, 3, 0, 2, alert[0], alert[1]};

    return s != NULL ? alert_sealed(t, s, alert) : buf_add(&t->out, rec, sizeof rec);
}

/* mbedTLS 3.6 seals alerts after Finished with the handshake keys, and a client's alerts before its
 * own flight not at all (RFC 8446 4.4.4 and 5.1 want it otherwise), so that the peer reads "bad
 * record" and never the reason. These are the two cases; the first record under the secret is ours.
 */
const struct traffic *alert_secret(const struct tls *t)
{
    const struct tap *out = &t->taps[true];

    if (t->over)
        return NULL;
    if (t->conf->relay)
        return out->finished && t->secrets[SERVER_DATA].n > 0 ? &t->secrets[SERVER_DATA] : NULL;
    return out->sealed == 0 && t->secrets[CLIENT_HANDSHAKE].n > 0 ? &t->secrets[CLIENT_HANDSHAKE]
                                                                  : NULL;
}
