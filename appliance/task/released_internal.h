/* released_internal.h - the ledger's inside, shared by released.c and released_claims.c. */
#ifndef MR_TASK_RELEASED_INTERNAL_H
#define MR_TASK_RELEASED_INTERNAL_H

#include "appliance/runtime/job.h"
#include "appliance/storage/chain.h"
#include "appliance/storage/disk.h"
#include "appliance/task/budget.h"
#include "appliance/task/lineage.h"
#include "appliance/task/released_record.h"

#define MR_RELEASED_NAME "released"
/* Models whose sets are in memory: those of the rounds under way, and a few that were before. */
#define LINEAGES_MAX 80u
/* Of them, so many are read at the start, the newest: a look at the sets of a model takes a tenth
 * of a second where there are thousands, and the first one is when a round has begun. */
#define WARM_MAX 40u

/* Where a record is, and enough of its hashes to find it. */
struct entry {
    uint64_t parent, announcement; /* their first eight bytes */
    uint64_t offset;
    uint32_t length, count;
};

/* A debit that counts until then. */
struct expiring {
    uint64_t until_ms, offset;
    uint32_t length;
};

struct claim {
    struct claim *next;
    char task[MR_TASK_NAME_MAX + 1];
    uint64_t round;
    uint8_t parent[MR_HASH_BYTES], announcement_hash[MR_HASH_BYTES], set_hash[MR_HASH_BYTES];
    uint8_t also[MR_HASH_BYTES]; /* zeros: it looks at its parent's sets alone */
    uint8_t *clients;            /* count × MR_CLIENT_ID_BYTES, rising */
    uint32_t count;
    struct mr_budget_debit debit; /* the pool is empty: it costs nothing */
    bool known;                   /* the ledger has it */
    bool adding;                  /* it becomes a record, whatever its task wants by now */
};

/* Devices that a round of a task has admitted, and whose set is not claimed yet. */
struct kept {
    struct kept *next;
    char task[MR_TASK_NAME_MAX + 1];
    uint64_t round;
    struct mr_budget_debit debit;
    uint8_t *clients; /* count × MR_CLIENT_ID_BYTES, rising */
    uint32_t count, capacity;
};

/* A claim on its way into the file. */
struct adding {
    struct adding *next;
    struct mr_released *ledger;
    struct claim *claim;
    mr_released_fn fn; /* NULL: nobody wants to know any more */
    void *context;
    uint8_t *bytes;
    size_t length;
    uint64_t offset;
    struct mr_released_head head;
    int result;
    struct mr_error error;
};

struct mr_released {
    struct mr_disk_file *written, *read; /* the job thread's; the loop's */
    struct mr_chain *chain;              /* the job thread's once that runs */
    struct mr_job_thread *jobs;
    struct entry *entries;
    size_t count, capacity;
    struct mr_lineage lineages[LINEAGES_MAX];
    uint64_t uses;
    struct mr_released_head head; /* the loop's word; the chain's own is the job thread's */
    struct mr_budget budget;
    struct expiring *expiring;
    size_t expiring_count, expiring_capacity;
    struct claim *claims;
    struct kept *kept;
    struct adding *adding;
};

/* Files of the ledger, from the ground up; each uses only those above it in this list.
 *
 * released_kept.c: what rounds of other tasks keep of the device's budget; and nothing is kept any
 * more for the task's rounds up to that one. */
uint64_t mr_released_kept(const struct mr_released *ledger, const char *pool, const char *task,
                          const uint8_t *client_id);
void mr_released_let_go(struct mr_released *ledger, const char *task, uint64_t round);
void mr_released_free_kept(struct mr_released *ledger);

/* released_budget.c: what is spent. Takes up a record's debit; gives back what is past its
 * horizon. 0 or -1. */
int mr_released_debit(struct mr_released *ledger, const struct mr_released_record *record,
                      uint64_t offset, size_t length, struct mr_error *error);
int mr_released_expire(struct mr_released *ledger, uint64_t unix_ms, struct mr_error *error);
/* What the device has left for that debit, beside what rounds of other tasks have claimed or
 * keep. For
 * devices that rise: *at is 0 before the first. */
uint64_t mr_released_left(const struct mr_released *ledger, const struct mr_budget_debit *debit,
                          const char *task, const uint8_t *client_id, uint32_t *at);

/* released.c: the index, the sets of a model, questions. NULL with an error: the ledger cannot be
 * read, so that nothing may be counted. */
struct mr_lineage *mr_released_lineage(struct mr_released *ledger, const uint8_t *parent,
                                       struct mr_error *error);
/* Reads the sets of the newest models, so that nobody waits for them later. 0 or -1. */
int mr_released_warm(struct mr_released *ledger, struct mr_error *error);
/* A record is in the file: what is there is in the index, or nobody may go on. */
int mr_released_note(struct mr_released *ledger, const struct mr_released_record *record,
                     uint64_t offset, size_t length, struct mr_error *error);
void mr_released_say(struct mr_released_place *place, const struct mr_lineage_set *set);
void mr_released_say_claimed(struct mr_released_place *place, const struct claim *claim);

/* A record of the file, as mr_chain_fn. */
int mr_released_on_record(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
                          struct mr_error *error);

/* released_claims.c: claims, and what becomes a record. released_open.c is above all. */
void mr_released_free_claims(struct mr_released *ledger);
/* The chain's own, on its thread. */
void mr_released_take_head(const struct mr_released *ledger, struct mr_released_head *head);

#endif
