/* cohort.h - rounds of a cohort in one process: the devices' own preparation, the hubs' own sum,
 * next model and rule, and between them nothing but addition. What arrives can be compared with
 * what left. */
#ifndef MR_TEST_COHORT_H
#define MR_TEST_COHORT_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/model/next_model.h"
#include "edge-client/share/prepare.h"

enum cohort_deltas {
    COHORT_GAUSS,
    COHORT_HEAVY,  /* Student's t with three degrees of freedom */
    COHORT_SPARSE, /* one value of a hundred */
    COHORT_LAYERS, /* magnitudes a thousand apart */
};

struct cohort_plan {
    enum cohort_deltas deltas;
    uint32_t dimension, devices;
    double norm;   /* of a device's delta, before its weight */
    double common; /* part of its square that all devices share; 1: all the same */
    double spread; /* of the weights: standard deviation of their logarithm */
    uint8_t ring_bits;
    uint8_t levels;  /* 0: as many as there are */
    bool rotated_so; /* by rotation_log2; else by the rule */
    uint8_t rotation_log2;
    uint32_t cohort_min; /* 0: all devices */
    uint32_t cohort_max, headroom;
    float fixed_scale; /* 0: by the rule */
    float clip_norm;
    bool refusing; /* devices leave a round out whose rounding leaves them too little, as they do */
};

struct cohort {
    struct cohort_plan plan;
    const struct mr_kernels *kernels;
    uint64_t random;
    uint64_t round;
    uint32_t *examples; /* [devices] */
    float *base;        /* [dimension] */
    double *exact;      /* [dimension]: the weighted mean, times … */
    double weights;     /* … this: the examples that are in it */
    struct mr_norm_memory memory;
    uint8_t *model; /* zeros */
    size_t model_bytes, model_head;
};

/* What became of a round. */
struct cohort_result {
    float scale;
    uint32_t included; /* below cohort_min: void, and nothing of the next is set */
    uint32_t warned;   /* of the included, before the round's end */
    double error;      /* of the update, relative to the weighted mean of the clipped deltas */
    struct mr_round_metrics metrics;
    struct mr_rounding first; /* what the first device said */
    struct mr_round_terms terms;
};

struct cohort *cohort_open(const struct cohort_plan *plan, uint64_t seed);
void cohort_close(struct cohort *cohort);

/* One round: fresh deltas, the same weights. A delta beyond clip_norm counts as the hubs have it.
 */
void cohort_round(struct cohort *cohort, struct cohort_result *result);

/* Standard normal. */
double cohort_normal(struct cohort *cohort);

#endif
