/* budget.h - what each device has spent of its privacy in each pool: a sum for each, in memory.
 * What is durable are the released sets (released.h), of which these sums are made again at each
 * start. Numbers are rho in 2^-40 (wire/privacy_terms.h).
 *
 * Memory: 24 bytes a device and pool, and at most an eighth of it to spare. */
#ifndef MR_TASK_BUDGET_H
#define MR_TASK_BUDGET_H

#include <stddef.h>
#include <stdint.h>

#include "wire/identity.h"
#include "wire/rho.h"
#include "wire/task.h"

/* What one release costs each device of its set. */
struct mr_budget_debit {
    char pool[MR_TASK_NAME_MAX + 1];
    uint64_t rho;
    uint64_t budget;    /* what a device may spend in the pool, this debit included */
    uint32_t horizon_s; /* what was spent so long ago counts no more; 0: it counts for ever */
    uint64_t unix_ms;   /* now */
    float delta;        /* these two are for showing rho as epsilon */
    uint8_t noise_kind; /* enum mr_noise_kind */
};

struct mr_budget_entry {
    uint8_t client_id[MR_CLIENT_ID_BYTES];
    uint64_t spent;
};

struct mr_budget_pool {
    char name[MR_TASK_NAME_MAX + 1];
    uint64_t budget; /* these three of its newest debit; the owner's to set */
    float delta;
    uint8_t noise_kind;
    struct mr_budget_entry *entries; /* rising strictly by client */
    uint32_t count, capacity;
};

struct mr_budget { /* zeroed: empty */
    struct mr_budget_pool *pools;
    unsigned count;
};

void mr_budget_fini(struct mr_budget *budget); /* zeroes it */

/* Adds rho to each of `count` clients (16 bytes each, rising strictly). 0, or -1 without memory:
 * nothing has changed. */
int mr_budget_add(struct mr_budget *budget, const char *pool, const uint8_t *clients,
                  uint32_t count, uint64_t rho);
/* Takes back what was added of such a set. */
void mr_budget_return(struct mr_budget *budget, const char *pool, const uint8_t *clients,
                      uint32_t count, uint64_t rho);
/* 0 also for a device or pool that has spent nothing. */
uint64_t mr_budget_spent(const struct mr_budget *budget, const char *pool,
                         const uint8_t client_id[MR_CLIENT_ID_BYTES]);
/* The same for clients that rise: *at is 0 before the first, and theirs in between. */
uint64_t mr_budget_spent_next(const struct mr_budget_pool *pool, uint32_t *at,
                              const uint8_t client_id[MR_CLIENT_ID_BYTES]);
/* NULL: nothing was ever spent in it. */
struct mr_budget_pool *mr_budget_find(const struct mr_budget *budget, const char *pool);
/* The most that a device has spent in the pool. */
uint64_t mr_budget_most(const struct mr_budget_pool *pool);

#endif
