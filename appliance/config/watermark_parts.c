#include "appliance/config/watermark_parts.h"

#include <string.h>

#include "base/bytes.h"

#define HEX_DIGITS (2 * (size_t)MR_WATERMARK_HASH_BYTES)

/* One hash; *at is behind it and what follows it. */
static int take(uint8_t hash[MR_WATERMARK_HASH_BYTES], const char **at)
{
    char hex[HEX_DIGITS + 1] = "";
    const char *text = *at + strspn(*at, " ");
    const size_t digits = strspn(text, "0123456789abcdefABCDEF");
    if (digits != HEX_DIGITS) {
        return -1;
    }
    memcpy(hex, text, HEX_DIGITS);
    *at = text + digits + strspn(text + digits, " ");
    return mr_hex_decode(hash, MR_WATERMARK_HASH_BYTES, hex);
}

int mr_config_watermark(struct mr_watermark_terms *terms, const struct mr_config_watermark *config,
                        unsigned hubs, struct mr_error *error)
{
    *terms = (struct mr_watermark_terms){.strength = 0};
    if (!config->key_file || config->key_file[0] == '\0') {
        return 0;
    }
    terms->strength = (uint16_t)config->strength;
    const char *at = config->part_hashes;
    unsigned i = 0;
    while (i < hubs && take(terms->part_hashes[i], &at) == 0) {
        i++;
        if (i < hubs && *at++ != ',') {
            break;
        }
    }
    if (i != hubs || *at != '\0') {
        return mr_error_set(error,
                            "must be %u hashes of 64 hex digits, commas between, one for each of "
                            "the task's hubs in their order: `millrace watermark key FILE` prints "
                            "a part's",
                            hubs);
    }
    return mr_watermark_terms_check(terms, hubs, error) == 0
               ? 0
               : mr_error_set(error, "must be another hash for each hub: two are the same");
}
