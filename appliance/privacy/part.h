/* part.h - one hub's part of a round for an auditor: what it counted, device by device, in the
 * clear, as one file; and what follows from it. Whoever has the parts of all hubs of a round has
 * every device's update. Layout: docs/wire-format.md, "Audits". One thread. */
#ifndef MR_PRIVACY_PART_H
#define MR_PRIVACY_PART_H

#include <stdbool.h>

#include "appliance/privacy/kept.h"
#include "kernels/kernels.h"

/* Writes the part of a round whose set is frozen into a new file of mode 0600. *count: devices. 0,
 * or -1 with an error, and no file. */
int mr_part_export(const struct mr_kept_place *place, const char *path, uint32_t *count,
                   struct mr_error *error);

/* What follows from a part. */
struct mr_part {
    const char *name; /* the caller's: of its file */
    uint16_t hub;
    struct mr_round_terms terms;
    uint32_t count;
    uint8_t set_hash[MR_HASH_BYTES];
    uint8_t root[MR_HASH_BYTES];
    uint8_t result_hash[MR_HASH_BYTES]; /* of the sum of its shares, or of its seeds' masks, with
                                           the noise of its seed */
    uint8_t noise_hash[MR_HASH_BYTES];  /* of that seed; zeros in a round without noise */
};

/* Whether a file begins as a part does. */
bool mr_part_is(const uint8_t *bytes, size_t length);
/* Reads the file once, entry by entry: memory for one share, one sum, and 52 bytes a device. 0, or
 * -1 with an error: it cannot be read, or is none. */
int mr_part_recompute(struct mr_part *part, const char *path, const struct mr_kernels *kernels,
                      struct mr_error *error);

#endif
