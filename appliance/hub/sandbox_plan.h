/* sandbox_plan.h - from a hub's configuration to what it may still do once it is set up: the files
 * of all its tasks, the ports that it listens at and dials. */
#ifndef MR_HUB_SANDBOX_PLAN_H
#define MR_HUB_SANDBOX_PLAN_H

#include "appliance/hub/hub.h"
#include "appliance/runtime/sandbox.h"

/* The files of `identity`, the configuration, and of each task the model, the tags and the
 * watermark's key; the public keys. */
#define MR_CONFINEMENT_FOLDERS_MAX (7 + 3 * MR_TASKS_MAX + MR_ADDRESSES_MAX)

/* What the plan points at; the caller's until _finish. */
struct mr_confinement {
    struct mr_sandbox sandbox;
    /* Folders, not files: a new configuration, certificate, list or first model comes as a new
     * file. Each once. */
    struct mr_sandbox_path paths[MR_CONFINEMENT_FOLDERS_MAX];
    unsigned paths_count;
    uint16_t ports[MR_ADDRESSES_MAX];
};

/* Before any thread and before the first file of data_dir. 0, or -1 with an error. _end is owed in
 * either case. */
int mr_confinement_begin(struct mr_confinement *confinement, const struct mr_hub_config *config,
                         const char *config_file, struct mr_error *error);
/* When everything is open; logs what is in force. */
int mr_confinement_finish(struct mr_confinement *confinement, struct mr_hub *hub,
                          struct mr_error *error);
void mr_confinement_end(struct mr_confinement *confinement);

#endif
