#include "certs/show.h"

#include <stdio.h>
#include <string.h>

#include "common/crypto/pem.h"
#include "common/crypto/randomart.h"
#include "common/util/text.h"
#include "common/util/time.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)

enum { FIELD_MAX = CERT_SANS_MAX };

static void field(const char *name, const char *value)
{
    char clean[FIELD_MAX * TEXT_CLEAN_GROWS + 1];

    text_clean(clean, sizeof clean, str_of(value), TEXT_ONE_LINE);
    printf("  %-10s %s\n", name, clean[0] != '\0' ? clean : "none");
}

static void date_put(char out[TIME_TEXT], int64_t ms)
{
    time_put(out, ms);
    out[10] = '\0'; /* the day is enough */
}

static void field_dates(const char *name, int64_t from, int64_t to, int64_t now)
{
    char a[TIME_TEXT], b[TIME_TEXT], text[96];

    date_put(a, from);
    date_put(b, to);
    if (now < from)
        snprintf(text, sizeof text, "%s to %s (NOT YET)", a, b);
    else if (now > to)
        snprintf(text, sizeof text, "%s to %s (EXPIRED)", a, b);
    else
        snprintf(text, sizeof text, "%s to %s (%lld days left)", a, b,
                 (long long)((to - now) / DAY_MS));
    field(name, text);
}

/* 64 digits in groups of four, eight groups a line. */
static void fingerprint_put(const struct hash *h)
{
    char hex[2 * HASH_LEN + 1];

    hex_put(hex, span_of(h->b, sizeof h->b));
    for (int line = 0; line < 2; line++) {
        printf("  %-10s", line == 0 ? "SHA-256" : "");
        for (int i = 0; i < 8; i++)
            printf(" %.4s", hex + line * 32 + i * 4);
        putchar('\n');
    }
}

static void art_put(const struct cert_info *info)
{
    struct randomart art;
    char key[32];

    snprintf(key, sizeof key, "%s %u", strcmp(info->key, "P-256") == 0 ? "ECDSA" : info->key,
             info->bits);
    randomart(&info->fingerprint, key, &art);
    for (int i = 0; i < ART_ROWS; i++)
        printf("  %s\n", art.row[i]);
}

static void ca_line(const struct cert_info *info)
{
    char text[64];

    if (info->ca && info->pathlen >= 0)
        snprintf(text, sizeof text, "yes, at most %d below it", info->pathlen);
    else
        snprintf(text, sizeof text, "%s", info->ca ? "yes" : "no");
    field("CA", text);
}

int show_cert(struct span der, int64_t now, struct err *e)
{
    struct cert *c = cert_parse(der, NULL, e);
    struct cert_info info;
    char key[64];

    if (c == NULL)
        return -1;
    cert_info(c, &info);
    snprintf(key, sizeof key, "%s, %u bits; signed by %s", info.key, info.bits, info.signature);
    printf("Certificate\n");
    field("subject", info.subject);
    field("issuer", info.self_issued ? "itself" : info.issuer);
    field("serial", info.serial);
    field_dates("valid", info.not_before, info.not_after, now);
    field("key", key);
    field("names", info.sans);
    field("usage", info.usage);
    ca_line(&info);
    fingerprint_put(&info.fingerprint);
    art_put(&info);
    cert_free(c);
    return 0;
}

static int show_crl(struct span der, int64_t now, struct err *e)
{
    struct crl *c = crl_parse(der, e);
    struct crl_info info;
    char text[32];

    if (c == NULL)
        return -1;
    crl_info(c, &info);
    printf("Revocation list\n");
    field("issuer", info.issuer);
    snprintf(text, sizeof text, "%llu", (unsigned long long)info.number);
    field("number", text);
    field_dates("valid", info.this_update, info.next_update, now);
    snprintf(text, sizeof text, "%zu", info.count);
    field("revoked", text);
    crl_free(c);
    return 0;
}

static int show_csr(struct span der, int64_t now, struct err *e)
{
    struct csr q;
    char text[64];

    (void)now;
    if (csr_parse(der, &q, e) < 0)
        return -1;
    snprintf(text, sizeof text, "%s, %u bits; signed with itself", q.rsa ? "RSA" : "P-256", q.bits);
    printf("Certificate request\n");
    field("key", text);
    return 0;
}

static const struct {
    const char *label;
    int (*show)(struct span der, int64_t now, struct err *e);
} kinds[] = {
    {PEM_CERT, show_cert},
    {PEM_CRL, show_crl},
    {PEM_CSR, show_csr},
};

/* Bare DER does not say what it is: the one that fits is it. */
static int show_der(struct span der, int64_t now, struct err *e)
{
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct err none = {0};
        if (kinds[i].show(der, now, &none) == 0)
            return 0;
    }
    return err_set(e, ERR_DATA, "neither a certificate nor a request nor a revocation list");
}

static int show_blocks(struct span file, size_t kind, int64_t now, size_t *shown, struct err *e)
{
    struct buf der;
    int rc;

    buf_init(&der, CRL_MAX);
    while ((rc = pem_take(&file, kinds[kind].label, &der, e)) > 0) {
        if (*shown > 0)
            putchar('\n');
        if (kinds[kind].show(buf_span(&der), now, e) < 0) {
            rc = -1;
            break;
        }
        ++*shown;
        buf_drop(&der, der.len);
    }
    buf_free(&der);
    return rc;
}

int show_file(struct span file, int64_t now, struct err *e)
{
    size_t shown = 0;

    if (file.n > 0 && file.p[0] == 0x30)
        return show_der(file, now, e);
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (show_blocks(file, i, now, &shown, e) < 0)
            return -1;
    return shown > 0
               ? 0
               : err_set(e, ERR_DATA, "neither a certificate nor a request nor a revocation list");
}

struct listing {
    int64_t now;
    size_t count;
};

static int entry_put(void *ctx, const struct ca_entry *x)
{
    struct listing *l = ctx;
    char until[TIME_TEXT], revoked[TIME_TEXT], hex[2 * HASH_LEN + 1];
    char clean[CERT_NAME_MAX * TEXT_CLEAN_GROWS + 1];

    date_put(until, x->not_after);
    date_put(revoked, x->revoked);
    hex_put(hex, span_of(x->fp.b, sizeof x->fp.b));
    text_clean(clean, sizeof clean, str_of(x->subject), TEXT_ONE_LINE);
    printf("  %-12s %s  %.16s  %s%s%s%s\n", cert_role_name(x->role), until, hex, clean,
           x->revoked != 0 ? "  REVOKED " : "", x->revoked != 0 ? revoked : "",
           x->revoked == 0 && x->not_after < l->now ? "  EXPIRED" : "");
    l->count++;
    return 0;
}

int show_ca(const struct ca *ca, int64_t now, struct err *e)
{
    struct listing l = {now, 0};
    struct buf crl;
    int rc = -1;

    buf_init(&crl, CRL_MAX);
    if (show_cert(ca_root(ca), now, e) < 0 || show_cert(ca_intermediate(ca), now, e) < 0 ||
        ca_crl_read(ca, &crl, e) < 0 || show_crl(buf_span(&crl), now, e) < 0)
        goto out;
    printf("Issued\n  %-12s %-10s  %-16s  %s\n", "role", "until", "SHA-256", "subject");
    rc = ca_each(ca, entry_put, &l, e);
out:
    buf_free(&crl);
    return rc;
}
