/* age_counter.h - data_dir is bound to a counter of the machine's TPM (tpm_counter.h), which goes
 * on where a copy of the folder, of its disk or of the machine's disks stays behind. It is counted
 * up at a start, at a stop, and with a promise where the last time is so long ago: its memory wears
 * out, so not with each. docs/decisions/0078-a-tpm-counter.md.
 *
 * data_dir/identity names the count that is to come; then the TPM counts. A hub that is killed in
 * between finds the TPM one behind, and goes on. */
#ifndef MR_TASK_AGE_COUNTER_H
#define MR_TASK_AGE_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/task/age.h"
#include "appliance/task/tpm_counter.h"

struct mr_age_counter; /* opaque */

/* The TPM's counter passes to it; `every_s`: between two that come with promises. NULL: out of
 * memory. */
struct mr_age_counter *mr_age_counter_new(struct mr_tpm_counter *tpm, uint64_t every_s);
void mr_age_counter_free(struct mr_age_counter *counter); /* NULL allowed */

/* What data_dir is compared with: fills the place's count. 0 or -1. */
int mr_age_counter_read(struct mr_age_counter *counter, struct mr_age_place *place,
                        struct mr_error *error);
/* From now on for that folder. Binds it and counts. 0 or -1. */
int mr_age_counter_begin(struct mr_age_counter *counter, const char *folder,
                         const struct mr_age_place *place, struct mr_error *error);
/* A promise was made: binds and counts where it is due. Any thread. 0 or -1. */
int mr_age_counter_promise(struct mr_age_counter *counter, struct mr_error *error);
/* The hub stops: binds and counts, if it had begun. Any thread. 0 or -1. */
int mr_age_counter_end(struct mr_age_counter *counter, struct mr_error *error);

#endif
