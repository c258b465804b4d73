/* ledger.h - which attempts of which round this device has begun; kept across crashes.
 *
 * An attempt's number is written and synced before anything of it is sent, so no number is ever
 * used twice, whatever happens to the process. File: data_dir/state.json. One thread. */
#ifndef MR_SESSION_LEDGER_H
#define MR_SESSION_LEDGER_H

#include <stdint.h>

#include "base/error.h"

struct mr_ledger {
    char path[4096];
    uint64_t finished; /* last round this device is done with, however it ended */
    uint64_t round;    /* round of the attempts below */
    uint32_t attempts; /* attempts begun in it */
};

/* Reads the file; none yet is fine. 0 or -1. */
int mr_ledger_open(struct mr_ledger *ledger, const char *data_dir, struct mr_error *error);

/* Reserves the next attempt's number of that round, durably. 0 or -1. */
int mr_ledger_attempt(struct mr_ledger *ledger, uint64_t round, uint32_t *attempt,
                      struct mr_error *error);

/* The device is done with that round. 0 or -1. */
int mr_ledger_finish(struct mr_ledger *ledger, uint64_t round, struct mr_error *error);

#endif
