/* test_key_chain.c - next keys of hubs: what leads on, and everything that must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "wire/key_chain.h"

#define HUBS 3

/* A key by its number. */
static void seed_of(uint8_t seed[32], uint8_t number)
{
    memset(seed, number, 32);
}

static void public_of(uint8_t key[MR_PUBLIC_KEY_BYTES], uint8_t number)
{
    uint8_t seed[32];
    size_t length = MR_PUBLIC_KEY_BYTES;
    seed_of(seed, number);
    EVP_PKEY *pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    assert_int_equal(EVP_PKEY_get_raw_public_key(pair, key, &length), 1);
    EVP_PKEY_free(pair);
}

/* Hubs 0, 1, 2 with the keys 10, 11, 12. */
static struct mr_key_set set_of(struct mr_announced_hub hubs[HUBS], unsigned threshold)
{
    for (unsigned i = 0; i < HUBS; i++) {
        hubs[i] = (struct mr_announced_hub){.index = (uint16_t)i};
        public_of(hubs[i].public_key, (uint8_t)(10 + i));
    }
    return (struct mr_key_set){
        .task = "digits", .hubs = hubs, .hub_count = HUBS, .threshold = threshold};
}

/* Hub `hub` goes from one key to another; `signers` is a set of bits: hub i by key 10 + i, but its
 * own by the old one. */
static struct mr_key_statement make(uint32_t number, uint16_t hub, uint8_t from, uint8_t to,
                                    unsigned signers)
{
    uint8_t seed[32];
    struct mr_key_statement statement = {.task = "digits", .number = number, .hub_index = hub};
    public_of(statement.old_key, from);
    public_of(statement.new_key, to);
    seed_of(seed, to);
    assert_int_equal(mr_key_statement_hold(&statement, seed), 0);
    for (uint16_t i = HUBS; i-- > 0;) { /* in any order */
        if (signers >> i & 1) {
            seed_of(seed, i == hub ? from : (uint8_t)(10 + i));
            assert_int_equal(mr_key_statement_endorse(&statement, i, seed), 0);
        }
    }
    return statement;
}

static size_t add(uint8_t *bytes, size_t at, const struct mr_key_statement *statement)
{
    return at + mr_key_statement_encode(bytes + at, statement);
}

static void expect(const struct mr_key_statement *statement, unsigned threshold,
                   enum mr_key_fault fault)
{
    struct mr_announced_hub hubs[HUBS];
    const struct mr_key_set set = set_of(hubs, threshold);
    assert_string_equal(mr_key_fault_name(mr_key_statement_judge(statement, &set)),
                        mr_key_fault_name(fault));
}

static void test_chain(void **state)
{
    struct mr_announced_hub hubs[HUBS];
    struct mr_key_set set = set_of(hubs, 3);
    uint8_t bytes[4 * MR_KEY_SIGNED_MAX], wanted[MR_PUBLIC_KEY_BYTES];
    size_t taken;
    (void)state;
    const struct mr_key_statement first = make(1, 1, 11, 21, 7), second = make(2, 1, 21, 31, 7);
    size_t length = add(bytes, 0, &first);
    const size_t one = length;
    length = add(bytes, length, &second);
    assert_int_equal(mr_key_chain_follow(&set, bytes, length, &taken), MR_KEY_TAKEN);
    assert_int_equal(taken, length);
    assert_int_equal(set.number, 2);
    public_of(wanted, 31);
    assert_memory_equal(hubs[1].public_key, wanted, sizeof wanted);
    /* The same again, and an old one alone: nothing changes, nothing is to be kept. */
    assert_int_equal(mr_key_chain_follow(&set, bytes, length, &taken), MR_KEY_TAKEN);
    assert_int_equal(taken, 0);
    assert_int_equal(mr_key_chain_follow(&set, bytes, one, &taken), MR_KEY_TAKEN);
    assert_int_equal(set.number, 2);
    assert_memory_equal(hubs[1].public_key, wanted, sizeof wanted);
}

/* However often a hub repeats what is known: kept is what is new. */
static void test_repeats(void **state)
{
    struct mr_announced_hub hubs[HUBS];
    struct mr_key_set set = set_of(hubs, 2);
    uint8_t bytes[4 * MR_KEY_SIGNED_MAX], one[MR_KEY_SIGNED_MAX];
    size_t taken, length = 0;
    (void)state;
    const struct mr_key_statement first = make(1, 0, 10, 20, 7);
    for (unsigned i = 0; i < 3; i++) {
        length = add(bytes, length, &first);
    }
    assert_int_equal(mr_key_chain_follow(&set, bytes, length, &taken), MR_KEY_TAKEN);
    assert_int_equal(taken, mr_key_statement_encode(one, &first));
    assert_memory_equal(bytes, one, taken);
}

static void test_signatures(void **state)
{
    (void)state;
    struct mr_key_statement statement = make(1, 1, 11, 21, 2);
    expect(&statement, 2, MR_KEY_TOO_FEW); /* the old key alone: it may be stolen */
    statement = make(1, 1, 11, 21, 5);
    expect(&statement, 2, MR_KEY_NOT_OWN); /* the others alone */
    statement = make(1, 1, 11, 21, 3);
    expect(&statement, 2, MR_KEY_TAKEN);
    expect(&statement, 3, MR_KEY_TOO_FEW);
    memset(statement.held, 0, sizeof statement.held);
    expect(&statement, 2, MR_KEY_NOT_HELD); /* a key that nobody has shown to have */
    statement = make(1, 1, 11, 21, 3);
    public_of(statement.new_key, 22);
    expect(&statement, 2, MR_KEY_NOT_HELD); /* another key under the same signatures */
    statement = make(1, 1, 11, 21, 3);
    statement.words[0] = (struct mr_key_word){.hub_index = 0};
    memcpy(statement.words[0].signature, statement.words[1].signature, MR_SIGNATURE_BYTES);
    expect(&statement, 2, MR_KEY_TOO_FEW); /* one hub's signature under two hubs' numbers */
}

static void test_scope(void **state)
{
    (void)state;
    struct mr_key_statement statement = make(2, 1, 11, 21, 7);
    expect(&statement, 2, MR_KEY_SKIPPED);
    statement = make(1, 1, 12, 21, 7);
    expect(&statement, 2, MR_KEY_WRONG_KEY);
    statement = make(1, 1, 11, 12, 7);
    expect(&statement, 2, MR_KEY_KNOWN_KEY); /* one key that would count for two hubs */
    statement = make(1, 1, 11, 11, 7);
    expect(&statement, 2, MR_KEY_KNOWN_KEY);
    statement = make(1, 7, 11, 21, 7);
    expect(&statement, 2, MR_KEY_UNKNOWN_HUB);
    statement = make(1, 1, 11, 21, 7);
    strcpy(statement.task, "other");
    expect(&statement, 2, MR_KEY_WRONG_TASK);
    strcpy(statement.task, "digit"); /* signed for another task */
    struct mr_announced_hub hubs[HUBS];
    struct mr_key_set set = set_of(hubs, 2);
    set.task = "digit";
    assert_int_equal(mr_key_statement_judge(&statement, &set), MR_KEY_NOT_HELD);
}

/* Of one that is good, every byte that is another one, and every length that is shorter. */
static void test_bytes(void **state)
{
    const struct mr_key_statement good = make(1, 1, 11, 21, 7);
    uint8_t bytes[MR_KEY_SIGNED_MAX], changed[MR_KEY_SIGNED_MAX + 1];
    const size_t length = mr_key_statement_encode(bytes, &good);
    (void)state;
    for (size_t i = 0; i <= length; i++) {
        struct mr_announced_hub hubs[HUBS];
        struct mr_key_set set = set_of(hubs, 3);
        size_t taken;
        memcpy(changed, bytes, length);
        if (i < length) {
            changed[i] ^= 1;
        }
        assert_true((mr_key_chain_follow(&set, changed, length, &taken) == MR_KEY_TAKEN &&
                     set.number == 1) == (i == length));
        set = set_of(hubs, 3);
        memcpy(changed, bytes, length);
        (void)mr_key_chain_follow(&set, changed, i, &taken);
        assert_int_equal(set.number, i == length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),      cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_signatures), cmocka_unit_test(test_scope),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
