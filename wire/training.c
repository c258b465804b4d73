#include "wire/training.h"

#include <string.h>

#include "base/bytes.h"
#include "wire/transcript.h"

int mr_training_seed_derive(uint64_t *seed, const uint8_t secret[MR_TRAINING_SECRET_BYTES],
                            const char *task, uint64_t round)
{
    struct mr_transcript transcript;
    uint8_t mac[32];
    const size_t length = strlen(task);
    const uint8_t length8 = (uint8_t)length;
    mr_transcript_init(&transcript, "millrace training");
    mr_transcript_add(&transcript, &length8, 1);
    mr_transcript_add(&transcript, (const uint8_t *)task, length);
    mr_transcript_add64(&transcript, round);
    if (mr_transcript_hmac(mac, secret, &transcript) != 0) {
        return -1;
    }
    *seed = mr_be64_get(mac);
    return 0;
}
