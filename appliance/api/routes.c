#include "appliance/api/routes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/exchange.h"
#include "wire/task.h"

#define DEVICE   MR_ROLE_BIT(MR_ROLE_DEVICE)
#define HUB      MR_ROLE_BIT(MR_ROLE_HUB)
#define OPERATOR MR_ROLE_BIT(MR_ROLE_OPERATOR)

#define SEED_REQUEST_MAX 512

/* Body bounds that depend on the configuration. */
enum bound {
    BOUND_NONE,
    BOUND_MESSAGE,
    BOUND_SEED,
    BOUND_SHARE,
    BOUND_SET,
    BOUND_COMMITMENTS,
    BOUND_OPENINGS,
};

static const struct {
    const char *method, *path;
    uint32_t roles;
    enum bound bound;
    mr_handler_fn handler, progress;
} table[] = {
    {"GET", "/v1/tasks/{task}/rounds/current", DEVICE, BOUND_NONE, mr_route_current},
    {"GET", "/v1/tasks/{task}/models/{hash}", DEVICE | HUB | OPERATOR, BOUND_NONE, mr_route_model},
    {"POST", "/v1/tasks/{task}/rounds/{round}/uploads", DEVICE, BOUND_MESSAGE,
     mr_route_upload_request},
    {"PUT", "/v1/tasks/{task}/rounds/{round}/uploads/{upload}/share", DEVICE, BOUND_SHARE,
     mr_route_share, mr_route_share_progress},
    {"GET", "/v1/tasks/{task}/rounds/{round}/uploads/{upload}", DEVICE, BOUND_NONE,
     mr_route_upload_status},
    {"POST", "/v1/tasks/{task}/rounds/{round}/seed", DEVICE, BOUND_SEED, mr_route_seed},
    {"POST", "/v1/tasks/{task}/peer/rounds", HUB, BOUND_MESSAGE, mr_route_propose},
    {"POST", "/v1/tasks/{task}/peer/rounds/{round}/freeze", HUB, BOUND_SET, mr_route_freeze},
    {"POST", "/v1/tasks/{task}/peer/rounds/{round}/open", HUB, BOUND_COMMITMENTS, mr_route_open},
    {"POST", "/v1/tasks/{task}/peer/rounds/{round}/reveal", HUB, BOUND_OPENINGS, mr_route_reveal},
    {"POST", "/v1/tasks/{task}/peer/rounds/{round}/void", HUB, BOUND_MESSAGE, mr_route_void},
    {"GET", "/metrics", OPERATOR, BOUND_NONE, mr_route_metrics},
    {"GET", "/v1/status", OPERATOR, BOUND_NONE, mr_route_status},
    {"GET", "/v1/tasks", OPERATOR, BOUND_NONE, mr_route_tasks},
    {"GET", "/v1/tasks/{task}", OPERATOR, BOUND_NONE, mr_route_task},
    {"GET", "/v1/tasks/{task}/admin/rounds", OPERATOR, BOUND_NONE, mr_route_admin_list},
    {"GET", "/v1/tasks/{task}/admin/rounds/{round}", OPERATOR, BOUND_NONE, mr_route_admin_round},
    {"POST", "/v1/tasks/{task}/admin/rounds", OPERATOR, BOUND_MESSAGE, mr_route_admin_open},
};

/* The largest cohort over all tasks; one task's own is its round's business. */
static uint32_t cohort_max(const struct mr_hub_config *config)
{
    uint32_t most = 0;
    for (unsigned i = 0; i < config->tasks_count; i++) {
        const uint32_t cohort = config->tasks[i].round.cohort_max;
        if (cohort == 0) {
            return mr_ring_clients_max(32, 0);
        }
        most = cohort > most ? cohort : most;
    }
    return most;
}

static size_t bytes_of(enum bound bound, const struct mr_hub_config *config)
{
    const size_t share = (size_t)config->upload.share_bytes_max;
    switch (bound) {
    case BOUND_NONE:
        return 0;
    case BOUND_MESSAGE:
        return MR_MESSAGE_MAX;
    case BOUND_SEED:
        return SEED_REQUEST_MAX;
    case BOUND_SHARE:
        return share;
    case BOUND_SET:
        return 4 + (size_t)cohort_max(config) * MR_INCLUDED_BYTES + MR_COMMITMENT_BYTES;
    case BOUND_COMMITMENTS:
        return 1 + MR_HUBS_MAX * MR_COMMITMENT_BYTES;
    case BOUND_OPENINGS:
        return 1 + MR_HUBS_MAX * (MR_NONCE_BYTES + share);
    }
    return 0;
}

struct mr_route *mr_routes_new(const struct mr_hub_config *config, unsigned *count)
{
    *count = sizeof table / sizeof table[0];
    struct mr_route *routes = calloc(*count, sizeof *routes);
    for (unsigned i = 0; routes && i < *count; i++) {
        routes[i] = (struct mr_route){.method = table[i].method,
                                      .path = table[i].path,
                                      .roles = table[i].roles,
                                      .body_max = bytes_of(table[i].bound, config),
                                      .handler = table[i].handler,
                                      .progress = table[i].progress};
    }
    return routes;
}

void mr_routes_bound(struct mr_route *routes, const struct mr_hub_config *config)
{
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        routes[i].body_max = bytes_of(table[i].bound, config);
    }
}

/* --- answers --------------------------------------------------------------------------------- */

void mr_routes_refuse(struct mr_request *request, const struct mr_refusal *refusal)
{
    mr_request_refuse(request, refusal->code, refusal->retry_after_ms, "%s", refusal->text);
}

void mr_routes_refuse_as(struct mr_request *request, enum mr_refusal_code code, const char *format,
                         ...)
{
    struct mr_refusal refusal;
    char text[sizeof refusal.text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    mr_refuse(&refusal, code, "%s", text);
    mr_routes_refuse(request, &refusal);
}

void mr_routes_answer_text(struct mr_request *request, int status, char *text)
{
    if (!text) {
        mr_routes_refuse_as(request, MR_REFUSAL_INTERNAL, "out of memory");
        return;
    }
    mr_request_answer_owned(request, status, "application/json", text, strlen(text));
}

void mr_routes_answer_json(struct mr_request *request, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    mr_routes_answer_text(request, 200, text);
}

void mr_routes_admitted(void *context, void *token, const struct mr_upload_grant *grant)
{
    (void)context;
    mr_routes_answer_text(token, 200, mr_upload_grant_encode(grant));
}

void mr_routes_refused(void *context, void *token, const struct mr_refusal *refusal)
{
    (void)context;
    mr_routes_refuse(token, refusal);
}

void mr_routes_answered(void *context, void *token, bool json, const void *body, size_t length)
{
    (void)context;
    if (body) {
        mr_request_answer(token, 200, json ? "application/json" : "application/octet-stream", body,
                          length);
    } else {
        mr_request_answer(token, 204, NULL, NULL, 0);
    }
}

void mr_routes_changed(void *context)
{
    const struct mr_api_task *task = context;
    mr_long_polls_wake(task->polls);
}

/* --- parameters ------------------------------------------------------------------------------ */

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

bool mr_routes_parse_round(const struct mr_request *request, unsigned i, uint64_t *round)
{
    const char *text = mr_request_param(request, i);
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 19 || text[digits] != '\0' || text[0] == '0') {
        return false;
    }
    *round = strtoull(text, NULL, 10);
    return true;
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

bool mr_routes_round(struct mr_request *request, unsigned i, uint64_t *round)
{
    if (!mr_routes_parse_round(request, i, round)) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST,
                            "a round is a decimal number from 1 on, without leading zeros");
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
