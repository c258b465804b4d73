/* opening.h - what a hub opens once every hub has committed. docs/wire-format.md, section 11. Pure.
 */
#ifndef MR_WIRE_OPENING_H
#define MR_WIRE_OPENING_H

#include <stddef.h>
#include <stdint.h>

#include "wire/announcement.h"
#include "wire/exchange.h"

/* Opening = nonce 32 ‖ in a round that marks its model: the hub's part of the mark's key 32 ‖
 * result. The commitment covers nonce and result; the part is covered by its hash in the terms. */
struct mr_opening {
    const uint8_t *nonce;
    const uint8_t *part; /* NULL: the round marks nothing */
    const uint8_t *result;
};

size_t mr_opening_bytes(const struct mr_round_terms *terms);
/* Points into the bytes, mr_opening_bytes of them. */
void mr_opening_read(struct mr_opening *opening, const uint8_t *bytes,
                     const struct mr_round_terms *terms);
void mr_opening_write(uint8_t *out, const struct mr_opening *opening,
                      const struct mr_round_terms *terms);

#endif
