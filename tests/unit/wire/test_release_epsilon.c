/* test_release_epsilon.c - the epsilon of a release: what the formula says, and the same bits as
 * the second implementation has (release_epsilon.inc). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/epsilon.h"
#include "wire/release_epsilon.h"

static const struct {
    uint64_t rho;
    float delta, epsilon;
} cases[] = {
#include "tests/unit/wire/release_epsilon.inc"
};

static void test_bits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct mr_announcement announcement = {
            .privacy = {.rho = cases[i].rho, .delta = cases[i].delta}};
        assert_true(mr_release_epsilon(&announcement) == cases[i].epsilon);
    }
}

/* By libm's logarithm; and never below the tight curve. */
static void test_formula(void **state)
{
    (void)state;
    for (int e = -120; e < -1; e++) {
        for (uint64_t rho = 1; rho <= UINT64_C(1) << 52; rho *= 37) {
            const struct mr_announcement announcement = {
                .privacy = {.rho = rho, .delta = ldexpf(1.3f, e)}};
            const double r = mr_rho_value(rho), delta = (double)announcement.privacy.delta;
            const double wanted = r + 2 * sqrt(r * log(1 / delta));
            const double found = (double)mr_release_epsilon(&announcement);
            assert_true(found >= wanted * (1 - 1e-12) && found <= wanted * (1 + 2e-7));
            assert_true(found >= mr_epsilon_of(rho, delta, MR_NOISE_HUB) * (1 - 1e-9));
        }
    }
}

static void test_none(void **state)
{
    (void)state;
    const struct mr_announcement announcement = {.round = 1};
    assert_true(mr_release_epsilon(&announcement) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bits), cmocka_unit_test(test_formula),
                                       cmocka_unit_test(test_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
