/* test_release_file.c - a file is what a release says if each of its blocks is, whichever kernels
 * hash them and wherever the last one ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "base/assert.h"
#include "wire/release_trust.h"

#define BLOCK_LOG2 8
#define BLOCK      ((size_t)1 << BLOCK_LOG2)
#define BLOCKS     5

static uint8_t hashes[BLOCKS * MR_HASH_BYTES];

static struct mr_release release_of(const uint8_t *bytes, size_t length)
{
    struct mr_release release = {
        .target_bytes = length, .block_log2 = BLOCK_LOG2, .blocks = hashes};
    for (size_t at = 0; at < length; at += BLOCK) {
        SHA256(bytes + at, length - at < BLOCK ? length - at : BLOCK,
               hashes + MR_HASH_BYTES * release.block_count++);
    }
    return release;
}

/* The file, and then the same with one bit turned in each block. */
static void check(const struct mr_kernels *kernels, uint8_t *bytes, size_t length)
{
    const struct mr_release release = release_of(bytes, length);
    assert_true(mr_release_file_holds(&release, bytes, length, kernels));
    assert_false(mr_release_file_holds(&release, bytes, length - 1, kernels));
    for (size_t at = 0; at < length; at += BLOCK) {
        const size_t here = length - at < BLOCK ? length - at : BLOCK;
        uint8_t *byte = bytes + at + (size_t)rand() % here;
        *byte ^= 1u << (rand() % 8);
        assert_false(mr_release_file_holds(&release, bytes, length, kernels));
        *byte = 0;
        const struct mr_release other = release_of(bytes, length);
        assert_true(mr_release_file_holds(&other, bytes, length, kernels));
    }
}

static void test_blocks(void **state)
{
    (void)state;
    srand(1);
    for (enum mr_cpu_level level = MR_CPU_SCALAR; level <= MR_CPU_NEON; level <<= 1) {
        const struct mr_kernels *kernels = mr_kernels_at(level);
        for (size_t length = 1; kernels && length <= BLOCKS * BLOCK;
             length += length < 300 ? 1 : 37) {
            uint8_t *bytes = malloc(length); /* just so long: what is read behind it is noticed */
            MR_ASSERT(bytes);
            for (size_t i = 0; i < length; i++) {
                bytes[i] = (uint8_t)rand();
            }
            check(kernels, bytes, length);
            free(bytes);
        }
    }
}

/* Fewer hashes than blocks, or more. */
static void test_count(void **state)
{
    uint8_t bytes[4 * BLOCK] = {0};
    struct mr_release release = release_of(bytes, sizeof bytes);
    const struct mr_kernels *kernels = mr_kernels_select(UINT32_MAX);
    (void)state;
    assert_true(mr_release_file_holds(&release, bytes, sizeof bytes, kernels));
    release.block_count--;
    assert_false(mr_release_file_holds(&release, bytes, sizeof bytes, kernels));
    release.block_count += 2;
    assert_false(mr_release_file_holds(&release, bytes, sizeof bytes, kernels));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
