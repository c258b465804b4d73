#include "perf/ingest_pass.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "appliance/aggregate/shard.h"
#include "appliance/upload/open_internal.h"
#include "appliance/upload/session_internal.h"

#define BURST MR_BURST_MAX

/* Times the bursts of an opener inside the session core. */
struct timed_opener {
    struct mr_opener base;
    struct mr_opener *inner;
    double seconds;
};

struct mr_ingest {
    const struct mr_kernels *kernels;
    struct mr_upload_counters *counters;
    struct mr_sessions *sessions;
    struct mr_opener *opener; /* the sessions' own */
    struct timed_opener timed;
    struct mr_shard shard, other;
    struct mr_load load;
    uint64_t given; /* packets of this pass */
    unsigned turn;  /* which goes first alternates */
    double now_s;   /* the sessions' clock: time spent ingesting */
    _Alignas(64) uint8_t fixed[MR_CHUNK_BYTES_MAX];
};

static double clock_s(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double now_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

/* What this thread ran: on a busy machine the clock on the wall counts others' work too. */
static double cpu_s(void)
{
    return clock_s(CLOCK_THREAD_CPUTIME_ID);
}

static void fail(const char *text)
{
    fprintf(stderr, "ingest: %s\n", text);
    exit(1);
}

/* --- the timed opener ------------------------------------------------------------------------ */

static void timed_burst(struct mr_opener *opener, struct mr_open_job *jobs, unsigned count)
{
    struct timed_opener *timed = (struct timed_opener *)opener;
    const double start = now_s();

    timed->inner->ops->burst(timed->inner, jobs, count);
    timed->seconds += now_s() - start;
}

static const struct mr_opener_ops timed_ops = {.name = "timed", .burst = timed_burst};

/* --- the yardsticks -------------------------------------------------------------------------- */

/* Opens what was given into one fixed buffer. (Jobs of a burst that share a buffer spoil one
 * another's bytes, which nobody reads here.) */
static double open_only(struct mr_ingest *ingest)
{
    const struct mr_load *load = &ingest->load;
    const double start = cpu_s();

    for (uint32_t at = 0; at < load->count; at += BURST) {
        struct mr_open_job jobs[BURST];
        const unsigned n = load->count - at < BURST ? load->count - at : BURST;
        for (unsigned i = 0; i < n; i++) {
            const struct mr_packet *packet = &load->packets[at + i];
            jobs[i] = (struct mr_open_job){.sequence = load->chunks[at + i],
                                           .datagram = packet->data,
                                           .plain = ingest->fixed,
                                           .bytes = packet->length - MR_DATAGRAM_OVERHEAD,
                                           .key = load->owners[at + i]};
        }
        mr_open_burst(ingest->opener, jobs, n);
        for (unsigned i = 0; i < n; i++) {
            if (!jobs[i].held) {
                fail("a seal does not hold");
            }
        }
    }
    return cpu_s() - start;
}

static double add_only(struct mr_ingest *ingest)
{
    const struct mr_staging *staging = &ingest->sessions->staging;
    const uint64_t ids[MR_FOLD_MAX] = {0};
    const double start = cpu_s();

    for (uint32_t at = 0; at < ingest->load.devices; at += MR_FOLD_MAX) {
        const uint8_t *shares[MR_FOLD_MAX];
        for (unsigned i = 0; i < MR_FOLD_MAX; i++) {
            shares[i] = staging->slots[at + i].bytes;
        }
        mr_shard_fold(&ingest->other, &ingest->load.layout, shares, ids, MR_FOLD_MAX,
                      ingest->kernels);
    }
    return cpu_s() - start;
}

/* --- a worker's turns ------------------------------------------------------------------------ */

static void begin(struct mr_ingest *ingest)
{
    const struct mr_layout *layout = &ingest->load.layout;

    mr_load_begin(&ingest->load);
    mr_sessions_begin(ingest->sessions, 0, MR_LOAD_ROUND, layout, ingest->load.devices * 64);
    mr_shard_clear(&ingest->shard, layout);
    mr_shard_clear(&ingest->other, layout);
    for (uint32_t i = 0; i < ingest->load.devices; i++) {
        const struct mr_session_admission admission = {.upload_id = mr_load_upload_id(i),
                                                       .attempt = MR_LOAD_ATTEMPT,
                                                       .count_lane = MR_LOAD_COUNT_LANE,
                                                       .keys = mr_load_keys(&ingest->load, i)};
        if (mr_sessions_admit(ingest->sessions, 0, &admission, (uint64_t)(ingest->now_s * 1e3)) !=
            0) {
            fail("a session was refused");
        }
    }
    memset(ingest->counters, 0, sizeof *ingest->counters);
    ingest->given = 0;
}

static void fold_staged(struct mr_ingest *ingest, bool everything)
{
    const uint8_t *shares[MR_FOLD_MAX];
    uint64_t ids[MR_FOLD_MAX];

    while (mr_sessions_staged_count(ingest->sessions, 0) >= (everything ? 1 : MR_FOLD_MAX)) {
        const unsigned n = mr_sessions_staged(ingest->sessions, 0, shares, ids);
        mr_shard_fold(&ingest->shard, &ingest->load.layout, shares, ids, n, ingest->kernels);
        mr_sessions_folded(ingest->sessions, 0, n);
    }
}

static void receive(struct mr_ingest *ingest, const struct mr_packet *packets, unsigned count)
{
    struct mr_session_event event;

    mr_sessions_receive(ingest->sessions, packets, count, (uint64_t)(ingest->now_s * 1e3), NULL);
    while (mr_sessions_event(ingest->sessions, &event)) {
        continue;
    }
}

static void turns(struct mr_ingest *ingest, const struct mr_packet *packets, uint32_t count,
                  double *seconds)
{
    const double began = cpu_s();

    for (uint32_t at = 0; at < count; at += BURST) {
        receive(ingest, &packets[at], count - at < BURST ? count - at : BURST);
        fold_staged(ingest, false);
    }
    const double took = cpu_s() - began;
    seconds[MR_INGEST_ALL] += took;
    ingest->now_s += took;
    ingest->given += count;
}

static void timed_turns(struct mr_ingest *ingest, const struct mr_packet *packets, uint32_t count,
                        double *seconds)
{
    ingest->sessions->opener = &ingest->timed.base;
    for (uint32_t at = 0; at < count; at += BURST) {
        const double start = now_s(), opened = ingest->timed.seconds;
        receive(ingest, &packets[at], count - at < BURST ? count - at : BURST);
        const double received = now_s();
        fold_staged(ingest, false);
        const double in_opener = ingest->timed.seconds - opened;
        seconds[MR_INGEST_OPEN] += in_opener;
        seconds[MR_INGEST_SESSION] += received - start - in_opener;
        seconds[MR_INGEST_FOLD] += now_s() - received;
    }
    ingest->sessions->opener = ingest->opener;
    ingest->given += count;
}

static double make_acks(struct mr_ingest *ingest)
{
    const double start = cpu_s();
    struct mr_ack_datagram acks[BURST];

    while (mr_sessions_acks(ingest->sessions, (uint64_t)(ingest->now_s * 1e3), false, acks, BURST) >
           0) {
        continue;
    }
    return cpu_s() - start;
}

/* Every upload once, the right sum, and every packet either accepted or a counted duplicate. */
static void check(const struct mr_ingest *ingest, bool with_yardsticks)
{
    const _Atomic uint64_t *refusals = ingest->counters->reasons;
    const uint64_t chunks = (uint64_t)ingest->load.devices * ingest->load.layout.chunks;

    if (ingest->shard.count != ingest->load.devices) {
        fail("not every upload was folded");
    }
    if (mr_counter_get(&refusals[MR_UPLOAD_ACCEPTED]) != chunks ||
        mr_counter_get(&refusals[MR_UPLOAD_DROP_duplicate]) != ingest->given - chunks) {
        fail("a packet is not accounted for");
    }
    mr_load_check(&ingest->load, &ingest->shard.sum);
    if (with_yardsticks) {
        mr_load_check(&ingest->load, &ingest->other.sum);
    }
}

void mr_ingest_pass(struct mr_ingest *ingest, enum mr_ingest_kind kind,
                    double seconds[MR_INGEST_PARTS])
{
    const bool yardsticks = kind == MR_INGEST_PLAIN;

    begin(ingest);
    for (; mr_load_next(&ingest->load); ingest->turn++) {
        const struct mr_packet *packets = ingest->load.packets;
        uint32_t count = ingest->load.count;
        if (kind == MR_INGEST_FAULTY) {
            count = mr_load_spoil(&ingest->load);
            packets = ingest->load.faulty;
        }
        if (yardsticks && ingest->turn / 2 % 2 == 0) {
            seconds[MR_INGEST_AEAD] += open_only(ingest);
        }
        if (kind == MR_INGEST_TIMED) {
            timed_turns(ingest, packets, count, seconds);
        } else {
            turns(ingest, packets, count, seconds);
        }
        seconds[MR_INGEST_ACK] += make_acks(ingest);
        if (yardsticks && ingest->turn / 2 % 2 != 0) {
            seconds[MR_INGEST_AEAD] += open_only(ingest);
        }
    }
    const double start = cpu_s();
    fold_staged(ingest, true);
    seconds[MR_INGEST_ALL] += cpu_s() - start;
    if (yardsticks) {
        seconds[MR_INGEST_ADD] += add_only(ingest);
    }
    check(ingest, yardsticks);
}

/* --- set-up ---------------------------------------------------------------------------------- */

struct mr_ingest *mr_ingest_open(const struct mr_ingest_pass_config *config)
{
    struct mr_ingest *ingest = aligned_alloc(64, (sizeof *ingest + 63) / 64 * 64);
    struct mr_upload_counters *counters = aligned_alloc(128, sizeof *counters);
    struct mr_error error = {.text = "no layout of that size"};
    struct mr_layout layout;
    /* The lanes that fill a slot; a layout has a multiple of 64 of them. */
    const uint64_t lanes = (config->slots_bytes / config->devices - MR_TRAILER_BYTES) / 2 / 64 * 64;

    if (!ingest || !counters) {
        fail("out of memory");
    }
    if (mr_layout_init(&layout, 16, lanes, 0, MR_CHUNK_BYTES_DEFAULT) != 0) {
        fail(error.text);
    }
    memset(ingest, 0, sizeof *ingest);
    memset(counters, 0, sizeof *counters);
    ingest->kernels = mr_kernels_select(config->cpu_levels);
    ingest->now_s = 1;
    ingest->counters = counters;
    const struct mr_sessions_config sessions = {.sessions = config->devices,
                                                .slots = config->devices,
                                                .share_bytes_max = layout.share_bytes,
                                                .cache_bytes = config->cache_bytes,
                                                .window_max = 64,
                                                .idle_timeout_ms = 1000000,
                                                .opener = config->opener,
                                                .cpu_levels = config->cpu_levels};
    if (mr_sessions_open(&ingest->sessions, &sessions, counters, &error) != 0 ||
        mr_shard_open(&ingest->shard, layout.share_bytes, config->devices, &error) != 0 ||
        mr_shard_open(&ingest->other, layout.share_bytes, config->devices, &error) != 0) {
        fail(error.text);
    }
    ingest->opener = ingest->sessions->opener;
    ingest->timed = (struct timed_opener){.base = {.ops = &timed_ops, .keys = config->devices},
                                          .inner = ingest->opener};
    mr_load_open(&ingest->load, &layout, config->devices);
    return ingest;
}

void mr_ingest_close(struct mr_ingest *ingest)
{
    mr_sessions_close(ingest->sessions);
    mr_shard_close(&ingest->shard);
    mr_shard_close(&ingest->other);
    mr_load_close(&ingest->load);
    free(ingest->counters);
    free(ingest);
}

const struct mr_layout *mr_ingest_layout(const struct mr_ingest *ingest)
{
    return &ingest->load.layout;
}

struct mr_load *mr_ingest_load(struct mr_ingest *ingest)
{
    return &ingest->load;
}

const struct mr_opener *mr_ingest_opener(const struct mr_ingest *ingest)
{
    return ingest->opener;
}
