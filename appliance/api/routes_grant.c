/* routes_grant.c - a device asks for an upload: at once to the round, or, where the plane has no
 * window for it, when there is one (held_grants.h). What was true when it asked is looked at again
 * then: the round may be over, the task or the connection gone. */
#include <openssl/crypto.h>

#include "appliance/api/routes.h"
#include "appliance/api/routes_internal.h"
#include "wire/keys.h"

/* The keys of an upload come from the connection that asks for it. */
static int derive_keys(struct mr_upload_keys *keys, uint16_t hub_index,
                       const struct mr_request *request, const struct mr_upload_request *asked)
{
    uint8_t secret[MR_CONNECTION_SECRET_BYTES], ekm[MR_EKM_BYTES];
    const struct mr_key_scope scope = {
        .task = mr_request_param(request, MR_PARAM_TASK),
        .announcement_hash = asked->announcement_hash,
        .client_id = mr_request_identity(request)->client_id,
        .hub_index = hub_index,
        .attempt = asked->attempt,
    };
    const int bad = mr_request_export(request, MR_EXPORTER_LABEL, secret) != 0 ||
                    mr_upload_ekm(ekm, secret, &scope) != 0 ||
                    mr_upload_keys_derive(keys, ekm) != 0;
    OPENSSL_cleanse(secret, sizeof secret);
    OPENSSL_cleanse(ekm, sizeof ekm);
    return bad ? -1 : 0;
}

/* What the request asks for, and of which round of which task. Refuses and returns NULL otherwise.
 */
static struct mr_api_task *parse(struct mr_api *api, struct mr_request *request, uint64_t *round,
                                 struct mr_upload_request *asked)
{
    struct mr_api_task *task = mr_routes_led_task(api, request);
    struct mr_error error;
    size_t length;
    if (!task || !mr_routes_round(request, MR_PARAM_ROUND, round)) {
        return NULL;
    }
    const uint8_t *body = mr_request_body(request, &length);
    if (mr_upload_request_decode(asked, (const char *)body, length, &error) != 0) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST, "%.250s", error.text);
        return NULL;
    }
    return task;
}

/* To the round, which grants or refuses it. */
static void put(const struct mr_api_task *task, struct mr_request *request, uint64_t round,
                const struct mr_upload_request *asked)
{
    struct mr_upload_keys keys;
    const bool udp = asked->transport == MR_TRANSPORT_UDP;
    if (udp && derive_keys(&keys, task->api->hub_index, request, asked) != 0) {
        mr_routes_refuse_as(request, MR_REFUSAL_INTERNAL, "the upload's keys could not be derived");
        return;
    }
    const struct mr_applicant applicant = {.round = round,
                                           .client_id = mr_request_identity(request)->client_id,
                                           .serial = mr_request_serial(request),
                                           .request = asked,
                                           .keys = udp ? &keys : NULL,
                                           .token = request};
    mr_lead_admit(mr_lead_driver_core(task->lead), &applicant, mr_lead_driver_now_ms(task->lead));
    OPENSSL_cleanse(&keys, sizeof keys);
}

void mr_route_upload_request(void *context, struct mr_request *request)
{
    struct mr_api *api = context;
    struct mr_upload_request asked;
    uint64_t round;
    const struct mr_api_task *task = parse(api, request, &round, &asked);
    if (!task) {
        return;
    }
    if (asked.transport == MR_TRANSPORT_UDP && mr_held_grants_keep(api->held, request)) {
        return;
    }
    put(task, request, round, &asked);
}

/* --- those that are held ---------------------------------------------------------------------- */

static uint32_t hold_ms(void *context, struct mr_request *request)
{
    const struct mr_api_task *task = mr_api_task_find(context, mr_request_param(request, 0));
    return task && task->lead ? mr_lead_driver_hold_ms(task->lead) : 0;
}

static void answer(void *context, struct mr_request *request)
{
    struct mr_upload_request asked;
    uint64_t round;
    const struct mr_api_task *task = parse(context, request, &round, &asked);
    if (task) {
        put(task, request, round, &asked);
    }
}

static void refuse(void *context, struct mr_request *request)
{
    (void)context;
    mr_routes_refuse_as(request, MR_REFUSAL_BUSY, "the hub is stopping");
}

const struct mr_held_ops mr_routes_held_ops = {
    .hold_ms = hold_ms, .answer = answer, .refuse = refuse};
