/* hub_check_internal.h - between the files of the checks. */
#ifndef MR_CONFIG_HUB_CHECK_INTERNAL_H
#define MR_CONFIG_HUB_CHECK_INTERNAL_H

#include "appliance/config/document.h"
#include "appliance/config/hub_config.h"

/* What every check needs to report. */
struct mr_place {
    struct mr_document *document;
    struct mr_error *error;
};

/* The rules of tasks[entry]; also resolves its cohort_max 0. 0, or -1 with an error. */
int mr_config_check_task(struct mr_hub_config *config, unsigned entry,
                         const struct mr_place *place);
/* The rules of its `privacy`, as far as they need no model (privacy/task_plan.h). After
 * mr_config_check_task. */
int mr_config_check_privacy(const struct mr_hub_config *config, unsigned entry,
                            const struct mr_place *place);
/* The rules of its `watermark`; and of the file that it names. After mr_config_check_task. */
int mr_config_check_watermark(const struct mr_hub_config *config, unsigned entry,
                              const struct mr_place *place);
int mr_config_check_mark_part(const struct mr_hub_config *config, unsigned entry,
                              const struct mr_place *place);
/* The rules of its `accept`; a task that this hub leads has to accept its own round. After
 * mr_config_check_task. */
int mr_config_check_accept(const struct mr_hub_config *config, unsigned entry,
                           const struct mr_place *place);

#endif
