/* Fields of a handshake that prove something: certificates, signatures, MACs. */
#include <stdio.h>
#include <string.h>

#include "common/link/drive_priv.h"
#include "common/util/text.h"

/* The context of the step that is due, over everything up to here. */
static int context_here(const struct drive *d, const char *kind, struct span so_far,
                        uint8_t out[CONTEXT_MAX + sizeof(struct hash)], size_t *n)
{
    char what[CONTEXT_MAX];
    struct hash t;

    drive_hash(d, &so_far, &t);
    int len = snprintf(what, sizeof what, "%s|%s", drive_row(d)->name, kind);
    if (len < 0 || (size_t)len >= sizeof what)
        return -1;
    return drive_context(d, (struct drive_label){drive_writer(d), what, &t}, out, n);
}

/* --- certificates --- */

void drive_chain_put(struct drive *d, struct wr *out)
{
    const struct drive_ready *r = d->shake->ready;
    size_t n = d->role == ROLE_CLIENT && d->join ? 0 : r->chain_n;

    wr_u8(out, (uint8_t)n);
    for (size_t i = 0; i < n; i++) {
        size_t at = wr_open(out, 2);
        wr_put(out, r->chain[i].p, r->chain[i].n);
        wr_close(out, at, 2);
    }
}

static int chain_refuse(struct drive *d, enum cert_fault f, const char *why)
{
    d->refused = cert_fault_word(f);
    return drive_fail(d, ERR_AUTH, "the %s's certificate is refused: %s", drive_peer(d), why);
}

/* The frame goes, the chain stays: it is shown, and logged, also when it is refused. */
static int chain_keep(struct drive *d, const struct span *chain, size_t n)
{
    struct link_info *i = &d->info;
    size_t total = 0;

    for (size_t k = 0; k < n; k++)
        total += chain[k].n;
    uint8_t *to = buf_room(&d->peer_der, total);
    if (to == NULL)
        return drive_fail(d, ERR_LOCAL, "no memory for the peer's certificates");
    for (size_t k = 0; k < n; k++) {
        memcpy(to, chain[k].p, chain[k].n);
        i->peer[k] = span_of(to, chain[k].n);
        to += chain[k].n;
    }
    i->peer_n = n;
    sha256(i->peer[0], &i->peer_fp);
    return 0;
}

static int chain_judge(struct drive *d)
{
    enum cert_fault why = CERT_LOCAL;
    struct err e = {0};

    if (peer_check(&d->shake->ready->peer, d->info.peer, d->info.peer_n, &why, &e) < 0)
        return chain_refuse(d, why, e.text);
    struct cert *leaf = cert_parse(d->info.peer[0], &why, &e);
    if (leaf != NULL) {
        drive_name_set(&d->shake->peer, leaf, &d->info.peer_fp);
        d->shake->peer_key = pubkey_parse(cert_spki(leaf), &e);
    }
    cert_free(leaf);
    return d->shake->peer_key == NULL ? chain_refuse(d, CERT_MALFORMED, e.text) : 0;
}

int drive_chain_take(struct drive *d, struct rd *in)
{
    bool none = d->role == ROLE_RELAY && d->join;
    struct span chain[CHAIN_MAX + 1];
    size_t n = rd_u8(in);

    if (none && n == 0 && !in->bad)
        return 0;
    if (none || n > COUNT(chain))
        return drive_fail(d, ERR_PEER, "%s: %zu certificates", drive_row(d)->name, n);
    for (size_t i = 0; i < n; i++) {
        size_t len = rd_u16(in);
        chain[i] = span_of(rd_take(in, len), len);
    }
    if (in->bad)
        return drive_fail(d, ERR_PEER, "%s: malformed", drive_row(d)->name);
    if (n == 0)
        return chain_refuse(d, CERT_NONE, cert_fault_text(CERT_NONE));
    return chain_keep(d, chain, n) < 0 ? -1 : chain_judge(d);
}

void drive_name_set(struct drive_name *n, const struct cert *leaf, const struct hash *fp)
{
    char subject[CERT_NAME_MAX];

    cert_subject(leaf, subject);
    text_clean(n->who, sizeof n->who, str_of(subject), TEXT_ONE_LINE);
    n->fp = *fp;
    n->there = true;
}

static const struct drive_name *name_of(const struct drive *d, bool own)
{
    const struct drive_name *n = own ? &d->shake->ready->own : &d->shake->peer;

    return n->there ? n : NULL;
}

const struct hash *drive_fp(const struct drive *d, bool own)
{
    const struct drive_name *n = name_of(d, own);

    return n != NULL ? &n->fp : NULL;
}

/* --- signatures --- */

/* Who joins has no key that anybody could know. */
static bool nameless(const struct drive *d, enum drive_who who)
{
    return who == DRIVE_CLIENT && d->join;
}

int drive_sign_over(struct drive *d, struct span here, struct wr *out)
{
    uint8_t said[CONTEXT_MAX + sizeof(struct hash)], sig[SIG_MAX];
    const struct drive_ready *r = d->shake->ready;
    size_t said_n, n = 0;
    struct err e = {0};

    if (nameless(d, drive_writer(d))) {
        wr_u16(out, 0);
        return 0;
    }
    if (r->key == NULL || context_here(d, "signature", here, said, &said_n) < 0)
        return drive_fail(d, ERR_LOCAL, "nothing to sign with");
    if (pkey_sign(r->key, &r->rng, span_of(said, said_n), sig, &n, &e) < 0)
        return drive_fail(d, ERR_LOCAL, "%s", e.text);
    wr_u16(out, (uint16_t)n);
    wr_put(out, sig, n);
    return 0;
}

int drive_sign(struct drive *d, struct wr *out)
{
    return drive_sign_over(d, wr_span(out), out);
}

int drive_verify_over(struct drive *d, struct span here, struct rd *in)
{
    uint8_t said[CONTEXT_MAX + sizeof(struct hash)];
    size_t said_n, n = rd_u16(in);
    struct span sig = {rd_take(in, n), n};

    if (in->bad || n > SIG_MAX || nameless(d, drive_writer(d)) != (n == 0))
        return drive_fail(d, ERR_PEER, "%s: no signature of a possible length", drive_row(d)->name);
    if (n == 0)
        return 0;
    if (d->shake->peer_key == NULL || context_here(d, "signature", here, said, &said_n) < 0)
        return drive_fail(d, ERR_LOCAL, "nothing to verify with");
    if (!pubkey_verify(d->shake->peer_key, span_of(said, said_n), sig))
        return drive_fail(d, ERR_AUTH, "%s: the %s's signature is not over what we saw",
                          drive_row(d)->name, drive_peer(d));
    d->info.proven = true;
    return 0;
}

int drive_verify(struct drive *d, struct rd *in)
{
    return drive_verify_over(d, drive_before(d, in), in);
}

const char *drive_scheme(const struct drive *d, bool own)
{
    const struct pkey *k = d->shake->ready->key;
    const struct pubkey *peer = d->shake->peer_key;

    if (own ? k == NULL : peer == NULL)
        return NULL;
    return (own ? pkey_is_rsa(k) : pubkey_is_rsa(peer)) ? "RSA-PSS" : "ECDSA P-256";
}

static void tell(const struct drive *d, bool own, const char *how, char *text, size_t cap)
{
    const struct drive_name *n = name_of(d, own);
    char fp[2 * HASH_LEN + 1], who[41];

    hex_put(fp, span_of(n->fp.b, sizeof n->fp.b));
    text_clean(who, sizeof who, str_of(n->who), TEXT_ONE_LINE);
    snprintf(text, cap, "%s %s; SHA-256 %s", how, who, fp);
}

void drive_tell_shown(const struct drive *d, bool own, char *text, size_t cap)
{
    if (name_of(d, own) == NULL)
        snprintf(text, cap, "no certificate: joining");
    else
        tell(d, own, "certificate of", text, cap);
}

void drive_tell_proof(const struct drive *d, bool own, const char *first, char *text, size_t cap)
{
    char how[80];

    if (name_of(d, own) == NULL) {
        snprintf(text, cap, "%sno certificate: joining", first);
        return;
    }
    snprintf(how, sizeof how, "%s%s by", first, drive_scheme(d, own));
    tell(d, own, how, text, cap);
}

/* --- MACs --- */

static int mac_make(struct drive *d, const struct key *k, struct span before, struct hash *out)
{
    uint8_t said[CONTEXT_MAX + sizeof(struct hash)];
    size_t n;

    if (context_here(d, "mac", before, said, &n) < 0)
        return drive_fail(d, ERR_LOCAL, "no MAC could be made");
    hmac_sha256(span_of(k->b, sizeof k->b), span_of(said, n), out);
    return 0;
}

int drive_mac_put(struct drive *d, const struct key *k, struct wr *out)
{
    struct hash mac;

    if (mac_make(d, k, wr_span(out), &mac) < 0)
        return -1;
    wr_put(out, mac.b, sizeof mac.b);
    return 0;
}

int drive_mac_take(struct drive *d, const struct key *k, struct rd *in)
{
    struct hash mac;

    if (mac_make(d, k, drive_before(d, in), &mac) < 0)
        return -1;
    const uint8_t *theirs = rd_take(in, sizeof mac.b);
    if (theirs == NULL || !secret_same(theirs, mac.b, sizeof mac.b))
        return drive_fail(d, ERR_AUTH, "%s: the %s saw another handshake than we did",
                          drive_row(d)->name, drive_peer(d));
    return 0;
}
