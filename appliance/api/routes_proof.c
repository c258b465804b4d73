/* routes_proof.c - a device asks what this hub counted of it. */
#include <inttypes.h>

#include "appliance/api/routes_internal.h"
#include "appliance/round/drive/audit_shelf.h"

void mr_route_proof(void *context, struct mr_request *request)
{
    const struct mr_api_task *task = mr_routes_task(context, request);
    struct mr_audit_proof proof;
    uint64_t round;
    if (!task || !mr_routes_round(request, MR_PARAM_ROUND, &round)) {
        return;
    }
    const struct mr_audit_shelf *shelf =
        task->lead ? mr_lead_driver_shelf(task->lead) : mr_helper_driver_shelf(task->helper);
    switch (mr_audit_shelf_prove(shelf, round, mr_request_identity(request)->client_id, &proof)) {
    case 0:
        mr_routes_answer_text(request, 200, mr_audit_proof_encode(&proof));
        break;
    case 1:
        mr_routes_refuse_as(request, MR_REFUSAL_NO_ROUND,
                            "there is nothing to prove of round %" PRIu64
                            " here: it has no audit_hours, or made no model, or is older than the "
                            "last two that have",
                            round);
        break;
    default:
        mr_routes_refuse_as(request, MR_REFUSAL_NOT_FOUND,
                            "this device is not in the set of round %" PRIu64, round);
    }
}
