#include "wire/standing.h"

#include <string.h>

#include "base/bytes.h"
#include "wire/transcript.h"

#define SIGNED_BYTES (MR_STANDING_BYTES - MR_SIGNATURE_BYTES)
#define TEXT_LENGTH  MR_BASE64_LENGTH(MR_STANDING_BYTES)

void mr_standing_encode(uint8_t out[MR_STANDING_BYTES], const struct mr_standing *standing)
{
    mr_be16_put(out, standing->hub);
    mr_be64_put(out + 2, standing->epoch);
    mr_be64_put(out + 10, standing->sequence);
    mr_be64_put(out + 18, standing->round);
    memcpy(out + 26, standing->head, MR_HASH_BYTES);
    memcpy(out + SIGNED_BYTES, standing->signature, MR_SIGNATURE_BYTES);
}

void mr_standing_decode(struct mr_standing *standing, const uint8_t in[MR_STANDING_BYTES])
{
    standing->hub = mr_be16_get(in);
    standing->epoch = mr_be64_get(in + 2);
    standing->sequence = mr_be64_get(in + 10);
    standing->round = mr_be64_get(in + 18);
    memcpy(standing->head, in + 26, MR_HASH_BYTES);
    memcpy(standing->signature, in + SIGNED_BYTES, MR_SIGNATURE_BYTES);
}

static void signed_text(struct mr_transcript *transcript, const struct mr_standing *standing,
                        const char *task)
{
    uint8_t bytes[MR_STANDING_BYTES];
    const uint8_t length = (uint8_t)strlen(task);
    mr_standing_encode(bytes, standing);
    mr_transcript_init(transcript, "millrace transcript stands");
    mr_transcript_add(transcript, &length, 1);
    mr_transcript_add(transcript, (const uint8_t *)task, length);
    mr_transcript_add(transcript, bytes, SIGNED_BYTES);
}

int mr_standing_sign(struct mr_standing *standing, const char *task,
                     const struct mr_signing_pair *pair)
{
    struct mr_transcript transcript;
    signed_text(&transcript, standing, task);
    return mr_transcript_sign_pair(standing->signature, &transcript, pair);
}

int mr_standing_verify(const struct mr_standing *standing, const char *task,
                       const uint8_t public_key[MR_PUBLIC_KEY_BYTES])
{
    struct mr_transcript transcript;
    signed_text(&transcript, standing, task);
    return mr_transcript_verify(standing->signature, &transcript, public_key);
}

bool mr_standing_is_further(const struct mr_standing *a, const struct mr_standing *b)
{
    return a->epoch != b->epoch ? a->epoch > b->epoch : a->sequence > b->sequence;
}

void mr_standings_format(char text[MR_STANDINGS_TEXT], const struct mr_standings *standings)
{
    uint8_t bytes[MR_STANDING_BYTES];
    mr_standing_encode(bytes, &standings->own);
    mr_base64_encode(text, bytes, sizeof bytes);
    if (standings->has_echo) {
        mr_standing_encode(bytes, &standings->echo);
        text[TEXT_LENGTH] = ',';
        mr_base64_encode(text + TEXT_LENGTH + 1, bytes, sizeof bytes);
    }
}

static int parse_one(struct mr_standing *standing, const char *text)
{
    uint8_t bytes[MR_STANDING_BYTES];
    if (mr_base64_decode(bytes, sizeof bytes, text, TEXT_LENGTH) != 0) {
        return -1;
    }
    mr_standing_decode(standing, bytes);
    return 0;
}

int mr_standings_parse(struct mr_standings *standings, const char *text)
{
    const size_t length = strlen(text);
    standings->has_echo = length == 2 * TEXT_LENGTH + 1 && text[TEXT_LENGTH] == ',';
    if ((length != TEXT_LENGTH && !standings->has_echo) || parse_one(&standings->own, text) != 0) {
        return -1;
    }
    return standings->has_echo ? parse_one(&standings->echo, text + TEXT_LENGTH + 1) : 0;
}
