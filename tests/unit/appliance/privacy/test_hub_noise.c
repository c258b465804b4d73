/* test_hub_noise.c - a hub's noise of a release: of the announced variance, in the lanes that have
 * it, always the same over one set, and nothing in common over two. And what somebody gains who
 * knows all but one device: less than the epsilon that is told. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/privacy/hub_noise.h"
#include "base/bytes.h"
#include "wire/announcement_privacy.h"
#include "wire/epsilon.h"

#define LANES    128u
#define RELEASES 400u

static const uint8_t private_key[32] = {1, 2, 3};

struct scene {
    struct mr_noise_tables *tables;
    struct mr_round_terms terms;
    uint8_t set_hash[MR_HASH_BYTES];
    uint16_t hub;
    uint8_t *result; /* share_bytes */
};

static struct scene scene_open(uint8_t ring_bits, uint64_t sigma2)
{
    struct scene scene = {.hub = 3};
    struct mr_announcement *round = &scene.terms.announcement;
    *round = (struct mr_announcement){.noise_kind = MR_NOISE_HUB,
                                      .ring_bits = ring_bits,
                                      .hub_count = 2,
                                      .weight_max = 10,
                                      .scale = 1.0f,
                                      .clip_norm = 100.0f};
    round->privacy = (struct mr_privacy_terms){
        .model_sigma2 = sigma2, .norms_sigma2 = 4 * sigma2, .weight_sigma2 = 9 * sigma2};
    assert_int_equal(mr_layout_init(&scene.terms.layout, ring_bits, LANES, 0, 1408), 0);
    assert_int_equal(mr_noise_tables_prepare(&scene.tables, round), 0);
    scene.result = aligned_alloc(64, (scene.terms.layout.share_bytes + 63) & ~(size_t)63);
    assert_non_null(scene.result);
    return scene;
}

static void scene_close(struct scene *scene)
{
    mr_noise_tables_free(scene->tables);
    free(scene->result);
}

static struct mr_hub_noise noise_of(const struct scene *scene)
{
    return (struct mr_hub_noise){.tables = scene->tables,
                                 .terms = &scene->terms,
                                 .set_hash = scene->set_hash,
                                 .hub_index = scene->hub,
                                 .private_key = private_key};
}

/* The noise alone: into zeros. */
static void draw(struct scene *scene, uint32_t release)
{
    struct mr_error error;
    mr_be32_put(scene->set_hash, release);
    const struct mr_hub_noise noise = noise_of(scene);
    memset(scene->result, 0, scene->terms.layout.share_bytes);
    assert_int_equal(mr_hub_noise_add(scene->result, &noise, mr_kernels_at(MR_CPU_SCALAR), &error),
                     0);
}

static int32_t main_lane(const struct scene *scene, uint32_t lane)
{
    const unsigned spare = 32u - scene->terms.layout.ring_bits;
    const uint32_t value = mr_ring_read(scene->result, scene->terms.layout.ring_bits, lane);
    return (int32_t)(value << spare) >> spare;
}

static int32_t trailer_lane(const struct scene *scene, unsigned lane)
{
    int32_t value;
    memcpy(&value, scene->result + scene->terms.layout.main_bytes + (size_t)4 * lane, 4);
    return value;
}

/* --- how much, and where --------------------------------------------------------------------- */

struct moments {
    double sum, squares;
    unsigned count;
};

static void take(struct moments *moments, double value)
{
    moments->sum += value;
    moments->squares += value * value;
    moments->count++;
}

/* Within five standard deviations of what such a sample has: once in millions of seeds, and these
 * seeds are always the same. */
static void expect_variance(const struct moments *moments, double sigma2)
{
    const double n = moments->count, mean = moments->sum / n, variance = moments->squares / n;
    assert_true(fabs(mean) < 5 * sqrt(sigma2 / n));
    if (fabs(variance / sigma2 - 1) > 5 * sqrt(2 / n)) {
        fail_msg("a variance of %g where %g was announced", variance, sigma2);
    }
}

/* In every group its own, over many releases; the lanes without noise stay. */
static void test_variances(void **state)
{
    (void)state;
    static const uint8_t rings[] = {16, 24, 32, 10, 12};
    static const uint64_t variances[] = {64, 1000, 250000, 64, 400};
    for (unsigned i = 0; i < sizeof rings; i++) {
        struct scene scene = scene_open(rings[i], variances[i]);
        struct moments model = {0}, norms = {0}, weight = {0};
        for (uint32_t release = 0; release < RELEASES; release++) {
            draw(&scene, release);
            for (uint32_t lane = 0; lane < LANES; lane++) {
                take(&model, main_lane(&scene, lane));
            }
            for (unsigned lane = 0; lane < MR_NORM_BINS - 1; lane++) {
                take(&norms, trailer_lane(&scene, MR_TRAILER_NORMS + lane));
            }
            take(&weight, trailer_lane(&scene, MR_TRAILER_WEIGHT));
            assert_int_equal(trailer_lane(&scene, MR_TRAILER_COUNT), 0);
            for (unsigned lane = MR_TRAILER_EXAMPLES; lane < MR_TRAILER_NORMS; lane++) {
                assert_int_equal(trailer_lane(&scene, lane), 0);
            }
        }
        expect_variance(&model, (double)variances[i]);
        expect_variance(&norms, 4.0 * (double)variances[i]);
        expect_variance(&weight, 9.0 * (double)variances[i]);
        scene_close(&scene);
    }
}

/* It is added: what was there is still in it, over the end of the ring too. */
static void test_it_is_added(void **state)
{
    (void)state;
    static const uint8_t rings[] = {16, 24, 32};
    for (unsigned i = 0; i < 3; i++) {
        struct scene scene = scene_open(rings[i], 1000);
        struct mr_error error;
        const size_t bytes = scene.terms.layout.share_bytes;
        uint8_t *before = malloc(bytes), *noise = malloc(bytes);
        draw(&scene, 1);
        memcpy(noise, scene.result, bytes);
        const struct mr_hub_noise again = noise_of(&scene);
        memset(before, 0xff, bytes); /* −1 in each lane */
        memcpy(scene.result, before, bytes);
        assert_int_equal(
            mr_hub_noise_add(scene.result, &again, mr_kernels_at(MR_CPU_SCALAR), &error), 0);
        for (uint32_t lane = 0; lane < LANES; lane++) {
            const int32_t sum = main_lane(&scene, lane);
            struct scene alone = scene;
            alone.result = noise;
            assert_int_equal(sum, main_lane(&alone, lane) - 1);
        }
        scene.terms.announcement.noise_kind = MR_NOISE_NONE;
        memcpy(scene.result, before, bytes);
        assert_int_equal(
            mr_hub_noise_add(scene.result, &again, mr_kernels_at(MR_CPU_SCALAR), &error), 0);
        assert_memory_equal(scene.result, before, bytes);
        free(before);
        free(noise);
        scene_close(&scene);
    }
}

/* --- whose it is ----------------------------------------------------------------------------- */

/* How alike the noise of two releases is: 1 for the same. */
static double likeness(struct scene *a, uint32_t release_a, struct scene *b, uint32_t release_b)
{
    double product = 0, squares = 0;
    for (unsigned i = 0; i < 64; i++) {
        draw(a, 2 * i + release_a);
        draw(b, 2 * i + release_b);
        for (uint32_t lane = 0; lane < LANES; lane++) {
            product += (double)main_lane(a, lane) * main_lane(b, lane);
            squares += (double)main_lane(a, lane) * main_lane(a, lane);
        }
    }
    return product / squares;
}

/* A function of hub, announcement and set; with one of them changed nothing is left of it: a hub
 * that was put back from a copy and asked for another set gives nobody the difference. */
static void test_one_release_one_noise(void **state)
{
    (void)state;
    struct scene a = scene_open(32, 1000), b = scene_open(32, 1000);
    const double chance = 5 / sqrt(64.0 * LANES);
    assert_true(fabs(likeness(&a, 0, &b, 0) - 1) < 1e-12);
    assert_true(fabs(likeness(&a, 0, &b, 1)) < chance);
    b.hub = 4;
    assert_true(fabs(likeness(&a, 0, &b, 0)) < chance);
    b.hub = 3;
    b.terms.hash[7] = 1;
    assert_true(fabs(likeness(&a, 0, &b, 0)) < chance);
    scene_close(&a);
    scene_close(&b);
}

static void test_hashes(void **state)
{
    (void)state;
    struct scene scene = scene_open(16, 64);
    uint8_t hashes[3][MR_HASH_BYTES];
    for (uint16_t i = 0; i < 3; i++) {
        scene.set_hash[0] = i / 2;
        const struct mr_hub_noise noise = noise_of(&scene);
        assert_int_equal(mr_hub_noise_hash(hashes[i], &noise), 0);
    }
    assert_memory_equal(hashes[0], hashes[1], MR_HASH_BYTES);
    assert_memory_not_equal(hashes[0], hashes[2], MR_HASH_BYTES);
    scene_close(&scene);
}

/* --- an attack ------------------------------------------------------------------------------- */

#define ROUNDS 2500u
#define DELTA  0.05

/* P(X <= k) of a binomial. */
static double binomial(unsigned k, unsigned n, double p)
{
    double sum = 0;
    for (unsigned i = 0; i <= k; i++) {
        sum += exp(lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0) + i * log(p) +
                   (n - i) * log1p(-p));
    }
    return sum;
}

/* Clopper and Pearson's upper end: with it a share is above in one of 40 experiments. */
static double upper_end(unsigned k, unsigned n)
{
    double low = 0, high = 1;
    for (unsigned i = 0; i < 40; i++) {
        const double middle = (low + high) / 2;
        if (binomial(k, n, middle) > 0.025) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static unsigned above(const double *sorted, double threshold)
{
    unsigned count = 0;
    while (count < ROUNDS && sorted[ROUNDS - 1 - count] > threshold) {
        count++;
    }
    return count;
}

/* Who knows everybody else's update, the other hub's noise and the device's vector (all its norm in
 * one lane, which is the worst) sees that lane with the noise of one honest hub. With the device
 * and without, so often; then what of the two is told apart. */
static double proven_epsilon(struct scene *scene, int32_t moved)
{
    static double with[ROUNDS], without[ROUNDS];
    double best = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        draw(scene, i);
        without[i] = main_lane(scene, 5);
        draw(scene, ROUNDS + i);
        with[i] = main_lane(scene, 5) + moved;
    }
    qsort(with, ROUNDS, sizeof *with, by_size);
    qsort(without, ROUNDS, sizeof *without, by_size);
    for (unsigned i = 5; i < ROUNDS / 2; i += 20) {
        const double threshold = without[ROUNDS - 1 - i];
        const double wrong = upper_end(above(without, threshold), ROUNDS);
        const double right = 1 - upper_end(ROUNDS - above(with, threshold), ROUNDS);
        const double epsilon = right > DELTA ? log((right - DELTA) / wrong) : 0;
        best = epsilon > best ? epsilon : best;
    }
    return best;
}

static void test_two_neighbouring_sets(void **state)
{
    (void)state;
    static const double apart[] = {0.5, 1, 2}; /* of the noise's standard deviation */
    struct scene scene = scene_open(32, 10000);
    for (unsigned i = 0; i < 3; i++) {
        const int32_t moved = (int32_t)(100 * apart[i]);
        const mr_rho rho = mr_rho_of_release((uint64_t)moved * (uint64_t)moved, 10000);
        const double told = mr_epsilon_of(rho, DELTA, MR_NOISE_HUB);
        const double proven = proven_epsilon(&scene, moved);
        print_message("epsilon %.3f told, %.3f proven by %u rounds of each\n", told, proven,
                      ROUNDS);
        assert_true(proven < told);
        assert_true(apart[i] < 1 || proven > told / 4); /* the attack is one */
    }
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variances),
        cmocka_unit_test(test_it_is_added),
        cmocka_unit_test(test_one_release_one_noise),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_two_neighbouring_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
