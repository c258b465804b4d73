/* tpm_counter.h - a counter in the non-volatile memory of a TPM 2.0: it only rises, and no copy of
 * a disk or of a machine's disks sets it back. By ESYS of the TSS (tss2-esys); one thread at a
 * time.
 *
 * It is an NV index of type counter without a secret: whoever may talk to the TPM may count it up,
 * which stops a hub until its operator has recovered it and opens nothing. One that is removed and
 * made anew goes on above the highest that the TPM ever had (TPM 2.0 library, part 3,
 * TPM2_NV_Increment). */
#ifndef MR_TASK_TPM_COUNTER_H
#define MR_TASK_TPM_COUNTER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

struct mr_tpm_counter;

/* Whether the hub has one by its configuration: not "" and not "off". */
static inline bool mr_tpm_counter_wanted(const char *tpm)
{
    return *tpm != '\0' && strcmp(tpm, "off") != 0;
}

/* `tpm`: the way to it, as the TSS names its transports: "device:/dev/tpmrm0". `index`: of the NV
 * index, which is made where there is none, if `makes`. Loads a library and opens the device, so
 * before the process confines itself. 0; 1: there is no index; or -1 with an error that says the
 * remedy. */
int mr_tpm_counter_open(struct mr_tpm_counter **counter, const char *tpm, uint32_t index,
                        bool makes, struct mr_error *error);
/* Whether the index was made by this _open. */
bool mr_tpm_counter_is_new(const struct mr_tpm_counter *counter);
/* 0 or -1. */
int mr_tpm_counter_read(struct mr_tpm_counter *counter, uint64_t *value, struct mr_error *error);
/* One more. A TPM that asks for patience is given some seconds. 0 or -1: it may have counted. */
int mr_tpm_counter_count(struct mr_tpm_counter *counter, struct mr_error *error);
void mr_tpm_counter_close(struct mr_tpm_counter *counter); /* NULL allowed */

#endif
