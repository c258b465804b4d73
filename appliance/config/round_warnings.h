/* round_warnings.h - what is valid in a task's round: section, and still not wise. Pure. */
#ifndef MR_CONFIG_ROUND_WARNINGS_H
#define MR_CONFIG_ROUND_WARNINGS_H

#include "appliance/config/hub_config.h"

#define MR_ROUND_WARNINGS_MAX 2

/* Of a checked configuration: the texts say what, why and the remedy. Returns how many. */
unsigned mr_round_warnings(struct mr_error warnings[MR_ROUND_WARNINGS_MAX],
                           const struct mr_config_task *task);

/* Whether the task begins with the same model as one before it in the configuration: the two are
 * one lineage, and spoil each other's rounds. True with the text. */
bool mr_shared_model_warning(struct mr_error *warning, const struct mr_hub_config *config,
                             unsigned task);

#endif
