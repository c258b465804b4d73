/* watermark_terms.h - what a round's announcement says of the mark that its model gets, and how a
 * part of a mark's key is known before it is told. docs/wire-format.md, sections 3 and 20. Pure. */
#ifndef MR_WIRE_WATERMARK_TERMS_H
#define MR_WIRE_WATERMARK_TERMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define MR_WATERMARK_KEY_BYTES    32
#define MR_WATERMARK_HASH_BYTES   32
#define MR_WATERMARK_PARTS_MIN    2
#define MR_WATERMARK_PARTS_MAX    5
#define MR_WATERMARK_STRENGTH_MIN 8
#define MR_WATERMARK_STRENGTH_MAX 1000

struct mr_watermark_terms {
    /* What the next model scores with the key of all hubs' parts, in standard deviations; 0: it is
     * not marked, and there are no parts. */
    uint16_t strength;
    uint8_t part_hashes[MR_WATERMARK_PARTS_MAX]
                       [MR_WATERMARK_HASH_BYTES]; /* of the parts, in the order of the hubs */
};

/* Every hub's part of a key, in the order of the hubs. Secret. */
struct mr_watermark_parts {
    uint8_t of[MR_WATERMARK_PARTS_MAX][MR_WATERMARK_KEY_BYTES];
};

/* What a part's owner tells the others before a model is marked, so that no part can be chosen to
 * fit a model: it says nothing of the part. 0, or -1 when OpenSSL fails. */
int mr_watermark_part_hash(uint8_t hash[MR_WATERMARK_HASH_BYTES],
                           const uint8_t part[MR_WATERMARK_KEY_BYTES]);

/* Whether that is the part of the hub with this position in the list. NULL: it is not. */
bool mr_watermark_part_fits(const struct mr_watermark_terms *terms, unsigned position,
                            const uint8_t *part);

/* A mark of a strength that there is, and a part of its own for each of the `hubs`. 0 or -1. */
int mr_watermark_terms_check(const struct mr_watermark_terms *terms, unsigned hubs,
                             struct mr_error *error);

#endif
