/* Collections: the shards of a round come from the workers and go back. */
#include <string.h>

#include "appliance/upload/plane_internal.h"
#include "base/assert.h"

void mr_upload_plane_collect(struct mr_plane_round *round, bool freeze, mr_collected_fn collected,
                             void *context)
{
    struct mr_upload_plane *plane = round->plane;
    struct mr_plane_collecting *collecting = &round->collecting;
    const unsigned workers = plane->config.workers;

    MR_ASSERT(!collecting->running && !collecting->out);
    collecting->running = true;
    collecting->freeze = freeze;
    collecting->missing = workers;
    collecting->collected = collected;
    collecting->context = context;
    for (unsigned i = 0; i < workers; i++) {
        struct mr_worker_order *order = mr_worker_order(plane->workers[i]);
        order->kind = MR_ORDER_COLLECT;
        order->round = round->index;
        order->collect.freeze = freeze;
        mr_worker_send(plane->workers[i]);
    }
    collecting->shards[workers] = mr_lane_collect(&plane->lane, round->index);
    if (freeze) {
        const uint32_t ended = mr_lane_freeze(&plane->lane, round->index);
        round->held[workers] -= ended;
        round->uploads -= ended;
        round->open = false;
    }
}

void mr_plane_collected_from(struct mr_plane_round *round, unsigned worker, struct mr_shard *shard)
{
    if (round->collecting.freeze) {
        mr_plane_receiving_ended(round, &round->plane->views[worker]);
    }
    round->collecting.shards[worker] = shard;
    round->collecting.missing--;
}

void mr_plane_finish_collection(struct mr_plane_round *round)
{
    struct mr_plane_collecting *collecting = &round->collecting;
    struct mr_collection *collection = &collecting->collection;

    if (!collecting->running || collecting->missing > 0) {
        return;
    }
    collection->upload_count = 0;
    collection->upload_ids = collecting->upload_ids;
    collection->shares = round->keep ? collecting->shares : NULL;
    for (unsigned i = 0; i < collection->part_count; i++) {
        const struct mr_shard *shard = collecting->shards[i];
        collection->parts[i] = shard->sum;
        if (shard->count == 0) {
            collection->parts[i].lanes = NULL;
        }
        MR_ASSERT(shard->count <= round->uploads_max - collection->upload_count);
        memcpy(collecting->upload_ids + collection->upload_count, shard->upload_ids,
               shard->count * sizeof *shard->upload_ids);
        if (round->keep) {
            memcpy(collecting->shares + collection->upload_count, shard->shares,
                   shard->count * sizeof *shard->shares);
        }
        collection->upload_count += shard->count;
    }
    collecting->running = false;
    collecting->out = true;
    collecting->collected(collecting->context, collection);
}

static void end_uploads(struct mr_upload_plane *plane, const struct mr_collection *collection,
                        bool committed)
{
    for (uint32_t i = 0; i < collection->upload_count; i++) {
        const uint64_t id = collection->upload_ids[i];
        const uint8_t lane = mr_upload_id_lane(id);
        struct mr_worker_view *view =
            lane == MR_LANE_HTTP2 ? &plane->lane.view : &plane->views[lane];
        struct mr_worker_view_entry *entry = mr_worker_view_find(view, id);
        if (!entry) {
            continue;
        }
        entry->committed = committed;
        mr_plane_upload_ended(plane, view, entry);
    }
}

void mr_upload_plane_return(struct mr_plane_round *round, struct mr_collection *collection,
                            bool committed, enum mr_upload_reason reason)
{
    struct mr_upload_plane *plane = round->plane;
    struct mr_plane_collecting *collecting = &round->collecting;

    MR_ASSERT(collecting->out && collection == &collecting->collection);
    end_uploads(plane, collection, committed);
    for (unsigned i = 0; i < plane->config.workers; i++) {
        struct mr_worker_order *order = mr_worker_order(plane->workers[i]);
        order->kind = MR_ORDER_RETURN;
        order->round = round->index;
        order->give_back.committed = committed;
        order->give_back.reason = reason;
        mr_worker_send(plane->workers[i]);
    }
    round->held[plane->config.workers] -= mr_lane_return(&plane->lane, round->index);
    collecting->out = false;
    if (!round->open) {
        /* Nothing is folded any more. Whoever gets the memory is told to the workers after this. */
        round->accumulators_bytes = 0;
    }
}
