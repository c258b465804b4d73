/* routes.h - what a hub answers: one table, thin handlers. Paths, bodies and refusals:
 * docs/wire-format.md, "Control plane". */
#ifndef MR_API_ROUTES_H
#define MR_API_ROUTES_H

#include <jansson.h>

#include "appliance/api/api.h"
#include "appliance/http/server.h"
#include "wire/refusal.h"

/* Makes the table with the body bounds that the configuration asks for; malloc'd. NULL: out of
 * memory. The handlers' context is a struct mr_api. */
struct mr_route *mr_routes_new(const struct mr_hub_config *config, unsigned *count);

/* The same bounds for another configuration, in place. */
void mr_routes_bound(struct mr_route *routes, const struct mr_hub_config *config);

/* The ends of the round's kept requests. The context is a struct mr_api_task. */
void mr_routes_admitted(void *context, void *token, const struct mr_upload_grant *grant);
void mr_routes_refused(void *context, void *token, const struct mr_refusal *refusal);
void mr_routes_answered(void *context, void *token, bool json, const void *body, size_t length);
void mr_routes_changed(void *context);

/* --- shared by the handlers ------------------------------------------------------------------ */
void mr_routes_refuse(struct mr_request *request, const struct mr_refusal *refusal);
void mr_routes_refuse_as(struct mr_request *request, enum mr_refusal_code code, const char *format,
                         ...) __attribute__((format(printf, 3, 4)));
/* Answers 200 with a malloc'd JSON text, which it takes over (NULL: internal). */
void mr_routes_answer_text(struct mr_request *request, int status, char *text);
/* The task that the path names; refuses and returns NULL if this hub serves none of that name. */
struct mr_api_task *mr_routes_task(struct mr_api *api, struct mr_request *request);
/* Answers 200 with the object, whose reference it takes over (NULL: internal). */
void mr_routes_answer_json(struct mr_request *request, json_t *object);
/* Where in a path the parameters stand. */
enum {
    MR_PARAM_ROUND = 1,
    MR_PARAM_MODEL = 1,
    MR_PARAM_UPLOAD = 2,
};
/* Path parameter i as a number without leading zeros, or as 16 hex digits. Refuses and returns
 * false if it is none. */
bool mr_routes_round(struct mr_request *request, unsigned i, uint64_t *round);
bool mr_routes_upload(struct mr_request *request, unsigned i, uint64_t *upload_id);
/* The same, refusing nothing. */
bool mr_routes_parse_round(const struct mr_request *request, unsigned i, uint64_t *round);
bool mr_routes_parse_upload(const struct mr_request *request, unsigned i, uint64_t *upload_id);

#define MR_HANDLER(name) void name(void *context, struct mr_request *request)
MR_HANDLER(mr_route_current);
MR_HANDLER(mr_route_model);
MR_HANDLER(mr_route_upload_request);
MR_HANDLER(mr_route_share);
MR_HANDLER(mr_route_share_progress);
MR_HANDLER(mr_route_upload_status);
MR_HANDLER(mr_route_seed);
MR_HANDLER(mr_route_propose);
MR_HANDLER(mr_route_freeze);
MR_HANDLER(mr_route_open);
MR_HANDLER(mr_route_reveal);
MR_HANDLER(mr_route_void);
MR_HANDLER(mr_route_metrics);
MR_HANDLER(mr_route_status);
MR_HANDLER(mr_route_tasks);
MR_HANDLER(mr_route_task);
MR_HANDLER(mr_route_admin_list);
MR_HANDLER(mr_route_admin_round);
MR_HANDLER(mr_route_admin_open);

#endif
