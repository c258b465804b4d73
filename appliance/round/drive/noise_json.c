#include "appliance/round/drive/noise_json.h"

#include <stdio.h>
#include <string.h>

#include "base/json_text.h"
#include "wire/epsilon.h"

json_t *mr_round_noise_json(enum mr_noise_kind kind, const struct mr_privacy_terms *privacy)
{
    const double delta = (double)privacy->delta;
    if (kind == MR_NOISE_NONE) {
        return NULL;
    }
    return json_pack(
        "{s:o, s:o, s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "kind",
        mr_json_text(kind == MR_NOISE_HUB ? "hub" : "device"), "pool", mr_json_text(privacy->pool),
        "rho", (json_int_t)privacy->rho, "budget", (json_int_t)privacy->budget, "epsilon",
        mr_json_real(mr_epsilon_of(privacy->rho, delta, kind)), "delta", mr_json_real(delta),
        "horizon_s", (json_int_t)privacy->horizon_s, "model_sigma2",
        (json_int_t)privacy->model_sigma2, "norms_sigma2", (json_int_t)privacy->norms_sigma2,
        "weight_sigma2", (json_int_t)privacy->weight_sigma2, "honest", (json_int_t)privacy->honest,
        "metrics_sigma2", (json_int_t)privacy->metrics_sigma2);
}

static uint64_t number(const json_t *object, const char *name)
{
    const json_int_t value = json_integer_value(json_object_get(object, name));
    return value > 0 ? (uint64_t)value : 0;
}

enum mr_noise_kind mr_round_noise_from_json(struct mr_privacy_terms *privacy, const json_t *object)
{
    const char *kind = json_string_value(json_object_get(object, "kind"));
    const char *pool = json_string_value(json_object_get(object, "pool"));
    *privacy = (struct mr_privacy_terms){.rho = 0};
    if (!kind) {
        return MR_NOISE_NONE;
    }
    *privacy = (struct mr_privacy_terms){
        .model_sigma2 = number(object, "model_sigma2"),
        .norms_sigma2 = number(object, "norms_sigma2"),
        .weight_sigma2 = number(object, "weight_sigma2"),
        .metrics_sigma2 = number(object, "metrics_sigma2"),
        .rho = number(object, "rho"),
        .budget = number(object, "budget"),
        .horizon_s = (uint32_t)number(object, "horizon_s"),
        .honest = (uint32_t)number(object, "honest"),
        .delta = (float)json_number_value(json_object_get(object, "delta")),
    };
    snprintf(privacy->pool, sizeof privacy->pool, "%s", pool ? pool : "");
    return strcmp(kind, "hub") == 0 ? MR_NOISE_HUB : MR_NOISE_DEVICE;
}
