/* upload.c - a worker's work on uploads, for the gate: packets into slots, the fold's bookkeeping,
 * acknowledgements; by the session core, sealed by the opener that the processor gets.
 *
 * usage: gate_upload     (run by gate.py under callgrind) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnu/libc-version.h>
#include <openssl/crypto.h>

#include "appliance/upload/session.h"
#include "perf/ingest_load.h"
#include "tests/gate/gate.h"

#define DEVICES 512u

struct scene {
    struct mr_sessions *sessions;
    struct mr_upload_counters *counters;
    struct mr_load load;
    uint64_t now_ms;
};

static void fail(const char *text)
{
    fprintf(stderr, "gate: %s\n", text);
    exit(1);
}

/* A round of uploads is admitted, and no packet has come. */
static void begin(struct scene *s)
{
    mr_load_begin(&s->load);
    mr_sessions_begin(s->sessions, 0, MR_LOAD_ROUND, &s->load.layout, DEVICES * 64);
    for (uint32_t i = 0; i < DEVICES; i++) {
        const struct mr_session_admission admission = {.upload_id = mr_load_upload_id(i),
                                                       .attempt = MR_LOAD_ATTEMPT,
                                                       .count_lane = MR_LOAD_COUNT_LANE,
                                                       .keys = mr_load_keys(&s->load, i)};
        if (mr_sessions_admit(s->sessions, 0, &admission, s->now_ms) != 0) {
            fail("a session was refused");
        }
    }
    if (!mr_load_next(&s->load) || s->load.count != DEVICES * s->load.layout.chunks) {
        fail("a pass does not fit the ring");
    }
}

static void receive(void *at)
{
    struct scene *s = at;
    struct mr_session_event event;

    for (uint32_t i = 0; i < s->load.count; i += MR_BURST_MAX) {
        const uint32_t left = s->load.count - i;
        mr_sessions_receive(s->sessions, &s->load.packets[i],
                            left < MR_BURST_MAX ? left : MR_BURST_MAX, s->now_ms, NULL);
        while (mr_sessions_event(s->sessions, &event)) {
            const uint8_t *shares[MR_FOLD_MAX];
            uint64_t ids[MR_FOLD_MAX];
            mr_sessions_folded(s->sessions, 0, mr_sessions_staged(s->sessions, 0, shares, ids));
        }
    }
}

static void acknowledge(void *at)
{
    struct scene *s = at;
    struct mr_ack_datagram acks[MR_BURST_MAX];

    while (mr_sessions_acks(s->sessions, s->now_ms, true, acks, MR_BURST_MAX) > 0) {
        continue;
    }
}

/* As mr_gate_count does, with a round of its own for each time. */
static void count(struct scene *s, unsigned time)
{
    begin(s);
    if (time == 0) {
        receive(s);
        acknowledge(s);
        return;
    }
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    receive(s);
    CALLGRIND_DUMP_STATS_AT("receive");
    acknowledge(s);
    CALLGRIND_DUMP_STATS_AT("acknowledge");
    CALLGRIND_STOP_INSTRUMENTATION;
}

int main(void)
{
    static struct scene scene;
    struct mr_layout layout;
    struct mr_error error = {.text = "no layout"};

    if (mr_layout_init(&layout, 16, 1344, 0, MR_CHUNK_BYTES_DEFAULT) != 0) {
        fail(error.text);
    }
    const struct mr_sessions_config config = {.sessions = DEVICES,
                                              .slots = DEVICES,
                                              .share_bytes_max = layout.share_bytes,
                                              .cache_bytes = 32u << 20,
                                              .window_max = 64,
                                              .idle_timeout_ms = 1000000};
    scene.now_ms = 1000;
    scene.counters = aligned_alloc(128, sizeof *scene.counters);
    if (!scene.counters) {
        fail("out of memory");
    }
    memset(scene.counters, 0, sizeof *scene.counters);
    if (mr_sessions_open(&scene.sessions, &config, scene.counters, &error) != 0) {
        fail(error.text);
    }
    mr_load_open(&scene.load, &layout, DEVICES);
    for (unsigned time = 0; time < 2; time++) {
        count(&scene, time);
    }
    if (mr_counter_get(&scene.counters->reasons[MR_UPLOAD_ACCEPTED]) != 2 * scene.load.count) {
        fail("a packet was not accepted");
    }
    printf("gate: with opener %s, %s\n", mr_opener_name(mr_sessions_opener(scene.sessions)),
           mr_opener_why(mr_sessions_opener(scene.sessions)));
    mr_gate_say_compiler();
    printf("gate: with openssl %s\n", OpenSSL_version(OPENSSL_VERSION));
    printf("gate: with glibc %s\n", gnu_get_libc_version());
    mr_sessions_close(scene.sessions);
    mr_load_close(&scene.load);
    free(scene.counters);
    return 0;
}
