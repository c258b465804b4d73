#include "edge-client/session/outcome.h"

#include <stdarg.h>
#include <stdio.h>

enum mre_result mr_outcome_set(struct mre_outcome *outcome, enum mre_result result,
                               const char *format, ...)
{
    if (outcome) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(outcome->text, sizeof outcome->text, format, arguments);
        va_end(arguments);
        outcome->result = result;
        outcome->retry_after_ms = 0;
    }
    return result;
}

const char *mre_result_name(enum mre_result result)
{
    static const char *const names[MRE_RESULTS] = {
        [MRE_OK] = "ok",
        [MRE_COMMITTED] = "committed",
        [MRE_ALREADY_COUNTED] = "already-counted",
        [MRE_NO_ROUND] = "no-round",
        [MRE_CLOSED] = "closed",
        [MRE_VOID] = "void",
        [MRE_REFUSED] = "refused",
        [MRE_UNTRUSTED_ANNOUNCEMENT] = "untrusted-announcement",
        [MRE_CERTIFICATE_REFUSED] = "certificate-refused",
        [MRE_UNREACHABLE] = "unreachable",
        [MRE_BAD_MODEL] = "bad-model",
        [MRE_BAD_DELTA] = "bad-delta",
        [MRE_TRAINER_FAILED] = "trainer-failed",
        [MRE_BAD_CONFIG] = "bad-config",
        [MRE_FAILED] = "failed",
        [MRE_PUBLISHED] = "published",
        [MRE_AWAITS_MODEL] = "awaits-model",
        [MRE_NOT_ACCEPTED] = "not-accepted",
        [MRE_CANCELLED] = "cancelled",
        [MRE_UPDATED] = "updated",
        [MRE_RELEASE_REFUSED] = "release-refused",
    };
    return (unsigned)result < MRE_RESULTS ? names[result] : "unknown";
}

const char *mre_result_remedy(enum mre_result result)
{
    static const char *const remedies[MRE_RESULTS] = {
        [MRE_CLOSED] = "take part in the next round",
        [MRE_VOID] = "take part in the next round",
        [MRE_REFUSED] = "look at the code in docs/wire-format.md, section Refusals",
        [MRE_UNTRUSTED_ANNOUNCEMENT] = "compare the keys in device.json with the hubs' operators",
        [MRE_CERTIFICATE_REFUSED] = "renew this device's certificate, and check device.ca",
        [MRE_UNREACHABLE] = "call again later: the same round goes on",
        [MRE_BAD_MODEL] = "tell the hubs' operators",
        [MRE_BAD_DELTA] = "fix the training, or have clip_norm or scale set as the text asks",
        [MRE_TRAINER_FAILED] = "fix the training",
        [MRE_BAD_CONFIG] = "put right what the text names, in device.json or data_dir",
        [MRE_FAILED] = "free what the text says is short on this machine",
        [MRE_AWAITS_MODEL] = "wait for the next model: call again",
        [MRE_NOT_ACCEPTED] = "widen accept in device.json, or talk to the hubs' operators",
    };
    const char *remedy = (unsigned)result < MRE_RESULTS ? remedies[result] : NULL;
    return remedy ? remedy : "";
}

const char *mre_version(void)
{
    return MR_VERSION;
}
