/* session_fixture.h - a worker's sessions without a worker: packets and time come from the test. */
#ifndef MR_TEST_UPLOAD_SESSION_FIXTURE_H
#define MR_TEST_UPLOAD_SESSION_FIXTURE_H

#include <stdbool.h>

#include "appliance/aggregate/shard.h"
#include "appliance/upload/session.h"
#include "upload_kit.h"

#define LANE     3
#define SESSIONS 128
#define SLOTS    64

struct bench {
    struct mr_sessions *sessions;
    struct mr_upload_counters *counters;
    struct mr_round_terms terms;
    struct mr_shard shard;
    struct kit_device devices[SESSIONS];
    uint64_t now_ms;
    uint64_t seed;
    uint32_t expired, staged, unsound; /* events seen */
};

extern const struct mr_peer_address bench_home; /* where packets come from unless told otherwise */

/* 128 sessions, 64 slots, window 64 of 1,024 in all, one second of idleness. */
void bench_open(struct bench *bench, uint8_t ring_bits, uint64_t dimension, uint32_t chunk_bytes);
/* With a cache of that size; bench_open has none, so that chunks are opened beside their slots. */
void bench_open_cached(struct bench *bench, uint8_t ring_bits, uint64_t dimension,
                       uint32_t chunk_bytes, uint64_t cache_bytes);
void bench_close(struct bench *bench);
/* cmocka: a bench with w=16, 1,000 values, 256-byte chunks (nine, the last has 64 bytes). */
int bench_setup(void **state);
int bench_teardown(void **state);

/* A device with session `index`; a used index gets a new device. */
struct kit_device *bench_admit(struct bench *bench, uint32_t index);

enum mr_drop_reason bench_give(struct bench *bench, const uint8_t *datagram, uint32_t length,
                               const struct mr_peer_address *from);
/* Seals and gives a chunk from home. */
enum mr_drop_reason bench_chunk(struct bench *bench, const struct kit_device *device,
                                uint32_t chunk);
void bench_all_chunks(struct bench *bench, const struct kit_device *device);

/* The next ACK on a quiet socket, opened; false if none is due. */
bool bench_ack(struct bench *bench, const struct kit_device *device, struct mr_ack *ack,
               struct mr_peer_address *to);
/* Takes all ACKs that are due; returns how many. */
unsigned bench_drain_acks(struct bench *bench);

uint32_t bench_received(const struct bench *bench, const struct kit_device *device);
enum mr_upload_state bench_state(const struct bench *bench, const struct kit_device *device);
uint64_t bench_count(const struct bench *bench, enum mr_drop_reason reason);

/* Counts the events; bench_give does so by itself. */
void bench_take_events(struct bench *bench);

/* Folds everything that is staged into the shard. */
void bench_fold(struct bench *bench);

#endif
