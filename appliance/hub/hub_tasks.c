/* hub_tasks.c - all tasks of a hub, when it starts and when it ends. */
#include <stdlib.h>
#include <string.h>

#include "appliance/hub/hub.h"
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

int mr_hub_open_tasks(struct mr_hub *hub, struct mr_error *error)
{
    const struct mr_hub_config *config = hub->config;
    if (mr_job_thread_open(&hub->endings, hub->loop, "endings", error) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < config->tasks_count; i++) {
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
