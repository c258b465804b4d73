/* routes_budget.c - what devices have spent of their privacy, as the hub's ledger says. Rho is an
 * integer in 2^-40, as it is stored; epsilon is made of it for reading. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/api/routes_internal.h"
#include "appliance/round/drive/wall_clock.h"
#include "appliance/task/budget.h"
#include "appliance/task/released.h"
#include "base/bytes.h"
#include "base/json_text.h"
#include "wire/epsilon.h"

#define PAGE_DEVICES 10000u

static double epsilon_of(const struct mr_budget_pool *pool, uint64_t rho)
{
    return mr_epsilon_of(rho, (double)pool->delta, pool->noise_kind);
}

static uint64_t left_of(const struct mr_budget_pool *pool, uint64_t spent)
{
    return spent < pool->budget ? pool->budget - spent : 0;
}

/* The members of `spent` are those of the device that has spent most. */
static json_t *pool_json(const struct mr_budget_pool *pool)
{
    const uint64_t most = mr_budget_most(pool);
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "pool", mr_json_text(pool->name),
                     "devices", (json_int_t)pool->count, "budget", (json_int_t)pool->budget,
                     "spent_most", (json_int_t)most, "left_least", (json_int_t)left_of(pool, most),
                     "epsilon_budget", mr_json_real(epsilon_of(pool, pool->budget)), "epsilon_most",
                     mr_json_real(epsilon_of(pool, most)), "delta",
                     mr_json_real((double)pool->delta));
}

/* The pools as of now, or -1 with the request refused. */
static int pools_of(const struct mr_api *api, struct mr_request *request,
                    const struct mr_budget_pool **pools)
{
    struct mr_error error;
    const int count = mr_released_pools(api->released, mr_round_unix_ms(), pools, &error);
    if (count < 0) {
        mr_routes_refuse_as(request, MR_REFUSAL_INTERNAL, "%.250s", error.text);
    }
    return count;
}

/* The one that the path names; NULL with the request refused. */
static const struct mr_budget_pool *pool_of(const struct mr_api *api, struct mr_request *request)
{
    const struct mr_budget_pool *pools;
    const char *name = mr_request_param(request, MR_PARAM_POOL);
    const int count = pools_of(api, request, &pools);
    for (int i = 0; i < count; i++) {
        if (strcmp(pools[i].name, name) == 0) {
            return &pools[i];
        }
    }
    if (count >= 0) {
        mr_routes_refuse_as(request, MR_REFUSAL_NOT_FOUND, "nothing was ever spent in pool %.40s",
                            name);
    }
    return NULL;
}

void mr_route_budgets(void *context, struct mr_request *request)
{
    const struct mr_budget_pool *pools;
    const int count = pools_of(context, request, &pools);
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        json_array_append_new(list, pool_json(&pools[i]));
    }
    if (count >= 0) {
        mr_routes_answer_json(request, json_pack("{s:O}", "pools", list));
    }
    json_decref(list);
}

static json_t *device_json(const uint8_t client_id[MR_CLIENT_ID_BYTES], uint64_t spent)
{
    char hex[2 * MR_CLIENT_ID_BYTES + 1];
    mr_hex_encode(hex, client_id, MR_CLIENT_ID_BYTES);
    return json_pack("{s:o, s:I}", "device", mr_json_text(hex), "spent", (json_int_t)spent);
}

/* So many devices, in the order of their ids, from number `from` on; `next` where there are more.
 */
void mr_route_budget(void *context, struct mr_request *request)
{
    const struct mr_budget_pool *pool = pool_of(context, request);
    if (!pool) {
        return;
    }
    const uint64_t from = mr_request_query(request, "from", 0);
    json_t *object = pool_json(pool), *devices = json_array();
    uint64_t at = from < pool->count ? from : pool->count;
    for (unsigned i = 0; i < PAGE_DEVICES && at < pool->count; i++, at++) {
        json_array_append_new(devices,
                              device_json(pool->entries[at].client_id, pool->entries[at].spent));
    }
    json_object_set_new(object, "list", devices);
    if (at < pool->count) {
        json_object_set_new(object, "next", json_integer((json_int_t)at));
    }
    mr_routes_answer_json(request, object);
}

void mr_route_budget_device(void *context, struct mr_request *request)
{
    uint8_t client_id[MR_CLIENT_ID_BYTES];
    const char *hex = mr_request_param(request, MR_PARAM_DEVICE);
    if (strspn(hex, "0123456789abcdef") != 2 * MR_CLIENT_ID_BYTES ||
        mr_hex_decode(client_id, MR_CLIENT_ID_BYTES, hex) != 0) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST, "a device is %d lower-case hex digits",
                            2 * MR_CLIENT_ID_BYTES);
        return;
    }
    const struct mr_budget_pool *pool = pool_of(context, request);
    if (!pool) {
        return;
    }
    uint32_t at = 0;
    const uint64_t spent = mr_budget_spent_next(pool, &at, client_id);
    json_t *object = device_json(client_id, spent);
    json_object_set_new(object, "pool", mr_json_text(pool->name));
    json_object_set_new(object, "budget", json_integer((json_int_t)pool->budget));
    json_object_set_new(object, "left", json_integer((json_int_t)left_of(pool, spent)));
    json_object_set_new(object, "epsilon", mr_json_real(epsilon_of(pool, spent)));
    json_object_set_new(object, "epsilon_budget", mr_json_real(epsilon_of(pool, pool->budget)));
    json_object_set_new(object, "delta", mr_json_real((double)pool->delta));
    mr_routes_answer_json(request, object);
}

/* --- metrics --------------------------------------------------------------------------------- */

static void gauge(struct mr_metrics *metrics, const struct mr_budget_pool *pools, int count,
                  const char *name, const char *text,
                  double (*value)(const struct mr_budget_pool *pool))
{
    mr_metrics_family(metrics, name, "gauge", text);
    for (int i = 0; i < count; i++) {
        char labels[MR_TASK_NAME_MAX + 16];
        snprintf(labels, sizeof labels, "pool=\"%s\"", pools[i].name);
        mr_metrics_sample(metrics, name, labels, value(&pools[i]));
    }
}

static double spent_rho(const struct mr_budget_pool *pool)
{
    return mr_rho_value(mr_budget_most(pool));
}

static double budget_rho(const struct mr_budget_pool *pool)
{
    return mr_rho_value(pool->budget);
}

static double spent_epsilon(const struct mr_budget_pool *pool)
{
    return epsilon_of(pool, mr_budget_most(pool));
}

static double pool_devices(const struct mr_budget_pool *pool)
{
    return pool->count;
}

void mr_routes_budget_metrics(const struct mr_api *api, struct mr_metrics *metrics)
{
    const struct mr_budget_pool *pools;
    struct mr_error error;
    const int count = mr_released_pools(api->released, mr_round_unix_ms(), &pools, &error);
    gauge(metrics, pools, count, "millrace_budget_spent_rho",
          "What the device that has spent most has spent in the pool, in rho (zCDP).", spent_rho);
    gauge(metrics, pools, count, "millrace_budget_rho",
          "What a device may spend in the pool, by the newest round, in rho.", budget_rho);
    gauge(metrics, pools, count, "millrace_budget_spent_epsilon",
          "What the device that has spent most has spent in the pool, as epsilon at the pool's "
          "delta.",
          spent_epsilon);
    gauge(metrics, pools, count, "millrace_budget_devices",
          "Devices that have ever spent in the pool.", pool_devices);
}
