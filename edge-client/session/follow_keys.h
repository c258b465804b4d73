/* follow_keys.h - asking the hubs for statements of next keys (inside session/ and release/ only).
 */
#ifndef MR_SESSION_FOLLOW_KEYS_H
#define MR_SESSION_FOLLOW_KEYS_H

#include "edge-client/session/client.h"

/* Asks every hub for statements that are not here yet. Returns whether a key is another one now.
 * What a hub sends and is not taken is a warning. */
bool mr_next_keys_ask(struct mre_client *client, struct mre_outcome *outcome);
/* The same of those hubs only whose newest statement is none that is here: newest[position], as the
 * hub told (MR_H2_NEXT_KEY), 0 where it has none or told nothing. */
bool mr_next_keys_follow(struct mre_client *client, const uint64_t newest[MRE_HUBS_MAX],
                         struct mre_outcome *outcome);

#endif
