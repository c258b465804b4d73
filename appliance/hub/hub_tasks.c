/* hub_tasks.c - all tasks of a hub, when it starts and when it ends. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/hub/hub.h"
#include "appliance/model/catalogue.h"
#include "appliance/task/released.h"

unsigned mr_hub_tasks_led(const struct mr_hub_config *config)
{
    unsigned led = 0;
    for (unsigned i = 0; i < config->tasks_count; i++) {
        led += mr_hub_config_leads(config, &config->tasks[i]);
    }
    return led;
}

void mr_hub_tell_shared_models(const struct mr_hub *hub)
{
    const struct mr_api *api = &hub->api;
    for (unsigned i = 0; i < api->tasks_count; i++) {
        for (unsigned j = i + 1; j < api->tasks_count; j++) {
            if (memcmp(mr_store_current(api->tasks[i]->task.store),
                       mr_store_current(api->tasks[j]->task.store), MR_HASH_BYTES) == 0) {
                mr_log_event(hub->log, MR_LOG_WARN, "hub.shared_model",
                             "task=%s other=%s why=their current models are one: a device that is "
                             "counted on it in one of them is not counted on it in the other",
                             api->tasks[i]->task.config->name, api->tasks[j]->task.config->name);
            }
        }
    }
}

/* What the operator asked for at this start. 0 or -1. */
static int rebuild_versions(const struct mr_hub *hub, const char *task, struct mr_error *error)
{
    char folder[PATH_MAX], path[PATH_MAX];
    uint64_t made;
    const int length = snprintf(folder, sizeof folder, "%s/tasks/%s", hub->config->data_dir, task);
    if (length < 0 || (size_t)length + sizeof "/versions.db" > sizeof folder) {
        return mr_error_set(error, "data_dir: the path is too long");
    }
    snprintf(path, sizeof path, "%.*s/versions.db", length, folder);
    if (access(path, F_OK) == 0) {
        return 0;
    }
    snprintf(path, sizeof path, "%.*s/current", length, folder);
    if (access(path, F_OK) != 0) {
        return 0; /* a task that is new */
    }
    if (mr_catalogue_rebuild(folder, &made, error) != 0) {
        return mr_error_prefix(error, "task %s", task);
    }
    mr_log_event(hub->log, MR_LOG_WARN, "model.rebuilt", "task=%s versions=%llu", task,
                 (unsigned long long)made);
    return 0;
}

int mr_hub_open_tasks(struct mr_hub *hub, bool rebuild, struct mr_error *error)
{
    const struct mr_hub_config *config = hub->config;
    if (mr_job_thread_open(&hub->endings, hub->loop, "endings", error) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < config->tasks_count; i++) {
        if (rebuild && rebuild_versions(hub, config->tasks[i].name, error) != 0) {
            return -1;
        }
        if (mr_hub_task_open(hub, &hub->api.tasks[i], config, &config->tasks[i], error) != 0) {
            return -1;
        }
        hub->api.tasks_count++;
    }
    mr_hub_tell_shared_models(hub);
    return 0;
}

static void stop_loop(void *context)
{
    mr_loop_stop(context);
}

void mr_hub_close_tasks(struct mr_hub *hub)
{
    struct mr_api *api = &hub->api;
    if (api->held) {
        mr_upload_plane_on_room(api->plane, NULL, NULL);
    }
    mr_held_grants_close(api->held);
    api->held = NULL;
    for (unsigned i = 0; i < api->tasks_count; i++) {
        if (api->tasks[i]->lead) {
            mr_lead_driver_stop(api->tasks[i]->lead);
        }
        if (api->tasks[i]->helper) {
            mr_helper_driver_stop(api->tasks[i]->helper);
        }
        mr_releases_halt(api->tasks[i]->releases);
        mr_releases_join(api->tasks[i]->releases);
    }
    if (hub->endings) {
        mr_job_thread_close(hub->endings);
    }
    hub->endings = NULL;
    if (hub->api.released) {
        mr_released_stop(hub->api.released);
    }
    mr_loop_post(hub->loop, stop_loop, hub->loop); /* after all that the threads posted */
    mr_loop_run(hub->loop);
    for (unsigned i = 0; i < api->tasks_count; i++) {
        struct mr_api_task *served = api->tasks[i];
        struct mr_long_polls *polls = served->polls;
        mr_long_polls_close(polls);
        served->polls = NULL;
        mr_helper_driver_close(served->helper);
        mr_lead_driver_close(served->lead);
        mr_releases_close(served->releases);
        served->releases = NULL;
    }
    mr_released_close(hub->api.released);
    hub->api.released = NULL;
    mr_upload_plane_close(api->plane);
    api->plane = NULL;
}

void mr_hub_free_tasks(struct mr_hub *hub)
{
    for (unsigned i = 0; i < hub->api.tasks_count; i++) {
        mr_task_close(&hub->api.tasks[i]->task);
        free(hub->api.tasks[i]);
    }
    hub->api.tasks_count = 0;
}
