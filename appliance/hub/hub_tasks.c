/* hub_tasks.c - the tasks of a hub: each opened with the driver of its role, and closed again. */
#include <stdlib.h>
#include <string.h>

#include "appliance/api/routes.h"
#include "appliance/hub/hub.h"

/* Something the hub must not go on without: it stops, with a word that says why. */
static void on_fatal(void *context, const char *text)
{
    struct mr_hub *hub = context;
    mr_log_event(hub->log, MR_LOG_ERROR, "hub.fatal", "why=%s", text);
    hub->failed = true;
    mr_loop_stop(hub->loop);
}

static int open_driver(struct mr_hub *hub, struct mr_api_task *served, struct mr_error *error)
{
    const struct mr_task *task = &served->task;
    const struct mr_round_context context = {
        .task = task->config->name,
        .data_dir = task->data_dir,
        .hub_index = hub->config->identity.index,
        .round = &task->config->round,
        .hubs = task->hubs,
        .hubs_count = task->hubs_count,
        .endpoints = task->endpoints,
        .share_bytes_max = hub->config->upload.share_bytes_max,
        .private_key = hub->private_key,
        .loop = hub->loop,
        .log = hub->log,
        .store = task->store,
        .kernels = hub->kernels,
        .plane = hub->api.plane,
        .fatal = on_fatal,
        .fatal_context = hub,
        .revoked = mr_hub_revoked,
        .revoked_context = hub,
    };
    const struct mr_lead_listener lead = {.admitted = mr_routes_admitted,
                                          .refused = mr_routes_refused,
                                          .changed = mr_routes_changed,
                                          .context = served};
    const struct mr_helper_listener helper = {.answer = mr_routes_answered,
                                              .refuse = mr_routes_refused,
                                              .changed = mr_routes_changed,
                                              .context = served};
    const int failed = task->leads
                           ? mr_lead_driver_open(&served->lead, &context, &lead, error)
                           : mr_helper_driver_open(&served->helper, &context, &helper, error);
    return failed ? mr_error_prefix(error, "task %s", task->config->name) : 0;
}

/* Listed at once, so that mr_hub_close_tasks finds whatever of it was opened. */
int mr_hub_open_task(struct mr_hub *hub, const struct mr_config_task *config,
                     struct mr_error *error)
{
    struct mr_api_task *served = calloc(1, sizeof *served);
    if (!served) {
        return mr_error_set(error, "out of memory");
    }
    served->api = &hub->api;
    if (mr_task_open(&served->task, hub->config, config, hub->book, error) != 0) {
        free(served);
        return -1;
    }
    hub->api.tasks[hub->api.tasks_count++] = served;
    served->polls = mr_long_polls_open(hub->loop, served);
    if (!served->polls) {
        return mr_error_set(error, "out of memory");
    }
    return open_driver(hub, served, error);
}

static unsigned tasks_led(const struct mr_hub_config *config)
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
    const unsigned led = tasks_led(config);
    if (led > 0 && mr_hub_open_plane(hub, led, error) != 0) {
        return -1;
    }
    hub->api.packet_source = led > 0 ? config->upload.source : "none";
    for (unsigned i = 0; i < config->tasks_count; i++) {
        if (mr_hub_open_task(hub, &config->tasks[i], error) != 0) {
            return -1;
        }
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
