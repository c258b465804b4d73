/* levels.h - inside kernels/ only: what each ISA level defines, and its table.
 *
 * Every level may define mr_<kernel>_<isa> for any kernel of kernel_list.def; the types are taken
 * from struct mr_kernels, so a signature is written once and a mismatch does not compile. A level's
 * table (table_<isa>.c) may name a function of a level below where nothing is gained.
 */
#ifndef MR_KERNELS_LEVELS_H
#define MR_KERNELS_LEVELS_H

#include "kernels/kernels.h"

#define MR_KERNEL_TYPE(name) __typeof__(*((const struct mr_kernels *)0)->name)

#define X(name) MR_KERNEL_TYPE(name) mr_##name##_scalar;
#include "kernels/kernel_list.def"
#undef X
#define X(name) MR_KERNEL_TYPE(name) mr_##name##_avx2;
#include "kernels/kernel_list.def"
#undef X
#define X(name) MR_KERNEL_TYPE(name) mr_##name##_avx512;
#include "kernels/kernel_list.def"
#undef X
#define X(name) MR_KERNEL_TYPE(name) mr_##name##_neon;
#include "kernels/kernel_list.def"
#undef X

MR_KERNEL_TYPE(split_turns_two) mr_split_turns_two_avx512;
MR_KERNEL_TYPE(sha256_two) mr_sha256_two_avx512;

/* Only the functions for the architecture that is built exist. */
extern const struct mr_kernels mr_kernels_scalar;
extern const struct mr_kernels mr_kernels_avx2;
extern const struct mr_kernels mr_kernels_avx512;
extern const struct mr_kernels mr_kernels_neon;

#endif
