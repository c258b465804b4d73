/* commit_file.h - the lead's durable state of an open round: the sum so far and who is in it.
 *
 * Two files, commit-0 and commit-1 in one folder, are written in turn, so that a torn write leaves
 * the one before whole. The sum is of masked shares: by itself it is uniformly random.
 *
 * Layout, little-endian: "MRCOMMT1" | generation u64 | round u64 | announcement_hash 32 |
 * share_bytes u64 | envelope_bytes u32 | included count u32 | frozen u32 | zero u32 |
 * sum as share bytes | envelope | included entries (client16 ‖ be32(attempt)) |
 * CRC-64/XZ (ECMA-182, reflected) of all that. */
#ifndef MR_ROUND_COMMIT_FILE_H
#define MR_ROUND_COMMIT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/error.h"
#include "wire/exchange.h"

struct mr_commit_file; /* the writer; one thread at a time */

/* What one generation says. */
struct mr_commit_state {
    uint64_t generation; /* set by the writer */
    uint64_t round;
    uint8_t announcement_hash[MR_HASH_BYTES];
    bool frozen;
    const uint8_t *sum; /* packed */
    uint64_t share_bytes;
    const uint8_t *envelope; /* signed announcement: what a reader needs to go on */
    uint32_t envelope_bytes;
    const struct mr_included *included; /* any order */
    uint32_t included_count;
};

/* Opens (creating as needed, folder synced) both files. The generation goes on from what is there.
 */
int mr_commit_file_open(struct mr_commit_file **file, const char *data_dir, struct mr_error *error);
void mr_commit_file_close(struct mr_commit_file *file);

/* Writes the next generation and syncs it. -1: nothing may be called committed any more. */
int mr_commit_file_write(struct mr_commit_file *file, const struct mr_commit_state *state,
                         struct mr_error *error);

/* Reads the newest generation that is whole. 0; 1 if there is none; -1 on a read error. The state
 * points into memory that mr_commit_read_fini frees. */
struct mr_commit_read {
    struct mr_commit_state state;
    uint8_t *bytes;
    struct mr_included *included;
};
int mr_commit_file_read(struct mr_commit_read *read, const char *data_dir, struct mr_error *error);
void mr_commit_read_fini(struct mr_commit_read *read);

#endif
