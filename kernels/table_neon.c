/* table_neon.c - AArch64 Advanced SIMD with the AES extension. */
#include "kernels/levels.h"

/* Nothing is gained: the device's and the hub's once a round. */
#define mr_pack_narrow_neon   mr_pack_narrow_scalar
#define mr_lift_narrow_neon   mr_lift_narrow_scalar
#define mr_centre_w8_neon     mr_centre_w8_scalar
#define mr_centre_narrow_neon mr_centre_narrow_scalar
/* Without gathers. */
#define mr_gauss_draw_neon  mr_gauss_draw_scalar
#define mr_split_turns_neon mr_split_turns_scalar

const struct mr_kernels mr_kernels_neon = {
    .name = "neon",
    .cpu_level = MR_CPU_NEON,
#define X(kernel) .kernel = mr_##kernel##_neon,
#include "kernels/kernel_list.def"
#undef X
};
