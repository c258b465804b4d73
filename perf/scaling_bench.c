/* scaling_bench.c - what a round costs the lead and a helper as devices, dimension and workers
 * grow, and how straight the line is. perf/scaling_cohort.h is the work; here are sweeps and fits.
 *
 * usage: scaling_bench [--quick] [--json FILE] */
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/kernels.h"
#include "perf/figures.h"
#include "perf/scaling_cohort.h"

#define POINTS_MAX  8
#define NAME_BYTES  64
#define SAMPLE_S    0.02 /* a small size is repeated for so long */
#define REPEATS_MAX 1000u

struct options {
    bool quick;
    unsigned samples;
    const char *json;
};

/* The names of a sweep's figures; they live as long as the program. */
struct point_names {
    char ingest[NAME_BYTES], expand[NAME_BYTES];
};

struct sweep {
    const char *name; /* "devices": figures are scaling.NAME.… */
    const char *unit; /* of one step of x: "us/device" */
    double per_unit;  /* of those in a second */
    unsigned points;
    double x[POINTS_MAX];
    struct mr_cohort_config configs[POINTS_MAX];
    struct mr_cohort *cohorts[POINTS_MAX];
    struct point_names point_names[POINTS_MAX];
    char fit_names[2][5][NAME_BYTES];
};

struct line {
    double slope, intercept, r2, residual;
};

/* --- fits ------------------------------------------------------------------------------------ */

/* Ordinary least squares; `residual` is the largest one over the largest y. */
static struct line fit(const double *x, const double *y, unsigned n)
{
    double mean_x = 0, mean_y = 0, xx = 0, xy = 0, yy = 0, left = 0, worst = 0, largest = 0;

    for (unsigned i = 0; i < n; i++) {
        mean_x += x[i] / n;
        mean_y += y[i] / n;
    }
    for (unsigned i = 0; i < n; i++) {
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        xy += (x[i] - mean_x) * (y[i] - mean_y);
        yy += (y[i] - mean_y) * (y[i] - mean_y);
    }
    const double slope = xy / xx, intercept = mean_y - slope * mean_x;
    for (unsigned i = 0; i < n; i++) {
        const double off = y[i] - (slope * x[i] + intercept);
        left += off * off;
        worst = fmax(worst, fabs(off));
        largest = fmax(largest, y[i]);
    }
    return (struct line){slope, intercept, 1 - left / yy, worst / largest};
}

static double power(const double *x, const double *y, unsigned n)
{
    double log_x[POINTS_MAX], log_y[POINTS_MAX];

    for (unsigned i = 0; i < n; i++) {
        log_x[i] = log(x[i]);
        log_y[i] = log(y[i]);
    }
    return fit(log_x, log_y, n).slope;
}

/* --- a sweep --------------------------------------------------------------------------------- */

static void name_figures(struct sweep *sweep)
{
    static const char *const parts[2] = {"ingest", "expand"};
    static const char *const fits[5] = {"slope", "intercept", "r2", "residual", "power"};

    for (unsigned i = 0; i < sweep->points; i++) {
        snprintf(sweep->point_names[i].ingest, NAME_BYTES, "scaling.%s.ingest_at_%.0f", sweep->name,
                 sweep->x[i]);
        snprintf(sweep->point_names[i].expand, NAME_BYTES, "scaling.%s.expand_at_%.0f", sweep->name,
                 sweep->x[i]);
    }
    for (unsigned part = 0; part < 2; part++) {
        for (unsigned i = 0; i < 5; i++) {
            snprintf(sweep->fit_names[part][i], NAME_BYTES, "scaling.%s.%s_%s", sweep->name,
                     parts[part], fits[i]);
        }
    }
}

static void open_sweep(struct sweep *sweep)
{
    name_figures(sweep);
    for (unsigned i = 0; i < sweep->points; i++) {
        sweep->cohorts[i] = mr_cohort_open(&sweep->configs[i]);
        (void)mr_cohort_ingest(sweep->cohorts[i]); /* touched once before it counts */
    }
}

static void close_sweep(struct sweep *sweep)
{
    for (unsigned i = 0; i < sweep->points; i++) {
        mr_cohort_close(sweep->cohorts[i]);
    }
}

static double ingest_s(struct mr_cohort *cohort)
{
    double sum = 0;
    unsigned passes = 0;

    while (passes == 0 || (sum < SAMPLE_S && passes < REPEATS_MAX)) {
        sum += mr_cohort_ingest(cohort).cpu_s;
        passes++;
    }
    return sum / passes;
}

static double expand_s(struct mr_cohort *cohort)
{
    double sum = 0;
    unsigned passes = 0;

    while (passes == 0 || (sum < SAMPLE_S && passes < REPEATS_MAX)) {
        sum += mr_cohort_expand(cohort);
        passes++;
    }
    return sum / passes;
}

static void note_fit(struct mr_figures *figures, struct sweep *sweep, unsigned part,
                     const double *seconds)
{
    const struct line line = fit(sweep->x, seconds, sweep->points);
    const double values[5] = {line.slope * sweep->per_unit, line.intercept * 1e6, line.r2,
                              line.residual, power(sweep->x, seconds, sweep->points)};
    const char *const units[5] = {sweep->unit, "us", "r2", "share", "exponent"};
    const enum mr_better better[5] = {MR_BETTER_LOWER, MR_BETTER_NEITHER, MR_BETTER_HIGHER,
                                      MR_BETTER_LOWER, MR_BETTER_NEITHER};

    for (unsigned i = 0; i < 5; i++) {
        mr_figures_sample(figures,
                          &(struct mr_figure){.name = sweep->fit_names[part][i],
                                              .unit = units[i],
                                              .better = better[i],
                                              .of = i == 3 ? "the largest cost" : NULL},
                          values[i]);
    }
}

static void note_point(struct mr_figures *figures, const struct sweep *sweep, const char *name,
                       double value)
{
    mr_figures_sample(
        figures,
        &(struct mr_figure){.name = name, .unit = sweep->unit, .better = MR_BETTER_NEITHER}, value);
}

static void sample_sweep(struct mr_figures *figures, struct sweep *sweep)
{
    double ingest[POINTS_MAX], expand[POINTS_MAX];

    for (unsigned i = 0; i < sweep->points; i++) {
        ingest[i] = ingest_s(sweep->cohorts[i]);
        expand[i] = expand_s(sweep->cohorts[i]);
        note_point(figures, sweep, sweep->point_names[i].ingest,
                   ingest[i] / sweep->x[i] * sweep->per_unit);
        note_point(figures, sweep, sweep->point_names[i].expand,
                   expand[i] / sweep->x[i] * sweep->per_unit);
    }
    note_fit(figures, sweep, 0, ingest);
    note_fit(figures, sweep, 1, expand);
}

static void run_sweep(struct mr_figures *figures, struct sweep *sweep,
                      const struct options *options)
{
    open_sweep(sweep);
    for (unsigned i = 0; i < options->samples; i++) {
        sample_sweep(figures, sweep);
    }
    close_sweep(sweep);
}

/* --- what is swept --------------------------------------------------------------------------- */

static void over_devices(struct mr_figures *figures, const struct options *options)
{
    static const uint32_t sizes[] = {10, 30, 100, 300, 1000, 3000, 10000};
    struct sweep sweep = {.name = "devices", .unit = "us/device", .per_unit = 1e6};

    sweep.points = options->quick ? 5 : 7;
    for (unsigned i = 0; i < sweep.points; i++) {
        sweep.x[i] = sizes[i];
        sweep.configs[i] = (struct mr_cohort_config){
            .devices = sizes[i], .dimension = 10000, .ring_bits = 32, .workers = 1};
    }
    run_sweep(figures, &sweep, options);
}

static void over_dimension(struct mr_figures *figures, const struct options *options)
{
    struct sweep sweep = {.name = "dimension", .unit = "ns/value", .per_unit = 1e9};
    uint64_t dimension = 10000;

    sweep.points = options->quick ? 4 : 5;
    for (unsigned i = 0; i < sweep.points; i++, dimension *= 10) {
        sweep.x[i] = (double)dimension;
        sweep.configs[i] = (struct mr_cohort_config){
            .devices = 2, .dimension = dimension, .ring_bits = 16, .workers = 1};
    }
    run_sweep(figures, &sweep, options);
}

static void over_workers(struct mr_figures *figures, const struct options *options)
{
    static const struct mr_figure rates[2] = {
        {"scaling.workers.one", "devices/s", MR_BETTER_HIGHER, 0, NULL},
        {"scaling.workers.two", "devices/s", MR_BETTER_HIGHER, 0, NULL}};
    static const struct mr_figure costs[2] = {
        {"scaling.workers.one_cpu", "us/device", MR_BETTER_LOWER, 0, NULL},
        {"scaling.workers.two_cpu", "us/device", MR_BETTER_LOWER, 0, NULL}};
    static const struct mr_figure gain = {"scaling.workers.gain", "ratio", MR_BETTER_HIGHER, 0,
                                          "one worker, by the clock on the wall"};
    const uint32_t devices = 64;
    struct mr_cohort *cohorts[2];

    for (unsigned i = 0; i < 2; i++) {
        cohorts[i] = mr_cohort_open(&(struct mr_cohort_config){
            .devices = devices, .dimension = 1000000, .ring_bits = 16, .workers = i + 1});
        (void)mr_cohort_ingest(cohorts[i]);
    }
    for (unsigned sample = 0; sample < options->samples; sample++) {
        struct mr_cohort_cost cost[2];
        for (unsigned i = 0; i < 2; i++) {
            cost[i] = mr_cohort_ingest(cohorts[i]);
            mr_figures_sample(figures, &rates[i], devices / cost[i].wall_s);
            mr_figures_sample(figures, &costs[i], 1e6 * cost[i].cpu_s / devices);
        }
        mr_figures_sample(figures, &gain, cost[0].wall_s / cost[1].wall_s);
    }
    for (unsigned i = 0; i < 2; i++) {
        mr_cohort_close(cohorts[i]);
    }
}

static int usage(const char *name)
{
    fprintf(stderr, "usage: %s [--quick] [--json FILE]\n", name);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"quick", no_argument, NULL, 'q'}, {"json", required_argument, NULL, 'j'}, {0}};
    struct options options = {.samples = 7};
    int c;

    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (c == 'q') {
            options.quick = true;
        } else if (c == 'j') {
            options.json = optarg;
        } else {
            return usage(argv[0]);
        }
    }
    if (optind != argc) {
        return usage(argv[0]);
    }
    if (options.quick) {
        options.samples = 3;
    }
    struct mr_figures *figures = mr_figures_open("scaling");
    mr_figures_context(figures, "kernels", mr_kernels_select(UINT32_MAX)->name);
    over_devices(figures, &options);
    over_dimension(figures, &options);
    over_workers(figures, &options);
    mr_figures_checked(figures); /* a wrong sum would have ended the program */
    const int written = mr_figures_write(figures, options.json);
    mr_figures_close(figures);
    return written == 0 ? 0 : 1;
}
