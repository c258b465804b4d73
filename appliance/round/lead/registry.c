#include "appliance/round/lead/registry.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

void mr_registry_init(struct mr_registry *registry, uint32_t devices_max, uint64_t salt)
{
    *registry = (struct mr_registry){.devices_max = devices_max};
    mr_id_table_init(&registry->by_client, salt);
    mr_id_table_init(&registry->by_upload, ~salt);
}

void mr_registry_fini(struct mr_registry *registry)
{
    for (uint32_t i = 0; i < registry->count; i++) {
        MR_ASSERT(!registry->devices[i].pending);
    }
    mr_id_table_fini(&registry->by_client);
    mr_id_table_fini(&registry->by_upload);
    free(registry->devices);
    registry->devices = NULL;
    registry->count = registry->capacity = 0;
}

static void upload_key(uint8_t key[MR_IDMAP_KEY_BYTES], uint64_t upload_id)
{
    memset(key, 0, MR_IDMAP_KEY_BYTES);
    memcpy(key, &upload_id, sizeof upload_id);
}

static struct mr_device *at(const struct mr_registry *registry, uint32_t index)
{
    return index == MR_IDMAP_NONE ? NULL : &registry->devices[index];
}

struct mr_device *mr_registry_client(const struct mr_registry *registry,
                                     const uint8_t client_id[MR_CLIENT_ID_BYTES])
{
    return at(registry, mr_id_table_find(&registry->by_client, client_id));
}

struct mr_device *mr_registry_upload(const struct mr_registry *registry, uint64_t upload_id)
{
    uint8_t key[MR_IDMAP_KEY_BYTES];
    upload_key(key, upload_id);
    return at(registry, mr_id_table_find(&registry->by_upload, key));
}

static int grow(struct mr_registry *registry)
{
    const uint32_t capacity = registry->capacity ? registry->capacity * 2 : 64;
    struct mr_device *devices = realloc(registry->devices, (size_t)capacity * sizeof *devices);
    if (!devices) {
        return -1;
    }
    registry->devices = devices;
    registry->capacity = capacity;
    return 0;
}

struct mr_device *mr_registry_add(struct mr_registry *registry,
                                  const uint8_t client_id[MR_CLIENT_ID_BYTES])
{
    if (registry->count == registry->devices_max ||
        (registry->count == registry->capacity && grow(registry) != 0) ||
        mr_id_table_add(&registry->by_client, client_id, registry->count) != 0) {
        return NULL;
    }
    struct mr_device *device = &registry->devices[registry->count++];
    *device = (struct mr_device){.upload_id = 0};
    memcpy(device->client_id, client_id, MR_CLIENT_ID_BYTES);
    return device;
}

int mr_registry_grant(struct mr_registry *registry, struct mr_device *device, uint64_t upload_id)
{
    uint8_t key[MR_IDMAP_KEY_BYTES];
    upload_key(key, upload_id);
    if (mr_id_table_find(&registry->by_upload, key) != MR_IDMAP_NONE ||
        mr_id_table_add(&registry->by_upload, key, (uint32_t)(device - registry->devices)) != 0) {
        return -1;
    }
    device->upload_id = upload_id;
    return 0;
}

struct mr_pending *mr_pending_new(void *token, const struct mr_admission *admission,
                                  const struct mr_serial *serial)
{
    struct mr_pending *pending = calloc(1, sizeof *pending);
    if (pending) {
        pending->token = token;
        pending->admission = *admission;
        pending->serial = *serial;
        if (admission->keys) {
            pending->keys = *admission->keys;
            pending->admission.keys = &pending->keys;
        }
    }
    return pending;
}

void mr_pending_free(struct mr_pending *pending)
{
    if (pending) {
        OPENSSL_cleanse(pending, sizeof *pending);
        free(pending);
    }
}
