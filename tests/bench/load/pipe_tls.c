/* OpenSSL's client: for every server, and it costs less than any of them. */
#include <string.h>

#include "common/link/link.h"
#include "tests/bench/load/pipe.h"

enum { READ_AHEAD = 64 * 1024 };

static int tls_open(struct load *l, struct err *e)
{
    l->tls = SSL_CTX_new(TLS_client_method());
    if (l->tls == NULL || SSL_CTX_set_min_proto_version(l->tls, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(l->tls, "TLS_AES_256_GCM_SHA384") != 1 ||
        SSL_CTX_set1_groups_list(l->tls, "P-256") != 1 ||
        X509_STORE_add_cert(SSL_CTX_get_cert_store(l->tls), l->members->root) != 1)
        return err_set(e, ERR_LOCAL, "OpenSSL cannot be set up");
    SSL_CTX_set_mode(l->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(l->tls, 1);
    SSL_CTX_set_default_read_buffer_len(l->tls, READ_AHEAD);
    SSL_CTX_set_session_cache_mode(l->tls, SSL_SESS_CACHE_OFF);
    return 0;
}

static void tls_close(struct load *l)
{
    SSL_CTX_free(l->tls);
    l->tls = NULL;
}

static int tls_start(struct conn *c)
{
    struct load *l = c->load;
    const struct driver *d = l->driver;
    uint8_t alpn[64];
    size_t n = d->alpn == NULL ? 0 : strlen(d->alpn);

    c->ssl = SSL_new(l->tls);
    if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1 ||
        SSL_use_certificate(c->ssl, c->member->leaf) != 1 ||
        SSL_use_PrivateKey(c->ssl, l->members->key) != 1 ||
        SSL_add1_chain_cert(c->ssl, l->members->issuer) != 1)
        return -1;
    alpn[0] = (uint8_t)n;
    if (n > 0)
        memcpy(alpn + 1, d->alpn, n);
    if (n > 0 && SSL_set_alpn_protos(c->ssl, alpn, (unsigned)n + 1) != 0)
        return -1;
    /* One full check of the server proves the set-up; its signature is always checked. */
    SSL_set_verify(c->ssl, c->number == 0 ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    SSL_set_connect_state(c->ssl);
    return 0;
}

static int tls_shake(struct conn *c)
{
    int r = SSL_do_handshake(c->ssl);

    if (r == 1)
        return 1;
    return SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_READ ? 0 : -1;
}

static int tls_push(struct conn *c)
{
    while (c->out.len > 0) {
        struct span s = buf_span(&c->out);
        int n = SSL_write(c->ssl, s.p, s.n > INT32_MAX ? INT32_MAX : (int)s.n);

        if (n <= 0)
            return SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_WRITE ? 1 : -1;
        buf_drop(&c->out, (size_t)n);
    }
    return 0;
}

static int tls_pull(struct conn *c, uint8_t *p, size_t n)
{
    int r = SSL_read(c->ssl, p, (int)n);

    if (r > 0)
        return r;
    return SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_READ ? 0 : -1;
}

static uint64_t tls_received(const struct conn *c)
{
    return c->ssl == NULL ? 0 : BIO_number_read(SSL_get_rbio(c->ssl));
}

static int relay_cert(const struct conn *c, struct hash *out)
{
    uint8_t der[CERT_MAX], *at = der;
    const X509 *x = SSL_get0_peer_certificate(c->ssl);
    int n = x == NULL ? 0 : i2d_X509(x, NULL);

    if (n <= 0 || n > CERT_MAX || i2d_X509(x, &at) != n)
        return -1;
    sha256(span_of(der, (size_t)n), out);
    return 0;
}

static int tls_bind(const struct conn *c, struct account_auth *a)
{
    a->link = "tls";
    if (relay_cert(c, &a->relay_cert) < 0)
        return -1;
    return SSL_export_keying_material(c->ssl, a->exporter.b, sizeof a->exporter.b,
                                      LINK_EXPORTER_LOGIN, strlen(LINK_EXPORTER_LOGIN), NULL, 0,
                                      0) == 1
               ? 0
               : -1;
}

static void tls_stop(struct conn *c)
{
    SSL_free(c->ssl);
    c->ssl = NULL;
}

const struct pipe_kind pipe_tls = {
    .open = tls_open,
    .close = tls_close,
    .start = tls_start,
    .shake = tls_shake,
    .push = tls_push,
    .pull = tls_pull,
    .received = tls_received,
    .bind = tls_bind,
    .stop = tls_stop,
};
