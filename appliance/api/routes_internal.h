/* routes_internal.h - what the handlers share, and the handlers that the table names. From below:
 * answers.c, parameters.c (these refuse), routes_*.c (the handlers), routes.c (the table). */
#ifndef MR_API_ROUTES_INTERNAL_H
#define MR_API_ROUTES_INTERNAL_H

#include <jansson.h>

#include "appliance/api/api.h"
#include "appliance/http/server.h"
#include "wire/refusal.h"

/* --- answers --------------------------------------------------------------------------------- */
void mr_routes_refuse(struct mr_request *request, const struct mr_refusal *refusal);
void mr_routes_refuse_as(struct mr_request *request, enum mr_refusal_code code, const char *format,
                         ...) __attribute__((format(printf, 3, 4)));
/* Answers `status` with a malloc'd JSON text, which it takes over (NULL: internal). */
void mr_routes_answer_text(struct mr_request *request, int status, char *text);
/* Answers 200 with the object, whose reference it takes over (NULL: internal). */
void mr_routes_answer_json(struct mr_request *request, json_t *object);

/* --- parameters ------------------------------------------------------------------------------ */
/* Where in a path the parameters stand. */
enum {
    MR_PARAM_TASK = 0,
    MR_PARAM_ROUND = 1,
    MR_PARAM_MODEL = 1,
    MR_PARAM_BASE = 1,
    MR_PARAM_TARGET = 2,
    MR_PARAM_RELEASE = 1,
    MR_PARAM_OUTCOME = 2,
    MR_PARAM_UPLOAD = 2,
    MR_PARAM_POOL = 0, /* of a budget */
    MR_PARAM_DEVICE = 1,
};
/* The task that the path names; refuses and returns NULL if this hub serves none of that name. */
struct mr_api_task *mr_routes_task(struct mr_api *api, struct mr_request *request);
/* Likewise, and also where this hub does not lead it, or is older than itself in it. */
struct mr_api_task *mr_routes_led_task(struct mr_api *api, struct mr_request *request);
/* Path parameter i as a number without leading zeros, or as 16 hex digits. Refuses and returns
 * false if it is none. */
bool mr_routes_round(struct mr_request *request, unsigned i, uint64_t *round);

/* The rounds that the task's driver, lead or helper, has in mind. */
const struct mr_round_history *mr_routes_history(const struct mr_api_task *task);
enum mr_routes_seen {
    MR_ROUTES_ROUND,   /* *summary is the round's */
    MR_ROUTES_WAIT,    /* it is under way, and the request may wait longer */
    MR_ROUTES_REFUSED, /* nobody knows of it; the request is answered */
};
/* The round that the path names, from memory or from its record, once it has ended or the waiting
 * is over (`expired`). */
enum mr_routes_seen mr_routes_see_round(const struct mr_api_task *task, struct mr_request *request,
                                        bool expired, struct mr_round_summary *summary);
bool mr_routes_upload(struct mr_request *request, unsigned i, uint64_t *upload_id);
/* Path parameter i as a model's hash; refuses and returns false likewise. */
bool mr_routes_hash(struct mr_request *request, unsigned i, uint8_t hash[MR_HASH_BYTES]);
/* The same, refusing nothing. */
bool mr_routes_parse_round(const struct mr_request *request, unsigned i, uint64_t *round);
bool mr_routes_parse_upload(const struct mr_request *request, unsigned i, uint64_t *upload_id);

/* routes_budget.c: of all pools. */
void mr_routes_budget_metrics(const struct mr_api *api, struct mr_metrics *metrics);

/* routes_rollout.c: of every task's newest release. */
void mr_routes_rollout_metrics(const struct mr_api *api, struct mr_metrics *metrics);

/* --- handlers; the context is a struct mr_api ------------------------------------------------- */
#define MR_HANDLER(name) void name(void *context, struct mr_request *request)
MR_HANDLER(mr_route_current);
MR_HANDLER(mr_route_round_end);
MR_HANDLER(mr_route_proof);
MR_HANDLER(mr_route_model);
MR_HANDLER(mr_route_hubs);
MR_HANDLER(mr_route_release);
MR_HANDLER(mr_route_release_outcome);
MR_HANDLER(mr_route_keys);
MR_HANDLER(mr_route_admin_keys);
MR_HANDLER(mr_route_releases);
MR_HANDLER(mr_route_release_hold);
MR_HANDLER(mr_route_admin_go_on);
MR_HANDLER(mr_route_release_go_on);
MR_HANDLER(mr_route_release_withdraw);
MR_HANDLER(mr_route_delta);
MR_HANDLER(mr_route_upload_request);
MR_HANDLER(mr_route_share);
MR_HANDLER(mr_route_share_progress);
MR_HANDLER(mr_route_upload_status);
MR_HANDLER(mr_route_seed);
MR_HANDLER(mr_route_propose);
MR_HANDLER(mr_route_draw);
MR_HANDLER(mr_route_freeze);
MR_HANDLER(mr_route_open);
MR_HANDLER(mr_route_reveal);
MR_HANDLER(mr_route_void);
MR_HANDLER(mr_route_standing);
MR_HANDLER(mr_route_budgets);
MR_HANDLER(mr_route_budget);
MR_HANDLER(mr_route_budget_device);
MR_HANDLER(mr_route_metrics);
MR_HANDLER(mr_route_status);
MR_HANDLER(mr_route_tasks);
MR_HANDLER(mr_route_task);
MR_HANDLER(mr_route_admin_list);
MR_HANDLER(mr_route_admin_round);
MR_HANDLER(mr_route_admin_open);
MR_HANDLER(mr_route_admin_void);
MR_HANDLER(mr_route_admin_resume);
MR_HANDLER(mr_route_admin_recover);
MR_HANDLER(mr_route_models);
MR_HANDLER(mr_route_model_show);
MR_HANDLER(mr_route_model_verify);
MR_HANDLER(mr_route_model_gc);
MR_HANDLER(mr_route_model_promote);
MR_HANDLER(mr_route_model_tag);
MR_HANDLER(mr_route_alias_drop);
MR_HANDLER(mr_route_model_rollback);
MR_HANDLER(mr_route_model_import);

#endif
