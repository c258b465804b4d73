#include "appliance/upload/http_upload.h"

#include <stdlib.h>
#include <string.h>

#include "appliance/upload/session.h"
#include "base/assert.h"
#include "wire/share.h"

int mr_lane_open(struct mr_lane *lane, uint8_t number, uint32_t sessions, uint32_t slots,
                 uint64_t share_bytes_max, uint64_t accumulator_bytes, struct mr_error *error)
{
    memset(lane, 0, sizeof *lane);
    lane->count_lanes = calloc(sessions, sizeof *lane->count_lanes);
    if (!lane->count_lanes || mr_worker_view_open(&lane->view, number, sessions, slots) != 0) {
        mr_lane_close(lane);
        return mr_error_set(error, "out of memory for HTTP/2 uploads");
    }
    if (mr_pages_map(&lane->aligned, share_bytes_max, "HTTP/2 uploads", error) != 0 ||
        mr_pages_map(&lane->accumulators, accumulator_bytes, "accumulators", error) != 0) {
        mr_lane_close(lane);
        return -1;
    }
    return 0;
}

void mr_lane_close(struct mr_lane *lane)
{
    mr_worker_view_close(&lane->view);
    free(lane->count_lanes);
    lane->count_lanes = NULL;
    mr_pages_unmap(&lane->accumulators);
    mr_pages_unmap(&lane->aligned);
}

void mr_lane_begin(struct mr_lane *lane, uint8_t round, const struct mr_layout *layout,
                   uint64_t accumulators_at, uint32_t capacity, bool keep)
{
    struct mr_lane_round *of = &lane->rounds[round];
    uint8_t *memory = (uint8_t *)lane->accumulators.base + accumulators_at;

    of->layout = *layout;
    of->active = 0;
    of->keep = keep;
    mr_shard_init(&of->shards[0], memory, layout, capacity);
    mr_shard_init(&of->shards[1], memory + mr_shard_block_bytes(layout, capacity), layout,
                  capacity);
}

/* Lets go of the shares that the shard's uploads left here; how many there were. */
static uint32_t drop_kept(struct mr_lane *lane, struct mr_lane_round *of, struct mr_shard *shard)
{
    const uint32_t kept = of->keep ? shard->count : 0;

    for (uint32_t i = 0; i < kept; i++) {
        free((void *)(uintptr_t)shard->shares[i]);
    }
    lane->view.slots_free += kept;
    return kept;
}

void mr_lane_end(struct mr_lane *lane, uint8_t round)
{
    const uint32_t receiving = lane->view.receiving;
    struct mr_lane_round *of = &lane->rounds[round];

    for (unsigned i = 0; i < 2; i++) {
        (void)drop_kept(lane, of, &of->shards[i]);
        of->shards[i].count = 0;
    }

    mr_worker_view_end_round(&lane->view, round);
    lane->view.slots_free += receiving - lane->view.receiving;
}

void mr_lane_expect(struct mr_lane *lane, uint64_t upload_id, uint32_t count_lane)
{
    lane->count_lanes[mr_upload_id_index(upload_id)] = count_lane;
}

bool mr_lane_takes(const struct mr_lane *lane, const struct mr_worker_view_entry *entry,
                   size_t length)
{
    return entry->state == MR_VIEW_RECEIVING &&
           length == lane->rounds[entry->round].layout.share_bytes;
}

/* The share where it may be folded from, and stays if it is kept; NULL: no memory. */
static const uint8_t *place_of(const struct mr_lane *lane, const struct mr_lane_round *of,
                               const uint8_t *share)
{
    const size_t bytes = (size_t)of->layout.share_bytes;
    uint8_t *copy = lane->aligned.base;

    if (!of->keep && (uintptr_t)share % 64 == 0) {
        return share;
    }
    if (of->keep) {
        copy = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    }
    if (copy) {
        memcpy(copy, share, bytes);
    }
    return copy;
}

enum mr_lane_put mr_lane_put(struct mr_lane *lane, struct mr_worker_view_entry *entry,
                             const uint8_t *share, const struct mr_kernels *kernels)
{
    struct mr_lane_round *of = &lane->rounds[entry->round];

    if (mr_share_count(share, &of->layout) !=
        lane->count_lanes[mr_upload_id_index(entry->upload_id)]) {
        lane->unsound_total++;
        return MR_LANE_UNSOUND;
    }
    share = place_of(lane, of, share);
    if (!share) {
        return MR_LANE_NO_MEMORY;
    }
    mr_shard_fold(&of->shards[of->active], &of->layout, &share, &entry->upload_id, 1, kernels);
    if (of->keep) {
        mr_shard_note(&of->shards[of->active], &share, 1);
    } else {
        lane->view.slots_free++;
    }
    mr_worker_view_staged(&lane->view, entry);
    lane->staged_total++;
    return MR_LANE_FOLDED;
}

bool mr_lane_drop(struct mr_lane *lane, struct mr_worker_view_entry *entry)
{
    if (entry->state != MR_VIEW_RECEIVING) {
        return false;
    }
    mr_worker_view_ended(&lane->view, entry);
    lane->view.slots_free++;
    return true;
}

struct mr_shard *mr_lane_collect(struct mr_lane *lane, uint8_t round)
{
    struct mr_lane_round *of = &lane->rounds[round];
    struct mr_shard *shard = &of->shards[of->active];

    of->active ^= 1u;
    return shard;
}

uint32_t mr_lane_freeze(struct mr_lane *lane, uint8_t round)
{
    const uint32_t ended = mr_worker_view_end_receiving(&lane->view, round);

    lane->view.slots_free += ended;
    return ended;
}

uint32_t mr_lane_return(struct mr_lane *lane, uint8_t round)
{
    struct mr_lane_round *of = &lane->rounds[round];
    struct mr_shard *shard = &of->shards[of->active ^ 1u];
    const uint32_t freed = drop_kept(lane, of, shard);

    if (shard->count > 0) {
        mr_shard_clear(shard, &of->layout);
    }
    return freed;
}
