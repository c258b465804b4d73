#include "appliance/aggregate/expand.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>

#include "appliance/runtime/pages.h"
#include "wire/keys.h"
#include "wire/share.h"

static int add_masks(struct mr_vector_sum *sum, const struct mr_round_terms *terms,
                     uint16_t hub_index, const struct mr_expansion *list, uint32_t count,
                     const struct mr_kernels *kernels)
{
    struct mr_mask_stream mask;
    int result = 0;
    mr_sum_zero(sum, &terms->layout);
    for (uint32_t i = 0; i < count && result == 0; i++) {
        const struct mr_key_scope scope = {.task = terms->announcement.task,
                                           .announcement_hash = terms->hash,
                                           .client_id = list[i].included.client_id,
                                           .hub_index = hub_index,
                                           .attempt = list[i].included.attempt};
        result = mr_mask_derive(&mask, list[i].seed, &scope);
        if (result == 0) {
            mr_sum_mask(sum, &terms->layout, &mask, kernels);
        }
    }
    OPENSSL_cleanse(&mask, sizeof mask);
    return result;
}

/* Lanes that are as wide on the wire are added up where the result is to be: one buffer less. */
static bool sums_in_place(const struct mr_layout *layout)
{
    return layout->ring_bits != 24;
}

uint8_t *mr_expand(const struct mr_round_terms *terms, uint16_t hub_index,
                   struct mr_expansion *list, uint32_t count, const struct mr_kernels *kernels)
{
    const struct mr_layout *layout = &terms->layout;
    const size_t lane_bytes = mr_layout_accumulator_bytes(layout);
    uint8_t *result = mr_pages_buffer(layout->share_bytes);
    void *apart = sums_in_place(layout) ? NULL : mr_pages_buffer(lane_bytes);
    struct mr_vector_sum sum = {.lanes = sums_in_place(layout) ? result : apart};

    if (result && sum.lanes && add_masks(&sum, terms, hub_index, list, count, kernels) == 0) {
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
    OPENSSL_cleanse(list, (size_t)count * sizeof *list);
    return result;
}
