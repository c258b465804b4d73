/* The announcement's rules: what a hub announces, and what hubs and devices take. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "wire/announcement.h"
#include "wire/announcement_privacy.h"
#include "wire/metric.h"

static const char name_alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";

int mr_announcement_layout(struct mr_layout *layout, const struct mr_announcement *announcement)
{
    const struct mr_announcement *a = announcement;
    const bool trains = mr_announcement_trains(a);
    const int result = mr_layout_init(layout, a->ring_bits, trains ? a->dimension : 1,
                                      trains ? a->rotation_log2 : 0, a->chunk_bytes);
    return result == 0 && a->metric_count > 0 ? mr_layout_add_metrics(layout) : result;
}

static int check_layout(const struct mr_announcement *a, struct mr_layout *layout,
                        struct mr_error *error)
{
    if (!mr_ring_width_known(a->ring_bits)) {
        return mr_error_set(error, "ring_bits is %u: only " MR_RING_WIDTHS_TEXT " exist",
                            a->ring_bits);
    }
    if (a->dimension == 0 || a->dimension > MR_DIMENSION_MAX) {
        return mr_error_set(error, "dimension is %u: must be 1 to %u", a->dimension,
                            MR_DIMENSION_MAX);
    }
    if (a->rotation_log2 > 16) {
        return mr_error_set(error, "rotation_log2 is %u: must be 0 to 16", a->rotation_log2);
    }
    if (mr_announcement_layout(layout, a) != 0) {
        return mr_error_set(error, "chunk_bytes is %u: must be a multiple of 64, 64 to %u",
                            a->chunk_bytes, MR_CHUNK_BYTES_MAX);
    }
    return 0;
}

/* headroom (N levels + noise tail) < 2^(w - 1). */
static uint32_t clients_max(const struct mr_announcement *a)
{
    const uint64_t room = mr_quantiser_cohort_max(a->ring_bits, 1, a->headroom);
    const uint64_t tail = mr_announcement_tail(a, MR_NOISE_MODEL);
    return tail < room ? (uint32_t)((room - tail) / a->levels) : 0;
}

static int check_weight(const struct mr_announcement *a, struct mr_error *error)
{
    if (a->weight_max < 1) {
        return mr_error_set(error, "weight_max is 0: must be at least 1");
    }
    const uint64_t most = (uint64_t)a->cohort_max * a->weight_max;
    const uint64_t tail = mr_announcement_tail(a, MR_NOISE_WEIGHT);
    if (most > UINT32_MAX || tail > (UINT32_MAX - most) / 2) {
        return mr_error_set(
            error, "weight_max is %u: times cohort_max (%u)%s it must stay below 2^32",
            a->weight_max, a->cohort_max, tail > 0 ? " and with its noise to either side" : "");
    }
    return 0;
}

static int check_cohort(const struct mr_announcement *a, struct mr_error *error)
{
    if (a->levels < 1 || a->levels > MR_LEVELS_MAX) {
        return mr_error_set(error, "levels is %u: must be 1 to %d", a->levels, MR_LEVELS_MAX);
    }
    if (a->headroom < MR_HEADROOM_MIN || a->headroom > MR_HEADROOM_MAX) {
        return mr_error_set(error, "headroom is %u: must be %d to %d", a->headroom, MR_HEADROOM_MIN,
                            MR_HEADROOM_MAX);
    }
    const uint32_t most = clients_max(a);
    if (a->cohort_min < 2) {
        return mr_error_set(error, "cohort_min is %u: must be at least 2", a->cohort_min);
    }
    if (a->cohort_max < a->cohort_min) {
        return mr_error_set(error, "cohort_max is %u: must not be below cohort_min (%u)",
                            a->cohort_max, a->cohort_min);
    }
    if (a->cohort_max > most) {
        return mr_error_set(error,
                            "cohort_max is %u: ring_bits %u with headroom %u holds the sum of %u "
                            "devices of %u levels%s; lower cohort_max or take a wider ring",
                            a->cohort_max, a->ring_bits, a->headroom, most, a->levels,
                            a->noise_kind != MR_NOISE_NONE ? " with the noise" : "");
    }
    if (a->quorum != 0 && (a->quorum < a->cohort_min || a->quorum > a->cohort_max)) {
        return mr_error_set(error,
                            "quorum is %u: must be 0, or from cohort_min (%u) to cohort_max "
                            "(%u)",
                            a->quorum, a->cohort_min, a->cohort_max);
    }
    if (a->admitted_max != 0 && a->admitted_max <= a->cohort_max) {
        return mr_error_set(error, "admitted_max is %u: must be 0, or above cohort_max (%u)",
                            a->admitted_max, a->cohort_max);
    }
    return check_weight(a, error);
}

/* Subnormal numbers are refused too: their reciprocal may be infinite. */
static bool positive(float value)
{
    return isnormal(value) && value > 0;
}

static int check_numbers(const struct mr_announcement *a, struct mr_error *error)
{
    if (a->round == 0 || a->round > MR_ROUND_MAX) {
        return mr_error_set(error, "round is %llu: must be 1 to 2^53 - 1",
                            (unsigned long long)a->round);
    }
    if (a->deadline_unix_ms == 0) {
        return mr_error_set(error, "deadline_unix_ms is 0: a round needs a deadline");
    }
    if (a->model_values != 0 &&
        (a->model_values <= a->dimension || a->model_values > MR_DIMENSION_MAX)) {
        return mr_error_set(error,
                            "model_values is %u: must be 0, or above dimension (%u), and %u "
                            "at most",
                            a->model_values, a->dimension, MR_DIMENSION_MAX);
    }
    if (a->seal != MR_SEAL_HPKE) {
        return mr_error_set(error, "seal is %u: only %d is known", a->seal, MR_SEAL_HPKE);
    }
    if (!positive(a->scale)) {
        return mr_error_set(error, "scale must be a finite number above 0 (1.2e-38 to 3.4e38)");
    }
    if (!positive(a->clip_norm)) {
        return mr_error_set(error, "clip_norm must be a finite number above 0 (1.2e-38 to 3.4e38)");
    }
    if (!positive(a->step_max)) {
        return mr_error_set(error, "step_max must be a finite number above 0 (1.2e-38 to 3.4e38)");
    }
    if (a->audit_hours > MR_AUDIT_HOURS_MAX) {
        return mr_error_set(error, "audit_hours is %u: must be 0 to %d", a->audit_hours,
                            MR_AUDIT_HOURS_MAX);
    }
    return mr_optimiser_check(&a->optimiser, error);
}

static int check_task(const struct mr_announcement *a, struct mr_error *error)
{
    if (!mr_task_name_valid(a->task)) {
        return mr_error_set(error,
                            "task must be 1 to %d of [a-z0-9-] and begin with a letter or a digit",
                            MR_TASK_NAME_MAX);
    }
    return 0;
}

static int check_training(const struct mr_announcement *a, struct mr_error *error)
{
    size_t length = strnlen(a->training, sizeof a->training);
    if (length > MR_TRAINING_MAX) {
        return mr_error_set(error, "training is longer than %d bytes", MR_TRAINING_MAX);
    }
    for (size_t i = 0; i < length; i++) {
        if (a->training[i] < 0x20 || a->training[i] > 0x7e) {
            return mr_error_set(error,
                                "training has byte 0x%02x at %zu: only printable ASCII; write the "
                                "JSON on one line with \\u escapes",
                                (unsigned char)a->training[i], i);
        }
    }
    return 0;
}

static int check_hub(const struct mr_announcement *a, unsigned i, struct mr_error *error)
{
    const struct mr_announced_hub *hub = &a->hubs[i];
    size_t length = strnlen(hub->name, sizeof hub->name);
    if (length == 0 || length > MR_HUB_NAME_MAX || strspn(hub->name, name_alphabet) != length) {
        return mr_error_set(error, "hubs[%u].name must be 1 to %d of [a-z0-9.-]", i,
                            MR_HUB_NAME_MAX);
    }
    if (i >= 2 && hub->index <= a->hubs[i - 1].index) {
        return mr_error_set(error, "hubs[%u].index is %u: helpers stand in rising order", i,
                            hub->index);
    }
    for (unsigned j = 0; j < i; j++) {
        if (a->hubs[j].index == hub->index) {
            return mr_error_set(error, "hubs[%u].index is %u: twice in the list", i, hub->index);
        }
        if (memcmp(a->hubs[j].public_key, hub->public_key, MR_PUBLIC_KEY_BYTES) == 0) {
            return mr_error_set(error, "hubs[%u].public_key is that of hubs[%u] too", i, j);
        }
    }
    return 0;
}

static int check_watermark(const struct mr_announcement *a, struct mr_error *error)
{
    if (a->watermark.strength == 0) {
        return 0;
    }
    return mr_announcement_trains(a)
               ? mr_watermark_terms_check(&a->watermark, a->hub_count, error)
               : mr_error_set(error, "watermark: an evaluation makes no model to mark");
}

int mr_announcement_check(const struct mr_announcement *announcement, struct mr_error *error)
{
    struct mr_layout layout = {.lanes = 0};
    if (check_numbers(announcement, error) != 0 || mr_metric_check(announcement, error) != 0 ||
        check_layout(announcement, &layout, error) != 0 ||
        mr_announcement_privacy_check(announcement, layout.lanes, error) != 0 ||
        check_cohort(announcement, error) != 0 || check_task(announcement, error) != 0 ||
        check_training(announcement, error) != 0) {
        return -1;
    }
    if (announcement->hub_count < 2 || announcement->hub_count > MR_HUBS_MAX) {
        return mr_error_set(error, "hub_count is %u: must be 2 to %d", announcement->hub_count,
                            MR_HUBS_MAX);
    }
    for (unsigned i = 0; i < announcement->hub_count; i++) {
        if (check_hub(announcement, i, error) != 0) {
            return -1;
        }
    }
    return check_watermark(announcement, error);
}
