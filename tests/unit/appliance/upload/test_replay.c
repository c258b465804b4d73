/* test_replay.c - the plane fed from memory: many sessions, exact sums, and not one allocation or
 * lock by a worker once it runs (OpenSSL's included; tolls.h counts them, test_tolls.c shows that
 * it does). */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/ingest/replay.h"
#include "appliance/upload/plane_sources.h"
#include "forbidden_calls.h"
#include "small_plane.h"
#include "upload_kit.h"

#define WORKERS 2
#define DEVICES 48
#define REPEATS 3 /* times each datagram is fed */

struct feed {
    struct mr_packet_source *source;
    uint8_t *bytes;
    uint64_t *ends;
    struct mr_peer_address *from;
    uint64_t count, used;
};

struct scene {
    struct mr_loop *loop;
    struct mr_upload_plane *plane;
    struct mr_round_terms terms;
    struct kit_device devices[DEVICES];
    struct feed feeds[WORKERS];
    atomic_uint ended, acks;
    unsigned staged;
    struct mr_plane_round *round;
    struct mr_collection *collection;
    struct mr_timer *timer;
    uint64_t seed;
};

static const struct kit_device *device_of(const struct scene *scene, uint64_t upload_id)
{
    for (unsigned i = 0; i < DEVICES; i++) {
        if (scene->devices[i].upload_id == upload_id) {
            return &scene->devices[i];
        }
    }
    return NULL;
}

/* On a worker's thread. */
static void on_send(void *context, const struct mr_peer_address *to, const uint8_t *data,
                    uint32_t length)
{
    struct scene *scene = context;
    struct mr_datagram header;

    (void)to;
    assert_int_equal(mr_datagram_decode(&header, data, length), MR_DATAGRAM_OK);
    assert_int_equal(header.type, MR_DATAGRAM_ACK);
    assert_non_null(device_of(scene, header.upload_id));
    atomic_fetch_add(&scene->acks, 1);
}

static void on_end(void *context)
{
    atomic_fetch_add(&((struct scene *)context)->ended, 1);
}

static struct mr_packet_source *make_source(void *context, unsigned worker, struct mr_error *error)
{
    struct scene *scene = context;
    struct feed *feed = &scene->feeds[worker];
    const struct mr_replay replay = {.bytes = feed->bytes,
                                     .ends = feed->ends,
                                     .from = feed->from,
                                     .count = feed->count,
                                     .on_send = on_send,
                                     .on_end = on_end,
                                     .context = scene};

    feed->source = mr_replay_source_open(&replay, error);
    return feed->source;
}

static void on_event(void *context, const struct mr_plane_event *event)
{
    assert_int_equal(event->kind, MR_PLANE_STAGED);
    ((struct scene *)context)->staged++;
}

static void on_collected(void *context, struct mr_collection *collection)
{
    struct scene *scene = context;

    scene->collection = collection;
    mr_loop_stop(scene->loop);
}

static void on_timer(void *context)
{
    struct scene *scene = context;

    if (scene->staged == DEVICES && atomic_load(&scene->ended) == WORKERS) {
        mr_loop_stop(scene->loop);
    } else {
        mr_timer_arm(scene->timer, mr_loop_now_ms(scene->loop) + 1);
    }
}

static void open_scene(struct scene *scene)
{
    const struct mr_plane_sources sources = {.make = make_source, .context = scene};
    struct mr_upload_plane_config config = small_plane("replay", WORKERS);
    struct mr_error error = {0};

    config.slots_per_worker = DEVICES / WORKERS;
    config.share_bytes_max = 40000;
    config.idle_timeout_ms = 600000;
    memset(scene, 0, sizeof *scene);
    kit_terms(&scene->terms, 24, 10000, 1408);
    for (unsigned w = 0; w < WORKERS; w++) {
        struct feed *feed = &scene->feeds[w];
        feed->count = (uint64_t)DEVICES / WORKERS * scene->terms.layout.chunks * REPEATS;
        feed->bytes = malloc(feed->count * (1408 + MR_DATAGRAM_OVERHEAD));
        feed->ends = calloc(feed->count, sizeof *feed->ends);
        feed->from = calloc(feed->count, sizeof *feed->from);
        assert_true(feed->bytes && feed->ends && feed->from);
    }
    if (mr_loop_open(&scene->loop, &error) != 0 ||
        mr_upload_plane_open_over(&scene->plane, scene->loop, &config, mr_kernels_select(~0u),
                                  &sources, NULL, &error) != 0) {
        fail_msg("%s", error.text);
    }
    scene->timer = mr_timer_open(scene->loop, on_timer, scene);
}

static void close_scene(struct scene *scene)
{
    mr_upload_plane_close(scene->plane);
    mr_timer_close(scene->timer);
    mr_loop_close(scene->loop);
    for (unsigned i = 0; i < DEVICES; i++) {
        kit_device_fini(&scene->devices[i]);
    }
    for (unsigned w = 0; w < WORKERS; w++) {
        free(scene->feeds[w].bytes);
        free(scene->feeds[w].ends);
        free(scene->feeds[w].from);
    }
}

/* Seals every chunk of every device REPEATS times, in random order, into its worker's feed. */
static void fill_feeds(struct scene *scene)
{
    const uint32_t chunks = scene->terms.layout.chunks, total = DEVICES * chunks * REPEATS;
    uint32_t *order = calloc(total, sizeof *order);

    assert_non_null(order);
    kit_shuffle(&scene->seed, order, total);
    for (uint32_t i = 0; i < total; i++) {
        const struct kit_device *device = &scene->devices[order[i] % DEVICES];
        struct feed *feed = &scene->feeds[device->upload_id >> 56];
        const uint64_t start = feed->used == 0 ? 0 : feed->ends[feed->used - 1];
        assert_true(feed->used < feed->count);
        feed->ends[feed->used] =
            start + kit_seal(device, order[i] / DEVICES % chunks, feed->bytes + start);
        feed->from[feed->used++] = kit_address(0x0a000000 + order[i] % DEVICES, 1000);
    }
    free(order);
}

static void test_replay(void **state)
{
    (void)state;
    struct scene scene;
    struct mr_error error;
    struct kit_sum plain, got;

    open_scene(&scene);
    tolls_begin();
    const struct mr_plane_listener listener = {.event = on_event, .context = &scene};
    assert_int_equal(
        mr_upload_plane_begin(scene.plane, &scene.terms, DEVICES, &listener, &scene.round, &error),
        0);
    kit_sum_init(&plain, &scene.terms.layout);
    kit_sum_init(&got, &scene.terms.layout);
    for (unsigned i = 0; i < DEVICES; i++) {
        struct kit_device *device = &scene.devices[i];
        struct mr_upload_grant grant;
        kit_device_init(device, &scene.terms.layout, &scene.seed);
        const struct mr_admission admission = {
            .count_lane = mr_share_count(device->share, &scene.terms.layout),
            .keys = &device->keys};
        assert_int_equal(mr_upload_plane_admit(scene.round, &admission, &grant), 0);
        device->upload_id = grant.upload_id;
        kit_sum_share(&plain, device->share);
    }
    fill_feeds(&scene);
    for (unsigned w = 0; w < WORKERS; w++) {
        mr_replay_start(scene.feeds[w].source);
    }
    on_timer(&scene);
    mr_loop_run(scene.loop);
    mr_upload_plane_collect(scene.round, true, on_collected, &scene);
    mr_loop_run(scene.loop);
    assert_int_equal(scene.collection->upload_count, DEVICES);
    for (unsigned i = 0; i < scene.collection->part_count; i++) {
        kit_sum_part(&got, &scene.collection->parts[i]);
    }
    kit_sum_equal(&plain, &got);
    mr_upload_plane_return(scene.round, scene.collection, true, MR_REASON_NONE);
    mr_upload_plane_collect(scene.round, true, on_collected, &scene); /* after the last ACKs */
    mr_loop_run(scene.loop);
    tolls_end();
    assert_true(atomic_load(&scene.acks) >= 2 * DEVICES); /* staged and committed each */
    tolls_assert_none();                                  /* nothing is counted under a sanitizer */
    kit_sum_fini(&plain);
    kit_sum_fini(&got);
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
