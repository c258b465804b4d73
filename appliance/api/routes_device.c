/* routes_device.c - what a device asks the lead (and, for models and a round's end, any hub). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/api/routes_internal.h"
#include "appliance/round/drive/rounding_report.h"
#include "base/bytes.h"

/* --- the current round ----------------------------------------------------------------------- */

static bool try_current(void *context, struct mr_request *request, bool expired)
{
    const struct mr_api_task *task = context;
    const struct mr_lead *lead = mr_lead_driver_core(task->lead);
    size_t length;
    const uint8_t *envelope = mr_lead_envelope(lead, &length);
    const uint64_t after = mr_request_query(request, "after", 0);
    if (envelope && mr_lead_terms(lead)->announcement.round > after) {
        /* The signed deadline is a time of this hub's clock, which the device's need not be. */
        mr_request_time_left(request, mr_lead_left_ms(lead, mr_lead_driver_now_ms(task->lead)));
        mr_request_answer(request, 200, "application/octet-stream", envelope, length);
        return true;
    }
    if (expired) {
        mr_request_answer(request, 204, NULL, NULL, 0);
    }
    return expired;
}

void mr_route_current(void *context, struct mr_request *request)
{
    struct mr_api_task *task = mr_routes_led_task(context, request);
    if (task) {
        mr_long_poll_try(task->polls, request, try_current);
    }
}

/* --- how a round ended ----------------------------------------------------------------------- */

static void tell_end(const struct mr_api_task *task, struct mr_request *request,
                     const struct mr_round_summary *summary)
{
    struct mr_round_end end = {.state = MR_ROUND_UNDER_WAY};
    if (mr_round_summary_ended(summary) && strcmp(summary->state, "void") == 0) {
        end.state = MR_ROUND_VOID;
        snprintf(end.reason, sizeof end.reason, "%s",
                 summary->reason[0] ? summary->reason : "no reason is on record");
        end.unopened = task->lead ? mr_lead_driver_unopened(task->lead, summary, end.signature)
                                  : mr_helper_driver_unopened(task->helper, summary, end.signature);
    } else if (mr_round_summary_ended(summary)) {
        end.state = MR_ROUND_PUBLISHED;
        mr_hex_encode(end.model, summary->model_hash, MR_HASH_BYTES);
        mr_rounding_warning(end.warning, sizeof end.warning, summary);
    }
    mr_routes_answer_text(request, 200, mr_round_end_encode(&end));
}

static bool try_end(void *context, struct mr_request *request, bool expired)
{
    const struct mr_api_task *task = context;
    struct mr_round_summary summary;
    const enum mr_routes_seen seen = mr_routes_see_round(task, request, expired, &summary);
    if (seen == MR_ROUTES_ROUND) {
        tell_end(task, request, &summary);
    }
    return seen != MR_ROUTES_WAIT;
}

void mr_route_round_end(void *context, struct mr_request *request)
{
    struct mr_api_task *task = mr_routes_task(context, request);
    if (task) {
        mr_long_poll_try(task->polls, request, try_end);
    }
}

/* --- models ---------------------------------------------------------------------------------- */

struct loan {
    struct mr_store *store;
    struct mr_model *model;
};

static void give_back(void *context)
{
    struct loan *loan = context;
    mr_store_return(loan->store, loan->model);
    free(loan);
}

void mr_route_model(void *context, struct mr_request *request)
{
    struct mr_api_task *task = mr_routes_task(context, request);
    struct mr_error error;
    uint8_t hash[MR_HASH_BYTES];
    if (!task || !mr_routes_hash(request, MR_PARAM_MODEL, hash)) {
        return;
    }
    struct loan *loan = malloc(sizeof *loan);
    if (!loan) {
        mr_routes_refuse_as(request, MR_REFUSAL_BUSY, "out of memory");
        return;
    }
    bool busy;
    *loan = (struct loan){task->task.store, mr_store_lend(task->task.store, hash, &busy, &error)};
    if (!loan->model) {
        free(loan);
        mr_routes_refuse_as(request, busy ? MR_REFUSAL_BUSY : MR_REFUSAL_NOT_FOUND, "%s",
                            busy ? error.text : "this hub has no such model");
        return;
    }
    size_t length;
    const uint8_t *bytes = mr_model_bytes(loan->model, &length);
    mr_request_validator(request, mr_request_param(request, MR_PARAM_MODEL), true);
    mr_request_answer_borrowed(request, 200, "application/octet-stream", bytes, length, give_back,
                               loan);
}

/* --- the task's hubs ------------------------------------------------------------------------- */

void mr_route_hubs(void *context, struct mr_request *request)
{
    struct mr_api *api = context;
    const struct mr_api_task *task = mr_routes_task(api, request);
    if (task) {
        struct mr_task_hubs hubs = {.hub_index = api->hub_index,
                                    .hub_count = task->task.hubs_count};
        memcpy(hubs.hubs, task->task.hubs, sizeof hubs.hubs[0] * hubs.hub_count);
        mr_routes_answer_text(request, 200, mr_task_hubs_encode(&hubs));
    }
}

/* --- uploads --------------------------------------------------------------------------------- */

void mr_route_share(void *context, struct mr_request *request)
{
    struct mr_api_task *task = mr_routes_led_task(context, request);
    struct mr_refusal refusal;
    uint64_t round, upload_id;
    size_t length;
    if (!task || !mr_routes_round(request, MR_PARAM_ROUND, &round) ||
        !mr_routes_upload(request, MR_PARAM_UPLOAD, &upload_id)) {
        return;
    }
    struct mr_lead *lead = mr_lead_driver_core(task->lead);
    if (mr_lead_may_put(lead, round, mr_request_identity(request)->client_id, upload_id,
                        &refusal) != MR_REFUSAL_NONE) {
        mr_routes_refuse(request, &refusal);
        return;
    }
    const uint8_t *body = mr_request_body(request, &length);
    const uint64_t needed = mr_lead_terms(lead)->layout.share_bytes;
    if (length != needed) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST,
                            "the body has %zu bytes, and a share of this round has %llu", length,
                            (unsigned long long)needed);
        return;
    }
    static const struct mr_upload_status staged = {MR_UPLOAD_STAGED, MR_REASON_NONE};
    static const struct mr_upload_status unsound = {MR_UPLOAD_REFUSED, MR_REASON_UNSOUND};
    switch (mr_upload_plane_put(task->api->plane, upload_id, body, length)) {
    case MR_PLANE_PUT_NONE:
        mr_routes_refuse_as(request, MR_REFUSAL_CLOSED,
                            "the upload was ended before its share was here");
        return;
    case MR_PLANE_PUT_STAGED:
        mr_routes_answer_text(request, 202, mr_upload_status_encode(&staged));
        return;
    case MR_PLANE_PUT_NO_MEMORY:
        mr_routes_refuse_as(request, MR_REFUSAL_BUSY, "out of memory for the share");
        return;
    case MR_PLANE_PUT_UNSOUND:
        mr_routes_answer_text(request, 200, mr_upload_status_encode(&unsound));
        return;
    }
}

void mr_route_share_progress(void *context, struct mr_request *request)
{
    struct mr_api *api = context;
    const struct mr_api_task *task = mr_api_task_find(api, mr_request_param(request, 0));
    struct mr_refusal refusal;
    uint64_t round, upload_id;
    if (task && task->lead && mr_routes_parse_round(request, MR_PARAM_ROUND, &round) &&
        mr_routes_parse_upload(request, MR_PARAM_UPLOAD, &upload_id) &&
        mr_lead_may_put(mr_lead_driver_core(task->lead), round,
                        mr_request_identity(request)->client_id, upload_id,
                        &refusal) == MR_REFUSAL_NONE) {
        mr_upload_plane_touch(task->api->plane, upload_id);
    }
}

static bool try_status(void *context, struct mr_request *request, bool expired)
{
    const struct mr_api_task *task = context;
    struct mr_upload_status status;
    struct mr_refusal refusal;
    uint64_t round, upload_id;
    if (!mr_routes_round(request, MR_PARAM_ROUND, &round) ||
        !mr_routes_upload(request, MR_PARAM_UPLOAD, &upload_id)) {
        return true;
    }
    if (mr_lead_upload_status(mr_lead_driver_core(task->lead), round,
                              mr_request_identity(request)->client_id, upload_id, &status,
                              &refusal) != MR_REFUSAL_NONE) {
        mr_routes_refuse(request, &refusal);
        return true;
    }
    if (!expired && status.state != MR_UPLOAD_COMMITTED && status.state != MR_UPLOAD_REFUSED) {
        return false;
    }
    mr_routes_answer_text(request, 200, mr_upload_status_encode(&status));
    return true;
}

void mr_route_upload_status(void *context, struct mr_request *request)
{
    struct mr_api_task *task = mr_routes_led_task(context, request);
    if (task) {
        mr_long_poll_try(task->polls, request, try_status);
    }
}
