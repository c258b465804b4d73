/* part_internal.h - the form of a part's file (part*.c only). */
#ifndef MR_PRIVACY_PART_INTERNAL_H
#define MR_PRIVACY_PART_INTERNAL_H

#include <string.h>

#include "appliance/privacy/part.h"

#define PART_MAGIC       "MRPART02"
#define PART_MAGIC_BYTES 8
/* Of an entry before its material. */
#define PART_ENTRY_BYTES (MR_INCLUDED_BYTES + MR_AUDIT_SALT_BYTES)

/* Bytes of an entry's material: a whole share of the lead's, a seed of a helper's. */
static inline size_t part_material_bytes(const struct mr_round_terms *terms, uint16_t hub)
{
    return terms->announcement.hubs[0].index == hub ? (size_t)terms->layout.share_bytes
                                                    : MR_SEED_BYTES;
}

#endif
