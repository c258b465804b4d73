/* check_gauss.c - draws of the discrete Gaussian. */
#include "kernels/gauss_cells.h"
#include "tests/unit/kernels/check.h"

#define DRAWS_MAX 20000 /* sixteen bytes each have to fit the harness */

/* Half of the cases have hardly another cell than 0 and 1, so that there are zeros. */
static void few_cells(struct check *c, const struct check_pair *columns)
{
    uint32_t *want = columns->want, *got = columns->got;
    const uint32_t kept =
        check_random(c) & 1 ? UINT32_MAX : MR_GAUSS_COLUMN(MR_GAUSS_COLUMN_FULL - 1, 1);
    for (unsigned i = 0; i < MR_GAUSS_CELLS; i++) {
        want[i] &= kept;
        got[i] &= kept;
    }
}

static void gauss_draw(struct check *c)
{
    const size_t draws = c->lanes < DRAWS_MAX ? c->lanes : DRAWS_MAX;
    const unsigned block_log2 =
        (unsigned)(check_random(c) % 4 ? check_random(c) % 3 : check_random(c) % 21);
    const struct check_pair out = check_place(c, CHECK_U32, draws);
    const struct check_pair undecided = check_place(c, CHECK_U64, (draws + 63) / 64);
    const struct check_pair random = check_place(c, CHECK_U64, 2 * draws);
    const struct check_pair columns = check_place(c, CHECK_U32, MR_GAUSS_CELLS);
    few_cells(c, &columns);
    const unsigned part_log2 = (unsigned)(check_random(c) % (block_log2 + 1));
    struct mr_gauss_cells want = {.columns = columns.want,
                                  .block_log2 = block_log2,
                                  .within_shift = block_log2 - part_log2,
                                  .slope = (uint32_t)check_random(c) >> (1 + 10 + part_log2 % 8),
                                  .sure = (uint32_t)(check_random(c) % (MR_GAUSS_CELLS + 1))};
    struct mr_gauss_cells got = want;
    got.columns = columns.got;
    c->ref->gauss_draw(out.want, undecided.want, &want, random.want, draws);
    c->level->gauss_draw(out.got, undecided.got, &got, random.got, draws);
    check_finish(c, 0, 0);
}

int main(void)
{
    static const struct check_kernel kernels[] = {{"gauss_draw", gauss_draw, 0}};
    return check_main(kernels, sizeof kernels / sizeof *kernels);
}
