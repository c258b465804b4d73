/* gauss.c - how a sample comes about.
 *
 * The integers from 0 on are cut into cells of 2^b, 32 to 64 of them to a standard deviation (b =
 * 0, one integer each, below sigma = 64). A cell's weight is an integer that its integers' exact
 * weights, A exp(-x^2 / (2 sigma^2)), do not exceed. A draw of 128 random bits
 *
 *   1. takes a cell with a chance of its weight (alias table: integers, exact),
 *   2. an integer x of the cell, each alike, and a sign (of two zeros one is thrown away),
 *   3. keeps x with the chance exact weight / cell's weight: U < that, U uniform in [0, 1).
 *
 * What is kept has the exact distribution, whatever A and the weights are. For nearly all draws the
 * first 32 bits of U say that they are taken (kernels/gauss_cells.h); for most others the first
 * terms of exp's series decide; for one in thousands exp is worked out to 64 bits with a bound on
 * the error; where U is within that bound, once in 2^50 or less, further bits of U and of exp
 * decide (gauss_exact.c). The last cell is the tail: eight cells of weight 1, then eight of weight
 * 1/2, and so on for ever; its draws, once in 2^28, are decided exactly at once. */
#include "wire/gauss.h"

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "wire/gauss_internal.h"

typedef unsigned __int128 wide;

#define TERMS  15   /* of exp's series: the argument is below 0.22, what is left out below 2^-57 */
#define UNSURE 4096 /* units of 2^-64: start is off by 2^11 at most, the series by 2^8 */
#define ONE    (UINT64_C(1) << 63)

/* 2^63 exp(-d / 2^63), d below 0.22 * 2^63. */
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

/* 1 - d <= exp(-d) <= 1 - d + d^2 / 2: in steps of 2^-63, the chance of the cell's first integer
 * being `start`. */
static enum mr_gauss_word judge_roughly(uint64_t start, uint64_t d, uint64_t u)
{
    const uint64_t less = (uint64_t)((wide)start * d >> 63);
    const uint64_t more = (uint64_t)((wide)less * d >> 64); /* less * d / 2 */
    if (u + UNSURE < start - less) {
        return MR_GAUSS_YES;
    }
    return u > start - less + more + UNSURE ? MR_GAUSS_NO : MR_GAUSS_UNCLEAR;
}

enum mr_gauss_word mr_gauss_judge(const struct mr_gauss_table *table, unsigned cell,
                                  uint64_t within, uint64_t u)
{
    uint64_t chance = table->start[cell];
    if (u >= UINT64_MAX - 2 * UNSURE) {
        return MR_GAUSS_UNCLEAR; /* so that no sum below wraps */
    }
    if (within != 0) {
        /* x^2 - first^2 */
        const uint64_t squares = within * (((uint64_t)cell << (table->block_log2 + 1)) + within);
        const uint64_t d = (uint64_t)((wide)squares * table->slope >> (table->slope_shift - 63));
        const enum mr_gauss_word word = judge_roughly(chance, d, u);
        if (word != MR_GAUSS_UNCLEAR) {
            return word;
        }
        chance = (uint64_t)((wide)chance * exp_below(d) >> 63);
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

/* Whether a draw is taken (1, 0, or -1 when out of memory), and as which integer. */
struct verdict {
    uint64_t x;
    int taken;
};

static struct verdict judge_tail(struct mr_gauss *gauss)
{
    const struct mr_gauss_table *table = gauss->table;
    unsigned halvings = 0;
    uint64_t bits = more_bits(gauss);
    while (bits % 2 != 0 && halvings < 4096) {
        halvings++;
        bits = halvings % 64 == 0 ? more_bits(gauss) : bits >> 1;
    }
    const uint64_t place = more_bits(gauss) & ((UINT64_C(8) << table->block_log2) - 1);
    const uint64_t x = (((uint64_t)table->cells + 8 * halvings) << table->block_log2) + place;
    const struct mr_gauss_draw draw = {
        .x = x, .weight = 1, .doublings = halvings, .u = more_bits(gauss)};
    /* Beyond 64 standard deviations: a chance of 2^-2900. */
    const int taken = x > INT32_MAX ? 0 : mr_gauss_judge_exactly(table, &draw, more_bits, gauss);
    return (struct verdict){.x = x, .taken = taken};
}

/* A draw that the cell's last integer does not take. */
static __attribute__((noinline)) struct verdict judge(struct mr_gauss *gauss, unsigned cell,
                                                      uint64_t x, uint64_t u)
{
    const struct mr_gauss_table *table = gauss->table;
    if (cell >= table->cells) {
        return cell == table->cells ? judge_tail(gauss) : (struct verdict){.taken = 0};
    }
    if (x == 0 && table->block_log2 == 0) {
        return (struct verdict){.taken = 1}; /* its weight is exact */
    }
    const uint64_t within = x & ((UINT64_C(1) << table->block_log2) - 1);
    const enum mr_gauss_word word = mr_gauss_judge(table, cell, within, u);
    if (word != MR_GAUSS_UNCLEAR) {
        return (struct verdict){.x = x, .taken = word == MR_GAUSS_YES};
    }
    const struct mr_gauss_draw draw = {.x = x, .weight = table->weight[cell], .u = u};
    return (struct verdict){.x = x,
                            .taken = mr_gauss_judge_exactly(table, &draw, more_bits, gauss)};
}

/* What becomes of a draw that the kernel left undecided: as judge(). */
static struct verdict settle(struct mr_gauss *gauss, const struct mr_gauss_cells *cells,
                             const uint64_t *random, int32_t *sample)
{
    const struct mr_gauss_place place = mr_gauss_place_of(cells, random[0]);
    struct verdict verdict = {.x = place.x, .taken = 1};
    if (random[1] >= gauss->table->accept[place.cell]) {
        verdict = judge(gauss, place.cell, place.x, random[1]);
    }
    const struct mr_gauss_place taken = {.x = (uint32_t)verdict.x, .negative = place.negative};
    if (verdict.taken > 0 && mr_gauss_second_zero(cells, &taken)) {
        verdict.taken = 0;
    }
    *sample = (int32_t)((taken.x ^ taken.negative) - taken.negative);
    return verdict;
}

/* Closes the gap between the `kept` samples in front and those from `from` to before `to`. How many
 * there are then. */
static size_t close_up(int32_t *out, size_t kept, size_t from, size_t to)
{
    if (kept != from) {
        memmove(out + kept, out + from, (to - from) * sizeof *out);
    }
    return kept + to - from;
}

/* The next `draws` of `random`: how many samples they give, or -1. */
static ptrdiff_t take_draws(struct mr_gauss *gauss, int32_t *out, size_t draws)
{
    const struct mr_gauss_cells cells = mr_gauss_cells_of(gauss->table);
    const uint64_t *random = gauss->random + gauss->at;
    uint64_t undecided[MR_GAUSS_DRAWS / 64];
    size_t kept = 0, from = 0;
    gauss->kernels->gauss_draw(out, undecided, &cells, random, draws);
    gauss->at += 2 * (unsigned)draws;
    for (size_t word = 0; word < (draws + 63) / 64; word++) {
        for (uint64_t left = undecided[word]; left != 0; left &= left - 1) {
            const size_t at = 64 * word + (size_t)__builtin_ctzll(left);
            const int taken = settle(gauss, &cells, random + 2 * at, &out[at]).taken;
            if (taken < 0) {
                return -1;
            }
            if (taken == 0) {
                kept = close_up(out, kept, from, at);
                from = at + 1;
            }
        }
    }
    return (ptrdiff_t)close_up(out, kept, from, draws);
}

int mr_gauss_fill(struct mr_gauss *gauss, int32_t *out, size_t count)
{
    const unsigned end = sizeof gauss->random / sizeof *gauss->random;
    while (count > 0) {
        if (gauss->at == end) {
            refill(gauss);
        }
        /* A draw gives one sample at most: none is drawn that is not asked for. */
        const size_t draws = (end - gauss->at) / 2;
        const ptrdiff_t done = take_draws(gauss, out, draws < count ? draws : count);
        if (done < 0) {
            return -1;
        }
        out += done;
        count -= (size_t)done;
    }
    return 0;
}
