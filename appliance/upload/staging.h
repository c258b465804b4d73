/* staging.h - a worker's staging slots: where a share is put together, chunk by chunk.
 *
 * A slot is bytes plus a bitmap of the chunks that are truly there. Bytes whose bit is not set are
 * garbage (an older share, or what a forged packet left) and are never read: a slot is only folded
 * when every bit is set. For the same reason slots are not wiped when they are freed: a share is
 * uniformly random to whoever lacks the helpers' seeds, which never reach this hub's lead role, and
 * the region stays out of core dumps. One thread. */
#ifndef MR_UPLOAD_STAGING_H
#define MR_UPLOAD_STAGING_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/runtime/pages.h"
#include "wire/layout.h"

#define MR_SLOT_NONE UINT32_MAX

struct mr_slot {
    uint8_t *bytes;      /* 64-byte aligned */
    uint64_t *bitmap;    /* bit c % 64 of word c / 64: chunk c is there */
    uint32_t owner;      /* the session's index; MR_SLOT_NONE while free */
    uint32_t next;       /* its owner's, for a list */
    uint32_t count_lane; /* its owner's: what the share's count lane has to be */
};

struct mr_staging {
    struct mr_slot *slots;
    uint32_t *free; /* stack of free slots */
    uint32_t count;
    uint32_t free_count;
    uint64_t bytes_max;
    uint64_t bytes_used; /* by the shares of slots that are taken */
    struct mr_pages region;
};

/* Bytes that _open maps. */
uint64_t mr_staging_bytes(uint32_t slots, uint64_t share_bytes_max);

/* Maps and touches everything on the calling thread. 0 or -1. */
int mr_staging_open(struct mr_staging *staging, uint32_t slots, uint64_t share_bytes_max,
                    struct mr_error *error);
void mr_staging_close(struct mr_staging *staging); /* safe on a zeroed struct */

/* Takes a free slot (there must be one) with an empty bitmap for a share of that layout, which must
 * fit. To be given back with its share_bytes. */
uint32_t mr_staging_take(struct mr_staging *staging, uint32_t owner,
                         const struct mr_layout *layout);
void mr_staging_give(struct mr_staging *staging, uint32_t slot, uint64_t share_bytes);

/* Whether the count lane of a share that is whole is its owner's. No other lane is looked at: an
 * honest device's is 1, whatever its update. */
bool mr_slot_sound(const struct mr_slot *slot, const struct mr_layout *layout);

static inline bool mr_slot_has(const struct mr_slot *slot, uint32_t chunk)
{
    return (slot->bitmap[chunk / 64] >> (chunk % 64) & 1) != 0;
}

static inline void mr_slot_set(struct mr_slot *slot, uint32_t chunk)
{
    slot->bitmap[chunk / 64] |= UINT64_C(1) << (chunk % 64);
}

/* The first chunk at or after `from` that is not there; `chunks` if all are. */
uint32_t mr_slot_missing(const struct mr_slot *slot, uint32_t from, uint32_t chunks);

/* 64 bits of the bitmap from chunk `from` on; chunks past the end read as 0. */
uint64_t mr_slot_window(const struct mr_slot *slot, uint32_t from, uint32_t chunks);

#endif
