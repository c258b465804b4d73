/* test_share.c - every lane of a share is masked; the seeds' scope matters. */
#include "shares.h"

/* No share byte is left as it was: each lane, the trailer's too, is masked. */
static void test_share_is_masked(void **state)
{
    (void)state;
    const struct mr_kernels *kernels = mr_kernels_select(UINT32_MAX);
    struct mr_layout layout;
    struct mr_mask_stream mask;
    uint32_t trailer[MR_TRAILER_LANES] = {1, 2};
    assert_int_equal(mr_layout_init(&layout, 32, 64, 0, 1408), 0);
    uint8_t *plain = aligned(layout.share_bytes), *share = aligned(layout.share_bytes);
    int8_t q[64] = {0};
    mr_share_lift(plain, &layout, q, trailer, kernels);
    memcpy(share, plain, layout.share_bytes);
    mask_of(&mask, 0, 0);
    mr_share_mask(share, &layout, &mask, kernels);
    for (size_t i = 0; i < layout.share_bytes;
         i += 4) { /* equal by chance: 2^-32 a lane, fixed seed */
        assert_memory_not_equal(share + i, plain + i, 4);
    }
    free(plain);
    free(share);
}

static void test_scope_of_a_seed(void **state)
{
    (void)state;
    uint8_t seed[32] = {1}, hash[32] = {2}, client[16] = {3};
    struct mr_mask_stream base, other;
    struct mr_key_scope scope = {"default", hash, client, 1, 0};
    assert_int_equal(mr_mask_derive(&base, seed, &scope), 0);
    assert_int_equal(mr_mask_derive(&other, seed, &scope), 0);
    assert_memory_equal(&base, &other, sizeof base);
    scope.attempt = 1;
    mr_mask_derive(&other, seed, &scope);
    assert_memory_not_equal(&base, &other, sizeof base);
    scope.attempt = 0;
    scope.hub_index = 2;
    mr_mask_derive(&other, seed, &scope);
    assert_memory_not_equal(&base, &other, sizeof base);
    scope.hub_index = 1;
    scope.task = "defaul";
    mr_mask_derive(&other, seed, &scope);
    assert_memory_not_equal(&base, &other, sizeof base);
    scope.task = "defaulx";
    mr_mask_derive(&other, seed, &scope);
    assert_memory_not_equal(&base, &other, sizeof base);
    scope.task = "default";
    client[15] = 1;
    mr_mask_derive(&other, seed, &scope);
    assert_memory_not_equal(&base, &other, sizeof base);
    client[15] = 0;
    hash[31] = 1;
    mr_mask_derive(&other, seed, &scope);
    assert_memory_not_equal(&base, &other, sizeof base);
    mr_rotation_derive(&base, seed, 1);
    mr_rotation_derive(&other, seed, 2);
    assert_memory_not_equal(&base, &other, sizeof base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_is_masked),
        cmocka_unit_test(test_scope_of_a_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
