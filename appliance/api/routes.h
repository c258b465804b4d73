/* routes.h - what a hub answers: one table. Paths, bodies and refusals:
 * docs/wire-format.md, "Control plane". */
#ifndef MR_API_ROUTES_H
#define MR_API_ROUTES_H

#include "appliance/api/api.h"
#include "appliance/http/server.h"
#include "wire/refusal.h"

/* Makes the table with the body bounds that the configuration asks for; malloc'd. NULL: out of
 * memory. The handlers' context is a struct mr_api. */
struct mr_route *mr_routes_new(const struct mr_hub_config *config, unsigned *count);

/* The same bounds for another configuration, in place. */
void mr_routes_bound(struct mr_route *routes, const struct mr_hub_config *config);

/* What happens to requests for an upload that are held; the context is a struct mr_api. */
extern const struct mr_held_ops mr_routes_held_ops;

/* The ends of the round's kept requests. The context is a struct mr_api_task. */
void mr_routes_admitted(void *context, void *token, const struct mr_upload_grant *grant);
void mr_routes_refused(void *context, void *token, const struct mr_refusal *refusal);
void mr_routes_answered(void *context, void *token, bool json, const void *body, size_t length);
void mr_routes_changed(void *context);
void mr_routes_resumed(void *context, void *token, const uint8_t *model_hash);
void mr_routes_recovered(void *context, void *token, const struct mr_recovered *recovered,
                         bool halted);

#endif
