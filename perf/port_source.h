/* port_source.h - the packet source of a bench's worker: packets of a port, of memory, or of a port
 * that are only counted; and the clock around them. */
#ifndef MR_PERF_PORT_SOURCE_H
#define MR_PERF_PORT_SOURCE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "appliance/ingest/dpdk.h"

enum mr_port_mode {
    MR_PORT_IDLE,
    MR_PORT_INGEST, /* the port's packets go to the worker */
    MR_PORT_COUNT,  /* the port's packets are counted and given back */
    MR_PORT_MEMORY, /* packets of memory go to the worker */
};

struct mr_port_source {
    struct mr_packet_source base;
    struct mr_packet_source *port; /* closed with this */
    atomic_uint_fast64_t *taken;   /* packets of this segment that were given back; shared */
    /* Set by the control thread while idle, before `mode`. */
    const struct mr_packet *packets;
    uint32_t count;
    double seconds; /* of the segment, once it is idle again */
    _Atomic enum mr_port_mode mode;
    /* The worker's own. */
    uint32_t at;
    uint64_t bytes;
    double began_s, looked_s;
    bool ends; /* everything was handed out and this turn is a quiet one */
};

/* Over the port's queue 0; to be called on the worker's thread. NULL on failure. */
struct mr_packet_source *mr_port_source_open(struct mr_port_source *source,
                                             struct mr_dpdk_port *port, struct mr_error *error);

/* Lets `count` packets through and waits; the seconds from the first packet to the end of the turn
 * that took the last. Exits with a message when packets stay away for long: they were lost. */
double mr_port_source_segment(struct mr_port_source *source, enum mr_port_mode mode,
                              const struct mr_packet *packets, uint32_t count);

#endif
