/* The transcript, the contexts made of it, and the keys under which later steps are sealed. */
#include <stdio.h>
#include <string.h>

#include "common/crypto/cbc.h"
#include "common/link/drive_priv.h"

static const char *const whos[] = {
    [DRIVE_CLIENT] = "client", [DRIVE_RELAY] = "relay", [DRIVE_BOTH] = "both"};

static void run_frame(struct hash_run *run, uint8_t type, struct span content)
{
    uint8_t head[DRIVE_HEAD];
    struct wr w = wr_of(head, sizeof head);

    wr_u8(&w, type);
    wr_u32(&w, (uint32_t)content.n);
    hash_run_add(run, wr_span(&w));
    hash_run_add(run, content);
}

void drive_transcribe(struct drive *d, uint8_t type, struct span content)
{
    run_frame(&d->shake->run, type, content);
}

void drive_hash(const struct drive *d, const struct span *so_far, struct hash *out)
{
    const struct drive_shake *s = d->shake;
    struct hash_run run = s->run;

    if (so_far != NULL)
        run_frame(&run, (uint8_t)(s->order[s->at] + 1), *so_far);
    hash_run_look(&run, out);
}

struct span drive_before(const struct drive *d, const struct rd *in)
{
    return span_of(d->shake->content, (size_t)(in->at - d->shake->content));
}

int drive_context(const struct drive *d, struct drive_label l,
                  uint8_t out[CONTEXT_MAX + sizeof(struct hash)], size_t *n)
{
    char text[CONTEXT_MAX];
    int len = snprintf(text, sizeof text, "countersign|%s|%s|%s", d->link->drive->version,
                       whos[l.who], l.what);

    if (len < 0 || (size_t)len >= sizeof text)
        return -1;
    *n = (size_t)len + 1; /* the NUL ends it: no context is the beginning of another */
    memcpy(out, text, *n);
    memcpy(out + *n, l.t->b, sizeof l.t->b);
    *n += sizeof l.t->b;
    return 0;
}

int drive_extract(struct drive *d, const struct hash *t, struct span secret, struct key *out)
{
    if (hkdf_extract(HASH_SHA256, span_of(t->b, sizeof t->b), secret, out->b) < 0)
        return drive_fail(d, ERR_LOCAL, "no key could be made");
    return 0;
}

int drive_expand(struct drive *d, const struct key *from, struct drive_label l, uint8_t *out,
                 size_t n)
{
    uint8_t info[CONTEXT_MAX + sizeof(struct hash)];
    size_t len;

    if (drive_context(d, l, info, &len) < 0 ||
        hkdf_expand(HASH_SHA256, span_of(from->b, sizeof from->b), span_of(info, len), out, n) < 0)
        return drive_fail(d, ERR_LOCAL, "no key could be made");
    return 0;
}

int drive_keys(struct drive *d, enum aead_kind aead, const struct key *from, const struct hash *t)
{
    struct drive_shake *s = d->shake;
    struct drive_side next[2] = {0};
    char what[2][32];
    int ret = -1;

    snprintf(what[0], sizeof what[0], "key %u", s->stage + 1);
    snprintf(what[1], sizeof what[1], "iv %u", s->stage + 1);
    for (enum role r = ROLE_CLIENT; r <= ROLE_RELAY; r++) {
        enum drive_who who = r == ROLE_CLIENT ? DRIVE_CLIENT : DRIVE_RELAY;
        struct drive_label key = {who, what[0], t}, iv = {who, what[1], t};

        if (drive_expand(d, from, key, next[r].key.b, sizeof next[r].key.b) < 0 ||
            drive_expand(d, from, iv, next[r].iv, sizeof next[r].iv) < 0)
            goto out;
    }
    s->aead = aead;
    memcpy(s->sides, next, sizeof next);
    s->stage++;
    ret = 0;
out:
    wipe(next, sizeof next);
    return ret;
}

/* A nonce is the frame's number under this key: a handshake has few frames. */
static void nonce_make(struct drive_side *s, uint8_t nonce[AEAD_IV_LEN])
{
    aead_nonce(nonce, s->iv, s->seq++);
}

static bool clear(const struct drive *d)
{
    return drive_due(d)->stage == 0;
}

size_t drive_sealed(const struct drive *d, size_t n)
{
    if (clear(d))
        return n;
    return d->link->drive->cbc ? cbc_len(n) : n + AEAD_TAG_LEN;
}

size_t drive_lead(const struct drive *d)
{
    return !clear(d) && d->link->drive->cbc ? CBC_IV : 0;
}

int drive_seal(struct drive *d, struct span head, uint8_t *payload, size_t n)
{
    struct drive_side *s = &d->shake->sides[d->role];
    uint8_t nonce[AEAD_IV_LEN];

    if (clear(d))
        return 0;
    if (d->link->drive->cbc)
        return cbc_seal(&s->key, s->seq++, head, payload, n);
    nonce_make(s, nonce);
    return aead_seal(d->shake->aead, &s->key, nonce, head, span_of(payload, n), payload);
}

int drive_unseal(struct drive *d, struct span head, uint8_t *payload, size_t n, struct span *plain)
{
    struct drive_side *s = &d->shake->sides[drive_other(d->role)];
    struct span sealed = span_of(payload, n);
    uint8_t nonce[AEAD_IV_LEN];

    *plain = span_of(payload + drive_lead(d), n);
    if (clear(d))
        return 0;
    if (d->link->drive->cbc)
        return cbc_open(&s->key, s->seq++, head, sealed, payload + CBC_IV, &plain->n);
    plain->n = n - AEAD_TAG_LEN;
    nonce_make(s, nonce);
    return aead_open(d->shake->aead, &s->key, nonce, head, sealed, payload);
}
