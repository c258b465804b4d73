/* gauss_table.c - the proposal of a variance: cells, their weights, and the alias table of them. */
#include <openssl/bn.h>
#include <string.h>

#include "base/assert.h"
#include "wire/gauss_exp.h"
#include "wire/gauss_internal.h"

typedef unsigned __int128 wide;

#define BITS  88u /* of exp(…) here: times a peak below 2^34 it fits 128 */
#define REACH 33u /* the cells go on until exp(…) is 2^-33: the peak is at most 2^33 */
#define PARTS_LOG2                                                                                 \
    7u /* the parts of a cell that a draw is looked at by: its slope needs no more                 \
        */
#define TAIL_WEIGHT 16u /* eight cells of weight 1, eight of 1/2, eight of 1/4, … */

/* Works out exp(-(x^2) den / (2 num)) of one variance. */
struct curve {
    BN_CTX *context;
    BIGNUM *num, *den, *value;
};

static int curve_open(struct curve *curve, const struct mr_gauss_table *table)
{
    *curve = (struct curve){.context = BN_CTX_new()};
    if (!curve->context) {
        return -1;
    }
    BN_CTX_start(curve->context);
    curve->num = BN_CTX_get(curve->context);
    curve->den = BN_CTX_get(curve->context);
    curve->value = BN_CTX_get(curve->context);
    return curve->value && BN_set_word(curve->den, table->num) && BN_mul_word(curve->den, 2) ? 0
                                                                                             : -1;
}

static void curve_close(struct curve *curve)
{
    if (curve->context) {
        BN_CTX_end(curve->context);
        BN_CTX_free(curve->context);
    }
}

/* 2^BITS exp(…) at x, from below, by MR_GAUSS_EXP_SLACK at most. */
static int curve_at(wide *low, const struct curve *curve, const struct mr_gauss_table *table,
                    uint64_t x)
{
    uint8_t bytes[16];
    if (!BN_set_word(curve->num, x) || !BN_mul_word(curve->num, x) ||
        !BN_mul_word(curve->num, table->den) ||
        mr_gauss_exp(curve->value, curve->num, curve->den, BITS, curve->context) != 0 ||
        BN_bn2lebinpad(curve->value, bytes, sizeof bytes) < 0) {
        return -1;
    }
    memcpy(low, bytes, sizeof bytes);
    return 0;
}

/* Widest cells of which a standard deviation has at least 32. */
static unsigned block_log2(uint64_t num, uint64_t den)
{
    unsigned b = 0;
    while (num / den >> (2 * (b + 1)) >= 1024) {
        b++;
    }
    return b;
}

/* 2^64 peak * low / weight, from below, capped. */
static uint64_t chance(const struct mr_gauss_table *table, wide low, uint32_t weight)
{
    const wide scaled = (low * table->peak) / weight >> (BITS - 64);
    return scaled > UINT64_MAX ? UINT64_MAX : (uint64_t)scaled;
}

/* The exact curve at each cell's first integer, until it is 2^-REACH; sets table->cells. */
static int first_integers(wide firsts[MR_GAUSS_CELLS], struct mr_gauss_table *table,
                          const struct curve *curve)
{
    unsigned cell = 0;
    for (;; cell++) {
        MR_ASSERT(cell + 2 < MR_GAUSS_CELLS); /* 64 of a standard deviation, 6.8 of these */
        if (curve_at(&firsts[cell], curve, table, (uint64_t)cell << table->block_log2) != 0) {
            return -1;
        }
        if (firsts[cell] + MR_GAUSS_EXP_SLACK <= (wide)1 << (BITS - REACH)) {
            table->cells = cell;
            return 0;
        }
    }
}

/* The greatest peak whose weights, each rounded up, stay below 2^32; even. */
static uint64_t peak_of(const struct mr_gauss_table *table, const wide *firsts)
{
    wide sum = 0;
    for (unsigned cell = 0; cell < table->cells; cell++) {
        sum += firsts[cell] + MR_GAUSS_EXP_SLACK;
    }
    if (table->block_log2 == 0) {
        sum -= firsts[0] / 2; /* zero has one sign where all others have two */
    }
    MR_ASSERT(sum >= (wide)1 << (BITS - 1)); /* zero alone is as much */
    const uint64_t room = (UINT64_C(1) << 32) - TAIL_WEIGHT - table->cells - 2;
    const wide peak = ((wide)room << (BITS - 1)) / (sum >> 1);
    const uint64_t most = (UINT64_C(1) << REACH) - 2;
    return (peak > most ? most : (uint64_t)peak) / 2 * 2 - 2;
}

static int fill_cells(struct mr_gauss_table *table, const struct curve *curve)
{
    wide firsts[MR_GAUSS_CELLS], last;
    if (first_integers(firsts, table, curve) != 0) {
        return -1;
    }
    table->peak = peak_of(table, firsts);
    for (unsigned cell = 0; cell < table->cells; cell++) {
        const wide high = (firsts[cell] + MR_GAUSS_EXP_SLACK) * table->peak;
        const uint32_t weight = (uint32_t)(high >> BITS) + 1;
        const uint64_t end = ((uint64_t)(cell + 1) << table->block_log2) - 1;
        if (curve_at(&last, curve, table, end) != 0) {
            return -1;
        }
        table->weight[cell] = weight;
        table->start[cell] = chance(table, firsts[cell], weight);
        table->accept[cell] = chance(table, last, weight);
    }
    if (table->block_log2 == 0) {
        table->weight[0] = (uint32_t)(table->peak / 2);
        table->start[0] = table->accept[0] = UINT64_MAX;
    }
    return 0;
}

/* Walker's alias method in integers: every column is full, so nothing is rounded. */
static void fill_columns(struct mr_gauss_table *table)
{
    uint64_t left[MR_GAUSS_CELLS] = {0}, sum = TAIL_WEIGHT;
    uint16_t below[MR_GAUSS_CELLS], above[MR_GAUSS_CELLS];
    unsigned few = 0, many = 0;
    for (unsigned cell = 0; cell < table->cells; cell++) {
        left[cell] = table->weight[cell];
        sum += left[cell];
    }
    left[table->cells] = TAIL_WEIGHT;
    MR_ASSERT(sum <= UINT64_C(1) << 32);
    left[table->cells + 1] = (UINT64_C(1) << 32) - sum;
    for (unsigned cell = 0; cell < MR_GAUSS_CELLS; cell++) {
        if (left[cell] < MR_GAUSS_COLUMN_FULL) {
            below[few++] = (uint16_t)cell;
        } else {
            above[many++] = (uint16_t)cell;
        }
    }
    while (few > 0) {
        const uint16_t cell = below[--few], giver = above[many - 1];
        table->columns[cell] = MR_GAUSS_COLUMN(left[cell], giver);
        left[giver] -= MR_GAUSS_COLUMN_FULL - left[cell];
        if (left[giver] < MR_GAUSS_COLUMN_FULL) {
            many--;
            below[few++] = giver;
        }
    }
    while (many > 0) {
        const uint16_t cell = above[--many];
        MR_ASSERT(left[cell] == MR_GAUSS_COLUMN_FULL);
        table->columns[cell] = MR_GAUSS_COLUMN(0, cell);
    }
}

/* den / (2 num) with 63 bits. */
static void set_slope(struct mr_gauss_table *table)
{
    unsigned shift = 64;
    while (((wide)table->den << shift) / (2 * table->num) < (wide)1 << 62 && shift < 114) {
        shift++;
    }
    table->slope = (uint64_t)(((wide)table->den << shift) / (2 * table->num));
    table->slope_shift = shift;
}

/* What struct mr_gauss_cells says of it. A cell has 2^part_log2 parts; where it is one integer wide
 * its start is all that counts. */
static void set_parts(struct mr_gauss_table *table)
{
    const unsigned b = table->block_log2, part_log2 = b < PARTS_LOG2 ? b : PARTS_LOG2;
    table->part_shift = b - part_log2;
    table->part_slope =
        b == 0 ? 0 : (uint32_t)(((wide)table->den << (31 + 2 * b - part_log2)) / table->num) + 1;
    table->sure_cells = 0;
    while (table->sure_cells < table->cells &&
           table->start[table->sure_cells] >> 32 > MR_GAUSS_FLOOR) {
        table->sure_cells++;
    }
}

int mr_gauss_table_init(struct mr_gauss_table *table, uint64_t num, uint64_t den)
{
    if (den == 0 || den > MR_GAUSS_DEN_MAX || num / den > MR_GAUSS_SIGMA2_MAX || num == 0 ||
        num > UINT64_MAX / 16 || 16 * num < den) {
        return -1;
    }
    *table = (struct mr_gauss_table){.num = num, .den = den, .block_log2 = block_log2(num, den)};
    struct curve curve;
    const int status = curve_open(&curve, table) == 0 ? fill_cells(table, &curve) : -1;
    curve_close(&curve);
    if (status == 0) {
        fill_columns(table);
        set_slope(table);
        set_parts(table);
    }
    return status;
}
