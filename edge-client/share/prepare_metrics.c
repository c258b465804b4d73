/* prepare_metrics.c - a device's metrics into their lanes of the trailer. */
#include <openssl/crypto.h>

#include "edge-client/share/prepare.h"
#include "wire/metric.h"

/* Behind the dice of mr_prepare_quantise, before the numbers of its second try. */
#define METRIC_DICE_AT 16

void mr_prepare_metrics(uint32_t *trailer, const struct mr_round_terms *terms,
                        const struct mr_metric_values *values,
                        const uint8_t random[MR_PREPARE_RANDOM_BYTES],
                        const struct mr_kernels *kernels)
{
    const struct mr_announcement *round = &terms->announcement;
    const uint64_t at = terms->layout.lanes * (uint64_t)sizeof(uint16_t) + METRIC_DICE_AT;
    const unsigned lanes = mr_metric_lanes(round);
    struct mr_mask_stream stream;
    uint16_t dice[MR_METRIC_STAGES * MR_METRICS_MAX];
    if (!mr_metric_told(round)) {
        return;
    }
    mr_mask_stream_init(&stream, random, random + 16);
    kernels->mask_expand((uint8_t *)dice, &stream, at, sizeof dice);
    for (unsigned i = 0; i < lanes; i++) {
        const enum mr_metric_stage stage = i / round->metric_count;
        const unsigned place = i % round->metric_count;
        trailer[mr_metric_lane(round, place, stage)] = mr_metric_encode(
            round, place, values->of[stage][place], trailer[MR_TRAILER_WEIGHT], dice[i]);
    }
    OPENSSL_cleanse(dice, sizeof dice);
    OPENSSL_cleanse(&stream, sizeof stream);
}
