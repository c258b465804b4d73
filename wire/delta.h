/* delta.h - from one model file to another by what changed. Format: docs/wire-format.md, "Deltas".
 *
 *   sums      the integers that rounds opened: whoever has the base repeats what every hub did with
 *             them, in the same order of operations, and has the same bytes
 *   changes   which values are others, and by how many representable numbers
 *
 * Nothing of a delta is signed: what it makes is compared with the hash in a release that is. Pure:
 * memory is the caller's but for what apply takes while it runs, at most MR_DELTA_MEMORY_MAX plus
 * an eighth of a byte a value. */
#ifndef MR_WIRE_DELTA_H
#define MR_WIRE_DELTA_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "kernels/kernels.h"
#include "wire/layout.h"

#define MR_DELTA_VERSION    2
#define MR_DELTA_STEPS_MAX  16
#define MR_DELTA_HEAD_BYTES 83 /* what stands before the header bytes */
#define MR_DELTA_MEMORY_MAX (6u << 20)
/* Lanes whose transform is undone together: so much of a vector is in memory at a time. */
#define MR_DELTA_GROUP_LANES (1u << 20)

enum mr_delta_kind {
    MR_DELTA_SUMS = 1,
    MR_DELTA_CHANGES = 2,
};

/* What stands at the front. The pointer leads into the delta. */
struct mr_delta_head {
    uint8_t base_hash[32], target_hash[32];
    uint64_t target_bytes;
    enum mr_delta_kind kind;
    const uint8_t *header; /* of the target's file, up to its values; NULL: the base's */
    uint32_t header_bytes;
    size_t body; /* where the kind's own bytes begin */
};

/* 0, or -1 with an error: no delta, another version, cut short. */
int mr_delta_head_read(struct mr_delta_head *head, const uint8_t *bytes, size_t length,
                       struct mr_error *error);

struct mr_delta_job {
    const uint8_t *delta;
    size_t delta_bytes;
    const uint8_t *base; /* a whole model file */
    size_t base_bytes;
    /* Copies bytes of `base`, from that one on; 0 or -1. For a mapped file, of which each page that
     * is touched costs a fault: its values are asked for in pieces, where each is needed but once.
     * NULL: `base` is read where it is. */
    int (*base_read)(void *context, void *into, size_t from, size_t bytes);
    void *base_context;
    uint8_t *target;    /* mr_delta_head.target_bytes, which the caller has bounded; no overlap */
    size_t target_room; /* bytes that may be written there; 0: no more than target_bytes */
    const struct mr_kernels *kernels;
};

/* So much room, a round's padding included, that one round's update can be undone where the
 * target's values are to be: without a second vector, and without copying the base's values first.
 */
static inline size_t mr_delta_room(size_t target_bytes)
{
    return target_bytes + target_bytes / 16 + 64 * sizeof(float);
}

/* Makes the target, which the caller then compares with its hash. 0, or -1 with an error: the delta
 * is damaged or not for this base; out of memory. What is in the target then means nothing. */
int mr_delta_apply(const struct mr_delta_job *job, struct mr_error *error);

/* --- one step of `sums` ---------------------------------------------------------------------- */
struct mr_delta_step {
    float factor; /* a lane's integer times this is its part of the update, rotated */
    uint8_t rotation_log2;
    uint32_t lanes;
    uint8_t sign_key[16],
        sign_counter[16]; /* the stream of signs; zeros where nothing is rotated */
};
#define MR_DELTA_STEP_BYTES 41

/* In which order a step's lanes are coded: groups of blocks, so that the transform of each group
 * can be undone before the next one is read. */
struct mr_delta_order {
    uint32_t block, columns; /* lanes of a block; blocks in all */
    uint32_t group;          /* blocks of a group; the last group may have fewer */
};
struct mr_delta_order mr_delta_order_of(uint32_t lanes, uint8_t rotation_log2);

/* --- writing --------------------------------------------------------------------------------- */
struct mr_delta_writing {
    uint8_t base_hash[32], target_hash[32];
    uint64_t target_bytes;
    const uint8_t *header; /* NULL: the base's */
    uint32_t header_bytes;
    size_t most; /* a delta that would be longer is not wanted */
};

struct mr_delta_out {
    uint8_t *bytes; /* malloc'd */
    size_t length;
};

/* The integers of a step, lane by lane; called with rising ranges of lanes in the order of coding.
 */
typedef void (*mr_delta_lanes_fn)(void *context, int32_t *out, uint32_t first, uint32_t count);

struct mr_delta_source {
    struct mr_delta_step step;
    mr_delta_lanes_fn lanes;
    void *context;
};

/* 0; 1: it would be longer than `most`; -1: out of memory. On 0 free(out->bytes) is owed. */
int mr_delta_write_sums(struct mr_delta_out *out, const struct mr_delta_writing *writing,
                        const struct mr_delta_source *sources, unsigned count);
/* One delta of several, each from the target of the one before, all of kind sums and of at most
 * MR_DELTA_STEPS_MAX steps together: the bytes that _write_sums makes of the same steps, without
 * coding them once more. Returns as it. */
struct mr_delta_part {
    const uint8_t *bytes; /* a whole delta, as one of these functions wrote it */
    size_t length;
};
int mr_delta_join(struct mr_delta_out *out, const struct mr_delta_writing *writing,
                  const struct mr_delta_part *parts, unsigned count);
/* Steps of a delta that one of these functions wrote; 0: it is not of kind sums. */
unsigned mr_delta_steps(const uint8_t *bytes, size_t length);
/* From the values of both files, `count` floats each, at any alignment. */
int mr_delta_write_changes(struct mr_delta_out *out, const struct mr_delta_writing *writing,
                           const uint8_t *base, const uint8_t *target, size_t count);

/* About how many bytes _write_changes would make of them, without coding any: what the tokens of
 * the changes take by one table, and their plain bits, seventeen times those of a sample. Gaps are
 * left out, so that few changes among many values come out low. Too high where parts of a model
 * change by much more than others, each of which has a table of its own. */
size_t mr_delta_changes_estimate(const uint8_t *base, const uint8_t *target, size_t count);

/* A float's bits as a number that rises with it, and back. */
static inline uint32_t mr_delta_rank(uint32_t bits)
{
    return bits ^ ((0u - (bits >> 31)) & 0x7fffffffu);
}

#endif
