/* split_avx512.c - integers of sixteen coders, a turn at a time. */
#include <immintrin.h>

#include "kernels/levels.h"

/* Where the plain bits of each integer of a turn lie. */
struct plain {
    __m512i bytes; /* the four that hold them */
    __m512i shift, mask;
    __mmask64 readable;
};

static struct plain plain_of(unsigned low)
{
    uint8_t bytes[64];
    const __m512i from =
        _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                           _mm512_set1_epi32((int)low));
    for (unsigned i = 0; i < 64; i++) {
        bytes[i] = (uint8_t)((i / 4 * low / 8 + i % 4) & 63);
    }
    return (struct plain){
        .bytes = _mm512_loadu_si512(bytes),
        .shift = _mm512_and_si512(from, _mm512_set1_epi32(7)),
        .mask = _mm512_set1_epi32((1 << low) - 1),
        .readable = low == 0 ? 0 : UINT64_MAX >> (64 - 2 * low),
    };
}

static inline __m512i swap_words(__m256i words)
{
    return _mm512_cvtepu16_epi32(
        _mm256_or_si256(_mm256_slli_epi16(words, 8), _mm256_srli_epi16(words, 8)));
}

/* A sequence as far as it was read. */
struct stream {
    __m512i states;
    uint32_t *out;
    const uint8_t *words, *bits;
    const uint32_t *slots;
    __m128i up;
    size_t bits_bytes; /* of a turn */
    struct plain plain;
};

static inline __attribute__((always_inline)) struct stream
stream_of(uint32_t *out, const struct mr_split_coders *coders, const uint8_t *words,
          const uint8_t *bits)
{
    return (struct stream){.states = _mm512_loadu_si512(coders->states),
                           .out = out,
                           .words = words,
                           .bits = bits,
                           .slots = coders->slots,
                           .up = _mm_cvtsi32_si128((int)coders->low),
                           .bits_bytes = 2 * (size_t)coders->low,
                           .plain = plain_of(coders->low)};
}

static inline __attribute__((always_inline)) void turn(struct stream *stream)
{
    const __m512i part = _mm512_set1_epi32(4095), one = _mm512_set1_epi32(1);
    const __m512i least = _mm512_set1_epi32(1 << 16), states = stream->states;
    const __m512i slots = _mm512_i32gather_epi32(_mm512_and_si512(states, part), stream->slots, 4);
    const __m512i frequency =
        _mm512_add_epi32(_mm512_and_si512(_mm512_srli_epi32(slots, 13), part), one);
    const __m512i place = _mm512_and_si512(_mm512_srli_epi32(slots, 1), part);
    const __m512i next =
        _mm512_add_epi32(_mm512_mullo_epi32(frequency, _mm512_srli_epi32(states, 12)), place);
    const __mmask16 needs = _mm512_cmplt_epu32_mask(next, least);
    const __m512i fresh =
        swap_words(_mm256_loadu_si256((const __m256i *)(const void *)stream->words));
    const __m512i filled =
        _mm512_or_si512(_mm512_slli_epi32(next, 16), _mm512_maskz_expand_epi32(needs, fresh));
    stream->states = _mm512_mask_mov_epi32(next, needs, filled);
    stream->words += 2 * (unsigned)__builtin_popcount(needs);
    const struct plain *plain = &stream->plain;
    const __m512i held = _mm512_permutexvar_epi8(
        plain->bytes, _mm512_maskz_loadu_epi8(plain->readable, stream->bits));
    const __m512i rest = _mm512_and_si512(_mm512_srlv_epi32(held, plain->shift), plain->mask);
    const __m512i tokens = _mm512_sll_epi32(_mm512_srli_epi32(slots, 25), stream->up);
    _mm512_storeu_si512(stream->out, _mm512_or_si512(tokens, rest));
    stream->bits += stream->bits_bytes;
    stream->out += MR_TURN;
}

size_t mr_split_turns_avx512(uint32_t *out, struct mr_split_coders *coders, const uint8_t *words,
                             const uint8_t *bits, size_t turns)
{
    struct stream stream = stream_of(out, coders, words, bits);
    for (; turns > 0; turns--) {
        turn(&stream);
    }
    _mm512_storeu_si512(coders->states, stream.states);
    return (size_t)(stream.words - words);
}

/* A turn waits for its sequence's turn before; the other sequence's is done meanwhile. */
void mr_split_turns_two_avx512(uint32_t *const out[2], struct mr_split_coders coders[2],
                               const uint8_t *words[2], const uint8_t *const bits[2], size_t turns)
{
    struct stream first = stream_of(out[0], &coders[0], words[0], bits[0]);
    struct stream second = stream_of(out[1], &coders[1], words[1], bits[1]);
    for (; turns > 0; turns--) {
        turn(&first);
        turn(&second);
    }
    _mm512_storeu_si512(coders[0].states, first.states);
    _mm512_storeu_si512(coders[1].states, second.states);
    words[0] = first.words;
    words[1] = second.words;
}
