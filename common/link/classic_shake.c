/* How both ends of `classic` come to a key: by textbook RSA or out of a file (docs/protocol.md
 * 10.5). */
#include <stdio.h>
#include <string.h>

#include "common/link/classic_priv.h"

#define MAC_LABEL  "auth|"
#define FILE_LABEL "countersign classic 1|file|mac"

/* --- keys --- */

/* As seed 000 has it. */
static void mac_key_hash(const struct aes_key *k, struct key *out)
{
    const struct span parts[] = {span_of(MAC_LABEL, sizeof MAC_LABEL - 1),
                                 span_of(k->b, sizeof k->b)};
    struct hash mac;

    sha256_parts(parts, COUNT(parts), &mac);
    memcpy(out->b, mac.b, sizeof mac.b);
    wipe(&mac, sizeof mac);
}

/* Seed 003 has one constant for everybody; this is made of the file's key. */
static int mac_key_file(const struct aes_key *k, struct key *out)
{
    const struct span label = span_of(FILE_LABEL, sizeof FILE_LABEL - 1);
    struct key prk;
    int ret = -1;

    if (hkdf_extract(HASH_SHA256, span_of(NULL, 0), span_of(k->b, sizeof k->b), prk.b) == 0)
        ret = hkdf_expand(HASH_SHA256, span_of(prk.b, sizeof prk.b), label, out->b, sizeof out->b);
    key_wipe(&prk);
    return ret;
}

int classic_keys(struct classic *c, const struct aes_key *k)
{
    int ret = 0;

    c->keys.aes = *k;
    if (c->file)
        ret = mac_key_file(k, &c->keys.mac);
    else
        mac_key_hash(k, &c->keys.mac);
    if (ret == 0)
        ret = rng_fill(&c->ready->rng, c->keys.iv.b, sizeof c->keys.iv.b);
    c->keyed = ret == 0;
    return ret < 0 ? classic_refuse(c, ERR_LOCAL, "no key") : 0;
}

/* The handshake is over: nothing of the program's is used from here on. */
static void settle(struct classic *c)
{
    c->done = true;
    classic_ready_free(c->ready);
    c->ready = NULL;
}

/* --- 2. pubkey, or at once ok --- */

static int say_pubkey(struct classic *c)
{
    char digits[TEXTBOOK_DIGITS_MAX + 1], line[TEXTBOOK_DIGITS_MAX + 64];
    struct textbook_open n;

    textbook_open(c->ready->textbook, &n);
    if (textbook_digits(digits, span_of(n.b, n.n)) < 0)
        return classic_refuse(c, ERR_LOCAL, "no public key");
    snprintf(line, sizeof line, "{\"type\":\"pubkey\",\"e\":%d,\"n\":%s}\n", TEXTBOOK_E, digits);
    snprintf(c->group, sizeof c->group, "textbook RSA-%zu", 8 * n.n);
    if (classic_say(c, line) < 0)
        return -1;
    classic_step(c, RSA_PUBKEY, true, strlen(line), c->group);
    return 0;
}

static int say_ok(struct classic *c)
{
    static const char line[] = "{\"type\":\"ok\"}\n";

    if (classic_say(c, line) < 0)
        return -1;
    settle(c);
    classic_step(c, c->file ? (unsigned)FILE_KEY : (unsigned)RSA_OK, true, sizeof line - 1,
                 c->group);
    return 0;
}

int classic_take_hello(struct classic *c, const struct classic_line *l, size_t bytes)
{
    (void)l;
    if (c->role != ROLE_RELAY || c->hello)
        return classic_refuse(c, ERR_PEER, "hello when it was not due");
    c->hello = true;
    if (c->file)
        return classic_keys(c, &c->ready->key) < 0 ? -1 : say_ok(c);
    classic_step(c, RSA_HELLO, false, bytes, "no version, no certificate");
    return say_pubkey(c);
}

/* --- 3. key --- */

/* The original's reader loses leading zero bytes, so a key that begins with one is drawn anew. */
static int draw(struct classic *c, struct aes_key *k)
{
    do {
        if (rng_fill(&c->ready->rng, k->b, sizeof k->b) < 0)
            return classic_refuse(c, ERR_LOCAL, "no random numbers");
    } while (k->b[0] == 0);
    return 0;
}

static int say_key(struct classic *c, const struct textbook_open *n)
{
    char digits[TEXTBOOK_DIGITS_MAX + 1], line[TEXTBOOK_DIGITS_MAX + 64];
    struct textbook_open block;
    struct aes_key k = {{0}};
    int ret = -1;

    if (draw(c, &k) < 0 || classic_keys(c, &k) < 0)
        goto out;
    if (textbook_raise(&block, &k, n) < 0 ||
        textbook_digits(digits, span_of(block.b, block.n)) < 0) {
        classic_refuse(c, ERR_LOCAL, "the key cannot be sent");
        goto out;
    }
    snprintf(line, sizeof line, "{\"type\":\"key\",\"chunks\":[%s]}\n", digits);
    if (classic_say(c, line) < 0)
        goto out;
    c->said = true;
    classic_step(c, RSA_KEY, true, strlen(line), "16 random bytes, one block");
    ret = 0;
out:
    wipe(&k, sizeof k);
    return ret;
}

int classic_take_pubkey(struct classic *c, const struct classic_line *l, size_t bytes)
{
    struct textbook_open n;
    uint64_t e;

    if (c->role != ROLE_CLIENT || c->said || c->done)
        return classic_refuse(c, ERR_PEER, "pubkey when it was not due");
    if (c->file)
        return classic_refuse(c, ERR_PEER, "the relay has no key file: it wants a key by RSA");
    if (str_u64(l->e, UINT32_MAX, &e) < 0 || e != TEXTBOOK_E || textbook_number(&n, l->n) < 0 ||
        !textbook_modulus(&n))
        return classic_refuse(c, ERR_PEER, "pubkey: not a key of 1024 bits or more with e 65537");
    snprintf(c->group, sizeof c->group, "textbook RSA-%zu", 8 * n.n);
    classic_step(c, RSA_PUBKEY, false, bytes, c->group);
    return say_key(c, &n);
}

int classic_take_key(struct classic *c, const struct classic_line *l, size_t bytes)
{
    struct textbook_open block;
    struct aes_key k;
    int ret = -1;

    if (c->role != ROLE_RELAY || c->file || !c->hello || c->done)
        return classic_refuse(c, ERR_PEER, "key when it was not due");
    if (textbook_number(&block, l->chunk) < 0 ||
        textbook_lower(c->ready->textbook, &c->ready->rng, &block, &k) < 0)
        return classic_refuse(c, ERR_PEER, "key: not a number below n");
    if (classic_keys(c, &k) == 0) {
        classic_step(c, RSA_KEY, false, bytes, "16 bytes from somebody");
        ret = say_ok(c);
    }
    wipe(&k, sizeof k);
    return ret;
}

/* --- 4. ok --- */

int classic_take_ok(struct classic *c, const struct classic_line *l, size_t bytes)
{
    (void)l;
    if (c->role != ROLE_CLIENT || c->done)
        return classic_refuse(c, ERR_PEER, "ok when it was not due");
    if (!c->file && !c->said)
        return classic_refuse(c, ERR_PEER, "the relay wants the key of a file: --key-file");
    settle(c);
    classic_step(c, c->file ? (unsigned)FILE_KEY : (unsigned)RSA_OK, false, bytes, c->group);
    return 0;
}
