/* registry.h - the lead's devices of one round: who has which upload, and what became of it.
 *
 * One entry a device: its latest attempt and, while an earlier one is being taken back, the request
 * that waits for that. Uploads are found by id as well. Single-threaded. */
#ifndef MR_ROUND_LEAD_REGISTRY_H
#define MR_ROUND_LEAD_REGISTRY_H

#include <stdbool.h>

#include "appliance/round/id_table.h"
#include "appliance/upload/plane.h"
#include "wire/exchange.h"
#include "wire/messages.h"

struct mr_device {
    uint8_t client_id[MR_CLIENT_ID_BYTES];
    uint64_t upload_id;
    uint32_t attempt;
    enum mr_upload_state state;
    enum mr_upload_reason reason;
    enum mr_transport transport;
    struct mr_serial serial;    /* of the certificate that the attempt came with */
    bool collected;             /* in the sum */
    struct mr_pending *pending; /* a newer attempt that waits for the plane's answer, or NULL */
};

/* A newer attempt; keys are wiped when it is let go. */
struct mr_pending {
    void *token;                   /* the request to answer */
    struct mr_admission admission; /* its keys, if any, are those below */
    struct mr_serial serial;
    struct mr_upload_keys keys;
};

struct mr_registry {
    struct mr_id_table by_client;
    struct mr_id_table by_upload; /* every upload id ever granted in the round */
    struct mr_device *devices;
    uint32_t count;
    uint32_t capacity;
    uint32_t devices_max;
};

void mr_registry_init(struct mr_registry *registry, uint32_t devices_max, uint64_t salt);
void mr_registry_fini(struct mr_registry *registry); /* no device may have a pending request */

struct mr_device *mr_registry_client(const struct mr_registry *registry,
                                     const uint8_t client_id[MR_CLIENT_ID_BYTES]);
/* The device that was granted the upload (which may since have a newer one), or NULL. */
struct mr_device *mr_registry_upload(const struct mr_registry *registry, uint64_t upload_id);

/* An entry for a new device (state 0), or NULL when the table is full. Moves the entries: pointers
 * to others are void afterwards. */
struct mr_device *mr_registry_add(struct mr_registry *registry,
                                  const uint8_t client_id[MR_CLIENT_ID_BYTES]);

/* Makes the upload findable as that device's. 0, or -1 (out of memory, or the id was used before in
 * this round). */
int mr_registry_grant(struct mr_registry *registry, struct mr_device *device, uint64_t upload_id);

/* The keys are copied. NULL when out of memory. */
struct mr_pending *mr_pending_new(void *token, const struct mr_admission *admission,
                                  const struct mr_serial *serial);
void mr_pending_free(struct mr_pending *pending);

#endif
