#include "appliance/round/drive/round_debit.h"

#include <string.h>

#include "appliance/privacy/hub_noise.h"
#include "appliance/task/released.h"
#include "base/assert.h"

void mr_round_debit_take(struct mr_round_debit *debit, const struct mr_round_context *context,
                         const struct mr_round_terms *terms, const uint8_t *set_hash)
{
    struct mr_released_head head;
    const struct mr_hub_noise noise = {.terms = terms,
                                       .set_hash = set_hash,
                                       .hub_index = context->hub_index,
                                       .private_key = context->private_key};
    *debit = (struct mr_round_debit){.known = false};
    if (!terms || terms->announcement.noise_kind == MR_NOISE_NONE) {
        return;
    }
    debit->known = true;
    memcpy(debit->hash, terms->hash, MR_HASH_BYTES);
    mr_released_head(context->released, &head);
    debit->fact.rho = terms->announcement.privacy.rho;
    debit->fact.records = head.records;
    memcpy(debit->fact.head, head.hash, MR_HASH_BYTES);
    if (terms->announcement.noise_kind == MR_NOISE_HUB) { /* else this hub draws none: zeros */
        const int hashed = mr_hub_noise_hash(debit->fact.noise_hash, &noise);
        MR_ASSERT(hashed == 0);
    }
}

void mr_round_debit_tell(const struct mr_round_debit *debit, uint16_t hub_index,
                         struct mr_round_facts *facts)
{
    if (!facts->terms || facts->terms->announcement.noise_kind == MR_NOISE_NONE) {
        return;
    }
    const int position = mr_announcement_hub(&facts->terms->announcement, hub_index);
    MR_ASSERT(position >= 0);
    if (debit->known && facts->included &&
        memcmp(debit->hash, facts->terms->hash, MR_HASH_BYTES) == 0) {
        facts->debit = &debit->fact;
    } else {
        facts->openings_known &= ~(1u << position);
    }
}
