/* audit_plan.h - what a task's rounds with audit_hours keep on the disk, as `config check` says it.
 */
#ifndef MR_CLI_AUDIT_PLAN_H
#define MR_CLI_AUDIT_PLAN_H

#include <jansson.h>

#include "appliance/config/hub_config.h"

/* Of a checked configuration. NULL: the task keeps nothing. Else an object: hours, the bytes of a
 * round with its quorum, and of as many rounds as the hours have room for where each takes its
 * deadline_ms. */
json_t *mr_cli_audit_plan(const struct mr_hub_config *config, const struct mr_config_task *task);
/* Whether that is more than data_dir has free, where rounds open by themselves; else whether one
 * round is. True with the text. */
bool mr_cli_audit_warning(struct mr_error *warning, const struct mr_hub_config *config,
                          const struct mr_config_task *task);

#endif
