/* released.h - the ledger of released sets: which devices' sums this hub has opened, or was about
 * to, on which model. One for the whole hub: two tasks whose rounds begin with one model are one
 * lineage. docs/decisions/0036-released-sets.md says why it is as it is.
 *
 * The rule: on one model a device is in one released set at most. Of sums over sets that have no
 * device in common, no combination is about fewer devices than the smallest set has.
 *
 *   data_dir/released, released-0, released-1 (storage/chain.h). A record, big-endian:
 *   version u8 = 2 | model hash 32 | round u64 | announcement hash 32 | set hash 32 |
 *   unix time in ms u64 | rho u64 | budget u64 | horizon in seconds u32 | delta f32 |
 *   kind of noise u8 | task length u8 | task | pool length u8 | pool | count u32 |
 *   client ids (16 each), rising strictly
 *
 * It is the ledger of privacy budgets too: a record says what its release costs each of its devices
 * (rho, in a pool), so that no release is durable without its debit, and no debit without its
 * release (docs/decisions/0046-budget-in-the-released-sets.md).
 *
 * A set is claimed when it is frozen, and added before an opening leaves this hub. A claim is
 * memory only; what is added stays for ever, whatever becomes of the round.
 *
 * Memory: 32 bytes a record, 16 for each device that a round with noise has admitted, the client
 * ids of the models that were asked about last, and what each device has spent (budget.h). Loop's
 * thread only, but for the appending, which has a thread of its own. */
#ifndef MR_TASK_RELEASED_H
#define MR_TASK_RELEASED_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/runtime/loop.h"
#include "base/error.h"
#include "wire/exchange.h"
#include "wire/task.h"

struct mr_budget_debit;
struct mr_budget_pool;
struct mr_released;

/* A set that was frozen; what is pointed at is copied. `included` rises strictly by client. */
struct mr_released_set {
    const char *task;
    uint64_t round;
    const uint8_t *parent; /* hash of the model that the round began with, or of its evaluations
                              (wire/model_line.h): sets of one parent share no device */
    const uint8_t *also;   /* NULL, or another parent, whose sets share no device with it either */
    const uint8_t *announcement_hash;
    const uint8_t *set_hash;
    const struct mr_included *included;
    uint32_t count;
    const struct mr_budget_debit *debit; /* NULL: it costs nothing */
};

/* A set that a device is in. */
struct mr_released_place {
    char task[MR_TASK_NAME_MAX + 1];
    uint64_t round;
    bool released; /* else it is claimed only: its round is under way */
    bool broke;    /* a device of the set has not enough left in the pool … */
    uint64_t left; /* … but that */
    uint8_t client_id[MR_CLIENT_ID_BYTES]; /* that device */
};

enum mr_released_claim {
    MR_CLAIM_REFUSED,  /* a device of it is in another set */
    MR_CLAIM_TAKEN,    /* … none is, and none can come to be */
    MR_CLAIM_RELEASED, /* it is this set that was added before */
};

/* Reads the ledger of the folder; makes one if `may_be_new`. A missing or damaged one is an error
 * that says what to do. 0 or -1. */
int mr_released_open(struct mr_released **ledger, const char *data_dir, bool may_be_new,
                     struct mr_loop *loop, struct mr_error *error);
/* Waits for what is being added; the answers come with the loop's next run. */
void mr_released_stop(struct mr_released *ledger);
void mr_released_close(struct mr_released *ledger); /* stopped before; NULL allowed */

/* Whether a round of that announcement may count the device on that model: no other round's set
 * has it. False: *place says where it is. -1 with an error if the ledger cannot be read any more,
 * else 0 or 1. */
int mr_released_may_count(struct mr_released *ledger, const uint8_t parent[MR_HASH_BYTES],
                          const uint8_t announcement_hash[MR_HASH_BYTES],
                          const uint8_t client_id[MR_CLIENT_ID_BYTES],
                          struct mr_released_place *place, struct mr_error *error);

/* Whether the device has enough left in the pool for that debit, beside what rounds of other tasks
 * that are under way have claimed or keep of it; *left is what there is before it. 0 or 1, or -1
 * with an error if the ledger cannot be read any more. */
int mr_released_may_spend(struct mr_released *ledger, const struct mr_budget_debit *debit,
                          const char *task, const uint8_t client_id[MR_CLIENT_ID_BYTES],
                          uint64_t *left, struct mr_error *error);

/* Keeps the price of a round that has admitted the device of its budget: no round of another task
 * can spend it, until the round's set is claimed or mr_released_unclaim says that it is over. In
 * memory only; a driver that starts says it again of all that its round has admitted. Once for each
 * device, however often it is said, and whether or not there is enough (mr_released_may_spend). 0,
 * or -1 without memory. */
int mr_released_keep(struct mr_released *ledger, const char *task, uint64_t round,
                     const struct mr_budget_debit *debit,
                     const uint8_t client_id[MR_CLIENT_ID_BYTES]);

/* Takes the set for its task, in place of the one that the task had claimed before. With _REFUSED
 * *place says why, or error->text where the ledger cannot be read. */
enum mr_released_claim mr_released_claim(struct mr_released *ledger,
                                         const struct mr_released_set *set,
                                         struct mr_released_place *place, struct mr_error *error);
/* The task's claim is void where it is of that round or of one before, and nothing is kept for
 * those rounds; what was added stays, and so does what a later round has claimed. */
void mr_released_unclaim(struct mr_released *ledger, const char *task, uint64_t round);

/* The set is durable in the ledger, or result is -1: the hub must not go on. */
typedef void (*mr_released_fn)(void *context, int result, const struct mr_error *error);
/* Adds the set that the task has claimed; answered by fn in a later turn of the loop, also where it
 * was added before. */
void mr_released_add(struct mr_released *ledger, const char *task, mr_released_fn fn,
                     void *context);
/* No answer goes to that context any more, and its task has no claim and keeps nothing. */
void mr_released_leave(struct mr_released *ledger, const char *task, void *context);

/* Whether a set of that announcement was released. 0, 1, or -1 with an error. */
int mr_released_has(struct mr_released *ledger, const uint8_t announcement_hash[MR_HASH_BYTES],
                    struct mr_error *error);
/* Devices that are in released sets on that model; 0 also where it cannot be read. */
uint32_t mr_released_devices(struct mr_released *ledger, const uint8_t parent[MR_HASH_BYTES]);
/* Sets in the ledger, and its bytes in the file. */
uint64_t mr_released_sets(const struct mr_released *ledger);
/* The file's newest record: how many there are, and the hash that all of them go into. */
struct mr_released_head {
    uint64_t records;
    uint8_t hash[MR_HASH_BYTES];
};
/* As of the last answer of mr_released_add. */
void mr_released_head(const struct mr_released *ledger, struct mr_released_head *head);

/* The pools that were ever spent from, as of that wall clock. The list is valid until the next call
 * on the ledger. The count, or -1 with an error if the ledger cannot be read any more. */
int mr_released_pools(struct mr_released *ledger, uint64_t unix_ms,
                      const struct mr_budget_pool **pools, struct mr_error *error);

#endif
