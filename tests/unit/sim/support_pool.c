/* Keys and certificates of the simulated people, made once a process from a seed of their own. */
#include <stdio.h>
#include <string.h>

#include "common/chat/account.h"
#include "common/crypto/issue.h"
#include "server/core/seal.h"
#include "support_parts.h"

static const int64_t day_ms = 24 * 3600 * (int64_t)1000;
static const char *const names[PEOPLE] = {"alice", "bob", "carol", "dave"};
static struct pool pool;

static int fill(void *ctx, uint8_t *out, size_t n)
{
    struct dice *d = ctx;

    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = dice_u64(d);
        memcpy(out + i, &v, n - i < 8 ? n - i : 8);
    }
    return 0;
}

static void pool_cert(struct cert_form *f, struct pkey *subject, struct issuer by,
                      const struct rng *r, struct der *out)
{
    uint8_t spki[SPKI_MAX];
    struct err e = {0};

    must(pkey_spki(subject, spki, &f->spki.n, &e) == 0, e.text);
    f->spki.p = spki;
    must(serial_draw(&f->serial, r) == 0, "serial");
    f->not_before = NOON - 10 * day_ms;
    f->not_after = NOON + 300 * day_ms;
    must(cert_issue(f, &by, r, out->b, &out->n, &e) == 0, e.text);
}

static void pool_device(int i, const char *name, const char *device, const struct rng *r)
{
    struct cert_form f = cert_form_of(CERT_DEVICE);
    struct err e = {0};
    char uri[128];
    uint8_t sig[SIG_MAX];
    size_t n;

    pool.keys[i] = pkey_generate(PKEY_RSA_2048, r, &e);
    must(pool.keys[i] != NULL, e.text);
    f.cn = str_of(name);
    f.ou = str_of(device);
    must(device_uri(uri, sizeof uri, f.cn, f.ou) == 0, "uri");
    f.sans[f.sans_n++] = (struct san){SAN_URI, span_of(uri, strlen(uri))};
    pool_cert(&f, pool.keys[i],
              (struct issuer){span_of(pool.inter.b, pool.inter.n), pool.inter_key}, r,
              &pool.leaf[i]);
    cert_fingerprint(span_of(pool.leaf[i].b, pool.leaf[i].n), &pool.fp[i]);
    /* Draws its blinding now: later that would shift what a seed draws. */
    must(pkey_sign_pss(pool.keys[i], r, span_of(uri, 1), sig, &n, &e) == 0, e.text);
}

static void pool_person(int i, const struct rng *r)
{
    pool_device(i, names[i], "laptop", r);
    memset(pool.id[i].b, i + 1, sizeof pool.id[i].b);
    memset(pool.salted[i].b, i + 101, sizeof pool.salted[i].b);
}

static void pool_make(void)
{
    struct dice dice = {4711};
    struct cert_form root = cert_form_of(CERT_ROOT), inter = cert_form_of(CERT_INTERMEDIATE);
    const struct rng r = rng_of(&dice);
    struct err e = {0};

    must(crypto_init(&e) == 0, e.text);
    pool.root_key = pkey_generate(PKEY_RSA_2048, &r, &e);
    pool.inter_key = pkey_generate(PKEY_RSA_2048, &r, &e);
    must(pool.root_key != NULL && pool.inter_key != NULL, e.text);
    root.cn = str_of("root");
    inter.cn = str_of("issuing");
    pool_cert(&root, pool.root_key, (struct issuer){{NULL, 0}, pool.root_key}, &r, &pool.root);
    cert_fingerprint(span_of(pool.root.b, pool.root.n), &pool.root_fp);
    pool_cert(&inter, pool.inter_key,
              (struct issuer){span_of(pool.root.b, pool.root.n), pool.root_key}, &r, &pool.inter);
    const struct crl_form crl = {1, NOON - day_ms, NOON + 30 * day_ms, NULL, 0};
    const struct issuer by = {span_of(pool.inter.b, pool.inter.n), pool.inter_key};
    buf_init(&pool.crl, CRL_MAX);
    must(crl_write(&crl, &by, &r, &pool.crl, &e) == 0, e.text);
    pool.seal = (struct key){{7}};
    pool.keep = (struct key){{8}};
    for (int i = 0; i < PEOPLE; i++)
        pool_person(i, &r);
    pool_device(PEOPLE, names[ENROLLED], "phone", &r);
}

int world_who_has(const struct hash *fp)
{
    for (int i = 0; i < PEOPLE; i++)
        if (hash_same(fp, &pool.fp[i]))
            return i;
    return -1;
}

const struct hash *world_fp(int who)
{
    return &pool.fp[who];
}

const struct account_id *world_account(int who)
{
    return &pool.id[who];
}

const char *world_name(int who)
{
    return names[who];
}

const struct pool *pool_get(void)
{
    static bool made;

    if (!made)
        pool_make();
    made = true;
    return &pool;
}

struct rng rng_of(struct dice *d)
{
    return (struct rng){fill, d};
}

void pool_chain(int i, struct store_chain *out)
{
    memcpy(out->leaf, pool.leaf[i].b, out->leaf_n = pool.leaf[i].n);
    memcpy(out->issuer, pool.inter.b, out->issuer_n = pool.inter.n);
}

void pool_store(struct store *s, const struct rng *rng)
{
    const struct pool *p = pool_get();
    struct err e = {0};
    static struct store_chain chain; /* big */

    must(s->ops->begin(s->db, &e) == 0, e.text);
    for (int i = 0; i < PEOPLE; i++) {
        struct store_user u = {.id = p->id[i], .t = 1, .m = 8, .since = NOON};
        struct store_device d = {.fp = p->fp[i], .account = p->id[i], .since = NOON};
        struct account_record rec;

        snprintf(u.name, sizeof u.name, "%s", names[i]);
        snprintf(u.canonical, sizeof u.canonical, "%s", names[i]);
        snprintf(u.skeleton, sizeof u.skeleton, "%s", names[i]);
        snprintf(d.name, sizeof d.name, "laptop");
        account_record(&rec, &p->salted[i]);
        must(login_seal(u.sealed, &p->seal, &u.id, &rec, rng) == 0, "seal");
        pool_chain(i, &chain);
        must(s->ops->user_put(s->db, &u, &e) == 0, e.text);
        must(s->ops->device_add(s->db, &d, &chain, &e) == 0, e.text);
    }
    must(s->ops->commit(s->db, &e) == 0, e.text);
}
