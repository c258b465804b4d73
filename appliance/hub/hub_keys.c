/* hub_keys.c - the signing keys: this hub's own, and those it pins. */
#include <string.h>

#include "appliance/config/signing_key.h"
#include "appliance/hub/hub.h"

static int read_key(uint8_t key[MR_SIGNING_KEY_BYTES], const char *path, const char *option,
                    struct mr_error *error)
{
    return mr_signing_key_read(key, path, error) == 0 ? 0 : mr_error_prefix(error, "%s", option);
}

int mr_hub_read_keys(struct mr_hub *hub, struct mr_error *error)
{
    const struct mr_hub_config *config = hub->config;
    if (read_key(hub->keys.private_key, config->identity.signing_key_file,
                 "identity.signing_key_file", error) != 0) {
        return -1;
    }
    if (mr_signing_key_public(hub->keys.public_key, hub->keys.private_key) != 0) {
        return mr_error_set(error, "identity.signing_key_file: OpenSSL makes no Ed25519 key of it: "
                                   "`millrace key new` makes one");
    }
    bool found = false;
    for (unsigned i = 0; i < config->hubs_count; i++) {
        struct mr_announced_hub *pinned = &hub->book[i];
        const struct mr_config_hub *address = &config->hubs[i];
        pinned->index = address->index;
        memccpy(pinned->name, address->name, '\0', MR_HUB_NAME_MAX);
        if (read_key(pinned->public_key, address->public_key_file, "hubs.public_key_file", error) !=
            0) {
            return -1;
        }
        if (pinned->index == config->identity.index) {
            found = true;
            if (memcmp(pinned->public_key, hub->keys.public_key, sizeof pinned->public_key) != 0) {
                return mr_error_set(error,
                                    "hubs: the public key of hub %u in %s does not belong to "
                                    "identity.signing_key_file",
                                    pinned->index, address->public_key_file);
            }
        }
    }
    return found ? 0
                 : mr_error_set(error, "hubs: this hub's index %u is not in the list",
                                config->identity.index);
}
