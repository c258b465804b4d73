/* sandbox_plan.h - from a hub's configuration to what it may still do once it is set up: the files
 * of all its tasks, the ports that it listens at and dials. */
#ifndef MR_HUB_SANDBOX_PLAN_H
#define MR_HUB_SANDBOX_PLAN_H

#include <limits.h>

#include "appliance/hub/hub.h"
#include "appliance/runtime/sandbox.h"

/* What the plan points at; the caller's until _finish. */
struct mr_confinement {
    struct mr_sandbox sandbox;
    struct mr_sandbox_path paths[10 + MR_ADDRESSES_MAX + MR_TASKS_MAX];
    uint16_t ports[MR_ADDRESSES_MAX];
    char revocation_dir[PATH_MAX]; /* a new list comes as a new file */
    char config_dir[PATH_MAX];     /* so does a new configuration */
};

/* Before any thread and before the first file of data_dir. 0, or -1 with an error. */
int mr_confinement_begin(struct mr_confinement *confinement, const struct mr_hub_config *config,
                         const char *config_file, struct mr_error *error);
/* When everything is open; logs what is in force. */
int mr_confinement_finish(struct mr_confinement *confinement, struct mr_hub *hub,
                          struct mr_error *error);

#endif
