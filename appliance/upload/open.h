/* open.h - opening sealed chunks, a burst at a time: the seam for a multi-buffer AEAD.
 *
 * Jobs of one burst never write to the same bytes; the implementation may open them in any order.
 */
#ifndef MR_UPLOAD_OPEN_H
#define MR_UPLOAD_OPEN_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/aead.h"

struct mr_open_job {
    struct mr_aead *aead;
    uint64_t sequence;
    const uint8_t *datagram; /* header (AAD), cipher, tag */
    uint32_t bytes;          /* of cipher */
    uint8_t *plain;
    bool held; /* out: the tag holds; otherwise `plain` is garbage */
};

/* No allocation. */
void mr_open_burst(struct mr_open_job *jobs, unsigned count);

#endif
