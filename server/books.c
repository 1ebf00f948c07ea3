#include "server/books.h"

#include <string.h>

#include "certs/file.h"
#include "server/identity.h"
#include "server/store_sqlite.h"

static void *db_open(const struct conf *c, enum store_open how, struct err *e)
{
    char path[CONF_PATH];

    return conf_path(c, FILE_DB, path, e) < 0 ? NULL : store_sqlite_open(path, how, e);
}

static int seal_create(const struct conf *c, struct err *e)
{
    char path[CONF_PATH];
    struct rng rng = rng_system();
    struct key k;
    int ret;

    if (conf_path(c, FILE_SEAL, path, e) < 0)
        return -1;
    if (rng_fill(&rng, k.b, sizeof k.b) < 0)
        return err_set(e, ERR_LOCAL, "no randomness");
    ret = file_create(path, FILE_SECRET, span_of(k.b, sizeof k.b), e);
    key_wipe(&k);
    return ret;
}

int books_create(const struct conf *c, struct err *e)
{
    void *db = seal_create(c, e) < 0 ? NULL : db_open(c, STORE_CREATE, e);

    if (db == NULL)
        return -1;
    store_sqlite.close(db);
    return 0;
}

int books_open(const struct conf *c, enum store_open how, struct store *out, struct err *e)
{
    out->ops = &store_sqlite;
    out->db = db_open(c, how, e);
    return out->db == NULL ? -1 : 0;
}

int books_check(const struct conf *c, struct err *e)
{
    void *db = db_open(c, STORE_CHECK, e);

    if (db == NULL)
        return -1;
    store_sqlite.close(db);
    return 0;
}

int books_seal(const struct conf *c, struct key *out, struct err *e)
{
    char path[CONF_PATH];
    struct buf b;
    int ret = -1;

    buf_init(&b, sizeof out->b + 1);
    if (conf_path(c, FILE_SEAL, path, e) < 0 || file_read(path, FILE_SECRET, &b, e) < 0)
        goto out;
    struct span s = buf_span(&b);
    if (s.n != sizeof out->b) {
        err_set(e, ERR_DATA, "%s is not a key of %zu bytes", FILE_SEAL, sizeof out->b);
        goto out;
    }
    memcpy(out->b, s.p, sizeof out->b);
    ret = 0;
out:
    buf_free(&b);
    return ret;
}
