/* patience.h - asking a hub that may be away for a while: it is waited for, and that is said. */
#ifndef MR_CLI_PATIENCE_H
#define MR_CLI_PATIENCE_H

#include "appliance/cli/ask.h"

/* What happens beside the answer is said on standard error, so that standard output has nothing but
 * answers. `why` may hold another party's words; "" for none. */
void mr_patience_say(const struct mr_ask *ask, const char *what, const char *why);

void mr_patience_pause(uint32_t ms);

/* A GET that outlives a restart of the hub, for as long as it takes. What waiting does not mend (a
 * certificate, a refusal other than busy) ends it at once. enum mr_exit; failures are noted in
 * `ask`. */
int mr_patience_get(struct mr_ask *ask, const char *path, unsigned wait_ms, json_t **answer);

#endif
