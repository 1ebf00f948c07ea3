/* The CA in a directory: what it issues passes the full check, what it revokes does not, and what
 * it must not do it refuses. P-256 instead of RSA-3072, to be quick; test_ca.py has the real thing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "certs/ca.h"

#define DAY ((int64_t)24 * 3600 * 1000)
#define NOW ((int64_t)1795000000000)

static char dir[] = "/tmp/countersign-test-XXXXXX", home[64];
static struct rng rng;
static uint8_t rsa_spki[SPKI_MAX], ec_spki[SPKI_MAX];
static struct span rsa, ec;

static int setup(void **state)
{
    struct err e = {0};
    struct pkey *k;
    int rc = -1;

    (void)state;
    rng = rng_system();
    if (mkdtemp(dir) == NULL || crypto_init(&e) < 0)
        return -1;
    snprintf(home, sizeof home, "%s/ca", dir);
    k = pkey_generate(PKEY_RSA_2048, &rng, &e);
    if (k != NULL && pkey_spki(k, rsa_spki, &rsa.n, &e) == 0)
        rc = 0;
    pkey_free(k);
    k = pkey_generate(PKEY_P256, &rng, &e);
    if (k == NULL || pkey_spki(k, ec_spki, &ec.n, &e) < 0)
        rc = -1;
    pkey_free(k);
    rsa.p = rsa_spki;
    ec.p = ec_spki;
    return rc;
}

static int clean(void **state)
{
    char cmd[96];

    (void)state;
    snprintf(cmd, sizeof cmd, "rm -rf %s/*", dir);
    return system(cmd);
}

static int teardown(void **state)
{
    clean(state);
    return rmdir(dir);
}

static int create(struct err *e)
{
    struct ca_setup s = {
        .dir = home, .name = "relay.example", .kind = PKEY_P256, .rng = rng, .now = NOW};
    return ca_create(&s, e);
}

static struct ca *fresh(void)
{
    struct err e = {0};

    if (create(&e) < 0)
        fail_msg("%s", e.text);
    struct ca *ca = ca_open(home, &rng, &e);
    if (ca == NULL)
        fail_msg("%s", e.text);
    return ca;
}

/* As a relay sees a device: the trust of the directory with both lists, every one of them wanted.
 */
static enum cert_fault judge(const struct ca *ca, const struct ca_cert *c, enum cert_role role,
                             int64_t at)
{
    static const char *const lists[] = {CA_FILE_ROOT_CRL, CA_FILE_CRL};
    struct err e = {0};
    struct trust *t = trust_new(TRUST_CRL_ALL, &e);
    struct span chain[] = {span_of(c->der, c->n), ca_intermediate(ca)};
    struct cert_ask ask = {.role = role, .host = "relay.example", .at = at};
    enum cert_fault why;
    char path[128];

    assert_int_equal(trust_add_root(t, ca_root(ca), &e), 0);
    assert_int_equal(trust_add_intermediate(t, ca_intermediate(ca), &e), 0);
    for (size_t i = 0; i < COUNT(lists); i++) {
        struct buf der;
        buf_init(&der, CRL_MAX);
        assert_int_equal(path_join(path, sizeof path, home, lists[i], &e), 0);
        assert_int_equal(file_read(path, FILE_PUBLIC, &der, &e), 0);
        if (trust_add_crl(t, buf_span(&der), &e) < 0)
            fail_msg("%s", e.text);
        buf_free(&der);
    }
    int rc = cert_check(t, chain, 2, &ask, &why, &e);
    assert_int_equal(rc, why == CERT_OK ? 0 : -1);
    trust_free(t);
    return why;
}

static void fingerprint(const struct ca_cert *c, struct hash *fp)
{
    cert_fingerprint(span_of(c->der, c->n), fp);
}

static void spoil(const char *name, const char *how)
{
    char cmd[160];

    snprintf(cmd, sizeof cmd, "cd %s && f=%s && %s", home, name, how);
    assert_int_equal(system(cmd), 0);
}

static void what_is_issued_is_in_order(void **state)
{
    static const char *const hosts[] = {"relay.example", "192.0.2.1", "2001:db8::1"};
    struct ca *ca = fresh();
    struct ca_cert relay, device;
    struct err e = {0};
    (void)state;

    assert_int_equal(ca_issue_relay(ca, NOW, ec, hosts, 3, 0, &relay, &e), 0);
    assert_int_equal(
        ca_issue_device(ca, NOW, rsa, str_of("alice"), str_of("laptop"), 0, &device, &e), 0);
    assert_int_equal(judge(ca, &relay, CERT_RELAY, NOW), CERT_OK);
    assert_int_equal(judge(ca, &device, CERT_DEVICE, NOW), CERT_OK);
    assert_int_equal(judge(ca, &relay, CERT_DEVICE, NOW), CERT_WRONG_ROLE);
    assert_int_equal(judge(ca, &device, CERT_RELAY, NOW), CERT_WRONG_ROLE);
    assert_int_equal(judge(ca, &relay, CERT_RELAY, NOW + 91 * DAY), CERT_EXPIRED);
    assert_int_equal(judge(ca, &device, CERT_DEVICE, NOW + 366 * DAY), CERT_EXPIRED);
    ca_free(ca);
    ca_free(NULL);
}

static void evidence_has_a_role_of_its_own(void **state)
{
    static const char *const hosts[] = {"relay.example"}, *const others[] = {"other.example"};
    struct ca *ca = fresh();
    struct ca_cert relay, device, evidence, other;
    struct err e = {0};
    (void)state;

    assert_int_equal(ca_issue_relay(ca, NOW, ec, hosts, 1, 0, &relay, &e), 0);
    assert_int_equal(
        ca_issue_device(ca, NOW, rsa, str_of("alice"), str_of("laptop"), 0, &device, &e), 0);
    assert_int_equal(ca_issue_evidence(ca, NOW, rsa, hosts, 1, 0, &evidence, &e), 0);
    assert_int_equal(ca_issue_evidence(ca, NOW, rsa, others, 1, 0, &other, &e), 0);
    assert_int_equal(judge(ca, &evidence, CERT_EVIDENCE, NOW), CERT_OK);
    assert_int_equal(judge(ca, &evidence, CERT_EVIDENCE, NOW + 731 * DAY), CERT_EXPIRED);
    assert_int_equal(judge(ca, &evidence, CERT_RELAY, NOW), CERT_WRONG_ROLE);
    assert_int_equal(judge(ca, &evidence, CERT_DEVICE, NOW), CERT_WRONG_ROLE);
    assert_int_equal(judge(ca, &relay, CERT_EVIDENCE, NOW), CERT_WRONG_ROLE);
    assert_int_equal(judge(ca, &device, CERT_EVIDENCE, NOW), CERT_WRONG_ROLE);
    assert_int_equal(judge(ca, &other, CERT_EVIDENCE, NOW), CERT_WRONG_NAME);
    /* It signs with RSA-PSS: a key on P-256 gets none. */
    assert_int_equal(ca_issue_evidence(ca, NOW, ec, hosts, 1, 0, &other, &e), -1);
    assert_non_null(strstr(e.text, "RSA"));
    ca_free(ca);
}

static void what_is_revoked_is_refused_from_then_on(void **state)
{
    struct ca *ca = fresh();
    struct ca_cert device, other;
    struct hash fp;
    struct err e = {0};
    (void)state;

    assert_int_equal(
        ca_issue_device(ca, NOW, rsa, str_of("alice"), str_of("laptop"), 0, &device, &e), 0);
    assert_int_equal(ca_issue_device(ca, NOW, rsa, str_of("bob"), str_of("desk"), 0, &other, &e),
                     0);
    fingerprint(&device, &fp);
    assert_int_equal(ca_revoke(ca, NOW + DAY, &fp, REVOKE_KEY_COMPROMISE, &e), 0);
    assert_int_equal(judge(ca, &device, CERT_DEVICE, NOW + DAY), CERT_REVOKED);
    assert_int_equal(judge(ca, &other, CERT_DEVICE, NOW + DAY), CERT_OK);
    /* twice: the first date stays, and survives a fresh list */
    assert_int_equal(ca_revoke(ca, NOW + 2 * DAY, &fp, REVOKE_SUPERSEDED, &e), 0);
    assert_int_equal(ca_crl(ca, NOW + 2 * DAY, &e), 0);
    assert_int_equal(judge(ca, &device, CERT_DEVICE, NOW + 2 * DAY), CERT_REVOKED);
    spoil(CA_FILE_INDEX, "test $(grep -c revoked $f) = 1");
    ca_free(ca);
}

/* Revoked certificates of this role, good until then. */
static void many_revoked(unsigned n, const char *role, int64_t until)
{
    char path[96];

    snprintf(path, sizeof path, "%s/%s", home, CA_FILE_INDEX);
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    for (unsigned i = 0; i < n; i++)
        fprintf(f, "issued 7%031x %064x %s %lld %lld CN=x\nrevoked 7%031x %lld superseded\n", i, i,
                role, (long long)(NOW - 300 * DAY), (long long)until, i,
                (long long)(NOW - 200 * DAY));
    assert_int_equal(fclose(f), 0);
}

static void a_full_list_leaves_out_what_expired_first(void **state)
{
    struct ca *ca = fresh();
    struct ca_cert early, late;
    struct crl_info info;
    struct hash fp;
    struct err e = {0};
    struct buf der;
    (void)state;

    assert_int_equal(
        ca_issue_device(ca, NOW, rsa, str_of("alice"), str_of("laptop"), 0, &early, &e), 0);
    fingerprint(&early, &fp);
    assert_int_equal(ca_revoke(ca, NOW, &fp, REVOKE_SUPERSEDED, &e), 0);
    many_revoked(CRL_ENTRIES_MAX + 1000, "relay", NOW - DAY);
    assert_int_equal(ca_issue_device(ca, NOW, rsa, str_of("bob"), str_of("desk"), 0, &late, &e), 0);
    fingerprint(&late, &fp);
    if (ca_revoke(ca, NOW, &fp, REVOKE_KEY_COMPROMISE, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(judge(ca, &early, CERT_DEVICE, NOW), CERT_REVOKED);
    assert_int_equal(judge(ca, &late, CERT_DEVICE, NOW), CERT_REVOKED);
    buf_init(&der, CRL_MAX);
    assert_int_equal(ca_crl_read(ca, &der, &e), 0);
    struct crl *c = crl_parse(buf_span(&der), &e);
    assert_non_null(c);
    crl_info(c, &info);
    assert_int_equal(info.count, CRL_ENTRIES_MAX);
    crl_free(c);
    buf_free(&der);
    ca_free(ca);
}

/* A stolen relay key deceives everybody, and its certificate runs out before any device's. */
static void a_full_list_keeps_relays(void **state)
{
    static const char *const hosts[] = {"relay.example"};
    struct ca *ca = fresh();
    struct ca_cert relay;
    struct hash fp;
    struct err e = {0};
    (void)state;

    assert_int_equal(ca_issue_relay(ca, NOW, ec, hosts, 1, 0, &relay, &e), 0);
    fingerprint(&relay, &fp);
    many_revoked(CRL_ENTRIES_MAX + 1, "device", NOW + 300 * DAY);
    assert_int_equal(ca_revoke(ca, NOW, &fp, REVOKE_KEY_COMPROMISE, &e), 0);
    assert_int_equal(judge(ca, &relay, CERT_RELAY, NOW), CERT_REVOKED);
    ca_free(ca);
}

static void unknown_certificates_are_not_revoked(void **state)
{
    struct ca *ca = fresh();
    struct hash fp = {{1}};
    struct err e = {0};
    (void)state;

    assert_int_equal(ca_revoke(ca, NOW, &fp, REVOKE_UNSPECIFIED, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    ca_free(ca);
}

static void numbers_of_lists_only_grow(void **state)
{
    struct ca *ca = fresh();
    struct crl_info info;
    struct err e = {0};
    uint64_t last = 0;
    (void)state;

    for (int i = 0; i < 4; i++) { /* the same second, then a clock set back */
        struct buf der;
        buf_init(&der, CRL_MAX);
        assert_int_equal(ca_crl(ca, i < 3 ? NOW : NOW - 100 * DAY, &e), 0);
        assert_int_equal(ca_crl_read(ca, &der, &e), 0);
        struct crl *c = crl_parse(buf_span(&der), &e);
        crl_info(c, &info);
        assert_true(info.number > last);
        last = info.number;
        crl_free(c);
        buf_free(&der);
    }
    ca_free(ca);
}

static void hosts_and_keys_are_judged(void **state)
{
    static const char *const bad[] = {"",
                                      "*.example",
                                      "a b",
                                      "-a.example",
                                      "a..b",
                                      "a.",
                                      ".a",
                                      ("b\xc3\xbc"
                                       "cher.example"),
                                      "a/b",
                                      "[::1]",
                                      "relay:7443"};
    static const char *const good[] = {"relay.example"};
    const char *many[SANS_MAX + 1];
    struct ca *ca = fresh();
    struct ca_cert c;
    (void)state;

    for (size_t i = 0; i < COUNT(bad); i++) {
        struct err e = {0};
        if (ca_issue_relay(ca, NOW, ec, &bad[i], 1, 0, &c, &e) == 0)
            fail_msg("accepted host \"%s\"", bad[i]);
    }
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = "relay.example";
    struct err e[6] = {{0}};
    assert_int_equal(ca_issue_relay(ca, NOW, ec, many, COUNT(many), 0, &c, &e[0]), -1);
    assert_int_equal(ca_issue_relay(ca, NOW, ec, good, 0, 0, &c, &e[1]), -1);
    assert_int_equal(ca_issue_relay(ca, NOW, ec, good, 1, CA_DAYS_MAX + 1, &c, &e[2]), -1);
    assert_int_equal(ca_issue_relay(ca, NOW, span_of(ec.p, ec.n - 1), good, 1, 0, &c, &e[3]), -1);
    /* a device must have RSA, and names that can be shown */
    assert_int_equal(ca_issue_device(ca, NOW, ec, str_of("a"), str_of("b"), 0, &c, &e[4]), -1);
    assert_int_equal(ca_issue_device(ca, NOW, rsa, str_of("a\x1b"), str_of("b"), 0, &c, &e[5]), -1);
    ca_free(ca);
}

static int count_one(void *ctx, const struct ca_entry *entry)
{
    size_t *n = ctx;

    (void)entry;
    ++*n;
    return 0;
}

static size_t count(const struct ca *ca)
{
    struct err e = {0};
    size_t n = 0;

    if (ca_each(ca, count_one, &n, &e) < 0)
        fail_msg("%s", e.text);
    return n;
}

static void what_was_refused_is_not_in_the_index(void **state)
{
    struct ca *ca = fresh();
    struct ca_cert c;
    struct err e = {0};
    (void)state;

    assert_int_equal(count(ca), 1); /* the intermediate */
    assert_int_equal(ca_issue_device(ca, NOW, ec, str_of("a"), str_of("b"), 0, &c, &e), -1);
    assert_int_equal(count(ca), 1);
    err_clear(&e);
    assert_int_equal(ca_issue_device(ca, NOW, rsa, str_of("a"), str_of("b"), 0, &c, &e), 0);
    assert_int_equal(count(ca), 2);
    ca_free(ca);
}

static void nothing_outlives_the_intermediate(void **state)
{
    struct ca *ca = fresh();
    struct ca_cert c;
    struct cert_info info, own;
    struct err e = {0};
    int64_t late = NOW + (CA_INTERMEDIATE_DAYS - 10) * DAY;
    (void)state;

    assert_int_equal(ca_issue_device(ca, late, rsa, str_of("a"), str_of("b"), 0, &c, &e), 0);
    struct cert *x = cert_parse(span_of(c.der, c.n), NULL, &e);
    struct cert *ca_cert = cert_parse(ca_intermediate(ca), NULL, &e);
    cert_info(x, &info);
    cert_info(ca_cert, &own);
    assert_true(info.not_after == own.not_after);
    cert_free(x);
    cert_free(ca_cert);
    assert_int_equal(ca_issue_device(ca, late + 11 * DAY, rsa, str_of("a"), str_of("b"), 0, &c, &e),
                     -1);
    ca_free(ca);
}

static void a_ca_is_never_overwritten(void **state)
{
    struct ca *ca = fresh();
    struct err e = {0};
    struct hash before, after;
    (void)state;

    cert_fingerprint(ca_root(ca), &before);
    assert_int_equal(create(&e), -1);
    assert_int_equal(e.code, ERR_CREATE);
    ca_free(ca);
    err_clear(&e);
    ca = ca_open(home, &rng, &e);
    cert_fingerprint(ca_root(ca), &after);
    assert_true(hash_same(&before, &after));
    ca_free(ca);
}

/* One file of a former CA is enough; nothing is added to it. */
static void rests_of_a_ca_are_not_built_upon(void **state)
{
    static const char *const files[] = {CA_FILE_ROOT, CA_FILE_ROOT_KEY, CA_FILE_INTERMEDIATE,
                                        CA_FILE_KEY, CA_FILE_INDEX};
    (void)state;

    for (size_t i = 0; i < COUNT(files); i++) {
        struct err e = {0};
        assert_int_equal(dir_make(home, &e), 0);
        spoil(files[i], "touch $f");
        assert_int_equal(create(&e), -1);
        assert_int_equal(e.code, ERR_CREATE);
        spoil(files[i], "rm $f && test -z \"$(ls -A)\"");
    }
}

static void damaged_directories_are_refused(void **state)
{
    static const struct {
        const char *file, *how;
    } rows[] = {
        {CA_FILE_ROOT, "rm $f"},
        {CA_FILE_INTERMEDIATE, "rm $f"},
        {CA_FILE_KEY, "rm $f"},
        {CA_FILE_KEY, "chmod 640 $f"},
        {CA_FILE_KEY, "mv $f k && ln -s k $f"},
        {CA_FILE_KEY, "head -c 100 $f >k && chmod 600 k && mv k $f"},
        {CA_FILE_ROOT, "head -c 100 $f >k && mv k $f"},
        {CA_FILE_ROOT, "rm $f && mkfifo $f"},
        {CA_FILE_ROOT, "cp intermediate.crt $f"},
        {"", "chmod 770 ."},
        {"", "chmod 1777 ."},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = {0};
        ca_free(fresh());
        spoil(rows[i].file, rows[i].how);
        if (ca_open(home, &rng, &e) != NULL)
            fail_msg("opened after %s of %s", rows[i].how, rows[i].file);
        assert_non_null(strstr(e.text, rows[i].file));
        clean(state);
    }
}

static void a_key_of_another_ca_does_not_sign(void **state)
{
    struct ca_cert c;
    struct err e = {0};
    (void)state;

    ca_free(fresh());
    spoil(CA_FILE_KEY, "cp root.key $f");
    struct ca *ca = ca_open(home, &rng, &e);
    assert_non_null(ca);
    assert_int_equal(ca_issue_device(ca, NOW, rsa, str_of("a"), str_of("b"), 0, &c, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    err_clear(&e);
    assert_int_equal(ca_crl(ca, NOW, &e), -1);
    ca_free(ca);
}

static void damaged_indexes_revoke_nothing(void **state)
{
    static const char *const how[] = {
        "echo rubbish >>$f",
        "echo 'issued 12' >>$f",
        "echo >>$f",
        "echo 'revoked 77 1 unspecified' >>$f",
        "echo 'revoked' >>$f",
        "chmod 644 $f",
        "rm $f",
    };
    (void)state;

    for (size_t i = 0; i < COUNT(how); i++) {
        struct err e = {0};
        struct ca *ca = fresh();
        spoil(CA_FILE_INDEX, how[i]);
        if (ca_crl(ca, NOW, &e) == 0)
            fail_msg("a list was made after %s", how[i]);
        assert_non_null(strstr(e.text, CA_FILE_INDEX));
        ca_free(ca);
        clean(state);
    }
}

static void half_a_line_is_what_a_crash_leaves(void **state)
{
    struct ca *ca = fresh();
    struct ca_cert c;
    struct err e = {0};
    (void)state;

    spoil(CA_FILE_INDEX, "printf 'issued 1234' >>$f");
    assert_int_equal(count(ca), 1);
    assert_int_equal(ca_issue_device(ca, NOW, rsa, str_of("a"), str_of("b"), 0, &c, &e), 0);
    assert_int_equal(count(ca), 2);
    ca_free(ca);
}

static void the_root_key_may_be_elsewhere(void **state)
{
    struct err e = {0};
    char moved[96];
    struct ca_cert c;
    struct ca *ca = fresh();
    (void)state;

    snprintf(moved, sizeof moved, "%s/usb.key", dir);
    spoil(CA_FILE_ROOT_KEY, "mv $f ../usb.key");
    assert_int_equal(ca_issue_device(ca, NOW, rsa, str_of("a"), str_of("b"), 0, &c, &e), 0);
    assert_int_equal(ca_crl(ca, NOW, &e), 0);
    assert_int_equal(ca_root_crl(ca, NOW, NULL, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    err_clear(&e);
    assert_int_equal(ca_root_crl(ca, NOW, moved, &e), 0);
    ca_free(ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_is_issued_is_in_order, clean),
        cmocka_unit_test_teardown(evidence_has_a_role_of_its_own, clean),
        cmocka_unit_test_teardown(what_is_revoked_is_refused_from_then_on, clean),
        cmocka_unit_test_teardown(a_full_list_leaves_out_what_expired_first, clean),
        cmocka_unit_test_teardown(a_full_list_keeps_relays, clean),
        cmocka_unit_test_teardown(unknown_certificates_are_not_revoked, clean),
        cmocka_unit_test_teardown(numbers_of_lists_only_grow, clean),
        cmocka_unit_test_teardown(hosts_and_keys_are_judged, clean),
        cmocka_unit_test_teardown(what_was_refused_is_not_in_the_index, clean),
        cmocka_unit_test_teardown(nothing_outlives_the_intermediate, clean),
        cmocka_unit_test_teardown(a_ca_is_never_overwritten, clean),
        cmocka_unit_test_teardown(rests_of_a_ca_are_not_built_upon, clean),
        cmocka_unit_test_teardown(damaged_directories_are_refused, clean),
        cmocka_unit_test_teardown(a_key_of_another_ca_does_not_sign, clean),
        cmocka_unit_test_teardown(damaged_indexes_revoke_nothing, clean),
        cmocka_unit_test_teardown(half_a_line_is_what_a_crash_leaves, clean),
        cmocka_unit_test_teardown(the_root_key_may_be_elsewhere, clean),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
