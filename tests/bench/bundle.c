/* bundle SIZE FILE -- a bundle of that many messages of one room, for `countersign verify` and
 * docs/verify.sh to be timed on: two authors in turn (RSA-2048, as `countersign join` makes them),
 * 300 bytes of text each, under CAs and an evidence certificate of RSA-3072. Our own functions make
 * it, but OpenSSL signs the messages, five times as fast: signing is not what is measured.
 * FILE.root gets the root certificate. */
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/chat/entry.h"
#include "common/crypto/issue.h"
#include "common/evidence/bundle.h"
#include "common/evidence/checkpoint.h"
#include "common/evidence/transcript.h"
#include "common/evidence/tree.h"

#define BEGUN INT64_C(1790000000000)
#define DAY   (INT64_C(24) * 3600 * 1000)

enum { TEXT = 300 };

struct person {
    struct pkey *key;
    EVP_PKEY *fast; /* the same */
    uint8_t der[CERT_MAX];
    size_t n;
    struct hash fp;
    struct entry_chain chain;
};

struct world {
    struct rng rng;
    struct person root, issuer, relay, authors[2];
    struct tree tree;
    struct hash head;
    struct buf transcript, crl, archive;
};

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bundle: %s failed\n", what);
    exit(1);
}

static struct span cert_of(const struct person *p)
{
    return span_of(p->der, p->n);
}

static void person_make(struct world *w, struct person *p, enum cert_role role, const char *name)
{
    bool author = role == CERT_DEVICE;
    struct cert_form f = cert_form_of(role);
    const struct person *by = role == CERT_ROOT           ? p
                              : role == CERT_INTERMEDIATE ? &w->root
                                                          : &w->issuer;
    uint8_t spki[SPKI_MAX];
    char uri[CERT_SANS_MAX];
    struct err e = {0};
    size_t n;

    p->key = pkey_generate(author ? PKEY_RSA_2048 : PKEY_RSA_3072, &w->rng, &e);
    must(p->key != NULL && pkey_spki(p->key, spki, &n, &e) == 0 &&
             serial_draw(&f.serial, &w->rng) == 0,
         "a key");
    f.cn = str_of(name);
    f.ou = str_of(author ? "desk" : "");
    f.spki = span_of(spki, n);
    f.not_before = BEGUN - DAY;
    f.not_after = BEGUN + 90 * DAY;
    must(device_uri(uri, sizeof uri, f.cn, f.ou) == 0, "a name");
    if (author)
        f.sans[f.sans_n++] = (struct san){SAN_URI, span_of(uri, strlen(uri))};
    if (role == CERT_EVIDENCE)
        f.sans[f.sans_n++] = (struct san){SAN_DNS, span_of(name, strlen(name))};
    const struct issuer signer = {role == CERT_ROOT ? span_of(NULL, 0) : cert_of(by), by->key};
    must(cert_issue(&f, &signer, &w->rng, p->der, &p->n, &e) == 0, "a certificate");
    cert_fingerprint(cert_of(p), &p->fp);
}

static void author_make(struct world *w, struct person *p, const char *name)
{
    uint8_t der[PKEY_DER_MAX];
    const uint8_t *at = der;
    struct err e = {0};
    size_t n;

    person_make(w, p, CERT_DEVICE, name);
    must(pkey_der(p->key, der, &n, &e) == 0, "a key for OpenSSL");
    p->fast = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &at, (long)n);
    must(p->fast != NULL, "a key for OpenSSL");
}

static void fast_sign(const struct person *p, struct str line, uint8_t sig[SIG_MAX], size_t *n)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *ctx = NULL;

    *n = SIG_MAX;
    must(md != NULL && EVP_DigestSignInit(md, &ctx, EVP_sha256(), NULL, p->fast) == 1 &&
             EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, 32) == 1 &&
             EVP_DigestSign(md, sig, n, (const unsigned char *)line.p, line.n) == 1,
         "a signature");
    EVP_MD_CTX_free(md);
}

static void say(struct world *w, uint64_t number)
{
    struct person *by = &w->authors[number % 2];
    char text[TEXT + 1], content[TEXT + 64], line[LINE_MAX_LEN + 1];
    int64_t at = BEGUN + (int64_t)number * 10;
    struct entry_line l = {.seq = by->chain.seq + 1,
                           .ts = at - 5,
                           .author = by->fp,
                           .prev = by->chain.line,
                           .seen_number = number - 1,
                           .seen_head = w->head};
    struct err e = {0};
    struct buf body;
    struct hash h;
    uint8_t sig[SIG_MAX];
    size_t sig_n;

    memset(l.room.b, 7, sizeof l.room.b);
    snprintf(text, sizeof text, "%0*" PRIu64, TEXT, number);
    int n = snprintf(content, sizeof content, "{\"kind\":\"say\",\"text\":\"%s\"}", text);
    buf_init(&body, BODY_MAX);
    must(entry_body_make(&body, &l, span_of(content, (size_t)n), &w->rng, &e) == 0, "a body");
    struct str signed_line = str_from(line, entry_line_put(line, &l));
    fast_sign(by, signed_line, sig, &sig_n);
    const struct transcript_row row = {
        number, at, signed_line, buf_span(&body), span_of(sig, sig_n), by->fp};
    must(transcript_put(&w->transcript, &row, &e) == 0, "a line");
    entry_line_hash(signed_line, &h);
    entry_chain_step(&by->chain, &l, &h);
    entry_head_next(&w->head, signed_line, at);
    transcript_leaf(&h, signed_line, at);
    tree_add(&w->tree, &h, NULL);
    buf_free(&body);
}

static void crl_make(struct world *w)
{
    const struct crl_form f = {.number = 1, .this_update = BEGUN, .next_update = BEGUN + 30 * DAY};
    const struct issuer by = {cert_of(&w->issuer), w->issuer.key};
    struct err e = {0};

    must(crl_write(&f, &by, &w->rng, &w->crl, &e) == 0, "a revocation list");
}

static void bundle_make(struct world *w, uint64_t size)
{
    struct checkpoint c = {
        .tree = tree_head(&w->tree), .time = BEGUN + (int64_t)size * 10, .signer = w->relay.fp};
    char text[CHECKPOINT_MAX + 1];
    uint8_t sig[SIG_MAX];
    struct err e = {0};
    size_t sig_n;

    memset(c.room, 7, sizeof c.room);
    size_t n = checkpoint_put(text, &c);
    must(pkey_sign_pss(w->relay.key, &w->rng, span_of(text, n), sig, &sig_n, &e) == 0,
         "a checkpoint");
    crl_make(w);
    struct bundle b = {.kind = BUNDLE_MESSAGES,
                       .checkpoint = span_of(text, n),
                       .checkpoint_sig = span_of(sig, sig_n),
                       .checkpoint_tsr = span_of("", 0),
                       .transcript = buf_span(&w->transcript),
                       .proof = span_of("", 0),
                       .root = cert_of(&w->root),
                       .issuer = cert_of(&w->issuer),
                       .crl = buf_span(&w->crl)};
    must(bundle_cert_add(&b, cert_of(&w->relay), &e) == 0 &&
             bundle_cert_add(&b, cert_of(&w->authors[0]), &e) == 0 &&
             (size < 2 || bundle_cert_add(&b, cert_of(&w->authors[1]), &e) == 0) &&
             bundle_put(&w->archive, &b, &e) == 0,
         "the bundle");
    bundle_free(&b);
}

static void file_write(const char *name, const char *end, struct span s)
{
    char path[4096];

    snprintf(path, sizeof path, "%s%s", name, end);
    FILE *f = fopen(path, "wb");
    must(f != NULL && fwrite(s.p, 1, s.n, f) == s.n && fclose(f) == 0, path);
}

int main(int argc, char **argv)
{
    uint64_t size = argc == 3 ? strtoull(argv[1], NULL, 10) : 0;
    struct world w = {.rng = rng_system()};
    struct err e = {0};

    if (size == 0 || size > TRANSCRIPT_MAX)
        return 64;
    buf_init(&w.transcript, BUNDLE_MAX);
    buf_init(&w.crl, CRL_MAX);
    buf_init(&w.archive, BUNDLE_MAX);
    must(crypto_init(&e) == 0, "the library");
    person_make(&w, &w.root, CERT_ROOT, "bench");
    person_make(&w, &w.issuer, CERT_INTERMEDIATE, "bench issuing");
    person_make(&w, &w.relay, CERT_EVIDENCE, "relay.example");
    author_make(&w, &w.authors[1], "alice");
    author_make(&w, &w.authors[0], "bob");
    for (uint64_t number = 1; number <= size; number++)
        say(&w, number);
    bundle_make(&w, size);
    file_write(argv[2], "", buf_span(&w.archive));
    file_write(argv[2], ".root", cert_of(&w.root));
    return 0;
}
