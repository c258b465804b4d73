/* fuzz_delta.c - deltas of both kinds onto a small model, and integers both ways: whatever comes,
 * nothing beside the target is touched, and what is written reads back. */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "wire/delta.h"
#include "wire/integer_code.h"
#include "wire/safetensors.h"

#define COUNT 1000u

static uint8_t *base_model(size_t *length, size_t *header)
{
    const struct mr_tensor tensor = {.name = "w", .dims = {COUNT}, .rank = 1};
    uint8_t *bytes = mr_safetensors_header(&tensor, 1, header);
    *length = *header + 4 * COUNT;
    bytes = realloc(bytes, *length);
    MR_ASSERT(bytes);
    for (unsigned i = 0; i < COUNT; i++) {
        const float value = (float)(int)(i % 37 - 18) / 64.0f;
        memcpy(bytes + *header + 4 * (size_t)i, &value, 4);
    }
    return bytes;
}

/* The input as a delta: its head is made to fit, so that the body is reached. */
static void apply(const uint8_t *data, size_t size)
{
    size_t length, header;
    struct mr_delta_head head;
    struct mr_error error = {.text = ""};
    uint8_t *base = base_model(&length, &header), *target = malloc(mr_delta_room(length));
    uint8_t *delta = malloc(MR_DELTA_HEAD_BYTES + size);
    MR_ASSERT(target && delta);
    memset(delta, 0, MR_DELTA_HEAD_BYTES);
    memcpy(delta, "MRDL\0\2", 6);
    delta[76] = (uint8_t)(length >> 8);
    delta[77] = (uint8_t)length;
    delta[78] = size && data[0] & 1 ? MR_DELTA_CHANGES : MR_DELTA_SUMS;
    if (size) {
        memcpy(delta + MR_DELTA_HEAD_BYTES, data + 1, size - 1);
    }
    const struct mr_delta_job job = {.delta = delta,
                                     .delta_bytes = MR_DELTA_HEAD_BYTES + (size ? size - 1 : 0),
                                     .base = base,
                                     .base_bytes = length,
                                     .target = target,
                                     .target_room = size % 2 ? mr_delta_room(length) : 0,
                                     .kernels = mr_kernels_select(UINT32_MAX)};
    MR_ASSERT(mr_delta_head_read(&head, delta, job.delta_bytes, &error) == 0 &&
              head.target_bytes == length);
    if (mr_delta_apply(&job, &error) == 0) {
        MR_ASSERT(memcmp(base, target, header) == 0);
    } else {
        MR_ASSERT(error.text[0] != '\0');
    }
    free(base);
    free(target);
    free(delta);
}

static void read_as_is(const uint8_t *data, size_t size)
{
    static struct mr_integer_room room;
    struct mr_integer_reader reader = {.bytes = data,
                                       .length = size,
                                       .left = size ? 1 + data[0] * 8u : 1,
                                       .room = &room,
                                       .kernels = mr_kernels_select(UINT32_MAX)};
    while (mr_integer_read(&reader, NULL) > 0) {
        MR_ASSERT(reader.at <= size);
    }
}

static void write_and_read(const uint8_t *data, size_t size)
{
    static struct mr_integer_room room;
    static struct mr_integer_scratch scratch;
    static uint8_t out[MR_INTEGER_SEGMENT_BYTES_MAX];
    static uint32_t values[MR_INTEGER_SEGMENT];
    struct fuzz_input input = {data, size};
    size_t count = 0;
    while (input.left > 0 && count < MR_INTEGER_SEGMENT) {
        const uint8_t kind = fuzz_byte(&input);
        values[count++] = kind < 128 ? kind : fuzz_word(&input) >> (kind & 31);
    }
    if (count == 0) {
        return;
    }
    const size_t length = mr_integer_write(out, values, count, &scratch);
    struct mr_integer_reader reader = {.bytes = out,
                                       .length = length,
                                       .left = count,
                                       .room = &room,
                                       .kernels = mr_kernels_select(UINT32_MAX)};
    MR_ASSERT(length <= sizeof out && mr_integer_read(&reader, NULL) == (long)count &&
              reader.at == length && memcmp(values, room.values, count * sizeof *values) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mr_delta_head head;
    (void)mr_delta_head_read(&head, data, size, NULL);
    apply(data, size);
    read_as_is(data, size);
    write_and_read(data, size);
    return 0;
}
