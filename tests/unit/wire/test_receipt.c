/* test_receipt.c - receipts: what they say, who signed it, and the count lane that they open. */
#include "wire_test.h"

#include "kernels/kernels.h"
#include "wire/receipt.h"
#include "wire/share.h"

static struct mr_error error;

struct scene {
    uint8_t private_key[32], public_key[32], other_public[32];
    uint8_t hash[32], client[16], seed[MR_SEED_BYTES], sealed_hash[32];
    struct mr_signing_pair pair;
    struct mr_key_scope scope;
    struct mr_layout layout;
    struct mr_receipt receipt; /* signed */
};

static void scene_init(struct scene *s)
{
    uint8_t other[32] = {7};
    memset(s->private_key, 3, 32);
    memset(s->hash, 4, 32);
    memset(s->client, 6, 16);
    memset(s->seed, 8, MR_SEED_BYTES);
    memset(s->sealed_hash, 9, 32);
    test_public_key(s->public_key, s->private_key);
    test_public_key(s->other_public, other);
    assert_int_equal(mr_signing_pair_derive(&s->pair, s->private_key), 0);
    assert_memory_equal(s->pair.public_key, s->public_key, sizeof s->pair.public_key);
    s->scope = (struct mr_key_scope){"digits", s->hash, s->client, 2, 5};
    assert_int_equal(mr_layout_init(&s->layout, 16, 100, 0, 1408), 0);
    assert_int_equal(mr_receipt_fill(&s->receipt, s->seed, s->sealed_hash, &s->scope, &s->layout),
                     0);
    assert_int_equal(mr_receipt_sign(&s->receipt, &s->scope, &s->pair), 0);
}

static void expect_refused(struct scene *s)
{
    assert_int_equal(mr_receipt_verify(&s->receipt, &s->scope, s->public_key), -1);
}

/* Every part of what is signed matters. */
static void test_signed(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s);
    struct mr_receipt again = s.receipt;
    assert_int_equal(mr_receipt_sign(&again, &s.scope, &s.pair), 0);
    assert_memory_equal(again.signature, s.receipt.signature, MR_SIGNATURE_BYTES);
    assert_int_equal(mr_receipt_verify(&s.receipt, &s.scope, s.public_key), 0);
    assert_int_equal(mr_receipt_verify(&s.receipt, &s.scope, s.other_public), -1);
    s.scope.task = "digitz";
    expect_refused(&s);
    s.scope.task = "digits";
    s.scope.hub_index = 3;
    expect_refused(&s);
    s.scope.hub_index = 2;
    s.scope.attempt = 4;
    expect_refused(&s);
    s.scope.attempt = 5;
    uint8_t *const parts[] = {&s.client[15], &s.hash[0], &s.receipt.seed_hash[31],
                              &s.receipt.sealed_hash[0], &s.receipt.signature[0]};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i] ^= 1;
        expect_refused(&s);
        *parts[i] ^= 1;
    }
    s.receipt.count_mask++;
    expect_refused(&s);
}

static void expect_mac(struct scene *s, const uint8_t *key, bool holds)
{
    assert_int_equal(mr_receipt_mac_holds(&s->receipt, &s->scope, key), holds);
}

/* Every part of what the MAC covers matters, the signature too; and none is not a good one. */
static void test_mac(void **state)
{
    (void)state;
    struct scene s;
    uint8_t key[MR_RECEIPT_KEY_BYTES], other[MR_RECEIPT_KEY_BYTES];
    scene_init(&s);
    assert_int_equal(mr_receipt_key(key, s.hash, s.private_key), 0);
    memset(s.receipt.mac, 0, MR_RECEIPT_MAC_BYTES);
    expect_mac(&s, key, false);
    assert_int_equal(mr_receipt_mac_make(&s.receipt, &s.scope, key), 0);
    expect_mac(&s, key, true);
    uint8_t *const parts[] = {&s.client[15],
                              &s.hash[0],
                              &s.receipt.seed_hash[31],
                              &s.receipt.sealed_hash[0],
                              &s.receipt.signature[63],
                              &s.receipt.mac[0],
                              &s.receipt.mac[MR_RECEIPT_MAC_BYTES - 1]};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i] ^= 1;
        expect_mac(&s, key, false);
        *parts[i] ^= 1;
    }
    s.receipt.count_mask++;
    expect_mac(&s, key, false);
    s.receipt.count_mask--;
    s.scope.attempt = 4;
    expect_mac(&s, key, false);
    s.scope.attempt = 5;
    s.hash[0] ^= 1; /* another round's key */
    assert_int_equal(mr_receipt_key(other, s.hash, s.private_key), 0);
    s.hash[0] ^= 1;
    expect_mac(&s, other, false);
    expect_mac(&s, key, true);
}

/* The hash of a seed is of its scope too: two devices with one seed do not show it. */
static void test_says_which_seed(void **state)
{
    (void)state;
    struct scene s;
    struct mr_receipt other;
    scene_init(&s);
    assert_memory_equal(s.receipt.sealed_hash, s.sealed_hash, 32);
    assert_int_equal(s.receipt.hub_index, 2);
    s.seed[0] ^= 1;
    assert_int_equal(mr_receipt_fill(&other, s.seed, s.sealed_hash, &s.scope, &s.layout), 0);
    assert_memory_not_equal(other.seed_hash, s.receipt.seed_hash, 32);
    assert_int_not_equal(other.count_mask, s.receipt.count_mask);
    s.seed[0] ^= 1;
    s.scope.attempt = 6;
    assert_int_equal(mr_receipt_fill(&other, s.seed, s.sealed_hash, &s.scope, &s.layout), 0);
    assert_memory_not_equal(other.seed_hash, s.receipt.seed_hash, 32);
    assert_int_not_equal(other.count_mask, s.receipt.count_mask);
}

static void test_bytes(void **state)
{
    (void)state;
    struct scene s;
    struct mr_receipt back;
    uint8_t bytes[MR_RECEIPT_BYTES], again[MR_RECEIPT_BYTES], answer[MR_RECEIPT_ANSWER_BYTES];
    scene_init(&s);
    assert_int_equal(MR_RECEIPT_ANSWER_BYTES, 86);
    assert_int_equal(MR_RECEIPT_BYTES, 150);
    memset(s.receipt.mac, 5, MR_RECEIPT_MAC_BYTES);
    mr_receipt_encode(bytes, &s.receipt);
    memset(&back, 1, sizeof back);
    mr_receipt_decode(&back, bytes);
    assert_int_equal(mr_receipt_verify(&back, &s.scope, s.public_key), 0);
    mr_receipt_encode(again, &back);
    assert_memory_equal(bytes, again, sizeof bytes);
    mr_receipt_answer_encode(answer, &s.receipt);
    back = s.receipt;
    back.count_mask = back.hub_index = 0;
    memset(back.signature, 0, MR_SIGNATURE_BYTES);
    memset(back.mac, 0, MR_RECEIPT_MAC_BYTES);
    assert_int_equal(mr_receipt_answer_decode(&back, answer, sizeof answer, &error), 0);
    assert_int_equal(mr_receipt_verify(&back, &s.scope, s.public_key), 0);
    assert_int_equal(back.hub_index, 2);
    assert_memory_equal(back.mac, s.receipt.mac, MR_RECEIPT_MAC_BYTES);
    assert_int_equal(mr_receipt_answer_decode(&back, answer, sizeof answer - 1, &error), -1);
    assert_non_null(strstr(error.text, "86 bytes"));
}

/* A share whose masks are the receipts' opens to the device's count, at every width and number of
 * helpers; with one seed of another, it does not. */
static void test_count_lane(void **state)
{
    (void)state;
    static const uint8_t widths[] = {16, 24, 32};
    const struct mr_kernels *kernels = mr_kernels_select(UINT32_MAX);
    struct scene s;
    scene_init(&s);
    for (unsigned w = 0; w < 3; w++) {
        for (unsigned helpers = 1; helpers < MR_HUBS_MAX; helpers++) {
            struct mr_receipt receipts[MR_HUBS_MAX];
            const uint32_t trailer[MR_TRAILER_LANES] = {1, 5, 77};
            assert_int_equal(mr_layout_init(&s.layout, widths[w], 1000, 6, 1408), 0);
            int8_t *q = calloc(s.layout.lanes, 1);
            uint8_t *share = aligned_alloc(64, s.layout.share_bytes);
            assert_true(q && share);
            mr_share_lift(share, &s.layout, q, trailer, kernels);
            for (unsigned i = 0; i < helpers; i++) {
                struct mr_mask_stream mask;
                s.scope.hub_index = (uint16_t)(i + 1);
                s.seed[1] = (uint8_t)i;
                assert_int_equal(
                    mr_receipt_fill(&receipts[i], s.seed, s.sealed_hash, &s.scope, &s.layout), 0);
                assert_int_equal(mr_mask_derive(&mask, s.seed, &s.scope), 0);
                mr_share_mask(share, &s.layout, &mask, kernels);
            }
            assert_int_equal(mr_share_count(share, &s.layout),
                             mr_receipts_count_lane(receipts, helpers));
            s.seed[1] ^= 0x40;
            assert_int_equal(
                mr_receipt_fill(&receipts[0], s.seed, s.sealed_hash, &s.scope, &s.layout), 0);
            assert_int_not_equal(mr_share_count(share, &s.layout),
                                 mr_receipts_count_lane(receipts, helpers));
            free(share);
            free(q);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signed),          cmocka_unit_test(test_mac),
        cmocka_unit_test(test_says_which_seed), cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_count_lane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
