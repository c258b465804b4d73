/* gauss_cells.h - what a draw of the discrete Gaussian is looked up in (wire/gauss.c has the whole
 * of it), and how one draw's bits are read. */
#ifndef MR_KERNELS_GAUSS_CELLS_H
#define MR_KERNELS_GAUSS_CELLS_H

#include <stdint.h>

#define MR_GAUSS_CELLS       512 /* a power of two: 9 bits name one */
#define MR_GAUSS_SHARE_BITS  23
#define MR_GAUSS_COLUMN_FULL (UINT32_C(1) << MR_GAUSS_SHARE_BITS)
/* A column of the alias table in one word: of 2^23 draws the first `share` give the cell of the
 * column's own number, the rest `other`. A full column says so by itself: share 0, other its own
 * number. */
#define MR_GAUSS_COLUMN(share, other) ((uint32_t)(other) << MR_GAUSS_SHARE_BITS | (uint32_t)(share))
#define MR_GAUSS_COLUMN_SHARE(column) ((column) & (MR_GAUSS_COLUMN_FULL - 1))
#define MR_GAUSS_COLUMN_OTHER(column) ((column) >> MR_GAUSS_SHARE_BITS)

/* Integer `within` of cell c is taken with a chance of start * exp(-d), at least start - d. The
 * first `sure` cells have a start of more than MR_GAUSS_FLOOR, and d is at most
 *
 *   slope * (2 c + 1) * (within / 2^within_shift, rounded up),
 *
 * both in steps of 2^-32: a draw of which the first 32 bits are below the difference is taken. */
#define MR_GAUSS_FLOOR UINT32_C(0xffff0000)

struct mr_gauss_cells {
    const uint32_t *columns; /* MR_GAUSS_CELLS; they must outlive the call */
    unsigned block_log2;     /* a cell is so many integers wide; at most 20 */
    unsigned within_shift;
    uint32_t slope; /* no product above 2^31, in a sure cell */
    uint32_t sure;
};

struct mr_gauss_place {
    uint32_t cell, x;
    uint32_t within;
    uint32_t negative; /* all bits of it, or none */
};

/* 9 bits column, 23 share, 1 sign, the rest the place in the cell. No branch: all are as good as
 * random. */
static inline struct mr_gauss_place mr_gauss_place_of(const struct mr_gauss_cells *cells,
                                                      uint64_t bits)
{
    const uint32_t low = (uint32_t)bits, high = (uint32_t)(bits >> 32);
    const uint32_t own = low & (MR_GAUSS_CELLS - 1), column = cells->columns[own];
    const uint32_t mine = -(uint32_t)(low >> 9 < MR_GAUSS_COLUMN_SHARE(column));
    const uint32_t cell = (own & mine) | (MR_GAUSS_COLUMN_OTHER(column) & ~mine);
    const uint32_t within = high >> 1 & ((UINT32_C(1) << cells->block_log2) - 1);
    return (struct mr_gauss_place){.cell = cell,
                                   .x = (cell << cells->block_log2) + within,
                                   .within = within,
                                   .negative = -(high & 1)};
}

/* Whether the first 32 bits of its u do not say that the draw is taken: 1 or 0. */
static inline uint32_t mr_gauss_unsure(const struct mr_gauss_cells *cells,
                                       const struct mr_gauss_place *place, uint32_t u)
{
    const uint32_t up = (UINT32_C(1) << cells->within_shift) - 1;
    const uint32_t part = (place->within + up) >> cells->within_shift;
    const uint32_t far = part * (2 * place->cell + 1) * cells->slope;
    return (u >= MR_GAUSS_FLOOR - far) | (place->cell >= cells->sure);
}

/* Of two zeros one is thrown away, but where zero has a cell of its own, of half the weight. */
static inline uint32_t mr_gauss_second_zero(const struct mr_gauss_cells *cells,
                                            const struct mr_gauss_place *place)
{
    return (cells->block_log2 != 0) & (place->x == 0) & place->negative;
}

#endif
