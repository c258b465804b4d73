/* released_record.h - a record of the ledger (released.h says its bytes). Sans-IO. */
#ifndef MR_TASK_RELEASED_RECORD_H
#define MR_TASK_RELEASED_RECORD_H

#include "appliance/task/budget.h"
#include "appliance/task/released.h"

/* What a record says; points into its bytes, but for the texts. */
struct mr_released_record {
    char task[MR_TASK_NAME_MAX + 1];
    uint64_t round;
    const uint8_t *parent, *announcement_hash, *set_hash;
    const uint8_t *clients; /* count × MR_CLIENT_ID_BYTES, rising strictly */
    uint32_t count;
    struct mr_budget_debit debit; /* what each client paid; the pool is empty: nothing */
};

size_t mr_released_record_bytes(const char *task, const char *pool, uint32_t count);
/* `clients` as in the record. */
void mr_released_record_encode(uint8_t *out, const struct mr_released_record *record);
/* Takes exactly what the encoder writes. 0 or -1. */
int mr_released_record_parse(struct mr_released_record *record, const uint8_t *bytes, size_t length,
                             struct mr_error *error);

#endif
