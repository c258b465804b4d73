/* port_bench.h - ingest from a DPDK port, measured: a generator process on one core feeds real
 * sealed packets to a worker of the hub's on the other.
 *
 * The worker is the appliance's own, ACKs and all; its packets come in turns from the port, from
 * memory (the same work without a port), or are only counted where the port handed them out. The
 * sum of every pass that is ingested is checked. */
#ifndef MR_PERF_PORT_BENCH_H
#define MR_PERF_PORT_BENCH_H

#include <stdint.h>

#include "appliance/ingest/packet_source.h"

#define MR_BENCH_HUB_MAC "02:00:00:00:00:01"
#define MR_BENCH_HUB_MAC_BYTES                                                                     \
    {                                                                                              \
        2, 0, 0, 0, 0, 1                                                                           \
    }
#define MR_BENCH_BURST 32u

struct mr_port_bench {
    const char *name;   /* of the bench, and of the group of its figures */
    const char *device; /* of the receiver's port; its MAC address is MR_BENCH_HUB_MAC */
    uint32_t ahead;     /* frames under way at most: what no ring on the way overflows by */
    /* The generator's process calls these: both end the program with a message on failure. _send
     * hands over every frame, at most MR_BENCH_BURST. */
    void (*open)(void *context);
    void (*send)(void *context, uint8_t *const *frames, const uint32_t *lengths, unsigned count);
    void *context;
};

/* The whole program: `--quick`, `--json FILE` as in figures.h. To be called before anything of
 * DPDK's has started; returns the exit code. */
int mr_port_bench_run(const struct mr_port_bench *bench, int argc, char **argv);

#endif
