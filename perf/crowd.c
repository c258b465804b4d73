#include "perf/crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/api/held_grants.h"
#include "perf/crowd_internal.h"
#include "wire/share.h"

struct crowd {
    const struct mr_crowd_config *config;
    struct mr_layout layout;
    uint8_t *pool; /* shares overlap in it: distinct, and small together */
    struct mr_crowd_device *devices;
    struct mr_crowd_part *parts;
    struct mr_loop *loop;
    struct mr_upload_plane *plane;
    struct mr_held_grants *held;
    struct mr_timer *tick;
    atomic_uint running; /* threads */
    struct mr_plane_round *round;
    struct mr_collection *collection;
};

static void fill(uint64_t *state, void *bytes, size_t count)
{
    uint8_t *at = bytes;

    for (size_t i = 0; i < count; i++) {
        at[i] = (uint8_t)(mr_crowd_draw(state) >> 32);
    }
}

/* --- the hub's side --------------------------------------------------------------------------- */

static void on_event(void *context, const struct mr_plane_event *event)
{
    (void)context;
    (void)event;
}

static void on_collected(void *context, struct mr_collection *collection)
{
    struct crowd *crowd = context;

    crowd->collection = collection;
    mr_loop_stop(crowd->loop);
}

static void wake_parts(struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->config->threads; i++) {
        mr_crowd_part_wake(&crowd->parts[i]);
    }
}

static void on_tick(void *context)
{
    struct crowd *crowd = context;

    wake_parts(crowd);
    if (atomic_load(&crowd->running) == 0) {
        mr_loop_stop(crowd->loop);
    } else {
        mr_timer_arm(crowd->tick, mr_loop_now_ms(crowd->loop) + 1);
    }
}

static void open_plane(struct crowd *crowd)
{
    const struct mr_crowd_config *config = crowd->config;
    struct mr_error error = {""};
    struct mr_round_terms terms = {.layout = crowd->layout};
    const struct mr_upload_plane_config plane = {
        .workers = 1,
        .slots_per_worker = config->devices,
        .share_bytes_max = crowd->layout.share_bytes,
        .source = config->source,
        .listen_host = "127.0.0.1",
        .advertise_host = "127.0.0.1",
        .receive_buffer_bytes = config->receive_buffer_bytes,
        .window_max = 64,
        .window_total = config->window_total,
        .idle_timeout_ms = 60000,
    };

    const struct mr_plane_listener listener = {.event = on_event, .context = crowd};
    terms.announcement.round = MR_CROWD_ROUND;
    if (mr_loop_open(&crowd->loop, &error) != 0 ||
        mr_upload_plane_open(&crowd->plane, crowd->loop, &plane, mr_kernels_select(UINT32_MAX),
                             NULL, &error) != 0 ||
        mr_upload_plane_begin(crowd->plane, &terms, config->devices, &listener, &crowd->round,
                              &error) != 0) {
        mr_crowd_fail(error.text);
    }
    crowd->tick = mr_crowd_need(mr_timer_open(crowd->loop, on_tick, crowd));
}

/* --- admission -------------------------------------------------------------------------------- */

static void admit(struct crowd *crowd, struct mr_crowd_device *device)
{
    const struct mr_admission admission = {.attempt = MR_CROWD_ATTEMPT,
                                           .transport = MR_TRANSPORT_UDP,
                                           .count_lane =
                                               mr_share_count(device->share, &crowd->layout),
                                           .keys = &device->keys};

    if (mr_upload_plane_admit(crowd->round, &admission, &device->grant) != 0) {
        mr_crowd_fail("a device was not admitted");
    }
}

/* To the queue of held requests a request is a name, and here a device has it. */
static struct mr_request *name_of(struct mr_crowd_device *device)
{
    return (struct mr_request *)(void *)device;
}

static struct mr_crowd_device *named(struct mr_request *request)
{
    return (struct mr_crowd_device *)(void *)request;
}

static uint32_t hold_ms(void *context, struct mr_request *request)
{
    const struct crowd *crowd = context;

    (void)request;
    return mr_upload_plane_hold_ms(crowd->round);
}

static void answer(void *context, struct mr_request *request)
{
    struct mr_crowd_device *device = named(request);

    admit(context, device);
    mr_crowd_part_grant(device->part, device);
}

static void refuse(void *context, struct mr_request *request)
{
    (void)context;
    (void)request;
    mr_crowd_fail("a device was never answered");
}

static void on_room(void *context)
{
    struct crowd *crowd = context;

    mr_held_grants_look(crowd->held);
    wake_parts(crowd);
}

/* One of each thread's in turn, so that none has more to do at first than another. */
static void ask(struct crowd *crowd,
                void (*fn)(struct crowd *crowd, struct mr_crowd_device *device))
{
    const unsigned threads = crowd->config->threads;

    for (unsigned i = 0; i <= crowd->config->devices / threads; i++) {
        for (unsigned t = 0; t < threads; t++) {
            const struct mr_crowd_part *part = &crowd->parts[t];
            if (i < part->count) {
                fn(crowd, &part->devices[i]);
            }
        }
    }
}

static void ask_one(struct crowd *crowd, struct mr_crowd_device *device)
{
    if (device == crowd->devices) { /* admitted before, for the port */
        mr_crowd_part_grant(device->part, device);
    } else if (!mr_held_grants_keep(crowd->held, name_of(device))) {
        answer(crowd, name_of(device));
    }
}

static void ask_all(void *context)
{
    struct crowd *crowd = context;

    ask(crowd, ask_one);
    wake_parts(crowd);
}

static void admit_one(struct crowd *crowd, struct mr_crowd_device *device)
{
    if (device != crowd->devices) {
        admit(crowd, device);
    }
    mr_crowd_part_grant(device->part, device);
}

static void open_held(struct crowd *crowd)
{
    const struct mr_held_ops ops = {.hold_ms = hold_ms, .answer = answer, .refuse = refuse};

    crowd->held = mr_crowd_need(mr_held_grants_open(crowd->loop, &ops, crowd));
    mr_upload_plane_on_room(crowd->plane, on_room, crowd);
}

/* --- devices ---------------------------------------------------------------------------------- */

static void open_link(const struct crowd *crowd, struct mr_crowd_device *device)
{
    const struct mr_upload_grant *grant = &crowd->devices[0].grant; /* the one worker's port */
    struct mr_error error = {""};

    if (mr_udp_link_open(&device->link, grant->udp_host, grant->udp_port, &error) != 0) {
        mr_crowd_fail(error.text);
    }
}

static void open_devices(struct crowd *crowd)
{
    const unsigned count = crowd->config->devices;
    uint64_t seed = 20240919;

    crowd->devices = mr_crowd_need(calloc(count, sizeof *crowd->devices));
    crowd->pool =
        mr_crowd_need(aligned_alloc(64, crowd->layout.share_bytes / 64 * 64 + 64ull * (count + 1)));
    fill(&seed, crowd->pool, crowd->layout.share_bytes + 64ull * count);
    for (unsigned i = 0; i < count; i++) {
        struct mr_crowd_device *device = &crowd->devices[i];
        fill(&seed, &device->keys, sizeof device->keys);
        device->seed = mr_crowd_draw(&seed) | 1;
        device->share = crowd->pool + 64ull * i;
    }
    admit(crowd, &crowd->devices[0]);
    for (unsigned i = 0; i < count; i++) {
        open_link(crowd, &crowd->devices[i]);
    }
}

static void open_parts(struct crowd *crowd)
{
    const unsigned threads = crowd->config->threads, devices = crowd->config->devices;

    crowd->parts = mr_crowd_need(calloc(threads, sizeof *crowd->parts));
    for (unsigned i = 0; i < threads; i++) {
        const unsigned first = devices * i / threads;
        struct mr_crowd_part *part = &crowd->parts[i];
        part->config = crowd->config;
        part->layout = &crowd->layout;
        part->running = &crowd->running;
        part->devices = &crowd->devices[first];
        part->count = devices * (i + 1) / threads - first;
        mr_crowd_part_prepare(part);
    }
}

/* What comes before the clock runs. */
static void prepare(struct crowd *crowd)
{
    open_plane(crowd);
    open_devices(crowd);
    open_parts(crowd);
    open_held(crowd);
    if (!crowd->config->all_admitted) {
        return;
    }
    ask(crowd, admit_one);
    for (unsigned i = 0; i < crowd->config->threads; i++) {
        mr_crowd_part_start(&crowd->parts[i]);
    }
}

static void run_threads(struct crowd *crowd, struct mr_crowd_result *result)
{
    const unsigned threads = crowd->config->threads;
    const double start_s = mr_crowd_clock_s(CLOCK_PROCESS_CPUTIME_ID);
    const uint64_t start_us = mr_crowd_now_us();
    uint64_t end_us = start_us;

    atomic_store(&crowd->running, threads);
    for (unsigned i = 0; i < threads; i++) {
        struct mr_crowd_part *part = &crowd->parts[i];
        if (pthread_create(&part->thread, NULL, mr_crowd_part_run, part) != 0) {
            mr_crowd_fail("no thread");
        }
    }
    if (!crowd->config->all_admitted) {
        mr_loop_post(crowd->loop, ask_all, crowd);
    }
    mr_timer_arm(crowd->tick, mr_loop_now_ms(crowd->loop));
    mr_loop_run(crowd->loop);
    for (unsigned i = 0; i < threads; i++) {
        const struct mr_crowd_part *part = &crowd->parts[i];
        pthread_join(part->thread, NULL);
        result->senders_s += part->cpu_s;
        end_us = part->end_us > end_us ? part->end_us : end_us;
    }
    result->seconds = 1e-6 * (double)(end_us - start_us);
    result->hub_s = mr_crowd_clock_s(CLOCK_PROCESS_CPUTIME_ID) - start_s - result->senders_s;
}

/* --- results ---------------------------------------------------------------------------------- */

/* By plain arithmetic: it must not share a mistake with the kernels. */
static void check_sum(const struct crowd *crowd)
{
    const struct mr_layout *layout = &crowd->layout;
    uint16_t *lanes = mr_crowd_need(calloc(layout->lanes, sizeof *lanes));
    uint32_t trailer[MR_TRAILER_LANES] = {0};

    for (unsigned i = 0; i < crowd->config->devices; i++) {
        const uint16_t *from = (const uint16_t *)(const void *)crowd->devices[i].share;
        uint32_t last[MR_TRAILER_LANES];
        for (uint64_t k = 0; k < layout->lanes; k++) {
            lanes[k] = (uint16_t)(lanes[k] + from[k]);
        }
        memcpy(last, from + layout->lanes, sizeof last);
        for (unsigned k = 0; k < MR_TRAILER_LANES; k++) {
            trailer[k] += last[k];
        }
    }
    for (unsigned p = 0; p < crowd->collection->part_count; p++) {
        const struct mr_vector_sum *part = &crowd->collection->parts[p];
        if (!part->lanes) {
            continue;
        }
        const uint16_t *from = part->lanes;
        for (uint64_t k = 0; k < layout->lanes; k++) {
            lanes[k] = (uint16_t)(lanes[k] - from[k]);
        }
        for (unsigned k = 0; k < MR_TRAILER_LANES; k++) {
            trailer[k] -= part->trailer[k];
        }
    }
    for (uint64_t k = 0; k < layout->lanes; k++) {
        if (lanes[k] != 0) {
            mr_crowd_fail("the sum is WRONG");
        }
    }
    for (unsigned k = 0; k < MR_TRAILER_LANES; k++) {
        if (trailer[k] != 0) {
            mr_crowd_fail("the sum of the trailers is WRONG");
        }
    }
    free(lanes);
}

static void count(const struct crowd *crowd, struct mr_crowd_result *result)
{
    for (unsigned i = 0; i < crowd->config->devices; i++) {
        const struct mr_sender *sender = crowd->devices[i].sender;
        const enum mr_sender_phase phase = mr_sender_phase(sender);
        result->staged += phase == MR_SENDER_STAGED || phase == MR_SENDER_COMMITTED;
        result->refused += phase == MR_SENDER_REFUSED;
        result->silent += phase == MR_SENDER_SILENT;
        result->datagrams += mr_sender_counts(sender)->datagrams;
        result->retransmitted += mr_sender_counts(sender)->retransmitted;
        result->acks += mr_sender_counts(sender)->acks;
    }
    result->chunks = (uint64_t)crowd->layout.chunks * crowd->config->devices;
    result->bytes = (double)crowd->layout.share_bytes * crowd->config->devices;
}

static void close_all(struct crowd *crowd)
{
    mr_held_grants_close(crowd->held);
    mr_upload_plane_close(crowd->plane);
    mr_timer_close(crowd->tick);
    mr_loop_close(crowd->loop);
    for (unsigned i = 0; i < crowd->config->devices; i++) {
        mr_sender_close(crowd->devices[i].sender);
        mr_udp_link_close(&crowd->devices[i].link);
    }
    for (unsigned i = 0; i < crowd->config->threads; i++) {
        mr_crowd_part_free(&crowd->parts[i]);
    }
    free(crowd->parts);
    free(crowd->devices);
    free(crowd->pool);
}

void mr_crowd_run(const struct mr_crowd_config *config, struct mr_crowd_result *result)
{
    struct crowd crowd = {.config = config};

    memset(result, 0, sizeof *result);
    if (mr_layout_init(&crowd.layout, 16, config->dimension, 0, MR_CHUNK_BYTES_DEFAULT) != 0) {
        mr_crowd_fail("no layout of that size");
    }
    prepare(&crowd);
    run_threads(&crowd, result);
    count(&crowd, result);
    mr_upload_plane_collect(crowd.round, true, on_collected, &crowd);
    mr_loop_run(crowd.loop);
    result->folded = crowd.collection->upload_count;
    if (result->folded == config->devices) {
        check_sum(&crowd);
    }
    mr_upload_plane_return(crowd.round, crowd.collection, true, 0);
    close_all(&crowd);
}
