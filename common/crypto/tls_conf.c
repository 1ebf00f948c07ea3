/* What a connection is held to: keys, suites, groups, application protocols, the peer's chain. */
#include <arpa/inet.h>
#include <mbedtls/error.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/tls_priv.h"

static const int suites[] = {
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    0,
};

/* Where AES is not in hardware its tables would leak through the cache: both sides then keep to the
 * suite that the other has as well. */
static const int suites_soft[] = {MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256, 0};

static const uint16_t groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
    MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
};

/* The first two sign handshakes; the last stands for the signatures inside our certificates. */
static const uint16_t schemes[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
    MBEDTLS_TLS1_3_SIG_NONE,
};

/* mbedTLS asks this one where tls_verify_cb was not set for the connection: nobody passes. */
static int refuse_all(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    (void)ctx, (void)crt, (void)depth;
    *flags |= MBEDTLS_X509_BADCERT_OTHER;
    return MBEDTLS_ERR_X509_FATAL_ERROR;
}

const struct tls_alpn *tls_alpn_agreed(const struct tls *t)
{
    const char *name = mbedtls_ssl_get_alpn_protocol(&t->ssl);

    for (size_t i = 0; name != NULL && i < t->conf->alpn_n; i++)
        if (strcmp(name, t->conf->alpn[i].name) == 0)
            return &t->conf->alpn[i];
    return NULL;
}

/* mbedTLS calls this when the ClientHello has been read: the application protocol is known, the
 * CertificateRequest not yet written. */
static int choose_authmode(mbedtls_ssl_context *ssl)
{
    struct tls *t = mbedtls_ssl_get_user_data_p(ssl);
    const struct tls_alpn *a = tls_alpn_agreed(t);

    if (a == NULL) {
        t->alert = ALERT_NO_ALPN;
        return tls_fail(t, ERR_PEER, "the client names no application protocol of ours");
    }
    mbedtls_ssl_set_hs_authmode(ssl,
                                a->mutual ? MBEDTLS_SSL_VERIFY_REQUIRED : MBEDTLS_SSL_VERIFY_NONE);
    return 0;
}

/* --- the peer's chain --- */

static int chain_refuse(struct tls *t, enum cert_fault f, const char *why)
{
    t->alert = cert_fault_alert(f);
    t->refused = cert_fault_word(f);
    return tls_fail(t, ERR_AUTH, "the %s's certificate is refused: %s",
                    t->conf->relay ? "client" : "relay", why);
}

/* Copies the presented chain: it is shown, and logged, also when it is refused. */
static int chain_keep(struct tls *t, const mbedtls_x509_crt *crt)
{
    size_t total = 0, n = 0;

    for (const mbedtls_x509_crt *c = crt; c != NULL; c = c->next, n++) {
        if (c->raw.p == NULL || c->raw.len > CERT_MAX || n == COUNT(t->peer))
            return chain_refuse(t, CERT_MALFORMED, "too many certificates, or unreadable ones");
        total += c->raw.len;
    }
    free(t->peer_der);
    t->peer_n = 0;
    uint8_t *to = t->peer_der = malloc(total);
    if (to == NULL)
        return tls_fail(t, ERR_LOCAL, "no memory for the peer's certificates");
    for (const mbedtls_x509_crt *c = crt; c != NULL; c = c->next) {
        memcpy(to, c->raw.p, c->raw.len);
        t->peer[t->peer_n++] = span_of(to, c->raw.len);
        to += c->raw.len;
    }
    sha256(t->peer[0], &t->peer_fp);
    t->peer_rsa = mbedtls_pk_can_do(&crt->pk, MBEDTLS_PK_RSA);
    return 0;
}

static int chain_check(struct tls *t)
{
    enum cert_fault why = CERT_LOCAL;
    struct err e = {0};

    if (peer_check(&t->conf->peer, t->peer, t->peer_n, &why, &e) < 0)
        return chain_refuse(t, why, e.text);
    return 0;
}

int tls_verify_cb(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct tls *t = ctx;

    if (depth == 0 && (chain_keep(t, crt) < 0 || chain_check(t) < 0))
        return MBEDTLS_ERR_X509_FATAL_ERROR;
    if (depth == 0)
        t->checked = true;
    *flags = 0; /* mbedTLS knows no CA here and has another clock: its own opinion is void */
    return 0;
}

/* --- the configuration --- */

static int mbed_fail(struct err *e, const char *what, int r)
{
    char text[128];

    mbedtls_strerror(r, text, sizeof text);
    return err_set(e, ERR_CONFIG, "%s: %s", what, text);
}

static int conf_key(struct tls_conf *c, const struct pkey *key, struct err *e)
{
    uint8_t der[PKEY_DER_MAX];
    size_t n = 0;

    if (pkey_der(key, der, &n, e) < 0)
        return -1;
    int r = mbedtls_pk_parse_key(&c->key, der, n, NULL, 0, rng_mbedtls, &c->rng);
    wipe(der, sizeof der);
    return r == 0 ? 0 : mbed_fail(e, "own key", r);
}

static int conf_chain(struct tls_conf *c, const struct tls_setup *s, struct err *e)
{
    int r = 0;

    for (size_t i = 0; i < s->chain_n; i++)
        if ((r = mbedtls_x509_crt_parse_der(&c->chain, s->chain[i].p, s->chain[i].n)) != 0)
            return mbed_fail(e, "own certificate", r);
    if (s->key == NULL)
        return err_set(e, ERR_CONFIG, "a certificate without its key");
    if (conf_key(c, s->key, e) < 0)
        return -1;
    r = mbedtls_pk_check_pair(&c->chain.pk, &c->key, rng_mbedtls, &c->rng);
    if (r != 0)
        return mbed_fail(e, "own certificate and key do not belong together", r);
    r = mbedtls_ssl_conf_own_cert(&c->ssl, &c->chain, &c->key);
    return r == 0 ? 0 : mbed_fail(e, "own certificate", r);
}

static int conf_rules(struct tls_conf *c, struct err *e)
{
    int end = c->relay ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT;
    int r = mbedtls_ssl_config_defaults(&c->ssl, end, MBEDTLS_SSL_TRANSPORT_STREAM,
                                        MBEDTLS_SSL_PRESET_DEFAULT);

    if (r != 0)
        return mbed_fail(e, "TLS", r);
    mbedtls_ssl_conf_rng(&c->ssl, rng_mbedtls, &c->rng);
    mbedtls_ssl_conf_min_tls_version(&c->ssl, MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_max_tls_version(&c->ssl, MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_tls13_key_exchange_modes(&c->ssl,
                                              MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL);
    mbedtls_ssl_conf_ciphersuites(&c->ssl, aead_fast(AEAD_AES_256_GCM) ? suites : suites_soft);
    mbedtls_ssl_conf_groups(&c->ssl, groups);
    mbedtls_ssl_conf_sig_algs(&c->ssl, schemes);
    mbedtls_ssl_conf_authmode(&c->ssl, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_verify(&c->ssl, refuse_all, NULL);
    mbedtls_ssl_conf_ca_chain(&c->ssl, &c->nobody, NULL);
    mbedtls_ssl_conf_session_tickets(&c->ssl, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    if (c->relay) {
        mbedtls_ssl_conf_new_session_tickets(&c->ssl, 0);
        mbedtls_ssl_conf_cert_cb(&c->ssl, choose_authmode);
    }
    r = mbedtls_ssl_conf_alpn_protocols(&c->ssl, c->names);
    return r == 0 ? 0 : mbed_fail(e, "ALPN", r);
}

static int conf_peer(struct tls_conf *c, const struct tls_setup *s, struct err *e)
{
    uint8_t address[16];

    c->peer = (struct peer_rules){
        .role = s->relay ? CERT_DEVICE : CERT_RELAY,
        .now_ms = s->now_ms,
        .clock_ctx = s->clock_ctx,
        .judge = s->judge,
        .judge_ctx = s->judge_ctx,
        .memo = s->relay ? memo_new() : NULL, /* a client shakes hands too rarely */
    };
    const struct peer_belief b = {s->trust, s->root, s->leaf, s->host};
    if (peer_believe(&c->peer, &b, e) < 0)
        return -1;
    c->addressed = !s->relay && (inet_pton(AF_INET, s->host, address) == 1 ||
                                 inet_pton(AF_INET6, s->host, address) == 1);
    return 0;
}

static int conf_copy(struct tls_conf *c, const struct tls_setup *s, struct err *e)
{
    if (s->alpn_n == 0 || s->alpn_n > ALPN_MAX)
        return err_set(e, ERR_CONFIG, "no application protocol");
    if (s->relay && s->chain_n == 0)
        return err_set(e, ERR_CONFIG, "a relay needs a certificate");
    c->relay = s->relay;
    c->alpn = s->alpn;
    c->alpn_n = s->relay ? s->alpn_n : 1;
    for (size_t i = 0; i < c->alpn_n; i++)
        c->names[i] = s->alpn[i].name;
    c->rng = s->rng;
    c->mono_us = s->mono_us;
    c->clock_ctx = s->clock_ctx;
    return 0;
}

struct tls_conf *tls_conf_new(const struct tls_setup *s, struct err *e)
{
    struct tls_conf *c = calloc(1, sizeof *c);

    if (c == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a TLS configuration");
        return NULL;
    }
    atomic_init(&c->refs, 1);
    mbedtls_ssl_config_init(&c->ssl);
    mbedtls_x509_crt_init(&c->chain);
    mbedtls_x509_crt_init(&c->nobody);
    mbedtls_pk_init(&c->key);
    if (conf_copy(c, s, e) < 0 || conf_peer(c, s, e) < 0 || conf_rules(c, e) < 0 ||
        (s->chain_n > 0 && conf_chain(c, s, e) < 0)) {
        tls_conf_free(c);
        return NULL;
    }
    return c;
}

void tls_conf_free(struct tls_conf *c)
{
    if (c == NULL || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    mbedtls_ssl_config_free(&c->ssl);
    mbedtls_x509_crt_free(&c->chain);
    mbedtls_x509_crt_free(&c->nobody);
    mbedtls_pk_free(&c->key);
    memo_free(c->peer.memo);
    wipe(c, sizeof *c);
    free(c);
}
