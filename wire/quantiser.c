#include "wire/quantiser.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "wire/layout.h"

#define DECAY 0.7
#define KEEP  0.02 /* a bin with no more than that share is one device's word, or old news */
#define RANGE 4.0  /* of a lane, in standard deviations, once the norms are known */
#define GRID  40   /* steps of a quarter octave below C */

#define ROTATION_LEAST 6
#define ROTATION_MOST  16

static const double SQRT_HALF = 0.70710678118654752440;

uint8_t mr_quantiser_levels(uint8_t ring_bits, uint32_t cohort_max, uint32_t headroom)
{
    MR_ASSERT(ring_bits >= 2 && ring_bits <= 32 && cohort_max > 0 && headroom > 0);
    const uint64_t half = (UINT64_C(1) << (ring_bits - 1)) - 1;
    const uint64_t levels = half / ((uint64_t)headroom * cohort_max);
    return (uint8_t)(levels < MR_LEVELS_MAX ? levels : MR_LEVELS_MAX);
}

uint8_t mr_quantiser_levels_asked(uint8_t ring_bits, uint32_t cohort_max, uint32_t headroom,
                                  uint8_t asked)
{
    const uint8_t most = mr_quantiser_levels(ring_bits, cohort_max, headroom);
    if (asked == 0 || asked > MR_LEVELS_MAX) {
        return most;
    }
    return asked <= most ? asked : 0;
}

uint8_t mr_quantiser_ring(const struct mr_ring_question *question)
{
    uint8_t best = 0, best_levels = 0;
    for (unsigned i = 0; i < MR_RING_WIDTHS; i++) {
        const uint8_t bits = mr_ring_widths[i];
        const uint8_t levels = mr_quantiser_levels_asked(bits, question->cohort_max,
                                                         question->headroom, question->levels);
        if (levels > best_levels) {
            best = bits;
            best_levels = levels;
        }
        if (levels > 0 &&
            mr_quantiser_best_error(levels, question->devices) <= question->error_most) {
            return bits;
        }
    }
    return best;
}

uint32_t mr_quantiser_cohort_max(uint8_t ring_bits, uint8_t levels, uint32_t headroom)
{
    MR_ASSERT(ring_bits >= 2 && ring_bits <= 32 && levels > 0 && headroom > 0);
    const uint64_t half = (UINT64_C(1) << (ring_bits - 1)) - 1;
    return (uint32_t)(half / ((uint64_t)headroom * levels));
}

uint8_t mr_quantiser_rotation_log2(uint32_t dimension)
{
    for (uint8_t r = ROTATION_MOST; r > ROTATION_LEAST; r--) {
        struct mr_layout layout; /* of any ring and chunk: only L matters */
        if (mr_layout_init(&layout, 16, dimension, r, MR_CHUNK_BYTES_DEFAULT) == 0 &&
            32 * (uint64_t)(layout.lanes - dimension) <= dimension) {
            return r;
        }
    }
    return ROTATION_LEAST;
}

double mr_quantiser_first_range(uint8_t levels, uint32_t cohort_max)
{
    const double k = 1.3 + 0.35 * log2(levels * sqrt(cohort_max));
    return k < 1.5 ? 1.5 : k > RANGE ? RANGE : k;
}

/* --- M ---------------------------------------------------------------------------------------- */

/* 2^(-j/4), without a call that rounds in its own way. */
static double quarter_octaves(unsigned j)
{
    static const double part[4] = {1.0, 0.84089641525371454303, 0.70710678118654752440,
                                   0.59460355750136053336};
    return ldexp(part[j % 4], -(int)(j / 4));
}

/* The norm that stands for a bin: a quarter octave below its upper edge, and never above C. */
static double stands_for(const struct mr_norm_memory *memory, unsigned bin, double clip_norm)
{
    const double norm =
        (double)memory->clip_norm * ldexp(quarter_octaves(1), (int)bin - (MR_NORM_BINS - 1));
    return norm < clip_norm ? norm : clip_norm;
}

/* Variance of stochastic rounding, steps^2, of a lane of standard deviation s steps. */
static double rounding_variance(double s)
{
    return s > 0.4 ? 1.0 / 6 : 0.8 * s - s * s;
}

/* h(z): what saturation at z standard deviations takes of a lane, relative to its own. */
static double saturation(double z)
{
    const double phi = exp(-z * z / 2) / sqrt(2 * M_PI);
    const double square = (1 + z * z) * erfc(z * SQRT_HALF) - 2 * z * phi;
    return square > 0 ? sqrt(square) : 0;
}

/* The counts that are gone by: small bins left out, as many devices in all as the last round had.
 */
static void weigh(double weights[MR_NORM_BINS], const struct mr_norm_memory *memory)
{
    double all = 0, kept = 0;
    for (unsigned i = 0; i < MR_NORM_BINS; i++) {
        all += memory->counts[i];
    }
    for (unsigned i = 0; i < MR_NORM_BINS; i++) {
        weights[i] = memory->counts[i] > KEEP * all ? memory->counts[i] : 0;
        kept += weights[i];
    }
    for (unsigned i = 0; i < MR_NORM_BINS; i++) {
        weights[i] = kept > 0 ? weights[i] / kept * memory->devices : 0;
    }
}

/* The squared error of the sum that is to be expected at a reach of M. */
static double predicted(double reach, const double weights[MR_NORM_BINS],
                        const double norms[MR_NORM_BINS], uint8_t levels)
{
    const double step = RANGE * reach / levels; /* times sqrt(L) */
    double rounding = 0, lost = 0;
    for (unsigned i = 0; i < MR_NORM_BINS; i++) {
        rounding += weights[i] * rounding_variance(norms[i] / step);
        lost += weights[i] * norms[i] * saturation(RANGE * reach / norms[i]);
    }
    return step * step * rounding + lost * lost;
}

/* Rounds before this one that opened nothing. */
static uint64_t silent_rounds(uint64_t round, const struct mr_norm_memory *memory)
{
    return round > memory->round + 1 ? round - memory->round - 1 : 0;
}

double mr_quantiser_reach(const struct mr_quantiser *quantiser, const struct mr_norm_memory *memory)
{
    const double clip_norm = (double)quantiser->clip_norm;
    double weights[MR_NORM_BINS], norms[MR_NORM_BINS];
    double best = DBL_MAX, reach = clip_norm;
    weigh(weights, memory);
    for (unsigned i = 0; i < MR_NORM_BINS; i++) {
        norms[i] = stands_for(memory, i, clip_norm);
    }
    for (unsigned j = 0; j <= GRID; j++) {
        const double tried = clip_norm * quarter_octaves(GRID - j);
        const double error = predicted(tried, weights, norms, quantiser->levels);
        if (error < best) {
            best = error;
            reach = tried;
        }
    }
    for (uint64_t i = silent_rounds(quantiser->round, memory); i > 0 && reach < clip_norm; i--) {
        reach *= 2;
    }
    return reach < clip_norm ? reach : clip_norm;
}

float mr_quantiser_scale(const struct mr_quantiser *quantiser, const struct mr_norm_memory *memory)
{
    const double range = memory->devices > 0
                             ? RANGE * mr_quantiser_reach(quantiser, memory)
                             : mr_quantiser_first_range(quantiser->levels, quantiser->cohort_max) *
                                   (double)quantiser->clip_norm;
    const double scale = quantiser->levels * sqrt(quantiser->lanes) / range;
    return scale > (double)FLT_MAX ? FLT_MAX : scale < (double)FLT_MIN ? FLT_MIN : (float)scale;
}

bool mr_quantiser_agrees(float announced, float computed)
{
    const double ratio = (double)announced / (double)computed;
    return ratio < 1.19 && ratio > 1 / 1.19; /* 2^(1/4) is 1.1892 */
}

double mr_quantiser_best_error(uint8_t levels, uint32_t devices)
{
    const double weights[MR_NORM_BINS] = {devices};
    double norms[MR_NORM_BINS], best = DBL_MAX;
    for (unsigned i = 0; i < MR_NORM_BINS; i++) {
        norms[i] = 1;
    }
    for (unsigned j = 0; j <= 16; j++) { /* two octaves to either side of the norm */
        const double error = predicted(4 * quarter_octaves(j), weights, norms, levels);
        best = error < best ? error : best;
    }
    return mr_rounding_error_usual(sqrt(best / devices), devices);
}

/* --- the memory --------------------------------------------------------------------------------
 */

unsigned mr_norm_bin(double norm, float clip_norm)
{
    unsigned bin = 0;
    while (bin < MR_NORM_BINS - 1 &&
           norm > ldexp((double)clip_norm, (int)bin - (MR_NORM_BINS - 1))) {
        bin++;
    }
    return bin;
}

void mr_norm_memory_add(struct mr_norm_memory *memory, const uint32_t counts[MR_NORM_BINS],
                        float clip_norm, uint64_t round)
{
    if (memory->clip_norm != clip_norm) {
        memset(memory->counts, 0, sizeof memory->counts);
    }
    memory->devices = 0;
    for (unsigned i = 0; i < MR_NORM_BINS; i++) {
        memory->counts[i] = DECAY * memory->counts[i] + counts[i];
        memory->devices += counts[i];
    }
    memory->clip_norm = clip_norm;
    memory->round = round;
}

/* --- units -------------------------------------------------------------------------------------
 */

uint32_t mr_lane_share_unit(uint32_t cohort_max)
{
    const uint32_t most = UINT32_MAX / cohort_max;
    return most < 1u << 20 ? most : 1u << 20;
}

uint32_t mr_lane_mean_unit(uint32_t cohort_max, uint8_t levels)
{
    const uint64_t most = UINT32_MAX / ((uint64_t)cohort_max * levels);
    return most < 4096 ? (uint32_t)most : 4096;
}

double mr_rounding_error_alike(double own, uint32_t devices)
{
    return own / sqrt(devices);
}

double mr_rounding_error_usual(double own, uint32_t devices)
{
    return own / sqrt(0.2 * devices + 0.8);
}
