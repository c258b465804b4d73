/* released_budget.c - what the devices of released sets have spent. */
#include <stdlib.h>
#include <string.h>

#include "appliance/task/released_internal.h"
#include "base/assert.h"

#define MS_OF_SECOND UINT64_C(1000)

/* --- horizons -------------------------------------------------------------------------------- */

static int watch(struct mr_released *ledger, const struct mr_budget_debit *debit, uint64_t offset,
                 size_t length, struct mr_error *error)
{
    const uint64_t horizon_ms = debit->horizon_s * MS_OF_SECOND;
    if (debit->horizon_s == 0 || debit->unix_ms > UINT64_MAX - horizon_ms) {
        return 0; /* it counts for ever */
    }
    if (ledger->expiring_count == ledger->expiring_capacity) {
        const size_t capacity = 2 * ledger->expiring_capacity + 64;
        struct expiring *list = realloc(ledger->expiring, capacity * sizeof *list);
        if (!list) {
            return mr_error_set(error, "out of memory for %zu debits with a horizon", capacity);
        }
        ledger->expiring = list;
        ledger->expiring_capacity = capacity;
    }
    ledger->expiring[ledger->expiring_count++] =
        (struct expiring){debit->unix_ms + horizon_ms, offset, (uint32_t)length};
    return 0;
}

static int give_back(struct mr_released *ledger, const struct expiring *debit,
                     struct mr_error *error)
{
    struct mr_released_record record;
    uint8_t *bytes = malloc(debit->length);
    if (!bytes) {
        return mr_error_set(error, "out of memory for a released set");
    }
    const int result = mr_chain_read(mr_disk_file_ops(ledger->read), MR_RELEASED_NAME,
                                     debit->offset, bytes, debit->length, error) != 0 ||
                               mr_released_record_parse(&record, bytes, debit->length, error) != 0
                           ? -1
                           : 0;
    if (result == 0) {
        mr_budget_return(&ledger->budget, record.debit.pool, record.clients, record.count,
                         record.debit.rho);
    }
    free(bytes);
    return result;
}

int mr_released_expire(struct mr_released *ledger, uint64_t unix_ms, struct mr_error *error)
{
    for (size_t i = 0; i < ledger->expiring_count;) {
        if (ledger->expiring[i].until_ms > unix_ms) {
            i++;
            continue;
        }
        if (give_back(ledger, &ledger->expiring[i], error) != 0) {
            return mr_error_prefix(error, "the ledger of released sets");
        }
        ledger->expiring[i] = ledger->expiring[--ledger->expiring_count];
    }
    return 0;
}

/* --- debits ---------------------------------------------------------------------------------- */

int mr_released_debit(struct mr_released *ledger, const struct mr_released_record *record,
                      uint64_t offset, size_t length, struct mr_error *error)
{
    const struct mr_budget_debit *debit = &record->debit;
    if (debit->pool[0] == '\0') {
        return 0;
    }
    if (mr_budget_add(&ledger->budget, debit->pool, record->clients, record->count, debit->rho) !=
        0) {
        return mr_error_set(error, "out of memory for what %u devices have spent", record->count);
    }
    struct mr_budget_pool *pool = mr_budget_find(&ledger->budget, debit->pool);
    pool->budget = debit->budget;
    pool->delta = debit->delta;
    pool->noise_kind = debit->noise_kind;
    return watch(ledger, debit, offset, length, error);
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, MR_CLIENT_ID_BYTES);
}

/* By rounds of other tasks, or of this one that become records, and are in no sum yet. */
static uint64_t claimed(const struct mr_released *ledger, const char *pool, const char *task,
                        const uint8_t *client_id)
{
    uint64_t sum = mr_released_kept(ledger, pool, task, client_id);
    for (const struct claim *claim = ledger->claims; claim; claim = claim->next) {
        const bool own = strcmp(claim->task, task) == 0 && !claim->adding;
        if (!own && !claim->known && strcmp(claim->debit.pool, pool) == 0 &&
            bsearch(client_id, claim->clients, claim->count, MR_CLIENT_ID_BYTES, compare)) {
            sum = mr_rho_add(sum, claim->debit.rho);
        }
    }
    return sum;
}

uint64_t mr_released_left(const struct mr_released *ledger, const struct mr_budget_debit *debit,
                          const char *task, const uint8_t *client_id, uint32_t *at)
{
    const struct mr_budget_pool *pool = mr_budget_find(&ledger->budget, debit->pool);
    const mr_rho paid = pool ? mr_budget_spent_next(pool, at, client_id) : 0;
    const mr_rho spent = mr_rho_add(paid, claimed(ledger, debit->pool, task, client_id));
    return spent < debit->budget ? debit->budget - spent : 0;
}

int mr_released_may_spend(struct mr_released *ledger, const struct mr_budget_debit *debit,
                          const char *task, const uint8_t client_id[MR_CLIENT_ID_BYTES],
                          uint64_t *left, struct mr_error *error)
{
    if (mr_released_expire(ledger, debit->unix_ms, error) != 0) {
        return -1;
    }
    uint32_t at = 0;
    *left = mr_released_left(ledger, debit, task, client_id, &at);
    return debit->rho <= *left;
}

int mr_released_pools(struct mr_released *ledger, uint64_t unix_ms,
                      const struct mr_budget_pool **pools, struct mr_error *error)
{
    if (mr_released_expire(ledger, unix_ms, error) != 0) {
        return -1;
    }
    *pools = ledger->budget.pools;
    return (int)ledger->budget.count;
}
