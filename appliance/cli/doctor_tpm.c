/* doctor_tpm.c - what tells the hub that a snapshot of its disk was put back. */
#include "appliance/cli/doctor.h"

#include <inttypes.h>

#include "appliance/task/tpm_counter.h"

void mr_doctor_tpm(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    struct mr_tpm_counter *counter;
    struct mr_error error;
    uint64_t value;
    if (!subject->config) {
        return;
    }
    const struct mr_config_identity *identity = &subject->config->identity;
    if (!mr_tpm_counter_wanted(identity->tpm)) {
        mr_finding_set(finding, MR_FINDING_OK, NULL,
                       "identity.tpm is off: a snapshot of the disk that is put back is found out "
                       "by the other hubs only");
        return;
    }
    const int found =
        mr_tpm_counter_open(&counter, identity->tpm, identity->tpm_index, false, &error);
    if (found > 0) {
        mr_finding_set(finding, MR_FINDING_OK, NULL, "%s: the hub's first start makes its counter",
                       identity->tpm);
    } else if (found < 0 || mr_tpm_counter_read(counter, &value, &error) != 0) {
        mr_finding_set(finding, MR_FINDING_MISSING,
                       "see to the TPM, or set identity.tpm off: the hub does not start without it",
                       "%.250s", error.text);
    } else {
        mr_finding_set(finding, MR_FINDING_OK, NULL, "%s: its counter stands at %" PRIu64,
                       identity->tpm, value);
    }
    if (found == 0) {
        mr_tpm_counter_close(counter);
    }
}
