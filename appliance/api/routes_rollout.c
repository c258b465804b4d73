/* routes_rollout.c - the releases of a task and how far they go, for the operator. */
#include <stdio.h>
#include <time.h>

#include "appliance/api/routes_internal.h"

#define LIST_MOST 20u

static void on_list(void *token, const struct mr_refusal *refusal, json_t *answer)
{
    if (refusal) {
        mr_routes_refuse(token, refusal);
    } else {
        mr_routes_answer_json(token, answer ? json_pack("{s:o}", "releases", answer) : NULL);
    }
}

static void on_order(void *token, const struct mr_refusal *refusal, json_t *answer)
{
    if (refusal) {
        mr_routes_refuse(token, refusal);
    } else {
        mr_routes_answer_json(token, answer);
    }
}

/* NULL with the request refused. */
static struct mr_rollouts *rollouts_of(void *context, struct mr_request *request)
{
    const struct mr_api_task *task = mr_routes_task(context, request);
    if (task && !task->releases) {
        mr_routes_refuse_as(request, MR_REFUSAL_NOT_FOUND, "this hub makes no releases");
    }
    return task && task->releases ? mr_releases_rollouts(task->releases) : NULL;
}

void mr_route_releases(void *context, struct mr_request *request)
{
    struct mr_rollouts *rollouts = rollouts_of(context, request);
    if (rollouts) {
        const uint64_t most = mr_request_query(request, "most", LIST_MOST);
        mr_rollouts_list(rollouts, most < UINT16_MAX ? (unsigned)most : UINT16_MAX,
                         (uint64_t)time(NULL), on_list, request);
    }
}

static void obey(void *context, struct mr_request *request, enum mr_rollout_order order)
{
    struct mr_rollouts *rollouts = rollouts_of(context, request);
    if (rollouts) {
        mr_rollouts_order(rollouts, order, mr_request_identity(request)->name, (uint64_t)time(NULL),
                          on_order, request);
    }
}

void mr_route_release_hold(void *context, struct mr_request *request)
{
    obey(context, request, MR_ROLLOUT_ORDER_HOLD);
}

void mr_route_release_go_on(void *context, struct mr_request *request)
{
    obey(context, request, MR_ROLLOUT_ORDER_GO_ON);
}

void mr_route_release_withdraw(void *context, struct mr_request *request)
{
    obey(context, request, MR_ROLLOUT_ORDER_WITHDRAW);
}

/* --- metrics ---------------------------------------------------------------------------------- */

static void newest_samples(const struct mr_api *api, struct mr_metrics *metrics, const char *name,
                           double (*value)(const struct mr_rollout *rollout))
{
    for (unsigned i = 0; i < api->tasks_count; i++) {
        const struct mr_api_task *task = api->tasks[i];
        const struct mr_rollout *rollout =
            task->releases ? mr_rollouts_newest(mr_releases_rollouts(task->releases)) : NULL;
        char labels[16 + MR_TASK_NAME_MAX];
        if (rollout && rollout->known) {
            snprintf(labels, sizeof labels, "task=\"%s\"", task->task.config->name);
            mr_metrics_sample(metrics, name, labels, value(rollout));
        }
    }
}

static double is_halted(const struct mr_rollout *rollout)
{
    return rollout->state != MR_ROLLOUT_GOING;
}

static double kept(const struct mr_rollout *rollout)
{
    return rollout->counts[MR_RELEASE_KEPT];
}

static double not_kept(const struct mr_rollout *rollout)
{
    return (double)rollout->counts[MR_RELEASE_WENT_BACK] + rollout->counts[MR_RELEASE_FAILED];
}

void mr_routes_rollout_metrics(const struct mr_api *api, struct mr_metrics *metrics)
{
    mr_metrics_family(metrics, "millrace_release_halted", "gauge",
                      "1 where the task's newest release goes to no device: it was stopped, held "
                      "or withdrawn.");
    newest_samples(api, metrics, "millrace_release_halted", is_halted);
    mr_metrics_family(metrics, "millrace_release_kept_devices", "gauge",
                      "Devices that have reported that they keep the task's newest release.");
    newest_samples(api, metrics, "millrace_release_kept_devices", kept);
    mr_metrics_family(metrics, "millrace_release_not_kept_devices", "gauge",
                      "Devices that went back from the task's newest release, or could not apply "
                      "it.");
    newest_samples(api, metrics, "millrace_release_not_kept_devices", not_kept);
}
