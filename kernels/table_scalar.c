/* table_scalar.c - the level that every machine has. */
#include "kernels/levels.h"

const struct mr_kernels mr_kernels_scalar = {
    .name = "scalar",
    .cpu_level = MR_CPU_SCALAR,
#define X(kernel) .kernel = mr_##kernel##_scalar,
#include "kernels/kernel_list.def"
#undef X
};
