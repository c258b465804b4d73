/* routes_peer.c - what devices and leads ask this hub as a helper. */

#include "appliance/api/routes.h"
#include "appliance/api/routes_internal.h"

/* The helper's state machine, or NULL with the request refused. */
static struct mr_helper *helper_of(struct mr_api *api, struct mr_request *request)
{
    struct mr_api_task *task = mr_routes_task(api, request);
    if (task && !task->helper) {
        mr_routes_refuse_as(request, MR_REFUSAL_NO_ROUND, "this hub helps in no rounds of %s",
                            task->task.config->name);
        return NULL;
    }
    struct mr_refusal refusal;
    const struct mr_identity *from = mr_request_identity(request);
    if (task && from->role == MR_ROLE_HUB) {
        mr_helper_driver_hear(task->helper, from->hub_index, mr_request_word(request));
    }
    if (task && mr_helper_driver_older(task->helper, &refusal)) {
        mr_routes_refused(task, request, &refusal);
        return NULL;
    }
    return task ? mr_helper_driver_core(task->helper) : NULL;
}

void mr_route_seed(void *context, struct mr_request *request)
{
    struct mr_helper *helper = helper_of(context, request);
    struct mr_seed_request asked;
    struct mr_error error;
    uint64_t round;
    size_t length;
    if (!helper || !mr_routes_round(request, MR_PARAM_ROUND, &round)) {
        return;
    }
    const uint8_t *body = mr_request_body(request, &length);
    if (mr_seed_request_decode(&asked, body, length, &error) != 0) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST, "%.250s", error.text);
    } else {
        mr_helper_seed(helper, round, mr_request_identity(request)->client_id,
                       mr_request_serial(request), &asked, request);
    }
}

/* Takes one of the lead's proposals; refuses and counts that where it has none left. Other hubs are
 * refused before anything is checked that costs. */
static bool may_propose(struct mr_api *api, struct mr_request *request)
{
    const uint64_t now_ms = mr_loop_now_ms(api->loop), each_ms = 1000 / MR_PROPOSALS_PER_S;
    struct mr_api_task *task = mr_routes_task(api, request);
    struct mr_refusal refusal;
    if (mr_request_identity(request)->hub_index != task->task.hubs[0].index) {
        return true;
    }
    const uint64_t free_ms = task->proposals_free_ms > now_ms ? task->proposals_free_ms : now_ms;
    if (free_ms + each_ms - now_ms > MR_PROPOSALS_BURST * each_ms) {
        mr_refuse(&refusal, MR_REFUSAL_RATE_LIMITED,
                  "the lead puts more than %u proposals a second, and has put more than %u at once",
                  MR_PROPOSALS_PER_S, MR_PROPOSALS_BURST);
        refusal.retry_after_ms = (uint32_t)each_ms;
        mr_routes_refused(task, request, &refusal);
        return false;
    }
    task->proposals_free_ms = free_ms + each_ms;
    return true;
}

void mr_route_propose(void *context, struct mr_request *request)
{
    struct mr_helper *helper = helper_of(context, request);
    size_t length;
    if (helper && may_propose(context, request)) {
        const uint8_t *body = mr_request_body(request, &length);
        mr_helper_propose(helper, mr_request_identity(request)->hub_index, body, length, request);
    }
}

typedef void (*peer_fn)(struct mr_helper *helper, uint16_t from, uint64_t round,
                        const uint8_t *body, size_t length, void *token);

static void hand(struct mr_api *api, struct mr_request *request, peer_fn fn)
{
    struct mr_helper *helper = helper_of(api, request);
    uint64_t round;
    size_t length;
    if (helper && mr_routes_round(request, MR_PARAM_ROUND, &round)) {
        const uint8_t *body = mr_request_body(request, &length);
        fn(helper, mr_request_identity(request)->hub_index, round, body, length, request);
    }
}

void mr_route_draw(void *context, struct mr_request *request)
{
    hand(context, request, mr_helper_draw);
}

void mr_route_freeze(void *context, struct mr_request *request)
{
    hand(context, request, mr_helper_freeze);
}

void mr_route_open(void *context, struct mr_request *request)
{
    hand(context, request, mr_helper_open);
}

void mr_route_reveal(void *context, struct mr_request *request)
{
    hand(context, request, mr_helper_reveal);
}

void mr_route_void(void *context, struct mr_request *request)
{
    struct mr_helper *helper = helper_of(context, request);
    uint64_t round;
    size_t length;
    if (!helper || !mr_routes_round(request, MR_PARAM_ROUND, &round)) {
        return;
    }
    const uint8_t *body = mr_request_body(request, &length);
    struct mr_peer_void message;
    struct mr_error error;
    if (mr_peer_void_decode(&message, (const char *)body, length, &error) != 0) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST, "%.250s", error.text);
    } else {
        mr_helper_void(helper, mr_request_identity(request)->hub_index, round, &message, request);
    }
}

/* What is asked is beside the answer, as always. */
void mr_route_standing(void *context, struct mr_request *request)
{
    if (helper_of(context, request)) {
        const struct mr_api_task *task = mr_routes_task(context, request);
        mr_helper_driver_stand(task->helper, request);
    }
}
