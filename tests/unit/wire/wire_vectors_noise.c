#include "tests/unit/wire/wire_vectors_noise.h"

#include "base/assert.h"
#include "tests/unit/wire/wire_vectors_case.h"
#include "wire/noise_seed.h"

json_t *wire_vectors_privacy(const struct mr_announcement *a)
{
    const struct mr_privacy_terms *privacy = &a->privacy;
    if (a->noise_kind == MR_NOISE_NONE) {
        return json_null();
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:I}", "model_sigma2",
                     (json_int_t)privacy->model_sigma2, "norms_sigma2",
                     (json_int_t)privacy->norms_sigma2, "weight_sigma2",
                     (json_int_t)privacy->weight_sigma2, "rho", (json_int_t)privacy->rho, "budget",
                     (json_int_t)privacy->budget, "horizon_s", (json_int_t)privacy->horizon_s,
                     "delta_bits", (json_int_t)case_float_bits(privacy->delta), "honest",
                     (json_int_t)privacy->honest, "pool", privacy->pool, "metrics_sigma2",
                     (json_int_t)privacy->metrics_sigma2);
}

#define BYTES (MR_NOISE_SEED_BYTES + MR_HASH_BYTES + 32 * MR_NOISE_GROUPS)

json_t *wire_vectors_noise(const struct mr_round_terms *terms,
                           uint8_t (*signing)[MR_PUBLIC_KEY_BYTES], const uint8_t *set_hash)
{
    json_t *list = json_array();
    for (unsigned hub = 0; hub < terms->announcement.hub_count; hub++) {
        uint8_t bytes[BYTES];
        const struct mr_noise_scope scope = {.announcement_hash = terms->hash,
                                             .set_hash = set_hash,
                                             .hub_index = terms->announcement.hubs[hub].index};
        MR_ASSERT(mr_noise_seed_derive(bytes, signing[hub], &scope) == 0);
        MR_ASSERT(mr_noise_seed_hash(bytes + MR_NOISE_SEED_BYTES, bytes, &scope) == 0);
        for (enum mr_noise_group group = 0; group < MR_NOISE_GROUPS; group++) {
            uint8_t *key = bytes + MR_NOISE_SEED_BYTES + MR_HASH_BYTES + (size_t)32 * group;
            MR_ASSERT(mr_noise_key_derive(key, bytes, group) == 0);
        }
        json_array_append_new(list, case_to_hex(bytes, sizeof bytes));
    }
    return list;
}
