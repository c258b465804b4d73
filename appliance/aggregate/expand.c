#include "appliance/aggregate/expand.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "appliance/aggregate/sum.h"
#include "appliance/runtime/pages.h"

static int add_masks(struct mr_vector_sum *sum, const struct mr_layout *layout,
                     const struct mr_scoped_seed *seeds, uint32_t count,
                     const struct mr_kernels *kernels)
{
    struct mr_mask_stream mask;
    int result = 0;
    mr_sum_zero(sum, layout);
    for (uint32_t i = 0; i < count && result == 0; i++) {
        result = mr_mask_derive(&mask, seeds[i].seed, &seeds[i].scope);
        if (result == 0) {
            mr_sum_mask(sum, layout, &mask, kernels);
        }
    }
    OPENSSL_cleanse(&mask, sizeof mask);
    return result;
}

uint8_t *mr_expand(const struct mr_layout *layout, const struct mr_scoped_seed *seeds,
                   uint32_t count, const struct mr_kernels *kernels)
{
    const size_t lane_bytes = mr_layout_accumulator_bytes(layout);
    uint8_t *result = mr_pages_buffer(layout->share_bytes);
    /* Lanes that are as wide on the wire are added up where the result is to be: one buffer less.
     */
    void *apart = mr_layout_packed(layout) ? mr_pages_buffer(lane_bytes) : NULL;
    struct mr_vector_sum sum = {.lanes = mr_layout_packed(layout) ? apart : result};

    if (result && sum.lanes && add_masks(&sum, layout, seeds, count, kernels) == 0) {
        mr_sum_pack(result, layout, &sum, kernels);
    } else {
        if (result) {
            OPENSSL_cleanse(result, layout->share_bytes); /* some of the masks, perhaps */
        }
        free(result);
        result = NULL;
    }
    if (apart) {
        OPENSSL_cleanse(apart, lane_bytes);
    }
    free(apart);
    return result;
}
