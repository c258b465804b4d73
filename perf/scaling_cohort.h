/* scaling_cohort.h - a cohort of any size for the scaling bench: its sealed packets, kept in
 * memory, and what a lead and a helper do for it, from packets to the checked sum.
 *
 * The lead's part is the session core as a worker runs it (admission, opening, staging, fold), on
 * as many threads as there are workers, each with sessions and a shard of its own, merged at the
 * end. The helper's part is mr_expand. Every function ends the program with a message when memory
 * is short or a sum is wrong: expected sums are made by plain loops, masks by OpenSSL's AES-CTR. */
#ifndef MR_PERF_SCALING_COHORT_H
#define MR_PERF_SCALING_COHORT_H

#include <stdint.h>

#define MR_COHORT_WORKERS_MAX 8

struct mr_cohort;

struct mr_cohort_config {
    uint32_t devices;
    uint64_t dimension;
    uint8_t
        ring_bits; /* 16 or 32: their lanes never straddle two chunks, which plain sums rely on */
    unsigned workers; /* 1..MR_COHORT_WORKERS_MAX, at most `devices` */
};

struct mr_cohort_cost {
    double cpu_s;  /* of all workers, the merge of their shards included */
    double wall_s; /* from the first worker's start to the merged sum */
};

struct mr_cohort *mr_cohort_open(const struct mr_cohort_config *config);
void mr_cohort_close(struct mr_cohort *cohort);

/* Every device's upload, once. */
struct mr_cohort_cost mr_cohort_ingest(struct mr_cohort *cohort);
/* The masks of every device: CPU seconds. */
double mr_cohort_expand(struct mr_cohort *cohort);

#endif
