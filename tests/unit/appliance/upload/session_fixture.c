#include "session_fixture.h"

#include <stdlib.h>
#include <string.h>

const struct mr_peer_address bench_home = {
    .host.s6_addr = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}, .port = 4000};

void bench_open_cached(struct bench *bench, uint8_t ring_bits, uint64_t dimension,
                       uint32_t chunk_bytes, uint64_t cache_bytes)
{
    struct mr_error error = {0};

    memset(bench, 0, sizeof *bench);
    bench->seed = 1234;
    bench->now_ms = 1000;
    bench->counters = aligned_alloc(128, sizeof *bench->counters);
    assert_non_null(bench->counters);
    memset(bench->counters, 0, sizeof *bench->counters);
    kit_terms(&bench->terms, ring_bits, dimension, chunk_bytes);
    const struct mr_sessions_config config = {.lane = LANE,
                                              .sessions = SESSIONS,
                                              .slots = SLOTS,
                                              .share_bytes_max = bench->terms.layout.share_bytes,
                                              .window_max = 64,
                                              .idle_timeout_ms = 1000,
                                              .cache_bytes = cache_bytes};
    if (mr_sessions_open(&bench->sessions, &config, bench->counters, &error) != 0 ||
        mr_shard_open(&bench->shard, bench->terms.layout.share_bytes, SESSIONS, &error) != 0) {
        fail_msg("%s", error.text);
    }
    mr_sessions_begin(bench->sessions, 0, KIT_ROUND, &bench->terms.layout, 1024);
    mr_shard_clear(&bench->shard, &bench->terms.layout);
}

void bench_open(struct bench *bench, uint8_t ring_bits, uint64_t dimension, uint32_t chunk_bytes)
{
    bench_open_cached(bench, ring_bits, dimension, chunk_bytes, 0);
}

void bench_close(struct bench *bench)
{
    mr_sessions_close(bench->sessions);
    mr_shard_close(&bench->shard);
    for (unsigned i = 0; i < SESSIONS; i++) {
        kit_device_fini(&bench->devices[i]);
    }
    free(bench->counters);
}

int bench_setup(void **state)
{
    struct bench *bench = malloc(sizeof *bench);

    assert_non_null(bench);
    bench_open(bench, 16, 1000, 256);
    assert_int_equal(bench->terms.layout.chunks, 9);
    *state = bench;
    return 0;
}

int bench_teardown(void **state)
{
    bench_close(*state);
    free(*state);
    return 0;
}

struct kit_device *bench_admit(struct bench *bench, uint32_t index)
{
    struct kit_device *device = &bench->devices[index];

    kit_device_fini(device);
    kit_device_init(device, &bench->terms.layout, &bench->seed);
    device->upload_id = mr_upload_id_make(LANE, index, (uint32_t)kit_random(&bench->seed) | 1);
    device->attempt = 2;
    const struct mr_session_admission admission = {
        .upload_id = device->upload_id,
        .attempt = device->attempt,
        .count_lane = mr_share_count(device->share, device->layout),
        .keys = &device->keys};
    assert_int_equal(mr_sessions_admit(bench->sessions, 0, &admission, bench->now_ms), 0);
    return device;
}

void bench_take_events(struct bench *bench)
{
    struct mr_session_event event;

    while (mr_sessions_event(bench->sessions, &event)) {
        bench->staged += event.state == MR_UPLOAD_STAGED;
        bench->expired += event.reason == MR_REASON_IDLE;
        bench->unsound += event.reason == MR_REASON_UNSOUND;
    }
}

enum mr_drop_reason bench_give(struct bench *bench, const uint8_t *datagram, uint32_t length,
                               const struct mr_peer_address *from)
{
    const struct mr_packet packet = {
        .data = (uint8_t *)(uintptr_t)datagram, .length = length, .from = *from};
    enum mr_drop_reason reason;

    mr_sessions_receive(bench->sessions, &packet, 1, bench->now_ms, &reason);
    bench_take_events(bench);
    return reason;
}

enum mr_drop_reason bench_chunk(struct bench *bench, const struct kit_device *device,
                                uint32_t chunk)
{
    uint8_t datagram[KIT_DATAGRAM_MAX];
    const uint32_t length = kit_seal(device, chunk, datagram);

    return bench_give(bench, datagram, length, &bench_home);
}

void bench_all_chunks(struct bench *bench, const struct kit_device *device)
{
    for (uint32_t chunk = 0; chunk < device->layout->chunks; chunk++) {
        assert_int_equal(bench_chunk(bench, device, chunk), MR_UPLOAD_ACCEPTED);
    }
}

bool bench_ack(struct bench *bench, const struct kit_device *device, struct mr_ack *ack,
               struct mr_peer_address *to)
{
    struct mr_ack_datagram datagram;

    if (!mr_sessions_ack(bench->sessions, bench->now_ms, true, &datagram)) {
        return false;
    }
    assert_true(kit_open_ack(device, datagram.bytes, sizeof datagram.bytes, ack) >= 0);
    if (to) {
        *to = datagram.to;
    }
    return true;
}

unsigned bench_drain_acks(struct bench *bench)
{
    struct mr_ack_datagram datagram;
    unsigned n = 0;

    while (mr_sessions_ack(bench->sessions, bench->now_ms, true, &datagram)) {
        n++;
    }
    return n;
}

uint32_t bench_received(const struct bench *bench, const struct kit_device *device)
{
    enum mr_upload_state state;
    uint32_t received = 0;

    assert_int_equal(mr_sessions_look(bench->sessions, device->upload_id, &state, &received), 0);
    return received;
}

enum mr_upload_state bench_state(const struct bench *bench, const struct kit_device *device)
{
    enum mr_upload_state state;
    uint32_t received;

    assert_int_equal(mr_sessions_look(bench->sessions, device->upload_id, &state, &received), 0);
    return state;
}

uint64_t bench_count(const struct bench *bench, enum mr_drop_reason reason)
{
    return mr_counter_get(&bench->counters->reasons[reason]);
}

void bench_fold(struct bench *bench)
{
    const uint8_t *shares[MR_FOLD_MAX];
    uint64_t upload_ids[MR_FOLD_MAX];

    while (mr_sessions_staged_count(bench->sessions, 0) > 0) {
        const unsigned n = mr_sessions_staged(bench->sessions, 0, shares, upload_ids);
        mr_shard_fold(&bench->shard, &bench->terms.layout, shares, upload_ids, n,
                      mr_kernels_select(~0u));
        mr_sessions_folded(bench->sessions, 0, n);
    }
}
