#include "server/core/operator.h"

#include <string.h>

#include "server/core/ledger.h"

enum { OP_TEXT = 2 * HASH_LEN + 1 };

static int op_audit(const struct store *s, const char *event, const char *account,
                    const char *reason, int64_t now, struct err *e)
{
    struct store_audit row = {.event = str_of(event),
                              .account = str_of(account),
                              .reason = str_of(reason),
                              .address = str_of("operator"),
                              .time = now,
                              .count = 1};
    struct ledger l = {.store = s};

    return ledger_add(&l, &row, e);
}

static int op_user(struct store *s, const char *name, struct store_user *out, struct err *e)
{
    char key[NAME_KEY_MAX];

    if (name_canonical(key, str_of(name)) < 0)
        return err_set(e, ERR_INPUT, "%s: this is no name", name);
    int found = s->ops->user_find(s->db, key, out, e);
    if (found == 0)
        return err_set(e, ERR_INPUT,
                       "%s: there is no such account; countersignd user list shows them", name);
    return found < 0 ? -1 : 0;
}

/* One transaction around what `rc` says of the rest. */
static int op_end(struct store *s, int rc, struct err *e)
{
    if (rc == 0)
        return s->ops->commit(s->db, e);
    s->ops->rollback(s->db);
    return -1;
}

static int invite_write(struct store *s, const struct operator_invite *ask,
                        const uint8_t token[TOKEN_LEN], int64_t now, struct err *e)
{
    struct store_user u = {0};
    struct store_invite v = {.bound = ask->for_name != NULL,
                             .keep = ask->keep,
                             .admin = ask->admin,
                             .made = now,
                             .expires = now + (ask->life > 0 ? ask->life : INVITE_LIFE_MS)};

    if (v.bound && op_user(s, ask->for_name, &u, e) < 0)
        return -1;
    v.account = u.id;
    sha256(span_of(token, TOKEN_LEN), &v.token);
    if (s->ops->invite_put(s->db, &v, e) < 0)
        return -1;
    return op_audit(s, "invite-made", u.name, v.bound ? "further-device" : "new-account", now, e);
}

int operator_invite(struct store *s, const struct operator_invite *ask, const struct rng *r,
                    int64_t now, uint8_t token[TOKEN_LEN], struct err *e)
{
    if (rng_fill(r, token, TOKEN_LEN) < 0)
        return err_set(e, ERR_OS, "no randomness");
    if (s->ops->begin(s->db, e) < 0)
        return -1;
    return op_end(s, invite_write(s, ask, token, now, e), e);
}

struct drop_of {
    const struct account_id *account;
    struct hash fp[DEVICES_MAX];
    size_t n;
};

static int drop_note(void *ctx, const struct store_device *row)
{
    struct drop_of *d = ctx;

    bool his = account_id_same(&row->account, d->account);
    if (his && row->revoked == 0 && d->n < COUNT(d->fp)) /* a revoked one has none any more */
        d->fp[d->n++] = row->fp;
    return 0;
}

/* A disabled account's tokens are gone for good, also when it is enabled again. */
static int sessions_drop(struct store *s, const struct account_id *account, struct err *e)
{
    struct drop_of d = {.account = account};
    int rc = s->ops->device_each(s->db, drop_note, &d, e);

    for (size_t i = 0; i < d.n && rc == 0; i++)
        rc = s->ops->session_drop(s->db, &d.fp[i], e);
    return rc;
}

static int disable_write(struct store *s, const char *name, bool disabled, int64_t now,
                         struct err *e)
{
    struct store_user u;

    if (op_user(s, name, &u, e) < 0)
        return -1;
    u.disabled = disabled;
    if (s->ops->user_put(s->db, &u, e) < 0 || (disabled && sessions_drop(s, &u.id, e) < 0))
        return -1;
    return op_audit(s, disabled ? "disabled" : "enabled", u.name, "", now, e);
}

int operator_disable(struct store *s, const char *name, bool disabled, int64_t now, struct err *e)
{
    if (s->ops->begin(s->db, e) < 0)
        return -1;
    return op_end(s, disable_write(s, name, disabled, now, e), e);
}

static int revoke_write(struct store *s, const struct hash *fp, int64_t now, struct err *e)
{
    struct store_chain chain;
    int found = s->ops->device_chain(s->db, fp, &chain, e);
    char hex[OP_TEXT];

    if (found == 0)
        return err_set(e, ERR_INPUT, "there is no device with this fingerprint");
    if (found < 0 || s->ops->device_revoke(s->db, fp, now, e) < 0 ||
        s->ops->session_drop(s->db, fp, e) < 0)
        return -1;
    hex_put(hex, span_of(fp->b, sizeof fp->b));
    return op_audit(s, "revoked", "", hex, now, e);
}

int operator_revoke(struct store *s, const struct hash *fp, int64_t now, struct err *e)
{
    if (s->ops->begin(s->db, e) < 0)
        return -1;
    return op_end(s, revoke_write(s, fp, now, e), e);
}
