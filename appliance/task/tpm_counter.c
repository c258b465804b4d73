#include "appliance/task/tpm_counter.h"

#include <stdlib.h>
#include <time.h>

#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

#include "base/bytes.h"

/* So often, with a pause between, where the TPM saves its memory (TPM_RC_NV_RATE). */
#define TRIES    5u
#define PAUSE_MS 1000

struct mr_tpm_counter {
    TSS2_TCTI_CONTEXT *transport;
    ESYS_CONTEXT *esys;
    ESYS_TR index;
    bool is_new;
};

static int failed(struct mr_error *error, const char *what, TSS2_RC code)
{
    return mr_error_set(error,
                        "identity.tpm: %s (TSS code 0x%x): is the TPM there, may this hub use it "
                        "(group tss), and is nobody else holding it? Or set identity.tpm off",
                        what, (unsigned)code);
}

/* --- the index ------------------------------------------------------------------------------- */

/* 0; 1: there is none. */
static int find(struct mr_tpm_counter *counter, uint32_t index, struct mr_error *error)
{
    const TSS2_RC code = Esys_TR_FromTPMPublic(counter->esys, index, ESYS_TR_NONE, ESYS_TR_NONE,
                                               ESYS_TR_NONE, &counter->index);
    if (code == TSS2_RC_SUCCESS) {
        return 0;
    }
    /* Of the TPM, with or without the number of the parameter that it is about. */
    const bool missing =
        (code & TSS2_RC_LAYER_MASK) == TSS2_TPM_RC_LAYER && (code & 0xbf) == TPM2_RC_HANDLE;
    return missing ? 1 : failed(error, "it does not answer", code);
}

static int make(struct mr_tpm_counter *counter, uint32_t index, struct mr_error *error)
{
    const TPM2B_AUTH nothing = {.size = 0};
    const TPM2B_NV_PUBLIC wanted = {
        .nvPublic = {.nvIndex = index,
                     .nameAlg = TPM2_ALG_SHA256,
                     .attributes = (TPMA_NV)((TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT) |
                                             TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA),
                     .dataSize = 8}};
    const TSS2_RC code =
        Esys_NV_DefineSpace(counter->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                            ESYS_TR_NONE, &nothing, &wanted, &counter->index);
    if (code != TSS2_RC_SUCCESS) {
        return failed(error,
                      "the NV index identity.tpm_index could not be made: if the TPM's owner has a "
                      "password, make it by hand (tpm2_nvdefine INDEX -s 8 -a "
                      "\"authread|authwrite|no_da|nt=counter\")",
                      code);
    }
    counter->is_new = true;
    return 0;
}

/* Another program's index would be counted up, or never be. */
static int look(const struct mr_tpm_counter *counter, bool *written, struct mr_error *error)
{
    TPM2B_NV_PUBLIC *is = NULL;
    TPM2B_NAME *name = NULL;
    const TSS2_RC code = Esys_NV_ReadPublic(counter->esys, counter->index, ESYS_TR_NONE,
                                            ESYS_TR_NONE, ESYS_TR_NONE, &is, &name);
    if (code != TSS2_RC_SUCCESS) {
        return failed(error, "its NV index cannot be looked at", code);
    }
    const TPMA_NV attributes = is->nvPublic.attributes;
    const bool counts =
        (attributes & TPMA_NV_TPM2_NT_MASK) >> TPMA_NV_TPM2_NT_SHIFT == TPM2_NT_COUNTER;
    *written = (attributes & TPMA_NV_WRITTEN) != 0;
    Esys_Free(is);
    Esys_Free(name);
    return counts ? 0
                  : mr_error_set(error, "identity.tpm_index is an NV index of the TPM that is no "
                                        "counter: choose another");
}

/* --- life ------------------------------------------------------------------------------------ */

/* A counter that was never counted has no value yet. */
static int take(struct mr_tpm_counter *counter, uint32_t index, bool makes, struct mr_error *error)
{
    bool written = false;
    const int found = find(counter, index, error);
    if (found < 0 || (found > 0 && !makes)) {
        return found;
    }
    if ((found > 0 && make(counter, index, error) != 0) || look(counter, &written, error) != 0) {
        return -1;
    }
    return written ? 0 : !makes ? 1 : mr_tpm_counter_count(counter, error);
}

int mr_tpm_counter_open(struct mr_tpm_counter **out, const char *tpm, uint32_t index, bool makes,
                        struct mr_error *error)
{
    struct mr_tpm_counter *counter = calloc(1, sizeof *counter);
    if (!counter) {
        return mr_error_set(error, "out of memory");
    }
    setenv("TSS2_LOG", "all+none", 0); /* its library would write to standard error */
    TSS2_RC code = Tss2_TctiLdr_Initialize(tpm, &counter->transport);
    if (code == TSS2_RC_SUCCESS) {
        code = Esys_Initialize(&counter->esys, counter->transport, NULL);
    }
    if (code != TSS2_RC_SUCCESS) {
        mr_tpm_counter_close(counter);
        return failed(error, "it cannot be reached", code);
    }
    /* A simulator has to be told; one that runs says so, as the kernel's does. */
    code = Esys_Startup(counter->esys, TPM2_SU_CLEAR);
    if (code != TSS2_RC_SUCCESS && code != TPM2_RC_INITIALIZE) {
        mr_tpm_counter_close(counter);
        return failed(error, "it does not start", code);
    }
    const int taken = take(counter, index, makes, error);
    if (taken != 0) {
        mr_tpm_counter_close(counter);
        return taken;
    }
    *out = counter;
    return 0;
}

bool mr_tpm_counter_is_new(const struct mr_tpm_counter *counter)
{
    return counter->is_new;
}

int mr_tpm_counter_read(struct mr_tpm_counter *counter, uint64_t *value, struct mr_error *error)
{
    TPM2B_MAX_NV_BUFFER *bytes = NULL;
    const TSS2_RC code = Esys_NV_Read(counter->esys, counter->index, counter->index,
                                      ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, 8, 0, &bytes);
    if (code != TSS2_RC_SUCCESS) {
        return failed(error, "its counter cannot be read", code);
    }
    *value = bytes->size == 8 ? mr_be64_get(bytes->buffer) : 0;
    Esys_Free(bytes);
    return 0;
}

int mr_tpm_counter_count(struct mr_tpm_counter *counter, struct mr_error *error)
{
    const struct timespec pause = {.tv_sec = PAUSE_MS / 1000};
    TSS2_RC code = TSS2_RC_SUCCESS;
    for (unsigned tries = 0; tries < TRIES; tries++) {
        code = Esys_NV_Increment(counter->esys, counter->index, counter->index, ESYS_TR_PASSWORD,
                                 ESYS_TR_NONE, ESYS_TR_NONE);
        if (code != TPM2_RC_NV_RATE && code != TPM2_RC_RETRY) {
            break;
        }
        nanosleep(&pause, NULL);
    }
    return code == TSS2_RC_SUCCESS ? 0 : failed(error, "its counter cannot be counted up", code);
}

void mr_tpm_counter_close(struct mr_tpm_counter *counter)
{
    if (counter && counter->esys) {
        Esys_Finalize(&counter->esys);
    }
    if (counter && counter->transport) {
        Tss2_TctiLdr_Finalize(&counter->transport);
    }
    free(counter);
}
