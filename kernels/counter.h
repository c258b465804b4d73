/* counter.h - inside kernels/ only: the 128-bit big-endian counter block of a mask stream. */
#ifndef MR_KERNELS_COUNTER_H
#define MR_KERNELS_COUNTER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/kernels.h"

/* The counter as two host words. */
struct counter {
    uint64_t hi, lo;
};

static inline uint64_t counter_be64(const uint8_t *bytes)
{
    uint64_t v;
    memcpy(&v, bytes, sizeof v);
    return __builtin_bswap64(v);
}

/* ctr += blocks mod 2^128. The counter is as secret as the key: one addition with carry. (Written
 * as a comparison added to the high word, GCC 12 makes a branch of it; tests/policy/constant_time
 * sees that.) */
static inline void counter_add(struct counter *ctr, uint64_t blocks)
{
    __extension__ const unsigned __int128 sum =
        ((unsigned __int128)ctr->hi << 64 | ctr->lo) + blocks;
    ctr->hi = (uint64_t)(sum >> 64);
    ctr->lo = (uint64_t)sum;
}

/* The counter of stream byte `offset`. An offset inside a block is a bug of the caller that would
 * silently unmask wrong lanes, hence the trap. */
static inline struct counter counter_at(const struct mr_mask_stream *mask, uint64_t offset)
{
    if (offset % 16 != 0) {
        __builtin_trap();
    }
    struct counter ctr = {counter_be64(mask->counter), counter_be64(mask->counter + 8)};
    counter_add(&ctr, offset / 16);
    return ctr;
}

static inline void counter_store(uint8_t block[16], const struct counter *ctr)
{
    uint64_t be[2] = {__builtin_bswap64(ctr->hi), __builtin_bswap64(ctr->lo)};
    memcpy(block, be, sizeof be);
}

#endif
