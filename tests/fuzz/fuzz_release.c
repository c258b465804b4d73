/* fuzz_release.c - signed releases: an accepted one is encoded to the same bytes, and nothing is
 * taken without a signature. */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "wire/release_trust.h"

static void write_again(const struct mr_signed_release *answer, const uint8_t *data, size_t size)
{
    size_t length;
    uint8_t *manifest = mr_release_encode(&answer->release, &length);
    MR_ASSERT(manifest && length == answer->manifest_bytes &&
              memcmp(manifest, answer->manifest, length) == 0);
    uint8_t *bytes =
        mr_signed_release_encode(manifest, length, answer->words, answer->word_count, &length);
    MR_ASSERT(bytes && length == size && memcmp(bytes, data, size) == 0);
    free(manifest);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mr_signed_release answer;
    struct mr_error error = {.text = ""};
    if (mr_signed_release_decode(&answer, data, size, &error) != 0) {
        MR_ASSERT(error.text[0] != '\0');
        return 0;
    }
    write_again(&answer, data, size);
    struct mr_announced_hub hubs[2] = {{.index = 0}, {.index = 1}};
    const struct mr_release_trust trust = {.task = answer.release.task,
                                           .hubs = hubs,
                                           .hub_count = 2,
                                           .threshold = 2,
                                           .now_s = answer.release.not_before_s,
                                           .client = UINT32_MAX,
                                           .target_bytes_max = UINT64_MAX};
    unsigned chosen;
    MR_ASSERT(mr_release_judge(&answer, 1, &trust, &chosen) != MR_RELEASE_TAKEN && chosen == 0);
    return 0;
}
