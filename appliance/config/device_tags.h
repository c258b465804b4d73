/* device_tags.h - which devices an operator has put under which tag: the file of
 * tasks.releases.tags_file, a line each,
 *
 *   lab 0123456789abcdef0123456789abcdef    # a tag, a device's id
 *
 * A device may stand under several tags. What a device says of itself counts nowhere. Reads the
 * file; any thread. docs/decisions/0072-tags.md. */
#ifndef MR_CONFIG_DEVICE_TAGS_H
#define MR_CONFIG_DEVICE_TAGS_H

#include "appliance/config/hub_config.h"
#include "wire/identity.h"

#define MR_DEVICE_TAGS_MAX 65536u /* lines that name a tag of the roll-out */

struct mr_device_tag {
    uint8_t client_id[MR_CLIENT_ID_BYTES];
    uint8_t tags; /* bit i: tag i of the roll-out */
};

struct mr_device_tags {
    struct mr_device_tag *devices; /* by rising id, none twice; NULL: none */
    size_t count;
};

/* Only tags that the roll-out names are kept, and each of them has a device, else it is an error. 0
 * or -1; on 0 _fini is owed. */
int mr_device_tags_read(struct mr_device_tags *tags, const char *path,
                        const struct mr_config_rollout *rollout, struct mr_error *error);
void mr_device_tags_fini(struct mr_device_tags *tags);

/* The device's tags; 0: it has none. */
uint8_t mr_device_tags_of(const struct mr_device_tags *tags,
                          const uint8_t client_id[MR_CLIENT_ID_BYTES]);

#endif
