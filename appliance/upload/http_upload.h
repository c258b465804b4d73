/* http_upload.h - uploads that come whole over HTTP/2: a lane of the upload plane on the loop's
 * thread, with shards of its own. Needs no slots: a share arrives in one piece and is folded at
 * once. */
#ifndef MR_UPLOAD_HTTP_UPLOAD_H
#define MR_UPLOAD_HTTP_UPLOAD_H

#include "appliance/aggregate/shard.h"
#include "appliance/upload/worker_view.h"

struct mr_lane {
    struct mr_worker_view view; /* the lane's sessions themselves */
    struct mr_shard shards[2];
    unsigned active;
    struct mr_pages aligned; /* one share, for bodies that are not 64-byte aligned */
    struct mr_layout layout;
    uint64_t staged_total; /* for metrics */
};

int mr_lane_open(struct mr_lane *lane, uint8_t number, uint32_t sessions, uint32_t slots,
                 uint64_t share_bytes_max, struct mr_error *error);
void mr_lane_close(struct mr_lane *lane); /* safe on a zeroed struct */
void mr_lane_begin(struct mr_lane *lane, const struct mr_layout *layout);

/* Folds the share of a receiving upload. 0, or -1 for another id or length. */
int mr_lane_put(struct mr_lane *lane, uint64_t upload_id, const uint8_t *share, size_t length,
                const struct mr_kernels *kernels);
/* Ends a receiving upload; false if it is not receiving. */
bool mr_lane_drop(struct mr_lane *lane, struct mr_worker_view_entry *entry);

/* Hands the shard over; later shares go into the other one until it comes back. */
struct mr_shard *mr_lane_collect(struct mr_lane *lane, bool freeze);
void mr_lane_return(struct mr_lane *lane);

#endif
