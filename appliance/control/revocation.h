/* revocation.h - which certificate each device of the current round came with, so that a list of
 * revoked ones which arrives later still speaks of them. Loop's thread only. */
#ifndef MR_CONTROL_REVOCATION_H
#define MR_CONTROL_REVOCATION_H

#include "appliance/round/idmap.h"
#include "edge-client/session/revocation.h"

struct mr_admitted {
    uint64_t round; /* whose devices these are */
    struct mr_idmap map;
    struct mr_serial *serials;
    uint32_t count, capacity;
};

void mr_admitted_init(struct mr_admitted *admitted, uint64_t salt);
void mr_admitted_fini(struct mr_admitted *admitted);
/* A device is about to be admitted; another round than the last forgets the last. Its newest
 * certificate counts. 0, or -1 when out of memory. */
int mr_admitted_note(struct mr_admitted *admitted, uint64_t round,
                     const uint8_t client_id[MR_IDMAP_KEY_BYTES], const struct mr_serial *serial);
/* NULL: never noted. */
const struct mr_serial *mr_admitted_find(const struct mr_admitted *admitted,
                                         const uint8_t client_id[MR_IDMAP_KEY_BYTES]);

#endif
