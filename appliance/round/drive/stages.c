#include "appliance/round/drive/stages.h"

#include <jansson.h>

const char *const mr_round_stage_names[MR_ROUND_STAGES] = {"close", "freeze", "expand",
                                                           "open",  "model",  "store"};

void mr_round_stopwatch_reset(struct mr_round_stopwatch *watch)
{
    *watch = (struct mr_round_stopwatch){.since_us = 0};
}

void mr_round_stopwatch_enter(struct mr_round_stopwatch *watch, enum mr_round_stage stage,
                              uint64_t now_us)
{
    if (watch->since_us && watch->running == stage) {
        return;
    }
    if (watch->since_us) {
        const uint64_t us = now_us - watch->since_us;
        watch->stages.us[watch->running] = us == 0           ? 1
                                           : us < UINT32_MAX ? (uint32_t)us
                                                             : UINT32_MAX;
    }
    watch->running = stage;
    watch->since_us = stage < MR_ROUND_STAGES ? now_us : 0;
}

json_t *mr_round_stages_json(const struct mr_round_stages *stages)
{
    json_t *object = NULL;
    for (unsigned i = 0; i < MR_ROUND_STAGES; i++) {
        if (stages->us[i] > 0) {
            object = object ? object : json_object();
            json_object_set_new(object, mr_round_stage_names[i], json_integer(stages->us[i]));
        }
    }
    return object;
}

void mr_round_stages_from_json(struct mr_round_stages *stages, const json_t *object)
{
    for (unsigned i = 0; i < MR_ROUND_STAGES; i++) {
        const json_int_t us = json_integer_value(json_object_get(object, mr_round_stage_names[i]));
        stages->us[i] = us > 0 && us < UINT32_MAX ? (uint32_t)us : 0;
    }
}
