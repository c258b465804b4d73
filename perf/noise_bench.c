/* noise_bench.c - the discrete Gaussian: nanoseconds a sample, what a hub takes for the noise of a
 * release, and what the time of a release tells of its noise, where the noise is drawn in the
 * release and where it was drawn before.
 *
 *   noise_bench [--quick] [--json FILE]
 *
 * CPU time of this thread. A release is LANES samples added to as many lanes of 32 bits; what its
 * time is held against is the sum of the samples' sizes, which is what a longer time could come
 * from. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "perf/figures.h"
#include "wire/gauss.h"
#include "wire/noise_add.h"

#define SAMPLES       1000000u
#define LANES         1024u
#define RELEASES      10000u
#define RELEASE_LANES (1u << 20)

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void open_at(struct mr_gauss *gauss, const struct mr_gauss_table *table, uint8_t number,
                    const struct mr_kernels *kernels)
{
    const uint8_t key[MR_GAUSS_KEY_BYTES] = {number};
    mr_gauss_init(gauss, table, key, kernels);
}

static void open_sampler(struct mr_gauss *gauss, const struct mr_gauss_table *table, uint8_t number)
{
    open_at(gauss, table, number, mr_kernels_select(~0u));
}

static void draw(struct mr_gauss *gauss, int32_t *samples, size_t count)
{
    const int status = mr_gauss_fill(gauss, samples, count);
    MR_ASSERT(status == 0);
}

/* The variance is right, or nothing is measured. */
static void check(const int32_t *samples, size_t count, double sigma2)
{
    double square = 0;
    for (size_t i = 0; i < count; i++) {
        square += (double)samples[i] * samples[i];
    }
    MR_ASSERT(fabs(square / (double)count / sigma2 - 1) < 6 * sqrt(2.0 / (double)count));
}

/* --- how fast ----------------------------------------------------------------------------------
 */

static void measure_speed(struct mr_figures *figures, unsigned turns)
{
    static const struct {
        uint64_t sigma2;
        struct mr_figure figure;
    } sizes[] = {
        {4, {"noise.sigma_2", "ns", MR_BETTER_LOWER, 0, NULL}},
        {1000000, {"noise.sigma_1000", "ns", MR_BETTER_LOWER, 0, NULL}},
        {1000000000, {"noise.sigma_31623", "ns", MR_BETTER_LOWER, 0, NULL}},
    };
    static struct mr_gauss_table table;
    static struct mr_gauss gauss;
    int32_t *samples = malloc(SAMPLES * sizeof *samples);
    MR_ASSERT(samples);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int status = mr_gauss_table_init(&table, sizes[i].sigma2, 1);
        MR_ASSERT(status == 0);
        for (unsigned turn = 0; turn < turns; turn++) {
            open_sampler(&gauss, &table, (uint8_t)turn);
            const double began = cpu_s();
            draw(&gauss, samples, SAMPLES);
            mr_figures_sample(figures, &sizes[i].figure, 1e9 * (cpu_s() - began) / SAMPLES);
            check(samples, SAMPLES, (double)sizes[i].sigma2);
        }
    }
    free(samples);
}

/* The levels in turns. */
static void measure_levels(struct mr_figures *figures, unsigned turns)
{
    static const struct {
        enum mr_cpu_level level;
        struct mr_figure figure;
    } levels[] = {
        {MR_CPU_SCALAR, {"noise.scalar", "ns", MR_BETTER_LOWER, 0, "a sample at sigma 1000"}},
        {MR_CPU_AVX2, {"noise.avx2", "ns", MR_BETTER_LOWER, 0, "a sample at sigma 1000"}},
        {MR_CPU_AVX512, {"noise.avx512", "ns", MR_BETTER_LOWER, 0, "a sample at sigma 1000"}},
        {MR_CPU_NEON, {"noise.neon", "ns", MR_BETTER_LOWER, 0, "a sample at sigma 1000"}},
    };
    static struct mr_gauss_table table;
    static struct mr_gauss gauss;
    int32_t *samples = malloc(SAMPLES * sizeof *samples);
    const int status = mr_gauss_table_init(&table, 1000000, 1);
    MR_ASSERT(samples && status == 0);
    for (unsigned turn = 0; turn < turns; turn++) {
        for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
            const struct mr_kernels *kernels = mr_kernels_at(levels[i].level);
            if (!kernels) {
                continue;
            }
            open_at(&gauss, &table, (uint8_t)turn, kernels);
            const double began = cpu_s();
            draw(&gauss, samples, SAMPLES);
            mr_figures_sample(figures, &levels[i].figure, 1e9 * (cpu_s() - began) / SAMPLES);
            check(samples, SAMPLES, 1e6);
        }
    }
    free(samples);
}

/* --- a release ---------------------------------------------------------------------------------
 */

static void make_terms(struct mr_round_terms *terms)
{
    *terms = (struct mr_round_terms){
        .announcement = {
            .noise_kind = MR_NOISE_HUB, .ring_bits = 24, .hub_count = 2, .weight_max = 1}};
    terms->announcement.privacy =
        (struct mr_privacy_terms){.model_sigma2 = 1000000, .norms_sigma2 = 300};
    const int status = mr_layout_init(&terms->layout, 24, RELEASE_LANES, 0, 1408);
    MR_ASSERT(status == 0);
}

static void check_release(const uint8_t *result)
{
    double square = 0;
    for (uint32_t i = 0; i < RELEASE_LANES; i++) {
        const double lane = (int32_t)(mr_ring_read(result, 24, i) << 8) >> 8;
        square += lane * lane;
    }
    MR_ASSERT(fabs(square / RELEASE_LANES / 1e6 - 1) < 6 * sqrt(2.0 / RELEASE_LANES));
}

/* What a hub does for the noise of a model of 10^6 values, which are 2^20 lanes: the tables, when
 * the round begins; the draw and the addition, when the set is frozen. The lead does that, and when
 * it has, the helpers do, all at once. */
static void measure_release(struct mr_figures *figures, unsigned turns)
{
    static const struct mr_figure release = {"noise.release_ms", "ms", MR_BETTER_LOWER, 0,
                                             "the noise of one hub in 2^20 lanes of 24 bits"};
    static const struct mr_figure to_model = {"noise.to_model_ms", "ms", MR_BETTER_LOWER, 5,
                                              "twice that: the lead, then the helpers"};
    static const struct mr_figure hub = {"noise.hub_ms", "ms", MR_BETTER_LOWER, 100,
                                         "one hub's CPU for a round, its tables included"};
    static struct mr_round_terms terms;
    make_terms(&terms);
    uint8_t *result = calloc(1, terms.layout.share_bytes);
    MR_ASSERT(result);
    for (unsigned turn = 0; turn < turns; turn++) {
        const uint8_t seed[MR_NOISE_SEED_BYTES] = {(uint8_t)turn};
        struct mr_noise_tables *tables = NULL;
        memset(result, 0, terms.layout.share_bytes);
        const double began = cpu_s();
        int status = mr_noise_tables_prepare(&tables, &terms.announcement);
        MR_ASSERT(status == 0);
        const double prepared = cpu_s();
        status = mr_noise_add_seed(result, tables, &terms, seed, mr_kernels_select(~0u));
        MR_ASSERT(status == 0);
        const double ended = cpu_s();
        check_release(result);
        mr_figures_sample(figures, &release, 1e3 * (ended - prepared));
        mr_figures_sample(figures, &to_model, 2e3 * (ended - prepared));
        mr_figures_sample(figures, &hub, 1e3 * (ended - began));
        mr_noise_tables_free(tables);
    }
    free(result);
}

/* --- what the time tells -----------------------------------------------------------------------
 */

static double correlation(const double *a, const double *b, size_t count)
{
    double mean_a = 0, mean_b = 0, ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < count; i++) {
        mean_a += a[i] / (double)count;
        mean_b += b[i] / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        ab += (a[i] - mean_a) * (b[i] - mean_b);
        aa += (a[i] - mean_a) * (a[i] - mean_a);
        bb += (b[i] - mean_b) * (b[i] - mean_b);
    }
    return ab / sqrt(aa * bb);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* An interrupted release says nothing of its noise: times beyond the 99th of a hundred count as it.
 */
static void cut_off(double *times, size_t count)
{
    double *sorted = malloc(count * sizeof *sorted);
    MR_ASSERT(sorted);
    memcpy(sorted, times, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_size);
    const double most = sorted[count / 100 * 99];
    for (size_t i = 0; i < count; i++) {
        times[i] = times[i] < most ? times[i] : most;
    }
    free(sorted);
}

static void measure_times(struct mr_figures *figures, uint64_t sigma2)
{
    static const struct mr_figure in_it = {"noise.time_correlation_in_it", "share",
                                           MR_BETTER_NEITHER, 0, "drawn in the release"};
    static const struct mr_figure before = {"noise.time_correlation", "share", MR_BETTER_NEITHER, 0,
                                            "drawn before the release"};
    static struct mr_gauss_table table;
    static struct mr_gauss gauss;
    static int32_t samples[LANES];
    static uint32_t lanes[LANES];
    double *sizes = malloc(RELEASES * sizeof *sizes), *drawing = malloc(RELEASES * sizeof *sizes),
           *adding = malloc(RELEASES * sizeof *sizes);
    const int status = mr_gauss_table_init(&table, sigma2, 1);
    MR_ASSERT(sizes && drawing && adding && status == 0);
    open_sampler(&gauss, &table, 99);
    for (unsigned release = 0; release < RELEASES; release++) {
        double size = 0;
        const double began = cpu_s();
        draw(&gauss, samples, LANES);
        const double drawn = cpu_s();
        for (unsigned i = 0; i < LANES; i++) {
            lanes[i] += (uint32_t)samples[i];
        }
        adding[release] = cpu_s() - drawn;
        drawing[release] = drawn - began + adding[release];
        for (unsigned i = 0; i < LANES; i++) {
            size += fabs((double)samples[i]);
        }
        sizes[release] = size;
    }
    cut_off(drawing, RELEASES);
    cut_off(adding, RELEASES);
    mr_figures_sample(figures, &in_it, fabs(correlation(drawing, sizes, RELEASES)));
    mr_figures_sample(figures, &before, fabs(correlation(adding, sizes, RELEASES)));
    free(sizes);
    free(drawing);
    free(adding);
}

int main(int argc, char **argv)
{
    const char *path = NULL;
    bool quick = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            quick = true;
        } else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
            path = argv[++i];
        } else {
            fprintf(stderr, "usage: noise_bench [--quick] [--json FILE]\n");
            return 2;
        }
    }
    struct mr_figures *figures = mr_figures_open("noise");
    mr_figures_context(figures, "kernels", mr_kernels_select(~0u)->name);
    mr_figures_context_number(figures, "releases", RELEASES);
    mr_figures_context_number(figures, "lanes", LANES);
    measure_speed(figures, quick ? 2 : 7);
    measure_levels(figures, quick ? 2 : 7);
    measure_release(figures, quick ? 2 : 7);
    measure_times(figures, 1000000);
    mr_figures_checked(figures);
    const int status = mr_figures_write(figures, path);
    mr_figures_close(figures);
    return status == 0 ? 0 : 1;
}
