/* test_session_bursts.c - chunks of many uploads in one burst: opened together, but never two
 * copies of one chunk. */
#include <stdlib.h>
#include <string.h>

#include "appliance/upload/open_internal.h"
#include "appliance/upload/session_internal.h"
#include "session_fixture.h"

/* Counts how often the opener is called. */
struct counting_opener {
    struct mr_opener base;
    struct mr_opener *inner;
    unsigned calls;
};

static void counting_burst(struct mr_opener *opener, struct mr_open_job *jobs, unsigned count)
{
    struct counting_opener *counting = (struct counting_opener *)opener;

    counting->calls += count > 0;
    counting->inner->ops->burst(counting->inner, jobs, count);
}

struct packets {
    uint8_t bytes[MR_BURST_MAX][KIT_DATAGRAM_MAX];
    struct mr_packet list[MR_BURST_MAX];
    enum mr_drop_reason reasons[MR_BURST_MAX];
    unsigned count;
};

static uint8_t *add(struct packets *packets, const struct kit_device *device, uint32_t chunk)
{
    uint8_t *bytes = packets->bytes[packets->count];

    packets->list[packets->count++] = (struct mr_packet){
        .data = bytes, .length = kit_seal(device, chunk, bytes), .from = bench_home};
    return bytes;
}

static void give(struct bench *bench, struct packets *packets)
{
    mr_sessions_receive(bench->sessions, packets->list, packets->count, bench->now_ms,
                        packets->reasons);
}

/* Every 13th index and, with it, every third chunk have one place among the claims. */
#define STEP 13u

/* Wherever their claims lie: 64 different chunks are one piece of work. */
static void test_opened_together(void **state)
{
    static const struct mr_opener_ops ops = {.name = "counting", .burst = counting_burst};
    struct bench *bench = *state;
    struct counting_opener counting = {.base = {.ops = &ops, .keys = SESSIONS},
                                       .inner = bench->sessions->opener};
    struct packets *packets = calloc(1, sizeof *packets);

    assert_non_null(packets);
    for (uint32_t i = 0; i < SLOTS; i++) {
        (void)bench_admit(bench, i);
    }
    for (uint32_t chunk = 0; chunk < 8; chunk++) {
        packets->count = 0;
        for (uint32_t i = 0; i < SLOTS; i++) {
            (void)add(packets, &bench->devices[i * STEP % SLOTS], (chunk + 3 * i) % 9);
        }
        bench->sessions->opener = &counting.base;
        give(bench, packets);
        bench->sessions->opener = counting.inner;
        for (unsigned i = 0; i < packets->count; i++) {
            assert_int_equal(packets->reasons[i], MR_UPLOAD_ACCEPTED);
        }
        assert_int_equal(counting.calls, chunk + 1);
    }
    free(packets);
}

/* Many true chunks, and behind all of them a forged copy of each: none is opened over its original,
 * whatever other chunk lies where its claim would. */
static void forged_behind(struct bench *bench)
{
    const unsigned half = MR_BURST_MAX / 2;
    struct packets *packets = calloc(1, sizeof *packets);
    struct kit_sum plain, got;

    assert_non_null(packets);
    kit_sum_init(&plain, &bench->terms.layout);
    kit_sum_init(&got, &bench->terms.layout);
    for (uint32_t i = 0; i < half; i++) {
        kit_sum_share(&plain, bench_admit(bench, i)->share);
    }
    for (uint32_t chunk = 0; chunk < 9; chunk++) {
        packets->count = 0;
        for (uint32_t i = 0; i < half; i++) {
            (void)add(packets, &bench->devices[i], (chunk + i / STEP * 3) % 9);
        }
        for (uint32_t i = half; i-- > 0;) {
            add(packets, &bench->devices[i], (chunk + i / STEP * 3) % 9)[40] ^= 1;
            packets->list[packets->count - 1].from = kit_address(1, 1);
        }
        give(bench, packets);
        for (unsigned i = 0; i < packets->count; i++) {
            assert_int_equal(packets->reasons[i],
                             i < half ? MR_UPLOAD_ACCEPTED : MR_UPLOAD_DROP_bad_tag);
        }
    }
    bench_take_events(bench);
    bench_fold(bench);
    kit_sum_part(&got, &bench->shard.sum);
    kit_sum_equal(&plain, &got);
    kit_sum_fini(&plain);
    kit_sum_fini(&got);
    free(packets);
}

/* Opened straight into the slots: what is opened later lies over what was opened before. */
static void test_forged_behind(void **state)
{
    struct bench bench;

    (void)state;
    bench_open_cached(&bench, 16, 1000, 256, UINT64_MAX);
    forged_behind(&bench);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_opened_together, bench_setup, bench_teardown),
        cmocka_unit_test(test_forged_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
