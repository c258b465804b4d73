/* next_keys.h - hubs' next signing keys (wire/key_chain.h): data_dir/keys has every statement that
 * this device has taken, as it came, and is on the disk before a key of it is used (inside session/
 * and release/ only). */
#ifndef MR_SESSION_NEXT_KEYS_H
#define MR_SESSION_NEXT_KEYS_H

#include "edge-client/session/client.h"

/* From the pinned keys to those that hold now. MRE_OK, or MRE_BAD_CONFIG: the file is damaged, or
 * does not begin with the keys of device.json. */
enum mre_result mr_next_keys_open(struct mre_client *client, struct mre_outcome *outcome);

/* Asks every hub for statements that are not here yet; a connection by position is used or made.
 * Returns whether a key is another one now. What a hub sends and is not taken is a warning. */
bool mr_next_keys_ask(struct mre_client *client, void *connections[MRE_HUBS_MAX],
                      struct mre_outcome *outcome);

#endif
