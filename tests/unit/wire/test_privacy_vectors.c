/* test_privacy_vectors.c - rho, epsilon and the noise's bounds against figures that were computed
 * outside this project (tests/vectors/dp.json), and by their own rules. */
#include "wire_test.h"

#include <jansson.h>
#include <math.h>

#include "wire/epsilon.h"
#include "wire/noise.h"

static json_t *vectors;

/* Within one unit of the last of ten digits, or of as many as the file has. */
static void near(double got, double want)
{
    if (fabs(got - want) > 6e-10 * fabs(want)) {
        fail_msg("got %.12g, the vectors say %.12g", got, want);
    }
}

static double number(const json_t *row, const char *name)
{
    const json_t *value = json_object_get(row, name);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static const json_t *group(const char *name)
{
    const json_t *rows = json_object_get(vectors, name);
    assert_true(json_array_size(rows) > 0);
    return rows;
}

static void test_zcdp(void **state)
{
    (void)state;
    size_t i;
    json_t *row;
    json_array_foreach(group("cdp_rho"), i, row) {
        near(mr_epsilon_zcdp_rho(number(row, "eps"), number(row, "delta")), number(row, "rho"));
    }
    json_array_foreach(group("cdp_delta"), i, row) {
        near(mr_epsilon_zcdp_delta(number(row, "rho"), number(row, "eps")), number(row, "delta"));
    }
    json_array_foreach(group("cdp_eps"), i, row) {
        near(mr_epsilon_zcdp(number(row, "rho"), number(row, "delta")), number(row, "eps"));
    }
}

static double rdp_epsilon(double slope, double delta, unsigned *order)
{
    double rdp[MR_EPSILON_ORDERS];
    for (unsigned i = 0; i < MR_EPSILON_ORDERS; i++) {
        rdp[i] = slope * mr_epsilon_order(i);
    }
    return mr_epsilon_rdp(rdp, delta, order);
}

static void test_rdp(void **state)
{
    (void)state;
    size_t i;
    json_t *row;
    assert_int_equal(mr_epsilon_order(0), 2);
    assert_int_equal(mr_epsilon_order(126), 128);
    assert_int_equal(mr_epsilon_order(127), 256);
    json_array_foreach(group("gaussian_rdp_to_eps"), i, row) {
        unsigned order = 0;
        const double z = number(row, "z");
        const double got =
            rdp_epsilon(number(row, "rounds") / (2 * z * z), number(row, "delta"), &order);
        if (json_object_get(row, "order")) {
            near(got, number(row, "eps"));
            assert_int_equal(order, (unsigned)number(row, "order"));
        } else { /* given with one digit */
            assert_true(fabs(got - number(row, "eps")) < 1e-6);
        }
    }
}

static void test_rounded_norm(void **state)
{
    (void)state;
    size_t i;
    json_t *row;
    json_array_foreach(group("rounded_norm_bound"), i, row) {
        const double bound = number(row, "bound");
        const uint64_t norm2 =
            mr_noise_rounded_norm2(number(row, "clip_scaled"), (uint32_t)number(row, "d"));
        assert_true((double)norm2 <= bound * bound * (1 + 1e-9));
        assert_true((double)norm2 + 1 > bound * bound * (1 - 1e-9));
    }
    /* Where few lanes are far between, no rounding adds more than one to each. */
    assert_int_equal(mr_noise_rounded_norm2(0, 64), 20); /* 16 + 4, not 64 */
    assert_int_equal(mr_noise_rounded_norm2(0.5, 1), 1); /* 1.5^2 = 2.25, and 0.25 + 0.25 + 1 */
    assert_int_equal(mr_noise_rounded_norm2(INFINITY, 64), UINT64_MAX);
    assert_int_equal(mr_noise_rounded_norm2(NAN, 64), UINT64_MAX);
}

static void test_distributed(void **state)
{
    (void)state;
    size_t i;
    json_t *row;
    json_array_foreach(group("ddg_tau"), i, row) {
        near(mr_noise_tau(number(row, "sigma") * number(row, "sigma"), (uint32_t)number(row, "n")),
             number(row, "tau"));
    }
    json_array_foreach(group("ddg"), i, row) {
        const uint64_t sensitivity2 =
            mr_noise_rounded_norm2(number(row, "clip_scaled"), (uint32_t)number(row, "d"));
        const double sigma = number(row, "sigma");
        const double rho = mr_rho_value(
            mr_noise_distributed_rho(sensitivity2, (uint64_t)(sigma * sigma),
                                     (uint32_t)number(row, "n"), (uint32_t)number(row, "d")));
        /* The bound of the vectors is no integer: 11,156 and 1,166 are. */
        near(rdp_epsilon(rho, number(row, "delta"), NULL), number(row, "eps"));
        if (json_object_get(row, "rdp_order2")) {
            assert_true(fabs(2 * rho - number(row, "rdp_order2")) < 1e-9);
        }
    }
}

/* One digit of the file is wrong: in mpmath, with 40 digits, this is 23.763634026539921. */
#define MISPRINT       23.76364403
#define MISPRINT_MEANT 23.76363403

/* Not a mechanism of Millrace: that the conversions are right for any curve. arXiv 2110.04995,
 * theorem 3.5. */
static void test_skellam(void **state)
{
    (void)state;
    size_t i;
    json_t *row;
    json_array_foreach(group("skellam"), i, row) {
        double rdp[MR_EPSILON_ORDERS];
        const double sigma = number(row, "sigma"), lanes = number(row, "d");
        const double far2 =
            (double)mr_noise_rounded_norm2(number(row, "clip_scaled"), (uint32_t)lanes);
        const double l1 = fmin(sqrt(lanes * far2), far2), mu = number(row, "n") * sigma * sigma;
        for (unsigned k = 0; k < MR_EPSILON_ORDERS; k++) {
            const double order = mr_epsilon_order(k);
            const double close = ((2 * order - 1) * far2 + 6 * l1) / (4 * mu * mu);
            rdp[k] = order * far2 / (2 * mu) + fmin(close, 3 * l1 / (2 * mu));
        }
        const double given = number(row, "eps");
        near(mr_epsilon_rdp(rdp, number(row, "delta"), NULL),
             given == MISPRINT ? MISPRINT_MEANT : given);
        if (json_object_get(row, "rdp_order2")) {
            near(rdp[0], number(row, "rdp_order2"));
        }
    }
}

/* --- rho ----------------------------------------------------------------------------------------
 */

static void test_rho(void **state)
{
    (void)state;
    assert_int_equal(mr_rho_of_release(1, 1), MR_RHO_ONE / 2);
    assert_int_equal(mr_rho_of_release(2, 3), (MR_RHO_ONE + 2) / 3);
    assert_int_equal(mr_rho_of_release(1, UINT64_MAX), 1); /* never nothing for something */
    assert_int_equal(mr_rho_of_release(0, 5), 0);
    assert_int_equal(mr_rho_of_release(1, 0), MR_RHO_MAX);
    assert_int_equal(mr_rho_of_release(UINT64_MAX, 1), MR_RHO_MAX);
    assert_int_equal(mr_rho_add(MR_RHO_MAX - 1, 1), MR_RHO_MAX);
    assert_int_equal(mr_rho_add(MR_RHO_MAX - 1, 2), MR_RHO_MAX);
    assert_int_equal(mr_rho_add(3, 4), 7);
    assert_int_equal(mr_rho_times(MR_RHO_ONE, UINT64_C(1) << 23), UINT64_C(1) << 63);
    assert_int_equal(mr_rho_times(MR_RHO_ONE, UINT64_C(1) << 24), MR_RHO_MAX);
    assert_int_equal(mr_rho_below(0.5), MR_RHO_ONE / 2);
    assert_int_equal(mr_rho_below(NAN), 0);
    assert_int_equal(mr_rho_below(-1), 0);
    assert_int_equal(mr_rho_below(0x1p24), MR_RHO_MAX);
    assert_int_equal(mr_rho_above(0x1p-50), 1);
    assert_int_equal(mr_rho_below(0x1p-50), 0);
    assert_int_equal(mr_rho_above(NAN), MR_RHO_MAX);
    assert_int_equal(mr_rho_above(0), 0);
}

static void test_variance_is_the_least(void **state)
{
    (void)state;
    uint64_t seed = 5;
    for (unsigned i = 0; i < 100000; i++) {
        const uint64_t sensitivity2 = 1 + (test_random(&seed) >> (test_random(&seed) % 60));
        const mr_rho rho = 1 + (test_random(&seed) >> (test_random(&seed) % 60));
        const uint64_t sigma2 = mr_rho_sigma2(sensitivity2, rho);
        if (sigma2 != 0) {
            assert_true(mr_rho_of_release(sensitivity2, sigma2) <= rho);
            assert_true(sigma2 == 1 || mr_rho_of_release(sensitivity2, sigma2 - 1) > rho);
        }
    }
    assert_int_equal(mr_rho_sigma2(0, 1), 0);
    assert_int_equal(mr_rho_sigma2(1, 0), 0);
    assert_int_equal(mr_rho_sigma2(UINT64_MAX, 1), 0);
}

/* --- epsilon ------------------------------------------------------------------------------------
 */

static void test_budget_is_the_largest(void **state)
{
    (void)state;
    static const double epsilons[] = {0.01, 0.5, 1, 2, 8, 64};
    static const double deltas[] = {1e-3, 1e-6, 1e-12};
    for (unsigned i = 0; i < 36; i++) {
        const double epsilon = epsilons[i % 6], delta = deltas[i / 6 % 3];
        const enum mr_noise_kind kind = i < 18 ? MR_NOISE_HUB : MR_NOISE_DEVICE;
        const mr_rho rho = mr_epsilon_budget(epsilon, delta, kind);
        assert_true(rho > 0);
        assert_true(mr_epsilon_of(rho, delta, kind) <= epsilon);
        assert_true(mr_epsilon_of(rho + 1, delta, kind) > epsilon);
        /* Gaussian noise buys more than any mechanism of the same rho. */
        assert_true(kind == MR_NOISE_DEVICE ||
                    rho > mr_epsilon_budget(epsilon, delta, MR_NOISE_DEVICE));
    }
    assert_true(mr_epsilon_of(0, 1e-6, MR_NOISE_HUB) == 0);
    assert_true(isinf(mr_epsilon_of(MR_RHO_MAX, 1e-6, MR_NOISE_HUB)));
    /* Far beyond what anybody spends: zCDP still says something. */
    assert_true(isfinite(mr_epsilon_of(mr_rho_below(1e6), 1e-6, MR_NOISE_HUB)));
}

/* Balle and Wang 2018, theorem 8, by bisection in mpmath with 40 digits. */
static void test_gaussian(void **state)
{
    (void)state;
    static const struct {
        double mu, delta, epsilon;
    } rows[] = {{1.0, 1.0e-5, 4.377178095681},  {1.0, 1.0e-6, 4.886554117462},
                {0.1, 1.0e-6, 0.3968573776441}, {0.25, 1.0e-9, 1.395615713858},
                {3.0, 1.0e-6, 18.16344575908},  {10.0, 1.0e-8, 105.3272470888},
                {30.0, 1.0e-6, 591.6747178259}, {0.01, 1.0e-6, 0.03367378013081}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        near(mr_epsilon_gaussian(rows[i].mu, rows[i].delta), rows[i].epsilon);
    }
}

/* delta of the discrete Gaussian, exactly: one lane, a device that moves it by `far`. */
static double discrete_delta(double sigma2, int64_t far, double epsilon)
{
    const int64_t reach = (int64_t)(40 * sqrt(sigma2)) + far;
    double norm = 0, delta = 0;
    for (int64_t x = -reach; x <= reach; x++) {
        norm += exp(-(double)(x * x) / (2 * sigma2));
    }
    for (int64_t x = -reach; x <= reach; x++) {
        const double p = exp(-(double)(x * x) / (2 * sigma2));
        const double q = exp(epsilon - (double)((x + far) * (x + far)) / (2 * sigma2));
        delta += p > q ? (p - q) / norm : 0;
    }
    return delta;
}

/* The Gaussian curve, MR_EPSILON_LATTICE too long, is above that of the discrete Gaussian from
 * MR_NOISE_SIGMA2_MIN on, for every epsilon; without the length it is not. */
static void test_lattice(void **state)
{
    (void)state;
    unsigned without = 0;
    for (double sigma2 = MR_NOISE_SIGMA2_MIN; sigma2 < 300; sigma2 += 11) {
        for (int64_t far = 1; far < 60; far += far < 6 ? 1 : 9) {
            const double mu = (double)far / sqrt(sigma2);
            for (double epsilon = 0; epsilon < mu * mu / 2 + 5.5 * mu; epsilon += mu / 7.3) {
                const double exact = discrete_delta(sigma2, far, epsilon);
                if (exact < 1e-11) {
                    break;
                }
                assert_true(exact <=
                            mr_epsilon_gaussian_delta(mu * (1 + MR_EPSILON_LATTICE), epsilon));
                without += exact > mr_epsilon_gaussian_delta(mu, epsilon);
            }
        }
    }
    assert_true(without > 0);
}

/* --- bounds of the noise ------------------------------------------------------------------------
 */

static void test_noise_bounds(void **state)
{
    (void)state;
    int8_t q[64] = {0};
    assert_int_equal(mr_noise_tail(0, 2), 0);
    assert_int_equal(mr_noise_tail(100, 1), 100);
    assert_int_equal(mr_noise_tail(50, 2), 100);
    assert_int_equal(mr_noise_tail(101, 1), 101); /* 100.498… */
    assert_true(mr_noise_norm_max(100, 1, 64) == 180);
    assert_int_equal(mr_noise_sensitivity2(MR_NOISE_NORMS, 1, 1, 64, 5), 1);
    assert_int_equal(mr_noise_sensitivity2(MR_NOISE_WEIGHT, 1, 1, 64, 1), 0);
    assert_int_equal(mr_noise_sensitivity2(MR_NOISE_WEIGHT, 1, 1, 64, UINT32_MAX),
                     (uint64_t)UINT32_MAX * UINT32_MAX);
    assert_int_equal(mr_noise_sensitivity2(MR_NOISE_MODEL, 50, 2, 4096, 1), 11156);
    q[0] = -127;
    q[63] = 3;
    assert_true(mr_noise_vector_holds(q, 64, 127 * 127 + 9));
    assert_false(mr_noise_vector_holds(q, 64, 127 * 127 + 8));
    assert_true(mr_noise_vector_holds(q, 63, 127 * 127));
    /* Many devices: the terms of tau that are not worked out are not left out. */
    assert_true(mr_noise_tau(0.5, 1u << 24) >= mr_noise_tau(0.5, 4096) + 10 * 4096 * 5e-5);
}

int main(int argc, char **argv)
{
    json_error_t error;
    assert_true(argc == 2);
    vectors = json_load_file(argv[1], 0, &error);
    if (!vectors) {
        fprintf(stderr, "%s: %s\n", argv[1], error.text);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zcdp),
        cmocka_unit_test(test_rdp),
        cmocka_unit_test(test_rounded_norm),
        cmocka_unit_test(test_distributed),
        cmocka_unit_test(test_skellam),
        cmocka_unit_test(test_rho),
        cmocka_unit_test(test_variance_is_the_least),
        cmocka_unit_test(test_budget_is_the_largest),
        cmocka_unit_test(test_gaussian),
        cmocka_unit_test(test_lattice),
        cmocka_unit_test(test_noise_bounds),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(vectors);
    return failed;
}
