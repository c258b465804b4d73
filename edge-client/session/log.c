#include "edge-client/session/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define LINE_BYTES (MRE_TEXT_BYTES + 64)

void mre_client_log(struct mre_client *client, mre_log_fn log, void *context)
{
    client->log = log;
    client->log_context = context;
}

void mr_log(const struct mre_client *client, enum mre_log_level level, uint64_t round,
            const char *format, ...)
{
    char line[LINE_BYTES];
    if (!client->log) {
        return;
    }
    const int before = round ? snprintf(line, sizeof line, "round %" PRIu64 ": ", round) : 0;
    va_list args;
    va_start(args, format);
    vsnprintf(line + before, sizeof line - (size_t)before, format, args);
    va_end(args);
    client->log(client->log_context, level, line);
}

static enum mre_log_level level_of(enum mre_result result)
{
    switch (result) {
    case MRE_OK:
    case MRE_NO_ROUND:
        return MRE_LOG_DEBUG;
    case MRE_COMMITTED:
    case MRE_ALREADY_COUNTED:
    case MRE_PUBLISHED:
    case MRE_UPDATED:
    case MRE_CANCELLED:
        return MRE_LOG_INFO;
    default:
        return MRE_LOG_WARNING;
    }
}

void mr_log_outcome(const struct mre_client *client, const struct mre_outcome *outcome)
{
    if (outcome->warning[0]) {
        mr_log(client, MRE_LOG_WARNING, outcome->round, "%s", outcome->warning);
    }
    mr_log(client, level_of(outcome->result), outcome->round, "%s: %s",
           mre_result_name(outcome->result), outcome->text);
}
