/* release.c - the manifest, words and their one encoding. */
#include "wire/release.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/transcript.h"

#define VERSION          1
#define FIXED_BYTES      153 /* all but the task's name and the blocks */
#define BLOCK_LOG2_LEAST 16
#define BLOCK_LOG2_MOST  30

static const uint8_t magic[4] = {'M', 'R', 'R', 'L'};

int mr_release_version_compare(const struct mr_release_version *a,
                               const struct mr_release_version *b)
{
    if (a->round != b->round) {
        return a->round < b->round ? -1 : 1;
    }
    return a->step < b->step ? -1 : a->step > b->step;
}

uint32_t mr_release_block_count(uint64_t bytes, uint8_t block_log2)
{
    const uint64_t count = (bytes >> block_log2) + ((bytes & ((1ull << block_log2) - 1)) != 0);
    return count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
}

static const char *const outcome_names[MR_RELEASE_OUTCOMES] = {"kept", "went-back", "failed"};

const char *mr_release_outcome_name(enum mr_release_outcome outcome)
{
    return outcome_names[outcome];
}

bool mr_release_outcome_find(enum mr_release_outcome *outcome, const char *name)
{
    for (unsigned i = 0; i < MR_RELEASE_OUTCOMES; i++) {
        if (strcmp(outcome_names[i], name) == 0) {
            *outcome = (enum mr_release_outcome)i;
            return true;
        }
    }
    return false;
}

/* --- the manifest ---------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *at, const void *bytes, size_t count)
{
    memcpy(at, bytes, count);
    return at + count;
}

uint8_t *mr_release_encode(const struct mr_release *release, size_t *length)
{
    const size_t name = strlen(release->task), blocks = 32 * (size_t)release->block_count;
    uint8_t *bytes = malloc(FIXED_BYTES + name + blocks), *at = bytes;
    uint32_t epsilon;
    if (!bytes) {
        return NULL;
    }
    memcpy(&epsilon, &release->epsilon, sizeof epsilon);
    at = put(at, magic, sizeof magic);
    mr_be16_put(at, VERSION);
    mr_be64_put(at + 2, release->version.round);
    mr_be32_put(at + 10, release->version.step);
    at = put(at + 14, release->target_hash, MR_HASH_BYTES);
    mr_be64_put(at, release->target_bytes);
    at = put(at + 8, release->base_hash, MR_HASH_BYTES);
    at = put(at, release->announcement_hash, MR_HASH_BYTES);
    mr_be32_put(at, release->included);
    mr_be32_put(at + 4, epsilon);
    mr_be64_put(at + 8, release->not_before_s);
    mr_be64_put(at + 16, release->expires_s);
    mr_be32_put(at + 24, release->client_min);
    at[28] = release->format;
    at[29] = release->block_log2;
    at[30] = (uint8_t)name;
    at = put(at + 31, release->task, name);
    if (blocks) {
        at = put(at, release->blocks, blocks);
    }
    *length = (size_t)(at - bytes);
    MR_ASSERT(*length == FIXED_BYTES + name + blocks);
    return bytes;
}

static int check_numbers(const struct mr_release *release, struct mr_error *error)
{
    if (release->version.round > MR_ROUND_MAX ||
        (release->version.round == 0 && release->version.step == 0)) {
        return mr_error_set(error, "version 0.0, or a round above 2^53 - 1");
    }
    if (!(isfinite(release->epsilon) && release->epsilon >= 0) || signbit(release->epsilon)) {
        return mr_error_set(error, "epsilon is no number from 0 on");
    }
    if (release->expires_s == 0 || release->expires_s <= release->not_before_s) {
        return mr_error_set(error, "it ends before it begins");
    }
    if (release->format != MR_RELEASE_FORMAT_F32) {
        return mr_error_set(error, "format %u is not known", release->format);
    }
    if (release->block_log2 < BLOCK_LOG2_LEAST || release->block_log2 > BLOCK_LOG2_MOST) {
        return mr_error_set(error, "blocks of 2^%u bytes: 2^%d to 2^%d are possible",
                            release->block_log2, BLOCK_LOG2_LEAST, BLOCK_LOG2_MOST);
    }
    const uint32_t count = mr_release_block_count(release->target_bytes, release->block_log2);
    if (count == 0 || count > MR_RELEASE_BLOCKS_MAX) {
        return mr_error_set(error, "a file of %llu bytes has %u blocks: 1 to %d are possible",
                            (unsigned long long)release->target_bytes, count,
                            MR_RELEASE_BLOCKS_MAX);
    }
    return 0;
}

/* What stands at fixed places. */
static void read_numbers(struct mr_release *release, const uint8_t *bytes)
{
    const uint32_t epsilon = mr_be32_get(bytes + 126);
    release->version.round = mr_be64_get(bytes + 6);
    release->version.step = mr_be32_get(bytes + 14);
    memcpy(release->target_hash, bytes + 18, MR_HASH_BYTES);
    release->target_bytes = mr_be64_get(bytes + 50);
    memcpy(release->base_hash, bytes + 58, MR_HASH_BYTES);
    memcpy(release->announcement_hash, bytes + 90, MR_HASH_BYTES);
    release->included = mr_be32_get(bytes + 122);
    memcpy(&release->epsilon, &epsilon, sizeof epsilon);
    release->not_before_s = mr_be64_get(bytes + 130);
    release->expires_s = mr_be64_get(bytes + 138);
    release->client_min = mr_be32_get(bytes + 146);
    release->format = bytes[150];
    release->block_log2 = bytes[151];
}

int mr_release_decode(struct mr_release *release, const uint8_t *bytes, size_t length,
                      struct mr_error *error)
{
    *release = (struct mr_release){.format = 0};
    if (length < FIXED_BYTES || memcmp(bytes, magic, sizeof magic) != 0 ||
        mr_be16_get(bytes + 4) != VERSION) {
        return mr_error_set(error, "this is no release of version %d", VERSION);
    }
    read_numbers(release, bytes);
    if (check_numbers(release, error) != 0) {
        return -1;
    }
    const size_t name = bytes[152];
    release->block_count = mr_release_block_count(release->target_bytes, release->block_log2);
    if (name > MR_TASK_NAME_MAX ||
        length != FIXED_BYTES + name + 32 * (size_t)release->block_count) {
        return mr_error_set(error, "the release is not as long as it says");
    }
    memcpy(release->task, bytes + FIXED_BYTES, name);
    if (!mr_task_name_valid(release->task) || strlen(release->task) != name) {
        return mr_error_set(error, "the task's name is none");
    }
    release->blocks = bytes + FIXED_BYTES + name;
    return 0;
}

/* --- signatures ------------------------------------------------------------------------------ */

static void release_text(struct mr_transcript *transcript, const uint8_t *hash)
{
    mr_transcript_init(transcript, "millrace release");
    mr_transcript_add(transcript, hash, MR_HASH_BYTES);
}

static void latest_text(struct mr_transcript *transcript, const struct mr_release_word *word,
                        const uint8_t *hash)
{
    mr_transcript_init(transcript, "millrace latest release");
    mr_transcript_add(transcript, hash, MR_HASH_BYTES);
    mr_transcript_add16(transcript, word->hub_index);
    mr_transcript_add64(transcript, word->issued_s);
    mr_transcript_add32(transcript, word->valid_s);
    mr_transcript_add16(transcript, word->fraction);
}

int mr_release_sign(uint8_t signature[MR_SIGNATURE_BYTES], const uint8_t hash[MR_HASH_BYTES],
                    const struct mr_signing_pair *pair)
{
    struct mr_transcript transcript;
    release_text(&transcript, hash);
    return mr_transcript_sign_pair(signature, &transcript, pair);
}

int mr_release_verify(const struct mr_release_word *word, const uint8_t hash[MR_HASH_BYTES],
                      const uint8_t public_key[MR_PUBLIC_KEY_BYTES])
{
    struct mr_transcript transcript;
    release_text(&transcript, hash);
    return mr_transcript_verify(word->signature, &transcript, public_key);
}

int mr_release_sign_latest(struct mr_release_word *word, const uint8_t hash[MR_HASH_BYTES],
                           const struct mr_signing_pair *pair)
{
    struct mr_transcript transcript;
    latest_text(&transcript, word, hash);
    return mr_transcript_sign_pair(word->latest, &transcript, pair);
}

int mr_release_verify_latest(const struct mr_release_word *word, const uint8_t hash[MR_HASH_BYTES],
                             const uint8_t public_key[MR_PUBLIC_KEY_BYTES])
{
    struct mr_transcript transcript;
    latest_text(&transcript, word, hash);
    return mr_transcript_verify(word->latest, &transcript, public_key);
}

/* --- manifest and words together -------------------------------------------------------------- */

static void word_put(uint8_t *at, const struct mr_release_word *word)
{
    mr_be16_put(at, word->hub_index);
    memcpy(at + 2, word->signature, MR_SIGNATURE_BYTES);
    mr_be64_put(at + 66, word->issued_s);
    mr_be32_put(at + 74, word->valid_s);
    mr_be16_put(at + 78, word->fraction);
    memcpy(at + 80, word->latest, MR_SIGNATURE_BYTES);
}

static void word_get(struct mr_release_word *word, const uint8_t *at)
{
    word->hub_index = mr_be16_get(at);
    memcpy(word->signature, at + 2, MR_SIGNATURE_BYTES);
    word->issued_s = mr_be64_get(at + 66);
    word->valid_s = mr_be32_get(at + 74);
    word->fraction = mr_be16_get(at + 78);
    memcpy(word->latest, at + 80, MR_SIGNATURE_BYTES);
}

uint8_t *mr_signed_release_encode(const uint8_t *manifest, size_t manifest_bytes,
                                  const struct mr_release_word *words, unsigned word_count,
                                  size_t *length)
{
    *length = 5 + manifest_bytes + (size_t)word_count * MR_RELEASE_WORD_BYTES;
    uint8_t *bytes = malloc(*length);
    if (!bytes) {
        return NULL;
    }
    mr_be32_put(bytes, (uint32_t)manifest_bytes);
    memcpy(bytes + 4, manifest, manifest_bytes);
    bytes[4 + manifest_bytes] = (uint8_t)word_count;
    for (unsigned i = 0; i < word_count; i++) {
        word_put(bytes + 5 + manifest_bytes + (size_t)i * MR_RELEASE_WORD_BYTES, &words[i]);
    }
    return bytes;
}

static int read_words(struct mr_signed_release *signed_release, const uint8_t *at,
                      struct mr_error *error)
{
    for (unsigned i = 0; i < signed_release->word_count; i++) {
        struct mr_release_word *word = &signed_release->words[i];
        word_get(word, at + (size_t)i * MR_RELEASE_WORD_BYTES);
        if (i > 0 && word->hub_index <= word[-1].hub_index) {
            return mr_error_set(error, "the hubs' words are not in rising order");
        }
        if (word->fraction > MR_RELEASE_FRACTION_ALL ||
            word->valid_s > MR_RELEASE_WORD_VALID_MAX_S) {
            return mr_error_set(error, "hub %u: its word is out of range", word->hub_index);
        }
    }
    return 0;
}

int mr_signed_release_decode(struct mr_signed_release *signed_release, const uint8_t *bytes,
                             size_t length, struct mr_error *error)
{
    *signed_release = (struct mr_signed_release){.word_count = 0};
    const size_t manifest_bytes = length < 5 ? 0 : mr_be32_get(bytes);
    if (length < 5 || manifest_bytes > MR_RELEASE_BYTES_MAX || length - 5 < manifest_bytes) {
        return mr_error_set(error, "the signed release is cut short");
    }
    const uint8_t *words = bytes + 4 + manifest_bytes;
    if (*words > MR_HUBS_MAX ||
        length != 5 + manifest_bytes + *words * (size_t)MR_RELEASE_WORD_BYTES) {
        return mr_error_set(error, "the signed release is not as long as it says");
    }
    signed_release->manifest = bytes + 4;
    signed_release->manifest_bytes = manifest_bytes;
    signed_release->word_count = *words;
    SHA256(bytes + 4, manifest_bytes, signed_release->hash);
    return mr_release_decode(&signed_release->release, bytes + 4, manifest_bytes, error) != 0
               ? -1
               : read_words(signed_release, words + 1, error);
}
