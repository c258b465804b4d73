/* test_cpu_mask.c - the --cpu-mask value and the choice of a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/kernels.h"

#define ALL (MR_CPU_SCALAR | MR_CPU_AVX2 | MR_CPU_AVX512 | MR_CPU_NEON)

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t mask;
    } good[] = {
        {"all", ALL},
        {"scalar", MR_CPU_SCALAR},
        {"avx2", MR_CPU_SCALAR | MR_CPU_AVX2},
        {"avx2,neon", MR_CPU_SCALAR | MR_CPU_AVX2 | MR_CPU_NEON},
        {"scalar,avx512", MR_CPU_SCALAR | MR_CPU_AVX512},
        {"-avx512", ALL & ~(uint32_t)MR_CPU_AVX512},
        {"-avx512,-avx2,-neon", MR_CPU_SCALAR},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint32_t mask = 0;
        assert_int_equal(mr_cpu_mask_parse(good[i].text, &mask), 0);
        assert_int_equal(mask, good[i].mask);
    }
}

static void test_parse_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",        ",",        "-",       "sse2",       "AVX2",         "avx",
        "avx5123", "avx2,",    ",avx2",   "avx2,,neon", "-avx2,",       "--avx2",
        " avx2",   "all,avx2", "-scalar", "-all",       "avx512,-avx2", "-avx2,avx512",
        "none",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint32_t mask = 0x1234;
        assert_int_equal(mr_cpu_mask_parse(bad[i], &mask), -1);
        assert_int_equal(mask, 0x1234);
    }
}

static void test_select(void **state)
{
    (void)state;
    const uint32_t have = mr_cpu_levels();
    assert_true(have & MR_CPU_SCALAR);
    assert_ptr_equal(mr_kernels_select(0), mr_kernels_at(MR_CPU_SCALAR));
    assert_string_equal(mr_kernels_select(MR_CPU_SCALAR)->name, "scalar");
    for (uint32_t level = MR_CPU_SCALAR; level <= MR_CPU_NEON; level *= 2) {
        const struct mr_kernels *k = mr_kernels_at((enum mr_cpu_level)level);
        assert_int_equal(k ? 1 : 0, (have & level) != 0);
        if (k) {
            uint32_t mask;
            assert_int_equal(k->cpu_level, level);
            assert_int_equal(mr_cpu_mask_parse(k->name, &mask), 0);
            assert_ptr_equal(mr_kernels_select(mask), k);
            /* What is taken away is not chosen. */
            if (level != MR_CPU_SCALAR) {
                assert_ptr_not_equal(mr_kernels_select(ALL & ~level), k);
            }
            assert_true(mr_kernels_select(ALL)->cpu_level >= level);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_select),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
