#include "edge-client/share/prepare.h"

#include <math.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "wire/announcement_privacy.h"
#include "wire/share.h"

/* Lanes handled per pass through a small buffer: 8 KiB of random numbers, 512 bytes of signs. */
#define STRIDE 4096u
/* Lanes whose errors are squared at once: the device's memory is small. */
#define STEP 512u
/* A vector that is longer after rounding than the round with noise allows is rounded anew, so often
 * at most; then toward zero, which makes no vector longer. */
#define TRIES 64u
/* A relative error beyond this is told as this. */
#define ERROR_MAX 1e6

static uint32_t capped(double value)
{
    if (!(value >= 0)) { /* NaN too */
        return MR_TRAILER_VALUE_MAX;
    }
    if (value >= MR_TRAILER_VALUE_MAX) {
        return MR_TRAILER_VALUE_MAX;
    }
    /* Nearest, ties to even, without libm: 2^52 has no room for a fraction beside it. */
    return (uint32_t)((value + 0x1p52) - 0x1p52);
}

static int rotate(float *vector, const struct mr_round_terms *terms,
                  const struct mr_kernels *kernels, struct mr_error *error)
{
    struct mr_mask_stream signs;
    uint8_t bits[STRIDE / 8];
    if (mr_rotation_derive(&signs, terms->announcement.rotation_seed, terms->announcement.round)) {
        return mr_error_set(error, "the rotation's signs cannot be derived: OpenSSL failed");
    }
    for (size_t at = 0; at < terms->layout.lanes; at += STRIDE) {
        size_t left = terms->layout.lanes - at;
        size_t n = left < STRIDE ? left : STRIDE; /* lanes are a multiple of 64 */
        kernels->mask_expand(bits, &signs, at / 8, (n + 7) / 8);
        kernels->flip_signs(vector + at, bits, n);
    }
    kernels->hadamard(vector, terms->layout.lanes, terms->layout.rotation_block);
    return 0;
}

/* What no noise is added to is not told in a round with noise. Of an evaluation only the metrics
 * are: what a training round tells of the same data on the same model is not told a second time. */
static bool tells_all(const struct mr_announcement *round)
{
    return round->noise_kind == MR_NOISE_NONE && mr_announcement_trains(round);
}

int mr_prepare_delta(float *vector, uint32_t *trailer, const struct mr_round_terms *terms,
                     const struct mr_training_report *report, const struct mr_kernels *kernels,
                     struct mr_error *error)
{
    const struct mr_announcement *round = &terms->announcement;
    size_t dimension = terms->layout.dimension;
    if (report->examples == 0) {
        return mr_error_set(error, "the trainer reports 0 examples: a device without data must not "
                                   "take part in the round");
    }
    double drift = sqrt(kernels->sum_squares(vector, dimension));
    if (!isfinite(drift)) {
        return mr_error_set(error, "the trained delta holds NaN or infinity: training diverged; "
                                   "lower the learning rate or check the data");
    }

    uint32_t weight = report->examples < round->weight_max ? report->examples : round->weight_max;
    kernels->scale(vector, (float)weight / (float)round->weight_max, dimension);
    double norm = sqrt(kernels->sum_squares(vector, dimension));
    if (norm > round->clip_norm) {
        kernels->scale(vector, (float)(round->clip_norm / norm), dimension);
        norm = round->clip_norm;
    }
    memset(vector + dimension, 0, (terms->layout.lanes - dimension) * sizeof *vector);
    if (terms->layout.rotation_block > 1 && rotate(vector, terms, kernels, error)) {
        return -1;
    }

    memset(trailer, 0, terms->layout.trailer_lanes * sizeof *trailer);
    trailer[MR_TRAILER_COUNT] = 1;
    trailer[MR_TRAILER_WEIGHT] = weight;
    if (tells_all(round)) {
        trailer[MR_TRAILER_EXAMPLES] = capped(report->examples);
        trailer[MR_TRAILER_LOSS_MILLI] = capped((double)report->loss * 1000);
        trailer[MR_TRAILER_DRIFT_MILLI] = capped(drift * 1000);
    }
    const unsigned bin = mr_norm_bin(norm, round->clip_norm);
    const bool tells_bin = tells_all(round) || round->privacy.norms_sigma2 > 0;
    if (tells_bin && bin < MR_NORM_BINS - 1) { /* the last bin's count follows from the others */
        trailer[MR_TRAILER_NORMS + bin] = 1;
    }
    return 0;
}

/* --- rounding --------------------------------------------------------------------------------- */

/* What the lanes of one attempt add up to. */
struct tally {
    size_t saturated;
    uint64_t magnitude; /* Σ |q| */
    uint64_t norm2;     /* Σ q² */
    double noise;       /* Σ (q − y)² */
};

static void count_loss(struct tally *tally, const int8_t *q, const float *x, float scale, size_t n,
                       const struct mr_kernels *kernels)
{
    float error[STEP];
    uint32_t magnitude = 0, norm2 = 0;
    for (size_t at = 0; at < n; at += STEP) {
        const size_t count = n - at < STEP ? n - at : STEP;
        for (size_t i = 0; i < count; i++) {
            error[i] = (float)q[at + i] - x[at + i] * scale;
            magnitude += (uint32_t)(q[at + i] < 0 ? -q[at + i] : q[at + i]);
            norm2 += (uint32_t)(q[at + i] * q[at + i]); /* of STRIDE lanes below 2^27 */
        }
        tally->noise += kernels->sum_squares(error, count);
    }
    tally->magnitude += magnitude;
    tally->norm2 += norm2;
}

/* In units of the lane, rounded by chance: the sum of many has no bias, however coarse the unit. */
static uint32_t lane_value(double value, double most, uint32_t unit, uint16_t dice)
{
    const double exact = (value < most ? value : most) * unit; /* an infinity is cut off as well */
    const double down = floor(exact);
    return (uint32_t)(down + (exact - down > dice * 0x1p-16 ? 1 : 0));
}

static void fill_lanes(uint32_t *trailer, const struct tally *tally,
                       const struct mr_round_terms *terms, const uint16_t dice[3])
{
    const struct mr_announcement *round = &terms->announcement;
    const double lanes = terms->layout.lanes;
    const uint32_t share = mr_lane_share_unit(round->cohort_max);
    const uint32_t mean = mr_lane_mean_unit(round->cohort_max, round->levels);
    trailer[MR_TRAILER_SATURATED] = lane_value((double)tally->saturated / lanes, 1, share, dice[0]);
    trailer[MR_TRAILER_NOISE] = lane_value(tally->noise / lanes, round->levels, mean, dice[1]);
    trailer[MR_TRAILER_RESOLUTION] =
        lane_value((double)tally->magnitude / lanes, round->levels, mean, dice[2]);
}

static void tell(struct mr_rounding *rounding, const struct tally *tally, const float *vector,
                 const struct mr_round_terms *terms, const struct mr_kernels *kernels)
{
    const size_t lanes = terms->layout.lanes;
    const double scale = (double)terms->announcement.scale;
    const double square = kernels->sum_squares(vector, lanes), whole = square * scale * scale;
    const double error = whole > 0 ? sqrt(tally->noise / whole) : 0;
    *rounding = (struct mr_rounding){
        .clipped = (uint32_t)tally->saturated,
        .saturated = (double)tally->saturated / (double)lanes,
        .resolution = (double)tally->magnitude / (double)lanes,
        .error = error < ERROR_MAX ? error : ERROR_MAX, /* a value beyond float gives none */
        .norm = sqrt(square),
        .norm2 = tally->norm2,
    };
}

/* By chance, with the numbers of the stream's byte `start` on. */
static void round_by_chance(int8_t *q, struct tally *tally, const float *vector,
                            const struct mr_round_terms *terms, const struct mr_mask_stream *stream,
                            uint64_t start, const struct mr_kernels *kernels)
{
    const struct mr_announcement *round = &terms->announcement;
    const size_t lanes = terms->layout.lanes;
    uint16_t numbers[STRIDE];
    *tally = (struct tally){.saturated = 0};
    for (size_t at = 0; at < lanes; at += STRIDE) {
        const size_t n = lanes - at < STRIDE ? lanes - at : STRIDE;
        kernels->mask_expand((uint8_t *)numbers, stream, start + at * sizeof *numbers,
                             n * sizeof *numbers);
        tally->saturated +=
            kernels->round_i8(q + at, vector + at, round->scale, round->levels, numbers, n);
        count_loss(tally, q + at, vector + at, round->scale, n, kernels);
    }
    OPENSSL_cleanse(numbers, sizeof numbers);
}

static void round_toward_zero(int8_t *q, struct tally *tally, const float *vector,
                              const struct mr_round_terms *terms, const struct mr_kernels *kernels)
{
    const struct mr_announcement *round = &terms->announcement;
    const float most = round->levels;
    *tally = (struct tally){.saturated = 0};
    for (size_t at = 0; at < terms->layout.lanes; at += STRIDE) {
        const size_t left = terms->layout.lanes - at, n = left < STRIDE ? left : STRIDE;
        for (size_t i = 0; i < n; i++) {
            const float y = vector[at + i] * round->scale;
            tally->saturated += y > most || y < -most;
            q[at + i] = (int8_t)(y > most ? most : y < -most ? -most : y);
        }
        count_loss(tally, q + at, vector + at, round->scale, n, kernels);
    }
}

/* Each try has numbers of its own: which of them was kept says nothing more than its result. */
static void round_lanes(int8_t *q, struct tally *tally, const float *vector,
                        const struct mr_round_terms *terms, const struct mr_mask_stream *stream,
                        const struct mr_kernels *kernels)
{
    const struct mr_announcement *round = &terms->announcement;
    const uint64_t most =
        round->noise_kind == MR_NOISE_NONE
            ? UINT64_MAX
            : mr_announcement_sensitivity2(round, terms->layout.lanes, MR_NOISE_MODEL);
    const uint64_t each = terms->layout.lanes * (uint64_t)sizeof(uint16_t) + 64;
    for (unsigned i = 0; i < TRIES; i++) {
        round_by_chance(q, tally, vector, terms, stream, i * each, kernels);
        if (tally->norm2 <= most) {
            return;
        }
    }
    round_toward_zero(q, tally, vector, terms, kernels);
}

void mr_prepare_quantise(int8_t *q, uint32_t *trailer, struct mr_rounding *rounding,
                         const float *vector, const struct mr_round_terms *terms,
                         const uint8_t random[MR_PREPARE_RANDOM_BYTES],
                         const struct mr_kernels *kernels)
{
    const uint64_t dice_at = terms->layout.lanes * (uint64_t)sizeof(uint16_t);
    struct mr_mask_stream stream;
    struct tally tally;
    uint16_t dice[8];
    mr_mask_stream_init(&stream, random, random + 16);
    round_lanes(q, &tally, vector, terms, &stream, kernels);
    if (tells_all(&terms->announcement)) {
        kernels->mask_expand((uint8_t *)dice, &stream, dice_at, sizeof dice);
        fill_lanes(trailer, &tally, terms, dice);
        OPENSSL_cleanse(dice, sizeof dice);
    }
    tell(rounding, &tally, vector, terms, kernels);
    OPENSSL_cleanse(&stream, sizeof stream);
}

/* --- the share -------------------------------------------------------------------------------- */

int mr_prepare_share(uint8_t *share, const struct mr_share_parts *parts,
                     const struct mr_kernels *kernels)
{
    const struct mr_round_terms *terms = parts->terms;
    const struct mr_announcement *round = &terms->announcement;
    MR_ASSERT(round->hub_count >= 2);
    mr_share_lift(share, &terms->layout, parts->q, parts->trailer, kernels);
    if (round->noise_kind == MR_NOISE_DEVICE &&
        mr_noise_add_seed(share, parts->noise_tables, terms, parts->noise_seed, kernels) != 0) {
        OPENSSL_cleanse(share, terms->layout.share_bytes);
        return -1;
    }
    for (unsigned i = 1; i < round->hub_count; i++) {
        struct mr_key_scope scope = {.task = round->task,
                                     .announcement_hash = terms->hash,
                                     .client_id = parts->client_id,
                                     .hub_index = round->hubs[i].index,
                                     .attempt = parts->attempt};
        struct mr_mask_stream mask;
        if (mr_mask_derive(&mask, parts->seeds[i - 1], &scope)) {
            OPENSSL_cleanse(share, terms->layout.share_bytes);
            return -1;
        }
        mr_share_mask(share, &terms->layout, &mask, kernels);
        OPENSSL_cleanse(&mask, sizeof mask);
    }
    return 0;
}
