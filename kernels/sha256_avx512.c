/* sha256_avx512.c - SHA-256 of two messages side by side: a round of one waits for the round before
 * it, and the other's are done meanwhile. */
#include <immintrin.h>

#include "kernels/levels.h"

#define UNROLL _Pragma("GCC unroll 16")

/* FIPS 180-4, 4.2.2. */
static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* The eight words of a state, as the instructions have them: lowest lane last named. */
struct halves {
    __m128i abef, cdgh;
};

static struct halves load_state(const uint32_t s[8])
{
    return (struct halves){
        .abef = _mm_set_epi32((int)s[0], (int)s[1], (int)s[4], (int)s[5]),
        .cdgh = _mm_set_epi32((int)s[2], (int)s[3], (int)s[6], (int)s[7]),
    };
}

static void store_state(uint32_t s[8], const struct halves *halves)
{
    uint32_t abef[4], cdgh[4];
    _mm_storeu_si128((__m128i *)(void *)abef, halves->abef);
    _mm_storeu_si128((__m128i *)(void *)cdgh, halves->cdgh);
    s[0] = abef[3], s[1] = abef[2], s[4] = abef[1], s[5] = abef[0];
    s[2] = cdgh[3], s[3] = cdgh[2], s[6] = cdgh[1], s[7] = cdgh[0];
}

/* Rounds 4·number to 4·number + 3; `words` has the sixteen words of the schedule from there on, and
 * afterwards those from four further on, in a ring. */
static inline __attribute__((always_inline)) void
four_rounds(struct halves *halves, __m128i words[4], unsigned number, __m128i constant)
{
    const __m128i now = words[number % 4], sum = _mm_add_epi32(now, constant);
    halves->cdgh = _mm_sha256rnds2_epu32(halves->cdgh, halves->abef, sum);
    if (number < 12) {
        const __m128i last = words[(number + 3) % 4];
        const __m128i behind = _mm_alignr_epi8(last, words[(number + 2) % 4], 4);
        const __m128i part = _mm_sha256msg1_epu32(now, words[(number + 1) % 4]);
        words[number % 4] = _mm_sha256msg2_epu32(_mm_add_epi32(part, behind), last);
    }
    halves->abef = _mm_sha256rnds2_epu32(halves->abef, halves->cdgh, _mm_shuffle_epi32(sum, 0x0e));
}

void mr_sha256_two_avx512(uint32_t states[2][8], const uint8_t *const messages[2], size_t blocks)
{
    const __m128i big_endian = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    struct halves first = load_state(states[0]), second = load_state(states[1]);
    for (size_t block = 0; block < blocks; block++) {
        const struct halves first_before = first, second_before = second;
        __m128i first_words[4], second_words[4];
        UNROLL
        for (unsigned i = 0; i < 4; i++) {
            const size_t at = 64 * block + 16 * i;
            first_words[i] = _mm_shuffle_epi8(
                _mm_loadu_si128((const __m128i *)(const void *)(messages[0] + at)), big_endian);
            second_words[i] = _mm_shuffle_epi8(
                _mm_loadu_si128((const __m128i *)(const void *)(messages[1] + at)), big_endian);
        }
        UNROLL
        for (unsigned i = 0; i < 16; i++) {
            const __m128i constant =
                _mm_loadu_si128((const __m128i *)(const void *)(constants + 4 * i));
            four_rounds(&first, first_words, i, constant);
            four_rounds(&second, second_words, i, constant);
        }
        first.abef = _mm_add_epi32(first.abef, first_before.abef);
        first.cdgh = _mm_add_epi32(first.cdgh, first_before.cdgh);
        second.abef = _mm_add_epi32(second.abef, second_before.abef);
        second.cdgh = _mm_add_epi32(second.cdgh, second_before.cdgh);
    }
    store_state(states[0], &first);
    store_state(states[1], &second);
}
