#include "wire/opening.h"

#include <string.h>

static size_t part_bytes(const struct mr_round_terms *terms)
{
    return terms->announcement.watermark.strength > 0 ? MR_WATERMARK_KEY_BYTES : 0;
}

size_t mr_opening_bytes(const struct mr_round_terms *terms)
{
    return MR_NONCE_BYTES + part_bytes(terms) + (size_t)terms->layout.share_bytes;
}

void mr_opening_read(struct mr_opening *opening, const uint8_t *bytes,
                     const struct mr_round_terms *terms)
{
    const size_t part = part_bytes(terms);
    *opening = (struct mr_opening){.nonce = bytes,
                                   .part = part > 0 ? bytes + MR_NONCE_BYTES : NULL,
                                   .result = bytes + MR_NONCE_BYTES + part};
}

void mr_opening_write(uint8_t *out, const struct mr_opening *opening,
                      const struct mr_round_terms *terms)
{
    const size_t part = part_bytes(terms);
    memcpy(out, opening->nonce, MR_NONCE_BYTES);
    if (part > 0) {
        memcpy(out + MR_NONCE_BYTES, opening->part, part);
    }
    memcpy(out + MR_NONCE_BYTES + part, opening->result, (size_t)terms->layout.share_bytes);
}
