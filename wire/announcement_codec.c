/* The announcement's rules and its one encoding. Layout: docs/wire-format.md, "Announcement". */
#include "wire/announcement.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/sha.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/announcement_privacy.h"
#include "wire/metric.h"

static const uint8_t magic[4] = {'M', 'R', 'A', 'N'};
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

static void float_put(uint8_t *p, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    mr_be32_put(p, bits);
}

static float float_get(const uint8_t *p)
{
    uint32_t bits = mr_be32_get(p);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Offsets of the terms of noise, which a round without noise has none of; the pool follows. */
enum {
    AT_MODEL_SIGMA2 = 0,
    AT_NORMS_SIGMA2 = 8,
    AT_WEIGHT_SIGMA2 = 16,
    AT_RHO = 24,
    AT_BUDGET = 32,
    AT_HORIZON = 40,
    AT_DELTA = 44,
    AT_HONEST = 48,
    AT_METRICS_SIGMA2 = 52,
    AT_POOL_LENGTH = 60,
    PRIVACY_BYTES = 61,
};

/* Returns what is behind. */
static uint8_t *privacy_put(uint8_t *out, const struct mr_privacy_terms *privacy)
{
    const size_t pool_length = strlen(privacy->pool);
    mr_be64_put(out + AT_MODEL_SIGMA2, privacy->model_sigma2);
    mr_be64_put(out + AT_NORMS_SIGMA2, privacy->norms_sigma2);
    mr_be64_put(out + AT_WEIGHT_SIGMA2, privacy->weight_sigma2);
    mr_be64_put(out + AT_RHO, privacy->rho);
    mr_be64_put(out + AT_BUDGET, privacy->budget);
    mr_be32_put(out + AT_HORIZON, privacy->horizon_s);
    float_put(out + AT_DELTA, privacy->delta);
    mr_be32_put(out + AT_HONEST, privacy->honest);
    mr_be64_put(out + AT_METRICS_SIGMA2, privacy->metrics_sigma2);
    out[AT_POOL_LENGTH] = (uint8_t)pool_length;
    memcpy(out + PRIVACY_BYTES, privacy->pool, pool_length);
    return out + PRIVACY_BYTES + pool_length;
}

/* Offsets of the fixed part. */
enum {
    AT_VERSION = 4,
    AT_ROUND = 6,
    AT_DEADLINE = 14,
    AT_DIMENSION = 22,
    AT_RING_BITS = 26,
    AT_ROTATION = 27,
    AT_NOISE = 28,
    AT_CHUNK_BYTES = 29,
    AT_COHORT_MIN = 31,
    AT_COHORT_MAX = 35,
    AT_WEIGHT_MAX = 39,
    AT_SCALE = 43,
    AT_CLIP_NORM = 47,
    AT_MODEL_HASH = 51,
    AT_ROTATION_SEED = 83,
    AT_LEVELS = 115,
    AT_HEADROOM = 116,
    AT_SEAL = 117,
    AT_STEP_MAX = 118,
    AT_AUDIT_HOURS = 122,
    AT_QUORUM = 124,
    AT_ADMITTED_MAX = 128,
    AT_OPTIMISER = 132,
    AT_LEARNING_RATE = 133,
    AT_BETA1 = 137,
    AT_BETA2 = 141,
    AT_TAU = 145,
    AT_MODEL_VALUES = 149,
    AT_KIND = 153,
    FIXED_BYTES = 154,
};

static void fixed_put(uint8_t *out, const struct mr_announcement *a)
{
    memcpy(out, magic, sizeof magic);
    mr_be16_put(out + AT_VERSION, MR_ANNOUNCEMENT_VERSION);
    mr_be64_put(out + AT_ROUND, a->round);
    mr_be64_put(out + AT_DEADLINE, a->deadline_unix_ms);
    mr_be32_put(out + AT_DIMENSION, a->dimension);
    out[AT_RING_BITS] = a->ring_bits;
    out[AT_ROTATION] = a->rotation_log2;
    out[AT_NOISE] = a->noise_kind;
    mr_be16_put(out + AT_CHUNK_BYTES, a->chunk_bytes);
    mr_be32_put(out + AT_COHORT_MIN, a->cohort_min);
    mr_be32_put(out + AT_COHORT_MAX, a->cohort_max);
    mr_be32_put(out + AT_WEIGHT_MAX, a->weight_max);
    float_put(out + AT_SCALE, a->scale);
    float_put(out + AT_CLIP_NORM, a->clip_norm);
    memcpy(out + AT_MODEL_HASH, a->model_hash, MR_HASH_BYTES);
    memcpy(out + AT_ROTATION_SEED, a->rotation_seed, MR_HASH_BYTES);
    out[AT_LEVELS] = a->levels;
    out[AT_HEADROOM] = a->headroom;
    out[AT_SEAL] = a->seal;
    float_put(out + AT_STEP_MAX, a->step_max);
    mr_be16_put(out + AT_AUDIT_HOURS, a->audit_hours);
    mr_be32_put(out + AT_QUORUM, a->quorum);
    mr_be32_put(out + AT_ADMITTED_MAX, a->admitted_max);
    out[AT_OPTIMISER] = (uint8_t)(a->optimiser.kind | a->optimiser.requantise << 4);
    float_put(out + AT_LEARNING_RATE, a->optimiser.learning_rate);
    float_put(out + AT_BETA1, a->optimiser.beta1);
    float_put(out + AT_BETA2, a->optimiser.beta2);
    float_put(out + AT_TAU, a->optimiser.tau);
    mr_be32_put(out + AT_MODEL_VALUES, a->model_values);
    out[AT_KIND] = a->kind;
}

static void fixed_get(struct mr_announcement *a, const uint8_t *in)
{
    a->round = mr_be64_get(in + AT_ROUND);
    a->deadline_unix_ms = mr_be64_get(in + AT_DEADLINE);
    a->dimension = mr_be32_get(in + AT_DIMENSION);
    a->ring_bits = in[AT_RING_BITS];
    a->rotation_log2 = in[AT_ROTATION];
    a->noise_kind = in[AT_NOISE];
    a->chunk_bytes = mr_be16_get(in + AT_CHUNK_BYTES);
    a->cohort_min = mr_be32_get(in + AT_COHORT_MIN);
    a->cohort_max = mr_be32_get(in + AT_COHORT_MAX);
    a->weight_max = mr_be32_get(in + AT_WEIGHT_MAX);
    a->scale = float_get(in + AT_SCALE);
    a->clip_norm = float_get(in + AT_CLIP_NORM);
    memcpy(a->model_hash, in + AT_MODEL_HASH, MR_HASH_BYTES);
    memcpy(a->rotation_seed, in + AT_ROTATION_SEED, MR_HASH_BYTES);
    a->levels = in[AT_LEVELS];
    a->headroom = in[AT_HEADROOM];
    a->seal = in[AT_SEAL];
    a->step_max = float_get(in + AT_STEP_MAX);
    a->audit_hours = mr_be16_get(in + AT_AUDIT_HOURS);
    a->quorum = mr_be32_get(in + AT_QUORUM);
    a->admitted_max = mr_be32_get(in + AT_ADMITTED_MAX);
    a->optimiser = (struct mr_optimiser){.kind = in[AT_OPTIMISER] & 15,
                                         .requantise = in[AT_OPTIMISER] >> 4,
                                         .learning_rate = float_get(in + AT_LEARNING_RATE),
                                         .beta1 = float_get(in + AT_BETA1),
                                         .beta2 = float_get(in + AT_BETA2),
                                         .tau = float_get(in + AT_TAU)};
    a->model_values = mr_be32_get(in + AT_MODEL_VALUES);
    a->kind = in[AT_KIND];
}

static uint8_t *metrics_put(uint8_t *out, const struct mr_announcement *a)
{
    *out++ = a->metric_count;
    for (unsigned i = 0; i < a->metric_count; i++) {
        const struct mr_announced_metric *metric = &a->metrics[i];
        const size_t length = strlen(metric->name);
        float_put(out, metric->low);
        float_put(out + 4, metric->high);
        out[8] = (uint8_t)length;
        memcpy(out + 9, metric->name, length);
        out += 9 + length;
    }
    return out;
}

/* Nothing in a round that marks nothing. */
static uint8_t *watermark_put(uint8_t *out, const struct mr_announcement *a)
{
    const size_t hashes = a->hub_count * (size_t)MR_WATERMARK_HASH_BYTES;
    if (a->watermark.strength == 0) {
        return out;
    }
    mr_be16_put(out, a->watermark.strength);
    memcpy(out + 2, a->watermark.part_hashes, hashes);
    return out + 2 + hashes;
}

size_t mr_announcement_encode(uint8_t out[MR_ANNOUNCEMENT_MAX],
                              const struct mr_announcement *announcement)
{
    MR_ASSERT(mr_announcement_check(announcement, NULL) == 0);
    const size_t task_length = strlen(announcement->task);
    const size_t training_length = strlen(announcement->training);
    fixed_put(out, announcement);
    uint8_t *p = out + FIXED_BYTES;
    *p++ = (uint8_t)task_length;
    memcpy(p, announcement->task, task_length);
    p += task_length;
    mr_be16_put(p, (uint16_t)training_length);
    memcpy(p + 2, announcement->training, training_length);
    p += 2 + training_length;
    if (announcement->noise_kind != MR_NOISE_NONE) {
        p = privacy_put(p, &announcement->privacy);
    }
    p = metrics_put(p, announcement);
    *p++ = announcement->hub_count;
    for (unsigned i = 0; i < announcement->hub_count; i++) {
        const struct mr_announced_hub *hub = &announcement->hubs[i];
        size_t name_length = strlen(hub->name);
        mr_be16_put(p, hub->index);
        memcpy(p + 2, hub->public_key, MR_PUBLIC_KEY_BYTES);
        p[2 + MR_PUBLIC_KEY_BYTES] = (uint8_t)name_length;
        p += 2 + MR_PUBLIC_KEY_BYTES + 1;
        memcpy(p, hub->name, name_length);
        p += name_length;
    }
    p = watermark_put(p, announcement);
    return (size_t)(p - out);
}

/* What is left of the input. */
struct rest {
    const uint8_t *at;
    size_t left;
};

/* The next `bytes`, or NULL when there are fewer. */
static const uint8_t *take(struct rest *rest, size_t bytes)
{
    if (rest->left < bytes) {
        return NULL;
    }
    const uint8_t *p = rest->at;
    rest->at += bytes;
    rest->left -= bytes;
    return p;
}

/* A text without NUL into a zeroed buffer; capacity excludes the NUL. */
static int text_get(char *text, size_t capacity, struct rest *rest, size_t length)
{
    const uint8_t *p = length <= capacity ? take(rest, length) : NULL;
    if (!p || memchr(p, 0, length)) {
        return -1;
    }
    memcpy(text, p, length);
    return 0;
}

static int hub_get(struct mr_announced_hub *hub, struct rest *rest)
{
    const uint8_t *p = take(rest, 2 + MR_PUBLIC_KEY_BYTES + 1);
    if (!p) {
        return -1;
    }
    hub->index = mr_be16_get(p);
    memcpy(hub->public_key, p + 2, MR_PUBLIC_KEY_BYTES);
    return text_get(hub->name, MR_HUB_NAME_MAX, rest, p[2 + MR_PUBLIC_KEY_BYTES]);
}

static int privacy_get(struct mr_privacy_terms *privacy, struct rest *rest)
{
    const uint8_t *p = take(rest, PRIVACY_BYTES);
    if (!p) {
        return -1;
    }
    privacy->model_sigma2 = mr_be64_get(p + AT_MODEL_SIGMA2);
    privacy->norms_sigma2 = mr_be64_get(p + AT_NORMS_SIGMA2);
    privacy->weight_sigma2 = mr_be64_get(p + AT_WEIGHT_SIGMA2);
    privacy->rho = mr_be64_get(p + AT_RHO);
    privacy->budget = mr_be64_get(p + AT_BUDGET);
    privacy->horizon_s = mr_be32_get(p + AT_HORIZON);
    privacy->delta = float_get(p + AT_DELTA);
    privacy->honest = mr_be32_get(p + AT_HONEST);
    privacy->metrics_sigma2 = mr_be64_get(p + AT_METRICS_SIGMA2);
    return text_get(privacy->pool, MR_TASK_NAME_MAX, rest, p[AT_POOL_LENGTH]);
}

static int metrics_get(struct mr_announcement *a, struct rest *rest)
{
    const uint8_t *count = take(rest, 1);
    if (!count || *count > MR_METRICS_MAX) {
        return -1;
    }
    a->metric_count = *count;
    for (unsigned i = 0; i < a->metric_count; i++) {
        struct mr_announced_metric *metric = &a->metrics[i];
        const uint8_t *p = take(rest, 9);
        if (!p || text_get(metric->name, MR_METRIC_NAME_MAX, rest, p[8]) != 0) {
            return -1;
        }
        metric->low = float_get(p);
        metric->high = float_get(p + 4);
    }
    return 0;
}

/* What is left, if anything is. */
static int watermark_get(struct mr_announcement *a, struct rest *rest)
{
    const size_t hashes = a->hub_count * (size_t)MR_WATERMARK_HASH_BYTES;
    const uint8_t *p = rest->left > 0 ? take(rest, 2 + hashes) : NULL;
    if (p) {
        a->watermark.strength = mr_be16_get(p);
        memcpy(a->watermark.part_hashes, p + 2, hashes);
    }
    return rest->left == 0 && (!p || a->watermark.strength > 0) ? 0 : -1;
}

static int announcement_get(struct mr_announcement *a, const uint8_t *bytes, size_t length,
                            struct mr_error *error)
{
    struct rest rest = {bytes, length};
    const uint8_t *fixed = take(&rest, FIXED_BYTES);
    if (length > MR_ANNOUNCEMENT_MAX || !fixed) {
        return mr_error_set(error, "announcement has %zu bytes: not its length", length);
    }
    if (memcmp(fixed, magic, sizeof magic) != 0) {
        return mr_error_set(error, "not an announcement: wrong magic");
    }
    if (mr_be16_get(fixed + AT_VERSION) != MR_ANNOUNCEMENT_VERSION) {
        return mr_error_set(error, "announcement of version %u: only %d is known",
                            mr_be16_get(fixed + AT_VERSION), MR_ANNOUNCEMENT_VERSION);
    }
    fixed_get(a, fixed);
    const uint8_t *task_length = take(&rest, 1);
    if (!task_length || text_get(a->task, MR_TASK_NAME_MAX, &rest, *task_length) != 0) {
        return mr_error_set(error, "task is cut short, too long, or holds a NUL");
    }
    const uint8_t *training_length = take(&rest, 2);
    if (!training_length ||
        text_get(a->training, MR_TRAINING_MAX, &rest, mr_be16_get(training_length)) != 0) {
        return mr_error_set(error, "training is cut short, too long, or holds a NUL");
    }
    if (a->noise_kind != MR_NOISE_NONE && privacy_get(&a->privacy, &rest) != 0) {
        return mr_error_set(error, "the terms of noise are cut short, or the pool's name too long");
    }
    if (metrics_get(a, &rest) != 0) {
        return mr_error_set(error, "metrics: more than %d, cut short, or a name is too long",
                            MR_METRICS_MAX);
    }
    const uint8_t *count = take(&rest, 1);
    if (!count || *count > MR_HUBS_MAX) {
        return mr_error_set(error, "hub_count is missing or above %d", MR_HUBS_MAX);
    }
    a->hub_count = *count;
    for (unsigned i = 0; i < a->hub_count; i++) {
        if (hub_get(&a->hubs[i], &rest) != 0) {
            return mr_error_set(error, "hubs[%u] is cut short or its name is malformed", i);
        }
    }
    if (watermark_get(a, &rest) != 0) {
        return mr_error_set(error,
                            "announcement has %zu bytes too many, or its watermark no "
                            "strength",
                            rest.left);
    }
    return mr_announcement_check(a, error);
}

int mr_round_terms_decode(struct mr_round_terms *terms, const uint8_t *bytes, size_t length,
                          struct mr_error *error)
{
    memset(terms, 0, sizeof *terms);
    struct mr_announcement *a = &terms->announcement;
    if (announcement_get(a, bytes, length, error) != 0) {
        return -1;
    }
    const int status = mr_announcement_layout(&terms->layout, a);
    MR_ASSERT(status == 0); /* checked just above */
    if (!SHA256(bytes, length, terms->hash)) {
        return mr_error_set(error, "SHA-256 failed in OpenSSL");
    }
    return 0;
}
