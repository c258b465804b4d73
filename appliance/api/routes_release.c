/* routes_release.c - releases and deltas, at any hub: what a device that only wants the newest
 * model asks. */
#include <openssl/sha.h>
#include <string.h>
#include <time.h>

#include "appliance/api/routes_internal.h"
#include "appliance/task/next_keys.h"
#include "base/bytes.h"

/* --- the newest release ----------------------------------------------------------------------- */

static void answer_release(struct mr_request *request, const uint8_t *bytes, size_t length)
{
    uint8_t hash[MR_HASH_BYTES];
    char tag[2 * MR_HASH_BYTES + 1];
    SHA256(bytes, length, hash);
    mr_hex_encode(tag, hash, sizeof hash);
    mr_request_validator(request, tag, false);
    mr_request_answer(request, 200, "application/octet-stream", bytes, length);
}

/* Who asks for releases need not ask for next keys where there are none. */
static void tell_next_key(struct mr_request *request, const struct mr_task *task)
{
    uint32_t last;
    if (mr_next_keys_last(task, &last, NULL) == 0) {
        mr_request_next_key(request, last);
    }
}

/* One above the version that the query names; without that, any. */
static bool try_release(void *context, struct mr_request *request, bool expired)
{
    const struct mr_api_task *task = context;
    struct mr_release_version version;
    size_t length;
    const struct mr_release_version after = {
        .round = mr_request_query(request, "after_round", 0),
        .step = (uint32_t)mr_request_query(request, "after_step", 0),
    };
    const struct mr_identity *who = mr_request_identity(request);
    const uint8_t *client_id = who->role == MR_ROLE_DEVICE ? who->client_id : NULL;
    const uint8_t *bytes =
        task->releases ? mr_releases_latest(task->releases, client_id, &length, &version) : NULL;
    if (bytes && mr_release_version_compare(&version, &after) > 0) {
        tell_next_key(request, &task->task);
        answer_release(request, bytes, length);
        return true;
    }
    if (expired) {
        tell_next_key(request, &task->task);
        mr_request_answer(request, 204, NULL, NULL, 0);
    }
    return expired;
}

void mr_route_release(void *context, struct mr_request *request)
{
    struct mr_api_task *task = mr_routes_task(context, request);
    if (task) {
        mr_long_poll_try(task->polls, request, try_release);
    }
}

/* --- how it went on a device ------------------------------------------------------------------ */

static void on_heard(void *token, const struct mr_refusal *refusal, json_t *answer)
{
    json_decref(answer);
    if (refusal) {
        mr_routes_refuse(token, refusal);
    } else {
        mr_request_answer(token, 204, NULL, NULL, 0);
    }
}

void mr_route_release_outcome(void *context, struct mr_request *request)
{
    const struct mr_api_task *task = mr_routes_task(context, request);
    uint8_t release[MR_HASH_BYTES];
    enum mr_release_outcome outcome;
    if (!task || !mr_routes_hash(request, MR_PARAM_RELEASE, release)) {
        return;
    }
    if (!mr_release_outcome_find(&outcome, mr_request_param(request, MR_PARAM_OUTCOME))) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST,
                            "an outcome is kept, went-back or failed");
    } else if (!task->releases) {
        mr_routes_refuse_as(request, MR_REFUSAL_NOT_FOUND, "this hub makes no releases");
    } else {
        mr_rollouts_hear(mr_releases_rollouts(task->releases), release,
                         mr_request_identity(request)->client_id, outcome, (uint64_t)time(NULL),
                         on_heard, request);
    }
}

/* --- deltas ------------------------------------------------------------------------------------
 */

static void give_back(void *context)
{
    mr_delta_kept_return(context);
}

static void answer_delta(void *context, void *token, struct mr_delta_kept *kept, const char *why)
{
    struct mr_request *request = token;
    size_t length;
    (void)context;
    if (!kept) {
        mr_routes_refuse_as(request, MR_REFUSAL_NOT_FOUND, "%.200s: take the whole model", why);
        return;
    }
    const uint8_t *bytes = mr_delta_kept_bytes(kept, &length);
    mr_request_validator(request, mr_delta_kept_tag(kept), true);
    mr_request_answer_borrowed(request, 200, "application/octet-stream", bytes, length, give_back,
                               kept);
}

void mr_route_delta(void *context, struct mr_request *request)
{
    const struct mr_api_task *task = mr_routes_task(context, request);
    uint8_t base[MR_HASH_BYTES], target[MR_HASH_BYTES];
    if (!task || !mr_routes_hash(request, MR_PARAM_BASE, base) ||
        !mr_routes_hash(request, MR_PARAM_TARGET, target)) {
        return;
    }
    if (!task->releases) {
        mr_routes_refuse_as(request, MR_REFUSAL_NOT_FOUND, "this hub makes no deltas");
    } else {
        mr_deltas_ask(mr_releases_deltas(task->releases), base, target, answer_delta, NULL,
                      request);
    }
}
