/* table_avx2.c - AVX2 with AES-NI. */
#include "kernels/levels.h"

/* Nothing is gained: the device's and the hub's once a round. */
#define mr_pack_narrow_avx2   mr_pack_narrow_scalar
#define mr_lift_narrow_avx2   mr_lift_narrow_scalar
#define mr_centre_w8_avx2     mr_centre_w8_scalar
#define mr_centre_narrow_avx2 mr_centre_narrow_scalar
/* Without a step that spreads words over the coders that need one. */
#define mr_split_turns_avx2 mr_split_turns_scalar

const struct mr_kernels mr_kernels_avx2 = {
    .name = "avx2",
    .cpu_level = MR_CPU_AVX2,
#define X(kernel) .kernel = mr_##kernel##_avx2,
#include "kernels/kernel_list.def"
#undef X
};
