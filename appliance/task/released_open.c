/* released_open.c - a ledger is opened, stopped and let go of. */
#include <stdlib.h>

#include "appliance/task/released_internal.h"
#include "base/assert.h"

static int open_parts(struct mr_released *ledger, const char *data_dir, bool may_be_new,
                      struct mr_loop *loop, struct mr_error *error)
{
    if (mr_disk_file_open(&ledger->written, data_dir, error) != 0 ||
        mr_disk_file_open(&ledger->read, data_dir, error) != 0) {
        return -1;
    }
    if (mr_chain_open(&ledger->chain, mr_disk_file_ops(ledger->written), MR_RELEASED_NAME,
                      may_be_new, mr_released_on_record, ledger, error) != 0) {
        const struct mr_error why = *error;
        return mr_error_set(error,
                            "%.200s. released says which devices' sums this hub has opened: "
                            "without it a second sum could give a device away. Put released, "
                            "released-0 and released-1 back as they were last, or set this hub up "
                            "anew with an empty data_dir and a new signing key",
                            why.text);
    }
    mr_released_take_head(ledger, &ledger->head);
    return mr_job_thread_open(&ledger->jobs, loop, "released", error);
}

int mr_released_open(struct mr_released **out, const char *data_dir, bool may_be_new,
                     struct mr_loop *loop, struct mr_error *error)
{
    struct mr_released *ledger = calloc(1, sizeof *ledger);
    if (!ledger) {
        return mr_error_set(error, "out of memory");
    }
    if (open_parts(ledger, data_dir, may_be_new, loop, error) != 0 ||
        mr_released_warm(ledger, error) != 0) {
        mr_released_stop(ledger);
        mr_released_close(ledger);
        return -1;
    }
    *out = ledger;
    return 0;
}

void mr_released_stop(struct mr_released *ledger)
{
    if (ledger->jobs) {
        mr_job_thread_close(ledger->jobs);
    }
    ledger->jobs = NULL;
}

void mr_released_close(struct mr_released *ledger)
{
    if (!ledger) {
        return;
    }
    MR_ASSERT(!ledger->jobs && !ledger->adding);
    mr_released_free_claims(ledger);
    for (unsigned i = 0; i < LINEAGES_MAX; i++) {
        mr_lineage_fini(&ledger->lineages[i]);
    }
    mr_chain_close(ledger->chain);
    mr_disk_file_close(ledger->written);
    mr_disk_file_close(ledger->read);
    mr_budget_fini(&ledger->budget);
    free(ledger->expiring);
    free(ledger->entries);
    free(ledger);
}
