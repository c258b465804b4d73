#include "appliance/api/routes.h"

#include <stdlib.h>

#include "appliance/api/routes_internal.h"
#include "wire/draw.h"
#include "wire/exchange.h"
#include "wire/safetensors.h"

#define DEVICE   MR_ROLE_BIT(MR_ROLE_DEVICE)
#define HUB      MR_ROLE_BIT(MR_ROLE_HUB)
#define OPERATOR MR_ROLE_BIT(MR_ROLE_OPERATOR)
/* Who may have what is released. */
#define RELEASES (DEVICE | HUB | OPERATOR | MR_ROLE_BIT(MR_ROLE_READER))

#define JSON   "application/json"
#define OCTETS "application/octet-stream"

/* Body bounds that depend on the configuration. */
enum bound {
    BOUND_NONE,
    BOUND_MESSAGE,
    BOUND_SEED,
    BOUND_SHARE,
    BOUND_LIST,
    BOUND_SET,
    BOUND_COMMITMENTS,
    BOUND_OPENINGS,
    BOUND_MODEL,
};

static const struct {
    const char *method, *path;
    uint32_t roles;
    enum bound bound;
    const char *content_type; /* NULL: no body */
    const char *query;        /* NULL: none */
    mr_handler_fn handler, progress;
} table[] = {
    {"GET", "/v1/tasks/{task}/rounds/current", DEVICE, BOUND_NONE, NULL, "after wait_ms",
     mr_route_current},
    {"GET", "/v1/tasks/{task}/rounds/{round}", DEVICE, BOUND_NONE, NULL, "wait_ms",
     mr_route_round_end},
    {"GET", "/v1/tasks/{task}/rounds/{round}/proof", DEVICE, BOUND_NONE, NULL, NULL,
     mr_route_proof},
    {"GET", "/v1/tasks/{task}/models/{hash}", RELEASES, BOUND_NONE, NULL, NULL, mr_route_model},
    {"POST", "/v1/tasks/{task}/rounds/{round}/uploads", DEVICE, BOUND_MESSAGE, JSON, NULL,
     mr_route_upload_request},
    {"PUT", "/v1/tasks/{task}/rounds/{round}/uploads/{upload}/share", DEVICE, BOUND_SHARE, OCTETS,
     NULL, mr_route_share, mr_route_share_progress},
    {"GET", "/v1/tasks/{task}/rounds/{round}/uploads/{upload}", DEVICE, BOUND_NONE, NULL, "wait_ms",
     mr_route_upload_status},
    {"GET", "/v1/tasks/{task}/releases/latest", RELEASES, BOUND_NONE, NULL,
     "after_round after_step wait_ms", mr_route_release},
    {"GET", "/v1/tasks/{task}/keys", DEVICE | HUB | OPERATOR, BOUND_NONE, NULL, "after",
     mr_route_keys},
    {"POST", "/v1/tasks/{task}/releases/{release}/{outcome}", DEVICE, BOUND_NONE, NULL, NULL,
     mr_route_release_outcome},
    {"GET", "/v1/tasks/{task}/deltas/{base}/{target}", RELEASES, BOUND_NONE, NULL, NULL,
     mr_route_delta},
    {"GET", "/v1/tasks/{task}/hubs", DEVICE | HUB | OPERATOR, BOUND_NONE, NULL, NULL,
     mr_route_hubs},
    {"POST", "/v1/tasks/{task}/rounds/{round}/seed", DEVICE, BOUND_SEED, OCTETS, NULL,
     mr_route_seed},
    {"POST", "/v1/tasks/{task}/peer/rounds", HUB, BOUND_MESSAGE, OCTETS, NULL, mr_route_propose},
    {"POST", "/v1/tasks/{task}/peer/rounds/{round}/draw", HUB, BOUND_LIST, OCTETS, NULL,
     mr_route_draw},
    {"POST", "/v1/tasks/{task}/peer/rounds/{round}/freeze", HUB, BOUND_SET, OCTETS, NULL,
     mr_route_freeze},
    {"POST", "/v1/tasks/{task}/peer/rounds/{round}/open", HUB, BOUND_COMMITMENTS, OCTETS, NULL,
     mr_route_open},
    {"POST", "/v1/tasks/{task}/peer/rounds/{round}/reveal", HUB, BOUND_OPENINGS, OCTETS, NULL,
     mr_route_reveal},
    {"POST", "/v1/tasks/{task}/peer/rounds/{round}/void", HUB, BOUND_MESSAGE, JSON, NULL,
     mr_route_void},
    {"GET", "/v1/tasks/{task}/peer/standing", HUB, BOUND_NONE, NULL, NULL, mr_route_standing},
    {"GET", "/metrics", OPERATOR, BOUND_NONE, NULL, NULL, mr_route_metrics},
    {"GET", "/v1/status", OPERATOR, BOUND_NONE, NULL, NULL, mr_route_status},
    {"GET", "/v1/budgets", OPERATOR, BOUND_NONE, NULL, NULL, mr_route_budgets},
    {"GET", "/v1/budgets/{pool}", OPERATOR, BOUND_NONE, NULL, "from", mr_route_budget},
    {"GET", "/v1/budgets/{pool}/{device}", OPERATOR, BOUND_NONE, NULL, NULL,
     mr_route_budget_device},
    {"GET", "/v1/tasks", OPERATOR, BOUND_NONE, NULL, NULL, mr_route_tasks},
    {"GET", "/v1/tasks/{task}", OPERATOR, BOUND_NONE, NULL, NULL, mr_route_task},
    {"GET", "/v1/tasks/{task}/admin/rounds", OPERATOR, BOUND_NONE, NULL, NULL, mr_route_admin_list},
    {"GET", "/v1/tasks/{task}/admin/rounds/{round}", OPERATOR, BOUND_NONE, NULL, "wait_ms",
     mr_route_admin_round},
    {"POST", "/v1/tasks/{task}/admin/rounds", OPERATOR, BOUND_MESSAGE, JSON, NULL,
     mr_route_admin_open},
    {"POST", "/v1/tasks/{task}/admin/rounds/{round}/void", OPERATOR, BOUND_MESSAGE, JSON, NULL,
     mr_route_admin_void},
    {"POST", "/v1/tasks/{task}/admin/resume", OPERATOR, BOUND_MESSAGE, JSON, NULL,
     mr_route_admin_resume},
    {"POST", "/v1/tasks/{task}/admin/go-on", OPERATOR, BOUND_NONE, NULL, NULL,
     mr_route_admin_go_on},
    {"POST", "/v1/tasks/{task}/admin/recover", OPERATOR, BOUND_MESSAGE, JSON, NULL,
     mr_route_admin_recover},
    {"GET", "/v1/tasks/{task}/admin/models", OPERATOR, BOUND_NONE, NULL, "most", mr_route_models},
    {"POST", "/v1/tasks/{task}/admin/models", OPERATOR, BOUND_MODEL, OCTETS, "accepted",
     mr_route_model_import},
    {"GET", "/v1/tasks/{task}/admin/models/{version}", OPERATOR, BOUND_NONE, NULL, NULL,
     mr_route_model_show},
    {"POST", "/v1/tasks/{task}/admin/models/{version}/promote", OPERATOR, BOUND_MESSAGE, JSON, NULL,
     mr_route_model_promote},
    {"POST", "/v1/tasks/{task}/admin/models/{version}/tag", OPERATOR, BOUND_MESSAGE, JSON, NULL,
     mr_route_model_tag},
    {"POST", "/v1/tasks/{task}/admin/models/{version}/rollback", OPERATOR, BOUND_MESSAGE, JSON,
     NULL, mr_route_model_rollback},
    {"POST", "/v1/tasks/{task}/admin/aliases/{alias}/drop", OPERATOR, BOUND_NONE, NULL, NULL,
     mr_route_alias_drop},
    {"POST", "/v1/tasks/{task}/admin/keys", OPERATOR, BOUND_MESSAGE, OCTETS, NULL,
     mr_route_admin_keys},
    {"GET", "/v1/tasks/{task}/admin/releases", OPERATOR, BOUND_NONE, NULL, "most",
     mr_route_releases},
    {"POST", "/v1/tasks/{task}/admin/releases/hold", OPERATOR, BOUND_NONE, NULL, NULL,
     mr_route_release_hold},
    {"POST", "/v1/tasks/{task}/admin/releases/go-on", OPERATOR, BOUND_NONE, NULL, NULL,
     mr_route_release_go_on},
    {"POST", "/v1/tasks/{task}/admin/releases/withdraw", OPERATOR, BOUND_NONE, NULL, NULL,
     mr_route_release_withdraw},
    {"POST", "/v1/tasks/{task}/admin/store/verify", OPERATOR, BOUND_NONE, NULL, NULL,
     mr_route_model_verify},
    {"POST", "/v1/tasks/{task}/admin/store/gc", OPERATOR, BOUND_NONE, NULL, NULL,
     mr_route_model_gc},
};

/* The largest cohort over all tasks; one task's own is its round's business. */
static uint32_t cohort_max(const struct mr_hub_config *config)
{
    uint32_t most = 0;
    for (unsigned i = 0; i < config->tasks_count; i++) {
        const uint32_t cohort = config->tasks[i].round.cohort_max;
        if (cohort == 0) {
            return mr_quantiser_cohort_max(32, MR_LEVELS_MAX, 1);
        }
        most = cohort > most ? cohort : most;
    }
    return most;
}

/* The most devices that a round of any task admits, as far as its configuration says. */
static uint32_t admitted_max(const struct mr_hub_config *config)
{
    uint32_t most = cohort_max(config);
    for (unsigned i = 0; i < config->tasks_count; i++) {
        const uint32_t admitted = config->tasks[i].round.admitted_max;
        most = admitted > most ? admitted : most;
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
        return MR_SEED_REQUEST_BYTES;
    case BOUND_SHARE:
        return share;
    case BOUND_LIST:
        return mr_draw_list_bytes(MR_HUBS_MAX, admitted_max(config));
    case BOUND_SET:
        return 4 + (size_t)cohort_max(config) * MR_INCLUDED_BYTES + MR_COMMITMENT_BYTES +
               MR_HUBS_MAX * (size_t)MR_DRAW_VALUE_BYTES;
    case BOUND_COMMITMENTS:
        return 1 + MR_HUBS_MAX * MR_COMMITMENT_BYTES;
    case BOUND_OPENINGS:
        return 1 + MR_HUBS_MAX * (MR_NONCE_BYTES + MR_WATERMARK_KEY_BYTES + share);
    case BOUND_MODEL: /* a lane has two bytes at least, a value four, and the header its own bound
                       */
        return 2 * share + MR_SAFETENSORS_HEADER_MAX + 8;
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
                                      .query = table[i].query,
                                      .content_type = table[i].content_type,
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
