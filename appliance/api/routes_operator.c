/* routes_operator.c - metrics and status. Neither shows a running sum or a single device. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/api/routes_internal.h"
#include "appliance/config/option_value.h"
#include "appliance/observe/heap.h"
#include "appliance/round/drive/named_metrics.h"
#include "appliance/round/drive/terms_differ.h"
#include "appliance/storage/folder.h"
#include "appliance/task/released.h"
#include "base/bytes.h"
#include "base/json_text.h"

#ifndef MR_VERSION
#define MR_VERSION "unknown"
#endif

static void build_metrics(const struct mr_api *api, struct mr_metrics *metrics)
{
    char labels[128];
    snprintf(labels, sizeof labels, "version=\"%s\",cpu_level=\"%s\",heap=\"%s\"", MR_VERSION,
             api->cpu_level, mr_heap_name());
    mr_metrics_family(metrics, "millrace_build_info", "gauge",
                      "Always 1: what is running, and with which kernels.");
    mr_metrics_sample(metrics, "millrace_build_info", labels, 1);
    mr_metrics_family(metrics, "millrace_uptime_seconds", "gauge", "Time since the hub started.");
    mr_metrics_sample(metrics, "millrace_uptime_seconds", "",
                      (double)(mr_loop_now_ms(api->loop) - api->started_ms) / 1000.0);
}

/* What it has opened, over all its tasks and for ever. */
static void released_metrics(const struct mr_api *api, struct mr_metrics *metrics)
{
    mr_metrics_family(metrics, "millrace_released_sets", "gauge",
                      "Sets in this hub's ledger of released sets, of all tasks.");
    mr_metrics_sample(metrics, "millrace_released_sets", "",
                      (double)mr_released_sets(api->released));
}

/* Where a hub is older than itself it takes no part until its operator recovers the task. */
static void age_metrics(const struct mr_api *api, struct mr_metrics *metrics)
{
    mr_metrics_family(metrics, "millrace_task_older", "gauge",
                      "1 where this hub has found that it is older than itself in the task.");
    for (unsigned i = 0; i < api->tasks_count; i++) {
        const struct mr_task *task = &api->tasks[i]->task;
        char labels[16 + MR_TASK_NAME_MAX];
        snprintf(labels, sizeof labels, "task=\"%s\"", task->config->name);
        mr_metrics_sample(metrics, "millrace_task_older", labels, task->age.is_older);
    }
}

/* One file system for all tasks. */
static void disk_metrics(const struct mr_api *api, struct mr_metrics *metrics)
{
    struct mr_keeper *keepers[MR_TASKS_MAX];
    uint64_t free_bytes, size_bytes;
    unsigned count = 0;
    for (unsigned i = 0; i < api->tasks_count; i++) {
        keepers[count] = api->tasks[i]->lead ? mr_lead_driver_keeper(api->tasks[i]->lead)
                                             : mr_helper_driver_keeper(api->tasks[i]->helper);
        count += keepers[count] ? 1 : 0;
    }
    mr_keeper_metrics(keepers, count, metrics);
    if (mr_folder_space(api->data_dir, &free_bytes, &size_bytes, NULL) != 0) {
        return;
    }
    mr_metrics_family(metrics, "millrace_disk_free_bytes", "gauge",
                      "Bytes that the hub may still write in data_dir.");
    mr_metrics_sample(metrics, "millrace_disk_free_bytes", "", (double)free_bytes);
    mr_metrics_family(metrics, "millrace_disk_size_bytes", "gauge",
                      "Size of the file system that data_dir is on.");
    mr_metrics_sample(metrics, "millrace_disk_size_bytes", "", (double)size_bytes);
}

/* One family over all tasks of a role, so the drivers write them together. */
static void tasks_metrics(const struct mr_api *api, struct mr_metrics *metrics)
{
    struct mr_lead_driver *leads[MR_TASKS_MAX];
    struct mr_helper_driver *helpers[MR_TASKS_MAX];
    unsigned led = 0, helped = 0;
    for (unsigned i = 0; i < api->tasks_count; i++) {
        if (api->tasks[i]->lead) {
            leads[led++] = api->tasks[i]->lead;
        } else {
            helpers[helped++] = api->tasks[i]->helper;
        }
    }
    if (led > 0) {
        mr_lead_driver_metrics(leads, led, metrics);
        mr_upload_plane_metrics(api->plane, metrics);
    }
    if (helped > 0) {
        mr_helper_driver_metrics(helpers, helped, metrics);
    }
}

static void named_metrics(const struct mr_api *api, struct mr_metrics *metrics)
{
    mr_named_metrics_family(metrics);
    for (unsigned i = 0; i < api->tasks_count; i++) {
        const struct mr_api_task *task = api->tasks[i];
        mr_named_metrics_samples(mr_routes_history(task), task->task.config->name, metrics);
    }
}

static void stopped_metrics(const struct mr_api *api, struct mr_metrics *metrics)
{
    char why[MR_EARLY_STOP_WHY], labels[16 + MR_TASK_NAME_MAX];
    mr_metrics_family(metrics, "millrace_task_stopped", "gauge",
                      "1 where the task's rule on a metric has stopped it, at its lead.");
    for (unsigned i = 0; i < api->tasks_count; i++) {
        const struct mr_api_task *task = api->tasks[i];
        if (task->lead) {
            snprintf(labels, sizeof labels, "task=\"%s\"", task->task.config->name);
            mr_metrics_sample(metrics, "millrace_task_stopped", labels,
                              mr_lead_driver_stopped(task->lead, why));
        }
    }
}

static void release_metrics(const struct mr_api *api, struct mr_metrics *metrics)
{
    mr_metrics_family(metrics, "millrace_release_stage_seconds", "histogram",
                      "From a model that is current to a release that devices can pull, by stage.");
    for (unsigned i = 0; i < api->tasks_count; i++) {
        const struct mr_api_task *task = api->tasks[i];
        if (task->releases) {
            mr_release_times_metrics(mr_releases_times(task->releases), task->task.config->name,
                                     metrics);
        }
    }
    mr_metrics_family(metrics, "millrace_release_kept_seconds", "histogram",
                      "From a model that is current to each device's report that it keeps it.");
    for (unsigned i = 0; i < api->tasks_count; i++) {
        const struct mr_api_task *task = api->tasks[i];
        if (task->releases) {
            mr_release_times_kept_metrics(mr_releases_times(task->releases),
                                          task->task.config->name, metrics);
        }
    }
}

void mr_route_metrics(void *context, struct mr_request *request)
{
    const struct mr_api *api = context;
    struct mr_metrics metrics;
    mr_metrics_init(&metrics);
    build_metrics(api, &metrics);
    mr_heap_metrics(&metrics);
    api->metrics(api->metrics_context, &metrics);
    tasks_metrics(api, &metrics);
    named_metrics(api, &metrics);
    stopped_metrics(api, &metrics);
    release_metrics(api, &metrics);
    disk_metrics(api, &metrics);
    released_metrics(api, &metrics);
    age_metrics(api, &metrics);
    mr_routes_budget_metrics(api, &metrics);
    mr_routes_rollout_metrics(api, &metrics);
    if (metrics.failed) {
        mr_routes_refuse_as(request, MR_REFUSAL_INTERNAL, "out of memory");
    } else {
        mr_request_answer(request, 200, "text/plain; version=0.0.4", metrics.text, metrics.length);
    }
    mr_metrics_fini(&metrics);
}

/* --- tasks ----------------------------------------------------------------------------------- */

/* How far the task's current or last round is. */
static void put_round(json_t *object, const struct mr_api_task *task)
{
    json_t *devices;
    if (task->lead) {
        struct mr_lead_report report;
        mr_lead_report(mr_lead_driver_core(task->lead), &report);
        json_object_set_new(object, "round", json_integer((json_int_t)report.round));
        json_object_set_new(object, "state", mr_json_text(mr_lead_state_name(report.state)));
        devices = json_pack("{s:I, s:I, s:I, s:I}", "admitted", (json_int_t)report.admitted,
                            "staged", (json_int_t)report.staged, "committed",
                            (json_int_t)report.committed, "included", (json_int_t)report.included);
    } else {
        struct mr_helper_report report;
        mr_helper_report(mr_helper_driver_core(task->helper), &report);
        json_object_set_new(object, "round", json_integer((json_int_t)report.round));
        json_object_set_new(object, "state", mr_json_text(mr_helper_state_name(report.state)));
        devices = json_pack("{s:I, s:I}", "admitted", (json_int_t)report.admitted, "included",
                            (json_int_t)report.included);
    }
    json_object_set_new(object, "devices", devices);
}

/* Why the task stands still, where this hub is older than itself or has recovered. */
static void put_age(json_t *object, const struct mr_task_age *age)
{
    const struct mr_recovered *recovered = &age->recovered;
    if (age->is_older) {
        json_object_set_new(object, "older", mr_json_text(age->older.why));
    } else if (recovered->epoch && !recovered->has_fresh) {
        json_object_set_new(object, "recovery_code", mr_json_text(recovered->code));
    }
}

/* Whether the last round found too few devices on a model on which others wait for the next one:
 * nothing goes on by itself then. */
static bool is_short(const struct mr_api_task *task)
{
    const struct mr_round_terms *terms;
    bool failed;
    if (task->lead) {
        struct mr_lead_report report;
        mr_lead_report(mr_lead_driver_core(task->lead), &report);
        terms = mr_lead_terms(mr_lead_driver_core(task->lead));
        failed = report.state == MR_LEAD_VOID && report.void_kind == MR_VOID_COHORT;
    } else {
        struct mr_helper_report report;
        mr_helper_report(mr_helper_driver_core(task->helper), &report);
        terms = mr_helper_terms(mr_helper_driver_core(task->helper));
        failed = report.state == MR_HELPER_VOID &&
                 mr_void_kind_said(report.reason, MR_VOID_KINDS) == MR_VOID_COHORT;
    }
    return terms && failed &&
           memcmp(terms->announcement.model_hash, mr_store_current(task->task.store),
                  MR_HASH_BYTES) == 0;
}

/* Why the task waits for its operator. */
static void put_paused(json_t *object, const struct mr_api_task *task, uint32_t released)
{
    char why[240] = "";
    const struct mr_task_age *age = &task->task.age;
    if (age->is_older) {
        snprintf(why, sizeof why,
                 "this hub is older than itself: see older, then millrace "
                 "recover %s",
                 task->task.config->name);
    } else if (age->recovered.epoch && !age->recovered.has_fresh) {
        snprintf(why, sizeof why,
                 "it was recovered: millrace task resume %s --recovery-code, on every hub",
                 task->task.config->name);
    } else if (released > 0 && is_short(task)) {
        snprintf(why, sizeof why,
                 "%u devices are in an opened set on the current model, and too few others came: "
                 "millrace task resume %s, on every hub",
                 released, task->task.config->name);
    } else if (task->lead && mr_lead_driver_stopped(task->lead, why)) {
        json_object_set_new(object, "stopped", json_true());
    }
    if (*why != '\0') {
        json_object_set_new(object, "paused", mr_json_text(why));
    }
}

static json_t *task_json(const struct mr_api_task *task)
{
    char model[2 * MR_HASH_BYTES + 1];
    const uint8_t *current = mr_store_current(task->task.store);
    const uint32_t released = mr_released_devices(task->api->released, current);
    json_t *object = json_object(), *hubs = json_array();
    for (unsigned i = 0; i < task->task.hubs_count; i++) {
        json_array_append_new(hubs, json_integer(task->task.hubs[i].index));
    }
    mr_hex_encode(model, current, MR_HASH_BYTES);
    json_object_set_new(object, "task", mr_json_text(task->task.config->name));
    json_object_set_new(object, "role", mr_json_text(task->lead ? "lead" : "helper"));
    json_object_set_new(object, "hubs", hubs);
    put_round(object, task);
    json_object_set_new(object, "model_hash", mr_json_text(model));
    json_object_set_new(object, "released_devices", json_integer(released));
    put_age(object, &task->task.age);
    put_paused(object, task, released);
    return object;
}

/* The keys of the task's round: section, as they are in force from the next round on. */
static json_t *policy_json(const struct mr_config_round *round)
{
    static const char section[] = "tasks.round";
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    json_t *policy = json_object();
    for (size_t i = 0; i < count; i++) {
        char text[MR_OPTION_VALUE_MAX];
        if (strcmp(rows[i].section, section) == 0) {
            mr_option_value_text(text, &rows[i], (const char *)round + rows[i].offset);
            const bool quoted = rows[i].kind == MR_OPTION_TEXT ||
                                rows[i].kind == MR_OPTION_CHOICE ||
                                mr_option_is_auto(&rows[i], text);
            json_object_set_new(policy, rows[i].name,
                                quoted ? mr_json_text(text)
                                       : json_loads(text, JSON_DECODE_ANY, NULL));
        }
    }
    return policy;
}

/* What the lead asked for that this hub would not; the helper's last round. */
static json_t *differences_json(const struct mr_api_task *task)
{
    struct mr_terms_difference list[MR_TERMS_DIFFERENCES_MAX];
    const struct mr_round_terms *terms = mr_helper_terms(mr_helper_driver_core(task->helper));
    const unsigned count =
        terms ? mr_terms_differ(list, &terms->announcement, &task->task.config->round, UINT64_MAX)
              : 0;
    json_t *array = json_array();
    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(array, json_pack("{s:o, s:o, s:o}", "key", mr_json_text(list[i].key),
                                               "lead", mr_json_text(list[i].asked), "here",
                                               mr_json_text(list[i].own)));
    }
    return array;
}

static json_t *tasks_json(const struct mr_api *api)
{
    json_t *tasks = json_array();
    for (unsigned i = 0; i < api->tasks_count; i++) {
        json_array_append_new(tasks, task_json(api->tasks[i]));
    }
    return tasks;
}

void mr_route_tasks(void *context, struct mr_request *request)
{
    mr_routes_answer_json(request, json_pack("{s:o}", "tasks", tasks_json(context)));
}

void mr_route_task(void *context, struct mr_request *request)
{
    const char *name = mr_request_param(request, MR_PARAM_TASK);
    const struct mr_api_task *task = mr_api_task_find(context, name);
    if (task) {
        json_t *object = task_json(task);
        json_object_set_new(object, "policy", policy_json(&task->task.config->round));
        if (task->helper) {
            json_object_set_new(object, "terms_that_differ", differences_json(task));
        }
        mr_routes_answer_json(request, object);
    } else {
        mr_routes_refuse_as(request, MR_REFUSAL_NO_TASK, "this hub serves no task %.40s", name);
    }
}

static unsigned tasks_led(const struct mr_api *api)
{
    unsigned led = 0;
    for (unsigned i = 0; i < api->tasks_count; i++) {
        led += api->tasks[i]->lead ? 1 : 0;
    }
    return led;
}

/* Over all tasks: "lead", "helper" or "both". */
static const char *role_of(const struct mr_api *api)
{
    const unsigned led = tasks_led(api);
    return led == 0 ? "helper" : led == api->tasks_count ? "lead" : "both";
}

void mr_route_status(void *context, struct mr_request *request)
{
    const struct mr_api *api = context;
    const char *source = tasks_led(api) > 0 ? mr_upload_plane_source(api->plane) : "none";
    mr_routes_answer_json(
        request,
        json_pack("{s:i, s:o, s:o, s:o, s:o, s:I, s:o}", "hub", api->hub_index, "role",
                  mr_json_text(role_of(api)), "version", mr_json_text(MR_VERSION), "cpu_level",
                  mr_json_text(api->cpu_level), "packet_source", mr_json_text(source), "uptime_ms",
                  (json_int_t)(mr_loop_now_ms(api->loop) - api->started_ms), "tasks",
                  tasks_json(api)));
}
