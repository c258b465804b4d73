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
    };
    return (unsigned)result < MRE_RESULTS ? names[result] : "unknown";
}

const char *mre_version(void)
{
    return MR_VERSION;
}
