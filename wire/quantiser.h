/* quantiser.h - the rule that chooses a round's quantiser, and the lanes that tell how it did.
 *
 * Everything follows from announced numbers and from what the round before opened, so that every
 * hub can compute it: docs/wire-format.md section 4; derivation, figures and the measured choice
 * among eleven rules: docs/decisions/0023-quantiser.md. Notation: w ring_bits, N devices, L lanes,
 * C clip_norm, q levels, n_j the norm that stands for bin j, c_j its count.
 *
 *   q     = min(127, floor((2^(w-1) - 1) / (headroom * cohort_max)))
 *   r     = the largest of 6..16 with padding (L - D) <= D/32, else 6
 *   k     = 1.3 + 0.35 log2(q sqrt(cohort_max)), kept in 1.5..4
 *   scale = q sqrt(L) / (k C)      while no round has been opened
 *         = q sqrt(L) / (4 M)      afterwards; M = C 2^(-j/4), j = 0..40, of least
 *             (4M/q)^2 sum_j c_j v_j + (sum_j c_j n_j h(4M/n_j))^2
 *             n_j = upper edge of bin j * 2^-0.25, s_j = q n_j / (4M)
 *             v_j = 1/6 where s_j > 0.4, else 0.8 s_j - s_j^2        (variance of the rounding)
 *             h(z)^2 = (1 + z^2) erfc(z / sqrt 2) - 2 z phi(z)       (what saturation takes)
 *
 * Pure: no I/O, no clock. Numbers are doubles of libm, whose last bit differs between machines: the
 * announced scale is the one that counts, and a hub compares (mr_quantiser_agrees), never bit for
 * bit. */
#ifndef MR_WIRE_QUANTISER_H
#define MR_WIRE_QUANTISER_H

#include <stdbool.h>
#include <stdint.h>

#define MR_LEVELS_MAX 127 /* an int8 without its lowest value */
#define MR_NORM_BINS  9   /* upper edges C * 2^-8 .. C * 2^0 */

/* What opened rounds told of the devices' weighted norms (after the clip). */
struct mr_norm_memory {
    double counts[MR_NORM_BINS]; /* decayed by 0.7 a round */
    float clip_norm;             /* the C of the edges */
    uint32_t devices;            /* in the last of these rounds; 0: nothing is known */
    uint64_t round;              /* the last of them */
};

/* What a round is quantised with, as far as the rule goes by it. */
struct mr_quantiser {
    uint8_t levels;
    uint32_t lanes;      /* L */
    uint32_t cohort_max; /* as announced */
    float clip_norm;
    uint64_t round;
};

/* 0: not even one level fits, a wider ring or a smaller cohort is needed. ring_bits 2..32,
 * cohort_max and headroom >= 1. */
uint8_t mr_quantiser_levels(uint8_t ring_bits, uint32_t cohort_max, uint32_t headroom);
/* As many as that, or `asked` where that is from 1 to MR_LEVELS_MAX (0, or more: as many as there
 * are); 0 where so many do not fit. */
uint8_t mr_quantiser_levels_asked(uint8_t ring_bits, uint32_t cohort_max, uint32_t headroom,
                                  uint8_t asked);

/* What a ring is chosen for. */
struct mr_ring_question {
    uint32_t cohort_max, headroom;
    uint32_t devices; /* of the update whose error is judged */
    uint8_t levels;   /* as of mr_quantiser_levels_asked */
    double
        error_most; /* relative, as of mr_quantiser_best_error; only where levels are not asked */
};
/* The narrowest ring that holds the levels that are asked for; else the narrowest in which the
 * update is off by no more than error_most, and where there is none, the narrowest of those with
 * the most levels. 0: no ring holds that. */
uint8_t mr_quantiser_ring(const struct mr_ring_question *question);

/* The largest cohort for which so many levels fit. */
uint32_t mr_quantiser_cohort_max(uint8_t ring_bits, uint8_t levels, uint32_t headroom);
uint8_t mr_quantiser_rotation_log2(uint32_t dimension);

/* k: the range of a lane in standard deviations, while the norms are not known. */
double mr_quantiser_first_range(uint8_t levels, uint32_t cohort_max);
/* M, at most C. Of a memory with devices > 0. Each round since `memory->round` that opened nothing
 * doubles it: devices that saturate refuse, and then no round tells of the new norms. */
double mr_quantiser_reach(const struct mr_quantiser *quantiser,
                          const struct mr_norm_memory *memory);
/* Steps per unit. `memory` with devices 0: no round has been opened. */
float mr_quantiser_scale(const struct mr_quantiser *quantiser, const struct mr_norm_memory *memory);
/* Whether an announced scale is the rule's, up to one step of the grid of M. */
bool mr_quantiser_agrees(float announced, float computed);

/* The relative error of an update by rounding that the best step leaves, of so many devices of one
 * norm with a cosine of 0.2 between them. */
double mr_quantiser_best_error(uint8_t levels, uint32_t devices);

/* The bin of a norm: 0..MR_NORM_BINS - 1. */
unsigned mr_norm_bin(double norm, float clip_norm);
/* An opened round's counts: the older ones decay, and go where they are of another clip_norm. */
void mr_norm_memory_add(struct mr_norm_memory *memory, const uint32_t counts[MR_NORM_BINS],
                        float clip_norm, uint64_t round);

/* --- units of the trailer's lanes ------------------------------------------------------------- *
 * So fine that no sum of cohort_max devices leaves its lane of 32 bits. */
/* Of the saturated share, 0..1. */
uint32_t mr_lane_share_unit(uint32_t cohort_max);
/* Of mean |q| and of the mean squared rounding error, each at most `levels`. */
uint32_t mr_lane_mean_unit(uint32_t cohort_max, uint8_t levels);

/* --- when to say so --------------------------------------------------------------------------- */
#define MR_ROUNDING_ERROR_WARN 0.05 /* of the update, relative */
#define MR_SATURATED_WARN      0.01 /* share of lanes */
#define MR_SATURATED_REFUSE    0.10

/* What a device's own relative error makes of the update when `devices` such devices are added.
 * Alike: they send the same. Else they have a cosine of 0.2 between them, as the study's devices.
 */
double mr_rounding_error_alike(double own, uint32_t devices);
double mr_rounding_error_usual(double own, uint32_t devices);

#endif
