#include "appliance/round/drive/expand_list.h"

#include <openssl/crypto.h>
#include <stdlib.h>

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
