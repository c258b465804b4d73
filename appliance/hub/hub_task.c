/* hub_task.c - one task of a hub: opened with the driver of its role, and seen off when it is
 * removed while the hub runs. */
#include <stdlib.h>
#include <string.h>

#include "appliance/api/routes.h"
#include "appliance/hub/hub.h"
#include "base/assert.h"

/* --- opening --------------------------------------------------------------------------------- */

/* Something the hub must not go on without: it stops, with a word that says why. */
static void on_fatal(void *context, const char *text)
{
    struct mr_hub *hub = context;
    mr_log_event(hub->log, MR_LOG_ERROR, "hub.fatal", "why=%s", text);
    hub->failed = true;
    mr_loop_stop(hub->loop);
}

static void on_made(void *context, struct mr_made_model *made)
{
    const struct mr_api_task *served = context;
    if (served->releases) {
        mr_releases_expect(served->releases, made);
    }
}

static int open_driver(struct mr_hub *hub, struct mr_api_task *served,
                       const struct mr_hub_config *config, struct mr_error *error)
{
    const struct mr_task *task = &served->task;
    const struct mr_round_context context = {
        .task = task->config->name,
        .data_dir = task->data_dir,
        .hub_index = config->identity.index,
        .round = &task->config->round,
        .accept = &task->config->accept,
        .keep = &task->config->keep,
        .privacy = &task->config->privacy,
        .hubs = task->hubs,
        .hubs_count = task->hubs_count,
        .endpoints = task->endpoints,
        .share_bytes_max = config->upload.share_bytes_max,
        .private_key = hub->keys.private_key,
        .watermark = &task->watermark,
        .mark_part = task->mark_part,
        .loop = hub->loop,
        .log = hub->log,
        .store = task->store,
        .released = hub->api.released,
        .age = &served->task.age,
        .kernels = hub->kernels,
        .plane = hub->api.plane,
        .fatal = on_fatal,
        .fatal_context = hub,
        .made = on_made,
        .made_context = served,
        .revoked = mr_hub_revoked,
        .revoked_context = hub,
    };
    const struct mr_lead_listener lead = {.admitted = mr_routes_admitted,
                                          .refused = mr_routes_refused,
                                          .changed = mr_routes_changed,
                                          .resumed = mr_routes_resumed,
                                          .recovered = mr_routes_recovered,
                                          .context = served};
    const struct mr_helper_listener helper = {.answer = mr_routes_answered,
                                              .refuse = mr_routes_refused,
                                              .changed = mr_routes_changed,
                                              .resumed = mr_routes_resumed,
                                              .recovered = mr_routes_recovered,
                                              .context = served};
    const int failed = task->leads
                           ? mr_lead_driver_open(&served->lead, &context, &lead, error)
                           : mr_helper_driver_open(&served->helper, &context, &helper, error);
    return failed ? mr_error_prefix(error, "task %s", task->config->name) : 0;
}

static int open_releases(struct mr_releases **releases, struct mr_hub *hub,
                         struct mr_api_task *served, struct mr_error *error)
{
    const struct mr_task *task = &served->task;
    const struct mr_releases_config config = {
        .task = task->config->name,
        .data_dir = task->data_dir,
        .hub_index = hub->config->identity.index,
        .keys = &hub->keys,
        .policy = &task->config->releases,
        .loop = hub->loop,
        .log = hub->log,
        .store = task->store,
        .kernels = hub->kernels,
        .changed = mr_routes_changed,
        .context = served,
    };
    return mr_releases_open(releases, &config, error) == 0
               ? 0
               : mr_error_prefix(error, "task %s", task->config->name);
}

static int open_parts(struct mr_hub *hub, struct mr_api_task *served,
                      const struct mr_hub_config *config, struct mr_error *error)
{
    served->polls = mr_long_polls_open(hub->loop, served);
    if (!served->polls) {
        return mr_error_set(error, "out of memory");
    }
    struct mr_releases *releases;
    if (open_releases(&releases, hub, served, error) != 0) {
        return -1;
    }
    if (open_driver(hub, served, config, error) != 0) {
        mr_releases_join(releases);
        mr_releases_close(releases);
        return -1;
    }
    served->releases = releases; /* only now may it have work: the driver has taken its round up */
    mr_releases_look(releases);
    return 0;
}

int mr_hub_task_open(struct mr_hub *hub, struct mr_api_task **out,
                     const struct mr_hub_config *config, const struct mr_config_task *task_config,
                     struct mr_error *error)
{
    struct mr_api_task *served = calloc(1, sizeof *served);
    if (!served) {
        return mr_error_set(error, "out of memory");
    }
    served->api = &hub->api;
    const struct mr_task_setting setting = {.book = hub->book,
                                            .place = &hub->place,
                                            .above = {.copied = *hub->copied ? hub->copied : NULL,
                                                      .behind = hub->behind,
                                                      .counter = hub->counter}};
    if (mr_task_open(&served->task, config, task_config, &setting, error) != 0) {
        free(served);
        return -1;
    }
    if (served->task.age.is_older) {
        mr_log_event(hub->log, MR_LOG_ERROR, "task.older", "task=%s why=%s", task_config->name,
                     served->task.age.older.why);
    }
    if (*served->task.hubs_before != '\0') {
        mr_log_event(hub->log, MR_LOG_WARN, "task.hubs_changed", "task=%s before=%s",
                     task_config->name, served->task.hubs_before);
    }
    if (open_parts(hub, served, config, error) == 0) {
        *out = served;
        return 0;
    }
    mr_long_polls_close(served->polls);
    mr_task_close(&served->task);
    free(served);
    return -1;
}

/* --- leaving --------------------------------------------------------------------------------- */

struct ending {
    struct mr_hub *hub;
    struct mr_api_task *served;
};

static void wait_for_threads(void *context)
{
    const struct ending *ending = context;
    if (ending->served->lead) {
        mr_lead_driver_join(ending->served->lead);
    }
    if (ending->served->helper) {
        mr_helper_driver_join(ending->served->helper);
    }
    mr_releases_join(ending->served->releases);
}

/* What those threads had to say has been heard: it was posted before this. */
static void free_task(void *context)
{
    struct ending *ending = context;
    struct mr_hub *hub = ending->hub;
    struct mr_api_task *served = ending->served;
    unsigned at = 0;
    while (at < hub->leaving_count && hub->leaving[at] != served) {
        at++;
    }
    MR_ASSERT(at < hub->leaving_count);
    hub->leaving[at] = hub->leaving[--hub->leaving_count];
    mr_helper_driver_close(served->helper);
    mr_lead_driver_close(served->lead);
    mr_releases_close(served->releases);
    mr_long_polls_close(served->polls);
    mr_task_close(&served->task);
    mr_log_event(hub->log, MR_LOG_INFO, "task.ended", "task=%s", served->task.config->name);
    free(served);
    free(ending);
}

void mr_hub_task_leave(struct mr_hub *hub, struct mr_api_task *served)
{
    static const char removed[] = "this hub serves the task no longer";
    struct ending *ending = malloc(sizeof *ending);
    MR_ASSERT(ending && hub->leaving_count < MR_HUB_LEAVING_MAX);
    *ending = (struct ending){hub, served};
    hub->leaving[hub->leaving_count++] = served;
    /* Nobody waits for threads that may wait for another hub. */
    if (served->lead) {
        mr_lead_driver_halt(served->lead);
        mr_lead_dismiss(mr_lead_driver_core(served->lead), MR_REFUSAL_NO_TASK, removed);
    }
    if (served->helper) {
        mr_helper_driver_halt(served->helper);
        mr_helper_dismiss(mr_helper_driver_core(served->helper), MR_REFUSAL_NO_TASK, removed);
    }
    mr_releases_halt(served->releases);
    mr_long_polls_refuse(served->polls, MR_REFUSAL_NO_TASK, removed);
    mr_job_run(hub->endings, wait_for_threads, free_task, ending);
}
