/* table_avx2.c - AVX2 with AES-NI. */
#include "kernels/levels.h"

const struct mr_kernels mr_kernels_avx2 = {
    .name = "avx2",
    .cpu_level = MR_CPU_AVX2,
#define X(kernel) .kernel = mr_##kernel##_avx2,
#include "kernels/kernel_list.def"
#undef X
};
