/* progress.h - tells whoever watches a client what it is doing (inside session/ only). */
#ifndef MR_SESSION_PROGRESS_H
#define MR_SESSION_PROGRESS_H

#include "edge-client/session/client.h"

/* Of which round the following speaks; NULL: of none yet. Tells nothing itself. */
void mr_progress_round(struct mre_client *client, const struct mr_announcement *round);
/* A phase begins; bytes_total 0: not known. */
void mr_progress_phase(struct mre_client *client, enum mre_phase phase, uint64_t bytes_total);
void mr_progress_moved(struct mre_client *client, uint64_t bytes_done);
/* In the phase that it is in, something is tried again. */
void mr_progress_again(struct mre_client *client, const char *why);

#endif
