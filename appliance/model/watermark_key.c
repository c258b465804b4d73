/* watermark_key.c - from every hub's part of a mark's key to the key. */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "appliance/model/watermark.h"
#include "base/bytes.h"

static const char label[] = "\x16millrace watermark key"; /* len8 ‖ label */

#define LABEL_BYTES (sizeof label - 1)

static int compare_parts(const void *a, const void *b)
{
    return memcmp(a, b, MR_WATERMARK_KEY_BYTES);
}

static int check_parts(const uint8_t sorted[][MR_WATERMARK_KEY_BYTES], unsigned count,
                       struct mr_error *error)
{
    for (unsigned i = 1; i < count; i++) {
        if (compare_parts(sorted[i - 1], sorted[i]) == 0) {
            return mr_error_set(error, "two key parts are the same: give each hub's own");
        }
    }
    return 0;
}

int mr_watermark_key_join(uint8_t key[MR_WATERMARK_KEY_BYTES],
                          const uint8_t parts[][MR_WATERMARK_KEY_BYTES], unsigned count,
                          struct mr_error *error)
{
    static const uint8_t salt[SHA256_DIGEST_LENGTH];
    uint8_t sorted[MR_WATERMARK_PARTS_MAX][MR_WATERMARK_KEY_BYTES],
        message[LABEL_BYTES + 2 + sizeof sorted];
    if (count < MR_WATERMARK_PARTS_MIN || count > MR_WATERMARK_PARTS_MAX) {
        return mr_error_set(error, "a mark's key has 2 to 5 parts, not %u: give every hub's",
                            count);
    }
    memcpy(sorted, parts, count * sizeof sorted[0]);
    qsort(sorted, count, sizeof sorted[0], compare_parts);
    int result = check_parts((const uint8_t(*)[MR_WATERMARK_KEY_BYTES])sorted, count, error);
    if (result == 0) {
        size_t length = LABEL_BYTES;
        memcpy(message, label, length);
        mr_be16_put(message + length, (uint16_t)count);
        memcpy(message + length + 2, sorted, count * sizeof sorted[0]);
        length += 2 + count * sizeof sorted[0];
        if (!HMAC(EVP_sha256(), salt, sizeof salt, message, length, key, NULL)) {
            result = mr_error_set(error, "the cryptographic library makes no HMAC-SHA256");
        }
        OPENSSL_cleanse(message, sizeof message);
    }
    OPENSSL_cleanse(sorted, sizeof sorted);
    return result;
}

int mr_watermark_keep_announced(struct mr_watermark_kept *kept, const struct mr_safetensors *model,
                                uint8_t *data, const struct mr_announcement *round,
                                const struct mr_watermark_parts *parts, struct mr_error *error)
{
    uint8_t key[MR_WATERMARK_KEY_BYTES];
    if (!parts) {
        return mr_error_set(error, "the parts of the watermark's key are not known");
    }
    int result = mr_watermark_key_join(key, parts->of, round->hub_count, error);
    if (result == 0) {
        result = mr_watermark_keep(kept, model, data, key, round->watermark.strength, error);
    }
    OPENSSL_cleanse(key, sizeof key);
    return result;
}
