#include "certs/ca.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "certs/index.h"
#include "common/crypto/pem.h"
#include "common/crypto/pkey.h"

enum {
    FILE_CERT_MAX = 64 * 1024,
    LOCK_MS = 5000,
    BACKDATE_MS = 5 * 60 * 1000, /* clocks differ */
};

#define DAY_MS ((int64_t)24 * 3600 * 1000)

struct ca {
    char dir[PATH_MAX];
    struct rng rng;
    struct cert *root, *intermediate;
    struct trust *trust; /* of the two: what we issue must pass our own check */
    struct pkey *key;    /* of the intermediate */
    int64_t until;       /* no certificate outlives the intermediate */
};

/* --- files of the directory --- */

static int cert_load(const char *dir, const char *name, struct cert **out, struct err *e)
{
    char path[PATH_MAX];
    struct buf file, der;

    *out = NULL;
    buf_init(&file, FILE_CERT_MAX);
    buf_init(&der, CERT_MAX);
    if (path_join(path, sizeof path, dir, name, e) == 0 &&
        file_read(path, FILE_PUBLIC, &file, e) == 0) {
        if (pem_or_der(buf_span(&file), PEM_CERT, &der, e) == 0)
            *out = cert_parse(buf_span(&der), NULL, e);
        if (*out == NULL)
            err_in(e, "%s", path);
    }
    buf_free(&file);
    buf_free(&der);
    return *out != NULL ? 0 : -1;
}

static struct pkey *key_load(const char *path, const struct rng *rng, struct err *e)
{
    struct pkey *k = NULL;
    struct buf file;

    buf_init(&file, 4 * PKEY_DER_MAX);
    if (file_read(path, FILE_SECRET, &file, e) == 0) {
        k = pkey_parse(buf_span(&file), rng, e);
        if (k == NULL)
            err_in(e, "%s", path);
    }
    buf_free(&file);
    return k;
}

static int pem_create(const char *path, enum file_kind kind, const char *label, struct span der,
                      struct err *e)
{
    struct buf text;

    buf_init(&text, 4 * PKEY_DER_MAX);
    int rc = pem_put(&text, label, der, e);
    if (rc == 0)
        rc = file_create(path, kind, buf_span(&text), e);
    buf_free(&text);
    return rc;
}

int ca_key_create(const char *path, const struct pkey *k, struct err *e)
{
    uint8_t der[PKEY_DER_MAX];
    size_t n;
    int rc = pkey_der(k, der, &n, e);

    if (rc == 0)
        rc = pem_create(path, FILE_SECRET, pkey_is_rsa(k) ? PEM_RSA : PEM_EC, span_of(der, n), e);
    wipe(der, sizeof der);
    return rc;
}

/* --- opening --- */

static int ca_load(struct ca *ca, struct err *e)
{
    char path[PATH_MAX];
    struct cert_info info;

    if (dir_check(ca->dir, e) < 0 || cert_load(ca->dir, CA_FILE_ROOT, &ca->root, e) < 0 ||
        cert_load(ca->dir, CA_FILE_INTERMEDIATE, &ca->intermediate, e) < 0 ||
        path_join(path, sizeof path, ca->dir, CA_FILE_KEY, e) < 0 ||
        (ca->key = key_load(path, &ca->rng, e)) == NULL)
        return -1;
    cert_info(ca->intermediate, &info);
    ca->until = info.not_after;
    ca->trust = trust_new(TRUST_CRL_OPTIONAL, e);
    if (ca->trust == NULL)
        return -1;
    if (trust_add_root(ca->trust, ca_root(ca), e) < 0)
        return err_in(e, "%s/%s", ca->dir, CA_FILE_ROOT);
    if (trust_add_intermediate(ca->trust, ca_intermediate(ca), e) < 0)
        return err_in(e, "%s/%s", ca->dir, CA_FILE_INTERMEDIATE);
    return 0;
}

struct ca *ca_open(const char *dir, const struct rng *rng, struct err *e)
{
    struct ca *ca = calloc(1, sizeof *ca);

    if (ca == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a CA");
        return NULL;
    }
    ca->rng = *rng;
    if (str_copy(ca->dir, sizeof ca->dir, str_of(dir)) < 0)
        err_set(e, ERR_CONFIG, "%.80s...: too long a path", dir);
    else if (ca_load(ca, e) == 0)
        return ca;
    ca_free(ca);
    return NULL;
}

void ca_free(struct ca *ca)
{
    if (ca == NULL)
        return;
    cert_free(ca->root);
    cert_free(ca->intermediate);
    trust_free(ca->trust);
    pkey_free(ca->key);
    free(ca);
}

struct span ca_root(const struct ca *ca)
{
    return cert_der(ca->root);
}

struct span ca_intermediate(const struct ca *ca)
{
    return cert_der(ca->intermediate);
}

/* --- issuing --- */

static int lock_take(const struct ca *ca, struct err *e)
{
    char path[PATH_MAX];

    return path_join(path, sizeof path, ca->dir, "lock", e) < 0 ? -1 : file_lock(path, LOCK_MS, e);
}

static int entry_of(struct span der, enum cert_role role, struct ca_entry *out, struct err *e)
{
    struct cert *c = cert_parse(der, NULL, e);
    struct cert_info info;

    if (c == NULL)
        return -1;
    cert_info(c, &info);
    *out = (struct ca_entry){.fp = info.fingerprint,
                             .role = role,
                             .not_before = info.not_before,
                             .not_after = info.not_after};
    memcpy(out->serial, info.serial, sizeof out->serial);
    memcpy(out->subject, info.subject, sizeof out->subject);
    cert_free(c);
    return 0;
}

static int index_note(const struct ca *ca, struct span der, enum cert_role role, struct err *e)
{
    char path[PATH_MAX];
    struct ca_entry entry;
    int lock, rc;

    if (entry_of(der, role, &entry, e) < 0 ||
        path_join(path, sizeof path, ca->dir, CA_FILE_INDEX, e) < 0)
        return -1;
    lock = lock_take(ca, e);
    if (lock < 0)
        return -1;
    rc = index_add(path, &entry, e);
    file_unlock(lock);
    return rc;
}

static int dates_fill(const struct ca *ca, int64_t now, unsigned days, struct cert_form *f,
                      struct err *e)
{
    if (days > CA_DAYS_MAX)
        return err_set(e, ERR_USAGE, "%u days: at most %d", days, CA_DAYS_MAX);
    if (now >= ca->until)
        return err_set(e, ERR_CONFIG, "the intermediate certificate in %s has expired", ca->dir);
    f->not_before = now - BACKDATE_MS;
    f->not_after = now + days * DAY_MS;
    if (f->not_after > ca->until)
        f->not_after = ca->until;
    return 0;
}

/* Signs the form, runs our own check over what came out, and only then notes it. */
static int leaf_issue(struct ca *ca, const struct cert_form *f, const struct cert_ask *ask,
                      struct ca_cert *out, struct err *e)
{
    const struct issuer by = {ca_intermediate(ca), ca->key};
    enum cert_fault why;

    if (cert_issue(f, &by, &ca->rng, out->der, &out->n, e) < 0)
        return -1;
    struct span chain = span_of(out->der, out->n);
    if (cert_check(ca->trust, &chain, 1, ask, &why, e) < 0)
        return err_in(e, "not issued");
    return index_note(ca, chain, ask->role, e);
}

/* A DNS name as certificates have it: letters, digits, hyphens, dots. No wildcards. */
static bool dns_good(const char *s)
{
    size_t n = strlen(s);

    return n > 0 && n <= 253 && s[0] != '.' && s[0] != '-' && s[n - 1] != '.' &&
           strstr(s, "..") == NULL &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == n;
}

static int host_add(struct cert_form *f, const char *host, uint8_t ip[16], struct err *e)
{
    struct san *san = &f->sans[f->sans_n++];

    if (inet_pton(AF_INET, host, ip) == 1)
        *san = (struct san){SAN_IP, span_of(ip, 4)};
    else if (inet_pton(AF_INET6, host, ip) == 1)
        *san = (struct san){SAN_IP, span_of(ip, 16)};
    else if (dns_good(host))
        *san = (struct san){SAN_DNS, span_of(host, strlen(host))};
    else
        return err_set(e, ERR_USAGE,
                       "%.80s is neither an address nor a DNS name in ASCII (xn--...)", host);
    return 0;
}

/* The certificates of a relay differ in role and life. */
struct hosts {
    enum cert_role role;
    const char *const *names;
    size_t n;
    unsigned days;
};

/* Everything but dates; the addresses live in ip. */
static int hosts_fill(struct cert_form *f, const struct hosts *h, uint8_t ip[SANS_MAX][16],
                      const struct rng *rng, struct err *e)
{
    *f = cert_form_of(h->role);
    if (h->n == 0 || h->n > SANS_MAX)
        return err_set(e, ERR_USAGE, "%zu host names: 1 to %d", h->n, SANS_MAX);
    for (size_t i = 0; i < h->n; i++)
        if (host_add(f, h->names[i], ip[i], e) < 0)
            return -1;
    f->cn = str_of(h->names[0]);
    if (f->cn.n > 64) /* ub-common-name; the SAN is what counts */
        f->cn = str_of("relay");
    return serial_draw(&f->serial, rng) < 0 ? err_set(e, ERR_LOCAL, "no randomness") : 0;
}

static int hosts_issue(struct ca *ca, int64_t now, struct span spki, const struct hosts *h,
                       struct ca_cert *out, struct err *e)
{
    uint8_t ip[SANS_MAX][16];
    struct cert_form f;

    if (hosts_fill(&f, h, ip, &ca->rng, e) < 0 || dates_fill(ca, now, h->days, &f, e) < 0)
        return -1;
    f.spki = spki;
    struct cert_ask ask = {.role = h->role, .host = h->names[0], .at = now};
    return leaf_issue(ca, &f, &ask, out, e);
}

int ca_issue_relay(struct ca *ca, int64_t now, struct span spki, const char *const *hosts,
                   size_t hosts_n, unsigned days, struct ca_cert *out, struct err *e)
{
    const struct hosts h = {CERT_RELAY, hosts, hosts_n, days == 0 ? CA_RELAY_DAYS : days};
    return hosts_issue(ca, now, spki, &h, out, e);
}

int ca_issue_evidence(struct ca *ca, int64_t now, struct span spki, const char *const *hosts,
                      size_t hosts_n, unsigned days, struct ca_cert *out, struct err *e)
{
    const struct hosts h = {CERT_EVIDENCE, hosts, hosts_n, days == 0 ? CA_EVIDENCE_DAYS : days};
    return hosts_issue(ca, now, spki, &h, out, e);
}

int ca_self_relay(const struct rng *rng, int64_t now, struct pkey *key, const char *const *hosts,
                  size_t hosts_n, struct ca_cert *out, struct err *e)
{
    const struct hosts h = {CERT_RELAY, hosts, hosts_n, CA_SELF_DAYS};
    const struct issuer by = {span_of(NULL, 0), key};
    const struct cert_ask ask = {.role = CERT_RELAY, .host = hosts[0], .alone = true, .at = now};
    uint8_t ip[SANS_MAX][16], spki[SPKI_MAX];
    enum cert_fault why;
    struct cert_form f;
    size_t n;

    if (hosts_fill(&f, &h, ip, rng, e) < 0 || pkey_spki(key, spki, &n, e) < 0)
        return -1;
    f.spki = span_of(spki, n);
    f.not_before = now - BACKDATE_MS;
    f.not_after = now + h.days * DAY_MS;
    if (cert_issue(&f, &by, rng, out->der, &out->n, e) < 0)
        return -1;
    struct span chain = span_of(out->der, out->n);
    return cert_check(NULL, &chain, 1, &ask, &why, e) < 0 ? err_in(e, "not issued") : 0;
}

int ca_issue_device(struct ca *ca, int64_t now, struct span spki, struct str name,
                    struct str device, unsigned days, struct ca_cert *out, struct err *e)
{
    struct cert_form f = cert_form_of(CERT_DEVICE);
    char uri[CERT_SANS_MAX];

    if (device_uri(uri, sizeof uri, name, device) < 0)
        return err_set(e, ERR_USAGE, "the names are too long for a certificate");
    f.cn = name;
    f.ou = device;
    f.spki = spki;
    f.sans[f.sans_n++] = (struct san){SAN_URI, span_of(uri, strlen(uri))};
    if (serial_draw(&f.serial, &ca->rng) < 0)
        return err_set(e, ERR_LOCAL, "no randomness");
    if (dates_fill(ca, now, days == 0 ? CA_DEVICE_DAYS : days, &f, e) < 0)
        return -1;
    struct cert_ask ask = {.role = CERT_DEVICE, .at = now};
    return leaf_issue(ca, &f, &ask, out, e);
}

/* --- revocation --- */

/* CRL numbers only grow, also over a directory restored from a backup: the clock in seconds, or one
 * more than the list that lies there. */
static uint64_t number_next(const char *path, int64_t now)
{
    uint64_t number = now > 0 ? (uint64_t)now / 1000 : 1;
    struct err none = {0};
    struct crl_info info;
    struct buf old;

    buf_init(&old, CRL_MAX);
    struct crl *c =
        file_read(path, FILE_PUBLIC, &old, &none) == 0 ? crl_parse(buf_span(&old), &none) : NULL;
    if (c != NULL) {
        crl_info(c, &info);
        number = info.number >= number ? info.number + 1 : number;
    }
    crl_free(c);
    buf_free(&old);
    return number;
}

struct candidate {
    const struct ca_entry *x;
    bool expired, served; /* served: of a relay, which everybody believes, not one person's */
};

/* Those that are still good in front, a relay's before devices', then those that expire last. */
static int needed_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->expired != y->expired)
        return x->expired ? 1 : -1;
    if (x->served != y->served)
        return x->served ? -1 : 1;
    return (x->x->not_after < y->x->not_after) - (x->x->not_after > y->x->not_after);
}

/* The revoked ones among those that this CA issued: intermediates are the root's. */
static struct candidate *revoked_all(const struct index *all, bool of_root, int64_t now, size_t *n)
{
    struct candidate *v = calloc(all->n + 1, sizeof *v);

    *n = 0;
    for (size_t i = 0; v != NULL && i < all->n; i++) {
        const struct ca_entry *x = &all->v[i];
        if (x->revoked != 0 && (x->role == CERT_INTERMEDIATE) == of_root)
            v[(*n)++] = (struct candidate){x, x->not_after < now,
                                           x->role == CERT_RELAY || x->role == CERT_EVIDENCE};
    }
    if (v != NULL)
        qsort(v, *n, sizeof *v, needed_first);
    return v;
}

/* As many as a list holds. History is judged at its own time, so revocations outlive certificates
 * as long as there is room; then those go whose certificates expired first, then those of devices
 * that will expire first: a relay's certificate lives shorter and deceives everybody. A list that
 * cannot be written would leave everybody with one that goes out of date. */
static struct crl_entry *revoked_list(const struct index *all, bool of_root, int64_t now, size_t *n,
                                      uint8_t (**serials)[CERT_SERIAL_MAX])
{
    size_t have;
    struct candidate *some = revoked_all(all, of_root, now, &have);
    struct crl_entry *v = calloc(CRL_ENTRIES_MAX, sizeof *v);

    *n = 0;
    *serials = calloc(CRL_ENTRIES_MAX, sizeof **serials);
    if (some == NULL || v == NULL || *serials == NULL) {
        free(v);
        v = NULL;
        have = 0;
    }
    for (size_t i = 0; i < have && i < CRL_ENTRIES_MAX; i++) {
        const struct ca_entry *x = some[i].x;
        size_t len = strlen(x->serial) / 2;
        if (hex_take((*serials)[*n], len, str_of(x->serial)) < 0)
            continue;
        v[*n] = (struct crl_entry){span_of((*serials)[*n], len), x->revoked, x->reason};
        ++*n;
    }
    free(some);
    return v;
}

struct list_job {
    const char *file;
    bool of_root;
    int64_t days;
    struct issuer by;
};

static int list_make(const struct ca *ca, int64_t now, const struct list_job *job,
                     const struct index *all, struct err *e)
{
    char path[PATH_MAX];
    uint8_t(*serials)[CERT_SERIAL_MAX] = NULL;
    struct crl_form f = {.this_update = now - BACKDATE_MS, .next_update = now + job->days * DAY_MS};
    struct crl_entry *v = revoked_list(all, job->of_root, now, &f.entries_n, &serials);
    struct buf der;
    int rc = -1;

    buf_init(&der, CRL_MAX);
    if (v == NULL || serials == NULL) {
        err_set(e, ERR_LOCAL, "no memory for a revocation list");
    } else if (path_join(path, sizeof path, ca->dir, job->file, e) == 0) {
        f.entries = v;
        f.number = number_next(path, now);
        rc = crl_write(&f, &job->by, &ca->rng, &der, e);
        if (rc == 0)
            rc = file_replace(path, FILE_PUBLIC, buf_span(&der), e);
    }
    buf_free(&der);
    free(v);
    free(serials);
    return rc;
}

/* Loads the index, lets `change` work on it, writes the list: all under the lock. */
static int list_update(const struct ca *ca, int64_t now, const struct list_job *job,
                       int (*change)(const char *path, struct index *all, void *ctx, struct err *e),
                       void *ctx, struct err *e)
{
    char path[PATH_MAX];
    struct index all = {0};
    int lock, rc;

    if (path_join(path, sizeof path, ca->dir, CA_FILE_INDEX, e) < 0)
        return -1;
    lock = lock_take(ca, e);
    if (lock < 0)
        return -1;
    rc = index_load(path, &all, e);
    if (rc == 0 && change != NULL)
        rc = change(path, &all, ctx, e);
    if (rc == 0)
        rc = list_make(ca, now, job, &all, e);
    index_free(&all);
    file_unlock(lock);
    return rc;
}

int ca_crl(struct ca *ca, int64_t now, struct err *e)
{
    const struct list_job job = {CA_FILE_CRL, false, CA_CRL_DAYS, {ca_intermediate(ca), ca->key}};

    return list_update(ca, now, &job, NULL, NULL, e);
}

struct revocation {
    const struct hash *fp;
    int64_t now;
    enum revoke_reason why;
};

static int revoke_one(const char *path, struct index *all, void *ctx, struct err *e)
{
    const struct revocation *r = ctx;
    struct ca_entry *x = index_find(all, r->fp);
    char fp[2 * HASH_LEN + 1];

    if (x == NULL) {
        hex_put(fp, span_of(r->fp->b, sizeof r->fp->b));
        return err_set(e, ERR_INPUT, "%s lists no certificate with SHA-256 %s", path, fp);
    }
    if (x->revoked != 0)
        return 0;
    x->revoked = r->now;
    x->reason = r->why;
    return index_revoke(path, x, r->now, r->why, e);
}

int ca_revoke(struct ca *ca, int64_t now, const struct hash *fp, enum revoke_reason why,
              struct err *e)
{
    const struct list_job job = {CA_FILE_CRL, false, CA_CRL_DAYS, {ca_intermediate(ca), ca->key}};
    struct revocation r = {fp, now, why};

    return list_update(ca, now, &job, revoke_one, &r, e);
}

int ca_crl_read(const struct ca *ca, struct buf *out, struct err *e)
{
    char path[PATH_MAX];

    return path_join(path, sizeof path, ca->dir, CA_FILE_CRL, e) < 0
               ? -1
               : file_read(path, FILE_PUBLIC, out, e);
}

int ca_root_crl(struct ca *ca, int64_t now, const char *root_key, struct err *e)
{
    char path[PATH_MAX];

    if (path_join(path, sizeof path, ca->dir, CA_FILE_ROOT_KEY, e) < 0)
        return -1;
    struct pkey *k = key_load(root_key != NULL ? root_key : path, &ca->rng, e);
    if (k == NULL)
        return -1;
    const struct list_job job = {CA_FILE_ROOT_CRL, true, CA_ROOT_CRL_DAYS, {ca_root(ca), k}};
    int rc = list_update(ca, now, &job, NULL, NULL, e);
    pkey_free(k);
    return rc;
}

int ca_each(const struct ca *ca, int (*each)(void *ctx, const struct ca_entry *entry), void *ctx,
            struct err *e)
{
    char path[PATH_MAX];
    struct index all;

    if (path_join(path, sizeof path, ca->dir, CA_FILE_INDEX, e) < 0 ||
        index_load(path, &all, e) < 0)
        return -1;
    for (size_t i = 0; i < all.n && each(ctx, &all.v[i]) == 0; i++)
        ;
    index_free(&all);
    return 0;
}

/* --- making one --- */

struct birth {
    const struct ca_setup *setup;
    char root_key[PATH_MAX];
    struct pkey *root, *intermediate;
    struct ca_cert root_cert, cert;
};

/* Everything that can be refused before keys are made. */
static int birth_paths(struct birth *b, struct err *e)
{
    static const char *const names[] = {CA_FILE_ROOT, CA_FILE_ROOT_KEY, CA_FILE_KEY,
                                        CA_FILE_INTERMEDIATE, CA_FILE_INDEX};
    char path[PATH_MAX];
    size_t len = strlen(b->setup->name);

    if (len == 0 || len > CA_NAME_MAX)
        return err_set(e, ERR_USAGE, "\"%.80s\": the name of a CA has 1 to %d bytes",
                       b->setup->name, CA_NAME_MAX);
    if (dir_make(b->setup->dir, e) < 0)
        return -1;
    for (size_t i = 0; i < COUNT(names); i++) {
        if (path_join(path, sizeof path, b->setup->dir, names[i], e) < 0)
            return -1;
        if (file_exists(path))
            return err_set(e, ERR_CREATE, "%s already exists: choose another directory", path);
    }
    if (b->setup->root_key != NULL)
        return str_copy(b->root_key, sizeof b->root_key, str_of(b->setup->root_key)) < 0
                   ? err_set(e, ERR_CONFIG, "%.80s...: too long a path", b->setup->root_key)
                   : 0;
    return path_join(b->root_key, sizeof b->root_key, b->setup->dir, CA_FILE_ROOT_KEY, e);
}

static int ca_cert_issue(const struct birth *b, enum cert_role role, const struct pkey *subject,
                         struct issuer by, struct ca_cert *out, struct err *e)
{
    const struct ca_setup *s = b->setup;
    struct cert_form f = cert_form_of(role);
    char cn[CA_NAME_MAX + 9];
    uint8_t spki[SPKI_MAX];
    size_t n;
    int len = snprintf(cn, sizeof cn, "%s%s", s->name, role == CERT_ROOT ? " root CA" : " CA");

    if (len < 0 || (size_t)len >= sizeof cn)
        return err_set(e, ERR_USAGE, "%.80s: too long a name", s->name);
    if (pkey_spki(subject, spki, &n, e) < 0)
        return -1;
    f.cn = str_of(cn);
    f.spki = span_of(spki, n);
    f.not_before = s->now - BACKDATE_MS;
    f.not_after = s->now + (role == CERT_ROOT ? CA_ROOT_DAYS : CA_INTERMEDIATE_DAYS) * DAY_MS;
    if (serial_draw(&f.serial, &s->rng) < 0)
        return err_set(e, ERR_LOCAL, "no randomness");
    return cert_issue(&f, &by, &s->rng, out->der, &out->n, e);
}

static int birth_keys(struct birth *b, struct err *e)
{
    const struct ca_setup *s = b->setup;

    b->root = pkey_generate(s->kind, &s->rng, e);
    b->intermediate = b->root == NULL ? NULL : pkey_generate(s->kind, &s->rng, e);
    if (b->intermediate == NULL)
        return -1;
    struct issuer self = {.key = b->root};
    if (ca_cert_issue(b, CERT_ROOT, b->root, self, &b->root_cert, e) < 0)
        return -1;
    struct issuer root = {span_of(b->root_cert.der, b->root_cert.n), b->root};
    return ca_cert_issue(b, CERT_INTERMEDIATE, b->intermediate, root, &b->cert, e);
}

static int cert_create(const char *dir, const char *name, const struct ca_cert *c, struct err *e)
{
    char path[PATH_MAX];

    return path_join(path, sizeof path, dir, name, e) < 0
               ? -1
               : pem_create(path, FILE_PUBLIC, PEM_CERT, span_of(c->der, c->n), e);
}

static int birth_write(const struct birth *b, struct err *e)
{
    const char *dir = b->setup->dir;
    char key[PATH_MAX];

    if (path_join(key, sizeof key, dir, CA_FILE_KEY, e) < 0 ||
        ca_key_create(b->root_key, b->root, e) < 0 || ca_key_create(key, b->intermediate, e) < 0)
        return -1;
    if (cert_create(dir, CA_FILE_ROOT, &b->root_cert, e) < 0 ||
        cert_create(dir, CA_FILE_INTERMEDIATE, &b->cert, e) < 0)
        return -1;
    return 0;
}

static int birth_lists(const struct birth *b, struct err *e)
{
    const struct ca_setup *s = b->setup;
    struct ca *ca = ca_open(s->dir, &s->rng, e);
    int rc = -1;

    if (ca != NULL && index_note(ca, ca_intermediate(ca), CERT_INTERMEDIATE, e) == 0 &&
        ca_root_crl(ca, s->now, b->root_key, e) == 0)
        rc = ca_crl(ca, s->now, e);
    ca_free(ca);
    return rc;
}

int ca_create(const struct ca_setup *s, struct err *e)
{
    struct birth *b = calloc(1, sizeof *b);
    int rc = -1;

    if (b == NULL)
        return err_set(e, ERR_LOCAL, "no memory for a CA");
    b->setup = s;
    if (birth_paths(b, e) == 0 && birth_keys(b, e) == 0 && birth_write(b, e) == 0)
        rc = birth_lists(b, e);
    pkey_free(b->root);
    pkey_free(b->intermediate);
    free(b);
    return rc;
}
