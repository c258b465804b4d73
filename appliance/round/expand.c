#include "appliance/round/expand.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "wire/keys.h"
#include "wire/share.h"

static size_t round_up_64(uint64_t bytes)
{
    return (size_t)((bytes + 63) & ~(uint64_t)63);
}

static int add_masks(struct mr_vector_sum *sum, const struct mr_round_terms *terms,
                     uint16_t hub_index, const struct mr_expansion *list, uint32_t count,
                     const struct mr_kernels *kernels)
{
    struct mr_mask_stream mask;
    int result = 0;
    mr_sum_zero(sum, &terms->layout);
    for (uint32_t i = 0; i < count && result == 0; i++) {
        const struct mr_key_scope scope = {.announcement_hash = terms->hash,
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

uint8_t *mr_expand(const struct mr_round_terms *terms, uint16_t hub_index,
                   struct mr_expansion *list, uint32_t count, const struct mr_kernels *kernels)
{
    const size_t lane_bytes = round_up_64(mr_layout_accumulator_bytes(&terms->layout));
    struct mr_vector_sum sum = {.lanes = aligned_alloc(64, lane_bytes)};
    uint8_t *result = aligned_alloc(64, round_up_64(terms->layout.share_bytes));
    if (sum.lanes && result && add_masks(&sum, terms, hub_index, list, count, kernels) == 0) {
        mr_sum_pack(result, &terms->layout, &sum, kernels);
    } else {
        free(result);
        result = NULL;
    }
    if (sum.lanes) {
        OPENSSL_cleanse(sum.lanes, lane_bytes);
    }
    free(sum.lanes);
    OPENSSL_cleanse(list, (size_t)count * sizeof *list);
    return result;
}
