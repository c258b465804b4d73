/* gauss_internal.h - inside gauss*.c and their tests only: how one draw is judged. */
#ifndef MR_WIRE_GAUSS_INTERNAL_H
#define MR_WIRE_GAUSS_INTERNAL_H

#include "wire/gauss.h"

/* What the kernel sees of a table. */
static inline struct mr_gauss_cells mr_gauss_cells_of(const struct mr_gauss_table *table)
{
    return (struct mr_gauss_cells){.columns = table->columns,
                                   .block_log2 = table->block_log2,
                                   .within_shift = table->part_shift,
                                   .slope = table->part_slope,
                                   .sure = table->sure_cells};
}

/* A draw's 64 bits u stand for a number U in [u, u + 1) / 2^64. It is taken where
 * U * weight < peak * 2^doublings * exp(-x^2 / (2 sigma^2)). */
struct mr_gauss_draw {
    uint64_t x;
    uint64_t weight;
    unsigned doublings;
    uint64_t u;
};

enum mr_gauss_word {
    MR_GAUSS_NO = 0,
    MR_GAUSS_YES = 1,
    MR_GAUSS_UNCLEAR = 2, /* within what a 64-bit bound may be off */
};

/* By 64-bit bounds: integer `within` of a cell below table->cells. */
enum mr_gauss_word mr_gauss_judge(const struct mr_gauss_table *table, unsigned cell,
                                  uint64_t within, uint64_t u);

/* With as many bits as it takes; more of U come from `next` (the sampler's second stream). 1, 0, or
 * -1 when out of memory. A draw that 1,024 bits do not decide is not taken: a bias of 2^-1000. */
int mr_gauss_judge_exactly(const struct mr_gauss_table *table, const struct mr_gauss_draw *draw,
                           uint64_t (*next)(void *context), void *context);

#endif
