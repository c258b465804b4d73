#include "appliance/task/budget.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

void mr_budget_fini(struct mr_budget *budget)
{
    for (unsigned i = 0; i < budget->count; i++) {
        free(budget->pools[i].entries);
    }
    free(budget->pools);
    *budget = (struct mr_budget){.count = 0};
}

struct mr_budget_pool *mr_budget_find(const struct mr_budget *budget, const char *name)
{
    for (unsigned i = 0; i < budget->count; i++) {
        if (strcmp(budget->pools[i].name, name) == 0) {
            return &budget->pools[i];
        }
    }
    return NULL;
}

static struct mr_budget_pool *find_or_make(struct mr_budget *budget, const char *name)
{
    struct mr_budget_pool *pool = mr_budget_find(budget, name);
    if (pool) {
        return pool;
    }
    struct mr_budget_pool *pools =
        realloc(budget->pools, (budget->count + 1) * sizeof *budget->pools);
    if (!pools) {
        return NULL;
    }
    budget->pools = pools;
    pool = &pools[budget->count++];
    *pool = (struct mr_budget_pool){.count = 0};
    snprintf(pool->name, sizeof pool->name, "%s", name);
    return pool;
}

/* --- the sums of a pool ---------------------------------------------------------------------- */

static const uint8_t *client_at(const uint8_t *clients, uint32_t i)
{
    return clients + (size_t)i * MR_CLIENT_ID_BYTES;
}

static bool is_below(const struct mr_budget_pool *pool, uint32_t at, const uint8_t *client)
{
    return memcmp(pool->entries[at].client_id, client, MR_CLIENT_ID_BYTES) < 0;
}

/* Where the client is if ids are spread evenly between the entry at `at` and the last, as those are
 * that an enrolment draws: what it costs to be wrong is time alone. */
static uint32_t guess(const struct mr_budget_pool *pool, uint32_t at, const uint8_t *client)
{
    const uint32_t span = pool->count - 1 - at;
    const uint64_t first = mr_be64_get(pool->entries[at].client_id), wanted = mr_be64_get(client),
                   last = mr_be64_get(pool->entries[at + span].client_id);
    if (wanted <= first) {
        return at;
    }
    return wanted >= last
               ? at + span
               : at + (uint32_t)(span * ((double)(wanted - first) / (double)(last - first)));
}

/* What is left to look at: entries before `low` are below the client, those from `high` on are not.
 */
struct range {
    uint32_t low, high;
};

/* From a guess on in steps that double, up or down. */
static struct range near(const struct mr_budget_pool *pool, uint32_t at, const uint8_t *client)
{
    struct range range = {at, pool->count};
    uint32_t place = guess(pool, at, client), step = 1;
    if (is_below(pool, place, client)) {
        range.low = place + 1;
        while (step < pool->count - place && is_below(pool, place + step, client)) {
            place += step;
            range.low = place + 1;
            step *= 2;
        }
        range.high = step < pool->count - place ? place + step : pool->count;
        return range;
    }
    range.high = place;
    while (step <= place - at && !is_below(pool, place - step, client)) {
        place -= step;
        range.high = place;
        step *= 2;
    }
    range.low = step <= place - at ? place - step + 1 : at;
    return range;
}

/* The first entry from `at` on that is not below the client. */
static uint32_t seek(const struct mr_budget_pool *pool, uint32_t at, const uint8_t *client)
{
    if (at >= pool->count) {
        return at;
    }
    struct range range = near(pool, at, client);
    while (range.low < range.high) {
        const uint32_t middle = range.low + (range.high - range.low) / 2;
        if (is_below(pool, middle, client)) {
            range.low = middle + 1;
        } else {
            range.high = middle;
        }
    }
    return range.low;
}

/* The client's entry, or NULL; *at moves on. */
static struct mr_budget_entry *next_entry(const struct mr_budget_pool *pool, uint32_t *at,
                                          const uint8_t *client)
{
    *at = seek(pool, *at, client);
    return *at < pool->count &&
                   memcmp(pool->entries[*at].client_id, client, MR_CLIENT_ID_BYTES) == 0
               ? &pool->entries[*at]
               : NULL;
}

/* Saturates: what is full stays so. */
static void spend(struct mr_budget_entry *entry, uint64_t rho)
{
    entry->spent = rho > UINT64_MAX - entry->spent ? UINT64_MAX : entry->spent + rho;
}

static int reserve(struct mr_budget_pool *pool, uint32_t more)
{
    if (more <= pool->capacity - pool->count) {
        return 0;
    }
    const uint64_t needed = (uint64_t)pool->count + more, capacity = needed + needed / 8;
    struct mr_budget_entry *entries =
        capacity <= UINT32_MAX ? realloc(pool->entries, capacity * sizeof *entries) : NULL;
    if (!entries) {
        return -1;
    }
    pool->entries = entries;
    pool->capacity = (uint32_t)capacity;
    return 0;
}

/* Merges those that have no entry yet into their places, from the end on. */
static void merge(struct mr_budget_pool *pool, const uint8_t *clients, uint32_t count,
                  uint32_t fresh, uint64_t rho)
{
    uint32_t from = pool->count, to = pool->count + fresh;
    pool->count = to;
    while (count > 0) {
        const uint8_t *client = client_at(clients, count - 1);
        const int order =
            from > 0 ? memcmp(pool->entries[from - 1].client_id, client, MR_CLIENT_ID_BYTES) : -1;
        if (order > 0) {
            pool->entries[--to] = pool->entries[--from];
            continue;
        }
        count--;
        if (order == 0) {
            pool->entries[--to] = pool->entries[--from];
            spend(&pool->entries[to], rho);
            continue;
        }
        struct mr_budget_entry *entry = &pool->entries[--to];
        memcpy(entry->client_id, client, MR_CLIENT_ID_BYTES);
        entry->spent = rho;
    }
    MR_ASSERT(from == to);
}

int mr_budget_add(struct mr_budget *budget, const char *name, const uint8_t *clients,
                  uint32_t count, uint64_t rho)
{
    struct mr_budget_pool *pool = find_or_make(budget, name);
    uint32_t fresh = 0, at = 0;
    for (uint32_t i = 0; pool && i < count; i++) {
        fresh += next_entry(pool, &at, client_at(clients, i)) == NULL;
    }
    if (!pool || reserve(pool, fresh) != 0) {
        return -1;
    }
    if (fresh > 0) {
        merge(pool, clients, count, fresh, rho);
        return 0;
    }
    at = 0;
    for (uint32_t i = 0; i < count; i++) {
        spend(next_entry(pool, &at, client_at(clients, i)), rho);
    }
    return 0;
}

void mr_budget_return(struct mr_budget *budget, const char *name, const uint8_t *clients,
                      uint32_t count, uint64_t rho)
{
    struct mr_budget_pool *pool = mr_budget_find(budget, name);
    uint32_t at = 0;
    for (uint32_t i = 0; pool && i < count; i++) {
        struct mr_budget_entry *entry = next_entry(pool, &at, client_at(clients, i));
        if (entry && entry->spent != UINT64_MAX) {
            MR_ASSERT(entry->spent >= rho);
            entry->spent -= rho;
        }
    }
}

uint64_t mr_budget_spent(const struct mr_budget *budget, const char *name,
                         const uint8_t client_id[MR_CLIENT_ID_BYTES])
{
    const struct mr_budget_pool *pool = mr_budget_find(budget, name);
    uint32_t at = 0;
    return pool ? mr_budget_spent_next(pool, &at, client_id) : 0;
}

uint64_t mr_budget_spent_next(const struct mr_budget_pool *pool, uint32_t *at,
                              const uint8_t client_id[MR_CLIENT_ID_BYTES])
{
    const struct mr_budget_entry *entry = next_entry(pool, at, client_id);
    return entry ? entry->spent : 0;
}

uint64_t mr_budget_most(const struct mr_budget_pool *pool)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < pool->count; i++) {
        most = pool->entries[i].spent > most ? pool->entries[i].spent : most;
    }
    return most;
}
