/* The end of mbedTLS's part: what another record layer needs is read, then its context is freed. */
#include <stdlib.h>
#include <string.h>

#include "common/crypto/tls_priv.h"

static int refuse(struct tls *t, const char *why)
{
    (void)mbedtls_ssl_send_alert_message(&t->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, ALERT_INTERNAL);
    return tls_fail(t, ERR_LOCAL, "%s", why);
}

/* Records count from 0 again under the application secrets. There are no getters for this. */
static bool nothing_sealed(const struct tls *t)
{
    static const uint8_t zero[MBEDTLS_SSL_SEQUENCE_NUMBER_LEN];

    return t->ssl.MBEDTLS_PRIVATE(in_left) == 0 && t->ssl.MBEDTLS_PRIVATE(out_left) == 0 &&
           memcmp(t->ssl.MBEDTLS_PRIVATE(cur_out_ctr), zero, sizeof zero) == 0;
}

static int suite_take(struct tls *t, struct tls_handover *out)
{
    switch (mbedtls_ssl_get_ciphersuite_id_from_ssl(&t->ssl)) {
    case MBEDTLS_TLS1_3_AES_256_GCM_SHA384:
        out->hash = HASH_SHA384;
        out->aead = AEAD_AES_256_GCM;
        return 0;
    case MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256:
        out->hash = HASH_SHA256;
        out->aead = AEAD_CHACHA20_POLY1305;
        return 0;
    }
    return -1;
}

static int secrets_take(struct tls *t, struct tls_handover *out)
{
    const struct traffic *in = &t->secrets[t->conf->relay ? CLIENT_DATA : SERVER_DATA];
    const struct traffic *to = &t->secrets[t->conf->relay ? SERVER_DATA : CLIENT_DATA];

    if (suite_take(t, out) < 0 || in->n != hash_len(out->hash) || to->n != in->n)
        return -1;
    memcpy(out->in, in->b, in->n);
    memcpy(out->out, to->b, to->n);
    return 0;
}

int tls_give_up(struct tls *t, const char *why)
{
    return tls_fail(t, ERR_LOCAL, "%s", why);
}

/* An upgrade of mbedTLS that exports at another moment, or numbers records differently, is noticed
 * here: nothing goes on then. */
int tls_hand_over(struct tls *t, const char *label, struct tls_handover *out)
{
    memset(out, 0, sizeof *out);
    if (t->failed || t->released || !t->over || t->closing || t->closed || t->spoken)
        return tls_fail(t, ERR_LOCAL, "nothing to hand over in this state");
    if (!nothing_sealed(t) || secrets_take(t, out) < 0 ||
        mbedtls_ssl_export_keying_material(&t->ssl, out->exporter.b, sizeof out->exporter.b, label,
                                           strlen(label), NULL, 0, 0) != 0) {
        wipe(out, sizeof *out);
        return refuse(t, "mbedTLS's secrets are not what they must be");
    }
    t->alpn = mbedtls_ssl_get_alpn_protocol(&t->ssl); /* points into the list of the conf */
    t->released = true;
    out->peer_der = t->peer_der;
    t->peer_der = NULL;
    wipe(t->secrets, sizeof t->secrets);
    mbedtls_ssl_free(&t->ssl);
    buf_free(&t->rec);
    return 0;
}
