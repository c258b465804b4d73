/* prepare.h - from a float delta to a frozen share: weight, clip, rotate, quantise, lift, mask.
 *
 * No I/O, no clock, no allocation; randomness comes in as bytes from the caller's CSPRNG. The float
 * stage runs once a round (mr_prepare_delta, in place); the ring stage once an attempt
 * (mr_prepare_quantise, mr_prepare_share), each time with fresh randomness. */
#ifndef MR_SHARE_PREPARE_H
#define MR_SHARE_PREPARE_H

#include "kernels/kernels.h"
#include "edge-client/share/rounding.h"
#include "wire/announcement.h"
#include "base/error.h"
#include "wire/keys.h"
#include "wire/metric.h"
#include "wire/noise_add.h"

#define MR_PREPARE_RANDOM_BYTES 32 /* seed of the stochastic rounding: key ‖ counter */

/* What the device tells of its training. */
struct mr_training_report {
    uint32_t examples; /* >= 1 */
    float loss;        /* mean; not finite or negative counts as unknown: the largest value */
};

/* A device's own metrics, in the order of the announcement; within their ranges. */
struct mr_metric_values {
    double of[MR_METRIC_STAGES][MR_METRICS_MAX];
};

/* Weights by ω / ω_max with ω = min(examples, weight_max), clips to L2 norm C, pads with zeros to
 * `lanes`, flips signs and transforms where the round rotates; all in place in vector[lanes], whose
 * first D floats are the delta, or zeros where nobody trains. Fills the trailer, all lanes of the
 * layout, but for what mr_prepare_quantise and mr_prepare_metrics set. Returns 0,
 * or -1 with an error if the delta holds NaN or infinity or examples is 0 (vector is then
 * unspecified). */
int mr_prepare_delta(float *vector, uint32_t *trailer, const struct mr_round_terms *terms,
                     const struct mr_training_report *report, const struct mr_kernels *kernels,
                     struct mr_error *error);

/* Stochastic rounding of vector[lanes] into q[lanes] with 16-bit numbers expanded from `random`
 * (AES-CTR). Sets the trailer's lanes MR_TRAILER_SATURATED, _NOISE and _RESOLUTION, and tells in
 * `rounding` what it cost. */
void mr_prepare_quantise(int8_t *q, uint32_t *trailer, struct mr_rounding *rounding,
                         const float *vector, const struct mr_round_terms *terms,
                         const uint8_t random[MR_PREPARE_RANDOM_BYTES],
                         const struct mr_kernels *kernels);

/* The lanes of the round's metrics, where it tells them; rounded with numbers of `random` that
 * mr_prepare_quantise does not use. After mr_prepare_delta. */
void mr_prepare_metrics(uint32_t *trailer, const struct mr_round_terms *terms,
                        const struct mr_metric_values *values,
                        const uint8_t random[MR_PREPARE_RANDOM_BYTES],
                        const struct mr_kernels *kernels);

/* What a share is made of; all of it is the caller's. */
struct mr_share_parts {
    const int8_t *q;         /* [lanes of the terms' layout] */
    const uint32_t *trailer; /* [trailer_lanes of it] */
    const struct mr_round_terms *terms;
    const uint8_t *client_id; /* 16 bytes */
    uint32_t attempt;
    /* With noise of devices: the tables of the announcement, and a seed of this attempt alone. Else
     * NULL. */
    const struct mr_noise_tables *noise_tables;
    const uint8_t *noise_seed;             /* MR_NOISE_SEED_BYTES */
    const uint8_t (*seeds)[MR_SEED_BYTES]; /* [i]: the fresh seed of hub i + 1 of the terms' list */
};

/* Lifts q and the trailer into share[share_bytes] (64-byte aligned), adds this device's noise where
 * the round has noise of devices, and subtracts the mask of every helper. 0, or -1 when OpenSSL
 * fails or memory is short (the share is then wiped). */
int mr_prepare_share(uint8_t *share, const struct mr_share_parts *parts,
                     const struct mr_kernels *kernels);

#endif
