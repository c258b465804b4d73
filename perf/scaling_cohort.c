#include "perf/scaling_cohort.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "appliance/aggregate/shard.h"
#include "appliance/round/drive/expand_list.h"
#include "appliance/runtime/cache.h"
#include "appliance/upload/session.h"
#include "wire/aead.h"
#include "wire/keys.h"

#define TASK        "default"
#define ROUND       3
#define ATTEMPT     1
#define HUB_INDEX   1
#define COUNT_LANE  1          /* of every share: what its admission says */
#define POOL_BYTES  (1u << 20) /* random bytes that shares are taken from */
#define PACKET_ROOM 1536u
#define PACKET_LEAD 42u    /* Ethernet, IPv4 and UDP headers before the payload */
#define CTR_BYTES   65536u /* of OpenSSL's mask at a time */

struct worker {
    struct mr_cohort *cohort;
    unsigned number;
    uint32_t first, devices; /* its part of the cohort */
    struct mr_sessions *sessions;
    struct mr_upload_counters *counters;
    struct mr_shard shard;
    struct mr_packet *packets; /* devices * chunks */
    struct mr_pages bytes;
    double cpu_s;
};

/* A plain sum: lanes modulo 2^32, compared modulo the ring. */
struct plain_sum {
    uint32_t *lanes;
    uint32_t trailer[MR_TRAILER_LANES];
};

struct mr_cohort {
    struct mr_cohort_config config;
    struct mr_round_terms terms;
    const struct mr_kernels *kernels;
    struct mr_upload_keys *keys;
    struct mr_expansion *seeds;
    uint8_t *pool;
    struct worker workers[MR_COHORT_WORKERS_MAX];
    struct plain_sum uploads, masks;
};

static void fail(const char *text)
{
    fprintf(stderr, "scaling: %s\n", text);
    exit(1);
}

static void *need(void *memory)
{
    if (!memory) {
        fail("out of memory for a cohort");
    }
    return memory;
}

static double clock_s(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* splitmix64 (Steele et al. 2014). */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void fill(void *bytes, size_t count, uint64_t stream)
{
    uint8_t *at = bytes;

    for (size_t i = 0; i < count; i++) {
        at[i] = (uint8_t)mix(stream << 40 | i);
    }
}

/* --- plain sums ------------------------------------------------------------------------------ */

static uint32_t lane_of(const uint8_t *at, unsigned bytes)
{
    uint32_t lane = 0;

    for (unsigned i = 0; i < bytes; i++) {
        lane |= (uint32_t)at[i] << 8 * i;
    }
    return lane;
}

/* Adds share bytes [offset, offset + count), which begin and end at whole lanes. */
static void plain_add(struct plain_sum *sum, const struct mr_layout *layout, uint64_t offset,
                      const uint8_t *bytes, uint64_t count)
{
    const unsigned lane_bytes = layout->ring_bits / 8;

    for (uint64_t end = offset + count; offset < end;) {
        if (offset < layout->main_bytes) {
            sum->lanes[offset / lane_bytes] += lane_of(bytes, lane_bytes);
            offset += lane_bytes;
            bytes += lane_bytes;
        } else {
            sum->trailer[(offset - layout->main_bytes) / 4] += lane_of(bytes, 4);
            offset += 4;
            bytes += 4;
        }
    }
}

static void plain_compare(const struct plain_sum *plain, const struct mr_layout *layout,
                          const struct mr_vector_sum *sum)
{
    const uint32_t mask = (uint32_t)(UINT64_MAX >> (64 - layout->ring_bits));
    const unsigned lane_bytes = layout->ring_bits == 16 ? 2 : 4;
    const uint8_t *at = sum->lanes;
    uint64_t differing = 0;

    for (uint64_t i = 0; i < layout->lanes; i++) {
        differing += ((lane_of(at + i * lane_bytes, lane_bytes) ^ plain->lanes[i]) & mask) != 0;
    }
    if (differing > 0 || memcmp(plain->trailer, sum->trailer, sizeof plain->trailer) != 0) {
        fail("the sum is WRONG: no figure of this run counts");
    }
}

/* --- sealed packets -------------------------------------------------------------------------- */

static uint64_t upload_id(const struct worker *worker, uint32_t place)
{
    return mr_upload_id_make((uint8_t)worker->number, place, (uint32_t)mix(place) | 1);
}

/* The chunk's plaintext: somewhere in the pool, at a multiple of 64; in the last one the count lane
 * is set. */
static const uint8_t *plaintext(const struct mr_cohort *cohort, uint32_t device, uint32_t chunk,
                                uint8_t last[MR_CHUNK_BYTES_MAX])
{
    const struct mr_layout *layout = &cohort->terms.layout;
    const uint32_t bytes = mr_layout_chunk_length(layout, chunk), count_lane = COUNT_LANE;
    const uint8_t *plain =
        cohort->pool + mix((uint64_t)device << 32 | chunk) % (POOL_BYTES / 64) * 64;

    if (chunk + 1 < layout->chunks) {
        return plain;
    }
    memcpy(last, plain, bytes);
    memcpy(last + bytes - MR_TRAILER_BYTES, &count_lane, sizeof count_lane);
    return last;
}

static void seal(struct worker *worker, struct mr_aead *aead, uint32_t place, uint32_t chunk)
{
    struct mr_cohort *cohort = worker->cohort;
    const struct mr_layout *layout = &cohort->terms.layout;
    const uint32_t bytes = mr_layout_chunk_length(layout, chunk);
    uint8_t last[MR_CHUNK_BYTES_MAX];
    const uint8_t *plain = plaintext(cohort, worker->first + place, chunk, last);
    /* Chunk by chunk, neighbours in another order each time: the packets of devices interleave. */
    const uint64_t slot =
        (uint64_t)chunk * worker->devices + (place + 7ull * chunk) % worker->devices;
    const struct mr_datagram header = {.type = MR_DATAGRAM_CHUNK,
                                       .length = (uint16_t)bytes,
                                       .upload_id = upload_id(worker, place),
                                       .round = ROUND,
                                       .attempt = ATTEMPT,
                                       .chunk = chunk};
    uint8_t *data = (uint8_t *)worker->bytes.base + slot * PACKET_ROOM + PACKET_LEAD;
    uint8_t *cipher = data + MR_DATAGRAM_HEADER_BYTES;
    struct mr_packet *packet = &worker->packets[slot];

    mr_datagram_encode(data, &header);
    if (mr_aead_seal(aead,
                     &(struct mr_aead_message){.sequence = chunk,
                                               .aad = data,
                                               .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                               .text = plain,
                                               .bytes = bytes},
                     cipher, cipher + bytes) != 0) {
        fail("a chunk cannot be sealed");
    }
    *packet = (struct mr_packet){.data = data, .length = MR_DATAGRAM_OVERHEAD + bytes};
    packet->from.host.s6_addr[10] = packet->from.host.s6_addr[11] = 0xff;
    memcpy(packet->from.host.s6_addr + 12, &place, 4);
    packet->from.port = 4000;
    plain_add(&cohort->uploads, layout, (uint64_t)chunk * layout->chunk_bytes, plain, bytes);
}

static void seal_all(struct worker *worker)
{
    const uint32_t chunks = worker->cohort->terms.layout.chunks;
    struct mr_aead *aead = need(mr_aead_open());

    for (uint32_t place = 0; place < worker->devices; place++) {
        if (mr_aead_rekey(aead, &worker->cohort->keys[worker->first + place].up) != 0) {
            fail("a key is refused");
        }
        for (uint32_t chunk = 0; chunk < chunks; chunk++) {
            seal(worker, aead, place, chunk);
        }
    }
    mr_aead_close(aead);
}

/* --- masks by OpenSSL ------------------------------------------------------------------------ */

static void plain_mask(struct mr_cohort *cohort, const struct mr_mask_stream *mask)
{
    static const uint8_t zeros[CTR_BYTES];
    const struct mr_layout *layout = &cohort->terms.layout;
    EVP_CIPHER_CTX *ctr = need(EVP_CIPHER_CTX_new());
    uint8_t *stream = need(malloc(CTR_BYTES));

    if (EVP_EncryptInit_ex(ctr, EVP_aes_128_ctr(), NULL, mask->round_keys[0], mask->counter) != 1) {
        fail("OpenSSL refuses AES-128-CTR");
    }
    for (uint64_t at = 0; at < layout->share_bytes; at += CTR_BYTES) {
        const uint64_t left = layout->share_bytes - at;
        int bytes = (int)(left < CTR_BYTES ? left : CTR_BYTES);
        if (EVP_EncryptUpdate(ctr, stream, &bytes, zeros, bytes) != 1) {
            fail("OpenSSL fails at AES-128-CTR");
        }
        plain_add(&cohort->masks, layout, at, stream, (uint64_t)bytes);
    }
    free(stream);
    EVP_CIPHER_CTX_free(ctr);
}

static void open_seeds(struct mr_cohort *cohort)
{
    cohort->seeds = need(calloc(cohort->config.devices, sizeof *cohort->seeds));
    for (uint32_t i = 0; i < cohort->config.devices; i++) {
        struct mr_expansion *entry = &cohort->seeds[i];
        struct mr_mask_stream mask;
        fill(entry->seed, sizeof entry->seed, 1000 + i);
        memcpy(entry->included.client_id, &i, sizeof i);
        entry->included.attempt = ATTEMPT;
        const struct mr_key_scope scope = {.task = TASK,
                                           .announcement_hash = cohort->terms.hash,
                                           .client_id = entry->included.client_id,
                                           .hub_index = HUB_INDEX,
                                           .attempt = ATTEMPT};
        if (mr_mask_derive(&mask, entry->seed, &scope) != 0) {
            fail("a mask cannot be derived");
        }
        plain_mask(cohort, &mask);
    }
}

/* --- set-up ---------------------------------------------------------------------------------- */

static void open_worker(struct mr_cohort *cohort, unsigned number)
{
    const struct mr_layout *layout = &cohort->terms.layout;
    const unsigned workers = cohort->config.workers;
    struct worker *worker = &cohort->workers[number];
    struct mr_error error = {0};

    worker->cohort = cohort;
    worker->number = number;
    worker->first = (uint32_t)((uint64_t)cohort->config.devices * number / workers);
    worker->devices =
        (uint32_t)((uint64_t)cohort->config.devices * (number + 1) / workers) - worker->first;
    worker->counters = need(aligned_alloc(128, sizeof *worker->counters));
    memset(worker->counters, 0, sizeof *worker->counters);
    const uint64_t packets = (uint64_t)worker->devices * layout->chunks;
    const struct mr_sessions_config config = {.lane = (uint8_t)number,
                                              .sessions = worker->devices,
                                              .slots = worker->devices,
                                              .share_bytes_max = layout->share_bytes,
                                              .cache_bytes = mr_cache_bytes() / workers,
                                              .window_max = 64,
                                              .idle_timeout_ms = 1000000};
    worker->packets = need(calloc(packets, sizeof *worker->packets));
    if (mr_pages_map(&worker->bytes, packets * PACKET_ROOM, "the packets", &error) != 0 ||
        mr_sessions_open(&worker->sessions, &config, worker->counters, &error) != 0 ||
        mr_shard_open(&worker->shard, layout->share_bytes, worker->devices, &error) != 0) {
        fail(error.text);
    }
    seal_all(worker);
}

struct mr_cohort *mr_cohort_open(const struct mr_cohort_config *config)
{
    struct mr_cohort *cohort = need(calloc(1, sizeof *cohort));

    cohort->config = *config;
    cohort->kernels = mr_kernels_select(UINT32_MAX);
    cohort->terms.announcement.round = ROUND;
    snprintf(cohort->terms.announcement.task, sizeof cohort->terms.announcement.task, "%s", TASK);
    if (mr_layout_init(&cohort->terms.layout, config->ring_bits, config->dimension, 0,
                       MR_CHUNK_BYTES_DEFAULT) != 0) {
        fail("no layout of that size");
    }
    cohort->uploads.lanes = need(calloc(cohort->terms.layout.lanes, sizeof(uint32_t)));
    cohort->masks.lanes = need(calloc(cohort->terms.layout.lanes, sizeof(uint32_t)));
    cohort->keys = need(calloc(config->devices, sizeof *cohort->keys));
    cohort->pool = need(aligned_alloc(64, POOL_BYTES + MR_CHUNK_BYTES_DEFAULT));
    fill(cohort->keys, config->devices * sizeof *cohort->keys, 1);
    fill(cohort->pool, POOL_BYTES + MR_CHUNK_BYTES_DEFAULT, 2);
    for (unsigned i = 0; i < config->workers; i++) {
        open_worker(cohort, i);
    }
    open_seeds(cohort);
    return cohort;
}

void mr_cohort_close(struct mr_cohort *cohort)
{
    for (unsigned i = 0; i < cohort->config.workers; i++) {
        struct worker *worker = &cohort->workers[i];
        mr_sessions_close(worker->sessions);
        mr_shard_close(&worker->shard);
        mr_pages_unmap(&worker->bytes);
        free(worker->packets);
        free(worker->counters);
    }
    free(cohort->uploads.lanes);
    free(cohort->masks.lanes);
    free(cohort->keys);
    free(cohort->seeds);
    free(cohort->pool);
    free(cohort);
}

/* --- the lead's part ------------------------------------------------------------------------- */

static void fold_staged(struct worker *worker, bool everything)
{
    const uint8_t *shares[MR_FOLD_MAX];
    uint64_t ids[MR_FOLD_MAX];

    while (mr_sessions_staged_count(worker->sessions, 0) >= (everything ? 1 : MR_FOLD_MAX)) {
        const unsigned n = mr_sessions_staged(worker->sessions, 0, shares, ids);
        mr_shard_fold(&worker->shard, &worker->cohort->terms.layout, shares, ids, n,
                      worker->cohort->kernels);
        mr_sessions_folded(worker->sessions, 0, n);
    }
}

static void *work(void *context)
{
    struct worker *worker = context;
    const struct mr_cohort *cohort = worker->cohort;
    const uint64_t packets = (uint64_t)worker->devices * cohort->terms.layout.chunks;
    const double start = clock_s(CLOCK_THREAD_CPUTIME_ID);
    struct mr_session_event event;

    mr_shard_clear(&worker->shard, &cohort->terms.layout);
    mr_sessions_begin(worker->sessions, 0, ROUND, &cohort->terms.layout, worker->devices * 64);
    for (uint32_t i = 0; i < worker->devices; i++) {
        const struct mr_session_admission admission = {.upload_id = upload_id(worker, i),
                                                       .attempt = ATTEMPT,
                                                       .count_lane = COUNT_LANE,
                                                       .keys = &cohort->keys[worker->first + i]};
        if (mr_sessions_admit(worker->sessions, 0, &admission, 1) != 0) {
            fail("a session was refused");
        }
    }
    for (uint64_t at = 0; at < packets; at += MR_BURST_MAX) {
        const uint64_t left = packets - at;
        mr_sessions_receive(worker->sessions, &worker->packets[at],
                            left < MR_BURST_MAX ? (unsigned)left : MR_BURST_MAX, 1, NULL);
        while (mr_sessions_event(worker->sessions, &event)) {
            continue;
        }
        fold_staged(worker, false);
    }
    fold_staged(worker, true);
    worker->cpu_s = clock_s(CLOCK_THREAD_CPUTIME_ID) - start;
    return NULL;
}

static double merge(struct mr_cohort *cohort)
{
    const double start = clock_s(CLOCK_THREAD_CPUTIME_ID);

    for (unsigned i = 1; i < cohort->config.workers; i++) {
        mr_sum_merge(&cohort->workers[0].shard.sum, &cohort->terms.layout,
                     &cohort->workers[i].shard.sum, cohort->kernels);
    }
    return clock_s(CLOCK_THREAD_CPUTIME_ID) - start;
}

struct mr_cohort_cost mr_cohort_ingest(struct mr_cohort *cohort)
{
    struct mr_cohort_cost cost = {0};
    pthread_t threads[MR_COHORT_WORKERS_MAX] = {0};
    const double start = clock_s(CLOCK_MONOTONIC);
    uint32_t folded = 0;

    for (unsigned i = 1; i < cohort->config.workers; i++) {
        if (pthread_create(&threads[i], NULL, work, &cohort->workers[i]) != 0) {
            fail("no thread for a worker");
        }
    }
    work(&cohort->workers[0]);
    for (unsigned i = 1; i < cohort->config.workers; i++) {
        pthread_join(threads[i], NULL);
    }
    cost.cpu_s = merge(cohort);
    cost.wall_s = clock_s(CLOCK_MONOTONIC) - start;
    for (unsigned i = 0; i < cohort->config.workers; i++) {
        cost.cpu_s += cohort->workers[i].cpu_s;
        folded += cohort->workers[i].shard.count;
    }
    if (folded != cohort->config.devices) {
        fail("not every upload was folded");
    }
    plain_compare(&cohort->uploads, &cohort->terms.layout, &cohort->workers[0].shard.sum);
    return cost;
}

/* --- the helper's part ----------------------------------------------------------------------- */

double mr_cohort_expand(struct mr_cohort *cohort)
{
    const struct mr_layout *layout = &cohort->terms.layout;
    const size_t bytes = cohort->config.devices * sizeof *cohort->seeds;
    struct mr_expansion *list = need(malloc(bytes)); /* mr_expand_list wipes it */
    struct plain_sum got = {.lanes = need(calloc(layout->lanes, sizeof(uint32_t)))};

    memcpy(list, cohort->seeds, bytes);
    const double start = clock_s(CLOCK_THREAD_CPUTIME_ID);
    uint8_t *result = need(
        mr_expand_list(&cohort->terms, HUB_INDEX, list, cohort->config.devices, cohort->kernels));
    const double took = clock_s(CLOCK_THREAD_CPUTIME_ID) - start;
    plain_add(&got, layout, 0, result, layout->share_bytes);
    const uint32_t mask = (uint32_t)(UINT64_MAX >> (64 - layout->ring_bits));
    uint64_t differing = 0;
    for (uint64_t i = 0; i < layout->lanes; i++) {
        differing += ((got.lanes[i] ^ cohort->masks.lanes[i]) & mask) != 0;
    }
    if (differing > 0 || memcmp(got.trailer, cohort->masks.trailer, MR_TRAILER_BYTES) != 0) {
        fail("the sum of the masks is WRONG: no figure of this run counts");
    }
    free(got.lanes);
    free(result);
    free(list);
    return took;
}
