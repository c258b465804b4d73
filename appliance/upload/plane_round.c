/* A round's beginning and end on the plane. */
#include <stdlib.h>

#include "appliance/upload/plane_internal.h"
#include "base/assert.h"

/* What the kernel and a driver charge a socket's buffer for beside a datagram's bytes, in the units
 * in which the buffer is granted: half of the socket buffer's own structures and rounding. */
#define CHARGE_BYTES 768

/* --- windows ---------------------------------------------------------------------------------- */

/* The largest of all rounds, since any of them may fill a buffer. */
static uint32_t chunk_bytes(const struct mr_upload_plane *plane)
{
    uint32_t most = 0;

    for (unsigned i = 0; i < MR_PLANE_ROUNDS_MAX; i++) {
        const struct mr_plane_round *round = plane->rounds[i];
        if (round && round->layout.chunk_bytes > most) {
            most = round->layout.chunk_bytes;
        }
    }
    return most;
}

static void find_chunks_max(struct mr_upload_plane *plane)
{
    plane->chunks_max = 0;
    for (unsigned i = 0; i < MR_PLANE_ROUNDS_MAX; i++) {
        const struct mr_plane_round *round = plane->rounds[i];
        if (round && round->layout.chunks > plane->chunks_max) {
            plane->chunks_max = round->layout.chunks;
        }
    }
}

/* As many chunks in flight as were asked for, or as the socket's buffer surely holds. */
static uint32_t window_total(const struct mr_upload_plane *plane, unsigned worker)
{
    const uint32_t buffer = mr_worker_receive_buffer_bytes(plane->workers[worker]);
    const uint32_t each = chunk_bytes(plane) + MR_DATAGRAM_OVERHEAD + CHARGE_BYTES;
    const uint32_t holds = buffer / each > 0 ? buffer / each : 1;

    return buffer == 0 || holds >= plane->config.window_total ? plane->config.window_total : holds;
}

static void set_window_total(struct mr_upload_plane *plane, unsigned worker)
{
    const uint32_t before = plane->window_totals[worker];
    const uint32_t total = window_total(plane, worker);

    plane->window_totals[worker] = total;
    if (total == before || total == plane->config.window_total) {
        return;
    }
    mr_log_event(plane->log, MR_LOG_INFO, "upload.window",
                 "worker=%u window_total=%u asked=%u receive_buffer=%u remedy=%s", worker, total,
                 plane->config.window_total, mr_worker_receive_buffer_bytes(plane->workers[worker]),
                 "raise upload.receive_buffer_bytes and net.core.rmem_max");
}

/* --- begin ------------------------------------------------------------------------------------ */

static int find_place(const struct mr_upload_plane *plane, uint8_t *place, struct mr_error *error)
{
    for (unsigned i = 0; i < MR_PLANE_ROUNDS_MAX; i++) {
        if (!plane->rounds[i] && plane->ending[i] == 0) {
            *place = (uint8_t)i;
            return 0;
        }
    }
    return mr_error_set(error, "the upload plane carries %u rounds already: try again later",
                        MR_PLANE_ROUNDS_MAX);
}

static uint32_t capacity_of(const struct mr_plane_round *round)
{
    const uint32_t sessions = mr_plane_sessions_per_worker(&round->plane->config);

    return round->uploads_max < sessions ? round->uploads_max : sessions;
}

static int find_memory(struct mr_plane_round *round, struct mr_error *error)
{
    const struct mr_upload_plane *plane = round->plane;
    const uint64_t share_bytes = round->layout.share_bytes;
    uint64_t bytes;

    if (share_bytes > plane->config.share_bytes_max) {
        return mr_error_set(error,
                            "a share of this round has %llu bytes, a slot holds %llu: raise "
                            "share_bytes_max or lower the dimension",
                            (unsigned long long)share_bytes,
                            (unsigned long long)plane->config.share_bytes_max);
    }
    bytes = 2 * mr_shard_block_bytes(&round->layout, capacity_of(round));
    if (mr_plane_accumulators_find(plane, bytes, &round->accumulators_at, error) != 0) {
        return -1;
    }
    round->accumulators_bytes = bytes;
    return 0;
}

static int open_tables(struct mr_plane_round *round, struct mr_error *error)
{
    const unsigned parts = round->plane->config.workers + 1;
    const uint64_t sessions = (uint64_t)parts * mr_plane_sessions_per_worker(&round->plane->config);
    struct mr_plane_collecting *collecting = &round->collecting;

    if (round->uploads_max > sessions) {
        round->uploads_max = (uint32_t)sessions;
    }
    round->held = calloc(parts, sizeof *round->held);
    collecting->shards = calloc(parts, sizeof(struct mr_shard *));
    collecting->upload_ids = calloc(round->uploads_max, sizeof *collecting->upload_ids);
    collecting->shares = calloc(round->uploads_max, sizeof *collecting->shares);
    collecting->collection.parts = calloc(parts, sizeof *collecting->collection.parts);
    collecting->collection.part_count = parts;
    if (!round->held || !collecting->shards || !collecting->upload_ids || !collecting->shares ||
        !collecting->collection.parts) {
        return mr_error_set(error, "out of memory for a round of %u uploads", round->uploads_max);
    }
    return 0;
}

static void tell_begin(struct mr_plane_round *round, uint64_t number)
{
    struct mr_upload_plane *plane = round->plane;

    find_chunks_max(plane);
    for (unsigned i = 0; i < plane->config.workers; i++) {
        set_window_total(plane, i);
        struct mr_worker_order *order = mr_worker_order(plane->workers[i]);
        order->kind = MR_ORDER_BEGIN;
        order->round = round->index;
        order->begin.generation = round->generation;
        order->begin.window_total = plane->window_totals[i];
        order->begin.capacity = capacity_of(round);
        order->begin.keep = round->keep;
        order->begin.number = number;
        order->begin.accumulators_at = round->accumulators_at;
        order->begin.layout = round->layout;
        mr_worker_send(plane->workers[i]);
    }
    mr_lane_begin(&plane->lane, round->index, &round->layout, round->accumulators_at,
                  capacity_of(round), round->keep);
}

int mr_upload_plane_begin(struct mr_upload_plane *plane, const struct mr_round_terms *terms,
                          uint32_t uploads_max, const struct mr_plane_listener *listener,
                          struct mr_plane_round **begun, struct mr_error *error)
{
    MR_ASSERT(uploads_max > 0);
    struct mr_plane_round *round = calloc(1, sizeof *round);
    if (!round) {
        return mr_error_set(error, "out of memory for a round");
    }
    round->plane = plane;
    round->listener = *listener;
    round->layout = terms->layout;
    round->uploads_max = uploads_max;
    round->keep = terms->announcement.audit_hours > 0;
    if (find_place(plane, &round->index, error) != 0 || open_tables(round, error) != 0 ||
        find_memory(round, error) != 0) {
        mr_plane_round_free(round);
        return -1;
    }
    round->open = true;
    round->generation = ++plane->generation;
    plane->rounds[round->index] = round;
    tell_begin(round, terms->announcement.round);
    *begun = round;
    return 0;
}

/* --- end -------------------------------------------------------------------------------------- */

void mr_plane_round_free(struct mr_plane_round *round)
{
    free(round->held);
    free(round->collecting.shards);
    free(round->collecting.upload_ids);
    free(round->collecting.shares);
    free(round->collecting.collection.parts);
    free(round);
}

void mr_upload_plane_end(struct mr_plane_round *round)
{
    struct mr_upload_plane *plane = round->plane;
    const uint8_t index = round->index;

    plane->rounds[index] = NULL;
    plane->ending[index] = plane->config.workers;
    find_chunks_max(plane);
    for (unsigned i = 0; i < plane->config.workers; i++) {
        set_window_total(plane, i);
        struct mr_worker_order *order = mr_worker_order(plane->workers[i]);
        order->kind = MR_ORDER_END;
        order->round = index;
        order->end.window_total = plane->window_totals[i];
        mr_worker_send(plane->workers[i]);
        mr_worker_view_end_round(&plane->views[i], index);
    }
    mr_lane_end(&plane->lane, index);
    mr_plane_round_free(round);
}
