/* hub_tasks.c - all tasks of a hub, when it starts and when it ends. */
#include <stdlib.h>

#include "appliance/hub/hub.h"

unsigned mr_hub_tasks_led(const struct mr_hub_config *config)
{
    unsigned led = 0;
    for (unsigned i = 0; i < config->tasks_count; i++) {
        led += mr_hub_config_leads(config, &config->tasks[i]);
    }
    return led;
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
    }
    if (hub->endings) {
        mr_job_thread_close(hub->endings);
    }
    hub->endings = NULL;
    mr_loop_post(hub->loop, stop_loop, hub->loop); /* after all that the threads posted */
    mr_loop_run(hub->loop);
    for (unsigned i = 0; i < api->tasks_count; i++) {
        struct mr_api_task *served = api->tasks[i];
        struct mr_long_polls *polls = served->polls;
        mr_long_polls_close(polls);
        served->polls = NULL;
        mr_helper_driver_close(served->helper);
        mr_lead_driver_close(served->lead);
    }
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
