/* table_neon.c - AArch64 Advanced SIMD with the AES extension. */
#include "kernels/levels.h"

const struct mr_kernels mr_kernels_neon = {
    .name = "neon",
    .cpu_level = MR_CPU_NEON,
#define X(kernel) .kernel = mr_##kernel##_neon,
#include "kernels/kernel_list.def"
#undef X
};
