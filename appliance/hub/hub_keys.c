/* hub_keys.c - the signing keys: this hub's own, and those it pins. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/hub/hub.h"
#include "appliance/storage/files.h"
#include "base/bytes.h"
#include "wire/exchange.h"

/* A file of 64 hex digits and an end of line. */
static int read_key(uint8_t key[32], const char *path, const char *option, struct mr_error *error)
{
    uint8_t *bytes;
    size_t length;
    const int got = mr_file_read(path, &bytes, &length, error);
    if (got != 0) {
        return got < 0 ? mr_error_prefix(error, "%s", option)
                       : mr_error_set(error, "%s: %s does not exist", option, path);
    }
    size_t digits = length;
    while (digits && (bytes[digits - 1] == '\n' || bytes[digits - 1] == '\r')) {
        bytes[--digits] = '\0';
    }
    const int bad = mr_hex_decode(key, 32, (const char *)bytes);
    OPENSSL_cleanse(bytes, length);
    free(bytes);
    return bad ? mr_error_set(error, "%s: %s is not 64 hex digits (make one with `millrace pki`)",
                              option, path)
               : 0;
}

static int public_of(uint8_t public_key[32], const uint8_t private_key[32])
{
    struct mr_signing_pair pair;
    const int failed = mr_signing_pair_derive(&pair, private_key);
    memcpy(public_key, pair.public_key, 32);
    OPENSSL_cleanse(&pair, sizeof pair);
    return failed;
}

int mr_hub_read_keys(struct mr_hub *hub, struct mr_error *error)
{
    const struct mr_hub_config *config = hub->config;
    uint8_t own[32];
    if (read_key(hub->private_key, config->identity.signing_key_file, "identity.signing_key_file",
                 error) != 0) {
        return -1;
    }
    if (public_of(own, hub->private_key) != 0) {
        return mr_error_set(error, "identity.signing_key_file: not an Ed25519 key");
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
            if (memcmp(pinned->public_key, own, 32) != 0) {
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
