#include "client/profile.h"

#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "certs/file.h"
#include "common/crypto/keybox.h"
#include "common/crypto/x509.h"

#define ACCOUNT_MAGIC "countersign-account-1"

enum { ACCOUNT_FILE_MAX = 4096 };

/* The account file is lines of "name = value"; all of them, in this order, but for the last two. A
 * file without link is of an account that joined by tls, when there was no other; one without pin
 * of an account that takes whichever certificate is in order. */
enum field_kind { FIELD_TEXT, FIELD_PORT, FIELD_U32, FIELD_HASH, FIELD_LINK, FIELD_PIN };

static const struct field {
    const char *name;
    enum field_kind kind;
    size_t at, cap;
} fields[] = {
#define TEXT(f)   FIELD_TEXT, offsetof(struct profile, f), sizeof(((struct profile *)0)->f)
#define NUM(k, f) k, offsetof(struct profile, f), 0
    {"host", TEXT(host)},
    {"port", NUM(FIELD_PORT, port)},
    {"relay", TEXT(relay)},
    {"account", TEXT(account)},
    {"device", TEXT(device)},
    {"argon2id-t", NUM(FIELD_U32, cost.t)},
    {"argon2id-m", NUM(FIELD_U32, cost.m_kib)},
    {"root", NUM(FIELD_HASH, root_fp)},
    {"link", NUM(FIELD_LINK, link)},
    {"pin", NUM(FIELD_PIN, pin)},
#undef TEXT
#undef NUM
};

static bool name_ok(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

    return n > 0 && n <= PROFILE_NAME_MAX && s[n] == '\0' && s[0] != '.' && s[0] != '-';
}

/* $XDG_DATA_HOME when it is absolute, else ~/.local/share; $HOME before the password file. */
static int data_home(char *out, size_t cap, struct err *e)
{
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int n;

    if (xdg != NULL && xdg[0] == '/') {
        n = snprintf(out, cap, "%s", xdg);
    } else {
        const struct passwd *pw = home == NULL || home[0] != '/' ? getpwuid(getuid()) : NULL;
        if (pw != NULL)
            home = pw->pw_dir;
        if (home == NULL || home[0] != '/')
            return err_set(e, ERR_CONFIG, "no home directory: set HOME");
        n = snprintf(out, cap, "%s/.local/share", home);
    }
    return n > 0 && (size_t)n < cap ? 0 : err_set(e, ERR_CONFIG, "the path to home is too long");
}

int profile_where(struct profile *p, const char *name, struct err *e)
{
    char home[PROFILE_PATH_MAX];

    memset(p, 0, sizeof *p);
    if (name == NULL)
        name = "default";
    if (!name_ok(name))
        return err_set(e, ERR_USAGE,
                       "a profile's name is up to %d letters, digits, '-', '_' and '.'",
                       PROFILE_NAME_MAX);
    snprintf(p->name, sizeof p->name, "%s", name);
    if (data_home(home, sizeof home, e) < 0)
        return -1;
    int n = snprintf(p->dir, sizeof p->dir, "%s/countersign/%s", home, name);
    if (n < 0 || (size_t)n >= sizeof p->dir)
        return err_set(e, ERR_CONFIG, "the path to the profile is too long");
    return 0;
}

int profile_path(const struct profile *p, const char *file, char out[PROFILE_PATH_MAX],
                 struct err *e)
{
    return path_join(out, PROFILE_PATH_MAX, p->dir, file, e);
}

static bool has_file(const struct profile *p, const char *file)
{
    char path[PROFILE_PATH_MAX];
    struct err e = {0};

    return profile_path(p, file, path, &e) == 0 && file_exists(path);
}

bool profile_exists(const struct profile *p)
{
    return has_file(p, "account");
}

bool profile_begun(const struct profile *p)
{
    return has_file(p, "key") && !has_file(p, "account");
}

void profile_forget(const struct profile *p)
{
    char path[PROFILE_PATH_MAX];
    struct err e = {0};

    if (profile_begun(p) && profile_path(p, "key", path, &e) == 0)
        unlink(path);
}

static int field_take(struct profile *p, const struct field *f, struct str v)
{
    char *at = (char *)p + f->at;
    uint64_t n = 0;

    switch (f->kind) {
    case FIELD_TEXT: return v.n == 0 ? -1 : str_copy(at, f->cap, v);
    case FIELD_PORT:
        if (str_u64(v, UINT16_MAX, &n) < 0 || n == 0)
            return -1;
        p->port = (uint16_t)n;
        return 0;
    case FIELD_U32: {
        if (str_u64(v, UINT32_MAX, &n) < 0)
            return -1;
        uint32_t u = (uint32_t)n;
        memcpy(at, &u, sizeof u);
        return 0;
    }
    case FIELD_HASH: return hex_take((uint8_t *)at, HASH_LEN, v);
    case FIELD_LINK: return link_kind_take(v, &p->link);
    case FIELD_PIN: p->pinned = true; return hex_take(p->pin.b, sizeof p->pin.b, v);
    }
    return -1;
}

static int account_take(struct profile *p, struct span file, struct err *e)
{
    struct str rest = str_from(file.p, file.n);

    if (!str_is(str_cut(&rest, '\n'), ACCOUNT_MAGIC))
        return err_set(e, ERR_CONFIG, "%s/account is not an account file", p->dir);
    p->link = LINK_TLS;
    for (size_t i = 0; i < COUNT(fields); i++) {
        if (fields[i].kind >= FIELD_LINK && rest.n == 0)
            return 0;
        struct str line = str_cut(&rest, '\n');
        size_t n = strlen(fields[i].name);
        if (line.n < n + 3 || memcmp(line.p, fields[i].name, n) != 0 ||
            memcmp(line.p + n, " = ", 3) != 0 ||
            field_take(p, fields + i, str_from(line.p + n + 3, line.n - n - 3)) < 0)
            return err_set(e, ERR_CONFIG, "%s/account: the line \"%s\" is missing or wrong", p->dir,
                           fields[i].name);
    }
    return 0;
}

static int read_file(const struct profile *p, const char *file, uint8_t *out, size_t cap, size_t *n,
                     struct err *e)
{
    char path[PROFILE_PATH_MAX];
    struct buf b;
    int ret = -1;

    buf_init(&b, cap);
    if (profile_path(p, file, path, e) == 0 && file_read(path, FILE_SECRET, &b, e) == 0) {
        *n = b.len;
        if (b.len > 0)
            memcpy(out, buf_span(&b).p, b.len);
        ret = 0;
    }
    buf_free(&b);
    return ret;
}

/* The files were written by us, but a disk may be damaged or edited: they must still agree. */
static int certs_agree(struct profile *p, struct err *e)
{
    struct hash root;
    struct cert *leaf = cert_parse(span_of(p->leaf, p->leaf_n), NULL, e);
    struct cert_info info;

    if (leaf == NULL)
        return err_in(e, "%s/leaf.der", p->dir);
    cert_info(leaf, &info);
    cert_free(leaf);
    cert_fingerprint(span_of(p->root, p->root_n), &root);
    cert_fingerprint(span_of(p->leaf, p->leaf_n), &p->fp);
    if (!hash_same(&root, &p->root_fp))
        return err_set(e, ERR_CONFIG, "%s/root.der is not the certificate pinned at joining",
                       p->dir);
    if (strcmp(info.cn, p->account) != 0 || strcmp(info.ou, p->device) != 0)
        return err_set(e, ERR_CONFIG, "%s/leaf.der is not the certificate of %s/%s", p->dir,
                       p->account, p->device);
    return 0;
}

int profile_load(struct profile *p, const char *name, struct err *e)
{
    uint8_t account[ACCOUNT_FILE_MAX];
    size_t n = 0;

    if (profile_where(p, name, e) < 0)
        return -1;
    if (!profile_exists(p))
        return err_set(e, ERR_CONFIG, "no account here yet; run: countersign%s%s join",
                       name == NULL ? "" : " --profile ", name == NULL ? "" : name);
    if (read_file(p, "account", account, sizeof account, &n, e) < 0 ||
        account_take(p, span_of(account, n), e) < 0 ||
        read_file(p, "root.der", p->root, sizeof p->root, &p->root_n, e) < 0 ||
        read_file(p, "leaf.der", p->leaf, sizeof p->leaf, &p->leaf_n, e) < 0 ||
        read_file(p, "issuer.der", p->issuer, sizeof p->issuer, &p->issuer_n, e) < 0)
        return -1;
    return certs_agree(p, e);
}

int profile_route(struct profile *p, const enum link_kind *link, const struct hash *pin,
                  struct err *e)
{
    if (link != NULL)
        p->link = *link;
    if (pin == NULL)
        return 0;
    if (p->link != LINK_ECDHE)
        return err_set(e, ERR_USAGE,
                       "--pin belongs to --link ecdhe: over %s the relay's CA is "
                       "believed",
                       link_kind_name(p->link));
    p->pinned = true;
    p->pin = *pin;
    return 0;
}

const struct hash *profile_pin(const struct profile *p)
{
    return p->link == LINK_ECDHE && p->pinned ? &p->pin : NULL;
}

/* What the key file seals: store key, then 1 with salt and SaltedPassword, then the private key's
 * DER. The files of older versions have no login: their DER begins where the 1 would stand. */
enum { SECRET_LOGIN = 1, SECRET_DER = 0x30 };

static int secret_take(const struct profile *p, struct span secret, const struct rng *rng,
                       struct profile_keys *out, struct err *e)
{
    struct rd in = rd_of(secret);
    const uint8_t *store = rd_take(&in, sizeof out->store.b), *salt = NULL, *salted = NULL;
    struct rd der = in;
    uint8_t first = rd_u8(&in);

    out->has_login = first == SECRET_LOGIN;
    if (out->has_login) {
        salt = rd_take(&in, sizeof out->login.salt);
        salted = rd_take(&in, sizeof out->login.salted.b);
        der = in;
    }
    if (store == NULL || (out->has_login ? salted == NULL : first != SECRET_DER))
        return err_set(e, ERR_DATA, "%s/key is damaged", p->dir);
    memcpy(out->store.b, store, sizeof out->store.b);
    if (out->has_login) {
        memcpy(out->login.salt, salt, sizeof out->login.salt);
        memcpy(out->login.salted.b, salted, sizeof out->login.salted.b);
    }
    out->key = pkey_parse(rd_rest(&der), rng, e);
    return out->key == NULL ? -1 : 0;
}

int profile_unlock(const struct profile *p, struct str password, const struct rng *rng,
                   struct profile_keys *out, struct err *e)
{
    uint8_t file[KEYBOX_SECRET_MAX + KEYBOX_OVERHEAD], secret[KEYBOX_SECRET_MAX];
    size_t n = 0, secret_n = 0;

    *out = (struct profile_keys){0};
    if (read_file(p, "key", file, sizeof file, &n, e) < 0)
        return -1;
    int ret = keybox_open(span_of(file, n), password, secret, &secret_n, e) < 0
                  ? -1
                  : secret_take(p, span_of(secret, secret_n), rng, out, e);
    wipe(secret, sizeof secret);
    if (ret < 0)
        profile_keys_wipe(out);
    return ret;
}

void profile_keys_wipe(struct profile_keys *k)
{
    pkey_free(k->key);
    wipe(k, sizeof *k);
}

int profile_save_keys(const struct profile *p, const struct profile_keys *keys, struct str password,
                      bool again, const struct rng *rng, struct err *e)
{
    int (*const write)(const char *, enum file_kind, struct span, struct err *) =
        again ? file_replace : file_create;
    uint8_t secret[KEYBOX_SECRET_MAX], der[PKEY_DER_MAX];
    uint8_t file[sizeof secret + KEYBOX_OVERHEAD];
    char path[PROFILE_PATH_MAX];
    struct wr w = wr_of(secret, sizeof secret);
    size_t n = 0;
    int ret = -1;

    if (dir_make(p->dir, e) == 0 && profile_path(p, "key", path, e) == 0 &&
        pkey_der(keys->key, der, &n, e) == 0) {
        wr_put(&w, keys->store.b, sizeof keys->store.b);
        wr_u8(&w, SECRET_LOGIN);
        wr_put(&w, keys->login.salt, sizeof keys->login.salt);
        wr_put(&w, keys->login.salted.b, sizeof keys->login.salted.b);
        wr_put(&w, der, n);
        n = wr_span(&w).n;
        ret = keybox_seal(wr_span(&w), password, p->cost, rng, file, e) < 0
                  ? -1
                  : write(path, FILE_SECRET, span_of(file, n + KEYBOX_OVERHEAD), e);
    }
    wipe(der, sizeof der);
    wipe(secret, sizeof secret);
    return ret;
}

static int write_file(const struct profile *p, const char *file, struct span data, struct err *e)
{
    char path[PROFILE_PATH_MAX];

    return profile_path(p, file, path, e) < 0 ? -1 : file_replace(path, FILE_SECRET, data, e);
}

static int account_put(const struct profile *p, char *out, size_t cap)
{
    char root[2 * HASH_LEN + 1], pin[2 * HASH_LEN + 1] = "";

    hex_put(root, span_of(p->root_fp.b, sizeof p->root_fp.b));
    if (p->pinned)
        hex_put(pin, span_of(p->pin.b, sizeof p->pin.b));
    int n =
        snprintf(out, cap,
                 ACCOUNT_MAGIC "\nhost = %s\nport = %u\nrelay = %s\naccount = %s\n"
                               "device = %s\nargon2id-t = %u\nargon2id-m = %u\nroot = %s\n"
                               "link = %s\n%s%s%s",
                 p->host, p->port, p->relay, p->account, p->device, p->cost.t, p->cost.m_kib, root,
                 link_kind_name(p->link), p->pinned ? "pin = " : "", pin, p->pinned ? "\n" : "");
    return n > 0 && (size_t)n < cap ? n : -1;
}

int profile_save(const struct profile *p, struct err *e)
{
    char account[ACCOUNT_FILE_MAX];
    int n = account_put(p, account, sizeof account);

    if (n < 0)
        return err_set(e, ERR_LOCAL, "the account does not fit its file");
    if (write_file(p, "root.der", span_of(p->root, p->root_n), e) < 0 ||
        write_file(p, "leaf.der", span_of(p->leaf, p->leaf_n), e) < 0 ||
        write_file(p, "issuer.der", span_of(p->issuer, p->issuer_n), e) < 0)
        return -1;
    return write_file(p, "account", span_of(account, (size_t)n), e);
}
