/* routes_keys.c - statements of hubs' next signing keys: for devices, and from operators. */
#include <stdlib.h>

#include "appliance/api/routes_internal.h"
#include "appliance/task/next_keys.h"

void mr_route_keys(void *context, struct mr_request *request)
{
    const struct mr_api_task *task = mr_routes_task(context, request);
    uint8_t *bytes;
    size_t length;
    struct mr_error error;
    if (!task) {
        return;
    }
    const uint64_t after = mr_request_query(request, "after", 0);
    if (mr_next_keys_read(&task->task, after < UINT32_MAX ? (uint32_t)after : UINT32_MAX, &bytes,
                          &length, &error) != 0) {
        mr_routes_refuse_as(request, MR_REFUSAL_INTERNAL, "%.250s", error.text);
    } else if (!bytes) {
        mr_request_answer(request, 204, NULL, NULL, 0);
    } else {
        mr_request_answer_owned(request, 200, "application/octet-stream", bytes, length);
    }
}

void mr_route_admin_keys(void *context, struct mr_request *request)
{
    const struct mr_api_task *task = mr_routes_task(context, request);
    size_t length;
    enum mr_key_fault fault;
    struct mr_error error;
    if (!task) {
        return;
    }
    const uint8_t *bytes = mr_request_body(request, &length);
    const int result = mr_next_keys_add(&task->task, bytes, length, &fault, &error);
    if (result < 0) {
        mr_routes_refuse_as(request, MR_REFUSAL_INTERNAL, "%.250s", error.text);
    } else if (result > 0) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST, "%s (%s)",
                            mr_key_fault_sentence(fault), mr_key_fault_name(fault));
    } else {
        mr_log_event(task->api->log, MR_LOG_WARN, "task.next_key", "task=%s by=%s",
                     task->task.config->name, mr_request_identity(request)->name);
        mr_request_answer(request, 204, NULL, NULL, 0);
    }
}
