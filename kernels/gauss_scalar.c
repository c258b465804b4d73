/* gauss_scalar.c - draws of the discrete Gaussian, one after the other. */
#include "kernels/gauss_cells.h"
#include "kernels/levels.h"

void mr_gauss_draw_scalar(int32_t *out, uint64_t *undecided, const struct mr_gauss_cells *cells,
                          const uint64_t *random, size_t draws)
{
    const struct mr_gauss_cells local = *cells; /* as far as the compiler knows, out is in it */
    for (size_t take; draws > 0; draws -= take) {
        uint64_t word = 0;
        take = draws < 64 ? draws : 64;
        for (size_t i = 0; i < take; i++, random += 2) {
            const struct mr_gauss_place place = mr_gauss_place_of(&local, random[0]);
            const uint64_t unsure = mr_gauss_unsure(&local, &place, (uint32_t)(random[1] >> 32));
            word |= (unsure | mr_gauss_second_zero(&local, &place)) << i;
            *out++ = (int32_t)((place.x ^ place.negative) - place.negative);
        }
        *undecided++ = word;
    }
}
