/* test_exchange.c - included sets, commitments, model attestations. */
#include "wire_test.h"

#include "base/bytes.h"
#include "wire/exchange.h"
#include "tests/unit/wire/pair.h"

static struct mr_error error;

struct world {
    uint8_t private_key[32], public_key[32], other_public[32];
    uint8_t hash[32], set_hash[32];
};

static void world_init(struct world *w)
{
    uint8_t other[32] = {7};
    memset(w->private_key, 3, 32);
    memset(w->hash, 4, 32);
    memset(w->set_hash, 5, 32);
    test_public_key(w->public_key, w->private_key);
    test_public_key(w->other_public, other);
}

static void test_included_round_trip(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    struct mr_included entries[COUNT], back[COUNT];
    uint8_t bytes[4 + COUNT * MR_INCLUDED_BYTES + 3];
    uint64_t seed = 11;
    uint32_t count;
    size_t used;
    for (unsigned i = 0; i < COUNT; i++) {
        test_fill(&seed, entries[i].client_id, 16);
        entries[i].attempt = i % 8;
    }
    mr_included_sort(entries, COUNT);
    size_t length = mr_included_encode(bytes, entries, COUNT);
    assert_int_equal(length, 4 + COUNT * MR_INCLUDED_BYTES);
    /* what follows the set is the caller's */
    assert_int_equal(mr_included_decode(back, COUNT, &count, bytes, sizeof bytes, &used, &error),
                     0);
    assert_int_equal(count, COUNT);
    assert_int_equal(used, length);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_memory_equal(back[i].client_id, entries[i].client_id, 16);
        assert_int_equal(back[i].attempt, entries[i].attempt);
    }
    assert_int_equal(mr_included_decode(back, COUNT - 1, &count, bytes, length, &used, &error), -1);
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *copy = malloc(cut + 1);
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        assert_int_equal(mr_included_decode(back, COUNT, &count, copy, cut, &used, &error), -1);
        free(copy);
    }
    length = mr_included_encode(bytes, entries, 0);
    assert_int_equal(length, 4);
    assert_int_equal(mr_included_decode(back, 0, &count, bytes, length, &used, &error), 0);
    assert_int_equal(count, 0);
}

static void test_included_wrong(void **state)
{
    (void)state;
    struct mr_included entries[3] = {{{1}, 0}, {{2}, 1}, {{3}, 2}}, back[3];
    uint8_t bytes[4 + 3 * MR_INCLUDED_BYTES];
    uint32_t count;
    size_t used, length = mr_included_encode(bytes, entries, 3);
    bytes[4 + MR_INCLUDED_BYTES] = 1; /* the first client again, with another attempt */
    assert_int_equal(mr_included_decode(back, 3, &count, bytes, length, &used, &error), -1);
    bytes[4 + MR_INCLUDED_BYTES] = 4; /* out of order */
    assert_int_equal(mr_included_decode(back, 3, &count, bytes, length, &used, &error), -1);
    bytes[4 + MR_INCLUDED_BYTES] = 2;
    assert_int_equal(mr_included_decode(back, 3, &count, bytes, length, &used, &error), 0);
    /* counts whose bytes would wrap 32 bits: 214748365 * 20 is 4 */
    static const uint32_t counts[] = {4, 214748365, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        mr_be32_put(bytes, counts[i]);
        assert_int_equal(mr_included_decode(back, UINT32_MAX, &count, bytes, length, &used, &error),
                         -1);
        assert_non_null(strstr(error.text, "cut short"));
    }
}

static void test_set_hash(void **state)
{
    (void)state;
    struct mr_included entries[2] = {{{1}, 0}, {{2}, 1}};
    uint8_t hash[32] = {1}, first[32], other[32];
    assert_int_equal(mr_included_hash(first, hash, entries, 2), 0);
    assert_int_equal(mr_included_hash(other, hash, entries, 1), 0);
    assert_memory_not_equal(first, other, 32);
    entries[1].attempt = 0;
    assert_int_equal(mr_included_hash(other, hash, entries, 2), 0);
    assert_memory_not_equal(first, other, 32);
    entries[1].attempt = 1;
    hash[0] = 2;
    assert_int_equal(mr_included_hash(other, hash, entries, 2), 0);
    assert_memory_not_equal(first, other, 32);
}

static void test_commitment(void **state)
{
    (void)state;
    struct world w;
    uint8_t nonce[MR_NONCE_BYTES] = {1}, result[128] = {2}, bytes[MR_COMMITMENT_BYTES], value[32];
    struct mr_commitment c = {.hub_index = 300}, back;
    world_init(&w);
    assert_int_equal(mr_commitment_compute(c.value, w.hash, w.set_hash, 300, nonce, result, 128),
                     0);
    assert_int_equal(mr_commitment_sign(&c, w.hash, PAIR_OF(w.private_key)), 0);
    mr_commitment_encode(bytes, &c);
    mr_commitment_decode(&back, bytes);
    assert_int_equal(back.hub_index, 300);
    assert_memory_equal(back.value, c.value, 32);
    assert_int_equal(mr_commitment_verify(&back, w.hash, w.public_key), 0);
    assert_int_equal(mr_commitment_verify(&back, w.hash, w.other_public), -1);
    assert_int_equal(mr_commitment_verify(&back, w.set_hash, w.public_key), -1);
    back.hub_index++;
    assert_int_equal(mr_commitment_verify(&back, w.hash, w.public_key), -1);
    for (size_t byte = 0; byte < MR_COMMITMENT_BYTES; byte++) {
        bytes[byte] ^= 1;
        mr_commitment_decode(&back, bytes);
        assert_int_equal(mr_commitment_verify(&back, w.hash, w.public_key), -1);
        bytes[byte] ^= 1;
    }
    /* the value binds every input */
    result[127] ^= 1;
    mr_commitment_compute(value, w.hash, w.set_hash, 300, nonce, result, 128);
    assert_memory_not_equal(value, c.value, 32);
    result[127] ^= 1;
    nonce[31] ^= 1;
    mr_commitment_compute(value, w.hash, w.set_hash, 300, nonce, result, 128);
    assert_memory_not_equal(value, c.value, 32);
    nonce[31] ^= 1;
    mr_commitment_compute(value, w.hash, w.set_hash, 301, nonce, result, 128);
    assert_memory_not_equal(value, c.value, 32);
    mr_commitment_compute(value, w.hash, w.hash, 300, nonce, result, 128);
    assert_memory_not_equal(value, c.value, 32);
    mr_commitment_compute(value, w.hash, w.set_hash, 300, nonce, result, 127);
    assert_memory_not_equal(value, c.value, 32);
}

static void test_model(void **state)
{
    (void)state;
    struct world w;
    uint8_t s[MR_SIGNATURE_BYTES], model[32] = {8};
    world_init(&w);
    assert_int_equal(mr_model_sign(s, w.hash, w.set_hash, model, PAIR_OF(w.private_key)), 0);
    assert_int_equal(mr_model_verify(s, w.hash, w.set_hash, model, w.public_key), 0);
    assert_int_equal(mr_model_verify(s, w.hash, w.set_hash, model, w.other_public), -1);
    assert_int_equal(mr_model_verify(s, w.set_hash, w.hash, model, w.public_key), -1);
    model[31] ^= 1;
    assert_int_equal(mr_model_verify(s, w.hash, w.set_hash, model, w.public_key), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_included_round_trip),
        cmocka_unit_test(test_included_wrong),
        cmocka_unit_test(test_set_hash),
        cmocka_unit_test(test_commitment),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
