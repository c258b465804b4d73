/* tpm_none.c - in place of tpm_counter.c in a build without the TSS. */
#include "appliance/task/tpm_counter.h"
#include "base/assert.h"

int mr_tpm_counter_open(struct mr_tpm_counter **counter, const char *tpm, uint32_t index,
                        bool makes, struct mr_error *error)
{
    (void)counter;
    (void)index;
    (void)makes;
    return mr_error_set(error,
                        "identity.tpm is %s, and this millrace-hub was built without the TSS: "
                        "install libtss2-dev and build again, or set identity.tpm off",
                        tpm);
}

bool mr_tpm_counter_is_new(const struct mr_tpm_counter *counter)
{
    MR_ASSERT(!counter);
    return false;
}

int mr_tpm_counter_read(struct mr_tpm_counter *counter, uint64_t *value, struct mr_error *error)
{
    (void)counter;
    *value = 0;
    return mr_error_set(error, "this millrace-hub was built without the TSS");
}

int mr_tpm_counter_count(struct mr_tpm_counter *counter, struct mr_error *error)
{
    uint64_t unused;
    return mr_tpm_counter_read(counter, &unused, error);
}

void mr_tpm_counter_close(struct mr_tpm_counter *counter)
{
    MR_ASSERT(!counter);
}
