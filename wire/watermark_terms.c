#include "wire/watermark_terms.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

int mr_watermark_part_hash(uint8_t hash[MR_WATERMARK_HASH_BYTES],
                           const uint8_t part[MR_WATERMARK_KEY_BYTES])
{
    static const char label[] = "\x17millrace watermark part"; /* len8 ‖ label */
    uint8_t message[sizeof label - 1 + MR_WATERMARK_KEY_BYTES];
    memcpy(message, label, sizeof label - 1);
    memcpy(message + sizeof label - 1, part, MR_WATERMARK_KEY_BYTES);
    const bool good = SHA256(message, sizeof message, hash);
    OPENSSL_cleanse(message, sizeof message);
    return good ? 0 : -1;
}

bool mr_watermark_part_fits(const struct mr_watermark_terms *terms, unsigned position,
                            const uint8_t *part)
{
    uint8_t hash[MR_WATERMARK_HASH_BYTES];
    return part && mr_watermark_part_hash(hash, part) == 0 &&
           memcmp(hash, terms->part_hashes[position], sizeof hash) == 0;
}

int mr_watermark_terms_check(const struct mr_watermark_terms *terms, unsigned hubs,
                             struct mr_error *error)
{
    if (terms->strength < MR_WATERMARK_STRENGTH_MIN ||
        terms->strength > MR_WATERMARK_STRENGTH_MAX) {
        return mr_error_set(error, "watermark's strength is %u: must be %d to %d", terms->strength,
                            MR_WATERMARK_STRENGTH_MIN, MR_WATERMARK_STRENGTH_MAX);
    }
    for (unsigned i = 1; i < hubs; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (memcmp(terms->part_hashes[i], terms->part_hashes[j], MR_WATERMARK_HASH_BYTES) ==
                0) {
                return mr_error_set(error, "watermark: hubs[%u] and hubs[%u] have the same part", j,
                                    i);
            }
        }
    }
    return 0;
}
