#include "appliance/privacy/hub_noise.h"

#include <openssl/crypto.h>

int mr_hub_noise_prepare(struct mr_noise_tables **tables,
                         const struct mr_announcement *announcement)
{
    return announcement->noise_kind == MR_NOISE_HUB ? mr_noise_tables_prepare(tables, announcement)
                                                    : 0;
}

static struct mr_noise_scope scope_of(const struct mr_hub_noise *noise)
{
    return (struct mr_noise_scope){.announcement_hash = noise->terms->hash,
                                   .set_hash = noise->set_hash,
                                   .hub_index = noise->hub_index};
}

int mr_hub_noise_add(uint8_t *result, const struct mr_hub_noise *noise,
                     const struct mr_kernels *kernels, struct mr_error *error)
{
    const struct mr_noise_scope scope = scope_of(noise);
    uint8_t seed[MR_NOISE_SEED_BYTES];
    if (noise->terms->announcement.noise_kind != MR_NOISE_HUB) {
        return 0;
    }
    int status = mr_noise_seed_derive(seed, noise->private_key, &scope);
    if (status == 0) {
        status = mr_noise_add_seed(result, noise->tables, noise->terms, seed, kernels);
    }
    OPENSSL_cleanse(seed, sizeof seed);
    return status == 0 ? 0 : mr_error_set(error, "the noise could not be drawn: no memory");
}

int mr_hub_noise_hash(uint8_t hash[MR_HASH_BYTES], const struct mr_hub_noise *noise)
{
    const struct mr_noise_scope scope = scope_of(noise);
    uint8_t seed[MR_NOISE_SEED_BYTES];
    const int status = mr_noise_seed_derive(seed, noise->private_key, &scope) != 0 ||
                               mr_noise_seed_hash(hash, seed, &scope) != 0
                           ? -1
                           : 0;
    OPENSSL_cleanse(seed, sizeof seed);
    return status;
}
