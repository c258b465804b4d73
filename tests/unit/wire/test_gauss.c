/* test_gauss.c - the sampler: its table by its own rules, its draws against exp in long double, its
 * samples by chi-square and moments, its bytes by a hash that every machine must get. */
#include "wire_test.h"

#include <math.h>

#include "base/bytes.h"
#include "wire/gauss_internal.h"

#define SAMPLES 400000u

static const struct {
    uint64_t num, den;
} variances[] = {{1, 4}, {1, 1}, {4, 1}, {100, 1}, {1000000, 1}, {UINT64_C(1) << 50, 1}};
#define VARIANCES (sizeof variances / sizeof *variances)

static long double weight_at(const struct mr_gauss_table *table, uint64_t x)
{
    const long double square = (long double)x * x;
    return table->peak * expl(-square * table->den / (2 * (long double)table->num));
}

static void key_of(uint8_t key[MR_GAUSS_KEY_BYTES], uint64_t seed)
{
    test_fill(&seed, key, MR_GAUSS_KEY_BYTES);
}

/* --- the table ----------------------------------------------------------------------------------
 */

/* What the first 32 bits say is taken is taken, to the end of each part of each cell; and
 * they say it of nearly all. */
static void parts_hold(const struct mr_gauss_table *table)
{
    const uint64_t block = UINT64_C(1) << table->block_log2;
    const long double sigma = sqrtl((long double)table->num / table->den);
    for (unsigned cell = 0; cell < table->sure_cells; cell++) {
        for (uint64_t part = 0; part < block >> table->part_shift; part++) {
            const uint64_t x = cell * block + (part << table->part_shift);
            const uint64_t far = (uint64_t)table->part_slope * (2 * cell + 1) * part;
            const long double chance = weight_at(table, x) / table->weight[cell];
            assert_true(far < UINT64_C(1) << 31);
            assert_true((MR_GAUSS_FLOOR - far) * 0x1p-32L <= chance || (block == 1 && cell == 0));
            assert_true(chance - (MR_GAUSS_FLOOR - far) * 0x1p-32L < 1.0L / 32 ||
                        (block == 1 && cell == 0));
        }
    }
    assert_true(table->sure_cells * block > 3 * sigma);
}

static void table_holds(const struct mr_gauss_table *table)
{
    const uint64_t block = UINT64_C(1) << table->block_log2;
    uint64_t mass[MR_GAUSS_CELLS] = {0}, sum = 16;
    for (unsigned i = 0; i < MR_GAUSS_CELLS; i++) {
        const uint32_t share = MR_GAUSS_COLUMN_SHARE(table->columns[i]);
        mass[i] += share;
        mass[MR_GAUSS_COLUMN_OTHER(table->columns[i])] += (1u << 23) - share;
    }
    for (unsigned i = 0; i < table->cells; i++) {
        const uint64_t first = i * block, last = first + block - 1;
        assert_int_equal(mass[i], table->weight[i]);
        sum += table->weight[i];
        if (i > 0 || block > 1) { /* zero, alone in its cell, has one sign only */
            assert_true(table->weight[i] >= weight_at(table, first) * (1 - 1e-15L));
            assert_true(table->weight[i] <= weight_at(table, first) + 2);
            const long double start = weight_at(table, first) / table->weight[i];
            assert_true(fabsl(table->start[i] * 0x1p-64L - start) < 1e-15L);
        }
        const long double end = weight_at(table, last) / table->weight[i];
        assert_true(table->accept[i] * 0x1p-64L <= end + 1e-15L || (i == 0 && block == 1));
    }
    assert_int_equal(mass[table->cells], 16);
    assert_int_equal(mass[table->cells + 1], (UINT64_C(1) << 32) - sum);
    assert_true(sum > (UINT64_C(1) << 32) - 1024); /* hardly a draw is lost to it */
    /* The tail's cells: eight of weight 1, eight of 1/2, … are above the curve. */
    for (unsigned i = 0; i < 60; i++) {
        const uint64_t first = (table->cells + 8 * i) * block;
        assert_true(weight_at(table, first) <= ldexpl(1, -(int)i));
    }
    parts_hold(table);
    assert_true(table->peak % 2 == 0);
    assert_true(block > 1 || table->weight[0] == table->peak / 2);
}

static void test_tables(void **state)
{
    (void)state;
    struct mr_gauss_table table;
    for (size_t i = 0; i < VARIANCES; i++) {
        assert_int_equal(mr_gauss_table_init(&table, variances[i].num, variances[i].den), 0);
        table_holds(&table);
    }
    /* Around the sizes at which cells become wider. */
    for (uint64_t sigma2 = 4092; sigma2 < 4100; sigma2++) {
        assert_int_equal(mr_gauss_table_init(&table, sigma2, 1), 0);
        table_holds(&table);
    }
    assert_int_equal(mr_gauss_table_init(&table, 4095, 4096 / 256), 0);
    table_holds(&table);
}

static void test_limits(void **state)
{
    (void)state;
    struct mr_gauss_table table;
    assert_int_equal(mr_gauss_table_init(&table, 0, 1), -1);
    assert_int_equal(mr_gauss_table_init(&table, 1, 0), -1);
    assert_int_equal(mr_gauss_table_init(&table, 1, 17), -1);
    assert_int_equal(mr_gauss_table_init(&table, 1, 16), 0);
    assert_int_equal(mr_gauss_table_init(&table, 1u << 20, MR_GAUSS_DEN_MAX + 1), -1);
    assert_int_equal(mr_gauss_table_init(&table, MR_GAUSS_SIGMA2_MAX + 1, 1), -1);
    assert_int_equal(mr_gauss_table_init(&table, UINT64_MAX, MR_GAUSS_DEN_MAX), -1);
}

/* --- one draw -----------------------------------------------------------------------------------
 */

static uint64_t next_number(void *context)
{
    return test_random(context);
}

/* What 64-bit bounds say is what exact ones say, near the border too. */
static void test_bounds_agree(void **state)
{
    (void)state;
    struct mr_gauss_table table;
    uint64_t seed = 11;
    unsigned unclear = 0;
    for (unsigned n = 0; n < 3000; n++) {
        const size_t which = n / 500;
        if (n % 500 == 0) {
            assert_int_equal(
                mr_gauss_table_init(&table, variances[which].num, variances[which].den), 0);
        }
        const unsigned cell = (unsigned)(test_random(&seed) % table.cells);
        const uint64_t within = test_random(&seed) & ((UINT64_C(1) << table.block_log2) - 1);
        struct mr_gauss_draw draw = {.x = ((uint64_t)cell << table.block_log2) + within,
                                     .weight = table.weight[cell]};
        if (draw.x == 0) {
            continue;
        }
        const long double chance = weight_at(&table, draw.x) / (long double)draw.weight;
        const int64_t beside = (int64_t)(test_random(&seed) % 40000) - 20000;
        draw.u = n % 2 != 0 ? test_random(&seed) : (uint64_t)(chance * 0x1p64L) + (uint64_t)beside;
        const enum mr_gauss_word word = mr_gauss_judge(&table, cell, within, draw.u);
        const int exact = mr_gauss_judge_exactly(&table, &draw, next_number, &seed);
        unclear += word == MR_GAUSS_UNCLEAR;
        assert_true(exact == 0 || exact == 1);
        assert_true(word == MR_GAUSS_UNCLEAR || (int)word == exact);
        assert_true(draw.u >= table.accept[cell] || exact == 1);
        const struct mr_gauss_cells cells = mr_gauss_cells_of(&table);
        const struct mr_gauss_place place = {.cell = cell, .within = (uint32_t)within};
        assert_true(mr_gauss_unsure(&cells, &place, (uint32_t)(draw.u >> 32)) || exact == 1);
        if (fabsl(draw.u * 0x1p-64L - chance) > 1e-14L * chance) {
            assert_int_equal(exact, draw.u * 0x1p-64L < chance);
        }
    }
    assert_true(unclear > 50);
}

static uint64_t all_ones(void *context)
{
    ++*(unsigned *)context;
    return UINT64_MAX;
}

static uint64_t all_zeros(void *context)
{
    ++*(unsigned *)context;
    return 0;
}

/* exp(-0) is 1: U = 0.111… stays below 1 with every bit, and is decided by none. U = 0.5 exactly
 * against peak / weight = 1/2 is not below. */
static void test_borders(void **state)
{
    (void)state;
    struct mr_gauss_table table = {.num = 1, .den = 1, .peak = 4};
    struct mr_gauss_draw draw = {.x = 0, .weight = 4, .u = UINT64_MAX};
    unsigned words = 0;
    assert_int_equal(mr_gauss_judge_exactly(&table, &draw, all_ones, &words), 0);
    assert_int_equal(words, 15); /* to 1,024 bits, then no */
    draw = (struct mr_gauss_draw){.x = 0, .weight = 8, .u = UINT64_C(1) << 63};
    words = 0;
    assert_int_equal(mr_gauss_judge_exactly(&table, &draw, all_ones, &words), 0);
    draw.u--;
    words = 0;
    assert_int_equal(mr_gauss_judge_exactly(&table, &draw, all_zeros, &words), 1);
    /* A power of two more in the tail. */
    draw = (struct mr_gauss_draw){.x = 0, .weight = 8, .doublings = 1, .u = UINT64_MAX - 7};
    assert_int_equal(mr_gauss_judge_exactly(&table, &draw, all_zeros, &words), 1);
    /* exp(-800) is 2^-1154: no 1,024 bits reach it. */
    draw = (struct mr_gauss_draw){.x = 40, .weight = 4, .u = 0};
    words = 0;
    assert_int_equal(mr_gauss_judge_exactly(&table, &draw, all_zeros, &words), 0);
    /* exp(-200) is 2^-289 and a bit. */
    draw = (struct mr_gauss_draw){.x = 20, .weight = 4, .u = 0};
    words = 0;
    assert_int_equal(mr_gauss_judge_exactly(&table, &draw, all_zeros, &words), 1);
    assert_true(words >= 3 && words <= 5);
}

/* --- samples ------------------------------------------------------------------------------------
 */

/* Chi-square of counts in bins of `width` integers around zero; all far ones are one bin. */
static void chi_square(const int32_t *samples, uint64_t num, uint64_t den)
{
    enum { BINS = 41 };
    const double sigma2 = (double)num / (double)den;
    const double want_width = sqrt(sigma2) / 5;
    const int64_t width = want_width < 1 ? 1 : 2 * (int64_t)(want_width / 2) + 1; /* odd */
    double counts[BINS] = {0}, expected[BINS] = {0}, far = SAMPLES, norm = 0;
    const int64_t reach = width == 1 ? 400 : BINS * width * 2;
    for (int64_t x = -reach; x <= reach; x++) {
        norm += exp(-(double)(x * x) / (2 * sigma2));
    }
    for (int64_t i = 0; i < BINS; i++) {
        const int64_t middle = (i - BINS / 2) * width;
        for (int64_t x = middle - width / 2; x <= middle + width / 2; x++) {
            expected[i] += SAMPLES * exp(-(double)(x * x) / (2 * sigma2)) / norm;
        }
        far -= expected[i];
    }
    double outside = 0, sum = 0;
    for (size_t n = 0; n < SAMPLES; n++) {
        const int64_t shifted = samples[n] + width / 2 + (BINS / 2) * width;
        const int64_t bin = shifted < 0 ? -1 : shifted / width;
        if (bin < 0 || bin >= BINS) {
            outside++;
        } else {
            counts[bin]++;
        }
    }
    unsigned freedom = 0;
    for (unsigned i = 0; i < BINS; i++) {
        if (expected[i] >= 8) {
            sum += (counts[i] - expected[i]) * (counts[i] - expected[i]) / expected[i];
            freedom++;
        } else {
            far += expected[i];
            outside += counts[i];
        }
    }
    if (far >= 8) {
        sum += (outside - far) * (outside - far) / far;
    } else {
        assert_true(outside < far + 6 * sqrt(far) + 6);
    }
    /* Fixed seeds: this passes or fails for good. Four deviations of a chi-square. */
    if (fabs(sum - freedom) > 4 * sqrt(2.0 * freedom)) {
        fail_msg("sigma^2 %g: chi-square %.1f of %u", sigma2, sum, freedom);
    }
}

/* Variance and fourth moment of the exact distribution. */
static void exact_moments(double moments[2], double sigma2)
{
    const int64_t reach = sigma2 > 1e4 ? 0 : 400;
    if (reach == 0) { /* as the continuous one, but for e^-2000 */
        moments[0] = sigma2;
        moments[1] = 3 * sigma2 * sigma2;
        return;
    }
    double norm = 0, second = 0, fourth = 0;
    for (int64_t x = -reach; x <= reach; x++) {
        const double p = exp(-(double)(x * x) / (2 * sigma2)), square = (double)(x * x);
        norm += p;
        second += p * square;
        fourth += p * square * square;
    }
    moments[0] = second / norm;
    moments[1] = fourth / norm;
}

static void moments_hold(const int32_t *samples, uint64_t num, uint64_t den)
{
    double exact[2], sum = 0, second = 0, fourth = 0, following = 0;
    exact_moments(exact, (double)num / (double)den);
    for (size_t n = 0; n < SAMPLES; n++) {
        const double x = samples[n];
        sum += x;
        second += x * x;
        fourth += x * x * x * x;
        following += n > 0 ? x * samples[n - 1] : 0;
    }
    const double root = sqrt(SAMPLES);
    assert_true(fabs(sum / SAMPLES) < 4 * sqrt(exact[0]) / root);
    assert_true(fabs(second / SAMPLES - exact[0]) <
                4 * sqrt(exact[1] - exact[0] * exact[0]) / root);
    /* The fourth moment's own deviation is that of a Gaussian, or less than twice it. */
    assert_true(fabs(fourth / SAMPLES / exact[1] - 1) < 8 * sqrt(96.0 / 9) / root);
    assert_true(fabs(following / SAMPLES) < 4 * exact[0] / root);
}

static void test_distribution(void **state)
{
    (void)state;
    struct mr_gauss_table table;
    struct mr_gauss gauss;
    uint8_t key[MR_GAUSS_KEY_BYTES];
    int32_t *samples = malloc(SAMPLES * sizeof *samples);
    assert_non_null(samples);
    for (size_t i = 0; i < VARIANCES; i++) {
        key_of(key, 100 + i);
        assert_int_equal(mr_gauss_table_init(&table, variances[i].num, variances[i].den), 0);
        mr_gauss_init(&gauss, &table, key, mr_kernels_select(~0u));
        assert_int_equal(mr_gauss_fill(&gauss, samples, SAMPLES), 0);
        moments_hold(samples, variances[i].num, variances[i].den);
        if (variances[i].num < 1u << 30) {
            chi_square(samples, variances[i].num, variances[i].den);
        }
    }
    free(samples);
}

/* Every draw goes to the tail: what comes has the exact distribution beyond it. */
static void test_tail(void **state)
{
    enum { DRAWN = 250 };
    (void)state;
    static const uint64_t sigma2[] = {4, 100, 1000000};
    for (size_t which = 0; which < sizeof sigma2 / sizeof *sigma2; which++) {
        struct mr_gauss_table table;
        struct mr_gauss gauss;
        uint8_t key[MR_GAUSS_KEY_BYTES];
        int32_t samples[DRAWN];
        key_of(key, 200 + which);
        assert_int_equal(mr_gauss_table_init(&table, sigma2[which], 1), 0);
        for (unsigned i = 0; i < MR_GAUSS_CELLS; i++) {
            table.columns[i] = MR_GAUSS_COLUMN(0, table.cells);
        }
        mr_gauss_init(&gauss, &table, key, mr_kernels_select(~0u));
        assert_int_equal(mr_gauss_fill(&gauss, samples, DRAWN), 0);
        const int64_t from = (int64_t)table.cells << table.block_log2;
        double mean = 0, norm = 0, first = 0, square = 0, sign = 0;
        for (int64_t x = from; x < 2 * from; x++) {
            const double p = exp(-(double)(x * x - from * from) / (2.0 * (double)sigma2[which]));
            norm += p;
            first += p * (double)(x - from);
            square += p * (double)(x - from) * (double)(x - from);
        }
        first /= norm;
        const double deviation = sqrt(square / norm - first * first);
        for (unsigned i = 0; i < DRAWN; i++) {
            const int64_t x = samples[i] < 0 ? -(int64_t)samples[i] : samples[i];
            assert_true(x >= from);
            mean += (double)(x - from) / DRAWN;
            sign += samples[i] < 0 ? -1 : 1;
        }
        assert_true(fabs(mean - first) < 4 * deviation / sqrt(DRAWN));
        assert_true(fabs(sign) < 4 * sqrt(DRAWN));
    }
}

/* --- bytes --------------------------------------------------------------------------------------
 */

static void hash_of(char hex[65], uint64_t num, uint64_t den, const struct mr_kernels *kernels,
                    size_t step)
{
    enum { COUNT = 20000 };
    struct mr_gauss_table table;
    struct mr_gauss gauss;
    uint8_t key[MR_GAUSS_KEY_BYTES], hash[32];
    int32_t *samples = malloc(COUNT * sizeof *samples);
    assert_non_null(samples);
    for (unsigned i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)i;
    }
    assert_int_equal(mr_gauss_table_init(&table, num, den), 0);
    mr_gauss_init(&gauss, &table, key, kernels);
    for (size_t at = 0; at < COUNT; at += step) {
        const size_t left = COUNT - at;
        assert_int_equal(mr_gauss_fill(&gauss, samples + at, left < step ? left : step), 0);
    }
    assert_int_equal(EVP_Digest(samples, COUNT * sizeof *samples, hash, NULL, EVP_sha256(), NULL),
                     1);
    mr_hex_encode(hex, hash, sizeof hash);
    free(samples);
}

/* The same bytes at every ISA level, however they are asked for, today as when this was written. */
static void test_bytes(void **state)
{
    (void)state;
    static const char *const wanted[VARIANCES] = {
        "5c006c602822b530dfa91f630fd412ef59f20cf9ad9f8115093e12b4a598236c",
        "e59cfca3bcebb13bc5c3241e3a0d40b7fcc691bf9a63b40a5f30100b25a3857d",
        "8e02345863c57a8ee70fece7e1a2c3907cfd8e0e154e0d910935bbd7d839f4d8",
        "712cade9332ee96a042e8a5a599fbadda4b9cd3a25fd9e4a5085f307bbefc37f",
        "a8d9ffdbbb8a0d90707069f68b2fd895695115250714f61ae8b897828c1edd05",
        "904421c7141362d11a9cdfcb9c962797db66607dc848f020ce1b17b024771105",
    };
    static const enum mr_cpu_level levels[] = {MR_CPU_SCALAR, MR_CPU_AVX2, MR_CPU_AVX512,
                                               MR_CPU_NEON};
    char hex[65];
    for (size_t i = 0; i < VARIANCES; i++) {
        for (size_t k = 0; k < sizeof levels / sizeof *levels; k++) {
            const struct mr_kernels *kernels = mr_kernels_at(levels[k]);
            if (kernels) {
                hash_of(hex, variances[i].num, variances[i].den, kernels, 20000);
                assert_string_equal(hex, wanted[i]);
            }
        }
        hash_of(hex, variances[i].num, variances[i].den, mr_kernels_select(~0u), 777);
        assert_string_equal(hex, wanted[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),       cmocka_unit_test(test_limits),
        cmocka_unit_test(test_bounds_agree), cmocka_unit_test(test_borders),
        cmocka_unit_test(test_distribution), cmocka_unit_test(test_tail),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
