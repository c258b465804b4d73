#include "appliance/upload/http_upload.h"

#include <string.h>

#include "base/assert.h"

int mr_lane_open(struct mr_lane *lane, uint8_t number, uint32_t sessions, uint32_t slots,
                 uint64_t share_bytes_max, struct mr_error *error)
{
    memset(lane, 0, sizeof *lane);
    if (mr_worker_view_open(&lane->view, number, sessions, slots) != 0) {
        return mr_error_set(error, "out of memory for HTTP/2 uploads");
    }
    if (mr_pages_map(&lane->aligned, share_bytes_max, "HTTP/2 uploads", error) != 0 ||
        mr_shard_open(&lane->shards[0], share_bytes_max, sessions, error) != 0 ||
        mr_shard_open(&lane->shards[1], share_bytes_max, sessions, error) != 0) {
        mr_lane_close(lane);
        return -1;
    }
    return 0;
}

void mr_lane_close(struct mr_lane *lane)
{
    mr_worker_view_close(&lane->view);
    mr_shard_close(&lane->shards[0]);
    mr_shard_close(&lane->shards[1]);
    mr_pages_unmap(&lane->aligned);
}

void mr_lane_begin(struct mr_lane *lane, const struct mr_layout *layout)
{
    lane->layout = *layout;
    mr_worker_view_begin(&lane->view);
    mr_shard_clear(&lane->shards[0], layout);
    mr_shard_clear(&lane->shards[1], layout);
}

int mr_lane_put(struct mr_lane *lane, uint64_t upload_id, const uint8_t *share, size_t length,
                const struct mr_kernels *kernels)
{
    struct mr_worker_view_entry *entry = mr_worker_view_find(&lane->view, upload_id);

    if (!entry || entry->state != MR_MIRROR_RECEIVING || length != lane->layout.share_bytes) {
        return -1;
    }
    if ((uintptr_t)share % 64 != 0) {
        memcpy(lane->aligned.base, share, length);
        share = lane->aligned.base;
    }
    mr_shard_fold(&lane->shards[lane->active], &lane->layout, &share, &upload_id, 1, kernels);
    mr_worker_view_staged(&lane->view, entry);
    lane->view.slots_free++;
    lane->staged_total++;
    return 0;
}

bool mr_lane_drop(struct mr_lane *lane, struct mr_worker_view_entry *entry)
{
    if (entry->state != MR_MIRROR_RECEIVING) {
        return false;
    }
    mr_worker_view_ended(&lane->view, entry);
    lane->view.slots_free++;
    return true;
}

struct mr_shard *mr_lane_collect(struct mr_lane *lane, bool freeze)
{
    struct mr_shard *shard = &lane->shards[lane->active];

    if (freeze) {
        lane->view.slots_free += lane->view.receiving;
        mr_worker_view_end_receiving(&lane->view);
    }
    lane->active ^= 1u;
    return shard;
}

void mr_lane_return(struct mr_lane *lane)
{
    struct mr_shard *shard = &lane->shards[lane->active ^ 1u];

    if (shard->count > 0) {
        mr_shard_clear(shard, &lane->layout);
    }
}
