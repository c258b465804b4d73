/* log.h - what a client says to the caller's log (inside session/ and release/ only). Texts are
 * those of outcomes: no key, seed or value of a model is in any. */
#ifndef MR_SESSION_LOG_H
#define MR_SESSION_LOG_H

#include "edge-client/session/client.h"

/* A line, which begins with the round; 0: it is of none. */
void mr_log(const struct mre_client *client, enum mre_log_level level, uint64_t round,
            const char *format, ...) __attribute__((format(printf, 4, 5)));

/* How a call ended, and its warning. */
void mr_log_outcome(const struct mre_client *client, const struct mre_outcome *outcome);

#endif
