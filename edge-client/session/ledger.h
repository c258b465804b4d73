/* ledger.h - what this device must not forget across crashes: which attempts of which round it has
 * begun, and on which models it may have been counted already.
 *
 * An attempt's number is written and synced before anything of it is sent, so no number is ever
 * used twice, whatever happens to the process. A round's model is written before the lead is asked
 * for an upload: whoever adds up sums that hold this device twice on one model learns how its
 * update changed, and where all others stay the same, its update. With it stands what the round
 * costs of the device's privacy: its own count, whatever the hubs' say. File: data_dir/state.json.
 * One thread. */
#ifndef MR_SESSION_LEDGER_H
#define MR_SESSION_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/announcement.h"

#define MR_LEDGER_COUNTED_MAX 64
#define MR_LEDGER_POOLS_MAX   16

/* A round that this device may have been counted in. */
struct mr_counted {
    uint8_t parent[MR_HASH_BYTES]; /* the model that the round began with */
    uint8_t announcement[MR_HASH_BYTES];
    char task[MR_TASK_NAME_MAX + 1];
    uint64_t round;                  /* 0: not known which, so that no hub can be asked */
    char pool[MR_TASK_NAME_MAX + 1]; /* of the budget that it paid from; empty: it was free */
    mr_rho rho;                      /* what it paid */
};

/* What the rounds that this device may have been counted in have cost it, by pool. Never given back
 * but for a round that every hub has signed to be unopened. */
struct mr_spent {
    char pool[MR_TASK_NAME_MAX + 1];
    mr_rho rho;
};

struct mr_ledger {
    char path[4096];
    uint64_t finished; /* last round this device is done with, however it ended */
    uint64_t round;    /* round of the attempts below */
    uint32_t attempts; /* attempts begun in it */
    /* What is in `counted` is not all: earlier entries were lost. The first model that is announced
     * counts as one of them. */
    bool unknown;
    struct mr_counted counted[MR_LEDGER_COUNTED_MAX]; /* the newest last; a new one drives out the
                                                         oldest */
    unsigned counted_count;
    struct mr_spent spent[MR_LEDGER_POOLS_MAX];
    unsigned spent_count;

    /* data_dirs of this device's other tasks, whose files are read too; the caller's. */
    char *const *siblings;
    unsigned sibling_count;
};

/* Reads the file; none yet is fine. One that is missing beside state.json.damaged was lost:
 * `unknown` then, after the highest plausible round that the damaged one names. 0 or -1. No
 * siblings. */
int mr_ledger_open(struct mr_ledger *ledger, const char *data_dir, struct mr_error *error);

/* Reserves the next attempt's number of that round, durably. 0 or -1, also for a round before the
 * newest that attempts were made in. */
int mr_ledger_attempt(struct mr_ledger *ledger, uint64_t round, uint32_t *attempt,
                      struct mr_error *error);

/* The device is done with that round. 0 or -1. */
int mr_ledger_finish(struct mr_ledger *ledger, uint64_t round, struct mr_error *error);

/* What stands against taking part in `wanted`. */
struct mr_ledger_obstacle {
    struct mr_counted counted; /* another round on the same model */
    bool own;                  /* of this task, so that its hubs can clear it; else a sibling's */
};

/* Whether another round on the parent of `wanted` is remembered, here or by a sibling, or may have
 * been forgotten (round 0): 1 with the obstacle, 0 if none is, or -1. Where a sibling is `unknown`,
 * the parent is remembered here too. */
int mr_ledger_obstacle(struct mr_ledger *ledger, const struct mr_counted *wanted,
                       struct mr_ledger_obstacle *obstacle, struct mr_error *error);
/* Remembers `wanted` with what it costs, durably, unless there is an obstacle: both under one lock
 * for all siblings. 0 (also where it is remembered already), 1 with the obstacle, or -1. */
int mr_ledger_claim(struct mr_ledger *ledger, const struct mr_counted *wanted,
                    struct mr_ledger_obstacle *obstacle, struct mr_error *error);
/* Whether that very round is remembered here, and so was paid for. */
bool mr_ledger_has(const struct mr_ledger *ledger, const struct mr_counted *counted);
/* What was spent from the pool, here and by siblings. 0 or -1. */
int mr_ledger_spent(const struct mr_ledger *ledger, const char *pool, mr_rho *spent,
                    struct mr_error *error);
/* Forgets an own entry, and what it cost: every hub of its round has signed that it is unopened. 0
 * or -1. */
int mr_ledger_clear(struct mr_ledger *ledger, const struct mr_counted *counted,
                    struct mr_error *error);

/* In place of a file that is damaged, or whose numbers the hubs have forgotten. `finished`: the
 * round to go on after; NULL: the highest plausible one that the file names. Where the file was
 * damaged, what was remembered of models is lost (`unknown`), and the old file stays beside the new
 * one as state.json.damaged. At no moment is there no state.json. The folder must be locked. 0 or
 * -1. */
int mr_ledger_reset(struct mr_ledger *ledger, const char *data_dir, const uint64_t *finished,
                    struct mr_error *error);

#endif
