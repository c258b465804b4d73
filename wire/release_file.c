/* release_file.c - whether a whole file is what a release says. */
#include <string.h>

#include "base/bytes.h"
#include "wire/release_trust.h"

#define CHUNK ((size_t)64) /* of SHA-256; its own word for it is "block" */

/* One message that is hashed beside another. */
struct message {
    const uint8_t *bytes;
    size_t length;
    uint32_t state[8];
};

/* FIPS 180-4, 5.3.3. */
static struct message message_of(const uint8_t *bytes, size_t length)
{
    return (struct message){.bytes = bytes,
                            .length = length,
                            .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                      0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

static void hash_two(struct message two[2], const uint8_t *const from[2], size_t chunks,
                     const struct mr_kernels *kernels)
{
    uint32_t states[2][8];
    memcpy(states[0], two[0].state, sizeof states[0]);
    memcpy(states[1], two[1].state, sizeof states[1]);
    kernels->sha256_two(states, from, chunks);
    memcpy(two[0].state, states[0], sizeof states[0]);
    memcpy(two[1].state, states[1], sizeof states[1]);
}

/* What is behind the chunks that both had, and the padding (5.1.1). */
static void finish(uint8_t hash[MR_HASH_BYTES], const struct message *message, size_t done,
                   const struct mr_kernels *kernels)
{
    uint8_t end[2 * CHUNK] = {0};
    struct message two[2] = {*message, *message}; /* one of them is hashed for nothing */
    const size_t rest = message->length % CHUNK, chunks = message->length / CHUNK - done;
    const size_t end_chunks = rest + 9 > CHUNK ? 2 : 1;
    const uint8_t *at = message->bytes + done * CHUNK;
    memcpy(end, at + chunks * CHUNK, rest);
    end[rest] = 0x80;
    mr_be64_put(end + end_chunks * CHUNK - 8, 8 * (uint64_t)message->length);
    hash_two(two, (const uint8_t *const[2]){at, at}, chunks, kernels);
    hash_two(two, (const uint8_t *const[2]){end, end}, end_chunks, kernels);
    for (unsigned i = 0; i < 8; i++) {
        mr_be32_put(hash + 4 * (size_t)i, two[0].state[i]);
    }
}

static size_t length_of(const struct mr_release *release, uint32_t i)
{
    const uint64_t whole = UINT64_C(1) << release->block_log2;
    const uint64_t left = release->target_bytes - i * whole;
    return (size_t)(left < whole ? left : whole);
}

/* Of the blocks i and i + 1. */
static bool two_hold(const struct mr_release *release, uint32_t i, const uint8_t *bytes,
                     const struct mr_kernels *kernels)
{
    uint8_t hashes[2 * MR_HASH_BYTES];
    const size_t first = length_of(release, i), second = length_of(release, i + 1);
    struct message two[2] = {message_of(bytes, first), message_of(bytes + first, second)};
    const size_t both = second / CHUNK; /* no block is longer than one before it */
    hash_two(two, (const uint8_t *const[2]){bytes, bytes + first}, both, kernels);
    finish(hashes, &two[0], both, kernels);
    finish(hashes + MR_HASH_BYTES, &two[1], both, kernels);
    return memcmp(hashes, release->blocks + MR_HASH_BYTES * (size_t)i, sizeof hashes) == 0;
}

bool mr_release_file_holds(const struct mr_release *release, const uint8_t *bytes, size_t length,
                           const struct mr_kernels *kernels)
{
    const uint32_t count = mr_release_block_count(release->target_bytes, release->block_log2);
    bool holds = length == release->target_bytes && release->block_count == count;
    for (uint32_t i = 0; holds && i < count;) {
        const bool two = MR_KERNELS_OF_TWO && kernels->sha256_two && i + 1 < count;
        const uint8_t *at = bytes + ((size_t)i << release->block_log2);
        holds = two ? two_hold(release, i, at, kernels)
                    : mr_release_block_holds(release, i, at, length_of(release, i));
        i += two ? 2 : 1;
    }
    return holds;
}
