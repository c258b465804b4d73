/* ingest_worker.h - a worker of the hub's over packets in memory: the poll, the session core, the
 * fold, the reports and the ACKs, which are made, handed to the source and thrown away there.
 *
 * The worker is the hub's own with its thread; what is measured is that thread's CPU time. */
#ifndef MR_PERF_INGEST_WORKER_H
#define MR_PERF_INGEST_WORKER_H

#include <stdint.h>

#include "appliance/upload/open.h"
#include "perf/ingest_load.h"

struct mr_ingest_worker_config {
    struct mr_load *load; /* borrowed; its passes are taken in turn with others' */
    uint64_t cache_bytes; /* as a worker is told */
    enum mr_opener_kind opener;
    uint32_t cpu_levels; /* that kernels and opener may use */
};

struct mr_ingest_worker;

/* Exits with a message where something is missing. */
struct mr_ingest_worker *mr_ingest_worker_open(const struct mr_ingest_worker_config *config);
void mr_ingest_worker_close(struct mr_ingest_worker *worker);

/* One pass of the load; the worker's seconds, from its first packet to the end of the turn that
 * acknowledged its last. Adds the ACKs that it sent. Exits with a message unless every upload was
 * folded once and the sum is right. */
double mr_ingest_worker_pass(struct mr_ingest_worker *worker, uint64_t *acks);

#endif
