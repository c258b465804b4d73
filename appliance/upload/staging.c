#include "appliance/upload/staging.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "wire/share.h"

#define CHUNK_BYTES_MIN 64u /* wire/layout.h: chunk_bytes is a multiple of 64 */

static uint64_t slot_stride(uint64_t share_bytes_max)
{
    return (share_bytes_max + 63) / 64 * 64;
}

static uint64_t bitmap_words_max(uint64_t share_bytes_max)
{
    return share_bytes_max / CHUNK_BYTES_MIN / 64 + 1;
}

uint64_t mr_staging_bytes(uint32_t slots, uint64_t share_bytes_max)
{
    const uint64_t bitmap = (bitmap_words_max(share_bytes_max) * 8 + 63) / 64 * 64;

    return slots * (slot_stride(share_bytes_max) + bitmap);
}

int mr_staging_open(struct mr_staging *staging, uint32_t slots, uint64_t share_bytes_max,
                    struct mr_error *error)
{
    const uint64_t stride = slot_stride(share_bytes_max);
    const uint64_t bytes = mr_staging_bytes(slots, share_bytes_max);

    memset(staging, 0, sizeof *staging);
    staging->slots = calloc(slots, sizeof *staging->slots);
    staging->free = calloc(slots, sizeof *staging->free);
    if (!staging->slots || !staging->free) {
        mr_staging_close(staging);
        return mr_error_set(error, "out of memory for %u slots: lower slots_per_worker", slots);
    }
    if (mr_pages_map(&staging->region, bytes, "staging slots", error) != 0) {
        mr_staging_close(staging);
        return mr_error_set(error,
                            "cannot map %llu MiB of staging slots: lower slots_per_worker or "
                            "share_bytes_max",
                            (unsigned long long)(bytes >> 20));
    }
    staging->count = slots;
    staging->free_count = slots;
    staging->bytes_max = share_bytes_max;
    uint8_t *bitmaps = (uint8_t *)staging->region.base + slots * stride;
    const uint64_t bitmap_stride = (bytes - slots * stride) / slots;
    for (uint32_t i = 0; i < slots; i++) {
        staging->slots[i].bytes = (uint8_t *)staging->region.base + i * stride;
        staging->slots[i].bitmap = (uint64_t *)(void *)(bitmaps + i * bitmap_stride);
        staging->slots[i].owner = MR_SLOT_NONE;
        staging->free[i] = slots - 1 - i;
    }
    return 0;
}

void mr_staging_close(struct mr_staging *staging)
{
    mr_pages_unmap(&staging->region);
    free(staging->slots);
    free(staging->free);
    memset(staging, 0, sizeof *staging);
}

uint32_t mr_staging_take(struct mr_staging *staging, uint32_t owner, const struct mr_layout *layout)
{
    MR_ASSERT(staging->free_count > 0 && layout->share_bytes <= staging->bytes_max);
    const uint32_t index = staging->free[--staging->free_count];
    struct mr_slot *slot = &staging->slots[index];
    slot->owner = owner;
    staging->bytes_used += layout->share_bytes;
    memset(slot->bitmap, 0, (size_t)(layout->chunks / 64 + 1) * 8);
    return index;
}

void mr_staging_give(struct mr_staging *staging, uint32_t slot, uint64_t share_bytes)
{
    MR_ASSERT(slot < staging->count && staging->slots[slot].owner != MR_SLOT_NONE);
    staging->slots[slot].owner = MR_SLOT_NONE;
    staging->free[staging->free_count++] = slot;
    staging->bytes_used -= share_bytes;
}

bool mr_slot_sound(const struct mr_slot *slot, const struct mr_layout *layout)
{
    return mr_share_count(slot->bytes, layout) == slot->count_lane;
}

uint32_t mr_slot_missing(const struct mr_slot *slot, uint32_t from, uint32_t chunks)
{
    uint32_t at = from;

    while (at < chunks) {
        const uint64_t absent = ~slot->bitmap[at / 64] >> (at % 64);
        if (absent != 0) {
            at += (uint32_t)__builtin_ctzll(absent);
            break;
        }
        at = (at / 64 + 1) * 64;
    }
    return at < chunks ? at : chunks;
}

uint64_t mr_slot_window(const struct mr_slot *slot, uint32_t from, uint32_t chunks)
{
    const uint32_t word = from / 64, shift = from % 64;

    if (from >= chunks) {
        return 0;
    }
    uint64_t bits = slot->bitmap[word] >> shift;
    if (shift != 0 && (uint64_t)(word + 1) * 64 < chunks) {
        bits |= slot->bitmap[word + 1] << (64 - shift);
    }
    return bits; /* bits past the last chunk are never set */
}
