#include "appliance/aggregate/shard.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

uint64_t mr_shard_bytes(uint64_t share_bytes_max)
{
    /* Most is added where lanes of 10 bits on the wire are 16 in the accumulator. */
    return share_bytes_max + share_bytes_max * 3 / 5 + 64;
}

uint64_t mr_shard_list_bytes(uint32_t capacity)
{
    const uint64_t each = sizeof(uint64_t) + sizeof(const uint8_t *);

    return (capacity * each + 63) / 64 * 64;
}

uint64_t mr_shard_block_bytes(const struct mr_layout *layout, uint32_t capacity)
{
    /* Lanes come in multiples of 64. */
    return mr_layout_accumulator_bytes(layout) + mr_shard_list_bytes(capacity);
}

void mr_shard_init(struct mr_shard *shard, void *memory, const struct mr_layout *layout,
                   uint32_t capacity)
{
    MR_ASSERT((uintptr_t)memory % 64 == 0);
    *shard = (struct mr_shard){.capacity = capacity, .sum.lanes = memory};
    shard->upload_ids =
        (uint64_t *)(void *)((uint8_t *)memory + mr_layout_accumulator_bytes(layout));
    shard->shares = (const uint8_t **)(void *)(shard->upload_ids + capacity);
    mr_sum_zero(&shard->sum, layout);
}

int mr_shard_open(struct mr_shard *shard, uint64_t share_bytes_max, uint32_t capacity,
                  struct mr_error *error)
{
    memset(shard, 0, sizeof *shard);
    shard->upload_ids = calloc(capacity, sizeof *shard->upload_ids);
    if (!shard->upload_ids) {
        return mr_error_set(error, "out of memory for the ids of %u uploads", capacity);
    }
    if (mr_pages_map(&shard->lanes, mr_shard_bytes(share_bytes_max), "an accumulator shard",
                     error) != 0) {
        mr_shard_close(shard);
        return -1;
    }
    shard->capacity = capacity;
    shard->sum.lanes = shard->lanes.base;
    return 0;
}

void mr_shard_close(struct mr_shard *shard)
{
    mr_pages_unmap(&shard->lanes);
    free(shard->upload_ids);
    memset(shard, 0, sizeof *shard);
}

void mr_shard_clear(struct mr_shard *shard, const struct mr_layout *layout)
{
    MR_ASSERT(!shard->lanes.base || mr_layout_accumulator_bytes(layout) <= shard->lanes.bytes);
    mr_sum_zero(&shard->sum, layout);
    shard->count = 0;
}

void mr_shard_fold(struct mr_shard *shard, const struct mr_layout *layout,
                   const uint8_t *const *shares, const uint64_t *upload_ids, unsigned count,
                   const struct mr_kernels *kernels)
{
    MR_ASSERT(count >= 1 && count <= MR_FOLD_MAX);
    MR_ASSERT(count <= shard->capacity - shard->count);
    mr_sum_fold(&shard->sum, layout, shares, count, kernels);
    memcpy(shard->upload_ids + shard->count, upload_ids, count * sizeof *upload_ids);
    shard->count += count;
}

void mr_shard_note(struct mr_shard *shard, const uint8_t *const *shares, unsigned count)
{
    MR_ASSERT(shard->shares && count <= shard->count);
    for (unsigned i = 0; i < count; i++) {
        shard->shares[shard->count - count + i] = shares[i];
    }
}
