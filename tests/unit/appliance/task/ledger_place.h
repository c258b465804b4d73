/* ledger_place.h - a ledger of released sets in a scratch folder, and sets to put into it. */
#ifndef MR_TEST_LEDGER_PLACE_H
#define MR_TEST_LEDGER_PLACE_H

#include "appliance/task/budget.h"
#include "appliance/task/released.h"

struct place {
    char *dir;
    struct mr_loop *loop;
    struct mr_released *ledger;
    struct mr_released_place where;
    struct mr_error error;
    unsigned answers;
};

/* Of devices first..first+count-1. */
struct set {
    const char *task;
    uint64_t round;
    uint8_t model;
    uint32_t first, count;
    uint8_t also; /* another model, whose sets it must not share a device with; 0: none */
};

void open_ledger(struct place *place, bool may_be_new);
void close_ledger(struct place *place);
void restart(struct place *place);
/* cmocka's: *state is a place. */
int setup(void **state);
int teardown(void **state);

void client_of(uint8_t client[MR_CLIENT_ID_BYTES], uint32_t number);
/* Of model, announcement and set: as one round has one announcement, and one set one hash. */
void hashes_of(uint8_t hashes[3][MR_HASH_BYTES], const struct set *set);
enum mr_released_claim claim(struct place *place, const struct set *set);
/* … at that price; NULL: none. */
enum mr_released_claim claim_for(struct place *place, const struct set *set,
                                 const struct mr_budget_debit *debit);
bool may_count(struct place *place, const struct set *set, uint32_t device);
/* For mr_released_add: counts, and stops the loop. */
void on_added(void *context, int result, const struct mr_error *error);
void add(struct place *place, const char *task);
/* Claims, which must succeed, and adds. */
void release(struct place *place, const struct set *set);
void release_for(struct place *place, const struct set *set, const struct mr_budget_debit *debit);

#endif
