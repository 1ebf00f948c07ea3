/* countersign-ca -- the certificate authority on the command line. One table of commands, one of
 * options; what each does stands in ca.c. */
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "certs/ca.h"
#include "certs/index.h"
#include "certs/show.h"
#include "common/crypto/pem.h"
#include "common/util/text.h"

enum { FILE_IN_MAX = 512 * 1024 };

#define DAY_MS ((int64_t)24 * 3600 * 1000)

struct args {
    const char *dir, *root_key, *out, *key, *reason;
    unsigned days, bits;
    bool root;
    char **rest;
    size_t rest_n;
    char dir_default[PATH_MAX];
    struct rng rng;
    int64_t now;
};

/* --- options --- */

enum option_bit {
    OPT_DIR = 1 << 0,
    OPT_ROOT_KEY = 1 << 1,
    OPT_OUT = 1 << 2,
    OPT_DAYS = 1 << 3,
    OPT_BITS = 1 << 4,
    OPT_REASON = 1 << 5,
    OPT_ROOT = 1 << 6,
    OPT_KEY = 1 << 7,
};

static const struct opt {
    enum option_bit bit;
    char letter;
    const char *name, *arg, *help;
} opts[] = {
    {OPT_DIR, 'd', "dir", "DIR", "directory of the CA"},
    {OPT_ROOT_KEY, 'r', "root-key", "FILE", "where the root's private key is, or goes"},
    {OPT_OUT, 'o', "out", "PREFIX", "write PREFIX.crt (and PREFIX.key)"},
    {OPT_DAYS, 't', "days", "N", "days until it expires"},
    {OPT_BITS, 'b', "bits", "N", "RSA key of a device: 2048, 3072 or 4096"},
    {OPT_KEY, 'k', "key", "FILE", "certify this private key instead of a new one"},
    {OPT_REASON, 'R', "reason", "WORD", "why: unspecified, key-compromise, superseded, ..."},
    {OPT_ROOT, 'a', "root", NULL, "the root's list (needs its private key)"},
};

static int number_set(unsigned *out, const char *name, unsigned max, struct err *e)
{
    uint64_t v;

    if (str_u64(str_of(optarg), max, &v) < 0 || v == 0)
        return err_set(e, ERR_USAGE, "--%s %s: a number from 1 to %u is wanted", name, optarg, max);
    *out = (unsigned)v;
    return 0;
}

static int option_set(struct args *a, const struct opt *o, struct err *e)
{
    switch (o->bit) {
    case OPT_DIR: a->dir = optarg; break;
    case OPT_ROOT_KEY: a->root_key = optarg; break;
    case OPT_OUT: a->out = optarg; break;
    case OPT_KEY: a->key = optarg; break;
    case OPT_REASON: a->reason = optarg; break;
    case OPT_ROOT: a->root = true; break;
    case OPT_DAYS: return number_set(&a->days, o->name, CA_DAYS_MAX, e);
    case OPT_BITS: return number_set(&a->bits, o->name, 4096, e);
    }
    return 0;
}

/* --- what the commands share --- */

static int dir_default(struct args *a, struct err *e)
{
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int n;

    if (a->dir != NULL)
        return 0;
    if (geteuid() == 0)
        n = snprintf(a->dir_default, PATH_MAX, "/var/lib/countersignd/ca");
    else if (xdg != NULL && xdg[0] == '/')
        n = snprintf(a->dir_default, PATH_MAX, "%s/countersignd/ca", xdg);
    else if (home != NULL && home[0] == '/')
        n = snprintf(a->dir_default, PATH_MAX, "%s/.local/share/countersignd/ca", home);
    else
        return err_set(e, ERR_CONFIG, "neither HOME nor XDG_DATA_HOME says where: give --dir DIR");
    a->dir = a->dir_default;
    return n < PATH_MAX ? 0 : err_set(e, ERR_CONFIG, "HOME is too long: give --dir DIR");
}

static struct ca *ca_here(const struct args *a, struct err *e)
{
    struct ca *ca = ca_open(a->dir, &a->rng, e);

    if (ca == NULL && e->code == ERR_INPUT)
        err_in(e, "no CA in %s (make one: countersign-ca init --dir DIR NAME)", a->dir);
    return ca;
}

static int name_add(char out[PATH_MAX], const char *prefix, const char *ending, struct err *e)
{
    int n = snprintf(out, PATH_MAX, "%s%s", prefix, ending);
    return n < PATH_MAX ? 0 : err_set(e, ERR_USAGE, "%.80s...: too long a path", prefix);
}

static void tell(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* A line for people; paths may be anybody's. */
static void tell(const char *fmt, ...)
{
    char text[2 * TEXT_FORMAT_MAX];
    va_list ap;

    va_start(ap, fmt);
    text_vformat(text, sizeof text, fmt, ap);
    va_end(ap);
    puts(text);
}

/* Leaf and intermediate, as a peer presents them. */
static int chain_create(const struct ca *ca, const struct ca_cert *c, const char *prefix,
                        struct err *e)
{
    char path[PATH_MAX];
    struct buf text;
    int rc = -1;

    buf_init(&text, 4 * CERT_MAX);
    if (name_add(path, prefix, ".crt", e) == 0 &&
        pem_put(&text, PEM_CERT, span_of(c->der, c->n), e) == 0 &&
        pem_put(&text, PEM_CERT, ca_intermediate(ca), e) == 0)
        rc = file_create(path, FILE_PUBLIC, buf_span(&text), e);
    if (rc == 0)
        tell("wrote %s", path);
    buf_free(&text);
    return rc;
}

/* ROLE NAMES...: what issue and sign are asked to make. */
static const struct role {
    enum cert_role role;
    size_t least, most; /* names */
    const char *names;
    const char *prefix;  /* of the files; NULL: the first name */
    enum pkey_kind kind; /* of the key when nobody says --bits */
} roles[] = {
    {CERT_RELAY, 1, SANS_MAX, "name the hosts it is reached by", "relay", PKEY_P256},
    {CERT_DEVICE, 2, 2, "name the person, then the device", NULL, PKEY_RSA_2048},
    {CERT_EVIDENCE, 1, SANS_MAX, "name the hosts of its relay", "evidence", PKEY_RSA_3072},
};

struct subject {
    const struct role *of;
    char prefix[PATH_MAX];
};

static int subject_take(const struct args *a, size_t at, struct subject *s, struct err *e)
{
    size_t n = a->rest_n - at - 1; /* the table says there is a role */
    const char *role = a->rest[at], *first = n > 0 ? a->rest[at + 1] : "";

    s->of = NULL;
    for (size_t i = 0; i < COUNT(roles); i++)
        if (strcmp(cert_role_name(roles[i].role), role) == 0)
            s->of = &roles[i];
    if (s->of == NULL)
        return err_set(e, ERR_USAGE,
                       "%.40s is no role: relay HOST..., evidence HOST... or device PERSON DEVICE",
                       role);
    if (n < s->of->least || n > s->of->most)
        return err_set(e, ERR_USAGE, "%s: %s", role, s->of->names);
    if (a->out != NULL)
        return name_add(s->prefix, a->out, "", e);
    if (strchr(first, '/') != NULL || first[0] == '.')
        return err_set(e, ERR_USAGE, "%.80s cannot be a file name: give --out PREFIX", first);
    return name_add(s->prefix, s->of->prefix != NULL ? s->of->prefix : first, "", e);
}

static int subject_issue(const struct args *a, size_t at, const struct subject *s, struct ca *ca,
                         struct span spki, struct err *e)
{
    struct ca_cert c;
    const char *const *names = (const char *const *)a->rest + at + 1;
    size_t n = a->rest_n - at - 1;
    int rc;

    if (s->of->role == CERT_RELAY)
        rc = ca_issue_relay(ca, a->now, spki, names, n, a->days, &c, e);
    else if (s->of->role == CERT_EVIDENCE)
        rc = ca_issue_evidence(ca, a->now, spki, names, n, a->days, &c, e);
    else
        rc = ca_issue_device(ca, a->now, spki, str_of(names[0]), str_of(names[1]), a->days, &c, e);
    return rc == 0 ? chain_create(ca, &c, s->prefix, e) : -1;
}

/* --- commands --- */

static int cmd_init(struct args *a, struct err *e)
{
    struct ca_setup setup = {.dir = a->dir,
                             .name = a->rest[0],
                             .root_key = a->root_key,
                             .kind = PKEY_RSA_3072,
                             .rng = a->rng,
                             .now = a->now};
    struct ca *ca;

    if (ca_create(&setup, e) < 0)
        return -1;
    ca = ca_open(a->dir, &a->rng, e);
    if (ca == NULL)
        return -1;
    tell("A new CA is in %s. Its root:", a->dir);
    putchar('\n');
    int rc = show_cert(ca_root(ca), a->now, e);
    if (rc == 0 && a->root_key == NULL) {
        putchar('\n');
        tell("The root's private key is %s/%s: keep it off this machine. Only a new", a->dir,
             CA_FILE_ROOT_KEY);
        tell("intermediate and `crl --root` need it.");
    }
    ca_free(ca);
    return rc;
}

static struct pkey *key_given(const char *path, const struct rng *rng, struct err *e)
{
    struct pkey *k = NULL;
    struct buf file;

    buf_init(&file, 4 * PKEY_DER_MAX);
    if (file_read(path, FILE_SECRET, &file, e) == 0) {
        k = pkey_parse(buf_span(&file), rng, e);
        if (k == NULL)
            err_in(e, "%s", path);
    }
    buf_free(&file);
    return k;
}

static struct pkey *key_new(const struct args *a, enum pkey_kind usual, struct err *e)
{
    static const struct {
        unsigned bits;
        enum pkey_kind kind;
    } kinds[] = {{2048, PKEY_RSA_2048}, {3072, PKEY_RSA_3072}, {4096, PKEY_RSA_4096}};

    if (a->bits == 0)
        return pkey_generate(usual, &a->rng, e);
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (kinds[i].bits == a->bits)
            return pkey_generate(kinds[i].kind, &a->rng, e);
    err_set(e, ERR_USAGE, "--bits %u: 2048, 3072 or 4096", a->bits);
    return NULL;
}

/* The key reaches the disk before the certificate is issued. */
static int issue_with(struct args *a, const struct subject *s, struct ca *ca, struct err *e)
{
    char path[PATH_MAX];
    uint8_t spki[SPKI_MAX];
    size_t n;
    int rc = -1;
    struct pkey *k = a->key != NULL ? key_given(a->key, &a->rng, e) : key_new(a, s->of->kind, e);

    if (k == NULL)
        return -1;
    if (pkey_spki(k, spki, &n, e) < 0 || name_add(path, s->prefix, ".key", e) < 0)
        goto out;
    if (a->key == NULL && ca_key_create(path, k, e) < 0)
        goto out;
    rc = subject_issue(a, 0, s, ca, span_of(spki, n), e);
    if (rc == 0 && a->key == NULL)
        tell("wrote %s", path);
    else if (a->key == NULL)
        unlink(path); /* made for this certificate alone */
out:
    pkey_free(k);
    return rc;
}

static int cmd_issue(struct args *a, struct err *e)
{
    struct subject s;
    struct ca *ca;

    if (subject_take(a, 0, &s, e) < 0)
        return -1;
    ca = ca_here(a, e);
    int rc = ca == NULL ? -1 : issue_with(a, &s, ca, e);
    ca_free(ca);
    return rc;
}

static int csr_load(const char *path, struct csr *out, struct err *e)
{
    struct buf file, der;
    int rc = -1;

    buf_init(&file, FILE_IN_MAX);
    buf_init(&der, CSR_MAX);
    if (file_read(path, FILE_PUBLIC, &file, e) == 0) {
        rc = pem_or_der(buf_span(&file), PEM_CSR, &der, e) == 0 ? csr_parse(buf_span(&der), out, e)
                                                                : -1;
        if (rc < 0)
            err_in(e, "%s", path);
    }
    buf_free(&file);
    buf_free(&der);
    return rc;
}

static int cmd_sign(struct args *a, struct err *e)
{
    struct subject s;
    struct csr csr;
    struct ca *ca;

    if (subject_take(a, 1, &s, e) < 0 || csr_load(a->rest[0], &csr, e) < 0)
        return -1;
    ca = ca_here(a, e);
    int rc = ca == NULL ? -1 : subject_issue(a, 1, &s, ca, span_of(csr.spki, csr.spki_n), e);
    ca_free(ca);
    return rc;
}

/* A certificate is named by its file or by its SHA-256, with or without colons and blanks. */
static int fingerprint_take(const char *arg, struct hash *out, struct err *e)
{
    char hex[2 * HASH_LEN + 1];
    struct buf file, der;
    size_t n = 0;
    int rc = -1;

    for (const char *p = arg; *p != '\0' && n < sizeof hex; p++)
        if (strchr(": ", *p) == NULL)
            hex[n++] = (char)(*p >= 'A' && *p <= 'F' ? *p - 'A' + 'a' : *p);
    if (hex_take(out->b, sizeof out->b, str_from(hex, n)) == 0)
        return 0;
    buf_init(&file, FILE_IN_MAX);
    buf_init(&der, CERT_MAX);
    if (file_read(arg, FILE_PUBLIC, &file, e) == 0 &&
        pem_or_der(buf_span(&file), PEM_CERT, &der, e) == 0) {
        cert_fingerprint(buf_span(&der), out);
        rc = 0;
    }
    buf_free(&file);
    buf_free(&der);
    return rc;
}

static int cmd_revoke(struct args *a, struct err *e)
{
    int why = a->reason == NULL ? REVOKE_UNSPECIFIED : reason_named(str_of(a->reason));
    struct hash fp;
    struct ca *ca;

    if (why < 0)
        return err_set(e, ERR_USAGE,
                       "--reason %.40s: unspecified, key-compromise, ca-compromise, "
                       "affiliation-changed, superseded or cessation",
                       a->reason);
    if (fingerprint_take(a->rest[0], &fp, e) < 0)
        return -1;
    ca = ca_here(a, e);
    int rc = ca == NULL ? -1 : ca_revoke(ca, a->now, &fp, (enum revoke_reason)why, e);
    if (rc == 0)
        tell("revoked; wrote %s/%s: bring it to the relay", a->dir, CA_FILE_CRL);
    ca_free(ca);
    return rc;
}

static int cmd_crl(struct args *a, struct err *e)
{
    bool root = a->root || a->root_key != NULL;
    struct ca *ca = ca_here(a, e);
    int rc = -1;

    if (ca != NULL)
        rc = root ? ca_root_crl(ca, a->now, a->root_key, e) : ca_crl(ca, a->now, e);
    if (rc == 0)
        tell("wrote %s/%s", a->dir, root ? CA_FILE_ROOT_CRL : CA_FILE_CRL);
    ca_free(ca);
    return rc;
}

static int cmd_show(struct args *a, struct err *e)
{
    if (a->rest_n == 0) {
        struct ca *ca = ca_here(a, e);
        int rc = ca == NULL ? -1 : show_ca(ca, a->now, e);
        ca_free(ca);
        return rc;
    }
    for (size_t i = 0; i < a->rest_n; i++) {
        struct buf file;
        buf_init(&file, FILE_IN_MAX);
        int rc = file_read(a->rest[i], FILE_PUBLIC, &file, e);
        if (rc == 0 && (rc = show_file(buf_span(&file), a->now, e)) < 0)
            err_in(e, "%s", a->rest[i]);
        buf_free(&file);
        if (rc < 0)
            return -1;
    }
    return 0;
}

static const struct cmd {
    const char *name, *args, *help;
    size_t least, most; /* arguments */
    unsigned opts;
    int (*run)(struct args *a, struct err *e);
} cmds[] = {
    {"init", "NAME", "make a root and an intermediate (RSA-3072)", 1, 1, OPT_DIR | OPT_ROOT_KEY,
     cmd_init},
    {"issue", "relay HOST... | evidence HOST... | device PERSON DEVICE",
     "make a key and its certificate", 2, 20, OPT_DIR | OPT_OUT | OPT_DAYS | OPT_BITS | OPT_KEY,
     cmd_issue},
    {"sign", "CSR relay HOST... | CSR evidence HOST... | CSR device PERSON DEVICE",
     "certify the key of a request", 3, 20, OPT_DIR | OPT_OUT | OPT_DAYS, cmd_sign},
    {"revoke", "FILE | SHA-256", "revoke a certificate, write crl.der", 1, 1, OPT_DIR | OPT_REASON,
     cmd_revoke},
    {"crl", "", "write a fresh revocation list", 0, 0, OPT_DIR | OPT_ROOT_KEY | OPT_ROOT, cmd_crl},
    {"show", "[FILE...]", "show certificates and lists, or what the CA issued", 0, SIZE_MAX,
     OPT_DIR, cmd_show},
};

/* --- help, and the way to a command --- */

static void help_opts(unsigned bits)
{
    for (size_t i = 0; i < COUNT(opts); i++)
        if ((bits & opts[i].bit) != 0)
            printf("  -%c, --%-8s %-7s %s\n", opts[i].letter, opts[i].name,
                   opts[i].arg != NULL ? opts[i].arg : "", opts[i].help);
}

static void help_all(void)
{
    puts("countersign-ca -- the certificate authority of a Countersign relay\n");
    for (size_t i = 0; i < COUNT(cmds); i++)
        printf("  countersign-ca %-7s [options] %s\n      %s\n", cmds[i].name, cmds[i].args,
               cmds[i].help);
    puts("\noptions (countersign-ca COMMAND --help says which a command takes):");
    help_opts(~0U);
    puts("\nDefault of --dir: /var/lib/countersignd/ca for root, else\n"
         "$XDG_DATA_HOME/countersignd/ca. More in countersign-ca(1).");
}

static void help_cmd(const struct cmd *c)
{
    printf("countersign-ca %s [options] %s\n  %s\n\n", c->name, c->args, c->help);
    help_opts(c->opts);
}

/* The two tables that getopt_long wants, from ours. */
static void getopt_tables(const struct cmd *c, char *letters, struct option *longs)
{
    *letters++ = ':';
    *letters++ = 'h';
    *longs++ = (struct option){"help", no_argument, NULL, 'h'};
    for (size_t i = 0; i < COUNT(opts); i++) {
        if ((c->opts & opts[i].bit) == 0)
            continue;
        bool arg = opts[i].arg != NULL;
        *letters++ = opts[i].letter;
        if (arg)
            *letters++ = ':';
        *longs++ = (struct option){opts[i].name, arg ? required_argument : no_argument, NULL,
                                   opts[i].letter};
    }
    *letters = '\0';
    *longs = (struct option){0};
}

/* 1: help was asked for. argv[0] is the command. */
static int args_read(const struct cmd *c, struct args *a, int argc, char *argv[], struct err *e)
{
    char letters[2 * COUNT(opts) + 3];
    struct option longs[COUNT(opts) + 2];
    int letter;

    getopt_tables(c, letters, longs);
    opterr = 0;
    while ((letter = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        if (letter == 'h')
            return 1;
        if (letter == '?' || letter == ':')
            return err_set(e, ERR_USAGE, "%s: %.60s %s", c->name, argv[optind - 1],
                           letter == ':' ? "wants an argument" : "is no option of it");
        for (size_t i = 0; i < COUNT(opts); i++)
            if (opts[i].letter == letter && option_set(a, &opts[i], e) < 0)
                return -1;
    }
    a->rest = argv + optind;
    a->rest_n = (size_t)(argc - optind);
    if (a->rest_n < c->least || a->rest_n > c->most)
        return err_set(e, ERR_USAGE, "%s wants: %s", c->name,
                       c->args[0] ? c->args : "no arguments");
    return 0;
}

static const struct cmd *cmd_find(const char *name)
{
    for (size_t i = 0; i < COUNT(cmds); i++)
        if (strcmp(cmds[i].name, name) == 0)
            return &cmds[i];
    return NULL;
}

static int run(const struct cmd *c, int argc, char *argv[], struct err *e)
{
    struct timespec t;
    struct args a = {.rng = rng_system()};
    int rc = args_read(c, &a, argc, argv, e);

    if (rc > 0) {
        help_cmd(c);
        return 0;
    }
    clock_gettime(CLOCK_REALTIME, &t);
    a.now = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    if (rc < 0 || dir_default(&a, e) < 0 || crypto_init(e) < 0 || c->run(&a, e) < 0)
        return -1;
    return fflush(stdout) == 0 ? 0 : err_set(e, ERR_IO, "standard output cannot be written");
}

int main(int argc, char *argv[])
{
    struct err e = {0};
    const struct cmd *c = argc > 1 ? cmd_find(argv[1]) : NULL;

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
        help_all();
        return 0;
    }
    if (argc < 2)
        err_set(&e, ERR_USAGE, "no command given");
    else if (c == NULL)
        err_set(&e, ERR_USAGE, "%.40s is no command", argv[1]);
    else if (run(c, argc - 1, argv + 1, &e) == 0)
        return 0;
    fprintf(stderr, "countersign-ca: %s\n", e.text);
    if (e.code == ERR_USAGE)
        fprintf(stderr, "countersign-ca: see countersign-ca%s%s --help\n", c != NULL ? " " : "",
                c != NULL ? c->name : "");
    return err_status(e.code);
}
