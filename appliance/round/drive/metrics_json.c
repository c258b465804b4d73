#include "appliance/round/drive/metrics_json.h"

#include <math.h>
#include <stdio.h>

#include "base/json_text.h"

static json_t *norms_json(const uint32_t norms[MR_NORM_BINS])
{
    json_t *list = json_array();
    for (unsigned i = 0; i < MR_NORM_BINS; i++) {
        json_array_append_new(list, json_integer(norms[i]));
    }
    return list;
}

static json_t *memory_json(const struct mr_norm_memory *memory)
{
    json_t *counts = json_array();
    for (unsigned i = 0; i < MR_NORM_BINS; i++) {
        json_array_append_new(counts, mr_json_real(memory->counts[i]));
    }
    return json_pack("{s:o, s:o, s:I, s:I}", "counts", counts, "clip_norm",
                     mr_json_real((double)memory->clip_norm), "devices",
                     (json_int_t)memory->devices, "round", (json_int_t)memory->round);
}

static const char *const stage_names[] = {
    [MR_METRIC_AFTER] = "mean", [MR_METRIC_BEFORE] = "before"};

/* By name; a stage that the round does not tell is left out. */
static json_t *named_json(const struct mr_round_metrics *metrics)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < metrics->metric_count; i++) {
        json_t *values = json_object();
        for (enum mr_metric_stage stage = 0; stage < MR_METRIC_STAGES; stage++) {
            const double mean = metrics->metrics[i].mean[stage];
            if (!isnan(mean)) {
                json_object_set_new(values, stage_names[stage], mr_json_real(mean));
            }
        }
        json_object_set_new(object, metrics->metrics[i].name, values);
    }
    return object;
}

json_t *mr_round_metrics_json(const struct mr_round_metrics *metrics)
{
    return json_pack(
        "{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "weight",
        (json_int_t)metrics->weight, "examples_mean", mr_json_real(metrics->examples_mean),
        "loss_mean", mr_json_real(metrics->loss_mean), "drift_mean",
        mr_json_real(metrics->drift_mean), "saturated", mr_json_real(metrics->saturated),
        "resolution", mr_json_real(metrics->resolution), "rounding_noise",
        mr_json_real(metrics->noise), "rounding_error", mr_json_real(metrics->error), "norms",
        norms_json(metrics->norms), "norm_memory", memory_json(&metrics->memory), "step",
        mr_json_real(metrics->step), "named", named_json(metrics));
}

static double number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static uint64_t whole(const json_t *value)
{
    const json_int_t number = json_integer_value(value);
    return number > 0 ? (uint64_t)number : 0;
}

/* Of a record that was not written by this: no memory. */
static void read_memory(struct mr_norm_memory *memory, const json_t *object)
{
    const json_t *counts = json_object_get(object, "counts");
    const double clip_norm = number(object, "clip_norm");
    *memory = (struct mr_norm_memory){.devices = 0};
    if (json_array_size(counts) != MR_NORM_BINS || !(clip_norm > 0)) {
        return;
    }
    for (unsigned i = 0; i < MR_NORM_BINS; i++) {
        const double count = json_number_value(json_array_get(counts, i));
        memory->counts[i] = count > 0 && isfinite(count) ? count : 0;
    }
    memory->clip_norm = (float)clip_norm;
    memory->devices = (uint32_t)whole(json_object_get(object, "devices"));
    memory->round = whole(json_object_get(object, "round"));
}

static void read_named(struct mr_round_metrics *metrics, const json_t *object)
{
    const char *name;
    json_t *values;
    json_object_foreach((json_t *)(uintptr_t)object, name, values) {
        if (metrics->metric_count == MR_METRICS_MAX || !mr_metric_name_valid(name)) {
            return;
        }
        const unsigned place = metrics->metric_count++;
        snprintf(metrics->metrics[place].name, sizeof metrics->metrics[place].name, "%s", name);
        for (enum mr_metric_stage stage = 0; stage < MR_METRIC_STAGES; stage++) {
            metrics->metrics[place].mean[stage] = number(values, stage_names[stage]);
        }
    }
}

void mr_round_metrics_from_json(struct mr_round_metrics *metrics, const json_t *object)
{
    const json_t *norms = json_object_get(object, "norms");
    *metrics = (struct mr_round_metrics){
        .weight = (uint32_t)whole(json_object_get(object, "weight")),
        .examples_mean = number(object, "examples_mean"),
        .loss_mean = number(object, "loss_mean"),
        .drift_mean = number(object, "drift_mean"),
        .saturated = number(object, "saturated"),
        .resolution = number(object, "resolution"),
        .noise = number(object, "rounding_noise"),
        .error = number(object, "rounding_error"),
    };
    for (unsigned i = 0; i < MR_NORM_BINS; i++) {
        metrics->norms[i] = (uint32_t)whole(json_array_get(norms, i));
    }
    const double step = number(object, "step");
    metrics->step = step > 0 && isfinite(step) ? step : 0;
    read_named(metrics, json_object_get(object, "named"));
    read_memory(&metrics->memory, json_object_get(object, "norm_memory"));
}
