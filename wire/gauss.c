/* gauss.c - how a sample comes about.
 *
 * The integers from 0 on are cut into cells of 2^b, 16 to 32 of them to a standard deviation (b =
 * 0, one integer each, below sigma = 32). A cell's weight is an integer that its integers' exact
 * weights, A exp(-x^2 / (2 sigma^2)), do not exceed. A draw of 128 random bits
 *
 *   1. takes a cell with a chance of its weight (alias table: integers, exact),
 *   2. an integer x of the cell, each alike, and a sign (of two zeros one is thrown away),
 *   3. keeps x with the chance exact weight / cell's weight: U < that, U uniform in [0, 1).
 *
 * What is kept has the exact distribution, whatever A and the weights are. For nearly all draws the
 * 64 bits of U are below what the cell's last integer allows; for a few in a hundred exp is worked
 * out to 64 bits with a bound on the error; where U is within that bound, once in 2^50 or less,
 * further bits of U and of exp decide (gauss_exact.c). The last cell is the tail: eight cells of
 * weight 1, then eight of weight 1/2, and so on for ever; its draws, once in 2^28, are decided
 * exactly at once. */
#include "wire/gauss.h"

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "wire/gauss_internal.h"

__extension__ typedef unsigned __int128 wide;

#define TERMS  15   /* of exp's series: the argument is below 0.45, what is left out below 2^-57 */
#define UNSURE 4096 /* units of 2^-64: start is off by 2^11 at most, the series by 2^8 */
#define ONE    (UINT64_C(1) << 63)

/* 2^63 exp(-d / 2^63), d below 0.45 * 2^63. */
static uint64_t exp_below(uint64_t d)
{
    static const uint64_t part[TERMS + 1] = {
        0,       ONE,     ONE / 2,  ONE / 3,  ONE / 4,  ONE / 5,  ONE / 6,  ONE / 7,
        ONE / 8, ONE / 9, ONE / 10, ONE / 11, ONE / 12, ONE / 13, ONE / 14, ONE / 15};
    uint64_t value = ONE;
    for (unsigned i = TERMS; i > 0; i--) {
        const uint64_t term = (uint64_t)((wide)d * value >> 63);
        value = ONE - (uint64_t)((wide)term * part[i] >> 63);
    }
    return value;
}

enum mr_gauss_word mr_gauss_judge(const struct mr_gauss_table *table, unsigned cell,
                                  uint64_t within, uint64_t u)
{
    uint64_t chance = table->start[cell];
    if (within != 0) {
        /* x^2 - first^2 */
        const uint64_t squares = within * (((uint64_t)cell << (table->block_log2 + 1)) + within);
        const wide exponent = (wide)squares * table->slope >> (table->slope_shift - 63);
        chance = (uint64_t)((wide)chance * exp_below((uint64_t)exponent) >> 63);
    }
    if (u < chance && chance - u > UNSURE) {
        return MR_GAUSS_YES;
    }
    return u > chance && u - chance > UNSURE ? MR_GAUSS_NO : MR_GAUSS_UNCLEAR;
}

/* --- random bits --------------------------------------------------------------------------------
 */

static void refill(struct mr_gauss *gauss)
{
    gauss->kernels->mask_expand((uint8_t *)gauss->random, &gauss->draws, 16 * gauss->drawn_blocks,
                                sizeof gauss->random);
    gauss->drawn_blocks += sizeof gauss->random / 16;
    gauss->at = 0;
}

/* Of the second stream. */
static uint64_t more_bits(void *context)
{
    struct mr_gauss *gauss = context;
    uint64_t block[2];
    gauss->kernels->mask_expand((uint8_t *)block, &gauss->more, 16 * gauss->more_blocks++,
                                sizeof block);
    return block[0];
}

void mr_gauss_init(struct mr_gauss *gauss, const struct mr_gauss_table *table,
                   const uint8_t key[MR_GAUSS_KEY_BYTES], const struct mr_kernels *kernels)
{
    uint8_t counter[16];
    memcpy(counter, key + 16, sizeof counter);
    *gauss = (struct mr_gauss){.table = table, .kernels = kernels};
    mr_mask_stream_init(&gauss->draws, key, counter);
    counter[0] ^= 0x80; /* 2^127 blocks away */
    mr_mask_stream_init(&gauss->more, key, counter);
    gauss->at = sizeof gauss->random / sizeof *gauss->random;
}

/* --- samples ------------------------------------------------------------------------------------
 */

/* A draw of the tail: x in *x. 1, 0 or -1. */
static int judge_tail(struct mr_gauss *gauss, uint64_t *x)
{
    const struct mr_gauss_table *table = gauss->table;
    unsigned halvings = 0;
    uint64_t bits = more_bits(gauss);
    while (bits % 2 != 0 && halvings < 4096) {
        halvings++;
        bits = halvings % 64 == 0 ? more_bits(gauss) : bits >> 1;
    }
    const uint64_t place = more_bits(gauss) & ((UINT64_C(8) << table->block_log2) - 1);
    *x = (((uint64_t)table->cells + 8 * halvings) << table->block_log2) + place;
    const struct mr_gauss_draw draw = {
        .x = *x, .weight = 1, .doublings = halvings, .u = more_bits(gauss)};
    /* Beyond 64 standard deviations: a chance of 2^-2900. */
    return *x > INT32_MAX ? 0 : mr_gauss_judge_exactly(table, &draw, more_bits, gauss);
}

/* A draw that the cell's last integer does not take. 1, 0 or -1. */
static int judge(struct mr_gauss *gauss, unsigned cell, uint64_t *x, uint64_t u)
{
    const struct mr_gauss_table *table = gauss->table;
    if (cell >= table->cells) {
        return cell == table->cells ? judge_tail(gauss, x) : 0;
    }
    if (*x == 0 && table->block_log2 == 0) {
        return 1; /* its weight is exact */
    }
    const uint64_t within = *x & ((UINT64_C(1) << table->block_log2) - 1);
    const enum mr_gauss_word word = mr_gauss_judge(table, cell, within, u);
    if (word != MR_GAUSS_UNCLEAR) {
        return word == MR_GAUSS_YES;
    }
    const struct mr_gauss_draw draw = {.x = *x, .weight = table->weight[cell], .u = u};
    return mr_gauss_judge_exactly(table, &draw, more_bits, gauss);
}

/* What a draw's first 64 bits choose. */
struct choice {
    uint64_t x;
    unsigned cell;
    uint32_t negative; /* 0 or 1 */
};

/* 8 bits column, 24 share, 1 sign, the rest the place in the cell. No branch: all are as good as
 * random. */
static inline struct choice choose(const struct mr_gauss_table *table, uint64_t bits)
{
    const unsigned own = (unsigned)(bits & (MR_GAUSS_CELLS - 1));
    const struct mr_gauss_column column = table->columns[own];
    const uint32_t mine = -(uint32_t)((bits >> 8 & 0xffffff) < column.share);
    const unsigned cell = (own & mine) | (column.other & ~mine);
    const uint64_t place = bits >> 33 & ((UINT64_C(1) << table->block_log2) - 1);
    return (struct choice){.x = ((uint64_t)cell << table->block_log2) + place,
                           .cell = cell,
                           .negative = (uint32_t)(bits >> 32 & 1)};
}

int mr_gauss_fill(struct mr_gauss *gauss, int32_t *out, size_t count)
{
    const struct mr_gauss_table *table = gauss->table;
    size_t done = 0;
    while (done < count) {
        if (gauss->at == sizeof gauss->random / sizeof *gauss->random) {
            refill(gauss);
        }
        struct choice choice = choose(table, gauss->random[gauss->at]);
        const uint64_t u = gauss->random[gauss->at + 1];
        gauss->at += 2;
        if (u >= table->accept[choice.cell]) {
            const int taken = judge(gauss, choice.cell, &choice.x, u);
            if (taken < 0) {
                return -1;
            }
            if (taken == 0) {
                continue;
            }
        }
        if (choice.x == 0 && choice.negative != 0 && table->block_log2 != 0) {
            continue; /* one of two zeros */
        }
        out[done++] = (int32_t)(((uint32_t)choice.x ^ -choice.negative) + choice.negative);
    }
    return 0;
}
