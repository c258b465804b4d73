/* test_worker_reports.c - how often a worker wakes the control thread: at once for what it waits
 * for, once a millisecond at most for uploads that are whole, or where there are many; and nothing
 * is left untold. */
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "appliance/upload/worker.h"
#include "upload_kit.h"

#define UPLOADS     1500u
#define IDLE_US     100u
#define PATIENCE_MS 60000
#define AT_ONCE     16u /* so many reports do not wait: REPORTS_AT_ONCE of worker_rounds.c */
#define BURSTS      60u

/* Hands out one packet a poll once it runs, so that every turn has an upload that is whole; or
 * bursts of several, each when the test lets it, and stands still in between. */
struct slow_source {
    struct mr_packet_source base;
    atomic_bool runs;
    bool in_bursts;
    sem_t gate;
    uint32_t at; /* the worker's own */
    uint32_t lengths[UPLOADS];
    uint8_t (*bytes)[KIT_DATAGRAM_MAX];
};

struct scene {
    struct slow_source source;
    struct mr_worker *worker;
    struct mr_round_terms terms;
    struct kit_device *devices;
    int report_fd;
};

static unsigned source_poll(struct mr_packet_source *base, struct mr_packet *packets, unsigned max,
                            unsigned wait_us)
{
    struct slow_source *source = (struct slow_source *)base;

    if (!atomic_load(&source->runs) || source->at == UPLOADS) {
        usleep(wait_us < IDLE_US ? wait_us : IDLE_US);
        return 0;
    }
    while (source->in_bursts && sem_wait(&source->gate) != 0) {
    }
    const unsigned count = source->in_bursts ? AT_ONCE : 1;
    assert_true(count <= max);
    for (unsigned n = 0; n < count; n++) {
        const uint32_t i = source->at++;
        packets[n] = (struct mr_packet){.data = source->bytes[i],
                                        .length = source->lengths[i],
                                        .from = kit_address(0x0a000000 + i, 1000)};
    }
    return count;
}

static void source_release(struct mr_packet_source *base, struct mr_packet *packets, unsigned count)
{
    (void)base;
    (void)packets;
    (void)count;
}

static int source_send(struct mr_packet_source *base, const struct mr_peer_address *to,
                       const uint8_t *data, uint32_t length)
{
    (void)base;
    (void)to;
    (void)data;
    (void)length;
    return 0;
}

static void source_flush(struct mr_packet_source *base)
{
    (void)base;
}

static void source_wake(struct mr_packet_source *base)
{
    (void)base; /* it never sleeps for long */
}

static void source_close(struct mr_packet_source *base)
{
    (void)base;
}

static const struct mr_packet_source_ops source_ops = MR_PACKET_SOURCE_OPS("one by one");

static struct mr_packet_source *make_source(void *context, unsigned worker, struct mr_error *error)
{
    struct slow_source *source = context;

    (void)worker;
    (void)error;
    source->base.ops = &source_ops;
    return &source->base;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void order(struct scene *scene, const struct mr_worker_order *content)
{
    *mr_worker_order(scene->worker) = *content;
    mr_worker_send(scene->worker);
}

/* Sleeps until the worker wakes this thread; how often it did since. */
static uint64_t await_wake(const struct scene *scene)
{
    struct pollfd wait = {.fd = scene->report_fd, .events = POLLIN};
    uint64_t count = 0;

    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    assert_int_equal(read(scene->report_fd, &count, sizeof count), sizeof count);
    return count;
}

static void open_scene(struct scene *scene)
{
    struct mr_error error = {""};
    uint64_t seed = 5;

    memset(scene, 0, sizeof *scene);
    kit_terms(&scene->terms, 16, 64, 256);
    assert_int_equal(scene->terms.layout.chunks, 1);
    assert_int_equal(sem_init(&scene->source.gate, 0, 0), 0);
    scene->report_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    scene->devices = calloc(UPLOADS, sizeof *scene->devices);
    scene->source.bytes = calloc(UPLOADS, sizeof *scene->source.bytes);
    assert_true(scene->devices && scene->source.bytes && scene->report_fd >= 0);
    const struct mr_worker_config config = {
        .cpu = -1,
        .sessions = {.sessions = UPLOADS,
                     .slots = UPLOADS,
                     .share_bytes_max = scene->terms.layout.share_bytes,
                     .window_max = 64,
                     .idle_timeout_ms = 1000000},
        .accumulator_bytes = 2 * mr_shard_block_bytes(&scene->terms.layout, UPLOADS),
        .make_source = make_source,
        .make_context = &scene->source,
        .kernels = mr_kernels_select(~0u),
        .report_fd = scene->report_fd};
    if (mr_worker_open(&scene->worker, &config, &error) != 0) {
        fail_msg("%s", error.text);
    }
    order(scene, &(struct mr_worker_order){.kind = MR_ORDER_BEGIN,
                                           .begin = {.window_total = UPLOADS,
                                                     .capacity = UPLOADS,
                                                     .number = KIT_ROUND,
                                                     .layout = scene->terms.layout}});
    for (uint32_t i = 0; i < UPLOADS; i++) {
        struct kit_device *device = &scene->devices[i];
        kit_device_init(device, &scene->terms.layout, &seed);
        device->upload_id = mr_upload_id_make(0, i, 1);
        const uint32_t count_lane = mr_share_count(device->share, device->layout);
        order(scene, &(struct mr_worker_order){.kind = MR_ORDER_ADMIT,
                                               .admit = {.upload_id = device->upload_id,
                                                         .count_lane = count_lane,
                                                         .keys = device->keys}});
        scene->source.lengths[i] = kit_seal(device, 0, scene->source.bytes[i]);
    }
}

static void close_scene(struct scene *scene)
{
    mr_worker_close(scene->worker);
    for (uint32_t i = 0; i < UPLOADS; i++) {
        kit_device_fini(&scene->devices[i]);
    }
    free(scene->devices);
    free(scene->source.bytes);
    sem_destroy(&scene->source.gate);
    close(scene->report_fd);
}

/* Takes what was reported; how many uploads are whole. */
static uint32_t take_staged(struct scene *scene, bool *refused)
{
    struct mr_worker_report report;
    uint32_t staged = 0;

    while (mr_worker_report(scene->worker, &report)) {
        if (report.kind == MR_REPORT_EVENT) { /* else slots that fell free */
            *refused |= report.event == MR_PLANE_NOT_REVOKED;
            staged += report.event == MR_PLANE_STAGED;
        }
    }
    return staged;
}

/* Whatever was told before. All are admitted when it returns: nobody's upload is not revoked, and
 * that is told at once. */
static void await_admissions(struct scene *scene)
{
    bool refused = false;

    order(scene, &(struct mr_worker_order){.kind = MR_ORDER_REVOKE});
    while (!refused) {
        (void)await_wake(scene);
        assert_int_equal(take_staged(scene, &refused), 0);
    }
}

/* A reader that sleeps whenever it is not woken hears of every upload, and is woken less often than
 * there are turns: no more often than there were milliseconds, and groups of reports that do not
 * wait, however long it all took. */
static void test_wakes(void **state)
{
    struct scene *scene = malloc(sizeof *scene);
    uint64_t wakes = 0;
    uint32_t staged = 0;
    bool refused = false;

    (void)state;
    assert_non_null(scene);
    open_scene(scene);
    await_admissions(scene);
    const uint64_t began_ms = now_ms();
    atomic_store(&scene->source.runs, true);
    while (staged < UPLOADS) {
        wakes += await_wake(scene);
        staged += take_staged(scene, &refused);
    }
    const uint64_t took_ms = now_ms() - began_ms;
    print_message("woken %llu times in %llu ms for %u turns\n", (unsigned long long)wakes,
                  (unsigned long long)took_ms, UPLOADS);
    assert_true(wakes <= took_ms + 2 * UPLOADS / AT_ONCE + 2); /* and that its slot is free */
    close_scene(scene);
    free(scene);
}

/* Uploads that become whole together are told in the very turn, although the last time was in the
 * same millisecond, as it is sooner or later: the worker has no other turn before they were. */
static void test_many_are_told_at_once(void **state)
{
    struct scene *scene = malloc(sizeof *scene);
    bool refused = false;

    (void)state;
    assert_non_null(scene);
    open_scene(scene);
    scene->source.in_bursts = true;
    await_admissions(scene);
    atomic_store(&scene->source.runs, true);
    for (unsigned i = 0; i < BURSTS; i++) {
        uint32_t staged = 0;
        sem_post(&scene->source.gate);
        while (staged < AT_ONCE) {
            (void)await_wake(scene);
            staged += take_staged(scene, &refused);
        }
        assert_int_equal(staged, AT_ONCE);
    }
    scene->source.in_bursts = false;
    sem_post(&scene->source.gate);
    close_scene(scene);
    free(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wakes),
        cmocka_unit_test(test_many_are_told_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
