/* next_keys.h - hubs' next signing keys (wire/key_chain.h): data_dir/keys has every statement that
 * this device has taken, as it came, and is on the disk before a key of it is used (inside session/
 * only). */
#ifndef MR_SESSION_NEXT_KEYS_H
#define MR_SESSION_NEXT_KEYS_H

#include "edge-client/session/client.h"
#include "wire/key_chain.h"

/* From the pinned keys to those that hold now. MRE_OK, or MRE_BAD_CONFIG: the file is damaged, or
 * does not begin with the keys of device.json. */
enum mre_result mr_next_keys_open(struct mre_client *client, struct mre_outcome *outcome);

/* The keys that hold now; `hubs` is the caller's room for them. */
struct mr_key_set mr_next_keys_set(const struct mre_client *client,
                                   struct mr_announced_hub hubs[MR_HUBS_MAX]);
/* Statements that have led to that set: to the disk, then into use. 0, or -1: nothing is used. */
int mr_next_keys_keep(struct mre_client *client, const struct mr_key_set *set, const uint8_t *bytes,
                      size_t length);

#endif
