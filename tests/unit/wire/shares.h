/* shares.h - memory and masks for tests of shares and sums. */
#ifndef MR_TEST_WIRE_SHARES_H
#define MR_TEST_WIRE_SHARES_H

#include "tests/unit/wire/wire_test.h"

#include "wire/share.h"

static inline void *aligned(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(p);
    return p;
}

static inline void mask_of(struct mr_mask_stream *mask, unsigned client, unsigned helper)
{
    uint8_t seed[MR_SEED_BYTES] = {1, (uint8_t)client, (uint8_t)(client >> 8), (uint8_t)helper};
    uint8_t hash[32] = {5}, id[16] = {(uint8_t)client};
    struct mr_key_scope scope = {"default", hash, id, (uint16_t)(helper + 1), 0};
    assert_int_equal(mr_mask_derive(mask, seed, &scope), 0);
}

#endif
