/* config_lookup.c - entries of a filled config by their index or name; the checks use it too. */
#include <stddef.h>
#include <string.h>

#include "appliance/config/hub_config.h"
#include "wire/quantiser.h"

const struct mr_config_hub *mr_hub_config_address(const struct mr_hub_config *config,
                                                  uint16_t index)
{
    for (unsigned i = 0; i < config->hubs_count; i++) {
        if (config->hubs[i].index == index) {
            return &config->hubs[i];
        }
    }
    return NULL;
}

const struct mr_config_task *mr_hub_config_task(const struct mr_hub_config *config,
                                                const char *name)
{
    for (unsigned i = 0; i < config->tasks_count; i++) {
        if (strcmp(config->tasks[i].name, name) == 0) {
            return &config->tasks[i];
        }
    }
    return NULL;
}

bool mr_hub_config_leads(const struct mr_hub_config *config, const struct mr_config_task *task)
{
    return task->hubs[0] == config->identity.index;
}

uint32_t mr_config_set_min(const struct mr_config_round *round)
{
    return round->cohort_min + round->colluders;
}

uint8_t mr_config_requantise(const struct mr_config_round *round)
{
    const char *bits = round->requantise ? round->requantise : "off";
    return *bits == '8' ? 8 : *bits == '4' ? 4 : 0;
}

uint8_t mr_config_levels_asked(const struct mr_config_round *round)
{
    return round->levels <= MR_LEVELS_MAX ? round->levels : 0;
}

uint8_t mr_config_levels_most(const struct mr_config_round *round)
{
    const uint8_t asked = mr_config_levels_asked(round);
    return asked > 0 ? asked : MR_LEVELS_MAX;
}

uint8_t mr_config_levels(const struct mr_config_round *round)
{
    return mr_quantiser_levels_asked(round->ring_bits, round->cohort_max, round->headroom,
                                     round->levels);
}

uint8_t mr_config_ring(const struct mr_config_round *round)
{
    const struct mr_ring_question question = {.cohort_max = round->cohort_max,
                                              .headroom = round->headroom,
                                              .devices = mr_config_set_min(round),
                                              .levels = round->levels,
                                              .error_most = (double)round->rounding_error};
    return mr_quantiser_ring(&question);
}
