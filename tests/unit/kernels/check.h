/* check.h - every ISA level against scalar, one call at a time.
 *
 * A case places each buffer of a kernel twice, as `want` for the scalar table and `got` for the
 * level under test, both with the same content at the same place of their guarded region:
 * inaccessible pages directly before and after, canaries in what is left between. After the two
 * calls the whole regions must be equal, canaries and sources included.
 */
#ifndef MR_TEST_KERNELS_CHECK_H
#define MR_TEST_KERNELS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

#define CHECK_SLOTS (MR_FOLD_MAX + 1)

/* What a buffer holds. */
enum check_fill {
    CHECK_ZERO,
    CHECK_ONE,
    CHECK_ONES, /* every bit set */
    CHECK_EDGE, /* around the sign change; for floats around every border of the kernels */
    CHECK_RANDOM,
    CHECK_FILLS
};

enum check_type { CHECK_BYTES, CHECK_U16, CHECK_U24, CHECK_U32, CHECK_F32, CHECK_U64 };

struct check_pair {
    void *want, *got;
};

struct check {
    const struct mr_kernels *ref, *level;
    const char *kernel;
    uint64_t seed, rng;
    enum check_fill fill;
    size_t lanes;
    bool front;           /* buffers begin right after the guard page, else end right before it */
    size_t gap;           /* elements between slot 0 and the guard */
    unsigned slots, call; /* buffers placed in this case; cases so far */
    struct {
        uint8_t *want, *got; /* regions */
        size_t begin, end;   /* bytes used by this case */
        enum check_type type;
    } slot[CHECK_SLOTS];
};

/* One case of one kernel with check->lanes lanes. */
typedef void check_case_fn(struct check *check);

struct check_kernel {
    const char *name;
    check_case_fn *run;
    size_t step; /* lanes must be a multiple of this; 0 means 1 */
};

/* Checks all kernels of the table at every level of the machine. Returns the exit code of a test.
 */
int check_main(const struct check_kernel *kernels, size_t count);

uint64_t check_random(struct check *check);

/* Places and fills the next buffer of the case. The first lies check->gap elements from the guard,
 * the others at a random number of elements (at the guard too when the gap is 0). */
struct check_pair check_place(struct check *check, enum check_type type, size_t count);

/* 10 or 12. */
unsigned check_narrow_bits(struct check *check);
/* Clears in both what is above the low bits of so many accumulators: it means nothing. */
void check_low_bits(const struct check_pair *acc, size_t lanes, unsigned bits);

/* Compares all buffers of the case, and the two return values bit by bit. Ends the test on a
 * difference. Floats: any NaN equals any NaN. */
void check_finish(struct check *check, uint64_t want, uint64_t got);

#endif
