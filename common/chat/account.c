#include "common/chat/account.h"

#include <stdio.h>
#include <string.h>

#include "common/util/text.h"

void account_salt(uint8_t out[ARGON_SALT_LEN], const struct hash *root, struct str name,
                  const uint8_t salt[SALT_LEN])
{
    static const char label[] = "countersign-salt-1";
    const struct span parts[] = {span_of(label, sizeof label - 1), span_of(root->b, HASH_LEN),
                                 span_of(name.p, name.n), span_of(salt, SALT_LEN)};
    struct hash h;

    sha256_parts(parts, COUNT(parts), &h);
    memcpy(out, h.b, ARGON_SALT_LEN);
}

int account_salted(struct key *out, struct str password, const uint8_t argon_salt[ARGON_SALT_LEN],
                   struct argon_cost cost, struct err *e)
{
    char nfc[PASSWORD_MAX + 1];
    size_t n = 0;
    int ret = -1;

    if (password.n < 1 || password.n > PASSWORD_MAX)
        return err_set(e, ERR_DATA, "a password has 1 to %d bytes", PASSWORD_MAX);
    if (text_nfc(nfc, sizeof nfc, &n, password) < 0)
        (void)err_set(e, ERR_DATA, "the password is not UTF-8, holds a NUL or is too long");
    else
        ret = argon_derive(out, str_from(nfc, n), argon_salt, cost, e);
    wipe(nfc, sizeof nfc);
    return ret;
}

static void hmac_word(struct key *out, const struct key *salted, const char *word)
{
    struct hash h;

    hmac_sha256(span_of(salted->b, sizeof salted->b), span_of(word, strlen(word)), &h);
    memcpy(out->b, h.b, sizeof out->b);
    wipe(&h, sizeof h);
}

static void stored_of(struct key *stored, const struct key *client_key)
{
    struct hash h;

    sha256(span_of(client_key->b, sizeof client_key->b), &h);
    memcpy(stored->b, h.b, sizeof stored->b);
    wipe(&h, sizeof h);
}

void account_record(struct account_record *out, const struct key *salted)
{
    struct key client_key;

    hmac_word(&client_key, salted, "Client Key");
    stored_of(&out->stored, &client_key);
    hmac_word(&out->server, salted, "Server Key");
    key_wipe(&client_key);
}

/* A byte string of AuthMessage in hex, with the bar before it. */
static void add_hex(struct wr *w, const void *p, size_t n)
{
    char hex[2 * HASH_LEN + 1];

    hex_put(hex, span_of(p, n));
    wr_u8(w, '|');
    wr_put(w, hex, 2 * n);
}

size_t account_auth_message(char out[ACCOUNT_AUTH_MAX], const struct account_auth *a)
{
    struct wr w = wr_of(out, ACCOUNT_AUTH_MAX - 1);
    char cost[48];
    int n = snprintf(cost, sizeof cost, "|%u|%u", (unsigned)a->cost.t, (unsigned)a->cost.m_kib);

    wr_put(&w, "countersign-login-1|", 20);
    wr_put(&w, a->link, strlen(a->link));
    add_hex(&w, a->exporter.b, sizeof a->exporter.b);
    add_hex(&w, a->client_cert.b, HASH_LEN);
    add_hex(&w, a->relay_cert.b, HASH_LEN);
    add_hex(&w, a->client_nonce, NONCE_LEN);
    add_hex(&w, a->relay_nonce, NONCE_LEN);
    add_hex(&w, a->salt, SALT_LEN);
    wr_put(&w, cost, (size_t)n);
    out[w.len] = '\0';
    return w.len;
}

/* HMAC of AuthMessage under a key of the record. */
static void sign_auth(struct hash *out, const struct key *k, const struct account_auth *a)
{
    char message[ACCOUNT_AUTH_MAX];
    size_t n = account_auth_message(message, a);

    hmac_sha256(span_of(k->b, sizeof k->b), span_of(message, n), out);
    wipe(message, sizeof message);
}

static void xor_bytes(uint8_t *out, const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = a[i] ^ b[i];
}

void account_client_proof(struct hash *proof, const struct key *salted,
                          const struct account_auth *a)
{
    struct key client_key, stored;
    struct hash signature;

    hmac_word(&client_key, salted, "Client Key");
    stored_of(&stored, &client_key);
    sign_auth(&signature, &stored, a);
    xor_bytes(proof->b, client_key.b, signature.b, HASH_LEN);
    key_wipe(&client_key);
    key_wipe(&stored);
    wipe(&signature, sizeof signature);
}

bool account_client_proved(const struct account_record *rec, const struct account_auth *a,
                           const struct hash *proof)
{
    struct key client_key, stored;
    struct hash signature;

    sign_auth(&signature, &rec->stored, a);
    xor_bytes(client_key.b, proof->b, signature.b, sizeof client_key.b);
    stored_of(&stored, &client_key);
    bool proved = key_same(&stored, &rec->stored);
    key_wipe(&client_key);
    key_wipe(&stored);
    wipe(&signature, sizeof signature);
    return proved;
}

void account_relay_proof(struct hash *proof, const struct account_record *rec,
                         const struct account_auth *a)
{
    sign_auth(proof, &rec->server, a);
}

bool account_relay_proved(const struct key *salted, const struct account_auth *a,
                          const struct hash *proof)
{
    struct account_record rec;
    struct hash want;

    account_record(&rec, salted);
    sign_auth(&want, &rec.server, a);
    bool proved = hash_same(&want, proof);
    wipe(&rec, sizeof rec);
    wipe(&want, sizeof want);
    return proved;
}

void account_session(uint8_t out[SESSION_ID_LEN], const struct key *exporter)
{
    static const char word[] = "countersign-session-1";
    const struct span parts[] = {span_of(word, sizeof word - 1),
                                 span_of(exporter->b, sizeof exporter->b)};
    struct hash h;

    sha256_parts(parts, COUNT(parts), &h);
    memcpy(out, h.b, SESSION_ID_LEN);
}
