#include "tests/unit/wire/wire_vectors_fields.h"

#include "tests/unit/wire/wire_vectors_case.h"
#include "tests/unit/wire/wire_vectors_noise.h"
#include "wire/metric.h"

static json_t *metrics_of(const struct mr_announcement *a)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < a->metric_count; i++) {
        json_array_append_new(list,
                              json_pack("{s:I, s:I, s:s}", "low_bits",
                                        (json_int_t)case_float_bits(a->metrics[i].low), "high_bits",
                                        (json_int_t)case_float_bits(a->metrics[i].high), "name",
                                        a->metrics[i].name));
    }
    return list;
}

/* The unit, and what a device of weight 7 at most tells of the middle of each range. */
static json_t *lanes_of(const struct mr_announcement *a)
{
    json_t *list = json_array();
    json_array_append_new(list, json_integer(mr_metric_unit(a)));
    for (unsigned i = 0; i < a->metric_count; i++) {
        const double middle = ((double)a->metrics[i].low + (double)a->metrics[i].high) / 2;
        json_array_append_new(
            list, json_integer(mr_metric_encode(a, i, middle, a->weight_max < 7 ? a->weight_max : 7,
                                                30000)));
    }
    return list;
}

json_t *wire_vectors_fields(const struct mr_round_terms *terms)
{
    const struct mr_announcement *a = &terms->announcement;
    json_t *hubs = json_array();
    for (unsigned i = 0; i < a->hub_count; i++) {
        json_array_append_new(hubs, json_pack("{s:i, s:o, s:s}", "index", a->hubs[i].index,
                                              "public_key", case_to_hex(a->hubs[i].public_key, 32),
                                              "name", a->hubs[i].name));
    }
    return json_pack(
        "{s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:s, s:o, s:I, "
        "s:I, "
        "s:I, s:s, s:i, s:i, s:i, s:I, s:i, s:I, s:I, s:o, s:i, s:I, s:I, s:I, s:I, s:I, s:i, s:o, "
        "s:o}",
        "round", (json_int_t)a->round, "deadline_unix_ms", (json_int_t)a->deadline_unix_ms,
        "dimension", (json_int_t)a->dimension, "ring_bits", a->ring_bits, "rotation_log2",
        a->rotation_log2, "noise_kind", a->noise_kind, "chunk_bytes", a->chunk_bytes, "cohort_min",
        (json_int_t)a->cohort_min, "cohort_max", (json_int_t)a->cohort_max, "weight_max",
        (json_int_t)a->weight_max, "scale_bits", (json_int_t)case_float_bits(a->scale),
        "clip_norm_bits", (json_int_t)case_float_bits(a->clip_norm), "model_hash",
        case_to_hex(a->model_hash, 32), "rotation_seed", case_to_hex(a->rotation_seed, 32),
        "training", a->training, "hubs", hubs, "lanes", (json_int_t)terms->layout.lanes,
        "share_bytes", (json_int_t)terms->layout.share_bytes, "chunks",
        (json_int_t)terms->layout.chunks, "task", a->task, "levels", a->levels, "headroom",
        a->headroom, "seal", a->seal, "step_max_bits", (json_int_t)case_float_bits(a->step_max),
        "audit_hours", a->audit_hours, "quorum", (json_int_t)a->quorum, "admitted_max",
        (json_int_t)a->admitted_max, "privacy", wire_vectors_privacy(a), "optimiser",
        a->optimiser.kind | a->optimiser.requantise << 4, "learning_rate_bits",
        (json_int_t)case_float_bits(a->optimiser.learning_rate), "beta1_bits",
        (json_int_t)case_float_bits(a->optimiser.beta1), "beta2_bits",
        (json_int_t)case_float_bits(a->optimiser.beta2), "tau_bits",
        (json_int_t)case_float_bits(a->optimiser.tau), "model_values", (json_int_t)a->model_values,
        "kind", a->kind, "metrics", metrics_of(a), "metric_lanes", lanes_of(a));
}
