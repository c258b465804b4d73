/* api.h - what the routes' handlers reach: the tasks with their drivers, and what the hub as a
 * whole says of itself. Filled and changed by the hub (appliance/hub); the handlers only read it,
 * and decide nothing about a round. Loop's thread only. */
#ifndef MR_API_API_H
#define MR_API_API_H

#include <stdint.h>

#include "appliance/api/held_grants.h"
#include "appliance/api/long_poll.h"
#include "appliance/config/limits.h"
#include "appliance/model/releases.h"
#include "appliance/observe/log.h"
#include "appliance/observe/metrics.h"
#include "appliance/round/drive/helper_driver.h"
#include "appliance/round/drive/lead_driver.h"
#include "appliance/runtime/loop.h"
#include "appliance/task/task.h"

struct mr_api;
struct mr_released;

/* A proposal costs a check of its signature, and a good one a write of the journal: its lead may
 * put so many a second, after a pause so many at once. */
#define MR_PROPOSALS_PER_S 4u
#define MR_PROPOSALS_BURST 60u

struct mr_api_task {
    struct mr_api *api;
    struct mr_task task;
    struct mr_lead_driver *lead;     /* NULL where this hub helps */
    struct mr_helper_driver *helper; /* NULL where it leads */
    struct mr_long_polls *polls;     /* of this task alone; their context is this struct */
    struct mr_releases *releases;    /* NULL: none are made (a simulated hub) */
    uint64_t proposals_free_ms;      /* when its lead has all of its proposals again */
};

struct mr_api {
    struct mr_api_task *tasks[MR_TASKS_MAX]; /* in the order of the configuration */
    unsigned tasks_count;
    uint16_t hub_index;
    const char *data_dir;
    const char *cpu_level;
    uint64_t started_ms;
    struct mr_loop *loop;
    struct mr_log *log;
    struct mr_upload_plane *plane; /* NULL where it leads nothing */
    struct mr_held_grants *held;   /* likewise, and once it stops */
    struct mr_released *released;  /* which sets this hub has opened, in all tasks */
    /* Metrics of the hub's other parts, its server's. */
    void (*metrics)(void *context, struct mr_metrics *metrics);
    void *metrics_context;
};

/* The task of that name, or NULL. */
struct mr_api_task *mr_api_task_find(const struct mr_api *api, const char *name);

#endif
