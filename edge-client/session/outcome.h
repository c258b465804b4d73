/* outcome.h - filling struct mre_outcome. */
#ifndef MR_SESSION_OUTCOME_H
#define MR_SESSION_OUTCOME_H

#include "edge-client/include/millrace_edge.h"

/* Sets result and text, without a retry_after_ms (NULL outcome allowed); returns the result. */
enum mre_result mr_outcome_set(struct mre_outcome *outcome, enum mre_result result,
                               const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
