#include "appliance/round/drive/expand_list.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/aggregate/expand.h"

uint8_t *mr_expand_list(const struct mr_round_terms *terms, uint16_t hub_index,
                        struct mr_expansion *list, uint32_t count, const struct mr_kernels *kernels)
{
    struct mr_scoped_seed *seeds = calloc(count > 0 ? count : 1, sizeof *seeds);
    uint8_t *result = NULL;
    for (uint32_t i = 0; seeds && i < count; i++) {
        seeds[i] = (struct mr_scoped_seed){.seed = list[i].seed,
                                           .scope = {.task = terms->announcement.task,
                                                     .announcement_hash = terms->hash,
                                                     .client_id = list[i].included.client_id,
                                                     .hub_index = hub_index,
                                                     .attempt = list[i].included.attempt}};
    }
    if (seeds) {
        result = mr_expand(&terms->layout, seeds, count, kernels);
    }
    free(seeds);
    OPENSSL_cleanse(list, (size_t)count * sizeof *list);
    return result;
}

uint8_t *mr_expand_noised(const struct mr_hub_noise *noise, struct mr_expansion *list,
                          uint32_t count, const struct mr_kernels *kernels)
{
    const size_t bytes = (size_t)noise->terms->layout.share_bytes;
    uint8_t *result = mr_expand_list(noise->terms, noise->hub_index, list, count, kernels);
    if (result && mr_hub_noise_add(result, noise, kernels, NULL) != 0) {
        OPENSSL_cleanse(result, bytes);
        free(result);
        return NULL;
    }
    return result;
}

int mr_sum_noised(uint8_t *packed, const struct mr_hub_noise *noise,
                  const struct mr_included *included, uint32_t count,
                  const struct mr_kernels *kernels, struct mr_error *error)
{
    struct mr_hub_noise own = *noise;
    uint8_t set_hash[MR_HASH_BYTES];
    struct mr_included *set = malloc((size_t)count * sizeof *set + 1);
    if (!set) {
        return mr_error_set(error, "out of memory for a set of %u", count);
    }
    memcpy(set, included, (size_t)count * sizeof *set);
    mr_included_sort(set, count);
    own.set_hash = set_hash;
    const int result = mr_included_hash(set_hash, noise->terms->hash, set, count) != 0
                           ? mr_error_set(error, "the set could not be hashed")
                           : mr_hub_noise_add(packed, &own, kernels, error);
    free(set);
    return result;
}
