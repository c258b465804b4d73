#include "wire/noise_seed.h"

#include "wire/transcript.h"

static void add_scope(struct mr_transcript *transcript, const struct mr_noise_scope *scope)
{
    mr_transcript_add(transcript, scope->announcement_hash, MR_HASH_BYTES);
    mr_transcript_add(transcript, scope->set_hash, MR_HASH_BYTES);
    mr_transcript_add16(transcript, scope->hub_index);
}

int mr_noise_seed_derive(uint8_t seed[MR_NOISE_SEED_BYTES], const uint8_t private_key[32],
                         const struct mr_noise_scope *scope)
{
    struct mr_transcript transcript;
    mr_transcript_init(&transcript, "millrace noise seed");
    add_scope(&transcript, scope);
    return mr_transcript_hmac(seed, private_key, &transcript);
}

int mr_noise_key_derive(uint8_t key[32], const uint8_t seed[MR_NOISE_SEED_BYTES],
                        enum mr_noise_group group)
{
    struct mr_transcript transcript;
    mr_transcript_init(&transcript, "millrace noise");
    mr_transcript_add16(&transcript, (uint16_t)group);
    return mr_transcript_hmac(key, seed, &transcript);
}

int mr_noise_seed_hash(uint8_t hash[MR_HASH_BYTES], const uint8_t seed[MR_NOISE_SEED_BYTES],
                       const struct mr_noise_scope *scope)
{
    struct mr_transcript transcript;
    mr_transcript_init(&transcript, "millrace noise hash");
    add_scope(&transcript, scope);
    return mr_transcript_hash(hash, &transcript, seed, MR_NOISE_SEED_BYTES);
}
