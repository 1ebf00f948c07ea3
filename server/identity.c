#include "server/identity.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "certs/file.h"
#include "common/crypto/pem.h"
#include "common/util/time.h"
#include "server/log.h"

enum { CLASSIC_BITS = 2048 };

static const struct {
    const char *cert, *key, *label;
    enum pkey_kind kind;
    enum cert_role role;
} leaves[LEAF_COUNT] = {
    [LEAF_P256] = {FILE_LEAF, FILE_LEAF_KEY, PEM_EC, PKEY_P256, CERT_RELAY},
    [LEAF_RSA] = {FILE_RSA, FILE_RSA_KEY, PEM_RSA, PKEY_RSA_2048, CERT_RELAY},
    [LEAF_EVIDENCE] = {FILE_EVIDENCE, FILE_EVIDENCE_KEY, PEM_RSA, PKEY_RSA_3072, CERT_EVIDENCE},
    [LEAF_SELF] = {FILE_SELF, FILE_SELF_KEY, PEM_RSA, PKEY_RSA_2048, CERT_RELAY},
};

struct identity {
    _Atomic unsigned refs;
    struct link_conf link; /* without kind, chain, key and ready */
    struct trust *trust;
    struct buf leaf[LEAF_COUNT], ca[2], crl; /* DER; ca: intermediate, root */
    struct span chain[LEAF_COUNT][3];
    struct hash fp[LEAF_COUNT];
    unsigned links;
    enum leaf ecdhe;
    struct textbook *textbook; /* classic, else NULL */
    struct aes_key classic_file;
    size_t workers;
    struct link_ready *ready[LINK_KIND_COUNT][WORKERS_MAX];
};

static enum leaf leaf_of(const struct identity *i, enum link_kind kind)
{
    if (kind == LINK_ECDHE)
        return i->ecdhe;
    return kind == LINK_CIANR ? LEAF_RSA : LEAF_P256;
}

/* What a leaf shows above itself. */
static size_t chain_len(enum leaf leaf)
{
    return leaf == LEAF_SELF ? 1 : 3;
}

static int read_der(const struct conf *c, const char *name, enum file_kind kind, const char *label,
                    struct buf *out, struct err *e)
{
    char path[CONF_PATH];
    struct buf text;
    int ret = -1;

    buf_init(&text, 2 * CERT_MAX);
    if (conf_path(c, name, path, e) == 0 && file_read(path, kind, &text, e) == 0)
        ret = pem_or_der(buf_span(&text), label, out, e);
    buf_free(&text);
    return ret < 0 ? err_in(e, "%s", name) : 0;
}

static struct pkey *key_read(const struct conf *c, enum leaf leaf, struct err *e)
{
    char path[CONF_PATH];
    struct rng rng = rng_system();
    struct pkey *k = NULL;
    struct buf text;

    buf_init(&text, 2 * PKEY_DER_MAX);
    if (conf_path(c, leaves[leaf].key, path, e) == 0 && file_read(path, FILE_SECRET, &text, e) == 0)
        k = pkey_parse(buf_span(&text), &rng, e);
    buf_free(&text);
    if (k == NULL)
        err_in(e, "%s", leaves[leaf].key);
    return k;
}

struct ca *identity_ca(const struct conf *c, struct err *e)
{
    char path[CONF_PATH];
    struct rng rng = rng_system();

    return conf_path(c, FILE_CA, path, e) < 0 ? NULL : ca_open(path, &rng, e);
}

bool identity_wants(const struct conf *c, enum leaf leaf)
{
    enum leaf ecdhe = LEAF_COUNT;
    struct err e = {0};

    return leaf != LEAF_SELF || (conf_ecdhe_leaf(c, &ecdhe, &e) == 0 && ecdhe == LEAF_SELF);
}

bool identity_lacks(const struct conf *c, enum leaf leaf)
{
    char path[CONF_PATH];
    struct err e = {0};

    return conf_path(c, leaves[leaf].cert, path, &e) == 0 && !file_exists(path);
}

int identity_cert(const struct conf *c, enum leaf leaf, struct cert_info *out, struct err *e)
{
    struct cert *cert = NULL;
    struct buf der;

    buf_init(&der, CERT_MAX);
    if (read_der(c, leaves[leaf].cert, FILE_PUBLIC, PEM_CERT, &der, e) == 0)
        cert = cert_parse(buf_span(&der), NULL, e);
    buf_free(&der);
    if (cert == NULL)
        return -1;
    cert_info(cert, out);
    cert_free(cert);
    return 0;
}

/* --- loading --- */

/* The trust of the relay: its own CA, and the CRL of that CA, which must be there. */
static int trust_load(struct identity *i, const struct ca *ca, struct err *e)
{
    struct span inter = ca_intermediate(ca), root = ca_root(ca);

    i->trust = trust_new(TRUST_CRL_LEAF, e);
    if (i->trust == NULL || buf_add(&i->ca[0], inter.p, inter.n) < 0 ||
        buf_add(&i->ca[1], root.p, root.n) < 0)
        return err_set(e, ERR_LOCAL, "no memory for certificates");
    if (ca_crl_read(ca, &i->crl, e) < 0 || trust_add_root(i->trust, root, e) < 0 ||
        trust_add_intermediate(i->trust, inter, e) < 0)
        return -1;
    return trust_add_crl(i->trust, buf_span(&i->crl), e);
}

/* What clients will demand of the leaf is asked here first: a relay that nobody can join says so.
 */
static int leaf_load(struct identity *i, const struct conf *c, enum leaf leaf, const char *host,
                     struct err *e)
{
    struct cert_ask ask = {
        .role = leaves[leaf].role, .host = host, .alone = leaf == LEAF_SELF, .at = clock_now(NULL)};
    struct span *chain = i->chain[leaf];
    enum cert_fault why;

    if (read_der(c, leaves[leaf].cert, FILE_PUBLIC, PEM_CERT, &i->leaf[leaf], e) < 0)
        return -1;
    chain[0] = buf_span(&i->leaf[leaf]);
    chain[1] = buf_span(&i->ca[0]);
    chain[2] = buf_span(&i->ca[1]);
    cert_fingerprint(chain[0], &i->fp[leaf]);
    if (cert_check(i->trust, chain, chain_len(leaf), &ask, &why, e) < 0)
        return err_in(e, "%s", leaves[leaf].cert);
    return 0;
}

static int leaves_load(struct identity *i, const struct conf *c, struct err *e)
{
    struct hosts hosts;

    if (conf_hosts(c, &hosts, e) < 0)
        return -1;
    if (hosts.n == 0)
        return err_set(e, ERR_CONFIG, "the configuration gives the relay no name");
    for (enum leaf leaf = 0; leaf < LEAF_COUNT; leaf++)
        if (identity_wants(c, leaf) && leaf_load(i, c, leaf, hosts.p[0], e) < 0)
            return -1;
    return 0;
}

/* For every worker. */
static int ready_each(struct identity *i, const struct link_conf *conf, struct err *e)
{
    for (size_t w = 0; w < i->workers; w++)
        if ((i->ready[conf->kind][w] = link_ready_new(ROLE_RELAY, conf, e)) == NULL)
            return -1;
    return 0;
}

/* One link's keys. */
static int ready_make(struct identity *i, const struct conf *c, enum link_kind kind, struct err *e)
{
    enum leaf leaf = leaf_of(i, kind);
    struct link_conf conf = i->link;
    struct pkey *key = key_read(c, leaf, e);

    conf.kind = kind;
    conf.chain = i->chain[leaf];
    conf.chain_n = chain_len(leaf);
    conf.key = key;
    int ret = key == NULL ? -1 : ready_each(i, &conf, e);
    pkey_free(key);
    return ret;
}

static int classic_file(struct identity *i, const struct conf *c, struct err *e)
{
    struct aes_key *k = &i->classic_file;

    return file_read_key(c->classic_key, k->b, sizeof k->b, e) < 0 ? err_in(e, "classic_key") : 0;
}

/* Its key signs nothing and opens nothing else: textbook RSA would give that away. */
static int classic_make(struct identity *i, const struct conf *c, struct err *e)
{
    struct link_conf conf = i->link;

    conf.kind = LINK_CLASSIC;
    if (c->classic_key[0] != '\0') {
        if (classic_file(i, c, e) < 0)
            return -1;
        conf.file_key = &i->classic_file;
    } else {
        i->textbook = textbook_new(CLASSIC_BITS, &conf.rng, e);
        conf.textbook = i->textbook;
    }
    return conf.file_key == NULL && conf.textbook == NULL ? -1 : ready_each(i, &conf, e);
}

static int readies_make(struct identity *i, const struct conf *c, struct roll *roll, struct err *e)
{
    i->workers = c->workers;
    i->link = (struct link_conf){.trust = i->trust,
                                 .rng = rng_system(),
                                 .now = clock_now,
                                 .mono = clock_mono,
                                 .judge = roll_judge,
                                 .judge_ctx = roll};
    for (enum link_kind k = 0; k < LINK_CLASSIC; k++)
        if ((i->links & 1U << k) != 0 && ready_make(i, c, k, e) < 0)
            return -1;
    return (i->links & 1U << LINK_CLASSIC) != 0 ? classic_make(i, c, e) : 0;
}

static int load(struct identity *i, const struct conf *c, struct roll *roll, const struct ca *ca,
                struct err *e)
{
    return conf_links(c, &i->links, e) < 0 || conf_ecdhe_leaf(c, &i->ecdhe, e) < 0 ||
                   trust_load(i, ca, e) < 0 || leaves_load(i, c, e) < 0 ||
                   readies_make(i, c, roll, e) < 0
               ? -1
               : 0;
}

struct identity *identity_load(const struct conf *c, struct roll *roll, struct err *e)
{
    struct identity *i = calloc(1, sizeof *i);
    struct ca *ca = identity_ca(c, e);

    if (i == NULL || ca == NULL) {
        err_set(e, ERR_LOCAL, "no memory for certificates");
        free(i);
        ca_free(ca);
        return NULL;
    }
    atomic_init(&i->refs, 1);
    for (enum leaf leaf = 0; leaf < LEAF_COUNT; leaf++)
        buf_init(&i->leaf[leaf], CERT_MAX);
    buf_init(&i->ca[0], CERT_MAX);
    buf_init(&i->ca[1], CERT_MAX);
    buf_init(&i->crl, CRL_MAX);
    if (load(i, c, roll, ca, e) < 0) {
        identity_unref(i);
        i = NULL;
    }
    ca_free(ca);
    return i;
}

struct identity *identity_ref(struct identity *i)
{
    atomic_fetch_add(&i->refs, 1);
    return i;
}

void identity_unref(struct identity *i)
{
    if (i == NULL || atomic_fetch_sub(&i->refs, 1) != 1)
        return;
    for (size_t w = 0; w < i->workers; w++)
        for (enum link_kind k = 0; k < LINK_KIND_COUNT; k++)
            link_ready_free(i->ready[k][w]);
    textbook_free(i->textbook);
    wipe(&i->classic_file, sizeof i->classic_file);
    trust_free(i->trust);
    for (enum leaf leaf = 0; leaf < LEAF_COUNT; leaf++)
        buf_free(&i->leaf[leaf]);
    buf_free(&i->ca[0]);
    buf_free(&i->ca[1]);
    buf_free(&i->crl);
    free(i);
}

unsigned identity_links(const struct identity *i)
{
    return i->links;
}

struct link *identity_link(struct identity *i, unsigned worker, enum link_kind kind, struct err *e)
{
    struct link_conf conf = i->link;

    conf.kind = kind;
    conf.ready = i->ready[kind][worker % i->workers];
    return link_new(ROLE_RELAY, &conf, e);
}

struct span identity_root(const struct identity *i)
{
    return i->chain[LEAF_P256][2];
}

struct span identity_crl(const struct identity *i)
{
    return buf_span(&i->crl);
}

const struct hash *identity_leaf(const struct identity *i, enum link_kind kind)
{
    return &i->fp[leaf_of(i, kind)];
}

/* --- the key that signs evidence --- */

int identity_evidence(const struct conf *c, const struct ca *ca, struct buf *leaf,
                      struct buf *issuer, struct err *e)
{
    struct span inter = ca_intermediate(ca);

    if (buf_add(issuer, inter.p, inter.n) < 0)
        return err_set(e, ERR_LOCAL, "no memory for certificates");
    return read_der(c, leaves[LEAF_EVIDENCE].cert, FILE_PUBLIC, PEM_CERT, leaf, e);
}

struct pkey *identity_evidence_key(const struct conf *c, struct err *e)
{
    return key_read(c, LEAF_EVIDENCE, e);
}

/* --- making and renewing --- */

static int pem_write(const struct conf *c, const char *name, enum file_kind kind, const char *label,
                     struct span der, struct err *e)
{
    char path[CONF_PATH];
    struct buf text;
    int ret = -1;

    buf_init(&text, 2 * PKEY_DER_MAX);
    if (pem_put(&text, label, der, e) == 0 && conf_path(c, name, path, e) == 0)
        ret = file_replace(path, kind, buf_span(&text), e);
    buf_free(&text);
    return ret;
}

static int leaf_sign(struct ca *ca, enum leaf leaf, struct pkey *key, const struct hosts *hosts,
                     int64_t now, struct ca_cert *out, struct err *e)
{
    struct rng rng = rng_system();
    uint8_t spki[SPKI_MAX];
    size_t n;

    if (leaf == LEAF_SELF)
        return ca_self_relay(&rng, now, key, hosts->p, hosts->n, out, e);
    if (pkey_spki(key, spki, &n, e) < 0)
        return -1;
    struct span key_of = span_of(spki, n);
    return leaf == LEAF_EVIDENCE ? ca_issue_evidence(ca, now, key_of, hosts->p, hosts->n, 0, out, e)
                                 : ca_issue_relay(ca, now, key_of, hosts->p, hosts->n, 0, out, e);
}

static int leaf_issue(const struct conf *c, struct ca *ca, enum leaf leaf, struct pkey *key,
                      const struct hosts *hosts, int64_t now, struct err *e)
{
    struct ca_cert cert;

    if (leaf_sign(ca, leaf, key, hosts, now, &cert, e) < 0)
        return -1;
    return pem_write(c, leaves[leaf].cert, FILE_PUBLIC, PEM_CERT, span_of(cert.der, cert.n), e);
}

static int leaf_make(const struct conf *c, struct ca *ca, enum leaf leaf, const struct hosts *hosts,
                     int64_t now, struct err *e)
{
    struct rng rng = rng_system();
    struct pkey *key = pkey_generate(leaves[leaf].kind, &rng, e);
    uint8_t der[PKEY_DER_MAX];
    size_t n = 0;
    int ret = -1;

    if (key != NULL && pkey_der(key, der, &n, e) == 0 &&
        pem_write(c, leaves[leaf].key, FILE_SECRET, leaves[leaf].label, span_of(der, n), e) == 0)
        ret = leaf_issue(c, ca, leaf, key, hosts, now, e);
    wipe(der, sizeof der);
    pkey_free(key);
    return ret;
}

int identity_make(const struct conf *c, struct ca *ca, const struct hosts *hosts, int64_t now,
                  struct err *e)
{
    for (enum leaf leaf = 0; leaf < LEAF_COUNT; leaf++)
        if (identity_wants(c, leaf) && leaf_make(c, ca, leaf, hosts, now, e) < 0)
            return -1;
    return 0;
}

/* The key stays: certificate and key are two files and cannot be replaced in one step. What clients
 * have pinned stays as well. 1: renewed. */
static int leaf_renew(const struct conf *c, struct ca *ca, enum leaf leaf, int64_t now,
                      struct err *e)
{
    struct cert_info info;
    struct hosts hosts;

    if (!identity_wants(c, leaf))
        return 0;
    if (conf_hosts(c, &hosts, e) < 0)
        return -1;
    if (leaf != LEAF_P256 && identity_lacks(c, leaf))
        return leaf_make(c, ca, leaf, &hosts, now, e) < 0 ? -1 : 1;
    if (leaf == LEAF_SELF)
        return 0;
    if (identity_cert(c, leaf, &info, e) < 0)
        return -1;
    if (info.not_after - now >= (int64_t)LEAF_RENEW_DAYS * DAY_MS)
        return 0;
    struct pkey *key = key_read(c, leaf, e);
    int ret = key == NULL ? -1 : leaf_issue(c, ca, leaf, key, &hosts, now, e);
    pkey_free(key);
    return ret < 0 ? -1 : 1;
}

static int leaves_renew(const struct conf *c, struct ca *ca, int64_t now, struct err *e)
{
    int any = 0;

    for (enum leaf leaf = 0; leaf < LEAF_COUNT && any >= 0; leaf++) {
        int one = leaf_renew(c, ca, leaf, now, e);
        any = one < 0 ? -1 : any + one;
    }
    return any;
}

static int crl_renew(struct ca *ca, int64_t now, struct err *e)
{
    struct crl_info info = {.next_update = 0};
    struct crl *crl = NULL;
    struct buf der;

    buf_init(&der, CRL_MAX);
    if (ca_crl_read(ca, &der, e) == 0)
        crl = crl_parse(buf_span(&der), e);
    buf_free(&der);
    if (crl == NULL)
        return -1;
    crl_info(crl, &info);
    crl_free(crl);
    if (info.next_update - now >= (int64_t)CRL_RENEW_DAYS * DAY_MS)
        return 0;
    return ca_crl(ca, now, e) < 0 ? -1 : 1;
}

/* Every revocation writes a list that is good for longer than the loaded one: whoever looked at
 * the file alone would let the loaded one run out, and every client would be refused. */
static int crl_newer(const struct identity *i, const struct ca *ca, struct err *e)
{
    struct buf der;

    buf_init(&der, CRL_MAX);
    int ret = ca_crl_read(ca, &der, e);
    if (ret == 0)
        ret = !span_same(buf_span(&der), buf_span(&i->crl));
    buf_free(&der);
    return ret;
}

int identity_renew(const struct conf *c, const struct identity *held, int64_t now, struct err *e)
{
    struct ca *ca = identity_ca(c, e);

    if (ca == NULL)
        return -1;
    int leaf = leaves_renew(c, ca, now, e);
    int crl = leaf < 0 ? -1 : crl_renew(ca, now, e);
    if (crl == 0 && held != NULL)
        crl = crl_newer(held, ca, e);
    ca_free(ca);
    return crl < 0 ? -1 : leaf > 0 || crl > 0;
}
