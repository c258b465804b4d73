/* fuzz.h - what the fuzz targets share: the entry point and a reader of the fuzzer's bytes.
 *
 * A target is one file with LLVMFuzzerTestOneInput (libFuzzer, AFL++); replay.c gives it a plain
 * main, so that the ordinary tests run the corpus. No target logs, writes or reads a disk, or keeps
 * state from one input to the next. An invariant that breaks is MR_ASSERT: it aborts. */
#ifndef MR_TESTS_FUZZ_H
#define MR_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes that are left. Past the end everything reads as 0. */
struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

/* Up to `most` bytes; *count says how many there were. */
static inline const uint8_t *fuzz_take(struct fuzz_input *input, size_t most, size_t *count)
{
    const uint8_t *bytes = input->at;
    *count = most < input->left ? most : input->left;
    input->at += *count;
    input->left -= *count;
    return bytes;
}

static inline uint8_t fuzz_byte(struct fuzz_input *input)
{
    size_t count;
    const uint8_t *bytes = fuzz_take(input, 1, &count);
    return count == 1 ? *bytes : 0;
}

static inline uint32_t fuzz_word(struct fuzz_input *input)
{
    uint32_t word = 0;
    for (unsigned i = 0; i < 4; i++) {
        word = word << 8 | fuzz_byte(input);
    }
    return word;
}

#endif
