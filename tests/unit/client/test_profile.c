/* The key file: what joining sealed comes back whole, an older file still opens, and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "certs/file.h"
#include "client/profile.h"
#include "common/crypto/keybox.h"

static const struct argon_cost cheap = {1, 8};
static const struct str password = {"correct horse", 13};

static char home[] = "/tmp/countersign-test-XXXXXX";
static struct profile profile;
static struct profile_keys keys;
static struct rng rng;
static uint8_t der[PKEY_DER_MAX];
static size_t der_n;

static int setup(void **state)
{
    struct err e = {0};

    (void)state;
    rng = rng_system();
    if (mkdtemp(home) == NULL || setenv("XDG_DATA_HOME", home, 1) != 0 ||
        profile_where(&profile, "alice", &e) < 0)
        return -1;
    profile.cost = cheap;
    keys.key = pkey_generate(PKEY_P256, &rng, &e);
    return keys.key == NULL || pkey_der(keys.key, der, &der_n, &e) < 0 ||
                   rng_fill(&rng, keys.store.b, sizeof keys.store.b) < 0 ||
                   rng_fill(&rng, &keys.login, sizeof keys.login) < 0
               ? -1
               : 0;
}

static int teardown(void **state)
{
    char cmd[64];

    (void)state;
    profile_keys_wipe(&keys);
    snprintf(cmd, sizeof cmd, "rm -rf %s", home);
    return system(cmd);
}

static int each(void **state)
{
    (void)state;
    profile_forget(&profile);
    return 0;
}

static int save(bool again, struct err *e)
{
    return profile_save_keys(&profile, &keys, password, again, &rng, e);
}

/* A key file as it would stand there with this inside. */
static void plant(const void *secret, size_t n)
{
    uint8_t file[KEYBOX_SECRET_MAX + KEYBOX_OVERHEAD];
    char path[PROFILE_PATH_MAX];
    struct err e = {0};

    assert_int_equal(save(false, &e), 0); /* makes the directory */
    assert_int_equal(keybox_seal(span_of(secret, n), password, cheap, &rng, file, &e), 0);
    assert_int_equal(profile_path(&profile, "key", path, &e), 0);
    assert_int_equal(file_replace(path, FILE_SECRET, span_of(file, n + KEYBOX_OVERHEAD), &e), 0);
}

static void assert_opens(bool with_login)
{
    struct profile_keys got;
    uint8_t again[PKEY_DER_MAX];
    struct err e = {0};
    size_t n = 0;

    assert_int_equal(profile_unlock(&profile, password, &rng, &got, &e), 0);
    assert_memory_equal(got.store.b, keys.store.b, sizeof got.store.b);
    assert_int_equal(got.has_login, with_login);
    if (with_login)
        assert_memory_equal(&got.login, &keys.login, sizeof got.login);
    assert_int_equal(pkey_der(got.key, again, &n, &e), 0);
    assert_int_equal(n, der_n);
    assert_memory_equal(again, der, n);
    profile_keys_wipe(&got);
}

static void test_comes_back(void **state)
{
    struct err e = {0};

    (void)state;
    assert_int_equal(save(false, &e), 0);
    assert_true(profile_begun(&profile));
    assert_opens(true);
}

/* A join that goes on has a new login key beside the old private key; a new one replaces nothing.
 */
static void test_only_going_on_replaces(void **state)
{
    struct err e = {0};

    (void)state;
    assert_int_equal(save(false, &e), 0);
    keys.login.salted.b[0] ^= 1;
    assert_int_equal(save(false, &e), -1);
    assert_int_equal(e.code, ERR_CREATE);
    assert_int_equal(save(true, &e), 0);
    assert_opens(true);
}

static void test_older_file_opens(void **state)
{
    uint8_t secret[sizeof keys.store.b + PKEY_DER_MAX];

    (void)state;
    memcpy(secret, keys.store.b, sizeof keys.store.b);
    memcpy(secret + sizeof keys.store.b, der, der_n);
    plant(secret, sizeof keys.store.b + der_n);
    assert_opens(false);
}

static void assert_refused(const void *secret, size_t n, enum err_code code)
{
    struct profile_keys got;
    struct err e = {0};

    plant(secret, n);
    assert_int_equal(profile_unlock(&profile, password, &rng, &got, &e), -1);
    assert_int_equal(e.code, code);
    assert_null(got.key);
    assert_int_equal(got.has_login, false);
    profile_forget(&profile);
}

/* Sealed by somebody with the password, and not what joining writes. */
static void test_odd_insides_are_refused(void **state)
{
    enum { HEAD = sizeof keys.store.b + 1 + sizeof keys.login };
    uint8_t secret[HEAD + PKEY_DER_MAX] = {0};

    (void)state;
    memcpy(secret + HEAD, der, der_n);
    assert_refused(secret, HEAD + der_n, ERR_DATA); /* neither a login nor a key behind 32 bytes */
    secret[sizeof keys.store.b] = 1;
    for (size_t n = 0; n < HEAD; n++)
        assert_refused(secret, n, ERR_DATA);
    assert_refused(secret, HEAD, ERR_DATA); /* a login and no key */
    assert_refused(secret, HEAD + der_n - 1, ERR_DATA);
}

static void test_wrong_password(void **state)
{
    struct profile_keys got;
    struct err e = {0};

    (void)state;
    assert_int_equal(save(false, &e), 0);
    assert_int_equal(profile_unlock(&profile, str_of("Correct horse"), &rng, &got, &e), -1);
    assert_int_equal(e.code, ERR_AUTH);
    assert_null(got.key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_comes_back, each),
        cmocka_unit_test_setup(test_only_going_on_replaces, each),
        cmocka_unit_test_setup(test_older_file_opens, each),
        cmocka_unit_test_setup(test_odd_insides_are_refused, each),
        cmocka_unit_test_setup(test_wrong_password, each),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
