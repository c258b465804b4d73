/* task.h - a task as this hub serves it: its name, this hub's role in it, the hubs it pins and how
 * they are dialled, its policy and its store. Who drives its rounds is the hub's business.
 *
 * Loop's thread only. */
#ifndef MR_TASK_TASK_H
#define MR_TASK_TASK_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "appliance/config/hub_config.h"
#include "appliance/model/store.h"
#include "appliance/task/age.h"
#include "appliance/task/owner.h"
#include "base/error.h"
#include "transport/h2_client.h"
#include "wire/announcement.h"

struct mr_task {
    const struct mr_config_task *config; /* borrowed; its name is the task's */
    bool leads;                          /* this hub stands first in the list; else it helps */
    struct mr_announced_hub hubs[MR_HUBS_MAX]; /* pinned, in list order */
    struct mr_h2_endpoint endpoints[MR_HUBS_MAX];
    unsigned hubs_count;
    char data_dir[PATH_MAX];              /* data_dir/tasks/{task} */
    char hubs_before[MR_OWNER_HUBS_TEXT]; /* those of an earlier process, where they were others */
    struct mr_store *store;
    struct mr_watermark_terms watermark; /* of its rounds; strength 0: models are not marked */
    uint8_t *mark_part;     /* this hub's of the watermark's key (base/secret.h); NULL: none */
    struct mr_task_age age; /* whether this hub is older than itself in it */
};

/* Where a task is opened. */
struct mr_task_setting {
    const struct mr_announced_hub *book; /* pinned keys of config->hubs, as many, in any order */
    const struct mr_age_place *place;    /* outlives the task */
    struct mr_age_above above;           /* as data_dir was found when the hub started */
};

/* config is the caller's and outlives the task. Makes the task's folder, which must be this task's,
 * and opens its store. 0, or -1 with an error that names the task; then mr_task_close is not owed.
 */
int mr_task_open(struct mr_task *task, const struct mr_hub_config *config,
                 const struct mr_config_task *task_config, const struct mr_task_setting *setting,
                 struct mr_error *error);
/* Takes addresses and file names from another configuration of the same hubs, which outlives the
 * task. */
void mr_task_set_endpoints(struct mr_task *task, const struct mr_hub_config *config);
void mr_task_close(struct mr_task *task);

#endif
