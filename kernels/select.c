/* select.c - what the machine can do, and which table follows from it.
 *
 * The only file of the tree with an architecture #if. MR_HAVE_<LEVEL> comes from
 * kernels/meson.build and says that the level's files are in this build.
 */
#include <string.h>

#include "kernels/levels.h"

#if defined(MR_HAVE_AVX2) || defined(MR_HAVE_AVX512)
#include <cpuid.h>
#elif defined(MR_HAVE_NEON)
#include <sys/auxv.h>
#endif

#define ALL_LEVELS (MR_CPU_SCALAR | MR_CPU_AVX2 | MR_CPU_AVX512 | MR_CPU_NEON)

/* Lowest first. */
static const struct mr_kernels *const tables[] = {
    &mr_kernels_scalar,
#ifdef MR_HAVE_AVX2
    &mr_kernels_avx2,
#endif
#ifdef MR_HAVE_AVX512
    &mr_kernels_avx512,
#endif
#ifdef MR_HAVE_NEON
    &mr_kernels_neon,
#endif
};

#if defined(MR_HAVE_AVX2) || defined(MR_HAVE_AVX512)
/* XCR0: which register state the operating system saves (Intel SDM vol. 1, 13.3). */
static uint64_t os_saved_state(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static uint32_t machine_levels(void)
{
    const uint64_t ymm_state = 0x06, zmm_state = 0xe6;
    const unsigned avx512_b = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL | bit_SHA;
    const unsigned avx512_c = bit_AVX512VBMI | bit_VAES;
    unsigned a, b, c, d, b7, c7;
    const unsigned avx2_c = bit_OSXSAVE | bit_AES | bit_POPCNT;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & avx2_c) != avx2_c) {
        return 0;
    }
    const uint64_t saved = os_saved_state();
    if ((saved & ymm_state) != ymm_state || !__get_cpuid_count(7, 0, &a, &b7, &c7, &d) ||
        !(b7 & bit_AVX2)) {
        return 0;
    }
    uint32_t levels = MR_CPU_AVX2;
    if ((saved & zmm_state) == zmm_state && (b7 & avx512_b) == avx512_b &&
        (c7 & avx512_c) == avx512_c) {
        levels |= MR_CPU_AVX512;
    }
    return levels;
}
#elif defined(MR_HAVE_NEON)
static uint32_t machine_levels(void)
{
    const unsigned long need = HWCAP_ASIMD | HWCAP_AES;
    return (getauxval(AT_HWCAP) & need) == need ? MR_CPU_NEON : 0;
}
#else
static uint32_t machine_levels(void)
{
    return 0;
}
#endif

uint32_t mr_cpu_levels(void)
{
    const uint32_t machine = machine_levels() | MR_CPU_SCALAR;
    uint32_t levels = 0;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        levels |= tables[i]->cpu_level & machine;
    }
    return levels;
}

const struct mr_kernels *mr_kernels_select(uint32_t mask)
{
    const uint32_t usable = (mr_cpu_levels() & mask) | MR_CPU_SCALAR;
    const struct mr_kernels *best = tables[0];
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (tables[i]->cpu_level & usable) {
            best = tables[i];
        }
    }
    return best;
}

const struct mr_kernels *mr_kernels_at(enum mr_cpu_level level)
{
    /* These are there everywhere, and are looked up in requests; each CPUID leaves a hypervisor's
     * guest, which takes tens of microseconds. */
    if (level == MR_CPU_SCALAR) {
        return tables[0];
    }
    const struct mr_kernels *best = mr_kernels_select(level);
    return best->cpu_level == (uint32_t)level ? best : NULL;
}

/* One name of `len` bytes; 0 where unknown. Names of other architectures are known everywhere, so
 * that one configuration serves a mixed fleet. */
static uint32_t level_of(const char *name, size_t len)
{
    static const struct {
        const char *name;
        uint32_t level;
    } names[] = {
        {"scalar", MR_CPU_SCALAR},
        {"avx2", MR_CPU_AVX2},
        {"avx512", MR_CPU_AVX512},
        {"neon", MR_CPU_NEON},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i].name) == len && memcmp(names[i].name, name, len) == 0) {
            return names[i].level;
        }
    }
    return 0;
}

int mr_cpu_mask_parse(const char *text, uint32_t *mask)
{
    if (strcmp(text, "all") == 0) {
        *mask = ALL_LEVELS;
        return 0;
    }
    const int take_away = text[0] == '-';
    uint32_t named = 0;
    for (const char *at = text;; at++) {
        if (take_away && *at++ != '-') {
            return -1;
        }
        const size_t len = strcspn(at, ",");
        const uint32_t level = level_of(at, len);
        if (level == 0 || (take_away && level == MR_CPU_SCALAR)) {
            return -1;
        }
        named |= level;
        at += len;
        if (*at == '\0') {
            break;
        }
    }
    *mask = (take_away ? ALL_LEVELS & ~named : named) | MR_CPU_SCALAR;
    return 0;
}
