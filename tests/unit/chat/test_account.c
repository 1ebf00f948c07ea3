/* The login's proofs against login.py and RFC 7677; every way to be somebody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/chat/account.h"
#include "tests/unit/chat/support_vectors.h"

static const struct argon_cost cheap = {1, 8};

static int setup(void **state)
{
    struct err e = {0};
    (void)state;
    return crypto_init(&e);
}

static void auth_fill(struct account_auth *a)
{
    *a = (struct account_auth){.link = "tls", .cost = {3, 65536}};
    vector_fill(a->exporter.b, 32, 2);
    vector_fill(a->client_cert.b, 32, 3);
    vector_fill(a->relay_cert.b, 32, 4);
    vector_fill(a->client_nonce, 32, 5);
    vector_fill(a->relay_nonce, 32, 6);
    vector_fill(a->salt, 16, 7);
}

static void steps_are_those_of_the_vectors(void **state)
{
    struct account_auth a;
    struct account_record rec;
    struct key salted;
    struct hash got, want, root;
    char message[ACCOUNT_AUTH_MAX], text[VECTOR_MAX];
    uint8_t salt[ARGON_SALT_LEN], salt_want[ARGON_SALT_LEN];
    (void)state;

    auth_fill(&a);
    vector_fill(salted.b, 32, 1);
    vector_fill(root.b, 32, 8);
    account_salt(salt, &root, str_of("jos\xc3\xa9"), a.salt);
    vector_hex(salt_want, sizeof salt_want, "argon_salt");
    assert_memory_equal(salt, salt_want, sizeof salt);
    vector_text(text, "auth_message");
    assert_int_equal(account_auth_message(message, &a), strlen(text));
    assert_string_equal(message, text);
    account_record(&rec, &salted);
    vector_hex(want.b, 32, "stored");
    assert_memory_equal(rec.stored.b, want.b, 32);
    vector_hex(want.b, 32, "server");
    assert_memory_equal(rec.server.b, want.b, 32);
    account_client_proof(&got, &salted, &a);
    vector_hex(want.b, 32, "client_proof");
    assert_memory_equal(got.b, want.b, 32);
    account_relay_proof(&got, &rec, &a);
    vector_hex(want.b, 32, "relay_proof");
    assert_memory_equal(got.b, want.b, 32);
}

static void keys_are_those_of_rfc_7677(void **state)
{
    struct account_record rec;
    struct key salted, want;
    (void)state;

    vector_hex(salted.b, 32, "rfc7677_salted");
    account_record(&rec, &salted);
    vector_hex(want.b, 32, "rfc7677_stored");
    assert_true(key_same(&rec.stored, &want));
    vector_hex(want.b, 32, "rfc7677_server");
    assert_true(key_same(&rec.server, &want));
}

static void a_right_password_proves_both_ways(void **state)
{
    struct account_auth a;
    struct account_record rec;
    struct key salted;
    struct hash proof, answer;
    struct err e = {0};
    (void)state;

    auth_fill(&a);
    assert_int_equal(account_salted(&salted, str_of("correct horse"), a.salt, cheap, &e), 0);
    account_record(&rec, &salted);
    account_client_proof(&proof, &salted, &a);
    assert_true(account_client_proved(&rec, &a, &proof));
    account_relay_proof(&answer, &rec, &a);
    assert_true(account_relay_proved(&salted, &a, &answer));
    assert_false(account_relay_proved(&salted, &a, &proof));
    assert_false(account_client_proved(&rec, &a, &answer));
}

/* A proof for one connection is worth nothing on another: each binding changed alone. */
static void proofs_are_bound_to_everything(void **state)
{
    struct account_auth a, other;
    struct account_record rec;
    struct key salted;
    struct hash proof, answer;
    (void)state;

    auth_fill(&a);
    vector_fill(salted.b, 32, 1);
    account_record(&rec, &salted);
    account_client_proof(&proof, &salted, &a);
    account_relay_proof(&answer, &rec, &a);
    for (int i = 0; i < 9; i++) {
        other = a;
        uint8_t *bytes[] = {other.exporter.b,   other.client_cert.b, other.relay_cert.b,
                            other.client_nonce, other.relay_nonce,   other.salt};
        if (i < 6)
            bytes[i][15] ^= 1;
        else if (i == 6)
            other.cost.t--;
        else if (i == 7)
            other.cost.m_kib /= 2;
        else
            other.link = "ecdhe";
        assert_false(account_client_proved(&rec, &other, &proof));
        assert_false(account_relay_proved(&salted, &other, &answer));
    }
}

static void every_bit_of_a_proof_counts(void **state)
{
    struct account_auth a;
    struct account_record rec;
    struct key salted;
    struct hash proof, answer;
    (void)state;

    auth_fill(&a);
    vector_fill(salted.b, 32, 1);
    account_record(&rec, &salted);
    account_client_proof(&proof, &salted, &a);
    account_relay_proof(&answer, &rec, &a);
    for (size_t i = 0; i < 256; i++) {
        proof.b[i / 8] ^= (uint8_t)(1 << i % 8);
        answer.b[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_false(account_client_proved(&rec, &a, &proof));
        assert_false(account_relay_proved(&salted, &a, &answer));
        proof.b[i / 8] ^= (uint8_t)(1 << i % 8);
        answer.b[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    memset(&proof, 0, sizeof proof);
    assert_false(account_client_proved(&rec, &a, &proof));
}

/* What the relay's database holds opens no other login (StoredKey is no proof). */
static void the_record_is_not_the_password(void **state)
{
    struct account_auth a;
    struct account_record rec;
    struct key salted;
    struct hash proof;
    (void)state;

    auth_fill(&a);
    vector_fill(salted.b, 32, 1);
    account_record(&rec, &salted);
    account_client_proof(&proof, &rec.stored, &a);
    assert_false(account_client_proved(&rec, &a, &proof));
    account_client_proof(&proof, &rec.server, &a);
    assert_false(account_client_proved(&rec, &a, &proof));
}

static void passwords_are_normal_and_bounded(void **state)
{
    static char longest[PASSWORD_MAX + 1];
    uint8_t salt[ARGON_SALT_LEN] = {1};
    struct key composed, decomposed, other;
    struct err e = {0};
    (void)state;

    assert_int_equal(account_salted(&composed, str_of("caf\xc3\xa9"), salt, cheap, &e), 0);
    assert_int_equal(account_salted(&decomposed, str_of("cafe\xcc\x81"), salt, cheap, &e), 0);
    assert_int_equal(account_salted(&other, str_of("cafe"), salt, cheap, &e), 0);
    assert_true(key_same(&composed, &decomposed));
    assert_false(key_same(&composed, &other));
    memset(longest, 'x', sizeof longest);
    assert_int_equal(account_salted(&other, str_from(longest, PASSWORD_MAX), salt, cheap, &e), 0);
    assert_int_equal(e.code, ERR_NONE);
    assert_int_equal(account_salted(&other, str_from(longest, PASSWORD_MAX + 1), salt, cheap, &e),
                     -1);
    assert_int_equal(account_salted(&other, str_of(""), salt, cheap, &e), -1);
    assert_int_equal(account_salted(&other, str_of("\xff"), salt, cheap, &e), -1);
    assert_int_equal(account_salted(&other, str_from("a\0b", 3), salt, cheap, &e), -1);
}

static void salts_differ_by_root_name_and_salt(void **state)
{
    struct hash root = {{1}}, other_root = {{2}};
    uint8_t salt[SALT_LEN] = {1}, other_salt[SALT_LEN] = {2}, out[4][ARGON_SALT_LEN];
    (void)state;

    account_salt(out[0], &root, str_of("alice"), salt);
    account_salt(out[1], &other_root, str_of("alice"), salt);
    account_salt(out[2], &root, str_of("alicf"), salt);
    account_salt(out[3], &root, str_of("alice"), other_salt);
    for (int i = 1; i < 4; i++)
        assert_memory_not_equal(out[0], out[i], ARGON_SALT_LEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_those_of_the_vectors),
        cmocka_unit_test(keys_are_those_of_rfc_7677),
        cmocka_unit_test(a_right_password_proves_both_ways),
        cmocka_unit_test(proofs_are_bound_to_everything),
        cmocka_unit_test(every_bit_of_a_proof_counts),
        cmocka_unit_test(the_record_is_not_the_password),
        cmocka_unit_test(passwords_are_normal_and_bounded),
        cmocka_unit_test(salts_differ_by_root_name_and_salt),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
