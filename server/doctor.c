/* `countersignd doctor`: one line each, ok, warn or fail, with one next step. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "certs/file.h"
#include "common/util/text.h"
#include "common/util/time.h"
#include "server/books.h"
#include "server/command.h"
#include "server/door.h"
#include "server/identity.h"
#include "server/log.h"

enum { SPACE_WARN = 1024, SPACE_FAIL = 64 }; /* MiB */

enum grade { OK, WARN, FAIL };

struct finding {
    enum grade grade;
    char text[320]; /* what is so, and after it the next step */
};

static void find(struct finding *f, enum grade g, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void find(struct finding *f, enum grade g, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    text_vformat(f->text, sizeof f->text, fmt, ap);
    va_end(ap);
    f->grade = g;
}

/* A relay that runs holds the lock. */
static bool running(const struct conf *c)
{
    char path[CONF_PATH];
    struct err e = {0};

    if (conf_path(c, FILE_LOCK, path, &e) < 0 || !file_exists(path))
        return false;
    int fd = file_lock(path, 0, &e);
    if (fd >= 0)
        file_unlock(fd);
    return fd < 0 && e.code == ERR_AGAIN;
}

static void check_port(const struct conf *c, struct finding *f)
{
    struct err e = {0};
    bool ours = running(c);
    int fd = door_bind(c->listen, &e);

    if (fd >= 0)
        close(fd);
    if (fd >= 0 && ours)
        find(f, OK, "a relay runs here, on another port than %s", c->listen);
    else if (fd >= 0)
        find(f, OK, "%s is free; no relay runs here: countersignd run", c->listen);
    else if (ours)
        find(f, OK, "%s is ours: the relay runs", c->listen);
    else
        find(f, FAIL, "%s; stop the other program or set listen", e.text);
}

/* Our own leaf was made on this machine: a clock before it has gone back. */
static void check_clock(const struct conf *c, struct finding *f)
{
    struct err e = {0};
    struct cert_info i;
    int64_t now = clock_now(NULL);

    if (identity_cert(c, LEAF_P256, &i, &e) < 0)
        find(f, FAIL, "cannot be judged: %s", e.text);
    else if (now < i.not_before)
        find(f, FAIL, "the clock is behind our own certificate; set the time");
    else
        find(f, OK, "plausible");
}

static const struct file {
    const char *name;
    mode_t forbidden;
    const char *mode;
    bool optional; /* check_later says what its absence means */
} files[] = {
    {".", 077, "700", false},
    {FILE_LEAF_KEY, 077, "600", false},
    {FILE_RSA_KEY, 077, "600", true},
    {FILE_EVIDENCE_KEY, 077, "600", true},
    {FILE_SELF_KEY, 077, "600", true},
    {FILE_SEAL, 077, "600", false},
    {FILE_DB, 077, "600", false},
    {FILE_CA, 077, "700", false},
    {FILE_CA "/" CA_FILE_KEY, 077, "600", false},
    {FILE_CONF, 022, "644", false},
};

static void check_permissions(const struct conf *c, struct finding *f)
{
    char path[CONF_PATH];
    struct err e = {0};
    struct stat st;

    find(f, OK, "nobody else can read the keys");
    for (size_t i = 0; i < COUNT(files); i++) {
        bool there = conf_path(c, files[i].name, path, &e) == 0 && lstat(path, &st) == 0;

        if (!there && files[i].optional)
            continue;
        if (!there) {
            find(f, FAIL, "%s: %s; restore it from a backup", files[i].name, strerror(errno));
            return;
        }
        if (st.st_mode & files[i].forbidden) {
            find(f, FAIL, "others may use %s; chmod %s %s", files[i].name, files[i].mode, path);
            return;
        }
    }
}

static void check_root_key(const struct conf *c, struct finding *f)
{
    char path[CONF_PATH];
    struct err e = {0};

    if (conf_path(c, FILE_CA "/root.key", path, &e) == 0 && file_exists(path))
        find(f, WARN, "ca/root.key lies on this machine; move it to a safe place");
    else
        find(f, OK, "the root's key is elsewhere");
}

static void days_left(struct finding *f, const char *what, int64_t until, int64_t warn,
                      const char *next)
{
    int64_t days = (until - clock_now(NULL)) / DAY_MS;

    if (until <= clock_now(NULL))
        find(f, FAIL, "%s has expired; %s", what, next);
    else
        find(f, days < warn ? WARN : OK, "%s: %" PRId64 " days left%s%s", what, days,
             days < warn ? "; " : "", days < warn ? next : "");
}

static void check_leaf(const struct conf *c, struct finding *f)
{
    struct err e = {0};
    struct cert_info i;

    if (identity_cert(c, LEAF_P256, &i, &e) < 0)
        find(f, FAIL, "%s; restore it from a backup", e.text);
    else
        days_left(f, FILE_LEAF, i.not_after, LEAF_RENEW_DAYS / 2,
                  "a running relay renews it: countersignd run");
}

/* An older installation has none of them, until a relay runs. */
static void check_later(const struct conf *c, enum leaf leaf, const char *name, struct finding *f)
{
    struct err e = {0};
    struct cert_info i;

    if (identity_lacks(c, leaf))
        find(f, WARN, "%s is not there yet; a relay that starts makes it: countersignd run", name);
    else if (identity_cert(c, leaf, &i, &e) < 0)
        find(f, FAIL, "%s; restore it from a backup", e.text);
    else
        days_left(f, name, i.not_after, LEAF_RENEW_DAYS / 2,
                  "a running relay renews it: countersignd run");
}

static void check_rsa(const struct conf *c, struct finding *f)
{
    check_later(c, LEAF_RSA, FILE_RSA, f);
}

/* Who pinned it knows no other: it is replaced by its owner, who tells them. */
static void check_self(const struct conf *c, struct finding *f)
{
    struct err e = {0};
    struct cert_info i;

    if (!identity_wants(c, LEAF_SELF))
        find(f, OK, "not shown: ecdhe_leaf is not self");
    else if (identity_lacks(c, LEAF_SELF))
        check_later(c, LEAF_SELF, FILE_SELF, f);
    else if (identity_cert(c, LEAF_SELF, &i, &e) < 0)
        find(f, FAIL, "%s; restore it from a backup", e.text);
    else
        days_left(f, FILE_SELF, i.not_after, 365,
                  "remove it and its key, restart, and tell the new SHA-256 to who pinned it");
}

static void check_evidence(const struct conf *c, struct finding *f)
{
    check_later(c, LEAF_EVIDENCE, FILE_EVIDENCE, f);
}

static void check_ca(const struct conf *c, struct finding *f)
{
    struct err e = {0};
    struct cert_info i;
    struct ca *ca = identity_ca(c, &e);
    struct cert *cert = ca == NULL ? NULL : cert_parse(ca_intermediate(ca), NULL, &e);

    if (cert == NULL) {
        find(f, FAIL, "%s", e.text);
    } else {
        cert_info(cert, &i);
        days_left(f, "intermediate", i.not_after, 365, "make a new one with the root's key");
    }
    cert_free(cert);
    ca_free(ca);
}

static void check_crl(const struct conf *c, struct finding *f)
{
    struct err e = {0};
    struct crl_info i;
    struct ca *ca = identity_ca(c, &e);
    struct crl *crl = NULL;
    struct buf der;

    buf_init(&der, CRL_MAX);
    if (ca != NULL && ca_crl_read(ca, &der, &e) == 0)
        crl = crl_parse(buf_span(&der), &e);
    if (crl == NULL) {
        find(f, FAIL, "%s", e.text);
    } else {
        crl_info(crl, &i);
        days_left(f, "revocation list", i.next_update, CRL_RENEW_DAYS / 2,
                  "a running relay renews it: countersignd run");
    }
    crl_free(crl);
    buf_free(&der);
    ca_free(ca);
}

static void check_database(const struct conf *c, struct finding *f)
{
    struct err e = {0};

    if (books_check(c, &e) < 0)
        find(f, FAIL, "%s; restore it from a backup", e.text);
    else
        find(f, OK, "whole, and of this version");
}

static void check_disk(const struct conf *c, struct finding *f)
{
    struct statvfs v;

    if (statvfs(c->dir, &v) != 0) {
        find(f, FAIL, "%s: %s", c->dir, strerror(errno));
        return;
    }
    uint64_t mib = (uint64_t)v.f_bavail * v.f_frsize / (1024 * 1024);
    enum grade g = mib < SPACE_FAIL ? FAIL : mib < SPACE_WARN ? WARN : OK;
    find(f, g, "%" PRIu64 " MiB free%s", mib, g == OK ? "" : "; make room");
}

static const struct check {
    const char *name;
    void (*look)(const struct conf *c, struct finding *f);
} checks[] = {
    {"port", check_port},         {"clock", check_clock},       {"permissions", check_permissions},
    {"certificate", check_leaf},  {"rsa leaf", check_rsa},      {"self leaf", check_self},
    {"evidence", check_evidence}, {"authority", check_ca},      {"revocation", check_crl},
    {"root key", check_root_key}, {"database", check_database}, {"disk", check_disk},
};

int command_doctor(struct call *call, struct err *e)
{
    static const char *const grades[] = {[OK] = "ok", [WARN] = "warn", [FAIL] = "fail"};
    bool failed = false;

    for (size_t i = 0; i < COUNT(checks); i++) {
        struct finding f = {OK, ""};

        checks[i].look(&call->conf, &f);
        printf("%-4s  %-12s %s\n", grades[f.grade], checks[i].name, f.text);
        failed = failed || f.grade == FAIL;
    }
    return failed ? err_set(e, ERR_CONFIG, "something needs attention") : 0;
}
