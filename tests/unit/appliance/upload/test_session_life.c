/* test_session_life.c - sums over any order and repeats, whole or nothing, ends of an upload. */
#include <stdlib.h>
#include <string.h>

#include "session_fixture.h"

/* Three kinds of arrivals at once: random bursts over all devices, every chunk sent up to three
 * times, some devices missing their last chunk; only whole uploads are in the sum. */
static void any_order(uint8_t ring_bits, uint32_t chunk_bytes)
{
    struct bench bench;
    bench_open(&bench, ring_bits, 3000, chunk_bytes);
    const uint32_t chunks = bench.terms.layout.chunks, sends = SLOTS * chunks * 3;
    uint32_t *order = calloc(sends, sizeof *order);
    static uint8_t bytes[MR_BURST_MAX][KIT_DATAGRAM_MAX];
    struct mr_packet packets[MR_BURST_MAX];
    struct kit_sum plain, got;

    kit_sum_init(&plain, &bench.terms.layout);
    kit_sum_init(&got, &bench.terms.layout);
    for (uint32_t i = 0; i < SLOTS; i++) {
        bench_admit(&bench, i);
        if (i % 3 != 2) {
            kit_sum_share(&plain, bench.devices[i].share);
        }
    }
    kit_shuffle(&bench.seed, order, sends);
    for (uint32_t i = 0; i < sends;) {
        const unsigned burst = 1 + (unsigned)(kit_random(&bench.seed) % MR_BURST_MAX);
        unsigned n = 0;
        for (; n < burst && i < sends; i++) {
            const uint32_t device = order[i] % SLOTS, chunk = order[i] / SLOTS % chunks;
            if (device % 3 == 2 && chunk == device % chunks) {
                continue; /* never arrives */
            }
            packets[n] = (struct mr_packet){.data = bytes[n], .from = bench_home};
            packets[n].length = kit_seal(&bench.devices[device], chunk, bytes[n]);
            n++;
        }
        mr_sessions_receive(bench.sessions, packets, n, bench.now_ms, NULL);
        if (kit_random(&bench.seed) % 4 == 0) {
            bench_fold(&bench);
        }
    }
    bench_fold(&bench);
    assert_int_equal(bench.shard.count, SLOTS - SLOTS / 3);
    kit_sum_part(&got, &bench.shard.sum);
    kit_sum_equal(&plain, &got);
    mr_sessions_refuse_all(bench.sessions, 0, MR_REASON_CLOSED);
    assert_int_equal(mr_sessions_slots_free(bench.sessions), SLOTS);
    free(order);
    kit_sum_fini(&plain);
    kit_sum_fini(&got);
    bench_close(&bench);
}

static void test_any_order_16(void **state)
{
    (void)state;
    any_order(16, 64);
    any_order(16, 1408);
}

static void test_any_order_24(void **state)
{
    (void)state;
    any_order(24, 192);
    any_order(24, 8896);
}

static void test_any_order_32(void **state)
{
    (void)state;
    any_order(32, 64);
    any_order(32, 1216);
}

static void test_freed_slots_serve_again(void **state)
{
    struct bench *bench = *state;
    struct kit_sum plain, got;

    kit_sum_init(&plain, &bench->terms.layout);
    kit_sum_init(&got, &bench->terms.layout);
    /* Half of each share is left in a slot by a refused upload, then another one gets the slot. */
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct kit_device *device = bench_admit(bench, i);
        for (uint32_t chunk = 0; chunk < 5; chunk++) {
            bench_chunk(bench, device, chunk);
        }
    }
    mr_sessions_refuse_all(bench->sessions, 0, MR_REASON_SUPERSEDED);
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct kit_device *device = bench_admit(bench, SLOTS + i);
        for (uint32_t chunk = 8; chunk > 0; chunk--) {
            assert_int_equal(bench_chunk(bench, device, chunk), MR_UPLOAD_ACCEPTED);
        }
        assert_int_equal(bench_state(bench, device), MR_UPLOAD_RECEIVING);
        assert_int_equal(bench_chunk(bench, device, 0), MR_UPLOAD_ACCEPTED);
        kit_sum_share(&plain, device->share);
    }
    assert_int_equal(bench->staged, SLOTS);
    bench_fold(bench);
    kit_sum_part(&got, &bench->shard.sum);
    kit_sum_equal(&plain, &got);
    kit_sum_fini(&plain);
    kit_sum_fini(&got);
}

static void test_revoke(void **state)
{
    struct bench *bench = *state;
    struct kit_device *device = bench_admit(bench, 0), *done = bench_admit(bench, 1);

    bench_all_chunks(bench, done);
    for (uint32_t chunk = 0; chunk < 8; chunk++) { /* all but the last */
        bench_chunk(bench, device, chunk);
    }
    assert_false(mr_sessions_revoke(bench->sessions, done->upload_id, MR_REASON_SUPERSEDED));
    assert_true(mr_sessions_revoke(bench->sessions, device->upload_id, MR_REASON_SUPERSEDED));
    assert_true(mr_sessions_revoke(bench->sessions, device->upload_id, MR_REASON_VOID)); /* again */
    assert_false(mr_sessions_revoke(bench->sessions, device->upload_id ^ 1, MR_REASON_VOID));
    /* The last chunk, a moment too late. */
    assert_int_equal(bench_chunk(bench, device, 8), MR_UPLOAD_DROP_not_receiving);
    assert_int_equal(bench_state(bench, device), MR_UPLOAD_REFUSED);
    bench_fold(bench);
    assert_int_equal(bench->shard.count, 1);
    assert_true(bench->shard.upload_ids[0] == done->upload_id);
    assert_false(mr_sessions_revoke(bench->sessions, done->upload_id, MR_REASON_SUPERSEDED));
    mr_sessions_settle(bench->sessions, done->upload_id, true, MR_REASON_NONE);
    assert_false(mr_sessions_revoke(bench->sessions, done->upload_id, MR_REASON_SUPERSEDED));
    assert_int_equal(bench_state(bench, done), MR_UPLOAD_COMMITTED);
}

static void test_void_collection(void **state)
{
    struct bench *bench = *state;
    struct kit_device *device = bench_admit(bench, 0);
    struct mr_ack ack;

    bench_all_chunks(bench, device);
    bench_fold(bench);
    bench_drain_acks(bench);
    mr_sessions_settle(bench->sessions, device->upload_id, false, MR_REASON_VOID);
    assert_true(bench_ack(bench, device, &ack, NULL));
    assert_int_equal(ack.state, MR_UPLOAD_REFUSED);
    assert_int_equal(ack.reason, MR_REASON_VOID);
    assert_true(mr_sessions_revoke(bench->sessions, device->upload_id, MR_REASON_VOID));
}

/* Whole, well sealed, and its count lane is not what the receipts say: never folded, told at once.
 */
static void test_unsound(void **state)
{
    struct bench *bench = *state;
    struct kit_device *wrong = bench_admit(bench, 0), *right = bench_admit(bench, 1);
    const uint8_t *shares[MR_FOLD_MAX];
    uint64_t ids[MR_FOLD_MAX];
    struct mr_ack ack = {0};

    wrong->share[wrong->layout->main_bytes] ^= 1;
    right->share[right->layout->main_bytes + 4] ^= 1; /* the weight is nobody's business */
    for (uint32_t chunk = 0; chunk + 1 < wrong->layout->chunks; chunk++) {
        bench_chunk(bench, wrong, chunk);
    }
    bench_drain_acks(bench);
    assert_int_equal(bench_chunk(bench, wrong, wrong->layout->chunks - 1), MR_UPLOAD_ACCEPTED);
    assert_int_equal(bench_state(bench, wrong), MR_UPLOAD_REFUSED);
    assert_true(bench_ack(bench, wrong, &ack, NULL));
    assert_int_equal(ack.state, MR_UPLOAD_REFUSED);
    assert_int_equal(ack.reason, MR_REASON_UNSOUND);
    assert_int_equal(bench->unsound, 1);
    assert_int_equal(mr_counter_get(&bench->counters->counts[MR_UPLOAD_COUNT_unsound]), 1);
    assert_int_equal(mr_sessions_staged_count(bench->sessions, 0), 0);
    assert_int_equal(mr_sessions_slots_free(bench->sessions), SLOTS - 1);
    assert_true(mr_sessions_revoke(bench->sessions, wrong->upload_id, MR_REASON_SUPERSEDED));
    bench_all_chunks(bench, right);
    assert_int_equal(mr_sessions_staged(bench->sessions, 0, shares, ids), 1);
    assert_int_equal(ids[0], right->upload_id);
}

static void test_idle(void **state)
{
    struct bench *bench = *state;
    struct kit_device *slow = bench_admit(bench, 0), *silent = bench_admit(bench, 1);

    for (uint32_t chunk = 0; chunk < 4; chunk++) {
        bench->now_ms += 700;
        bench_chunk(bench, slow, chunk);
        bench_chunk(bench, slow, 0); /* repeats are no progress, but new chunks are */
        mr_sessions_expire(bench->sessions, bench->now_ms);
        bench_give(bench, (const uint8_t *)"", 0, &bench_home); /* takes the events */
        assert_int_equal(bench_state(bench, slow), MR_UPLOAD_RECEIVING);
        assert_int_equal(bench->expired, chunk == 0 ? 0 : 1); /* the silent one, after a second */
    }
    assert_int_equal(bench_state(bench, silent), MR_UPLOAD_REFUSED);
    bench_drain_acks(bench);
    for (unsigned i = 0; i < 3; i++) {
        bench->now_ms += 350;
        bench_chunk(bench, slow, 0);
        mr_sessions_expire(bench->sessions, bench->now_ms);
    }
    assert_int_equal(bench_state(bench, slow),
                     MR_UPLOAD_REFUSED); /* repeats alone do not keep it */
    struct mr_ack ack = {0};
    while (bench_ack(bench, slow, &ack, NULL)) {
        continue;
    }
    assert_int_equal(ack.state, MR_UPLOAD_REFUSED);
    assert_int_equal(ack.reason, MR_REASON_IDLE);
    assert_int_equal(mr_sessions_slots_free(bench->sessions), SLOTS);
}

static void test_next_round_forgets(void **state)
{
    struct bench *bench = *state;
    struct kit_device *receiving = bench_admit(bench, 0), *staged = bench_admit(bench, 1);

    bench_chunk(bench, receiving, 0);
    bench_all_chunks(bench, staged);
    mr_sessions_begin(bench->sessions, 0, KIT_ROUND + 1, &bench->terms.layout, 1024);
    assert_int_equal(mr_sessions_staged_count(bench->sessions, 0), 0);
    assert_int_equal(mr_sessions_slots_free(bench->sessions), SLOTS);
    assert_int_equal(bench_drain_acks(bench), 0);
    assert_int_equal(bench_chunk(bench, receiving, 1), MR_UPLOAD_DROP_unknown_upload);
    receiving->round = KIT_ROUND + 1;
    assert_int_equal(bench_chunk(bench, receiving, 1), MR_UPLOAD_DROP_unknown_upload);
}

static void test_recycled_index(void **state)
{
    struct bench *bench = *state;
    struct kit_device *device = bench_admit(bench, 0);

    bench_chunk(bench, device, 0);
    mr_sessions_refuse_all(bench->sessions, 0, MR_REASON_CLOSED);
    const uint64_t old_id = device->upload_id;
    device = bench_admit(bench, 0); /* an ACK of the first upload was still due */
    assert_int_equal(bench_drain_acks(bench), 0);
    bench_chunk(bench, device, 3);
    bench->now_ms += 10;
    assert_int_equal(bench_drain_acks(bench), 1);
    const uint64_t new_id = device->upload_id;
    device->upload_id = old_id;
    assert_int_equal(bench_chunk(bench, device, 1), MR_UPLOAD_DROP_unknown_upload);
    device->upload_id = new_id;
    assert_int_equal(bench_received(bench, device), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order_16),
        cmocka_unit_test(test_any_order_24),
        cmocka_unit_test(test_any_order_32),
        TEST(test_freed_slots_serve_again),
        TEST(test_revoke),
        TEST(test_void_collection),
        TEST(test_unsound),
        TEST(test_idle),
        TEST(test_next_round_forgets),
        TEST(test_recycled_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
