/* parameters.c - what a path names: a task, a round, an upload. */
#include <stdlib.h>
#include <string.h>

#include "appliance/api/routes_internal.h"
#include "base/bytes.h"
#include "wire/announcement.h"
#include "wire/task.h"

struct mr_api_task *mr_api_task_find(const struct mr_api *api, const char *name)
{
    for (unsigned i = 0; i < api->tasks_count; i++) {
        if (strcmp(api->tasks[i]->task.config->name, name) == 0) {
            return api->tasks[i];
        }
    }
    return NULL;
}

struct mr_api_task *mr_routes_task(struct mr_api *api, struct mr_request *request)
{
    const char *name = mr_request_param(request, MR_PARAM_TASK);
    if (!mr_task_name_valid(name)) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST,
                            "a task's name is 1 to %d of [a-z0-9-], the first of [a-z0-9]",
                            MR_TASK_NAME_MAX);
        return NULL;
    }
    struct mr_api_task *task = mr_api_task_find(api, name);
    if (!task) {
        mr_routes_refuse_as(request, MR_REFUSAL_NO_TASK, "this hub serves no task %s", name);
    }
    return task;
}

struct mr_api_task *mr_routes_led_task(struct mr_api *api, struct mr_request *request)
{
    struct mr_api_task *task = mr_routes_task(api, request);
    if (task && !task->lead) {
        mr_routes_refuse_as(request, MR_REFUSAL_NO_ROUND,
                            "this hub leads no rounds of %s; hub %u does", task->task.config->name,
                            task->task.hubs[0].index);
        return NULL;
    }
    struct mr_refusal refusal;
    if (task && mr_lead_driver_older(task->lead, &refusal)) {
        mr_routes_refuse(request, &refusal);
        return NULL;
    }
    return task;
}

bool mr_routes_parse_round(const struct mr_request *request, unsigned i, uint64_t *round)
{
    const char *text = mr_request_param(request, i);
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 16 || text[digits] != '\0' || text[0] == '0') {
        return false;
    }
    *round = strtoull(text, NULL, 10);
    return *round <= MR_ROUND_MAX;
}

bool mr_routes_parse_upload(const struct mr_request *request, unsigned i, uint64_t *upload_id)
{
    uint8_t bytes[8];
    const char *text = mr_request_param(request, i);
    if (strspn(text, "0123456789abcdef") != 16 || mr_hex_decode(bytes, 8, text) != 0) {
        return false;
    }
    *upload_id = mr_be64_get(bytes);
    return true;
}

bool mr_routes_hash(struct mr_request *request, unsigned i, uint8_t hash[MR_HASH_BYTES])
{
    const char *text = mr_request_param(request, i);
    if (strspn(text, "0123456789abcdef") != 2 * MR_HASH_BYTES ||
        mr_hex_decode(hash, MR_HASH_BYTES, text) != 0) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST,
                            "a model is named by 64 lower-case hex digits");
        return false;
    }
    return true;
}

bool mr_routes_round(struct mr_request *request, unsigned i, uint64_t *round)
{
    if (!mr_routes_parse_round(request, i, round)) {
        mr_routes_refuse_as(
            request, MR_REFUSAL_BAD_REQUEST,
            "a round is a decimal number from 1 to 2^53 - 1, without leading zeros");
        return false;
    }
    return true;
}

bool mr_routes_upload(struct mr_request *request, unsigned i, uint64_t *upload_id)
{
    if (!mr_routes_parse_upload(request, i, upload_id)) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST,
                            "an upload id is 16 lower-case hex digits");
        return false;
    }
    return true;
}

/* --- a round's parameter, and the round ------------------------------------------------------- */

const struct mr_round_history *mr_routes_history(const struct mr_api_task *task)
{
    return task->lead ? mr_lead_driver_history(task->lead) : mr_helper_driver_history(task->helper);
}

enum mr_routes_seen mr_routes_see_round(const struct mr_api_task *task, struct mr_request *request,
                                        bool expired, struct mr_round_summary *summary)
{
    struct mr_error error;
    uint64_t round;
    if (!mr_routes_round(request, MR_PARAM_ROUND, &round)) {
        return MR_ROUTES_REFUSED;
    }
    const struct mr_round_summary *known = mr_round_history_find(mr_routes_history(task), round);
    if (known) {
        *summary = *known;
        return expired || mr_round_summary_ended(known) ? MR_ROUTES_ROUND : MR_ROUTES_WAIT;
    }
    const int found = mr_round_record_read(task->task.store, round, summary, &error);
    if (found == 0) {
        return MR_ROUTES_ROUND;
    }
    if (found < 0) {
        mr_routes_refuse_as(request, MR_REFUSAL_INTERNAL, "%.250s", error.text);
    } else {
        mr_routes_refuse_as(request, MR_REFUSAL_NO_ROUND, "no record of round %llu",
                            (unsigned long long)round);
    }
    return MR_ROUTES_REFUSED;
}
