/* test_configs.c - no configuration that is called valid publishes an update that rounding has put
 * off by more than 5 % without a warning on both sides: random ones, and random devices. What both
 * sides say is one text, of one rule, from the opened sum.
 *
 *   test_configs SAMPLE [SEED [CONFIGURATIONS]] */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/config/hub_config.h"
#include "appliance/round/drive/rounding_report.h"
#include "base/assert.h"
#include "edge-client/trainer/sgd.h"
#include "tests/system/rounding/cohort.h"
#include "tests/unit/appliance/config/sample.h"
#include "wire/messages.h"

#define CONFIGURATIONS 150
#define ROUNDS         3
#define ESTIMATE       1.06 /* the sum's estimate of the error is a sample, of 300 lanes at least */

static const char *sample_file;
static uint64_t seed = 14; /* has sums of zeros, and lanes that all devices cut off */
static unsigned configurations = CONFIGURATIONS;

/* --- chance ------------------------------------------------------------------------------------
 */

struct chance {
    struct mr_sgd_random random;
};

static double uniform(struct chance *chance)
{
    return (double)(mr_sgd_random_next(&chance->random) >> 11) * 0x1p-53;
}

static uint32_t below(struct chance *chance, uint32_t bound)
{
    return (uint32_t)(uniform(chance) * bound);
}

/* Each magnitude as likely as any. */
static double magnitude(struct chance *chance, double low, double high)
{
    return low * pow(high / low, uniform(chance));
}

/* --- a configuration ---------------------------------------------------------------------------
 */

/* Options of tasks.round as an operator may write them, wrong ones too. */
static void draw_options(char *text, size_t bytes, struct chance *chance)
{
    static const char *const rings[] = {"auto", "8", "10", "12", "16", "16", "24", "32"};
    static const char *const rotations[] = {"auto", "auto", "auto", "6", "7", "8"};
    char levels[16] = "auto", scale[32] = "auto";
    const unsigned cohort_min = 2 + below(chance, 20);
    const unsigned cohort_max = cohort_min + (unsigned)magnitude(chance, 1, 1000) - 1;
    if (below(chance, 3) == 0) {
        snprintf(levels, sizeof levels, "%u", 1 + below(chance, 127));
    }
    if (below(chance, 3) == 0) {
        snprintf(scale, sizeof scale, "%.4g", magnitude(chance, 1e-1, 1e7));
    }
    snprintf(text, bytes,
             "    round:\n"
             "      cohort_min: %u\n      quorum: %u\n      cohort_max: %u\n"
             "      ring_bits: %s\n      levels: %s\n      headroom: %u\n"
             "      rotation_log2: %s\n      scale: %s\n      clip_norm: %.4g\n"
             "      rounding_error: %.3g\n",
             cohort_min, cohort_min, cohort_max, rings[below(chance, 8)], levels,
             (unsigned)magnitude(chance, 4, 64), rotations[below(chance, 6)], scale,
             magnitude(chance, 1e-2, 100), magnitude(chance, 1e-3, 0.5));
}

/* As hubs take it, or false: it is no valid one. */
static bool load(struct mr_config_round *round, const struct sample *sample, const char *options)
{
    struct mr_hub_config *config;
    struct mr_error error = {.text = ""};
    sample_edit(sample, "    round:\n", options);
    if (mr_hub_config_load(&config, sample->path, &error) != 0) {
        return false;
    }
    *round = config->tasks[0].round;
    mr_hub_config_free(config);
    return true;
}

static struct cohort_plan plan_of(const struct mr_config_round *round, struct chance *chance)
{
    static const double commons[] = {0, 0.2, 0.2, 1}, spreads[] = {0, 0, 0.7, 1.4};
    const uint8_t levels = mr_config_levels(round);
    const uint32_t most = round->cohort_max < 40 ? round->cohort_max : 40;
    MR_ASSERT(levels > 0);
    return (struct cohort_plan){
        .deltas = (enum cohort_deltas)below(chance, 4),
        .dimension = (uint32_t)magnitude(chance, 300, 3000),
        .devices = round->cohort_min + below(chance, most - round->cohort_min + 1),
        .norm = (double)round->clip_norm * magnitude(chance, 0.01, 30),
        .common = commons[below(chance, 4)],
        .spread = spreads[below(chance, 4)],
        .ring_bits = round->ring_bits,
        .levels = levels,
        .rotated_so = round->rotation_log2 != MR_ROTATION_AUTO,
        .rotation_log2 = round->rotation_log2,
        .cohort_min = round->cohort_min,
        .cohort_max = round->cohort_max,
        .headroom = round->headroom,
        .fixed_scale = round->scale,
        .clip_norm = round->clip_norm,
        .refusing = true,
    };
}

/* --- the promise -------------------------------------------------------------------------------
 */

struct tally {
    unsigned valid, published, lossy, warned, before;
};

/* As a hub has it on record when it logs, and when it tells a device. */
static struct mr_round_summary summary_of(const struct cohort_result *result)
{
    const struct mr_announcement *round = &result->terms.announcement;
    return (struct mr_round_summary){.round = round->round,
                                     .lead = true,
                                     .state = "published",
                                     .levels = round->levels,
                                     .scale = round->scale,
                                     .included = result->included,
                                     .has_metrics = true,
                                     .metrics = result->metrics};
}

static void check_round(const struct cohort_result *result, const char *options,
                        struct tally *tally)
{
    char warning[MR_ROUND_REASON_BYTES];
    const struct mr_round_summary summary = summary_of(result);
    if (result->included < result->terms.announcement.cohort_min) {
        return;
    }
    mr_rounding_warning(warning, sizeof warning, &summary);
    tally->published++;
    tally->lossy += result->error > MR_ROUNDING_ERROR_WARN;
    tally->warned += warning[0] != '\0';
    tally->before += warning[0] && result->warned > 0;
    if (result->error > MR_ROUNDING_ERROR_WARN * ESTIMATE && !warning[0]) {
        fail_msg("seed %llu, round %llu of %u: off by %.3f, told as %.3f, saturated %.4f, and "
                 "nobody warns; with\n%s",
                 (unsigned long long)seed, (unsigned long long)summary.round, result->included,
                 result->error, result->metrics.error, result->metrics.saturated, options);
    }
}

static void test_nobody_is_silent(void **state)
{
    struct chance chance = {.random = {.state = seed}};
    struct tally tally = {.valid = 0};
    struct sample sample;
    (void)state;
    sample_init(&sample, sample_file);
    for (unsigned i = 0; i < configurations; i++) {
        struct mr_config_round round;
        struct cohort_result result;
        char options[1024];
        draw_options(options, sizeof options, &chance);
        if (!load(&round, &sample, options)) {
            continue;
        }
        const struct cohort_plan plan = plan_of(&round, &chance);
        struct cohort *cohort = cohort_open(&plan, seed + i);
        tally.valid++;
        for (unsigned j = 0; j < ROUNDS; j++) {
            cohort_round(cohort, &result);
            check_round(&result, options, &tally);
        }
        cohort_close(cohort);
    }
    sample_fini(&sample);
    print_message("%u of %u configurations are valid; %u rounds published, %u off by more than 5 "
                  "%%, %u warned of, %u of those before their end, too\n",
                  tally.valid, configurations, tally.published, tally.lossy, tally.warned,
                  tally.before);
    assert_true(tally.valid >= configurations / 4);
    assert_true(tally.lossy >= 10 && tally.published - tally.warned >= 10);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_nobody_is_silent)};
    if (argc < 2) {
        fprintf(stderr, "usage: test_configs SAMPLE [SEED [CONFIGURATIONS]]\n");
        return 2;
    }
    sample_file = argv[1];
    seed = argc > 2 ? strtoull(argv[2], NULL, 10) : seed;
    configurations = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : configurations;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
