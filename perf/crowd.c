#include "perf/crowd.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "appliance/upload/plane.h"
#include "edge-client/upload/sender.h"
#include "edge-client/upload/udp_link.h"
#include "wire/share.h"

#define ROUND      11
#define ATTEMPT    0
#define SILENCE_US (60 * 1000000ull)
#define BATCH      64u
#define EVENTS     256
#define LOOK_MS    5 /* timers of the senders are looked at so often */
#define ACK_ROOM   2048

struct device {
    struct mr_udp_link link;
    struct mr_sender *sender;
    struct mr_upload_keys keys;
    uint64_t seed;
    const uint8_t *share;
    uint64_t *wake_us; /* in its thread's list: when it is looked at, whatever comes */
    uint8_t late[MR_CHUNK_BYTES_DEFAULT + MR_DATAGRAM_OVERHEAD];
    size_t late_bytes; /* 0: nothing was held back */
    bool ended;
};

struct crowd {
    const struct mr_crowd_config *config;
    struct mr_layout layout;
    uint8_t *pool; /* shares overlap in it: distinct, and small together */
    struct device *devices;
    struct mr_loop *loop;
    struct mr_upload_plane *plane;
    struct mr_timer *tick;
    atomic_uint running; /* threads */
    struct mr_plane_round *round;
    struct mr_collection *collection;
};

struct part {
    struct crowd *crowd;
    pthread_t thread;
    unsigned first, last; /* devices, the last one excluded */
    unsigned left;
    int epoll;
    uint64_t *wake_us; /* of its devices, side by side */
    uint64_t end_us;
    double cpu_s;
    uint8_t room[BATCH][MR_CHUNK_BYTES_DEFAULT + MR_DATAGRAM_OVERHEAD];
};

static void fail(const char *text)
{
    fprintf(stderr, "crowd: %s\n", text);
    exit(1);
}

static void *need(void *memory)
{
    if (!memory) {
        fail("out of memory");
    }
    return memory;
}

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static double clock_s(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* xorshift64* (Vigna 2016). */
static uint64_t draw(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static void fill(uint64_t *state, void *bytes, size_t count)
{
    uint8_t *at = bytes;

    for (size_t i = 0; i < count; i++) {
        at[i] = (uint8_t)(draw(state) >> 32);
    }
}

/* --- a thread of devices ---------------------------------------------------------------------- */

/* What the network makes of a batch: fills `out` (twice the batch and one more). */
static unsigned spoil(const struct mr_crowd_config *config, struct device *device,
                      const struct iovec *batch, unsigned count, struct iovec *out)
{
    const bool held = device->late_bytes > 0;
    unsigned n = 0;

    for (unsigned i = 0; i < count; i++) {
        const unsigned luck = (unsigned)(draw(&device->seed) >> 32) % 100;
        unsigned below = config->loss_percent;
        if (luck < below) {
            continue;
        }
        if (luck < (below += config->late_percent) && device->late_bytes == 0) {
            memcpy(device->late, batch[i].iov_base, batch[i].iov_len);
            device->late_bytes = batch[i].iov_len;
            continue;
        }
        out[n++] = batch[i];
        if (luck >= below && luck < below + config->twice_percent) {
            out[n++] = batch[i];
        }
    }
    if (held) {
        out[n++] = (struct iovec){.iov_base = device->late, .iov_len = device->late_bytes};
        device->late_bytes = 0;
    }
    return n;
}

static void send_due(struct part *part, struct device *device)
{
    struct iovec batch[BATCH], spoiled[2 * BATCH + 1];
    unsigned n;

    do {
        for (n = 0; n < BATCH; n++) {
            const size_t length = mr_sender_next(device->sender, now_us(), part->room[n]);
            if (length == 0) {
                break;
            }
            batch[n] = (struct iovec){.iov_base = part->room[n], .iov_len = length};
        }
        const unsigned out = spoil(part->crowd->config, device, batch, n, spoiled);
        if (n > 0 && out > 0) {
            mr_udp_link_send(&device->link, spoiled, out);
        }
    } while (n == BATCH);
}

static void serve(struct part *part, struct device *device)
{
    uint8_t ack[ACK_ROOM];
    size_t length;

    while ((length = mr_udp_link_receive(&device->link, ack, sizeof ack, 0)) > 0) {
        (void)mr_sender_receive(device->sender, now_us(), ack, length);
    }
    send_due(part, device);
    *device->wake_us = mr_sender_wake_us(device->sender, now_us());
    if (!device->ended && mr_sender_phase(device->sender) != MR_SENDER_SENDING) {
        device->ended = true;
        part->left--;
    }
}

/* Before the clock runs: what depends on how many devices a thread has. */
static void prepare_part(struct part *part)
{
    struct crowd *crowd = part->crowd;

    part->left = part->last - part->first;
    part->epoll = epoll_create1(EPOLL_CLOEXEC);
    part->wake_us = need(calloc(part->left, sizeof *part->wake_us));
    for (unsigned i = part->first; i < part->last; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &crowd->devices[i]};
        crowd->devices[i].wake_us = &part->wake_us[i - part->first];
        if (part->epoll < 0 ||
            epoll_ctl(part->epoll, EPOLL_CTL_ADD, crowd->devices[i].link.fd, &event) != 0) {
            fail("epoll takes no more sockets");
        }
    }
}

static void *run_part(void *context)
{
    struct part *part = context;
    struct crowd *crowd = part->crowd;
    struct epoll_event events[EVENTS];
    uint64_t look_us = 0;

    while (part->left > 0) {
        const uint64_t now = now_us();
        if (now >= look_us) {
            for (unsigned i = part->first; i < part->last; i++) {
                if (part->wake_us[i - part->first] <= now) {
                    serve(part, &crowd->devices[i]);
                }
            }
            look_us = now + LOOK_MS * 1000;
        }
        const int n = epoll_wait(part->epoll, events, EVENTS, LOOK_MS);
        for (int i = 0; i < n; i++) {
            serve(part, events[i].data.ptr);
        }
    }
    part->end_us = now_us();
    part->cpu_s = clock_s(CLOCK_THREAD_CPUTIME_ID);
    atomic_fetch_sub(&crowd->running, 1);
    return NULL;
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

static void on_tick(void *context)
{
    struct crowd *crowd = context;

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
    terms.announcement.round = ROUND;
    if (mr_loop_open(&crowd->loop, &error) != 0 ||
        mr_upload_plane_open(&crowd->plane, crowd->loop, &plane, mr_kernels_select(UINT32_MAX),
                             NULL, &error) != 0 ||
        mr_upload_plane_begin(crowd->plane, &terms, config->devices, &listener, &crowd->round,
                              &error) != 0) {
        fail(error.text);
    }
    crowd->tick = need(mr_timer_open(crowd->loop, on_tick, crowd));
}

static void admit(struct crowd *crowd, struct device *device)
{
    const struct mr_admission admission = {.attempt = ATTEMPT,
                                           .transport = MR_TRANSPORT_UDP,
                                           .count_lane =
                                               mr_share_count(device->share, &crowd->layout),
                                           .keys = &device->keys};
    struct mr_upload_grant grant;
    struct mr_error error = {""};

    if (mr_upload_plane_admit(crowd->round, &admission, &grant) != 0) {
        fail("a device was not admitted");
    }
    if (mr_udp_link_open(&device->link, grant.udp_host, grant.udp_port, &error) != 0) {
        fail(error.text);
    }
    const struct mr_sender_config config = {.layout = &crowd->layout,
                                            .share = device->share,
                                            .upload_id = grant.upload_id,
                                            .round = ROUND,
                                            .attempt = ATTEMPT,
                                            .keys = &device->keys,
                                            .window = grant.window,
                                            .silence_us = SILENCE_US};
    device->sender = need(mr_sender_open(&config, now_us()));
}

static void open_devices(struct crowd *crowd)
{
    const unsigned count = crowd->config->devices;
    uint64_t seed = 20240919;

    crowd->devices = need(calloc(count, sizeof *crowd->devices));
    crowd->pool =
        need(aligned_alloc(64, crowd->layout.share_bytes / 64 * 64 + 64ull * (count + 1)));
    fill(&seed, crowd->pool, crowd->layout.share_bytes + 64ull * count);
    for (unsigned i = 0; i < count; i++) {
        struct device *device = &crowd->devices[i];
        fill(&seed, &device->keys, sizeof device->keys);
        device->seed = draw(&seed) | 1;
        device->share = crowd->pool + 64ull * i;
        admit(crowd, device);
    }
}

/* By plain arithmetic: it must not share a mistake with the kernels. */
static void check_sum(const struct crowd *crowd)
{
    const struct mr_layout *layout = &crowd->layout;
    uint16_t *lanes = need(calloc(layout->lanes, sizeof *lanes));
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
            fail("the sum is WRONG");
        }
    }
    for (unsigned k = 0; k < MR_TRAILER_LANES; k++) {
        if (trailer[k] != 0) {
            fail("the sum of the trailers is WRONG");
        }
    }
    free(lanes);
}

static struct part *prepare_parts(struct crowd *crowd)
{
    const unsigned threads = crowd->config->threads, devices = crowd->config->devices;
    struct part *parts = need(calloc(threads, sizeof *parts));

    for (unsigned i = 0; i < threads; i++) {
        parts[i].crowd = crowd;
        parts[i].first = devices * i / threads;
        parts[i].last = devices * (i + 1) / threads;
        prepare_part(&parts[i]);
    }
    return parts;
}

static void run_threads(struct crowd *crowd, struct mr_crowd_result *result)
{
    const unsigned threads = crowd->config->threads;
    struct part *parts = prepare_parts(crowd);
    const double start_s = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    const uint64_t start_us = now_us();
    uint64_t end_us = start_us;

    atomic_store(&crowd->running, threads);
    for (unsigned i = 0; i < threads; i++) {
        if (pthread_create(&parts[i].thread, NULL, run_part, &parts[i]) != 0) {
            fail("no thread");
        }
    }
    mr_timer_arm(crowd->tick, mr_loop_now_ms(crowd->loop));
    mr_loop_run(crowd->loop);
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(parts[i].thread, NULL);
        result->senders_s += parts[i].cpu_s;
        end_us = parts[i].end_us > end_us ? parts[i].end_us : end_us;
    }
    result->seconds = 1e-6 * (double)(end_us - start_us);
    result->hub_s = clock_s(CLOCK_PROCESS_CPUTIME_ID) - start_s - result->senders_s;
    for (unsigned i = 0; i < threads; i++) {
        close(parts[i].epoll);
        free(parts[i].wake_us);
    }
    free(parts);
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
    mr_upload_plane_close(crowd->plane);
    mr_timer_close(crowd->tick);
    mr_loop_close(crowd->loop);
    for (unsigned i = 0; i < crowd->config->devices; i++) {
        mr_sender_close(crowd->devices[i].sender);
        mr_udp_link_close(&crowd->devices[i].link);
    }
    free(crowd->devices);
    free(crowd->pool);
}

void mr_crowd_run(const struct mr_crowd_config *config, struct mr_crowd_result *result)
{
    struct crowd crowd = {.config = config};

    memset(result, 0, sizeof *result);
    if (mr_layout_init(&crowd.layout, 16, config->dimension, 0, MR_CHUNK_BYTES_DEFAULT) != 0) {
        fail("no layout of that size");
    }
    open_plane(&crowd);
    open_devices(&crowd);
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
