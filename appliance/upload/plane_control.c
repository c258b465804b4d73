/* Rounds, admissions and collections: the control thread's side while the plane runs. */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/upload/plane_internal.h"
#include "base/assert.h"

/* What the kernel and a driver charge a socket's buffer for beside a datagram's bytes, in the units
 * in which the buffer is granted: half of the socket buffer's own structures and rounding. */
#define CHARGE_BYTES 768

static void wake_self(struct mr_upload_plane *plane)
{
    const uint64_t one = 1;

    /* Only fails when the counter is full, and then the loop is awake as well. */
    if (write(plane->report_fd, &one, sizeof one) < 0) {
        return;
    }
}

/* Delivered on the loop's next turn, never from inside the caller's call. */
static void raise_event(struct mr_upload_plane *plane, enum mr_plane_event_kind kind,
                        uint64_t upload_id)
{
    struct mr_plane_events *events = &plane->events;

    if (events->count == events->capacity) {
        const size_t capacity = events->capacity > 0 ? 2 * events->capacity : 64;
        struct mr_plane_event *items = realloc(events->items, capacity * sizeof *items);
        MR_ASSERT(items);
        events->items = items;
        events->capacity = capacity;
    }
    events->items[events->count++] = (struct mr_plane_event){.kind = kind, .upload_id = upload_id};
    wake_self(plane);
}

static void drop_own_events(struct mr_upload_plane *plane)
{
    plane->events.head = 0;
    plane->events.count = 0;
}

static void tell(struct mr_upload_plane *plane, const struct mr_plane_event *event)
{
    if (plane->round.begun) {
        plane->round.listener.event(plane->round.listener.context, event);
    }
}

static void deliver_own_events(struct mr_upload_plane *plane)
{
    struct mr_plane_events *events = &plane->events;

    /* A callback may raise more, or begin a round, which drops them all. */
    while (events->head < events->count) {
        const struct mr_plane_event event = events->items[events->head++];
        tell(plane, &event);
    }
    drop_own_events(plane);
}

/* --- rounds ----------------------------------------------------------------------------------- */

/* As many chunks in flight as were asked for, or as the socket's buffer surely holds. */
static uint32_t window_total(const struct mr_upload_plane *plane, unsigned worker)
{
    const uint32_t buffer = mr_worker_receive_buffer_bytes(plane->workers[worker]);
    const uint32_t each = plane->layout.chunk_bytes + MR_DATAGRAM_OVERHEAD + CHARGE_BYTES;
    const uint32_t holds = buffer / each > 0 ? buffer / each : 1;

    if (buffer == 0 || holds >= plane->config.window_total) {
        return plane->config.window_total;
    }
    mr_log_event(plane->log, MR_LOG_INFO, "upload.window",
                 "worker=%u window_total=%u asked=%u receive_buffer=%u remedy=%s", worker, holds,
                 plane->config.window_total, buffer,
                 "raise upload.receive_buffer_bytes and net.core.rmem_max");
    return holds;
}

int mr_upload_plane_begin(struct mr_upload_plane *plane, const struct mr_round_terms *terms,
                          uint32_t uploads_max, const struct mr_plane_listener *listener,
                          struct mr_plane_round **round, struct mr_error *error)
{
    (void)uploads_max;
    if (terms->layout.share_bytes > plane->config.share_bytes_max) {
        return mr_error_set(error,
                            "a share of this round has %llu bytes, a slot holds %llu: raise "
                            "share_bytes_max or lower the dimension",
                            (unsigned long long)terms->layout.share_bytes,
                            (unsigned long long)plane->config.share_bytes_max);
    }
    if (plane->round.begun) {
        return mr_error_set(error, "the plane carries another round");
    }
    MR_ASSERT(!plane->collecting.running && !plane->collecting.out);
    plane->layout = terms->layout;
    plane->generation++; /* what the workers still report of the earlier round is not believed */
    drop_own_events(plane);
    for (unsigned i = 0; i < plane->config.workers; i++) {
        struct mr_worker_order *order = mr_worker_order(plane->workers[i]);
        plane->window_totals[i] = window_total(plane, i);
        order->kind = MR_ORDER_BEGIN;
        order->begin.generation = plane->generation;
        order->begin.window_total = plane->window_totals[i];
        order->begin.round = terms->announcement.round;
        order->begin.layout = terms->layout;
        mr_worker_send(plane->workers[i]);
        mr_worker_view_begin(&plane->views[i]);
    }
    mr_lane_begin(&plane->lane, &terms->layout);
    plane->round_open = true;
    plane->round = (struct mr_plane_round){.plane = plane, .listener = *listener, .begun = true};
    *round = &plane->round;
    return 0;
}

void mr_upload_plane_end(struct mr_plane_round *round)
{
    round->begun = false;
    round->plane->round_open = false;
}

/* --- admissions ------------------------------------------------------------------------------- */

static uint32_t random_part(void)
{
    uint32_t value = 0;

    while (value == 0) {
        const int drawn = RAND_bytes((unsigned char *)&value, sizeof value);
        MR_ASSERT(drawn == 1);
    }
    return value;
}

/* The worker with the fewest receiving sessions among those with a free slot; -1: none. */
static int choose_worker(const struct mr_upload_plane *plane)
{
    int best = -1;

    for (unsigned i = 0; i < plane->config.workers; i++) {
        const struct mr_worker_view *view = &plane->views[i];
        if (view->slots_free > 0 && (best < 0 || view->receiving < plane->views[best].receiving)) {
            best = (int)i;
        }
    }
    return best;
}

static int admit_http2(struct mr_upload_plane *plane, struct mr_upload_grant *grant)
{
    struct mr_worker_view *view = &plane->lane.view;

    grant->upload_id = mr_worker_view_admit(view, random_part(), mr_loop_now_ms(plane->loop));
    return grant->upload_id == 0 ? -1 : 0;
}

int mr_upload_plane_admit(struct mr_plane_round *round, const struct mr_admission *admission,
                          struct mr_upload_grant *grant)
{
    struct mr_upload_plane *plane = round->plane;
    memset(grant, 0, sizeof *grant);
    if (!plane->round_open) {
        return -1;
    }
    if (admission->transport == MR_TRANSPORT_HTTP2) {
        return admit_http2(plane, grant);
    }
    const int worker = choose_worker(plane);
    if (worker < 0) {
        return -1;
    }
    struct mr_worker_view *view = &plane->views[worker];
    const uint64_t upload_id =
        mr_worker_view_admit(view, random_part(), mr_loop_now_ms(plane->loop));
    if (upload_id == 0) {
        return -1;
    }
    struct mr_worker_order *order = mr_worker_order(plane->workers[worker]);
    order->kind = MR_ORDER_ADMIT;
    order->admit.upload_id = upload_id;
    order->admit.attempt = admission->attempt;
    order->admit.keys = *admission->keys;
    mr_worker_send(plane->workers[worker]);
    grant->upload_id = upload_id;
    memcpy(grant->udp_host, plane->config.advertise_host, strlen(plane->config.advertise_host));
    grant->udp_port = mr_worker_port(plane->workers[worker]);
    grant->window =
        mr_window_first(plane->window_totals[worker], view->receiving, plane->config.window_max);
    return 0;
}

int mr_upload_plane_put(struct mr_upload_plane *plane, uint64_t upload_id, const uint8_t *share,
                        size_t length)
{
    if (!plane->round_open || mr_upload_id_lane(upload_id) != MR_LANE_HTTP2 ||
        mr_lane_put(&plane->lane, upload_id, share, length, plane->kernels) != 0) {
        return -1;
    }
    raise_event(plane, MR_PLANE_STAGED, upload_id);
    return 0;
}

void mr_upload_plane_touch(struct mr_upload_plane *plane, uint64_t upload_id)
{
    struct mr_worker_view_entry *entry = mr_upload_id_lane(upload_id) == MR_LANE_HTTP2
                                             ? mr_worker_view_find(&plane->lane.view, upload_id)
                                             : NULL;

    if (entry) {
        entry->since_ms = mr_loop_now_ms(plane->loop);
    }
}

void mr_upload_plane_revoke(struct mr_plane_round *round, uint64_t upload_id,
                            enum mr_upload_reason reason)
{
    struct mr_upload_plane *plane = round->plane;
    const uint8_t lane = mr_upload_id_lane(upload_id);

    if (lane == MR_LANE_HTTP2) {
        struct mr_worker_view_entry *entry = mr_worker_view_find(&plane->lane.view, upload_id);
        const bool revoked = entry && (mr_lane_drop(&plane->lane, entry) ||
                                       (entry->state == MR_MIRROR_ENDED && !entry->committed));
        raise_event(plane, revoked ? MR_PLANE_REVOKED : MR_PLANE_NOT_REVOKED, upload_id);
        return;
    }
    struct mr_worker_view_entry *entry =
        lane < plane->config.workers ? mr_worker_view_find(&plane->views[lane], upload_id) : NULL;
    if (!entry) {
        raise_event(plane, MR_PLANE_NOT_REVOKED, upload_id);
        return;
    }
    if (entry->revoking) {
        return; /* the answer that is under way answers this as well */
    }
    entry->revoking = true;
    struct mr_worker_order *order = mr_worker_order(plane->workers[lane]);
    order->kind = MR_ORDER_REVOKE;
    order->revoke.upload_id = upload_id;
    order->revoke.reason = reason;
    mr_worker_send(plane->workers[lane]);
}

void mr_plane_on_lane_timer(void *context)
{
    struct mr_upload_plane *plane = context;
    const uint64_t now = mr_loop_now_ms(plane->loop);
    const uint32_t timeout = plane->config.idle_timeout_ms;
    struct mr_worker_view *view = &plane->lane.view;

    for (uint32_t i = 0; view->receiving > 0 && i < view->sessions; i++) {
        struct mr_worker_view_entry *entry = &view->entries[i];
        if (entry->state == MR_MIRROR_RECEIVING && now - entry->since_ms >= timeout &&
            mr_lane_drop(&plane->lane, entry)) {
            raise_event(plane, MR_PLANE_EXPIRED, entry->upload_id);
        }
    }
    mr_timer_arm(plane->lane_timer, now + timeout / 2 + 1);
}

/* --- collections ------------------------------------------------------------------------------ */

void mr_upload_plane_collect(struct mr_plane_round *round, bool freeze, mr_collected_fn collected,
                             void *context)
{
    struct mr_upload_plane *plane = round->plane;
    struct mr_plane_collecting *collecting = &plane->collecting;

    MR_ASSERT(!collecting->running && !collecting->out && plane->generation > 0);
    collecting->running = true;
    collecting->freeze = freeze;
    collecting->missing = plane->config.workers;
    collecting->collected = collected;
    collecting->context = context;
    for (unsigned i = 0; i < plane->config.workers; i++) {
        struct mr_worker_order *order = mr_worker_order(plane->workers[i]);
        order->kind = MR_ORDER_COLLECT;
        order->collect.freeze = freeze;
        mr_worker_send(plane->workers[i]);
    }
    collecting->shards[plane->config.workers] = mr_lane_collect(&plane->lane, freeze);
    if (freeze) {
        plane->round_open = false;
    }
}

/* Every worker has answered: the caller gets the shards. */
static void finish_collection(struct mr_upload_plane *plane)
{
    struct mr_plane_collecting *collecting = &plane->collecting;
    struct mr_collection *collection = &collecting->collection;

    collection->upload_count = 0;
    collection->upload_ids = collecting->upload_ids;
    for (unsigned i = 0; i < collection->part_count; i++) {
        const struct mr_shard *shard = collecting->shards[i];
        collection->parts[i] = shard->sum;
        if (shard->count == 0) {
            collection->parts[i].lanes = NULL;
        }
        memcpy(collecting->upload_ids + collection->upload_count, shard->upload_ids,
               shard->count * sizeof *shard->upload_ids);
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
        mr_worker_view_ended(view, entry);
    }
}

void mr_upload_plane_return(struct mr_plane_round *round, struct mr_collection *collection,
                            bool committed, enum mr_upload_reason reason)
{
    struct mr_upload_plane *plane = round->plane;
    struct mr_plane_collecting *collecting = &plane->collecting;

    MR_ASSERT(collecting->out && collection == &collecting->collection);
    end_uploads(plane, collection, committed);
    for (unsigned i = 0; i < plane->config.workers; i++) {
        struct mr_worker_order *order = mr_worker_order(plane->workers[i]);
        order->kind = MR_ORDER_RETURN;
        order->give_back.committed = committed;
        order->give_back.reason = reason;
        mr_worker_send(plane->workers[i]);
    }
    mr_lane_return(&plane->lane);
    collecting->out = false;
}

void mr_upload_plane_confine(struct mr_upload_plane *plane)
{
    for (unsigned i = 0; i < plane->config.workers; i++) {
        mr_worker_order(plane->workers[i])->kind = MR_ORDER_CONFINE;
        mr_worker_send(plane->workers[i]);
    }
}

/* --- reports ---------------------------------------------------------------------------------- */

static void on_worker_event(struct mr_upload_plane *plane, struct mr_worker_view *view,
                            const struct mr_worker_report *report)
{
    struct mr_worker_view_entry *entry = mr_worker_view_find(view, report->upload_id);
    const struct mr_plane_event event = {.kind = report->event, .upload_id = report->upload_id};

    if (entry) {
        if (report->event == MR_PLANE_STAGED) {
            mr_worker_view_staged(view, entry);
        } else if (report->event != MR_PLANE_NOT_REVOKED) {
            mr_worker_view_ended(view, entry);
        }
        if (report->event == MR_PLANE_REVOKED || report->event == MR_PLANE_NOT_REVOKED) {
            entry->revoking = false;
        }
    }
    tell(plane, &event);
}

static void on_worker_report(struct mr_upload_plane *plane, unsigned worker,
                             const struct mr_worker_report *report)
{
    struct mr_worker_view *view = &plane->views[worker];

    if (report->generation != plane->generation) {
        return;
    }
    view->slots_free += report->slots_freed;
    if (report->kind == MR_REPORT_EVENT) {
        on_worker_event(plane, view, report);
    }
    if (report->kind != MR_REPORT_COLLECTED) {
        return;
    }
    if (plane->collecting.freeze) {
        mr_worker_view_end_receiving(view);
    }
    plane->collecting.shards[worker] = report->shard;
    plane->collecting.missing--;
}

void mr_plane_on_report(void *context, int fd, uint32_t events)
{
    struct mr_upload_plane *plane = context;
    struct mr_worker_report report;
    uint64_t count;

    (void)events;
    if (read(fd, &count, sizeof count) < 0) {
        return; /* already read: nothing new */
    }
    deliver_own_events(plane);
    for (unsigned i = 0; i < plane->config.workers; i++) {
        while (mr_worker_report(plane->workers[i], &report)) {
            on_worker_report(plane, i, &report);
        }
    }
    deliver_own_events(plane);
    if (plane->collecting.running && plane->collecting.missing == 0) {
        finish_collection(plane);
    }
}
