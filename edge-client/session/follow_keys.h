/* follow_keys.h - asking the hubs for statements of next keys (inside session/ and release/ only).
 */
#ifndef MR_SESSION_FOLLOW_KEYS_H
#define MR_SESSION_FOLLOW_KEYS_H

#include "edge-client/session/client.h"

/* Asks every hub for statements that are not here yet. Returns whether a key is another one now.
 * What a hub sends and is not taken is a warning. */
bool mr_next_keys_ask(struct mre_client *client, struct mre_outcome *outcome);

#endif
