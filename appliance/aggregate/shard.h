/* shard.h - a worker's accumulator: the sum of whole shares, and whose they are.
 *
 * The list of ids and the sum always belong together: a share enters both or neither, whole. One
 * owner at a time; handing the pointer over hands the shard over. */
#ifndef MR_AGGREGATE_SHARD_H
#define MR_AGGREGATE_SHARD_H

#include "appliance/runtime/pages.h"
#include "kernels/kernels.h"
#include "appliance/aggregate/sum.h"

struct mr_shard {
    struct mr_vector_sum sum;
    uint64_t *upload_ids;
    /* The shares themselves, for whoever keeps them until the shard is cleared; only over the
     * caller's memory, and only filled by who folds (mr_shard_note). */
    const uint8_t **shares;
    uint32_t count;
    uint32_t capacity;
    struct mr_pages lanes; /* of mr_shard_open; zeros over the caller's memory */
};

/* Bytes of the lists of `capacity` uploads. */
uint64_t mr_shard_list_bytes(uint32_t capacity);
/* Bytes of memory that a shard takes for `capacity` uploads of that layout. */
uint64_t mr_shard_block_bytes(const struct mr_layout *layout, uint32_t capacity);
/* An empty shard over the caller's memory, so many bytes, 64-byte aligned. Not to be closed. */
void mr_shard_init(struct mr_shard *shard, void *memory, const struct mr_layout *layout,
                   uint32_t capacity);

/* Memory for shares of up to share_bytes_max bytes at any ring width and `capacity` uploads, backed
 * by the calling thread. 0 or -1. */
int mr_shard_open(struct mr_shard *shard, uint64_t share_bytes_max, uint32_t capacity,
                  struct mr_error *error);
void mr_shard_close(struct mr_shard *shard); /* safe on a zeroed struct */

/* Bytes that mr_shard_open maps for the lanes. */
uint64_t mr_shard_bytes(uint64_t share_bytes_max);

/* Empties the shard for vectors of that layout. */
void mr_shard_clear(struct mr_shard *shard, const struct mr_layout *layout);

/* Adds `count` (1..MR_FOLD_MAX) whole shares, 64-byte aligned, in one pass; the shard must have
 * room for their ids. No allocation. */
void mr_shard_fold(struct mr_shard *shard, const struct mr_layout *layout,
                   const uint8_t *const *shares, const uint64_t *upload_ids, unsigned count,
                   const struct mr_kernels *kernels);

/* Notes where the newest `count` of the shard's shares are. */
void mr_shard_note(struct mr_shard *shard, const uint8_t *const *shares, unsigned count);

#endif
