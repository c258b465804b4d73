/* http_upload.h - uploads that come whole over HTTP/2: a lane of the upload plane on the loop's
 * thread, with shards of its own. Its slots are only counted: a share arrives in one piece and is
 * folded at once. In a round whose shares are kept it is copied, and its slot is taken until the
 * shard comes back. */
#ifndef MR_UPLOAD_HTTP_UPLOAD_H
#define MR_UPLOAD_HTTP_UPLOAD_H

#include "appliance/aggregate/shard.h"
#include "appliance/upload/limits.h"
#include "appliance/upload/worker_view.h"

struct mr_lane_round {
    struct mr_layout layout;
    struct mr_shard shards[2];
    unsigned active; /* the shard that is folded into */
    bool keep;
};

struct mr_lane {
    struct mr_worker_view view; /* the lane's sessions themselves */
    struct mr_lane_round rounds[MR_PLANE_ROUNDS_MAX];
    struct mr_pages accumulators; /* of all rounds */
    struct mr_pages aligned;      /* one share, for bodies that are not 64-byte aligned */
    uint32_t *count_lanes;        /* expected, by the index in the upload's id */
    uint64_t staged_total;        /* for metrics */
    uint64_t unsound_total;       /* likewise */
};

int mr_lane_open(struct mr_lane *lane, uint8_t number, uint32_t sessions, uint32_t slots,
                 uint64_t share_bytes_max, uint64_t accumulator_bytes, struct mr_error *error);
void mr_lane_close(struct mr_lane *lane); /* safe on a zeroed struct */
/* A round whose two shards of `capacity` uploads lie at that offset of the accumulators; `keep`:
 * until a shard comes back its shares are there. */
void mr_lane_begin(struct mr_lane *lane, uint8_t round, const struct mr_layout *layout,
                   uint64_t accumulators_at, uint32_t capacity, bool keep);
/* The round's uploads are forgotten, and those that were receiving give their slots back. */
void mr_lane_end(struct mr_lane *lane, uint8_t round);

/* What the count lane of an upload's share has to be; said when it is admitted. */
void mr_lane_expect(struct mr_lane *lane, uint64_t upload_id, uint32_t count_lane);
/* Whether the upload is receiving and its share has that length. */
bool mr_lane_takes(const struct mr_lane *lane, const struct mr_worker_view_entry *entry,
                   size_t length);
/* Folds the share of an upload that takes it, if its count lane is as expected. */
enum mr_lane_put {
    MR_LANE_FOLDED,
    MR_LANE_UNSOUND,   /* it is not, and nothing has changed */
    MR_LANE_NO_MEMORY, /* for the copy that is kept; likewise */
};
enum mr_lane_put mr_lane_put(struct mr_lane *lane, struct mr_worker_view_entry *entry,
                             const uint8_t *share, const struct mr_kernels *kernels);
/* Ends a receiving upload; false if it is not receiving. */
bool mr_lane_drop(struct mr_lane *lane, struct mr_worker_view_entry *entry);

/* Hands the round's shard over; later shares go into the other one until it comes back. */
struct mr_shard *mr_lane_collect(struct mr_lane *lane, uint8_t round);
/* No upload of the round is receiving any more; how many were. */
uint32_t mr_lane_freeze(struct mr_lane *lane, uint8_t round);
/* How many slots fell free by it. */
uint32_t mr_lane_return(struct mr_lane *lane, uint8_t round);

#endif
