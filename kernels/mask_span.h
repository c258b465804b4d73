/* mask_span.h - inside kernels/ only: masks of lanes that do not fit the cipher's blocks, and of
 * those that need not be fast, for any level.
 *
 * The stream is laid down in L1, a span at a time, by the level's own mask_expand, and read back as
 * packed lanes by what the level adds or subtracts them with. One copy of each serves all levels:
 * the device's library is bounded.
 */
#ifndef MR_KERNELS_MASK_SPAN_H
#define MR_KERNELS_MASK_SPAN_H

#include <string.h>

#include "kernels/kernels.h"
#include "kernels/lane.h"
#include "kernels/levels.h"

#define MASK_SPAN_LANES 512u /* 512 to 1,536 bytes: whole batches of every level's cipher */
#define MASK_SPAN_BYTES (MASK_SPAN_LANES * 3)

typedef MR_KERNEL_TYPE(mask_expand) mr_mask_expand_fn;

void mr_mask_span_add_w8(uint8_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t lanes, mr_mask_expand_fn *expand, MR_KERNEL_TYPE(fold_w8) * fold);
void mr_mask_span_sub_w8(uint8_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t lanes, mr_mask_expand_fn *expand);
void mr_mask_span_add_narrow(uint16_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                             size_t lanes, unsigned bits, mr_mask_expand_fn *expand,
                             MR_KERNEL_TYPE(fold_narrow) * fold);
void mr_mask_span_sub_narrow(uint8_t *packed, const struct mr_mask_stream *mask, uint64_t offset,
                             size_t lanes, unsigned bits, mr_mask_expand_fn *expand);
void mr_mask_span_add_w24(uint32_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes, mr_mask_expand_fn *expand, MR_KERNEL_TYPE(add_w24) * add);
/* sub(packed, stream, lanes) takes packed lanes from packed lanes. */
void mr_mask_span_sub_w24(uint8_t *packed, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes, mr_mask_expand_fn *expand,
                          void (*sub)(uint8_t *, const uint8_t *, size_t));

#endif
