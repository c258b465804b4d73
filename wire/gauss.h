/* gauss.h - samples of the discrete Gaussian, exact, in integers, from a key.
 *
 * P(x) = exp(-x^2 / (2 sigma^2)) / sum over all integers, as in Canonne, Kamath, Steinke 2020
 * (arXiv 2004.00010), whose reason it has: noise from floating point is not the noise that the
 * proof speaks of (Mironov 2012). No number that decides is a rounded one: an inexact bound only
 * says whether an exact one has to be worked out (gauss_exp.h). How: gauss.c.
 *
 * The samples follow from the key alone, on every machine: noise is a function of a seed that is
 * kept. A key serves one variance, once, for one purpose; it is as secret as the noise.
 *
 * How long a call takes depends on the samples. Draw ahead, where nobody can time it against a
 * release (docs/privacy.md). No I/O, no clock; memory only through OpenSSL's BN, at
 * mr_gauss_init and about once in 2^28 samples. One thread a sampler. */
#ifndef MR_WIRE_GAUSS_H
#define MR_WIRE_GAUSS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/gauss_cells.h"
#include "kernels/kernels.h"

#define MR_GAUSS_KEY_BYTES 32
#define MR_GAUSS_SIGMA2_MAX                                                                        \
    (UINT64_C(1) << 50) /* num / den; sigma 2^25, in units of the lattice                          \
                         */
#define MR_GAUSS_DEN_MAX (UINT64_C(1) << 12)
#define MR_GAUSS_DRAWS   256 /* attempts whose random bytes are made at once */

/* A table is the variance's alone: any number of samplers may read one. */
struct mr_gauss_table {
    uint64_t num, den;   /* sigma^2 */
    uint64_t peak;       /* A: the proposal's height is A exp(-x^2 / (2 sigma^2)), rounded up */
    unsigned block_log2; /* a cell is 2^block_log2 integers wide */
    unsigned cells;      /* J; cell J is the tail, cell J + 1 is none */
    uint64_t
        accept[MR_GAUSS_CELLS]; /* below it a draw is taken, whichever of the cell's integers */
    uint64_t
        start[MR_GAUSS_CELLS]; /* chance, times 2^64, of the cell's first integer; from below */
    uint32_t weight[MR_GAUSS_CELLS]; /* of 2^32 */
    uint64_t slope;                  /* 2^slope_shift / (2 sigma^2), from below */
    unsigned slope_shift;
    uint32_t columns[MR_GAUSS_CELLS]; /* MR_GAUSS_COLUMN */
    uint32_t sure_cells, part_slope;  /* these three for struct mr_gauss_cells */
    unsigned part_shift;
};

struct mr_gauss {
    const struct mr_gauss_table *table;
    const struct mr_kernels *kernels;
    struct mr_mask_stream draws, more; /* attempts; the bits behind the 64th */
    uint64_t drawn_blocks, more_blocks;
    unsigned at; /* of `random` */
    uint64_t random[2 * MR_GAUSS_DRAWS];
};

/* Of sigma^2 = num / den in 1/16..MR_GAUSS_SIGMA2_MAX, den 1..MR_GAUSS_DEN_MAX. 0, or -1: out of
 * range or out of memory. A few milliseconds. */
int mr_gauss_table_init(struct mr_gauss_table *table, uint64_t num, uint64_t den);

/* `table` and `kernels` must outlive the sampler. Wipe the sampler when done. */
void mr_gauss_init(struct mr_gauss *gauss, const struct mr_gauss_table *table,
                   const uint8_t key[MR_GAUSS_KEY_BYTES], const struct mr_kernels *kernels);
/* The next `count` samples: two calls give what one for both would have given. 0, or -1 when out of
 * memory (the samples are then unspecified, and the sampler is good for nothing any more). */
int mr_gauss_fill(struct mr_gauss *gauss, int32_t *out, size_t count);

#endif
