/* released_kept.c - what is kept of devices' budgets for rounds that have admitted them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/task/released_internal.h"

static void kept_free(struct kept *kept)
{
    free(kept->clients);
    free(kept);
}

/* The place of the device, or where it belongs. */
static uint32_t place_of(const struct kept *kept, const uint8_t *client_id, bool *found)
{
    uint32_t low = 0, high = kept->count;
    *found = false;
    while (low < high && !*found) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = memcmp(kept->clients + (size_t)middle * MR_CLIENT_ID_BYTES, client_id,
                                 MR_CLIENT_ID_BYTES);
        *found = order == 0;
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return low;
}

static int insert(struct kept *kept, uint32_t at, const uint8_t *client_id)
{
    if (kept->count == kept->capacity) {
        const uint32_t capacity = 2 * kept->capacity + 64;
        uint8_t *clients = realloc(kept->clients, (size_t)capacity * MR_CLIENT_ID_BYTES);
        if (!clients) {
            return -1;
        }
        kept->clients = clients;
        kept->capacity = capacity;
    }
    uint8_t *place = kept->clients + (size_t)at * MR_CLIENT_ID_BYTES;
    memmove(place + MR_CLIENT_ID_BYTES, place, (size_t)(kept->count - at) * MR_CLIENT_ID_BYTES);
    memcpy(place, client_id, MR_CLIENT_ID_BYTES);
    kept->count++;
    return 0;
}

static struct kept *kept_of(struct mr_released *ledger, const char *task, uint64_t round,
                            const struct mr_budget_debit *debit)
{
    struct kept *kept = ledger->kept;
    while (kept && (kept->round != round || strcmp(kept->task, task) != 0)) {
        kept = kept->next;
    }
    if (!kept && (kept = calloc(1, sizeof *kept))) {
        snprintf(kept->task, sizeof kept->task, "%s", task);
        kept->round = round;
        kept->debit = *debit;
        kept->next = ledger->kept;
        ledger->kept = kept;
    }
    return kept;
}

int mr_released_keep(struct mr_released *ledger, const char *task, uint64_t round,
                     const struct mr_budget_debit *debit,
                     const uint8_t client_id[MR_CLIENT_ID_BYTES])
{
    struct kept *kept = kept_of(ledger, task, round, debit);
    bool found;
    if (!kept) {
        return -1;
    }
    const uint32_t at = place_of(kept, client_id, &found);
    return found ? 0 : insert(kept, at, client_id);
}

uint64_t mr_released_kept(const struct mr_released *ledger, const char *pool, const char *task,
                          const uint8_t *client_id)
{
    uint64_t sum = 0;
    bool found;
    for (const struct kept *kept = ledger->kept; kept; kept = kept->next) {
        if (strcmp(kept->task, task) != 0 && strcmp(kept->debit.pool, pool) == 0) {
            (void)place_of(kept, client_id, &found);
            sum = found ? mr_rho_add(sum, kept->debit.rho) : sum;
        }
    }
    return sum;
}

void mr_released_let_go(struct mr_released *ledger, const char *task, uint64_t round)
{
    for (struct kept **at = &ledger->kept; *at;) {
        struct kept *kept = *at;
        if (kept->round <= round && strcmp(kept->task, task) == 0) {
            *at = kept->next;
            kept_free(kept);
        } else {
            at = &kept->next;
        }
    }
}

void mr_released_free_kept(struct mr_released *ledger)
{
    while (ledger->kept) {
        struct kept *kept = ledger->kept;
        ledger->kept = kept->next;
        kept_free(kept);
    }
}
