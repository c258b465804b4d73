/* test_receipt.c - receipts: what they say, who can have made them, and the count lane that they
 * open. */
#include "wire_test.h"

#include "kernels/kernels.h"
#include "wire/receipt.h"
#include "wire/share.h"

static struct mr_error error;

struct scene {
    uint8_t private_key[32];
    uint8_t hash[32], client[16], seed[MR_SEED_BYTES], sealed_hash[32];
    struct mr_key_scope scope;
    struct mr_layout layout;
    struct mr_receipt receipt; /* with the proof */
};

static void fill(struct mr_receipt *receipt, const struct scene *s)
{
    assert_int_equal(mr_receipt_fill(receipt, s->seed, s->sealed_hash, &s->scope, &s->layout), 0);
}

static void scene_init(struct scene *s)
{
    memset(s, 0, sizeof *s);
    memset(s->private_key, 3, 32);
    memset(s->hash, 4, 32);
    memset(s->client, 6, 16);
    memset(s->seed, 8, MR_SEED_BYTES);
    memset(s->sealed_hash, 9, 32);
    s->scope = (struct mr_key_scope){"digits", s->hash, s->client, 2, 5};
    assert_int_equal(mr_layout_init(&s->layout, 16, 100, 0, 1408), 0);
    fill(&s->receipt, s);
}

/* What the helper says of what it knows is not what the device computes; also where the mask, which
 * follows from the seed, were the same by chance. */
static void expect_unproven(const struct scene *s)
{
    struct mr_receipt said;
    fill(&said, s);
    assert_false(mr_receipt_proves(&said, &s->receipt));
    said.count_mask = s->receipt.count_mask;
    said.hub_index = s->receipt.hub_index;
    assert_false(mr_receipt_proves(&said, &s->receipt));
}

/* Every part of what is proven matters. */
static void test_proof(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s);
    struct mr_receipt again;
    fill(&again, &s);
    assert_true(mr_receipt_proves(&again, &s.receipt));
    s.scope.task = "digitz";
    expect_unproven(&s);
    s.scope.task = "digits";
    s.scope.hub_index = 3;
    expect_unproven(&s);
    s.scope.hub_index = 2;
    s.scope.attempt = 4;
    expect_unproven(&s);
    s.scope.attempt = 5;
    uint8_t *const parts[] = {&s.client[15], &s.hash[0], &s.sealed_hash[0], &s.seed[31]};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i] ^= 1;
        expect_unproven(&s);
        *parts[i] ^= 1;
    }
    uint8_t *const bytes[] = {&again.proof[0], &again.proof[MR_RECEIPT_MAC_BYTES - 1]};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        *bytes[i] ^= 1;
        assert_false(mr_receipt_proves(&again, &s.receipt));
        *bytes[i] ^= 1;
    }
    again.count_mask++;
    assert_false(mr_receipt_proves(&again, &s.receipt));
    again.count_mask--;
    again.hub_index++;
    assert_false(mr_receipt_proves(&again, &s.receipt));
}

/* The proof is of the count mask: a layout in which the mask's lane lies elsewhere has another. */
static void test_proof_of_the_mask(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s);
    assert_int_equal(mr_layout_init(&s.layout, 16, 5000, 0, 1408), 0);
    expect_unproven(&s);
}

static void expect_mac(struct scene *s, const uint8_t *key, bool holds)
{
    assert_int_equal(mr_receipt_mac_holds(&s->receipt, &s->scope, key), holds);
}

/* Every part of what the MAC covers matters; and none is not a good one. */
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
    uint8_t *const parts[] = {&s.client[15], &s.hash[0], &s.receipt.mac[0],
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
    s.scope.hub_index = 3;
    expect_mac(&s, key, false);
    s.scope.hub_index = 2;
    s.hash[0] ^= 1; /* another round's key */
    assert_int_equal(mr_receipt_key(other, s.hash, s.private_key), 0);
    s.hash[0] ^= 1;
    expect_mac(&s, other, false);
    expect_mac(&s, s.seed, false);
    expect_mac(&s, key, true);
}

/* The hash of a seed is of its scope too: two devices with one seed do not show it. */
static void test_seed_hash(void **state)
{
    (void)state;
    struct scene s;
    uint8_t first[MR_HASH_BYTES], second[MR_HASH_BYTES];
    scene_init(&s);
    assert_int_equal(mr_seed_hash(first, s.seed, &s.scope), 0);
    s.seed[0] ^= 1;
    assert_int_equal(mr_seed_hash(second, s.seed, &s.scope), 0);
    assert_memory_not_equal(first, second, sizeof first);
    s.seed[0] ^= 1;
    s.scope.attempt = 6;
    assert_int_equal(mr_seed_hash(second, s.seed, &s.scope), 0);
    assert_memory_not_equal(first, second, sizeof first);
}

static void test_bytes(void **state)
{
    (void)state;
    struct scene s;
    struct mr_receipt back = {.proof = {0}};
    uint8_t bytes[MR_RECEIPT_BYTES], again[MR_RECEIPT_BYTES], answer[MR_RECEIPT_ANSWER_BYTES];
    scene_init(&s);
    assert_int_equal(MR_RECEIPT_ANSWER_BYTES, 38);
    assert_int_equal(MR_RECEIPT_BYTES, 22);
    memset(s.receipt.mac, 5, MR_RECEIPT_MAC_BYTES);
    mr_receipt_encode(bytes, &s.receipt);
    mr_receipt_decode(&back, bytes);
    assert_int_equal(back.hub_index, 2);
    assert_int_equal(back.count_mask, s.receipt.count_mask);
    assert_memory_equal(back.mac, s.receipt.mac, MR_RECEIPT_MAC_BYTES);
    assert_false(mr_receipt_proves(&back, &s.receipt)); /* the lead is not told the proof */
    mr_receipt_encode(again, &back);
    assert_memory_equal(bytes, again, sizeof bytes);
    mr_receipt_answer_encode(answer, &s.receipt);
    memset(&back, 0, sizeof back);
    assert_int_equal(mr_receipt_answer_decode(&back, answer, sizeof answer, &error), 0);
    assert_true(mr_receipt_proves(&back, &s.receipt));
    assert_memory_equal(back.mac, s.receipt.mac, MR_RECEIPT_MAC_BYTES);
    assert_int_equal(mr_receipt_answer_decode(&back, answer, sizeof answer - 1, &error), -1);
    assert_non_null(strstr(error.text, "38 bytes"));
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
        cmocka_unit_test(test_proof), cmocka_unit_test(test_proof_of_the_mask),
        cmocka_unit_test(test_mac),   cmocka_unit_test(test_seed_hash),
        cmocka_unit_test(test_bytes), cmocka_unit_test(test_count_lane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
